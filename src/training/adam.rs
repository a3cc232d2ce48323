//! Adam.

use ndarray::{ArrayViewMutD, Zip};

use super::common_options::common_options;
#[cfg(feature = "file")]
use super::described::Show;
use super::memory::{Owners, Slots};
use super::numbers;
use super::optimizer::Optimizer;
use super::rules::{Gradient, Rule, Rules};
#[cfg(feature = "file")]
use crate::config::{Config, ConfigError, Options, Tensors};
use crate::error::Result;
use crate::float::Float;
use crate::gradients::Gradients;
use crate::parameters::Parameters;

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

/// The rule and the means.
#[derive(Debug, Clone)]
struct Moments<T> {
    beta_1: f64,
    beta_2: f64,
    epsilon: f64,
    amsgrad: bool,
    means: Slots<T>,
    squares: Slots<T>,
    largest_squares: Slots<T>,
    /// The learning rate with the corrections of the means.
    rate: T,
}

impl<T: Float> Adam<T> {
    /// With this learning rate (Keras's default is 0.001): finite, at least 0. It and all other numbers are checked at
    /// each step, or by [`validate`](Adam::validate).
    pub fn new(learning_rate: f64) -> Self {
        let rule = Moments {
            beta_1: 0.9,
            beta_2: 0.999,
            epsilon: 1e-7,
            amsgrad: false,
            means: Slots::new(),
            squares: Slots::new(),
            largest_squares: Slots::new(),
            rate: T::zero(),
        };
        Adam { rules: Rules::new(learning_rate), rule }
    }

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

    /// What keeps the quotient finite ("epsilon hat" in the paper): above 0. (Keras takes a 0, and makes NaN of a
    /// weight whose gradient is zero.)
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

common_options!(Adam);

/// For files.
#[cfg(feature = "file")]
impl<T: Float> Adam<T> {
    pub(crate) fn describe(&self) -> Config {
        let Moments { beta_1, beta_2, epsilon, amsgrad, means, squares, largest_squares, .. } = &self.rule;
        self.rules
            .describe("Adam")
            .with("beta_1", *beta_1)
            .with("beta_2", *beta_2)
            .with("epsilon", *epsilon)
            .with("amsgrad", *amsgrad)
            .with("means", !means.is_empty())
            .with("squares", !squares.is_empty())
            .with("largest_squares", !largest_squares.is_empty())
    }

    pub(crate) fn show(&self, show: &mut Show<'_, T>) {
        self.rules.show(show);
        self.rule.means.show("means", show);
        self.rule.squares.show("squares", show);
        self.rule.largest_squares.show("largest_squares", show);
    }

    pub(crate) fn read(options: &Options<'_>, tensors: &mut Tensors<'_, T>) -> Result<Self, ConfigError> {
        let rules = Rules::read(options, tensors)?;
        let mut slots = |name| Slots::read(options, tensors, name, rules.owners());
        let rule = Moments {
            beta_1: options.number("beta_1")?,
            beta_2: options.number("beta_2")?,
            epsilon: options.number("epsilon")?,
            amsgrad: options.flag("amsgrad")?,
            means: slots("means")?,
            squares: slots("squares")?,
            largest_squares: slots("largest_squares")?,
            rate: T::zero(),
        };
        Ok(Adam { rules, rule })
    }
}

impl<T: Float> Optimizer<T> for Adam<T> {
    fn step_all<'a>(&mut self, parts: &mut [(&'a mut dyn Parameters<T>, &'a Gradients<T>)]) -> Result<()> {
        self.rules.step(&mut self.rule, parts)
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
        let left = |beta: f64| T::one() - T::from_f64(power(f64::from(beta as f32), update));
        self.rate = learning_rate * left(self.beta_2).sqrt() / left(self.beta_1);
    }

    fn change(&mut self, index: usize, weight: &mut ArrayViewMutD<'_, T>, gradient: Gradient<'_, T>) {
        let Gradient { values, squares } = gradient;
        let take = |beta: f64| T::from_f64(1.0 - beta);
        let (take_1, take_2) = (take(self.beta_1), take(self.beta_2));
        let (epsilon, rate) = (T::from_f64(self.epsilon), self.rate);
        let (m, v) = (self.means.get_mut(index), self.squares.get_mut(index));
        Zip::from(&mut *m).and(values).for_each(|m, &g| *m += (g - *m) * take_1);
        match squares {
            Some(squares) => Zip::from(&mut *v).and(squares).for_each(|v, &square| *v += (square - *v) * take_2),
            None => Zip::from(&mut *v).and(values).for_each(|v, &g| *v += (g * g - *v) * take_2),
        }
        let v = if self.amsgrad {
            let largest = self.largest_squares.get_mut(index);
            Zip::from(&mut *largest).and(&*v).for_each(|largest, &v| *largest = largest.max(v));
            &*largest
        } else {
            &*v
        };
        Zip::from(weight).and(&*m).and(v).for_each(|w, &m, &v| *w -= m * rate / (v.sqrt() + epsilon));
    }
}

/// `base^exponent` by squaring, the same on every machine. Keras takes the power of beta rounded to f32.
fn power(mut base: f64, mut exponent: u64) -> f64 {
    let mut product = 1.0;
    while exponent > 0 {
        if exponent % 2 == 1 {
            product *= base;
        }
        base *= base;
        exponent /= 2;
    }
    product
}
