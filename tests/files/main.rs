//! Model files: what is read, in all the forms that users have; what is refused, by name, with a way out that works; and
//! files that were damaged or made to harm.
#![cfg(feature = "keras")]

#[allow(dead_code)] // the golden tests use the rest
#[macro_use]
#[path = "../golden/check/mod.rs"]
mod check;

mod classes;
mod descriptions;
mod forms;
mod hostile;
mod ways_out;
