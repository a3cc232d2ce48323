//! Layers that are operations of a model alone, read back.

use std::sync::Arc;

use super::operations::integers;
use super::{Class, LAYER, Read, array, operation, shape, sizes};
use crate::config::{Item, Options, Tensors, activations};
use crate::float::Float;
use crate::graph::operation::Op;
use crate::graph::ops::categories::{Categories, Category, Encoding, Lookup, Vocabulary};
use crate::graph::ops::einsum_dense::{CLASS, EinsumDense, Kernel, Parts};
use crate::graph::ops::group_normalization::GroupNormalization;
use crate::graph::ops::moved_steps::MovedSteps;
use crate::graph::ops::multi_head::{Heads, Hides, MultiHead, PROJECTIONS};
use crate::graph::ops::noise::{Dropout, Noise};
use crate::graph::ops::normalization::{Normalization, Statistics};
use crate::graph::ops::pooling::Pool;
use crate::graph::ops::spatial::Windows;
use crate::graph::ops::spatial::conv_lstm::{ConvLstm, Options as ConvLstmOptions, Parts as ConvLstmParts};
use crate::graph::ops::spatial::convolution::{Convolution, Kind, Parts as ConvolutionParts};
use crate::graph::ops::spatial::moved::Moved;
use crate::graph::ops::spatial::pooling::{Global, Pooling};
use crate::graph::ops::spectral_normalization::{NORMALIZED, SpectralNormalization};
use crate::graph::read::Made;
use crate::graph::shape::Shape;
use crate::weights::Packed;

