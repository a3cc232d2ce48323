//! The regularizers and constraints that a file said of a model's layers, for a training run here.

use serde_json::Value as Json;

use super::words::Object;
use crate::error::{Error, Result};
use crate::float::Float;
use crate::graph::Model;
use crate::parameters::Parameters;
use crate::training::{Constraint, Network, OrthogonalMode, Regularizer, WeightRules};
use crate::weights::WeightVisitor;

/// The regularizers and constraints that the file of a model said of its layers, for [`Fit`](crate::training::Fit) or a
/// loop of one's own: with them training here goes on as it would in Keras. Weights that aren't trained have none, as in
/// Keras; what a layer gives is regularized (`activity_regularizer`, `ActivityRegularization`) whether it is trained or
/// not. Keras 3 calls the layer inside a TimeDistributed past its regularizer, and SimpleRNN forgets its own: so it is here.
///
/// ```no_run
/// use ndarray::prelude::*;
/// use recurrent::{keras, training::*};
/// let mut model = keras::load::<f32>("model.keras")?;
/// let rules = keras::weight_rules(&model)?;
/// let (x, y) = (Array3::<f32>::zeros((32, 10, 8)), Array2::<f32>::zeros((32, 1)));
/// Fit::new(Loss::MeanSquaredError, Adam::new(1e-3)).weight_rules(rules).run(&mut model, &x, &y)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`Error::RuleUnknown`] for what isn't known here: a class of one's own, rules inside a layer that hasn't got weights of
/// that name, an activity regularizer of a cell, of attention with several heads, of the layer inside a
/// SpectralNormalization or of what a TimeDistributed has inside its layer.
pub fn weight_rules<T: Float>(model: &Model<T>) -> Result<WeightRules> {
    let mut trained = Vec::new();
    model.visit_trained(&mut WeightVisitor::new(&mut |path, _| trained.push(path.to_string())));
    let all = model.weights().into_iter().map(|(path, _)| path).collect();
    let mut found = Found { all, trained, layers: model.layer_paths(), rules: WeightRules::new() };
    found.of_model(model, "")?;
    found.rules.validate(model)?;
    found.rules.validate_activity(model)?;
    Ok(found.rules)
}

/// What an activity regularizer in a layer's words means.
#[derive(Clone, Copy, PartialEq)]
enum Activity {
    /// A penalty of what the layer gives.
    Counts,
    /// Nothing: Keras calls the layer past it.
    PassedBy,
    /// Something else.
    Unknown,
}

impl Activity {
    /// Of a layer that is called as a layer.
    fn of(class: &str) -> Self {
        // It takes the option and forgets it, in Keras 3.
        if class == "SimpleRNN" { Activity::PassedBy } else { Activity::Counts }
    }
}

/// What was found so far, and the weights that there are.
struct Found {
    all: Vec<String>,
    trained: Vec<String>,
    /// The layers whose outputs can be regularized.
    layers: Vec<String>,
    rules: WeightRules,
}

fn join(prefix: &str, name: &str) -> String {
    if prefix.is_empty() { name.into() } else { format!("{prefix}/{name}") }
}

fn class_name(layer: Option<&Json>) -> &str {
    layer.and_then(|layer| layer.get("class_name")).and_then(Json::as_str).unwrap_or("")
}

fn unknown(layer: &str, option: &str, given: &Json) -> Error {
    let class = given.get("class_name").and_then(Json::as_str).or(given.as_str());
    Error::RuleUnknown {
        layer: layer.into(),
        option: option.into(),
        given: class.map_or_else(|| given.to_string(), String::from),
    }
}

impl Found {
    fn of_model<T: Float>(&mut self, model: &Model<T>, prefix: &str) -> Result<()> {
        for part in &model.parts {
            let path = join(prefix, &part.name);
            if let Some(within) = part.op.as_ref().and_then(|op| op.model()) {
                self.of_model(within, &path)?;
            }
            let kept = part.kept.as_deref().map(serde_json::from_str::<Json>).transpose();
            let kept = kept.map_err(|_| unknown(&path, "what its file said", &Json::Null))?;
            if let Some(config) = kept.as_ref().and_then(|kept| kept.get("config")).and_then(Json::as_object) {
                let activity = match &part.class[..] {
                    // Those of the dense layers inside.
                    "MultiHeadAttention" | "GroupQueryAttention" => Activity::Unknown,
                    class => Activity::of(class),
                };
                self.of_layer(config, &path, (&part.class, activity))?;
            }
        }
        Ok(())
    }

