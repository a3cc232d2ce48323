//! f32 layers as f64 layers and back: each weight converted, the options kept.

use super::recurrent::Recurrent;
use crate::cells::gru::GruCell;
use crate::cells::lstm::LstmCell;
use crate::cells::simple_rnn::SimpleRnnCell;
use crate::float::Float;

impl<T: Float> Recurrent<SimpleRnnCell<T>> {
    /// The same layer for another element type: every weight rounded once (f64 to f32) or exact (f32 to f64).
    pub fn cast<U: Float>(&self) -> Recurrent<SimpleRnnCell<U>> {
        let cell = self.cell();
        let cast = SimpleRnnCell::new(cell.weights.cast(), cell.activation.clone(), cell.dropout.clone());
        Recurrent::with_options(cast, self.options())
    }
}

impl<T: Float> Recurrent<LstmCell<T>> {
    /// The same layer for another element type: every weight rounded once (f64 to f32) or exact (f32 to f64).
    pub fn cast<U: Float>(&self) -> Recurrent<LstmCell<U>> {
        let cell = self.cell();
        let (activation, recurrent_activation) = (cell.activation.clone(), cell.recurrent_activation.clone());
        let cast = LstmCell::new(cell.weights.cast(), activation, recurrent_activation, cell.dropout.clone());
        Recurrent::with_options(cast, self.options())
    }
}

impl<T: Float> Recurrent<GruCell<T>> {
    /// The same layer for another element type: every weight rounded once (f64 to f32) or exact (f32 to f64).
    pub fn cast<U: Float>(&self) -> Recurrent<GruCell<U>> {
        let cell = self.cell();
        let (activation, recurrent_activation) = (cell.activation.clone(), cell.recurrent_activation.clone());
        let (weights, dropout) = (cell.weights.cast(), cell.dropout.clone());
        let cast = GruCell::new(weights, activation, recurrent_activation, cell.reset_after, dropout);
        Recurrent::with_options(cast, self.options())
    }
}

macro_rules! conversions {
    ($($cell:ident)*) => {$(
        impl From<&Recurrent<$cell<f32>>> for Recurrent<$cell<f64>> {
            fn from(layer: &Recurrent<$cell<f32>>) -> Self {
                layer.cast()
            }
        }

        impl From<&Recurrent<$cell<f64>>> for Recurrent<$cell<f32>> {
            fn from(layer: &Recurrent<$cell<f64>>) -> Self {
                layer.cast()
            }
        }
    )*};
}

conversions!(SimpleRnnCell LstmCell GruCell);
