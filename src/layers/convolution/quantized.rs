//! A convolution over time in fewer bits.

use std::fmt;
use std::sync::Arc;

#[cfg(feature = "keras")]
use crate::initializers::Initializer;

use super::{Common, Convolve, Windows};
use crate::activation::Activation;
use crate::buffers::take;
use crate::cells::quantized::{check, format, to_quantize};
use crate::config::{Config, ConfigError, activations};
use crate::error::{Error, Result};
use crate::kernels::QuantizedDenseKernel;
use crate::parameters::{Parameters, Sealed, own_parameters, stateless};
use crate::precision::Precision;
use crate::stamp::Stamp;
use crate::state::StateLayout;
use crate::strided::{Rows, RowsMut};
use crate::structure::StructureVisitor;
use crate::weights::{Kept, Packed, QuantizedVisitor, QuantizedWeight, WeightVisitor, WeightVisitorMut};

/// A [`Conv1D`](crate::Conv1D) whose weights are kept in fewer bits, a layer of a [`Model`](crate::Model): made by
/// [`Conv1D::quantize`](crate::Conv1D::quantize).
///
/// Bytes have a scale for each filter. What a window reads is a row of its own: its numbers, those of padding among them,
/// are multiplied as whole numbers of 14 or 8 bits with one scale.
///
/// ```
/// use ndarray::prelude::*;
/// use recurrent::{Conv1D, Padding, Precision, Sequential};
/// let small = Conv1D::<f32>::builder(3, 8, 5).padding(Padding::Causal).build()?.quantize(Precision::Int8)?;
/// assert!(small.weight("kernel").is_err());
/// assert_eq!(small.dequantized("kernel")?.shape(), [5, 3, 8]);
/// let model = Sequential::<f32>::builder("filter").layer(small).build()?;
/// assert_eq!(model.predict_one(&Array3::<f32>::ones((2, 7, 3)))?.shape(), [2, 7, 8]);
/// # Ok::<(), recurrent::Error>(())
/// ```
#[derive(Clone)]
pub struct QuantizedConv1D {
    /// (kernel_size, input_size / groups, filters)
    shape: [usize; 3],
    /// The kernels of the groups, each with its part of the bias.
    packed: Vec<QuantizedDenseKernel>,
    precision: Precision,
    common: Common,
    stamp: Stamp,
}

impl QuantizedConv1D {
    /// Of a kernel, (kernel_size, input_size / groups, filters), and a bias.
    pub(super) fn new(
        precision: Precision,
        shape: [usize; 3],
        (kernel, bias): (&[f32], Option<&[f32]>),
        common: Common,
    ) -> Result<Self> {
        let format = to_quantize("Conv1D", precision)?;
        check(format, "kernel", kernel)?;
        Ok(Self::of_packed(precision, shape, (&format.pack(kernel, shape[2]), bias), common))
    }

    pub(super) fn of_packed(
        precision: Precision,
        shape: [usize; 3],
        (kernel, bias): (&Packed, Option<&[f32]>),
        common: Common,
    ) -> Self {
        let [size, channels, filters] = shape;
        let groups = common.input_size / channels;
        let width = filters / groups;
        let of_group = |group| {
            let columns = group * width..(group + 1) * width;
            let bias = bias.map(|bias| bias[columns.clone()].to_vec());
            QuantizedDenseKernel::of_columns(format(precision), (size * channels, filters), columns, (kernel, bias))
        };
        QuantizedConv1D { shape, packed: (0..groups).map(of_group).collect(), precision, common, stamp: Stamp::new() }
    }

    /// In how many bits the weights are kept.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// The numbers that a window of a group reads.
    fn reads(&self) -> usize {
        self.shape[0] * self.shape[1]
    }

    fn bias(&self) -> Option<Vec<f32>> {
        let of_groups: Option<Vec<&[f32]>> = self.packed.iter().map(QuantizedDenseKernel::bias).collect();
        of_groups.map(|of_groups| of_groups.concat())
    }
}

impl Convolve<f32> for QuantizedConv1D {
    fn common(&self) -> &Common {
        &self.common
    }

    #[cfg(feature = "keras")]
    fn tell(&mut self, _initializers: Vec<Initializer>) {}

    fn work_len(&self, _positions: usize, _count: usize) -> Option<usize> {
        self.reads().checked_add(self.packed.first().map_or(0, QuantizedDenseKernel::scratch_len))
    }

