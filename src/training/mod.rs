//! Training: what a recorded run leaves behind, gradients, losses and optimizers.
//!
//! A training step is a run that records, a loss, a backward pass and an update; each value is the caller's and is
//! reused from step to step:
//!
//! ```
//! use ndarray::prelude::*;
//! use recurrent::{Dense, Gradients, Layer, Lstm, OutputGradient, Run, Stacked, training::*};
//! let mut net = Stacked::builder().layer(Lstm::<f32>::new(3, 8)).layer(Dense::new(8, 1)).build()?;
//! let (x, target) = (Array3::<f32>::ones((16, 20, 3)), Array2::<f32>::ones((16, 1)));
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
//! ([`run_into`](crate::Layer::run_into), [`Loss::gradient_into`]).
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
//! - **DropoutSeeds** belong to layers with the same dropout generators ([`Error::SeedsCount`], [`Error::SeedsLayer`]).
//!
//! # Where else to look
//!
//! - **Long sequences** in chunks: [`TruncatedBptt`].
//! - **From ids**: [`Embedding::backward`](crate::Embedding::backward).
//! - **A cell of one's own**: [`Cell::step_backward`](crate::Cell::step_backward); the example `own_cell` trains one.
//! - **Gradients that are watched**: [`Gradients::norms`](crate::Gradients::norms),
//!   [`Gradients::check_finite`](crate::Gradients::check_finite), and how far back they reach: [`Reach`].
//! - **Dropout**: [`Run::training`](crate::Run::training).
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
//! | `loss_scale_factor` | the same; multiply the loss's gradient with it yourself |
//! | `gradient_accumulation_steps` | the same; [`Gradients`](crate::Gradients) that aren't cleared add up without it, to a sum instead of a mean |
//! | `name` | none |
//! | `kernel_regularizer`, `recurrent_constraint`, .. of layers | [`WeightRules`] by the weights' paths, with a [`Regularizer`] or a [`Constraint`]; those in a Keras file are kept and written again, and have no effect |
//! | `activity_regularizer` | none |
//! | frozen weights | frozen layers of a model: `Model::set_trainable` |
//!
//! In f64 some numbers pass through f32 in Keras, and so they do here: the learning rate, the weight decay, the
//! momentum of SGD, the betas where their powers are taken, all betas of Nadam and Lion, Adagrad's first sums. Keras's loss weighs by a mask that it finds on the prediction
//! of a masked model; [`Loss`] sees no mask and takes the mean over all elements.

mod loss;
mod optimizers;
mod reach;
mod schedule;
mod truncated_bptt;
mod weight_rules;

#[cfg(doc)]
use crate::error::Error;

pub use crate::gradients::GradientNorms;
pub use crate::graph::Network;
pub use crate::runner::tape::Tape;
pub use crate::seeds::{DropoutGenerator, DropoutSeeds};
pub use crate::weight_rules::{Constraint, OrthogonalMode, Regularizer};
pub use loss::Loss;
pub use optimizers::{Adagrad, Adam, AdamW, Adamax, Lion, Nadam, Optimizer, RmsProp, Sgd};
pub use reach::Reach;
pub use schedule::{
    CosineDecay, CosineDecayRestarts, ExponentialDecay, InverseTimeDecay, MonitorMode, PiecewiseConstantDecay,
    PolynomialDecay, ReduceLrOnPlateau, Schedule, Scheduled,
};
pub use truncated_bptt::TruncatedBptt;
pub use weight_rules::WeightRules;
