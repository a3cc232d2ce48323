//! Models whose strides and windows thin a sequence out: what a stream of one gives, and when, is what the whole run
//! of all steps so far gives.

use std::ops::Range;

use ndarray::{Array3, ArrayD, ArrayView3, Axis, s};
use recurrent::builder::ModelBuilder;
use recurrent::model::{AnyLayer, ModelNode, ModelState, ModelStream};
use recurrent::{
    Activation, Conv1D, Dense, DepthwiseConv1D, Error, Float, Gru, Lstm, Model, Padding, SeedSource, SeparableConv1D,
    State, StreamPool, ops,
};

use super::compare::same_bits;
use super::numbers::Numbers;

type Outcome<V = ()> = Result<V, Box<dyn std::error::Error>>;

/// The features of the input.
const FEATURES: usize = 3;

/// What comes out at the end.
#[derive(Debug, Clone, Copy, PartialEq)]
enum End {
    Sequence,
    Last,
    GetItem,
    Mean,
    /// The last of one sequence, and the largest of another that comes at other steps.
    Branches,
}

const ENDS: [End; 5] = [End::Sequence, End::Last, End::GetItem, End::Mean, End::Branches];

/// A random model, layer by layer.
struct Drawn<'n, T: Float> {
    numbers: &'n mut Numbers,
    seeds: SeedSource,
    graph: ModelBuilder<T>,
    layers: usize,
}

/// A sequence of the model, and its features.
type Sequence = (ModelNode, usize);

impl<T: Float> Drawn<'_, T> {
    fn size(&mut self, sizes: Range<usize>) -> usize {
        sizes.start + self.numbers.below(sizes.len())
    }

    fn call<L: Into<AnyLayer<T>>>(&mut self, layer: L, on: &[ModelNode]) -> Outcome<ModelNode> {
        self.layers += 1;
        Ok(self.graph.call(&format!("layer_{}", self.layers), layer, on)?[0])
    }

    fn padding(&mut self) -> Padding {
        if self.numbers.chance(50) { Padding::Causal } else { Padding::Valid }
    }

    /// Strides, or a dilation.
    fn steps(&mut self) -> (usize, usize) {
        match self.numbers.below(3) {
            0 => (1, 1),
            1 => (self.size(1..4), 1),
            _ => (1, self.size(1..4)),
        }
    }

    fn convolution(&mut self, (x, width): Sequence) -> Outcome<Sequence> {
        let (size, padding, (strides, dilation)) = (self.size(1..5), self.padding(), self.steps());
        let filters = self.size(1..6);
        let layer: AnyLayer<T> = match self.numbers.below(3) {
            0 => {
                let conv = Conv1D::builder(width, filters, size).padding(padding).strides(strides);
                conv.dilation_rate(dilation).activation(Activation::Tanh).seeds(&mut self.seeds).build()?.into()
            }
            1 => {
                let conv = DepthwiseConv1D::builder(width, size).padding(padding).strides(strides);
                let conv = conv.dilation_rate(dilation).seeds(&mut self.seeds).build()?;
                return Ok((self.call(conv, &[x])?, width));
            }
            _ => {
                let conv = SeparableConv1D::builder(width, filters, size).padding(padding).strides(strides);
                conv.dilation_rate(dilation).seeds(&mut self.seeds).build()?.into()
            }
        };
        Ok((self.call(layer, &[x])?, filters))
    }

    fn pooling(&mut self, (x, width): Sequence) -> Outcome<Sequence> {
        let (size, strides) = (self.size(1..5), self.size(1..5));
        let y = match self.numbers.chance(50) {
            true => self.call(ops::MaxPooling1D::new(size)?.strides(strides)?, &[x])?,
            false => self.call(ops::AveragePooling1D::new(size)?.strides(strides)?, &[x])?,
        };
        Ok((y, width))
    }

    /// Zeros before a window, which no stream has seen.
    fn padded(&mut self, (x, width): Sequence) -> Outcome<Sequence> {
        let size = self.size(2..5);
        let before = self.size(0..size);
        let padded = self.call(ops::ZeroPadding1D::new(before, 0), &[x])?;
        if self.numbers.chance(30) {
            let strides = self.size(1..3);
            return Ok((self.call(ops::MaxPooling1D::new(size)?.strides(strides)?, &[padded])?, width));
        }
        let strides = self.size(1..3);
        let conv = Conv1D::builder(width, 4, size).strides(strides).seeds(&mut self.seeds).build()?;
        Ok((self.call(conv, &[padded])?, 4))
    }

    /// Two ways from one step to another whose steps come together.
    fn residual(&mut self, (x, width): Sequence) -> Outcome<Sequence> {
        let (size, dilation) = (self.size(1..4), self.size(1..3));
        let conv = Conv1D::builder(width, width, size).dilation_rate(dilation).seeds(&mut self.seeds).build()?;
        let conv = self.call(conv, &[x])?;
        let rest = self.call(ops::Cropping1D::new((size - 1) * dilation, 0), &[x])?;
        Ok((self.call(ops::Add, &[conv, rest])?, width))
    }

    /// What changes no rate.
    fn each(&mut self, (x, width): Sequence) -> Outcome<Sequence> {
        let units = self.size(1..5);
        match self.numbers.below(3) {
            0 => {
                let dense = Dense::builder(width, units).seeds(&mut self.seeds).build()?;
                Ok((self.call(dense, &[x])?, units))
            }
            1 => Ok((self.call(ops::LayerNormalization::new(width)?, &[x])?, width)),
            _ => {
                let gru = Gru::builder(width, units).return_sequences(true).seeds(&mut self.seeds).build()?;
                Ok((self.call(gru, &[x])?, units))
            }
        }
    }

    fn sequence(&mut self, mut x: Sequence, layers: usize) -> Outcome<Sequence> {
        for _ in 0..layers {
            x = match self.numbers.below(6) {
                0 | 1 => self.convolution(x)?,
                2 => self.pooling(x)?,
                3 => self.padded(x)?,
                4 => self.residual(x)?,
                _ => self.each(x)?,
            };
        }
        Ok(x)
    }

    fn last(&mut self, (x, width): Sequence) -> Outcome<ModelNode> {
        let lstm = Lstm::builder(width, 3).seeds(&mut self.seeds).build()?;
        self.call(lstm, &[x])
    }

    fn end(&mut self, end: End, x: Sequence) -> Outcome<ModelNode> {
        let (y, width) = match end {
            End::Sequence => return self.each(x).map(|(y, _)| y),
            End::Last => (self.last(x)?, 3),
            End::GetItem => (self.call(ops::GetItem::at(1, -1), &[x.0])?, x.1),
            End::Mean => (self.call(ops::GlobalAveragePooling1D::new(), &[x.0])?, x.1),
            End::Branches => {
                let (one, other) = (self.convolution(x)?, self.pooling(x)?);
                let most = self.call(ops::GlobalMaxPooling1D::new(), &[one.0])?;
                let last = self.last(other)?;
                (self.call(ops::Concatenate::new(-1), &[most, last])?, one.1 + 3)
            }
        };
        let head = Dense::builder(width, 2).seeds(&mut self.seeds).build()?;
        self.call(head, &[y])
    }
}

