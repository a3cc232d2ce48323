//! A window gives at each sample what `forward` gives for the last few.

use ndarray::{Axis, s};
use proptest::test_runner::TestCaseResult;
use recurrent::{Dense, Float, Gru, Layer, Lstm, Masking, Sequential, Window};

use super::case::{Case, check, quantized, streaming_layers};
use super::compare::{same, same_state};
use super::numbers::Numbers;
use super::paths::{expect, left, right};

#[test]
fn a_window_is_forward_over_the_last_samples() {
    check(streaming_layers(), law::<f32>, law::<f64>);
    check(quantized(), law::<f32>, law::<f32>);
    expect("windows project each sample once, for all rows", |window, forward| {
        window.projected > 0 && window.blocks > 0 && forward.single_rows > 0
    });
    fn law<T: Float>(case: &Case) -> TestCaseResult {
        let case = Case { batch: 1, timesteps: case.timesteps.min(40), ..case.clone() };
        let (layer, x) = (case.layer::<T>(), case.x::<T>());
        let mut numbers = case.numbers("window");
        let most = [1, 4, case.timesteps + 1][numbers.below(3)];
        let length = 1 + numbers.below(most);
        let mut window = Window::new(&*layer, length)?;
        let mut since = 0; // where the window began
        for (t, sample) in x.axis_iter(Axis(1)).enumerate() {
            if numbers.chance(2) {
                window.reset();
                since = t;
                assert!(window.output().is_none());
            }
            let output = left(|| window.push(&sample.row(0).to_vec()).map(|output| output.map(<[T]>::to_vec)))?;
            assert_eq!(window.filled(), length.min(t + 1 - since));
            if window.filled() < length {
                assert!(output.is_none() && window.state().is_none());
                continue;
            }
            let whole = right(|| layer.forward(&x.slice(s![.., t + 1 - length..=t, ..])))?;
            let output = output.expect("samples enough");
            same("output", &ndarray::aview1(&output), &whole.last().row(0))?;
            same_state("state", &window.state().expect("samples enough"), whole.state()?)?;
        }
        Ok(())
    }
}

/// A chain that hides steps of this number alone.
pub fn hiding<T: Float>(hidden: f64) -> Box<dyn Layer<T>> {
    let model = Sequential::<T>::builder("hiding")
        .layer(Masking::new(T::from_f64(hidden)).unwrap())
        .layer(Lstm::builder(3, 5).return_sequences(true).build().unwrap())
        .layer(Gru::builder(5, 4).zero_output_for_mask(true).return_sequences(true).build().unwrap())
        .layer(Dense::new(4, 2));
    model.build().unwrap().into_layer().unwrap()
}

/// A sample for it.
pub fn sometimes_hidden<T: Float>(hidden: f64, numbers: &mut Numbers) -> Vec<T> {
    if numbers.chance(40) { vec![T::from_f64(hidden); 3] } else { numbers.array(2.0, 3).to_vec() }
}

#[test]
fn hidden_steps_in_a_window_are_those_of_forward() {
    fn check<T: Float>(hidden: f64) {
        let layer = hiding::<T>(hidden);
        let mut numbers = Numbers::new(4, "hidden");
        let mut window = Window::new(&*layer, 5).unwrap();
        let mut samples: Vec<T> = Vec::new();
        for t in 1..=30 {
            let x = sometimes_hidden::<T>(hidden, &mut numbers);
            samples.extend(&x);
            let output = window.push(&x).unwrap().map(<[T]>::to_vec);
            assert_eq!(output.is_some(), t >= 5);
            if let Some(output) = output {
                let last = ndarray::ArrayView3::from_shape((1, 5, 3), &samples[(t - 5) * 3..]).unwrap();
                assert_eq!(output, layer.forward(&last).unwrap().last().row(0).to_vec());
            }
        }
    }
    for hidden in [0.0, -1.0] {
        check::<f32>(hidden);
        check::<f64>(hidden);
    }
}
