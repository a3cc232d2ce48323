//! The backward pass through many steps of many rows.
//!
//! ```text
//! begin:        R^T and K^T are packed, as the matrices of products
//! per step:     dz = derivatives(d_next, the step's tape)            elementwise, in `slopes`
//!               d_prev = (direct part) + dz R^T,  dx += dz K^T         products, like a dense layer's
//! per chunk     dK += x^T dz,  dR += h^T dz,  db += sum of dz          outer products, in `outer`
//! of steps:
//! ```
//!
//! A chunk has about 256 rows of dz: enough that the outer products run from the near cache, few enough that dz needn't
//! be kept for the whole sequence. Its length follows from the batch alone, so that it fixes the order of the sums.
//!
//! A row of dz holds the gradients of the preactivations side by side, U (units) of each:
//!
//! ```text
//!                    dz                  of the kernel's columns     of the recurrent kernel's columns (operand)
//! SimpleRNN          h                   h                           h (h)
//! LSTM               i f g o             i f g o                     i f g o (h)
//! GRU, reset after   g z r m             g z r                       z r m (h)
//! GRU, reset before  z r g               z r g                       z r (h), g (r h)
//! ```
//!
//! With the reset after the product, the candidate's two parts have gradients of their own: g that of `x K`, m that of
//! `h R`; in this order both products find what they need side by side.

mod chunk;
mod first;
mod outer;
mod outer_sums;

pub(crate) use chunk::{BackwardChunk, ChunkWork};
pub(crate) use outer_sums::OuterSums;

use self::chunk::Operand;
use super::blocks::{self, Operands, Start};
use super::epilogue::{AddedUnitRows, UnitRows};
use super::isa::{Arch, Isa, Kernel, dispatch};
use super::packed::{Grouping, PackedMatrix};
pub(crate) use super::slopes::{BackwardStep, Upstream};
use super::slopes::{Columns, GradientLayout};
pub(crate) use super::units::Form;
use super::units::gru_before::Reset;
use crate::aligned::Aligned;
use crate::kernels::Element;
use crate::strided::{Rows, RowsMut};

/// The transposed weights of a cell, packed for the backward pass, and its scratch.
#[derive(Clone)]
pub(crate) struct BackwardKernel<T: Element> {
    isa: Isa,
    form: Form,
    input_size: usize,
    units: usize,
    /// dz to h, and dz to r h.
    recurrent: PackedMatrix<T>,
    candidate: Option<PackedMatrix<T>>,
    /// dz to x, if that is wanted.
    input: Option<PackedMatrix<T>>,
    /// The weights' gradients since `begin`, in the order in which `outer` sums them.
    sums: Aligned<T>,
}

impl<T: Element> BackwardKernel<T> {
    pub(crate) fn new(form: Form, input_size: usize, units: usize) -> Self {
        let matrix = |parts: usize, width| PackedMatrix::new(parts * units, 1, width, Grouping::Flat);
        let layout = form.layout();
        BackwardKernel {
            isa: Isa::detect(),
            form,
            input_size,
            units,
            recurrent: matrix(layout.recurrent.count, units),
            candidate: layout.candidate.map(|columns| matrix(columns.count, units)),
            input: None,
            sums: Aligned::default(),
        }
    }

    /// Whether it was made for a cell like this.
    pub(crate) fn fits(&self, form: Form, input_size: usize, units: usize) -> bool {
        (self.form, self.input_size, self.units) == (form, input_size, units)
    }

    /// The elements of a row of dz.
    pub(crate) fn dz_len(form: Form, units: usize) -> usize {
        form.layout().parts * units
    }

    /// How far apart rows of dz should lie: a line more than they are long, since rows a power of two apart would share
    /// a few places in the cache.
    pub(crate) fn dz_stride(form: Form, units: usize) -> usize {
        Self::dz_len(form, units) + T::LANES
    }

    /// The scratch of a step of a batch of so many rows.
    pub(crate) fn scratch_len(&self, batch: usize) -> usize {
        if self.candidate.is_some() { batch * self.units } else { 0 }
    }

    /// Takes Keras's weights. `input` says whether the gradient of x is wanted.
    pub(crate) fn pack(&mut self, kernel: &[T], recurrent_kernel: &[T], input: bool) {
        let (layout, units) = (self.form.layout(), self.units);
        let columns = layout.gates * units;
        let pack = |matrix: &mut PackedMatrix<T>, weights: &[T], parts: &[Columns]| {
            // Row j of the transposed matrix is the weights' column that dz's column j belongs to.
            let mut row = 0;
            for part in parts {
                matrix.pack_transposed(weights, columns, part.weight * units, row, part.count * units);
                row += part.count * units;
            }
        };
        pack(&mut self.recurrent, recurrent_kernel, &[layout.recurrent]);
        if let (Some(matrix), Some(part)) = (&mut self.candidate, layout.candidate) {
            pack(matrix, recurrent_kernel, &[part]);
        }
        if input {
            let (gates, width) = (layout.gates * units, self.input_size);
            let matrix = self.input.get_or_insert_with(|| PackedMatrix::new(gates, 1, width, Grouping::Flat));
            pack(matrix, kernel, layout.kernel);
        }
    }

