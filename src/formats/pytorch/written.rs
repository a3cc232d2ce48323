//! Layers as modules: what `build` does, the other way round.

use ndarray::{ArrayD, Axis};

use super::modules::{Convolution, Kind, Matrix};
use super::recurrent_module::{Cell, Recurrent};
use super::save::{Written, checked};
use crate::activation::Activation;
use crate::float::Float;
use crate::formats::gate_order::reorder;
use crate::formats::save_error::SaveError;
use crate::layers::Layer;
use crate::layers::convolution::Convolve;
use crate::layers::convolution::conv1d::Conv1D;
use crate::layers::convolution::window::{Padding, Window};
use crate::structure::{StructureVisitor, Told};

/// A tensor by its name in the module.
type Tensors<T> = Vec<(String, ArrayD<T>)>;

const BY_ITSELF: &str = "write each of its layers under a prefix of its own (Stacked::layers, &layer)";

/// Of two directions that aren't alike.
const ALIKE: &str = "both directions of a module of PyTorch's are of one class";

/// A Dense without activation.
pub(super) fn linear<T: Float>(prefix: &str, layer: &dyn Layer<T>) -> Result<Written<T>, SaveError> {
    for (option, value) in options(layer) {
        if option == "activation" && value != format!("{:?}", Activation::Linear) {
            let hint = "PyTorch's stand apart: make the layer without, and call the activation behind it";
            return Err(SaveError::Option { prefix: prefix.into(), class: "Dense".into(), option, value, hint });
        }
    }
    let tensors = layer.weights().into_iter().map(|(name, array)| match &name[..] {
        "kernel" => ("weight".to_string(), turned(array.to_owned())),
        _ => (name, array.to_owned()),
    });
    checked(Kind::Linear, prefix, tensors.collect(), |shapes| {
        let Matrix { rows, columns, bias } = Matrix::linear(shapes)?;
        Ok(format!("nn.Linear({columns}, {rows}{})", if bias { "" } else { ", bias=False" }))
    })
}

/// A convolution without activation.
pub(super) fn conv1d<T: Float>(prefix: &str, layer: &Conv1D<T>) -> Result<Written<T>, SaveError> {
    let common = layer.common();
    let refuse = |option: &str, value: String, hint| {
        Err(SaveError::Option { prefix: prefix.into(), class: "Conv1D".into(), option: option.into(), value, hint })
    };
    if common.activation != Activation::Linear {
        let hint = "PyTorch's stand apart: make the layer without, and call the activation behind it";
        return refuse("activation", common.activation.to_string(), hint);
    }
    let (Window { stride, dilation, padding, .. }, groups) = (common.window, layer.groups());
    let padding = match padding {
        Padding::Valid => "",
        Padding::Same if stride == 1 => ", padding='same'",
        Padding::Same => return refuse("padding", "same".into(), "PyTorch has it with a stride of 1 alone"),
        Padding::Causal => {
            let hint = "write it with Padding::Valid, and pad before it there: nn.functional.pad(x, (zeros, 0))";
            return refuse("padding", "causal".into(), hint);
        }
    };
    let tensors = layer.weights().into_iter().map(|(name, array)| match &name[..] {
        "kernel" => ("weight".to_string(), turned(array.to_owned())),
        _ => (name, array.to_owned()),
    });
    checked(Kind::Convolution, prefix, tensors.collect(), |shapes| {
        let Convolution { filters, channels, size, bias } = Convolution::of(shapes)?;
        let mut python = format!("nn.Conv1d({}, {filters}, {size}", channels * groups);
        for (option, value) in [("stride", stride), ("dilation", dilation), ("groups", groups)] {
            if value != 1 {
                python += &format!(", {option}={value}");
            }
        }
        Ok(python + padding + if bias { ")" } else { ", bias=False)" })
    })
}

/// A layer over time, both directions of one, or a stack of such.
pub(super) fn recurrent<T: Float>(prefix: &str, layer: &dyn Layer<T>, one_step: bool) -> Result<Written<T>, SaveError> {
    let mut layers = Vec::new();
    flatten(layer, &mut layers);
    let (mut tensors, mut first): (_, Option<(Cell, String)>) = (Vec::new(), None);
    for (index, layer) in layers.iter().enumerate() {
        for (reverse, direction) in directions(prefix, *layer)? {
            let (cell, activation) = recurrence(prefix, direction, reverse)?;
            let (kind, before) = first.get_or_insert((cell, activation.clone()));
            if *kind != cell {
                let class = direction.class_name();
                let hint = if reverse { ALIKE } else { BY_ITSELF };
                return Err(SaveError::Class { prefix: prefix.into(), class: class.into(), hint });
            }
            if *before != activation {
                let (class, option) = (direction.class_name(), "activation".into());
                return Err(SaveError::Option {
                    prefix: prefix.into(),
                    class: class.into(),
                    option,
                    value: activation,
                    hint: BY_ITSELF,
                });
            }
            let suffix = match (one_step, reverse) {
                (true, _) if index == 0 && !reverse => String::new(),
                (_, false) => format!("_l{index}"),
                (_, true) => format!("_l{index}_reverse"),
            };
            tensors.extend(weights(cell, direction, &suffix));
        }
    }
    let Some((cell, activation)) = first else {
        return Err(SaveError::Class { prefix: prefix.into(), class: layer.class_name().into(), hint: BY_ITSELF });
    };
    checked(Kind::Recurrent { cell, one_step }, prefix, tensors, |shapes| {
        let mut python = Recurrent::of(cell, one_step, shapes)?.to_string();
        let more = match (one_step, activation == format!("{:?}", Activation::Relu)) {
            (true, true) => ", nonlinearity='relu')",
            (true, false) => ")",
            (false, true) => ", nonlinearity='relu', batch_first=True)",
            (false, false) => ", batch_first=True)",
        };
        python.truncate(python.len() - 1);
        Ok(python + more)
    })
}

