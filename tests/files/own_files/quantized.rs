//! Layers and models in fewer bits: files of their own numbers, a quarter or half as large.

use super::contents::Contents;
use super::layers::{check, input};
use super::{again, same_file};
use crate::predictions::predict;
use ndarray::prelude::*;
use recurrent::cell::QuantizedCell;
use recurrent::file::{self, Problem, Saved};
use recurrent::model::AnyLayer;
use recurrent::*;
use serde_json::json;

/// Weights that are all distinct, the biases not zero.
fn weighted<P: Parameters<f32>>(mut thing: P) -> P {
    let mut next = 0.0;
    let new: Vec<(String, ArrayD<f32>)> = thing
        .weights()
        .iter()
        .map(|(name, old)| {
            let values = ArrayD::from_shape_simple_fn(old.raw_dim(), || {
                next += 0.3719;
                (next % 1.7) - 0.81
            });
            (name.clone(), values)
        })
        .collect();
    let new: Vec<_> = new.iter().map(|(name, array)| (&**name, array.view())).collect();
    thing.set_weights(&new).expect("weights of the same shapes");
    thing
}

fn gru(reset_after: bool) -> Gru<f32> {
    let gru = Gru::builder(3, 7).reset_after(reset_after).recurrent_activation(Activation::HardSigmoid);
    weighted(gru.return_sequences(true).return_state(true).go_backwards(true).build().expect("a layer"))
}

fn lstm() -> Lstm<f32> {
    weighted(Lstm::builder(5, 9).return_sequences(true).build().expect("a layer"))
}

#[test]
fn each_form_of_each_layer() {
    for precision in Precision::ALL {
        let quantized = |layer: &Gru<f32>| layer.quantize(precision).expect("a layer");
        check(&quantized(&gru(true)));
        check(&quantized(&gru(false)));
        check(&lstm().quantize(precision).expect("a layer"));
        let rnn = SimpleRnn::<f32>::builder(2, 21).use_bias(false).activation(Activation::Elu { alpha: 0.7 });
        check(
            &weighted(rnn.zero_output_for_mask(true).build().expect("a layer")).quantize(precision).expect("a layer"),
        );
        for use_bias in [true, false] {
            let dense = Dense::builder(4, 19).use_bias(use_bias).activation(Activation::Softmax);
            check(&weighted(dense.build().expect("a layer")).quantize(precision).expect("a layer"));
        }
        // What they are within.
        let both =
            Bidirectional::new(Lstm::builder(5, 9).return_sequences(true)).expect("a layer").merge_mode(Merge::Sum);
        let stack = Stacked::builder().layer(weighted(both)).layer(weighted(TimeDistributed::new(Dense::new(9, 4))));
        check(&stack.build().expect("a stack").quantize(precision).expect("a layer"));
        let cells = StackedCells::builder()
            .cell(gru(true).quantize(precision).expect("a layer").cell().clone())
            .cell(Gru::<f32>::builder(7, 2).build_cell().expect("a cell"));
        check(&Recurrent::from_cell(cells.build().expect("cells")));
    }
}

/// Streams go on with the same bits, from a state that was saved beside it.
#[test]
fn streams_go_on() {
    for precision in Precision::ALL {
        let small = lstm().quantize(precision).expect("a layer");
        let x = input::<f32>((1, 8, 5));
        let mut stream = Stream::new(&small, 1).expect("a stream");
        let outputs: Vec<Vec<f32>> = (0..8)
            .map(|time| stream.step_one(x.slice(s![0, time, ..]).as_slice().expect("a row")).expect("a step").to_vec())
            .collect();
        let mut first = Stream::new(&small, 1).expect("a stream");
        for time in 0..3 {
            first.step_one(x.slice(s![0, time, ..]).as_slice().expect("a row")).expect("a step");
        }
        let state: State<f32> = file::from_bytes(&file::to_bytes(first.state()).expect("saved")).expect("a state");
        let loaded = again(&small);
        let mut second = Stream::new(&loaded, 1).expect("a stream");
        second.set_state(&state).expect("its state");
        for (time, expected) in outputs.iter().enumerate().skip(3) {
            let step = x.slice(s![0, time, ..]);
            assert_eq!(second.step_one(step.as_slice().expect("a row")).expect("a step"), &expected[..], "{precision}");
        }
    }
}

