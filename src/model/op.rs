//! The operations that a model is made of, and what each computes.

use std::sync::Arc;

use ndarray::{Array2, ArrayD, ArrayView3, Axis, Ix3, IxDyn};

use super::Model;
use super::merge::{MaskRule, MergeOp, any, concatenated, concatenated_mask, either, merged};
use super::normalization::Normalization;
use super::prelu;
use super::shape::{Shape, axis_at};
use super::stream::Streams;
use super::tape::Record;
use super::tensor::{Mask, Shared, Tensor, Value, in_row_order};
use crate::activation::Activation;
use crate::error::{Error, Result};
use crate::float::Float;
use crate::kernels::activate::activate;
use crate::kernels::isa::Isa;
use crate::layers::Layer;
use crate::layers::dense::Dense;
use crate::layers::embedding::Embedding;
use crate::runner::run::{Run, check_input, produce};
use crate::runner::scratch::Scratch;
use crate::state::State;
use crate::stream::Stream;

/// What a node of a model computes. Closed: a graph is walked by matching it.
#[derive(Debug, Clone)]
pub(crate) enum Op<T: Float> {
    /// Any layer over time, wrappers included.
    Recurrent {
        layer: Arc<Box<dyn Layer<T>>>,
        /// The place of a stateful layer's state among the model's.
        slot: Option<usize>,
    },
    Embedding(Arc<Embedding<T>>),
    Dense(Arc<Dense<T>>),
    TimeDistributed(Box<Op<T>>),
    /// The steps that differ from this value in any feature are real.
    Masking(T),
    /// Dropout and its kin.
    Identity,
    /// Keras 2's layer Identity, which loses the mask.
    WithoutMask,
    Activation(Activation),
    Softmax {
        axis: i64,
        masks: SoftmaxMask,
    },
    PRelu(ArrayD<T>),
    Flatten,
    /// Without the batch; `None` is what is left.
    Reshape(Vec<Option<usize>>),
    /// Counted from 1, without the batch.
    Permute(Vec<usize>),
    RepeatVector(usize),
    Concatenate {
        axis: i64,
        masks: MaskRule,
    },
    Merge {
        how: MergeOp,
        masks: MaskRule,
    },
    Normalize(Box<Normalization<T>>),
    /// Operations on masks.
    NotEqual(f64),
    Any {
        axes: Option<Vec<i64>>,
        keepdims: bool,
    },
    LogicalOr,
    ExpandDims(i64),
    /// All true or all false, in the shape of the input.
    Flags(bool),
    /// A model within the model. The slots of its stateful layers are places among the outermost model's states.
    Model(Box<Model<T>>),
}

/// What a Softmax makes of a mask, where it has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SoftmaxMask {
    /// Keras 3: masked elements count for nothing and come out as zero.
    Replaces,
    /// Keras 2: a large negative number is added to them.
    Adds,
}

/// What a call hands to an operation besides its inputs.
#[derive(Debug)]
pub(crate) struct Call<'a, T: Float> {
    /// The mask that the operation reads: the one that the call names, or the input's.
    pub(crate) mask: Option<Mask>,
    /// The mask that goes on with the outputs, where the layer lets it.
    pub(crate) passes: Option<Mask>,
    /// The parts of an initial state.
    pub(crate) initial: Vec<&'a Tensor<T>>,
    /// The states of the model's stateful layers.
    pub(crate) states: &'a mut [State<T>],
    pub(crate) scratch: &'a mut Scratch<T>,
    /// Where a step is taken instead of a whole run: the recurrent layers' states.
    pub(crate) streams: Option<&'a mut Streams<T>>,
    /// Keras 2: a stateful layer goes on from the state that it keeps, unless that is zero, whatever it is given.
    pub(crate) kept_state_wins: bool,
    /// What the way back is to read.
    pub(crate) record: Option<&'a mut Record<T>>,
}

impl<T: Float> Op<T> {
    /// Whether the layer's `call` has a `mask` argument, which Keras fills with the input's mask.
    pub(crate) fn takes_mask(&self) -> bool {
        use Op::*;
        matches!(self, Recurrent { .. } | TimeDistributed(_) | Softmax { .. } | Model(_))
            || matches!(self, Normalize(normalization) if normalization.is_batch())
    }

    /// The outputs. Inputs and their number fit: [`infer`](Op::infer) has said so.
    pub(crate) fn apply(&self, inputs: &[&Tensor<T>], mut call: Call<'_, T>) -> Result<Vec<Tensor<T>>> {
        let Some(record) = call.record.take() else { return self.compute(inputs, call) };
        record.keep_inputs(inputs, call.initial.len());
        let outputs = self.compute(inputs, Call { record: Some(&mut *record), ..call })?;
        record.keep_outputs(&outputs);
        Ok(outputs)
    }

