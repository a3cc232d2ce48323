//! What holds forwards holds backwards: of rows, masks, resets, directions and chunks, and of reused memory.
//!
//! Gradients of inputs and initial states are compared bit for bit. A weight's gradient is a sum over rows and steps;
//! it is compared by bits where both sides add up in the same order, and else within the rounding of a sum.

use ndarray::{Array2, Array3, ArrayD, ArrayRef, ArrayRef3, Axis, Dimension, concatenate, s};
use proptest::test_runner::{TestCaseError, TestCaseResult};
use recurrent::training::{Tape, TruncatedBptt};
use recurrent::{Float, Gradients, Layer, OutputGradient, OutputMut, Result, Run, Scratch, State};

use super::case::{Case, Kind, cells, cells_both_ways, check, layers, streaming_layers};
use super::compare::{same, same_output, same_state};
use super::numbers::odd_number;

/// What flows into a call's results.
#[derive(Clone)]
struct Upstream<T> {
    sequence: Array3<T>,
    last: Array2<T>,
    state: State<T>,
}

impl<T: Float> Upstream<T> {
    fn of(case: &Case, layer: &dyn Layer<T>) -> Self {
        let (mut numbers, outputs) = (case.numbers("upstream"), layer.output_size());
        let mut state = case.state(layer);
        let parts: Vec<_> = state.names().map(String::from).collect();
        for part in parts {
            let values = numbers.array(1.0, state.get(&part).expect("one of its names").dim());
            state.set(&part, &values).expect("its shape");
        }
        Upstream {
            sequence: numbers.array(1.0, (case.batch, case.timesteps, outputs)),
            last: numbers.array(1.0, (case.batch, outputs)),
            state,
        }
    }

    fn gradient(&self) -> OutputGradient<'_, T> {
        OutputGradient::new().sequence(&self.sequence).last(&self.last).state(&self.state)
    }

    /// What flows into the results of one row.
    fn row(&self, row: usize) -> Self {
        let (sequence, last) = (self.sequence.slice(s![row..row + 1, .., ..]), self.last.slice(s![row..row + 1, ..]));
        Upstream { sequence: sequence.to_owned(), last: last.to_owned(), state: row_of(&self.state, row) }
    }
}

/// One row of a state.
fn row_of<T: Float>(state: &State<T>, row: usize) -> State<T> {
    let mut own = State::zeros(state.layout().clone(), 1);
    for name in state.names() {
        let part = state.get(name).expect("one of its names");
        own.set(name, &part.slice(s![row..row + 1, ..])).expect("its shape");
    }
    own
}

/// The gradients of one call.
fn gradients<T: Float>(
    layer: &dyn Layer<T>,
    x: &ArrayRef3<T>,
    run: Run<'_, T>,
    upstream: OutputGradient<'_, T>,
) -> Result<Gradients<T>> {
    let (mut tape, mut gradients) = (Tape::new(), Gradients::new(layer));
    layer.run(x, run.record(&mut tape))?;
    layer.backward(&mut tape, upstream, &mut gradients)?;
    Ok(gradients)
}

/// Checks that all gradients have the same bits.
fn same_gradients<T: Float>(what: &str, left: &Gradients<T>, right: &Gradients<T>) -> TestCaseResult {
    same(&format!("{what}: input"), &left.input()?, &right.input()?)?;
    same_state(&format!("{what}: initial state"), left.initial_state(), right.initial_state())?;
    let mut pairs = left.iter().zip(right.iter());
    pairs.try_for_each(|((name, left), (_, right))| same(&format!("{what}: {name}"), &left, &right))
}

/// Checks that the weights' gradients are the same sums, but for the order of adding up.
fn same_sums<T: Float>(what: &str, left: &Gradients<T>, right: &Gradients<T>) -> TestCaseResult {
    for ((name, left), (_, right)) in left.iter().zip(right.iter()) {
        close(&format!("{what}: {name}"), &left, &right)?;
    }
    Ok(())
}

/// Checks that two arrays are equal within the rounding of their largest element. Sums that have overflowed say
/// nothing.
fn close<T: Float, D: Dimension>(what: &str, left: &ArrayRef<T, D>, right: &ArrayRef<T, D>) -> TestCaseResult {
    let largest = left.iter().chain(right).fold(0.0, |largest: f64, v| v.into_f64().abs().max(largest));
    let tolerance = T::epsilon().into_f64() * 4000.0 * largest;
    match left.indexed_iter().zip(right).find(|((_, a), b)| (**a - **b).into_f64().abs() > tolerance) {
        None => Ok(()),
        Some(((at, a), b)) => Err(TestCaseError::fail(format!("{what}: {a:?} and {b:?} at {at:?}"))),
    }
}

