//! (batch, timesteps, width) data as slices: where a layer reads its input and writes its outputs.

use ndarray::ArrayRef3;

use crate::float::Float;
use crate::strided::{Rows, RowsMut};

/// A (batch, timesteps, features) input: any strides between rows and steps, the features of a step side by side.
#[derive(Debug, Clone, Copy)]
pub struct Sequence<'a, T> {
    data: &'a [T],
    batch_stride: usize,
    time_stride: usize,
    features: usize,
}

impl<'a, T: Float> Sequence<'a, T> {
    /// A (batch, timesteps, features) array in standard order.
    pub(crate) fn packed(data: &'a [T], timesteps: usize, features: usize) -> Self {
        Sequence { data, batch_stride: timesteps * features, time_stride: features, features }
    }

    /// Rows [row][step], of which each row of the batch has `steps`.
    pub(crate) fn of_rows(rows: Rows<'a, T>, steps: usize) -> Self {
        Sequence {
            data: rows.data(),
            batch_stride: steps * rows.width(),
            time_stride: rows.width(),
            features: rows.width(),
        }
    }

    /// A batch of single steps.
    pub(crate) fn one_step(rows: &'a [T], features: usize) -> Self {
        Sequence::packed(rows, 1, features)
    }

    /// An array as it stands, or by way of a copy into `copy` if its memory can't be read row by row.
    pub(crate) fn new(x: &'a ArrayRef3<T>, copy: &'a mut Vec<T>) -> Self {
        let (batch, timesteps, features) = x.dim();
        if let (Some(data), Some(strides)) = (x.as_slice_memory_order(), row_strides(x)) {
            let (batch_stride, time_stride) = strides;
            return Sequence { data, batch_stride, time_stride, features };
        }
        copy.clear();
        copy.reserve_exact(batch * timesteps * features);
        for row in x.outer_iter() {
            for step in row.outer_iter() {
                match step.as_slice() {
                    Some(step) => copy.extend_from_slice(step),
                    None => copy.extend(step.iter()),
                }
            }
        }
        Sequence::packed(copy, timesteps, features)
    }

    /// Without the first `steps` steps.
    pub(crate) fn skip_steps(self, steps: usize) -> Self {
        let skipped = (steps * self.time_stride).min(self.data.len());
        Sequence { data: &self.data[skipped..], ..self }
    }

    /// The rows of the batch at one time.
    #[inline]
    pub(crate) fn at(&self, time: usize) -> Rows<'a, T> {
        Rows::new(self.data, time * self.time_stride, self.batch_stride, self.features)
    }

    /// The steps of one row of the batch, from `time` on.
    #[inline]
    pub(crate) fn steps_of(&self, row: usize, time: usize) -> Rows<'a, T> {
        let start = row * self.batch_stride + time * self.time_stride;
        Rows::new(self.data, start, self.time_stride, self.features)
    }
}

#[cfg(feature = "rayon")]
impl<'a, T: Float> Sequence<'a, T> {
    /// Without the first `rows` rows of the batch.
    pub(crate) fn skip_rows(self, rows: usize) -> Self {
        let skipped = (rows * self.batch_stride).min(self.data.len());
        Sequence { data: &self.data[skipped..], ..self }
    }
}

#[cfg(feature = "rayon")]
impl<'a, T: Float> SequenceMut<'a, T> {
    /// The first `rows` rows of the batch and the others.
    pub(crate) fn split_rows(self, rows: usize) -> (Self, Self) {
        let at = (rows * self.timesteps * self.stride).min(self.data.len());
        let (first, second) = self.data.split_at_mut(at);
        (SequenceMut { data: first, ..self }, SequenceMut { data: second, ..self })
    }
}

