//! States as bytes: the same bits, and refused where they aren't sound.

use ndarray::prelude::*;
use recurrent::*;
use std::sync::Arc;

fn states() -> Vec<State<f32>> {
    let lstm = Lstm::<f32>::builder(3, 4).return_state(true).build().expect("a layer");
    let odd = StateLayout::new([("", 2), ("h", 130), ("\u{1f600}/h", 0), ("h", 1)]);
    let mut values = State::zeros(Arc::new(odd), 300);
    values.set("", &Array2::from_elem((300, 2), f32::from_bits(0xffa0_0001))).expect("set");
    vec![
        lstm.forward(&Array3::ones((2, 5, 3))).expect("run").into_state().expect("a state"),
        lstm.initial_state(0),
        Dense::<f32>::new(3, 4).initial_state(5),
        values,
    ]
}

fn bits(state: &State<f32>) -> Vec<u32> {
    state.values().iter().map(|value| value.to_bits()).collect()
}

#[test]
fn there_and_back() {
    for state in states() {
        let bytes = state.to_bytes();
        let again = State::<f32>::from_bytes(&bytes).expect("sound");
        assert_eq!((again.layout(), again.batch(), bits(&again)), (state.layout(), state.batch(), bits(&state)));
        assert_eq!(again.to_bytes(), bytes);
    }
    let gru = Gru::<f64>::new(2, 3);
    let mut stream = Stream::new(&gru, 2).expect("a stream");
    stream.step(&array![[0.1, 0.2], [0.3, 0.4]]).expect("a step");
    let bytes = stream.state().to_bytes();
    assert!(bytes.len() < 2 * 3 * 8 + 20, "{} bytes", bytes.len());
    let mut later = Stream::new(&gru, 2).expect("a stream");
    later.set_state(&State::from_bytes(&bytes).expect("sound")).expect("set");
    let x = array![[0.5, 0.6], [0.7, 0.8]];
    assert_eq!(later.step(&x).expect("a step").to_owned(), stream.step(&x).expect("a step").to_owned());
}

#[test]
fn what_is_not_sound_is_refused() {
    let bytes = Gru::<f32>::new(2, 3).initial_state(1).to_bytes();
    let refusal = |bytes: &[u8]| State::<f32>::from_bytes(bytes).expect_err("not sound").to_string();
    let with = |at: usize, byte: u8| {
        let mut other = bytes.clone();
        other[at] = byte;
        refusal(&other)
    };
    assert_eq!(refusal(b""), "the bytes aren't a state: they aren't a state's");
    assert!(with(0, b'x').contains("they aren't a state's"));
    assert!(with(4, 2).contains("their format is version 2, and this crate reads 1"));
    assert!(with(5, 8).contains("they hold numbers of f64: read them as State<f64>"));
    assert!(with(5, 2).contains("neither f32 nor f64"));
    assert!(with(6, 2).contains("the numbers take 24 bytes, and there are 12"));
    assert!(with(9, 0xff).contains("isn't text"));
    let double = State::<f64>::from_bytes(&bytes).expect_err("f32").to_string();
    assert!(double.contains("they hold numbers of f32: read them as State<f32>"), "{double}");
    for end in 0..bytes.len() {
        refusal(&bytes[..end]);
    }
    refusal(&[&bytes[..], &[0]].concat());
    // Counts that are too long, or longer than they need to be; sums and products that can't be counted.
    let head = &bytes[..6];
    for tail in [
        &[0x80, 0][..],
        &[0xff; 20],
        &[0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
        &[0, 2, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 0, 1],
        &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 1, 0, 8],
    ] {
        refusal(&[head, tail].concat());
    }
}

#[test]
fn another_layout_is_refused_by_name() {
    let gru = Gru::<f32>::new(2, 3);
    let state = State::from_bytes(&Lstm::<f32>::new(2, 3).initial_state(1).to_bytes()).expect("sound");
    let refused = Stream::new(&gru, 1).expect("a stream").set_state(&state).expect_err("another").to_string();
    assert!(refused.contains("h (3)") && refused.contains("c (3)"), "{refused}");
}

/// Any change of a byte is refused or gives a state; nothing panics.
#[test]
fn bytes_that_changed() {
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    for state in states() {
        let bytes = state.to_bytes();
        for _ in 0..3000 {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let mut changed = bytes.clone();
            let at = random as usize % changed.len().min(40);
            changed[at] = (random >> 32) as u8;
            if let Ok(state) = State::<f32>::from_bytes(&changed) {
                assert_eq!(state.to_bytes(), changed);
            }
        }
    }
}
