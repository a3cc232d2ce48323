//! Placeholder.
/// Placeholder.
#[derive(Debug)]
pub struct ModelStream;
