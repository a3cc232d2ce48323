//! Files in the forms that zip, h5py and users make of Keras's: packed members, chunks and filters, other types of
//! numbers, newer layouts of HDF5; models of Keras 2 in its own `.keras` files; half precision; models of own classes.

use crate::check::data::{Outcome, array, close, every, list, text_of};
use ndarray::prelude::*;
use recurrent::keras::{self, File, Limits, Options, Problem};
use recurrent::{Bidirectional, Dense, Error, Gru, Layer, Lstm, Model, Stacked, model::Input};
use serde_json::{Value, json};

fn folder() -> String {
    format!("{}/tests/golden/keras_models", env!("CARGO_MANIFEST_DIR"))
}

fn cases(file: &str) -> Vec<Value> {
    let path = format!("{}/{file}", folder());
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let file: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"));
    list(&file["cases"]).to_vec()
}

fn bytes(path: &str) -> Vec<u8> {
    let path = format!("{}/{path}", folder());
    std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The members of a `.keras` file as Keras writes it.
fn member(path: &str, wanted: &str) -> Vec<u8> {
    let all = crate::check::zip::members(&bytes(path));
    all.into_iter().find(|(name, _)| name == wanted).expect("a member").1
}

/// An input as floats or ids.
enum Given {
    Float(ArrayD<f32>),
    Int(ArrayD<i64>),
}

/// Checks that a model gives a case's outputs.
fn check(model: &Model<f32>, case: &Value) -> Outcome {
    check_within(model, case, None)
}

fn check_within(model: &Model<f32>, case: &Value, tolerance: Option<f64>) -> Outcome {
    let given: Vec<Given> = list(&case["inputs"])
        .iter()
        .map(|input| match text_of(&input["dtype"]).contains("int") {
            true => Given::Int(array::<f64>(input).mapv(|id| id as i64)),
            false => Given::Float(array(input)),
        })
        .collect();
    let inputs: Vec<Input<'_, f32>> = given
        .iter()
        .map(|input| match input {
            Given::Float(array) => array.into(),
            Given::Int(array) => array.into(),
        })
        .collect();
    let outputs = model.predict(&inputs)?;
    let expected = list(&case["outputs"]);
    assert_eq!(outputs.len(), expected.len());
    for (i, (ours, keras)) in outputs.iter().zip(expected).enumerate() {
        let keras = array::<f32>(keras);
        match tolerance {
            None => close(&format!("output {i}"), ours.view(), &keras)?,
            Some(tolerance) => {
                let far = ours.iter().zip(&keras).map(|(a, b)| f64::from((a - b).abs())).fold(0.0, f64::max);
                assert!(far <= tolerance, "output {i} is {far} from Keras's");
            }
        }
    }
    Ok(())
}

#[test]
fn containers_and_hdf5() {
    let cases = cases("forms.json");
    assert_eq!(cases.len(), 28);
    every(&cases, |case, name| {
        let path = format!("{}/forms/{name}", folder());
        let model = match name.ends_with(".keras") {
            true => keras::load::<f32>(&path)?,
            false => {
                let config = member(&format!("forms/{}.keras", text_of(&case["model"])), "config.json");
                File::from_parts(name, config, bytes(&format!("forms/{name}")), &Options::new())?.model()?
            }
        };
        check(&model, case)
    });
}

/// Nobody has written some chunks, or any: that isn't damage, but Keras doesn't leave it so.
#[test]
fn what_was_never_written() {
    for form in ["earliest", "latest"] {
        let file = File::open(format!("{}/forms/unwritten.{form}.h5", folder())).unwrap();
        assert_eq!(file.tensors().unwrap().len(), 7);
        for tensor in file.tensors().unwrap() {
            let error = file.tensor::<f32>(&tensor.path).unwrap_err();
            let Problem::Hdf5Feature { object, feature } = error.problem() else { panic!("{}: {error}", tensor.path) };
            assert!(*object == tensor.path && feature.contains("never written"), "{error}");
        }
    }
}

/// As `numpy.array(value, dtype)` has them; some that Keras can compute with are refused.
#[test]
fn numbers_of_numpy() {
    let file: Value = serde_json::from_slice(&bytes("numbers.json")).unwrap();
    let steps: Vec<f32> = list(&file["steps"]).iter().map(|step| step.as_f64().unwrap() as f32).collect();
    let x = Array3::from_shape_vec((1, steps.len(), 1), steps).unwrap();
    let mut equal = 0;
    for case in list(&file["cases"]) {
        let number = json!({"class_name": "__numpy__", "config": {"value": case["value"], "dtype": case["dtype"]}});
        let own = |class: &str, config: Value| json!({"module": "keras.layers", "class_name": class, "registered_name": null, "config": config});
        let layers = [
            own("InputLayer", json!({"name": "x", "batch_shape": [null, null, 1], "dtype": "float32"})),
            own("Masking", json!({"name": "mask", "mask_value": number})),
        ];
        let mut config = own("Sequential", json!({"name": "chain", "layers": layers}));
        config["module"] = "keras".into();
        let weights = crate::check::write_keras::Node::Group(Default::default()).write();
        let file = File::from_parts("numbers", config.to_string().into_bytes(), weights, &Options::new()).unwrap();
        match file.model::<f32>() {
            Ok(model) => {
                let output = model.predict_one(&x).unwrap();
                let keras: Vec<f32> = list(&case["output"]).iter().map(|y| y.as_f64().unwrap() as f32).collect();
                assert_eq!(output.iter().copied().collect::<Vec<_>>(), keras, "{number}");
                equal += 1;
            }
            Err(error) => assert!(error.to_string().contains("mask_value"), "{error}"),
        }
    }
    assert!(equal >= 80, "{equal}");
}

/// Names in several blocks of a fractal heap, found by a tree of several nodes.
#[test]
fn many_links() -> Outcome {
    let file = File::open(format!("{}/forms/many.latest.h5", folder()))?;
    assert_eq!(file.tensors()?.len(), 150);
    for i in [0, 1, 77, 149] {
        let tensor = file.tensor::<f64>(&format!("many/a name of some length, number {i}"))?;
        assert_eq!(tensor, ndarray::arr0(f64::from(i)).into_dyn());
    }
    Ok(())
}

#[test]
fn what_cannot_be_unpacked() {
    let refused = |path: &str, options: &Options| {
        let file = File::open_with(format!("{}/forms/{path}", folder()), options);
        file.and_then(|file| file.model::<f32>()).expect_err(path).problem().clone()
    };
    let problem = refused("deep.lzma.zip.keras", &Options::new());
    assert!(
        matches!(&problem, Problem::CompressedMember { member } if member == "config.json" || member == "metadata.json")
    );
    // Bombs are refused before they go off.
    let small = Options::new().limits(Limits::new().inflated_bytes(1000));
    let problem = refused("deep.deflated.zip.keras", &small);
    assert!(matches!(problem, Problem::Limit { what: "inflated_bytes", limit: 1000, .. }), "{problem}");
    let small = Options::new().limits(Limits::new().config_bytes(100));
    let problem = refused("deep.deflated.zip.keras", &small);
    assert!(matches!(problem, Problem::Limit { what: "config_bytes", limit: 100, .. }), "{problem}");
    for form in ["gzip", "chunked", "latest_gzip"] {
        let small = Options::new().limits(Limits::new().inflated_bytes(1000));
        let file = File::from_bytes(form, bytes(&format!("forms/deep.{form}.h5")), &small).unwrap();
        let error = file.tensor::<f32>("layers/lstm/cell/vars/1").unwrap_err();
        assert!(matches!(error.problem(), Problem::Limit { what: "inflated_bytes", limit: 1000, .. }), "{error}");
        assert!(file.tensor::<f32>("layers/dense/vars/1").is_ok(), "a small one");
    }
}

/// A chunk with a checksum tells every change in it.
#[test]
fn checksums_of_chunks() {
    let sound = bytes("forms/deep.latest_many_chunks.h5");
    let read = |bytes: Vec<u8>| {
        File::from_bytes("it", bytes, &Options::new())?.tensor::<f32>("layers/lstm/cell/vars/0").map(|_| ())
    };
    read(sound.clone()).unwrap();
    let mut seen = 0;
    for at in 0..sound.len() {
        let mut changed = sound.clone();
        changed[at] ^= 4;
        if let Err(error) = read(changed) {
            seen += usize::from(error.to_string().contains("a chunk's checksum doesn't agree"));
        }
    }
    // 3 x 32 chunks of 4 bytes and as many of checksums.
    assert!(seen >= 3 * 32 * 8, "{seen}");
}

fn case_of(path: &str) -> Value {
    serde_json::from_slice(&bytes(&format!("{path}.json"))).expect("JSON")
}

/// `.keras` files of Keras 2.12 to 2.16, and `.h5` files of 2.0 and 2.10: Keras 2's words, three layouts of weights.
#[test]
fn versions_of_keras_2() -> Outcome {
    let versions = ["2.12.0.keras", "2.13.1.keras", "2.14.0.keras", "2.15.0.keras", "2.16.0.keras", "2.10.0.h5"];
    for version in versions {
        for model in ["recurrent", "nested"] {
            let path = format!("versions/{model}_{version}");
            check(&keras::load::<f32>(format!("{}/{path}", folder()))?, &case_of(&path))?;
        }
    }
    let first = "versions/recurrent_2.0.8.h5";
    check(&keras::load::<f32>(format!("{}/{first}", folder()))?, &case_of(first))?;
    let windows = keras::load::<f32>(format!("{}/forms/windows.keras", folder()))?;
    check(&windows, &case_of("versions/nested_2.13.1.keras"))
}

/// One layer of such a file, and weights into a stack that was built by hand.
#[test]
fn layers_of_keras_2() -> Outcome {
    for version in ["2.12.0", "2.13.1", "2.14.0", "2.15.0", "2.16.0"] {
        let path = format!("{}/versions/nested_{version}.keras", folder());
        let (file, model) = (File::open(&path)?, keras::load::<f32>(&path)?);
        let inner = file.layer_names()?.into_iter().find(|name| name.ends_with("inner/lstm")).ok_or("no such layer")?;
        let x = Array3::from_shape_fn((2, 4, 3), |(b, t, f)| (b + 2 * t + 3 * f) as f32 * 0.1 - 0.5);
        assert_eq!(file.layer::<f32>(&inner)?.forward(&x)?, model.layer(&inner)?.forward(&x)?, "{version}");
    }
    Ok(())
}

/// A description without `metadata.json` whose words are Keras 2's is read as such.
#[test]
fn parts_of_keras_2() -> Outcome {
    for version in ["2.12.0", "2.15.0"] {
        let path = format!("versions/recurrent_{version}.keras");
        let (config, weights) = (member(&path, "config.json"), member(&path, "model.weights.h5"));
        let file = File::from_parts(&path, config, weights, &Options::new())?;
        check(&file.model()?, &case_of(&path))?;
    }
    Ok(())
}

#[test]
fn half_precision() {
    let cases: Vec<Value> =
        cases("others.json").into_iter().filter(|case| text_of(&case["name"]).contains("float16")).collect();
    assert_eq!(cases.len(), 8);
    let widened = Options::new().half_as_f32(true);
    every(&cases, |case, name| {
        let path = format!("{}/others/{name}", folder());
        let error = keras::load::<f32>(&path).unwrap_err();
        assert!(matches!(error.problem(), Problem::DType { .. }), "{error}");
        assert!(error.to_string().contains("half_as_f32(true)"), "{error}");
        // Legacy files hold bfloat16 as bytes that Keras itself doesn't read again.
        let model = keras::load_with::<f32>(&path, &widened)?;
        check(&model, case)?;
        let mut half = case.clone();
        half["outputs"] = Value::from(vec![case["half"].clone()]);
        check_within(&model, &half, Some(if name.contains("bfloat16") { 2e-2 } else { 2e-3 }))?;
        // In f64, too.
        keras::load_with::<f64>(&path, &Options::new().half_as_f32(true))?;
        Ok(())
    });
}

#[test]
fn adapters_and_parts() -> Outcome {
    let all = cases("others.json");
    let case = |name: &str| all.iter().find(|case| case["name"] == name).expect("a case");
    check(&keras::load::<f32>(format!("{}/others/lora.keras", folder()))?, case("lora.keras"))?;
    let path = |name: &str| format!("{}/others/{name}", folder());
    let file = File::open_parts(path("parts.json"), path("parts.weights.h5"), &Options::new())?;
    check(&file.model()?, case("parts"))?;
    for (alone, way) in [("parts.json", "open_parts"), ("parts.weights.h5", "open_parts")] {
        let error = File::open(path(alone)).and_then(|file| file.model::<f32>()).unwrap_err();
        assert!(error.to_string().contains(way), "{error}");
    }
    // A folder with the members, as unzip leaves it.
    let folder = std::env::temp_dir().join(format!("unzipped-model-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    for (name, data) in crate::check::zip::members(&bytes("others/lora.keras")) {
        std::fs::write(folder.join(name), data)?;
    }
    let model = keras::load::<f32>(&folder);
    std::fs::remove_dir_all(&folder)?;
    check(&model?, case("lora.keras"))
}

/// Adapters are merged in a `.keras` file, and stand beside the weights in a legacy one.
#[test]
fn adapters_in_the_legacy_format() -> Outcome {
    let file = File::open(format!("{}/others/lora.h5", folder()))?;
    for error in [file.model::<f32>().map(drop), file.layer::<f32>("dense_12").map(drop)].map(Result::unwrap_err) {
        let message = error.to_string();
        assert!(message.contains("LoRA") && message.contains("save the model as .keras"), "{message}");
    }
    // Layers without any can still be taken out; of a file by layers the message lists them.
    let mut gru = Gru::<f32>::new(6, 3);
    file.weights_below("gru_9", &mut gru)?;
    assert_eq!(file.layer::<f32>("gru_9")?.weights(), gru.weights());
    let error = file.weights_below("gru", &mut gru).unwrap_err().to_string();
    assert!(error.contains("the names are embedding, gru_9, dense_12"), "{error}");
    Ok(())
}

/// A model of a class of one's own: refused with the way out, and the way out gives Keras's numbers.
#[test]
fn own_classes() -> Outcome {
    let all = cases("others.json");
    let case = all.iter().find(|case| case["name"] == "mine").expect("a case");
    let (x, keras) = (array::<f32>(&case["inputs"][0]), array::<f32>(&case["outputs"][0]));
    let x: Array3<f32> = x.into_dimensionality()?;
    for name in ["mine.keras", "mine.weights.h5"] {
        let file = File::open(format!("{}/others/{name}", folder()))?;
        let error = file.model::<f32>().unwrap_err().to_string();
        assert!(error.contains("weights_below"), "{error}");
        let tensors = file.tensors()?;
        assert_eq!(tensors.len(), 1 + 3 + 6 + 7 + 4);
        assert!(
            tensors.iter().any(|tensor| tensor.to_string() == "encoder/cell/vars/0: float32 [3, 16]"),
            "{tensors:?}"
        );
        let (mut lstm, mut cell) = (Lstm::builder(3, 4).return_sequences(true).build()?, Lstm::<f32>::new(3, 4));
        file.weights_below("encoder", &mut lstm)?;
        file.weights_below("encoder/cell", &mut cell)?;
        // Of what isn't there the message lists what is.
        for nothing in ["encodr", "encoder/cell/vars/0"] {
            let error = file.weights_below("encodr", &mut lstm.clone()).unwrap_err().to_string();
            assert!(error.contains("encoder/cell") && error.contains("blocks/dense_1"), "{nothing}: {error}");
        }
        let error = file.tensor::<f32>("encoder/cell").unwrap_err().to_string();
        assert!(error.contains("encoder/cell/vars/2"), "{error}");
        assert_eq!(cell.weight("kernel")?, lstm.weight("kernel")?);
        assert_eq!(file.tensor::<f32>("encoder/cell/vars/0")?, lstm.weight("kernel")?.to_owned().into_dyn());
        let mut both = Bidirectional::new(Gru::builder(4, 3).return_sequences(true))?;
        file.weights_below("/both/", &mut both)?;
        let mut net = Stacked::builder()
            .layer(Dense::<f32>::new(6, 5))
            .layer(Lstm::builder(5, 3).return_sequences(true).build()?)
            .layer(Dense::new(3, 2))
            .build()?;
        // Keras files models within by class.
        file.weights_below("layers/sequential", &mut net)?;
        let (mut first, mut second) = (Dense::new(2, 3), Dense::new(3, 2));
        file.weights_below("blocks/dense", &mut first)?;
        file.weights_below("blocks/dense_1", &mut second)?;
        let mut y = x.clone();
        for layer in [&lstm as &dyn Layer<f32>, &both, &net, &first, &second] {
            y = layer.forward(&y)?.into_sequence()?;
        }
        y *= file.tensor::<f32>("vars/0")?[[0]];
        close(name, y.view(), &keras)?;

        // What doesn't fit is refused, and changes nothing.
        let before = lstm.clone();
        for (path, is) in [
            ("decoder", "no group \"decoder\""),
            ("encoder/cell/vars/0", "no group"),
            ("both", "no tensor"),
            ("blocks", "no tensor"),
            ("layers", "no tensor"),
        ] {
            let error = file.weights_below(path, &mut lstm).unwrap_err().to_string();
            assert!(error.contains(is), "{path}: {error}");
        }
        assert_eq!(before.weight("kernel")?, lstm.weight("kernel")?);
        assert!(file.weights_below("encoder", &mut Lstm::<f32>::new(3, 5)).is_err());
        let error = file.tensor::<f32>("encoder").unwrap_err().to_string();
        assert!(error.contains("no dataset \"encoder\""), "{error}");
    }
    // By layers' names in a legacy file.
    let file = File::open(format!("{}/models/lstm.h5", folder()))?;
    let model = file.model::<f32>()?;
    let kernel = model.layer("lstm")?.weight("kernel")?.to_owned();
    let mut lstm = Lstm::<f32>::new(kernel.shape()[0], kernel.shape()[1] / 4);
    file.weights_below("lstm", &mut lstm)?;
    assert_eq!(lstm.weight("kernel")?, kernel);
    assert!(file.weights_below("gru", &mut lstm).is_err());
    Ok(())
}

/// Inputs by name, whatever order Keras has put them into.
#[test]
fn dictionaries() -> Outcome {
    let all = cases("others.json");
    let case = all.iter().find(|case| case["name"] == "dictionary.keras").expect("a case");
    let model = keras::load::<f32>(format!("{}/others/dictionary.keras", folder()))?;
    assert_eq!(model.input_names().collect::<Vec<_>>(), ["fixed", "steps"]);
    assert_eq!(model.output_names().collect::<Vec<_>>(), ["c", "z"]);
    assert_eq!(model.inputs().map(|(name, _)| name).collect::<Vec<_>>(), ["fixed", "steps"]);
    let (steps, fixed) = (array::<f32>(&case["inputs"]["steps"]), array::<f32>(&case["inputs"]["fixed"]));
    let outputs = model.predict_named(&[("steps", (&steps).into()), ("fixed", (&fixed).into())])?;
    assert_eq!(outputs, model.predict_named(&[("fixed", (&fixed).into()), ("steps", (&steps).into())])?);
    for (name, output) in model.output_names().zip(&outputs) {
        close(name, output.view(), &array(&case["outputs"][name]))?;
    }
    let refused = |given: &[(&str, Input<'_, f32>)]| model.predict_named(given).unwrap_err();
    let known = vec!["fixed".to_string(), "steps".to_string()];
    assert_eq!(
        refused(&[("steps", (&steps).into())]),
        Error::MissingInput { name: "fixed".into(), known: known.clone() }
    );
    assert_eq!(
        refused(&[("z_steps", (&steps).into())]),
        Error::UnknownName { what: "input", name: "z_steps".into(), known }
    );
    assert_eq!(
        refused(&[("steps", (&steps).into()), ("steps", (&steps).into())]),
        Error::DuplicateName { what: "input", name: "steps".into() }
    );
    // Without a dictionary the names are those of the layers.
    let model = keras::load::<f32>(format!("{}/models/encoder_decoder.keras", folder()))?;
    assert_eq!(model.input_names().collect::<Vec<_>>(), model.inputs().map(|(name, _)| name).collect::<Vec<_>>());
    assert_eq!(model.output_names().collect::<Vec<_>>(), ["head"]);
    Ok(())
}
