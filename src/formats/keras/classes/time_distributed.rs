//! TimeDistributed.

use super::super::description::Described;
use super::super::weights::{ModelPlace, Place};
use super::{Built, Class, Holds, INPUTS_TRAINING_MASK, Reader, Reading};
use crate::float::Float;
use crate::formats::error::Found;
use crate::model::op::Op;

impl<T: Float> Class<T> {
    pub(super) const TIME_DISTRIBUTED: &'static [Self] =
        &[Class::layer("TimeDistributed", INPUTS_TRAINING_MASK, Holds::Layer("layer"), read)];
}

fn read<T: Float>(reading: &Reading<'_, '_>) -> Found<Built<T>> {
    let option = reading.fields.need("layer", "a layer")?;
    let inner = Described::read(&option, reading.path())?;
    let place = reading.place.child("layer");
    let built = match inner.is_model() {
        true => reading.reader.model_as_layer::<T>(&inner, &place, reading.depth + 1)?,
        false => reading.reader.layer::<T>(&inner, &place, reading.depth + 1)?,
    };
    if built.stateful.is_some() {
        return Err(option.unsupported("a stateful layer inside TimeDistributed; set stateful=False in Python"));
    }
    Ok(Built { op: Op::TimeDistributed(Box::new(built.op)), ..built })
}

impl Reader<'_, '_> {
    fn model_as_layer<T: Float>(&self, model: &Described<'_>, place: &Place<'_>, depth: usize) -> Found<Built<T>> {
        let place = match place {
            Place::Group(group) => ModelPlace::Group(Place::Group(group.clone())),
            Place::Queue(queue) => ModelPlace::Queue(queue),
        };
        let model = self.model::<T>(model, &place, depth)?;
        Ok(Built {
            trainable: model.parts.iter().map(|part| part.trainable).sum(),
            non_trainable: model.parts.iter().map(|part| part.non_trainable).sum(),
            stateful: model.stateful.first().cloned(),
            op: Op::Model(Box::new(model)),
        })
    }
}
