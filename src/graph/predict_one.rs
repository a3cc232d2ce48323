//! The usual model: one input, one output.

use ndarray::ArrayD;

use super::{Input, Model};
use crate::error::{Error, Result};
use crate::float::Float;

impl<T: Float> Model<T> {
    /// [`predict`](Model::predict) for a model of one input and one output.
    ///
    /// ```no_run
    /// use ndarray::prelude::*;
    /// use recurrent::keras;
    /// let model = keras::load::<f32>("sentiment.keras")?;
    /// println!("{}", model.predict_one(&array![[5, 8, 13], [2, 3, 5]])?); // (batch, timesteps) ids
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::ModelSeveral`] lists the inputs and outputs of a model that has others; those of
    /// [`predict`](Model::predict).
    pub fn predict_one<'a>(&self, input: impl Into<Input<'a, T>>) -> Result<ArrayD<T>> {
        if let ([_], [_]) = (&self.inputs[..], &self.outputs[..]) {
            let mut outputs = self.predict(&[input.into()])?;
            if let Some(output) = outputs.pop() {
                return Ok(output);
            }
        }
        let inputs = self.inputs().map(|(name, _)| name.to_string()).collect();
        Err(Error::ModelSeveral { inputs, outputs: self.outputs().map(|(name, _)| name.to_string()).collect() })
    }
}
