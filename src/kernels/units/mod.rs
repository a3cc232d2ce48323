//! What the cells compute of a unit, one file each: equation, fused formula, specification, tape, slopes, and which
//! columns of weights the gradients belong to. How rows and tiles are gone through stands in `drive`, once.
//!
//! A new kernel is a file here and its line in [`Form`]'s list below (and, for its entries, one in `compiled`).
//! - `formulas` - what the fused formulas are made of
//! - `lstm`, `gru_after` - cells whose gates are the lines of a tile: each a `Unit`
//! - `simple_rnn`, `gru_before` - cells whose columns need nothing of one another

pub(super) mod formulas;
pub(super) mod gru_after;
pub(super) mod gru_before;
pub(super) mod lstm;
pub(super) mod simple_rnn;

use super::isa::Arch;
use super::slopes::{BackwardStep, GradientLayout};
use crate::kernels::Element;

/// The list of all cells that have kernels, for the backward pass.
macro_rules! forms {
    ($($(#[$doc:meta])* $form:ident: $module:ident,)*) => {
        /// Which cell goes back.
        #[doc(hidden)]
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Form {
            $($(#[$doc])* $form,)*
        }

        impl Form {
            /// The gates of a unit.
            pub(crate) fn gates(self) -> usize {
                match self {
                    Form::SimpleRnn => 1,
                    Form::Lstm => 4,
                    Form::GruAfter | Form::GruBefore => 3,
                }
            }

            #[cfg(all(test, feature = "rayon"))]
            pub(super) const ALL: &[Form] = &[$(Form::$form),*];

            /// Which gradients belong to which weights.
            pub(super) fn layout(self) -> &'static GradientLayout {
                match self {
                    $(Form::$form => &$module::GRADIENTS,)*
                }
            }

            /// From the gradient of a step's result to those of its preactivations.
            #[inline(always)]
            pub(super) fn slopes<A: Arch, T: Element>(self, arch: A, units: usize, call: &mut BackwardStep<'_, T>) {
                match self {
                    $(Form::$form => $module::slopes(arch, units, call),)*
                }
            }
        }
    };
}

forms! {
    SimpleRnn: simple_rnn,
    Lstm: lstm,
    /// With the reset after the product.
    GruAfter: gru_after,
    /// With the reset before the product.
    GruBefore: gru_before,
}