    fn compute(&self, inputs: &[&Tensor<T>], call: Call<'_, T>) -> Result<Vec<Tensor<T>>> {
        let Some(&first) = inputs.first() else { return Ok(Vec::new()) };
        let x = &first.value;
        let (mask, passes) = (call.mask.clone(), call.passes.clone());
        let same = |value| Tensor { value, mask: passes.clone() };
        let floats = |array: ArrayD<T>| Value::Float(array.into_shared());
        Ok(vec![match self {
            Op::Model(model) => return model.execute_nested(inputs, call),
            Op::Recurrent { layer, slot } => return recurrent(&***layer, *slot, x, call),
            Op::Embedding(table) => {
                let vectors = embed(table, x)?;
                // Keras compares the input as it is, before it becomes an integer.
                let mask = table.masks_zero().then(|| Mask::of(x.flags()));
                Tensor { value: floats(vectors), mask }
            }
            Op::Dense(layer) => same(floats(dense(layer, &x.floats(), call.record)?)),
            Op::TimeDistributed(inner) => same(time_distributed(inner, x, call)?),
            Op::Masking(mask_value) => masking(*mask_value, &x.floats()),
            Op::Identity => same(x.clone()),
            Op::WithoutMask => Tensor::unmasked(x.clone()),
            Op::Activation(activation) => same(floats(activation_of(activation, &x.floats())?)),
            Op::Softmax { axis, masks } => same(floats(softmax(*axis, *masks, &x.floats(), mask.as_ref())?)),
            Op::PRelu(alpha) => {
                let values = prelu::values(in_row_order(&x.floats()), alpha);
                same(floats(values.ok_or_else(misfit)?))
            }
            Op::Flatten => {
                let shape = x.shape();
                let (batch, rest) = shape.split_first().map_or((0, 1), |(&batch, rest)| (batch, rest.iter().product()));
                Tensor::unmasked(reshaped(x, &[batch, rest])?)
            }
            Op::Reshape(target) => {
                let target =
                    self.known(&[x.shape()]).unwrap_or_else(|| target.iter().map(|n| n.unwrap_or(0)).collect());
                Tensor::unmasked(reshaped(x, &target)?)
            }
            Op::Permute(dims) => {
                let axes: Vec<usize> = std::iter::once(0).chain(dims.iter().copied()).collect();
                Tensor::unmasked(match x {
                    Value::Float(x) => Value::Float(x.clone().permuted_axes(axes)),
                    Value::Int(x) => Value::Int(x.clone().permuted_axes(axes)),
                    Value::Bool(x) => Value::Bool(x.clone().permuted_axes(axes)),
                })
            }
            Op::RepeatVector(n) => Tensor::unmasked(match x {
                Value::Float(x) => Value::Float(repeat(x, *n)?),
                Value::Int(x) => Value::Int(repeat(x, *n)?),
                Value::Bool(x) => Value::Bool(repeat(x, *n)?),
            }),
            Op::Concatenate { axis, masks } => {
                let mask = concatenated_mask(*masks, inputs, *axis)?;
                Tensor { value: concatenated(inputs.iter().map(|input| &input.value), *axis)?, mask }
            }
            Op::Merge { how, masks } => merged(*how, *masks, inputs)?,
            Op::Normalize(normalization) => {
                let rank = x.shape().len();
                if let Some(mask) = mask.filter(|_| normalization.is_batch())
                    && mask.ndim() + 1 != rank
                {
                    return Err(mismatch(format!("a mask of {} dimensions", rank - 1), mask.shape()));
                }
                same(floats(normalization.apply(in_row_order(&x.floats()))))
            }
            Op::NotEqual(value) => Tensor::unmasked(Value::Bool(match x {
                Value::Float(x) => {
                    let value = T::from_f64(*value);
                    x.map(|&x| x != value).into_shared()
                }
                Value::Int(x) => x.map(|&x| x as f64 != *value).into_shared(),
                Value::Bool(x) => x.map(|&x| f64::from(u8::from(x)) != *value).into_shared(),
            })),
            Op::Any { axes, keepdims } => Tensor::unmasked(Value::Bool(any(&x.flags(), axes.as_deref(), *keepdims))),
            Op::LogicalOr => {
                let flags: Vec<_> = inputs.iter().map(|input| input.value.flags()).collect();
                Tensor::unmasked(Value::Bool(either(&flags)?))
            }
            Op::ExpandDims(axis) => {
                let at = axis_at(*axis, x.shape().len() + 1).ok_or_else(misfit)?;
                let mut shape = x.shape().to_vec();
                shape.insert(at, 1);
                Tensor::unmasked(reshaped(x, &shape)?)
            }
            Op::Flags(flag) => Tensor::unmasked(Value::Bool(ArrayD::from_elem(x.shape(), *flag).into_shared())),
        }])
    }

