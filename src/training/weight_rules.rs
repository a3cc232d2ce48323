//! Regularizers and constraints of the weights of a network, by path.

use ndarray::ArrayViewD;

use crate::error::{Error, Result};
use crate::float::Float;
use crate::gradients::Gradients;
use crate::parameters::Parameters;
use crate::weight_rules::{Constraint, Regularizer};
use crate::weights::{WeightVisitor, WeightVisitorMut};

/// Which weights are regularized and constrained, by path: what Keras's layers are told by `kernel_regularizer`,
/// `recurrent_regularizer`, `bias_regularizer`, `kernel_constraint`, ... (There is no activity regularizer.)
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

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.regularizers.is_empty() && self.constraints.is_empty()
    }

    /// Checks that they suit the weights that are trained.
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
    /// backward pass of each update. (A `loss_scale_factor` divides them too: multiply the factors with it.)
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
