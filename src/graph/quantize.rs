//! A model in fewer bits.

use std::any::Any;

use ndarray::{Array3, ArrayD};

use super::operation::{Op, Operation, Role, Which};
use super::{Input, Model, Part};
use crate::error::{Error, Result};
use crate::float::Float;
use crate::layers::compare::{Comparison, compare_outputs};
use crate::parameters::Parameters;
use crate::precision::Precision;
use crate::stamp::Stamp;
use crate::weights::WeightVisitor;

impl<T: Float> Model<T> {
    /// The same model with its recurrent and dense layers, its `Conv1D` and the tables of its embeddings in fewer bits,
    /// wherever they are: in wrappers, in models within. Other convolutions, normalizations (with what a
    /// SpectralNormalization has inside) and all other layers stay as they are. It is a model like any other, is saved as
    /// such, and can't be trained; those weights are read by [`dequantized`](Model::dequantized): see the page
    /// [`fewer_bits`](crate::fewer_bits).
    ///
    /// ```
    /// use ndarray::prelude::*;
    /// use recurrent::{Dense, Embedding, Gru, Precision, Sequential};
    /// let model = Sequential::<f32>::builder("words")
    ///     .layer(Embedding::builder(20, 32).mask_zero(true).build()?)
    ///     .layer(Gru::new(32, 64))
    ///     .layer(Dense::new(64, 3))
    ///     .build()?;
    /// let small = model.quantize(Precision::Int8)?;
    /// let ids = array![[3, 1, 4, 0], [1, 5, 9, 2]];
    /// let difference = model.compare(&small, &[(&ids).into()])?;
    /// assert!(difference[0].largest() < 0.05);
    /// assert!(small.weight("gru/kernel").is_err() && small.dequantized("gru/kernel").is_ok());
    /// # Ok::<(), recurrent::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::CannotQuantize`] names the layer that can't and says why: cells that have no such form, f64;
    /// [`Error::QuantizedValue`] if a weight isn't finite.
    pub fn quantize(&self, precision: Precision) -> Result<Model<T>> {
        let mut model = self.clone();
        model.quantize_parts(precision)?;
        Ok(model)
    }

    /// The same in place.
    pub(super) fn quantize_parts(&mut self, precision: Precision) -> Result<()> {
        self.stamp = Stamp::new();
        for part in &mut self.parts {
            let Some(op) = &mut part.op else { continue };
            op.quantize(precision).map_err(|error| match error {
                Error::CannotQuantize { layer, reason } => {
                    Error::CannotQuantize { layer: format!("{}/{layer}", part.name), reason }
                }
                Error::QuantizedValue { weight, given } => {
                    Error::QuantizedValue { weight: format!("{}/{weight}", part.name), given }
                }
                other => other,
            })?;
            match op.role() {
                Role::Recurrent { layer, .. } | Role::QuantizedDense(layer) => part.class = layer.class_name().into(),
                Role::QuantizedEmbedding(_) => part.class = "QuantizedEmbedding".into(),
                Role::InFewerBits(class) => part.class = class.into(),
                _ => {}
            }
            part.count_again();
        }
        Ok(())
    }

    /// What another form of this model, a quantized one, does differently with these inputs: one [`Comparison`] for each
    /// output, by step where there are steps (all axes between the first one, of the rows, and the last).
    ///
    /// # Errors
    /// Those of [`predict`](Model::predict); [`Error::Compared`] for models whose outputs have different shapes.
    pub fn compare(&self, other: &Model<T>, inputs: &[Input<'_, T>]) -> Result<Vec<Comparison>> {
        let (ours, theirs) = (self.predict(inputs)?, other.predict(inputs)?);
        if ours.len() != theirs.len() {
            let (expected, given) = (ours.len().to_string(), theirs.len().to_string());
            return Err(Error::Compared { what: "the number of outputs", expected, given });
        }
        let bytes = [Parameters::weight_bytes(self), Parameters::weight_bytes(other)];
        let mut comparisons = Vec::new();
        for (ours, theirs) in ours.into_iter().zip(theirs) {
            if ours.shape() != theirs.shape() {
                let (expected, given) = (format!("{:?}", ours.shape()), format!("{:?}", theirs.shape()));
                return Err(Error::Compared { what: "output", expected, given });
            }
            comparisons.push(compare_outputs(["Model", "Model"], &by_step(ours)?, &by_step(theirs)?, bytes));
        }
        Ok(comparisons)
    }
}

/// As (rows, steps, outputs).
fn by_step<T: Float>(output: ArrayD<T>) -> Result<Array3<T>> {
    let shape = output.shape().to_vec();
    let rows = shape.first().copied().unwrap_or(1);
    let width = shape.get(1..).and_then(|rest| rest.last()).copied().unwrap_or(1);
    let steps = shape.iter().skip(1).rev().skip(1).product();
    output.into_shape_with_order((rows, steps, width)).map_err(|_| Error::TensorTooLarge { shape })
}

impl<T: Float> Op<T> {
    /// An operation of f32 in a model of `T`, which can only be of that.
    pub(crate) fn of_f32(class: &str, op: Op<f32>) -> Result<Self> {
        let op: Box<dyn Any> = Box::new(op);
        let refused = |_| Error::CannotQuantize { layer: class.into(), reason: "it is of f64" };
        op.downcast().map(|op| *op).map_err(refused)
    }

    /// Puts what is in fewer bits in the place of what has such a form, inside, too.
    pub(super) fn quantize(&mut self, precision: Precision) -> Result<()> {
        match Operation::quantized(&**self, precision)? {
            Some(other) => *self = other,
            None => Operation::quantize(&mut **self, precision)?,
        }
        Ok(())
    }
}

impl<T: Float> Part<T> {
    /// Weights in fewer bits aren't trained.
    fn count_again(&mut self) {
        let all = self.trainable + self.non_trainable;
        let mut learned = 0;
        if let Some(op) = self.op.as_ref().filter(|_| self.trainable > 0) {
            op.visit_weights(Which::Trained, &mut WeightVisitor::new(&mut |_, weight| learned += weight.len()));
        }
        (self.trainable, self.non_trainable) = (learned, all - learned);
    }
}
