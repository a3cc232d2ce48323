//! Ids to vectors.

use std::sync::Arc;

use ndarray::{Array1, Axis, Ix3, IxDyn};

use super::quantized_embedding::QuantizedEmbedding;
use super::shapes;
use crate::config::{Config, ConfigError};
use crate::error::Result;
use crate::float::Float;
use crate::graph::gradients::GradientSums;
use crate::graph::operation::{Back, Call, Flow, Op, Operation, Role, Which, misfit};
use crate::graph::shape::{self, Misfit, Shape};
use crate::graph::stream::Step;
use crate::graph::tensor::{Mask, Tensor, Value, in_row_order};
use crate::layers::embedding::Embedding as Table;
use crate::parameters::Parameters;
use crate::precision::Precision;
use crate::weights::{WeightVisitor, WeightVisitorMut};

/// A table of vectors, over ids of any shape.
#[derive(Debug, Clone)]
pub(crate) struct Embedding<T: Float> {
    table: Arc<Table<T>>,
}

impl<T: Float> Embedding<T> {
    pub(crate) fn new(table: Table<T>) -> Self {
        Embedding { table: Arc::new(table) }
    }
}

impl<T: Float> Operation<T> for Embedding<T> {
    fn boxed_clone(&self) -> Box<dyn Operation<T>> {
        Box::new(self.clone())
    }

    fn describe(&self) -> std::result::Result<Config, ConfigError> {
        self.table.describe()
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Misfit> {
        Ok(vec![[&shape::only(inputs)?[..], &[Some(self.table.embeddings().ncols())]].concat()])
    }

    fn run(&self, inputs: &[&Tensor<T>], _call: Call<'_, T>) -> Result<Vec<Tensor<T>>> {
        let x = &inputs[0].value;
        let ids = x.integers();
        let rows = in_row_order(&ids).into_shape_with_order((1, ids.len())).map_err(|_| misfit())?;
        let (vectors, _) = self.table.forward(&rows)?;
        let width = vectors.dim().2;
        let shape: Vec<usize> = ids.shape().iter().copied().chain([width]).collect();
        let vectors = vectors.into_shape_with_order(IxDyn(&shape)).map_err(|_| misfit())?;
        // Keras compares the input as it is, before it becomes an integer.
        let mask = self.table.masks_zero().then(|| Mask::of(x.flags()));
        Ok(vec![Tensor { value: Value::Float(vectors.into_shared()), mask }])
    }

    /// Ids have no gradient.
    fn backward(&self, mut back: Back<'_, T>, mut sums: GradientSums<'_, T>) -> Result<Vec<Flow<T>>> {
        if !sums.is_empty() {
            let (d, ids) = (back.of_output()?, back.input()?);
            let ids: Array1<i64> = in_row_order(&ids.integers()).into_iter().collect();
            let d = shapes::reshaped_gradient(d, &[1, ids.len(), self.table.embeddings().ncols()])?;
            let d = d.into_dimensionality::<Ix3>().map_err(|_| misfit())?;
            let table = &*self.table;
            sums.lend(table, false, |lent| table.backward(&ids.insert_axis(Axis(0)), &d, lent))?;
        }
        Ok(vec![None])
    }

    fn step(&self, mut step: Step<'_, T>) -> Result<()> {
        let (input, width) = (step.input(0), self.table.embeddings().ncols());
        let vectors = step.output().as_floats()?;
        let mut refused = None;
        input.each_integer(|at, id| match self.table.row(at, id) {
            Ok(row) => vectors[at * width..][..width].iter_mut().zip(row).for_each(|(to, &from)| *to = from),
            Err(error) => refused = Some(error),
        });
        if let Some(made) = step.made {
            let flags = made.flags.as_slice_mut().ok_or_else(misfit)?;
            input.each_flag(|at, flag| flags[at] = flag);
        }
        refused.map_or(Ok(()), Err)
    }

    fn visit_weights<'a>(&'a self, _which: Which, visitor: &mut WeightVisitor<'_, 'a, T>) {
        self.table.visit_weights(visitor);
    }

    fn visit_weights_mut(&mut self, _which: Which, visitor: &mut WeightVisitorMut<'_, T>) -> Result<()> {
        Arc::make_mut(&mut self.table).visit_weights_mut(visitor)
    }

    fn steps_alone(&self) -> bool {
        true
    }

    fn quantized(&self, precision: Precision) -> Result<Option<Op<T>>> {
        let table = QuantizedEmbedding::new(self.table.quantize(precision)?);
        Op::of_f32("Embedding", Op::new(table)).map(Some)
    }

    fn role(&self) -> Role<'_, T> {
        Role::Embedding(&self.table)
    }
}
