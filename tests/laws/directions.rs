//! Backwards is the reversed input forwards.

use ndarray::{Array2, s};
use proptest::test_runner::TestCaseResult;
use recurrent::{Float, Run};

use super::case::{Case, cells, check};
use super::compare::same_output;

#[test]
fn backwards_is_the_reversed_input() {
    check(cells(), law::<f32>, law::<f64>);
    fn law<T: Float>(case: &Case) -> TestCaseResult {
        let forwards = case.layer::<T>();
        let backwards = Case { go_backwards: true, ..case.clone() }.layer::<T>();
        let (x, mask, resets) = (case.x::<T>(), case.mask(), case.resets());
        let state = case.state(&*forwards);
        let reversed = x.slice(s![.., ..;-1, ..]);
        same_output("plain", &backwards.forward(&x)?, &forwards.forward(&reversed)?)?;

        let reversed_mask = mask.slice(s![.., ..;-1]);
        // The boundary between t - 1 and t lies, seen from the other end, before step T - t. That at 0 lies outside.
        let timesteps = case.timesteps;
        let reversed_resets =
            Array2::from_shape_fn(resets.raw_dim(), |(row, time)| time > 0 && resets[[row, timesteps - time]]);
        let there =
            forwards.run(&reversed, Run::new().mask(&reversed_mask).resets(&reversed_resets).initial_state(&state))?;
        let here = backwards.run(&x, Run::new().mask(&mask).resets(&resets).initial_state(&state))?;
        same_output("with options", &here, &there)
    }
}
