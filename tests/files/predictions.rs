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
    if let Some(size) = model.inputs().flat_map(|(_, shape)| shape).flatten().find(|&&size| size > 100) {
        return Err(Error::TensorTooLarge { shape: vec![*size] });
    }
    let arrays: Vec<(ArrayD<T>, ArrayD<i64>)> = model
        .inputs()
        .map(|(_, shape)| {
            let shape: Vec<usize> = shape.iter().enumerate().map(|(i, size)| size.unwrap_or(i + 2)).collect();
            let mut next = 0;
            let ids = ArrayD::from_shape_simple_fn(shape, || {
                next = (next * 5 + 3) % 7;
                next
            });
            (ids.mapv(|id| T::from_f64(id as f64 / 4.0 - 0.75)), ids)
        })
        .collect();
    let floats: Vec<Input<'_, T>> = arrays.iter().map(|(floats, _)| floats.into()).collect();
    let ids: Vec<Input<'_, T>> = arrays.iter().map(|(_, ids)| ids.into()).collect();
    let outputs = model.predict(&floats).or_else(|_| model.predict(&ids))?;
    Ok(outputs.iter().map(|output| output.mapv(Float::into_f64)).collect())
}
