//! What comes together: the steps that a call reads, and the outputs that a step returns.

use super::plan::Kind;
use super::rate::Rate;
use crate::error::Result;
use crate::float::Float;
use crate::graph::Model;
use crate::graph::chain::cannot;

/// When there is something for a call: the sequences that it reads, and their masks, come together. A model within
/// looks at each by itself.
pub(super) fn joint(
    read: &[Kind],
    mut masks: impl Iterator<Item = Kind>,
    is_model: bool,
    each: Rate,
) -> Result<Rate, &'static str> {
    let sequence = read.iter().find(|kind| kind.is_sequence());
    if sequence.is_some() && read.iter().any(|kind| !kind.is_sequence()) && !is_model {
        return Err("it joins a sequence with what belongs to the whole sequence");
    }
    if masks.any(|mask| match sequence {
        Some(of_input) if mask.is_sequence() && !is_model => mask != *of_input,
        _ => mask.is_sequence() != sequence.is_some(),
    }) {
        return Err("its mask and its input aren't both sequences whose steps come together");
    }
    if let Some(first) = sequence.filter(|_| !is_model)
        && read.iter().any(|kind| kind != first)
    {
        return Err("the steps of its inputs don't come together: strides or a window stand before some of them alone");
    }
    Ok(Rate::of_all(read.iter().filter_map(|kind| kind.rate())).unwrap_or(each))
}

impl<T: Float> Model<T> {
    /// When steps return outputs: those of sequences come together, and when they do, all others are there.
    pub(super) fn rate_of_outputs(&self, kinds: &[Kind], each: Rate, is_state: impl Fn(usize) -> bool) -> Result<Rate> {
        let names = self
            .outputs
            .iter()
            .enumerate()
            .map(|(place, _)| self.output_names.get(place).map_or(&*self.name, |name| name));
        let own = || names.clone().zip(kinds).enumerate().filter(|(place, _)| !is_state(*place)).map(|(_, own)| own);
        let apart = "it comes at other steps than another output: build a model of it alone";
        let mut gives: Option<Rate> = None;
        for (name, kind) in own() {
            if let Kind::Sequence(rate) = *kind {
                let rate = rate.same().map_err(|reason| cannot(name, reason))?;
                if gives.is_some_and(|gives| gives != rate) {
                    return Err(cannot(name, apart));
                }
                gives = Some(rate);
            }
        }
        let steady = own().filter(|(_, kind)| !kind.is_sequence());
        let there = |(name, kind): (_, &Kind)| (name, kind.rate().map_or(0, |rate| rate.first));
        let Some(gives) = gives else {
            let first = steady.map(there).map(|(_, first)| first).max();
            return Ok(each.from(first.unwrap_or(0)));
        };
        // What changes within a step would be as it was at the tick that gave the sequence's output.
        let changes_within = |(_, kind): &(_, &Kind)| each.ticks > 1 && kind.rate().is_some();
        if let Some((name, _)) = own().filter(|(_, kind)| !kind.is_sequence()).find(changes_within) {
            return Err(cannot(name, apart));
        }
        match steady.map(there).find(|(_, first)| *first > gives.first) {
            Some((name, _)) => Err(cannot(name, apart)),
            None => Ok(gives),
        }
    }
}
