//! The backward pass through what makes one number of many.

use ndarray::ArrayD;

use super::{All, Reduce, Ways};
use crate::error::Result;
use crate::float::Float;
use crate::graph::operation::{Back, Flow, misfit};
use crate::graph::tensor::{Value, in_row_order};
use crate::math;

/// The gradient of the input. Of several largest ones each gets its share, as in TensorFlow.
pub(super) fn backward<T: Float>(reduce: &Reduce, mut back: Back<'_, T>) -> Result<Vec<Flow<T>>> {
    let d = back.of_output()?;
    let (x, y) = (back.input()?, back.output()?);
    let (Value::Float(x), Value::Float(y)) = (&x, &y) else { return Ok(vec![None]) };
    let (x, y) = (in_row_order(x), in_row_order(y));
    let Ways { results, along } = reduce.ways(x.shape());
    let mut own = ArrayD::zeros(x.raw_dim());
    let (x, own_slice) = (x.as_slice().ok_or_else(misfit)?, own.as_slice_mut().ok_or_else(misfit)?);
    let count = T::from_f64(along.len() as f64);
    for (result, (&d, &y)) in d.iter().zip(&y).enumerate() {
        let first = results.at(result);
        let places = (0..along.len()).map(|number| first + along.at(number));
        let equal = T::from_f64(places.clone().filter(|&at| x[at] == y).count() as f64);
        let mean = All::Mean.of_floats(places.clone().map(|at| x[at]), along.len());
        for at in places.clone() {
            own_slice[at] = match reduce.how {
                All::Sum => d,
                All::Mean => d / count,
                All::Max | All::Min if x[at] == y => d / equal,
                All::Prod => {
                    let others = places.clone().filter(|&other| other != at).map(|other| x[other]);
                    d * All::Prod.of_floats(others, along.len())
                }
                All::Var => d * (x[at] - mean) / count * T::from_f64(2.0),
                All::Std => d / y * (x[at] - mean) / count,
                All::LogSumExp => d * math::exp(x[at] - y),
                All::Norm => d * (x[at] / y),
                _ => T::zero(),
            };
        }
    }
    Ok(vec![Some(own)])
}
