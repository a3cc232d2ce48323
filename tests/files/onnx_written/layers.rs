//! Models of all other layers.

use ndarray::prelude::*;
use recurrent::model::AnyLayer;
use recurrent::*;

use super::case::{Case, Given, floats, ids, weighed};

pub fn all() -> Vec<Case> {
    let mut all = vec![cells(), stack(), embedding(), tagger(), pooled(), translator(), nested(), in_steps(), joined()];
    all.extend([chain::<f32>("f32"), chain::<f64>("f64"), activations::<f32>("f32"), activations::<f64>("f64")]);
    all.extend([convolutions(), normalizations(), arithmetic(), moved()]);
    all
}

fn sequential<T: Float>(layers: Vec<AnyLayer<T>>) -> Model<T> {
    let builder = layers.into_iter().fold(Sequential::builder("chain"), |model, layer| model.layer(layer));
    weighed(builder.build().expect("a model"))
}

fn lstm(features: usize, units: usize) -> Lstm<f32> {
    Lstm::builder(features, units).return_sequences(true).build().expect("a layer")
}

/// Cells on top of each other in one step.
fn cells() -> Case {
    let cells = StackedCells::builder()
        .cell(Lstm::<f32>::builder(3, 4).build_cell().expect("a cell"))
        .cell(Gru::<f32>::builder(4, 2).build_cell().expect("a cell"))
        .build()
        .expect("cells");
    let layer = Recurrent::from_cell(cells).return_sequences(true).return_state(true).go_backwards(true);
    let mut graph = Model::<f32>::builder("cells");
    let x = graph.input("x", [None, Some(3)]).expect("an input");
    let made = graph.call("rnn", layer, &[x]).expect("a call");
    let names = ["y", "h0", "c0", "h1"];
    let named: Vec<_> = names.into_iter().zip(made).collect();
    let model = graph.build_named(&named).expect("a model");
    Case::new("stacked_cells", &weighed(model), &[floats(&[2, 5, 3])])
}

/// Layers one after another as one.
fn stack() -> Case {
    let both = Bidirectional::new(Gru::<f32>::builder(3, 4).return_sequences(true)).expect("a layer");
    let stack = Stacked::builder()
        .layer(both)
        .layer(lstm(8, 3))
        .layer(SimpleRnn::<f32>::new(3, 4))
        .layer(Dense::<f32>::new(4, 2))
        .build()
        .expect("a stack");
    let boxed: Box<dyn Layer<f32>> = Box::new(stack);
    Case::new("stacked", &sequential(vec![Masking::new(0.0).expect("a value").into(), boxed.into()]), &[gaps()])
}

/// A sequence with steps of zeros.
fn gaps() -> Given {
    let Given::Floats(mut x) = floats(&[3, 6, 3]) else { unreachable!("floats") };
    for (row, step) in [(0, 0), (0, 3), (1, 4), (1, 5), (2, 0), (2, 1)] {
        x.slice_mut(s![row, step, ..]).fill(0.0);
    }
    Given::Floats(x)
}

/// Ids, of which zero is masked.
fn embedding() -> Case {
    let table = Embedding::<f32>::builder(7, 3).mask_zero(true).build().expect("a table");
    let over = Bidirectional::new(Gru::<f32>::builder(3, 4)).expect("a layer").merge_mode(Merge::Sum);
    let layers = vec![table.into(), lstm(3, 3).into(), over.into(), Dense::<f32>::new(4, 2).into()];
    Case::new("embedding", &sequential(layers), &[ids(&[4, 6], 6)])
}

/// Without masks.
fn tagger() -> Case {
    let both = Bidirectional::new(Lstm::<f32>::builder(3, 4).return_sequences(true)).expect("a layer");
    let softmax = Dense::<f32>::builder(8, 5).activation(Activation::Softmax).build().expect("a layer");
    let layers = vec![Embedding::<f32>::new(11, 3).into(), both.into(), TimeDistributed::new(softmax).into()];
    Case::new("tagger", &sequential(layers), &[ids(&[2, 7], 10)])
}

