//! The two element types, `f32` and `f64`, as one sealed trait.

use crate::kernels::{Element, math};
use crate::random::Draw;

/// The element type of a layer: `f32` or `f64`. Sealed.
///
/// Beside this trait's own [`sigmoid`](Float::sigmoid), `ndarray::NdFloat` brings `tanh`, `exp`, `mul_add` and the
/// arithmetic operators. Those are the standard library's functions, whose last bits may differ between machines;
/// the functions of [`math`](crate::math) give the same bits everywhere.
pub trait Float: ndarray::NdFloat + Default + Element + Draw {
    /// `1 / (1 + exp(-x))`, the crate's own: the same bits on every machine with fused multiply-add.
    #[must_use]
    fn sigmoid(self) -> Self {
        math::scalar::sigmoid(self)
    }

    /// The nearest value of this type (an `f64` is rounded once).
    #[inline(always)]
    fn from_f64(value: f64) -> Self {
        Self::narrowed(value)
    }

    /// The value as an `f64`, exactly. (`to_f64`, the usual name, is num-traits', which returns an `Option`.)
    #[inline(always)]
    fn into_f64(self) -> f64 {
        self.widened()
    }

    /// Its bytes, the lowest first.
    #[doc(hidden)]
    fn write_le_bytes(self, out: &mut dyn std::io::Write) -> std::io::Result<()>;

    /// Appends the bytes of numbers, each one's lowest first.
    #[doc(hidden)]
    fn push_le_bytes(values: &[Self], bytes: &mut Vec<u8>);

    /// Appends the numbers that these bytes are, each one's lowest first.
    #[doc(hidden)]
    fn extend_le_bytes(bytes: &[u8], values: &mut Vec<Self>);

    /// The numbers that these bytes are.
    #[doc(hidden)]
    fn from_le_bytes(bytes: &[u8]) -> Vec<Self> {
        let mut values = Vec::with_capacity(bytes.len() / size_of::<Self>());
        Self::extend_le_bytes(bytes, &mut values);
        values
    }
}

/// The bytes of numbers, the lowest first: all of their bits.
macro_rules! bytes {
    ($($float:ty)*) => {$(
        impl Float for $float {
            fn write_le_bytes(self, out: &mut dyn std::io::Write) -> std::io::Result<()> {
                out.write_all(&self.to_le_bytes())
            }

            fn push_le_bytes(values: &[Self], bytes: &mut Vec<u8>) {
                bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
            }

            fn extend_le_bytes(bytes: &[u8], values: &mut Vec<Self>) {
                values.extend(bytes.as_chunks().0.iter().map(|&bytes| <$float>::from_le_bytes(bytes)));
            }
        }
    )*};
}
bytes!(f32 f64);
