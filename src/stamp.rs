//! Which layer something belongs to, and to which of its weights: so that a tape knows its run, and an optimizer its
//! layers.
//!
//! Whatever holds weights carries a [`Stamp`] and renews it where it packs them anew. A layer shows a [`Mark`] for itself
//! and for each layer inside; a tape keeps those of the run that it holds, an optimizer those of its layers.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// What a holder of weights carries. Clones have the same one, until the weights of one of them change.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// Drawn when the holder was made.
    origin: u64,
    /// Drawn anew whenever the weights may have changed.
    weights: u64,
}

impl Stamp {
    /// Of new weights.
    pub(crate) fn new() -> Self {
        let number = next_number();
        Stamp { origin: number, weights: number }
    }

    /// The weights may have changed.
    pub(crate) fn renew(&mut self) {
        self.weights = next_number();
    }

    /// The mark of a layer with these weights; `options` are those that can be changed after it is made, as a number.
    pub(crate) fn mark(self, class: &'static str, options: u64) -> Mark {
        Mark { class, stamp: Some(self), options }
    }
}

impl fmt::Debug for Stamp {
    /// Without the numbers: two equal layers print the same.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stamp")
    }
}

/// A number that was never drawn before in this process.
fn next_number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// What a layer is as far as a way back is concerned. See [`Layer::visit_marks`](crate::Layer::visit_marks).
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    class: &'static str,
    /// `None` for what has no weights of its own.
    stamp: Option<Stamp>,
    options: u64,
}

impl Mark {
    /// Of a wrapper, whose weights are those of the layers inside.
    pub(crate) fn wrapper(class: &'static str, options: u64) -> Self {
        Mark { class, stamp: None, options }
    }

    fn compare(&self, now: &Mark) -> Difference {
        let origin = |mark: &Mark| mark.stamp.map(|stamp| stamp.origin);
        match () {
            () if self.class != now.class || origin(self) != origin(now) => Difference::Layer,
            () if self.options != now.options => Difference::Options,
            () if self.stamp != now.stamp => Difference::Weights,
            () => Difference::None,
        }
    }
}

/// How far apart two layers are, the farthest last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Difference {
    None,
    /// The same layer with other weights.
    Weights,
    /// The same layer with other options.
    Options,
    /// Another layer.
    Layer,
}

/// The marks of a layer and the layers inside, in their order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Marks(Vec<Mark>);

impl Marks {
    /// Forgets the marks, and keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// Adds those that `show` shows.
    pub(crate) fn keep(&mut self, show: impl FnOnce(&mut dyn FnMut(Mark))) {
        show(&mut |mark| self.0.push(mark));
    }

    /// What is different in those that `show` shows now.
    pub(crate) fn compare(&self, show: impl FnOnce(&mut dyn FnMut(Mark))) -> Difference {
        let (mut kept, mut farthest) = (self.0.iter(), Difference::None);
        show(&mut |mark| {
            let difference = kept.next().map_or(Difference::Layer, |kept| kept.compare(&mark));
            farthest = farthest.max(difference);
        });
        if kept.next().is_some() { Difference::Layer } else { farthest }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_are_the_same_until_one_changes() {
        let first = Stamp::new();
        let mut second = first;
        let mut marks = Marks::default();
        marks.keep(|show| {
            show(Mark::wrapper("Sequential", 1));
            show(first.mark("LSTM", 0));
        });
        let compare = |parts: u64, stamp: Stamp, options: u64| {
            marks.compare(|show| {
                show(Mark::wrapper("Sequential", parts));
                show(stamp.mark("LSTM", options));
            })
        };
        assert_eq!(compare(1, second, 0), Difference::None);
        assert_eq!(compare(1, second, 2), Difference::Options);
        assert_eq!(compare(3, second, 0), Difference::Options);
        second.renew();
        assert_eq!(compare(1, second, 0), Difference::Weights);
        assert_eq!(compare(1, second, 2), Difference::Options);
        assert_eq!(compare(1, Stamp::new(), 0), Difference::Layer);
        assert_eq!(compare(1, first, 0), Difference::None);
        assert_eq!(marks.compare(|show| show(Mark::wrapper("Sequential", 1))), Difference::Layer);
        assert_eq!(marks.compare(|show| show(first.mark("LSTM", 0))), Difference::Layer);
    }
}
