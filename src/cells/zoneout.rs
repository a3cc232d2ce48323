//! Zoneout: at each step some units of the state stay what they were.

use std::ops::Range;

use super::fused::ByRow;
use super::{Cell, CellDropout, FusedCell, Step, StepBackward, StepDropout};
use crate::error::{Error, Result};
use crate::float::Float;
use crate::gradients::WeightGradients;
use crate::memory;
use crate::state::StateLayout;
use crate::structure::StructureVisitor;
use crate::weights::{WeightVisitor, WeightVisitorMut};

/// A cell with zoneout (Krueger et al., 2016, "Zoneout: Regularizing RNNs by Randomly Preserving Hidden Activations").
/// With `h~, c~` what the cell makes of `h, c` in a step:
///
/// ```text
/// h' = d_h h + (1 - d_h) h~        in training d_h, d_c are drawn for each step and unit: 1 at the rate, else 0
/// c' = d_c c + (1 - d_c) c~        else they are the rates themselves: the expectation
/// ```
///
/// It goes around any cell, of a user's own too: `h` is the cell's output, `c` all else of its state, if there is any.
/// Streams and whole sequences take the expectation with the same bits. A run that is
/// [recorded](crate::Run::record) draws if it is one of [`training`](crate::Run::training), with the layer's
/// [`seeds`](crate::Layer::seeds).
///
/// The fused kernels of many rows don't know it: rows are taken one by one, and go back one by one. A layer with it is
/// like one with a cell of a user's own in other ways too: files have no words for it, and it can't be quantized. (Take
/// the weights to a layer without it, by name.)
///
/// ```
/// use ndarray::prelude::*;
/// use recurrent::{Gradients, Layer, Lstm, OutputGradient, Recurrent, Run, cell::Zoneout, training::Tape};
/// let cell = Lstm::<f32>::builder(3, 4).build_cell()?;
/// let layer = Recurrent::from_cell(Zoneout::new(cell, 0.1, 0.5, 7)?).return_sequences(true);
/// let (x, mut seeds, mut tape) = (Array3::ones((2, 5, 3)), layer.seeds(), Tape::new());
/// let first = layer.run(&x, Run::new().training(&mut seeds).record(&mut tape))?;
/// let mut gradients = Gradients::new(&layer);
/// layer.backward(&mut tape, OutputGradient::new().sequence(first.sequence()?), &mut gradients)?;
/// let second = layer.run(&x, Run::new().training(&mut seeds))?;
/// assert_ne!(first.sequence()?, second.sequence()?); // other masks
/// assert_eq!(layer.forward(&x)?.sequence()?, layer.forward(&x)?.sequence()?);
/// # Ok::<(), recurrent::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Zoneout<C: Cell> {
    cell: C,
    /// How much of the output, and of the rest of the state, stays.
    rates: [C::Elem; 2],
    /// The columns of the state that are the output.
    output: Range<usize>,
    width: usize,
    depth: usize,
    /// One mask of the output, one of the rest: by way of what is the input's and the hidden state's elsewhere.
    dropout: CellDropout,
}

impl<C: Cell> Zoneout<C> {
    /// Of this cell: the rate of its output (the hidden state), that of the rest of its state (an LSTM's `c`; 0 for a
    /// cell without), and the seed of what is drawn.
    ///
    /// # Errors
    /// [`Error::DropoutRate`] for a rate that isn't from 0 to 1; [`Error::ZoneoutCell`] for a cell that has dropout, and
    /// for a rate of a rest that there isn't; [`Error::CellOutput`] for a cell whose output isn't in its state,
    /// [`Error::NestedTooDeep`].
    pub fn new(cell: C, hidden_rate: f64, cell_rate: f64, seed: i64) -> Result<Self> {
        for (option, given) in [("the zoneout of h", hidden_rate), ("the zoneout of c", cell_rate)] {
            if !(0.0..=1.0).contains(&given) {
                return Err(Error::DropoutRate { option, given });
            }
        }
        let width = cell.state_layout().width();
        let output = super::check_output(cell.class_name(), cell.output(), width)?;
        let rest = width - output.len();
        let refuse = |expected, given: String| Err(Error::ZoneoutCell { expected, given });
        if !cell.dropout().is_empty() {
            return refuse("no dropout of its own", format!("{} with dropout", cell.class_name()));
        }
        if rest == 0 && cell_rate > 0.0 {
            let given = format!("{}, and a rate of c of {cell_rate}", cell.class_name());
            return refuse("more state than its output, or no rate of c", given);
        }
        let depth = memory::check_depth(cell.depth().saturating_add(1))?;
        let masks = CellDropout::new(output.len(), rest).rate(hidden_rate, 1).recurrent_rate(cell_rate, 1);
        let rates = [hidden_rate, cell_rate].map(C::Elem::from_f64);
        Ok(Zoneout { cell, rates, output, width, depth, dropout: masks.seed(seed).each_step(true) })
    }

    /// The cell within.
    pub fn cell(&self) -> &C {
        &self.cell
    }

