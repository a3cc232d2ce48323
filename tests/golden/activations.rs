//! Activations through the public API: Keras's values, names, parameters, and what is refused.

use recurrent::{Activation, Error, Float, math};
use serde_json::Value;

/// Names and parameters as in Keras's calls.
fn activation(name: &str, parameters: &Value) -> Activation {
    let number = |key: &str| parameters[key].as_f64();
    let known = |key: &str| number(key).unwrap_or_else(|| panic!("{name} without {key}: {parameters}"));
    if parameters.as_object().is_none_or(|all| all.is_empty()) {
        return name.parse().unwrap();
    }
    match name {
        "relu" => Activation::ReluWith {
            negative_slope: number("negative_slope").unwrap_or(0.0),
            max_value: number("max_value"),
            threshold: number("threshold").unwrap_or(0.0),
        },
        "leaky_relu" => Activation::LeakyRelu { negative_slope: known("negative_slope") },
        "elu" => Activation::Elu { alpha: known("alpha") },
        "celu" => Activation::Celu { alpha: known("alpha") },
        "soft_shrink" => Activation::SoftShrink { threshold: known("threshold") },
        "hard_shrink" => Activation::HardShrink { threshold: known("threshold") },
        "squareplus" => Activation::Squareplus { b: known("b") },
        "gelu" => Activation::Gelu { approximate: parameters["approximate"] == true },
        "threshold" => Activation::Threshold { threshold: known("threshold"), default_value: known("default_value") },
        other => panic!("{other} with parameters"),
    }
}

fn numbers<T: Float>(value: &Value) -> Vec<T> {
    let number = |v: &Value| match v.as_str() {
        Some("NaN") => f64::NAN,
        Some("inf") => f64::INFINITY,
        Some("-inf") => f64::NEG_INFINITY,
        _ => v.as_f64().unwrap(),
    };
    value["data"].as_array().unwrap().iter().map(|v| T::from_f64(number(v))).collect()
}