impl<T: Float> Class<T> {
    pub(super) const LAYERS: &'static [Self] = &[
        Class::operation("RMSNormalization", |options, tensors| {
            let (axes, shape) = (integers(options, "axis")?, sizes(options, "shape")?);
            if axes.len() != shape.len() {
                return Err(options.need("shape", SIZES)?.wrong("a size for each axis"));
            }
            let gamma = Some(array(options, tensors, "scale", &shape)?);
            let statistics = Statistics::Square { epsilon: options.number("epsilon")? };
            Ok(Op::new(Normalization { axes, shape, gamma, beta: None, statistics }))
        }),
        Class::operation("Dropout", |options, _| noise(options, Noise::Mask { shape: noise_shape(options)? })),
        Class::operation("SpatialDropout1D", |options, _| spatial(options, 1)),
        Class::operation("SpatialDropout2D", |options, _| spatial(options, 2)),
        Class::operation("SpatialDropout3D", |options, _| spatial(options, 3)),
        Class::operation("GaussianDropout", |options, _| noise(options, Noise::Factors)),
        Class::operation("GaussianNoise", |options, _| noise(options, Noise::Summands)),
        Class::operation("AlphaDropout", |options, _| noise(options, Noise::Alpha { shape: noise_shape(options)? })),
        Class::operation("GroupNormalization", |options, tensors| {
            let item = options.need("groups", "a whole number above 0, or -1")?;
            let groups = if item.integer() == Ok(-1) { None } else { Some(item.size()?) };
            let width = options.need("width", SIZES)?.given().map(|width| width.index(SIZES)).transpose()?;
            let mut weight = |flag: &str, name: &str| match (options.flag(flag)?, width) {
                (false, _) => Ok(None),
                (true, Some(width)) => array(options, tensors, name, &[width]).map(Some),
                (true, None) => Err(options.need("width", SIZES)?.wrong("the number of channels")),
            };
            let (gamma, beta) = (weight("scale", "gamma")?, weight("center", "beta")?);
            let (axis, epsilon) = (options.integer("axis")?, options.number("epsilon")?);
            Ok(Op::new(GroupNormalization { groups, axis, gamma, beta, epsilon }))
        }),
        Class::operation("SpectralNormalization", |options, tensors| {
            let item = options.need("layer", LAYER)?;
            let inner = item.config(LAYER)?;
            if !NORMALIZED.contains(&inner.class()) && inner.class() != "ChannelsFirst" {
                return Err(inner.wrong_class("a layer with one kernel"));
            }
            let Made { op: layer, states } = operation(&inner, tensors)?;
            if !states.is_empty() {
                return Err(item.wrong("a layer that keeps no state"));
            }
            let (columns, power_iterations) = (options.size("columns")?, options.size("power_iterations")?);
            let vector_u = array(options, tensors, "vector_u", &[1, columns])?;
            let normalized = SpectralNormalization::new(layer, vector_u, power_iterations);
            if !normalized.fits() {
                return Err(options.need("columns", SIZES)?.wrong("as many as the kernel of the layer has"));
            }
            Ok(Op::new(normalized))
        }),
        Class::operation("MultiHeadAttention", |options, tensors| multi_head(options, tensors).map(Op::new)),
        Class::operation("GroupQueryAttention", |options, tensors| multi_head(options, tensors).map(Op::new)),
        Class::operation("Conv2D", |options, tensors| convolution(options, tensors, Kind::Full, 2)),
        Class::operation("MaxPooling2D", |options, _| Ok(Op::new(Pooling::read(Pool::Max, 2, options)?))),
        Class::operation("GlobalMaxPooling2D", |options, _| global(options, Pool::Max, 2)),
        Class::operation("AveragePooling2D", |options, _| Ok(Op::new(Pooling::read(Pool::Average, 2, options)?))),
        Class::operation("GlobalAveragePooling2D", |options, _| global(options, Pool::Average, 2)),
        Class::operation("ZeroPadding2D", |options, _| moved(options, "padding", 2, MovedSteps::Padded)),
        Class::operation("Cropping2D", |options, _| moved(options, "cropping", 2, MovedSteps::Cropped)),
        Class::operation("UpSampling2D", |options, _| repeated(options, 2)),
        Class::operation("Conv3D", |options, tensors| convolution(options, tensors, Kind::Full, 3)),
        Class::operation("MaxPooling3D", |options, _| Ok(Op::new(Pooling::read(Pool::Max, 3, options)?))),
        Class::operation("GlobalMaxPooling3D", |options, _| global(options, Pool::Max, 3)),
        Class::operation("AveragePooling3D", |options, _| Ok(Op::new(Pooling::read(Pool::Average, 3, options)?))),
        Class::operation("GlobalAveragePooling3D", |options, _| global(options, Pool::Average, 3)),
        Class::operation("ZeroPadding3D", |options, _| moved(options, "padding", 3, MovedSteps::Padded)),
        Class::operation("Cropping3D", |options, _| moved(options, "cropping", 3, MovedSteps::Cropped)),
        Class::operation("UpSampling3D", |options, _| repeated(options, 3)),
        Class::operation("DepthwiseConv2D", |options, tensors| convolution(options, tensors, Kind::Depthwise, 2)),
        Class::operation("SeparableConv2D", |options, tensors| convolution(options, tensors, Kind::Separable, 2)),
        Class::operation("ConvLSTM1D", |options, tensors| conv_lstm(options, tensors, 1)),
        Class::operation("ConvLSTM2D", |options, tensors| conv_lstm(options, tensors, 2)),
        Class::operation("ConvLSTM3D", |options, tensors| conv_lstm(options, tensors, 3)),
        Class::operation("CategoryEncoding", |options, tensors| category(options, tensors, Categories::Own)),
        Class::operation("Discretization", |options, tensors| {
            let item = options.need("bin_boundaries", "numbers that grow")?;
            let list = item.list("numbers that grow")?;
            let bounds = list.iter().map(|item| Ok(item.number()? as f32)).collect::<Read<Vec<f32>>>()?;
            if !bounds.is_sorted() {
                return Err(item.wrong("numbers that grow"));
            }
            category(options, tensors, Categories::Bins(bounds.into()))
        }),
        Class::operation("IntegerLookup", |options, tensors| {
            let item = options.need("vocabulary", "tokens, each once")?;
            let tokens = item.list("tokens, each once")?.iter().map(Item::integer).collect::<Read<Vec<_>>>()?;
            let given = |name| options.need(name, "a whole number or null").map(Item::given);
            let vocabulary = Vocabulary {
                tokens,
                mask_token: given("mask_token")?.map(|token| token.integer()).transpose()?,
                oov_token: options.integer("oov_token")?,
                oov: options.need("num_oov_indices", SIZES)?.index(SIZES)?,
                invert: options.flag("invert")?,
                max_tokens: given("max_tokens")?.map(|most| most.size()).transpose()?,
                pad_to_max_tokens: options.flag("pad_to_max_tokens")?,
            };
            let lookup = Lookup::new(vocabulary, options.word("output_mode", &Encoding::NAMES)?);
            let lookup = lookup.map_or_else(|| Err(item.wrong("tokens, each once, and few enough")), Ok)?;
            category(options, tensors, Categories::Lookup(Arc::new(lookup)))
        }),
        Class::operation("EinsumDense", |options, tensors| einsum_dense(options, tensors).map(Op::new)),
        Class::operation(CLASS, |options, tensors| einsum_dense(options, tensors).map(Op::new)),
    ];
}