    /// The output's shape, from shapes that are all known.
    fn known(&self, inputs: &[&[usize]]) -> Option<Vec<usize>> {
        let inputs: Vec<Shape> = inputs.iter().map(|shape| shape.iter().map(|&n| Some(n)).collect()).collect();
        self.infer(&inputs).ok()?.first()?.iter().copied().collect()
    }
}

/// A shape error of what [`infer`](Op::infer) can't know: masks.
pub(super) fn mismatch(expected: String, given: &[usize]) -> Error {
    Error::ModelCall { layer: String::new(), expected, given: format!("{given:?}") }
}

/// What can't happen once shapes are inferred, as an error all the same.
pub(super) fn misfit() -> Error {
    mismatch("another shape".into(), &[])
}

fn recurrent<T: Float>(
    layer: &dyn Layer<T>,
    slot: Option<usize>,
    x: &Value<T>,
    mut call: Call<'_, T>,
) -> Result<Vec<Tensor<T>>> {
    let x = x.floats();
    let x = x.view().into_dimensionality::<Ix3>().map_err(|_| misfit())?;
    check_input(layer, &x)?;
    let (batch, timesteps, _) = x.dim();
    let mask = call.mask.as_ref().map(|mask| time_mask(mask.flags(), batch, timesteps)).transpose()?;
    if let Some(stream) = call.streams.and_then(Streams::next) {
        return step(layer, stream, &x, mask.as_ref(), call.passes);
    }
    let mut run = Run::new().mask_if(mask.as_ref());
    let given = match call.initial.is_empty() {
        true => None,
        false => Some(initial_state(layer, batch, &call.initial)?),
    };
    let kept = slot.and_then(|slot| call.states.get_mut(slot));
    let before = kept.as_deref().cloned();
    let mut given = given;
    if let (Some(given), Some(kept), true) = (&mut given, &before, call.kept_state_wins) {
        let wins = keep(layer, given, kept)?;
        if let Some(record) = call.record.as_deref_mut() {
            // What wasn't read gets no gradient.
            record.initial.iter_mut().zip(wins).for_each(|(read, wins)| *read = !wins);
        }
    }
    if let Some(state) = given.as_ref().or(before.as_ref()) {
        run = run.initial_state(state);
    }
    if let Some(record) = call.record {
        run = run.record(&mut record.tape);
    }
    let output = produce(layer, &x, run, kept, None, call.scratch)?;
    let states = output.state.clone();
    let backward = output.backward.as_ref().map(|backward| (**backward).clone());
    let mut outputs = Vec::new();
    for output in std::iter::once(output).chain(backward) {
        // The mask goes on where there is a sequence.
        outputs.push(match output.sequence {
            Some(sequence) => Tensor { mask: call.passes.clone(), ..Tensor::float(sequence) },
            None => Tensor::float(output.last),
        });
    }
    if let Some(state) = states {
        for name in state.names() {
            outputs.push(Tensor::float(state.get(name)?.to_owned()));
        }
    }
    Ok(outputs)
}

/// Replaces a state that was given by the one that is kept, unless that is zero: the whole of it, or of a direction.
/// Returns for which parts it did.
fn keep<T: Float>(layer: &dyn Layer<T>, given: &mut State<T>, kept: &State<T>) -> Result<Vec<bool>> {
    let directions = layer.class_name() == "Bidirectional";
    let group = |name: &str| name.split('/').next().filter(|_| directions).map(String::from);
    let names: Vec<String> = layer.state_layout().names().map(String::from).collect();
    let mut live = Vec::new();
    for name in &names {
        if kept.get(name)?.iter().any(|&value| value != T::zero()) {
            live.push(group(name));
        }
    }
    let wins: Vec<bool> = names.iter().map(|name| live.contains(&group(name))).collect();
    for (name, _) in names.iter().zip(&wins).filter(|(_, wins)| **wins) {
        given.set(name, &kept.get(name)?)?;
    }
    Ok(wins)
}