#[test]
fn a_recorded_run_is_the_run() {
    check(layers(), law::<f32>, law::<f64>);
    fn law<T: Float>(case: &Case) -> TestCaseResult {
        let (layer, x, mask, resets) = (case.layer::<T>(), case.x::<T>(), case.mask(), case.resets());
        let state = case.state(&*layer);
        let run = || Run::new().mask(&mask).resets(&resets).initial_state(&state);
        let mut tape = Tape::new();
        same_output("recorded", &layer.run(&x, run().record(&mut tape))?, &layer.run(&x, run())?)
    }
}

#[test]
fn used_memory_changes_no_bit() {
    check(layers(), law::<f32>, law::<f64>);
    fn law<T: Float>(case: &Case) -> TestCaseResult {
        let case = &Case { odd_numbers: false, ..case.clone() };
        let (layer, x, mask, resets) = (case.layer::<T>(), case.x::<T>(), case.mask(), case.resets());
        let (state, upstream) = (case.state(&*layer), Upstream::of(case, &*layer));
        let run = || Run::new().mask(&mask).resets(&resets).initial_state(&state);
        let fresh = gradients(&*layer, &x, run(), upstream.gradient())?;

        // Tape, scratch and gradients of a larger call of the layer, and of another layer, numbers like NaN in them.
        let larger = Case { batch: case.batch + 2, timesteps: case.timesteps + 3, odd_numbers: true, ..case.clone() };
        let other = Case { kind: Kind::Stack, units: case.units + 3, ..larger.clone() };
        let (mut tape, mut scratch, mut used) = (Tape::new(), Scratch::new(), Gradients::new(&*layer));
        for (used_by, own) in [(&other, false), (&larger, true)] {
            let before = if own { layer.clone() } else { used_by.layer::<T>() };
            let upstream = Upstream::of(used_by, &*before);
            let mut others = Gradients::new(&*before);
            let into = if own { &mut used } else { &mut others };
            before.run_into(&used_by.x::<T>(), Run::new().record(&mut tape), OutputMut::new(), &mut scratch)?;
            before.backward(&mut tape, upstream.gradient(), into)?;
        }
        used.clear();
        layer.run_into(&x, run().record(&mut tape), OutputMut::new(), &mut scratch)?;
        layer.backward(&mut tape, upstream.gradient(), &mut used)?;
        same_gradients("used", &used, &fresh)
    }
}

#[test]
fn gradients_add_up_until_they_are_cleared() {
    check(layers(), law::<f32>, law::<f64>);
    fn law<T: Float>(case: &Case) -> TestCaseResult {
        let case = &Case { odd_numbers: false, ..case.clone() };
        let (layer, x) = (case.layer::<T>(), case.x::<T>());
        let upstream = Upstream::of(case, &*layer);
        let once = gradients(&*layer, &x, Run::new(), upstream.gradient())?;
        let (mut tape, mut twice) = (Tape::new(), Gradients::new(&*layer));
        for _ in 0..2 {
            layer.run(&x, Run::new().record(&mut tape))?;
            layer.backward(&mut tape, upstream.gradient(), &mut twice)?;
        }
        same("input", &twice.input()?, &once.input()?)?;
        let mut doubled = Gradients::new(&*layer);
        for ((_, mut doubled), (_, once)) in doubled.iter_mut().zip(once.iter()) {
            doubled.assign(&(&once + &once));
        }
        same_sums("twice", &twice, &doubled)?;
        twice.clear();
        layer.run(&x, Run::new().record(&mut tape))?;
        layer.backward(&mut tape, upstream.gradient(), &mut twice)?;
        same_gradients("cleared", &twice, &once)?;
        // Nobody asks for the input's gradient: the others are the same.
        let mut without = Gradients::new(&*layer).without_input();
        layer.run(&x, Run::new().record(&mut tape))?;
        layer.backward(&mut tape, upstream.gradient(), &mut without)?;
        assert!(without.input().is_err());
        same_state("without input: initial state", without.initial_state(), once.initial_state())?;
        without.iter().zip(once.iter()).try_for_each(|((name, left), (_, right))| same(name, &left, &right))
    }
}

