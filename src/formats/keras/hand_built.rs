//! Weights of a file into a layer that was built by hand.

use std::collections::BTreeSet;

use ndarray::ArrayD;

use super::classes::{CellKind, Class, DIRECTIONS, Holds, Reads};
use super::description::SEQUENTIAL;
use super::options::Settings;
use super::places;
use super::weights::{Place, Queue, Weights, list};
use crate::float::Float;
use crate::formats::error::{Found, Problem};
use crate::layers::Layer;

/// A weight by its path in the layer, and what it is to become.
type New<T> = Vec<(String, ArrayD<T>)>;

/// Reads all weights, checks them, and then sets them.
pub(super) fn load<T: Float>(weights: &Weights<'_>, options: &Settings, layer: &mut dyn Layer<T>) -> Found<()> {
    let mut new = New::new();
    let file = &weights.file;
    let root = super::legacy_root(file)?;
    let top = file.find(root)?.unwrap_or(file.root());
    if let Some(layers) = list(file, top, "layer_names", options.limits.tensors)? {
        let tensors = legacy_tensors(weights, options, root, &layers)?;
        take(weights, "the file", tensors, layer, &mut new)?;
        weights.check_leftovers(root)?;
    } else {
        let place = Place::Group(String::new());
        if layer.class_name() == SEQUENTIAL {
            Reader { weights }.layer(layer, &place, "", &mut new)?;
        } else {
            Reader { weights }.layer(layer, &only_layer(weights)?, "", &mut new)?;
        }
        weights.check_leftovers("")?;
    }
    set(layer, &new)
}

/// [`load`] for the weights below a path: all of them, and no others.
pub(super) fn load_below<T: Float>(
    weights: &Weights<'_>,
    options: &Settings,
    path: &str,
    layer: &mut dyn Layer<T>,
) -> Found<()> {
    let mut new = New::new();
    let (file, path) = (&weights.file, path.trim_matches('/'));
    let root = super::legacy_root(file)?;
    let top = file.find(root)?.unwrap_or(file.root());
    let unknown = |known| Problem::UnknownObject { what: "group", name: path.into(), known };
    if let Some(layers) = list(file, top, "layer_names", options.limits.tensors)? {
        let start = format!("{root}{path}/");
        let all = legacy_tensors(weights, options, root, &layers)?;
        let tensors: Vec<String> = all.iter().filter(|tensor| tensor.starts_with(&start)).cloned().collect();
        if tensors.is_empty() {
            let holds = |layer: &&&str| all.iter().any(|tensor| tensor.starts_with(&format!("{root}{layer}/")));
            return Err(unknown(layers.iter().filter(holds).map(ToString::to_string).collect()));
        }
        take(weights, path, tensors, layer, &mut new)?;
    } else {
        match file.find(path)? {
            Some(group) if !file.is_dataset(group)? => {}
            _ => return Err(unknown(weights.groups()?)),
        }
        Reader { weights }.layer(layer, &Place::Group(path.into()), "", &mut new)?;
        weights.check_leftovers(path)?;
    }
    set(layer, &new)
}

/// Checks the new weights, and then sets them.
fn set<T: Float>(layer: &mut dyn Layer<T>, new: &New<T>) -> Found<()> {
    check(layer, new)?;
    let views: Vec<_> = new.iter().map(|(name, array)| (name.as_str(), array.view())).collect();
    let name = layer.class_name();
    layer.set_weights(&views).map_err(|source| Problem::Layer { layer: name.into(), source })
}

fn check<T: Float>(layer: &dyn Layer<T>, new: &New<T>) -> Found<()> {
    for (name, weight) in layer.weights() {
        let found = new.iter().find(|(new, _)| *new == name);
        let (_, array) = found.ok_or_else(|| Problem::MissingTensor {
            layer: layer.class_name().into(),
            weight: name.clone(),
            tensor: name.clone(),
        })?;
        if array.shape() != weight.shape() {
            return Err(Problem::TensorShape {
                layer: layer.class_name().into(),
                weight: name.clone(),
                tensor: name,
                expected: format!("{:?}", weight.shape()),
                found: array.shape().to_vec(),
            });
        }
    }
    Ok(())
}

