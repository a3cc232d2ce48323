//! A stream in steps or chunks is one run.

use std::sync::Arc;

use ndarray::{Array2, Array3, Axis, s};
use proptest::test_runner::TestCaseResult;
use recurrent::{Float, Layer, Output, OutputMut, Run, Stream};

use super::case::{Case, cells, check, mask_of_lengths, quantized, streaming_layers};
use super::compare::{same, same_output, same_state};
use super::paths::{expect, left, right};

/// Checks that a stream has come to the end of a run.
fn same_end<T: Float>(what: &str, stream: &Stream<T, &dyn Layer<T>>, whole: &Output<T>) -> TestCaseResult {
    same(&format!("{what}: last output"), &stream.output(), whole.last())?;
    same_state(&format!("{what}: state"), stream.state(), whole.state()?)
}

#[test]
fn steps_are_the_run() {
    check(streaming_layers(), law::<f32>, law::<f64>);
    check(quantized(), law::<f32>, law::<f32>);
    expect("steps project nothing, runs of few rows do", |steps, run| {
        steps.projected == 0 && steps.single_rows > 0 && steps.blocks > 0 && run.projected > 0 && run.blocks > 0
    });
    fn law<T: Float>(case: &Case) -> TestCaseResult {
        let (layer, x) = (case.layer::<T>(), case.x::<T>());
        let whole = right(|| layer.forward(&x))?;
        let mut stream = Stream::new(&*layer, case.batch)?;
        let mut sequence = Array3::zeros(whole.sequence()?.raw_dim());
        for (step, mut output) in x.axis_iter(Axis(1)).zip(sequence.axis_iter_mut(Axis(1))) {
            output.assign(left(|| stream.step(&step))?);
        }
        same("step: sequence", &sequence, whole.sequence()?)?;
        same_end("step", &stream, &whole)?;

        if case.batch == 1 {
            stream.reset();
            for (step, mut output) in x.axis_iter(Axis(1)).zip(sequence.axis_iter_mut(Axis(1))) {
                let slice = stream.step_one(&step.row(0).to_vec())?;
                output.row_mut(0).assign(&ndarray::aview1(slice));
            }
            same("step_one: sequence", &sequence, whole.sequence()?)?;
            same_end("step_one", &stream, &whole)?;
        }
        Ok(())
    }
}

#[test]
fn masked_steps_are_the_masked_run() {
    check(streaming_layers(), law::<f32>, law::<f64>);
    check(quantized(), law::<f32>, law::<f32>);
    fn law<T: Float>(case: &Case) -> TestCaseResult {
        let (layer, x, mask) = (case.layer::<T>(), case.x::<T>(), case.mask());
        let whole = layer.run(&x, Run::new().mask(&mask))?;
        let mut stream = Stream::new(&*layer, case.batch)?;
        let mut sequence = Array3::zeros(whole.sequence()?.raw_dim());
        for (time, mut output) in sequence.axis_iter_mut(Axis(1)).enumerate() {
            let live = mask.column(time).to_vec();
            output.assign(stream.step_masked(&x.index_axis(Axis(1), time), &live)?);
        }
        same("sequence", &sequence, whole.sequence()?)?;
        same_end("end", &stream, &whole)
    }
}

#[test]
fn steps_with_reset_rows_are_the_run_with_resets() {
    check(streaming_layers(), law::<f32>, law::<f64>);
    check(quantized(), law::<f32>, law::<f32>);
    fn law<T: Float>(case: &Case) -> TestCaseResult {
        let (layer, x, mask, resets) = (case.layer::<T>(), case.x::<T>(), case.mask(), case.resets());
        let whole = layer.run(&x, Run::new().mask(&mask).resets(&resets))?;
        let mut stream = Stream::new(&*layer, case.batch)?;
        let mut sequence = Array3::zeros(whole.sequence()?.raw_dim());
        for (time, mut output) in sequence.axis_iter_mut(Axis(1)).enumerate() {
            for (row, _) in resets.column(time).indexed_iter().filter(|(_, reset)| **reset) {
                stream.reset_row(row)?;
            }
            let live = mask.column(time).to_vec();
            output.assign(stream.step_masked(&x.index_axis(Axis(1), time), &live)?);
        }
        same("sequence", &sequence, whole.sequence()?)?;
        same_end("end", &stream, &whole)
    }
}

