//! Training a network: the loop over epochs and batches, written once for layers, stacks and models.
//!
//! ```text
//! for epoch in epochs:
//!     for batch in the rows, in the epoch's order:                    order.rs, batches.rs
//!         network.normalize_kernels()                                 of SpectralNormalization
//!         outputs = network.pass(batch), recorded, dropout on         session.rs
//!         loss, d_outputs = loss.with_gradient(outputs, targets), weighted by masks, samples, classes
//!         metrics add outputs and targets                             meters.rs
//!         gradients = network.backpropagate(d_outputs)
//!         optimizer.step(network, gradients)
//!         network.update_statistics()                                 of BatchNormalization
//!     log losses and metrics, validate                                meters.rs
//!     callbacks; stop early                                           progress.rs, early_stopping.rs
//! ```

mod batches;
mod checkpoint;
mod class_weights;
mod dataset;
mod early_stopping;
mod history;
mod meters;
mod order;
mod plateaus;
mod progress;
mod run;
mod session;

use std::fmt;
use std::ops::ControlFlow;

#[cfg(feature = "file")]
pub(crate) use self::checkpoint::Checkpoint;
use self::checkpoint::OnCheckpoint;
pub use self::dataset::Dataset;
pub use self::early_stopping::EarlyStopping;
pub(crate) use self::early_stopping::Memory;
pub use self::history::History;
use self::order::Order;
use self::plateaus::Plateaus;
pub use self::progress::{Progress, Update};
use super::loss::LossFunction;
use super::metrics::Metric;
use super::schedule::ReduceLrOnPlateau;
use super::weight_rules::WeightRules;
use crate::float::Float;
use crate::graph::ModelState;
use crate::seeds::DropoutSeeds;

type OnEpoch<'a> = Box<dyn FnMut(&Progress<'_>) -> ControlFlow<()> + 'a>;
type OnUpdate<'a> = Box<dyn FnMut(&Update) -> ControlFlow<()> + 'a>;

/// Trains a network: Keras's `compile` and `fit` in one value, whose numbers are Keras's.
///
/// ```
/// use ndarray::prelude::*;
/// use recurrent::{Dense, Gru, SeedSource, Sequential, training::*};
/// let mut seeds = SeedSource::keras(7);
/// let mut model = Sequential::<f32>::builder("waves")
///     .layer(Gru::builder(1, 8).seeds(&mut seeds).build()?)
///     .layer(Dense::builder(8, 3).seeds(&mut seeds).build()?)
///     .build()?;
/// let speed = |row: usize| 0.2 * (1 + row % 3) as f32; // to be recognized
/// let x = Array3::from_shape_fn((48, 12, 1), |(row, t, _)| (speed(row) * t as f32 + row as f32).sin());
/// let classes = Array1::from_shape_fn(48, |row| (row % 3) as i32);
/// let history = Fit::new(Loss::SparseCategoricalCrossentropy { from_logits: true }, Adam::new(0.02))
///     .metric(Metric::SparseCategoricalAccuracy)
///     .epochs(20)
///     .batch_size(8)
///     .shuffle(7)
///     .validation_split(0.25)
///     .early_stopping(EarlyStopping::new("val_loss").patience(3).restore_best_weights(true))
///     .run(&mut model, &x, &classes)?;
/// let losses = history.get("val_loss")?;
/// assert!(losses[losses.len() - 1] < losses[0]);
/// # Ok::<(), recurrent::Error>(())
/// ```
///
/// [`run`](Fit::run) takes arrays, [`run_on`](Fit::run_on) a [`Dataset`] that knows more of its rows (masks, lengths,
/// sample weights, several inputs and outputs), [`run_batches`](Fit::run_batches) batches of one's own. A second run
/// goes on where the first has ended, with the same optimizer and dropout, as a second `fit` does in Keras.
///
/// Batches are run as in training: dropout is on, with the network's seeds, and BatchNormalization of a
/// [`Model`](crate::Model) takes the mean and the variance of the batch, and moves those of inference in each update: see
/// [`Model::record_training`](crate::Model::record_training). SpectralNormalization divides its kernel before each update.
/// What of a network would not train as in Keras is an error that names the layer.
///
/// Stateful layers of a model go on from batch to batch, from training to validation and from epoch to epoch, as Keras's
/// do; all batches have as many rows then. [`reset_states`](Fit::reset_states) begins each epoch with zeros;
/// [`model_state`](Fit::model_state) is where they have come to, for
/// [`predict_stateful`](crate::Model::predict_stateful).
///
/// After the first updates those of a layer allocate nothing while batches have as many rows; a model's outputs are new in each.
#[must_use = "it does nothing until it runs"]
pub struct Fit<'a, T: Float, O> {
    loss: LossFunction,
    optimizer: O,
    output_losses: Vec<(String, LossFunction, f64)>,
    metrics: Vec<(Option<String>, Metric, bool)>,
    epochs: usize,
    initial_epoch: usize,
    batch_size: Option<usize>,
    validation_batch_size: Option<usize>,
    validation_freq: usize,
    order: Order,
    validation: Validation<'a, T>,
    lengths: Option<Vec<usize>>,
    class_weight: Vec<(i64, f64)>,
    early_stopping: Option<EarlyStopping>,
    weight_rules: WeightRules,
    terminate_on_nan: bool,
    seeds: Option<DropoutSeeds>,
    /// Where stateful layers have come to.
    states: Option<ModelState<T>>,
    resets_states: bool,
    on_epoch: Vec<OnEpoch<'a>>,
    on_update: Vec<OnUpdate<'a>>,
    plateaus: Plateaus,
    on_checkpoint: Option<OnCheckpoint<'a, T, O>>,
    /// What early stopping remembers of a run that goes on.
    resumed: Option<Memory<T>>,
}

