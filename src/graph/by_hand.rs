//! Operations for models that are built by hand, under Keras's names.

use ndarray::ArrayD;

use super::layer::{AnyLayer, Reads};
use super::ops::attention::{Attention as Attend, Score};
use super::ops::constant::Constant;
use super::ops::contract::{Contract, Pattern, Unit};
use super::ops::get_item::{Index, Slice, View};
use super::ops::noise::{Dropout, check_rate};
use super::ops::preprocessing::Rescaling as Rescale;
use super::ops::reduce::{All, Reduce};
use super::ops::unary::{Function, Plain, Unary};
use crate::error::Result;
use crate::float::Float;

/// A part of an array: Python's `x[:, -1]`, `x[:, 1:3]`, Keras's operation of that name. No mask goes on with it.
///
/// The last step of a sequence is the newest one, step by step.
///
/// ```
/// use ndarray::prelude::*;
/// use recurrent::{Dense, Gru, Model, ops};
/// let mut graph = Model::<f32>::builder("last");
/// let x = graph.input("x", [None, Some(4)])?;
/// let h = graph.call("gru", Gru::builder(4, 3).return_sequences(true).build()?, &[x])?;
/// let last = graph.call("last", ops::GetItem::at(1, -1), &h)?;
/// let model = graph.build(&last)?;
/// assert_eq!(model.predict_one(&Array3::<f32>::ones((2, 5, 4)))?.shape(), [2, 3]);
/// # Ok::<(), recurrent::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct GetItem(View);

impl GetItem {
    fn along(axis: usize, index: Index) -> Self {
        GetItem(View::GetItem([vec![Index::Slice(Slice::ALL); axis], vec![index]].concat()))
    }

    /// One element along an axis, counted from the end if it is negative; the axis goes. Axis 0 is the batch, 1 time.
    pub fn at(axis: usize, index: i64) -> Self {
        GetItem::along(axis, Index::At(index))
    }

    /// Of an axis the elements from `start` on, up to `stop`, both counted from the end if negative: Python's
    /// `start:stop`.
    pub fn range(axis: usize, start: Option<i64>, stop: Option<i64>) -> Self {
        GetItem::along(axis, Index::Slice(Slice { start, stop, step: 1 }))
    }
}

/// The axes in another order: Keras's `ops.transpose`.
#[derive(Debug, Clone)]
pub struct Transpose(View);

impl Transpose {
    /// In this order, the batch, 0, included.
    pub fn new(axes: impl AsRef<[i64]>) -> Self {
        Transpose(View::Transpose(Some(axes.as_ref().to_vec())))
    }
}

/// Backwards along an axis: Keras's `ops.flip`.
#[derive(Debug, Clone)]
pub struct Flip(View);

impl Flip {
    /// Along this axis, counted from the end if it is negative.
    pub fn new(axis: i64) -> Self {
        Flip(View::Flip(Some(vec![axis])))
    }
}

