//! Models in a pool: steps of some rows, whose states are brought along.

use std::sync::Arc;

use ndarray::{ArrayViewD, IxDyn};

use super::{Buffer, Model, ModelStream};
use crate::error::Result;
use crate::float::Float;
use crate::graph::chain::cannot;
use crate::graph::operation::misfit;
use crate::graph::tensor::Input;
use crate::runner::scratch::Scratch;
use crate::state::StateLayout;
use crate::stream::{Beginning, ByModel, Pooled, RowsOfStep, Sizes};

/// Rows of the batches that a model's steps have, beside those of a full one: the smallest that will do is taken, so
/// that at most four times as many rows are run as are ready.
fn few_rows(rows: usize) -> impl Iterator<Item = usize> {
    std::iter::successors(Some(1_usize), |few| few.checked_mul(4)).take_while(move |&few| few < rows)
}

/// What a model keeps in the scratch for its pool: streams of several batches, the smallest first.
struct Streams<T: Float>(Vec<ModelStream<T>>);

fn streams<T: Float>(scratch: &mut Scratch<T>) -> &mut [ModelStream<T>] {
    let streams = scratch.of_model.as_mut().and_then(|streams| streams.downcast_mut::<Streams<T>>());
    streams.map_or(&mut [], |streams| &mut streams.0)
}

impl<T: Float> Pooled<T, ByModel> for Model<T> {
    fn beginning(&self) -> Result<Beginning<T>> {
        let mut stream = self.stream(1)?;
        if stream.start_inputs().next().is_some() {
            return Err(cannot(&self.name, "it begins with inputs of its own: use Model::stream for each stream"));
        }
        if !stream.program.clock.stands() || stream.plan.gives.ticks > 1 {
            return Err(cannot(&self.name, "its outputs don't come at each step: use Model::stream for each stream"));
        }
        let moved = self.inputs.iter().any(|input| input.outside.is_some()) || self.outside.iter().any(Option::is_some);
        if moved || !stream.states.is_empty() {
            return Err(cannot(
                &self.name,
                "states are among its inputs and outputs: use Model::stream for each stream",
            ));
        }
        let has_rows = |shape: &[usize]| shape.first() == Some(&1);
        let inputs = stream.stepped.iter().map(|&(_, number)| stream.program.values[number].shape());
        if stream.program.has_masks_of_numbers()
            || !inputs.chain(stream.outputs.iter().map(|y| y.shape())).all(has_rows)
        {
            return Err(cannot(&self.name, "its rows depend on each other: use Model::stream for each stream"));
        }
        let layouts: Vec<_> =
            stream.program.streams.iter().map(|started| Arc::clone(started.kept.state().layout())).collect();
        let named = layouts.iter().enumerate().map(|(place, layout)| (place.to_string(), &**layout));
        let (layout, sizes) = (Arc::new(StateLayout::nested(named)), stream.sizes_of_row());
        let (mut state, mut carry) = (vec![T::zero(); sizes.state], vec![T::zero(); sizes.carry]);
        stream.save(1, &mut state, &mut carry);
        Ok(Beginning { sizes, layout, state, carry })
    }

    fn reserve(&self, rows: usize, begin: &Beginning<T>, scratch: &mut Scratch<T>) -> Result<()> {
        let streams = few_rows(rows).chain([rows]).map(|rows| self.stream(rows)).collect::<Result<Vec<_>>>()?;
        scratch.of_model = Some(Box::new(Streams(streams)));
        scratch.work = Vec::with_capacity((rows * begin.sizes.input).max(begin.sizes.state));
        Ok(())
    }

    fn carry_of_state(&self, state: &[T], carry: &mut [T], scratch: &mut Scratch<T>) {
        let mut own = std::mem::take(&mut scratch.work);
        own.clear();
        own.extend_from_slice(state);
        if let Some(stream) = streams(scratch).first_mut() {
            let sizes = stream.sizes_of_row();
            stream.load(1, state, carry, sizes);
            stream.program.streams.iter_mut().for_each(|started| started.kept.outputs_from_state());
            stream.save(1, &mut own, carry);
        }
        scratch.work = own;
    }

    fn step_rows(&self, rows: RowsOfStep<'_, T>, scratch: &mut Scratch<T>) -> Result<()> {
        let mut input = std::mem::take(&mut scratch.work);
        let stream = streams(scratch).iter_mut().find(|stream| stream.batch >= rows.count);
        let result = stream.ok_or_else(misfit).and_then(|stream| stream.step_rows(rows, &mut input));
        scratch.work = input;
        result
    }

