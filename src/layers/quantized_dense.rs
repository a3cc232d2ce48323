//! A dense layer in fewer bits.

use std::fmt;
use std::sync::Arc;

#[cfg(feature = "file")]
use super::builder::check_activation;
use super::{Layer, quantize, summary};
use crate::activation::Activation;
use crate::buffers::take;
#[cfg(feature = "file")]
use crate::cells::quantized;
use crate::cells::quantized::{check, format, to_quantize};
use crate::config::{Config, ConfigError, activations};
#[cfg(feature = "file")]
use crate::config::{Options, Tensors};
use crate::error::{Error, Result};
use crate::float::Float;
use crate::kernels::QuantizedDenseKernel;
use crate::memory::MemoryNeeds;
use crate::parameters::{Parameters, Sealed, own_parameters};
use crate::precision::Precision;
use crate::runner::layer::{LayerCore, LayerSpec};
use crate::runner::memory::{Call, CallBack, Held};
use crate::runner::pass::{BackwardPass, Pass};
use crate::runner::scratch::Scratch;
use crate::runner::tape::Node;
use crate::seeds::DropoutGenerator;
use crate::stamp::Stamp;
use crate::state::StateLayout;
use crate::strided::{Rows, RowsMut, copy_rows};
use crate::structure::StructureVisitor;
use crate::weights::{Kept, Packed, QuantizedVisitor, QuantizedWeight, WeightVisitor, WeightVisitorMut};

/// A [`Dense`](crate::Dense) whose weights are kept in fewer bits: made by [`Dense::quantize`](crate::Dense::quantize),
/// or read from a file of Keras's ([`Precision::Int8Keras`](crate::Precision::Int8Keras)).
///
/// ```
/// use ndarray::prelude::*;
/// use recurrent::{Dense, Layer, Precision};
/// let dense = Dense::<f32>::new(64, 10);
/// let small = dense.quantize(Precision::Int8)?;
/// assert_eq!(small.forward(&Array3::ones((1, 5, 64)))?.sequence()?.dim(), (1, 5, 10));
/// assert!(small.weight("kernel").is_err());
/// assert_eq!(small.dequantized("kernel")?.shape(), [64, 10]);
/// # Ok::<(), recurrent::Error>(())
/// ```
#[derive(Clone)]
pub struct QuantizedDense {
    kernel: QuantizedDenseKernel,
    precision: Precision,
    activation: Activation,
    layout: Arc<StateLayout>,
    stamp: Stamp,
}

impl QuantizedDense {
    /// Of a kernel, (input_size, units), and a bias.
    pub(super) fn new(
        precision: Precision,
        sizes: (usize, usize),
        (kernel, bias): (&[f32], Option<Vec<f32>>),
        activation: Activation,
    ) -> Result<Self> {
        let format = to_quantize("Dense", precision)?;
        check(format, "kernel", kernel)?;
        Ok(Self::of_packed(precision, sizes, (&format.pack(kernel, sizes.1), bias), activation))
    }

    /// Of a kernel in this form.
    pub(crate) fn of_packed(
        precision: Precision,
        sizes: (usize, usize),
        weights: (&Packed, Option<Vec<f32>>),
        activation: Activation,
    ) -> Self {
        let kernel = QuantizedDenseKernel::new(format(precision), sizes, weights);
        QuantizedDense { kernel, precision, activation, layout: Arc::default(), stamp: Stamp::new() }
    }

    /// The layer of these options, with these weights. Whatever the others' numbers are, its own are of f32.
    #[cfg(feature = "file")]
    pub(crate) fn read<T>(options: &Options<'_>, tensors: &mut Tensors<'_, T>) -> Result<Self, ConfigError> {
        let (rows, units) = (options.size("input_size")?, options.size("units")?);
        let (precision, use_bias) = (quantized::read::precision_or_keras(options)?, options.flag("use_bias")?);
        let activation = activations::read(&options.need("activation", "an activation")?)?;
        check_activation(&activation).map_err(|error| options.refused(error))?;
        let form = (precision != Precision::Bf16, units);
        let kernel = tensors.take_packed("kernel", &[rows, units], form, precision == Precision::Int8Keras)?;
        let bias = use_bias.then(|| tensors.take_singles("bias", &[units])).transpose()?;
        quantized::read::check_memory(options, precision, rows, units)?;
        Ok(Self::of_packed(precision, (rows, units), (&kernel, bias), activation))
    }

