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

use std::collections::HashMap;

use super::{CallSpec, Model};
use crate::float::Float;

impl<T: Float> Model<T> {
    /// Puts the calls in Keras's order; calls that no output depends on come last.
    #[cfg(feature = "keras")]
    pub(crate) fn order_calls(&mut self) {
        let depths = self.depths();
        let mut calls: Vec<Option<CallSpec>> = std::mem::take(&mut self.calls).into_iter().map(Some).collect();
        let mut order: Vec<usize> = (0..depths.len()).collect();
        order.sort_by_key(|&at| std::cmp::Reverse(depths[at].1)); // stable
        let ordered: Vec<usize> = order.into_iter().map(|at| depths[at].0).collect();
        self.calls = ordered.into_iter().filter_map(|call| calls[call].take()).collect();
        self.calls.extend(calls.into_iter().flatten());
    }

    /// The calls that outputs depend on, in the order in which their depths were first spoken of, with these.
    fn depths(&self) -> Vec<(usize, usize)> {
        let mut makers: Vec<Option<usize>> = vec![None; self.tensors.len()];
        for (at, call) in self.calls.iter().enumerate() {
            call.outputs.iter().for_each(|&output| makers[output] = Some(at));
        }
        let read: Vec<Vec<usize>> =
            self.calls.iter().map(|call| reads(call).filter_map(|tensor| makers[tensor]).collect()).collect();
        let found = self.found(&makers, &read);
        // The place of each call in the list.
        let mut places: HashMap<usize, usize> = HashMap::new();
        let mut depths: Vec<(usize, usize)> = Vec::new();
        let mut of_parts = vec![0; self.parts.len()];
        for &call in found.iter().rev() {
            let place = *places.entry(call).or_insert_with(|| {
                depths.push((call, 0));
                depths.len() - 1
            });
            let of_part = &mut of_parts[self.calls[call].part];
            let depth = depths[place].1.max(*of_part);
            (depths[place].1, *of_part) = (depth, depth);
            for &before in &read[call] {
                match places.get(&before) {
                    Some(&place) => depths[place].1 = depths[place].1.max(depth + 1),
                    None => {
                        places.insert(before, depths.len());
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
