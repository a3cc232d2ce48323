//! The crate's own elementary functions, for cells of your own: the same bits as in the built-in layers, on every
//! machine with fused multiply-add.

use crate::float::Float;
use crate::kernels::isa::{Arch, Isa, Kernel, dispatch};
use crate::kernels::math as kernels;

/// The largest error of [`exp`], [`exp_m1`], [`ln`], [`ln_1p`], [`sigmoid`], [`softplus`] and [`tanh`] in `f32`, in units
/// in the last place, where the true value is a normal number. Below that it is less than the smallest normal number.
pub const MAX_ULP_F32: f64 = 3.0;

/// The same in `f64`.
pub const MAX_ULP_F64: f64 = 4.0;

/// `fn name<T: Float>(x: T) -> T`, which runs a kernel's function on the best instruction set of the machine.
macro_rules! functions {
    ($($(#[$doc:meta])* $name:ident: |$x:ident| $call:expr;)*) => {$(
        $(#[$doc])*
        #[inline]
        pub fn $name<T: Float>(x: T) -> T {
            struct One<T>(T);
            impl<T: Float> Kernel for One<T> {
                type Output = T;
                #[inline(always)]
                fn run<A: Arch>(self) -> T {
                    let $x = self.0;
                    $call
                }
            }
            dispatch(Isa::detect(), One(x))
        }
    )*};
}

functions! {
    /// The exponential function.
    exp: |x| kernels::exp::<A, T>(x);
    /// `exp(x) - 1`, exact for small `x` too.
    exp_m1: |x| kernels::expm1::<A, T>(x);
    /// The natural logarithm.
    ln: |x| T::from_f64(kernels::log::ln::<A>(x.into_f64()));
    /// `ln(1 + x)`, exact for small `x` too.
    ln_1p: |x| T::from_f64(kernels::log::ln_1p::<A>(x.into_f64()));
    /// The logistic function, `1 / (1 + exp(-x))`: in [0, 1], 0 and 1 at the infinities.
    sigmoid: |x| kernels::sigmoid::<A, T>(x);
    /// `ln(1 + exp(x))`.
    softplus: |x| T::from_f64(kernels::log::softplus::<A>(x.into_f64()));
    /// The hyperbolic tangent: odd, in [-1, 1], 1 at infinity.
    tanh: |x| kernels::tanh::<A, T>(x);
}
