//! Cells: one step forward, and the same step backward.
//!
//! A cell sees **one row of one step**: the features, the state before, and the place for the state after. It never
//! sees a batch, a mask, a direction or another step, and so it gets all of them right: the [runner](crate::runner)
//! does them for any cell. Read [`simple_rnn`] next, the smallest whole example.
//!
//! **A built-in cell is one file and its line in the [list](each_cell) below.** The file has the equations, the same as
//! plain loops (the specification of its kernel, if it has one), the backward pass, the weights, the options with their
//! setters. What is alike for all of them stands in `built_in`, what their equations are written with in `gates`.

#[cfg(feature = "keras")]
pub(crate) mod boxed;
pub(crate) mod builder;
mod built_in;
mod by_kernel;
#[cfg_attr(not(feature = "file"), allow(dead_code, reason = "files read descriptions"))]
pub(crate) mod described;
mod dropout;
mod fused;
mod gates;
mod gru;
mod ind_rnn;
mod layer_norm_lstm;
mod lstm;
mod mgu;
pub(crate) mod quantized;
mod simple_rnn;
pub(crate) mod stacked;
mod step;
#[cfg(test)]
mod tests;
mod weights;
mod zoneout;

use std::fmt::Debug;
use std::ops::Range;

pub use self::built_in::BuiltInCell;
pub(crate) use self::built_in::{CellParts, Listed};
pub use self::dropout::CellDropout;
pub(crate) use self::dropout::{mask_widths, steps_with_masks};
use self::fused::ByRow;
pub use self::fused::FusedCell;
pub(crate) use self::fused::{BackwardPlan, BackwardRows, StepRows};
pub use self::quantized::QuantizedCell;
pub use self::step::{Step, StepBackward, StepDropout};
pub(crate) use self::weights::Weights;
pub use self::zoneout::Zoneout;
use crate::config::{Config, ConfigError};
use crate::error::{Error, Result};
use crate::float::Float;
use crate::gradients::WeightGradients;
use crate::precision::Precision;
use crate::state::StateLayout;
use crate::structure::{DebugText, StructureVisitor};
use crate::weights::{QuantizedVisitor, WeightVisitor, WeightVisitorMut};

/// The list of the built-in cells. A line: the cell's file and type, the layer's name, and the class name, in Keras's
/// words where Keras has it.
macro_rules! each_cell {
    ($then:ident) => {
        $then! {
            simple_rnn::SimpleRnnCell: SimpleRnn = "SimpleRNN";
            lstm::LstmCell: Lstm = "LSTM";
            gru::GruCell: Gru = "GRU";
            ind_rnn::IndRnnCell: IndRnn = "IndRNN";
            mgu::MguCell: Mgu = "MGU";
            layer_norm_lstm::LayerNormLstmCell: LayerNormLstm = "LayerNormLSTM";
        }
    };
}
pub(crate) use each_cell;

/// What follows from the list: the types, their class names, and how a cell is called for another element type.
macro_rules! list_cells {
    ($($file:ident::$cell:ident: $layer:ident = $class:literal;)*) => {
        /// The types, for the crate's front page.
        pub(crate) mod types {
            $(pub use super::$file::$cell;)*
            pub use super::mgu::MguForm;
        }
        pub use self::types::*;

        $(
            impl<T: Float> built_in::sealed::Sealed for $cell<T> {}

            impl<T: Float> built_in::Listed for $cell<T> {
                const CLASS_NAME: &'static str = $class;
                type For<U: Float> = $cell<U>;
            }
        )*

        /// The class names of the list, for a test that each cell has its golden data.
        #[doc(hidden)]
        pub const CLASS_NAMES: &[&str] = &[$($class),*];
    };
}
each_cell!(list_cells);

/// One step of a recurrent layer: implement it to run a cell of your own over time.
///
/// [`Recurrent::from_cell`](crate::Recurrent::from_cell) turns a cell into a layer with `return_sequences`,
/// `return_state`, `go_backwards`, masks, lengths, resets, dropout, initial states and streaming. Five methods are
/// required. A row's result must depend on nothing but its arguments and the weights: then it doesn't depend on the
/// batch, the chunking or the number of threads either.
///
/// ```
/// use ndarray::prelude::*;
/// use recurrent::{Cell, Layer, Recurrent, StateLayout, WeightVisitor, WeightVisitorMut, cell::Step};
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

    /// The number of values that a step leaves in `step.tape` for the backward pass.
    fn tape_len(&self) -> usize {
        0
    }

    /// The backward pass through one row of one step: from `step.d_next`, the gradient of the state after the step, to
    /// those of the state before it and of the features, which are written, and of the weights, which are added to.
    ///
    /// # Errors
    /// [`Error::NoBackward`](crate::Error::NoBackward) unless a cell implements it; an error of its own kind is handed
    /// on to the caller of [`Layer::backward`](crate::Layer::backward).
    fn step_backward(
        &self,
        _step: StepBackward<'_, Self::Elem>,
        _gradients: &mut WeightGradients<'_, Self::Elem>,
    ) -> Result<()> {
        Err(Error::NoBackward { cell: self.class_name() })
    }

    /// The number of values of scratch that the backward pass through one step wants in `step.scratch`.
    fn backward_scratch_len(&self) -> usize {
        0
    }

    /// Whether the backward pass is there at all: asked before anything is done.
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

    /// What the cell is but for its weights, for files: a cell of a user's own has no description.
    ///
    /// # Errors
    /// The names of what has none.
    #[doc(hidden)]
    fn describe(&self) -> Result<Config, ConfigError> {
        Err(ConfigError::custom("cell", std::any::type_name::<Self>()))
    }

    /// The same cell with its weights in fewer bits.
    ///
    /// # Errors
    /// Why it has none: cells of a user's own don't.
    #[doc(hidden)]
    fn quantized(&self, _precision: Precision) -> Result<QuantizedCell> {
        let reason = "its cell has no quantized form: SimpleRNN, LSTM and GRU have";
        Err(Error::CannotQuantize { layer: self.class_name().into(), reason })
    }

    /// Shows each weight that is kept in fewer bits.
    #[doc(hidden)]
    fn visit_quantized(&self, _visitor: &mut QuantizedVisitor<'_>) {}

    /// How the runner takes many rows at once: row by row, but for cells of this crate with kernels of their own.
    #[doc(hidden)]
    #[inline]
    fn fused(&self) -> impl FusedCell<Elem = Self::Elem>
    where
        Self: Sized,
    {
        ByRow::fallible(self)
    }
}

/// The columns that are a cell's output, if they are columns of its state.
pub(crate) fn check_output(cell: &'static str, output: Range<usize>, width: usize) -> Result<Range<usize>> {
    let fits = output.start <= output.end && output.end <= width;
    if fits { Ok(output) } else { Err(Error::CellOutput { cell, output, width }) }
}
