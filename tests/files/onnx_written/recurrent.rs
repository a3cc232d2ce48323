//! Recurrent layers in random combinations of all that they can say.

use ndarray::prelude::*;
use recurrent::model::AnyLayer;
use recurrent::*;

use super::case::{Case, Given, floats, weighed};

/// How many.
const COUNT: u64 = 120;

/// Choices that are the same in each run.
struct Choices(u64);

impl Choices {
    fn of(&mut self, count: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % count
    }

    fn yes(&mut self) -> bool {
        self.of(2) == 0
    }

    fn activation(&mut self, usual: Activation) -> Activation {
        match self.of(24) {
            0 => Activation::Relu,
            1 => Activation::Softsign,
            2 => Activation::Softplus,
            3 => Activation::LeakyRelu { negative_slope: 0.25 },
            4 => Activation::Elu { alpha: 0.5 },
            5 => Activation::HardSigmoid,
            6 => Activation::HARD_SIGMOID_KERAS_2,
            7 => Activation::Affine { slope: 0.5, offset: 0.25 },
            8 => Activation::ScaledTanh { scale: 1.5, slope: 0.5 },
            9 => Activation::Linear,
            10 => Activation::Threshold { threshold: 0.25, default_value: 0.0 },
            11 => Activation::Sigmoid,
            12 => Activation::Tanh,
            _ => usual,
        }
    }
}

/// What all cells have.
macro_rules! common {
    ($builder:expr, $choices:expr, $run:expr) => {{
        let builder = $builder.seed(0).activation($choices.activation(Activation::Tanh)).use_bias($choices.of(4) > 0);
        builder.return_sequences($run[0]).return_state($run[1]).zero_output_for_mask($run[2])
    }};
}

pub fn all() -> Vec<Case> {
    let mut all: Vec<Case> = (0..COUNT).map(random).collect();
    all.push(with_states());
    all
}

/// One of them.
fn random(number: u64) -> Case {
    let (model, x) = random_model(number);
    Case::new(&format!("random_{number}"), &model, &[x])
}

/// A random layer in a model, and what goes into it.
pub fn random_model(number: u64) -> (Model<f32>, Given) {
    let choices = &mut Choices(number);
    let (features, units) = (2 + choices.of(3) as usize, 2 + choices.of(3) as usize);
    let (masked, graph) = (choices.yes(), choices.of(3) == 0);
    let run = [choices.yes(), graph, choices.yes()];
    let (layer, outputs) = layer(choices, features, units, run);
    let (batch, time) = (3, 4 + choices.of(3) as usize);
    let mut x = floats(&[batch, time, features]);
    if let (true, Given::Floats(x)) = (masked, &mut x) {
        // Anywhere, and a row without any.
        for row in 0..batch {
            for step in 0..time {
                if choices.of(5) < 2 || row == 1 && number.is_multiple_of(4) {
                    x.slice_mut(s![row, step, ..]).fill(0.25);
                }
            }
        }
    }
    let model = if graph { in_a_graph(layer, outputs, features, masked) } else { in_a_chain(layer, masked) };
    (weighed(model), x)
}

/// A layer, and how many outputs it has before its states.
fn layer(choices: &mut Choices, features: usize, units: usize, run: [bool; 3]) -> (AnyLayer<f32>, usize) {
    let both = choices.of(3) == 0;
    let merge = [Merge::Concat, Merge::Sum, Merge::Mul, Merge::Ave, Merge::None][choices.of(5) as usize];
    let backwards = choices.yes();
    let gates = choices.activation(Activation::Sigmoid);
    macro_rules! built {
        ($builder:expr) => {
            if both {
                Bidirectional::new($builder).expect("a layer").merge_mode(merge).into()
            } else {
                $builder.go_backwards(backwards).build().expect("a layer").into()
            }
        };
    }
    let layer = match choices.of(3) {
        0 => built!(common!(SimpleRnn::<f32>::builder(features, units), choices, run)),
        1 => {
            let builder = common!(Gru::<f32>::builder(features, units), choices, run);
            built!(builder.recurrent_activation(gates).reset_after(choices.yes()))
        }
        _ => {
            let builder = common!(Lstm::<f32>::builder(features, units), choices, run).recurrent_activation(gates);
            let builder = builder.peephole(choices.of(3) == 0).input_forget(choices.of(4) == 0);
            let builder = if choices.of(4) == 0 { builder.clip(0.75) } else { builder };
            let output = choices.activation(Activation::Tanh);
            built!(if choices.of(3) == 0 { builder.output_activation(output) } else { builder })
        }
    };
    (layer, if both && merge == Merge::None { 2 } else { 1 })
}

fn in_a_chain(layer: AnyLayer<f32>, masked: bool) -> Model<f32> {
    let builder = Sequential::<f32>::builder("chain");
    let builder = if masked { builder.layer(Masking::new(0.25).expect("a value")) } else { builder };
    builder.layer(layer).build().expect("a model")
}

/// A layer that returns its state, and goes on from it in a second call.
fn in_a_graph(layer: AnyLayer<f32>, outputs: usize, features: usize, masked: bool) -> Model<f32> {
    let mut graph = Model::<f32>::builder("graph");
    let input = graph.input("x", [None, Some(features)]).expect("an input");
    let real = graph.call("real", ops::NotEqual::new(0.25), &[input]).expect("a call");
    let live = graph.call("live", ops::Any::new(-1), &real).expect("a call")[0];
    let first = graph.call_with("layer", layer, &[input], |call| if masked { call.mask(&[live]) } else { call });
    let first = first.expect("a call");
    let state = first[outputs..].to_vec();
    let second = graph.call_again_with("layer", &[input], |call| {
        let call = call.initial_state(&state);
        if masked { call.mask(&[live]) } else { call }
    });
    let second = second.expect("a call");
    let named: Vec<(String, recurrent::model::ModelNode)> =
        second.iter().chain(&first).enumerate().map(|(at, node)| (format!("y{at}"), *node)).collect();
    let mut named: Vec<(&str, recurrent::model::ModelNode)> =
        named.iter().map(|(name, node)| (&**name, *node)).collect();
    if !masked {
        named.push(("live", live));
    }
    graph.build_named(&named).expect("a model")
}

/// A policy: states in and out, one step or many.
fn with_states() -> Case {
    let mut graph = Model::<f32>::builder("policy");
    let obs = graph.input("obs", [None, Some(5)]).expect("an input");
    let h = graph.input("h_in", [Some(4)]).expect("an input");
    let c = graph.input("c_in", [Some(4)]).expect("an input");
    let lstm = Lstm::<f32>::builder(5, 4).return_sequences(true).return_state(true).build().expect("a layer");
    let made = graph.call_with("lstm", lstm, &[obs], |call| call.initial_state(&[h, c])).expect("a call");
    let action = Dense::<f32>::builder(4, 2).activation(Activation::Tanh).build().expect("a layer");
    let action = graph.call("action", action, &[made[0]]).expect("a call")[0];
    let model = graph.build_named(&[("action", action), ("h_out", made[1]), ("c_out", made[2])]).expect("a model");
    Case::new("policy", &weighed(model), &[floats(&[2, 3, 5]), floats(&[2, 4]), floats(&[2, 4])])
}