/// What is validated on.
#[derive(Debug, Clone)]
enum Validation<'a, T> {
    Nothing,
    Split(f64),
    Data(Dataset<'a, T>),
}

impl<'a, T: Float> Validation<'a, T> {
    fn data(&self) -> Option<Dataset<'a, T>> {
        match self {
            Validation::Data(data) => Some(data.clone()),
            _ => None,
        }
    }
}

impl<'a, T: Float, O> Fit<'a, T, O> {
    /// With this loss for all outputs, and this optimizer; one epoch, batches of 32 rows in the order in which they
    /// are given.
    pub fn new(loss: impl Into<LossFunction>, optimizer: O) -> Self {
        Fit {
            loss: loss.into(),
            optimizer,
            output_losses: Vec::new(),
            metrics: Vec::new(),
            epochs: 1,
            initial_epoch: 0,
            batch_size: None,
            validation_batch_size: None,
            validation_freq: 1,
            order: Order::Given,
            validation: Validation::Nothing,
            lengths: None,
            class_weight: Vec::new(),
            early_stopping: None,
            weight_rules: WeightRules::new(),
            terminate_on_nan: true,
            seeds: None,
            states: None,
            resets_states: false,
            on_epoch: Vec::new(),
            on_update: Vec::new(),
            plateaus: Plateaus::default(),
            on_checkpoint: None,
            resumed: None,
        }
    }

    /// Another loss for the output of this name, and what it counts in the sum of all losses: Keras's `loss` and
    /// `loss_weights` as dicts.
    pub fn loss_of(mut self, output: &str, loss: impl Into<LossFunction>, weight: f64) -> Self {
        self.output_losses.push((output.into(), loss.into(), weight));
        self
    }

    /// Logs a metric of the one output; sample and class weights don't count in it.
    pub fn metric(mut self, metric: impl Into<Metric>) -> Self {
        self.metrics.push((None, metric.into(), false));
        self
    }

    /// Logs a metric of the output of this name.
    pub fn metric_of(mut self, output: &str, metric: impl Into<Metric>) -> Self {
        self.metrics.push((Some(output.into()), metric.into(), false));
        self
    }

    /// Logs a metric of the one output in which sample and class weights count.
    pub fn weighted_metric(mut self, metric: impl Into<Metric>) -> Self {
        self.metrics.push((None, metric.into(), true));
        self
    }

    /// The number of epochs.
    pub fn epochs(mut self, epochs: usize) -> Self {
        self.epochs = epochs;
        self
    }

    /// The number of the first epoch, from 0: of a run that goes on.
    pub fn initial_epoch(mut self, epoch: usize) -> Self {
        self.initial_epoch = epoch;
        self
    }

    /// The rows of a batch; the last one of an epoch has what is left.
    pub fn batch_size(mut self, rows: usize) -> Self {
        self.batch_size = Some(rows);
        self
    }

    /// Shuffles rows as Keras's `fit` does after `keras.utils.set_random_seed(seed)`: in the same order in each epoch.
    pub fn shuffle(mut self, seed: i64) -> Self {
        self.order = Order::Keras(seed);
        self
    }

    /// Shuffles rows anew in each epoch: that of number e, from 0, as [`shuffle`](Fit::shuffle) of `seed + e`.
    pub fn shuffle_each_epoch(mut self, seed: i64) -> Self {
        self.order = Order::Anew(seed);
        self
    }

    /// Rows of like length come in one batch, cut to the longest of them, so that padding costs little: the length of
    /// each row in the data. What lies behind it must be padding that the network doesn't look at (masks, lengths).
    pub fn bucket_by_length(mut self, lengths: &[usize]) -> Self {
        self.lengths = Some(lengths.to_vec());
        self
    }

    /// Holds out the last part of the rows, before they are shuffled, and validates on them after each epoch.
    pub fn validation_split(mut self, share: f64) -> Self {
        self.validation = Validation::Split(share);
        self
    }

    /// Validates on these data after each epoch.
    pub fn validation_data(mut self, data: Dataset<'a, T>) -> Self {
        self.validation = Validation::Data(data);
        self
    }

    /// The rows of a batch of validation; those of [`batch_size`](Fit::batch_size) unless it is set.
    pub fn validation_batch_size(mut self, rows: usize) -> Self {
        self.validation_batch_size = Some(rows);
        self
    }

    /// Validates after every so many epochs.
    pub fn validation_freq(mut self, epochs: usize) -> Self {
        self.validation_freq = epochs;
        self
    }

