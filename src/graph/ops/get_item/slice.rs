//! Python's slices.

use super::Index;
use crate::config::{Config, Value as Described};
use crate::graph::operation::OverTime;

/// Python's `start:stop:step`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slice {
    pub(crate) start: Option<i64>,
    pub(crate) stop: Option<i64>,
    /// Not zero.
    pub(crate) step: i64,
}

/// A part of an axis, to be gone through forwards.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    pub(super) start: isize,
    pub(super) end: isize,
    pub(super) step: isize,
}

impl Slice {
    /// All of it.
    pub(crate) const ALL: Slice = Slice { start: None, stop: None, step: 1 };
    pub(super) const BACKWARDS: Slice = Slice { start: None, stop: None, step: -1 };

    /// The first element and how many there are, as Python counts.
    fn bounds(&self, size: usize) -> (i64, usize) {
        let size = i64::try_from(size).unwrap_or(i64::MAX);
        let forwards = self.step > 0;
        let (least, most) = if forwards { (0, size) } else { (-1, size - 1) };
        let place = |at: i64| (if at < 0 { at.saturating_add(size) } else { at }).clamp(least, most);
        let start = self.start.map_or(if forwards { least } else { most }, place);
        let stop = self.stop.map_or(if forwards { most } else { least }, place);
        let way = if forwards { stop - start } else { start - stop };
        let step = self.step.checked_abs().unwrap_or(i64::MAX);
        let count = if way > 0 { (way - 1) / step + 1 } else { 0 };
        (start, usize::try_from(count).unwrap_or(0))
    }

    /// The number of elements of an axis of this size.
    #[cfg(feature = "onnx")]
    pub(crate) fn count(&self, size: usize) -> usize {
        self.bounds(size).1
    }

    /// The number of elements, if it is known.
    pub(super) fn of_unknown(&self, size: Option<usize>) -> Option<usize> {
        size.map(|size| self.bounds(size).1)
    }

    /// The part, and whether it is to be turned around.
    pub(super) fn range(&self, size: usize) -> (Part, bool) {
        let (start, count) = self.bounds(size);
        if count == 0 {
            return (Part { start: 0, end: 0, step: 1 }, false);
        }
        let step = self.step.checked_abs().and_then(|step| isize::try_from(step).ok()).unwrap_or(isize::MAX);
        let start = start as isize;
        let way = step.saturating_mul(count as isize - 1);
        let first = if self.step > 0 { start } else { start - way };
        (Part { start: first, end: first + way + 1, step }, self.step < 0)
    }

    fn is_all(&self) -> bool {
        self.step == 1 && matches!(self.start, None | Some(0)) && self.stop.is_none()
    }

    /// Whether it is the last one of an axis, whatever its size.
    fn is_last(&self) -> bool {
        self.step == 1 && self.start == Some(-1) && self.stop.is_none()
    }
}

impl Index {
    pub(super) fn describe(&self) -> Described {
        match *self {
            Index::At(at) => at.into(),
            Index::Slice(Slice { start, stop, step }) => {
                Config::new("Slice").with("start", start).with("stop", stop).with("step", step).into()
            }
            Index::New => "new".into(),
            Index::Rest => "rest".into(),
        }
    }
}

/// What indices make of a sequence.
pub(super) fn over_time(indices: &[Index], rank: usize) -> OverTime {
    let used = indices.iter().filter(|index| matches!(index, Index::At(_) | Index::Slice(_))).count();
    let mut axis = 0;
    let mut last = false;
    for index in indices {
        if axis > 1 {
            break;
        }
        match (index, axis) {
            (Index::Rest, _) => {
                axis += rank.saturating_sub(used);
                continue;
            }
            (Index::Slice(slice), _) if slice.is_all() => {}
            (Index::Slice(slice), 1) if slice.is_last() => last = true,
            (Index::At(-1), 1) => last = true,
            _ => return OverTime::Whole,
        }
        axis += 1;
    }
    if last { OverTime::Last } else { OverTime::Alone }
}
