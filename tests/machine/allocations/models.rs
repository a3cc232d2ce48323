//! Streams of models: nothing from the first step on, whatever the graph.

use ndarray::prelude::*;
use recurrent::{
    Activation, Conv1D, Dense, DepthwiseConv1D, Embedding, Gru, Lstm, Masking, Model, Padding, Result, SeparableConv1D,
    Sequential, model::AnyLayer, model::Input, ops,
};

use super::counter::free;
use super::layers::numbers;

/// Several inputs and outputs, masks that meet, merging layers, a model as a layer.
fn graph() -> Result<Model<f32>> {
    let mut graph = Model::builder("graph");
    let (x, ids) = (graph.input("x", [None, Some(3)])?, graph.input_of_ids("ids", [None])?);
    let fixed = graph.input("fixed", [Some(2)])?;
    let hidden = graph.call("masking", Masking::new(0.0)?, &[x])?;
    let vectors = graph.call("table", Embedding::builder(9, 3).mask_zero(true).build()?, &[ids])?;
    let sum = graph.call("sum", ops::Add, &[hidden[0], vectors[0]])?;
    let product = graph.call("product", ops::Multiply, &[hidden[0], vectors[0]])?;
    let largest = graph.call("largest", ops::Maximum, &[hidden[0], vectors[0], sum[0]])?;
    let joined = graph.call("joined", ops::Concatenate::new(-1), &[sum[0], product[0], largest[0]])?;
    let lstm = Lstm::builder(9, 4).return_sequences(true).return_state(true).build()?;
    let lstm = graph.call("lstm", lstm, &joined)?;
    let tail = Sequential::builder("tail").layer(Gru::new(4, 2)).layer(Dense::new(2, 2)).build()?;
    let last = graph.call("tail", tail, &[lstm[0]])?;
    let both = graph.call("both", ops::Concatenate::new(-1), &[last[0], fixed, lstm[1]])?;
    let each = graph.call("each", AnyLayer::from(Dense::new(4, 2)).for_each_step(), &[lstm[0]])?;
    let shares = graph.call("shares", Activation::Softmax, &each)?;
    graph.build(&[shares[0], both[0]])
}

/// Convolutions that look back only, with and without groups and a dilation; pooling of all steps so far.
#[test]
fn steps_of_convolutions() -> Result<()> {
    for batch in [1, 3] {
        let grouped = Conv1D::builder(6, 4, 3).groups(2).padding(Padding::Causal).dilation_rate(2);
        let depthwise = DepthwiseConv1D::builder(4, 2).depth_multiplier(3).padding(Padding::Causal).dilation_rate(3);
        let model = Sequential::<f32>::builder("convolutions")
            .layer(Masking::new(0.0)?)
            .layer(Conv1D::builder(3, 6, 4).padding(Padding::Causal).activation(Activation::Softmax).build()?)
            .layer(grouped.build()?)
            .layer(depthwise.build()?)
            .layer(SeparableConv1D::builder(12, 5, 3).padding(Padding::Causal).depth_multiplier(2).build()?)
            .layer(Lstm::builder(5, 2).return_sequences(true).build()?)
            .layer(ops::GlobalAveragePooling1D::new())
            .layer(Dense::new(2, 2))
            .build()?;
        let mut stream = model.stream(batch)?;
        let x = numbers::<f32, _>((batch, 3));
        for _ in 0..3 {
            free("convolutions", || stream.step(&[(&x).into()]).map(|_| ()))?;
        }
    }
    Ok(())
}

