//! SpectralNormalization.

use super::super::description::Described;
use super::super::weights::{Place, Weight};
use super::{Built, Class, Holds, INPUTS_AND_TRAINING, Reading};
use crate::float::Float;
use crate::formats::error::Found;
use crate::graph::operation::{Op, Which};
use crate::graph::ops::spectral_normalization::{NORMALIZED, SpectralNormalization};
use crate::weights::WeightVisitor;

impl<T: Float> Class<T> {
    pub(super) const SPECTRAL: &'static [Self] =
        &[Class::layer("SpectralNormalization", INPUTS_AND_TRAINING, Holds::LayerAnd("layer", &["vector_u"]), read)];
}

fn read<T: Float>(reading: &Reading<'_, '_>) -> Found<Built<T>> {
    let option = reading.fields.need("layer", "a layer")?;
    let power_iterations = reading.count("power_iterations", 1)?;
    let inner = Described::read(&option, reading.path())?;
    if inner.is_model() || inner.identity.code.is_some() || !NORMALIZED.contains(&inner.class()) {
        return Err(option.unsupported("inside are read: Dense, EinsumDense, convolutions of one kernel"));
    }
    let built = reading.reader.layer::<T>(&inner, &reading.place.child("layer"), reading.depth + 1)?;
    // Keras 3 writes the kernel with the wrapper once more.
    let names: &[&'static str] = match reading.place {
        Place::Group(_) => &["kernel", "vector_u"],
        Place::Queue(_) => &["vector_u"],
    };
    let mut weights: Vec<Weight<T>> = reading.tensors(reading.place, names)?;
    let mut kernel = Vec::new();
    let mut find = |name: String, shape: &[usize]| {
        if name == "kernel" {
            kernel = shape.to_vec();
        }
    };
    built
        .op
        .visit_weights(Which::All, &mut WeightVisitor::new(&mut |name, weight| find(name.to_string(), weight.shape())));
    if kernel.is_empty() {
        return Err(
            option.unsupported("a layer in bytes inside is none that Keras can load: save it before quantize()")
        );
    }
    let columns = kernel.last().copied().unwrap_or(1);
    if let [copy, _] = &weights[..] {
        reading.expect_shape(copy, &kernel)?;
    }
    let Some(vector_u) = weights.pop() else { return Err(option.unsupported("it has no vector_u")) };
    reading.expect_shape(&vector_u, &[1, columns])?;
    let Built { op: layer, trainable, non_trainable, stateful } = built;
    let vector_u = vector_u.array.as_standard_layout().into_owned();
    let op = Op::new(SpectralNormalization::new(layer, vector_u, power_iterations));
    Ok(Built { op, trainable, non_trainable: non_trainable + columns, stateful })
}
