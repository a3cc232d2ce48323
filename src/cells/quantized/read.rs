//! A quantized cell, made again of what it said of itself.

use super::{QuantizedCell, check_room, class_name, format};
use crate::cells::builder::check_activation;
use crate::cells::described::DescribedCell;
use crate::config::{ConfigError, Options, Tensors, activations};
use crate::error::Error;
use crate::kernels::QuantizedKernel;
use crate::kernels::backward::Form;
use crate::precision::Precision;
use crate::state::StateLayout;

type Read<V> = Result<V, ConfigError>;

impl DescribedCell for QuantizedCell {
    const LAYERS: &'static [&'static str] = &["QuantizedSimpleRNN", "QuantizedLSTM", "QuantizedGRU"];

    fn read_in_layer(options: &Options<'_>, tensors: &mut Tensors<'_, f32>) -> Read<Self> {
        read(options, tensors)
    }
}

/// In how many bits weights are kept.
pub(crate) fn precision(options: &Options<'_>) -> Read<Precision> {
    options.word("precision", &Precision::ALL.map(|precision| (precision.name(), precision)))
}

/// The same of a layer that Keras has in fewer bits, too.
pub(crate) fn precision_or_keras(options: &Options<'_>) -> Read<Precision> {
    let [int8, fast, bf16] = Precision::ALL;
    options.word("precision", &[int8, fast, bf16, Precision::Int8Keras].map(|precision| (precision.name(), precision)))
}

/// Checks that there is memory for a matrix of these sizes, as it is packed.
pub(crate) fn check_memory(options: &Options<'_>, precision: Precision, rows: usize, columns: usize) -> Read<()> {
    check_room(precision, rows, columns).map_err(|error| options.refused(error))
}

/// The cell of these options, with these weights. Whatever the others' numbers are, its own are of f32.
pub(crate) fn read<T>(options: &Options<'_>, tensors: &mut Tensors<'_, T>) -> Read<QuantizedCell> {
    let activation = |name| activations::read(&options.need(name, "an activation")?);
    let (input_size, units) = (options.size("input_size")?, options.size("units")?);
    let (precision, use_bias) = (precision(options)?, options.flag("use_bias")?);
    let form = match options.class().trim_end_matches("Cell") {
        "QuantizedSimpleRNN" => Form::SimpleRnn,
        "QuantizedLSTM" => Form::Lstm,
        _ if options.flag("reset_after")? => Form::GruAfter,
        _ => Form::GruBefore,
    };
    let own = activation("activation")?;
    let of_gates = if form == Form::SimpleRnn { own.clone() } else { activation("recurrent_activation")? };
    for activation in [&own, &of_gates] {
        check_activation(activation).map_err(|error| options.refused(error))?;
    }
    let too_large = || options.refused(Error::TensorTooLarge { shape: vec![input_size, units] });
    let columns = units.checked_mul(form.gates()).ok_or_else(too_large)?;
    let bias_shape = match form {
        _ if !use_bias => vec![],
        Form::GruAfter => vec![2, columns],
        _ => vec![columns],
    };
    let shapes = [vec![input_size, columns], vec![units, columns], bias_shape];
    let form_of_packed = (precision != Precision::Bf16, columns);
    let kernel = tensors.take_packed("kernel", &shapes[0], form_of_packed, false)?;
    let recurrent_kernel = tensors.take_packed("recurrent_kernel", &shapes[1], form_of_packed, false)?;
    let bias = use_bias.then(|| tensors.take_singles("bias", &shapes[2])).transpose()?;
    check_memory(options, precision, input_size, columns)?;
    check_memory(options, precision, units, columns)?;
    let weights = (&kernel, &recurrent_kernel, bias);
    Ok(QuantizedCell {
        class: class_name(form),
        precision,
        state: StateLayout::new(
            ["h", "c"].into_iter().take(if form == Form::Lstm { 2 } else { 1 }).map(|n| (n, units)),
        ),
        input_size,
        kernel: QuantizedKernel::new(format(precision), form, (input_size, units), weights),
        shapes,
        activation: own,
        recurrent_activation: of_gates,
    })
}
