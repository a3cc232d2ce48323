//! What a recorded run keeps for the backward pass.

use std::any::Any;
use std::fmt;

use super::activity::Activity;
use super::pass::MaskedOutput;
use super::scratch::Scratch;
use crate::aligned::Aligned;
use crate::error::{Error, Result};
use crate::float::Float;
use crate::gradients::GradientBackup;
use crate::marks::{Difference, Marks};
use crate::parameters::Parameters;

/// A recorded run: made by [`Run::record`](crate::Run::record), spent by [`Layer::backward`](crate::Layer::backward);
/// of a model by [`Model::record`](crate::Model::record) and [`Model::backward`](crate::Model::backward).
///
/// It starts empty, grows at its first use, and is reused from run to run. It holds a copy of the input, so that
/// `backward` can't be given another one, and for each row and step what the cells need.
///
/// It knows whose run it holds: of which layer, with which options, in which state of its weights.
/// [`Layer::backward`](crate::Layer::backward) takes it by the same layer, or by an equal clone, as long as nothing of
/// that has changed; the errors [`TapeLayer`](Error::TapeLayer), [`TapeOptions`](Error::TapeOptions) and
/// [`TapeStale`](Error::TapeStale) say what has.
///
/// ```
/// use ndarray::prelude::*;
/// use recurrent::training::Tape;
/// use recurrent::{Gradients, Gru, Layer, OutputGradient, Run};
///
/// let (gru, x, upstream) = (Gru::<f32>::new(3, 4), Array3::ones((2, 5, 3)), Array2::ones((2, 4)));
/// let (mut tape, mut gradients) = (Tape::new(), Gradients::new(&gru));
/// for _ in 0..3 {
///     gru.run(&x, Run::new().record(&mut tape))?;
///     gradients.clear();
///     gru.backward(&mut tape, OutputGradient::new().last(&upstream), &mut gradients)?;
/// }
/// # Ok::<(), recurrent::Error>(())
/// ```
pub struct Tape<T> {
    status: Status,
    /// Whose run is recorded.
    marks: Marks,
    pub(crate) node: Node<T>,
    /// What the backward pass works in.
    pub(crate) scratch: Scratch<T>,
    /// The gradients before a backward pass that may be refused.
    pub(crate) kept: GradientBackup<T>,
    /// The tapes of a model's calls.
    pub(crate) graph: Option<Box<dyn Any + Send + Sync>>,
}

enum Status {
    Empty,
    Recorded,
    Spent,
}

/// What one layer has recorded; the layers inside have nodes of their own.
#[doc(hidden)]
pub struct Node<T> {
    pub(crate) batch: usize,
    pub(crate) timesteps: usize,
    /// The inputs in the order of processing: [step][row][input_size].
    pub(crate) x: Vec<T>,
    /// The states, the one before the first step included: [timesteps + 1][row][state width].
    pub(crate) states: Aligned<T>,
    /// The cell's own tape: [step][row][tape_len].
    pub(crate) tape: Aligned<T>,
    /// Which rows were live, [step][row].
    pub(crate) live: Vec<bool>,
    /// Which rows were reset before the step, [step][row].
    pub(crate) cut: Vec<bool>,
    /// The dropout masks: [row][width]; empty without dropout.
    pub(crate) dropout: Vec<T>,
    /// Whether masked steps output zeros.
    pub(crate) zero_sequence: bool,
    pub(crate) zero_last: bool,
    /// Zeros that an unrolled layer put elsewhere.
    pub(crate) turned_zeros: Option<MaskedOutput>,
    /// Outputs that a wrapper needs again.
    pub(crate) outputs: Vec<T>,
    /// What the backward pass keeps from call to call, of the kernel's own type.
    pub(crate) kernel: Option<Box<dyn Any + Send + Sync>>,
    /// The outputs, where they are kept for activity regularizers.
    pub(crate) activity: Activity<T>,
    pub(crate) children: Vec<Node<T>>,
}

impl<T> Tape<T> {
    /// Empty: it grows when it is recorded.
    pub fn new() -> Self {
        Tape {
            status: Status::Empty,
            marks: Marks::default(),
            node: Node::default(),
            scratch: Scratch::new(),
            kept: GradientBackup::default(),
            graph: None,
        }
    }

