//! What a layer is but for the values of its weights: classes, sizes, options.
//!
//! Two layers of one structure read each other's states, and a step of one needs the memory that a step of the other
//! needs: a stream compares all of it. A tape and an optimizer compare what can change while they exist, whose weights
//! these are and the options that can be set again: see [`marks`](crate::marks).

use std::fmt::{self, Debug};

use crate::stamp::Stamp;
use crate::weights::WeightPath;

/// Receives what a layer or cell is made of, by name; names of what is inside stand behind its prefix.
#[doc(hidden)]
pub struct StructureVisitor<'v> {
    parent: Option<&'v WeightPath<'v>>,
    each: &'v mut dyn FnMut(&WeightPath<'_>, Told<'_>),
}

/// One thing that a layer says of itself.
#[derive(Clone, Copy)]
pub(crate) enum Told<'a> {
    /// Here begins what a layer says: its class, and the stamp of the weights that it holds itself.
    Layer { class: &'static str, stamp: Option<Stamp> },
    /// An option that can be changed after the layer was made, as a number and in words.
    Option { number: u64, value: &'a dyn Debug },
    /// What stays as it is.
    Value(&'a dyn Debug),
}

impl<'v> StructureVisitor<'v> {
    pub(crate) fn new(each: &'v mut dyn FnMut(&WeightPath<'_>, Told<'_>)) -> Self {
        StructureVisitor { parent: None, each }
    }

    /// A layer: what follows is of it, until the next one. Wrappers hold no weights themselves.
    pub(crate) fn layer(&mut self, class: &'static str, stamp: Option<Stamp>) {
        (self.each)(&WeightPath::new(self.parent, "class"), Told::Layer { class, stamp });
    }

    /// An option that can be changed after the layer was made; its number says all that its words say.
    pub(crate) fn option(&mut self, name: &str, number: u64, value: impl Debug) {
        (self.each)(&WeightPath::new(self.parent, name), Told::Option { number, value: &value });
    }

    /// A size, an option that stays: what it prints is compared.
    pub(crate) fn value(&mut self, name: &str, value: impl Debug) {
        (self.each)(&WeightPath::new(self.parent, name), Told::Value(&value));
    }

    /// The structure of something inside.
    pub(crate) fn nested(&mut self, prefix: &str, walk: impl FnOnce(&mut StructureVisitor<'_>)) {
        let path = WeightPath::new(self.parent, prefix);
        walk(&mut StructureVisitor { parent: Some(&path), each: &mut *self.each });
    }
}

impl Debug for StructureVisitor<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StructureVisitor").field("parent", &self.parent).finish_non_exhaustive()
    }
}

/// What is compared as text.
impl Debug for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Told::Layer { class, .. } => f.write_str(class),
            Told::Option { value, .. } | Told::Value(value) => value.fmt(f),
        }
    }
}

/// What prints itself as text, among what prints itself for debugging.
pub(crate) struct DebugText<D>(pub(crate) D);

impl<D: fmt::Display> Debug for DebugText<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}
