//! Arrays whose axes stand in another order outside of a model than inside, where the batch is first: those of formats
//! that have time first, or the layers of a state.

use ndarray::{ArrayD, Axis, IxDyn};

use super::Model;
use super::shape::Shape;
use super::tensor::{Shared, Value};
use crate::float::Float;

/// How an array that a caller gives or gets has its axes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outside {
    /// Of each axis outside, its place inside. If none is at 0, there is one row, without an axis of its own.
    pub(crate) places: Vec<usize>,
    /// The sizes outside, as far as they are fixed; the number of rows may be.
    pub(crate) shape: Shape,
}

impl<T: Float> Model<T> {
    /// Whether the batch is the first axis of all inputs and outputs: always, but for models of ONNX files that have time
    /// or the layers of a state first, or no axis of rows.
    ///
    /// ```
    /// use recurrent::{Lstm, Sequential};
    /// assert!(Sequential::<f32>::builder("m").layer(Lstm::new(3, 4)).build()?.is_batch_first());
    /// # Ok::<(), recurrent::Error>(())
    /// ```
    pub fn is_batch_first(&self) -> bool {
        let inputs = self.inputs.iter().filter_map(|input| input.outside.as_ref());
        inputs.chain(self.outside.iter().flatten()).all(|outside| outside.places.first() == Some(&0))
    }
}

impl Outside {
    /// Whether it says no more than the shape inside does.
    #[cfg(feature = "onnx")]
    pub(crate) fn is_plain(&self) -> bool {
        self.places.iter().enumerate().all(|(at, &place)| at == place) && self.shape.first() == Some(&None)
    }

    /// Whether the places are those of axes, each once.
    #[cfg(feature = "file")]
    pub(crate) fn is_sound(&self) -> bool {
        let first = self.first();
        let rank = self.places.len();
        rank == self.shape.len() && rank <= MOST && (0..rank).all(|at| self.places.contains(&(at + first)))
    }

    /// The place of the first axis inside that is one outside.
    fn first(&self) -> usize {
        usize::from(!self.places.contains(&0))
    }

    /// The number of axes inside.
    #[cfg(feature = "file")]
    pub(super) fn rank_inside(&self) -> usize {
        self.places.len() + self.first()
    }

    /// Whether an array of this shape can be given.
    pub(super) fn accepts(&self, given: &[usize]) -> bool {
        let fits = |(own, given): (&Option<usize>, &usize)| own.is_none_or(|own| own == *given);
        given.len() == self.shape.len() && self.shape.iter().zip(given).all(fits)
    }

    /// The number of rows of a step, which has no time axis if its input is a sequence.
    pub(super) fn rows_of_a_step(&self, given: &[usize], sequence: bool) -> Option<usize> {
        match self.of_a_step(sequence).position(|place| place == 0) {
            Some(axis) => given.get(axis).copied(),
            None => Some(1),
        }
    }

    /// Whether there can be so many rows.
    pub(super) fn has_rows(&self, rows: usize) -> bool {
        match self.places.iter().position(|&place| place == 0) {
            Some(axis) => self.shape[axis].is_none_or(|own| own == rows),
            None => rows == 1,
        }
    }

    fn inward_of<A: Clone>(&self, array: Shared<A>) -> Shared<A> {
        let (rank, first) = (self.places.len(), self.first());
        let of = |place: usize| self.places.iter().position(|&own| own == place + first).unwrap_or(0);
        let order: Vec<usize> = (0..rank).map(of).collect();
        let inside = array.permuted_axes(IxDyn(&order));
        if first == 1 { inside.insert_axis(Axis(0)) } else { inside }
    }

    /// An array as the model has it.
    pub(super) fn inward<T: Float>(&self, value: Value<T>) -> Value<T> {
        match value {
            Value::Float(array) => Value::Float(self.inward_of(array)),
            Value::Int(array) => Value::Int(self.inward_of(array)),
            Value::Bool(array) => Value::Bool(self.inward_of(array)),
        }
    }

    /// The same of a gradient.
    pub(super) fn gradient_inward<T: Float>(&self, gradient: ArrayD<T>) -> ArrayD<T> {
        self.inward_of(gradient.into_shared()).into_owned()
    }

    /// An array of the model's as it is outside, in row order.
    pub(super) fn outward<T: Float>(&self, array: ArrayD<T>) -> ArrayD<T> {
        let first = self.first();
        let array = if first == 1 && array.len_of(Axis(0)) > 0 { array.index_axis_move(Axis(0), 0) } else { array };
        let order: Vec<usize> = self.places.iter().map(|&place| place - first).collect();
        let outside = array.permuted_axes(IxDyn(&order));
        if outside.is_standard_layout() { outside } else { outside.as_standard_layout().into_owned() }
    }

    /// The shape outside of an array of this shape inside.
    pub(super) fn shape_outward(&self, inside: &[usize]) -> Vec<usize> {
        self.places.iter().map(|&place| inside.get(place).copied().unwrap_or(1)).collect()
    }

    /// The axes outside but for time, in order, by their places inside.
    pub(super) fn of_a_step(&self, sequence: bool) -> impl Iterator<Item = usize> + Clone {
        self.places.iter().copied().filter(move |&place| !(sequence && place == 1))
    }

    /// Of each element of an array outside, in row order, its place in one inside; axes in order.
    pub(super) fn walk(&self, inside: &[usize], sequence: bool) -> Moved {
        let mut moved = Moved { axes: [(1, 0); MOST], rank: 0, stays: true };
        for place in self.of_a_step(sequence) {
            let distance: usize = inside[place + 1..].iter().product();
            moved.axes[moved.rank] = (inside[place], distance);
            moved.rank += 1;
        }
        let mut next = 1;
        for &(size, distance) in moved.axes[..moved.rank].iter().rev() {
            moved.stays &= size == 1 || distance == next;
            next *= size;
        }
        moved
    }
}

/// The most axes.
const MOST: usize = 8;

/// From the places of an array in row order to those of one with its axes in another order.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moved {
    /// Of each axis its size, and how far apart its elements are in the other array.
    axes: [(usize, usize); MOST],
    rank: usize,
    stays: bool,
}

impl Moved {
    /// Whether every element stays at its place: the axes that moved are of one.
    pub(super) fn stays(&self) -> bool {
        self.stays
    }

    pub(super) fn at(&self, mut place: usize) -> usize {
        if self.stays {
            return place;
        }
        let mut at = 0;
        for &(size, distance) in self.axes[..self.rank].iter().rev() {
            at += place % size * distance;
            place /= size;
        }
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        for (places, shape) in
            [(vec![1, 0, 2], vec![3, 2, 4]), (vec![0, 2, 1], vec![2, 3, 4]), (vec![2, 1], vec![3, 4])]
        {
            let outside = Outside { shape: vec![None; places.len()], places };
            let count = shape.iter().product::<usize>();
            let array =
                ArrayD::from_shape_vec(shape.clone(), (0..count).map(|at| at as f64).collect()).expect("an array");
            let inside = outside.gradient_inward(array.clone());
            assert_eq!(outside.shape_outward(inside.shape()), shape);
            assert_eq!(outside.outward(inside.clone()), array);
            let (walk, inside) = (outside.walk(inside.shape(), false), inside.as_standard_layout().into_owned());
            let flat = inside.as_slice().expect("row order");
            assert!((0..count).all(|at| flat[walk.at(at)] == at as f64));
            assert!(!walk.stays());
        }
    }
}