    /// The same as a layer of `T`, which it is if that is f32.
    #[cfg(feature = "file")]
    pub(crate) fn read_boxed<T: Float>(
        options: &Options<'_>,
        tensors: &mut Tensors<'_, T>,
    ) -> Result<Box<dyn Layer<T>>, ConfigError> {
        quantize::boxed(Self::read(options, tensors)?).map_err(|error| options.refused(error))
    }

    /// The same as a layer of `T`, which it is if that is f32.
    pub(crate) fn boxed<T: Float>(self) -> Result<Box<dyn Layer<T>>> {
        quantize::boxed(self)
    }

    /// Keras's layer of bytes, with the scales that its columns' sums are divided by.
    pub(crate) fn of_keras(
        sizes: (usize, usize),
        (weights, scales, bias): (Vec<i8>, Vec<f32>, Option<Vec<f32>>),
        activation: Activation,
    ) -> Self {
        Self::of_packed(Precision::Int8Keras, sizes, (&Packed::Int8 { weights, scales }, bias), activation)
    }

    /// Keras's kernel and its scales.
    fn of_keras_kept(&self) -> (Kept, Kept) {
        let Packed::Int8 { weights, scales } = self.kernel.kernel() else {
            return (Kept::Floats(vec![]), Kept::Floats(vec![])); // it is of bytes
        };
        let values = weights.iter().zip(scales.iter().cycle()).map(|(&weight, scale)| f32::from(weight) / scale);
        let values = values.collect();
        (Kept::Bytes { weights, values }, Kept::Floats(scales))
    }

    /// In how many bits the weights are kept.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    fn forward_rows(&self, count: usize, x: Rows<'_, f32>, out: RowsMut<'_, f32>, scratch: &mut Scratch<f32>) {
        let scratch = take(&mut scratch.work, self.kernel.scratch_len());
        self.kernel.forward(count, x, out, &self.activation, scratch);
    }
}

impl Sealed for QuantizedDense {}

impl Parameters<f32> for QuantizedDense {
    fn layout(&self) -> &Arc<StateLayout> {
        &self.layout
    }

    fn visit_weights<'a>(&'a self, _visitor: &mut WeightVisitor<'_, 'a, f32>) {}

    fn visit_weights_mut(&mut self, _visitor: &mut WeightVisitorMut<'_, f32>) -> Result<()> {
        Ok(())
    }

    fn visit_quantized(&self, visitor: &mut QuantizedVisitor<'_>) {
        let sizes = [self.kernel.input_size(), self.kernel.units()];
        if self.precision == Precision::Int8Keras {
            let scales = size_of::<f32>() * sizes[1];
            let bytes = self.kernel.bytes().saturating_sub(scales);
            visitor.weight("kernel", QuantizedWeight { shape: &sizes, bytes, kept: &|| self.of_keras_kept().0 });
            let kept = &|| self.of_keras_kept().1;
            visitor.weight("kernel_scale", QuantizedWeight { shape: &sizes[1..], bytes: scales, kept });
        } else {
            let kept = &|| Kept::Packed(self.kernel.kernel());
            visitor.weight("kernel", QuantizedWeight { shape: &sizes, bytes: self.kernel.bytes(), kept });
        }
        if let Some(bias) = self.kernel.bias() {
            let kept = &|| Kept::Floats(bias.to_vec());
            visitor.weight("bias", QuantizedWeight { shape: &sizes[1..], bytes: size_of_val(bias), kept });
        }
    }

    fn describe(&self) -> Result<Config, ConfigError> {
        Ok(Config::new("QuantizedDense")
            .with("input_size", self.kernel.input_size())
            .with("units", self.kernel.units())
            .with("activation", activations::describe(&self.activation)?)
            .with("use_bias", self.kernel.bias().is_some())
            .with("precision", self.precision.name()))
    }

    fn visit_structure(&self, visitor: &mut StructureVisitor<'_>) {
        visitor.layer(self.class_name(), Some(self.stamp));
        visitor.value("precision", self.precision);
        visitor.value("activation", &self.activation);
    }

    fn unshare(&mut self) -> Result<()> {
        Ok(())
    }
}

