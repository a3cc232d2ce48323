//! The hooks of fused kernels: how a cell takes many rows at once, or a row by a shorter way.
//!
//! The runner asks a cell for [`Cell::fused`] and speaks to that alone. A cell without kernels is [`ByRow`], which
//! goes through [`Cell::step`] row by row; a cell with a kernel of its own is
//! [`ByKernel`](super::by_kernel::ByKernel). Which of the two it is, is known when the program is compiled, or (of a
//! cell with options that no kernel has) by one comparison.

use super::dropout::step_dropout;
use super::weights::{KERNEL, RECURRENT_KERNEL, Weights};
use super::{Cell, Step, StepBackward, StepDropout};
use crate::activation::Activation;
use crate::buffers::take;
use crate::error::Result;
use crate::float::Float;
use crate::gradients::WeightGradients;
use crate::kernels::backward::Form;
use crate::strided::{Input, RowStep, Rows, RowsMut};

/// What the runner asks of a cell: many rows of a step at once, projected inputs, the backward pass by kernels.
///
/// Sealed by being hidden: these hooks will change.
#[doc(hidden)]
pub trait FusedCell {
    /// `f32` or `f64`.
    type Elem: Float;

    /// The number of values of a projected input row; 0 for a cell that is never given projected ones.
    fn projected_len(&self) -> usize;

    /// `bias + x * kernel` for `count` rows, in the cell's own order.
    fn project(&self, count: usize, x: Rows<'_, Self::Elem>, out: RowsMut<'_, Self::Elem>);

    /// The number of values of scratch that `step_rows` wants for a batch of this many rows.
    fn rows_scratch_len(&self, batch: usize) -> usize;

    /// One step of each of `call.rows`.
    fn step_rows(&self, call: StepRows<'_, Self::Elem>);

    /// One step of one row in inference, by the shortest way; `odd` is that of [`StepRows`].
    fn step_row(&self, step: &mut RowStep<'_, Self::Elem>, scratch: &mut [Self::Elem], odd: bool);

    /// [`step_row`](Self::step_row) with memory that grows if it must: all that a step of a stream asks of a cell.
    #[inline]
    fn step_only_row(&self, step: &mut RowStep<'_, Self::Elem>, work: &mut Vec<Self::Elem>, odd: bool) {
        self.step_row(step, take(work, self.rows_scratch_len(1)), odd);
    }

    /// The number of values of scratch that `step_rows_backward` wants for a batch of this many rows.
    fn rows_backward_scratch_len(&self, batch: usize) -> usize;

    /// The backward pass through one step of each of `call.rows`.
    fn step_rows_backward(
        &self,
        call: BackwardRows<'_, Self::Elem>,
        gradients: &mut WeightGradients<'_, Self::Elem>,
    ) -> Result<()>;

    /// Whether `step_rows_backward` may be an error: not for this crate's cells.
    fn may_fail_backward(&self) -> bool;

    /// What the kernels need to go back through many rows and steps at once, for cells and activations that have such.
    fn backward_plan(&self) -> Option<BackwardPlan<'_, Self::Elem>>;
}

/// A cell row by row, through [`Cell::step`] and [`Cell::step_backward`].
#[derive(Debug)]
pub struct ByRow<'c, C> {
    cell: &'c C,
    may_fail: bool,
}

impl<'c, C: Cell> ByRow<'c, C> {
    /// Of a cell whose backward pass may be an error.
    #[inline]
    pub(super) fn fallible(cell: &'c C) -> Self {
        ByRow { cell, may_fail: true }
    }

    /// Of a cell whose backward pass never is one.
    #[inline]
    pub(super) fn infallible(cell: &'c C) -> Self {
        ByRow { cell, may_fail: false }
    }
}

impl<C: Cell> FusedCell for ByRow<'_, C> {
    type Elem = C::Elem;

    fn projected_len(&self) -> usize {
        0
    }

    fn project(&self, _count: usize, _x: Rows<'_, C::Elem>, _out: RowsMut<'_, C::Elem>) {
        unreachable!("projected_len says that there is no projection");
    }

    fn rows_scratch_len(&self, _batch: usize) -> usize {
        self.cell.scratch_len()
    }

    fn step_rows(&self, mut call: StepRows<'_, C::Elem>) {
        let (cell, x) = (self.cell, call.input.features());
        // In a stack of cells the scratch is as long as the neediest cell wants it.
        let scratch = &mut call.scratch[..cell.scratch_len()];
        for &row in call.rows {
            cell.step(Step {
                x: x.row(row),
                prev: call.prev.row(row),
                next: call.next.row_mut(row),
                dropout: step_dropout(cell.dropout(), call.dropout, row),
                tape: call.tape.as_mut().map(|tape| tape.row_mut(row)),
                scratch: &mut *scratch,
            });
        }
    }

