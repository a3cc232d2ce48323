//! A recurrent node as a layer: gates in our order, matrices the other way round, two biases as what they are here.

use ndarray::{ArrayD, Axis, stack};

use super::{Cell, Direction, Recurrent, Weights};
use crate::activation::Activation;
use crate::cells::builder::Builder;
use crate::cells::quantized::of_bytes;
use crate::cells::{Listed, QuantizedCell};
use crate::error::Error;
use crate::float::Float;
use crate::formats::error::Found;
use crate::formats::gate_order::{keras, onnx, reorder};
use crate::formats::limits::Limits;
use crate::formats::onnx::bytes::Bytes;
use crate::formats::onnx::node::Node;
use crate::layers::bidirectional::Bidirectional;
use crate::layers::names::{Gru, Lstm, SimpleRnn};
use crate::layers::recurrent::Recurrent as OverTime;
use crate::layers::{Layer, quantize};

/// The layer. It returns its state, and zeros at what is masked, as ONNX Runtime's outputs are past a row's end.
pub(in crate::formats::onnx) fn layer<T: Float>(
    node: &Node<'_>,
    read: &Recurrent,
    weights: &Weights<T>,
    sequences: bool,
    limits: &Limits,
) -> Found<Box<dyn Layer<T>>> {
    let (input, units) = read.sizes(node, weights, limits)?;
    let bias = weights.b.is_some();
    match read.cell {
        Cell::Rnn => over_time(node, read, weights, sequences, |direction| {
            let candidate = read.clipped(&read.activations[direction].candidate);
            SimpleRnn::builder(input, units).activation(candidate).use_bias(bias)
        }),
        Cell::Lstm => over_time(node, read, weights, sequences, |direction| {
            let own = &read.activations[direction];
            let mut builder = Lstm::builder(input, units)
                .activation(own.candidate.clone())
                .recurrent_activation(own.gates.clone())
                .use_bias(bias)
                .unit_forget_bias(false)
                .input_forget(read.input_forget)
                .peephole(weights.p.is_some());
            if own.output != own.candidate {
                builder = builder.output_activation(own.output.clone());
            }
            match read.clip {
                Some(clip) => builder.clip(clip),
                None => builder,
            }
        }),
        Cell::Gru => over_time(node, read, weights, sequences, |direction| {
            let own = &read.activations[direction];
            Gru::builder(input, units)
                .activation(read.clipped(&own.candidate))
                .recurrent_activation(read.clipped(&own.gates))
                .use_bias(bias)
                .reset_after(read.linear_before_reset)
        }),
    }
}

impl Recurrent {
    /// With the bound of what goes into it.
    fn clipped(&self, activation: &Activation) -> Activation {
        match self.clip {
            Some(bound) => Activation::Clipped { bound, of: Box::new(activation.clone()) },
            None => activation.clone(),
        }
    }
}

fn over_time<T: Float, C: Listed<Elem = T>>(
    node: &Node<'_>,
    read: &Recurrent,
    weights: &Weights<T>,
    sequences: bool,
    make: impl Fn(usize) -> Builder<'static, C>,
) -> Found<Box<dyn Layer<T>>> {
    let one = |direction: usize, backwards: bool| -> Found<OverTime<C>> {
        let builder = make(direction)
            .seed(0) // of a dropout that there isn't: nothing is drawn
            .return_sequences(sequences)
            .return_state(true)
            .zero_output_for_mask(true)
            .go_backwards(backwards);
        let mut layer = builder.build_of_zeros().map_err(|error| node.built(&error))?;
        let new = of_direction(read, weights, direction);
        let views: Vec<_> = new.iter().map(|(name, array)| (*name, array.view())).collect();
        crate::parameters::Parameters::set_weights(&mut layer, &views).map_err(|error| node.built(&error))?;
        Ok(layer)
    };
    if let Some(layer) = in_bytes(node, read, weights, one)? {
        return Ok(layer);
    }
    Ok(match read.direction {
        Direction::Forward => Box::new(one(0, false)?),
        Direction::Reverse => Box::new(one(0, true)?),
        Direction::Both => {
            let both = Bidirectional::from_layers(one(0, false)?, one(1, true)?);
            Box::new(both.map_err(|error| node.built(&error))?)
        }
    })
}

