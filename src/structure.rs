//! What a layer is but for the values of its weights: classes, sizes, options. Two layers of one structure read each
//! other's states, and a step of one needs the memory that a step of the other needs.

use std::fmt::{self, Debug};

use crate::weights::Path;

/// Receives what a layer or cell is made of, by name; names of what is inside stand behind its prefix.
#[doc(hidden)]
pub struct StructureVisitor<'v> {
    parent: Option<&'v Path<'v>>,
    each: &'v mut dyn FnMut(&Path<'_>, &dyn Debug),
}

impl<'v> StructureVisitor<'v> {
    pub(crate) fn new(each: &'v mut dyn FnMut(&Path<'_>, &dyn Debug)) -> Self {
        StructureVisitor { parent: None, each }
    }

    /// A size, a class, an option: what it prints is compared.
    pub(crate) fn value(&mut self, name: &str, value: impl Debug) {
        (self.each)(&Path::new(self.parent, name), &value);
    }

    /// The structure of something inside.
    pub(crate) fn nested(&mut self, prefix: &str, walk: impl FnOnce(&mut StructureVisitor<'_>)) {
        let path = Path::new(self.parent, prefix);
        walk(&mut StructureVisitor { parent: Some(&path), each: &mut *self.each });
    }
}

impl Debug for StructureVisitor<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StructureVisitor").field("parent", &self.parent).finish_non_exhaustive()
    }
}

/// What prints itself as text, among what prints itself for debugging.
pub(crate) struct DebugText<D>(pub(crate) D);

impl<D: fmt::Display> Debug for DebugText<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}
