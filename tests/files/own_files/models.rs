//! Models that were built by hand.

use super::same_file;
pub use crate::predictions::predict;
use ndarray::prelude::*;
use recurrent::model::AnyLayer;
use recurrent::*;

/// A model of every class there is, all in one graph where they fit, each with inputs; as files.
pub fn all() -> Vec<(&'static str, Vec<u8>)> {
    let models = [
        ("sentiment", sentiment()),
        ("translator", translator()),
        ("operations", operations()),
        ("between", between()),
        ("convolutions", convolutions()),
        ("masks", masks()),
        ("nested", nested()),
        ("stateful", stateful()),
        ("cells", cells()),
    ];
    let mut files: Vec<_> = models.iter().map(|(name, model)| (*name, file::to_bytes(model).expect("saved"))).collect();
    files.push(("layer", file::to_bytes(&as_layer()).expect("saved")));
    for (name, precision) in [("quantized", Precision::Int8), ("halves", Precision::Bf16)] {
        files.push((name, file::to_bytes(&super::quantized::model(precision)).expect("saved")));
        files.push((name, file::to_bytes(&super::quantized::words(precision)).expect("saved")));
    }
    let quantized = as_layer().quantize(Precision::Int8).expect("a layer");
    files.push(("layer", file::to_bytes(&quantized).expect("saved")));
    files
}

fn sentiment() -> Model<f32> {
    Sequential::<f32>::builder("sentiment")
        .layer(Embedding::builder(10, 6).mask_zero(true).build().expect("a table"))
        .layer(Bidirectional::new(Lstm::builder(6, 5)).expect("a layer"))
        .named("head", Dense::builder(10, 2).activation(Activation::Softmax).build().expect("a layer"))
        .build()
        .expect("a model")
}

/// Program 21: an encoder whose state starts a decoder.
fn translator() -> Model<f32> {
    let mut graph = Model::<f32>::builder("translator");
    let source = graph.input("source", [None, Some(8)]).expect("an input");
    let target = graph.input("target", [None, Some(6)]).expect("an input");
    let encoder = Lstm::builder(8, 16).return_state(true).build().expect("a layer");
    let encoded = graph.call("encoder", encoder, &[source]).expect("a call");
    let decoder = Lstm::builder(6, 16).return_sequences(true).build().expect("a layer");
    let decoded = graph.call_with("decoder", decoder, &[target], |call| call.initial_state(&encoded[1..]));
    let words = graph.call("words", Dense::new(16, 5), &[decoded.expect("a call")[0]]).expect("a call");
    graph.build_named(&[("words", words[0]), ("h", encoded[1])]).expect("a model")
}

fn operations() -> Model<f32> {
    let mut graph = Model::<f32>::builder("operations");
    let x = graph.input("x", [Some(4), Some(6)]).expect("an input");
    let mut at = x;
    let layers: Vec<(&str, AnyLayer<f32>)> = vec![
        ("layer_norm", ops::LayerNormalization::new(6).expect("a layer").epsilon(0.25).into()),
        ("batch_norm", ops::BatchNormalization::new(6).expect("a layer").epsilon(0.125).into()),
        ("prelu", ops::PRelu::new(Array2::from_elem((1, 6), 0.3).into_dyn()).into()),
        ("elu", Activation::Elu { alpha: 0.5 }.into()),
        ("softmax", ops::Softmax::new(1).into()),
        ("identity", ops::Identity::new().into()),
        ("permute", ops::Permute::new([2, 1]).into()),
        ("reshape", ops::Reshape::new([None, Some(6)]).into()),
        ("each", AnyLayer::from(Dense::new(6, 6)).for_each_step()),
        ("boxed", (Box::new(TimeDistributed::new(Dense::new(6, 6))) as Box<dyn Layer<f32>>).into()),
        ("boxed_dense", (Box::new(Dense::new(6, 6)) as Box<dyn Layer<f32>>).into()),
        (
            "stack",
            Stacked::builder()
                .layer(Gru::builder(6, 6).return_sequences(true).build().expect("a layer"))
                .build()
                .expect("a stack")
                .into(),
        ),
    ];
    for (name, layer) in layers {
        at = graph.call(name, layer, &[at]).expect("a call")[0];
    }
    let two: [AnyLayer<f32>; 6] = [
        ops::Add.into(),
        ops::Subtract.into(),
        ops::Multiply.into(),
        ops::Average.into(),
        ops::Maximum.into(),
        ops::Minimum.into(),
    ];
    for layer in two {
        let name = layer.class_name();
        at = graph.call(name, layer, &[at, x]).expect("a call")[0];
    }
    let joined = graph.call("joined", ops::Concatenate::new(1), &[at, x]).expect("a call");
    let flat = graph.call("flat", ops::Flatten, &joined).expect("a call");
    let repeated = graph.call("repeated", ops::RepeatVector::new(3), &flat).expect("a call");
    let expanded = graph.call("expanded", ops::ExpandDims::new(-1), &repeated).expect("a call");
    graph.build(&[expanded[0], at]).expect("a model")
}

