//! States that are inputs and outputs of a model: which belong together.

use std::sync::Arc;

use super::super::chain::cannot;
use super::program::Program;
use crate::error::{Error, Result};
use crate::float::Float;
use crate::graph::shape::display;
use crate::graph::{InputKind, Model};
use crate::state::{State, StateLayout};

/// A state that is an input, and an output that it is in the next step; or what is held between steps, which is both.
pub(super) struct OwnState {
    /// The numbers of both among the program's values.
    pub(super) input: usize,
    pub(super) output: usize,
    /// What it is called, and how wide it is.
    pub(super) layout: Arc<StateLayout>,
}

impl OwnState {
    /// Whether a step makes another one.
    pub(super) fn changes<T: Float>(&self, program: &Program<T>, time: usize) -> bool {
        program.rates[self.output].is_none_or(|rate| rate.is_due(time))
    }

    /// Its values now.
    pub(super) fn now<T: Float>(&self, program: &Program<T>, batch: usize) -> State<T> {
        let mut state = State::zeros(Arc::clone(&self.layout), batch);
        let values = state.as_mut_slice();
        program.values[self.input].each_float(|at, value| values[at] = value);
        state
    }
}

/// The states of a stream. `given`: of each input that is one, its place and its number among the program's values;
/// `outputs`: the numbers of the outputs.
pub(super) fn own_states<T: Float>(
    model: &Model<T>,
    pairs: &[Pair],
    given: &[(usize, usize)],
    outputs: &[usize],
    program: &Program<T>,
) -> Result<Vec<OwnState>> {
    let state = |&(place, to): &Pair| {
        let (name, output) = (&model.inputs[place].name, outputs[to]);
        let input = given.iter().find(|(own, _)| *own == place).map(|(_, number)| *number);
        let input = input.ok_or_else(|| cannot(name, "it is a state that must be there before the first step"))?;
        let (own, next) = (&program.values[input], &program.values[output]);
        if own.shape() != next.shape() || !own.is_float() || !next.is_float() {
            return Err(cannot(name, "it isn't of the shape of the output that it is in the next step"));
        }
        if given.iter().any(|(_, number)| *number == output && *number != input) {
            return Err(cannot(name, "the output that it is in the next step is another input as it is"));
        }
        let width = own.shape()[1..].iter().product();
        Ok(OwnState { input, output, layout: Arc::new(StateLayout::new([(name.as_str(), width)])) })
    };
    pairs.iter().map(state).collect()
}

/// What steps read that don't make it: it is part of the stream's state.
pub(super) fn held_values<T: Float>(program: &Program<T>) -> impl Iterator<Item = OwnState> {
    program.held.iter().map(|&number| {
        let width = program.values[number].shape()[1..].iter().product();
        OwnState { input: number, output: number, layout: Arc::new(StateLayout::new([("latest", width)])) }
    })
}

/// The places of an input, and of the output that it is in the next step.
pub(super) type Pair = (usize, usize);

impl<T: Float> Model<T> {
    /// The pairs of these names: of an input, and of an output.
    pub(super) fn named_pairs(&self, names: &[(&str, &str)]) -> Result<Vec<Pair>> {
        let mut pairs: Vec<Pair> = Vec::new();
        for &(input, output) in names {
            let at = self.inputs.iter().position(|spec| spec.name == input);
            let unknown = || Error::unknown_name("input", input, self.inputs().map(|(name, _)| name.to_string()));
            let at = at.ok_or_else(unknown)?;
            let to = self.output_names().position(|own| own == output);
            let unknown = || Error::unknown_name("output", output, self.output_names().map(String::from));
            let to = to.ok_or_else(unknown)?;
            for (what, name, twice) in [
                ("input", input, pairs.iter().any(|pair| pair.0 == at)),
                ("output", output, pairs.iter().any(|pair| pair.1 == to)),
            ] {
                if twice {
                    return Err(Error::DuplicateName { what, name: name.into() });
                }
            }
            if !self.fits(at, to) {
                let shape = |(_, shape): (&str, &[Option<usize>])| display(shape);
                return Err(Error::ModelInput {
                    input: input.into(),
                    expected: format!(
                        "floats of the shape of output {output:?}, {}",
                        self.outputs().nth(to).map_or_else(String::new, shape)
                    ),
                    given: self.inputs().nth(at).map_or_else(String::new, shape),
                });
            }
            pairs.push((at, to));
        }
        Ok(pairs)
    }

