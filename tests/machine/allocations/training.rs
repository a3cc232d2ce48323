//! Training allocates nothing after its first step: forward, loss, backward and update, for layers of all kinds. And
//! what a recorded run keeps is no more than the backward pass needs.

use ndarray::prelude::*;
use recurrent::cell::Zoneout;
use recurrent::training::{
    Adagrad, Adam, Adamax, CosineDecay, Dataset, Fit, Lion, Loss, Metric, Nadam, Network, Optimizer, RmsProp,
    Scheduled, Sgd, Tape, TruncatedBptt,
};
use recurrent::{
    Activation, Bidirectional, Dense, Gradients, Gru, Layer, Lstm, Merge, OutputGradient, OutputMut, Recurrent, Result,
    Run, Scratch, Sequential, SimpleRnn, Stacked, StackedCells, TimeDistributed,
};

use super::counter::{calls, held};

const BATCH: usize = 5;
const STEPS: usize = 7;

/// A training loop with everything reused; the number of calls of the allocator after the first step.
fn after_the_first_step(mut layer: Box<dyn Layer<f32>>, masked: bool, optimizer: &mut dyn Optimizer<f32>) -> usize {
    let (inputs, outputs) = (layer.input_size(), layer.output_size());
    let x = Array3::from_shape_fn((BATCH, STEPS, inputs), |(b, t, i)| ((b + 2 * t + 3 * i) as f32).sin());
    let mask = Array2::from_shape_fn((BATCH, STEPS), |(b, t)| (b + t) % 3 != 0);
    let resets = Array2::from_shape_fn((BATCH, STEPS), |(b, t)| (b * 5 + t) % 4 == 1);
    let (mut tape, mut scratch, mut gradients) = (Tape::new(), Scratch::new(), Gradients::new(&layer));
    let (mut seeds, state) = (layer.seeds(), layer.initial_state(BATCH));
    let sequences = layer.returns_sequences();
    let mut sequence = Array3::zeros((BATCH, STEPS, outputs));
    let (target, mut d_sequence) = (Array3::<f32>::ones(sequence.dim()), sequence.clone());
    let mut last = Array2::zeros((BATCH, outputs));
    let (last_target, mut d_last) = (Array2::<f32>::ones(last.dim()), last.clone());
    let mut step = |layer: &mut Box<dyn Layer<f32>>| -> Result<()> {
        let mut run = Run::new().initial_state(&state).training(&mut seeds).record(&mut tape);
        if masked {
            run = run.mask(&mask).resets(&resets);
        }
        let mut out = OutputMut::new().last(&mut last);
        if sequences {
            out = out.sequence(&mut sequence);
        }
        layer.run_into(&x, run, out, &mut scratch)?;
        Loss::MeanSquaredError.gradient_into(&last, &last_target, &mut d_last)?;
        let mut upstream = OutputGradient::new().last(&d_last);
        if sequences {
            Loss::MeanSquaredError.gradient_into(&sequence, &target, &mut d_sequence)?;
            upstream = upstream.sequence(&d_sequence);
        }
        gradients.clear();
        layer.backward(&mut tape, upstream, &mut gradients)?;
        optimizer.step(layer, &gradients)
    };
    step(&mut layer).unwrap();
    let before = calls();
    for _ in 0..3 {
        step(&mut layer).unwrap();
    }
    calls() - before
}

