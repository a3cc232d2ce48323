//! TensorFlow's `stateless_random_uniform`, `_normal` and `_truncated_normal` on the CPU, and the dropout mask that
//! Keras makes from the first.
//!
//! A number depends on the seeds and on its place in row-major order, so a smaller tensor is a prefix of a larger one.
//! In f32 and for uniform numbers the bits are TensorFlow's; of the f64 normals 99.8 %
//! are, and the others are 1 or 2 units in the last place away, one in ten million 3.
//! Each operation is rounded by itself, in the element type: nothing here may be fused.

use super::functions::{ln_f32, ln_f64, sin_cos_f32, sin_cos_f64};
use super::philox::Philox;
use crate::kernels::Element;

/// How a block of four random words becomes numbers of an element type.
pub trait Draw: Element {
    /// The numbers of one block.
    type Block: AsRef<[Self]> + IntoIterator<Item = Self>;

    /// Numbers in [0, 1).
    fn uniforms(words: [u32; 4]) -> Self::Block;

    /// Numbers of the standard normal distribution, by the method of Box and Muller.
    fn normals(words: [u32; 4]) -> Self::Block;

    /// A number that Keras passes through f32, whatever the type: a bound of a uniform distribution, a constant.
    fn bound(value: f64) -> Self;
}

impl Draw for f32 {
    type Block = [f32; 4];

    fn uniforms(words: [u32; 4]) -> [f32; 4] {
        words.map(unit_f32)
    }

    fn normals([a, b, c, d]: [u32; 4]) -> [f32; 4] {
        let ([first, second], [third, fourth]) = (normal_pair_f32(a, b), normal_pair_f32(c, d));
        [first, second, third, fourth]
    }

    fn bound(value: f64) -> f32 {
        value as f32
    }
}

impl Draw for f64 {
    type Block = [f64; 2];

    fn uniforms([a, b, c, d]: [u32; 4]) -> [f64; 2] {
        [unit_f64(a, b), unit_f64(c, d)]
    }

    fn normals(words: [u32; 4]) -> [f64; 2] {
        let [u1, u2] = f64::uniforms(words);
        let radius = (-2.0 * ln_f64(u1.max(1e-7))).sqrt();
        let (sin, cos) = sin_cos_f64(std::f64::consts::TAU * u2);
        [radius * sin, radius * cos]
    }

    fn bound(value: f64) -> f64 {
        (value as f32).into()
    }
}

/// The low 23 bits as the mantissa of a number in [1, 2), less 1.
fn unit_f32(word: u32) -> f32 {
    f32::from_bits(1f32.to_bits() | word & 0x007F_FFFF) - 1.0
}

/// The low 20 bits of the first word and the whole second one as the mantissa of a number in [1, 2), less 1.
fn unit_f64(high: u32, low: u32) -> f64 {
    f64::from_bits(1f64.to_bits() | u64::from(high & 0x000F_FFFF) << 32 | u64::from(low)) - 1.0
}

fn normal_pair_f32(x0: u32, x1: u32) -> [f32; 2] {
    let radius = (-2.0 * ln_f32(unit_f32(x0).max(1e-7))).sqrt();
    // 2π and the product in f64: rounding 2π first would change a quarter of the numbers.
    let angle = (std::f64::consts::TAU * f64::from(unit_f32(x1))) as f32;
    let (sin, cos) = sin_cos_f32(angle);
    [radius * sin, radius * cos]
}

/// Fills `out` with numbers of [minval, maxval).
pub(crate) fn uniform<T: Draw>((seed, n): (i64, u64), minval: T, maxval: T, out: &mut [T]) {
    fill(Philox::from_seeds(seed, n), T::uniforms, out);
    scale(maxval - minval, minval, out);
}

/// Fills `out` with numbers of the normal distribution.
pub(crate) fn normal<T: Draw>((seed, n): (i64, u64), mean: T, stddev: T, out: &mut [T]) {
    fill(Philox::from_seeds(seed, n), T::normals, out);
    scale(stddev, mean, out);
}

