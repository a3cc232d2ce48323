//! Preactivations and states at the ends: finite, infinite or NaN where the plain equations are, in the same floats.

use super::case::{Case, Cell, How, Outcome, assert_same_bits};
use crate::kernels::Element;
use crate::kernels::isa::Isa;

const PREACTIVATIONS: [f64; 11] =
    [0.0, -0.0, 1.5, -20.0, 60.0, -60.0, 88.0, -1e4, 1e4, f64::INFINITY, f64::NEG_INFINITY];

fn sigmoid<T: Element>(x: T) -> T {
    T::one() / (T::one() + (-x).exp())
}

/// The new state by the plain equations, in T.
fn plain<T: Element>(cell: Cell, z: &[T], state: &[T]) -> Vec<T> {
    let one = T::one();
    match cell {
        Cell::SimpleRnn => vec![z[0].tanh()],
        Cell::Lstm => {
            let c = sigmoid(z[1]) * state[1] + sigmoid(z[0]) * z[2].tanh();
            vec![sigmoid(z[3]) * c.tanh(), c]
        }
        Cell::GruAfter => {
            let (update, reset) = (sigmoid(z[0]), sigmoid(z[1]));
            vec![update * state[0] + (one - update) * (z[2] + reset * z[3]).tanh()]
        }
        Cell::GruBefore => vec![sigmoid(z[0]) * state[0] + (one - sigmoid(z[0])) * z[2].tanh()],
    }
}

/// Runs one unit for each of `values`, which are the preactivations' places in a list, through weights of zero.
fn check<T: Element>(cell: Cell, states: &[f64], values: impl Fn(usize, usize) -> f64, units: usize) {
    for &state in states {
        for batch in [1, 3] {
            let mut case = Case::new(cell, 1, units, batch, 1);
            let parts = if cell == Cell::GruAfter { 6 } else { cell.gates() };
            case.weights.kernel.fill(0.0);
            case.weights.recurrent_kernel.fill(0.0);
            case.weights.bias = (0..parts * units).map(|at| values(at / units, at % units)).collect();
            // The LSTM's h is multiplied by weights only: an infinite one would be NaN times zero.
            let is_c = |at: usize| cell != Cell::Lstm || at % (2 * units) >= units;
            case.state = (0..case.state.len()).map(|at| if is_c(at) { state } else { 0.0 }).collect();
            let reference: Outcome<T> = case.run(Isa::available()[0], &How { reference: true, ..How::default() });
            for isa in Isa::available() {
                let outcome: Outcome<T> = case.run(isa, &How::default());
                if isa.is_fused() {
                    assert_same_bits(&outcome.state, &reference.state, &(isa, cell, state));
                }
                for unit in 0..units {
                    let z: Vec<T> = match cell {
                        // z and r have two biases; the second ones are zero here.
                        Cell::GruAfter => [0, 1, 2, 5].map(|part| T::narrowed(values(part, unit))).into(),
                        _ => (0..cell.gates()).map(|part| T::narrowed(values(part, unit))).collect(),
                    };
                    let state = T::narrowed(state);
                    let expected = plain(cell, &z, &[state, state]);
                    for (part, &expected) in expected.iter().enumerate() {
                        let got = outcome.state[part * units + unit];
                        let what = (isa, cell, &z, state, got, expected);
                        assert_eq!(got.is_nan(), expected.is_nan(), "{what:?}");
                        assert_eq!(got.is_infinite(), expected.is_infinite(), "{what:?}");
                        if expected.is_finite() {
                            let scale = state.abs().max(T::one());
                            let scale = if scale.is_finite() { scale } else { T::one() };
                            assert!((got - expected).abs() <= T::narrowed(4e-7) * scale, "{what:?}");
                        } else if expected.is_infinite() {
                            assert!(got == expected, "{what:?}");
                        }
                    }
                }
            }
        }
    }
}

/// All combinations of preactivations of the gates, some in the units and the others in turn.
fn all<T: Element>(largest: f64) {
    let n = PREACTIVATIONS.len();
    let at = |i: usize| PREACTIVATIONS[i % n];
    let finite = [0.0, 1.0, -0.75, largest, -largest];
    let endless = [f64::INFINITY, f64::NEG_INFINITY, f64::NAN];
    check::<T>(Cell::SimpleRnn, &finite, |_, unit| at(unit), n);
    let states: Vec<f64> = finite.into_iter().chain(endless).collect();
    for other in 0..n * n {
        let lstm = |part: usize, unit: usize| match part {
            0 => at(unit),
            1 => at(unit / n),
            2 => at(other),
            _ => at(other / n),
        };
        check::<T>(Cell::Lstm, &states, lstm, n * n);
        let gru = |part: usize, unit: usize| match part {
            0 => at(unit),
            1 => at(other / n),
            2 => at(unit / n),
            5 => at(other),
            _ => 0.0,
        };
        check::<T>(Cell::GruAfter, &finite, gru, n * n);
    }
    let before = |part: usize, unit: usize| if part == 0 { at(unit) } else { at(unit / n) };
    check::<T>(Cell::GruBefore, &finite, before, n * n);
}

#[test]
fn the_ends_of_f32() {
    all::<f32>(1e38);
}

#[test]
fn the_ends_of_f64() {
    all::<f64>(1e307);
}
