//! The variants, one for each way in which a call can be refused.

use super::words::{ids, meant_here, names, number, option_value, swapped, transposed};

/// Why a call was refused. Whatever was refused left the layer, the state and the caller's arrays as they were.
///
/// A message says all there is to say. An error within another ([`InLayer`](Error::InLayer)) is part of the outer one's
/// message, so it isn't its [`source`](std::error::Error::source) as well: a printer of the chain of sources prints
/// each thing once.
///
/// ```
/// use ndarray::prelude::*;
/// use recurrent::{Error, Layer, Lstm};
///
/// let error = Lstm::<f32>::new(3, 4).forward(&Array3::zeros((8, 7, 5))).unwrap_err();
/// assert_eq!(error, Error::InputFeatures { expected: 3, given: [8, 7, 5] });
/// assert_eq!(
///     error.to_string(),
///     "expected an input of shape (batch, timesteps, 3), got [8, 7, 5]: the kernel has 3 rows"
/// );
/// ```
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A size that must be at least one is zero.
    #[error("{what} must be at least 1, got 0")]
    ZeroSize {
        /// `"units"`, `"input_size"`, ...
        what: &'static str,
    },

    /// A layer of these sizes would have more weights than memory can address.
    #[error("{what} of {rows} x {gates} * {units} elements can't be addressed on this machine")]
    SizeOverflow {
        /// The weight that would be too large.
        what: &'static str,
        /// Its rows.
        rows: usize,
        /// The layer's units.
        units: usize,
        /// How many times the units are its columns.
        gates: usize,
    },

    /// The machine has not got the memory for a layer of these sizes.
    #[error("no memory for {bytes} bytes of weights")]
    OutOfMemory {
        /// What was asked for.
        bytes: usize,
    },

    /// An input that doesn't have the layer's number of features.
    #[error(
        "expected an input of shape (batch, timesteps, {expected}), got {given:?}: the kernel has {expected} rows{}",
        swapped(*expected, *given)
    )]
    InputFeatures {
        /// The layer's input size.
        expected: usize,
        /// The input's shape.
        given: [usize; 3],
    },

    /// A row of a batch that is to be padded has other features than the first one.
    #[error("row {row} has {given} features, row 0 has {expected}")]
    RowFeatures {
        /// The row.
        row: usize,
        /// The features of the first row.
        expected: usize,
        /// Those of this one.
        given: usize,
    },

    /// An input without a time step, or a chunk without one that is to be recorded.
    #[error("expected at least one time step, got an input of shape {given:?}")]
    NoTimesteps {
        /// The input's shape.
        given: [usize; 3],
    },

    /// The input of one step of a stream has another shape.
    #[error("expected a step of shape {expected:?}, (batch, features), got {given:?}")]
    StepShape {
        /// (batch, features) of the stream.
        expected: (usize, usize),
        /// What was given.
        given: (usize, usize),
    },

    /// A mask or resets of another shape than the input's.
    #[error("expected {what} of shape {expected:?}, (batch, timesteps), got {given:?}")]
    MaskShape {
        /// `"mask"` or `"resets"`.
        what: &'static str,
        /// (batch, timesteps) of the input.
        expected: (usize, usize),
        /// What was given.
        given: (usize, usize),
    },

    /// Both a mask and lengths.
    #[error("a mask and lengths were given: they say the same thing, give one of them")]
    MaskAndLengths,

    /// Lengths, or a mask of one step, for another number of rows.
    #[error("expected one entry for each of {expected} rows, got {given}")]
    LengthsCount {
        /// The rows of the input.
        expected: usize,
        /// The number of entries.
        given: usize,
    },

    /// A length beyond the input's end.
    #[error("row {row} is to have {length} steps, but the input has {timesteps}")]
    Length {
        /// The row.
        row: usize,
        /// Its length.
        length: usize,
        /// The steps that there are.
        timesteps: usize,
    },

    /// A row that isn't there.
    #[error("there is no row {row} in a batch of {batch}")]
    Row {
        /// What was asked for.
        row: usize,
        /// The number of rows.
        batch: usize,
    },

    /// A state for another number of rows.
    #[error("expected a state of {expected} rows, got one of {given}")]
    StateBatch {
        /// The rows of the input.
        expected: usize,
        /// The rows of the state.
        given: usize,
    },

    /// A state of another layer's parts.
    #[error("expected a state with the parts {expected}, got one with {given}")]
    StateLayout {
        /// The layer's parts and their widths.
        expected: String,
        /// The state's.
        given: String,
    },

    /// Values of the wrong shape for a part of a state.
    #[error("state part {part:?} has the shape {expected:?}, (batch, units), got {given:?}")]
    StateShape {
        /// The part's name.
        part: String,
        /// Its shape.
        expected: (usize, usize),
        /// What was given.
        given: (usize, usize),
    },

    /// Bytes that aren't those of a state.
    #[error("the bytes aren't a state: {reason}")]
    StateBytes {
        /// What is wrong with them.
        reason: String,
    },

    /// An initial state handed to a stream's run, which goes on from the stream's own.
    #[error("a stream goes on from its own state: say set_state instead of giving an initial state")]
    StreamInitialState,

    /// A step of a decoder that hasn't been given what it begins with.
    #[error("the stream hasn't started: give {} by start(..) before the first step", inputs.join(", "))]
    StreamNotStarted {
        /// The names of the inputs that it begins with.
        inputs: Vec<String>,
    },

    /// A pool of so many streams has no place for another one.
    #[error("the pool is full, all {capacity} places are taken: remove a stream, or make a larger pool")]
    PoolFull {
        /// The number of its places.
        capacity: usize,
    },

    /// An id of no stream of the pool's: the stream was removed, or lives in another pool.
    #[error("the pool has no stream number {number}: it was removed, or is another pool's")]
    StreamGone {
        /// The stream's number.
        number: u64,
    },

    /// The output of a stream of a pool that hasn't made a step since it began, or since its state was set.
    #[error("stream number {number} has no output yet: push a sample, then step")]
    NoOutputYet {
        /// The stream's number.
        number: u64,
    },

    /// A stream of a pool has a sample that waits for the next step.
    #[error("stream number {number} has a sample that waits: step first")]
    SampleWaits {
        /// The stream's number.
        number: u64,
    },

    /// A stream or a pool that is to take the place of another has another size.
    #[error("{what} must be {expected}, as of what it replaces, got {given}")]
    SwapSize {
        /// `"the number of features"`, ..
        what: &'static str,
        /// What is to be replaced has so many.
        expected: usize,
        /// What was given.
        given: usize,
    },

    /// The stream that the last swap replaced hasn't been taken out, or still fades.
    #[error("the last swap's old stream is held, {left} steps of its crossfade are to come: then take_old it")]
    SwapHeld {
        /// The steps of the crossfade that are to come.
        left: usize,
    },

    /// A layer that needs the whole sequence at once.
    #[error("can't run step by step: {layer}: {reason}")]
    CannotStream {
        /// The layer's class; in a stack behind its place, `2/Bidirectional`.
        layer: String,
        /// Why it can't.
        reason: &'static str,
    },

    /// Dropout generators of another layer.
    #[error("expected the seeds of {expected} dropout generators, got {given}: take them from this layer's seeds()")]
    SeedsCount {
        /// The generators of the layer.
        expected: usize,
        /// Those that were given.
        given: usize,
    },

    /// A dropout generator of another layer: with another seed, another rate, or for other sizes.
    #[error(
        "generator {generator} of the layer is that of {expected}; the seeds given have {given}: take them from this \
         layer's seeds()"
    )]
    SeedsLayer {
        /// Its place among the layer's generators, from 0.
        generator: usize,
        /// The layer's: its seed, rates and sizes.
        expected: String,
        /// What was given.
        given: String,
    },

    /// A dropout rate that isn't a number from 0 to 1. (Recurrent layers bring one outside to the nearer end.)
    #[error("{option} must be a number from 0 to 1, got {}", number(*given))]
    DropoutRate {
        /// `"dropout"` or `"recurrent_dropout"`; of a layer of noise `"rate"` or `"stddev"`; of zoneout
        /// `"the zoneout of h"` or `"the zoneout of c"`.
        option: &'static str,
        /// What was given.
        given: f64,
    },

    /// A cell that [`Zoneout`](crate::cell::Zoneout) can't go around.
    #[error("zoneout needs a cell with {expected}, got {given}")]
    ZoneoutCell {
        /// What it needs.
        expected: &'static str,
        /// What there is.
        given: String,
    },

    /// A `noise_shape` that a layer of noise can't have.
    #[error("noise_shape must be sizes above 0, of Dropout or AlphaDropout, got {given}")]
    NoiseShape {
        /// What was given.
        given: String,
    },

    /// A number among a cell's options that it can't have.
    #[error("{option} must be {expected}, got {given}")]
    OptionNumber {
        /// The option's name.
        option: &'static str,
        /// What it must be.
        expected: &'static str,
        /// What was given.
        given: f64,
    },

    /// An equation, or letters of one, that a layer hasn't got or that don't fit its weights.
    #[error("{option} must be {expected}, got {given:?}")]
    Equation {
        /// The option.
        option: &'static str,
        /// What it must be.
        expected: &'static str,
        /// What was given.
        given: String,
    },

    /// A word among a layer's options that it can't have.
    #[error("{option} must be one of {expected}, got {given:?}")]
    OptionWord {
        /// The option's name.
        option: &'static str,
        /// The words that there are.
        expected: &'static str,
        /// What was given.
        given: &'static str,
    },

    /// A result that the layer was not built to return.
    #[error("the {what} was not requested: {hint}")]
    NotRequested {
        /// `"sequence"`, `"state"`, ...
        what: &'static str,
        /// How to request it.
        hint: &'static str,
    },

    /// An array of the caller's that has the wrong shape for a result.
    #[error("expected an array of shape {expected:?} for the {what}, got {given:?}")]
    OutputShape {
        /// `"sequence"` or `"last"`.
        what: &'static str,
        /// The result's shape.
        expected: Vec<usize>,
        /// The array's.
        given: Vec<usize>,
    },

    /// An array of the caller's whose elements don't lie in row order, where that is needed.
    #[error("the array for the {what} must lie in standard (row-major) order")]
    OutputOrder {
        /// `"sequence"`.
        what: &'static str,
    },

    /// A block of a stream of other lengths: it has (batch * features) values of input and (batch * units) of output
    /// for each step.
    #[error("a block has {features} values of input and {units} of output for each step, got {input} and {output}")]
    BlockLength {
        /// The values of input of one step: rows times features.
        features: usize,
        /// The values of output of one step: rows times units.
        units: usize,
        /// The input's length.
        input: usize,
        /// The output's length.
        output: usize,
    },

    /// A block of a model's stream that isn't of whole steps, or has no room for all outputs.
    #[error(
        "a block has {features} values of input for each step and room for {outputs} outputs of {units} values, got \
         {input} and {output}"
    )]
    BlockOutputs {
        /// The values of input of one step: rows times features.
        features: usize,
        /// The values of one output: rows times units.
        units: usize,
        /// The input's length.
        input: usize,
        /// The outputs that the input's whole steps give.
        outputs: usize,
        /// The output's length.
        output: usize,
    },

    /// A call for streams that return outputs at each step.
    #[error(
        "the stream doesn't return outputs at each step: the first with step {first}, then one in {every}; push a step, \
         which returns an Option, or process several"
    )]
    OutputsNotEachStep {
        /// The number of the step that returns the first ones.
        first: usize,
        /// How many steps it takes to the next ones.
        every: usize,
    },

    /// A call for streams that return outputs once at each step.
    #[error("a step of the stream gives up to {most} outputs, one after the other: process writes all of them")]
    SeveralOutputs {
        /// How many there can be.
        most: usize,
    },

    /// A layer for a stream that has more than other weights than the one it is to replace.
    #[error("only the weights may differ from those of the stream's layer: {what} is {expected} there, got {given}")]
    LayerStructure {
        /// What differs: a size, an option, the shape of a weight, each by its path.
        what: String,
        /// What it is in the stream's layer.
        expected: String,
        /// What it is in the new one.
        given: String,
    },

    /// A name that isn't there.
    #[error("there is no {what} {name:?}{}: {}", meant_here(name, known.iter().map(String::as_str)), names(known))]
    UnknownName {
        /// `"weight"`, `"state part"`, ...
        what: &'static str,
        /// What was asked for.
        name: String,
        /// The names there are.
        known: Vec<String>,
    },

    /// An input of a model that was given nothing.
    #[error("there is no array for the input {name:?}: the inputs are {}", known.join(", "))]
    MissingInput {
        /// The input.
        name: String,
        /// All inputs of the model.
        known: Vec<String>,
    },

    /// A name that was given twice.
    #[error("{what} {name:?} is given twice")]
    DuplicateName {
        /// `"weight"`.
        what: &'static str,
        /// The name.
        name: String,
    },

    /// A weight of the wrong shape.
    #[error("weight {name:?} has the shape {expected:?}, got {given:?}{}", transposed(expected, given))]
    WeightShape {
        /// The weight's name.
        name: String,
        /// Its shape.
        expected: Vec<usize>,
        /// What was given.
        given: Vec<usize>,
    },

    /// The weights of a user's cell that clones of its layer share, and that can't be cloned.
    #[error("the {cell} cell is shared by clones of its layer, and can't be changed: implement Cell::try_clone")]
    SharedCell {
        /// The cell's class name.
        cell: &'static str,
    },

    /// An activation whose output isn't as wide as its input, where it must be.
    #[error("{activation} changes the width, so it can't be the activation of this layer")]
    ActivationWidth {
        /// The activation.
        activation: String,
    },

    /// An activation name that Keras doesn't know.
    #[error("unknown activation {name:?}{}: the names are {known}", meant_here(name, known.split(", ")))]
    UnknownActivation {
        /// The name that was given.
        name: String,
        /// The names there are.
        known: String,
    },

    /// An activation that can't be made from its name alone.
    #[error("activation {activation:?} has no defaults: give {parameters}")]
    ActivationArguments {
        /// The activation's name.
        activation: &'static str,
        /// The parameters without a default, in words.
        parameters: &'static str,
    },

    /// An activation's parameter that is out of its range.
    #[error("{activation}: {parameter} must be {expected}, got {}", number(*value))]
    ActivationParameter {
        /// The activation's name.
        activation: String,
        /// The parameter's name.
        parameter: &'static str,
        /// The range, in words.
        expected: &'static str,
        /// The value that was given.
        value: f64,
    },

    /// An activation that halves a row was given one that has no half.
    #[error("{activation} needs an even width, got {width}")]
    OddWidth {
        /// The activation's name.
        activation: &'static str,
        /// The row's width.
        width: usize,
    },

    /// Training through an activation of the user's own that came without its derivative.
    #[error("activation {activation:?} can't be trained through: it has no derivative")]
    NoDerivative {
        /// The activation's name.
        activation: String,
    },

    /// An initializer name that Keras doesn't know, or one that this crate doesn't have (`stft`).
    #[error("unknown initializer {name:?}{}: the names are {known}", meant_here(name, known.split(", ")))]
    UnknownInitializer {
        /// The name that was given.
        name: String,
        /// The names there are.
        known: String,
    },

    /// An initializer that can't fill a tensor of this rank.
    #[error("{initializer} needs a tensor of rank {expected}, got shape {shape:?}")]
    InitializerRank {
        /// The initializer's name.
        initializer: &'static str,
        /// The ranks it can fill, in words.
        expected: &'static str,
        /// The shape that was asked for.
        shape: Vec<usize>,
    },

    /// An initializer's parameter that is out of its range.
    #[error("{initializer}: {parameter} must be {expected}, got {}", number(*value))]
    InitializerParameter {
        /// The initializer's name.
        initializer: &'static str,
        /// The parameter's name.
        parameter: &'static str,
        /// The range, in words.
        expected: &'static str,
        /// The value that was given.
        value: f64,
    },

    /// An axis of an initializer's `input_axes` or `output_axes` that the tensor doesn't have.
    #[error("a tensor of shape {shape:?} has no axis {axis}")]
    InitializerAxis {
        /// The axis that was given.
        axis: isize,
        /// The shape that was asked for.
        shape: Vec<usize>,
    },

    /// A name of an initializer's option that Keras doesn't know.
    #[error("unknown {option} {name:?}: the names are {known}")]
    UnknownInitializerOption {
        /// `"mode"` or `"distribution"`.
        option: &'static str,
        /// The name that was given.
        name: String,
        /// The names there are.
        known: String,
    },

    /// A user's initializer made an array of another shape than it was asked for.
    #[error("a custom initializer must make an array of shape {expected:?}, got {given:?}")]
    CustomInitializerShape {
        /// The shape that was asked for.
        expected: Vec<usize>,
        /// The shape of what it made.
        given: Vec<usize>,
    },

    /// A tensor of this shape can't be addressed, or the operating system has no memory for it or for all that is
    /// needed to compute it: what lies between layers, and what a recorded run keeps of each step.
    #[error("a tensor of shape {shape:?} doesn't fit in memory, with all that is needed to compute it")]
    TensorTooLarge {
        /// The shape that was asked for.
        shape: Vec<usize>,
    },

    /// Options of the run that were given to a cell alone.
    #[error(
        "return_sequences, return_state, go_backwards and zero_output_for_mask are options of a layer, not of a cell"
    )]
    CellOption,

    /// Layers or cells that are nested deeper than what walks through them can go.
    #[error("more than {most} layers or cells are nested in each other: put them side by side in one stack")]
    NestedTooDeep {
        /// How deep they may be.
        most: usize,
    },

    /// Widths that can't be added up.
    #[error("the {what} of these layers or cells can't be addressed: it is {} and {} elements wide", widths[0], widths[1])]
    WidthOverflow {
        /// `"state"`, `"output"`, ...
        what: &'static str,
        /// What can't be added.
        widths: [usize; 2],
    },

    /// A user's cell whose output isn't part of its state.
    #[error("the output of the {cell} cell must be columns of its state, 0 to {width}: it says {output:?}")]
    CellOutput {
        /// The cell's class name.
        cell: &'static str,
        /// The columns that it says.
        output: std::ops::Range<usize>,
        /// The width of its state.
        width: usize,
    },

    /// A step by hand whose slices don't have the cell's sizes.
    #[error("expected {what} of {expected} values for a step of the {cell} cell, got {given}")]
    StepSize {
        /// The cell's class name.
        cell: &'static str,
        /// `"x"`, `"prev"` or `"next"`.
        what: &'static str,
        /// The cell's size.
        expected: usize,
        /// The slice's length.
        given: usize,
    },

    /// What a cell adds to the gradient of a weight that it doesn't have, or that has another shape.
    #[error("gradient {index} has the shape {expected:?}, {given:?} can't be added to it")]
    GradientShape {
        /// The weight's place among the cell's.
        index: usize,
        /// The weight's shape; empty if the cell has no such weight.
        expected: Vec<usize>,
        /// What was to be added.
        given: Vec<usize>,
    },

    /// A stack of nothing.
    #[error("a stack needs at least one layer")]
    EmptyStack,

    /// A layer or cell that doesn't read what the one before it outputs.
    #[error(
        "layer {index} of the stack (counted from 0) reads {expected} features, but the one before it outputs {given}"
    )]
    StackWidth {
        /// Its place in the stack, from 0.
        index: usize,
        /// The features it reads.
        expected: usize,
        /// The features it would get.
        given: usize,
    },

    /// A layer over time behind one that returns only its last output.
    #[error(
        "layer {index} of the stack ({layer}; counted from 0) needs a sequence: give the {} before it return_sequences(true)",
        if *index > 1 { "recurrent layer" } else { "layer" } // a Dense in between has no such option
    )]
    StackNeedsSequence {
        /// Its place in the stack, from 0.
        index: usize,
        /// The layer's class.
        layer: &'static str,
    },

    /// Directions that aren't merged, in the middle of a stack.
    #[error(
        "layer {index} of the stack (counted from 0) outputs two directions that aren't merged: give it another merge mode"
    )]
    StackUnmerged {
        /// Its place in the stack, from 0.
        index: usize,
    },

    /// A pair of layers that can't be the two directions of one.
    #[error(
        "{option}: the forward layer has {}, the backward layer has {}: {expected}",
        option_value(option, *forward),
        option_value(option, *backward)
    )]
    BidirectionalPair {
        /// The option in which they don't fit: `"go_backwards"`, `"return_sequences"`, `"units"`, ...
        option: &'static str,
        /// The forward layer's: a size, or 0 or 1 for false and true.
        forward: usize,
        /// The backward layer's.
        backward: usize,
        /// What is needed, in words.
        expected: &'static str,
    },

    /// A recipe for both directions that says itself which way it goes.
    #[error("Bidirectional sets go_backwards itself: leave it out of the recipe, or give two layers")]
    BidirectionalDirection,

    /// An id that an embedding has no row for.
    #[error("id {id} at row {row}, step {time}: the embedding has {}", ids(*vocabulary))]
    EmbeddingId {
        /// Where it stands.
        row: usize,
        /// Where it stands.
        time: usize,
        /// The id, as it was given.
        id: String,
        /// The number of ids there are.
        vocabulary: usize,
    },

    /// A model that is built of nothing.
    #[error("model {model:?} needs at least one layer and one output")]
    EmptyModel {
        /// The model's name.
        model: String,
    },

    /// A chain of layers of which none says what it reads.
    #[error("model {model:?}: its first layers don't say what they read: say input_shape(..)")]
    InputUnknown {
        /// The model's name.
        model: String,
    },

    /// A part of a graph that no output depends on.
    #[error("{what} {name:?} is never used: no output of the model depends on it")]
    Unused {
        /// `"input"` or `"layer"`.
        what: &'static str,
        /// Its name.
        name: String,
    },

    /// A tensor of one builder that is given to another.
    #[error(
        "{} a tensor of another builder: a graph is made of its own inputs and calls",
        if layer.is_empty() { "an output is".into() } else { format!("layer {layer:?} is called on") }
    )]
    ForeignNode {
        /// The layer that was to be called; empty if it was to be an output.
        layer: String,
    },

    /// A layer with a state within a wrapper that runs it for each step.
    #[error("layer {layer:?} runs one that keeps a state for each step: leave out stateful() inside")]
    StatefulInside {
        /// The wrapper.
        layer: String,
    },

    /// Another number of inputs than a model's.
    #[error("the model has {expected} inputs, got {given}")]
    ModelInputs {
        /// The number of the model's inputs.
        expected: usize,
        /// The number of arrays.
        given: usize,
    },

    /// A model of several inputs or outputs, run as one of one each.
    #[error(
        "the model has {} inputs ({}) and {} outputs ({}), not one of each: use predict",
        inputs.len(),
        inputs.join(", "),
        outputs.len(),
        outputs.join(", ")
    )]
    ModelSeveral {
        /// The names of the inputs.
        inputs: Vec<String>,
        /// The names of the layers that the outputs come from.
        outputs: Vec<String>,
    },

    /// An array that isn't what an input of a model declares.
    #[error("input {input:?} of the model takes {expected}, got an array of shape {given}")]
    ModelInput {
        /// The input's name.
        input: String,
        /// What it declares.
        expected: String,
        /// The array's shape.
        given: String,
    },

    /// Another number of gradients than a model has outputs.
    #[error("the model has {expected} outputs, got gradients of {given}")]
    ModelOutputs {
        /// The number of the model's outputs.
        expected: usize,
        /// The number of arrays.
        given: usize,
    },

    /// A gradient of another shape than the output's.
    #[error("output {place} ({output:?}) of the model has the shape {expected:?}, got a gradient of shape {given:?}")]
    ModelOutput {
        /// The output's place.
        place: usize,
        /// The name of the layer that it comes from.
        output: String,
        /// Its shape.
        expected: Vec<usize>,
        /// The gradient's.
        given: Vec<usize>,
    },

    /// The gradient of what has none.
    #[error("input {input:?} of the model holds integers or flags, which have no gradient")]
    NoInputGradient {
        /// The input's name.
        input: String,
    },

    /// A layer of a model that can't read what it is called on.
    #[error("layer {layer:?} reads {expected}, got {given}")]
    ModelCall {
        /// The layer's name.
        layer: String,
        /// What it reads.
        expected: String,
        /// The shapes that it got.
        given: String,
    },

    /// What a layer of a model refused.
    #[error("layer {layer:?}: {source}")]
    InLayer {
        /// The layer's name.
        layer: String,
        /// Why it refused.
        r#source: Box<Error>, // raw, so that it isn't taken for the source: the message has it already
    },

    /// The closure of a [`CustomLayer`](crate::ops::CustomLayer) returned an error.
    #[error("its code failed: {reason}")]
    CustomFailed {
        /// What its error says.
        reason: String,
    },

    /// The closure of a [`CustomLayer`](crate::ops::CustomLayer) gave an array of another shape than in the trial, or
    /// than was stated.
    #[error("{what} must have the shape {expected}, got {given:?} from its code")]
    CustomShape {
        /// What was given.
        what: &'static str,
        /// The shape that was found by a trial or stated; `None` is any size.
        expected: String,
        /// What the closure gave.
        given: Vec<usize>,
    },

    /// The backward closure of a [`CustomLayer`](crate::ops::CustomLayer) gave another number of gradients.
    #[error("its backward closure must give {expected} gradients, one for each input, got {given}")]
    CustomGradients {
        /// The number of inputs.
        expected: usize,
        /// The number of gradients.
        given: usize,
    },

    /// Training through a [`CustomLayer`](crate::ops::CustomLayer) without a backward closure.
    #[error("its code can't be trained through: give it a second closure by CustomLayer::backward")]
    CustomNoBackward,

    /// A mask value that no input equals.
    #[error("a mask value of NaN would mask nothing, because NaN equals nothing")]
    MaskValue,

    /// A cell without the backward pass.
    #[error("the {cell} cell can't be trained: it has no step_backward")]
    NoBackward {
        /// The cell's class name.
        cell: &'static str,
    },

    /// A backward pass without a recorded run.
    #[error("nothing is recorded: give a run record(&mut tape) first")]
    TapeEmpty,

    /// A backward pass through a run that was gone through already.
    #[error("the tape is spent: each recorded run can be gone back through once")]
    TapeSpent,

    /// An activity regularizer of a layer whose outputs the recorded run hasn't kept: the tape wasn't told to, or it was
    /// a run into other arrays than the whole sequence of a layer that returns one.
    #[error(
        "the tape hasn't kept the layer's outputs: record on Tape::new().keep_outputs(true), and run into the whole \
         sequence where a layer returns one"
    )]
    TapeOutputs,

    /// A backward pass through another layer's run. A tape belongs to the layer that recorded it, and to clones of that
    /// one: record with the layer that is to go back.
    #[error("the tape was recorded by another layer: record with the layer that is to go back")]
    TapeLayer,

    /// A backward pass by a clone whose options were changed (`merge_mode`, `go_backwards`, `return_sequences`, which
    /// layers of a model are trained, ...): record with the options that are to go back.
    #[error("the tape was recorded with other options of the layer: set them before the run is recorded")]
    TapeOptions,

    /// A backward pass with other weights than those of the run: an optimizer's step, or
    /// [`set_weights`](crate::Parameters::set_weights), came in between. Go back through every recorded run before the
    /// weights change, or record again afterwards.
    #[error(
        "the weights have changed since the tape was recorded: go back before an optimizer's step or set_weights, or \
         record again"
    )]
    TapeStale,

    /// Gradients of something else: they belong to whatever has weights of the same names and shapes, and a state of
    /// the same parts. Or the memory of an optimizer that has made a step of another layer: each layer (or list of
    /// parts) has an optimizer of its own, which goes on with clones of it.
    #[error(
        "the gradients, or the optimizer's memory, belong to another layer: make them for this one (Gradients::new, an \
         optimizer of its own)"
    )]
    GradientsLayer,

    /// Chunks of truncated backpropagation that began with another layer: make a
    /// [`TruncatedBptt`](crate::training::TruncatedBptt) for each.
    #[error("the chunks began with another layer: make a TruncatedBptt for each")]
    ChunkLayer,

    /// A chunk of truncated backpropagation that says itself where it begins or what it is recorded on.
    #[error("a chunk begins where the last one ended and has a tape already: leave {option} out")]
    ChunkOption {
        /// `"initial_state"` or `"record"`.
        option: &'static str,
    },

    /// An optimizer's option that is out of its range.
    #[error("{option} must be {expected}, got {}", number(*given))]
    OptimizerOption {
        /// Keras's name of the option.
        option: &'static str,
        /// The range, in words.
        expected: &'static str,
        /// What was given.
        given: f64,
    },

    /// Gradients that are to be clipped in two ways.
    #[error("only one of clipnorm, clipvalue and global_clipnorm can be set")]
    OptimizerClips,

    /// A gradient that is NaN or infinite.
    #[error(
        "the gradient of {name} is {}: no update is possible; look for NaN in the inputs, or lower the learning rate, \
         clip by global_clipnorm from the start",
        number(*given)
    )]
    GradientNotFinite {
        /// The weight's path.
        name: String,
        /// NaN or an infinity.
        given: f64,
    },

    /// An input or an output of which it can't be said how far back a network looks.
    #[error("no steps to look back over: the {what} must be (batch, timesteps, ..), got one of shape {shape:?}")]
    ReachShape {
        /// `"input"`, or `"output"`, which may be (batch, units) too.
        what: &'static str,
        /// Its shape.
        shape: Vec<usize>,
    },

    /// A number of a regularizer or a constraint that is out of its range, or doesn't suit its weight.
    #[error("{option} must be {expected}, got {}", number(*given))]
    WeightRule {
        /// Keras's name of the option, and whose it is.
        option: &'static str,
        /// The range, in words.
        expected: &'static str,
        /// What was given.
        given: f64,
    },

    /// A checkpoint of a training run that couldn't be written.
    #[error("the checkpoint isn't written: {reason}")]
    Checkpoint {
        /// What the operating system, or the file's format, says.
        reason: String,
    },

    /// Weights of another number than the network has.
    #[error("expected {expected} weights, got {given}")]
    WeightCount {
        /// The number of the network's weights.
        expected: usize,
        /// What was given.
        given: usize,
    },

    /// A regularizer or a constraint of a model's file that isn't known here, or isn't known of this layer.
    #[error(
        "{option} of {layer} is {given}, which isn't known here: leave it out by a training run without rules, or with \
         WeightRules of your own"
    )]
    RuleUnknown {
        /// The layer's path in the model.
        layer: String,
        /// Keras's name of the option.
        option: String,
        /// The class, or what was said in its place.
        given: String,
    },

    /// A learning rate for an optimizer whose rate follows a schedule.
    #[error(
        "the learning rate follows a schedule: give it another one by set_schedule, or take the optimizer out by \
         into_inner"
    )]
    ScheduledRate,

    /// A layer that can't be kept in fewer bits.
    #[error("can't quantize {layer}: {reason}")]
    CannotQuantize {
        /// The layer's class; in a wrapper behind its place, `2/Conv1D`.
        layer: String,
        /// Why it can't.
        reason: &'static str,
    },

    /// A weight that has no number in fewer bits.
    #[error("can't quantize weight {weight:?}: {given} is among its values")]
    QuantizedValue {
        /// The weight's name.
        weight: String,
        /// The value.
        given: f32,
    },

    /// A weight of a quantized layer, asked for as an array: there is none.
    #[error("weight {name:?} is quantized, not an array: read dequantized({name:?}), change the layer it was made of")]
    QuantizedWeight {
        /// The weight's name.
        name: String,
    },

    /// A quantized layer that was to be trained.
    #[error("a {layer} can't be trained: train the layer it was made of, then quantize that again")]
    QuantizedTraining {
        /// The quantized layer's class.
        layer: &'static str,
    },

    /// Layers whose outputs can't be compared.
    #[error("can't compare: the {what} of the first layer is {expected}, of the second {given}")]
    Compared {
        /// `"input_size"`, `"output_size"` or `"return_sequences"`.
        what: &'static str,
        /// The first layer's.
        expected: String,
        /// The second layer's.
        given: String,
    },

    /// An option or an array of a loss, a metric or a training run that makes no sense.
    #[error("{option} must be {expected}, got {given}")]
    TrainingOption {
        /// Which one.
        option: String,
        /// The range, in words.
        expected: String,
        /// What was given.
        given: String,
    },

    /// A target that is no class of the prediction.
    #[error("target class {class}: the prediction has {classes} classes, counted from 0")]
    TargetClass {
        /// The target.
        class: i64,
        /// The number of classes.
        classes: usize,
    },

    /// Labels that can't be aligned: each takes a step, and equal ones have a blank between them.
    #[error("row {row}: its labels need {needed} steps, but it has {steps}")]
    CtcSteps {
        /// The row.
        row: usize,
        /// The steps that its labels need.
        needed: usize,
        /// The steps that are there.
        steps: usize,
    },

    /// A training run that met a NaN or an infinity, and stopped before it changed the weights.
    #[error("{what} isn't finite at update {update} (epoch {epoch}): try a smaller learning rate or clipnorm")]
    NotFinite {
        /// The loss, a metric, a gradient or a weight, by name.
        what: String,
        /// The update, from 1.
        update: u64,
        /// The epoch, from 1.
        epoch: usize,
    },

    /// The operating system gave no random numbers.
    #[error("the operating system gave no random numbers: {reason}")]
    NoRandomness {
        /// What the operating system said.
        reason: String,
    },
}