/// All that a model can have inside, in a graph, too.
pub fn model(precision: Precision) -> Model<f32> {
    let inner = Sequential::<f32>::builder("inner")
        .layer(AnyLayer::from(Gru::builder(8, 6).return_sequences(true).build().expect("a layer")).stateful())
        .layer(Dense::new(6, 3))
        .build()
        .expect("a model");
    let mut graph = Model::<f32>::builder("outer");
    let x = graph.input("x", [None, Some(3)]).expect("an input");
    let both = Bidirectional::new(Lstm::builder(3, 4).return_sequences(true)).expect("a layer");
    let wide = graph.call("both", both, &[x]).expect("a call");
    let wide = graph.call("norm", ops::LayerNormalization::new(8).expect("a layer"), &wide).expect("a call");
    let inner = graph.call("inner", inner, &wide).expect("a call");
    let each = AnyLayer::from(Dense::<f32>::new(3, 3)).for_each_step();
    let each = graph.call("each", each, &inner).expect("a call");
    let sum = graph.call("sum", ops::Add, &[each[0], x]).expect("a call");
    let last = graph.call("last", SimpleRnn::new(3, 2), &sum).expect("a call");
    weighted(graph.build(&last).expect("a model")).quantize(precision).expect("a model")
}

/// Ids and windows.
pub fn words(precision: Precision) -> Model<f32> {
    let conv = Conv1D::builder(6, 4, 3).groups(2).padding(Padding::Causal).activation(Activation::Relu);
    let model = Sequential::<f32>::builder("words")
        .layer(Embedding::builder(11, 6).mask_zero(true).build().expect("a table"))
        .layer(conv.dilation_rate(2).build().expect("a layer"))
        .layer(Conv1D::builder(4, 3, 1).use_bias(false).build().expect("a layer"))
        .layer(Gru::new(3, 5))
        .build();
    weighted(model.expect("a model")).quantize(precision).expect("a model")
}

#[test]
fn tables_alone() {
    for precision in Precision::ALL {
        let table = weighted(Embedding::<f32>::builder(7, 5).mask_zero(true).build().expect("a table"));
        let small = table.quantize(precision).expect("a table");
        let loaded = again(&small);
        let ids = array![[3, 0, 6], [1, 2, 4]];
        assert_eq!(loaded.forward(&ids), small.forward(&ids));
        assert_eq!(loaded.dequantized("embeddings"), small.dequantized("embeddings"));
        let bytes = file::to_bytes(&small).expect("saved");
        let refused = refusal::<Embedding<f32>>(&bytes);
        assert!(refused.ends_with("a QuantizedEmbedding of float32: load it as QuantizedEmbedding"), "{refused}");
        let contents = Contents::of(&bytes);
        if precision != Precision::Bf16 {
            assert_eq!(contents.header["embeddings_scale"]["shape"], json!([7]));
            let refused = refusal::<QuantizedEmbedding>(&with_bytes(&contents, "embeddings", 34, &[0x80]));
            assert!(refused.contains("\"embeddings\" must hold whole numbers from -127 to 127, found -128 at 34"));
            let mut other = contents.clone();
            other.header["embeddings_scale"]["shape"] = json!([7, 1]);
            let refused = refusal::<QuantizedEmbedding>(&other.bytes());
            assert!(refused.contains("must have the shape [7], found [7, 1]"), "{refused}");
        }
    }
    let plain = file::to_bytes(&Embedding::<f32>::new(7, 5)).expect("saved");
    assert!(refusal::<QuantizedEmbedding>(&plain).ends_with("an Embedding of float32: load it as Embedding<f32>"));
}

