//! Convolutions and pooling, forward and backward.

use ndarray::prelude::*;
use recurrent::training::Tape;
use recurrent::{
    Conv1D, DepthwiseConv1D, Float, Gradients, Padding, SeparableConv1D, Sequential, model::AnyLayer, ops,
};

use super::numbers::Numbers;
use super::{Case, named};

/// Channels that fill a register, a half and none, one by one and several at once.
const CHANNELS: [usize; 5] = [1, 6, 16, 33, 70];

pub fn convolutions<T: Float>() {
    for (i, channels) in CHANNELS.into_iter().enumerate() {
        let (filters, taps) = (CHANNELS[(i + 2) % CHANNELS.len()], 1 + i % 4);
        let padding = [Padding::Valid, Padding::Same, Padding::Causal][i % 3];
        let dilated = Conv1D::builder(channels, filters, taps).dilation_rate(1 + i % 3).padding(padding);
        let strided = Conv1D::builder(channels, filters, taps).strides(1 + i % 3).padding(padding);
        let grouped = Conv1D::builder(channels, 2 * channels, taps).groups(channels).padding(padding);
        let depthwise = DepthwiseConv1D::builder(channels, taps).depth_multiplier(1 + i % 2).padding(padding);
        let separable = SeparableConv1D::builder(channels, filters, taps).strides(1 + i % 2).padding(padding);
        let layers: Vec<(&str, AnyLayer<T>)> = vec![
            ("dilated", dilated.activation(named("tanh")).build().expect("sound sizes").into()),
            ("strided", strided.build().expect("sound sizes").into()),
            ("grouped", grouped.activation(named("softmax")).build().expect("sound sizes").into()),
            ("depthwise", depthwise.activation(named("sigmoid")).build().expect("sound sizes").into()),
            ("separable", separable.build().expect("sound sizes").into()),
            ("mean", ops::AveragePooling1D::new(taps).expect("sound sizes").into()),
            ("largest", ops::MaxPooling1D::new(taps).expect("sound sizes").into()),
            ("all", ops::GlobalAveragePooling1D::new().into()),
        ];
        for (name, layer) in layers {
            there_and_back(&format!("{name}, {channels} channels"), layer, channels, taps * channels);
        }
    }
}

fn there_and_back<T: Float>(name: &str, layer: AnyLayer<T>, channels: usize, products: usize) {
    let (batch, steps) = (3, 29);
    let model = Sequential::builder("m").layer(layer).input_shape([None, Some(channels)]).build();
    let mut model = model.expect("a layer that fits");
    let mut numbers = Numbers::new(3, "weights");
    let mut new: Vec<(String, ArrayD<T>)> = Vec::new();
    for (name, old) in model.weights() {
        let scale = 1.5 / (old.len() as f64 + 3.0).sqrt();
        new.push((name, numbers.array(scale, old.raw_dim())));
    }
    let new: Vec<_> = new.iter().map(|(name, array)| (name.as_str(), array.view())).collect();
    model.set_weights(&new).expect("arrays of the same shapes");
    let x: Array3<T> = Numbers::new(5, name).array(1.0, (batch, steps, channels));
    let (mut tape, mut gradients) = (Tape::new(), Gradients::new(&model));
    let outputs = model.record(&[(&x).into()], &mut tape).expect("an input that fits");
    let upstream: ArrayD<T> = Numbers::new(6, name).array(1.0, outputs[0].raw_dim());
    model.backward(&mut tape, &[&upstream], &mut gradients).expect("a tape of this model");
    let mut case =
        Case::new(products * batch, 4 * steps).array(&outputs[0]).array(&gradients.input_at(0).expect("asked for"));
    for (_, gradient) in gradients.iter() {
        case = case.array(&gradient);
    }
    case.print(name);
}
