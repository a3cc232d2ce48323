//! Penalties.

use ndarray::{Array1, ArrayView1, ArrayView2, ArrayViewD, ArrayViewMut2, ArrayViewMutD, Ix2, Zip};

use super::{by_f32, check, not_negative};
use crate::error::Result;
use crate::float::Float;

/// A penalty on a weight, or on what a layer gives, added to the loss: Keras's regularizers by their names.
///
/// ```
/// use ndarray::prelude::*;
/// use recurrent::training::Regularizer;
/// let weight = array![[1.0, -2.0], [0.0, 3.0]].into_dyn();
/// let mut gradient = ArrayD::zeros(weight.raw_dim());
/// let penalty = Regularizer::L1L2 { l1: 0.5, l2: 0.25 }.add_gradient(&weight.view(), &mut gradient.view_mut())?;
/// assert_eq!(penalty, 0.5 * 6.0 + 0.25 * 14.0);
/// assert_eq!(gradient, array![[0.5 + 0.5, -0.5 - 1.0], [0.0, 0.5 + 1.5]].into_dyn());
/// # Ok::<(), recurrent::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Regularizer {
    /// `factor * sum(|w|)`; Keras's factor is 0.01 unless it is said.
    L1 {
        /// Finite, at least 0.
        factor: f64,
    },
    /// `factor * sum(w^2)`; Keras's factor is 0.01 unless it is said.
    L2 {
        /// Finite, at least 0.
        factor: f64,
    },
    /// Both.
    L1L2 {
        /// The factor of L1: finite, at least 0.
        l1: f64,
        /// The factor of L2: finite, at least 0.
        l2: f64,
    },
    /// Keras's `OrthogonalRegularizer`, of a weight of two axes: `factor` times the mean of `|cos|` between each two of
    /// its rows, or of its columns. One row has no other to be orthogonal to, which is an error. (NaN in Keras.)
    Orthogonal {
        /// Finite, at least 0; Keras's is 0.01 unless it is said.
        factor: f64,
        /// Rows, as in Keras unless it is said, or columns.
        mode: OrthogonalMode,
    },
}

/// What is to be orthogonal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OrthogonalMode {
    /// Rows.
    #[default]
    Rows,
    /// Columns.
    Columns,
}

impl Regularizer {
    /// Checks that the numbers make sense, and that a weight of this shape can be regularized.
    ///
    /// # Errors
    /// [`Error::WeightRule`](crate::Error::WeightRule).
    pub fn validate(&self, shape: &[usize]) -> Result<()> {
        match *self {
            Regularizer::L1 { factor } => not_negative("the factor of L1", factor),
            Regularizer::L2 { factor } => not_negative("the factor of L2", factor),
            Regularizer::L1L2 { l1, l2 } => {
                not_negative("the factor of L1", l1)?;
                not_negative("the factor of L2", l2)
            }
            Regularizer::Orthogonal { factor, mode } => {
                not_negative("the factor of Orthogonal", factor)?;
                let (axes, expected) = (shape.len(), "2: it needs rows and columns");
                check("the number of axes of a weight with Orthogonal", expected, axes as f64, axes == 2)?;
                let (count, expected) = (shape[usize::from(mode == OrthogonalMode::Columns)], "at least 2");
                check("the number of rows (or columns) for Orthogonal", expected, count as f64, count > 1)
            }
        }
    }

    /// The penalty of a weight; its gradient is added to this one.
    ///
    /// # Errors
    /// Those of [`validate`](Regularizer::validate); [`Error::OutputShape`](crate::Error::OutputShape) for a gradient
    /// of another shape. Nothing is changed then.
    pub fn add_gradient<T: Float>(&self, weight: &ArrayViewD<'_, T>, gradient: &mut ArrayViewMutD<'_, T>) -> Result<T> {
        self.validate(weight.shape())?;
        if weight.shape() != gradient.shape() {
            let (expected, given) = (weight.shape().to_vec(), gradient.shape().to_vec());
            return Err(crate::Error::OutputShape { what: "gradient", expected, given });
        }
        Ok(self.add_scaled(T::one(), weight, gradient))
    }

