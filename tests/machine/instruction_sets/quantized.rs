//! Layers in fewer bits. Those of bytes give the same bits on all machines.

use ndarray::prelude::*;
use recurrent::{Activation, Conv1D, Dense, Embedding, Layer, Padding, Precision, Run, Sequential, Stream};

use recurrent::limits::instruction_sets;

use super::numbers::{Numbers, odd_number};
use super::{
    BASELINE_IS_FUSED, Case, KINDS, Numbered, built, compare, forced_test, named, parse, say, state, successful,
    weighted,
};

#[test]
fn fewer_bits_agree_on_all_sets() {
    let numbers = |set: &str| parse(&successful(forced_test(set, "instruction_sets::quantized::numbers_of_one_set")));
    let all: Vec<(&str, Vec<Numbered>)> = instruction_sets().into_iter().map(|set| (set, numbers(set))).collect();
    let (first, expected) = &all[0];
    assert!(expected.len() > 100, "only {} cases", expected.len());
    for (set, found) in &all[1..] {
        assert_eq!(found.len(), expected.len(), "cases of {set} and {first}");
        for (found, expected) in found.iter().zip(expected) {
            // What is allowed of bytes is nothing.
            let same_bits = *set != "baseline" || BASELINE_IS_FUSED;
            compare(found, expected, same_bits).unwrap_or_else(|what| panic!("{set}, {first}: {what}"));
        }
    }
    say(&format!("{} cases in fewer bits agree on {}", expected.len(), instruction_sets().join(" ")));
}

/// All kinds, sizes and ways; the usual activations and others.
#[test]
fn numbers_of_one_set() {
    for precision in Precision::ALL {
        for kind in KINDS {
            for (i, (inputs, units)) in [(1, 5), (17, 16), (40, 33)].into_iter().enumerate() {
                let usual = [Activation::Tanh, Activation::Sigmoid];
                let others = [["relu", "hard_sigmoid"], ["softsign", "softmax"], ["gelu", "tanh"]][i % 3].map(named);
                for [activation, recurrent_activation] in [usual, others] {
                    let layer = built::<f32>(kind, inputs, units, &activation, &recurrent_activation);
                    let name = format!("{kind:?} of {precision}, {inputs} inputs, {units} units, {activation}");
                    one(&name, precision, &*layer, inputs + units);
                }
            }
        }
        let dense = Dense::<f32>::builder(40, 33).activation(Activation::Softmax).build().expect("sound sizes");
        one(&format!("Dense of {precision}"), precision, &*weighted(Box::new(dense)), 40);
        for (groups, dilation) in [(1, 1), (2, 1), (1, 3)] {
            convolution(precision, groups, dilation);
        }
    }
}

/// Ids to vectors to windows.
fn convolution(precision: Precision, groups: usize, dilation: usize) {
    let name = format!("Embedding and Conv1D of {precision}, {groups} groups, dilation {dilation}");
    let mut numbers = Numbers::new(1, &name);
    let mut table = Embedding::<f32>::new(9, 14);
    table.set_weights(&[("embeddings", numbers.array(1.0, (9, 14)).into_dyn().view())]).expect("a table");
    let conv = Conv1D::<f32>::builder(14, 34, 3).groups(groups).dilation_rate(dilation).padding(Padding::Causal);
    let mut conv = conv.activation(Activation::Gelu { approximate: true }).build().expect("sound sizes");
    let kernel = numbers.array(0.5, (3, 14 / groups, 34)).into_dyn();
    conv.set_weights(&[("kernel", kernel.view()), ("bias", numbers.array(0.5, 34).into_dyn().view())])
        .expect("weights");
    let model = Sequential::<f32>::builder("m").layer(table).layer(conv).build().expect("a model");
    let model = model.quantize(precision).expect("a model");
    let ids = Array2::from_shape_fn((4, 9), |(row, time)| ((row * 5 + time * 7) % 9) as i64);
    let output = model.predict_one(&ids).expect("ids that fit");
    let case = Case::new(42, 1);
    let case = if precision == Precision::Bf16 { case } else { case.same_everywhere() };
    case.array(&output).print(&name);
}

fn one(name: &str, precision: Precision, layer: &dyn Layer<f32>, products: usize) {
    let layer = layer.quantize(precision).expect("it has this form");
    let case = |steps| match precision {
        Precision::Bf16 => Case::new(products, steps),
        _ => Case::new(products, steps).same_everywhere(),
    };
    let mut numbers = Numbers::new(1, name);
    let x = numbers.array(2.0, (1, 10, layer.input_size()));
    let output = layer.forward(&x).expect("an input that fits");
    case(10).output(&output).print(&format!("{name}: one row"));
    let mut stream = Stream::new(&*layer, 1).expect("it can stream");
    let mut steps = case(8);
    for step in x.axis_iter(Axis(1)).take(8) {
        steps = steps.array(stream.step(&step).expect("an input that fits"));
    }
    steps.state(stream.state()).print(&format!("{name}: stream of one row"));
    let x = numbers.array(2.0, (9, 7, layer.input_size()));
    let state = state(&*layer, 9);
    let output = layer.run(&x, Run::new().lengths(&[7, 0, 3, 7, 1, 6, 7, 2, 5]).initial_state(&state));
    case(7).output(&output.expect("inputs that fit")).print(&format!("{name}: lengths"));
    if precision == Precision::Bf16 {
        return; // near infinity one rounding and two may differ by all there is
    }
    let odd = Array3::from_shape_simple_fn((3, 8, layer.input_size()), || odd_number::<f32>(&mut numbers));
    case(8).output(&layer.forward(&odd).expect("any numbers")).print_odd(&format!("{name}: odd inputs"));
}
