//! A row of x or h as whole numbers with a scale.

use super::super::isa::bytes::ByteProducts;
use super::super::isa::{Arch, ByteIsa, Kernel, dispatch_bytes};
use super::int8::BLOCK;
use super::work::{Values, Work};

/// How many bits of a row's numbers are kept, the sign among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bits {
    /// From -8191 to 8191.
    Fourteen,
    /// From -127 to 127.
    Eight,
    /// From -127 to 127 with Keras's scale, by which they are multiplied and sums are divided.
    Keras,
}

impl Bits {
    /// The largest number.
    #[inline(always)]
    pub(super) fn limit(self) -> f32 {
        match self {
            Bits::Fourteen => 8191.0,
            Bits::Eight | Bits::Keras => 127.0,
        }
    }
}

/// A row whose largest magnitude is below this, 2^-100, counts as zeros: the inverse of its scale might be infinite.
const TINY: f32 = 7.888609e-31;

/// What Keras adds to the largest magnitude of a row, so that zeros have a scale.
const EPSILON: f32 = 1e-7;

/// Adding it rounds to a whole number, ties to even, and leaves that in the low bits.
const ROUND: f32 = 12582912.0;

/// The length of an encoded row, in words that stand as the bits of an `f32`:
///
/// ```text
/// scale, sum of each block, first words, second words          a first and a second word for four numbers
/// ```
pub(super) fn encoded_len(width: usize) -> usize {
    1 + width.div_ceil(BLOCK) + 2 * width.div_ceil(4)
}

/// An encoded row of `width` numbers, taken apart.
#[derive(Clone, Copy)]
pub(super) struct Encoded<'a> {
    pub scale: f32,
    /// The sum of each block.
    pub sums: &'a [f32],
    pub first: &'a [f32],
    pub second: &'a [f32],
}

impl<'a> Encoded<'a> {
    #[inline(always)]
    pub(super) fn new(row: &'a [f32], width: usize) -> Self {
        let (sums, rest) = row[1..].split_at(width.div_ceil(BLOCK));
        let (first, second) = rest.split_at(width.div_ceil(4));
        Encoded { scale: row[0], sums, first, second }
    }
}

/// Encodes all values of a work. Whether no row is left to be multiplied as f32: one with an infinity or NaN, which is
/// encoded as zeros.
pub(super) fn encode(isa: ByteIsa, bits: Bits, values: &Values<'_>, work: &mut Work<'_>) -> bool {
    dispatch_bytes(isa, Encode { bits, values, work })
}

struct Encode<'a, 'w> {
    bits: Bits,
    values: &'a Values<'a>,
    work: &'a mut Work<'w>,
}

impl Kernel for Encode<'_, '_> {
    type Output = bool;
    #[inline(always)]
    fn run<A: Arch>(self, arch: A) -> bool {
        let Encode { bits, values, work } = self;
        let mut finite = true;
        for row in 0..work.count {
            let (before, out) = work.rows.row_mut(row).split_at_mut(work.encoded);
            let values = match values {
                Values::Rows { rows, values } => values.row(rows[row]),
                Values::Within(columns) => &before[columns.clone()],
            };
            finite &= encode_row(arch, bits, values, &mut out[..encoded_len(values.len())]);
        }
        finite
    }
}

