//! A gate, `activation(x K + h R + b)`, forward and backward, as plain loops over one row: what the cells' equations
//! are written with. Gates stand side by side in the columns of the weights; a gate is named by its place there.

use super::StepDropout;
use super::weights::{BIAS, KERNEL, RECURRENT_KERNEL, Weights};
use crate::activation::Activation;
use crate::float::Float;
use crate::gradients::WeightGradients;
use crate::kernels::activate::{activate, activate_backward, reads_preactivation};
use crate::kernels::isa::Isa;

/// What the gates of one row of one step read.
#[derive(Clone, Copy)]
pub(super) struct Gates<'a, T: Float> {
    weights: &'a Weights<T>,
    x: &'a [T],
    /// The hidden state before the step.
    h: &'a [T],
    dropout: StepDropout<'a, T>,
    /// The columns of a gate, and of all gates.
    units: usize,
    columns: usize,
}

impl<'a, T: Float> Gates<'a, T> {
    /// `h` is the hidden state before the step, `units` the columns of a gate.
    pub(super) fn new(
        weights: &'a Weights<T>,
        units: usize,
        x: &'a [T],
        h: &'a [T],
        dropout: StepDropout<'a, T>,
    ) -> Self {
        let columns = weights.always(KERNEL).len() / x.len().max(1);
        Gates { weights, x, h, dropout, units, columns }
    }

    /// `z = x K + b` of a gate; the first bias, where a cell has two.
    pub(super) fn x_part(&self, gate: usize, z: &mut [T]) {
        match self.weights.get(BIAS) {
            Some(bias) => z.copy_from_slice(&bias[gate * self.units..][..z.len()]),
            None => z.fill(T::zero()),
        }
        self.add_x_part(gate, z);
    }

    /// `z += x K` of a gate.
    pub(super) fn add_x_part(&self, gate: usize, z: &mut [T]) {
        let width = self.x.len();
        let x = self.x.iter().enumerate().map(|(i, &x)| x * mask(self.dropout.input, width, gate, i));
        self.add_products(self.weights.always(KERNEL), gate, x, z);
    }

    /// `z += h R` of a gate.
    pub(super) fn add_h_part(&self, gate: usize, z: &mut [T]) {
        let h = (0..self.h.len()).map(|unit| self.masked_h(gate, unit));
        self.add_products(self.weights.always(RECURRENT_KERNEL), gate, h, z);
    }

    /// `z = h R`, and the second bias of a gate that has two.
    pub(super) fn h_part(&self, gate: usize, z: &mut [T]) {
        z.fill(T::zero());
        self.add_second_bias(gate, z);
        self.add_h_part(gate, z);
    }

    /// `z += h R` of a gate, for an `h` of the caller's.
    pub(super) fn add_recurrent_part(&self, gate: usize, h: &[T], z: &mut [T]) {
        self.add_products(self.weights.always(RECURRENT_KERNEL), gate, h.iter().copied(), z);
    }

    /// `z = x K + h R + b` of a gate.
    pub(super) fn preactivation(&self, gate: usize, z: &mut [T]) {
        self.x_part(gate, z);
        self.add_h_part(gate, z);
        self.add_second_bias(gate, z);
    }

    /// Adds the second bias of a gate whose two biases are simply added, where a cell has two.
    fn add_second_bias(&self, gate: usize, z: &mut [T]) {
        if let Some(second) = self.second_bias(gate) {
            z.iter_mut().zip(second).for_each(|(z, &b)| *z += b);
        }
    }

    /// The second bias of a gate, that of the recurrent part, where a cell has two.
    pub(super) fn second_bias(&self, gate: usize) -> Option<&'a [T]> {
        let start = self.columns + gate * self.units;
        self.weights.get(BIAS)?.get(start..start + self.units)
    }

    /// The previous hidden state after dropout, as a gate sees it.
    pub(super) fn masked_h(&self, gate: usize, unit: usize) -> T {
        self.h[unit] * self.h_mask(gate, unit)
    }

    fn h_mask(&self, gate: usize, unit: usize) -> T {
        mask(self.dropout.recurrent, self.h.len(), gate, unit)
    }

    /// `z += x matrix`, of a gate's columns.
    fn add_products(&self, matrix: &[T], gate: usize, x: impl Iterator<Item = T>, z: &mut [T]) {
        for (row, x) in matrix.chunks_exact(self.columns).zip(x) {
            z.iter_mut().zip(&row[gate * self.units..]).for_each(|(z, &weight)| *z += x * weight);
        }
    }
}

/// The same gates in their backward pass, and what they add to.
pub(super) struct GatesBackward<'a, 'g, T: Float> {
    pub(super) gates: Gates<'a, T>,
    /// The gradient of the features, to be added to.
    d_x: &'a mut [T],
    /// The gradient of the hidden state, to be added to.
    d_h: &'a mut [T],
    pub(super) gradients: &'a mut WeightGradients<'g, T>,
}

impl<'a, 'g, T: Float> GatesBackward<'a, 'g, T> {
    pub(super) fn new(
        gates: Gates<'a, T>,
        d_x: &'a mut [T],
        d_h: &'a mut [T],
        gradients: &'a mut WeightGradients<'g, T>,
    ) -> Self {
        GatesBackward { gates, d_x, d_h, gradients }
    }

