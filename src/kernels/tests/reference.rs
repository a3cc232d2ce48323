//! The scalar reference against the oracle.

use super::case::{CELLS, Case, How, assert_close};
use crate::activation::Activation;
use crate::kernels::Element;
use crate::kernels::isa::Isa;

fn agrees<T: Element>(tolerance: f64) {
    for cell in CELLS {
        for (input_size, units, batch) in [(1, 1, 1), (3, 5, 2), (2, 16, 3), (5, 24, 2), (7, 33, 2), (20, 41, 1)] {
            let case = Case::new(cell, input_size, units, batch, 1);
            let others = case.clone().activations(Activation::Softsign, Activation::HardSigmoid).dropout(false, 3);
            let whole_row = case.clone().activations(Activation::Softmax, Activation::Relu).dropout(true, 4);
            for case in [case, others, whole_row] {
                let expected = case.naive();
                for projected in [false, true] {
                    let mut case = case.clone();
                    if projected {
                        case.input_mask = None;
                    }
                    let expected = if projected { case.naive() } else { expected.clone() };
                    let how = How { tape: true, projected, ..How::default() };
                    for isa in Isa::available() {
                        let outcome = case.run::<T>(isa, &how);
                        assert_close(&outcome.state, &expected.state, tolerance, &(isa, &case));
                        if !outcome.tape.is_empty() {
                            assert_close(&outcome.tape, &expected.tape, tolerance, &(isa, &case));
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn agrees_with_the_equations_in_f32() {
    agrees::<f32>(2e-6);
}

#[test]
fn agrees_with_the_equations_in_f64() {
    agrees::<f64>(1e-14);
}
