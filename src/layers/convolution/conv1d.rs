//! A convolution over time.

use std::any::TypeId;
use std::fmt;
use std::sync::Arc;

use ndarray::{Array1, Array3, Ix3};

use super::builder::ConvolutionBuilder;
use super::quantized::QuantizedConv1D;
use super::{Common, Convolve, Windows};
use crate::activation::Activation;
use crate::buffers::take;
use crate::config::{Config, ConfigError, activations};
use crate::error::{Error, Result};
use crate::float::Float;
use crate::initializers::Initializer;
use crate::kernels::DenseKernel;
use crate::kernels::activate::activate;
use crate::kernels::backward::OuterSums;
use crate::kernels::isa::Isa;
use crate::layers::builder::check_sizes;
use crate::parameters::{Parameters, Sealed, own_parameters, stateless};
use crate::precision::Precision;
use crate::stamp::Stamp;
use crate::state::StateLayout;
use crate::strided::{Rows, RowsMut};
use crate::structure::StructureVisitor;
use crate::weights::{WeightVisitor, WeightVisitorMut};

/// A convolution over time: Keras's `Conv1D`, a layer of a [`Model`](crate::Model).
///
/// It reads (batch, timesteps, input_size) and gives (batch, steps, filters); [`Padding`](crate::Padding) says how many
/// steps. Masks end here, as in Keras. Weights: `kernel` (kernel_size, input_size / groups, filters), `bias` (filters).
///
/// Unless its padding is [`Same`](crate::Padding::Same) it runs step by step: see [`Model::stream`](crate::Model::stream);
/// with strides, or without padding, [`push`](crate::model::ModelStream::push) says which steps give an output. What it
/// keeps is its last (kernel_size - 1) * dilation_rate inputs, the part
/// `inputs` of its state, the oldest first; with a dilation they are a ring, and the part `position` says where the
/// oldest is.
///
/// ```
/// use ndarray::prelude::*;
/// use recurrent::{Activation, Conv1D, Dense, Lstm, Padding, Sequential};
/// let model = Sequential::<f32>::builder("cnn_lstm")
///     .layer(Conv1D::builder(3, 8, 5).padding(Padding::Causal).activation(Activation::Relu).build()?)
///     .layer(Lstm::new(8, 4))
///     .layer(Dense::new(4, 1))
///     .build()?;
/// assert_eq!(model.predict_one(&Array3::<f32>::ones((2, 7, 3)))?.shape(), [2, 1]);
/// # Ok::<(), recurrent::Error>(())
/// ```
#[derive(Clone)]
pub struct Conv1D<T: Float = f32> {
    kernel: Array3<T>,
    bias: Option<Array1<T>>,
    common: Common,
    /// One for each group.
    packed: Vec<DenseKernel<T>>,
    stamp: Stamp,
}

impl<T: Float> Conv1D<T> {
    /// A builder for a convolution of `input_size` channels with `filters` windows of `kernel_size` steps.
    pub fn builder(input_size: usize, filters: usize, kernel_size: usize) -> ConvolutionBuilder<'static, Self> {
        ConvolutionBuilder::new(input_size, filters, kernel_size, 1)
    }
}

