//! Gradients of loaded models: those of TensorFlow, of files that Keras wrote; laws of adding up; what is refused.

use crate::check::data::{Element, Outcome, array, every_case, float, list, text_of, within};
use crate::check::optimizers;
use ndarray::prelude::*;
use recurrent::training::{Adam, Loss, Optimizer, Tape};
use recurrent::{Error, Gradients, Model, OutputGradient, Run, keras, model::Input};
use serde_json::Value;

fn load<T: Element>(file: &str) -> Outcome<Model<T>> {
    Ok(keras::load::<T>(format!("{}/tests/golden/{file}", env!("CARGO_MANIFEST_DIR")))?)
}

/// The tolerance of gradients.
fn near<T: Element>(what: &str, ours: ArrayViewD<'_, T>, theirs: &ArrayD<T>) -> Outcome {
    let double = T::DTYPE == "float64";
    within(what, ours, theirs, |a, b| {
        (a - b).abs() <= if double { 1e-9 * b.abs().max(1.0) } else { 1e-4 * b.abs() + 1e-5 }
    })
}

/// An input of a case, as the type that the model's input declares.
enum Given<T> {
    Float(ArrayD<T>),
    Int(ArrayD<i64>),
    Bool(ArrayD<bool>),
}

impl<T: Element> Given<T> {
    fn of(value: &Value, kind: &str) -> Self {
        match kind {
            "bool" => Given::Bool(array::<f64>(value).mapv(|x| x != 0.0)),
            int if int.contains("int") => Given::Int(array::<f64>(value).mapv(|x| x as i64)),
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

fn given<T: Element>(inputs: &Value, case: &Value) -> Vec<Given<T>> {
    list(inputs).iter().zip(list(&case["kinds"])).map(|(input, kind)| Given::of(input, text_of(kind))).collect()
}

fn inputs<T: Element>(given: &[Given<T>]) -> Vec<Input<'_, T>> {
    given.iter().map(Input::from).collect()
}

fn upstream<T: Element>(case: &Value) -> Vec<ArrayD<T>> {
    list(&case["upstream"]).iter().map(array).collect()
}

fn refs<T>(arrays: &[ArrayD<T>]) -> Vec<&ndarray::ArrayRefD<T>> {
    arrays.iter().map(|array| &**array).collect()
}

#[test]
fn of_keras_files() {
    fn check<T: Element>(case: &Value) -> Outcome {
        let model = load::<T>(text_of(&case["file"]))?;
        let given_now = given::<T>(&case["inputs"], case);
        let mut state = model.initial_state(inputs(&given_now)[0].shape()[0]);
        for before in list(&case["before"]) {
            model.predict_stateful(&mut state, &inputs(&given(before, case)))?;
        }
        let (mut tape, mut gradients) = (Tape::new(), Gradients::new(&model));
        let mut plain = state.clone();
        let expected = model.predict_stateful(&mut plain, &inputs(&given_now))?;
        let outputs = model.record_stateful(&mut state, &inputs(&given_now), &mut tape)?;
        assert_eq!((&outputs, &state), (&expected, &plain), "recording changes no bit");
        model.backward(&mut tape, &refs(&upstream(case)), &mut gradients)?;
        let theirs = &case["gradients"];
        let names: Vec<&str> = gradients.iter().map(|(name, _)| name).collect();
        let keras: Vec<&str> = list(&theirs["weights"]).iter().map(|weight| text_of(&weight["name"])).collect();
        if names != keras {
            return Err(format!("gradients of {names:?}, Keras has {keras:?}").into());
        }
        for weight in list(&theirs["weights"]) {
            let name = text_of(&weight["name"]);
            near(name, gradients.get(name)?, &array(&weight["array"]))?;
        }
        for (i, input) in list(&theirs["inputs"]).iter().enumerate() {
            match input.is_null() {
                true => assert!(matches!(gradients.input_at(i), Err(Error::NoInputGradient { .. })), "input {i}"),
                false => near(&format!("input {i}"), gradients.input_at(i)?, &array(input))?,
            }
        }
        Ok(())
    }
    every_case("gradients/graph_models", 67, |case| by_dtype!(check, case));
}

/// Six updates by Keras's optimizers: the loss before each, the weights after the last.
#[test]
fn runs() {
    fn check<T: Element>(case: &Value) -> Outcome {
        let mut model = load::<T>(text_of(&case["file"]))?;
        let before = model.clone();
        let mut optimizer = optimizers::optimizer::<T>(case);
        let (mut tape, mut gradients) = (Tape::new(), Gradients::new(&model).without_input());
        for (i, step) in list(&case["steps"]).iter().enumerate() {
            let given_now = given::<T>(&step["inputs"], case);
            let outputs = model.record(&inputs(&given_now), &mut tape)?;
            let (mut loss, mut upstream) = (T::zero(), Vec::new());
            for (output, target) in outputs.iter().zip(list(&step["targets"])) {
                let (own, d) = Loss::MeanSquaredError.with_gradient(output, &array::<T>(target))?;
                loss += own;
                upstream.push(d);
            }
            let theirs = arr0(T::from_f64(float(&step["loss"]))).into_dyn();
            near("loss", arr0(loss).view().into_dyn(), &theirs).map_err(|error| format!("step {i}: {error}"))?;
            gradients.clear();
            model.backward(&mut tape, &refs(&upstream), &mut gradients)?;
            optimizer.step(&mut model, &gradients)?;
        }
        let trained: Vec<&str> = list(&case["trained"]).iter().map(|weight| text_of(&weight["name"])).collect();
        for weight in list(&case["trained"]) {
            let name = text_of(&weight["name"]);
            near(name, model.weight(name)?, &array(&weight["array"]))?;
        }
        for (name, weight) in before.weights() {
            let moved = model.weight(&name)? != weight;
            assert_eq!(moved, trained.contains(&name.as_str()), "{name}: what isn't trained stays, in clones too");
        }
        Ok(())
    }
    every_case("gradients/graph_runs", 8, |case| by_dtype!(check, case));
}

/// The cases of one model file.
fn case(name: &str) -> Value {
    let text =
        std::fs::read_to_string(format!("{}/tests/golden/gradients/graph_models.json", env!("CARGO_MANIFEST_DIR")));
    let file: Value = serde_json::from_str(&text.expect("the cases")).expect("JSON");
    let found = list(&file["cases"]).iter().find(|case| text_of(&case["name"]) == name);
    found.unwrap_or_else(|| panic!("no case {name}")).clone()
}

/// A case's model in f64, with its inputs and upstream gradients.
type Prepared = (Model<f64>, Vec<Given<f64>>, Vec<ArrayD<f64>>);

fn prepared(name: &str) -> Outcome<Prepared> {
    let case = case(&format!("{name}-float64"));
    Ok((load(text_of(&case["file"]))?, given(&case["inputs"], &case), upstream(&case)))
}

fn loss(model: &Model<f64>, given: &[Given<f64>], upstream: &[ArrayD<f64>]) -> Outcome<f64> {
    let outputs = model.predict(&inputs(given))?;
    Ok(outputs.iter().zip(upstream).map(|(output, d)| (output * d).sum()).sum())
}

/// Some elements of each weight and input against central differences: normalizations, slopes, shared layers.
#[test]
fn differences() -> Outcome {
    let step = 1e-6;
    let close = |what: &str, ours: f64, low: f64, high: f64| {
        let numeric = (high - low) / (2.0 * step);
        let near = (ours - numeric).abs() <= 1e-6 * numeric.abs().max(0.1);
        assert!(near, "{what}: {ours} by backward, {numeric} by differences");
    };
    for name in ["normalizations", "shared_everything", "normalization", "activation_layers"] {
        let (mut model, mut given, upstream) = prepared(name)?;
        let (mut tape, mut gradients) = (Tape::new(), Gradients::new(&model));
        model.record(&inputs(&given), &mut tape)?;
        model.backward(&mut tape, &refs(&upstream), &mut gradients)?;
        for (weight, of_weight) in gradients.iter() {
            let before = model.weight(weight)?.to_owned();
            for at in [0, before.len() / 2, before.len() - 1] {
                let mut moved = |by: f64| -> Outcome<f64> {
                    let mut values = before.clone();
                    *values.iter_mut().nth(at).expect("an element") += by;
                    model.set_weights(&[(weight, values.view())])?;
                    loss(&model, &given, &upstream)
                };
                let (low, high) = (moved(-step)?, moved(step)?);
                close(&format!("{name}, {weight}"), *of_weight.iter().nth(at).expect("an element"), low, high);
            }
            model.set_weights(&[(weight, before.view())])?;
        }
        for place in 0..given.len() {
            for at in [0, 7, 11] {
                let mut moved = |by: f64| -> Outcome<f64> {
                    let Given::Float(x) = &mut given[place] else { panic!("floats") };
                    *x.iter_mut().nth(at).expect("an element") += by;
                    loss(&model, &given, &upstream)
                };
                let (low, high) = (moved(-step)?, moved(2.0 * step)?);
                moved(-step)?;
                close(
                    &format!("{name}, input {place}"),
                    *gradients.input_at(place)?.iter().nth(at).expect("one"),
                    low,
                    high,
                );
            }
        }
    }
    Ok(())
}

/// Legacy files, and those of Keras 2 with its own meaning of words and masks: the slope along a line through all
/// weights and inputs at once is the sum of what the gradients say.
#[test]
fn along_a_line() -> Outcome {
    let folder = format!("{}/tests/golden/keras_models", env!("CARGO_MANIFEST_DIR"));
    for (file, models, least) in [("cases.json", "models", 50), ("keras2.json", "keras2", 11)] {
        let cases: Value = serde_json::from_str(&std::fs::read_to_string(format!("{folder}/{file}"))?)?;
        let mut checked = 0;
        for case in list(&cases["cases"]) {
            let name = text_of(&case["name"]);
            // Here, as in TensorFlow, nothing flows back through a state that was kept, so the slope is another one.
            if name == "stateful_shared" {
                continue;
            }
            let mut model = load::<f64>(&format!("keras_models/{models}/{name}.h5"))?;
            let mut given: Vec<Given<f64>> = list(&case["calls"][0]["inputs"])
                .iter()
                .map(|input| Given::of(input, text_of(&input["dtype"])))
                .collect();
            let (mut tape, mut gradients) = (Tape::new(), Gradients::new(&model));
            let outputs = model.record(&inputs(&given), &mut tape)?;
            let some = |shape: &[usize], at: f64| -> ArrayD<f64> {
                let mut angle = at;
                ArrayD::from_shape_simple_fn(shape, || {
                    angle += 0.7;
                    angle.sin()
                })
            };
            let upstream: Vec<_> = outputs.iter().map(|output| some(output.shape(), 0.3)).collect();
            model.backward(&mut tape, &refs(&upstream), &mut gradients)?;
            let line: Vec<(String, ArrayD<f64>)> =
                gradients.iter().map(|(name, g)| (name.to_string(), some(g.shape(), name.len() as f64))).collect();
            let mut ours: f64 = line.iter().zip(gradients.iter()).map(|((_, line), (_, g))| (line * &g).sum()).sum();
            // What Masking looks for stays where it is, and so do ids in floats.
            let is_mask = |x: f64| x == 0.0 || x == 0.5 || name == "embedding_of_floats";
            let lines: Vec<ArrayD<f64>> = (given.iter())
                .map(|given| match given {
                    Given::Float(x) => some(x.shape(), 0.9) * x.mapv(|x| if is_mask(x) { 0.0 } else { 1.0 }),
                    _ => ArrayD::zeros(vec![0]),
                })
                .collect();
            for (place, line) in lines.iter().enumerate().filter(|(_, line)| !line.is_empty()) {
                ours += (line * &gradients.input_at(place)?).sum();
            }
            let mut moved = |by: f64| -> Outcome<f64> {
                let weights: Vec<_> = (line.iter())
                    .map(|(name, line)| Ok((name.as_str(), &model.weight(name)? + &(line * by))))
                    .collect::<Outcome<_>>()?;
                let views: Vec<_> = weights.iter().map(|(name, weight)| (*name, weight.view())).collect();
                model.set_weights(&views)?;
                for (given, line) in given.iter_mut().zip(&lines) {
                    if let Given::Float(x) = given {
                        *x += &(line * by);
                    }
                }
                loss(&model, &given, &upstream)
            };
            let step = 1e-6;
            let (low, high) = (moved(-step)?, moved(2.0 * step)?);
            let numeric = (high - low) / (2.0 * step);
            let near = (ours - numeric).abs() <= 1e-6 * numeric.abs().max(1.0);
            assert!(near, "{models}/{name}: {ours} by backward, {numeric} by differences");
            checked += 1;
        }
        assert!(checked >= least, "{checked} of {file}");
    }
    Ok(())
}

/// Weights' gradients add up over calls, inputs' are the latest; one tape serves one model after another.
#[test]
fn adding_up() -> Outcome {
    let mut tape = Tape::new();
    for name in ["translator", "sentences", "shared_everything", "nested", "translator"] {
        let (model, given, upstream) = prepared(name)?;
        let mut once = Gradients::new(&model);
        model.record(&inputs(&given), &mut tape)?;
        model.backward(&mut tape, &refs(&upstream), &mut once)?;
        let mut thrice = Gradients::new(&model).without_input();
        for factor in [1.0, 2.0] {
            let upstream: Vec<_> = upstream.iter().map(|d| d * factor).collect();
            // A clone's run is the model's.
            model.clone().record(&inputs(&given), &mut tape)?;
            model.backward(&mut tape, &refs(&upstream), &mut thrice)?;
        }
        for (name, gradient) in once.iter() {
            near(name, thrice.get(name)?, &(&gradient * 3.0))?;
            assert!(gradient.iter().any(|&g| g != 0.0), "{name}");
        }
        thrice.clear();
        assert!(thrice.iter().all(|(_, gradient)| gradient.iter().all(|&g| g == 0.0)));
        model.record(&inputs(&given), &mut tape)?;
        model.backward(&mut tape, &refs(&upstream), &mut thrice)?;
        assert!(thrice.iter().eq(once.iter()), "{name}: the same bits after a clear, and without the inputs'");
    }
    Ok(())
}

/// A chain has the same gradients as one layer.
#[test]
fn as_a_layer() -> Outcome {
    let (model, given, upstream) = prepared("masks_through_layers")?;
    let Given::Int(ids) = &given[0] else { panic!("ids") };
    let ids = ids.clone().into_dimensionality()?;
    let (mut tape, mut gradients) = (Tape::new(), Gradients::new(&model));
    model.record(&[(&ids).into()], &mut tape)?;
    model.backward(&mut tape, &refs(&upstream), &mut gradients)?;
    let (table, layer) = model.into_embedding_and_layer()?;
    let (mut tape, mut of_layer, mut of_table) = (Tape::new(), Gradients::new(&*layer), Gradients::new(&table));
    let (x, mask) = table.forward(&ids)?;
    layer.run(&x, Run::new().mask_if(mask.as_ref()).record(&mut tape))?;
    let d = upstream[0].clone().into_dimensionality()?;
    layer.backward(&mut tape, OutputGradient::new().last(&d), &mut of_layer)?;
    table.backward(&ids, &of_layer.input()?, &mut of_table)?;
    let chain: Vec<_> = of_table.iter().chain(of_layer.iter()).collect();
    assert_eq!(chain.len(), gradients.iter().count());
    for ((name, ours), (_, chain)) in gradients.iter().zip(chain) {
        near(name, ours, &chain.to_owned())?;
    }
    Ok(())
}

/// What is refused leaves everything as it was.
#[test]
fn refused() -> Outcome {
    let (model, given, upstream) = prepared("translator")?;
    let (other, ..) = prepared("shared_everything")?;
    let (mut tape, mut gradients) = (Tape::new(), Gradients::new(&model));
    let untouched = gradients.clone();
    let upstream = refs(&upstream);
    assert_eq!(model.backward(&mut tape, &upstream, &mut gradients), Err(Error::TapeEmpty));
    model.record(&inputs(&given), &mut tape)?;
    assert_eq!(other.backward(&mut tape, &upstream, &mut Gradients::new(&other)), Err(Error::TapeLayer));
    assert_eq!(model.backward(&mut tape, &upstream, &mut Gradients::new(&other)), Err(Error::GradientsLayer));
    let error = model.backward(&mut tape, &upstream[..1], &mut gradients).unwrap_err();
    assert_eq!(error.to_string(), "the model has 2 outputs, got gradients of 1");
    let error = model.backward(&mut tape, &[upstream[0], upstream[0]], &mut gradients).unwrap_err();
    let expected = Error::ModelOutput { place: 1, output: "tone".into(), expected: vec![3, 2], given: vec![3, 4, 5] };
    assert_eq!(error, expected);
    assert!(error.to_string().contains(r#"output 1 ("tone")"#), "{error}");
    // Whatever refuses a recorded run, nothing is on the tape then.
    assert_eq!(model.record(&inputs(&given)[..1], &mut tape), Err(Error::ModelInputs { expected: 2, given: 1 }));
    assert_eq!(model.backward(&mut tape, &upstream, &mut gradients), Err(Error::TapeEmpty));
    assert_eq!(gradients, untouched);
    model.record(&inputs(&given), &mut tape)?;
    model.backward(&mut tape, &upstream, &mut gradients)?;
    assert_ne!(gradients, untouched);
    let once = gradients.clone();
    assert_eq!(model.backward(&mut tape, &upstream, &mut gradients), Err(Error::TapeSpent));
    // An id that isn't there is seen by a layer in the middle.
    let wrong = array![[1, 2], [3, 99], [4, 5]];
    let error = model.record(&[(&wrong).into(), (&wrong).into()], &mut tape).unwrap_err();
    assert!(matches!(&error, Error::InLayer { layer, .. } if layer == "table"), "{error}");
    assert_eq!(model.backward(&mut tape, &upstream, &mut gradients), Err(Error::TapeEmpty));
    assert_eq!(gradients, once);

    let error = gradients.input_at(0).unwrap_err();
    assert_eq!(error.to_string(), r#"input "source" of the model holds integers or flags, which have no gradient"#);
    let error = gradients.input_at(2).unwrap_err();
    assert_eq!(error.to_string(), "there is no input \"2\": the names are 0 (source), 1 (target)");
    assert!(matches!(gradients.get("table/kernel"), Err(Error::UnknownName { .. })));
    let others = Gradients::new(&other).without_input();
    assert!(matches!(others.input_at(0), Err(Error::NotRequested { .. })));

    let mut trained = model.clone();
    let error = Adam::new(0.1).step(&mut trained, &others).unwrap_err();
    assert_eq!(error, Error::GradientsLayer);
    assert_eq!(trained.weights(), model.weights());
    Ok(())
}

/// A tape belongs to the model that recorded it, with its weights and with the layers that were trained then.
#[test]
fn tapes_of_other_weights() -> Outcome {
    for name in ["translator", "sentences", "shared_everything", "normalizations", "directions", "spread", "nested"] {
        let (mut model, given, upstream) = prepared(name)?;
        let (twin, upstream) = (prepared(name)?.0, refs(&upstream));
        let record = |model: &Model<f64>| -> Outcome<Tape<f64>> {
            let mut tape = Tape::new();
            model.record(&inputs(&given), &mut tape)?;
            Ok(tape)
        };
        let back = |model: &Model<f64>, tape: &mut Tape<f64>| {
            let mut gradients = Gradients::new(model);
            model.backward(tape, &upstream, &mut gradients).map(|()| gradients)
        };
        let expected = back(&model, &mut record(&model)?)?;
        let (clone, mut tape) = (model.clone(), record(&model)?);
        assert_eq!(back(&twin, &mut tape), Err(Error::TapeLayer));
        assert_eq!(back(&clone, &mut tape)?, expected);
        // Every weight, moving statistics too: any of them may have gone into the recorded run.
        let names: Vec<String> = model.weights().into_iter().map(|(name, _)| name).collect();
        for weight in &names {
            let (mut by_clone, mut by_model) = (record(&clone)?, record(&model)?);
            let changed = &model.weight(weight)? + 0.125;
            model.set_weights(&[(weight, changed.view())])?;
            assert_eq!(back(&model, &mut by_model), Err(Error::TapeStale), "{weight}");
            assert_eq!(back(&model, &mut by_clone), Err(Error::TapeStale), "{weight}");
            assert_eq!(back(&clone, &mut by_clone)?, expected, "the tape is still good, and so is the clone");
        }
        // An optimizer's step; the gradients of a file that was loaded twice are of the same weights.
        let mut tape = record(&model)?;
        let (mut adam, gradients) = (Adam::new(0.01), Gradients::new(&twin));
        adam.step(&mut model, &gradients)?;
        assert_eq!(back(&model, &mut tape), Err(Error::TapeStale));
        assert_eq!(adam.step(&mut twin.clone(), &gradients), Err(Error::GradientsLayer));
        adam.step(&mut model.clone(), &gradients)?;
        // The way out.
        model.record(&inputs(&given), &mut tape)?;
        assert_ne!(back(&model, &mut tape)?, expected);
    }
    let (mut model, given, upstream) = prepared("nested")?;
    let mut tape = Tape::new();
    model.record(&inputs(&given), &mut tape)?;
    let before = model.clone();
    model.set_trainable("inner/gru", true)?; // as it is
    before.backward(&mut tape, &refs(&upstream), &mut Gradients::new(&before))?;
    before.record(&inputs(&given), &mut tape)?;
    model.set_trainable("inner/gru", false)?;
    let mut gradients = Gradients::new(&model);
    assert_eq!(model.backward(&mut tape, &refs(&upstream), &mut gradients), Err(Error::TapeOptions));
    model.set_trainable("inner/gru", true)?;
    model.backward(&mut tape, &refs(&upstream), &mut Gradients::new(&model))?;
    Ok(())
}

/// A chain of a model is layers like others: those behind a Masking too.
#[test]
fn tapes_of_chains() -> Outcome {
    let (model, ..) = prepared("masks_through_layers")?;
    let (_, mut layer) = model.into_embedding_and_layer()?;
    let x = Array3::from_shape_fn((2, 4, layer.input_size()), |(i, j, k)| ((i + 2 * j + 3 * k) as f64).sin());
    let names: Vec<String> = layer.weights().into_iter().map(|(name, _)| name).collect();
    for name in &names {
        let mut tape = Tape::new();
        layer.run(&x, Run::new().record(&mut tape))?;
        let clone = layer.clone();
        let changed = &layer.weight(name)? * 1.5;
        layer.set_weights(&[(name, changed.view())])?;
        let mut gradients = Gradients::new(&layer);
        assert_eq!(layer.backward(&mut tape, OutputGradient::new(), &mut gradients), Err(Error::TapeStale), "{name}");
        clone.backward(&mut tape, OutputGradient::new(), &mut gradients)?;
    }
    Ok(())
}

/// No rows: nothing comes in and nothing comes out.
#[test]
fn no_rows() -> Outcome {
    for name in ["translator", "sentences", "shared_everything", "normalizations", "directions", "spread", "shapes"] {
        let (model, given, upstream) = prepared(name)?;
        let none = |shape: &[usize]| -> Vec<usize> { [&[0], &shape[1..]].concat() };
        let given: Vec<Given<f64>> = given
            .iter()
            .map(|given| match given {
                Given::Float(x) => Given::Float(ArrayD::zeros(none(x.shape()))),
                Given::Int(x) => Given::Int(ArrayD::zeros(none(x.shape()))),
                Given::Bool(x) => Given::Bool(ArrayD::from_elem(none(x.shape()), true)),
            })
            .collect();
        let (mut tape, mut gradients) = (Tape::new(), Gradients::new(&model));
        let outputs = model.record(&inputs(&given), &mut tape)?;
        assert!(outputs.iter().zip(&upstream).all(|(ours, full)| ours.shape() == none(full.shape())));
        model.backward(&mut tape, &refs(&outputs), &mut gradients)?;
        assert!(gradients.iter().all(|(_, gradient)| gradient.iter().all(|&g| g == 0.0)), "{name}");
        for (place, given) in given.iter().enumerate() {
            if let Given::Float(x) = given {
                assert_eq!(gradients.input_at(place)?.shape(), x.shape(), "{name}");
            }
        }
    }
    Ok(())
}

/// Layers that are frozen and set free, those of models within too.
#[test]
fn set_trainable() -> Outcome {
    let names = |model: &Model<f64>| -> Vec<String> {
        Gradients::new(model).iter().map(|(name, _)| name.to_string()).collect()
    };
    let (mut model, given, upstream) = prepared("nested")?;
    let free = names(&model);
    assert!(free.contains(&"inner/gru/kernel".into()) && !free.contains(&"tail/lstm/kernel".into()), "{free:?}");
    let (mut tape, mut gradients) = (Tape::new(), Gradients::new(&model));
    model.record(&inputs(&given), &mut tape)?;
    model.backward(&mut tape, &refs(&upstream), &mut gradients)?;

    model.set_trainable("inner", false)?;
    model.set_trainable("tail/lstm", true)?;
    let expected: Vec<&str> = vec![
        "tail/batch_normalization/gamma",
        "tail/batch_normalization/beta",
        "tail/lstm/kernel",
        "tail/lstm/recurrent_kernel",
        "tail/lstm/bias",
        "tail/dense_1/kernel",
        "tail/dense_1/bias",
    ];
    assert_eq!(names(&model), expected);
    model.record(&inputs(&given), &mut tape)?;
    assert_eq!(model.backward(&mut tape, &refs(&upstream), &mut gradients), Err(Error::GradientsLayer));
    let mut others = Gradients::new(&model);
    model.backward(&mut tape, &refs(&upstream), &mut others)?;
    let shared = "tail/dense_1/kernel";
    assert_eq!(others.get(shared)?, gradients.get(shared)?);
    assert_eq!(others.input_at(0)?, gradients.input_at(0)?, "what is frozen is gone back through");
    assert!(others.get("tail/lstm/kernel")?.iter().all(|&g| g != 0.0));

    let before = model.count_params();
    model.set_trainable("inner", true)?;
    model.set_trainable("tail/lstm", false)?;
    assert_eq!((names(&model), model.count_params()), (free, before));
    let summary = load::<f64>("keras_models/models/nested.keras")?.to_string();
    assert_eq!(model.to_string(), summary, "the counts are what they were");
    let error = model.set_trainable("tail/gru", true).unwrap_err();
    assert!(error.to_string().contains("inner/gru, inner/dense"), "{error}");
    Ok(())
}

/// Weights by path, of layers of each kind; what isn't trained has no gradient.
#[test]
fn weights_by_path() -> Outcome {
    let (mut model, given, _) = prepared("normalizations")?;
    let names: Vec<String> = model.weights().into_iter().map(|(name, _)| name).collect();
    for name in ["batch_normalization/moving_mean", "batch_normalization_2/gamma", "time_distributed_1/moving_variance"]
    {
        assert!(names.iter().any(|other| other == name), "{name} in {names:?}");
        model.weight(name)?;
    }
    let gradients = Gradients::new(&model);
    assert!(gradients.get("batch_normalization/gamma").is_ok());
    for fixed in
        ["batch_normalization/moving_mean", "batch_normalization_1/gamma", "time_distributed_1/moving_variance"]
    {
        assert!(matches!(gradients.get(fixed), Err(Error::UnknownName { .. })), "{fixed}");
    }
    let before = model.clone();
    let (whole, wrong) = (ArrayD::ones(vec![5]), ArrayD::ones(vec![4]));
    let (gamma, mean) = ("batch_normalization/gamma", "batch_normalization/moving_mean");
    let mut refuse = |new: &[(&str, ArrayViewD<'_, f64>)]| model.set_weights(new).unwrap_err();
    assert!(matches!(refuse(&[(gamma, whole.view()), ("gamma", whole.view())]), Error::UnknownName { .. }));
    assert!(matches!(refuse(&[(gamma, whole.view()), (mean, wrong.view())]), Error::WeightShape { .. }));
    assert!(matches!(refuse(&[(gamma, whole.view()), (gamma, whole.view())]), Error::DuplicateName { .. }));
    assert_eq!(model.weights(), before.weights());
    // The folded form follows: with the mean moved, the model gives other numbers.
    model.set_weights(&[(mean, whole.view())])?;
    assert_eq!(model.weight(mean)?, whole);
    assert_ne!(model.predict(&inputs(&given))?, before.predict(&inputs(&given))?);

    // A stream keeps the weights that it was made with.
    let (mut model, given, _) = prepared("masks_through_layers")?;
    let Given::Int(ids) = &given[0] else { panic!("ids") };
    let first = ids.index_axis(Axis(1), 0).to_owned();
    let mut stream = model.stream(2)?;
    let step = stream.step(&[(&first).into()])?.to_vec();
    for name in ["embedding/embeddings", "dense/kernel", "gru/kernel", "lstm/recurrent_kernel"] {
        let zeros = ArrayD::zeros(model.weight(name)?.raw_dim());
        model.set_weights(&[(name, zeros.view())])?;
        assert_eq!(model.weight(name)?, zeros);
    }
    stream.reset();
    assert_eq!(stream.step(&[(&first).into()])?, step);
    assert_ne!(model.stream(2)?.step(&[(&first).into()])?, step);
    Ok(())
}
