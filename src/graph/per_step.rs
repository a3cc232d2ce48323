//! Operations that map the features of each step by themselves, as layers.

use std::fmt;
use std::sync::Arc;

use ndarray::ArrayD;

use super::operation::{Operation, Which};
use super::ops::normalization::{Normalization, NormalizationSums};
use super::ops::prelu::{self, PRelu};
use crate::activation::Activation;
use crate::buffers::take;
use crate::config::{Config, ConfigError};
use crate::error::{Error, Result};
use crate::float::Float;
use crate::gradients::WeightGradients;
use crate::kernels::activate::{activate, activate_backward};
use crate::kernels::isa::Isa;
use crate::layers::{Layer, summary};
use crate::memory::MemoryNeeds;
use crate::parameters::{Parameters, Sealed};
use crate::precision::Precision;
use crate::runner::backward::add;
use crate::runner::layer::{LayerCore, LayerSpec};
use crate::runner::memory::{Call, CallBack, Held};
use crate::runner::pass::{BackwardPass, Pass};
use crate::runner::scratch::Scratch;
use crate::runner::tape::Node;
use crate::seeds::DropoutGenerator;
use crate::stamp::Stamp;
use crate::state::StateLayout;
use crate::strided::{Rows, RowsMut};
use crate::structure::StructureVisitor;
use crate::weights::{WeightVisitor, WeightVisitorMut};

/// A layer that maps the features of each step by themselves.
#[derive(Debug, Clone)]
pub(super) struct PerStep<T: Float> {
    features: usize,
    map: Map<T>,
    stamp: Stamp,
    layout: Arc<StateLayout>,
}

/// What an operation does to the features of one step.
#[derive(Debug, Clone)]
pub(crate) enum Map<T: Float> {
    Same,
    Activation(Activation),
    PRelu(ArrayD<T>),
    Normalize(Box<Normalization<T>>),
}

impl<T: Float> PerStep<T> {
    /// What comes out is what went in.
    pub(super) fn identity(features: usize) -> Self {
        PerStep { features, map: Map::Same, stamp: Stamp::new(), layout: Arc::default() }
    }

    /// `None` for an operation that looks at more than one step's features.
    pub(super) fn new(operation: &dyn Operation<T>, features: usize) -> Option<Self> {
        let map = operation.per_step(features)?;
        Some(PerStep { features, map, stamp: Stamp::new(), layout: Arc::default() })
    }

    fn apply(&self, from: &[T], to: &mut [T]) {
        to.copy_from_slice(from);
        match &self.map {
            Map::Same => {}
            Map::Activation(activation) => activate(Isa::detect(), activation, to),
            Map::PRelu(alpha) => {
                to.iter_mut().zip(alpha).for_each(|(x, &alpha)| *x = prelu::value(*x, alpha));
            }
            Map::Normalize(normalization) => normalization.row(to),
        }
    }

    /// The backward pass through [`apply`](PerStep::apply), in place.
    fn apply_backward(&self, x: &[T], y: &mut [T], d: &mut [T], gradients: &mut WeightGradients<'_, T>) {
        match &self.map {
            Map::Same => {}
            Map::Activation(activation) => {
                y.copy_from_slice(x);
                activate(Isa::detect(), activation, y);
                activate_backward(Isa::detect(), activation, x, y, d);
            }
            Map::PRelu(alpha) => {
                let sums = gradients.slice(0).iter_mut();
                for (((sum, &alpha), &x), d) in sums.zip(alpha).zip(x).zip(d) {
                    *sum += prelu::value_backward(x, alpha, d);
                }
            }
            Map::Normalize(normalization) => {
                let mut sums = NormalizationSums::new(normalization, gradients.slices());
                normalization.row_backward(x, d, &mut sums);
            }
        }
    }

    fn rows(&self, batch: usize, from: Rows<'_, T>, mut to: RowsMut<'_, T>) {
        for row in 0..batch {
            self.apply(from.row(row), to.row_mut(row));
        }
    }
}

impl<T: Float> Sealed for PerStep<T> {}

impl<T: Float> Parameters<T> for PerStep<T> {
    fn layout(&self) -> &Arc<StateLayout> {
        &self.layout
    }

