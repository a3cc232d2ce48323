//! Runs whose layers have activity regularizers: by hand as stacks and as models, and from their files.

use ndarray::prelude::*;
use recurrent::training::{Dataset, Fit, Loss, Network, OrthogonalMode, Regularizer, Sgd, WeightRules};
use recurrent::{
    Activation, Bidirectional, Conv1D, Dense, Embedding, Gru, Layer, Lstm, Masking, Merge, Model, Padding, SeedSource,
    Sequential, Stacked, TimeDistributed, keras, ops,
};
use serde_json::Value;

use super::models::padded;
use super::{Ran, compare, features, ids, run_all, targets};
use crate::check::data::{Element, Outcome, every_case, text_of};

const L1: fn(f64) -> Regularizer = |factor| Regularizer::L1 { factor };
const L2: fn(f64) -> Regularizer = |factor| Regularizer::L2 { factor };

fn both(l1: f64, l2: f64) -> Regularizer {
    Regularizer::L1L2 { l1, l2 }
}

fn rules(rules: &[(&str, Regularizer)]) -> WeightRules {
    let all = WeightRules::new();
    rules.iter().fold(all, |all, (layer, regularizer)| all.activity_regularizer(layer, *regularizer))
}

fn stack<T: Element>() -> Outcome<(Stacked<T>, WeightRules)> {
    let seeds = &mut SeedSource::keras(7);
    let net = Stacked::builder()
        .layer(Lstm::builder(3, 5).return_sequences(true).seeds(seeds).build()?)
        .layer(Gru::builder(5, 4).seeds(seeds).build()?)
        .layer(Dense::builder(4, 2).seeds(seeds).build()?)
        .build()?;
    Ok((net, rules(&[("0", L2(0.125)), ("1", both(0.0625, 0.25)), ("2", L1(0.01))])))
}

fn chain<T: Element>() -> Outcome<(Model<T>, WeightRules)> {
    let seeds = &mut SeedSource::keras(7);
    let net = Sequential::builder("stack")
        .layer(Lstm::builder(3, 5).return_sequences(true).seeds(seeds).build()?)
        .layer(Gru::builder(5, 4).seeds(seeds).build()?)
        .layer(Dense::builder(4, 2).seeds(seeds).build()?)
        .build()?;
    Ok((net, rules(&[("lstm", L2(0.125)), ("gru", both(0.0625, 0.25)), ("dense", L1(0.01))])))
}

fn text<T: Element>() -> Outcome<(Model<T>, WeightRules)> {
    let seeds = &mut SeedSource::keras(7);
    let embedding = Embedding::builder(10, 4).mask_zero(true);
    let first = Lstm::builder(4, 4).return_sequences(true);
    let embedding = embedding.seeds(seeds).build()?;
    let first = Bidirectional::new(first.seeds(seeds))?.merge_mode(Merge::Mul);
    let backward = Lstm::builder(4, 3).go_backwards(true);
    let second = Bidirectional::with_backward(Gru::builder(4, 3).seeds(seeds), backward)?;
    let dense = Dense::builder(6, 2).seeds(seeds).build()?;
    let net = Sequential::builder("text")
        .layer(embedding)
        .named("first", first)
        .named("second", second)
        .layer(dense)
        .build()?;
    let rules = rules(&[
        ("embedding", L2(0.5)),
        ("first/forward", L1(0.03125)),
        ("first/backward", L1(0.03125)),
        ("second/forward", L2(0.25)),
        ("second/backward", L1(0.125)),
    ]);
    Ok((net, rules))
}

