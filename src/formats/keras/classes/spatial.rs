//! Convolutions and pooling over two and three dimensions, and what moves rows and columns.

use serde_json::json;

use super::super::json::{Fields, Json};
use super::super::weights::Weight;
use super::super::words::{Said, Unsaid};
use super::convolution::{kernel_and_bias, two_kernels_and_bias};
use super::{Built, Class, Holds, INPUTS, Reading, options};
use crate::activation::Activation;
use crate::float::Float;
use crate::formats::error::Found;
use crate::graph::ops::moved_steps::MovedSteps;
use crate::graph::ops::pooling::Pool;
use crate::graph::ops::spatial::Windows;
use crate::graph::ops::spatial::convolution::{Convolution, Kind, Parts};
use crate::graph::ops::spatial::moved::Moved;
use crate::graph::ops::spatial::pooling::{Global, Pooling};
use crate::layers::convolution::window::{Padding, Window};

/// The classes of so many dimensions, all but those that are there for one alone.
macro_rules! of_rank {
    ($rank:literal: $conv:literal $max:literal $average:literal $global_max:literal $global_average:literal
     $padding:literal $cropping:literal $sampling:literal) => {
        [
            Class::layer($conv, INPUTS, Holds::Weights(kernel_and_bias), |reading| {
                convolution(reading, Kind::Full, $rank)
            })
            .by(written),
            Class::layer($max, INPUTS, Holds::Nothing, |reading| pooling(reading, Pool::Max, $rank)).by(written),
            Class::layer($average, INPUTS, Holds::Nothing, |reading| pooling(reading, Pool::Average, $rank))
                .by(written),
            Class::layer($global_max, INPUTS, Holds::Nothing, |reading| global(reading, Pool::Max, $rank)).by(written),
            Class::layer($global_average, INPUTS, Holds::Nothing, |reading| global(reading, Pool::Average, $rank))
                .by(written),
            Class::layer($padding, INPUTS, Holds::Nothing, |reading| {
                moved(reading, "padding", $rank, MovedSteps::Padded)
            })
            .by(written),
            Class::layer($cropping, INPUTS, Holds::Nothing, |reading| {
                moved(reading, "cropping", $rank, MovedSteps::Cropped)
            })
            .by(written),
            Class::layer($sampling, INPUTS, Holds::Nothing, |reading| sampled(reading, $rank)).by(written),
        ]
    };
}

impl<T: Float> Class<T> {
    pub(super) const SPATIAL: &'static [Self] = &[
        Class::layer("DepthwiseConv2D", INPUTS, Holds::Weights(kernel_and_bias), |reading| {
            convolution(reading, Kind::Depthwise, 2)
        })
        .by(written),
        Class::layer("SeparableConv2D", INPUTS, Holds::Weights(two_kernels_and_bias), |reading| {
            convolution(reading, Kind::Separable, 2)
        })
        .by(written),
    ];

    pub(super) const OVER_TWO: &'static [Self] = &of_rank! {
        2: "Conv2D" "MaxPooling2D" "AveragePooling2D" "GlobalMaxPooling2D" "GlobalAveragePooling2D"
        "ZeroPadding2D" "Cropping2D" "UpSampling2D"
    };

    pub(super) const OVER_THREE: &'static [Self] = &of_rank! {
        3: "Conv3D" "MaxPooling3D" "AveragePooling3D" "GlobalMaxPooling3D" "GlobalAveragePooling3D"
        "ZeroPadding3D" "Cropping3D" "UpSampling3D"
    };
}

fn written(said: &mut Said<'_>) -> Result<(), Unsaid> {
    let pools = said.get("pool_size").is_some();
    for name in ["filters", "kernel_size", "pool_size", "strides", "padding", "dilation_rate"] {
        // Pooling has no gaps.
        if !(pools && name == "dilation_rate") {
            said.same(name)?;
        }
    }
    for name in ["groups", "depth_multiplier", "activation", "use_bias", "keepdims", "cropping", "size"] {
        said.same(name)?;
    }
    if said.around.class == "UpSampling2D" {
        said.write("interpolation", "nearest");
    }
    said.write("data_format", "channels_last");
    Ok(())
}

impl Reading<'_, '_> {
    /// A size for each of so many dimensions: a list of them; by hand it may be one number for all.
    pub(super) fn sizes(&self, key: &'static str, rank: usize, default: Option<usize>) -> Found<Vec<usize>> {
        const EXPECTED: &str = "a whole number above 0 for each dimension";
        let option = match default {
            Some(_) => self.fields.option(key, EXPECTED)?,
            None => Some(self.fields.need(key, EXPECTED)?),
        };
        let Some(option) = option else { return Ok(vec![default.unwrap_or(1); rank]) };
        let limit = self.reader.options.limits.units;
        if option.is_list() {
            let list = option.list(EXPECTED)?.iter().map(|size| size.size(limit)).collect::<Found<Vec<_>>>()?;
            return if list.len() == rank { Ok(list) } else { Err(option.wrong(EXPECTED)) };
        }
        match self.fields.has("trainable") {
            true => Err(option.wrong(EXPECTED)),
            false => Ok(vec![option.size(limit)?; rank]),
        }
    }

