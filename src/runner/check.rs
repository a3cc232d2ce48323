//! What is checked before a call does any work.

use ndarray::{ArrayRef2, ArrayRef3};

use super::layer::LayerCore;
use super::memory::{Call, Held};
use super::output_mut::OutputMut;
use super::run::Run;
use super::scratch::Scratch;
use super::threads;
use crate::error::{Error, Result};
use crate::float::Float;
use crate::memory::{self, MemoryNeeds};
use crate::seeds::check_generators;
use crate::state::State;

const NO_INNER_SEQUENCE: Error = Error::NotRequested {
    what: "sequence",
    hint: "a layer within the stack returns its last output only: give it return_sequences(true)",
};

fn check_shape(what: &'static str, expected: &[usize], given: &[usize]) -> Result<()> {
    if expected == given {
        return Ok(());
    }
    Err(Error::OutputShape { what, expected: expected.to_vec(), given: given.to_vec() })
}

/// Checks that an input fits a layer: (batch, timesteps, input_size) with at least one step.
pub(crate) fn check_input<T: Float, L: LayerCore<T> + ?Sized>(layer: &L, x: &ArrayRef3<T>) -> Result<()> {
    check_features(layer, x)?;
    let (batch, timesteps, features) = x.dim();
    if timesteps == 0 { Err(Error::NoTimesteps { given: [batch, timesteps, features] }) } else { Ok(()) }
}

/// Checks that an input has the layer's features.
pub(crate) fn check_features<T: Float, L: LayerCore<T> + ?Sized>(layer: &L, x: &ArrayRef3<T>) -> Result<()> {
    let (batch, timesteps, features) = x.dim();
    let expected = layer.spec().input_size;
    if features == expected {
        return layer.check_ready();
    }
    Err(Error::InputFeatures { expected, given: [batch, timesteps, features] })
}

/// Checks that the caller's arrays have the shapes of the results.
pub(crate) fn check_outputs<T: Float, L: LayerCore<T> + ?Sized>(
    layer: &L,
    x: &ArrayRef3<T>,
    out: &OutputMut<'_, T>,
) -> Result<()> {
    let (batch, timesteps, _) = x.dim();
    check_results(layer, (batch, timesteps), out.sequence.as_deref(), out.last.as_deref(), out.state.as_deref())
}

/// Checks that arrays have the shapes of a call's results: to be written, or the gradients of them.
pub(crate) fn check_results<T: Float, L: LayerCore<T> + ?Sized>(
    layer: &L,
    (batch, timesteps): (usize, usize),
    sequence: Option<&ArrayRef3<T>>,
    last: Option<&ArrayRef2<T>>,
    state: Option<&State<T>>,
) -> Result<()> {
    let spec = layer.spec();
    let outputs = spec.output_size;
    if let Some(array) = sequence {
        if !spec.writes_sequence {
            return Err(NO_INNER_SEQUENCE);
        }
        check_shape("sequence", &[batch, timesteps, outputs], array.shape())?;
    }
    if let Some(array) = last {
        check_shape("last", &[batch, outputs], array.shape())?;
    }
    match state {
        Some(state) => state.check(layer.layout(), batch),
        None => Ok(()),
    }
}

fn check_options<T: Float, L: LayerCore<T> + ?Sized>(layer: &L, x: &ArrayRef3<T>, run: &Run<'_, T>) -> Result<()> {
    let (batch, timesteps, _) = x.dim();
    if run.mask.is_some() && run.lengths.is_some() {
        return Err(Error::MaskAndLengths);
    }
    for (what, array) in [("mask", run.mask), ("resets", run.resets)] {
        if let Some(given) = array.map(|array| array.dim()).filter(|&given| given != (batch, timesteps)) {
            return Err(Error::MaskShape { what, expected: (batch, timesteps), given });
        }
    }
    if let Some(lengths) = run.lengths {
        if lengths.len() != batch {
            return Err(Error::LengthsCount { expected: batch, given: lengths.len() });
        }
        if let Some((row, &length)) = lengths.iter().enumerate().find(|&(_, &length)| length > timesteps) {
            return Err(Error::Length { row, length, timesteps });
        }
    }
    if let Some(state) = run.initial_state {
        state.check(layer.layout(), batch)?;
    }
    if let Some(seeds) = &run.seeds {
        check_generators(seeds, |show| layer.visit_generators(show))?;
    }
    match run.tape {
        // What would the backward pass go through?
        Some(_) if timesteps == 0 => Err(Error::NoTimesteps { given: [batch, timesteps, x.dim().2] }),
        Some(_) => layer.can_train(),
        None => Ok(()),
    }
}

/// Checks that the options of a call fit it, and that there is memory for all that it takes beyond `own`, which the
/// caller takes for itself. Nothing has been done then that a refusal would have to undo.
pub(crate) fn check_call<T: Float, L: LayerCore<T> + ?Sized>(
    layer: &L,
    x: &ArrayRef3<T>,
    run: &Run<'_, T>,
    (sequence, own): (bool, MemoryNeeds),
    scratch: &Scratch<T>,
) -> Result<()> {
    check_options(layer, x, run)?;
    let ((batch, timesteps, features), mut needs) = (x.dim(), own);
    let (spec, width) = (layer.spec(), layer.layout().width());
    let shape = [batch, timesteps, spec.output_size];
    memory::check_shape(&shape)?;
    let call = &scratch.call;
    let copied = if x.is_standard_layout() { 0 } else { features };
    needs.buffer::<T>(call.input.capacity(), &[batch, timesteps, copied]);
    needs.buffer::<T>(call.state.len(), &[batch.saturating_add(1), width]);
    needs.buffer::<T>(call.carry.len(), &[batch, spec.carry_width]);
    for (array, held) in [(run.mask, call.mask.capacity()), (run.resets, call.resets.capacity())] {
        let copied = if array.is_none_or(|array| array.is_standard_layout()) { 0 } else { batch };
        needs.buffer::<bool>(held, &[copied, timesteps]);
    }
    let (resets, recorded, dropout) = (run.resets.is_some(), run.tape.is_some(), run.seeds.is_some());
    let held = Held { scratch: Some(scratch), node: run.tape.as_ref().map(|tape| &tape.node) };
    threads::memory_needs(layer, Call { batch, timesteps, sequence, resets, recorded, dropout }, held, &mut needs);
    needs.check(&shape)
}
