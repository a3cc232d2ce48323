//! Examples in a file: inputs with the outputs that another program computed, so that whoever has the file can check
//! that it gives them here.

mod compare;
mod outputs;
#[cfg(feature = "pytorch")]
mod pytorch;
mod stored;
mod verification;

use ndarray::{Array1, Array2, ArrayD};

pub(super) use self::outputs::{of_embedding, of_layer, of_model, of_quantized_embedding};
pub(super) use self::stored::{Described, METADATA};
pub(super) use self::verification::of_loaded;
pub use self::verification::{Verification, VerifiedPart, verify, verify_with};

use super::saved::Saved;
use crate::float::Float;
use crate::formats::error::{Found, Problem};
use crate::formats::safetensors::Values;
use crate::graph::Input;
use crate::graph::tensor::Value;
use crate::state::State;

/// Examples of what a layer or a model gives, to be saved with it by
/// [`save_with_examples`](super::save_with_examples).
///
/// ```
/// use ndarray::prelude::*;
/// use recurrent::file::{self, Example, Examples};
/// use recurrent::{Layer, SimpleRnn};
/// # let folder = std::env::temp_dir().join(format!("recurrent-doc-examples-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder)?;
/// # let path = folder.join("rnn.safetensors");
/// let mut rnn = SimpleRnn::<f64>::new(1, 1);
/// rnn.set_weights(&[("kernel", array![[1.0]].view().into_dyn())])?;
/// rnn.set_weights(&[("recurrent_kernel", array![[0.5]].view().into_dyn())])?;
/// // tanh(1), then tanh(2 + tanh(1) / 2), by a pocket calculator.
/// let (x, y) = (array![[[1.0], [2.0]]], array![[0.983_041_1]]);
/// let examples = Examples::by("a pocket calculator").tolerance(1e-6).add(Example::new(&[(&x).into()], &[(&y).into()]));
/// file::save_with_examples(&path, &rnn, &examples)?;
/// assert_eq!(file::verify(&path)?.to_string(), "matches a pocket calculator to 1.2e-9 on 1 example");
/// # std::fs::remove_dir_all(&folder)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[must_use = "examples do nothing until they are saved"]
pub struct Examples<T> {
    by: String,
    tolerance: f64,
    examples: Vec<Example<T>>,
}

impl<T: Float> Examples<T> {
    /// No examples yet, of what someone computed: a program with its version (`Keras 3.15.1`).
    pub fn by(program: impl Into<String>) -> Self {
        Examples { by: program.into(), tolerance: default_tolerance::<T>(), examples: Vec::new() }
    }

    /// The largest difference that there may be, relative to the largest number of each output, or absolute if that
    /// is below one. By default 1e-5 for f32, 1e-12 for f64.
    pub fn tolerance(mut self, tolerance: f64) -> Self {
        self.tolerance = tolerance;
        self
    }

    /// One more call.
    #[expect(clippy::should_implement_trait, reason = "it isn't a sum")]
    pub fn add(mut self, example: Example<T>) -> Self {
        self.examples.push(example);
        self
    }

    /// Checks that they are what it gives here.
    pub(super) fn check<S: Saved<Elem = T>>(&self, thing: &S) -> Found<()> {
        let by = (&self.by[..], self.tolerance);
        if !(self.tolerance.is_finite() && self.tolerance >= 0.0) {
            let (layer, option) = (String::new(), "tolerance".into());
            let (expected, found) = ("a finite number of at least 0".into(), self.tolerance.to_string());
            return Err(Problem::Config { layer, option, expected, found });
        }
        for (number, example) in self.examples.iter().enumerate() {
            compare::check(example, number, by, |watch| thing.outputs_of(example, watch))?;
        }
        Ok(())
    }
}

fn default_tolerance<T>() -> f64 {
    if size_of::<T>() == 4 { 1e-5 } else { 1e-12 }
}

/// One call: what went in, and what came out.
///
/// Of a model, all inputs and all outputs in their order; of a layer, its sequence if it returns sequences, or else its
/// last output (of a [`Bidirectional`](crate::Bidirectional) that doesn't merge: of both directions), then the values
/// of its state ([`State::values`]) if it returns that; of an [`Embedding`](crate::Embedding), ids and what
/// [`forward`](crate::Embedding::forward) makes of them.
#[derive(Debug, Clone, PartialEq)]
#[must_use = "an example does nothing until it is added to others"]
pub struct Example<T> {
    pub(super) inputs: Vec<Values<T>>,
    pub(super) outputs: Vec<ArrayD<T>>,
    pub(super) lengths: Option<Array1<usize>>,
    pub(super) initial: Vec<ArrayD<T>>,
    /// What layers of the model gave on the way, by their names.
    pub(super) layers: Vec<(String, ArrayD<T>)>,
}

impl<T: Float> Example<T> {
    /// A call on these inputs that gave these outputs.
    pub fn new(inputs: &[Input<'_, T>], outputs: &[Input<'_, T>]) -> Self {
        Example {
            inputs: inputs.iter().map(values).collect(),
            outputs: outputs.iter().map(|output| floats(values(output))).collect(),
            lengths: None,
            initial: Vec::new(),
            layers: Vec::new(),
        }
    }

    /// The number of steps of each row, for a layer: see [`Run::lengths`](crate::Run::lengths).
    pub fn lengths(mut self, lengths: &[usize]) -> Self {
        self.lengths = Some(lengths.to_vec().into());
        self
    }

    /// The state that the call began with, for a layer.
    pub fn initial_state(mut self, state: &State<T>) -> Self {
        self.initial = vec![state.values().to_owned().into_dyn()];
        self
    }

    /// What a layer of the model gave on the way: where outputs differ, the first layer that differs is named.
    pub fn layer<'a>(mut self, name: impl Into<String>, output: impl Into<Input<'a, T>>) -> Self {
        self.layers.push((name.into(), floats(values(&output.into()))));
        self
    }

    /// The rows of the batch.
    fn rows(&self) -> usize {
        let shape = match self.inputs.first() {
            Some(Values::Floats(array)) => array.shape(),
            Some(Values::Integers(array)) => array.shape(),
            Some(Values::Flags(array)) => array.shape(),
            None => &[],
        };
        shape.first().copied().unwrap_or(0)
    }
}

fn values<T: Float>(input: &Input<'_, T>) -> Values<T> {
    match input.value() {
        Value::Float(array) => Values::Floats(array.into_owned()),
        Value::Int(array) => Values::Integers(array.into_owned()),
        Value::Bool(array) => Values::Flags(array.into_owned()),
    }
}

/// Outputs are numbers of the model's type.
fn floats<T: Float>(values: Values<T>) -> ArrayD<T> {
    match values {
        Values::Floats(array) => array,
        Values::Integers(array) => array.mapv(|number| T::from_f64(number as f64)),
        Values::Flags(array) => array.mapv(|flag| if flag { T::one() } else { T::zero() }),
    }
}

/// The initial state of a call on a layer.
fn initial<T: Float>(example: &Example<T>, state: &mut State<T>) -> bool {
    let Some(values) = example.initial.first().and_then(|values| values.view().into_dimensionality().ok()) else {
        return false;
    };
    let values: Array2<T> = values.to_owned();
    let fits = values.dim() == state.values().dim();
    if fits {
        state.as_mut_slice().iter_mut().zip(&values).for_each(|(to, &value)| *to = value);
    }
    fits
}
