//! Rows that begin again within a call are separate sequences.

use ndarray::{Array2, Axis, s};
use proptest::test_runner::TestCaseResult;
use recurrent::{Float, Layer, Run, Stacked};

use super::case::{Case, cells, cells_both_ways, check, quantized_both_ways};
use super::compare::{same, same_output};
use super::paths::{expect, left, right};

#[test]
fn resets_are_separate_sequences() {
    check(cells_both_ways(), law::<f32>, law::<f64>);
    check(quantized_both_ways(), law::<f32>, law::<f32>);
    expect("blocks of rows, and each row's pieces", |whole, pieces| {
        whole.blocks > 0 && whole.projected > 0 && pieces.blocks == 0 && pieces.single_rows > 0
    });
    fn law<T: Float>(case: &Case) -> TestCaseResult {
        let (layer, x, mask, resets) = (case.layer::<T>(), case.x::<T>(), case.mask(), case.resets());
        let state = case.state(&*layer);
        let whole = left(|| layer.run(&x, Run::new().mask(&mask).resets(&resets).initial_state(&state)))?;
        for row in 0..case.batch {
            // The pieces of this row in the order of processing.
            let boundaries: Vec<usize> = (0..case.timesteps).filter(|&time| resets[[row, time]]).collect();
            let mut edges = vec![0];
            edges.extend(boundaries.iter().filter(|&&time| time > 0));
            edges.push(case.timesteps);
            let mut pieces: Vec<_> = edges.windows(2).map(|pair| pair[0]..pair[1]).collect();
            if case.go_backwards {
                pieces.reverse();
            }
            let mut end = None;
            let mut done = 0;
            for (i, piece) in pieces.into_iter().enumerate() {
                let (steps, x) = (piece.len(), x.slice(s![row..row + 1, piece.clone(), ..]));
                let mask = mask.slice(s![row..row + 1, piece]);
                let mut own_state = layer.initial_state(1);
                // The initial state serves the first piece, unless the first step already begins again.
                if i == 0 && (case.go_backwards || !resets[[row, 0]]) {
                    for name in state.names() {
                        own_state.set(name, &state.get(name)?.slice(s![row..row + 1, ..]))?;
                    }
                }
                let output = right(|| layer.run(&x, Run::new().mask(&mask).initial_state(&own_state)))?;
                let sequence = whole.sequence()?.index_axis(Axis(0), row);
                let place = sequence.slice(s![done..done + steps, ..]);
                same("sequence", &place, &output.sequence()?.index_axis(Axis(0), 0))?;
                done += steps;
                end = Some(output);
            }
            let end = end.expect("at least one piece");
            same("last", &whole.last().row(row), &end.last().row(0))?;
            same("state", &whole.state()?.values().row(row), &end.state()?.values().row(0))?;
        }
        Ok(())
    }
}

#[test]
fn no_reset_is_none() {
    check(cells_both_ways(), law::<f32>, law::<f64>);
    fn law<T: Float>(case: &Case) -> TestCaseResult {
        let (layer, x) = (case.layer::<T>(), case.x::<T>());
        let state = case.state(&*layer);
        let mut resets = Array2::from_elem((case.batch, case.timesteps), false);
        let plain = layer.run(&x, Run::new().initial_state(&state))?;
        same_output("none", &layer.run(&x, Run::new().initial_state(&state).resets(&resets))?, &plain)?;
        // At the first step it only forgets the initial state, and backwards it has nothing to do there.
        resets.column_mut(0).fill(true);
        let output = layer.run(&x, Run::new().initial_state(&state).resets(&resets))?;
        same_output("at the first step", &output, &if case.go_backwards { plain } else { layer.forward(&x)? })
    }
}

#[test]
fn resets_in_a_stack_that_turns_time_around_are_separate_sequences() {
    check(cells(), law::<f32>, law::<f64>);
    fn law<T: Float>(case: &Case) -> TestCaseResult {
        // The second layer reads the sequence from its end, and so does the fourth, that goes backwards too.
        let Case { units, seed, .. } = *case;
        let layer = |i: u64, go_backwards| {
            let input_size = if i == 0 { case.input_size } else { units };
            Case { input_size, go_backwards, seed: seed.wrapping_add(i), ..case.clone() }.layer::<T>()
        };
        let pair = Stacked::builder().layer(layer(1, false)).layer(layer(2, true)).build()?;
        let stack = Stacked::builder().layer(layer(0, true)).layer(pair).layer(layer(3, false)).build()?;
        let (x, mut resets) = (case.x::<T>(), case.resets());
        // No initial state is given, so that there is nothing to forget before the first step.
        resets.column_mut(0).fill(false);
        let whole = stack.run(&x, Run::new().resets(&resets))?;
        for row in 0..case.batch {
            let mut edges: Vec<usize> = (0..case.timesteps).filter(|&time| time == 0 || resets[[row, time]]).collect();
            edges.push(case.timesteps);
            for piece in edges.windows(2) {
                let time = piece[0]..piece[1];
                let output = stack.forward(&x.slice(s![row..row + 1, time.clone(), ..]))?;
                same("sequence", &whole.sequence()?.slice(s![row..row + 1, time, ..]), output.sequence()?)?;
            }
        }
        Ok(())
    }
}
