//! Tapes, gradients, seeds and optimizers of something else, though every shape agrees.

use ndarray::prelude::*;
use recurrent::training::{Adam, Optimizer, Sgd, Tape, TruncatedBptt};
use recurrent::{
    Bidirectional, Cell, Dense, Embedding, Error, Gradients, Gru, Layer, Lstm, Merge, Model, OutputGradient, OutputMut,
    Recurrent, Result, Run, Scratch, SeedSource, SimpleRnn, Stacked, StackedCells, State, StateLayout, Stream,
    TimeDistributed, WeightVisitor, WeightVisitorMut,
    cell::{Step, StepBackward, WeightGradients},
    model::AnyLayer,
};

use super::refusal;

type Boxed = Box<dyn Layer<f64>>;

/// `h' = h + rate x`, with a weight `kernel` like a Dense's.
#[derive(Debug, Clone)]
struct Leak {
    kernel: Array2<f64>,
}

impl Leak {
    fn new(features: usize) -> Self {
        Leak { kernel: Array2::from_shape_fn((features, features), |(i, j)| 0.3 - 0.1 * i as f64 + 0.2 * j as f64) }
    }
}

impl Cell for Leak {
    type Elem = f64;
    fn input_size(&self) -> usize {
        self.kernel.nrows()
    }
    fn state_layout(&self) -> StateLayout {
        StateLayout::new([("h", self.kernel.ncols())])
    }
    fn step(&self, step: Step<'_, f64>) {
        for (j, next) in step.next.iter_mut().enumerate() {
            *next = 0.5 * step.prev[j];
            step.x.iter().enumerate().for_each(|(i, x)| *next += x * self.kernel[[i, j]]);
        }
    }
    fn visit_weights<'a>(&'a self, visitor: &mut WeightVisitor<'_, 'a, f64>) {
        visitor.weight("kernel", &self.kernel);
    }
    fn visit_weights_mut(&mut self, visitor: &mut WeightVisitorMut<'_, f64>) {
        visitor.weight("kernel", &mut self.kernel);
    }
    fn step_backward(&self, step: StepBackward<'_, f64>, gradients: &mut WeightGradients<'_, f64>) -> Result<()> {
        let of_weight = gradients.get_mut(0).expect("the kernel");
        step.d_x.fill(0.0);
        for (j, d) in step.d_next.iter().enumerate() {
            step.d_prev[j] = 0.5 * d;
            for (i, x) in step.x.iter().enumerate() {
                of_weight[[i, j]] += x * d;
                step.d_x[i] += d * self.kernel[[i, j]];
            }
        }
        Ok(())
    }
    fn try_clone(&self) -> Option<Self> {
        Some(self.clone())
    }
}

fn both(seeds: &mut SeedSource, merge: Merge) -> Bidirectional<f64> {
    let recipe = Gru::builder(3, 3).seeds(seeds).return_sequences(true).return_state(true);
    Bidirectional::new(recipe).unwrap().merge_mode(merge)
}

const MERGES: [Merge; 5] = [Merge::Sum, Merge::Mul, Merge::Concat, Merge::Ave, Merge::None];

/// A layer of every kind, from 3 features; the same for the same seed.
fn layers(seed: u32) -> Vec<Boxed> {
    let mut seeds = SeedSource::keras(seed);
    let seeds = &mut seeds;
    let mut layers: Vec<Boxed> = vec![
        Box::new(SimpleRnn::builder(3, 3).seeds(seeds).return_sequences(true).build().unwrap()),
        Box::new(Lstm::builder(3, 3).seeds(seeds).build().unwrap()),
        Box::new(Gru::builder(3, 3).seeds(seeds).go_backwards(true).build().unwrap()),
        Box::new(Dense::builder(3, 2).seeds(seeds).build().unwrap()),
        Box::new(TimeDistributed::new(Dense::builder(3, 2).seeds(seeds).build().unwrap())),
        Box::new(Recurrent::from_cell(Leak::new(3))),
    ];
    layers.extend(MERGES.map(|merge| Box::new(both(seeds, merge)) as Boxed));
    let cells = StackedCells::builder()
        .cell(Lstm::builder(3, 2).seeds(seeds).build_cell().unwrap())
        .cell(Gru::builder(2, 3).seeds(seeds).build_cell().unwrap());
    layers.push(Box::new(Recurrent::from_cell(cells.build().unwrap())));
    let inner =
        Stacked::builder().layer(both(seeds, Merge::Mul)).layer(Dense::builder(3, 3).seeds(seeds).build().unwrap());
    let outer = Stacked::builder()
        .layer(inner.build().unwrap())
        .layer(Recurrent::from_cell(Leak::new(3)).return_sequences(true))
        .layer(Box::new(TimeDistributed::new(Dense::builder(3, 2).seeds(seeds).build().unwrap())));
    layers.push(Box::new(outer.build().unwrap()));
    layers
}