#[test]
fn nan_at_a_masked_step_reaches_no_gradient() {
    check(layers(), law::<f32>, law::<f64>);
    fn law<T: Float>(case: &Case) -> TestCaseResult {
        let case = &Case { odd_numbers: false, ..case.clone() };
        let (layer, x, mask, resets) = (case.layer::<T>(), case.x::<T>(), case.mask(), case.resets());
        let (state, upstream) = (case.state(&*layer), Upstream::of(case, &*layer));
        let (mut odd, mut numbers) = (x.clone(), case.numbers("odd"));
        for ((row, time), _) in mask.indexed_iter().filter(|(_, real)| !**real) {
            odd.slice_mut(s![row, time, ..]).mapv_inplace(|_| odd_number(&mut numbers));
        }
        let run = || Run::new().mask(&mask).resets(&resets).initial_state(&state);
        let clean = gradients(&*layer, &x, run(), upstream.gradient())?;
        same_gradients("odd", &gradients(&*layer, &odd, run(), upstream.gradient())?, &clean)?;
        for ((row, time), _) in mask.indexed_iter().filter(|(_, real)| !**real) {
            let gradient = clean.input()?;
            let gradient = gradient.slice(s![row, time, ..]);
            same("at a masked step", &gradient, &ndarray::Array1::zeros(gradient.len()))?;
        }
        Ok(())
    }
}

#[test]
fn a_row_is_the_row_alone() {
    check(layers(), law::<f32>, law::<f64>);
    fn law<T: Float>(case: &Case) -> TestCaseResult {
        let case = &Case { odd_numbers: false, ..case.clone() };
        let (layer, x, mask, resets) = (case.layer::<T>(), case.x::<T>(), case.mask(), case.resets());
        let (state, upstream) = (case.state(&*layer), Upstream::of(case, &*layer));
        let run = Run::new().mask(&mask).resets(&resets).initial_state(&state);
        let all = gradients(&*layer, &x, run, upstream.gradient())?;
        let (mut tape, mut alone) = (Tape::new(), Gradients::new(&*layer));
        for row in 0..case.batch {
            let (mask, resets) = (mask.slice(s![row..row + 1, ..]), resets.slice(s![row..row + 1, ..]));
            let state = row_of(&state, row);
            let run = Run::new().mask(&mask).resets(&resets).initial_state(&state);
            layer.run(&x.slice(s![row..row + 1, .., ..]), run.record(&mut tape))?;
            layer.backward(&mut tape, upstream.row(row).gradient(), &mut alone)?;
            same("input", &all.input()?.slice(s![row..row + 1, .., ..]), &alone.input()?)?;
            same_state("initial state", &row_of(all.initial_state(), row), alone.initial_state())?;
        }
        same_sums("rows", &all, &alone)
    }
}

#[test]
fn a_padded_row_is_the_shorter_row() {
    check(cells(), law::<f32>, law::<f64>);
    fn law<T: Float>(case: &Case) -> TestCaseResult {
        let case = &Case { odd_numbers: false, ..case.clone() };
        let (layer, mut x, lengths) = (case.layer::<T>(), case.x::<T>(), case.lengths());
        let (state, upstream) = (case.state(&*layer), Upstream::of(case, &*layer));
        for (mut row, &length) in x.outer_iter_mut().zip(&lengths) {
            row.slice_mut(s![length.., ..]).fill(T::nan());
        }
        let padded = gradients(&*layer, &x, Run::new().lengths(&lengths).initial_state(&state), upstream.gradient())?;
        let (mut tape, mut shorter) = (Tape::new(), Gradients::new(&*layer));
        for (row, &length) in lengths.iter().enumerate() {
            let upstream = upstream.row(row);
            if length == 0 {
                same_state("no step", &row_of(padded.initial_state(), row), &upstream.state)?;
                continue;
            }
            let (state, rows) = (row_of(&state, row), row..row + 1);
            // Behind the end the output repeats the last one, so what flows in there flows into that, or nowhere.
            let mut sequence = upstream.sequence.slice(s![.., ..length, ..]).to_owned();
            let mut last = upstream.last.clone();
            if case.zero_output_for_mask && length < case.timesteps {
                last.fill(T::zero());
            }
            if !case.zero_output_for_mask {
                // In the order of the backward pass, so that the bits are the same.
                for time in (length..case.timesteps).rev() {
                    last += &upstream.sequence.index_axis(Axis(1), time);
                }
            }
            // Of the shorter row, the last output is one more result of the last step.
            let end = &sequence.index_axis(Axis(1), length - 1) + &last;
            sequence.index_axis_mut(Axis(1), length - 1).assign(&end);
            let upstream = OutputGradient::new().sequence(&sequence).state(&upstream.state);
            layer.run(&x.slice(s![rows, ..length, ..]), Run::new().initial_state(&state).record(&mut tape))?;
            layer.backward(&mut tape, upstream, &mut shorter)?;
            same("input", &padded.input()?.slice(s![row..row + 1, ..length, ..]), &shorter.input()?)?;
            same_state("initial state", &row_of(padded.initial_state(), row), shorter.initial_state())?;
        }
        same_sums("shorter", &padded, &shorter)
    }
}