/// The legacy format: the tensors of all layers, in order.
fn legacy_tensors(weights: &Weights<'_>, options: &Settings, root: &str, layers: &[&str]) -> Found<Vec<String>> {
    let file = &weights.file;
    let mut tensors = Vec::new();
    for name in layers {
        let group = format!("{root}{name}");
        let found = file.find(&group)?.ok_or(Problem::MissingObject { what: "group", name: group.clone() })?;
        let names = list(file, found, "weight_names", options.limits.tensors)?.unwrap_or_default();
        tensors.extend(names.iter().map(|name| format!("{group}/{name}")));
    }
    Ok(tensors)
}

/// The legacy format: a layer's weights are those tensors, in order.
fn take<T: Float>(
    weights: &Weights<'_>,
    owner: &str,
    tensors: Vec<String>,
    layer: &dyn Layer<T>,
    new: &mut New<T>,
) -> Found<()> {
    let count = tensors.len();
    let queue = Queue::new(owner, tensors, &vec![true; count]);
    for (name, _) in layer.weights() {
        let last = last_name(&name);
        let read = weights.read::<T>(layer.class_name(), &Place::Queue(&queue), &[last])?;
        new.extend(read.into_iter().map(|weight| (name.clone(), weight.array)));
    }
    queue.finish()
}

/// The last part of a weight's path, as one of the names that weights have.
fn last_name(path: &str) -> &'static str {
    let last = path.rsplit('/').next().unwrap_or(path);
    ["kernel", "recurrent_kernel", "bias"].into_iter().find(|name| *name == last).unwrap_or("weight")
}

