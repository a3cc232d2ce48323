//! The names of the initializers, as Keras reads and prints them.

use std::fmt;
use std::str::FromStr;

use super::Initializer;
use crate::error::{Error, Result};

type Named = (&'static [&'static str], fn() -> Initializer);

/// All names that `keras.initializers.get` accepts, exactly so written, with what they stand for. Of each line the
/// first is the class name, the second the one in snake case.
const NAMES: [Named; 15] = [
    (&["Zeros", "zeros", "zero"], || Initializer::Zeros),
    (&["Ones", "ones", "one"], || Initializer::Ones),
    (&["Constant", "constant"], || Initializer::Constant { value: 0.0 }),
    (&["Identity", "identity", "IdentityInitializer"], Initializer::identity),
    (&["RandomNormal", "random_normal", "normal"], Initializer::random_normal),
    (&["RandomUniform", "random_uniform", "uniform"], Initializer::random_uniform),
    (&["TruncatedNormal", "truncated_normal"], Initializer::truncated_normal),
    (&["VarianceScaling", "variance_scaling"], Initializer::variance_scaling),
    (&["GlorotNormal", "glorot_normal"], || Initializer::GlorotNormal { seed: None }),
    (&["GlorotUniform", "glorot_uniform"], || Initializer::GlorotUniform { seed: None }),
    (&["HeNormal", "he_normal"], || Initializer::HeNormal { seed: None }),
    (&["HeUniform", "he_uniform"], || Initializer::HeUniform { seed: None }),
    (&["LecunNormal", "lecun_normal"], || Initializer::LecunNormal { seed: None }),
    (&["LecunUniform", "lecun_uniform"], || Initializer::LecunUniform { seed: None }),
    (&["Orthogonal", "orthogonal", "OrthogonalInitializer"], Initializer::orthogonal),
];

impl Initializer {
    /// Keras's class name, such as `"GlorotUniform"`; `"Custom"` for a user's own.
    pub fn name(&self) -> &'static str {
        match self {
            Initializer::Zeros => "Zeros",
            Initializer::Ones => "Ones",
            Initializer::Constant { .. } => "Constant",
            Initializer::Identity { .. } => "Identity",
            Initializer::RandomNormal { .. } => "RandomNormal",
            Initializer::RandomUniform { .. } => "RandomUniform",
            Initializer::TruncatedNormal { .. } => "TruncatedNormal",
            Initializer::VarianceScaling { .. } => "VarianceScaling",
            Initializer::GlorotNormal { .. } => "GlorotNormal",
            Initializer::GlorotUniform { .. } => "GlorotUniform",
            Initializer::HeNormal { .. } => "HeNormal",
            Initializer::HeUniform { .. } => "HeUniform",
            Initializer::LecunNormal { .. } => "LecunNormal",
            Initializer::LecunUniform { .. } => "LecunUniform",
            Initializer::Orthogonal { .. } => "Orthogonal",
            Initializer::Custom(_) => "Custom",
        }
    }
}

/// Keras's names, in exactly these letters: the class name (`GlorotNormal`), snake case (`glorot_normal`), and `zero`,
/// `one`, `normal`, `uniform`, `IdentityInitializer`, `OrthogonalInitializer`. The parameters are Keras's defaults.
///
/// Keras itself fails on `constant`, whose value it then misses; here it has the default value of the class, 0.
impl FromStr for Initializer {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        NAMES.iter().find(|(names, _)| names.contains(&name)).map(|(_, make)| make()).ok_or_else(|| {
            let known: Vec<_> = NAMES.iter().flat_map(|(names, _)| names.iter().copied()).collect();
            Error::UnknownInitializer { name: name.to_owned(), known: known.join(", ") }
        })
    }
}

/// As Keras's config would read: `RandomNormal(mean=0.0, stddev=0.05, seed=None)`.
impl fmt::Display for Initializer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name();
        match self {
            Initializer::Custom(custom) => return custom.fmt(f),
            Initializer::Zeros | Initializer::Ones => return write!(f, "{name}()"),
            Initializer::Constant { value } => return write!(f, "{name}(value={value:?})"),
            Initializer::Identity { gain } => return write!(f, "{name}(gain={gain:?})"),
            Initializer::RandomNormal { mean, stddev, .. } | Initializer::TruncatedNormal { mean, stddev, .. } => {
                write!(f, "{name}(mean={mean:?}, stddev={stddev:?}, ")?;
            }
            Initializer::RandomUniform { minval, maxval, .. } => {
                write!(f, "{name}(minval={minval:?}, maxval={maxval:?}, ")?;
            }
            Initializer::VarianceScaling { scale, mode, distribution, input_axes, output_axes, .. } => {
                write!(f, "{name}(scale={scale:?}, mode='{mode}', distribution='{distribution}', ")?;
                for (name, axes) in [("input_axes", input_axes), ("output_axes", output_axes)] {
                    axes.iter().try_for_each(|axes| write!(f, "{name}={axes:?}, "))?;
                }
            }
            Initializer::Orthogonal { gain, .. } => write!(f, "{name}(gain={gain:?}, ")?,
            Initializer::GlorotNormal { .. }
            | Initializer::GlorotUniform { .. }
            | Initializer::HeNormal { .. }
            | Initializer::HeUniform { .. }
            | Initializer::LecunNormal { .. }
            | Initializer::LecunUniform { .. } => write!(f, "{name}(")?,
        }
        match self.seed() {
            Some(seed) => write!(f, "seed={seed})"),
            None => f.write_str("seed=None)"),
        }
    }
}
