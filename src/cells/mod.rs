//! Cells: one step forward, and the same step backward.
//!
//! A cell sees **one row of one step**: the features, the state before, and the place for the state after. It never
//! sees a batch, a mask, a direction or another step, and so it gets all of them right: the [runner](crate::runner)
//! does them for any cell. Read [`simple_rnn`] next, the smallest whole example.

mod gate;
pub(crate) mod gru;
pub(crate) mod lstm;
pub(crate) mod simple_rnn;
pub(crate) mod stacked;
pub(crate) mod weights;

use std::fmt::Debug;
use std::ops::Range;

use crate::activation::Activation;
use crate::buffers::take;
use crate::error::{Error, Result};
use crate::float::Float;
use crate::gradients::WeightGradients;
use crate::kernels::activate::reads_preactivation;
use crate::kernels::backward::Form;
use crate::rows::{DropoutRows, Input, RowInput, RowStep, Rows, RowsMut};
use crate::state::StateLayout;
use crate::structure::{DebugText, StructureVisitor};
use crate::weights::{WeightVisitor, WeightVisitorMut};

/// One step of a recurrent layer: implement it to run a cell of your own over time.
///
/// [`Recurrent::from_cell`](crate::Recurrent::from_cell) turns a cell into a layer with `return_sequences`,
/// `return_state`, `go_backwards`, masks, lengths, resets, dropout, initial states and streaming. Five methods are
/// required. A row's result must depend on nothing but its arguments and the weights: then it doesn't depend on the
/// batch, the chunking or the number of threads either.
///
/// ```
/// use ndarray::prelude::*;
/// use recurrent::{Cell, Layer, Recurrent, StateLayout, Step, WeightVisitor, WeightVisitorMut};
///
/// /// A running mean of each feature: `h' = h + rate (x - h)`.
/// #[derive(Debug, Clone)]
/// struct Smooth { rate: Array1<f32> }
///
/// impl Cell for Smooth {
///     type Elem = f32;
///     fn input_size(&self) -> usize { self.rate.len() }
///     fn state_layout(&self) -> StateLayout { StateLayout::new([("h", self.rate.len())]) }
///     fn step(&self, step: Step<'_, f32>) {
///         for (j, next) in step.next.iter_mut().enumerate() {
///             *next = step.prev[j] + self.rate[j] * (step.x[j] - step.prev[j]);
///         }
///     }
///     fn visit_weights<'a>(&'a self, visitor: &mut WeightVisitor<'_, 'a, f32>) {
///         visitor.weight("rate", &self.rate);
///     }
///     fn visit_weights_mut(&mut self, visitor: &mut WeightVisitorMut<'_, f32>) {
///         visitor.weight("rate", &mut self.rate);
///     }
/// }
///
/// let layer = Recurrent::from_cell(Smooth { rate: array![0.5, 0.25] }).return_sequences(true);
/// let output = layer.forward(&Array3::ones((1, 2, 2)))?;
/// assert_eq!(output.sequence()?, array![[[0.5, 0.25], [0.75, 0.4375]]]);
/// # Ok::<(), recurrent::Error>(())
/// ```
pub trait Cell: Debug + Send + Sync + 'static {
    /// `f32` or `f64`.
    type Elem: Float;

    /// The number of features that a step reads.
    fn input_size(&self) -> usize;

    /// The names and widths of the state's parts. Asked once, when the layer is made.
    fn state_layout(&self) -> StateLayout;

    /// One row of one step: writes all of `step.next`.
    fn step(&self, step: Step<'_, Self::Elem>);

    /// Shows each weight to the visitor, always in the same order.
    fn visit_weights<'a>(&'a self, visitor: &mut WeightVisitor<'_, 'a, Self::Elem>);

    /// Hands each weight to the visitor to be changed, in the order of [`visit_weights`](Cell::visit_weights).
    fn visit_weights_mut(&mut self, visitor: &mut WeightVisitorMut<'_, Self::Elem>);

    /// The columns of the state that are the cell's output: the first part, unless a cell says otherwise.
    ///
    /// The output is always a part of the state. A cell whose output isn't keeps it as one more part.
    fn output(&self) -> Range<usize> {
        0..self.state_layout().first_width()
    }

    /// The state of a row before its first step, if the caller gives none: zeros, unless a cell says otherwise.
    fn initial_state(&self, row: &mut [Self::Elem]) {
        row.fill(Self::Elem::default());
    }

    /// The number of values of scratch that one step wants in `step.scratch`.
    fn scratch_len(&self) -> usize {
        0
    }

    /// What dropout the cell has: none, unless a cell says otherwise.
    fn dropout(&self) -> &[CellDropout] {
        &[]
    }

    /// The number of values that a step leaves in `step.tape` for the way back.
    fn tape_len(&self) -> usize {
        0
    }

    /// The way back through one row of one step: from `step.d_next`, the gradient of the state after the step, to
    /// those of the state before it and of the features, which are written, and of the weights, which are added to.
    ///
    /// # Errors
    /// [`Error::NoBackward`](crate::Error::NoBackward) unless a cell implements it; an error of its own kind is handed
    /// on to whoever called [`Layer::backward`](crate::Layer::backward).
    fn step_backward(
        &self,
        _step: StepBackward<'_, Self::Elem>,
        _gradients: &mut WeightGradients<'_, Self::Elem>,
    ) -> Result<()> {
        Err(Error::NoBackward { cell: self.class_name() })
    }

    /// The number of values of scratch that the way back through one step wants in `step.scratch`.
    fn backward_scratch_len(&self) -> usize {
        0
    }

    /// Whether the way back is there at all: asked before anything is done.
    ///
    /// # Errors
    /// [`Error::NoDerivative`](crate::Error::NoDerivative) for an activation of the user's own without derivative.
    fn can_train(&self) -> Result<()> {
        Ok(())
    }

    /// The class name for summaries, in Keras's words where Keras has it.
    fn class_name(&self) -> &'static str {
        "RNN"
    }

    /// A copy, so that clones of a layer can be changed apart from each other. Implement it as `Some(self.clone())`.
    ///
    /// Without it, clones of a layer share the cell, and a shared cell's weights can't be changed
    /// ([`Error::SharedCell`](crate::Error::SharedCell)).
    fn try_clone(&self) -> Option<Self>
    where
        Self: Sized,
    {
        None
    }

    /// How many cells stand within each other here, this one included.
    #[doc(hidden)]
    fn depth(&self) -> usize {
        1
    }

    /// Shows what the cell is but for its weights and its dropout, which a step in inference doesn't have: for cells
    /// of a user's own the type, and what it says about its memory.
    #[doc(hidden)]
    fn visit_structure(&self, visitor: &mut StructureVisitor<'_>) {
        visitor.value("cell", DebugText(std::any::type_name::<Self>()));
        visitor.value("scratch_len", self.scratch_len());
        visitor.value("tape_len", self.tape_len());
    }

    /// Called after the weights were changed: packs them anew.
    #[doc(hidden)]
    fn weights_changed(&mut self) {}

    /// The number of values of a projected input row; 0 for a cell that is never hoisted.
    #[doc(hidden)]
    fn projected_len(&self) -> usize {
        0
    }

    /// `bias + x * kernel` for `count` rows, in the cell's own order.
    #[doc(hidden)]
    fn project(&self, _count: usize, _x: Rows<'_, Self::Elem>, _out: RowsMut<'_, Self::Elem>) {}

    /// The number of values of scratch that `step_rows` wants for a batch of this many rows.
    #[doc(hidden)]
    fn rows_scratch_len(&self, _batch: usize) -> usize {
        self.scratch_len()
    }

    /// One step of each of `call.rows`.
    #[doc(hidden)]
    fn step_rows(&self, mut call: StepRows<'_, Self::Elem>) {
        let Input::Raw(x) = call.input else { return };
        // In a stack of cells the scratch is as long as the neediest cell wants it.
        let scratch = &mut call.scratch[..self.scratch_len()];
        for &row in call.rows {
            self.step(Step {
                x: x.row(row),
                prev: call.prev.row(row),
                next: call.next.row_mut(row),
                dropout: step_dropout(self.dropout(), call.dropout, row),
                tape: call.tape.as_mut().map(|tape| tape.row_mut(row)),
                scratch: &mut *scratch,
            });
        }
    }

    /// One step of one row in inference, by the shortest way; `odd` is that of [`StepRows`].
    #[doc(hidden)]
    #[inline]
    fn step_row(&self, step: &mut RowStep<'_, Self::Elem>, scratch: &mut [Self::Elem], _odd: bool) {
        // Only a cell that projects inputs is given projected ones.
        let RowInput::Raw(x) = step.input else { return };
        let scratch = &mut scratch[..self.scratch_len()];
        let (prev, next) = (step.prev, &mut *step.next);
        self.step(Step { x, prev, next, dropout: StepDropout::default(), tape: None, scratch });
    }

    /// The way back through one step of each of `call.rows`.
    #[doc(hidden)]
    fn step_rows_backward(
        &self,
        mut call: BackwardRows<'_, Self::Elem>,
        gradients: &mut WeightGradients<'_, Self::Elem>,
    ) -> Result<()> {
        let scratch = &mut call.scratch[..self.backward_scratch_len()];
        for &row in call.rows {
            let step = StepBackward {
                x: call.x.row(row),
                prev: call.prev.row(row),
                next: call.next.row(row),
                tape: call.tape.row(row),
                dropout: step_dropout(self.dropout(), call.dropout, row),
                d_next: call.d_next.row(row),
                d_prev: call.d_prev.row_mut(row),
                d_x: call.d_x.row_mut(row),
                scratch: &mut *scratch,
            };
            self.step_backward(step, gradients)?;
        }
        Ok(())
    }

    /// Whether [`step_backward`](Cell::step_backward) may be an error: not for this crate's cells.
    #[doc(hidden)]
    fn may_fail_backward(&self) -> bool {
        true
    }

    /// What the kernels need to go back through many rows and steps at once, for cells and activations that have such.
    #[doc(hidden)]
    fn backward_plan(&self) -> Option<BackwardPlan<'_, Self::Elem>> {
        None
    }

    /// The number of values of scratch that `step_rows_backward` wants for a batch of this many rows.
    #[doc(hidden)]
    fn rows_backward_scratch_len(&self, _batch: usize) -> usize {
        self.backward_scratch_len()
    }
}

