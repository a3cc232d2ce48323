//! Strided rows over a slice: how layers, runner, cells and kernels hand each other a batch without copying it.
//!
//! Row `i` is `data[start + i * stride ..][.. width]`. The same type serves one time step of a (batch, timesteps,
//! features) array, a column range of a state, and a tape. It knows nothing of arrays.

use std::ops::Range;

/// Rows to read. See the [module](self).
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a, T> {
    data: &'a [T],
    start: usize,
    stride: usize,
    width: usize,
}

impl<'a, T> Rows<'a, T> {
    /// Rows of `width` elements, `stride` apart, the first at `start`.
    pub fn new(data: &'a [T], start: usize, stride: usize, width: usize) -> Self {
        Rows { data, start, stride, width }
    }

    /// Rows that follow one another without gaps.
    pub fn packed(data: &'a [T], width: usize) -> Self {
        Rows { data, start: 0, stride: width, width }
    }

    /// The number of elements in each row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The slice behind the rows, from the first row on.
    pub fn data(&self) -> &'a [T] {
        &self.data[self.start..]
    }

    /// Row `i`.
    #[inline]
    pub fn row(&self, i: usize) -> &'a [T] {
        &self.data[self.start + i * self.stride..][..self.width]
    }

    /// The same rows, only these columns.
    #[inline]
    pub fn columns(&self, columns: Range<usize>) -> Rows<'a, T> {
        debug_assert!(columns.end <= self.width);
        Rows { start: self.start + columns.start, width: columns.len(), ..*self }
    }

    /// The same rows without the first `n`.
    #[inline]
    pub fn skip(&self, n: usize) -> Rows<'a, T> {
        Rows { start: self.start + n * self.stride, ..*self }
    }

    /// Every `n`th of the rows.
    pub fn every(&self, n: usize) -> Rows<'a, T> {
        Rows { stride: self.stride * n, ..*self }
    }
}

/// Rows to write. See the [module](self).
#[derive(Debug)]
pub struct RowsMut<'a, T> {
    data: &'a mut [T],
    start: usize,
    stride: usize,
    width: usize,
}

impl<'a, T> RowsMut<'a, T> {
    /// Rows of `width` elements, `stride` apart, the first at `start`.
    pub fn new(data: &'a mut [T], start: usize, stride: usize, width: usize) -> Self {
        RowsMut { data, start, stride, width }
    }

    /// Rows that follow one another without gaps.
    pub fn packed(data: &'a mut [T], width: usize) -> Self {
        RowsMut { data, start: 0, stride: width, width }
    }

    /// The number of elements in each row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Row `i`, to read.
    #[inline]
    pub fn row(&self, i: usize) -> &[T] {
        &self.data[self.start + i * self.stride..][..self.width]
    }

    /// Row `i`, to write.
    #[inline]
    pub fn row_mut(&mut self, i: usize) -> &mut [T] {
        &mut self.data[self.start + i * self.stride..][..self.width]
    }

    /// The same rows for a shorter time, so that this value can be used again.
    #[inline]
    pub fn reborrow(&mut self) -> RowsMut<'_, T> {
        RowsMut { data: self.data, start: self.start, stride: self.stride, width: self.width }
    }

    /// The same rows, to be read from now on.
    pub fn into_rows(self) -> Rows<'a, T> {
        Rows { data: self.data, start: self.start, stride: self.stride, width: self.width }
    }

    /// The same rows, to read.
    #[inline]
    pub fn as_rows(&self) -> Rows<'_, T> {
        Rows { data: self.data, start: self.start, stride: self.stride, width: self.width }
    }

    /// The same rows, only these columns.
    #[inline]
    pub fn columns(self, columns: Range<usize>) -> RowsMut<'a, T> {
        debug_assert!(columns.end <= self.width);
        RowsMut { start: self.start + columns.start, width: columns.len(), data: self.data, stride: self.stride }
    }

    /// The same rows without the first `n`.
    #[inline]
    pub fn skip(self, n: usize) -> RowsMut<'a, T> {
        RowsMut { start: self.start + n * self.stride, ..self }
    }
}