/// How a chunk is run.
#[derive(Debug, Clone, Copy)]
enum Options {
    Plain,
    Mask,
    Lengths,
    Resets,
    MaskAndResets,
}

/// One chunk of a stream with the options of that time; `into` writes into arrays of the caller's.
fn chunk<T: Float>(
    case: &Case,
    stream: &mut Stream<T, &dyn Layer<T>>,
    x: &Array3<T>,
    (start, end): (usize, usize),
    options: Options,
    into: bool,
    sequence: &mut Array3<T>,
) -> TestCaseResult {
    let piece = x.slice(s![.., start..end, ..]);
    let (mask, resets) = (case.mask(), case.resets());
    let (mask, resets) = (mask.slice(s![.., start..end]), resets.slice(s![.., start..end]));
    let lengths: Vec<_> = case.lengths().iter().map(|n| n.clamp(&start, &end) - start).collect();
    let run = match options {
        Options::Plain => Run::new(),
        Options::Mask => Run::new().mask(&mask),
        Options::Lengths => Run::new().lengths(&lengths),
        Options::Resets => Run::new().resets(&resets),
        Options::MaskAndResets => Run::new().mask(&mask).resets(&resets),
    };
    let mut place = sequence.slice_mut(s![.., start..end, ..]);
    if into {
        let mut out = Array3::from_elem(place.raw_dim(), T::nan());
        let mut last = Array2::from_elem((place.dim().2, case.batch), T::nan()).reversed_axes();
        let mut state = stream.state().clone();
        stream.run_into(&piece, run, OutputMut::new().sequence(&mut out).last(&mut last).state(&mut state))?;
        same("chunk's last", &last, &stream.output())?;
        same_state("chunk's state", &state, stream.state())?;
        place.assign(&out);
    } else {
        let output = stream.run_with(&piece, run)?;
        same("chunk's last", output.last(), &stream.output())?;
        same_state("chunk's state", output.state()?, stream.state())?;
        place.assign(output.sequence()?);
    }
    Ok(())
}

fn chunks_are_whole<T: Float>(case: &Case, options: Options) -> TestCaseResult {
    let (layer, x, mask, resets, lengths) =
        (case.layer::<T>(), case.x::<T>(), case.mask(), case.resets(), case.lengths());
    let run = match options {
        Options::Plain => Run::new(),
        Options::Mask => Run::new().mask(&mask),
        Options::Lengths => Run::new().lengths(&lengths),
        Options::Resets => Run::new().resets(&resets),
        Options::MaskAndResets => Run::new().mask(&mask).resets(&resets),
    };
    let whole = right(|| layer.run(&x, run))?;
    let mut stream = Stream::new(&*layer, case.batch)?;
    let mut sequence = Array3::zeros(whole.sequence()?.raw_dim());
    let cuts = case.cuts();
    for (i, pair) in cuts.windows(2).enumerate() {
        left(|| chunk(case, &mut stream, &x, (pair[0], pair[1]), options, i % 2 == 0, &mut sequence))?;
    }
    same(&format!("cut at {cuts:?}, {options:?}"), &sequence, whole.sequence()?)?;
    same_end("end", &stream, &whole)
}

#[test]
fn chunks_are_the_whole() {
    check(streaming_layers(), law::<f32>, law::<f64>);
    expect("short chunks project nothing", |chunks, whole| 0 < chunks.projected && chunks.projected < whole.projected);
    fn law<T: Float>(case: &Case) -> TestCaseResult {
        chunks_are_whole::<T>(case, Options::Plain)
    }
}

#[test]
fn chunks_with_options_are_the_whole() {
    check(streaming_layers(), law::<f32>, law::<f64>);
    expect("short chunks project nothing", |chunks, whole| 0 < chunks.projected && chunks.projected < whole.projected);
    fn law<T: Float>(case: &Case) -> TestCaseResult {
        chunks_are_whole::<T>(case, Options::Mask)?;
        chunks_are_whole::<T>(case, Options::Lengths)?;
        chunks_are_whole::<T>(case, Options::Resets)?;
        chunks_are_whole::<T>(case, Options::MaskAndResets)
    }
}

