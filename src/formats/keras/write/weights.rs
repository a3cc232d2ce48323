//! Where Keras 3 has the weights of a model: groups named by class, in which they are counted.

use ndarray::ArrayViewD;

use super::super::classes::GROUPS_OF_HEADS;
use super::super::description::join;
use super::super::places;
use super::bytes;
use super::model::keras_class;
use super::operations;
use crate::config::{Config, Entry, Value};
use crate::float::Float;
use crate::formats::hdf5::{Node, Tensor};
use crate::formats::save_error::SaveError;
use crate::graph::operation::{Operation, Role, Which};
use crate::graph::ops::multi_head::PROJECTIONS;
use crate::graph::{Model, Part};
use crate::weights::{WeightPath, WeightVisitor};

/// Puts the weights of a model below a path.
pub(super) fn put<'m, T: Float>(model: &'m Model<T>, path: &str, root: &mut Node<'m, T>) -> Result<(), SaveError> {
    let sequential = operations::is_sequential(model);
    let has_group = |part: &Part<T>| match &part.op {
        None => !sequential,
        Some(op) => operations::of_part(part).is_none() && !is_own_operation(&**op),
    };
    let parts: Vec<(usize, &Part<T>)> = model.parts.iter().enumerate().filter(|(_, part)| has_group(part)).collect();
    let groups = places::groups(parts.iter().map(|(_, part)| (keras_class(&part.class), 1)));
    for (&(at, part), group) in parts.iter().zip(&groups) {
        if let Some(op) = &part.op {
            let output = model.tensors.iter().find(|tensor| tensor.part == at);
            let rank = output.map_or(0, |output| output.shape.len());
            put_operation(&**op, rank, &join(path, &format!("layers/{group}")), root)?;
        }
    }
    Ok(())
}

/// Whether it stands for an operation of Keras's: those have no groups.
fn is_own_operation<T: Float>(op: &dyn Operation<T>) -> bool {
    op.describe().is_ok_and(|config| config.entry().is_some_and(|entry| entry.is_operation))
}

/// `rank`: how many axes its output has.
fn put_operation<'m, T: Float>(
    op: &'m dyn Operation<T>,
    rank: usize,
    path: &str,
    root: &mut Node<'m, T>,
) -> Result<(), SaveError> {
    match op.role() {
        Role::Model(model) => return put(model, path, root),
        Role::TimeDistributed(inner) => return put_operation(inner, rank, &join(path, "layer"), root),
        _ => {}
    }
    let (mut groups, mut in_bytes) = (Vec::new(), Vec::new());
    if let Ok(config) = op.describe().map(bytes::in_keras_words) {
        if config.class == "SpectralNormalization" {
            put_normalized(op, path, root);
            return Ok(());
        }
        find_groups(&config, "", path, &mut groups);
        put_entries(&config, path, root);
        in_bytes = bytes::weights(op, &config, rank)?;
    }
    let (mut counts, mut lost) = (vec![0; groups.len()], None);
    let mut each = |name: String, weight: Tensor<'m, T>| {
        // What is inside stands behind what it is inside of.
        let prefix = name.rsplit_once('/').map_or("", |(prefix, _)| prefix);
        let of_the_file = |own: &str| own.is_empty() || own == prefix || prefix.starts_with(&format!("{own}/"));
        match groups.iter().position(|(own, _)| own == prefix) {
            _ if groups.iter().any(|(own, path)| path.is_empty() && of_the_file(own)) => {}
            Some(at) if name.ends_with("idf_weights") => {
                root.put_tensor(&format!("{}/vars/idf_weights", groups[at].1), weight)
            }
            Some(at) => {
                root.put_tensor(&format!("{}/vars/{}", groups[at].1, counts[at]), weight);
                counts[at] += 1;
            }
            None => drop(lost.get_or_insert(name)),
        }
    };
    let mut floats = |name: &WeightPath<'_>, weight: ArrayViewD<'m, T>| {
        each(name.to_string(), Tensor::Floats(weight.into()));
    };
    op.visit_weights(Which::All, &mut WeightVisitor::new(&mut floats));
    in_bytes.into_iter().for_each(|(name, weight)| each(name, weight));
    match lost {
        None => Ok(()),
        Some(weight) => Err(SaveError::NoPlace { group: path.into(), weight }),
    }
}

/// A layer with a kernel that is normalized: Keras writes the kernel with the wrapper, too.
fn put_normalized<'m, T: Float>(op: &'m dyn Operation<T>, path: &str, root: &mut Node<'m, T>) {
    let mut count = 0;
    let mut each = |name: &str, weight: ArrayViewD<'m, T>| {
        match name {
            "vector_u" => return root.put(&format!("{path}/vars/1"), weight),
            "kernel" => root.put(&format!("{path}/vars/0"), weight.clone()),
            _ => {}
        }
        root.put(&format!("{path}/layer/vars/{count}"), weight);
        count += 1;
    };
    op.visit_weights(Which::All, &mut WeightVisitor::new(&mut |name, weight| each(&name.to_string(), weight)));
}

