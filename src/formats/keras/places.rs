//! Where the weights of each layer of a model are, in Keras 3's layout: in groups named by class, counted.

use std::collections::BTreeMap;

use super::classes::{is_operation, trained};
use super::description::Described;
use super::weights::{Layout, Place};
use crate::formats::error::Found;
use crate::layers::summary::{in_python, snake_case};

/// The names of groups by class, counted; each class with how many numbers it takes.
pub(super) fn groups<'c>(classes: impl IntoIterator<Item = (&'c str, usize)>) -> Vec<String> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    // Many layers are of few classes.
    let mut names: BTreeMap<&str, String> = BTreeMap::new();
    let name = |(class, numbers)| {
        let name = names.entry(class).or_insert_with(|| snake_case(in_python(class))).clone();
        let count = counts.entry(name.clone()).or_default();
        let own = *count;
        *count += numbers;
        if own == 0 { name } else { format!("{name}_{own}") }
    };
    classes.into_iter().map(name).collect()
}

/// The place of each layer of a model whose own place is `place`.
pub(super) fn of_layers(
    sequential: bool,
    layers: &[Described<'_>],
    place: &Place<'static>,
    layout: Layout,
) -> Found<Vec<Place<'static>>> {
    // They have no group.
    let skips = |layer: &Described<'_>| {
        // What code takes the place of is where it was.
        let replaced = layer.identity.code.is_some();
        let operation = if replaced { layer.identity.is_keras_operation() } else { is_operation(layer) };
        sequential && layer.is_input() || operation
    };
    let skipped: Vec<bool> = layers.iter().map(skips).collect();
    let kept = layers.iter().zip(&skipped).filter(|(_, skipped)| !**skipped).map(|(layer, _)| layer);
    let numbers = |layer: &Described<'_>| match layout {
        Layout::CountedTwice => Ok(layout.numbers(!trained(layer, true)?.is_empty())),
        _ => Ok(1),
    };
    let kept = kept.map(|layer| Ok((layer.class(), numbers(layer)?))).collect::<Found<Vec<_>>>()?;
    let mut names = groups(kept).into_iter();
    let inner = place.child(layout.group());
    let one = |&skipped: &bool| if skipped { inner.clone() } else { inner.child(&names.next().unwrap_or_default()) };
    Ok(skipped.iter().map(one).collect())
}
