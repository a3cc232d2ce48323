//! A cell whose weights are kept in fewer bits: one type for all cells that have such a form.

#[cfg(feature = "file")]
pub(crate) mod read;

use std::any::TypeId;
use std::fmt;

use super::built_in::{CellOptions, Listed};
use super::fused::{BackwardPlan, BackwardRows, FusedCell, StepRows};
use super::weights::{BIAS, KERNEL, RECURRENT_KERNEL};
use super::{Cell, CellParts, Step};
use crate::activation::Activation;
use crate::config::{Config, ConfigError, activations};
use crate::error::{Error, Result};
use crate::gradients::WeightGradients;
use crate::kernels::backward::Form;
use crate::kernels::{Format, KernelStep, QuantizedKernel, Unfit};
use crate::precision::Precision;
use crate::state::StateLayout;
use crate::strided::{Input, RowInput, RowStep, Rows, RowsMut};
use crate::structure::StructureVisitor;
use crate::weights::{Kept, Packed, QuantizedVisitor, QuantizedWeight, WeightVisitor, WeightVisitorMut};

/// One step of a SimpleRNN, LSTM or GRU whose weights are kept in fewer bits. The state, and all that isn't a product
/// with the weights, is f32 and the same as in the cell that it was made of:
/// [`Recurrent::quantize`](crate::Recurrent::quantize).
///
/// Its weights are none that could be seen as arrays, changed or trained; what they mean is read by
/// [`dequantized`](crate::Parameters::dequantized). The bias stays f32.
#[derive(Clone)]
pub struct QuantizedCell {
    class: &'static str,
    precision: Precision,
    state: StateLayout,
    input_size: usize,
    kernel: QuantizedKernel,
    /// The shapes of kernel, recurrent kernel and bias.
    shapes: [Vec<usize>; 3],
    activation: Activation,
    recurrent_activation: Activation,
}

/// The quantized form of a built-in cell.
pub(super) fn of_built_in<C: Listed>(cell: &C, precision: Precision) -> Result<QuantizedCell> {
    made(cell, precision, None)
}

/// The quantized form of a built-in cell whose kernel and recurrent kernel are bytes already: those of the cell don't
/// count.
#[cfg(feature = "onnx")]
pub(crate) fn of_bytes<C: Listed>(cell: &C, kernels: [Packed; 2]) -> Result<QuantizedCell> {
    made(cell, Precision::Int8, Some(kernels))
}

fn made<C: Listed>(cell: &C, precision: Precision, kernels: Option<[Packed; 2]>) -> Result<QuantizedCell> {
    let refused = |reason| Error::CannotQuantize { layer: C::CLASS_NAME.into(), reason };
    let parts = cell.parts();
    let form = C::quantized_form(&parts.options).map_err(refused)?;
    if TypeId::of::<C::Elem>() != TypeId::of::<f32>() {
        return Err(refused("it is of f64: convert it to f32 first, Lstm::<f32>::from(&layer)"));
    }
    let CellParts { spec, units, weights, activation, options, .. } = parts;
    let (format, class) = (to_quantize(C::CLASS_NAME, precision)?, class_name(form));
    let weights = weights.cast::<f32>();
    let (kernel, recurrent_kernel, bias) = weights.three();
    for (name, values) in [("kernel", kernel), ("recurrent_kernel", recurrent_kernel)] {
        check(format, name, values)?;
    }
    let columns = weights.shape(KERNEL).last().copied().unwrap_or(0);
    let pack = || [format.pack(kernel, columns), format.pack(recurrent_kernel, columns)];
    let [kernel, recurrent_kernel] = kernels.unwrap_or_else(pack);
    let sizes = (spec.input_size, *units);
    Ok(QuantizedCell {
        class,
        precision,
        state: spec.state.clone(),
        input_size: spec.input_size,
        kernel: QuantizedKernel::new(format, form, sizes, (&kernel, &recurrent_kernel, bias.map(<[f32]>::to_vec))),
        shapes: [KERNEL, RECURRENT_KERNEL, BIAS].map(|place| weights.shape(place).to_vec()),
        activation: activation.clone(),
        recurrent_activation: options.recurrent_activation().unwrap_or(activation).clone(),
    })
}