#[test]
fn models() {
    for precision in Precision::ALL {
        let words = words(precision);
        let loaded = same_file(&words);
        assert_eq!(loaded.to_string(), words.to_string());
        assert_eq!(predict(&loaded).expect("run"), predict(&words).expect("run"), "{words}");
        assert_eq!(loaded.dequantized("conv1d/kernel"), words.dequantized("conv1d/kernel"));
        let model = model(precision);
        let loaded = same_file(&model);
        assert_eq!(loaded.to_string(), model.to_string());
        assert_eq!(predict(&loaded).expect("run"), predict(&model).expect("run"), "{model}");
        assert_eq!(loaded.weight_bytes(), model.weight_bytes());
        let name = "both/forward/recurrent_kernel";
        assert_eq!(loaded.dequantized(name), model.dequantized(name));
        assert!(matches!(loaded.weight(name), Err(Error::QuantizedWeight { .. })));
        assert!(matches!(loaded.quantize(precision), Err(Error::CannotQuantize { .. })));
    }
    let chain = Sequential::<f32>::builder("chain").layer(lstm()).layer(gru_head()).layer(Dense::new(4, 2));
    let chain = chain.build().expect("a model").quantize(Precision::Int8).expect("a model");
    let (loaded, x) = (same_file(&chain), input::<f32>((1, 6, 5)));
    let (mut ours, mut theirs) = (loaded.stream(1).expect("a stream"), chain.stream(1).expect("a stream"));
    for time in 0..6 {
        let step = x.slice(s![0, time, ..]);
        let step = step.as_slice().expect("a row");
        assert_eq!(ours.step_one(step).expect("a step"), theirs.step_one(step).expect("a step"));
    }
}

fn gru_head() -> Gru<f32> {
    weighted(Gru::new(9, 4))
}

/// The file holds the bytes and scales, or the words, and no f32 beside them.
#[test]
fn sizes() {
    let lstm = weighted(Lstm::<f32>::new(96, 160));
    let whole = file::to_bytes(&lstm).expect("saved").len() as f64;
    for (precision, most) in [(Precision::Int8, 0.27), (Precision::Int8Fast, 0.27), (Precision::Bf16, 0.51)] {
        let small = file::to_bytes(&lstm.quantize(precision).expect("a layer")).expect("saved");
        let share = small.len() as f64 / whole;
        assert!(share < most && share > most - 0.03, "{precision}: {share}");
        let contents = Contents::of(&small);
        let dtype = if precision == Precision::Bf16 { "BF16" } else { "I8" };
        for (name, shape) in [("kernel", json!([96, 640])), ("recurrent_kernel", json!([160, 640]))] {
            assert_eq!(contents.header[name]["dtype"], dtype);
            assert_eq!(contents.header[name]["shape"], shape);
        }
        let scale = contents.header.get("kernel_scale").map(|scale| (scale["dtype"].clone(), scale["shape"].clone()));
        assert_eq!(scale, (dtype == "I8").then(|| (json!("F32"), json!([640]))));
    }
}

/// Numbers as another program would make them of the file: the matrix in row order, times the scales of its columns.
#[test]
fn what_the_tensors_mean() {
    let small = gru(false).quantize(Precision::Int8).expect("a layer");
    let contents = Contents::of(&file::to_bytes(&small).expect("saved"));
    let data = |name: &str| {
        let place = |i: usize| contents.header[name]["data_offsets"][i].as_u64().expect("a place") as usize;
        &contents.data[place(0)..place(1)]
    };
    let scales: Vec<f32> =
        data("recurrent_kernel_scale").as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect();
    let values = data("recurrent_kernel").iter().enumerate().map(|(i, &byte)| f32::from(byte as i8) * scales[i % 21]);
    let expected = small.dequantized("recurrent_kernel").expect("a weight");
    assert_eq!(Array2::from_shape_vec((7, 21), values.collect()).expect("a matrix").into_dyn(), expected);
}

