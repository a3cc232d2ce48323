//! What is alike for all built-in cells, and what each says of itself.

use std::fmt::Debug;
use std::ops::Range;

use super::builder::Recipe;
use super::described::Told;
use super::{Cell, CellDropout, Step, StepBackward, Weights};
use crate::activation::Activation;
use crate::config::{Config, ConfigError, Options};
use crate::error::Result;
use crate::float::Float;
use crate::gradients::WeightGradients;
use crate::initializers::Initializer;
use crate::kernels::backward::Form;
use crate::state::StateLayout;
use crate::structure::StructureVisitor;

pub(crate) mod sealed {
    /// Implemented by the cells of the list only.
    pub trait Sealed {}
}

/// The built-in cells, which a [`Builder`](crate::builder::Builder) makes. Sealed.
pub trait BuiltInCell: Cell + sealed::Sealed {
    /// The options that only this cell has, with their defaults.
    type Options: CellOptions;

    /// Keras draws a SimpleRNN's dropout seed before its weights' seeds, the others' after.
    #[doc(hidden)]
    const DROPOUT_SEED_FIRST: bool = false;

    /// Keras's SimpleRNN forgets its `seed` when it is copied, as Bidirectional does; a copy draws one again.
    #[doc(hidden)]
    const COPIES_SEED: bool = true;

    /// The number of gates whose columns stand side by side in the kernels.
    #[doc(hidden)]
    fn gates(options: &Self::Options) -> usize;

    /// The sizes of a cell. They are asked for before it is known whether they can be addressed.
    #[doc(hidden)]
    fn spec(input_size: usize, units: usize, options: &Self::Options) -> CellSpec;

    /// The weights, in the order in which their seeds are drawn.
    #[doc(hidden)]
    fn weights(recipe: &Recipe<Self::Options>) -> Vec<WeightSpec>;

    /// The elements of the weights as a kernel packs them, or `None` if they can't be addressed.
    #[doc(hidden)]
    fn packed_len(_recipe: &Recipe<Self::Options>) -> Option<usize> {
        Some(0)
    }

    #[doc(hidden)]
    fn assemble(parts: CellParts<Self::Elem, Self::Options>) -> Self;

    #[doc(hidden)]
    fn parts(&self) -> &CellParts<Self::Elem, Self::Options>;

    /// The form that the cell's steps have in fewer bits, or why there is none.
    #[doc(hidden)]
    fn quantized_form(_options: &Self::Options) -> Result<Form, &'static str> {
        Err("its cell has no quantized form: SimpleRNN, LSTM and GRU have")
    }

    /// Packs the weights again for the cell's kernel, if it has one.
    #[doc(hidden)]
    fn pack(&mut self) {}

    /// One step as the equations say it: the specification of the cell's kernel, or what runs if it has none. The step
    /// has the cell's sizes and its scratch.
    #[doc(hidden)]
    fn forward(&self, step: Step<'_, Self::Elem>);

    /// The backward pass through one step as the equations say it.
    #[doc(hidden)]
    fn backward(&self, step: StepBackward<'_, Self::Elem>, gradients: &mut WeightGradients<'_, Self::Elem>);
}

/// What the list says of a cell.
#[doc(hidden)]
pub trait Listed: BuiltInCell {
    /// The class name, in Keras's words where Keras has it.
    const CLASS_NAME: &'static str;

    /// The same cell for another element type.
    type For<U: Float>: Listed<Elem = U, Options = Self::Options>;
}

