//! Convolutions and pooling built by hand: what they compute, how they stream, what is refused.

use ndarray::prelude::*;
use recurrent::{
    Activation, Conv1D, Dense, DepthwiseConv1D, Error, Gru, Initializer, Masking, Model, Padding, SeparableConv1D,
    Sequential, StreamPool,
    builder::ModelBuilder,
    model::{AnyLayer, ModelNode},
    ops,
};

type Outcome<V = ()> = Result<V, Box<dyn std::error::Error>>;

fn numbers(shape: [usize; 3]) -> Array3<f32> {
    Array3::from_shape_fn(shape, |(i, j, k)| ((7 * i + 3 * j + 5 * k) as f32).sin())
}

fn uniform() -> Initializer {
    Initializer::RandomUniform { minval: -0.5, maxval: 0.5, seed: Some(3) }
}

/// Convolutions in a row that all look back only: dilated, in groups, of each channel, of many channels.
fn causal() -> Outcome<Model<f32>> {
    let grouped = Conv1D::builder(6, 4, 3).groups(2).padding(Padding::Causal).dilation_rate(2);
    let depthwise = DepthwiseConv1D::builder(4, 2).depth_multiplier(3).padding(Padding::Causal).dilation_rate(3);
    let separable = SeparableConv1D::builder(12, 5, 3).padding(Padding::Causal).depth_multiplier(2);
    Ok(Sequential::builder("causal")
        .layer(Conv1D::builder(3, 6, 4).padding(Padding::Causal).activation(Activation::Relu).build()?)
        .layer(grouped.activation(Activation::Softmax).bias_initializer(uniform()).build()?)
        .layer(depthwise.use_bias(false).build()?)
        .layer(separable.activation(Activation::Tanh).build()?)
        .layer(Conv1D::builder(5, 3, 1).build()?)
        .layer(Gru::builder(3, 2).return_sequences(true).build()?)
        .build()?)
}

/// Steps are the whole, bit for bit, from a state that was saved too, and over again.
#[test]
fn causal_steps_are_the_whole() -> Outcome {
    let (model, x) = (causal()?, numbers([3, 17, 3]));
    let whole = model.predict_one(&x)?;
    let mut stream = model.stream(3)?;
    let mut saved = None;
    for _ in 0..2 {
        for (time, step) in x.axis_iter(Axis(1)).enumerate() {
            if time == 8 {
                saved = Some(stream.state());
            }
            assert_eq!(stream.step(&[step.into()])?[0], whole.index_axis(Axis(1), time), "step {time}");
        }
        stream.reset();
    }
    let saved = saved.expect("a state");
    assert_eq!(saved.states().len(), 5, "the convolution of one step keeps nothing");
    assert_eq!(saved.states()[0].names().collect::<Vec<_>>(), ["inputs"]);
    assert_eq!(saved.states()[1].names().collect::<Vec<_>>(), ["inputs", "position"]);
    let mut other = model.stream(3)?;
    other.set_state(&saved)?;
    for (time, step) in x.axis_iter(Axis(1)).enumerate().skip(8) {
        assert_eq!(other.step(&[step.into()])?[0], whole.index_axis(Axis(1), time), "step {time}");
    }
    // Whatever a state says, there is a step.
    let mut odd = saved.clone();
    odd.states_mut()[1].set("position", &array![[f32::NAN], [-3.0], [1e30]])?;
    other.set_state(&odd)?;
    other.step(&[x.index_axis(Axis(1), 0).into()])?;
    Ok(())
}

/// A row's result doesn't depend on the batch it stands in.
#[test]
fn a_batch_is_its_rows() -> Outcome {
    let first =
        Conv1D::builder(3, 37, 5).padding(Padding::Same).strides(2).activation(Activation::Gelu { approximate: true });
    let model = Sequential::builder("rows")
        .layer(first.build()?)
        .layer(ops::MaxPooling1D::new(2)?)
        .layer(DepthwiseConv1D::builder(37, 3).build()?)
        .layer(ops::AveragePooling1D::new(3)?.strides(1)?.padding(Padding::Same)?)
        .layer(SeparableConv1D::builder(37, 4, 2).build()?)
        .build()?;
    let x = numbers([5, 61, 3]);
    let whole = model.predict_one(&x)?;
    for (row, expected) in x.axis_iter(Axis(0)).zip(whole.axis_iter(Axis(0))) {
        assert_eq!(model.predict_one(row.insert_axis(Axis(0)))?, expected.insert_axis(Axis(0)));
    }
    Ok(())
}