impl<T: Float> ConvolutionBuilder<'_, Conv1D<T>> {
    /// Parts of the channels, and of the filters, that have nothing to do with one another; one unless it is set.
    pub fn groups(mut self, groups: usize) -> Self {
        self.groups = groups;
        self
    }

    /// How `kernel`, (kernel_size, input_size / groups, filters), is filled.
    pub fn kernel_initializer(mut self, initializer: Initializer) -> Self {
        self.kernel_initializers[0] = initializer;
        self
    }

    /// Makes the layer.
    ///
    /// # Errors
    /// [`Error::ZeroSize`], [`Error::SizeOverflow`], [`Error::OutOfMemory`], [`Error::ActivationWidth`],
    /// [`Error::OptionNumber`] for groups that don't divide the channels and the filters, or a dilation with strides
    /// above one; an activation's or initializer's own error.
    pub fn build(mut self) -> Result<Conv1D<T>> {
        let shape = self.kernel_shape()?;
        let common = self.common(self.filters)?;
        let kernel = common.initializers[0].initialize(&shape)?;
        let kernel =
            kernel.into_dimensionality::<Ix3>().map_err(|_| Error::TensorTooLarge { shape: shape.to_vec() })?;
        let bias = self.use_bias.then(|| common.initializers[1].initialize(&[self.filters])).transpose()?;
        Ok(Conv1D::from_weights(kernel, bias.map(|bias| bias.iter().copied().collect()), common))
    }

    /// The kernel's shape, if nothing is wrong.
    pub(super) fn kernel_shape(&self) -> Result<[usize; 3]> {
        self.check()?;
        let refuse =
            |option, expected, given: usize| Err(Error::OptionNumber { option, expected, given: given as f64 });
        if self.window.stride > 1 && self.window.dilation > 1 {
            return refuse("dilation_rate", "1 where strides are above 1", self.window.dilation);
        }
        if !self.input_size.is_multiple_of(self.groups) || !self.filters.is_multiple_of(self.groups) {
            return refuse("groups", "a divisor of the input's channels and of the filters", self.groups);
        }
        let shape = [self.window.size, self.input_size / self.groups, self.filters];
        let rows = self.window.size.checked_mul(shape[1]);
        let packed = rows.and_then(|rows| DenseKernel::<T>::packed_len(rows, self.filters / self.groups));
        let packed = packed.and_then(|packed| packed.checked_mul(self.groups));
        check_sizes::<T>((self.input_size, self.filters, 1), [("kernel", &shape[..])], packed)?;
        Ok(shape)
    }
}

/// The outputs of one group and one phase: of a dilation of d, every d-th output reads its own d-th of the positions.
#[derive(Debug, Clone, Copy)]
struct Part {
    group: usize,
    phase: usize,
    /// Its outputs.
    count: usize,
}

impl<T: Float> Conv1D<T> {
    /// Both arrays in standard layout.
    pub(super) fn from_weights(kernel: Array3<T>, bias: Option<Array1<T>>, common: Common) -> Self {
        let (size, channels, filters) = kernel.dim();
        let groups = common.input_size / channels;
        let packed = vec![DenseKernel::new(size * channels, filters / groups); groups];
        let mut layer = Conv1D { kernel, bias, common, packed, stamp: Stamp::new() };
        layer.pack();
        layer
    }

    fn pack(&mut self) {
        self.stamp.renew();
        let (filters, width) = (self.common.output_size, self.width());
        let kernel = self.kernel.as_slice().unwrap_or_default();
        debug_assert_eq!(kernel.len(), self.kernel.len(), "weights stand in row order");
        for (group, packed) in self.packed.iter_mut().enumerate() {
            let bias = self.bias.as_ref().and_then(|bias| bias.as_slice());
            packed.pack_columns(kernel, filters, group * width, bias.map(|bias| &bias[group * width..][..width]));
        }
    }

    /// The same layer with its weights in fewer bits: see the page [`fewer_bits`](crate::fewer_bits).
    ///
    /// # Errors
    /// [`Error::CannotQuantize`] for one of f64, [`Error::QuantizedValue`] for a weight that isn't finite.
    pub fn quantize(&self, precision: Precision) -> Result<QuantizedConv1D> {
        if TypeId::of::<T>() != TypeId::of::<f32>() {
            return Err(Error::CannotQuantize { layer: "Conv1D".into(), reason: "it is of f64" });
        }
        let singles = |weight: &T| weight.into_f64() as f32;
        let kernel: Vec<f32> = self.kernel.iter().map(singles).collect();
        let bias: Option<Vec<f32>> = self.bias.as_ref().map(|bias| bias.iter().map(singles).collect());
        QuantizedConv1D::new(precision, self.kernel.dim().into(), (&kernel, bias.as_deref()), self.common.clone())
    }

