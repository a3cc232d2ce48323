//! The promised bounds: every `f32` there is, and true values for `f64`.
//!
//! In a debug build the sweeps take every 4095th number. `cargo test --release --test sweep` takes all.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use recurrent::Activation;
use recurrent::math::{self, MAX_ULP_F32, MAX_ULP_F64};

const STRIDE: usize = if cfg!(debug_assertions) { 4096 - 1 } else { 1 };
const BLOCK: usize = 4096;

/// The error of `y` over the promised bound: in units in the last place of the truth where that is a normal number, in
/// smallest normal numbers below that.
fn error_over_bound(y: f32, truth: f64) -> f64 {
    const BELOW_NORMAL: u64 = 1023 - 126;
    // Infinity stands for the number after the largest.
    let after = 2_f64.powi(128);
    let (y, truth) = (f64::from(y).clamp(-after, after), truth.clamp(-after, after));
    let exponent = truth.to_bits() >> 52 & 0x7ff;
    let bound = if exponent < BELOW_NORMAL {
        f64::from_bits(BELOW_NORMAL << 52)
    } else {
        MAX_ULP_F32 * f64::from_bits((exponent - 23) << 52)
    };
    (y - truth).abs() / bound
}

/// The largest error over the bound and where it is, for the `f32` with these bits and for their negatives.
fn worst(bits: Range<u32>, activation: &Activation, oracle: fn(f64) -> f64) -> (f64, f32) {
    let mut worst = (0.0, 0.0);
    let mut check = |x: &[f32]| {
        let mut y = x.to_vec();
        activation.apply(&mut y).unwrap();
        for (&x, y) in x.iter().zip(y) {
            let truth = oracle(x.into());
            // The nearest number there is: mostly.
            if y == truth as f32 {
                continue;
            }
            let error = error_over_bound(y, truth);
            if error > worst.0 {
                worst = (error, x);
            }
            assert!(!error.is_nan() || (x.is_nan() && y.is_nan()), "{activation}({x}) = {y}");
        }
    };
    let bits: Vec<u32> = bits.step_by(BLOCK * STRIDE).collect();
    for start in bits {
        let mut x = [0.0; BLOCK];
        for (i, x) in x.iter_mut().enumerate() {
            *x = f32::from_bits(start + (i * STRIDE) as u32);
        }
        check(&x);
        check(&x.map(|x| -x));
    }
    worst
}

/// [`worst`] over all `f32`, NaNs included, in two or more threads.
fn sweep(activation: Activation, oracle: fn(f64) -> f64) {
    const PARTS: u32 = 64;
    let next = AtomicU32::new(0);
    let work = || {
        let mut found = (0.0, 0.0);
        loop {
            let part = next.fetch_add(1, Ordering::Relaxed);
            if part >= PARTS {
                return found;
            }
            let size = (1 << 31) / PARTS;
            let new = worst(part * size..(part + 1) * size, &activation, oracle);
            found = if new.0 > found.0 { new } else { found };
        }
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let (error, x) = thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).fold((0.0, 0.0), |a, b| if b.0 > a.0 { b } else { a })
    });
    println!("f32 {activation}: {:.3} ulp at {x:e}", error * MAX_ULP_F32);
    assert!(error <= 1.0, "{activation}({x:e}): {error} times the bound");
}

// The oracles, in f64, spare themselves the library's function where the answer is plain.

#[test]
fn f32_tanh() {
    sweep(Activation::Tanh, |x| if x.abs() < 1e-5 { x - x * x * x / 3.0 } else { x.tanh() });
}

#[test]
fn f32_sigmoid() {
    sweep(Activation::Sigmoid, |x| if x.abs() < 1e-9 { 0.5 + x / 4.0 } else { 1.0 / (1.0 + (-x).exp()) });
}

#[test]
fn f32_exp() {
    sweep(Activation::Exponential, |x| if x.abs() < 1e-9 { 1.0 + x } else { x.exp() });
}

