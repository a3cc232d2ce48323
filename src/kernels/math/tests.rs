//! The bounds on each instruction set, the one without fused multiply-add included, and what kernels rely on.
//! `tests/sweep.rs` has all of `f32` for the best one.

use super::exp::{sigmoid_and_rest, sigmoid_fraction, tanh_fraction};
use crate::activation::Activation;
use crate::kernels::Element;
use crate::kernels::activate::activate;
use crate::kernels::isa::{Arch, Isa, Kernel, dispatch};
use crate::math::{MAX_ULP_F32, MAX_ULP_F64};

/// Every 10007th number, in all sizes and signs, then the special ones.
fn some_f32() -> Vec<f32> {
    let special = [0.0, -0.0, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, f32::MIN, f32::MIN_POSITIVE, 1e-45, -1e-45];
    (0..=u32::MAX).step_by(10_007).map(f32::from_bits).filter(|x| !x.is_nan()).chain(special).collect()
}

#[test]
fn f32_bounds_hold_on_each_instruction_set() {
    type Oracle = fn(f64) -> f64;
    let functions: [(Activation, Oracle); 3] = [
        (Activation::Tanh, f64::tanh),
        (Activation::Sigmoid, |x| 1.0 / (1.0 + (-x).exp())),
        (Activation::Exponential, f64::exp),
    ];
    for isa in Isa::available() {
        for (activation, oracle) in &functions {
            let (x, mut y) = (some_f32(), some_f32());
            activate(isa, activation, &mut y);
            let mut worst = 0.0;
            for (x, y) in x.into_iter().zip(y) {
                let truth = oracle(x.into());
                if truth > f32::MAX.into() {
                    assert!(y >= f32::MAX, "{isa:?} {activation}({x:e}) = {y:e}");
                } else if truth.abs() < f32::MIN_POSITIVE.into() {
                    assert!(
                        (f64::from(y) - truth).abs() < f32::MIN_POSITIVE.into(),
                        "{isa:?} {activation}({x:e}) = {y:e}"
                    );
                } else {
                    let ulp = f64::from_bits(((truth.abs().to_bits() >> 52) - 23) << 52);
                    let error = (f64::from(y) - truth).abs() / ulp;
                    assert!(error <= MAX_ULP_F32, "{isa:?} {activation}({x:e}) = {y:e}, not {truth:e}: {error} ulp");
                    worst = if error > worst { error } else { worst };
                }
            }
            println!("{isa:?} {activation}: {worst:.3} ulp");
        }
    }
}

#[test]
fn f64_bounds_hold_on_each_instruction_set() {
    let text = std::fs::read_to_string("tests/golden/math/values.txt").unwrap();
    for isa in Isa::available() {
        let mut worst = (0.0, "");
        for line in text.lines() {
            let (name, numbers) = line.split_once(' ').unwrap();
            let activation = match name {
                "exp" => Activation::Exponential,
                "exp_m1" | "ln" | "ln_1p" => continue,
                "gelu_by_tanh" => Activation::Gelu { approximate: true },
                "elu" => Activation::Elu { alpha: 0.75 },
                "celu" => Activation::Celu { alpha: 0.75 },
                by_name => by_name.parse().unwrap(),
            };
            let numbers: Vec<f64> = numbers.split(' ').map(|number| number.parse().unwrap()).collect();
            let mut y = [numbers[0], 10.3, -1.7];
            let width = if activation.is_elementwise() { 1 } else { 3 };
            activate(isa, &activation, &mut y[..width]);
            let ulp = f64::from_bits(numbers[1].abs().to_bits() + 1) - numbers[1].abs();
            let error = ((y[0] - numbers[1]) / ulp - numbers[2]).abs();
            assert!(error <= MAX_ULP_F64, "{isa:?} {line}: {error} ulp");
            worst = if error > worst.0 { (error, name) } else { worst };
        }
        println!("{isa:?} f64: {worst:?}");
    }
}

/// What `Fraction` promises.
#[test]
fn fractions_stay_between_zero_and_one() {
    struct Fractions<T>(T);
    impl<T: Element> Kernel for Fractions<T> {
        type Output = [T; 5];
        #[inline(always)]
        fn run<A: Arch>(self, _: A) -> [T; 5] {
            let (t, s) = (tanh_fraction::<A, T>(self.0), sigmoid_fraction::<A, T>(self.0));
            let (same, rest) = sigmoid_and_rest::<A, T>(self.0);
            assert!(same.numerator == s.numerator && same.denominator == s.denominator);
            [t.numerator, t.denominator, s.numerator, s.denominator, rest]
        }
    }
    fn check<T: Element>(x: T) {
        for isa in Isa::available() {
            let [t, dt, s, ds, rest] = dispatch(isa, Fractions(x));
            let (zero, one, two) = (T::zero(), T::one(), T::one() + T::one());
            assert!(one <= dt && dt <= two && t.abs() <= dt, "tanh {x}: {t} / {dt}");
            assert!(one <= ds && ds <= two && zero <= s && s <= ds, "sigmoid {x}: {s} / {ds}");
            assert!(zero <= rest && rest <= ds && (s == one || rest == one), "1 - sigmoid {x}: {rest} / {ds}");
        }
    }
    for x in some_f32() {
        check(x);
        check(f64::from(x));
    }
}
