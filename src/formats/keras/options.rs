//! How to read a file.

use std::any::Any;
use std::error::Error;
use std::fmt;

use ndarray::{ArrayD, ArrayViewD};

use super::Limits;
use super::own_code::{Code, LayerConfig, LayerTensors};
use crate::cells::Cell;
use crate::float::Float;
use crate::formats::error::{Found, Problem};
use crate::graph::ops::custom::CustomLayer;

/// How to read a file: one value for everything that a caller can choose.
///
/// ```no_run
/// use recurrent::keras::{self, Options};
/// // A model that was trained on a graphics card with `mixed_float16`.
/// let model = keras::load_with::<f32>("mixed.keras", &Options::new().half_as_f32(true))?;
/// # Ok::<(), keras::LoadError>(())
/// ```
///
/// # What a file can't say
///
/// A `Lambda` and a layer class of one's own are Python code, which is never run: code of the program's takes their
/// place, under the layer's **name** ([`layer`](Options::layer), [`custom_layer`](Options::custom_layer),
/// [`layer_from`](Options::layer_from); for cells inside `RNN` [`cell`](Options::cell)).
///
/// ```no_run
/// use ndarray::prelude::*;
/// use recurrent::keras;
/// let options = keras::Options::<f32>::new()
///     .layer("last_step", |x| Ok(x.index_axis(Axis(1), x.len_of(Axis(1)) - 1).to_owned()));
/// let model = keras::load_with::<f32>("with_lambda.keras", &options)?;
/// # Ok::<(), keras::LoadError>(())
/// ```
///
/// A name is a layer's path (`encoder/scale`; of what is inside a wrapper `time_distributed/scale`), its own name, its
/// class, or the name that its class is registered by (`package>Scale`, or `Scale`): if several fit one layer, the first
/// of these. A class stands for all its layers. A name that the file doesn't have is an error that lists those there are.
/// Any layer can be replaced, an operation between layers too, but for inputs; all that stands in it (a whole model, a
/// wrapper) goes with it.
#[must_use = "options do nothing until a call gets them"]
pub struct Options<T: Float = f32> {
    pub(super) settings: Settings,
    pub(super) code: Code<T>,
}

/// What has nothing to do with the type of the numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) limits: Limits,
    pub(super) sha256: Option<String>,
    pub(super) finite_only: bool,
    pub(super) half_as_f32: bool,
    pub(super) behind: Vec<String>,
}

impl<T: Float> Options<T> {
    /// The default limits, no expected digest, any numbers, nothing in half precision, no code.
    pub fn new() -> Self {
        Options { settings: Settings::default(), code: Code::default() }
    }

