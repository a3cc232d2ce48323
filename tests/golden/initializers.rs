//! Initializers give Keras's numbers for a seed. The vectors are Keras 3.15's (TensorFlow 2.21, CPU).

use ndarray::{ArrayD, Ix2, array};
use recurrent::{Error, FanMode, Float, Initializer, ScalingDistribution, SeedSource};

fn values<T: Float>(initializer: &Initializer, shape: &[usize]) -> Vec<T> {
    let tensor: ArrayD<T> = initializer.initialize(shape).unwrap();
    assert_eq!(tensor.shape(), shape);
    tensor.into_iter().collect()
}

/// Compares bits: 0.0 and -0.0 differ.
#[track_caller]
fn assert_starts(initializer: Initializer, shape: &[usize], expected: &[f32]) {
    let given: Vec<f32> = values(&initializer, shape);
    let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    let given = &given[..expected.len()];
    assert_eq!(bits(given), bits(expected), "{initializer} {shape:?}: {given:?} is not {expected:?}");
}

#[track_caller]
fn assert_ends(initializer: Initializer, shape: &[usize], expected: &[f32]) {
    let given: Vec<f32> = values(&initializer, shape);
    assert_eq!(&given[given.len() - expected.len()..], expected, "{initializer} {shape:?}");
}

#[track_caller]
fn assert_close<T: Float>(given: &[T], expected: &[T], tolerance: f64) {
    assert!(given.len() >= expected.len());
    for (given, expected) in given.iter().zip(expected) {
        let difference = (given.into_f64() - expected.into_f64()).abs();
        assert!(difference <= tolerance, "{given} is not {expected}");
    }
}

fn random_normal(mean: f64, stddev: f64, seed: i64) -> Initializer {
    Initializer::RandomNormal { mean, stddev, seed: Some(seed) }
}

fn random_uniform(minval: f64, maxval: f64, seed: i64) -> Initializer {
    Initializer::RandomUniform { minval, maxval, seed: Some(seed) }
}

fn truncated_normal(mean: f64, stddev: f64, seed: i64) -> Initializer {
    Initializer::TruncatedNormal { mean, stddev, seed: Some(seed) }
}

fn orthogonal(gain: f64, seed: i64) -> Initializer {
    Initializer::Orthogonal { gain, seed: Some(seed) }
}

fn scaling(scale: f64, mode: FanMode, distribution: ScalingDistribution, seed: i64) -> Initializer {
    let (input_axes, output_axes) = (None, None);
    Initializer::VarianceScaling { scale, mode, distribution, input_axes, output_axes, seed: Some(seed) }
}

#[test]
fn the_recurrent_kernels_of_the_question() {
    let glorot = Initializer::GlorotNormal { seed: Some(0) };
    assert_starts(glorot.clone(), &[1, 1], &[-1.929_268_5]);
    assert_starts(glorot.clone(), &[1, 4], &[-1.220_176_6, -0.346_112_43, -0.476_151_88, 0.062_561_51]);
    #[rustfmt::skip]
    assert_starts(glorot, &[3, 4], &[
        -1.0312374, -0.29251838, -0.4024218, 0.052874126,
        -0.16151755, 0.054963462, -0.51828223, 0.4385875,
        1.010904, -0.07115893, 0.2318896, 0.28282475,
    ]);
    #[rustfmt::skip]
    assert_close(&values::<f32>(&orthogonal(1.0, 0), &[3, 3]), &[
        -0.9387766, -0.0331103, -0.34293154,
        0.048133433, -0.99821407, -0.03538721,
        0.34114733, 0.049727164, -0.93869364,
    ], 2e-7);
}

