//! Gradients against central differences in f64, for every layer, wrapper and rule of time.

use ndarray::prelude::*;
use recurrent::training::Tape;
use recurrent::{
    Activation, Bidirectional, Cell, Dense, Embedding, Gradients, Gru, Initializer, Layer, Lstm, Merge, OutputGradient,
    Recurrent, Result, Run, SimpleRnn, Stacked, StackedCells, State, StateLayout, TimeDistributed, WeightVisitor,
    WeightVisitorMut,
    cell::{Step, StepBackward, WeightGradients},
    training::DropoutSeeds,
};

const BATCH: usize = 3;
const STEPS: usize = 6;

/// Distinct numbers around zero.
fn numbers(seed: f64, count: usize) -> impl Iterator<Item = f64> {
    (0..count).map(move |i| ((i as f64 + 1.3) * (seed + 0.7) * 12.9898).sin() * 0.6)
}

fn filled<D: Dimension, Sh: ShapeBuilder<Dim = D>>(seed: f64, shape: Sh) -> Array<f64, D> {
    let mut array = Array::zeros(shape);
    let count = array.len();
    array.iter_mut().zip(numbers(seed, count)).for_each(|(to, from)| *to = from);
    array
}

/// Which options of a run a case has.
#[derive(Clone, Copy, Debug)]
enum Time {
    Whole,
    Mask,
    Lengths,
    Resets,
    MaskAndResets,
}

const TIMES: [Time; 5] = [Time::Whole, Time::Mask, Time::Lengths, Time::Resets, Time::MaskAndResets];

struct Case<'a> {
    layer: &'a mut dyn Layer<f64>,
    time: Time,
    seeds: Option<DropoutSeeds>,
}

impl Case<'_> {
    fn mask() -> Array2<bool> {
        array![
            [true, true, false, true, true, false],
            [false, true, true, false, true, true],
            [true, true, true, true, true, true]
        ]
    }

    fn resets() -> Array2<bool> {
        array![
            [false, false, true, false, false, true],
            [false, false, false, true, false, false],
            [true, false, false, false, false, false]
        ]
    }

    /// Every result times a weight of its own, summed: a loss that all results flow into.
    fn loss(&self, x: &Array3<f64>, state: &State<f64>, upstream: &Upstream, tape: Option<&mut Tape<f64>>) -> f64 {
        let (mask, resets) = (Self::mask(), Self::resets());
        let mut seeds = self.seeds.clone();
        let mut run = Run::new().initial_state(state);
        run = match self.time {
            Time::Whole => run,
            Time::Mask => run.mask(&mask),
            Time::Lengths => run.lengths(&[6, 2, 0]),
            Time::Resets => run.resets(&resets),
            Time::MaskAndResets => run.mask(&mask).resets(&resets),
        };
        if let Some(seeds) = &mut seeds {
            run = run.training(seeds);
        }
        if let Some(tape) = tape {
            run = run.record(tape);
        }
        let output = self.layer.run(x, run).unwrap();
        let mut last = output.last().clone();
        let mut sequence = output.sequence().ok().cloned();
        if let Ok(backward) = output.backward() {
            last = ndarray::concatenate![Axis(1), last, backward.last().view()];
            sequence = sequence.map(|s| ndarray::concatenate![Axis(2), s, backward.sequence().unwrap().view()]);
        }
        let mut loss = (&last * &upstream.last).sum();
        if let (Some(sequence), Some(weights)) = (sequence, &upstream.sequence) {
            loss += (&sequence * weights).sum();
        }
        if let (Ok(state), Some(weights)) = (output.state(), &upstream.state) {
            loss += (&state.values() * &weights.values()).sum();
        }
        loss
    }
}

struct Upstream {
    last: Array2<f64>,
    sequence: Option<Array3<f64>>,
    state: Option<State<f64>>,
}

