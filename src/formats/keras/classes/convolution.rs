//! Conv1D, DepthwiseConv1D, SeparableConv1D.

use serde_json::json;

use super::super::json::Fields;
use super::super::weights::Weight;
use super::super::words::{Said, Unsaid};
use super::{Built, Class, Holds, INPUTS, Reading, options};
use crate::activation::Activation;
use crate::float::Float;
use crate::formats::error::Found;
use crate::graph::operation::{Op, Operation};
use crate::graph::ops::channels_first::ChannelsFirst;
use crate::graph::ops::convolution::Convolution;
use crate::initializers::Initializer;
use crate::layers::convolution::conv1d::Conv1D;
use crate::layers::convolution::depthwise::DepthwiseConv1D;
use crate::layers::convolution::separable::SeparableConv1D;
use crate::layers::convolution::window::Padding;
use crate::layers::convolution::{ConvolutionBuilder, Convolve};

impl<T: Float> Class<T> {
    pub(super) const CONVOLUTION: &'static [Self] = &[
        Class::layer("Conv1D", INPUTS, Holds::Weights(kernel_and_bias), conv1d).by(written),
        Class::layer("DepthwiseConv1D", INPUTS, Holds::Weights(kernel_and_bias), depthwise).by(written),
        Class::layer("SeparableConv1D", INPUTS, Holds::Weights(two_kernels_and_bias), separable).by(written),
    ];
}

/// As Keras writes what moves a window along time: sizes as lists of one.
pub(super) fn written(said: &mut Said<'_>) -> Result<(), Unsaid> {
    let pools = said.get("pool_size").is_some();
    for name in ["kernel_size", "pool_size", "strides", "dilation_rate"] {
        // Pooling has no gaps.
        if !(pools && name == "dilation_rate") {
            said.list_of_one(name);
        }
    }
    // Keras 3 has no causal convolution that takes each channel by itself.
    if said.get("depth_multiplier").is_some() && said.get("padding") == Some(&"causal".into()) {
        return Err(said.unsaid("padding"));
    }
    for name in ["filters", "padding", "groups", "depth_multiplier", "activation", "use_bias", "keepdims"] {
        said.same(name)?;
    }
    for weight in ["kernel", "depthwise", "pointwise", "bias"] {
        said.same(&format!("{weight}_initializer"))?;
    }
    said.write("data_format", "channels_last");
    Ok(())
}

