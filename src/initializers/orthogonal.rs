//! `Orthogonal`: the Q of a QR decomposition of normal numbers.

use super::zeroed;
use crate::float::Float;
use crate::random;

/// Fills a (rows, columns) matrix, where `out` is what the rows hold together, with `gain` times an orthogonal matrix.
/// `None` if there is no memory for the decomposition.
///
/// Keras draws a tall matrix, decomposes it, and turns the result if a wide one was asked for. It works in the element
/// type; here the decomposition is in f64, which is nearer to the true Q than TensorFlow's in f32 and differs from it
/// by that one's rounding. What makes the two comparable at all is the last step: with a positive diagonal of R there
/// is only one Q.
pub(super) fn fill<T: Float>(columns: usize, gain: T, seed: i64, out: &mut [T]) -> Option<()> {
    if out.is_empty() {
        return Some(());
    }
    let rows = out.len() / columns;
    let (height, width) = (rows.max(columns), rows.min(columns));

    random::normal((seed, 0), T::zero(), T::one(), out);
    let mut q = zeroed(out.len())?;
    // Column by column, because the decomposition works on columns.
    for (i, row) in out.chunks_exact(width).enumerate() {
        for (j, value) in row.iter().enumerate() {
            q[j * height + i] = value.into_f64();
        }
    }
    orthonormalize(&mut q, height)?;

    // Q is rounded before it is multiplied, as in Keras.
    let place = |value: f64| gain * T::from_f64(value);
    if rows < columns {
        // The columns of Q are the rows of the result.
        out.iter_mut().zip(q).for_each(|(out, value)| *out = place(value));
    } else {
        for (i, row) in out.chunks_exact_mut(width).enumerate() {
            row.iter_mut().enumerate().for_each(|(j, out)| *out = place(q[j * height + i]));
        }
    }
    Some(())
}

/// Replaces the columns of a matrix, each `height` long, by those of Q, where A = Q R and R has a positive diagonal.
///
/// Householder's method. Column k is mirrored onto the axis k by H = I - tau v vᵀ, with v[..k] = 0 and v[k] = 1, and so
/// are the columns after it; v[k + 1..] is kept where the column has become zero. Q is the product of the mirrors,
/// formed from the last to the first. (Golub and Van Loan, "Matrix computations", 5.1 and 5.2.)
fn orthonormalize(a: &mut [f64], height: usize) -> Option<()> {
    let width = a.len() / height;
    let mut taus = zeroed(width)?;
    let mut diagonal = zeroed(width)?;

    for k in 0..width {
        let (column, later) = split_after(a, k, height);
        let norm = dot(column, column).sqrt();
        // Of the two points of the axis, the far one: no cancellation in v.
        diagonal[k] = if column[0] > 0.0 { -norm } else { norm };
        if norm > 0.0 {
            let v0 = column[0] - diagonal[k];
            taus[k] = -v0 / diagonal[k];
            column[1..].iter_mut().for_each(|v| *v /= v0);
            column[0] = 1.0;
        }
        later.for_each(|other| mirror(column, taus[k], other));
    }
    for k in (0..width).rev() {
        let (v, later) = split_after(a, k, height);
        later.for_each(|other| mirror(v, taus[k], other));
        // The axis k itself, mirrored; R's diagonal was made positive by turning Q's columns.
        let sign = if diagonal[k] == 0.0 { 0.0 } else { diagonal[k].signum() };
        let tau = taus[k];
        v.iter_mut().for_each(|v| *v *= -tau * sign);
        v[0] += sign;
        a[k * height..][..k].fill(0.0);
    }
    Some(())
}

/// Column k and the columns after it, each from row k on.
fn split_after(a: &mut [f64], k: usize, height: usize) -> (&mut [f64], impl Iterator<Item = &mut [f64]>) {
    let (column, later) = a[k * height..].split_at_mut(height);
    (&mut column[k..], later.chunks_exact_mut(height).map(move |column| &mut column[k..]))
}

/// x - tau v (v·x)
fn mirror(v: &[f64], tau: f64, x: &mut [f64]) {
    let factor = tau * dot(v, x);
    x.iter_mut().zip(v).for_each(|(x, v)| *x -= factor * v);
}

/// The sum of the products, in one fixed order that leaves room for vector units.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    const LANES: usize = 8;
    let mut sums = [0.0; LANES];
    for (a, b) in a.chunks(LANES).zip(b.chunks(LANES)) {
        for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += a * b;
        }
    }
    sums.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Q of a matrix given by columns.
    fn q<const N: usize>(mut columns: [f64; N], height: usize) -> [f64; N] {
        orthonormalize(&mut columns, height).unwrap();
        columns
    }

    #[test]
    fn a_diagonal_matrix_gives_the_signs() {
        assert_eq!(q([3.0, 0.0, 0.0, -2.0], 2), [1.0, 0.0, 0.0, -1.0]);
        assert_eq!(q([-3.0], 1), [-1.0]);
    }

    #[test]
    fn a_triangle_that_can_be_seen() {
        // Gram-Schmidt by hand: (3, 4) / 5, then (1, 0) less its part along it.
        let expected = [0.6, 0.8, 0.8, -0.6];
        for (given, expected) in q([3.0, 4.0, 1.0, 0.0], 2).into_iter().zip(expected) {
            approx::assert_abs_diff_eq!(given, expected, epsilon = 1e-15);
        }
    }

    #[test]
    fn a_zero_on_rs_diagonal_makes_a_zero_column_as_in_keras() {
        assert_eq!(q([0.0, 0.0, 0.0, 1.0], 2), [0.0, 0.0, 0.0, 1.0]);
    }

    #[test]
    fn columns_are_orthonormal() {
        let (height, width) = (37, 20);
        let mut a = vec![0.0; height * width];
        random::normal((5, 0), 0.0, 1.0, &mut a);
        orthonormalize(&mut a, height).unwrap();
        for i in 0..width {
            for j in 0..width {
                let product = dot(&a[i * height..][..height], &a[j * height..][..height]);
                approx::assert_abs_diff_eq!(product, f64::from(u8::from(i == j)), epsilon = 1e-14);
            }
        }
    }
}