/// The class of the quantized form of a cell.
fn class_name(form: Form) -> &'static str {
    match form {
        Form::SimpleRnn => "QuantizedSimpleRNN",
        Form::Lstm => "QuantizedLSTM",
        Form::GruAfter | Form::GruBefore => "QuantizedGRU",
    }
}

/// What the kernels call it.
pub(crate) fn format(precision: Precision) -> Format {
    match precision {
        Precision::Int8 => Format::INT8,
        Precision::Int8Fast => Format::INT8_FAST,
        Precision::Bf16 => Format::Bf16,
        Precision::Int8Keras => Format::INT8_KERAS,
    }
}

/// The same for a layer that is to be quantized to it.
pub(crate) fn to_quantize(layer: &str, precision: Precision) -> Result<Format> {
    match precision {
        Precision::Int8Keras => {
            let reason = "Keras alone makes this form: call model.quantize(\"int8\") there and read its file, or take \
                          Precision::Int8";
            Err(Error::CannotQuantize { layer: layer.into(), reason })
        }
        _ => Ok(format(precision)),
    }
}

/// Checks that there is memory for a matrix of these sizes, as it is packed.
#[cfg(any(feature = "file", feature = "keras"))]
pub(crate) fn check_room(precision: Precision, rows: usize, columns: usize) -> Result<()> {
    let bytes = if precision == Precision::Bf16 { 2 } else { 1 };
    let padded = rows.checked_add(3).zip(columns.checked_add(31)).and_then(|(rows, columns)| rows.checked_mul(columns));
    crate::memory::check::<u8>(padded.and_then(|elements| elements.checked_mul(bytes)), &[rows, columns])
}

/// Checks that a weight has numbers in a format.
pub(crate) fn check(format: Format, weight: &str, values: &[f32]) -> Result<()> {
    format.check(values).map_err(|Unfit(given)| Error::QuantizedValue { weight: weight.into(), given })
}

impl QuantizedCell {
    /// In how many bits the weights are kept.
    pub fn precision(&self) -> Precision {
        self.precision
    }
}

impl Cell for QuantizedCell {
    type Elem = f32;

    fn input_size(&self) -> usize {
        self.input_size
    }

    fn state_layout(&self) -> StateLayout {
        self.state.clone()
    }

    fn step(&self, step: Step<'_, f32>) {
        let mut own = Vec::new();
        if let Some(step) = step.fitted(self, self.state.width(), &mut own) {
            self.fused().step_rows(step.into_rows().0);
        }
    }

