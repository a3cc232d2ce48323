//! Where an array's elements lie in memory makes no difference, in or out.

use ndarray::{ArcArray, Array2, Array3, ArrayView3, Axis, CowArray, ShapeBuilder, s};
use proptest::test_runner::TestCaseResult;
use recurrent::{Float, OutputMut, Run, Scratch, Stream};

use super::case::{Case, Kind, check, layers, streaming_layers};
use super::compare::{same, same_output, same_state};

/// The same elements in many layouts: a name and the array that a view is taken of.
fn layouts<T: Float>(
    x: &Array3<T>,
    mut try_one: impl FnMut(&str, ArrayView3<'_, T>) -> TestCaseResult,
) -> TestCaseResult {
    let (batch, timesteps, features) = x.dim();
    // Every order of the axes in memory.
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let permuted = x.view().permuted_axes(order).as_standard_layout().into_owned();
        let mut back = [0; 3];
        for (i, axis) in order.into_iter().enumerate() {
            back[axis] = i;
        }
        try_one(&format!("axes in the order {order:?}"), permuted.view().permuted_axes(back))?;
    }
    // Gaps between rows, steps or features, NaN in them.
    for step in [[2, 1, 1], [1, 3, 1], [1, 1, 2], [2, 2, 3]] {
        let [b, t, f] = step;
        let mut spaced = Array3::from_elem((batch * b, timesteps * t, features * f), T::nan());
        let steps = s![..;b as isize, ..;t as isize, ..;f as isize];
        spaced.slice_mut(steps).assign(x);
        try_one(&format!("steps of {step:?}"), spaced.slice(steps))?;
    }
    // Backwards in memory, by one axis or by all.
    for axes in [vec![0], vec![1], vec![2], vec![0, 1], vec![0, 1, 2]] {
        let mut turned = x.clone();
        axes.iter().for_each(|&axis| turned.invert_axis(Axis(axis)));
        let mut turned = turned.as_standard_layout().into_owned();
        axes.iter().for_each(|&axis| turned.invert_axis(Axis(axis)));
        try_one(&format!("axes {axes:?} backwards"), turned.view())?;
    }
    // Backwards with gaps.
    let mut spaced = Array3::from_elem((batch, timesteps * 2, features), T::nan());
    spaced.slice_mut(s![.., ..;-2, ..]).assign(x);
    try_one("every other step backwards", spaced.slice(s![.., ..;-2, ..]))?;
    // A part of a larger array.
    let mut larger = Array3::from_elem((batch + 2, timesteps + 3, features + 1), T::nan());
    let part = s![1..1 + batch, 2..2 + timesteps, 1..];
    larger.slice_mut(part).assign(x);
    try_one("a part", larger.slice(part))
}

#[test]
fn inputs_of_any_layout() {
    check(layers(), law::<f32>, law::<f64>);
    fn law<T: Float>(case: &Case) -> TestCaseResult {
        let case = Case { timesteps: case.timesteps.min(30), ..case.clone() }; // there are many layouts
        let (layer, x) = (case.layer::<T>(), case.x::<T>());
        let expected = layer.forward(&x)?;
        layouts(&x, |name, view| {
            same(&format!("{name}: the view itself"), &view, &x)?;
            same_output(name, &layer.forward(&view)?, &expected)
        })?;
        same_output("CowArray", &layer.forward(&CowArray::from(x.view()))?, &expected)?;
        same_output("ArcArray", &layer.forward(&ArcArray::from(x.clone()))?, &expected)
    }
}

#[test]
fn inputs_that_repeat_themselves() {
    check(layers(), law::<f32>, law::<f64>);
    fn law<T: Float>(case: &Case) -> TestCaseResult {
        let (layer, x) = (case.layer::<T>(), case.x::<T>());
        let parts = [
            x.slice(s![..case.batch.min(1), .., ..]),
            x.slice(s![.., ..1, ..]),
            x.slice(s![.., .., ..1]),
            x.slice(s![..case.batch.min(1), ..1, ..1]),
        ];
        for part in parts {
            let view = part.broadcast(x.raw_dim()).expect("axes of length 1");
            same_output("broadcast", &layer.forward(&view)?, &layer.forward(&view.to_owned())?)?;
        }
        Ok(())
    }
}

#[test]
fn masks_resets_and_states_of_any_layout() {
    check(layers(), law::<f32>, law::<f64>);
    fn law<T: Float>(case: &Case) -> TestCaseResult {
        let (layer, x, mask, resets) = (case.layer::<T>(), case.x::<T>(), case.mask(), case.resets());
        let state = case.state(&*layer);
        let expected = layer.run(&x, Run::new().mask(&mask).resets(&resets).initial_state(&state))?;
        // In column order, and every other column of a larger one.
        let mut columns = Array2::from_elem(mask.raw_dim().f(), false);
        columns.assign(&mask);
        let mut spaced = Array2::from_elem((case.batch, 2 * case.timesteps), true);
        spaced.slice_mut(s![.., ..;-2]).assign(&resets);
        let mut other = layer.initial_state(case.batch);
        for name in state.names() {
            let part = state.get(name)?;
            let mut turned = Array2::zeros(part.raw_dim().f());
            turned.assign(&part);
            other.set(name, &turned)?;
        }
        let spaced = spaced.slice(s![.., ..;-2]);
        let output = layer.run(&x, Run::new().mask(&columns).resets(&spaced).initial_state(&other))?;
        same_output("run", &output, &expected)?;
        if case.batch > 0 {
            let broadcast = mask.row(0);
            let broadcast = broadcast.broadcast((case.batch, case.timesteps)).expect("one row");
            let output = layer.run(&x, Run::new().mask(&broadcast))?;
            same_output("one mask for all", &output, &layer.run(&x, Run::new().mask(&broadcast.to_owned()))?)?;
        }
        Ok(())
    }
}

