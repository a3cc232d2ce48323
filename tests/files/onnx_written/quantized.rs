//! Layers in fewer bits: ONNX Runtime rounds what `Int8Fast` multiplies by one scale for the batch, and nothing that `Int8`
//! does.

use recurrent::model::AnyLayer;
use recurrent::*;

use super::case::{Case, Given, Quantized, floats, ids, weighed};
use super::recurrent::random_model;

/// Of so many random layers those that can be quantized.
const RANDOM: u64 = 40;

pub fn all() -> Vec<Case> {
    let mut all = Vec::new();
    for precision in [Precision::Int8, Precision::Int8Fast] {
        for (name, model, inputs) in [("words", words(), vec![ids(&[3, 7], 10)]), ("stack", stack(), vec![x(6, 3)])] {
            all.extend(quantized(name, &model, precision, &inputs));
        }
        all.extend(quantized("policy", &policy(), precision, &[x(3, 5), floats(&[2, 4]), floats(&[2, 4])]));
        for number in 0..RANDOM {
            let (model, input) = random_model(number);
            all.extend(quantized(&format!("random_{number}"), &model, precision, &[input]));
        }
    }
    all
}

fn x(time: usize, features: usize) -> Given {
    floats(&[2, time, features])
}

/// Nothing, if a layer of it has no form in fewer bits.
fn quantized(name: &str, model: &Model<f32>, precision: Precision, inputs: &[Given]) -> Option<Case> {
    let small = match model.quantize(precision) {
        Ok(small) => small,
        Err(Error::CannotQuantize { .. }) => return None,
        Err(error) => panic!("{name}: {error}"),
    };
    let mut meant = model.clone();
    let names: Vec<String> = model.weights().into_iter().map(|(name, _)| name).collect();
    let values: Vec<_> = names.iter().map(|name| small.dequantized(name).expect("a weight")).collect();
    let views: Vec<_> = names.iter().zip(&values).map(|(name, value)| (&**name, value.view())).collect();
    meant.set_weights(&views).expect("all of them");
    let name = format!("{precision}_{name}");
    let mut case = Case::new(&name, &small, inputs);
    let outputs = |model: &Model<f32>| Case::of(&name, model, inputs).expect("a model that runs").outputs;
    // What is read again is Int8.
    let read = outputs(&model.quantize(Precision::Int8).expect("it can be quantized"));
    case.quantized = Some(Quantized { read, meant: outputs(&meant), rounds: precision == Precision::Int8Fast });
    Some(case)
}

fn chain(layers: Vec<AnyLayer<f32>>) -> Model<f32> {
    let builder = layers.into_iter().fold(Sequential::builder("chain"), |model, layer| model.layer(layer));
    weighed(builder.build().expect("a model"))
}

/// Ids, masked where they are 0; both directions, a dense layer for each step and at the end.
fn words() -> Model<f32> {
    let lstm = Lstm::<f32>::builder(5, 4).return_sequences(true);
    chain(vec![
        Embedding::builder(11, 5).mask_zero(true).build().expect("a layer").into(),
        Bidirectional::new(lstm).expect("a layer").into(),
        TimeDistributed::new(Dense::<f32>::builder(8, 3).activation(Activation::Tanh).build().expect("a layer")).into(),
        Gru::<f32>::new(3, 6).into(),
        Dense::<f32>::new(6, 2).into(),
    ])
}

/// Each cell, one on the other, without biases here and there.
fn stack() -> Model<f32> {
    let stack = Stacked::builder()
        .layer(Lstm::<f32>::builder(3, 5).return_sequences(true).build().expect("a layer"))
        .layer(Gru::<f32>::builder(5, 4).return_sequences(true).reset_after(false).build().expect("a layer"))
        .layer(SimpleRnn::<f32>::builder(4, 6).return_sequences(true).use_bias(false).build().expect("a layer"))
        .layer(Lstm::<f32>::builder(6, 2).use_bias(false).go_backwards(true).build().expect("a layer"))
        .build()
        .expect("a layer");
    let head = Dense::<f32>::builder(2, 3).use_bias(false).build().expect("a layer");
    chain(vec![stack.into(), head.into()])
}

/// States in and out.
fn policy() -> Model<f32> {
    let mut graph = Model::<f32>::builder("policy");
    let obs = graph.input("obs", [None, Some(5)]).expect("an input");
    let [h, c] = ["h_in", "c_in"].map(|name| graph.input(name, [Some(4)]).expect("an input"));
    let lstm = Lstm::<f32>::builder(5, 4).return_sequences(true).return_state(true).build().expect("a layer");
    let made = graph.call_with("lstm", lstm, &[obs], |call| call.initial_state(&[h, c])).expect("a call");
    let action = graph.call("action", Dense::<f32>::new(4, 2), &[made[0]]).expect("a call")[0];
    let model = graph.build_named(&[("action", action), ("h_out", made[1]), ("c_out", made[2])]);
    weighed(model.expect("a model"))
}
