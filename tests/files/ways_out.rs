//! From each refusal to its way out: what a message advises is done, and works.

use std::collections::BTreeMap;

use crate::check::write_keras::{Node, zip};
use ndarray::prelude::*;
use recurrent::keras::{File, LoadError, Options, Problem};
use recurrent::{Bidirectional, Dense, Error, Gru, Layer, Lstm, Merge, Model, Run, Stacked, Stream, keras};
use serde_json::{Value, json};

type Outcome<V = ()> = Result<V, Box<dyn std::error::Error>>;

/// Weights of an LSTM of 3 features and 4 units, and of a Dense layer from 4 to 2 if it is asked for.
fn weights(dense: bool) -> Node {
    let mut root = Node::Group(BTreeMap::new());
    let mut add = |group: &str, shapes: &[&[usize]]| {
        for (i, shape) in shapes.iter().enumerate() {
            let count: usize = shape.iter().product();
            let values = (0..count).map(|at| ((at + 7 * i) as f32).sin() / 2.0).collect();
            root.group(group).insert(i.to_string(), Node::Tensor(shape.to_vec(), values));
        }
    };
    add("layers/lstm/cell/vars", &[&[3, 16], &[4, 16], &[16]]);
    if dense {
        add("layers/dense/vars", &[&[4, 2], &[2]]);
    }
    root
}

fn layer(class: &str, name: &str, config: Value, nodes: Value) -> Value {
    let mut config = config;
    config["name"] = name.into();
    json!({"module": "keras.layers", "class_name": class, "registered_name": null, "name": name, "config": config,
        "inbound_nodes": nodes})
}

fn operation(class: &str, name: &str, nodes: Value) -> Value {
    let mut operation = layer(class, name, json!({}), nodes);
    operation["module"] = "keras.src.ops.numpy".into();
    operation["registered_name"] = class.into();
    operation
}

fn tensor(name: &str) -> Value {
    json!({"class_name": "__keras_tensor__",
        "config": {"shape": [null, 5, 4], "dtype": "float32", "keras_history": [name, 0, 0]}})
}

/// A call on tensors, one argument each.
fn on(arguments: Value) -> Value {
    json!([{"args": arguments, "kwargs": {}}])
}

fn input() -> Value {
    layer("InputLayer", "x", json!({"batch_shape": [null, 5, 3], "dtype": "float32"}), json!([]))
}

fn lstm(sequences: bool) -> Value {
    let config = json!({"units": 4, "activation": "tanh", "recurrent_activation": "sigmoid", "use_bias": true,
        "return_sequences": sequences});
    layer("LSTM", "lstm", config, on(json!([tensor("x")])))
}

fn functional(layers: &[Value], output: &str) -> Value {
    json!({"module": "keras.src.models.functional", "class_name": "Functional", "registered_name": "Functional",
        "config": {"name": "graph", "trainable": true, "layers": layers, "input_layers": [["x", 0, 0]],
        "output_layers": [[output, 0, 0]]}})
}

fn sequential(layers: &[Value]) -> Value {
    let mut layers = layers.to_vec();
    for layer in &mut layers {
        let object = layer.as_object_mut().expect("an object");
        object.remove("inbound_nodes");
        object.remove("name");
    }
    json!({"module": "keras", "class_name": "Sequential", "registered_name": null,
        "config": {"name": "chain", "trainable": true, "layers": layers}})
}

