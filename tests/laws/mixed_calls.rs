//! A stream's calls in any order: each way to go on (a step by slices, by arrays, masked, a chunk) leaves the stream as
//! the others would, its previous output included. And a panic of a user's cell leaves no tape that looks whole.

use std::sync::atomic::{AtomicBool, Ordering};

use ndarray::prelude::*;
use recurrent::training::Tape;
use recurrent::{
    Activation, Cell, Dense, Error, Gradients, Gru, Layer, Lstm, OutputGradient, OutputMut, Recurrent, Result, Run,
    SimpleRnn, Stacked, StackedCells, StateLayout, Stream, TimeDistributed, WeightVisitor, WeightVisitorMut,
    cell::{CellDropout, Step, StepBackward, WeightGradients},
};

/// Numbers that a seed fixes (Marsaglia's xorshift).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 11
    }

    fn float(&mut self) -> f32 {
        (self.next() % 20_001) as f32 / 10_000.0 - 1.0
    }

    fn flag(&mut self) -> bool {
        self.next().is_multiple_of(2)
    }
}

/// A cell whose output is in the middle of its state, which begins with other numbers than zero.
#[derive(Debug, Clone)]
struct Middle {
    weight: Array1<f32>,
}

impl Middle {
    fn new(features: usize) -> Self {
        Middle { weight: Array1::from_shape_fn(features, |i| 0.3 + 0.1 * i as f32) }
    }
}

impl Cell for Middle {
    type Elem = f32;

    fn input_size(&self) -> usize {
        self.weight.len()
    }

    fn state_layout(&self) -> StateLayout {
        StateLayout::new([("a", 2), ("h", self.weight.len() - 1), ("b", 1)])
    }

    fn output(&self) -> std::ops::Range<usize> {
        2..1 + self.weight.len()
    }

    fn scratch_len(&self) -> usize {
        3
    }

    fn initial_state(&self, row: &mut [f32]) {
        row.iter_mut().enumerate().for_each(|(i, value)| *value = 0.1 * i as f32 + 0.05);
    }

    fn step(&self, step: Step<'_, f32>) {
        let units = self.weight.len() - 1;
        step.scratch.fill(0.5);
        step.next[0] = step.prev[1] + step.x[0];
        step.next[1] = step.prev[0] * 0.5;
        for j in 0..units {
            let sum = step.prev[2 + j] * self.weight[j] + step.x[j] + step.prev[0] + step.scratch[0];
            step.next[2 + j] = sum.sin();
        }
        step.next[2 + units] = step.prev[2 + units] * 0.9 + 1.0;
    }

    fn visit_weights<'a>(&'a self, visitor: &mut WeightVisitor<'_, 'a, f32>) {
        visitor.weight("weight", &self.weight);
    }

    fn visit_weights_mut(&mut self, visitor: &mut WeightVisitorMut<'_, f32>) {
        visitor.weight("weight", &mut self.weight);
    }

    fn try_clone(&self) -> Option<Self> {
        Some(self.clone())
    }
}

/// A layer of four features, and whether its masked steps output zeros, which no single step does.
type Case = (Box<dyn Layer<f32>>, bool);

type Lent<'a> = Stream<f32, &'a dyn Layer<f32>>;

