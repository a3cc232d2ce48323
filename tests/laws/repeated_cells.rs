//! A user's cell that repeats a built-in one gives the same bits.
//!
//! Weights and inputs are small integers and the activations linear, so that every sum is exact in any order: the
//! user's cell sums backwards, in the plainest way. Gated cells multiply gates, and their values would soon be too
//! large to be exact; so their rows are reset every second step.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ndarray::{Array2, Array3, ArrayD, IxDyn};
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use recurrent::{
    Activation, Cell, Float, Gru, Layer, Lstm, Recurrent, Run, SimpleRnn, StateLayout, WeightVisitor, WeightVisitorMut,
    cell::{CellDropout, Step},
};

use super::case::check;
use super::compare::same_output;
use super::numbers::Numbers;
use super::paths::{expect, left, right};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    SimpleRnn,
    Lstm,
    GruAfter,
    GruBefore,
}

impl Kind {
    fn gates(self) -> usize {
        match self {
            Kind::SimpleRnn => 1,
            Kind::Lstm => 4,
            Kind::GruAfter | Kind::GruBefore => 3,
        }
    }
}

/// A built-in cell's equations once more, with linear activations.
#[derive(Debug, Clone)]
struct Repeated<T> {
    kind: Kind,
    kernel: Array2<T>,
    recurrent_kernel: Array2<T>,
    bias: ArrayD<T>,
    dropout: Vec<CellDropout>,
    /// Set by a number that is too large for its sums to be exact.
    inexact: Arc<AtomicBool>,
}

impl<T: Float> Repeated<T> {
    fn units(&self) -> usize {
        self.recurrent_kernel.nrows()
    }

    fn exact(&self, value: T) -> T {
        let limit = T::epsilon().recip().into_f64() / 4.0;
        if value.into_f64().abs() >= limit {
            self.inexact.store(true, Ordering::Relaxed);
        }
        value
    }

    /// Element `unit` of a gate of `operand * matrix`, the operand under that gate's mask.
    fn product(&self, operand: &[T], masks: &[T], matrix: &Array2<T>, gate: usize, unit: usize) -> T {
        let mut sum = T::zero();
        for k in (0..operand.len()).rev() {
            let masked = match masks.len() / operand.len() {
                0 => operand[k],
                1 => operand[k] * masks[k],
                _ => operand[k] * masks[gate * operand.len() + k],
            };
            sum = self.exact(sum + masked * matrix[[k, gate * self.units() + unit]]);
        }
        sum
    }
}

impl<T: Float> Cell for Repeated<T> {
    type Elem = T;

    fn input_size(&self) -> usize {
        self.kernel.nrows()
    }

    fn state_layout(&self) -> StateLayout {
        match self.kind {
            Kind::Lstm => StateLayout::new([("h", self.units()), ("c", self.units())]),
            _ => StateLayout::new([("h", self.units())]),
        }
    }

    fn dropout(&self) -> &[CellDropout] {
        &self.dropout
    }

