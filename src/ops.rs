//! Operations of a [`Model`](crate::Model) that aren't layers by themselves, under Keras's names: what merges several
//! inputs, what moves elements, attention. They go into [`ModelBuilder::call`](crate::builder::ModelBuilder::call) and
//! [`SequentialBuilder::layer`](crate::builder::SequentialBuilder::layer).
//!
//! Masks go through merging layers as in Keras 3: a step of the result is live where it is in any of the inputs.
//!
//! ```
//! use ndarray::prelude::*;
//! use recurrent::{Gru, Model, ops};
//! let mut graph = Model::<f32>::builder("residual");
//! let x = graph.input("x", [None, Some(4)])?;
//! let y = graph.call("gru", Gru::builder(4, 4).return_sequences(true).build()?, &[x])?;
//! let sum = graph.call("sum", ops::Add, &[x, y[0]])?;
//! let model = graph.build(&sum)?;
//! assert_eq!(model.predict_one(&Array3::<f32>::ones((2, 5, 4)))?.shape(), [2, 5, 4]);
//! # Ok::<(), recurrent::Error>(())
//! ```

pub use crate::graph::by_hand::{Absolute, Log, Negative, Reciprocal, Sqrt, Square};
pub use crate::graph::by_hand::{Attention, Dot, Flip, GetItem, Matmul, Max, Mean, Min, Rescaling, Sum, Transpose};
pub use crate::graph::ops::concatenate::Concatenate;
pub use crate::graph::ops::custom::CustomLayer;
pub use crate::graph::ops::einsum_dense::EinsumDense;
pub use crate::graph::ops::flags::{Any, Flags, LogicalOr, NotEqual};
pub use crate::graph::ops::global_pooling::{GlobalAveragePooling1D, GlobalMaxPooling1D};
pub use crate::graph::ops::group_normalization::GroupNormalization;
pub use crate::graph::ops::identity::Identity;
pub use crate::graph::ops::merge::{Add, Average, Maximum, Minimum, Multiply, Subtract};
pub use crate::graph::ops::moved_steps::{Cropping1D, UpSampling1D, ZeroPadding1D};
pub use crate::graph::ops::noise::Dropout;
pub use crate::graph::ops::normalization::{BatchNormalization, LayerNormalization, RMSNormalization};
pub use crate::graph::ops::pooling::{AveragePooling1D, MaxPooling1D};
pub use crate::graph::ops::prelu::PRelu;
pub use crate::graph::ops::shapes::{ExpandDims, Flatten, Permute, RepeatVector, Reshape};
pub use crate::graph::ops::softmax::Softmax;
