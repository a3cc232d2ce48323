//! What everything with weights carries, and renews where it packs them again: by it a tape knows its layer's weights,
//! and an optimizer its layers.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// What a holder of weights carries. Clones have the same one, until the weights of one of them change.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// Drawn when the holder was made.
    origin: u64,
    /// Drawn again whenever the weights may have changed.
    weights: u64,
}

impl Stamp {
    /// Of new weights.
    pub(crate) fn new() -> Self {
        let number = next_number();
        Stamp { origin: number, weights: number }
    }

    /// Whose weights, whatever they are now.
    pub(crate) fn origin(self) -> u64 {
        self.origin
    }

    /// The weights may have changed.
    pub(crate) fn renew(&mut self) {
        self.weights = next_number();
    }
}

impl fmt::Debug for Stamp {
    /// Without the numbers: two equal layers print the same.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stamp")
    }
}

/// A number that was never drawn before in this process; never 0.
pub(crate) fn next_number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
