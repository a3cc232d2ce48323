//! TensorFlow's stream of random words through rand's traits, so that rand's and rand_distr's distributions, and a
//! user's own, can draw from it.

use std::convert::Infallible;

use rand::rand_core::utils;
use rand::{SeedableRng, TryRng};

use super::philox::Philox;

/// The random generator below Keras's seeds (TensorFlow backend): Philox4x32-10, started from a pair of seeds.
///
/// It implements rand's `Rng` (through `TryRng`) and `SeedableRng`, so every distribution of rand and rand_distr works
/// on it. Its *words* are those that `keras.random` and the initializers consume for this seed; the built-in
/// initializers make numbers from them as TensorFlow does, rand_distr's distributions make theirs in their own way.
/// The words are the same on every machine and in every release. Not for cryptography.
///
/// ```
/// use rand::{Rng, RngExt, distr::Distribution};
/// use rand_distr::Gamma;
/// use recurrent::KerasRng;
///
/// let mut rng = KerasRng::new(3, 0);
/// assert_eq!(rng.next_u32(), 0xb89913ac);               // the first word of TensorFlow's stream for this seed
/// let gamma = Gamma::new(2.0, 0.5)?;
/// let x: f64 = gamma.sample(&mut rng);
/// assert!(x > 0.0);
/// assert!(rng.random_range(1..=6) <= 6);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KerasRng {
    stream: Philox,
    block: [u32; 4],
    used: usize,
}

impl KerasRng {
    /// The generator of the seed pair `(seed, n)`.
    ///
    /// An initializer with an integer seed draws from `(seed, 0)`. A `keras.random.SeedGenerator(seed)`, as dropout has
    /// one, draws from `(seed, 0)`, then `(seed, 1)`, and so on. As Keras does, both are taken modulo 2³¹ - 2, so every
    /// seed is fine: -1 is 2147483645.
    pub fn new(seed: i64, n: u64) -> Self {
        KerasRng { stream: Philox::from_seeds(seed, n), block: [0; 4], used: 4 }
    }

    fn word(&mut self) -> u32 {
        if self.used == self.block.len() {
            if let Some(block) = self.stream.next() {
                self.block = block;
            }
            self.used = 0;
        }
        self.used += 1;
        self.block[self.used - 1]
    }
}

impl TryRng for KerasRng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.word())
    }

    /// Two words, the first in the lower half.
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        utils::next_u64_via_u32(self)
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        utils::fill_bytes_via_next_word(bytes, || self.try_next_u32())
    }
}

impl SeedableRng for KerasRng {
    type Seed = [u8; 16];

    /// `seed`, then `n` of [`KerasRng::new`], both as 64 bits in little-endian order.
    fn from_seed(seed: [u8; 16]) -> Self {
        let both = u128::from_le_bytes(seed);
        KerasRng::new(both as i64, (both >> 64) as u64)
    }

    /// `KerasRng::new(seed, 0)`: what an initializer with this seed draws from.
    fn seed_from_u64(seed: u64) -> Self {
        KerasRng::new(seed as i64, 0)
    }
}