    /// A whole gate: from the gradient of its value, `d`, which becomes that of its preactivation.
    pub(super) fn gate(&mut self, gate: usize, activation: &Activation, y: &[T], d: &mut [T], buffer: &mut [T]) {
        through_activation(activation, y, d, buffer, |z| self.gates.preactivation(gate, z));
        self.products(gate, d);
    }

    /// Back through `x K + h R + b`.
    pub(super) fn products(&mut self, gate: usize, dz: &[T]) {
        self.input_product(gate, dz);
        self.recurrent_product(gate, dz);
    }

    /// Back through `x K + b`.
    pub(super) fn input_product(&mut self, gate: usize, dz: &[T]) {
        self.kernel_product(gate, dz);
        self.add_bias(gate * self.gates.units, dz);
    }

    /// Back through `x K`.
    pub(super) fn kernel_product(&mut self, gate: usize, dz: &[T]) {
        let Gates { weights, x, dropout, units, columns, .. } = self.gates;
        let (start, width) = (gate * units, x.len());
        let gradient = self.gradients.slice(KERNEL);
        for (i, kernel) in weights.always(KERNEL).chunks_exact(columns).enumerate() {
            let keep = mask(dropout.input, width, gate, i);
            let sum = dot(&kernel[start..], dz);
            self.d_x[i] += sum * keep;
            add_scaled(&mut gradient[i * columns + start..], x[i] * keep, dz);
        }
    }

    /// Back through `h R`.
    pub(super) fn recurrent_product(&mut self, gate: usize, dz: &[T]) {
        for unit in 0..self.gates.h.len() {
            let keep = self.gates.h_mask(gate, unit);
            let sum = self.recurrent_sum(gate, unit, self.gates.h[unit] * keep, dz);
            self.d_h[unit] += sum * keep;
        }
    }

    /// One row of the recurrent kernel: adds `h dz` to its gradient, and returns its product with `dz`.
    pub(super) fn recurrent_sum(&mut self, gate: usize, unit: usize, h: T, dz: &[T]) -> T {
        let Gates { weights, units, columns, .. } = self.gates;
        let start = unit * columns + gate * units;
        add_scaled(&mut self.gradients.slice(RECURRENT_KERNEL)[start..], h, dz);
        dot(&weights.always(RECURRENT_KERNEL)[start..], dz)
    }

    /// Adds to the gradient of the hidden state, of which a gate sees what dropout has left.
    pub(super) fn add_to_h(&mut self, gate: usize, unit: usize, d: T) {
        self.d_h[unit] += d * self.gates.h_mask(gate, unit);
    }

    /// Adds to the gradient of a gate's second bias, where a cell has two.
    pub(super) fn add_second_bias(&mut self, gate: usize, dz: &[T]) {
        self.add_bias(self.gates.columns + gate * self.gates.units, dz);
    }

    /// Adds to the bias's gradient from a column on.
    pub(super) fn add_bias(&mut self, start: usize, dz: &[T]) {
        if let Some(bias) = self.gates.weights.gradient(BIAS) {
            add_scaled(&mut self.gradients.slice(bias)[start..], T::one(), dz);
        }
    }
}

/// The gradient of a value, `d`, becomes that of its preactivation. `z` makes the preactivation, if the activation
/// can't do without it.
pub(super) fn through_activation<T: Float>(
    activation: &Activation,
    y: &[T],
    d: &mut [T],
    buffer: &mut [T],
    z: impl FnOnce(&mut [T]),
) {
    if reads_preactivation(activation) {
        z(buffer);
        activate_backward(Isa::detect(), activation, buffer, y, d);
    } else {
        activate_backward(Isa::detect(), activation, y, y, d);
    }
}

/// `values = activation(values)`, with the kernels' functions.
pub(super) fn apply<T: Float>(activation: &Activation, values: &mut [T]) {
    activate(Isa::detect(), activation, values);
}

/// The dropout mask's value for element `i` of an operand of this width: there are no masks, one, or one for each gate.
fn mask<T: Float>(masks: &[T], width: usize, gate: usize, i: usize) -> T {
    match masks.len() {
        0 => T::one(),
        one if one == width => masks[i],
        _ => masks[gate * width + i],
    }
}

/// `sums += scale * values`
pub(super) fn add_scaled<T: Float>(sums: &mut [T], scale: T, values: &[T]) {
    sums.iter_mut().zip(values).for_each(|(sum, &value)| *sum += scale * value);
}

/// The sum of the products, in order, as far as both go.
pub(super) fn dot<T: Float>(a: &[T], b: &[T]) -> T {
    a.iter().zip(b).fold(T::zero(), |sum, (&a, &b)| sum + a * b)
}

/// The first `N` parts of a slice, each `len` long.
pub(super) fn parts<T, const N: usize>(values: &mut [T], len: usize) -> [&mut [T]; N] {
    let mut rest = values;
    std::array::from_fn(|_| {
        let (part, others) = std::mem::take(&mut rest).split_at_mut(len);
        rest = others;
        part
    })
}
