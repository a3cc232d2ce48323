//! How weights get their first values: every initializer of Keras, with its numbers for a seed.
//!
//! This file has the enum and its call; [`fill`] what each of them does, [`names`] the names as Keras reads and prints them, [`variance_scaling`] and
//! [`orthogonal`] the two families with rules of their own, [`custom`] what a user brings.

mod custom;
mod described;
mod fill;
mod names;
mod orthogonal;
mod variance_scaling;

use ndarray::ArrayD;

pub use custom::CustomInitializer;
pub use variance_scaling::{FanMode, ScalingDistribution};

use crate::error::{Error, Result};
use crate::float::Float;
use crate::random::SeedSource;

/// The rule by which a weight gets its first values, as in `keras.initializers`.
///
/// With a seed the values are those of Keras 3 with the TensorFlow backend: in f32 uniform, normal and truncated normal
/// ones bit for bit; in f64 uniform ones bit for bit, normal ones but for the last place (before they are scaled 99.8 %
/// are the same, the others 1 or 2 units off, one in ten million 3: TensorFlow calls the C library, whose logarithm and
/// sine aren't correctly rounded); orthogonal ones within the rounding of TensorFlow's QR (in f32 about 2e-7, square
/// ones 1e-6; in f64 1e-15). Numbers too small to be normal are kept, where TensorFlow takes them for 0. A seed stands
/// for the pair `(seed, 0)` of [`KerasRng`](crate::KerasRng), and any `i64` will do, as in Keras. As there, a seed
/// gives the same values in every call, and a smaller tensor is, before scaling, a prefix of a larger one.
///
/// Without a seed (`seed: None`) each call of [`initialize`](Initializer::initialize) draws one from the operating
/// system; a layer's builder takes it from a [`SeedSource`] if it was given one. (In Keras the seed is drawn when the
/// initializer is made, so that an unseeded one repeats its values too.)
///
/// Parameters are those of Keras, under its names; `seed` comes last. They are `f64` and rounded to the element type as
/// Keras rounds them. Only `VarianceScaling` has `input_axes` and `output_axes`: a Glorot, He or Lecun initializer with
/// axes is written as the `VarianceScaling` that it is.
///
/// ```
/// use recurrent::Initializer;
///
/// let kernel = Initializer::GlorotNormal { seed: Some(0) }.initialize::<f32>(&[3, 4])?;
/// assert_eq!(kernel[[0, 0]], -1.0312374);                       // keras.initializers.GlorotNormal(seed=0)((3, 4))
///
/// let orthogonal: Initializer = "orthogonal".parse()?;          // Keras's names, with Keras's defaults
/// assert_eq!(orthogonal, Initializer::Orthogonal { gain: 1.0, seed: None });
/// assert_eq!(orthogonal.to_string(), "Orthogonal(gain=1.0, seed=None)");
/// # Ok::<(), recurrent::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Initializer {
    /// All 0.
    Zeros,
    /// All 1.
    Ones,
    /// All the same. In f64, too, it is the nearest f32: Keras passes the value through that type.
    Constant {
        /// The value; Keras's default is 0.
        value: f64,
    },
    /// `gain` on the diagonal, 0 elsewhere; rank 2 only, square or not.
    Identity {
        /// The factor; Keras's default is 1.
        gain: f64,
    },
    /// A normal distribution.
    RandomNormal {
        /// The mean; Keras's default is 0.
        mean: f64,
        /// The standard deviation; Keras's default is 0.05.
        stddev: f64,
        /// The seed, or none.
        seed: Option<i64>,
    },
    /// A uniform distribution on [minval, maxval).
    RandomUniform {
        /// The lower bound; Keras's default is -0.05.
        minval: f64,
        /// The upper bound; Keras's default is 0.05.
        maxval: f64,
        /// The seed, or none.
        seed: Option<i64>,
    },
    /// A normal distribution whose values at 2 `stddev` or more from the mean are drawn again.
    TruncatedNormal {
        /// The mean; Keras's default is 0.
        mean: f64,
        /// The standard deviation before the truncation; Keras's default is 0.05.
        stddev: f64,
        /// The seed, or none.
        seed: Option<i64>,
    },
    /// A distribution of variance `scale` / n, where n is one of the tensor's fans. The next six are cases of it.
    ///
    /// Fans of a shape: of rank 2 its rows (`fan_in`) and columns (`fan_out`); of a higher rank the last two sizes,
    /// each times the product of the sizes before them; of rank 1 its size, twice; of rank 0 both 1. So the kernel of
    /// an LSTM has `fan_out` = 4 units. n is at least 1.
    VarianceScaling {
        /// The variance's numerator, above 0; Keras's default is 1.
        scale: f64,
        /// The denominator; Keras's default is `FanIn`.
        mode: FanMode,
        /// The distribution; Keras's default is `TruncatedNormal`.
        distribution: ScalingDistribution,
        /// The axes whose product is `fan_in`; negative ones count from the end. Keras's default is none. As in Keras,
        /// they count only if both are given.
        input_axes: Option<Vec<isize>>,
        /// The axes whose product is `fan_out`.
        output_axes: Option<Vec<isize>>,
        /// The seed, or none.
        seed: Option<i64>,
    },
    /// `VarianceScaling` with scale 1, `FanAvg`, `TruncatedNormal`: Glorot and Bengio, 2010.
    GlorotNormal {
        /// The seed, or none.
        seed: Option<i64>,
    },
    /// `VarianceScaling` with scale 1, `FanAvg`, `Uniform`: the default of Keras's kernels.
    GlorotUniform {
        /// The seed, or none.
        seed: Option<i64>,
    },
    /// `VarianceScaling` with scale 2, `FanIn`, `TruncatedNormal`: He et al., 2015.
    HeNormal {
        /// The seed, or none.
        seed: Option<i64>,
    },
    /// `VarianceScaling` with scale 2, `FanIn`, `Uniform`.
    HeUniform {
        /// The seed, or none.
        seed: Option<i64>,
    },
    /// `VarianceScaling` with scale 1, `FanIn`, `TruncatedNormal`: Klambauer et al., 2017.
    LecunNormal {
        /// The seed, or none.
        seed: Option<i64>,
    },
    /// `VarianceScaling` with scale 1, `FanIn`, `Uniform`.
    LecunUniform {
        /// The seed, or none.
        seed: Option<i64>,
    },
    /// An orthogonal matrix, times `gain`: the default of Keras's recurrent kernels (Saxe et al., 2014).
    ///
    /// All sizes but the last are taken together as rows. With more rows than columns the columns are orthonormal, else
    /// the rows: those of an LSTM's (units, 4 units) kernel are, its four gates by themselves are not.
    Orthogonal {
        /// The factor; Keras's default is 1.
        gain: f64,
        /// The seed, or none.
        seed: Option<i64>,
    },
    /// A user's own: see [`from_distribution`](Initializer::from_distribution) and [`from_fn`](Initializer::from_fn).
    Custom(CustomInitializer),
}