#[test]
fn uniform_numbers_are_keras_s_bit_for_bit() {
    let expected = [-0.030408716, 0.043934528, 0.0032275207, 0.034104135, -0.03171884, -0.038108576];
    assert_starts(Initializer::random_uniform().with_seed(3), &[2, 5], &expected);
    let expected = [-0.6765444, 0.47913766, 0.880126, -1.3490287, -0.64447594, -0.122258306];
    assert_starts(random_uniform(-1.5, 2.25, -5), &[7], &expected);
    let expected = [0.85404277, 0.23066628, 0.949136, 0.95810425, 0.5246202, 0.058577657];
    assert_starts(random_uniform(0.0, 1.0, 2_147_483_657), &[6], &expected);
    // Bounds in the other order are Keras's too.
    assert_starts(random_uniform(1.0, -1.0, 1), &[3], &[-0.75697637, 0.0800395, -0.200_582_5]);
}

#[test]
fn normal_numbers_are_keras_s_bit_for_bit() {
    let expected = [-1.2536653, -1.0007045, -0.37814674, 0.10592606, 0.44601664, -0.50574833];
    assert_starts(random_normal(0.0, 1.0, 2024), &[3, 3], &expected);
    let expected = [-1.6304979, -1.2510568, -0.3172201, 0.40888909, 0.91902494, -0.5086225];
    assert_starts(random_normal(0.25, 1.5, 2024), &[3, 3], &expected);
    let expected = [-0.68468446, 0.37227646, 0.014102967, 0.17017493, -1.468505, -0.45992595];
    assert_ends(random_normal(0.0, 1.0, 8), &[1000, 1001], &expected);
    // The uniform number under the logarithm is 0 here.
    assert_ends(random_normal(0.0, 1.0, 2), &[2_685_342], &[-1.3889997, -5.5051675]);
}

#[test]
fn truncated_normal_numbers_are_keras_s_bit_for_bit() {
    let expected = [-1.2536653, -1.0007045, -0.37814674, 0.10592606, -0.019339114, -1.5193255];
    assert_starts(truncated_normal(0.0, 1.0, 2024), &[4, 5], &expected);
    let expected = [0.2605484, 0.0044890074, 0.39184177, 1.2029333, 1.1603911, -0.21122497];
    assert_ends(truncated_normal(0.0, 1.0, 2024), &[4, 5], &expected);
    let expected = [0.6929871, 0.7172181, 0.5123679, -0.5200625, 0.86266315, -0.7097737];
    assert_ends(truncated_normal(0.0, 1.0, 8), &[1000, 1000], &expected);
}

#[test]
fn variance_scaling_and_its_cases_are_keras_s_bit_for_bit() {
    let seed = Some(3);
    let expected = [-0.2921575, 0.42210925, 0.031009018, 0.32766193, -0.30474475, -0.36613536];
    assert_starts(Initializer::GlorotUniform { seed }, &[6, 20], &expected);
    let expected = [-0.21175383, 0.5284666, -0.29772502, 0.191686, -0.13213575, -0.15631998];
    assert_starts(Initializer::GlorotNormal { seed }, &[6, 20], &expected);
    let expected = [-0.44080076, 1.1000909, -0.6197641, 0.39902624, -0.2750625, -0.325406];
    assert_starts(Initializer::HeNormal { seed }, &[2, 3, 4], &expected);
    let expected = [-0.3511296, 0.5073122, 0.03726816, 0.39380062, -0.3662576, -0.44003993];
    assert_starts(Initializer::LecunUniform { seed }, &[9], &expected);
    let expected = [-0.19865747, 0.4957824, -0.27931157, 0.17983077, 0.37057883, 0.40006086];
    let fan_out = scaling(0.7, FanMode::FanOut, ScalingDistribution::UntruncatedNormal, 3);
    assert_starts(fan_out, &[2, 2, 3, 2], &expected);
}

