//! What all of Keras's optimizers do around their own rule, in Keras's order:
//!
//! ```text
//! g = g / loss_scale_factor
//! g = the mean of gradient_accumulation_steps such gradients (between them, nothing is updated)
//! g = clip(g)
//! w = w - w weight_decay learning_rate
//! w = the optimizer's own rule (w, g)
//! average = ema_momentum average + (1 - ema_momentum) w,   and at times w = average
//! ```

use ndarray::{ArrayD, ArrayViewD, ArrayViewMutD, Zip};

use super::memory::{Owners, Slots};
use super::numbers;
use super::prepare::OfParts;
#[cfg(feature = "file")]
use crate::config::{Config, ConfigError, Options};
use crate::error::{Error, Result};
use crate::float::Float;
use crate::gradients::Gradients;
use crate::parameters::Parameters;
use crate::weights::{WeightVisitor, WeightVisitorMut};

/// What an optimizer does with one weight, and what it remembers for that.
pub(super) trait Rule<T: Float> {
    /// Whether it reads [`Gradient::with_absolutes`].
    const READS_ABSOLUTES: bool = false;

    /// The options that are out of range.
    fn check(&self) -> Result<()>;

    /// Makes what is to be remembered of each weight, zeros, if it isn't there yet.
    fn remember(&mut self, owners: &Owners);

    /// Before the weights of update number `update`, from 1, are gone through.
    fn begin(&mut self, update: u64, learning_rate: T);

    /// Changes weight number `index` by its gradient.
    fn change(&mut self, index: usize, weight: &mut ArrayViewMutD<'_, T>, gradient: Gradient<'_, T>);

    /// Describes its options, and by [`describe_slots`](Rule::describe_slots) what it remembers.
    #[cfg(feature = "file")]
    fn describe(&self, config: Config) -> Config;

    /// Reads the options that were described; [`slots_mut`](Rule::slots_mut) are read without its doing.
    #[cfg(feature = "file")]
    fn read(&mut self, options: &Options<'_>) -> Result<(), ConfigError>;

    /// What it remembers of each weight, by name.
    #[cfg(feature = "file")]
    fn slots(&self) -> Vec<(&'static str, &Slots<T>)>;

    #[cfg(feature = "file")]
    fn slots_mut(&mut self) -> Vec<(&'static str, &mut Slots<T>)>;

    /// Says what is remembered by now.
    #[cfg(feature = "file")]
    fn describe_slots(&self, config: Config) -> Config {
        self.slots().into_iter().fold(config, |config, (name, slots)| config.with(name, !slots.is_empty()))
    }
}

/// The gradient of one weight as a rule reads it.
pub(super) struct Gradient<'a, T> {
    pub(super) values: &'a ArrayD<T>,
    /// The sums of squares and of absolute values, where the gradient is a sum of which Keras takes those of the parts.
    pub(super) of_parts: Option<&'a OfParts<T>>,
}

impl<T: Float> Gradient<'_, T> {
    /// Goes through an array beside the squares of the gradient.
    pub(super) fn with_squares(&self, array: &mut ArrayD<T>, mut each: impl FnMut(&mut T, T)) {
        match self.of_parts.and_then(OfParts::squares) {
            Some(squares) => Zip::from(array).and(squares).for_each(|own, &square| each(own, square)),
            None => Zip::from(array).and(self.values).for_each(|own, &g| each(own, g * g)),
        }
    }

    /// Goes through an array beside the absolute values of the gradient.
    pub(super) fn with_absolutes(&self, array: &mut ArrayD<T>, mut each: impl FnMut(&mut T, T)) {
        match self.of_parts.and_then(OfParts::absolutes) {
            Some(absolutes) => Zip::from(array).and(absolutes).for_each(|own, &size| each(own, size)),
            None => Zip::from(array).and(self.values).for_each(|own, &g| each(own, g.abs())),
        }
    }
}

/// The parts of a model and their gradients.
pub(super) type Parts<'a, 'b, T> = &'a mut [(&'b mut dyn Parameters<T>, &'b Gradients<T>)];

/// The options that all of Keras's optimizers have, and what they remember.
#[derive(Debug, Clone)]
pub(super) struct Rules<T> {
    pub(super) learning_rate: f64,
    pub(super) weight_decay: Option<f64>,
    pub(super) not_decayed: Vec<String>,
    pub(super) clipnorm: Option<f64>,
    pub(super) clipvalue: Option<f64>,
    pub(super) global_clipnorm: Option<f64>,
    pub(super) use_ema: bool,
    pub(super) ema_momentum: f64,
    pub(super) ema_overwrite_frequency: Option<u64>,
    pub(super) loss_scale_factor: Option<f64>,
    pub(super) gradient_accumulation_steps: Option<u64>,
    /// Calls so far.
    pub(super) calls: u64,
    pub(super) owners: Owners,
    /// The gradients after scaling and clipping.
    pub(super) prepared: Slots<T>,
    /// Their [`Gradient::of_parts`].
    pub(super) of_parts: Vec<OfParts<T>>,
    pub(super) accumulated: Slots<T>,
    pub(super) averages: Slots<T>,
}

impl<T: Float> Rules<T> {
    pub(super) fn new(learning_rate: f64) -> Self {
        Rules {
            learning_rate,
            weight_decay: None,
            not_decayed: Vec::new(),
            clipnorm: None,
            clipvalue: None,
            global_clipnorm: None,
            use_ema: false,
            ema_momentum: 0.99,
            ema_overwrite_frequency: None,
            loss_scale_factor: None,
            gradient_accumulation_steps: None,
            calls: 0,
            owners: Owners::default(),
            prepared: Slots::new(),
            of_parts: Vec::new(),
            accumulated: Slots::new(),
            averages: Slots::new(),
        }
    }

