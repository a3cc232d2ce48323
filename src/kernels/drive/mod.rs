//! How rows and tiles are gone through: written once, for every cell whose gates are the lines of a tile.
//!
//! ```text
//!            one row, in registers         rows in blocks
//! default    one_row: OneRow, OnlyTile,    rows: Fused, and Recorded
//!            OneRowInPairs, LastTile             for the backward pass
//! others     one_row: OneRowUnfused        rows: Unfused
//! dropout    reference: the specification, for any of them
//! ```
//!
//! What is computed of a unit stands in `units`. Cells of another shape have drivers of their own: `flat` for the
//! SimpleRNN, `reset_before` for the GRU with the reset before the product; `gru` is the GRU in both forms.

pub(super) mod blocked;
pub(super) mod flat;
pub(super) mod gru;
mod one_row;
mod reference;
mod reset_before;

use std::fmt;
use std::marker::PhantomData;

use super::blocks::PARKED;
use super::isa::{Arch, Isa, Kernel, RowIsa, dispatch, dispatch_narrow, dispatch_row};
use super::packed::{Grouping, PackedMatrix};
use super::unit::{SUMS, Unit};
use super::units::lstm::Lstm;
use super::{KernelStep, StepContext, project};
use crate::kernels::Element;
use crate::strided::{RowStep, Rows, RowsMut};
use blocked::{Fused, Recorded, Unfused};
use one_row::{LastTile, OneRow, OneRowInPairs, OneRowUnfused, OnlyTile};
use reference::Reference;

/// The packed weights of an LSTM and what can be computed with them. A state row is h, then c.
pub(crate) type LstmKernel<T> = TileKernel<T, Lstm, 4>;

/// The rows that an unfused step keeps in the scratch at a time.
pub(super) const BATCH: usize = 32;

/// The packed weights of a cell whose gates are the lines of a tile, `G` of them, and what can be computed with them.
pub(crate) struct TileKernel<T: Element, U, const G: usize> {
    isa: Isa,
    input_size: usize,
    weights: TileWeights<T>,
    unit: PhantomData<U>,
}

/// The weights of a [`TileKernel`]: one pointer for the kernels.
#[derive(Clone)]
struct TileWeights<T: Element> {
    matrix: PackedMatrix<T>,
    /// If the unit parks: what the third gate's sum of h begins with, one value a unit and zeros to the end of the last
    /// tile.
    restart: Vec<T>,
}

impl<T: Element, U: Unit<G>, const G: usize> TileKernel<T, U, G> {
    /// The elements of the packed weights, or `None` if they could not be addressed.
    pub(crate) fn packed_len(input_size: usize, units: usize) -> Option<usize> {
        // One row more for the values that a parked sum restarts from.
        let rows = input_size.checked_add(units)?.checked_add(usize::from(U::PARKS))?;
        PackedMatrix::<T>::packed_len(rows, G, units)
    }

    /// A kernel with weights of zero. Both sizes must be at least 1 and have a [`packed_len`](Self::packed_len).
    pub(crate) fn new(input_size: usize, units: usize) -> Self {
        Self::for_isa(Isa::detect(), input_size, units)
    }

    /// The same on a given instruction set.
    pub(crate) fn for_isa(isa: Isa, input_size: usize, units: usize) -> Self {
        let matrix = PackedMatrix::new(input_size + units, G, units, Grouping::Gates);
        let restart = if U::PARKS { vec![T::zero(); units.next_multiple_of(T::LANES)] } else { Vec::new() };
        TileKernel { isa, input_size, weights: TileWeights { matrix, restart }, unit: PhantomData }
    }

    /// Takes Keras's weights: `kernel` (input_size, G units), `recurrent_kernel` (units, G units), `bias` (G units), or
    /// (2, G units) if the unit parks. Allocates nothing.
    pub(crate) fn pack(&mut self, kernel: &[T], recurrent_kernel: &[T], bias: Option<&[T]>) {
        let TileWeights { matrix, restart } = &mut self.weights;
        let units = matrix.units();
        let columns = G * units;
        assert_eq!(kernel.len(), self.input_size * columns);
        assert_eq!(recurrent_kernel.len(), units * columns);
        assert!(bias.is_none_or(|b| b.len() == columns * if U::PARKS { 2 } else { 1 }));
        for gate in 0..G {
            let column = gate * units;
            matrix.pack(kernel, columns, column, 0, gate);
            matrix.pack(recurrent_kernel, columns, column, self.input_size, gate);
            matrix.set_bias(gate, bias.map(|b| &b[column..][..units]));
            if U::PARKS {
                let of_h = bias.map(|b| &b[columns + column..][..units]);
                match of_h {
                    _ if gate != PARKED => matrix.add_bias(gate, of_h),
                    Some(bias) => restart[..units].copy_from_slice(bias),
                    None => restart.fill(T::zero()),
                }
            }
        }
    }

