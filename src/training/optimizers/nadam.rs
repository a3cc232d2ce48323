//! Adam with Nesterov's momentum.

use ndarray::{ArrayViewMutD, Zip};

use super::common_options::common_options;
use super::memory::{Owners, Slots};
use super::numbers;
use super::rules::{Gradient, Rule, Rules, by_f32, left_by_f32, power};
#[cfg(feature = "file")]
use crate::config::{Config, ConfigError, Options};
use crate::error::Result;
use crate::float::Float;

/// Keras's `Nadam` (Dozat 2015), with its defaults: beta_1 0.9, beta_2 0.999, epsilon 1e-7.
///
/// ```text
/// u_t = beta_1 (1 - 0.96^t / 2);   p_t = u_1 u_2 .. u_t
/// m += (1 - beta_1) (g - m);  v += (1 - beta_2) (g^2 - v)
/// n = u_(t+1) m / (1 - p_t u_(t+1)) + (1 - u_t) g / (1 - p_t)
/// w -= learning_rate n / (sqrt(v / (1 - beta_2^t)) + epsilon)
/// ```
#[derive(Debug, Clone)]
#[must_use = "setters return the optimizer"]
pub struct Nadam<T> {
    rules: Rules<T>,
    rule: NesterovMoments<T>,
}

/// The rule and the means.
#[derive(Debug, Clone)]
struct NesterovMoments<T> {
    beta_1: f64,
    beta_2: f64,
    epsilon: f64,
    means: Slots<T>,
    squares: Slots<T>,
    /// p of the last update.
    product: T,
    now: Factors<T>,
}

/// What all weights of an update have in common.
#[derive(Debug, Clone)]
struct Factors<T> {
    rate: T,
    /// `u_(t+1)`, and by what it is divided.
    of_mean: (T, T),
    /// `1 - u_t`, and by what it is divided.
    of_gradient: (T, T),
    /// `1 - beta_2^t`
    left: T,
}

impl<T: Float> Nadam<T> {
    /// With this learning rate (Keras's default is 0.001): finite, at least 0. It and all other numbers are checked at
    /// each step, or by [`validate`](super::Optimizer::validate).
    pub fn new(learning_rate: f64) -> Self {
        let (zero, one) = (T::zero(), T::one());
        let rule = NesterovMoments {
            beta_1: 0.9,
            beta_2: 0.999,
            epsilon: 1e-7,
            means: Slots::new(),
            squares: Slots::new(),
            product: one,
            now: Factors { rate: zero, of_mean: (zero, one), of_gradient: (zero, one), left: one },
        };
        Nadam { rules: Rules::new(learning_rate), rule }
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

    /// What keeps the quotient finite: above 0.
    pub fn epsilon(mut self, epsilon: f64) -> Self {
        self.rule.epsilon = epsilon;
        self
    }
}

common_options!(Nadam);

impl<T: Float> Rule<T> for NesterovMoments<T> {
    fn check(&self) -> Result<()> {
        numbers::beta("beta_1", self.beta_1)?;
        numbers::beta("beta_2", self.beta_2)?;
        numbers::positive::<T>("epsilon", self.epsilon)
    }

    fn remember(&mut self, owners: &Owners) {
        self.means.make(owners);
        self.squares.make(owners);
    }

    fn begin(&mut self, update: u64, learning_rate: T) {
        let (one, half) = (T::one(), T::from_f64(0.5));
        let slowed = |decay: f64, update: u64| one - half * T::from_f64(power(decay, update));
        // The product is made of numbers in the weights' type, what the weights get of numbers by way of f32.
        self.product = self.product * T::from_f64(self.beta_1) * slowed(T::from_f64(0.96).into_f64(), update);
        let u = |update| by_f32::<T>(self.beta_1) * slowed(f64::from(0.96_f32), update);
        let (now, next) = (u(update), u(update.saturating_add(1)));
        self.now = Factors {
            rate: learning_rate,
            of_mean: (next, one - self.product * next),
            of_gradient: (one - now, one - self.product),
            left: left_by_f32(self.beta_2, update),
        };
    }

    fn change(&mut self, index: usize, weight: &mut ArrayViewMutD<'_, T>, gradient: Gradient<'_, T>) {
        let take = |beta: f64| T::one() - by_f32::<T>(beta);
        let (take_1, take_2, epsilon) = (take(self.beta_1), take(self.beta_2), T::from_f64(self.epsilon));
        let Factors { rate, of_mean, of_gradient, left } = self.now;
        let (m, v, g) = (self.means.get_mut(index), self.squares.get_mut(index), gradient.values);
        Zip::from(&mut *m).and(g).for_each(|m, &g| *m += (g - *m) * take_1);
        gradient.with_squares(v, |v, square| *v += (square - *v) * take_2);
        Zip::from(weight).and(&*m).and(&*v).and(g).for_each(|w, &m, &v, &g| {
            let ahead = of_mean.0 * m / of_mean.1 + of_gradient.0 * g / of_gradient.1;
            *w -= ahead * rate / ((v / left).sqrt() + epsilon);
        });
    }

    #[cfg(feature = "file")]
    fn describe(&self, config: Config) -> Config {
        let config = config.with("beta_1", self.beta_1).with("beta_2", self.beta_2).with("epsilon", self.epsilon);
        self.describe_slots(config.with("product", self.product.into_f64()))
    }

    #[cfg(feature = "file")]
    fn read(&mut self, options: &Options<'_>) -> Result<(), ConfigError> {
        (self.beta_1, self.beta_2) = (options.number("beta_1")?, options.number("beta_2")?);
        self.epsilon = options.number("epsilon")?;
        self.product = T::from_f64(options.number("product")?);
        Ok(())
    }

    #[cfg(feature = "file")]
    fn slots(&self) -> Vec<(&'static str, &Slots<T>)> {
        vec![("means", &self.means), ("squares", &self.squares)]
    }

    #[cfg(feature = "file")]
    fn slots_mut(&mut self) -> Vec<(&'static str, &mut Slots<T>)> {
        vec![("means", &mut self.means), ("squares", &mut self.squares)]
    }
}
