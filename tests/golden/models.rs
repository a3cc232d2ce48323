//! Models that Keras wrote, in both formats: the same outputs, summaries, states over several calls; step by step what
//! the whole gives; files that must be refused.

use std::collections::BTreeMap;

use crate::check::data::{Element, Outcome, array, close, every_of, list, text_of};
use ndarray::prelude::*;
use recurrent::{Error, Gru, Layer, Model, State, Stream, keras, model::Input};
use serde_json::Value;

fn folder() -> String {
    format!("{}/tests/golden/keras_models", env!("CARGO_MANIFEST_DIR"))
}

fn cases(file: &str) -> Vec<Value> {
    let path = format!("{}/{file}", folder());
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let file: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"));
    list(&file["cases"]).to_vec()
}

/// An input of a case, as the type that it was written in.
enum Given<T> {
    Float(ArrayD<T>),
    Int(ArrayD<i64>),
    Bool(ArrayD<bool>),
}

impl<T: Element> Given<T> {
    fn of(value: &Value) -> Self {
        let numbers = array::<f64>(value);
        match text_of(&value["dtype"]) {
            "bool" => Given::Bool(numbers.mapv(|x| x != 0.0)),
            int if int.contains("int") => Given::Int(numbers.mapv(|x| x as i64)),
            _ => Given::Float(array(value)),
        }
    }
}

impl<'a, T: Element> From<&'a Given<T>> for Input<'a, T> {
    fn from(given: &'a Given<T>) -> Self {
        match given {
            Given::Float(array) => array.into(),
            Given::Int(array) => array.into(),
            Given::Bool(array) => array.into(),
        }
    }
}

fn given<T: Element>(call: &Value) -> Vec<Given<T>> {
    list(&call["inputs"]).iter().map(Given::of).collect()
}

/// Runs the calls of a case, the state kept from one to the next.
fn check<T: Element>(model: &Model<T>, case: &Value) -> Outcome {
    let mut state = None;
    for (i, call) in list(&case["calls"]).iter().enumerate() {
        if call == "reset" {
            state = None;
            continue;
        }
        let arrays = given::<T>(call);
        let inputs: Vec<Input<'_, T>> = arrays.iter().map(Input::from).collect();
        let state = state.get_or_insert_with(|| model.initial_state(inputs[0].shape()[0]));
        let outputs = model.predict_stateful(state, &inputs)?;
        let expected = list(&call["outputs"]);
        if outputs.len() != expected.len() {
            return Err(format!("call {i}: {} outputs, Keras has {}", outputs.len(), expected.len()).into());
        }
        for (j, (ours, keras)) in outputs.iter().zip(expected).enumerate() {
            close(&format!("call {i}, output {j}"), ours.view(), &array(keras))?;
        }
    }
    Ok(())
}

fn check_file<T: Element>(path: &str, case: &Value, summary: bool) -> Outcome {
    let model = keras::load::<T>(path)?;
    check(&model, case)?;
    if summary {
        let (ours, keras) = (model.to_string(), text_of(&case["summary"]));
        if let Some((ours, keras)) = ours.lines().zip(keras.lines()).find(|(ours, keras)| ours != keras) {
            return Err(format!("the summary has\n{ours}\nKeras's has\n{keras}").into());
        }
        if ours.lines().count() != keras.lines().count() {
            return Err("the summary has another number of lines".into());
        }
    }
    Ok(())
}

fn is_double(case: &Value) -> bool {
    text_of(&case["name"]) == "float64"
}

#[test]
fn keras_files() {
    assert_eq!(cases("cases.json").len(), 57);
    every_of("keras_models/cases", &cases("cases.json"), |case, name| {
        let path = format!("{}/models/{name}.keras", folder());
        // Keras's summary shows the width before glu.
        let summary = name != "glu";
        if is_double(case) { check_file::<f64>(&path, case, summary) } else { check_file::<f32>(&path, case, summary) }
    });
}

#[test]
fn legacy_files() {
    every_of("keras_models/cases", &cases("cases.json"), |case, name| {
        let path = format!("{}/models/{name}.h5", folder());
        if is_double(case) { check_file::<f64>(&path, case, false) } else { check_file::<f32>(&path, case, false) }
    });
}

