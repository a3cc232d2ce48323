//! Which models run step by step, and what of them runs before the first step.

use super::super::chain::cannot;
use super::pairs::Pair;
use super::rate::Rate;
use super::together::joint;
use crate::error::{Error, Result};
use crate::float::Float;
use crate::graph::operation::{OverTime, Role, misfit};
use crate::graph::{CallSpec, Model};

/// What a tensor is while steps are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// (batch, timesteps, ..): one step of it, and when they come.
    Sequence(Rate),
    /// Without a time axis: as it is up to here, and when that changes.
    Steady(Rate),
    /// Without a time axis, and the same in all steps.
    Constant,
}

impl Kind {
    pub(super) fn is_sequence(self) -> bool {
        matches!(self, Kind::Sequence(_))
    }

    pub(super) fn rate(self) -> Option<Rate> {
        match self {
            Kind::Sequence(rate) | Kind::Steady(rate) => Some(rate),
            Kind::Constant => None,
        }
    }
}

/// What an operation gives that takes one step of a sequence after another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gives {
    /// A step of a sequence.
    EachStep,
    /// What it would give of the sequence up to there.
    SoFar,
}

/// How an operation is used by a stream that can take a sequence step by step, or whole what has no steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Pace {
    #[default]
    Unknown,
    Steps,
    Whole,
}

impl Pace {
    /// Chooses, for all calls.
    pub(crate) fn choose(&mut self, each_step: bool) -> Result<(), &'static str> {
        let chosen = if each_step { Pace::Steps } else { Pace::Whole };
        match *self {
            Pace::Unknown => *self = chosen,
            own if own == chosen => {}
            _ => return Err("it is called both on steps and on what belongs to the whole sequence"),
        }
        Ok(())
    }
}

/// The plan of a stream.
#[derive(Debug)]
pub(super) struct Plan {
    /// Of each tensor of the model, whether it is there before the first step.
    pub(super) once: Vec<bool>,
    /// Of each input, whether it is a state that an output is in the next step.
    pub(super) paired: Vec<bool>,
    pub(super) inputs: Vec<Kind>,
    pub(super) outputs: Vec<Kind>,
    /// When there are outputs.
    pub(super) gives: Rate,
    /// When steps come.
    pub(super) each_step: Rate,
    /// The calls that run before the first step, and those that each step does.
    pub(super) before: Vec<CallSpec>,
    pub(super) each: Vec<CallSpec>,
}

impl<T: Float> Model<T> {
    /// The plan, and the model with the fixed numbers of time steps of what is stepped forgotten.
    ///
    /// # Errors
    /// [`Error::CannotStream`] names the layer that needs the whole sequence.
    pub(super) fn plan(&self, pairs: &[Pair]) -> Result<(Plan, Model<T>)> {
        let mut model = self.clone();
        let paired: Vec<bool> = (0..self.inputs.len()).map(|at| pairs.iter().any(|pair| pair.0 == at)).collect();
        let of_states = model.of_states(&paired);
        let once = model.needed_before(&of_states);
        let keep = |wanted: bool| {
            let calls = model.calls.iter().filter(|call| call.outputs.iter().any(|&output| once[output]) == wanted);
            // Whatever a step reads stays for the next one.
            calls.map(|call| CallSpec { drops: vec![], ..call.clone() }).collect::<Vec<_>>()
        };
        let (before, each) = (keep(true), keep(false));
        let each_step = Rate::each(model.ticks(&each)?);
        if each_step != Rate::each(1) && !pairs.is_empty() {
            return Err(cannot(&model.name, "a state among its outputs is one of each step, and a step gives several"));
        }
        let mut kinds = vec![Kind::Constant; model.tensors.len()];
        let stepped = model.input_kinds(each_step);
        for (input, kind) in stepped.iter().enumerate().filter(|&(input, _)| !once[input]) {
            kinds[input] = if paired[input] { Kind::Steady(each_step) } else { *kind };
        }
        let of_sequences = model.of_whole_sequences(&before, &stepped);
        for call in &each {
            let has_time =
                |tensor: usize| once[tensor] && of_sequences[tensor] && model.tensors[tensor].shape.len() > 2;
            if call.inputs.iter().chain(call.masks.iter().flatten()).any(|&tensor| has_time(tensor)) {
                let name = &model.parts[call.part].name;
                return Err(cannot(name, "it reads in each step what is read whole before the first one"));
            }
        }
        let mut slots = Vec::new();
        walk(&mut model, (&each, each_step), &mut kinds, &of_states, &mut slots)?;
        let inputs = kinds[..model.inputs.len()].to_vec();
        let outputs: Vec<Kind> = model.outputs.iter().map(|&output| kinds[output]).collect();
        if model.outputs.iter().any(|&output| once[output]) {
            return Err(cannot(&model.name, "an output is there before the first step: build a model of it alone"));
        }
        let states_alone = paired.iter().zip(&inputs).all(|(paired, kind)| *paired || *kind == Kind::Constant);
        if !outputs.iter().any(|kind| kind.is_sequence()) && states_alone {
            return Err(cannot(&model.name, "nothing is left to be stepped: all is read before the first step"));
        }
        let gives = self.rate_of_outputs(&outputs, each_step, |place| pairs.iter().any(|pair| pair.1 == place))?;
        let stepped = paired.iter().zip(&once).filter(|(paired, once)| !**paired && !**once).count();
        if gives.is_several() && (stepped, outputs.len()) != (1, 1) {
            let reason = "a step gives several outputs, which a stream of one input and one output can return";
            return Err(cannot(&model.name, reason));
        }
        Ok((Plan { once, paired, inputs, outputs, gives, each_step, before, each }, model))
    }

