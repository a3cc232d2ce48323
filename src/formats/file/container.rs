//! What a file holds beside tensors, and how both come in and out.

use std::collections::BTreeSet;
use std::io::{self, Write};

use super::examples::{self, Examples};
use super::json;
use super::saved::{Saved, Sort};
use crate::config::{Bounds, Config, ConfigError, Described, SCALE, TensorSource, Tensors};
use crate::float::Float;
use crate::formats::error::{Found, Problem};
use crate::formats::limits::Limits;
use crate::formats::safetensors::{self, Elements, Entry, Safetensors, Values, element_of};
use crate::formats::save_error::SaveError;
use crate::formats::tensors::Element;
use crate::weights::{Kept, Packed};

/// What `format` says.
pub(super) const FORMAT: &str = "recurrent";

/// The newest version of the format. What one needs is what is written, so that older readers take all that they can:
///
/// - 1: all but the following;
/// - 2: weights in fewer bits.
const VERSION: u64 = 2;

/// What is written.
pub(super) struct Content<T> {
    sort: Sort,
    version: u64,
    config: Config,
    /// What is said of the examples.
    examples: Option<String>,
    tensors: Vec<Entry<T>>,
}

impl<T: Float> Content<T> {
    pub(super) fn of<S: Saved<Elem = T>>(thing: &S, examples: Option<&Examples<T>>) -> Result<Self, SaveError> {
        let config = thing.describe_whole().map_err(|error| match error {
            ConfigError::Custom { layer, what, name } => SaveError::Custom { layer, what, name },
            // Nothing else is said of what is there.
            other => SaveError::Custom { layer: String::new(), what: "description", name: format!("{other:?}") },
        })?;
        let limit = Limits::default().depth;
        if config.depth() > limit {
            return Err(SaveError::Depth { limit });
        }
        let (examples, of_examples) = examples.map(Examples::stored).unzip();
        let mut tensors: Vec<Entry<T>> = of_examples.unwrap_or_default();
        thing.visit_arrays(&mut |name, array| {
            tensors.push(Entry { name, elements: Values::Floats(array.to_owned()).into() })
        });
        let mut version = 1;
        thing.visit_kept(&mut |name, shape, kept| {
            version = 2;
            tensors.extend(of_kept(name, shape, kept));
        });
        thing.visit_integers(&mut |name, integers| {
            tensors.push(Entry { name, elements: Values::Integers(integers).into() })
        });
        tensors.sort_by(|a, b| a.name.cmp(&b.name));
        match tensors.windows(2).find(|pair| pair[0].name == pair[1].name) {
            Some(pair) => Err(SaveError::Twice { tensor: pair[0].name.clone() }),
            None => Ok(Content { sort: S::SORT, version, config, examples, tensors }),
        }
    }

    pub(super) fn write(&mut self, out: &mut dyn Write) -> io::Result<()> {
        let mut metadata = vec![
            ("format", FORMAT.into()),
            ("version", self.version.to_string()),
            ("crate", env!("CARGO_PKG_VERSION").into()),
            ("kind", self.sort.name().into()),
            ("element", element_of::<T>().name()),
            ("config", json::write(&self.config)),
        ];
        metadata.extend(self.examples.clone().map(|examples| (examples::METADATA, examples)));
        safetensors::write(out, &metadata, &mut self.tensors)
    }
}

/// The tensors of a weight of a quantized layer: its numbers in the weight's shape, and the scales of bytes.
fn of_kept<T>(name: String, shape: &[usize], kept: Kept) -> Vec<Entry<T>> {
    let scale = format!("{name}{SCALE}");
    match kept {
        Kept::Floats(values) => vec![Entry { name, elements: Elements::Singles(shape.to_vec(), values) }],
        Kept::Bytes { weights, .. } => vec![Entry { name, elements: Elements::Bytes(shape.to_vec(), weights) }],
        Kept::Packed(Packed::Bf16(words)) => vec![Entry { name, elements: Elements::Halves(shape.to_vec(), words) }],
        Kept::Packed(Packed::Int8 { weights, scales } | Packed::Int8Rows { weights, scales }) => vec![
            Entry { name, elements: Elements::Bytes(shape.to_vec(), weights) },
            Entry { name: scale, elements: Elements::Singles(vec![scales.len()], scales) },
        ],
    }
}

/// What a file says of itself.
struct Metadata<'f> {
    sort: &'f str,
    element: &'f str,
    config: &'f str,
}

