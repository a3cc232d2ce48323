//! What one call of a layer says: options as a value, arrays to write into, and the checks before any work is done.

use std::sync::Arc;

use ndarray::{Array2, Array3, ArrayRef2, ArrayRef3};

use super::layer::LayerCore;
use super::pass::Pass;
use super::scratch::Scratch;
use super::sequence::{Sequence, SequenceMut};
use super::tape::Tape;
use super::threads;
use crate::buffers::take;
use crate::error::{Error, Result};
use crate::float::Float;
use crate::mask::{Resets, TimeMask};
use crate::memory::{self, MemoryNeeds};
use crate::output::Output;
use crate::runner::memory::{Call, Held};
use crate::seeds::DropoutSeeds;
use crate::state::State;
use crate::strided::{Rows, RowsMut};

/// The options of one call: what differs between two calls belongs to the call, not to the layer.
///
/// ```
/// use ndarray::prelude::*;
/// use recurrent::{Gru, Layer, Run};
/// let gru = Gru::<f32>::builder(3, 4).return_sequences(true).build()?;
/// let x = Array3::ones((2, 5, 3));
/// let state = gru.initial_state(2);
/// let output = gru.run(&x, Run::new().lengths(&[5, 2]).initial_state(&state))?;
/// assert_eq!(output.sequence()?.dim(), (2, 5, 4));
/// # Ok::<(), recurrent::Error>(())
/// ```
#[derive(Debug)]
#[must_use = "options do nothing until a call gets them"]
pub struct Run<'a, T> {
    mask: Option<&'a ArrayRef2<bool>>,
    lengths: Option<&'a [usize]>,
    resets: Option<&'a ArrayRef2<bool>>,
    initial_state: Option<&'a State<T>>,
    seeds: Option<&'a mut DropoutSeeds>,
    tape: Option<&'a mut Tape<T>>,
}

impl<'a, T> Run<'a, T> {
    /// No options: what [`Layer::forward`](crate::Layer::forward) does.
    pub fn new() -> Self {
        Run { mask: None, lengths: None, resets: None, initial_state: None, seeds: None, tape: None }
    }

    /// Which steps are real, (batch, timesteps): at others the state stays and the output repeats the previous one
    /// (zero before the first), or is zero with `zero_output_for_mask`. Time is the input's in every direction.
    pub fn mask(mut self, mask: &'a ArrayRef2<bool>) -> Self {
        self.mask = Some(mask);
        self
    }

    /// [`mask`](Run::mask), if there is one: what an [`Embedding`](crate::Embedding) returns.
    pub fn mask_if(mut self, mask: Option<&'a Array2<bool>>) -> Self {
        self.mask = mask.map(|mask| &**mask);
        self
    }

    /// How many of the first steps of each row are real: a mask for padded rows. Steps beyond cost nothing.
    pub fn lengths(mut self, lengths: &'a [usize]) -> Self {
        self.lengths = Some(lengths);
        self
    }

    /// Where a row is reset, (batch, timesteps): true at t means that the state before step t, and the previous
    /// output, are those of a new sequence. In a backward direction the boundary is the same, between t - 1 and t.
    pub fn resets(mut self, resets: &'a ArrayRef2<bool>) -> Self {
        self.resets = Some(resets);
        self
    }

    /// The state before the first step, instead of zeros.
    pub fn initial_state(mut self, state: &'a State<T>) -> Self {
        self.initial_state = Some(state);
        self
    }

    pub(crate) fn has_initial_state(&self) -> bool {
        self.initial_state.is_some()
    }

    pub(crate) fn has_tape(&self) -> bool {
        self.tape.is_some()
    }

    /// Training mode: dropout is active, with masks drawn from these [`Layer::seeds`](crate::Layer::seeds).
    pub fn training(mut self, seeds: &'a mut DropoutSeeds) -> Self {
        self.seeds = Some(seeds);
        self
    }

    /// Records what [`Layer::backward`](crate::Layer::backward) needs; what the tape held before is forgotten, even if
    /// the run is refused: the tape is empty then. A run of no steps (of a stream) can't be recorded:
    /// [`Error::NoTimesteps`].
    pub fn record(self, tape: &'a mut Tape<T>) -> Self {
        tape.begin();
        self.record_next(tape)
    }

    /// [`record`](Run::record) that leaves the tape as it is if the run is refused.
    pub(crate) fn record_next(mut self, tape: &'a mut Tape<T>) -> Self {
        self.tape = Some(tape);
        self
    }
}

impl<T> Default for Run<'_, T> {
    fn default() -> Self {
        Run::new()
    }
}

/// Arrays of the caller's that a call writes its results into: what is given is written, whatever the layer's flags.
#[derive(Debug)]
#[must_use = "options do nothing until a call gets them"]
pub struct OutputMut<'a, T> {
    sequence: Option<&'a mut ArrayRef3<T>>,
    last: Option<&'a mut ArrayRef2<T>>,
    state: Option<&'a mut State<T>>,
}

impl<'a, T> OutputMut<'a, T> {
    /// Nothing is written.
    pub fn new() -> Self {
        OutputMut { sequence: None, last: None, state: None }
    }

    /// The outputs of all steps: (batch, timesteps, output_size).
    pub fn sequence(mut self, sequence: &'a mut ArrayRef3<T>) -> Self {
        self.sequence = Some(sequence);
        self
    }

    /// The output of the last step: (batch, output_size).
    pub fn last(mut self, last: &'a mut ArrayRef2<T>) -> Self {
        self.last = Some(last);
        self
    }