const SIZES: &str = "whole numbers of at least 0";

/// A dense layer along any axes.
fn einsum_dense<T: Float>(options: &Options<'_>, tensors: &mut Tensors<'_, T>) -> Read<EinsumDense<T>> {
    let (equation, shape_of_kernel) = (options.text("equation", "an equation")?, sizes(options, "kernel_shape")?);
    let kernel = if options.class() == CLASS {
        let count = EinsumDense::<T>::scales_len(equation, &shape_of_kernel).map_err(|error| options.refused(error))?;
        let packed = tensors.take_packed("kernel", &shape_of_kernel, (true, count), true)?;
        let Packed::Int8 { weights, scales } = packed else {
            return Err(options.need("kernel_shape", SIZES)?.wrong("those of bytes"));
        };
        Kernel::Bytes { shape: shape_of_kernel, weights, scales }
    } else {
        Kernel::Floats(array(options, tensors, "kernel", &shape_of_kernel)?)
    };
    let of_bias = options.need("bias_shape", SIZES)?.given().map(|_| sizes(options, "bias_shape")).transpose()?;
    let bias = of_bias.map(|shape| array(options, tensors, "bias", &shape)).transpose()?;
    let axes = options.need("bias_axes", "letters or null")?.given();
    let bias_axes = axes.map(|axes| axes.text("letters").map(String::from)).transpose()?;
    let parts = Parts {
        equation: equation.into(),
        output_shape: shape(options, "output_shape")?,
        kernel,
        bias_axes,
        bias,
        activation: activations::read(&options.need("activation", "an activation")?)?,
    };
    EinsumDense::made(parts).map_err(|error| options.refused(error))
}

/// Attention of several heads.
fn multi_head<T: Float>(options: &Options<'_>, tensors: &mut Tensors<'_, T>) -> Read<MultiHead<T>> {
    let grouped = options.class() == "GroupQueryAttention";
    let (query_heads, key_heads, key_dim, value_dim, output_shape) = match grouped {
        true => {
            let width = options.size("head_dim")?;
            (options.size("num_query_heads")?, options.size("num_key_value_heads")?, width, width, None)
        }
        false => {
            let given = options.need("output_shape", SIZES)?.given();
            let output = given.map(|_| sizes(options, "output_shape")).transpose()?;
            if integers(options, "attention_axes")? != [1] {
                return Err(options.need("attention_axes", "[1]")?.wrong("[1]: attention goes along time"));
            }
            let heads = options.size("num_heads")?;
            (heads, heads, options.size("key_dim")?, options.size("value_dim")?, output)
        }
    };
    let heads = Heads {
        query_heads,
        key_heads,
        key_dim,
        value_dim,
        use_bias: options.flag("use_bias")?,
        use_gate: options.flag("use_gate")?,
        output_shape,
        causal: options.flag("causal")?,
        sliding_window: options.need("sliding_window", SIZES)?.given().map(|window| window.size()).transpose()?,
        returns_scores: options.flag("returns_scores")?,
        reads_key: options.flag("reads_key")?,
        reads_mask: options.flag("reads_mask")?,
        grouped,
        hides: options.word("hides", &Hides::NAMES)?,
        dropout: super::dropout(options)?,
    };
    let [query, key, value] = sizes(options, "features")?[..] else {
        return Err(options.need("features", SIZES)?.wrong("the features of query, key and value"));
    };
    let output = sizes(options, "output")?;
    let mut weights = [const { None }; 5];
    for (place, (own, name)) in weights.iter_mut().zip(PROJECTIONS).enumerate() {
        let features = [query, key, query, value, 0][place];
        let Some((kernel, bias)) = heads.shapes(place, features, &output) else { continue };
        let mut tensors = tensors.nested(name);
        let kernel = array(options, &mut tensors, "kernel", &kernel)?;
        let bias = heads.use_bias.then(|| array(options, &mut tensors, "bias", &bias)).transpose()?;
        *own = Some((kernel, bias));
    }
    MultiHead::made(heads, weights).map_err(|error| options.refused(error))
}

