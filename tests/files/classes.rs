//! Whose class it is that a description names, and parts of a description that are of the wrong type: each refused by
//! name, with a way out.

use recurrent::keras::{File, LoadError, Options, Problem};
use serde_json::{Value, json};

/// A golden model whose description was changed.
fn changed(name: &str, change: impl Fn(&mut Value)) -> File {
    let path = format!("{}/tests/golden/keras_models/models/{name}.keras", env!("CARGO_MANIFEST_DIR"));
    let members = crate::check::zip::members(&std::fs::read(path).unwrap());
    let member = |wanted: &str| members.iter().find(|(name, _)| name == wanted).unwrap().1.clone();
    let mut config = serde_json::from_slice(&member("config.json")).unwrap();
    change(&mut config);
    File::from_parts(name, config.to_string().into_bytes(), member("model.weights.h5"), &Options::new()).unwrap()
}

fn load(name: &str, change: impl Fn(&mut Value)) -> Result<(), LoadError> {
    changed(name, change).model::<f32>().map(drop)
}

fn refused(name: &str, change: impl Fn(&mut Value)) -> Problem {
    load(name, change).expect_err("it should be refused").problem().clone()
}

/// The layer of this name.
fn layer<'c>(config: &'c mut Value, name: &str) -> &'c mut Value {
    let layers = config["config"]["layers"].as_array_mut().unwrap();
    layers.iter_mut().find(|layer| layer["config"]["name"] == name).unwrap()
}

/// The first object below `value` of this class.
fn of_class<'c>(value: &'c mut Value, class: &str) -> Option<&'c mut Value> {
    if value.get("class_name").is_some_and(|name| name == class) {
        return Some(value);
    }
    match value {
        Value::Object(map) => map.values_mut().find_map(|value| of_class(value, class)),
        Value::Array(list) => list.iter_mut().find_map(|value| of_class(value, class)),
        _ => None,
    }
}

/// Layers, cells, wrappers' layers, models, activations, initializers, operations and policies.
const PLACES: [(&str, &str); 15] = [
    ("lstm", "Sequential"),
    ("lstm", "LSTM"),
    ("lstm", "InputLayer"),
    ("lstm", "GlorotUniform"),
    ("lstm", "DTypePolicy"),
    ("dense_head", "Dense"),
    ("rnn_of_a_cell", "GRUCell"),
    ("rnn_of_cells", "StackedRNNCells"),
    ("bidirectional_sum", "Bidirectional"),
    ("bidirectional_sum", "GRU"),
    ("time_distributed", "TimeDistributed"),
    ("encoder_decoder", "Functional"),
    ("activation_objects", "LeakyReLU"),
    ("masks_and_initial_states", "NotEqual"),
    ("embedding", "Embedding"),
];

#[test]
fn a_class_is_keras_s_by_module_and_registered_name() {
    let mut tried = 0;
    for (name, class) in PLACES {
        let with = |module: Value, registered: Value| {
            load(name, |config| {
                let Some(object) = of_class(config, class) else { panic!("no {class} in {name}") };
                object["module"] = module.clone();
                object["registered_name"] = registered.clone();
            })
        };
        let operation = class == "NotEqual";
        let sub = if operation { ".src.ops.numpy" } else { "" };
        for keras in ["keras", "tf_keras"] {
            for sub in if operation {
                &[".src.ops.numpy", ".ops.numpy"][..]
            } else {
                &["", ".layers", ".src.engine.functional"]
            } {
                for registered in [json!(null), json!(class)] {
                    with(format!("{keras}{sub}").into(), registered).unwrap_or_else(|error| panic!("{class}: {error}"));
                }
            }
        }
        let foreign = [
            (json!(null), json!(class), class.to_string()),
            (json!(null), json!(null), class.to_string()),
            (json!(format!("keras{sub}")), json!(format!("My>{class}")), format!("My>{class}")),
            (json!(format!("keras{sub}")), json!("Other"), "Other".into()),
            (json!("keras_nlp.layers"), json!(null), "keras_nlp.layers".into()),
            (json!("tf_keras_hub"), json!(class), "tf_keras_hub".into()),
            (json!("my.keras.layers"), json!(class), "my.keras.layers".into()),
            (json!("__main__"), json!(class), "__main__".into()),
            (json!("builtins"), json!(null), "builtins".into()),
            (json!(""), json!(null), class.to_string()),
            (json!(format!("keras{sub} ")), json!(null), class.to_string()),
            (json!(format!("keras.{sub}")), json!(class), class.to_string()),
            (json!(format!("keras{sub}.")), json!(null), class.to_string()),
            (json!(format!("keras{sub}.1layers")), json!(class), class.to_string()),
            (json!(format!("keras{sub}.la-yers")), json!(null), class.to_string()),
        ];
        for (module, registered, named) in foreign {
            let error = with(module.clone(), registered.clone()).expect_err(class);
            let Problem::UnsupportedClass { class: given, hint, .. } = error.problem() else {
                panic!("{class}, {module}, {registered}: {error}")
            };
            let way = if ["Sequential", "Functional"].contains(&class) {
                "keras::File::weights_below"
            } else {
                "keras::File::layer"
            };
            assert!(given.contains(&named) && hint.contains(way), "{error}");
            tried += 1;
        }
    }
    assert_eq!(tried, 225);
}