#[test]
fn values_are_kerass() {
    fn check<T: Float>(case: &Value, tolerance: f64) -> Vec<String> {
        let activation = activation(case["activation"]["name"].as_str().unwrap(), &case["activation"]["args"]);
        let mut wrong = Vec::new();
        for (input, output) in [("input", "output"), ("special_input", "special_output")] {
            if case[input].is_null() {
                continue;
            }
            let width = case[input]["shape"].as_array().unwrap().last().unwrap().as_u64().unwrap() as usize;
            let x = numbers::<T>(&case[input]);
            let mut y = x.clone();
            let y: Vec<T> = y.chunks_mut(width).flat_map(|row| activation.apply(row).unwrap().to_vec()).collect();
            let keras = numbers::<T>(&case[output]);
            assert_eq!(y.len(), keras.len(), "{activation}");
            for (i, (ours, keras)) in y.iter().zip(&keras).enumerate() {
                let (a, b) = (ours.into_f64(), keras.into_f64());
                let same = a == b || (a.is_nan() && b.is_nan());
                if !same && (a.is_nan() || b.is_nan() || (a - b).abs() > tolerance * b.abs().max(1.0)) {
                    wrong.push(format!("{} {:?}: {a}, Keras {b}", case["name"], x.get(i)));
                }
            }
        }
        wrong
    }
    let text = std::fs::read_to_string("tests/golden/keras/activations.json").unwrap();
    let file: Value = serde_json::from_str(&text).unwrap();
    let cases = file["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 134);
    let wrong: Vec<String> = cases
        .iter()
        .flat_map(|case| match case["dtype"].as_str() {
            Some("float32") => check::<f32>(case, 1e-5),
            _ => check::<f64>(case, 1e-12),
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    println!("{} cases", cases.len());
}

#[test]
fn names_are_kerass() {
    // keras.activations.ALL_OBJECTS_DICT, with the two aliases; `threshold` needs arguments.
    let names = "celu elu exponential gelu glu hard_shrink hard_sigmoid hard_silu hard_tanh leaky_relu linear \
                 log_sigmoid log_softmax mish relu relu6 selu sigmoid silu soft_shrink softmax softplus softsign \
                 sparse_plus sparse_sigmoid sparsemax squareplus tanh tanh_shrink";
    for name in names.split_whitespace() {
        let activation: Activation = name.parse().unwrap();
        assert_eq!(activation.to_string(), name);
        assert_eq!(activation.name(), name);
        activation.validate().unwrap();
        activation.check_derivative().unwrap();
        assert_eq!(activation.changes_width(), name == "glu");
        let whole_row = ["softmax", "log_softmax", "sparsemax", "glu"].contains(&name);
        assert_eq!(activation.is_elementwise(), !whole_row);
    }
    assert_eq!("swish".parse::<Activation>().unwrap(), Activation::Silu);
    assert_eq!("hard_swish".parse::<Activation>().unwrap(), Activation::HardSilu);
    assert_eq!(Activation::default(), Activation::Linear);
    assert_eq!(
        "threshold".parse::<Activation>(),
        Err(Error::ActivationArguments { activation: "threshold", parameters: "threshold and default_value" })
    );
    for name in ["", "Tanh", "TANH", "tanh ", "None", "identity", "exp", "ReLU"] {
        let Err(Error::UnknownActivation { name: given, known }) = name.parse::<Activation>() else {
            panic!("{name:?} is known")
        };
        assert_eq!(given, name);
        assert!(known.starts_with("celu, elu, exponential, ") && known.contains("hard_swish"), "{known}");
    }
}

#[test]
fn display_shows_what_is_not_the_default() {
    let shown = [
        (Activation::ReluWith { negative_slope: 0.0, max_value: None, threshold: 0.0 }, "relu"),
        (
            Activation::ReluWith { negative_slope: 0.1, max_value: Some(2.0), threshold: 0.0 },
            "relu(negative_slope=0.1, max_value=2)",
        ),
        (Activation::LeakyRelu { negative_slope: 0.2 }, "leaky_relu"),
        (Activation::Celu { alpha: 2.5 }, "celu(alpha=2.5)"),
        (Activation::Gelu { approximate: false }, "gelu"),
        (Activation::Gelu { approximate: true }, "gelu(approximate=True)"),
        (Activation::Threshold { threshold: 0.5, default_value: 0.0 }, "threshold(threshold=0.5, default_value=0)"),
        (Activation::HardSigmoid, "hard_sigmoid"),
        (Activation::HARD_SIGMOID_KERAS_2, "hard_sigmoid(slope=0.2, offset=0.5)"),
        (Activation::custom("mine", |x| x), "mine"),
    ];
    for (activation, text) in shown {
        assert_eq!(activation.to_string(), text);
    }
    assert_eq!(format!("{:>6}|{:<6}|", Activation::Tanh, Activation::Tanh), "  tanh|tanh  |");
}

#[test]
fn parameters_out_of_range_are_refused() {
    let refused = [
        (Activation::Celu { alpha: 0.0 }, "celu", "alpha"),
        (Activation::Squareplus { b: -1.0 }, "squareplus", "b"),
        (Activation::Elu { alpha: f64::NAN }, "elu", "alpha"),
        (Activation::LeakyRelu { negative_slope: f64::INFINITY }, "leaky_relu", "negative_slope"),
        (Activation::ReluWith { negative_slope: 0.0, max_value: Some(f64::NAN), threshold: 0.0 }, "relu", "max_value"),
        (Activation::Threshold { threshold: 0.0, default_value: f64::INFINITY }, "threshold", "default_value"),
    ];
    for (given, name, wrong) in refused {
        let Err(Error::ActivationParameter { activation, parameter, .. }) = given.validate() else {
            panic!("{given} is valid")
        };
        assert_eq!((activation.as_str(), parameter), (name, wrong));
        let mut row = [1.0_f32, 2.0];
        assert!(given.apply(&mut row).is_err());
        assert_eq!(row, [1.0, 2.0]);
    }
    Activation::Elu { alpha: -2.0 }.validate().unwrap();
    Activation::Squareplus { b: 0.0 }.validate().unwrap();
    let odd = Activation::Glu.apply(&mut [1.0_f64, 2.0, 3.0]).map(|row| row.to_vec());
    assert_eq!(odd, Err(Error::OddWidth { activation: "glu", width: 3 }));
}

#[test]
fn custom_functions() {
    let cube = Activation::custom("cube", |x| x * x * x);
    let mut row = [1.0_f32, -2.0, 3.0];
    assert_eq!(cube.apply(&mut row).unwrap(), [1.0, -8.0, 27.0]);
    assert_eq!(cube.check_derivative(), Err(Error::NoDerivative { activation: "cube".into() }));
    let with = Activation::custom_with_derivative("cube", |x| x * x * x, |x| 3.0 * x * x);
    with.check_derivative().unwrap();
    assert_eq!(cube, cube.clone());
    assert_ne!(cube, with);
    assert_ne!(cube, Activation::custom("cube", |x| x * x * x));
    assert_eq!(format!("{cube:?}"), "Custom(CustomActivation { name: \"cube\", .. })");
    fn shared<T: Send + Sync + 'static>(_: &T) {}
    shared(&cube);
}

/// The promises about tanh and sigmoid, in both types.
#[test]
fn tanh_and_sigmoid() {
    fn check<T: Float>(x: T) {
        let (one, zero) = (T::one(), T::zero());
        let (t, s) = (math::tanh(x), math::sigmoid(x));
        if x.is_nan() {
            return assert!(t.is_nan() && s.is_nan() && math::exp(x).is_nan());
        }
        assert!(t.abs() <= one && zero <= s && s <= one && math::exp(x) >= zero, "{x}: {t} {s}");
        assert!(math::tanh(-x) == -t && t.is_sign_negative() == x.is_sign_negative(), "tanh({x})");
        assert!(s == x.sigmoid());
    }
    for bits in (0..=u32::MAX).step_by(65_521) {
        check(f32::from_bits(bits));
        check(f64::from_bits(u64::from(bits) << 32 | u64::from(!bits)));
    }
    fn exact<T: Float>(smallest: T) {
        let (one, zero, infinite) = (T::one(), T::zero(), T::infinity());
        assert!(math::tanh(zero) == zero && math::tanh(-zero).is_sign_negative());
        assert!(math::tanh(infinite) == one && math::tanh(-infinite) == -one);
        assert!(math::sigmoid(zero) == one / (one + one));
        assert!(math::sigmoid(infinite) == one && math::sigmoid(-infinite) == zero);
        assert!(math::exp(zero) == one && math::exp(infinite) == infinite && math::exp(-infinite) == zero);
        assert!(math::exp_m1(-infinite) == -one && math::exp_m1(-zero).is_sign_negative());
        // The smallest subnormal number is not flushed.
        assert!(math::tanh(smallest) == smallest && math::exp_m1(smallest) == smallest);
        assert!(
            math::ln_1p(smallest) == smallest
                && Activation::Elu { alpha: 1.0 }.apply(&mut [-smallest]).unwrap()[0] == -smallest
        );
        check(zero);
        check(T::nan());
    }
    exact(f32::from_bits(1));
    exact(f64::from_bits(1));
    let tail = math::sigmoid(-100.0_f32);
    assert!(tail > 0.0 && tail < f32::MIN_POSITIVE, "{tail:e}");
}

#[test]
fn logarithms_at_the_edges() {
    assert_eq!(math::ln(0.0), f64::NEG_INFINITY);
    assert_eq!(math::ln(-0.0), f64::NEG_INFINITY);
    assert_eq!(math::ln(f64::INFINITY), f64::INFINITY);
    assert!(math::ln(-1.0_f64).is_nan() && math::ln(f64::NAN).is_nan() && math::ln_1p(-1.5_f64).is_nan());
    assert_eq!(math::ln_1p(-1.0), f64::NEG_INFINITY);
    assert_eq!(math::ln_1p(f64::INFINITY), f64::INFINITY);
    assert!(math::ln_1p(-0.0_f64).is_sign_negative() && math::ln_1p(f64::NAN).is_nan());
    assert_eq!(math::ln(1.0), 0.0);
    assert!((math::ln(5e-324) - 5e-324_f64.ln()).abs() < 1e-12);
    assert_eq!(math::softplus(f64::NEG_INFINITY), 0.0);
    assert_eq!(math::softplus(f64::INFINITY), f64::INFINITY);
    assert_eq!(math::softplus(1e30_f32), 1e30);
    assert_eq!(math::exp(88.8_f32), f32::INFINITY);
    assert!(math::exp(88.7_f32).is_finite() && math::exp(709.7_f64).is_finite() && math::exp_m1(709.7_f64).is_finite());
}

/// Finite wherever the plain equations are, and no square or exponential overflows on the way.
#[test]
fn large_arguments() {
    let finite = ["softplus", "squareplus", "silu", "gelu", "mish", "tanh_shrink", "log_sigmoid", "selu", "softsign"];
    for name in finite {
        let activation: Activation = name.parse().unwrap();
        for x in [1e4_f64, -1e4, 1e30, -1e30, 1e200, -1e200] {
            let y = activation.apply(&mut [x]).unwrap()[0];
            assert!(y.is_finite() && y.abs() <= 2.0 * x.abs(), "{name}({x}) = {y}");
            if x.abs() < 1e38 {
                assert!(activation.apply(&mut [x as f32]).unwrap()[0].is_finite(), "{name}({x})");
            }
        }
    }
    assert_eq!(Activation::Silu.apply(&mut [-1e30_f64]).unwrap(), [0.0]);
}

#[test]
fn rows() {
    assert_eq!(Activation::Glu.apply(&mut [2.0_f32, 4.0, 0.0, f32::INFINITY]).unwrap(), [1.0, 4.0]);
    for activation in [Activation::Softmax, Activation::LogSoftmax, Activation::Sparsemax, Activation::Glu] {
        assert_eq!(activation.apply(&mut [0.0_f32; 0]).unwrap(), [0.0; 0]);
    }
    // A shift by one number changes nothing, and nothing overflows.
    let mut row = [1000.0_f32, 1001.0, 999.0];
    let mut shifted = [1.0_f32, 2.0, 0.0];
    assert_eq!(Activation::Softmax.apply(&mut row).unwrap(), Activation::Softmax.apply(&mut shifted).unwrap());
    // The logarithm of nearly one is precise: -exp(-40).
    let mut row = [0.0_f64, -40.0];
    assert!((Activation::LogSoftmax.apply(&mut row).unwrap()[0] / -(-40.0_f64).exp() - 1.0).abs() < 1e-15);
    let mut row = [0.0_f64, f64::NEG_INFINITY];
    assert_eq!(Activation::Softmax.apply(&mut row).unwrap(), [1.0, 0.0]);
    // Keras's sparsemax, not that of its documentation.
    assert_eq!(Activation::Sparsemax.apply(&mut [1.0_f32, 2.0, 3.0, 3.0]).unwrap(), [0.0; 4]);
    assert_eq!(Activation::Sparsemax.apply(&mut [0.2_f64, 0.1, 0.0, -0.1]).unwrap()[0], 0.2);
}