fn filled_state(seed: f64, layer: &dyn Layer<f64>) -> State<f64> {
    let mut state = layer.initial_state(BATCH);
    let parts: Vec<String> = state.names().map(String::from).collect();
    for (i, part) in parts.iter().enumerate() {
        let dim = state.get(part).unwrap().dim();
        state.set(part, &filled(seed + i as f64, dim)).unwrap();
    }
    state
}

/// |a - n| <= 1e-6 * (largest gradient of that tensor) + 1e-9
fn agree(what: &str, analytic: &[f64], numeric: &[f64]) {
    let largest = analytic.iter().chain(numeric).fold(0.0_f64, |m, v| m.max(v.abs()));
    for (i, (a, n)) in analytic.iter().zip(numeric).enumerate() {
        assert!((a - n).abs() <= 1e-6 * largest + 1e-9, "{what}[{i}]: {a} by backward, {n} by differences");
    }
}

fn check(name: &str, layer: &mut dyn Layer<f64>, dropout: bool) {
    for time in TIMES {
        check_one(&format!("{name}, {time:?}"), layer, time, dropout);
    }
}

fn check_one(name: &str, layer: &mut dyn Layer<f64>, time: Time, dropout: bool) {
    const STEP: f64 = 1e-5;
    let x = filled(0.1, (BATCH, STEPS, layer.input_size()));
    let state = filled_state(3.1, layer);
    let upstream = Upstream {
        last: filled(5.3, (BATCH, layer.output_size())),
        sequence: layer.returns_sequences().then(|| filled(7.7, (BATCH, STEPS, layer.output_size()))),
        state: layer.returns_state().then(|| filled_state(9.9, layer)),
    };
    let seeds = dropout.then(|| layer.seeds());
    assert_eq!(dropout, seeds.as_ref().is_some_and(|seeds| !seeds.states().is_empty()), "{name}");
    let case = Case { layer, time, seeds };

    let (mut tape, mut gradients) = (Tape::new(), Gradients::new(&*case.layer));
    case.loss(&x, &state, &upstream, Some(&mut tape));
    let mut flowing = OutputGradient::new().last(&upstream.last);
    if let Some(sequence) = &upstream.sequence {
        flowing = flowing.sequence(sequence);
    }
    if let Some(state) = &upstream.state {
        flowing = flowing.state(state);
    }
    case.layer.backward(&mut tape, flowing, &mut gradients).unwrap();
    assert_eq!(case.layer.backward(&mut tape, flowing, &mut gradients), Err(recurrent::Error::TapeSpent));

    let difference = |low: f64, high: f64| (high - low) / (2.0 * STEP);
    let mut numeric = Vec::new();
    for i in 0..x.len() {
        let moved = |by: f64| {
            let mut x = x.clone();
            x.as_slice_mut().unwrap()[i] += by;
            case.loss(&x, &state, &upstream, None)
        };
        numeric.push(difference(moved(-STEP), moved(STEP)));
    }
    agree(&format!("{name}: input"), gradients.input().unwrap().as_slice().unwrap(), &numeric);

    for part in state.names() {
        let given = state.get(part).unwrap().to_owned();
        let mut numeric = Vec::new();
        for i in 0..given.len() {
            let moved = |by: f64| {
                let mut values = given.clone();
                values.as_slice_mut().unwrap()[i] += by;
                let mut state = state.clone();
                state.set(part, &values).unwrap();
                case.loss(&x, &state, &upstream, None)
            };
            numeric.push(difference(moved(-STEP), moved(STEP)));
        }
        let analytic: Vec<f64> = gradients.initial_state().get(part).unwrap().iter().copied().collect();
        agree(&format!("{name}: state {part}"), &analytic, &numeric);
    }

    let names: Vec<String> = case.layer.weights().iter().map(|(name, _)| name.clone()).collect();
    for weight in &names {
        let given = case.layer.weight(weight).unwrap().to_owned();
        let mut numeric = Vec::new();
        for i in 0..given.len() {
            let mut moved = |by: f64| {
                let mut values = given.clone();
                values.as_slice_mut().unwrap()[i] += by;
                case.layer.set_weights(&[(weight, values.view())]).unwrap();
                case.loss(&x, &state, &upstream, None)
            };
            numeric.push(difference(moved(-STEP), moved(STEP)));
        }
        case.layer.set_weights(&[(weight, given.view())]).unwrap();
        let analytic = gradients.get(weight).unwrap();
        agree(&format!("{name}: {weight}"), analytic.as_slice().unwrap(), &numeric);
    }
}

