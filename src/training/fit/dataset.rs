//! What a network is trained on.

use ndarray::{ArrayRef2, ArrayView2};

use crate::error::{Error, Result};
use crate::float::Float;
use crate::graph::Input;
use crate::training::loss::Target;

/// Arrays to train or validate on: inputs and targets, a row for each sample, and what else is known of the rows.
///
/// ```
/// use ndarray::prelude::*;
/// use recurrent::training::*;
/// use recurrent::{Dense, Gru, Stacked};
/// let mut net = Stacked::builder().layer(Gru::<f32>::new(3, 4)).layer(Dense::new(4, 1)).build()?;
/// let (x, target) = (Array3::<f32>::ones((6, 5, 3)), Array2::<f32>::zeros((6, 1)));
/// let weights = Array1::<f32>::from_vec(vec![1.0, 2.0, 1.0, 1.0, 0.5, 1.0]);
/// let data = Dataset::new(&x, &target).lengths(&[5, 2, 4, 1, 3, 5]).sample_weight(&weights);
/// let history = Fit::new(Loss::MeanSquaredError, Sgd::new(0.1)).epochs(2).batch_size(3).run_on(&mut net, &data)?;
/// assert_eq!(history.get("loss")?.len(), 2);
/// # Ok::<(), recurrent::Error>(())
/// ```
#[derive(Debug, Clone)]
#[must_use = "setters return the data"]
pub struct Dataset<'a, T> {
    pub(super) inputs: Vec<Input<'a, T>>,
    pub(super) targets: Vec<Target<'a, T>>,
    pub(super) sample_weight: Option<Target<'a, T>>,
    pub(super) mask: Option<ArrayView2<'a, bool>>,
    pub(super) lengths: Option<&'a [usize]>,
}

impl<'a, T: Float> Dataset<'a, T> {
    /// For a network of one input and one output.
    pub fn new(x: impl Into<Input<'a, T>>, target: impl Into<Target<'a, T>>) -> Self {
        Dataset { inputs: vec![x.into()], targets: vec![target.into()], sample_weight: None, mask: None, lengths: None }
    }

    /// For a network of several: one array for each, in their order.
    pub fn of(inputs: &[Input<'a, T>], targets: &[Target<'a, T>]) -> Self {
        let (inputs, targets) = (inputs.to_vec(), targets.to_vec());
        Dataset { inputs, targets, sample_weight: None, mask: None, lengths: None }
    }

    /// What each row, or each step of each row, counts in the loss and in weighted metrics.
    pub fn sample_weight(mut self, weights: impl Into<Target<'a, T>>) -> Self {
        self.sample_weight = Some(weights.into());
        self
    }

    /// Which steps a layer reads, (rows, timesteps). Where it gives an output for each step, those that are masked
    /// count nothing. (A model finds its masks itself: by Masking, by an Embedding's `mask_zero`.)
    pub fn mask(mut self, mask: &'a ArrayRef2<bool>) -> Self {
        self.mask = Some(mask.view());
        self
    }

    /// How many of the first steps of each row a layer reads: a mask for padded rows.
    pub fn lengths(mut self, lengths: &'a [usize]) -> Self {
        self.lengths = Some(lengths);
        self
    }

    /// The same data, borrowed for as long as these are.
    pub(super) fn view(&self) -> Dataset<'_, T> {
        Dataset {
            inputs: self.inputs.iter().map(Input::view).collect(),
            targets: self.targets.iter().map(Input::view).collect(),
            sample_weight: self.sample_weight.as_ref().map(Input::view),
            mask: self.mask.as_ref().map(|mask| mask.view()),
            lengths: self.lengths,
        }
    }

    /// The number of rows.
    ///
    /// # Errors
    /// All arrays have as many.
    pub(super) fn rows(&self) -> Result<usize> {
        let refuse = |option: &str, expected: String, given: String| {
            Err(Error::TrainingOption { option: option.into(), expected, given })
        };
        let Some(&rows) = self.inputs.first().and_then(|first| first.shape().first()) else {
            return refuse("the first input", "an array of rows".into(), "none".into());
        };
        let inputs = self.inputs.iter().map(|input| ("an input", input.shape().first().copied()));
        let targets = self.targets.iter().map(|target| ("a target", target.shape().first().copied()));
        let weights = self.sample_weight.iter().map(|weights| ("the sample weights", weights.shape().first().copied()));
        let mask = self.mask.iter().map(|mask| ("the mask", Some(mask.nrows())));
        let lengths = self.lengths.iter().map(|lengths| ("the lengths", Some(lengths.len())));
        let mut all = inputs.chain(targets).chain(weights).chain(mask).chain(lengths);
        match all.find(|(_, given)| *given != Some(rows)) {
            Some((what, given)) => {
                refuse(what, format!("of {rows} rows, as the first input"), format!("{}", given.unwrap_or(0)))
            }
            None if rows == 0 => refuse("the data", "of at least one row".into(), "none".into()),
            None => Ok(rows),
        }
    }
}