fn input() -> Array3<f64> {
    Array3::from_shape_fn((2, 5, 3), |(row, t, j)| (row as f64 + 0.7 * t as f64 - 1.3 * j as f64).sin())
}

fn record(layer: &dyn Layer<f64>) -> Tape<f64> {
    let mut tape = Tape::new();
    layer.run(&input(), Run::new().record(&mut tape)).unwrap();
    tape
}

/// The backward pass from ones in the last output.
fn back(layer: &dyn Layer<f64>, tape: &mut Tape<f64>, gradients: &mut Gradients<f64>) -> Result<()> {
    let d = Array2::from_shape_fn((2, layer.output_size()), |(row, j)| 1.0 + row as f64 - 0.3 * j as f64);
    layer.backward(tape, OutputGradient::new().last(&d), gradients)
}

/// Checks that this layer refuses the tape so, and nothing changes; the tape is still good for the one that recorded
/// it.
#[track_caller]
fn refuses(layer: &dyn Layer<f64>, tape: &mut Tape<f64>, error: Error) {
    let mut gradients = Gradients::new(layer);
    gradients.iter_mut().for_each(|(_, mut gradient)| gradient.fill(7.0));
    let before = gradients.clone();
    assert_eq!(refusal(back(layer, tape, &mut gradients)), error, "{layer:?}");
    assert_eq!(gradients, before);
}

/// Makes the last weight a little larger.
fn change(layer: &mut dyn Layer<f64>) {
    let (name, weight) = layer.weights().into_iter().next_back().map(|(name, weight)| (name, &weight + 0.125)).unwrap();
    layer.set_weights(&[(&name, weight.view())]).unwrap();
}

#[test]
fn tapes_of_other_weights() {
    for (mut layer, twin) in layers(3).into_iter().zip(layers(3)) {
        let expected = {
            let mut gradients = Gradients::new(&layer);
            back(&layer, &mut record(&layer), &mut gradients).unwrap();
            gradients
        };
        // A clone gives the same numbers, and so do the weights' own names in another layer, but that is another one.
        let (clone, mut tape) = (layer.clone(), record(&layer));
        refuses(&twin, &mut tape, Error::TapeLayer);
        let mut gradients = Gradients::new(&clone);
        back(&clone, &mut tape, &mut gradients).unwrap();
        assert_eq!(gradients, expected);
        // One of the two changes: the other one is what it was.
        let (mut by_clone, mut by_layer) = (record(&clone), record(&layer));
        change(&mut layer);
        refuses(&layer, &mut by_clone, Error::TapeStale);
        refuses(&layer, &mut by_layer, Error::TapeStale);
        gradients.clear();
        back(&clone, &mut by_layer, &mut gradients).unwrap();
        assert_eq!(gradients, expected);
        // Two clones that changed in the same way have changed apart.
        let mut changed = clone.clone();
        change(&mut changed);
        assert_eq!(changed.weights(), layer.weights());
        refuses(&changed, &mut record(&layer), Error::TapeStale);
        // An optimizer's step.
        let mut tape = record(&layer);
        Sgd::new(0.1).step(&mut layer, &expected).unwrap();
        refuses(&layer, &mut tape, Error::TapeStale);
        // The way out.
        layer.run(&input(), Run::new().record(&mut tape)).unwrap();
        back(&layer, &mut tape, &mut gradients).unwrap();
    }
}

