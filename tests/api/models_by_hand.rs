//! Models built by hand: what they compute, what they print, how they stream, and what is refused.

use ndarray::prelude::*;
use recurrent::training::{Adam, Loss, Optimizer, Tape};
use recurrent::{
    Activation, Bidirectional, Dense, Embedding, Error, Gradients, Gru, Layer, Lstm, Masking, Model, Run, Sequential,
    Stacked,
    model::{AnyLayer, Input},
    ops,
    training::Network,
};

type Outcome<V = ()> = Result<V, Box<dyn std::error::Error>>;

fn numbers(shape: [usize; 3]) -> Array3<f32> {
    Array3::from_shape_fn(shape, |(i, j, k)| ((7 * i + 3 * j + 5 * k) as f32).sin())
}

fn sequences(input: usize, units: usize) -> Outcome<Lstm<f32>> {
    Ok(Lstm::builder(input, units).return_sequences(true).build()?)
}

/// An encoder whose state starts a decoder.
fn translator() -> Outcome<Model<f32>> {
    let mut graph = Model::builder("translator");
    let (source, target) = (graph.input("source", [None, Some(3)])?, graph.input("target", [None, Some(2)])?);
    let encoded = graph.call("encoder", Lstm::builder(3, 4).return_state(true).build()?, &[source])?;
    let decoded = graph.call_with("decoder", sequences(2, 4)?, &[target], |call| call.initial_state(&encoded[1..]))?;
    let words = graph.call("words", Dense::new(4, 5), &[decoded[0]])?;
    Ok(graph.build(&[words[0]])?)
}

/// The mask of an Embedding goes along a chain, as by hand.
#[test]
fn a_chain_that_begins_with_an_embedding() -> Outcome {
    let table = Embedding::<f32>::builder(9, 3).mask_zero(true).build()?;
    let (lstm, both) = (sequences(3, 4)?, Bidirectional::new(Gru::builder(4, 5))?);
    let head = Dense::builder(10, 2).activation(Activation::Softmax).build()?;
    let model = Sequential::builder("sentiment")
        .layer(table.clone())
        .layer(lstm.clone())
        .layer(both.clone())
        .named("head", head.clone())
        .build()?;
    let ids = array![[5, 8, 1, 0, 0], [2, 3, 5, 7, 0]];
    let (x, mask) = table.forward(&ids)?;
    let run = || Run::new().mask_if(mask.as_ref());
    let y = lstm.run(&x, run())?;
    let by_hand = head.forward_rows(both.run(&y.sequence()?.to_owned(), run())?.last())?;
    assert_eq!(model.predict_one(&ids)?, by_hand.into_dyn());
    let names: Vec<&str> = model.layer_names().collect();
    assert_eq!(names, ["input", "embedding", "lstm", "bidirectional", "head"]);
    assert_eq!(model.weight("bidirectional/backward/kernel")?, both.weight("backward/kernel")?);
    assert!(model.to_string().contains("bidirectional (Bidirectional)"), "{model}");
    Ok(())
}

#[test]
fn a_chain_that_begins_with_a_masking() -> Outcome {
    let (lstm, gru) = (sequences(3, 4)?, Gru::new(4, 2));
    let model = Sequential::builder("m").layer(Masking::new(0.5)?).layer(lstm.clone()).layer(gru.clone()).build()?;
    assert_eq!(model.inputs().next(), Some(("input", &[None, None, Some(3)][..])));
    let mut x = numbers([2, 5, 3]);
    x.slice_mut(s![0, 3.., ..]).fill(0.5);
    let (hidden, mask) = Masking::new(0.5)?.forward(&x)?;
    let stack = Stacked::builder().layer(lstm).layer(gru).build()?;
    let by_hand = stack.run(&hidden, Run::new().mask(&mask))?.into_last();
    assert_eq!(model.predict_one(&x)?, by_hand.into_dyn());
    // Behind each other, step by step.
    let mut stream = model.stream(2)?;
    for time in 0..5 {
        stream.step(&[(&x.index_axis(Axis(1), time)).into()])?;
    }
    assert_eq!(stream.outputs()[0], model.predict_one(&x)?);
    Ok(())
}