/// The strides of rows and steps, where none is negative and the features of a step lie side by side.
fn row_strides<T>(x: &ArrayRef3<T>) -> Option<(usize, usize)> {
    // The stride of an axis of length 0 or 1 means nothing.
    let stride = |axis: usize| if x.shape()[axis] > 1 { x.strides()[axis] } else { 0 };
    let side_by_side = x.shape()[2] <= 1 || x.strides()[2] == 1;
    match (usize::try_from(stride(0)), usize::try_from(stride(1))) {
        (Ok(batch), Ok(time)) if side_by_side => Some((batch, time)),
        _ => None,
    }
}

/// Where the outputs of all steps go: a (batch, timesteps, width) array, or a column range of one.
#[derive(Debug)]
pub struct SequenceMut<'a, T> {
    data: &'a mut [T],
    timesteps: usize,
    stride: usize,
    start: usize,
    width: usize,
    /// Steps are written from the last to the first: how Bidirectional turns a backward layer's outputs back.
    flipped: bool,
    /// Steps that are processed already.
    done: usize,
}

impl<'a, T: Float> SequenceMut<'a, T> {
    /// A (batch, timesteps, width) array in standard order.
    pub(crate) fn packed(data: &'a mut [T], timesteps: usize, width: usize) -> Self {
        SequenceMut { data, timesteps, stride: width, start: 0, width, flipped: false, done: 0 }
    }

    /// The same place for a shorter time.
    pub(crate) fn reborrow(&mut self) -> SequenceMut<'_, T> {
        SequenceMut { data: self.data, ..*self }
    }

    /// Only these columns of it.
    pub(crate) fn columns(self, columns: std::ops::Range<usize>) -> Self {
        SequenceMut { start: self.start + columns.start, width: columns.len(), ..self }
    }

    /// The place for the steps after the next `steps` that are processed.
    pub(crate) fn skip_steps(self, steps: usize) -> Self {
        SequenceMut { done: self.done + steps, ..self }
    }

    /// With the order of the steps turned around.
    pub(crate) fn flipped(self) -> Self {
        SequenceMut { flipped: !self.flipped, ..self }
    }

    /// The place of the batch's first row at the `step`th step that is processed.
    fn place(&self, step: usize) -> usize {
        let step = self.done + step;
        let time = if self.flipped { self.timesteps - 1 - step } else { step };
        self.start + time * self.stride
    }

    /// The rows of the batch at the `step`th step that is processed.
    #[inline]
    pub(crate) fn at(&mut self, step: usize) -> RowsMut<'_, T> {
        let place = self.place(step);
        RowsMut::new(self.data, place, self.timesteps * self.stride, self.width)
    }

    /// The batch's first row at the step before the `step`th, to read, and at the `step`th.
    #[inline]
    pub(crate) fn before_and_at(&mut self, step: usize) -> (&[T], &mut [T]) {
        let (before, at, width) = (self.place(step - 1), self.place(step), self.width);
        let (first, second) = self.data.split_at_mut(before.max(at));
        if before < at {
            (&first[before..][..width], &mut second[..width])
        } else {
            (&second[..width], &mut first[at..][..width])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_before_and_at_in_both_orders() {
        let mut data: Vec<f32> = (0..12u8).map(f32::from).collect();
        let mut columns = SequenceMut::packed(&mut data, 3, 4).columns(1..3);
        assert_eq!(columns.before_and_at(1), (&[1.0, 2.0][..], &mut [5.0, 6.0][..]));
        assert_eq!(columns.before_and_at(2), (&[5.0, 6.0][..], &mut [9.0, 10.0][..]));
        assert_eq!(columns.reborrow().skip_steps(1).before_and_at(1), (&[5.0, 6.0][..], &mut [9.0, 10.0][..]));
        let mut flipped = columns.flipped();
        assert_eq!(flipped.reborrow().skip_steps(1).before_and_at(1), (&[5.0, 6.0][..], &mut [1.0, 2.0][..]));
        assert_eq!(flipped.before_and_at(1), (&[9.0, 10.0][..], &mut [5.0, 6.0][..]));
        assert_eq!(flipped.before_and_at(2), (&[5.0, 6.0][..], &mut [1.0, 2.0][..]));
    }
}
