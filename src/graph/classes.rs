//! The classes of layers and operations that descriptions are read back as: one list, by the names under which they
//! describe themselves. The layers of one cell come from the [list of cells](crate::cells).

mod layers;
mod operations;

use ndarray::ArrayD;

use super::assembly::Most;
use super::masked::Masked;
use super::operation::Op;
use super::ops;
use super::ops::flags::{Any, Flags, LogicalOr, NotEqual};
use super::ops::global_pooling::GlobalPooling;
use super::ops::merge::{MaskRule, MergeOp};
use super::ops::moved_steps::{MovedSteps, Moving};
use super::ops::noise::Dropout;
use super::ops::normalization::{Normalization, Statistics};
use super::ops::pooling::{Pool, Pooling};
use super::ops::shapes::{ExpandDims, Flatten, Permute, RepeatVector, Reshape};
use super::ops::softmax::{MASKS, Softmax};
use super::per_step::PerStep;
use super::read::{Made, read_model};
use crate::config::{ConfigError, Described, Item, Options, Tensors, activations};
use crate::error::Error;
use crate::float::Float;
use crate::layers::Layer;
use crate::layers::bidirectional::Bidirectional;
use crate::layers::convolution::conv1d::Conv1D;
use crate::layers::convolution::depthwise::DepthwiseConv1D;
use crate::layers::convolution::quantized::QuantizedConv1D;
use crate::layers::convolution::separable::SeparableConv1D;
use crate::layers::dense::Dense;
use crate::layers::described::{ReadLayer, recurrent_class};
use crate::layers::embedding::Embedding;
use crate::layers::masking::Masking;
use crate::layers::quantized_dense::QuantizedDense;
use crate::layers::quantized_embedding::QuantizedEmbedding;
use crate::layers::stacked::Stacked;
use crate::layers::time_distributed::TimeDistributed;
use crate::memory;

type Read<V> = Result<V, ConfigError>;
type ReadOperation<T> = fn(&Options<'_>, &mut Tensors<'_, T>) -> Read<Op<T>>;

/// How the mean and the variance are read, for weights of some shape.
type ReadStatistics<T> = fn(&Options<'_>, &mut Tensors<'_, T>, &[usize]) -> Read<Statistics<T>>;

/// A line of the list.
struct Class<T: Float> {
    name: &'static str,
    /// As a layer over time.
    layer: Option<ReadLayer<T>>,
    /// As an operation of a model; a layer over time is one by itself.
    operation: Option<ReadOperation<T>>,
}

impl<T: Float> Class<T> {
    const fn layer(name: &'static str, read: ReadLayer<T>) -> Self {
        Class { name, layer: Some(read), operation: None }
    }

    const fn operation(name: &'static str, read: ReadOperation<T>) -> Self {
        Class { name, layer: None, operation: Some(read) }
    }

