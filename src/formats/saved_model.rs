//! What the writers of other frameworks' files take.

use std::borrow::Cow;

use crate::cells::Cell;
use crate::error::Error;
use crate::float::Float;
use crate::graph::{AnyLayer, Model, Sequential};
use crate::layers::Layer;
use crate::layers::bidirectional::Bidirectional;
use crate::layers::dense::Dense;
use crate::layers::embedding::Embedding;
use crate::layers::recurrent::Recurrent;
use crate::layers::stacked::Stacked;
use crate::layers::time_distributed::TimeDistributed;

/// What a file can be written of: a [`Model`]; every layer, boxed ones too; an [`Embedding`]. A layer is written as a
/// `Sequential` with an `Input` of its features, a [`Stacked`] as one of its layers.
///
/// Sealed.
pub trait Saved: sealed::Sealed {
    /// The type of its numbers.
    #[doc(hidden)]
    type Elem: Float;

    /// As a model.
    #[doc(hidden)]
    fn as_model(&self) -> Result<Cow<'_, Model<Self::Elem>>, Error>;
}

mod sealed {
    /// Implemented by what can be written only.
    pub trait Sealed {}
}

/// One after another as a model.
fn sequential<T: Float>(layers: Vec<AnyLayer<T>>) -> Result<Cow<'static, Model<T>>, Error> {
    let builder = layers.into_iter().fold(Sequential::builder("sequential"), |model, layer| model.layer(layer));
    builder.build().map(Cow::Owned)
}

macro_rules! saved {
    ($([$($generics:tt)*] $type:ty, $elem:ty;)*) => {$(
        impl<$($generics)*> sealed::Sealed for $type {}

        impl<$($generics)*> Saved for $type {
            type Elem = $elem;

            fn as_model(&self) -> Result<Cow<'_, Model<$elem>>, Error> {
                sequential(vec![self.clone().into()])
            }
        }
    )*};
}

saved! {
    [C: Cell] Recurrent<C>, C::Elem;
    [T: Float] Bidirectional<T>, T;
    [T: Float] Dense<T>, T;
    [T: Float] TimeDistributed<T>, T;
    [T: Float] Embedding<T>, T;
    [T: Float] AnyLayer<T>, T;
}

impl<T: Float> sealed::Sealed for Model<T> {}

impl<T: Float> Saved for Model<T> {
    type Elem = T;

    fn as_model(&self) -> Result<Cow<'_, Model<T>>, Error> {
        Ok(Cow::Borrowed(self))
    }
}

impl<T: Float> sealed::Sealed for Stacked<T> {}

impl<T: Float> Saved for Stacked<T> {
    type Elem = T;

    fn as_model(&self) -> Result<Cow<'_, Model<T>>, Error> {
        match self.returns_state() {
            // A stack that returns its state is one layer.
            true => sequential(vec![self.clone().into()]),
            false => sequential(self.parts().into_iter().map(|(_, layer)| layer.boxed_clone().into()).collect()),
        }
    }
}

impl<T: Float> sealed::Sealed for Box<dyn Layer<T>> {}

impl<T: Float> Saved for Box<dyn Layer<T>> {
    type Elem = T;

    fn as_model(&self) -> Result<Cow<'_, Model<T>>, Error> {
        match self.class_name() {
            // A stack in a box is one, too.
            "Stacked" if !self.returns_state() => {
                sequential(self.parts().into_iter().map(|(_, layer)| layer.boxed_clone().into()).collect())
            }
            _ => sequential(vec![self.clone().into()]),
        }
    }
}
