//! The first half of a step's backward pass: slopes, by the cell's unit.

use super::super::isa::{Arch, Kernel};
use super::super::lanes::prefetch;
use super::super::slopes::{BackwardStep, Upstream};
use super::Form;
use crate::kernels::Element;

/// Every part of dz, but what a GRU with the reset before the product learns of r only after a product.
pub(super) struct First<'a, 'c, T> {
    pub form: Form,
    pub units: usize,
    pub call: &'a mut BackwardStep<'c, T>,
}

impl<T: Element> Kernel for First<'_, '_, T> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arch>(self, arch: A) {
        let First { form, units, call } = self;
        if let Some(Upstream { here, earlier }) = call.upstream {
            for &row in call.rows {
                prefetch(earlier.row(row)); // rows of a batch lie far apart
                let d_h = &mut call.d_next.row_mut(row)[..units];
                d_h.iter_mut().zip(here.row(row)).for_each(|(sum, &value)| *sum += value);
            }
        }
        if let Some(d_x) = &call.d_x {
            call.rows.iter().for_each(|&row| prefetch(d_x.row(row))); // needed last, and as far apart
        }
        form.slopes(arch, units, call);
    }
}
