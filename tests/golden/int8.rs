//! Layers that Keras's `quantize("int8")` has put into bytes: what they compute, step by step too, and what isn't read.

use crate::check::data::{Outcome, array, every_case, list, text_of};
use crate::graphs::{outputs, steps};
use ndarray::prelude::*;
use recurrent::training::Tape;
use recurrent::{Error, Layer, Model, Precision, file, keras, model::Input};

fn path(file: &str) -> String {
    format!("{}/tests/golden/keras_models/int8/{file}", env!("CARGO_MANIFEST_DIR"))
}

fn load(file: &str) -> Result<Model<f32>, keras::LoadError> {
    keras::load(path(file))
}

fn of_floats(case: &serde_json::Value) -> Vec<ArrayD<f32>> {
    list(&case["calls"][0]["inputs"]).iter().map(array).collect()
}

#[test]
fn as_keras_computes_them() {
    let streamed = std::cell::Cell::new(0);
    every_case("keras_models/int8", 8, |case| {
        let name = text_of(&case["name"]);
        let model = load(&format!("{name}.keras"))?;
        outputs(&model, case)?;
        streamed.set(streamed.get() + usize::from(steps(&model, case)?));
        // Keras counts the scales, too, those that TimeDistributed leaves out as well.
        let of_floats_within = ["sequence", "both_directions", "chain"].contains(&name);
        if !of_floats_within {
            assert_eq!(model.count_params() as f64, case["params"].as_f64().unwrap_or(-1.0));
        }
        let again: Model<f32> = file::from_bytes(&file::to_bytes(&model)?)?;
        assert_eq!(again.to_string(), model.to_string());
        if name == "wide" {
            products_are_keras_bits(&model, case)?;
            assert_eq!(
                again.predict(&[(&of_floats(case)[0]).into()])?,
                model.predict(&[(&of_floats(case)[0]).into()])?
            );
        }
        // What is written for Keras is what it was, by way of a file of our own, too.
        let written = keras::to_bytes(&again)?;
        assert!(written == keras::to_bytes(&model)?);
        let back: Model<f32> = keras::File::from_bytes(name, written, &keras::Options::new())?.model()?;
        // What became floats is a layer that learns.
        assert!(of_floats_within || back.to_string() == model.to_string());
        Ok(())
    });
    assert!(streamed.get() >= 3, "{} run step by step", streamed.get());
}

/// The integers are Keras's: all that is left to differ are activations.
fn products_are_keras_bits(model: &Model<f32>, case: &serde_json::Value) -> Outcome {
    let x = of_floats(case);
    let ours = model.predict(&[Input::from(&x[0])])?;
    for at in [0, 2] {
        let keras: ArrayD<f32> = array(&case["calls"][0]["outputs"][at]);
        assert_eq!(ours[at], keras, "output {at}");
    }
    // One row is what it is among others.
    for (row, x) in x[0].outer_iter().enumerate() {
        let x = x.insert_axis(Axis(0));
        for (alone, all) in model.predict(&[(&x).into()])?.iter().zip(&ours) {
            assert_eq!(alone.index_axis(Axis(0), 0), all.index_axis(Axis(0), row));
        }
    }
    Ok(())
}

/// A row with an infinity or NaN is NaN, in Keras too, and the others are what they were.
#[test]
fn numbers_that_have_no_scale() {
    let model = load("wide.keras").expect("it is read");
    let mut x = Array2::<f32>::from_elem((3, 70), 0.5);
    (x[[0, 3]], x[[1, 69]]) = (f32::NAN, f32::INFINITY);
    for output in model.predict(&[(&x).into()]).expect("a run") {
        assert!(output.slice(s![..2, ..]).iter().all(|y: &f32| y.is_nan()));
        assert!(output.slice(s![2, ..]).iter().all(|y: &f32| y.is_finite()));
    }
}

#[test]
fn legacy_files() {
    for name in ["words", "both_directions"] {
        let (new, old) = (load(&format!("{name}.keras")).expect("read"), load(&format!("{name}.h5")).expect("read"));
        assert_eq!(new.to_string(), old.to_string());
        for quantized in ["dense", "dense_1"] {
            let weight = |model: &Model<f32>, weight: &str| model.dequantized(&format!("{quantized}/{weight}"));
            for of in ["kernel", "kernel_scale", "bias"] {
                assert_eq!(weight(&new, of).ok(), weight(&old, of).ok(), "{name}: {quantized}/{of}");
            }
        }
    }
}

