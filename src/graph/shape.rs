//! Shapes with dimensions that aren't known before a call.

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
    let mut text = String::with_capacity(8 * shape.len() + 2);
    text.push('(');
    for (i, dimension) in shape.iter().enumerate() {
        if i > 0 {
            text.push_str(", ");
        }
        match dimension {
            Some(size) => text.push_str(&size.to_string()),
            None => text.push_str("None"),
        }
    }
    text.push_str(if shape.len() == 1 { ",)" } else { ")" });
    text
}

pub(crate) fn display_all(shapes: &[Shape]) -> String {
    match shapes {
        [one] => display(one),
        many => format!("[{}]", many.iter().map(|shape| display(shape)).collect::<Vec<_>>().join(", ")),
    }
}

/// A shape all of whose dimensions are known.
pub(crate) fn known(shape: &[usize]) -> Shape {
    shape.iter().map(|&size| Some(size)).collect()
}

/// Whether two dimensions can be the same.
pub(super) fn fit(a: Option<usize>, b: Option<usize>) -> bool {
    a.is_none() || b.is_none() || a == b
}

/// The product, if all are known and it can be addressed.
pub(crate) fn product(dimensions: &[Option<usize>]) -> Option<usize> {
    dimensions.iter().try_fold(1_usize, |product, &dimension| product.checked_mul(dimension?))
}

/// The error for inputs that are not what is expected.
pub(super) fn misfit<V>(expected: impl Into<String>, inputs: &[Shape]) -> Result<V, Misfit> {
    Err(Misfit { expected: expected.into(), found: display_all(inputs) })
}

/// The one input of an operation that has one; it has the batch's dimension at least.
pub(super) fn only(inputs: &[Shape]) -> Result<&Shape, Misfit> {
    match inputs {
        [x] if x.is_empty() => misfit("at least the batch's dimension", inputs),
        [x] => Ok(x),
        _ => misfit("one input", inputs),
    }
}

/// What a layer over the last axis makes of its one input.
pub(super) fn over_last(inputs: &[Shape], input_size: usize, output_size: usize) -> Result<Vec<Shape>, Misfit> {
    match &only(inputs)?[..] {
        [before @ .., last] if !before.is_empty() && fit(*last, Some(input_size)) => {
            Ok(vec![[before, &[Some(output_size)]].concat()])
        }
        _ => misfit(format!("(batch, .., {input_size})"), inputs),
    }
}

/// The first input of an operation that has `least` inputs or more.
pub(super) fn first_of(inputs: &[Shape], least: usize) -> Result<&Shape, Misfit> {
    match inputs {
        [x, ..] if inputs.len() >= least && x.is_empty() => misfit("at least the batch's dimension", inputs),
        [x, ..] if inputs.len() >= least => Ok(x),
        _ => misfit("several inputs", inputs),
    }
}

/// The place of an axis that may count from the end.
pub(crate) fn axis_at(axis: i64, rank: usize) -> Option<usize> {
    let rank = i64::try_from(rank).ok()?;
    let at = if axis < 0 { axis.checked_add(rank)? } else { axis };
    (0..rank).contains(&at).then_some(at as usize)
}

/// Whether an axis of (batch, timesteps, features) lies behind time, so that what goes along it treats each step alone.
pub(super) fn is_beyond_time(axis: i64) -> bool {
    axis_at(axis, 3).is_none_or(|at| at > 1)
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
