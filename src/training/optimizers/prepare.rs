//! Gradients before a rule reads them: scaled, added up over calls, clipped.

use ndarray::{ArrayD, Zip};

use super::rules::{Parts, Rules};
use crate::float::Float;
use crate::gradients::{Gradients, IndexedSlices};
use crate::parameters::Parameters;

/// Where a gradient came row by row ([`IndexedSlices`]): sums of what Keras makes of the rows before it adds them up;
/// the arrays' memory stays.
#[derive(Debug, Clone)]
pub(super) struct OfParts<T> {
    there: bool,
    squares: Option<ArrayD<T>>,
    absolutes: Option<ArrayD<T>>,
}

impl<T> Default for OfParts<T> {
    fn default() -> Self {
        OfParts { there: false, squares: None, absolutes: None }
    }
}

impl<T: Float> OfParts<T> {
    /// The sums of squares, if they are there.
    pub(super) fn squares(&self) -> Option<&ArrayD<T>> {
        self.squares.as_ref().filter(|_| self.there)
    }

    /// The sums of absolute values, if they are there.
    pub(super) fn absolutes(&self) -> Option<&ArrayD<T>> {
        self.absolutes.as_ref().filter(|_| self.there)
    }

    /// Sums up what `each` makes of the parts.
    fn sum(&mut self, slices: &IndexedSlices<T>, like: &ArrayD<T>, with_absolutes: bool, each: impl Fn(T) -> T) {
        let zeros = || ArrayD::zeros(like.raw_dim());
        slices.sum_into(self.squares.get_or_insert_with(zeros), |g| each(g) * each(g));
        if with_absolutes {
            slices.sum_into(self.absolutes.get_or_insert_with(zeros), |g| each(g).abs());
        }
    }

    /// Those of the gradient times a factor of at least 0.
    fn scale(&mut self, factor: T) {
        if let Some(squares) = &mut self.squares {
            squares.mapv_inplace(|square| square * factor * factor);
        }
        if let Some(absolutes) = &mut self.absolutes {
            absolutes.mapv_inplace(|size| size * factor);
        }
    }
}

impl<T: Float> Rules<T> {
    /// Whether the gradients are used as they come.
    pub(super) fn as_they_come(&self) -> bool {
        let clips = [self.clipnorm, self.clipvalue, self.global_clipnorm];
        self.loss_scale_factor.is_none()
            && self.gradient_accumulation_steps.is_none()
            && clips.iter().all(Option::is_none)
    }

    /// Prepares the gradients, unless they are used as they come; false if they only add up for a later call.
    pub(super) fn prepare(&mut self, parts: Parts<'_, '_, T>, with_absolutes: bool) -> bool {
        let scale = self.loss_scale_factor.map_or(T::one(), T::from_f64);
        let limit = self.clipvalue.map(T::from_f64);
        // Not `clamp`: NaN stays.
        let clipped = |g: T| match limit {
            Some(limit) if g > limit => limit,
            Some(limit) if g < -limit => -limit,
            _ => g,
        };
        let adds_up = self.gradient_accumulation_steps.is_some();
        self.of_parts.resize_with(self.owners.weights(), OfParts::default);
        for (of_parts, (gradient, slices)) in self.of_parts.iter_mut().zip(gradients(parts)) {
            of_parts.there = !slices.is_empty() && !adds_up;
            if of_parts.there {
                of_parts.sum(slices, gradient, with_absolutes, |g| clipped(g / scale));
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
            for (g, _) in self.prepared.iter_mut().zip(&self.of_parts).filter(|(_, of_parts)| !of_parts.there) {
                g.mapv_inplace(clipped);
            }
        }
        self.clip_norms();
        true
    }

    fn clip_norms(&mut self) {
        let square_of_norm = |g: &ArrayD<T>, of_parts: &OfParts<T>| match of_parts.squares() {
            Some(squares) => squares.iter().fold(T::zero(), |sum, &square| sum + square),
            None => g.iter().fold(T::zero(), |sum, &g| sum + g * g),
        };
        if let Some(limit) = self.clipnorm.map(T::from_f64) {
            for (g, of_parts) in self.prepared.iter_mut().zip(&mut self.of_parts) {
                let norm = square_of_norm(g, of_parts).sqrt();
                let divisor = if norm > limit || norm.is_nan() { norm } else { limit };
                g.mapv_inplace(|g| g * limit / divisor);
                of_parts.scale(limit / divisor);
            }
        } else if let Some(limit) = self.global_clipnorm.map(T::from_f64) {
            let (one, mut sum) = (T::one(), T::zero());
            for (g, of_parts) in self.prepared.iter().zip(&self.of_parts) {
                sum += square_of_norm(g, of_parts);
            }
            let norm = sum.sqrt();
            // An infinite norm makes everything NaN, as in Keras.
            let scale = limit * (one / norm).min(one / limit) + norm * T::zero();
            for (g, of_parts) in self.prepared.iter_mut().zip(&mut self.of_parts) {
                g.mapv_inplace(|g| g * scale);
                // Here Keras adds them up at last.
                of_parts.there = false;
            }
        }
    }
}

/// All gradients, and what they are sums of.
fn gradients<'p, T: Float>(
    parts: &'p [(&mut dyn Parameters<T>, &Gradients<T>)],
) -> impl Iterator<Item = (&'p ArrayD<T>, &'p IndexedSlices<T>)> {
    parts.iter().flat_map(|(_, gradients)| gradients.weights.iter().zip(&gradients.slices))
}
