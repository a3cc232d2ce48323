//! Where the weights of what is described come from.

use super::ConfigError;

/// Weights by their paths, each taken once.
pub(crate) trait TensorSource<T> {
    /// The elements of a weight in row order, if it is there and of this shape: nothing is allocated before.
    fn take(&mut self, path: &str, shape: &[usize]) -> Result<Vec<T>, ConfigError>;

    /// The same of whole numbers that are no weight.
    #[cfg(feature = "file")]
    fn take_integers(&mut self, path: &str, shape: &[usize]) -> Result<Vec<i64>, ConfigError>;

    /// Checks that a weight is there and of this shape.
    fn check(&self, path: &str, shape: &[usize]) -> Result<(), ConfigError>;
}

/// The weights of something, whose names stand behind its prefix.
#[doc(hidden)]
pub struct Tensors<'t, T> {
    source: &'t mut dyn TensorSource<T>,
    prefix: String,
}

impl<'t, T> Tensors<'t, T> {
    #[cfg(feature = "file")]
    pub(crate) fn new(source: &'t mut dyn TensorSource<T>) -> Self {
        Tensors { source, prefix: String::new() }
    }

    /// The elements of a weight of this shape, in row order.
    pub(crate) fn take(&mut self, name: &str, shape: &[usize]) -> Result<Vec<T>, ConfigError> {
        self.source.take(&format!("{}{name}", self.prefix), shape)
    }

    /// Whole numbers of this shape, in row order.
    #[cfg(feature = "file")]
    pub(crate) fn take_integers(&mut self, name: &str, shape: &[usize]) -> Result<Vec<i64>, ConfigError> {
        self.source.take_integers(&format!("{}{name}", self.prefix), shape)
    }

    /// Checks that a weight is there and of this shape.
    pub(crate) fn check(&self, name: &str, shape: &[usize]) -> Result<(), ConfigError> {
        self.source.check(&format!("{}{name}", self.prefix), shape)
    }

    /// The weights of something inside.
    pub(crate) fn nested(&mut self, prefix: &str) -> Tensors<'_, T> {
        Tensors { prefix: format!("{}{prefix}/", self.prefix), source: &mut *self.source }
    }
}

impl<T> std::fmt::Debug for Tensors<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tensors").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}
