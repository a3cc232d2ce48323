//! One layer in Keras 3's words, made of what it says of itself: see [`Written`] for what differs from class to class.

use serde_json::{Map, Value as Json, json};

use super::super::classes::{Class, Written};
use super::super::words::values::{object, plain, policy};
use super::super::words::{Around, Object, Said, Unsaid, option};
use super::{Unwritten, operations};
use crate::config::{Config, Entry, Value};

/// A layer as Keras writes it.
pub(super) fn layer(described: &Config, around: &Around<'_>) -> Result<Json, Unwritten> {
    if let Some(entry) = described.entry() {
        return self::entry(entry);
    }
    let own = |name: &str| described.options.iter().find(|(own, _)| own == name).map(|(_, value)| value);
    let mut config = head(around);
    let class = match &described.class[..] {
        // A layer over time in the place of an operation.
        "Layer" => {
            let Some(Value::Config(inner)) = own("layer") else { return Err(unknown(described)) };
            return layer(inner, &Around { class: &inner.class, ..*around });
        }
        "SimpleRNN" | "LSTM" | "GRU" => {
            over_time(&mut config, described, around);
            if around.class == "RNN" {
                let cell = Config { class: format!("{}Cell", described.class), options: cell_options(described) };
                config.insert("cell".into(), self::cell(&cell, around)?);
                "RNN"
            } else {
                options(&mut config, class(&described.class)?, &cell_options(described), around)?;
                &described.class
            }
        }
        "RNN" => {
            over_time(&mut config, described, around);
            let Some(Value::Config(cells)) = own("cell") else { return Err(unknown(described)) };
            config.insert("cell".into(), cell(cells, around)?);
            "RNN"
        }
        "Bidirectional" => {
            directions(&mut config, described, around)?;
            config.insert("merge_mode".into(), own("merge_mode").map_or(Json::Null, plain));
            "Bidirectional"
        }
        class @ ("TimeDistributed" | "SpectralNormalization") => {
            let Some(Value::Config(inner)) = own("layer") else { return Err(unknown(described)) };
            let name = crate::layers::summary::snake_case(&inner.class);
            config.insert("layer".into(), layer(inner, &around.inside(&inner.class, &name))?);
            config.extend(own("power_iterations").map(|count| ("power_iterations".into(), plain(count))));
            class
        }
        "ChannelsFirst" => return channels_first(described, around),
        "Stacked" => return stacked(described, around),
        // Operations, which aren't layers, have been written already where they can stand.
        class if THIS_CRATES.contains(&class) || operations::of(described, around).is_some() => {
            return Err(unknown(described));
        }
        _ => by_options(described, around, &mut config)?,
    };
    Ok(object("keras.layers", class, config))
}