/// One step of a recurrent layer that goes on from its own state.
fn step<T: Float, P: std::ops::Deref<Target: Layer<T>>>(
    layer: &dyn Layer<T>,
    stream: &mut Stream<T, P>,
    x: &ArrayView3<'_, T>,
    mask: Option<&Array2<bool>>,
    passes: Option<Mask>,
) -> Result<Vec<Tensor<T>>> {
    let x = x.index_axis(Axis(1), 0);
    let output = match mask {
        Some(mask) => stream.step_masked(&x, &mask.iter().copied().collect::<Vec<_>>())?,
        None => stream.step(&x)?,
    };
    let output = output.to_owned();
    let mut outputs = vec![match layer.returns_sequences() {
        true => Tensor { mask: passes, ..Tensor::float(output.insert_axis(Axis(1))) },
        false => Tensor::float(output),
    }];
    if layer.returns_state() {
        let state = stream.state();
        for name in state.names() {
            outputs.push(Tensor::float(state.get(name)?.to_owned()));
        }
    }
    Ok(outputs)
}

/// A mask of a recurrent layer: (batch, timesteps), or with a last dimension of one.
pub(super) fn time_mask(mask: &Shared<bool>, batch: usize, timesteps: usize) -> Result<Array2<bool>> {
    let fits = match mask.shape() {
        [rows, steps] | [rows, steps, 1] => (*rows, *steps) == (batch, timesteps),
        _ => false,
    };
    if !fits {
        return Err(mismatch(format!("a mask of shape [{batch}, {timesteps}]"), mask.shape()));
    }
    Array2::from_shape_vec((batch, timesteps), mask.iter().copied().collect()).map_err(|_| misfit())
}

/// A state from its parts, in the layout's order.
fn initial_state<T: Float>(layer: &dyn Layer<T>, batch: usize, parts: &[&Tensor<T>]) -> Result<State<T>> {
    let mut state = State::zeros(Arc::clone(layer.state_layout()), batch);
    let names: Vec<String> = layer.state_layout().names().map(String::from).collect();
    if names.len() != parts.len() {
        return Err(mismatch(format!("an initial state of {} parts", names.len()), &[parts.len()]));
    }
    for (name, part) in names.iter().zip(parts) {
        let values = part.value.floats();
        let values = values.view().into_dimensionality::<ndarray::Ix2>();
        state.set(name, &values.map_err(|_| mismatch("a state of shape (batch, units)".into(), part.shape()))?)?;
    }
    Ok(state)
}

fn embed<T: Float>(table: &Embedding<T>, ids: &Value<T>) -> Result<ArrayD<T>> {
    let ids = ids.integers();
    let rows = in_row_order(&ids).into_shape_with_order((1, ids.len())).map_err(|_| misfit())?;
    let (vectors, _) = table.forward(&rows)?;
    let width = vectors.dim().2;
    let shape: Vec<usize> = ids.shape().iter().copied().chain([width]).collect();
    vectors.into_shape_with_order(IxDyn(&shape)).map_err(|_| misfit())
}

/// A dense layer over the last axis of any array.
fn dense<T: Float>(layer: &Dense<T>, x: &Shared<T>, record: Option<&mut Record<T>>) -> Result<ArrayD<T>> {
    let rows = x.shape().iter().rev().skip(1).product();
    let flat = in_row_order(x).into_shape_with_order((rows, layer.input_size())).map_err(|_| misfit())?;
    let out = layer.forward_rows(&flat)?;
    if let Some(record) = record {
        layer.record_rows(&flat, &mut record.tape);
    }
    let mut shape = x.shape().to_vec();
    if let Some(last) = shape.last_mut() {
        *last = layer.output_size();
    }
    out.into_shape_with_order(IxDyn(&shape)).map_err(|_| misfit())
}

/// The inner operation with time as more rows of the batch.
fn time_distributed<T: Float>(inner: &Op<T>, x: &Value<T>, call: Call<'_, T>) -> Result<Value<T>> {
    let shape = x.shape().to_vec();
    let [batch, timesteps, rest @ ..] = &shape[..] else { return Err(misfit()) };
    if let Some(mask) = &call.mask {
        if mask.shape().get(..2) != Some(&[*batch, *timesteps]) {
            return Err(mismatch(format!("a mask of shape [{batch}, {timesteps}, ..]"), mask.shape()));
        }
        if inner.takes_mask() && !matches!(inner, Op::Normalize(_)) {
            // Keras hands the mask of one step to it, (batch,), which no such layer can read.
            return Err(mismatch("no mask inside TimeDistributed".into(), mask.shape()));
        }
    }
    let rows = reshaped(x, &[&[batch * timesteps], rest].concat())?;
    let record = call.record.map(|record| record.inner.only());
    let call = Call { mask: None, passes: None, streams: None, record, ..call };
    let outputs = inner.apply(&[&Tensor::unmasked(rows)], call)?;
    let Some(output) = outputs.into_iter().next() else { return Err(misfit()) };
    let rest = output.shape().get(1..).unwrap_or(&[]).to_vec();
    reshaped(&output.value, &[&[*batch, *timesteps], &rest[..]].concat())
}

