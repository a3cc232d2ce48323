//! Slopes against TensorFlow's and against finite differences, and the same bits on every instruction set.

use serde_json::Value;

use super::{activate, activate_backward};
use crate::activation::Activation;
use crate::kernels::Element;
use crate::kernels::isa::Isa;

/// One of each kind, and each parameter away from its default.
pub(crate) fn all() -> Vec<Activation> {
    use Activation::*;
    vec![
        Linear,
        Relu,
        ReluWith { negative_slope: 0.1, max_value: Some(2.0), threshold: 0.5 },
        ReluWith { negative_slope: 0.0, max_value: None, threshold: -1.0 },
        LeakyRelu { negative_slope: 0.2 },
        Relu6,
        Elu { alpha: 0.7 },
        Celu { alpha: 0.7 },
        Selu,
        Softplus,
        Softsign,
        Squareplus { b: 1.5 },
        SoftShrink { threshold: 0.4 },
        HardShrink { threshold: 0.4 },
        TanhShrink,
        HardTanh,
        Tanh,
        Sigmoid,
        HardSigmoid,
        Activation::HARD_SIGMOID_KERAS_2,
        Affine { slope: -0.7, offset: 0.3 },
        ScaledTanh { scale: 1.3, slope: 0.6 },
        Clipped { bound: 0.8, of: Box::new(Sigmoid) },
        Clipped { bound: 1.2, of: Box::new(Elu { alpha: 0.7 }) },
        SparseSigmoid,
        LogSigmoid,
        Silu,
        HardSilu,
        Gelu { approximate: false },
        Gelu { approximate: true },
        SparsePlus,
        Mish,
        Glu,
        Threshold { threshold: 0.3, default_value: -1.0 },
        Exponential,
        Softmax,
        LogSoftmax,
        Sparsemax,
        Activation::custom_with_derivative("square", |x| x * x, |x| 2.0 * x),
    ]
}

/// Numbers of all sizes, the same in each run.
fn numbers<T: Element>(count: usize) -> Vec<T> {
    let mut state = 0x9e37_79b9_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f64::from(state >> 8) / f64::from(1 << 24)
    };
    (0..count).map(|_| T::narrowed((next() - 0.5) * 10_f64.powf(4.0 * next() - 1.0))).collect()
}

fn named(name: &str, parameters: &Value) -> Activation {
    let number = |key: &str| parameters[key].as_f64();
    if parameters.as_object().unwrap().is_empty() {
        return name.parse().unwrap();
    }
    match name {
        "relu" => Activation::ReluWith {
            negative_slope: number("negative_slope").unwrap_or(0.0),
            max_value: number("max_value"),
            threshold: number("threshold").unwrap_or(0.0),
        },
        "leaky_relu" => Activation::LeakyRelu { negative_slope: number("negative_slope").unwrap() },
        "elu" => Activation::Elu { alpha: number("alpha").unwrap() },
        "celu" => Activation::Celu { alpha: number("alpha").unwrap() },
        "soft_shrink" => Activation::SoftShrink { threshold: number("threshold").unwrap() },
        "hard_shrink" => Activation::HardShrink { threshold: number("threshold").unwrap() },
        "squareplus" => Activation::Squareplus { b: number("b").unwrap() },
        "gelu" => Activation::Gelu { approximate: parameters["approximate"].as_bool().unwrap() },
        "threshold" => Activation::Threshold {
            threshold: number("threshold").unwrap(),
            default_value: number("default_value").unwrap(),
        },
        other => panic!("{other} with parameters"),
    }
}

