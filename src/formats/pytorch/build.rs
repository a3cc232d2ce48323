//! Modules as layers: gates in our order, matrices the other way round, two biases as what they are here.

use ndarray::{ArrayD, Axis, stack};

use super::modules::{Convolution, Matrix, Norm};
use super::recurrent_module::{Cell, Recurrent};
use crate::activation::Activation;
use crate::cells::BuiltInCell;
use crate::cells::builder::Builder;
use crate::error::Error;
use crate::float::Float;
use crate::formats::error::{Found, Problem};
use crate::formats::gate_order::reorder;
use crate::graph::ops::normalization::{BatchNormalization, LayerNormalization, Normalization, Statistics};
use crate::initializers::Initializer;
use crate::layers::Layer;
use crate::layers::bidirectional::Bidirectional;
use crate::layers::convolution::ConvolutionBuilder;
use crate::layers::convolution::conv1d::Conv1D;
use crate::layers::dense::Dense;
use crate::layers::embedding::Embedding;
use crate::layers::names::{Gru, Lstm, SimpleRnn};
use crate::layers::stacked::Stacked;

/// Reads a tensor by its name in the module.
pub(super) type Read<'r, T> = &'r dyn Fn(&str) -> Found<ArrayD<T>>;

/// PyTorch's default `eps` of what normalizes.
pub(super) const EPSILON: f64 = 1e-5;

/// PyTorch's `momentum` of 0.1, which a `state_dict` doesn't say, counted as Keras does.
const MOMENTUM: f64 = 0.9;

/// Checks that an `nn.RNN` can have this nonlinearity.
pub(super) fn check_nonlinearity(prefix: &str, class: &str, activation: &Activation) -> Found<()> {
    match activation {
        Activation::Tanh | Activation::Relu => Ok(()),
        other => Err(Problem::UnsupportedOption {
            layer: prefix.into(),
            class: class.into(),
            option: "nonlinearity".into(),
            value: other.to_string(),
            reason: "PyTorch has tanh and relu",
        }),
    }
}

/// The layer that computes what a module does. `activation` is an `nn.RNN`'s.
pub(super) fn recurrent<T: Float>(
    prefix: &str,
    module: &Recurrent,
    activation: &Activation,
    read: Read<'_, T>,
) -> Found<Box<dyn Layer<T>>> {
    let units = module.units;
    match module.cell {
        Cell::Rnn => {
            over_time(prefix, module, read, |input| SimpleRnn::builder(input, units).activation(activation.clone()))
        }
        Cell::Lstm => over_time(prefix, module, read, |input| match module.projection {
            None => Lstm::builder(input, units),
            Some(width) => {
                Lstm::builder(input, units).projection_units(width).projection_initializer(Initializer::Zeros)
            }
        }),
        Cell::Gru => over_time(prefix, module, read, |input| Gru::builder(input, units)),
    }
}

fn over_time<T: Float, C: BuiltInCell<Elem = T>>(
    prefix: &str,
    module: &Recurrent,
    read: Read<'_, T>,
    make: impl Fn(usize) -> Builder<'static, C>,
) -> Found<Box<dyn Layer<T>>> {
    let built = built(prefix);
    let mut layers: Vec<Box<dyn Layer<T>>> = Vec::with_capacity(module.layers);
    for index in 0..module.layers {
        let builder = make(module.features(index))
            .use_bias(module.bias)
            .kernel_initializer(Initializer::Zeros)
            .recurrent_initializer(Initializer::Zeros)
            .seed(0) // of a dropout that there isn't: nothing is drawn
            .return_sequences(true)
            .return_state(true)
            .zero_output_for_mask(true);
        let mut layer: Box<dyn Layer<T>> = match module.bidirectional {
            true => Box::new(Bidirectional::new(builder).map_err(&built)?),
            false => Box::new(builder.build().map_err(&built)?),
        };
        let mut new = Vec::new();
        for reverse in module.directions() {
            let path = match (module.bidirectional, reverse) {
                (false, _) => "",
                (true, false) => "forward/",
                (true, true) => "backward/",
            };
            let weights = weights(module, &module.suffix(index, reverse), read)?;
            new.extend(weights.into_iter().map(|(name, array)| (format!("{path}{name}"), array)));
        }
        let views: Vec<_> = new.iter().map(|(name, array)| (&name[..], array.view())).collect();
        layer.set_weights(&views).map_err(&built)?;
        layers.push(layer);
    }
    if layers.len() == 1 {
        return Ok(layers.swap_remove(0));
    }
    let stack = layers.into_iter().fold(Stacked::builder(), |stack, layer| stack.layer(layer));
    Ok(Box::new(stack.return_state(true).build().map_err(&built)?))
}

