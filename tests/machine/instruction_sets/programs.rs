//! Programs that a seed fixes: any layer with any options, called in any way, trained, and run in pieces.

use ndarray::prelude::*;
use recurrent::training::{Adam, Optimizer, Sgd, Tape};
use recurrent::{
    Activation, Bidirectional, Dense, Float, Gradients, Gru, Layer, Lstm, Merge, OutputGradient, Recurrent, Run,
    SeedSource, SimpleRnn, Stacked, StackedCells, Stateful, Stream, TimeDistributed,
};

use super::numbers::Numbers;
use super::{Case, named, state, weighted};

/// How many for each element type.
const PROGRAMS: u64 = 250;

pub fn programs<T: Float>() {
    for seed in 0..PROGRAMS {
        let mut numbers = Numbers::new(seed, "program");
        let input_size = 1 + numbers.below(19);
        let (name, layer) = any_layer::<T>(&mut numbers, input_size);
        let program = Program::new(seed, &mut numbers, weighted(layer));
        program.print(&format!("program {seed}, {name}"));
    }
}

/// The options of one layer of one cell.
struct Options {
    units: usize,
    activation: Activation,
    recurrent_activation: Activation,
    use_bias: bool,
    reset_after: bool,
    dropout: f64,
    recurrent_dropout: f64,
    seed: i64,
    go_backwards: bool,
    return_sequences: bool,
    return_state: bool,
    zero_output_for_mask: bool,
}

impl Options {
    fn new(numbers: &mut Numbers) -> Self {
        // None jumps: the sets without fused multiply-add are compared too.
        let activations = ["tanh", "tanh", "tanh", "relu", "softsign", "elu", "softmax", "gelu", "linear"];
        let gates = ["sigmoid", "sigmoid", "sigmoid", "hard_sigmoid", "tanh", "softmax"];
        let dropping = numbers.chance(30);
        let mut rate = || if dropping { [0.0, 0.2, 0.5][numbers.below(3)] } else { 0.0 };
        Options {
            dropout: rate(),
            recurrent_dropout: rate(),
            units: [1 + numbers.below(9), 1 + numbers.below(40)][numbers.below(2)],
            activation: named(activations[numbers.below(activations.len())]),
            recurrent_activation: named(gates[numbers.below(gates.len())]),
            use_bias: numbers.chance(80),
            reset_after: numbers.chance(50),
            seed: numbers.below(1000) as i64,
            go_backwards: numbers.chance(25),
            return_sequences: numbers.chance(70),
            return_state: numbers.chance(70),
            zero_output_for_mask: numbers.chance(30),
        }
    }
}

/// A builder with the options that all cells have.
macro_rules! cell_options {
    ($builder:expr, $options:expr) => {
        $builder
            .activation($options.activation.clone())
            .use_bias($options.use_bias)
            .dropout($options.dropout)
            .recurrent_dropout($options.recurrent_dropout)
            .seed($options.seed)
    };
}

/// A builder with all options of a layer.
macro_rules! layer_options {
    ($builder:expr, $options:expr) => {
        cell_options!($builder, $options)
            .go_backwards($options.go_backwards)
            .return_sequences($options.return_sequences)
            .return_state($options.return_state)
            .zero_output_for_mask($options.zero_output_for_mask)
    };
}

/// `$then` with a builder of one of the four cells.
macro_rules! with_cell {
    ($kind:expr, $inputs:expr, $options:expr, |$builder:ident| $then:expr) => {
        match $kind {
            "SimpleRNN" => {
                let $builder = SimpleRnn::<T>::builder($inputs, $options.units);
                $then
            }
            "LSTM" => {
                let $builder = Lstm::<T>::builder($inputs, $options.units);
                let $builder = $builder.recurrent_activation($options.recurrent_activation.clone());
                $then
            }
            _ => {
                let $builder = Gru::<T>::builder($inputs, $options.units).reset_after($options.reset_after);
                let $builder = $builder.recurrent_activation($options.recurrent_activation.clone());
                $then
            }
        }
    };
}

type Named<T> = (String, Box<dyn Layer<T>>);