fn layers() -> Result<Vec<Case>> {
    let cells = || -> Result<_> {
        let before = Gru::builder(4, 7).reset_after(false).build_cell()?;
        StackedCells::builder().cell(before).cell(Middle::new(7)).cell(Lstm::builder(6, 5).build_cell()?).build()
    };
    let pair = StackedCells::builder().cell(Middle::new(4)).cell(SimpleRnn::builder(3, 5).build_cell()?).build()?;
    let nested = StackedCells::builder().cell(pair).cell(Gru::builder(5, 17).build_cell()?).build()?;
    let middle = || Recurrent::from_cell(Middle::new(4)).return_sequences(true);
    let zeros = || Lstm::builder(6, 5).return_sequences(true).zero_output_for_mask(true).build();
    let inner = || -> Result<_> { Stacked::builder().layer(middle()).layer(Dense::new(3, 6)).layer(zeros()?).build() };
    Ok(vec![
        (Box::new(Lstm::<f32>::builder(4, 16).return_sequences(true).build()?), false),
        (Box::new(Lstm::<f32>::builder(4, 37).return_sequences(true).zero_output_for_mask(true).build()?), true),
        (Box::new(Gru::<f32>::builder(4, 33).return_sequences(true).activation(Activation::Softmax).build()?), false),
        (Box::new(SimpleRnn::<f32>::builder(4, 70).return_sequences(true).build()?), false),
        (Box::new(middle()), false),
        (Box::new(Recurrent::from_cell(cells()?).return_sequences(true)), false),
        (Box::new(Recurrent::from_cell(nested).return_sequences(true).zero_output_for_mask(true)), true),
        (
            Box::new(
                Stacked::builder().layer(inner()?).layer(Gru::builder(5, 3).return_sequences(true).build()?).build()?,
            ),
            true,
        ),
        (Box::new(Stacked::builder().layer(middle()).layer(TimeDistributed::new(Dense::new(3, 2))).build()?), false),
        (Box::new(Stacked::builder().layer(TimeDistributed::new(Dense::new(4, 4))).layer(inner()?).build()?), true),
    ])
}

/// One stream goes by `step_one` and chunks, the other by single steps of arrays.
#[test]
fn any_order_of_calls_leaves_the_same_stream() -> Result<()> {
    for (at, (layer, zeros)) in layers()?.iter().enumerate() {
        for seed in 1..30 {
            let mut numbers = Numbers(seed * 7919 + at as u64 * 104_729 + 1);
            let (mut one, mut other) = (Stream::new(&**layer, 1)?, Stream::new(&**layer, 1)?);
            let mut saved = layer.initial_state(1);
            let mut calls = Vec::new();
            for _ in 0..30 {
                let x = Array2::from_shape_fn((1, 4), |_| numbers.float());
                let call = numbers.next() % 13;
                calls.push(call);
                match call {
                    0..=4 => {
                        let x_slice: Vec<f32> = x.iter().copied().collect();
                        let output = one.step_one(&x_slice)?.to_vec();
                        assert!(output.iter().eq(other.step(&x)?.iter()), "layer {at}, {calls:?}");
                    }
                    5 | 6 => {
                        let live = [numbers.flag()];
                        let output = one.step_masked(&x, &live)?.to_owned();
                        assert_eq!(output, other.step_masked(&x, &live)?, "layer {at}, {calls:?}");
                    }
                    7 | 8 => chunk(&**layer, (&mut one, &mut other), &mut numbers, (call == 7, *zeros))?,
                    9 => {
                        one.reset();
                        other.reset();
                    }
                    10 => {
                        one.reset_row(0)?;
                        other.reset_row(0)?;
                    }
                    11 => saved.copy_from(one.state())?,
                    _ => {
                        one.set_state(&saved)?;
                        other.set_state(&saved)?;
                    }
                }
                assert_eq!(one.state(), other.state(), "layer {at}, {calls:?}");
                assert_eq!(one.output(), other.output(), "layer {at}, {calls:?}");
            }
        }
    }
    Ok(())
}

