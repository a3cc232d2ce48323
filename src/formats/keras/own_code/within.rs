//! How much of a layer code of the program's own takes the place of.

use super::super::classes::{Class, Holds};
use super::super::description::Described;
use super::super::json::Json;
use crate::formats::error::Found;

/// How many parts of a layer code takes the place of, it itself or those inside it.
pub(in super::super) fn code_within(layer: &Described<'_>) -> Found<usize> {
    if layer.identity.code.is_some() {
        return Ok(1);
    }
    let each = |layers: &[Described<'_>]| layers.iter().try_fold(0, |sum, layer| Ok(sum + code_within(layer)?));
    if layer.is_model() {
        return each(&layer.model()?.layers);
    }
    layer.config.glance("an object", |fields| {
        let inner =
            |json: Option<Json<'_>>| json.map_or(Ok(0), |json| code_within(&Described::read(&json, layer.path())?));
        match Class::<f32>::of(layer)?.holds {
            Holds::Layer(key) | Holds::LayerAnd(key, _) => inner(fields.take(key)),
            Holds::Directions => {
                let forward = inner(fields.take("layer"))?;
                Ok(forward + fields.take("backward_layer").map_or(Ok(forward), |json| inner(Some(json)))?)
            }
            Holds::Layers(key) => {
                let list = fields.need(key, "a list of layers")?.list("a list of layers")?;
                each(&list.iter().map(|json| Described::read(json, layer.path())).collect::<Found<Vec<_>>>()?)
            }
            Holds::Nothing | Holds::Weights(_) => Ok(0),
        }
    })
}
