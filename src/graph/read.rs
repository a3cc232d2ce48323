//! A model, made again of what it said of [itself](super::described).

use std::collections::BTreeSet;
use std::sync::Arc;

use ndarray::ArrayViewD;

use super::assembly::{Assembly, Refusal};
use super::operation::{Op, Role, Which};
use super::outside::Outside;
use super::weights::show_quantized;
use super::{CallSpec, InputKind, Kept, Model, Part, classes};
use crate::config::{ConfigError, Item, Options, Tensors};
use crate::float::Float;
use crate::state::StateLayout;
use crate::weights::{QuantizedVisitor, QuantizedWeight, WeightPath, WeightVisitor};

type Read<V> = Result<V, ConfigError>;

/// An operation that was made of a description, and the states that it keeps.
pub(super) struct Made<T: Float> {
    pub(super) op: Op<T>,
    pub(super) states: Vec<Arc<StateLayout>>,
}

/// A layer of a model that is being read.
struct ReadPart<T: Float> {
    name: String,
    class: String,
    /// None of an input.
    made: Option<Made<T>>,
    trainable: Option<bool>,
    state: Option<usize>,
    kept: Kept,
}

/// The model of these options, with these weights.
pub(crate) fn read_model<T: Float>(options: &Options<'_>, tensors: &mut Tensors<'_, T>) -> Read<Model<T>> {
    let name = options.text("name", "a name")?;
    let sequential = options.class() == "Sequential";
    let mut assembly = Assembly::new(name, sequential, options.flag("keras_2")?, classes::most(options));
    assembly.model.kept = kept(options)?;
    let mut names = BTreeSet::new();
    let mut parts = Vec::new();
    for item in options.list("layers", "a list of layers")? {
        let part = read_part(&item, tensors)?;
        // An input of a Sequential may be called like a layer.
        if part.made.is_some() && !names.insert(part.name.clone()) {
            return Err(item.wrong("a layer of another name than the others"));
        }
        parts.push(part);
    }
    keep_states(&mut assembly, &mut parts);
    for part in parts {
        assembly.add_part(finished(part));
    }
    let mut known = Vec::new();
    for item in options.list("inputs", "a list of inputs")? {
        known.push(read_input(&item, &mut assembly)?);
    }
    for item in options.list("calls", "a list of calls")? {
        read_call(&item, &mut assembly, &mut known)?;
    }
    let expected = "tensors of the model, one at least";
    let outputs = options.need("outputs", expected)?;
    let tensors = outputs.list(expected)?.iter().map(|item| tensor(item, &known)).collect::<Read<Vec<_>>>()?;
    if tensors.is_empty() || assembly.model.inputs.is_empty() {
        return Err(outputs.wrong(expected));
    }
    let expected = "a name for each output";
    let names = options.need("output_names", expected)?;
    let texts =
        names.list(expected)?.iter().map(|name| name.text(expected).map(String::from)).collect::<Read<Vec<_>>>()?;
    if texts.len() != tensors.len() {
        return Err(names.wrong(expected));
    }
    let outside = match options.said("outside") {
        None => vec![],
        Some(item) => {
            let expected = "an order of axes or null for each output";
            let all = item.list(expected)?.into_iter();
            let all = all.map(|own| own.given().map(|own| read_outside(&own)).transpose()).collect::<Read<Vec<_>>>()?;
            let sound = all.len() == tensors.len()
                && all.iter().zip(&tensors).all(|(own, &tensor)| {
                    own.as_ref().is_none_or(|own| own.rank_inside() == assembly.model.tensors[tensor].shape.len())
                });
            if !sound {
                return Err(item.wrong(expected));
            }
            all
        }
    };
    let mut model = assembly.finish(tensors, texts);
    model.outside = outside;
    Ok(model)
}