    #[inline]
    fn step_row(&self, step: &mut RowStep<'_, C::Elem>, scratch: &mut [C::Elem], _odd: bool) {
        let scratch = &mut scratch[..self.cell.scratch_len()];
        let (x, prev, next) = (step.input.features(), step.prev, &mut *step.next);
        self.cell.step(Step { x, prev, next, dropout: StepDropout::default(), tape: None, scratch });
    }

    fn rows_backward_scratch_len(&self, _batch: usize) -> usize {
        self.cell.backward_scratch_len()
    }

    fn step_rows_backward(
        &self,
        call: BackwardRows<'_, C::Elem>,
        gradients: &mut WeightGradients<'_, C::Elem>,
    ) -> Result<()> {
        backward_by_row(self.cell, call, gradients)
    }

    fn may_fail_backward(&self) -> bool {
        self.may_fail
    }

    fn backward_plan(&self) -> Option<BackwardPlan<'_, C::Elem>> {
        None
    }
}

/// The backward pass of any cell, through [`Cell::step_backward`].
pub(super) fn backward_by_row<C: Cell>(
    cell: &C,
    mut call: BackwardRows<'_, C::Elem>,
    gradients: &mut WeightGradients<'_, C::Elem>,
) -> Result<()> {
    let scratch = &mut call.scratch[..cell.backward_scratch_len()];
    for &row in call.rows {
        let step = StepBackward {
            x: call.x.row(row),
            prev: call.prev.row(row),
            next: call.next.row(row),
            tape: call.tape.row(row),
            dropout: step_dropout(cell.dropout(), call.dropout, row),
            d_next: call.d_next.row(row),
            d_prev: call.d_prev.row_mut(row),
            d_x: call.d_x.row_mut(row),
            scratch: &mut *scratch,
        };
        cell.step_backward(step, gradients)?;
    }
    Ok(())
}

/// One step of some rows of a batch: what [`FusedCell::step_rows`] reads and writes.
#[doc(hidden)]
#[derive(Debug)]
pub struct StepRows<'a, T> {
    /// The rows that are live, as indices into the rows of all other fields.
    pub rows: &'a [usize],
    /// The features, or their product with the kernel.
    pub input: Input<'a, T>,
    /// The state before the step.
    pub prev: Rows<'a, T>,
    /// The state after it: only the rows that are live are written.
    pub next: RowsMut<'a, T>,
    /// All dropout masks of each row, side by side.
    pub dropout: Option<Rows<'a, T>>,
    /// In a recorded run, where each row leaves `tape_len` values.
    pub tape: Option<RowsMut<'a, T>>,
    /// `rows_scratch_len` values.
    pub scratch: &'a mut [T],
    /// Whether this is an odd step: kernels alternate the order in which they read the weights.
    pub odd: bool,
}

/// The backward pass through one step of some rows of a batch.
#[doc(hidden)]
#[derive(Debug)]
pub struct BackwardRows<'a, T> {
    /// The rows that were live, as indices into the rows of all other fields.
    pub rows: &'a [usize],
    /// The features.
    pub x: Rows<'a, T>,
    /// The state before the step.
    pub prev: Rows<'a, T>,
    /// The state after it.
    pub next: Rows<'a, T>,
    /// The step's tape.
    pub tape: Rows<'a, T>,
    /// All dropout masks of each row, side by side.
    pub dropout: Option<Rows<'a, T>>,
    /// The gradient of the state after the step.
    pub d_next: Rows<'a, T>,
    /// The gradient of the state before it: only the rows that were live are written.
    pub d_prev: RowsMut<'a, T>,
    /// The gradient of the features: only the rows that were live are written.
    pub d_x: RowsMut<'a, T>,
    /// `rows_backward_scratch_len` values.
    pub scratch: &'a mut [T],
}

/// A built-in cell, as the kernels that go back see it.
#[doc(hidden)]
#[derive(Debug)]
pub struct BackwardPlan<'a, T: Float> {
    pub(crate) form: Form,
    pub(crate) weights: &'a Weights<T>,
    pub(crate) activation: &'a Activation,
    pub(crate) recurrent_activation: &'a Activation,
}

impl<T: Float> BackwardPlan<'_, T> {
    pub(crate) fn input_size(&self) -> usize {
        self.weights.rows(KERNEL)
    }

    pub(crate) fn units(&self) -> usize {
        self.weights.rows(RECURRENT_KERNEL)
    }
}