    /// What the words of a layer say, and of what is inside.
    fn of_layer(&mut self, config: &Object, path: &str, (class, activity): (&str, Activity)) -> Result<()> {
        let within = |key: &str| config.get(key).and_then(|layer| layer.get("config")).and_then(Json::as_object);
        let directions = ["forward", "backward"].map(|name| join(path, name));
        // What is inside of another layer doesn't say its class again.
        let is_bidirectional = self.all.iter().any(|own| own.starts_with(&format!("{}/", directions[0])));
        if is_bidirectional {
            // Keras 2 doesn't write a copy.
            let keys = ["layer", if within("backward_layer").is_some() { "backward_layer" } else { "layer" }];
            for (key, path) in keys.into_iter().zip(&directions) {
                if let Some(inner) = within(key) {
                    let class = class_name(config.get(key));
                    self.of_layer(inner, path, (class, Activity::of(class)))?;
                }
            }
        }
        for (key, said) in config.iter().filter(|(_, said)| !said.is_null()) {
            match &key[..] {
                "layer" | "backward_layer" if is_bidirectional => {}
                "layer" | "cell" => {
                    if let Some(inner) = within(key) {
                        let passed_by = class == "TimeDistributed" && key == "layer";
                        let activity = if passed_by { Activity::PassedBy } else { Activity::Unknown };
                        self.of_layer(inner, path, (class_name(Some(said)), activity))?;
                    }
                }
                "cells" => {
                    for (at, cell) in said.as_array().into_iter().flatten().enumerate() {
                        if let Some(cell) = cell.get("config").and_then(Json::as_object) {
                            self.of_layer(cell, &join(path, &at.to_string()), ("", Activity::Unknown))?;
                        }
                    }
                }
                // Those of a model within are its own.
                "layers" => {}
                "activity_regularizer" => self.of_outputs(key, said, path, (activity, regularizer_of(said)))?,
                "l1" | "l2" if class == "ActivityRegularization" && said.as_f64() != Some(0.0) => {
                    let regularizer = said.as_f64().map(|factor| match &key[..] {
                        "l1" => Regularizer::L1 { factor },
                        _ => Regularizer::L2 { factor },
                    });
                    self.of_outputs(key, said, path, (activity, regularizer))?;
                }
                _ => self.of_option(key, said, path)?,
            }
        }
        Ok(())
    }

    /// A regularizer of what a layer gives.
    fn of_outputs(
        &mut self,
        key: &str,
        said: &Json,
        path: &str,
        (activity, regularizer): (Activity, Option<Regularizer>),
    ) -> Result<()> {
        match (activity, regularizer) {
            (Activity::PassedBy, _) => Ok(()),
            (Activity::Counts, Some(regularizer)) if self.layers.iter().any(|own| own == path) => {
                self.rules = std::mem::take(&mut self.rules).activity_regularizer(path, regularizer);
                Ok(())
            }
            _ => Err(unknown(path, key, said)),
        }
    }

    fn of_option(&mut self, key: &str, said: &Json, path: &str) -> Result<()> {
        let (regularizer, constraint) = (key.strip_suffix("_regularizer"), key.strip_suffix("_constraint"));
        let Some(weight) = regularizer.or(constraint) else { return Ok(()) };
        let paths = self.weights(weight, path);
        // What a layer was told not to have has no rules in Keras.
        if paths.is_empty() && !matches!(weight, "bias" | "gamma" | "beta") {
            return Err(unknown(path, key, said));
        }
        for weight in paths.iter().filter(|path| self.trained.contains(path)) {
            let rules = std::mem::take(&mut self.rules);
            let unknown = || unknown(path, key, said);
            self.rules = match regularizer {
                Some(_) => rules.regularizer(weight, regularizer_of(said).ok_or_else(unknown)?),
                None => rules.constraint(weight, constraint_of(said).ok_or_else(unknown)?),
            };
        }
        Ok(())
    }

