//! Recurrent layers (SimpleRNN, LSTM, GRU) that reproduce Keras 3's numbers, down to the seed, over whole sequences or
//! step by step.
//!
//! ```
//! use ndarray::prelude::*;
//! use recurrent::{Layer, Lstm, SeedSource};
//!
//! let mut seeds = SeedSource::keras(7);                                // keras.utils.set_random_seed(7)
//! let lstm = Lstm::<f32>::builder(3, 4).seeds(&mut seeds).build()?;    // keras.layers.LSTM(4)
//! let x = Array3::ones((1, 4, 3));                                     // (batch, timesteps, features)
//! let output = lstm.forward(&x)?;
//! assert_eq!(format!("{:.4}", output.last()), "[[0.1128, 0.0482, 0.3107, -0.1732]]"); // what Keras prints
//! # Ok::<(), recurrent::Error>(())
//! ```
//!
//! **In a debug build** the loops of this crate run some 200 times slower, unless your `Cargo.toml` has it optimized
//! there too (level 3 takes no longer to compile than level 1, and is 14 times faster):
//!
//! ```toml
//! [profile.dev.package.recurrent]
//! opt-level = 3
//! ```
//!
//! # Where to look
//!
//! - **A layer**: [`SimpleRnn`], [`Lstm`], [`Gru`], and of other frameworks [`IndRnn`], [`Mgu`], [`LayerNormLstm`]; all
//!   that can be done with one is in the trait [`Layer`], and what has weights, by name, in [`Parameters`].
//! - **One call and its options** (masks, lengths, resets, an initial state, dropout): [`Run`]; its result: [`Output`]. Rows
//!   of different length: [`pad_sequences`], [`pad_ids`].
//! - **State**, by name, in and out: [`State`]. **Step by step**, without allocation: [`Stream`]; many that
//!   come and go: [`StreamPool`]; the last n steps alone: [`Window`]; another model while it is heard: [`LiveStream`].
//! - **Both directions, stacks**: [`Bidirectional`], [`Stacked`], [`StackedCells`].
//! - **Around them**: [`Embedding`], [`Masking`], [`Dense`], [`TimeDistributed`], [`Stateful`]; in models [`Conv1D`],
//!   [`DepthwiseConv1D`], [`SeparableConv1D`], pooling ([`ops`]).
//! - **First weights**: [`Initializer`], [`SeedSource`], [`KerasRng`]. **Activations**: [`Activation`].
//! - **Training**: [`training::Fit`], Keras's `compile` and `fit`; a loop of one's own by [`Run::record`],
//!   [`Layer::backward`], [`Gradients`]; losses, metrics and optimizers in [`training`]. From data to a saved file: the
//!   page [`training::small_model`].
//! - **Models**, graphs with several inputs and outputs: [`Sequential`], [`Model::builder`], [`ops`]; step by step
//!   [`Model::stream`].
//! - **Saved and loaded**, whatever it is, with the same bits: the module `file`; states also as
//!   [bytes](State::to_bytes).
//! - **Models of Keras**, from their files: the module `keras` (feature `keras`). **Layers of PyTorch**, from the
//!   safetensors file of a `state_dict`: the module `pytorch` (feature `pytorch`). **Models of ONNX files**: the module
//!   `onnx` (feature `onnx`). What a file only names (a `Lambda`, a class of one's own): [`ops::CustomLayer`].
//! - **Weights in 8 or 16 bits**, for less memory and time: [`Layer::quantize`], [`Model::quantize`], `compare`, files of
//!   them: the page [`fewer_bits`].
//! - **An error that you don't understand**: the page [`common_errors`].
//! - **A cell of your own**: [`Cell`] and [`Recurrent::from_cell`].
//! - **Audio, control, other real time**: the page [`real_time`]. **How near to the frameworks**, layer by layer: the page
//!   [`parity`]. **Why it is built as it is**: the page [`design`].
//!
//! ## Masks, lengths, state
//!
//! ```
//! use ndarray::prelude::*;
//! use recurrent::{Gru, Layer, Run};
//!
//! let gru = Gru::<f32>::builder(3, 4).return_sequences(true).return_state(true).build()?;
//! let x = Array3::ones((2, 5, 3));
//! let first = gru.run(&x, Run::new().lengths(&[5, 2]))?;                // row 1 has two live steps
//! let second = gru.run(&x, Run::new().initial_state(first.state()?))?;  // goes on from there
//! assert_eq!(second.sequence()?.dim(), (2, 5, 4));
//! # Ok::<(), recurrent::Error>(())
//! ```
//!
//! ## A stream
//!
//! ```
//! use recurrent::{Lstm, Stream};
//!
//! let lstm = Lstm::<f32>::new(2, 8);
//! let mut stream = Stream::new(&lstm, 1)?;
//! for sample in [[0.0, 0.5], [1.0, -0.5]] {
//!     let h: &[f32] = stream.step_one(&sample)?;                        // allocates nothing
//!     assert_eq!(h.len(), 8);
//! }
//! let saved = stream.state().clone();                                   // and stream.set_state(&saved)?
//! # Ok::<(), recurrent::Error>(())
//! ```
//!
//! ## Both directions and a head
//!
//! ```
//! use ndarray::prelude::*;
//! use recurrent::{Activation, Bidirectional, Dense, Layer, Lstm, Stacked};
//!
//! let tagger = Stacked::builder()
//!     .layer(Bidirectional::new(Lstm::builder(3, 8).return_sequences(true))?)
//!     .layer(Dense::builder(16, 5).activation(Activation::Softmax).build()?)
//!     .build()?;
//! assert_eq!(tagger.forward(&Array3::<f32>::ones((2, 7, 3)))?.sequence()?.dim(), (2, 7, 5));
//! # Ok::<(), recurrent::Error>(())
//! ```
//!
//! # Coming from Keras
//!
//! | Keras | here |
//! |---|---|
//! | `LSTM(4)` (the input width is found out later) | `Lstm::<f32>::new(3, 4)` (input width, units) |
//! | `LSTM(4, activation="relu", use_bias=False)` | `Lstm::<f32>::builder(3, 4).activation(Activation::Relu).use_bias(false).build()?` |
//! | `activation=None` | `.activation(Activation::Linear)` |
//! | `recurrent_initializer=Orthogonal(seed=7)` | `.recurrent_initializer(Initializer::Orthogonal { gain: 1.0, seed: Some(7) })` |
//! | `kernel_initializer="he_normal"` | `.kernel_initializer("he_normal".parse()?)` |
//! | `keras.utils.set_random_seed(7)` | `SeedSource::keras(7)`, handed to each builder by `.seeds(&mut seeds)` |
//! | `layer(x)` | `layer.forward(&x)?.last()` |
//! | `return_sequences=True`; `layer(x)` | `.return_sequences(true)`; `layer.forward(&x)?.sequence()?` |
//! | `return_state=True`; `y, h, c = layer(x)` | `.return_state(true)`; `output.last()`, `output.state()?.get("h")?`, `.get("c")?` |
//! | `layer(x, initial_state=[h, c])` | `layer.run(&x, Run::new().initial_state(&state))?` |
//! | `layer(x, mask=mask)` | `layer.run(&x, Run::new().mask(&mask))?`, or `.lengths(&[5, 2])` for padded rows |
//! | `layer(x, training=True)` | `layer.run(&x, Run::new().training(&mut seeds))?` with `let mut seeds = layer.seeds()` |
//! | `Masking(0.)`, `Embedding(10, 3, mask_zero=True)` | [`Masking`], [`Embedding`]: they return the input and the mask |
//! | `Bidirectional(LSTM(4), merge_mode="sum")` | `Bidirectional::new(Lstm::builder(3, 4))?.merge_mode(Merge::Sum)` |
//! | `keras.utils.pad_sequences(rows, padding="post")` | [`pad_sequences`]`(&rows)?`, ids [`pad_ids`]`(&rows)?`: with the lengths |
//! | `Sequential([LSTM(8, return_sequences=True), LSTM(4)])` | `Stacked::builder().layer(..).layer(..).build()?` |
//! | `Sequential([Embedding(10, 3, mask_zero=True), LSTM(4)])` | `Sequential::<f32>::builder("m").layer(..).layer(..).build()?`, a [`Model`] |
//! | `x = Input((None, 3)); y = LSTM(4)(x); Model(x, y)` | `let x = graph.input("x", [None, Some(3)])?; let y = graph.call("lstm", Lstm::new(3, 4), &[x])?; graph.build(&y)?` with `let mut graph = Model::<f32>::builder("m")` |
//! | `RNN([LSTMCell(4), GRUCell(2)])` | [`StackedCells`], made of cells by [`Builder::build_cell`](builder::Builder::build_cell) |
//! | `RNN(MyCell())` | `Recurrent::from_cell(MyCell { .. })` |
//! | `model.compile(..)`, `model.fit(x, y)` | `Fit::new(loss, optimizer).run(&mut model, &x, &y)?`: [`Fit`](training::Fit) |
//! | `tape.gradient(loss, weights)`, `optimizer.apply(..)` | `layer.backward(..)?`, `optimizer.step(..)?`: see [`training`] |
//! | `keras.models.load_model("m.keras")`, `model.predict(x)` | `keras::load::<f32>("m.keras")?`, `model.predict_one(&x)?`, or `model.predict(&[(&a).into(), (&b).into()])?` |
//! | the same model under a `tf.GradientTape` | `model.record(&[(&x).into()], &mut tape)?`, `model.backward(..)?`, `optimizer.step(&mut model, &gradients)?` |
//! | `model(x, training=True)` under it | `model.record_training(&[(&x).into()], &mut tape, &mut seeds)?` with `let mut seeds = model.seeds();`, and last `model.update_statistics(&mut tape)?` |
//! | `stateful=True`, `reset_state()` | [`Stateful`]; for new code [`Stream`] |
//! | `get_weights()`, `set_weights([..])` | `weights()`, `weight("recurrent_kernel")?`, `set_weights(&[("kernel", kernel.view().into_dyn())])?` |
//! | `summary()` | `println!("{layer}")` |
//!
//! Where Keras's documentation and its TensorFlow backend disagree, this crate follows the backend, and says so where
//! it matters: [`Run::mask`], [`DropoutSeeds`](training::DropoutSeeds), `Activation::Sparsemax`, the bias of [`Lstm`].
//!
//! # What works with what
//!
//! All of it in f32 and in f64, but for layers in [fewer bits](fewer_bits), which are of f32.
//!
//! | | mask, lengths, resets | `go_backwards` | initial and final state | [`Stream`] | dropout | Keras's seeds | gradients |
//! |---|---|---|---|---|---|---|---|
//! | [`SimpleRnn`], [`Lstm`], [`Gru`] | yes | yes | yes | yes, forwards | yes | yes | yes |
//! | [`Lstm`] with `peephole`, `input_forget`, `clip`, `projection_units`: [`LstmCell`](cell::LstmCell) | yes | yes | yes | yes, forwards | yes | Keras doesn't have them | yes |
//! | [`IndRnn`], [`Mgu`], [`LayerNormLstm`] | yes | yes | yes | yes, forwards | yes | Keras doesn't have them | yes |
//! | [`Recurrent`] of your own cell | yes | yes | yes | yes, forwards | if the cell asks for it | via its initializers | if it implements [`Cell::step_backward`] |
//! | [`StackedCells`] (in one [`Recurrent`]) | yes | yes | yes | yes, forwards | yes | yes | yes |
//! | [`Bidirectional`] | yes | it does both | yes | no: an error says so | yes | yes | yes |
//! | [`Stacked`] | yes, handed on as in Keras | each layer's own | yes | if all its layers can | yes | yes | yes |
//! | [`Dense`], [`TimeDistributed`] | not looked at, as in Keras | makes no difference | none | yes | none | yes | yes |
//! | quantized SimpleRNN, LSTM, GRU, Dense, EinsumDense (Keras's), Embedding, and Stacked, Bidirectional of them | as in f32 | as in f32 | as in f32 | as in f32 | none | - | no: an error says so |
//! | [`Embedding`] | makes a mask | makes no difference | none | before it | none | yes | yes, by [`Embedding::backward`] |
//! | [`Masking`] | makes a mask | makes no difference | none | before it | none | has none | those of masked steps are zero |
//! | [`Model`], built by hand or loaded | masks, as in Keras | each layer's own | of stateful layers | [`ModelStream`](model::ModelStream), if all its layers can | each layer's own, [`ops::Dropout`] | each layer's own | yes |
//!
//! What a [`Stream`] can run, a [`StreamPool`] can, a [`Window`] and a [`LiveStream`]; the pool any [`Model`] that a
//! [`ModelStream`](model::ModelStream) can, too, unless it begins with inputs of its own, or strides or windows stand in it
//! so that only some steps give an output.
//!
//! # Conventions
//!
//! - **Shapes** are written (batch, timesteps, features). Inputs are `&ndarray::ArrayRef3<T>`: owned arrays and views
//!   of any stride will do, and give the same bits. `T` is `f32` or `f64`, and products and sums are of the same type.
//! - **Weights** have Keras's names and shapes: `kernel` (features, gates * units), `recurrent_kernel` (units, gates *
//!   units), `bias` (gates * units), for a GRU with `reset_after` (2, gates * units).
//! - **Gates** stand in Keras's order: i, f, g, o in an LSTM; z, r, g in a GRU; f, g in an MGU. (The
//!   candidate g is Keras's c or h.)
//! - **Time**: with `go_backwards` outputs come in the order in which they were computed, and only [`Bidirectional`]
//!   turns them back. Masks, lengths and resets always speak of the input's time.
//! - **State** has names, `h` and `c`, and paths such as `0/forward/h` in wrappers; so have weights.
//! - **Defaults** are Keras's: tanh, sigmoid for the gates, glorot_uniform, orthogonal, a bias of zeros but ones for
//!   the LSTM's forget gate, `reset_after`. A seed that isn't set is drawn from the operating system.
//! - **Options of a layer** are in its builder; what differs between two calls is in [`Run`]. A layer never changes
//!   when it is used: `forward(&self)`.
//!
//! # Promises
//!
//! - **Exact**: Keras 3 with the TensorFlow backend is the reference for every option; tests compare with its numbers
//!   (1e-5 in f32, 1e-12 in f64; of a layer with very many features neither has that many digits: a sum of 100,000
//!   products in f32 is off by up to 7e-4 of its value here as in Keras, and f64 helps). Seeded uniform and normal
//!   weights, and dropout masks, are its bits in f32.
//! - **The same bits**: in inference a row's result doesn't depend on the batch around it, on the chunks in which a
//!   stream arrives, on the number of threads, or on the vector width of the machine, as long as it has fused
//!   multiply-add.
//! - **Nothing is silent**: what doesn't fit is an [`Error`] that names what was expected and what was given.
//! - **No panics** from sizes or data, save the [documented ones](#the-documented-panics), each of which has a twin
//!   that returns an error. Nothing aborts either: memory for all that a call takes is asked for before it begins, if
//!   it is 64 MiB or more. Less is taken without asking, because the question itself takes time and changes what the
//!   allocator does later: if even that much is missing, the process aborts, as with Rust's collections.
//! - **Real time**: a step or block of a [`Stream`] that succeeds allocates nothing, takes no lock and makes no system
//!   call; nor does a [`Window`], or a [`StreamPool`] of a fixed capacity.
//! - **`unsafe`** is denied in the whole crate, but for the choice of the instruction set, and products of bytes, in its
//!   kernels.
//!
//! # The documented panics
//!
//! For code that is shorter where sizes are known. They point at the caller's line, and say what the error of the other
//! function says.
//!
//! | panics | where | returns the error |
//! |---|---|---|
//! | [`SimpleRnn::new`](Recurrent::new), [`Lstm::new`](Recurrent::new), [`Gru::new`](Recurrent::new), [`IndRnn::new`](Recurrent::new), [`Mgu::new`](Recurrent::new), [`LayerNormLstm::new`](Recurrent::new) | a size is zero or too large | `builder(..).build()` |
//! | [`Dense::new`] | the same | [`Dense::builder`] |
//! | [`Embedding::new`] | the same | [`Embedding::builder`] |
//! | [`Layer::initial_state`] | there is no memory for so many rows | [`Layer::try_initial_state`] |
//! | [`State::zeros`] | the same | [`State::try_zeros`] |
//! | [`Stateful::new`] | the same | [`Stateful::try_new`] |
//! | [`Model::initial_state`] | the same | [`Model::try_initial_state`] |
//!
//! Besides, whatever builds a layer panics if the environment variable `RECURRENT_ISA`, which is for tests, names an
//! instruction set that the machine doesn't have. A panic of a cell, activation, derivative or initializer of your own
//! is handed on.
//!
//! # When not to use it
//!
//! - To train large models: there is no autodiff, and no GPU; small ones learn where they run ([`training`]). Files of
//!   Keras, PyTorch and ONNX, and [`Parameters::set_weights`], bring in weights trained elsewhere.
//! - For models whose work isn't in recurrent layers (images, transformers): their layers are read where they stand beside
//!   recurrent ones, but a general framework or runtime is built for them.
//! - On a GPU: it has none. (Weights can be in [16 or 8 bits](fewer_bits); sums of gates and states stay f32.)
//! - If another crate does it better: the page [`which_crate`] compares.
//! - If you need the last bit of Keras's results: those depend on Keras's machine. Ours don't on yours.
//!
//! # Features
//!
//! | feature | what it buys |
//! |---|---|
//! | `file` | `file::save` and `file::load`: layers, models, states, optimizers and dropout seeds in files of our own, with the same bits |
//! | `keras` | `keras::load`: whole models from `.keras` and legacy `.h5` files, run at once or step by step, and trained; weights from `.weights.h5`; `keras::save`: back into one |
//! | `onnx` | `onnx::load`: the model of an ONNX file; `onnx::File`: its recurrent nodes as layers; `onnx::save`: back into one |
//! | `pytorch` | `pytorch::File`: recurrent modules, and what stands around them, out of the safetensors file of a `state_dict`; `pytorch::save`: back into one |
//! | `serde` | states, initializers, activations and dropout seeds in serde's formats |
//! | `rayon` | calls over enough rows, and training, run on several threads, with the same bits; a stream's step stays on one, a pool's may take several |
//!
//! `file` is on by default. Rust 1.89 or newer; a new minimum counts as a breaking change.
//!
//! # Targets
//!
//! The kernels are written for x86-64 (AVX-512, AVX2, and SSE2 without fused multiply-add) and aarch64 (NEON). On other
//! targets the same portable code relies on the compiler's auto-vectorization. WebAssembly has no fused multiply-add:
//! there, as with SSE2, last bits differ from those of the others. `wasm32-unknown-unknown` has no source of random
//! seeds; choose a getrandom backend in your program. In a browser, add `getrandom = { version = "0.4", features =
//! ["wasm_js"] }` to its dependencies; elsewhere, write a [backend](https://docs.rs/getrandom/0.4/#custom-backend).

