//! Dropout masks: drawn once a call, and by nothing but the seeds, the batch and the sizes.

use ndarray::{Array2, Axis, s};
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use recurrent::{
    Bidirectional, Cell, Dense, Float, Gru, Layer, Lstm, Recurrent, Run, SimpleRnn, Stacked, StackedCells, StateLayout,
    WeightVisitor, WeightVisitorMut,
    cell::{CellDropout, Step},
};

use super::case::{Case, Kind, cells_both_ways, check};
use super::compare::{same, same_output, same_state};
use super::paths::{expect, left, right};

/// A cell whose state is what it got as masks: 2 of the input, 3 of the hidden state; -1 in inference.
#[derive(Debug, Clone)]
struct Recorder<T> {
    dropout: [CellDropout; 1],
    nothing: std::marker::PhantomData<T>,
}

const MASKS: usize = 2;
const RECURRENT_MASKS: usize = 3;

impl<T: Float> Recorder<T> {
    fn new(input_size: usize, units: usize, rates: [f64; 2], seed: i64) -> Self {
        let [rate, recurrent_rate] = rates;
        let (masks, recurrent_masks) = (MASKS, RECURRENT_MASKS);
        let dropout = CellDropout::new(input_size, units)
            .rate(rate, masks)
            .recurrent_rate(recurrent_rate, recurrent_masks)
            .seed(seed);
        Recorder { dropout: [dropout], nothing: std::marker::PhantomData }
    }
}

impl<T: Float> Cell for Recorder<T> {
    type Elem = T;
    fn input_size(&self) -> usize {
        self.dropout[0].input_size
    }
    fn state_layout(&self) -> StateLayout {
        let [CellDropout { input_size, units, .. }] = self.dropout;
        StateLayout::new([("input", MASKS * input_size), ("recurrent", RECURRENT_MASKS * units)])
    }
    fn step(&self, step: Step<'_, T>) {
        step.next.fill(-T::one());
        let (input, recurrent) = step.next.split_at_mut(MASKS * self.dropout[0].input_size);
        // Both are empty in inference, and else as long as was asked for.
        if !step.dropout.input.is_empty() {
            input.copy_from_slice(step.dropout.input);
        }
        if !step.dropout.recurrent.is_empty() {
            recurrent.copy_from_slice(step.dropout.recurrent);
        }
    }
    fn visit_weights<'a>(&'a self, _: &mut WeightVisitor<'_, 'a, T>) {}
    fn visit_weights_mut(&mut self, _: &mut WeightVisitorMut<'_, T>) {}
    fn dropout(&self) -> &[CellDropout] {
        &self.dropout
    }
    fn try_clone(&self) -> Option<Self> {
        Some(self.clone())
    }
}

fn recorder<T: Float>(case: &Case) -> Recurrent<Recorder<T>> {
    let cell = Recorder::new(case.input_size, case.units, [0.3, 0.6], (case.seed >> 8) as i64);
    Recurrent::from_cell(cell).return_state(true).return_sequences(true)
}

#[test]
fn a_users_cell_gets_masks_and_only_in_training() {
    check(cells_both_ways(), law::<f32>, law::<f64>);
    fn law<T: Float>(case: &Case) -> TestCaseResult {
        let (layer, x) = (recorder::<T>(case), case.x::<T>());
        let mut seeds = layer.seeds();
        let training = layer.run(&x, Run::new().training(&mut seeds))?;
        for (part, rate) in [("input", 0.3), ("recurrent", 0.6)] {
            let kept = T::from_f64(1.0 / (1.0 - rate));
            let masks = training.state()?.get(part)?;
            prop_assert!(masks.iter().all(|&value| value == T::zero() || value == kept), "{part}: {masks}");
        }
        prop_assert_eq!(seeds.states()[0].n, (MASKS + RECURRENT_MASKS) as u64);
        // Every step of the call had them.
        for outputs in training.sequence()?.axis_iter(Axis(1)) {
            same("another step", &outputs, &training.state()?.get("input")?)?;
        }
        let inference = layer.forward(&x)?;
        prop_assert!(inference.state()?.values().iter().all(|&value| value == -T::one()));
        Ok(())
    }
}