type Named = (&'static str, Box<dyn Layer<f32>>);

fn layers() -> Result<Vec<Named>> {
    let lstm = || Lstm::<f32>::builder(3, 4).return_sequences(true);
    let cells = |inputs| {
        StackedCells::builder()
            .cell(Lstm::builder(inputs, 5).dropout(0.2).build_cell()?)
            .cell(Gru::builder(5, 4).build_cell()?)
            .build()
    };
    let both = |merge| Bidirectional::new(lstm().dropout(0.3).recurrent_dropout(0.2)).map(|b| b.merge_mode(merge));
    let stack = Stacked::builder()
        .layer(both(Merge::Concat)?)
        .layer(Gru::builder(8, 5).reset_after(false).recurrent_dropout(0.2).return_sequences(true).build()?)
        .layer(TimeDistributed::new(Dense::builder(5, 4).activation(Activation::Softmax).build()?))
        .layer(Recurrent::from_cell(cells(4)?))
        .layer(Dense::new(4, 2));
    let zoneout = Zoneout::new(Lstm::builder(3, 4).build_cell()?, 0.1, 0.2, 7)?;
    Ok(vec![
        ("SimpleRNN", Box::new(SimpleRnn::builder(3, 17).activation(Activation::Relu).build()?)),
        ("LSTM", Box::new(lstm().build()?)),
        ("LSTM backwards", Box::new(lstm().go_backwards(true).dropout(0.3).recurrent_dropout(0.2).build()?)),
        ("LSTM softmax", Box::new(lstm().activation(Activation::Softmax).build()?)),
        ("GRU", Box::new(Gru::builder(3, 16).build()?)),
        ("GRU before", Box::new(Gru::builder(3, 7).reset_after(false).activation(Activation::Mish).build()?)),
        ("cells", Box::new(Recurrent::from_cell(cells(3)?).return_sequences(true))),
        ("zoneout", Box::new(Recurrent::from_cell(zoneout).return_sequences(true))),
        ("Bidirectional concat", Box::new(both(Merge::Concat)?)),
        ("Bidirectional mul", Box::new(both(Merge::Mul)?)),
        ("Bidirectional none", Box::new(both(Merge::None)?)),
        ("stack", Box::new(stack.build()?)),
    ])
}

#[test]
fn a_training_step_allocates_nothing() {
    for masked in [false, true] {
        for (name, layer) in layers().unwrap() {
            let mut sgd = Sgd::new(0.01).momentum(0.9);
            let mut adam = Adam::new(0.01).amsgrad(true).global_clipnorm(1.0).use_ema(true).weight_decay(0.01);
            assert_eq!(after_the_first_step(layer.clone(), masked, &mut sgd), 0, "{name}, masked: {masked}, SGD");
            assert_eq!(after_the_first_step(layer.clone(), masked, &mut adam), 0, "{name}, masked: {masked}, Adam");
            let mut others: [Box<dyn Optimizer<f32>>; 5] = [
                Box::new(Scheduled::new(RmsProp::new(0.01).momentum(0.5).centered(true), CosineDecay::new(0.1, 50))),
                Box::new(Nadam::new(0.01).clipnorm(0.5)),
                Box::new(Adamax::new(0.01)),
                Box::new(Adagrad::new(0.01)),
                Box::new(Lion::new(0.01)),
            ];
            if name == "stack" {
                for (place, optimizer) in others.iter_mut().enumerate() {
                    assert_eq!(after_the_first_step(layer.clone(), masked, optimizer), 0, "optimizer {place}");
                }
            }
        }
    }
}

/// The number of calls of the allocator from update to update of the second epoch.
fn by_fit<N: Network<f32>>(network: &mut N, loss: Loss, metric: Metric, data: &Dataset<'_, f32>) -> Result<Vec<usize>> {
    let mut at_updates = Vec::with_capacity(16);
    let fit = Fit::new(loss, Adam::new(0.01)).metric(metric).epochs(2).batch_size(2).shuffle(7);
    let mut fit = fit.on_update(|update| {
        if update.epoch == 2 {
            at_updates.push(calls());
        }
        std::ops::ControlFlow::Continue(())
    });
    fit.run_on(network, data)?;
    drop(fit);
    // The last batch has one row: for another size some memory is taken again.
    Ok(at_updates[..2].windows(2).map(|pair| pair[1] - pair[0]).collect())
}

#[test]
fn an_update_of_fit_allocates_nothing() -> Result<()> {
    let x = Array3::from_shape_fn((BATCH, STEPS, 3), |(b, t, i)| ((b + 2 * t + 3 * i) as f32).sin());
    let net = |sequences| {
        let lstm = Lstm::<f32>::builder(3, 4).dropout(0.2).return_sequences(sequences).build()?;
        Stacked::builder().layer(lstm).layer(Dense::new(4, 2)).build()
    };
    let numbers = Array2::from_shape_fn((BATCH, 2), |(b, k)| (b + k) as f32);
    let weights = Array1::from_shape_fn(BATCH, |b| 0.5 + b as f32);
    let data = Dataset::new(&x, &numbers).sample_weight(&weights);
    assert_eq!(by_fit(&mut net(false)?, Loss::MeanSquaredError, Metric::MeanAbsoluteError, &data)?, [0]);
    let classes = Array2::from_shape_fn((BATCH, STEPS), |(b, t)| (b + t) as i32 % 2);
    let lengths = [7, 3, 5, 1, 6];
    let data = Dataset::new(&x, &classes).lengths(&lengths);
    let loss = Loss::SparseCategoricalCrossentropy { from_logits: true };
    assert_eq!(by_fit(&mut net(true)?, loss, Metric::SparseCategoricalAccuracy, &data)?, [0]);
    Ok(())
}

#[test]
fn a_chunk_of_truncated_backpropagation_allocates_nothing() -> Result<()> {
    let mut net = Stacked::builder()
        .layer(Lstm::<f64>::builder(2, 6).return_sequences(true).build()?)
        .layer(Dense::new(6, 3))
        .build()?;
    let x = Array3::from_shape_fn((2, 24, 2), |(b, t, i)| ((b + t + 3 * i) as f64).sin());
    let target = Array3::<f64>::zeros((2, 6, 3));
    let (mut sequence, mut d_sequence) = (target.clone(), target.clone());
    let (mut chunks, mut gradients) = (TruncatedBptt::new(&net, 2)?, Gradients::new(&net).without_input());
    let mut optimizer = Adam::new(0.01);
    let mut before = 0;
    for (i, x) in x.axis_chunks_iter(Axis(1), 6).enumerate() {
        chunks.run_into(&net, &x, Run::new(), OutputMut::new().sequence(&mut sequence))?;
        Loss::MeanSquaredError.gradient_into(&sequence, &target, &mut d_sequence)?;
        gradients.clear();
        chunks.backward(&net, OutputGradient::new().sequence(&d_sequence), &mut gradients)?;
        optimizer.step(&mut net, &gradients)?;
        if i == 0 {
            before = calls();
        }
    }
    assert_eq!(calls(), before);
    Ok(())
}

/// The bytes that a recorded run and its backward pass keep for each row and step.
fn bytes_of_a_row_step(layer: &dyn Layer<f32>) -> Result<f64> {
    let held = |steps: usize| -> Result<isize> {
        let x =
            Array3::from_shape_fn((BATCH, steps, layer.input_size()), |(b, t, i)| ((b + 2 * t + 3 * i) as f32).sin());
        let d_last = Array2::ones((BATCH, layer.output_size()));
        let mut gradients = Gradients::new(layer).without_input();
        let before = held();
        let mut tape = Tape::new();
        layer.run(&x, Run::new().record(&mut tape))?;
        layer.backward(&mut tape, OutputGradient::new().last(&d_last), &mut gradients)?;
        Ok(held() - before)
    };
    held(130)?; // what the thread keeps for all calls
    // More steps than the backward pass takes at a time.
    Ok((held(130)? - held(80)?) as f64 / (50 * BATCH) as f64)
}

#[test]
fn a_tape_keeps_no_more_than_the_way_back_needs() -> Result<()> {
    const UNITS: usize = 17; // so little work that no other thread does it, whose bytes another counter would have
    const INPUTS: usize = 5;
    // The input, the states, the gates; and whether the row was live, and began again.
    let most = |values: usize| (4 * (INPUTS + values * UNITS) + 2) as f64;
    assert_eq!(bytes_of_a_row_step(&SimpleRnn::<f32>::new(INPUTS, UNITS))?, most(1));
    assert_eq!(bytes_of_a_row_step(&Lstm::<f32>::new(INPUTS, UNITS))?, most(6));
    assert_eq!(bytes_of_a_row_step(&Gru::<f32>::new(INPUTS, UNITS))?, most(5));
    let before = Gru::<f32>::builder(INPUTS, UNITS).reset_after(false).build()?;
    assert_eq!(bytes_of_a_row_step(&before)?, most(5));
    Ok(())
}

/// A model's update allocates the small lists of its calls and the arrays that it returns: as much in each, and the
/// optimizer nothing. (What a call reads and gives is handed on by lists that are new in each run.)
#[test]
fn an_update_of_a_model_allocates_no_more_than_the_one_before() -> Result<()> {
    let x = Array3::from_shape_fn((BATCH, STEPS, 3), |(b, t, i)| ((b + 2 * t + 3 * i) as f32).sin());
    let y = Array2::<f32>::ones((BATCH, 2)).into_dyn();
    let lstm = Lstm::<f32>::builder(3, 4).build()?;
    let mut model = Sequential::builder("m").layer(lstm).layer(Dense::new(4, 2)).build()?;
    let (mut tape, mut gradients, mut adam) = (Tape::new(), Gradients::new(&model).without_input(), Adam::new(0.01));
    let mut counts = Vec::new();
    for _ in 0..4 {
        let before = calls();
        let outputs = model.record(&[(&x).into()], &mut tape)?;
        let recorded = calls();
        let (_, d) = Loss::MeanSquaredError.with_gradient(&outputs[0], &y)?;
        gradients.clear();
        let lost = calls();
        model.backward(&mut tape, &[&d], &mut gradients)?;
        let went_back = calls();
        adam.step(&mut model, &gradients)?;
        counts.push([recorded - before, went_back - lost, calls() - went_back]);
    }
    let [_, second, others @ ..] = &counts[..] else { panic!("{counts:?}") };
    assert!(others.iter().all(|later| later == second), "{counts:?}");
    // As many as there are today for two layers; the copy of the input and the output are among them.
    assert!(second[0] <= 50 && second[1] <= 63 && second[2] == 0, "{counts:?}");
    Ok(())
}
