//! LSTMs whose products are convolutions: ConvLSTM1D, ConvLSTM2D, ConvLSTM3D.

use serde_json::json;

use super::super::weights::Weight;
use super::super::words::{Said, Unsaid};
use super::recurrent::{ARGUMENTS, Flags, flags};
use super::{Built, CellKind, Class, Holds, Reading, cells, options, training_only};
use crate::activation::Activation;
use crate::float::Float;
use crate::formats::error::Found;
use crate::graph::ops::spatial::conv_lstm::{ConvLstm, Options, Parts};

impl<T: Float> Class<T> {
    pub(super) const CONV_LSTM: &'static [Self] = &[
        Class::layer("ConvLSTM1D", ARGUMENTS, Holds::Weights(cells::weights), |reading| read(reading, 1)).by(written),
        Class::layer("ConvLSTM2D", ARGUMENTS, Holds::Weights(cells::weights), |reading| read(reading, 2)).by(written),
        Class::layer("ConvLSTM3D", ARGUMENTS, Holds::Weights(cells::weights), |reading| read(reading, 3)).by(written),
    ];
}

fn written(said: &mut Said<'_>) -> Result<(), Unsaid> {
    for name in ["filters", "kernel_size", "strides", "padding", "data_format", "dilation_rate"] {
        said.same(name)?;
    }
    for name in ["activation", "recurrent_activation", "use_bias", "unit_forget_bias", "dropout", "recurrent_dropout"] {
        said.same(name)?;
    }
    for name in ["seed", "return_sequences", "return_state", "go_backwards", "zero_output_for_mask", "unroll"] {
        said.same(name)?;
    }
    said.write("stateful", false);
    said.no_others(&["input_size"])
}

/// Refuses what means something else than it says.
fn check(reading: &Reading<'_, '_>, along_columns: bool, flags: &Flags) -> Found<()> {
    let fields = reading.fields;
    if let (true, Some(format)) = (along_columns, fields.take("data_format")) {
        return Err(format.unsupported("its activation goes along columns there: make it a layer behind a Permute"));
    }
    if flags.unroll && flags.backwards && flags.zero {
        let unroll = fields.need("unroll", "true or false")?;
        return Err(unroll.unsupported("backwards and with zero_output_for_mask, Keras turns the mask around there"));
    }
    Ok(())
}

fn read<T: Float>(reading: &Reading<'_, '_>, rank: usize) -> Found<Built<T>> {
    let fields = reading.fields;
    reading.made_with(&["kernel", "recurrent", "bias"])?;
    let flags = flags(reading, CellKind::Lstm)?;
    fields.only(
        "stateful",
        &json!(false),
        "give it its state as inputs of the model: return_state and initial_state",
    )?;
    let windows = reading.windows("kernel_size", rank, true)?;
    let filters = reading.size("filters")?;
    let activation = reading.activation::<T>("activation", Activation::Tanh)?;
    let recurrent_activation = match reading.is_keras2() {
        true => reading.needed_activation::<T>("recurrent_activation")?,
        false => reading.activation::<T>("recurrent_activation", Activation::Sigmoid)?,
    };
    let channels_first = reading.is_channels_first()?;
    let elementwise = activation.is_elementwise() && recurrent_activation.is_elementwise();
    check(reading, channels_first && !elementwise, &flags)?;
    let place = reading.place.child("cell");
    let weights: Vec<Weight<T>> = reading.tensors(&place, &cells::weights(fields)?)?;
    let columns = filters.checked_mul(4);
    let shape = weights[0].array.shape();
    if shape.len() != rank + 2 || shape.last().copied() != columns {
        return Err(reading.misshapen(&weights[0], format!("[.., channels, 4 x {filters}]")));
    }
    let channels = shape[rank];
    let sizes = windows.own().iter().map(|window| window.size);
    let own = |channels: usize| sizes.clone().chain([channels, 4 * filters]).collect::<Vec<usize>>();
    reading.expect_shape(&weights[0], &own(channels.max(1)))?;
    reading.expect_shape(&weights[1], &own(filters))?;
    if let Some(bias) = weights.get(2) {
        reading.expect_shape(bias, &[4 * filters])?;
    }
    let [dropout, recurrent_dropout] = [fields.number_or("dropout", 0.0)?, fields.number_or("recurrent_dropout", 0.0)?];
    let options = Options {
        activation,
        recurrent_activation,
        unit_forget_bias: fields.flag_or("unit_forget_bias", true)?,
        dropout,
        recurrent_dropout,
        seed: training_only::seed(fields, f64::max(dropout, recurrent_dropout))?,
        return_sequences: flags.sequences,
        return_state: flags.state,
        go_backwards: flags.backwards,
        zero_output_for_mask: flags.zero,
        unroll: flags.unroll,
        channels_first,
    };
    let trainable = options::count(&weights);
    let mut arrays = weights.into_iter().map(|weight| weight.array);
    let (kernel, recurrent_kernel) = (arrays.next().unwrap_or_default(), arrays.next().unwrap_or_default());
    let parts = Parts { windows, kernel, recurrent_kernel, bias: arrays.next(), options };
    let layer = ConvLstm::made(parts).map_err(|source| reading.refused(source))?;
    Ok(Built::with(layer, trainable))
}