#[test]
fn fans_of_axes_that_the_caller_names() {
    let over = |input_axes, output_axes| Initializer::VarianceScaling {
        scale: 1.4,
        mode: FanMode::FanIn,
        distribution: ScalingDistribution::Uniform,
        input_axes,
        output_axes,
        seed: Some(5),
    };
    let axes = |axes: &[isize]| Some(axes.to_vec());
    let shape = [2, 3, 5];
    let named = over(axes(&[0, 1]), axes(&[2]));
    assert_starts(named.clone(), &shape, &[-0.73315966, 0.5549885, 0.79244614, -0.25978166]);
    assert_starts(over(axes(&[-3, -2]), axes(&[-1])), &shape, &[-0.73315966, 0.5549885, 0.79244614, -0.25978166]);
    // One alone doesn't count.
    assert_eq!(values::<f32>(&over(axes(&[2]), None), &shape), values::<f32>(&over(None, None), &shape));
    assert_eq!(
        named.to_string(),
        "VarianceScaling(scale=1.4, mode='fan_in', distribution='uniform', input_axes=[0, 1], output_axes=[2], seed=5)",
    );
    for (input_axes, output_axes, axis) in
        [(&[0, 3], &[1], 3), (&[0, 1], &[-4], -4), (&[isize::MIN, 0], &[0], isize::MIN)]
    {
        let refused = over(axes(input_axes), axes(output_axes)).initialize::<f32>(&shape);
        assert_eq!(refused, Err(Error::InitializerAxis { axis, shape: shape.to_vec() }));
    }
}

#[test]
fn the_named_cases_are_variance_scaling() {
    use ScalingDistribution::{TruncatedNormal, Uniform};
    let seed = Some(-7);
    for (named, (scale, mode, distribution)) in [
        (Initializer::GlorotNormal { seed }, (1.0, FanMode::FanAvg, TruncatedNormal)),
        (Initializer::GlorotUniform { seed }, (1.0, FanMode::FanAvg, Uniform)),
        (Initializer::HeNormal { seed }, (2.0, FanMode::FanIn, TruncatedNormal)),
        (Initializer::HeUniform { seed }, (2.0, FanMode::FanIn, Uniform)),
        (Initializer::LecunNormal { seed }, (1.0, FanMode::FanIn, TruncatedNormal)),
        (Initializer::LecunUniform { seed }, (1.0, FanMode::FanIn, Uniform)),
    ] {
        let spelled_out = scaling(scale, mode, distribution, -7);
        for shape in [&[][..], &[5], &[3, 8], &[2, 3, 4]] {
            assert_eq!(values::<f32>(&named, shape), values::<f32>(&spelled_out, shape), "{named}");
            assert_eq!(values::<f64>(&named, shape), values::<f64>(&spelled_out, shape), "{named}");
        }
    }
}

#[test]
fn orthogonal_matrices_are_keras_s_within_the_rounding_of_its_qr() {
    let expected = [-0.35765886, -0.1078817, 0.12724435, -0.4538962, -0.43411624, 0.19119073];
    assert_close(&values::<f32>(&orthogonal(1.0, 2024), &[2, 8]), &expected, 2e-7);
    let expected = [-0.24108362, -0.20294325, -0.07271875, 0.14958729, 0.08577033, -0.3732992];
    assert_close(&values::<f32>(&orthogonal(0.5, 2024), &[5, 2]), &expected, 2e-7);
    let expected = [-0.60544765, -0.21105596, 0.42757347, 0.051156145, 0.36903432, -0.6825146];
    assert_close(&values::<f32>(&orthogonal(1.0, 2024), &[2, 2, 3]), &expected, 2e-7);
    let expected = [-0.393_463_37, 1.960_914_7, -1.960_914_7, -0.393_463_37];
    assert_close(&values::<f32>(&orthogonal(-2.0, 1), &[2, 2]), &expected, 4e-7);
    assert_starts(orthogonal(1.0, 1), &[1, 1], &[1.0]);
}

#[test]
fn the_shorter_side_of_an_orthogonal_matrix_is_orthonormal() {
    for (shape, rows, columns) in [(&[4, 16][..], 4, 16), (&[16, 4], 16, 4), (&[9, 9], 9, 9), (&[3, 5, 7], 15, 7)] {
        let flat = orthogonal(3.0, 1).initialize::<f64>(shape).unwrap().into_shape_with_order((rows, columns));
        let q = flat.unwrap().into_dimensionality::<Ix2>().unwrap();
        let gram = if rows < columns { q.dot(&q.t()) } else { q.t().dot(&q) };
        let expected = ndarray::Array2::<f64>::eye(rows.min(columns)) * 9.0;
        approx::assert_abs_diff_eq!(gram, expected, epsilon = 1e-13);
    }
}