fn masking<T: Float>(mask_value: T, x: &Shared<T>) -> Tensor<T> {
    let last = Axis(x.ndim().saturating_sub(1));
    let mask = x.map_axis(last, |step| step.iter().any(|&value| value != mask_value));
    let mut x = x.to_owned();
    for (mut step, &real) in x.lanes_mut(last).into_iter().zip(&mask) {
        if !real {
            step.fill(T::zero());
        }
    }
    Tensor { value: Value::Float(x.into_shared()), mask: Some(Mask::of(mask.into_shared())) }
}

fn activation_of<T: Float>(activation: &Activation, x: &Shared<T>) -> Result<ArrayD<T>> {
    let mut x = in_row_order(x);
    let isa = Isa::detect();
    let width = x.shape().last().copied().unwrap_or(0);
    let Some(values) = x.as_slice_mut() else { return Err(misfit()) };
    if activation.is_elementwise() {
        activate(isa, activation, values);
    } else if width > 0 {
        values.chunks_exact_mut(width).for_each(|row| activate(isa, activation, row));
    }
    if activation.changes_width() {
        let last = Axis(x.ndim() - 1);
        x = x.slice_axis(last, ndarray::Slice::from(..width / 2)).to_owned();
    }
    Ok(x)
}

/// Keras's Softmax layer. The mask spreads as numpy does it.
fn softmax<T: Float>(axis: i64, masks: SoftmaxMask, x: &Shared<T>, mask: Option<&Mask>) -> Result<ArrayD<T>> {
    let axis = Axis(axis_at(axis, x.ndim()).ok_or_else(misfit)?);
    let mut x = in_row_order(x);
    let mask = match mask {
        None => None,
        Some(mask) if mask.is_graded() => {
            let expected = "a mask of zeros and ones, or flags: Softmax reads other numbers in a way of its own";
            return Err(mismatch(expected.into(), mask.shape()));
        }
        Some(mask) => match mask.broadcast(x.raw_dim()) {
            Some(wide) => Some(wide.to_owned()),
            None => return Err(mismatch(format!("a mask that spreads to {:?}", x.shape()), mask.shape())),
        },
    };
    if let Some(mask) = &mask {
        // Keras's large negative number.
        let low = T::from_f64(-1e9);
        match masks {
            SoftmaxMask::Replaces => x.zip_mut_with(mask, |x, &real| *x = if real { *x } else { low }),
            SoftmaxMask::Adds => x.zip_mut_with(mask, |x, &real| *x += if real { T::zero() } else { low }),
        }
    }
    let mut lane = Vec::new();
    for mut along in x.lanes_mut(axis) {
        lane.clear();
        lane.extend(along.iter().copied());
        activate(Isa::detect(), &Activation::Softmax, &mut lane);
        along.iter_mut().zip(&lane).for_each(|(to, &from)| *to = from);
    }
    if let (Some(mask), SoftmaxMask::Replaces) = (&mask, masks) {
        x.zip_mut_with(mask, |x, &real| *x = if real { *x } else { T::zero() });
    }
    Ok(x)
}

pub(super) fn reshaped<T: Float>(x: &Value<T>, shape: &[usize]) -> Result<Value<T>> {
    fn go<A: Clone>(x: &Shared<A>, shape: &[usize]) -> Result<Shared<A>> {
        let reshaped = x.to_shape(IxDyn(shape)).map_err(|_| mismatch(format!("{shape:?}"), x.shape()))?;
        Ok(reshaped.into_owned().into_shared())
    }
    Ok(match x {
        Value::Float(x) => Value::Float(go(x, shape)?),
        Value::Int(x) => Value::Int(go(x, shape)?),
        Value::Bool(x) => Value::Bool(go(x, shape)?),
    })
}

fn repeat<A: Clone>(x: &Shared<A>, n: usize) -> Result<Shared<A>> {
    let [batch, features] = x.shape() else { return Err(misfit()) };
    let wide = x.view().insert_axis(Axis(1));
    let wide = wide.broadcast(IxDyn(&[*batch, n, *features])).ok_or_else(misfit)?;
    Ok(wide.to_owned().into_shared())
}
