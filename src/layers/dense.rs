//! A fully connected layer for each time step.

mod builder;
mod described;

use std::any::TypeId;
use std::fmt;
use std::sync::Arc;

use ndarray::{Array1, Array2, ArrayRef2};

pub use self::builder::DenseBuilder;
use self::described::Told;
use super::quantized_dense::QuantizedDense;
use super::{Layer, quantize, summary};
use crate::activation::Activation;
use crate::buffers::take;
use crate::config::{Config, ConfigError};
use crate::error::{Error, Result, or_panic};
use crate::float::Float;
use crate::kernels::DenseKernel;
use crate::kernels::activate::{activate, activate_backward};
use crate::kernels::isa::Isa;
use crate::memory::{self, MemoryNeeds};
use crate::parameters::{Parameters, Sealed, own_parameters};
use crate::precision::Precision;
use crate::runner::backward::add;
use crate::runner::layer::{LayerCore, LayerSpec};
use crate::runner::memory::{Call, CallBack, Held};
use crate::runner::pass::{BackwardPass, Pass};
use crate::runner::scratch::Scratch;
use crate::runner::sequence::Sequence;
use crate::runner::tape::Node;
use crate::runner::tape::Tape;
use crate::seeds::DropoutGenerator;
use crate::stamp::Stamp;
use crate::state::StateLayout;
use crate::strided::{Rows, RowsMut, copy_rows};
use crate::structure::StructureVisitor;
use crate::weights::{WeightVisitor, WeightVisitorMut};

/// `activation(x kernel + bias)` at each time step: Keras's `Dense` (and `TimeDistributed(Dense)`).
///
/// Weights: `kernel` (input_size, units), `bias` (units). It has no state and doesn't look at masks, as in Keras.
/// [`Output::last`](crate::Output::last) is the last time step's.
///
/// ```
/// use ndarray::prelude::*;
/// use recurrent::{Activation, Dense, Layer};
/// let head = Dense::<f32>::builder(4, 3).activation(Activation::Softmax).build()?;
/// let p = head.forward_rows(&Array2::ones((2, 4)))?;
/// assert!((p.row(0).sum() - 1.0).abs() < 1e-6);
/// assert_eq!(head.forward(&Array3::ones((2, 5, 4)))?.sequence()?.dim(), (2, 5, 3));
/// # Ok::<(), recurrent::Error>(())
/// ```
#[derive(Clone)]
pub struct Dense<T: Float = f32> {
    kernel: Array2<T>,
    bias: Option<Array1<T>>,
    activation: Activation,
    layout: Arc<StateLayout>,
    packed: DenseKernel<T>,
    stamp: Stamp,
    told: Told,
}

impl<T: Float> Dense<T> {
    /// A layer with Keras's defaults (linear, glorot_uniform, a bias of zeros) and random weights.
    ///
    /// # Panics
    /// If a size is zero or the weights can't be addressed: use [`builder`](Self::builder) for sizes that aren't
    /// known to be sound.
    #[track_caller]
    pub fn new(input_size: usize, units: usize) -> Self {
        or_panic(Self::builder(input_size, units).build())
    }

