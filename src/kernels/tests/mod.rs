//! The chain of trust: `naive` (f64, by the book) checks the scalar reference, the reference checks every other path
//! bit for bit.

mod case;
mod extremes;
mod naive;
mod paths;
mod product;
mod reference;