/// One row of one step: what [`Cell::step`] reads and writes.
#[derive(Debug)]
#[non_exhaustive]
pub struct Step<'a, T> {
    /// The features: `input_size` values.
    pub x: &'a [T],
    /// The state before the step, all parts side by side.
    pub prev: &'a [T],
    /// The state after the step, to be written; what it holds before is undefined.
    pub next: &'a mut [T],
    /// The dropout masks of a training call; empty otherwise.
    pub dropout: StepDropout<'a, T>,
    /// In a recorded run, [`Cell::tape_len`] values to be written for the way back.
    pub tape: Option<&'a mut [T]>,
    /// [`Cell::scratch_len`] values, undefined before and after.
    pub scratch: &'a mut [T],
}

impl<'a, T> Step<'a, T> {
    /// A step without scratch and dropout, to try out a cell alone. Nothing is checked here: a built-in cell that is given
    /// slices of other sizes than its own fills `next` with NaN. [`for_cell`](Step::for_cell) refuses them.
    ///
    /// ```
    /// use recurrent::{Cell, Lstm, Step};
    /// let cell = Lstm::<f64>::builder(2, 3).build_cell()?;
    /// let mut next = [0.0; 6]; // h and c
    /// cell.step(Step::for_cell(&cell, &[0.5, -0.5], &[0.0; 6], &mut next)?);
    /// assert!(next.iter().all(|value| value.is_finite()));
    /// assert!(Step::for_cell(&cell, &[0.5], &[0.0; 6], &mut next).is_err());
    /// # Ok::<(), recurrent::Error>(())
    /// ```
    pub fn new(x: &'a [T], prev: &'a [T], next: &'a mut [T]) -> Self {
        Step { x, prev, next, dropout: StepDropout::default(), tape: None, scratch: &mut [] }
    }

