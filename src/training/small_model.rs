//! Training a small model: from data to a saved file.
//!
//! # The data
//!
//! Arrays whose first axis are rows. Features are floats, (rows, timesteps, features); ids are integers, (rows,
//! timesteps), for a model that begins with an [`Embedding`](crate::Embedding). Targets are whatever the loss reads:
//! floats like the network's output, or classes (integers of any type), one for each row or for each step.
//!
//! Below, a seasonal series: from 24 values to the next one. Scale features to about -1..=1 first; a series that is
//! standardised learns in a tenth of the time.
//!
//! # The network
//!
//! A [`Stacked`](crate::Stacked) of layers, or a [`Model`](crate::Model) by [`Sequential`](crate::Sequential) or
//! [`Model::builder`](crate::Model::builder): [`Fit`](super::Fit) takes either. Seeds make a run that can be repeated:
//! the same bits each time, and those of a Keras script but for rounding.
//!
//! ```
//! use ndarray::prelude::*;
//! use recurrent::{Dense, Gru, Layer, SeedSource, Stacked, training::*};
//! # #[cfg(feature = "file")]
//! use recurrent::file;
//!
//! let series = |t: usize| (0.5 * t as f32).sin() + 0.3 * (1.7 * t as f32).cos();
//! let x = Array3::from_shape_fn((200, 24, 1), |(row, t, _)| series(row + t));
//! let next = Array2::from_shape_fn((200, 1), |(row, _)| series(row + 24));
//!
//! let mut seeds = SeedSource::keras(7);
//! let gru = Gru::<f32>::builder(1, 8).dropout(0.02).seeds(&mut seeds).build()?;
//! let head = Dense::builder(8, 1).seeds(&mut seeds).build()?;
//! let mut net = Stacked::builder().layer(gru).layer(head).build()?;
//!
//! let history = Fit::new(Loss::MeanSquaredError, Adam::new(0.01))
//!     .metric(Metric::MeanAbsoluteError)
//!     .epochs(8)
//!     .batch_size(16)
//!     .shuffle_each_epoch(7)
//!     .validation_split(0.2)
//!     .early_stopping(EarlyStopping::new("val_loss").patience(3).restore_best_weights(true))
//!     .run(&mut net, &x, &next)?;
//! let losses = history.get("val_loss")?;
//! assert!(losses[losses.len() - 1] < 0.5 * losses[0]);
//!
//! // Saved, loaded, and used: the same bits.
//! # #[cfg(feature = "file")] {
//! let bytes = file::to_bytes(&net)?; // or file::save("forecast.safetensors", &net)?
//! let loaded: Stacked = file::from_bytes(&bytes)?;
//! assert_eq!(loaded.forward(&x)?.last(), net.forward(&x)?.last());
//! # }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Which loss
//!
//! | the network is to give | last layer | loss | metric |
//! |---|---|---|---|
//! | numbers | `Dense::new(n, k)` | [`MeanSquaredError`](super::Loss::MeanSquaredError); [`Huber`](super::Loss::Huber) if some are far out | [`MeanAbsoluteError`](super::Metric::MeanAbsoluteError) |
//! | one of k classes | `Dense::new(n, k)` | [`SparseCategoricalCrossentropy`](super::Loss::SparseCategoricalCrossentropy)` { from_logits: true }` | [`SparseCategoricalAccuracy`](super::Metric::SparseCategoricalAccuracy) |
//! | yes or no | `Dense::new(n, 1)` | [`BinaryCrossentropy`](super::Loss::BinaryCrossentropy)` { from_logits: true }` | [`BinaryAccuracy`](super::Metric::BinaryAccuracy)` { threshold: 0.0 }`, [`Auc`](super::Auc) |
//! | a class at each step | with `return_sequences(true)` before it | the same as of one class, targets (rows, timesteps) | the same |
//! | labels, no one knows when | the same, class 0 for "nothing" | [`Ctc`](super::Loss::Ctc) | |
//!
//! Logits are better than probabilities: a cross-entropy of probabilities is clipped, and its gradient with it.
//! [`Activation::Softmax`](crate::Activation::Softmax) on the network's output makes probabilities of them.
//!
//! # Rows of different lengths
//!
//! Pad them. A model that begins with `Embedding::builder(..).mask_zero(true)` finds the padding by itself; a layer is
//! told by [`Dataset::lengths`](super::Dataset::lengths). Steps that are masked count in no loss.
//! [`bucket_by_length`](super::Fit::bucket_by_length) puts rows of like length into one batch and cuts the rest off.
//!
//! # A run that takes long
//!
//! [`Fit::checkpoint`](super::Fit::checkpoint) (feature `file`) writes one file after each epoch: weights, the
//! optimizer, dropout, the epoch. [`Fit::resume`](super::Fit::resume) goes on from it, after a restart, too, with the bits
//! of a run without the pause. [`Fit::reduce_lr_on_plateau`](super::Fit::reduce_lr_on_plateau) lowers the learning rate
//! where nothing gets better.
//!
//! # When it doesn't learn
//!
//! - Is the loss the same after the first epoch? Try a learning rate ten times larger, then ten times smaller.
//! - [`Error::NotFinite`](crate::Error::NotFinite) names the weight whose gradient exploded: a smaller learning rate,
//!   or `clipnorm(1.0)` of the optimizer.
//! - Does `val_loss` rise while `loss` falls? Dropout, fewer units, more data, or early stopping as above.
//! - A long memory: an LSTM, and its recurrent kernel orthogonal (the default).
//! - Slow? Build with `--release`; in a debug build set `opt-level = 3` for this crate.
