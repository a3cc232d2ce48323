//! A file that was refused.

use std::fmt;

use super::error::Problem;

/// A file that was refused, and why.
///
/// Its message says all of it, so it has no [`source`](std::error::Error::source) that would say a part again.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadError {
    file: String,
    problem: Box<Problem>,
}

impl LoadError {
    pub(crate) fn new(file: &str, problem: Problem) -> Self {
        LoadError { file: file.into(), problem: Box::new(problem) }
    }

    /// What is wrong, without the file's name.
    #[cfg_attr(not(all(feature = "file", any(feature = "keras", feature = "pytorch"))), allow(dead_code))]
    pub(crate) fn into_problem(self) -> Problem {
        *self.problem
    }

    /// The file, as it was named.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// What is wrong with it.
    pub fn problem(&self) -> &Problem {
        &self.problem
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file, self.problem)
    }
}

impl std::error::Error for LoadError {}
