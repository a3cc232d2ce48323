//! What a builder makes of a cell: its layer.

use ndarray::{Array2, ArrayD};

use crate::cells::builder::Builder;
pub(crate) use crate::cells::builder::check_activation;
pub(super) use crate::cells::builder::{check_sizes, with_seed};
use crate::cells::{BuiltInCell, Listed};
use crate::error::Result;
use crate::float::Float;
use crate::layers::recurrent::Recurrent;

impl<C: BuiltInCell> Builder<'_, C> {
    /// Makes the layer.
    ///
    /// # Errors
    /// [`Error::ZeroSize`](crate::Error::ZeroSize), [`SizeOverflow`](crate::Error::SizeOverflow),
    /// [`OutOfMemory`](crate::Error::OutOfMemory), [`ActivationWidth`](crate::Error::ActivationWidth),
    /// [`DropoutRate`](crate::Error::DropoutRate), [`OptionNumber`](crate::Error::OptionNumber), an activation's or
    /// initializer's own error.
    pub fn build(mut self) -> Result<Recurrent<C>> {
        let run = self.run_options();
        Ok(Recurrent::with_options(self.make_cell()?, run))
    }

    /// The layer with zeros for weights, which are to follow; no initializer runs.
    #[cfg(any(feature = "keras", feature = "onnx"))]
    pub(crate) fn build_of_zeros(mut self) -> Result<Recurrent<C>> {
        let run = self.run_options();
        Ok(Recurrent::with_options(self.make_cell_of_zeros()?, run))
    }
}

impl<C: BuiltInCell> Recurrent<C> {
    /// A layer with Keras's defaults and random weights.
    ///
    /// # Panics
    /// If a size is zero or the weights can't be addressed: use [`builder`](Self::builder) for sizes that aren't
    /// known to be sound.
    #[track_caller]
    pub fn new(input_size: usize, units: usize) -> Self {
        super::or_panic(Self::builder(input_size, units).build())
    }

    /// A builder for a layer of `units` units over `input_size` features.
    pub fn builder(input_size: usize, units: usize) -> Builder<'static, C> {
        Builder::new(input_size, units)
    }
}

impl<C: Listed> Recurrent<C> {
    /// The same layer for another element type: every weight rounded once (f64 to f32) or exact (f32 to f64), the
    /// options kept.
    pub fn cast<U: Float>(&self) -> Recurrent<C::For<U>> {
        Recurrent::with_options(C::For::<U>::assemble(self.cell().parts().cast()), self.options())
    }
}

/// A weight of rank 2 as such.
pub(super) fn matrix<T: Float>(array: ArrayD<T>) -> Array2<T> {
    let (rows, columns) = (array.shape()[0], array.shape()[1]);
    let mut matrix = Array2::zeros((rows, columns));
    matrix.iter_mut().zip(&array).for_each(|(to, from)| *to = *from);
    matrix
}
