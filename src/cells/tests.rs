//! Every built-in cell: its kernel against its equations, and its backward pass against finite differences of them.

use ndarray::ArrayD;

use super::builder::Builder;
use super::mgu::MguForm;
use super::{BuiltInCell, Cell, CellDropout, Step, StepBackward, StepDropout};
use crate::activation::Activation;
use crate::gradients::WeightGradients;
use crate::initializers::Initializer;
use crate::layers::names::{Gru, IndRnn, LayerNormLstm, Lstm, Mgu, SimpleRnn};
use crate::random::SeedSource;
use crate::weights::{WeightVisitor, WeightVisitorMut};

/// All that a step reads and what it leaves.
struct Row {
    x: Vec<f64>,
    prev: Vec<f64>,
    masks: [Vec<f64>; 2],
    next: Vec<f64>,
    tape: Vec<f64>,
    scratch: Vec<f64>,
}

impl Row {
    fn of(cell: &impl Cell<Elem = f64>) -> Self {
        let mut number = numbers();
        let width = cell.state_layout().width();
        let mut values = |len: usize| (0..len).map(|_| number()).collect::<Vec<_>>();
        let (x, prev) = (values(cell.input_size()), values(width));
        let masks = |len: usize| (0..len).map(|i| if i % 3 == 1 { 0.0 } else { 1.25 }).collect();
        let dropout = cell.dropout().first();
        let widths = [CellDropout::input_width, CellDropout::recurrent_width];
        let masks = widths.map(|width| masks(dropout.map_or(0, width)));
        let (tape, scratch) = (vec![f64::NAN; cell.tape_len()], vec![f64::NAN; cell.scratch_len()]);
        Row { x, prev, masks, next: vec![f64::NAN; width], tape, scratch }
    }

    fn step(&mut self) -> Step<'_, f64> {
        let [input, recurrent] = &self.masks;
        Step {
            x: &self.x,
            prev: &self.prev,
            next: &mut self.next,
            dropout: StepDropout { input, recurrent },
            tape: Some(&mut self.tape),
            scratch: &mut self.scratch,
        }
    }
}

/// Numbers between -1 and 1, the same in every run.
fn numbers() -> impl FnMut() -> f64 {
    let mut state = 12345_u64;
    move || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
    }
}

fn near(what: &str, ours: &[f64], theirs: &[f64], tolerance: f64) {
    assert_eq!(ours.len(), theirs.len(), "{what}");
    for (i, (a, b)) in ours.iter().zip(theirs).enumerate() {
        assert!((a - b).abs() <= tolerance * b.abs().max(1.0), "{what}[{i}]: {a} instead of {b}");
    }
}

/// Checks that a step and its backward pass are those of the equations.
fn check<C: BuiltInCell<Elem = f64>>(what: &str, builder: Builder<'static, C>) {
    let uniform = Initializer::RandomUniform { minval: -0.8, maxval: 0.8, seed: None };
    let cell = builder
        .kernel_initializer(uniform.clone())
        .recurrent_initializer(uniform.clone())
        .bias_initializer(uniform)
        .seeds(&mut SeedSource::keras(5))
        .build_cell();
    let mut cell = cell.unwrap_or_else(|error| panic!("{what}: {error}"));
    let (mut by_hand, mut by_equations) = (Row::of(&cell), Row::of(&cell));
    cell.step(by_hand.step());
    cell.forward(by_equations.step());
    near(&format!("{what}: next"), &by_hand.next, &by_equations.next, 1e-13);
    near(&format!("{what}: tape"), &by_hand.tape, &by_equations.tape, 1e-13);
    check_backward(what, &mut cell);
}

/// The sum of the new state's elements times fixed numbers, whose gradients the backward pass is asked for.
fn loss(cell: &impl BuiltInCell<Elem = f64>, row: &mut Row, d_next: &[f64]) -> f64 {
    cell.forward(row.step());
    row.next.iter().zip(d_next).map(|(next, d)| next * d).sum()
}

