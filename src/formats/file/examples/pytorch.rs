//! The modules of a `state_dict`, each against examples of its own.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use ndarray::{ArrayD, ArrayView3, Axis, stack};

use super::compare::check;
use super::outputs::input;
use super::stored::{Described, Part, Window};
use super::verification::{NONE, Verification, VerifiedPart};
use super::{Example, of_embedding, of_model};
use crate::activation::Activation;
use crate::error::{Error, Result};
use crate::float::Float;
use crate::formats::error::{Found, Problem};
use crate::formats::limits::Limits;
use crate::formats::load_error::LoadError;
use crate::formats::pytorch::File;
use crate::formats::safetensors::{Safetensors, Values};
use crate::graph::{AnyLayer, Model};
use crate::layers::Layer;
use crate::layers::convolution::window::Padding;
use crate::layers::embedding::Embedding;
use crate::runner::run::Run;
use crate::state::StateLayout;

/// Checks each module that has examples, and lists the tensors of the others.
pub(super) fn verify<P: AsRef<Path>>(
    path: &P,
    content: Safetensors,
    described: &Described,
    limits: &Limits,
) -> Found<Verification> {
    let file = File::of(&path.as_ref().display().to_string(), content, limits);
    let mut result = Verification::new(&described.by);
    for part in &described.parts {
        let double = file.tensors().iter().any(|it| it.dtype == "float64" && below(&it.path, &part.name));
        result.push(match double {
            false => of_part::<f32>(&file, part, described)?,
            true => of_part::<f64>(&file, part, described)?,
        });
    }
    if result.examples() == 0 {
        return Err(Problem::NoExamples { hint: NONE });
    }
    let others = file.tensors().iter().filter(|it| !described.parts.iter().any(|part| below(&it.path, &part.name)));
    let prefixes: BTreeSet<&str> = others.map(|it| it.path.rsplit_once('.').map_or("", |(prefix, _)| prefix)).collect();
    prefixes.into_iter().for_each(|prefix| result.leave(format!("the tensors below {prefix:?}")));
    Ok(result)
}

fn below(name: &str, prefix: &str) -> bool {
    prefix.is_empty() || name.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('.'))
}

/// A module that was built from its tensors.
enum Module<T: Float> {
    /// A layer over time.
    Recurrent {
        layer: Box<dyn Layer<T>>,
        /// Whether the module takes one step, (batch, features).
        one_step: bool,
    },
    Embedding(Embedding<T>),
    /// One that reads an array of any rank.
    Any(AnyLayer<T>),
}

fn of_part<T: Float>(file: &File, part: &Part, described: &Described) -> Found<VerifiedPart> {
    let class = part.module.as_deref().unwrap_or("");
    let module: Module<T> = build(file, part, class)?;
    let (mut examples, mut largest) = (0, 0.0);
    for (number, call) in part.calls.iter().enumerate() {
        let example: Example<T> = call.example(file.content())?;
        let by = (&described.by[..], part.tolerance);
        let error = check(&example, number, by, |_| run(&module, &example)).map_err(|problem| named(problem, part))?;
        examples += example.rows();
        largest = f64::max(largest, error);
    }
    Ok(VerifiedPart { name: part.name.clone(), class: format!("nn.{class}"), examples, error: largest })
}

/// With the module's name.
fn named(problem: Problem, part: &Part) -> Problem {
    match problem {
        Problem::Differs { what, by, example, difference } => {
            Problem::Differs { what: format!("{what} of {:?}", part.name), by, example, difference }
        }
        Problem::Layer { source, .. } => Problem::Layer { layer: part.name.clone(), source },
        other => other,
    }
}

fn build<T: Float>(file: &File, part: &Part, class: &str) -> Found<Module<T>> {
    let prefix = &part.name[..];
    let over_time = |layer: std::result::Result<Box<dyn Layer<T>>, LoadError>, one_step| {
        layer.map(|layer| Module::Recurrent { layer, one_step }).map_err(LoadError::into_problem)
    };
    let nonlinearity = || match part.nonlinearity.as_deref() {
        None | Some("tanh") => Ok(Activation::Tanh),
        Some("relu") => Ok(Activation::Relu),
        Some(other) => Err(wrong(part, "nonlinearity", "tanh or relu", other)),
    };
    let told = LoadError::into_problem;
    match class {
        "RNN" => over_time(file.rnn(prefix, nonlinearity()?), false),
        "LSTM" => over_time(file.lstm(prefix), false),
        "GRU" => over_time(file.gru(prefix), false),
        "RNNCell" => over_time(file.rnn_cell(prefix, nonlinearity()?), true),
        "LSTMCell" => over_time(file.lstm_cell(prefix), true),
        "GRUCell" => over_time(file.gru_cell(prefix), true),
        "Embedding" => file.embedding(prefix).map(Module::Embedding).map_err(told),
        "Linear" => Ok(Module::Any(file.linear(prefix).map_err(told)?.into())),
        "LayerNorm" => {
            let layer = file.layer_norm(prefix).map_err(told)?;
            Ok(Module::Any(if let Some(eps) = part.eps { layer.epsilon(eps) } else { layer }.into()))
        }
        "BatchNorm1d" => {
            let layer = file.batch_norm(prefix).map_err(told)?;
            Ok(Module::Any(if let Some(eps) = part.eps { layer.epsilon(eps) } else { layer }.into()))
        }
        "Conv1d" => {
            let Window { groups, strides, dilation_rate, same } =
                part.window.ok_or_else(|| wrong(part, "window", "the window of a convolution", "nothing"))?;
            let padding = if same { Padding::Same } else { Padding::Valid };
            let layer =
                file.conv1d(prefix, groups, |conv| conv.strides(strides).dilation_rate(dilation_rate).padding(padding));
            Ok(Module::Any(layer.map_err(told)?.into()))
        }
        other => Err(wrong(part, "module", "a module that is known here", other)),
    }
}

