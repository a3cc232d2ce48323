//! Which layer something belongs to, and to which of its weights: so that a tape knows its run, and an optimizer its
//! layers.
//!
//! A tape keeps the [`Marks`] of the run that it holds, an optimizer those of its layers: what of a layer's
//! [description](crate::structure) can change while they exist.

use crate::stamp::Stamp;
use crate::structure::{StructureVisitor, Told};

/// What a layer is as far as a tape or an optimizer is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mark {
    class: &'static str,
    /// `None` for what has no weights of its own.
    stamp: Option<Stamp>,
    /// All options that can be changed, as one number.
    options: u64,
}

impl Mark {
    fn compare(&self, now: &Mark) -> Difference {
        let origin = |mark: &Mark| mark.stamp.map(Stamp::origin);
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

    /// Adds those of what `walk` describes.
    pub(crate) fn keep(&mut self, walk: impl FnOnce(&mut StructureVisitor<'_>)) {
        each_mark(walk, &mut |mark| self.0.push(mark));
    }

    /// What is different in what `walk` describes now.
    pub(crate) fn compare(&self, walk: impl FnOnce(&mut StructureVisitor<'_>)) -> Difference {
        let (mut kept, mut farthest) = (self.0.iter(), Difference::None);
        each_mark(walk, &mut |mark| {
            let difference = kept.next().map_or(Difference::Layer, |kept| kept.compare(&mark));
            farthest = farthest.max(difference);
        });
        if kept.next().is_some() { Difference::Layer } else { farthest }
    }
}

/// Shows the mark of each layer that `walk` describes.
fn each_mark(walk: impl FnOnce(&mut StructureVisitor<'_>), show: &mut dyn FnMut(Mark)) {
    let mut last: Option<Mark> = None;
    walk(&mut StructureVisitor::new(&mut |_, told| match told {
        Told::Layer { class, stamp } => {
            if let Some(done) = last.replace(Mark { class, stamp, options: 0 }) {
                show(done);
            }
        }
        Told::Option { number, .. } => {
            if let Some(mark) = &mut last {
                mark.options = mark.options.rotate_left(13) ^ number;
            }
        }
        Told::Value(_) => {}
    }));
    if let Some(done) = last {
        show(done);
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
        let describe = |visitor: &mut StructureVisitor<'_>, parts: u64, stamp: Stamp, backwards: bool| {
            visitor.layer("Sequential", None);
            visitor.option("layers", parts, parts);
            visitor.nested("0", |visitor| {
                visitor.layer("LSTM", Some(stamp));
                visitor.value("units", 4);
                visitor.option("return_state", 1, true);
                visitor.option("go_backwards", backwards.into(), backwards);
            });
        };
        marks.keep(|visitor| describe(visitor, 1, first, false));
        let compare = |parts, stamp, backwards| marks.compare(|visitor| describe(visitor, parts, stamp, backwards));
        assert_eq!(compare(1, second, false), Difference::None);
        assert_eq!(compare(1, second, true), Difference::Options);
        assert_eq!(compare(3, second, false), Difference::Options);
        second.renew();
        assert_eq!(compare(1, second, false), Difference::Weights);
        assert_eq!(compare(1, second, true), Difference::Options);
        assert_eq!(compare(1, Stamp::new(), false), Difference::Layer);
        assert_eq!(compare(1, first, false), Difference::None);
        let alone = marks.compare(|visitor| {
            visitor.layer("Sequential", None);
            visitor.option("layers", 1, 1);
        });
        assert_eq!(alone, Difference::Layer);
        assert_eq!(marks.compare(|visitor| visitor.layer("LSTM", Some(first))), Difference::Layer);
    }
}
