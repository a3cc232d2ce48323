//! What shapes come out of an operation: at loading with unknown dimensions, and before each call with known ones.

use super::merge::MergeOp;
use super::normalization::Normalization;
use super::op::Op;
use crate::float::Float;
use crate::layers::Layer;

/// A shape, the batch first; a dimension that isn't known before a call is `None`.
pub(crate) type Shape = Vec<Option<usize>>;

/// What an operation reads, and what it was given instead.
#[derive(Debug)]
pub(crate) struct Misfit {
    pub(crate) expected: String,
    pub(crate) found: String,
}

/// A shape as Keras writes it: `(None, 7, 3)`.
pub(crate) fn display(shape: &[Option<usize>]) -> String {
    let dimensions: Vec<String> =
        shape.iter().map(|dimension| dimension.map_or("None".into(), |dimension| dimension.to_string())).collect();
    match &dimensions[..] {
        [one] => format!("({one},)"),
        many => format!("({})", many.join(", ")),
    }
}

pub(crate) fn display_all(shapes: &[Shape]) -> String {
    match shapes {
        [one] => display(one),
        many => format!("[{}]", many.iter().map(|shape| display(shape)).collect::<Vec<_>>().join(", ")),
    }
}

/// Whether two dimensions can be the same.
fn fit(a: Option<usize>, b: Option<usize>) -> bool {
    a.is_none() || b.is_none() || a == b
}

/// The product, if all are known and it can be addressed.
pub(crate) fn product(dimensions: &[Option<usize>]) -> Option<usize> {
    dimensions.iter().try_fold(1_usize, |product, &dimension| product.checked_mul(dimension?))
}

fn misfit<V>(expected: impl Into<String>, inputs: &[Shape]) -> Result<V, Misfit> {
    Err(Misfit { expected: expected.into(), found: display_all(inputs) })
}

/// The place of an axis that may count from the end.
pub(crate) fn axis_at(axis: i64, rank: usize) -> Option<usize> {
    let rank = i64::try_from(rank).ok()?;
    let at = if axis < 0 { axis.checked_add(rank)? } else { axis };
    (0..rank).contains(&at).then_some(at as usize)
}

/// What broadcasting makes of shapes, Keras's merging layers padding them with ones behind the batch.
pub(crate) fn broadcast(inputs: &[Shape]) -> Option<Shape> {
    let rank = inputs.iter().map(Vec::len).max()?;
    let mut merged: Shape = vec![Some(1); rank];
    for input in inputs {
        let padded = pad(input, rank, Some(1));
        for (merged, dimension) in merged.iter_mut().zip(padded) {
            *merged = match (*merged, dimension) {
                (Some(1), other) => other,
                (known, Some(1)) => known,
                (a, b) if fit(a, b) => a.or(b),
                _ => return None,
            };
        }
    }
    Some(merged)
}

/// A shape with ones behind the batch, so that it has this rank.
pub(crate) fn pad<V: Copy>(shape: &[V], rank: usize, one: V) -> Vec<V> {
    let (batch, rest) = shape.split_at(shape.len().min(1));
    let ones = rank.saturating_sub(shape.len());
    batch.iter().copied().chain(std::iter::repeat_n(one, ones)).chain(rest.iter().copied()).collect()
}

