//! Streams and pools of layers and of models, behind one face.

use std::sync::Arc;

use recurrent::StreamId;
use recurrent::model::ModelStream;
use recurrent::ndarray::{Array3, ArrayD, Axis, Ix2, IxDyn};
use recurrent::pool::{ByLayer, ByModel};

use crate::arrays::View;
use crate::by_type::Number;
use crate::errors::{Outcome, Refusal, refuse};
use crate::state::Of;
use crate::whole::{Boxed, Chain, Whole};

/// A stream.
pub enum Live<T: Number> {
    /// With what its one input is called.
    Layer(Box<recurrent::Stream<T, Boxed<T>>>, String),
    /// With the number of axes that each input of a step has.
    Model(Box<ModelStream<T>>, Vec<usize>, BatchFirst),
}

/// Whether the arrays have the batch first.
type BatchFirst = bool;

impl<T: Number> Live<T> {
    /// `input` is what its one input is called.
    pub fn of_layer(layer: &Boxed<T>, input: &str, batch: usize) -> Outcome<Self> {
        Ok(Live::Layer(Box::new(recurrent::Stream::new(Arc::clone(layer), batch)?), input.into()))
    }

    /// A chain of layers as one layer, which is quicker.
    pub fn of_model(whole: &Whole<T>, batch: usize) -> Outcome<Self> {
        if let Chain::Layer(layer) = whole.chain() {
            let input = whole.model.inputs().next().map_or("x", |(name, _)| name);
            return Live::of_layer(layer, input, batch);
        }
        let stream = whole.model.stream(batch)?;
        let rank = |name: &str| whole.model.inputs().find(|(own, _)| *own == name).map_or(0, |(_, shape)| shape.len());
        let axes = stream.step_inputs().map(|name| rank(name).saturating_sub(1)).collect();
        Ok(Live::Model(Box::new(stream), axes, whole.model.is_batch_first()))
    }

    /// The names of a step's inputs, and the number of axes that each has.
    pub fn inputs(&self) -> Vec<(&str, usize)> {
        match self {
            Live::Layer(_, input) => vec![(input, 2)],
            Live::Model(stream, axes, _) => stream.step_inputs().zip(axes.iter().copied()).collect(),
        }
    }

    pub fn is_layer(&self) -> bool {
        matches!(self, Live::Layer(..))
    }

    pub fn start_inputs(&self) -> Vec<(&str, usize)> {
        match self {
            Live::Layer(..) => vec![],
            Live::Model(stream, ..) => stream.start_inputs().map(|name| (name, 0)).collect(),
        }
    }

