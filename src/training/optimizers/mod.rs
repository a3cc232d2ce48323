//! Keras's optimizers: a file for each one's own rule, over what all of them do ([`rules`]).

mod adagrad;
mod adam;
mod adamax;
mod adamw;
mod common_options;
#[cfg(feature = "file")]
pub(crate) mod described;
mod lion;
mod memory;
mod nadam;
pub(super) mod numbers;
mod optimizer;
mod prepare;
mod rmsprop;
mod rules;
mod sgd;

pub use self::adagrad::Adagrad;
pub use self::adam::Adam;
pub use self::adamax::Adamax;
pub use self::adamw::AdamW;
pub use self::lion::Lion;
pub use self::nadam::Nadam;
pub use self::optimizer::Optimizer;
pub use self::rmsprop::RmsProp;
pub use self::sgd::Sgd;