/// Some steps: the input, which are real, and where rows are reset.
type Piece<T> = (Array3<T>, Option<Array2<bool>>, Option<Array2<bool>>);

fn any_layer<T: Float>(numbers: &mut Numbers, inputs: usize) -> Named<T> {
    match numbers.below(10) {
        0..=4 => over_time(numbers, inputs, None),
        5 | 6 => both_directions(numbers, inputs, None),
        7 => stack(numbers, inputs),
        8 => cells(numbers, inputs),
        _ => per_step(numbers, inputs),
    }
}

fn any_kind(numbers: &mut Numbers) -> &'static str {
    ["SimpleRNN", "LSTM", "GRU"][numbers.below(3)]
}

/// One cell over time; `sequences` decides an option instead of chance.
fn over_time<T: Float>(numbers: &mut Numbers, inputs: usize, sequences: Option<bool>) -> Named<T> {
    let (kind, mut options) = (any_kind(numbers), Options::new(numbers));
    options.return_sequences = sequences.unwrap_or(options.return_sequences);
    let layer = with_cell!(kind, inputs, options, |builder| {
        boxed(layer_options!(builder, options).build().expect("sound options"))
    });
    (kind.into(), layer)
}

fn both_directions<T: Float>(numbers: &mut Numbers, inputs: usize, sequences: Option<bool>) -> Named<T> {
    let (kind, mut options) = (any_kind(numbers), Options::new(numbers));
    options.go_backwards = false;
    options.return_sequences = sequences.unwrap_or(options.return_sequences);
    // What stands in a stack has one output.
    let merges = [Merge::Sum, Merge::Mul, Merge::Concat, Merge::Ave, Merge::None];
    let merge = merges[numbers.below(if sequences.is_some() { 4 } else { 5 })];
    // A copy of a SimpleRNN forgets its seed of dropout, in Keras and here, and draws one again.
    let mut seeds = SeedSource::keras(numbers.below(1000) as u32);
    let both = if numbers.chance(30) {
        let mut backward = Options::new(numbers);
        (backward.units, backward.go_backwards) = (options.units, true);
        (backward.return_sequences, backward.return_state) = (options.return_sequences, options.return_state);
        let other = Gru::<T>::builder(inputs, backward.units).reset_after(backward.reset_after);
        let other = layer_options!(other, backward);
        with_cell!(kind, inputs, options, |builder| {
            Bidirectional::with_backward(layer_options!(builder, options), other)
        })
    } else {
        with_cell!(kind, inputs, options, |builder| {
            Bidirectional::new(layer_options!(builder, options).seeds(&mut seeds))
        })
    };
    (format!("Bidirectional {kind} {merge:?}"), boxed(both.expect("two that fit").merge_mode(merge)))
}

/// Two or three layers one after another; behind one without a sequence stands a dense one.
fn stack<T: Float>(numbers: &mut Numbers, inputs: usize) -> Named<T> {
    let (mut name, mut width) = (String::from("Stacked"), inputs);
    let mut builder = Stacked::builder().return_state(numbers.chance(70));
    let layers = 2 + numbers.below(2);
    for place in 0..layers {
        let sequences = if place + 1 < layers { Some(true) } else { Some(numbers.chance(60)) };
        let (kind, layer) = match numbers.below(8) {
            0 => both_directions(numbers, width, sequences),
            1 => per_step(numbers, width),
            _ => over_time(numbers, width, sequences),
        };
        width = layer.output_size();
        name = format!("{name} {kind}");
        builder = builder.layer(layer);
    }
    if numbers.chance(40) {
        builder = builder.layer(Dense::<T>::new(width, 1 + numbers.below(5)));
        name.push_str(" Dense");
    }
    (name, boxed(builder.build().expect("widths that fit")))
}