/// How arrays are outside.
fn read_outside(item: &Item<'_>) -> Read<Outside> {
    let expected = "an order of axes";
    let described = item.config(expected)?;
    if described.class() != "Outside" {
        return Err(item.wrong(expected));
    }
    let outside = described.read(|options| {
        let places = options.list("places", expected)?;
        let places = places.iter().map(|place| place.index(expected)).collect::<Read<Vec<_>>>()?;
        Ok(Outside { places, shape: classes::shape(options, "shape")? })
    })?;
    if outside.is_sound() { Ok(outside) } else { Err(item.wrong(expected)) }
}

fn read_part<T: Float>(item: &Item<'_>, tensors: &mut Tensors<'_, T>) -> Read<ReadPart<T>> {
    let expected = "a layer of a model";
    let described = item.config(expected)?;
    let is_input = match described.class() {
        "InputLayer" => true,
        "Layer" => false,
        _ => return Err(item.wrong(expected)),
    };
    described.read(|options| {
        let (name, class) = (options.text("name", "a name")?.to_string(), options.text("class", "a class")?.into());
        let kept = kept(options)?;
        if is_input {
            return Ok(ReadPart { name, class, made: None, trainable: None, state: None, kept });
        }
        let flag = options.need("trainable", "true, false or, of a model, null")?;
        let trainable = flag.clone().given().map(|trainable| trainable.flag()).transpose()?;
        let place = options.need("state", "the place of a state or null")?;
        let state = place.clone().given().map(|state| state.index("the place of a state")).transpose()?;
        let inner = options.config("layer", "a layer")?.of_layer();
        let mut made = classes::operation(&inner, &mut tensors.nested(&name)).map_err(|error| error.within(&name))?;
        if trainable.is_none() != made.op.model().is_some() {
            return Err(flag.wrong("null of a model, and of no other layer"));
        }
        let has_state = match made.op.role() {
            Role::Recurrent { layer, .. } => {
                made.states.extend(state.map(|_| Arc::clone(layer.state_layout())));
                state.is_some()
            }
            _ => !made.states.is_empty(),
        };
        if state.is_some() != has_state {
            return Err(place.wrong("the place of a state of a layer that keeps one, else null"));
        }
        Ok(ReadPart { name, class, made: Some(made), trainable, state, kept })
    })
}

/// What another format's file said: an object, in whose words that format's writer sees to the rest.
fn kept(options: &Options<'_>) -> Read<Kept> {
    let expected = "an object of JSON as a text, or null";
    let Some(kept) = options.need("kept", expected)?.given() else { return Ok(None) };
    let text = kept.text(expected)?;
    match serde_json::from_str(text) {
        Ok(serde_json::Value::Object(_)) => Ok(Some(Arc::from(text))),
        _ => Err(kept.wrong(expected)),
    }
}

/// Makes places for the states that layers keep, in the order in which they were made.
fn keep_states<T: Float>(assembly: &mut Assembly<T>, parts: &mut [ReadPart<T>]) {
    let mut order: Vec<usize> = (0..parts.len()).collect();
    order.sort_by_key(|&at| parts[at].state);
    for at in order {
        if let Some(made) = &mut parts[at].made {
            let states = std::mem::take(&mut made.states);
            assembly.keep_states(&mut made.op, states);
        }
    }
}

