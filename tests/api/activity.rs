//! Activity regularizers in a loop of one's own: the gradient is that of the loss with the penalty, whatever is inside
//! what; and what is refused.

use ndarray::prelude::*;
use recurrent::training::*;
use recurrent::{
    Bidirectional, Dense, Error, Gradients, Gru, Layer, Lstm, Merge, Model, OutputGradient, Run, SeedSource,
    Sequential, Stacked,
};

const L1: fn(f64) -> Regularizer = |factor| Regularizer::L1 { factor };
const L2: fn(f64) -> Regularizer = |factor| Regularizer::L2 { factor };

fn refusal<T>(result: recurrent::Result<T>) -> Error {
    result.err().expect("it must be refused")
}

fn net(merge: Merge) -> Stacked<f64> {
    let seeds = &mut SeedSource::keras(7);
    let both = Bidirectional::new(Lstm::builder(3, 4).return_sequences(true).seeds(seeds)).unwrap();
    let both = both.merge_mode(merge);
    let width = both.output_size();
    let inner = Stacked::builder().layer(both).layer(Gru::builder(width, 5).seeds(seeds).build().unwrap()).build();
    let dense = Dense::builder(5, 2).seeds(seeds).build().unwrap();
    Stacked::builder().layer(inner.unwrap()).layer(dense).build().unwrap()
}

fn data() -> (Array3<f64>, Array2<f64>) {
    let x = Array3::from_shape_fn((4, 6, 3), |(b, t, f)| ((5 * b + 3 * t + 7 * f) % 11) as f64 / 8.0 - 0.6);
    (x, Array2::from_shape_fn((4, 2), |(b, k)| ((3 * b + k) % 5) as f64 / 4.0))
}

/// Rows that end early: masked steps have a penalty, too.
const LENGTHS: [usize; 4] = [6, 2, 5, 3];

fn rules() -> WeightRules {
    WeightRules::new()
        .activity_regularizer("0/0", L2(0.5))
        .activity_regularizer("0/0/forward", L2(0.25))
        .activity_regularizer("0/0/backward", L1(0.5))
        .activity_regularizer("0", L1(0.25))
        .activity_regularizer("1", L2(2.0))
        .activity_regularizer("", L1(0.125))
}

/// The loss with the penalties; the gradient, if it is asked for.
fn loss(net: &Stacked<f64>, rules: &WeightRules, gradients: Option<&mut Gradients<f64>>) -> f64 {
    let ((x, y), mut tape) = (data(), Tape::new().keep_outputs(true));
    let output = net.run(&x, Run::new().lengths(&LENGTHS).record(&mut tape)).unwrap();
    let (loss, d) = Loss::MeanSquaredError.with_gradient(output.last(), &y).unwrap();
    let penalty = rules.regularize_activity(net, &mut tape).unwrap();
    if let Some(gradients) = gradients {
        net.backward(&mut tape, OutputGradient::new().last(&d), gradients).unwrap();
    }
    loss + penalty
}

#[test]
fn gradients_are_those_of_loss_and_penalties() {
    for merge in [Merge::Concat, Merge::Mul, Merge::Ave] {
        let mut net = net(merge);
        let mut gradients = Gradients::new(&net);
        loss(&net, &rules(), Some(&mut gradients));
        let paths: Vec<String> = gradients.iter().map(|(path, _)| path.to_string()).collect();
        assert!(paths.contains(&"0/0/backward/recurrent_kernel".into()), "{paths:?}");
        for path in &paths {
            let whole = net.weight(path).unwrap().to_owned();
            // One element of each weight, another one each time.
            let at = 3 % whole.len();
            let mut around = [1e-6, -1e-6].map(|step| {
                let mut moved = whole.clone();
                *moved.iter_mut().nth(at).unwrap() += step;
                net.set_weights(&[(&path[..], moved.view())]).unwrap();
                loss(&net, &rules(), None)
            });
            net.set_weights(&[(&path[..], whole.view())]).unwrap();
            around[0] -= around[1];
            let (slope, own) = (around[0] / 2e-6, *gradients.get(path).unwrap().iter().nth(at).unwrap());
            assert!((slope - own).abs() < 1e-7 * slope.abs().max(1.0), "{merge:?}, {path}: {own}, not {slope}");
        }
        // Each of them counts.
        let (all, none) = (loss(&net, &rules(), None), loss(&net, &WeightRules::new(), None));
        assert!(all > none + 0.1, "{all}, {none}");
    }
}

/// `Fit` does with them what a loop does that calls them, in validation too.
#[test]
fn in_fit() {
    let ((x, y), mut net) = (data(), net(Merge::Concat));
    let fit = |rules| Fit::new(Loss::MeanSquaredError, Sgd::new(0.1)).weight_rules(rules);
    let by_hand = loss(&net, &rules(), None);
    let data = Dataset::new(&x, &y).lengths(&LENGTHS);
    let looked_at = fit(rules()).evaluate(&net, &data).unwrap();
    let history = fit(rules()).validation_data(data.clone()).epochs(2).run_on(&mut net, &data).unwrap();
    assert!((looked_at[0].1 - by_hand).abs() < 1e-12, "{looked_at:?}, not {by_hand}");
    assert!((history.get("loss").unwrap()[0] - by_hand).abs() < 1e-12, "{history:?}, not {by_hand}");
    let losses = [history.get("val_loss").unwrap()[0], history.get("loss").unwrap()[1]];
    assert!((losses[0] - losses[1]).abs() < 1e-12 && losses[0] < by_hand, "{losses:?}");
    // A layer that there isn't is refused before anything changes.
    let before = net.forward(&x).unwrap();
    let unknown = WeightRules::new().activity_regularizer("0/0/sideways", L2(0.1));
    let error = refusal(fit(unknown).run_on(&mut net, &data)).to_string();
    assert!(error.contains("0/0/sideways") && error.contains("0/0/forward"), "{error}");
    let negative = refusal(fit(WeightRules::new().activity_regularizer("1", L2(-0.1))).run_on(&mut net, &data));
    assert!(matches!(negative, Error::WeightRule { option: "the factor of L2", .. }), "{negative}");
    assert_eq!(net.forward(&x).unwrap(), before);
}

