//! Layers and cells that code takes the place of: what the code is given, and what is kept of the file.

use std::cell::RefCell;

use ndarray::ArrayD;
use serde_json::Value as Json;

use super::super::classes::{Built, Reader};
use super::super::description::Described;
use super::super::value::text;
use super::super::version::Version;
use super::super::weights::Place;
use super::mark::PROBE;
use super::{BoxError, Code, LayerConfig, LayerTensors, Make};
use crate::cells::boxed::BoxedCell;
use crate::config::Entry;
use crate::float::Float;
use crate::formats::error::{Found, Problem, within};
use crate::graph::operation::Op;
use crate::graph::ops::custom::Probe;

/// What the reasons say of a `Lambda` with a mask of its own.
const OWN_MASK: &str = "it is Python code, too: say by CustomLayer::keeps_mask or drops_mask whether the mask goes on";

impl Reader<'_, '_> {
    /// The code, which is of the model's type.
    fn code<T: Float>(&self) -> Option<&Code<T>> {
        self.code.and_then(|code| code.as_any().downcast_ref())
    }

    /// A layer in whose place the code of this number stands.
    pub(in super::super) fn own_layer<T: Float>(
        &self,
        layer: &Described<'_>,
        place: &Place<'_>,
        depth: usize,
        code: usize,
    ) -> Found<Built<T>> {
        within("depth", depth, self.options.limits.depth)?;
        layer.config.glance("an object", |fields| self.check_dtype::<T>(fields.take("dtype").as_ref()))?;
        // An operation has no group.
        let tensors = match layer.identity.is_keras_operation() {
            true => vec![],
            false => self.own_tensors::<T>(layer.path(), place)?,
        };
        let make = self.code::<T>().and_then(|own| own.layers.get(code));
        let Some((_, make)) = make else {
            debug_assert_eq!(code, PROBE, "only what there is code for is marked");
            let op = Op::new(Probe { tensors: !tensors.is_empty() });
            return Ok(Built { op, trainable: 0, non_trainable: 0, stateful: None });
        };
        let made = call(make, layer, &tensors)?;
        // As far as the file says what becomes of the mask.
        let lambda = layer.class() == "Lambda";
        let mask = layer.config.member("mask").filter(|mask| lambda && !mask.is_null());
        if let Some(mask) = mask.filter(|_| !made.says_of_mask()) {
            return Err(mask.unsupported(OWN_MASK));
        }
        let non_trainable = tensors.iter().map(|(_, array)| array.len()).sum();
        let op = Op::new(made.in_place_of(self.entry(layer, tensors, place), !lambda));
        Ok(Built { op, trainable: 0, non_trainable, stateful: None })
    }

    /// A cell in whose place the code of this number stands.
    pub(in super::super) fn own_cell<T: Float>(
        &self,
        cell: &Described<'_>,
        place: &Place<'_>,
        code: usize,
    ) -> Found<BoxedCell<T>> {
        cell.config.glance("an object", |fields| self.check_dtype::<T>(fields.take("dtype").as_ref()))?;
        let tensors = self.own_tensors::<T>(cell.path(), place)?;
        let (_, make) = self.code::<T>().and_then(|own| own.cells.get(code)).ok_or_else(|| cell.unsupported(""))?;
        Ok(call(make, cell, &tensors)?.in_place_of(self.entry(cell, tensors, place)))
    }

    /// All tensors at a place, by their paths within it.
    fn own_tensors<T: Float>(&self, layer: &str, place: &Place<'_>) -> Found<Vec<(String, ArrayD<T>)>> {
        match self.weights {
            Some(weights) => weights.read_all(layer, place),
            None => Ok(vec![]),
        }
    }

    /// What the file said of it.
    fn entry<T: Float>(&self, said: &Described<'_>, tensors: Vec<(String, ArrayD<T>)>, place: &Place<'_>) -> Entry {
        // A legacy file has tensors by names of their own, not where Keras 3 looks for them.
        let is_elsewhere = matches!(place, Place::Queue(_)) && !tensors.is_empty();
        let mut json = said.object.to_json();
        if let Some(object) = json.as_object_mut() {
            // They belong to the graph, which is written anew.
            object.remove("inbound_nodes");
            object.remove("name");
        }
        Entry {
            class: said.identity.full_name().into(),
            bare_class: said.class().into(),
            text: text(&json),
            call: said.calls.as_ref().and_then(|calls| form_of(calls.to_json().get(0)?)).map(|form| text(&form)),
            is_operation: said.identity.is_keras_operation(),
            is_old: self.version == Version::Keras2 || is_elsewhere,
            tensors: tensors.into_iter().map(|(path, array)| (path, array.mapv(Float::into_f64))).collect(),
        }
    }
}

/// Calls code, which must ask for all tensors.
fn call<T: Float, V>(make: &Make<T, V>, said: &Described<'_>, tensors: &[(String, ArrayD<T>)]) -> Found<V> {
    let layer = said.path();
    let tensors = LayerTensors { layer, tensors, asked: RefCell::new(vec![false; tensors.len()]) };
    let made = make(&LayerConfig { config: &said.config }, &tensors).map_err(|error| refused(layer, error))?;
    let left = tensors.left();
    if left.is_empty() { Ok(made) } else { Err(Problem::UnusedTensors { layer: layer.into(), tensors: left }) }
}

/// The error of code.
fn refused(layer: &str, error: BoxError) -> Problem {
    let error = match error.downcast::<Problem>() {
        Ok(problem) => return *problem,
        Err(error) => error,
    };
    let source = match error.downcast::<crate::Error>() {
        Ok(own) => *own,
        Err(error) => crate::Error::CustomFailed { reason: error.to_string() },
    };
    Problem::Layer { layer: layer.into(), source }
}

/// A call of Keras 3's with a place for each tensor; nothing for calls in an older form.
pub(in super::super) fn form_of(call: &Json) -> Option<Json> {
    fn blank(json: &Json) -> Json {
        match json {
            Json::Object(object) if is_tensor(json) => {
                serde_json::json!({"class_name": object["class_name"]})
            }
            Json::Object(object) => object.iter().map(|(key, json)| (key.clone(), blank(json))).collect(),
            Json::Array(list) => list.iter().map(blank).collect(),
            other => other.clone(),
        }
    }
    call.is_object().then(|| blank(call))
}

/// Whether a value of a call is a tensor, or the place of one.
pub(in super::super) fn is_tensor(json: &Json) -> bool {
    json.get("class_name").and_then(Json::as_str) == Some("__keras_tensor__")
}