#[test]
fn backwards_is_the_reversed_input() {
    check(cells(), law::<f32>, law::<f64>);
    fn law<T: Float>(case: &Case) -> TestCaseResult {
        let case = &Case { odd_numbers: false, ..case.clone() };
        let forwards = case.layer::<T>();
        let backwards = Case { go_backwards: true, ..case.clone() }.layer::<T>();
        let (x, mask, state) = (case.x::<T>(), case.mask(), case.state(&*forwards));
        let upstream = Upstream::of(case, &*forwards);
        let here = Run::new().mask(&mask).initial_state(&state);
        let here = gradients(&*backwards, &x, here, upstream.gradient())?;
        let (reversed, reversed_mask) = (x.slice(s![.., ..;-1, ..]), mask.slice(s![.., ..;-1]));
        let there = Run::new().mask(&reversed_mask).initial_state(&state);
        let there = gradients(&*forwards, &reversed, there, upstream.gradient())?;
        same("input", &here.input()?, &there.input()?.slice(s![.., ..;-1, ..]))?;
        same_state("initial state", here.initial_state(), there.initial_state())?;
        here.iter().zip(there.iter()).try_for_each(|((name, here), (_, there))| same(name, &here, &there))
    }
}

#[test]
fn resets_are_separate_sequences() {
    check(cells_both_ways(), law::<f32>, law::<f64>);
    fn law<T: Float>(case: &Case) -> TestCaseResult {
        let case = &Case { odd_numbers: false, ..case.clone() };
        let (layer, x, mask, resets) = (case.layer::<T>(), case.x::<T>(), case.mask(), case.resets());
        let (state, upstream) = (case.state(&*layer), Upstream::of(case, &*layer));
        let run = Run::new().mask(&mask).resets(&resets).initial_state(&state);
        let whole = gradients(&*layer, &x, run, upstream.gradient())?;
        let (mut tape, mut pieces_sum) = (Tape::new(), Gradients::new(&*layer));
        for row in 0..case.batch {
            let mut edges = vec![0];
            edges.extend((1..case.timesteps).filter(|&time| resets[[row, time]]));
            edges.push(case.timesteps);
            let mut pieces: Vec<_> = edges.windows(2).map(|pair| pair[0]..pair[1]).collect();
            if case.go_backwards {
                pieces.reverse();
            }
            let (count, own) = (pieces.len(), upstream.row(row));
            let mut done = 0;
            for (i, piece) in pieces.into_iter().enumerate() {
                let (steps, x) = (piece.len(), x.slice(s![row..row + 1, piece.clone(), ..]));
                let mask = mask.slice(s![row..row + 1, piece.clone()]);
                let takes_state = i == 0 && (case.go_backwards || !resets[[row, 0]]);
                let start = if takes_state { row_of(&state, row) } else { layer.initial_state(1) };
                let sequence = own.sequence.slice(s![.., done..done + steps, ..]);
                let mut into = OutputGradient::new().sequence(&sequence);
                if i + 1 == count {
                    into = into.last(&own.last).state(&own.state);
                }
                layer.run(&x, Run::new().mask(&mask).initial_state(&start).record(&mut tape))?;
                layer.backward(&mut tape, into, &mut pieces_sum)?;
                same("input", &whole.input()?.slice(s![row..row + 1, piece, ..]), &pieces_sum.input()?)?;
                let of_state = row_of(whole.initial_state(), row);
                match (i, takes_state) {
                    (0, true) => same_state("initial state", &of_state, pieces_sum.initial_state())?,
                    (0, false) => same("initial state", &of_state.values(), &Array2::zeros(of_state.values().dim()))?,
                    _ => {}
                }
                done += steps;
            }
        }
        same_sums("pieces", &whole, &pieces_sum)
    }
}

/// The chunks of a case; at least one step in each.
fn chunks(case: &Case) -> Vec<std::ops::Range<usize>> {
    let cuts = case.cuts();
    cuts.windows(2).map(|pair| pair[0]..pair[1]).filter(|chunk| !chunk.is_empty()).collect()
}