    /// A builder for a layer of `units` units over `input_size` features.
    pub fn builder(input_size: usize, units: usize) -> DenseBuilder<'static, T> {
        DenseBuilder::new(input_size, units)
    }

    /// The layer on rows that are no sequence: (rows, features) to (rows, units).
    ///
    /// # Errors
    /// [`Error::StepShape`] if the feature count isn't the layer's, [`Error::TensorTooLarge`] for more rows than there
    /// is memory for.
    pub fn forward_rows(&self, x: &ArrayRef2<T>) -> Result<Array2<T>> {
        let (rows, features) = x.dim();
        if features != self.kernel.nrows() {
            return Err(Error::StepShape { expected: (rows, self.kernel.nrows()), given: (rows, features) });
        }
        let shape = [rows, self.kernel.ncols()];
        memory::check_shape(&shape)?;
        let mut needs = MemoryNeeds::default();
        needs.array::<T>(&shape);
        needs.array::<T>(&[rows, if x.is_standard_layout() { 0 } else { features }]);
        needs.check(&shape)?;
        let mut out = Array2::zeros((rows, self.kernel.ncols()));
        let x = x.as_standard_layout();
        if let (Some(x), Some(out)) = (x.as_slice(), out.as_slice_mut()) {
            let (x, out) = (Rows::packed(x, features), RowsMut::packed(out, self.kernel.ncols()));
            self.packed.forward(rows, x, out, &self.activation);
        }
        Ok(out)
    }

    /// [`forward_rows`](Dense::forward_rows) on rows that lie one after another, into the caller's memory.
    pub(crate) fn forward_into(&self, x: &[T], out: &mut [T]) {
        let (features, units) = self.kernel.dim();
        debug_assert_eq!(x.len() / features, out.len() / units, "as many rows go out as come in");
        self.packed.forward(
            x.len() / features,
            Rows::packed(x, features),
            RowsMut::packed(out, units),
            &self.activation,
        );
    }

    /// The same layer for another element type: every weight rounded once (f64 to f32) or exact (f32 to f64).
    pub fn cast<U: Float>(&self) -> Dense<U> {
        let cast = |&value: &T| U::from_f64(value.into_f64());
        Dense::from_weights(
            self.kernel.map(cast),
            self.bias.as_ref().map(|bias| bias.map(cast)),
            self.activation.clone(),
            self.told.clone(),
        )
    }

    /// The same layer with its weights in fewer bits: see [`Layer::quantize`].
    ///
    /// # Errors
    /// [`Error::CannotQuantize`] for one of f64, [`Error::QuantizedValue`] for a weight that isn't finite.
    pub fn quantize(&self, precision: Precision) -> Result<QuantizedDense> {
        if TypeId::of::<T>() != TypeId::of::<f32>() {
            let reason = "it is of f64: cast::<f32>() it first";
            return Err(Error::CannotQuantize { layer: self.class_name().into(), reason });
        }
        let kernel: Vec<f32> = self.kernel.iter().map(|weight| weight.into_f64() as f32).collect();
        let bias = self.bias.as_ref().map(|bias| bias.iter().map(|b| b.into_f64() as f32).collect::<Vec<f32>>());
        QuantizedDense::new(precision, self.kernel.dim(), (&kernel, bias), self.activation.clone())
    }

    /// Both arrays in standard layout.
    fn from_weights(kernel: Array2<T>, bias: Option<Array1<T>>, activation: Activation, told: Told) -> Self {
        let packed = DenseKernel::new(kernel.nrows(), kernel.ncols());
        let mut layer = Dense { kernel, bias, activation, layout: Arc::default(), packed, stamp: Stamp::new(), told };
        layer.pack();
        layer
    }

    /// Keeps the inputs, step by step: [step][row][input_size].
    fn record(&self, node: &mut Node<T>, batch: usize, timesteps: usize, input: Sequence<'_, T>) {
        (node.batch, node.timesteps) = (batch, timesteps);
        let width = self.kernel.nrows();
        let kept = take(&mut node.x, batch * timesteps * width);
        for (at, kept) in kept.chunks_exact_mut(width).enumerate() {
            kept.copy_from_slice(input.at(at / batch).row(at % batch));
        }
    }

    /// Records what [`forward_rows`](Dense::forward_rows) was given, as a call of one step.
    pub(crate) fn record_rows(&self, x: &ArrayRef2<T>, tape: &mut Tape<T>) {
        let x = x.as_standard_layout();
        if let Some(values) = x.as_slice() {
            self.record(tape.begin(), x.nrows(), 1, Sequence::packed(values, 1, x.ncols()));
            tape.recorded(self);
        }
    }

    fn pack(&mut self) {
        self.stamp.renew();
        let bias = self.bias.as_ref().and_then(|bias| bias.as_slice());
        let kernel = self.kernel.as_slice().unwrap_or_default();
        debug_assert_eq!(kernel.len(), self.kernel.len(), "weights stand in row order");
        self.packed.pack(kernel, bias);
    }
}

impl<T: Float> Sealed for Dense<T> {}

impl<T: Float> Parameters<T> for Dense<T> {
    fn layout(&self) -> &Arc<StateLayout> {
        &self.layout
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
        visitor.layer(self.class_name(), Some(self.stamp));
        visitor.value("activation", &self.activation);
    }

    fn unshare(&mut self) -> Result<()> {
        Ok(())
    }
}

impl<T: Float> LayerCore<T> for Dense<T> {
    fn spec(&self) -> LayerSpec {
        LayerSpec {
            returns_sequences: true,
            per_step: true,
            work: self.kernel.len(),
            ..LayerSpec::new("Dense", self.kernel.nrows(), self.kernel.ncols())
        }
    }

    fn streams(&self) -> Result<()> {
        Ok(())
    }

    fn visit_generators(&self, _show: &mut dyn FnMut(DropoutGenerator)) {}

    fn fill_initial_state(&self, _row: &mut [T]) {}

