//! The SimpleRNN: `h' = activation(sum)`. It leaves no tape: the states say all.

use super::super::KernelStep;
use super::super::activate::{activate_backward, apply};
use super::super::isa::Arch;
use super::super::packed::PackedMatrix;
use super::super::slopes::{BackwardStep, GradientLayout, columns};
use super::super::specified::{input_row, preactivation, state_row};
use super::formulas;
use crate::activation::Activation;
use crate::kernels::Element;

/// `h = activation(b + x K + h R)`.
#[inline(always)]
pub(in crate::kernels) fn reference<A: Arch, T: Element>(
    arch: A,
    matrix: &PackedMatrix<T>,
    input_size: usize,
    units: usize,
    call: &mut KernelStep<'_, T>,
) {
    for &row in call.rows {
        let (x, h) = (input_row(call, row), state_row(call, units, row));
        let next = call.next.row_mut(row);
        for (u, z) in next.iter_mut().enumerate() {
            *z = preactivation::<A, T>(matrix, input_size, 0, u, &x, &h);
        }
        if matches!(call.activation, Activation::Tanh) {
            for h in next {
                *h = formulas::tanh::<A, T>(*h);
            }
        } else {
            apply::<A, T>(arch, call.activation, next);
        }
    }
}

/// A row of dz is h.
pub(super) const GRADIENTS: GradientLayout = GradientLayout {
    gates: 1,
    parts: 1,
    kernel: &[columns(0, 0, 1)],
    recurrent: columns(0, 0, 1),
    candidate: None,
    mixes_h: false,
};

/// `dz = activation'(..) dh'`.
#[inline(always)]
pub(super) fn slopes<A: Arch, T: Element>(arch: A, units: usize, call: &mut BackwardStep<'_, T>) {
    for &row in call.rows {
        let (dz, y) = (call.dz.row_mut(row), &call.next.row(row)[..units]);
        dz.copy_from_slice(&call.d_next.row(row)[..units]);
        activate_backward(arch.isa(), call.activation, y, y, dz);
    }
}
