//! Sizes where a user's value enters: cells of one's own, steps by hand, no rows, layers within layers.

use ndarray::prelude::*;
use recurrent::training::{Tape, TruncatedBptt};
use recurrent::{
    Bidirectional, Cell, Dense, Embedding, Error, Gradients, Gru, Layer, Lstm, Masking, OutputGradient, Recurrent,
    Result, Run, SimpleRnn, Stacked, StackedCells, StateLayout, Stream, WeightVisitor, WeightVisitorMut,
    cell::{CellDropout, Step, StepBackward, WeightGradients},
};

use super::refusal;

/// A cell that says any sizes.
#[derive(Debug, Clone)]
struct Says {
    input: usize,
    state: usize,
    output: std::ops::Range<usize>,
    scratch: usize,
    tape: usize,
    dropout: Vec<CellDropout>,
}

impl Says {
    fn sizes(input: usize, state: usize) -> Self {
        Says { input, state, output: 0..state, scratch: 0, tape: 0, dropout: Vec::new() }
    }
}

impl Cell for Says {
    type Elem = f32;

    fn input_size(&self) -> usize {
        self.input
    }

    fn state_layout(&self) -> StateLayout {
        StateLayout::new([("h", self.state)])
    }

    fn output(&self) -> std::ops::Range<usize> {
        self.output.clone()
    }

    fn scratch_len(&self) -> usize {
        self.scratch
    }

    fn backward_scratch_len(&self) -> usize {
        self.scratch
    }

    fn tape_len(&self) -> usize {
        self.tape
    }

    fn dropout(&self) -> &[CellDropout] {
        &self.dropout
    }

    fn step(&self, step: Step<'_, f32>) {
        step.next.fill(1.0);
    }

    fn step_backward(&self, step: StepBackward<'_, f32>, gradients: &mut WeightGradients<'_, f32>) -> Result<()> {
        step.d_prev.fill(0.0);
        step.d_x.fill(0.0);
        gradients.add(7, step.d_next)
    }

    fn visit_weights<'a>(&'a self, _visitor: &mut WeightVisitor<'_, 'a, f32>) {}

    fn visit_weights_mut(&mut self, _visitor: &mut WeightVisitorMut<'_, f32>) {}
}

const MAX: usize = usize::MAX;

fn too_large<T>(result: Result<T>) {
    let error = refusal(result);
    assert!(matches!(error, Error::TensorTooLarge { .. }), "{error:?}");
}

#[test]
fn widths_that_cant_be_added() {
    let overflow = |what, widths| Error::WidthOverflow { what, widths };
    let wide = || Recurrent::from_cell(Says::sizes(1, MAX)).return_sequences(true);
    let after = Recurrent::from_cell(Says::sizes(MAX, 1));
    let stack = Stacked::builder().layer(wide()).layer(after).build();
    assert_eq!(refusal(stack), overflow("state", [MAX, 1]));
    let cells = StackedCells::builder().cell(Says::sizes(1, MAX)).cell(Says::sizes(MAX, 1)).build();
    assert_eq!(refusal(cells), overflow("state", [MAX, 1]));
    let (forward, backward) = (wide(), wide().go_backwards(true));
    assert_eq!(refusal(Bidirectional::from_layers(forward, backward)), overflow("state", [MAX, MAX]));
    let mask = CellDropout::new(MAX, MAX).rate(0.5, MAX).recurrent_rate(0.5, MAX).seed(1);
    let dropped = Says { dropout: vec![mask], ..Says::sizes(1, 1) };
    let cells = StackedCells::builder().cell(dropped.clone()).cell(dropped.clone()).build();
    assert_eq!(refusal(cells), overflow("dropout masks", [MAX, MAX]));
    let kept = Says { tape: MAX, ..Says::sizes(1, 1) };
    let cells = StackedCells::builder().cell(kept.clone()).cell(kept.clone()).build();
    assert_eq!(refusal(cells), overflow("tape", [MAX, MAX]));

    // One alone is a layer that no call has memory for.
    let layer = Recurrent::from_cell(dropped);
    let mut seeds = layer.seeds();
    let x = Array3::ones((2, 3, 1));
    too_large(layer.run(&x, Run::new().training(&mut seeds)));
    assert_eq!(seeds, layer.seeds());
    layer.forward(&x).unwrap();
    let layer = Recurrent::from_cell(kept);
    too_large(layer.run(&x, Run::new().record(&mut Tape::new())));
    layer.forward(&x).unwrap();
    for (input, state, scratch) in [(1, MAX, 0), (1, MAX / 8, 0), (1, 1, MAX), (1, 1, MAX / 2)] {
        let says = Says { scratch, ..Says::sizes(input, state) };
        let layers: Vec<Box<dyn Layer<f32>>> = vec![
            Box::new(Recurrent::from_cell(says.clone())),
            Box::new(Stacked::builder().layer(Recurrent::from_cell(says.clone())).build().unwrap()),
            Box::new(Recurrent::from_cell(StackedCells::builder().cell(says.clone()).build().unwrap())),
        ];
        for layer in layers {
            too_large(layer.forward(&x));
            too_large(layer.run(&x, Run::new().record(&mut Tape::new())));
            too_large(Stream::new(&layer, 2));
            if state > 1 {
                too_large(layer.try_initial_state(2));
                too_large(TruncatedBptt::new(&layer, 2));
                let none = layer.initial_state(0);
                assert!(none.names().all(|name| none.get(name).is_ok_and(|part| part.is_empty())));
            }
        }
    }
}

