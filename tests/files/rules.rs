//! Regularizers and constraints in a file that aren't known here are refused, by layer and option.

use recurrent::Error;
use recurrent::keras::{self, File, Options};
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
        ("activity_regularizer", json!("l2"), "l2"),
    ] {
        match refusal(option, said) {
            Error::RuleUnknown { layer, option: named, given: class } => {
                assert_eq!((&layer[..], &named[..], &class[..]), ("lstm", option, given));
            }
            other => panic!("{other}"),
        }
    }
}
