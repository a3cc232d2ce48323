//! What joins layers or cells does what they do by themselves.

use ndarray::{Array2, Array3, Axis, concatenate, s};
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use recurrent::{
    Bidirectional, Cell, Dense, Float, Gru, Initializer, Layer, Lstm, Merge, Output, OutputMut, Recurrent, Run,
    Scratch, SimpleRnn, Stacked, StackedCells, State, TimeDistributed,
};

use super::case::{Case, Kind, cells, check};
use super::compare::{same, same_bits, same_output, same_state};
use super::own_cells::Counting;
use super::paths::{expect, left, right};

/// The part of a wrapper's state that belongs to a layer inside.
fn inner_state<T: Float>(all: &State<T>, prefix: &str, layer: &dyn Layer<T>) -> Result<State<T>, recurrent::Error> {
    let mut state = layer.initial_state(all.batch());
    let names: Vec<_> = state.names().map(String::from).collect();
    for name in names {
        state.set(&name, &all.get(&format!("{prefix}/{name}"))?)?;
    }
    Ok(state)
}

fn merged<T: Float>(merge: Merge, a: T, b: T) -> T {
    match merge {
        Merge::Sum => a + b,
        Merge::Mul => a * b,
        Merge::Ave => (a + b) / (T::one() + T::one()),
        _ => unreachable!("these stand side by side"),
    }
}

/// One layer in both directions against its two directions by themselves.
fn two_runs<F, B>(case: &Case, forward: Recurrent<F>, backward: Recurrent<B>, merge: Merge) -> TestCaseResult
where
    F: Cell,
    B: Cell<Elem = F::Elem>,
{
    let backward = backward.go_backwards(true);
    let (x, mask, resets) = (case.x::<F::Elem>(), case.mask(), case.resets());
    for return_sequences in [true, false] {
        let forward = forward.clone().return_state(true);
        let backward = backward.clone().return_state(true);
        let both = Bidirectional::from_layers(
            forward.clone().return_sequences(return_sequences),
            backward.clone().return_sequences(return_sequences),
        )?
        .merge_mode(merge);
        let state = case.state::<F::Elem>(&both);
        let output = both.run(&x, Run::new().mask(&mask).resets(&resets).initial_state(&state))?;

        // In a sequence masked steps are zeros; the last outputs repeat what was before.
        let alone = |zero: bool| -> Result<[Output<F::Elem>; 2], recurrent::Error> {
            let forward = forward.clone().return_sequences(true).zero_output_for_mask(zero);
            let backward = backward.clone().return_sequences(true).zero_output_for_mask(zero);
            let (a, b) = (inner_state(&state, "forward", &forward)?, inner_state(&state, "backward", &backward)?);
            let run = || Run::new().mask(&mask).resets(&resets);
            Ok([forward.run(&x, run().initial_state(&a))?, backward.run(&x, run().initial_state(&b))?])
        };
        let ([a, b], [last_a, last_b]) = (alone(true)?, alone(false)?);
        let (last_a, last_b) = (last_a.last(), last_b.last());
        let (all_a, all_b) = (a.sequence()?, b.sequence()?.slice(s![.., ..;-1, ..]));
        match merge {
            Merge::None => {
                same("forward last", output.last(), last_a)?;
                same("backward last", output.backward()?.last(), last_b)?;
                if return_sequences {
                    same("forward sequence", output.sequence()?, all_a)?;
                    same("backward sequence", output.backward()?.sequence()?, &all_b)?;
                }
            }
            Merge::Concat => {
                same("last", output.last(), &concatenate![Axis(1), *last_a, *last_b])?;
                if return_sequences {
                    same("sequence", output.sequence()?, &concatenate![Axis(2), *all_a, all_b])?;
                }
            }
            _ => {
                let mut last = last_a.clone();
                last.zip_mut_with(last_b, |a, &b| *a = merged(merge, *a, b));
                same("last", output.last(), &last)?;
                if return_sequences {
                    let mut all = all_a.clone();
                    all.zip_mut_with(&all_b, |a, &b| *a = merged(merge, *a, b));
                    same("sequence", output.sequence()?, &all)?;
                }
            }
        }
        let end = output.state()?;
        same_state("forward state", &inner_state(end, "forward", &forward)?, a.state()?)?;
        same_state("backward state", &inner_state(end, "backward", &backward)?, b.state()?)?;

        // Into arrays of the caller's, where two that aren't merged stand side by side.
        let width = both.output_size();
        let mut sequence = Array3::from_elem((case.batch, case.timesteps, width), F::Elem::from_f64(f64::NAN));
        let mut last = Array2::from_elem((case.batch, width), F::Elem::from_f64(f64::NAN));
        let out = OutputMut::new().sequence(&mut sequence).last(&mut last);
        let run = Run::new().mask(&mask).resets(&resets).initial_state(&state);
        both.run_into(&x, run, out, &mut Scratch::new())?;
        if merge == Merge::None {
            same("last side by side", &last, &concatenate![Axis(1), *last_a, *last_b])?;
            same("sequence side by side", &sequence, &concatenate![Axis(2), *all_a, all_b])?;
        } else {
            same("last in an array", &last, output.last())?;
            if return_sequences {
                same("sequence in an array", &sequence, output.sequence()?)?;
            }
        }
    }
    Ok(())
}

