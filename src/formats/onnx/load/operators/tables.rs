//! Rows of a table of constants: embeddings.

use std::rc::Rc;

use ndarray::{ArcArray, ArrayD, IxDyn};

use crate::float::Float;
use crate::formats::onnx::bytes::Bytes;
use crate::formats::onnx::load::item::{Held, Item, Kind};
use crate::formats::onnx::load::size::Size;
use crate::formats::onnx::load::{Importer, Made};
use crate::formats::onnx::messages::NodeProto;
use crate::formats::onnx::node::Node;
use crate::graph::AnyLayer;
use crate::graph::tensor::{Value, in_row_order};
use crate::initializers::Initializer;
use crate::layers::embedding::Embedding;
use crate::layers::quantized_embedding::QuantizedEmbedding;

impl<'f, T: Float> Importer<'f, T> {
    /// Rows of a table of constants, by ids.
    pub(super) fn embedding(
        &mut self,
        node: &Node<'f>,
        table: &Value<T>,
        bytes: Option<&Bytes>,
        ids: &Held,
        axis: usize,
    ) -> Made<Item<T>> {
        let (Value::Float(table), [rows, width], 0) = (table, table.shape(), axis) else {
            return Err(node.refuse("it takes places of constants that aren't (rows, features)").into());
        };
        let (rows, width) = (*rows, *width);
        if ids.kind != Kind::Int {
            return Err(node.refuse("its indices must be whole numbers").into());
        }
        let builder = Embedding::builder(rows, width).embeddings_initializer(Initializer::Zeros);
        let mut layer = builder.build().map_err(|error| node.built(&error))?;
        let bytes = bytes.filter(|_| size_of::<T>() == size_of::<f32>());
        let layer: AnyLayer<T> = match bytes.and_then(Bytes::by_row) {
            Some((weights, scales)) => {
                let table = QuantizedEmbedding::of_rows([rows, width], weights, scales);
                AnyLayer::of_table(table).map_err(|error| node.built(&error))?
            }
            None => {
                let table = table.as_standard_layout();
                layer.set_weights(&[("embeddings", table.view())]).map_err(|error| node.built(&error))?;
                layer.into()
            }
        };
        let tensor = self.call(node, "", layer, &[ids.tensor])?[0];
        let mut held = ids.clone();
        held.axes.push(vec![held.stored.len()]);
        held.stored.push(Size::known(width).into());
        Ok(Item::Held(Held { tensor, kind: Kind::Float, ..held }))
    }

    /// Rows of a table of whole numbers that are dequantized later, as quantize_dynamic leaves a Gather: the table is
    /// dequantized instead.
    pub(super) fn quantized_table(
        &mut self,
        node: &Node<'f>,
        numbers: &ArcArray<i64, IxDyn>,
        ids: &Held,
    ) -> Made<Item<T>> {
        let refuse = || {
            let reason =
                "rows of whole numbers are supported where a DequantizeLinear of one scale makes floats of them";
            node.refuse(reason)
        };
        let reader = self.dequantizes(node).ok_or_else(refuse)?;
        let of = Node::new(reader, node.opset);
        let numbers = numbers.to_owned();
        let made = self.scaled(&of, &numbers, [1, 2], None)?;
        if !made.of_one_scale {
            return Err(refuse().into());
        }
        if let Some(output) = reader.outputs.first() {
            self.dequantized.insert(output);
        }
        let table = Value::Float(made.what.floats.into_shared());
        self.embedding(node, &table, made.what.bytes.as_ref(), ids, 0)
    }

    /// The DequantizeLinear behind a node, with what only moves numbers in between.
    fn dequantizes(&self, node: &Node<'f>) -> Option<&'f NodeProto> {
        let mut name = node.output(0)?;
        // As many as there are nodes at most.
        for _ in 0..self.file.model.graph.nodes.len() {
            let reader = self.only_reader(name)?;
            if reader.inputs.first().is_none_or(|input| input != name) {
                return None;
            }
            match &reader.operator[..] {
                "DequantizeLinear" => return Some(reader),
                "Transpose" | "Reshape" | "Squeeze" | "Unsqueeze" | "Identity" | "Flatten" => {
                    name = reader.outputs.first()?;
                }
                _ => return None,
            }
        }
        None
    }

    /// The bytes of an input, if it is a constant that was dequantized.
    pub(super) fn bytes_of(&self, node: &Node<'f>, place: usize) -> Option<Rc<Bytes>> {
        self.bytes.get(node.input(place)?).cloned()
    }

    /// The numbers of a constant; nothing if the input is left out.
    pub(super) fn floats_if(&self, node: &Node<'f>, place: usize, name: &str) -> Made<Option<ArrayD<T>>> {
        match node.input(place) {
            Some(_) => Ok(Some(in_row_order(&self.known(node, place, name)?.floats()))),
            None => Ok(None),
        }
    }
}
