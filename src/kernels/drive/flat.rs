//! The SimpleRNN's step: groups of columns that need nothing of one another.

use std::fmt;

use super::super::activate::{activate_here, apply};
use super::super::blocks::{self, Block, Epilogue, Operands};
use super::super::epilogue::UnitRows;
use super::super::flat_row::group_of_row;
use super::super::isa::{Arch, Isa, Kernel, RowIsa, dispatch, dispatch_narrow, dispatch_row};
use super::super::lanes::Lanes;
use super::super::packed::{Group, Grouping, PackedMatrix};
use super::super::products::unrolled;
use super::super::units::{formulas, simple_rnn};
use super::super::{KernelStep, StepContext, project};
use crate::activation::Activation;
use crate::kernels::Element;
use crate::strided::{RowStep, Rows, RowsMut};

/// The packed weights of a SimpleRNN and what can be computed with them. A state row is h.
#[derive(Clone)]
pub(crate) struct SimpleRnnKernel<T: Element> {
    isa: Isa,
    input_size: usize,
    units: usize,
    matrix: PackedMatrix<T>,
}

impl<T: Element> SimpleRnnKernel<T> {
    /// The elements of the packed weights, or `None` if they could not be addressed.
    pub(crate) fn packed_len(input_size: usize, units: usize) -> Option<usize> {
        PackedMatrix::<T>::packed_len(input_size.checked_add(units)?, 1, units)
    }

    /// A kernel with weights of zero. Both sizes must be at least 1 and have a [`packed_len`](Self::packed_len).
    pub(crate) fn new(input_size: usize, units: usize) -> Self {
        Self::for_isa(Isa::detect(), input_size, units)
    }

    /// The same on a given instruction set, one of [`Isa::available`].
    pub(crate) fn for_isa(isa: Isa, input_size: usize, units: usize) -> Self {
        let matrix = PackedMatrix::new(input_size + units, 1, units, Grouping::Flat);
        SimpleRnnKernel { isa, input_size, units, matrix }
    }

    /// Takes Keras's weights: `kernel` (input_size, units), `recurrent_kernel` (units, units), `bias` (units).
    /// Allocates nothing.
    pub(crate) fn pack(&mut self, kernel: &[T], recurrent_kernel: &[T], bias: Option<&[T]>) {
        let units = self.units;
        assert_eq!(kernel.len(), self.input_size * units);
        assert_eq!(recurrent_kernel.len(), units * units);
        assert!(bias.is_none_or(|b| b.len() == units));
        self.matrix.pack(kernel, units, 0, 0, 0);
        self.matrix.pack(recurrent_kernel, units, 0, self.input_size, 0);
        self.matrix.set_bias(0, bias);
    }

    /// The elements of a row of [`project`](Self::project)'s result.
    pub(crate) fn projected_len(&self) -> usize {
        self.matrix.z_len()
    }

    /// `bias + x * kernel` of rows `0..count`, in the order in which [`step`](Self::step) takes it.
    pub(in crate::kernels) fn project_here(&self, count: usize, x: Rows<'_, T>, out: RowsMut<'_, T>) {
        dispatch(self.isa, Project { matrix: &self.matrix, count, x, out });
    }

    /// The elements that backward needs of each row and step, beyond the states: none.
    #[cfg(test)]
    pub(crate) fn tape_len(&self) -> usize {
        0
    }

    /// The scratch that a step of at most `rows` rows needs.
    pub(crate) fn scratch_len(&self, _rows: usize) -> usize {
        0
    }

    /// One step of one row; the recurrent activation is not looked at.
    #[inline(always)]
    pub(in crate::kernels) fn step_row_here(&self, step: &mut RowStep<'_, T>, context: StepContext<'_, T>) {
        let (matrix, activation) = (&self.matrix, context.activation);
        let Some(isa) = RowIsa::of(self.isa) else { return self.step_rows(&mut KernelStep::of_row(step, context)) };
        let groups = matrix.groups();
        if let ([group], Activation::Tanh) = (groups, activation) {
            return match group.lines {
                1 => dispatch_row(isa, OnlyGroup::<T, 1> { matrix, step }),
                2 => dispatch_row(isa, OnlyGroup::<T, 2> { matrix, step }),
                3 => dispatch_row(isa, OnlyGroup::<T, 3> { matrix, step }),
                _ => dispatch_row(isa, OnlyGroup::<T, 4> { matrix, step }),
            };
        }
        for i in 0..groups.len() {
            let group = &groups[if context.odd_step { groups.len() - 1 - i } else { i }];
            let step = &mut *step;
            match (activation, group.lines) {
                (Activation::Tanh, 1) => dispatch_row(isa, OneRow::<T, 1, true> { matrix, group, step }),
                (Activation::Tanh, 2) => dispatch_row(isa, OneRow::<T, 2, true> { matrix, group, step }),
                (Activation::Tanh, 3) => dispatch_row(isa, OneRow::<T, 3, true> { matrix, group, step }),
                (Activation::Tanh, _) => dispatch_row(isa, OneRow::<T, 4, true> { matrix, group, step }),
                (_, 1) => dispatch_row(isa, OneRow::<T, 1, false> { matrix, group, step }),
                (_, 2) => dispatch_row(isa, OneRow::<T, 2, false> { matrix, group, step }),
                (_, 3) => dispatch_row(isa, OneRow::<T, 3, false> { matrix, group, step }),
                (_, _) => dispatch_row(isa, OneRow::<T, 4, false> { matrix, group, step }),
            }
        }
        if !matches!(activation, Activation::Tanh) {
            activate_here(self.isa, activation, step.next);
        }
    }