/// Weights that are all different, biases included.
fn with_weights<L: Layer<f64>>(mut layer: L) -> L {
    let weights: Vec<(String, ArrayD<f64>)> = layer
        .weights()
        .iter()
        .enumerate()
        .map(|(i, (name, weight))| (name.clone(), filled(11.0 + i as f64, weight.raw_dim())))
        .collect();
    let views: Vec<_> = weights.iter().map(|(name, weight)| (name.as_str(), weight.view())).collect();
    layer.set_weights(&views).unwrap();
    layer
}

#[test]
fn simple_rnn() {
    let layer = SimpleRnn::builder(2, 3).return_sequences(true).return_state(true).build().unwrap();
    check("SimpleRNN", &mut with_weights(layer), false);
    let layer = SimpleRnn::builder(2, 3).activation(Activation::Softmax).go_backwards(true).build().unwrap();
    check("SimpleRNN softmax backwards", &mut with_weights(layer), false);
    let layer = SimpleRnn::builder(2, 3).dropout(0.3).recurrent_dropout(0.4).seed(3).build().unwrap();
    check("SimpleRNN dropout", &mut with_weights(layer), true);
}

#[test]
fn lstm() {
    let layer = Lstm::builder(2, 3).return_sequences(true).return_state(true).build().unwrap();
    check("LSTM", &mut with_weights(layer), false);
    let layer = Lstm::builder(2, 3)
        .activation(Activation::Softsign)
        .recurrent_activation(Activation::Mish)
        .use_bias(false)
        .return_state(true)
        .go_backwards(true)
        .build()
        .unwrap();
    check("LSTM softsign mish backwards", &mut with_weights(layer), false);
    let layer = Lstm::builder(2, 3).zero_output_for_mask(true).return_sequences(true).build().unwrap();
    check("LSTM zero output", &mut with_weights(layer), false);
    let layer = Lstm::builder(2, 3).dropout(0.3).seed(3).return_sequences(true).build().unwrap();
    check("LSTM dropout", &mut with_weights(layer), true);
    let layer = Lstm::builder(2, 3).dropout(0.3).recurrent_dropout(0.3).seed(7).build().unwrap();
    check("LSTM both dropouts", &mut with_weights(layer), true);
}

#[test]
fn gru() {
    for reset_after in [true, false] {
        let builder = || Gru::builder(2, 3).reset_after(reset_after);
        let layer = builder().return_sequences(true).return_state(true).build().unwrap();
        check(&format!("GRU {reset_after}"), &mut with_weights(layer), false);
        let layer = builder()
            .activation(Activation::Gelu { approximate: false })
            .recurrent_activation(Activation::Softsign)
            .go_backwards(true)
            .return_sequences(true)
            .build()
            .unwrap();
        check(&format!("GRU {reset_after} gelu softsign backwards"), &mut with_weights(layer), false);
        let layer = builder().dropout(0.3).recurrent_dropout(0.3).seed(5).build().unwrap();
        check(&format!("GRU {reset_after} dropouts"), &mut with_weights(layer), true);
        let layer = builder().use_bias(false).build().unwrap();
        check(&format!("GRU {reset_after} without bias"), &mut with_weights(layer), false);
    }
}

#[test]
fn bidirectional() {
    for merge in [Merge::Sum, Merge::Mul, Merge::Concat, Merge::Ave, Merge::None] {
        for return_sequences in [true, false] {
            let recipe = Lstm::builder(2, 3).return_sequences(return_sequences).return_state(true);
            let layer = Bidirectional::new(recipe).unwrap().merge_mode(merge);
            check(&format!("Bidirectional {merge:?} {return_sequences}"), &mut with_weights(layer), false);
        }
    }
}

