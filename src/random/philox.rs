//! Philox4x32-10, the counter-based generator below TensorFlow's stateless random numbers.
//!
//! "Parallel random numbers: as easy as 1, 2, 3" (Salmon et al., 2011): block number `counter` of the stream is ten
//! rounds of multiplication and exchange over the counter, so that any block can be had without those before it.

/// The multipliers of a round, for words 0 and 2.
const MULTIPLIERS: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];

/// What is added to the key between rounds: the golden ratio and the square root of 3, less 1.
const KEY_STEPS: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];

/// TensorFlow turns a pair of seeds into key and counter by one block under this key (`GenerateKey`).
const SEED_KEY: [u32; 2] = [0x3EC8_F720, 0x0246_1E29];

/// Keras reduces each of the two seeds modulo `tf.int32.max - 1`; the result is never negative.
const SEED_MODULUS: u32 = i32::MAX as u32 - 1;

/// A place in a stream of blocks of four words. As an iterator it never ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Philox {
    key: [u32; 2],
    counter: u128,
}

impl Philox {
    /// The stream of the seed pair `(seed, n)`: `n` is 0 for initializers and counts the masks of a dropout generator.
    pub fn from_seeds(seed: i64, n: u64) -> Self {
        let seed = seed.rem_euclid(SEED_MODULUS.into()) as u128;
        let n = (n % u64::from(SEED_MODULUS)) as u128;
        let [key0, key1, high0, high1] = block(n << 64 | seed, SEED_KEY);
        Philox { key: [key0, key1], counter: u128::from(high1) << 96 | u128::from(high0) << 64 }
    }

    /// The stream of this key, from this counter on.
    pub fn from_key(key: [u32; 2], counter: u128) -> Self {
        Philox { key, counter }
    }

    /// The same stream, this many blocks further on.
    pub fn jump(&self, blocks: u128) -> Self {
        Philox { counter: self.counter.wrapping_add(blocks), ..*self }
    }
}

impl Iterator for Philox {
    type Item = [u32; 4];

    fn next(&mut self) -> Option<[u32; 4]> {
        let words = block(self.counter, self.key);
        self.counter = self.counter.wrapping_add(1);
        Some(words)
    }
}

/// The four words at this counter, whose lowest 32 bits are word 0.
fn block(counter: u128, mut key: [u32; 2]) -> [u32; 4] {
    let mut c = [0, 32, 64, 96].map(|shift| (counter >> shift) as u32);
    for _ in 0..10 {
        let (high0, low0) = multiply(MULTIPLIERS[0], c[0]);
        let (high2, low2) = multiply(MULTIPLIERS[1], c[2]);
        c = [high2 ^ c[1] ^ key[0], low2, high0 ^ c[3] ^ key[1], low0];
        key = [key[0].wrapping_add(KEY_STEPS[0]), key[1].wrapping_add(KEY_STEPS[1])];
    }
    c
}

/// The high and the low half of a product.
fn multiply(a: u32, b: u32) -> (u32, u32) {
    let product = u64::from(a) * u64::from(b);
    ((product >> 32) as u32, product as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_answers_of_the_paper() {
        // From the known-answer tests of Random123, `kat_vectors`, philox4x32 with 10 rounds.
        let zeros = block(0, [0, 0]);
        assert_eq!(zeros, [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        let ones = block(u128::MAX, [u32::MAX, u32::MAX]);
        assert_eq!(ones, [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);
    }

    #[test]
    fn seed_pairs_give_tensorflows_key_and_words() {
        let mut stream = Philox::from_seeds(3, 0);
        assert_eq!(stream.key, [0xfdfd_d4a6, 0x5eed_6f0b]);
        assert_eq!(stream.counter, 0x44a1_c677_e621_3dfe_0000_0000_0000_0000);
        assert_eq!(stream.next(), Some([0xb899_13ac, 0x55f8_3c77, 0xae44_2198, 0xbf6b_a73e]));
        assert_eq!(stream.next().map(|words| words[0]), Some(0x4b17_665f));

        let mut stream = Philox::from_seeds(3, 1);
        assert_eq!(stream.key, [0xb094_a249, 0x0deb_6798]);
        assert_eq!(stream.counter, 0xe2f1_5e4d_91d7_d3d0_0000_0000_0000_0000);
        assert_eq!(stream.next(), Some([0x4d38_8047, 0xa357_be97, 0x9028_99ae, 0xe6c6_de31]));
        assert_eq!(stream.next().map(|words| words[0]), Some(0x2c70_4d0d));
    }

    #[test]
    fn seeds_are_reduced_as_keras_does() {
        let same = |a, b| assert_eq!(Philox::from_seeds(a, 0), Philox::from_seeds(b, 0));
        same(-1, 2_147_483_645);
        same(i32::MAX.into(), 1);
        same(1 << 31, 2);
        same(0, 2_147_483_646);
        assert_ne!(Philox::from_seeds(i64::MIN, 0), Philox::from_seeds(i64::MAX, 0));
        assert_eq!(Philox::from_seeds(1, 5), Philox::from_seeds(1, 5 + 2_147_483_646));
    }

    #[test]
    fn a_jump_is_that_many_blocks() {
        let stream = Philox::from_seeds(9, 0);
        assert_eq!(stream.jump(5).next(), stream.clone().nth(5));
        // A counter that wraps starts again at zero.
        assert_eq!(stream.jump(u128::MAX).nth(1), stream.clone().next());
    }
}