impl<'f> Metadata<'f> {
    fn of(file: &'f Safetensors) -> Found<Self> {
        let get = |key: &str| file.metadata().iter().find(|(own, _)| own == key).map(|(_, text)| text.as_str());
        if get("format") != Some(FORMAT) {
            let found = "a safetensors file that recurrent::file didn't write";
            return Err(Problem::Format { found, hint: "pytorch::File reads those of a PyTorch state_dict" });
        }
        let need = |key: &'static str, expected: &str| get(key).ok_or_else(|| wrong(key, expected, "nothing"));
        let version = need("version", "a version of the format")?;
        match version.parse::<u64>() {
            Ok(1..=VERSION) => {}
            Ok(newer) if newer > VERSION => {
                let by = get("crate").unwrap_or("?").chars().take(40).collect();
                return Err(Problem::FileVersion { version: newer, newest: VERSION, by });
            }
            _ => return Err(wrong("version", "a version of the format", version)),
        }
        for (key, _) in file.metadata() {
            if !["format", "version", "crate", "kind", "element", "config", examples::METADATA].contains(&&key[..]) {
                let (layer, class) = (String::new(), "__metadata__".into());
                return Err(Problem::UnknownOption { layer, class, option: key.clone() });
            }
        }
        need("crate", "the version that wrote it")?;
        let (sort, element) = (need("kind", "a kind of content")?, need("element", "float32 or float64")?);
        Ok(Metadata { sort, element, config: need("config", "a description")? })
    }
}

fn wrong(option: &str, expected: &str, found: &str) -> Problem {
    let (layer, found) = (String::new(), found.chars().take(80).collect());
    Problem::Config { layer, option: option.into(), expected: expected.into(), found }
}

/// The kind of content, its description, and whether its numbers are f64.
fn opened(file: &Safetensors) -> Found<(Sort, Config, bool)> {
    let metadata = Metadata::of(file)?;
    let Some(sort) = Sort::of(metadata.sort) else {
        return Err(wrong("kind", &Sort::names(), metadata.sort));
    };
    let Some(double) = ["float32", "float64"].iter().position(|name| *name == metadata.element) else {
        return Err(wrong("element", "float32 or float64", metadata.element));
    };
    Ok((sort, json::read(metadata.config)?, double == 1))
}

/// What the file holds: the sort, the class, and whether its numbers are f64.
pub(super) fn kind(file: &Safetensors) -> Found<(Sort, String, bool)> {
    opened(file).map(|(sort, config, double)| (sort, config.class, double))
}

/// What the file holds, if it is an `S`.
pub(super) fn read<S: Saved>(file: &Safetensors, limits: &Limits) -> Found<S> {
    let (sort, config, double) = opened(file)?;
    let same_element = (size_of::<S::Elem>() == 8) == double;
    if sort != S::SORT || !S::is_of(&config.class) || !same_element {
        let (name, element) = if double { ("float64", "f64") } else { ("float32", "f32") };
        let holds = format!("{} of {name}", sort.holds(&config.class));
        return Err(Problem::Kind { holds, ask: sort.ask(&config.class, element) });
    }
    let examples = examples::Described::of(file, limits)?.map(|examples| examples.tensors()).unwrap_or_default();
    let mut source = Source { file, taken: BTreeSet::new() };
    let described = Described::new(&config, bounds(limits)).map_err(problem)?;
    let thing = S::read_whole(&described, &mut Tensors::new(&mut source)).map_err(problem)?;
    let known = |name: &String| source.taken.contains(name) || examples.contains(name);
    match file.tensors().into_iter().find(|tensor| !known(&tensor.path)) {
        Some(left) => Err(Problem::LeftoverTensor { tensor: left.path }),
        None => Ok(thing),
    }
}

/// What a description may ask for.
pub(super) fn bounds(limits: &Limits) -> Bounds {
    Bounds { units: limits.units, depth: limits.depth, calls: limits.calls, elements: limits.elements }
}

/// The tensors of a file.
struct Source<'f> {
    file: &'f Safetensors,
    taken: BTreeSet<String>,
}

