//! The independently recurrent cell (Li et al. 2018): each unit hears only itself.

use super::builder::Recipe;
use super::built_in::{BuiltInCell, CellParts, CellSpec, WeightSpec, cell_methods, debug_cell};
use super::gates::{Gates, GatesBackward, apply, parts, through_activation};
use super::weights::RECURRENT_KERNEL;
use super::{Cell, Step, StepBackward};
use crate::float::Float;
use crate::gradients::WeightGradients;
use crate::initializers::Initializer;
use crate::state::StateLayout;

/// One step of an IndRNN. Its state is `h`; the product with `u` is unit by unit.
///
/// ```text
/// h' = activation(x K + u h + b)
/// ```
///
/// Weights: `kernel` (input_size, units), `recurrent_kernel` (units), which is u, and `bias` (units). As a layer it is
/// [`IndRnn`](crate::IndRnn), with a SimpleRNN's defaults but that of u, a vector: uniform between -1 and 1, so that
/// no unit grows. The paper's activation is relu. `recurrent_dropout` drops h as a SimpleRNN's does.
///
/// ```
/// use ndarray::prelude::*;
/// use recurrent::{Activation, IndRnn, Initializer, Layer};
/// let rnn = IndRnn::<f32>::builder(1, 2)
///     .kernel_initializer(Initializer::Ones)
///     .recurrent_initializer(Initializer::Constant { value: 0.5 })
///     .activation(Activation::Relu)
///     .return_sequences(true)
///     .build()?;
/// let output = rnn.forward(&Array3::ones((1, 3, 1)))?;
/// assert_eq!(output.sequence()?, array![[[1.0, 1.0], [1.5, 1.5], [1.75, 1.75]]]);
/// # Ok::<(), recurrent::Error>(())
/// ```
#[derive(Clone)]
pub struct IndRnnCell<T: Float = f32> {
    parts: CellParts<T, ()>,
}

impl<T: Float> BuiltInCell for IndRnnCell<T> {
    type Options = ();

    fn gates(_: &()) -> usize {
        1
    }

    fn spec(input_size: usize, units: usize, _: &()) -> CellSpec {
        let state = StateLayout::new([("h", units)]);
        CellSpec { input_size, state, scratch: 0, tape: 0, backward_scratch: 2 * units }
    }

    fn weights(recipe: &Recipe<()>) -> Vec<WeightSpec> {
        let uniform = Initializer::RandomUniform { minval: -1.0, maxval: 1.0, seed: None };
        let recurrent = recipe.recurrent_initializer.as_ref().unwrap_or(&uniform);
        let recurrent = WeightSpec::new("recurrent_kernel", &[recipe.units], recurrent);
        vec![recipe.kernel(1), recurrent, recipe.bias(&[recipe.units])]
    }

    fn forward(&self, step: Step<'_, T>) {
        let gates = Gates::new(&self.parts.weights, self.parts.units, step.x, step.prev, step.dropout);
        self.preactivation(&gates, step.next);
        apply(&self.parts.activation, step.next);
    }

    /// ```text
    /// dz = activation'(z) dh'
    /// dh = u dz,  dx = dz K^T,  dK += x dz,  du += h dz,  db += dz
    /// ```
    fn backward(&self, step: StepBackward<'_, T>, gradients: &mut WeightGradients<'_, T>) {
        let CellParts { units, weights, activation, .. } = &self.parts;
        step.d_x.fill(T::zero());
        step.d_prev.fill(T::zero());
        let [dz, buffer] = parts(step.scratch, *units);
        dz.copy_from_slice(step.d_next);
        let gates = Gates::new(weights, *units, step.x, step.prev, step.dropout);
        through_activation(activation, step.next, dz, buffer, |z| self.preactivation(&gates, z));
        let recurrent_kernel = weights.always(RECURRENT_KERNEL);
        let gradient = gradients.slice(RECURRENT_KERNEL);
        for unit in 0..*units {
            gradient[unit] += gates.masked_h(0, unit) * dz[unit];
        }
        let mut gates = GatesBackward::new(gates, step.d_x, step.d_prev, gradients);
        for unit in 0..*units {
            gates.add_to_h(0, unit, recurrent_kernel[unit] * dz[unit]);
        }
        gates.input_product(0, dz);
    }

    fn assemble(parts: CellParts<T, ()>) -> Self {
        IndRnnCell { parts }
    }

    fn parts(&self) -> &CellParts<T, ()> {
        &self.parts
    }
}

impl<T: Float> IndRnnCell<T> {
    fn preactivation(&self, gates: &Gates<'_, T>, z: &mut [T]) {
        gates.x_part(0, z);
        for (unit, (z, &u)) in z.iter_mut().zip(self.parts.weights.always(RECURRENT_KERNEL)).enumerate() {
            *z += u * gates.masked_h(0, unit);
        }
    }
}

impl<T: Float> Cell for IndRnnCell<T> {
    cell_methods!(without kernel);
}

debug_cell!(IndRnnCell);
