//! The parts of a model: its layers with their weights, its inputs.

use super::super::classes::{Argument, Built, is_operation, trained};
use super::super::description::Described;
use super::super::json::Json;
use super::super::own_code::code_within;
use super::super::policy;
use super::super::weights::{ModelPlace, Place, Queue, list};
use super::super::write::kept;
use super::Graph;
use crate::float::Float;
use crate::formats::error::{Found, Problem};
use crate::graph::operation::Op;
use crate::graph::ops::nested::Nested;
use crate::graph::{InputKind, Part};

impl<'m, T: Float> Graph<'_, '_, 'm, T> {
    /// Adds a layer with its weights.
    pub(super) fn add_part(
        &mut self,
        layer: &Described<'m>,
        group: &Place<'static>,
        place: &ModelPlace<'_>,
        says: &[Argument<'m>],
    ) -> Found<usize> {
        if !self.names.insert(layer.name) {
            return Err(Problem::DuplicateLayer { name: layer.path().into() });
        }
        let (name, class) = (layer.name.into(), layer.class().into());
        let mut part = Part { name, class, op: None, trainable: 0, non_trainable: 0, kept: None };
        if is_operation(layer) {
            part.op = Some(self.reader.operation(layer, says)?);
        } else if !layer.is_input() {
            let queue;
            let legacy = match place {
                ModelPlace::Group(_) => None,
                ModelPlace::Queue(queue) => Some(*queue),
                ModelPlace::Legacy => {
                    queue = self.queue(layer)?;
                    Some(&queue)
                }
            };
            self.build(&mut part, layer, legacy.map(Place::Queue).as_ref().unwrap_or(group), says)?;
            if let (ModelPlace::Legacy, Some(queue)) = (place, legacy) {
                queue.finish()?;
            }
        }
        if !layer.is_input() {
            part.kept = kept::of_part(layer, &part, &self.assembly.model, self.reader.version);
        }
        Ok(self.assembly.add_part(part))
    }

    /// Builds a layer or a model within.
    fn build(
        &mut self,
        part: &mut Part<T>,
        layer: &Described<'_>,
        place: &Place<'_>,
        says: &[Argument<'m>],
    ) -> Found<()> {
        if layer.is_model() {
            let place = match place {
                Place::Queue(queue) => ModelPlace::Queue(queue),
                Place::Group(group) => ModelPlace::Group(Place::Group(group.clone())),
            };
            let mut inner = self.reader.model::<T>(layer, &place, self.depth + 1)?;
            // The states of the stateful layers within are this model's.
            let states = std::mem::take(&mut inner.stateful);
            (part.trainable, part.non_trainable) = inner.counts();
            let mut op = Op::new(Nested(Box::new(inner)));
            self.assembly.keep_states(&mut op, states);
            part.op = Some(op);
            return Ok(());
        }
        let Built { mut op, trainable, non_trainable, stateful } =
            self.reader.called_layer::<T>(layer, place, self.depth, says)?;
        self.assembly.keep_states(&mut op, stateful.into_iter().collect());
        (part.op, part.trainable, part.non_trainable) = (Some(op), trainable, non_trainable);
        Ok(())
    }

    /// The tensors of a layer in the legacy format.
    fn queue(&self, layer: &Described<'_>) -> Found<Queue> {
        let expected = trained(layer, true)?;
        let path = layer.path();
        let Some(weights) = self.reader.weights else { return Ok(Queue::new(path, vec![], &[])) };
        let file = &weights.file;
        let root = super::super::legacy_root(file)?;
        let group = format!("{root}{}", layer.name);
        let Some(found) = file.find(&group)? else {
            if expected.is_empty() {
                return Ok(Queue::new(path, vec![], &[]));
            }
            return Err(Problem::MissingObject { what: "group", name: group });
        };
        let names = list(file, found, "weight_names", self.reader.options.limits.tensors)?.unwrap_or_default();
        let tensors = names.iter().map(|name| format!("{group}/{name}")).collect();
        // None is known, and there may be some.
        let of_code = expected.is_empty() && code_within(layer)? == 1;
        Ok(if of_code { Queue::of_code(path, tensors) } else { Queue::new(path, tensors, &expected) })
    }

    /// Adds an input, which is the part of this number.
    pub(super) fn add_input(&mut self, input: &Described<'_>, part: usize) -> Found<usize> {
        let (shape, kind) = input.config.fields("an object", |fields| {
            fields.take("name");
            fields.flag_or("trainable", true)?;
            let reason = "declare the input without it: only dense inputs that must be given are supported";
            for option in ["sparse", "ragged", "optional"] {
                fields.only(option, &false.into(), reason)?;
            }
            let mut shapes = ["batch_shape", "batch_input_shape"].into_iter().filter_map(|key| fields.take(key));
            let shape = shapes.next().ok_or_else(|| fields.absent("batch_shape", "a list of sizes"))?;
            if let Some(second) = shapes.next().filter(|second| !second.says(&shape)) {
                return Err(second.wrong("what batch_shape says"));
            }
            Ok((shape.shape()?, self.kind(fields.option("dtype", "a type's name")?)?))
        })?;
        let added = self.assembly.add_input(input.name.into(), shape, kind, part);
        let tensor = added.map_err(|refusal| self.refused(part, refusal))?;
        let model = &self.assembly.model;
        let kept = kept::of_part(input, &model.parts[part], model, self.reader.version);
        self.assembly.model.parts[part].kept = kept;
        Ok(tensor)
    }

    /// What an input takes.
    fn kind(&self, dtype: Option<Json<'_>>) -> Found<InputKind> {
        let double = size_of::<T>() == 8;
        let float32 = InputKind::Float { through_f32: double && self.reader.dtypes.float64 };
        let Some(dtype) = dtype else { return Ok(float32) };
        let int = |min: i64, max: i64| Ok(InputKind::Int { min, max });
        match dtype.text("a type's name")? {
            "float32" => Ok(float32),
            "float64" if double => Ok(InputKind::Float { through_f32: false }),
            "int8" => int(i8::MIN.into(), i8::MAX.into()),
            "int16" => int(i16::MIN.into(), i16::MAX.into()),
            "int32" => int(i32::MIN.into(), i32::MAX.into()),
            "int64" => int(i64::MIN, i64::MAX),
            "uint8" => int(0, u8::MAX.into()),
            "uint16" => int(0, u16::MAX.into()),
            "uint32" => int(0, u32::MAX.into()),
            "bool" => Ok(InputKind::Bool),
            half if policy::is_widened(half, self.reader.options) => Ok(InputKind::Float { through_f32: false }),
            other => {
                let hint = policy::input_hint(Some(other));
                Err(Problem::DType { layer: dtype.layer().into(), dtype: dtype.show(), hint })
            }
        }
    }
}
