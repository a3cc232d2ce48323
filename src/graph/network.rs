//! What can be trained by one loop: layers and models.

use ndarray::{ArrayD, ArrayRefD, Ix2, Ix3};

use super::pass::{BatchOutputs, Pass, layer_input, through_layer, through_model};
use super::tape::Recording;
use super::training::activity;
use super::{Input, Model};
use crate::cells::Cell;
use crate::error::{Error, Result};
use crate::float::Float;
use crate::gradients::{Gradients, OutputGradient};
use crate::layers::Layer;
use crate::layers::bidirectional::Bidirectional;
use crate::layers::dense::Dense;
use crate::layers::recurrent::Recurrent;
use crate::layers::stacked::Stacked;
use crate::layers::time_distributed::TimeDistributed;
use crate::parameters::Parameters;
use crate::runner::layer::LayerCore;
use crate::runner::run::Run;
use crate::runner::tape::Tape;
use crate::seeds::DropoutSeeds;
use crate::weight_rules::Regularizer;

/// Every [`Layer`] and every [`Model`]: what a training loop is written for once.
///
/// A layer is a network of one input, (batch, timesteps, features), and one output: all steps if it returns sequences,
/// else the last one. For anything else that a layer can ([`Run`], states) there are its own methods.
///
/// ```
/// use ndarray::prelude::*;
/// use recurrent::{Dense, Gru, Result, Sequential, Stacked, training::*, model::Input};
/// fn train<N: Network<f32>>(network: &mut N, x: &[Input<'_, f32>], target: &ArrayD<f32>) -> Result<Vec<f32>> {
///     let (mut tape, mut gradients, mut optimizer) = (Tape::new(), recurrent::Gradients::new(network), Adam::new(0.05));
///     let mut seeds = network.dropout_seeds();
///     let mut losses = Vec::new();
///     for _ in 0..5 {
///         network.normalize_kernels()?;
///         let outputs = network.record(x, &mut tape, Some(&mut seeds))?;
///         let (loss, d_output) = Loss::MeanSquaredError.with_gradient(&outputs[0], target)?;
///         gradients.clear();
///         network.backpropagate(&mut tape, &[&d_output], &mut gradients)?;
///         optimizer.step(network, &gradients)?;
///         network.update_statistics(&mut tape)?;
///         losses.push(loss);
///     }
///     Ok(losses)
/// }
/// let (x, target) = (Array3::<f32>::ones((2, 4, 3)), Array2::<f32>::ones((2, 1)).into_dyn());
/// let mut layer = Stacked::builder().layer(Gru::new(3, 4)).layer(Dense::new(4, 1)).build()?;
/// let mut model = Sequential::builder("m").layer(Gru::new(3, 4)).layer(Dense::new(4, 1)).build()?;
/// assert!(train(&mut layer, &[(&x).into()], &target)?[4] < 1.0);
/// assert!(train(&mut model, &[(&x).into()], &target)?[4] < 1.0);
/// # Ok::<(), recurrent::Error>(())
/// ```
pub trait Network<T: Float>: Parameters<T> {
    /// Runs on arrays, in the order of the inputs, and records; returns an array for each output. With `seeds` it runs
    /// as in training: dropout is on, and a model's BatchNormalization looks at the batch. Without, it runs as in inference.
    ///
    /// # Errors
    /// Those of [`Layer::run`] or [`Model::record_training`], [`Error::ModelInputs`] for another number of inputs,
    /// [`Error::ModelInput`] for one that a layer can't read.
    fn record(
        &self,
        inputs: &[Input<'_, T>],
        tape: &mut Tape<T>,
        seeds: Option<&mut DropoutSeeds>,
    ) -> Result<Vec<ArrayD<T>>>;

    /// The backward pass through a recorded run, from the gradient of each output: the weights' gradients are added.
    ///
    /// # Errors
    /// Those of [`Layer::backward`] or [`Model::backward`].
    fn backpropagate(&self, tape: &mut Tape<T>, upstream: &[&ArrayRefD<T>], gradients: &mut Gradients<T>)
    -> Result<()>;

    /// The dropout generators, as new.
    fn dropout_seeds(&self) -> DropoutSeeds;

    /// Moves the statistics of a model's BatchNormalization by a run in training: once after each. Layers have none.
    ///
    /// # Errors
    /// Those of [`Model::update_statistics`].
    fn update_statistics(&mut self, _tape: &mut Tape<T>) -> Result<()> {
        Ok(())
    }

    /// Divides the kernels of a model's SpectralNormalization before a run in training. Layers have none.
    ///
    /// # Errors
    /// Those of [`Model::normalize_kernels`].
    fn normalize_kernels(&mut self) -> Result<()> {
        Ok(())
    }

    /// Runs a batch into memory that is reused, and says which steps of the outputs are masked.
    #[doc(hidden)]
    fn pass(&self, pass: Pass<'_, '_, T>, outputs: &mut BatchOutputs<T>) -> Result<()>;

    /// A name for each output.
    #[doc(hidden)]
    fn output_labels(&self) -> Vec<String> {
        vec!["output".into()]
    }

    /// Checks that training does with all layers what Keras does.
    #[doc(hidden)]
    fn trains_as_in_keras(&self) -> Result<()>;

    /// The paths of the layers whose outputs can be regularized.
    #[doc(hidden)]
    fn layer_paths(&self) -> Vec<String>;

    /// The penalties of what layers gave in a recorded run, by the layers' paths; the backward pass adds their gradients.
    #[doc(hidden)]
    fn regularize_outputs(&self, tape: &mut Tape<T>, regularizers: &[(String, Regularizer)]) -> Result<T>;
}

/// [`Network`] of each layer. (One for all that is a [`Layer`] could not stand beside that of models.)
macro_rules! layers {
    ($([$($generics:tt)*] $layer:ty, $elem:ty;)*) => {$(
        impl<$($generics)*> Network<$elem> for $layer {
            fn record(
                &self,
                inputs: &[Input<'_, $elem>],
                tape: &mut Tape<$elem>,
                seeds: Option<&mut DropoutSeeds>,
            ) -> Result<Vec<ArrayD<$elem>>> {
                record(self, inputs, tape, seeds)
            }

            fn backpropagate(
                &self,
                tape: &mut Tape<$elem>,
                upstream: &[&ArrayRefD<$elem>],
                gradients: &mut Gradients<$elem>,
            ) -> Result<()> {
                backpropagate(self, tape, upstream, gradients)
            }

            fn dropout_seeds(&self) -> DropoutSeeds {
                Layer::seeds(self)
            }

            fn pass(&self, pass: Pass<'_, '_, $elem>, outputs: &mut BatchOutputs<$elem>) -> Result<()> {
                through_layer(self, pass, outputs)
            }

            fn trains_as_in_keras(&self) -> Result<()> {
                LayerCore::trains_as_in_keras(self)
            }

            fn layer_paths(&self) -> Vec<String> {
                let mut paths = vec![String::new()];
                activity::add_paths(self, "", &mut paths);
                paths
            }

            fn regularize_outputs(
                &self,
                tape: &mut Tape<$elem>,
                regularizers: &[(String, Regularizer)],
            ) -> Result<$elem> {
                tape.check(self)?;
                activity::of_layer(self, &mut tape.node, "", regularizers)
            }
        }
    )*};
}

layers! {
    [C: Cell] Recurrent<C>, C::Elem;
    [T: Float] Bidirectional<T>, T;
    [T: Float] Dense<T>, T;
    [T: Float] Stacked<T>, T;
    [T: Float] TimeDistributed<T>, T;
    [T: Float] Box<dyn Layer<T>>, T;
}

fn record<T: Float>(
    layer: &impl Layer<T>,
    inputs: &[Input<'_, T>],
    tape: &mut Tape<T>,
    seeds: Option<&mut DropoutSeeds>,
) -> Result<Vec<ArrayD<T>>> {
    let x = layer_input(layer, inputs)?;
    let mut run = Run::new().record(tape);
    if let Some(seeds) = seeds {
        run = run.training(seeds);
    }
    let output = layer.run(&x, run)?;
    Ok(vec![match layer.returns_sequences() {
        true => output.into_sequence()?.into_dyn(),
        false => output.into_last().into_dyn(),
    }])
}

fn backpropagate<T: Float>(
    layer: &impl Layer<T>,
    tape: &mut Tape<T>,
    upstream: &[&ArrayRefD<T>],
    gradients: &mut Gradients<T>,
) -> Result<()> {
    let [upstream] = upstream else { return Err(Error::ModelOutputs { expected: 1, given: upstream.len() }) };
    let refuse = |expected: &str| Error::ModelInput {
        input: "gradient of the output".into(),
        expected: expected.into(),
        given: format!("{:?}", upstream.shape()),
    };
    if layer.returns_sequences() {
        let all = upstream.view().into_dimensionality::<Ix3>();
        let all = all.map_err(|_| refuse("(batch, timesteps, features)"))?;
        return layer.backward(tape, OutputGradient::new().sequence(&all), gradients);
    }
    let last = upstream.view().into_dimensionality::<Ix2>().map_err(|_| refuse("(batch, features)"))?;
    layer.backward(tape, OutputGradient::new().last(&last), gradients)
}

impl<T: Float> Network<T> for Model<T> {
    fn record(
        &self,
        inputs: &[Input<'_, T>],
        tape: &mut Tape<T>,
        seeds: Option<&mut DropoutSeeds>,
    ) -> Result<Vec<ArrayD<T>>> {
        match seeds {
            Some(seeds) => self.record_training(inputs, tape, seeds),
            None => Model::record(self, inputs, tape),
        }
    }

    fn backpropagate(
        &self,
        tape: &mut Tape<T>,
        upstream: &[&ArrayRefD<T>],
        gradients: &mut Gradients<T>,
    ) -> Result<()> {
        self.backward(tape, upstream, gradients)
    }

    fn dropout_seeds(&self) -> DropoutSeeds {
        self.seeds()
    }

    fn update_statistics(&mut self, tape: &mut Tape<T>) -> Result<()> {
        Model::update_statistics(self, tape)
    }

    fn normalize_kernels(&mut self) -> Result<()> {
        Model::normalize_kernels(self)
    }

    fn pass(&self, pass: Pass<'_, '_, T>, outputs: &mut BatchOutputs<T>) -> Result<()> {
        through_model(self, pass, outputs)
    }

    fn output_labels(&self) -> Vec<String> {
        self.outputs().map(|(name, _)| name.into()).collect()
    }

    fn trains_as_in_keras(&self) -> Result<()> {
        Model::trains_as_in_keras(self)
    }

    fn layer_paths(&self) -> Vec<String> {
        let mut paths = Vec::new();
        self.add_paths("", &mut paths);
        paths
    }

    fn regularize_outputs(&self, tape: &mut Tape<T>, regularizers: &[(String, Regularizer)]) -> Result<T> {
        tape.check(self)?;
        self.regularize_calls(&mut Recording::on(tape).frame, "", regularizers)
    }
}
