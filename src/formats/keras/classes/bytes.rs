//! What Keras's `quantize("int8")` makes of Dense, EinsumDense and Embedding: weights of bytes, and scales that they are
//! divided by.
//!
//! Keras's TimeDistributed (3.15) calls the layer inside by a way that leaves the scales out: products with the bytes as
//! they are, far from what was meant. Such layers are read as what they compute.

use super::super::identity::Identity;
use super::super::json::{Fields, Json};
use super::super::weights::Weight;
use super::{Built, Reading, options};
use crate::activation::Activation;
use crate::cells::quantized::check_room;
use crate::float::Float;
use crate::formats::error::{Found, Problem};
use crate::graph::operation::{Op, Operation};
use crate::graph::ops::einsum_dense::{EinsumDense, Kernel, Parts};
use crate::graph::ops::quantized_dense;
use crate::graph::ops::quantized_embedding;
use crate::layers::builder::check_activation;
use crate::layers::quantized_dense::QuantizedDense;
use crate::layers::quantized_embedding::QuantizedEmbedding;
use crate::precision::Precision;

/// The classes that have such a form.
pub(super) const CLASSES: [&str; 3] = ["Dense", "EinsumDense", "Embedding"];

/// The weights of a layer of one of these classes, in Keras 3's order.
pub(super) fn names(
    fields: &Fields<'_>,
    [weight, scale]: [&'static str; 2],
    use_bias: bool,
) -> Found<Vec<&'static str>> {
    let dtype = fields.take("dtype").and_then(Json::given);
    let bytes = dtype.map(|dtype| options::is_bytes(&dtype)).transpose()?.unwrap_or(false);
    Ok([Some(weight), use_bias.then_some("bias"), bytes.then_some(scale)].into_iter().flatten().collect())
}

/// The tensors of such a layer.
struct Tensors {
    weights: Vec<i8>,
    shape: Vec<usize>,
    bias: Option<Weight<f32>>,
    scale: Weight<f32>,
    /// The number of all their elements.
    count: usize,
}

impl Reading<'_, '_> {
    /// The weights of a layer that computes in floats. Keras's TimeDistributed calls a layer in bytes as if it were one,
    /// so that its bytes are the numbers, and the scales are left.
    pub(super) fn floats<T: Float>(&self, names: &[&'static str]) -> Found<Vec<Weight<T>>> {
        if self.bytes {
            self.quantizers(false)?;
        }
        let mut weights = self.tensors(self.place, names)?;
        weights.retain(|weight| !weight.name.ends_with("_scale"));
        Ok(weights)
    }

    /// Such a layer; bytes aren't trained.
    pub(super) fn built<T: Float>(&self, operation: impl Operation<T>, count: usize) -> Built<T> {
        match self.bytes {
            true => built(Op::new(operation), count),
            false => Built::with(operation, count),
        }
    }

    /// Checks that a layer of bytes is one of Keras's defaults. `multiplies`: whether inputs become bytes, too.
    fn quantizers(&self, multiplies: bool) -> Found<()> {
        let Some(quantizers) = self.fields.take("quantization_config").and_then(Json::given) else { return Ok(()) };
        inside(&quantizers, "Int8QuantizationConfig", |fields| {
            // The weights are bytes by now.
            fields.loose(&["weight_quantizer"], "a quantizer or null", |json| json.is_null() || json.is_object())?;
            let of_inputs = fields.need("activation_quantizer", "a quantizer or null")?;
            match of_inputs.clone().given() {
                Some(quantizer) => inside(&quantizer, "AbsMaxQuantizer", |fields| {
                    fields.only("value_range", &serde_json::json!([-127, 127]), DEFAULT)?;
                    fields.only("epsilon", &serde_json::json!(1e-7), DEFAULT)?;
                    fields.only("output_dtype", &serde_json::json!("int8"), DEFAULT)?;
                    // The layer says along which.
                    fields.loose(&["axis"], "axes or null", |json| {
                        json.is_null() || json.integer().is_ok() || json.integers().is_ok()
                    })
                }),
                None if multiplies => Err(of_inputs.unsupported(DEFAULT)),
                None => Ok(()),
            }
        })
    }

    fn bytes(&self, weight: &'static str, scale: &'static str, use_bias: bool) -> Found<Tensors> {
        let names = [Some(weight), use_bias.then_some("bias"), Some(scale)];
        let tensors = self.tensors::<f32>(self.place, &names.into_iter().flatten().collect::<Vec<_>>())?;
        let count = options::count(&tensors);
        let mut tensors = tensors.into_iter();
        let (weight, bias) = (tensors.next(), if use_bias { tensors.next() } else { None });
        let (Some(weight), Some(scale)) = (weight, tensors.next()) else {
            return Err(Problem::Incomplete { what: "weights", hint: "save the whole model" });
        };
        let whole = |value: f32| value.fract() == 0.0 && value.abs() <= 127.0;
        holds(&weight, "whole numbers from -127 to 127", whole)?;
        holds(&scale, "scales above 0 and below 2.7e36", |value| value > 0.0 && value < 2.7e36)?;
        let weights = weight.array.iter().map(|&value| value as i8).collect();
        Ok(Tensors { weights, shape: weight.array.shape().to_vec(), bias, scale, count })
    }
}

const DEFAULT: &str = "layers are read that quantize(\"int8\") makes without a configuration of quantizers";

/// The options of an object of a class.
fn inside(json: &Json<'_>, class: &str, read: impl FnOnce(&Fields<'_>) -> Found<()>) -> Found<()> {
    let identity = json.glance("an object", Identity::take)?;
    identity.keras(json.layer())?;
    if identity.class != class {
        return Err(json.unsupported(DEFAULT));
    }
    json.fields("an object", |fields| {
        Identity::take(fields)?;
        fields.need("config", "an object")?.fields("an object", read)
    })
}