/// Several cells in one layer.
fn cells<T: Float>(numbers: &mut Numbers, inputs: usize) -> Named<T> {
    let (mut name, mut width) = (String::from("cells"), inputs);
    let mut builder = StackedCells::builder();
    for _ in 0..2 {
        let (kind, options) = (any_kind(numbers), Options::new(numbers));
        builder = with_cell!(kind, width, options, |cell| {
            builder.cell(cell_options!(cell, options).build_cell().expect("sound options"))
        });
        width = options.units;
        name = format!("{name} {kind}");
    }
    let options = Options::new(numbers);
    let layer = Recurrent::from_cell(builder.build().expect("widths that fit"))
        .go_backwards(options.go_backwards)
        .return_sequences(options.return_sequences)
        .return_state(options.return_state)
        .zero_output_for_mask(options.zero_output_for_mask);
    (name, boxed(layer))
}

fn per_step<T: Float>(numbers: &mut Numbers, inputs: usize) -> Named<T> {
    let options = Options::new(numbers);
    let dense = Dense::<T>::builder(inputs, options.units).activation(options.activation).use_bias(options.use_bias);
    let dense = dense.build().expect("sound options");
    if numbers.chance(50) {
        ("TimeDistributed".into(), boxed(TimeDistributed::new(dense)))
    } else {
        ("Dense".into(), boxed(dense))
    }
}

fn boxed<T: Float>(layer: impl Layer<T>) -> Box<dyn Layer<T>> {
    Box::new(layer)
}

/// A layer and what its calls get.
struct Program<T: Float> {
    numbers: Numbers,
    layer: Box<dyn Layer<T>>,
    x: Array3<T>,
    mask: Option<Array2<bool>>,
    lengths: Option<Vec<usize>>,
    resets: Option<Array2<bool>>,
    has_state: bool,
}

impl<T: Float> Program<T> {
    fn new(seed: u64, numbers: &mut Numbers, layer: Box<dyn Layer<T>>) -> Self {
        let batch = [1, 1, 2, 3, 5, 9][numbers.below(6)];
        let timesteps = [1 + numbers.below(6), 1 + numbers.below(6), 1 + numbers.below(30)][numbers.below(3)];
        let mut arrays = Numbers::new(seed, "program's arrays");
        let which = numbers.below(3);
        let mask = (which == 0).then(|| Array2::from_shape_simple_fn((batch, timesteps), || arrays.chance(70)));
        let lengths = (which == 1).then(|| (0..batch).map(|_| arrays.below(timesteps + 1)).collect());
        let reset = numbers.chance(30);
        let resets = reset.then(|| Array2::from_shape_simple_fn((batch, timesteps), || arrays.chance(15)));
        let x = arrays.array(1.5, (batch, timesteps, layer.input_size()));
        Program { numbers: arrays, layer, x, mask, lengths, resets, has_state: numbers.chance(50) }
    }

    fn print(mut self, name: &str) {
        let (batch, timesteps, inputs) = self.x.dim();
        let layer = &*self.layer;
        let products = layer.count_params() / layer.output_size() + inputs;
        // Errors grow from layer to layer, and some of these activations have no bound.
        let mut case = Case::new(20 * products * batch, 2 * timesteps);
        case = self.inference(case);
        case = self.stream(case);
        case = self.stateful(case);
        case = self.training(case);
        case.print(&format!("{name}, ({batch}, {timesteps}, {inputs})"));
    }