/// The file's one layer with weights.
fn only_layer(weights: &Weights<'_>) -> Found<Place<'static>> {
    let layers = weights.layout(None)?.group();
    let mut found = BTreeSet::new();
    for tensor in weights.tensors()? {
        let name = tensor.path.strip_prefix(layers).and_then(|rest| rest.strip_prefix('/')?.split('/').next());
        found.extend(name.map(String::from));
    }
    let found: Vec<String> = found.into_iter().collect();
    match &found[..] {
        [one] => Ok(Place::Group(format!("{layers}/{one}"))),
        [] => Err(Problem::Incomplete { what: "weights", hint: "save the model once its layers are built" }),
        _ => Err(Problem::SeveralLayers { layers: found }),
    }
}

struct Reader<'r, 'a> {
    weights: &'r Weights<'a>,
}

impl Reader<'_, '_> {
    /// The weights of a layer at a place; their names behind `prefix`.
    fn layer<T: Float>(
        &self,
        layer: &dyn Layer<T>,
        place: &Place<'static>,
        prefix: &str,
        new: &mut New<T>,
    ) -> Found<()> {
        if layer.class_name() == SEQUENTIAL {
            let parts = layer.parts();
            let layout = self.weights.layout(None)?;
            let classes = parts.iter().map(|(_, part)| (part.class_name(), layout.numbers(part.count_params() > 0)));
            let inner = place.child(layout.group());
            for ((name, part), group) in parts.iter().zip(places::groups(classes)) {
                if part.count_params() > 0 {
                    self.layer(*part, &inner.child(&group), &format!("{prefix}{name}/"), new)?;
                }
            }
            return Ok(());
        }
        let class = Class::<T>::named(layer.class_name()).map(|class| (&class.reads, class.holds));
        match class {
            Some((_, Holds::Directions)) => {
                for ((name, part), group) in layer.parts().iter().zip(DIRECTIONS) {
                    self.layer(*part, &place.child(group), &format!("{prefix}{name}/"), new)?;
                }
                Ok(())
            }
            Some((Reads::Recurrent(CellKind::InOption), _)) => self.cells(layer, &self.cell(place)?, prefix, "", new),
            Some((Reads::Layer(_), Holds::Layer(inside))) => self.vars(layer, &place.child(inside), prefix, "", new),
            Some((Reads::Layer(_), _)) => self.vars(layer, place, prefix, "", new),
            // A layer of one cell, which may be one of the user's own.
            _ => self.vars(layer, &self.cell(place)?, prefix, "", new),
        }
    }

    /// The place of a layer's cell, which the place itself may be.
    fn cell(&self, place: &Place<'static>) -> Found<Place<'static>> {
        let cell = place.child("cell");
        let (Place::Group(own), Place::Group(inner)) = (place, &cell) else { return Ok(cell) };
        let file = &self.weights.file;
        let holds = |path: &str| match file.find(path)? {
            Some(group) if !file.is_dataset(group)? => Ok(!file.members(group)?.is_empty()),
            _ => Ok(false),
        };
        let is_cell = !holds(inner)? && (holds(&format!("{own}/vars"))? || holds(&format!("{own}/cells"))?);
        Ok(if is_cell { place.clone() } else { cell })
    }

    /// Those weights of a layer whose names begin with `within`, from one group.
    fn vars<T: Float>(
        &self,
        layer: &dyn Layer<T>,
        place: &Place<'_>,
        prefix: &str,
        within: &str,
        new: &mut New<T>,
    ) -> Found<()> {
        let weights = layer.weights();
        let names: Vec<&str> =
            weights.iter().map(|(name, _)| name.as_str()).filter(|n| n.starts_with(within)).collect();
        let last: Vec<&'static str> = names.iter().map(|name| last_name(name)).collect();
        let read = self.weights.read::<T>(layer.class_name(), place, &last)?;
        new.extend(names.iter().zip(read).map(|(name, weight)| (format!("{prefix}{name}"), weight.array)));
        Ok(())
    }

    /// A stack of cells: groups are named by class, which a stack doesn't tell, so they are found by their shapes.
    fn cells<T: Float>(
        &self,
        layer: &dyn Layer<T>,
        place: &Place<'_>,
        prefix: &str,
        within: &str,
        new: &mut New<T>,
    ) -> Found<()> {
        let weights = layer.weights();
        let numbers: Vec<usize> =
            weights.iter().filter_map(|(name, _)| name.strip_prefix(within)?.split('/').next()?.parse().ok()).collect();
        let Some(&last) = numbers.iter().max() else { return self.vars(layer, place, prefix, within, new) };
        let Place::Group(path) = place.child("cells") else { return Ok(()) };
        let file = &self.weights.file;
        let missing = |name: &str| Problem::MissingObject { what: "group", name: name.into() };
        let group = file.find(&path)?.ok_or_else(|| missing(&path))?;
        let mut free: Vec<String> = file.members(group)?.iter().map(|(name, _)| name.to_string()).collect();
        // lstm_cell before lstm_cell_1 before lstm_cell_10.
        free.sort_by_key(|name| (name.len(), name.clone()));
        for cell in 0..=last {
            let within = format!("{within}{cell}/");
            let own = weights.iter().filter(|(name, _)| name.starts_with(&within));
            let nested = own.clone().any(|(name, _)| name[within.len()..].starts_with(|c: char| c.is_ascii_digit()));
            let shapes: Vec<Vec<usize>> = own.map(|(_, weight)| weight.shape().to_vec()).collect();
            let mut candidates = Vec::new();
            for (at, name) in free.iter().enumerate() {
                let fits = match nested {
                    true => name.starts_with("stacked"),
                    false => self.shapes(&format!("{path}/{name}/vars"))? == shapes,
                };
                if fits {
                    candidates.push(at);
                }
            }
            let class = |at: &usize| free[*at].trim_end_matches(|c: char| c == '_' || c.is_ascii_digit()).to_string();
            let names = |found: Vec<String>| Problem::TensorNames {
                layer: format!("{}/{cell}", layer.class_name()),
                expected: vec![format!("one group with tensors of the shapes {shapes:?}")],
                found,
            };
            let first = candidates.first().ok_or_else(|| names(free.clone()))?;
            if candidates.iter().any(|at| class(at) != class(first)) {
                return Err(names(candidates.iter().map(|&at| free[at].clone()).collect()));
            }
            let place = Place::Group(format!("{path}/{}", free.remove(*first)));
            match nested {
                true => self.cells(layer, &place, prefix, &within, new)?,
                false => self.vars(layer, &place, prefix, &within, new)?,
            }
        }
        Ok(())
    }

    fn shapes(&self, path: &str) -> Found<Vec<Vec<usize>>> {
        let file = &self.weights.file;
        let Some(group) = file.find(path)? else { return Ok(vec![]) };
        let mut members = file.members(group)?.to_vec();
        members.sort_by_key(|(name, _)| name.parse::<usize>().unwrap_or(usize::MAX));
        members.into_iter().map(|(name, object)| Ok(file.form(name, object)?.1)).collect()
    }
}
