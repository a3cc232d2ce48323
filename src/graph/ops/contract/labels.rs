//! Which axes of two arrays and of their product belong together: by labels, as in an einsum.

use crate::config::Config;
use crate::graph::shape::{Shape, axis_at};
use crate::graph::stream::MOST_AXES;

/// How the axes of two arrays are named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Pattern {
    /// numpy's matrix product, with either side's last two axes exchanged first.
    Matmul { transpose_left: bool, transpose_right: bool },
    /// numpy's `dot` by an array of two dimensions at most: the last axis with the last but one.
    Dot,
    /// The layer `Dot`: for each row of the batch, one axis of each.
    Batch { left: i64, right: i64 },
    /// Letters for the axes: `btf,bsf->bts`.
    Einsum(String),
}

/// The labels of an array's axes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::graph::ops) struct Labels {
    all: [u8; MOST_AXES],
    rank: usize,
}

/// The labels of both arrays and of the result.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    pub(super) left: Labels,
    pub(super) right: Labels,
    pub(super) result: Labels,
}

/// The most labels that there are.
pub(super) const MOST_LABELS: usize = 32;

impl Labels {
    /// Nothing if there are too many.
    pub(in crate::graph::ops) fn of(labels: impl Iterator<Item = u8>) -> Option<Self> {
        let mut own = Labels::default();
        for label in labels {
            *own.all.get_mut(own.rank)? = label;
            own.rank += 1;
        }
        Some(own)
    }

    pub(in crate::graph::ops) fn iter(&self) -> impl DoubleEndedIterator<Item = usize> + Clone {
        self.all[..self.rank].iter().map(|&label| usize::from(label))
    }

    pub(in crate::graph::ops) fn len(&self) -> usize {
        self.rank
    }

    pub(in crate::graph::ops) fn at(&self, place: usize) -> Option<usize> {
        self.iter().nth(place)
    }

    pub(in crate::graph::ops) fn place(&self, label: usize) -> Option<usize> {
        self.iter().position(|own| own == label)
    }

    pub(in crate::graph::ops) fn has(&self, label: usize) -> bool {
        self.place(label).is_some()
    }

    pub(in crate::graph::ops) fn is_distinct(&self) -> bool {
        self.iter().enumerate().all(|(at, label)| self.place(label) == Some(at))
    }
}

impl Pattern {
    pub(super) fn describe(&self) -> Config {
        let config = Config::new("");
        match self {
            Pattern::Matmul { transpose_left, transpose_right } => config
                .with("pattern", "matmul")
                .with("transpose_left", *transpose_left)
                .with("transpose_right", *transpose_right),
            Pattern::Dot => config.with("pattern", "dot"),
            Pattern::Batch { left, right } => {
                config.with("pattern", "batch").with("left_axis", *left).with("right_axis", *right)
            }
            Pattern::Einsum(subscripts) => config.with("pattern", "einsum").with("subscripts", subscripts.as_str()),
        }
    }

    /// The labels for arrays of these ranks; nothing if they don't fit.
    pub(super) fn terms(&self, left: usize, right: usize) -> Option<Terms> {
        if left.max(right) > MOST_AXES {
            return None;
        }
        let terms = match self {
            Pattern::Matmul { transpose_left, transpose_right } => {
                matmul(left, right, *transpose_left, *transpose_right)?
            }
            Pattern::Dot => {
                if left == 0 || right == 0 || right > 2 {
                    return None;
                }
                let outer = (0..left - 1).map(|axis| axis as u8);
                let (sum, column) = (MOST_AXES as u8, MOST_AXES as u8 + 1);
                Terms {
                    left: Labels::of(outer.clone().chain([sum]))?,
                    right: Labels::of([sum, column].into_iter().take(right))?,
                    result: Labels::of(outer.chain([column].into_iter().take(right - 1)))?,
                }
            }
            Pattern::Batch { left: of_left, right: of_right } => {
                let (of_left, of_right) = (axis_at(*of_left, left)?, axis_at(*of_right, right)?);
                if of_left == 0 || of_right == 0 {
                    return None;
                }
                let sum = 2 * MOST_AXES as u8;
                let label = |axis: usize, of: usize, first: usize| match axis {
                    0 => 0,
                    axis if axis == of => sum,
                    axis => (first + axis) as u8,
                };
                let own = |rank: usize, of: usize, first: usize| (0..rank).map(move |axis| label(axis, of, first));
                let (all_left, all_right) = (own(left, of_left, 0), own(right, of_right, MOST_AXES));
                let free = all_left.clone().chain(all_right.clone().skip(1)).filter(|&label| label != sum);
                Terms { left: Labels::of(all_left)?, right: Labels::of(all_right)?, result: Labels::of(free)? }
            }
            Pattern::Einsum(subscripts) => {
                let (inputs, result) = subscripts.split_once("->")?;
                let (one, other) = inputs.split_once(',')?;
                let labels = |text: &str| {
                    let letters = text.bytes().filter(|byte| *byte != b' ');
                    Labels::of(letters.map(|byte| if byte.is_ascii_lowercase() { byte - b'a' } else { u8::MAX }))
                };
                Terms { left: labels(one)?, right: labels(other)?, result: labels(result)? }
            }
        };
        let fits = terms.left.len() == left && terms.right.len() == right && terms.is_sound();
        fits.then_some(terms)
    }
}