/// A convolution over `rank` dimensions of space.
fn convolution<T: Float>(options: &Options<'_>, tensors: &mut Tensors<'_, T>, kind: Kind, rank: usize) -> Read<Op<T>> {
    let windows = Windows::read(options, "kernel_size", rank)?;
    let input = options.size("input_size")?;
    let groups = if kind == Kind::Full { options.size("groups")? } else { 1 };
    let of_window = windows.own().iter().map(|window| window.size);
    let own = |rows: usize, columns: usize| of_window.clone().chain([rows, columns]).collect::<Vec<usize>>();
    let (name, shape, first) = match kind {
        Kind::Full => {
            let filters = options.size("filters")?;
            if !input.is_multiple_of(groups) {
                return Err(options.need("groups", SIZES)?.wrong("a divisor of the channels"));
            }
            ("kernel", own(input / groups, filters), filters)
        }
        _ => {
            let times = options.size("depth_multiplier")?;
            let name = if kind == Kind::Separable { "depthwise_kernel" } else { "kernel" };
            let first = input.checked_mul(times);
            let first = first.map_or_else(|| Err(options.need("depth_multiplier", SIZES)?.wrong("less")), Ok)?;
            (name, own(input, times), first)
        }
    };
    let kernel = array(options, tensors, name, &shape)?;
    let (mut output, mut pointwise) = (first, None);
    if kind == Kind::Separable {
        output = options.size("filters")?;
        let shape = [&vec![1; rank][..], &[first, output]].concat();
        pointwise = Some(array(options, tensors, "pointwise_kernel", &shape)?);
    }
    let bias = options.flag("use_bias")?.then(|| array(options, tensors, "bias", &[output])).transpose()?;
    let activation = activations::read(&options.need("activation", "an activation")?)?;
    let parts = ConvolutionParts { windows, kind, kernel, pointwise, bias, groups, activation };
    Convolution::made(parts).map(Op::new).map_err(|error| options.refused(error))
}

/// What makes categories of numbers.
fn category<T: Float>(options: &Options<'_>, tensors: &mut Tensors<'_, T>, categories: Categories) -> Read<Op<T>> {
    let encoding = options.word("output_mode", &Encoding::NAMES)?;
    let depth = match &categories {
        Categories::Own => options.size("num_tokens")?,
        Categories::Bins(bounds) => bounds.len() + 1,
        Categories::Lookup(lookup) => lookup.depth(),
    };
    let weighed = matches!(categories, Categories::Lookup(_));
    if encoding == Encoding::TfIdf && !weighed || encoding == Encoding::Int && matches!(categories, Categories::Own) {
        return Err(options.need("output_mode", "another one")?.wrong("another one"));
    }
    let idf = (encoding == Encoding::TfIdf).then(|| array(options, tensors, "idf_weights", &[depth])).transpose()?;
    Ok(Op::new(Category { categories, encoding, depth, idf }))
}

