//! A run is the loop that the design writes down, and nothing else: state, masks, resets, directions, previous outputs.

use ndarray::{Array2, Array3, s};
use proptest::test_runner::TestCaseResult;
use recurrent::{Float, Layer, Run, State};

use super::case::{Case, cells_both_ways, check};
use super::compare::{same, same_state};
use super::paths::{expect, left, right};

/// The loop over single steps of single rows, each of them a call of its own of the layer forwards.
struct Loop<T> {
    sequence: Array3<T>,
    last: Array2<T>,
    state: State<T>,
}

fn the_loop<T: Float>(
    case: &Case,
    step: &dyn Layer<T>,
    x: &Array3<T>,
    mask: &Array2<bool>,
    resets: &Array2<bool>,
    initial: &State<T>,
) -> Result<Loop<T>, recurrent::Error> {
    let Case { batch, timesteps, units, .. } = *case;
    let mut all = Loop {
        sequence: Array3::from_elem((batch, timesteps, units), T::nan()),
        last: Array2::zeros((batch, units)),
        state: initial.clone(),
    };
    for row in 0..batch {
        let mut state = step.initial_state(1);
        for name in initial.names() {
            state.set(name, &initial.get(name)?.slice(s![row..row + 1, ..]))?;
        }
        let mut previous = Array2::zeros((1, units)); // the previous output
        for i in 0..timesteps {
            let time = if case.go_backwards { timesteps - 1 - i } else { i };
            // The boundary that was just crossed, between t - 1 and t.
            let boundary = if case.go_backwards { time + 1 } else { time };
            if boundary < timesteps && resets[[row, boundary]] {
                state = step.initial_state(1);
                previous.fill(T::zero());
            }
            if mask[[row, time]] {
                let x = x.slice(s![row..row + 1, time..time + 1, ..]);
                let output = step.run(&x, Run::new().initial_state(&state))?;
                previous = output.last().clone();
                state = output.into_state()?;
            } else if case.zero_output_for_mask {
                previous.fill(T::zero());
            }
            all.sequence.slice_mut(s![row, i, ..]).assign(&previous.row(0));
        }
        all.last.row_mut(row).assign(&previous.row(0));
        for name in initial.names() {
            let mut part = all.state.get(name)?.to_owned();
            part.row_mut(row).assign(&state.get(name)?.row(0));
            all.state.set(name, &part)?;
        }
    }
    Ok(all)
}

#[test]
fn a_run_is_the_loop() {
    check(cells_both_ways(), law::<f32>, law::<f64>);
    expect("blocks and projected inputs, and single steps of single rows", |run, steps| {
        run.blocks > 0 && run.projected > 0 && steps.blocks == 0 && steps.projected == 0 && steps.single_rows > 0
    });
    fn law<T: Float>(case: &Case) -> TestCaseResult {
        let layer = case.layer::<T>();
        let step = Case { go_backwards: false, ..case.clone() }.layer::<T>();
        let (x, mask, resets, state) = (case.x::<T>(), case.mask(), case.resets(), case.state(&*layer));
        let run = left(|| layer.run(&x, Run::new().mask(&mask).resets(&resets).initial_state(&state)))?;
        let expected = right(|| the_loop(case, &*step, &x, &mask, &resets, &state))?;
        same("sequence", run.sequence()?, &expected.sequence)?;
        same("last", run.last(), &expected.last)?;
        same_state("state", run.state()?, &expected.state)
    }
}