fn finished<T: Float>(part: ReadPart<T>) -> Part<T> {
    let ReadPart { name, class, made, trainable, kept, .. } = part;
    let op = made.map(|made| made.op);
    let count = |which| {
        let mut count = 0_usize;
        if let Some(op) = op.as_ref().filter(|op| op.weights_count()) {
            op.visit_weights(which, &mut WeightVisitor::new(&mut |_, weight: ArrayViewD<'_, T>| count += weight.len()));
        }
        count
    };
    let mut all = count(Which::All);
    if let Some(op) = op.as_ref().filter(|op| op.weights_count()) {
        let each = &mut |_: &WeightPath<'_>, weight: QuantizedWeight<'_>| all += weight.len();
        show_quantized(&**op, &mut QuantizedVisitor::new(each));
    }
    let trained = match (op.as_ref().and_then(Op::model), trainable) {
        (Some(model), _) => model.counts().0,
        (None, Some(true)) => count(Which::Trained),
        (None, _) => 0,
    };
    Part { name, class, op, trainable: trained, non_trainable: all.saturating_sub(trained), kept }
}

fn read_input<T: Float>(item: &Item<'_>, assembly: &mut Assembly<T>) -> Read<usize> {
    let expected = "an input";
    let described = item.config(expected)?;
    if described.class() != "Input" {
        return Err(item.wrong(expected));
    }
    described.read(|options| {
        let layer = options.need("layer", "an InputLayer's place")?;
        let part = layer.index("an InputLayer's place")?;
        if assembly.model.parts.get(part).is_none_or(|part| part.op.is_some()) {
            return Err(layer.wrong("an InputLayer's place"));
        }
        let name = options.text("name", "a name")?;
        let shape = classes::shape(options, "shape")?;
        if shape.is_empty() || shape.len() > MOST_DIMENSIONS {
            return Err(options.need("shape", "")?.wrong("a shape, the batch first, of at most 16 dimensions"));
        }
        let kind = options.config("kind", "a kind of input")?;
        let kind = kind.read(|options| match kind.class() {
            "Float" => Ok(InputKind::Float { through_f32: options.flag("through_f32")? }),
            "Integer" => Ok(InputKind::Int { min: options.integer("min")?, max: options.integer("max")? }),
            "Flag" => Ok(InputKind::Bool),
            _ => Err(kind.wrong_class("Float, Integer, Flag")),
        })?;
        let outside = options.said("outside");
        let own = outside.as_ref().map(read_outside).transpose()?;
        if let (Some(item), Some(own)) = (outside, &own)
            && own.rank_inside() != shape.len()
        {
            return Err(item.wrong("an order of the input's axes"));
        }
        let tensor = assembly.add_input(name.into(), shape, kind, part).map_err(|refusal| refused(name, refusal))?;
        if let Some(spec) = assembly.model.inputs.last_mut() {
            spec.outside = own;
        }
        Ok(tensor)
    })
}

/// As many as a shape in a file of Keras may have.
const MOST_DIMENSIONS: usize = 16;

fn read_call<T: Float>(item: &Item<'_>, assembly: &mut Assembly<T>, known: &mut Vec<usize>) -> Read<()> {
    let expected = "a call";
    let described = item.config(expected)?;
    if described.class() != "Call" {
        return Err(item.wrong(expected));
    }
    described.read(|options| {
        let layer = options.need("layer", "a layer's place")?;
        let part = layer.index("a layer's place")?;
        if assembly.model.parts.get(part).is_none_or(|part| part.op.is_none()) {
            return Err(layer.wrong("a layer's place"));
        }
        let node = options.need("node", "the number of the call")?.index("the number of the call")?;
        let tensors = |name| {
            let list = options.list(name, TENSORS)?;
            list.iter().map(|item| tensor(item, known)).collect::<Read<Vec<_>>>()
        };
        let (inputs, initial_state) = (tensors("inputs")?, tensors("initial_state")?);
        let masks = options.list("masks", TENSORS)?.into_iter();
        let masks = masks.map(|mask| mask.given().map(|mask| tensor(&mask, known)).transpose());
        let masks = masks.collect::<Read<Vec<_>>>()?;
        let call = CallSpec { part, inputs, masks, initial_state, outputs: vec![], drops: vec![] };
        let outputs = assembly.add_call(node, call);
        known.extend(outputs.map_err(|refusal| refused(&assembly.model.parts[part].name, refusal))?);
        Ok(())
    })
}

const TENSORS: &str = "tensors that are there before the call";

fn tensor(item: &Item<'_>, known: &[usize]) -> Read<usize> {
    known.get(item.index(TENSORS)?).copied().ok_or_else(|| item.wrong(TENSORS))
}

fn refused(layer: &str, refusal: Refusal) -> ConfigError {
    match refusal {
        Refusal::TooMany { what, given, most } => ConfigError::Limit { what, limit: most, given },
        refusal => ConfigError::Built { layer: String::new(), error: super::builder::refused(layer, refusal) },
    }
}
