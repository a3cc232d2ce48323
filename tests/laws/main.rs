//! Laws that any layer obeys, checked bit for bit (NaN equals NaN) on random layers, sizes and inputs.
//!
//! No number here comes from another framework: the golden tests compare with those. A law compares two ways of
//! saying the same thing, such as a whole run and a stream of its steps. Read [`case`] for what is drawn, then any law.
//!
//! `PROPTEST_CASES=1000 cargo test --release --test laws` looks harder.

mod case;
mod compare;
mod numbers;
mod own_cells;
mod paths;

mod batches;
mod directions;
mod dropout;
mod finite_differences;
mod gradients;
mod long_stacks;
mod masks;
mod mixed_calls;
mod model_pools;
mod pools;
mod rates;
mod repeated_cells;
mod resets;
mod several;
mod stateful;
mod streams;
mod swaps;
mod the_loop;
#[cfg(feature = "rayon")]
mod threads;
mod views;
mod ways;
mod windows;
mod wrappers;
