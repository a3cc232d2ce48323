//! Where batches come from: rows of arrays in some order, or an iterator of the user's.

use std::ops::Range;

use ndarray::{Array2, ArrayD, ArrayRef2};

use super::dataset::Dataset;
use super::order::{Buckets, Order};
use crate::error::Result;
use crate::float::Float;
use crate::graph::Input;
use crate::graph::rows::Gathered;
use crate::memory::MemoryNeeds;
use crate::training::loss::Target;

/// One batch after another.
pub(super) trait Batches<T: Float> {
    /// Before the first batch of an epoch, from 0.
    fn begin(&mut self, epoch: usize);

    /// Makes the next batch; returns its rows, or `None` behind the last one.
    fn next(&mut self) -> Option<usize>;

    /// Hands its inputs on.
    fn inputs(&self, hear: &mut dyn FnMut(Inputs<'_, '_, T>) -> Result<()>) -> Result<()>;

    /// Hands its targets and sample weights on, once the outputs are there.
    fn targets(&mut self, outputs: &[ArrayD<T>], hear: &mut Hear<'_, T>) -> Result<()>;

    /// The batches of an epoch, if that is known.
    fn count(&self) -> Option<usize>;
}

/// Hears targets and sample weights.
pub(super) type Hear<'h, T> = dyn FnMut(&[Target<'_, T>], Option<&Target<'_, T>>) -> Result<()> + 'h;

/// What a batch is run on.
pub(super) struct Inputs<'b, 'i, T> {
    pub(super) inputs: &'b [Input<'i, T>],
    pub(super) mask: Option<&'b ArrayRef2<bool>>,
    pub(super) lengths: Option<&'b [usize]>,
}

/// Rows of arrays, gathered into memory that is reused.
pub(super) struct Rows<'d, 'a, T> {
    data: &'d Dataset<'a, T>,
    /// All rows that belong to an epoch.
    range: Range<usize>,
    order: Order,
    buckets: Option<Buckets>,
    batch_size: usize,
    /// The rows of this epoch in order, and where its batches are; the next one is that of this number.
    rows: Vec<usize>,
    batches: Vec<Range<usize>>,
    next: usize,
    current: Range<usize>,
    /// How many steps of the batch's rows are taken, if not all.
    steps: Option<usize>,
    inputs: Vec<Gathered<T>>,
    targets: Vec<Gathered<T>>,
    weights: Option<Gathered<T>>,
    mask: Array2<bool>,
    lengths: Vec<usize>,
}

impl<'d, 'a, T: Float> Rows<'d, 'a, T> {
    /// Of the rows in `range`; which targets are classes is said by `classes`.
    ///
    /// # Errors
    /// There is no memory for a batch.
    pub(super) fn new(
        data: &'d Dataset<'a, T>,
        range: Range<usize>,
        (order, buckets): (Order, Option<Buckets>),
        batch_size: usize,
        classes: &[bool],
    ) -> Result<Self> {
        let (batch_size, mut needs) = (batch_size.min(range.len()), MemoryNeeds::default());
        for array in data.inputs.iter().chain(&data.targets).chain(&data.sample_weight) {
            let mut shape = array.shape().to_vec();
            shape[0] = batch_size;
            needs.array::<i64>(&shape);
        }
        // The rows of an epoch in their order, and where its batches begin and end.
        needs.array::<usize>(&[range.len()]);
        needs.array::<Range<usize>>(&[range.len().div_ceil(batch_size.max(1))]);
        needs.check(data.inputs[0].shape())?;
        let kind = |&classes: &bool| if classes { Gathered::classes() } else { Gathered::floats() };
        Ok(Rows {
            data,
            range,
            order,
            buckets,
            batch_size,
            rows: Vec::new(),
            batches: Vec::new(),
            next: 0,
            current: 0..0,
            steps: None,
            inputs: data.inputs.iter().map(Gathered::like).collect(),
            targets: classes.iter().map(kind).collect(),
            weights: data.sample_weight.is_some().then(Gathered::floats),
            mask: Array2::from_elem((0, 0), false),
            lengths: Vec::new(),
        })
    }

    /// The steps of the first input.
    fn all_steps(&self) -> Option<usize> {
        self.data.inputs[0].shape().get(1).copied()
    }

    /// How many steps are taken of an array that has steps.
    fn steps_of(&self, array: &Input<'_, T>) -> Option<usize> {
        self.steps.filter(|_| array.shape().get(1).copied() == self.all_steps())
    }
}

impl<T: Float> Batches<T> for Rows<'_, '_, T> {
    fn begin(&mut self, epoch: usize) {
        self.order.of_epoch(epoch, self.range.clone(), &mut self.rows);
        self.batches.clear();
        if let Some(buckets) = &self.buckets {
            buckets.sort(&mut self.rows);
        }
        let starts = (0..self.rows.len()).step_by(self.batch_size.max(1));
        self.batches.extend(starts.map(|start| start..(start + self.batch_size).min(self.rows.len())));
        if self.buckets.is_some() {
            self.order.mix(epoch, &mut self.batches);
        }
        self.next = 0;
    }

