//! The weights that a layer has, before any is read.

use super::super::description::Described;
use super::super::json::{Fields, Json};
use super::{Class, options};
use crate::formats::error::Found;

/// The weights of a layer, as far as its options tell: what the legacy format must know before any is read.
#[derive(Clone, Copy)]
pub(in super::super) enum Holds {
    Nothing,
    /// Weights of these names, by its options.
    Weights(fn(&Fields<'_>) -> Found<Vec<&'static str>>),
    /// Those of the layer in this option.
    Layer(&'static str),
    /// Those of the layer in this option, and behind them these.
    LayerAnd(&'static str, &'static [&'static str]),
    /// Those of the layers in the list in this option.
    Layers(&'static str),
    /// Those of both directions.
    Directions,
}

/// Whether it is the scales of a weight of bytes.
fn is_scale(name: &str) -> bool {
    matches!(name, "kernel_scale" | "embeddings_scale")
}

/// Of each weight of a layer, in order, whether it is trained: what decides the legacy order.
pub(in super::super) fn trained(layer: &Described<'_>, parents: bool) -> Found<Vec<bool>> {
    let own = parents && layer.is_trainable()?;
    let each = |layers: &[Described<'_>]| -> Found<Vec<bool>> {
        let all: Vec<_> = layers.iter().map(|layer| trained(layer, own)).collect::<Found<_>>()?;
        Ok(all.concat())
    };
    if layer.is_model() {
        return each(&layer.model()?.layers);
    }
    let inner = |json: Json<'_>| Described::read(&json, layer.path()).and_then(|layer| trained(&layer, own));
    layer.config.glance("an object", |fields| match Class::<f32>::of(layer)?.holds {
        Holds::Nothing => Ok(vec![]),
        // Statistics of the data are kept, but never trained; nor are bytes.
        Holds::Weights(names) => {
            options::merged(fields)?;
            let names = names(fields)?;
            let bytes = names.iter().any(|name| is_scale(name));
            let fixed = |name: &str| {
                let statistic = name.starts_with("moving_") || matches!(name, "mean" | "variance" | "count");
                statistic || bytes && name != "bias"
            };
            Ok(names.iter().map(|name| own && !fixed(name)).collect())
        }
        Holds::Layer(key) => inner(fields.need(key, "a layer")?),
        Holds::LayerAnd(key, fixed) => {
            let mut all = inner(fields.need(key, "a layer")?)?;
            all.resize(all.len() + fixed.len(), false);
            Ok(all)
        }
        Holds::Layers(key) => {
            let list = fields.need(key, "a list of layers")?.list("a list of layers")?;
            let layers = list.iter().map(|json| Described::read(json, layer.path())).collect::<Found<Vec<_>>>()?;
            each(&layers)
        }
        Holds::Directions => {
            let forward = inner(fields.need("layer", "a layer")?)?;
            let backward = fields.take("backward_layer").map_or_else(|| Ok(forward.clone()), inner)?;
            Ok([forward, backward].concat())
        }
    })
}
