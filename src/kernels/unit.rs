//! A cell whose gates are the lines of a tile, as the drivers see it.

use super::activate::apply;
use super::isa::Arch;
use crate::activation::Activation;
use crate::kernels::Element;

/// The most sums that a unit has: its gates, and a parked one.
pub(super) const SUMS: usize = 4;

/// A cell whose gates are the lines of a tile, so that all `G` sums of a unit are in registers at once.
///
/// Its state has one part or two, side by side, of which the first one is h; the formula reads the last one. A tape
/// has [`SUMS`] numbers of each unit.
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
    /// state's last part (of a h, what doesn't come by way of the products). `next_h` is the new h, `d_next` the
    /// gradients of the new state's first and last part.
    fn slopes<T: Element>(tape: [T; SUMS], prev: T, next_h: T, d_next: [T; 2]) -> ([T; SUMS], T);
}

/// The activations of a cell.
#[derive(Clone, Copy)]
pub(crate) struct Activations<'a> {
    /// The one of the candidate and, in an LSTM, of the cell state.
    pub candidate: &'a Activation,
    /// The recurrent one.
    pub gates: &'a Activation,
}

impl Activations<'_> {
    /// Whether they are those for which each cell has its own formulas.
    #[inline(always)]
    pub(super) fn are_default(self) -> bool {
        matches!((self.candidate, self.gates), (Activation::Tanh, Activation::Sigmoid))
    }
}

/// Applies an activation to gates side by side, each a whole row for those activations that need one.
#[inline(always)]
pub(super) fn apply_to_gates<A: Arch, T: Element>(arch: A, activation: &Activation, gates: &mut [T], units: usize) {
    if activation.is_elementwise() {
        apply::<A, T>(arch, activation, gates);
    } else {
        for gate in gates.chunks_exact_mut(units) {
            apply::<A, T>(arch, activation, gate);
        }
    }
}
