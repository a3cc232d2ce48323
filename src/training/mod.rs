//! Training: `fit` with Keras's numbers, and what it is made of: losses, metrics, gradients, optimizers.
//!
//! [`Fit`] is Keras's `compile` and `fit` in one value; the page [`small_model`] goes from data to a saved file:
//!
//! ```
//! use ndarray::prelude::*;
//! use recurrent::{Dense, Lstm, Stacked, training::*};
//! let mut net = Stacked::builder().layer(Lstm::<f32>::new(3, 8)).layer(Dense::new(8, 1)).build()?;
//! let (x, target) = (Array3::<f32>::ones((16, 20, 3)), Array2::<f32>::from_elem((16, 1), 3.0));
//! let history = Fit::new(Loss::MeanSquaredError, Adam::new(1e-2)).epochs(5).batch_size(4).shuffle(7).run(&mut net, &x, &target)?;
//! assert!(history.get("loss")?[4] < history.get("loss")?[0]);
//! # Ok::<(), recurrent::Error>(())
//! ```
//!
//! # A loop of one's own
//!
//! A training step is a run that records, a loss, a backward pass and an update; each value is the caller's and is
//! reused from step to step:
//!
//! ```
//! use ndarray::prelude::*;
//! use recurrent::{Dense, Gradients, Layer, Lstm, OutputGradient, Run, Stacked, training::*};
//! let mut net = Stacked::builder().layer(Lstm::<f32>::new(3, 8)).layer(Dense::new(8, 1)).build()?;
//! let (x, target) = (Array3::<f32>::ones((16, 20, 3)), Array2::<f32>::from_elem((16, 1), 3.0));
//! let (mut tape, mut gradients, mut optimizer) = (Tape::new(), Gradients::new(&net), Adam::new(1e-2));
//! let mut losses = Vec::new();
//! for _ in 0..10 {
//!     let output = net.run(&x, Run::new().record(&mut tape))?;
//!     let (loss, d_last) = Loss::MeanSquaredError.with_gradient(output.last(), &target)?;
//!     gradients.clear();
//!     net.backward(&mut tape, OutputGradient::new().last(&d_last), &mut gradients)?;
//!     optimizer.step(&mut net, &gradients)?;
//!     losses.push(loss);
//! }
//! assert!(losses[9] < losses[0]);
//! # Ok::<(), recurrent::Error>(())
//! ```
//!
//! [`Run::record`](crate::Run::record) writes a [`Tape`], [`Layer::backward`](crate::Layer::backward) reads it, once;
//! between the two neither the weights nor the options may change. [`Gradients`](crate::Gradients) add up over calls
//! until they are cleared. After the first step the loop allocates nothing, if it runs into arrays of its own
//! ([`run_into`](crate::Layer::run_into), [`Loss::gradient_into`]). (A model's calls allocate small lists in each run, and
//! the arrays that they return; its optimizer's steps nothing.)
//!
//! # What belongs together
//!
//! Whatever doesn't is a typed error, and nothing has changed then:
//!
//! - A **tape** belongs to the layer that recorded it, with its options and weights of then, or to an equal clone.
//!   Another layer, however equal its shapes: [`Error::TapeLayer`]. A clone whose options were changed:
//!   [`Error::TapeOptions`]. Weights that were changed, by an optimizer or by hand: [`Error::TapeStale`]. So go back
//!   through all recorded runs before an optimizer's step. A run of no steps can't be recorded
//!   ([`Error::NoTimesteps`]). A recorded run that is refused leaves the tape empty ([`Error::TapeEmpty`]), whatever it
//!   held; a refused chunk of a [`TruncatedBptt`] is none, and the one before stays.
//! - **Gradients** belong to layers with weights of the same names and shapes, and with a state of the same parts
//!   ([`Error::GradientsLayer`]).
//! - An **optimizer** belongs to the layer, or the parts in their order, of its first step, and to clones of them
//!   ([`Error::GradientsLayer`]); [`TruncatedBptt`] to the layer that it was made for ([`Error::ChunkLayer`]).
//! - **DropoutSeeds** belong to layers and models with the same dropout generators ([`Error::SeedsCount`], [`Error::SeedsLayer`]).
//!
//! # Where else to look
//!
//! - **A loop that is there**: [`Fit`].
//! - **Long sequences** in chunks: [`TruncatedBptt`].
//! - **From ids**: [`Embedding::backward`](crate::Embedding::backward).
//! - **A cell of one's own**: [`Cell::step_backward`](crate::Cell::step_backward); the example `own_cell` trains one.
//! - **Gradients that are watched**: [`Gradients::norms`](crate::Gradients::norms),
//!   [`Gradients::check_finite`](crate::Gradients::check_finite), and how far back they reach: [`Reach`].
//! - **Zoneout** around any cell: [`cell::Zoneout`](crate::cell::Zoneout).
//! - **Dropout**: [`Run::training`](crate::Run::training); of models, with BatchNormalization,
//!   [`Model::record_training`](crate::Model::record_training).
//! - **A model**, built by hand or from a file: [`Model::record`](crate::Model::record), with the same tapes, gradients
//!   and optimizers. A loop for layers and models alike is written for a [`Network`].
//!
//! # Keras's optimizers, option by option
//!
//! | Keras | here |
//! |---|---|
//! | `SGD`, `Adam`, `AdamW`, `RMSprop`, `Nadam`, `Adamax`, `Adagrad`, `Lion` | [`Sgd`], [`Adam`], [`AdamW`], [`RmsProp`], [`Nadam`], [`Adamax`], [`Adagrad`], [`Lion`], with the setters `momentum`, `nesterov`, `beta_1`, .. by Keras's names |
//! | `Adadelta`, `Ftrl`, `Lamb`, `Muon`, `LossScaleOptimizer`, wrappers of optimizers | not here |
//! | `learning_rate` | the argument of `new`; [`set_learning_rate`](Optimizer::set_learning_rate) for the updates to come |
//! | a schedule as `learning_rate` | [`Scheduled::new(optimizer, schedule)`](Scheduled) with a [`Schedule`]: [`ExponentialDecay`], [`CosineDecay`], [`CosineDecayRestarts`], [`PiecewiseConstantDecay`], [`PolynomialDecay`], [`InverseTimeDecay`] |
//! | the callback `ReduceLROnPlateau` | [`ReduceLrOnPlateau`], told the monitored number |
//! | `iterations` | [`Optimizer::iterations`] |
//! | `weight_decay`, `exclude_from_weight_decay` | the same |
//! | numbers out of range | errors at each step, and of `validate`; Keras checks few of them ([`Optimizer::validate`] lists the ranges) |
//! | `clipnorm`, `clipvalue`, `global_clipnorm` | the same; two of them are an error, as in Keras, and so is one that isn't above 0, which Keras ignores |
//! | `use_ema`, `ema_momentum`, `ema_overwrite_frequency`, `finalize_variable_values` | the same |
//! | `loss_scale_factor` | the same; [`Fit`] multiplies the loss's gradient with it, in a loop of one's own you do |
//! | `gradient_accumulation_steps` | the same; [`Gradients`](crate::Gradients) that aren't cleared add up without it, to a sum instead of a mean |
//! | `name` | none |
//! | `kernel_regularizer`, `recurrent_constraint`, .. of layers | [`WeightRules`] by the weights' paths, with a [`Regularizer`] or a [`Constraint`], for [`Fit::weight_rules`] or a loop of one's own; those in a Keras file are kept and written again, and have no effect |
//! | `activity_regularizer`, `ActivityRegularization` | [`WeightRules::activity_regularizer`] by the layers' paths |
//! | frozen weights | frozen layers of a model: `Model::set_trainable` |
//!
//! In f64 some numbers pass through f32 in Keras, and so they do here: the learning rate, the weight decay, the
//! momentum of SGD, the betas where their powers are taken, all betas of Nadam and Lion, Adagrad's first sums.
//!
//! # Keras's `compile` and `fit`, word for word
//!
//! | Keras | here |
//! |---|---|
//! | `compile(optimizer, loss)`, `fit(x, y)` | `Fit::new(loss, optimizer).run(&mut net, &x, &y)?`; several inputs and outputs: [`Dataset::of`], [`Fit::run_on`] |
//! | `loss={"a": .., "b": ..}`, `loss_weights` | [`loss_of`](Fit::loss_of)`("a", loss, weight)` |
//! | `"mse"`, `"mae"`, `Huber()`, `LogCosh()`, `CosineSimilarity()`, `KLDivergence()`, `CTC()` | [`Loss`] |
//! | `BinaryCrossentropy`, `CategoricalCrossentropy`, `SparseCategoricalCrossentropy`: `from_logits` | the field of the variants; for a last softmax or sigmoid Keras takes its logits by itself, here leave it out |
//! | `label_smoothing`, `ignore_class`, `reduction` | the setters of a [`Loss`]; `reduction=None`: [`values`](Loss::values) |
//! | `axis` | the last one |
//! | `metrics=["accuracy"]` | [`metric`](Fit::metric)`(Metric::SparseCategoricalAccuracy)` or which of the three it is: [`Metric`] |
//! | `metrics={"a": [..]}`, `weighted_metrics` | [`metric_of`](Fit::metric_of), [`weighted_metric`](Fit::weighted_metric) |
//! | `batch_size=32`, `epochs=1`, `initial_epoch` | the same, with these defaults |
//! | layers with `stateful=True` | their states go on from batch to batch, into validation and the next epoch, as in Keras; [`reset_states`](Fit::reset_states)`(true)` for a callback that calls `reset_state` on them when an epoch begins |
//! | `shuffle=True` after `set_random_seed(7)` | [`shuffle`](Fit::shuffle)`(7)`, the same order in every epoch; [`shuffle_each_epoch`](Fit::shuffle_each_epoch) for others. **Without it rows aren't shuffled**: Keras's default is to |
//! | `validation_split`, `validation_data`, `validation_batch_size`, `validation_freq` | the same: the last rows, before they are shuffled |
//! | `sample_weight` | [`Dataset::sample_weight`] |
//! | `class_weight={0: .5}` | [`class_weight`](Fit::class_weight)`(&[(0, 0.5)])` |
//! | a generator, a `tf.data.Dataset` | [`run_batches`](Fit::run_batches) |
//! | `EarlyStopping(..)` | [`EarlyStopping`], with all its options |
//! | `TerminateOnNaN()` | on, and an error: [`terminate_on_nan`](Fit::terminate_on_nan) |
//! | `verbose=2` | [`print_progress`](Fit::print_progress) |
//! | `LambdaCallback(on_epoch_end, on_train_batch_end)`, `stop_training` | [`on_epoch`](Fit::on_epoch), [`on_update`](Fit::on_update); `ControlFlow::Break(())` |
//! | `history.history["val_loss"]` | `history.get("val_loss")?` |
//! | `evaluate(x, y)` | [`evaluate`](Fit::evaluate) |
//! | a mask on the prediction (`Masking`, `mask_zero`) | weighs loss and metrics as in Keras; layers: [`Dataset::mask`], [`Dataset::lengths`] |
//! | `use_ema`: averages become weights at the end | call `finalize_variable_values` of [`optimizer`](Fit::optimizer) yourself |
//! | `BackupAndRestore` | [`checkpoint`](Fit::checkpoint), [`resume`](Fit::resume) (feature `file`) |
//! | `ModelCheckpoint(save_best_only=True)` | [`EarlyStopping::restore_best_weights`], then `file::save` |
//! | `ReduceLROnPlateau(monitor="val_loss")` | [`reduce_lr_on_plateau`](Fit::reduce_lr_on_plateau)`("val_loss", ReduceLrOnPlateau::new())` |
//! | `kernel_regularizer`, `recurrent_constraint`, `activity_regularizer`, .. | [`weight_rules`](Fit::weight_rules); those of a Keras file: `keras::weight_rules(&model)?` |
//! | `Dropout`, `SpatialDropout1D`, `GaussianNoise`, `BatchNormalization`, .. | [`ops::Dropout`](crate::ops::Dropout), [`ops::BatchNormalization`](crate::ops::BatchNormalization) in a [`Model`](crate::Model), built or loaded |
//! | `model(x, training=True)` | [`Model::record_training`](crate::Model::record_training), then [`update_statistics`](crate::Model::update_statistics); before it [`normalize_kernels`](crate::Model::normalize_kernels), for SpectralNormalization |

