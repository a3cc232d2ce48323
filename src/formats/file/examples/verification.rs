//! Checking the examples of a file.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use super::super::container;
use super::super::saved::{Saved, Sort};
use super::compare::check;
use super::stored::{Described, METADATA};
use crate::float::Float;
use crate::formats::disk;
use crate::formats::error::{Found, Problem};
use crate::formats::limits::Limits;
use crate::formats::load_error::LoadError;
use crate::formats::safetensors::Safetensors;
use crate::graph::Model;
use crate::layers::Layer;
use crate::layers::embedding::Embedding;
use crate::layers::quantized_embedding::QuantizedEmbedding;

/// What the examples of a file have shown. It prints as `matches PyTorch 2.15.0 to 2.4e-7 on 4 examples`, and behind
/// that, where a file is checked by parts, a line for each.
#[derive(Debug, Clone, PartialEq)]
pub struct Verification {
    by: String,
    parts: Vec<VerifiedPart>,
    unchecked: Vec<String>,
}

/// A part of a file whose examples agree.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct VerifiedPart {
    /// Its name; the whole has none.
    pub name: String,
    /// What it is: `nn.GRU`, `Model`.
    pub class: String,
    /// The number of examples: the rows of all calls.
    pub examples: usize,
    /// The largest difference, relative to the largest number of its output, or absolute if that is below one.
    pub error: f64,
}

impl Verification {
    pub(super) fn new(by: &str) -> Self {
        Verification { by: by.into(), parts: Vec::new(), unchecked: Vec::new() }
    }

    /// Who computed the examples.
    pub fn by(&self) -> &str {
        &self.by
    }

    /// The parts that were checked.
    pub fn parts(&self) -> &[VerifiedPart] {
        &self.parts
    }

    /// What the file holds beside, in words: no example is of it.
    pub fn unchecked(&self) -> &[String] {
        &self.unchecked
    }

    /// The number of examples: the rows of all calls.
    pub fn examples(&self) -> usize {
        self.parts.iter().map(|part| part.examples).sum()
    }

    /// The largest difference.
    pub fn error(&self) -> f64 {
        self.parts.iter().map(|part| part.error).fold(0.0, f64::max)
    }

    pub(super) fn push(&mut self, part: VerifiedPart) {
        self.parts.push(part);
    }

    #[cfg(feature = "pytorch")]
    pub(super) fn leave(&mut self, what: String) {
        self.unchecked.push(what);
    }
}

impl fmt::Display for Verification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |n: usize| format!("{n} example{}", if n == 1 { "" } else { "s" });
        write!(f, "matches {} to {:.1e} on {}", self.by, self.error(), count(self.examples()))?;
        for part in self.parts.iter().filter(|part| !part.name.is_empty()) {
            write!(f, "\n  {} ({}): {:.1e} on {}", part.name, part.class, part.error, count(part.examples))?;
        }
        self.unchecked.iter().try_for_each(|what| write!(f, "\n  not checked: {what}"))
    }
}

/// Checks that what a file holds gives here what its examples say, and says how closely.
///
/// The file may be one of our own, one that the script `doc/save_with_examples.py` made of a model of Keras or of a
/// module of PyTorch (with the features `keras`, `pytorch`), or any file of Keras with examples in a file beside it,
/// `model.h5.examples.safetensors` beside `model.h5`, by the same script.
///
/// # Errors
/// [`Problem::Differs`] names the first layer that differs, where the file holds what layers gave on the way, and where;
/// [`Problem::NoExamples`]; those of [`load`](super::super::load).
///
/// ```no_run
/// println!("{}", recurrent::file::verify("from_pytorch.safetensors")?);
/// // matches PyTorch 2.15.0 to 2.4e-7 on 4 examples
/// # Ok::<(), recurrent::file::LoadError>(())
/// ```
pub fn verify(path: impl AsRef<Path>) -> Result<Verification, LoadError> {
    verify_with(path, &Limits::default())
}

/// [`verify`] with limits of one's own.
///
/// # Errors
/// Those of [`verify`].
// Generic in the path, as all below it, so that the readers are compiled for those alone who call this.
pub fn verify_with<P: AsRef<Path>>(path: P, limits: &Limits) -> Result<Verification, LoadError> {
    let read = || {
        let bytes = disk::read(path.as_ref(), limits)?;
        match bytes.get(..4) {
            Some(b"PK\x03\x04" | b"\x89HDF") => of_keras(&path, bytes, limits),
            _ => of_safetensors(&path, Safetensors::new(bytes, limits)?, limits),
        }
    };
    read().map_err(|problem| LoadError::new(&path.as_ref().display().to_string(), problem))
}