/// Strides, windows without padding, zeros before them, what comes at other steps and is held for those between.
#[test]
fn steps_of_sequences_that_thin_out() -> Result<()> {
    for batch in [1, 3] {
        let mut graph = Model::<f32>::builder("thinner");
        let x = graph.input("x", [None, Some(3)])?;
        let padded = graph.call("padded", ops::ZeroPadding1D::new(2, 0), &[x])?;
        let conv = Conv1D::builder(3, 6, 4).strides(2).activation(Activation::Relu).build()?;
        let conv = graph.call("conv", conv, &padded)?;
        let pooled = graph.call("pooled", ops::MaxPooling1D::new(2)?, &conv)?;
        let gru = graph.call("gru", Gru::builder(6, 4).return_sequences(true).build()?, &pooled)?;
        let last = graph.call("last", ops::GetItem::at(1, -1), &gru)?;
        let dilated = DepthwiseConv1D::builder(3, 2).dilation_rate(2).build()?;
        let dilated = graph.call("dilated", dilated, &[x])?;
        let mean = graph.call("mean", ops::AveragePooling1D::new(3)?, &dilated)?;
        let mean = graph.call("mean_so_far", ops::GlobalAveragePooling1D::new(), &mean)?;
        let both = graph.call("both", ops::Concatenate::new(-1), &[last[0], mean[0]])?;
        let head = graph.call("head", Dense::new(7, 2), &both)?;
        let model = graph.build(&head)?;
        let mut stream = model.stream(batch)?;
        let x = numbers::<f32, _>((batch, 3));
        let mut given = 0;
        for _ in 0..20 {
            given += free("a push", || stream.push(&[(&x).into()]).map(|y| usize::from(y.is_some())))?;
        }
        assert!(given > 5 && given < 20, "{given}");
        let mut stream = model.stream(batch)?;
        let (block, mut output) = (numbers::<f32, _>(batch * 3 * 20), vec![0.0; batch * 2 * 20]);
        let block = block.as_slice().unwrap_or_default();
        assert_eq!(free("a block", || stream.process(block, &mut output))?, given);
        free("by name", || stream.push_named(&[("x", (&x).into())]).map(|_| ()))?;
    }
    Ok(())
}

#[test]
fn steps_of_graphs() {
    for batch in [1, 3] {
        let model = graph().unwrap();
        let (x, fixed) = (numbers::<f32, _>((batch, 3)), numbers::<f32, _>((batch, 2)));
        let (ids, masked) = (Array1::from_elem(batch, 4), Array1::zeros(batch));
        let mut stream = model.stream(batch).unwrap();
        for ids in [&ids, &masked, &ids] {
            free("a graph", || stream.step(&[(&x).into(), ids.into(), (&fixed).into()]).map(|_| ())).unwrap();
        }
        let zeros = Array2::<f32>::zeros((batch, 3));
        let mut named = || {
            let inputs = [("fixed", (&fixed).into()), ("x", (&zeros).into()), ("ids", (&ids).into())];
            stream.step_named(&inputs).map(|_| ())
        };
        free("by name", &mut named).unwrap();
        free("by name again", named).unwrap();
    }
}

#[test]
fn steps_of_a_decoder() {
    let mut graph = Model::<f32>::builder("translator");
    let source = graph.input("source", [None, Some(3)]).unwrap();
    let target = graph.input_of_ids("target", [None]).unwrap();
    let encoder = Gru::builder(3, 4).return_state(true).build().unwrap();
    let encoded = graph.call("encoder", encoder, &[source]).unwrap();
    let vectors = graph.call("table", Embedding::new(9, 3), &[target]).unwrap();
    let decoder = Gru::builder(3, 4).return_sequences(true).build().unwrap();
    let decoded = graph.call_with("decoder", decoder, &vectors, |call| call.initial_state(&encoded[1..])).unwrap();
    let words = graph.call("words", Dense::new(4, 9), &decoded).unwrap();
    let mut stream = graph.build(&words).unwrap().stream(2).unwrap();
    stream.start(&[(&numbers::<f32, _>((2, 7, 3))).into()]).unwrap();
    let ids = array![3_u8, 8];
    for _ in 0..3 {
        free("a decoder", || stream.step(&[(&ids).into()]).map(|_| ())).unwrap();
    }
}