    /// Updates so far.
    pub(super) fn iterations(&self) -> u64 {
        // Whether there are so many is checked at a step.
        self.calls / self.gradient_accumulation_steps.unwrap_or(1).max(1)
    }

    /// Changes the learning rate, if it is one.
    pub(super) fn set_learning_rate(&mut self, learning_rate: f64) -> Result<()> {
        numbers::not_negative::<f32>("learning_rate", learning_rate)?;
        self.learning_rate = learning_rate;
        Ok(())
    }

    /// One call of an optimizer with this rule of its own.
    pub(super) fn step<R: Rule<T>>(&mut self, rule: &mut R, parts: Parts<'_, '_, T>) -> Result<()> {
        self.check()?;
        rule.check()?;
        for (part, gradients) in &*parts {
            if !gradients.fit(&**part) {
                return Err(Error::GradientsLayer);
            }
        }
        self.owners.check(layers(parts))?;
        for (part, _) in &mut *parts {
            part.unshare()?;
        }
        // Not before: what is refused leaves no trace.
        self.owners.become_those_of(layers(parts));
        if self.prepare(parts, R::READS_ABSOLUTES) {
            self.update(rule, parts)?;
        }
        self.average(parts)?;
        self.calls += 1;
        Ok(())
    }

    fn update(&mut self, rule: &mut impl Rule<T>, parts: Parts<'_, '_, T>) -> Result<()> {
        rule.remember(&self.owners);
        let rate = by_f32::<T>(self.learning_rate);
        rule.begin(self.iterations() + 1, rate);
        let (prepared, of_parts, as_they_come) = (&self.prepared, &self.of_parts, self.as_they_come());
        let mut index = 0;
        for (part, gradients) in parts {
            let first = index;
            part.visit_trained_mut(&mut WeightVisitorMut::new(&mut |_, mut weight| {
                let own = index - first;
                let decays = |name: &String| !self.not_decayed.iter().any(|pattern| name.contains(pattern.as_str()));
                if let Some(decay) = self.weight_decay.filter(|_| decays(&gradients.names[own])) {
                    let decay = by_f32::<T>(decay);
                    weight.mapv_inplace(|w| w - w * decay * rate);
                }
                let values = if as_they_come { &gradients.weights[own] } else { prepared.get(index) };
                rule.change(index, &mut weight, Gradient { values, of_parts: Some(&of_parts[index]) });
                index += 1;
            }))?;
        }
        Ok(())
    }