/// The mean of the steps that aren't masked.
fn pooled() -> Case {
    let layers = vec![
        Masking::new(0.0).expect("a value").into(),
        lstm(3, 4).into(),
        AnyLayer::from(Activation::Softsign),
        ops::GlobalAveragePooling1D::new().into(),
    ];
    Case::new("pooled", &sequential(layers), &[gaps()])
}

/// A state from one layer to another, and outputs with names.
fn translator() -> Case {
    let mut graph = Model::<f32>::builder("translator");
    let source = graph.input("source", [None, Some(3)]).expect("an input");
    let target = graph.input("target", [None, Some(6)]).expect("an input");
    let encoder = Lstm::<f32>::builder(3, 5).return_state(true).build().expect("a layer");
    let encoded = graph.call("encoder", encoder, &[source]).expect("a call");
    let decoded =
        graph.call_with("decoder", lstm(6, 5), &[target], |call| call.initial_state(&encoded[1..])).expect("a call");
    let words = graph.call("words", Dense::<f32>::new(5, 4), &[decoded[0]]).expect("a call");
    let model = graph.build_named(&[("hidden", encoded[1]), ("words", words[0])]).expect("a model");
    Case::new("translator", &weighed(model), &[floats(&[2, 4, 3]), floats(&[2, 5, 6])])
}

/// A model within a model, called twice.
fn nested() -> Case {
    let mut pair = Model::<f32>::builder("pair");
    let (a, b) = (pair.input("a", [None, Some(3)]).expect("an input"), pair.input("b", [None, Some(3)]).expect("one"));
    let sum = pair.call("sum", ops::Add, &[a, b]).expect("a call");
    let wide = pair.call("wide", Dense::<f32>::new(3, 3), &[a]).expect("a call");
    let pair = pair.build(&[sum[0], wide[0]]).expect("a model");
    let mut graph = Model::<f32>::builder("outer");
    let x = graph.input("x", [None, Some(3)]).expect("an input");
    let both = graph.call("pair", pair, &[x, x]).expect("a call");
    let twice = graph.call_again("pair", &both).expect("a call");
    Case::new("nested", &weighed(graph.build(&twice).expect("a model")), &[floats(&[2, 4, 3])])
}

/// A layer over what is a sequence in each step.
fn in_steps() -> Case {
    let mut graph = Model::<f32>::builder("in_steps");
    let x = graph.input("x", [None, Some(4), Some(3)]).expect("an input");
    let each = AnyLayer::from(Gru::<f32>::new(3, 2)).for_each_step();
    let each = graph.call("each", each, &[x]).expect("a call");
    let model = graph.build(&each).expect("a model");
    Case::new("in_steps", &weighed(model), &[floats(&[2, 5, 4, 3])])
}

/// Features side by side whose masks are joined.
fn joined() -> Case {
    let mut graph = Model::<f32>::builder("joined");
    let x = graph.input("x", [None, Some(3)]).expect("an input");
    let masked = graph.call("masking", Masking::<f32>::new(0.0).expect("a value"), &[x]).expect("a call")[0];
    let first = graph.call("first", lstm(3, 2), &[masked]).expect("a call")[0];
    let joined = graph.call("joined", ops::Concatenate::new(-1), &[first, masked]).expect("a call");
    let last = graph.call("last", Gru::<f32>::new(5, 2), &joined).expect("a call");
    Case::new("joined", &weighed(graph.build(&last).expect("a model")), &[gaps()])
}

fn chain<T: Float>(of: &str) -> Case {
    let rnn = SimpleRnn::<T>::builder(3, 4).return_sequences(true).build().expect("a layer");
    let gru = Gru::<T>::builder(4, 3).return_sequences(true).reset_after(false).build().expect("a layer");
    let layers = vec![rnn.into(), gru.into(), Lstm::<T>::new(3, 4).into(), Dense::<T>::new(4, 2).into()];
    Case::new(&format!("chain_{of}"), &sequential(layers), &[floats(&[2, 5, 3])])
}

