//! The options that all optimizers have, and what makes of a rule an optimizer.

/// The setters that all optimizers have, by Keras's names, and [`Optimizer`](super::optimizer::Optimizer), for a type
/// with the fields `rules` and `rule`.
macro_rules! common_options {
    ($optimizer:ident) => {
        /// The options that all of Keras's optimizers have.
        ///
        /// Numbers that Keras keeps in f32 whatever the weights' type is (the learning rate, the weight decay) are
        /// rounded to f32 here too.
        impl<T: $crate::float::Float> $optimizer<T> {
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
            /// [`finalize_variable_values`](super::Optimizer::finalize_variable_values) makes the weights.
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
        }

        impl<T: $crate::float::Float> super::optimizer::Optimizer<T> for $optimizer<T> {
            fn step_all<'a>(
                &mut self,
                parts: &mut [(&'a mut dyn $crate::parameters::Parameters<T>, &'a $crate::gradients::Gradients<T>)],
            ) -> $crate::error::Result<()> {
                self.rules.step(&mut self.rule, parts)
            }

            fn learning_rate(&self) -> f64 {
                self.rules.learning_rate
            }

            fn set_learning_rate(&mut self, learning_rate: f64) -> $crate::error::Result<()> {
                self.rules.set_learning_rate(learning_rate)
            }

            fn iterations(&self) -> u64 {
                self.rules.iterations()
            }

            fn validate(&self) -> $crate::error::Result<()> {
                self.rules.check()?;
                super::rules::Rule::check(&self.rule)
            }

            fn loss_scale_factor(&self) -> Option<f64> {
                self.rules.loss_scale_factor
            }

            fn finalize_variable_values(
                &self,
                parts: &mut [&mut dyn $crate::parameters::Parameters<T>],
            ) -> $crate::error::Result<()> {
                self.rules.finalize(parts)
            }
        }

        #[cfg(feature = "file")]
        impl<T: $crate::float::Float> $optimizer<T> {
            /// All but the arrays, for files.
            pub(crate) fn describe(&self) -> $crate::config::Config {
                super::rules::Rule::describe(&self.rule, self.rules.describe(stringify!($optimizer)))
            }

            /// The arrays, for files.
            pub(crate) fn show(&self, show: &mut super::described::Show<'_, T>) {
                self.rules.show(show);
                for (name, slots) in super::rules::Rule::slots(&self.rule) {
                    slots.show(name, show);
                }
            }

            pub(crate) fn read(
                options: &$crate::config::Options<'_>,
                tensors: &mut $crate::config::Tensors<'_, T>,
            ) -> ::std::result::Result<Self, $crate::config::ConfigError> {
                let rules = super::rules::Rules::read(options, tensors)?;
                let mut made = Self::new(rules.learning_rate);
                super::rules::Rule::read(&mut made.rule, options)?;
                for (name, slots) in super::rules::Rule::slots_mut(&mut made.rule) {
                    *slots = super::memory::Slots::read(options, tensors, name, rules.owners())?;
                }
                Ok(Self { rules, ..made })
            }
        }
    };
}

pub(super) use common_options;