    /// Moves the averages of the weights on; at times they become the weights.
    fn average(&mut self, parts: Parts<'_, '_, T>) -> Result<()> {
        if !self.use_ema {
            return Ok(());
        }
        self.averages.make(&self.owners);
        let iterations = self.iterations();
        let momentum = if iterations == 0 { T::zero() } else { T::from_f64(self.ema_momentum) };
        let overwrite =
            self.ema_overwrite_frequency.is_some_and(|frequency| (iterations + 1).is_multiple_of(frequency));
        let mut index = 0;
        for (part, _) in &*parts {
            part.visit_trained(&mut WeightVisitor::new(&mut |_, weight: ArrayViewD<'_, T>| {
                Zip::from(self.averages.get_mut(index))
                    .and(&weight)
                    .for_each(|average, &w| *average = momentum * *average + (T::one() - momentum) * w);
                index += 1;
            }));
        }
        if overwrite {
            let mut averages = self.averages.iter();
            for (part, _) in parts {
                assign(*part, &mut averages)?;
            }
        }
        Ok(())
    }

    /// The averages become the weights: Keras's `finalize_variable_values`.
    pub(super) fn finalize(&self, parts: &mut [&mut dyn Parameters<T>]) -> Result<()> {
        if !self.use_ema || self.averages.is_empty() {
            return Ok(());
        }
        self.owners.check(parts.iter().map(|part| &**part as &dyn Parameters<T>))?;
        parts.iter_mut().try_for_each(|part| part.unshare())?;
        let mut averages = self.averages.iter();
        parts.iter_mut().try_for_each(|part| assign(*part, &mut averages))
    }

    /// Checks that the options make sense.
    pub(super) fn check(&self) -> Result<()> {
        // These two pass through f32, whatever the weights' type is.
        numbers::not_negative::<f32>("learning_rate", self.learning_rate)?;
        numbers::not_negative::<f32>("weight_decay", self.weight_decay.unwrap_or(0.0))?;
        numbers::positive::<T>("loss_scale_factor", self.loss_scale_factor.unwrap_or(1.0))?;
        let clips =
            [("clipnorm", self.clipnorm), ("clipvalue", self.clipvalue), ("global_clipnorm", self.global_clipnorm)];
        if clips.iter().filter(|(_, limit)| limit.is_some()).count() > 1 {
            return Err(Error::OptimizerClips);
        }
        for (option, limit) in clips {
            numbers::positive::<T>(option, limit.unwrap_or(1.0))?;
        }
        numbers::fraction("ema_momentum", self.ema_momentum)?;
        let (frequency, steps) = (self.ema_overwrite_frequency, self.gradient_accumulation_steps);
        numbers::at_least("ema_overwrite_frequency", (1, "at least 1"), frequency.unwrap_or(1))?;
        numbers::at_least("gradient_accumulation_steps", (2, "at least 2"), steps.unwrap_or(2))
    }
}

/// The next arrays become a part's weights.
fn assign<'a, T: Float>(part: &mut dyn Parameters<T>, arrays: &mut impl Iterator<Item = &'a ArrayD<T>>) -> Result<()> {
    part.visit_trained_mut(&mut WeightVisitorMut::new(&mut |_, mut weight| {
        if let Some(array) = arrays.next() {
            weight.assign(array);
        }
    }))
}

/// A number that Keras keeps in a variable or casts by way of f32, whatever the weights' type is.
pub(super) fn by_f32<T: Float>(value: f64) -> T {
    T::from_f64(f64::from(value as f32))
}

/// `1 - beta^update`, with a beta by way of f32.
pub(super) fn left_by_f32<T: Float>(beta: f64, update: u64) -> T {
    T::one() - T::from_f64(power(f64::from(beta as f32), update))
}

/// `base^exponent` by squaring, the same on every machine.
pub(super) fn power(mut base: f64, mut exponent: u64) -> f64 {
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

/// The layers that are to change.
fn layers<'p, T: Float>(
    parts: &'p [(&mut dyn Parameters<T>, &Gradients<T>)],
) -> impl Iterator<Item = &'p dyn Parameters<T>> {
    parts.iter().map(|(part, _)| &**part as &dyn Parameters<T>)
}
