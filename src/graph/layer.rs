//! Whatever can be a layer of a model, as one type.

use std::sync::Arc;

use super::Model;
use super::operation::{Op, Operation, Role, Which};
use super::ops;
use super::weights::show_quantized;
use crate::activation::Activation;
use crate::cells::Cell;
use crate::float::Float;
use crate::layers::Layer;
use crate::layers::bidirectional::Bidirectional;
use crate::layers::convolution::Convolve;
use crate::layers::convolution::conv1d::Conv1D;
use crate::layers::convolution::depthwise::DepthwiseConv1D;
use crate::layers::convolution::quantized::QuantizedConv1D;
use crate::layers::convolution::separable::SeparableConv1D;
use crate::layers::dense::Dense;
use crate::layers::embedding::Embedding;
use crate::layers::masking::Masking;
use crate::layers::quantized_embedding::QuantizedEmbedding;
use crate::layers::recurrent::Recurrent;
use crate::layers::stacked::Stacked;
use crate::layers::time_distributed::TimeDistributed;
use crate::state::StateLayout;
use crate::weights::{QuantizedVisitor, QuantizedWeight, WeightPath, WeightVisitor};

/// A layer of a [`Model`]: made by `into()` from every layer, from an [`Embedding`], a [`Masking`], an [`Activation`],
/// the operations of [`ops`](crate::ops), and from a model, which is then one layer of another.
///
/// ```
/// use recurrent::{Embedding, Lstm, ops, model::AnyLayer};
/// let layers: [AnyLayer<f32>; 3] = [Embedding::new(10, 3).into(), Lstm::new(3, 4).into(), ops::Flatten.into()];
/// assert_eq!(layers[1].class_name(), "LSTM");
/// ```
#[derive(Debug, Clone)]
#[must_use = "setters return the layer"]
pub struct AnyLayer<T: Float> {
    pub(super) class: &'static str,
    pub(super) op: Op<T>,
    /// What its first input is, as far as it tells.
    pub(super) reads: Reads,
    /// The states that it keeps from call to call.
    pub(super) states: Vec<Arc<StateLayout>>,
}

/// What a layer reads, as far as it tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reads {
    /// Ids: (batch, timesteps).
    Ids,
    /// (batch, timesteps, features).
    Features(usize),
    /// What the next layer reads: it hands on what it is given.
    AsTheNext,
    /// It doesn't tell.
    Unknown,
}

impl<T: Float> AnyLayer<T> {
    pub(super) fn new(class: &'static str, operation: impl Operation<T>, reads: Reads) -> Self {
        AnyLayer { class, op: Op::new(operation), reads, states: Vec::new() }
    }

    /// An operation that is no layer by itself.
    #[cfg(feature = "onnx")]
    pub(crate) fn of_operation(class: &'static str, operation: impl Operation<T>) -> Self {
        AnyLayer::new(class, operation, Reads::Unknown)
    }

    /// A table of f32 in a model of `T`, which can only be of that.
    #[cfg(feature = "onnx")]
    pub(crate) fn of_table(table: QuantizedEmbedding) -> crate::error::Result<Self> {
        let AnyLayer { class, op, reads, states } = table.into();
        Ok(AnyLayer { class, op: Op::of_f32(class, op)?, reads, states })
    }

    fn over_time(layer: impl Layer<T>) -> Self {
        let (class, reads) = (layer.class_name(), Reads::Features(layer.input_size()));
        AnyLayer::new(class, ops::recurrent::Recurrent::new(layer), reads)
    }

    /// The layer's kind in Keras's words: `LSTM`, `Embedding`, `Add`, ...
    pub fn class_name(&self) -> &'static str {
        self.class
    }

    /// Makes a layer over time keep its state from call to call: Keras's `stateful=True`. The states are in a
    /// [`ModelState`](crate::model::ModelState). Layers without a state stay as they are.
    pub fn stateful(mut self) -> Self {
        if let Role::Recurrent { layer, .. } = self.op.role() {
            self.states = vec![Arc::clone(layer.state_layout())];
        }
        self
    }

    /// The same for each time step: Keras's `TimeDistributed`, of whatever is inside. What keeps a state can't be: the
    /// call is refused ([`Error::StatefulInside`](crate::Error::StatefulInside)).
    pub fn for_each_step(self) -> Self {
        let reads = Reads::Unknown;
        AnyLayer {
            class: "TimeDistributed",
            op: Op::new(ops::time_distributed::TimeDistributed(self.op)),
            reads,
            ..self
        }
    }

    /// The same on (batch, features, timesteps): Keras's `data_format="channels_first"`, of a convolution, a pooling
    /// layer or whatever reads (batch, timesteps, features).
    pub fn channels_first(self) -> Self {
        AnyLayer { op: Op::new(ops::channels_first::ChannelsFirst(self.op)), reads: Reads::Unknown, ..self }
    }

    /// The numbers of elements of weights that are trained, and that aren't.
    pub(super) fn counts(&self) -> (usize, usize) {
        if let Some(model) = self.op.model() {
            return model.counts();
        }
        let count = |which: Which| {
            let mut count = 0;
            self.op.visit_weights(which, &mut WeightVisitor::new(&mut |_, weight| count += weight.len()));
            count
        };
        let (trained, mut quantized) = (count(Which::Trained), 0);
        let each = &mut |_: &WeightPath<'_>, weight: QuantizedWeight<'_>| quantized += weight.len();
        show_quantized(&*self.op, &mut QuantizedVisitor::new(each));
        (trained, count(Which::All) - trained + quantized)
    }
}

