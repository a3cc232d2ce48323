//! Calls of layers, as either version of Keras describes them: what goes in, masks, states.

mod heads;
mod operation;
mod own;

use super::super::classes::{
    ARGUMENTS_OF_A_MODEL, ARGUMENTS_OF_ATTENTION, ARGUMENTS_OF_HEADS, Argument, Class, Says, is_operation, same,
};
use super::super::description::Described;
use super::super::json::Json;
use super::reference::{Reference, is_reference, references, single, three};
use crate::formats::error::{Found, Problem};

/// A call of a layer, as the configuration has it.
#[derive(Debug, Default)]
pub(super) struct Node<'a> {
    pub(super) inputs: Vec<Reference<'a>>,
    pub(super) masks: Vec<Option<Reference<'a>>>,
    pub(super) initial_state: Vec<Reference<'a>>,
    /// What the call of an operation says, its tensors and all else.
    pub(super) arguments: Vec<Argument<'a>>,
}

/// What a call describes its tensors as, for messages.
const CALLS: &str = "calls on tensors of layers";

impl<'a> Node<'a> {
    /// All calls of a layer.
    pub(super) fn all(layer: &Described<'a>) -> Found<Vec<Self>> {
        let Some(calls) = &layer.calls else { return Ok(vec![]) };
        if layer.identity.code.is_some() {
            return own::calls(layer, calls);
        }
        if !layer.is_model() && is_operation(layer) {
            return operation::calls(layer, calls);
        }
        let arguments = if layer.is_model() { ARGUMENTS_OF_A_MODEL } else { Class::<f32>::of(layer)?.arguments };
        let mut nodes: Vec<Self> = Vec::new();
        for call in calls.list("a list of calls")? {
            let (given, masks, node) = (vec![], vec![], Node::default());
            let node = Call { layer, arguments, given, masks, old: false, node }.read(&call)?;
            if nodes.first().is_some_and(|first| !same(&first.arguments, &node.arguments)) {
                return Err(call.unsupported("all calls of a layer must say the same but for their tensors"));
            }
            nodes.push(node);
        }
        Ok(nodes)
    }

    /// All tensors that it waits for.
    pub(super) fn references(&self) -> impl Iterator<Item = &Reference<'a>> {
        self.inputs.iter().chain(self.masks.iter().flatten()).chain(&self.initial_state)
    }

    pub(super) fn references_mut(&mut self) -> impl Iterator<Item = &mut Reference<'a>> {
        self.inputs.iter_mut().chain(self.masks.iter_mut().flatten()).chain(&mut self.initial_state)
    }
}

/// A call that is being read.
struct Call<'c, 'a> {
    layer: &'c Described<'a>,
    /// What the layer's `call` takes, in order.
    arguments: &'static [&'static str],
    /// Which of them have been given.
    given: Vec<&'a str>,
    /// Masks of single inputs, by the names of these.
    masks: Vec<(&'a str, Reference<'a>)>,
    /// Whether it is in the form of Keras 2, which writes `constants`, inputs of a cell besides the sequence, too.
    old: bool,
    node: Node<'a>,
}

