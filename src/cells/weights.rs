//! The three weights that every built-in cell has, in Keras's shapes: the truth from which kernels pack their own form.

use ndarray::{Array2, ArrayD};

use crate::float::Float;
use crate::weights::{WeightVisitor, WeightVisitorMut};

/// `kernel`, `recurrent_kernel` and, unless the layer has none, `bias`; the columns of all gates side by side.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct CellWeights<T> {
    /// (input_size, gates * units)
    pub(crate) kernel: Array2<T>,
    /// (units, gates * units)
    pub(crate) recurrent_kernel: Array2<T>,
    /// (gates * units), or (2, 3 units) for a GRU with `reset_after`
    pub(crate) bias: Option<ArrayD<T>>,
}

impl<T: Float> CellWeights<T> {
    pub(crate) fn input_size(&self) -> usize {
        self.kernel.nrows()
    }

    pub(crate) fn units(&self) -> usize {
        self.recurrent_kernel.nrows()
    }

    /// The three as slices in row-major order, as kernels take them. The arrays are made by this crate in standard
    /// layout and only ever assigned to, so that the slices are always there.
    pub(crate) fn slices(&self) -> (&[T], &[T], Option<&[T]>) {
        (
            self.kernel.as_slice().unwrap_or(&[]),
            self.recurrent_kernel.as_slice().unwrap_or(&[]),
            self.bias.as_ref().and_then(|bias| bias.as_slice()),
        )
    }

    pub(crate) fn visit<'a>(&'a self, visitor: &mut WeightVisitor<'_, 'a, T>) {
        visitor.weight("kernel", &self.kernel);
        visitor.weight("recurrent_kernel", &self.recurrent_kernel);
        if let Some(bias) = &self.bias {
            visitor.weight("bias", bias);
        }
    }

    pub(crate) fn visit_mut(&mut self, visitor: &mut WeightVisitorMut<'_, T>) {
        visitor.weight("kernel", &mut self.kernel);
        visitor.weight("recurrent_kernel", &mut self.recurrent_kernel);
        if let Some(bias) = &mut self.bias {
            visitor.weight("bias", bias);
        }
    }

    pub(crate) fn cast<U: Float>(&self) -> CellWeights<U> {
        let cast = |&value: &T| U::from_f64(value.into_f64());
        CellWeights {
            kernel: self.kernel.map(cast),
            recurrent_kernel: self.recurrent_kernel.map(cast),
            bias: self.bias.as_ref().map(|bias| bias.map(cast)),
        }
    }
}
