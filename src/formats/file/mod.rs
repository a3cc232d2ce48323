//! Files of our own: whatever can be made here is saved, and loaded again with the same bits.
//!
//! ```
//! use ndarray::prelude::*;
//! use recurrent::{Layer, Lstm, file};
//! # let folder = std::env::temp_dir().join(format!("recurrent-doc-file-{}", std::process::id()));
//! # std::fs::create_dir_all(&folder)?;
//! # let path = folder.join("lstm.safetensors");
//! let lstm = Lstm::<f32>::builder(3, 4).return_sequences(true).build()?;
//! file::save(&path, &lstm)?;
//! let again: Lstm<f32> = file::load(&path)?;
//! let x = Array3::ones((2, 5, 3));
//! assert_eq!(again.forward(&x)?, lstm.forward(&x)?); // the same bits
//! # std::fs::remove_dir_all(&folder)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What can be saved is [`Saved`]: every layer and wrapper, boxed layers, embeddings, whole models, all of these in
//! [fewer bits](crate::fewer_bits), states, and what training remembers. What is the user's own (a cell, an activation, an initializer) is refused by name.
//!
//! A file is in the format [safetensors](https://github.com/huggingface/safetensors), which other programs read:
//!
//! - its tensors are named as [`Parameters::weights`](crate::Parameters::weights) names them, and are float32 or float64
//!   as they were, bit for bit. Of a weight in fewer bits it is int8 with its scales beside it (`kernel`,
//!   `kernel_scale`), or bfloat16;
//! - its metadata are `format` (`recurrent`), `version` (of the format: 2 with weights in fewer bits, else 1), `crate` (the version that wrote it), `kind`
//!   (`layer`, `model`, ..), `element` (`float32`) and `config`: the options as JSON, in the words of Keras's
//!   `get_config` where Keras has them, the initializers with their seeds among them.
//!
//! A file may hold examples: inputs with the outputs that another program computed for them. [`verify`] says how closely
//! they are met here, or names the first layer that differs. `doc/save_with_examples.py` writes such files in Python, of a
//! model of Keras or a module of PyTorch.
//!
//! A file is written whole or not at all: to another one beside it, which takes its place once all of it is on the disk.
//!
//! Nothing in a file is trusted: sizes are compared with the tensors before memory is taken ([`Limits`]), each byte must
//! belong to a tensor, each tensor to a weight, each option must be known. A file of a newer version of the format is
//! refused.

mod checkpoint;
mod container;
mod examples;
mod json;
mod saved;
mod sort;

use std::path::Path;

pub use self::examples::{Example, Examples, Verification, VerifiedPart, verify, verify_with};
pub use self::saved::Saved;
pub use super::{Difference, Limits, LoadError, Problem, SaveError};

#[doc(hidden)]
pub use crate::graph::classes::class_names;

use super::disk::{self, Opened};
use super::error::Found;
use super::safetensors::Safetensors;
use crate::float::Float;

/// Saves it to a file, whole or not at all.
///
/// # Errors
/// [`SaveError`]: what the operating system says, or the name of something of the user's own. An old file is as it was.
pub fn save<S: Saved>(path: impl AsRef<Path>, thing: &S) -> Result<(), SaveError> {
    write(path.as_ref(), container::Content::of(thing, None)?)
}

/// [`save`] with examples, which [`verify`] checks wherever the file is.
///
/// # Errors
/// [`SaveError::Examples`] if the examples aren't what it gives; those of [`save`].
pub fn save_with_examples<S: Saved>(
    path: impl AsRef<Path>,
    thing: &S,
    examples: &Examples<S::Elem>,
) -> Result<(), SaveError> {
    examples.check(thing).map_err(|problem| SaveError::Examples { problem: Box::new(problem) })?;
    write(path.as_ref(), container::Content::of(thing, Some(examples))?)
}

fn write<T: Float>(path: &Path, mut content: container::Content<T>) -> Result<(), SaveError> {
    disk::write(path, |out| content.write(out))
        .map_err(|error| SaveError::Io { file: path.display().to_string(), reason: error.to_string() })
}