#[test]
fn f64_uniform_numbers_are_keras_s_bit_for_bit() {
    let given: Vec<f64> = values(&Initializer::random_uniform().with_seed(3), &[5]);
    assert_eq!(given[..3], [0.006730302512230245, -0.024179769138496402, -0.0037506230512886485]);
}

#[test]
fn f64_normal_numbers_are_keras_s_but_for_the_last_place() {
    let ulps = |a: f64, b: f64| (a.to_bits() as i64 - b.to_bits() as i64).abs();
    let given: Vec<f64> = values(&random_normal(0.0, 1.0, 3), &[5]);
    for (given, expected) in given.iter().zip([1.0633507577851107, -0.05485010299527309, 0.244200086206277]) {
        assert!(ulps(*given, expected) <= 2);
    }
    let given: Vec<f64> = values(&truncated_normal(0.0, 1.0, 2024), &[20]);
    for (given, expected) in given[17..].iter().zip([1.0194905241485304, -0.4882099612487724, 0.2469073941340657]) {
        assert!(ulps(*given, expected) <= 2);
    }
}

#[test]
fn constants() {
    assert_starts(Initializer::Zeros, &[2, 3], &[0.0; 6]);
    assert_starts(Initializer::Ones, &[2, 3], &[1.0; 6]);
    assert_starts(Initializer::Constant { value: 0.1 }, &[2], &[0.1; 2]);
    // Keras casts a constant by way of f32.
    assert_eq!(values::<f64>(&Initializer::Constant { value: 0.3 }, &[2]), [0.300_000_011_920_928_96; 2]);
    assert_eq!(values::<f64>(&Initializer::Identity { gain: 0.3 }, &[1, 1]), [0.3]);
    assert!(values::<f64>(&Initializer::Constant { value: f64::NAN }, &[2])[1].is_nan());
    assert_starts(Initializer::Constant { value: f64::NEG_INFINITY }, &[1], &[f32::NEG_INFINITY]);
    let wide = Initializer::Identity { gain: 0.5 }.initialize::<f32>(&[2, 3]).unwrap();
    assert_eq!(wide, array![[0.5, 0.0, 0.0], [0.0, 0.5, 0.0]].into_dyn());
    let tall = Initializer::identity().initialize::<f32>(&[3, 2]).unwrap();
    assert_eq!(tall, array![[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]].into_dyn());
    // As in Keras, where the gain multiplies the zeros too.
    assert_starts(Initializer::Identity { gain: -1.0 }, &[2, 3], &[-1.0, -0.0, -0.0, -0.0, -1.0, -0.0]);
}

#[test]
fn every_seed_that_keras_accepts() {
    let standard = |seed| values::<f32>(&random_normal(0.0, 1.0, seed), &[3]);
    assert_eq!(standard(i64::MIN), [-0.403_034_42, -0.590_967_2, 0.962_828_3]);
    assert_eq!(standard(i64::MAX), [-0.674_172_76, -0.358_692_56, -1.879_581_7]);
    assert_eq!(standard(-1), [-0.741_176_07, -1.535_633_9, 0.674_495_64]);
    assert_eq!(standard(-1), standard(2_147_483_645));
    assert_eq!(standard(1 << 31), standard(2));
    assert_ne!(standard(1), standard(2));
}

#[test]
fn any_shape() {
    let glorot = Initializer::GlorotUniform { seed: Some(1) };
    assert_starts(glorot.clone(), &[], &[1.311_121_6]);
    for random in [glorot, random_normal(0.0, 1.0, 1), truncated_normal(0.0, 1.0, 1)] {
        for shape in [&[0][..], &[0, 4], &[4, 0], &[2, 0, 3]] {
            assert_eq!(values::<f64>(&random, shape), Vec::<f64>::new());
        }
    }
    for shape in [&[0, 3][..], &[3, 0], &[2, 0, 3]] {
        assert_eq!(values::<f32>(&orthogonal(1.0, 1), shape), Vec::<f32>::new());
    }
    assert_eq!(values::<f32>(&Initializer::identity(), &[0, 3]), Vec::<f32>::new());
    assert_eq!(values::<f32>(&Initializer::identity(), &[3, 0]), Vec::<f32>::new());
    assert_eq!(values::<f32>(&Initializer::Ones, &[]), [1.0]);
}

