//! One call more: whether the layer can read what it is called on, and what comes out.

use super::Graph;
use crate::float::Float;
use crate::formats::error::{Found, Problem, within};
use crate::model::CallSpec;
use crate::model::TensorSpec;
use crate::model::op::Op;
use crate::model::shape::{Shape, display};

impl<T: Float> Graph<'_, '_, T> {
    /// Adds a call of a layer; returns the numbers of its outputs.
    pub(super) fn add_call(&mut self, part: usize, node: usize, mut call: CallSpec) -> Found<Vec<usize>> {
        let Some(op) = self.model.parts.get(part).and_then(|part| part.op.as_ref()) else { return Ok(vec![]) };
        let cost = match op {
            Op::Model(inner) => inner.cost,
            _ => 1,
        };
        let cost = self.model.cost.saturating_add(cost);
        within("calls", cost, self.reader.options.limits.calls)?;
        self.model.cost = cost;
        // Keras 2 has the parts of an initial state among the inputs.
        if matches!(op, Op::Recurrent { .. }) && call.inputs.len() > 1 {
            call.initial_state.splice(0..0, call.inputs.drain(1..));
        }
        let shapes: Vec<Shape> = call.inputs.iter().map(|&input| self.model.tensors[input].shape.clone()).collect();
        let path = || self.path_of(&self.model.parts[part].name);
        let outputs = op.infer(&shapes).map_err(|misfit| Problem::Call {
            layer: path(),
            expected: misfit.expected,
            found: misfit.found,
        })?;
        if !call.masks.is_empty() && call.masks.len() != call.inputs.len() {
            let expected = format!("a mask for each of {} inputs", call.inputs.len());
            return Err(Problem::Call { layer: path(), expected, found: format!("{} masks", call.masks.len()) });
        }
        self.check_state(op, &call, &path)?;
        for (index, shape) in outputs.into_iter().enumerate() {
            let tensor = self.add_tensor(TensorSpec { part, node, index, shape })?;
            call.outputs.push(tensor);
        }
        let outputs = call.outputs.clone();
        self.model.calls.push(call);
        Ok(outputs)
    }

    /// That an initial state is the layer's.
    fn check_state(&self, op: &Op<T>, call: &CallSpec, path: &dyn Fn() -> String) -> Found<()> {
        if call.initial_state.is_empty() {
            return Ok(());
        }
        let Op::Recurrent { layer, .. } = op else {
            let (expected, found) = ("no initial state".into(), "one".into());
            return Err(Problem::Call { layer: path(), expected, found });
        };
        let layout = layer.state_layout();
        let widths: Vec<usize> = layout.names().filter_map(|name| layout.columns(name)).map(|c| c.len()).collect();
        let given: Vec<&Shape> = call.initial_state.iter().map(|&tensor| &self.model.tensors[tensor].shape).collect();
        let fits = |(&width, shape): (&usize, &&Shape)| matches!(shape[..], [_, last] if last.is_none_or(|last| last == width));
        if widths.len() == given.len() && widths.iter().zip(&given).all(fits) {
            return Ok(());
        }
        let found: Vec<String> = given.iter().map(|shape| display(shape)).collect();
        let expected = format!("an initial state of {layout}");
        Err(Problem::Call { layer: path(), expected, found: found.join(", ") })
    }
}