/// What stands between layers.
fn between() -> Model<f32> {
    let mut graph = Model::<f32>::builder("between");
    let x = graph.input("x", [Some(4), Some(3)]).expect("an input");
    let gru = Gru::builder(3, 3).return_sequences(true).build().expect("a layer");
    let h = graph.call("gru", gru, &[x]).expect("a call")[0];
    let scaled = graph.call("scaled", ops::Rescaling::new(0.5, -1.0), &[x]).expect("a call")[0];
    let attention = ops::Attention::new().use_scale().causal().return_scores();
    let seen = graph.call("attention", attention, &[h, scaled]).expect("a call");
    let turned = graph.call("turned", ops::Transpose::new([0, 2, 1]), &[h]).expect("a call");
    let product = graph.call("product", ops::Matmul, &[seen[0], turned[0]]).expect("a call");
    let cosine = graph.call("cosine", ops::Dot::new(2, 2).normalize(), &[h, x]).expect("a call");
    let back = graph.call("back", ops::Flip::new(1), &product).expect("a call");
    let part = graph.call("part", ops::GetItem::range(1, Some(1), Some(-1)), &back).expect("a call");
    let sum = graph.call("sum", ops::Sum::new(-1).keepdims(), &part).expect("a call");
    let last = graph.call("last", ops::GetItem::at(1, -1), &[h]).expect("a call");
    graph.build(&[sum[0], last[0], cosine[0], seen[1]]).expect("a model")
}

fn convolutions() -> Model<f32> {
    let plain = Conv1D::builder(3, 6, 2).groups(3).activation(Activation::Relu).padding(Padding::Causal);
    let depthwise = DepthwiseConv1D::builder(6, 2).depth_multiplier(2).dilation_rate(2).padding(Padding::Same);
    let separable = SeparableConv1D::builder(12, 5, 3).use_bias(false).strides(2);
    let first = AnyLayer::from(ops::ZeroPadding1D::new(1, 4)).channels_first();
    let mut graph = Model::<f32>::builder("convolutions");
    let mut at = graph.input("x", [None, Some(3)]).expect("an input");
    let layers: [(&str, AnyLayer<f32>); 7] = [
        ("plain", plain.build().expect("a layer").into()),
        ("depthwise", depthwise.build().expect("a layer").into()),
        ("separable", separable.build().expect("a layer").into()),
        ("first", first),
        ("up", ops::UpSampling1D::new(9).expect("a layer").into()),
        ("max", ops::MaxPooling1D::new(3).and_then(|pool| pool.strides(2)).expect("a layer").into()),
        ("mean", ops::AveragePooling1D::new(2).and_then(|pool| pool.padding(Padding::Same)).expect("a layer").into()),
    ];
    for (name, layer) in layers {
        at = graph.call(name, layer, &[at]).expect("a call")[0];
    }
    let cropped = graph.call("cropped", ops::Cropping1D::new(1, 0), &[at]).expect("a call");
    let most = graph.call("most", ops::GlobalMaxPooling1D::new().keepdims(true), &cropped).expect("a call");
    let all = graph.call("all", ops::GlobalAveragePooling1D::new(), &cropped).expect("a call");
    graph.build(&[most[0], all[0]]).expect("a model")
}

fn masks() -> Model<f32> {
    let mut graph = Model::<f32>::builder("masks");
    let x = graph.input("x", [None, Some(3)]).expect("an input");
    let real = graph.call("real", ops::NotEqual::new(0.25), &[x]).expect("a call");
    let any = graph.call("any", ops::Any::new(-1), &real).expect("a call");
    let ones = graph.call("ones", ops::Flags::new(true), &any).expect("a call");
    let zeros = graph.call("zeros", ops::Flags::new(false), &any).expect("a call");
    let either = graph.call("either", ops::LogicalOr, &[any[0], zeros[0]]).expect("a call");
    let hidden = graph.call("hidden", Masking::new(-0.5).expect("a number"), &[x]).expect("a call");
    let gru = Gru::builder(3, 4).return_sequences(true).zero_output_for_mask(true).build().expect("a layer");
    let first = graph.call_with("gru", gru, &hidden, |call| call.mask(&either)).expect("a call");
    let again = graph.call_again_with("gru", &[x], |call| call.mask(&ones)).expect("a call");
    let sum = graph.call("sum", ops::Add, &[first[0], again[0]]).expect("a call");
    graph.build(&sum).expect("a model")
}

fn nested() -> Model<f32> {
    let inner = Sequential::<f32>::builder("inner")
        .layer(Gru::builder(3, 4).return_sequences(true).build().expect("a layer"))
        .layer(Dense::new(4, 3))
        .build()
        .expect("a model");
    let each =
        Sequential::<f32>::builder("each").layer(Dense::new(3, 2)).input_shape([Some(3)]).build().expect("a model");
    let mut graph = Model::<f32>::builder("outer");
    let x = graph.input("x", [None, Some(3)]).expect("an input");
    let once = graph.call("inner", inner, &[x]).expect("a call");
    let twice = graph.call_again("inner", &once).expect("a call");
    let out = graph.call("each", AnyLayer::from(each).for_each_step(), &twice).expect("a call");
    let mut model = graph.build(&out).expect("a model");
    model.set_trainable("inner/dense", false).expect("a layer");
    model.set_trainable("each", false).expect("a layer");
    model
}

