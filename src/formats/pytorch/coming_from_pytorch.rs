//! Coming from PyTorch: names, gate orders, and what differs.
//!
//! A `state_dict` has names, shapes and numbers; what its modules are, and in which order `forward` calls them, stands
//! in the program alone. So in Rust that program is written once more, and the file fills it:
//!
//! ```python
//! class Tagger(nn.Module):
//!     def __init__(self):
//!         super().__init__()
//!         self.embedding = nn.Embedding(1000, 16)
//!         self.encoder = nn.LSTM(16, 32, num_layers=2, bidirectional=True, batch_first=True)
//!         self.head = nn.Linear(64, 5)
//!
//!     def forward(self, ids):
//!         y, _ = self.encoder(self.embedding(ids))
//!         return self.head(y).softmax(-1)
//!
//! safetensors.torch.save_file(model.state_dict(), "tagger.safetensors")
//! ```
//!
//! ```no_run
//! use recurrent::{Activation, Model, pytorch};
//! let file = pytorch::File::open("tagger.safetensors")?;
//! let mut graph = Model::<f32>::builder("tagger");
//! let ids = graph.input("ids", [None])?;
//! let x = graph.call("embedding", file.embedding("embedding")?, &[ids])?;
//! let y = graph.call("encoder", file.lstm("encoder")?, &x)?; // the outputs, then the states
//! let y = graph.call("head", file.linear("head")?, &y[..1])?;
//! let y = graph.call("softmax", Activation::Softmax, &y)?;
//! let model = graph.build(&y)?;
//! println!("{}", model.predict_one(&ndarray::array![[5, 8, 13]])?);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Modules
//!
//! | PyTorch | here |
//! |---|---|
//! | `nn.RNN(3, 4)`, `nn.RNNCell` | [`rnn`](super::File::rnn), [`rnn_cell`](super::File::rnn_cell): a [`SimpleRnn`](crate::SimpleRnn); `nonlinearity` isn't in the file, so it is said |
//! | `nn.LSTM`, `nn.LSTMCell` | [`lstm`](super::File::lstm), [`lstm_cell`](super::File::lstm_cell): an [`Lstm`](crate::Lstm) |
//! | `nn.GRU`, `nn.GRUCell` | [`gru`](super::File::gru), [`gru_cell`](super::File::gru_cell): a [`Gru`](crate::Gru) with `reset_after` |
//! | `num_layers=2` | a [`Stacked`](crate::Stacked) of two layers, `0/..` and `1/..` |
//! | `bidirectional=True` | a [`Bidirectional`](crate::Bidirectional), `forward/..` and `backward/..`, side by side |
//! | `proj_size=3` | [`projection_units`](crate::builder::Builder::projection_units) |
//! | `nn.Linear(4, 5)` | [`linear`](super::File::linear): a [`Dense`](crate::Dense) |
//! | `nn.Conv1d(3, 8, 5)` | [`conv1d`](super::File::conv1d): a [`Conv1D`](crate::Conv1D) over (batch, timesteps, channels), whose groups, stride, padding and dilation aren't in the file |
//! | `nn.Embedding(10, 3)` | [`embedding`](super::File::embedding): an [`Embedding`](crate::Embedding). `padding_idx` masks nothing, as in PyTorch |
//! | `nn.LayerNorm(4)` | [`layer_norm`](super::File::layer_norm), with `eps` 1e-5 unless [`epsilon`](crate::ops::LayerNormalization::epsilon) says otherwise |
//! | `nn.BatchNorm1d(4)` after `model.eval()` | [`batch_norm`](super::File::batch_norm), over the last axis: PyTorch's is the second one, (batch, features, timesteps). Training here moves its statistics as Keras does: by the biased variance, with PyTorch's default momentum |
//! | `torch.relu`, `nn.Sigmoid()`, .. | an [`Activation`](crate::Activation) |
//! | `dropout=0.2`, `nn.Dropout` | nothing: it acts in training only. (A recurrent module's acts between its layers) |
//!
//! A prefix is what stands before a module's own names: `encoder` for `encoder.weight_ih_l0`, `module.encoder` in a
//! model that `DataParallel` has wrapped, `_orig_mod.encoder` in a compiled one, empty for a module saved alone. All
//! tensors below it must be the module's.
//!
//! # Calls
//!
//! | PyTorch | here |
//! |---|---|
//! | `batch_first=True` | always: (batch, timesteps, features). It isn't in the file, and weights are the same without it |
//! | `y, h_n = gru(x)` | [`forward`](crate::Layer::forward): [`sequence`](crate::Output::sequence) and [`state`](crate::Output::state) |
//! | `h_n[0]` | `output.state()?.get("h")?`; `c_n[0]` is `"c"` |
//! | `h_n[1]` of two layers, of two directions | `"1/h"`, `"backward/h"` |
//! | `h_n` of two layers of two directions | `"0/forward/h"`, `"0/backward/h"`, `"1/forward/h"`, `"1/backward/h"`, in this order |
//! | `gru(x, h_0)` | `let mut state = gru.initial_state(batch); state.set("h", &h_0)?;`, then [`Run::initial_state`](crate::Run::initial_state); of several layers and directions by the names above |
//! | `decoder(x, encoder(y)[1])` | `decoder.run(&x, Run::new().initial_state(memory.state()?))?`: layers of the same sizes share their states |
//! | `pack_padded_sequence(x, lengths, enforce_sorted=False)`, `pad_packed_sequence(.., total_length=x.size(1))` | [`Run::lengths`](crate::Run::lengths), in any order: the same outputs, final states and gradients, zeros at padding |
//! | `y[:, -1]` | the last row of the sequence; of the backward direction that is what it knows after **one** step |
//! | `torch.cat([h_n[-2], h_n[-1]], -1)` | [`last`](crate::Output::last), if no row is padded: each direction after **all** steps. Of padded rows take the state |
//! | `h = cell(x_t, h)` in a loop | a [`Stream`](crate::Stream), or the whole sequence at once |
//!
//! # Weights
//!
//! | PyTorch | here |
//! |---|---|
//! | `weight_ih_l0` (gates units, features) | `kernel` (features, gates units): transposed |
//! | `weight_hh_l0` (gates units, units) | `recurrent_kernel` (units, gates units): transposed |
//! | `weight_hr_l0` (proj_size, units) | `projection_kernel` (units, projection_units): transposed |
//! | `bias_ih_l0`, `bias_hh_l0` | `bias`: of an RNN and an LSTM their sum; of a GRU both, as rows (2, 3 units) |
//! | gates of an LSTM: i, f, g, o | i, f, c, o: the same order |
//! | gates of a GRU: r, z, n | z, r, h |
//! | `weight` of a Linear (out, in), `bias` | `kernel` (in, out): transposed; `bias` |
//! | `weight` of an Embedding | `embeddings` |
//! | `weight`, `bias`, `running_mean`, `running_var` | `gamma`, `beta`, `moving_mean`, `moving_variance` |
//!
//! The n gate of a GRU has its second bias inside of the product with r, so the two can't be added up there.
//! **Training on**: PyTorch's optimizers move both biases of an LSTM by the same gradient, and so their sum twice as
//! far as ours do.
//!
//! # Back
//!
//! [`save`](super::save) writes what `load_state_dict` takes in strict mode, for all that is read:
//!
//! | here | PyTorch |
//! |---|---|
//! | `pytorch::save("m.safetensors", &[("encoder", &encoder), ("head", &head)])?` | `model.load_state_dict(safetensors.torch.load_file("m.safetensors"))` |
//! | `pytorch::save("m.safetensors", &[("cell", &pytorch::OneStep(&lstm))])?` | the same for an `nn.LSTMCell` |
//! | an `Lstm`'s or a `SimpleRnn`'s `bias` | `bias_ih_l0`; `bias_hh_l0` is zeros |
//!
//! # Numbers
//!
//! A layer is of f32 or f64, whatever the file holds: float16 and bfloat16 are widened, exactly; an f32 is exact in
//! f64; an f64 is rounded to f32 once, and one beyond its range is an error. Whole numbers aren't weights (they would
//! be quantized ones, whose scale stands elsewhere), and are refused; [`File::tensor`](super::File::tensor) reads them.
//!
//! # Proof
//!
//! `doc/save_with_examples.py` writes the `state_dict` together with examples: what each module that is known got and
//! gave when the whole was called on data of yours, with the options that a `state_dict` hasn't got. (What an
//! `nn.Conv1d` pads by a number is in the examples' data.) `recurrent::file::verify` (with the feature `file`) builds
//! each of them and says how closely it gives the same here:
//!
//! ```python
//! save_with_examples.torch_module(model, "tagger.safetensors", ids)
//! ```
//!
//! ```text
//! matches PyTorch 2.15.0 to 2.4e-7 on 9 examples
//!   embedding (nn.Embedding): 0.0e0 on 3 examples
//!   encoder (nn.LSTM): 2.4e-7 on 3 examples
//!   head (nn.Linear): 1.1e-7 on 3 examples
//! ```
//!
//! What `forward` does between the modules is the program's, and isn't checked.
//!
//! # What isn't read
//!
//! - `.pt` and `.pth`, which are programs (pickles): the error has the line of Python that makes a safetensors file of
//!   one.
//! - Weights that are computed from others (`weight_norm`, `spectral_norm`, pruning, other parametrizations): the error has
//!   the line of Python that makes plain ones of them.
//! - A tensor that `safetensors.torch.save_model` left out because two modules share it: `save_file` of a dict with
//!   clones, or the other module's name.
//! - A BatchNorm without running statistics, which needs the batch; a LayerNorm over several axes.