#[test]
fn a_state_carried_by_the_caller_is_the_whole() {
    check(streaming_layers(), law::<f32>, law::<f64>);
    fn law<T: Float>(case: &Case) -> TestCaseResult {
        let (layer, x) = (case.layer::<T>(), case.x::<T>());
        let mut state = case.state(&*layer);
        let whole = layer.run(&x, Run::new().initial_state(&state))?;
        let mut sequence = Array3::zeros(whole.sequence()?.raw_dim());
        let mut last = None;
        for pair in case.cuts().windows(2).filter(|pair| pair[0] < pair[1]) {
            let output = layer.run(&x.slice(s![.., pair[0]..pair[1], ..]), Run::new().initial_state(&state))?;
            sequence.slice_mut(s![.., pair[0]..pair[1], ..]).assign(output.sequence()?);
            last = Some(output.last().clone());
            state = output.into_state()?;
        }
        same("sequence", &sequence, whole.sequence()?)?;
        same("last", &last.expect("at least one step"), whole.last())?;
        same_state("state", &state, whole.state()?)
    }
}

#[test]
fn a_stream_from_a_state_is_the_run_from_it() {
    check(streaming_layers(), law::<f32>, law::<f64>);
    fn law<T: Float>(case: &Case) -> TestCaseResult {
        let (layer, x) = (case.layer::<T>(), case.x::<T>());
        let state = case.state(&*layer);
        // The two differ only where a call begins with masked steps: the first ones are real here.
        let mut mask = case.mask();
        mask.column_mut(0).fill(true);
        let whole = layer.run(&x, Run::new().initial_state(&state).mask(&mask))?;
        let mut stream = Stream::new(&*layer, case.batch)?;
        stream.run_with(&x, Run::new())?; // whatever it did before
        stream.set_state(&state)?;
        let output = stream.run_with(&x, Run::new().mask(&mask))?;
        same_output("run", &output, &whole)
    }
}

#[test]
fn masked_steps_after_set_state_repeat_the_output_that_belongs_to_it() {
    check(cells(), law::<f32>, law::<f64>);
    fn law<T: Float>(case: &Case) -> TestCaseResult {
        let (layer, x) = (case.layer::<T>(), case.x::<T>());
        let mut stream = Stream::new(&*layer, case.batch)?;
        stream.run(&x)?;
        let (saved, output) = (stream.state().clone(), &stream.output().to_owned());
        let mut other = Stream::new(&*layer, case.batch)?;
        other.set_state(&saved)?;
        same("output", &other.output(), output)?;
        let nobody = Array2::from_elem((case.batch, case.timesteps), false);
        let first = stream.run_with(&x, Run::new().mask(&nobody))?;
        let second = other.run_with(&x, Run::new().mask(&nobody))?;
        same_output("masked", &first, &second)?;
        same_state("the state", stream.state(), &saved)
    }
}

#[test]
fn a_reset_stream_is_a_new_one() {
    check(streaming_layers(), law::<f32>, law::<f64>);
    fn law<T: Float>(case: &Case) -> TestCaseResult {
        let (layer, x, mask) = (case.layer::<T>(), case.x::<T>(), case.mask());
        let mut stream = Stream::new(&*layer, case.batch)?;
        same("output of a new stream", &stream.output(), &Array2::zeros((case.batch, layer.output_size())))?;
        same_state("state of a new stream", stream.state(), &layer.initial_state(case.batch))?;
        stream.run(&x)?;
        stream.reset();
        same("output", &stream.output(), &Array2::zeros((case.batch, layer.output_size())))?;
        same_state("state", stream.state(), &layer.initial_state(case.batch))?;
        let again = stream.run_with(&x, Run::new().mask(&mask))?;
        same_output("run", &again, &layer.run(&x, Run::new().mask(&mask))?)
    }
}