/// The options that only one cell has.
#[doc(hidden)]
pub trait CellOptions: Clone + Debug + Default + Send + Sync + 'static {
    /// The activation of the gates, of a cell that has one.
    fn recurrent_activation(&self) -> Option<&Activation> {
        None
    }

    /// The activation of the cell's output, if it is another one than the candidate's.
    fn output_activation(&self) -> Option<&Activation> {
        None
    }

    /// What is wrong with them, before a number is drawn.
    ///
    /// # Errors
    /// The cell's own.
    fn check(&self) -> Result<()> {
        Ok(())
    }

    /// Shows those that change a step: not those that only fill weights.
    fn visit_structure(&self, _visitor: &mut StructureVisitor<'_>) {}

    /// All of them, by the names of their setters; the class doesn't count.
    ///
    /// # Errors
    /// What is the user's own has no description.
    fn describe(&self) -> Result<Config, ConfigError>;

    /// What [`describe`](CellOptions::describe) says.
    ///
    /// # Errors
    /// What is missing or of another kind, by name.
    fn read(options: &Options<'_>) -> Result<Self, ConfigError>;

    /// Keeps the seed of a weight's initializer, of weights that have options of their own.
    fn keep_initializer(&mut self, _weight: &str, _drawn: &Initializer) {}
}

/// No options of its own.
impl CellOptions for () {
    fn describe(&self) -> Result<Config, ConfigError> {
        Ok(Config::new(""))
    }

    fn read(_options: &Options<'_>) -> Result<Self, ConfigError> {
        Ok(())
    }
}

/// A weight as a builder makes it: name, shape, and how it is filled.
#[doc(hidden)]
#[derive(Debug, Clone)]
pub struct WeightSpec {
    pub(super) name: &'static str,
    pub(super) shape: Vec<usize>,
    pub(super) initializer: Initializer,
    /// The elements that start at one instead, as Keras fills a forget gate's bias.
    pub(super) ones: Option<Range<usize>>,
    /// Whether the cell has it. Keras draws the seed of an initializer whose weight is left out.
    pub(super) exists: bool,
    /// Whether the seed is drawn.
    pub(super) drawn: bool,
}

impl WeightSpec {
    pub(super) fn new(name: &'static str, shape: &[usize], initializer: &Initializer) -> Self {
        WeightSpec {
            name,
            shape: shape.to_vec(),
            initializer: initializer.clone(),
            ones: None,
            exists: true,
            drawn: true,
        }
    }

    /// Elements of a vector that start at one, whatever the initializer says.
    pub(super) fn ones(self, ones: Option<Range<usize>>) -> Self {
        WeightSpec { ones, ..self }
    }

    /// Left out unless an option says so; its seed is drawn all the same.
    pub(super) fn only_if(self, exists: bool) -> Self {
        WeightSpec { exists, ..self }
    }

    /// Nothing at all, not even a seed, unless an option says so.
    pub(super) fn only_with(self, option: bool) -> Self {
        WeightSpec { exists: option, drawn: option, ..self }
    }
}

/// The sizes of a cell, as data: what the methods of [`Cell`] by these names return.
#[doc(hidden)]
#[derive(Debug, Clone)]
pub struct CellSpec {
    pub(super) input_size: usize,
    pub(super) state: StateLayout,
    /// Values of scratch of a step by the equations.
    pub(super) scratch: usize,
    pub(super) tape: usize,
    pub(super) backward_scratch: usize,
}

/// What every built-in cell is made of.
#[doc(hidden)]
#[derive(Debug, Clone)]
pub struct CellParts<T, O> {
    pub(super) spec: CellSpec,
    pub(super) units: usize,
    pub(super) weights: Weights<T>,
    pub(super) activation: Activation,
    pub(super) dropout: Vec<CellDropout>,
    pub(super) options: O,
    pub(super) told: Told,
}

impl<T: Float, O: CellOptions> CellParts<T, O> {
    /// The same for another element type: every weight rounded once, or exact.
    pub(crate) fn cast<U: Float>(&self) -> CellParts<U, O> {
        CellParts {
            spec: self.spec.clone(),
            units: self.units,
            weights: self.weights.cast(),
            activation: self.activation.clone(),
            dropout: self.dropout.clone(),
            options: self.options.clone(),
            told: self.told.clone(),
        }
    }
}

/// A cell whose weights are being changed. They are packed again when it goes, so also when a visitor panics.
pub(super) struct Changing<'c, C: BuiltInCell>(pub(super) &'c mut C);

