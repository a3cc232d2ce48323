//! A mask from the values of an input.

use ndarray::{Array2, Array3, ArrayRef3, Axis};

use crate::error::{Error, Result};
use crate::float::Float;

/// Masks the steps whose features all equal one value: Keras's `Masking`.
///
/// ```
/// use ndarray::prelude::*;
/// use recurrent::{Gru, Layer, Masking, Run};
/// let x = array![[[1.0_f32, 2.0], [0.0, 3.0], [0.0, 0.0]]];
/// let (x, mask) = Masking::new(0.0)?.forward(&x);
/// assert_eq!(mask, array![[true, true, false]]);
/// Gru::new(2, 4).run(&x, Run::new().mask(&mask))?;
/// # Ok::<(), recurrent::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Masking<T> {
    mask_value: T,
}

impl<T: Float> Masking<T> {
    /// Masks steps of this value.
    ///
    /// # Errors
    /// [`Error::MaskValue`] for NaN, which equals nothing.
    pub fn new(mask_value: T) -> Result<Self> {
        if mask_value.is_nan() { Err(Error::MaskValue) } else { Ok(Masking { mask_value }) }
    }

    /// The mask alone, (batch, timesteps): true where any feature differs from the mask value.
    pub fn mask(&self, x: &ArrayRef3<T>) -> Array2<bool> {
        x.map_axis(Axis(2), |step| step.iter().any(|&value| value != self.mask_value))
    }

    /// The input with zeros in the masked steps, as Keras hands it on, and the mask.
    pub fn forward(&self, x: &ArrayRef3<T>) -> (Array3<T>, Array2<bool>) {
        let mask = self.mask(x);
        let mut x = x.to_owned();
        for ((row, time), &real) in mask.indexed_iter() {
            if !real {
                x.slice_mut(ndarray::s![row, time, ..]).fill(T::zero());
            }
        }
        (x, mask)
    }
}