#[test]
fn a_smaller_tensor_is_a_prefix_of_a_larger_one() {
    for random in [random_normal(0.5, 2.0, 9), random_uniform(-1.0, 3.0, 9), truncated_normal(0.5, 2.0, 9)] {
        let all: Vec<f32> = values(&random, &[50]);
        let all_f64: Vec<f64> = values(&random, &[50]);
        for len in 0..50 {
            assert_eq!(values::<f32>(&random, &[len]), all[..len]);
            assert_eq!(values::<f64>(&random, &[len]), all_f64[..len]);
        }
    }
}

#[test]
fn an_lstm_s_bias_starts_anew_after_the_ones() {
    // LSTM(2, bias_initializer=RandomUniform(seed=3)): the initializer is called for 2, then for 4 numbers.
    let bias = Initializer::random_uniform().with_seed(3);
    assert_starts(bias.clone(), &[2], &[-0.030408716, 0.043934528]);
    assert_starts(bias, &[4], &[-0.030408716, 0.043934528, 0.0032275207, 0.034104135]);
}

#[test]
fn a_seed_source_gives_the_kernels_of_a_keras_script() {
    let kernel = |seed| Initializer::GlorotUniform { seed: Some(seed) };
    let unseeded = Initializer::GlorotUniform { seed: None };

    // LSTM(2) takes kernel, recurrent kernel, dropout.
    let mut seeds = SeedSource::keras(9);
    let lstm = unseeded.clone().seeded_from(&mut seeds);
    assert_eq!(lstm, kernel(497150364));
    assert_starts(lstm, &[3, 8], &[-0.5995875, 0.42907423, -0.6806519, -0.4383789, 0.00070893764, 0.6640032]);
    assert_eq!(Initializer::orthogonal().seeded_from(&mut seeds).seed(), Some(658434844));
    assert_eq!(seeds.next_seed(), 400840637);

    // SimpleRNN(2) takes dropout, kernel, recurrent kernel.
    assert_starts(kernel(658434844), &[3, 2], &[-0.9008814, 0.7807176, -0.70389944, 0.86185277, 0.7937529, 0.37442863]);

    // Bidirectional(GRU(2)): the three of the layer that was passed are lost.
    assert_eq!(seeds.next_seed(), 286833408);
    let expected = [-0.7174478, 0.26076376, -0.040748477, -0.71669793, 0.03317064, -0.12840647];
    assert_starts(kernel(286833408), &[3, 6], &expected);
    let expected = [-0.1685583, 0.6445768, -0.515444, 0.3374641, 0.5363213, 0.60606134];
    assert_starts(kernel(930463702), &[3, 6], &expected);
}

#[test]
fn without_a_seed_each_call_draws_another() {
    for unseeded in [Initializer::GlorotUniform { seed: None }, Initializer::orthogonal()] {
        assert!(unseeded.needs_seed());
        assert_ne!(values::<f64>(&unseeded, &[8, 8]), values::<f64>(&unseeded, &[8, 8]));
    }
    assert!(!Initializer::Ones.needs_seed());
    assert!(!random_normal(0.0, 1.0, 1).needs_seed());
}