#[test]
fn what_is_refused() {
    let ((x, y), net) = (data(), net(Merge::Concat));
    let mut gradients = Gradients::new(&net);
    // A tape that wasn't told to keep outputs, that holds nothing, or another network's run.
    let (mut without, mut tape) = (Tape::new(), Tape::new().keep_outputs(true));
    assert_eq!(refusal(rules().regularize_activity(&net, &mut tape)), Error::TapeEmpty);
    net.run(&x, Run::new().record(&mut without)).unwrap();
    let error = refusal(rules().regularize_activity(&net, &mut without));
    assert!(error == Error::TapeOutputs && error.to_string().len() < 200, "{error}");
    net.run(&x, Run::new().record(&mut tape)).unwrap();
    let gru = Gru::<f64>::new(3, 4);
    let of_gru = WeightRules::new().activity_regularizer("", L2(0.1));
    assert_eq!(refusal(of_gru.regularize_activity(&gru, &mut tape)), Error::TapeLayer);
    // A penalty belongs to one run: the next one has none, nor has one that was gone back through.
    rules().regularize_activity(&net, &mut tape).unwrap();
    let output = net.run(&x, Run::new().record(&mut tape)).unwrap();
    let (_, d) = Loss::MeanSquaredError.with_gradient(output.last(), &y).unwrap();
    net.backward(&mut tape, OutputGradient::new().last(&d), &mut gradients).unwrap();
    let mut plain = Gradients::new(&net);
    net.run(&x, Run::new().record(&mut without)).unwrap();
    net.backward(&mut without, OutputGradient::new().last(&d), &mut plain).unwrap();
    assert_eq!(gradients, plain);
    assert_eq!(refusal(rules().regularize_activity(&net, &mut tape)), Error::TapeSpent);
    // Rows have no columns where there are steps.
    let mode = OrthogonalMode::Columns;
    let orthogonal = WeightRules::new().activity_regularizer("0/0", Regularizer::Orthogonal { factor: 0.1, mode });
    net.run(&x, Run::new().record(&mut tape)).unwrap();
    assert!(matches!(refusal(orthogonal.regularize_activity(&net, &mut tape)), Error::WeightRule { .. }));
    // Keras counts the states, too: a model has them apart, a layer hasn't.
    let returns = Lstm::<f64>::builder(3, 4).return_state(true).build().unwrap();
    returns.run(&x, Run::new().record(&mut tape)).unwrap();
    let error = refusal(of_gru.regularize_activity(&returns, &mut tape)).to_string();
    assert!(error.contains("return_state") && error.len() < 200, "{error}");
}

/// A model regularizes by the names of its layers; inside its layers with a tape that keeps outputs.
#[test]
fn in_models() {
    let (seeds, (x, y)) = (&mut SeedSource::keras(7), data());
    let both = Bidirectional::new(Lstm::builder(3, 4).seeds(seeds)).unwrap();
    let dense = Dense::builder(8, 2).seeds(seeds).build().unwrap();
    let model: Model<f64> = Sequential::builder("m").layer(both).layer(dense).build().unwrap();
    let of = |layer: &str| WeightRules::new().activity_regularizer(layer, L2(0.5));
    let (mut tape, mut keeping) = (Tape::new(), Tape::new().keep_outputs(true));
    for tape in [&mut tape, &mut keeping] {
        model.record(&[(&x).into()], tape).unwrap();
    }
    let sum = |rows: &Array2<f64>| rows.iter().map(|h| h * h).sum::<f64>() * 0.5 / 4.0;
    let states = model.layer("bidirectional").unwrap().forward(&x).unwrap().into_last();
    let whole = of("bidirectional").regularize_activity(&model, &mut tape).unwrap();
    assert!((whole - sum(&states)).abs() < 1e-12, "{whole}");
    let forward = of("bidirectional/forward").regularize_activity(&model, &mut keeping).unwrap();
    assert!((forward - sum(&states.slice(s![.., ..4]).to_owned())).abs() < 1e-12, "{forward}");
    assert_eq!(refusal(of("bidirectional/forward").regularize_activity(&model, &mut tape)), Error::TapeOutputs);
    assert!(matches!(refusal(of("lstm").regularize_activity(&model, &mut tape)), Error::UnknownName { .. }));
    // A penalty of what nothing else comes back to.
    let (mut gradients, nothing) = (Gradients::new(&model), Array2::zeros(y.dim()).into_dyn());
    model.backward(&mut keeping, &[&nothing], &mut gradients).unwrap();
    assert!(gradients.get("bidirectional/forward/kernel").unwrap().iter().any(|d| *d != 0.0));
    assert!(gradients.get("bidirectional/backward/kernel").unwrap().iter().all(|d| *d == 0.0));
}