#[test]
fn stacks() {
    let layer = Stacked::builder()
        .layer(Bidirectional::new(Gru::builder(2, 3).return_sequences(true)).unwrap())
        .layer(Lstm::builder(6, 4).return_sequences(true).build().unwrap())
        .layer(TimeDistributed::new(Dense::builder(4, 3).activation(Activation::Softmax).build().unwrap()))
        .layer(SimpleRnn::builder(3, 2).build().unwrap())
        .layer(Dense::builder(2, 5).activation(Activation::Sigmoid).build().unwrap())
        .return_state(true)
        .build()
        .unwrap();
    check("Stacked", &mut with_weights(layer), false);
    let layer = Stacked::builder()
        .layer(Lstm::builder(2, 3).dropout(0.2).seed(1).return_sequences(true).build().unwrap())
        .layer(Gru::builder(3, 2).recurrent_dropout(0.4).seed(2).return_sequences(true).build().unwrap())
        .build()
        .unwrap();
    check("Stacked dropout", &mut with_weights(layer), true);
}

#[test]
fn stacked_cells() {
    let cells = StackedCells::builder()
        .cell(Lstm::builder(2, 3).build_cell().unwrap())
        .cell(Gru::builder(3, 2).dropout(0.4).recurrent_dropout(0.3).seed(4).build_cell().unwrap())
        .cell(SimpleRnn::builder(2, 4).recurrent_initializer(Initializer::orthogonal()).build_cell().unwrap())
        .build()
        .unwrap();
    let layer = Recurrent::from_cell(cells).return_sequences(true).return_state(true);
    check("StackedCells", &mut with_weights(layer.clone()), false);
    check("StackedCells dropout", &mut with_weights(layer.go_backwards(true)), true);
}

/// A user's cell, written as the documentation says: `f = sigmoid(x Kf + h Rf)`, `g = tanh(x Kg + (f h) Rg)`,
/// `h' = (1 - f) h + f g`.
#[derive(Debug, Clone)]
struct Mgu {
    kernel: Array2<f64>,           // (features, 2 units)
    recurrent_kernel: Array2<f64>, // (units, 2 units)
}

impl Mgu {
    fn new(input_size: usize, units: usize) -> Self {
        Mgu { kernel: filled(1.7, (input_size, 2 * units)), recurrent_kernel: filled(2.9, (units, 2 * units)) }
    }
}

impl Cell for Mgu {
    type Elem = f64;

    fn input_size(&self) -> usize {
        self.kernel.nrows()
    }

    fn state_layout(&self) -> StateLayout {
        StateLayout::new([("h", self.recurrent_kernel.nrows())])
    }

    fn step(&self, step: Step<'_, f64>) {
        let (h, n, z) = (aview1(step.prev), step.prev.len(), aview1(step.x).dot(&self.kernel));
        let (rf, rg) = self.recurrent_kernel.view().split_at(Axis(1), n);
        let f = (&z.slice(s![..n]) + &h.dot(&rf)).mapv(|z| 1.0 / (1.0 + (-z).exp()));
        let g = (&z.slice(s![n..]) + &(&f * &h).dot(&rg)).mapv(f64::tanh);
        for j in 0..n {
            step.next[j] = (1.0 - f[j]) * h[j] + f[j] * g[j];
        }
        if let Some(tape) = step.tape {
            f.iter().chain(&g).zip(tape).for_each(|(&from, to)| *to = from);
        }
    }

    fn tape_len(&self) -> usize {
        2 * self.recurrent_kernel.nrows()
    }