#[test]
fn distributions_have_the_spread_that_they_promise() {
    let moments = |initializer: &Initializer| {
        let values: Vec<f64> = values(initializer, &[200, 500]);
        let mean = values.iter().sum::<f64>() / 1e5;
        (mean, (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / 1e5).sqrt(), values)
    };
    let (mean, stddev, _) = moments(&random_normal(2.0, 3.0, 5));
    assert!((mean - 2.0).abs() < 0.03 && (stddev - 3.0).abs() < 0.03);

    let (mean, stddev, values) = moments(&random_uniform(-1.0, 3.0, 5));
    assert!((mean - 1.0).abs() < 0.01 && (stddev - 4.0 / 12f64.sqrt()).abs() < 0.01);
    assert!(values.iter().all(|value| (-1.0..3.0).contains(value)));

    let (mean, stddev, values) = moments(&truncated_normal(2.0, 3.0, 5));
    assert!((mean - 2.0).abs() < 0.03 && (stddev - 3.0 * 0.8796).abs() < 0.03);
    assert!(values.iter().all(|value| (value - 2.0).abs() < 6.0));

    for (mode, fan) in [(FanMode::FanIn, 200.0), (FanMode::FanOut, 500.0), (FanMode::FanAvg, 350.0)] {
        use ScalingDistribution::{TruncatedNormal, Uniform, UntruncatedNormal};
        for distribution in [TruncatedNormal, UntruncatedNormal, Uniform] {
            let (mean, stddev, _) = moments(&scaling(2.0, mode, distribution, 5));
            let expected = (2.0f64 / fan).sqrt();
            assert!(mean.abs() < 0.01 * expected && (stddev / expected - 1.0).abs() < 0.01, "{mode} {distribution}");
        }
    }
}

#[test]
fn names_as_keras_reads_them() {
    let seed = None;
    for (names, expected) in [
        (&["Zeros", "zeros", "zero"][..], Initializer::Zeros),
        (&["Ones", "ones", "one"], Initializer::Ones),
        (&["Constant", "constant"], Initializer::Constant { value: 0.0 }),
        (&["Identity", "identity", "IdentityInitializer"], Initializer::Identity { gain: 1.0 }),
        (&["RandomNormal", "random_normal", "normal"], Initializer::random_normal()),
        (&["RandomUniform", "random_uniform", "uniform"], Initializer::random_uniform()),
        (&["TruncatedNormal", "truncated_normal"], Initializer::truncated_normal()),
        (&["VarianceScaling", "variance_scaling"], Initializer::variance_scaling()),
        (&["GlorotNormal", "glorot_normal"], Initializer::GlorotNormal { seed }),
        (&["GlorotUniform", "glorot_uniform"], Initializer::GlorotUniform { seed }),
        (&["HeNormal", "he_normal"], Initializer::HeNormal { seed }),
        (&["HeUniform", "he_uniform"], Initializer::HeUniform { seed }),
        (&["LecunNormal", "lecun_normal"], Initializer::LecunNormal { seed }),
        (&["LecunUniform", "lecun_uniform"], Initializer::LecunUniform { seed }),
        (&["Orthogonal", "orthogonal", "OrthogonalInitializer"], Initializer::orthogonal()),
    ] {
        for name in names {
            assert_eq!(name.parse::<Initializer>().as_ref(), Ok(&expected));
        }
        assert_eq!(expected.name(), names[0]);
    }
}

#[test]
fn names_that_keras_refuses() {
    for name in ["", "Zero", "ZEROS", "GLOROT_NORMAL", "glorotnormal", "eye", "None", " zeros", "stft", "Custom"] {
        match name.parse::<Initializer>() {
            Err(Error::UnknownInitializer { name: given, known }) => {
                assert_eq!(given, name);
                for expected in ["glorot_uniform", "Orthogonal", "zero", "truncated_normal"] {
                    assert!(known.split(", ").any(|known| known == expected), "{known}");
                }
            }
            other => panic!("{name:?} gave {other:?}"),
        }
    }
}

#[test]
fn names_of_modes_and_distributions() {
    assert_eq!("fan_in".parse(), Ok(FanMode::FanIn));
    assert_eq!("fan_out".parse(), Ok(FanMode::FanOut));
    let error = Error::UnknownInitializerOption {
        option: "mode",
        name: "FAN_IN".to_owned(),
        known: "fan_in, fan_out, fan_avg".to_owned(),
    };
    assert_eq!("FAN_IN".parse::<FanMode>(), Err(error));

    for distribution in
        [ScalingDistribution::TruncatedNormal, ScalingDistribution::UntruncatedNormal, ScalingDistribution::Uniform]
    {
        assert_eq!(distribution.to_string().parse(), Ok(distribution));
        assert_eq!(distribution.to_string().to_uppercase().parse(), Ok(distribution));
    }
    let error = "gamma".parse::<ScalingDistribution>().unwrap_err();
    assert!(matches!(error, Error::UnknownInitializerOption { option: "distribution", .. }));
}