/// Where the examples are that stand beside a file.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".examples.safetensors");
    name.into()
}

/// What `format` says of a model of Keras: its configuration and its tensors.
const KERAS: &str = "keras";

pub(super) const NONE: &str = "save it with file::save_with_examples, or by doc/save_with_examples.py in Python";

/// The examples beside a file.
fn read_beside(path: &Path, limits: &Limits) -> Found<(Safetensors, Described)> {
    let beside = beside(path);
    let hint =
        "none are in a file beside it, FILE.examples.safetensors; doc/save_with_examples.py writes one in Python";
    if !beside.exists() {
        return Err(Problem::NoExamples { hint });
    }
    let file = Safetensors::new(disk::read(&beside, limits)?, limits)?;
    let described = Described::of(&file, limits)?.ok_or(Problem::NoExamples { hint })?;
    no_others(&file, &described, |_| false)?;
    Ok((file, described))
}

/// Checks that there are no tensors but those of examples, and those that are known.
fn no_others(file: &Safetensors, described: &Described, known: impl Fn(&str) -> bool) -> Found<()> {
    let own: BTreeSet<String> = described.tensors();
    let other = |path: &String| !own.contains(path) && !known(path);
    match file.tensors().into_iter().map(|tensor| tensor.path).find(other) {
        Some(tensor) => Err(Problem::LeftoverTensor { tensor }),
        None => Ok(()),
    }
}

/// The examples of a file of our own, against what was loaded from it.
pub(crate) fn of_loaded<S: Saved>(thing: &S, file: &Safetensors, limits: &Limits) -> Found<Verification> {
    let described = Described::of(file, limits)?.ok_or(Problem::NoExamples { hint: NONE })?;
    of_whole(thing, &container::kind(file)?.1, file, &described)
}

/// All examples of the whole, against what it gives here.
fn of_whole<S: Saved>(thing: &S, class: &str, file: &Safetensors, described: &Described) -> Found<Verification> {
    let mut result = Verification::new(&described.by);
    let (mut examples, mut largest) = (0, 0.0);
    for part in &described.parts {
        if let Some(module) = &part.module {
            let (layer, option) = (part.name.clone(), "module".into());
            let (expected, found) = ("null: it is one thing".into(), module.clone());
            return Err(Problem::Config { layer, option, expected, found });
        }
        for (number, call) in part.calls.iter().enumerate() {
            let example = call.example::<S::Elem>(file)?;
            let by = (&described.by[..], part.tolerance);
            let error = check(&example, number, by, |watch| thing.outputs_of(&example, watch))?;
            examples += example.rows();
            largest = f64::max(largest, error);
        }
    }
    if examples == 0 {
        return Err(Problem::NoExamples { hint: NONE });
    }
    result.push(VerifiedPart { name: String::new(), class: class.into(), examples, error: largest });
    Ok(result)
}

/// A file of our own, of Keras's tensors or of PyTorch's.
fn of_safetensors<P: AsRef<Path>>(path: &P, file: Safetensors, limits: &Limits) -> Found<Verification> {
    let format = file.metadata().iter().find(|(key, _)| key == "format").map_or("", |(_, format)| format);
    match format {
        container::FORMAT => {
            let (sort, class, double) = container::kind(&file)?;
            let own = match Described::of(&file, limits)? {
                Some(_) => None,
                None => Some(read_beside(path.as_ref(), limits)?),
            };
            match double {
                false => of_own::<f32>(sort, &class, &file, own, limits),
                true => of_own::<f64>(sort, &class, &file, own, limits),
            }
        }
        KERAS => of_keras_tensors(path, file, limits),
        _ if file.metadata().iter().any(|(key, _)| key == METADATA) => of_pytorch(path, file, limits),
        _ => Err(Problem::NoExamples { hint: NONE }),
    }
}

