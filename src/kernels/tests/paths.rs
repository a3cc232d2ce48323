//! Every path gives the bits of the specification.

use super::case::{CELLS, Case, Cell, How, Outcome, assert_same_bits};
use crate::activation::Activation;
use crate::kernels::Element;
use crate::kernels::isa::Isa;

/// Runs a case in every way, on every instruction set, against the specification on the first of them.
fn same_bits<T: Element>(case: &Case) {
    let fma: Vec<Isa> = Isa::available().into_iter().filter(|isa| isa.is_fused()).collect();
    let other: Vec<Isa> = Isa::available().into_iter().filter(|isa| !isa.is_fused()).collect();
    for group in [fma, other] {
        let Some(&first) = group.first() else { continue };
        let expected: Outcome<T> = case.run(first, &How { reference: true, ..How::default() });
        for &isa in &group {
            let gap = How { gap: 3, dirt: 7.0, ..How::default() };
            for how in [
                How { reference: true, ..How::default() },
                How::default(),
                How { odd_step: true, ..How::default() },
                How { projected: true, ..How::default() },
                How { projected: true, odd_step: true, ..gap.clone() },
                How { tape: true, ..gap },
            ] {
                let outcome: Outcome<T> = case.run(isa, &how);
                let what = (isa, &how, case.cell, case.weights.input_size, case.weights.units, case.batch);
                assert_same_bits(&outcome.state, &expected.state, &what);
            }
        }
    }
}

fn sizes<T: Element>(activation: Activation, recurrent_activation: Activation) {
    for cell in CELLS {
        for units in 1..=70 {
            let (inputs, batch) = (units * 7 % 13 + 1, units % 3 + 1);
            let case = Case::new(cell, inputs, units, batch, 5);
            same_bits::<T>(&case.activations(activation.clone(), recurrent_activation.clone()));
        }
    }
}

#[test]
fn every_number_of_units_in_f32() {
    sizes::<f32>(Activation::Tanh, Activation::Sigmoid);
}

#[test]
fn every_number_of_units_in_f64() {
    sizes::<f64>(Activation::Tanh, Activation::Sigmoid);
}

#[test]
fn every_number_of_units_unfused() {
    sizes::<f32>(Activation::Softsign, Activation::HardSigmoid);
    sizes::<f64>(Activation::Relu, Activation::Softmax);
}

#[test]
fn every_number_of_rows() {
    for cell in CELLS {
        for batch in 1..=27 {
            let case = Case::new(cell, 5, 40, batch, 6);
            same_bits::<f32>(&case);
            same_bits::<f64>(&case);
            same_bits::<f32>(&case.activations(Activation::Softmax, Activation::Relu));
        }
    }
}

#[test]
fn many_rows_through_the_unfused_scratch() {
    for cell in CELLS {
        let case = Case::new(cell, 3, 17, 71, 6);
        same_bits::<f32>(&case.activations(Activation::Linear, Activation::HardSigmoid));
    }
}

/// A row's result is the same whatever rows stand beside it, and other rows are left alone.
fn row_lists<T: Element>(cell: Cell, activation: Activation) {
    let batch = 13;
    let case = Case::new(cell, 4, 23, batch, 7).activations(activation, Activation::Sigmoid);
    for isa in Isa::available() {
        let all: Outcome<T> = case.run(isa, &How::default());
        let width = case.state_width();
        for rows in [vec![], vec![12], vec![0, 5], vec![3, 4, 11], vec![12, 0, 7, 3], vec![1, 2, 3, 5, 8, 9, 10]] {
            let how = How { rows: Some(rows.clone()), gap: 2, dirt: 3.5, ..How::default() };
            let some: Outcome<T> = case.run(isa, &how);
            for row in 0..batch {
                let got = &some.state[row * width..][..width];
                if rows.contains(&row) {
                    assert_same_bits(got, &all.state[row * width..][..width], &(isa, &rows, row));
                } else {
                    assert!(got.iter().all(|&v| v == T::narrowed(3.5)), "row {row} isn't live: {rows:?}");
                }
            }
        }
    }
}

#[test]
fn lists_of_rows_with_gaps() {
    for cell in CELLS {
        row_lists::<f32>(cell, Activation::Tanh);
        row_lists::<f64>(cell, Activation::Tanh);
        row_lists::<f32>(cell, Activation::Softmax);
    }
}
