//! The runner: a cell, or any layer, over time.
//!
//! What it does is this loop, for any cell, with the rules of masks, resets and directions around it:
//!
//! ```text
//! for step in 0..timesteps:
//!     time = backwards ? timesteps - 1 - step : step
//!     for each row that is live at `time`:  next = cell(x[row, time], prev);  output = next[output columns]
//!     for each other row:                    next = prev;                       output = the previous output, or 0
//!     sequence[step] = output;  swap(prev, next)
//! ```
//!
//! The previous output is `carry` in the code: what a masked step repeats.
//!
//! [`Pass`] is one call with its shapes already checked; layers and wrappers hand it down, never copying a state.

pub(crate) mod activity;
pub(crate) mod backward;
pub(crate) mod check;
pub(crate) mod dropout;
pub(crate) mod execute;
pub(crate) mod forward;
pub(crate) mod layer;
pub(crate) mod memory;
pub(crate) mod output_mut;
pub(crate) mod pass;
pub(crate) mod run;
pub(crate) mod scratch;
pub(crate) mod sequence;
pub(crate) mod tape;
pub(crate) mod threads;