#[test]
fn masks_depend_on_seeds_batch_and_sizes_only() {
    check(cells_both_ways(), law::<f32>, law::<f64>);
    fn law<T: Float>(case: &Case) -> TestCaseResult {
        let (layer, x) = (recorder::<T>(case), case.x::<T>());
        let mut seeds = layer.seeds();
        let first = layer.run(&x, Run::new().training(&mut seeds))?;
        let after = seeds.clone();
        let second = layer.run(&x, Run::new().training(&mut seeds))?;
        if case.batch * case.input_size > 40 {
            prop_assert_ne!(first.state()?.values(), second.state()?.values());
        }
        // The same seeds again: from the layer, from a clone, in another direction, with masks, resets, other steps.
        let same_masks = |name: &str, layer: &Recurrent<Recorder<T>>, run: Run<'_, T>, steps: usize| {
            let mut seeds = layer.seeds();
            let output = layer.run(&x.slice(s![.., ..steps, ..]), run.training(&mut seeds))?;
            prop_assert_eq!(&seeds, &after, "{}", name);
            same_state(name, output.state()?, first.state()?)
        };
        let (resets, mut mask, all) = (case.resets(), case.mask(), case.timesteps);
        mask.column_mut(0).fill(true);
        mask.column_mut(case.timesteps - 1).fill(true);
        same_masks("again", &layer, Run::new(), all)?;
        same_masks("backwards", &layer.clone().go_backwards(true), Run::new(), all)?;
        same_masks("mask", &layer, Run::new().mask(&mask), all)?;
        same_masks("mask backwards", &layer.clone().go_backwards(true), Run::new().mask(&mask), all)?;
        same_masks("resets", &layer, Run::new().resets(&resets), all)?;
        same_masks("fewer steps", &layer, Run::new(), 1)?;
        let lengths: Vec<_> = case.lengths().iter().map(|&length| length.max(1)).collect();
        same_masks("lengths", &layer, Run::new().lengths(&lengths), all)?;
        // A call refused draws nothing.
        let mut seeds = layer.seeds();
        let wrong = Array2::from_elem((case.batch + 1, case.timesteps), true);
        prop_assert!(layer.run(&x, Run::new().mask(&wrong).training(&mut seeds)).is_err());
        prop_assert_eq!(seeds, layer.seeds());
        Ok(())
    }
}

/// A built-in layer with dropout, of the case's kind.
fn dropping<T: Float>(case: &Case, rates: [f64; 2]) -> Result<Box<dyn Layer<T>>, recurrent::Error> {
    let &Case { input_size, units, go_backwards, .. } = case;
    macro_rules! build {
        ($builder:expr) => {
            Box::new(
                $builder
                    .activation(case.activation.parse()?)
                    .dropout(rates[0])
                    .recurrent_dropout(rates[1])
                    .seed((case.seed >> 8) as i64)
                    .return_sequences(true)
                    .return_state(true)
                    .go_backwards(go_backwards)
                    .build()?,
            )
        };
    }
    Ok(match case.kind {
        Kind::SimpleRnn => build!(SimpleRnn::<T>::builder(input_size, units)),
        Kind::Lstm => build!(Lstm::<T>::builder(input_size, units)),
        Kind::GruAfter => build!(Gru::<T>::builder(input_size, units)),
        _ => build!(Gru::<T>::builder(input_size, units).reset_after(false)),
    })
}

#[test]
fn training_without_dropout_is_inference() {
    check(cells_both_ways(), law::<f32>, law::<f64>);
    fn law<T: Float>(case: &Case) -> TestCaseResult {
        let x = case.x::<T>();
        // Gated cells ignore rates of exactly 1, as in Keras.
        for rates in [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [7.0, -3.0]] {
            if rates != [0.0, 0.0] && case.kind == Kind::SimpleRnn {
                continue;
            }
            let layer = dropping::<T>(case, rates)?;
            let mut seeds = layer.seeds();
            same_output("training", &layer.run(&x, Run::new().training(&mut seeds))?, &layer.forward(&x)?)?;
            prop_assert_eq!(seeds, layer.seeds());
        }
        Ok(())
    }
}

