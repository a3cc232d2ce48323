//! What isn't an own file, or not what was asked for: refused by name, with a way out.

use super::contents::{Contents, classes};
use ndarray::prelude::*;
use recurrent::cell::Step;
use recurrent::file::{self, Limits, Problem, SaveError, Saved};
use recurrent::model::AnyLayer;
use recurrent::*;
use serde_json::json;

fn refusal<S: Saved>(bytes: &[u8]) -> String {
    match file::from_bytes::<S>(bytes) {
        Ok(_) => panic!("it was taken"),
        Err(error) => error.to_string(),
    }
}

fn gru() -> Vec<u8> {
    file::to_bytes(&Gru::<f32>::new(3, 4)).expect("saved")
}

#[test]
fn another_kind_or_type() {
    let gru = gru();
    let expected = "the bytes: it holds a GRU of float32: load it as Gru<f32>";
    assert_eq!(refusal::<Lstm<f32>>(&gru), expected);
    assert_eq!(refusal::<Gru<f64>>(&gru), expected);
    assert_eq!(refusal::<Model<f32>>(&gru), expected);
    assert_eq!(refusal::<Embedding<f32>>(&gru), expected);
    assert_eq!(refusal::<State<f32>>(&gru), expected);
    assert_eq!(refusal::<Box<dyn Layer<f64>>>(&gru), expected);
    assert!(file::from_bytes::<Box<dyn Layer<f32>>>(&gru).is_ok());
    let ask = |bytes: Result<Vec<u8>, SaveError>| {
        let refused = refusal::<Masking<f32>>(&bytes.expect("saved"));
        refused.split_once(": load it as ").map(|(_, ask)| ask.to_string()).unwrap_or(refused)
    };
    let cells = StackedCells::builder().cell(Gru::<f64>::builder(3, 4).build_cell().expect("a cell")).build();
    assert_eq!(ask(file::to_bytes(&Recurrent::from_cell(cells.expect("cells")))), "Recurrent<StackedCells<f64>>");
    assert_eq!(ask(file::to_bytes(&LayerNormLstm::<f32>::new(2, 3))), "LayerNormLstm<f32>");
    assert_eq!(
        ask(file::to_bytes(&Bidirectional::new(Lstm::<f32>::builder(2, 3)).expect("a layer"))),
        "Bidirectional<f32>"
    );
    assert_eq!(ask(file::to_bytes(&Embedding::<f32>::new(2, 3))), "Embedding<f32>");
    assert_eq!(ask(file::to_bytes(&Gru::<f32>::new(2, 3).initial_state(1))), "State<f32>");
    let model =
        Sequential::<f32>::builder("m").layer(Masking::new(0.5).expect("a number")).layer(Gru::new(2, 3)).build();
    let model = model.expect("a model");
    assert_eq!(ask(file::to_bytes(&model)), "Model<f32>");
    let layer = model.into_layer().expect("a layer");
    assert_eq!(ask(file::to_bytes(&layer)), "Stacked<f32>");
}

#[test]
fn versions_and_metadata() {
    let contents = Contents::of(&gru());
    let newer = refusal::<Gru<f32>>(&contents.with("version", Some("3")));
    assert!(
        newer.contains("its format is version 3, written by recurrent 0.1.0, and this one reads up to 2"),
        "{newer}"
    );
    for version in ["0", "", "-1", "one", "1.0", "99999999999999999999999"] {
        let refused = refusal::<Gru<f32>>(&contents.with("version", Some(version)));
        assert!(refused.contains("version must be a version of the format"), "{refused}");
    }
    for key in ["version", "crate", "kind", "element", "config"] {
        let refused = refusal::<Gru<f32>>(&contents.with(key, None));
        assert!(refused.contains(&format!("{key} must be ")) && refused.ends_with("found nothing"), "{refused}");
    }
    for (key, value, told) in [
        ("format", "pt", "pytorch::File reads those"),
        (
            "kind",
            "network",
            "kind must be layer, embedding, masking, model, state, model_state, gradients, optimizer, plateau, seeds",
        ),
        ("kind", "model", "it holds a Model of float32: load it as Model<f32>"),
        ("element", "float16", "element must be float32 or float64, found float16"),
        ("element", "float64", "load it as Gru<f64>"),
        ("config", "{", "the configuration isn't sound JSON"),
        ("more", "", "an option \"more\", which isn't known"),
    ] {
        let refused = refusal::<Gru<f32>>(&contents.with(key, Some(value)));
        assert!(refused.contains(told), "{key}={value}: {refused}");
    }
    assert!(refusal::<Gru<f32>>(b"PK\x03\x04..").contains("keras::load reads .keras files"));
    assert!(refusal::<Gru<f32>>(b"\x89HDF\r\n\x1a\n").contains("keras::load reads .h5 files"));
    assert!(refusal::<Gru<f32>>(b"").contains("the safetensors file is damaged"));
    // What says that it is of another element than its tensors.
    let refused = refusal::<Gru<f64>>(&contents.with("element", Some("float64")));
    assert!(refused.contains("holds float32, expected float64"), "{refused}");
}