/// Each by itself.
fn activations<T: Float>(of: &str) -> Case {
    let names = "relu relu6 leaky_relu elu selu celu softplus softsign squareplus soft_shrink sparse_plus silu gelu tanh \
                 tanh_shrink sigmoid exponential hard_sigmoid hard_silu hard_tanh hard_shrink linear mish log_softmax \
                 log_sigmoid softmax sparse_sigmoid glu";
    // ONNX Runtime has no Erf of f64.
    let there = |name: &&str| *name != "gelu" || size_of::<T>() == 4;
    let named = names.split_whitespace().filter(there).map(|name| name.parse::<Activation>().expect("a name"));
    let given = [
        Activation::LeakyRelu { negative_slope: 0.125 },
        Activation::Elu { alpha: 0.3 },
        Activation::Celu { alpha: 0.7 },
        Activation::ReluWith { negative_slope: 0.25, max_value: Some(1.1), threshold: 0.125 },
        Activation::ReluWith { negative_slope: 0.25, max_value: None, threshold: 0.0 },
        Activation::Threshold { threshold: 0.2, default_value: -3.0 },
        Activation::Gelu { approximate: true },
        Activation::HARD_SIGMOID_KERAS_2,
        Activation::Affine { slope: 0.4, offset: 0.1 },
        Activation::ScaledTanh { scale: 1.3, slope: 0.6 },
        Activation::Clipped { bound: 0.5, of: Box::new(Activation::Softplus) },
    ];
    let mut graph = Model::<T>::builder("activations");
    let x = graph.input("x", [None, Some(6)]).expect("an input");
    let mut outputs = Vec::new();
    for (at, activation) in named.chain(given).enumerate() {
        outputs.push(graph.call(&format!("{}_{at}", activation.name()), activation, &[x]).expect("a call")[0]);
    }
    Case::new(&format!("activations_{of}"), &graph.build(&outputs).expect("a model"), &[floats(&[3, 4, 6])])
}

fn convolutions() -> Case {
    let built = |padding: Padding, strides: usize, dilation: usize| {
        let conv = Conv1D::<f32>::builder(4, 6, 3).padding(padding).strides(strides).dilation_rate(dilation);
        AnyLayer::from(conv.activation(Activation::Relu).build().expect("a layer"))
    };
    let mut graph = Model::<f32>::builder("convolutions");
    let x = graph.input("x", [None, Some(4)]).expect("an input");
    let mut outputs = Vec::new();
    let pool = |padding| ops::AveragePooling1D::new(3).and_then(|pool| pool.strides(2)?.padding(padding)).expect("one");
    let most = |padding| ops::MaxPooling1D::new(2).and_then(|pool| pool.padding(padding)).expect("one");
    let layers: Vec<AnyLayer<f32>> = vec![
        built(Padding::Valid, 1, 1),
        built(Padding::Same, 1, 2),
        built(Padding::Same, 2, 1),
        built(Padding::Causal, 1, 2),
        built(Padding::Causal, 3, 1),
        Conv1D::<f32>::builder(4, 6, 2).groups(2).build().expect("a layer").into(),
        DepthwiseConv1D::<f32>::builder(4, 3).depth_multiplier(2).build().expect("a layer").into(),
        SeparableConv1D::<f32>::builder(4, 5, 3).depth_multiplier(2).build().expect("a layer").into(),
        pool(Padding::Valid).into(),
        pool(Padding::Same).into(),
        most(Padding::Valid).into(),
        most(Padding::Same).into(),
        ops::GlobalMaxPooling1D::new().into(),
        ops::GlobalAveragePooling1D::new().keepdims(true).into(),
        ops::ZeroPadding1D::new(1, 2).into(),
        ops::Cropping1D::new(1, 2).into(),
        ops::UpSampling1D::new(2).expect("a layer").into(),
    ];
    for (at, layer) in layers.into_iter().enumerate() {
        outputs.push(graph.call(&format!("layer_{at}"), layer, &[x]).expect("a call")[0]);
    }
    Case::new("convolutions", &weighed(graph.build(&outputs).expect("a model")), &[floats(&[2, 9, 4])])
}

