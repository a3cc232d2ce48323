//! One layer of a file, whatever the rest: by its path, from model to model.

use super::classes::trained;
use super::description::Described;
use super::own_code::code_within;
use super::unsupported::{A_MODEL, NOT_OVER_TIME};
use super::weights::{Place, Queue, list};
use super::{Contents, legacy_root, places};
use crate::float::Float;
use crate::formats::error::{Found, Problem};
use crate::graph::operation::Role;
use crate::layers::Layer;
use crate::layers::time_distributed::TimeDistributed;

/// A layer that was found, and the layers that it stands behind.
struct Route<'a> {
    layer: Described<'a>,
    /// Its place in Keras 3's layout.
    place: Place<'static>,
    /// From the whole model down: the layers of each model, and which of them leads on.
    steps: Vec<(Vec<Described<'a>>, usize)>,
}

impl Contents<'_> {
    pub(super) fn layer_names(&self) -> Found<Vec<String>> {
        fn collect(model: &Described<'_>, names: &mut Vec<String>) -> Found<()> {
            for layer in model.model()?.layers {
                if layer.is_model() {
                    collect(&layer, names)?;
                }
                names.push(layer.path().into());
            }
            Ok(())
        }
        let mut names = Vec::new();
        collect(&self.described()?, &mut names)?;
        Ok(names)
    }

    pub(super) fn layer<T: Float>(&self, name: &str) -> Found<Box<dyn Layer<T>>> {
        let way = self.way(name)?;
        if self.legacy && !way.layer.is_model() {
            let queue = self.queue_of(&way)?;
            return self.take_out(&way.layer, &Place::Queue(&queue));
        }
        self.take_out(&way.layer, &way.place)
    }

    /// From the whole model to the layer.
    fn way(&self, name: &str) -> Found<Route<'_>> {
        let mut model = self.described()?;
        let mut place: Place<'static> = Place::Group(String::new());
        let mut steps = Vec::new();
        loop {
            let layers = model.model()?.layers;
            let groups = places::of_layers(model.is_sequential(), &layers, &place, self.layout)?;
            let leads = |layer: &Described<'_>| {
                let rest = name.strip_prefix(layer.path());
                rest == Some("") || layer.is_model() && rest.is_some_and(|rest| rest.starts_with('/'))
            };
            // Names may have slashes themselves: what has the whole name wins.
            let at = layers.iter().position(|layer| layer.path() == name).or_else(|| layers.iter().position(leads));
            let Some(at) = at else {
                return Err(Problem::UnknownLayer { name: name.into(), known: self.layer_names()? });
            };
            let layer = layers[at].clone();
            place = groups[at].clone();
            steps.push((layers, at));
            if layer.path() == name {
                return Ok(Route { layer, place, steps });
            }
            model = layer;
        }
    }

    fn take_out<T: Float>(&self, layer: &Described<'_>, place: &Place<'_>) -> Found<Box<dyn Layer<T>>> {
        if layer.is_model() {
            return Err(layer.unsupported(A_MODEL));
        }
        let op = match self.reader().layer::<T>(layer, place, 0) {
            Ok(built) => built.op,
            // The way out of a whole model isn't one here.
            Err(Problem::UnsupportedClass { layer, class, .. }) => {
                return Err(Problem::UnsupportedClass { layer, class, hint: NOT_OVER_TIME.into() });
            }
            Err(problem) => return Err(problem),
        };
        match op.role() {
            Role::Recurrent { layer, .. } => Ok((**layer).clone()),
            Role::QuantizedDense(layer) => Ok((**layer).clone()),
            Role::Dense(layer) => Ok(Box::new(layer.clone())),
            Role::TimeDistributed(inner) => match inner.role() {
                Role::Dense(layer) => Ok(Box::new(TimeDistributed::new(layer.clone()))),
                _ => {
                    let inner = layer.config.glance("an object", |fields| {
                        Described::read(&fields.need("layer", "a layer")?, layer.path())
                    })?;
                    let class = format!("{}({})", layer.class(), inner.class());
                    Err(Problem::UnsupportedClass { layer: layer.path().into(), class, hint: NOT_OVER_TIME.into() })
                }
            },
            _ => Err(layer.unsupported(NOT_OVER_TIME)),
        }
    }

    /// The tensors of one layer in the legacy format; of a model within, those behind its other layers'.
    fn queue_of(&self, way: &Route<'_>) -> Found<Queue> {
        let Some(((first, at), inner)) = way.steps.split_first() else {
            return Err(way.layer.unsupported(NOT_OVER_TIME));
        };
        let outermost = &first[*at];
        let flags = trained(outermost, true)?;
        // Of all weights of the outermost layer, those that are this layer's.
        let mut own = 0..flags.len();
        for (layers, at) in inner {
            let counts: Vec<usize> =
                layers[..=*at].iter().map(|layer| Ok(trained(layer, true)?.len())).collect::<Found<_>>()?;
            let start = own.start + counts[..*at].iter().sum::<usize>();
            own = start..start + counts[*at];
        }
        let file = &self.weights.file;
        let group = format!("{}{}", legacy_root(file)?, outermost.name);
        let missing = || Problem::MissingObject { what: "group", name: group.clone() };
        let found = file.find(&group)?.ok_or_else(missing)?;
        let names = list(file, found, "weight_names", self.options.limits.tensors)?.unwrap_or_default();
        if flags.is_empty() && inner.is_empty() && code_within(outermost)? == 1 {
            let tensors = names.iter().map(|name| format!("{group}/{name}")).collect();
            return Ok(Queue::of_code(way.layer.path(), tensors));
        }
        let order = (0..flags.len()).filter(|&i| flags[i]).chain((0..flags.len()).filter(|&i| !flags[i]));
        let mut tensors: Vec<(usize, String)> = order
            .zip(names)
            .filter(|(weight, _)| own.contains(weight))
            .map(|(weight, path)| (weight, format!("{group}/{path}")))
            .collect();
        tensors.sort();
        let tensors: Vec<String> = tensors.into_iter().map(|(_, path)| path).collect();
        let all = vec![true; tensors.len()];
        Ok(Queue::new(way.layer.path(), tensors, &all))
    }
}
