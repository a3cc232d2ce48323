//! Weights by name: all are checked before any is changed.

use ndarray::prelude::*;
use recurrent::{
    Cell, Dense, Error, Gru, Layer, Lstm, Recurrent, Stacked, StackedCells, StateLayout, WeightVisitor,
    WeightVisitorMut, cell::Step,
};

use super::refusal;

fn unknown(name: &str, known: &[&str]) -> Error {
    Error::UnknownName { what: "weight", name: name.into(), known: known.iter().map(|name| name.to_string()).collect() }
}

#[test]
fn names() {
    let gru = Gru::<f32>::new(3, 4);
    let known = ["kernel", "recurrent_kernel", "bias"];
    for name in ["", "Kernel", "kernel ", "recurrent", "0/kernel", "/kernel"] {
        let error = refusal(gru.weight(name).map(|_| ()));
        // In any order: all of them are named.
        match error {
            Error::UnknownName { what: "weight", name: given, known: mut names } => {
                assert_eq!(given, name);
                names.sort();
                assert_eq!(names, ["bias", "kernel", "recurrent_kernel"]);
            }
            other => panic!("{other:?}"),
        }
    }
    let mut gru = gru;
    let zeros = ArrayD::zeros(vec![3, 12]);
    assert_eq!(refusal(gru.set_weights(&[("kernels", zeros.view())])), unknown("kernels", &known));
    let without = Gru::<f32>::builder(3, 4).use_bias(false).build().unwrap();
    assert_eq!(refusal(without.weight("bias").map(|_| ())), unknown("bias", &known[..2]));

    let stack = Stacked::builder().layer(gru).layer(Dense::new(4, 2)).build().unwrap();
    let error = refusal(stack.weight("kernel").map(|_| ()));
    assert!(matches!(error, Error::UnknownName { known, .. } if known.contains(&"1/bias".to_string())));
    assert_eq!(stack.weight("0/recurrent_kernel").unwrap().shape(), [4, 12]);
}

/// Checks that a refused call leaves all weights, and what the layer computes from their packed form.
fn unchanged<L: Layer<f32>>(layer: &mut L, new: &[(&str, ArrayViewD<'_, f32>)], expected: Error) {
    let x = Array3::from_shape_fn((2, 5, layer.input_size()), |(i, j, k)| (1 + i + j + k) as f32 / 8.0);
    let weights: Vec<_> = layer.weights().into_iter().map(|(name, array)| (name, array.to_owned())).collect();
    let output = layer.forward(&x).unwrap();
    assert_eq!(refusal(layer.set_weights(new)), expected);
    for ((name, before), (_, after)) in weights.iter().zip(layer.weights()) {
        assert_eq!(before, after, "{name}");
    }
    assert_eq!(layer.forward(&x).unwrap(), output);
}

#[test]
fn one_wrong_weight_changes_none() {
    let ones = |shape: &[usize]| ArrayD::from_elem(shape.to_vec(), 0.5_f32);
    let (kernel, recurrent, bias) = (ones(&[3, 16]), ones(&[4, 16]), ones(&[16]));
    let shape = |name: &str, expected: &[usize], given: &[usize]| Error::WeightShape {
        name: name.into(),
        expected: expected.to_vec(),
        given: given.to_vec(),
    };
    let mut lstm = Lstm::<f32>::new(3, 4);
    for wrong in [&[4, 12][..], &[16, 4], &[4, 16, 1], &[64], &[], &[0, 16]] {
        let new = ones(wrong);
        let given = [("kernel", kernel.view()), ("bias", bias.view()), ("recurrent_kernel", new.view())];
        unchanged(&mut lstm, &given, shape("recurrent_kernel", &[4, 16], wrong));
    }
    let given = [("kernel", kernel.view()), ("recurrent_kernel", recurrent.view()), ("biases", bias.view())];
    unchanged(&mut lstm, &given, unknown("biases", &["kernel", "recurrent_kernel", "bias"]));
    let given = [("kernel", kernel.view()), ("bias", bias.view()), ("kernel", kernel.view())];
    unchanged(&mut lstm, &given, Error::DuplicateName { what: "weight", name: "kernel".into() });

    let mut stack = Stacked::builder().layer(lstm).layer(Dense::new(4, 2)).build().unwrap();
    let given = [("0/kernel", kernel.view()), ("1/kernel", kernel.view())];
    unchanged(&mut stack, &given, shape("1/kernel", &[4, 2], &[3, 16]));
    // And the right ones are taken, in any order.
    stack.set_weights(&[("0/bias", bias.view()), ("0/kernel", kernel.view())]).unwrap();
    assert_eq!(stack.weight("0/kernel").unwrap(), kernel);
}

/// A cell that can't be cloned.
#[derive(Debug)]
struct Unclonable {
    rate: Array1<f32>,
}

impl Cell for Unclonable {
    type Elem = f32;
    fn input_size(&self) -> usize {
        self.rate.len()
    }
    fn state_layout(&self) -> StateLayout {
        StateLayout::new([("h", self.rate.len())])
    }
    fn step(&self, step: Step<'_, f32>) {
        for (j, next) in step.next.iter_mut().enumerate() {
            *next = step.prev[j] + self.rate[j] * (step.x[j] - step.prev[j]);
        }
    }
    fn visit_weights<'a>(&'a self, visitor: &mut WeightVisitor<'_, 'a, f32>) {
        visitor.weight("rate", &self.rate);
    }
    fn visit_weights_mut(&mut self, visitor: &mut WeightVisitorMut<'_, f32>) {
        visitor.weight("rate", &mut self.rate);
    }
    fn class_name(&self) -> &'static str {
        "Unclonable"
    }
}

#[test]
fn a_shared_cell_that_cannot_be_cloned() {
    let mut layer = Recurrent::from_cell(Unclonable { rate: array![0.5, 0.25] });
    let clone = layer.clone();
    let new = array![1.0, 1.0].into_dyn();
    unchanged(&mut layer, &[("rate", new.view())], Error::SharedCell { cell: "Unclonable" });
    drop(clone);
    layer.set_weights(&[("rate", new.view())]).unwrap();
    assert_eq!(layer.weight("rate").unwrap(), new);

    // In a stack the other layers stay as they were too.
    let kept = layer.clone();
    let dense = Dense::<f32>::new(2, 2);
    let mut stack = Stacked::builder().layer(dense).layer(layer).build().unwrap();
    let kernel = array![[3.0, 4.0], [5.0, 6.0]].into_dyn();
    let zeros = array![0.0, 0.0].into_dyn();
    let given = [("0/kernel", kernel.view()), ("1/rate", zeros.view())];
    unchanged(&mut stack, &given, Error::SharedCell { cell: "Unclonable" });
    drop(kept);
    stack.set_weights(&given).unwrap();

    // A stack of cells can be cloned if each of them can.
    let cells = StackedCells::builder().cell(Lstm::builder(3, 2).build_cell().unwrap());
    let cells = cells.cell(Unclonable { rate: array![0.5, 0.25] }).build().unwrap();
    let mut layer = Recurrent::from_cell(cells);
    let _clone = layer.clone();
    assert!(matches!(refusal(layer.set_weights(&[("1/rate", zeros.view())])), Error::SharedCell { .. }));
}
