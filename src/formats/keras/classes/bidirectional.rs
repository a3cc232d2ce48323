//! Bidirectional.

use serde_json::json;

use super::super::description::Described;
use super::super::unsupported::TAKE_OUT;
use super::cells::{Any, any};
use super::recurrent::{self, ARGUMENTS, Flags};
use super::{Built, Class, Holds, Reading, Reads};
use crate::float::Float;
use crate::formats::error::{Found, Problem};
use crate::layers::bidirectional::{Bidirectional, Merge};
use crate::runner::layer::LayerCore;

/// Where the weights of the two directions are.
pub(in super::super) const DIRECTIONS: [&str; 2] = ["forward_layer", "backward_layer"];

impl<T: Float> Class<T> {
    pub(super) const BIDIRECTIONAL: &'static [Self] =
        &[Class::layer("Bidirectional", ARGUMENTS, Holds::Directions, read)];
}

fn read<T: Float>(reading: &Reading<'_, '_>) -> Found<Built<T>> {
    let fields = reading.fields;
    let merge = merge_mode(reading)?;
    fields.only("num_constants", &json!(null), "inputs of a cell that are constant in time")?;
    let forward = Described::read(&fields.need("layer", "a layer")?, reading.path())?;
    let backward = match fields.take("backward_layer") {
        Some(backward) => Some(Described::read(&backward, reading.path())?),
        // Keras 2 writes it if the caller gave one.
        None if reading.is_keras2() => None,
        None => {
            fields.option("backward_layer", "a layer")?;
            None
        }
    };
    let (forward_layer, forward_flags) = direction::<T>(reading, &forward, DIRECTIONS[0], false)?;
    // Keras makes it of the forward one.
    let mirrored = backward.is_none();
    let backward = backward.as_ref().unwrap_or(&forward);
    let (backward_layer, backward_flags) = direction::<T>(reading, backward, DIRECTIONS[1], mirrored)?;
    if forward_flags.stateful != backward_flags.stateful {
        return Err(Problem::Config {
            layer: backward.path().into(),
            option: "stateful".into(),
            expected: "the same in both directions".into(),
            found: backward_flags.stateful.to_string(),
        });
    }
    let layer =
        any!(forward_layer, forward => any!(backward_layer, backward => Bidirectional::from_layers(forward, backward)));
    let layer = layer.map_err(|source| reading.refused(source))?.merge_mode(merge);
    layer.check_ready().map_err(|source| reading.refused(source))?;
    Ok(recurrent::finish(layer, &forward_flags))
}

fn merge_mode(reading: &Reading<'_, '_>) -> Found<Merge> {
    let expected = "concat, sum, mul, ave or null";
    let Some(value) = reading.fields.option("merge_mode", expected)? else { return Ok(Merge::Concat) };
    let Some(value) = value.given() else { return Ok(Merge::None) };
    match value.text(expected)? {
        "concat" => Ok(Merge::Concat),
        "sum" => Ok(Merge::Sum),
        "mul" => Ok(Merge::Mul),
        "ave" => Ok(Merge::Ave),
        _ => Err(value.wrong(expected)),
    }
}

/// One direction; `mirrored` if it is made of the forward layer's options.
fn direction<T: Float>(
    outer: &Reading<'_, '_>,
    layer: &Described<'_>,
    group: &str,
    mirrored: bool,
) -> Found<(Any<T>, Flags)> {
    let Reads::Recurrent(kind) = Class::<T>::of(layer)?.reads else { return Err(layer.unsupported(TAKE_OUT)) };
    let place = outer.place.child(group);
    outer.reader.open::<T, _>(layer, &place, outer.depth + 1, |reading| {
        if !mirrored {
            return recurrent::over_time(reading, kind, &place, false);
        }
        if reading.fields.default_flag("go_backwards", false)? {
            let backwards = reading.fields.need("go_backwards", "false")?;
            return Err(backwards.wrong("false in the forward layer"));
        }
        recurrent::over_time(reading, kind, &place, true)
    })
}
