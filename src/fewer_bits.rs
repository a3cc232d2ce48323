//! Weights in fewer bits.