#[test]
fn tapes_of_other_options() {
    fn recurrent<C: Cell<Elem = f64>>(layer: Recurrent<C>) {
        let changed = [
            layer.clone().return_sequences(true),
            layer.clone().return_state(true),
            layer.clone().go_backwards(true),
            layer.clone().zero_output_for_mask(true),
        ];
        for changed in &changed {
            refuses(changed, &mut record(&layer), Error::TapeOptions);
            refuses(&layer, &mut record(changed), Error::TapeOptions);
        }
        let [sequences, ..] = changed;
        let (same, mut gradients) = (sequences.return_sequences(false), Gradients::new(&layer));
        back(&same, &mut record(&layer), &mut gradients).unwrap();
    }
    recurrent(SimpleRnn::new(3, 4));
    recurrent(Lstm::new(3, 4));
    recurrent(Gru::new(3, 4));
    recurrent(Recurrent::from_cell(Leak::new(3)));
    let layer = both(&mut SeedSource::keras(1), Merge::Sum);
    for (one, other) in MERGES.into_iter().flat_map(|one| MERGES.map(|other| (one, other))) {
        let stack = |merge| Stacked::builder().layer(layer.clone().merge_mode(merge)).build().unwrap();
        let (mut tape, mut in_stack) = (record(&layer.clone().merge_mode(one)), record(&stack(one)));
        if one == other {
            let (other, mut gradients) = (layer.clone().merge_mode(other), Gradients::new(&layer));
            back(&other, &mut tape, &mut gradients).unwrap();
            // A stack of the same layers in the same order is the same stack.
            let (other, expected) = (stack(one), gradients.clone());
            let mut gradients = Gradients::new(&other);
            back(&other, &mut in_stack, &mut gradients).unwrap();
            assert_eq!(gradients.input().unwrap(), expected.input().unwrap());
        } else {
            refuses(&layer.clone().merge_mode(other), &mut tape, Error::TapeOptions);
            refuses(&stack(other), &mut in_stack, Error::TapeOptions);
        }
        refuses(&layer.clone().merge_mode(one), &mut record(&stack(one)), Error::TapeLayer);
    }
}

/// The same layers put together in another way.
#[test]
fn tapes_of_other_wholes() {
    let mut seeds = SeedSource::keras(2);
    let mut dense = || Dense::<f64>::builder(3, 3).seeds(&mut seeds).build().unwrap();
    let (a, b) = (dense(), dense());
    let stack = |layers: &[&dyn Layer<f64>]| -> Boxed {
        let all = layers.iter().fold(Stacked::builder(), |stack, layer| stack.layer(layer.boxed_clone()));
        Box::new(all.build().unwrap())
    };
    let wholes = [
        Box::new(a.clone()) as Boxed,
        Box::new(b.clone()),
        Box::new(TimeDistributed::new(a.clone())),
        stack(&[&a]),
        stack(&[&a, &b]),
        stack(&[&b, &a]),
        stack(&[&a, &a]),
        stack(&[&a, &stack(&[&b])]),
        stack(&[&stack(&[&a]), &b]),
        stack(&[&stack(&[&a, &b])]),
    ];
    for (i, one) in wholes.iter().enumerate() {
        for (j, other) in wholes.iter().enumerate() {
            let mut tape = record(one);
            if i == j {
                back(&other.clone(), &mut tape, &mut Gradients::new(other)).unwrap();
                continue;
            }
            let mut gradients = Gradients::new(other);
            let error = refusal(back(other, &mut tape, &mut gradients));
            assert!(matches!(error, Error::TapeLayer | Error::TapeOptions), "{one:?} {other:?}: {error}");
        }
    }
}

/// Whatever refuses a recorded run of a model, nothing is on the tape then.
#[test]
fn refused_recorded_runs_of_models() {
    let mut build = Model::<f64>::builder("model");
    let input = build.input("x", [None, Some(3)]).unwrap();
    let outputs = build.call("lstm", AnyLayer::from(Lstm::<f64>::new(3, 4)).stateful(), &[input]).unwrap();
    let model = build.build(&outputs).unwrap();
    let (x, d) = (input_of_steps(4), Array2::ones((2, 4)).into_dyn());
    let mut tape = Tape::new();
    let empty = |tape: &mut Tape<f64>| {
        let error = refusal(model.backward(tape, &[&d], &mut Gradients::new(&model)));
        assert_eq!(error, Error::TapeEmpty);
        model.record(&[(&x).into()], tape).unwrap();
    };
    empty(&mut tape);
    assert!(model.record(&[], &mut tape).is_err());
    empty(&mut tape);
    assert!(model.record(&[(&input_of_steps(0)).into()], &mut tape).is_err());
    empty(&mut tape);
    assert!(model.record(&[(&Array3::<f64>::ones((2, 4, 5))).into()], &mut tape).is_err());
    empty(&mut tape);
    let mut state = model.initial_state(7);
    assert!(model.record_stateful(&mut state, &[(&x).into()], &mut tape).is_err());
    empty(&mut tape);
}

