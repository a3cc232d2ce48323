//! The question that started the crate: what does `recurrent_initializer` do? The numbers that Keras prints for it, and
//! the mathematics of the example that answers it.

use ndarray::prelude::*;
use recurrent::{Activation, Initializer, Layer, Lstm, SimpleRnn};

#[path = "../../examples/recurrent_initializer/documented.rs"]
mod documented;
#[path = "../../examples/recurrent_initializer/spectral_radius.rs"]
mod spectral_radius;

use spectral_radius::{norm, spectral_radius};

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn compared() -> [Initializer; 2] {
    [Initializer::Zeros, Initializer::GlorotNormal { seed: Some(0) }]
}

fn simple_rnn(features: usize, recurrent_initializer: Initializer) -> recurrent::Result<SimpleRnn> {
    SimpleRnn::builder(features, 1)
        .kernel_initializer(Initializer::Ones)
        .recurrent_initializer(recurrent_initializer)
        .activation(Activation::Linear)
        .return_sequences(true)
        .build()
}

fn lstm(features: usize, recurrent_initializer: Initializer) -> recurrent::Result<Lstm> {
    Lstm::builder(features, 1)
        .kernel_initializer(Initializer::Ones)
        .recurrent_initializer(recurrent_initializer)
        .activation(Activation::Linear)
        .return_sequences(true)
        .return_state(true)
        .build()
}

#[track_caller]
fn assert_close<'a>(ours: impl IntoIterator<Item = &'a f32>, keras: &[f32]) {
    let ours: Vec<f32> = ours.into_iter().copied().collect();
    assert_eq!(ours.len(), keras.len());
    for (a, b) in ours.iter().zip(keras) {
        assert!((a - b).abs() <= 5e-7 * b.abs().max(1.0), "{ours:?}, Keras has {keras:?}");
    }
}

/// Input (1, 1, 20): the first i features are 5, the others 0.
fn twenty_outputs(layer: &dyn Layer<f32>) -> recurrent::Result<Vec<f32>> {
    let output = |i| {
        let x = Array3::from_shape_fn((1, 1, 20), |(_, _, feature)| if feature < i { 5.0 } else { 0.0 });
        layer.forward(&x)?.into_sequence().map(|sequence| sequence[[0, 0, 0]])
    };
    (0..20).map(output).collect()
}

#[test]
fn one_time_step_cannot_tell_recurrent_initializers_apart() -> Outcome {
    let [zeros, glorot] = compared();
    let rnn = twenty_outputs(&simple_rnn(20, zeros.clone())?)?;
    assert_eq!(rnn, documented::SIMPLE_RNN);
    assert_eq!(rnn, twenty_outputs(&simple_rnn(20, glorot.clone())?)?);
    let outputs = twenty_outputs(&lstm(20, zeros)?)?;
    assert_close(&outputs, &documented::LSTM);
    assert_eq!(outputs, twenty_outputs(&lstm(20, glorot)?)?);
    Ok(())
}

#[test]
fn a_sequence_tells_them_apart() -> Outcome {
    let ones = Array3::ones((1, 4, 1));
    for (initializer, keras) in compared().into_iter().zip(documented::SEQUENCES) {
        assert_close(simple_rnn(1, initializer)?.forward(&ones)?.sequence()?, &keras);
    }
    for (initializer, keras) in compared().into_iter().zip(documented::STATES) {
        let output = lstm(1, initializer)?.forward(&ones)?;
        let state = output.state()?;
        assert_close([&state.get("h")?[[0, 0]], &state.get("c")?[[0, 0]]], &keras);
        assert_eq!(state.get("h")?, output.last());
    }
    let glorot = lstm(1, Initializer::GlorotNormal { seed: Some(0) })?.forward(&ones)?.into_sequence()?;
    assert_close(&glorot, &[0.53444666, 0.78599626, 0.90663767, 0.9661129]);
    Ok(())
}

/// The decimals identify the f32: equal to the bit.
#[test]
fn the_weights_are_keras_weights() -> Outcome {
    let rnn = simple_rnn(1, Initializer::GlorotNormal { seed: Some(0) })?;
    assert_eq!(rnn.weight("recurrent_kernel")?, arr2(&[[-1.9292685_f32]]).into_dyn());
    let lstm = lstm(1, Initializer::GlorotNormal { seed: Some(0) })?;
    let recurrent_kernel = [[-1.2201766_f32, -0.34611243, -0.47615188, 0.06256151]];
    assert_eq!(lstm.weight("recurrent_kernel")?, arr2(&recurrent_kernel).into_dyn());
    assert_eq!(lstm.weight("kernel")?, Array2::<f32>::ones((1, 4)).into_dyn());
    assert_eq!(lstm.weight("bias")?, array![0.0_f32, 1.0, 0.0, 0.0].into_dyn());
    Ok(())
}