#[test]
fn values_and_slopes_are_tensorflows() {
    fn check<T: Element>(case: &Value, tolerance: f64) {
        let list = |key: &str| -> Vec<T> {
            case[key].as_array().unwrap().iter().map(|v| T::narrowed(v.as_f64().unwrap())).collect()
        };
        let activation = named(case["name"].as_str().unwrap(), &case["parameters"]);
        let (z, mut y, mut dy, mut expected) = (list("z"), list("z"), list("dy"), list("dz"));
        activate(Isa::detect(), &activation, &mut y);
        let expected_y = list("y");
        dy.resize(z.len(), T::zero());
        let upstream = dy.clone();
        activate_backward(Isa::detect(), &activation, &z, &y, &mut dy);
        if let Activation::Celu { .. } = activation {
            // TensorFlow adds the slopes of both halves at zero.
            for ((expected, &z), &dy) in expected.iter_mut().zip(&z).zip(&upstream) {
                *expected = if z == T::zero() { dy } else { *expected };
            }
        }
        for (ours, theirs) in y.iter().zip(&expected_y).chain(dy.iter().zip(&expected)) {
            let (ours, theirs) = (ours.widened(), theirs.widened());
            assert!(
                (ours - theirs).abs() <= tolerance * theirs.abs().max(1.0),
                "{case}: {ours} {theirs}\n{y:?}\n{dy:?}"
            );
        }
    }
    let text = std::fs::read_to_string("tests/golden/math/slopes.json").unwrap();
    let file: Value = serde_json::from_str(&text).unwrap();
    let cases = file["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 71);
    for case in cases {
        check::<f64>(case, 1e-12);
        // The sparsemax slopes depend on which elements are in the support, at whose edge these rows lie in f32.
        check::<f32>(case, 1e-5);
    }
}

#[test]
fn slopes_are_those_of_finite_differences() {
    for activation in all() {
        let width = 12;
        let z: Vec<f64> = numbers::<f64>(200).into_iter().filter(|z| z.abs() < 8.0).take(width).collect();
        let value = |z: &[f64]| {
            let mut y = z.to_vec();
            activate(Isa::detect(), &activation, &mut y);
            y.truncate(if activation.changes_width() { width / 2 } else { width });
            y
        };
        let mut dy: Vec<f64> = (0..width).map(|i| 1.0 + 0.37 * i as f64).collect();
        let upstream = dy.clone();
        let y = value(&z);
        activate_backward(Isa::detect(), &activation, &z, &[y, vec![0.0; width / 2]].concat()[..width], &mut dy);
        for i in 0..width {
            let step = 1e-5;
            let moved = |by: f64| {
                let mut z = z.clone();
                z[i] += by;
                value(&z).iter().zip(&upstream).map(|(y, d)| y * d).sum::<f64>()
            };
            let slope = (moved(step) - moved(-step)) / (2.0 * step);
            assert!((slope - dy[i]).abs() < 1e-6 * slope.abs().max(1.0), "{activation} {z:?} {i}: {slope} {}", dy[i]);
        }
    }
}

#[test]
fn the_same_bits_on_every_instruction_set() {
    fn check<T: Element>(bits: fn(T) -> u64) {
        let fused: Vec<Isa> = Isa::available().into_iter().filter(|&isa| isa.is_fused()).collect();
        let Some((&first, others)) = fused.split_first() else { return };
        println!("{first:?} and {others:?}");
        for activation in all() {
            for length in (0..=67).filter(|n| n % 2 == 0 || !activation.changes_width()) {
                let run = |isa| {
                    let (z, mut y, mut dy) = (numbers::<T>(length), numbers(length), numbers(length));
                    dy.reverse();
                    activate(isa, &activation, &mut y);
                    activate_backward(isa, &activation, &z, &y, &mut dy);
                    y.into_iter().chain(dy).map(bits).collect::<Vec<u64>>()
                };
                for &other in others {
                    assert_eq!(run(first), run(other), "{activation}, {length} elements, {other:?}");
                }
            }
        }
    }
    check::<f32>(|x| if x.is_nan() { u64::MAX } else { x.to_bits().into() });
    check::<f64>(|x| if x.is_nan() { u64::MAX } else { x.to_bits() });
}

#[test]
fn a_row_is_its_elements() {
    for activation in all().iter().filter(|a| a.is_elementwise()) {
        let z: Vec<f32> = numbers(67);
        let mut row = z.clone();
        activate(Isa::detect(), activation, &mut row);
        for (z, y) in z.into_iter().zip(row) {
            let mut one = [z];
            activate(Isa::detect(), activation, &mut one);
            assert_eq!(one[0].to_bits(), y.to_bits(), "{activation}({z})");
        }
    }
}
