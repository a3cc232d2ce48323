//! The matrices on all instruction sets, against plain loops over whole numbers that know nothing of lines and planes.

use super::matrix::{Format, Matrix, Sets};
use super::operand::Bits;
use super::work::{Values, Work};
use crate::kernels::isa::{ByteIsa, Isa};
use crate::strided::{Rows, RowsMut};
use crate::weights::Packed;

/// All that this machine has: each set with the products of bytes that belong to it.
fn sets() -> Vec<Sets> {
    Isa::available().into_iter().map(Sets::of).collect()
}

/// Some columns of a matrix, packed.
fn matrix_of(format: Format, matrix: &[f32], (rows, all): (usize, usize), first: usize, columns: usize) -> Matrix {
    Matrix::new(format, &format.pack(matrix, all), (rows, all), first, columns)
}

/// Numbers between -1 and 1.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 40) as f32 / (1 << 23) as f32 - 1.0
    }

    fn below(&mut self, end: usize) -> usize {
        ((self.next() + 1.0) / 2.0 * end as f32) as usize % end
    }

    fn vec(&mut self, len: usize) -> Vec<f32> {
        (0..len).map(|_| self.next()).collect()
    }
}

/// A row as whole numbers: the definition, in f32 operations one by one.
fn whole(row: &[f32], limit: f32) -> (Vec<i64>, f32) {
    let largest = row.iter().fold(0.0_f32, |largest, x| largest.max(x.abs()));
    if largest < 2.0_f32.powi(-100) {
        return (vec![0; row.len()], 0.0);
    }
    let inverse = limit / largest;
    (row.iter().map(|x| (x * inverse).round_ties_even() as i64).collect(), largest / limit)
}

/// A column as whole numbers.
fn column(weights: &[f32]) -> (Vec<i64>, f32) {
    let largest = weights.iter().fold(0.0_f64, |largest, &w| largest.max(f64::from(w).abs()));
    let q = |w: f32| if largest == 0.0 { 0 } else { (f64::from(w) * 127.0 / largest).round_ties_even() as i64 };
    (weights.iter().map(|&w| q(w)).collect(), (largest / 127.0) as f32)
}

/// `z + x matrix`, by the definition.
fn expected(z: &[f32], x: &[f32], matrix: &[f32], bits: Bits) -> Vec<f32> {
    let limit = if bits == Bits::Fourteen { 8191.0 } else { 127.0 };
    let (q, scale) = whole(x, limit);
    let columns = z.len();
    let add = |(c, &z): (usize, &f32)| {
        let of_column: Vec<f32> = matrix.iter().skip(c).step_by(columns).copied().collect();
        let (weights, column_scale) = column(&of_column);
        let mut sum = z;
        for (q, weights) in q.chunks(2048).zip(weights.chunks(2048)) {
            let products: i64 = q.iter().zip(weights).map(|(&q, &w)| q * w).sum();
            sum += products as f32 * (scale * column_scale);
        }
        sum
    };
    z.iter().enumerate().map(add).collect()
}