    /// [`new`](Step::new) for a cell whose sizes the slices must have.
    ///
    /// # Errors
    /// [`Error::StepSize`] if one of them has another length.
    pub fn for_cell<C: Cell<Elem = T>>(cell: &C, x: &'a [T], prev: &'a [T], next: &'a mut [T]) -> Result<Self> {
        let width = cell.state_layout().width();
        let sizes = [("x", cell.input_size(), x.len()), ("prev", width, prev.len()), ("next", width, next.len())];
        match sizes.into_iter().find(|(_, expected, given)| expected != given) {
            Some((what, expected, given)) => Err(Error::StepSize { cell: cell.class_name(), what, expected, given }),
            None => Ok(Step::new(x, prev, next)),
        }
    }

    /// Whether all slices have the cell's sizes.
    fn fits(&self, cell: &impl Cell<Elem = T>) -> bool {
        let (width, dropout) = (cell.state_layout().width(), cell.dropout().first());
        let masks = |given: &[T], expected: Option<usize>| given.is_empty() || Some(given.len()) == expected;
        (self.x.len(), self.prev.len(), self.next.len()) == (cell.input_size(), width, width)
            && self.tape.as_ref().is_none_or(|tape| tape.len() == cell.tape_len())
            && masks(self.dropout.input, dropout.map(CellDropout::input_width))
            && masks(self.dropout.recurrent, dropout.map(CellDropout::recurrent_width))
    }

