//! The simple recurrent cell (Elman 1990): the smallest whole example of a cell.

use super::builder::Recipe;
use super::built_in::{BuiltInCell, CellSpec, WeightSpec, cell_methods, debug_cell};
use super::by_kernel::ByKernel;
use super::gates::{Gates, GatesBackward, apply};
use super::{Cell, CellParts, FusedCell, Step, StepBackward};
use crate::float::Float;
use crate::gradients::WeightGradients;
use crate::kernels::SimpleRnnKernel;
use crate::kernels::backward::Form;
use crate::state::StateLayout;

/// One step of a SimpleRNN. Its state is `h`.
///
/// ```text
/// h' = activation(x K + h R + b)
/// ```
///
/// Weights: `kernel` (input_size, units), `recurrent_kernel` (units, units), `bias` (units). As a layer it is
/// [`SimpleRnn`](crate::SimpleRnn), Keras's `SimpleRNN`, with its defaults:
///
/// ```
/// use ndarray::prelude::*;
/// use recurrent::{Activation, Initializer, Layer, SimpleRnn};
/// let rnn = SimpleRnn::<f32>::builder(1, 1)
///     .kernel_initializer(Initializer::Ones)
///     .recurrent_initializer(Initializer::Ones)
///     .activation(Activation::Linear)
///     .return_sequences(true)
///     .build()?;
/// let output = rnn.forward(&Array3::ones((1, 4, 1)))?;
/// assert_eq!(output.sequence()?, array![[[1.0], [2.0], [3.0], [4.0]]]);
/// # Ok::<(), recurrent::Error>(())
/// ```
#[derive(Clone)]
pub struct SimpleRnnCell<T: Float = f32> {
    parts: CellParts<T, ()>,
    /// The weights again, in the order in which a step reads them.
    kernel: SimpleRnnKernel<T>,
}

impl<T: Float> BuiltInCell for SimpleRnnCell<T> {
    type Options = ();

    const COPIES_SEED: bool = false;
    const DROPOUT_SEED_FIRST: bool = true;

    fn gates(_: &()) -> usize {
        1
    }

    fn spec(input_size: usize, units: usize, _: &()) -> CellSpec {
        let state = StateLayout::new([("h", units)]);
        CellSpec { input_size, state, scratch: 0, tape: 0, backward_scratch: 2 * units }
    }

    fn weights(recipe: &Recipe<()>) -> Vec<WeightSpec> {
        vec![recipe.kernel(1), recipe.recurrent_kernel(recipe.units, 1), recipe.bias(&[recipe.units])]
    }

    fn forward(&self, step: Step<'_, T>) {
        let gates = Gates::new(&self.parts.weights, self.parts.units, step.x, step.prev, step.dropout);
        gates.preactivation(0, step.next);
        apply(&self.parts.activation, step.next);
    }

    /// ```text
    /// dz = activation'(z) dh'
    /// dh = dz R^T,  dx = dz K^T,  dK += x dz,  dR += h dz,  db += dz
    /// ```
    fn backward(&self, step: StepBackward<'_, T>, gradients: &mut WeightGradients<'_, T>) {
        let units = self.parts.units;
        step.d_x.fill(T::zero());
        step.d_prev.fill(T::zero());
        let (dz, buffer) = step.scratch[..2 * units].split_at_mut(units);
        dz.copy_from_slice(step.d_next);
        let gates = Gates::new(&self.parts.weights, units, step.x, step.prev, step.dropout);
        let mut gates = GatesBackward::new(gates, step.d_x, step.d_prev, gradients);
        gates.gate(0, &self.parts.activation, step.next, dz, buffer);
    }

    fn packed_len(recipe: &Recipe<()>) -> Option<usize> {
        SimpleRnnKernel::<T>::packed_len(recipe.input_size, recipe.units)
    }

    fn quantized_form(_: &()) -> Result<Form, &'static str> {
        Ok(Form::SimpleRnn)
    }

    fn assemble(parts: CellParts<T, ()>) -> Self {
        let kernel = SimpleRnnKernel::new(parts.spec.input_size, parts.units);
        let mut cell = SimpleRnnCell { parts, kernel };
        cell.pack();
        cell
    }

    fn pack(&mut self) {
        let (kernel, recurrent_kernel, bias) = self.parts.weights.three();
        self.kernel.pack(kernel, recurrent_kernel, bias);
    }

    fn parts(&self) -> &CellParts<T, ()> {
        &self.parts
    }
}

impl<T: Float> SimpleRnnCell<T> {
    #[inline]
    fn by_kernel(&self) -> ByKernel<'_, Self, SimpleRnnKernel<T>> {
        let CellParts { weights, activation, .. } = &self.parts;
        let (form, recurrent_activation) = (Form::SimpleRnn, activation);
        ByKernel { cell: self, kernel: &self.kernel, form, weights, activation, recurrent_activation }
    }
}

impl<T: Float> Cell for SimpleRnnCell<T> {
    cell_methods!();

    fn step(&self, step: Step<'_, T>) {
        let mut own = Vec::new();
        if let Some(step) = step.fitted(self, self.parts.units, &mut own) {
            self.by_kernel().step(step);
        }
    }

    #[inline]
    fn fused(&self) -> impl FusedCell<Elem = T> {
        self.by_kernel()
    }
}

debug_cell!(SimpleRnnCell);
