//! Layers of Keras's `quantize("int8")`, which are read from a file: in Keras's words again, and their bytes with the
//! scales where Keras has them.

use ndarray::{ArrayD, IxDyn};

use super::super::words::values::INT8;
use crate::config::{Config, Value};
use crate::float::Float;
use crate::formats::hdf5::Tensor;
use crate::formats::save_error::SaveError;
use crate::graph::operation::Operation;
use crate::graph::ops::einsum_dense::EinsumDense;
use crate::graph::weights::show_quantized;
use crate::precision::Precision;
use crate::weights::{Kept, QuantizedVisitor};

/// Keras's class for one of this crate's.
pub(super) fn keras_class(class: &str) -> Option<&'static str> {
    match class {
        "QuantizedDense" => Some("Dense"),
        "QuantizedEinsumDense" => Some("EinsumDense"),
        "QuantizedEmbedding" => Some("Embedding"),
        _ => None,
    }
}

/// A description in which layers of Keras's precision have its class, and its name of their type. Others stay what they
/// are.
pub(super) fn in_keras_words(config: Config) -> Config {
    let Config { class, options } = config;
    let of_keras = match options.iter().find(|(name, _)| name == "precision") {
        Some((_, precision)) => *precision == Precision::Int8Keras.name().into(),
        // It has no other.
        None => class == "QuantizedEinsumDense",
    };
    let keras = keras_class(&class).filter(|_| of_keras);
    let own = options.into_iter().filter(|(name, _)| keras.is_none() || name != "precision");
    let own = own.map(|(name, value)| (name, within(value)));
    let dtype = keras.map(|_| ("dtype".to_string(), Value::from(INT8)));
    Config { class: keras.map_or(class, str::to_string), options: own.chain(dtype).collect() }
}

fn within(value: Value) -> Value {
    match value {
        Value::Config(config) => Value::Config(in_keras_words(config)),
        Value::List(list) => Value::List(list.into_iter().map(within).collect()),
        value => value,
    }
}

/// The weights of such layers by their names, in Keras's order. `described`: the operation in Keras's words; `rank`: how
/// many axes its output has.
pub(super) fn weights<'m, T: Float>(
    op: &'m dyn Operation<T>,
    described: &Config,
    rank: usize,
) -> Result<Vec<(String, Tensor<'m, T>)>, SaveError> {
    let mut found = Vec::new();
    show_quantized(
        op,
        &mut QuantizedVisitor::new(&mut |name, weight| {
            found.push((name.to_string(), weight.shape.to_vec(), (weight.kept)()));
        }),
    );
    let is_scale = |name: &str| name.ends_with("_scale");
    found.sort_by_key(|(name, ..)| is_scale(name));
    let tensor = |(name, mut shape, kept): (String, Vec<usize>, Kept)| {
        let damaged = || SaveError::NoPlace { group: described.class.clone(), weight: name.clone() };
        let tensor = match kept {
            Kept::Bytes { weights, .. } => Tensor::Bytes(array(&shape, weights).ok_or_else(damaged)?),
            other => {
                let mut values = other.values();
                if is_scale(&name) && described.class == "EinsumDense" {
                    (shape, values) = spread(described, rank, &values).ok_or_else(damaged)?;
                }
                let values = values.into_iter().map(|value| T::from_f64(value.into())).collect();
                Tensor::Floats(array(&shape, values).ok_or_else(damaged)?.into())
            }
        };
        Ok((name, tensor))
    };
    found.into_iter().map(tensor).collect()
}

fn array<A>(shape: &[usize], values: Vec<A>) -> Option<ArrayD<A>> {
    ArrayD::from_shape_vec(IxDyn(shape), values).ok()
}

/// The scales of an EinsumDense as Keras spreads them over an output of so many axes.
fn spread(described: &Config, rank: usize, scales: &[f32]) -> Option<(Vec<usize>, Vec<f32>)> {
    let own = |name: &str| described.options.iter().find(|(own, _)| own == name).map(|(_, value)| value);
    let (Value::Text(equation), Value::List(kernel)) = (own("equation")?, own("kernel_shape")?) else { return None };
    let size = |value: &Value| if let Value::Integer(size) = value { usize::try_from(*size).ok() } else { None };
    let kernel = kernel.iter().map(size).collect::<Option<Vec<_>>>()?;
    let (shape, values) = EinsumDense::<f32>::scales_spread(equation, &kernel, rank, scales)?;
    Some((shape, values))
}
