//! Activations through the public API: Keras's values, names, parameters, and what is refused.

use recurrent::{Activation, Error, Float};
use serde_json::Value;

/// Names and parameters as in Keras's calls.
fn activation(name: &str, parameters: &Value) -> Activation {
    let number = |key: &str| parameters[key].as_f64();
    let known =
        |key: &str| number(key).unwrap_or_else(|| panic!("{name} without {key}: {parameters}"));
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
        "threshold" => Activation::Threshold {
            threshold: known("threshold"),
            default_value: known("default_value"),
        },
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
        let activation =
            activation(case["activation"]["name"].as_str().unwrap(), &case["activation"]["args"]);
        let mut wrong = Vec::new();
        for (input, output) in [("input", "output"), ("special_input", "special_output")] {
            if case[input].is_null() {
                continue;
            }
            let width =
                case[input]["shape"].as_array().unwrap().last().unwrap().as_u64().unwrap() as usize;
            let x = numbers::<T>(&case[input]);
            let mut y = x.clone();
            let y: Vec<T> = y
                .chunks_mut(width)
                .flat_map(|row| activation.apply(row).unwrap().to_vec())
                .collect();
            let keras = numbers::<T>(&case[output]);
            assert_eq!(y.len(), keras.len(), "{activation}");
            for (i, (ours, keras)) in y.iter().zip(&keras).enumerate() {
                let (a, b) = (ours.into_f64(), keras.into_f64());
                let same = a == b || (a.is_nan() && b.is_nan());
                if !same && !((a - b).abs() <= tolerance * b.abs().max(1.0)) {
                    wrong.push(format!("{} {:?}: {a}, Keras {b}", case["name"], x.get(i)));
                }
            }
        }
        wrong
    }
    let path = "tests/golden/keras/activations.json";
    let Ok(text) = std::fs::read_to_string(path) else { return println!("no {path}") };
    let file: Value = serde_json::from_str(&text).unwrap();
    let cases = file["cases"].as_array().unwrap();
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
