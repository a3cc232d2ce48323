//! States: as files and as bytes.

use super::again;
use ndarray::prelude::*;
use recurrent::*;
use std::sync::Arc;

#[test]
fn as_files() {
    let gru = Gru::<f32>::builder(3, 4).return_state(true).build().expect("a layer");
    let state = gru.forward(&Array3::ones((2, 5, 3))).expect("run").into_state().expect("a state");
    assert_eq!(again(&state), state);
    let lstm = Bidirectional::new(Lstm::<f64>::builder(3, 4)).expect("a layer");
    assert_eq!(again(&lstm.initial_state(0)), lstm.initial_state(0));
    let dense = Dense::<f64>::new(3, 4);
    assert_eq!(again(&dense.initial_state(3)), dense.initial_state(3));
    let odd = State::<f32>::zeros(Arc::new(StateLayout::new([("", 2), ("", 1), ("h/\"\u{1f600}", 0)])), 2);
    assert_eq!(again(&odd), odd);
}

/// The states of a whole model: of a stream, which goes on in another process.
#[test]
fn of_models() {
    let mut graph = Model::<f32>::builder("m");
    let x = graph.input("x", [None, Some(3)]).expect("an input");
    let a = graph.call("a", Lstm::builder(3, 4).return_sequences(true).build().expect("a layer"), &[x]);
    let b = graph.call("b", Gru::new(4, 2), &a.expect("a call")).expect("a call");
    let model = graph.build(&b).expect("a model");
    let mut stream = model.stream(2).expect("a stream");
    let x = |t: usize| Array2::from_shape_fn((2, 3), |(i, j)| (t + 2 * i + 3 * j) as f32 / 7.0);
    for t in 0..3 {
        stream.step(&[(&x(t)).into()]).expect("a step");
    }
    let state = again(&stream.state());
    assert_eq!(state, stream.state());
    let mut other = model.stream(2).expect("a stream");
    other.set_state(&state).expect("its state");
    assert_eq!(other.step(&[(&x(3)).into()]), stream.step(&[(&x(3)).into()]));
}