/// Encodes a row; false, and zeros, if it has an infinity or NaN. Keras's such row is zeros with a scale of NaN.
#[inline(always)]
fn encode_row<A: Arch>(_: A, bits: Bits, row: &[f32], out: &mut [f32]) -> bool {
    let largest = f32::from_bits(largest_magnitude(row));
    let (scale, rest) = out.split_at_mut(1);
    let (sums, rest) = rest.split_at_mut(row.len().div_ceil(BLOCK));
    let (first, second) = rest.split_at_mut(row.len().div_ceil(4));
    let keras = bits == Bits::Keras;
    let small = largest < TINY && !keras;
    if small || !largest.is_finite() {
        for words in [&mut *scale, sums, first, second] {
            words.fill(0.0);
        }
        if keras {
            scale[0] = f32::NAN; // of an infinity, too: it is multiplied by its own scale, zero
        }
        return small || keras;
    }
    let inverse = if keras { bits.limit() / (largest + EPSILON) } else { bits.limit() / largest };
    let blocks = row.chunks(BLOCK).zip(first.chunks_mut(BLOCK / 4).zip(second.chunks_mut(BLOCK / 4)));
    for (sum, (row, (first, second))) in sums.iter_mut().zip(blocks) {
        let mut total = 0i32;
        // 16 numbers at a time, then what is left with zeros behind it.
        let (chunks, rest) = row.as_chunks::<16>();
        for (i, chunk) in chunks.iter().enumerate() {
            let (first, second) = (&mut first[4 * i..][..4], &mut second[4 * i..][..4]);
            total += encode_chunk::<A>(bits, chunk, inverse, first, second);
        }
        if !rest.is_empty() {
            let mut chunk = [0.0; 16];
            chunk[..rest.len()].copy_from_slice(rest);
            let (mut last_first, mut last_second) = ([0.0; 4], [0.0; 4]);
            total += encode_chunk::<A>(bits, &chunk, inverse, &mut last_first, &mut last_second);
            let words = 4 * chunks.len()..first.len();
            first[words.clone()].copy_from_slice(&last_first[..words.len()]);
            second[words.clone()].copy_from_slice(&last_second[..words.len()]);
        }
        *sum = f32::from_bits(total as u32);
    }
    scale[0] = if keras { inverse } else { largest / bits.limit() };
    true
}

/// The largest number without its sign: of bits the largest is that of the numbers, infinity and NaN above all others.
#[inline(always)]
fn largest_magnitude(row: &[f32]) -> u32 {
    let mut lanes = [0u32; 16];
    let (chunks, rest) = row.as_chunks::<16>();
    for chunk in chunks {
        for (lane, x) in lanes.iter_mut().zip(chunk) {
            *lane = (*lane).max(x.to_bits() & 0x7fff_ffff);
        }
    }
    for (lane, x) in lanes.iter_mut().zip(rest) {
        *lane = (*lane).max(x.to_bits() & 0x7fff_ffff);
    }
    let mut largest = 0;
    for lane in lanes {
        largest = largest.max(lane);
    }
    largest
}

/// 16 numbers as four first and four second words; their sum.
#[inline(always)]
fn encode_chunk<A: Arch>(bits: Bits, x: &[f32; 16], inverse: f32, first: &mut [f32], second: &mut [f32]) -> i32 {
    let mut q = [0i32; 16];
    for (q, x) in q.iter_mut().zip(x) {
        // Two roundings on every machine: not a multiply-add.
        let scaled = x * inverse;
        *q = (scaled + ROUND).to_bits().wrapping_sub(ROUND.to_bits()) as i32;
    }
    let mut sum = 0;
    for q in q {
        sum += q;
    }
    if const { <A::Bytes as ByteProducts<A>>::AS_BYTES } {
        let (mut high, mut low) = ([0u8; 16], [0u8; 16]);
        match bits {
            Bits::Fourteen => {
                for i in 0..16 {
                    high[i] = (q[i] >> 7) as u8;
                    low[i] = (q[i] & 127) as u8;
                }
            }
            Bits::Eight | Bits::Keras => {
                for i in 0..16 {
                    high[i] = q[i] as u8;
                }
            }
        }
        store(&high, first);
        store(&low, second);
    } else {
        for (i, (first, second)) in first.iter_mut().zip(second).enumerate() {
            let q = &q[4 * i..][..4];
            *first = pair(q[0], q[2]);
            *second = pair(q[1], q[3]);
        }
    }
    sum
}

#[inline(always)]
fn store(bytes: &[u8; 16], words: &mut [f32]) {
    for (word, bytes) in words.iter_mut().zip(bytes.as_chunks::<4>().0) {
        *word = f32::from_bits(u32::from_le_bytes(*bytes));
    }
}

#[inline(always)]
fn pair(low: i32, high: i32) -> f32 {
    f32::from_bits((low as u32 & 0xffff) | ((high as u32) << 16))
}
