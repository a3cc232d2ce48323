//! Layers over time: those of one cell, both directions, one on top of the other.

use super::Writer;
use super::nodes::{Direction, Outputs};
use super::steps::Steps;
use crate::float::Float;
use crate::formats::onnx::recurrent::Cell;
use crate::formats::onnx::write::graph::{Held, Mask};
use crate::formats::onnx::write::words::{Weights, Words};
use crate::formats::onnx::write::writer::HINT;
use crate::formats::save_error::SaveError;

type Made<V> = Result<V, SaveError>;

/// A call of a layer over time.
#[derive(Debug, Clone)]
pub(super) struct Over {
    /// (batch, timesteps, features).
    pub(super) x: Held,
    /// The flags of a mask.
    pub(super) mask: Option<Held>,
    /// The parts of the initial state; none if they are zero.
    pub(super) initial: Vec<Held>,
    /// Whether the outputs of all steps are wanted, or that of the last one.
    pub(super) sequence: bool,
    /// Whether the state is.
    pub(super) state: bool,
}

/// What a layer over time gives.
#[derive(Debug)]
pub(super) struct Ran {
    /// The outputs; of two directions that aren't merged, two.
    pub(super) outputs: Vec<Held>,
    pub(super) states: Vec<Held>,
}

/// What becomes of a direction's outputs at masked steps.
#[derive(Debug, Clone, Copy)]
struct Zeros {
    sequence: bool,
    last: bool,
}

impl<T: Float> Writer<T> {
    /// Any layer over time.
    pub(super) fn over_time(&mut self, words: Words<'_>, weights: &Weights<'_, T>, over: &Over) -> Made<Ran> {
        let outer = std::mem::replace(&mut self.class, words.class().into());
        let ran = match words.class() {
            "Bidirectional" => self.both_directions(words, weights, over)?,
            "Stacked" => self.stacked(words, weights, over)?,
            "RNN" => self.stack_of_cells(words, weights, over)?,
            "Masked" => {
                let Some(inner) = words.config("layer") else { return Err(self.refuse(HINT)) };
                let (x, flags) = self.masking(&over.x, words.number("mask_value"));
                self.over_time(inner, weights, &Over { x, mask: Some(flags), ..over.clone() })?
            }
            "PerStep" | "Dense" | "QuantizedDense" | "TimeDistributed" => {
                let output = match (words.class(), words.config("map"), words.config("layer")) {
                    ("Dense", ..) => self.dense(words, weights, &over.x)?,
                    ("QuantizedDense", ..) => self.quantized_dense(words, weights, &over.x)?,
                    ("PerStep", None, _) => over.x.clone(),
                    (_, Some(inner), _) | (_, None, Some(inner)) => self.on_features(inner, weights, &over.x)?,
                    _ => return Err(self.refuse(HINT)),
                };
                let output = if over.sequence || output.rank() < 3 { output } else { self.pick(&output, 1, -1) };
                Ran { outputs: vec![output], states: vec![] }
            }
            _ => self.one_direction(words, weights, over)?,
        };
        self.class = outer;
        Ok(ran)
    }

    /// A layer of one cell.
    fn one_direction(&mut self, words: Words<'_>, weights: &Weights<'_, T>, over: &Over) -> Made<Ran> {
        let (backwards, zero) = (words.flag("go_backwards"), words.flag("zero_output_for_mask"));
        if words.flag("unroll") && backwards && zero && over.mask.is_some() {
            return Err(self.refuse_option("unroll", true, HINT));
        }
        let zeros = Zeros { sequence: zero, last: zero };
        let mut ran = self.cell(words, weights, over, backwards, zeros)?;
        if backwards && over.sequence {
            // In the order of processing.
            ran.outputs = ran.outputs.iter().map(|output| self.flip(output, 1)).collect();
        }
        Ok(ran)
    }

    /// A cell over time; outputs stand in the order of the input.
    fn cell(
        &mut self,
        words: Words<'_>,
        weights: &Weights<'_, T>,
        over: &Over,
        backwards: bool,
        zeros: Zeros,
    ) -> Made<Ran> {
        let form = self.form(words)?;
        let steps = self.steps(&over.x, over.mask.as_ref());
        let (cell, weights, initial) = (form.cell, weights.clone(), over.initial.clone());
        let direction = [Direction { form, words, weights, backwards, initial }];
        let made = self.recurrent_node(&direction, &steps, wanted(over, cell))?;
        let (output, states) = self.directed(&made, &steps, &direction[0], 0, zeros, over);
        Ok(Ran { outputs: vec![output], states })
    }

