//! What the cells compute of a unit, one file each: equation, fused formula, specification, tape, slopes, and which
//! columns of weights the gradients belong to. How rows and tiles are gone through stands in `drive`, once.
//!
//! A new kernel is a file here and its line in [`Form`]'s list below (and, for its entries, one in `compiled`).
//! - `formulas` - what the fused formulas are made of
//! - `lstm`, `gru_after` - cells whose gates are the lines of a tile: [`Unit`]s
//! - `simple_rnn`, `gru_before` - cells whose columns need nothing of one another
//! - `gru` - both forms of a GRU as one kernel

pub(super) mod formulas;
pub(super) mod gru;
mod gru_after;
pub(super) mod gru_before;
pub(super) mod lstm;
pub(super) mod simple_rnn;

use super::backward::{BackwardStep, Columns, GradientLayout, columns};
use super::drive::{Activations, TileKernel};
use super::isa::Arch;
use crate::kernels::Element;

/// The packed weights of an LSTM and what can be computed with them. A state row is h, then c.
pub(crate) type LstmKernel<T> = TileKernel<T, lstm::Lstm, 4>;

/// The most sums that a unit has: its gates, and a parked one.
pub(super) const SUMS: usize = 4;

/// A cell whose gates are the lines of a tile, so that all `G` sums of a unit are in registers at once.
///
/// Its state has one part or two, side by side, of which the first one is h; the formula reads the last one. A unit leaves
/// [`SUMS`] numbers on the tape.
pub(crate) trait Unit<const G: usize>: 'static {
    /// For people.
    const NAME: &'static str;

    /// Whether the third gate's products with x and with h are two sums, each with a bias of its own: the cell's bias
    /// then has a second row, for h. Sums are the gates' in Keras's order; a unit that parks has that of x in the third
    /// place and that of h in the fourth.
    const PARKS: bool;

    /// The parts of the state: 1 or 2.
    const STATES: usize;

    /// The new state of a unit with the default activations, tanh and sigmoid, from its sums and the old state's last
    /// part. Of a state with one part the second number isn't looked at.
    fn step<A: Arch, T: Element>(sums: [T; SUMS], prev: T) -> [T; 2];

    /// What the backward pass needs of a unit, with the default activations.
    fn tape<A: Arch, T: Element>(sums: [T; SUMS]) -> [T; SUMS];

    /// A row's sums, part after part, become its tape, with any activations: the equations, first half.
    fn tape_of_row<A: Arch, T: Element>(arch: A, sums: &mut [T], units: usize, activations: Activations<'_>);

    /// The new state of a row from its tape and the old state's last part: the equations, second half.
    fn state_of_row<A: Arch, T: Element>(arch: A, tape: &[T], prev: &[T], next: &mut [T], activations: Activations<'_>);

    /// With the default activations: the gradients of the sums, in the order of [`GradientLayout`], and that of the old
    /// state's last part (of a h, what doesn't come by way of the products). `next_h` is the new h, `d_next` the gradients
    /// of the new state's first and last part.
    fn slopes<T: Element>(tape: [T; SUMS], prev: T, next_h: T, d_next: [T; 2]) -> ([T; SUMS], T);
}

/// The list of all cells that have kernels, for the backward pass.
macro_rules! forms {
    ($($(#[$doc:meta])* $form:ident: $module:ident,)*) => {
        /// Which cell goes back.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Form {
            $($(#[$doc])* $form,)*
        }

        impl Form {
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
