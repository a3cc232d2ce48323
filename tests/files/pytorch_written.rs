//! What is written for PyTorch: read again it is the same, and `tests/golden/pytorch/round_trip.py` has had PyTorch
//! take the very bytes.

use std::path::{Path, PathBuf};

use ndarray::prelude::*;
use recurrent::ops::{BatchNormalization, LayerNormalization};
use recurrent::pytorch::{self, File, LoadError, Module, OneStep, SaveError};
use recurrent::{
    Activation, Bidirectional, Conv1D, Dense, Embedding, Float, Gru, Initializer, Layer, Lstm, Merge, Mgu, Padding,
    SimpleRnn, Stacked, TimeDistributed,
};
use serde_json::Value;
use sha2::{Digest, Sha256};

fn golden(name: &str) -> String {
    format!("{}/tests/golden/pytorch/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// A file among what the build leaves, where the script finds it.
fn target(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

fn refused<V>(error: LoadError) -> V {
    panic!("{error}")
}

fn json(name: &str) -> Value {
    let text = std::fs::read_to_string(golden(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// All recurrent modules of the golden file that are of a type, read as this type.
fn read<T: Float>(dtype: &str) -> Vec<(String, Box<dyn Layer<T>>, bool)> {
    let file = File::open(golden("cases.safetensors")).unwrap_or_else(refused);
    let mut all = Vec::new();
    for case in json("cases.json")["cases"].as_array().expect("cases").iter().filter(|case| case["dtype"] == dtype) {
        let (name, one_step) = (case["name"].as_str().expect("a name"), case["one_step"] == true);
        let prefix = format!("{name}.module");
        let layer = match (case["kind"].as_str().expect("a kind"), one_step) {
            ("LSTM" | "LSTM_PROJ", false) => file.lstm(&prefix),
            ("LSTM", _) => file.lstm_cell(&prefix),
            ("GRU", false) => file.gru(&prefix),
            ("GRU", _) => file.gru_cell(&prefix),
            ("RNN_RELU", false) => file.rnn(&prefix, Activation::Relu),
            ("RNN_RELU", _) => file.rnn_cell(&prefix, Activation::Relu),
            (_, false) => file.rnn(&prefix, Activation::Tanh),
            (_, true) => file.rnn_cell(&prefix, Activation::Tanh),
        };
        all.push((name.to_string(), layer.unwrap_or_else(refused), one_step));
    }
    all
}

fn write<T: Float>(
    name: &str,
    layers: &[(String, Box<dyn Layer<T>>, bool)],
    more: &[(&str, &dyn Module<T>)],
) -> String {
    let cells: Vec<_> = layers.iter().map(|(_, layer, _)| OneStep(layer)).collect();
    let mut modules: Vec<(&str, &dyn Module<T>)> = Vec::new();
    for ((name, layer, one_step), cell) in layers.iter().zip(&cells) {
        modules.push((name, if *one_step { cell } else { layer }));
    }
    modules.extend_from_slice(more);
    pytorch::save(target(name), &modules).unwrap_or_else(|error| panic!("{error}"));
    let bytes = std::fs::read(target(name)).expect("written");
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The bytes that PyTorch has loaded, in strict mode, and computed the golden outputs with.
#[test]
fn the_bytes_that_pytorch_took() {
    let file = File::open(golden("cases.safetensors")).unwrap_or_else(refused);
    let (linear, plain) = (file.linear::<f32>("linear.module"), file.linear::<f32>("linear_plain.module"));
    let (linear, plain) = (linear.unwrap_or_else(refused), plain.unwrap_or_else(refused));
    let embedding = file.embedding::<f32>("embedding.module").unwrap_or_else(refused);
    let layer_norm = file.layer_norm::<f32>("layer_norm.module").unwrap_or_else(refused);
    let layer_norm_plain = file.layer_norm::<f32>("layer_norm_plain.module").unwrap_or_else(refused).epsilon(1e-3);
    let batch_norm = file.batch_norm::<f32>("batch_norm.module").unwrap_or_else(refused);
    let batch_norm_plain = file.batch_norm::<f32>("batch_norm_plain.module").unwrap_or_else(refused).epsilon(1e-3);
    let conv = file.conv1d::<f32>("conv.module", 1, |conv| conv.strides(2)).unwrap_or_else(refused);
    let same = file.conv1d::<f32>("conv_same.module", 1, |conv| conv.padding(Padding::Same).dilation_rate(2));
    let (same, groups) = (same.unwrap_or_else(refused), file.conv1d::<f64>("conv_groups.module", 3, |conv| conv));
    let groups = groups.unwrap_or_else(refused);
    let more: [(&str, &dyn Module<f32>); 9] = [
        ("linear", &linear),
        ("linear_plain", &plain),
        ("embedding", &embedding),
        ("layer_norm", &layer_norm),
        ("layer_norm_plain", &layer_norm_plain),
        ("batch_norm", &batch_norm),
        ("batch_norm_plain", &batch_norm_plain),
        ("conv", &conv),
        ("conv_same", &same),
    ];
    let wide = file.linear::<f64>("linear_double.module").unwrap_or_else(refused);
    let taken = json("round_trip.json");
    for (name, given) in [
        ("written_float32.safetensors", write("written_float32.safetensors", &read::<f32>("float32"), &more)),
        (
            "written_float64.safetensors",
            write(
                "written_float64.safetensors",
                &read::<f64>("float64"),
                &[("linear_double", &wide), ("conv_groups", &groups)],
            ),
        ),
    ] {
        let text = "run tests/golden/pytorch/round_trip.py, if the new bytes are meant";
        assert_eq!(taken["sha256"][name], given, "{name}: {text}");
    }
}

/// What is written is read: the same layers, weight by weight.
#[test]
fn there_and_back() {
    fn check<T: Float>(name: &str, dtype: &str) {
        let layers = read::<T>(dtype);
        write(name, &layers, &[]);
        let file = File::open(target(name)).unwrap_or_else(refused);
        for (prefix, layer, one_step) in &layers {
            let again: Box<dyn Layer<T>> = match (&prefix[..3], one_step) {
                ("lst", false) => file.lstm(prefix),
                ("lst", true) => file.lstm_cell(prefix),
                ("gru", false) => file.gru(prefix),
                ("gru", true) => file.gru_cell(prefix),
                (_, false) => file.rnn(prefix, Activation::Tanh),
                (_, true) => file.rnn_cell(prefix, Activation::Tanh),
            }
            .unwrap_or_else(refused);
            assert_eq!(again.weights(), layer.weights(), "{prefix}");
        }
    }
    check::<f32>("again_float32.safetensors", "float32");
    check::<f64>("again_float64.safetensors", "float64");
}

/// Layers that were made here; and the line of Python that makes the module.
#[test]
fn made_here() {
    let path = target("made_here.safetensors");
    let bidirectional = Bidirectional::new(Lstm::<f32>::builder(3, 4).use_bias(false)).expect("a layer");
    let stack = Stacked::builder()
        .layer(Gru::<f32>::builder(3, 4).return_sequences(true).build().expect("a layer"))
        .layer(Stacked::builder().layer(Gru::new(4, 4)).build().expect("a stack"))
        .build()
        .expect("a stack");
    let relu = SimpleRnn::<f32>::builder(3, 5).activation(Activation::Relu).build().expect("a layer");
    let ones = Initializer::Constant { value: 1.0 };
    let dense = Dense::<f32>::builder(3, 2).bias_initializer(ones).build().expect("a layer");
    let norm = LayerNormalization::new(4).expect("a size");
    let batch = BatchNormalization::new(4).expect("a size");
    let table = Embedding::new(7, 3);
    let conv = Conv1D::<f32>::builder(4, 6, 3).groups(2).strides(2).use_bias(false).build().expect("a layer");
    let same = Conv1D::<f32>::builder(4, 6, 3).padding(Padding::Same).dilation_rate(2).build().expect("a layer");
    let modules: [(&str, &dyn Module<f32>); 10] = [
        ("both", &bidirectional),
        ("a.stack", &stack),
        ("rnn", &relu),
        ("cell", &OneStep(&relu)),
        ("head", &dense),
        ("norm", &norm),
        ("batch", &batch),
        ("table", &table),
        ("conv", &conv),
        ("same", &same),
    ];
    pytorch::save(&path, &modules).expect("written");
    let file = File::open(&path).unwrap_or_else(refused);
    let (_, python) = file.metadata().iter().find(|(key, _)| key == "modules").expect("told");
    let lines = [
        "both = nn.LSTM(3, 4, bias=False, bidirectional=True, batch_first=True)",
        "a.stack = nn.GRU(3, 4, num_layers=2, batch_first=True)",
        "rnn = nn.RNN(3, 5, nonlinearity='relu', batch_first=True)",
        "cell = nn.RNNCell(3, 5, nonlinearity='relu')",
        "head = nn.Linear(3, 2)",
        "norm = nn.LayerNorm(4, eps=0.001)",
        "batch = nn.BatchNorm1d(4, eps=0.001)",
        "table = nn.Embedding(7, 3)",
        "conv = nn.Conv1d(4, 6, 3, stride=2, groups=2, bias=False)",
        "same = nn.Conv1d(4, 6, 3, dilation=2, padding='same')",
    ];
    assert_eq!(python.lines().collect::<Vec<_>>(), lines);
    let x = Array3::from_shape_fn((2, 5, 3), |(row, time, i)| (row + 2 * time) as f32 * 0.1 - i as f32 * 0.3);
    let again = file.gru::<f32>("a.stack").unwrap_or_else(refused);
    assert_eq!(again.forward(&x).expect("fits").last(), stack.forward(&x).expect("fits").last());
    // The same file once more, into a place of its own.
    let bytes = std::fs::read(&path).expect("written");
    pytorch::save(&path, &modules).expect("written");
    assert_eq!(std::fs::read(&path).expect("written"), bytes);
    // A value of its own type needs no annotation.
    pytorch::save(&path, &[("rnn", &relu), ("head", &dense)]).expect("written");
    assert_eq!(File::open(&path).unwrap_or_else(refused).tensors().len(), 6);
}

#[test]
fn what_pytorch_has_not() {
    let path = target("refused.safetensors");
    std::fs::write(&path, "old").expect("written");
    let told = |module: &dyn Module<f32>| match pytorch::save(&path, &[("a", module)]) {
        Ok(()) => panic!("written"),
        Err(error) => error.to_string(),
    };
    let lstm = || Lstm::<f32>::builder(3, 4);
    let layer = |builder: recurrent::builder::Builder<'static, recurrent::cell::LstmCell<f32>>| {
        builder.build().expect("a layer")
    };
    let gru = Gru::<f32>::builder(3, 4).reset_after(false).build().expect("a layer");
    let both = |builder| Bidirectional::new(builder).expect("a layer");
    let stack = |first: Box<dyn Layer<f32>>, second: Box<dyn Layer<f32>>| {
        Stacked::builder().layer(first).layer(second).build().expect("a stack")
    };
    let sequences = || lstm().return_sequences(true).build().expect("a layer");
    let relu = Dense::<f32>::builder(3, 2).activation(Activation::Relu).build().expect("a layer");
    for (given, expected) in [
        (told(&gru), "\"a\": GRU with reset_after=false can't be written: PyTorch's nn.GRU resets after the product"),
        (told(&layer(lstm().activation(Activation::Relu))), "LSTM with activation=Relu"),
        (told(&layer(lstm().recurrent_activation(Activation::HardSigmoid))), "with recurrent_activation=HardSigmoid"),
        (told(&layer(lstm().peephole(true))), "peephole=true"),
        (told(&layer(lstm().clip(2.0))), "clip=Some(2.0)"),
        (told(&layer(lstm().go_backwards(true))), "go_backwards=true can't be written: PyTorch's modules go forwards"),
        (told(&both(lstm()).merge_mode(Merge::Sum)), "Bidirectional with merge_mode=Sum"),
        (told(&Mgu::<f32>::new(3, 4)), "MGU can't be written: PyTorch has SimpleRNN, LSTM and GRU"),
        (told(&TimeDistributed::new(Dense::new(3, 2))), "write the layer inside (TimeDistributed::layer)"),
        (told(&relu), "Dense with activation=Relu can't be written: PyTorch's stand apart"),
        (told(&layer(lstm().projection_units(5))), "\"a\" isn't an nn.LSTM: \"weight_hr_l0\" is [5, 4]"),
        (
            told(&stack(Box::new(sequences()), Box::new(Gru::new(4, 4)))),
            "GRU can't be written: write each of its layers",
        ),
        (told(&stack(Box::new(sequences()), Box::new(Dense::new(4, 4)))), "Dense can't be written"),
        (
            told(&stack(Box::new(sequences()), Box::new(Lstm::new(4, 5)))),
            "\"weight_ih_l1\" is [20, 4], expected [16, 4]",
        ),
        (told(&OneStep(&both(lstm()))), "isn't an nn.LSTMCell"),
        (told(&OneStep(&layer(lstm().projection_units(2)))), "isn't an nn.LSTMCell"),
    ] {
        assert!(given.contains(expected), "{given}\n{expected}");
    }
    let dense = Dense::<f32>::new(3, 2);
    let twice = pytorch::save(&path, &[("a", &dense), ("b", &dense), ("a", &dense)]).expect_err("two of a name");
    assert_eq!(twice, SaveError::Twice { tensor: "a.bias".into() });
    let nowhere = pytorch::save("/nothing/here/model.safetensors", &[("a", &dense)]).expect_err("no folder");
    assert!(nowhere.to_string().starts_with("/nothing/here/model.safetensors: can't be written: "), "{nowhere}");
    assert_eq!(std::fs::read(&path).expect("there"), b"old", "what was refused has changed nothing");
}

#[test]
fn convolutions_that_pytorch_has_not() {
    let refused = |conv: recurrent::builder::ConvolutionBuilder<'static, Conv1D<f32>>| {
        let conv = conv.build().expect("a layer");
        pytorch::save(target("refused.safetensors"), &[("c", &conv)]).expect_err("refused").to_string()
    };
    let conv = || Conv1D::builder(3, 4, 2);
    assert!(refused(conv().padding(Padding::Causal)).contains("padding=causal"));
    assert!(refused(conv().padding(Padding::Same).strides(2)).contains("padding=same"));
    assert!(refused(conv().activation(Activation::Relu)).contains("activation=relu"));
}

/// What stands side by side in a stack, in PyTorch one after the other.
#[test]
fn layers_of_a_stack() -> Result<(), Box<dyn std::error::Error>> {
    let stack = Stacked::<f32>::builder().layer(Lstm::new(3, 4)).layer(Dense::new(4, 2)).build()?;
    let path = target("layers_of_a_stack.safetensors");
    let refused = pytorch::save(&path, &[("", &stack)]).expect_err("two classes").to_string();
    assert!(refused.contains("Stacked::layers"), "{refused}");
    let layers: Vec<&dyn Layer<f32>> = stack.layers().collect();
    pytorch::save(&path, &[("lstm", &layers[0]), ("head", &layers[1])])?;
    let file = File::open(&path)?;
    assert_eq!(file.lstm::<f32>("lstm")?.weight("kernel")?, stack.weight("0/kernel")?);
    assert_eq!(file.linear::<f32>("head")?.weight("kernel")?, stack.weight("1/kernel")?);
    Ok(())
}
