//! The Mersenne Twister MT19937, as Python's `random` module uses it: Keras takes its seeds from there.
//!
//! "Mersenne Twister: a 623-dimensionally equidistributed uniform pseudo-random number generator" (Matsumoto and
//! Nishimura, 1998), with the initialisation of 2002.

const N: usize = 624;
const M: usize = 397;

/// The generator's state: what Python calls a `random.Random`.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct MersenneTwister {
    state: [u32; N],
    used: usize,
}

impl MersenneTwister {
    /// `init_by_array`. Python's `random.seed(s)` for `0 <= s < 2**32` is `from_key(&[s])`.
    pub fn from_key(key: &[u32]) -> Self {
        let mut state = [0; N];
        state[0] = 19_650_218_u32;
        for i in 1..N {
            state[i] = mix(state[i - 1], 1_812_433_253).wrapping_add(i as u32);
        }
        let mut i = 1;
        for j in (0..key.len()).cycle().take(key.len().max(N)) {
            state[i] = (state[i] ^ mix(state[i - 1], 1_664_525)).wrapping_add(key[j]).wrapping_add(j as u32);
            i = following(i, &mut state);
        }
        for _ in 1..N {
            state[i] = (state[i] ^ mix(state[i - 1], 1_566_083_941)).wrapping_sub(i as u32);
            i = following(i, &mut state);
        }
        state[0] = 1 << 31;
        MersenneTwister { state, used: N }
    }

    /// The next 32 random bits.
    pub fn next_u32(&mut self) -> u32 {
        if self.used == N {
            self.twist();
        }
        let mut y = self.state[self.used];
        self.used += 1;
        y ^= y >> 11;
        y ^= (y << 7) & 0x9D2C_5680;
        y ^= (y << 15) & 0xEFC6_0000;
        y ^ (y >> 18)
    }

    /// Python's `random.randint(1, n)`: as many bits as `n` has, drawn again while they are no number below `n`.
    pub fn randint(&mut self, n: u32) -> u32 {
        loop {
            let r = self.next_u32() >> n.leading_zeros();
            if r < n {
                return r + 1;
            }
        }
    }

    fn twist(&mut self) {
        for i in 0..N {
            let y = (self.state[i] & 0x8000_0000) | (self.state[(i + 1) % N] & 0x7FFF_FFFF);
            let twisted = if y & 1 == 0 { y >> 1 } else { (y >> 1) ^ 0x9908_B0DF };
            self.state[i] = self.state[(i + M) % N] ^ twisted;
        }
        self.used = 0;
    }
}

fn mix(previous: u32, factor: u32) -> u32 {
    (previous ^ (previous >> 30)).wrapping_mul(factor)
}

/// The next index of the initialisation, which walks around the state without its first word.
fn following(i: usize, state: &mut [u32; N]) -> usize {
    if i + 1 < N {
        return i + 1;
    }
    state[0] = state[N - 1];
    1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reference_outputs() {
        // The first outputs of the authors' `mt19937ar.out`.
        let mut generator = MersenneTwister::from_key(&[0x123, 0x234, 0x345, 0x456]);
        let words: [u32; 5] = std::array::from_fn(|_| generator.next_u32());
        assert_eq!(words, [1067595299, 955945823, 477289528, 4107218783, 4228976476]);
    }

    #[test]
    fn a_long_key_wraps_around_the_state() {
        // Python: random.seed(sum((i + 1) << (32 * i) for i in range(700))); random.getrandbits(32)
        let key: Vec<u32> = (1..=700).collect();
        assert_eq!(MersenneTwister::from_key(&key).next_u32(), 1_434_167_400);
    }

    #[test]
    fn randint_is_pythons() {
        // Python: random.seed(s); [random.randint(1, 10**9) for _ in range(6)]
        let first_six = |seed| {
            let mut generator = MersenneTwister::from_key(&[seed]);
            std::array::from_fn(|_| generator.randint(1_000_000_000))
        };
        assert_eq!(first_six(0), [906691060, 413654000, 813847340, 955892129, 451585302, 43469774]);
        assert_eq!(first_six(1), [144272510, 611178003, 909925048, 861425549, 820096754, 67760437]);
        assert_eq!(first_six(u32::MAX), [682209859, 665256254, 218184273, 231223275, 652154926, 560920438]);
    }
}
