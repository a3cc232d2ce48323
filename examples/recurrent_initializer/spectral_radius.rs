//! How much a matrix stretches in the long run: its spectral radius, the largest absolute value of its eigenvalues.

use ndarray::prelude::*;

/// Squarings of the matrix: 2^32 steps of the recurrence.
const SQUARINGS: i32 = 32;

/// The spectral radius of a square matrix, by Gelfand's formula: the limit of `‖Aⁿ‖^(1/n)`.
///
/// Eigenvalues of a real matrix come in complex pairs, which turn the state while they stretch it; a power iteration
/// on a vector then never settles. The norm of the power doesn't mind. Each squaring doubles n, so that
///
/// ```text
/// log ρ = log‖A‖ + 1/2 log‖B₁²‖ + 1/4 log‖B₂²‖ + ...      where B₁ = A / ‖A‖, B₂ = B₁² / ‖B₁²‖, ...
/// ```
///
/// After 32 squarings `‖Aⁿ‖^(1/n)` is still above the radius, by a factor of at most (κ √size)^(1/n) where κ is the
/// condition of the eigenvectors: less than 2e-7 above for any κ that f64 can hold. Without a full set of eigenvectors the
/// factor is about n^(size/n), for 64 rows 1 + 4e-7. What rounding adds in one term is divided with it.
pub fn spectral_radius(matrix: &ArrayRef2<f64>) -> f64 {
    let (mut power, mut log_radius, mut weight) = (matrix.to_owned(), 0.0, 1.0);
    for _ in 0..=SQUARINGS {
        let norm = norm(&power);
        if norm == 0.0 {
            return 0.0; // A to some power is zero
        }
        log_radius += weight * norm.ln();
        power /= norm;
        power = power.dot(&power);
        weight /= 2.0;
    }
    log_radius.exp()
}

/// The square root of the sum of all squares: the length of a vector, the Frobenius norm of a matrix.
pub fn norm<D: Dimension>(values: &ArrayRef<f64, D>) -> f64 {
    values.iter().map(|value| value * value).sum::<f64>().sqrt()
}
