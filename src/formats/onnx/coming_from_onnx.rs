//! Coming from ONNX, and going there: what is read and written, gate orders, states, and what differs.
//!
//! An ONNX file holds a graph of operators with its weights. [`load`](super::load) makes a [`Model`](crate::Model) of it,
//! which predicts whole arrays, runs step by step, gives gradients and is saved as any other:
//!
//! ```python
//! torch.onnx.export(model.eval(), (x,), "tagger.onnx", input_names=["x"], output_names=["y"],
//!                   dynamic_axes={"x": {0: "batch", 1: "time"}}, dynamo=False)
//! ```
//!
//! ```no_run
//! use ndarray::prelude::*;
//! use recurrent::onnx;
//! let model = onnx::load::<f32>("tagger.onnx")?;
//! println!("{}", model.predict_one(&Array3::<f32>::ones((2, 20, 8)))?);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Without `dynamic_axes` (or `dynamic_shapes`) the exporter freezes the batch and time at the sizes of the example, and
//! other sizes are refused, here as in ONNX Runtime. PyTorch's newer exporter (`dynamo=True`, its default) writes larger
//! weights to a file of their own, `tagger.onnx.data`: [`File::with_external_data`](super::File::with_external_data) reads
//! such files, when asked; with `external_data=False` there is one file only.
//!
//! # Recurrent nodes
//!
//! RNN, LSTM and GRU from opset 7 on, as ONNX Runtime computes them; by [`File::lstm`](super::File::lstm) and its like
//! also one by one.
//!
//! | ONNX | here |
//! |---|---|
//! | gates of an LSTM: i, o, f, c; of its P: i, o, f | i, f, c, o; `peephole_kernel` i, f, o |
//! | gates of a GRU: z, r, h | the same |
//! | W (directions, gates * units, features), R | `kernel` (features, gates * units), `recurrent_kernel`: the other way round |
//! | B, two biases | their sum; of a GRU with `linear_before_reset` both, as rows of `bias` |
//! | `linear_before_reset = 1` | `reset_after` |
//! | `direction = reverse` | `go_backwards`, with the outputs turned around again |
//! | `direction = bidirectional` | a [`Bidirectional`](crate::Bidirectional) |
//! | `layout` 0 and 1 | the model's arrays have their axes as the file's |
//! | `activations` with their alpha and beta, per direction | an [`Activation`](crate::Activation) each; `HardSigmoid` is [`HardSigmoidWith`](crate::Activation::HardSigmoidWith), `Affine` and `ScaledTanh` have their own |
//! | the third activation of an LSTM | [`output_activation`](crate::builder::Builder::output_activation), if it isn't the second |
//! | `clip` | [`clip`](crate::builder::Builder::clip) of an LSTM; else [`Clipped`](crate::Activation::Clipped) |
//! | `input_forget = 1` | [`input_forget`](crate::builder::Builder::input_forget): f = 1 - i, as in ONNX Runtime |
//! | P | [`peephole`](crate::builder::Builder::peephole) |
//! | `sequence_lens` | a mask. Outputs past a row's end are zero, the reverse direction begins at the row's own last step, and Y_h and Y_c of a row without steps are zero, whatever its initial state is |
//! | `initial_h`, `initial_c` | the initial state, from an input, another node or a constant |
//!
//! # Other operators
//!
//! Those that `torch.onnx.export` makes of linear layers, embeddings, convolutions, pooling and normalization over one
//! axis, activations, reductions, parts of arrays and what puts them together: Abs, Add, And, ArgMax, ArgMin, AveragePool,
//! BatchNormalization, Cast, Ceil, Celu, Clip, Concat, Constant, ConstantOfShape, Conv, Div, Dropout, Elu, Equal, Erf, Exp,
//! Expand, Flatten, Floor, Gather, Gelu, Gemm, GlobalAveragePool, GlobalMaxPool, Greater, GreaterOrEqual, HardSigmoid,
//! HardSwish, Identity, IsInf, IsNaN, LayerNormalization, LeakyRelu, Less, LessOrEqual, Log, LogSoftmax, MatMul, Max,
//! MaxPool, Min, Mish, Mul, Neg, Not, Or, PRelu, Pad, Pow, Range, Reciprocal, ReduceL2, ReduceLogSumExp, ReduceMax,
//! ReduceMean, ReduceMin, ReduceProd, ReduceSum, Relu, Reshape, ReverseSequence (of whole rows), Round, Selu, Shape, Sigmoid, Sign, Size, Slice, Softmax,
//! Softplus, Softsign, Split, Sqrt, Squeeze, Sub, Sum, Swish, Tanh, ThresholdedRelu, Tile, Transpose, Unsqueeze, Where, Xor.
//!
//! **tf2onnx** writes Keras's LSTMs as LSTM nodes, in both directions, and what stands around them by these operators;
//! GRU and SimpleRNN, and an LSTM with another recurrent activation, become a `Loop`, which isn't read: load Keras's own
//! file with the module `keras`.
//!
//! Arithmetic with shapes (Shape, Gather, Concat, Slice, ConstantOfShape, Expand) is done when the file is loaded, with
//! sizes that are known and those that aren't yet. The rows of a batch don't see each other: an operator that works
//! along the axis of the batch is refused, and so is `If`, `Loop`, `Scan`, and every operator, attribute or option that
//! isn't known, by [`Problem::OnnxNode`](super::Problem::OnnxNode), which names node, operator and opset.
//!
//! # Fewer bits
//!
//! What `onnxruntime.quantization` writes is read, too: by `quantize_dynamic`, and by `quantize_static` with
//! `quant_format=QDQ`. Bytes stay bytes: in a model of f32 they are the weights of the layers that
//! [`quantize`](crate::Layer::quantize) makes ([`Precision::Int8`](crate::Precision::Int8), on the page
//! [`fewer_bits`](crate::fewer_bits)); a model of f64 has the floats that they mean.
//!
//! | ONNX | here, in f32 |
//! |---|---|
//! | DynamicQuantizeLSTM (com.microsoft), in all directions, with `sequence_lens`, initial states, `activations` | a quantized LSTM |
//! | LSTM, GRU, RNN with W and R by DequantizeLinear | a quantized LSTM, GRU, SimpleRNN |
//! | DynamicQuantizeLinear, MatMulInteger, Cast, Mul, Add; DynamicQuantizeMatMul, MatMulIntegerToFloat (com.microsoft) | a [`QuantizedDense`](crate::QuantizedDense) |
//! | MatMul, Gemm with a matrix by DequantizeLinear | the same; QuantizeLinear with DequantizeLinear right before and behind it is passed over |
//! | Gather of a table, DequantizeLinear before or behind it | a [`QuantizedEmbedding`](crate::QuantizedEmbedding) |
//! | other pairs of QuantizeLinear and DequantizeLinear | rounded as they say |
//!
//! **What differs.** ONNX Runtime rounds what weights are multiplied with to 8 bits: inputs and states of DynamicQuantizeLSTM
//! and of DynamicQuantizeLinear by one scale and zero point for the whole batch and, of inputs, all of its steps, so that
//! a row's outputs depend on the other rows; those of QuantizeLinear by one that was measured before. Here they have 14 bits
//! and a scale for each row and step: a row is its own, and chunks are the whole. In per cent of the range of the
//! outputs, at most, of the files in `tests/golden/onnx/quantized.json`:
//!
//! | | from the nodes in f64 with nothing rounded but weights | ONNX Runtime from the same | from ONNX Runtime |
//! |---|---|---|---|
//! | dynamic (LSTMs, MatMul), 16 files | 0.02 | 1.1 | 1.1 |
//! | weights alone by DequantizeLinear, 4 files | 0.009 | 0.00002 | 0.009 |
//! | static (MatMul, Gemm, Gather), 8 files | a step of 8 bits where a number lies halfway | 0.6 | 0.8, two such steps |
//!
//! A model of f64 agrees with the nodes in f64, and with ONNX Runtime's static files, to 1e-6 of the range. On processors without VNNI
//! ONNX Runtime's own products of 8-bit weights overflow, by up to 27 % of the range on such a file, unless it was made with
//! `reduce_range=True` or of `QUInt8`.
//!
//! **Other numbers.** Layers keep bytes from -127 to 127, with scales for each column (for each row of a table), or one
//! for all. Of others (-128; unsigned bytes that are more than 127 from their zero point, as `quantize_dynamic` makes of a
//! table; scales along another axis) the layer is one of floats, with the numbers that they mean: nothing is rounded again.
//! `println!("{model}")` shows which layers are quantized.
//!
//! **Refused by name**, as by [`Problem::OnnxNode`](super::Problem::OnnxNode): `clip`, `input_forget` and P of a DynamicQuantizeLSTM
//! whose weights are bytes (load the model that it was made of), quantized convolutions and the QOperator format
//! (ConvInteger, QLinearConv, QLinearMatMul: quantize with `op_types_to_quantize=["LSTM", "MatMul", "Gather"]` and
//! `quant_format=QDQ`), scales of blocks, scales that aren't constants, and a whole number of DynamicQuantizeLinear that goes
//! anywhere but into a product.
//!
//! # States
//!
//! Robots' policies and models of audio have their states as inputs and outputs. A stream takes them over by
//! [`stream_with`](crate::Model::stream_with), or [`stream`](crate::Model::stream) where their names leave no doubt:
//!
//! ```no_run
//! use recurrent::onnx;
//! let policy = onnx::load::<f32>("policy.onnx")?;
//! let mut stream = policy.stream_with(&[("h_in", "h_out"), ("c_in", "c_out")], 1)?;
//! println!("{:?}", stream.step_one(&[0.0; 45])?);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A step gives the bits that the model gives of the same inputs and states.
//!
//! # Writing
//!
//! [`save`](super::save) writes a model, or a layer as a model, for whatever runs ONNX: opset 17, the batch and each size
//! that isn't fixed dynamic (`batch`, `time`; of several inputs `x_time`), weights inside, so less than 2 GiB. ONNX Runtime gives the numbers that the model gives here (but for layers
//! in fewer bits, below); how far both are apart, file by file, is in `tests/golden/onnx/written.json`.
//!
//! ```
//! use recurrent::{Activation, Dense, Gru, Sequential, onnx};
//! let model = Sequential::<f32>::builder("policy")
//!     .layer(Gru::new(5, 16))
//!     .layer(Dense::builder(16, 2).activation(Activation::Tanh).build()?)
//!     .build()?;
//! let bytes = onnx::to_bytes(&model)?; // or onnx::save("policy.onnx", &model)?
//! # assert!(bytes.len() > 1000);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | here | in ONNX |
//! |---|---|
//! | `SimpleRnn`, `Lstm`, `Gru`, peepholes, `input_forget`, `clip`, `reset_after` | RNN, LSTM, GRU with these attributes; a state that is given as `initial_h`, `initial_c`, states that are returned as Y_h, Y_c |
//! | `Bidirectional` | one node of both directions, if both have the same units and options but for activations; else two |
//! | `Stacked`, `StackedCells` | a node for each layer or cell |
//! | an activation of a recurrent layer | its name in ONNX with alpha and beta; `linear` is `Affine`; others than those of ONNX's recurrent nodes are refused |
//! | a mask | `sequence_lens`: see below |
//! | a model within a model | its calls |
//! | Dense, Embedding, convolutions, pooling, normalization, activations, merging layers, arithmetic, reductions, parts and shapes of arrays | MatMul and Add, Gather, Conv, MaxPool, AveragePool, LayerNormalization, and so on |
//! | dropout | nothing: what is written is inference |
//! | layers in `Int8`: Lstm, Gru, SimpleRnn, Dense, Embedding | the same nodes of floats, with bytes and a DequantizeLinear for W, R, kernel, table |
//! | layers in `Int8Fast` | an LSTM as DynamicQuantizeLSTM (com.microsoft), Dense as DynamicQuantizeLinear, MatMulInteger, Cast, Mul; the others as in `Int8` |
//!
//! **Masks.** ONNX's recurrent nodes know how many steps a row has, and put out zeros behind them. Masks hide any steps,
//! and a masked step repeats the output before it, or is zero (`zero_output_for_mask`). So the live steps of each row are
//! moved to its front, the node is told how many there are, and its outputs are moved back to where the steps were (TopK,
//! CumSum, GatherElements): whatever is masked when the file runs, the numbers are those of this crate. Where a mask is
//! made of lengths, as in a model that came with `sequence_lens`, these are handed on, and nothing is moved but repeated
//! outputs.
//!
//! **States.** ONNX keeps nothing from call to call. A model whose states are inputs and outputs, by an initial state and
//! `return_state`, is written with them; a `stateful` layer is refused. Names are different in ONNX: an output that has an
//! input's name, or another output's, gets a number behind it.
//!
//! **f64.** A model of f64 is written as it is. ONNX Runtime's CPU kernels of RNN, LSTM, GRU, Conv and Erf (an exact `gelu`)
//! are of f32 alone, and it says so; attributes (alpha, beta, `clip`, epsilon) have f32 everywhere.
//!
//! **Fewer bits.** `Int8` rounds inputs and states to 14 bits, which no operator does: there the nodes are of floats, with the weights
//! that the bytes mean. `Int8Fast` rounds them to 8 bits, in ONNX Runtime by one scale for the whole batch, here by one for each
//! row and step. So outputs aren't the same. Of the files in `written.json` (34 of each) they are apart by 1.1e-4 (`int8_`) and by
//! 8.1e-3 (`int8_fast_`) at most; and of `Int8` by 2.3e-3 where there is a Dense, because ONNX Runtime makes a MatMulNBits of it, which
//! rounds its inputs to 8 bits unless `session.qdq_matmulnbits_accuracy_level` is 1. Bytes that are multiplied by bytes are written
//! unsigned: products of signed ones overflow on processors without VNNI. What is read again is `Int8`.
//!
//! **What isn't written** is an error that names layer and option ([`SaveError`](super::SaveError)): other cells (IndRNN,
//! MGU, LayerNormLSTM, those of a program's own), a projection, quantized layers of bfloat16, of Keras's and of windows, attention, ConvLSTM, Discretization,
//! IntegerLookup, CategoryEncoding, SpectralNormalization, layers that merge what is masked, `sparsemax`, `floor_divide` of
//! whole numbers. [`file::save`](crate::file::save) writes those that are built in. This crate reads back what it
//! writes, as far as its reader goes: not the operators that move masked steps, windows over rows and columns, Einsum, Tile.