#[test]
fn an_output_that_isnt_part_of_the_state() {
    #[allow(clippy::reversed_empty_ranges)]
    for output in [0..4, 3..4, 2..1, 0..MAX, MAX..MAX] {
        let says = Says { output: output.clone(), ..Says::sizes(2, 3) };
        let error = Error::CellOutput { cell: "RNN", output, width: 3 };
        let layer = Recurrent::from_cell(says.clone());
        assert_eq!(refusal(layer.forward(&Array3::ones((1, 2, 2)))), error);
        assert_eq!(refusal(Stream::new(&layer, 1)), error);
        assert_eq!(refusal(Stacked::builder().layer(layer.clone()).build()), error);
        assert_eq!(refusal(StackedCells::builder().cell(says).build()), error);
        let backward = layer.clone().go_backwards(true);
        assert_eq!(refusal(Bidirectional::from_layers(layer, backward)), error);
    }
}

#[test]
fn gradients_of_weights_that_a_cell_hasnt() {
    let layer = Recurrent::from_cell(Says::sizes(2, 3));
    let (mut tape, mut gradients) = (Tape::new(), Gradients::new(&layer));
    layer.run(&Array3::ones((1, 2, 2)), Run::new().record(&mut tape)).unwrap();
    let d = Array2::ones((1, 3));
    let error = refusal(layer.backward(&mut tape, OutputGradient::new().last(&d), &mut gradients));
    assert_eq!(error, Error::GradientShape { index: 7, expected: vec![], given: vec![3] });
}

/// Checks that steps of wrong sizes are refused, or else are NaN and nothing else.
fn check_steps<C: Cell<Elem = f32>>(cell: &C, input: usize, width: usize) {
    for x in [0, 1, input - 1, input, input + 1, 40] {
        for (prev, next) in
            [(0, 0), (width, width - 1), (width - 1, width), (width, width), (width + 1, width), (40, 40)]
        {
            let (x, prev) = (vec![0.5; x], vec![0.25; prev]);
            let mut out = vec![0.0; next];
            cell.step(Step::new(&x, &prev, &mut out));
            let fits = (x.len(), prev.len(), next) == (input, width, width);
            assert!(out.iter().all(|value| value.is_nan() != fits), "{x:?} {prev:?} {out:?}");
            match Step::for_cell(cell, &x, &prev, &mut out) {
                Ok(step) => {
                    assert!(fits);
                    let mut short = [0.0; 1];
                    let mut step = step;
                    step.tape = Some(&mut short);
                    step.dropout.input = &x[1..];
                    cell.step(step);
                    assert!(out.iter().all(|value| value.is_nan()));
                }
                Err(Error::StepSize { what, expected, given, .. }) => {
                    assert!(!fits);
                    let first = [("x", input, x.len()), ("prev", width, prev.len()), ("next", width, next)];
                    assert_eq!(first.into_iter().find(|(_, a, b)| a != b), Some((what, expected, given)));
                }
                Err(other) => panic!("{other:?}"),
            }
        }
    }
}

#[test]
fn steps_by_hand() {
    check_steps(&SimpleRnn::builder(3, 4).build_cell().unwrap(), 3, 4);
    check_steps(&Lstm::builder(3, 4).build_cell().unwrap(), 3, 8);
    check_steps(&Gru::builder(3, 4).build_cell().unwrap(), 3, 4);
    check_steps(&Gru::builder(3, 4).reset_after(false).build_cell().unwrap(), 3, 4);
    let below = Lstm::builder(3, 2).build_cell().unwrap();
    let cells = StackedCells::builder().cell(below).cell(Gru::builder(2, 3).build_cell().unwrap());
    check_steps(&cells.build().unwrap(), 3, 7);
}