/// A recurrent initializer, its spectral radius by `numpy.linalg.eigvals` in f64, and the norms of the hidden state at
/// steps 0, 1, 10 and 100 after an impulse, linear and tanh: of Keras 3.15.1, `SimpleRNN(64, GlorotUniform(seed=4),
/// ...)`.
#[test]
fn memory_of_an_impulse_is_that_of_keras() -> Outcome {
    let seed = Some(3);
    #[rustfmt::skip]
    let cases = [
        (Initializer::GlorotUniform { seed }, 0.9828834137704059,      // a complex pair
            [1.30198111, 1.36862383, 1.20865619, 0.00233999], [1.28000187, 1.31367509, 0.98186917, 0.00243784]),
        (Initializer::GlorotNormal { seed }, 1.0921883758648585,
            [1.30198111, 1.16805894, 1.86098461, 3226.10811], [1.28000187, 1.12413708, 1.42214452, 2.4869251]),
        (Initializer::HeNormal { seed }, 1.54458765164699,
            [1.30198111, 1.65188477, 59.5515144, 3.63228468e18], [1.28000187, 1.55858981, 4.3643204, 5.00582886]),
        (Initializer::Orthogonal { gain: 1.0, seed }, 1.0,             // complex pairs on the unit circle
            [1.30198111, 1.30198115, 1.30198115, 1.30198105], [1.28000187, 1.24524963, 1.04724426, 0.52504907]),
    ];
    for (initializer, radius, linear, tanh) in cases {
        let kernel = initializer.initialize::<f32>(&[64, 64])?.into_dimensionality::<Ix2>()?;
        approx::assert_abs_diff_eq!(spectral_radius(&kernel.mapv(f64::from)), radius, epsilon = 1e-6);
        for (activation, norms) in [(Activation::Linear, linear), (Activation::Tanh, tanh)] {
            let rnn = SimpleRnn::<f32>::builder(1, 64)
                .kernel_initializer(Initializer::GlorotUniform { seed: Some(4) })
                .recurrent_initializer(initializer.clone())
                .activation(activation)
                .return_sequences(true)
                .build()?;
            let mut impulse = Array3::zeros((1, 101, 1));
            impulse[[0, 0, 0]] = 1.0;
            let states = rnn.forward(&impulse)?.into_sequence()?;
            for (step, expected) in [0, 1, 10, 100].into_iter().zip(norms) {
                let norm = norm(&states.slice(s![0, step, ..]).mapv(f64::from));
                approx::assert_relative_eq!(norm, expected, max_relative = 1e-4); // chaotic or 100 steps on
            }
        }
    }
    Ok(())
}

#[test]
fn spectral_radius_of_known_matrices() {
    let (sine, cosine) = 0.7_f64.sin_cos();
    let rotation = array![[cosine, -sine], [sine, cosine]];
    // Eigenvalues r exp(± 0.7 i); the change of basis makes it far from normal.
    let basis = array![[1.0, 20.0], [0.0, 1.0]];
    let inverse = array![[1.0, -20.0], [0.0, 1.0]];
    let cases = [
        ("zero", Array2::zeros((3, 3)), 0.0),
        ("one element", array![[-1.929268479347229]], 1.929268479347229),
        ("identity", Array2::eye(5), 1.0),
        ("a complex pair", &rotation * 0.97, 0.97),
        ("a complex pair in another basis", basis.dot(&(&rotation * 0.97)).dot(&inverse), 0.97),
        ("a cyclic permutation: roots of one", array![[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]], 1.0),
        ("two real ones of opposite sign", array![[0.0, 4.0], [1.0, 0.0]], 2.0),
        ("a Jordan block", array![[0.5, 1.0, 0.0], [0.0, 0.5, 1.0], [0.0, 0.0, 0.5]], 0.5),
        ("nilpotent", array![[0.0, 1.0, 5.0], [0.0, 0.0, 2.0], [0.0, 0.0, 0.0]], 0.0),
        // x³ = 2x² - 2x + 1: 1 and (1 ± i √3) / 2
        ("a companion matrix", array![[2.0, -2.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]], 1.0),
        ("tiny", array![[1e-100, 3e-100], [-3e-100, 1e-100]], 10_f64.sqrt() * 1e-100),
        ("huge", array![[1e100, 3e100], [-3e100, 1e100]], 10_f64.sqrt() * 1e100),
    ];
    for (name, matrix, radius) in cases {
        let found = spectral_radius(&matrix);
        assert!((found - radius).abs() <= 1e-6 * radius, "{name}: {found}, expected {radius}");
    }
}
