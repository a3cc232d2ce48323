//! A stack over a long sequence runs some steps of one layer, then of the next: the bits are those of one layer after
//! the other, each over the whole sequence.

use ndarray::prelude::*;
use proptest::test_runner::TestCaseResult;
use recurrent::{Bidirectional, Dense, Gru, Layer, Lstm, OutputMut, Run, Scratch, SimpleRnn, Stacked, State};

use super::compare::{same, same_state};
use super::numbers::Numbers;

type Boxed = Box<dyn Layer<f32>>;

fn lstm(input: usize, units: usize) -> Boxed {
    Box::new(Lstm::builder(input, units).return_sequences(true).zero_output_for_mask(true).build().unwrap())
}

fn gru(input: usize, units: usize, sequences: bool) -> Boxed {
    Box::new(Gru::builder(input, units).return_sequences(sequences).build().unwrap())
}

fn simple(input: usize, units: usize, backwards: bool) -> Boxed {
    let recipe = SimpleRnn::builder(input, units).return_sequences(true).go_backwards(backwards);
    Box::new(recipe.build().unwrap())
}

fn dense(input: usize, units: usize) -> Boxed {
    Box::new(Dense::new(input, units))
}

fn both(input: usize, units: usize) -> Boxed {
    Box::new(Bidirectional::new(Gru::builder(input, units).return_sequences(true)).unwrap())
}

/// What a call says besides its input.
#[derive(Default)]
struct Options {
    mask: Option<Array2<bool>>,
    lengths: Option<Vec<usize>>,
    resets: Option<Array2<bool>>,
}

impl Options {
    /// All but the resets.
    fn run(&self) -> Run<'_, f32> {
        let run = Run::new().mask_if(self.mask.as_ref());
        self.lengths.iter().fold(run, |run, lengths| run.lengths(lengths))
    }
}

/// Resets as they are seen from the other end of time.
fn turned(resets: &Array2<bool>) -> Array2<bool> {
    let steps = resets.ncols();
    Array2::from_shape_fn(resets.dim(), |(row, time)| time > 0 && resets[[row, steps - time]])
}

/// One layer after the other, and the whole stack: the same bits.
fn check(layers: Vec<Boxed>, batch: usize, steps: usize, options: &Options) -> TestCaseResult {
    let mut numbers = Numbers::new(steps as u64, "input");
    let x: Array3<f32> = numbers.array(1.0, (batch, steps, layers[0].input_size()));
    let stack = layers.iter().fold(Stacked::builder(), |stack, layer| stack.layer(layer.clone())).build()?;
    let mut state = stack.initial_state(batch);
    let names: Vec<String> = state.names().map(String::from).collect();
    for name in &names {
        let values = numbers.array(1.0, state.get(name)?.dim());
        state.set(name, &values)?;
    }
    let (mut sequence, mut last) =
        (Array3::zeros((batch, steps, stack.output_size())), Array2::zeros((batch, stack.output_size())));
    let (mut end, mut scratch) = (stack.initial_state(batch), Scratch::new());
    for _ in 0..2 {
        let mut run = options.run().initial_state(&state);
        run = options.resets.iter().fold(run, |run, resets| run.resets(resets));
        let out = OutputMut::new().last(&mut last).state(&mut end);
        let out = if stack.returns_sequences() { out.sequence(&mut sequence) } else { out };
        stack.run_into(&x, run, out, &mut scratch)?; // and once more, with scratch that has been used
    }

    let (mut input, mut resets, mut whole) = (x, options.resets.clone(), true);
    for (i, layer) in layers.iter().enumerate() {
        let part = |state: &State<f32>| -> Result<State<f32>, recurrent::Error> {
            let mut part = layer.initial_state(batch);
            let names: Vec<String> = part.names().map(String::from).collect();
            names.iter().try_for_each(|name| part.set(name, &state.get(&format!("{i}/{name}"))?))?;
            Ok(part)
        };
        let (begin, mut own_end) = (part(&state)?, layer.initial_state(batch));
        let mut run = if whole { options.run() } else { Run::new() }.initial_state(&begin);
        if let Some(resets) = resets.as_ref().filter(|_| whole) {
            run = run.resets(resets);
        }
        let mut own_last = Array2::zeros((batch, layer.output_size()));
        let mut own_sequence = Array3::zeros((batch, input.dim().1, layer.output_size()));
        let out = OutputMut::new().last(&mut own_last).state(&mut own_end).sequence(&mut own_sequence);
        layer.run_into(&input, run, out, &mut Scratch::new())?;
        same_state(&format!("state {i}"), &part(&end)?, &own_end)?;
        if layer.class_name() == "SimpleRNN" && layer.can_stream().is_err() {
            resets = resets.as_ref().map(turned);
        }
        if i + 1 == layers.len() {
            same("last", &last, &own_last)?;
            return if stack.returns_sequences() { same("sequence", &sequence, &own_sequence) } else { Ok(()) };
        }
        whole &= layer.returns_sequences();
        input = if layer.returns_sequences() { own_sequence } else { own_last.insert_axis(Axis(1)) };
    }
    Ok(())
}

/// No mask, a mask, lengths, and each with resets.
fn all_options(layers: &[Boxed], batch: usize, steps: usize) {
    let mut numbers = Numbers::new(batch as u64, "flags");
    let mut flags = |percent| Array2::from_shape_simple_fn((batch, steps), || numbers.chance(percent));
    let (mask, resets) = (flags(70), flags(3));
    let lengths: Vec<usize> = (0..batch).map(|row| row * steps / batch.max(2)).collect();
    for resets in [None, Some(resets)] {
        for (mask, lengths) in [(None, None), (Some(mask.clone()), None), (None, Some(lengths.clone()))] {
            let options = Options { mask, lengths, resets: resets.clone() };
            let names: Vec<_> = layers.iter().map(|layer| layer.class_name()).collect();
            if let Err(error) = check(layers.to_vec(), batch, steps, &options) {
                panic!("{names:?}, batch {batch}, {steps} steps: {error}");
            }
        }
    }
}

#[test]
fn of_many_rows() {
    // A wide layer makes the steps that are done at a time few: here 6 and 4.
    for (batch, steps) in [(150, 40), (400, 9)] {
        all_options(&[dense(3, 256), lstm(256, 8), gru(8, 5, true), dense(5, 4)], batch, steps);
        all_options(&[dense(3, 256), gru(256, 5, false), dense(5, 2)], batch, steps);
        let around = [dense(2, 256), gru(256, 3, true), both(3, 2), dense(4, 256), lstm(256, 2), dense(2, 3)];
        all_options(&around, batch, steps);
        let behind = [lstm(2, 3), simple(3, 4, true), dense(4, 256), gru(256, 3, true), simple(3, 2, false)];
        all_options(&behind, batch, steps);
    }
}

#[test]
fn of_few_rows() {
    // Few rows project their inputs some steps ahead. Here they do 528 and 192 steps at a time.
    for (batch, steps) in [(1, 1100), (3, 400)] {
        all_options(&[dense(2, 1024), lstm(1024, 3), gru(3, 4, true), dense(4, 2)], batch, steps);
        all_options(&[dense(2, 1024), simple(1024, 4, false), gru(4, 2, false), dense(2, 2)], batch, steps);
    }
}

#[test]
fn of_no_rows_or_one_step() {
    for (batch, steps) in [(0, 5), (2, 1)] {
        all_options(&[lstm(2, 3), gru(3, 4, true), dense(4, 2)], batch, steps);
    }
}
