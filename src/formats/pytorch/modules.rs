//! What the tensors below a name could be: PyTorch's modules, by the names and shapes of their parameters.

use std::collections::{BTreeMap, BTreeSet};

use super::recurrent_module::{Cell, Recurrent};
use crate::formats::mismatch::Mismatch;

/// Shapes by name, without what stands before the module's own names.
pub(super) type Shapes<'a> = BTreeMap<&'a str, &'a [usize]>;

/// A module's tensors with their shapes.
pub(super) type Tensors = Vec<(String, Vec<usize>)>;

/// The kinds of modules that are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// `nn.LSTM` and its kin; those of one step: `nn.LSTMCell`.
    Recurrent {
        cell: Cell,
        one_step: bool,
    },
    Linear,
    Embedding,
    LayerNorm,
    BatchNorm,
    Convolution,
}

impl Kind {
    const ALL: [Kind; 11] = [
        Kind::Recurrent { cell: Cell::Rnn, one_step: false },
        Kind::Recurrent { cell: Cell::Lstm, one_step: false },
        Kind::Recurrent { cell: Cell::Gru, one_step: false },
        Kind::Recurrent { cell: Cell::Rnn, one_step: true },
        Kind::Recurrent { cell: Cell::Lstm, one_step: true },
        Kind::Recurrent { cell: Cell::Gru, one_step: true },
        Kind::Linear,
        Kind::Embedding,
        Kind::LayerNorm,
        Kind::BatchNorm,
        Kind::Convolution,
    ];

    /// `nn.LSTM`, `nn.Linear`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::Recurrent { cell, one_step } => Recurrent::kind(cell, one_step),
            Kind::Linear => "nn.Linear",
            Kind::Embedding => "nn.Embedding",
            Kind::LayerNorm => "nn.LayerNorm",
            Kind::BatchNorm => "nn.BatchNorm1d",
            Kind::Convolution => "nn.Conv1d",
        }
    }

    /// The module in PyTorch's words, if the tensors are those of one of this kind.
    fn shown(self, shapes: &Shapes<'_>) -> Result<String, Mismatch> {
        let name = self.name();
        match self {
            Kind::Recurrent { cell, one_step } => Recurrent::of(cell, one_step, shapes).map(|it| it.to_string()),
            Kind::Linear => Matrix::linear(shapes).map(|Matrix { rows, columns, bias }| {
                format!("{name}({columns}, {rows}{})", if bias { "" } else { ", bias=False" })
            }),
            Kind::Embedding => Matrix::embedding(shapes).map(|it| format!("{name}({}, {})", it.rows, it.columns)),
            Kind::LayerNorm => Norm::layer(shapes).map(|Norm { features, bias, .. }| {
                format!("{name}({features}{})", if bias { "" } else { ", bias=False" })
            }),
            Kind::BatchNorm => Norm::batch(shapes).map(|Norm { features, weight, .. }| {
                format!("{name}({features}{})", if weight { "" } else { ", affine=False" })
            }),
            Kind::Convolution => Convolution::of(shapes).map(|Convolution { filters, channels, size, bias }| {
                format!("{name}({channels}, {filters}, {size}{})", if bias { "" } else { ", bias=False" })
            }),
        }
    }

    pub(super) fn fits(self, shapes: &Shapes<'_>) -> bool {
        self.shown(shapes).is_ok()
    }
}

/// All that tensors could be, in PyTorch's words; nothing if they are those of no module that is known.
pub(super) fn candidates(shapes: &Shapes<'_>) -> Vec<String> {
    Kind::ALL.iter().filter_map(|kind| kind.shown(shapes).ok()).collect()
}

/// The tensors of a module itself: what has a point in its name belongs to one of the modules that it has inside. All of
/// them if it has none of its own.
pub(super) fn own(below: Shapes<'_>) -> Shapes<'_> {
    let has_own = below.keys().any(|name| !name.contains('.'));
    below.into_iter().filter(|(name, _)| !has_own || !name.contains('.')).collect()
}

/// The line of Python that makes plain weights of those that are computed from others, by the names of all tensors below
/// a module.
pub(super) fn make_plain(below: &Shapes<'_>) -> Option<String> {
    let whose = |end: &str| below.keys().filter(|name| !name.contains('.')).find_map(|name| name.strip_suffix(end));
    let inside = |name: &&str| Some(name.strip_prefix("parametrizations.")?.split('.').next()?.to_string());
    let (call, weight) = if let Some(weight) = below.keys().find_map(inside) {
        ("parametrize.remove_parametrizations", weight)
    } else if let (Some(weight), Some(_)) = (whose("_g"), whose("_v")) {
        ("remove_weight_norm", weight.into())
    } else if let (Some(weight), Some(_)) = (whose("_orig"), whose("_mask")) {
        ("prune.remove", weight.into())
    } else {
        ("remove_spectral_norm", whose("_orig")?.into())
    };
    Some(format!("make its weights plain in Python: torch.nn.utils.{call}(module, {weight:?})"))
}

/// An `nn.Linear` or an `nn.Embedding`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Matrix {
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) bias: bool,
}

impl Matrix {
    pub(super) fn linear(shapes: &Shapes<'_>) -> Result<Self, Mismatch> {
        let Matrix { mut rows, mut columns, .. } = Self::weight(shapes)?;
        let bias = match shapes.get("bias") {
            Some(&&[units]) if units != rows => {
                // The bias tells the outputs.
                let transposed = units == columns;
                (rows, columns) = (units, if transposed { rows } else { columns });
                true
            }
            other => other.is_some(),
        };
        let mut expected = vec![("weight".to_string(), vec![rows, columns])];
        expected.extend(bias.then(|| ("bias".to_string(), vec![rows])));
        check(&expected, shapes)?;
        Ok(Matrix { rows, columns, bias })
    }