#[test]
fn bidirectional_is_two_runs() {
    let merges = vec![Merge::Sum, Merge::Mul, Merge::Concat, Merge::Ave, Merge::None];
    check((cells(), prop::sample::select(merges)), law::<f32>, law::<f64>);
    fn law<T: Float>((case, merge): &(Case, Merge)) -> TestCaseResult {
        let &Case { input_size, units, .. } = case;
        let bias = || Initializer::random_normal();
        let lstm = || Lstm::<T>::builder(input_size, units).bias_initializer(bias()).build();
        let gru = |after| Gru::<T>::builder(input_size, units).bias_initializer(bias()).reset_after(after).build();
        let simple = || SimpleRnn::<T>::builder(input_size, units).bias_initializer(bias()).build();
        let own = || Recurrent::from_cell(Counting::<T>::new(input_size, units));
        match case.kind {
            Kind::SimpleRnn => two_runs(case, simple()?, gru(false)?, *merge),
            Kind::Lstm => two_runs(case, lstm()?, lstm()?, *merge),
            Kind::GruAfter => two_runs(case, gru(true)?, simple()?, *merge),
            Kind::GruBefore => two_runs(case, gru(false)?, lstm()?, *merge),
            _ => two_runs(case, own(), lstm()?, *merge),
        }
    }
}

type Layers<T> = Vec<Box<dyn Layer<T>>>;

/// A stack and the layers of it by themselves, each case's `kind` first and another one behind.
fn stack_and_layers<T: Float>(case: &Case) -> recurrent::Result<(Stacked<T>, Layers<T>)> {
    let mut layers = vec![case.layer::<T>()];
    let kinds = [Kind::Lstm, Kind::Own, Kind::Bidirectional, Kind::GruBefore];
    let kind = kinds[case.seed as usize % kinds.len()];
    let above = Case { kind, input_size: case.units, units: 1 + case.seed as usize % 9, ..case.clone() };
    layers.push(above.layer());
    let width = layers[1].output_size();
    layers.push(Box::new(Dense::<T>::new(width, 4)));
    let mut stack = Stacked::builder();
    for layer in &layers {
        stack = stack.layer(layer.clone());
    }
    Ok((stack.return_state(true).build()?, layers))
}

#[test]
fn a_stack_is_its_layers_one_after_another() {
    check(cells(), law::<f32>, law::<f64>);
    fn law<T: Float>(case: &Case) -> TestCaseResult {
        let (stack, layers) = stack_and_layers::<T>(case)?;
        let (x, mask, resets) = (case.x::<T>(), case.mask(), case.resets());
        let state = case.state::<T>(&stack);
        let whole = stack.run(&x, Run::new().mask(&mask).resets(&resets).initial_state(&state))?;
        let mut sequence = x;
        for (i, layer) in layers.iter().enumerate() {
            let own_state = inner_state(&state, &i.to_string(), &**layer)?;
            let run = Run::new().mask(&mask).resets(&resets).initial_state(&own_state);
            let output = layer.run(&sequence, run)?;
            if layer.returns_state() {
                same_state("state", &inner_state(whole.state()?, &i.to_string(), &**layer)?, output.state()?)?;
            }
            if i + 1 == layers.len() {
                same("last", whole.last(), output.last())?;
            }
            sequence = output.into_sequence()?;
        }
        same("sequence", whole.sequence()?, &sequence)?;
        // Boxed, and a stack in a stack.
        let boxed: Box<dyn Layer<T>> = Box::new(stack.clone());
        let nested = Stacked::builder().layer(boxed).layer(Dense::new(4, 1)).return_state(true).build()?;
        let run = Run::new().mask(&mask).resets(&resets);
        let there = nested.run(&case.x::<T>(), run)?;
        let run = Run::new().mask(&mask).resets(&resets);
        let here = stack.run(&case.x::<T>(), run)?;
        let states = inner_state(there.state()?, "0", &stack)?;
        same("nested state", &states.values(), &here.state()?.values())
    }
}

