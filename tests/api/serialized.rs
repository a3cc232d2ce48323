//! Options and states in serde's formats.

use recurrent::training::DropoutSeeds;
use recurrent::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

fn there_and_back<V: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(value: &V, expected: Value) {
    let written = serde_json::to_value(value).expect("written");
    assert_eq!(written, expected);
    assert_eq!(&serde_json::from_value::<V>(written).expect("read"), value);
    // By text, too, which numbers must survive.
    let text = serde_json::to_string(value).expect("written");
    assert_eq!(&serde_json::from_str::<V>(&text).expect("read"), value);
}

fn refused<V: DeserializeOwned + std::fmt::Debug>(value: Value, expected: &str) {
    let error = serde_json::from_value::<V>(value).expect_err(expected).to_string();
    assert!(error.contains(expected), "{error}");
}

#[test]
fn options() {
    there_and_back(&Initializer::Zeros, json!({"class_name": "Zeros", "config": {}}));
    there_and_back(
        &Initializer::GlorotNormal { seed: Some(7) },
        json!({"class_name": "GlorotNormal", "config": {"seed": 7}}),
    );
    there_and_back(
        &Initializer::Orthogonal { gain: 0.1, seed: None },
        json!({"class_name": "Orthogonal", "config": {"gain": 0.1, "seed": null}}),
    );
    there_and_back(&Activation::Tanh, json!("tanh"));
    there_and_back(
        &Activation::ReluWith { negative_slope: 0.25, max_value: Some(2.5), threshold: 0.5 },
        json!({"class_name": "relu", "config": {"negative_slope": 0.25, "max_value": 2.5, "threshold": 0.5}}),
    );
    for (merge, name) in [(Merge::Sum, "sum"), (Merge::Mul, "mul"), (Merge::Concat, "concat"), (Merge::Ave, "ave")] {
        there_and_back(&merge, json!(name));
    }
    there_and_back(&Merge::None, json!(null));
    refused::<Merge>(json!("max"), "must be concat, sum, mul, ave or null");
    refused::<Activation>(json!("tan"), "tan");
    refused::<Initializer>(json!({"class_name": "Zeros", "config": {"seed": 1}}), "isn't known");
    let own = Activation::custom("own", |x| x);
    let error = serde_json::to_string(&own).expect_err("the program's own").to_string();
    assert!(error.contains("own"), "{error}");
}

#[test]
fn states() {
    let mut state = Lstm::<f32>::new(3, 2).initial_state(2);
    state.set("c", &ndarray::array![[0.1, f32::MIN_POSITIVE], [-0.0, 1e30]]).expect("a part");
    let text = serde_json::to_string(&state).expect("written");
    let again: State<f32> = serde_json::from_str(&text).expect("read");
    assert_eq!(again.to_bytes(), state.to_bytes(), "the same bits");
    there_and_back(
        &Gru::<f64>::new(3, 2).initial_state(1),
        json!({"parts": [["h", 2]], "batch": 1, "values": [0.0, 0.0]}),
    );
    refused::<State<f32>>(json!({"parts": [["h", 2]], "batch": 2, "values": [0.0]}), "2 rows of 2 columns aren't 1");
    let mut odd = Gru::<f64>::new(3, 3).initial_state(1);
    odd.set("h", &ndarray::array![[f64::NAN, f64::INFINITY, f64::NEG_INFINITY]]).expect("a part");
    let again: State<f64> = serde_json::from_str(&serde_json::to_string(&odd).expect("written")).expect("read");
    assert!(again.get("h").expect("a part")[[0, 0]].is_nan());
    assert_eq!(
        again.get("h").expect("a part").iter().skip(1).collect::<Vec<_>>(),
        [&f64::INFINITY, &f64::NEG_INFINITY]
    );
    let huge = json!({"parts": [["h", u64::MAX]], "batch": u64::MAX, "values": []});
    refused::<State<f32>>(huge, "aren't 0 numbers");
    refused::<State<f32>>(json!({"parts": [], "batch": 0, "values": [], "more": 1}), "more");
    refused::<State<f32>>(json!({"parts": [], "batch": 0}), "values");
}

#[test]
fn seeds() {
    let layer = Gru::<f32>::builder(3, 4).dropout(0.5).seed(9).build().expect("a layer");
    let mut seeds = layer.seeds();
    seeds.skip_inference();
    let written = serde_json::to_value(&seeds).expect("written");
    assert_eq!(written[0]["config"]["seed"], 9);
    assert_eq!(serde_json::from_value::<DropoutSeeds>(written).expect("read"), seeds);
}