    /// The step of a built-in cell as one of a batch of one row, and its dropout masks. Whoever calls a cell by hand may
    /// have brought no scratch: then it is `own`. A step that doesn't fit the cell is none: then NaN has been written.
    fn into_rows<C>(self, cell: &C, own: &'a mut Vec<T>) -> Option<(StepRows<'a, T>, Option<DropoutRows<'a, T>>)>
    where
        T: Float,
        C: Cell<Elem = T>,
    {
        if !self.fits(cell) {
            self.next.fill(T::nan());
            return None;
        }
        let masks = |masks: &'a [T]| (!masks.is_empty()).then(|| Rows::packed(masks, masks.len()));
        let dropout = DropoutRows { input: masks(self.dropout.input), recurrent: masks(self.dropout.recurrent) };
        let scratch_len = cell.rows_scratch_len(1);
        let rows = StepRows {
            rows: &[0],
            input: Input::Raw(Rows::packed(self.x, self.x.len())),
            prev: Rows::packed(self.prev, self.prev.len()),
            next: RowsMut::packed(self.next, self.prev.len()),
            dropout: None,
            tape: self.tape.map(|tape| {
                let width = tape.len();
                RowsMut::packed(tape, width)
            }),
            scratch: if self.scratch.len() < scratch_len { take(own, scratch_len) } else { self.scratch },
            odd: false,
        };
        Some((rows, (dropout.input.is_some() || dropout.recurrent.is_some()).then_some(dropout)))
    }
}

/// The way back through one row of one step: what [`Cell::step_backward`] reads and writes.
#[derive(Debug)]
#[non_exhaustive]
pub struct StepBackward<'a, T> {
    /// The features of the step.
    pub x: &'a [T],
    /// The state before the step.
    pub prev: &'a [T],
    /// The state after the step.
    pub next: &'a [T],
    /// What the step left.
    pub tape: &'a [T],
    /// The dropout masks of the call; empty without dropout.
    pub dropout: StepDropout<'a, T>,
    /// The gradient of the state after the step; that of the output is in it.
    pub d_next: &'a [T],
    /// The gradient of the state before the step, to be written.
    pub d_prev: &'a mut [T],
    /// The gradient of the features, to be written.
    pub d_x: &'a mut [T],
    /// [`Cell::backward_scratch_len`] values, undefined before and after.
    pub scratch: &'a mut [T],
}

/// The dropout masks of one row: values to multiply with, the same at every step of a call.
///
/// Each slice is empty where nothing is to be dropped (always, in inference), and else holds the masks side by side,
/// as many as the cell's [`CellDropout`] says.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct StepDropout<'a, T> {
    /// Masks of the input, each `input_size` values.
    pub input: &'a [T],
    /// Masks of the previous hidden state, each as wide as the cell's output.
    pub recurrent: &'a [T],
}

impl<T> Default for StepDropout<'_, T> {
    fn default() -> Self {
        StepDropout { input: &[], recurrent: &[] }
    }
}

/// What dropout a cell has: the runner draws the masks, with Keras's numbers, and hands them to each step.
#[derive(Debug, Clone, PartialEq)]
pub struct CellDropout {
    /// The fraction of input units to drop, 0 to 1.
    pub rate: f64,
    /// How many masks of the input are drawn: one for all gates, or one for each.
    pub masks: usize,
    /// The fraction of the previous hidden state's units to drop, 0 to 1.
    pub recurrent_rate: f64,
    /// How many masks of the previous hidden state are drawn.
    pub recurrent_masks: usize,
    /// The width of the input.
    pub input_size: usize,
    /// The width of the previous hidden state.
    pub units: usize,
    /// Keras's `seed`.
    pub seed: i64,
}

impl CellDropout {
    /// Values in a row of all masks side by side: the input's first, as they are drawn.
    pub(crate) fn width(&self) -> usize {
        self.input_width().saturating_add(self.recurrent_width())
    }

    fn recurrent_width(&self) -> usize {
        self.recurrent_masks.saturating_mul(self.units)
    }

    /// How many masks one call draws: none for a rate of exactly 0 or 1.
    pub(crate) fn draws(&self) -> u64 {
        let count = |rate: f64, masks: usize| if rate > 0.0 && rate < 1.0 { masks as u64 } else { 0 };
        count(self.rate, self.masks).saturating_add(count(self.recurrent_rate, self.recurrent_masks))
    }

    fn input_width(&self) -> usize {
        self.masks.saturating_mul(self.input_size)
    }