    /// What the file may ask for.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.settings.limits = limits;
        self
    }

    /// The SHA-256 that the file must have, in hexadecimal digits: what `sha256sum` prints.
    pub fn sha256(mut self, digest: impl Into<String>) -> Self {
        self.settings.sha256 = Some(digest.into());
        self
    }

    /// Whether to refuse weights that are NaN or infinite.
    pub fn refuse_non_finite(mut self, yes: bool) -> Self {
        self.settings.finite_only = yes;
        self
    }

    /// Whether layers whose policy is `mixed_float16`, `mixed_bfloat16`, `float16` or `bfloat16` are read, to compute
    /// in f32 (or in f64, if the model is loaded so). Without it they are refused.
    ///
    /// The numbers are those that Keras computes with the same weights and the policy `float32`. From what Keras
    /// computes with the file's own policy they differ by what 16 bits lose there: relative to the size of the outputs,
    /// some 1e-3 with `mixed_float16`, some 1e-2 with `mixed_bfloat16`, more where errors grow over many steps.
    pub fn half_as_f32(mut self, yes: bool) -> Self {
        self.settings.half_as_f32 = yes;
        self
    }

    /// Begins the model behind a layer that reads its inputs: what that gave is an input, under the layer's name, in its
    /// place. Models of text begin with a `TextVectorization` or a `StringLookup`, and no array holds texts: with this
    /// they read ids, which the program makes with the layer's [`vocabulary`](super::vocabulary). Of several such layers
    /// each is named.
    ///
    /// Functional models of Keras 3 can begin behind any of these two that reads an input, and behind a `Hashing`; a
    /// `Sequential` behind its first layer, if that is one of the two.
    pub fn start_behind(mut self, layer: &str) -> Self {
        self.settings.behind.push(layer.into());
        self
    }

    /// A closure in the place of a layer of one input: from an array with the batch first to another one. See
    /// [`CustomLayer`](crate::ops::CustomLayer) for what becomes of it, and [`custom_layer`](Options::custom_layer) for
    /// more to be said; of several closures under one name the last one counts.
    pub fn layer(
        self,
        name: &str,
        forward: impl Fn(ArrayViewD<'_, T>) -> Result<ArrayD<T>, Box<dyn Error + Send + Sync>> + Send + Sync + 'static,
    ) -> Self {
        self.custom_layer(name, CustomLayer::of_one(forward))
    }

    /// A layer of one's own in the place of one of the file: of several inputs (in the order of the call's arguments,
    /// those by name behind the others, in the order of their names), with a backward pass, declared per step.
    ///
    /// ```no_run
    /// use ndarray::prelude::*;
    /// use recurrent::{keras, ops::CustomLayer};
    /// let gate = CustomLayer::new(|inputs| Ok(&inputs[0] * &inputs[1]))
    ///     .backward(|inputs, d| Ok(vec![&d * &inputs[1], &d * &inputs[0]]))
    ///     .per_step();
    /// let options = keras::Options::<f32>::new().custom_layer("gate", gate);
    /// let model = keras::load_with("gated.keras", &options)?;
    /// # Ok::<(), keras::LoadError>(())
    /// ```
    pub fn custom_layer(mut self, name: &str, layer: CustomLayer<T>) -> Self {
        self.code.add_layer(name, move |_, _| Ok(layer.clone()));
        self
    }

    /// The same for a layer with options or weights in the file, of which it is made: its `get_config()`, and its
    /// tensors. A tensor that isn't asked for is an error. The tensors stay what they are: they aren't trained here.
    ///
    /// ```no_run
    /// use recurrent::{keras, ops::CustomLayer};
    /// let options = keras::Options::<f32>::new().layer_from("Scale", |config, tensors| {
    ///     let (power, scale) = (config.number("power")? as f32, tensors.get("vars/0")?);
    ///     Ok(CustomLayer::of_one(move |x| Ok(x.mapv(|x: f32| x.powf(power)) * &scale)).per_step())
    /// });
    /// let model = keras::load_with("scaled.keras", &options)?;
    /// # Ok::<(), keras::LoadError>(())
    /// ```
    pub fn layer_from(
        mut self,
        name: &str,
        make: impl Fn(&LayerConfig<'_>, &LayerTensors<'_, T>) -> Result<CustomLayer<T>, Box<dyn Error + Send + Sync>>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        self.code.add_layer(name, make);
        self
    }

    /// A [`Cell`] in the place of one inside `RNN`, made of its `get_config()` and its tensors. It is known by its path,
    /// its name or its class, as layers are.
    ///
    /// ```no_run
    /// # use ndarray::prelude::*;
    /// # use recurrent::{Cell, StateLayout, WeightVisitor, WeightVisitorMut, cell::Step};
    /// # #[derive(Debug, Clone)]
    /// # struct Smooth { rate: Array1<f32> }
    /// # impl Cell for Smooth {
    /// #     type Elem = f32;
    /// #     fn input_size(&self) -> usize { self.rate.len() }
    /// #     fn state_layout(&self) -> StateLayout { StateLayout::new([("h", self.rate.len())]) }
    /// #     fn step(&self, step: Step<'_, f32>) {
    /// #         for (j, next) in step.next.iter_mut().enumerate() {
    /// #             *next = step.prev[j] + self.rate[j] * (step.x[j] - step.prev[j]);
    /// #         }
    /// #     }
    /// #     fn visit_weights<'a>(&'a self, visitor: &mut WeightVisitor<'_, 'a, f32>) {
    /// #         visitor.weight("rate", &self.rate);
    /// #     }
    /// #     fn visit_weights_mut(&mut self, visitor: &mut WeightVisitorMut<'_, f32>) {
    /// #         visitor.weight("rate", &mut self.rate);
    /// #     }
    /// # }
    /// use recurrent::keras;
    /// let options = keras::Options::<f32>::new().cell("SmoothCell", |_config, tensors| {
    ///     Ok(Smooth { rate: tensors.get("vars/0")?.into_dimensionality()? })
    /// });
    /// let model = keras::load_with("smooth.keras", &options)?;
    /// # Ok::<(), keras::LoadError>(())
    /// ```
    pub fn cell<C: Cell<Elem = T>>(
        mut self,
        name: &str,
        make: impl Fn(&LayerConfig<'_>, &LayerTensors<'_, T>) -> Result<C, Box<dyn Error + Send + Sync>>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        self.code.add_cell(name, make);
        self
    }

    /// The same without code, as files are opened.
    pub(super) fn without_code(&self) -> Options {
        Options { settings: self.settings.clone(), code: Code::default() }
    }

    /// The same options for numbers of another type, if no code of this type stands in the way.
    pub(super) fn of_type<U: Float>(&self) -> Found<Options<U>> {
        if let Some(same) = (self as &dyn Any).downcast_ref::<Options<U>>() {
            return Ok(same.clone());
        }
        match self.code.is_empty() {
            true => Ok(Options { settings: self.settings.clone(), code: Code::default() }),
            false => Err(Problem::CodeType { code: super::type_name::<T>(), model: super::type_name::<U>() }),
        }
    }
}

impl<T: Float> Default for Options<T> {
    fn default() -> Self {
        Options::new()
    }
}

impl<T: Float> Clone for Options<T> {
    fn clone(&self) -> Self {
        Options { settings: self.settings.clone(), code: self.code.clone() }
    }
}

impl<T: Float> fmt::Debug for Options<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options").field("settings", &self.settings).field("code", &self.code).finish()
    }
}

/// All code, of whatever type.
pub(super) trait AnyCode {
    fn as_any(&self) -> &dyn Any;

    /// The names of layers, and those of cells.
    fn names(&self) -> [Vec<&str>; 2];
}
