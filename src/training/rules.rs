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
use crate::error::{Error, Result};
use crate::float::Float;
use crate::gradients::{Gradients, IndexedSlices};
use crate::parameters::Parameters;
use crate::weights::{WeightVisitor, WeightVisitorMut};

/// What an optimizer does with one weight, and what it remembers for that.
pub(super) trait Rule<T: Float> {
    /// The options that are out of range.
    fn check(&self) -> Result<()>;

    /// Makes what is to be remembered of each weight, zeros, if it isn't there yet.
    fn remember(&mut self, owners: &Owners);

    /// Before the weights of update number `update`, from 1, are gone through.
    fn begin(&mut self, update: u64, learning_rate: T);

    /// Changes weight number `index` by its gradient.
    fn change(&mut self, index: usize, weight: &mut ArrayViewMutD<'_, T>, gradient: Gradient<'_, T>);
}

/// The gradient of one weight as a rule reads it.
pub(super) struct Gradient<'a, T> {
    pub(super) values: &'a ArrayD<T>,
    /// The sums of squares, where the gradient is a sum of which Keras squares the parts.
    pub(super) squares: Option<&'a ArrayD<T>>,
}

/// The sums of squares of one weight's gradient, if they are there; their memory stays.
#[derive(Debug, Clone)]
struct Squares<T> {
    there: bool,
    sums: Option<ArrayD<T>>,
}

impl<T> Squares<T> {
    fn get(&self) -> Option<&ArrayD<T>> {
        self.sums.as_ref().filter(|_| self.there)
    }
}

impl<T> Default for Squares<T> {
    fn default() -> Self {
        Squares { there: false, sums: None }
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
    prepared: Slots<T>,
    /// Their [`Gradient::squares`].
    squares: Vec<Squares<T>>,
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
            squares: Vec::new(),
            accumulated: Slots::new(),
            averages: Slots::new(),
        }
    }

    /// Updates so far.
    pub(super) fn iterations(&self) -> u64 {
        // Whether there are so many is checked at a step.
        self.calls / self.gradient_accumulation_steps.unwrap_or(1).max(1)
    }

    /// One call of an optimizer with this rule of its own.
    pub(super) fn step(&mut self, rule: &mut impl Rule<T>, parts: Parts<'_, '_, T>) -> Result<()> {
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
        if self.prepare(parts) {
            self.update(rule, parts)?;
        }
        self.average(parts)?;
        self.calls += 1;
        Ok(())
    }

    /// Whether the gradients are used as they come.
    fn as_they_come(&self) -> bool {
        let clips = [self.clipnorm, self.clipvalue, self.global_clipnorm];
        self.loss_scale_factor.is_none()
            && self.gradient_accumulation_steps.is_none()
            && clips.iter().all(Option::is_none)
    }

    /// Prepares the gradients, unless they are used as they come; false if they only add up for a later call.
    fn prepare(&mut self, parts: Parts<'_, '_, T>) -> bool {
        let scale = self.loss_scale_factor.map_or(T::one(), T::from_f64);
        let limit = self.clipvalue.map(T::from_f64);
        // Not `clamp`: NaN stays.
        let clipped = |g: T| match limit {
            Some(limit) if g > limit => limit,
            Some(limit) if g < -limit => -limit,
            _ => g,
        };
        let adds_up = self.gradient_accumulation_steps.is_some();
        self.squares.resize_with(self.owners.weights(), Squares::default);
        for (squares, (gradient, slices)) in self.squares.iter_mut().zip(gradients(parts)) {
            squares.there = !slices.is_empty() && !adds_up;
            if squares.there {
                let sums = squares.sums.get_or_insert_with(|| ArrayD::zeros(gradient.raw_dim()));
                slices.sum_into(sums, |g| clipped(g / scale) * clipped(g / scale));
            }
        }
        if self.as_they_come() {
            return true;
        }
        self.prepared.make(&self.owners);
        for (prepared, (gradient, slices)) in self.prepared.iter_mut().zip(gradients(parts)) {
            if slices.is_empty() || limit.is_none() || adds_up {
                Zip::from(prepared).and(gradient).for_each(|prepared, &g| *prepared = g / scale);
            } else {
                slices.sum_into(prepared, |g| clipped(g / scale));
            }
        }
        if let Some(count) = self.gradient_accumulation_steps {
            self.accumulated.make(&self.owners);
            let last = (self.calls + 1).is_multiple_of(count);
            let steps = T::from_f64(count as f64);
            for (g, sum) in self.prepared.iter_mut().zip(self.accumulated.iter_mut()) {
                Zip::from(g).and(sum).for_each(|g, sum| {
                    *sum += *g;
                    if last {
                        (*g, *sum) = (*sum / steps, T::zero());
                    }
                });
            }
            if !last {
                return false;
            }
        }
        if limit.is_some() {
            for (g, _) in self.prepared.iter_mut().zip(&self.squares).filter(|(_, squares)| !squares.there) {
                g.mapv_inplace(clipped);
            }
        }
        self.clip_norms();
        true
    }

    fn clip_norms(&mut self) {
        let square_of_norm = |g: &ArrayD<T>, squares: &Squares<T>| match squares.get() {
            Some(squares) => squares.iter().fold(T::zero(), |sum, &square| sum + square),
            None => g.iter().fold(T::zero(), |sum, &g| sum + g * g),
        };
        if let Some(limit) = self.clipnorm.map(T::from_f64) {
            for (g, squares) in self.prepared.iter_mut().zip(&mut self.squares) {
                let norm = square_of_norm(g, squares).sqrt();
                let divisor = if norm > limit || norm.is_nan() { norm } else { limit };
                g.mapv_inplace(|g| g * limit / divisor);
                if let Some(sums) = &mut squares.sums {
                    sums.mapv_inplace(|square| square * (limit / divisor) * (limit / divisor));
                }
            }
        } else if let Some(limit) = self.global_clipnorm.map(T::from_f64) {
            let (one, mut sum) = (T::one(), T::zero());
            for (g, squares) in self.prepared.iter().zip(&self.squares) {
                sum += square_of_norm(g, squares);
            }
            let norm = sum.sqrt();
            // An infinite norm makes everything NaN, as in Keras.
            let scale = limit * (one / norm).min(one / limit) + norm * T::zero();
            for (g, squares) in self.prepared.iter_mut().zip(&mut self.squares) {
                g.mapv_inplace(|g| g * scale);
                // Here Keras adds them up at last.
                squares.there = false;
            }
        }
    }

    fn update(&mut self, rule: &mut impl Rule<T>, parts: Parts<'_, '_, T>) -> Result<()> {
        rule.remember(&self.owners);
        let rate = by_f32::<T>(self.learning_rate);
        rule.begin(self.iterations() + 1, rate);
        let (prepared, squares, as_they_come) = (&self.prepared, &self.squares, self.as_they_come());
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
                rule.change(index, &mut weight, Gradient { values, squares: squares[index].get() });
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

/// The layers that are to change.
fn layers<'p, T: Float>(
    parts: &'p [(&mut dyn Parameters<T>, &Gradients<T>)],
) -> impl Iterator<Item = &'p dyn Parameters<T>> {
    parts.iter().map(|(part, _)| &**part as &dyn Parameters<T>)
}

/// All gradients, and what they are sums of.
fn gradients<'p, T: Float>(
    parts: &'p [(&mut dyn Parameters<T>, &Gradients<T>)],
) -> impl Iterator<Item = (&'p ArrayD<T>, &'p IndexedSlices<T>)> {
    parts.iter().flat_map(|(_, gradients)| gradients.weights.iter().zip(&gradients.slices))
}
