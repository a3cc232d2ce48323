//! Training: what a recorded run leaves behind, gradients, losses and optimizers.
//!
//! A training step is a run that records, a loss, a way back and an update; each value is the caller's and is reused
//! from step to step:
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
//! [`Run::record`](crate::Run::record) writes a [`Tape`], [`Layer::backward`](crate::Layer::backward) reads it, once.
//! [`Gradients`](crate::Gradients) add up over calls until they are cleared.

mod adam;
mod loss;
mod optimizer;
mod sgd;

pub use crate::runner::tape::Tape;
pub use adam::Adam;
pub use loss::Loss;
pub use optimizer::Optimizer;
pub use sgd::Sgd;