fn input_of_steps(steps: usize) -> Array3<f64> {
    Array3::from_elem((2, steps, 3), 0.25)
}

/// A chunk of no steps is fine, but it can't be recorded: nothing is on the tape then, not the chunk before either.
#[test]
fn recorded_runs_of_no_steps() {
    for layer in layers(4).iter().filter(|layer| layer.can_stream().is_ok()) {
        let (x, none) = (input(), Array3::<f64>::zeros((2, 0, 3)));
        let nothing = Error::NoTimesteps { given: [2, 0, 3] };
        let (mut stream, mut tape) = (Stream::new(layer, 2).unwrap(), Tape::new());
        let mut gradients = Gradients::new(layer);
        let mut empty = |tape: &mut Tape<f64>| {
            assert_eq!(refusal(back(layer, tape, &mut gradients)), Error::TapeEmpty);
            layer.run(&x, Run::new().record(tape)).unwrap();
        };
        stream.run_with(&x, Run::new().record(&mut tape)).unwrap();
        let (state, output) = (stream.state().clone(), stream.output().to_owned());
        assert_eq!(refusal(stream.run_with(&none, Run::new().record(&mut tape))), nothing);
        empty(&mut tape);
        assert_eq!(refusal(stream.run_into(&none, Run::new().record(&mut tape), OutputMut::new())), nothing);
        empty(&mut tape);
        assert_eq!(refusal(layer.run(&none, Run::new().record(&mut tape))), nothing);
        empty(&mut tape);
        let (short, other) = (Array2::from_elem((2, 1), true), Array3::zeros((2, 4, 9)));
        assert!(layer.run(&x, Run::new().mask(&short).record(&mut tape)).is_err());
        empty(&mut tape);
        assert!(layer.run(&other, Run::new().record(&mut tape)).is_err());
        empty(&mut tape);
        let mut narrow = Array2::zeros((1, 1));
        let out = OutputMut::new().last(&mut narrow);
        assert!(layer.run_into(&x, Run::new().record(&mut tape), out, &mut Scratch::new()).is_err());
        empty(&mut tape);
        assert_eq!((stream.state(), stream.output()), (&state, output.view()));
        stream.run(&none).unwrap();
        stream.run_into(&none, Run::new(), OutputMut::new()).unwrap();
        assert_eq!((stream.state(), stream.output()), (&state, output.view()));
        let (mut gradients, mut expected) = (Gradients::new(layer), Gradients::new(layer));
        back(layer, &mut tape, &mut gradients).unwrap();
        back(layer, &mut record(layer), &mut expected).unwrap();
        assert_eq!(gradients, expected);
        // An empty tape stays empty.
        let mut tape = Tape::new();
        assert_eq!(refusal(stream.run_with(&none, Run::new().record(&mut tape))), nothing);
        assert_eq!(refusal(back(layer, &mut tape, &mut gradients)), Error::TapeEmpty);
        // No rows are something else.
        let (mut chunk, no_rows) = (Stream::new(layer, 0).unwrap(), Array3::<f64>::zeros((0, 4, 3)));
        chunk.run_with(&no_rows, Run::new().record(&mut tape)).unwrap();
        layer.backward(&mut tape, OutputGradient::new(), &mut gradients).unwrap();
    }
}