    /// The state after the last step.
    pub fn state(mut self, state: &'a mut State<T>) -> Self {
        self.state = Some(state);
        self
    }

    #[allow(clippy::type_complexity)]
    pub(crate) fn into_parts(
        self,
    ) -> (Option<&'a mut ArrayRef3<T>>, Option<&'a mut ArrayRef2<T>>, Option<&'a mut State<T>>) {
        (self.sequence, self.last, self.state)
    }
}

impl<T> Default for OutputMut<'_, T> {
    fn default() -> Self {
        OutputMut::new()
    }
}

/// Where a call writes: slices in row order, of the right lengths.
pub(crate) struct OutputSlices<'a, T> {
    pub(crate) sequence: Option<&'a mut [T]>,
    pub(crate) last: Option<&'a mut [T]>,
    pub(crate) state: Option<&'a mut [T]>,
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
        check_seeds(layer, seeds)?;
    }
    match run.tape {
        // What would the backward pass go through?
        Some(_) if timesteps == 0 => Err(Error::NoTimesteps { given: [batch, timesteps, x.dim().2] }),
        Some(_) => layer.can_train(),
        None => Ok(()),
    }
}

/// Checks that seeds are those of this layer's generators.
fn check_seeds<T: Float, L: LayerCore<T> + ?Sized>(layer: &L, seeds: &DropoutSeeds) -> Result<()> {
    let (expected, given) = (layer.spec().generators, seeds.states.len());
    if expected != given {
        return Err(Error::SeedsCount { expected, given });
    }
    let (mut states, mut result) = (seeds.states.iter().enumerate(), Ok(()));
    layer.visit_generators(&mut |own| {
        if let Some((generator, given)) = states.next().filter(|(_, given)| !given.is(&own) && result.is_ok()) {
            let (expected, given) = (own.describe(), given.describe());
            result = Err(Error::SeedsLayer { generator, expected, given });
        }
    });
    result
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

/// The elements of a boolean array in row order, by way of a copy if they don't lie so.
fn flags<'a>(array: &'a ArrayRef2<bool>, copy: &'a mut Vec<bool>) -> &'a [bool] {
    array.as_slice().unwrap_or_else(|| {
        copy.clear();
        copy.reserve_exact(array.len());
        copy.extend(array.iter());
        copy
    })
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
    threads::process(
        layer,
        Pass {
            batch,
            timesteps,
            input: Sequence::new(x, input),
            mask: match (run.mask, run.lengths) {
                (Some(steps), _) => TimeMask::Steps { mask: flags(steps, mask), timesteps },
                (None, Some(lengths)) => TimeMask::lengths(lengths),
                (None, None) => TimeMask::All,
            },
            resets: run.resets.map(|array| Resets::new(flags(array, resets), timesteps)),
            prev,
            next: RowsMut::packed(out.state.unwrap_or(own_state), width),
            carry: RowsMut::packed(carry, carry_width),
            sequence: out.sequence.map(|slice| SequenceMut::packed(slice, timesteps, outputs)),
            masked_output: None,
            tape: run.tape.as_deref_mut().map(Tape::begin),
            dropout: run.seeds.map(|seeds| &mut seeds.states[..]),
        },
        scratch,
    );
    if let Some(tape) = run.tape {
        tape.node.timesteps = x.dim().1;
        tape.recorded(layer);
    }
    if let Some(last) = out.last {
        let carry = Rows::packed(carry, carry_width).columns(carry_width - outputs..carry_width);
        for (row, last) in last.chunks_exact_mut(outputs.max(1)).enumerate() {
            last.copy_from_slice(carry.row(row));
        }
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

/// What [`execute`] itself needs in a call.
#[derive(Debug)]
pub(crate) struct CallScratch<T> {
    /// A copy of an input that can't be read in place.
    input: Vec<T>,
    /// A row of initial state, then final states that weren't requested.
    state: Vec<T>,
    carry: Vec<T>,
    mask: Vec<bool>,
    resets: Vec<bool>,
    /// Arrays of the caller's that can't be read in place.
    pub(crate) copies: [Vec<T>; 2],
    pub(crate) zeros: Vec<T>,
}

#[cfg(any(feature = "rayon", test))]
impl<T> CallScratch<T> {
    /// The bytes of all buffers.
    pub(super) fn bytes(&self) -> usize {
        let CallScratch { input, state, carry, mask, resets, copies: [first, second], zeros } = self;
        let values = [input, state, carry, first, second, zeros].map(|buffer| buffer.capacity());
        values.iter().sum::<usize>() * size_of::<T>() + mask.capacity() + resets.capacity()
    }
}

impl<T> CallScratch<T> {
    /// Room for copies of an input, a mask and resets, after a call of this size: the next one may have some
    /// that can't be read in place. Where there is no memory for them, such a call will say so.
    pub(crate) fn reserve_copies(&mut self, (batch, timesteps, features): (usize, usize, usize)) {
        let steps = batch.saturating_mul(timesteps);
        reserve(&mut self.input, steps.saturating_mul(features));
        reserve(&mut self.mask, steps);
        reserve(&mut self.resets, steps);
    }
}

/// Room for `len` elements, if there is memory.
fn reserve<T>(buffer: &mut Vec<T>, len: usize) {
    let _ = buffer.try_reserve_exact(len.saturating_sub(buffer.len()));
}

impl<T> Default for CallScratch<T> {
    fn default() -> Self {
        CallScratch {
            input: vec![],
            state: vec![],
            carry: vec![],
            mask: vec![],
            resets: vec![],
            copies: [vec![], vec![]],
            zeros: vec![],
        }
    }
}
