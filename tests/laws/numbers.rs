//! Arrays of arbitrary numbers that a seed fixes.

use ndarray::{Array, Dimension, ShapeBuilder};
use recurrent::Float;

/// A sequence of numbers (splitmix64).
#[derive(Debug, Clone)]
pub struct Numbers(u64);

impl Numbers {
    /// The numbers of a seed; each `purpose` has its own.
    pub fn new(seed: u64, purpose: &str) -> Self {
        let purpose = purpose.bytes().fold(0_u64, |hash, byte| hash.wrapping_mul(31).wrapping_add(byte.into()));
        let mut numbers = Numbers(seed ^ purpose.wrapping_mul(0xD6E8_FEB8_6659_FD93));
        numbers.word();
        numbers
    }

    pub fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// In [-1, 1), with as many digits as an `f64` has.
    pub fn unit(&mut self) -> f64 {
        (self.word() >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
    }

    /// In 0..n.
    pub fn below(&mut self, n: usize) -> usize {
        (self.word() % n.max(1) as u64) as usize
    }

    /// True in `percent` of 100 cases.
    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// An array of numbers in [-scale, scale).
    pub fn array<T: Float, D: Dimension>(&mut self, scale: f64, shape: impl ShapeBuilder<Dim = D>) -> Array<T, D> {
        Array::from_shape_simple_fn(shape, || T::from_f64(self.unit() * scale))
    }

    /// The same elements in another order.
    pub fn shuffled(&mut self, len: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..len).collect();
        for i in (1..len).rev() {
            order.swap(i, self.below(i + 1));
        }
        order
    }
}

/// Numbers that kernels get wrong, if any: not finite, too small, too large, a zero with a sign.
pub fn odd_number<T: Float>(numbers: &mut Numbers) -> T {
    let odd = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, 0.0, 1e-40, -1e-40, 1e-310, 3e38, -3e38, 1e4, -1e4];
    T::from_f64(odd[numbers.below(odd.len())])
}