/// Without an hour's loop over no rows.
#[test]
fn no_rows_cost_no_time() {
    const LONG: usize = 1 << 40;
    let x = Array3::<f32>::zeros((0, LONG, 2));
    let lstm = Lstm::builder(2, 3).return_sequences(true).return_state(true).dropout(0.5).build().unwrap();
    let both = Bidirectional::new(Gru::builder(3, 2).return_sequences(true)).unwrap();
    let stack = Stacked::builder().layer(lstm.clone()).layer(both).layer(Dense::new(4, 2)).build().unwrap();
    let layers: [&dyn Layer<f32>; 3] = [&lstm, &stack, &Dense::new(2, 3)];
    for layer in layers {
        let (mut tape, mut seeds, mask) = (Tape::new(), layer.seeds(), Array2::default((0, LONG)));
        let output =
            layer.run(&x, Run::new().mask(&mask).resets(&mask).training(&mut seeds).record(&mut tape)).unwrap();
        let width = layer.output_size();
        assert_eq!(output.sequence().unwrap().dim(), (0, LONG, width));
        assert_eq!(output.last().dim(), (0, width));
        let mut gradients = Gradients::new(layer);
        let (before, d) = (gradients.clone(), Array3::zeros((0, LONG, width)));
        layer.backward(&mut tape, OutputGradient::new().sequence(&d), &mut gradients).unwrap();
        assert_eq!(gradients.input().unwrap().dim(), (0, LONG, 2));
        assert!(gradients.iter().zip(before.iter()).all(|(own, before)| own == before));
    }
    // Keras draws masks for no rows, too.
    let (mut seeds, mut expected) = (lstm.seeds(), lstm.seeds());
    lstm.run(&x, Run::new().training(&mut seeds)).unwrap();
    lstm.run(&Array3::zeros((1, 2, 2)), Run::new().training(&mut expected)).unwrap();
    assert_eq!(seeds, expected);

    let mut stream = Stream::new(&lstm, 0).unwrap();
    assert_eq!(stream.run(&x).unwrap().sequence().unwrap().dim(), (0, LONG, 3));
    let (masked, mask) = Masking::new(0.0).unwrap().forward(&x).unwrap();
    assert_eq!((masked.dim(), mask.dim()), ((0, LONG, 2), (0, LONG)));
    let embedding = Embedding::<f32>::builder(3, 2).mask_zero(true).build().unwrap();
    let ids = Array2::<u8>::zeros((0, LONG));
    let (vectors, mask) = embedding.forward(&ids).unwrap();
    assert_eq!((vectors.dim(), mask.unwrap().dim()), ((0, LONG, 2), (0, LONG)));
    embedding.backward(&ids, &vectors, &mut Gradients::new(&embedding)).unwrap();
    let mut chunks = TruncatedBptt::new(&lstm, 0).unwrap();
    chunks.run(&lstm, &x, Run::new()).unwrap();
    chunks.backward(&lstm, OutputGradient::new(), &mut Gradients::new(&lstm)).unwrap();
    // Arrays of no elements have limits, too.
    let wide = Array3::<f32>::zeros((0, 1 << 61, 2));
    too_large(Dense::<f32>::new(2, 8).forward(&wide));
}

#[test]
fn layers_within_layers() {
    const MOST: usize = 64;
    let error = Error::NestedTooDeep { most: MOST };
    let mut stack = Stacked::builder().layer(Dense::<f32>::new(2, 2)).build().unwrap();
    let mut deep = 2;
    let refused = loop {
        match Stacked::builder().layer(stack.clone()).build() {
            Ok(deeper) => stack = deeper,
            Err(refused) => break refused,
        }
        deep += 1;
        assert!(deep <= MOST);
    };
    assert_eq!((refused, deep), (error.clone(), MOST));
    // As deep as may be: all that walks through it gets to its end.
    let x = Array3::ones((1, 2, 2));
    let mut tape = Tape::new();
    assert_eq!(stack.run(&x, Run::new().record(&mut tape)).unwrap().last().dim(), (1, 2));
    let d = Array2::ones((1, 2));
    stack.backward(&mut tape, OutputGradient::new().last(&d), &mut Gradients::new(&stack)).unwrap();
    assert!(format!("{stack:?} {stack}").contains("Dense"));
    drop(Stream::new(&stack, 1).unwrap());

    let mut cells = StackedCells::builder().cell(Gru::<f32>::builder(2, 2).build_cell().unwrap()).build().unwrap();
    let refused = loop {
        match StackedCells::builder().cell(cells.try_clone().unwrap()).build() {
            Ok(deeper) => cells = deeper,
            Err(refused) => break refused,
        }
    };
    assert_eq!(refused, error);
    assert_eq!(refusal(Stacked::builder().layer(Recurrent::from_cell(cells)).build()), error);
}

#[test]
fn an_embedding_of_nothing_has_a_message() {
    let error = Error::EmbeddingId { row: 1, time: 2, id: "3".into(), vocabulary: 0 };
    assert_eq!(error.to_string(), "id 3 at row 1, step 2: the embedding has no ids");
    let error = Error::EmbeddingId { row: 1, time: 2, id: "7".into(), vocabulary: 5 };
    assert_eq!(error.to_string(), "id 7 at row 1, step 2: the embedding has the ids 0 to 4");
}
