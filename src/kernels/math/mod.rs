//! The elementary functions: scalar, branch-free, `#[inline(always)]`, the same bits on every machine with fused
//! multiply-add.
//!
//! A loop that calls one of them over a flat slice inside a [`Kernel`](crate::kernels::isa::Kernel) is vectorised by
//! the compiler. Nothing here calls the standard library's functions, whose last bits differ between systems.
//! - `elementary` - what differs between `f32` and `f64`
//! - `exp` - `exp`, `expm1`, sigmoid and tanh, and the last two before their division, for kernels that divide less
//! - `log` - logarithms and softplus, in `f64`
//! - `erf` - Gaussian tails, for gelu, in `f64`
//! - `scalar` - each of them for one number, on the best instruction set of the machine
//!
//! The polynomials come from `tools/fit_math.py`. The bounds that the functions keep are in [`crate::math`].

mod elementary;
pub(crate) mod erf;
mod exp;
pub(crate) mod log;
pub(crate) mod scalar;
#[cfg(test)]
mod tests;

pub use elementary::Elementary;
pub(crate) use exp::{
    Scaled, constant, exp, exp_of_minus_abs, exp_of_sum, exp_tail, expm1, product, sigmoid, sigmoid_and_rest, tanh,
};
