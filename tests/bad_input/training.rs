//! The way back: tapes, gradients, optimizers that don't belong together.

use ndarray::prelude::*;
use recurrent::training::{Adam, Loss, Optimizer, Sgd, Tape};
use recurrent::{
    Activation, Cell, Error, Gradients, Gru, Layer, Lstm, OutputGradient, Recurrent, Run, StateLayout, Step,
    WeightVisitor, WeightVisitorMut,
};

use super::refusal;

fn lstm() -> Lstm {
    Lstm::builder(3, 4).return_sequences(true).build().unwrap()
}

#[test]
fn tapes() {
    let (layer, other, x) = (lstm(), lstm(), Array3::ones((2, 5, 3)));
    let (mut tape, mut gradients) = (Tape::new(), Gradients::new(&layer));
    let before = gradients.clone();
    let d = Array2::ones((2, 4));
    let up = || OutputGradient::new().last(&d);
    assert_eq!(refusal(layer.backward(&mut tape, up(), &mut gradients)), Error::TapeEmpty);
    layer.run(&x, Run::new().record(&mut tape)).unwrap();
    assert_eq!(refusal(other.backward(&mut tape, up(), &mut gradients)), Error::TapeLayer);
    assert_eq!(gradients, before);
    layer.backward(&mut tape, up(), &mut gradients).unwrap();
    let after = gradients.clone();
    assert_eq!(refusal(layer.backward(&mut tape, up(), &mut gradients)), Error::TapeSpent);
    assert_eq!(gradients, after);
}

#[test]
fn gradients_of_another_layer_or_shape() {
    let (layer, x) = (lstm(), Array3::ones((2, 5, 3)));
    let mut tape = Tape::new();
    let record = |tape: &mut Tape<f32>| drop(layer.run(&x, Run::new().record(tape)).unwrap());
    record(&mut tape);
    let nothing = OutputGradient::new();
    let mut wrong = Gradients::new(&Gru::<f32>::new(3, 4));
    assert_eq!(refusal(layer.backward(&mut tape, nothing, &mut wrong)), Error::GradientsLayer);
    let mut gradients = Gradients::new(&layer);
    let before = gradients.clone();
    let shape = |what, expected: &[usize], given: &[usize]| Error::OutputShape {
        what,
        expected: expected.to_vec(),
        given: given.to_vec(),
    };
    let d = Array3::ones((2, 4, 4));
    let error = refusal(layer.backward(&mut tape, OutputGradient::new().sequence(&d), &mut gradients));
    assert_eq!(error, shape("sequence", &[2, 5, 4], &[2, 4, 4]));
    let d = Array2::ones((2, 3));
    let error = refusal(layer.backward(&mut tape, OutputGradient::new().last(&d), &mut gradients));
    assert_eq!(error, shape("last", &[2, 4], &[2, 3]));
    let state = layer.initial_state(3);
    let error = refusal(layer.backward(&mut tape, OutputGradient::new().state(&state), &mut gradients));
    assert_eq!(error, Error::StateBatch { expected: 2, given: 3 });
    let state = Gru::new(3, 4).initial_state(2);
    let error = refusal(layer.backward(&mut tape, OutputGradient::new().state(&state), &mut gradients));
    assert_eq!(error, Error::StateLayout { expected: "h (4), c (4)".into(), given: "h (4)".into() });
    assert_eq!(gradients, before);
    // After all these refusals the tape is still good.
    layer.backward(&mut tape, nothing, &mut gradients).unwrap();

    let error = refusal(gradients.get("kernels").map(|_| ()));
    assert!(matches!(error, Error::UnknownName { what: "gradient", known, .. } if known.len() == 3));
    let error = refusal(Gradients::new(&layer).without_input().input().map(|_| ()));
    assert!(matches!(error, Error::NotRequested { what: "input's gradient", .. }));
}

#[test]
fn optimizers() {
    let mut layer = lstm();
    let weights =
        |layer: &Lstm| -> Vec<ArrayD<f32>> { layer.weights().into_iter().map(|(_, array)| array.to_owned()).collect() };
    let before = weights(&layer);
    let wrong = Gradients::new(&Gru::<f32>::new(3, 4));
    assert_eq!(refusal(Sgd::new(0.1).step(&mut layer, &wrong)), Error::GradientsLayer);
    assert_eq!(refusal(Adam::new(0.1).step(&mut layer, &wrong)), Error::GradientsLayer);
    // An optimizer that has already learned another layer's shapes.
    let mut adam = Adam::new(0.1);
    let mut gru = Gru::<f32>::new(3, 4);
    adam.step(&mut gru, &wrong).unwrap();
    let own = Gradients::new(&layer);
    assert_eq!(refusal(adam.step(&mut layer, &own)), Error::GradientsLayer);
    assert_eq!(weights(&layer), before);
}

#[test]
fn losses() {
    let (a, b) = (Array2::<f32>::ones((2, 3)), Array2::ones((3, 2)));
    let error = refusal(Loss::MeanSquaredError.with_gradient(&a, &b));
    assert_eq!(error, Error::OutputShape { what: "target", expected: vec![2, 3], given: vec![3, 2] });
    let mut gradient = Array2::from_elem((2, 2), 7.0);
    let error = refusal(Loss::MeanSquaredError.gradient_into(&a, &a, &mut gradient));
    assert_eq!(error, Error::OutputShape { what: "gradient", expected: vec![2, 3], given: vec![2, 2] });
    assert_eq!(gradient, Array2::from_elem((2, 2), 7.0));
    let none = Array2::<f64>::zeros((0, 3));
    assert_eq!(Loss::MeanSquaredError.with_gradient(&none, &none).unwrap().0, 0.0);
}

#[test]
fn cells_and_activations_without_a_way_back() {
    #[derive(Debug)]
    struct Forward;
    impl Cell for Forward {
        type Elem = f32;
        fn input_size(&self) -> usize {
            1
        }
        fn state_layout(&self) -> StateLayout {
            StateLayout::new([("h", 1)])
        }
        fn step(&self, step: Step<'_, f32>) {
            step.next[0] = step.x[0];
        }
        fn visit_weights<'a>(&'a self, _: &mut WeightVisitor<'_, 'a, f32>) {}
        fn visit_weights_mut(&mut self, _: &mut WeightVisitorMut<'_, f32>) {}
        fn class_name(&self) -> &'static str {
            "Forward"
        }
    }
    let layer = Recurrent::from_cell(Forward);
    let (mut tape, mut gradients) = (Tape::new(), Gradients::new(&layer));
    let result = layer
        .run(&Array3::ones((1, 2, 1)), Run::new().record(&mut tape))
        .and_then(|_| layer.backward(&mut tape, OutputGradient::new(), &mut gradients));
    assert_eq!(refusal(result), Error::NoBackward { cell: "Forward" });

    let square = Activation::custom("square", |x| x * x);
    let layer = Lstm::<f32>::builder(3, 4).activation(square).build().unwrap();
    let mut tape = Tape::new();
    let error = refusal(layer.run(&Array3::ones((2, 5, 3)), Run::new().record(&mut tape)));
    assert_eq!(error, Error::NoDerivative { activation: "square".into() });
}