impl<C: BuiltInCell> Drop for Changing<'_, C> {
    fn drop(&mut self) {
        self.0.pack();
    }
}

/// The methods of [`Cell`] that follow from what a built-in cell says of itself; `step` and `fused` are here for a cell
/// without kernel only.
macro_rules! cell_methods {
    (without kernel) => {
        crate::cells::built_in::cell_methods!();

        fn step(&self, step: crate::cells::Step<'_, T>) {
            let mut own = Vec::new();
            if let Some(step) = step.fitted(self, self.parts.spec.state.width(), &mut own) {
                self.forward(step);
            }
        }

        fn fused(&self) -> impl crate::cells::FusedCell<Elem = T> {
            crate::cells::fused::ByRow::infallible(self)
        }
    };
    () => {
        type Elem = T;

        fn input_size(&self) -> usize {
            self.parts.spec.input_size
        }

        fn state_layout(&self) -> crate::state::StateLayout {
            self.parts.spec.state.clone()
        }

        fn visit_weights<'a>(&'a self, visitor: &mut crate::weights::WeightVisitor<'_, 'a, T>) {
            self.parts.weights.visit(visitor);
        }

        fn visit_weights_mut(&mut self, visitor: &mut crate::weights::WeightVisitorMut<'_, T>) {
            crate::cells::built_in::Changing(self).0.parts.weights.visit_mut(visitor);
        }

        fn output(&self) -> std::ops::Range<usize> {
            0..self.parts.spec.state.first_width()
        }

        fn scratch_len(&self) -> usize {
            self.parts.spec.scratch
        }

        fn dropout(&self) -> &[crate::cells::CellDropout] {
            &self.parts.dropout
        }

        fn tape_len(&self) -> usize {
            self.parts.spec.tape
        }

        fn step_backward(
            &self,
            step: crate::cells::StepBackward<'_, T>,
            gradients: &mut crate::gradients::WeightGradients<'_, T>,
        ) -> crate::error::Result<()> {
            self.backward(step, gradients);
            Ok(())
        }

        fn backward_scratch_len(&self) -> usize {
            self.parts.spec.backward_scratch
        }

        fn can_train(&self) -> crate::error::Result<()> {
            use crate::cells::built_in::CellOptions;
            self.parts.activation.check_derivative()?;
            let options = &self.parts.options;
            let others = [options.recurrent_activation(), options.output_activation()];
            others.into_iter().flatten().try_for_each(|activation| activation.check_derivative())
        }

        fn class_name(&self) -> &'static str {
            <Self as crate::cells::built_in::Listed>::CLASS_NAME
        }

        fn try_clone(&self) -> Option<Self> {
            Some(self.clone())
        }

        fn describe(&self) -> Result<crate::config::Config, crate::config::ConfigError> {
            crate::cells::described::describe(self)
        }

        fn quantized(
            &self,
            precision: crate::precision::Precision,
        ) -> crate::error::Result<crate::cells::QuantizedCell> {
            crate::cells::quantized::of_built_in(self, precision)
        }

        fn visit_structure(&self, visitor: &mut crate::structure::StructureVisitor<'_>) {
            use crate::cells::built_in::CellOptions;
            visitor.value("activation", &self.parts.activation);
            if let Some(activation) = self.parts.options.recurrent_activation() {
                visitor.value("recurrent_activation", activation);
            }
            self.parts.options.visit_structure(visitor);
        }
    };
}
pub(super) use cell_methods;

/// How a built-in cell prints itself: without its weights' values.
macro_rules! debug_cell {
    ($cell:ident) => {
        impl<T: Float> std::fmt::Debug for $cell<T> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                let crate::cells::CellParts { spec, units, weights, activation, options, .. } = &self.parts;
                f.debug_struct(stringify!($cell))
                    .field("input_size", &spec.input_size)
                    .field("units", units)
                    .field("activation", activation)
                    .field("options", options)
                    .field("use_bias", &weights.get(crate::cells::weights::BIAS).is_some())
                    .finish_non_exhaustive()
            }
        }
    };
}
pub(super) use debug_cell;
