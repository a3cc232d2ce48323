//! Examples as a file holds them: their description among the metadata, as JSON, and their arrays among the tensors.
//!
//! ```text
//! {"class_name": "Examples", "config": {"by": "PyTorch 2.15.0", "parts": [
//!   {"class_name": "Part", "config": {"name": "encoder", "module": "GRU", "nonlinearity": null, "eps": null,
//!    "tolerance": 1e-5, "calls": [
//!     {"class_name": "Call", "config": {"inputs": 1, "outputs": 2, "lengths": false, "initial": 1, "layers": []}}]}}]}}
//!
//! examples/0/0/inputs/0   part 0, call 0, input 0; and so on: outputs/0, outputs/1, lengths, initial/0, layers/NAME
//! ```
//!
//! A part is the whole of what the file holds (its name is empty and its module null), or one of PyTorch's modules, by
//! its prefix.

use std::collections::BTreeSet;

use ndarray::ArrayD;

use super::super::container::{bounds, problem};
use super::super::json;
use super::{Example, Examples};
use crate::config::{Config, ConfigError, Item, Options};
use crate::float::Float;
use crate::formats::error::{Found, Problem, within};
use crate::formats::limits::Limits;
pub(crate) use crate::formats::safetensors::EXAMPLES as METADATA;
use crate::formats::safetensors::{Entry, Safetensors, Values};
use crate::formats::tensors::Element;

/// What a file says of its examples.
#[derive(Debug)]
pub(crate) struct Described {
    pub(super) by: String,
    pub(super) parts: Vec<Part>,
}

/// Examples of the whole, or of a module of PyTorch.
#[derive(Debug)]
pub(crate) struct Part {
    pub(super) name: String,
    pub(super) module: Option<String>,
    /// What a `state_dict` doesn't say of modules.
    #[cfg_attr(not(feature = "pytorch"), allow(dead_code, reason = "options of PyTorch's modules"))]
    pub(super) nonlinearity: Option<String>,
    #[cfg_attr(not(feature = "pytorch"), allow(dead_code, reason = "options of PyTorch's modules"))]
    pub(super) eps: Option<f64>,
    /// Of an `nn.Conv1d`.
    #[cfg_attr(not(feature = "pytorch"), allow(dead_code, reason = "options of PyTorch's modules"))]
    pub(super) window: Option<Window>,
    pub(super) tolerance: f64,
    pub(super) calls: Vec<Call>,
}

/// What a `state_dict` doesn't say of a convolution.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(not(feature = "pytorch"), allow(dead_code, reason = "options of PyTorch's modules"))]
pub(crate) struct Window {
    pub(super) groups: usize,
    pub(super) strides: usize,
    pub(super) dilation_rate: usize,
    /// As long as the input, by zeros on both sides; else only where it stands whole.
    pub(super) same: bool,
}

/// What arrays there are of a call.
#[derive(Debug)]
pub(crate) struct Call {
    /// What the names of its arrays begin with.
    path: String,
    inputs: usize,
    outputs: usize,
    lengths: bool,
    initial: usize,
    layers: Vec<String>,
}

type Read<V> = Result<V, ConfigError>;

impl<T: Float> Examples<T> {
    /// The description, and the tensors.
    pub(crate) fn stored(&self) -> (String, Vec<Entry<T>>) {
        let (mut calls, mut tensors) = (Vec::new(), Vec::new());
        for (number, example) in self.examples.iter().enumerate() {
            let layers: Vec<&str> = example.layers.iter().map(|(name, _)| &name[..]).collect();
            let call = Config::new("Call")
                .with("inputs", example.inputs.len())
                .with("outputs", example.outputs.len())
                .with("lengths", example.lengths.is_some())
                .with("initial", example.initial.len())
                .with("layers", layers);
            calls.push(call);
            let mut push = |what: String, values: Values<T>| {
                tensors.push(Entry { name: format!("{METADATA}/0/{number}/{what}"), elements: values.into() });
            };
            let floats = |array: &ArrayD<T>| Values::Floats(array.clone());
            example.inputs.iter().enumerate().for_each(|(i, input)| push(format!("inputs/{i}"), input.clone()));
            example.outputs.iter().enumerate().for_each(|(i, output)| push(format!("outputs/{i}"), floats(output)));
            example.initial.iter().enumerate().for_each(|(i, part)| push(format!("initial/{i}"), floats(part)));
            example.layers.iter().for_each(|(name, output)| push(format!("layers/{name}"), floats(output)));
            if let Some(lengths) = &example.lengths {
                push("lengths".into(), Values::Integers(lengths.mapv(|length| length as i64).into_dyn()));
            }
        }
        let whole = Config::new("Part")
            .with("name", "")
            .with("module", None::<&str>)
            .with("nonlinearity", None::<&str>)
            .with("eps", None::<f64>)
            .with("tolerance", self.tolerance)
            .with("calls", calls);
        let examples = Config::new("Examples").with("by", &self.by[..]).with("parts", vec![whole]);
        (json::write(&examples), tensors)
    }
}