    fn work(&self) -> usize {
        self.count_params()
    }
}

impl<T: Float> ModelStream<T> {
    /// The sizes of a row: inputs and outputs side by side, and so the previous outputs of layers, then the outputs.
    fn sizes_of_row(&mut self) -> Sizes {
        let batch = self.batch.max(1);
        let input = self.stepped.iter().map(|&(_, number)| self.program.values[number].len()).sum::<usize>() / batch;
        let output = self.outputs.iter().map(|output| output.len()).sum::<usize>() / batch;
        let (mut state, mut carry) = (0, output);
        for started in &mut self.program.streams {
            let (own, outputs) = started.kept.parts_mut();
            (state, carry) = (state + own.len() / batch, carry + outputs.len() / batch);
        }
        Sizes { input, state, carry, output, output_in_state: None }
    }

    fn step_rows(&mut self, rows: RowsOfStep<'_, T>, input: &mut Vec<T>) -> Result<()> {
        let RowsOfStep { count, x, prev, next, carry, sizes } = rows;
        self.load(count, prev, carry, sizes);
        let mut first = 0;
        for &(place, number) in &self.stepped {
            let value = &self.program.values[number];
            let (sequence, width) = (self.plan.inputs[place].is_sequence(), value.len() / self.batch.max(1));
            input.clear();
            for row in 0..self.batch {
                input.extend_from_slice(&x[own_row(row, count) * sizes.input + first..][..width]);
            }
            let mut shape = [0; super::MOST_AXES];
            let axes = value.shape().iter().enumerate().filter(|&(axis, _)| !(sequence && axis == 1));
            let rank = shape.iter_mut().zip(axes).map(|(to, (_, &size))| *to = size).count();
            let given = ArrayViewD::from_shape(IxDyn(&shape[..rank]), &input[..]).map_err(|_| misfit())?;
            let given = Input::from(given);
            self.model.inputs[place].write_step(&given, sequence, &mut self.program.values[number])?;
            first += width;
        }
        self.program.step()?;
        self.save(count, next, carry);
        let end = sizes.carry - sizes.output;
        for row in 0..count {
            let mut to = &mut carry[row * sizes.carry + end..][..sizes.output];
            for &(_, number) in &self.results {
                let value = &self.program.values[number];
                let width = value.len() / self.batch.max(1);
                let (own, rest) = to.split_at_mut(width);
                match value {
                    Buffer::Float(_) => {
                        let all = value.as_float_slice().ok_or_else(misfit)?;
                        own.copy_from_slice(&all[row * width..][..width]);
                    }
                    other => other.each_float(|at, value| {
                        if at / width.max(1) == row {
                            own[at % width] = value;
                        }
                    }),
                }
                to = rest;
            }
        }
        Ok(())
    }

    /// Brings states and previous outputs of `count` rows; the other rows repeat the first one's.
    fn load(&mut self, count: usize, state: &[T], carry: &[T], sizes: Sizes) {
        let (batch, mut first, mut second) = (self.batch, 0, 0);
        for started in &mut self.program.streams {
            let (own, outputs) = started.kept.parts_mut();
            let (width, outputs_width) = (own.len() / batch.max(1), outputs.len() / batch.max(1));
            for row in 0..batch {
                let from = own_row(row, count);
                own[row * width..][..width].copy_from_slice(&state[from * sizes.state + first..][..width]);
                outputs[row * outputs_width..][..outputs_width]
                    .copy_from_slice(&carry[from * sizes.carry + second..][..outputs_width]);
            }
            (first, second) = (first + width, second + outputs_width);
        }
    }

    /// Takes states and previous outputs of `count` rows.
    fn save(&mut self, count: usize, state: &mut [T], carry: &mut [T]) {
        let (batch, mut first, mut second, sizes) = (self.batch, 0, 0, self.sizes_of_row());
        for started in &mut self.program.streams {
            let (own, outputs) = started.kept.parts_mut();
            let (width, outputs_width) = (own.len() / batch.max(1), outputs.len() / batch.max(1));
            for row in 0..count {
                state[row * sizes.state + first..][..width].copy_from_slice(&own[row * width..][..width]);
                carry[row * sizes.carry + second..][..outputs_width]
                    .copy_from_slice(&outputs[row * outputs_width..][..outputs_width]);
            }
            (first, second) = (first + width, second + outputs_width);
        }
    }
}

/// The row that stands at a place of a batch: rows that aren't there repeat the first one, which is refused nothing
/// that it isn't refused anyway.
fn own_row(row: usize, count: usize) -> usize {
    if row < count { row } else { 0 }
}
