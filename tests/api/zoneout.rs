//! Zoneout: streams and batches have whole sequences' bits, masked steps and resets are as in any layer, gradients are
//! those of the masks that were drawn; and what is refused.

use ndarray::prelude::*;
use recurrent::cell::{LstmCell, Zoneout};
use recurrent::training::*;
use recurrent::{
    Cell, Dense, Error, Gradients, Gru, Layer, Lstm, OutputGradient, Recurrent, Run, SeedSource, Sequential, SimpleRnn,
    Stacked, Stream,
};

type ZoneoutLstm = Recurrent<Zoneout<LstmCell<f64>>>;

fn layer(units: usize) -> ZoneoutLstm {
    let cell = Lstm::builder(3, units).seeds(&mut SeedSource::keras(7)).build_cell().unwrap();
    Recurrent::from_cell(Zoneout::new(cell, 0.25, 0.5, 11).unwrap()).return_sequences(true)
}

fn x(batch: usize, steps: usize) -> Array3<f64> {
    Array3::from_shape_fn((batch, steps, 3), |(b, t, f)| ((5 * b + 3 * t + 7 * f + b * t) % 11) as f64 / 8.0 - 0.6)
}

#[test]
fn the_expectation_has_the_same_bits_in_a_stream_and_in_a_batch() {
    // Whole vectors of each width, and some units more.
    for units in [4, 19] {
        let (layer, x) = (layer(units), x(5, 7));
        let whole = layer.forward(&x).unwrap();
        let whole = whole.sequence().unwrap();
        let mut stream = Stream::new(&layer, 5).unwrap();
        for (step, x) in x.axis_iter(Axis(1)).enumerate() {
            assert_eq!(stream.step(&x).unwrap(), whole.index_axis(Axis(1), step), "{units} units, step {step}");
        }
        for row in 0..5 {
            let one = layer.forward(&x.slice(s![row..=row, .., ..])).unwrap();
            assert_eq!(one.sequence().unwrap().index_axis(Axis(0), 0), whole.index_axis(Axis(0), row), "row {row}");
        }
        // It isn't the cell alone, nor is a recorded run another one.
        let cell = layer.cell().cell().try_clone().unwrap();
        let without = Recurrent::from_cell(cell).return_sequences(true).forward(&x).unwrap();
        assert_ne!(without.sequence().unwrap(), whole);
        let recorded = layer.run(&x, Run::new().record(&mut Tape::new())).unwrap();
        assert_eq!(recorded.sequence().unwrap(), whole);
    }
}

/// At a step each unit of the output is what it was, or what the cell makes; at the rate, on the whole.
#[test]
fn units_stay_at_their_rates() {
    let (layer, x) = (layer(16), x(24, 30));
    let output = layer.run(&x, Run::new().training(&mut layer.seeds())).unwrap();
    let sequence = output.sequence().unwrap();
    let steps = sequence.slice(s![.., 1.., ..]);
    let stayed = steps.iter().zip(sequence.slice(s![.., ..-1, ..])).filter(|(now, before)| now == before).count();
    let share = stayed as f64 / steps.len() as f64;
    assert!((share - 0.25).abs() < 0.02, "{share}");
}

/// The loss of a run in training from these seeds, with masked steps.
fn loss(layer: &ZoneoutLstm, x: &Array3<f64>, gradients: Option<&mut Gradients<f64>>) -> f64 {
    let (mut tape, mut seeds, lengths) = (Tape::new(), layer.seeds(), [5, 2, 4]);
    let run = Run::new().training(&mut seeds).record(&mut tape).lengths(&lengths);
    let output = layer.run(x, run).unwrap();
    let target = Array3::from_shape_fn((3, 5, 4), |(b, t, k)| ((b + 2 * t + 3 * k) % 5) as f64 / 4.0);
    let (loss, d) = Loss::MeanSquaredError.with_gradient(output.sequence().unwrap(), &target).unwrap();
    if let Some(gradients) = gradients {
        layer.backward(&mut tape, OutputGradient::new().sequence(&d), gradients).unwrap();
    }
    loss
}