    /// The elements of a row of `project`'s result.
    pub(crate) fn projected_len(&self) -> usize {
        self.weights.matrix.z_len()
    }

    /// `bias + x * kernel` of rows `0..count`, in the order in which `step` takes it.
    pub(super) fn project_here(&self, count: usize, x: Rows<'_, T>, out: RowsMut<'_, T>) {
        dispatch(self.isa, Project::<T, G> { matrix: &self.weights.matrix, count, x, out });
    }

    /// The elements that the backward pass needs of each row and step.
    pub(crate) fn tape_len(&self) -> usize {
        SUMS * self.weights.matrix.units()
    }

    /// The scratch that a step of at most `rows` rows needs.
    pub(crate) fn scratch_len(&self, rows: usize) -> usize {
        rows.min(BATCH) * SUMS * self.weights.matrix.units()
    }

    /// One step of one row.
    #[inline(always)]
    pub(super) fn step_row_here(&self, step: &mut RowStep<'_, T>, context: StepContext<'_, T>) {
        // Trap 6: a kernel gets two pointers, to the weights and to the step.
        let weights = &self.weights;
        let Some(isa) = RowIsa::of(self.isa) else { return self.step_rows(&mut KernelStep::of_row(step, context)) };
        if !context.activations().are_default() {
            return dispatch_row(isa, OneRowUnfused::<T, U, G>::new(weights, step, context));
        }
        let units = weights.matrix.units();
        if units == T::LANES {
            return dispatch_row(isa, OnlyTile::<T, U, G>::new(weights, step));
        }
        // Always before the full tiles, which can then be jumped to instead of called.
        if !units.is_multiple_of(T::LANES) {
            dispatch_row(isa, LastTile::<T, U, G>::new(weights, &mut *step));
        }
        if weights.matrix.in_pairs(self.isa) {
            dispatch_row(isa, OneRowInPairs::<T, U, G>::new(weights, step));
        } else if context.odd_step {
            dispatch_row(isa, OneRow::<T, U, G, true>::new(weights, step));
        } else {
            dispatch_row(isa, OneRow::<T, U, G, false>::new(weights, step));
        }
    }

    /// One step of the rows in `call`.
    #[inline(always)]
    pub(super) fn step_here(&self, call: &mut KernelStep<'_, T>) {
        match call.single_row() {
            Some((mut step, context)) => self.step_row_here(&mut step, context),
            None => self.step_rows(call),
        }
    }

    fn step_rows(&self, call: &mut KernelStep<'_, T>) {
        let (isa, weights) = (self.isa, &self.weights);
        if call.dropout.is_some() {
            dispatch_narrow(isa, Reference::<T, U, G>::new(weights, self.input_size, call));
        } else if !call.activations().are_default() {
            dispatch(isa, Unfused::<T, U, G>::new(weights, call));
        } else if call.tape.is_some() {
            dispatch(isa, Recorded::<T, U, G>::new(weights, call));
        } else {
            dispatch(isa, Fused::<T, U, G>::new(weights, call));
        }
    }
}

impl<T: Element, U, const G: usize> Clone for TileKernel<T, U, G> {
    fn clone(&self) -> Self {
        TileKernel { weights: self.weights.clone(), ..*self }
    }
}

impl<T: Element, U: Unit<G>, const G: usize> fmt::Debug for TileKernel<T, U, G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({} -> {}, {:?})", U::NAME, self.input_size, self.weights.matrix.units(), self.isa)
    }
}

struct Project<'a, T: Element, const G: usize> {
    matrix: &'a PackedMatrix<T>,
    count: usize,
    x: Rows<'a, T>,
    out: RowsMut<'a, T>,
}

impl<T: Element, const G: usize> Kernel for Project<'_, T, G> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arch>(mut self, arch: A) {
        project::gates::<A, T, G>(arch, self.matrix, self.count, self.x, &mut self.out);
    }
}