/// What Keras 2 wrote, with Keras 2's meaning.
#[test]
fn keras_2_files() {
    assert_eq!(cases("keras2.json").len(), 11);
    every_of("keras_models/keras2", &cases("keras2.json"), |case, name| {
        check_file::<f32>(&format!("{}/keras2/{name}.h5", folder()), case, false)
    });
}

/// Those models of the cases that run step by step, and the layer that keeps the others from it.
#[test]
fn step_by_step() {
    let streamed = std::cell::RefCell::new(Vec::new());
    let refused = std::cell::RefCell::new(BTreeMap::new());
    every_of("keras_models/cases", &cases("cases.json"), |case, name| {
        if is_double(case) || case["calls"].as_array().is_some_and(|calls| calls.len() > 1) {
            return Ok(());
        }
        let model = keras::load::<f32>(format!("{}/models/{name}.keras", folder()))?;
        let call = &case["calls"][0];
        let arrays = given::<f32>(call);
        let mut stream = match model.stream(arrays.first().map_or(0, rows)) {
            Ok(stream) => stream,
            Err(Error::CannotStream { layer, .. }) => {
                refused.borrow_mut().insert(name.to_string(), layer);
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        // A decoder is given the encoder's inputs whole, before its first step.
        let starts: Vec<String> = stream.start_inputs().map(String::from).collect();
        let is_start: Vec<bool> = model.input_names().map(|name| starts.iter().any(|start| start == name)).collect();
        let (whole, arrays): (Vec<_>, Vec<_>) = arrays.into_iter().zip(is_start).partition(|(_, is_start)| *is_start);
        let arrays: Vec<Given<f32>> = arrays.into_iter().map(|(array, _)| array).collect();
        if !whole.is_empty() {
            stream.start(&whole.iter().map(|(array, _)| Input::from(array)).collect::<Vec<_>>())?;
        }
        let lengths: Vec<usize> = arrays.iter().map(steps).filter(|&steps| steps > 0).collect();
        let steps = lengths.first().copied().unwrap_or(0);
        if lengths.iter().any(|&length| length != steps) {
            return Ok(());
        }
        streamed.borrow_mut().push(name.to_string());
        let expected: Vec<ArrayD<f32>> = list(&call["outputs"]).iter().map(array).collect();
        let mut saved = None;
        for round in 0..2 {
            for time in 0..steps {
                let inputs: Vec<Given<f32>> = arrays.iter().map(|input| at(input, time)).collect();
                let inputs: Vec<Input<'_, f32>> = inputs.iter().map(Input::from).collect();
                if round == 1 && time == 2 {
                    // A state that was saved in the first round.
                    stream.step(&inputs)?;
                    stream.set_state(saved.as_ref().ok_or("no state")?)?;
                }
                let outputs = stream.step(&inputs)?;
                for (i, (ours, keras)) in outputs.iter().zip(&expected).enumerate() {
                    let whole = keras.ndim() == ours.ndim();
                    if whole && time + 1 < steps {
                        continue;
                    }
                    let keras = if whole { keras.clone() } else { keras.index_axis(Axis(1), time).to_owned() };
                    close(&format!("step {time}, output {i}"), ours.view(), &keras)?;
                }
                if time == 1 {
                    saved = Some(stream.state());
                }
            }
            stream.reset();
        }
        Ok(())
    });
    let (streamed, refused) = (streamed.into_inner(), refused.into_inner());
    assert!(streamed.len() >= 25, "only {streamed:?}");
    for (case, layer) in [
        ("bidirectional_concat", "bidirectional"),
        ("lstm_options", "lstm"),
        ("dense_head", "flatten"),
        ("normalization", "batch_normalization_1"),
        ("softmax_with_mask", "softmax"),
        ("masks_lost_in_layers", "reshape"),
    ] {
        assert_eq!(refused.get(case).map(String::as_str), Some(layer), "{case}");
    }
}

/// A chain of layers over time is a layer: its stream, its chunks and its whole run give Keras's numbers.
/// A loaded chain has gradients: some elements of each weight, and of the table of one that reads ids, against central
/// differences.
#[test]
fn gradients() {
    use recurrent::training::Tape;
    use recurrent::{Embedding, Gradients, OutputGradient, Run};

    type Chain = (Option<(Embedding<f64>, Array2<i64>)>, Array3<f64>, Box<dyn Layer<f64>>);

    fn chain(name: &str, case: &Value) -> Outcome<Option<Chain>> {
        let model = keras::load::<f64>(format!("{}/models/{name}.keras", folder()))?;
        let chain = match given::<f64>(&case["calls"][0]).into_iter().next() {
            Some(Given::Float(x)) if x.ndim() == 3 => {
                model.into_layer().map(|layer| (None, x.into_dimensionality().expect("three axes"), layer))
            }
            Some(Given::Int(ids)) if ids.ndim() == 2 => model.into_embedding_and_layer().map(|(table, layer)| {
                let ids = ids.into_dimensionality().expect("two axes");
                (Some((table, ids)), Array3::zeros((0, 0, 0)), layer)
            }),
            _ => return Ok(None),
        };
        match chain {
            Ok(chain) => Ok(Some(chain)),
            Err(Error::CannotStream { .. } | Error::StackNeedsSequence { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The sum of the last outputs, weighed, and what it was weighed with.
    fn loss((table, x, layer): &Chain, tape: Option<&mut Tape<f64>>) -> Outcome<(f64, Array2<f64>)> {
        let (x, mask) = match table {
            Some((table, ids)) => table.forward(ids)?,
            None => (x.clone(), None),
        };
        let run = Run::new().mask_if(mask.as_ref());
        let run = if let Some(tape) = tape { run.record(tape) } else { run };
        let output = layer.run(&x, run)?.into_last();
        let weighed = Array2::from_shape_fn(output.dim(), |(row, unit)| (1.3 * row as f64 + 0.7 * unit as f64).cos());
        Ok(((&output * &weighed).sum(), weighed))
    }

    let trained = std::cell::RefCell::new((0, 0));
    every_of("keras_models/cases", &cases("cases.json"), |case, name| {
        if case["calls"].as_array().is_some_and(|calls| calls.len() > 1) {
            return Ok(());
        }
        let Some(mut chain) = chain(name, case)? else { return Ok(()) };
        let (mut tape, mut gradients) = (Tape::new(), Gradients::new(&*chain.2));
        let (_, weighed) = loss(&chain, Some(&mut tape))?;
        chain.2.backward(&mut tape, OutputGradient::new().last(&weighed), &mut gradients)?;
        let step = 1e-6;
        let close = |what: &str, ours: f64, low: f64, high: f64| -> Outcome {
            let numeric = (high - low) / (2.0 * step);
            let near = (ours - numeric).abs() <= 1e-5 * numeric.abs().max(1e-2);
            if near { Ok(()) } else { Err(format!("{what}: {ours} by backward, {numeric} by differences").into()) }
        };
        let names: Vec<String> = chain.2.weights().into_iter().map(|(name, _)| name).collect();
        for weight in &names {
            let given = chain.2.weight(weight)?.to_owned();
            for at in [0, given.len() / 2, given.len() - 1] {
                let mut moved = |by: f64| -> Outcome<f64> {
                    let mut values = given.clone();
                    *values.iter_mut().nth(at).expect("an element") += by;
                    chain.2.set_weights(&[(weight, values.view())])?;
                    Ok(loss(&chain, None)?.0)
                };
                let (low, high) = (moved(-step)?, moved(step)?);
                close(weight, *gradients.get(weight)?.iter().nth(at).expect("an element"), low, high)?;
            }
            chain.2.set_weights(&[(weight, given.view())])?;
        }
        let mut counts = trained.borrow_mut();
        counts.0 += 1;
        if let Some((table, ids)) = &chain.0 {
            let mut of_table = Gradients::new(table);
            table.backward(ids, &gradients.input()?, &mut of_table)?;
            let given = table.embeddings().to_owned();
            let row = ids[[0, 0]] as usize;
            let mut moved = |by: f64| -> Outcome<f64> {
                let mut values = given.clone();
                values[[row, 0]] += by;
                if let Some((table, _)) = &mut chain.0 {
                    table.set_embeddings(values.view().into_dyn())?;
                }
                Ok(loss(&chain, None)?.0)
            };
            let (low, high) = (moved(-step)?, moved(step)?);
            close("embeddings", of_table.get("embeddings")?[[row, 0]], low, high)?;
            counts.1 += 1;
        }
        Ok(())
    });
    let (all, of_ids) = *trained.borrow();
    assert!(all > 10 && of_ids > 1, "{all} chains, {of_ids} of them from ids");
}

#[test]
fn as_a_layer() {
    let chains = std::cell::RefCell::new(Vec::new());
    every_of("keras_models/cases", &cases("cases.json"), |case, name| {
        if is_double(case) || case["calls"].as_array().is_some_and(|calls| calls.len() > 1) {
            return Ok(());
        }
        let model = keras::load::<f32>(format!("{}/models/{name}.keras", folder()))?;
        let call = &case["calls"][0];
        let ids = given::<f32>(call).into_iter().next();
        let expected: ArrayD<f32> = array(&call["outputs"][0]);
        let (layer, x, mask) = match ids {
            Some(Given::Float(x)) if x.ndim() == 3 => match model.into_layer() {
                Ok(layer) => (layer, x.into_dimensionality::<Ix3>()?, None),
                Err(Error::CannotStream { .. } | Error::StackNeedsSequence { .. }) => return Ok(()),
                Err(error) => return Err(error.into()),
            },
            Some(Given::Int(ids)) => match model.into_embedding_and_layer() {
                Ok((table, layer)) => {
                    let (x, mask) = table.forward(&ids.into_dimensionality::<Ix2>()?)?;
                    (layer, x, mask)
                }
                Err(Error::CannotStream { .. } | Error::StackNeedsSequence { .. }) => return Ok(()),
                Err(error) => return Err(error.into()),
            },
            _ => return Ok(()),
        };
        chains.borrow_mut().push(name.to_string());
        let output = layer.run(&x, recurrent::Run::new().mask_if(mask.as_ref()))?;
        match expected.ndim() {
            3 => close("the whole", output.sequence()?.view().into_dyn(), &expected)?,
            _ => close("the whole", output.last().view().into_dyn(), &expected)?,
        }
        let mut stream = Stream::new(&*layer, x.dim().0)?;
        for time in 0..x.dim().1 {
            let step = x.index_axis(Axis(1), time);
            let ours = match &mask {
                Some(mask) => stream.step_masked(&step, &mask.column(time).to_vec())?,
                None => stream.step(&step)?,
            };
            let ours = ours.to_owned().into_dyn();
            let whole = match expected.ndim() {
                3 => output.sequence()?.index_axis(Axis(1), time).to_owned().into_dyn(),
                _ if time + 1 == x.dim().1 => output.last().to_owned().into_dyn(),
                _ => continue,
            };
            assert_eq!(ours, whole, "{name}, step {time}: the same bits");
        }
        Ok(())
    });
    let chains = chains.into_inner();
    assert!(chains.len() >= 17, "only {chains:?}");
}

fn rows(input: &Given<f32>) -> usize {
    match input {
        Given::Float(array) => array.shape()[0],
        Given::Int(array) => array.shape()[0],
        Given::Bool(array) => array.shape()[0],
    }
}

fn steps(input: &Given<f32>) -> usize {
    match input {
        Given::Float(array) if array.ndim() < 3 => 0,
        Given::Float(array) => array.shape()[1],
        Given::Int(array) => array.shape()[1],
        Given::Bool(array) => array.shape()[1],
    }
}

/// One step of a sequence.
fn at(input: &Given<f32>, time: usize) -> Given<f32> {
    match input {
        Given::Float(array) if array.ndim() < 3 => Given::Float(array.clone()),
        Given::Float(array) => Given::Float(array.index_axis(Axis(1), time).to_owned()),
        Given::Int(array) => Given::Int(array.index_axis(Axis(1), time).to_owned()),
        Given::Bool(array) => Given::Bool(array.index_axis(Axis(1), time).to_owned()),
    }
}

fn model_path(name: &str) -> String {
    format!("{}/models/{name}", folder())
}

/// Layers taken out of both formats by name, whatever else is in the model.
#[test]
fn layers_taken_out() -> Outcome {
    for extension in ["keras", "h5"] {
        let file = keras::File::open(model_path(&format!("nested.{extension}")))?;
        assert_eq!(file.dtype()?, "float32");
        let model = file.model::<f32>()?;
        for name in ["inner/gru", "inner/dense", "tail/lstm", "tail/dense_1"] {
            assert!(file.layer_names()?.iter().any(|other| other == name), "{name} in {:?}", file.layer_names()?);
            let (alone, within) = (file.layer::<f32>(name)?, model.layer(name)?);
            assert_eq!(alone.weights(), within.weights(), "{name}");
            assert!(alone.count_params() > 0);
        }
        let error = file.layer::<f32>("lstm").unwrap_err();
        assert!(matches!(error.problem(), keras::Problem::UnknownLayer { .. }), "{error}");
        let error = file.layer::<f32>("tail/batch_normalization").unwrap_err();
        assert!(matches!(error.problem(), keras::Problem::UnsupportedClass { .. }), "{error}");
        let file = keras::File::open(model_path(&format!("bidirectional_of_cells.{extension}")))?;
        let layer = file.layer::<f32>("bidirectional")?;
        assert_eq!(layer.weight("backward/1/recurrent_kernel")?.shape(), [2, 6]);
    }
    Ok(())
}

/// Weights alone, into layers that were built by hand.
#[test]
fn weights_into_layers_built_by_hand() -> Outcome {
    use recurrent::{Bidirectional, Dense, Gru, Lstm, Recurrent, SimpleRnn, Stacked, StackedCells};
    for extension in ["keras", "h5"] {
        let mut lstm = Lstm::<f32>::new(3, 4);
        keras::load_weights(model_path(&format!("lstm.{extension}")), &mut lstm)?;
        let file = keras::File::open(model_path("lstm.keras"))?;
        assert_eq!(lstm.weights(), file.layer::<f32>("lstm")?.weights());

        let mut wrong = Lstm::<f32>::new(3, 5);
        let before = wrong.clone();
        let error = keras::load_weights(model_path(&format!("lstm.{extension}")), &mut wrong).unwrap_err();
        assert!(matches!(error.problem(), keras::Problem::TensorShape { .. }), "{error}");
        assert_eq!(wrong.weights(), before.weights());
        let error = keras::load_weights(model_path(&format!("trained_forecaster.{extension}")), &mut lstm).unwrap_err();
        assert!(!error.to_string().is_empty());

        let mut stack = Stacked::<f32>::builder()
            .layer(Bidirectional::new(Lstm::builder(3, 4).return_sequences(true))?)
            .layer(Bidirectional::new(Gru::builder(8, 2))?)
            .build()?;
        keras::load_weights(model_path(&format!("bidirectional_concat.{extension}")), &mut stack)?;
        let model = keras::load::<f32>(model_path("bidirectional_concat.keras"))?;
        let x = Array3::from_shape_fn((2, 5, 3), |(i, j, k)| (i + 2 * j + 3 * k) as f32 / 10.0);
        assert_eq!(model.predict(&[(&x).into()])?[0], stack.forward(&x)?.into_last().into_dyn());

        let mut forecaster = Stacked::<f32>::builder()
            .layer(Gru::builder(1, 6).return_sequences(true).build()?)
            .layer(Gru::new(6, 4))
            .layer(Dense::new(4, 1))
            .build()?;
        keras::load_weights(model_path(&format!("trained_forecaster.{extension}")), &mut forecaster)?;
        let model = keras::load::<f32>(model_path("trained_forecaster.keras"))?;
        assert_eq!(forecaster.weight("2/kernel")?, model.layer("dense")?.weight("kernel")?);

        let cells = StackedCells::<f32>::builder()
            .cell(Lstm::builder(3, 4).build_cell()?)
            .cell(Gru::builder(4, 5).reset_after(false).build_cell()?)
            .cell(SimpleRnn::builder(5, 3).build_cell()?)
            .cell(Lstm::builder(3, 2).build_cell()?)
            .build()?;
        let mut cells = Recurrent::from_cell(cells);
        keras::load_weights(model_path(&format!("rnn_of_cells.{extension}")), &mut cells)?;
        let taken = keras::File::open(model_path("rnn_of_cells.keras"))?.layer::<f32>("rnn")?;
        assert_eq!(cells.weights(), taken.weights());
    }
    Ok(())
}

/// A file with HDF5's newer groups, and parts that were given apart.
#[test]
fn newer_hdf5() -> Outcome {
    let bytes = crate::check::write_keras::lstm(3, 4);
    let file = keras::File::from_bytes("written", bytes, &keras::Options::new())?;
    let model = file.model::<f32>()?;
    assert_eq!(model.layer("lstm")?.weight("kernel")?[[0, 1]], (7919 % 2003 - 1001) as f32 / 20_000.0);
    let x = Array3::<f32>::ones((2, 5, 3));
    assert_eq!(model.predict(&[(&x).into()])?[0].shape(), [2, 5, 4]);
    let lstm = file.layer::<f32>("lstm")?;
    assert_eq!(model.into_layer()?.forward(&x)?, lstm.forward(&x)?);
    Ok(())
}

/// Program 8 of the programs that fix how the crate reads.
#[test]
fn a_keras_model_whole_and_step_by_step() -> Outcome {
    let path = std::env::temp_dir().join(format!("program-8-{}.keras", std::process::id()));
    std::fs::write(&path, crate::check::write_keras::lstm(8, 4))?;
    let model = keras::load::<f32>(&path)?; // config, weights and checks
    std::fs::remove_file(&path)?;
    println!("{model}"); // as Keras's summary()
    println!("{}", model.predict(&[(&Array3::<f32>::ones((1, 50, 8))).into()])?[0]); // arrays in, one array per output
    let mut stream = Stream::new(model.into_layer()?, 1)?; // an error names what can't stream
    stream.step_one(&[0.0; 8])?;
    Ok(())
}

/// What a model refuses to run on.
#[test]
fn inputs_that_do_not_fit() -> Outcome {
    let model = keras::load::<f32>(model_path("encoder_decoder.keras"))?;
    let (x, y) = (Array3::<f32>::ones((2, 5, 3)), Array3::<f32>::ones((2, 4, 2)));
    let refuse = |inputs: &[Input<'_, f32>]| model.predict(inputs).unwrap_err();
    assert_eq!(refuse(&[(&x).into()]), Error::ModelInputs { expected: 2, given: 1 });
    assert!(matches!(refuse(&[(&y).into(), (&x).into()]), Error::ModelInput { input, .. } if input == "source"));
    assert!(
        matches!(refuse(&[(&x).into(), y.slice(s![..1, .., ..]).into()]), Error::ModelInput { input, .. } if input == "target")
    );
    let none = Array3::<f32>::ones((2, 0, 3));
    assert!(matches!(refuse(&[(&none).into(), (&y).into()]), Error::InLayer { layer, .. } if layer == "encoder"));
    let model = keras::load::<f32>(model_path("embedding.keras"))?;
    let error = model.predict(&[(&array![[1, 99]]).into()]).unwrap_err();
    assert_eq!(error.to_string(), "layer \"embedding\": id 99 at row 0, step 1: the embedding has the ids 0 to 8");
    let error = model.predict(&[(&array![[1.0_f32, f32::NAN]]).into()]).unwrap_err();
    assert!(matches!(error, Error::ModelInput { .. }), "{error}");
    let stateful = keras::load::<f32>(model_path("stateful.keras"))?;
    let mut state = stateful.initial_state(2);
    let before = state.clone();
    assert!(stateful.predict_stateful(&mut state, &[(&Array3::<f32>::ones((3, 4, 3))).into()]).is_err());
    assert_eq!(state, before);
    // The state of another model, or what a caller has made of this one.
    let x = Array3::<f32>::ones((2, 4, 3));
    let mut other = model.initial_state(2);
    assert!(matches!(stateful.predict_stateful(&mut other, &[(&x).into()]), Err(Error::StateLayout { .. })));
    let mut changed = state.clone();
    changed.states_mut()[0] = Gru::new(3, 7).initial_state(2);
    assert!(matches!(stateful.predict_stateful(&mut changed, &[(&x).into()]), Err(Error::StateLayout { .. })));
    let layout = state.states()[0].layout().clone();
    changed.states_mut()[0] = State::zeros(layout, 3);
    assert!(matches!(stateful.predict_stateful(&mut changed, &[(&x).into()]), Err(Error::StateBatch { .. })));
    let ids = array![[1, 2], [3, 4]];
    assert!(matches!(model.predict_stateful(&mut state.clone(), &[(&ids).into()]), Err(Error::StateLayout { .. })));
    stateful.predict_stateful(&mut state, &[(&Array3::<f32>::ones((2, 4, 3))).into()])?;
    assert_ne!(state, before);
    state.reset();
    assert_eq!(state, before);
    Ok(())
}