fn stateful() -> Model<f32> {
    let inner = Sequential::<f32>::builder("inner")
        .layer(AnyLayer::from(Gru::builder(3, 4).return_sequences(true).build().expect("a layer")).stateful())
        .layer(AnyLayer::from(Lstm::builder(4, 5).return_sequences(true).build().expect("a layer")).stateful())
        .build()
        .expect("a model");
    let mut graph = Model::<f32>::builder("stateful");
    let x = graph.input("x", [None, Some(3)]).expect("an input");
    // Made before what stands before it in the model's order.
    let last = AnyLayer::from(SimpleRnn::<f32>::new(5, 2)).stateful();
    let plain =
        graph.call("plain", Gru::builder(3, 3).return_sequences(true).build().expect("a layer"), &[x]).expect("a call");
    let first = AnyLayer::from(Mgu::<f32>::builder(3, 3).return_sequences(true).build().expect("a layer")).stateful();
    let first = graph.call("first", first, &plain).expect("a call");
    let middle = graph.call("inner", inner, &first).expect("a call");
    let last = graph.call("last", last, &middle).expect("a call");
    graph.build(&last).expect("a model")
}

/// A layer of each cell, and of stacked ones.
fn cells() -> Model<f32> {
    let cells = StackedCells::builder().cell(Gru::<f32>::builder(2, 3).build_cell().expect("a cell")).build();
    Sequential::<f32>::builder("cells")
        .layer(SimpleRnn::builder(3, 4).return_sequences(true).build().expect("a layer"))
        .layer(Lstm::builder(4, 3).return_sequences(true).peephole(true).build().expect("a layer"))
        .layer(Gru::builder(3, 4).return_sequences(true).build().expect("a layer"))
        .layer(IndRnn::builder(4, 3).return_sequences(true).build().expect("a layer"))
        .layer(Mgu::builder(3, 4).return_sequences(true).build().expect("a layer"))
        .layer(LayerNormLstm::builder(4, 2).return_sequences(true).build().expect("a layer"))
        .layer(Recurrent::from_cell(cells.expect("cells")))
        .build()
        .expect("a model")
}

/// A chain as one layer: with a Masking, and what works on each step.
fn as_layer() -> Box<dyn Layer<f32>> {
    let mut norm = ops::BatchNormalization::<f32>::new(4).expect("a layer").epsilon(0.25);
    norm = norm.epsilon(0.5);
    let mut model = Sequential::<f32>::builder("chain")
        .layer(Masking::new(0.25).expect("a number"))
        .layer(Gru::builder(3, 4).return_sequences(true).build().expect("a layer"))
        .layer(norm)
        .layer(ops::LayerNormalization::new(4).expect("a layer"))
        .layer(Activation::Softplus)
        .layer(ops::PRelu::new(Array1::from_elem(4, 0.3).insert_axis(Axis(0)).into_dyn()))
        .layer(Dense::new(4, 2))
        .build()
        .expect("a model");
    let mean = array![0.5_f32, -0.25, 1.0, 0.125].into_dyn();
    model.set_weights(&[("batch_normalization/moving_mean", mean.view())]).expect("set");
    model.into_layer().expect("a layer")
}

#[test]
fn the_same_predictions() {
    for model in
        [sentiment(), translator(), operations(), between(), convolutions(), masks(), nested(), stateful(), cells()]
    {
        let loaded = same_file(&model);
        assert_eq!(loaded.to_string(), model.to_string());
        assert_eq!(predict(&loaded).expect("run"), predict(&model).expect("run"), "{model}");
    }
    let layer = as_layer();
    let loaded = same_file(&layer);
    let x = Array3::from_shape_fn((2, 5, 3), |(i, j, k)| (i * 15 + j * 3 + k) as f32 / 8.0 - 1.0);
    assert_eq!(loaded.forward(&x), layer.forward(&x));
}

#[test]
fn states_go_on() {
    let model = stateful();
    let loaded = same_file(&model);
    assert!(loaded.is_stateful());
    let x = Array3::from_shape_fn((2, 5, 3), |(i, j, k)| (i * 15 + j * 3 + k) as f32 / 8.0 - 1.0);
    let (mut ours, mut theirs) = (loaded.initial_state(2), model.initial_state(2));
    for _ in 0..3 {
        let a = loaded.predict_stateful(&mut ours, &[(&x).into()]).expect("run");
        let b = model.predict_stateful(&mut theirs, &[(&x).into()]).expect("run");
        assert_eq!(a, b);
        assert_eq!(ours, theirs, "in the same order");
    }
}

#[test]
fn what_is_trained() {
    let model = nested();
    let loaded = same_file(&model);
    let gradients = |model: &Model<f32>| Gradients::new(model);
    assert_eq!(gradients(&loaded), gradients(&model));
}
