//! Whether the two sides of a law took different paths through the crate.
//!
//! A law that compares a path with itself proves nothing. [`Sides`] collects what the hidden counter says of each side
//! over all cases, and at the end the law says which paths it must have met.