/// The last two axes are rows and columns, those before are spread over each other.
fn matmul(left: usize, right: usize, transpose_left: bool, transpose_right: bool) -> Option<Terms> {
    if left == 0 || right == 0 {
        return None;
    }
    let (row, sum, column) = (MOST_AXES as u8, MOST_AXES as u8 + 1, MOST_AXES as u8 + 2);
    let outer = |rank: usize| (0..rank.saturating_sub(2)).rev().map(|axis| axis as u8);
    let inner = |rank: usize, pair: [u8; 2], turned: bool, one: u8| match (rank, turned) {
        (1, _) => [one, one].into_iter().take(1),
        (_, false) => pair.into_iter().take(2),
        (_, true) => [pair[1], pair[0]].into_iter().take(2),
    };
    let rows = [row].into_iter().take(usize::from(left > 1));
    let columns = [column].into_iter().take(usize::from(right > 1));
    Some(Terms {
        left: Labels::of(outer(left).chain(inner(left, [row, sum], transpose_left, sum)))?,
        right: Labels::of(outer(right).chain(inner(right, [sum, column], transpose_right, sum)))?,
        result: Labels::of(outer(left.max(right)).chain(rows).chain(columns))?,
    })
}

impl Terms {
    /// Whether each axis of the result comes from somewhere, and each axis that isn't in it from both.
    fn is_sound(&self) -> bool {
        let Terms { left, right, result } = self;
        let known = |labels: &Labels| labels.iter().all(|label| label < MOST_LABELS) && labels.is_distinct();
        let all = [left, right, result].into_iter().all(known);
        let summed = left.iter().filter(|&label| !result.has(label)).all(|label| right.has(label));
        let other = right.iter().filter(|&label| !result.has(label)).all(|label| left.has(label));
        all && summed && other && result.iter().all(|label| left.has(label) || right.has(label))
    }

    /// The result's sizes.
    pub(super) fn infer(&self, a: &Shape, b: &Shape) -> Option<Shape> {
        let of = |labels: &Labels, shape: &Shape, label: usize| labels.place(label).map(|place| shape[place]);
        let joined = |label: usize| match (of(&self.left, a, label), of(&self.right, b, label)) {
            (Some(Some(1)), Some(other)) | (Some(other), Some(Some(1))) if self.result.has(label) => Some(other),
            (Some(a), Some(b)) => match (a, b) {
                (Some(a), Some(b)) if a != b => None,
                (a, b) => Some(a.or(b)),
            },
            (Some(one), None) | (None, Some(one)) => Some(one),
            (None, None) => None,
        };
        let all = self.left.iter().chain(self.right.iter());
        all.map(joined).collect::<Option<Vec<_>>>()?;
        self.result.iter().map(joined).collect()
    }

    /// The size of each label.
    pub(super) fn sizes(&self, a: &[usize], b: &[usize]) -> [usize; MOST_LABELS] {
        let mut sizes = [1; MOST_LABELS];
        for (label, &size) in self.left.iter().zip(a).chain(self.right.iter().zip(b)) {
            if sizes[label] == 1 {
                sizes[label] = size;
            }
        }
        sizes
    }
}
