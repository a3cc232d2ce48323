//! What the compiler, and this crate, say to first programs, and what to do.
//!
//! # The compiler
//!
//! **`error[E0283]: type annotations needed`, at `Lstm::new(3, 4)`.** Nothing yet says whether it is of `f32` or `f64`: a
//! default type isn't used in expressions. An input would do, or say it:
//!
//! ```
//! # use recurrent::Lstm;
//! let lstm = Lstm::<f32>::new(3, 4);
//! ```
//!
//! **`error[E0308]: mismatched types .. expected ArrayRef<_, Dim<[usize; 3]>>, found .. Dim<[usize; 2]>`.** A layer takes
//! batches: (batch, timesteps, features). One sequence is a batch of one:
//!
//! ```
//! # use ndarray::prelude::*;
//! # use recurrent::{Layer, Lstm};
//! let sequence = Array2::<f32>::ones((7, 3)); // (timesteps, features)
//! let output = Lstm::new(3, 4).forward(&sequence.view().insert_axis(Axis(0)))?;
//! assert_eq!(output.last().dim(), (1, 4));
//! # Ok::<(), recurrent::Error>(())
//! ```
//!
//! **`expected f32, found f64`.** The arrays and the layer have one type. Convert the array once, or build the layer in f64:
//!
//! ```
//! # use ndarray::prelude::*;
//! # use recurrent::{Layer, Lstm};
//! let x = Array3::<f64>::ones((1, 4, 3));
//! let in_f32 = Lstm::<f32>::new(3, 4).forward(&x.mapv(|value| value as f32))?;
//! let in_f64 = Lstm::<f64>::new(3, 4).forward(&x)?;
//! # Ok::<(), recurrent::Error>(())
//! ```
//!
//! **Rows in a `Vec<Vec<f32>>`, or arrays of different length.** Of equal rows an array is made by
//! `Array2::from_shape_vec((rows, features), flat)?`; rows of different length by [`pad_sequences`](crate::pad_sequences),
//! which gives the lengths, too.
//!
//! **`error[E0107]: missing generics for struct Stream`, in a struct's field.** A stream knows its layer's type, and how it
//! is held. To own it, `Arc` or `Box`:
//!
//! ```
//! # use std::sync::Arc;
//! use recurrent::{Layer, Lstm, Stream};
//!
//! struct Voice {
//!     filter: Stream<f32, Arc<Lstm>>,            // many voices, one layer
//!     loaded: Stream<f32, Box<dyn Layer<f32>>>,  // whatever a file held
//! }
//!
//! let lstm = Arc::new(Lstm::<f32>::new(2, 8));
//! let voice = Voice { filter: Stream::new(lstm.clone(), 1)?, loaded: Stream::new(Box::new(Lstm::<f32>::new(2, 8)) as _, 1)? };
//! # Ok::<(), recurrent::Error>(())
//! ```
//!
//! **`error[E0599]: no method named forward`.** The trait isn't imported: `use recurrent::Layer`, or
//! `use recurrent::prelude::*`.
//!
//! **`the trait bound Input<'_, f32>: From<..> is not satisfied`**, at [`Model::predict`](crate::Model::predict). Inputs are
//! made of references to arrays or of views: `(&x).into()`, `x.slice(s![..2, ..]).into()`; of a model with one input and one
//! output `model.predict_one(&x)?`.
//!
//! # The crate
//!
//! | message | what to do |
//! |---|---|
//! | expected an input of shape (batch, timesteps, 3), got [1, 3, 50]: .. are timesteps and features swapped? | time is axis 1, features are axis 2: `x.permuted_axes([0, 2, 1])` |
//! | weight "kernel" has the shape [3, 16], got [16, 3]: transposed? | PyTorch's and ONNX's weights are (gates * units, features), and their gates stand in another order: read the file by `pytorch::File` or `onnx::File`, which know |
//! | the sequence was not requested: build the layer with return_sequences(true) | as it says; [`Output::last`](crate::Output::last) is always there |
//! | layer 1 of the stack (GRU; counted from 0) needs a sequence | the recurrent layer before it gives its last step only: `return_sequences(true)` |
//! | can't run step by step: Bidirectional | its backward direction begins at the end: run whole sequences, or of a long one the last steps again and again |
//! | nothing is recorded | give the run [`record(&mut tape)`](crate::Run::record) before [`backward`](crate::Layer::backward) |
//! | the weights have changed since the tape was recorded | one `record`, one `backward`, then the optimizer's step |
//! | there is no weight "weight_ih_l0" (PyTorch's name ..) | ours are [`kernel`, `recurrent_kernel`, `bias`](crate#conventions) |
//! | id 600 at row 0, step 1: the embedding has the ids 0 to 499 | the vocabulary is larger than the embedding; 0 is padding with `mask_zero` |
//!
//! # It runs, but
//!
//! - **slowly**: a debug build is some 200 times slower. `--release`, or the two lines for `Cargo.toml` on the
//!   [front page](crate).
//! - **other numbers than Keras**: the weights' order of gates, a `Bidirectional`'s `last()` (PyTorch's `h_n` of both directions,
//!   not `output[:, -1]`), inputs that aren't scaled as in training. [`compare`](crate::Layer::compare) shows where two layers
//!   part.
//! - **the same output whatever `recurrent_initializer` says**: one time step, from a state of zeros, never meets the
//!   recurrent kernel.
//! - **NaN for ever, in a stream**: one NaN in an input stays in the state until
//!   [`reset`](crate::Stream::reset); [`State::is_finite`](crate::State::is_finite) sees it.
