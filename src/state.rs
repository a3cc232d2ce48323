//! State as a value: one type for every layer, its parts found by name.
//!
//! A [`State`] is a (batch, width) array whose column ranges have names: `h` of a SimpleRNN or GRU, `h` and `c` of an
//! LSTM, paths such as `0/forward/c` in stacks and wrappers. The names and ranges are its [`StateLayout`]. Because
//! parts are column ranges, nesting, splitting, resetting a row and saving are all slicing.

mod bytes;
#[cfg(feature = "file")]
mod described;
#[cfg(feature = "serde")]
mod serialized;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use ndarray::{ArrayRef2, ArrayView2, s};

use crate::aligned::Aligned;
use crate::error::{Error, Result, or_panic};
use crate::float::Float;
use crate::memory;
use crate::strided::Rows;

/// The names and widths of a state's parts, in the order of their columns.
///
/// ```
/// use recurrent::StateLayout;
/// let layout = StateLayout::new([("h", 4), ("c", 4)]);
/// assert_eq!(layout.width(), 8);
/// assert_eq!(layout.columns("c"), Some(4..8));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StateLayout {
    parts: Vec<(String, usize)>,
    width: usize,
}

impl StateLayout {
    /// A layout of these parts: name and width of each, in order.
    pub fn new<N: Into<String>>(parts: impl IntoIterator<Item = (N, usize)>) -> Self {
        let parts: Vec<_> = parts.into_iter().map(|(name, width)| (name.into(), width)).collect();
        // Widths that can't be added up make a layout that no state can have.
        let width = parts.iter().fold(0, |sum: usize, (_, width)| sum.saturating_add(*width));
        StateLayout { parts, width }
    }

    /// The layouts of several children side by side, each child's names behind its prefix: `prefix/name`.
    pub(crate) fn nested<'a>(children: impl IntoIterator<Item = (String, &'a StateLayout)>) -> Self {
        StateLayout::new(children.into_iter().flat_map(|(prefix, child)| {
            child.parts.iter().map(move |(name, width)| (format!("{prefix}/{name}"), *width))
        }))
    }

    /// The number of columns of all parts together.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The names of the parts, in the order of their columns.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().map(|(name, _)| name.as_str())
    }

    /// The columns of a part, if there is one of that name.
    pub fn columns(&self, name: &str) -> Option<Range<usize>> {
        let mut start = 0;
        for (part, width) in &self.parts {
            if part == name {
                return Some(start..start.saturating_add(*width));
            }
            start = start.saturating_add(*width);
        }
        None
    }

    /// The widths of the parts, in the order of their columns.
    pub(crate) fn widths(&self) -> impl Iterator<Item = usize> {
        self.parts.iter().map(|(_, width)| *width)
    }

    /// The width of the first part, which is a cell's output unless the cell says otherwise.
    pub(crate) fn first_width(&self) -> usize {
        self.parts.first().map_or(0, |(_, width)| *width)
    }
}

impl fmt::Display for StateLayout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (name, width)) in self.parts.iter().enumerate() {
            write!(f, "{}{name} ({width})", if i == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

/// The state of a layer for a batch of rows: what a call ends with and the next one can start from.
///
/// Get one from [`Layer::initial_state`](crate::Layer::initial_state), from
/// [`Output::state`](crate::Output::state) or from a [`Stream`](crate::Stream). It is the caller's: clone it, save
/// it, change it, hand it to another layer of the same layout.
///
/// ```
/// use ndarray::array;
/// use recurrent::{Layer, Lstm};
/// let mut state = Lstm::<f32>::new(3, 2).initial_state(1);
/// state.set("c", &array![[0.5, -0.5]])?;
/// assert_eq!(state.names().collect::<Vec<_>>(), ["h", "c"]);
/// assert_eq!(state.get("c")?, array![[0.5, -0.5]]);
/// # Ok::<(), recurrent::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct State<T> {
    layout: Arc<StateLayout>,
    batch: usize,
    /// (batch, layout.width()), row by row. No array: a stream reads it at each step, and asking an array for its slice
    /// is a tenth of a small step.
    values: Aligned<T>,
}

impl<T: Float> State<T> {
    /// Zeros for `batch` rows.
    ///
    /// # Panics
    /// If there is no memory for so many: use [`try_zeros`](State::try_zeros) for a number that isn't known to be
    /// sound.
    #[track_caller]
    pub fn zeros(layout: Arc<StateLayout>, batch: usize) -> Self {
        or_panic(State::try_zeros(layout, batch))
    }

    /// Zeros for `batch` rows, or an error.
    ///
    /// # Errors
    /// [`Error::TensorTooLarge`] for more rows than there is memory for.
    pub fn try_zeros(layout: Arc<StateLayout>, batch: usize) -> Result<Self> {
        let elements = memory::product(&[batch, layout.width()]);
        memory::check::<T>(elements, &[batch, layout.width()])?;
        Ok(State { values: Aligned::zeros(elements.unwrap_or(0)), layout, batch })
    }

