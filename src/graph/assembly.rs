//! How a model is put together, call by call: for readers of files and for builders alike.

use std::sync::Arc;

use super::operation::{Op, Role};
use super::shape::{Misfit, Shape, display, fit, product};
use super::{CallSpec, InputKind, InputSpec, Model, Part, TensorSpec};
use crate::float::Float;
use crate::stamp::Stamp;
use crate::state::StateLayout;

/// A model that is being put together.
#[derive(Debug)]
pub(crate) struct Assembly<T: Float> {
    pub(crate) model: Model<T>,
    /// The tensor of each input.
    inputs: Vec<usize>,
    limits: Most,
}

/// How large a model may become.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Most {
    /// Calls, those within models that are called several times counted each time.
    pub(crate) calls: usize,
    /// Elements of one tensor: for one row of a batch while the model is made, in all when it runs.
    pub(crate) elements: usize,
}

impl Default for Most {
    fn default() -> Self {
        Most { calls: usize::MAX, elements: 1 << 30 }
    }
}

/// Why a part of a model was refused.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// A layer can't read what it is called on.
    Call(Misfit),
    /// There are too many `"calls"` or `"elements"`.
    #[cfg_attr(
        not(any(feature = "file", feature = "keras", feature = "onnx")),
        expect(dead_code, reason = "readers of files say it")
    )]
    TooMany { what: &'static str, given: usize, most: usize },
}

impl From<Misfit> for Refusal {
    fn from(misfit: Misfit) -> Self {
        Refusal::Call(misfit)
    }
}

impl<T: Float> Assembly<T> {
    pub(crate) fn new(name: &str, sequential: bool, keras_2: bool, limits: Most) -> Self {
        let model = Model {
            name: name.into(),
            sequential,
            inputs: vec![],
            parts: vec![],
            calls: vec![],
            outputs: vec![],
            output_names: vec![],
            outside: vec![],
            tensors: vec![],
            stateful: vec![],
            batch: None,
            cost: 0,
            elements: limits.elements,
            keras_2,
            stamp: Stamp::new(),
            kept: None,
        };
        Assembly { model, inputs: vec![], limits }
    }

    /// Adds an input layer; the input itself is to follow.
    pub(crate) fn add_input_layer(&mut self, name: &str) -> usize {
        let (name, class) = (name.into(), "InputLayer".into());
        self.add_part(Part { name, class, op: None, trainable: 0, non_trainable: 0, kept: None })
    }

    /// Adds a layer.
    pub(crate) fn add_part(&mut self, part: Part<T>) -> usize {
        self.model.parts.push(part);
        self.model.parts.len() - 1
    }

    /// Makes places among the model's states for those of a layer, or of a model's stateful layers.
    pub(crate) fn keep_states(&mut self, op: &mut Op<T>, states: Vec<Arc<StateLayout>>) {
        match op.model_mut() {
            Some(_) => op.move_slots(self.model.stateful.len()),
            None if states.is_empty() => {}
            None => op.keep_state_at(self.model.stateful.len()),
        }
        self.model.stateful.extend(states);
    }

    /// Adds an input, which is what that part gives.
    pub(crate) fn add_input(
        &mut self,
        name: String,
        shape: Shape,
        kind: InputKind,
        part: usize,
    ) -> Result<usize, Refusal> {
        self.model.batch = self.model.batch.or(shape.first().copied().flatten());
        let tensor = self.add_tensor(TensorSpec { part, node: 0, index: 0, shape: shape.clone() })?;
        self.model.inputs.push(InputSpec { name, shape, kind, outside: None });
        self.inputs.push(tensor);
        Ok(tensor)
    }

    /// Adds the call number `node` of a layer; returns the numbers of its outputs.
    pub(crate) fn add_call(&mut self, node: usize, mut call: CallSpec) -> Result<Vec<usize>, Refusal> {
        let part = call.part;
        let Some(op) = self.model.parts[part].op.as_ref() else {
            return Err(Misfit { expected: "nothing: it is an input".into(), found: "a call".into() }.into());
        };
        let cost = match op.role() {
            Role::Model(inner) => inner.cost,
            _ => 1,
        };
        let cost = self.model.cost.saturating_add(cost);
        self.within("calls", cost, self.limits.calls)?;
        // Keras 2 has the parts of an initial state among the inputs.
        if matches!(op.role(), Role::Recurrent { .. } | Role::ConvLstm(_)) && call.inputs.len() > 1 {
            call.initial_state.splice(0..0, call.inputs.drain(1..));
        }
        let shapes: Vec<Shape> = call.inputs.iter().map(|&input| self.model.tensors[input].shape.clone()).collect();
        let outputs = op.infer(&shapes)?;
        if !call.masks.is_empty() && call.masks.len() != call.inputs.len() {
            let expected = format!("a mask for each of {} inputs", call.inputs.len());
            return Err(Misfit { expected, found: format!("{} masks", call.masks.len()) }.into());
        }
        self.check_state(op, &call)?;
        self.model.cost = cost;
        for (index, shape) in outputs.into_iter().enumerate() {
            let tensor = self.add_tensor(TensorSpec { part, node, index, shape })?;
            call.outputs.push(tensor);
        }
        let outputs = call.outputs.clone();
        self.model.calls.push(call);
        Ok(outputs)
    }