/// The same with the node's own bytes. None: it has none, or the model isn't of f32, or these have no such form; then what
/// they mean is taken.
fn in_bytes<T: Float, C: Listed<Elem = T>>(
    node: &Node<'_>,
    read: &Recurrent,
    weights: &Weights<T>,
    one: impl Fn(usize, bool) -> Found<OverTime<C>>,
) -> Found<Option<Box<dyn Layer<T>>>> {
    let Some(bytes) = weights.bytes.as_ref().filter(|_| size_of::<T>() == size_of::<f32>()) else { return Ok(None) };
    let (from, to) = (read.cell.gates(), read.cell.own_gates(read.input_forget));
    let one = |direction: usize, backwards: bool| -> Found<Option<OverTime<QuantizedCell>>> {
        let packed = |own: &Bytes| own.at(direction).reordered(from, to).turned().by_column();
        let [Some(kernel), Some(recurrent_kernel)] = bytes.each_ref().map(packed) else { return Ok(None) };
        let layer = one(direction, backwards)?;
        match of_bytes(layer.cell(), [kernel, recurrent_kernel]) {
            Ok(cell) => Ok(Some(OverTime::with_options(cell, layer.options()))),
            // A plain node's weights are floats, whatever they are made of.
            Err(_) if read.cell.operator() == node.operator() => Ok(None),
            Err(error) => Err(node.refuse(format!("{error}: load the model that it was made of"))),
        }
    };
    let boxed = |layer: Result<Box<dyn Layer<T>>, Error>| layer.map(Some).map_err(|error| node.built(&error));
    match read.direction {
        Direction::Forward => one(0, false)?.map_or(Ok(None), |layer| boxed(quantize::boxed(layer))),
        Direction::Reverse => one(0, true)?.map_or(Ok(None), |layer| boxed(quantize::boxed(layer))),
        Direction::Both => match (one(0, false)?, one(1, true)?) {
            (Some(forward), Some(backward)) => {
                boxed(Bidirectional::from_layers(forward, backward).and_then(quantize::boxed))
            }
            _ => Ok(None),
        },
    }
}

/// The weights of one direction, under our names.
fn of_direction<T: Float>(read: &Recurrent, weights: &Weights<T>, direction: usize) -> Vec<(&'static str, ArrayD<T>)> {
    let (from, to) = (read.cell.gates(), read.cell.own_gates(read.input_forget));
    let own = |array: &ArrayD<T>| array.index_axis(Axis(0), direction).to_owned();
    let matrix = |array: &ArrayD<T>| reorder(own(array).view(), Axis(0), from, to).reversed_axes();
    let mut new = vec![("kernel", matrix(&weights.w)), ("recurrent_kernel", matrix(&weights.r))];
    if let Some(b) = &weights.b {
        let b = own(b);
        let (of_input, of_state) = b.view().split_at(Axis(0), b.len() / 2);
        let [of_input, of_state] = [of_input, of_state].map(|half| reorder(half, Axis(0), from, to));
        new.push((
            "bias",
            match read.linear_before_reset {
                // The second one stands inside the reset gate's product.
                true => stack(Axis(0), &[of_input.view(), of_state.view()]).unwrap_or(of_input),
                false => of_input + of_state,
            },
        ));
    }
    if let Some(p) = &weights.p {
        let to = if read.input_forget { keras::COUPLED_PEEPHOLES } else { keras::PEEPHOLES };
        new.push(("peephole_kernel", reorder(own(p).view(), Axis(0), onnx::PEEPHOLES, to)));
    }
    new
}