    const ALL: &'static [Self] = &[
        Class::layer("Bidirectional", |options, tensors| Ok(Box::new(Bidirectional::read(options, tensors)?))),
        Class::layer("Stacked", |options, tensors| Ok(Box::new(stacked(options, tensors)?))),
        Class::layer("Masked", |options, tensors| {
            let mask_value = masking(options)?;
            Ok(Box::new(Masked::new(mask_value, layer(&options.config("layer", LAYER)?, tensors)?)))
        }),
        Class::layer("PerStep", |options, tensors| Ok(Box::new(per_step(options, tensors)?))),
        Class {
            layer: Some(|options, tensors| Ok(Box::new(Dense::read(options, tensors)?))),
            ..Class::operation("Dense", |options, tensors| {
                Ok(Op::new(ops::dense::Dense::new(Dense::read(options, tensors)?)))
            })
        },
        Class {
            layer: Some(QuantizedDense::read_boxed),
            ..Class::operation("QuantizedDense", |options, tensors| {
                Ok(Op::new(ops::quantized_dense::QuantizedDense::new(QuantizedDense::read_boxed(options, tensors)?)))
            })
        },
        Class {
            layer: Some(|options, tensors| Ok(Box::new(time_distributed(options, tensors)?))),
            ..Class::operation("TimeDistributed", |options, tensors| {
                let item = options.need("layer", LAYER)?;
                let Made { op, states } = operation(&item.config(LAYER)?, tensors)?;
                if !states.is_empty() {
                    return Err(item.wrong("a layer that keeps no state"));
                }
                Ok(Op::new(ops::time_distributed::TimeDistributed(op)))
            })
        },
        Class::operation("Layer", |options, tensors| {
            Ok(Op::new(ops::recurrent::Recurrent::boxed(layer(&options.config("layer", LAYER)?, tensors)?)))
        }),
        Class::operation("Embedding", |options, tensors| {
            Ok(Op::new(ops::embedding::Embedding::new(Embedding::read(options, tensors)?)))
        }),
        Class::operation("QuantizedEmbedding", |options, tensors| {
            let table = QuantizedEmbedding::read(options, tensors)?;
            let op = Op::new(ops::quantized_embedding::QuantizedEmbedding::new(table));
            Op::of_f32("QuantizedEmbedding", op).map_err(|error| options.refused(error))
        }),
        Class::operation("QuantizedConv1D", |options, tensors| {
            let op = Op::new(ops::convolution::Convolution::new(QuantizedConv1D::read(options, tensors)?));
            Op::of_f32("QuantizedConv1D", op).map_err(|error| options.refused(error))
        }),
        Class::operation("Conv1D", |options, tensors| {
            Ok(Op::new(ops::convolution::Convolution::new(Conv1D::read(options, tensors)?)))
        }),
        Class::operation("DepthwiseConv1D", |options, tensors| {
            Ok(Op::new(ops::convolution::Convolution::new(DepthwiseConv1D::read(options, tensors)?)))
        }),
        Class::operation("SeparableConv1D", |options, tensors| {
            Ok(Op::new(ops::convolution::Convolution::new(SeparableConv1D::read(options, tensors)?)))
        }),
        Class::operation("ChannelsFirst", |options, tensors| {
            let item = options.need("layer", LAYER)?;
            let Made { op, states } = operation(&item.config(LAYER)?, tensors)?;
            if !states.is_empty() {
                return Err(item.wrong("a layer that keeps no state"));
            }
            Ok(Op::new(ops::channels_first::ChannelsFirst(op)))
        }),
        Class::operation("Masking", |options, _| Ok(Op::new(ops::masking::Masking(masking::<T>(options)?)))),
        Class::operation("Activation", |options, _| {
            Ok(Op::new(activations::read(&options.need("activation", "an activation")?)?))
        }),
        Class::operation("PReLU", |options, tensors| {
            let shape = sizes(options, "shape")?;
            Ok(Op::new(ops::prelu::PRelu(array(options, tensors, "alpha", &shape)?)))
        }),
        Class::operation("Softmax", |options, _| {
            Ok(Op::new(Softmax { axis: options.integer("axis")?, masks: options.word("masks", &MASKS)? }))
        }),
        Class::operation("LayerNormalization", |options, tensors| {
            normalization(options, tensors, |options, _, _| Ok(Statistics::Own { epsilon: options.number("epsilon")? }))
        }),
        Class::operation("BatchNormalization", |options, tensors| {
            normalization(options, tensors, |options, tensors, shape| {
                let (mean, variance) = (
                    array(options, tensors, "moving_mean", shape)?,
                    array(options, tensors, "moving_variance", shape)?,
                );
                // Files of before it was known don't say it.
                let momentum = options.said("momentum").map(|momentum| momentum.number()).transpose()?;
                Ok(Statistics::moving(mean, variance, T::from_f64(options.number("epsilon")?), momentum))
            })
        }),
        Class::operation("Identity", |options, _| {
            Ok(Op::new(ops::identity::Identity { keeps_mask: options.flag("keeps_mask")? }))
        }),
        Class::operation("Add", |options, _| merge(options, MergeOp::Add)),
        Class::operation("Subtract", |options, _| merge(options, MergeOp::Subtract)),
        Class::operation("Multiply", |options, _| merge(options, MergeOp::Multiply)),
        Class::operation("Average", |options, _| merge(options, MergeOp::Average)),
        Class::operation("Maximum", |options, _| merge(options, MergeOp::Maximum)),
        Class::operation("Minimum", |options, _| merge(options, MergeOp::Minimum)),
        Class::operation("Concatenate", |options, _| {
            let masks = options.word("masks", &MaskRule::NAMES)?;
            Ok(Op::new(ops::concatenate::Concatenate { axis: options.integer("axis")?, masks }))
        }),
        Class::operation("MaxPooling1D", |options, _| Ok(Op::new(Pooling::read(Pool::Max, options)?))),
        Class::operation("AveragePooling1D", |options, _| Ok(Op::new(Pooling::read(Pool::Average, options)?))),
        Class::operation("GlobalMaxPooling1D", |options, _| {
            Ok(Op::new(GlobalPooling::new(Pool::Max, options.flag("keepdims")?)))
        }),
        Class::operation("GlobalAveragePooling1D", |options, _| {
            Ok(Op::new(GlobalPooling::new(Pool::Average, options.flag("keepdims")?)))
        }),
        Class::operation("ZeroPadding1D", |options, _| moved(options, "padding", MovedSteps::Padded)),
        Class::operation("Cropping1D", |options, _| moved(options, "cropping", MovedSteps::Cropped)),
        Class::operation("UpSampling1D", |options, _| {
            Ok(Op::new(Moving::from(MovedSteps::Repeated(options.size("size")?))))
        }),
        Class::operation("Flatten", |_, _| Ok(Op::new(Flatten))),
        Class::operation("Reshape", |options, _| Ok(Op::new(Reshape(shape(options, "target_shape")?)))),
        Class::operation("Permute", |options, _| Ok(Op::new(Permute(sizes(options, "dims")?)))),
        Class::operation("RepeatVector", |options, _| {
            Ok(Op::new(RepeatVector(options.need("n", SIZES)?.index(SIZES)?)))
        }),
        Class::operation("ExpandDims", |options, _| Ok(Op::new(ExpandDims(options.integer("axis")?)))),
        Class::operation("NotEqual", |options, _| Ok(Op::new(NotEqual(options.number("number")?)))),
        Class::operation("Any", |options, _| {
            Ok(Op::new(Any { axes: axes(options)?, keepdims: options.flag("keepdims")? }))
        }),
        Class::operation("LogicalOr", |_, _| Ok(Op::new(LogicalOr))),
        Class::operation("OnesLike", |_, _| Ok(Op::new(Flags(true)))),
        Class::operation("ZerosLike", |_, _| Ok(Op::new(Flags(false)))),
    ];

    fn of(name: &str) -> Option<&'static Self> {
        Self::ALL.iter().chain(Self::LAYERS).chain(Self::OPERATIONS).find(|class| class.name == name)
    }
}