#[test]
fn gradients_by_name() {
    let (mut dense, mut table) =
        (Dense::<f64>::builder(3, 3).use_bias(false).build().unwrap(), Embedding::<f64>::new(3, 3));
    let mut leak = Recurrent::from_cell(Leak::new(3));
    let (of_dense, of_table, of_leak) = (Gradients::new(&dense), Gradients::new(&table), Gradients::new(&leak));
    let shapes = |gradients: &Gradients<f64>| gradients.iter().map(|(_, g)| g.shape().to_vec()).collect::<Vec<_>>();
    assert_eq!(shapes(&of_dense), shapes(&of_table));
    assert_eq!(shapes(&of_dense), shapes(&of_leak));
    // By an optimizer.
    let mut sgd = Sgd::new(0.1);
    assert_eq!(refusal(sgd.step(&mut dense, &of_table)), Error::GradientsLayer);
    assert_eq!(refusal(sgd.step(&mut table, &of_dense)), Error::GradientsLayer);
    // The same name and shape; but one has a state.
    assert_eq!(refusal(sgd.step(&mut dense, &of_leak)), Error::GradientsLayer);
    assert_eq!(refusal(sgd.step(&mut leak, &of_dense)), Error::GradientsLayer);
    assert_eq!(refusal(sgd.step_all(&mut [(&mut dense, &of_dense), (&mut table, &of_dense)])), Error::GradientsLayer);
    // By a backward pass.
    let mut tape = record(&dense);
    for wrong in [&of_table, &of_leak] {
        let mut gradients = wrong.clone();
        assert_eq!(refusal(back(&dense, &mut tape, &mut gradients)), Error::GradientsLayer);
        assert_eq!(gradients, *wrong);
    }
    let (ids, d_x) = (array![[1, 2]], Array3::ones((1, 2, 3)));
    for wrong in [&of_dense, &of_leak] {
        let mut gradients = wrong.clone();
        assert_eq!(refusal(table.backward(&ids, &d_x, &mut gradients)), Error::GradientsLayer);
        assert_eq!(gradients, *wrong);
    }
    // In a stack a weight's name has its place.
    let stack = |layer: &Dense<f64>| Stacked::builder().layer(layer.clone()).build().unwrap();
    assert_eq!(refusal(sgd.step(&mut stack(&dense), &of_dense)), Error::GradientsLayer);
    // What was built alike has the same names.
    let alike = Dense::<f64>::builder(3, 3).use_bias(false).build().unwrap();
    back(&dense, &mut tape, &mut Gradients::new(&alike)).unwrap();
    sgd.step(&mut dense, &Gradients::new(&alike)).unwrap();
}

#[test]
fn seeds_of_another_layer() {
    fn lstm(rate: f64, recurrent_rate: f64, seed: i64) -> Lstm<f64> {
        Lstm::builder(3, 4).dropout(rate).recurrent_dropout(recurrent_rate).seed(seed).build().unwrap()
    }
    let (layer, x) = (lstm(0.5, 0.2, 7), input());
    let gru = Gru::<f64>::builder(3, 4).dropout(0.5).recurrent_dropout(0.2).seed(7).build().unwrap();
    let wide = Lstm::<f64>::builder(4, 4).dropout(0.5).recurrent_dropout(0.2).seed(7).build().unwrap();
    let pair = |first: &Lstm<f64>, second: &Lstm<f64>| -> Boxed {
        let sequence = first.clone().return_sequences(true);
        let narrow = Dense::<f64>::new(4, 3);
        Box::new(Stacked::builder().layer(sequence).layer(narrow).layer(second.clone()).build().unwrap())
    };
    let others: [&dyn Layer<f64>; 5] = [&lstm(0.5, 0.2, 8), &lstm(0.4, 0.2, 7), &lstm(0.5, 0.3, 7), &gru, &wide];
    for other in others {
        let mut seeds = other.seeds();
        let before = seeds.clone();
        let mut tape = record(&layer);
        let error = refusal(layer.run(&x, Run::new().training(&mut seeds).record(&mut tape)));
        assert!(matches!(error, Error::SeedsLayer { generator: 0, .. }), "{error:?}");
        assert!(error.to_string().contains("seed 7, dropout 0.5 (4 masks of 3), recurrent_dropout 0.2"), "{error}");
        assert_eq!(seeds, before);
        assert_eq!(refusal(back(&layer, &mut tape, &mut Gradients::new(&layer))), Error::TapeEmpty);
    }
    let (first, second) = (lstm(0.5, 0.2, 7), lstm(0.5, 0.2, 9));
    let error = refusal(pair(&first, &second).run(&x, Run::new().training(&mut pair(&first, &first).seeds())));
    assert!(matches!(error, Error::SeedsLayer { generator: 1, .. }), "{error:?}");
    let error = refusal(pair(&first, &second).run(&x, Run::new().training(&mut pair(&second, &first).seeds())));
    assert!(matches!(error, Error::SeedsLayer { generator: 0, .. }), "{error:?}");
    let error = refusal(pair(&first, &second).run(&x, Run::new().training(&mut first.seeds())));
    assert_eq!(error, Error::SeedsCount { expected: 2, given: 1 });
    // The same generators, wherever they come from, in whatever state.
    let mut seeds = layer.clone().cast::<f32>().seeds();
    seeds.skip_inference();
    let first_call = layer.run(&x, Run::new().training(&mut seeds)).unwrap();
    let second_call = layer.run(&x, Run::new().training(&mut seeds.clone())).unwrap();
    assert_ne!(first_call, second_call);
    assert_eq!(lstm(0.5, 0.2, 7).seeds(), layer.seeds());
}