    /// One step of the rows in `call`.
    pub(crate) fn step_here(&self, mut call: BackwardStep<'_, T>) {
        let (units, isa) = (self.units, self.isa);
        dispatch(isa, first::First { form: self.form, units, call: &mut call });
        if let (Some(matrix), Some(part)) = (&self.candidate, self.form.layout().candidate) {
            let dz = call.dz.as_rows().columns(part.dz * units..(part.dz + part.count) * units);
            let scratch = std::mem::take(&mut call.scratch);
            let out = RowsMut::packed(&mut *scratch, units);
            dispatch(isa, Product::<T, false> { matrix, x: dz, rows: call.rows, out });
            dispatch(isa, Reset { units, call: &mut call, q: Rows::packed(scratch, units) });
        }
        let part = self.form.layout().recurrent;
        let dz = call.dz.as_rows().columns(part.dz * units..(part.dz + part.count) * units);
        let (matrix, rows, out) = (&self.recurrent, call.rows, call.d_prev.columns(0..units));
        if self.form.layout().mixes_h {
            dispatch(isa, Product::<T, true> { matrix, x: dz, rows, out });
        } else {
            dispatch(isa, Product::<T, false> { matrix, x: dz, rows, out });
        }
        if let (Some(matrix), Some(out)) = (&self.input, call.d_x) {
            let dz = call.dz.as_rows().columns(0..self.form.layout().gates * units);
            dispatch(isa, Product::<T, true> { matrix, x: dz, rows, out });
        }
    }

    /// Forgets the sums of the chunks so far.
    pub(crate) fn begin(&mut self) {
        let len = self.form.layout().outer_products(self.input_size, self.units).map(|outer| outer.len()).sum();
        self.sums.take(len).fill(T::zero());
    }

    /// The outer products of a chunk, whose sums stay here until [`finish`](Self::finish).
    pub(crate) fn chunk<'a>(&'a mut self, call: BackwardChunk<'a, T>) -> ChunkWork<'a, T> {
        ChunkWork {
            isa: self.isa,
            form: self.form,
            sizes: (self.input_size, self.units),
            call,
            first: 0,
            sums: &mut self.sums,
        }
    }

    /// Adds a chunk's sums to the gradient of the bias.
    pub(crate) fn bias_here(&self, call: BackwardChunk<'_, T>, bias: &mut [T]) {
        let (units, layout) = (self.units, self.form.layout());
        let (first, second) = bias.split_at_mut(layout.gates * units);
        let add = |part: Columns, sums: &mut [T]| {
            let sums = &mut sums[part.weight * units..][..part.count * units];
            let dz = call.dz.columns(part.dz * units..(part.dz + part.count) * units);
            dispatch(self.isa, outer::Sum { dz, rows: call.rows, sums });
        };
        layout.kernel.iter().for_each(|&part| add(part, first));
        if !second.is_empty() {
            add(layout.recurrent, second);
        }
    }

    /// Adds the sums of all chunks since [`begin`](Self::begin) to the gradients, in Keras's shapes.
    pub(crate) fn finish_here(&mut self, kernel: &mut [T], recurrent_kernel: &mut [T]) {
        let (units, columns) = (self.units, self.form.layout().gates * self.units);
        let mut rest = &self.sums[..];
        for outer in self.form.layout().outer_products(self.input_size, units) {
            let (sums, others) = rest.split_at(outer.len());
            rest = others;
            let gradient = if outer.operand == Operand::X { &mut *kernel } else { &mut *recurrent_kernel };
            let out = RowsMut::new(gradient, outer.part.weight * units, columns, outer.part.count * units);
            dispatch(self.isa, outer::Flush { sums, out });
        }
    }
}

impl<T: Element> std::fmt::Debug for BackwardKernel<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "BackwardKernel({:?}, {} -> {}, {:?})", self.form, self.input_size, self.units, self.isa)
    }
}

/// `out = x * matrix` for some rows, or with `ADD` `out += x * matrix`.
struct Product<'a, T: Element, const ADD: bool> {
    matrix: &'a PackedMatrix<T>,
    x: Rows<'a, T>,
    rows: &'a [usize],
    out: RowsMut<'a, T>,
}

/// Rows that are multiplied before the next ones are looked at: what they hold stays in the near cache.
const ROWS_AT_ONCE: usize = 24;

impl<T: Element, const ADD: bool> Kernel for Product<'_, T, ADD> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arch>(self, arch: A) {
        let Product { matrix, x, rows, mut out } = self;
        let (start, h) = (Start::Same(matrix.bias()), Rows::packed(&[], 0));
        let operands = Operands { start, x: Some(x), h, h_in_order: false };
        for rows in rows.chunks(ROWS_AT_ONCE) {
            if ADD {
                blocks::flat::<A, T, _>(arch, matrix, &operands, rows, false, &mut AddedUnitRows(out.reborrow()));
            } else {
                blocks::flat::<A, T, _>(arch, matrix, &operands, rows, false, &mut UnitRows(out.reborrow()));
            }
        }
    }
}
