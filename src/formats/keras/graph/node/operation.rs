//! Calls of operations: tensors, and among them constants, indices, axes.

use super::super::super::classes::{Argument, Class, Says, legacy_arguments, same};
use super::super::super::description::Described;
use super::super::super::json::Json;
use super::super::reference::{Reference, has_tensor, is_reference, references, three};
use super::{CALLS, Node};
use crate::formats::error::{Found, Problem};

/// All calls of an operation, which are the same but for their tensors.
pub(super) fn calls<'a>(layer: &Described<'a>, calls: &Json<'a>) -> Found<Vec<Node<'a>>> {
    let order = match legacy_arguments(layer) {
        Some(order) => order?,
        None => Class::<f32>::of(layer)?.arguments,
    };
    let mut nodes: Vec<Node<'a>> = Vec::new();
    for call in calls.list("a list of calls")? {
        let read = Call { layer, order, said: vec![] };
        let node = if call.is_object() { read.keras3(&call) } else { read.keras2(&call) }?;
        if nodes.first().is_some_and(|first| !same(&first.arguments, &node.arguments)) {
            return Err(call.unsupported("all calls of an operation must say the same but for their tensors"));
        }
        nodes.push(node);
    }
    Ok(nodes)
}

/// A call that is being read.
struct Call<'c, 'a> {
    layer: &'c Described<'a>,
    /// The arguments that may be tensors, in order.
    order: &'static [&'static str],
    said: Vec<(&'a str, Said<'a>)>,
}

/// What an argument says.
enum Said<'a> {
    Tensors(Vec<Reference<'a>>),
    Constant(Json<'a>),
}

/// What Keras 2 writes in the place of a layer's name before a constant.
pub(super) const CONSTANT: &str = "_CONSTANT_VALUE";

impl<'a> Call<'_, 'a> {
    fn keras3(mut self, call: &Json<'a>) -> Found<Node<'a>> {
        call.fields(CALLS, |fields| {
            let list = fields.need("args", "a list of arguments")?.list("a list of arguments")?;
            for (at, json) in list.iter().enumerate() {
                let name = self.order.get(at).ok_or_else(|| self.unknown(&format!("number {at}"), json))?;
                let said =
                    if has_tensor(json)? { Said::Tensors(references(json)?) } else { Said::Constant(json.clone()) };
                self.say(name, said, json)?;
            }
            for (name, json) in fields.need("kwargs", "arguments by name")?.dictionary("arguments by name")? {
                let said =
                    if has_tensor(&json)? { Said::Tensors(references(&json)?) } else { Said::Constant(json.clone()) };
                self.say(name, said, &json)?;
            }
            Ok(())
        })?;
        self.finish(call)
    }

    /// `["name", node, tensor, {..}]`, or a list of them, with the other arguments by name beside each.
    fn keras2(mut self, call: &Json<'a>) -> Found<Node<'a>> {
        let list = call.list(CALLS)?;
        let each = if is_reference(&list) { vec![call.clone()] } else { flat(call)? };
        let first = *self.order.first().ok_or_else(|| call.wrong(CALLS))?;
        let (mut tensors, mut beside): (Vec<Reference<'a>>, Option<Json<'a>>) = (vec![], None);
        for one in &each {
            let parts = one.list(CALLS)?;
            let [name, node, index, named @ ..] = &parts[..] else { return Err(one.wrong(CALLS)) };
            match (name.text(CALLS)?, named) {
                (_, [_, _, ..]) => return Err(one.wrong(CALLS)),
                (CONSTANT, _) if each.len() > 1 => {
                    return Err(self.unknown(first, one));
                }
                (CONSTANT, _) => self.say(first, Said::Constant(index.clone()), one)?,
                _ => tensors.push(three(name, node, index)?),
            }
            if let Some(named) = named.first() {
                if beside.as_ref().is_some_and(|one| !one.says(named)) {
                    return Err(one.wrong("the same arguments beside each tensor of a call"));
                }
                beside = Some(named.clone());
            }
        }
        if !tensors.is_empty() {
            self.say(first, Said::Tensors(tensors), call)?;
        }
        for (name, json) in beside.map_or(Ok(vec![]), |named| named.dictionary("arguments by name"))? {
            let said = if self.order.contains(&name) && is_legacy_tensor(&json) {
                let parts = json.list(CALLS)?;
                Said::Tensors(vec![three(&parts[0], &parts[1], &parts[2])?])
            } else {
                Said::Constant(json.clone())
            };
            self.say(name, said, &json)?;
        }
        self.finish(call)
    }

    fn say(&mut self, name: &'a str, said: Said<'a>, json: &Json<'a>) -> Found<()> {
        let known = matches!(said, Said::Constant(_)) || self.order.contains(&name);
        if !known || self.said.iter().any(|(own, _)| *own == name) {
            return Err(self.unknown(name, json));
        }
        self.said.push((name, said));
        Ok(())
    }

    /// The inputs in the order of the arguments.
    fn finish(self, call: &Json<'a>) -> Found<Node<'a>> {
        let mut node = Node::default();
        let place = |name: &str| self.order.iter().position(|own| *own == name).unwrap_or(usize::MAX);
        let mut said = self.said;
        said.sort_by_key(|(name, _)| place(name));
        for (name, said) in said {
            let says = match said {
                Said::Tensors(tensors) => {
                    node.inputs.extend(tensors);
                    Says::Tensors
                }
                Said::Constant(json) => Says::Constant(json),
            };
            node.arguments.push(Argument { name, says });
        }
        if node.inputs.is_empty() { Err(call.wrong(CALLS)) } else { Ok(node) }
    }

    fn unknown(&self, name: &str, json: &Json<'_>) -> Problem {
        Problem::UnsupportedOption {
            layer: self.layer.path().into(),
            class: self.layer.class().into(),
            option: format!("call argument {name}"),
            value: json.show(),
            reason: "operations are read with tensors in their first arguments, and constants",
        }
    }
}

/// The references in a list, or in lists of lists.
pub(super) fn flat<'a>(json: &Json<'a>) -> Found<Vec<Json<'a>>> {
    let mut all = Vec::new();
    for item in json.list(CALLS)? {
        let list = item.list(CALLS)?;
        if is_reference(&list) { all.push(item) } else { all.extend(flat(&item)?) }
    }
    Ok(all)
}

/// `["name", 0, 0]`.
pub(super) fn is_legacy_tensor(json: &Json<'_>) -> bool {
    let list = if json.is_list() { json.list(CALLS).unwrap_or_default() } else { vec![] };
    matches!(&list[..], [name, node, index] if name.is_text() && node.is_number() && index.is_number())
}
