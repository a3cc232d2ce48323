//! RMSprop.

use ndarray::{ArrayViewMutD, Zip};

use super::common_options::common_options;
use super::memory::{Owners, Slots};
use super::numbers;
use super::rules::{Gradient, Rule, Rules};
#[cfg(feature = "file")]
use crate::config::{Config, ConfigError, Options};
use crate::error::Result;
use crate::float::Float;

/// Keras's `RMSprop` (Hinton 2012), with its defaults: rho 0.9, momentum 0, epsilon 1e-7, not centered.
///
/// ```text
/// v = rho v + (1 - rho) g^2;   centered: a = rho a + (1 - rho) g, else a = 0
/// i = learning_rate g / sqrt(v - a^2 + epsilon)
/// w -= i,   or with momentum: m = momentum m + i;  w -= m
/// ```
///
/// Rounding may make `v - a^2 + epsilon` negative where gradients hardly change and are large: NaN, as in Keras.
#[derive(Debug, Clone)]
#[must_use = "setters return the optimizer"]
pub struct RmsProp<T> {
    rules: Rules<T>,
    rule: RootMeanSquare<T>,
}

/// The rule and the means.
#[derive(Debug, Clone)]
struct RootMeanSquare<T> {
    rho: f64,
    momentum: f64,
    epsilon: f64,
    centered: bool,
    squares: Slots<T>,
    means: Slots<T>,
    momentums: Slots<T>,
    learning_rate: T,
}

impl<T: Float> RmsProp<T> {
    /// With this learning rate (Keras's default is 0.001): finite, at least 0. It and all other numbers are checked at
    /// each step, or by [`validate`](super::Optimizer::validate).
    pub fn new(learning_rate: f64) -> Self {
        let rule = RootMeanSquare {
            rho: 0.9,
            momentum: 0.0,
            epsilon: 1e-7,
            centered: false,
            squares: Slots::new(),
            means: Slots::new(),
            momentums: Slots::new(),
            learning_rate: T::zero(),
        };
        RmsProp { rules: Rules::new(learning_rate), rule }
    }

    /// How much of the mean of the squared gradients is kept at each update: 0 to 1.
    pub fn rho(mut self, rho: f64) -> Self {
        self.rule.rho = rho;
        self
    }

    /// With momentum, 0 to 1.
    pub fn momentum(mut self, momentum: f64) -> Self {
        self.rule.momentum = momentum;
        self
    }

    /// What keeps the quotient finite: above 0.
    pub fn epsilon(mut self, epsilon: f64) -> Self {
        self.rule.epsilon = epsilon;
        self
    }

    /// Whether to divide by the deviation of the gradients from their mean instead of their size (Graves 2013).
    pub fn centered(mut self, yes: bool) -> Self {
        self.rule.centered = yes;
        self
    }
}

common_options!(RmsProp);

impl<T: Float> Rule<T> for RootMeanSquare<T> {
    fn check(&self) -> Result<()> {
        numbers::fraction("rho", self.rho)?;
        numbers::fraction("momentum", self.momentum)?;
        numbers::positive::<T>("epsilon", self.epsilon)
    }

    fn remember(&mut self, owners: &Owners) {
        self.squares.make(owners);
        if self.centered {
            self.means.make(owners);
        }
        if self.momentum > 0.0 {
            self.momentums.make(owners);
        }
    }

    fn begin(&mut self, _update: u64, learning_rate: T) {
        self.learning_rate = learning_rate;
    }

    fn change(&mut self, index: usize, weight: &mut ArrayViewMutD<'_, T>, gradient: Gradient<'_, T>) {
        let (keep, take) = (T::from_f64(self.rho), T::from_f64(1.0 - self.rho));
        let (epsilon, rate, momentum) = (T::from_f64(self.epsilon), self.learning_rate, T::from_f64(self.momentum));
        let (v, g) = (self.squares.get_mut(index), gradient.values);
        gradient.with_squares(v, |v, square| *v = keep * *v + take * square);
        let (v, weight) = (&*v, weight.view_mut());
        let increment = |g: T, v: T, a: T| rate * g / (v - a * a + epsilon).sqrt();
        let advance = |w: &mut T, m: &mut T, increment: T| {
            *m = momentum * *m + increment;
            *w -= *m;
        };
        let momentums = (self.momentum > 0.0).then(|| self.momentums.get_mut(index));
        let means = self.centered.then(|| self.means.get_mut(index)).map(|means| {
            Zip::from(&mut *means).and(g).for_each(|a, &g| *a = keep * *a + take * g);
            &*means
        });
        let none = T::zero();
        match (momentums, means) {
            (None, None) => Zip::from(weight).and(g).and(v).for_each(|w, &g, &v| *w -= increment(g, v, none)),
            (None, Some(a)) => {
                Zip::from(weight).and(g).and(v).and(a).for_each(|w, &g, &v, &a| *w -= increment(g, v, a));
            }
            (Some(m), None) => {
                Zip::from(weight).and(m).and(g).and(v).for_each(|w, m, &g, &v| advance(w, m, increment(g, v, none)));
            }
            (Some(m), Some(a)) => {
                let all = Zip::from(weight).and(m).and(g).and(v).and(a);
                all.for_each(|w, m, &g, &v, &a| advance(w, m, increment(g, v, a)));
            }
        }
    }

    #[cfg(feature = "file")]
    fn describe(&self, config: Config) -> Config {
        let RootMeanSquare { rho, momentum, epsilon, centered, .. } = self;
        let config = config.with("rho", *rho).with("momentum", *momentum).with("epsilon", *epsilon);
        self.describe_slots(config.with("centered", *centered))
    }

    #[cfg(feature = "file")]
    fn read(&mut self, options: &Options<'_>) -> Result<(), ConfigError> {
        (self.rho, self.momentum) = (options.number("rho")?, options.number("momentum")?);
        (self.epsilon, self.centered) = (options.number("epsilon")?, options.flag("centered")?);
        Ok(())
    }

    #[cfg(feature = "file")]
    fn slots(&self) -> Vec<(&'static str, &Slots<T>)> {
        vec![("squares", &self.squares), ("means", &self.means), ("momentums", &self.momentums)]
    }

    #[cfg(feature = "file")]
    fn slots_mut(&mut self) -> Vec<(&'static str, &mut Slots<T>)> {
        vec![("squares", &mut self.squares), ("means", &mut self.means), ("momentums", &mut self.momentums)]
    }
}
