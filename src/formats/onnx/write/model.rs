//! The calls of a model, one after another, and its inputs and outputs.
//!
//! Masks go with values by the rules of [`run`](crate::graph): this is the same walk, with nodes in the place of numbers.

use super::graph::{Attribute, Held, Kind, Mask, types, value_info};
use super::operators::Call;
use super::wire::Message;
use super::writer::{HINT, Writer};
use crate::float::Float;
use crate::formats::save_error::SaveError;
use crate::graph::operation::{Op, Role};
use crate::graph::outside::Outside;
use crate::graph::shape::Shape;
use crate::graph::{CallSpec, InputKind, InputSpec, Model};

type Made<V> = Result<V, SaveError>;

/// The whole file.
pub(super) fn bytes<T: Float>(model: &Model<T>) -> Made<Vec<u8>> {
    let mut writer = Writer::<T>::new();
    let (mut inputs, mut held) = (Vec::new(), Vec::new());
    let names: Vec<String> = model.inputs.iter().map(|spec| writer.graph.name(&spec.name)).collect();
    let outputs: Vec<String> = model.output_names.iter().map(|name| writer.graph.name(name)).collect();
    for (spec, name) in model.inputs.iter().zip(names) {
        inputs.push(writer.input_info(spec, &name, model.inputs.len() == 1));
        held.push(writer.input(spec, name));
    }
    let made = writer.calls(model, held)?;
    let mut infos = Vec::new();
    writer.path = String::new();
    for (place, (value, name)) in made.into_iter().zip(outputs).enumerate() {
        let outside = model.outside.get(place).and_then(Option::as_ref);
        infos.push(writer.output(value, outside, &name));
    }
    let bytes = writer.graph.into_bytes(model.name(), &inputs, &infos);
    match i32::try_from(bytes.len()) {
        Ok(_) => Ok(bytes),
        Err(_) => {
            let (class, hint) = ("a model of 2 GiB or more".into(), "ONNX's messages are smaller");
            Err(SaveError::Class { prefix: model.name().into(), class, hint })
        }
    }
}

impl<T: Float> Writer<T> {
    /// What is told of an input. Sizes that aren't fixed have names: that of the batch is everywhere the same.
    fn input_info(&self, spec: &InputSpec, name: &str, alone: bool) -> Message {
        let (shape, places): (&Shape, Vec<usize>) = match &spec.outside {
            Some(outside) => (&outside.shape, outside.places.clone()),
            None => (&spec.shape, (0..spec.shape.len()).collect()),
        };
        let named = |place: usize| match place {
            0 => "batch".to_string(),
            1 if alone => "time".to_string(),
            1 => format!("{name}_time"),
            place => format!("{name}_{place}"),
        };
        let sizes: Vec<_> =
            shape.iter().zip(&places).map(|(size, &place)| size.ok_or_else(|| Some(named(place)))).collect();
        value_info(name, self.given(spec.kind), &sizes)
    }

    /// The type that an input is given in.
    fn given(&self, kind: InputKind) -> i64 {
        match kind {
            InputKind::Float { through_f32: true } => types::FLOAT,
            InputKind::Float { through_f32: false } => self.element(Kind::Float),
            InputKind::Bool => types::BOOL,
            InputKind::Int { min, max } => {
                let all = [
                    (types::INT8, i8::MIN.into(), i8::MAX.into()),
                    (types::INT16, i16::MIN.into(), i16::MAX.into()),
                    (types::INT32, i32::MIN.into(), i32::MAX.into()),
                    (types::UINT8, 0, u8::MAX.into()),
                    (types::UINT16, 0, u16::MAX.into()),
                    (types::UINT32, 0, u32::MAX.into()),
                ];
                all.iter().find(|(_, least, most)| (*least, *most) == (min, max)).map_or(types::INT64, |(own, ..)| *own)
            }
        }
    }

    /// An input as the model has it.
    fn input(&mut self, spec: &InputSpec, name: String) -> Held {
        let kind = match spec.kind {
            InputKind::Float { .. } => Kind::Float,
            InputKind::Int { .. } => Kind::Int,
            InputKind::Bool => Kind::Bool,
        };
        let name = match self.given(spec.kind) == self.element(kind) {
            true => name,
            false => {
                let to = self.element(kind);
                self.one("Cast", &[&name], &[("to", Attribute::Int(to))])
            }
        };
        let Some(outside) = &spec.outside else { return Held::new(name, kind, spec.shape.clone()) };
        let given = Held::new(name, kind, outside.shape.clone());
        let first = first_of(outside);
        let order: Vec<usize> = (0..outside.places.len())
            .map(|place| outside.places.iter().position(|&own| own == place + first).unwrap_or(0))
            .collect();
        let inside = self.transpose(&given, &order);
        let inside = if first == 1 { self.unsqueeze(&inside, 0) } else { inside };
        Held { shape: spec.shape.clone(), ..inside }
    }

    /// Adds an output under its name.
    fn output(&mut self, value: Held, outside: Option<&Outside>, name: &str) -> Message {
        let mut value = self.as_floats(&value);
        let mut shape: Vec<Result<usize, Option<String>>> = value.shape.iter().map(|size| size.ok_or(None)).collect();
        if let Some(first) = shape.first_mut() {
            *first = Err(Some("batch".into()));
        }
        if let Some(outside) = outside {
            let first = first_of(outside);
            if first == 1 {
                value = self.squeeze(&value, 0);
            }
            let order: Vec<usize> = outside.places.iter().map(|&place| place - first).collect();
            value = self.transpose(&value, &order);
            let sizes = outside.shape.iter().zip(&outside.places);
            let named = |place: usize| if place == 0 { Some("batch".to_string()) } else { None };
            shape = sizes.map(|(size, &place)| size.ok_or_else(|| named(place))).collect();
        }
        self.graph.node(&format!("output/{name}"), "Identity", &[&value.name], &[name], &[]);
        value_info(name, self.element(Kind::Float), &shape)
    }