/// A model of a few layers, with the number of its sequences' steps open.
fn model<T: Float>(numbers: &mut Numbers, end: End) -> Outcome<Model<T>> {
    let mut graph = Model::<T>::builder("thinner");
    let x = graph.input("x", [None, Some(FEATURES)])?;
    let mut drawn = Drawn { numbers, seeds: SeedSource::keras(7), graph, layers: 0 };
    let layers = drawn.size(1..5);
    let sequence = drawn.sequence((x, FEATURES), layers)?;
    let y = drawn.end(end, sequence)?;
    Ok(drawn.graph.build(&[y])?)
}

/// Steps of the input.
const STEPS: usize = 40;

/// What the whole run gives of the first steps; nothing of too few of them.
fn so_far<T: Float>(model: &Model<T>, x: &Array3<T>, steps: usize) -> Outcome<Option<ArrayD<T>>> {
    match model.predict_one(x.slice(s![.., ..steps, ..])) {
        Ok(y) => Ok(Some(y)),
        Err(Error::ModelCall { .. }) => Ok(None),
        Err(other) => Err(other.into()),
    }
}

#[track_caller]
fn assert_same<T: Float>(what: &str, a: &ArrayD<T>, b: &ArrayD<T>) {
    assert_eq!(a.shape(), b.shape(), "{what}");
    assert!(a.iter().zip(b).all(|(&a, &b)| same_bits(a, b)), "{what}: {a:?}, {b:?}");
}

/// Each step gives what the run of all steps so far gives, or nothing as long as that refuses so few.
fn steps_are_the_run_so_far<T: Float>(what: &str, model: &Model<T>, end: End, x: &Array3<T>) -> Outcome {
    let mut stream = model.stream(x.dim().0)?;
    for again in 0..2 {
        let mut given = 0;
        for (time, step) in x.axis_iter(Axis(1)).enumerate() {
            let what = format!("{what}, step {time} of run {again}");
            let (expected, told) = (so_far(model, x, time + 1)?, stream.outputs_in(1));
            let ours = stream.push(&[step.into()])?.map(|ours| ours[0].clone());
            assert_eq!(told, usize::from(ours.is_some()), "{what}");
            match (ours, expected, end) {
                (ours, None, _) => assert!(ours.is_none(), "{what}: of too few"),
                (ours, Some(all), End::Sequence) => {
                    given += usize::from(ours.is_some());
                    assert_eq!(given, all.shape()[1], "{what}");
                    if let Some(ours) = ours {
                        assert_same(&what, &ours, &all.index_axis(Axis(1), given - 1).to_owned());
                    }
                }
                (ours, Some(all), _) => assert_same(&what, &ours.expect("what predict gives"), &all),
            }
        }
        stream.reset();
    }
    Ok(())
}

