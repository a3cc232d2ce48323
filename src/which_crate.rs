//! Which crate? This one beside others that run recurrent layers.
//!
//! What is said of the others was read in their documentation and sources in November 2026; if it is out of date or unfair,
//! please say so. Times of the versions named here, and where they are from, are in `benches/peers` of the repository: this
//! page names only what decides.
//!
//! | you want | take |
//! |---|---|
//! | a model of Keras, with Keras's numbers, seeds and masks, in Rust | this crate |
//! | an `nn.LSTM` or `nn.GRU` of PyTorch, step by step, without PyTorch | this crate; nexus-inference if it is one small layer and a linear head |
//! | a step every few microseconds (audio, control, markets) that never allocates | this crate; in C++ RTNeural |
//! | thousands of live streams as one batch, each with the bits that it has alone | this crate |
//! | to train a small model on the device | this crate |
//! | to train anything else, or on a GPU | burn, or candle, or Python |
//! | any ONNX model: transformers, images | ONNX Runtime (`ort`), tract or rten |
//! | an ONNX model with recurrent nodes and their options (lengths, peepholes, clips, other activations) | this crate, or ONNX Runtime |
//! | to write an architecture as you would in PyTorch | burn or candle |
//! | no standard library, a microcontroller | not this crate; burn has `no_std` |
//!
//! # One by one
//!
//! **[burn](https://docs.rs/burn)** (0.23 pre-release) is a framework: tensors, autodiff, a training loop, GPU backends,
//! importers for ONNX and PyTorch. It has LSTM, GRU, RNN and both directions. It is the right choice where a recurrent
//! layer is a part of a larger network that is trained in Rust. Each step makes tensors; there are no masks or lengths,
//! and a small step takes a hundred times as long as here.
//!
//! **[candle](https://docs.rs/candle-nn)** (0.11) has PyTorch's feel, GPU support, and large language models as its
//! centre. `LSTM` and `GRU` of one direction, with PyTorch's names of weights; `step` takes and returns tensors. Good for
//! one recurrent layer beside transformers.
//!
//! **[tract](https://docs.rs/tract-onnx)** (0.23) runs ONNX and NNEF on the CPU, in production for voice; it turns whole
//! models into streaming ones ("pulse") where their structure allows. **[rten](https://docs.rs/rten)** (0.27) runs ONNX
//! with few dependencies, and fast products. Both are made for any operator, know recurrent nodes without all their
//! options, and cost microseconds for each call: little for a sequence, much for a step. rten has no RNN node.
//!
//! **[ort](https://docs.rs/ort)** binds ONNX Runtime: every operator, GPUs, a shared library of tens of megabytes, some
//! microseconds for each call. Long sequences and batches of large layers run there nearly as fast as here.
//!
//! **[nexus-inference](https://docs.rs/nexus-inference)** (0.9) is made for the smallest steps: LSTM and GRU of one row
//! with a linear head from a safetensors file, no allocation, hardly any dependency, smaller programs than with this
//! crate. It has one row, no batches, sequences, masks, training or other activations, and is fast only if built for the
//! machine (`target-cpu=native`).
//!
//! **[rust-lstm](https://docs.rs/rust-lstm)** (0.10) is a library to learn and train with, in f64: a trainer, schedules,
//! peepholes, zoneout, examples by task. It reads no other framework's models.
//!
//! **[RTNeural](https://github.com/jatinchowdhury18/RTNeural)** is C++ for audio plugins: Keras's and PyTorch's weights as
//! JSON, Dense, GRU, LSTM, convolutions, sizes fixed at compile time if you like. The nearest to a stream here in speed: of
//! twelve steps on a Zen 5 it took 1.07 to 1.37 of our time at nine, the same at two, and 0.91 to 0.95 at 64 to 128 with
//! fast-math.
//!
//! # What this crate lacks
//!
//! No autodiff and no GPU; no `no_std`; no models of images or language; one process and its threads. Its release build
//! takes a minute of the compiler's time, because each kernel is compiled for several instruction sets, and a program
//! with it is a megabyte larger. It is young: the others have users, years and answers in forums.
