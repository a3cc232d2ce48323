//! Masked steps, and lengths, are steps that aren't there.

use ndarray::{Array2, Axis, s};
use proptest::test_runner::TestCaseResult;
use recurrent::{Float, Run};

use super::case::{Case, Kind, cells, check, layers, mask_of_lengths, quantized};
use super::compare::{same, same_output, same_state};
use super::numbers::odd_number;
use super::paths::{expect, left, right};

#[test]
fn a_right_padded_row_is_the_shorter_row() {
    check(cells(), law::<f32>, law::<f64>);
    check(quantized(), law::<f32>, law::<f32>);
    expect("ragged blocks of rows, and each row by itself", |padded, shorter| {
        padded.blocks > 0 && padded.single_rows > 0 && padded.projected > 0 && shorter.blocks == 0
    });
    fn law<T: Float>(case: &Case) -> TestCaseResult {
        let (layer, mut x, lengths) = (case.layer::<T>(), case.x::<T>(), case.lengths());
        let state = case.state(&*layer);
        for (mut row, &length) in x.outer_iter_mut().zip(&lengths) {
            row.slice_mut(s![length.., ..]).fill(T::nan());
        }
        let padded = left(|| layer.run(&x, Run::new().lengths(&lengths).initial_state(&state)))?;
        for (row, &length) in lengths.iter().enumerate() {
            let rows = row..row + 1;
            let (sequence, last) = (padded.sequence()?.index_axis(Axis(0), row), padded.last().row(row));
            let end = padded.state()?.values();
            // Behind the end the output repeats the last one, or is zero; so it is in a row without any step.
            let mut behind = Array2::zeros((1, case.units));
            if length == 0 {
                same("state", &end.row(row), &state.values().row(row))?;
            } else {
                let mut own_state = layer.initial_state(1);
                for name in state.names() {
                    own_state.set(name, &state.get(name)?.slice(s![rows.clone(), ..]))?;
                }
                let x = x.slice(s![rows, ..length, ..]);
                let shorter = right(|| layer.run(&x, Run::new().initial_state(&own_state)))?;
                same("sequence", &sequence.slice(s![..length, ..]), &shorter.sequence()?.index_axis(Axis(0), 0))?;
                same("state", &end.row(row), &shorter.state()?.values().row(0))?;
                if !case.zero_output_for_mask || length == case.timesteps {
                    behind.assign(shorter.last());
                }
            }
            same("last", &last, &behind.row(0))?;
            for time in length..case.timesteps {
                same("padding", &sequence.row(time), &behind.row(0))?;
            }
        }
        Ok(())
    }
}

#[test]
fn a_right_padded_row_of_any_layer_is_the_shorter_row() {
    check(layers(), law::<f32>, law::<f64>);
    fn law<T: Float>(case: &Case) -> TestCaseResult {
        if case.go_backwards {
            return Ok(()); // then the padding comes first: the next law
        }
        let (layer, mut x, lengths) = (case.layer::<T>(), case.x::<T>(), case.lengths());
        for (mut row, &length) in x.outer_iter_mut().zip(&lengths) {
            row.slice_mut(s![length.., ..]).fill(T::nan());
        }
        let padded = layer.run(&x, Run::new().lengths(&lengths))?;
        for (row, &length) in lengths.iter().enumerate().filter(|&(_, &length)| length > 0) {
            let shorter = layer.forward(&x.slice(s![row..row + 1, ..length, ..]))?;
            let sequence = padded.sequence()?.index_axis(Axis(0), row);
            same("sequence", &sequence.slice(s![..length, ..]), &shorter.sequence()?.index_axis(Axis(0), 0))?;
            same("state", &padded.state()?.values().row(row), &shorter.state()?.values().row(0))?;
            if case.kind == Kind::Bidirectional {
                same("last", &padded.last().row(row), &shorter.last().row(0))?;
                let behind = sequence.slice(s![length.., ..]);
                same("padding", &behind, &Array2::zeros(behind.raw_dim()))?;
            }
        }
        Ok(())
    }
}

#[test]
fn a_left_padded_row_backwards_is_the_shorter_row() {
    check(cells(), law::<f32>, law::<f64>);
    fn law<T: Float>(case: &Case) -> TestCaseResult {
        let case = Case { go_backwards: true, ..case.clone() };
        let (layer, mut x, starts) = (case.layer::<T>(), case.x::<T>(), case.lengths());
        for (mut row, &start) in x.outer_iter_mut().zip(&starts) {
            row.slice_mut(s![..start, ..]).fill(T::nan());
        }
        let mask = Array2::from_shape_fn((case.batch, case.timesteps), |(row, time)| time >= starts[row]);
        let padded = layer.run(&x, Run::new().mask(&mask))?;
        for (row, &start) in starts.iter().enumerate().filter(|&(_, &start)| start < case.timesteps) {
            let shorter = layer.forward(&x.slice(s![row..row + 1, start.., ..]))?;
            let sequence = padded.sequence()?.index_axis(Axis(0), row);
            let real = case.timesteps - start;
            same("sequence", &sequence.slice(s![..real, ..]), &shorter.sequence()?.index_axis(Axis(0), 0))?;
            same("state", &padded.state()?.values().row(row), &shorter.state()?.values().row(0))?;
        }
        Ok(())
    }
}