/// The layers of stacks within stacks, one after another.
fn flatten<'l, T: Float>(layer: &'l dyn Layer<T>, layers: &mut Vec<&'l dyn Layer<T>>) {
    match layer.class_name() {
        "Sequential" => layer.parts().into_iter().for_each(|(_, layer)| flatten(layer, layers)),
        _ => layers.push(layer),
    }
}

/// The directions of a layer: whether each is the reverse one.
fn directions<'l, T: Float>(prefix: &str, layer: &'l dyn Layer<T>) -> Result<Vec<(bool, &'l dyn Layer<T>)>, SaveError> {
    if layer.class_name() != "Bidirectional" {
        return Ok(vec![(false, layer)]);
    }
    let merge = options(layer).into_iter().find(|(option, _)| option == "merge_mode");
    if let Some((option, value)) = merge.filter(|(_, value)| value != "Concat") {
        let (prefix, class, hint) = (prefix.into(), "Bidirectional", "PyTorch's directions stand side by side");
        return Err(SaveError::Option { prefix, class: class.into(), option, value, hint });
    }
    Ok(layer.parts().into_iter().enumerate().map(|(index, (_, layer))| (index == 1, layer)).collect())
}

/// The cell of one direction of one layer, and its activation, if it has no option that PyTorch doesn't have.
fn recurrence<T: Float>(prefix: &str, layer: &dyn Layer<T>, reverse: bool) -> Result<(Cell, String), SaveError> {
    let class = layer.class_name();
    let cell = match class {
        "SimpleRNN" => Cell::Rnn,
        "LSTM" => Cell::Lstm,
        "GRU" => Cell::Gru,
        _ => {
            let hint = match class {
                "Dense" | "TimeDistributed" | "Stacked" => BY_ITSELF,
                _ => "PyTorch has SimpleRNN, LSTM and GRU, both directions of them, and stacks of those",
            };
            return Err(SaveError::Class { prefix: prefix.into(), class: class.into(), hint });
        }
    };
    let (tanh, relu, sigmoid) =
        [Activation::Tanh, Activation::Relu, Activation::Sigmoid].map(|it| format!("{it:?}")).into();
    let mut activation = tanh.clone();
    for (option, value) in options(layer) {
        let hint = match &option[..] {
            "activation" => {
                activation = value.clone();
                let known = value == tanh || cell == Cell::Rnn && value == relu;
                (!known).then_some("PyTorch has tanh, and for an nn.RNN relu")
            }
            "recurrent_activation" => (value != sigmoid).then_some("PyTorch has sigmoid"),
            "reset_after" => (value != "true").then_some("PyTorch's nn.GRU resets after the product"),
            "go_backwards" => {
                let fits = value == reverse.to_string();
                (!fits).then_some("PyTorch's modules go forwards, or in both directions: flip the input there")
            }
            "peephole" | "input_forget" => (value != "false").then_some("PyTorch's nn.LSTM doesn't have it"),
            "clip" => (value != "None").then_some("PyTorch's nn.LSTM doesn't have it"),
            // Sizes, which the weights have, and what acts in a call alone.
            "class"
            | "input_size"
            | "output"
            | "projection_units"
            | "return_sequences"
            | "return_state"
            | "zero_output_for_mask"
            | "unroll" => None,
            _ => Some("PyTorch doesn't have it"),
        };
        if let Some(hint) = hint {
            return Err(SaveError::Option { prefix: prefix.into(), class: class.into(), option, value, hint });
        }
    }
    Ok((cell, activation))
}

/// What a layer says of itself, by name; what is inside has the names of its parts before.
fn options<T: Float>(layer: &dyn Layer<T>) -> Vec<(String, String)> {
    let mut options = Vec::new();
    layer.visit_structure(&mut StructureVisitor::new(&mut |path, told: Told<'_>| {
        options.push((path.to_string(), format!("{told:?}")));
    }));
    options
}

/// The weights of one direction of one layer, under PyTorch's names.
fn weights<T: Float>(cell: Cell, layer: &dyn Layer<T>, suffix: &str) -> Tensors<T> {
    let rows = |array: ArrayD<T>| reorder(array.view(), Axis(0), cell.own_gates(), cell.gates());
    let mut tensors = Vec::new();
    for (name, array) in layer.weights() {
        let array = array.to_owned();
        match &name[..] {
            "kernel" => tensors.push((format!("weight_ih{suffix}"), rows(turned(array)))),
            "recurrent_kernel" => tensors.push((format!("weight_hh{suffix}"), rows(turned(array)))),
            "projection_kernel" => tensors.push((format!("weight_hr{suffix}"), turned(array))),
            "bias" => {
                let (input, recurrent) = match cell {
                    Cell::Gru => (array.index_axis(Axis(0), 0).to_owned(), array.index_axis(Axis(0), 1).to_owned()),
                    Cell::Rnn | Cell::Lstm => (array.clone(), ArrayD::zeros(array.raw_dim())),
                };
                tensors.push((format!("bias_ih{suffix}"), rows(input)));
                tensors.push((format!("bias_hh{suffix}"), rows(recurrent)));
            }
            // None that the reader knows: it is refused by its name.
            _ => tensors.push((name, array)),
        }
    }
    tensors
}

fn turned<T>(array: ArrayD<T>) -> ArrayD<T> {
    array.reversed_axes()
}