    /// Parts of the channels, and of the filters, that have nothing to do with one another.
    #[cfg(feature = "pytorch")]
    pub(crate) fn groups(&self) -> usize {
        self.packed.len()
    }

    /// The filters of a group.
    fn width(&self) -> usize {
        self.common.output_size / self.packed.len()
    }

    fn parts(&self, windows: &Windows<'_, T>) -> impl Iterator<Item = Part> + use<T> {
        let (groups, count, dilation) = (self.packed.len(), windows.count, windows.dilation);
        let phases = move |group| {
            let part = move |phase| Part { group, phase, count: (count - phase).div_ceil(dilation) };
            (0..dilation.min(count)).map(part)
        };
        (0..groups).flat_map(phases)
    }

    /// The windows of a part, as rows that overlap; gathered in `work` if they aren't so in memory.
    fn rows<'r>(&self, windows: &Windows<'r, T>, x: &'r [T], part: Part, work: &'r mut Vec<T>) -> Rows<'r, T> {
        let (size, channels, _) = self.kernel.dim();
        let all = self.common.input_size;
        if self.packed.len() == 1 && windows.dilation == 1 {
            return Rows::new(x, 0, windows.stride * all, size * all);
        }
        let positions = (part.count - 1) * windows.stride + size;
        let gathered = take(work, positions * channels);
        for (i, to) in gathered.chunks_exact_mut(channels).enumerate() {
            let from = (part.phase + i * windows.dilation) * all + part.group * channels;
            to.copy_from_slice(&x[from..][..channels]);
        }
        Rows::new(gathered, 0, windows.stride * channels, size * channels)
    }

    /// Where in the outputs of one sequence those of a part begin, and how far they are apart.
    fn place(&self, windows: &Windows<'_, T>, part: Part) -> (usize, usize) {
        let filters = self.common.output_size;
        (part.phase * filters + part.group * self.width(), windows.dilation * filters)
    }

    /// Adds the gradients of a part's windows to those of the positions.
    fn add_to_positions(&self, windows: &Windows<'_, T>, part: Part, first: usize, of_windows: &[T], d_x: &mut [T]) {
        let (size, channels, _) = self.kernel.dim();
        for (i, of_window) in of_windows.chunks_exact(size * channels).enumerate() {
            for (tap, d) in of_window.chunks_exact(channels).enumerate() {
                let position = part.phase + ((first + i) * windows.stride + tap) * windows.dilation;
                let to = &mut d_x[position * self.common.input_size + part.group * channels..][..channels];
                to.iter_mut().zip(d).for_each(|(to, &d)| *to += d);
            }
        }
    }

    fn description(&self) -> Result<Config, ConfigError> {
        let common = &self.common;
        let config = Config::new("Conv1D").with("input_size", common.input_size).with("filters", common.output_size);
        Ok(common
            .window
            .describe(config, "kernel_size")
            .with("groups", self.packed.len())
            .with("activation", activations::describe(&common.activation)?)
            .with("use_bias", self.bias.is_some())
            .with("kernel_initializer", common.initializers[0].describe()?)
            .with("bias_initializer", common.initializers[1].describe()?))
    }
}

/// Outputs whose windows' gradients are computed together.
const LOT: usize = 256;

impl<T: Float> Convolve<T> for Conv1D<T> {
    fn common(&self) -> &Common {
        &self.common
    }

    #[cfg(feature = "keras")]
    fn tell(&mut self, initializers: Vec<Initializer>) {
        self.common.initializers = initializers;
    }

    fn quantized(&self, precision: Precision) -> Result<Option<QuantizedConv1D>> {
        self.quantize(precision).map(Some)
    }

    fn work_len(&self, positions: usize, _count: usize) -> Option<usize> {
        let gathers = self.packed.len() > 1 || self.common.window.dilation > 1;
        positions.checked_add(self.common.window.size)?.checked_mul(if gathers { self.kernel.dim().1 } else { 0 })
    }