    // The unit is an index into several rows, as in the equations.
    #[allow(clippy::needless_range_loop)]
    fn step(&self, step: Step<'_, T>) {
        let units = self.units();
        let h = &step.prev[..units];
        let (input_masks, masks) = (step.dropout.input, step.dropout.recurrent);
        let x_part = |gate, unit| self.product(step.x, input_masks, &self.kernel, gate, unit);
        let h_part = |gate, unit| self.product(h, masks, &self.recurrent_kernel, gate, unit);
        match self.kind {
            Kind::SimpleRnn => {
                for u in 0..units {
                    step.next[u] = self.exact(x_part(0, u) + h_part(0, u) + self.bias[u]);
                }
            }
            Kind::Lstm => {
                for u in 0..units {
                    let z = |gate| self.exact(h_part(gate, u) + x_part(gate, u) + self.bias[gate * units + u]);
                    let (i, f, g, o) = (z(0), z(1), z(2), z(3));
                    step.next[units + u] = self.exact(f * step.prev[units + u] + i * g);
                    step.next[u] = self.exact(o * step.next[units + u]);
                }
            }
            Kind::GruAfter => {
                for u in 0..units {
                    let bias = |row: usize, gate: usize| self.bias[[row, gate * units + u]];
                    let z = |gate| self.exact(x_part(gate, u) + bias(0, gate) + h_part(gate, u) + bias(1, gate));
                    let (z, r) = (z(0), z(1));
                    let g = self.exact(x_part(2, u) + bias(0, 2) + self.exact(r * (h_part(2, u) + bias(1, 2))));
                    step.next[u] = self.exact(z * h[u] + self.exact((T::one() - z) * g));
                }
            }
            Kind::GruBefore => {
                let z =
                    |gate: usize, u: usize| self.exact(x_part(gate, u) + h_part(gate, u) + self.bias[gate * units + u]);
                // The reset gate acts on the dropped state.
                let own = |k: usize| {
                    if masks.is_empty() { T::one() } else { masks[2 * units * (masks.len() / units / 3) + k] }
                };
                let rh: Vec<T> = (0..units).map(|k| self.exact(z(1, k) * (h[k] * own(k)))).collect();
                for u in 0..units {
                    let product = self.product(&rh, &[], &self.recurrent_kernel, 2, u);
                    let g = self.exact(x_part(2, u) + product + self.bias[2 * units + u]);
                    let z = z(0, u);
                    step.next[u] = self.exact(z * h[u] + self.exact((T::one() - z) * g));
                }
            }
        }
    }

    fn visit_weights<'a>(&'a self, visitor: &mut WeightVisitor<'_, 'a, T>) {
        visitor.weight("kernel", &self.kernel);
        visitor.weight("recurrent_kernel", &self.recurrent_kernel);
        visitor.weight("bias", &self.bias);
    }

    fn visit_weights_mut(&mut self, visitor: &mut WeightVisitorMut<'_, T>) {
        visitor.weight("kernel", &mut self.kernel);
        visitor.weight("recurrent_kernel", &mut self.recurrent_kernel);
        visitor.weight("bias", &mut self.bias);
    }
}

#[derive(Debug, Clone)]
struct Case {
    kind: Kind,
    input_size: usize,
    units: usize,
    batch: usize,
    timesteps: usize,
    go_backwards: bool,
    seed: u64,
}

fn cases() -> impl Strategy<Value = Case> {
    let kind = prop::sample::select(vec![Kind::SimpleRnn, Kind::Lstm, Kind::GruAfter, Kind::GruBefore]);
    let sizes = prop_oneof![
        2 => (1..=3_usize, 1..=30_usize, 1..=10_usize, 1..=18_usize),
        1 => (1..=9_usize, 1..=4_usize, 1..=40_usize, 1..=40_usize),
    ];
    (kind, sizes, any::<bool>(), any::<u64>().no_shrink()).prop_map(
        |(kind, (batch, timesteps, input_size, units), go_backwards, seed)| Case {
            kind,
            input_size,
            units,
            batch,
            timesteps,
            go_backwards,
            seed,
        },
    )
}

/// A matrix of -1, 0 and 1 with about two that aren't 0 in each column.
fn sparse<T: Float>(numbers: &mut Numbers, rows: usize, columns: usize) -> Array2<T> {
    let percent = (200 / rows).min(100);
    Array2::from_shape_simple_fn((rows, columns), || {
        if numbers.chance(percent) { T::from_f64(numbers.below(3) as f64 - 1.0) } else { T::zero() }
    })
}