fn normalizations() -> Case {
    let mut graph = Model::<f32>::builder("normalizations");
    let x = graph.input("x", [None, Some(6)]).expect("an input");
    let layers: Vec<AnyLayer<f32>> = vec![
        ops::LayerNormalization::new(6).expect("a layer").into(),
        ops::BatchNormalization::new(6).expect("a layer").into(),
        ops::RMSNormalization::new(6).expect("a layer").into(),
        ops::GroupNormalization::new(6, 3).expect("a layer").into(),
        ops::PRelu::new(Array2::from_elem((1, 6), 0.3).into_dyn()).into(),
        ops::Softmax::new(-1).into(),
        ops::Softmax::new(1).into(),
        ops::Rescaling::new(0.3, -1.7).into(),
    ];
    let mut outputs = Vec::new();
    for (at, layer) in layers.into_iter().enumerate() {
        outputs.push(graph.call(&format!("layer_{at}"), layer, &[x]).expect("a call")[0]);
    }
    Case::new("normalizations", &weighed(graph.build(&outputs).expect("a model")), &[floats(&[2, 4, 6])])
}

fn arithmetic() -> Case {
    let mut graph = Model::<f32>::builder("arithmetic");
    let x = graph.input("x", [None, Some(4)]).expect("an input");
    let y = graph.input("y", [None, Some(4)]).expect("an input");
    let mut outputs = Vec::new();
    let two: [AnyLayer<f32>; 6] = [
        ops::Add.into(),
        ops::Subtract.into(),
        ops::Multiply.into(),
        ops::Average.into(),
        ops::Maximum.into(),
        ops::Minimum.into(),
    ];
    for layer in two {
        outputs.push(graph.call(layer.class_name(), layer, &[x, y]).expect("a call")[0]);
    }
    let one: Vec<(&str, AnyLayer<f32>)> = vec![
        ("absolute", ops::Absolute.into()),
        ("square", ops::Square.into()),
        ("negative", ops::Negative.into()),
        ("sum", ops::Sum::new(1).keepdims().into()),
        ("mean", ops::Mean::new(-1).into()),
        ("max", ops::Max::new(1).into()),
        ("min", ops::Min::new(2).into()),
    ];
    for (name, layer) in one {
        outputs.push(graph.call(name, layer, &[x]).expect("a call")[0]);
    }
    let turned = graph.call("turned", ops::Transpose::new([0, 2, 1]), &[y]).expect("a call");
    outputs.push(graph.call("product", ops::Matmul, &[x, turned[0]]).expect("a call")[0]);
    outputs.push(graph.call("angle", ops::Dot::new(2, 2).normalize(), &[x, y]).expect("a call")[0]);
    let model = graph.build(&outputs).expect("a model");
    Case::new("arithmetic", &model, &[floats(&[2, 3, 4]), floats(&[2, 3, 4])])
}

fn moved() -> Case {
    let mut graph = Model::<f32>::builder("moved");
    let x = graph.input("x", [None, Some(4)]).expect("an input");
    let one: Vec<(&str, AnyLayer<f32>)> = vec![
        ("permute", ops::Permute::new([2, 1]).into()),
        ("reshape", ops::Reshape::new([None, Some(2)]).into()),
        ("flip", ops::Flip::new(1).into()),
        ("last", ops::GetItem::at(1, -1).into()),
        ("middle", ops::GetItem::range(1, Some(1), Some(3)).into()),
        ("new", ops::ExpandDims::new(2).into()),
    ];
    let mut outputs = Vec::new();
    for (name, layer) in one {
        outputs.push(graph.call(name, layer, &[x]).expect("a call")[0]);
    }
    outputs.push(graph.call("repeated", ops::RepeatVector::new(3), &[outputs[3]]).expect("a call")[0]);
    outputs.push(graph.call("joined", ops::Concatenate::new(1), &[x, outputs[2]]).expect("a call")[0]);
    Case::new("moved", &graph.build(&outputs).expect("a model"), &[floats(&[2, 5, 4])])
}