impl LayerCore<f32> for QuantizedDense {
    fn spec(&self) -> LayerSpec {
        let (input_size, units) = (self.kernel.input_size(), self.kernel.units());
        LayerSpec {
            returns_sequences: true,
            per_step: true,
            work: input_size.saturating_mul(units),
            ..LayerSpec::new("QuantizedDense", input_size, units)
        }
    }

    fn streams(&self) -> Result<()> {
        Ok(())
    }

    fn visit_generators(&self, _show: &mut dyn FnMut(DropoutGenerator)) {}

    fn fill_initial_state(&self, _row: &mut [f32]) {}

    fn outputs_from_state(&self, batch: usize, _state: Rows<'_, f32>, mut carry: RowsMut<'_, f32>) {
        for row in 0..batch {
            carry.row_mut(row).fill(0.0);
        }
    }

    fn can_train(&self) -> Result<()> {
        Err(Error::QuantizedTraining { layer: "QuantizedDense" })
    }

    fn memory_needs(&self, _call: Call, held: Held<'_, f32>, needs: &mut MemoryNeeds) {
        needs.buffer::<f32>(held.in_scratch(|scratch| scratch.work.len()), &[self.kernel.scratch_len()]);
    }

    fn memory_needs_backward(&self, _call: CallBack, _held: Held<'_, f32>, _needs: &mut MemoryNeeds) {}

    fn process(&self, pass: Pass<'_, f32>, scratch: &mut Scratch<f32>) {
        let Pass { batch, timesteps, input, carry, mut sequence, .. } = pass;
        let Some(last) = timesteps.checked_sub(1) else { return };
        match &mut sequence {
            Some(sequence) => {
                for time in 0..timesteps {
                    self.forward_rows(batch, input.at(time), sequence.at(time), scratch);
                }
                copy_rows(batch, sequence.at(last).as_rows(), carry);
            }
            None => self.forward_rows(batch, input.at(last), carry, scratch),
        }
    }

    fn step_into(
        &self,
        batch: usize,
        x: Rows<'_, f32>,
        _prev: Rows<'_, f32>,
        _next: RowsMut<'_, f32>,
        carry: RowsMut<'_, f32>,
        scratch: &mut Scratch<f32>,
    ) {
        self.forward_rows(batch, x, carry, scratch);
    }

    fn backward_into(
        &self,
        _node: &mut Node<f32>,
        _pass: BackwardPass<'_, f32>,
        _scratch: &mut Scratch<f32>,
    ) -> Result<()> {
        self.can_train()
    }
}

own_parameters!([] QuantizedDense, f32);

impl Layer<f32> for QuantizedDense {
    fn boxed_clone(&self) -> Box<dyn Layer<f32>> {
        Box::new(self.clone())
    }

    fn parts(&self) -> Vec<(&str, &dyn Layer<f32>)> {
        Vec::new()
    }

    fn quantize(&self, _precision: Precision) -> Result<Box<dyn Layer<f32>>> {
        let reason = "its weights are in fewer bits already: quantize the layer it was made of";
        Err(Error::CannotQuantize { layer: self.class_name().into(), reason })
    }
}

impl fmt::Debug for QuantizedDense {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QuantizedDense")
            .field("input_size", &self.kernel.input_size())
            .field("units", &self.kernel.units())
            .field("precision", &self.precision)
            .field("activation", &self.activation)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for QuantizedDense {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        summary::table(f, self)
    }
}
