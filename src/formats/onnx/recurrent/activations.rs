//! The activations of recurrent nodes: names, and the numbers that those take which use them, in order.

use super::Cell;
use crate::activation::Activation;
use crate::formats::error::Found;
use crate::formats::onnx::node::Node;

/// The activations of one direction.
#[derive(Debug, Clone)]
pub(super) struct Activations {
    /// That of the gates; of an RNN, which has none, its only one.
    pub(super) gates: Activation,
    /// Of the candidate.
    pub(super) candidate: Activation,
    /// Of an LSTM, that of the cell state on its way out.
    pub(super) output: Activation,
}

/// A function: its name, and what alpha and beta are if they aren't given, for those that it takes.
struct Known {
    name: &'static str,
    alpha: Option<f32>,
    beta: Option<f32>,
    make: fn(f64, f64) -> Activation,
}

const fn known(name: &'static str, alpha: Option<f32>, beta: Option<f32>, make: fn(f64, f64) -> Activation) -> Known {
    Known { name, alpha, beta, make }
}

/// The functions of the specification, with ONNX Runtime's defaults: those that the text doesn't tell are zero, and so is
/// the threshold, of which it tells another one.
const KNOWN: [Known; 11] = [
    known("relu", None, None, |_, _| Activation::Relu),
    known("tanh", None, None, |_, _| Activation::Tanh),
    known("sigmoid", None, None, |_, _| Activation::Sigmoid),
    known("affine", Some(0.0), Some(0.0), |slope, offset| Activation::Affine { slope, offset }),
    known("leakyrelu", Some(0.01), None, |negative_slope, _| Activation::LeakyRelu { negative_slope }),
    known("thresholdedrelu", Some(0.0), None, |threshold, _| Activation::Threshold { threshold, default_value: 0.0 }),
    known("scaledtanh", Some(0.0), Some(0.0), |scale, slope| Activation::ScaledTanh { scale, slope }),
    known("hardsigmoid", Some(0.2), Some(0.5), |slope, offset| Activation::HardSigmoidWith { slope, offset }),
    known("elu", Some(1.0), None, |alpha, _| Activation::Elu { alpha }),
    known("softsign", None, None, |_, _| Activation::Softsign),
    known("softplus", None, None, |_, _| Activation::Softplus),
];

/// The activations of each direction.
pub(super) fn read(
    node: &Node<'_>,
    cell: Cell,
    directions: usize,
    names: Option<Vec<&str>>,
    numbers: [Option<&[f32]>; 2],
) -> Found<Vec<Activations>> {
    let defaults: &[&str] = match cell {
        Cell::Rnn => &["Tanh"],
        Cell::Lstm => &["Sigmoid", "Tanh", "Tanh"],
        Cell::Gru => &["Sigmoid", "Tanh"],
    };
    let names = names.unwrap_or_else(|| defaults.repeat(directions));
    if names.len() != defaults.len() * directions {
        let (expected, found) = (defaults.len() * directions, names.len());
        return Err(node.refuse(format!("it must have {expected} activations, found {found}")));
    }
    let mut numbers = numbers.map(|numbers| numbers.unwrap_or(&[]).iter());
    let mut all = Vec::with_capacity(names.len());
    for name in names {
        let lower = name.to_ascii_lowercase();
        let Some(known) = KNOWN.iter().find(|known| known.name == lower) else {
            return Err(node.refuse(format!("its activation {name:?} isn't one of ONNX's")));
        };
        let [alphas, betas] = &mut numbers;
        let alpha = known.alpha.map(|otherwise| alphas.next().copied().unwrap_or(otherwise));
        let beta = known.beta.map(|otherwise| betas.next().copied().unwrap_or(otherwise));
        let activation = (known.make)(alpha.unwrap_or(0.0).into(), beta.unwrap_or(0.0).into());
        activation.validate().map_err(|error| node.built(&error))?;
        all.push(activation);
    }
    if numbers.iter_mut().any(|left| left.next().is_some()) {
        return Err(node.refuse("it has more activation_alpha or activation_beta than its activations take"));
    }
    let of_direction = |own: &[Activation]| match own {
        [gates, candidate, output] => {
            Activations { gates: gates.clone(), candidate: candidate.clone(), output: output.clone() }
        }
        [gates, candidate] => {
            Activations { gates: gates.clone(), candidate: candidate.clone(), output: candidate.clone() }
        }
        own => {
            let only = own.first().cloned().unwrap_or_default();
            Activations { gates: only.clone(), candidate: only.clone(), output: only }
        }
    };
    Ok(all.chunks(defaults.len()).map(of_direction).collect())
}
