//! In how many bits a layer keeps its weights.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};

/// In how many bits a quantized layer keeps its weights, and multiplies them: see
/// [`Layer::quantize`](crate::Layer::quantize). Whatever it is, sums of gates and states stay f32.
///
/// ```
/// use ndarray::prelude::*;
/// use recurrent::{Gru, Layer, Precision};
///
/// let gru = Gru::<f32>::new(64, 128);
/// let small = gru.quantize(Precision::Int8)?;
/// println!("{}", gru.compare(&small, &Array3::ones((1, 20, 64)))?); // what it changes, on your own data
/// # Ok::<(), recurrent::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Precision {
    /// Weights of 8 bits, a scale for each output column; inputs and states of 14 bits, a scale for each row and step.
    /// The error is that of the weights alone. `"int8"`.
    Int8,
    /// Weights of 8 bits as in [`Int8`](Precision::Int8), inputs and states of 8 bits: 2 to 4 times the error, and
    /// faster where the weights stay in the nearest cache and in batches, on processors that multiply bytes (AVX-512
    /// VNNI); elsewhere as fast as `Int8`. `"int8_fast"`.
    Int8Fast,
    /// Weights of 16 bits, [bfloat16](https://en.wikipedia.org/wiki/Bfloat16_floating-point_format); all else f32. The
    /// numbers are those of the f32 layer with rounded weights, bit for bit. `"bfloat16"`.
    Bf16,
    /// Weights and inputs of 8 bits, with Keras's scales: what `model.quantize("int8")` makes of Dense, EinsumDense and
    /// Embedding there, and what they are here when they are read from such a file (`keras::load`). Nothing is quantized
    /// to it here. `"int8_keras"`.
    Int8Keras,
}

impl Precision {
    /// All that layers can be quantized to.
    pub const ALL: [Precision; 3] = [Precision::Int8, Precision::Int8Fast, Precision::Bf16];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Precision::Int8 => "int8",
            Precision::Int8Fast => "int8_fast",
            Precision::Bf16 => "bfloat16",
            Precision::Int8Keras => "int8_keras",
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Precision {
    type Err = Error;

    /// # Errors
    /// [`Error::UnknownName`] lists those that layers can be quantized to.
    fn from_str(name: &str) -> Result<Self> {
        let found = Precision::ALL.into_iter().chain([Precision::Int8Keras]).find(|precision| precision.name() == name);
        let known = Precision::ALL.iter().map(|precision| precision.name().to_string());
        found.ok_or_else(|| Error::unknown_name("precision", name, known))
    }
}
