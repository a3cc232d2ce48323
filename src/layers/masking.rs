//! A mask from the values of an input.

use ndarray::{Array2, Array3, ArrayRef3, ArrayView1, Axis};

use crate::error::{Error, Result};
use crate::float::Float;
use crate::memory::{self, MemoryNeeds};

/// Masks the steps whose features all equal one value: Keras's `Masking`.
///
/// ```
/// use ndarray::prelude::*;
/// use recurrent::{Gru, Layer, Masking, Run};
/// let x = array![[[1.0_f32, 2.0], [0.0, 3.0], [0.0, 0.0]]];
/// let (x, mask) = Masking::new(0.0)?.forward(&x)?;
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

    /// The value that masks a step.
    pub fn mask_value(&self) -> T {
        self.mask_value
    }

    /// The mask alone, (batch, timesteps): true where any feature differs from the mask value.
    ///
    /// # Errors
    /// [`Error::TensorTooLarge`] for an input that repeats its elements more often than there is memory for.
    pub fn mask(&self, x: &ArrayRef3<T>) -> Result<Array2<bool>> {
        let (batch, timesteps, _) = x.dim();
        memory::check_shape(&[batch, timesteps])?;
        memory::check::<bool>(memory::product(&[batch, timesteps]), &[batch, timesteps])?;
        let is_live = |step: ArrayView1<'_, T>| step.iter().any(|&value| value != self.mask_value);
        // No rows cost no time, however many steps they have.
        if batch == 0 { Ok(Array2::default((0, timesteps))) } else { Ok(x.map_axis(Axis(2), is_live)) }
    }

    /// The input with zeros in the masked steps, as Keras hands it on, and the mask.
    ///
    /// # Errors
    /// [`Error::TensorTooLarge`] for an input that repeats its elements more often than there is memory for.
    pub fn forward(&self, x: &ArrayRef3<T>) -> Result<(Array3<T>, Array2<bool>)> {
        let mut needs = MemoryNeeds::default();
        needs.array::<T>(x.shape());
        needs.array::<bool>(&x.shape()[..2]);
        needs.check(x.shape())?;
        let mask = self.mask(x)?;
        let mut x = x.to_owned();
        for ((row, time), &live) in mask.indexed_iter() {
            if !live {
                x.slice_mut(ndarray::s![row, time, ..]).fill(T::zero());
            }
        }
        Ok((x, mask))
    }
}
