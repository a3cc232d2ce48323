//! EinsumDense.

use super::super::json::{Fields, Json};
use super::super::weights::Weight;
use super::{Built, Class, Holds, INPUTS, Reading, bytes, options};
use crate::activation::Activation;
use crate::float::Float;
use crate::formats::error::Found;
use crate::graph::ops::einsum_dense::{EinsumDense, Kernel, Parts};

impl<T: Float> Class<T> {
    pub(super) const EINSUM_DENSE: &'static [Self] =
        &[Class::layer("EinsumDense", INPUTS, Holds::Weights(weights), read).without(&["kernel_shape", "bias_shape"])];
}

const LETTERS: &str = "letters of the output, or null";

fn bias_axes(fields: &Fields<'_>) -> Found<Option<String>> {
    let axes = fields.option("bias_axes", LETTERS)?.and_then(Json::given);
    axes.map(|axes| Ok(axes.text(LETTERS)?.to_string())).transpose()
}

fn weights(fields: &Fields<'_>) -> Found<Vec<&'static str>> {
    bytes::names(fields, ["kernel", "kernel_scale"], bias_axes(fields)?.is_some())
}

fn read<T: Float>(reading: &Reading<'_, '_>) -> Found<Built<T>> {
    let fields = reading.fields;
    reading.made_with(&["kernel", "bias"])?;
    reading.plain()?;
    fields.only("gptq_unpacked_column_size", &serde_json::json!(null), "save the model without quantization")?;
    let equation = fields.need("equation", "an equation")?.text("an equation")?.to_string();
    let shape = fields.need("output_shape", "a list of sizes and nulls")?;
    let output_shape = if shape.is_list() { shape.shape()? } else { vec![Some(shape.index("a size or a list")?)] };
    let activation = reading.activation::<T>("activation", Activation::Linear)?;
    let bias_axes = bias_axes(fields)?;
    let kernel = Kernel::Floats(Default::default());
    let parts = Parts { equation, output_shape, kernel, bias_axes, bias: None, activation };
    if reading.bytes && !reading.bare {
        return bytes::einsum_dense(reading, parts);
    }
    let tensors: Vec<Weight<T>> = reading.floats(&weights(fields)?)?;
    let trainable = options::count(&tensors);
    let mut arrays = tensors.into_iter().map(|weight| weight.array);
    let (kernel, bias) = (arrays.next().unwrap_or_default(), arrays.next());
    let parts = Parts { kernel: Kernel::Floats(kernel), bias, ..parts };
    Ok(reading.built(EinsumDense::made(parts).map_err(|source| reading.refused(source))?, trainable))
}
