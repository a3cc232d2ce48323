//! Runs a layer over arrays: the way from a call's options and arrays to a [`Pass`].

use std::sync::Arc;

use ndarray::{Array2, Array3, ArrayRef2, ArrayRef3};

use super::activity;
use super::check::{check_call, check_input, check_outputs};
use super::layer::LayerCore;
use super::output_mut::{OutputMut, OutputSlices};
use super::pass::Pass;
use super::run::Run;
use super::scratch::{CallScratch, Scratch};
use super::sequence::{Sequence, SequenceMut};
use super::tape::Tape;
use super::threads;
use crate::buffers::take;
use crate::error::Result;
use crate::float::Float;
use crate::mask::{Resets, TimeMask};
use crate::memory::MemoryNeeds;
use crate::output::Output;
use crate::state::State;
use crate::strided::{Rows, RowsMut, copy_rows};

/// The elements of a boolean array in row order, by way of a copy if they don't lie so.
fn flags<'a>(array: &'a ArrayRef2<bool>, copy: &'a mut Vec<bool>) -> &'a [bool] {
    array.as_slice().unwrap_or_else(|| {
        copy.clear();
        copy.reserve_exact(array.len());
        copy.extend(array.iter());
        copy
    })
}

/// Which steps are live, by a mask or by lengths.
fn time_mask<'a>(
    (mask, lengths): (Option<&'a ArrayRef2<bool>>, Option<&'a [usize]>),
    timesteps: usize,
    copy: &'a mut Vec<bool>,
) -> TimeMask<'a> {
    match (mask, lengths) {
        (Some(mask), _) => TimeMask::Steps { mask: flags(mask, copy), timesteps },
        (None, Some(lengths)) => TimeMask::lengths(lengths),
        (None, None) => TimeMask::All,
    }
}

/// A checked call: everything public that runs a layer over an array ends here. T = 0 is allowed, for streams.
///
/// `carry` holds the previous outputs, which the call begins with and leaves behind; without it they begin at zero.
pub(crate) fn execute<T: Float, L: LayerCore<T> + ?Sized>(
    layer: &L,
    x: &ArrayRef3<T>,
    run: Run<'_, T>,
    out: OutputSlices<'_, T>,
    carry: Option<&mut [T]>,
    scratch: &mut Scratch<T>,
) -> Result<()> {
    check_call(layer, x, &run, (out.sequence.is_some(), MemoryNeeds::default()), scratch)?;
    execute_checked(layer, x, run, out, carry, scratch);
    Ok(())
}

/// [`execute`] without its checks.
fn execute_checked<T: Float, L: LayerCore<T> + ?Sized>(
    layer: &L,
    x: &ArrayRef3<T>,
    mut run: Run<'_, T>,
    out: OutputSlices<'_, T>,
    carry: Option<&mut [T]>,
    scratch: &mut Scratch<T>,
) {
    let (batch, timesteps, _) = x.dim();
    // No rows cost no time, however many steps they have.
    let timesteps = if batch == 0 { timesteps.min(1) } else { timesteps };
    let (spec, width) = (layer.spec(), layer.layout().width());
    let (outputs, carry_width) = (spec.output_size, spec.carry_width);

    // What this function lends to the pass leaves the scratch meanwhile, because the layer gets the rest of it.
    let mut call = std::mem::take(&mut scratch.call);
    let CallScratch { input, state, carry: own_carry, mask, resets, .. } = &mut call;

    let state = take(state, width + batch * width);
    let (initial, own_state) = state.split_at_mut(width);
    let prev = match run.initial_state {
        Some(state) => state.rows(),
        None => {
            layer.fill_initial_state(initial);
            Rows::new(initial, 0, 0, width)
        }
    };
    let carry = carry.unwrap_or_else(|| {
        let carry = take(own_carry, batch * carry_width);
        carry.fill(T::zero());
        carry
    });
    let pass = Pass {
        batch,
        timesteps,
        input: Sequence::new(x, input),
        mask: time_mask((run.mask, run.lengths), timesteps, mask),
        resets: run.resets.map(|array| Resets::new(flags(array, resets), timesteps)),
        prev,
        next: RowsMut::packed(out.state.unwrap_or(own_state), width),
        carry: RowsMut::packed(carry, carry_width),
        sequence: out.sequence.map(|slice| SequenceMut::packed(slice, timesteps, outputs)),
        masked_output: None,
        tape: run.tape.as_deref_mut().map(Tape::begin),
        dropout: run.seeds,
    };
    activity::process(&spec, pass, |pass| threads::process(layer, pass, scratch));
    if let Some(tape) = run.tape {
        tape.node.timesteps = x.dim().1;
        tape.recorded(layer);
    }
    if let Some(last) = out.last {
        let carry = Rows::packed(carry, carry_width).columns(carry_width - outputs..carry_width);
        copy_rows(last.len() / outputs.max(1), carry, RowsMut::packed(last, outputs));
    }
    scratch.call = call;
}

