//! What can be wrong with a file.

use std::borrow::Cow;

use super::difference::Difference;
use super::mismatch::Mismatch;
use crate::error::Error;
use crate::error::words::{meant, names};

/// What can be wrong with a file: a variant for each kind of refusal.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The file can't be read at all.
    #[error("can't be read: {reason}")]
    Io {
        /// What the operating system says.
        reason: String,
    },

    /// A file of another format.
    #[error("not a model file: {found}; {hint}")]
    Format {
        /// What it looks like.
        found: &'static str,
        /// What to do.
        hint: &'static str,
    },

    /// More of something than [`Limits`](super::Limits) allow.
    #[error("{what}: {given} exceeds the limit of {limit}; raise it in Limits if you trust the file")]
    Limit {
        /// The field of [`Limits`](super::Limits).
        what: &'static str,
        /// The limit.
        limit: u64,
        /// What the file holds or asks for.
        given: u64,
    },

    /// Other bytes than the caller expects.
    #[error("its SHA-256 is {given}, expected {expected}")]
    Digest {
        /// The digest that was asked for.
        expected: String,
        /// The file's.
        given: String,
    },

    /// A container that isn't sound.
    #[error("the zip container is damaged: {reason}")]
    Zip {
        /// What is wrong.
        reason: String,
    },

    /// A container without something that a `.keras` file must hold.
    #[error("the zip container has no {member}")]
    MissingMember {
        /// The member's name.
        member: &'static str,
    },

    /// A member that is packed by another method than deflate, or encrypted.
    #[error(
        "{member} is encrypted in the zip container, or packed by another method than deflate; zip the members again"
    )]
    CompressedMember {
        /// The member's name.
        member: String,
    },

    /// A member whose bytes are not those that were written.
    #[error("{member} is damaged: its CRC-32 is {given:08x}, expected {expected:08x}")]
    Checksum {
        /// The member's name.
        member: String,
        /// The checksum in the container.
        expected: u32,
        /// The checksum of the bytes.
        given: u32,
    },

    /// An HDF5 file that isn't sound.
    #[error("the HDF5 data is damaged at byte {at}: {reason}")]
    Hdf5 {
        /// Where, from the start of the HDF5 data.
        at: u64,
        /// What is wrong.
        reason: &'static str,
    },

    /// An HDF5 file that makes use of something that Keras doesn't.
    #[error("{object}: {feature} isn't read in HDF5; Keras doesn't write it: save the file again from Keras")]
    Hdf5Feature {
        /// The group or dataset.
        object: String,
        /// The feature.
        feature: &'static str,
    },

    /// A safetensors file that isn't sound.
    #[error("the safetensors file is damaged: {reason}")]
    Safetensors {
        /// What is wrong.
        reason: String,
    },

    /// A file of ONNX's that isn't sound.
    #[error("the protobuf data is damaged at byte {at}: {reason}")]
    Protobuf {
        /// Where, from the start of the file; 0 if that isn't known.
        at: u64,
        /// What is wrong.
        reason: &'static str,
    },

    /// A tensor of ONNX's that isn't sound.
    #[error("tensor {tensor:?}: {reason}")]
    OnnxTensor {
        /// Its name.
        tensor: String,
        /// What is wrong.
        reason: &'static str,
    },

    /// A tensor whose numbers stand in another file.
    #[error(
        "the numbers of tensor {tensor:?} are in another file, {file:?}: \
         onnx::File::open(path)?.with_external_data(folder)?.model() reads it, too; or save the model again with the \
         tensors inside (torch.onnx.export with external_data=False)"
    )]
    ExternalData {
        /// Its name.
        tensor: String,
        /// The file that it names.
        file: String,
    },

    /// A file of a tensor's numbers that isn't read, as it isn't an ordinary file below the folder.
    #[error("the numbers of tensor {tensor:?} are in the file {file:?}, which isn't read: {reason}")]
    ExternalPath {
        /// The tensor's name.
        tensor: String,
        /// The file that it names.
        file: String,
        /// What is wrong with it.
        reason: String,
    },

    /// A node of ONNX's that isn't understood, or that can't be what it says.
    #[error("node {node:?} ({operator}, opset {opset}): {reason}")]
    OnnxNode {
        /// Its name, or that of its first output.
        node: String,
        /// Its operator.
        operator: String,
        /// The version of the set of operators.
        opset: i64,
        /// What isn't supported, or what is wrong.
        reason: String,
    },

    /// An input, an output or a weight of a graph of ONNX's that a model here can't have.
    #[error("{what} {name:?}: {reason}")]
    OnnxValue {
        /// `"input"`, `"output"` or `"weight"`.
        what: &'static str,
        /// Its name.
        name: String,
        /// What is wrong.
        reason: String,
    },

    /// A node asked for that isn't there.
    #[error("there is no {operator} node {name:?}{}: {}", meant(name, known.iter().map(String::as_str)), names(known))]
    UnknownNode {
        /// The operator that was asked for.
        operator: &'static str,
        /// What was asked for.
        name: String,
        /// The nodes of that operator that there are.
        known: Vec<String>,
    },

    /// A group, dataset or attribute that must be there and isn't.
    #[error("there is no {what} {name:?} in the HDF5 data")]
    MissingObject {
        /// `"group"`, `"dataset"` or `"attribute"`.
        what: &'static str,
        /// Its path.
        name: String,
    },

    /// A group or dataset asked for that isn't there.
    #[error("there is no {what} {name:?} in the HDF5 data: {}", names(known))]
    UnknownObject {
        /// `"group"` or `"dataset"`.
        what: &'static str,
        /// The path that was asked for.
        name: String,
        /// Those there are; of groups, those with weights.
        known: Vec<String>,
    },

    /// Text that isn't JSON.
    #[error("{member} isn't sound JSON: {reason}")]
    Json {
        /// Where it stands.
        member: &'static str,
        /// What is wrong.
        reason: String,
    },

    /// A version of Keras whose files aren't read.
    #[error("written by Keras {version}: {hint}")]
    Version {
        /// The version in the file.
        version: String,
        /// What to do.
        hint: &'static str,
    },

    /// A file of our own of a newer format.
    #[error("its format is version {version}, written by recurrent {by}, and this one reads up to {newest}: update it")]
    FileVersion {
        /// The version of the file's format.
        version: u64,
        /// The newest one that is read.
        newest: u64,
        /// The version of the crate that wrote it.
        by: String,
    },

    /// A file of our own with something else than what was asked for.
    #[error("it holds {holds}: load it as {ask}")]
    Kind {
        /// What it holds.
        holds: String,
        /// The type to ask for.
        ask: String,
    },

    /// A part of the description that is missing or of another kind.
    #[error("{}: {option} must be {expected}, found {found}", at(layer))]
    Config {
        /// The layer, by its path.
        layer: String,
        /// The option, or what stands where it should be.
        option: String,
        /// What it must be, in words.
        expected: String,
        /// What it is.
        found: String,
    },

    /// An option of a layer that this crate doesn't know.
    #[error("{} ({class}) has an option {option:?}, which isn't known", at(layer))]
    UnknownOption {
        /// The layer, by its path.
        layer: String,
        /// Its class.
        class: String,
        /// The option's name.
        option: String,
    },

    /// A value of an option that isn't supported.
    #[error("{} ({class}): {option}={value} isn't supported: {reason}", at(layer))]
    UnsupportedOption {
        /// The layer, by its path.
        layer: String,
        /// Its class.
        class: String,
        /// The option's name.
        option: String,
        /// Its value, as JSON.
        value: String,
        /// Why, or what is supported.
        reason: &'static str,
    },

    /// A kind of layer that isn't supported.
    #[error("{}: its class {class} isn't supported: {hint}", at(layer))]
    UnsupportedClass {
        /// The layer, by its path.
        layer: String,
        /// Its class.
        class: String,
        /// What to do.
        hint: Cow<'static, str>,
    },

    /// Code for a layer or a cell that the file doesn't have.
    #[error("there is code for the {what} {name:?}, which the file doesn't have: {}", names(known))]
    UnknownCode {
        /// `"layer"` or `"cell"`.
        what: &'static str,
        /// The name in the options.
        name: String,
        /// The names there are.
        known: Vec<String>,
    },

    /// Code for numbers of another type than those that a model is loaded with.
    #[error(
        "the code in the options is for {code}, and the model is to be of {model}: give it options of its own type"
    )]
    CodeType {
        /// The type of the code.
        code: &'static str,
        /// The type that was asked for.
        model: &'static str,
    },

    /// Tensors of a layer that the code in its place didn't ask for.
    #[error(
        "{}: the code in its place doesn't ask for its tensors {}: do so in Options::layer_from",
        at(layer),
        tensors.join(", ")
    )]
    UnusedTensors {
        /// The layer, by its path.
        layer: String,
        /// Those that were left.
        tensors: Vec<String>,
    },

    /// Numbers of a type that can't be computed with as they are.
    #[error("{}: its dtype {dtype} isn't supported: {hint}", at(layer))]
    DType {
        /// The layer, by its path.
        layer: String,
        /// Its dtype or policy.
        dtype: String,
        /// What to do.
        hint: &'static str,
    },

    /// A weight that isn't there.
    #[error("{}: there is no tensor {tensor:?} for its {weight}", at(layer))]
    MissingTensor {
        /// The layer, by its path.
        layer: String,
        /// The weight's name.
        weight: String,
        /// Where it should be in the file.
        tensor: String,
    },

    /// A weight of another shape than the configuration says.
    #[error("{}: tensor {tensor:?} ({weight}) must have the shape {expected}, found {found:?}", at(layer))]
    TensorShape {
        /// The layer, by its path.
        layer: String,
        /// The weight's name.
        weight: String,
        /// Where it is in the file.
        tensor: String,
        /// The shape that the configuration asks for.
        expected: String,
        /// Its shape.
        found: Vec<usize>,
    },

    /// A weight of other numbers than the layer's.
    #[error("tensor {tensor:?} holds {found}, expected {expected}")]
    TensorType {
        /// Where it is in the file.
        tensor: String,
        /// What it must hold.
        expected: &'static str,
        /// What it holds.
        found: String,
    },

    /// A number that a weight in fewer bits, or its scale, can't have.
    #[error("tensor {tensor:?} must hold {expected}, found {found} at {index}")]
    TensorValue {
        /// Where it is in the file.
        tensor: String,
        /// What its numbers must be.
        expected: &'static str,
        /// The place in the tensor, row by row.
        index: usize,
        /// The number there.
        found: f64,
    },

    /// Tensors that are there, but not those of the layer.
    #[error("{} has the tensors {found:?}, expected {expected:?}", at(layer))]
    TensorNames {
        /// The layer, by its path.
        layer: String,
        /// The names that the configuration asks for.
        expected: Vec<String>,
        /// The names that there are.
        found: Vec<String>,
    },

    /// Tensors that no layer has asked for.
    #[error("tensor {tensor:?} belongs to no layer of the model")]
    LeftoverTensor {
        /// Where it is in the file.
        tensor: String,
    },

    /// A weight with a NaN or an infinity, if the caller refuses those.
    #[error("{}: tensor {tensor:?} holds {value} at {index}", at(layer))]
    NonFinite {
        /// The layer, by its path.
        layer: String,
        /// Where it is in the file.
        tensor: String,
        /// The place in the tensor, row by row.
        index: usize,
        /// The number there.
        value: f64,
    },

    /// Calls of layers that can't be put into an order.
    #[error("the model's graph has no order: these layers wait for each other: {}", layers.join(", "))]
    Cycle {
        /// The layers whose calls are left.
        layers: Vec<String>,
    },

    /// A reference to something that the graph doesn't have.
    #[error("{} refers to {reference}, which isn't there", at(layer))]
    Reference {
        /// The layer, by its path.
        layer: String,
        /// What it refers to.
        reference: String,
    },

    /// A layer that can't read what it is called on.
    #[error("{} reads {expected}, but is called on {found}", at(layer))]
    Call {
        /// The layer, by its path.
        layer: String,
        /// What it reads.
        expected: String,
        /// What it would get.
        found: String,
    },

    /// A layer asked for that isn't there.
    #[error("there is no layer {name:?}{}: {}", meant(name, known.iter().map(String::as_str)), names(known))]
    UnknownLayer {
        /// What was asked for.
        name: String,
        /// The layers there are.
        known: Vec<String>,
    },

    /// A tensor asked for that isn't there.
    #[error("there is no tensor {name:?}{}: {}", meant(name, known.iter().map(String::as_str)), names(known))]
    UnknownTensor {
        /// What was asked for.
        name: String,
        /// The tensors there are.
        known: Vec<String>,
    },

    /// Tensors below a name that aren't those of the module that was asked for.
    #[error("{prefix:?} isn't an {expected}: {reason}; {hint}")]
    Module {
        /// What stands before the module's own names.
        prefix: String,
        /// The kind of module that was asked for: `nn.LSTM`.
        expected: &'static str,
        /// What doesn't fit.
        reason: Box<Mismatch>,
        /// What the tensors could be.
        hint: String,
    },

    /// A file without examples, where they are to be checked.
    #[error("it holds no examples to check: {hint}")]
    NoExamples {
        /// What to do.
        hint: &'static str,
    },

    /// An example whose result is another one here.
    #[error("{what} differs from {by} in example {example}: {difference}")]
    Differs {
        /// The first layer that differs, or the output.
        what: String,
        /// Who computed the example.
        by: String,
        /// Which one, counted from 0.
        example: usize,
        /// By how much.
        difference: Box<Difference>,
    },

    /// Several layers with weights, where one is to be filled.
    #[error(
        "it holds the weights of {} layers ({}): load them into a Stacked of the same layers, or take one out with \
         keras::File::layer, which weights alone can do behind keras::File::from_parts",
        layers.len(),
        layers.join(", ")
    )]
    SeveralLayers {
        /// The groups that hold weights.
        layers: Vec<String>,
    },

    /// Two layers of one name.
    #[error("there are two layers {name:?}")]
    DuplicateLayer {
        /// The name.
        name: String,
    },

    /// A file with weights only, or without any.
    #[error("it holds no {what}: {hint}")]
    Incomplete {
        /// `"configuration"` or `"weights"`.
        what: &'static str,
        /// What to do.
        hint: &'static str,
    },

    /// A layer that can't be built as described.
    #[error("{}: {source}", at(layer))]
    Layer {
        /// The layer, by its path.
        layer: String,
        /// What the builder says.
        r#source: Error, // raw: see `Error::InLayer`
    },
}

/// The layer that a message is about, by its path; that of the whole model is empty.
fn at(layer: &str) -> String {
    if layer.is_empty() { "the model".into() } else { format!("layer {layer:?}") }
}

/// The result of everything that reads within a file.
pub(super) type Found<V> = Result<V, Problem>;

/// `Problem::Limit`, if there is too much.
pub(super) fn within(what: &'static str, given: usize, limit: usize) -> Found<()> {
    if given > limit { Err(Problem::Limit { what, limit: limit as u64, given: given as u64 }) } else { Ok(()) }
}