/// Keras's defaults, under Keras's function names.
impl Initializer {
    /// `Identity { gain: 1.0 }`
    pub fn identity() -> Self {
        Initializer::Identity { gain: 1.0 }
    }

    /// `RandomNormal { mean: 0.0, stddev: 0.05, seed: None }`
    pub fn random_normal() -> Self {
        Initializer::RandomNormal { mean: 0.0, stddev: 0.05, seed: None }
    }

    /// `RandomUniform { minval: -0.05, maxval: 0.05, seed: None }`
    pub fn random_uniform() -> Self {
        Initializer::RandomUniform { minval: -0.05, maxval: 0.05, seed: None }
    }

    /// `TruncatedNormal { mean: 0.0, stddev: 0.05, seed: None }`
    pub fn truncated_normal() -> Self {
        Initializer::TruncatedNormal { mean: 0.0, stddev: 0.05, seed: None }
    }

    /// `VarianceScaling` with scale 1, `FanIn`, `TruncatedNormal` and no seed.
    pub fn variance_scaling() -> Self {
        Initializer::VarianceScaling {
            scale: 1.0,
            mode: FanMode::FanIn,
            distribution: ScalingDistribution::TruncatedNormal,
            input_axes: None,
            output_axes: None,
            seed: None,
        }
    }

    /// `Orthogonal { gain: 1.0, seed: None }`
    pub fn orthogonal() -> Self {
        Initializer::Orthogonal { gain: 1.0, seed: None }
    }
}

impl Initializer {
    /// A tensor of this shape with its first values.
    ///
    /// Any shape will do, of rank 0 and with sizes of 0 too, except where the initializer says otherwise.
    ///
    /// # Errors
    /// - [`Error::InitializerRank`]: `Identity` off rank 2, `Orthogonal` below rank 2.
    /// - [`Error::InitializerParameter`]: a parameter that isn't finite or not in the range of the type that Keras
    ///   rounds it to, a negative `stddev`, a `scale` that isn't above 0. `Constant` also takes NaN and infinities.
    /// - [`Error::InitializerAxis`]: an axis of `input_axes` or `output_axes` that the shape doesn't have.
    /// - [`Error::TensorTooLarge`]: more elements than memory has room for.
    /// - [`Error::NoRandomness`]: no seed, and the operating system gave none.
    /// - [`Error::CustomInitializerShape`]: a user's function made another shape.
    ///
    /// ```
    /// use ndarray::array;
    /// use recurrent::Initializer;
    ///
    /// let eye = Initializer::Identity { gain: 2.0 }.initialize::<f64>(&[2, 3])?;
    /// assert_eq!(eye, array![[2.0, 0.0, 0.0], [0.0, 2.0, 0.0]].into_dyn());
    /// # Ok::<(), recurrent::Error>(())
    /// ```
    pub fn initialize<T: Float>(&self, shape: &[usize]) -> Result<ArrayD<T>> {
        let mut values = zeros(shape)?;
        self.fill(shape, &mut values)?;
        ArrayD::from_shape_vec(shape, values).map_err(|_| too_large(shape))
    }