/// The way out of a foreign class: other layers can be taken out of the file.
#[test]
fn beside_a_foreign_class() {
    let file = changed("dense_head", |config| layer(config, "dense")["module"] = "mine".into());
    assert!(file.model::<f32>().is_err());
    let names = file.layer_names().unwrap();
    let taken = names.iter().filter(|name| file.layer::<f32>(name).is_ok()).count();
    assert!(taken > 0, "{names:?}");
}

/// A foreign model is no model whose layers could be read.
#[test]
fn a_subclass_of_sequential() {
    let problem = refused("lstm", |config| {
        config["module"] = Value::Null;
        config["registered_name"] = "Sequential".into();
    });
    assert!(matches!(&problem, Problem::UnsupportedClass { class, .. } if class.contains("Sequential")), "{problem}");
}

/// Arguments of calls that aren't what they must be.
#[test]
fn arguments_of_calls() {
    let call = |name: &'static str, layer_name: &'static str, change: fn(&mut Value)| {
        refused(name, move |config| change(&mut layer(config, layer_name)["inbound_nodes"][0]))
    };
    for kwargs in [json!("x"), json!(1), json!([]), json!(null), json!(true)] {
        let problem = refused("encoder_decoder", |config| {
            layer(config, "decoder")["inbound_nodes"][0]["kwargs"] = kwargs.clone();
        });
        assert!(matches!(&problem, Problem::Config { option, .. } if option.contains("kwargs")), "{problem}");
    }
    for mask in [json!([[[]]]), json!([]), json!([[]]), json!(1), json!({}), json!("lstm"), json!(false)] {
        let problem = refused("encoder_decoder", |config| {
            layer(config, "decoder")["inbound_nodes"][0]["kwargs"]["mask"] = mask.clone();
        });
        assert!(matches!(&problem, Problem::Config { .. }), "{mask}: {problem}");
    }
    // A list of masks, of which a layer of one input would keep the first.
    let problem = call("stateful_masked", "lstm", |call| {
        let mask = call["kwargs"]["mask"].clone();
        call["kwargs"]["mask"] = json!([mask, mask]);
    });
    assert!(matches!(&problem, Problem::Config { .. }), "{problem}");
    // Twice the same argument, an argument too many, one of no such name.
    let problem = call("encoder_decoder", "decoder", |call| {
        let state = call["kwargs"]["initial_state"].clone();
        call["args"].as_array_mut().unwrap().push(state);
    });
    assert!(matches!(&problem, Problem::UnsupportedOption { .. }), "{problem}");
    let problem = call("encoder_decoder", "decoder", |call| call["kwargs"]["constants"] = Value::Null);
    assert!(matches!(&problem, Problem::UnsupportedOption { .. }), "{problem}");
    let problem = call("encoder_decoder", "head", |call| {
        call["args"].as_array_mut().unwrap().extend([json!(null), json!(null)]);
    });
    assert!(matches!(&problem, Problem::UnsupportedOption { .. }), "{problem}");
    let problem = call("encoder_decoder", "head", |call| call["more"] = json!({}));
    assert!(matches!(&problem, Problem::UnknownOption { .. }), "{problem}");
}

#[test]
fn references_to_tensors() {
    let graph = |key: &'static str, value: Value| {
        refused("encoder_decoder", move |config| config["config"][key] = value.clone())
    };
    for part in ["shape", "dtype", "keras_history"] {
        let problem = refused("encoder_decoder", |config| {
            let tensor = of_class(config, "__keras_tensor__").unwrap();
            tensor["config"].as_object_mut().unwrap().remove(part);
        });
        assert!(matches!(&problem, Problem::Config { option, .. } if option == part), "{problem}");
    }
    for inputs in [
        json!([["source", 1, 0], ["target", 0, 0]]),
        json!([["source", 0, 1], ["target", 0, 0]]),
        json!([["source", 0, 0, 0], ["target", 0, 0]]),
        json!([["source", 0], ["target", 0, 0]]),
        json!([["source", 0, 0], ["target", 0, 0], []]),
        json!([["source", 0, 0], ["source", 0, 0], ["target", 0, 0]]),
        json!([["head", 0, 0], ["target", 0, 0]]),
        json!("source"),
        json!(null),
    ] {
        graph("input_layers", inputs);
    }
    for outputs in [
        json!([["head", 0, 0], [[]]]),
        json!([["head", 0, 0], []]),
        json!([["head", 0, 0], {}]),
        json!([["head", 0, 0], null]),
        json!(["head", 0, 0, {}]),
        json!(["head", 1, 0]),
        json!([]),
        json!([[], [[]]]),
    ] {
        graph("output_layers", outputs);
    }
}

