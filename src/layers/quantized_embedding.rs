//! A table of vectors in fewer bits.

use std::fmt;
use std::sync::Arc;

use ndarray::{Array2, Array3, ArrayRef2};

use super::embedding::{index_of, look_up};
#[cfg(feature = "file")]
use crate::cells::quantized::read;
use crate::cells::quantized::{check, to_quantize};
use crate::config::{Config, ConfigError};
#[cfg(feature = "file")]
use crate::config::{Options, Tensors};
use crate::error::Result;
use crate::parameters::{Parameters, Sealed, own_parameters, stateless};
use crate::precision::Precision;
use crate::stamp::Stamp;
use crate::state::StateLayout;
use crate::structure::StructureVisitor;
use crate::weights::{Kept, Packed, QuantizedVisitor, QuantizedWeight, WeightVisitor, WeightVisitorMut};

/// An [`Embedding`](crate::Embedding) whose table is kept in fewer bits: made by
/// [`Embedding::quantize`](crate::Embedding::quantize), or read from a file of Keras's
/// ([`Precision::Int8Keras`](crate::Precision::Int8Keras)).
///
/// A vector of bytes has a scale of its own, so that rare words with small vectors keep their digits. Only the vectors
/// that are read become f32.
///
/// ```
/// use ndarray::prelude::*;
/// use recurrent::{Embedding, Precision};
/// let table = Embedding::<f32>::builder(1000, 64).mask_zero(true).build()?;
/// let small = table.quantize(Precision::Int8)?;
/// let (x, mask) = small.forward(&array![[4, 2, 0]])?;
/// assert_eq!(x.dim(), (1, 3, 64));
/// assert_eq!(mask, Some(array![[true, true, false]]));
/// assert!(small.weight_bytes() * 3 < table.weight_bytes());
/// assert!(small.weight("embeddings").is_err());
/// assert_eq!(small.dequantized("embeddings")?.shape(), [1000, 64]);
/// # Ok::<(), recurrent::Error>(())
/// ```
#[derive(Clone)]
pub struct QuantizedEmbedding {
    /// Rows with a scale each, or 16-bit floats.
    table: Packed,
    /// (input_dim, output_dim)
    shape: [usize; 2],
    precision: Precision,
    mask_zero: bool,
    stamp: Stamp,
}

impl QuantizedEmbedding {
    /// Of a table, (input_dim, output_dim).
    pub(super) fn new(precision: Precision, shape: (usize, usize), table: &[f32], mask_zero: bool) -> Result<Self> {
        let format = to_quantize("Embedding", precision)?;
        check(format, "embeddings", table)?;
        let table = format.pack_rows(table, shape.1);
        Ok(QuantizedEmbedding { table, shape: shape.into(), precision, mask_zero, stamp: Stamp::new() })
    }

    /// Keras's table of bytes, (input_dim, output_dim), with the scales that its rows are divided by.
    #[cfg(feature = "keras")]
    pub(crate) fn of_keras(shape: [usize; 2], weights: Vec<i8>, scales: Vec<f32>, mask_zero: bool) -> Self {
        let table = Packed::Int8Rows { weights, scales };
        QuantizedEmbedding { table, shape, precision: Precision::Int8Keras, mask_zero, stamp: Stamp::new() }
    }

    /// A table of bytes, (input_dim, output_dim), with the scales of its rows.
    #[cfg(feature = "onnx")]
    pub(crate) fn of_rows(shape: [usize; 2], weights: Vec<i8>, scales: Vec<f32>) -> Self {
        let table = Packed::Int8Rows { weights, scales };
        QuantizedEmbedding { table, shape, precision: Precision::Int8, mask_zero: false, stamp: Stamp::new() }
    }

    /// The vectors of ids (batch, timesteps), as (batch, timesteps, output_dim), and with `mask_zero` the mask that is
    /// true where the id isn't 0. Ids are of any integer type.
    ///
    /// # Errors
    /// Those of [`Embedding::forward`](crate::Embedding::forward).
    pub fn forward<I>(&self, ids: &ArrayRef2<I>) -> Result<(Array3<f32>, Option<Array2<bool>>)>
    where
        I: Copy + fmt::Display + TryInto<usize>,
    {
        look_up(ids, self.shape.into(), self.mask_zero, |index, mut vector| {
            if let Some(vector) = vector.as_slice_mut() {
                self.vector(index, vector);
            }
        })
    }

    /// Writes the vector of the id at this place of a row of ids.
    pub(crate) fn write(&self, place: usize, id: i64, vector: &mut [f32]) -> Result<()> {
        self.vector(index_of(self.shape[0], (0, place), id)?, vector);
        Ok(())
    }

