//! Recurrent layers with Keras's numbers.

#![deny(missing_docs)]

mod activation;
mod cells;
mod error;
mod float;
mod gradients;
mod initializers;
mod kernels;
mod layers;
mod mask;
pub mod math;
mod output;
mod random;
mod rows;
mod runner;
mod seeds;
mod state;
pub mod training;
mod weights;

pub use activation::{Activation, CustomActivation};
pub use cells::gru::GruCell;
pub use cells::lstm::LstmCell;
pub use cells::simple_rnn::SimpleRnnCell;
pub use cells::stacked::{StackedCells, StackedCellsBuilder};
pub use cells::{Cell, CellDropout, Step, StepBackward, StepDropout};
pub use error::{Error, Result};
pub use float::Float;
pub use gradients::{Gradients, OutputGradient, WeightGradients};
pub use initializers::{CustomInitializer, FanMode, Initializer, ScalingDistribution};
pub use layers::Layer;
pub use layers::bidirectional::{Bidirectional, Merge};
pub use layers::builder::{Builder, Kind};
pub use layers::dense::{Dense, DenseBuilder};
pub use layers::embedding::{Embedding, EmbeddingBuilder};
pub use layers::gru::Gru;
pub use layers::lstm::Lstm;
pub use layers::masking::Masking;
pub use layers::recurrent::Recurrent;
pub use layers::simple_rnn::SimpleRnn;
pub use layers::stacked::{Stacked, StackedBuilder};
pub use layers::stateful::Stateful;
pub use layers::time_distributed::TimeDistributed;
pub use output::Output;
pub use rand_distr;
pub use random::{KerasRng, SeedSource};
pub use runner::run::{OutputMut, Run};
pub use runner::scratch::Scratch;
pub use runner::stream::Stream;
pub use seeds::{DropoutState, Seeds};
pub use state::{State, StateLayout};
pub use weights::{Path, WeightVisitor, WeightVisitorMut};
