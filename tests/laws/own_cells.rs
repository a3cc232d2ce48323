//! Cells as a user writes them.

use ndarray::{Array1, Array2};
use recurrent::{
    Cell, Float, Result, StateLayout, WeightVisitor, WeightVisitorMut,
    cell::{Step, StepBackward, WeightGradients},
};
use std::ops::Range;

use super::numbers::Numbers;

/// A cell that is unlike the built-in ones wherever the contract allows it: its output is the second part of its state,
/// its initial state isn't zero, it counts its steps, and it works in scratch that it first fills with NaN.
///
/// ```text
/// steps' = steps + 1
/// z  = b + x K + h R
/// h' = h / 2 + z / (2 + 2 |z|) + steps / 1024
/// ```
#[derive(Debug, Clone)]
pub struct Counting<T> {
    pub kernel: Array2<T>,           // (features, units)
    pub recurrent_kernel: Array2<T>, // (units, units)
    pub bias: Array1<T>,
}

/// What [`Counting`] begins with.
pub const FIRST_STEPS: f64 = 7.0;
pub const FIRST_H: f64 = 0.25;

impl<T: Float> Counting<T> {
    pub fn new(input_size: usize, units: usize) -> Self {
        let mut numbers = Numbers::new(units as u64, "counting");
        Counting {
            kernel: numbers.array(0.5, (input_size, units)),
            recurrent_kernel: numbers.array(0.5, (units, units)),
            bias: numbers.array(0.5, units),
        }
    }
}

impl<T: Float> Cell for Counting<T> {
    type Elem = T;

    fn input_size(&self) -> usize {
        self.kernel.nrows()
    }

    fn state_layout(&self) -> StateLayout {
        StateLayout::new([("steps", 1), ("h", self.bias.len())])
    }

    fn output(&self) -> Range<usize> {
        1..1 + self.bias.len()
    }

    fn initial_state(&self, row: &mut [T]) {
        row.fill(T::from_f64(FIRST_H));
        row[0] = T::from_f64(FIRST_STEPS);
    }

    fn scratch_len(&self) -> usize {
        self.bias.len()
    }

    fn step(&self, step: Step<'_, T>) {
        step.scratch.fill(T::nan());
        step.next.fill(T::nan());
        let (steps, h) = (step.prev[0] + T::one(), &step.prev[1..]);
        for (j, z) in step.scratch.iter_mut().enumerate() {
            *z = self.bias[j];
            step.x.iter().zip(self.kernel.column(j)).for_each(|(&x, &w)| *z += x * w);
            h.iter().zip(self.recurrent_kernel.column(j)).for_each(|(&h, &w)| *z += h * w);
        }
        if let Some(tape) = step.tape {
            tape.copy_from_slice(step.scratch);
        }
        step.next[0] = steps;
        let (half, two) = (T::from_f64(0.5), T::from_f64(2.0));
        for (j, &z) in step.scratch.iter().enumerate() {
            step.next[1 + j] = h[j] * half + z / (two + two * z.abs()) + steps / T::from_f64(1024.0);
        }
    }

    fn tape_len(&self) -> usize {
        self.bias.len()
    }

    fn backward_scratch_len(&self) -> usize {
        self.bias.len()
    }

    fn step_backward(&self, step: StepBackward<'_, T>, gradients: &mut WeightGradients<'_, T>) -> Result<()> {
        step.d_prev.fill(T::nan());
        step.d_x.fill(T::nan());
        let (d_h_next, dz) = (&step.d_next[1..], step.scratch);
        let (half, one) = (T::from_f64(0.5), T::one());
        for (j, dz) in dz.iter_mut().enumerate() {
            let divisor = one + step.tape[j].abs();
            *dz = half * d_h_next[j] / (divisor * divisor);
        }
        let product = |weights: &Array2<T>, i: usize| -> T {
            weights.row(i).iter().zip(&*dz).fold(T::zero(), |sum, (&w, &d)| sum + w * d)
        };
        let sum = d_h_next.iter().fold(T::zero(), |sum, &d| sum + d);
        step.d_prev[0] = step.d_next[0] + sum / T::from_f64(1024.0);
        for (i, d_h) in step.d_prev[1..].iter_mut().enumerate() {
            *d_h = half * d_h_next[i] + product(&self.recurrent_kernel, i);
        }
        for (i, d_x) in step.d_x.iter_mut().enumerate() {
            *d_x = product(&self.kernel, i);
        }
        gradients.add_outer(0, step.x, dz)?;
        gradients.add_outer(1, &step.prev[1..], dz)?;
        gradients.add(2, dz)
    }

    fn visit_weights<'a>(&'a self, visitor: &mut WeightVisitor<'_, 'a, T>) {
        visitor.weight("kernel", &self.kernel);
        visitor.weight("recurrent_kernel", &self.recurrent_kernel);
        visitor.weight("bias", &self.bias);
    }

    fn visit_weights_mut(&mut self, visitor: &mut WeightVisitorMut<'_, T>) {
        visitor.weight("kernel", &mut self.kernel);
        visitor.weight("recurrent_kernel", &mut self.recurrent_kernel);
        visitor.weight("bias", &mut self.bias);
    }

    fn class_name(&self) -> &'static str {
        "Counting"
    }

    fn try_clone(&self) -> Option<Self> {
        Some(self.clone())
    }
}
