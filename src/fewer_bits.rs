//! Weights in fewer bits: a quarter or half of the memory, and of the bytes that a step reads.
//!
//! A step of a larger layer takes as long as its weights take to be read. [`Layer::quantize`](crate::Layer::quantize)
//! makes a layer that has fewer bytes to read, and [`Layer::compare`](crate::Layer::compare) says what that costs on
//! your own data:
//!
//! ```
//! use ndarray::prelude::*;
//! use recurrent::{Gru, Layer, Precision, Stream};
//!
//! let gru = Gru::<f32>::builder(64, 128).return_sequences(true).build()?;
//! let small = gru.quantize(Precision::Int8)?;                           // a layer like any other
//! let x = Array3::ones((4, 50, 64));                                    // your data
//! println!("{}", gru.compare(&small, &x)?);                             // errors by steps, in % of the range
//! std::fs::write(std::env::temp_dir().join("errors.svg"), gru.compare(&small, &x)?.svg())?; // a picture of them
//!
//! let mut stream = Stream::new(&small, 1)?;
//! let h = stream.step_one(&[0.5; 64])?;
//! assert_eq!(h.len(), 128);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Three forms
//!
//! | [`Precision`](crate::Precision) | weights | multiplied with | memory | for |
//! |---|---|---|---|---|
//! | `Int8` | 8 bits, a scale for each output column | x and h in 14 bits, a scale for each row and step | 27 % | larger layers |
//! | `Int8Fast` | the same | x and h in 8 bits | 27 % | batches, and layers that stay in the nearest cache, on processors with AVX-512 VNNI |
//! | `Bf16` | bfloat16: an f32 without its lower half | f32 | 50 % | the smallest error |
//!
//! Sums of gates, their activations and the states are f32 in all of them; the bias stays f32, too. The input's and the
//! recurrent kernel have scales of their own. There is no f32 copy of a quantized layer's weights: `weight("kernel")` is
//! an error, and [`dequantized`](crate::Parameters::dequantized)`("kernel")` tells what the numbers mean.
//!
//! SimpleRNN, LSTM, GRU in both forms (with any activations) and Dense have these forms, and what is made of them:
//! [`Stacked`](crate::Stacked), [`Bidirectional`](crate::Bidirectional), [`TimeDistributed`](crate::TimeDistributed).
//! What hasn't is refused by name: f64, LSTMs with options that Keras doesn't have, other cells.
//! [`Embedding::quantize`](crate::Embedding::quantize) keeps a scale for each row of the table, and
//! [`Conv1D::quantize`](crate::Conv1D::quantize) one for each filter; what a window reads is a row.
//! [`Model::quantize`](crate::Model::quantize) does it to all of these layers of a model, and leaves the others (other
//! convolutions among them) as they are.
//!
//! # What Keras quantized
//!
//! `model.quantize("int8")` of Keras puts Dense, EinsumDense and Embedding into bytes, and leaves recurrent layers and all
//! others as they are. `keras::load` reads such files (`.keras` and `.h5`), and the layers compute
//! what they compute there: a row of inputs becomes bytes, `round(x * 127 / (largest + 1e-7))`, ties to even; whole sums are
//! divided by the row's scale and the column's; an Embedding divides its bytes by the row's. Products are Keras's bit for
//! bit, on all machines; but where a number that is rounded to a byte lies halfway between two, a layer before that differs
//! in its last digit may decide which, in Keras as here. Their form is [`Precision::Int8Keras`](crate::Precision): nothing
//! is quantized to it here. They stream, are saved by `file` and written back by `keras::save`, bytes and scales as they
//! came, and can't be trained. Files of other modes (`int4`, `float8`, `gptq`, `awq`) and quantizers are refused by name.
//!
//! Inside a `TimeDistributed` Keras 3.15 leaves the scales out: the bytes are numbers there, and outputs are hundreds of
//! times too large. So it is here, since it is what the model computes; a Dense needs no TimeDistributed. It is written back
//! as the layer of floats that it is.
//!
//! # What ONNX Runtime quantized
//!
//! `onnx::load` reads what `onnxruntime.quantization` writes, with the file's bytes, as `Int8`: inputs and states get 14 bits and a
//! scale for each row, where ONNX Runtime has 8 bits and one for the batch. What is read, and how far both are apart, is
//! on the page `onnx::coming_from_onnx`.
//!
//! # Shipping a model
//!
//! Quantize what was trained, compare on data of yours, save, and load where it runs: the file holds the bytes and
//! scales (or the 16-bit floats), not an f32 copy, and what is loaded gives the same bits.
//!
//! ```
//! # #[cfg(feature = "file")] {
//! use ndarray::prelude::*;
//! use recurrent::{Conv1D, Dense, Gru, Model, Padding, Precision, Sequential, file};
//!
//! let model = Sequential::<f32>::builder("detector")                    // or keras::load, onnx::load, file::load
//!     .layer(Conv1D::builder(16, 64, 5).padding(Padding::Causal).build()?)
//!     .layer(Gru::builder(64, 96).return_sequences(true).build()?)
//!     .layer(Dense::new(96, 4))
//!     .build()?;
//! let small = model.quantize(Precision::Int8)?;
//! let x = Array3::<f32>::ones((4, 50, 16));                             // your data
//! let difference = &model.compare(&small, &[(&x).into()])?[0];
//! assert!(difference.largest() < 0.05, "{difference}");
//! let bytes = file::to_bytes(&small)?;                                  // or file::save("detector.safetensors", &small)?
//! assert!(bytes.len() * 3 < file::to_bytes(&model)?.len());
//!
//! let loaded: Model<f32> = file::from_bytes(&bytes)?;                   // or file::load
//! let mut stream = loaded.stream(1)?;
//! assert_eq!(stream.step_one(&[0.5; 16])?.len(), 4);
//! # }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! `onnx::save` writes recurrent layers, Dense and Embedding in 8 bits; how, is on the page `onnx::coming_from_onnx`. Convolutions
//! and `Bf16` aren't written as ONNX, and none of these as Keras's files: write the model that was quantized. In a file of
//! ours a matrix is a tensor
//! of `int8` in Keras's shape (-127 to 127) beside a `float32` one of its scales, `kernel` and `kernel_scale`, or it is
//! one of `bfloat16`; a bias is `float32`. Readers from before there were such files refuse them by their version.
//!
//! # The error
//!
//! Of models that were trained with Keras, on new data; the largest and the mean error in per cent of the range of the
//! outputs, computed with the arithmetic of these layers:
//!
//! | | LSTM of 64 units, texts of three classes: probabilities (classes that changed, of 2000) | GRU of 32, an audio effect | two LSTMs of 100, a forecast |
//! |---|---|---|---|
//! | `Bf16` | 0.65 / 0.020 (1) | 0.11 / 0.027 | 0.07 / 0.015 |
//! | `Int8` | 1.73 / 0.071 (3) | 0.20 / 0.052 | 0.19 / 0.046 |
//! | `Int8Fast` | 2.80 / 0.119 (2) | 0.72 / 0.103 | 0.60 / 0.094 |
//!
//! No task became worse at what it does. Errors don't grow with time, unless a model is fed with its own outputs
//! ([`Comparison::generated`](crate::Comparison::generated) measures that). Random weights hide the worst of it: **measure
//! with trained weights**, by `compare`.
//!
//! # When not to
//!
//! - **Inputs that aren't normalised.** If one feature is a hundred times larger than the others, and its weights a
//!   hundred times smaller, the others set the scale of each column, and `Int8` keeps 1 or 2 of its 127 parts: ten times
//!   the error. So does an offset that the bias makes up for. Normalise, or take `Bf16`.
//! - **Layers of 32 units and less**: they gain memory, not time. `cargo bench --bench quantized` measures steps and
//!   batches on your machine, against f32 in the same run.
//! - **To train**: a quantized layer refuses a run that records.
//!
//! # Promises
//!
//! - **The same bits** within a form, whatever the batch, chunks, threads and instruction set. Products and sums of
//!   `Int8` and `Int8Fast` are whole numbers, and all else is rounded operation by operation: machines without fused
//!   multiply-add give the same bits, too. `Bf16` gives the bits of the f32 layer that has the rounded weights, so the
//!   same on all machines with fused multiply-add.
//! - **Any number.** A row's scale follows the largest of its numbers, so states and inputs beyond 1 (relu, an initial
//!   state) lose nothing; by the same rule one huge number makes all others of its row small. Rows of numbers below
//!   2^-100 count as zeros. With an infinity or a NaN in it a row is multiplied in f32 with the weights that the bytes
//!   mean, so that NaN and infinity come out where they would there (an infinity times a weight that became zero is
//!   NaN). Rows of more than 2048 numbers are summed in blocks.
//! - **Nothing is silent**: weights that aren't finite can't be quantized.
