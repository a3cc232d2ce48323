//! Calls of operations: on tensors, which the model will run, and on constants, which are computed now.

use ndarray::ArrayD;

use super::super::node::Node;
use super::item::{Item, Numbers};
use super::{Importer, Made};
use crate::float::Float;
use crate::formats::error::{Found, Problem};
use crate::graph::assembly::Refusal;
use crate::graph::operation::{Call, Operation};
use crate::graph::shape::known;
use crate::graph::tensor::{Tensor, Value};
use crate::graph::{AnyLayer, CallSpec};
use crate::memory;
use crate::runner::scratch::Scratch;

/// What a call reads besides its inputs.
#[derive(Debug, Default)]
pub(super) struct Beside {
    pub(super) initial_state: Vec<usize>,
    pub(super) mask: Option<usize>,
}

impl<'f, T: Float> Importer<'f, T> {
    /// A name for a layer that no other has.
    pub(super) fn new_name(&mut self, name: &str, suffix: &str) -> String {
        let plain = name.trim_matches('/').replace('/', "_");
        let plain = if plain.is_empty() { "layer".into() } else { plain };
        let plain = if suffix.is_empty() { plain } else { format!("{plain}_{suffix}") };
        // Of each name, how often it was asked for: many nodes may have the same.
        let mut name = plain.clone();
        while self.names.contains_key(&name) {
            let count = self.names.entry(plain.clone()).or_insert(0);
            *count += 1;
            name = format!("{plain}_{}", *count + 1);
        }
        self.names.insert(name.clone(), 0);
        name
    }

    /// Calls a new layer; returns the tensors that it gives. `suffix`: what is said behind the node's name.
    pub(super) fn call(
        &mut self,
        node: &Node<'_>,
        suffix: &str,
        layer: impl Into<AnyLayer<T>>,
        inputs: &[usize],
    ) -> Found<Vec<usize>> {
        self.call_with(node, suffix, layer, inputs, Beside::default())
    }

    pub(super) fn call_with(
        &mut self,
        node: &Node<'_>,
        suffix: &str,
        layer: impl Into<AnyLayer<T>>,
        inputs: &[usize],
        beside: Beside,
    ) -> Found<Vec<usize>> {
        let name = self.new_name(node.name(), suffix);
        let part = self.assembly.add_layer(&name, layer.into()).map_err(|error| node.built(&error))?;
        let masks = beside.mask.map(Some).into_iter().collect();
        let (inputs, initial_state) = (inputs.to_vec(), beside.initial_state);
        let call = CallSpec { part, inputs, masks, initial_state, outputs: vec![], drops: vec![] };
        self.assembly.add_call(0, call).map_err(|refusal| refused(node, refusal))
    }

    /// An operation on one tensor that gives one.
    pub(super) fn one(&mut self, node: &Node<'_>, suffix: &str, op: impl Operation<T>, input: usize) -> Found<usize> {
        self.several(node, suffix, op, &[input])
    }

    /// An operation on several tensors that gives one.
    pub(super) fn several(
        &mut self,
        node: &Node<'_>,
        suffix: &str,
        op: impl Operation<T>,
        inputs: &[usize],
    ) -> Found<usize> {
        let class = op.describe().map_or("Operation", |config| class_of(&config.class));
        let outputs = self.call(node, suffix, AnyLayer::of_operation(class, op), inputs)?;
        outputs.first().copied().ok_or_else(|| node.refuse("it gives nothing"))
    }

    /// Counts elements that are computed of constants.
    pub(super) fn charge(&mut self, count: usize) -> Found<()> {
        let limit = self.budget;
        let what = Problem::Limit { what: "elements", limit: limit as u64, given: count as u64 };
        self.budget = limit.checked_sub(count).ok_or(what)?;
        Ok(())
    }

    /// What an operation makes of constants, at once.
    pub(super) fn compute(&mut self, node: &Node<'_>, op: impl Operation<T>, inputs: &[Value<T>]) -> Found<Value<T>> {
        let shapes: Vec<_> = inputs.iter().map(|input| known(input.shape())).collect();
        let outputs = op.infer(&shapes).map_err(|misfit| refused(node, Refusal::Call(misfit)))?;
        for shape in &outputs {
            let sizes: Vec<usize> = shape.iter().map(|size| size.unwrap_or(usize::MAX)).collect();
            memory::check_shape(&sizes).map_err(|error| node.built(&error))?;
            self.charge(sizes.iter().copied().fold(1_usize, usize::saturating_mul).max(1))?;
        }
        let tensors: Vec<Tensor<T>> = inputs.iter().cloned().map(Tensor::unmasked).collect();
        let call = Call {
            mask: None,
            passes: None,
            initial: vec![],
            states: &mut [],
            scratch: &mut Scratch::new(),
            trace: None,
            keras_2: false,
            record: None,
            training: None,
        };
        let made = op.run(&tensors.iter().collect::<Vec<_>>(), call).map_err(|error| node.built(&error))?;
        made.into_iter().next().map(|tensor| tensor.value).ok_or_else(|| node.refuse("it gives nothing"))
    }

    /// What an operation that only moves numbers makes of constants, or of whole numbers among which are sizes; nothing
    /// if the inputs are others.
    pub(super) fn moved(
        &mut self,
        node: &Node<'_>,
        op: impl Operation<T>,
        inputs: &[&Item<T>],
    ) -> Made<Option<Item<T>>> {
        let known = inputs.iter().map(|item| if let Item::Known(value) = item { Some(value.clone()) } else { None });
        if let Some(values) = known.collect::<Option<Vec<_>>>() {
            return Ok(Some(Item::Known(self.compute(node, op, &values)?)));
        }
        let Some(all) = inputs.iter().map(|item| item.numbers()).collect::<Option<Vec<Numbers>>>() else {
            return Ok(None);
        };
        let (mut table, mut places) = (Vec::new(), Vec::new());
        for numbers in all {
            let before = table.len() as i64;
            table.extend(numbers.table);
            places.push(Value::Int(numbers.places.mapv(|place| place + before).into_shared()));
        }
        let moved = self.compute(node, op, &places)?;
        let places = moved.integers().into_owned();
        // Those alone that are left: else a table could double at each node.
        let left = places.iter().filter_map(|&place| table.get(usize::try_from(place).ok()?).cloned()).collect();
        let order = (0..places.len() as i64).collect();
        let places = ArrayD::from_shape_vec(places.shape(), order).map_err(|_| node.refuse("it gives nothing"))?;
        Ok(Some(Numbers { places, table: left }.into_item()))
    }
}

/// What an operation calls itself, as a layer's class.
fn class_of(class: &str) -> &'static str {
    const CLASSES: [&str; 16] = [
        "Elementwise",
        "OfTwo",
        "Where",
        "Reduce",
        "GetItem",
        "Transpose",
        "Squeeze",
        "Flip",
        "Gather",
        "Cast",
        "Contract",
        "FullLike",
        "Permute",
        "Reshape",
        "SequenceMask",
        "Concatenate",
    ];
    CLASSES.iter().find(|own| **own == class).copied().unwrap_or("Operation")
}

/// A refusal as the node's.
pub(super) fn refused(node: &Node<'_>, refusal: Refusal) -> Problem {
    match refusal {
        Refusal::Call(misfit) => {
            node.refuse(format!("it reads {}, but is called on {}", misfit.expected, misfit.found))
        }
        Refusal::TooMany { what, given, most } => Problem::Limit { what, limit: most as u64, given: given as u64 },
    }
}