    /// What rows count by the class of their target; classes that aren't named count 1. Not together with sample
    /// weights. (Of steps that have classes, each step counts by its own; Keras knows weights of rows only.)
    pub fn class_weight(mut self, weights: &[(i64, f64)]) -> Self {
        self.class_weight = weights.to_vec();
        self
    }

    /// Ends the run when a number hasn't become better for some epochs.
    pub fn early_stopping(mut self, rule: EarlyStopping) -> Self {
        self.early_stopping = Some(rule);
        self
    }

    /// Lowers the learning rate when the number of this name (`val_loss`, `loss`, a metric's) hasn't become better for
    /// some epochs: Keras's `ReduceLROnPlateau`.
    ///
    /// A run is refused if there is no such number; so is one of an optimizer that follows a schedule, when the rate is
    /// to fall.
    pub fn reduce_lr_on_plateau(mut self, monitor: &str, plateau: ReduceLrOnPlateau) -> Self {
        self.plateaus.push(monitor, plateau);
        self
    }

    /// Regularizers and constraints of the weights, and regularizers of what layers give: penalties belong to the loss, in
    /// validation too, and constraints are obeyed after each update, as in Keras.
    pub fn weight_rules(mut self, rules: WeightRules) -> Self {
        self.weight_rules = rules;
        self
    }

    /// Whether a loss or a gradient that isn't finite ends the run with an error before the weights change; it does
    /// unless this says otherwise. (Keras's callback `TerminateOnNaN`.)
    pub fn terminate_on_nan(mut self, yes: bool) -> Self {
        self.terminate_on_nan = yes;
        self
    }

    /// Dropout goes on from here: of a run that goes on in another process.
    pub fn seeds(mut self, seeds: DropoutSeeds) -> Self {
        self.seeds = Some(seeds);
        self
    }

    /// A model's stateful layers begin from here: of a run that goes on in another process. A network that has none
    /// refuses it ([`Error::StateLayout`](crate::Error::StateLayout)).
    pub fn state(mut self, state: ModelState<T>) -> Self {
        self.states = Some(state);
        self
    }

    /// Whether a model's stateful layers begin each epoch with zeros; unless this says so they go on from the one before.
    /// (What a callback of Keras does that calls `reset_state` of each such layer when an epoch begins.)
    pub fn reset_states(mut self, yes: bool) -> Self {
        self.resets_states = yes;
        self
    }

    /// Calls this after each epoch; it may end the run.
    pub fn on_epoch(mut self, hear: impl FnMut(&Progress<'_>) -> ControlFlow<()> + 'a) -> Self {
        self.on_epoch.push(Box::new(hear));
        self
    }

    /// Calls this after each update; it may end the run, after validation.
    pub fn on_update(mut self, hear: impl FnMut(&Update) -> ControlFlow<()> + 'a) -> Self {
        self.on_update.push(Box::new(hear));
        self
    }

    /// Calls this with all that the run goes on from, after each epoch.
    #[cfg(feature = "file")]
    pub(crate) fn on_checkpoint(mut self, keep: impl FnMut(Checkpoint<T, &O>) -> crate::Result<()> + 'a) -> Self {
        self.on_checkpoint = Some(Box::new(keep));
        self
    }

    /// Goes on from there; the weights are the caller's to set.
    #[cfg(feature = "file")]
    pub(crate) fn go_on_from(mut self, checkpoint: Checkpoint<T, O>) -> crate::Result<Self> {
        self.plateaus.go_on_from(checkpoint.plateaus)?;
        (self.optimizer, self.seeds) = (checkpoint.optimizer, Some(checkpoint.seeds));
        self.states = checkpoint.states;
        (self.initial_epoch, self.resumed) = (checkpoint.epoch, checkpoint.early_stopping);
        Ok(self)
    }

    /// Prints a line after each epoch: losses, metrics, the time that is left.
    pub fn print_progress(self) -> Self {
        self.on_epoch(|progress| {
            println!("{progress}");
            ControlFlow::Continue(())
        })
    }

    /// The optimizer, as the runs so far have left it.
    pub fn optimizer(&self) -> &O {
        &self.optimizer
    }

    /// The optimizer, to be changed between runs.
    pub fn optimizer_mut(&mut self) -> &mut O {
        &mut self.optimizer
    }

    /// The optimizer back.
    pub fn into_optimizer(self) -> O {
        self.optimizer
    }

    /// Where a model's stateful layers have come to; `None` before the first run, and where there are none.
    pub fn model_state(&self) -> Option<&ModelState<T>> {
        self.states.as_ref()
    }

    /// Where dropout has come to; `None` before the first run.
    pub fn dropout_seeds(&self) -> Option<&DropoutSeeds> {
        self.seeds.as_ref()
    }
}

impl<T: Float, O: fmt::Debug> fmt::Debug for Fit<'_, T, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fit")
            .field("loss", &self.loss)
            .field("optimizer", &self.optimizer)
            .field("epochs", &self.epochs)
            .field("batch_size", &self.batch_size)
            .finish_non_exhaustive()
    }
}