fn wrong(part: &Part, option: &str, expected: &str, found: &str) -> Problem {
    let found = found.chars().take(80).collect();
    Problem::Config { layer: part.name.clone(), option: option.into(), expected: expected.into(), found }
}

fn run<T: Float>(module: &Module<T>, example: &Example<T>) -> Result<Vec<ArrayD<T>>> {
    match module {
        Module::Recurrent { layer, one_step } => recurrent(&**layer, *one_step, example),
        Module::Embedding(table) => of_embedding(table, example),
        Module::Any(layer) => {
            let shape = match example.inputs.first() {
                Some(Values::Floats(x)) => x.shape(),
                _ => &[],
            };
            let mut model = Model::<T>::builder("module");
            let sizes: Vec<Option<usize>> = shape.iter().skip(1).map(|&size| Some(size)).collect();
            let input = model.input("x", sizes)?;
            let output = model.call("module", layer.clone(), &[input])?;
            of_model(&model.build(&output)?, example, None)
        }
    }
}

/// The parts of a state that are `h`, or `c`: in PyTorch's order, of layers and directions.
fn parts_of<'s>(layout: &'s StateLayout, part: &str) -> Vec<&'s str> {
    layout.names().filter(|name| name.rsplit('/').next() == Some(part)).collect()
}

/// A recurrent module: its state goes in and comes out as PyTorch has it, (layers times directions, batch, width).
fn recurrent<T: Float>(layer: &dyn Layer<T>, one_step: bool, example: &Example<T>) -> Result<Vec<ArrayD<T>>> {
    let mut own = Example { initial: Vec::new(), ..example.clone() };
    if let (true, Some(Values::Floats(x))) = (one_step, own.inputs.first_mut())
        && x.ndim() == 2
    {
        *x = x.clone().insert_axis(Axis(1));
    }
    let layout = Arc::clone(layer.state_layout());
    let parts = ["h", "c"].map(|part| parts_of(&layout, part));
    let (given, all) = (example.initial.len(), parts.iter().filter(|names| !names.is_empty()).count());
    if given != 0 && given != all {
        return Err(Error::StateLayout { expected: format!("{all} arrays"), given: format!("{given} arrays") });
    }
    let mut state = layer.try_initial_state(own.rows())?;
    for (values, names) in example.initial.iter().zip(&parts) {
        let values = if one_step { values.clone().insert_axis(Axis(0)) } else { values.clone() };
        let refused = || Error::StateLayout {
            expected: format!("({}, batch, width)", names.len()),
            given: format!("{:?}", values.shape()),
        };
        let values: ArrayView3<'_, T> = values.view().into_dimensionality().map_err(|_| refused())?;
        if values.len_of(Axis(0)) != names.len() {
            return Err(refused());
        }
        names.iter().zip(values.outer_iter()).try_for_each(|(name, part)| state.set(name, &part))?;
    }
    let mut run = Run::new().initial_state(&state);
    let lengths = own.lengths.as_ref().map(|lengths| lengths.to_vec());
    if let Some(lengths) = &lengths {
        run = run.lengths(lengths);
    }
    let output = layer.run(&input(&own)?, run)?;
    let mut outputs = if one_step { Vec::new() } else { vec![output.sequence()?.clone().into_dyn()] };
    for names in parts.iter().filter(|names| !names.is_empty()) {
        let views = names.iter().map(|name| output.state()?.get(name)).collect::<Result<Vec<_>>>()?;
        let all = stack(Axis(0), &views)
            .map_err(|_| Error::StateLayout { expected: "parts of one width".into(), given: format!("{names:?}") })?;
        outputs.push(if one_step { all.index_axis_move(Axis(0), 0).into_dyn() } else { all.into_dyn() });
    }
    Ok(outputs)
}