#[test]
fn inference_ignores_dropout() {
    check(cells_both_ways(), law::<f32>, law::<f64>);
    fn law<T: Float>(case: &Case) -> TestCaseResult {
        let (x, plain) = (case.x::<T>(), dropping::<T>(case, [0.0, 0.0])?);
        let mut with = dropping::<T>(case, [0.5, 0.3])?;
        let weights = plain.weights();
        let weights: Vec<_> = weights.iter().map(|(name, array)| (name.as_str(), array.view())).collect();
        with.set_weights(&weights)?;
        same_output("inference", &with.forward(&x)?, &plain.forward(&x)?)
    }
}

#[test]
fn dropout_of_the_input_is_inference_on_a_masked_input() {
    check(cells_both_ways(), law::<f32>, law::<f64>);
    expect("masks within the step, and inputs projected ahead", |training, inference| {
        training.projected == 0 && training.blocks + training.single_rows > 0 && inference.projected > 0
    });
    fn law<T: Float>(case: &Case) -> TestCaseResult {
        let (x, layer) = (case.x::<T>(), dropping::<T>(case, [0.3, 0.0])?);
        let mut seeds = layer.seeds();
        let training = left(|| layer.run(&x, Run::new().training(&mut seeds)))?;
        prop_assert_eq!(seeds.states()[0].n, 1);
        // The same first mask, seen by a cell that records it.
        let recorded = recorder::<T>(case);
        let mask = recorded.run(&x, Run::new().training(&mut recorded.seeds()))?.into_state()?;
        let mask = mask.get("input")?.slice(s![.., ..case.input_size]).insert_axis(Axis(1)).to_owned();
        same_output("masked input", &training, &right(|| layer.forward(&(&x * &mask)))?)
    }
}

#[test]
fn dropout_of_the_state_is_a_step_from_a_masked_state() {
    check(cells_both_ways(), law::<f32>, law::<f64>);
    fn law<T: Float>(case: &Case) -> TestCaseResult {
        let case = Case { kind: Kind::SimpleRnn, timesteps: 1, ..case.clone() };
        let (x, layer) = (case.x::<T>(), dropping::<T>(&case, [0.0, 0.6])?);
        let mut state = case.state(&*layer);
        let mut seeds = layer.seeds();
        let training = layer.run(&x, Run::new().initial_state(&state).training(&mut seeds))?;
        let cell = Recorder::<T>::new(case.units, case.units, [0.6, 0.6], (case.seed >> 8) as i64);
        let recorded = Recurrent::from_cell(cell).return_state(true);
        let input = x.slice(s![.., .., ..1]).broadcast((case.batch, 1, case.units)).expect("one").to_owned();
        let mask = recorded.run(&input, Run::new().training(&mut recorded.seeds()))?.into_state()?;
        let masked = &state.get("h")? * &mask.get("input")?.slice(s![.., ..case.units]);
        state.set("h", &masked)?;
        same_output("masked state", &training, &layer.run(&x, Run::new().initial_state(&state))?)
    }
}