    // Moving statistics stay what they are.
    fn visit_weights<'a>(&'a self, visitor: &mut WeightVisitor<'_, 'a, T>) {
        match &self.map {
            Map::Same | Map::Activation(_) => {}
            Map::PRelu(alpha) => visitor.weight("alpha", alpha),
            Map::Normalize(normalization) => normalization.show_weights(visitor),
        }
    }

    fn visit_weights_mut(&mut self, visitor: &mut WeightVisitorMut<'_, T>) -> Result<()> {
        self.stamp.renew();
        match &mut self.map {
            Map::Same | Map::Activation(_) => {}
            Map::PRelu(alpha) => visitor.weight("alpha", alpha),
            Map::Normalize(normalization) => normalization.change_weights(visitor),
        }
        Ok(())
    }

    fn describe(&self) -> std::result::Result<Config, ConfigError> {
        let map = match &self.map {
            Map::Same => None,
            Map::Activation(activation) => Some(Operation::<T>::describe(activation)?),
            Map::PRelu(alpha) => Some(PRelu(alpha.clone()).describe()?),
            Map::Normalize(normalization) => Some(normalization.describe()?),
        };
        Ok(Config::new("PerStep").with("features", self.features).with("map", map))
    }

    fn visit_stored<'a>(&'a self, visitor: &mut WeightVisitor<'_, 'a, T>) {
        match &self.map {
            Map::Normalize(normalization) => normalization.visit_weights(Which::All, visitor),
            _ => self.visit_weights(visitor),
        }
    }

    fn visit_structure(&self, visitor: &mut StructureVisitor<'_>) {
        visitor.layer(self.class_name(), Some(self.stamp));
        visitor.value("features", self.features);
        match &self.map {
            Map::Same | Map::PRelu(_) => {}
            Map::Activation(activation) => visitor.value("activation", activation),
            Map::Normalize(normalization) => normalization.visit_structure(visitor),
        }
    }

    fn unshare(&mut self) -> Result<()> {
        Ok(())
    }
}

impl<T: Float> LayerCore<T> for PerStep<T> {
    fn spec(&self) -> LayerSpec {
        let class_name = match &self.map {
            Map::Same => "Identity",
            Map::Activation(_) => "Activation",
            Map::PRelu(_) => "PReLU",
            Map::Normalize(normalization) if normalization.is_batch() => "BatchNormalization",
            Map::Normalize(_) => "LayerNormalization",
        };
        LayerSpec {
            returns_sequences: true,
            per_step: true,
            work: self.features,
            ..LayerSpec::new(class_name, self.features, self.features)
        }
    }

    fn streams(&self) -> Result<()> {
        Ok(())
    }

    fn visit_generators(&self, _show: &mut dyn FnMut(DropoutGenerator)) {}

    fn fill_initial_state(&self, _row: &mut [T]) {}

    fn outputs_from_state(&self, batch: usize, _state: Rows<'_, T>, mut carry: RowsMut<'_, T>) {
        for row in 0..batch {
            carry.row_mut(row).fill(T::zero());
        }
    }

    fn memory_needs(&self, call: Call, held: Held<'_, T>, needs: &mut MemoryNeeds) {
        if call.recorded {
            let sizes = [call.batch, call.timesteps, self.features];
            needs.buffer::<T>(held.in_node(|node| node.x.len()), &sizes);
        }
    }

    fn memory_needs_backward(&self, _call: CallBack, held: Held<'_, T>, needs: &mut MemoryNeeds) {
        needs.buffer::<T>(held.in_scratch(|scratch| scratch.work.len()), &[3, self.features]);
    }

    fn process(&self, pass: Pass<'_, T>, _scratch: &mut Scratch<T>) {
        let Pass { batch, timesteps, input, mut carry, mut sequence, .. } = pass;
        if let Some(node) = pass.tape {
            (node.batch, node.timesteps) = (batch, timesteps);
            let kept = take(&mut node.x, batch * timesteps * self.features);
            for (at, kept) in kept.chunks_exact_mut(self.features.max(1)).enumerate() {
                kept.copy_from_slice(input.at(at / batch).row(at % batch));
            }
        }
        for time in 0..timesteps {
            if let Some(sequence) = &mut sequence {
                self.rows(batch, input.at(time), sequence.at(time));
            }
            if time + 1 == timesteps {
                self.rows(batch, input.at(time), carry.reborrow());
            }
        }
    }

    fn step_into(
        &self,
        batch: usize,
        x: Rows<'_, T>,
        _prev: Rows<'_, T>,
        _next: RowsMut<'_, T>,
        carry: RowsMut<'_, T>,
        _scratch: &mut Scratch<T>,
    ) {
        self.rows(batch, x, carry);
    }

    fn trains_as_in_keras(&self) -> Result<()> {
        match &self.map {
            Map::Normalize(normalization) if normalization.is_batch() => Err(Error::TrainingOption {
                option: "BatchNormalization".into(),
                expected: "a layer of the model that is trained: train that, not the layer made of it".into(),
                given: "a part of what into_layer made".into(),
            }),
            _ => Ok(()),
        }
    }