/// Steps from one on, of each row, side by side.
fn block<T: Float>(x: &Array3<T>, steps: Range<usize>) -> Vec<T> {
    x.slice(s![.., steps, ..]).iter().copied().collect()
}

/// Takes steps in random chunks; the outputs of each.
fn chunks<T: Float>(
    stream: &mut ModelStream<T>,
    x: &Array3<T>,
    steps: Range<usize>,
    numbers: &mut Numbers,
) -> Outcome<Vec<ArrayD<T>>> {
    let (batch, mut time, mut all) = (x.dim().0, steps.start, Vec::new());
    let units = stream.outputs()[0].len() / batch;
    while time < steps.end {
        let next = (time + numbers.below(9)).min(steps.end);
        let count = stream.outputs_in(next - time);
        let mut output = vec![T::zero(); batch * count * units + numbers.below(3)];
        assert_eq!(stream.process(&block(x, time..next), &mut output)?, count);
        let outputs = ArrayView3::from_shape((batch, count, units), &output[..batch * count * units])?;
        all.extend(outputs.axis_iter(Axis(1)).map(|y| y.to_owned().into_dyn()));
        time = next;
    }
    Ok(all)
}

/// A state that was written down and read.
fn through_bytes<T: Float>(state: &ModelState<T>) -> Outcome<ModelState<T>> {
    let mut read = state.clone();
    read.reset();
    for (read, state) in read.states_mut().iter_mut().zip(state.states()) {
        *read = State::from_bytes(&state.to_bytes())?;
    }
    Ok(read)
}

/// However a sequence is cut, from wherever a state was saved, the outputs are the same.
fn chunks_are_steps<T: Float>(what: &str, model: &Model<T>, x: &Array3<T>, numbers: &mut Numbers) -> Outcome {
    let batch = x.dim().0;
    let mut stream = model.stream(batch)?;
    let mut whole = Vec::new();
    for step in x.axis_iter(Axis(1)) {
        whole.extend(stream.push(&[step.into()])?.map(|y| y[0].clone()));
    }
    stream.reset();
    let middle = numbers.below(STEPS);
    let mut ours = chunks(&mut stream, x, 0..middle, numbers)?;
    let saved = through_bytes(&stream.state())?;
    // Another one that has seen other things.
    let mut other = model.stream(batch)?;
    chunks(&mut other, x, 0..numbers.below(STEPS), numbers)?;
    other.set_state(&saved)?;
    let rest = chunks(&mut other, x, middle..STEPS, numbers)?;
    let once_more = chunks(&mut stream, x, middle..STEPS, numbers)?;
    assert_eq!(rest.len(), once_more.len(), "{what}");
    rest.iter().zip(&once_more).for_each(|(a, b)| assert_same(&format!("{what}, restored"), a, b));
    ours.extend(rest);
    assert_eq!(ours.len(), whole.len(), "{what}");
    ours.iter().zip(&whole).for_each(|(a, b)| assert_same(&format!("{what}, in chunks"), a, b));
    Ok(())
}

fn law<T: Float>(cases: u64) -> Outcome {
    let (mut late, mut refused) = (0, 0);
    for seed in 0..cases {
        let mut numbers = Numbers::new(seed, "rates");
        let end = ENDS[seed as usize % ENDS.len()];
        let (what, model) = (format!("seed {seed}, {end:?}"), model::<T>(&mut numbers, end)?);
        let x: Array3<T> = numbers.array(1.0, (1 + numbers.clone().below(3), STEPS, FEATURES));
        steps_are_the_run_so_far(&what, &model, end, &x)?;
        chunks_are_steps(&what, &model, &x, &mut numbers)?;
        let mut stream = model.stream(1)?;
        if stream.outputs_in(STEPS) < STEPS {
            late += 1;
            let step = ndarray::Array2::<T>::zeros((1, FEATURES));
            assert!(matches!(stream.step(&[(&step).into()]), Err(Error::OutputsNotEachStep { .. })), "{what}");
        }
        refused += usize::from(StreamPool::new(&model).is_err());
    }
    assert!(late * 2 > cases && refused as u64 >= late, "{late} of {cases} thin out, {refused} have no pool");
    Ok(())
}

#[test]
fn a_stream_that_thins_out_gives_what_the_whole_gives() -> Outcome {
    law::<f32>(60)
}

#[test]
fn a_stream_of_doubles_that_thins_out_gives_what_the_whole_gives() -> Outcome {
    law::<f64>(20)
}