    /// Whether runs that are recorded keep the outputs of all layers, those within a stack and in both directions
    /// too: for activity regularizers, which need them
    /// ([`WeightRules::regularize_activity`](crate::training::WeightRules::regularize_activity)).
    #[must_use]
    pub fn keep_outputs(mut self, yes: bool) -> Self {
        self.node.activity.keeps = yes;
        self
    }

    /// The node to record on; what was recorded is forgotten.
    pub(crate) fn begin(&mut self) -> &mut Node<T> {
        self.status = Status::Empty;
        &mut self.node
    }

    /// Marks the run of this layer as recorded.
    pub(crate) fn recorded(&mut self, layer: &(impl Parameters<T> + ?Sized))
    where
        T: Float,
    {
        self.marks.clear();
        self.marks.keep(|visitor| layer.visit_structure(visitor));
        self.status = Status::Recorded;
    }

    /// Checks that there is a run to go back through: of this layer or an equal clone, with the weights and options of
    /// now.
    pub(crate) fn check(&self, layer: &(impl Parameters<T> + ?Sized)) -> Result<()>
    where
        T: Float,
    {
        match &self.status {
            Status::Empty => Err(Error::TapeEmpty),
            Status::Spent => Err(Error::TapeSpent),
            Status::Recorded => match self.marks.compare(|visitor| layer.visit_structure(visitor)) {
                Difference::None => Ok(()),
                Difference::Weights => Err(Error::TapeStale),
                Difference::Options => Err(Error::TapeOptions),
                Difference::Layer => Err(Error::TapeLayer),
            },
        }
    }

    /// Checks that a run was recorded, whether a backward pass has been through it or not: of this layer, with the
    /// options of now and any weights.
    pub(crate) fn check_whose(&self, layer: &(impl Parameters<T> + ?Sized)) -> Result<()>
    where
        T: Float,
    {
        match self.marks.compare(|visitor| layer.visit_structure(visitor)) {
            _ if matches!(self.status, Status::Empty) => Err(Error::TapeEmpty),
            Difference::None | Difference::Weights => Ok(()),
            Difference::Options => Err(Error::TapeOptions),
            Difference::Layer => Err(Error::TapeLayer),
        }
    }

    /// The backward pass overwrites what was recorded.
    pub(crate) fn spend(&mut self) {
        self.status = Status::Spent;
    }
}

impl<T> Node<T> {
    pub(crate) fn children(&mut self, count: usize) -> &mut [Node<T>] {
        if self.children.len() < count {
            self.children.resize_with(count, Node::default);
        }
        let children = &mut self.children[..count];
        children.iter_mut().for_each(|child| child.activity.keeps = self.activity.keeps);
        children
    }

    /// The bytes of all buffers, but for the kernels'.
    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        let values = self.x.capacity() + self.states.len() + self.tape.len();
        let values = values + self.dropout.capacity() + self.outputs.capacity() + self.activity.values();
        let own = values * size_of::<T>() + self.live.capacity() + self.cut.capacity();
        own + self.children.iter().map(Node::bytes).sum::<usize>()
    }

    /// Whether a row was live at a step.
    pub(crate) fn is_live(&self, step: usize, row: usize) -> bool {
        self.live[step * self.batch + row]
    }
}

impl<T> Default for Node<T> {
    fn default() -> Self {
        Node {
            batch: 0,
            timesteps: 0,
            x: Vec::new(),
            states: Aligned::default(),
            tape: Aligned::default(),
            live: Vec::new(),
            cut: Vec::new(),
            dropout: Vec::new(),
            zero_sequence: false,
            zero_last: false,
            turned_zeros: None,
            outputs: Vec::new(),
            kernel: None,
            activity: Activity::default(),
            children: Vec::new(),
        }
    }
}

impl<T> Default for Tape<T> {
    fn default() -> Self {
        Tape::new()
    }
}

impl<T> fmt::Debug for Tape<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status = match self.status {
            Status::Empty => "empty",
            Status::Recorded => "recorded",
            Status::Spent => "spent",
        };
        f.debug_struct("Tape").field("status", &status).finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Node<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node").field("batch", &self.batch).field("timesteps", &self.timesteps).finish_non_exhaustive()
    }
}
