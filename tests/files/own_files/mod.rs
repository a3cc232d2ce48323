//! Files of our own: what was saved comes back with the same bits, whatever it is; what isn't sound is refused by name.

mod checkpoints;
pub mod contents;
mod damage;
mod disk;
#[cfg(feature = "keras")]
mod keras_models;
mod layers;
mod models;
mod quantized;
mod refusals;
mod states;
mod training;

use recurrent::{Parameters, file};

/// Saved and loaded: of the same description and printed alike, the same arrays bit for bit.
fn again<S: file::Saved + std::fmt::Debug>(thing: &S) -> S {
    let again = same_file(thing);
    assert_eq!(format!("{again:?}"), format!("{thing:?}"));
    again
}

/// Saved and loaded: a file that is written again has the same bytes. (The tensors of a model are numbered anew.)
fn same_file<S: file::Saved + std::fmt::Debug>(thing: &S) -> S {
    let bytes = file::to_bytes(thing).unwrap_or_else(|error| panic!("{thing:?}: {error}"));
    let again: S = file::from_bytes(&bytes).unwrap_or_else(|error| panic!("{thing:?}: {error}"));
    assert!(file::to_bytes(&again).expect("saved again") == bytes, "{thing:?} is written in other bytes");
    again
}

/// The bits of all weights.
fn bits<P: Parameters<f32> + ?Sized>(parameters: &P) -> Vec<(String, Vec<u32>)> {
    let weights = parameters.weights().into_iter();
    weights.map(|(name, array)| (name, array.iter().map(|value| value.to_bits()).collect())).collect()
}
