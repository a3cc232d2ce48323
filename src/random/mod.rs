//! The random numbers of Keras's TensorFlow backend, seeds included.
//!
//! ```text
//! SeedSource ── seed ──> Philox (seed, n) ──> words ──> uniform, normal, truncated normal numbers, dropout masks
//! (mersenne)                                  └──────> KerasRng: the same words through rand's traits
//! ```
//!
//! Every function is stateless, as TensorFlow's are: a pair of seeds and a count give the numbers, and nothing else
//! does. Seeded numbers never change between releases, nor between machines: no function of the platform's
//! mathematical library is called. Read [`philox`] first, then [`stateless`].

mod functions;
mod keras_rng;
mod mersenne;
mod philox;
mod seed_source;
mod shuffle;
pub(crate) mod stateless;

pub(crate) use functions::sin_cos_f32;
pub use keras_rng::KerasRng;
pub use seed_source::SeedSource;
pub(crate) use shuffle::shuffle;
pub use stateless::Draw;
pub(crate) use stateless::{normal, truncated_normal, uniform};