    /// One step of the rows in `call`; `call.recurrent_activation` is not looked at.
    #[inline(always)]
    pub(in crate::kernels) fn step_here(&self, call: &mut KernelStep<'_, T>) {
        match call.single_row() {
            Some((mut step, context)) => self.step_row_here(&mut step, context),
            None => self.step_rows(call),
        }
    }

    fn step_rows(&self, call: &mut KernelStep<'_, T>) {
        let (matrix, input_size, units) = (&self.matrix, self.input_size, self.units);
        if call.dropout.is_some() {
            dispatch_narrow(self.isa, Reference { matrix, input_size, units, call });
        } else {
            dispatch(self.isa, AnyRows { matrix, units, call });
        }
    }
}

impl<T: Element> fmt::Debug for SimpleRnnKernel<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SimpleRnnKernel({} -> {}, {:?})", self.input_size, self.units, self.isa)
    }
}

struct Project<'a, T: Element> {
    matrix: &'a PackedMatrix<T>,
    count: usize,
    x: Rows<'a, T>,
    out: RowsMut<'a, T>,
}

impl<T: Element> Kernel for Project<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arch>(mut self, arch: A) {
        project::flat::<A, T>(arch, self.matrix, self.count, self.x, &mut self.out);
    }
}

/// Any step, as the specification has it.
struct Reference<'a, 'c, T: Element> {
    matrix: &'a PackedMatrix<T>,
    input_size: usize,
    units: usize,
    call: &'a mut KernelStep<'c, T>,
}

impl<T: Element> Kernel for Reference<'_, '_, T> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arch>(self, arch: A) {
        simple_rnn::reference::<A, T>(arch, self.matrix, self.input_size, self.units, self.call);
    }
}

/// A step of any rows.
struct AnyRows<'a, 'c, T: Element> {
    matrix: &'a PackedMatrix<T>,
    units: usize,
    call: &'a mut KernelStep<'c, T>,
}

impl<T: Element> Kernel for AnyRows<'_, '_, T> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arch>(self, arch: A) {
        let AnyRows { matrix, units, call } = self;
        let operands = Operands::new(matrix, call.input, 0, call.prev.columns(0..units));
        let next = call.next.reborrow();
        if matches!(call.activation, Activation::Tanh) {
            blocks::flat::<A, T, _>(arch, matrix, &operands, call.rows, call.odd_step, &mut Cell(next));
        } else {
            let mut epilogue = UnitRows(next);
            blocks::flat::<A, T, _>(arch, matrix, &operands, call.rows, call.odd_step, &mut epilogue);
            for &row in call.rows {
                apply::<A, T>(arch, call.activation, call.next.row_mut(row));
            }
        }
    }
}

/// Takes the sums of a group to the state.
struct Cell<'a, T>(RowsMut<'a, T>);

impl<T: Element> Epilogue<T> for Cell<'_, T> {
    #[inline(always)]
    fn consume<A: Arch, V: Lanes<T>>(&mut self, group: &Group, first: usize, rows: &[usize], z: &mut Block<V>) {
        for line in &mut z[..group.lines] {
            for z in &mut line[..rows.len()] {
                *z = finish::<A, T, V>(*z);
            }
        }
        UnitRows(self.0.reborrow()).consume::<A, V>(group, first, rows, z);
    }
}

/// h of a line from its sums.
#[inline(always)]
fn finish<A: Arch, T: Element, V: Lanes<T>>(z: V) -> V {
    let mut h = z.array();
    for h in h.as_mut() {
        *h = formulas::tanh::<A, T>(*h);
    }
    V::of(h)
}

/// A step of one row whose units are one group: nothing is asked about, and the kernel is jumped to. Trap 6: two
/// pointers.
struct OnlyGroup<'a, 'c, T: Element, const G: usize> {
    matrix: &'a PackedMatrix<T>,
    step: &'a mut RowStep<'c, T>,
}

impl<T: Element, const G: usize> Kernel for OnlyGroup<'_, '_, T, G> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arch>(self, arch: A) {
        let OnlyGroup { matrix, step } = self;
        OneRow::<T, G, true> { matrix, group: &matrix.groups()[0], step }.run(arch);
    }
}

/// A step of one row and one group, in registers.
struct OneRow<'a, 'c, T: Element, const G: usize, const TANH: bool> {
    matrix: &'a PackedMatrix<T>,
    group: &'a Group,
    step: &'a mut RowStep<'c, T>,
}

impl<T: Element, const G: usize, const TANH: bool> Kernel for OneRow<'_, '_, T, G, TANH> {
    type Output = ();
    #[inline(always)]
    fn run<A: Arch>(self, _: A) {
        let OneRow { matrix, group, step } = self;
        let (x, start) = step.input.operands(matrix.bias());
        let mut sums = group_of_row::<A, T, G>(matrix, group, start, x, step.prev);
        if TANH {
            unrolled!(I in 0..G => { sums[I] = finish::<A, T, T::Line>(sums[I]); });
        }
        let next = &mut step.next[group.z..];
        match next.split_at_mut_checked(G * T::LANES) {
            Some((next, _)) => {
                let next = T::Line::arrays_mut(next);
                unrolled!(I in 0..G => { next[I] = sums[I].array(); });
            }
            None => {
                unrolled!(I in 0..G => { sums[I].store(&mut next[I * T::LANES..]); });
            }
        }
    }
}