/// At each step what the sequence up to there gives; masked steps don't count for the mean.
#[test]
fn pooling_of_all_steps_so_far() -> Outcome {
    let mut graph = Model::<f32>::builder("so_far");
    let x = graph.input("x", [None, Some(3)])?;
    let hidden = graph.call("masking", Masking::new(0.0)?, &[x])?;
    let gru = graph.call("gru", Gru::builder(3, 2).return_sequences(true).build()?, &hidden)?;
    let mean = graph.call("mean", ops::GlobalAveragePooling1D::new(), &gru)?;
    let most = graph.call("most", ops::GlobalMaxPooling1D::new().keepdims(true), &gru)?;
    let head = graph.call("head", Dense::new(2, 2), &mean)?;
    let model = graph.build(&[head[0], most[0]])?;
    let mut x = numbers([2, 6, 3]);
    x.slice_mut(s![0, 2..4, ..]).fill(0.0);
    let mut stream = model.stream(2)?;
    for time in 0..6 {
        let so_far = model.predict(&[(&x.slice(s![.., ..=time, ..])).into()])?;
        assert_eq!(stream.step(&[x.index_axis(Axis(1), time).into()])?, so_far);
    }
    Ok(())
}

#[test]
fn what_cannot_stream_is_named() -> Outcome {
    let conv = |padding, strides| Conv1D::<f32>::builder(3, 4, 2).padding(padding).strides(strides).build();
    let layers: [(&str, &str, AnyLayer<f32>); 6] = [
        ("conv1_d", "causal padding streams", conv(Padding::Same, 1)?.into()),
        ("conv1_d", "causal padding streams", conv(Padding::Same, 2)?.into()),
        ("max_pooling1_d", "valid padding streams", ops::MaxPooling1D::new(2)?.padding(Padding::Same)?.into()),
        ("average_pooling1_d", "valid padding streams", ops::AveragePooling1D::new(3)?.padding(Padding::Same)?.into()),
        ("zero_padding1_d", "its end", ops::ZeroPadding1D::new(1, 1).into()),
        ("cropping1_d", "its end", ops::Cropping1D::new(0, 1).into()),
    ];
    for (name, why, layer) in layers {
        let model = Sequential::builder("m").layer(layer).input_shape([None, Some(3)]).build()?;
        match model.stream(1) {
            Err(Error::CannotStream { layer, reason }) => {
                assert!(layer.replace('_', "") == name.replace('_', "") && reason.contains(why), "{layer}: {reason}");
            }
            other => panic!("{name}: {other:?}"),
        }
        assert!(matches!(model.into_layer(), Err(Error::CannotStream { .. })));
    }
    let refused = causal()?.into_layer();
    assert!(
        matches!(&refused, Err(Error::CannotStream { reason, .. }) if reason.contains("Model::stream")),
        "{refused:?}"
    );
    Ok(())
}

