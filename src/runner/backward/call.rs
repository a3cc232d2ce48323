//! The checks before a backward pass.

use ndarray::ArrayRef2;

use crate::buffers::take;
use crate::error::{Error, Result};
use crate::float::Float;
use crate::gradients::{Gradients, OutputGradient, WeightGradients};
use crate::memory::{self, MemoryNeeds};
use crate::runner::activity;
use crate::runner::check::check_results;
use crate::runner::layer::LayerCore;
use crate::runner::memory::{CallBack, Held};
use crate::runner::pass::BackwardPass;
use crate::runner::sequence::{Sequence, SequenceMut};
use crate::runner::tape::Tape;
use crate::runner::threads;
use crate::strided::{Rows, RowsMut};

/// A checked backward pass: [`Layer::backward`](crate::Layer::backward) ends here.
pub(crate) fn backward<T: Float, L: LayerCore<T> + ?Sized>(
    layer: &L,
    tape: &mut Tape<T>,
    upstream: OutputGradient<'_, T>,
    gradients: &mut Gradients<T>,
) -> Result<()> {
    tape.check(layer)?;
    let (batch, timesteps) = (tape.node.batch, tape.node.timesteps);
    let (spec, width) = (layer.spec(), layer.layout().width());
    let outputs = spec.output_size;
    if !gradients.fit(layer) {
        return Err(Error::GradientsLayer);
    }
    check_results(layer, (batch, timesteps), upstream.sequence, upstream.last, upstream.state)?;

    let may_fail = spec.may_fail_backward;
    check_room(layer, tape, &upstream, gradients)?;
    if batch == 0 {
        // No rows cost no time, however many steps they have.
        gradients.prepare(batch, timesteps, spec.input_size);
        tape.spend();
        return Ok(());
    }
    if may_fail {
        tape.kept.keep(gradients);
    }
    gradients.prepare(batch, timesteps, spec.input_size);
    let mut call = std::mem::take(&mut tape.scratch.call);
    let [sequence_copy, last_copy] = &mut call.copies;
    let zeros = take(&mut call.zeros, width);
    zeros.fill(T::zero());
    let pass = BackwardPass {
        d_sequence: upstream.sequence.map(|array| Sequence::new(array, sequence_copy)),
        flipped: false,
        d_last: upstream.last.map(|array| Rows::packed(in_row_order(array, last_copy), outputs)),
        d_state: match upstream.state {
            Some(state) => state.rows(),
            None => Rows::new(zeros, 0, 0, width),
        },
        d_input: gradients
            .input
            .as_mut()
            .and_then(|array| Some(SequenceMut::packed(array.as_slice_mut()?, timesteps, spec.input_size))),
        d_initial: RowsMut::packed(gradients.state.as_mut_slice(), width),
        gradients: WeightGradients::new(&mut gradients.weights),
    };
    // Before the backward pass, which overwrites what was recorded: a cell of the user's may panic on it.
    tape.spend();
    let Tape { node, scratch, .. } = tape;
    let result = activity::backward(node, pass, |node, pass| threads::backward(layer, node, pass, scratch));
    tape.scratch.call = call;
    if may_fail && result.is_err() {
        tape.kept.give_back(gradients);
    }
    result
}

/// Checks that there is memory for all that a backward pass takes.
fn check_room<T: Float, L: LayerCore<T> + ?Sized>(
    layer: &L,
    tape: &Tape<T>,
    upstream: &OutputGradient<'_, T>,
    gradients: &Gradients<T>,
) -> Result<()> {
    let (batch, timesteps) = (tape.node.batch, tape.node.timesteps);
    let (spec, width) = (layer.spec(), layer.layout().width());
    let (outputs, shape) = (spec.output_size, [batch, timesteps, spec.input_size]);
    let mut needs = MemoryNeeds::default();
    if let Some(input) = &gradients.input {
        memory::check_shape(&shape)?;
        if input.shape() != shape {
            needs.array::<T>(&shape);
        }
    }
    needs.array::<T>(&[if gradients.state.batch() == batch { 0 } else { batch }, width]);
    if spec.may_fail_backward {
        let weights = gradients.weights.iter().map(|weight| weight.len());
        let input = gradients.input.iter().map(|input| input.len());
        weights.chain(input).for_each(|len| needs.array::<T>(&[len]));
    }
    let scratch = &tape.scratch;
    let [sequence_copy, last_copy] = &scratch.call.copies;
    if upstream.sequence.is_some_and(|array| !array.is_standard_layout()) {
        needs.buffer::<T>(sequence_copy.capacity(), &[batch, timesteps, outputs]);
    }
    if upstream.last.is_some_and(|array| !array.is_standard_layout()) {
        needs.buffer::<T>(last_copy.capacity(), &[batch, outputs]);
    }
    let held = Held { scratch: Some(scratch), node: Some(&tape.node) };
    layer.memory_needs_backward(CallBack { batch, timesteps, input: gradients.input.is_some() }, held, &mut needs);
    needs.check(&shape)
}

/// The elements of an array in row order, by way of a copy if they don't lie so.
fn in_row_order<'a, T: Float>(array: &'a ArrayRef2<T>, copy: &'a mut Vec<T>) -> &'a [T] {
    array.as_slice().unwrap_or_else(|| {
        copy.clear();
        copy.reserve_exact(array.len());
        copy.extend(array.iter());
        copy
    })
}