    /// The ticks of a step of these calls: how many steps one can become, in whatever order.
    fn ticks(&self, calls: &[CallSpec]) -> Result<usize> {
        let mut all = 1_usize;
        for call in calls {
            let part = &self.parts[call.part];
            let Some(op) = &part.op else { continue };
            let own = match op.role() {
                Role::Model(inner) => inner.ticks(&inner.calls)?,
                _ => op.times(),
            };
            let made = all.checked_mul(own).filter(|&made| made <= MOST_TICKS);
            all = made
                .ok_or_else(|| cannot(&part.name, "it makes more than 4096 steps of one, with others of its kind"))?;
        }
        Ok(all)
    }

    /// The tensors that must be there before the first step: what initial states are made of, and what is repeated.
    /// `of_states`: those that come from states which are inputs of each step.
    fn needed_before(&self, of_states: &[bool]) -> Vec<bool> {
        let mut once = vec![false; self.tensors.len()];
        for call in self.calls.iter().rev() {
            call.initial_state.iter().filter(|part| !of_states[**part]).for_each(|&part| once[part] = true);
            match self.parts[call.part].op.as_ref().map(|op| op.role()) {
                Some(Role::Model(inner)) => {
                    let given: Vec<bool> = call.inputs.iter().map(|&input| of_states[input]).collect();
                    let needed = inner.needed_before(&inner.of_states(&given));
                    call.inputs.iter().zip(needed).for_each(|(&input, needed)| once[input] |= needed);
                }
                Some(Role::Repeat) => call.inputs.iter().for_each(|&input| once[input] = true),
                _ => {}
            }
            if call.outputs.iter().any(|&output| once[output]) {
                let masks = call.masks.iter().flatten();
                call.outputs.iter().chain(&call.inputs).chain(masks).for_each(|&tensor| once[tensor] = true);
            }
        }
        once
    }

    /// The tensors that come from these inputs.
    fn of_states(&self, inputs: &[bool]) -> Vec<bool> {
        let mut made = vec![false; self.tensors.len()];
        made.iter_mut().zip(inputs).for_each(|(made, input)| *made = *input);
        for call in &self.calls {
            let read = call.inputs.iter().chain(call.masks.iter().flatten()).chain(&call.initial_state);
            let any = read.copied().any(|tensor| made[tensor]);
            call.outputs.iter().for_each(|&output| made[output] |= any);
        }
        made
    }

