//! Threads (feature `rayon`): a call's rows are split, each part runs the whole layer, and no bit changes, because a
//! row's result depends on that row alone.
//!
//! Not split: calls that record or draw dropout masks (both are laid out for the whole batch), and calls with less
//! work than splitting costs. A single step is never split.

use super::pass::Pass;
use super::scratch::Scratch;
use crate::float::Float;
use crate::layers::Layer;

/// Multiplications below which a part isn't worth a thread: about 50 microseconds, five times what a fork costs.
#[cfg(feature = "rayon")]
const WORTH_A_THREAD: usize = 2_000_000;

/// Runs a pass on as many threads as pay.
#[cfg(feature = "rayon")]
pub(crate) fn process<T: Float, L: Layer<T> + ?Sized>(layer: &L, pass: Pass<'_, T>, scratch: &mut Scratch<T>) {
    let splits = pass.tape.is_none() && pass.dropout.is_none() && pass.batch > 1 && pass.timesteps > 1;
    let parts = match splits {
        true => {
            let work = layer.work().saturating_mul(pass.batch).saturating_mul(pass.timesteps);
            (work / WORTH_A_THREAD).min(pass.batch).min(rayon::current_num_threads())
        }
        false => 1,
    };
    if parts < 2 {
        return layer.process(pass, scratch);
    }
    let mut others = std::mem::take(&mut scratch.threads);
    if others.len() < parts - 1 {
        others.resize_with(parts - 1, Scratch::new);
    }
    fork(layer, pass, scratch, &mut others[..parts - 1]);
    scratch.threads = others;
}

/// Halves the pass until there is a part for each scratch.
#[cfg(feature = "rayon")]
fn fork<T: Float, L: Layer<T> + ?Sized>(layer: &L, pass: Pass<'_, T>, own: &mut Scratch<T>, others: &mut [Scratch<T>]) {
    let parts = others.len() + 1;
    if parts == 1 {
        return layer.process(pass, own);
    }
    let half = parts / 2;
    let rows = pass.batch * half / parts;
    let (first, second) = pass.split_rows(rows);
    let (first_others, rest) = others.split_at_mut(half - 1);
    let (second_own, second_others) = rest.split_at_mut(1);
    rayon::join(|| fork(layer, first, own, first_others), || fork(layer, second, &mut second_own[0], second_others));
}

/// Runs a pass.
#[cfg(not(feature = "rayon"))]
#[inline]
pub(crate) fn process<T: Float, L: Layer<T> + ?Sized>(layer: &L, pass: Pass<'_, T>, scratch: &mut Scratch<T>) {
    layer.process(pass, scratch);
}
