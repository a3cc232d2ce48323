//! A user's own initializers: a distribution, or a function of the shape.

use std::fmt;
use std::sync::Arc;

use ndarray::ArrayD;
use rand::distr::Distribution;

use super::Initializer;
use crate::error::{Error, Result};
use crate::float::Float;
use crate::random::KerasRng;

/// What [`Initializer::from_distribution`] and [`Initializer::from_fn`] make. Equal to its clones only.
#[derive(Clone)]
pub struct CustomInitializer(Rule);

type Sample = dyn Fn(&mut KerasRng) -> f64 + Send + Sync;
type Function = dyn Fn(&[usize]) -> ArrayD<f64> + Send + Sync;

#[derive(Clone)]
enum Rule {
    Distribution { sample: Arc<Sample>, seed: Option<i64> },
    Function(Arc<Function>),
}

impl Initializer {
    /// Independent values of a distribution: one of rand_distr's, or a user's own, for `f64`.
    ///
    /// They are drawn in row-major order from [`KerasRng::new(seed, 0)`](KerasRng::new) and rounded to the element
    /// type. A missing seed comes from where that of the built-in ones comes from.
    ///
    /// ```
    /// use rand_distr::Cauchy;
    /// use recurrent::Initializer;
    ///
    /// let heavy_tails = Initializer::from_distribution(Cauchy::new(0.0, 0.05)?, Some(7));
    /// let kernel = heavy_tails.initialize::<f32>(&[3, 4])?;
    /// assert_eq!(kernel, heavy_tails.initialize::<f32>(&[3, 4])?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn from_distribution(distribution: impl Distribution<f64> + Send + Sync + 'static, seed: Option<i64>) -> Self {
        let sample = Arc::new(move |rng: &mut KerasRng| distribution.sample(rng));
        Initializer::Custom(CustomInitializer(Rule::Distribution { sample, seed }))
    }

    /// A function of the shape, as a Keras initializer can be any callable. It takes no seed.
    ///
    /// ```
    /// use ndarray::ArrayD;
    /// use recurrent::Initializer;
    ///
    /// // Each unit starts with a time constant of its own.
    /// let decay = Initializer::from_fn(|shape| {
    ///     ArrayD::from_shape_fn(shape, |at| if at[0] == at[1] { 1.0 - 0.5f64.powi(at[0] as i32 + 1) } else { 0.0 })
    /// });
    /// assert_eq!(decay.initialize::<f32>(&[4, 4])?[[2, 2]], 0.875);
    /// # Ok::<(), recurrent::Error>(())
    /// ```
    pub fn from_fn(function: impl Fn(&[usize]) -> ArrayD<f64> + Send + Sync + 'static) -> Self {
        Initializer::Custom(CustomInitializer(Rule::Function(Arc::new(function))))
    }
}

impl CustomInitializer {
    /// Fills a tensor of this shape, in row-major order.
    pub(super) fn fill<T: Float>(&self, shape: &[usize], out: &mut [T]) -> Result<()> {
        match &self.0 {
            Rule::Distribution { sample, seed } => {
                let mut rng = KerasRng::new(super::fill::or_random(*seed)?, 0);
                out.iter_mut().for_each(|out| *out = T::from_f64(sample(&mut rng)));
            }
            Rule::Function(function) => {
                let values = function(shape);
                if values.shape() != shape {
                    let (expected, given) = (shape.to_vec(), values.shape().to_vec());
                    return Err(Error::CustomInitializerShape { expected, given });
                }
                out.iter_mut().zip(&values).for_each(|(out, value)| *out = T::from_f64(*value));
            }
        }
        Ok(())
    }

    pub(super) fn random_seed(&self) -> Option<Option<i64>> {
        match self.0 {
            Rule::Distribution { seed, .. } => Some(seed),
            Rule::Function(_) => None,
        }
    }

    pub(super) fn seed_mut(&mut self) -> Option<&mut Option<i64>> {
        match &mut self.0 {
            Rule::Distribution { seed, .. } => Some(seed),
            Rule::Function(_) => None,
        }
    }
}

impl PartialEq for CustomInitializer {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Rule::Distribution { sample: a, seed: m }, Rule::Distribution { sample: b, seed: n }) => {
                Arc::ptr_eq(a, b) && m == n
            }
            (Rule::Function(a), Rule::Function(b)) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }
}

/// As Keras's config would read: `Custom(seed=7)`, or `Custom()` for a function.
impl fmt::Display for CustomInitializer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Rule::Distribution { seed: Some(seed), .. } => write!(f, "Custom(seed={seed})"),
            Rule::Distribution { seed: None, .. } => f.write_str("Custom(seed=None)"),
            Rule::Function(_) => f.write_str("Custom()"),
        }
    }
}

impl fmt::Debug for CustomInitializer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