    /// The names of the inputs and outputs that are states beyond doubt: `h_in` and `h_out`, `state_prev` and
    /// `state_next`, `h0` and `hn`, of the same shape.
    pub(in crate::graph) fn state_pairs(&self) -> Vec<Pair> {
        let states = |names: Vec<&str>, markers: &[&str]| -> Vec<(usize, String)> {
            let each = names.into_iter().enumerate();
            each.filter_map(|(at, name)| stem(name, markers).map(|stem| (at, stem))).collect()
        };
        let inputs = states(self.inputs.iter().map(|spec| &spec.name[..]).collect(), &INPUTS);
        let outputs = states(self.output_names().collect(), &OUTPUTS);
        let mut pairs = Vec::new();
        for (at, stem) in &inputs {
            let mut same = outputs.iter().filter(|(_, other)| other == stem);
            match (same.next(), same.next()) {
                (Some((to, _)), None) if self.fits(*at, *to) => pairs.push((*at, *to)),
                // One that is in doubt puts all in doubt.
                _ => return Vec::new(),
            }
        }
        let distinct = pairs.iter().all(|pair| pairs.iter().filter(|other| other.1 == pair.1).count() == 1);
        let others = pairs.len() < self.inputs.len() && pairs.len() < self.outputs.len();
        if distinct && others && pairs.len() == outputs.len() { pairs } else { Vec::new() }
    }

    /// Checks that a stream can have so many rows.
    pub(super) fn check_stream_rows(&self, batch: usize) -> Result<()> {
        for spec in &self.inputs {
            if let Some(outside) = &spec.outside
                && !outside.has_rows(batch)
            {
                return Err(spec.refuse(display(&outside.shape), &[batch]));
            }
        }
        Ok(())
    }

    /// Whether an output can be an input of the next step.
    fn fits(&self, input: usize, output: usize) -> bool {
        let (spec, shape) = (&self.inputs[input], &self.tensors[self.outputs[output]].shape);
        let outside = self.outside.get(output).cloned().flatten();
        let places =
            |outside: &Option<crate::graph::outside::Outside>| outside.as_ref().map(|outside| outside.places.clone());
        let sizes = spec.shape.iter().zip(shape).skip(1).all(|(own, other)| own.is_some() && own == other);
        matches!(spec.kind, InputKind::Float { .. })
            && spec.shape.len() == shape.len()
            && shape.len() >= 2
            && sizes
            && (places(&spec.outside) == places(&outside) || spec.outside.is_none() && outside.is_none())
    }
}

/// What stands in the names of states that go in, and in those of states that come out.
const INPUTS: [&str; 6] = ["in", "input", "prev", "previous", "old", "0"];
const OUTPUTS: [&str; 6] = ["out", "output", "next", "new", "n", "final"];

/// What else names of states are made of.
const STATES: [&str; 13] =
    ["h", "c", "hx", "cx", "hidden", "cell", "state", "states", "rnn", "lstm", "gru", "memory", "carry"];

/// A name without what tells inputs from outputs, if it is that of a state.
fn stem(name: &str, markers: &[&str]) -> Option<String> {
    let name = name.to_ascii_lowercase();
    let mut words: Vec<&str> = name.split(['_', '.', '/', ':', '-']).filter(|word| !word.is_empty()).collect();
    // h0 and hn are one word.
    let (marker, words) = match words.iter().position(|word| markers.contains(word)) {
        Some(at) => (true, {
            words.remove(at);
            words
        }),
        None => match words[..] {
            [word @ ("h0" | "c0")] if markers.contains(&"0") => (true, vec![&word[..1]]),
            [word @ ("hn" | "cn")] if markers.contains(&"n") => (true, vec![&word[..1]]),
            _ => (false, words),
        },
    };
    let is_number = |word: &str| word.bytes().all(|byte| byte.is_ascii_digit());
    let of_states = words.iter().any(|word| STATES.contains(word))
        && words.iter().all(|word| STATES.contains(word) || is_number(word));
    (marker && of_states).then(|| words.join("_"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_states() {
        for (input, output) in [
            ("h_in", "h_out"),
            ("c0", "cn"),
            ("prev_state", "next_state"),
            ("hidden_state_in", "hidden_state_out"),
            ("lstm_h_in", "lstm_h_out"),
        ] {
            let stems = (stem(input, &INPUTS), stem(output, &OUTPUTS));
            assert!(stems.0.is_some() && stems.0 == stems.1, "{input} {output}: {stems:?}");
        }
        for name in ["input", "x_in", "in", "h", "audio_in", "obs"] {
            assert_eq!(stem(name, &INPUTS), None, "{name}");
        }
    }
}
