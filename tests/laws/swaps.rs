//! A stream that takes over between two samples: alone, or by a crossfade.

use ndarray::{Array1, Array2, Axis, s};
use proptest::test_runner::TestCaseResult;
use recurrent::{Error, Float, Layer, LiveStream, ReplaceError, Stream, Successor};

use super::case::{Case, Kind, check, streaming_layers};
use super::compare::same;

/// Another layer of the same inputs and outputs.
fn other<T: Float>(case: &Case, outputs: usize) -> Box<dyn Layer<T>> {
    Case { kind: Kind::SimpleRnn, activation: "tanh", units: outputs, ..case.clone() }.layer()
}

#[test]
fn a_crossfade_is_made_of_both_streams() {
    check(streaming_layers(), law::<f32>, law::<f64>);
    fn law<T: Float>(case: &Case) -> TestCaseResult {
        // A block of no rows has no steps, so that no crossfade goes on.
        let case = &Case { batch: case.batch.max(1), ..case.clone() };
        let (before, x) = (case.layer::<T>(), case.x::<T>());
        let after = other::<T>(case, before.output_size());
        let mut numbers = case.numbers("swap");
        let (at, fade) = (numbers.below(case.timesteps + 1), numbers.below(9));
        let stream = |layer| Stream::<T, &dyn Layer<T>>::new(layer, case.batch);
        let (mut live, mut old, mut new) = (LiveStream::new(stream(&*before)?), stream(&*before)?, stream(&*after)?);
        new.run(&x.slice(s![.., ..at, ..]))?;
        for (t, sample) in x.axis_iter(Axis(1)).enumerate() {
            if t == at {
                let successor = Successor::prepare(&*after as &dyn Layer<T>, case.batch)?;
                let successor = successor.warm_up(&x.slice(s![.., ..at, ..]))?.crossfade(fade);
                live.swap(successor).map_err(ReplaceError::into_error)?;
            }
            let of_old = old.step(&sample)?.to_owned();
            let expected: Array2<T> = match t.checked_sub(at) {
                None => of_old,
                Some(since) => {
                    let of_new = new.step(&sample)?.to_owned();
                    let part = |steps: usize| T::from_f64(steps as f64 / (fade + 1) as f64);
                    let (a, b) = (part(fade.saturating_sub(since)), part(since + 1));
                    let mixed = |(&old, &new): (&T, &T)| if old.is_finite() { a * old + b * new } else { new };
                    let mixed: Array1<T> = of_old.iter().zip(&of_new).map(mixed).collect();
                    if since < fade { mixed.into_shape_with_order(of_new.dim()).unwrap() } else { of_new }
                }
            };
            // Each way of making a step, in turn.
            match numbers.below(3) {
                0 if case.batch == 1 => {
                    let output = live.step_one(&sample.row(0).to_vec())?.to_vec();
                    same("step_one", &ndarray::aview1(&output), &expected.row(0))?;
                }
                1 => {
                    let input = sample.as_standard_layout();
                    let mut output = Array2::zeros(expected.dim());
                    live.process(input.as_slice().unwrap(), output.as_slice_mut().unwrap())?;
                    same("process", &output, &expected)?;
                }
                _ => same("step", &live.step(&sample)?, &expected)?,
            }
            same("output", &live.output(), &expected)?;
        }
        if case.timesteps >= at + fade && at < case.timesteps {
            assert!(live.take_old().is_some());
        }
        assert!(live.take_old().is_none());
        Ok(())
    }
}

/// A block that ends a crossfade in its middle is its steps.
#[test]
fn a_block_across_the_end_of_a_crossfade_is_its_steps() {
    check(streaming_layers(), law::<f32>, law::<f64>);
    fn law<T: Float>(case: &Case) -> TestCaseResult {
        // A block of no rows has no steps, so that no crossfade goes on.
        let case = &Case { batch: case.batch.max(1), ..case.clone() };
        let (before, x) = (case.layer::<T>(), case.x::<T>());
        let after = other::<T>(case, before.output_size());
        let live = || -> Result<_, Error> {
            let mut live = LiveStream::new(Stream::<T, &dyn Layer<T>>::new(&*before, case.batch)?);
            let mut new = Stream::new(&*after as &dyn Layer<T>, case.batch)?;
            new.reserve_steps(20)?;
            live.swap(Successor::of(new).crossfade(3)).map_err(ReplaceError::into_error)?;
            Ok(live)
        };
        let (mut by_steps, mut by_block) = (live()?, live()?);
        let mut block = vec![T::zero(); case.batch * case.timesteps * before.output_size()];
        by_block.process(x.as_slice().unwrap(), &mut block)?;
        let block = ndarray::ArrayView3::from_shape((case.batch, case.timesteps, before.output_size()), &block);
        for (sample, output) in x.axis_iter(Axis(1)).zip(block.unwrap().axis_iter(Axis(1))) {
            same("block", &output, &by_steps.step(&sample)?)?;
        }
        assert_eq!(by_block.crossfade_left(), by_steps.crossfade_left());
        same("output", &by_block.output(), &by_steps.output())
    }
}