fn check_backward<C: BuiltInCell<Elem = f64>>(what: &str, cell: &mut C) {
    const STEP: f64 = 1e-5;
    let mut row = Row::of(cell);
    let mut number = numbers();
    let d_next: Vec<f64> = row.next.iter().map(|_| number() + 0.2).collect();
    cell.forward(row.step());
    let mut gradients = Vec::new();
    cell.visit_weights(&mut WeightVisitor::new(&mut |_, weight| gradients.push(ArrayD::zeros(weight.raw_dim()))));
    let (mut d_x, mut d_prev) = (vec![f64::NAN; row.x.len()], vec![f64::NAN; row.prev.len()]);
    let mut scratch = vec![f64::NAN; cell.backward_scratch_len()];
    let [input, recurrent] = &row.masks;
    let step = StepBackward {
        x: &row.x,
        prev: &row.prev,
        next: &row.next,
        tape: &row.tape,
        dropout: StepDropout { input, recurrent },
        d_next: &d_next,
        d_prev: &mut d_prev,
        d_x: &mut d_x,
        scratch: &mut scratch,
    };
    cell.backward(step, &mut WeightGradients::new(&mut gradients));

    let difference = |row: &mut Row, set: &mut dyn FnMut(&mut Row, f64)| {
        set(row, STEP);
        let after = loss(cell, row, &d_next);
        set(row, -2.0 * STEP);
        let before = loss(cell, row, &d_next);
        set(row, STEP);
        (after - before) / (2.0 * STEP)
    };
    let of_x: Vec<_> = (0..row.x.len()).map(|i| difference(&mut row, &mut |row, by| row.x[i] += by)).collect();
    near(&format!("{what}: x"), &d_x, &of_x, 1e-8);
    let of_prev: Vec<_> = (0..row.prev.len()).map(|i| difference(&mut row, &mut |row, by| row.prev[i] += by)).collect();
    near(&format!("{what}: state"), &d_prev, &of_prev, 1e-8);

    for (place, gradient) in gradients.iter().enumerate() {
        let mut name = String::new();
        let differences: Vec<_> = (0..gradient.len())
            .map(|i| {
                name = change_weight(cell, place, i, STEP);
                let after = loss(cell, &mut row, &d_next);
                change_weight(cell, place, i, -2.0 * STEP);
                let before = loss(cell, &mut row, &d_next);
                change_weight(cell, place, i, STEP);
                (after - before) / (2.0 * STEP)
            })
            .collect();
        let ours: Vec<_> = gradient.iter().copied().collect();
        near(&format!("{what}: {name}"), &ours, &differences, 1e-8);
    }
}

/// Adds to one element of a weight, and returns the weight's name.
fn change_weight(cell: &mut impl BuiltInCell<Elem = f64>, place: usize, i: usize, by: f64) -> String {
    let (mut at, mut name) = (0, String::new());
    cell.visit_weights_mut(&mut WeightVisitorMut::new(&mut |path, mut weight| {
        if at == place {
            name = path.to_string();
            weight.iter_mut().skip(i).take(1).for_each(|value| *value += by);
        }
        at += 1;
    }));
    name
}

/// With one mask for all gates, masks for each, and without a bias.
macro_rules! check_with_dropout {
    ($what:expr, $builder:expr) => {
        check($what, $builder);
        check(concat!($what, ", dropout"), $builder.dropout(0.2));
        check(concat!($what, ", both dropouts"), $builder.dropout(0.2).recurrent_dropout(0.2));
        check(concat!($what, ", without a bias"), $builder.use_bias(false).activation(Activation::Silu));
    };
}

#[test]
fn simple_rnn() {
    check_with_dropout!("SimpleRNN", SimpleRnn::<f64>::builder(3, 4));
}

#[test]
fn lstm() {
    check_with_dropout!("LSTM", Lstm::<f64>::builder(3, 4));
    check("LSTM, softplus", Lstm::<f64>::builder(3, 4).recurrent_activation(Activation::Softplus));
}

#[test]
fn lstm_with_options() {
    let lstm = || Lstm::<f64>::builder(3, 4);
    check_with_dropout!("peephole", lstm().peephole(true));
    check_with_dropout!("input_forget", lstm().input_forget(true));
    check_with_dropout!("clip", lstm().clip(0.4));
    check_with_dropout!("projection", lstm().projection_units(2));
    check_with_dropout!("a wider projection", lstm().projection_units(5));
    check_with_dropout!("all options", lstm().peephole(true).input_forget(true).clip(0.4).projection_units(2));
    check_with_dropout!("all but one", lstm().peephole(true).clip(0.4).projection_units(2));
}

#[test]
fn ind_rnn() {
    check_with_dropout!("IndRNN", IndRnn::<f64>::builder(3, 4));
}

#[test]
fn mgu() {
    for form in [MguForm::ResetAfter, MguForm::NoReset, MguForm::ResetBefore] {
        check_with_dropout!("MGU", Mgu::<f64>::builder(3, 4).form(form));
    }
}

#[test]
fn layer_norm_lstm() {
    check_with_dropout!("LayerNormLSTM", LayerNormLstm::<f64>::builder(3, 4).epsilon(1e-2));
}

#[test]
fn gru() {
    check_with_dropout!("GRU", Gru::<f64>::builder(3, 4));
    check_with_dropout!("GRU, reset before", Gru::<f64>::builder(3, 4).reset_after(false));
}