    /// The windows of a layer; without strides they move by their size.
    pub(super) fn windows(&self, size: &'static str, rank: usize, gaps: bool) -> Found<Windows> {
        let pools = size == "pool_size";
        let sizes = self.sizes(size, rank, pools.then_some(2))?;
        let moves = match self.fields.option("strides", "sizes or null")? {
            Some(json) if json.is_null() => !pools,
            None => !pools,
            Some(_) => true,
        };
        let strides = if moves { self.sizes("strides", rank, Some(1))? } else { sizes.clone() };
        let dilations = if gaps { self.sizes("dilation_rate", rank, Some(1))? } else { vec![1; rank] };
        let padding = self.padding(&[Padding::Valid, Padding::Same])?;
        let window = |at: usize| Window { size: sizes[at], stride: strides[at], dilation: dilations[at], padding };
        let windows: Vec<Window> = (0..rank).map(window).collect();
        Windows::new(&windows, size).map_err(|source| self.refused(source))
    }
}

fn convolution<T: Float>(reading: &Reading<'_, '_>, kind: Kind, rank: usize) -> Found<Built<T>> {
    let fields = reading.fields;
    reading.made_with(&["depthwise", "pointwise", "kernel", "bias"])?;
    reading.plain()?;
    let windows = reading.windows("kernel_size", rank, true)?;
    let mut names = if kind == Kind::Separable { two_kernels_and_bias(fields)? } else { kernel_and_bias(fields)? };
    if kind == Kind::Depthwise && reading.is_keras2() {
        names[0] = "depthwise_kernel"; // its name there
    }
    let (mut groups, mut times) = (1, 1);
    match kind {
        Kind::Full => groups = reading.groups()?,
        _ => {
            reading.without_groups()?;
            times = reading.count("depth_multiplier", 1)?;
        }
    }
    let activation = reading.activation::<T>("activation", Activation::Linear)?;
    if let (false, Some(format)) = (activation.is_elementwise(), fields.take("data_format"))
        && reading.is_channels_first()?
    {
        return Err(format.unsupported("its activation goes along columns there: make it a layer behind a Permute"));
    }
    let weights: Vec<Weight<T>> = reading.tensors(reading.place, &names)?;
    let last = weights[0].array.shape().last().copied().unwrap_or(0);
    let filters = if kind == Kind::Depthwise { None } else { Some(reading.size("filters")?) };
    let stated = if kind == Kind::Full { filters } else { Some(times) };
    if stated != Some(last) {
        return Err(reading.misshapen(&weights[0], format!("[.., channels, {}]", stated.unwrap_or(times))));
    }
    if let (Kind::Separable, Some(filters)) = (kind, filters)
        && weights[1].array.shape().last() != Some(&filters)
    {
        return Err(reading.misshapen(&weights[1], format!("[.., channels, {filters}]")));
    }
    let trainable = options::count(&weights);
    let use_bias = weights.len() > 1 + usize::from(kind == Kind::Separable);
    let mut arrays: Vec<_> = weights.into_iter().map(|weight| weight.array).collect();
    let bias = if use_bias { arrays.pop() } else { None };
    let pointwise = if kind == Kind::Separable { arrays.pop() } else { None };
    let kernel = arrays.pop().unwrap_or_default();
    let parts = Parts { windows, kind, kernel, pointwise, bias, groups, activation };
    let layer = Convolution::made(parts).map_err(|source| reading.refused(source))?;
    reading.in_format(layer, trainable)
}

fn pooling<T: Float>(reading: &Reading<'_, '_>, pool: Pool, rank: usize) -> Found<Built<T>> {
    reading.in_format(Pooling { windows: reading.windows("pool_size", rank, false)?, pool }, 0)
}

fn global<T: Float>(reading: &Reading<'_, '_>, pool: Pool, rank: usize) -> Found<Built<T>> {
    // Versions of Keras 2 before 2.6 had no such option.
    let old = reading.is_keras2() && !reading.fields.has("keepdims");
    let keepdims = reading.newer_flag("keepdims", false, old.then_some(false))?;
    reading.in_format(Global { rank, pool, keepdims }, 0)
}

fn moved<T: Float>(
    reading: &Reading<'_, '_>,
    key: &'static str,
    rank: usize,
    made: fn(usize, usize) -> MovedSteps,
) -> Found<Built<T>> {
    const PAIRS: &str = "two whole numbers of at least 0 for each dimension";
    let option = reading.fields.need(key, PAIRS)?;
    let pair = |pair: &Json<'_>| match &pair.list(PAIRS)?[..] {
        [before, after] => Ok(made(before.index(PAIRS)?, after.index(PAIRS)?)),
        _ => Err(pair.wrong(PAIRS)),
    };
    let each = option.list(PAIRS)?.iter().map(pair).collect::<Found<Vec<_>>>()?;
    match each.len() == rank {
        true => reading.in_format(Moved::new(&each), 0),
        false => Err(option.wrong(PAIRS)),
    }
}

fn sampled<T: Float>(reading: &Reading<'_, '_>, rank: usize) -> Found<Built<T>> {
    let fields: &Fields<'_> = reading.fields;
    fields.only("interpolation", &json!("nearest"), "only whole copies of rows and columns are supported")?;
    let each: Vec<MovedSteps> = reading.sizes("size", rank, Some(2))?.into_iter().map(MovedSteps::Repeated).collect();
    reading.in_format(Moved::new(&each), 0)
}
