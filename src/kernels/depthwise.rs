//! Channels that are weighed each by itself: a depthwise convolution, whose sums go down the columns of its operands.
//!
//! ```text
//! for a block of columns:
//!     for output:  sum = bias;  for tap:  sum += weights[tap] * x[output * stride + tap * dilation]     16 lanes at once
//! ```

use super::isa::{Arch, Isa, Kernel, dispatch};
use super::lanes::{Lanes, add_product};
use super::products::unrolled;
use crate::kernels::Element;
use crate::strided::{Rows, RowsMut};

/// The sums of outputs `0..count`, all operands as rows of as many columns.
#[derive(Debug)]
pub(crate) struct Depthwise<'a, T> {
    /// A row for each tap.
    pub weights: Rows<'a, T>,
    pub taps: usize,
    pub bias: Option<&'a [T]>,
    /// A row for each position.
    pub x: Rows<'a, T>,
    /// From one output to the next, and from one tap to the next.
    pub stride: usize,
    pub dilation: usize,
    pub count: usize,
    pub out: RowsMut<'a, T>,
}

impl<T: Element> Depthwise<'_, T> {
    pub(crate) fn run_here(self) {
        dispatch(Isa::detect(), self);
    }
}

impl<T: Element> Kernel for Depthwise<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arch>(mut self, _: A) {
        let (width, mut column) = (self.out.width(), 0);
        while width - column >= 4 * T::LANES {
            block::<A, T, T::Line, 4>(&mut self, column);
            column += 4 * T::LANES;
        }
        while width - column >= T::LANES {
            block::<A, T, T::Line, 1>(&mut self, column);
            column += T::LANES;
        }
        while width > column {
            block::<A, T, T::One, 1>(&mut self, column);
            column += 1;
        }
    }
}

#[inline(always)]
fn block<A: Arch, T: Element, V: Lanes<T>, const N: usize>(call: &mut Depthwise<'_, T>, column: usize) {
    let columns = column..column + N * V::LEN;
    for at in 0..call.count {
        let mut sums = [V::splat(T::zero()); N];
        if let Some(bias) = call.bias {
            let bias = V::arrays(&bias[columns.clone()]);
            unrolled!(J in 0..N => { sums[J] = V::of(bias[J]); });
        }
        for tap in 0..call.taps {
            let weights = V::arrays(&call.weights.row(tap)[columns.clone()]);
            let x = V::arrays(&call.x.row(at * call.stride + tap * call.dilation)[columns.clone()]);
            unrolled!(J in 0..N => { sums[J] = add_product::<A, T, V>(sums[J], V::of(weights[J]), V::of(x[J])); });
        }
        let out = V::arrays_mut(&mut call.out.row_mut(at)[columns.clone()]);
        unrolled!(J in 0..N => { out[J] = sums[J].array(); });
    }
}
