//! Adam.

use ndarray::{ArrayViewMutD, Zip};

use super::common_options::common_options;
use super::memory::{Owners, Slots};
use super::numbers;
use super::rules::{Gradient, Rule, Rules, left_by_f32};
#[cfg(feature = "file")]
use crate::config::{Config, ConfigError, Options};
use crate::error::Result;
use crate::float::Float;

/// Keras's `Adam` (Kingma and Ba 2014), with its defaults: beta_1 0.9, beta_2 0.999, epsilon 1e-7.
///
/// ```text
/// m += (1 - beta_1) (g - m);  v += (1 - beta_2) (g^2 - v)
/// w -= learning_rate sqrt(1 - beta_2^t) / (1 - beta_1^t)  m / (sqrt(v) + epsilon)
/// ```
#[derive(Debug, Clone)]
#[must_use = "setters return the optimizer"]
pub struct Adam<T> {
    rules: Rules<T>,
    rule: Moments<T>,
}

/// The rule and the means, of [`Adam`] and of [`AdamW`](super::AdamW).
#[derive(Debug, Clone)]
pub(super) struct Moments<T> {
    pub(super) beta_1: f64,
    pub(super) beta_2: f64,
    pub(super) epsilon: f64,
    pub(super) amsgrad: bool,
    means: Slots<T>,
    squares: Slots<T>,
    largest_squares: Slots<T>,
    /// The learning rate with the corrections of the means.
    rate: T,
}

impl<T: Float> Adam<T> {
    /// With this learning rate (Keras's default is 0.001): finite, at least 0. It and all other numbers are checked at
    /// each step, or by [`validate`](super::Optimizer::validate).
    pub fn new(learning_rate: f64) -> Self {
        Adam { rules: Rules::new(learning_rate), rule: Moments::new() }
    }
}

/// The options of [`Moments`].
macro_rules! moments_options {
    ($optimizer:ident) => {
        impl<T: $crate::float::Float> $optimizer<T> {
            /// How much of the mean of the gradients is kept at each update: at least 0, below 1.
            pub fn beta_1(mut self, beta_1: f64) -> Self {
                self.rule.beta_1 = beta_1;
                self
            }

            /// How much of the mean of the squared gradients is kept at each update: at least 0, below 1.
            pub fn beta_2(mut self, beta_2: f64) -> Self {
                self.rule.beta_2 = beta_2;
                self
            }

            /// What keeps the quotient finite ("epsilon hat" in the paper): above 0. (Keras takes a 0, and makes NaN
            /// of a weight whose gradient is zero.)
            pub fn epsilon(mut self, epsilon: f64) -> Self {
                self.rule.epsilon = epsilon;
                self
            }

            /// Whether to divide by the largest mean so far (Reddi et al. 2018).
            pub fn amsgrad(mut self, yes: bool) -> Self {
                self.rule.amsgrad = yes;
                self
            }
        }
    };
}

pub(super) use moments_options;

moments_options!(Adam);
common_options!(Adam);

impl<T: Float> Moments<T> {
    pub(super) fn new() -> Self {
        Moments {
            beta_1: 0.9,
            beta_2: 0.999,
            epsilon: 1e-7,
            amsgrad: false,
            means: Slots::new(),
            squares: Slots::new(),
            largest_squares: Slots::new(),
            rate: T::zero(),
        }
    }
}

impl<T: Float> Rule<T> for Moments<T> {
    fn check(&self) -> Result<()> {
        numbers::beta("beta_1", self.beta_1)?;
        numbers::beta("beta_2", self.beta_2)?;
        numbers::positive::<T>("epsilon", self.epsilon)
    }

    fn remember(&mut self, owners: &Owners) {
        self.means.make(owners);
        self.squares.make(owners);
        if self.amsgrad {
            self.largest_squares.make(owners);
        }
    }

    fn begin(&mut self, update: u64, learning_rate: T) {
        self.rate =
            learning_rate * left_by_f32::<T>(self.beta_2, update).sqrt() / left_by_f32::<T>(self.beta_1, update);
    }

    fn change(&mut self, index: usize, weight: &mut ArrayViewMutD<'_, T>, gradient: Gradient<'_, T>) {
        let take = |beta: f64| T::from_f64(1.0 - beta);
        let (take_1, take_2) = (take(self.beta_1), take(self.beta_2));
        let (epsilon, rate) = (T::from_f64(self.epsilon), self.rate);
        let (m, v) = (self.means.get_mut(index), self.squares.get_mut(index));
        Zip::from(&mut *m).and(gradient.values).for_each(|m, &g| *m += (g - *m) * take_1);
        gradient.with_squares(v, |v, square| *v += (square - *v) * take_2);
        let v = if self.amsgrad {
            let largest = self.largest_squares.get_mut(index);
            Zip::from(&mut *largest).and(&*v).for_each(|largest, &v| *largest = largest.max(v));
            &*largest
        } else {
            &*v
        };
        Zip::from(weight).and(&*m).and(v).for_each(|w, &m, &v| *w -= m * rate / (v.sqrt() + epsilon));
    }

    #[cfg(feature = "file")]
    fn describe(&self, config: Config) -> Config {
        let Moments { beta_1, beta_2, epsilon, amsgrad, .. } = self;
        let config = config.with("beta_1", *beta_1).with("beta_2", *beta_2).with("epsilon", *epsilon);
        self.describe_slots(config.with("amsgrad", *amsgrad))
    }

    #[cfg(feature = "file")]
    fn read(&mut self, options: &Options<'_>) -> Result<(), ConfigError> {
        (self.beta_1, self.beta_2) = (options.number("beta_1")?, options.number("beta_2")?);
        (self.epsilon, self.amsgrad) = (options.number("epsilon")?, options.flag("amsgrad")?);
        Ok(())
    }

    #[cfg(feature = "file")]
    fn slots(&self) -> Vec<(&'static str, &Slots<T>)> {
        let Moments { means, squares, largest_squares, .. } = self;
        vec![("means", means), ("squares", squares), ("largest_squares", largest_squares)]
    }

    #[cfg(feature = "file")]
    fn slots_mut(&mut self) -> Vec<(&'static str, &mut Slots<T>)> {
        let Moments { means, squares, largest_squares, .. } = self;
        vec![("means", means), ("squares", squares), ("largest_squares", largest_squares)]
    }
}
