//! What to write for a layer that isn't read: the line of code, with the shapes that the layer is called on.

use super::super::Contents;
use super::super::description::Described;
use super::super::json::Json;
use super::super::weights::{ModelPlace, Place};
use super::mark::Wanted;
use crate::float::Float;
use crate::formats::error::Problem;
use crate::graph::ops::custom::Probe;

/// The most layers that are probed for one refusal.
const MOST: usize = 64;

/// The layer to be replaced first, and how: its path, its class, the line. `refused`: the first one that isn't read.
pub(in super::super) fn advice<T: Float>(
    contents: &Contents<'_>,
    refused: (&str, &str),
) -> Option<(String, String, String)> {
    let mut model = contents.model.clone();
    let mut probed: Vec<(String, String)> = vec![(refused.0.into(), refused.1.into())];
    loop {
        let path = &probed.last()?.0;
        Wanted::probe(path).mark(&mut model).ok()?;
        let json = Json::root(&model);
        let described = Described::root(&json).ok()?;
        let place = match contents.legacy {
            true => ModelPlace::Legacy,
            false => ModelPlace::Group(Place::Group(String::new())),
        };
        match contents.reader().model::<T>(&described, &place, 0).err()? {
            Problem::UnsupportedClass { layer, class, .. } if probed.len() < MOST => {
                if probed.iter().any(|(path, _)| *path == layer) {
                    return None;
                }
                probed.push((layer, class));
            }
            Problem::Call { layer, expected, found } => {
                let tensors = Probe::tensors(&expected)?;
                // A wrapper says it of what is inside.
                let inside =
                    |path: &&(String, String)| path.0.strip_prefix(&layer).is_some_and(|rest| rest.starts_with('/'));
                let (path, class) =
                    probed.iter().find(|(path, _)| *path == layer).or_else(|| probed.iter().find(inside))?;
                return Some((path.clone(), class.clone(), line(path, &found, tensors)));
            }
            _ => return None,
        }
    }
}

/// The line to write.
fn line(path: &str, shapes: &str, tensors: bool) -> String {
    let call = match (tensors, shapes.starts_with('[')) {
        (true, _) => format!("layer_from({path:?}, |config, tensors| ..)"),
        (false, true) => format!("custom_layer({path:?}, CustomLayer::new(|inputs| ..))"),
        (false, false) => format!("layer({path:?}, |x| ..)"),
    };
    format!("write keras::Options::new().{call} for what it makes of {shapes}")
}