/// Old readers must refuse it, and f32 files are what they were.
#[test]
fn version() {
    let of = |bytes: &[u8]| Contents::of(bytes).metadata()["version"].clone();
    assert_eq!(of(&file::to_bytes(&lstm()).expect("saved")), "1");
    let small = file::to_bytes(&lstm().quantize(Precision::Bf16).expect("a layer")).expect("saved");
    assert_eq!(of(&small), "2");
    assert_eq!(of(&file::to_bytes(&model(Precision::Int8)).expect("saved")), "2");
}

fn refusal<S: Saved>(bytes: &[u8]) -> String {
    match file::from_bytes::<S>(bytes) {
        Ok(_) => panic!("it was taken"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn another_type() {
    let small = file::to_bytes(&lstm().quantize(Precision::Int8).expect("a layer")).expect("saved");
    let expected = "the bytes: it holds a QuantizedLSTM of float32: load it as Recurrent<QuantizedCell>";
    assert_eq!(refusal::<Lstm<f32>>(&small), expected);
    assert_eq!(refusal::<Dense<f32>>(&small), expected);
    assert_eq!(refusal::<Box<dyn Layer<f64>>>(&small), expected);
    assert!(file::from_bytes::<Recurrent<QuantizedCell>>(&small).is_ok());
    assert!(file::from_bytes::<Box<dyn Layer<f32>>>(&small).is_ok());
    let dense = file::to_bytes(&Dense::<f32>::new(3, 4).quantize(Precision::Bf16).expect("a layer")).expect("saved");
    assert!(refusal::<Dense<f32>>(&dense).ends_with("a QuantizedDense of float32: load it as QuantizedDense"));
    assert!(file::from_bytes::<QuantizedDense>(&dense).is_ok());
    let plain = file::to_bytes(&lstm()).expect("saved");
    assert!(refusal::<Recurrent<QuantizedCell>>(&plain).ends_with("an LSTM of float32: load it as Lstm<f32>"));
    // What says that it is of f64.
    let wide = Contents::of(&small).with("element", Some("float64"));
    let refused = refusal::<Box<dyn Layer<f64>>>(&wide);
    assert!(refused.contains("can't quantize QuantizedLSTM: it is of f64"), "{refused}");
}

/// The same file with another number: the element at `index` of a tensor.
fn with_bytes(contents: &Contents, tensor: &str, index: usize, value: &[u8]) -> Vec<u8> {
    let mut other = contents.clone();
    let start = other.header[tensor]["data_offsets"][0].as_u64().expect("a place") as usize + index * value.len();
    other.data[start..start + value.len()].copy_from_slice(value);
    other.bytes()
}

#[test]
fn numbers_that_cannot_be() {
    let small = Contents::of(&file::to_bytes(&lstm().quantize(Precision::Int8).expect("a layer")).expect("saved"));
    let halves = Contents::of(&file::to_bytes(&lstm().quantize(Precision::Bf16).expect("a layer")).expect("saved"));
    type Other = Box<dyn Layer<f32>>;
    let refused = refusal::<Other>(&with_bytes(&small, "kernel", 7, &[0x80]));
    let expected = "tensor \"kernel\" must hold whole numbers from -127 to 127, found -128 at 7";
    assert!(refused.contains(expected), "{refused}");
    for value in [f32::NAN, f32::INFINITY, -0.5, -0.0, f32::MAX] {
        let bytes = with_bytes(&small, "recurrent_kernel_scale", 2, &value.to_le_bytes());
        let refused = refusal::<Other>(&bytes);
        let expected = "tensor \"recurrent_kernel_scale\" must hold scales of at least 0 and below 2.7e36, found ";
        assert!(refused.contains(expected) && refused.ends_with(" at 2"), "{refused}");
        let Err(error) = file::from_bytes::<Other>(&bytes) else { panic!("it was taken") };
        assert!(matches!(error.problem(), Problem::TensorValue { index: 2, .. }));
    }
    for word in [0x7f80_u16, 0xff80, 0x7fc1] {
        let refused = refusal::<Other>(&with_bytes(&halves, "recurrent_kernel", 3, &word.to_le_bytes()));
        assert!(refused.contains("tensor \"recurrent_kernel\" must hold finite numbers, found "), "{refused}");
    }
    // A scale of zero is that of a column of zeros.
    assert!(file::from_bytes::<Other>(&with_bytes(&small, "kernel_scale", 0, &[0; 4])).is_ok());
}

#[test]
fn tensors_that_do_not_fit() {
    let small = Contents::of(&file::to_bytes(&lstm().quantize(Precision::Int8).expect("a layer")).expect("saved"));
    let changed = |change: &dyn Fn(&mut Contents)| {
        let mut other = small.clone();
        change(&mut other);
        refusal::<Recurrent<QuantizedCell>>(&other.bytes())
    };
    let renamed = changed(&|other| {
        let tensor = other.header.remove("kernel_scale").expect("there");
        other.header.insert("kernel_scales".into(), tensor);
    });
    assert!(renamed.contains("there is no tensor \"kernel_scale\""), "{renamed}");
    let left = changed(&|other| {
        let tensor = json!({"dtype": "F32", "shape": [0], "data_offsets": [0, 0]});
        other.header.insert("bias_scale".into(), tensor);
    });
    assert!(left.contains("tensor \"bias_scale\" belongs to no layer"), "{left}");
    let shape = changed(&|other| other.header["kernel"]["shape"] = json!([36, 5]));
    assert!(shape.contains("tensor \"kernel\" (kernel) must have the shape [5, 36], found [36, 5]"), "{shape}");
    let signed = changed(&|other| other.header["kernel"]["dtype"] = "U8".into());
    assert!(signed.contains("tensor \"kernel\" holds uint8, expected int8"), "{signed}");
    let scale = changed(&|other| other.header["kernel_scale"]["dtype"] = "I32".into());
    assert!(scale.contains("tensor \"kernel_scale\" holds int32, expected float32"), "{scale}");
    let option = |key: &str, value: serde_json::Value| {
        let mut config = small.config();
        config["config"][key] = value;
        refusal::<Recurrent<QuantizedCell>>(&small.with_config(&config))
    };
    for (refused, told) in [
        (option("precision", json!("bfloat16")), "tensor \"kernel\" holds int8, expected bfloat16"),
        (option("precision", json!("int4")), "precision must be int8, int8_fast, bfloat16, found \"int4\""),
        (option("units", json!(1 << 22)), "must have the shape [5, 16777216], found [5, 36]"),
        (option("units", json!(0)), "units must be a whole number above 0"),
        (option("activation", json!("glu")), "glu"),
        (option("reset_after", json!(true)), "(QuantizedLSTM) has an option \"reset_after\", which isn't known"),
    ] {
        assert!(refused.contains(told), "{refused}");
    }
    // The f32 layer's file, called quantized, is none; nor the other way round.
    let plain = Contents::of(&file::to_bytes(&lstm()).expect("saved"));
    let mut config = small.config();
    let refused = refusal::<Recurrent<QuantizedCell>>(&plain.with_config(&config));
    assert!(refused.contains("tensor \"kernel\" holds float32, expected int8"), "{refused}");
    config = plain.config();
    let refused = refusal::<Lstm<f32>>(&small.with_config(&config));
    assert!(refused.contains("tensor \"kernel\" holds int8, expected float32"), "{refused}");
}

/// What is the program's own stays so, and formats that have no such weights say what to do.
#[test]
fn what_is_not_written() {
    let own = Activation::custom("square", |x| x * x);
    let gru = Gru::<f32>::builder(1, 2).activation(own).build().expect("a layer").quantize(Precision::Int8);
    let refused = file::to_bytes(&gru.expect("a layer")).expect_err("own").to_string();
    assert!(refused.starts_with("activation square is the program's own"), "{refused}");
    let path = std::env::temp_dir().join(format!("recurrent-quantized-{}.keras", std::process::id()));
    let refused = recurrent::keras::save(&path, &model(Precision::Int8)).expect_err("no such class").to_string();
    assert!(refused.contains("a QuantizedLSTM can't be written here: recurrent::file::save writes it"), "{refused}");
    assert!(!path.exists());
}
