//! Allocations, counted: none in a stream from its first step on, none in `run_into` and in training once their memory
//! has grown, and in `forward` only the arrays that it returns.

mod calls;
mod counter;
mod layers;
mod models;
mod pools;
mod streams;
mod training;