/// The other activations in `f32` against themselves in `f64`, whose own errors don't count here.
#[test]
fn f32_others() {
    use Activation::*;
    let all = [
        Relu,
        ReluWith { negative_slope: 0.25, max_value: Some(2.0), threshold: 0.5 },
        LeakyRelu { negative_slope: 0.2 },
        Relu6,
        Elu { alpha: 0.75 },
        Celu { alpha: 0.75 },
        Selu,
        Softplus,
        Softsign,
        Squareplus { b: 4.0 },
        HardShrink { threshold: 0.5 },
        TanhShrink,
        HardTanh,
        HardSigmoid,
        SparseSigmoid,
        LogSigmoid,
        Silu,
        HardSilu,
        SparsePlus,
        Gelu { approximate: false },
        Gelu { approximate: true },
        Mish,
        Threshold { threshold: 0.5, default_value: 0.25 },
    ];
    for activation in &all {
        let by = |x: f64| activation.apply(&mut [x]).unwrap()[0];
        some_f32(&activation.to_string(), |x| activation.apply(&mut [x]).unwrap()[0], by);
    }
}

#[test]
fn f32_functions() {
    some_f32("exp_m1", math::exp_m1, f64::exp_m1);
    some_f32("ln", math::ln, f64::ln);
    some_f32("ln_1p", math::ln_1p, f64::ln_1p);
    some_f32("softplus", math::softplus, math::softplus);
}

fn some_f32(name: &str, function: impl Fn(f32) -> f32, oracle: impl Fn(f64) -> f64) {
    let mut worst = (0.0, 0.0);
    for x in (0..=u32::MAX).step_by(STRIDE * 997).map(f32::from_bits).filter(|x| x.is_finite()) {
        let (y, truth) = (function(x), oracle(x.into()));
        let error = error_over_bound(y, truth);
        assert!(error <= 1.0 || (y.is_nan() && truth.is_nan()), "{name}({x:e}) = {y:e}, not {truth:e}");
        worst = if error > worst.0 { (error, x) } else { worst };
    }
    println!("f32 {name}: {:.3} ulp at {:e}", worst.0 * MAX_ULP_F32, worst.1);
}

#[test]
fn f64_values() {
    let text = std::fs::read_to_string("tests/golden/math/values.txt").unwrap();
    let mut worst: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
    for line in text.lines() {
        let (name, numbers) = line.split_once(' ').unwrap();
        let numbers: Vec<f64> = numbers.split(' ').map(|number| number.parse().unwrap()).collect();
        let [x, nearest, lack] = numbers[..] else { panic!("{line}") };
        let ulp = f64::from_bits(nearest.abs().to_bits() + 1) - nearest.abs();
        let error = ((f64_function(name, x) - nearest) / ulp - lack).abs();
        let worst = worst.entry(name).or_default();
        if error > worst.0 {
            *worst = (error, x);
        }
    }
    assert_eq!(worst.len(), 19);
    for (name, (error, x)) in worst {
        println!("f64 {name}: {error:.3} ulp at {x:e}");
        assert!(error <= MAX_ULP_F64, "{name}({x:e}): {error} ulp");
    }
}

fn f64_function(name: &str, x: f64) -> f64 {
    let activation = match name {
        "exp" => return math::exp(x),
        "exp_m1" => return math::exp_m1(x),
        "ln" => return math::ln(x),
        "ln_1p" => return math::ln_1p(x),
        "sigmoid" => return math::sigmoid(x),
        "softplus" => return math::softplus(x),
        "tanh" => return math::tanh(x),
        "gelu_by_tanh" => Activation::Gelu { approximate: true },
        "elu" => Activation::Elu { alpha: 0.75 },
        "celu" => Activation::Celu { alpha: 0.75 },
        by_name => by_name.parse().unwrap(),
    };
    // Those of a whole row: its first element.
    let row = if activation.is_elementwise() { &mut [x][..] } else { &mut [x, 10.3, -1.7] };
    activation.apply(row).unwrap()[0]
}
