//! One step at a time.

use std::ops::Deref;

use ndarray::ArrayRef2;

use super::{Sizes, Stream, in_turn};
use crate::error::{Error, Result};
use crate::float::Float;
use crate::layers::Layer;
use crate::mask::TimeMask;
use crate::runner::layer::LayerCore;
use crate::runner::pass::Pass;
use crate::runner::scratch::Scratch;
use crate::runner::sequence::Sequence;
use crate::strided::{RowInput, RowStep, Rows, RowsMut};

impl<T: Float, P: Deref<Target: Layer<T>>> Stream<T, P> {
    /// One step of every row: (batch, features) to (batch, units).
    ///
    /// # Errors
    /// [`Error::StepShape`]; the stream is as before.
    pub fn step(&mut self, x: &ArrayRef2<T>) -> Result<&ArrayRef2<T>> {
        self.check_step(x)?;
        match x.as_slice() {
            Some(x) => self.advance(Rows::packed(x, self.sizes.input)),
            None => self.by_copy(x, |stream, x| stream.advance(Rows::packed(x, stream.sizes.input))),
        }
        Ok(self.published())
    }

    /// [`step`](Stream::step) of the rows that are `live`: the others keep their state and repeat their previous
    /// output, or output zeros, as in a masked run.
    ///
    /// # Errors
    /// [`Error::StepShape`], [`Error::LengthsCount`]; the stream is as before.
    pub fn step_masked(&mut self, x: &ArrayRef2<T>, live: &[bool]) -> Result<&ArrayRef2<T>> {
        self.check_step(x)?;
        if live.len() != self.batch {
            return Err(Error::LengthsCount { expected: self.batch, given: live.len() });
        }
        match x.as_slice() {
            Some(x) => self.advance_masked(x, live),
            None => self.by_copy(x, |stream, x| stream.advance_masked(x, live)),
        }
        Ok(self.published())
    }

    /// One step of a stream of one row, by slices: features to units.
    ///
    /// # Errors
    /// [`Error::StepShape`] if the stream has another number of rows, or `x` another number of features.
    #[inline(always)] // a call is a tenth of a small step
    pub fn step_one(&mut self, x: &[T]) -> Result<&[T]> {
        if self.batch != 1 || x.len() != self.sizes.input {
            return Err(self.not_one_row(x.len()));
        }
        Ok(self.advance_row(x))
    }

    /// One step of the only row; `x` has been checked.
    #[inline(always)]
    pub(super) fn advance_row(&mut self, x: &[T]) -> &[T] {
        let (prev, next) = in_turn(&mut self.states, self.second);
        let next = next.as_mut_slice();
        let mut step = RowStep { input: RowInput::Raw(x), prev: prev.as_slice(), next: &mut *next };
        self.layer.step_row(&mut step, &mut self.carry, &mut self.scratch);
        self.second = !self.second;
        self.behind = true;
        let Sizes { carry, output, output_in_state, .. } = self.sizes;
        match output_in_state {
            Some(start) => &next[start..][..output],
            None => &self.carry[carry - output..],
        }
    }

    #[cold]
    fn not_one_row(&self, features: usize) -> Error {
        Error::StepShape { expected: (self.batch, self.sizes.input), given: (1, features) }
    }

    /// One step; `x` has been checked.
    #[inline]
    pub(super) fn advance(&mut self, x: Rows<'_, T>) {
        self.flush_outputs();
        let (prev, next) = in_turn(&mut self.states, self.second);
        self.layer.step_into(
            self.batch,
            x,
            prev.rows(),
            RowsMut::packed(next.as_mut_slice(), self.sizes.state),
            RowsMut::packed(&mut self.carry, self.sizes.carry),
            &mut self.scratch,
        );
        self.second = !self.second;
    }

    pub(super) fn advance_masked(&mut self, x: &[T], live: &[bool]) {
        self.flush_outputs();
        let (prev, next) = in_turn(&mut self.states, self.second);
        let rows = (prev.rows(), RowsMut::packed(next.as_mut_slice(), self.sizes.state));
        masked_step(&*self.layer, (x, live), self.sizes, rows, &mut self.carry, &mut self.scratch);
        self.second = !self.second;
    }

    /// The layer's own output as an array.
    fn published(&mut self) -> &ArrayRef2<T> {
        let Sizes { carry, output, .. } = self.sizes;
        let rows = Rows::packed(&self.carry, carry).columns(carry - output..carry);
        for (row, mut to) in self.output.rows_mut().into_iter().enumerate() {
            to.iter_mut().zip(rows.row(row)).for_each(|(to, &from)| *to = from);
        }
        &self.output
    }

    fn check_step(&self, x: &ArrayRef2<T>) -> Result<()> {
        let (expected, given) = ((self.batch, self.sizes.input), x.dim());
        if expected == given { Ok(()) } else { Err(Error::StepShape { expected, given }) }
    }

    fn by_copy(&mut self, x: &ArrayRef2<T>, go: impl FnOnce(&mut Self, &[T])) {
        let mut input = std::mem::take(&mut self.input);
        input.iter_mut().zip(x).for_each(|(to, from)| *to = *from);
        go(self, &input);
        self.input = input;
    }
}

/// One step of rows of which some may be masked: a call of one step, which knows of masks.
pub(super) fn masked_step<T: Float>(
    layer: &(impl Layer<T> + ?Sized),
    (x, live): (&[T], &[bool]),
    sizes: Sizes,
    (prev, next): (Rows<'_, T>, RowsMut<'_, T>),
    carry: &mut [T],
    scratch: &mut Scratch<T>,
) {
    layer.process(
        Pass {
            batch: live.len(),
            timesteps: 1,
            input: Sequence::one_step(x, sizes.input),
            mask: TimeMask::Steps { mask: live, timesteps: 1 },
            resets: None,
            prev,
            next,
            carry: RowsMut::packed(carry, sizes.carry),
            sequence: None,
            masked_output: None,
            tape: None,
            dropout: None,
        },
        scratch,
    );
}
