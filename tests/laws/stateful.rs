//! Keras's `stateful=True` is a state that the caller carries.

use ndarray::s;
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use recurrent::{Error, Float, Run, Stateful};

use super::case::{Case, check, layers};
use super::compare::{same_output, same_state};

#[test]
fn stateful_calls_are_runs_with_the_state_carried() {
    check(layers(), law::<f32>, law::<f64>);
    fn law<T: Float>(case: &Case) -> TestCaseResult {
        let (layer, x, mask, resets) = (case.layer::<T>(), case.x::<T>(), case.mask(), case.resets());
        let mut stateful = Stateful::new(&*layer, case.batch);
        let mut state = layer.initial_state(case.batch);
        for pair in case.cuts().windows(2).filter(|pair| pair[0] < pair[1]) {
            let time = pair[0]..pair[1];
            let (x, mask) = (x.slice(s![.., time.clone(), ..]), mask.slice(s![.., time.clone()]));
            let resets = resets.slice(s![.., time]);
            let run = || Run::new().mask(&mask).resets(&resets);
            let expected = layer.run(&x, run().initial_state(&state))?;
            same_output("call", &stateful.run(&x, run())?, &expected)?;
            state = expected.into_state()?;
            same_state("kept", stateful.state(), &state)?;
            // A call that is refused leaves it.
            let refused = stateful.run(&x, run().lengths(&vec![1; case.batch]));
            prop_assert!(matches!(refused, Err(Error::MaskAndLengths)));
            same_state("kept", stateful.state(), &state)?;
        }
        // A state that is given wins, and what follows from it is kept.
        let given = case.state(&*layer);
        let expected = layer.run(&x, Run::new().initial_state(&given))?;
        same_output("given", &stateful.run(&x, Run::new().initial_state(&given))?, &expected)?;
        same_state("kept", stateful.state(), expected.state()?)?;
        stateful.reset_state();
        prop_assert!(stateful.state().values().iter().all(|&value| value == T::zero()));
        Ok(())
    }
}