    /// What a node gives of one direction, in the order of the input.
    fn directed(
        &mut self,
        made: &Outputs,
        steps: &Steps,
        direction: &Direction<'_, '_, T>,
        at: usize,
        zeros: Zeros,
        over: &Over,
    ) -> (Held, Vec<Held>) {
        let backwards = direction.backwards;
        let part = |writer: &mut Self, of: &Held, axis: usize| match of.shape[axis] {
            Some(1) => writer.squeeze(of, axis),
            _ => writer.pick(of, axis, at as i64),
        };
        let output = match over.sequence {
            true => {
                let y = part(self, &made[0], 1);
                let y = self.transpose(&y, &[1, 0, 2]);
                self.back_in_place(y, steps, backwards, zeros.sequence)
            }
            false => {
                let last = part(self, &made[1], 0);
                if zeros.last { self.zero_if_masked(last, steps, backwards) } else { last }
            }
        };
        let mut states = Vec::new();
        if over.state {
            for place in 0..direction.form.cell.states() {
                let state = part(self, &made[1 + place], 0);
                states.push(self.kept_without_steps(state, steps, direction.initial.get(place)));
            }
        }
        (output, states)
    }

    /// Two layers, one from each end.
    fn both_directions(&mut self, words: Words<'_>, weights: &Weights<'_, T>, over: &Over) -> Made<Ran> {
        let (Some(forward), Some(backward)) = (words.config("layer"), words.config("backward_layer")) else {
            return Err(self.refuse(HINT));
        };
        let ways = [forward, backward].map(|layer| layer.flag("go_backwards"));
        let (first, second) = over.initial.split_at(states_of(forward).min(over.initial.len()));
        let zeros = Zeros { sequence: true, last: false };
        let stacks = [forward, backward].iter().any(|layer| layer.class() == "RNN");
        let directions = [(forward, "forward", first), (backward, "backward", second)];
        let mut outputs = Vec::new();
        let mut states = Vec::new();
        if stacks {
            for (at, (layer, name, initial)) in directions.into_iter().enumerate() {
                let over = Over { initial: initial.to_vec(), ..over.clone() };
                let Some(cell) = layer.config("cell").filter(|_| layer.class() == "RNN") else {
                    return Err(self.refuse("one direction is a stack of cells; recurrent::file::save writes it"));
                };
                let ran = self.cells(cell, &weights.nested(name), &over, ways[at], zeros)?;
                outputs.extend(ran.outputs);
                states.extend(ran.states);
            }
        } else {
            let mut all = Vec::new();
            for (at, (words, name, initial)) in directions.into_iter().enumerate() {
                let (form, weights) = (self.form(words)?, weights.nested(name));
                all.push(Direction { form, words, weights, backwards: ways[at], initial: initial.to_vec() });
            }
            let steps = self.steps(&over.x, over.mask.as_ref());
            let cells = [all[0].form.cell, all[1].form.cell];
            if all[0].form.fits(&all[1].form) && ways == [false, true] {
                let made = self.recurrent_node(&all, &steps, wanted(over, cells[0]))?;
                for (at, direction) in all.iter().enumerate() {
                    let (output, own) = self.directed(&made, &steps, direction, at, zeros, over);
                    outputs.push(output);
                    states.extend(own);
                }
            } else {
                for direction in all.chunks(1) {
                    let made = self.recurrent_node(direction, &steps, wanted(over, direction[0].form.cell))?;
                    let (output, own) = self.directed(&made, &steps, &direction[0], 0, zeros, over);
                    outputs.push(output);
                    states.extend(own);
                }
            }
        }
        if over.sequence && ways == [true, false] {
            // The first in the order of processing, the second turned around: both are.
            outputs = outputs.iter().map(|output| self.flip(output, 1)).collect();
        }
        Ok(Ran { outputs: self.merged(words.text("merge_mode"), outputs)?, states })
    }

    fn merged(&mut self, mode: &str, outputs: Vec<Held>) -> Made<Vec<Held>> {
        let [forward, backward] = &outputs[..] else { return Ok(outputs) };
        Ok(vec![match mode {
            "" => return Ok(outputs),
            "concat" => self.concat(&outputs, forward.rank() - 1),
            "sum" => self.two("Add", forward, backward),
            "mul" => self.two("Mul", forward, backward),
            "ave" => {
                let sum = self.two("Add", forward, backward);
                self.with_number("Mul", &sum, 0.5)
            }
            other => return Err(self.refuse_option("merge_mode", other, HINT)),
        }])
    }

    /// Layers one after another.
    fn stacked(&mut self, words: Words<'_>, weights: &Weights<'_, T>, over: &Over) -> Made<Ran> {
        let (mut x, mut states, mut initial) = (over.x.clone(), Vec::new(), &over.initial[..]);
        let layers = words.configs("layers");
        for (at, layer) in layers.iter().enumerate() {
            let (own, rest) = initial.split_at(states_of(*layer).min(initial.len()));
            initial = rest;
            let sequence = if at + 1 == layers.len() { over.sequence } else { returns_sequences(*layer) };
            let inner = Over { x, mask: over.mask.clone(), initial: own.to_vec(), sequence, state: over.state };
            let mut ran = self.over_time(*layer, &weights.nested(&at.to_string()), &inner)?;
            states.extend(ran.states);
            if at + 1 == layers.len() {
                return Ok(Ran { outputs: ran.outputs, states });
            }
            x = ran.outputs.remove(0);
        }
        Ok(Ran { outputs: vec![x], states })
    }

