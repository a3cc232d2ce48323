//! The operators that are known, by what they do.

mod broadcast;
mod constants;
mod elementwise;
mod moving;
mod normalization;
mod products;
pub(super) mod quantized;
mod recurrent;
mod reductions;
mod regroup;
mod shapes;
mod tables;
mod windows;

use super::item::Item;
use super::{Importer, Made};
use crate::float::Float;
use crate::formats::error::Problem;
use crate::formats::onnx::node::Node;
use crate::formats::onnx::recurrent::Cell;

/// The outputs of a node; nothing for one that isn't supported.
pub(super) type Outputs<T> = Vec<Option<Item<T>>>;

/// Operators that have a graph within.
pub(super) const WITH_GRAPHS: [&str; 3] = ["Scan", "Loop", "If"];

/// The refusal of one of them.
pub(super) fn within(node: &Node<'_>) -> Problem {
    let reason = "graphs within a graph aren't supported: export the model so that its recurrent layers are RNN, LSTM or GRU \
                  nodes (tf2onnx makes loops of GRU and SimpleRNN: load Keras's own file)";
    node.refuse(reason)
}

/// Adds what a node computes.
pub(super) fn add<'f, T: Float>(importer: &mut Importer<'f, T>, node: &Node<'f>) -> Made<Outputs<T>> {
    if quantized::is_one(node) {
        return importer.quantized(node);
    }
    if let Some(cell) = Cell::of(node.operator()) {
        return importer.recurrent(node, cell);
    }
    let one = |item: Made<Item<T>>| item.map(|item| vec![Some(item)]);
    if node.operator() == "Mul"
        && let Some(item) = importer.scaled_part(node)?
    {
        return Ok(vec![Some(item)]);
    }
    match node.operator() {
        "Constant" => one(importer.constant(node)),
        "ConstantOfShape" => one(importer.constant_of_shape(node)),
        "Range" => one(importer.range(node)),
        "Shape" => one(importer.shape_of(node)),
        "Size" => one(importer.size_of_all(node)),
        "Identity" => one(importer.need(node, 0).map_err(Into::into)),
        "Dropout" => importer.dropout(node),
        "Cast" => one(importer.cast(node)),
        "Transpose" => one(importer.transpose(node)),
        "Squeeze" => one(importer.squeeze(node)),
        "Unsqueeze" => one(importer.unsqueeze(node)),
        "Reshape" => one(importer.reshape(node)),
        "Flatten" => one(importer.flatten(node)),
        "Expand" => one(importer.expand(node)),
        "Tile" => one(importer.tile(node)),
        "ReverseSequence" => one(importer.reverse_sequence(node)),
        "Slice" => one(importer.slice(node)),
        "Split" => importer.split(node),
        "Gather" => one(importer.gather(node)),
        "Concat" => one(importer.concat(node)),
        "Pad" => one(importer.pad(node)),
        "MatMul" => one(importer.matmul(node)),
        "Gemm" => one(importer.gemm(node)),
        "Conv" => one(importer.conv(node)),
        "MaxPool" | "AveragePool" => one(importer.pool(node)),
        "GlobalAveragePool" | "GlobalMaxPool" => one(importer.global_pool(node)),
        "BatchNormalization" => one(importer.batch_normalization(node)),
        "LayerNormalization" => one(importer.layer_normalization(node)),
        "Softmax" | "LogSoftmax" => one(importer.softmax(node)),
        "Where" => one(importer.choose(node)),
        operator if WITH_GRAPHS.contains(&operator) => Err(within(node).into()),
        operator => {
            if let Some(how) = reductions::reduction(operator) {
                return one(importer.reduce(node, how));
            }
            if let Some(how) = elementwise::of_two(operator) {
                return one(importer.of_several(node, how));
            }
            if elementwise::is_unary(operator) {
                return one(importer.unary(node));
            }
            Err(node.refuse(quantized::way_out(operator)).into())
        }
    }
}
