//! Files that you don't trust.
//!
//! A model file is input like any other. Whatever its bytes are, loading it ends with a model or with a
//! [`LoadError`](super::LoadError): without a panic, an abort, endless work or memory beyond what the file's size and
//! the limit of what may be unpacked account for. A damage test in a child process with little memory, and fuzz
//! targets, hold this to account.
//!
//! # What is checked
//!
//! - **Sizes** come first: the file's, the description's, the numbers of objects, tensors, calls and units, and how
//!   deep models nest, by [`Limits`](super::Limits) that you can change. A layer is built only if its weights are in
//!   the file in the shapes that the description says, so that no number in the description can ask for memory by
//!   itself. What a run makes (by RepeatVector, for one) is checked against
//!   [`Limits::elements`](field@super::Limits::elements) before it is made.
//! - **The container**: members are read, never written anywhere; names that occur twice, encrypted members, and
//!   packing other than zip's deflate are refused. Every member's CRC-32 is verified, so a changed `.keras` file is
//!   always seen.
//! - **What is packed**: a member must inflate to exactly the size that the container says, and a chunk to the size
//!   that its dataset says; memory grows as the bytes come out, and never beyond
//!   [`Limits::inflated_bytes`](field@super::Limits::inflated_bytes) for a member, or for all chunks that are read. A
//!   few kilobytes can be packed so that they inflate to a thousand times as much: lower that limit where memory is
//!   small.
//! - **HDF5**: a reader of this crate's own, of the part of the format that Keras and h5py write: tensors in one piece
//!   must lie in the file and be as long as their shape says; of a tensor in chunks, each chunk must be there once.
//!   Links in circles end.
//! - **The graph**: references must lead somewhere, and calls must have an order. Models that call models that call
//!   models are counted as often as they would run.
//! - **Every tensor** belongs to a layer, and every option is known.
//!
//! # What can't be seen
//!
//! An `.h5` file has no checksum, but for chunks that h5py was told to write with one (`fletcher32`). A change in the
//! payload of a tensor gives a model with other weights, which nothing in the file can tell. Where that matters, use
//! `.keras`, or give the digest that you expect, and refuse weights that are NaN or infinite:
//!
//! ```no_run
//! use recurrent::keras::{self, Limits, Options};
//! let options = Options::new()
//!     .sha256("9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08") // what sha256sum prints
//!     .refuse_non_finite(true)
//!     .limits(Limits::new().file_bytes(50 << 20));
//! let model = keras::load_with::<f32>("model.h5", &options)?;
//! # Ok::<(), keras::LoadError>(())
//! ```
//!
//! A checksum isn't a signature either: who can change a `.keras` file can change its CRC-32. And a sound model can
//! still give wrong answers, slowly: the time that a run takes grows with the model and with your input.
//!
//! No code in a file is ever run: Lambda layers and classes of your own are refused by name, unless the program puts a
//! closure of its own in their place ([`Options::layer`](super::Options::layer)), which is the program's code, not the
//! file's.