#[test]
fn a_stack_goes_on_with_the_last_output_where_there_is_no_sequence() {
    check(cells(), law::<f32>, law::<f64>);
    fn law<T: Float>(case: &Case) -> TestCaseResult {
        let (x, lengths, resets) = (case.x::<T>(), case.lengths(), case.resets());
        let &Case { input_size, units, .. } = case;
        let encoder = Gru::<T>::builder(input_size, units).build()?;
        let (hidden, head) = (Dense::<T>::new(units, 7), Dense::<T>::new(7, 2));
        let model = Stacked::builder().layer(encoder.clone()).layer(hidden.clone());
        let model = model.layer(TimeDistributed::new(head.clone())).build()?;
        let run = || Run::new().lengths(&lengths).resets(&resets);
        let output = model.run(&x, run())?;
        let expected = head.forward_rows(&hidden.forward_rows(encoder.run(&x, run())?.last())?)?;
        same("last", output.last(), &expected)?;
        prop_assert!(output.sequence().is_err());
        Ok(())
    }
}

#[test]
fn a_dense_layer_is_one_row_after_another() {
    check(cells(), law::<f32>, law::<f64>);
    fn law<T: Float>(case: &Case) -> TestCaseResult {
        let (x, mask) = (case.x::<T>(), case.mask());
        let activation = case.activation.parse()?;
        let dense = Dense::<T>::builder(case.input_size, case.units).activation(activation).build()?;
        let whole = dense.run(&x, Run::new().mask(&mask))?; // which it doesn't look at
        let wrapped = TimeDistributed::new(dense.clone()).forward(&x)?;
        same("TimeDistributed", wrapped.sequence()?, whole.sequence()?)?;
        for ((row, time, unit), &value) in whole.sequence()?.indexed_iter() {
            let alone = dense.forward_rows(&x.slice(s![row..row + 1, time, ..]))?;
            prop_assert!(same_bits(alone[[0, unit]], value));
            prop_assert!(time + 1 < case.timesteps || same_bits(whole.last()[[row, unit]], value));
        }
        Ok(())
    }
}

#[test]
fn stacked_cells_are_a_stack_of_layers() {
    check(cells(), law::<f32>, law::<f64>);
    expect("only the first cell's input can be projected ahead", |cells, layers| {
        0 < cells.projected && cells.projected < layers.projected
    });
    fn law<T: Float>(case: &Case) -> TestCaseResult {
        let &Case { input_size, units, zero_output_for_mask: zero, .. } = case;
        let random = Initializer::random_normal;
        let lstm = Lstm::<T>::builder(input_size, units + 1).bias_initializer(random()).build_cell()?;
        let gru =
            Gru::<T>::builder(units + 1, units).bias_initializer(random()).reset_after(case.seed.is_multiple_of(2));
        let (gru, own) = (gru.build_cell()?, Counting::<T>::new(units, 3));
        let cells = StackedCells::builder().cell(lstm.clone()).cell(own_of(units)).cell(gru.clone()).cell(own.clone());
        let cells = Recurrent::from_cell(cells.build()?).return_sequences(true).return_state(true);
        fn over_time<C: Cell>(cell: C, zero: bool) -> Recurrent<C> {
            Recurrent::from_cell(cell).return_sequences(true).zero_output_for_mask(zero)
        }
        fn own_of<T: Float>(units: usize) -> Counting<T> {
            Counting::new(units + 1, units + 1)
        }
        let stack = |backwards: bool| {
            Stacked::builder()
                .layer(over_time(lstm.clone(), zero).go_backwards(backwards))
                .layer(over_time(own_of(units), zero))
                .layer(over_time(gru.clone(), zero))
                .layer(over_time(own.clone(), zero))
                .return_state(true)
                .build()
        };
        let (x, mask, resets) = (case.x::<T>(), case.mask(), case.resets());
        let state = case.state::<T>(&cells);
        let run = || Run::new().mask(&mask).resets(&resets).initial_state(&state);
        let forwards = cells.clone().zero_output_for_mask(zero);
        let (cells_run, stack_run) = (left(|| forwards.run(&x, run())), stack(false)?);
        same_output("forwards", &cells_run?, &right(|| stack_run.run(&x, run()))?)?;
        // Backwards the first layer turns the sequence around for all.
        let run = || Run::new().initial_state(&state);
        same_output("backwards", &cells.go_backwards(true).run(&x, run())?, &stack(true)?.run(&x, run())?)
    }
}