/// Zeros before a sequence are for a window that follows at once; what meets must come together.
#[test]
fn what_does_not_come_together_is_named() -> Outcome {
    type Build = fn(&mut ModelBuilder<f32>, ModelNode) -> recurrent::Result<Vec<ModelNode>>;
    let models: [(&str, &str, Build); 6] = [
        ("gru", "zeros", |graph, x| {
            let padded = graph.call("padded", ops::ZeroPadding1D::new(1, 0), &[x])?;
            graph.call("gru", Gru::builder(3, 2).return_sequences(true).build()?, &padded)
        }),
        ("conv", "zeros", |graph, x| {
            let padded = graph.call("padded", ops::ZeroPadding1D::new(3, 0), &[x])?;
            graph.call("conv", Conv1D::builder(3, 2, 3).build()?, &padded)
        }),
        ("end", "zeros", |graph, x| graph.call("end", ops::ZeroPadding1D::new(3, 0), &[x])),
        ("sum", "together", |graph, x| {
            let conv = graph.call("conv", Conv1D::builder(3, 3, 3).build()?, &[x])?;
            let cropped = graph.call("cropped", ops::Cropping1D::new(1, 0), &[x])?;
            graph.call("sum", ops::Add, &[conv[0], cropped[0]])
        }),
        ("pooled", "other steps", |graph, x| {
            let conv = graph.call("conv", Conv1D::builder(3, 3, 3).build()?, &[x])?;
            let pooled = graph.call("pooled", ops::MaxPooling1D::new(2)?, &conv)?;
            Ok(vec![conv[0], pooled[0]])
        }),
        ("late", "other steps", |graph, x| {
            let conv = graph.call("conv", Conv1D::builder(3, 3, 3).build()?, &[x])?;
            Ok(vec![x, graph.call("late", Gru::new(3, 2), &conv)?[0]])
        }),
    ];
    for (name, why, build) in models {
        let mut graph = Model::<f32>::builder("m");
        let x = graph.input("x", [None, Some(3)])?;
        let outputs = build(&mut graph, x)?;
        match graph.build(&outputs)?.stream(1) {
            Err(Error::CannotStream { layer, reason }) => {
                assert!(layer == name && reason.contains(why), "{name}: {layer}: {reason}");
            }
            other => panic!("{name}: {other:?}"),
        }
    }
    Ok(())
}

/// What a stream that thins out refuses, and that it is as before then.
#[test]
fn a_stream_that_thins_out_refuses_by_name() -> Outcome {
    let model = Sequential::<f32>::builder("thinner")
        .layer(Conv1D::builder(3, 2, 2).strides(2).build()?)
        .layer(Gru::builder(2, 2).return_sequences(true).build()?)
        .build()?;
    let (x, mut stream) = (numbers([2, 6, 3]), model.stream(2)?);
    let step = x.index_axis(Axis(1), 0);
    assert_eq!(stream.step(&[step.into()]), Err(Error::OutputsNotEachStep { first: 2, every: 2 }));
    assert_eq!(stream.step_one(&[0.0; 6]), Err(Error::OutputsNotEachStep { first: 2, every: 2 }));
    assert_eq!(stream.outputs_in(5), 2);
    let whole = model.predict_one(&x)?;
    let flat: Vec<f32> = x.iter().copied().collect();
    let refused = |input, outputs, output| Err(Error::BlockOutputs { features: 6, units: 4, input, outputs, output });
    assert_eq!(stream.process(&flat[..35], &mut [0.0; 12]), refused(35, 2, 12));
    assert_eq!(stream.process(&flat, &mut [0.0; 11]), refused(36, 3, 11));
    let mut output = [0.0; 12];
    assert_eq!(stream.process(&flat, &mut output)?, 3);
    assert_eq!(output[..], whole.iter().copied().collect::<Vec<_>>()[..]);

    // A step between two that give: the state says so, of all rows alike.
    assert_eq!(stream.push_one(&flat[..6])?, None);
    let state = stream.state();
    assert_eq!(state.states().last().map(|phase| phase.names().collect::<Vec<_>>()), Some(vec!["phase"]));
    for odd in [[0.0, 1.0], [f32::NAN, f32::NAN], [-1.0, -1.0], [0.5, 0.5], [9.0, 9.0]] {
        let mut other = state.clone();
        let phase = other.states_mut().last_mut().expect("a phase");
        phase.set("phase", &array![[odd[0]], [odd[1]]])?;
        assert!(matches!(stream.set_state(&other), Err(Error::StateLayout { .. })), "{odd:?}");
    }
    assert_eq!(stream.state(), state);
    let layer = model.clone().into_layer().map(drop);
    assert!(matches!(&layer, Err(Error::CannotStream { reason, .. }) if reason.contains("Model::stream")), "{layer:?}");
    let pool = StreamPool::new(&model).map(drop);
    assert!(matches!(&pool, Err(Error::CannotStream { reason, .. }) if reason.contains("Model::stream")), "{pool:?}");
    Ok(())
}