/// Runs a matrix over rows on a set.
fn run(matrix: &Matrix, sets: Sets, z: &[f32], x: &[f32], count: usize, backwards: bool) -> Vec<f32> {
    let (columns, width) = (z.len() / count, x.len() / count);
    let row_len = columns + matrix.encoded_len();
    let mut memory = vec![f32::NAN; count * row_len];
    for (row, z) in memory.chunks_exact_mut(row_len).zip(z.chunks_exact(columns)) {
        row[..columns].copy_from_slice(z);
    }
    let rows: Vec<usize> = (0..count).collect();
    let work = Work { rows: RowsMut::packed(&mut memory, row_len), count, z: 0..columns, encoded: columns };
    matrix.add(sets, &Values::Rows { rows: &rows, values: Rows::packed(x, width) }, work, backwards);
    memory.chunks_exact(row_len).flat_map(|row| row[..columns].to_vec()).collect()
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

#[test]
fn bytes_are_the_definition_on_all_sets() {
    let mut numbers = Numbers(7);
    let mut sizes: Vec<(usize, usize, usize)> =
        (0..60).map(|_| (1 + numbers.below(70), 1 + numbers.below(300), 1 + numbers.below(8))).collect();
    // Several blocks of rows, with a rest and without.
    sizes.extend([(2048, 5, 2), (2051, 33, 4), (4100, 3, 1)]);
    for (width, columns, count) in sizes {
        let matrix = numbers.vec(width * columns);
        let (x, z) = (numbers.vec(count * width), numbers.vec(count * columns));
        for of_bits in [Bits::Fourteen, Bits::Eight] {
            let packed = matrix_of(Format::Int8(of_bits), &matrix, (width, columns), 0, columns);
            let rows = z.chunks(columns).zip(x.chunks(width));
            let expected: Vec<f32> = rows.flat_map(|(z, x)| expected(z, x, &matrix, of_bits)).collect();
            for sets in sets() {
                for backwards in [false, true] {
                    let found = run(&packed, sets, &z, &x, count, backwards);
                    assert_eq!(
                        bits(&found),
                        bits(&expected),
                        "{width} x {columns}, {count} rows, {of_bits:?}, {sets:?}"
                    );
                }
            }
        }
    }
}

/// `z + x matrix` as Keras computes it, of bytes and scales.
fn keras(z: &[f32], x: &[f32], weights: &[i8], scales: &[f32]) -> Vec<f32> {
    let largest = x.iter().fold(0.0_f32, |largest, x| largest.max(x.abs()));
    let scale = 127.0 / (largest + 1e-7);
    let q: Vec<i32> = x.iter().map(|x| (x * scale).round_ties_even().clamp(-127.0, 127.0) as i32).collect();
    let of_column = |(c, &z): (usize, &f32)| {
        let column = weights.iter().skip(c).step_by(scales.len());
        let sum = q.iter().zip(column).fold(0_i32, |sum, (&q, &w)| sum.wrapping_add(q * i32::from(w)));
        z + sum as f32 / (scales[c] * scale)
    };
    z.iter().enumerate().map(of_column).collect()
}

/// The definition, with scales from tiny to large, numbers that fall between two bytes, and more rows than a block; sums
/// of more rows than 32 bits hold wrap.
#[test]
fn keras_bytes_are_the_definition_on_all_sets() {
    let mut numbers = Numbers(13);
    let mut sizes: Vec<(usize, usize, usize)> =
        (0..60).map(|_| (1 + numbers.below(70), 1 + numbers.below(300), 1 + numbers.below(8))).collect();
    sizes.extend([(2048, 5, 2), (2051, 33, 4), (4100, 3, 1), (140_000, 2, 1)]);
    for (width, columns, count) in sizes {
        let weights: Vec<i8> = (0..width * columns).map(|_| (numbers.below(255) as i16 - 127) as i8).collect();
        let weights = if width > 5000 { vec![127; width * columns] } else { weights };
        let scales: Vec<f32> = (0..columns).map(|_| 10.0_f32.powf(numbers.next() * 6.0)).collect();
        let (mut x, z) = (numbers.vec(count * width), numbers.vec(count * columns));
        if width > 5000 {
            x.fill(3.0);
        }
        x.iter_mut().skip(1).step_by(3).for_each(|x| *x = (*x * 127.0).round() / 127.0 + 0.5 / 127.0);
        x[0] = 1.0;
        let packed = Packed::Int8 { weights: weights.clone(), scales: scales.clone() };
        let matrix = Matrix::new(Format::INT8_KERAS, &packed, (width, columns), 0, columns);
        let rows = z.chunks(columns).zip(x.chunks(width));
        let expected: Vec<f32> = rows.flat_map(|(z, x)| keras(z, x, &weights, &scales)).collect();
        for sets in sets() {
            for backwards in [false, true] {
                let found = run(&matrix, sets, &z, &x, count, backwards);
                assert_eq!(bits(&found), bits(&expected), "{width} x {columns}, {count} rows, {sets:?}");
            }
        }
    }
}

/// A row of zeros is the bias; one with an infinity or NaN is NaN.
#[test]
fn keras_rows_without_a_scale() {
    let packed = Packed::Int8 { weights: vec![1, -2, 3, 4, 5, -6], scales: vec![2.0, 0.5] };
    let matrix = Matrix::new(Format::INT8_KERAS, &packed, (3, 2), 0, 2);
    let x = [0.0, 0.0, 0.0, f32::INFINITY, 1.0, 2.0, 1.0, f32::NAN, 2.0];
    for sets in sets() {
        let found = run(&matrix, sets, &[0.25; 6], &x, 3, false);
        assert_eq!(found[..2], [0.25; 2]);
        assert!(found[2..].iter().all(|found| found.is_nan()), "{found:?}");
    }
}

/// The largest sums that there are: every weight and every number at its end, in a block that is full.
#[test]
fn no_sum_overflows() {
    for (sign, width) in [(1.0, 2048), (-1.0, 2048), (1.0, 5000)] {
        let (matrix, x) = (vec![0.5_f32; width * 17], vec![sign * 3.0_f32; width]);
        for of_bits in [Bits::Fourteen, Bits::Eight] {
            let packed = matrix_of(Format::Int8(of_bits), &matrix, (width, 17), 0, 17);
            for sets in sets() {
                for found in run(&packed, sets, &[0.0; 17], &x, 1, false) {
                    let exact = sign * 1.5 * width as f32;
                    assert!((found - exact).abs() < 1e-5 * exact.abs(), "{found}, {exact}, {sets:?}");
                }
            }
        }
    }
}

/// Lines that begin in the middle of a matrix, and values that stand in the work itself.
#[test]
fn some_columns_and_values_within() {
    let mut numbers = Numbers(11);
    let (rows, all) = (40, 120);
    let matrix = numbers.vec(rows * all);
    let (x, z) = (numbers.vec(rows), numbers.vec(40));
    let some: Vec<f32> = matrix.chunks(all).flat_map(|row| row[80..].to_vec()).collect();
    for format in [Format::INT8, Format::INT8_FAST, Format::Bf16] {
        let packed = matrix_of(format, &matrix, (rows, all), 80, 40);
        let alone = matrix_of(format, &some, (rows, 40), 0, 40);
        for sets in sets() {
            let expected = run(&alone, sets, &z, &x, 1, false);
            let mut memory = [&z[..], &x, &vec![0.0; packed.encoded_len()]].concat();
            let row_len = memory.len();
            let work = Work { rows: RowsMut::packed(&mut memory, row_len), count: 1, z: 0..40, encoded: 40 + rows };
            packed.add(sets, &Values::Within(40..40 + rows), work, true);
            assert_eq!(bits(&memory[..40]), bits(&expected), "{format:?}, {sets:?}");
        }
        // And out again, with those that stand beside them.
        let before = matrix_of(format, &matrix, (rows, all), 0, 80);
        assert_eq!(Matrix::unpack(&[&before, &packed]), format.pack(&matrix, all), "{format:?}");
        assert_eq!(Matrix::unpack(&[&packed]), format.pack(&some, 40), "{format:?}");
    }
}

/// The best set of a machine with VNNI has it, or the tests above have seen nothing of it.
#[test]
#[cfg(target_arch = "x86_64")]
fn vnni_is_among_them() {
    let has = std::arch::is_x86_feature_detected!("avx512vnni") && std::arch::is_x86_feature_detected!("avx512bw");
    assert_eq!(sets().iter().any(|sets| matches!(sets.bytes, ByteIsa::Vnni(_))), has);
}
