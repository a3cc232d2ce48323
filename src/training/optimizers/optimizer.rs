//! What an optimizer is.

use crate::error::Result;
use crate::float::Float;
use crate::gradients::Gradients;
use crate::parameters::Parameters;

/// Changes weights by their gradients.
///
/// An optimizer belongs to the layer, or the list of parts, of its first step, as Keras's is built for its variables:
/// what it remembers (the number of updates, velocities, moments) is refused for another one, even one of the same
/// shapes. It goes on with a clone of it.
///
/// Every number of an optimizer is checked before anything is changed. Gradients aren't: where they are NaN or infinite
/// the weights become so, as in Keras ([`Gradients::check_finite`] finds them).
///
/// The trait is object-safe, and a `Box<dyn Optimizer<T>>` is an optimizer itself.
///
/// ```
/// use recurrent::training::{Adam, Optimizer, Sgd};
/// use recurrent::{Dense, Gradients};
///
/// let mut dense = Dense::<f32>::new(3, 2);
/// let gradients = Gradients::new(&dense); // zeros, until a backward pass
/// let mut chosen: Vec<Box<dyn Optimizer<f32>>> = vec![Box::new(Sgd::new(0.1)), Box::new(Adam::new(0.01))];
/// chosen[1].step(&mut dense, &gradients)?;
/// assert_eq!(chosen[1].iterations(), 1);
/// # Ok::<(), recurrent::Error>(())
/// ```
pub trait Optimizer<T: Float> {
    /// One update of a layer (or an embedding, or a model).
    ///
    /// # Errors
    /// Those of [`step_all`](Optimizer::step_all).
    fn step(&mut self, layer: &mut dyn Parameters<T>, gradients: &Gradients<T>) -> Result<()> {
        self.step_all(&mut [(layer, gradients)])
    }

    /// One update of several parts as of one model: an embedding and the layers behind it. They are always the same
    /// ones, in the same order.
    ///
    /// # Errors
    /// [`Error::GradientsLayer`](crate::Error::GradientsLayer) if gradients, or the optimizer's own memory, belong to
    /// another layer; [`Error::SharedCell`](crate::Error::SharedCell);
    /// [`Error::OptimizerOption`](crate::Error::OptimizerOption) for a number that is NaN, infinite or out of its
    /// range,
    /// [`Error::OptimizerClips`](crate::Error::OptimizerClips). Nothing is changed then.
    fn step_all<'a>(&mut self, parts: &mut [(&'a mut dyn Parameters<T>, &'a Gradients<T>)]) -> Result<()>;

    /// The learning rate of the next update.
    fn learning_rate(&self) -> f64;

    /// Changes the learning rate for the updates to come. It is rounded to f32, as in Keras, where it is used.
    ///
    /// # Errors
    /// [`Error::OptimizerOption`](crate::Error::OptimizerOption) unless it is finite and at least 0;
    /// [`Error::ScheduledRate`](crate::Error::ScheduledRate) if the rate follows a schedule
    /// ([`Scheduled`](crate::training::Scheduled)). The old one stays then.
    fn set_learning_rate(&mut self, learning_rate: f64) -> Result<()>;

    /// Updates so far: Keras's `iterations`, which a schedule is asked with.
    fn iterations(&self) -> u64;

    /// Checks that every number makes sense: what each step asks before it changes anything. Setters take numbers as
    /// they come, so that they chain; this says at once what is wrong with them.
    ///
    /// Finite and at least 0: `learning_rate`, `weight_decay`, `initial_accumulator_value`. Finite and above 0:
    /// `clipnorm`, `clipvalue`, `global_clipnorm` (one of them at most), `loss_scale_factor`, `epsilon`. In 0..=1:
    /// `momentum`, `ema_momentum`, `rho`, and of [`Adamax`](super::Adamax) and [`Lion`](super::Lion) `beta_2`. At least
    /// 0 and below 1: `beta_1`, `beta_2` (above 0 and at most 1: [`Lion`](super::Lion)'s `beta_1`).
    /// `ema_overwrite_frequency` is at least 1, `gradient_accumulation_steps` at least 2.
    ///
    /// # Errors
    /// [`Error::OptimizerOption`](crate::Error::OptimizerOption) names the option and its range,
    /// [`Error::OptimizerClips`](crate::Error::OptimizerClips).
    fn validate(&self) -> Result<()> {
        Ok(())
    }

    /// What the gradients of the loss are to be multiplied with before a step, which divides by it:
    /// `loss_scale_factor`.
    fn loss_scale_factor(&self) -> Option<f64> {
        None
    }

    /// Makes the averages of `use_ema` the weights, when training is over: of the same parts as in
    /// [`step_all`](Optimizer::step_all). Without averages it does nothing.
    ///
    /// # Errors
    /// [`Error::GradientsLayer`](crate::Error::GradientsLayer) for other layers,
    /// [`Error::SharedCell`](crate::Error::SharedCell); nothing is changed then.
    fn finalize_variable_values(&self, _parts: &mut [&mut dyn Parameters<T>]) -> Result<()> {
        Ok(())
    }
}

/// An optimizer behind a pointer.
macro_rules! behind_a_pointer {
    ($($pointer:ty),*) => {$(
        impl<T: Float, O: Optimizer<T> + ?Sized> Optimizer<T> for $pointer {
            fn step_all<'a>(&mut self, parts: &mut [(&'a mut dyn Parameters<T>, &'a Gradients<T>)]) -> Result<()> {
                (**self).step_all(parts)
            }

            fn learning_rate(&self) -> f64 {
                (**self).learning_rate()
            }

            fn set_learning_rate(&mut self, learning_rate: f64) -> Result<()> {
                (**self).set_learning_rate(learning_rate)
            }

            fn iterations(&self) -> u64 {
                (**self).iterations()
            }

            fn validate(&self) -> Result<()> {
                (**self).validate()
            }

            fn loss_scale_factor(&self) -> Option<f64> {
                (**self).loss_scale_factor()
            }

            fn finalize_variable_values(&self, parts: &mut [&mut dyn Parameters<T>]) -> Result<()> {
                (**self).finalize_variable_values(parts)
            }
        }
    )*};
}

behind_a_pointer!(Box<O>, &mut O);