impl<C: Cell> From<Recurrent<C>> for AnyLayer<C::Elem> {
    fn from(layer: Recurrent<C>) -> Self {
        AnyLayer::over_time(layer)
    }
}

impl<T: Float> From<Bidirectional<T>> for AnyLayer<T> {
    fn from(layer: Bidirectional<T>) -> Self {
        AnyLayer::over_time(layer)
    }
}

impl<T: Float> From<Stacked<T>> for AnyLayer<T> {
    fn from(layer: Stacked<T>) -> Self {
        AnyLayer::over_time(layer)
    }
}

impl<T: Float> From<Box<dyn Layer<T>>> for AnyLayer<T> {
    fn from(layer: Box<dyn Layer<T>>) -> Self {
        AnyLayer::over_time(layer)
    }
}

impl<T: Float> From<Dense<T>> for AnyLayer<T> {
    fn from(layer: Dense<T>) -> Self {
        let reads = Reads::Features(layer.input_size());
        AnyLayer::new("Dense", ops::dense::Dense::new(layer), reads)
    }
}

/// A `From` for each convolution.
macro_rules! convolutions {
    ($($layer:ident)*) => {$(
        impl<T: Float> From<$layer<T>> for AnyLayer<T> {
            fn from(layer: $layer<T>) -> Self {
                let reads = Reads::Features(layer.common().input_size);
                AnyLayer::new(stringify!($layer), ops::convolution::Convolution::new(layer), reads)
            }
        }
    )*};
}

convolutions! { Conv1D DepthwiseConv1D SeparableConv1D }

impl<T: Float> From<TimeDistributed<T>> for AnyLayer<T> {
    fn from(layer: TimeDistributed<T>) -> Self {
        let reads = Reads::Features(layer.input_size());
        AnyLayer { reads, ..AnyLayer::from(layer.layer().clone()).for_each_step() }
    }
}

impl<T: Float> From<Embedding<T>> for AnyLayer<T> {
    fn from(table: Embedding<T>) -> Self {
        AnyLayer::new("Embedding", ops::embedding::Embedding::new(table), Reads::Ids)
    }
}

impl From<QuantizedEmbedding> for AnyLayer<f32> {
    fn from(table: QuantizedEmbedding) -> Self {
        let op = ops::quantized_embedding::QuantizedEmbedding::new(table);
        AnyLayer::new("QuantizedEmbedding", op, Reads::Ids)
    }
}

impl From<QuantizedConv1D> for AnyLayer<f32> {
    fn from(layer: QuantizedConv1D) -> Self {
        let features = layer.common().input_size;
        AnyLayer::new("QuantizedConv1D", ops::convolution::Convolution::new(layer), Reads::Features(features))
    }
}

impl<T: Float> From<Masking<T>> for AnyLayer<T> {
    fn from(layer: Masking<T>) -> Self {
        AnyLayer::new("Masking", ops::masking::Masking(layer.mask_value()), Reads::AsTheNext)
    }
}

impl<T: Float> From<Activation> for AnyLayer<T> {
    fn from(activation: Activation) -> Self {
        let reads = if activation.changes_width() { Reads::Unknown } else { Reads::AsTheNext };
        AnyLayer::new("Activation", activation, reads)
    }
}

impl<T: Float> From<Model<T>> for AnyLayer<T> {
    fn from(mut model: Model<T>) -> Self {
        let states = std::mem::take(&mut model.stateful);
        let class = if model.sequential { "Sequential" } else { "Functional" };
        AnyLayer { states, ..AnyLayer::new(class, ops::nested::Nested(Box::new(model)), Reads::Unknown) }
    }
}

impl<T: Float> From<ops::noise::Dropout> for AnyLayer<T> {
    fn from(layer: ops::noise::Dropout) -> Self {
        AnyLayer::new(layer.class(), layer, Reads::AsTheNext)
    }
}