/// The names of the list, but for those of cells and models: for a test that each of them makes the round trip.
#[doc(hidden)]
pub fn class_names<T: Float>() -> Vec<&'static str> {
    Class::<T>::ALL.iter().chain(Class::<T>::LAYERS).chain(Class::<T>::OPERATIONS).map(|class| class.name).collect()
}

const LAYER: &str = "a layer";
const SIZES: &str = "whole numbers of at least 0";
const SHAPE: &str = "whole numbers of at least 0 and nulls";

/// A layer over time, of its description and weights.
pub(crate) fn layer<T: Float>(described: &Described<'_>, tensors: &mut Tensors<'_, T>) -> Read<Box<dyn Layer<T>>> {
    let of_list = || Class::<T>::of(described.class()).and_then(|class| class.layer);
    let read = recurrent_class::<T>(described.class()).or_else(of_list);
    let read = read.ok_or_else(|| described.wrong_class("a layer over time"))?;
    described.read(|options| read(options, tensors))
}

/// An operation of a model, with the states that it keeps if it is a model with stateful layers.
pub(super) fn operation<T: Float>(described: &Described<'_>, tensors: &mut Tensors<'_, T>) -> Read<Made<T>> {
    if matches!(described.class(), "Functional" | "Sequential") {
        let mut model = described.read(|options| read_model(options, tensors))?;
        let states = std::mem::take(&mut model.stateful);
        return Ok(Made { op: Op::new(ops::nested::Nested(Box::new(model))), states });
    }
    let op = match Class::<T>::of(described.class()).and_then(|class| class.operation) {
        Some(read) => described.read(|options| read(options, tensors))?,
        None => Op::new(ops::recurrent::Recurrent::boxed(layer(described, tensors)?)),
    };
    memory::check_depth(super::operation::depth(&*op))
        .map_err(|error| ConfigError::Built { layer: String::new(), error })?;
    Ok(Made { op, states: vec![] })
}

/// How large a model may become.
pub(super) fn most(options: &Options<'_>) -> Most {
    let bounds = options.bounds();
    Most { calls: bounds.calls, elements: bounds.elements }
}

pub(crate) fn stacked<T: Float>(options: &Options<'_>, tensors: &mut Tensors<'_, T>) -> Read<Stacked<T>> {
    let left_out = options.said("left_out").map(|name| name.text("a name")).transpose()?;
    let mut stack = Stacked::builder().return_state(options.flag("return_state")?).without(left_out);
    for (i, item) in options.list("layers", "a list of layers")?.iter().enumerate() {
        stack = stack.boxed(layer(&item.config(LAYER)?, &mut tensors.nested(&i.to_string()))?);
    }
    stack.build().map_err(|error| options.refused(error))
}

