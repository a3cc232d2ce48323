//! What masks do in a model of Keras 2 that they don't do in Keras 3: such a model can't be written as one of Keras 3's.

use super::super::description::join;
use super::operations;
use crate::config::{Config, Value};
use crate::float::Float;
use crate::formats::save_error::SaveError;
use crate::graph::operation::{Operation, Role};
use crate::graph::{CallSpec, Model};

const HINT: &str = "what masks do there is another thing in Keras 3; recurrent::file::save writes it";

/// Checks that no mask comes to a layer where it means another thing. Whatever may have a mask counts as having one.
pub(super) fn check<T: Float>(model: &Model<T>) -> Result<(), SaveError> {
    match model.keras_2 {
        true => follow(model, &vec![false; model.inputs.len()], "").map(drop),
        false => Ok(()),
    }
}

/// Of each output, whether it may have a mask.
fn follow<T: Float>(model: &Model<T>, inputs: &[bool], path: &str) -> Result<Vec<bool>, SaveError> {
    let mut masked = vec![false; model.tensors.len()];
    masked.iter_mut().zip(inputs).for_each(|(masked, input)| *masked = *input);
    for call in &model.calls {
        let part = &model.parts[call.part];
        let Some(op) = &part.op else { continue };
        let (path, operation) = (join(path, &part.name), operations::of_part(part));
        let leaves = match op.role() {
            Role::Model(inner) => {
                let inputs: Vec<bool> = call.inputs.iter().map(|&input| masked[input] || named(call)).collect();
                follow(inner, &inputs, &path)?
            }
            _ => {
                let comes = named(call) || call.inputs.iter().any(|&input| masked[input]);
                if operation.is_none() && means_another_thing(&**op, call, comes) {
                    let (class, option, value) = (part.class.clone(), "mask".into(), "Keras 2's".into());
                    return Err(SaveError::Option { prefix: path, class, option, value, hint: HINT });
                }
                let leaves = match operation {
                    // Masks end there, in both.
                    Some(_) => comes && matches!(op.role(), Role::Same { keeps_mask: true }),
                    None => leaves(&**op, comes),
                };
                vec![leaves; call.outputs.len()]
            }
        };
        call.outputs.iter().zip(leaves).for_each(|(&output, leaves)| masked[output] = leaves);
    }
    Ok(model.outputs.iter().map(|&output| masked[output]).collect())
}

/// Whether the call names a mask.
fn named(call: &CallSpec) -> bool {
    call.masks.iter().any(Option::is_some)
}

fn means_another_thing<T: Float>(op: &dyn Operation<T>, call: &CallSpec, comes: bool) -> bool {
    match op.role() {
        Role::Recurrent { .. } | Role::ConvLstm(_) => comes && !call.initial_state.is_empty(),
        Role::TimeDistributed(inner) => comes || makes(inner),
        _ => comes && op.describe().is_ok_and(|config| has_rule_of_keras_2(&config)),
    }
}

fn has_rule_of_keras_2(config: &Config) -> bool {
    config.options.iter().any(|(name, value)| match (&name[..], value) {
        ("masks", Value::Text(rule)) => matches!(&rule[..], "all" | "adds"),
        ("keeps_mask", Value::Flag(keeps)) => !keeps,
        _ => false,
    })
}

/// Whether a mask leaves with the output.
fn leaves<T: Float>(op: &dyn Operation<T>, comes: bool) -> bool {
    match op.role() {
        Role::Recurrent { layer, .. } => comes && layer.returns_sequences(),
        Role::ConvLstm(layer) => comes && layer.returns_sequences(),
        _ => comes || makes(op),
    }
}

/// Whether it makes masks, or something inside does.
fn makes<T: Float>(op: &dyn Operation<T>) -> bool {
    match op.role() {
        Role::Masking(_) => true,
        Role::Embedding(_) => {
            let masks = |config: Config| config.options.contains(&("mask_zero".into(), Value::Flag(true)));
            op.describe().is_ok_and(masks)
        }
        Role::TimeDistributed(inner) => makes(inner),
        Role::Model(model) => model.parts.iter().filter_map(|part| part.op.as_ref()).any(|op| makes(&**op)),
        _ => false,
    }
}