fn file(config: &Value, weights: &Node) -> Result<File, LoadError> {
    let members = [
        ("metadata.json".into(), br#"{"keras_version": "3.15.1"}"#.to_vec()),
        ("config.json".into(), config.to_string().into_bytes()),
        ("model.weights.h5".into(), weights.write()),
    ];
    File::from_bytes("m.keras", zip(&members), &Options::new())
}

fn refused<V>(result: Result<V, LoadError>) -> String {
    result.err().expect("it should be refused").to_string()
}

/// The message has all of these and none of those.
fn says(message: &str, yes: &[&str], no: &[&str]) {
    for part in yes {
        assert!(message.contains(part), "{message:?} doesn't say {part:?}");
    }
    for part in no {
        assert!(!message.contains(part), "{message:?} says {part:?}");
    }
}

const WRONG: [&str; 3] = ["training mode", "inbound_nodes", "is a A"];

#[test]
fn operations_and_layers_that_are_not_read() -> Outcome {
    let legacy = |more: Value| json!([["lstm", 0, 0, more]]);
    let y = tensor("lstm");
    let odd = [
        (operation("TopK", "odd", on(json!([y]))), "TopK", "coming_from_keras"),
        (operation("Sin", "odd", on(json!([y]))), "Sin", "operation"),
        (layer("Conv1DTranspose", "odd", json!({"num_heads": 2}), on(json!([y, y]))), "Conv1DTranspose", "class"),
        (layer("Hashing", "odd", json!({}), on(json!([y]))), "Hashing", "class"),
        (layer("Lambda", "odd", json!({}), on(json!([y]))), "Lambda", "Python"),
        (
            layer("TFOpLambda", "odd", json!({"function": "math.sin"}), legacy(json!({}))),
            "TFOpLambda(math.sin)",
            "TensorFlow",
        ),
        (
            layer("SlicingOpLambda", "odd", json!({"function": "other.getitem"}), legacy(json!({"slice_spec": [1]}))),
            "SlicingOpLambda(other.getitem)",
            "TensorFlow",
        ),
    ];
    let x = Array3::<f32>::ones((2, 5, 3));
    for (odd, class, hint) in odd {
        let model = functional(&[input(), lstm(true), odd], "odd");
        let file = file(&model, &weights(false))?;
        let message = refused(file.model::<f32>());
        says(&message, &["layer \"odd\"", &format!("its class {class} isn't supported"), hint], &WRONG);
        // The way out of all: the recurrent layer alone.
        if message.contains("keras::File::layer") {
            assert_eq!(file.layer::<f32>("lstm")?.forward(&x)?.sequence()?.dim(), (2, 5, 4), "{class}");
        }
        // What the way out says of the layer itself doesn't lead in a circle.
        let message = refused(file.layer::<f32>("odd"));
        says(
            &message,
            &["can be taken out", "keras::File::layer_names"],
            &["taken out of the file", "with keras::File::layer"],
        );
        assert!(file.layer_names()?.contains(&"lstm".into()));
    }
    // return_sequences=False for the last step, keras.layers.Add for +.
    let last = file(&functional(&[input(), lstm(false)], "lstm"), &weights(false))?.model::<f32>()?;
    assert_eq!(last.predict_one(&x)?.shape(), [2, 4]);
    let sum = layer("Add", "odd", json!({}), on(json!([[tensor("lstm"), tensor("lstm")]])));
    let sum = file(&functional(&[input(), lstm(true), sum], "odd"), &weights(false))?.model::<f32>()?;
    assert_eq!(sum.predict_one(&x)?.shape(), [2, 5, 4]);
    Ok(())
}

/// The line that a refusal shows, with the shapes: written so, the file is read.
#[test]
fn the_line_to_write() -> Outcome {
    let y = tensor("lstm");
    let load = |odd: Value, options: &Options, more: &[(&str, &[usize])]| {
        let mut weights = weights(false);
        for (group, shape) in more {
            let values = vec![0.5; shape.iter().product()];
            weights.group(group).insert("0".into(), Node::Tensor(shape.to_vec(), values));
        }
        file(&functional(&[input(), lstm(true), odd], "odd"), &weights)?.model_with::<f32>(options)
    };
    let none = Options::new();
    let lambda = layer("Lambda", "odd", json!({"arguments": {}}), on(json!([y])));
    says(
        &refused(load(lambda.clone(), &none, &[])),
        &["Options::new().layer(\"odd\", |x| ..)", "(None, 5, 4)", "Python"],
        &[],
    );
    load(lambda, &none.clone().layer("odd", |x| Ok(x.to_owned())), &[])?;
    let two = layer("Lambda", "odd", json!({"arguments": {}}), on(json!([[y, tensor("x")]])));
    says(
        &refused(load(two, &none, &[])),
        &["Options::new().custom_layer(\"odd\", CustomLayer::new(|inputs| ..))", "[(None, 5, 4), (None, 5, 3)]"],
        &[],
    );
    let mut mine = layer("Mine", "odd", json!({"power": 2}), on(json!([y])));
    mine["module"] = Value::Null;
    mine["registered_name"] = "package>Mine".into();
    let tensors: [(&str, &[usize]); 1] = [("layers/mine/vars", &[4])];
    says(
        &refused(load(mine.clone(), &none, &tensors)),
        &["package>Mine", "Options::new().layer_from(\"odd\", |config, tensors| ..)", "(None, 5, 4)"],
        &[],
    );
    // By the layer's name, its class, its registered name, with and without the package.
    for name in ["odd", "Mine", "package>Mine"] {
        let options = none.clone().layer_from(name, |config, tensors| {
            assert_eq!((config.path(), config.integer("power")?, config.has("other")), ("odd", 2, false));
            assert_eq!(tensors.names().collect::<Vec<_>>(), ["vars/0"]);
            let bias = tensors.get("vars/0")?;
            Ok(recurrent::ops::CustomLayer::of_one(move |x| Ok(&x + &bias)))
        });
        load(mine.clone(), &options, &tensors)?;
    }
    let refusal = |options: Options| refused(load(mine.clone(), &options, &tensors));
    let plain = refusal(none.clone().layer("odd", |x| Ok(x.to_owned())));
    says(&plain, &["layer \"odd\"", "doesn't ask for its tensors vars/0", "layer_from"], &[]);
    let other = refusal(none.clone().layer("ode", |x| Ok(x.to_owned())));
    says(&other, &["code for the layer \"ode\"", "the names are lstm, odd"], &[]);
    let missing = refusal(none.clone().layer_from("odd", |_, tensors| {
        let scale = tensors.get("vars/1")?;
        Ok(recurrent::ops::CustomLayer::of_one(move |x| Ok(&x * &scale)))
    }));
    says(&missing, &["no tensor \"odd/vars/1\"", "the names are vars/0"], &[]);
    let wrong = refusal(none.clone().layer_from("odd", |config, _| {
        config.text("power")?;
        Err("never".into())
    }));
    says(&wrong, &["layer \"odd\": power must be a text, found 2"], &[]);
    let own = refusal(none.layer_from("odd", |_, _| Err("not today".into())));
    says(&own, &["layer \"odd\"", "its code failed: not today"], &[]);
    Ok(())
}

/// The same of a cell.
#[test]
fn the_line_for_a_cell() -> Outcome {
    let cell = json!({"module": null, "class_name": "Mine", "registered_name": "Mine", "config": {"name": "mine"}});
    let rnn = layer("RNN", "rnn", json!({"cell": cell}), on(json!([tensor("x")])));
    let file = file(&functional(&[input(), rnn], "rnn"), &weights(false))?;
    let line = ["keras::Options::new().cell(\"rnn/mine\", |config, tensors| ..)"];
    says(&refused(file.model::<f32>()), &line, &[]);
    let options =
        Options::new().cell("Other", |_, _| -> Result<recurrent::cell::LstmCell<f32>, _> { Err("never".into()) });
    says(&refused(file.model_with::<f32>(&options)), &["code for the cell \"Other\"", "rnn/mine"], &[]);
    Ok(())
}

/// Where there is nothing to take out, nobody says that there is.
#[test]
fn nothing_to_take_out() -> Outcome {
    let attention = layer("Conv1DTranspose", "odd", json!({}), on(json!([tensor("x"), tensor("x")])));
    let file = file(&functional(&[input(), attention], "odd"), &weights(false))?;
    says(&refused(file.model::<f32>()), &["class Conv1DTranspose", "coming_from_keras"], &["keras::File::layer"]);
    Ok(())
}

#[test]
fn layers_that_cannot_be_taken_out() -> Outcome {
    let mut within = sequential(&[input(), lstm(true)]);
    within["name"] = "inner".into();
    within["config"]["name"] = "inner".into();
    let inner = json!({"module": "keras.layers", "class_name": "Dense", "registered_name": null,
        "config": {"name": "d", "units": 2}});
    let mut flat = layer("Flatten", "flat", json!({}), json!([]));
    flat.as_object_mut().expect("an object").remove("inbound_nodes");
    let wrapper = layer("TimeDistributed", "each", json!({"layer": flat}), json!([]));
    let config =
        sequential(&[input(), within, wrapper, layer("Dropout", "drop", json!({"rate": 0.5}), json!([])), inner]);
    let file = file(&config, &weights(false))?;
    says(&refused(file.layer::<f32>("inner")), &["Sequential", "by path"], &["one by one"]);
    assert!(file.layer_names()?.contains(&"inner/lstm".into()), "the path that it speaks of");
    says(&refused(file.layer::<f32>("each")), &["TimeDistributed(Flatten)", "TimeDistributed(Dense)"], &[]);
    says(&refused(file.layer::<f32>("drop")), &["Dropout", "can be taken out"], &["one by one"]);
    Ok(())
}

#[test]
fn texts_types_and_empty_models() -> Outcome {
    // An input of texts: the layer that reads it is named, not the input.
    let mut texts = input();
    texts["config"]["dtype"] = "string".into();
    let vectorize = layer("TextVectorization", "vectorize", json!({}), json!([]));
    let chain = file(&sequential(&[texts, vectorize, lstm(false)]), &weights(false))?;
    says(
        &refused(chain.model::<f32>()),
        &["layer \"vectorize\"", "TextVectorization", "keras::File::layer"],
        &["dtype"],
    );
    assert_eq!(chain.layer::<f32>("lstm")?.output_size(), 4);

    let with_dtype = |dtype: Value| {
        let mut lstm = lstm(false);
        lstm["config"]["dtype"] = dtype;
        file(&sequential(&[input(), lstm]), &weights(false))
    };
    let int8 = json!({"module": "keras.dtype_policies", "class_name": "QuantizedDTypePolicy",
        "config": {"mode": "int8", "source_name": "float32"}, "registered_name": null});
    says(&refused(with_dtype(int8)?.model::<f32>()), &["int8", "quantize"], &["can't be read"]);
    says(&refused(with_dtype("mixed_float16".into())?.model::<f32>()), &["mixed_float16", "float32"], &[]);
    with_dtype("float32".into())?.model::<f32>()?;
    says(&refused(with_dtype("float64".into())?.model::<f32>()), &["load the model as f64"], &[]);
    with_dtype("float64".into())?.model::<f64>()?;
    // Where loading as f64 doesn't help, nobody says that it does.
    let mut double = layer("Dense", "dense", json!({"units": 2, "dtype": "float64"}), json!([]));
    let mut single = lstm(false);
    single["config"]["dtype"] = "float32".into();
    let mixed = file(&sequential(&[input(), single.clone(), double.clone()]), &weights(true))?;
    says(&refused(mixed.model::<f32>()), &["float32 and of float64", "one dtype"], &["load the model as f64"]);
    says(&refused(mixed.model::<f64>()), &["float32 and of float64", "one dtype"], &[]);
    double["config"]["dtype"] = "float32".into();
    file(&sequential(&[input(), single, double]), &weights(true))?.model::<f32>()?;

    says(
        &refused(file(&sequential(&[]), &weights(false))?.model::<f32>()),
        &["the model: layers", "found []"],
        &["null"],
    );
    let subclass = json!({"module": null, "class_name": "Sub", "registered_name": "my>Sub", "config": {"units": 4}});
    says(&refused(file(&subclass, &weights(false))?.model::<f32>()), &["the model: its class my>Sub"], &["unnamed"]);
    Ok(())
}

/// A layer that is called in training mode, and another argument that isn't known.
#[test]
fn arguments_of_calls() -> Outcome {
    let dropout = |nodes| layer("Dropout", "drop", json!({"rate": 0.5}), nodes);
    let load =
        |nodes| file(&functional(&[input(), lstm(true), dropout(nodes)], "drop"), &weights(false))?.model::<f32>();
    let message = refused(load(on(json!([tensor("lstm"), true]))));
    says(&message, &["call argument training=true", "call it without training"], &[]);
    load(on(json!([tensor("lstm")])))?;
    Ok(())
}

#[test]
fn weights_alone() -> Outcome {
    let (config, bytes) = (sequential(&[input(), lstm(false)]), weights(false).write());
    let text = config.to_string().into_bytes();
    let alone = File::from_bytes("m.weights.h5", bytes.clone(), &Options::new())?;
    says(&refused(alone.model::<f32>()), &["weights only", "keras::File::from_parts", "keras::load_weights"], &[]);
    let whole = File::from_parts("m", text.clone(), bytes, &Options::new())?.model::<f32>()?;
    let mut lstm_by_hand = Lstm::<f32>::new(3, 4);
    alone.weights_into(&mut lstm_by_hand)?;
    let x = Array3::ones((2, 5, 3));
    assert_eq!(whole.predict_one(&x)?, lstm_by_hand.forward(&x)?.last().view().into_dyn());
    let message = refused(File::from_bytes("m.json", text, &Options::new()));
    says(&message, &["JSON text", "keras::File::from_parts"], &[]);

    // More layers than the one that is to be filled.
    let bytes = weights(true).write();
    let two = File::from_bytes("m.weights.h5", bytes.clone(), &Options::new())?;
    let message = refused(two.weights_into(&mut Lstm::<f32>::new(3, 4)));
    says(&message, &["2 layers (dense, lstm)", "Stacked", "keras::File::layer"], &["the only layer"]);
    let mut stack = Stacked::builder().layer(Lstm::<f32>::new(3, 4)).layer(Dense::new(4, 2)).build()?;
    two.weights_into(&mut stack)?;
    let dense = layer("Dense", "dense", json!({"units": 2}), json!([]));
    let text = sequential(&[input(), lstm(false), dense]).to_string().into_bytes();
    let taken = File::from_parts("m", text, bytes, &Options::new())?.layer::<f32>("lstm")?;
    assert_eq!(taken.weight("kernel")?, stack.weight("0/kernel")?);
    Ok(())
}

/// Whatever way a model names to run it step by step is one.
#[test]
fn models_step_by_step() -> Outcome {
    let folder = format!("{}/tests/golden/keras_models/models", env!("CARGO_MANIFEST_DIR"));
    let (mut streams, mut tables, mut layers) = (0, 0, 0);
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "keras") {
            continue;
        }
        let model: Model<f32> = match keras::load(&path) {
            Ok(model) => model,
            Err(error) => {
                assert!(matches!(error.problem(), Problem::DType { .. }), "{error}");
                continue;
            }
        };
        let refusals = [model.clone().into_layer().err(), model.clone().into_embedding_and_layer().err()];
        for refusal in refusals.into_iter().flatten().map(|refusal| refusal.to_string()) {
            let what = format!("{}: {refusal}", path.display());
            if refusal.contains("Model::stream") {
                assert!(model.stream(2).is_ok(), "{what}");
                streams += 1;
            }
            if refusal.contains("use into_embedding_and_layer") {
                assert!(model.clone().into_embedding_and_layer().is_ok(), "{what}");
                tables += 1;
            }
            if refusal.contains("use into_layer") {
                assert!(model.clone().into_layer().is_ok(), "{what}");
                layers += 1;
            }
        }
    }
    assert!(streams > 3 && tables > 1 && layers > 3, "{streams}, {tables}, {layers}");
    Ok(())
}

