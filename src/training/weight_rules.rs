//! Regularizers and constraints of the weights of a network, and of what its layers give, by path.

use ndarray::ArrayViewD;

use crate::error::{Error, Result};
use crate::float::Float;
use crate::gradients::Gradients;
use crate::graph::Network;
use crate::parameters::Parameters;
use crate::runner::tape::Tape;
use crate::weight_rules::{Constraint, Regularizer};
use crate::weights::{WeightVisitor, WeightVisitorMut};

/// Which weights are regularized and constrained, by path: what Keras's layers are told by `kernel_regularizer`,
/// `recurrent_regularizer`, `bias_regularizer`, `kernel_constraint`, ..., and which layers' outputs are regularized:
/// `activity_regularizer`.
///
/// A training step has two calls more:
///
/// ```
/// use ndarray::prelude::*;
/// use recurrent::{Dense, Gradients, Layer, Lstm, OutputGradient, Run, Stacked, training::*};
/// let mut net = Stacked::builder().layer(Lstm::<f32>::new(3, 8)).layer(Dense::new(8, 1)).build()?;
/// let rules = WeightRules::new()
///     .regularizer("0/kernel", Regularizer::L2 { factor: 0.01 })
///     .constraint("0/recurrent_kernel", Constraint::MaxNorm { max_value: 1.0, axis: vec![0] });
/// let (x, target) = (Array3::<f32>::ones((16, 20, 3)), Array2::<f32>::ones((16, 1)));
/// let (mut tape, mut gradients, mut optimizer) = (Tape::new(), Gradients::new(&net), Adam::new(1e-2));
/// let output = net.run(&x, Run::new().record(&mut tape))?;
/// let (mut loss, d_last) = Loss::MeanSquaredError.with_gradient(output.last(), &target)?;
/// gradients.clear();
/// net.backward(&mut tape, OutputGradient::new().last(&d_last), &mut gradients)?;
/// loss += rules.regularize(&net, &mut gradients)?; // after the gradients of the loss
/// optimizer.step(&mut net, &gradients)?;
/// rules.constrain(&mut net)?; // after each step, as in Keras
/// assert!(loss > 0.0);
/// # Ok::<(), recurrent::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
#[must_use = "setters return the rules"]
pub struct WeightRules {
    regularizers: Vec<(String, Regularizer)>,
    constraints: Vec<(String, Constraint)>,
    /// By the paths of layers.
    activities: Vec<(String, Regularizer)>,
}

impl WeightRules {
    /// None yet.
    pub fn new() -> Self {
        WeightRules::default()
    }

    /// Regularizes the weight of this path: `kernel`, `0/recurrent_kernel`, `encoder/lstm/bias`. Several of one weight
    /// add up.
    pub fn regularizer(mut self, path: &str, regularizer: Regularizer) -> Self {
        self.regularizers.push((path.into(), regularizer));
        self
    }

    /// Constrains the weight of this path. Several of one weight come one after another.
    pub fn constraint(mut self, path: &str, constraint: Constraint) -> Self {
        self.constraints.push((path.into(), constraint));
        self
    }

    /// Regularizes what the layer of this path gives, Keras's `activity_regularizer`: `lstm`, `encoder/lstm` of a model,
    /// `0` of a stack, `both/forward` and `both/backward` of what a [`Bidirectional`](crate::Bidirectional) has inside,
    /// `""` of a layer by itself. As in Keras it is the penalty of all that a call of the layer returns (all steps or
    /// the last one, masked ones too; of a model's layer the states that it returns), divided by the number of rows, and
    /// the sum of those of all calls; a layer that isn't trained has it, too. Several of one layer add up. (Keras's
    /// SimpleRNN forgets the option; here it has one like any other.)
    ///
    /// [`Fit`](super::Fit) adds it to the losses. A loop of one's own records on a tape that
    /// [keeps outputs](Tape::keep_outputs), and calls [`regularize_activity`](WeightRules::regularize_activity).
    pub fn activity_regularizer(mut self, layer: &str, regularizer: Regularizer) -> Self {
        self.activities.push((layer.into(), regularizer));
        self
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.regularizers.is_empty() && self.constraints.is_empty() && self.activities.is_empty()
    }

    /// Whether any of them is about what layers give.
    pub(crate) fn regularizes_activity(&self) -> bool {
        !self.activities.is_empty()
    }

    /// Checks that there are the layers whose outputs are regularized.
    pub(crate) fn validate_activity<T: Float>(&self, network: &impl Network<T>) -> Result<()> {
        if self.activities.is_empty() {
            return Ok(());
        }
        let paths = network.layer_paths();
        self.activities.iter().try_for_each(|(path, regularizer)| {
            // Of outputs of any shape; that of a run is checked when it is there.
            regularizer.validate(&[2, 2])?;
            let known = paths.contains(path);
            if known { Ok(()) } else { Err(Error::unknown_name("layer", path, paths.iter().cloned())) }
        })
    }