/// The user's cell and the built-in layer with the same weights, and both with dropout of one half (whose masks are 0
/// and 2, so that all stays exact) if `dropout` says so: of the input, of the hidden state.
fn both<T: Float>(case: &Case, dropout: [bool; 2]) -> (Repeated<T>, Box<dyn Layer<T>>) {
    let mut numbers = Numbers::new(case.seed, "weights");
    let &Case { kind, input_size, units, .. } = case;
    let gates = kind.gates();
    let [rate, recurrent_rate] = dropout.map(|yes| if yes { 0.5 } else { 0.0 });
    let seed = (case.seed % 1000) as i64;
    macro_rules! build {
        ($builder:expr) => {
            Box::new(
                $builder
                    .activation(Activation::Linear)
                    .dropout(rate)
                    .recurrent_dropout(recurrent_rate)
                    .seed(seed)
                    .return_sequences(true)
                    .return_state(true)
                    .go_backwards(case.go_backwards)
                    .build()
                    .expect("sizes that are sound"),
            )
        };
    }
    let linear = Activation::Linear;
    let mut layer: Box<dyn Layer<T>> = match kind {
        Kind::SimpleRnn => build!(SimpleRnn::builder(input_size, units)),
        Kind::Lstm => build!(Lstm::builder(input_size, units).recurrent_activation(linear)),
        Kind::GruAfter => build!(Gru::builder(input_size, units).recurrent_activation(linear)),
        Kind::GruBefore => build!(Gru::builder(input_size, units).recurrent_activation(linear).reset_after(false)),
    };
    let bias_shape = if kind == Kind::GruAfter { vec![2, gates * units] } else { vec![gates * units] };
    // As many masks as Keras draws: with a recurrent dropout each gate has its own.
    let masks = if dropout[0] { if dropout[1] { gates } else { 1 } } else { 0 };
    let recurrent_masks = if dropout[1] { gates } else { 0 };
    let own = CellDropout::new(input_size, units)
        .rate(rate, masks)
        .recurrent_rate(recurrent_rate, recurrent_masks)
        .seed(seed);
    let cell = Repeated {
        kind,
        kernel: sparse(&mut numbers, input_size, gates * units),
        recurrent_kernel: sparse(&mut numbers, units, gates * units),
        bias: ArrayD::from_shape_simple_fn(IxDyn(&bias_shape), || T::from_f64(numbers.below(3) as f64 - 1.0)),
        dropout: if dropout == [false, false] { vec![] } else { vec![own] },
        inexact: Arc::default(),
    };
    let weights = [
        ("kernel", cell.kernel.view().into_dyn()),
        ("recurrent_kernel", cell.recurrent_kernel.view().into_dyn()),
        ("bias", cell.bias.view()),
    ];
    layer.set_weights(&weights).expect("arrays of the same shapes");
    (cell, layer)
}

/// Integers from -2 to 2, and resets that keep a gated cell's rows short.
fn input<T: Float>(case: &Case) -> (Array3<T>, Array2<bool>) {
    let mut numbers = Numbers::new(case.seed, "x");
    let x = Array3::from_shape_simple_fn((case.batch, case.timesteps, case.input_size), || {
        T::from_f64(numbers.below(5) as f64 - 2.0)
    });
    let longest = if case.kind == Kind::SimpleRnn { 8 } else { 2 };
    (x, Array2::from_shape_fn((case.batch, case.timesteps), |(row, time)| (time + row) % longest == 0))
}

fn compare<T: Float>(case: &Case, dropout: [bool; 2]) -> TestCaseResult {
    let (cell, layer) = both::<T>(case, dropout);
    let inexact = Arc::clone(&cell.inexact);
    let own = Recurrent::from_cell(cell).return_sequences(true).return_state(true).go_backwards(case.go_backwards);
    let (x, resets) = input::<T>(case);
    let (mut seeds, mut own_seeds) = (layer.seeds(), own.seeds());
    prop_assert_eq!(&seeds, &own_seeds);
    let run = || Run::new().resets(&resets);
    let (expected, output) = match dropout {
        [false, false] => (left(|| own.run(&x, run()))?, right(|| layer.run(&x, run()))?),
        _ => (own.run(&x, run().training(&mut own_seeds))?, layer.run(&x, run().training(&mut seeds))?),
    };
    prop_assert_eq!(&seeds, &own_seeds);
    // A case that has outgrown its integers says nothing; few do.
    if inexact.load(Ordering::Relaxed) {
        return Err(TestCaseError::reject("not exact"));
    }
    // A zero of a sum in another order may have another sign.
    let unsigned = |output: &recurrent::Output<T>| output.sequence().map(|all| all.mapv(|z| z + T::zero()));
    super::compare::same("sequence", &unsigned(&output)?, &unsigned(&expected)?)?;
    prop_assert_eq!(output.state()?.values(), expected.state()?.values());
    Ok(())
}

