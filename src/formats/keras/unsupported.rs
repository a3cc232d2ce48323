//! What to do about classes that aren't read: for each a way out that works for it.

/// What can be done where nothing better is known.
pub(super) const TAKE_OUT: &str =
    "layers over time can be taken out of the file one by one with keras::File::layer, whatever the rest is";

/// What stands behind the line of code that is to be written.
pub(super) const OR_TAKE_OUT: &str = ", or take layers over time out with keras::File::layer";

/// The same for a file without such a layer.
pub(super) const OR_CHANGE: &str = ", or change it for what the page coming_from_keras lists";

/// What stands before the line of code: what kind of class it is, whose refusal would have this hint.
pub(super) fn what_it_is(class: &str, hint: &str) -> &'static str {
    match class {
        "Lambda" => "it is Python code, which is never run: ",
        "TextVectorization" | "StringLookup" => "it reads texts: begin behind it (keras::Options::start_behind), or ",
        _ if hint == OPERATION => "it is an operation that the page coming_from_keras doesn't list: ",
        _ if hint.starts_with("it is an operation of TensorFlow") => "it is an operation of TensorFlow: ",
        _ => "",
    }
}

/// The same for a file without such a layer and without code.
pub(super) const NOTHING_TO_TAKE_OUT: &str =
    "change it for layers that are supported (the page coming_from_keras lists them) and save the model again";

/// What [`File::layer`](super::File::layer) says of a layer that isn't one over time.
pub(super) const NOT_OVER_TIME: &str = "SimpleRNN, LSTM, GRU, RNN, Bidirectional, Dense and TimeDistributed(Dense) can be \
    taken out; keras::File::layer_names lists the layers of the file";

/// What it says of a model within.
pub(super) const A_MODEL: &str =
    "it is a model within: take out its layers by path, as keras::File::layer_names lists them";

/// What can be done about a class that isn't read, a layer's or that of an operation between layers.
pub(super) fn way_out(class: &str, is_operation: bool) -> &'static str {
    if is_operation { OPERATION } else { layer(class) }
}

/// What can be done about an operation between layers that isn't read.
const OPERATION: &str = "it is an operation between layers, and not one of those that are read (the page coming_from_keras \
    lists them); layers over time can be taken out with keras::File::layer";

/// What can be done about a layer of a class that isn't read.
fn layer(class: &str) -> &'static str {
    match class {
        "TensorFlowOpLayer" | "ClassMethod" | "InstanceMethod" | "InstanceProperty" => {
            "it is an operation of TensorFlow between layers: put a layer of Keras in its place (keras.layers.Add for +, \
             return_sequences=False for the last step), or take layers over time out with keras::File::layer"
        }
        "Lambda" => {
            "it is Python code, which is never run: put a layer of Keras in its place, or take layers over time out with \
             keras::File::layer"
        }
        "TextVectorization" | "StringLookup" => {
            "it reads texts: begin behind it with keras::Options::start_behind, and make ids of keras::vocabulary; layers \
             over time can be taken out with keras::File::layer"
        }
        "Hashing" => {
            "make the ids in your program, and save the model that begins behind it; layers over time can be taken out \
             with keras::File::layer"
        }
        _ => TAKE_OUT,
    }
}
