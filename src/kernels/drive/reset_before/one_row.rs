//! A step of one row, group by group.

use super::Before;
use super::rows::{gate_line, mix, reset_line};
use crate::activation::Activation;
use crate::kernels::Element;
use crate::kernels::activate::apply;
use crate::kernels::epilogue::line_of_two;
use crate::kernels::flat_row::group_of_row;
use crate::kernels::isa::{Arch, Kernel};
use crate::kernels::lanes::Lanes;
use crate::kernels::packed::Group;
use crate::kernels::products::unrolled;
use crate::kernels::unit::apply_to_gates;
use crate::kernels::units::formulas;
use crate::strided::RowStep;

/// The gates of one row and one group, with the default activations in registers.
pub(super) struct GatesOfRow<'a, 'c, T: Element, const G: usize, const DEFAULT: bool> {
    pub before: &'a Before<T>,
    pub group: &'a Group,
    pub step: &'a mut RowStep<'c, T>,
    /// z and r h.
    pub scratch: &'a mut [T],
}

impl<T: Element, const G: usize, const DEFAULT: bool> Kernel for GatesOfRow<'_, '_, T, G, DEFAULT> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arch>(self, _: A) {
        let GatesOfRow { before: Before { gates, .. }, group, step, scratch } = self;
        let (x, start) = step.input.operands(gates.bias());
        let sums = group_of_row::<A, T, G>(gates, group, start, x, step.prev);
        let units = step.prev.len();
        let (z, rh) = scratch[..2 * units].split_at_mut(units);
        unrolled!(I in 0..G => {
            let (unit, is_reset) = line_of_two(group, I, units);
            if is_reset {
                let mut few = T::Line::splat(T::zero()).array();
                let prev = T::Line::view(&step.prev[unit..], &mut few);
                let line = if DEFAULT { reset_line::<A, T, T::Line>(sums[I], prev) } else { sums[I] };
                line.store(&mut rh[unit..]);
            } else {
                let line = if DEFAULT { gate_line::<A, T, T::Line>(sums[I]) } else { sums[I] };
                line.store(&mut z[unit..]);
            }
        });
    }
}

/// The candidates of one row and one group, and with the default activations the new state.
pub(super) struct CandidateOfRow<'a, 'c, T: Element, const G: usize, const DEFAULT: bool> {
    pub before: &'a Before<T>,
    pub group: &'a Group,
    pub step: &'a mut RowStep<'c, T>,
    /// z and r h.
    pub scratch: &'a mut [T],
}

impl<T: Element, const G: usize, const DEFAULT: bool> Kernel for CandidateOfRow<'_, '_, T, G, DEFAULT> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arch>(self, _: A) {
        let CandidateOfRow { before: Before { gates, candidate }, group, step, scratch } = self;
        let (x, start) = step.input.operands(candidate.bias());
        // A projected row has the gates' columns first.
        let start = if x.is_empty() { &start[gates.z_len()..] } else { start };
        let units = step.prev.len();
        let (z, rh) = scratch[..2 * units].split_at(units);
        let sums = group_of_row::<A, T, G>(candidate, group, start, x, rh);
        unrolled!(I in 0..G => {
            let unit = group.z + I * T::LANES;
            let mut g = sums[I].array();
            if DEFAULT {
                let (mut few, mut few_z) = (T::Line::splat(T::zero()).array(), T::Line::splat(T::zero()).array());
                let prev = T::Line::view(&step.prev[unit..], &mut few).as_ref();
                let z = T::Line::view(&z[unit..], &mut few_z).as_ref();
                let g = g.as_mut();
                for j in 0..T::LANES {
                    g[j] = formulas::mix::<A, T>(z[j], prev[j], formulas::tanh::<A, T>(g[j]));
                }
            }
            T::Line::of(g).store(&mut step.next[unit..]);
        });
    }
}

/// What stands between the two products and after them, for other activations.
pub(super) struct RestOfRow<'a, 'c, T: Element> {
    pub step: &'a mut RowStep<'c, T>,
    pub scratch: &'a mut [T],
    pub activation: &'a Activation,
    pub recurrent_activation: &'a Activation,
    /// After the second product.
    pub last: bool,
}

impl<T: Element> Kernel for RestOfRow<'_, '_, T> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arch>(self, arch: A) {
        let RestOfRow { step, scratch, activation, recurrent_activation, last } = self;
        let units = step.prev.len();
        let zr = &mut scratch[..2 * units];
        if last {
            apply::<A, T>(arch, activation, step.next);
            mix::<A, T>(&zr[..units], step.prev, step.next);
        } else {
            apply_to_gates::<A, T>(arch, recurrent_activation, zr, units);
            for (r, &h) in zr[units..].iter_mut().zip(step.prev) {
                *r *= h;
            }
        }
    }
}
