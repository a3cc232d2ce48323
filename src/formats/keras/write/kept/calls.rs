//! What the calls of a layer said besides tensors: that they are out of training for ever, that they have no mask, flags
//! of attentions, and how the constants of operations were written: `2` or `2.0`, a list or an array with its type.

use serde_json::{Map, Value as Json, json};

use super::super::super::description::Described;
use super::super::operations::{Argument, KerasOperation};

/// Of each call what it says otherwise than the operation, or the layer, says it: `{"args": {"1": 2}, "kwargs": {..}}`.
pub(super) fn of(said: &Described<'_>, operation: Option<&KerasOperation>, single: bool) -> Option<Json> {
    let calls = said.calls.as_ref()?.to_json();
    let each: Vec<Json> = calls.as_array()?.iter().map(|call| of_call(call, operation, single)).collect();
    if each.iter().all(Json::is_null) { None } else { Some(each.into()) }
}

fn of_call(call: &Json, operation: Option<&KerasOperation>, single: bool) -> Json {
    let named = call.get("kwargs").and_then(Json::as_object);
    let Some(operation) = operation else {
        // What is set is said by the layer itself. (What is in training for ever isn't read.)
        let kept = named.into_iter().flatten().filter(|(name, said)| match said {
            Json::Null => ABSENT.contains(&&name[..]),
            Json::Bool(yes) => name.as_str() == "training" || !yes,
            _ => false,
        });
        let kept: Map<String, Json> = kept.map(|(name, said)| (name.clone(), said.clone())).collect();
        return if kept.is_empty() { Json::Null } else { json!({"kwargs": kept}) };
    };
    let mut kept = Map::new();
    let list = call.get("args").and_then(Json::as_array);
    let differs = |own: &Json, said: &Json| own != said && same(own, said, single);
    let args: Map<String, Json> = (operation.args.iter().zip(list.into_iter().flatten()).enumerate())
        .filter_map(|(at, (own, said))| match own {
            Argument::Constant(own) if differs(own, said) => Some((at.to_string(), said.clone())),
            _ => None,
        })
        .collect();
    let kwargs: Map<String, Json> = (operation.kwargs.iter())
        .filter_map(|(name, own)| Some((name, own, named?.get(name)?)))
        .filter(|(_, own, said)| differs(own, said))
        .map(|(name, _, said)| (name.clone(), said.clone()))
        .collect();
    for (name, said) in [("args", args), ("kwargs", kwargs)] {
        if !said.is_empty() {
            kept.insert(name.into(), said.into());
        }
    }
    if kept.is_empty() { Json::Null } else { kept.into() }
}

/// Puts it back; nothing if it isn't what these calls say in other words.
pub(super) fn merge(nodes: &mut [Json], kept: Json, single: bool) -> Option<()> {
    let Json::Array(kept) = kept else { return None };
    if kept.len() > nodes.len() {
        return None;
    }
    for (node, kept) in nodes.iter_mut().zip(kept) {
        let kept = match kept {
            Json::Null => continue,
            Json::Object(kept) => kept,
            _ => return None,
        };
        for (part, said) in kept {
            let Json::Object(said) = said else { return None };
            for (name, said) in said {
                let own = match (&part[..], node.get_mut(&part)?) {
                    ("args", Json::Array(args)) => args.get_mut(name.parse::<usize>().ok()?)?,
                    ("kwargs", Json::Object(named)) if FLAGS.contains(&&name[..]) && said.is_boolean() => {
                        named.entry(name).or_insert_with(|| said.clone())
                    }
                    ("kwargs", Json::Object(named)) if ABSENT.contains(&&name[..]) && said.is_null() => {
                        named.entry(name).or_insert(Json::Null)
                    }
                    ("kwargs", Json::Object(named)) => named.get_mut(&name)?,
                    _ => return None,
                };
                if !same(own, &said, single) {
                    return None;
                }
                *own = said;
            }
        }
    }
    Some(())
}

/// What calls of layers say that is neither a tensor nor a constant.
const FLAGS: [&str; 3] = ["training", "return_attention_scores", "use_causal_mask"];

/// What calls of layers say that isn't there.
const ABSENT: [&str; 2] = ["mask", "initial_state"];

/// Whether two constants, or two indices, are the same in other words.
fn same(own: &Json, said: &Json, single: bool) -> bool {
    let all = |json| {
        let mut all = Vec::new();
        flat(json, single, &mut all)?;
        Some(all)
    };
    all(own).is_some_and(|own| all(said) == Some(own))
}

#[derive(Debug, PartialEq)]
enum Word {
    Null,
    Rest,
    Slice,
    Number(f64),
}

/// What it says, one after the other; nothing if that isn't known.
fn flat(json: &Json, single: bool, to: &mut Vec<Word>) -> Option<()> {
    let word = |number: f64| Word::Number(if single { f64::from(number as f32) } else { number });
    match json {
        Json::Null => to.push(Word::Null),
        Json::Bool(flag) => to.push(word(u8::from(*flag).into())),
        Json::Number(number) => to.push(word(number.as_f64()?)),
        Json::String(_) => return None,
        Json::Array(list) => list.iter().try_for_each(|item| flat(item, single, to))?,
        Json::Object(object) => {
            let config = object.get("config")?.as_object()?;
            match object.get("class_name")?.as_str()? {
                "__numpy__" | "__tensor__" => flat(config.get("value")?, single, to)?,
                "__ellipsis__" => to.push(Word::Rest),
                "__slice__" => {
                    to.push(Word::Slice);
                    for name in ["start", "stop"] {
                        flat(config.get(name)?, single, to)?;
                    }
                    // One is what nothing means.
                    let step = config.get("step")?;
                    flat(if *step == json!(1) { &Json::Null } else { step }, single, to)?;
                }
                _ => return None,
            }
        }
    }
    Some(())
}
