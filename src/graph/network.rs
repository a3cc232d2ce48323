//! What can be trained by one loop: layers and models.

use ndarray::{ArrayD, ArrayRefD, Ix2, Ix3};

use super::tensor::Given;
use super::{Input, Model};
use crate::error::{Error, Result};
use crate::float::Float;
use crate::gradients::{Gradients, OutputGradient};
use crate::layers::Layer;
use crate::layers::trainable::Trainable;
use crate::runner::run::Run;
use crate::runner::tape::Tape;
use crate::seeds::Seeds;

/// Every [`Layer`] and every [`Model`]: what a training loop is written for once.
///
/// A layer is a network of one input, (batch, timesteps, features), and one output: all steps if it returns sequences, else
/// the last one. For anything else that a layer can ([`Run`], states) there are its own methods.
///
/// ```
/// use ndarray::prelude::*;
/// use recurrent::{Dense, Gru, Input, Network, Result, Sequential, Stacked, training::*};
/// fn train<N: Network<f32>>(network: &mut N, x: Input<'_, f32>, target: &ArrayD<f32>) -> Result<Vec<f32>> {
///     let (mut tape, mut gradients, mut optimizer) = (Tape::new(), recurrent::Gradients::new(network), Adam::new(0.05));
///     let mut seeds = network.dropout_seeds();
///     let mut losses = Vec::new();
///     for _ in 0..5 {
///         let outputs = network.record(&[x.clone()], &mut tape, Some(&mut seeds))?;
///         let (loss, d_output) = Loss::MeanSquaredError.with_gradient(&outputs[0], target)?;
///         gradients.clear();
///         network.backpropagate(&mut tape, &[&d_output], &mut gradients)?;
///         optimizer.step(network, &gradients)?;
///         losses.push(loss);
///     }
///     Ok(losses)
/// }
/// let (x, target) = (Array3::<f32>::ones((2, 4, 3)), Array2::<f32>::ones((2, 1)).into_dyn());
/// let mut layer = Stacked::builder().layer(Gru::new(3, 4)).layer(Dense::new(4, 1)).build()?;
/// let mut model = Sequential::builder("m").layer(Gru::new(3, 4)).layer(Dense::new(4, 1)).build()?;
/// assert!(train(&mut layer, (&x).into(), &target)?[4] < 1.0);
/// assert!(train(&mut model, (&x).into(), &target)?[4] < 1.0);
/// # Ok::<(), recurrent::Error>(())
/// ```
pub trait Network<T: Float>: Trainable<T> {
    /// Runs on arrays, in the order of the inputs, and records; returns an array for each output. With `seeds` it runs as
    /// in training: dropout is on. (A model's layers have none: see [`Model::record`].)
    ///
    /// # Errors
    /// Those of [`Layer::run`] or [`Model::record`], [`Error::ModelInputs`] for another number of inputs,
    /// [`Error::ModelInput`] for one that a layer can't read.
    fn record(&self, inputs: &[Input<'_, T>], tape: &mut Tape<T>, seeds: Option<&mut Seeds>) -> Result<Vec<ArrayD<T>>>;

    /// The way back through a recorded run, from the gradient of each output: the weights' gradients are added.
    ///
    /// # Errors
    /// Those of [`Layer::backward`] or [`Model::backward`].
    fn backpropagate(&self, tape: &mut Tape<T>, upstream: &[&ArrayRefD<T>], gradients: &mut Gradients<T>)
    -> Result<()>;

    /// The dropout generators, as new.
    fn dropout_seeds(&self) -> Seeds;
}

impl<T: Float, L: Layer<T> + ?Sized> Network<T> for L {
    fn record(&self, inputs: &[Input<'_, T>], tape: &mut Tape<T>, seeds: Option<&mut Seeds>) -> Result<Vec<ArrayD<T>>> {
        let [Input(given)] = inputs else { return Err(Error::ModelInputs { expected: 1, given: inputs.len() }) };
        let refuse = |given: &[usize]| Error::ModelInput {
            input: "input".into(),
            expected: format!("floats of shape (batch, timesteps, {})", self.input_size()),
            given: format!("{given:?}"),
        };
        let Given::Float(x) = given else { return Err(refuse(inputs[0].shape())) };
        let x = x.view().into_dimensionality::<Ix3>().map_err(|_| refuse(inputs[0].shape()))?;
        let mut run = Run::new().record(tape);
        if let Some(seeds) = seeds {
            run = run.training(seeds);
        }
        let output = self.run(&x, run)?;
        Ok(vec![match self.returns_sequences() {
            true => output.into_sequence()?.into_dyn(),
            false => output.into_last().into_dyn(),
        }])
    }

    fn backpropagate(
        &self,
        tape: &mut Tape<T>,
        upstream: &[&ArrayRefD<T>],
        gradients: &mut Gradients<T>,
    ) -> Result<()> {
        let [upstream] = upstream else { return Err(Error::ModelOutputs { expected: 1, given: upstream.len() }) };
        let refuse =
            |what: &'static str| Error::OutputShape { what, expected: vec![], given: upstream.shape().to_vec() };
        if self.returns_sequences() {
            let all = upstream.view().into_dimensionality::<Ix3>().map_err(|_| refuse("sequence"))?;
            return self.backward(tape, OutputGradient::new().sequence(&all), gradients);
        }
        let last = upstream.view().into_dimensionality::<Ix2>().map_err(|_| refuse("last"))?;
        self.backward(tape, OutputGradient::new().last(&last), gradients)
    }

    fn dropout_seeds(&self) -> Seeds {
        self.seeds()
    }
}

impl<T: Float> Network<T> for Model<T> {
    fn record(&self, inputs: &[Input<'_, T>], tape: &mut Tape<T>, seeds: Option<&mut Seeds>) -> Result<Vec<ArrayD<T>>> {
        if let Some(seeds) = seeds.filter(|seeds| !seeds.states.is_empty()) {
            return Err(Error::SeedsCount { expected: 0, given: seeds.states.len() });
        }
        Model::record(self, inputs, tape)
    }

    fn backpropagate(
        &self,
        tape: &mut Tape<T>,
        upstream: &[&ArrayRefD<T>],
        gradients: &mut Gradients<T>,
    ) -> Result<()> {
        self.backward(tape, upstream, gradients)
    }

    fn dropout_seeds(&self) -> Seeds {
        Seeds { states: Vec::new() }
    }
}
