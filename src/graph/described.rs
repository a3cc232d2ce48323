//! What a model says of itself: its layers, then its calls in their order.
//!
//! ```text
//! Functional { name, keras_2, kept, layers: [Layer ..], inputs: [Input ..], calls: [Call ..], outputs: [tensor ..], output_names }
//! ```
//!
//! `kept` is what the file that a layer came from said beyond all that: see [`Kept`](super::Kept).
//!
//! Tensors are numbered: the inputs, then what the calls give, in order.

use std::collections::BTreeSet;

use super::operation::{Operation, Role};
use super::outside::Outside;
use super::{CallSpec, InputKind, InputSpec, Model, Part};
use crate::config::{Config, ConfigError, Value};
use crate::float::Float;

/// Describes a model.
pub(super) fn model<T: Float>(model: &Model<T>) -> Result<Config, ConfigError> {
    let base = slots_of(model).first().copied().unwrap_or(0);
    let layers = model.parts.iter().map(|part| layer(part, base)).collect::<Result<Vec<_>, _>>()?;
    let mut numbers = vec![None; model.tensors.len()];
    let made = (0..model.inputs.len()).chain(model.calls.iter().flat_map(|call| call.outputs.iter().copied()));
    made.enumerate().for_each(|(number, tensor)| numbers[tensor] = Some(number));
    let number = |tensor: usize| numbers[tensor].unwrap_or(usize::MAX);
    let inputs: Vec<Config> =
        model.inputs.iter().enumerate().map(|(at, spec)| input(spec, model.tensors[at].part)).collect();
    let calls: Vec<Config> = model.calls.iter().map(|spec| call(model, spec, &number)).collect();
    Ok(Config::new(if model.sequential { "Sequential" } else { "Functional" })
        .with("name", &*model.name)
        .with("keras_2", model.keras_2)
        .with("kept", model.kept.as_deref())
        .with("layers", layers)
        .with("inputs", inputs)
        .with("calls", calls)
        .with("outputs", model.outputs.iter().map(|&output| number(output)).collect::<Vec<_>>())
        .with("output_names", model.output_names.iter().map(|name| &**name).collect::<Vec<_>>())
        .with_if("outside", outsides(&model.outside)))
}

fn layer<T: Float>(part: &Part<T>, base: usize) -> Result<Config, ConfigError> {
    let Some(op) = &part.op else {
        let input = Config::new("InputLayer").with("name", &*part.name).with("class", &*part.class);
        return Ok(input.with("kept", part.kept.as_deref()));
    };
    let described = op.describe().map_err(|error| error.within(&part.name))?;
    // Those of a model within say it themselves.
    let trainable = op.model().is_none().then_some(part.trainable > 0);
    let mut slots = BTreeSet::new();
    collect_slots(&**op, &mut slots);
    let state = slots.first().map(|slot| slot.saturating_sub(base));
    Ok(Config::new("Layer")
        .with("name", &*part.name)
        .with("class", &*part.class)
        .with("trainable", trainable)
        .with("state", state)
        .with("kept", part.kept.as_deref())
        .with("layer", described))
}

fn input(spec: &InputSpec, layer: usize) -> Config {
    let kind = match spec.kind {
        InputKind::Float { through_f32 } => Config::new("Float").with("through_f32", through_f32),
        InputKind::Int { min, max } => Config::new("Integer").with("min", min).with("max", max),
        InputKind::Bool => Config::new("Flag"),
    };
    Config::new("Input")
        .with("name", &*spec.name)
        .with("layer", layer)
        .with("shape", spec.shape.clone())
        .with("kind", kind)
        .with_if("outside", spec.outside.as_ref().map(outside))
}

/// How arrays are outside, if they are others.
fn outside(outside: &Outside) -> Config {
    Config::new("Outside").with("places", outside.places.clone()).with("shape", outside.shape.clone())
}

/// The same of the outputs, if any is another.
fn outsides(all: &[Option<Outside>]) -> Option<Value> {
    let each = all.iter().map(|own| own.as_ref().map_or(Value::Null, |own| outside(own).into()));
    all.iter().any(Option::is_some).then(|| Value::List(each.collect()))
}

fn call<T: Float>(model: &Model<T>, spec: &CallSpec, number: &impl Fn(usize) -> usize) -> Config {
    let tensors = |tensors: &[usize]| tensors.iter().map(|&tensor| number(tensor)).collect::<Vec<_>>();
    let masks: Vec<Value> = spec.masks.iter().map(|mask| mask.map(number).into()).collect();
    Config::new("Call")
        .with("layer", spec.part)
        .with("node", spec.outputs.first().map_or(0, |&output| model.tensors[output].node))
        .with("inputs", tensors(&spec.inputs))
        .with("masks", Value::List(masks))
        .with("initial_state", tensors(&spec.initial_state))
}

/// The places of the states of stateful layers, among those of the outermost model.
fn slots_of<T: Float>(model: &Model<T>) -> BTreeSet<usize> {
    let mut slots = BTreeSet::new();
    model.parts.iter().filter_map(|part| part.op.as_ref()).for_each(|op| collect_slots(&**op, &mut slots));
    slots
}

/// What is inside TimeDistributed keeps no state.
fn collect_slots<T: Float>(op: &dyn Operation<T>, slots: &mut BTreeSet<usize>) {
    match op.role() {
        Role::Recurrent { slot, .. } => slots.extend(slot),
        Role::Model(model) => slots.extend(slots_of(model)),
        _ => {}
    }
}