    fn next(&mut self) -> Option<usize> {
        self.current = self.batches.get(self.next)?.clone();
        self.next += 1;
        let rows = &self.rows[self.current.clone()];
        self.steps = self.buckets.as_ref().map(|buckets| buckets.longest(rows));
        for place in 0..self.inputs.len() {
            let input = &self.data.inputs[place];
            let steps = self.steps_of(input);
            self.inputs[place].gather(input, &self.rows[self.current.clone()], steps);
        }
        let rows = &self.rows[self.current.clone()];
        if let Some(mask) = &self.data.mask {
            let steps = self.steps.map_or(mask.ncols(), |steps| steps.min(mask.ncols()));
            if self.mask.dim() != (rows.len(), steps) {
                self.mask = Array2::from_elem((rows.len(), steps), false);
            }
            for (mut to, &row) in self.mask.rows_mut().into_iter().zip(rows) {
                to.iter_mut().zip(mask.row(row)).for_each(|(to, &from)| *to = from);
            }
        }
        self.lengths.clear();
        self.lengths.extend(self.data.lengths.iter().flat_map(|lengths| rows.iter().map(|&row| lengths[row])));
        Some(rows.len())
    }

    fn inputs(&self, hear: &mut dyn FnMut(Inputs<'_, '_, T>) -> Result<()>) -> Result<()> {
        let mask = self.data.mask.is_some().then_some(&*self.mask);
        let lengths = self.data.lengths.is_some().then_some(&self.lengths[..]);
        as_inputs(&self.inputs, |inputs| hear(Inputs { inputs, mask, lengths }))
    }

    fn targets(&mut self, outputs: &[ArrayD<T>], hear: &mut Hear<'_, T>) -> Result<()> {
        // Steps that were cut off an output are cut off its targets.
        let by_step = |output: &ArrayD<T>| output.ndim() > 2 && Some(output.shape()[1]) == self.steps;
        let any_by_step = outputs.iter().any(by_step);
        for (place, output) in outputs.iter().enumerate().take(self.targets.len()) {
            let target = &self.data.targets[place];
            let steps = self.steps_of(target).filter(|_| by_step(output));
            self.targets[place].gather(target, &self.rows[self.current.clone()], steps);
        }
        if let (Some(weights), Some(given)) = (&mut self.weights, &self.data.sample_weight) {
            let all = self.data.inputs[0].shape().get(1);
            let steps = self.steps.filter(|_| any_by_step && given.shape().get(1) == all);
            weights.gather(given, &self.rows[self.current.clone()], steps);
        }
        let weights = self.weights.as_ref().map(Gathered::input);
        as_inputs(&self.targets, |targets| hear(targets, weights.as_ref()))
    }

    fn count(&self) -> Option<usize> {
        Some(self.range.len().div_ceil(self.batch_size.max(1)))
    }
}

/// Gathered arrays as inputs; a single one without an allocation.
fn as_inputs<T: Float, R>(gathered: &[Gathered<T>], hear: impl FnOnce(&[Input<'_, T>]) -> R) -> R {
    match gathered {
        [one] => hear(&[one.input()]),
        many => hear(&many.iter().map(Gathered::input).collect::<Vec<_>>()),
    }
}

/// Batches of the user's: an iterator for each epoch.
pub(super) struct Made<F, I: IntoIterator> {
    make: F,
    iterator: Option<I::IntoIter>,
    current: Option<I::Item>,
}

impl<F, I: IntoIterator> Made<F, I> {
    pub(super) fn new(make: F) -> Self {
        Made { make, iterator: None, current: None }
    }
}

impl<T, X, Y, F, I> Batches<T> for Made<F, I>
where
    T: Float,
    F: FnMut(usize) -> I,
    I: IntoIterator<Item = (X, Y)>,
    for<'b> &'b X: Into<Input<'b, T>>,
    for<'b> &'b Y: Into<Input<'b, T>>,
{
    fn begin(&mut self, epoch: usize) {
        self.iterator = Some((self.make)(epoch).into_iter());
    }

    fn next(&mut self) -> Option<usize> {
        self.current = self.iterator.as_mut()?.next();
        let (x, _) = self.current.as_ref()?;
        let x: Input<'_, T> = x.into();
        Some(x.shape().first().copied().unwrap_or(0))
    }

    fn inputs(&self, hear: &mut dyn FnMut(Inputs<'_, '_, T>) -> Result<()>) -> Result<()> {
        let Some((x, _)) = &self.current else { return Ok(()) };
        hear(Inputs { inputs: &[x.into()], mask: None, lengths: None })
    }

    fn targets(&mut self, _outputs: &[ArrayD<T>], hear: &mut Hear<'_, T>) -> Result<()> {
        let Some((_, target)) = &self.current else { return Ok(()) };
        hear(&[target.into()], None)
    }

    fn count(&self) -> Option<usize> {
        None
    }
}