impl<'a> Call<'_, 'a> {
    fn read(mut self, call: &Json<'a>) -> Found<Node<'a>> {
        if call.is_object() {
            self.keras3(call)?;
        } else {
            self.old = true;
            self.keras2(call)?;
        }
        if self.node.inputs.is_empty() {
            return Err(call.wrong(CALLS));
        }
        if self.arguments == ARGUMENTS_OF_HEADS {
            self.order_heads(call)?;
        }
        Ok(self.node)
    }

    /// `{"args": [..], "kwargs": {..}}`.
    fn keras3(&mut self, call: &Json<'a>) -> Found<()> {
        call.fields(CALLS, |fields| {
            for (i, argument) in
                fields.need("args", "a list of arguments")?.list("a list of arguments")?.iter().enumerate()
            {
                match self.arguments.get(i) {
                    Some(name) => self.argument(name, argument)?,
                    None => return Err(self.refuse(&format!("number {i}"), argument, SUPPORTED)),
                }
            }
            self.named(&fields.need("kwargs", "arguments by name")?)
        })
    }

    /// `[["name", node, tensor, {..}], ..]`, with the same arguments by name beside each tensor.
    fn keras2(&mut self, call: &Json<'a>) -> Found<()> {
        let mut waiting = vec![call.clone()];
        let mut beside: Option<Json<'a>> = None;
        while let Some(json) = waiting.pop() {
            if json.is_object() {
                let entries = json.dictionary(CALLS)?;
                if entries.is_empty() {
                    return Err(json.wrong(CALLS));
                }
                waiting.extend(entries.into_iter().rev().map(|(_, json)| json));
                continue;
            }
            let list = json.list(CALLS)?;
            match &list[..] {
                [] => return Err(json.wrong(CALLS)),
                [name, node, index, named @ ..] if is_reference(&list) => {
                    self.node.inputs.push(three(name, node, index)?);
                    if self.arguments == ARGUMENTS_OF_HEADS {
                        self.node.arguments.push(Argument { name: "query", says: Says::Tensors });
                    }
                    let named = match named {
                        [] => None,
                        [named] => Some(named.clone()),
                        _ => return Err(json.wrong(CALLS)),
                    };
                    let first = self.node.inputs.len() == 1;
                    let same = match (&beside, &named) {
                        (Some(one), Some(other)) => one.says(other),
                        (None, None) => true,
                        _ => false,
                    };
                    if !first && !same {
                        return Err(json.wrong("the same arguments beside each tensor of a call"));
                    }
                    beside = named;
                }
                _ => waiting.extend(list.into_iter().rev()),
            }
        }
        self.given.extend(self.arguments.first());
        beside.map_or(Ok(()), |named| self.named(&named))
    }

    fn named(&mut self, arguments: &Json<'a>) -> Found<()> {
        arguments.dictionary("arguments by name")?.iter().try_for_each(|(name, argument)| self.argument(name, argument))
    }

    /// One argument of a call.
    fn argument(&mut self, name: &'a str, value: &Json<'a>) -> Found<()> {
        let known =
            self.arguments.contains(&name) || ["mask", "training"].contains(&name) || self.old && name == "constants";
        if !known || self.given.contains(&name) {
            return Err(self.refuse(name, value, SUPPORTED));
        }
        self.given.push(name);
        if self.arguments == ARGUMENTS_OF_HEADS && self.of_heads(name, value)? {
            return Ok(());
        }
        match name {
            "mask" | "initial_state" | "training" | "constants" if value.is_null() => {}
            "constants" => return Err(self.refuse(name, value, SUPPORTED)),
            "mask" => self.mask(value)?,
            "initial_state" => self.node.initial_state = references(value)?,
            "training" if value.flag()? => {
                return Err(self.refuse(
                    name,
                    value,
                    "the model would be in training mode for ever: call it without training",
                ));
            }
            "training" => {}
            _ if CONSTANTS.contains(&name) => {
                value.flag()?;
                self.node.arguments.push(Argument { name, says: Says::Constant(value.clone()) });
            }
            _ => self.node.inputs.extend(references(value)?),
        }
        Ok(())
    }

    /// A mask, or one for each input of a model within.
    fn mask(&mut self, value: &Json<'a>) -> Found<()> {
        let list = if value.is_list() { value.list("a mask")? } else { vec![] };
        if !value.is_list() || is_reference(&list) {
            self.node.masks.push(Some(single(value)?));
            return Ok(());
        }
        let each = self.layer.is_model() || self.arguments == ARGUMENTS_OF_ATTENTION;
        if list.is_empty() || !each {
            return Err(value.wrong("a tensor of a layer"));
        }
        for mask in list {
            self.node.masks.push(mask.given().map(|mask| single(&mask)).transpose()?);
        }
        // Of the key there is none.
        if self.arguments == ARGUMENTS_OF_ATTENTION && self.node.masks.len() == 2 {
            self.node.masks.resize(self.node.inputs.len().max(2), None);
        }
        Ok(())
    }

    fn refuse(&self, name: &str, value: &Json<'_>, reason: &'static str) -> Problem {
        Problem::UnsupportedOption {
            layer: self.layer.path().into(),
            class: self.layer.class().into(),
            option: format!("call argument {name}"),
            value: value.show(),
            reason,
        }
    }
}

/// Arguments that are flags.
const CONSTANTS: [&str; 2] = ["return_attention_scores", "use_causal_mask"];

const SUPPORTED: &str = "calls with inputs, mask and initial_state are supported";