    /// These values, row by row.
    pub(crate) fn of_values(layout: StateLayout, batch: usize, values: &[T]) -> Result<Self> {
        let mut state = State::try_zeros(Arc::new(layout), batch)?;
        if state.values.len() == values.len() {
            state.values.copy_from_slice(values);
        }
        Ok(state)
    }

    /// The number of rows.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// The names of the parts, in the order of their columns.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.layout.names()
    }

    /// The names and widths of the parts.
    pub fn layout(&self) -> &Arc<StateLayout> {
        &self.layout
    }

    /// All parts side by side: (batch, width).
    pub fn values(&self) -> ArrayView2<'_, T> {
        self.view()
    }

    /// A part: (batch, its width).
    ///
    /// # Errors
    /// [`Error::UnknownName`] lists the names there are.
    pub fn get(&self, name: &str) -> Result<ArrayView2<'_, T>> {
        let (columns, all) = (self.columns(name)?, self.view());
        // A layout that is too wide for any array has states of no rows.
        let fits = columns.end <= all.ncols();
        Ok(all.slice_move(s![.., if fits { columns } else { 0..0 }]))
    }

    /// Replaces a part by (batch, its width) values.
    ///
    /// # Errors
    /// [`Error::UnknownName`] for a name that isn't there, [`Error::StateShape`] for another shape; the state is
    /// unchanged then.
    pub fn set(&mut self, name: &str, values: &ArrayRef2<T>) -> Result<()> {
        let columns = self.columns(name)?;
        let (expected, given) = ((self.batch(), columns.len()), values.dim());
        if expected != given {
            return Err(Error::StateShape { part: name.into(), expected, given });
        }
        let width = self.layout.width();
        for (row, values) in self.values.chunks_exact_mut(width.max(1)).zip(values.rows()) {
            row[columns.clone()].iter_mut().zip(values).for_each(|(to, &from)| *to = from);
        }
        Ok(())
    }

    /// Copies another state's values into this one without allocating.
    ///
    /// # Errors
    /// [`Error::StateLayout`] or [`Error::StateBatch`] if the two differ in layout or batch.
    pub fn copy_from(&mut self, other: &State<T>) -> Result<()> {
        other.check(&self.layout, self.batch())?;
        self.values.copy_from_slice(&other.values);
        Ok(())
    }

    /// Whether no value is NaN or infinite: a look at each, which allocates nothing.
    ///
    /// A state that isn't finite seldom becomes so again: one NaN in an input is in all states and outputs that follow.
    ///
    /// ```
    /// use recurrent::{Gru, Stream};
    /// let gru = Gru::<f32>::new(1, 4);
    /// let mut stream = Stream::new(&gru, 1)?;
    /// stream.step_one(&[f32::NAN])?; // a device that was unplugged, a division by zero
    /// stream.step_one(&[0.5])?;
    /// if !stream.state().is_finite() {
    ///     stream.reset(); // or set_state, to one that was saved while all was well
    /// }
    /// assert!(stream.step_one(&[0.5])?[0].is_finite());
    /// # Ok::<(), recurrent::Error>(())
    /// ```
    pub fn is_finite(&self) -> bool {
        // Without a way out in the middle, so that it is done by vectors.
        self.values.iter().fold(true, |finite, value| finite & value.is_finite())
    }

    /// Makes zeros of the values nearer to zero than `limit`. NaN stays, and so does everything if `limit` is NaN or
    /// isn't positive. See [`Stream::flush_below`](crate::Stream::flush_below).
    pub fn flush_below(&mut self, limit: T) {
        for value in self.values.iter_mut() {
            *value = if value.abs() < limit { T::zero() } else { *value };
        }
    }

    /// Checks that this is a state for a layer of this layout, with this many rows.
    pub(crate) fn check(&self, layout: &Arc<StateLayout>, batch: usize) -> Result<()> {
        if !Arc::ptr_eq(&self.layout, layout) && self.layout != *layout {
            return Err(Error::StateLayout { expected: layout.to_string(), given: self.layout.to_string() });
        }
        if self.batch() != batch {
            return Err(Error::StateBatch { expected: batch, given: self.batch() });
        }
        Ok(())
    }

    /// Holds on to an equal layout, another layer's, instead of its own.
    pub(crate) fn share_layout(&mut self, layout: Arc<StateLayout>) {
        debug_assert_eq!(self.layout, layout);
        self.layout = layout;
    }

    pub(crate) fn rows(&self) -> Rows<'_, T> {
        Rows::packed(&self.values, self.layout.width())
    }

    /// The values, row by row, to read.
    pub(crate) fn as_slice(&self) -> &[T] {
        &self.values
    }

    /// The values, row by row.
    pub(crate) fn as_mut_slice(&mut self) -> &mut [T] {
        &mut self.values
    }

    fn view(&self) -> ArrayView2<'_, T> {
        // The shape is that of the values by construction; an empty view stands for what can't be.
        let shape = (self.batch, self.layout.width());
        ArrayView2::from_shape(shape, &self.values[..]).unwrap_or_else(|_| ArrayView2::from(&[[]; 0]))
    }

    fn columns(&self, name: &str) -> Result<Range<usize>> {
        self.layout
            .columns(name)
            .ok_or_else(|| Error::unknown_name("state part", name, self.layout.names().map(String::from)))
    }
}