mod fit;
mod loss;
mod metrics;
mod optimizers;
mod reach;
mod schedule;
#[cfg(doc)]
pub mod small_model;
mod truncated_bptt;
mod weight_rules;

#[cfg(doc)]
use crate::error::Error;

pub use crate::gradients::GradientNorms;
pub use crate::graph::Network;
pub use crate::runner::tape::Tape;
pub use crate::seeds::{DropoutGenerator, DropoutSeeds};
pub use crate::weight_rules::{Constraint, OrthogonalMode, Regularizer};
#[cfg(feature = "file")]
pub(crate) use fit::{Checkpoint, Memory};
pub use fit::{Dataset, EarlyStopping, Fit, History, Progress, Update};
pub use loss::{Loss, LossFunction, Reduction, Target, Weighting};
pub use metrics::{Auc, Curve, Metric, MetricState, Precision, Recall, SummationMethod};
pub use optimizers::{Adagrad, Adam, AdamW, Adamax, Lion, Nadam, Optimizer, RmsProp, Sgd};
pub use reach::Reach;
pub use schedule::{
    CosineDecay, CosineDecayRestarts, ExponentialDecay, InverseTimeDecay, MonitorMode, PiecewiseConstantDecay,
    PolynomialDecay, ReduceLrOnPlateau, Schedule, Scheduled,
};
pub use truncated_bptt::TruncatedBptt;
pub use weight_rules::WeightRules;