/// A type for each operation that makes one number of all along an axis.
macro_rules! reductions {
    ($($(#[doc = $text:literal])* $name:ident;)*) => {$(
        $(#[doc = $text])*
        #[derive(Debug, Clone)]
        pub struct $name(Reduce);

        impl $name {
            /// Along this axis, counted from the end if it is negative; the axis goes.
            pub fn new(axis: i64) -> Self {
                $name(Reduce::new(All::$name, Some(vec![axis]), false))
            }

            /// Leaves an axis of one in its place.
            #[must_use]
            pub fn keepdims(mut self) -> Self {
                self.0.keepdims = true;
                self
            }
        }

        impl<T: Float> From<$name> for AnyLayer<T> {
            fn from(operation: $name) -> Self {
                AnyLayer::new(stringify!($name), operation.0, Reads::Unknown)
            }
        }
    )*};
}

reductions! {
    /// The sum along an axis: Keras's `ops.sum`. Masks aren't looked at.
    Sum;
    /// The mean along an axis: Keras's `ops.mean`. Masks aren't looked at.
    Mean;
    /// The largest along an axis: Keras's `ops.max`. Masks aren't looked at.
    Max;
    /// The smallest along an axis: Keras's `ops.min`. Masks aren't looked at.
    Min;
}

/// A type for each function of each element that isn't an [`Activation`](crate::Activation).
macro_rules! functions {
    ($($(#[doc = $text:literal])* $name:ident = $function:literal;)*) => {$(
        $(#[doc = $text])*
        #[derive(Debug, Clone, Copy)]
        pub struct $name;

        impl<T: Float> From<$name> for AnyLayer<T> {
            fn from(_: $name) -> Self {
                const FUNCTION: &Plain = Plain::named($function);
                AnyLayer::new(stringify!($name), Unary(Function::Plain(FUNCTION)), Reads::AsTheNext)
            }
        }
    )*};
}

functions! {
    /// Each element without its sign: Keras's `ops.absolute`. No mask goes on with it, nor with the others of its kind.
    Absolute = "absolute";
    /// The natural logarithm of each element: Keras's `ops.log`. (The exponential is an
    /// [`Activation`](crate::Activation::Exponential).)
    Log = "log";
    /// Each element with the other sign: Keras's `ops.negative`.
    Negative = "negative";
    /// One over each element: Keras's `ops.reciprocal`.
    Reciprocal = "reciprocal";
    /// The square root of each element: Keras's `ops.sqrt`.
    Sqrt = "sqrt";
    /// The square of each element: Keras's `ops.square`.
    Square = "square";
}

/// The product of two arrays as matrices, (.., m, k) by (.., k, n): Keras's `ops.matmul`.
#[derive(Debug, Clone, Copy)]
pub struct Matmul;

/// Sums of products of two arrays along an axis of each, row by row of the batch: Keras's layer `Dot`.
#[derive(Debug, Clone, Copy)]
pub struct Dot {
    left: i64,
    right: i64,
    unit: Option<Unit>,
}

impl Dot {
    /// Along these axes, of which none is 0, the batch.
    pub fn new(left: i64, right: i64) -> Self {
        Dot { left, right, unit: None }
    }

    /// Makes the vectors along the axes of length one first: the cosine of their angle.
    #[must_use]
    pub fn normalize(mut self) -> Self {
        self.unit = Some(Unit::KERAS);
        self
    }
}

/// `x scale + offset`: Keras's `Rescaling`.
#[derive(Debug, Clone, Copy)]
pub struct Rescaling {
    scale: f64,
    offset: f64,
}

impl Rescaling {
    /// By these numbers.
    pub fn new(scale: f64, offset: f64) -> Self {
        Rescaling { scale, offset }
    }
}

/// Attention of a query to the steps of a value: Keras's `Attention` with a score of products. It reads a query, a value
/// and, if it isn't the value, a key, (batch, timesteps, features) each; masked steps of the value count for nothing,
/// and masked steps of the query give zero.
#[derive(Debug, Clone, Default)]
pub struct Attention {
    scaled: bool,
    causal: bool,
    scores: bool,
    dropout: Option<Dropout>,
}

impl Attention {
    /// Keras's defaults.
    pub fn new() -> Self {
        Attention::default()
    }

    /// With a weight that scales the scores, one at first: `use_scale`.
    #[must_use]
    pub fn use_scale(mut self) -> Self {
        self.scaled = true;
        self
    }

    /// No step of the query sees a later step of the value: `use_causal_mask`.
    #[must_use]
    pub fn causal(mut self) -> Self {
        self.causal = true;
        self
    }

    /// This fraction of the weights is dropped in training: `dropout`, and its `seed`
    /// ([`SeedSource::next_seed`](crate::SeedSource::next_seed) gives Keras's).
    ///
    /// # Errors
    /// [`Error::DropoutRate`](crate::Error::DropoutRate) for a rate that isn't from 0 to 1.
    pub fn dropout(mut self, rate: f64, seed: i64) -> Result<Self> {
        check_rate("dropout", rate)?;
        self.dropout = Dropout::of_scores(rate, Some(seed));
        Ok(self)
    }

    /// The weights as a second result: `return_attention_scores`.
    #[must_use]
    pub fn return_scores(mut self) -> Self {
        self.scores = true;
        self
    }
}

impl<T: Float> From<GetItem> for AnyLayer<T> {
    fn from(operation: GetItem) -> Self {
        AnyLayer::new("GetItem", operation.0, Reads::Unknown)
    }
}

impl<T: Float> From<Transpose> for AnyLayer<T> {
    fn from(operation: Transpose) -> Self {
        AnyLayer::new("Transpose", operation.0, Reads::Unknown)
    }
}

impl<T: Float> From<Flip> for AnyLayer<T> {
    fn from(operation: Flip) -> Self {
        AnyLayer::new("Flip", operation.0, Reads::Unknown)
    }
}

impl<T: Float> From<Matmul> for AnyLayer<T> {
    fn from(_: Matmul) -> Self {
        let pattern = Pattern::Matmul { transpose_left: false, transpose_right: false };
        AnyLayer::new("Matmul", Contract::<T> { pattern, unit: None, left: None, right: None }, Reads::Unknown)
    }
}

impl<T: Float> From<Dot> for AnyLayer<T> {
    fn from(Dot { left, right, unit }: Dot) -> Self {
        let pattern = Pattern::Batch { left, right };
        AnyLayer::new("Dot", Contract::<T> { pattern, unit, left: None, right: None }, Reads::Unknown)
    }
}

impl<T: Float> From<Rescaling> for AnyLayer<T> {
    fn from(Rescaling { scale, offset }: Rescaling) -> Self {
        let [scale, offset] = [scale, offset].map(|number| Constant::<T>::floats(&[], &[number]).unwrap_or_default());
        AnyLayer::new("Rescaling", Rescale { scale, offset }, Reads::AsTheNext)
    }
}

impl<T: Float> From<Attention> for AnyLayer<T> {
    fn from(Attention { scaled, causal, scores, dropout }: Attention) -> Self {
        let scale = scaled.then(|| ArrayD::ones(vec![]));
        let attention = Attend { score: Score::Dot, scale, concat: None, causal, returns_scores: scores, dropout };
        AnyLayer::new("Attention", attention, Reads::Unknown)
    }
}
