//! A boxed layer is a layer.

use std::ops::Range;
use std::sync::Arc;

use super::Layer;
use super::sealed::Sealed;
use crate::error::Result;
use crate::float::Float;
use crate::room::{Call, CallBack, Held, Room};
use crate::rows::{RowStep, Rows, RowsMut};
use crate::runner::pass::{BackwardPass, Pass};
use crate::runner::scratch::Scratch;
use crate::runner::tape::Node;
use crate::seeds::{DropoutState, Seeds};
use crate::stamp::Mark;
use crate::state::StateLayout;
use crate::structure::StructureVisitor;
use crate::weights::{WeightVisitor, WeightVisitorMut};

impl<T: Float> Clone for Box<dyn Layer<T>> {
    fn clone(&self) -> Self {
        self.as_ref().boxed_clone()
    }
}

impl<L: Sealed + ?Sized> Sealed for Box<L> {}

impl<T: Float, L: Layer<T> + ?Sized> Layer<T> for Box<L> {
    fn input_size(&self) -> usize {
        (**self).input_size()
    }

    fn output_size(&self) -> usize {
        (**self).output_size()
    }

    fn returns_sequences(&self) -> bool {
        (**self).returns_sequences()
    }

    fn returns_state(&self) -> bool {
        (**self).returns_state()
    }

    fn per_step(&self) -> bool {
        (**self).per_step()
    }

    fn state_layout(&self) -> &Arc<StateLayout> {
        (**self).state_layout()
    }

    fn can_stream(&self) -> Result<()> {
        (**self).can_stream()
    }

    fn seeds(&self) -> Seeds {
        (**self).seeds()
    }

    fn visit_generators(&self, show: &mut dyn FnMut(DropoutState)) {
        (**self).visit_generators(show);
    }

    fn class_name(&self) -> &'static str {
        (**self).class_name()
    }

    fn visit_structure(&self, visitor: &mut StructureVisitor<'_>) {
        (**self).visit_structure(visitor);
    }

    fn parts(&self) -> Vec<(&str, &dyn Layer<T>)> {
        (**self).parts()
    }

    fn visit_weights<'a>(&'a self, visitor: &mut WeightVisitor<'_, 'a, T>) {
        (**self).visit_weights(visitor);
    }

    fn visit_weights_mut(&mut self, visitor: &mut WeightVisitorMut<'_, T>) -> Result<()> {
        (**self).visit_weights_mut(visitor)
    }

    fn boxed_clone(&self) -> Box<dyn Layer<T>> {
        (**self).boxed_clone()
    }

    fn visit_marks(&self, show: &mut dyn FnMut(Mark)) {
        (**self).visit_marks(show);
    }

    fn unshare(&mut self) -> Result<()> {
        (**self).unshare()
    }

    fn fill_initial_state(&self, row: &mut [T]) {
        (**self).fill_initial_state(row);
    }

    fn carry_width(&self) -> usize {
        (**self).carry_width()
    }

    fn recall(&self, batch: usize, state: Rows<'_, T>, carry: RowsMut<'_, T>) {
        (**self).recall(batch, state, carry);
    }

    fn unmerged(&self) -> Option<usize> {
        (**self).unmerged()
    }

    fn work(&self) -> usize {
        (**self).work()
    }

    fn generators(&self) -> usize {
        (**self).generators()
    }

    fn ready(&self) -> Result<()> {
        (**self).ready()
    }

    fn turns_time(&self) -> bool {
        (**self).turns_time()
    }

    fn can_write_sequence(&self) -> bool {
        (**self).can_write_sequence()
    }

    fn depth(&self) -> usize {
        (**self).depth().saturating_add(1)
    }

    fn room(&self, call: Call, held: Held<'_, T>, room: &mut Room) {
        (**self).room(call, held, room);
    }

    fn room_backward(&self, call: CallBack, held: Held<'_, T>, room: &mut Room) {
        (**self).room_backward(call, held, room);
    }

    fn process(&self, pass: Pass<'_, T>, scratch: &mut Scratch<T>) {
        (**self).process(pass, scratch);
    }

    fn output_columns(&self) -> Option<Range<usize>> {
        (**self).output_columns()
    }

    fn catch_up(&self, state: &[T], carry: &mut [T]) {
        (**self).catch_up(state, carry);
    }

    fn step_row(&self, step: &mut RowStep<'_, T>, carry: &mut [T], scratch: &mut Scratch<T>) {
        (**self).step_row(step, carry, scratch);
    }

    fn step_into(
        &self,
        batch: usize,
        x: Rows<'_, T>,
        prev: Rows<'_, T>,
        next: RowsMut<'_, T>,
        carry: RowsMut<'_, T>,
        scratch: &mut Scratch<T>,
    ) {
        (**self).step_into(batch, x, prev, next, carry, scratch);
    }

    fn can_train(&self) -> Result<()> {
        (**self).can_train()
    }

    fn may_fail_backward(&self) -> bool {
        (**self).may_fail_backward()
    }

    fn backward_into(&self, node: &mut Node<T>, pass: BackwardPass<'_, T>, scratch: &mut Scratch<T>) -> Result<()> {
        (**self).backward_into(node, pass, scratch)
    }
}