    /// Writes the vector of this row.
    fn vector(&self, index: usize, vector: &mut [f32]) {
        let range = index * vector.len()..(index + 1) * vector.len();
        match &self.table {
            Packed::Int8Rows { weights, scales } | Packed::Int8 { weights, scales } => {
                let (scale, divides) = (scales[index], self.precision == Precision::Int8Keras);
                let value = |weight: f32| if divides { weight / scale } else { weight * scale };
                vector.iter_mut().zip(&weights[range]).for_each(|(to, &weight)| *to = value(f32::from(weight)));
            }
            Packed::Bf16(words) => {
                let words = words[range].iter();
                vector.iter_mut().zip(words).for_each(|(to, &word)| *to = f32::from_bits(u32::from(word) << 16));
            }
        }
    }

    /// All vectors.
    fn values(&self) -> Vec<f32> {
        let mut values = vec![0.0; self.shape[0] * self.shape[1]];
        let width = self.shape[1].max(1);
        values.chunks_exact_mut(width).enumerate().for_each(|(index, vector)| self.vector(index, vector));
        values
    }

    /// In how many bits the table is kept.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// Whether id 0 is masked.
    pub fn masks_zero(&self) -> bool {
        self.mask_zero
    }

    /// The features of a vector.
    pub(crate) fn output_dim(&self) -> usize {
        self.shape[1]
    }

    /// The table of these options, with these weights. Whatever the others' numbers are, its own are of f32.
    #[cfg(feature = "file")]
    pub(crate) fn read<T>(
        options: &Options<'_>,
        tensors: &mut Tensors<'_, T>,
    ) -> std::result::Result<Self, ConfigError> {
        let shape = [options.size("input_dim")?, options.size("output_dim")?];
        let (precision, mask_zero) = (read::precision_or_keras(options)?, options.flag("mask_zero")?);
        let form = (precision != Precision::Bf16, shape[0]);
        let table = match tensors.take_packed("embeddings", &shape, form, precision == Precision::Int8Keras)? {
            Packed::Int8 { weights, scales } => Packed::Int8Rows { weights, scales },
            other => other,
        };
        Ok(QuantizedEmbedding { table, shape, precision, mask_zero, stamp: Stamp::new() })
    }
}

impl Sealed for QuantizedEmbedding {}

impl Parameters<f32> for QuantizedEmbedding {
    fn visit_weights<'a>(&'a self, _visitor: &mut WeightVisitor<'_, 'a, f32>) {}

    fn visit_weights_mut(&mut self, _visitor: &mut WeightVisitorMut<'_, f32>) -> Result<()> {
        Ok(())
    }

    fn visit_quantized(&self, visitor: &mut QuantizedVisitor<'_>) {
        let mut show = |name, shape: &[usize], bytes, kept: &dyn Fn() -> Kept| {
            visitor.weight(name, QuantizedWeight { shape, bytes, kept });
        };
        match &self.table {
            Packed::Int8Rows { weights, scales } if self.precision == Precision::Int8Keras => {
                show("embeddings", &self.shape, weights.len(), &|| Kept::Bytes {
                    weights: weights.clone(),
                    values: self.values(),
                });
                show("embeddings_scale", &self.shape[..1], size_of_val(&scales[..]), &|| Kept::Floats(scales.clone()));
            }
            table => show("embeddings", &self.shape, table.bytes(), &|| Kept::Packed(table.clone())),
        }
    }

    fn unshare(&mut self) -> Result<()> {
        Ok(())
    }

    fn layout(&self) -> &Arc<StateLayout> {
        stateless()
    }

    fn describe(&self) -> std::result::Result<Config, ConfigError> {
        Ok(Config::new("QuantizedEmbedding")
            .with("input_dim", self.shape[0])
            .with("output_dim", self.shape[1])
            .with("mask_zero", self.mask_zero)
            .with("precision", self.precision.name()))
    }

    fn visit_structure(&self, visitor: &mut StructureVisitor<'_>) {
        visitor.layer("QuantizedEmbedding", Some(self.stamp));
        visitor.value("precision", self.precision);
        visitor.option("mask_zero", self.mask_zero.into(), self.mask_zero);
    }
}

own_parameters!([] QuantizedEmbedding, f32);

impl fmt::Debug for QuantizedEmbedding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QuantizedEmbedding")
            .field("input_dim", &self.shape[0])
            .field("output_dim", &self.shape[1])
            .field("precision", &self.precision)
            .field("mask_zero", &self.mask_zero)
            .finish_non_exhaustive()
    }
}
