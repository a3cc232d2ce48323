//! ONNX files: recurrent nodes by themselves and models of PyTorch's exporters, whole and step by step, against ONNX
//! Runtime.

use crate::check::data::{list, size, text_of};
use crate::check::parity;
use ndarray::prelude::*;
use recurrent::model::Input;
use recurrent::training::Tape;
use recurrent::{Gradients, Layer, Model, Run, onnx};
use serde_json::Value;

/// A file of cases, and the files of models that they are of.
pub(crate) struct Bundle {
    pub(crate) cases: Vec<Value>,
    models: Vec<u8>,
}

impl Bundle {
    pub(crate) fn open(name: &str) -> Self {
        let path = format!("{}/tests/golden/onnx/{name}", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(format!("{path}.json")).unwrap_or_else(|error| panic!("{path}: {error}"));
        let file: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"));
        let models = std::fs::read(format!("{path}.bin")).unwrap_or_else(|error| panic!("{path}: {error}"));
        Bundle { cases: list(&file["cases"]).to_vec(), models }
    }

    pub(crate) fn file(&self, case: &Value) -> onnx::File {
        let start = size(&case["start"]);
        let bytes = self.models[start..start + size(&case["length"])].to_vec();
        onnx::File::from_bytes(name(case), bytes, &onnx::Limits::new()).unwrap_or_else(|error| panic!("{error}"))
    }

    pub(crate) fn case(&self, wanted: &str) -> &Value {
        self.cases.iter().find(|case| name(case) == wanted).unwrap_or_else(|| panic!("no case {wanted}"))
    }
}

pub(crate) fn name(case: &Value) -> &str {
    text_of(&case["name"])
}

pub(crate) fn array(value: &Value) -> ArrayD<f64> {
    let shape: Vec<usize> = list(&value[0]).iter().map(size).collect();
    let numbers = list(&value[1]).iter().map(|number| number.as_f64().unwrap_or_else(|| panic!("{number}"))).collect();
    ArrayD::from_shape_vec(shape, numbers).expect("a shape that fits")
}

fn model<T: recurrent::Float>(file: &onnx::File) -> Model<T> {
    file.model().unwrap_or_else(|error| panic!("{error}\n{file}"))
}

pub(crate) fn inputs<T: recurrent::Float>(model: &Model<T>, case: &Value) -> Vec<ArrayD<T>> {
    model.inputs().map(|(name, _)| array(&case["inputs"][name]).mapv(T::from_f64)).collect()
}

fn near<T: recurrent::Float>(what: &str, given: &ArrayD<T>, expected: &Value) {
    let expected = array(expected);
    assert_eq!(given.shape(), expected.shape(), "{what}");
    for (given, expected) in given.iter().zip(&expected) {
        let given = given.into_f64();
        if size_of::<T>() == size_of::<f32>() {
            parity::saw("float32", given, *expected); // the expected numbers are of f32
        }
        assert!((given - expected).abs() <= 1e-5 * expected.abs().max(1.0), "{what}: {given}, expected {expected}");
    }
}

fn check<T: recurrent::Float>(bundle: &Bundle, case: &Value) -> Model<T> {
    let model = model::<T>(&bundle.file(case));
    let inputs = inputs(&model, case);
    let given: Vec<Input<'_, T>> = inputs.iter().map(Into::into).collect();
    let outputs = model.predict(&given).unwrap_or_else(|error| panic!("{}: {error}", name(case)));
    for ((output, _), given) in model.outputs().zip(&outputs) {
        near(&format!("{}, {output}", name(case)), given, &case["outputs"][output]);
    }
    model
}

fn check_all(topic: &str, bundle: &Bundle, cases: &[Value]) {
    for case in cases {
        parity::begin(topic, case);
        check::<f32>(bundle, case);
        check::<f64>(bundle, case);
    }
    parity::end(topic);
}

/// Windows over one axis among axes of one, wherever these stand; what goes over two is refused.
#[test]
fn windows_among_axes_of_one() {
    let bundle = Bundle::open("windows");
    let (two, one): (Vec<Value>, Vec<Value>) =
        bundle.cases.iter().cloned().partition(|case| name(case).starts_with("two_"));
    assert_eq!((one.len(), two.len()), (10, 2));
    check_all("onnx/windows", &bundle, &one);
    for case in &two {
        let error = bundle.file(case).model::<f32>().expect_err("two axes").to_string();
        assert!(error.contains("(Conv, opset 17)") && error.contains("over "), "{error}");
    }
}

#[test]
fn recurrent_nodes() {
    let bundle = Bundle::open("nodes");
    let of_the_package = bundle.cases.iter().filter(|case| name(case).starts_with("test_")).count();
    assert!(bundle.cases.len() > 80 && of_the_package > 10, "{} {of_the_package}", bundle.cases.len());
    check_all("onnx/nodes", &bundle, &bundle.cases);
}

/// A bundle of so many cases, in both types of numbers.
fn check_both(name: &str, count: usize) {
    let bundle = Bundle::open(name);
    assert_eq!(bundle.cases.len(), count);
    for case in &bundle.cases {
        check::<f32>(&bundle, case);
        check::<f64>(&bundle, case);
    }
}

/// `sequence_lens` of one node is no mask for what reads its outputs.
#[test]
fn lengths_of_one_node_alone() {
    check_both("lengths", 9);
}

/// Initial states that are weights of as many rows as the batch.
#[test]
fn states_of_as_many_rows() {
    check_both("rows", 6);
}

/// Inputs that an operator doesn't have and states of other shapes are told, though they are zeros.
#[test]
fn nothing_is_passed_over() {
    let bundle = Bundle::open("refusals");
    assert_eq!(bundle.cases.len(), 5);
    for case in &bundle.cases {
        let error = bundle.file(case).model::<f32>().expect_err(name(case)).to_string();
        assert!(error.contains("node \"here\" (GRU, opset 17)"), "{error}");
        assert!(error.contains(text_of(&case["says"])), "{error}");
    }
}

#[test]
fn models_of_both_exporters() {
    let bundle = Bundle::open("exported");
    assert!(bundle.cases.len() > 50, "{}", bundle.cases.len());
    check_all("onnx/exported", &bundle, &bundle.cases);
}

/// The same in versions 11 and 22 of the operators.
#[test]
fn models_in_the_oldest_and_newest_operators() {
    let bundle = Bundle::open("opsets");
    let of = |end: &str| bundle.cases.iter().filter(|case| name(case).ends_with(end)).count();
    assert!(of(".script.11") > 10 && of(".dynamo.22") > 10 && of("") == 28, "{}", bundle.cases.len());
    check_all("onnx/opsets", &bundle, &bundle.cases);
}

/// Keras's models as tf2onnx writes them; what became a Loop is refused, with a way out.
#[test]
fn models_of_tf2onnx() {
    let bundle = Bundle::open("tf2onnx");
    let is_loop = |case: &Value| ["loop.", "activations."].iter().any(|start| name(case).starts_with(start));
    let (loops, others): (Vec<Value>, Vec<Value>) = bundle.cases.iter().cloned().partition(|case| is_loop(case));
    check_all("onnx/tf2onnx", &bundle, &others);
    assert_eq!((bundle.cases.len(), loops.len()), (36, 4));
    for case in &loops {
        let error = bundle.file(case).model::<f32>().expect_err("a loop").to_string();
        assert!(error.contains("(Loop, opset") && error.contains("load Keras's own file"), "{error}");
    }
}

/// A node taken out by its name, or that of its output, gives its part of the whole.
#[test]
fn where_the_batch_is() {
    let bundle = Bundle::open("exported");
    let named =
        ["lstm_last", "lstm_time_major", "gru_time_major", "lstm_states", "tagger", "mlp", "lstm_cell", "residual"];
    let first = named.map(|name| {
        let case = bundle.case(&format!("{name}.script"));
        model::<f32>(&bundle.file(case)).is_batch_first()
    });
    // States are (layers, batch, units).
    assert_eq!(first, [true, false, false, false, true, true, true, false]);
}

#[test]
fn nodes_one_by_one() {
    let bundle = Bundle::open("exported");
    let case = bundle.case("lstm_states.script");
    let file = bundle.file(case);
    let shown = file.to_string();
    assert!(shown.contains("LSTM 2") && shown.contains("h_in: float32 (2, batch, 4)"), "{shown}");
    let first = file.lstm::<f64>("/rnn/LSTM").unwrap_or_else(|error| panic!("{error}"));
    let second = file.lstm::<f64>("/rnn/LSTM_1").unwrap_or_else(|error| panic!("{error}"));
    let state = |index: usize| {
        let mut state = first.initial_state(2);
        for (part, name) in [("h", "h_in"), ("c", "c_in")] {
            let all = array(&case["inputs"][name]);
            let own = all.index_axis(Axis(0), index).to_owned().into_dimensionality::<Ix2>().expect("a matrix");
            state.set(part, &own).expect("a state");
        }
        state
    };
    let x = array(&case["inputs"]["x"]).into_dimensionality::<Ix3>().expect("a sequence");
    let y = first.run(&x, Run::new().initial_state(&state(0))).expect("a run").into_sequence().expect("a sequence");
    let y = second.run(&y, Run::new().initial_state(&state(1))).expect("a run");
    let h = array(&case["outputs"]["h_out"]);
    for (a, b) in y.last().iter().zip(h.index_axis(Axis(0), 1)) {
        assert!((a - b).abs() < 1e-5, "{a} {b}");
    }
    let refused = file.gru::<f32>("/rnn/LSTM").expect_err("no GRU").to_string();
    assert!(refused.contains("no GRU node"), "{refused}");
    let refused = file.lstm::<f32>("rnn").expect_err("no such node").to_string();
    assert!(refused.contains("/rnn/LSTM_1"), "{refused}");
}

/// A stream has the states that are inputs and outputs: step by step the bits of calls that hand them on.
#[test]
fn states_of_a_stream() {
    let bundle = Bundle::open("exported");
    for (case, input, output, states) in [
        ("policy_lstm.script", "obs", "actions", &["h", "c"][..]),
        ("policy_lstm.dynamo", "obs", "actions", &["h", "c"]),
        ("policy_lstm_frozen.script", "obs", "actions", &["h", "c"]),
        ("policy_gru.dynamo", "obs", "actions", &["h"]),
        ("lstm_cell.script", "x", "y", &["h", "c"]),
        ("gru_cell.dynamo", "x", "y", &["h"]),
    ] {
        let model = check::<f32>(&bundle, bundle.case(case));
        let batch = if case.contains("frozen") { 1 } else { 3 };
        let names: Vec<(String, String)> =
            states.iter().map(|state| (format!("{state}_in"), format!("{state}_out"))).collect();
        let pairs: Vec<(&str, &str)> = names.iter().map(|(a, b)| (&a[..], &b[..])).collect();
        let mut stream = model.stream_with(&pairs, batch).unwrap_or_else(|error| panic!("{case}: {error}\n{model}"));
        let mut alone = model.stream(batch).unwrap_or_else(|error| panic!("{case}: {error}"));
        assert!(model.to_string().contains("h_in from h_out"), "{model}");
        assert_eq!(stream.step_inputs().collect::<Vec<_>>(), [input]);
        assert_eq!(stream.output_names().collect::<Vec<_>>(), [output]);
        let shape = |wanted: &str| -> Vec<usize> {
            let (_, shape) = model.inputs().find(|(name, _)| *name == wanted).expect("an input");
            shape.iter().map(|size| size.unwrap_or(batch)).collect()
        };
        let mut now: Vec<ArrayD<f32>> = names.iter().map(|(name, _)| ArrayD::zeros(shape(name))).collect();
        let mut middle = None;
        for step in 0..6 {
            let x = ArrayD::from_shape_fn(shape(input), |at| ((7 * at[0] + 3 * at[1] + 5 * step) as f32).sin());
            let mut given: Vec<(&str, Input<'_, f32>)> = vec![(input, (&x).into())];
            given.extend(names.iter().zip(&now).map(|((name, _), state)| (&name[..], state.into())));
            let outputs = model.predict_named(&given).unwrap_or_else(|error| panic!("{case}: {error}"));
            let of = |wanted: &str| {
                let at = model.outputs().position(|(name, _)| name == wanted).expect("an output");
                outputs[at].clone()
            };
            now = names.iter().map(|(_, name)| of(name)).collect();
            let flat = x.as_slice().expect("row order");
            assert_eq!(
                stream.step_one(flat).expect("a step"),
                of(output).as_slice().expect("row order"),
                "{case} {step}"
            );
            assert_eq!(alone.step(&[(&x).into()]).expect("a step")[0], of(output), "{case} {step}");
            if step == 2 {
                middle = Some(stream.state());
            }
        }
        let last = stream.outputs()[0].clone();
        stream.set_state(&middle.expect("a state")).expect("its own");
        for step in 3..6 {
            let x = ArrayD::from_shape_fn(shape(input), |at| ((7 * at[0] + 3 * at[1] + 5 * step) as f32).sin());
            stream.step(&[(&x).into()]).expect("a step");
        }
        assert_eq!(stream.outputs()[0], last, "{case}");
    }
}

/// Where time is an axis of the input, steps are those of the whole.
#[test]
fn steps_are_the_whole() {
    let bundle = Bundle::open("exported");
    for case in ["lstm_states.script", "gru_states_time_major.script", "lstm_sequence.script", "gru_states.script"] {
        let case = bundle.case(case);
        let model = check::<f32>(&bundle, case);
        let all = inputs(&model, case);
        let time_major = name(case).contains("time_major");
        let mut stream = model.stream(2).unwrap_or_else(|error| panic!("{}: {error}\n{model}", name(case)));
        let mut given: Vec<ArrayD<f32>> = all.clone();
        given[1..].iter_mut().for_each(|state| state.fill(0.0));
        let given: Vec<Input<'_, f32>> = given.iter().map(Into::into).collect();
        let whole = model.predict(&given).expect("a run");
        for step in 0..5 {
            let axis = Axis(if time_major { 0 } else { 1 });
            let x = all[0].index_axis(axis, step);
            let y = stream.step(&[x.view().into()]).expect("a step");
            assert_eq!(y[0], whole[0].index_axis(axis, step), "{} {step}", name(case));
        }
    }
}

/// Strides and pooling, of PyTorch's exporter, and of Keras's models that were written as ONNX.
#[test]
fn sequences_that_thin_out() {
    let path = format!("{}/tests/golden/onnx/thinned", env!("CARGO_MANIFEST_DIR"));
    let case: Value =
        serde_json::from_str(&std::fs::read_to_string(format!("{path}.json")).expect("text")).expect("JSON");
    let thinned = onnx::load::<f32>(format!("{path}.onnx")).unwrap_or_else(|error| panic!("{error}"));
    let x = array(&case["inputs"]["x"]).mapv(|x| x as f32);
    near("the whole", &thinned.predict_one(&x).expect("a run"), &case["outputs"]["y"]);
    let mut stream = thinned.stream(2).unwrap_or_else(|error| panic!("{error}\n{thinned}"));
    let mut given = Vec::new();
    for step in x.axis_iter(Axis(1)) {
        given.extend(stream.push(&[step.into()]).expect("a step").map(|outputs| outputs[0].clone()));
    }
    let given: Vec<_> = given.iter().map(|output| output.view()).collect();
    near("steps", &ndarray::stack(Axis(1), &given).expect("one shape"), &case["outputs"]["y"]);
    // (A slice, as cropping is written, is an operation of its own.)
    for name in ["cnn_lstm", "strided", "by_channel", "padded"] {
        let file = format!("{}/tests/golden/keras_models/thinned/{name}.keras", env!("CARGO_MANIFEST_DIR"));
        let keras = recurrent::keras::load::<f32>(file).expect("a model of Keras");
        let written = onnx::to_bytes(&keras).unwrap_or_else(|error| panic!("{name}: {error}"));
        let file = onnx::File::from_bytes(name, written, &onnx::Limits::new()).expect("a file");
        let model = model::<f32>(&file);
        let mut streams =
            [keras.stream(2).expect("a stream"), model.stream(2).unwrap_or_else(|e| panic!("{name}: {e}"))];
        let mut count = 0;
        for step in 0..19 {
            let x = Array2::from_shape_fn((2, 3), |(row, at)| ((7 * row + 3 * at + 5 * step) as f32).sin());
            let [theirs, ours] = streams
                .each_mut()
                .map(|stream| stream.push(&[(&x).into()]).expect("a step").map(|outputs| outputs[0].clone()));
            count += usize::from(ours.is_some());
            assert_eq!(theirs, ours, "{name}, step {step}");
        }
        assert!(count > 0, "{name}");
    }
}

/// Saved as our own, and gone back through: arrays have their axes as the file's.
#[test]
fn saved_and_trained() {
    let bundle = Bundle::open("exported");
    let case = bundle.case("gru_states_time_major.script");
    let model = check::<f64>(&bundle, case);
    let all = inputs(&model, case);
    let given: Vec<Input<'_, f64>> = all.iter().map(Into::into).collect();
    let (mut tape, mut gradients) = (Tape::new(), Gradients::new(&model));
    let outputs = model.record(&given, &mut tape).expect("a run");
    let weighed: Vec<ArrayD<f64>> = outputs
        .iter()
        .map(|output| ArrayD::from_shape_fn(output.shape(), |at| 0.3 + at[0] as f64 - 0.2 * at[1] as f64))
        .collect();
    let upstream: Vec<&ndarray::ArrayRefD<f64>> = weighed.iter().map(|array| &**array).collect();
    model.backward(&mut tape, &upstream, &mut gradients).expect("gradients");
    let loss = |inputs: &[ArrayD<f64>]| {
        let given: Vec<Input<'_, f64>> = inputs.iter().map(Into::into).collect();
        let outputs = model.predict(&given).expect("a run");
        outputs.iter().zip(&weighed).map(|(output, weight)| (output * weight).sum()).sum::<f64>()
    };
    for (place, (name, _)) in model.inputs().enumerate() {
        let own = gradients.input_at(place).expect("an input's gradient");
        assert_eq!(own.shape(), all[place].shape());
        let moved = |by: f64| {
            let mut moved = all.clone();
            moved[place][[1, 0, 2]] += by;
            loss(&moved)
        };
        let numeric = (moved(1e-6) - moved(-1e-6)) / 2e-6;
        assert!((numeric - own[[1, 0, 2]]).abs() < 1e-7, "{name}: {numeric} {}", own[[1, 0, 2]]);
    }
    #[cfg(feature = "file")]
    {
        let path = std::env::temp_dir().join(format!("recurrent-onnx-{}.safetensors", std::process::id()));
        recurrent::file::save(&path, &model).expect("saved");
        let again = recurrent::file::load::<Model<f64>>(&path).expect("loaded");
        let _ = std::fs::remove_file(&path);
        assert_eq!(again.predict(&given).expect("a run"), outputs);
        assert!(again.inputs().eq(model.inputs()) && again.outputs().eq(model.outputs()));
    }
}