/// Loads what a file holds, which must be an `S`.
///
/// # Errors
/// [`LoadError`] says what is wrong with the file; of a file with something else, what it holds and what to ask for.
///
/// ```
/// use recurrent::{Gru, Lstm, file};
/// let bytes = file::to_bytes(&Gru::<f32>::new(3, 4))?;
/// let refused = file::from_bytes::<Lstm<f32>>(&bytes).unwrap_err().to_string();
/// assert!(refused.contains("it holds a GRU of float32: load it as Gru<f32>"), "{refused}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn load<S: Saved>(path: impl AsRef<Path>) -> Result<S, LoadError> {
    load_with(path, &Limits::default())
}

/// [`load`] with limits of one's own.
///
/// # Errors
/// Those of [`load`].
pub fn load_with<S: Saved>(path: impl AsRef<Path>, limits: &Limits) -> Result<S, LoadError> {
    let path = path.as_ref();
    let read = || container::read(&open_file(path, limits)?, limits);
    read().map_err(|problem| LoadError::new(&path.display().to_string(), problem))
}

/// [`load`], then [`verify`] of what was loaded: the file must hold examples.
///
/// # Errors
/// Those of [`load`] and of [`verify`].
pub fn load_verified<S: Saved>(path: impl AsRef<Path>) -> Result<(S, Verification), LoadError> {
    let (path, limits) = (path.as_ref(), Limits::default());
    let read = || {
        let file = open_file(path, &limits)?;
        let thing: S = container::read(&file, &limits)?;
        let verification = examples::of_loaded(&thing, &file, &limits)?;
        Ok((thing, verification))
    };
    read().map_err(|problem| LoadError::new(&path.display().to_string(), problem))
}

/// What [`save`] writes, as bytes.
///
/// # Errors
/// [`SaveError`], but for the operating system's.
pub fn to_bytes<S: Saved>(thing: &S) -> Result<Vec<u8>, SaveError> {
    let mut bytes = Vec::new();
    let written = container::Content::of(thing, None)?.write(&mut bytes);
    written.map_err(|error| SaveError::Io { file: MEMORY.into(), reason: error.to_string() })?;
    Ok(bytes)
}

/// [`load`] from bytes.
///
/// # Errors
/// Those of [`load`].
pub fn from_bytes<S: Saved>(bytes: &[u8]) -> Result<S, LoadError> {
    from_bytes_with(bytes, &Limits::default())
}

/// [`from_bytes`] with limits of one's own.
///
/// # Errors
/// Those of [`load`].
pub fn from_bytes_with<S: Saved>(bytes: &[u8], limits: &Limits) -> Result<S, LoadError> {
    let read = || {
        disk::check_size(bytes.len() as u64, limits)?;
        read(bytes.to_vec(), limits)
    };
    read().map_err(|problem| LoadError::new(MEMORY, problem))
}

/// The file's name where there is none.
const MEMORY: &str = "the bytes";

fn read<S: Saved>(bytes: Vec<u8>, limits: &Limits) -> Found<S> {
    container::read(&open(bytes, limits)?, limits)
}

/// The container of a file of our own.
fn open(bytes: Vec<u8>, limits: &Limits) -> Found<Safetensors> {
    check_magic(bytes.get(..4))?;
    Safetensors::new(bytes, limits)
}

/// The same of a file, whose tensors are read when they are asked for.
fn open_file(path: &Path, limits: &Limits) -> Found<Safetensors> {
    match disk::open(path, limits)? {
        Opened::Whole(bytes) => open(bytes, limits),
        Opened::Stored(file) => {
            let mut first = [0; 4];
            if file.length >= first.len() {
                file.read(0, &mut first)?;
            }
            check_magic(Some(&first))?;
            Safetensors::stored(file, limits)
        }
    }
}

/// Other containers, by their first bytes.
fn check_magic(first: Option<&[u8]>) -> Found<()> {
    match first {
        Some(b"PK\x03\x04") => {
            Err(Problem::Format { found: "a zip container", hint: "keras::load reads .keras files" })
        }
        Some(b"\x89HDF") => Err(Problem::Format { found: "HDF5", hint: "keras::load reads .h5 files" }),
        _ => Ok(()),
    }
}