#[test]
fn optimizers_of_another_layer() {
    fn ones(layer: &dyn Layer<f64>) -> Gradients<f64> {
        let mut gradients = Gradients::new(layer);
        gradients.iter_mut().for_each(|(_, mut gradient)| gradient.fill(1.0));
        gradients
    }
    let adam = || Adam::new(0.1).use_ema(true);
    for (mut layer, mut twin) in layers(5).into_iter().zip(layers(5)) {
        let gradients = ones(&layer);
        let before = twin.weights().into_iter().map(|(_, weight)| weight.to_owned()).collect::<Vec<_>>();
        let mut optimizer = adam();
        optimizer.step(&mut layer, &gradients).unwrap();
        // The same names, shapes and weights: as Keras's optimizers, it is its variables' own.
        assert_eq!(refusal(optimizer.step(&mut twin, &gradients)), Error::GradientsLayer);
        assert_eq!(refusal(optimizer.finalize_variable_values(&mut [&mut twin])), Error::GradientsLayer);
        assert_eq!(optimizer.iterations(), 1);
        assert!(twin.weights().into_iter().map(|(_, weight)| weight).eq(before.iter().map(|weight| weight.view())));
        // A clone goes on with a clone of the optimizer, and has the same numbers.
        let (mut clone, mut cloned) = (layer.clone(), optimizer.clone());
        optimizer.step(&mut layer, &gradients).unwrap();
        cloned.step(&mut clone, &gradients).unwrap();
        assert_eq!(clone.weights(), layer.weights());
        optimizer.step(&mut clone, &gradients).unwrap();
        optimizer.finalize_variable_values(&mut [&mut clone]).unwrap();
    }
    // Tables too.
    let (mut table, mut other) = (Embedding::<f64>::new(4, 3), Embedding::<f64>::new(4, 3));
    let (of_table, mut optimizer) = (Gradients::new(&table), adam());
    optimizer.step(&mut table, &of_table).unwrap();
    assert_eq!(refusal(optimizer.step(&mut other, &of_table)), Error::GradientsLayer);
    optimizer.step(&mut table.clone(), &of_table).unwrap();
    // Options may change: the weights are the same ones.
    let layer = both(&mut SeedSource::keras(1), Merge::Sum);
    let (gradients, mut optimizer) = (ones(&layer), adam());
    optimizer.step(&mut layer.clone(), &gradients).unwrap();
    optimizer.step(&mut layer.merge_mode(Merge::Mul), &gradients).unwrap();
}