/// One convolution on steps and on what has no steps can't be one of a stream.
#[test]
fn a_shared_convolution_has_one_pace() -> Outcome {
    let mut graph = Model::<f32>::builder("shared");
    let (x, fixed) = (graph.input("x", [None, Some(3)])?, graph.input("fixed", [Some(6)])?);
    let layer = Conv1D::builder(3, 4, 2).padding(Padding::Causal).build()?;
    let steps = graph.call("conv", layer, &[x])?;
    let rows = graph.call("rows", ops::Reshape::new([None, Some(3)]), &[fixed])?;
    let whole = graph.call_again("conv", &rows)?;
    let model = graph.build(&[steps[0], whole[0]])?;
    assert!(matches!(model.stream(1), Err(Error::CannotStream { layer, .. }) if layer == "conv"));
    Ok(())
}

#[test]
fn what_a_builder_refuses() {
    let refused = [
        (Conv1D::<f32>::builder(0, 4, 2).build().map(drop), "input_size must be at least 1, got 0"),
        (Conv1D::<f32>::builder(3, 0, 2).build().map(drop), "filters must be at least 1, got 0"),
        (Conv1D::<f32>::builder(3, 4, 0).build().map(drop), "kernel_size must be at least 1, got 0"),
        (Conv1D::<f32>::builder(3, 4, 2).strides(0).build().map(drop), "strides must be at least 1, got 0"),
        (Conv1D::<f32>::builder(3, 4, 2).dilation_rate(0).build().map(drop), "dilation_rate must be at least 1, got 0"),
        (Conv1D::<f32>::builder(3, 4, 2).groups(0).build().map(drop), "groups must be at least 1, got 0"),
        (
            Conv1D::<f32>::builder(3, 4, 2).groups(2).build().map(drop),
            "groups must be a divisor of the input's channels and of the filters, got 2",
        ),
        (
            Conv1D::<f32>::builder(3, 4, 2).strides(2).dilation_rate(3).build().map(drop),
            "dilation_rate must be 1 where strides are above 1, got 3",
        ),
        (
            DepthwiseConv1D::<f32>::builder(3, 2).depth_multiplier(0).build().map(drop),
            "depth_multiplier must be at least 1, got 0",
        ),
        (
            SeparableConv1D::<f32>::builder(3, 4, 2).activation(Activation::Glu).build().map(drop),
            "glu changes the width, so it can't be the activation of this layer",
        ),
        (ops::MaxPooling1D::new(0).map(drop), "pool_size must be at least 1, got 0"),
        (ops::AveragePooling1D::new(2).and_then(|pool| pool.strides(0)).map(drop), "strides must be at least 1, got 0"),
        (
            ops::MaxPooling1D::new(2).and_then(|pool| pool.padding(Padding::Causal)).map(drop),
            "padding must be one of valid, same, got \"causal\"",
        ),
        (ops::UpSampling1D::new(0).map(drop), "size must be at least 1, got 0"),
    ];
    for (given, message) in refused {
        assert_eq!(given.map_err(|error| error.to_string()), Err(message.into()));
    }
    for huge in [1 << 40, usize::MAX / 2, usize::MAX] {
        assert!(Conv1D::<f32>::builder(huge, 4, 2).build().is_err());
        assert!(Conv1D::<f32>::builder(3, huge, 2).build().is_err());
        assert!(Conv1D::<f32>::builder(3, 4, huge).build().is_err());
        assert!(DepthwiseConv1D::<f32>::builder(huge, huge).build().is_err());
        assert!(SeparableConv1D::<f32>::builder(huge, huge, 2).depth_multiplier(huge).build().is_err());
    }
    assert!(Conv1D::<f32>::builder(3, 4, 2).dilation_rate(usize::MAX).build().is_err());
}

