//! ONNX files in fewer bits: against their own arithmetic in f64, which rounds no inputs, and against ONNX Runtime, whose
//! inputs have 8 bits and one scale for the whole batch.

use crate::check::data::text_of;
use crate::onnx::{Bundle, array, inputs, name};
use ndarray::prelude::*;
use recurrent::model::Input;
use recurrent::{Float, Model};
use serde_json::Value;

fn model<T: Float>(bundle: &Bundle, case: &Value) -> Model<T> {
    let file = bundle.file(case);
    file.model().unwrap_or_else(|error| panic!("{}: {error}\n{file}", name(case)))
}

fn predict<T: Float>(model: &Model<T>, case: &Value) -> Vec<ArrayD<T>> {
    let inputs: Vec<ArrayD<T>> = inputs(model, case);
    let given: Vec<Input<'_, T>> = inputs.iter().map(Into::into).collect();
    model.predict(&given).unwrap_or_else(|error| panic!("{}: {error}", name(case)))
}

/// The largest difference of any output, by the range of its expected numbers.
fn apart<T: Float>(model: &Model<T>, given: &[ArrayD<T>], expected: &Value) -> f64 {
    let mut worst = 0.0_f64;
    for ((name, _), given) in model.outputs().zip(given) {
        let expected = array(&expected[name]);
        assert_eq!(given.shape(), expected.shape(), "{name}");
        let ends = expected.iter().fold((f64::MAX, f64::MIN), |(least, most), &x| (least.min(x), most.max(x)));
        let largest = given.iter().zip(&expected).map(|(a, b)| (a.into_f64() - b).abs()).fold(0.0, f64::max);
        worst = worst.max(largest / (ends.1 - ends.0));
    }
    worst
}

fn read(bundle: &Bundle) -> impl Iterator<Item = &Value> {
    bundle.cases.iter().filter(|case| case["says"].is_null())
}

/// Models of f32 have the file's bytes.
#[test]
fn inputs_in_14_bits() {
    let bundle = Bundle::open("quantized");
    assert_eq!(read(&bundle).count(), 28);
    let mut worst = [0.0_f64; 3];
    for case in read(&bundle) {
        let model = model::<f32>(&bundle, case);
        let ours = predict(&model, case);
        // Where a value is rounded as the file says, a number beside a half may go to the other side: a step of 8 bits.
        let is_static = name(case).starts_with("static");
        let exact = apart(&model, &ours, &case["exact"]);
        assert!(exact < if is_static { 2e-2 } else { 3e-4 }, "{}: {exact:e}\n{model}", name(case));
        let given = case["outputs"].as_object().is_some_and(|outputs| !outputs.is_empty());
        let theirs = if given { apart(&model, &ours, &case["outputs"]) } else { 0.0 };
        assert!(theirs < 3e-2, "{}: {theirs:e} from ONNX Runtime", name(case));
        println!("{}: {exact:.1e} from its arithmetic, {theirs:.1e} from ONNX Runtime", name(case));
        let place = if is_static { 2 } else { 1 };
        worst[place] = worst[place].max(theirs);
        worst[0] = if is_static { worst[0] } else { worst[0].max(exact) };
    }
    // As the page `coming_from_onnx` says.
    assert!(worst[0] < 2e-4 && worst[1] < 1.2e-2 && worst[2] < 8e-3, "{worst:?}");
}

/// Models of f64 have what the bytes mean; each pair of QuantizeLinear and DequantizeLinear rounds as it says.
#[test]
fn weights_that_bytes_mean() {
    let bundle = Bundle::open("quantized");
    for case in read(&bundle) {
        let model = model::<f64>(&bundle, case);
        assert!(!model.to_string().contains("Quantized"), "{model}");
        let expected = if name(case).starts_with("static") { &case["outputs"] } else { &case["exact"] };
        let difference = apart(&model, &predict(&model, case), expected);
        assert!(difference < 1e-6, "{}: {difference:e}\n{model}", name(case));
    }
}

/// Weights stay bytes, but for those beyond 127 from their zero point; those of an LSTM that quantize_static leaves are
/// floats in the file.
#[test]
fn what_stays_in_bytes() {
    let bundle = Bundle::open("quantized");
    for case in read(&bundle) {
        let model = model::<f32>(&bundle, case);
        let floats: Vec<String> = model.weights().into_iter().map(|(name, _)| name).collect();
        let floats: Vec<&str> = floats.iter().map(String::as_str).filter(|name| !name.ends_with("bias")).collect();
        let lstm = ["lstm/kernel", "lstm/recurrent_kernel"];
        let own = name(case);
        let expected: &[&str] = match own {
            "beyond.unsigned" => &["step_quant/kernel", "head_MatMul_quant/kernel"],
            "beyond.signed" => {
                &["lstm_quant/kernel", "lstm_quant/recurrent_kernel", "step_quant/kernel", "head_MatMul_quant/kernel"]
            }
            _ if own.starts_with("words") => &["embed/embeddings"],
            _ if own.starts_with("static") => &lstm,
            _ => &[],
        };
        assert_eq!(floats, expected, "{own}\n{model}");
    }
}

/// What isn't understood is told, with a way out.
#[test]
fn what_is_refused() {
    let bundle = Bundle::open("quantized");
    let refused = || bundle.cases.iter().filter(|case| !case["says"].is_null());
    assert_eq!(refused().count(), 18);
    for case in refused() {
        let error = bundle.file(case).model::<f32>().expect_err(name(case)).to_string();
        assert!(error.contains(text_of(&case["says"])), "{}: {error}", name(case));
    }
}

/// A node in fewer bits isn't taken out alone, and its refusal says what reads it.
#[test]
fn no_layer_of_it_alone() {
    let bundle = Bundle::open("quantized");
    let file = bundle.file(bundle.case("tagger.channel"));
    let error = file.lstm::<f32>("lstm_quant").expect_err("bytes").to_string();
    assert!(error.contains("(DynamicQuantizeLSTM, opset 17): ") && error.contains("by onnx::load"), "{error}");
    let file = bundle.file(bundle.case("weights_lstm_forward"));
    let error = file.lstm::<f32>("cell").expect_err("bytes").to_string();
    assert!(error.contains("its W isn't a constant of the file: load the whole graph by onnx::load"), "{error}");
}