impl<T: Float> Op<T> {
    /// The shapes of the outputs.
    pub(crate) fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Misfit> {
        if let Op::Model(model) = &self {
            return model.infer(inputs);
        }
        let (least, most) = match self {
            Op::Merge { how: MergeOp::Subtract, .. } => (2, 2),
            Op::Concatenate { .. } | Op::Merge { .. } => (1, usize::MAX),
            Op::LogicalOr => (2, usize::MAX),
            _ => (1, 1),
        };
        let x = match inputs {
            [first, ..] if (least..=most).contains(&inputs.len()) => first,
            _ => {
                let expected = match (least, most) {
                    (1, 1) => "one input",
                    (2, 2) => "two inputs",
                    _ => "several inputs",
                };
                return misfit(expected, inputs);
            }
        };
        let Some((&last, before)) = x.split_last() else { return misfit("at least the batch's dimension", inputs) };
        let rank = x.len();
        let with_last = |last: Option<usize>| [before, &[last]].concat();
        Ok(vec![match self {
            Op::Model(_) => return misfit("a model", inputs),
            Op::Recurrent { layer, .. } => return recurrent(&***layer, inputs, x, last),
            Op::Embedding(table) => {
                let width = table.embeddings().ncols();
                [&x[..], &[Some(width)]].concat()
            }
            Op::Dense(layer) => {
                if rank < 2 || !fit(last, Some(layer.input_size())) {
                    return misfit(format!("(batch, .., {})", layer.input_size()), inputs);
                }
                with_last(Some(layer.output_size()))
            }
            Op::TimeDistributed(inner) => {
                if rank < 3 {
                    return misfit("(batch, timesteps, .., features)", inputs);
                }
                let inner = inner.infer(&[[&x[..1], &x[2..]].concat()])?;
                let [output] = &inner[..] else { return misfit("a layer of one output", inputs) };
                [&output[..1], &x[1..2], &output[1..]].concat()
            }
            Op::Activation(activation) if activation.changes_width() => match last {
                Some(last) if last % 2 == 0 => with_last(Some(last / 2)),
                None => with_last(None),
                Some(_) => return misfit("an even number of features", inputs),
            },
            Op::Masking(_) => match rank {
                0 | 1 => return misfit("(batch, timesteps, features)", inputs),
                _ => x.clone(),
            },
            Op::Identity | Op::WithoutMask | Op::Activation(_) | Op::NotEqual(_) | Op::Flags(_) => x.clone(),
            Op::Softmax { axis, .. } => match axis_at(*axis, rank) {
                Some(_) => x.clone(),
                None => return misfit(format!("an axis {axis}"), inputs),
            },
            Op::PRelu(alpha) => {
                let expected: Shape =
                    [&[None][..], &alpha.shape().iter().map(|&n| Some(n)).collect::<Vec<_>>()].concat();
                let fits = |(&a, &b): (&Option<usize>, &Option<usize>)| b == Some(1) || fit(a, b);
                if rank != expected.len() || !x.iter().zip(&expected).all(fits) {
                    return misfit(display(&expected), inputs);
                }
                x.clone()
            }
            Op::Flatten => match rank {
                1 => vec![x[0], Some(1)],
                _ => {
                    let known = x[1..].iter().all(Option::is_some);
                    match product(&x[1..]) {
                        None if known => return misfit("fewer elements", inputs),
                        flat => vec![x[0], flat],
                    }
                }
            },
            Op::Reshape(target) => reshape(inputs, x, target)?,
            Op::Permute(dims) => {
                if dims.len() + 1 != rank {
                    return misfit(format!("{} dimensions", dims.len() + 1), inputs);
                }
                let mut permuted = vec![x[0]];
                permuted.extend(dims.iter().filter_map(|&dim| x.get(dim)).copied());
                permuted
            }
            Op::RepeatVector(n) => match rank {
                2 => vec![x[0], Some(*n), x[1]],
                _ => return misfit("(batch, features)", inputs),
            },
            Op::Concatenate { axis, .. } => concatenate(inputs, x, *axis)?,
            Op::Merge { .. } | Op::LogicalOr => match broadcast(inputs) {
                Some(merged) => merged,
                None => return misfit("shapes that fit each other", inputs),
            },
            Op::Normalize(normalization) => {
                normalization_fits(normalization, inputs, x)?;
                x.clone()
            }
            Op::Any { axes, keepdims } => any(inputs, x, axes.as_deref(), *keepdims)?,
            Op::ExpandDims(axis) => {
                let Some(at) = axis_at(*axis, rank + 1) else { return misfit(format!("an axis {axis}"), inputs) };
                let mut expanded = x.clone();
                expanded.insert(at, Some(1));
                expanded
            }
        }])
    }
}

