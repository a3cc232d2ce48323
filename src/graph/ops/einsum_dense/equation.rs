//! Which axes of an input, a kernel and an output belong together.

use crate::graph::ops::contract::Labels;
use crate::graph::ops::places::{Walk, distances};
use crate::graph::stream::MOST_AXES;

/// The most labels that there are: letters of both cases, and axes without one.
pub(super) const MOST_LABELS: usize = 52 + MOST_AXES;

/// Where axes without a letter stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Elided {
    None,
    Left,
    Right,
}

/// An equation: `abc,cd->abd`, `...c,cd->...d`, `abc...,cd->abd...`.
#[derive(Debug, Clone)]
pub(super) struct Equation {
    pub(super) text: String,
    elided: Elided,
    input: Labels,
    pub(super) kernel: Labels,
    output: Labels,
}

/// The labels at some number of axes, in groups.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    pub(super) input: Labels,
    pub(super) output: Labels,
    /// In all three.
    pub(super) shared: Labels,
    /// In the input and the output: the rows of a product.
    pub(super) rows: Labels,
    /// In the input and the kernel.
    pub(super) summed: Labels,
    /// In the kernel and the output.
    pub(super) columns: Labels,
    /// In the input alone.
    pub(super) alone: Labels,
}

fn number(letter: u8) -> Option<u8> {
    match letter {
        b'a'..=b'z' => Some(letter - b'a'),
        b'A'..=b'Z' => Some(letter - b'A' + 26),
        _ => None,
    }
}

fn labels(text: &str) -> Option<Labels> {
    let numbers = text.bytes().map(number).collect::<Option<Vec<_>>>()?;
    Labels::of(numbers.into_iter()).filter(|labels| labels.is_distinct() && labels.len() > 0)
}

impl Equation {
    /// Nothing if it is none that Keras's EinsumDense has.
    pub(super) fn read(text: &str) -> Option<Self> {
        let (operands, output) = text.split_once("->")?;
        let (input, kernel) = operands.split_once(',')?;
        let both = |cut: fn(&str) -> Option<&str>| Some((cut(input)?, cut(output)?));
        let (elided, (input, output)) = if let Some(both) = both(|text| text.strip_prefix("...")) {
            (Elided::Left, both)
        } else if let Some(both) = both(|text| text.strip_suffix("...")) {
            (Elided::Right, both)
        } else {
            (Elided::None, (input, output))
        };
        let (input, kernel, output) = (labels(input)?, labels(kernel)?, labels(output)?);
        let known = output.iter().all(|label| input.has(label) || kernel.has(label));
        let matched = kernel.iter().all(|label| input.has(label) || output.has(label));
        // Rows of the batch have nothing to do with each other.
        let first = input.iter().next();
        let batch =
            elided == Elided::Left || (first == output.iter().next() && first.is_some_and(|label| !kernel.has(label)));
        (known && matched && batch).then(|| Equation { text: text.into(), elided, input, kernel, output })
    }

    /// The labels for an input of so many axes.
    pub(super) fn terms(&self, rank: usize) -> Option<Terms> {
        let count = rank.checked_sub(self.input.len())?;
        if self.elided == Elided::Left && count == 0 {
            return None; // the batch is among what is left out
        }
        if count > MOST_AXES || (self.elided == Elided::None && count > 0) {
            return None;
        }
        let whole = |labels: &Labels| {
            let (own, more) = (labels.iter().map(|label| label as u8), (0..count).map(|at| (52 + at) as u8));
            match self.elided {
                Elided::Left => Labels::of(more.chain(own)),
                _ => Labels::of(own.chain(more)),
            }
        };
        let (input, output) = (whole(&self.input)?, whole(&self.output)?);
        let kernel = self.kernel;
        let of = |labels: Labels, keep: &dyn Fn(usize) -> bool| {
            Labels::of(labels.iter().filter(|&label| keep(label)).map(|label| label as u8))
        };
        Some(Terms {
            input,
            output,
            shared: of(kernel, &|label| input.has(label) && output.has(label))?,
            rows: of(output, &|label| input.has(label) && !kernel.has(label))?,
            summed: of(input, &|label| kernel.has(label) && !output.has(label))?,
            columns: of(output, &|label| kernel.has(label) && !input.has(label))?,
            alone: of(input, &|label| !kernel.has(label) && !output.has(label))?,
        })
    }

    /// Of each letter of the output, the place in the output as it is stated, without the batch; nothing for the
    /// batch's own.
    pub(super) fn stated(&self) -> impl Iterator<Item = (usize, Option<usize>)> {
        let shift = usize::from(self.elided != Elided::Left);
        self.output
            .iter()
            .enumerate()
            .map(move |(at, label)| (label, at.checked_sub(shift)))
            .collect::<Vec<_>>()
            .into_iter()
    }

    /// The axes of the output from the first letter among these on: of each whether it is one of them. Behind them lie
    /// the axes without a letter.
    pub(super) fn bias_axes(&self, letters: &str) -> Option<Vec<(usize, bool)>> {
        let own = labels(letters)?;
        let first = own.iter().map(|label| self.output.place(label)).collect::<Option<Vec<_>>>()?.into_iter().min()?;
        if first == 0 && self.elided != Elided::Left {
            return None; // one number for each row of the batch
        }
        Some(self.output.iter().skip(first).map(|label| (label, own.has(label))).collect())
    }

    /// The labels where the second axis has a letter, if there are such.
    pub(super) fn terms_of_steps(&self) -> Option<Terms> {
        self.terms(self.input.len() + usize::from(self.elided == Elided::Left))
    }

    /// The labels where the output has so many axes.
    #[cfg(feature = "keras")]
    pub(super) fn terms_of_output(&self, rank: usize) -> Option<Terms> {
        self.terms(rank.checked_sub(self.output.len())? + self.input.len())
    }

    /// Whether axes without a letter stand behind the others.
    pub(super) fn is_elided_right(&self) -> bool {
        self.elided == Elided::Right
    }
}

/// The way through an array of these labels along others, in their order.
pub(super) fn walk(shape: &[usize], labels: Labels, order: impl DoubleEndedIterator<Item = usize> + Clone) -> Walk {
    let apart = distances(shape);
    Walk::new(order.filter_map(move |label| labels.place(label).map(|place| (shape[place], apart[place]))))
}

/// Whether labels stand in this order.
pub(super) fn is_in_order(labels: Labels, order: impl Iterator<Item = usize>) -> bool {
    labels.iter().eq(order)
}

/// The shape with which a bias is spread over the output: its own but where TensorFlow takes it for one of channels. What
/// has one axis above one goes along the last axis of the output if that is as wide, else along the first behind the
/// batch, whatever axis it was made for.
pub(super) fn spread(bias: &[usize], output: &[usize]) -> Vec<usize> {
    let mut wide = bias.iter().copied().filter(|&size| size > 1);
    let one = wide.next().filter(|_| wide.next().is_none() && output.len() > 1);
    match (one, output) {
        (Some(size), [.., last]) if size == *last => vec![size],
        (Some(size), [_, first, rest @ ..]) if size == *first => [&[size], &vec![1; rest.len()][..]].concat(),
        _ => bias.to_vec(),
    }
}

/// Whether a bias of this shape goes along its own axes, whatever the output: see [`spread`].
pub(super) fn is_natural(bias: &[usize]) -> bool {
    bias.iter().filter(|&&size| size > 1).count() != 1 || bias.last().is_some_and(|&last| last > 1)
}