    pub fn start(&mut self, inputs: &[View<'_, T>]) -> Outcome<()> {
        match self {
            Live::Layer(..) => refuse("it begins without inputs of its own"),
            Live::Model(stream, ..) => Ok(stream.start(&inputs.iter().map(View::input).collect::<Vec<_>>())?),
        }
    }

    /// Nothing from a model whose strides or windows let this step give nothing.
    pub fn step(&mut self, inputs: &[View<'_, T>]) -> Outcome<Option<Vec<ArrayD<T>>>> {
        match (self, inputs) {
            (Live::Model(stream, ..), _) => {
                let inputs: Vec<_> = inputs.iter().map(View::input).collect();
                Ok(stream.push(&inputs)?.map(<[_]>::to_vec))
            }
            (Live::Layer(stream, _), [View::Float(x)]) => match x.view().into_dimensionality::<Ix2>() {
                Ok(x) => Ok(Some(vec![stream.step(&x)?.to_owned().into_dyn()])),
                Err(_) => refuse(format!("x must be of the shape (batch, features), got {:?}", x.shape())),
            },
            (Live::Layer(..), _) => refuse("a layer's stream reads one array of floats"),
        }
    }

    /// All steps of arrays (batch, timesteps, ..), and the outputs of those that give some.
    pub fn process(&mut self, inputs: &[View<'_, T>]) -> Outcome<Vec<ArrayD<T>>> {
        match (self, inputs) {
            (Live::Layer(stream, _), [View::Float(x)]) => {
                let [batch, steps, _] = *x.shape() else {
                    return refuse(format!("x must be of the shape (batch, timesteps, features), got {:?}", x.shape()));
                };
                if batch != stream.batch() {
                    return refuse(format!("the stream has {} rows, the array {batch}", stream.batch()));
                }
                let mut output = Array3::zeros((batch, steps, stream.output().ncols()));
                let x = x.as_standard_layout();
                match (x.as_slice(), output.as_slice_mut()) {
                    (Some(x), Some(output)) => stream.process(x, output)?,
                    _ => return refuse("the array isn't in row order"),
                }
                Ok(vec![output.into_dyn()])
            }
            (Live::Model(stream, _, true), _) => {
                let before = stream.state();
                let outputs = step_by_step(stream, inputs);
                if outputs.is_err() {
                    stream.set_state(&before)?;
                }
                outputs
            }
            (Live::Model(..), _) => refuse("its arrays don't have the batch first: call step for each step"),
            (Live::Layer(..), _) => refuse("a layer's stream reads one array of floats"),
        }
    }

    pub fn reset(&mut self) {
        match self {
            Live::Layer(stream, _) => stream.reset(),
            Live::Model(stream, ..) => stream.reset(),
        }
    }

    pub fn batch(&self) -> usize {
        match self {
            Live::Layer(stream, _) => stream.batch(),
            Live::Model(stream, ..) => stream.batch(),
        }
    }

    pub fn state(&self) -> Of<T> {
        match self {
            Live::Layer(stream, _) => Of::Layer(stream.state().clone()),
            Live::Model(stream, ..) => Of::Model(stream.state()),
        }
    }

    pub fn set_state(&mut self, state: &Of<T>) -> Outcome<()> {
        match (self, state) {
            (Live::Layer(stream, _), Of::Layer(state)) => Ok(stream.set_state(state)?),
            (Live::Model(stream, ..), Of::Model(state)) => Ok(stream.set_state(state)?),
            (Live::Layer(..), Of::Model(_)) => refuse(
                "the state is that of predict(x, state=..), or of a whole model's stream: this stream's is given by stream.state()",
            ),
            (Live::Model(..), Of::Layer(_)) => {
                refuse("the state is that of a layer: a stream's is given by stream.state()")
            }
        }
    }
}

fn step_by_step<T: Number>(stream: &mut ModelStream<T>, inputs: &[View<'_, T>]) -> Outcome<Vec<ArrayD<T>>> {
    let mut steps = None;
    for input in inputs {
        match (input.shape().get(1), steps) {
            (Some(&own), None) => steps = Some(own),
            (Some(own), Some(steps)) if *own == steps => {}
            _ => return refuse("inputs must be of the shape (batch, timesteps, ..), with the same number of steps"),
        }
    }
    let steps = steps.unwrap_or(0);
    let (count, mut written) = (stream.outputs_in(steps), 0);
    let shape = |one: &ArrayD<T>| [&one.shape()[..1], &[count], &one.shape()[1..]].concat();
    let mut outputs: Vec<ArrayD<T>> = stream.outputs().iter().map(|one| ArrayD::zeros(IxDyn(&shape(one)))).collect();
    for time in 0..steps {
        let now: Vec<View<'_, T>> = inputs.iter().map(|input| input.step(time)).collect();
        let given: Vec<_> = now.iter().map(View::input).collect();
        let now = match (stream.push(&given), inputs) {
            (Err(recurrent::Error::SeveralOutputs { .. }), [input]) => return block(stream, input, outputs),
            (now, _) => now?,
        };
        if let Some(now) = now {
            for (all, one) in outputs.iter_mut().zip(now) {
                all.index_axis_mut(Axis(1), written).assign(one);
            }
            written += 1;
        }
    }
    Ok(outputs)
}

/// All steps at once, of a stream whose steps give several outputs. `outputs`: room for them.
fn block<T: Number>(
    stream: &mut ModelStream<T>,
    input: &View<'_, T>,
    mut outputs: Vec<ArrayD<T>>,
) -> Outcome<Vec<ArrayD<T>>> {
    let (View::Float(x), [output]) = (input, &mut outputs[..]) else {
        return refuse("a stream whose steps give several outputs reads one array of floats, and gives one");
    };
    if x.shape().first() != Some(&stream.batch()) {
        return refuse(format!("the stream has {} rows, the array has shape {:?}", stream.batch(), x.shape()));
    }
    let count = output.len_of(Axis(1));
    let x = x.as_standard_layout();
    let written = match (x.as_slice(), output.as_slice_mut()) {
        (Some(x), Some(output)) => stream.process(x, output)?,
        _ => return refuse("the array isn't in row order"),
    };
    if written != count {
        return refuse(format!("an array of shape {:?} isn't of the model's features", x.shape()));
    }
    Ok(outputs)
}

/// A pool.
pub enum Pool<T: Number> {
    Layer(recurrent::StreamPool<T, Boxed<T>, ByLayer>),
    Model(recurrent::StreamPool<T, Arc<recurrent::Model<T>>, ByModel>),
}

/// The same code for both.
macro_rules! pool {
    ($pool:expr, $x:ident => $body:expr) => {
        match $pool {
            Pool::Layer($x) => $body,
            Pool::Model($x) => $body,
        }
    };
}

impl<T: Number> Pool<T> {
    pub fn of_layer(layer: &Boxed<T>, capacity: Option<usize>) -> Outcome<Self> {
        let layer = Arc::clone(layer);
        Ok(Pool::Layer(match capacity {
            None => recurrent::StreamPool::new(layer)?,
            Some(capacity) => recurrent::StreamPool::with_capacity(layer, capacity)?,
        }))
    }

    pub fn of_model(whole: &Whole<T>, capacity: Option<usize>) -> Outcome<Self> {
        if let Chain::Layer(layer) = whole.chain() {
            return Pool::of_layer(layer, capacity);
        }
        let model = Arc::clone(&whole.model);
        Ok(Pool::Model(match capacity {
            None => recurrent::StreamPool::new(model)?,
            Some(capacity) => recurrent::StreamPool::with_capacity(model, capacity)?,
        }))
    }

    pub fn insert(&mut self, state: Option<&recurrent::State<T>>) -> Outcome<StreamId> {
        Ok(pool!(self, pool => match state {
            None => pool.insert()?,
            Some(state) => pool.insert_with(state)?,
        }))
    }

    pub fn push(&mut self, id: StreamId, x: &[T]) -> Outcome<()> {
        pool!(self, pool => pool.push(id, x)).map_err(Refusal::from)
    }

    pub fn step(&mut self) -> usize {
        pool!(self, pool => pool.step())
    }

    pub fn output(&self, id: StreamId) -> Outcome<&[T]> {
        Ok(pool!(self, pool => pool.output(id)?))
    }

    pub fn state(&self, id: StreamId) -> Outcome<recurrent::State<T>> {
        Ok(pool!(self, pool => pool.state(id)?))
    }

    pub fn set_state(&mut self, id: StreamId, state: &recurrent::State<T>) -> Outcome<()> {
        pool!(self, pool => pool.set_state(id, state)).map_err(Refusal::from)
    }

    pub fn reset(&mut self, id: StreamId) -> Outcome<()> {
        pool!(self, pool => pool.reset(id)).map_err(Refusal::from)
    }

    pub fn remove(&mut self, id: StreamId) -> Outcome<recurrent::State<T>> {
        Ok(pool!(self, pool => pool.remove(id)?))
    }

    pub fn evict(&mut self, id: StreamId) -> Outcome<Vec<u8>> {
        Ok(pool!(self, pool => pool.evict(id)?))
    }

    pub fn restore(&mut self, bytes: &[u8]) -> Outcome<StreamId> {
        Ok(pool!(self, pool => pool.restore(bytes)?))
    }

    pub fn len(&self) -> usize {
        pool!(self, pool => pool.len())
    }

    pub fn capacity(&self) -> usize {
        pool!(self, pool => pool.capacity())
    }

    pub fn contains(&self, id: StreamId) -> bool {
        pool!(self, pool => pool.contains(id))
    }

    pub fn is_ready(&self, id: StreamId) -> Outcome<bool> {
        Ok(pool!(self, pool => pool.is_ready(id)?))
    }

    pub fn idle_steps(&self, id: StreamId) -> Outcome<u64> {
        Ok(pool!(self, pool => pool.idle_steps(id)?))
    }

    pub fn ids(&self) -> Vec<StreamId> {
        pool!(self, pool => pool.ids().collect())
    }
}