/// A `From` for each operation that has its own type, under Keras's name of the class.
macro_rules! operations {
    ($($operation:ty, $class:literal, $reads:ident;)*) => {$(
        impl<T: Float> From<$operation> for AnyLayer<T> {
            fn from(operation: $operation) -> Self {
                AnyLayer::new($class, operation, Reads::$reads)
            }
        }
    )*};
}

operations! {
    ops::concatenate::Concatenate, "Concatenate", Unknown;
    ops::shapes::Flatten, "Flatten", Unknown;
    ops::shapes::Permute, "Permute", Unknown;
    ops::shapes::RepeatVector, "RepeatVector", Unknown;
    ops::shapes::Reshape, "Reshape", Unknown;
    ops::softmax::Softmax, "Softmax", AsTheNext;
    ops::shapes::ExpandDims, "ExpandDims", Unknown;
    ops::identity::Identity, "Identity", AsTheNext;
    ops::flags::NotEqual, "NotEqual", Unknown;
    ops::flags::Any, "Any", Unknown;
    ops::flags::LogicalOr, "LogicalOr", Unknown;
    ops::flags::Flags, "OnesLike", Unknown;
}

/// A `From` for each name of an operation that has several.
macro_rules! named_operations {
    ($($layer:ident of $operation:ident in $file:ident;)*) => {$(
        impl<T: Float> From<ops::$file::$layer> for AnyLayer<T> {
            fn from(layer: ops::$file::$layer) -> Self {
                AnyLayer::new(stringify!($layer), ops::$file::$operation::from(layer), Reads::Unknown)
            }
        }
    )*};
}

named_operations! {
    MaxPooling1D of Pooling in pooling;
    AveragePooling1D of Pooling in pooling;
    GlobalMaxPooling1D of GlobalPooling in global_pooling;
    GlobalAveragePooling1D of GlobalPooling in global_pooling;
    ZeroPadding1D of Moving in moved_steps;
    Cropping1D of Moving in moved_steps;
    UpSampling1D of Moving in moved_steps;
}

impl<T: Float> From<ops::custom::CustomLayer<T>> for AnyLayer<T> {
    fn from(layer: ops::custom::CustomLayer<T>) -> Self {
        AnyLayer::new("CustomLayer", layer, Reads::Unknown)
    }
}

impl<T: Float> From<ops::prelu::PRelu<T>> for AnyLayer<T> {
    fn from(layer: ops::prelu::PRelu<T>) -> Self {
        AnyLayer::new("PReLU", layer, Reads::Unknown)
    }
}

impl<T: Float> From<ops::normalization::LayerNormalization<T>> for AnyLayer<T> {
    fn from(layer: ops::normalization::LayerNormalization<T>) -> Self {
        let reads = Reads::Features(layer.0.shape[0]);
        AnyLayer::new("LayerNormalization", layer.0, reads)
    }
}

impl<T: Float> From<ops::normalization::RMSNormalization<T>> for AnyLayer<T> {
    fn from(layer: ops::normalization::RMSNormalization<T>) -> Self {
        let reads = Reads::Features(layer.0.shape[0]);
        AnyLayer::new("RMSNormalization", layer.0, reads)
    }
}

impl<T: Float> From<ops::group_normalization::GroupNormalization<T>> for AnyLayer<T> {
    fn from(layer: ops::group_normalization::GroupNormalization<T>) -> Self {
        AnyLayer::new("GroupNormalization", layer, Reads::Unknown)
    }
}

impl<T: Float> From<ops::einsum_dense::EinsumDense<T>> for AnyLayer<T> {
    fn from(layer: ops::einsum_dense::EinsumDense<T>) -> Self {
        AnyLayer::new("EinsumDense", layer, Reads::Unknown)
    }
}

impl<T: Float> From<ops::normalization::BatchNormalization<T>> for AnyLayer<T> {
    fn from(layer: ops::normalization::BatchNormalization<T>) -> Self {
        let reads = if layer.0.axes == [-1] { Reads::Features(layer.0.shape[0]) } else { Reads::Unknown };
        AnyLayer::new("BatchNormalization", layer.0, reads)
    }
}

/// A `From` for each merging layer.
macro_rules! merging {
    ($($layer:ident)*) => {$(
        impl<T: Float> From<ops::merge::$layer> for AnyLayer<T> {
            fn from(_: ops::merge::$layer) -> Self {
                let merge = ops::merge::Merge { how: ops::merge::MergeOp::$layer, masks: ops::merge::MaskRule::Any };
                AnyLayer::new(stringify!($layer), merge, Reads::Unknown)
            }
        }
    )*};
}

merging! { Add Average Maximum Minimum Multiply Subtract }
