//! The arithmetic: slices and sizes only, no arrays, and the only place of `unsafe`.

pub(crate) mod activate;
pub(crate) mod isa;
pub(crate) mod math;

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
}

/// What the kernels need of an element type. Implemented by `f32` and `f64` only.
pub trait Element: sealed::Sealed + Copy + Send + Sync + 'static {}

impl Element for f32 {}
impl Element for f64 {}