    /// A layer of several cells in one step, which is a layer of each, one after another.
    fn stack_of_cells(&mut self, words: Words<'_>, weights: &Weights<'_, T>, over: &Over) -> Made<Ran> {
        let (backwards, zero) = (words.flag("go_backwards"), words.flag("zero_output_for_mask"));
        let Some(cell) = words.config("cell") else { return Err(self.refuse(HINT)) };
        if words.flag("unroll") && backwards && zero && over.mask.is_some() {
            return Err(self.refuse_option("unroll", true, HINT));
        }
        let zeros = Zeros { sequence: zero, last: zero };
        let mut ran = self.cells(cell, weights, over, backwards, zeros)?;
        if backwards && over.sequence {
            ran.outputs = ran.outputs.iter().map(|output| self.flip(output, 1)).collect();
        }
        Ok(ran)
    }

    fn cells(
        &mut self,
        words: Words<'_>,
        weights: &Weights<'_, T>,
        over: &Over,
        backwards: bool,
        zeros: Zeros,
    ) -> Made<Ran> {
        if words.class() != "StackedRNNCells" {
            return self.cell(words, weights, over, backwards, zeros);
        }
        let (mut x, mut states, mut initial) = (over.x.clone(), Vec::new(), &over.initial[..]);
        let cells = words.configs("cells");
        for (at, cell) in cells.iter().enumerate() {
            let (own, rest) = initial.split_at(states_of(*cell).min(initial.len()));
            initial = rest;
            let sequence = over.sequence || at + 1 < cells.len();
            let inner = Over { x, mask: over.mask.clone(), initial: own.to_vec(), sequence, state: over.state };
            let mut ran = self.cells(*cell, &weights.nested(&at.to_string()), &inner, backwards, zeros)?;
            states.extend(ran.states);
            x = ran.outputs.remove(0);
        }
        Ok(Ran { outputs: vec![x], states })
    }

    /// A value whose steps of this number are zeros, and the flags of the others.
    pub(super) fn masking(&mut self, x: &Held, value: f64) -> (Held, Held) {
        let x = self.as_floats(x);
        let same = self.with_number("Equal", &x, value);
        let differs = self.same("Not", &same, &[]);
        let last = x.rank().saturating_sub(1);
        let ones = self.as_floats(&differs);
        let any = self.reduce("ReduceMax", &ones, &[last], true);
        let live = self.as_flags(&any);
        let zero = self.number(0.0);
        let shown = self.choose(&live, &x, &zero);
        let flags = self.squeeze(&live, last);
        (Held { shape: x.shape.clone(), ..shown }, flags)
    }

    /// The flags of a mask that is read.
    pub(super) fn flags_of(&self, mask: Option<&Mask>) -> Made<Option<Held>> {
        match mask {
            None => Ok(None),
            Some(Mask::Flags(flags)) => Ok(Some((**flags).clone())),
            Some(Mask::Unwritten(why)) => Err(self.refuse_option("mask", why, "recurrent::file::save writes it")),
        }
    }
}

/// Which outputs of a node are needed.
fn wanted(over: &Over, cell: Cell) -> [bool; 3] {
    [over.sequence, !over.sequence || over.state, over.state && cell.states() > 1]
}

/// How many parts the state of a layer or a cell has.
fn states_of(words: Words<'_>) -> usize {
    let sum = |all: Vec<Words<'_>>| all.into_iter().map(states_of).sum();
    match words.class() {
        "LSTM" | "LSTMCell" | "QuantizedLSTM" | "QuantizedLSTMCell" => 2,
        "Bidirectional" => sum(words.config("layer").into_iter().chain(words.config("backward_layer")).collect()),
        "Stacked" => sum(words.configs("layers")),
        "StackedRNNCells" => sum(words.configs("cells")),
        "RNN" => words.config("cell").map_or(0, states_of),
        "Masked" => words.config("layer").map_or(0, states_of),
        "PerStep" | "Dense" | "QuantizedDense" | "TimeDistributed" => 0,
        _ => 1,
    }
}

/// Whether a layer within a stack returns a sequence.
fn returns_sequences(words: Words<'_>) -> bool {
    match words.class() {
        "Bidirectional" | "Masked" => words.config("layer").is_some_and(returns_sequences),
        "Stacked" => words.configs("layers").last().is_some_and(|last| returns_sequences(*last)),
        "PerStep" | "Dense" | "QuantizedDense" | "TimeDistributed" => true,
        _ => words.flag("return_sequences"),
    }
}
