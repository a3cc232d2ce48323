//! What is drawn for a law: a layer, sizes, and the seed of all numbers.

use ndarray::{Array2, Array3, ArrayD};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestCaseResult, TestRunner};
use recurrent::{
    Activation, Bidirectional, Cell, Dense, Float, Gru, IndRnn, Layer, LayerNormLstm, Lstm, Merge, Mgu, Precision,
    Recurrent, SimpleRnn, Stacked, StackedCells, State,
    builder::Builder,
    cell::{BuiltInCell, GruCell, LstmCell, MguForm, SimpleRnnCell},
};

use super::numbers::{Numbers, odd_number};
use super::own_cells::Counting;

/// A kind of layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    SimpleRnn,
    Lstm,
    GruAfter,
    GruBefore,
    /// With all of its options that Keras hasn't got.
    LstmOptions,
    IndRnn,
    /// In one of its three forms.
    Mgu,
    LayerNormLstm,
    /// A user's cell: [`Counting`].
    Own,
    /// Three cells in one layer, a user's and a stack of two among them.
    Cells,
    /// Two different layers, one from each end.
    Bidirectional,
    /// Two or three layers one after another, the last of them sometimes dense.
    Stack,
    /// A stack that begins with a layer in both directions.
    StackOfBoth,
}

impl Kind {
    /// Whether it is one cell over time, which can go backwards.
    pub fn is_recurrent(self) -> bool {
        !matches!(self, Kind::Bidirectional | Kind::Stack | Kind::StackOfBoth)
    }
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
    /// The layer in fewer bits.
    pub quantized: Option<Precision>,
    pub seed: u64,
}

/// One cell over time, forwards.
pub fn cells() -> impl Strategy<Value = Case> {
    use Kind::*;
    let kernels = [SimpleRnn, Lstm, GruAfter, GruBefore];
    let others = [LstmOptions, IndRnn, Mgu, LayerNormLstm, Own, Cells];
    // Those with kernels have more ways to go wrong.
    cases_of([kernels, kernels].concat().into_iter().chain(others).collect())
}

/// One cell over time, in both directions.
pub fn cells_both_ways() -> impl Strategy<Value = Case> {
    (cells(), any::<bool>()).prop_map(|(case, go_backwards)| Case { go_backwards, ..case })
}

/// Layers that can stream: one cell over time, forwards, or a stack.
pub fn streaming_layers() -> impl Strategy<Value = Case> {
    prop_oneof![3 => cells(), 1 => cases_of(vec![Kind::Stack])]
}

/// Layers of all kinds, in both directions.
pub fn layers() -> impl Strategy<Value = Case> {
    prop_oneof![
        2 => cells_both_ways(),
        1 => cases_of(vec![Kind::Bidirectional, Kind::Stack, Kind::StackOfBoth]),
    ]
}

/// Layers of f32 with weights in fewer bits, forwards.
pub fn quantized() -> impl Strategy<Value = Case> {
    let kinds = cases_of(vec![Kind::SimpleRnn, Kind::Lstm, Kind::GruAfter, Kind::GruBefore]);
    let precisions = prop::sample::select(Precision::ALL.to_vec());
    (kinds, precisions).prop_map(|(case, precision)| Case { quantized: Some(precision), ..case })
}

/// Such layers in both directions.
pub fn quantized_both_ways() -> impl Strategy<Value = Case> {
    (quantized(), any::<bool>()).prop_map(|(case, go_backwards)| Case { go_backwards, ..case })
}

fn cases_of(kinds: Vec<Kind>) -> impl Strategy<Value = Case> {
    // Keras's default, which has kernels of its own, and activations of each other family.
    let activation = prop_oneof![
        5 => Just("tanh"), 1 => Just("linear"), 1 => Just("relu"), 1 => Just("softmax"), 1 => Just("gelu")
    ];
    // (batch, timesteps, input size, units): long sequences of few rows (projected ahead of the loop, 24 steps at a
    // time), batches (blocks of rows), layers wider than several vectors. Debug builds bound the work.
    let shape = prop_oneof![
        4 => (0..=3_usize, 1..=60_usize, 1..=12_usize, 1..=20_usize),
        3 => (0..=13_usize, 1..=9_usize, 1..=20_usize, 1..=40_usize),
        2 => (1..=5_usize, 1..=6_usize, 1..=70_usize, 1..=70_usize),
    ];
    let flags = (any::<bool>(), prop::bool::weighted(0.2));
    (prop::sample::select(kinds), activation, shape, flags, any::<u64>().no_shrink()).prop_map(
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
            quantized: None,
            seed,
        },
    )
}