#[test]
fn steps_of_any_layout() {
    check(streaming_layers(), law::<f32>, law::<f64>);
    fn law<T: Float>(case: &Case) -> TestCaseResult {
        let (layer, x) = (case.layer::<T>(), case.x::<T>());
        let (mut stream, mut expected) = (Stream::new(&*layer, case.batch)?, Stream::new(&*layer, case.batch)?);
        let all = vec![true; case.batch];
        for step in x.axis_iter(Axis(1)) {
            let columns = step.t().as_standard_layout().into_owned();
            let output = expected.step(&step.to_owned())?;
            same("in column order", stream.step(&columns.t())?, output)?;
        }
        same_state("state", stream.state(), expected.state())?;
        for step in x.axis_iter(Axis(1)) {
            let mut backwards = step.slice(s![..;-1, ..;-1]).to_owned();
            backwards.invert_axis(Axis(0));
            backwards.invert_axis(Axis(1));
            let output = expected.step_masked(&step.to_owned(), &all)?;
            same("backwards in memory", stream.step_masked(&backwards, &all)?, output)?;
        }
        Ok(())
    }
}

#[test]
fn results_in_arrays_of_any_layout_with_dirty_scratch() {
    check(layers(), law::<f32>, law::<f64>);
    fn law<T: Float>(case: &Case) -> TestCaseResult {
        let (layer, x, mask, resets) = (case.layer::<T>(), case.x::<T>(), case.mask(), case.resets());
        let state = case.state(&*layer);
        let mut scratch = dirty::<T>(case)?;
        let shape = (case.batch, case.timesteps, layer.output_size());
        let run = || Run::new().mask(&mask).resets(&resets).initial_state(&state);
        for (run, expected) in [(Run::new(), layer.forward(&x)?), (run(), layer.run(&x, run())?)] {
            // In row order; then in column order, backwards, with gaps.
            let (mut sequence, mut last) =
                (Array3::from_elem(shape, T::nan()), Array2::from_elem((shape.0, shape.2), T::nan()));
            let mut end = layer.initial_state(case.batch);
            let out = OutputMut::new().sequence(&mut sequence).last(&mut last).state(&mut end);
            layer.run_into(&x, run, out, &mut scratch)?;
            same("sequence", &sequence, expected.sequence()?)?;
            same("last", &last, expected.last())?;
            same_state("state", &end, expected.state()?)?;
        }
        let expected = layer.run(&x, run())?;
        let mut sequence = Array3::from_elem(shape.f(), T::nan());
        let mut last = Array2::from_elem((shape.0 * 2, shape.2 * 3), T::one());
        let out = s![..;-2, ..;3];
        layer.run_into(
            &x,
            run(),
            OutputMut::new().sequence(&mut sequence).last(&mut last.slice_mut(out)),
            &mut scratch,
        )?;
        same("sequence in column order", &sequence, expected.sequence()?)?;
        same("last in column order", &last.slice(out), expected.last())?;
        last.slice_mut(out).fill(T::one());
        assert!(last.iter().all(|&value| value == T::one()), "nothing beside the results is written");

        // The parts alone.
        let mut sequence = Array3::from_elem((shape.0, shape.1, shape.2 * 2), T::nan());
        let out = s![.., ..;-1, ..;2];
        layer.run_into(&x, run(), OutputMut::new().sequence(&mut sequence.slice_mut(out)), &mut scratch)?;
        same("sequence alone", &sequence.slice(out), expected.sequence()?)?;
        let mut last = Array2::zeros((shape.0, shape.2));
        layer.run_into(&x, run(), OutputMut::new().last(&mut last), &mut scratch)?;
        same("last alone", &last, expected.last())?;
        layer.run_into(&x, run(), OutputMut::new(), &mut scratch)?;
        Ok(())
    }
}

/// Scratch that other layers of other sizes have used, on inputs of NaN.
fn dirty<T: Float>(case: &Case) -> Result<Scratch<T>, recurrent::Error> {
    let mut scratch = Scratch::new();
    for kind in [Kind::Lstm, Kind::GruBefore, Kind::SimpleRnn, Kind::Own] {
        let other = Case { kind, units: case.units + 3, batch: case.batch / 2 + 1, ..case.clone() };
        let (layer, mut x, mask, resets) = (other.layer::<T>(), other.x::<T>(), other.mask(), other.resets());
        x.fill(T::nan());
        let mut last = Array2::zeros((other.units, other.batch));
        let run = Run::new().mask(&mask).resets(&resets);
        layer.run_into(&x, run, OutputMut::new().last(&mut last.view_mut().reversed_axes()), &mut scratch)?;
        layer.run_into(&x, Run::new(), OutputMut::new(), &mut scratch)?;
    }
    Ok(scratch)
}