fn recurrent<T: Float>(
    layer: &dyn Layer<T>,
    inputs: &[Shape],
    x: &Shape,
    last: Option<usize>,
) -> Result<Vec<Shape>, Misfit> {
    if x.len() != 3 || !fit(last, Some(layer.input_size())) {
        return misfit(format!("(batch, timesteps, {})", layer.input_size()), inputs);
    }
    let output = |width| match layer.returns_sequences() {
        true => vec![x[0], x[1], Some(width)],
        false => vec![x[0], Some(width)],
    };
    let mut shapes = match layer.spec().unmerged {
        Some(forward) => vec![output(forward), output(layer.output_size() - forward)],
        None => vec![output(layer.output_size())],
    };
    if layer.returns_state() {
        let layout = layer.state_layout();
        let widths = layout.names().filter_map(|name| layout.columns(name)).map(|columns| columns.len());
        shapes.extend(widths.map(|width| vec![x[0], Some(width)]));
    }
    Ok(shapes)
}

fn reshape(inputs: &[Shape], x: &Shape, target: &[Option<usize>]) -> Result<Shape, Misfit> {
    let (from, known) = (&x[1..], target.iter().filter_map(|&n| n).try_fold(1_usize, |all, n| all.checked_mul(n)));
    let refuse = || misfit(format!("what can take the shape {}", display(target)), inputs);
    let Some(known) = known else { return refuse() };
    let open = target.iter().any(Option::is_none);
    let fill = match (product(from), from.iter().all(Option::is_some)) {
        (None, true) => return refuse(),
        (None, false) => None,
        (Some(all), _) if open && known > 0 && all % known == 0 => Some(all / known),
        (Some(all), _) if !open && all == known => None,
        (Some(_), _) => return refuse(),
    };
    Ok(std::iter::once(x[0]).chain(target.iter().map(|&dimension| dimension.or(fill))).collect())
}

fn concatenate(inputs: &[Shape], x: &Shape, axis: i64) -> Result<Shape, Misfit> {
    let refuse = || misfit(format!("shapes that are equal but for axis {axis}"), inputs);
    let Some(at) = axis_at(axis, x.len()) else { return refuse() };
    let mut joined = x.clone();
    for input in &inputs[1..] {
        if input.len() != x.len() {
            return refuse();
        }
        for (i, (joined, &dimension)) in joined.iter_mut().zip(input).enumerate() {
            if i == at {
                let sum = match (*joined, dimension) {
                    (Some(a), Some(b)) => a.checked_add(b).ok_or(()),
                    _ => Ok(0),
                };
                let Ok(sum) = sum else { return refuse() };
                *joined = joined.and(dimension).map(|_| sum);
            } else if fit(*joined, dimension) {
                *joined = joined.or(dimension);
            } else {
                return refuse();
            }
        }
    }
    Ok(joined)
}

fn any(inputs: &[Shape], x: &Shape, axes: Option<&[i64]>, keepdims: bool) -> Result<Shape, Misfit> {
    let mut reduced: Vec<usize> = (0..x.len()).collect();
    if let Some(axes) = axes {
        reduced = axes.iter().filter_map(|&axis| axis_at(axis, x.len())).collect();
        if reduced.len() != axes.len() {
            return misfit(format!("axes {axes:?}"), inputs);
        }
    }
    let kept = |(i, &dimension): (usize, &Option<usize>)| match (reduced.contains(&i), keepdims) {
        (false, _) => Some(dimension),
        (true, true) => Some(Some(1)),
        (true, false) => None,
    };
    Ok(x.iter().enumerate().filter_map(kept).collect())
}

fn normalization_fits<T>(normalization: &Normalization<T>, inputs: &[Shape], x: &Shape) -> Result<(), Misfit> {
    for (&axis, &width) in normalization.axes.iter().zip(&normalization.shape) {
        let fits = axis_at(axis, x.len()).is_some_and(|at| fit(x[at], Some(width)));
        if !fits {
            return misfit(format!("{width} elements along axis {axis}"), inputs);
        }
    }
    Ok(())
}
