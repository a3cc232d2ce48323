//! A call as far as memory depends on it, and the buffers that it will find.

#[cfg(test)]
mod tests;

use super::scratch::Scratch;
use super::tape::Node;

/// A call of a layer, as far as memory depends on it.
#[doc(hidden)]
#[derive(Debug, Clone, Copy)]
pub struct Call {
    /// The number of rows.
    pub batch: usize,
    /// The number of steps.
    pub timesteps: usize,
    /// Whether the outputs of all steps are wanted.
    pub sequence: bool,
    /// Whether there are resets.
    pub resets: bool,
    /// Whether it is recorded.
    pub recorded: bool,
    /// Whether it draws dropout masks.
    pub dropout: bool,
}

/// The backward pass through a recorded call, as far as memory depends on it.
#[doc(hidden)]
#[derive(Debug, Clone, Copy)]
pub struct CallBack {
    /// The number of rows.
    pub batch: usize,
    /// The number of steps.
    pub timesteps: usize,
    /// Whether the gradient of the input is wanted.
    pub input: bool,
}

/// The buffers that a call will find: those of a layer inside, or none yet.
#[doc(hidden)]
#[derive(Debug)]
pub struct Held<'a, T> {
    pub(crate) scratch: Option<&'a Scratch<T>>,
    pub(crate) node: Option<&'a Node<T>>,
}

impl<T> Clone for Held<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Held<'_, T> {}

impl<'a, T> Held<'a, T> {
    /// Nothing yet.
    pub(crate) fn nothing() -> Self {
        Held { scratch: None, node: None }
    }

    /// What the layer inside at this place will find.
    pub(crate) fn child(&self, index: usize) -> Self {
        Held {
            scratch: self.scratch.and_then(|scratch| scratch.children.get(index)),
            node: self.node.and_then(|node| node.children.get(index)),
        }
    }

    /// A size of the scratch; 0 without one.
    pub(crate) fn in_scratch(&self, size: impl FnOnce(&'a Scratch<T>) -> usize) -> usize {
        self.scratch.map_or(0, size)
    }

    /// A size of the tape's node; 0 without one.
    pub(crate) fn in_node(&self, size: impl FnOnce(&'a Node<T>) -> usize) -> usize {
        self.node.map_or(0, size)
    }
}