    fn forward(&self, windows: Windows<'_, T>, activation: &Activation, out: &mut [T], work: &mut Vec<T>) {
        let (filters, width) = (self.common.output_size, self.width());
        let whole_rows = self.packed.len() == 1;
        for at in 0..windows.batch {
            let out = &mut out[at * windows.count * filters..][..windows.count * filters];
            for part in self.parts(&windows) {
                let rows = self.rows(&windows, windows.sequence(at), part, work);
                let (start, stride) = self.place(&windows, part);
                let to = RowsMut::new(out, start, stride, width);
                let activation = if whole_rows { activation } else { &Activation::Linear };
                self.packed[part.group].forward(part.count, rows, to, activation);
            }
            if !whole_rows {
                out.chunks_exact_mut(filters).for_each(|row| activate(Isa::detect(), activation, row));
            }
        }
    }

    fn backward(&self, windows: Windows<'_, T>, dz: &[T], mut d_x: Option<&mut [T]>, sums: &mut [&mut [T]]) {
        let ((size, channels, filters), width) = (self.kernel.dim(), self.width());
        let reads = size * channels;
        let (mut work, mut of_windows) = (Vec::new(), Vec::new());
        let mut outer = OuterSums::new(reads, width);
        let kernel = self.kernel.as_slice().unwrap_or_default();
        for group in 0..self.packed.len() {
            let mut back = DenseKernel::new(width, reads);
            if d_x.is_some() {
                back.pack_transposed(kernel, filters, group * width);
            }
            outer.clear();
            for at in 0..windows.batch {
                let dz = &dz[at * windows.count * filters..][..windows.count * filters];
                for part in self.parts(&windows).filter(|part| part.group == group) {
                    let rows = self.rows(&windows, windows.sequence(at), part, &mut work);
                    let (start, stride) = self.place(&windows, part);
                    let dz = Rows::new(dz, start, stride, width);
                    if !sums.is_empty() {
                        outer.add(part.count, rows, dz);
                    }
                    let Some(d_x) = d_x.as_deref_mut() else { continue };
                    let len = d_x.len() / windows.batch;
                    let d_x = &mut d_x[at * len..][..len];
                    for first in (0..part.count).step_by(LOT) {
                        let count = LOT.min(part.count - first);
                        let found = take(&mut of_windows, count * reads);
                        let to = RowsMut::packed(found, reads);
                        back.forward(count, dz.skip(first), to, &Activation::Linear);
                        self.add_to_positions(&windows, part, first, &of_windows[..count * reads], d_x);
                    }
                }
            }
            if let [kernel, ..] = sums {
                outer.flush(RowsMut::new(kernel, group * width, filters, width));
            }
        }
        if let [_, bias] = sums {
            super::add_rows(bias, dz);
        }
    }
}

impl<T: Float> Sealed for Conv1D<T> {}

impl<T: Float> Parameters<T> for Conv1D<T> {
    fn layout(&self) -> &Arc<StateLayout> {
        stateless()
    }

    fn visit_weights<'a>(&'a self, visitor: &mut WeightVisitor<'_, 'a, T>) {
        visitor.weight("kernel", &self.kernel);
        if let Some(bias) = &self.bias {
            visitor.weight("bias", bias);
        }
    }

    fn visit_weights_mut(&mut self, visitor: &mut WeightVisitorMut<'_, T>) -> Result<()> {
        visitor.weight("kernel", &mut self.kernel);
        if let Some(bias) = &mut self.bias {
            visitor.weight("bias", bias);
        }
        self.pack();
        Ok(())
    }

    fn describe(&self) -> Result<Config, ConfigError> {
        self.description()
    }

    fn visit_structure(&self, visitor: &mut StructureVisitor<'_>) {
        visitor.layer("Conv1D", Some(self.stamp));
        visitor.value("window", self.common.window);
        visitor.value("activation", &self.common.activation);
    }

    fn unshare(&mut self) -> Result<()> {
        Ok(())
    }
}

own_parameters!([T: Float] Conv1D<T>, T);

impl<T: Float> fmt::Debug for Conv1D<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        super::debug(f, "Conv1D", &self.common).field("groups", &self.packed.len()).finish_non_exhaustive()
    }
}