/// What bytes mean is read, nothing is trained, and nothing is quantized again.
#[test]
fn as_layers_in_fewer_bits() {
    let model = load("words.keras").expect("read");
    assert!(matches!(model.weight("dense/kernel"), Err(Error::QuantizedWeight { .. })));
    let (kernel, scale) =
        (model.dequantized("dense/kernel").unwrap(), model.dequantized("dense/kernel_scale").unwrap());
    assert_eq!((kernel.shape(), scale.shape()), (&[7, 3][..], &[3][..]));
    for (column, scale) in kernel.axis_iter(Axis(1)).zip(&scale) {
        let whole = column.mapv(|weight| weight * scale);
        assert!(whole.iter().all(|w| (w - w.round()).abs() < 1e-4) && whole.iter().any(|w| w.abs() > 126.9), "{whole}");
    }
    let table = model.dequantized("embedding/embeddings").unwrap();
    assert_eq!(
        (table.shape(), model.dequantized("embedding/embeddings_scale").unwrap().shape()),
        (&[9, 4][..], &[9][..])
    );
    let ids = array![[3, 1, 4, 0, 0, 2]];
    let refused = model.record(&[(&ids).into()], &mut Tape::new()).expect_err("nothing is trained");
    assert!(refused.to_string().contains("Quantized"), "{refused}");
    let refused = model.quantize(Precision::Int8).expect_err("once is enough").to_string();
    assert!(refused.contains("already"), "{refused}");
    let equations = load("equations.keras").expect("read");
    let x = Array3::<f32>::ones((1, 4, 3));
    let refused = equations.record(&[(&x).into()], &mut Tape::new()).expect_err("nothing is trained").to_string();
    assert!(refused.contains("a QuantizedEinsumDense can't be trained"), "{refused}");
    let refused = equations.quantize(Precision::Int8).expect_err("once is enough").to_string();
    assert!(refused.contains("already"), "{refused}");
    assert_eq!(equations.dequantized("einsum_dense/kernel").unwrap().shape(), [3, 2, 5]);
    let layer = recurrent::Dense::<f32>::new(3, 2);
    let refused = layer.quantize(Precision::Int8Keras).expect_err("Keras makes it").to_string();
    assert!(refused.contains("read its file"), "{refused}");
}

/// Keras's TimeDistributed leaves the scales out, and so the bytes are numbers there.
#[test]
fn bytes_as_numbers() {
    let model = load("sequence.keras").expect("read");
    let kernel = model.weight("time_distributed/kernel").expect("a weight of floats");
    assert!(kernel.iter().all(|weight| weight.fract() == 0.0) && kernel.iter().any(|weight| weight.abs() == 127.0));
}

/// A layer alone is taken out of a file.
#[test]
fn taken_out() {
    let open = |name: &str| keras::File::open(path(name)).expect("opened");
    let head: Box<dyn Layer<f32>> = open("chain.keras").layer("time_distributed").expect("a layer");
    assert_eq!((head.class_name(), head.input_size(), head.output_size()), ("TimeDistributed", 6, 3));
    let body: Box<dyn Layer<f32>> = open("chain.keras").layer("dense").expect("a layer");
    assert_eq!((body.class_name(), body.input_size(), body.output_size()), ("QuantizedDense", 4, 5));
    let head: Box<dyn Layer<f32>> = open("words.h5").layer("dense_1").expect("a layer");
    assert_eq!((head.input_size(), head.output_size()), (5, 7));
    assert!(open("words.keras").layer::<f32>("embedding").is_err());
    assert!(load("sequence.keras").expect("read").into_layer().is_ok());
}

/// Each by name, with a way out.
#[test]
fn what_is_not_read() {
    for (file, words) in [
        ("refused_int4.keras", &["head", "int4", "quantize(\"int8\")", "before quantize() is called"][..]),
        ("refused_float8.keras", &["head", "float8", "before quantize() is called"]),
        ("refused_floats.keras", &["head", "activation_quantizer", "without a configuration"]),
        ("refused_narrow.keras", &["head", "value_range=[-63,63]", "without a configuration"]),
        ("refused_double.keras", &["head", "int8_from_float64", "float32"]),
        ("refused_alone.keras", &["head", "sums along an axis of the input alone"]),
        ("refused_heads.keras", &["head", "int8", "can't load either", "filters"]),
    ] {
        let refused = load(file).map(drop).expect_err(file).to_string();
        assert!(words.iter().all(|word| refused.contains(word)), "{file}: {refused}");
    }
    let refused = keras::load::<f64>(path("words.keras")).map(drop).expect_err("in f32").to_string();
    assert!(refused.contains("embedding") && refused.contains("load the model as f32"), "{refused}");
}
