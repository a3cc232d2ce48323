//! What the runner needs of a layer: sizes and flags as one value, and the hooks that it calls.

use std::fmt::{Debug, Display};
use std::ops::Range;

use super::memory::{Call, CallBack, Held};
use super::pass::{BackwardPass, Pass};
use super::scratch::Scratch;
use super::tape::Node;
use crate::error::Result;
use crate::float::Float;
use crate::memory::MemoryNeeds;
use crate::parameters::Parameters;
use crate::seeds::DropoutGenerator;
use crate::strided::{RowStep, Rows, RowsMut};

/// Sizes and flags of a layer. A wrapper says what differs from the layer inside: `LayerSpec { work, ..inner }`.
#[doc(hidden)]
#[derive(Debug, Clone, PartialEq)]
pub struct LayerSpec {
    /// The layer's kind in Keras's words: `LSTM`, `Bidirectional`, ...
    pub class_name: &'static str,
    /// The number of features of the input.
    pub input_size: usize,
    /// The number of features of the output.
    pub output_size: usize,
    /// Whether a call returns the outputs of all steps.
    pub returns_sequences: bool,
    /// Whether a call returns the state.
    pub returns_state: bool,
    /// Whether each step's output depends on that step alone.
    pub per_step: bool,
    /// Whether the outputs of all steps stand in the opposite order of the input's steps.
    pub reverses_time: bool,
    /// Whether the outputs of all steps exist at all.
    pub writes_sequence: bool,
    /// The width of the previous outputs of the layer and the layers inside.
    pub carry_width: usize,
    /// The width of the forward direction's output, if the two directions' outputs aren't merged into one.
    pub unmerged: Option<usize>,
    /// The columns of the state that are the output, if it is part of the state.
    pub output_columns: Option<Range<usize>>,
    /// Multiplications of one row and step: what threads are weighed against.
    pub work: usize,
    /// The number of dropout generators.
    pub generators: usize,
    /// How many layers or cells stand within each other here, this one included.
    pub depth: usize,
    /// Whether the backward pass may be refused in the middle, by a user's cell.
    pub may_fail_backward: bool,
}

impl LayerSpec {
    /// Of a layer without state, dropout or layers inside, that returns its last output.
    pub(crate) fn new(class_name: &'static str, input_size: usize, output_size: usize) -> Self {
        LayerSpec {
            class_name,
            input_size,
            output_size,
            returns_sequences: false,
            returns_state: false,
            per_step: false,
            reverses_time: false,
            writes_sequence: true,
            carry_width: output_size,
            unmerged: None,
            output_columns: None,
            work: 0,
            generators: 0,
            depth: 1,
            may_fail_backward: false,
        }
    }
}

/// What the runner needs of a layer. `Layer` stands on it, with what a user does with one.
#[doc(hidden)]
pub trait LayerCore<T: Float>: Parameters<T> + Debug + Display + Send + Sync + 'static {
    /// Sizes and flags.
    fn spec(&self) -> LayerSpec;

    /// Whether the layer can run step by step; else the error says why not.
    fn streams(&self) -> Result<()>;

    /// Whether the layer can run at all: asked before each call.
    fn check_ready(&self) -> Result<()> {
        Ok(())
    }

    /// Shows each generator of `Layer::seeds`, as new.
    fn visit_generators(&self, show: &mut dyn FnMut(DropoutGenerator));

    /// Writes one row of the state that a call begins with.
    fn fill_initial_state(&self, row: &mut [T]);

    /// Writes the previous outputs that belong to a state, as far as a state tells.
    fn outputs_from_state(&self, batch: usize, state: Rows<'_, T>, carry: RowsMut<'_, T>);

    /// Adds what [`process`](LayerCore::process) takes in a call of this size, beyond what it will find.
    fn memory_needs(&self, call: Call, held: Held<'_, T>, needs: &mut MemoryNeeds);

    /// Adds what [`backward_into`](LayerCore::backward_into) takes, beyond what it will find.
    fn memory_needs_backward(&self, call: CallBack, held: Held<'_, T>, needs: &mut MemoryNeeds);

    /// The core: a whole call, shapes checked.
    fn process(&self, pass: Pass<'_, T>, scratch: &mut Scratch<T>);

    /// The core of a stream: one step of every row, shapes checked.
    fn step_into(
        &self,
        batch: usize,
        x: Rows<'_, T>,
        prev: Rows<'_, T>,
        next: RowsMut<'_, T>,
        carry: RowsMut<'_, T>,
        scratch: &mut Scratch<T>,
    );

    /// [`step_into`](LayerCore::step_into) of rows that all read the same features: their product with the kernel is
    /// done once, where a layer can.
    fn step_shared(
        &self,
        batch: usize,
        x: &[T],
        prev: Rows<'_, T>,
        next: RowsMut<'_, T>,
        carry: RowsMut<'_, T>,
        scratch: &mut Scratch<T>,
    ) {
        self.step_into(batch, Rows::new(x, 0, 0, x.len()), prev, next, carry, scratch);
    }

    /// [`step_into`](LayerCore::step_into) of the only row, by the shortest way: an output that is part of the state is
    /// not written to `carry`, until [`flush_outputs`](LayerCore::flush_outputs) does so.
    fn step_row(&self, step: &mut RowStep<'_, T>, carry: &mut [T], scratch: &mut Scratch<T>) {
        let (x, prev, width, carry_width) = (step.input.features(), step.prev, step.next.len(), carry.len());
        let (next, carry) = (RowsMut::packed(&mut *step.next, width), RowsMut::packed(carry, carry_width));
        self.step_into(1, Rows::packed(x, x.len()), Rows::packed(prev, prev.len()), next, carry, scratch);
    }

    /// Writes the outputs that steps by [`step_row`](LayerCore::step_row) have left in the state.
    fn flush_outputs(&self, state: &[T], carry: &mut [T]) {
        if let Some(columns) = self.spec().output_columns {
            let start = carry.len() - columns.len();
            carry[start..].copy_from_slice(&state[columns]);
        }
    }

    /// Whether the layer can be trained: asked before a run records.
    fn can_train(&self) -> Result<()>;

    /// Checks that training does with it, and with what it was made of, what Keras does.
    fn trains_as_in_keras(&self) -> Result<()> {
        Ok(())
    }

    /// The core of the backward pass through a recorded call, shapes checked.
    fn backward_into(&self, node: &mut Node<T>, pass: BackwardPass<'_, T>, scratch: &mut Scratch<T>) -> Result<()>;
}