    pub(super) fn embedding(shapes: &Shapes<'_>) -> Result<Self, Mismatch> {
        let matrix = Self::weight(shapes)?;
        check(&[("weight".to_string(), vec![matrix.rows, matrix.columns])], shapes)?;
        Ok(matrix)
    }

    fn weight(shapes: &Shapes<'_>) -> Result<Self, Mismatch> {
        let [rows, columns] = matrix(shapes, "weight")?;
        Ok(Matrix { rows, columns, bias: false })
    }
}

/// An `nn.LayerNorm` or an `nn.BatchNorm1d`, over the last axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Norm {
    pub(super) features: usize,
    pub(super) weight: bool,
    pub(super) bias: bool,
}

impl Norm {
    pub(super) fn layer(shapes: &Shapes<'_>) -> Result<Self, Mismatch> {
        let features = vector(shapes, "weight")?;
        let bias = shapes.contains_key("bias");
        Self::checked(Norm { features, weight: true, bias }, &[], shapes)
    }

    pub(super) fn batch(shapes: &Shapes<'_>) -> Result<Self, Mismatch> {
        let features = vector(shapes, "running_mean")?;
        // Both or none.
        let affine = shapes.contains_key("weight") || shapes.contains_key("bias");
        let mut more = vec![("running_mean", vec![features]), ("running_var", vec![features])];
        more.extend(shapes.contains_key("num_batches_tracked").then_some(("num_batches_tracked", vec![])));
        Self::checked(Norm { features, weight: affine, bias: affine }, &more, shapes)
    }

    fn checked(self, more: &[(&str, Vec<usize>)], shapes: &Shapes<'_>) -> Result<Self, Mismatch> {
        let own = [("weight", self.weight), ("bias", self.bias)];
        let own = own.into_iter().filter(|(_, there)| *there).map(|(name, _)| (name.to_string(), vec![self.features]));
        let expected: Tensors = own.chain(more.iter().map(|(name, shape)| (name.to_string(), shape.clone()))).collect();
        check(&expected, shapes)?;
        Ok(self)
    }
}

/// An `nn.Conv1d`, as far as its tensors tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Convolution {
    pub(super) filters: usize,
    /// Of one group.
    pub(super) channels: usize,
    pub(super) size: usize,
    pub(super) bias: bool,
}

impl Convolution {
    pub(super) fn of(shapes: &Shapes<'_>) -> Result<Self, Mismatch> {
        let [filters, channels, size] = match **shapes.get("weight").ok_or_else(|| missing("weight"))? {
            [filters, channels, size] => [filters, channels, size],
            ref other => return Err(shape("weight", "(filters, channels, size)".into(), other)),
        };
        let bias = shapes.get("bias");
        // The bias tells the filters: of Keras's order, or of a transposed convolution's.
        let turned = match bias {
            Some(&&[outputs]) if outputs != filters && outputs == size => Some([outputs, channels, filters]),
            Some(&&[outputs]) if outputs != filters && outputs == channels => Some([outputs, filters, size]),
            _ => None,
        };
        if let Some(turned) = turned {
            let (expected, found) = (turned.to_vec(), vec![filters, channels, size]);
            return Err(Mismatch::Transposed { tensor: "weight".into(), expected, found });
        }
        let mut expected = vec![("weight".to_string(), vec![filters, channels, size])];
        expected.extend(bias.map(|_| ("bias".to_string(), vec![filters])));
        check(&expected, shapes)?;
        Ok(Convolution { filters, channels, size, bias: bias.is_some() })
    }
}

/// A tensor that must be a matrix.
pub(super) fn matrix(shapes: &Shapes<'_>, name: &str) -> Result<[usize; 2], Mismatch> {
    match **shapes.get(name).ok_or_else(|| missing(name))? {
        [rows, columns] => Ok([rows, columns]),
        ref other => Err(shape(name, "a matrix".into(), other)),
    }
}

fn vector(shapes: &Shapes<'_>, name: &str) -> Result<usize, Mismatch> {
    match **shapes.get(name).ok_or_else(|| missing(name))? {
        [features] => Ok(features),
        ref other => Err(shape(name, "a row of numbers".into(), other)),
    }
}

/// Checks that there are these tensors and no others.
pub(super) fn check(expected: &[(String, Vec<usize>)], found: &Shapes<'_>) -> Result<(), Mismatch> {
    for (name, expected) in expected {
        let found = *found.get(&name[..]).ok_or_else(|| missing(name))?;
        if found != expected {
            let turned = found.len() == 2 && found.iter().rev().eq(expected);
            return Err(match turned {
                true => {
                    Mismatch::Transposed { tensor: name.clone(), expected: expected.clone(), found: found.to_vec() }
                }
                false => shape(name, format!("{expected:?}"), found),
            });
        }
    }
    let known: BTreeSet<&str> = expected.iter().map(|(name, _)| &name[..]).collect();
    match found.keys().find(|name| !known.contains(*name)) {
        Some(leftover) => Err(Mismatch::Leftover { tensor: leftover.to_string() }),
        None => Ok(()),
    }
}

fn missing(name: &str) -> Mismatch {
    Mismatch::Missing { tensor: name.into() }
}

pub(super) fn shape(name: &str, expected: String, found: &[usize]) -> Mismatch {
    Mismatch::Shape { tensor: name.into(), expected, found: found.to_vec() }
}