/// Layers built by hand.
#[test]
fn stacks_and_pairs() -> Outcome {
    let stack = Stacked::builder().layer(Lstm::<f32>::new(3, 4)).layer(Dense::new(4, 5)).layer(Gru::new(5, 6));
    let error = stack.build().unwrap_err().to_string();
    says(&error, &["give the recurrent layer before it return_sequences(true)"], &[]);
    let sequences = Lstm::<f32>::builder(3, 4).return_sequences(true).build()?;
    let stack = Stacked::builder().layer(sequences).layer(Dense::new(4, 5)).layer(Gru::new(5, 6)).build()?;
    says(&stack.weight("nothing").unwrap_err().to_string(), &["0/kernel"], &[]);

    let error = Bidirectional::from_layers(Lstm::<f32>::new(3, 4), Lstm::new(3, 4)).unwrap_err().to_string();
    assert_eq!(error, "go_backwards: the forward layer has false, the backward layer has false: they must be opposite");
    let backward = Lstm::<f32>::builder(3, 5).go_backwards(true).build()?;
    let pair = Bidirectional::from_layers(Lstm::new(3, 4), backward)?;
    let x = Array3::<f32>::ones((2, 5, 3));
    let error = pair.clone().merge_mode(Merge::Sum).forward(&x).unwrap_err().to_string();
    says(&error, &["units: the forward layer has 4, the backward layer has 5", "this merge mode"], &[]);
    pair.merge_mode(Merge::Concat).forward(&x)?;
    // A layer without state has no name to give.
    let dense = Dense::<f32>::new(3, 4);
    let none = dense.initial_state(2).get("h").unwrap_err().to_string();
    says(&none, &["there is none at all"], &["the names are"]);
    let error = Lstm::<f32>::new(3, 4).run(&x, Run::new().mask(&Array2::from_elem((2, 5), true)).lengths(&[5, 5]));
    says(&error.unwrap_err().to_string(), &["give one of them"], &[]);
    Ok(())
}