#[test]
fn printed_as_keras_s_config_reads() {
    for (initializer, expected) in [
        (Initializer::Zeros, "Zeros()"),
        (Initializer::Constant { value: 0.5 }, "Constant(value=0.5)"),
        (Initializer::identity(), "Identity(gain=1.0)"),
        (random_normal(0.0, 0.05, -3), "RandomNormal(mean=0.0, stddev=0.05, seed=-3)"),
        (Initializer::random_uniform(), "RandomUniform(minval=-0.05, maxval=0.05, seed=None)"),
        (Initializer::truncated_normal(), "TruncatedNormal(mean=0.0, stddev=0.05, seed=None)"),
        (
            Initializer::variance_scaling(),
            "VarianceScaling(scale=1.0, mode='fan_in', distribution='truncated_normal', seed=None)",
        ),
        (Initializer::GlorotUniform { seed: None }, "GlorotUniform(seed=None)"),
        (Initializer::HeNormal { seed: Some(7) }, "HeNormal(seed=7)"),
        (Initializer::orthogonal(), "Orthogonal(gain=1.0, seed=None)"),
        (Initializer::from_distribution(rand_distr::StandardNormal, Some(7)), "Custom(seed=7)"),
        (Initializer::from_fn(|shape| ArrayD::zeros(shape)), "Custom()"),
    ] {
        assert_eq!(initializer.to_string(), expected);
    }
}

#[test]
fn a_user_s_distribution_is_an_initializer() {
    let gamma = || rand_distr::Gamma::new(2.0, 0.5).unwrap();
    let custom = Initializer::from_distribution(gamma(), None);
    assert!(custom.needs_seed());
    assert_eq!(custom.seed(), None);

    let seeded = custom.clone().seeded_from(&mut SeedSource::keras(5));
    assert_eq!(seeded.seed(), Some(668835602));
    assert_eq!(seeded, custom.clone().with_seed(668835602));
    assert_ne!(seeded, custom);
    assert_ne!(custom, Initializer::from_distribution(gamma(), None));

    let numbers: Vec<f64> = values(&seeded, &[3, 4]);
    assert_eq!(values::<f32>(&seeded, &[3, 4]), numbers.iter().map(|&x| x as f32).collect::<Vec<_>>());
    assert!(numbers.iter().all(|&x| x > 0.0));
    assert_ne!(values::<f64>(&custom, &[3, 4]), values::<f64>(&custom, &[3, 4]));
}

#[test]
fn a_user_s_function_is_an_initializer() {
    let by_place = Initializer::from_fn(|shape| ArrayD::from_shape_fn(shape, |at| (10 * at[0] + at[1]) as f64));
    let expected = array![[0.0, 1.0, 2.0], [10.0, 11.0, 12.0]].into_dyn();
    assert_eq!(by_place.initialize::<f32>(&[2, 3]), Ok(expected.mapv(|x: f64| x as f32)));
    assert!(!by_place.needs_seed());
    assert_eq!(by_place, by_place.clone().with_seed(1));

    // Values in an order of their own arrive where they belong.
    let turned = Initializer::from_fn(move |_| expected.t().to_owned().reversed_axes());
    assert_eq!(values::<f64>(&turned, &[2, 3]), [0.0, 1.0, 2.0, 10.0, 11.0, 12.0]);

    let wrong = Initializer::from_fn(|_| ArrayD::zeros(vec![3, 2])).initialize::<f32>(&[2, 3]);
    assert_eq!(wrong, Err(Error::CustomInitializerShape { expected: vec![2, 3], given: vec![3, 2] }));
}

#[test]
fn initializers_go_to_other_threads() {
    fn assert_send_sync<T: Send + Sync>() {}
    assert_send_sync::<Initializer>();
}

