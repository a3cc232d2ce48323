//! PReLU: `x` where it is positive, `alpha x` where it is negative; alpha is learned.

use ndarray::{ArrayD, Zip};

use super::backward::summed_to;
use crate::float::Float;

pub(super) fn value<T: Float>(x: T, alpha: T) -> T {
    if x < T::zero() { alpha * x } else { x }
}

/// Turns the gradient of the value into that of `x`, and returns alpha's. Keras makes the value of two halves by relu,
/// whose slope at zero is zero.
pub(super) fn backward<T: Float>(x: T, alpha: T, d: &mut T) -> T {
    let of_alpha = if x >= T::zero() { T::zero() } else { x * *d };
    *d = match () {
        () if x > T::zero() => *d,
        () if x < T::zero() => alpha * *d,
        () => T::zero(),
    };
    of_alpha
}

/// The values of an array (batch, ..), where alpha spreads to each row. `None` if it doesn't.
pub(super) fn values<T: Float>(mut x: ArrayD<T>, alpha: &ArrayD<T>) -> Option<ArrayD<T>> {
    for mut row in x.outer_iter_mut() {
        let alpha = alpha.broadcast(row.raw_dim())?;
        row.zip_mut_with(&alpha, |x, &alpha| *x = value(*x, alpha));
    }
    Some(x)
}

/// The way back through [`values`]: the gradient of `x`; that of alpha is added.
pub(super) fn values_backward<T: Float>(
    x: &ArrayD<T>,
    alpha: &ArrayD<T>,
    mut d: ArrayD<T>,
    sum: Option<&mut ArrayD<T>>,
) -> Option<ArrayD<T>> {
    let mut of_alpha = ArrayD::zeros(x.raw_dim());
    for ((mut d, mut of_alpha), x) in d.outer_iter_mut().zip(of_alpha.outer_iter_mut()).zip(x.outer_iter()) {
        let alpha = alpha.broadcast(x.raw_dim())?;
        let each = |d: &mut T, of_alpha: &mut T, &x: &T, &alpha: &T| *of_alpha = backward(x, alpha, d);
        Zip::from(&mut d).and(&mut of_alpha).and(&x).and(&alpha).for_each(each);
    }
    if let Some(sum) = sum {
        let shape: Vec<usize> = std::iter::once(1).chain(alpha.shape().iter().copied()).collect();
        let of_alpha = summed_to(of_alpha, &shape);
        sum.iter_mut().zip(&of_alpha).for_each(|(sum, &of_alpha)| *sum += of_alpha);
    }
    Some(d)
}
