//! Regularizers of activity in a file, and what isn't known here: it is refused, by layer and option.

use recurrent::keras::{self, File, Options};
use recurrent::training::{Regularizer, WeightRules};
use recurrent::{Error, Model};
use serde_json::{Value, json};

/// The refusal of a model of `table.keras` whose last layer, an LSTM, was told something else.
fn refusal(option: &str, said: Value) -> Error {
    let path = format!("{}/tests/golden/keras_models/rules/table.keras", env!("CARGO_MANIFEST_DIR"));
    let members = crate::check::zip::members(&std::fs::read(&path).expect("a file"));
    let member = |wanted: &str| members.iter().find(|(name, _)| name == wanted).expect("a member").1.clone();
    let mut config: Value = serde_json::from_slice(&member("config.json")).expect("sound");
    let layers = config["config"]["layers"].as_array_mut().expect("layers");
    let lstm = layers.last_mut().expect("a layer");
    assert_eq!(lstm["class_name"], "LSTM");
    lstm["config"][option] = said;
    let (config, weights) = (config.to_string().into_bytes(), member("model.weights.h5"));
    let file = File::from_parts("table", config, weights, &Options::new()).expect("sound");
    keras::weight_rules(&file.model::<f32>().expect("a model")).expect_err("refused")
}

#[test]
fn what_isnt_known_is_refused() {
    let own = json!({
        "module": "mine", "class_name": "L2", "config": {"l2": 0.1}, "registered_name": "mine>L2",
    });
    let radial = json!({
        "module": "keras.constraints", "class_name": "RadialConstraint", "config": {"axis": 0}, "registered_name": null,
    });
    for (option, said, given) in [
        ("kernel_regularizer", own, "L2"),
        ("recurrent_constraint", radial, "RadialConstraint"),
        ("activity_regularizer", json!({"module": "mine", "class_name": "Own", "config": {}}), "Own"),
    ] {
        match refusal(option, said) {
            Error::RuleUnknown { layer, option: named, given: class } => {
                assert_eq!((&layer[..], &named[..], &class[..]), ("lstm", option, given));
            }
            other => panic!("{other}"),
        }
    }
}

/// A golden model of which a layer was told something else.
fn told(file: &str, layer: &str, tell: impl Fn(&mut Value)) -> Model<f32> {
    let path = format!("{}/tests/golden/keras_models/models/{file}.keras", env!("CARGO_MANIFEST_DIR"));
    let members = crate::check::zip::members(&std::fs::read(&path).expect("a file"));
    let member = |wanted: &str| members.iter().find(|(name, _)| name == wanted).expect("a member").1.clone();
    let mut config: Value = serde_json::from_slice(&member("config.json")).expect("sound");
    let mut layers = config["config"]["layers"].as_array_mut().expect("layers").iter_mut();
    tell(&mut layers.find(|own| own["config"]["name"] == layer).expect("the layer")["config"]);
    let (config, weights) = (config.to_string().into_bytes(), member("model.weights.h5"));
    File::from_parts(file, config, weights, &Options::new()).and_then(|file| file.model()).expect("sound")
}

/// Read, kept in files of both kinds, and written again; but for a TimeDistributed's layer, which Keras calls past it.
#[test]
fn activity_regularizers() {
    let own = "activity_regularizer";
    let l1 = json!({
        "module": "keras.regularizers", "class_name": "L1", "config": {"l1": 0.25}, "registered_name": null,
    });
    let rules = |layer: &str, regularizer| WeightRules::new().activity_regularizer(layer, regularizer);
    for (model, expected) in [
        (told("lstm", "lstm", |config| config[own] = json!("l2")), rules("lstm", Regularizer::L2 { factor: 0.01 })),
        (
            told("bidirectional_sum", "bidirectional", |config| config["backward_layer"]["config"][own] = l1.clone()),
            rules("bidirectional/backward", Regularizer::L1 { factor: 0.25 }),
        ),
        (
            told("dropouts", "activity_regularization", |config| config["l1"] = json!(0.5)),
            rules("activity_regularization", Regularizer::L1 { factor: 0.5 }),
        ),
        (
            told("time_distributed", "time_distributed", |config| config["layer"]["config"][own] = l1.clone()),
            WeightRules::new(),
        ),
    ] {
        assert_eq!(keras::weight_rules(&model), Ok(expected.clone()));
        let bytes = keras::to_bytes(&model).expect("written");
        let again = File::from_bytes("again", bytes, &Options::new()).and_then(|file| file.model::<f32>());
        assert_eq!(keras::weight_rules(&again.expect("read")), Ok(expected.clone()));
        let again = recurrent::file::from_bytes::<Model<f32>>(&recurrent::file::to_bytes(&model).expect("written"));
        assert_eq!(keras::weight_rules(&again.expect("read")), Ok(expected));
    }
    // What a cell gives at each step is another penalty.
    let of_cell = told("rnn_of_a_cell", "rnn", |config| config["cell"]["config"][own] = l1.clone());
    let refused = keras::weight_rules(&of_cell);
    assert!(matches!(&refused, Err(Error::RuleUnknown { option, .. }) if option == own), "{refused:?}");
}