impl Described {
    /// What a file says of its examples, if it has any.
    pub(crate) fn of(file: &Safetensors, limits: &Limits) -> Found<Option<Self>> {
        let Some((_, text)) = file.metadata().iter().find(|(key, _)| key == METADATA) else { return Ok(None) };
        let config = json::read(text)?;
        let described = crate::config::Described::new(&config, bounds(limits)).map_err(problem)?;
        if described.class() != "Examples" {
            return Err(problem(described.wrong_class("Examples")));
        }
        let read = |options: &Options<'_>| {
            let parts = options.list("parts", "the parts that examples are of")?;
            let part = |(number, item): (usize, &Item<'_>)| {
                let part = item.config("a part")?;
                if part.class() != "Part" {
                    return Err(part.wrong_class("Part"));
                }
                part.read(|options| Part::read(options, number))
            };
            Ok(Described {
                by: options.text("by", "who computed them")?.into(),
                parts: parts.iter().enumerate().map(part).collect::<Read<_>>()?,
            })
        };
        let all = described.read(read).map_err(problem)?;
        all.check_tensors(file)?;
        Ok(Some(all))
    }

    /// The names of all tensors of examples.
    pub(crate) fn tensors(&self) -> BTreeSet<String> {
        self.parts.iter().flat_map(|part| &part.calls).flat_map(Call::tensors).collect()
    }

    /// Checks that each array is there. There are no more than tensors of the file: each belongs to one thing.
    fn check_tensors(&self, file: &Safetensors) -> Found<()> {
        let most = file.tensors().len();
        within("parts", self.parts.len(), most)?;
        let mut names: Vec<&str> = self.parts.iter().map(|part| &part.name[..]).collect();
        names.sort_unstable();
        if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(Problem::DuplicateLayer { name: twice[0].into() });
        }
        let calls = || self.parts.iter().flat_map(|part| &part.calls);
        let arrays = calls().map(Call::arrays).fold(0, usize::saturating_add);
        within("arrays of examples", arrays, most)?;
        let mut own = BTreeSet::new();
        for name in calls().flat_map(Call::tensors) {
            if file.form(&name).is_none() {
                let weight = METADATA.to_string();
                return Err(Problem::MissingTensor { layer: String::new(), weight, tensor: name });
            }
            if own.contains(&name) {
                return Err(Problem::DuplicateLayer { name });
            }
            own.insert(name);
        }
        Ok(())
    }
}

/// What a difference may be.
fn tolerance(options: &Options<'_>) -> Read<f64> {
    let tolerance = options.number("tolerance")?;
    match tolerance.is_finite() && tolerance >= 0.0 {
        true => Ok(tolerance),
        false => Err(options.need("tolerance", "")?.wrong("a finite number of at least 0")),
    }
}

impl Part {
    fn read(options: &Options<'_>, number: usize) -> Read<Self> {
        let name = options.text("name", "a name")?;
        let text = |option: &str| {
            let expected = "text or null";
            options.need(option, expected)?.given().map(|item| item.text(expected).map(String::from)).transpose()
        };
        let calls = options.list("calls", "calls")?;
        let call = |(place, item): (usize, &Item<'_>)| {
            let call = item.config("a call")?;
            if call.class() != "Call" {
                return Err(call.wrong_class("Call"));
            }
            call.read(|options| Call::read(options, format!("{METADATA}/{number}/{place}")))
        };
        Ok(Part {
            name: name.into(),
            module: text("module")?,
            nonlinearity: text("nonlinearity")?,
            eps: options.need("eps", "a number or null")?.given().map(|item| item.number()).transpose()?,
            window: options.said("window").map(|item| Window::read(&item)).transpose()?,
            tolerance: tolerance(options)?,
            calls: calls.iter().enumerate().map(call).collect::<Read<_>>()?,
        })
    }
}