#![deny(missing_docs)]
// Which feature an item needs, on docs.rs.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod activation;
mod aligned;
mod buffers;
mod cells;
#[cfg(doc)]
pub mod common_errors;
#[cfg_attr(not(feature = "file"), allow(dead_code, reason = "files read descriptions"))]
mod config;
#[cfg(doc)]
pub mod design;
mod error;
#[cfg(doc)]
pub mod fewer_bits;
mod float;
#[cfg(any(feature = "file", feature = "keras", feature = "onnx", feature = "pytorch"))]
mod formats;
mod gradients;
mod graph;
mod initializers;
#[cfg(all(feature = "__instances", debug_assertions, not(test)))]
mod instances;
mod kernels;
mod layers;
mod marks;
mod mask;
pub mod math;
mod memory;
pub mod ops;
mod output;
mod padding;
mod parameters;
#[cfg(doc)]
pub mod parity;
mod precision;
mod random;
#[cfg(doc)]
pub mod real_time;
mod runner;
mod seeds;
mod stamp;
mod state;
mod stream;
mod strided;
mod structure;
pub mod training;
mod weight_rules;
mod weights;
#[cfg(doc)]
pub mod which_crate;

pub use activation::{Activation, CustomActivation};
#[doc(hidden)]
pub use cells::CLASS_NAMES;
pub use cells::Cell;
#[doc(hidden)] // its place is `cell::Step`
pub use cells::Step;
pub use cells::stacked::StackedCells;
pub use error::{Error, Result};
pub use float::Float;
#[cfg(feature = "file")]
pub use formats::file;
#[cfg(feature = "keras")]
pub use formats::keras;
#[cfg(feature = "onnx")]
pub use formats::onnx;
#[cfg(feature = "pytorch")]
pub use formats::pytorch;
pub use gradients::{Gradients, OutputGradient};
pub use graph::{Model, Sequential};
pub use initializers::{CustomInitializer, FanMode, Initializer, ScalingDistribution};
#[cfg(all(feature = "__instances", debug_assertions, not(test)))]
pub use instances::instances;
#[doc(hidden)]
pub use kernels::{limits, paths};
pub use layers::Layer;
pub use layers::bidirectional::{Bidirectional, Merge};
pub use layers::compare::{Comparison, Deviation};
pub use layers::convolution::conv1d::Conv1D;
pub use layers::convolution::depthwise::DepthwiseConv1D;
pub use layers::convolution::quantized::QuantizedConv1D;
pub use layers::convolution::separable::SeparableConv1D;
pub use layers::convolution::window::Padding;
pub use layers::dense::Dense;
pub use layers::embedding::Embedding;
pub use layers::masking::Masking;
pub use layers::names::*;
pub use layers::quantized_dense::QuantizedDense;
pub use layers::quantized_embedding::QuantizedEmbedding;
pub use layers::recurrent::Recurrent;
pub use layers::stacked::Stacked;
pub use layers::stateful::Stateful;
pub use layers::time_distributed::TimeDistributed;
pub use output::Output;
pub use padding::{pad_ids, pad_sequences};
pub use parameters::Parameters;
pub use precision::Precision;
pub use random::{KerasRng, SeedSource};
pub use runner::output_mut::OutputMut;
pub use runner::run::Run;
pub use runner::scratch::Scratch;
pub use state::{State, StateLayout};
pub use stream::{LiveStream, ReplaceError, Stream, StreamId, StreamPool, Successor, Window};
pub use weights::{WeightVisitor, WeightVisitorMut};
/// The crates whose types stand in signatures here.
pub use {ndarray, rand_distr};