/// The group of the weights that stand behind a prefix, for all prefixes of what is so described.
fn find_groups(config: &Config, prefix: &str, path: &str, groups: &mut Vec<(String, String)>) {
    let inner = |name: &str| config.options.iter().find(|(own, _)| own == name).map(|(_, value)| value);
    match &config.class[..] {
        "SimpleRNN" | "LSTM" | "GRU" | "ConvLSTM1D" | "ConvLSTM2D" | "ConvLSTM3D" => {
            groups.push((prefix.into(), join(path, "cell")))
        }
        "RNN" => {
            if let Some(Value::Config(cell)) = inner("cell") {
                find_groups(cell, prefix, &join(path, "cell"), groups);
            }
        }
        "StackedRNNCells" => find_each(inner("cells"), prefix, &join(path, "cells"), groups),
        "Stacked" => find_each(inner("layers"), prefix, &join(path, "layers"), groups),
        "Bidirectional" => {
            for (option, own, group) in
                [("layer", "forward", "forward_layer"), ("backward_layer", "backward", "backward_layer")]
            {
                if let Some(Value::Config(layer)) = inner(option) {
                    find_groups(layer, &join(prefix, own), &join(path, group), groups);
                }
            }
        }
        "MultiHeadAttention" | "GroupQueryAttention" => {
            let grouped = config.class == "GroupQueryAttention";
            for (name, [plain, in_groups]) in PROJECTIONS.into_iter().zip(GROUPS_OF_HEADS) {
                groups.push((join(prefix, name), join(path, if grouped { in_groups } else { plain })));
            }
        }
        "Layer" | "TimeDistributed" => {
            if let Some(Value::Config(layer)) = inner("layer") {
                let path = if config.class == "Layer" { path.into() } else { join(path, "layer") };
                find_groups(layer, prefix, &path, groups);
            }
        }
        // Its tensors are the file's: a group without a path.
        Entry::CLASS => groups.push((prefix.into(), String::new())),
        _ => groups.push((prefix.into(), path.into())),
    }
}

/// Puts the tensors of what code of the program's own takes the place of.
fn put_entries<T: Float>(config: &Config, path: &str, root: &mut Node<'_, T>) {
    let mut entries = Vec::new();
    find_entries(config, path, &mut entries);
    for (path, entry) in entries {
        for (name, tensor) in &entry.tensors {
            root.put_owned(&join(&path, name), tensor.mapv(T::from_f64));
        }
    }
}

fn find_entries<'c>(config: &'c Config, path: &str, found: &mut Vec<(String, &'c Entry)>) {
    if let Some(entry) = config.entry() {
        return found.push((path.into(), entry));
    }
    let (each, group): (&str, fn(&str) -> &str) = match &config.class[..] {
        "RNN" => ("cell", |_| "cell"),
        "TimeDistributed" => ("layer", |_| "layer"),
        "Layer" => ("layer", |_| ""),
        "Bidirectional" => ("", |key| if key == "layer" { "forward_layer" } else { "backward_layer" }),
        "StackedRNNCells" | "Stacked" => {
            let group = if config.class == "Stacked" { "layers" } else { "cells" };
            let list = config.options.iter().find(|(name, _)| name == group).map(|(_, value)| value);
            let Some(Value::List(list)) = list else { return };
            let configs: Vec<&Config> = list.iter().filter_map(as_config).collect();
            let names = places::groups(configs.iter().map(|config| (class_of(config), 1)));
            for (config, name) in configs.into_iter().zip(names) {
                find_entries(config, &join(path, &format!("{group}/{name}")), found);
            }
            return;
        }
        _ => return,
    };
    for (name, value) in &config.options {
        if let (true, Some(inner)) = (each.is_empty() || name == each, as_config(value)) {
            find_entries(inner, &join(path, group(name)), found);
        }
    }
}

fn as_config(value: &Value) -> Option<&Config> {
    if let Value::Config(config) = value { Some(config) } else { None }
}

/// The class by which Keras names a group.
fn class_of(config: &Config) -> &str {
    config.entry().map_or_else(|| keras_class(&config.class), |entry| &entry.bare_class)
}

/// The same of a list, whose items are numbered here, and there named by class.
fn find_each(list: Option<&Value>, prefix: &str, path: &str, groups: &mut Vec<(String, String)>) {
    let Some(Value::List(list)) = list else { return };
    let configs: Vec<&Config> = list.iter().filter_map(as_config).collect();
    let names = places::groups(configs.iter().map(|config| (class_of(config), 1)));
    for (at, (config, name)) in configs.iter().zip(names).enumerate() {
        find_groups(config, &join(prefix, &at.to_string()), &join(path, &name), groups);
    }
}
