//! Where the seeds of layers come from when the caller gives none.

use std::fmt;

use rand::TryRng;
use rand::rngs::SysRng;

use super::mersenne::MersenneTwister;
use crate::error::{Error, Result};

/// Keras draws a missing seed as `random.randint(1, 10**9)`.
const SEEDS: u32 = 1_000_000_000;

/// A sequence of seeds: what `keras.utils.set_random_seed(s)` makes the layers of a Keras script draw.
///
/// In Keras an initializer or a dropout generator whose `seed` is `None` takes the next number of Python's global
/// random generator when it is made. A `SeedSource` is that generator as a value: handed to the builder of each layer,
/// in the order in which the Keras script makes its layers, it gives the seeds, and so the weights and dropout masks,
/// of the script.
///
/// ```
/// use recurrent::SeedSource;
///
/// let mut seeds = SeedSource::keras(5);                 // keras.utils.set_random_seed(5)
/// assert_eq!([seeds.next_seed(), seeds.next_seed(), seeds.next_seed()], [668835602, 274281999, 796487719]);
/// ```
///
/// # What takes a seed, and in which order
///
/// Each line takes a seed only where the caller gave none; `Zeros`, `Ones`, `Constant` and `Identity` take none.
///
/// | layer | takes |
/// |---|---|
/// | LSTM, GRU | kernel, recurrent kernel, bias (if it is random), dropout generator |
/// | SimpleRNN | **dropout generator**, kernel, recurrent kernel, bias (if it is random) |
/// | Bidirectional | the layer passed to it takes its seeds, unused; then those of the forward, then of the backward copy |
/// | Bidirectional with its own backward layer | passed forward layer (unused), given backward layer, forward copy |
/// | stacked cells | cell by cell |
/// | Dense, Conv1D, Embedding, TimeDistributed(Dense) | kernel, bias (if it is random) |
/// | Dropout, SpatialDropout1D, GaussianNoise | one if the rate is above 0 |
/// | Masking, LayerNormalization, BatchNormalization | none |
///
/// The dropout generator of a recurrent layer takes a seed **even if its rates are 0**. Building, compiling and fitting
/// a model take none; the script's first call of `keras.random.*` without a seed takes one. For what a script makes
/// and this crate doesn't, call [`next_seed`](SeedSource::next_seed) that many times.
#[derive(Clone, PartialEq, Eq)]
pub struct SeedSource(MersenneTwister);

impl SeedSource {
    /// The seeds that follow `keras.utils.set_random_seed(seed)`. Keras allows 0 to 2³² - 1.
    pub fn keras(seed: u32) -> Self {
        SeedSource(MersenneTwister::from_key(&[seed]))
    }

    /// Seeds that cannot be foreseen, as those of a script that never calls `set_random_seed`.
    ///
    /// # Errors
    /// [`Error::NoRandomness`] if the operating system gives no random numbers.
    ///
    /// ```
    /// use recurrent::SeedSource;
    ///
    /// let seed = SeedSource::random()?.next_seed();
    /// assert!((1..=1_000_000_000).contains(&seed));
    /// # Ok::<(), recurrent::Error>(())
    /// ```
    pub fn random() -> Result<Self> {
        let mut key = [0; 8]; // 256 bits: as strong as the operating system's own generator
        for word in &mut key {
            *word = SysRng.try_next_u32().map_err(|error| Error::NoRandomness { reason: error.to_string() })?;
        }
        Ok(SeedSource(MersenneTwister::from_key(&key)))
    }

    /// The next seed, from 1 to 10⁹.
    pub fn next_seed(&mut self) -> i64 {
        self.0.randint(SEEDS).into()
    }
}

/// Without the 624 words of the generator's state.
impl fmt::Debug for SeedSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SeedSource").finish_non_exhaustive()
    }
}
