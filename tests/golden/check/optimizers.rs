//! Keras's optimizers of a spec.

use serde_json::Value;

use recurrent::Float;
use recurrent::training::{Adagrad, Adam, AdamW, Adamax, Lion, Nadam, Optimizer, RmsProp, Sgd};

use super::data::{flag, float, size, text_of};

/// The options that all have; what isn't known is a panic.
macro_rules! common {
    ($optimizer:expr, $key:expr, $value:expr) => {{
        let (made, value): (_, &Value) = ($optimizer, $value);
        match $key {
            "learning_rate" => made,
            "weight_decay" => made.weight_decay(float(value)),
            "clipnorm" => made.clipnorm(float(value)),
            "clipvalue" => made.clipvalue(float(value)),
            "global_clipnorm" => made.global_clipnorm(float(value)),
            "use_ema" => made.use_ema(flag(value)),
            "ema_momentum" => made.ema_momentum(float(value)),
            "ema_overwrite_frequency" => made.ema_overwrite_frequency(size(value) as u64),
            "loss_scale_factor" => made.loss_scale_factor(float(value)),
            "gradient_accumulation_steps" => made.gradient_accumulation_steps(size(value) as u64),
            other => panic!("an option that the test doesn't know: {other}"),
        }
    }};
}

/// The optimizer of a case.
pub fn optimizer<T: Float>(case: &Value) -> Box<dyn Optimizer<T>> {
    let spec = &case["optimizer"];
    let config = spec["config"].as_object().expect("a config");
    let names: Vec<&str> = case["exclude_from_weight_decay"].as_array().into_iter().flatten().map(text_of).collect();
    macro_rules! made {
        ($type:ident: $($number:ident)*; $($flag:ident)*) => {{
            let mut made = $type::<T>::new(float(&config["learning_rate"])).exclude_from_weight_decay(&names);
            for (key, value) in config {
                made = match key.as_str() {
                    $(stringify!($number) => made.$number(float(value)),)*
                    $(stringify!($flag) => made.$flag(flag(value)),)*
                    key => common!(made, key, value),
                };
            }
            Box::new(made)
        }};
    }
    match text_of(&spec["class"]) {
        "SGD" => made!(Sgd: momentum; nesterov),
        "Adam" => made!(Adam: beta_1 beta_2 epsilon; amsgrad),
        "AdamW" => made!(AdamW: beta_1 beta_2 epsilon; amsgrad),
        "RMSprop" => made!(RmsProp: rho momentum epsilon; centered),
        "Nadam" => made!(Nadam: beta_1 beta_2 epsilon;),
        "Adamax" => made!(Adamax: beta_1 beta_2 epsilon;),
        "Adagrad" => made!(Adagrad: initial_accumulator_value epsilon;),
        "Lion" => made!(Lion: beta_1 beta_2;),
        other => panic!("an optimizer of class {other}"),
    }
}