#[test]
fn lengths_are_a_mask() {
    check(layers(), law::<f32>, law::<f64>);
    fn law<T: Float>(case: &Case) -> TestCaseResult {
        let (layer, x, lengths, resets) = (case.layer::<T>(), case.x::<T>(), case.lengths(), case.resets());
        let (mask, state) = (mask_of_lengths(&lengths, case.timesteps), case.state(&*layer));
        let plain = layer.run(&x, Run::new().lengths(&lengths))?;
        same_output("plain", &plain, &layer.run(&x, Run::new().mask(&mask))?)?;
        let all = layer.run(&x, Run::new().lengths(&lengths).resets(&resets).initial_state(&state))?;
        same_output("all", &all, &layer.run(&x, Run::new().mask(&mask).resets(&resets).initial_state(&state))?)
    }
}

#[test]
fn a_mask_of_all_steps_is_none() {
    check(layers(), law::<f32>, law::<f64>);
    fn law<T: Float>(case: &Case) -> TestCaseResult {
        let (layer, x, resets) = (case.layer::<T>(), case.x::<T>(), case.resets());
        let (all, lengths) = (Array2::from_elem((case.batch, case.timesteps), true), vec![case.timesteps; case.batch]);
        let none = layer.run(&x, Run::new().resets(&resets))?;
        same_output("mask", &layer.run(&x, Run::new().resets(&resets).mask(&all))?, &none)?;
        same_output("lengths", &layer.run(&x, Run::new().resets(&resets).lengths(&lengths))?, &none)
    }
}

#[test]
fn a_mask_of_no_step_keeps_the_state() {
    check(layers(), law::<f32>, law::<f64>);
    fn law<T: Float>(case: &Case) -> TestCaseResult {
        let (layer, x) = (case.layer::<T>(), case.x::<T>());
        let (state, nobody) = (case.state(&*layer), Array2::from_elem((case.batch, case.timesteps), false));
        let output = layer.run(&x, Run::new().mask(&nobody).initial_state(&state))?;
        same_state("state", output.state()?, &state)?;
        if !case.kind.is_recurrent() {
            return Ok(()); // a dense layer outputs its bias
        }
        same("last", output.last(), &Array2::zeros((case.batch, case.units)))
    }
}

#[test]
fn what_stands_at_a_masked_step_reaches_nothing() {
    check(layers(), law::<f32>, law::<f64>);
    fn law<T: Float>(case: &Case) -> TestCaseResult {
        let (layer, x, mask) = (case.layer::<T>(), case.x::<T>(), case.mask());
        let mut other = x.clone();
        let mut numbers = case.numbers("garbage");
        for ((row, time), _) in mask.indexed_iter().filter(|(_, live)| !**live) {
            other.slice_mut(s![row, time, ..]).mapv_inplace(|_| odd_number(&mut numbers));
        }
        same_output("run", &layer.run(&other, Run::new().mask(&mask))?, &layer.run(&x, Run::new().mask(&mask))?)
    }
}

#[test]
fn a_mask_is_the_input_without_its_masked_steps() {
    check(layers(), law::<f32>, law::<f64>);
    fn law<T: Float>(case: &Case) -> TestCaseResult {
        let (layer, x, mask) = (case.layer::<T>(), case.x::<T>(), case.mask());
        let whole = layer.run(&x, Run::new().mask(&mask))?;
        for row in 0..case.batch {
            let real: Vec<usize> = (0..case.timesteps).filter(|&time| mask[[row, time]]).collect();
            if real.is_empty() {
                continue;
            }
            let dense = layer.forward(&x.slice(s![row..row + 1, .., ..]).select(Axis(1), &real))?;
            same("state", &whole.state()?.values().row(row), &dense.state()?.values().row(0))?;
            // The outputs of real steps, each in its place in the order of processing.
            let places: Vec<usize> = if case.go_backwards {
                real.iter().rev().map(|time| case.timesteps - 1 - time).collect()
            } else {
                real
            };
            let outputs = whole.sequence()?.index_axis(Axis(0), row).select(Axis(0), &places);
            same("outputs", &outputs, &dense.sequence()?.index_axis(Axis(0), 0))?;
        }
        Ok(())
    }
}
