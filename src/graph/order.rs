//! The order in which Keras does the calls of a functional model.
//!
//! ```text
//! found  = the calls that outputs depend on, each behind what it reads (depth first, from the first output on)
//! depth  = the most calls between it and an output, and no less than that of the same layer's calls met before,
//!          found out from the last found to the first
//! order  = the deepest first; among equals in the order in which their depths were first spoken of
//! ```
//!
//! It matters where a call leaves something behind: a stateful layer that is called twice, a mask put on an input.

use super::{CallSpec, Model, Part};
use crate::float::Float;

impl<T: Float> Model<T> {
    /// Puts the calls in Keras's order; calls that no output depends on come last.
    pub(crate) fn order_calls(&mut self) {
        let depths = self.depths();
        let mut calls: Vec<Option<CallSpec>> = std::mem::take(&mut self.calls).into_iter().map(Some).collect();
        let mut order: Vec<usize> = (0..depths.len()).collect();
        order.sort_by_key(|&at| std::cmp::Reverse(depths[at].1)); // stable
        let ordered: Vec<usize> = order.into_iter().map(|at| depths[at].0).collect();
        self.calls = ordered.into_iter().filter_map(|call| calls[call].take()).collect();
        self.calls.extend(calls.into_iter().flatten());
    }

    /// Puts the layers in the order in which Keras lists those of a functional model: the deepest first, among equals
    /// those first that are found first from the outputs on.
    pub(super) fn order_parts(&mut self) {
        let mut depths = vec![0; self.parts.len()];
        let mut met: Vec<usize> = Vec::new();
        let makers = self.makers();
        let mut waiting: Vec<usize> = self.outputs.iter().rev().copied().collect();
        let mut seen = vec![false; self.tensors.len()];
        while let Some(tensor) = waiting.pop() {
            if std::mem::replace(&mut seen[tensor], true) {
                continue;
            }
            met.push(self.tensors[tensor].part);
            if let Some(call) = makers[tensor] {
                let before: Vec<usize> = reads(&self.calls[call]).collect();
                waiting.extend(before.into_iter().rev());
            }
        }
        for (call, depth) in self.depths() {
            let part = self.calls[call].part;
            depths[part] = depth.max(depths[part]);
            for input in reads(&self.calls[call]).filter(|&tensor| makers[tensor].is_none()) {
                let part = self.tensors[input].part;
                depths[part] = depths[part].max(depth + 1);
            }
        }
        let mut places = vec![usize::MAX; self.parts.len()];
        met.iter().enumerate().rev().for_each(|(place, &part)| places[part] = place);
        let mut order: Vec<usize> = (0..self.parts.len()).collect();
        order.sort_by_key(|&part| (std::cmp::Reverse(depths[part]), places[part]));
        let mut numbers = vec![0; order.len()];
        order.iter().enumerate().for_each(|(new, &old)| numbers[old] = new);
        let mut parts: Vec<Option<Part<T>>> = std::mem::take(&mut self.parts).into_iter().map(Some).collect();
        self.parts = order.iter().filter_map(|&old| parts[old].take()).collect();
        self.calls.iter_mut().for_each(|call| call.part = numbers[call.part]);
        self.tensors.iter_mut().for_each(|tensor| tensor.part = numbers[tensor.part]);
    }

    /// A part that no output depends on.
    pub(super) fn unused_part(&self) -> Option<&Part<T>> {
        let makers = self.makers();
        let mut used = vec![false; self.parts.len()];
        self.outputs.iter().for_each(|&output| used[self.tensors[output].part] = true);
        for (call, _) in self.depths() {
            used[self.calls[call].part] = true;
            let inputs = reads(&self.calls[call]).filter(|&tensor| makers[tensor].is_none());
            inputs.for_each(|input| used[self.tensors[input].part] = true);
        }
        self.parts.iter().zip(used).find(|(_, used)| !used).map(|(part, _)| part)
    }

    /// Of each tensor the call that makes it; none for inputs.
    fn makers(&self) -> Vec<Option<usize>> {
        let mut makers: Vec<Option<usize>> = vec![None; self.tensors.len()];
        for (at, call) in self.calls.iter().enumerate() {
            call.outputs.iter().for_each(|&output| makers[output] = Some(at));
        }
        makers
    }

    /// The calls that outputs depend on, in the order in which their depths were first spoken of, with these.
    fn depths(&self) -> Vec<(usize, usize)> {
        let makers = self.makers();
        let read: Vec<Vec<usize>> =
            self.calls.iter().map(|call| reads(call).filter_map(|tensor| makers[tensor]).collect()).collect();
        let found = self.found(&makers, &read);
        // The place of each call in the list.
        let mut places: Vec<Option<usize>> = vec![None; self.calls.len()];
        let mut depths: Vec<(usize, usize)> = Vec::new();
        let mut of_parts = vec![0; self.parts.len()];
        for &call in found.iter().rev() {
            let place = *places[call].get_or_insert_with(|| {
                depths.push((call, 0));
                depths.len() - 1
            });
            let of_part = &mut of_parts[self.calls[call].part];
            let depth = depths[place].1.max(*of_part);
            (depths[place].1, *of_part) = (depth, depth);
            for &before in &read[call] {
                match places[before] {
                    Some(place) => depths[place].1 = depths[place].1.max(depth + 1),
                    None => {
                        places[before] = Some(depths.len());
                        depths.push((before, depth + 1));
                    }
                }
            }
        }
        depths
    }

    /// Depth first from the outputs: each call behind what it reads.
    fn found(&self, makers: &[Option<usize>], read: &[Vec<usize>]) -> Vec<usize> {
        let mut found = Vec::new();
        let mut seen = vec![false; self.calls.len()];
        for call in self.outputs.iter().filter_map(|&output| makers[output]) {
            // A call, and how much of what it reads has been looked at.
            let mut path = vec![(call, 0)];
            if std::mem::replace(&mut seen[call], true) {
                continue;
            }
            while let Some((call, next)) = path.last_mut() {
                let Some(&before) = read[*call].get(*next) else {
                    found.push(*call);
                    path.pop();
                    continue;
                };
                *next += 1;
                if !std::mem::replace(&mut seen[before], true) {
                    path.push((before, 0));
                }
            }
        }
        found
    }
}

/// In the order of Keras's arguments: inputs, then by name.
fn reads(call: &CallSpec) -> impl Iterator<Item = usize> {
    call.inputs.iter().chain(&call.initial_state).copied().chain(call.masks.iter().flatten().copied())
}