fn holds(weight: &Weight<f32>, expected: &'static str, is: impl Fn(f32) -> bool) -> Found<()> {
    match weight.array.iter().enumerate().find(|&(_, &value)| !is(value)) {
        Some((index, &found)) => {
            Err(Problem::TensorValue { tensor: weight.tensor.clone(), expected, index, found: found.into() })
        }
        None => Ok(()),
    }
}

fn numbers(weight: Weight<f32>) -> Vec<f32> {
    weight.array.iter().copied().collect()
}

/// A layer whose weights aren't trained.
fn built<T: Float>(op: Op<T>, count: usize) -> Built<T> {
    Built { op, trainable: 0, non_trainable: count, stateful: None }
}

/// A Dense.
pub(super) fn dense<T: Float>(reading: &Reading<'_, '_>) -> Found<Built<T>> {
    reading.quantizers(true)?;
    let units = reading.size("units")?;
    let activation = reading.activation::<T>("activation", Activation::Linear)?;
    check_activation(&activation).map_err(|source| reading.refused(source))?;
    let Tensors { weights, shape, bias, scale, count } =
        reading.bytes("kernel", "kernel_scale", reading.fields.default_flag("use_bias", true)?)?;
    let rows = match shape[..] {
        [rows, columns] if rows > 0 && columns == units => rows,
        _ => return Err(misshapen(reading, "kernel", format!("[features, {units}]"), shape)),
    };
    for weight in bias.iter().chain([&scale]) {
        reading.expect_shape(weight, &[units])?;
    }
    check_room(Precision::Int8Keras, rows, units).map_err(|source| reading.refused(source))?;
    let layer =
        QuantizedDense::of_keras((rows, units), (weights, numbers(scale), bias.map(numbers)), activation).boxed();
    let layer = layer.map_err(|source| reading.refused(source))?;
    Ok(built(Op::new(quantized_dense::QuantizedDense::new(layer)), count))
}

/// An Embedding.
pub(super) fn embedding<T: Float>(reading: &Reading<'_, '_>) -> Found<Built<T>> {
    reading.quantizers(false)?;
    let sizes = [reading.size("input_dim")?, reading.size("output_dim")?];
    let mask_zero = reading.fields.default_flag("mask_zero", false)?;
    let Tensors { weights, shape, scale, count, .. } = reading.bytes("embeddings", "embeddings_scale", false)?;
    if shape != sizes {
        return Err(misshapen(reading, "embeddings", format!("{sizes:?}"), shape));
    }
    reading.expect_shape(&scale, &sizes[..1])?;
    let table = QuantizedEmbedding::of_keras(sizes, weights, numbers(scale), mask_zero);
    let op = Op::new(quantized_embedding::QuantizedEmbedding::new(table));
    Ok(built(Op::of_f32("Embedding", op).map_err(|source| reading.refused(source))?, count))
}

/// An EinsumDense, but for its weights.
pub(super) fn einsum_dense<T: Float>(reading: &Reading<'_, '_>, parts: Parts<T>) -> Found<Built<T>> {
    reading.quantizers(true)?;
    let Tensors { weights, shape, bias, scale, count } =
        reading.bytes("kernel", "kernel_scale", parts.bias_axes.is_some())?;
    let scales = EinsumDense::<T>::scales_in_order(&parts.equation, &shape, &scale.array);
    let scales = scales.map_err(|source| reading.refused(source))?;
    let bias = bias.map(|bias| bias.array.mapv(|value| T::from_f64(value.into())));
    let parts = Parts { kernel: Kernel::Bytes { shape, weights, scales }, bias, ..parts };
    Ok(built(Op::new(EinsumDense::made(parts).map_err(|source| reading.refused(source))?), count))
}

fn misshapen(reading: &Reading<'_, '_>, weight: &str, expected: String, found: Vec<usize>) -> Problem {
    Problem::TensorShape { layer: reading.path().into(), weight: weight.into(), tensor: weight.into(), expected, found }
}
