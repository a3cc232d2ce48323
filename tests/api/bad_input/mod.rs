//! Bad input: each refusal is its own error with what was expected and what was given, and changes nothing.
//!
//! Errors are compared whole, so that each field is. Only [`Error::NoRandomness`](recurrent::Error::NoRandomness), an
//! operating system without random numbers, can't be brought about here.

mod anything;
mod belonging;
mod calls;
mod companions;
mod construction;
mod huge;
mod memory;
mod messages;
mod pools;
mod sizes;
mod states;
mod streams;
mod training;
mod weights;

use recurrent::{Error, Result};

/// The error of a call that must be refused.
#[track_caller]
fn refusal<T>(result: Result<T>) -> Error {
    match result {
        Ok(_) => panic!("this must be refused"),
        Err(error) => error,
    }
}