/// A file of our own, whatever it holds.
fn of_own<T: Float>(
    sort: Sort,
    class: &str,
    file: &Safetensors,
    own: Option<(Safetensors, Described)>,
    limits: &Limits,
) -> Found<Verification> {
    fn whole<S: Saved>(
        class: &str,
        file: &Safetensors,
        own: Option<(Safetensors, Described)>,
        limits: &Limits,
    ) -> Found<Verification> {
        let thing: S = container::read(file, limits)?;
        match own {
            Some((beside, described)) => of_whole(&thing, class, &beside, &described),
            None => of_loaded(&thing, file, limits),
        }
    }
    match sort {
        Sort::Layer => whole::<Box<dyn Layer<T>>>(class, file, own, limits),
        Sort::Embedding if class == "QuantizedEmbedding" => whole::<QuantizedEmbedding>(class, file, own, limits),
        Sort::Embedding => whole::<Embedding<T>>(class, file, own, limits),
        Sort::Model => whole::<Model<T>>(class, file, own, limits),
        Sort::Masking
        | Sort::State
        | Sort::ModelState
        | Sort::Gradients
        | Sort::Optimizer
        | Sort::Plateau
        | Sort::Seeds
        | Sort::Checkpoint => Err(Problem::NoExamples { hint: "it holds nothing that gives outputs" }),
    }
}

#[cfg(feature = "keras")]
use self::keras::{of_keras, of_keras_tensors};

#[cfg(feature = "keras")]
mod keras {
    //! Files of Keras, and models of Keras in safetensors files.

    use super::*;
    use crate::formats::keras::{File, Options};

    /// A `.keras` or `.h5` file, with examples beside it.
    pub(super) fn of_keras<P: AsRef<Path>>(path: &P, bytes: Vec<u8>, limits: &Limits) -> Found<Verification> {
        let beside = read_beside(path.as_ref(), limits)?;
        of_model(path, limits, |name, options| File::from_bytes(name, bytes, options), Some(beside))
    }

    /// A model with its examples.
    pub(super) fn of_keras_tensors<P: AsRef<Path>>(
        path: &P,
        file: Safetensors,
        limits: &Limits,
    ) -> Found<Verification> {
        of_model(path, limits, |name, options| File::of_tensors(name, file, options), None)
    }

    /// A whole model, in the type that it computes in, with examples beside it or in the file itself.
    fn of_model<P: AsRef<Path>>(
        path: &P,
        limits: &Limits,
        open: impl FnOnce(&str, &Options) -> std::result::Result<File, LoadError>,
        beside: Option<(Safetensors, Described)>,
    ) -> Found<Verification> {
        fn whole<T: Float>(file: &File, examples: &Safetensors, described: &Described) -> Found<Verification> {
            let model = file.model::<T>().map_err(LoadError::into_problem)?;
            of_whole(&model, "Model", examples, described)
        }
        let none = Problem::NoExamples { hint: NONE };
        let name = path.as_ref().display().to_string();
        // Weights of 16 bits are computed with in f32: the tolerance is that of whoever has computed the examples.
        let file = open(&name, &Options::new().limits(*limits).half_as_f32(true)).map_err(LoadError::into_problem)?;
        let inside = match (&beside, file.stored()) {
            (None, Some(own)) => Described::of(own, limits)?.map(|described| (own, described)),
            _ => None,
        };
        let own = inside.as_ref().map(|(own, described)| (*own, described));
        let (examples, described) = beside.as_ref().map(|(file, own)| (file, own)).or(own).ok_or(none)?;
        match file.dtype().map_err(LoadError::into_problem)? {
            "float64" => whole::<f64>(&file, examples, described),
            _ => whole::<f32>(&file, examples, described),
        }
    }
}

#[cfg(not(feature = "keras"))]
fn of_keras<P: AsRef<Path>>(_: &P, _: Vec<u8>, _: &Limits) -> Found<Verification> {
    Err(Problem::Format { found: "a file of Keras", hint: "build with the feature `keras`" })
}

#[cfg(not(feature = "keras"))]
fn of_keras_tensors<P: AsRef<Path>>(_: &P, _: Safetensors, _: &Limits) -> Found<Verification> {
    Err(Problem::Format { found: "a model of Keras", hint: "build with the feature `keras`" })
}

/// Modules of PyTorch.
#[cfg(feature = "pytorch")]
fn of_pytorch<P: AsRef<Path>>(path: &P, file: Safetensors, limits: &Limits) -> Found<Verification> {
    let described = Described::of(&file, limits)?.ok_or(Problem::NoExamples { hint: NONE })?;
    super::pytorch::verify(path, file, &described, limits)
}

#[cfg(not(feature = "pytorch"))]
fn of_pytorch<P: AsRef<Path>>(_: &P, _: Safetensors, _: &Limits) -> Found<Verification> {
    Err(Problem::Format { found: "tensors of PyTorch", hint: "build with the feature `pytorch`" })
}
