//! What a model computes of numbers that fit its inputs.

use ndarray::prelude::*;
use recurrent::model::Input;
use recurrent::{Error, Float, Model, Result};

/// The bits of what a model computes.
pub fn predict<T: Float>(model: &Model<T>) -> Result<Vec<Vec<u64>>> {
    let outputs = arrays(model)?;
    Ok(outputs.iter().map(|output| output.iter().map(|value| value.to_bits()).collect()).collect())
}

/// What it computes of numbers in place of its inputs, of whatever type they are.
pub fn arrays<T: Float>(model: &Model<T>) -> Result<Vec<ArrayD<f64>>> {
    let inputs = inputs(model)?;
    let floats: Vec<Input<'_, T>> = inputs.iter().map(|(floats, _)| floats.into()).collect();
    wide(model.predict(&floats)).or_else(|_| arrays_of_ids(model))
}

/// The same of whole numbers.
pub fn arrays_of_ids<T: Float>(model: &Model<T>) -> Result<Vec<ArrayD<f64>>> {
    let inputs = inputs(model)?;
    let ids: Vec<Input<'_, T>> = inputs.iter().map(|(_, ids)| ids.into()).collect();
    wide(model.predict(&ids))
}

fn wide<T: Float>(outputs: Result<Vec<ArrayD<T>>>) -> Result<Vec<ArrayD<f64>>> {
    Ok(outputs?.iter().map(|output| output.mapv(Float::into_f64)).collect())
}

/// Numbers for each input, as floats and as ids.
fn inputs<T: Float>(model: &Model<T>) -> Result<Vec<(ArrayD<T>, ArrayD<i64>)>> {
    if let Some(size) = model.inputs().flat_map(|(_, shape)| shape).flatten().find(|&&size| size > 100) {
        return Err(Error::TensorTooLarge { shape: vec![*size] });
    }
    let inputs = model.inputs().map(|(_, shape)| {
        let shape: Vec<usize> = shape.iter().enumerate().map(|(i, size)| size.unwrap_or(i + 2)).collect();
        let mut next = 0;
        let ids = ArrayD::from_shape_simple_fn(shape, || {
            next = (next * 5 + 3) % 7;
            next
        });
        (ids.mapv(|id| T::from_f64(id as f64 / 4.0 - 0.75)), ids)
    });
    Ok(inputs.collect())
}