    /// How much of a part of the state stays: by its mask, or the rate where none was drawn.
    fn shares<'a>(&self, masks: StepDropout<'a, C::Elem>) -> impl Fn(usize) -> C::Elem + use<'a, C> {
        let ([hidden, rest], output) = (self.rates, self.output.clone());
        move |unit| {
            let (mask, place, rate) = match unit {
                unit if output.contains(&unit) => (masks.input, unit - output.start, hidden),
                unit if unit < output.start => (masks.recurrent, unit, rest),
                unit => (masks.recurrent, unit - output.len(), rest),
            };
            mask.get(place).map_or(rate, |&mask| of_mask(mask))
        }
    }

    /// The memory of one step of the cell within.
    fn inner_scratch(&self) -> usize {
        self.cell.scratch_len().max(self.cell.fused().rows_scratch_len(1))
    }
}

/// What dropout would drop stays.
fn of_mask<T: Float>(mask: T) -> T {
    if mask == T::zero() { T::one() } else { T::zero() }
}

/// `share old + (1 - share) new`, which is the one or the other, whatever the other is, where it is all.
fn mixed<T: Float>(share: T, old: T, new: T) -> T {
    match share {
        share if share == T::zero() => new,
        share if share == T::one() => old,
        share => share * old + (T::one() - share) * new,
    }
}

impl<C: Cell> Cell for Zoneout<C> {
    type Elem = C::Elem;

    fn input_size(&self) -> usize {
        self.cell.input_size()
    }

    fn state_layout(&self) -> StateLayout {
        self.cell.state_layout()
    }

    fn step(&self, step: Step<'_, C::Elem>) {
        let Step { x, prev, next, dropout, tape, scratch } = step;
        // The tape: what the cell makes, then its own tape.
        let (made, own) = tape.map(|tape| tape.split_at_mut(self.width)).unzip();
        let none = StepDropout::default();
        self.cell.step(Step { x, prev, next: &mut *next, dropout: none, tape: own, scratch });
        if let Some(made) = made {
            made.copy_from_slice(next);
        }
        let share = self.shares(dropout);
        for (unit, (next, &prev)) in next.iter_mut().zip(prev).enumerate() {
            *next = mixed(share(unit), prev, *next);
        }
    }

    fn step_backward(
        &self,
        step: StepBackward<'_, C::Elem>,
        gradients: &mut WeightGradients<'_, C::Elem>,
    ) -> Result<()> {
        let StepBackward { x, prev, tape, dropout, d_next, d_prev, d_x, scratch, .. } = step;
        let ((made, own), (d_made, scratch)) = (tape.split_at(self.width), scratch.split_at_mut(self.width));
        let (share, zero) = (self.shares(dropout), C::Elem::default());
        for (unit, (d_made, &d)) in d_made.iter_mut().zip(d_next).enumerate() {
            *d_made = mixed(share(unit), zero, d);
        }
        let within = StepBackward {
            x,
            prev,
            next: made,
            tape: own,
            dropout: StepDropout::default(),
            d_next: d_made,
            d_prev: &mut *d_prev,
            d_x,
            scratch,
        };
        self.cell.step_backward(within, gradients)?;
        for (unit, (d_prev, &d)) in d_prev.iter_mut().zip(d_next).enumerate() {
            *d_prev += mixed(share(unit), d, zero);
        }
        Ok(())
    }

    fn visit_weights<'a>(&'a self, visitor: &mut WeightVisitor<'_, 'a, C::Elem>) {
        self.cell.visit_weights(visitor);
    }

    fn visit_weights_mut(&mut self, visitor: &mut WeightVisitorMut<'_, C::Elem>) {
        self.cell.visit_weights_mut(visitor);
    }

    fn output(&self) -> Range<usize> {
        self.output.clone()
    }

    fn initial_state(&self, row: &mut [C::Elem]) {
        self.cell.initial_state(row);
    }

    fn scratch_len(&self) -> usize {
        self.inner_scratch()
    }

    fn dropout(&self) -> &[CellDropout] {
        std::slice::from_ref(&self.dropout)
    }

    fn tape_len(&self) -> usize {
        self.width.saturating_add(self.cell.tape_len())
    }

    fn backward_scratch_len(&self) -> usize {
        let within = self.cell.backward_scratch_len().max(self.cell.fused().rows_backward_scratch_len(1));
        self.width.saturating_add(within)
    }

    fn can_train(&self) -> Result<()> {
        self.cell.can_train()
    }

    fn class_name(&self) -> &'static str {
        self.cell.class_name()
    }

    fn try_clone(&self) -> Option<Self> {
        Some(Zoneout {
            cell: self.cell.try_clone()?,
            output: self.output.clone(),
            dropout: self.dropout.clone(),
            ..*self
        })
    }

    fn depth(&self) -> usize {
        self.depth
    }

    fn fused(&self) -> impl FusedCell<Elem = C::Elem> {
        if self.cell.fused().may_fail_backward() { ByRow::fallible(self) } else { ByRow::infallible(self) }
    }

    fn visit_structure(&self, visitor: &mut StructureVisitor<'_>) {
        visitor.value("zoneout", self.rates);
        self.cell.visit_structure(visitor);
    }
}
