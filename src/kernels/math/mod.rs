//! The elementary functions: scalar, branch-free, `#[inline(always)]`, the same bits on every machine with fused
//! multiply-add.
//!
//! A loop that calls one of them over a flat slice inside a [`Kernel`](crate::kernels::isa::Kernel) is vectorised by
//! the compiler. Nothing here calls the standard library's functions, whose last bits differ between systems.
//! - `elementary` - what differs between `f32` and `f64`
//! - `exp` - `exp`, `expm1`, sigmoid, tanh, and the two last before their division

mod elementary;
mod exp;

pub use elementary::Elementary;
pub(crate) use exp::{
    Fraction, exp, exp_of_minus_abs, expm1, sigmoid, sigmoid_and_rest, sigmoid_fraction, tanh,
    tanh_fraction,
};