#[test]
fn tensors_and_options() {
    let contents = Contents::of(&gru());
    let changed = |change: &dyn Fn(&mut Contents)| {
        let mut other = contents.clone();
        change(&mut other);
        refusal::<Gru<f32>>(&other.bytes())
    };
    let renamed = changed(&|other| {
        let tensor = other.header.remove("bias").expect("there");
        other.header.insert("skew".into(), tensor);
    });
    assert!(renamed.contains("there is no tensor \"bias\" for its bias"), "{renamed}");
    let left = changed(&|other| {
        let tensor = json!({"dtype": "F32", "shape": [0], "data_offsets": [0, 0]});
        other.header.insert("more".into(), tensor);
    });
    assert!(left.contains("tensor \"more\" belongs to no layer of the model"), "{left}");
    let shape = changed(&|other| other.header["kernel"]["shape"] = json!([12, 3]));
    assert!(shape.contains("tensor \"kernel\" (kernel) must have the shape [3, 12], found [12, 3]"), "{shape}");
    let numbers = changed(&|other| other.header["kernel"]["dtype"] = "I32".into());
    assert!(numbers.contains("tensor \"kernel\" holds int32, expected float32"), "{numbers}");
    let option = |key: &str, value: serde_json::Value| {
        let mut config = contents.config();
        config["config"][key] = value;
        refusal::<Gru<f32>>(&contents.with_config(&config))
    };
    for (refused, told) in [
        (option("units", json!(0)), "units must be a whole number above 0, found 0"),
        (option("units", json!("4")), "units must be a whole number above 0, found \"4\""),
        (option("units", json!(null)), "units must be a whole number above 0, found null"),
        (option("units", json!(1_i64 << 40)), "units: 1099511627776 exceeds the limit"),
        (option("units", json!(1 << 24)), "must have the shape [3, 50331648], found [3, 12]"),
        (option("activation", json!("tanhh")), "activation must be an activation, found \"tanhh\""),
        (option("activation", json!("glu")), "glu"),
        (option("dropout", json!("nan")), "dropout"),
        (option("return_sequences", json!(1)), "return_sequences must be true or false, found 1"),
        (option("reset_early", json!(true)), "(GRU) has an option \"reset_early\", which isn't known"),
        (option("reset_after", json!(false)), "must have the shape [12], found [2, 12]"),
        (
            option("kernel_initializer", json!({"class_name": "Own", "config": {}})),
            "must be an initializer, found \"Own\"",
        ),
    ] {
        assert!(refused.contains(told), "{refused}");
    }
    let mut config = contents.config();
    config["config"].as_object_mut().expect("an object").remove("seed");
    let refused = refusal::<Gru<f32>>(&contents.with_config(&config));
    assert!(refused.contains("seed must be a whole number, found nothing"), "{refused}");
}

#[test]
fn limits_hold() {
    let table = file::to_bytes(&Embedding::<f32>::new(20, 3)).expect("saved");
    let limited = |limits: Limits| match file::from_bytes_with::<Embedding<f32>>(&table, &limits) {
        Err(error) => match error.problem() {
            Problem::Limit { what, .. } => (*what).to_string(),
            other => panic!("{other}"),
        },
        Ok(_) => panic!("it was taken"),
    };
    assert_eq!(limited(Limits::new().units(19)), "units");
    assert_eq!(limited(Limits::new().depth(1)), "depth");
    assert_eq!(limited(Limits::new().tensors(0)), "tensors");
    assert_eq!(limited(Limits::new().config_bytes(40)), "config_bytes");
    assert_eq!(limited(Limits::new().file_bytes(40)), "file_bytes");
    assert!(file::from_bytes_with::<Embedding<f32>>(&table, &Limits::new().units(20).depth(2).tensors(1)).is_ok());
    let mut model = Model::<f32>::builder("m");
    let x = model.input("x", [Some(3)]).expect("an input");
    let y = model.call("a", Dense::new(3, 4), &[x]).expect("a call");
    let z = model.call("b", Dense::new(4, 2), &y).expect("a call");
    let model = file::to_bytes(&model.build(&z).expect("a model")).expect("saved");
    let limited =
        |limits: Limits| file::from_bytes_with::<Model<f32>>(&model, &limits).expect_err("too much").to_string();
    assert!(limited(Limits::new().calls(1)).contains("calls: 2 exceeds the limit of 1"));
    assert!(limited(Limits::new().elements(3)).contains("elements: 4 exceeds the limit of 3"));
}

/// A cell of the user's own.
#[derive(Debug, Clone)]
struct Sum;

impl Cell for Sum {
    type Elem = f32;
    fn input_size(&self) -> usize {
        1
    }
    fn state_layout(&self) -> StateLayout {
        StateLayout::new([("sum", 1)])
    }
    fn step(&self, step: Step<'_, f32>) {
        step.next[0] = step.prev[0] + step.x[0];
    }
    fn visit_weights<'a>(&'a self, _: &mut WeightVisitor<'_, 'a, f32>) {}
    fn visit_weights_mut(&mut self, _: &mut WeightVisitorMut<'_, f32>) {}
}