#[test]
fn streams_share_a_layer_and_not_their_states() {
    check(streaming_layers(), law::<f32>, law::<f64>);
    fn law<T: Float>(case: &Case) -> TestCaseResult {
        let (layer, x) = (Arc::<dyn Layer<T>>::from(case.layer::<T>()), case.x::<T>());
        let whole = layer.forward(&x)?;
        let mut first = Stream::new(Arc::clone(&layer), case.batch)?;
        let mut second = Stream::new(Arc::clone(&layer), case.batch)?;
        for time in 0..case.timesteps {
            second.step(&x.index_axis(Axis(1), case.timesteps - 1 - time))?; // another sequence
            let output = first.step(&x.index_axis(Axis(1), time))?;
            same("output", output, &whole.sequence()?.index_axis(Axis(1), time))?;
        }
        Ok(())
    }
}

#[test]
fn chunks_without_steps_change_nothing() {
    check(streaming_layers(), law::<f32>, law::<f64>);
    fn law<T: Float>(case: &Case) -> TestCaseResult {
        let (layer, x) = (case.layer::<T>(), case.x::<T>());
        let mut stream = Stream::new(&*layer, case.batch)?;
        stream.run(&x)?;
        let (state, output) = (stream.state().clone(), &stream.output().to_owned());
        let nothing = stream.run(&x.slice(s![.., ..0, ..]))?;
        same("state", &stream.state().values(), &state.values())?;
        same("output", &stream.output(), output)?;
        same("last", nothing.last(), output)?;
        assert_eq!(nothing.sequence()?.dim(), (case.batch, 0, layer.output_size()));
        let lengths = vec![0; case.batch];
        stream.run_with(&x.slice(s![.., ..0, ..]), Run::new().lengths(&lengths))?;
        same("state", &stream.state().values(), &state.values())?;
        // Steps beyond all lengths leave it too.
        stream.run_with(&x, Run::new().mask(&mask_of_lengths(&lengths, case.timesteps)))?;
        same("state", &stream.state().values(), &state.values())
    }
}

#[test]
fn blocks_on_slices_are_the_run() {
    check(streaming_layers(), law::<f32>, law::<f64>);
    expect("blocks of many steps project their inputs", |blocks, run| 0 < blocks.projected && run.projected > 0);
    fn law<T: Float>(case: &Case) -> TestCaseResult {
        let (layer, x) = (case.layer::<T>(), case.x::<T>());
        let whole = right(|| layer.forward(&x))?;
        let mut sequence = Array3::zeros(whole.sequence()?.raw_dim());
        // Without room step by step, with room several at a time.
        for reserved in [0, 5, case.timesteps] {
            let mut stream = Stream::new(&*layer, case.batch)?;
            stream.reserve_steps(reserved)?;
            for pair in case.cuts().windows(2) {
                let piece = x.slice(s![.., pair[0]..pair[1], ..]).as_standard_layout().into_owned();
                let mut out = vec![T::nan(); case.batch * piece.dim().1 * layer.output_size()];
                let input = piece.as_slice().expect("standard layout");
                left(|| stream.process(input, &mut out))?;
                let mut place = sequence.slice_mut(s![.., pair[0]..pair[1], ..]);
                place.iter_mut().zip(out).for_each(|(to, from)| *to = from);
            }
            same(&format!("room for {reserved} steps"), &sequence, whole.sequence()?)?;
            same_end("end", &stream, &whole)?;
        }
        Ok(())
    }
}

#[test]
fn room_for_steps_changes_nothing() {
    check(streaming_layers(), law::<f32>, law::<f64>);
    fn law<T: Float>(case: &Case) -> TestCaseResult {
        let (layer, x) = (case.layer::<T>(), case.x::<T>());
        let (mut stream, mut other) = (Stream::new(&*layer, case.batch)?, Stream::new(&*layer, case.batch)?);
        stream.run(&x)?;
        other.run(&x)?;
        stream.reserve_steps(case.timesteps)?;
        same_state("state", stream.state(), other.state())?;
        same("output", &stream.output(), &other.output())?;
        same("the next run", stream.run(&x)?.last(), other.run(&x)?.last())
    }
}