    /// The weights that an option speaks of: those that there are.
    fn weights(&self, name: &str, path: &str) -> Vec<String> {
        let names: &[&str] = match name {
            "recurrent" => &["recurrent_kernel"],
            // A layer that is depthwise alone has one kernel.
            "depthwise" => &["depthwise_kernel", "kernel"],
            "pointwise" => &["pointwise_kernel"],
            name => &[name],
        };
        let own: Vec<String> =
            names.iter().map(|name| join(path, name)).filter(|path| self.all.contains(path)).collect();
        if !own.is_empty() {
            return own;
        }
        // Several dense layers inside, as in attention with several heads.
        let is_of = |own: &&String| {
            let rest = own.strip_prefix(path).and_then(|rest| rest.strip_prefix('/'));
            rest.and_then(|rest| rest.split_once('/')).is_some_and(|(_, own)| own == name)
        };
        self.all.iter().filter(is_of).cloned().collect()
    }
}

/// The class and the options of what is given by name or as an object.
fn class_of(said: &Json) -> Option<(&str, &Json)> {
    match said.as_str() {
        Some(name) => Some((name, &Json::Null)),
        None => {
            let word = |key: &str| said.get(key).and_then(Json::as_str);
            let is_keras = word("module").is_none_or(|module| module.starts_with("keras"))
                && word("registered_name").is_none_or(|name| !name.contains('>'));
            if is_keras { Some((word("class_name")?, said.get("config")?)) } else { None }
        }
    }
}

fn number(options: &Json, name: &str, default: f64) -> Option<f64> {
    options.get(name).map_or(Some(default), Json::as_f64)
}

fn regularizer_of(said: &Json) -> Option<Regularizer> {
    let (class, options) = class_of(said)?;
    Some(match class {
        "L1" | "l1" => Regularizer::L1 { factor: number(options, "l1", 0.01)? },
        "L2" | "l2" => Regularizer::L2 { factor: number(options, "l2", 0.01)? },
        // Keras 2's function of that name has a default.
        "L1L2" | "l1_l2" | "l1l2" => {
            let default = if class == "l1_l2" && options.is_null() { 0.01 } else { 0.0 };
            Regularizer::L1L2 { l1: number(options, "l1", default)?, l2: number(options, "l2", default)? }
        }
        "OrthogonalRegularizer" | "orthogonal_regularizer" => {
            let mode = match options.get("mode").and_then(Json::as_str) {
                None | Some("rows") => OrthogonalMode::Rows,
                Some("columns") => OrthogonalMode::Columns,
                Some(_) => return None,
            };
            Regularizer::Orthogonal { factor: number(options, "factor", 0.01)?, mode }
        }
        _ => return None,
    })
}

fn constraint_of(said: &Json) -> Option<Constraint> {
    let (class, options) = class_of(said)?;
    let axis = || match options.get("axis") {
        None | Some(Json::Null) => Some(vec![0]),
        Some(Json::Array(axes)) => axes.iter().map(|axis| axis.as_i64()?.try_into().ok()).collect(),
        Some(axis) => Some(vec![axis.as_i64()?.try_into().ok()?]),
    };
    Some(match class {
        "NonNeg" | "non_neg" | "nonneg" => Constraint::NonNegative,
        "UnitNorm" | "unit_norm" | "unitnorm" => Constraint::UnitNorm { axis: axis()? },
        "MaxNorm" | "max_norm" | "maxnorm" => {
            Constraint::MaxNorm { max_value: number(options, "max_value", 2.0)?, axis: axis()? }
        }
        "MinMaxNorm" | "min_max_norm" => Constraint::MinMaxNorm {
            min_value: number(options, "min_value", 0.0)?,
            max_value: number(options, "max_value", 1.0)?,
            rate: number(options, "rate", 1.0)?,
            axis: axis()?,
        },
        _ => return None,
    })
}