    fn visit_weights<'a>(&'a self, _visitor: &mut WeightVisitor<'_, 'a, f32>) {}

    fn visit_weights_mut(&mut self, _visitor: &mut WeightVisitorMut<'_, f32>) {}

    fn scratch_len(&self) -> usize {
        self.kernel.scratch_len(1)
    }

    fn can_train(&self) -> Result<()> {
        Err(Error::QuantizedTraining { layer: self.class })
    }

    fn class_name(&self) -> &'static str {
        self.class
    }

    fn try_clone(&self) -> Option<Self> {
        Some(self.clone())
    }

    fn visit_structure(&self, visitor: &mut StructureVisitor<'_>) {
        visitor.value("precision", self.precision);
        visitor.value("activation", &self.activation);
        visitor.value("recurrent_activation", &self.recurrent_activation);
        visitor.value("form", self.kernel.form());
        visitor.value("bias", &self.shapes[BIAS]);
    }

    fn quantized(&self, _precision: Precision) -> Result<QuantizedCell> {
        let reason = "its weights are in fewer bits already: quantize the layer it was made of";
        Err(Error::CannotQuantize { layer: self.class.into(), reason })
    }

    fn describe(&self) -> Result<Config, ConfigError> {
        let form = self.kernel.form();
        let of_gates = (form != Form::SimpleRnn).then_some(&self.recurrent_activation);
        let of_gru = matches!(form, Form::GruAfter | Form::GruBefore).then_some(form == Form::GruAfter);
        Ok(Config::new(&format!("{}Cell", self.class))
            .with("input_size", self.input_size)
            .with("units", self.shapes[RECURRENT_KERNEL][0])
            .with("activation", activations::describe(&self.activation)?)
            .with("use_bias", self.kernel.bias().is_some())
            .with_if("recurrent_activation", of_gates.map(activations::describe).transpose()?)
            .with_if("reset_after", of_gru)
            .with("precision", self.precision.name()))
    }

    fn visit_quantized(&self, visitor: &mut QuantizedVisitor<'_>) {
        let [kernel, recurrent_kernel] = self.kernel.bytes();
        let [kernel_shape, recurrent_shape, bias_shape] = &self.shapes;
        let kept = &|| Kept::Packed(self.kernel.kernel());
        visitor.weight("kernel", QuantizedWeight { shape: kernel_shape, bytes: kernel, kept });
        let kept = &|| Kept::Packed(self.kernel.recurrent_kernel());
        visitor.weight("recurrent_kernel", QuantizedWeight { shape: recurrent_shape, bytes: recurrent_kernel, kept });
        if let Some(bias) = self.kernel.bias() {
            let kept = &|| Kept::Floats(bias.to_vec());
            visitor.weight("bias", QuantizedWeight { shape: bias_shape, bytes: size_of_val(bias), kept });
        }
    }

    #[inline]
    fn fused(&self) -> impl FusedCell<Elem = f32> {
        Quantized(self)
    }
}

/// The hooks of the cell's kernel.
struct Quantized<'c>(&'c QuantizedCell);

impl FusedCell for Quantized<'_> {
    type Elem = f32;

    fn projected_len(&self) -> usize {
        self.0.kernel.projected_len()
    }

    fn project(&self, count: usize, x: Rows<'_, f32>, out: RowsMut<'_, f32>) {
        self.0.kernel.project(count, x, out);
    }

    fn rows_scratch_len(&self, batch: usize) -> usize {
        self.0.kernel.scratch_len(batch)
    }

    fn step_rows(&self, call: StepRows<'_, f32>) {
        self.0.kernel.step(KernelStep {
            rows: call.rows,
            input: call.input,
            prev: call.prev,
            next: call.next,
            tape: None,
            dropout: None,
            scratch: call.scratch,
            odd_step: call.odd,
            activation: &self.0.activation,
            recurrent_activation: &self.0.recurrent_activation,
        });
    }

    #[inline]
    fn step_row(&self, step: &mut RowStep<'_, f32>, scratch: &mut [f32], odd: bool) {
        let width = step.prev.len();
        let input = match step.input {
            RowInput::Raw(x) => Input::Raw(Rows::packed(x, x.len())),
            RowInput::Projected(z) => Input::Projected(Rows::packed(z, z.len())),
        };
        self.step_rows(StepRows {
            rows: &[0],
            input,
            prev: Rows::packed(step.prev, width),
            next: RowsMut::packed(&mut *step.next, width),
            dropout: None,
            tape: None,
            scratch,
            odd,
        });
    }

    fn rows_backward_scratch_len(&self, _batch: usize) -> usize {
        0
    }

    fn step_rows_backward(&self, _: BackwardRows<'_, f32>, _: &mut WeightGradients<'_, f32>) -> Result<()> {
        self.0.can_train()
    }

    fn may_fail_backward(&self) -> bool {
        true
    }

    fn backward_plan(&self) -> Option<BackwardPlan<'_, f32>> {
        None
    }
}

impl fmt::Debug for QuantizedCell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QuantizedCell")
            .field("class", &self.class)
            .field("precision", &self.precision)
            .field("input_size", &self.input_size)
            .field("state", &self.state)
            .field("activation", &self.activation)
            .field("recurrent_activation", &self.recurrent_activation)
            .finish_non_exhaustive()
    }
}