#[test]
fn steps_in_fewer_bits() {
    let model = Sequential::<f32>::builder("small")
        .layer(Lstm::builder(3, 20).return_sequences(true).build().unwrap())
        .layer(AnyLayer::from(Dense::new(20, 8)).for_each_step())
        .layer(Gru::new(8, 5))
        .layer(Dense::new(5, 2))
        .build()
        .unwrap();
    for precision in recurrent::Precision::ALL {
        let mut stream = model.quantize(precision).unwrap().stream(2).unwrap();
        let x = numbers::<f32, _>((2, 3));
        for _ in 0..3 {
            free("a model in fewer bits", || stream.step(&[(&x).into()]).map(|_| ())).unwrap();
        }
    }
    let conv = |input| Conv1D::builder(input, 8, 3).padding(Padding::Causal);
    let words = Sequential::<f32>::builder("words")
        .layer(Embedding::builder(9, 6).mask_zero(true).build().unwrap())
        .layer(conv(6).groups(2).build().unwrap())
        .layer(conv(8).dilation_rate(2).build().unwrap())
        .layer(Gru::new(8, 5))
        .build()
        .unwrap();
    for precision in recurrent::Precision::ALL {
        let mut stream = words.quantize(precision).unwrap().stream(2).unwrap();
        for ids in [array![3_u8, 8], array![0, 1], array![4, 4]] {
            free("ids and windows in fewer bits", || stream.step(&[(&ids).into()]).map(|_| ())).unwrap();
        }
    }
}

/// A step that becomes several.
#[test]
fn blocks_of_several_outputs() {
    for name in ["vocoder", "up_and_down", "last"] {
        let path = format!("{}/tests/golden/keras_models/upsampled/{name}.keras", env!("CARGO_MANIFEST_DIR"));
        let mut stream = recurrent::keras::load::<f32>(path).unwrap().stream(2).unwrap();
        let mut output = [0.0; 200];
        for _ in 0..3 {
            free(name, || stream.process(&[0.5; 2 * 2 * 3], &mut output).map(|_| ())).unwrap();
        }
    }
}

/// What Keras has put into bytes: rows, and ids. (An EinsumDense allocates, whatever its kernel is.)
#[test]
fn steps_of_keras_bytes() {
    for (name, width) in [("sequence", 3), ("chain", 4)] {
        let path = format!("{}/tests/golden/keras_models/int8/{name}.keras", env!("CARGO_MANIFEST_DIR"));
        let mut stream = recurrent::keras::load::<f32>(path).unwrap().stream(2).unwrap();
        let x = numbers::<f32, _>((2, width));
        for _ in 0..3 {
            free(name, || stream.step(&[(&x).into()]).map(|_| ())).unwrap();
        }
    }
    let path = format!("{}/tests/golden/keras_models/int8/words.keras", env!("CARGO_MANIFEST_DIR"));
    let mut stream = recurrent::keras::load::<f32>(path).unwrap().stream(2).unwrap();
    for ids in [array![3_u8, 8], array![0, 1], array![4, 4]] {
        free("words", || stream.step(&[(&ids).into()]).map(|_| ())).unwrap();
    }
}

/// Pictures of one dimension, some of whose steps and places are masked.
#[test]
fn steps_of_pictures() {
    let path = format!("{}/tests/golden/keras_models/conv_lstm/masked_steps.keras", env!("CARGO_MANIFEST_DIR"));
    let mut stream = recurrent::keras::load::<f32>(path).unwrap().stream(2).unwrap();
    let mut x = numbers::<f32, _>((2, 4, 2));
    for step in 0..3 {
        x.slice_mut(ndarray::s![.., step, ..]).fill(0.0);
        free("conv_lstm", || stream.step(&[(&x).into()]).map(|_| ())).unwrap();
    }
}

/// Operations between layers, which files of Keras have.
#[test]
fn steps_between_layers() {
    let models: [(&str, &[usize]); 5] = [
        ("last_step", &[3]),
        ("streamed_arithmetic", &[3, 1]),
        ("streamed_functions", &[4]),
        ("streamed_products", &[3, 3]),
        ("preprocessing", &[3]),
    ];
    for (name, widths) in models {
        let path = format!("{}/tests/golden/keras_models/operations/{name}.keras", env!("CARGO_MANIFEST_DIR"));
        let mut stream = recurrent::keras::load::<f32>(path).unwrap().stream(2).unwrap();
        let arrays: Vec<Array2<f32>> = widths.iter().map(|&width| numbers::<f32, _>((2, width))).collect();
        let inputs: Vec<Input<'_, f32>> = arrays.iter().map(Into::into).collect();
        for _ in 0..3 {
            free(name, || stream.step(&inputs).map(|_| ())).unwrap();
        }
    }
}
