//! What a pool asks of a layer or a model.

use std::sync::Arc;

use super::super::Sizes;
use super::super::step::masked_step;
use crate::error::{Error, Result};
use crate::float::Float;
use crate::layers::Layer;
use crate::runner::scratch::Scratch;
use crate::state::StateLayout;
use crate::strided::{Rows, RowsMut};

/// A [`StreamPool`](crate::StreamPool) of a layer, by whichever way it is held.
#[derive(Debug, Clone, Copy)]
pub enum ByLayer {}

/// A [`StreamPool`](crate::StreamPool) of a [`Model`](crate::Model).
#[derive(Debug, Clone, Copy)]
pub enum ByModel {}

/// What a [`StreamPool`](crate::StreamPool) can run: any layer ([`ByLayer`]) and any model ([`ByModel`]) that streams.
///
/// Sealed: the crate implements it.
pub trait Pooled<T: Float, By>: Sync {
    /// What a stream begins with.
    ///
    /// # Errors
    /// [`Error::CannotStream`] names what needs the whole sequence.
    #[doc(hidden)]
    fn beginning(&self) -> Result<Beginning<T>>;

    /// Takes all memory that steps of so many rows take.
    #[doc(hidden)]
    fn reserve(&self, rows: usize, begin: &Beginning<T>, scratch: &mut Scratch<T>) -> Result<()>;

    /// The previous outputs that belong to a state.
    #[doc(hidden)]
    fn carry_of_state(&self, state: &[T], carry: &mut [T], scratch: &mut Scratch<T>);

    /// One step of some rows; if it is refused, `carry` is as before.
    #[doc(hidden)]
    fn step_rows(&self, rows: RowsOfStep<'_, T>, scratch: &mut Scratch<T>) -> Result<()>;

    /// Multiplications of a row's step: what threads are weighed against.
    #[doc(hidden)]
    fn work(&self) -> usize;
}

/// What a stream begins with, and its sizes.
#[doc(hidden)]
#[derive(Debug)]
pub struct Beginning<T> {
    pub(crate) sizes: Sizes,
    pub(crate) layout: Arc<StateLayout>,
    pub(crate) state: Vec<T>,
    pub(crate) carry: Vec<T>,
}

/// Rows of a step, each side by side.
#[doc(hidden)]
#[derive(Debug)]
pub struct RowsOfStep<'a, T> {
    pub(crate) count: usize,
    pub(crate) x: &'a [T],
    pub(crate) prev: &'a [T],
    pub(crate) next: &'a mut [T],
    pub(crate) carry: &'a mut [T],
    pub(crate) sizes: Sizes,
}

impl<T: Float, L: Layer<T> + ?Sized> Pooled<T, ByLayer> for L {
    fn beginning(&self) -> Result<Beginning<T>> {
        self.can_stream()?;
        let sizes = Sizes::of(self);
        sizes.check_memory(self, 1)?;
        let (mut state, carry) = (vec![T::zero(); sizes.state], vec![T::zero(); sizes.carry]);
        self.fill_initial_state(&mut state);
        Ok(Beginning { sizes, layout: Arc::clone(self.state_layout()), state, carry })
    }

    fn reserve(&self, rows: usize, begin: &Beginning<T>, scratch: &mut Scratch<T>) -> Result<()> {
        let sizes = begin.sizes;
        sizes.check_memory(self, rows)?;
        let (mut next, mut carry) = (vec![T::zero(); rows * sizes.state], vec![T::zero(); rows * sizes.carry]);
        let prev = vec![T::zero(); rows * sizes.state];
        let (x, live) = (vec![T::one(); rows * sizes.input], vec![true; rows]);
        for count in [rows, rows.min(1)] {
            let (next, carry) = (&mut next[..], &mut carry[..]);
            self.step_rows(
                RowsOfStep { count, x: &x, prev: &prev, next: &mut *next, carry: &mut *carry, sizes },
                scratch,
            )?;
            // A Masking layer may hide a step, whatever the number that it hides.
            let own = (Rows::packed(&prev, sizes.state), RowsMut::packed(next, sizes.state));
            masked_step(self, (&x[..count * sizes.input], &live[..count]), sizes, own, carry, scratch);
        }
        Ok(())
    }

    fn carry_of_state(&self, state: &[T], carry: &mut [T], _scratch: &mut Scratch<T>) {
        let width = carry.len();
        self.outputs_from_state(1, Rows::packed(state, state.len()), RowsMut::packed(carry, width));
    }

    fn step_rows(&self, rows: RowsOfStep<'_, T>, scratch: &mut Scratch<T>) -> Result<()> {
        let RowsOfStep { count, x, prev, next, carry, sizes } = rows;
        self.step_into(
            count,
            Rows::packed(x, sizes.input),
            Rows::packed(prev, sizes.state),
            RowsMut::packed(next, sizes.state),
            RowsMut::packed(carry, sizes.carry),
            scratch,
        );
        Ok(())
    }

    fn work(&self) -> usize {
        self.spec().work
    }
}

/// A step that was refused: of the stream at this place.
pub(super) type Refused = (usize, Error);
