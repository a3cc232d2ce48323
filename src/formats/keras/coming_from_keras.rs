//! Coming from Keras: models.
//!
//! | Keras | here |
//! |---|---|
//! | `model = keras.models.load_model("m.keras")` | `let model = keras::load::<f32>("m.keras")?;` |
//! | `model.summary()` | `println!("{model}");` |
//! | `y = model.predict(x)` | `let y = model.predict_one(&x)?;` |
//! | `a, b = model.predict([x, ids])` | `let outputs = model.predict(&[(&x).into(), (&ids).into()])?;` |
//! | `model.predict({"ids": ids, "x": x})` | `let outputs = model.predict_named(&[("ids", (&ids).into()), ("x", (&x).into())])?;`, and [`Model::output_names`](crate::Model::output_names) |
//! | `model.get_layer("lstm").get_weights()` | `model.layer("lstm")?.weights()` |
//! | `model.get_weights()`, `model.set_weights(..)` | by path: [`Model::weights`](crate::Model::weights), [`Model::set_weights`](crate::Model::set_weights)`(&[("encoder/lstm/kernel", kernel.view())])?` |
//! | `with tf.GradientTape() as tape: y = model(x, training=False)` | `let y = model.record(&[(&x).into()], &mut tape)?;` with a [`Tape`](crate::training::Tape) |
//! | `tape.gradient(loss, model.trainable_variables)` | [`Model::backward`](crate::Model::backward)`(&mut tape, &[&d_y], &mut gradients)?`, then `gradients.get("lstm/kernel")?`, `gradients.input(0)?` |
//! | `optimizer.apply(..)` | `optimizer.step(&mut model, gradients.weights())?` with [`Adam`](crate::training::Adam) or another of Keras's [optimizers](crate::training) |
//! | `model.compile(..)`, `model.fit(..)` | [`Fit`](crate::training::Fit)`::new(loss, optimizer).run(&mut model, &x, &y)?` |
//! | `model.get_layer("lstm").trainable = False` | [`Model::set_trainable`](crate::Model::set_trainable)`("lstm", false)?` |
//! | `keras.models.model_from_json(text)`, then `load_weights("w.weights.h5")` | [`File::open_parts`](super::File::open_parts)`("model.json", "w.weights.h5", &options)?.model()?` |
//! | a `keras.Model` of a class of your own | [`File::tensors`](super::File::tensors), [`File::weights_below`](super::File::weights_below)`("encoder", &mut lstm)?`, [`File::tensor`](super::File::tensor) |
//! | `model.get_layer("text_vectorization").get_vocabulary()` | [`keras::vocabulary`](super::vocabulary)`("m.keras", "text_vectorization")?` |
//! | `model.load_weights("w.weights.h5")` | [`keras::load_weights`](super::load_weights)`("w.weights.h5", &mut stack)?` |
//! | `model.save("m.keras")`, `model.save_weights("m.weights.h5")` | [`keras::save`](super::save)`("m.keras", &model)?`, [`keras::save_weights`](super::save_weights)`("m.weights.h5", &model)?` |
//! | a `stateful=True` model, `model.predict(x1)`, `model.predict(x2)` | `let mut state = model.initial_state(batch);`, then [`Model::predict_stateful`](crate::Model::predict_stateful)`(&mut state, ..)` twice |
//! | `layer.reset_states()` | [`ModelState::reset`](crate::model::ModelState::reset) |
//! | a stateful copy of the model with one time step, and its weights copied over | [`Model::stream`](crate::Model::stream), or [`Model::into_layer`](crate::Model::into_layer) and a [`Stream`](crate::Stream) |
//!
//! # What is read
//!
//! (Class by class: [`what_is_read`](super::what_is_read).)
//!
//! `.keras` files of Keras 3 and of Keras 2.12 to 2.16, also unzipped (not with vocabularies of
//! their own), or zipped again by other programs; whole-model
//! `.h5` files of Keras 3 and Keras 2 (`model.save("m.h5")`); `.weights.h5` files; any of them written again by h5py,
//! with chunks, gzip, LZF, shuffle and checksums, in its newest format (but for datasets that can grow without limit
//! there), with other types of numbers, which are cast as Keras casts them. Datasets of which a part was never written
//! are refused. Sequential and functional models, with several inputs and outputs, shared layers, initial states and
//! models within models, made of:
//!
//! - InputLayer, Masking, Embedding;
//! - SimpleRNN, LSTM, GRU, RNN of cells, StackedRNNCells, Bidirectional, TimeDistributed (of any layer or model here);
//! - Dense, Activation, ReLU, LeakyReLU, ELU, PReLU, Softmax, all activations by name, and layers as activations;
//! - Flatten, Reshape, Permute, RepeatVector; Concatenate, Add, Subtract, Multiply, Average, Maximum, Minimum;
//! - Conv1D (of groups, too), DepthwiseConv1D, SeparableConv1D; MaxPooling1D, AveragePooling1D, GlobalMaxPooling1D,
//!   GlobalAveragePooling1D; ZeroPadding1D, Cropping1D, UpSampling1D; with the channels last or first;
//! - Conv2D, Conv3D (of groups, too), DepthwiseConv2D, SeparableConv2D; of 2D and 3D the same pooling, ZeroPadding,
//!   Cropping, UpSampling (nearest); with the channels last or first, in TimeDistributed, too;
//! - LayerNormalization, RMSNormalization (of the last axes), BatchNormalization, GroupNormalization,
//!   SpectralNormalization;
//! - ConvLSTM1D, ConvLSTM2D, ConvLSTM3D, with masks of steps and of places, initial states, the channels last or first (not
//!   stateful: it can have its states as inputs and outputs);
//! - EinsumDense;
//! - Dropout, SpatialDropout, GaussianDropout, GaussianNoise, AlphaDropout: nothing in inference, Keras's noise in
//!   training; Identity; ActivityRegularization;
//! - Attention, AdditiveAttention (masks, named or attached, causal, with scores), Dot;
//! - MultiHeadAttention, GroupQueryAttention along time (masks of query, value and key, of pairs of steps, causal, sliding
//!   windows, gates, with scores); MultiHeadAttention takes the masks of what it reads away for later layers, as in Keras;
//! - Rescaling, Normalization (its mean and variance given or adapted), UnitNormalization;
//! - Discretization, IntegerLookup, CategoryEncoding of Keras 3 (whole numbers in, categories, flags, counts or weighed
//!   counts out; several places for what isn't known by `floormod` alone); behind TextVectorization and StringLookup a model
//!   can begin ([`Options::start_behind`](super::Options::start_behind));
//! - whatever code of the program's own takes the place of;
//! - the operations of Keras 3 between layers, `h[:, -1] * 2 + x`, with constants and numpy's broadcasting:
//!   - of each element: Negative, Absolute, Square, Sign, Sqrt, Rsqrt, Reciprocal, Exp, Log, Log1p, Expm1, Floor, Ceil,
//!     Round, Clip, Tanh, Sigmoid, Relu and other activations, Softmax, LogSoftmax, LogicalNot, Isnan, Isinf, Isfinite;
//!   - of two: Add, Subtract, Multiply, Divide, TrueDivide, DivideNoNan, FloorDivide, Mod, Power, Maximum, Minimum,
//!     Equal, NotEqual, Greater, GreaterEqual, Less, LessEqual, LogicalAnd, LogicalOr, LogicalXor, Where;
//!   - along axes: Sum, Mean, Average, Max, Min, Amax, Amin, Prod, Var, Std, Logsumexp, Norm, Any, All, Argmax, Argmin,
//!     CountNonzero, Normalize, Matmul, Dot, Einsum of two arrays;
//!   - that move elements: GetItem, Reshape, Transpose, Swapaxes, Moveaxis, Squeeze, ExpandDims, Concatenate, Stack,
//!     Split, Unstack, Flip, Tile, Repeat, Pad by a constant, Roll, Take of fixed places, BroadcastTo;
//!   - of types: Cast, OneHot, ZerosLike, OnesLike, ConvertToTensor, Copy;
//! - the same of Keras 2, by the functions of TensorFlow that `TFOpLambda` and `SlicingOpLambda` name: `tf.math`,
//!   `tf.nn`, `tf.concat`, `tf.matmul`, ..
//!
//! Anything else is an error that names the layer, and shows the line of code that would take its place; its recurrent
//! layers can still be taken out one by one with [`File::layer`](super::File::layer). Each option of a layer is honoured or refused by its name. Optimizers, losses
//! and metrics are left in the file.
//!
//! # What a file can't say: Lambda, layers and cells of one's own
//!
//! Their Python code isn't run. Code of the program's own takes their place, by the layer's name: see
//! [`Options`](super::Options#what-a-file-cant-say).
//!
//! | Keras | here |
//! |---|---|
//! | `Lambda(lambda x: x[:, -1], name="last")` | `.layer("last", \|x\| Ok(x.index_axis(Axis(1), x.len_of(Axis(1)) - 1).to_owned()))` |
//! | `Lambda(lambda t: t[0] * t[1], name="gate")([a, b])` | `.custom_layer("gate", CustomLayer::new(\|inputs\| Ok(&inputs[0] * &inputs[1])))` |
//! | `Lambda(.., mask=lambda x, mask: mask)`, `supports_masking = True` | [`CustomLayer::keeps_mask`](crate::ops::CustomLayer::keeps_mask) |
//! | a function or a `call` with an argument `mask` | [`CustomLayer::with_masks`](crate::ops::CustomLayer::with_masks)`(\|inputs, masks\| ..)` |
//! | `class Scale(Layer)` with weights and `get_config` | `.layer_from("Scale", \|config, tensors\| { let scale = tensors.get("vars/0")?; .. })` |
//! | `RNN(MyCell(8))` | `.cell("MyCell", \|config, tensors\| ..)`, which returns a [`Cell`](crate::Cell) |
//!
//! - **Masks.** A `Lambda` without a `mask` drops the mask that comes to it, as in Keras. What a class of one's own does
//!   about masks is in its code alone, and in no file: here the mask goes on, unless
//!   [`drops_mask`](crate::ops::CustomLayer::drops_mask) says otherwise. (In Keras 3 a class that doesn't set
//!   `supports_masking` drops it.)
//! - **Training** goes through such a layer if it has a second closure, its
//!   [`backward`](crate::ops::CustomLayer::backward); its own tensors stay as they are. A cell of one's own trains by its
//!   `step_backward`, weights and all.
//! - **Step by step** it runs if it is declared [`per_step`](crate::ops::CustomLayer::per_step) or
//!   [`of_last_step`](crate::ops::CustomLayer::of_last_step); such a step allocates what the closure allocates.
//! - **Back to Keras** the file's own entry is written again, its options and its tensors as they were. (Of Keras 2's files
//!   not, and not with a cell whose weights have changed.) No file of our own can hold code: it is refused by name.
//!
//! # Training
//!
//! Every layer that is read has its backward pass, and so has every graph of them: shared layers, initial states from
//! other layers, models within. Names of weights are paths: the layer's name in the model, then the weight's in the
//! layer, `encoder/lstm/kernel`, `bidirectional/forward/kernel`. In training ([`Fit`](crate::training::Fit),
//! [`Model::record_training`](crate::Model::record_training)) Dropout and its kin, the `dropout` of recurrent
//! layers, of ConvLSTM and of attention, BatchNormalization and SpectralNormalization do what they do in Keras's `fit`;
//! [`Model::record`](crate::Model::record) runs the model as in inference. What would train in another way is refused by
//! name: inside a TimeDistributed, SpectralNormalization and the dropout of a recurrent layer; a SpectralNormalization that
//! is called more than once. A layer that the file says isn't trainable has no gradients, as in Keras, but what lies
//! before it has. Regularizers and constraints of the file have no effect by themselves: they are kept for whoever writes
//! the model again, and [`weight_rules`](super::weight_rules) gives them to a training run here. The file's
//! optimizer isn't read.
//!
//! A chain of layers without Dropout and BatchNormalization can also be trained as a [`Layer`](crate::Layer): see
//! [`Model::into_layer`](crate::Model::into_layer).
//!
//! # Back to Keras
//!
//! [`keras::save`](super::save) writes a model or a layer that was read, built or trained here, and
//! `keras.models.load_model` takes it: see [writing](super#writing). Regularizers, constraints, initializers, names and
//! types of what is inside come out as the file had them, though nothing here reads them, so that training goes on in
//! Keras as it was meant to; rates, seeds and momentum, too. A model isn't compiled there: compile it. Models of Keras 2 come
//! out as Keras 3's, if Keras 3 can say them: its `hard_sigmoid` is another function, `ThresholdedReLU` is gone, and
//! where masks come to layers that do other things with them (merging layers, Softmax, TimeDistributed, initial states)
//! the model is refused by name; [`file::save`](crate::file::save) keeps it as it is. A slash in the name of a layer,
//! which Keras 3 doesn't take, becomes an underscore.
//!
//! Operations between layers come out as Keras 3's, constants and all. What TensorFlow alone has (`squared_difference`,
//! a `one_hot` of other numbers, a `matmul` of transposed matrices) becomes several of them, one after another, and a
//! `Sequential` of this crate with operations among its layers a functional model. Vectors shorter than 10^-6 are made
//! of length one by another rule in Keras 3's `UnitNormalization` and `Dot` than in Keras 2's, which become these.
//!
//! # Types
//!
//! A model computes in the type that it is loaded with. One of float64 must be loaded as `f64`; one of float32 may be
//! (its numbers are then more precise than Keras's). Mixed policies, float16 and bfloat16 are refused, unless
//! [`Options::half_as_f32`](super::Options::half_as_f32) asks for them in f32. Of quantized layers those of `quantize("int8")` are read, with
//! f32 around them, and compute what Keras computes: see [`fewer_bits`](crate::fewer_bits#what-keras-quantized). Adapters
//! (`enable_lora`) are part of the kernel in a `.keras` file, and are read as such; a legacy `.h5` file with them is
//! refused.
//!
//! # Masks
//!
//! They travel as in Keras (on TensorFlow): with the tensors, through layers that support them, combined by merging
//! layers, lost in Flatten, Reshape, Permute and RepeatVector, in convolutions and in pooling (GlobalAveragePooling1D
//! reads it). A layer inside TimeDistributed reads the mask of its
//! step; the mask that it makes goes on in Keras 2 and is dropped in Keras 3. A layer that is called with an initial
//! state ignores its input's mask in Keras 3 and applies it in Keras 2, and so it does here, by the version that wrote
//! the file. With `unroll`, `go_backwards` and `zero_output_for_mask` together Keras puts the zeros where the mask says
//! so the wrong way around, and so does a layer from such a file.
//!
//! # Keras 2
//!
//! A file says which version wrote it, and its words mean what that version meant: `hard_sigmoid` is 0.2x + 0.5; the
//! weights of `CuDNNLSTM` and `CuDNNGRU` are turned into those of an LSTM and a GRU; a GRU of the first versions, which
//! don't know `reset_after`, resets before; functions of `tf.nn` that were given as activations are known by the names
//! under which they are saved; `time_major=True` is refused. So are a SavedModel, TensorFlow Lite and files of Keras 1.
//!
//! # Proof
//!
//! A file of Keras says nothing of what the model gives, and damage to the numbers of an `.h5` file shows nowhere.
//! `doc/save_with_examples.py` writes examples computed by Keras from data of yours: into a safetensors file with the
//! configuration and the tensors, which [`load`](super::load) reads as it does a `.keras` file, or into a file beside the
//! one that Keras wrote. `recurrent::file::verify` (with the feature `file`) says `matches Keras 3.15.1 to 3.0e-7 on 4
//! examples`, or names the first layer that differs.
//!
//! ```python
//! save_with_examples.keras_model(model, "model.safetensors", x)  # all in one file
//! save_with_examples.beside(model, "model.h5", x)  # model.h5.examples.safetensors
//! ```
//!
//! # The examples of keras.io
//!
//! Those that have a recurrent layer, with random weights; a test compares them with Keras. `timeseries_traffic_forecasting`
//! is missing: it is made of layers of its own.
//!
//! | example | runs | step by step | trains |
//! |---|---|---|---|
//! | `nlp/bidirectional_lstm_imdb` | yes | no | yes |
//! | `nlp/addition_rnn` | yes | behind its encoder | yes |
//! | `nlp/lstm_seq2seq` | yes | behind its encoder | yes |
//! | `nlp/active_learning_review_classification` | yes | no | yes |
//! | `generative/lstm_character_level_text_generation` | yes | yes | yes |
//! | `timeseries/timeseries_weather_forecasting` | yes | yes | yes |
//! | `vision/video_classification` | yes | yes | yes |
//! | `vision/captcha_ocr` | yes | no | yes |
//! | `vision/handwriting_recognition` | yes | no | yes |
//! | `vision/conv_lstm` | yes | no | yes |
//! | `audio/ctc_asr` | yes | no | yes |
//!
//! # Step by step
//!
//! A model that was trained on whole sequences streams: each recurrent layer goes on from its state (the pictures of a
//! ConvLSTM2D, too), a convolution or a pooling from the last steps that its window looks back at, a global pooling from
//! what it has seen, and the last of the steps gives what the whole run gives. What can't stream is named: a backward
//! direction, a layer that works along the time axis (Flatten, a Softmax or a mean over time, attention), a layer whose
//! initial state comes from the graph. For a decoder with
//! states as inputs and outputs, [`Model::predict`](crate::Model::predict) on one step at a time is the loop that
//! Keras's guide shows.
//!
//! | layer | in a stream |
//! |---|---|
//! | Conv1D, DepthwiseConv1D, SeparableConv1D, `padding="causal"` | yes, with strides and dilation |
//! | the same, `padding="valid"` | yes: the first output comes when the window is full |
//! | MaxPooling1D, AveragePooling1D, `padding="valid"` | yes, whatever its size and strides |
//! | any of these, `padding="same"` | no: it sees later steps. Train with another padding |
//! | ZeroPadding1D before the sequence, followed by a window that reaches back over the zeros | yes |
//! | Cropping1D of the first steps | yes |
//! | either at the end | no |
//! | UpSampling1D | yes: a step gives several outputs; not behind strides, whose steps would come late |
//! | several that meet again | if their steps come together: a window of k steps, and a Cropping1D of k - 1 |
//! | GlobalMaxPooling1D, GlobalAveragePooling1D, `h[:, -1]`, a last LSTM | yes: at each step what the run up to there gives |
//! | behind any of them: recurrent layers, Dense, normalization, activations, .. | yes |
//!
//! With strides, or a window without padding, not every step gives an output: [`push`](crate::model::ModelStream::push)
//! returns an `Option`, [`process`](crate::model::ModelStream::process) takes a block and says how many outputs it wrote:
//! more than the steps that it took, where an UpSampling1D makes several of one. `push` refuses such a model by name. Where in its strides a stream stands is part of its state.
//!
//! ```no_run
//! use recurrent::keras;
//! let model = keras::load::<f32>("cnn_lstm.keras")?; // Conv1D, MaxPooling1D, LSTM, Dense
//! let mut stream = model.stream(1)?;
//! for sample in [[0.5_f32; 8]; 100] {
//!     if let Some(output) = stream.push_one(&sample)? {
//!         println!("{output:?}");
//!     }
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Operations between layers stream where they look at one step alone; `h[:, -1]` is at each step the newest one.
//!
//! # The summary
//!
//! It is what Keras prints into 80 columns for a model that isn't compiled; an optimizer's parameters aren't counted.