pub(crate) fn time_distributed<T: Float>(
    options: &Options<'_>,
    tensors: &mut Tensors<'_, T>,
) -> Read<TimeDistributed<T>> {
    let inner = options.config("layer", "a Dense")?;
    if inner.class() != "Dense" {
        return Err(inner.wrong_class("a Dense"));
    }
    Ok(TimeDistributed::new(inner.read(|options| Dense::read(options, tensors))?))
}

fn per_step<T: Float>(options: &Options<'_>, tensors: &mut Tensors<'_, T>) -> Read<PerStep<T>> {
    let features = options.size("features")?;
    let map = options.need("map", "an operation or null")?.given();
    let made = map.as_ref().map(|map| operation(&map.config("an operation")?, tensors)).transpose()?;
    let (Some(made), Some(map)) = (made, map) else { return Ok(PerStep::identity(features)) };
    let fits = made.op.infer(&[vec![None, None, Some(features)]]).is_ok();
    let layer = PerStep::new(&*made.op, features).filter(|_| fits);
    layer.ok_or_else(|| map.wrong("an operation on so many features of each step"))
}

/// The value that a Masking compares with.
pub(crate) fn masking<T: Float>(options: &Options<'_>) -> Read<T> {
    let value = T::from_f64(options.number("mask_value")?);
    Masking::new(value).map(|masking| masking.mask_value()).map_err(|error| options.refused(error))
}

fn merge<T: Float>(options: &Options<'_>, how: MergeOp) -> Read<Op<T>> {
    Ok(Op::new(ops::merge::Merge { how, masks: options.word("masks", &MaskRule::NAMES)? }))
}

fn moved<T: Float>(options: &Options<'_>, name: &str, made: fn(usize, usize) -> MovedSteps) -> Read<Op<T>> {
    match sizes(options, name)?[..] {
        [before, after] => Ok(Op::new(Moving::from(made(before, after)))),
        _ => Err(options.need(name, SIZES)?.wrong("two sizes")),
    }
}

fn normalization<T: Float>(
    options: &Options<'_>,
    tensors: &mut Tensors<'_, T>,
    statistics: ReadStatistics<T>,
) -> Read<Op<T>> {
    let axes = options.list("axis", AXES)?.iter().map(Item::integer).collect::<Read<Vec<_>>>()?;
    let shape = sizes(options, "shape")?;
    let (scale, center) = (options.flag("scale")?, options.flag("center")?);
    // A layer without weights doesn't know their shape.
    let fits = shape.len() == axes.len() || shape.is_empty() && !scale && !center;
    if !fits {
        return Err(options.need("shape", SIZES)?.wrong("a size for each axis"));
    }
    let gamma = scale.then(|| array(options, tensors, "gamma", &shape)).transpose()?;
    let beta = center.then(|| array(options, tensors, "beta", &shape)).transpose()?;
    let statistics = statistics(options, tensors, &shape)?;
    let mut normalization = Normalization { axes, shape, gamma, beta, statistics };
    normalization.fold();
    Ok(Op::new(normalization))
}

fn array<T: Float>(
    options: &Options<'_>,
    tensors: &mut Tensors<'_, T>,
    name: &str,
    shape: &[usize],
) -> Read<ArrayD<T>> {
    let values = tensors.take(name, shape)?;
    ArrayD::from_shape_vec(shape, values).map_err(|_| options.refused(Error::TensorTooLarge { shape: shape.to_vec() }))
}

const AXES: &str = "whole numbers";

/// The dropout of the weights of attention.
fn dropout(options: &Options<'_>) -> Read<Option<Dropout>> {
    let Some(said) = options.said("dropout") else { return Ok(None) };
    let rate = said.number()?;
    if !(0.0..=1.0).contains(&rate) {
        return Err(said.wrong("a number from 0 to 1"));
    }
    let seed = options.said("seed").map(|seed| seed.integer()).transpose()?;
    Ok(Dropout::of_scores(rate, seed))
}

fn axes(options: &Options<'_>) -> Read<Option<Vec<i64>>> {
    let axes = options.need("axis", AXES)?.given();
    axes.map(|axes| axes.list(AXES)?.iter().map(Item::integer).collect()).transpose()
}

fn sizes(options: &Options<'_>, name: &str) -> Read<Vec<usize>> {
    options.list(name, SIZES)?.iter().map(|size| size.index(SIZES)).collect()
}

/// Sizes, null for any.
pub(super) fn shape(options: &Options<'_>, name: &str) -> Read<Vec<Option<usize>>> {
    let size = |size: Item<'_>| size.given().map(|size| size.index(SHAPE)).transpose();
    options.list(name, SHAPE)?.into_iter().map(size).collect()
}
