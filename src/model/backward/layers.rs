//! The way back through layers that have one of their own.

use std::sync::Arc;

use ndarray::{Array1, ArrayD, Axis, Ix2, Ix3, concatenate};

use super::Flow;
use super::shapes::reshaped;
use crate::error::Result;
use crate::float::Float;
use crate::gradients::OutputGradient;
use crate::layers::Layer;
use crate::layers::dense::Dense;
use crate::layers::embedding::Embedding;
use crate::model::gradients::Sums;
use crate::model::op::{Op, misfit};
use crate::model::tape::Record;
use crate::model::tensor::{Value, in_row_order};
use crate::state::State;

/// A layer over time: outputs are the sequence or the last step, of each direction if they aren't merged, then the
/// parts of the state.
pub(super) fn recurrent<T: Float>(
    layer: &dyn Layer<T>,
    record: &mut Record<T>,
    upstream: Vec<Flow<T>>,
    wanted: &[bool],
    mut sums: Sums<'_, T>,
) -> Result<Vec<Flow<T>>> {
    let mut upstream = upstream.into_iter();
    let mut output = upstream.next().flatten();
    if layer.spec().unmerged.is_some() {
        output = side_by_side([output, upstream.next().flatten()], &record.outputs)?;
    }
    let state = state(layer, upstream.collect())?;
    let (mut sequence, mut last) = (None, None);
    if let Some(output) = output {
        match layer.returns_sequences() {
            true => sequence = Some(output.into_dimensionality::<Ix3>().map_err(|_| misfit())?),
            false => last = Some(output.into_dimensionality::<Ix2>().map_err(|_| misfit())?),
        }
    }
    let mut gradient = OutputGradient::new();
    if let Some(sequence) = &sequence {
        gradient = gradient.sequence(sequence);
    }
    if let Some(last) = &last {
        gradient = gradient.last(last);
    }
    if let Some(state) = &state {
        gradient = gradient.state(state);
    }
    let with_input = wanted.first().is_some_and(|&wanted| wanted);
    let found = sums.lend(layer, with_input, |lent| layer.backward(&mut record.tape, gradient, lent))?;
    let mut back = vec![found.input.map(|input| input.into_dyn())];
    for (name, &read) in layer.state_layout().names().zip(&record.initial) {
        back.push(if read { Some(found.state.get(name)?.to_owned().into_dyn()) } else { None });
    }
    Ok(back)
}

/// The gradient of two directions' outputs, of which either may have none.
fn side_by_side<T: Float>(halves: [Flow<T>; 2], outputs: &[Value<T>]) -> Result<Flow<T>> {
    if halves.iter().all(Option::is_none) {
        return Ok(None);
    }
    let zeros = |at: usize| ArrayD::zeros(outputs.get(at).map_or(&[][..], Value::shape));
    let [first, second] = halves;
    let (first, second) = (first.unwrap_or_else(|| zeros(0)), second.unwrap_or_else(|| zeros(1)));
    let last = Axis(first.ndim().saturating_sub(1));
    concatenate(last, &[first.view(), second.view()]).map(Some).map_err(|_| misfit())
}

/// The gradient of a state from those of its parts.
fn state<T: Float>(layer: &dyn Layer<T>, parts: Vec<Flow<T>>) -> Result<Option<State<T>>> {
    let Some(batch) = parts.iter().flatten().next().map(|part| part.len_of(Axis(0))) else { return Ok(None) };
    let mut state = State::zeros(Arc::clone(layer.state_layout()), batch);
    for (name, part) in layer.state_layout().names().zip(parts) {
        if let Some(part) = part {
            state.set(name, &part.into_dimensionality::<Ix2>().map_err(|_| misfit())?)?;
        }
    }
    Ok(Some(state))
}

pub(super) fn dense<T: Float>(
    layer: &Dense<T>,
    record: &mut Record<T>,
    shape: &[usize],
    d: ArrayD<T>,
    wanted: &[bool],
    mut sums: Sums<'_, T>,
) -> Result<Flow<T>> {
    let rows = shape.iter().rev().skip(1).product();
    let d = reshaped(d, &[rows, layer.output_size()])?.into_dimensionality::<Ix2>().map_err(|_| misfit())?;
    let with_input = wanted.first().is_some_and(|&wanted| wanted);
    let upstream = OutputGradient::new().last(&d);
    let found = sums.lend(layer, with_input, |lent| layer.backward(&mut record.tape, upstream, lent))?;
    found.input.map(|input| reshaped(input.into_dyn(), shape)).transpose()
}

/// Ids have no gradient.
pub(super) fn embedding<T: Float>(
    table: &Embedding<T>,
    ids: &Value<T>,
    d: ArrayD<T>,
    mut sums: Sums<'_, T>,
) -> Result<Flow<T>> {
    if !sums.is_empty() {
        let ids: Array1<i64> = in_row_order(&ids.integers()).into_iter().collect();
        let d = reshaped(d, &[1, ids.len(), table.embeddings().ncols()])?;
        let d = d.into_dimensionality::<Ix3>().map_err(|_| misfit())?;
        sums.lend(table, false, |lent| table.backward(&ids.insert_axis(Axis(0)), &d, lent))?;
    }
    Ok(None)
}

/// The inner operation with time as more rows of the batch.
pub(super) fn time_distributed<T: Float>(
    inner: &Op<T>,
    record: &mut Record<T>,
    shape: &[usize],
    d: ArrayD<T>,
    wanted: &[bool],
    sums: Sums<'_, T>,
) -> Result<Flow<T>> {
    let [batch, timesteps, ..] = shape else { return Err(misfit()) };
    let rest = d.shape().get(2..).unwrap_or(&[]).to_vec();
    let d = reshaped(d, &[&[batch * timesteps], &rest[..]].concat())?;
    let back = inner.go_back(record.inner.only(), vec![Some(d)], wanted, sums)?;
    back.into_iter().next().flatten().map(|d| reshaped(d, shape)).transpose()
}