/// A checked call that makes the arrays which the layer returns. The final state goes to `kept`, if there is one, else
/// it is returned by the layer's flag alone; `carry` is that of [`execute`].
pub(crate) fn produce<T: Float, L: LayerCore<T> + ?Sized>(
    layer: &L,
    x: &ArrayRef3<T>,
    run: Run<'_, T>,
    kept: Option<&mut State<T>>,
    carry: Option<&mut [T]>,
    scratch: &mut Scratch<T>,
) -> Result<Output<T>> {
    let (batch, timesteps, _) = x.dim();
    let (spec, width) = (layer.spec(), layer.layout().width());
    let (outputs, sequence) = (spec.output_size, spec.returns_sequences);
    let mut own = MemoryNeeds::default();
    // Directions that aren't merged are taken apart, by way of copies.
    let copies = if spec.unmerged.is_some() { 2 } else { 1 };
    own.array::<T>(&[copies, batch, if sequence { timesteps } else { 0 }, outputs]);
    own.array::<T>(&[copies, batch, outputs]);
    own.array::<T>(&[batch, if spec.returns_state { width } else { 0 }]);
    check_call(layer, x, &run, (sequence, own), scratch)?;
    let mut last = Array2::zeros((batch, outputs));
    let mut sequence = spec.returns_sequences.then(|| Array3::zeros((batch, timesteps, outputs)));
    let mut own = (spec.returns_state && kept.is_none()).then(|| State::zeros(Arc::clone(layer.layout()), batch));
    let mut kept = kept;
    let slices = OutputSlices {
        sequence: sequence.as_mut().and_then(|array| array.as_slice_mut()),
        last: last.as_slice_mut(),
        state: kept.as_deref_mut().or(own.as_mut()).map(State::as_mut_slice),
    };
    execute_checked(layer, x, run, slices, carry, scratch);
    let state = own.or_else(|| kept.filter(|_| spec.returns_state).cloned());
    let output = Output { last, sequence, state, backward: None };
    Ok(match spec.unmerged {
        Some(forward) => output.split(forward),
        None => output,
    })
}

/// `Layer::run_into`: the shapes of the caller's arrays, then [`execute`].
pub(crate) fn run_into<T: Float, L: LayerCore<T> + ?Sized>(
    layer: &L,
    x: &ArrayRef3<T>,
    run: Run<'_, T>,
    out: OutputMut<'_, T>,
    scratch: &mut Scratch<T>,
) -> Result<()> {
    check_input(layer, x)?;
    check_outputs(layer, x, &out)?;
    let (batch, timesteps, _) = x.dim();
    let outputs = layer.spec().output_size;
    // Arrays that don't lie in row order are written by way of a copy.
    let OutputMut { mut sequence, mut last, state } = out;
    let [sequence_copy, last_copy] = &scratch.copies;
    let mut own = MemoryNeeds::default();
    if sequence.as_ref().is_some_and(|array| !array.is_standard_layout()) {
        own.buffer::<T>(sequence_copy.len(), &[batch, timesteps, outputs]);
    }
    if last.as_ref().is_some_and(|array| !array.is_standard_layout()) {
        own.buffer::<T>(last_copy.len(), &[batch, outputs]);
    }
    check_call(layer, x, &run, (sequence.is_some(), own), scratch)?;
    let mut copies = std::mem::take(&mut scratch.copies);
    let sequence_slice = sequence.as_mut().map(|array| (batch * timesteps * outputs, array.as_slice_mut()));
    let last_slice = last.as_mut().map(|array| (batch * outputs, array.as_slice_mut()));
    let [sequence_copy, last_copy] = &mut copies;
    execute_checked(
        layer,
        x,
        run,
        OutputSlices {
            sequence: sequence_slice.map(|(len, slice)| slice.unwrap_or_else(|| take(sequence_copy, len))),
            last: last_slice.map(|(len, slice)| slice.unwrap_or_else(|| take(last_copy, len))),
            state: state.map(State::as_mut_slice),
        },
        None,
        scratch,
    );
    if let Some(array) = sequence.filter(|array| !array.is_standard_layout()) {
        array.iter_mut().zip(sequence_copy.iter()).for_each(|(to, from)| *to = *from);
    }
    if let Some(array) = last.filter(|array| !array.is_standard_layout()) {
        array.iter_mut().zip(last_copy.iter()).for_each(|(to, from)| *to = *from);
    }
    scratch.copies = copies;
    Ok(())
}