    /// Checks that an initial state is the layer's.
    fn check_state(&self, op: &Op<T>, call: &CallSpec) -> Result<(), Misfit> {
        if call.initial_state.is_empty() {
            return Ok(());
        }
        let given: Vec<&Shape> = call.initial_state.iter().map(|&tensor| &self.model.tensors[tensor].shape).collect();
        let layer = match op.role() {
            Role::Recurrent { layer, .. } => layer,
            Role::ConvLstm(layer) => {
                let x = call.inputs.first().map(|&input| &self.model.tensors[input].shape);
                return check_pictures(x.and_then(|x| layer.state_shape(x)), &given);
            }
            _ => return Err(Misfit { expected: "no initial state".into(), found: "one".into() }),
        };
        let layout = layer.state_layout();
        let fits =
            |(width, shape): (usize, &&Shape)| matches!(shape[..], [_, last] if last.is_none_or(|last| last == width));
        if layout.widths().count() == given.len() && layout.widths().zip(&given).all(fits) {
            return Ok(());
        }
        let found: Vec<String> = given.iter().map(|shape| display(shape)).collect();
        Err(Misfit { expected: format!("an initial state of {layout}"), found: found.join(", ") })
    }

    fn add_tensor(&mut self, tensor: TensorSpec) -> Result<usize, Refusal> {
        let row = tensor.shape.get(1..).unwrap_or(&[]);
        if let Some(elements) = product(row) {
            self.within("elements", elements, self.limits.elements)?;
        } else if row.iter().all(Option::is_some) {
            self.within("elements", usize::MAX, self.limits.elements)?;
        }
        for &size in row.iter().flatten() {
            self.within("elements", size, self.limits.elements)?;
        }
        self.model.tensors.push(tensor);
        Ok(self.model.tensors.len() - 1)
    }

    fn within(&self, what: &'static str, given: usize, most: usize) -> Result<(), Refusal> {
        if given > most { Err(Refusal::TooMany { what, given, most }) } else { Ok(()) }
    }

    /// The model. `names`: those of the outputs, if they aren't named after the layers that they come from.
    pub(crate) fn finish(mut self, outputs: Vec<usize>, names: Vec<String>) -> Model<T> {
        let layer = |&output: &usize| {
            let part = self.model.tensors[output].part;
            self.model.parts[part].name.clone()
        };
        self.model.output_names = if names.is_empty() { outputs.iter().map(layer).collect() } else { names };
        self.model.outputs = outputs;
        self.put_inputs_first();
        self.model.order_calls();
        self.model.find_drops();
        self.model
    }
}

/// Checks that an initial state is two pictures of this shape.
fn check_pictures(shape: Option<Shape>, given: &[&Shape]) -> Result<(), Misfit> {
    let shape = shape.unwrap_or_default();
    let fits = |given: &&Shape| given.len() == shape.len() && given.iter().zip(&shape).all(|(&a, &b)| fit(a, b));
    if given.len() == 2 && given.iter().all(fits) {
        return Ok(());
    }
    let found: Vec<String> = given.iter().map(|shape| display(shape)).collect();
    Err(Misfit { expected: format!("an initial state of h and c {}", display(&shape)), found: found.join(", ") })
}

impl<T: Float> Assembly<T> {
    /// Numbers the tensors so that the first ones are the inputs.
    fn put_inputs_first(&mut self) {
        let model = &mut self.model;
        let mut is_input = vec![false; model.tensors.len()];
        self.inputs.iter().for_each(|&input| is_input[input] = true);
        let others = (0..model.tensors.len()).filter(|&tensor| !is_input[tensor]);
        let order: Vec<usize> = self.inputs.iter().copied().chain(others).collect();
        let mut numbers = vec![0; order.len()];
        order.iter().enumerate().for_each(|(new, &old)| numbers[old] = new);
        let mut tensors: Vec<Option<TensorSpec>> = std::mem::take(&mut model.tensors).into_iter().map(Some).collect();
        model.tensors = order.iter().filter_map(|&old| tensors[old].take()).collect();
        for call in &mut model.calls {
            let CallSpec { inputs, masks, initial_state, outputs, .. } = call;
            let all = inputs.iter_mut().chain(masks.iter_mut().flatten()).chain(initial_state).chain(outputs);
            all.for_each(|tensor| *tensor = numbers[*tensor]);
        }
        model.outputs.iter_mut().for_each(|tensor| *tensor = numbers[*tensor]);
    }
}

impl<T: Float> Model<T> {
    /// Finds out what each call may forget: tensors that no later call reads and that aren't outputs.
    pub(super) fn find_drops(&mut self) {
        let mut seen = vec![false; self.tensors.len()];
        self.outputs.iter().for_each(|&output| seen[output] = true);
        for call in self.calls.iter_mut().rev() {
            let masks = call.masks.iter().flatten();
            let known = call.inputs.iter().chain(masks).chain(&call.initial_state).chain(&call.outputs).copied();
            call.drops = known.filter(|&tensor| !std::mem::replace(&mut seen[tensor], true)).collect();
        }
    }

    /// The numbers of elements of all weights that are trained and that aren't.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let sum = |count: fn(&Part<T>) -> usize| self.parts.iter().map(count).sum();
        (sum(|part| part.trainable), sum(|part| part.non_trainable))
    }
}