#[test]
fn a_wrapper_in_training_is_its_layers_in_training() {
    check(cells_both_ways(), law::<f32>, law::<f64>);
    fn law<T: Float>(case: &Case) -> TestCaseResult {
        let case = Case { go_backwards: false, ..case.clone() };
        let (x, &Case { input_size, units, .. }) = (case.x::<T>(), &case);
        let first = dropping::<T>(&case, [0.4, 0.2])?;
        let recipe = |seed| {
            let builder = Lstm::<T>::builder(units, units).dropout(0.5).seed(seed).return_sequences(true);
            builder.return_state(true)
        };
        let (forward, backward) = (recipe(3).build()?, recipe(4).go_backwards(true).build()?);
        let both = Bidirectional::from_layers(forward.clone(), backward.clone())?;
        let stack = Stacked::builder().layer(first.clone()).layer(both).layer(Dense::new(2 * units, 2));
        let stack = stack.return_state(true).build()?;
        let mut seeds = stack.seeds();
        let whole = stack.run(&x, Run::new().training(&mut seeds))?;

        let mut own = first.seeds();
        let output = first.run(&x, Run::new().training(&mut own))?;
        let a = forward.run(output.sequence()?, Run::new().training(&mut forward.seeds()))?;
        let b = backward.run(output.sequence()?, Run::new().training(&mut backward.seeds()))?;
        let states = whole.state()?;
        same("0/h", &states.get("0/h")?, &output.state()?.get("h")?)?;
        same("1/forward/c", &states.get("1/forward/c")?, &a.state()?.get("c")?)?;
        same("1/backward/c", &states.get("1/backward/c")?, &b.state()?.get("c")?)?;
        prop_assert_eq!(seeds.states().len(), 3);
        prop_assert_eq!(&seeds.states()[..1], own.states());

        // Stacked cells: a generator for each cell, and each cell gets its own masks.
        let cells = StackedCells::builder()
            .cell(Recorder::<T>::new(input_size, units, [0.3, 0.6], 5))
            .cell(Recorder::<T>::new(MASKS * input_size, 3, [0.5, 0.2], 6))
            .build()?;
        let cells = Recurrent::from_cell(cells).return_state(true);
        let mut seeds = cells.seeds();
        prop_assert_eq!(seeds.states().iter().map(|state| state.seed).collect::<Vec<_>>(), [5, 6]);
        let masks = cells.run(&x, Run::new().training(&mut seeds))?.into_state()?;
        let alone = Recurrent::from_cell(Recorder::<T>::new(input_size, units, [0.3, 0.6], 5)).return_state(true);
        let alone = alone.run(&x, Run::new().training(&mut alone.seeds()))?.into_state()?;
        same("0/recurrent", &masks.get("0/recurrent")?, &alone.get("recurrent")?)?;
        let above = Recorder::<T>::new(MASKS * input_size, 3, [0.5, 0.2], 6);
        let above = Recurrent::from_cell(above).return_state(true);
        let wide = ndarray::Array3::zeros((case.batch, 1, MASKS * input_size));
        let alone = above.run(&wide, Run::new().training(&mut above.seeds()))?.into_state()?;
        same("1/input", &masks.get("1/input")?, &alone.get("input")?)?;
        same("1/recurrent", &masks.get("1/recurrent")?, &alone.get("recurrent")?)
    }
}

#[test]
fn the_masks_are_kerass() {
    // Dropout(.3) on ones of shape (2, 10), seed 21, calls 1 and 2.
    let cell = Recorder::<f32>::new(10, 1, [0.3, 0.0], 21);
    let layer = Recurrent::from_cell(cell).return_state(true);
    let mut seeds = layer.seeds();
    let masks = layer.run(&ndarray::Array3::zeros((2, 1, 10)), Run::new().training(&mut seeds));
    let masks = masks.unwrap().into_state().unwrap();
    for (columns, kept) in [(0..10, "11010111011111110111"), (10..20, "11011111111111101010")] {
        let masks = masks.get("input").unwrap();
        let masks = masks.slice(s![.., columns]);
        let expected = kept.bytes().map(|bit| if bit == b'1' { 1.4285715 } else { 0.0 });
        assert!(masks.iter().copied().eq(expected), "{masks}");
    }
}

#[test]
fn generators_move_in_inference_as_kerass_do() {
    let rates = |dropout: f64, recurrent: f64| {
        let simple = SimpleRnn::<f32>::builder(3, 2).dropout(dropout).recurrent_dropout(recurrent).build().unwrap();
        let lstm = Lstm::<f32>::builder(3, 2).dropout(dropout).recurrent_dropout(recurrent).build().unwrap();
        let gru = Gru::<f32>::builder(3, 2).dropout(dropout).recurrent_dropout(recurrent).build().unwrap();
        let x = ndarray::Array3::ones((2, 3, 3));
        let layers: [&dyn Layer<f32>; 3] = [&simple, &lstm, &gru];
        layers.map(|layer| {
            let (mut trained, mut skipped) = (layer.seeds(), layer.seeds());
            layer.run(&x, Run::new().training(&mut trained)).unwrap();
            skipped.skip_inference();
            assert_eq!(trained, skipped);
            trained.states().first().map_or(0, |state| state.n)
        })
    };
    // Masks a call: SimpleRNN, LSTM, GRU.
    assert_eq!(rates(0.3, 0.0), [1, 1, 1]);
    assert_eq!(rates(0.0, 0.4), [1, 4, 3]);
    assert_eq!(rates(0.3, 0.4), [2, 8, 6]);
    assert_eq!(rates(0.0, 0.0), [0, 0, 0]);
    // Rates of exactly 1 draw nothing; a recurrent one still gives each gate its own mask of the input.
    assert_eq!(rates(1.0, 1.0), [0, 0, 0]);
    assert_eq!(rates(0.3, 1.0), [1, 4, 3]);
}
