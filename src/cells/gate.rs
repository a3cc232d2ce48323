//! The way back through one gate, `activation(x K + h R + b)`, as plain loops: what the built-in cells' single step
//! backward is made of.

use super::StepDropout;
use super::weights::CellWeights;
use crate::activation::Activation;
use crate::float::Float;
use crate::gradients::WeightGradients;
use crate::kernels::activate::{activate_backward, reads_preactivation};
use crate::kernels::isa::Isa;

/// The places of the weights in [`CellWeights::visit`].
const KERNEL: usize = 0;
const RECURRENT_KERNEL: usize = 1;
const BIAS: usize = 2;

/// One row of one step on its way back: what all gates read, and what they add to.
pub(super) struct GatesBackward<'a, 'g, T: Float> {
    pub(super) weights: &'a CellWeights<T>,
    pub(super) x: &'a [T],
    /// The hidden state before the step.
    pub(super) h: &'a [T],
    pub(super) dropout: StepDropout<'a, T>,
    /// To be added to.
    pub(super) d_x: &'a mut [T],
    /// The gradient of `h`, to be added to.
    pub(super) d_h: &'a mut [T],
    pub(super) gradients: &'a mut WeightGradients<'g, T>,
}

impl<T: Float> GatesBackward<'_, '_, T> {
    fn units(&self) -> usize {
        self.h.len()
    }

    /// `x K + b` of a gate's columns; the first bias, where a GRU has two.
    pub(super) fn input_part(&self, gate: usize, z: &mut [T]) {
        let start = gate * self.units();
        match self.bias() {
            Some(bias) => z.copy_from_slice(&bias[start..start + z.len()]),
            None => z.fill(T::zero()),
        }
        let kernel = self.weights.kernel.rows().into_iter();
        for (i, (kernel, &x)) in kernel.zip(self.x).enumerate() {
            let x = x * mask(self.dropout.input, self.x.len(), gate, i);
            z.iter_mut().zip(kernel.iter().skip(start)).for_each(|(z, &k)| *z += x * k);
        }
    }

    /// Adds `h R` of a gate's columns, for an `h` of the caller's.
    pub(super) fn add_recurrent_part(&self, gate: usize, h: &[T], z: &mut [T]) {
        let start = gate * self.units();
        for (recurrent, &h) in self.weights.recurrent_kernel.rows().into_iter().zip(h) {
            z.iter_mut().zip(recurrent.iter().skip(start)).for_each(|(z, &r)| *z += h * r);
        }
    }

    /// The previous hidden state after dropout, as a gate sees it.
    pub(super) fn masked_h(&self, gate: usize, unit: usize) -> T {
        self.h[unit] * mask(self.dropout.recurrent, self.h.len(), gate, unit)
    }

    /// The gradient of a gate's value, `d`, becomes that of its preactivation. `z` makes the preactivation, if the
    /// activation can't do without it.
    pub(super) fn through_activation(
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

    /// A whole gate: from the gradient of its value, `d`, which becomes that of its preactivation.
    pub(super) fn gate(&mut self, gate: usize, activation: &Activation, y: &[T], d: &mut [T], buffer: &mut [T]) {
        Self::through_activation(activation, y, d, buffer, |z| {
            self.input_part(gate, z);
            for unit in 0..self.units() {
                let h = self.masked_h(gate, unit);
                let recurrent = self.weights.recurrent_kernel.row(unit);
                let columns = recurrent.iter().skip(gate * self.units());
                z.iter_mut().zip(columns).for_each(|(z, &r)| *z += h * r);
            }
            self.add_second_bias(gate, z);
        });
        self.input_product(gate, d);
        self.recurrent_product(gate, d);
    }

    /// Back through `x K + b`.
    pub(super) fn input_product(&mut self, gate: usize, dz: &[T]) {
        let start = gate * self.units();
        let columns = self.weights.kernel.ncols();
        let gradient = self.gradients.slice(KERNEL);
        for (i, kernel) in self.weights.kernel.rows().into_iter().enumerate() {
            let keep = mask(self.dropout.input, self.x.len(), gate, i);
            let sum = kernel.iter().skip(start).zip(dz).fold(T::zero(), |sum, (&k, &d)| sum + k * d);
            self.d_x[i] += sum * keep;
            add_scaled(&mut gradient[i * columns + start..], self.x[i] * keep, dz);
        }
        self.add_bias(start, dz);
    }

    /// Back through `h R`.
    pub(super) fn recurrent_product(&mut self, gate: usize, dz: &[T]) {
        let units = self.units();
        for unit in 0..units {
            let keep = mask(self.dropout.recurrent, units, gate, unit);
            let sum = self.recurrent_sum(gate, unit, self.h[unit] * keep, dz);
            self.d_h[unit] += sum * keep;
        }
    }

    /// One row of the recurrent kernel: adds `h dz` to its gradient, and returns its product with `dz`.
    pub(super) fn recurrent_sum(&mut self, gate: usize, unit: usize, h: T, dz: &[T]) -> T {
        let (start, columns) = (gate * self.units(), self.weights.recurrent_kernel.ncols());
        add_scaled(&mut self.gradients.slice(RECURRENT_KERNEL)[unit * columns + start..], h, dz);
        let recurrent = self.weights.recurrent_kernel.row(unit);
        recurrent.iter().skip(start).zip(dz).fold(T::zero(), |sum, (&r, &d)| sum + r * d)
    }

    /// Adds to the gradient of the hidden state, of which a gate sees what dropout has left.
    pub(super) fn add_to_h(&mut self, gate: usize, unit: usize, d: T) {
        self.d_h[unit] += d * mask(self.dropout.recurrent, self.h.len(), gate, unit);
    }

    /// Adds to the bias's gradient from a column on.
    pub(super) fn add_bias(&mut self, start: usize, dz: &[T]) {
        if self.weights.bias.is_some() {
            add_scaled(&mut self.gradients.slice(BIAS)[start..], T::one(), dz);
        }
    }

    /// Adds a GRU's second bias to the preactivation of a gate whose two biases are simply added.
    fn add_second_bias(&self, gate: usize, z: &mut [T]) {
        let columns = self.weights.kernel.ncols();
        if let Some(second) = self.bias().and_then(|bias| bias.get(columns..)) {
            z.iter_mut().zip(second.iter().skip(gate * self.units())).for_each(|(z, &b)| *z += b);
        }
    }

    fn bias(&self) -> Option<&[T]> {
        self.weights.bias.as_ref().and_then(|bias| bias.as_slice())
    }
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
fn add_scaled<T: Float>(sums: &mut [T], scale: T, values: &[T]) {
    sums.iter_mut().zip(values).for_each(|(sum, &value)| *sum += scale * value);
}