/// Whoever prints an error and its sources prints each thing once, and the error alone says all of it.
#[test]
fn chains_of_errors() -> Outcome {
    let inner = Error::MaskValue;
    let within = Error::InLayer { layer: "masking".into(), source: Box::new(inner.clone()) };
    let deeper = Error::InLayer { layer: "model".into(), source: Box::new(within.clone()) };
    let bad = layer("Masking", "masking", json!({"mask_value": 1e300}), json!([]));
    let of_a_file = file(&sequential(&[input(), bad]), &weights(false))?.model::<f32>();
    let unknown = layer("Activation", "odd", json!({"activation": "nothing"}), json!([]));
    let load = file(&sequential(&[input(), unknown]), &weights(false))?.model::<f32>().unwrap_err();
    assert!(matches!(load.problem(), Problem::Layer { .. }), "{load}");
    let problem = load.problem().clone();
    let all: [(&dyn std::error::Error, &str); 5] = [
        (&inner, "NaN equals nothing"),
        (&within, "layer \"masking\": a mask value of NaN"),
        (&deeper, "layer \"model\": layer \"masking\": a mask value"),
        (&problem, "layer \"odd\": unknown activation \"nothing\""),
        (&load, "m.keras: layer \"odd\": unknown activation"),
    ];
    for (error, message) in all {
        let mut text = error.to_string();
        assert!(text.contains(message), "{text}");
        let mut source = error.source();
        while let Some(error) = source {
            text = format!("{text}: {error}");
            source = error.source();
        }
        let last = message.rsplit(": ").next().expect("a part");
        assert_eq!(text.matches(last).count(), 1, "{text}");
    }
    drop(of_a_file);
    Ok(())
}

