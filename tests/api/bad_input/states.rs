//! States.

use ndarray::prelude::*;
use recurrent::{Error, Gru, Layer, Lstm, Stacked, State, StateLayout};

use super::refusal;

#[test]
fn names_and_shapes() {
    let mut state = Lstm::<f32>::new(3, 4).initial_state(2);
    let unknown = |name: &str, known: &[&str]| Error::UnknownName {
        what: "state part",
        name: name.into(),
        known: known.iter().map(|name| name.to_string()).collect(),
    };
    assert_eq!(refusal(state.get("x").map(|_| ())), unknown("x", &["h", "c"]));
    assert_eq!(refusal(state.set("H", &Array2::ones((2, 4)))), unknown("H", &["h", "c"]));
    let shape = |part: &str, given| Error::StateShape { part: part.into(), expected: (2, 4), given };
    assert_eq!(refusal(state.set("c", &Array2::ones((2, 5)))), shape("c", (2, 5)));
    assert_eq!(refusal(state.set("h", &Array2::ones((4, 2)))), shape("h", (4, 2)));
    assert_eq!(state.values(), Array2::<f32>::zeros((2, 8)));

    let stack = Stacked::builder().layer(Gru::<f32>::builder(3, 2).return_sequences(true).build().unwrap());
    let nested = stack.layer(Lstm::new(2, 1)).build().unwrap().initial_state(1);
    assert_eq!(refusal(nested.get("h").map(|_| ())), unknown("h", &["0/h", "1/h", "1/c"]));
}

#[test]
fn copies() {
    let mut state = Lstm::<f64>::new(3, 4).initial_state(2);
    state.set("h", &Array2::ones((2, 4))).unwrap();
    let before = state.clone();
    let other = Gru::<f64>::new(3, 4).initial_state(2);
    assert_eq!(
        refusal(state.copy_from(&other)),
        Error::StateLayout { expected: "h (4), c (4)".into(), given: "h (4)".into() }
    );
    let other = Lstm::<f64>::new(5, 4).initial_state(3); // the layout is what counts, not the layer
    assert_eq!(refusal(state.copy_from(&other)), Error::StateBatch { expected: 2, given: 3 });
    assert_eq!(state, before);
    state.copy_from(&Lstm::<f64>::new(5, 4).initial_state(2)).unwrap();
    assert_eq!(state.values(), Array2::<f64>::zeros((2, 8)));
}

#[test]
fn layouts_of_nothing() {
    let layout = StateLayout::new(Vec::<(String, usize)>::new());
    assert_eq!((layout.width(), layout.names().count(), layout.columns("h")), (0, 0, None));
    let state = State::<f32>::zeros(layout.into(), 3);
    assert_eq!((state.batch(), state.values().dim()), (3, (3, 0)));
    assert!(matches!(refusal(state.get("h").map(|_| ())), Error::UnknownName { known, .. } if known.is_empty()));
}
