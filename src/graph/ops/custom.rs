//! A layer of the program's own: a closure in the place of an operation.

mod trial;

use std::error::Error as StdError;
use std::fmt;
use std::sync::{Arc, Mutex};

use ndarray::{ArrayD, ArrayViewD};

use self::trial::Trial;
use crate::config::{Config, ConfigError, Entry, Value as ConfigValue};
use crate::error::{Error, Result};
use crate::float::Float;
use crate::graph::gradients::GradientSums;
#[cfg(feature = "keras")]
use crate::graph::operation::misfit;
use crate::graph::operation::{Back, Call, Flow, Operation, OverTime};
use crate::graph::shape::{Misfit, Shape, display, known};
use crate::graph::stream::{Gives, Step};
use crate::graph::tensor::{Shared, Tensor, Value};

/// What a closure's error may be.
pub(crate) type BoxError = Box<dyn StdError + Send + Sync>;

type Forward<T> =
    dyn Fn(&[ArrayViewD<'_, T>], &[Option<ArrayViewD<'_, bool>>]) -> Result<ArrayD<T>, BoxError> + Send + Sync;
type Backward<T> = dyn Fn(&[ArrayViewD<'_, T>], ArrayViewD<'_, T>) -> Result<Vec<ArrayD<T>>, BoxError> + Send + Sync;

/// A layer of your own: a closure from its inputs to one output, with the batch first. It goes into
/// [`ModelBuilder::call`](crate::builder::ModelBuilder::call), and, with the feature `keras`, into the place of a layer
/// that a file can't say (`keras::Options::custom_layer`).
///
/// The shape of the output is found by a trial on zeros when the model is made (two trials where the number of steps
/// isn't known, of 64 and 81 steps), unless [`output_shape`](CustomLayer::output_shape) states it. Integers and flags
/// come as floats. Rows must not depend on each other. An error of the closure's is an
/// [`Error::CustomFailed`] of its layer's; a panic is handed on.
///
/// ```
/// use ndarray::prelude::*;
/// use recurrent::{Gru, Model, ops::CustomLayer};
/// let mut graph = Model::<f32>::builder("gated");
/// let x = graph.input("x", [None, Some(4)])?;
/// let h = graph.call("gru", Gru::builder(4, 4).return_sequences(true).build()?, &[x])?;
/// let gate = CustomLayer::new(|inputs| Ok(&inputs[0] * &inputs[1]))
///     .backward(|inputs, d| Ok(vec![&d * &inputs[1], &d * &inputs[0]]))
///     .per_step();
/// let gated = graph.call("gate", gate, &[x, h[0]])?;
/// let model = graph.build(&gated)?;
/// assert_eq!(model.predict_one(&Array3::<f32>::ones((2, 5, 4)))?.shape(), [2, 5, 4]);
/// # Ok::<(), recurrent::Error>(())
/// ```
#[derive(Clone)]
#[must_use = "setters return the layer"]
pub struct CustomLayer<T: Float = f32> {
    forward: Arc<Forward<T>>,
    backward: Option<Arc<Backward<T>>>,
    /// The stated shape, without the batch.
    output_shape: Option<Shape>,
    /// Whether the mask goes on, where that is said.
    keeps_mask: Option<bool>,
    reads_masks: bool,
    over_time: OverTime,
    /// Whether it takes one input.
    of_one: bool,
    trials: Arc<Mutex<Vec<Trial>>>,
    /// What stands for it in the file that it came by.
    entry: Option<Arc<Entry>>,
}

impl<T: Float> CustomLayer<T> {
    /// A layer of any number of inputs.
    pub fn new(forward: impl Fn(&[ArrayViewD<'_, T>]) -> Result<ArrayD<T>, BoxError> + Send + Sync + 'static) -> Self {
        CustomLayer::with_masks(move |inputs, _| forward(inputs)).reading(false)
    }

    /// A layer of one input.
    pub fn of_one(forward: impl Fn(ArrayViewD<'_, T>) -> Result<ArrayD<T>, BoxError> + Send + Sync + 'static) -> Self {
        let forward = CustomLayer::new(move |inputs| match inputs {
            [x] => forward(x.view()),
            // The shapes of the inputs have been looked at.
            _ => Err("it takes one input".into()),
        });
        CustomLayer { of_one: true, ..forward }
    }

    /// A layer that reads the mask of each input, too: what Keras hands to the argument `mask` of a layer's `call`. True
    /// is live; an input without a mask has none.
    pub fn with_masks(
        forward: impl Fn(&[ArrayViewD<'_, T>], &[Option<ArrayViewD<'_, bool>>]) -> Result<ArrayD<T>, BoxError>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        CustomLayer {
            forward: Arc::new(forward),
            backward: None,
            output_shape: None,
            keeps_mask: None,
            reads_masks: true,
            over_time: OverTime::Whole,
            of_one: false,
            trials: Arc::default(),
            entry: None,
        }
    }

    fn reading(self, masks: bool) -> Self {
        CustomLayer { reads_masks: masks, ..self }
    }

    /// The backward pass: from the inputs and the gradient of the output to the gradient of each input. Without it a
    /// model with this layer can't be trained ([`Error::CustomNoBackward`]).
    pub fn backward(
        mut self,
        backward: impl Fn(&[ArrayViewD<'_, T>], ArrayViewD<'_, T>) -> Result<Vec<ArrayD<T>>, BoxError>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        self.backward = Some(Arc::new(backward));
        self
    }

    /// States the shape of the output, without the batch, as Keras's `output_shape`; `None` is any size. There is no
    /// trial then.
    pub fn output_shape(mut self, shape: impl AsRef<[Option<usize>]>) -> Self {
        self.output_shape = Some(shape.as_ref().to_vec());
        self
    }

    /// The mask of the first input goes on with the output: Keras's `supports_masking`. So it is unless something else
    /// is said; but a `Lambda` of a file without a `mask` drops it, as in Keras.
    pub fn keeps_mask(mut self) -> Self {
        self.keeps_mask = Some(true);
        self
    }

    /// No mask goes on with the output.
    pub fn drops_mask(mut self) -> Self {
        self.keeps_mask = Some(false);
        self
    }

    /// Each step of (batch, timesteps, ..) is made of the same step alone, so that a stream may call the closure with
    /// one step at a time. Such a stream allocates in each step: the closure makes a new array.
    pub fn per_step(mut self) -> Self {
        self.over_time = OverTime::Alone;
        self
    }

    /// The output, which is no sequence, is made of the last step of the inputs alone, so that a stream may call the
    /// closure with one step at a time, the newest one.
    pub fn of_last_step(mut self) -> Self {
        self.over_time = OverTime::Last;
        self
    }

    /// The same for another layer, with what stands for it in a file. `keeps_mask`: whether the mask goes on if nothing
    /// is said.
    #[cfg(feature = "keras")]
    pub(crate) fn in_place_of(&self, entry: Entry, keeps_mask: bool) -> Self {
        CustomLayer {
            keeps_mask: self.keeps_mask.or(Some(keeps_mask)),
            trials: Arc::default(),
            entry: Some(Arc::new(entry)),
            ..self.clone()
        }
    }

    /// Whether it is said that the mask goes on, or that it doesn't.
    #[cfg(feature = "keras")]
    pub(crate) fn says_of_mask(&self) -> bool {
        self.keeps_mask.is_some()
    }

    /// Calls the closure, whose output must have the shape that was found or stated.
    fn call(&self, inputs: &[Shared<T>], masks: &[Option<ArrayViewD<'_, bool>>]) -> Result<ArrayD<T>> {
        let views: Vec<ArrayViewD<'_, T>> = inputs.iter().map(|input| input.view()).collect();
        let output = (self.forward)(&views, masks).map_err(failed)?;
        let shapes: Vec<Shape> = inputs.iter().map(|input| known(input.shape())).collect();
        let expected = self.shape(&shapes).map_err(|misfit| Error::ModelCall {
            layer: String::new(),
            expected: misfit.expected,
            given: misfit.found,
        })?;
        fits("its output", &expected, &output)?;
        Ok(output)
    }
}

/// The error of a closure's error.
fn failed(error: BoxError) -> Error {
    match error.downcast::<Error>() {
        Ok(own) => *own,
        Err(error) => Error::CustomFailed { reason: error.to_string() },
    }
}

/// Checks the shape of what a closure gave.
fn fits<T>(what: &'static str, expected: &[Option<usize>], given: &ArrayD<T>) -> Result<()> {
    let same = |(expected, given): (&Option<usize>, &usize)| expected.is_none_or(|expected| expected == *given);
    if expected.len() == given.ndim() && expected.iter().zip(given.shape()).all(same) {
        return Ok(());
    }
    Err(Error::CustomShape { what, expected: display(expected), given: given.shape().to_vec() })
}

impl<T: Float> Operation<T> for CustomLayer<T> {
    fn boxed_clone(&self) -> Box<dyn Operation<T>> {
        Box::new(self.clone())
    }

    fn describe(&self) -> std::result::Result<Config, ConfigError> {
        match &self.entry {
            Some(entry) => Ok(Config::new(Entry::CLASS).with(Entry::CLASS, ConfigValue::Entry(Arc::clone(entry)))),
            None => Err(ConfigError::custom("layer", "CustomLayer")),
        }
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Misfit> {
        Ok(vec![self.shape(inputs)?])
    }

    fn takes_mask(&self) -> bool {
        self.reads_masks
    }

    fn reads_or_loses_mask(&self) -> bool {
        self.reads_masks || self.keeps_mask == Some(false)
    }

    fn run(&self, inputs: &[&Tensor<T>], call: Call<'_, T>) -> Result<Vec<Tensor<T>>> {
        let values: Vec<Shared<T>> = inputs.iter().map(|input| input.value.floats()).collect();
        // A mask that the call names stands in the place of the first input's.
        let named = call.mask.as_ref().map(|mask| mask.flags().view());
        let others = inputs.iter().skip(1).map(|input| input.mask.as_ref().map(|mask| mask.flags().view()));
        let masks: Vec<_> = [named].into_iter().chain(others).collect();
        let output = self.call(&values, &masks)?;
        let mask = call.passes.filter(|_| self.keeps_mask != Some(false));
        Ok(vec![Tensor { value: Value::Float(output.into_shared()), mask }])
    }

    fn backward(&self, mut back: Back<'_, T>, _sums: GradientSums<'_, T>) -> Result<Vec<Flow<T>>> {
        let Some(backward) = &self.backward else { return Err(Error::CustomNoBackward) };
        let d = back.of_output()?;
        let inputs: Vec<Shared<T>> = back.record.inputs.iter().map(Value::floats).collect();
        let views: Vec<ArrayViewD<'_, T>> = inputs.iter().map(|input| input.view()).collect();
        let gradients = backward(&views, d.view()).map_err(failed)?;
        if gradients.len() != inputs.len() {
            return Err(Error::CustomGradients { expected: inputs.len(), given: gradients.len() });
        }
        for (input, gradient) in inputs.iter().zip(&gradients) {
            fits("the gradient of an input", &known(input.shape()), gradient)?;
        }
        Ok(gradients.into_iter().map(Some).collect())
    }

    fn step(&self, mut step: Step<'_, T>) -> Result<()> {
        let values: Vec<Shared<T>> = step.inputs().map(|(input, _)| input.value().floats()).collect();
        let first = step.mask();
        let others = step.inputs().skip(1).map(|(_, mask)| mask);
        let masks: Vec<_> = [first].into_iter().chain(others).map(|mask| mask.map(|mask| mask.flags.view())).collect();
        let output = self.call(&values, &masks)?;
        let to = step.output();
        fits("its output of one step", &known(to.shape()), &output)?;
        to.set(&Value::Float(output.into_shared()))
    }

    fn can_train(&self) -> Result<()> {
        if self.backward.is_some() { Ok(()) } else { Err(Error::CustomNoBackward) }
    }

    fn steps_alone(&self) -> bool {
        self.over_time == OverTime::Alone
    }

    fn over_time(&self, _ranks: &[usize]) -> OverTime {
        self.over_time
    }

    fn pace(&mut self, each_step: bool) -> Result<Gives, &'static str> {
        if each_step { Err(NOT_PER_STEP) } else { Ok(Gives::EachStep) }
    }
}

const NOT_PER_STEP: &str =
    "its code takes whole sequences: say CustomLayer::per_step or of_last_step if it looks at one step at a time";

impl<T: Float> fmt::Debug for CustomLayer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CustomLayer")
            .field("backward", &self.backward.is_some())
            .field("output_shape", &self.output_shape)
            .field("keeps_mask", &self.keeps_mask)
            .field("over_time", &self.over_time)
            .finish_non_exhaustive()
    }
}

/// What stands in the place of a layer that has no code, to find out what it is called on.
#[cfg(feature = "keras")]
#[derive(Debug, Clone)]
pub(crate) struct Probe {
    /// Whether the layer has tensors.
    pub(crate) tensors: bool,
}

#[cfg(feature = "keras")]
impl Probe {
    /// What it says that it reads.
    const READS: [&'static str; 2] = ["nothing: it has no code", "nothing: it has tensors and no code"];

    /// Whether the layer has tensors, if it is one that says this.
    pub(crate) fn tensors(reads: &str) -> Option<bool> {
        Probe::READS.iter().position(|own| *own == reads).map(|at| at == 1)
    }
}

#[cfg(feature = "keras")]
impl<T: Float> Operation<T> for Probe {
    fn boxed_clone(&self) -> Box<dyn Operation<T>> {
        Box::new(self.clone())
    }

    fn describe(&self) -> std::result::Result<Config, ConfigError> {
        Err(ConfigError::custom("layer", "Probe"))
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Misfit> {
        crate::graph::shape::misfit(Probe::READS[usize::from(self.tensors)], inputs)
    }

    fn run(&self, _inputs: &[&Tensor<T>], _call: Call<'_, T>) -> Result<Vec<Tensor<T>>> {
        Err(misfit())
    }

    fn backward(&self, _back: Back<'_, T>, _sums: GradientSums<'_, T>) -> Result<Vec<Flow<T>>> {
        Err(misfit())
    }

    fn step(&self, _step: Step<'_, T>) -> Result<()> {
        Err(misfit())
    }
}
