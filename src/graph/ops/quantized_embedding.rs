//! Ids to vectors, of a table in fewer bits.

use std::sync::Arc;

use ndarray::IxDyn;

use crate::config::{Config, ConfigError};
use crate::error::{Error, Result};
use crate::graph::gradients::GradientSums;
use crate::graph::operation::{Back, Call, Flow, Operation, Role, misfit};
use crate::graph::shape::{self, Misfit, Shape};
use crate::graph::stream::Step;
use crate::graph::tensor::{Mask, Tensor, Value, in_row_order};
use crate::layers::quantized_embedding::QuantizedEmbedding as Table;
use crate::parameters::Parameters;
use crate::precision::Precision;
use crate::weights::QuantizedVisitor;

/// What [`Model::quantize`](crate::Model::quantize) makes of an Embedding.
#[derive(Debug, Clone)]
pub(crate) struct QuantizedEmbedding {
    table: Arc<Table>,
}

impl QuantizedEmbedding {
    pub(crate) fn new(table: Table) -> Self {
        QuantizedEmbedding { table: Arc::new(table) }
    }
}

impl Operation<f32> for QuantizedEmbedding {
    fn boxed_clone(&self) -> Box<dyn Operation<f32>> {
        Box::new(self.clone())
    }

    fn describe(&self) -> std::result::Result<Config, ConfigError> {
        self.table.describe()
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Misfit> {
        Ok(vec![[&shape::only(inputs)?[..], &[Some(self.table.output_dim())]].concat()])
    }

    fn run(&self, inputs: &[&Tensor<f32>], _call: Call<'_, f32>) -> Result<Vec<Tensor<f32>>> {
        let x = &inputs[0].value;
        let ids = x.integers();
        let rows = in_row_order(&ids).into_shape_with_order((1, ids.len())).map_err(|_| misfit())?;
        let (vectors, _) = self.table.forward(&rows)?;
        let shape: Vec<usize> = ids.shape().iter().copied().chain([self.table.output_dim()]).collect();
        let vectors = vectors.into_shape_with_order(IxDyn(&shape)).map_err(|_| misfit())?;
        // Keras compares the input as it is, before it becomes an integer.
        let mask = self.table.masks_zero().then(|| Mask::of(x.flags()));
        Ok(vec![Tensor { value: Value::Float(vectors.into_shared()), mask }])
    }

    fn backward(&self, _back: Back<'_, f32>, _sums: GradientSums<'_, f32>) -> Result<Vec<Flow<f32>>> {
        self.can_train()?;
        Err(misfit())
    }

    fn step(&self, mut step: Step<'_, f32>) -> Result<()> {
        let (input, width) = (step.input(0), self.table.output_dim());
        let vectors = step.output().as_floats()?;
        let mut refused = None;
        input.each_integer(|at, id| {
            if let Err(error) = self.table.write(at, id, &mut vectors[at * width..][..width]) {
                refused = Some(error);
            }
        });
        if let Some(made) = step.made {
            let flags = made.flags.as_slice_mut().ok_or_else(misfit)?;
            input.each_flag(|at, flag| flags[at] = flag);
        }
        refused.map_or(Ok(()), Err)
    }

    fn can_train(&self) -> Result<()> {
        Err(Error::QuantizedTraining { layer: "QuantizedEmbedding" })
    }

    fn steps_alone(&self) -> bool {
        true
    }

    fn quantized(&self, _precision: Precision) -> Result<Option<crate::graph::operation::Op<f32>>> {
        let reason = "its weights are in fewer bits already: quantize the layer it was made of";
        Err(Error::CannotQuantize { layer: "QuantizedEmbedding".into(), reason })
    }

    fn visit_quantized(&self, visitor: &mut QuantizedVisitor<'_>) {
        self.table.visit_quantized(visitor);
    }

    fn role(&self) -> Role<'_, f32> {
        Role::QuantizedEmbedding(&self.table)
    }
}