/// The weights of one direction of one layer, under our names.
fn weights<T: Float>(module: &Recurrent, suffix: &str, read: Read<'_, T>) -> Found<Vec<(&'static str, ArrayD<T>)>> {
    let rows = |name: &str| {
        let array = read(&format!("{name}{suffix}"))?;
        Ok(reorder(array.view(), Axis(0), module.cell.gates(), module.cell.own_gates()))
    };
    let mut weights =
        vec![("kernel", rows("weight_ih")?.reversed_axes()), ("recurrent_kernel", rows("weight_hh")?.reversed_axes())];
    if module.bias {
        let (input, recurrent) = (rows("bias_ih")?, rows("bias_hh")?);
        let bias = match module.cell {
            // Both are there, too: the second one stands inside the reset gate's product.
            Cell::Gru => stack(Axis(0), &[input.view(), recurrent.view()]).unwrap_or(input),
            Cell::Rnn | Cell::Lstm => input + recurrent,
        };
        weights.push(("bias", bias));
    }
    if module.projection.is_some() {
        weights.push(("projection_kernel", read(&format!("weight_hr{suffix}"))?.reversed_axes()));
    }
    Ok(weights)
}

pub(super) fn linear<T: Float>(prefix: &str, module: Matrix, read: Read<'_, T>) -> Found<Dense<T>> {
    let Matrix { rows, columns, bias } = module;
    let built = built(prefix);
    let builder = Dense::builder(columns, rows).use_bias(bias).kernel_initializer(Initializer::Zeros);
    let mut layer = builder.build().map_err(&built)?;
    let mut new = vec![("kernel", read("weight")?.reversed_axes())];
    if bias {
        new.push(("bias", read("bias")?));
    }
    let views: Vec<_> = new.iter().map(|(name, array)| (*name, array.view())).collect();
    layer.set_weights(&views).map_err(&built)?;
    Ok(layer)
}

pub(super) fn embedding<T: Float>(prefix: &str, module: Matrix, read: Read<'_, T>) -> Found<Embedding<T>> {
    let built = built(prefix);
    let builder = Embedding::builder(module.rows, module.columns).embeddings_initializer(Initializer::Zeros);
    let mut layer = builder.build().map_err(&built)?;
    let weight = read("weight")?;
    layer.set_weights(&[("embeddings", weight.view())]).map_err(&built)?;
    Ok(layer)
}

/// `options`: what the file doesn't say.
pub(super) fn conv1d<T: Float>(
    prefix: &str,
    module: Convolution,
    groups: usize,
    options: impl FnOnce(ConvolutionBuilder<'static, Conv1D<T>>) -> ConvolutionBuilder<'static, Conv1D<T>>,
    read: Read<'_, T>,
) -> Found<Conv1D<T>> {
    let Convolution { filters, channels, size, bias } = module;
    let built = built(prefix);
    if groups == 0 {
        return Err(built(Error::ZeroSize { what: "groups" }));
    }
    let builder = Conv1D::builder(channels.saturating_mul(groups), filters, size).groups(groups).use_bias(bias);
    let mut layer = options(builder.kernel_initializer(Initializer::Zeros)).build().map_err(&built)?;
    let mut new = vec![("kernel", read("weight")?.reversed_axes())];
    if bias {
        new.push(("bias", read("bias")?));
    }
    let views: Vec<_> = new.iter().map(|(name, array)| (*name, array.view())).collect();
    layer.set_weights(&views).map_err(&built)?;
    Ok(layer)
}

pub(super) fn layer_norm<T: Float>(prefix: &str, module: Norm, read: Read<'_, T>) -> Found<LayerNormalization<T>> {
    normalization(prefix, module, read, Statistics::Own { epsilon: EPSILON }).map(LayerNormalization)
}

pub(super) fn batch_norm<T: Float>(prefix: &str, module: Norm, read: Read<'_, T>) -> Found<BatchNormalization<T>> {
    let (mean, variance) = (read("running_mean")?, read("running_var")?);
    let statistics = Statistics::moving(mean, variance, T::from_f64(EPSILON), Some(MOMENTUM));
    normalization(prefix, module, read, statistics).map(BatchNormalization)
}

fn normalization<T: Float>(
    prefix: &str,
    module: Norm,
    read: Read<'_, T>,
    statistics: Statistics<T>,
) -> Found<Normalization<T>> {
    if module.features == 0 {
        return Err(built(prefix)(Error::ZeroSize { what: "features" }));
    }
    let own = |name, there| if there { read(name).map(Some) } else { Ok(None) };
    let (gamma, beta) = (own("weight", module.weight)?, own("bias", module.bias)?);
    let mut all = Normalization { axes: vec![-1], shape: vec![module.features], gamma, beta, statistics };
    all.fold();
    Ok(all)
}

/// What a builder refuses.
fn built(prefix: &str) -> impl Fn(Error) -> Problem + '_ {
    move |source| Problem::Layer { layer: prefix.into(), source }
}

/// A tensor's name in the file.
pub(super) fn join(prefix: &str, name: &str) -> String {
    if prefix.is_empty() { name.into() } else { format!("{prefix}.{name}") }
}