/// The decoder's steps are the whole, and each start forgets the one before.
#[test]
fn a_decoder_steps() -> Outcome {
    let model = translator()?;
    let (source, target) = (numbers([2, 6, 3]), numbers([2, 4, 2]));
    let whole = model.predict_named(&[("target", (&target).into()), ("source", (&source).into())])?;
    let mut stream = model.stream(2)?;
    assert_eq!(stream.start_inputs().collect::<Vec<_>>(), ["source"]);
    assert_eq!(stream.step_inputs().collect::<Vec<_>>(), ["target"]);
    let first = target.index_axis(Axis(1), 0);
    let refused = stream.step(&[first.into()]).map(drop);
    assert_eq!(refused, Err(Error::StreamNotStarted { inputs: vec!["source".into()] }));
    for other in [numbers([2, 1, 3]), source.clone(), source.clone()] {
        stream.start(&[(&other).into()])?;
        stream.step(&[first.into()])?;
    }
    stream.start_named(&[("source", (&source).into())])?;
    for (time, step) in target.axis_iter(Axis(1)).enumerate() {
        let outputs = stream.step_named(&[("target", step.into())])?;
        assert_eq!(outputs[0], whole[0].index_axis(Axis(1), time));
    }
    assert_eq!(stream.output("words")?, whole[0].index_axis(Axis(1), 3));
    // Again from the same beginning.
    stream.reset();
    assert_eq!(stream.step(&[first.into()])?[0], whole[0].index_axis(Axis(1), 0));
    assert!(matches!(stream.start(&[]), Err(Error::ModelInputs { expected: 1, given: 0 })));
    assert!(matches!(stream.start(&[(&numbers([3, 6, 3])).into()]), Err(Error::StateBatch { .. })));
    Ok(())
}

/// What is repeated is known before the first step, of which no input may be left.
#[test]
fn an_autoencoder_steps() -> Outcome {
    let model = Sequential::builder("autoencoder")
        .layer(Lstm::new(3, 4))
        .layer(ops::RepeatVector::new(6))
        .layer(sequences(4, 5)?)
        .layer(AnyLayer::from(Dense::new(5, 3)).for_each_step())
        .build()?;
    let x = numbers([2, 6, 3]);
    let whole = model.predict_one(&x)?;
    let mut stream = model.stream(2)?;
    assert_eq!((stream.start_inputs().count(), stream.step_inputs().count()), (1, 0));
    for _ in 0..2 {
        stream.start(&[(&x).into()])?;
        for step in whole.axis_iter(Axis(1)) {
            assert_eq!(stream.step(&[])?[0], step);
        }
    }
    Ok(())
}

/// An id that isn't there leaves the stream as it was, whatever comes before it.
#[test]
fn a_step_that_is_refused() -> Outcome {
    let mut graph = Model::builder("two");
    let (x, ids) = (graph.input("x", [None, Some(3)])?, graph.input_of_ids("ids", [None])?);
    let a = graph.call("lstm", sequences(3, 4)?, &[x])?;
    let b = graph.call("table", Embedding::new(9, 4), &[ids])?;
    let sum = graph.call("sum", ops::Add, &[a[0], b[0]])?;
    let model = graph.build(&sum)?;
    let (x, good, bad) = (numbers([1, 1, 3]), array![4], array![9]);
    let x = x.index_axis(Axis(1), 0);
    let mut stream = model.stream(1)?;
    let first = stream.step(&[x.into(), (&good).into()])?.to_vec();
    let second = stream.step(&[x.into(), (&good).into()])?.to_vec();
    stream.reset();
    assert_eq!(stream.step(&[x.into(), (&good).into()])?, first);
    assert!(matches!(stream.step(&[x.into(), (&bad).into()]), Err(Error::EmbeddingId { .. })));
    assert_eq!(stream.step(&[x.into(), (&good).into()])?, second);
    Ok(())
}

/// Shared layers, models as layers, several outputs.
#[test]
fn graphs() -> Outcome {
    let shared = Gru::<f32>::builder(3, 3).return_sequences(true).build()?;
    let mut inner = Model::builder("inner");
    let x = inner.input("x", [None, Some(3)])?;
    let y = inner.call("gru", shared.clone(), &[x])?;
    let inner = inner.build(&y)?;
    let mut graph = Model::builder("outer");
    let (a, b) = (graph.input("a", [None, Some(3)])?, graph.input("b", [None, Some(3)])?);
    let first = graph.call("pair", inner, &[a])?;
    let second = graph.call_again("pair", &[b])?;
    let joined = graph.call("joined", ops::Concatenate::new(-1), &[first[0], second[0]])?;
    let head = graph.call("head", AnyLayer::from(Dense::new(6, 2)).for_each_step(), &joined)?;
    let model = graph.build_named(&[("y", head[0]), ("first", first[0])])?;
    assert_eq!(model.output_names().collect::<Vec<_>>(), ["y", "first"]);
    assert_eq!(model.count_params(), shared.count_params() + 14);
    let (a, b) = (numbers([2, 4, 3]), numbers([2, 4, 3]) * 0.5);
    let outputs = model.predict(&[(&a).into(), (&b).into()])?;
    assert_eq!(outputs[1], shared.forward(&a)?.sequence()?.to_owned().into_dyn());
    let mut stream = model.stream(2)?;
    for (time, (a, b)) in a.axis_iter(Axis(1)).zip(b.axis_iter(Axis(1))).enumerate() {
        let step = stream.step_named(&[("b", b.into()), ("a", a.into())])?;
        for (ours, whole) in step.iter().zip(&outputs) {
            assert_eq!(ours, whole.index_axis(Axis(1), time));
        }
    }
    Ok(())
}