    fn step_backward(&self, step: StepBackward<'_, f64>, gradients: &mut WeightGradients<'_, f64>) -> Result<()> {
        let n = step.prev.len();
        let (h, d_next) = (aview1(step.prev), aview1(step.d_next));
        let (f, g) = aview1(step.tape).split_at(Axis(0), n);
        let (rf, rg) = self.recurrent_kernel.view().split_at(Axis(1), n);
        let dg = &d_next * &f * g.mapv(|g| 1.0 - g * g);
        let d_fh = rg.dot(&dg);
        let df = (&d_next * &(&g - &h) + &d_fh * &h) * f.mapv(|f| f * (1.0 - f));
        aview_mut1(step.d_prev).assign(&(&d_next * f.mapv(|f| 1.0 - f) + &d_fh * &f + rf.dot(&df)));
        let dz = ndarray::concatenate![Axis(0), df, dg];
        aview_mut1(step.d_x).assign(&self.kernel.dot(&dz));
        gradients.add_outer(0, step.x, &dz.to_vec())?;
        gradients.add_outer_columns(1, 0, step.prev, &df.to_vec())?;
        gradients.add_outer_columns(1, n, &(&f * &h).to_vec(), &dg.to_vec())
    }

    fn visit_weights<'a>(&'a self, visitor: &mut WeightVisitor<'_, 'a, f64>) {
        visitor.weight("kernel", &self.kernel);
        visitor.weight("recurrent_kernel", &self.recurrent_kernel);
    }

    fn visit_weights_mut(&mut self, visitor: &mut WeightVisitorMut<'_, f64>) {
        visitor.weight("kernel", &mut self.kernel);
        visitor.weight("recurrent_kernel", &mut self.recurrent_kernel);
    }

    fn class_name(&self) -> &'static str {
        "MGU"
    }

    fn try_clone(&self) -> Option<Self> {
        Some(self.clone())
    }
}

#[test]
fn a_users_cell() {
    let mgu = |inputs, units| Recurrent::from_cell(Mgu::new(inputs, units)).return_sequences(true).return_state(true);
    check("MGU", &mut mgu(2, 3), false);
    check("MGU backwards", &mut mgu(2, 3).go_backwards(true).return_sequences(false), false);
    for merge in [Merge::Concat, Merge::Mul] {
        let layer = Bidirectional::from_layers(mgu(2, 3), mgu(2, 3).go_backwards(true)).unwrap().merge_mode(merge);
        check(&format!("MGU in both directions, {merge:?}"), &mut with_weights(layer), false);
    }
    let stack = Stacked::builder()
        .layer(Lstm::builder(2, 3).return_sequences(true).build().unwrap())
        .layer(Bidirectional::from_layers(mgu(3, 2), mgu(3, 4).go_backwards(true)).unwrap())
        .layer(mgu(6, 3).return_sequences(false))
        .layer(Dense::new(3, 2))
        .return_state(true)
        .build()
        .unwrap();
    check("MGU in a stack", &mut with_weights(stack), false);
    let cells = StackedCells::builder()
        .cell(Gru::builder(2, 3).build_cell().unwrap())
        .cell(Mgu::new(3, 2))
        .cell(Lstm::builder(2, 3).dropout(0.3).seed(5).build_cell().unwrap())
        .build()
        .unwrap();
    check("MGU among cells", &mut with_weights(Recurrent::from_cell(cells).return_sequences(true)), true);
}