#[test]
fn gradients_are_finite_differences() {
    for backwards in [false, true] {
        let (mut layer, mut x) = (layer(4).go_backwards(backwards), x(3, 5));
        let mut gradients = Gradients::new(&layer);
        loss(&layer, &x, Some(&mut gradients));
        for path in ["kernel", "recurrent_kernel", "bias"] {
            let whole = layer.weight(path).unwrap().to_owned();
            for at in [0, 5, 10, 15] {
                let around = [1e-6, -1e-6].map(|step| {
                    let mut moved = whole.clone();
                    *moved.iter_mut().nth(at).unwrap() += step;
                    layer.set_weights(&[(path, moved.view())]).unwrap();
                    loss(&layer, &x, None)
                });
                layer.set_weights(&[(path, whole.view())]).unwrap();
                let (slope, own) = ((around[0] - around[1]) / 2e-6, gradients.get(path).unwrap());
                let own = own.iter().nth(at).unwrap();
                assert!((slope - own).abs() < 1e-8, "{path} {at}: {own}, not {slope}");
            }
        }
        let around = [1e-6, -2e-6].map(|step| {
            x[[1, 1, 2]] += step;
            loss(&layer, &x, None)
        });
        let own = gradients.input().unwrap()[[1, 1, 2]];
        assert!(((around[0] - around[1]) / 2e-6 - own).abs() < 1e-8);
    }
}

/// As part of others, and trained by `Fit`: the same in a stack and in a model.
#[test]
fn in_stacks_and_models() {
    let (x, y) = (x(8, 6), Array2::from_shape_fn((8, 1), |(row, _)| row as f64 / 8.0));
    let dense = || Dense::builder(4, 1).seeds(&mut SeedSource::keras(3)).build().unwrap();
    let zoneout = || layer(4).return_sequences(false);
    let mut stack = Stacked::builder().layer(zoneout()).layer(dense()).build().unwrap();
    let mut model = Sequential::builder("m").layer(zoneout()).layer(dense()).build().unwrap();
    let fit = || Fit::new(Loss::MeanSquaredError, Adam::new(0.02)).batch_size(3).epochs(20);
    let of_stack = fit().run(&mut stack, &x, &y).unwrap();
    let of_model = fit().run(&mut model, &x, &y).unwrap();
    assert_eq!(of_stack.get("loss").unwrap(), of_model.get("loss").unwrap());
    assert!(of_stack.get("loss").unwrap()[19] < of_stack.get("loss").unwrap()[0]);
    // A stream of the model takes the expectation.
    let whole = model.predict_one(&x).unwrap();
    let mut stream = model.stream(8).unwrap();
    for step in x.axis_iter(Axis(1)) {
        stream.step(&[(&step).into()]).unwrap();
    }
    assert_eq!(stream.outputs()[0], whole);
    // Files have no words for it.
    #[cfg(feature = "file")]
    {
        let error = recurrent::file::to_bytes(&model).unwrap_err().to_string();
        assert!(error.contains("Zoneout"), "{error}");
    }
}

#[test]
fn what_is_refused() {
    let refusal = |result: recurrent::Result<Zoneout<LstmCell<f32>>>| result.expect_err("it must be refused");
    let lstm = || Lstm::<f32>::builder(3, 4).build_cell().unwrap();
    for rate in [-0.1, 1.5, f64::NAN] {
        assert!(matches!(
            refusal(Zoneout::new(lstm(), rate, 0.0, 1)),
            Error::DropoutRate { option: "the zoneout of h", .. }
        ));
        assert!(matches!(
            refusal(Zoneout::new(lstm(), 0.0, rate, 1)),
            Error::DropoutRate { option: "the zoneout of c", .. }
        ));
    }
    let drops = Lstm::<f32>::builder(3, 4).dropout(0.5).build_cell().unwrap();
    let error = refusal(Zoneout::new(drops, 0.1, 0.1, 1)).to_string();
    assert_eq!(error, "zoneout needs a cell with no dropout of its own, got LSTM with dropout");
    let gru = Zoneout::new(Gru::<f32>::builder(3, 4).build_cell().unwrap(), 0.1, 0.2, 1).unwrap_err();
    assert!(matches!(&gru, Error::ZoneoutCell { given, .. } if given.contains("GRU")), "{gru}");
    Zoneout::new(SimpleRnn::<f32>::builder(3, 4).build_cell().unwrap(), 0.1, 0.0, 1).unwrap();
    // Seeds of other rates are another layer's; options are those of the run.
    let of = |rate| Recurrent::from_cell(Zoneout::new(lstm(), rate, 0.0, 1).unwrap());
    let x = Array3::ones((2, 3, 3));
    let error = of(0.1).run(&x, Run::new().training(&mut of(0.2).seeds())).unwrap_err();
    assert!(matches!(error, Error::SeedsLayer { .. }), "{error}");
    let layer = of(0.1);
    assert!(matches!(layer.quantize(recurrent::Precision::Int8), Err(Error::CannotQuantize { .. })));
}
