//! TimeDistributed.

use super::super::description::Described;
use super::super::weights::{ModelPlace, Place};
use super::{Built, Class, Holds, INPUTS_TRAINING_MASK, Reader, Reading};
use crate::float::Float;
use crate::formats::error::Found;
use crate::graph::operation::Op;
use crate::graph::ops::nested::Nested;
use crate::graph::ops::time_distributed::TimeDistributed;

impl<T: Float> Class<T> {
    pub(super) const TIME_DISTRIBUTED: &'static [Self] =
        &[Class::layer("TimeDistributed", INPUTS_TRAINING_MASK, Holds::Layer("layer"), read)];
}

fn read<T: Float>(reading: &Reading<'_, '_>) -> Found<Built<T>> {
    let option = reading.fields.need("layer", "a layer")?;
    let inner = Described { bare: true, ..Described::read(&option, reading.path())? };
    let place = reading.place.child("layer");
    let built = match inner.is_model() {
        true => reading.reader.model_as_layer::<T>(&inner, &place, reading.depth + 1)?,
        false => reading.reader.layer::<T>(&inner, &place, reading.depth + 1)?,
    };
    if built.stateful.is_some() {
        return Err(option.unsupported("a stateful layer inside TimeDistributed; set stateful=False in Python"));
    }
    Ok(Built { op: Op::new(TimeDistributed(built.op)), ..built })
}

impl Reader<'_, '_> {
    fn model_as_layer<T: Float>(&self, model: &Described<'_>, place: &Place<'_>, depth: usize) -> Found<Built<T>> {
        let place = match place {
            Place::Group(group) => ModelPlace::Group(Place::Group(group.clone())),
            Place::Queue(queue) => ModelPlace::Queue(queue),
        };
        let model = self.model::<T>(model, &place, depth)?;
        let (trainable, non_trainable) = model.counts();
        Ok(Built {
            trainable,
            non_trainable,
            stateful: model.stateful.first().cloned(),
            op: Op::new(Nested(Box::new(model))),
        })
    }
}