fn graph<T: Element>() -> Outcome<(Model<T>, WeightRules)> {
    // In the order in which the script makes them.
    let seeds = &mut SeedSource::keras(7);
    let mut inner = Model::builder("inner");
    let x = inner.input("x", [Some(6), Some(4)])?;
    let y = inner.call("inside", Dense::builder(4, 4).seeds(seeds).build()?, &[x])?;
    let y = inner.call("outside", Dense::builder(4, 3).seeds(seeds).build()?, &y)?;
    let y = inner.call("relu", Activation::Relu, &y)?;
    let inner = inner.build(&y)?;
    let shared = Gru::builder(3, 4).return_sequences(true).seeds(seeds).build()?;
    let frozen = Dense::builder(4, 4).seeds(seeds).build()?;
    let mut graph = Model::builder("graph");
    let x = graph.input("x", [Some(6), Some(3)])?;
    let y = graph.call("masking", Masking::new(T::zero())?, &[x])?;
    let conv = Conv1D::builder(3, 3, 2).padding(Padding::Causal).seeds(seeds).build()?;
    let y = graph.call("conv", conv, &y)?;
    let first = graph.call("shared", shared, &[x])?;
    let second = graph.call_again("shared", &y)?;
    let y = graph.call("add", ops::Add, &[first[0], second[0]])?;
    let y = graph.call("frozen", frozen, &y)?;
    let y = graph.call("each", TimeDistributed::new(Dense::builder(4, 4).seeds(seeds).build()?), &y)?;
    let y = graph.call("activity", ops::Identity::new(), &y)?;
    let y = graph.call("inner", inner, &y)?;
    let y = graph.call("lstm", Lstm::builder(3, 3).return_state(true).seeds(seeds).build()?, &y)?;
    let y = graph.call("all", ops::Concatenate::new(-1), &y)?;
    let y = graph.call("dense", Dense::builder(9, 2).seeds(seeds).build()?, &y)?;
    let mut model = graph.build(&y)?;
    model.set_trainable("frozen", false)?;
    let rules = rules(&[
        ("inner/inside", L2(0.25)),
        ("shared", L2(0.125)),
        ("frozen", L1(0.0625)),
        ("conv", both(0.03125, 0.0625)),
        ("activity", L1(0.03125)),
        ("activity", L2(0.125)),
        ("lstm", L2(0.25)),
    ]);
    Ok((model, rules))
}

fn orthogonal<T: Element>() -> Outcome<(Stacked<T>, WeightRules)> {
    let seeds = &mut SeedSource::keras(7);
    let net = Stacked::builder()
        .layer(Gru::builder(3, 4).seeds(seeds).build()?)
        .layer(Dense::builder(4, 5).seeds(seeds).build()?)
        .layer(Dense::builder(5, 2).seeds(seeds).build()?)
        .build()?;
    Ok((net, rules(&[("1", Regularizer::Orthogonal { factor: 0.03125, mode: OrthogonalMode::Columns })])))
}

fn train<T: Element, N: Network<T>>(
    case: &Value,
    (mut network, rules): (N, WeightRules),
    data: &Dataset<'_, T>,
    predict: impl Fn(&N) -> ArrayD<T>,
) -> Outcome {
    let rate = if text_of(&case["run"]) == "graph" { 1.0 / 128.0 } else { 0.125 };
    let sgd = Sgd::new(rate).momentum(0.5);
    let fit = Fit::new(Loss::MeanSquaredError, sgd).validation_split(0.3).epochs(8).weight_rules(rules);
    let ran: Ran<T> = run_all(&mut network, (fit, 2), data, predict)?;
    compare(case, &ran, if T::DTYPE == "float64" { 1e-8 } else { 1e-4 })
}

fn check<T: Element>(case: &Value) -> Outcome {
    let (name, head) = (text_of(&case["run"]), s![..3, .., ..]);
    let (x, padded, ids, y) = (features::<T>(), padded::<T>(), ids(), targets::<T>());
    let to_features = Dataset::new(&x, &y);
    let last = |net: &Stacked<T>| net.forward(&x.slice(head)).unwrap().into_last().into_dyn();
    let of_features = |model: &Model<T>| model.predict_one(x.slice(head)).unwrap();
    let of_padded = |model: &Model<T>| model.predict_one(padded.slice(head)).unwrap();
    let of_ids = |model: &Model<T>| model.predict_one(ids.slice(s![..3, ..])).unwrap();
    let from_file = || -> Outcome<(Model<T>, WeightRules)> {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/training");
        let model = keras::load::<T>(format!("{folder}/activity_{name}.keras"))?;
        let rules = keras::weight_rules(&model)?;
        Ok((model, rules))
    };
    match name {
        "stack" => {
            train(case, stack()?, &to_features, last)?;
            train(case, chain()?, &to_features, of_features)
        }
        "orthogonal" => train(case, orthogonal()?, &to_features, last),
        "text" => {
            train(case, text()?, &Dataset::new(&ids, &y), of_ids)?;
            let in_f32 = T::DTYPE == "float32";
            if in_f32 { train(case, from_file()?, &Dataset::new(&ids, &y), of_ids) } else { Ok(()) }
        }
        "graph" => {
            train(case, graph()?, &Dataset::new(&padded, &y), of_padded)?;
            let in_f32 = T::DTYPE == "float32";
            if in_f32 { train(case, from_file()?, &Dataset::new(&padded, &y), of_padded) } else { Ok(()) }
        }
        other => panic!("the run {other}"),
    }
}

#[test]
fn runs_with_activity_regularizers() {
    every_case("training/activity", 7, |case| by_dtype!(check, case));
}