    fn can_train(&self) -> Result<()> {
        match &self.map {
            Map::Activation(activation) => activation.check_derivative(),
            _ => Ok(()),
        }
    }

    fn backward_into(&self, node: &mut Node<T>, pass: BackwardPass<'_, T>, scratch: &mut Scratch<T>) -> Result<()> {
        let BackwardPass { d_sequence, flipped, d_last, mut d_input, mut gradients, .. } = pass;
        let (batch, timesteps, features) = (node.batch, node.timesteps, self.features);
        let (d, y) = take(&mut scratch.work, 2 * features).split_at_mut(features);
        for time in 0..timesteps {
            for row in 0..batch {
                match d_sequence {
                    Some(all) => d.copy_from_slice(all.at(if flipped { timesteps - 1 - time } else { time }).row(row)),
                    None => d.fill(T::zero()),
                }
                if let Some(d_last) = d_last.filter(|_| time + 1 == timesteps) {
                    add(d, d_last.row(row));
                }
                let x = &node.x[(time * batch + row) * features..][..features];
                self.apply_backward(x, y, d, &mut gradients);
                if let Some(d_input) = &mut d_input {
                    add(d_input.at(time).row_mut(row), d);
                }
            }
        }
        Ok(())
    }
}

impl<T: Float> Layer<T> for PerStep<T> {
    fn boxed_clone(&self) -> Box<dyn Layer<T>> {
        Box::new(self.clone())
    }

    /// It stays as it is, as in a model.
    fn quantize(&self, _precision: Precision) -> Result<Box<dyn Layer<T>>> {
        Ok(self.boxed_clone())
    }

    fn parts(&self) -> Vec<(&str, &dyn Layer<T>)> {
        Vec::new()
    }
}

impl<T: Float> fmt::Display for PerStep<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        summary::table(f, self)
    }
}

#[cfg(test)]
mod tests {
    use ndarray::prelude::*;

    use super::*;
    use crate::error::Error;
    use crate::gradients::{Gradients, OutputGradient};
    use crate::graph::ops::prelu::PRelu;
    use crate::layers::names::{Gru, Lstm};
    use crate::layers::stacked::Stacked;
    use crate::random::SeedSource;
    use crate::runner::run::Run;
    use crate::runner::tape::Tape;

    /// Slopes in a chain of layers, against central differences.
    #[test]
    fn slopes() -> Result<()> {
        let alpha = array![[0.3, -0.7, 0.2, 1.4]];
        let slopes = PerStep::new(&PRelu(alpha.clone().into_dyn()), 4);
        let mut seeds = SeedSource::keras(5);
        let lstm = Lstm::<f64>::builder(3, 4).return_sequences(true).seeds(&mut seeds).build()?;
        let mut chain = Stacked::builder()
            .layer(lstm)
            .layer(slopes.ok_or(Error::TapeLayer)?)
            .layer(Gru::builder(4, 2).seeds(&mut seeds).build()?)
            .build()?;
        let x = Array3::from_shape_fn((2, 5, 3), |(i, j, k)| ((7 * i + 3 * j + 5 * k) as f64).sin());
        let weighed = array![[0.7, -0.4], [1.1, 0.9]];
        let (mut tape, mut gradients) = (Tape::new(), Gradients::new(&chain));
        chain.run(&x, Run::new().record(&mut tape))?;
        chain.backward(&mut tape, OutputGradient::new().last(&weighed), &mut gradients)?;
        let loss = |chain: &Stacked<f64>, x: &Array3<f64>| Ok((chain.forward(x)?.last() * &weighed).sum());
        let step = 1e-6;
        let near = |ours: f64, low: f64, high: f64| {
            let numeric = (high - low) / (2.0 * step);
            assert!((ours - numeric).abs() < 1e-8 && numeric.abs() > 1e-6, "{ours}, {numeric} by differences");
        };
        for at in 0..4 {
            let mut moved = |by: f64| -> Result<f64> {
                let mut alpha = alpha.clone();
                alpha[[0, at]] += by;
                chain.set_weights(&[("1/alpha", alpha.view().into_dyn())])?;
                loss(&chain, &x)
            };
            let (low, high) = (moved(-step)?, moved(step)?);
            near(gradients.get("1/alpha")?[[0, at]], low, high);
        }
        chain.set_weights(&[("1/alpha", alpha.view().into_dyn())])?;
        for at in [[0, 1, 2], [1, 4, 0]] {
            let moved = |by: f64| -> Result<f64> {
                let mut x = x.clone();
                x[at] += by;
                loss(&chain, &x)
            };
            near(gradients.input()?[at], moved(-step)?, moved(step)?);
        }
        Ok(())
    }
}