#[cfg(feature = "rayon")]
impl<'a, T> RowsMut<'a, T> {
    /// The first `n` rows and the others. A row must end before the next one begins.
    pub(crate) fn split_rows(self, n: usize) -> (Self, Self) {
        let RowsMut { data, start, stride, width } = self;
        let (first, second) = data.split_at_mut((start + n * stride).min(data.len()));
        (RowsMut { data: first, start, stride, width }, RowsMut { data: second, start: 0, stride, width })
    }
}

/// Copies the first `batch` rows; both have the same width.
pub(crate) fn copy_rows<T: Copy>(batch: usize, from: Rows<'_, T>, mut to: RowsMut<'_, T>) {
    for row in 0..batch {
        to.row_mut(row).copy_from_slice(from.row(row));
    }
}

/// What a step reads as its input: the features themselves, or their product with the kernel, done before the loop.
#[derive(Debug, Clone, Copy)]
pub enum Input<'a, T> {
    /// The features of each row.
    Raw(Rows<'a, T>),
    /// `bias + x * kernel` of each row, in the cell's own order.
    Projected(Rows<'a, T>),
}

impl<'a, T> Input<'a, T> {
    /// The input of row `i`.
    #[inline(always)]
    pub fn row(&self, i: usize) -> RowInput<'a, T> {
        match self {
            Input::Raw(x) => RowInput::Raw(x.row(i)),
            Input::Projected(z) => RowInput::Projected(z.row(i)),
        }
    }

    /// The features, for a cell that projects none: it is never given projected ones.
    #[inline]
    pub fn features(self) -> Rows<'a, T> {
        match self {
            Input::Raw(x) => x,
            Input::Projected(_) => unreachable!("a projected input for a cell that projects none"),
        }
    }
}

#[cfg(feature = "rayon")]
impl<T> Input<'_, T> {
    /// Without the first `n` rows.
    pub(crate) fn skip(&self, n: usize) -> Self {
        match self {
            Input::Raw(x) => Input::Raw(x.skip(n)),
            Input::Projected(z) => Input::Projected(z.skip(n)),
        }
    }
}

/// The [`Input`] of one row.
#[derive(Debug, Clone, Copy)]
pub enum RowInput<'a, T> {
    /// The features.
    Raw(&'a [T]),
    /// `bias + x * kernel`, in the cell's own order.
    Projected(&'a [T]),
}

impl<'a, T> RowInput<'a, T> {
    /// The features: those of [`Input::features`].
    #[inline]
    pub fn features(self) -> &'a [T] {
        match self {
            RowInput::Raw(x) => x,
            RowInput::Projected(_) => unreachable!("a projected input for a cell that projects none"),
        }
    }

    /// x, or nothing if the input is projected; and what the sums start from.
    #[inline(always)]
    pub fn operands(self, bias: &'a [T]) -> (&'a [T], &'a [T]) {
        match self {
            RowInput::Raw(x) => (x, bias),
            RowInput::Projected(z) => (&[], z),
        }
    }
}

/// One time step of one row in inference: the short way to what a step of many rows does.
///
/// For small cells the way matters as much as the arithmetic. While a step's last values are on their way, the
/// processor already runs the next step's instructions, but only until some 64 stores wait behind the first one that
/// can't be done. So this is made once, where the step begins, and handed down by reference.
#[derive(Debug)]
pub struct RowStep<'a, T> {
    /// The step's input.
    pub input: RowInput<'a, T>,
    /// The state before the step.
    pub prev: &'a [T],
    /// The state after the step, to be written.
    pub next: &'a mut [T],
}

/// Dropout masks of one call, the same for all its time steps: values that multiply the operands of the products.
///
/// A row holds the masks of one batch row side by side: one for all gates, or one for each gate (their number is the
/// row's width over the operand's width).
#[derive(Debug, Clone, Copy)]
pub struct DropoutRows<'a, T> {
    /// Masks of the input, or none.
    pub input: Option<Rows<'a, T>>,
    /// Masks of the previous hidden state, or none.
    pub recurrent: Option<Rows<'a, T>>,
}
