//! What is drawn for a law: a layer, sizes, and the seed of all numbers.

use ndarray::{Array2, Array3, ArrayD};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseResult, TestRunner};
use recurrent::{Float, Gru, Layer, Lstm, Recurrent, SimpleRnn, State};

use super::numbers::{Numbers, odd_number};
use super::own_cells::Counting;

/// A kind of layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    SimpleRnn,
    Lstm,
    GruAfter,
    GruBefore,
    /// A user's cell: [`Counting`].
    Own,
}

/// One case of a law. Arrays are made from `seed`, so that a case prints in a line and shrinks by its sizes.
#[derive(Debug, Clone)]
pub struct Case {
    pub kind: Kind,
    pub activation: &'static str,
    pub input_size: usize,
    pub units: usize,
    pub batch: usize,
    pub timesteps: usize,
    pub go_backwards: bool,
    pub zero_output_for_mask: bool,
    /// Some inputs are NaN, infinite, subnormal, huge or -0.
    pub odd_numbers: bool,
    pub seed: u64,
}

/// Cases of all kinds, forwards.
pub fn cases() -> impl Strategy<Value = Case> {
    let kind = prop_oneof![
        Just(Kind::SimpleRnn),
        Just(Kind::Lstm),
        Just(Kind::GruAfter),
        Just(Kind::GruBefore),
        Just(Kind::Own)
    ];
    // Keras's default, which has kernels of its own, and activations of each other family.
    let activation = prop_oneof![
        5 => Just("tanh"), 1 => Just("linear"), 1 => Just("relu"), 1 => Just("softmax"), 1 => Just("hard_sigmoid")
    ];
    // (batch, timesteps, input size, units): long sequences of few rows (projected ahead of the loop, 24 steps at a
    // time), batches (blocks of rows), layers wider than several vectors. Debug builds bound the work.
    let shape = prop_oneof![
        4 => (0..=3_usize, 1..=60_usize, 1..=12_usize, 1..=20_usize),
        3 => (0..=13_usize, 1..=9_usize, 1..=20_usize, 1..=40_usize),
        2 => (1..=5_usize, 1..=6_usize, 1..=70_usize, 1..=70_usize),
    ];
    let flags = (any::<bool>(), prop::bool::weighted(0.2));
    (kind, activation, shape, flags, any::<u64>().no_shrink()).prop_map(
        |(kind, activation, (batch, timesteps, input_size, units), (zero_output_for_mask, odd_numbers), seed)| Case {
            kind,
            activation,
            input_size,
            units,
            batch,
            timesteps,
            go_backwards: false,
            zero_output_for_mask,
            odd_numbers,
            seed,
        },
    )
}

/// Cases of all kinds, in both directions.
pub fn cases_both_ways() -> impl Strategy<Value = Case> {
    (cases(), any::<bool>()).prop_map(|(case, go_backwards)| Case { go_backwards, ..case })
}

/// Checks a law in both element types.
#[track_caller]
pub fn check<S: Strategy>(cases: S, f32: fn(&S::Value) -> TestCaseResult, f64: fn(&S::Value) -> TestCaseResult) {
    let mut config = Config { failure_persistence: None, ..Config::default() };
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = 24;
    }
    for law in [f32, f64] {
        if let Err(error) = TestRunner::new(config.clone()).run(&cases, |case| law(&case)) {
            panic!("{error}");
        }
    }
}

impl Case {
    /// Numbers for one purpose.
    pub fn numbers(&self, purpose: &str) -> Numbers {
        Numbers::new(self.seed, purpose)
    }