    /// The cell's masks within rows that hold those of several cells; its own start at column `start`.
    pub(crate) fn masks<'a, T>(&self, all: Rows<'a, T>, start: usize) -> DropoutRows<'a, T> {
        let (input, end) = (start.saturating_add(self.input_width()), start.saturating_add(self.width()));
        DropoutRows {
            input: (self.masks > 0).then(|| all.columns(start..input)),
            recurrent: (self.recurrent_masks > 0).then(|| all.columns(input..end)),
        }
    }
}

/// The width of all masks of a row side by side, and that of the widest: room is asked for both.
pub(crate) fn mask_widths(generators: &[CellDropout]) -> (usize, usize) {
    let width = generators.iter().fold(0, |sum: usize, generator| sum.saturating_add(generator.width()));
    (width, generators.iter().map(|generator| generator.input_size.max(generator.units)).max().unwrap_or(0))
}

/// The columns that are a cell's output, if they are columns of its state.
pub(crate) fn check_output(cell: &'static str, output: Range<usize>, width: usize) -> Result<Range<usize>> {
    let fits = output.start <= output.end && output.end <= width;
    if fits { Ok(output) } else { Err(Error::CellOutput { cell, output, width }) }
}

/// A slice in four equal parts.
fn quarters<T>(values: &mut [T]) -> [&mut [T]; 4] {
    let (first, second) = values.split_at_mut(values.len() / 2);
    let (a, b) = first.split_at_mut(first.len() / 2);
    let (c, d) = second.split_at_mut(second.len() / 2);
    [a, b, c, d]
}

/// The masks of one row, for a cell that has its whole row of masks to itself.
fn step_dropout<'a, T>(dropout: &[CellDropout], all: Option<Rows<'a, T>>, row: usize) -> StepDropout<'a, T> {
    let masks = only_masks(dropout, all);
    let row_of = |rows: Option<Rows<'a, T>>| rows.map_or(&[][..], |rows| rows.row(row));
    masks.map_or_else(StepDropout::default, |masks| StepDropout {
        input: row_of(masks.input),
        recurrent: row_of(masks.recurrent),
    })
}

/// The masks of a cell that has its whole row of masks to itself.
pub(crate) fn only_masks<'a, T>(dropout: &[CellDropout], all: Option<Rows<'a, T>>) -> Option<DropoutRows<'a, T>> {
    dropout.first().zip(all).map(|(dropout, all)| dropout.masks(all, 0))
}

/// One step of some rows of a batch: what the built-in cells' faster hook reads and writes.
#[doc(hidden)]
#[derive(Debug)]
pub struct StepRows<'a, T> {
    /// The rows that are alive, as indices into the rows of all other fields.
    pub rows: &'a [usize],
    /// The features, or their product with the kernel.
    pub input: Input<'a, T>,
    /// The state before the step.
    pub prev: Rows<'a, T>,
    /// The state after it: only the rows that are alive are written.
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

/// The way back through one step of some rows of a batch.
#[doc(hidden)]
#[derive(Debug)]
pub struct BackwardRows<'a, T> {
    /// The rows that were alive, as indices into the rows of all other fields.
    pub rows: &'a [usize],
    /// The features.
    pub x: Rows<'a, T>,
    /// The state before the step.
    pub prev: Rows<'a, T>,
    /// The state after it.
    pub next: Rows<'a, T>,
    /// What the step left.
    pub tape: Rows<'a, T>,
    /// All dropout masks of each row, side by side.
    pub dropout: Option<Rows<'a, T>>,
    /// The gradient of the state after the step.
    pub d_next: Rows<'a, T>,
    /// The gradient of the state before it: only the rows that were alive are written.
    pub d_prev: RowsMut<'a, T>,
    /// The gradient of the features: only the rows that were alive are written.
    pub d_x: RowsMut<'a, T>,
    /// `rows_backward_scratch_len` values.
    pub scratch: &'a mut [T],
}

/// A built-in cell, as the kernels that go back see it.
#[doc(hidden)]
#[derive(Debug)]
pub struct BackwardPlan<'a, T: Float> {
    pub(crate) form: Form,
    pub(crate) weights: &'a weights::CellWeights<T>,
    pub(crate) activation: &'a Activation,
    pub(crate) recurrent_activation: &'a Activation,
}

impl<'a, T: Float> BackwardPlan<'a, T> {
    /// None for activations whose way back needs the preactivations, which the kernels don't keep.
    pub(crate) fn new(
        form: Form,
        weights: &'a weights::CellWeights<T>,
        activation: &'a Activation,
        recurrent_activation: &'a Activation,
    ) -> Option<Self> {
        let keeps = !reads_preactivation(activation) && !reads_preactivation(recurrent_activation);
        keeps.then_some(BackwardPlan { form, weights, activation, recurrent_activation })
    }
}