    /// The seed, if there is one.
    pub fn seed(&self) -> Option<i64> {
        self.random_seed().flatten()
    }

    /// Whether it is random and has no seed: whether Keras would draw one when it makes this initializer.
    pub fn needs_seed(&self) -> bool {
        self.random_seed() == Some(None)
    }

    /// The same with this seed; one that isn't random stays as it is.
    ///
    /// ```
    /// use recurrent::Initializer;
    ///
    /// let seeded = Initializer::orthogonal().with_seed(7);
    /// assert_eq!(seeded, Initializer::Orthogonal { gain: 1.0, seed: Some(7) });
    /// assert!(Initializer::orthogonal().needs_seed() && !seeded.needs_seed());
    /// assert_eq!(Initializer::Zeros.with_seed(7), Initializer::Zeros);
    /// ```
    #[must_use]
    pub fn with_seed(mut self, seed: i64) -> Self {
        if let Some(own) = self.seed_mut() {
            *own = Some(seed);
        }
        self
    }

    /// The same with a seed, if it needs one: the next of `seeds`, as Keras does when it makes an initializer.
    ///
    /// ```
    /// use recurrent::{Initializer, SeedSource};
    ///
    /// let mut seeds = SeedSource::keras(5);
    /// let kernel = Initializer::GlorotUniform { seed: None }.seeded_from(&mut seeds);
    /// assert_eq!(kernel.seed(), Some(668835602));
    /// let bias = Initializer::Zeros.seeded_from(&mut seeds);        // takes none
    /// let recurrent = Initializer::orthogonal().seeded_from(&mut seeds);
    /// assert_eq!(recurrent.seed(), Some(274281999));
    /// ```
    #[must_use]
    pub fn seeded_from(self, seeds: &mut SeedSource) -> Self {
        if self.needs_seed() { self.with_seed(seeds.next_seed()) } else { self }
    }

    /// The `seed` parameter, of one that is random.
    fn random_seed(&self) -> Option<Option<i64>> {
        use Initializer::*;
        match *self {
            Zeros | Ones | Constant { .. } | Identity { .. } => None,
            RandomNormal { seed, .. } | RandomUniform { seed, .. } | TruncatedNormal { seed, .. } => Some(seed),
            VarianceScaling { seed, .. } | Orthogonal { seed, .. } => Some(seed),
            GlorotNormal { seed } | GlorotUniform { seed } => Some(seed),
            HeNormal { seed } | HeUniform { seed } | LecunNormal { seed } | LecunUniform { seed } => Some(seed),
            Custom(ref custom) => custom.random_seed(),
        }
    }

    /// The same, to change.
    fn seed_mut(&mut self) -> Option<&mut Option<i64>> {
        use Initializer::*;
        match self {
            Zeros | Ones | Constant { .. } | Identity { .. } => None,
            RandomNormal { seed, .. } | RandomUniform { seed, .. } | TruncatedNormal { seed, .. } => Some(seed),
            VarianceScaling { seed, .. } | Orthogonal { seed, .. } => Some(seed),
            GlorotNormal { seed } | GlorotUniform { seed } => Some(seed),
            HeNormal { seed } | HeUniform { seed } | LecunNormal { seed } | LecunUniform { seed } => Some(seed),
            Custom(custom) => custom.seed_mut(),
        }
    }
}

/// Zeros for a tensor of this shape.
///
/// The product of the sizes must be countable even if one of them is 0, as ndarray demands and as fans need.
fn zeros<T: Float>(shape: &[usize]) -> Result<Vec<T>> {
    let nonzero = shape.iter().filter(|&&size| size > 0);
    let product = nonzero.copied().try_fold(size_of::<T>(), usize::checked_mul);
    if product.is_none_or(|bytes| isize::try_from(bytes).is_err()) {
        return Err(too_large(shape));
    }
    zeroed(shape.iter().product()).ok_or_else(|| too_large(shape))
}

/// So many zeros, or none if there is no memory for them.
fn zeroed<T: Float>(len: usize) -> Option<Vec<T>> {
    let mut values = Vec::new();
    values.try_reserve_exact(len).ok()?;
    values.resize(len, T::zero());
    Some(values)
}

fn too_large(shape: &[usize]) -> Error {
    Error::TensorTooLarge { shape: shape.to_vec() }
}