/// A chunk of up to 29 steps, perhaps masked, perhaps with resets, and the same step by step.
fn chunk(
    layer: &dyn Layer<f32>,
    (one, other): (&mut Lent<'_>, &mut Lent<'_>),
    numbers: &mut Numbers,
    (into, zeros): (bool, bool),
) -> Result<()> {
    let steps = (numbers.next() % 30) as usize;
    let xs = Array3::from_shape_fn((1, steps, 4), |_| numbers.float());
    let mask = Array2::from_shape_fn((1, steps), |_| numbers.flag());
    let resets = Array2::from_shape_fn((1, steps), |_| numbers.next().is_multiple_of(4));
    let (masked, cut) = (numbers.flag(), numbers.flag());
    let mut run = Run::new();
    if masked {
        run = run.mask(&mask);
    }
    if cut {
        run = run.resets(&resets);
    }
    let width = layer.output_size();
    let (mut sequence, mut last) = (Array3::zeros((1, steps, width)), Array2::zeros((1, width)));
    if into {
        one.run_into(&xs, run, OutputMut::new().sequence(&mut sequence).last(&mut last))?;
    } else {
        let output = one.run_with(&xs, run)?;
        sequence.assign(output.sequence()?);
        last.assign(output.last());
    }
    for step in 0..steps {
        if cut && resets[[0, step]] {
            other.reset_row(0)?;
        }
        let x = xs.slice(s![.., step, ..]);
        let output = if masked { other.step_masked(&x, &[mask[[0, step]]])? } else { other.step(&x)? };
        if !zeros {
            assert_eq!(sequence.slice(s![.., step, ..]), output);
        }
    }
    assert_eq!(last, other.output());
    Ok(())
}

/// Adds up its input; its backward pass panics if it is told to.
#[derive(Debug)]
struct Panics {
    weight: Array1<f32>,
    now: AtomicBool,
    dropout: [CellDropout; 1],
}

impl Cell for Panics {
    type Elem = f32;

    fn input_size(&self) -> usize {
        2
    }

    fn state_layout(&self) -> StateLayout {
        StateLayout::new([("h", 2)])
    }

    fn dropout(&self) -> &[CellDropout] {
        &self.dropout
    }

    fn step(&self, step: Step<'_, f32>) {
        for j in 0..2 {
            step.next[j] = step.prev[j] + self.weight[0] * step.x[j] * step.dropout.input.get(j).unwrap_or(&1.0);
        }
    }

    fn step_backward(&self, step: StepBackward<'_, f32>, gradients: &mut WeightGradients<'_, f32>) -> Result<()> {
        assert!(!self.now.load(Ordering::SeqCst), "told to");
        step.d_prev.copy_from_slice(step.d_next);
        step.d_x.fill(0.0);
        gradients.add(0, &[step.d_next[0] * step.x[0] * step.dropout.input[0]])
    }

    fn visit_weights<'a>(&'a self, visitor: &mut WeightVisitor<'_, 'a, f32>) {
        visitor.weight("weight", &self.weight);
    }

    fn visit_weights_mut(&mut self, visitor: &mut WeightVisitorMut<'_, f32>) {
        visitor.weight("weight", &mut self.weight);
    }
}

#[test]
fn a_panic_on_the_way_back_spends_the_tape() -> Result<()> {
    let dropout = CellDropout::new(2, 2).rate(0.5, 1).recurrent_rate(0.0, 0).seed(5);
    let layer =
        Recurrent::from_cell(Panics { weight: Array1::ones(1), now: AtomicBool::new(true), dropout: [dropout] });
    let x = Array3::from_shape_fn((3, 4, 2), |(b, t, f)| (1 + b * 7 + t * 3 + f) as f32);
    let d_last = Array2::ones((3, 2));
    let (mut tape, mut gradients, mut seeds) = (Tape::new(), Gradients::new(&layer), layer.seeds());
    layer.run(&x, Run::new().training(&mut seeds).record(&mut tape))?;
    let mut back = |tape: &mut Tape<f32>| layer.backward(tape, OutputGradient::new().last(&d_last), &mut gradients);
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| back(&mut tape)));
    assert!(caught.is_err(), "the cell was told to panic");
    layer.cell().now.store(false, Ordering::SeqCst);
    assert_eq!(back(&mut tape), Err(Error::TapeSpent));
    Ok(())
}
