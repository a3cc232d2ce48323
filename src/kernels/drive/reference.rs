//! The specification: a step as plain loops over one row, any activation, dropout, all that training saves. Here that
//! of the cells whose gates are the lines of a tile; what it computes of a unit, and the others, stand in `units`.
//!
//! Every other kernel gives the bits of this one. It also runs itself, where dropout masks are given.
//!
//! Sums are those of `specified`.

use std::marker::PhantomData;

use super::super::KernelStep;
use super::super::blocks::PARKED;
use super::super::isa::{Arch, Kernel};
use super::super::specified::{add_products, input_part, input_row, preactivation, state_row};
use super::super::unit::{SUMS, Unit};
use super::TileWeights;
use crate::kernels::Element;

/// Any step of any cell whose gates are the lines of a tile.
pub(super) struct Reference<'a, 'c, T: Element, U, const G: usize> {
    weights: &'a TileWeights<T>,
    input_size: usize,
    call: &'a mut KernelStep<'c, T>,
    unit: PhantomData<U>,
}

impl<'a, 'c, T: Element, U, const G: usize> Reference<'a, 'c, T, U, G> {
    pub(super) fn new(weights: &'a TileWeights<T>, input_size: usize, call: &'a mut KernelStep<'c, T>) -> Self {
        Reference { weights, input_size, call, unit: PhantomData }
    }
}

impl<T: Element, U: Unit<G>, const G: usize> Kernel for Reference<'_, '_, T, U, G> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arch>(self, arch: A) {
        let Reference { weights: TileWeights { matrix, restart }, input_size, call, .. } = self;
        let (units, activations) = (matrix.units(), call.activations());
        let last = (U::STATES - 1) * units;
        for &row in call.rows {
            let (x, h) = (input_row(call, row), state_row(call, units, row));
            let z = &mut call.scratch[..SUMS * units];
            for at in 0..G * units {
                let (gate, u) = (at / units, at % units);
                if U::PARKS && gate == PARKED {
                    z[at] = input_part::<A, T>(matrix, gate, u, &x, gate);
                    let of_h = matrix.column(gate, u).skip(input_size);
                    z[at + units] = add_products::<A, T>(restart[u], of_h, &h, gate);
                } else {
                    z[at] = preactivation::<A, T>(matrix, input_size, gate, u, &x, &h);
                }
            }
            let (prev, next) = (&call.prev.row(row)[last..last + units], call.next.row_mut(row));
            let default = activations.are_default();
            if default {
                for u in 0..units {
                    let state = U::step::<A, T>([z[u], z[units + u], z[2 * units + u], z[3 * units + u]], prev[u]);
                    for part in 0..U::STATES {
                        next[part * units + u] = state[part];
                    }
                }
            }
            if !default || call.tape.is_some() {
                U::tape_of_row(arch, z, units, activations);
            }
            if !default {
                U::state_of_row(arch, z, prev, next, activations);
            }
            if let Some(tape) = &mut call.tape {
                tape.row_mut(row)[..SUMS * units].copy_from_slice(z);
            }
        }
    }
}
