//! Sums of products of bytes: 16 columns of weights in bytes, of four rows, with four whole numbers.
//!
//! ```text
//! sum[column] += (weight[column][i] + 128) * q[i]        i = 0..4, weights from -127 to 127, modulo 2^32
//! ```
//!
//! Whole numbers add up to the same in any order, so every way to do this gives the same bits. Weights stand as bytes
//! without sign, 128 too large; what that adds, 128 times the sum of all q, is the same for all columns, and is taken
//! away once. Sums may wrap on their way: what counts is that the last one, without the 128, fits.
//!
//! AVX-512 VNNI multiplies bytes without sign by bytes with sign and adds four products at once; a q of 14 bits is two
//! such bytes, `128 high + low`, and the weights that are loaded once serve both. AVX2 has products of 16 bits: the
//! even and the odd bytes of a line are widened where they stand.

/// 16 columns of weights, four rows of each side by side.
pub(crate) type ByteLine = [u8; 64];

/// How an instruction set multiplies bytes; the value of it, `arch`, is the proof that the machine has it.
pub(crate) trait ByteProducts<A>: 'static {
    /// The sums of 16 columns.
    type Sum: Copy;

    /// Whether the four q stand as bytes: the high ones in the first word, the low ones in the second. Else as pairs of
    /// 16 bits: the even ones in the first word, the odd ones in the second.
    const AS_BYTES: bool;

    /// How many rows of four lines have sums that stay in registers.
    const ROWS: usize;

    /// Whether the sums of one row of eight lines do.
    const EIGHT_LINES: bool;

    /// Sums of nothing.
    fn zero(arch: A) -> Self::Sum;

    /// Adds the products of a line. Of bytes the second word counts `IN_TWO` only.
    fn add<const IN_TWO: bool>(arch: A, sum: Self::Sum, line: &ByteLine, words: [u32; 2]) -> Self::Sum;

    /// The sums as numbers.
    fn total<const IN_TWO: bool>(arch: A, sum: Self::Sum) -> [i32; 16];
}

/// Plain loops: the specification, and what runs where nothing better is known.
#[derive(Debug)]
pub(crate) struct Portable;

impl<A> ByteProducts<A> for Portable {
    type Sum = [i32; 16];
    const AS_BYTES: bool = false;
    const ROWS: usize = 1;
    const EIGHT_LINES: bool = false;

    #[inline(always)]
    fn zero(_: A) -> [i32; 16] {
        [0; 16]
    }

    #[inline(always)]
    fn add<const IN_TWO: bool>(_: A, mut sum: [i32; 16], line: &ByteLine, words: [u32; 2]) -> [i32; 16] {
        let [even, odd] = words;
        // The low 16 bits of a word as a number, and the high ones.
        let q = [even as i16, odd as i16, (even >> 16) as i16, (odd >> 16) as i16];
        let (columns, _) = line.as_chunks::<4>();
        for (sum, column) in sum.iter_mut().zip(columns) {
            let mut products = 0;
            for i in 0..4 {
                products += i32::from(column[i]) * i32::from(q[i]);
            }
            *sum = sum.wrapping_add(products);
        }
        sum
    }

    #[inline(always)]
    fn total<const IN_TWO: bool>(_: A, sum: [i32; 16]) -> [i32; 16] {
        sum
    }
}

#[cfg(target_arch = "x86_64")]
pub(crate) use x86::{OfAvx2, OfVnni};

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
mod x86 {
    use std::arch::x86_64::{
        __m256i, __m512i, _mm256_add_epi32, _mm256_and_si256, _mm256_madd_epi16, _mm256_set1_epi16, _mm256_set1_epi32,
        _mm256_srli_epi16, _mm512_dpbusd_epi32, _mm512_set1_epi32,
    };

    use bytemuck::must_cast;

    use super::super::token::{Avx2, Avx512Vnni};
    use super::{ByteLine, ByteProducts};

    /// Products of 16 bits, two at once.
    #[derive(Debug)]
    pub(crate) struct OfAvx2;

    impl ByteProducts<Avx2> for OfAvx2 {
        type Sum = [__m256i; 2];
        const AS_BYTES: bool = false;
        const ROWS: usize = 1;
        const EIGHT_LINES: bool = false;

        #[inline(always)]
        fn zero(_: Avx2) -> [__m256i; 2] {
            [must_cast([0i32; 8]); 2]
        }

        #[inline(always)]
        fn add<const IN_TWO: bool>(_: Avx2, sum: [__m256i; 2], line: &ByteLine, words: [u32; 2]) -> [__m256i; 2] {
            let halves: [__m256i; 2] = must_cast(*line);
            // SAFETY: the functions need nothing but AVX2, and the token proves that the processor has it.
            unsafe {
                let bytes = _mm256_set1_epi16(0xff);
                let (even_q, odd_q) = (_mm256_set1_epi32(words[0] as i32), _mm256_set1_epi32(words[1] as i32));
                // A product of 255 and 8191, and another: far from what 32 bits hold.
                let even = _mm256_madd_epi16(_mm256_and_si256(halves[0], bytes), even_q);
                let odd = _mm256_madd_epi16(_mm256_srli_epi16::<8>(halves[0]), odd_q);
                let first = _mm256_add_epi32(sum[0], _mm256_add_epi32(even, odd));
                let even = _mm256_madd_epi16(_mm256_and_si256(halves[1], bytes), even_q);
                let odd = _mm256_madd_epi16(_mm256_srli_epi16::<8>(halves[1]), odd_q);
                let second = _mm256_add_epi32(sum[1], _mm256_add_epi32(even, odd));
                [first, second]
            }
        }

        #[inline(always)]
        fn total<const IN_TWO: bool>(_: Avx2, sum: [__m256i; 2]) -> [i32; 16] {
            must_cast(sum)
        }
    }

    /// Products of bytes, four at once.
    #[derive(Debug)]
    pub(crate) struct OfVnni;

    impl ByteProducts<Avx512Vnni> for OfVnni {
        type Sum = [__m512i; 2];
        const AS_BYTES: bool = true;
        const ROWS: usize = 3;
        const EIGHT_LINES: bool = true;

        #[inline(always)]
        fn zero(_: Avx512Vnni) -> [__m512i; 2] {
            [must_cast([0i32; 16]); 2]
        }

        #[inline(always)]
        fn add<const IN_TWO: bool>(_: Avx512Vnni, sum: [__m512i; 2], line: &ByteLine, words: [u32; 2]) -> [__m512i; 2] {
            let line: __m512i = must_cast(*line);
            let [high, low] = sum;
            // SAFETY: the functions need nothing but AVX-512 F and VNNI, and the token proves that the processor has both.
            unsafe {
                let high = _mm512_dpbusd_epi32(high, line, _mm512_set1_epi32(words[0] as i32));
                if !IN_TWO {
                    return [high, low];
                }
                [high, _mm512_dpbusd_epi32(low, line, _mm512_set1_epi32(words[1] as i32))]
            }
        }

        #[inline(always)]
        fn total<const IN_TWO: bool>(_: Avx512Vnni, sum: [__m512i; 2]) -> [i32; 16] {
            let (mut high, low): ([i32; 16], [i32; 16]) = (must_cast(sum[0]), must_cast(sum[1]));
            if IN_TWO {
                for (high, low) in high.iter_mut().zip(low) {
                    *high = (*high << 7).wrapping_add(low);
                }
            }
            high
        }
    }
}