/// A first step that is refused because of a shared cell teaches an optimizer nothing.
#[test]
fn a_refused_step_leaves_no_trace() {
    #[derive(Debug)]
    struct Shared(Leak);
    impl Cell for Shared {
        type Elem = f64;
        fn input_size(&self) -> usize {
            self.0.input_size()
        }
        fn state_layout(&self) -> StateLayout {
            self.0.state_layout()
        }
        fn step(&self, step: Step<'_, f64>) {
            self.0.step(step);
        }
        fn visit_weights<'a>(&'a self, visitor: &mut WeightVisitor<'_, 'a, f64>) {
            self.0.visit_weights(visitor);
        }
        fn visit_weights_mut(&mut self, visitor: &mut WeightVisitorMut<'_, f64>) {
            self.0.visit_weights_mut(visitor);
        }
        fn step_backward(&self, step: StepBackward<'_, f64>, gradients: &mut WeightGradients<'_, f64>) -> Result<()> {
            self.0.step_backward(step, gradients)
        }
    }
    let mut layer = Recurrent::from_cell(Shared(Leak::new(3)));
    let (clone, mut tape) = (layer.clone(), record(&layer));
    let (gradients, mut adam) = (Gradients::new(&layer), Adam::new(0.1));
    assert_eq!(refusal(adam.step(&mut layer, &gradients)), Error::SharedCell { cell: "RNN" });
    let kernel = Array2::ones((3, 3)).into_dyn();
    assert_eq!(refusal(layer.set_weights(&[("kernel", kernel.view())])), Error::SharedCell { cell: "RNN" });
    // The weights are what they were, so the tape is good.
    back(&layer, &mut tape, &mut Gradients::new(&layer)).unwrap();
    let mut other = Gru::<f64>::new(3, 4);
    let of_other = Gradients::new(&other);
    adam.step(&mut other, &of_other).unwrap();
    drop(clone);
    Adam::new(0.1).step(&mut layer, &gradients).unwrap();
}

#[test]
fn chunks_of_another_layer() {
    let (layer, other, x) = (Lstm::<f64>::new(3, 4), Lstm::<f64>::new(3, 4), input());
    let mut chunks = TruncatedBptt::new(&layer, 2).unwrap();
    chunks.run(&layer, &x, Run::new()).unwrap();
    let state = chunks.state().clone();
    let mut gradients = Gradients::new(&layer);
    for error in [
        refusal(chunks.run(&other, &x, Run::new())),
        refusal(chunks.run_into(&other, &x, Run::new(), OutputMut::new())),
        refusal(chunks.reset(&other)),
        refusal(chunks.reset_row(&other, 1)),
        refusal(chunks.set_state(&other, &State::zeros(state.layout().clone(), 2))),
    ] {
        assert_eq!(error, Error::ChunkLayer);
    }
    let nothing = OutputGradient::new();
    assert_eq!(refusal(chunks.backward(&other, nothing, &mut gradients)), Error::TapeLayer);
    assert_eq!(*chunks.state(), state);
    // The chunk before is still there; weights change between chunks, not between a chunk and its backward pass.
    let mut layer = layer;
    chunks.backward(&layer, nothing, &mut gradients).unwrap();
    change(&mut layer);
    chunks.run(&layer, &x, Run::new()).unwrap();
    change(&mut layer);
    assert_eq!(refusal(chunks.backward(&layer, nothing, &mut gradients)), Error::TapeStale);
    let backwards = layer.clone().zero_output_for_mask(true);
    chunks.run(&backwards, &x, Run::new()).unwrap();
    assert_eq!(refusal(chunks.backward(&layer, nothing, &mut gradients)), Error::TapeOptions);
    chunks.backward(&backwards, nothing, &mut gradients).unwrap();
}

/// Several recorded runs before one update; a mean of several calls: weights change only when an update is made.
#[test]
fn ordinary_loops() {
    for mut layer in layers(6) {
        let (mut gradients, mut optimizer) = (Gradients::new(&layer), Adam::new(0.01).gradient_accumulation_steps(2));
        for _ in 0..3 {
            let (mut first, mut second) = (record(&layer), record(&layer));
            back(&layer, &mut second, &mut gradients).unwrap();
            optimizer.step(&mut layer, &gradients).unwrap(); // adds up
            gradients.clear();
            back(&layer, &mut first, &mut gradients).unwrap();
            optimizer.step(&mut layer, &gradients).unwrap();
        }
        assert_eq!(optimizer.iterations(), 3);
        // Reading weights changes nothing.
        let mut tape = record(&layer);
        let _ = (layer.weights(), layer.count_params(), layer.clone(), layer.boxed_clone(), layer.seeds());
        back(&layer, &mut tape, &mut gradients).unwrap();
    }
}