    fn outputs_from_state(&self, batch: usize, _state: Rows<'_, T>, mut carry: RowsMut<'_, T>) {
        for row in 0..batch {
            carry.row_mut(row).fill(T::zero());
        }
    }

    fn can_train(&self) -> Result<()> {
        self.activation.check_derivative()
    }

    fn memory_needs(&self, call: Call, held: Held<'_, T>, needs: &mut MemoryNeeds) {
        if call.recorded {
            let sizes = [call.batch, call.timesteps, self.kernel.nrows()];
            needs.buffer::<T>(held.in_node(|node| node.x.len()), &sizes);
        }
    }

    fn memory_needs_backward(&self, _call: CallBack, held: Held<'_, T>, needs: &mut MemoryNeeds) {
        needs.buffer::<T>(held.in_scratch(|scratch| scratch.work.len()), &[3, self.kernel.ncols()]);
    }

    fn process(&self, pass: Pass<'_, T>, _scratch: &mut Scratch<T>) {
        let Pass { batch, timesteps, input, carry, mut sequence, .. } = pass;
        if let Some(node) = pass.tape {
            self.record(node, batch, timesteps, input);
        }
        let Some(last) = timesteps.checked_sub(1) else { return };
        match &mut sequence {
            Some(sequence) => {
                for time in 0..timesteps {
                    self.packed.forward(batch, input.at(time), sequence.at(time), &self.activation);
                }
                copy_rows(batch, sequence.at(last).as_rows(), carry);
            }
            None => self.packed.forward(batch, input.at(last), carry, &self.activation),
        }
    }

    fn step_into(
        &self,
        batch: usize,
        x: Rows<'_, T>,
        _prev: Rows<'_, T>,
        _next: RowsMut<'_, T>,
        carry: RowsMut<'_, T>,
        _scratch: &mut Scratch<T>,
    ) {
        self.packed.forward(batch, x, carry, &self.activation);
    }

    fn backward_into(&self, node: &mut Node<T>, pass: BackwardPass<'_, T>, scratch: &mut Scratch<T>) -> Result<()> {
        let BackwardPass { d_sequence, flipped, d_last, mut d_input, mut gradients, .. } = pass;
        let (batch, timesteps, (inputs, units)) = (node.batch, node.timesteps, self.kernel.dim());
        let (dz, rest) = take(&mut scratch.work, 3 * units).split_at_mut(units);
        let (y, z) = rest.split_at_mut(units);
        for time in 0..timesteps {
            for row in 0..batch {
                let x = &node.x[(time * batch + row) * inputs..][..inputs];
                match d_sequence {
                    Some(all) => dz.copy_from_slice(all.at(if flipped { timesteps - 1 - time } else { time }).row(row)),
                    None => dz.fill(T::zero()),
                }
                if let Some(d_last) = d_last.filter(|_| time + 1 == timesteps) {
                    add(dz, d_last.row(row));
                }
                self.packed.forward(1, Rows::packed(x, inputs), RowsMut::packed(z, units), &Activation::Linear);
                y.copy_from_slice(z);
                activate(Isa::detect(), &self.activation, y);
                activate_backward(Isa::detect(), &self.activation, z, y, dz);
                gradients.add_outer(0, x, dz)?;
                if self.bias.is_some() {
                    gradients.add(1, dz)?;
                }
                if let Some(d_input) = &mut d_input {
                    let kernel = self.kernel.rows().into_iter();
                    for (d_x, kernel) in d_input.at(time).row_mut(row).iter_mut().zip(kernel) {
                        *d_x += kernel.iter().zip(&*dz).fold(T::zero(), |sum, (&k, &d)| sum + k * d);
                    }
                }
            }
        }
        Ok(())
    }
}

own_parameters!([T: Float] Dense<T>, T);

impl<T: Float> Layer<T> for Dense<T> {
    fn boxed_clone(&self) -> Box<dyn Layer<T>> {
        Box::new(self.clone())
    }

    fn parts(&self) -> Vec<(&str, &dyn Layer<T>)> {
        Vec::new()
    }

    fn quantize(&self, precision: Precision) -> Result<Box<dyn Layer<T>>> {
        quantize::boxed(Dense::quantize(self, precision)?)
    }
}

impl<T: Float> fmt::Debug for Dense<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dense")
            .field("input_size", &self.kernel.nrows())
            .field("units", &self.kernel.ncols())
            .field("activation", &self.activation)
            .field("use_bias", &self.bias.is_some())
            .finish_non_exhaustive()
    }
}

impl<T: Float> fmt::Display for Dense<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        summary::table(f, self)
    }
}
