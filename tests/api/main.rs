//! What a user sees beside the numbers: programs as users write them, names, messages, refusals, the plan of the house.

mod activity;
mod architecture;
mod bad_input;
mod convolutions;
mod custom_layers;
mod documented_panics;
mod fit;
mod layers;
mod model_training;
mod models_by_hand;
mod programs;
mod quantized;
mod quantized_others;
mod question;
mod random;
#[cfg(feature = "serde")]
mod serialized;
mod state_bytes;
mod zoneout;
