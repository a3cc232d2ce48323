//! The crate's own elementary functions, for cells of your own: the same bits as in the built-in layers, on every
//! machine with fused multiply-add.

use crate::float::Float;
use crate::kernels::isa::{Arch, Isa, Kernel, dispatch};
use crate::kernels::math as kernels;

macro_rules! functions {
    ($($(#[$doc:meta])* $name:ident = $inner:ident;)*) => {$(
        $(#[$doc])*
        #[inline]
        pub fn $name<T: Float>(x: T) -> T {
            struct One<T>(T);
            impl<T: Float> Kernel for One<T> {
                type Output = T;
                #[inline(always)]
                fn run<A: Arch>(self) -> T {
                    kernels::$inner::<A, T>(self.0)
                }
            }
            dispatch(Isa::detect(), One(x))
        }
    )*};
}

functions! {
    /// The exponential function.
    exp = exp;
    /// `exp(x) - 1`, exact for small `x` too.
    exp_m1 = expm1;
    /// The logistic function, `1 / (1 + exp(-x))`.
    sigmoid = sigmoid;
    /// The hyperbolic tangent.
    tanh = tanh;
}