impl Window {
    fn read(item: &Item<'_>) -> Read<Self> {
        let window = item.config("a window")?;
        if window.class() != "Window" {
            return Err(window.wrong_class("Window"));
        }
        window.read(|options| {
            let same = options.word("padding", &[("valid", false), ("same", true)])?;
            let (groups, strides) = (options.size("groups")?, options.size("strides")?);
            Ok(Window { groups, strides, dilation_rate: options.size("dilation_rate")?, same })
        })
    }
}

impl Call {
    fn read(options: &Options<'_>, path: String) -> Read<Self> {
        let count = |name: &str| {
            let expected = "a whole number of at least 0";
            options.need(name, expected)?.index(expected)
        };
        let layers = options.list("layers", "names of layers")?;
        Ok(Call {
            path,
            inputs: count("inputs")?,
            outputs: count("outputs")?,
            lengths: options.flag("lengths")?,
            initial: count("initial")?,
            layers: layers.iter().map(|name| name.text("a layer's name").map(String::from)).collect::<Read<_>>()?,
        })
    }

    /// The number of its arrays.
    fn arrays(&self) -> usize {
        let counts = [self.inputs, self.outputs, self.initial, self.layers.len(), usize::from(self.lengths)];
        counts.into_iter().fold(0, usize::saturating_add)
    }

    /// The names of its arrays.
    fn tensors(&self) -> Vec<String> {
        let numbered = |what: &'static str, count: usize| (0..count).map(move |i| format!("{what}/{i}"));
        let all = numbered("inputs", self.inputs)
            .chain(numbered("outputs", self.outputs))
            .chain(numbered("initial", self.initial))
            .chain(self.lengths.then(|| "lengths".into()))
            .chain(self.layers.iter().map(|layer| format!("layers/{layer}")));
        all.map(|what| format!("{}/{what}", self.path)).collect()
    }

    /// Its arrays; floats are rounded to `T`.
    pub(super) fn example<T: Float>(&self, file: &Safetensors) -> Found<Example<T>> {
        let floats = |what: String| -> Found<ArrayD<T>> { numbers(file, &format!("{}/{what}", self.path)) };
        let input = |i: usize| -> Found<Values<T>> {
            let name = format!("{}/inputs/{i}", self.path);
            match file.form(&name).map(|(element, _)| element) {
                Some(Element::Integer { .. }) => Ok(Values::Integers(integers(file, &name)?)),
                Some(Element::Enumeration { .. }) => {
                    Ok(Values::Flags(numbers::<f32>(file, &name)?.mapv(|flag| flag != 0.0)))
                }
                _ => Ok(Values::Floats(numbers(file, &name)?)),
            }
        };
        let lengths = match self.lengths {
            false => None,
            true => {
                let name = format!("{}/lengths", self.path);
                let lengths = integers(file, &name)?;
                let length = |&length: &i64| usize::try_from(length).ok();
                let all: Option<Vec<usize>> = lengths.iter().map(length).collect();
                Some(all.ok_or_else(|| {
                    let (expected, found) = ("lengths of at least 0", format!("{lengths}"));
                    Problem::TensorType { tensor: name, expected, found }
                })?)
            }
        };
        Ok(Example {
            inputs: (0..self.inputs).map(input).collect::<Found<_>>()?,
            outputs: (0..self.outputs).map(|i| floats(format!("outputs/{i}"))).collect::<Found<_>>()?,
            lengths: lengths.map(Into::into),
            initial: (0..self.initial).map(|i| floats(format!("initial/{i}"))).collect::<Found<_>>()?,
            layers: self
                .layers
                .iter()
                .map(|layer| Ok((layer.clone(), floats(format!("layers/{layer}"))?)))
                .collect::<Found<_>>()?,
        })
    }
}

/// A tensor's numbers. That it is there has been checked.
fn numbers<T: Float>(file: &Safetensors, name: &str) -> Found<ArrayD<T>> {
    let missing = || Problem::UnknownTensor { name: name.into(), known: Vec::new() };
    file.tensor(name)?.ok_or_else(missing)?.array("", name, false)
}

/// A tensor's whole numbers: ids and lengths are far below 2^53, up to which an f64 holds all of them.
fn integers(file: &Safetensors, name: &str) -> Found<ArrayD<i64>> {
    Ok(numbers::<f64>(file, name)?.mapv(|number| number as i64))
}