#[test]
fn chunks_with_the_state_and_its_gradient_carried_are_the_whole() {
    check(streaming_layers(), law::<f32>, law::<f64>);
    fn law<T: Float>(case: &Case) -> TestCaseResult {
        let case = &Case { odd_numbers: false, ..case.clone() };
        let (layer, x, resets) = (case.layer::<T>(), case.x::<T>(), case.resets());
        let (state, upstream) = (case.state(&*layer), Upstream::of(case, &*layer));
        let whole = Run::new().resets(&resets).initial_state(&state);
        let whole = gradients(&*layer, &x, whole, upstream.gradient())?;

        let chunks = chunks(case);
        let (mut tapes, mut at) = (Vec::new(), state.clone());
        for chunk in &chunks {
            let mut tape = Tape::new();
            let resets = resets.slice(s![.., chunk.clone()]);
            let run = Run::new().resets(&resets).initial_state(&at).record(&mut tape);
            at = layer.run(&x.slice(s![.., chunk.clone(), ..]), run)?.into_state()?;
            tapes.push(tape);
        }
        let (mut sum, mut flowing, mut last) = (Gradients::new(&*layer), upstream.state.clone(), Some(&upstream.last));
        for (chunk, tape) in chunks.iter().zip(&mut tapes).rev() {
            let sequence = upstream.sequence.slice(s![.., chunk.clone(), ..]);
            let mut into = OutputGradient::new().sequence(&sequence).state(&flowing);
            if let Some(last) = last.take() {
                into = into.last(last);
            }
            layer.backward(tape, into, &mut sum)?;
            same("input", &whole.input()?.slice(s![.., chunk.clone(), ..]), &sum.input()?)?;
            flowing = sum.initial_state().clone();
        }
        same_state("initial state", whole.initial_state(), &flowing)?;
        same_sums("chunks", &whole, &sum)
    }
}

#[test]
fn truncated_backpropagation_goes_on_forwards_and_is_cut_backwards() {
    check(streaming_layers(), law::<f32>, law::<f64>);
    fn law<T: Float>(case: &Case) -> TestCaseResult {
        let case = &Case { odd_numbers: false, ..case.clone() };
        let (layer, x, mut mask) = (case.layer::<T>(), case.x::<T>(), case.mask());
        if case.kind == Kind::Stack {
            // A layer above sees what a chunk that begins with masked steps repeats: a call alone repeats zeros.
            chunks(case).iter().for_each(|chunk| mask.column_mut(chunk.start).fill(true));
        }
        let upstream = Upstream::of(case, &*layer);
        let whole = layer.run(&x, Run::new().mask(&mask))?;
        let mut bptt = TruncatedBptt::new(&*layer, case.batch)?;
        let mut sum = Gradients::new(&*layer);
        for _again in 0..2 {
            bptt.reset(&*layer)?;
            let mut at = layer.initial_state(case.batch);
            for chunk in chunks(case) {
                let (x, mask) = (x.slice(s![.., chunk.clone(), ..]), mask.slice(s![.., chunk.clone()]));
                let sequence = upstream.sequence.slice(s![.., chunk.clone(), ..]);
                let output = bptt.run(&*layer, &x, Run::new().mask(&mask))?;
                same("sequence", output.sequence()?, &whole.sequence()?.slice(s![.., chunk, ..]))?;
                // The gradient of this chunk alone, from the state that it began with.
                let alone = Run::new().mask(&mask).initial_state(&at);
                let alone = gradients(&*layer, &x, alone, OutputGradient::new().sequence(&sequence))?;
                sum.clear();
                bptt.backward(&*layer, OutputGradient::new().sequence(&sequence), &mut sum)?;
                same_gradients("chunk", &sum, &alone)?;
                at = bptt.state().clone();
            }
            same_state("state", &at, whole.state()?)?;
        }
        Ok(())
    }
}

#[test]
fn nothing_flows_in_where_nothing_is_given() {
    check(layers(), law::<f32>, law::<f64>);
    fn law<T: Float>(case: &Case) -> TestCaseResult {
        let case = &Case { odd_numbers: false, ..case.clone() };
        let (layer, x) = (case.layer::<T>(), case.x::<T>());
        let nothing = gradients(&*layer, &x, Run::new(), OutputGradient::new())?;
        let mut upstream = Upstream::of(case, &*layer);
        upstream.sequence.fill(T::zero());
        upstream.last.fill(T::zero());
        let zeros = State::zeros(upstream.state.layout().clone(), case.batch);
        let zeros = OutputGradient::new().sequence(&upstream.sequence).last(&upstream.last).state(&zeros);
        same_sums("zeros", &nothing, &gradients(&*layer, &x, Run::new(), zeros)?)?;
        let none = |array: &ArrayD<T>| array.iter().all(|g| *g == T::zero());
        assert!(nothing.iter().all(|(_, gradient)| none(&gradient.to_owned())));
        let axes = concatenate![Axis(0), nothing.input()?, nothing.input()?];
        assert!(none(&axes.into_dyn()));
        Ok(())
    }
}