/// Checks a law in both element types.
#[track_caller]
pub fn check<S: Strategy>(cases: S, f32: fn(&S::Value) -> TestCaseResult, f64: fn(&S::Value) -> TestCaseResult) {
    // The same cases in every run, unless others are asked for.
    let mut config = Config { failure_persistence: None, ..Config::default() };
    if std::env::var_os("PROPTEST_RNG_SEED").is_none() {
        config.rng_seed = RngSeed::Fixed(7);
    }
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = 64;
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
        let mut layer = self.unweighted(self.kind, self.input_size, self.units, self.go_backwards);
        let mut numbers = self.numbers("weights");
        let scale = 1.5 / ((self.input_size + self.units) as f64).sqrt();
        let new: Vec<(String, ArrayD<T>)> =
            layer.weights().into_iter().map(|(name, old)| (name, numbers.array(scale, old.raw_dim()))).collect();
        let new: Vec<_> = new.iter().map(|(name, array)| (name.as_str(), array.view())).collect();
        layer.set_weights(&new).expect("arrays of the same shapes");
        match self.quantized {
            Some(precision) => layer.quantize(precision).expect("a layer that has this form"),
            None => layer,
        }
    }

    /// A layer of this kind; its weights will be replaced.
    fn unweighted<T: Float>(&self, kind: Kind, input: usize, units: usize, backwards: bool) -> Box<dyn Layer<T>> {
        let mut numbers = self.numbers("structure");
        let mut any_kind =
            || [Kind::SimpleRnn, Kind::Lstm, Kind::GruAfter, Kind::GruBefore, Kind::Own][numbers.below(5)];
        match kind {
            Kind::SimpleRnn => self.over_time(simple_rnn::<T>(self.activation, input, units), backwards),
            Kind::Lstm => self.over_time(lstm::<T>(self.activation, input, units), backwards),
            Kind::GruAfter => self.over_time(gru::<T>(self.activation, input, units, true), backwards),
            Kind::GruBefore => self.over_time(gru::<T>(self.activation, input, units, false), backwards),
            Kind::LstmOptions => {
                let builder = Lstm::<T>::builder(input, units).activation(activation(self.activation));
                let options = builder.peephole(true).input_forget(self.seed.is_multiple_of(2)).clip(0.7);
                self.over_time(built(options.projection_units(units)), backwards)
            }
            Kind::IndRnn => self.over_time(
                built(IndRnn::<T>::builder(input, units).activation(activation(self.activation))),
                backwards,
            ),
            Kind::Mgu => {
                let form = [MguForm::ResetAfter, MguForm::NoReset, MguForm::ResetBefore][self.seed as usize % 3];
                let builder = Mgu::<T>::builder(input, units).activation(activation(self.activation));
                self.over_time(built(builder.form(form)), backwards)
            }
            Kind::LayerNormLstm => {
                let builder = LayerNormLstm::<T>::builder(input, units).activation(activation(self.activation));
                self.over_time(built(builder), backwards)
            }
            Kind::Own => self.over_time(Counting::<T>::new(input, units), backwards),
            Kind::Cells => {
                let above = StackedCells::builder()
                    .cell(gru::<T>("tanh", units + 1, 5, self.seed.is_multiple_of(2)))
                    .cell(simple_rnn::<T>(self.activation, 5, units));
                let cells = StackedCells::builder()
                    .cell(lstm::<T>(self.activation, input, units + 2))
                    .cell(Counting::<T>::new(units + 2, units + 1))
                    .cell(above.build().expect("widths that fit"));
                self.over_time(cells.build().expect("widths that fit"), backwards)
            }
            Kind::Bidirectional => {
                let merge = [Merge::Sum, Merge::Mul, Merge::Concat, Merge::Ave][self.seed as usize % 4];
                let forward = Recurrent::from_cell(lstm::<T>(self.activation, input, units));
                let forward = forward.return_sequences(true).return_state(true);
                let both = if self.seed.is_multiple_of(3) {
                    let backward = Recurrent::from_cell(Counting::new(input, units)).return_sequences(true);
                    Bidirectional::from_layers(forward, backward.return_state(true).go_backwards(true))
                } else {
                    let backward = Recurrent::from_cell(gru(self.activation, input, units, true));
                    let backward = backward.return_sequences(true).return_state(true);
                    Bidirectional::from_layers(forward, backward.go_backwards(true))
                };
                Box::new(both.expect("two that fit").merge_mode(merge))
            }
            Kind::Stack => {
                let (first, second) = (any_kind(), any_kind());
                let mut stack = Stacked::builder()
                    .layer(self.unweighted(first, input, units + 1, false))
                    .layer(self.unweighted(second, units + 1, units, false));
                if self.seed.is_multiple_of(2) {
                    let dense = Dense::builder(units, 3).activation(activation(self.activation));
                    stack = stack.layer(dense.build().expect("sizes that are sound"));
                }
                Box::new(stack.return_state(true).build().expect("widths that fit"))
            }
            Kind::StackOfBoth => {
                let both = self.unweighted::<T>(Kind::Bidirectional, input, units, false);
                let then = self.unweighted(any_kind(), both.output_size(), units, false);
                Box::new(
                    Stacked::builder().layer(both).layer(then).return_state(true).build().expect("widths that fit"),
                )
            }
        }
    }

    fn over_time<C: Cell>(&self, cell: C, backwards: bool) -> Box<dyn Layer<C::Elem>> {
        Box::new(
            Recurrent::from_cell(cell)
                .return_sequences(true)
                .return_state(true)
                .go_backwards(backwards)
                .zero_output_for_mask(self.zero_output_for_mask),
        )
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

    /// Where rows are reset.
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

fn activation(name: &str) -> Activation {
    name.parse().expect("a name of Keras's")
}

fn built<C: BuiltInCell>(builder: Builder<'_, C>) -> C {
    builder.build_cell().expect("sizes that are sound")
}

fn simple_rnn<T: Float>(name: &str, input: usize, units: usize) -> SimpleRnnCell<T> {
    SimpleRnn::builder(input, units).activation(activation(name)).build_cell().expect("sizes that are sound")
}

fn lstm<T: Float>(name: &str, input: usize, units: usize) -> LstmCell<T> {
    Lstm::builder(input, units).activation(activation(name)).build_cell().expect("sizes that are sound")
}

fn gru<T: Float>(name: &str, input: usize, units: usize, reset_after: bool) -> GruCell<T> {
    let builder = Gru::builder(input, units).activation(activation(name)).reset_after(reset_after);
    builder.build_cell().expect("sizes that are sound")
}