    /// The tensors that are made of sequences by calls that run before the first step.
    fn of_whole_sequences(&self, before: &[CallSpec], inputs: &[Kind]) -> Vec<bool> {
        let mut made = vec![false; self.tensors.len()];
        made.iter_mut().zip(inputs).for_each(|(made, kind)| *made = kind.is_sequence());
        for call in before {
            let read = call.inputs.iter().chain(call.masks.iter().flatten()).chain(&call.initial_state);
            let any = read.copied().any(|tensor| made[tensor]);
            call.outputs.iter().for_each(|&output| made[output] = any);
        }
        made
    }

    /// Which inputs are sequences: those of three dimensions or more, ids for an Embedding, and masks.
    fn input_kinds(&self, each: Rate) -> Vec<Kind> {
        let is_sequence = |input: usize| {
            let rank = self.inputs[input].shape.len();
            rank >= 3 || rank == 2 && (self.reads_ids_from(input) || self.reads_mask_from(input))
        };
        (0..self.inputs.len())
            .map(|input| if is_sequence(input) { Kind::Sequence(each) } else { Kind::Steady(each) })
            .collect()
    }

    /// Whether this input is a call's mask, or what one is made of.
    fn reads_mask_from(&self, input: usize) -> bool {
        let mut masks = vec![false; self.tensors.len()];
        for call in self.calls.iter().rev() {
            call.masks.iter().flatten().for_each(|&mask| masks[mask] = true);
            let makes_mask = call.outputs.iter().any(|&output| masks[output]);
            match self.parts[call.part].op.as_ref().map(|op| op.role()) {
                Some(Role::NotEqual(_) | Role::LogicalOr | Role::Same { keeps_mask: true }) if makes_mask => {
                    call.inputs.iter().for_each(|&input| masks[input] = true);
                }
                Some(Role::Model(inner)) => {
                    for (i, &tensor) in call.inputs.iter().enumerate() {
                        masks[tensor] |= inner.reads_mask_from(i);
                    }
                }
                _ => {}
            }
        }
        masks[input]
    }

    /// Whether an Embedding reads this input.
    fn reads_ids_from(&self, input: usize) -> bool {
        let mut ids = vec![false; self.tensors.len()];
        for call in self.calls.iter().rev() {
            match self.parts[call.part].op.as_ref().map(|op| op.role()) {
                Some(Role::Embedding(_) | Role::QuantizedEmbedding(_)) => {
                    call.inputs.iter().for_each(|&input| ids[input] = true)
                }
                Some(Role::Ids) if call.outputs.iter().any(|&output| ids[output]) => {
                    call.inputs.iter().for_each(|&input| ids[input] = true);
                }
                Some(Role::Model(inner)) => {
                    for (i, &tensor) in call.inputs.iter().enumerate() {
                        ids[tensor] |= inner.reads_ids_from(i);
                    }
                }
                _ => {}
            }
        }
        ids[input]
    }
}

/// The most steps that one can become.
const MOST_TICKS: usize = 1 << 12;