impl Source<'_> {
    /// Checks that a tensor is there, of these elements and of this shape.
    fn find(&self, path: &str, element: Element, shape: &[usize]) -> Result<(), ConfigError> {
        let layer = String::new;
        let Some((found, found_shape)) = self.file.form(path) else {
            let weight = path.rsplit('/').next().unwrap_or(path).into();
            return Err(ConfigError::MissingTensor { layer: layer(), weight, tensor: path.into() });
        };
        if found != element {
            let (expected, found) = (element.name(), found.name());
            return Err(ConfigError::TensorType { tensor: path.into(), expected, found });
        }
        if found_shape != shape {
            let weight = path.rsplit('/').next().unwrap_or(path).into();
            let (expected, found) = (shape.to_vec(), found_shape.to_vec());
            return Err(ConfigError::TensorShape { layer: layer(), weight, tensor: path.into(), expected, found });
        }
        Ok(())
    }

    /// Notes that a tensor is used, once.
    fn used(&mut self, path: &str) -> Result<(), ConfigError> {
        if self.taken.insert(path.into()) {
            return Ok(());
        }
        let weight = path.rsplit('/').next().unwrap_or(path).into();
        Err(ConfigError::MissingTensor { layer: String::new(), weight, tensor: path.into() })
    }
}

/// What the operating system refused.
fn unread(problem: Problem) -> ConfigError {
    let reason = match problem {
        Problem::Io { reason } => reason,
        other => other.to_string(),
    };
    ConfigError::Unread { reason }
}

impl<T: Float> TensorSource<T> for Source<'_> {
    fn take(&mut self, path: &str, shape: &[usize]) -> Result<Vec<T>, ConfigError> {
        self.find(path, element_of::<T>(), shape)?;
        self.used(path)?;
        self.file.numbers(path).map_err(unread)
    }

    fn take_integers(&mut self, path: &str, shape: &[usize]) -> Result<Vec<i64>, ConfigError> {
        self.find(path, Element::Integer { size: 8, signed: true }, shape)?;
        self.used(path)?;
        self.file.each(path, i64::from_le_bytes).map_err(unread)
    }

    fn take_bytes(&mut self, path: &str, shape: &[usize]) -> Result<Vec<i8>, ConfigError> {
        self.find(path, Element::Integer { size: 1, signed: true }, shape)?;
        self.used(path)?;
        self.file.each(path, i8::from_le_bytes).map_err(unread)
    }

    fn take_halves(&mut self, path: &str, shape: &[usize]) -> Result<Vec<u16>, ConfigError> {
        self.find(path, Element::BF16, shape)?;
        self.used(path)?;
        self.file.each(path, u16::from_le_bytes).map_err(unread)
    }

    fn take_singles(&mut self, path: &str, shape: &[usize]) -> Result<Vec<f32>, ConfigError> {
        self.find(path, Element::F32, shape)?;
        self.used(path)?;
        self.file.numbers(path).map_err(unread)
    }

    fn check(&self, path: &str, shape: &[usize]) -> Result<(), ConfigError> {
        self.find(path, element_of::<T>(), shape)
    }
}

/// A refusal as a problem of the file.
pub(super) fn problem(error: ConfigError) -> Problem {
    match error {
        ConfigError::Custom { layer, what, name } => {
            Problem::Config { layer, option: what.into(), expected: "one of this crate's".into(), found: name }
        }
        ConfigError::Option { layer, option, expected, found } => Problem::Config { layer, option, expected, found },
        ConfigError::UnknownOption { layer, class, option } => Problem::UnknownOption { layer, class, option },
        ConfigError::Class { layer, class, expected } => {
            Problem::Config { layer, option: "class_name".into(), expected, found: format!("{class:?}") }
        }
        ConfigError::Limit { what, limit, given } => Problem::Limit { what, limit: limit as u64, given: given as u64 },
        ConfigError::MissingTensor { layer, weight, tensor } => Problem::MissingTensor { layer, weight, tensor },
        ConfigError::TensorShape { layer, weight, tensor, expected, found } => {
            Problem::TensorShape { layer, weight, tensor, expected: format!("{expected:?}"), found }
        }
        ConfigError::TensorType { tensor, expected, found } => {
            let expected = ["float32", "int64", "int8", "bfloat16"]
                .into_iter()
                .find(|name| *name == expected)
                .unwrap_or("float64");
            Problem::TensorType { tensor, expected, found }
        }
        ConfigError::TensorValue { tensor, expected, index, found } => {
            Problem::TensorValue { tensor, expected, index, found }
        }
        ConfigError::Unread { reason } => Problem::Io { reason },
        ConfigError::Built { layer, error } => Problem::Layer { layer, source: error },
    }
}
