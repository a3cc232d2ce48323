//! Rows of different length, made one batch.

use std::ops::Deref;

use ndarray::{Array2, Array3, ArrayRef2, s};

use crate::error::{Error, Result};
use crate::float::Float;
use crate::memory;

/// Sequences of different length as one batch: (rows, the longest one's steps, features), with zeros behind each end, and
/// the lengths for [`Run::lengths`](crate::Run::lengths). Each row is (timesteps, features), an array or a view.
///
/// Keras's `pad_sequences(rows, padding="post", dtype="float32")`. The zeros cost nothing: with the lengths a layer skips
/// them.
///
/// ```
/// use ndarray::prelude::*;
/// use recurrent::{Layer, Lstm, Run, pad_sequences};
///
/// let rows = [Array2::<f32>::ones((5, 3)), Array2::ones((2, 3))];
/// let (x, lengths) = pad_sequences(&rows)?;
/// assert_eq!((x.dim(), &lengths[..]), ((2, 5, 3), &[5, 2][..]));
/// let output = Lstm::new(3, 4).run(&x, Run::new().lengths(&lengths))?;
/// assert_eq!(output.last().dim(), (2, 4));
/// # Ok::<(), recurrent::Error>(())
/// ```
///
/// # Errors
/// [`Error::RowFeatures`] if a row hasn't the features of the first one; [`Error::TensorTooLarge`] without memory for the batch.
pub fn pad_sequences<T: Float, R: Deref<Target = ArrayRef2<T>>>(rows: &[R]) -> Result<(Array3<T>, Vec<usize>)> {
    let lengths: Vec<usize> = rows.iter().map(|row| row.nrows()).collect();
    let features = rows.first().map_or(0, |row| row.ncols());
    if let Some((row, other)) = rows.iter().enumerate().find(|(_, row)| row.ncols() != features) {
        return Err(Error::RowFeatures { row, expected: features, given: other.ncols() });
    }
    let shape = [rows.len(), longest(&lengths), features];
    memory::check_shape(&shape)?;
    memory::check::<T>(memory::product(&shape), &shape)?;
    let mut batch = Array3::zeros(shape);
    for ((row, mut to), &length) in rows.iter().zip(batch.outer_iter_mut()).zip(&lengths) {
        to.slice_mut(s![..length, ..]).assign(&**row);
    }
    Ok((batch, lengths))
}

/// Rows of ids of different length as one batch, (rows, the longest one's steps), with zeros behind each end, and the
/// lengths. An [`Embedding`](crate::Embedding) with `mask_zero`, whose ids begin at 1, needs the batch alone.
///
/// ```
/// use recurrent::pad_ids;
///
/// let (ids, lengths) = pad_ids(&[vec![3, 1, 2], vec![5]])?;
/// assert_eq!(ids, ndarray::array![[3, 1, 2], [5, 0, 0]]);
/// assert_eq!(lengths, [3, 1]);
/// # Ok::<(), recurrent::Error>(())
/// ```
///
/// # Errors
/// [`Error::TensorTooLarge`] without memory for the batch.
pub fn pad_ids<I: Copy + Default, R: AsRef<[I]>>(rows: &[R]) -> Result<(Array2<I>, Vec<usize>)> {
    let lengths: Vec<usize> = rows.iter().map(|row| row.as_ref().len()).collect();
    let shape = [rows.len(), longest(&lengths)];
    memory::check_shape(&shape)?;
    memory::check::<I>(memory::product(&shape), &shape)?;
    let mut batch = Array2::from_elem(shape, I::default());
    for (row, mut to) in rows.iter().zip(batch.outer_iter_mut()) {
        for (id, to) in row.as_ref().iter().zip(&mut to) {
            *to = *id;
        }
    }
    Ok((batch, lengths))
}

fn longest(lengths: &[usize]) -> usize {
    lengths.iter().copied().max().unwrap_or(0)
}