/// Cells: the built-in ones, and what one of your own is written with, beside [`Cell`].
pub mod cell {
    pub use crate::cells::types::*;
    pub use crate::cells::{BuiltInCell, CellDropout, QuantizedCell, Step, StepBackward, StepDropout, Zoneout};
    pub use crate::gradients::WeightGradients;
    pub use crate::weights::WeightPath;
}

/// What `builder` functions return: options as setters, then `build`, which returns every error.
pub mod builder {
    pub use crate::cells::builder::Builder;
    pub use crate::cells::stacked::StackedCellsBuilder;
    pub use crate::graph::ops::noise::DropoutBuilder;
    pub use crate::graph::{ModelBuilder, SequentialBuilder};
    pub use crate::layers::convolution::ConvolutionBuilder;
    pub use crate::layers::dense::DenseBuilder;
    pub use crate::layers::embedding::EmbeddingBuilder;
    pub use crate::layers::stacked::StackedBuilder;
}

/// What a [`Model`] reads, is made of and keeps: its inputs, layers, calls, states, streams.
pub mod model {
    pub use crate::graph::{AnyLayer, CallOptions, Input, InputElement, ModelNode, ModelState, ModelStream};
}

/// What a [`StreamPool`] can run.
pub mod pool {
    pub use crate::stream::{ByLayer, ByModel, Pooled};
}

/// The names that most programs use, for `use recurrent::prelude::*`.
pub mod prelude {
    pub use crate::cells::Cell;
    pub use crate::graph::{Model, Network, Sequential};
    pub use crate::layers::names::*;
    pub use crate::{
        Activation, Bidirectional, Dense, Embedding, Float, Gradients, Initializer, Layer, Masking, Merge,
    };
    pub use crate::{
        Output, OutputGradient, Parameters, Recurrent, Run, SeedSource, Stacked, State, Stream, StreamPool,
        TimeDistributed, pad_ids, pad_sequences,
    };
}

/// The code in the README, as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
