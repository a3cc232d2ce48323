//! What no kernel can beat: the speed of fused multiply-adds and of reading, and what the activations cost. For
//! benches, on the instruction set that layers are built for. Not part of the public interface.

use super::isa::{Arch, Isa, Kernel, dispatch};
use super::lanes::{Lanes, add_scaled};
use super::products::unrolled;
use super::units::formulas;
use crate::kernels::Element;

/// The names of the instruction sets that this machine has, the best one first.
pub fn instruction_sets() -> Vec<&'static str> {
    Isa::available().into_iter().map(Isa::name).collect()
}

/// The name of the instruction set that layers are built for.
pub fn instruction_set() -> &'static str {
    Isa::detect().name()
}

/// Independent chains: enough to hide the wait for one another, and few enough for the registers of AVX2.
const CHAINS: usize = 6;

/// Runs `rounds` x 6 lines of fused multiply-adds in registers, and returns something that depends on all of them.
pub fn peak<T: Element>(rounds: usize, start: T) -> T {
    dispatch(Isa::detect(), Peak::<T, CHAINS> { rounds, start })
}

struct Peak<T, const N: usize> {
    rounds: usize,
    start: T,
}

impl<T: Element, const N: usize> Kernel for Peak<T, N> {
    type Output = T;
    #[inline(always)]
    fn run<A: Arch>(self, _: A) -> T {
        let mut sums = [T::Line::splat(self.start); N];
        let line = T::Line::splat(self.start);
        for _ in 0..self.rounds {
            unrolled!(I in 0..N => { sums[I] = add_scaled::<A, T, T::Line>(sums[I], line, self.start); });
        }
        total::<T>(&sums)
    }
}

/// Reads `data` so many times: blocks of `block` elements, every other time the last one first; inside a block always
/// in order. That is how steps read their weights.
pub fn read<T: Element>(data: &[T], block: usize, times: usize) -> T {
    dispatch(Isa::detect(), Read::<T, CHAINS> { data, block, times })
}

struct Read<'a, T, const N: usize> {
    data: &'a [T],
    block: usize,
    times: usize,
}

impl<T: Element, const N: usize> Kernel for Read<'_, T, N> {
    type Output = T;
    #[inline(always)]
    fn run<A: Arch>(self, _: A) -> T {
        let Read { data, block, times } = self;
        let count = data.len().div_ceil(block);
        let mut sums = [T::Line::splat(T::zero()); N];
        let factor = data[0];
        for time in 0..times {
            for i in 0..count {
                let i = if time % 2 == 0 { i } else { count - 1 - i };
                let block = &data[i * block..data.len().min((i + 1) * block)];
                let (lines, rest) = T::Line::arrays(block).as_chunks::<N>();
                for lines in lines {
                    unrolled!(I in 0..N => { sums[I] = add_scaled::<A, T, T::Line>(sums[I], T::Line::of(lines[I]), factor); });
                }
                for line in rest {
                    sums[0] = add_scaled::<A, T, T::Line>(sums[0], T::Line::of(*line), factor);
                }
            }
        }
        total::<T>(&sums)
    }
}

#[inline(always)]
fn total<T: Element>(sums: &[T::Line]) -> T {
    let mut total = T::zero();
    for sum in sums {
        for &value in sum.array().as_ref() {
            total += value;
        }
    }
    total
}

/// Replaces each value by its tanh, as the fused steps compute it.
pub fn tanh<T: Element>(values: &mut [T]) {
    dispatch(Isa::detect(), Tanh(values));
}

struct Tanh<'a, T>(&'a mut [T]);

impl<T: Element> Kernel for Tanh<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arch>(self, _: A) {
        for value in self.0 {
            *value = formulas::tanh::<A, T>(*value);
        }
    }
}