/// A layer that is written option by option. Returns its class.
fn by_options(described: &Config, around: &Around<'_>, config: &mut Object) -> Result<&'static str, Unwritten> {
    let additive = described.options.iter().any(|(name, value)| name == "score" && *value == "additive".into());
    let class = match &described.class[..] {
        "Contract" => "Dot",
        "Attention" if additive => "AdditiveAttention",
        class => class,
    };
    // Where several classes are one layer, the part of the model knows which it is.
    let names = if own_name(class) { [class, class] } else { [around.class, class] };
    let named = names.into_iter().find_map(|name| Class::<f32>::named(name));
    let found = named.ok_or_else(|| unknown(described))?;
    options(config, found, &described.options, around)?;
    Ok(found.name)
}

/// What code of the program's own took the place of, as the file had it.
fn entry(entry: &Entry) -> Result<Json, Unwritten> {
    match serde_json::from_str(&entry.text) {
        Ok(json) if !entry.is_old => Ok(json),
        _ => Err(Unwritten::Old(entry.class.clone())),
    }
}

/// A layer that reads its channels first.
fn channels_first(described: &Config, around: &Around<'_>) -> Result<Json, Unwritten> {
    let inner = described.options.iter().find(|(name, _)| name == "layer");
    let Some((_, Value::Config(inner))) = inner else { return Err(unknown(described)) };
    // Keras's softmax would go along time.
    let softmax = inner.options.iter().any(|(name, value)| name == "activation" && *value == "softmax".into());
    if !WITH_CHANNELS.contains(&&inner.class[..]) || softmax {
        return Err(unknown(described));
    }
    let mut written = layer(inner, around)?;
    written["config"]["data_format"] = "channels_first".into();
    Ok(written)
}

/// The layers that Keras has with channels first.
const WITH_CHANNELS: [&str; 26] = [
    "Conv1D",
    "DepthwiseConv1D",
    "SeparableConv1D",
    "MaxPooling1D",
    "AveragePooling1D",
    "GlobalMaxPooling1D",
    "GlobalAveragePooling1D",
    "ZeroPadding1D",
    "DepthwiseConv2D",
    "SeparableConv2D",
    "Conv2D",
    "MaxPooling2D",
    "AveragePooling2D",
    "GlobalMaxPooling2D",
    "GlobalAveragePooling2D",
    "ZeroPadding2D",
    "Cropping2D",
    "UpSampling2D",
    "Conv3D",
    "MaxPooling3D",
    "AveragePooling3D",
    "GlobalMaxPooling3D",
    "GlobalAveragePooling3D",
    "ZeroPadding3D",
    "Cropping3D",
    "UpSampling3D",
];

/// Both layers of a Bidirectional.
fn directions(config: &mut Object, described: &Config, around: &Around<'_>) -> Result<(), Unwritten> {
    for (key, prefix) in [("layer", "forward"), ("backward_layer", "backward")] {
        let inner = described.options.iter().find(|(own, _)| own == key);
        let Some((_, Value::Config(inner))) = inner else { return Err(unknown(described)) };
        let name = format!("{prefix}_{}", crate::layers::summary::snake_case(&inner.class));
        config.insert(key.into(), layer(inner, &around.inside(&inner.class, &name))?);
    }
    Ok(())
}

/// What is written as none of Keras's classes, whatever the part of the model is called: this crate's own.
const THIS_CRATES: [&str; 2] = ["Masked", "PerStep"];

/// Whether what describes itself so is this class and no other.
fn own_name(class: &str) -> bool {
    matches!(class, "Dot" | "Attention" | "AdditiveAttention" | "Rescaling" | "Normalization" | "UnitNormalization")
}

/// A class by its name.
fn class<'c>(name: &str) -> Result<&'c Class<f32>, Unwritten> {
    Class::<f32>::named(name).ok_or_else(|| Unwritten::Class(name.into()))
}

fn unknown(described: &Config) -> Unwritten {
    Unwritten::Class(described.class.clone())
}

fn head(around: &Around<'_>) -> Object {
    let mut config = Map::new();
    config.insert("name".into(), around.name.into());
    config.insert("trainable".into(), around.trainable.into());
    config.insert("dtype".into(), policy(around.dtype));
    config
}

/// The options of the layer over time itself.
const OVER_TIME: [&str; 5] = ["return_sequences", "return_state", "go_backwards", "zero_output_for_mask", "unroll"];

fn over_time(config: &mut Object, described: &Config, around: &Around<'_>) {
    let own = described.options.iter().filter(|(name, _)| OVER_TIME.contains(&name.as_str()));
    config.extend(own.map(|(name, value)| (name.clone(), plain(value))));
    config.insert("stateful".into(), around.stateful.into());
}

/// Those of the cell in it.
fn cell_options(described: &Config) -> Vec<(String, Value)> {
    described.options.iter().filter(|(name, _)| !OVER_TIME.contains(&name.as_str())).cloned().collect()
}

/// A cell, or a stack of cells.
fn cell(described: &Config, around: &Around<'_>) -> Result<Json, Unwritten> {
    if let Some(entry) = described.entry() {
        return self::entry(entry);
    }
    let name = crate::layers::summary::snake_case(&described.class);
    let mut config = head(&around.inside(&described.class, &name));
    if described.class != "StackedRNNCells" {
        options(&mut config, class(&described.class)?, &described.options, around)?;
        return Ok(object("keras.layers", &described.class, config));
    }
    let mut cells = Vec::new();
    for (name, value) in &described.options {
        match value {
            Value::List(list) if name == "cells" => {
                for item in list {
                    let Value::Config(one) = item else { return Err(unknown(described)) };
                    cells.push(cell(one, around)?);
                }
            }
            value => return Err(Unsaid::new(name, value).into()),
        }
    }
    config.insert("cells".into(), cells.into());
    Ok(object("keras.layers", "StackedRNNCells", config))
}

/// Layers one after another: a model of Keras's.
fn stacked(described: &Config, around: &Around<'_>) -> Result<Json, Unwritten> {
    let mut layers = Vec::new();
    let mut counts = std::collections::BTreeMap::<String, usize>::new();
    for (name, value) in &described.options {
        match value {
            Value::List(list) if name == "layers" => {
                for item in list {
                    let Value::Config(one) = item else { return Err(unknown(described)) };
                    let plain = crate::layers::summary::snake_case(&one.class);
                    let count = counts.entry(plain.clone()).or_default();
                    *count += 1;
                    let name = if *count == 1 { plain } else { format!("{plain}_{}", *count - 1) };
                    layers.push(layer(one, &around.inside(&one.class, &name))?);
                }
            }
            Value::Flag(false) => {}
            // It did nothing but in training.
            Value::Text(_) if name == "left_out" => {}
            value => return Err(Unsaid::new(name, value).into()),
        }
    }
    let mut config = head(around);
    config.insert("layers".into(), layers.into());
    Ok(object("keras", "Sequential", config))
}

/// The options of a class, as its [`Written`] says.
fn options(
    config: &mut Object,
    class: &Class<f32>,
    described: &[(String, Value)],
    around: &Around<'_>,
) -> Result<(), Unwritten> {
    match class.written {
        Written::Without(without) => {
            for (name, value) in described.iter().filter(|(name, _)| !without.contains(&name.as_str())) {
                config.insert(name.clone(), option(name, value, around)?);
            }
        }
        Written::By(write) => {
            let mut said = Said { described, around, config };
            write(&mut said)?;
        }
    }
    Ok(())
}

/// The input of a model.
pub(super) fn input(name: &str, shape: &[Option<usize>], dtype: &str) -> Json {
    let config = json!({
        "name": name, "batch_shape": shape, "dtype": dtype, "sparse": false, "ragged": false, "optional": false,
    });
    json!({"module": "keras.layers", "class_name": "InputLayer", "config": config, "registered_name": null})
}