/// A window that reaches far, over few steps: no more memory than there is, and no panic.
#[test]
fn windows_that_reach_far() -> Outcome {
    for padding in [Padding::Causal, Padding::Same, Padding::Valid] {
        for dilation in [1 << 20, isize::MAX as usize / 2] {
            let layer = Conv1D::<f32>::builder(1, 2, 2).padding(padding).dilation_rate(dilation).build()?;
            let model = Sequential::builder("far").layer(layer).build()?;
            let given = model.predict_one(&Array3::<f32>::ones((1, 3, 1)));
            match (padding, dilation) {
                (Padding::Valid, _) => assert!(matches!(given, Err(Error::ModelCall { .. })), "{given:?}"),
                (_, 1_048_576) => assert_eq!(given?.shape(), [1, 3, 2]),
                _ => assert!(given.expect_err("too far").to_string().contains("doesn't fit in memory")),
            }
        }
    }
    Ok(())
}

/// Lengths that a call can't have, and the shapes that are known before.
#[test]
fn shapes() -> Outcome {
    let model = Sequential::<f32>::builder("shapes")
        .layer(Conv1D::builder(3, 4, 3).build()?)
        .layer(ops::Cropping1D::new(1, 2))
        .build()?;
    let refused = model.predict_one(&numbers([1, 2, 3])).expect_err("too short").to_string();
    assert!(refused.contains("3 steps or more"), "{refused}");
    let refused = model.predict_one(&numbers([1, 5, 3])).expect_err("too short").to_string();
    assert!(refused.contains("more than 3 steps"), "{refused}");
    assert_eq!(model.predict_one(&numbers([0, 7, 3]))?.shape(), [0, 2, 4]);
    let summary = model.to_string();
    assert!(summary.contains("conv1d (Conv1D)") && summary.contains("(None, None, 4)"), "{summary}");
    assert!(summary.contains("40 (160.00 B)"), "{summary}");
    Ok(())
}

/// `channels_first` is the layer between two Permutes.
#[test]
fn channels_first_is_turned() -> Outcome {
    let layer = Conv1D::builder(3, 4, 2).bias_initializer(uniform()).build()?;
    let plain = Sequential::<f32>::builder("last").layer(layer.clone()).build()?;
    let turned = Sequential::builder("first")
        .layer(AnyLayer::from(layer).channels_first())
        .input_shape([Some(3), None])
        .build()?;
    let x = numbers([2, 6, 3]);
    let expected = plain.predict_one(&x)?.permuted_axes([0, 2, 1].as_slice());
    assert_eq!(turned.predict_one(x.view().permuted_axes([0, 2, 1]))?, expected);
    Ok(())
}

/// Ids, too, come out with their channels first.
#[test]
fn channels_first_of_ids() -> Outcome {
    let mut graph = Model::<f32>::builder("m");
    let ids = graph.input_of_ids("ids", [Some(2), Some(3)])?;
    let padded = AnyLayer::from(ops::ZeroPadding1D::new(1, 0)).channels_first();
    let y = graph.call("pad", padded, &[ids])?;
    let model = graph.build(&y)?;
    let y = model.predict_one(&array![[[1, 2, 3], [4, 5, 6]]])?;
    assert_eq!(y, array![[[0.0, 1.0, 2.0, 3.0], [0.0, 4.0, 5.0, 6.0]]].into_dyn());
    Ok(())
}

/// No rows: no steps to compute, and no shape that is too large to be one.
#[test]
fn no_rows() -> Outcome {
    let mut stream = causal()?.stream(0)?;
    assert_eq!(stream.step(&[(&Array2::<f32>::zeros((0, 3))).into()])?[0].shape(), [0, 2]);
    for layer in [AnyLayer::<f32>::from(ops::ZeroPadding1D::new(1 << 62, 0)), ops::UpSampling1D::new(1 << 61)?.into()] {
        let mut graph = Model::<f32>::builder("m");
        let x = graph.input("x", [None, Some(3)])?;
        let y = graph.call("large", layer, &[x])?;
        let model = graph.build(&y)?;
        let refused = model.predict_one(&Array3::<f32>::zeros((0, 5, 3))).expect_err("too large");
        assert!(refused.to_string().contains("doesn't fit in memory"), "{refused}");
    }
    Ok(())
}