/// Models of several inputs or outputs say which they have.
#[test]
fn predict_one() -> Outcome {
    let folder = format!("{}/tests/golden/keras_models/models", env!("CARGO_MANIFEST_DIR"));
    let model = keras::load::<f32>(format!("{folder}/encoder_decoder.keras"))?;
    let x = Array3::<f32>::ones((2, 5, 3));
    let error = model.predict_one(&x).unwrap_err();
    says(&error.to_string(), &["2 inputs (source, target)", "1 outputs (head)", "use predict"], &[]);
    model.predict(&[(&x).into(), (&Array3::<f32>::ones((2, 4, 2))).into()])?;

    let model = keras::load::<f32>(format!("{folder}/embedding.keras"))?;
    let ids = array![[1, 2, 3, 4], [4, 3, 2, 1]];
    let expected = model.predict_one(&ids)?;
    // Whatever array it is: views by value and by reference, slices, other integers, other dimensions.
    let wide = array![[0_u8, 1, 2, 3, 4], [0, 4, 3, 2, 1]];
    #[allow(clippy::needless_borrows_for_generic_args)] // they are what is tried
    for same in [
        model.predict_one(ids.view())?,
        model.predict_one(&ids.view())?,
        model.predict_one(&*ids)?,
        model.predict_one(&wide.slice(s![.., 1..]))?,
        model.predict_one(wide.slice(s![.., 1..]))?,
        model.predict_one(&ids.mapv(|id| id as f32).into_dyn())?,
        model.predict_one(&ids.to_shared())?,
    ] {
        assert_eq!(same, expected);
    }
    let double = keras::load::<f64>(format!("{folder}/embedding.keras"))?;
    assert_eq!(double.predict_one(&ids.mapv(f64::from))?, double.predict_one(&ids.mapv(i64::from))?);
    // A loaded chain is a layer in a box: no other box is needed.
    let model = keras::load::<f32>(format!("{folder}/lstm.keras"))?;
    Stream::new(model.into_layer()?, 1)?.step_one(&[0.0; 3])?;
    Ok(())
}
