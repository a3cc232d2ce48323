//! The crate's own elementary functions, for cells of your own.
//!
//! They are what the built-in layers compute: the same bits on every machine with fused multiply-add, whatever its
//! vector width and its C library, which the standard library's functions don't promise. Machines without it agree
//! among themselves. All keep NaN; none flushes subnormal numbers. A whole row is faster by
//! [`Activation::apply`](crate::Activation::apply).
//!
//! ```
//! use recurrent::math;
//!
//! assert_eq!(math::tanh(-0.5_f32), -math::tanh(0.5_f32));
//! assert_eq!(math::sigmoid(f64::INFINITY), 1.0);
//! ```

use crate::activation::Activation;
use crate::error::{Error, Result};
use crate::float::Float;
use crate::kernels::activate::activate;
use crate::kernels::isa::Isa;
use crate::kernels::math::scalar;

/// The largest error in `f32`, in units in the last place, where the true value is a normal number. Below that the
/// error is less than the smallest normal number.
///
/// It holds for the functions of this module and for every [`Activation`] but a few, which round as
/// Keras's equations do: where a parameter is subtracted (`soft_shrink`, the lower part of `relu` with a threshold, the
/// hard sigmoid with a slope and an offset) and `sparsemax`. Softmax and its logarithm keep it up to a width of 100.
///
/// Tests go through all `f32` for tanh, sigmoid and exp, which reach 2.50, 2.41 and 1.05, and through every 997th for
/// the others, which stay below 2.
pub const MAX_ULP_F32: f64 = 3.0;

/// The same in `f64`. Compared with true values at 40000 points each, of which the tests keep 250, mish and gelu reach
/// 3.6, tanh 2.5, the others 3.1.
pub const MAX_ULP_F64: f64 = 4.0;

/// The kernels' functions of these names, for the two element types of layers.
macro_rules! functions {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[inline]
        pub fn $name<T: Float>(x: T) -> T {
            scalar::$name(x)
        }
    )*};
}

functions! {
    /// The exponential function.
    exp;
    /// `exp(x) - 1`, exact for small `x` too.
    exp_m1;
    /// The natural logarithm.
    ln;
    /// `ln(1 + x)`, exact for small `x` too.
    ln_1p;
    /// The logistic function, `1 / (1 + exp(-x))`: in [0, 1], 0 and 1 at the infinities.
    sigmoid;
    /// `ln(1 + exp(x))`.
    softplus;
    /// The hyperbolic tangent: odd, in [-1, 1], 1 at infinity.
    tanh;
}

impl Activation {
    /// Applies the activation to one row and returns the result: the row itself, or its first half for `glu`.
    ///
    /// ```
    /// use recurrent::Activation;
    ///
    /// let mut row = [1.0_f32, 2.0, 3.0];
    /// Activation::Softmax.apply(&mut row)?;
    /// assert_eq!(row, [0.09003057, 0.24472848, 0.66524094]);
    /// # Ok::<(), recurrent::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`validate`](Activation::validate), and [`Error::OddWidth`].
    pub fn apply<'a, T: Float>(&self, row: &'a mut [T]) -> Result<&'a mut [T]> {
        self.validate()?;
        let halved = matches!(self, Activation::Glu);
        if halved && !row.len().is_multiple_of(2) {
            return Err(Error::OddWidth { activation: "glu", width: row.len() });
        }
        activate(Isa::detect(), self, row);
        let width = if halved { row.len() / 2 } else { row.len() };
        Ok(&mut row[..width])
    }
}