    fn forward(&self, windows: Windows<'_, f32>, activation: &Activation, out: &mut [f32], work: &mut Vec<f32>) {
        let ([_, channels, filters], groups) = (self.shape, self.packed.len());
        let (reads, width) = (self.reads(), filters / groups);
        let scratch = self.packed.first().map_or(0, QuantizedDenseKernel::scratch_len);
        let (gathered, scratch) = take(work, reads + scratch).split_at_mut(reads);
        for (at, out) in out.chunks_exact_mut(windows.count * filters).enumerate().take(windows.batch) {
            let sequence = windows.sequence(at);
            for (i, row) in out.chunks_exact_mut(filters).enumerate() {
                for (group, (kernel, out)) in self.packed.iter().zip(row.chunks_exact_mut(width)).enumerate() {
                    for (tap, to) in gathered.chunks_exact_mut(channels).enumerate() {
                        let position = i * windows.stride + tap * windows.dilation;
                        let from = position * self.common.input_size + group * channels;
                        to.copy_from_slice(&sequence[from..][..channels]);
                    }
                    let (x, out) = (Rows::packed(gathered, reads), RowsMut::packed(out, width));
                    kernel.forward(1, x, out, &Activation::Linear, scratch);
                }
                self.packed[0].activate(activation, row);
            }
        }
    }

    /// Never asked for: see `can_train`.
    fn backward(&self, _: Windows<'_, f32>, _: &[f32], _: Option<&mut [f32]>, _: &mut [&mut [f32]]) {}

    fn can_train(&self) -> Result<()> {
        Err(Error::QuantizedTraining { layer: "QuantizedConv1D" })
    }

    fn class_in_fewer_bits(&self) -> Option<&'static str> {
        Some("QuantizedConv1D")
    }

    fn quantized(&self, _precision: Precision) -> Result<Option<QuantizedConv1D>> {
        let reason = "its weights are in fewer bits already: quantize the layer it was made of";
        Err(Error::CannotQuantize { layer: "QuantizedConv1D".into(), reason })
    }
}

impl Sealed for QuantizedConv1D {}

impl Parameters<f32> for QuantizedConv1D {
    fn layout(&self) -> &Arc<StateLayout> {
        stateless()
    }

    fn visit_weights<'a>(&'a self, _visitor: &mut WeightVisitor<'_, 'a, f32>) {}

    fn visit_weights_mut(&mut self, _visitor: &mut WeightVisitorMut<'_, f32>) -> Result<()> {
        Ok(())
    }

    fn visit_quantized(&self, visitor: &mut QuantizedVisitor<'_>) {
        let kept = &|| Kept::Packed(QuantizedDenseKernel::side_by_side(&self.packed));
        let bytes = self.packed.iter().map(QuantizedDenseKernel::bytes).sum();
        visitor.weight("kernel", QuantizedWeight { shape: &self.shape, bytes, kept });
        if let Some(bias) = self.bias() {
            let (shape, kept) = (&[bias.len()], &|| Kept::Floats(bias.clone()));
            visitor.weight("bias", QuantizedWeight { shape, bytes: size_of_val(&bias[..]), kept });
        }
    }

    fn describe(&self) -> std::result::Result<Config, ConfigError> {
        let common = &self.common;
        let config =
            Config::new("QuantizedConv1D").with("input_size", common.input_size).with("filters", common.output_size);
        Ok(common
            .window
            .describe(config, "kernel_size")
            .with("groups", self.packed.len())
            .with("activation", activations::describe(&common.activation)?)
            .with("use_bias", self.bias().is_some())
            .with("precision", self.precision.name()))
    }

    fn visit_structure(&self, visitor: &mut StructureVisitor<'_>) {
        visitor.layer("QuantizedConv1D", Some(self.stamp));
        visitor.value("precision", self.precision);
        visitor.value("window", self.common.window);
        visitor.value("activation", &self.common.activation);
    }

    fn unshare(&mut self) -> Result<()> {
        Ok(())
    }
}

own_parameters!([] QuantizedConv1D, f32);

impl fmt::Debug for QuantizedConv1D {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        super::debug(f, "QuantizedConv1D", &self.common)
            .field("groups", &self.packed.len())
            .field("precision", &self.precision)
            .finish_non_exhaustive()
    }
}