    /// The penalty of what a layer gave for a batch, as an activity regularizer: divided by the number of rows. Its
    /// gradient is added to this one, of the same shape.
    pub(crate) fn add_of_outputs<T: Float>(
        &self,
        outputs: &ArrayViewD<'_, T>,
        gradient: &mut ArrayViewMutD<'_, T>,
    ) -> Result<T> {
        match outputs.shape().first() {
            // Keras's `divide_no_nan`.
            None | Some(0) => Ok(T::zero()),
            Some(&rows) => {
                self.validate(outputs.shape())?;
                Ok(self.add_scaled(T::one() / T::from_f64(rows as f64), outputs, gradient))
            }
        }
    }

    /// The penalty, by a multiple of its factors; all is checked.
    fn add_scaled<T: Float>(&self, scale: T, weight: &ArrayViewD<'_, T>, gradient: &mut ArrayViewMutD<'_, T>) -> T {
        let (none, of) = (T::zero(), |factor: f64| by_f32::<T>(factor) * scale);
        match *self {
            Regularizer::L1 { factor } => add_powers(of(factor), none, weight, gradient),
            Regularizer::L2 { factor } => add_powers(none, of(factor), weight, gradient),
            Regularizer::L1L2 { l1, l2 } => add_powers(of(l1), of(l2), weight, gradient),
            Regularizer::Orthogonal { factor, mode } => {
                let (Ok(mut weight), Ok(mut gradient)) =
                    (weight.view().into_dimensionality::<Ix2>(), gradient.view_mut().into_dimensionality::<Ix2>())
                else {
                    return none;
                };
                if mode == OrthogonalMode::Columns {
                    (weight, gradient) = (weight.reversed_axes(), gradient.reversed_axes());
                }
                add_orthogonal(of(factor), weight, gradient)
            }
        }
    }
}

fn add_powers<T: Float>(l1: T, l2: T, weight: &ArrayViewD<'_, T>, gradient: &mut ArrayViewMutD<'_, T>) -> T {
    let (zero, two) = (T::zero(), T::one() + T::one());
    let (mut sizes, mut squares) = (zero, zero);
    for &w in weight {
        sizes += w.abs();
        squares = w.mul_add(w, squares);
    }
    Zip::from(gradient).and(weight).for_each(|g, &w| {
        if l1 != zero && w != zero {
            *g += l1 * w.signum();
        }
        *g += l2 * (two * w);
    });
    // A factor of none has no part in it, even if the weights are infinite.
    let of = |factor: T, sum: T| if factor == zero { zero } else { factor * sum };
    of(l1, sizes) + of(l2, squares)
}

/// Of rows: with n = r / |r|, the penalty is `c sum over i != j of |n_i n_j| / 2`.
fn add_orthogonal<T: Float>(factor: T, weight: ArrayView2<'_, T>, mut gradient: ArrayViewMut2<'_, T>) -> T {
    let (rows, zero, half) = (weight.nrows(), T::zero(), T::from_f64(0.5));
    let product =
        |a: ArrayView1<'_, T>, b: ArrayView1<'_, T>| a.iter().zip(b).fold(zero, |sum, (&a, &b)| a.mul_add(b, sum));
    // As in Keras, a row of next to nothing isn't made longer than by 1 / 1e-7 or so.
    let limit = T::one() / by_f32::<T>(1e-7);
    let lengths: Vec<T> = weight.rows().into_iter().map(|row| T::one() / product(row, row).sqrt()).collect();
    let mut unit = weight.to_owned();
    for (mut row, &length) in unit.rows_mut().into_iter().zip(&lengths) {
        row.mapv_inplace(|w| w * length.min(limit));
    }
    let pairs = T::from_f64(rows as f64 * (rows as f64 - 1.0) / 2.0);
    let mut penalty = zero;
    for (i, &own_length) in lengths.iter().enumerate() {
        let mut d_unit = Array1::<T>::zeros(unit.ncols());
        for j in (0..rows).filter(|&j| j != i) {
            let cosine = product(unit.row(i), unit.row(j));
            penalty += cosine.abs();
            if cosine != zero {
                let sign = cosine.signum();
                Zip::from(&mut d_unit).and(unit.row(j)).for_each(|d, &n| *d += sign * n);
            }
        }
        // The length of a row that is too short doesn't depend on it.
        let short = own_length >= limit;
        let along = if short { zero } else { product(unit.row(i), d_unit.view()) };
        let scale = factor / pairs * own_length.min(limit);
        Zip::from(gradient.row_mut(i))
            .and(&d_unit)
            .and(unit.row(i))
            .for_each(|g, &d, &n| *g += scale * (d - along * n));
    }
    factor * half * penalty / pairs
}