/// Checks that each call works step by step, and finds out what its outputs are. `slots`: the places of the states of
/// stateful layers that were called before.
/// `of_states`: the tensors that come from states which are inputs of each step.
fn walk<T: Float>(
    model: &mut Model<T>,
    (calls, each): (&[CallSpec], Rate),
    kinds: &mut [Kind],
    of_states: &[bool],
    slots: &mut Vec<usize>,
) -> Result<()> {
    for (spec, kind) in model.inputs.iter_mut().zip(&*kinds) {
        if let (Kind::Sequence(_), Some(steps)) = (kind, spec.shape.get_mut(1)) {
            *steps = None;
        }
    }
    for call in calls {
        let part = &mut model.parts[call.part];
        let op = part.op.as_mut().ok_or_else(misfit)?;
        let name = part.name.as_str();
        let read: Vec<Kind> = call.inputs.iter().map(|&input| kinds[input]).collect();
        let (sequence, is_model) = (read.iter().any(|kind| kind.is_sequence()), matches!(op.role(), Role::Model(_)));
        let masks = call.masks.iter().flatten().map(|&mask| kinds[mask]);
        let comes = joint(&read, masks, is_model, each).map_err(|reason| cannot(name, reason))?;
        let known = |&part: &usize| kinds[part] == Kind::Constant || of_states[part] && !kinds[part].is_sequence();
        if !call.initial_state.iter().all(known) {
            return Err(cannot(name, "its initial state comes from what is stepped"));
        }
        if let (Role::Repeat, [Kind::Constant]) = (op.role(), &read[..]) {
            // What is repeated is the same in all steps.
            op.give_one_step();
            kinds[call.outputs[0]] = Kind::Sequence(each);
            continue;
        }
        let outputs = match op.model_mut().filter(|_| is_model) {
            Some(inner) => {
                let given: Vec<bool> = call.inputs.iter().map(|&input| of_states[input]).collect();
                let of_states = inner.of_states(&given);
                within(inner, (&read, each), &of_states, slots)?
            }
            None => {
                let ranks: Vec<usize> = call.inputs.iter().map(|&input| model.tensors[input].shape.len()).collect();
                let over_time = op.over_time(&ranks);
                let whole = over_time == OverTime::Whole && !matches!(op.role(), Role::Recurrent { .. });
                let gives = op.pace(sequence && whole).map_err(|reason| cannot(name, reason))?;
                let gives = if over_time == OverTime::Last { Gives::SoFar } else { gives };
                // One step that isn't a sequence's, from a state that is an input of each step.
                let one_step = call.initial_state.iter().any(|&part| of_states[part])
                    && call.inputs.first().is_some_and(|&x| model.tensors[x].shape.get(1) == Some(&Some(1)));
                let rate = op.rate(comes).map_err(|reason| cannot(name, reason))?;
                let made = Made { gives, rate, outputs: call.outputs.len(), one_step };
                outputs_of(name, &op.role(), made, &read, slots)?
            }
        };
        for (at, &output) in call.outputs.iter().enumerate() {
            // What stands behind the first output of a layer over time is its state.
            kinds[output] = outputs.get(at).copied().unwrap_or(Kind::Steady(comes));
        }
    }
    Ok(())
}

/// The outputs of a model within.
fn within<T: Float>(
    inner: &mut Model<T>,
    (read, each): (&[Kind], Rate),
    of_states: &[bool],
    slots: &mut Vec<usize>,
) -> Result<Vec<Kind>> {
    let mut kinds = vec![Kind::Steady(each); inner.tensors.len()];
    kinds[..read.len()].copy_from_slice(read);
    let calls = inner.calls.clone();
    walk(inner, (&calls, each), &mut kinds, of_states, slots)?;
    Ok(inner.outputs.iter().map(|&output| kinds[output]).collect())
}

/// What an operation gives.
struct Made {
    gives: Gives,
    /// When its outputs come.
    rate: Rate,
    outputs: usize,
    one_step: bool,
}

/// The outputs of any other operation.
fn outputs_of<T: Float>(
    name: &str,
    role: &Role<'_, T>,
    made: Made,
    read: &[Kind],
    slots: &mut Vec<usize>,
) -> Result<Vec<Kind>> {
    let sequence = read.iter().any(|kind| kind.is_sequence());
    let Made { gives, rate, outputs, one_step } = made;
    let kind = |each_step: bool| if each_step { Kind::Sequence(rate) } else { Kind::Steady(rate) };
    match role {
        Role::Recurrent { layer, slot } => {
            if let Some(slot) = *slot {
                if slots.contains(&slot) {
                    let reason = "it is stateful and called again: each call goes on where the other ended";
                    return Err(cannot(name, reason));
                }
                slots.push(slot);
            }
            if !sequence && !one_step {
                return Err(cannot(name, "its input belongs to the whole sequence"));
            }
            layer.can_stream().map_err(|error| match error {
                Error::CannotStream { reason, .. } => cannot(name, reason),
                other => other,
            })?;
            Ok(vec![kind(layer.returns_sequences() && sequence)])
        }
        Role::ConvLstm(_) if !sequence => Err(cannot(name, "its input belongs to the whole sequence")),
        // Behind the first output are states.
        Role::ConvLstm(layer) => Ok(vec![kind(layer.returns_sequences())]),
        Role::Repeat => Err(cannot(name, "it repeats what belongs to the whole sequence")),
        _ if sequence => Ok(vec![kind(gives == Gives::EachStep); outputs]),
        _ if read.iter().all(|kind| *kind == Kind::Constant) => Ok(vec![Kind::Constant; outputs]),
        _ => Ok(vec![kind(false); outputs]),
    }
}