pub(super) fn kernel_and_bias(fields: &Fields<'_>) -> Found<Vec<&'static str>> {
    Ok(["kernel", "bias"][..1 + usize::from(fields.default_flag("use_bias", true)?)].to_vec())
}

pub(super) fn two_kernels_and_bias(fields: &Fields<'_>) -> Found<Vec<&'static str>> {
    let count = 2 + usize::from(fields.default_flag("use_bias", true)?);
    Ok(["depthwise_kernel", "pointwise_kernel", "bias"][..count].to_vec())
}

fn conv1d<T: Float>(reading: &Reading<'_, '_>) -> Found<Built<T>> {
    reading.made_with(&["kernel", "bias"])?;
    reading.plain()?;
    let (filters, groups) = (reading.size("filters")?, reading.groups()?);
    let weights = reading.tensors(reading.place, &kernel_and_bias(reading.fields)?)?;
    let size = reading.one("kernel_size", None)?;
    let input = match *weights[0].array.shape() {
        [taps, channels, columns] if channels > 0 && (taps, columns) == (size, filters) => channels.checked_mul(groups),
        _ => None,
    };
    let misshapen = || reading.misshapen(&weights[0], format!("[{size}, channels / {groups}, {filters}]"));
    let builder = Conv1D::<T>::builder(input.ok_or_else(misshapen)?, filters, size).groups(groups);
    let builder =
        reading.convolution::<T, _>(builder, &[Padding::Valid, Padding::Same, Padding::Causal], weights.len() > 1)?;
    let layer = builder.kernel_initializer(Initializer::Zeros).build().map_err(|source| reading.refused(source))?;
    reading.convolved(layer, &["kernel_initializer"], &weights)
}

fn depthwise<T: Float>(reading: &Reading<'_, '_>) -> Found<Built<T>> {
    reading.made_with(&["depthwise", "kernel", "bias"])?;
    reading.without_groups()?;
    let mut names = kernel_and_bias(reading.fields)?;
    if reading.is_keras2() {
        names[0] = "depthwise_kernel"; // its name there
    }
    let mut weights = reading.tensors(reading.place, &names)?;
    weights[0].name = "kernel";
    let (size, multiplier) = (reading.one("kernel_size", None)?, reading.count("depth_multiplier", 1)?);
    let input = reading.depthwise_input(&weights[0], size, multiplier)?;
    let builder = DepthwiseConv1D::<T>::builder(input, size).depth_multiplier(multiplier);
    let builder = reading.convolution::<T, _>(builder, &[Padding::Valid, Padding::Same], weights.len() > 1)?;
    let layer = builder.depthwise_initializer(Initializer::Zeros).build().map_err(|source| reading.refused(source))?;
    reading.convolved(layer, &["depthwise_initializer"], &weights)
}

fn separable<T: Float>(reading: &Reading<'_, '_>) -> Found<Built<T>> {
    reading.made_with(&["depthwise", "pointwise", "kernel", "bias"])?;
    reading.without_groups()?;
    let weights = reading.tensors(reading.place, &two_kernels_and_bias(reading.fields)?)?;
    let (size, multiplier) = (reading.one("kernel_size", None)?, reading.count("depth_multiplier", 1)?);
    let input = reading.depthwise_input(&weights[0], size, multiplier)?;
    let builder = SeparableConv1D::<T>::builder(input, reading.size("filters")?, size).depth_multiplier(multiplier);
    // Keras 3 has no causal one.
    let paddings = &[Padding::Valid, Padding::Same, Padding::Causal][..2 + usize::from(reading.is_keras2())];
    let builder = reading.convolution::<T, _>(builder, paddings, weights.len() > 2)?;
    let builder = builder.depthwise_initializer(Initializer::Zeros).pointwise_initializer(Initializer::Zeros);
    let layer = builder.build().map_err(|source| reading.refused(source))?;
    reading.convolved(layer, &["depthwise_initializer", "pointwise_initializer"], &weights)
}

impl Reading<'_, '_> {
    /// What Keras 2 writes of layers that have no groups.
    pub(super) fn without_groups(&self) -> Found<()> {
        self.fields.only("groups", &json!(1), "such layers have no groups")
    }

    /// The channels of a depthwise kernel.
    fn depthwise_input<T>(&self, kernel: &Weight<T>, size: usize, multiplier: usize) -> Found<usize> {
        match *kernel.array.shape() {
            [taps, channels, times] if channels > 0 && (taps, times) == (size, multiplier) => Ok(channels),
            _ => Err(self.misshapen(kernel, format!("[{size}, channels, {multiplier}]"))),
        }
    }

    /// A whole number of at least one.
    pub(super) fn count(&self, key: &'static str, default: usize) -> Found<usize> {
        let option = self.fields.option(key, "a whole number above 0")?;
        option.map_or(Ok(default), |option| option.size(self.reader.options.limits.units))
    }

    /// A list of one such number, as Keras writes those of one axis; by hand it may be the number alone.
    pub(super) fn one(&self, key: &'static str, default: Option<usize>) -> Found<usize> {
        const EXPECTED: &str = "a whole number above 0, or a list of one";
        let option = match default {
            Some(_) => self.fields.option(key, EXPECTED)?,
            None => Some(self.fields.need(key, EXPECTED)?),
        };
        let Some(option) = option else { return Ok(default.unwrap_or(1)) };
        let limit = self.reader.options.limits.units;
        match option.is_list() {
            true => match &option.list(EXPECTED)?[..] {
                [one] => one.size(limit),
                _ => Err(option.wrong(EXPECTED)),
            },
            false if self.fields.has("trainable") => Err(option.wrong("a list of one whole number above 0")),
            false => option.size(limit),
        }
    }

    /// The groups; versions of Keras 2 before 2.4 knew none.
    pub(super) fn groups(&self) -> Found<usize> {
        if self.is_keras2() && !self.fields.has("groups") { Ok(1) } else { self.count("groups", 1) }
    }

    /// Where the channels are: last unless it says otherwise. The first versions had no such option.
    pub(super) fn is_channels_first(&self) -> Found<bool> {
        let format =
            if self.is_old() { self.fields.take("data_format") } else { self.fields.option("data_format", FORMATS)? };
        match format {
            None => Ok(false),
            Some(format) => match format.text(FORMATS)? {
                "channels_last" => Ok(false),
                "channels_first" => Ok(true),
                _ => Err(format.wrong(FORMATS)),
            },
        }
    }

    /// One of these, by its name.
    pub(super) fn padding(&self, known: &[Padding]) -> Found<Padding> {
        let expected = known.iter().map(|padding| padding.name()).collect::<Vec<_>>().join(", ");
        let Some(option) = self.fields.option("padding", &expected)? else { return Ok(Padding::Valid) };
        let name = option.text(&expected)?;
        known.iter().copied().find(|padding| padding.name() == name).ok_or_else(|| option.wrong(&expected))
    }

    /// The options that all convolutions have.
    fn convolution<'s, T: Float, L: Convolve<T>>(
        &self,
        builder: ConvolutionBuilder<'s, L>,
        paddings: &[Padding],
        use_bias: bool,
    ) -> Found<ConvolutionBuilder<'s, L>> {
        let activation = self.activation::<T>("activation", Activation::Linear)?;
        if let (false, Some(format)) = (activation.is_elementwise(), self.fields.take("data_format"))
            && self.is_channels_first()?
        {
            return Err(format.unsupported("its activation goes along time there: make it a layer behind a Permute"));
        }
        Ok(builder
            .activation(activation)
            .strides(self.one("strides", Some(1))?)
            .dilation_rate(self.one("dilation_rate", Some(1))?)
            .padding(self.padding(paddings)?)
            .use_bias(use_bias))
    }

    /// A layer with its weights, and how its kernels say that they were filled.
    fn convolved<T: Float, L: Convolve<T>>(
        &self,
        mut layer: L,
        kernels: &[&'static str],
        weights: &[Weight<T>],
    ) -> Found<Built<T>> {
        self.set(&mut layer, weights)?;
        let uniform = Initializer::GlorotUniform { seed: None };
        let kernels = kernels.iter().map(|kernel| self.initializer(kernel, uniform.clone()));
        layer.tell(kernels.chain([self.initializer("bias_initializer", Initializer::Zeros)]).collect());
        self.in_format(Convolution::new(layer), options::count(weights))
    }

    /// A layer on (batch, timesteps, channels), or on (batch, channels, timesteps) if its format says so.
    pub(super) fn in_format<T: Float>(&self, operation: impl Operation<T>, trainable: usize) -> Found<Built<T>> {
        let built = Built::with(operation, trainable);
        Ok(match self.is_channels_first()? {
            true => Built { op: Op::new(ChannelsFirst(built.op)), ..built },
            false => built,
        })
    }
}

const FORMATS: &str = "channels_last, channels_first";