/// One loop trains a layer and a model, and finds the same gradients.
#[test]
fn one_loop_for_layers_and_models() -> Outcome {
    type Run = (Vec<f32>, Vec<ArrayD<f32>>);
    fn train<N: Network<f32>>(network: &mut N, x: &[Input<'_, f32>], target: &ArrayD<f32>) -> Outcome<Run> {
        let (mut tape, mut gradients) = (Tape::new(), Gradients::new(network));
        let (mut optimizer, mut losses) = (Adam::new(0.05), Vec::new());
        for _ in 0..3 {
            let outputs = network.record(x, &mut tape, None)?;
            let (loss, d_output) = Loss::MeanSquaredError.with_gradient(&outputs[0], target)?;
            gradients.clear();
            network.backpropagate(&mut tape, &[&d_output], &mut gradients)?;
            optimizer.step(network, &gradients)?;
            losses.push(loss);
        }
        let all = gradients.iter().map(|(_, gradient)| gradient.to_owned()).collect();
        Ok((losses, [all, vec![gradients.input_at(0)?.to_owned()]].concat()))
    }
    let (lstm, head) = (Lstm::new(3, 4), Dense::new(4, 2));
    let mut layer = Stacked::builder().layer(lstm.clone()).layer(head.clone()).build()?;
    let mut model = Sequential::builder("m").layer(lstm).layer(head).build()?;
    let (x, target) = (numbers([2, 5, 3]), Array2::ones((2, 2)).into_dyn());
    let of_layer = train(&mut layer, &[(&x).into()], &target)?;
    assert_eq!(train(&mut model, &[(&x).into()], &target)?, of_layer);
    assert!(of_layer.0[2] < of_layer.0[0]);
    let refused = train(&mut layer, &[(&array![[1.0_f32]]).into()], &target).unwrap_err();
    assert!(refused.to_string().contains("floats of shape (batch, timesteps, 3)"), "{refused}");
    Ok(())
}

#[test]
fn mistakes() -> Outcome {
    let empty = Sequential::<f32>::builder("nothing").build().map(drop);
    assert_eq!(empty, Err(Error::EmptyModel { model: "nothing".into() }));
    let unknown = Sequential::<f32>::builder("flat").layer(ops::Flatten).build().map(drop);
    assert_eq!(unknown, Err(Error::InputUnknown { model: "flat".into() }));
    Sequential::<f32>::builder("flat").input_shape([Some(2), Some(3)]).layer(ops::Flatten).build()?;
    let twice = Sequential::<f32>::builder("m").named("a", Lstm::new(3, 4)).named("a", Dense::new(4, 2)).build();
    assert!(matches!(twice, Err(Error::DuplicateName { what: "layer", name }) if name == "a"));
    let narrow = Sequential::<f32>::builder("m").layer(Lstm::new(3, 4)).layer(Dense::new(5, 2)).build();
    assert!(matches!(narrow, Err(Error::ModelCall { layer, .. }) if layer == "dense"));

    let mut deep = Sequential::builder("deep").layer(Lstm::<f32>::new(3, 4)).build()?;
    let error = loop {
        match Sequential::builder("deep").input_shape([None, Some(3)]).layer(deep).build() {
            Ok(model) => deep = model,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, Error::NestedTooDeep { .. }));

    let mut graph = Model::<f32>::builder("m");
    let x = graph.input("x", [None, Some(3)])?;
    assert!(matches!(graph.input("x", [None]), Err(Error::DuplicateName { what: "input", .. })));
    assert!(matches!(graph.call("x", Lstm::new(3, 4), &[x]), Err(Error::DuplicateName { what: "layer", .. })));
    assert!(
        matches!(graph.call("wide", Lstm::new(5, 4), &[x]), Err(Error::ModelCall { layer, .. }) if layer == "wide")
    );
    assert!(matches!(graph.call_again("gone", &[x]), Err(Error::UnknownName { what: "layer", .. })));
    let mut other = Model::<f32>::builder("other");
    let foreign = other.input("x", [None, Some(3)])?;
    let refused = other.call("lstm", Lstm::new(3, 4), &[x]);
    assert_eq!(refused, Err(Error::ForeignNode { layer: "lstm".into() }));
    let mut graph = Model::<f32>::builder("m");
    let x = graph.input("x", [None, Some(3)])?;
    let y = graph.call("lstm", Lstm::new(3, 4), &[x])?;
    assert_eq!(graph.build(&[foreign]).map(drop), Err(Error::ForeignNode { layer: String::new() }));
    let mut graph = Model::<f32>::builder("m");
    let (x, _) = (graph.input("x", [None, Some(3)])?, graph.input("idle", [None, Some(3)])?);
    let y2 = graph.call("lstm", Lstm::new(3, 4), &[x])?;
    assert_eq!(graph.build(&y2).map(drop), Err(Error::Unused { what: "input", name: "idle".into() }));
    assert_eq!(Model::<f32>::builder("m").build(&[]).map(drop), Err(Error::EmptyModel { model: "m".into() }));
    let mut graph = Model::<f32>::builder("m");
    let x = graph.input("x", [None, Some(3)])?;
    let state = graph.input("state", [Some(5)])?;
    let refused = graph.call_with("lstm", Lstm::new(3, 4), &[x], |call| call.initial_state(&[state]));
    assert!(matches!(refused, Err(Error::ModelCall { layer, .. }) if layer == "lstm"));
    let _ = y;
    Ok(())
}

/// What can't be stepped is named.
#[test]
fn what_does_not_stream() -> Outcome {
    let reason = |model: Model<f32>| match model.stream(1) {
        Err(Error::CannotStream { layer, .. }) => layer,
        other => panic!("{other:?}"),
    };
    let back = Sequential::builder("m").layer(Lstm::builder(3, 4).go_backwards(true).build()?).build()?;
    assert_eq!(reason(back), "lstm");
    let both = Sequential::builder("m").layer(Bidirectional::new(Lstm::builder(3, 4))?).build()?;
    assert_eq!(reason(both), "bidirectional");
    let flat = Sequential::builder("m").input_shape([Some(4), Some(3)]).layer(ops::Flatten).build()?;
    assert_eq!(reason(flat), "flatten");
    // The sequence that the initial state is made of is stepped, too.
    let mut graph = Model::builder("m");
    let x = graph.input("x", [None, Some(3)])?;
    let first = graph.call("first", Lstm::builder(3, 4).return_state(true).build()?, &[x])?;
    let second = graph.call_with("second", sequences(3, 4)?, &[x], |call| call.initial_state(&first[1..]))?;
    assert_eq!(reason(graph.build(&second)?), "second");
    Ok(())
}

/// A model from a file of Keras, and the same built by hand with its weights: the same bits, the same table.
/// A state inside `for_each_step` is refused, of a layer as of one in a model: the next layer's would be read instead.
#[test]
fn states_inside_a_wrapper() -> Outcome {
    let gru = || AnyLayer::from(Gru::<f64>::new(3, 2));
    let inner = |layer| Sequential::<f64>::builder("inner").layer(layer).build();
    let build = |wrapped: AnyLayer<f64>| -> Outcome<_> {
        let mut graph = Model::<f64>::builder("outer");
        let x = graph.input("x", [None, Some(4), Some(3)])?;
        let each = graph.call("each", wrapped, &[x])?;
        let y = graph.call("behind", AnyLayer::from(Gru::<f64>::new(2, 4)).stateful(), &each)?;
        Ok(graph.build(&y)?)
    };
    for wrapped in [gru().stateful(), AnyLayer::from(inner(gru().stateful())?)] {
        let refused = build(wrapped.for_each_step()).map(|_| ()).expect_err("it keeps a state");
        assert_eq!(refused.downcast_ref(), Some(&Error::StatefulInside { layer: "each".into() }));
    }
    let model = build(AnyLayer::from(inner(gru())?).for_each_step())?;
    assert_eq!(model.initial_state(2).states().len(), 1);
    Ok(())
}

#[cfg(feature = "keras")]
mod like_a_file {
    use recurrent::keras;

    use super::*;

    fn load(name: &str) -> Outcome<Model<f32>> {
        let root = env!("CARGO_MANIFEST_DIR");
        Ok(keras::load(format!("{root}/tests/golden/keras_models/models/{name}.keras"))?)
    }

    /// Gives the weights of one model to another, both in the order of their layers.
    fn with_weights(mut ours: Model<f32>, theirs: &Model<f32>) -> Outcome<Model<f32>> {
        let names: Vec<String> = ours.weights().into_iter().map(|(name, _)| name).collect();
        let weights = theirs.weights();
        assert_eq!(names.len(), weights.len());
        let new: Vec<_> = names.iter().map(String::as_str).zip(weights.into_iter().map(|(_, array)| array)).collect();
        ours.set_weights(&new)?;
        Ok(ours)
    }

    fn same(ours: &Model<f32>, theirs: &Model<f32>, inputs: &[Input<'_, f32>]) -> Outcome {
        assert_eq!(ours.predict(inputs)?, theirs.predict(inputs)?);
        Ok(())
    }

    #[test]
    fn encoder_and_decoder() -> Outcome {
        let theirs = load("encoder_decoder")?;
        let mut graph = Model::builder(theirs.name());
        let (source, target) = (graph.input("source", [None, Some(3)])?, graph.input("target", [None, Some(2)])?);
        let encoded = graph.call("encoder", Lstm::builder(3, 4).return_state(true).build()?, &[source])?;
        let decoder = sequences(2, 4)?;
        let decoded = graph.call_with("decoder", decoder, &[target], |call| call.initial_state(&encoded[1..]))?;
        let head = graph.call("head", Dense::new(4, 2), &decoded)?;
        let ours = with_weights(graph.build(&head)?, &theirs)?;
        assert_eq!(ours.to_string(), theirs.to_string());
        same(&ours, &theirs, &[(&numbers([2, 5, 3])).into(), (&numbers([2, 4, 2])).into()])
    }

    /// Masks of two Embeddings that meet in merging layers. (The file has operations for them, which Keras writes.)
    #[test]
    fn masks_that_meet() -> Outcome {
        let theirs = load("masks_of_merging_layers")?;
        let names: Vec<String> = theirs.input_names().map(String::from).collect();
        let mut graph = Model::builder(theirs.name());
        let (a, b) = (graph.input_of_ids(&names[0], [None])?, graph.input_of_ids(&names[1], [None])?);
        let x = graph.call("embedding", Embedding::builder(9, 4).mask_zero(true).build()?, &[a])?;
        let y = graph.call_again("embedding", &[b])?;
        let total = graph.call("add", ops::Add, &[x[0], y[0]])?;
        let lstm = graph.call("lstm", sequences(4, 3)?, &total)?;
        let dense = graph.call("dense", Dense::new(4, 2), &y)?;
        let joined = graph.call("concatenate", ops::Concatenate::new(-1), &[lstm[0], dense[0]])?;
        let gru = graph.call("gru", Gru::new(4, 3), &total)?;
        let last = graph.call("lstm_1", Lstm::new(5, 2), &joined)?;
        let mean = graph.call("average", ops::Average, &[x[0], y[0]])?;
        let ours = with_weights(graph.build(&[gru[0], last[0], mean[0]])?, &theirs)?;
        let (a, b) = (array![[3, 1, 4, 0, 0, 0], [1, 5, 2, 6, 0, 0]], array![[2, 7, 0, 0, 0, 0], [1, 8, 2, 8, 1, 0]]);
        same(&ours, &theirs, &[(&a).into(), (&b).into()])?;
        let (mut one, mut other) = (ours.stream(2)?, theirs.stream(2)?);
        for time in 0..6 {
            let (a, b) = (a.index_axis(Axis(1), time), b.index_axis(Axis(1), time));
            assert_eq!(one.step(&[a.into(), b.into()])?, other.step(&[a.into(), b.into()])?);
        }
        let whole = ours.predict(&[(&a).into(), (&b).into()])?;
        assert_eq!(one.outputs()[..2], whole[..2]);
        assert_eq!(one.outputs()[2], whole[2].index_axis(Axis(1), 5));
        Ok(())
    }

    #[test]
    fn ids_that_are_padded() -> Outcome {
        let theirs = load("embedding_masked")?;
        let ours = Sequential::builder(theirs.name())
            .layer(Embedding::builder(9, 3).mask_zero(true).build()?)
            .layer(sequences(3, 4)?)
            .layer(Gru::new(4, 3))
            .build()?;
        let ours = with_weights(ours, &theirs)?;
        assert_eq!(ours.to_string(), theirs.to_string());
        same(&ours, &theirs, &[(&array![[3, 1, 4, 0, 0], [1, 5, 0, 2, 6]]).into()])
    }
}
