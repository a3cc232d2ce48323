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