/// From ids to a loss: the gradient of an embedding's table, padding and an id that stands several times included.
#[test]
fn an_embedding() {
    let mut embedding = Embedding::<f64>::builder(6, 3).mask_zero(true).build().unwrap();
    let table = filled(4.4, (6, 3));
    let layer = with_weights(Lstm::builder(3, 2).return_sequences(true).build().unwrap());
    let ids = array![[3, 1, 3, 0, 0], [2, 0, 3, 3, 5]];
    let upstream = filled(0.9, (2, 5, 2));
    let output = |embedding: &Embedding<f64>, tape: Option<&mut Tape<f64>>| {
        let (x, mask) = embedding.forward(&ids).unwrap();
        let run = Run::new().mask_if(mask.as_ref());
        let run = if let Some(tape) = tape { run.record(tape) } else { run };
        (layer.run(&x, run).unwrap().sequence().unwrap() * &upstream).sum()
    };
    embedding.set_embeddings(table.view().into_dyn()).unwrap();
    let (mut tape, mut of_layer, mut of_table) = (Tape::new(), Gradients::new(&layer), Gradients::new(&embedding));
    for _twice in 0..2 {
        output(&embedding, Some(&mut tape));
        layer.backward(&mut tape, OutputGradient::new().sequence(&upstream), &mut of_layer).unwrap();
        embedding.backward(&ids, &of_layer.input().unwrap(), &mut of_table).unwrap();
    }
    let step = 1e-5;
    let numeric: Vec<f64> = (0..table.len())
        .map(|i| {
            let mut moved = |by: f64| {
                let mut table = table.clone();
                table.as_slice_mut().unwrap()[i] += by;
                embedding.set_embeddings(table.view().into_dyn()).unwrap();
                output(&embedding, None)
            };
            2.0 * (moved(step) - moved(-step)) / (2.0 * step)
        })
        .collect();
    agree("embeddings", of_table.get("embeddings").unwrap().as_slice().unwrap(), &numeric);
    assert_eq!(of_table.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["embeddings"]);
}

/// With many rows the weights' gradients are summed every few steps: here every third one of eight.
#[test]
fn many_rows() {
    let (batch, steps) = (100, 8);
    let mut layers: Vec<Box<dyn Layer<f64>>> = vec![
        Box::new(SimpleRnn::builder(2, 3).return_sequences(true).build().unwrap()),
        Box::new(Lstm::builder(2, 3).return_sequences(true).go_backwards(true).build().unwrap()),
        Box::new(Gru::builder(2, 3).return_sequences(true).build().unwrap()),
        Box::new(Gru::builder(2, 3).reset_after(false).return_sequences(true).go_backwards(true).build().unwrap()),
    ];
    for layer in &mut layers {
        let mut layer = with_weights(layer.clone());
        let name = layer.class_name();
        let x = filled(0.3, (batch, steps, 2));
        let upstream = filled(0.9, (batch, steps, 3));
        let resets = Array2::from_shape_fn((batch, steps), |(row, t)| (row + t) % 5 == 1);
        let mask = Array2::from_shape_fn((batch, steps), |(row, t)| (row * 3 + t) % 4 != 2);
        let options = || Run::new().resets(&resets).mask(&mask);
        let loss = |layer: &dyn Layer<f64>, x: &Array3<f64>| {
            (layer.run(x, options()).unwrap().sequence().unwrap() * &upstream).sum()
        };
        let (mut tape, mut gradients) = (Tape::new(), Gradients::new(&layer));
        layer.run(&x, options().record(&mut tape)).unwrap();
        layer.backward(&mut tape, OutputGradient::new().sequence(&upstream), &mut gradients).unwrap();

        let step = 1e-5;
        let names: Vec<String> = layer.weights().iter().map(|(name, _)| name.clone()).collect();
        for weight in &names {
            let given = layer.weight(weight).unwrap().to_owned();
            let mut numeric = Vec::new();
            for i in 0..given.len() {
                let mut moved = |by: f64| {
                    let mut values = given.clone();
                    values.as_slice_mut().unwrap()[i] += by;
                    layer.set_weights(&[(weight, values.view())]).unwrap();
                    loss(&layer, &x)
                };
                numeric.push((moved(step) - moved(-step)) / (2.0 * step));
            }
            layer.set_weights(&[(weight, given.view())]).unwrap();
            agree(&format!("{name}: {weight}"), gradients.get(weight).unwrap().as_slice().unwrap(), &numeric);
        }
        let numeric: Vec<f64> = (0..x.len())
            .map(|i| {
                let moved = |by: f64| {
                    let mut x = x.clone();
                    x.as_slice_mut().unwrap()[i] += by;
                    loss(&layer, &x)
                };
                (moved(step) - moved(-step)) / (2.0 * step)
            })
            .collect();
        agree(&format!("{name}: input"), gradients.input().unwrap().as_slice().unwrap(), &numeric);
    }
}