    /// A model within a model.
    pub(super) fn nested(&mut self, model: &Model<T>, inputs: Vec<Held>) -> Made<Vec<Held>> {
        let given = inputs.into_iter().zip(&model.inputs).map(|(input, spec)| {
            let mask = input.mask.clone();
            let kind = match spec.kind {
                InputKind::Float { .. } => Kind::Float,
                InputKind::Int { .. } => Kind::Int,
                InputKind::Bool => Kind::Bool,
            };
            let input = if input.kind == kind { input } else { self.cast(&input, kind) };
            Held { shape: spec.accept(&input.shape).unwrap_or_else(|| input.shape.clone()), ..input }.masked(mask)
        });
        let given = given.collect();
        self.calls(model, given)
    }

    /// All calls of a model.
    fn calls(&mut self, model: &Model<T>, inputs: Vec<Held>) -> Made<Vec<Held>> {
        let outer = (self.path.clone(), self.class.clone());
        let mut values: Vec<Option<Held>> = inputs.into_iter().map(Some).collect();
        values.resize(model.tensors.len(), None);
        for call in &model.calls {
            let part = &model.parts[call.part];
            let Some(op) = &part.op else { continue };
            let below = if outer.0.is_empty() { part.name.clone() } else { format!("{}/{}", outer.0, part.name) };
            (self.path, self.class) = (below, part.class.clone());
            let outputs = self.call(model, call, op, &mut values)?;
            for (&to, output) in call.outputs.iter().zip(outputs) {
                values[to] = Some(output);
            }
        }
        (self.path, self.class) = outer;
        let outputs = model.outputs.iter().map(|&output| values[output].clone().ok_or_else(|| self.refuse(HINT)));
        outputs.collect()
    }

    fn call(&mut self, model: &Model<T>, call: &CallSpec, op: &Op<T>, values: &mut [Option<Held>]) -> Made<Vec<Held>> {
        let is_model = matches!(op.role(), Role::Model(_));
        if is_model {
            self.attach(model, call, values)?;
        }
        let there =
            |writer: &Self, values: &[Option<Held>], at: usize| values[at].clone().ok_or_else(|| writer.refuse(HINT));
        let arguments = call.inputs.iter().map(|&at| there(self, values, at)).collect::<Made<Vec<_>>>()?;
        let initial = call.initial_state.iter().map(|&at| there(self, values, at)).collect::<Made<Vec<_>>>()?;
        let (mut named, apart) = (None, op.names_masks_apart());
        let first = arguments.first().and_then(|first| first.mask.clone());
        if let Some(Some(mask)) = call.masks.first().filter(|_| !apart) {
            let value = there(self, values, *mask)?;
            named = Some(self.as_mask(&value));
        }
        let mut arguments = arguments;
        if (call.masks.len() > 1 || apart) && !is_model {
            for (argument, mask) in arguments.iter_mut().zip(&call.masks) {
                let mask = match mask {
                    Some(mask) => {
                        let value = there(self, values, *mask)?;
                        Some(self.as_mask(&value))
                    }
                    None => argument.mask.clone().filter(|_| apart),
                };
                *argument = argument.clone().masked(mask);
            }
        }
        let attached = if apart { first } else { arguments.first().and_then(|first| first.mask.clone()) };
        let passes = named.clone().or_else(|| attached.clone());
        let reads = op.takes_mask() && (initial.is_empty() || model.keras_2);
        let mask = named.or_else(|| attached.filter(|_| reads));
        let given: Vec<Shape> = arguments.iter().map(|argument| argument.shape.clone()).collect();
        let shapes = op.infer(&given).map_err(|_| self.refuse(HINT))?;
        let inner = Call { inputs: arguments, mask, passes, initial, shapes, keras_2: model.keras_2 };
        let outputs = self.operation(&**op, inner)?;
        if op.takes_masks_away() {
            for &input in &call.inputs {
                put_mask(values, input, None);
            }
        }
        Ok(outputs)
    }

    /// The masks that a call of a model names are those of its inputs, wherever else these are.
    fn attach(&mut self, model: &Model<T>, call: &CallSpec, values: &mut [Option<Held>]) -> Made<()> {
        if call.masks.iter().all(Option::is_none) {
            return Ok(());
        }
        for (place, &input) in call.inputs.iter().enumerate() {
            let named = call.masks.get(place).copied().flatten().and_then(|mask| values[mask].clone());
            let mask = named.map(|value| self.as_mask(&value));
            if mask.is_some() || model.keras_2 {
                put_mask(values, input, mask);
            }
        }
        Ok(())
    }

    /// The mask that a value is when a call names it.
    fn as_mask(&mut self, value: &Held) -> Mask {
        let flags = self.as_flags(value);
        Mask::Flags(Box::new(Held { lengths: value.lengths.clone(), ..flags }))
    }
}

/// Gives a value a mask, wherever it is.
fn put_mask(values: &mut [Option<Held>], of: usize, mask: Option<Mask>) {
    let Some(name) = values[of].as_ref().map(|value| value.name.clone()) else { return };
    for value in values.iter_mut().flatten().filter(|value| value.name == name) {
        value.mask.clone_from(&mask);
    }
}

/// The place of the first axis inside that is one outside.
fn first_of(outside: &Outside) -> usize {
    usize::from(!outside.places.contains(&0))
}