    /// What a call over some steps gets.
    fn run<'a>(&'a self, mask: Option<&'a Array2<bool>>, resets: Option<&'a Array2<bool>>) -> Run<'a, T> {
        let run = Run::new().mask_if(mask);
        match resets {
            Some(resets) => run.resets(resets),
            None => run,
        }
    }

    fn whole(&self) -> Run<'_, T> {
        let run = self.run(self.mask.as_ref(), self.resets.as_ref());
        match &self.lengths {
            Some(lengths) => run.lengths(lengths),
            None => run,
        }
    }

    fn inference(&self, case: Case<T>) -> Case<T> {
        let state = state(&*self.layer, self.x.dim().0);
        let run = if self.has_state { self.whole().initial_state(&state) } else { self.whole() };
        case.output(&self.layer.run(&self.x, run).expect("what fits"))
    }

    /// Pieces of at most `longest` steps: what each is called with.
    fn pieces(&mut self, longest: usize) -> Vec<Piece<T>> {
        let (mut pieces, mut at, end) = (Vec::new(), 0, self.x.dim().1);
        while at < end {
            let to = (at + 1 + self.numbers.below(longest)).min(end);
            let cut = |marks: &Option<Array2<bool>>| marks.as_ref().map(|marks| marks.slice(s![.., at..to]).to_owned());
            pieces.push((self.x.slice(s![.., at..to, ..]).to_owned(), cut(&self.mask), cut(&self.resets)));
            at = to;
        }
        pieces
    }

    /// In pieces of some steps, then step by step.
    fn stream(&mut self, mut case: Case<T>) -> Case<T> {
        if self.layer.can_stream().is_err() {
            return case;
        }
        let pieces = self.pieces(4);
        let (layer, batch) = (&*self.layer, self.x.dim().0);
        let mut stream = Stream::new(layer, batch).expect("it can stream");
        for (x, mask, resets) in &pieces {
            let output = stream.run_with(x, self.run(mask.as_ref(), resets.as_ref())).expect("what fits");
            case = case.output(&output);
        }
        case = case.state(stream.state()).array(&stream.output());
        let live: Vec<bool> = (0..batch).map(|row| row % 3 != 1).collect();
        for (i, x) in self.x.axis_iter(Axis(1)).take(5).enumerate() {
            case = match (batch, i % 2) {
                (1, _) => {
                    let x = x.to_owned();
                    let output = stream.step_one(x.as_slice().expect("one row")).expect("what fits");
                    case.array(&aview1(output))
                }
                (_, 0) => case.array(stream.step(&x).expect("what fits")),
                _ => case.array(stream.step_masked(&x, &live).expect("what fits")),
            };
        }
        case.state(stream.state())
    }

    /// Keras's `stateful=True`, for layers that return their state.
    fn stateful(&mut self, mut case: Case<T>) -> Case<T> {
        let pieces = self.pieces(9);
        let mut stateful = Stateful::new(&*self.layer, self.x.dim().0);
        for (x, mask, resets) in &pieces {
            let output = stateful.run(x, self.run(mask.as_ref(), resets.as_ref())).expect("what fits");
            case = case.output(&output);
        }
        case.state(stateful.state())
    }

    /// Two recorded calls with dropout, all gradients of each, and the weights behind an optimizer.
    fn training(mut self, mut case: Case<T>) -> Case<T> {
        let (batch, timesteps, _) = self.x.dim();
        let outputs = self.layer.output_size();
        let sequence: Array3<T> = self.numbers.array(0.5, (batch, timesteps, outputs));
        let last: Array2<T> = self.numbers.array(1.0, (batch, outputs));
        let given = state(&*self.layer, batch);
        let which = self.numbers.below(4);
        let (mut tape, mut gradients) = (Tape::new(), Gradients::new(&*self.layer));
        let mut adam = Adam::new(0.01).epsilon(0.1);
        let mut sgd = Sgd::new(0.05).momentum(0.5);
        let mut seeds = self.layer.seeds();
        for call in 0..2 {
            let mut run = self.whole().record(&mut tape);
            if self.has_state {
                run = run.initial_state(&given);
            }
            if !seeds.states().is_empty() {
                run = run.training(&mut seeds);
            }
            case = case.output(&self.layer.run(&self.x, run).expect("what fits"));
            let mut upstream = OutputGradient::new();
            if which != 1 && self.layer.returns_sequences() {
                upstream = upstream.sequence(&sequence);
            }
            if which != 2 {
                upstream = upstream.last(&last);
            }
            if which == 3 {
                upstream = upstream.state(&given);
            }
            gradients.clear();
            self.layer.backward(&mut tape, upstream, &mut gradients).expect("a tape of this layer");
            case = case.array(&gradients.input().expect("asked for")).state(gradients.initial_state());
            for (_, gradient) in gradients.iter() {
                case = case.array(&gradient);
            }
            let step = if call == 0 {
                sgd.step(&mut *self.layer, &gradients)
            } else {
                adam.step(&mut *self.layer, &gradients)
            };
            step.expect("gradients of this layer");
        }
        for (_, weight) in self.layer.weights() {
            case = case.array(&weight);
        }
        case
    }
}
