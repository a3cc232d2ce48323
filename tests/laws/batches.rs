//! A row's result doesn't depend on the batch it stands in.

use ndarray::{Axis, s};
use proptest::test_runner::TestCaseResult;
use recurrent::{Float, Run};

use super::case::{Case, check, layers, quantized_both_ways};
use super::compare::{same, same_output};
use super::paths::{expect, left, right};

#[test]
fn a_batch_is_its_rows_one_by_one() {
    check(layers(), law::<f32>, law::<f64>);
    check(quantized_both_ways(), law::<f32>, law::<f32>);
    expect("blocks of rows, and each row by itself", |batch, rows| {
        batch.blocks > 0 && rows.blocks == 0 && rows.single_rows > 0 && rows.projected > 0
    });
    fn law<T: Float>(case: &Case) -> TestCaseResult {
        let (layer, x, mask, resets) = (case.layer::<T>(), case.x::<T>(), case.mask(), case.resets());
        let state = case.state(&*layer);
        let run = Run::new().mask(&mask).resets(&resets).initial_state(&state);
        let (whole, optional) = left(|| (layer.forward(&x), layer.run(&x, run)));
        let (whole, optional) = (whole?, optional?);
        for row in 0..case.batch {
            let rows = row..row + 1;
            let one = right(|| layer.forward(&x.slice(s![rows.clone(), .., ..])))?;
            same("sequence", one.sequence()?, &whole.sequence()?.slice(s![rows.clone(), .., ..]))?;
            same("last", one.last(), &whole.last().slice(s![rows.clone(), ..]))?;
            same("state", &one.state()?.values(), &whole.state()?.values().slice(s![rows.clone(), ..]))?;

            let mut own_state = layer.initial_state(1);
            for name in state.names() {
                own_state.set(name, &state.get(name)?.slice(s![rows.clone(), ..]))?;
            }
            let (mask, resets) = (mask.slice(s![rows.clone(), ..]), resets.slice(s![rows.clone(), ..]));
            let run = Run::new().mask(&mask).resets(&resets).initial_state(&own_state);
            let one = right(|| layer.run(&x.slice(s![rows.clone(), .., ..]), run))?;
            same("with options: sequence", one.sequence()?, &optional.sequence()?.slice(s![rows.clone(), .., ..]))?;
            same("with options: last", one.last(), &optional.last().slice(s![rows.clone(), ..]))?;
            same("with options: state", &one.state()?.values(), &optional.state()?.values().slice(s![rows, ..]))?;
        }
        Ok(())
    }
}

#[test]
fn the_order_of_the_rows_is_irrelevant() {
    check(layers(), law::<f32>, law::<f64>);
    check(quantized_both_ways(), law::<f32>, law::<f32>);
    fn law<T: Float>(case: &Case) -> TestCaseResult {
        let (layer, x, mask) = (case.layer::<T>(), case.x::<T>(), case.mask());
        // Some rows, in another order, some of them twice.
        let mut numbers = case.numbers("order");
        let mut order = numbers.shuffled(case.batch);
        order.truncate(numbers.below(case.batch + 1));
        order.extend_from_within(..order.len().min(2));
        let whole = layer.run(&x, Run::new().mask(&mask))?;
        let (x, mask) = (x.select(Axis(0), &order), mask.select(Axis(0), &order));
        let output = layer.run(&x, Run::new().mask(&mask))?;
        same("sequence", output.sequence()?, &whole.sequence()?.select(Axis(0), &order))?;
        same("last", output.last(), &whole.last().select(Axis(0), &order))?;
        same("state", &output.state()?.values(), &whole.state()?.values().select(Axis(0), &order))
    }
}

#[test]
fn a_call_repeated_is_the_same() {
    check(layers(), law::<f32>, law::<f64>);
    fn law<T: Float>(case: &Case) -> TestCaseResult {
        let (layer, x) = (case.layer::<T>(), case.x::<T>());
        let first = layer.forward(&x)?;
        // Another thread has scratch of its own, never used.
        let elsewhere = std::thread::scope(|scope| scope.spawn(|| layer.forward(&x)).join());
        same_output("twice", &layer.forward(&x)?, &first)?;
        same_output("on another thread", &elsewhere.expect("no panic")?, &first)
    }
}
