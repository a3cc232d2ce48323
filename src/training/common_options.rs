//! The options that all optimizers have.

/// The setters that all optimizers have, by Keras's names, for a type with the fields `rules` and `rule`.
macro_rules! common_options {
    ($optimizer:ident) => {
        /// The options that all of Keras's optimizers have.
        ///
        /// Numbers that Keras keeps in f32 whatever the weights' type is (the learning rate, the weight decay) are
        /// rounded to f32 here too.
        impl<T: Float> $optimizer<T> {
            /// Decay of the weights at each update, apart from the gradient: `w -= w * weight_decay * learning_rate`.
            pub fn weight_decay(mut self, weight_decay: f64) -> Self {
                self.rules.weight_decay = Some(weight_decay);
                self
            }

            /// Weights that don't decay: those whose name contains one of these (`bias`, `0/forward`).
            pub fn exclude_from_weight_decay(mut self, names: &[&str]) -> Self {
                self.rules.not_decayed = names.iter().map(|&name| name.into()).collect();
                self
            }

            /// Shrinks each weight's gradient so that its norm is at most this.
            pub fn clipnorm(mut self, norm: f64) -> Self {
                self.rules.clipnorm = Some(norm);
                self
            }

            /// Limits each element of the gradients to ± this.
            pub fn clipvalue(mut self, value: f64) -> Self {
                self.rules.clipvalue = Some(value);
                self
            }

            /// Shrinks all gradients alike so that the norm of all of them together is at most this.
            pub fn global_clipnorm(mut self, norm: f64) -> Self {
                self.rules.global_clipnorm = Some(norm);
                self
            }

            /// Whether to keep an exponential moving average of each weight, which
            /// [`finalize_variable_values`](Self::finalize_variable_values) makes the weights.
            pub fn use_ema(mut self, yes: bool) -> Self {
                self.rules.use_ema = yes;
                self
            }

            /// How much of the average is kept at each update; 0.99 unless it is set.
            pub fn ema_momentum(mut self, momentum: f64) -> Self {
                self.rules.ema_momentum = momentum;
                self
            }

            /// Makes the averages the weights every so many updates.
            pub fn ema_overwrite_frequency(mut self, updates: u64) -> Self {
                self.rules.ema_overwrite_frequency = Some(updates);
                self
            }

            /// What the loss was multiplied with, so that small gradients don't vanish: they are divided by it.
            pub fn loss_scale_factor(mut self, factor: f64) -> Self {
                self.rules.loss_scale_factor = Some(factor);
                self
            }

            /// Updates only every so many calls, by the mean of their gradients.
            pub fn gradient_accumulation_steps(mut self, steps: u64) -> Self {
                self.rules.gradient_accumulation_steps = Some(steps);
                self
            }

            /// Checks that every number makes sense: what each step asks before it changes anything. Setters take
            /// numbers as they come, so that they chain; this says at once what is wrong with them.
            ///
            /// Finite and at least 0: `learning_rate`, `weight_decay`. Finite and above 0: `clipnorm`, `clipvalue`,
            /// `global_clipnorm` (one of them at most), `loss_scale_factor`, Adam's `epsilon`. In 0..=1: `momentum`,
            /// `ema_momentum`. At least 0 and below 1: `beta_1`, `beta_2`. `ema_overwrite_frequency` is at least 1,
            /// `gradient_accumulation_steps` at least 2.
            ///
            /// # Errors
            /// [`Error::OptimizerOption`](crate::Error::OptimizerOption) names the option and its range,
            /// [`Error::OptimizerClips`](crate::Error::OptimizerClips).
            pub fn validate(&self) -> Result<()> {
                self.rules.check()?;
                self.rule.check()
            }

            /// The learning rate now.
            pub fn learning_rate(&self) -> f64 {
                self.rules.learning_rate
            }

            /// Changes the learning rate for the updates to come: a schedule is a loop that does so. A step refuses one
            /// that [`validate`](Self::validate) refuses.
            pub fn set_learning_rate(&mut self, learning_rate: f64) {
                self.rules.learning_rate = learning_rate;
            }

            /// Updates so far.
            pub fn iterations(&self) -> u64 {
                self.rules.iterations()
            }

            /// Makes the averages of [`use_ema`](Self::use_ema) the weights, when training is over: of the same parts
            /// as in [`step_all`](Optimizer::step_all). Without averages it does nothing.
            ///
            /// # Errors
            /// [`Error::GradientsLayer`](crate::Error::GradientsLayer) for other layers,
            /// [`Error::SharedCell`](crate::Error::SharedCell); nothing is changed then.
            pub fn finalize_variable_values(&self, parts: &mut [&mut dyn Parameters<T>]) -> Result<()> {
                self.rules.finalize(parts)
            }
        }
    };
}

pub(super) use common_options;