/// Fills `out` with numbers of the normal distribution, drawn again where they are 2 `stddev` or more from `mean`.
///
/// So that threads can share the work, each group of numbers (as many as a block has) draws from its own stretch of
/// the stream.
pub(crate) fn truncated_normal<T: Draw>((seed, n): (i64, u64), mean: T, stddev: T, out: &mut [T]) {
    let stream = Philox::from_seeds(seed, n);
    let limit = T::narrowed(2.0);
    let group_len = block_len::<T>();
    let stretch = 64 * group_len as u128;
    for (group, start) in out.chunks_mut(group_len).zip(0..) {
        let draws = stream.jump(start * stretch).flat_map(T::normals).filter(|z| z.abs() < limit);
        group.iter_mut().zip(draws).for_each(|(out, z)| *out = z);
    }
    scale(stddev, mean, out);
}

/// The dropout mask of the seed pair `(seed, n)` over a shape of `out.len()` elements in row-major order:
/// 1 / (1 - rate) where the element is kept, 0 where it is dropped.
///
/// Keras draws no mask at rates of exactly 0 and 1: that is the caller's to know.
pub(crate) fn dropout_mask<T: Draw>(seed: i64, n: u64, rate: f64, out: &mut [T]) {
    let kept = T::narrowed(1.0 / (1.0 - rate));
    let rate = T::narrowed(rate);
    fill(Philox::from_seeds(seed, n), T::uniforms, out);
    for u in out {
        *u = if *u >= rate { kept } else { T::zero() };
    }
}

/// Fills `out` from a stream; what is left of the last block is dropped.
fn fill<T: Draw>(stream: Philox, numbers: fn([u32; 4]) -> T::Block, out: &mut [T]) {
    for (out, words) in out.chunks_mut(block_len::<T>()).zip(stream) {
        out.copy_from_slice(&numbers(words).as_ref()[..out.len()]);
    }
}

fn scale<T: Draw>(factor: T, offset: T, out: &mut [T]) {
    for z in out {
        *z = *z * factor + offset;
    }
}

/// The numbers in a block: 16 bytes of words give 16 bytes of numbers.
const fn block_len<T>() -> usize {
    16 / size_of::<T>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dropout_masks_are_keras_s() {
        // keras.layers.Dropout(.3, seed=21) on ones((2, 10)), calls 1 and 2; 1 = kept.
        for (n, kept) in [(0, "11010111011111110111"), (1, "11011111111111101010")] {
            let mut mask = [f32::NAN; 20];
            dropout_mask(21, n, 0.3, &mut mask);
            let expected: Vec<f32> = kept.bytes().map(|kept| if kept == b'1' { 1.4285715 } else { 0.0 }).collect();
            assert_eq!(mask[..], expected);
        }
    }

    #[test]
    fn a_dropout_mask_drops_at_its_rate() {
        let mut mask = vec![0.0; 100_000];
        for rate in [0.1, 0.5, 0.9] {
            dropout_mask(1, 0, rate, &mut mask);
            let dropped = mask.iter().filter(|&&factor| factor == 0.0).count() as f64 / 1e5;
            assert!((dropped - rate).abs() < 0.01);
            assert!(mask.iter().all(|&factor: &f64| factor == 0.0 || factor == 1.0 / (1.0 - rate)));
        }
    }

    #[test]
    fn uniform_numbers_fill_their_range() {
        assert_eq!(f32::uniforms([0, 0x007F_FFFF, 0xFF80_0000, 1]), [0.0, 1.0 - f32::EPSILON, 0.0, f32::EPSILON]);
        assert_eq!(f64::uniforms([0xFFF0_0000, 0, u32::MAX, u32::MAX]), [0.0, 1.0 - f64::EPSILON]);
    }

    #[test]
    fn normal_numbers_are_finite_at_the_ends() {
        for word in [0, 1, 0x007F_FFFF, u32::MAX] {
            for other in [0, 1, 0x0040_0000, 0x007F_FFFF, u32::MAX] {
                assert!(f32::normals([word, other, other, word]).iter().all(|z| z.abs() < 5.7));
                assert!(f64::normals([word, other, other, word]).iter().all(|z| z.abs() < 5.7));
            }
        }
    }
}