#[test]
fn a_repeated_cell_is_the_built_in_one() {
    check(cases(), |case| compare::<f32>(case, [false; 2]), |case| compare::<f64>(case, [false; 2]));
    expect("no kernel, and every way through the kernels", |own, built_in| {
        own.single_rows + own.blocks == 0 && built_in.single_rows.min(built_in.blocks).min(built_in.projected) > 0
    });
}

#[test]
fn a_repeated_cell_with_dropout_is_the_built_in_one() {
    check(cases(), law::<f32>, law::<f64>);
    fn law<T: Float>(case: &Case) -> TestCaseResult {
        for dropout in [[true, false], [false, true], [true, true]] {
            compare::<T>(case, dropout)?;
        }
        Ok(())
    }
}

#[test]
fn a_built_in_cell_in_a_users_cell_is_itself() {
    /// A cell that hands everything on to a built-in one.
    #[derive(Debug)]
    struct Wrapped<C>(C);

    impl<C: Cell> Cell for Wrapped<C> {
        type Elem = C::Elem;
        fn input_size(&self) -> usize {
            self.0.input_size()
        }
        fn state_layout(&self) -> StateLayout {
            self.0.state_layout()
        }
        fn step(&self, step: Step<'_, C::Elem>) {
            self.0.step(step);
        }
        fn visit_weights<'a>(&'a self, visitor: &mut WeightVisitor<'_, 'a, C::Elem>) {
            visitor.nested("inner", |visitor| self.0.visit_weights(visitor));
        }
        fn visit_weights_mut(&mut self, visitor: &mut WeightVisitorMut<'_, C::Elem>) {
            visitor.nested("inner", |visitor| self.0.visit_weights_mut(visitor));
        }
        fn scratch_len(&self) -> usize {
            self.0.scratch_len()
        }
        fn dropout(&self) -> &[CellDropout] {
            self.0.dropout()
        }
    }

    fn compare<C: Cell + Clone>(layer: &Recurrent<C>, x: &Array3<C::Elem>) -> TestCaseResult {
        let wrapped = Recurrent::from_cell(Wrapped(layer.cell().clone())).return_sequences(true).return_state(true);
        same_output("inference", &wrapped.forward(x)?, &layer.forward(x)?)?;
        let (mut seeds, mut other) = (layer.seeds(), wrapped.seeds());
        let there = wrapped.run(x, Run::new().training(&mut other))?;
        same_output("training", &there, &layer.run(x, Run::new().training(&mut seeds))?)?;
        prop_assert_eq!(seeds, other);
        Ok(())
    }

    check(cases(), law::<f32>, law::<f64>);
    fn law<T: Float>(case: &Case) -> TestCaseResult {
        let &Case { kind, input_size, units, batch, timesteps, seed, .. } = case;
        let x = Numbers::new(seed, "x").array(1.0, (batch, timesteps, input_size));
        macro_rules! compare_built {
            ($builder:expr) => {
                compare(
                    &$builder
                        .dropout(0.3)
                        .recurrent_dropout(if seed % 2 == 0 { 0.4 } else { 0.0 })
                        .return_sequences(true)
                        .return_state(true)
                        .build()?,
                    &x,
                )
            };
        }
        match kind {
            Kind::SimpleRnn => compare_built!(SimpleRnn::<T>::builder(input_size, units)),
            Kind::Lstm => compare_built!(Lstm::<T>::builder(input_size, units)),
            Kind::GruAfter => compare_built!(Gru::<T>::builder(input_size, units)),
            Kind::GruBefore => compare_built!(Gru::<T>::builder(input_size, units).reset_after(false)),
        }
    }
}