/// Options that have no effect here must still be of their type.
#[test]
fn types_of_options_without_effect() {
    for (name, class, option, wrong) in [
        ("normalization", "BatchNormalization", "momentum", vec![json!("x"), json!(null), json!(true), json!([])]),
        ("normalization", "BatchNormalization", "synchronized", vec![json!("x"), json!(null), json!(0)]),
        ("normalization", "BatchNormalization", "renorm", vec![json!("x"), json!(null), json!(0), json!(true)]),
        ("dropouts", "Dropout", "rate", vec![json!("x"), json!(null), json!(true), json!([0.5])]),
        ("dropouts", "Dropout", "noise_shape", vec![json!("x"), json!(1), json!({}), json!(["x"])]),
        ("dropouts", "Dropout", "seed", vec![json!("x"), json!(1.5), json!([])]),
        ("lstm", "LSTM", "dropout", vec![json!("x"), json!(null), json!(true)]),
        ("lstm", "LSTM", "recurrent_dropout", vec![json!("x"), json!(null), json!([])]),
        ("lstm", "LSTM", "seed", vec![json!("x"), json!([1])]),
        ("lstm", "LSTM", "trainable", vec![json!("x"), json!(null), json!(1)]),
        ("lstm", "LSTM", "kernel_initializer", vec![json!(1), json!(true), json!([]), json!({}), json!("x")]),
        ("lstm", "LSTM", "kernel_regularizer", vec![json!(1), json!(true), json!([]), json!({}), json!("x")]),
        ("lstm", "LSTM", "recurrent_regularizer", vec![json!("x"), json!({"config": {}}), json!({"class_name": 1})]),
        ("lstm", "LSTM", "bias_constraint", vec![json!("x"), json!({}), json!(1)]),
        ("lstm", "LSTM", "activity_regularizer", vec![json!("x"), json!({}), json!(1)]),
        ("lstm", "LSTM", "use_bias", vec![json!(1), json!(null), json!("yes")]),
        ("lstm", "LSTM", "units", vec![json!(null), json!("4"), json!(4.0), json!(true)]),
        ("lstm", "Sequential", "build_input_shape", vec![json!("x"), json!(1), json!({}), json!(["x"])]),
        ("bidirectional_sum", "Bidirectional", "backward_layer", vec![json!(0), json!("x"), json!([1]), json!(null)]),
    ] {
        for value in wrong {
            let given = load(name, |config| of_class(config, class).unwrap()["config"][option] = value.clone());
            let named = given.expect_err(&format!("{class}, {option} = {value}")).to_string();
            assert!(
                named.contains(option) || named.contains("an object") || named.contains("a layer"),
                "{value}: {named}"
            );
        }
    }
    // What another's class makes of training doesn't matter here.
    for (option, known) in [
        ("kernel_regularizer", json!("l1_l2")),
        (
            "kernel_regularizer",
            json!({"class_name": "Mine", "config": {}, "module": "mine", "registered_name": "x>Mine"}),
        ),
        ("bias_constraint", json!("MaxNorm")),
        ("kernel_initializer", json!("he_normal")),
    ] {
        load("lstm", |config| of_class(config, "LSTM").unwrap()["config"][option] = known.clone()).unwrap();
    }
    let policy = refused("lstm", |config| {
        of_class(config, "DTypePolicy").unwrap()["class_name"] = "QuantizedDTypePolicy".into();
    });
    assert!(matches!(policy, Problem::DType { .. }), "{policy}");
}

/// Keras 2's form of a call: `[name, node, tensor, {..}]`.
#[test]
fn the_fourth_item_of_keras_2() {
    let path = format!("{}/tests/golden/keras_models/keras2/graph.h5", env!("CARGO_MANIFEST_DIR"));
    let bytes = std::fs::read(path).unwrap();
    let load = |bytes: Vec<u8>| File::from_bytes("graph", bytes, &Options::new()).unwrap().model::<f32>().map(drop);
    load(bytes.clone()).unwrap();
    let item = b", 0, 0, {}]";
    let at = bytes.windows(item.len()).position(|window| window == item).unwrap();
    for other in [b"\"\"", b"[]", b" 1"] {
        let mut bytes = bytes.clone();
        bytes[at + 8..at + 10].copy_from_slice(other);
        let error = load(bytes).unwrap_err();
        assert!(matches!(error.problem(), Problem::Config { .. }), "{error}");
    }
}