    /// The sum of the penalties of what layers gave in a recorded run, which belongs to the loss. Once for each run,
    /// before the backward pass, which adds their gradients to those of the outputs.
    ///
    /// ```
    /// use ndarray::prelude::*;
    /// use recurrent::{Dense, Gradients, Layer, Lstm, OutputGradient, Run, Stacked, training::*};
    /// let net = Stacked::builder().layer(Lstm::<f32>::new(3, 8)).layer(Dense::new(8, 1)).build()?;
    /// let rules = WeightRules::new().activity_regularizer("0", Regularizer::L2 { factor: 0.01 });
    /// let (x, target) = (Array3::<f32>::ones((16, 20, 3)), Array2::<f32>::ones((16, 1)));
    /// let (mut tape, mut gradients) = (Tape::new().keep_outputs(true), Gradients::new(&net));
    /// let output = net.run(&x, Run::new().record(&mut tape))?;
    /// let (loss, d_last) = Loss::MeanSquaredError.with_gradient(output.last(), &target)?;
    /// let penalty = rules.regularize_activity(&net, &mut tape)?;
    /// net.backward(&mut tape, OutputGradient::new().last(&d_last), &mut gradients)?;
    /// assert!(penalty > 0.0 && loss + penalty > loss);
    /// # Ok::<(), recurrent::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::UnknownName`] for a layer that there isn't, [`Error::TapeOutputs`] for a tape that hasn't kept outputs,
    /// those of [`Layer::backward`](crate::Layer::backward) for one that holds no run of this network,
    /// [`Error::WeightRule`] for an option or an orthogonal regularizer of outputs that have steps,
    /// [`Error::TrainingOption`] for a layer in a stack or in a Bidirectional that returns its state. The tape is to be
    /// recorded again then: it may hold the gradients of some of the penalties.
    pub fn regularize_activity<T: Float>(&self, network: &impl Network<T>, tape: &mut Tape<T>) -> Result<T> {
        self.validate_activity(network)?;
        self.add_activity(network, tape)
    }

    /// The same of rules that were [checked](WeightRules::validate_activity).
    pub(crate) fn add_activity<T: Float>(&self, network: &impl Network<T>, tape: &mut Tape<T>) -> Result<T> {
        network.regularize_outputs(tape, &self.activities)
    }

    /// Checks that those about weights suit the weights that are trained.
    ///
    /// # Errors
    /// [`Error::UnknownName`] for a path that there is no weight of, or none that is trained; [`Error::WeightRule`].
    pub fn validate<T: Float>(&self, network: &(impl Parameters<T> + ?Sized)) -> Result<()> {
        let mut shapes = Vec::new();
        network.visit_trained(&mut WeightVisitor::new(&mut |path, weight: ArrayViewD<'_, T>| {
            shapes.push((path.to_string(), weight.shape().to_vec()));
        }));
        let shape = |path: &str| match shapes.iter().find(|(name, _)| name == path) {
            Some((_, shape)) => Ok(shape),
            None => Err(Error::unknown_name("weight", path, shapes.iter().map(|(name, _)| name.clone()))),
        };
        self.regularizers.iter().try_for_each(|(path, regularizer)| regularizer.validate(shape(path)?))?;
        self.constraints.iter().try_for_each(|(path, constraint)| constraint.validate(shape(path)?))
    }

    /// The sum of the penalties, which belongs to the loss; their gradients are added to the weights'. Once after the
    /// backward pass of each update. (A `loss_scale_factor` divides them too: multiply the factors with it.) Those of
    /// activity regularizers aren't among them: see [`regularize_activity`](WeightRules::regularize_activity).
    ///
    /// # Errors
    /// Those of [`validate`](WeightRules::validate); [`Error::GradientsLayer`] for gradients of another network.
    /// Nothing is changed then.
    pub fn regularize<T: Float>(
        &self,
        network: &(impl Parameters<T> + ?Sized),
        gradients: &mut Gradients<T>,
    ) -> Result<T> {
        self.validate(network)?;
        if !gradients.fit(network) {
            return Err(Error::GradientsLayer);
        }
        let (mut penalty, mut index, mut result) = (T::zero(), 0, Ok(()));
        network.visit_trained(&mut WeightVisitor::new(&mut |path, weight: ArrayViewD<'_, T>| {
            for (_, regularizer) in self.regularizers.iter().filter(|(own, _)| path.matches(own)) {
                // The parts that a table's gradient came in are added up, as in Keras.
                gradients.slices[index].clear();
                match regularizer.add_gradient(&weight, &mut gradients.weights[index].view_mut()) {
                    Ok(own) => penalty += own,
                    Err(error) => result = Err(error),
                }
            }
            index += 1;
        }));
        result.map(|()| penalty)
    }

    /// Makes the weights obey their constraints: after each step of the optimizer.
    ///
    /// # Errors
    /// Those of [`validate`](WeightRules::validate); [`Error::SharedCell`]. Nothing is changed then.
    pub fn constrain<T: Float>(&self, network: &mut (impl Parameters<T> + ?Sized)) -> Result<()> {
        self.validate(network)?;
        if self.constraints.is_empty() {
            return Ok(());
        }
        network.unshare()?;
        let mut result = Ok(());
        network.visit_trained_mut(&mut WeightVisitorMut::new(&mut |path, mut weight| {
            for (_, constraint) in self.constraints.iter().filter(|(own, _)| path.matches(own)) {
                if let Err(error) = constraint.apply(&mut weight) {
                    result = Err(error);
                }
            }
        }))?;
        result
    }
}
