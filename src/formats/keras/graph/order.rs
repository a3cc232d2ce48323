//! The order in which the calls of a graph can be done: each after those that it reads from.

use std::collections::{BTreeSet, HashMap, VecDeque};

use super::super::description::Described;
use super::node::Node;
use super::reference::Reference;
use super::{Graph, missing};
use crate::float::Float;
use crate::formats::error::{Found, Problem};
use crate::graph::CallSpec;

/// A call: the number of its layer, which of the layer's calls.
type At = (usize, usize);

/// Calls that wait for others.
struct Queue<'l> {
    /// The calls that wait for one, by its layer's name and number.
    waiting: HashMap<(&'l str, usize), Vec<At>>,
    /// For how many calls each still waits.
    counts: HashMap<At, usize>,
    ready: VecDeque<At>,
}

impl<'m, T: Float> Graph<'_, '_, 'm, T> {
    /// Adds the calls in order.
    pub(super) fn add_calls(&mut self, layers: &[Described<'m>], nodes: &[Vec<Node<'m>>]) -> Found<()> {
        let mut queue = self.queue_of_calls(layers, nodes)?;
        let mut done = 0;
        while let Some((part, index)) = queue.ready.pop_front() {
            done += 1;
            let layer = &layers[part];
            let call = self.call(layer, part, &nodes[part][index])?;
            let outputs = self.add_call(index, call)?;
            for (output, tensor) in outputs.into_iter().enumerate() {
                self.known.insert(Reference { layer: layer.name, node: index, index: output }, tensor);
            }
            for after in queue.waiting.remove(&(layer.name, index)).into_iter().flatten() {
                if let Some(count) = queue.counts.get_mut(&after) {
                    *count -= 1;
                    if *count == 0 {
                        queue.ready.push_back(after);
                    }
                }
            }
        }
        if done == queue.counts.len() {
            return Ok(());
        }
        let left = queue.counts.iter().filter(|(_, count)| **count > 0);
        let left: BTreeSet<String> = left.map(|((part, _), _)| layers[*part].name.to_string()).collect();
        Err(Problem::Cycle { layers: left.into_iter().take(16).collect() })
    }

    /// Adds a call; returns the numbers of its outputs.
    pub(super) fn add_call(&mut self, node: usize, call: CallSpec) -> Found<Vec<usize>> {
        let part = call.part;
        self.assembly.add_call(node, call).map_err(|refusal| self.refused(part, refusal))
    }

    fn queue_of_calls(&self, layers: &[Described<'m>], nodes: &[Vec<Node<'m>>]) -> Found<Queue<'m>> {
        let mut queue = Queue { waiting: HashMap::new(), counts: HashMap::new(), ready: VecDeque::new() };
        let there: HashMap<&str, usize> =
            layers.iter().zip(nodes).map(|(layer, nodes)| (layer.name, nodes.len())).collect();
        for (part, nodes) in nodes.iter().enumerate() {
            for (index, node) in nodes.iter().enumerate() {
                let mut needs = Vec::new();
                for reference in node.references().filter(|reference| !self.known.contains_key(reference)) {
                    if there.get(reference.layer).is_none_or(|&count| reference.node >= count) {
                        return Err(missing(layers[part].path(), reference));
                    }
                    needs.push((reference.layer, reference.node));
                }
                needs.sort_unstable();
                needs.dedup();
                if needs.is_empty() {
                    queue.ready.push_back((part, index));
                }
                queue.counts.insert((part, index), needs.len());
                for need in needs {
                    queue.waiting.entry(need).or_default().push((part, index));
                }
            }
        }
        Ok(queue)
    }

    /// A call whose tensors are all known.
    fn call(&self, layer: &Described<'_>, part: usize, node: &Node<'m>) -> Found<CallSpec> {
        let find = |reference: &Reference<'m>| {
            self.known.get(reference).copied().ok_or_else(|| missing(layer.path(), reference))
        };
        let mask = |mask: &Option<Reference<'m>>| mask.as_ref().map(find).transpose();
        Ok(CallSpec {
            part,
            inputs: node.inputs.iter().map(find).collect::<Found<_>>()?,
            masks: node.masks.iter().map(mask).collect::<Found<_>>()?,
            initial_state: node.initial_state.iter().map(find).collect::<Found<_>>()?,
            outputs: vec![],
            drops: vec![],
        })
    }
}
