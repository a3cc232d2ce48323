//! Gradients that are watched: how large they are, and whether they are numbers.

use std::fmt;

use ndarray::ArrayViewD;

use super::Gradients;
use crate::error::{Error, Result};
use crate::float::Float;

/// The Euclidean norm of each weight's gradient, in the weights' order; [`Display`](fmt::Display) writes a table.
///
/// ```
/// use recurrent::{Gradients, Gru};
///
/// let gru = Gru::<f32>::new(3, 4);
/// println!("{}", Gradients::new(&gru).norms());
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct GradientNorms {
    norms: Vec<(String, f64)>,
}

impl GradientNorms {
    /// Each weight's path with the norm of its gradient.
    pub fn iter(&self) -> impl Iterator<Item = (&str, f64)> {
        self.norms.iter().map(|(name, norm)| (&name[..], *norm))
    }

    /// The norm of one weight's gradient.
    ///
    /// # Errors
    /// [`Error::UnknownName`] lists the names there are.
    pub fn get(&self, name: &str) -> Result<f64> {
        let found = self.norms.iter().find(|(own, _)| own == name);
        let unknown = || Error::unknown_name("gradient", name, self.norms.iter().map(|(name, _)| name.clone()));
        found.map(|(_, norm)| *norm).ok_or_else(unknown)
    }

    /// The norm of all of them together: what `global_clipnorm` limits.
    pub fn total(&self) -> f64 {
        norm(self.norms.iter().map(|(_, norm)| *norm))
    }

    /// The weight of the largest gradient and its norm; NaN counts as the largest. `None` without weights.
    pub fn largest(&self) -> Option<(&str, f64)> {
        let order = |norm: f64| if norm.is_nan() { f64::INFINITY } else { norm };
        self.iter().max_by(|(_, a), (_, b)| order(*a).total_cmp(&order(*b)))
    }
}

impl fmt::Display for GradientNorms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = [("all", self.total())];
        let width = self.iter().chain(all).map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        for (name, norm) in self.iter() {
            writeln!(f, "{name:width$}  {norm:.3e}")?;
        }
        write!(f, "{:width$}  {:.3e}", all[0].0, all[0].1)
    }
}

impl<T: Float> Gradients<T> {
    /// How large each weight's gradient is.
    ///
    /// ```
    /// use ndarray::prelude::*;
    /// use recurrent::{Gradients, SimpleRnn};
    /// let mut gradients = Gradients::new(&SimpleRnn::<f32>::new(3, 2));
    /// gradients.get_mut("bias")?.assign(&array![3.0, -4.0]);
    /// let norms = gradients.norms();
    /// assert_eq!((norms.get("bias")?, norms.total(), norms.largest()), (5.0, 5.0, Some(("bias", 5.0))));
    /// println!("{norms}");
    /// # Ok::<(), recurrent::Error>(())
    /// ```
    pub fn norms(&self) -> GradientNorms {
        let norms = self.iter().map(|(name, gradient)| (name.into(), norm_of(&gradient)));
        GradientNorms { norms: norms.collect() }
    }

    /// Checks that no element of a weight's gradient is NaN or infinite. An update by one makes the weights so, and
    /// every result after it.
    ///
    /// # Errors
    /// [`Error::GradientNotFinite`] names the first such weight.
    pub fn check_finite(&self) -> Result<()> {
        for (name, gradient) in self.iter() {
            check(name, &gradient)?;
        }
        Ok(())
    }
}

/// Checks that all elements are finite.
pub(crate) fn check<T: Float>(name: &str, gradient: &ArrayViewD<'_, T>) -> Result<()> {
    match gradient.iter().find(|g| !g.is_finite()) {
        Some(g) => Err(Error::GradientNotFinite { name: name.into(), given: g.into_f64() }),
        None => Ok(()),
    }
}

/// The norm of an array.
pub(crate) fn norm_of<T: Float>(gradient: &ArrayViewD<'_, T>) -> f64 {
    norm(gradient.iter().map(|g| g.into_f64()))
}

/// The norm of numbers, whose squares needn't be numbers: they are taken of parts of the largest one.
pub(crate) fn norm(numbers: impl Iterator<Item = f64> + Clone) -> f64 {
    let largest =
        numbers.clone().fold(
            0.0,
            |largest: f64, number| {
                if number.abs() > largest || number.is_nan() { number.abs() } else { largest }
            },
        );
    if largest == 0.0 || !largest.is_finite() {
        return if numbers.into_iter().any(f64::is_nan) { f64::NAN } else { largest };
    }
    let sum = numbers.fold(0.0, |sum, number| (number / largest).mul_add(number / largest, sum));
    largest * sum.sqrt()
}
