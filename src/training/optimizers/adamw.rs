//! Adam with a decay of the weights.

use super::adam::{Moments, moments_options};
use super::common_options::common_options;
use super::rules::Rules;
use crate::float::Float;

/// Keras's `AdamW` (Loshchilov and Hutter 2017): [`Adam`](super::Adam) with a `weight_decay` of 0.004 unless another is
/// set.
///
/// ```text
/// w -= w weight_decay learning_rate,   then as Adam
/// ```
#[derive(Debug, Clone)]
#[must_use = "setters return the optimizer"]
pub struct AdamW<T> {
    rules: Rules<T>,
    rule: Moments<T>,
}

impl<T: Float> AdamW<T> {
    /// With this learning rate (Keras's default is 0.001): finite, at least 0. It and all other numbers are checked at
    /// each step, or by [`validate`](super::Optimizer::validate).
    pub fn new(learning_rate: f64) -> Self {
        let mut rules = Rules::new(learning_rate);
        rules.weight_decay = Some(0.004);
        AdamW { rules, rule: Moments::new() }
    }
}

moments_options!(AdamW);
common_options!(AdamW);
