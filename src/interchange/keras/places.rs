//! Where the weights of each layer of a model are, in Keras 3's layout: in groups named by class, counted.

use std::collections::BTreeMap;

use super::classes::is_operation;
use super::description::Described;
use super::weights::Place;
use crate::layers::summary::snake_case;

/// The names of the groups of several layers' weights, by their classes.
pub(super) fn groups<'c>(classes: impl IntoIterator<Item = &'c str>) -> Vec<String> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let name = |class| {
        let name = snake_case(class);
        let count = counts.entry(name.clone()).or_default();
        *count += 1;
        if *count == 1 { name } else { format!("{name}_{}", *count - 1) }
    };
    classes.into_iter().map(name).collect()
}

/// The place of each layer of a model whose own place is `place`.
pub(super) fn of_layers(sequential: bool, layers: &[Described<'_>], place: &Place<'static>) -> Vec<Place<'static>> {
    // They have no group.
    let skipped: Vec<bool> = layers.iter().map(|layer| sequential && layer.is_input() || is_operation(layer)).collect();
    let kept = layers.iter().zip(&skipped).filter(|(_, skipped)| !**skipped).map(|(layer, _)| layer.class());
    let mut names = groups(kept).into_iter();
    let inner = place.child("layers");
    let one = |&skipped: &bool| if skipped { inner.clone() } else { inner.child(&names.next().unwrap_or_default()) };
    skipped.iter().map(one).collect()
}