    /// The layer, which returns everything. Its weights depend on the seed and the sizes alone.
    pub fn layer<T: Float>(&self) -> Box<dyn Layer<T>> {
        let &Case { input_size, units, go_backwards, zero_output_for_mask, .. } = self;
        let activation = || self.activation.parse().expect("a name of Keras's");
        macro_rules! build {
            ($builder:expr) => {
                Box::new(
                    $builder
                        .activation(activation())
                        .return_sequences(true)
                        .return_state(true)
                        .go_backwards(go_backwards)
                        .zero_output_for_mask(zero_output_for_mask)
                        .build()
                        .expect("sizes that are sound"),
                )
            };
        }
        let mut layer: Box<dyn Layer<T>> = match self.kind {
            Kind::SimpleRnn => build!(SimpleRnn::<T>::builder(input_size, units)),
            Kind::Lstm => build!(Lstm::<T>::builder(input_size, units)),
            Kind::GruAfter => build!(Gru::<T>::builder(input_size, units)),
            Kind::GruBefore => build!(Gru::<T>::builder(input_size, units).reset_after(false)),
            Kind::Own => Box::new(
                Recurrent::from_cell(Counting::<T>::new(input_size, units))
                    .return_sequences(true)
                    .return_state(true)
                    .go_backwards(go_backwards)
                    .zero_output_for_mask(zero_output_for_mask),
            ),
        };
        let mut numbers = self.numbers("weights");
        let scale = 1.5 / ((input_size + units) as f64).sqrt();
        let new: Vec<(String, ArrayD<T>)> =
            layer.weights().into_iter().map(|(name, old)| (name, numbers.array(scale, old.raw_dim()))).collect();
        let new: Vec<_> = new.iter().map(|(name, array)| (name.as_str(), array.view())).collect();
        layer.set_weights(&new).expect("arrays of the same shapes");
        layer
    }

    /// (batch, timesteps, features)
    pub fn x<T: Float>(&self) -> Array3<T> {
        let mut numbers = self.numbers("x");
        let mut x = numbers.array(2.0, (self.batch, self.timesteps, self.input_size));
        if self.odd_numbers {
            x.mapv_inplace(|value| if numbers.chance(2) { odd_number(&mut numbers) } else { value });
        }
        x
    }

    /// An initial state.
    pub fn state<T: Float>(&self, layer: &dyn Layer<T>) -> State<T> {
        let mut state = layer.initial_state(self.batch);
        let mut numbers = self.numbers("state");
        let parts: Vec<_> = state.names().map(String::from).collect();
        for part in parts {
            let shape = state.get(&part).expect("one of its names").dim();
            state.set(&part, &numbers.array(1.0, shape)).expect("its shape");
        }
        state
    }

    /// Which steps are real: any pattern, some rows wholly, some not at all.
    pub fn mask(&self) -> Array2<bool> {
        let mut numbers = self.numbers("mask");
        let densities: Vec<usize> = (0..self.batch).map(|_| [0, 30, 70, 100][numbers.below(4)]).collect();
        Array2::from_shape_fn((self.batch, self.timesteps), |(row, _)| numbers.chance(densities[row]))
    }

    /// The length of each row, 0 and the whole among them.
    pub fn lengths(&self) -> Vec<usize> {
        let mut numbers = self.numbers("lengths");
        (0..self.batch).map(|_| numbers.below(self.timesteps + 1)).collect()
    }

    /// Where rows begin anew.
    pub fn resets(&self) -> Array2<bool> {
        let mut numbers = self.numbers("resets");
        let percent = 5 + 300 / self.timesteps.max(10);
        Array2::from_shape_fn((self.batch, self.timesteps), |_| numbers.chance(percent))
    }

    /// A way to cut the time into pieces, some of them empty: the end of each.
    pub fn cuts(&self) -> Vec<usize> {
        let mut numbers = self.numbers("cuts");
        let longest = [1, 3, self.timesteps][numbers.below(3)];
        let mut cuts = vec![];
        let mut at = 0;
        while at < self.timesteps {
            cuts.push(at);
            at = (at + numbers.below(longest + 1)).min(self.timesteps);
        }
        cuts.push(self.timesteps);
        cuts
    }
}

/// The mask that says the same as these lengths.
pub fn mask_of_lengths(lengths: &[usize], timesteps: usize) -> Array2<bool> {
    Array2::from_shape_fn((lengths.len(), timesteps), |(row, time)| time < lengths[row])
}