/// A convolutional LSTM over `rank` dimensions of space.
fn conv_lstm<T: Float>(options: &Options<'_>, tensors: &mut Tensors<'_, T>, rank: usize) -> Read<Op<T>> {
    let windows = Windows::read(options, "kernel_size", rank)?;
    let (input, filters) = (options.size("input_size")?, options.size("filters")?);
    let columns = filters.checked_mul(4);
    let columns = columns.map_or_else(|| Err(options.need("filters", SIZES)?.wrong("less")), Ok)?;
    let sizes = windows.own().iter().map(|window| window.size);
    let own = |rows: usize| sizes.clone().chain([rows, columns]).collect::<Vec<usize>>();
    let kernel = array(options, tensors, "kernel", &own(input))?;
    let recurrent_kernel = array(options, tensors, "recurrent_kernel", &own(filters))?;
    let bias = options.flag("use_bias")?.then(|| array(options, tensors, "bias", &[columns])).transpose()?;
    let formats = [("channels_last", false), ("channels_first", true)];
    let seed = options.need("seed", "a whole number or null")?.given().map(|seed| seed.integer()).transpose()?;
    let options_of = ConvLstmOptions {
        activation: activations::read(&options.need("activation", "an activation")?)?,
        recurrent_activation: activations::read(&options.need("recurrent_activation", "an activation")?)?,
        unit_forget_bias: options.flag("unit_forget_bias")?,
        dropout: options.number("dropout")?,
        recurrent_dropout: options.number("recurrent_dropout")?,
        seed,
        return_sequences: options.flag("return_sequences")?,
        return_state: options.flag("return_state")?,
        go_backwards: options.flag("go_backwards")?,
        zero_output_for_mask: options.flag("zero_output_for_mask")?,
        unroll: options.flag("unroll")?,
        channels_first: options.word("data_format", &formats)?,
    };
    let parts = ConvLstmParts { windows, kernel, recurrent_kernel, bias, options: options_of };
    ConvLstm::made(parts).map(Op::new).map_err(|error| options.refused(error))
}

fn global<T: Float>(options: &Options<'_>, pool: Pool, rank: usize) -> Read<Op<T>> {
    Ok(Op::new(Global { rank, pool, keepdims: options.flag("keepdims")? }))
}

fn moved<T: Float>(
    options: &Options<'_>,
    name: &str,
    rank: usize,
    made: fn(usize, usize) -> MovedSteps,
) -> Read<Op<T>> {
    const PAIRS: &str = "two sizes for each dimension";
    let item = options.need(name, PAIRS)?;
    let pair = |pair: &Item<'_>| match &pair.list(PAIRS)?[..] {
        [before, after] => Ok(made(before.index(SIZES)?, after.index(SIZES)?)),
        _ => Err(pair.wrong(PAIRS)),
    };
    let each = item.list(PAIRS)?.iter().map(pair).collect::<Read<Vec<_>>>()?;
    if each.len() == rank { Ok(Op::new(Moved::new(&each))) } else { Err(item.wrong(PAIRS)) }
}

fn repeated<T: Float>(options: &Options<'_>, rank: usize) -> Read<Op<T>> {
    let item = options.need("size", SIZES)?;
    let each = item.list(SIZES)?.iter().map(|size| size.size().map(MovedSteps::Repeated)).collect::<Read<Vec<_>>>()?;
    if each.len() == rank { Ok(Op::new(Moved::new(&each))) } else { Err(item.wrong("a size for each dimension")) }
}

/// Dropout and its kin.
fn noise<T: Float>(options: &Options<'_>, noise: Noise) -> Read<Op<T>> {
    let (size, most) = if noise == Noise::Summands { ("stddev", f64::MAX) } else { ("rate", 1.0) };
    let item = options.need(size, RATE)?;
    let rate = item.number()?;
    if !(0.0..=most).contains(&rate) {
        return Err(item.wrong(RATE));
    }
    let seed = options.need("seed", "a whole number or null")?.given().map(|seed| seed.integer()).transpose()?;
    Ok(Op::new(Dropout { noise, rate, seed }))
}

const RATE: &str = "a number from 0 to 1";

fn noise_shape(options: &Options<'_>) -> Read<Option<Shape>> {
    let item = options.need("noise_shape", "sizes and nulls, or null")?;
    let own = item.clone().given().map(|_| shape(options, "noise_shape")).transpose()?;
    if own.as_ref().is_some_and(|shape| shape.contains(&Some(0))) { Err(item.wrong("sizes above 0")) } else { Ok(own) }
}

fn spatial<T: Float>(options: &Options<'_>, rank: usize) -> Read<Op<T>> {
    let formats = [("channels_last", false), ("channels_first", true)];
    let channels_first = if rank > 1 { options.word("data_format", &formats)? } else { false };
    noise(options, Noise::Spatial { rank, channels_first })
}