#[test]
fn ranks_that_do_not_fit() {
    let error = |initializer, expected, shape: &[usize]| {
        Err(Error::InitializerRank { initializer, expected, shape: shape.to_vec() })
    };
    for shape in [&[][..], &[3], &[2, 3, 4], &[0]] {
        assert_eq!(Initializer::identity().initialize::<f32>(shape), error("Identity", "2", shape));
    }
    for shape in [&[][..], &[3], &[0]] {
        assert_eq!(orthogonal(1.0, 1).initialize::<f32>(shape), error("Orthogonal", "2 or more", shape));
    }
}

#[test]
fn parameters_out_of_range() {
    use ScalingDistribution::Uniform;
    #[track_caller]
    fn assert_refused(initializer: Initializer, parameter: &str, expected: &str, value: f64) {
        match initializer.initialize::<f32>(&[2, 2]) {
            Err(Error::InitializerParameter { initializer: name, parameter: p, expected: e, value: v }) => {
                assert_eq!((name, p, e), (initializer.name(), parameter, expected));
                assert_eq!(v.to_bits(), value.to_bits());
            }
            other => panic!("{initializer} gave {other:?}"),
        }
    }
    let (nan, infinity) = (f64::NAN, f64::INFINITY);
    for stddev in [-0.5, infinity, -infinity, nan] {
        let expected = "finite and not negative";
        assert_refused(random_normal(0.0, stddev, 1), "stddev", expected, stddev);
        assert_refused(truncated_normal(0.0, stddev, 1), "stddev", expected, stddev);
    }
    for scale in [0.0, -1.0, infinity, nan] {
        assert_refused(scaling(scale, FanMode::FanIn, Uniform, 1), "scale", "finite and above 0", scale);
    }
    let (finite, in_range) = ("finite", "in the range of f32");
    for (value, expected) in
        [(infinity, finite), (-infinity, finite), (nan, finite), (1e39, in_range), (-1e300, in_range)]
    {
        assert_refused(random_normal(value, 1.0, 1), "mean", expected, value);
        assert_refused(truncated_normal(value, 1.0, 1), "mean", expected, value);
        assert_refused(random_uniform(value, 1.0, 1), "minval", expected, value);
        assert_refused(random_uniform(0.0, value, 1), "maxval", expected, value);
        assert_refused(Initializer::Identity { gain: value }, "gain", expected, value);
        assert_refused(orthogonal(value, 1), "gain", expected, value);
    }
    assert_refused(random_normal(0.0, 1e39, 1), "stddev", in_range, 1e39);
    assert_refused(Initializer::Constant { value: 1e39 }, "value", in_range, 1e39);
    assert_refused(random_uniform(-3e38, 3e38, 1), "maxval - minval", in_range, 6e38);

    // What is too large for f32 is not for f64, save for what Keras passes through f32.
    assert!(random_normal(1e39, 1e39, 1).initialize::<f64>(&[2]).is_ok());
    assert!(random_uniform(0.0, 1e39, 1).initialize::<f64>(&[2]).is_err());
    assert!(Initializer::Constant { value: 1e39 }.initialize::<f64>(&[2]).is_err());
    // And a deviation of 0 is one.
    assert_eq!(values::<f32>(&random_normal(0.0, 0.0, 1), &[3]), [0.0; 3]);
}

#[test]
fn tensors_that_do_not_fit_in_memory() {
    let huge = usize::MAX / 2;
    for shape in [&[usize::MAX][..], &[huge, 3], &[1 << 31, 1 << 31, 4], &[huge, 0, 3], &[1 << 30, 1 << 30]] {
        for initializer in
            [Initializer::Zeros, Initializer::from_fn(|shape| ArrayD::zeros(shape)), random_normal(0.0, 1.0, 1)]
        {
            let refused = initializer.initialize::<f64>(shape);
            assert_eq!(refused, Err(Error::TensorTooLarge { shape: shape.to_vec() }));
        }
    }
    let shape = [1 << 30, 1 << 30];
    assert_eq!(orthogonal(1.0, 1).initialize::<f32>(&shape), Err(Error::TensorTooLarge { shape: shape.to_vec() }));
}