#[test]
fn what_is_the_users_own() {
    let refused = |thing: Box<dyn Layer<f32>>| file::to_bytes(&thing).expect_err("own").to_string();
    let cell = refused(Box::new(Recurrent::from_cell(Sum)));
    assert!(cell.contains("cell ") && cell.contains("Sum is the program's own"), "{cell}");
    let stacked = StackedCells::builder().cell(Sum).build().expect("cells");
    assert!(refused(Box::new(Recurrent::from_cell(stacked))).contains("Sum is the program's own"));
    let own = Activation::custom("square", |x| x * x);
    let activation = refused(Box::new(Gru::builder(1, 1).recurrent_activation(own.clone()).build().expect("a layer")));
    assert!(activation.starts_with("activation square is the program's own"), "{activation}");
    let initializer = Initializer::from_fn(|shape| ArrayD::zeros(shape));
    let dense = Dense::builder(1, 1).kernel_initializer(initializer).build().expect("a layer");
    assert!(refused(Box::new(dense)).starts_with("initializer Custom() is the program's own"));
    // Of a model, the layer is named.
    let inner = Sequential::<f32>::builder("inner").layer(Gru::new(2, 3)).named("odd", own).build().expect("a model");
    let model = Sequential::builder("outer").layer(Dense::new(3, 2)).named("within", AnyLayer::from(inner)).build();
    let refused = file::to_bytes(&model.expect("a model")).expect_err("own").to_string();
    assert!(refused.starts_with("layer \"within/odd\": activation square"), "{refused}");
}

/// Stacks within stacks, more than a file may hold.
#[test]
fn too_deep() {
    let mut stack = Stacked::builder().layer(Dense::<f32>::new(1, 1)).build().expect("a stack");
    for _ in 0..29 {
        stack = Stacked::builder().layer(stack).build().expect("a stack");
    }
    super::layers::check(&stack);
    for _ in 0..3 {
        stack = Stacked::builder().layer(stack).build().expect("a stack");
    }
    assert_eq!(file::to_bytes(&stack).expect_err("too deep"), SaveError::Depth { limit: 32 });
}

/// Each class of the list makes the round trip in some test.
#[test]
fn every_class_makes_the_round_trip() {
    let mut found = std::collections::BTreeSet::new();
    for (_, bytes) in super::models::all() {
        classes(&Contents::of(&bytes).config(), &mut found);
    }
    // Operations that only files of Keras have, which make it in `keras_models`.
    for name in [
        "arithmetic",
        "attention",
        "comparisons",
        "functions",
        "ids",
        "moving",
        "preprocessing",
        "preprocessing_of_other_axes",
        "reductions",
    ] {
        let path = format!("{}/tests/golden/keras_models/operations/{name}.keras", env!("CARGO_MANIFEST_DIR"));
        let model = recurrent::keras::load::<f32>(path).expect("a model");
        classes(&Contents::of(&file::to_bytes(&model).expect("saved")).config(), &mut found);
    }
    for name in
        ["normalizations", "einsum_dense", "multi_head", "group_query", "conv2d", "conv3d", "pooling2d", "pooling3d"]
    {
        let path = format!("{}/tests/golden/keras_models/wider_layers/{name}.keras", env!("CARGO_MANIFEST_DIR"));
        let model = recurrent::keras::load::<f32>(path).expect("a model");
        classes(&Contents::of(&file::to_bytes(&model).expect("saved")).config(), &mut found);
    }
    for name in [
        "conv_lstm/conv_lstm1d",
        "conv_lstm/conv_lstm2d",
        "conv_lstm/conv_lstm3d",
        "categories/discretization",
        "models/dropouts",
        "rare_classes/rare_classes",
        "int8/equations",
    ] {
        let path = format!("{}/tests/golden/keras_models/{name}.keras", env!("CARGO_MANIFEST_DIR"));
        let model = recurrent::keras::load::<f32>(path).expect("a model");
        classes(&Contents::of(&file::to_bytes(&model).expect("saved")).config(), &mut found);
    }
    for name in ["integer_lookup", "category_encoding"] {
        let path = format!("{}/tests/golden/keras_models/categories/{name}.keras", env!("CARGO_MANIFEST_DIR"));
        let model = recurrent::keras::load::<f32>(path).expect("a model");
        classes(&Contents::of(&file::to_bytes(&model).expect("saved")).config(), &mut found);
    }
    // A `SequenceMask` comes of ONNX's lengths alone: `tests/golden/onnx.rs` saves and loads it.
    for class in file::class_names::<f32>().into_iter().filter(|class| *class != "SequenceMask") {
        assert!(found.contains(class), "no model has a {class}");
    }
    for class in recurrent::CLASS_NAMES {
        assert!(found.contains(*class), "no model has a {class}");
    }
}
