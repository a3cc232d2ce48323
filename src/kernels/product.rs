//! A product of two matrices that both come from outside: attention, products in a graph.
//!
//! Each element is one chain, as everywhere: zero, then one fused multiply-add for each k, in order. So it is what a
//! dense layer without a bias gives whose kernel is the second matrix.

use super::isa::{Arch, Isa, Kernel, dispatch};
use crate::kernels::Element;

/// Two matrices in row order and their product: (m, k) by (k, n).
pub(crate) struct Product<'a, T> {
    pub(crate) a: &'a [T],
    pub(crate) b: &'a [T],
    /// m, k, n.
    pub(crate) sizes: [usize; 3],
    pub(crate) out: &'a mut [T],
}

impl<T: Element> Product<'_, T> {
    /// Computes it.
    pub(crate) fn compute(self) {
        let [m, k, n] = self.sizes;
        assert!(self.a.len() == m * k && self.b.len() == k * n && self.out.len() == m * n);
        self.out.fill(T::zero());
        if m > 0 && k > 0 && n > 0 {
            dispatch(Isa::detect(), self);
        }
    }
}

impl<T: Element> Kernel for Product<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<A: Arch>(self, _: A) {
        let [_, k, n] = self.sizes;
        for (row, out) in self.a.chunks_exact(k).zip(self.out.chunks_exact_mut(n)) {
            for (&factor, line) in row.iter().zip(self.b.chunks_exact(n)) {
                for (sum, &element) in out.iter_mut().zip(line) {
                    *sum = A::mul_add(element, factor, *sum);
                }
            }
        }
    }
}
