//! Graphs in which masks meet, unrolled layers, stateful layers called twice, random graphs: what each version of Keras
//! computes with them, forward, backward and step by step.

use crate::check::data::{Outcome, array, every_case, list, text_of, within};
use ndarray::prelude::*;
use recurrent::training::Tape;
use recurrent::{Conv1D, DepthwiseConv1D, Error, Gradients, Model, SeedSource, SeparableConv1D, keras, model::Input};
use serde_json::Value;

enum Given {
    Float(ArrayD<f32>),
    Int(ArrayD<i64>),
    Bool(ArrayD<bool>),
}

impl Given {
    fn of(value: &Value) -> Self {
        match text_of(&value["dtype"]) {
            "bool" => Given::Bool(array::<f64>(value).mapv(|x| x != 0.0)),
            int if int.contains("int") => Given::Int(array::<f64>(value).mapv(|x| x as i64)),
            _ => Given::Float(array(value)),
        }
    }

    /// One step, or the whole where there is no time axis.
    fn at(&self, time: usize, is_sequence: bool) -> Self {
        fn cut<A: Clone>(array: &ArrayD<A>, time: usize, is_sequence: bool) -> ArrayD<A> {
            if is_sequence { array.index_axis(Axis(1), time).to_owned() } else { array.clone() }
        }
        match self {
            Given::Float(array) => Given::Float(cut(array, time, is_sequence)),
            Given::Int(array) => Given::Int(cut(array, time, is_sequence)),
            Given::Bool(array) => Given::Bool(cut(array, time, is_sequence)),
        }
    }
}

impl<'a> From<&'a Given> for Input<'a, f32> {
    fn from(given: &'a Given) -> Self {
        match given {
            Given::Float(array) => array.into(),
            Given::Int(array) => array.into(),
            Given::Bool(array) => array.into(),
        }
    }
}

fn near(what: &str, ours: ArrayViewD<'_, f32>, theirs: &ArrayD<f32>, tolerance: f64) -> Outcome {
    within(what, ours, theirs, |a, b| (a - b).abs() <= tolerance * b.abs().max(1.0))
}

pub(crate) fn outputs(model: &Model<f32>, case: &Value) -> Outcome {
    let mut state = None;
    for (i, call) in list(&case["calls"]).iter().enumerate() {
        let given: Vec<Given> = list(&call["inputs"]).iter().map(Given::of).collect();
        let inputs: Vec<Input<'_, f32>> = given.iter().map(Input::from).collect();
        let state = state.get_or_insert_with(|| model.initial_state(inputs[0].shape()[0]));
        let ours = model.predict_stateful(state, &inputs)?;
        assert_eq!(ours.len(), list(&call["outputs"]).len());
        for (j, (ours, keras)) in ours.iter().zip(list(&call["outputs"])).enumerate() {
            near(&format!("call {i}, output {j}"), ours.view(), &array(keras), 1e-5)?;
        }
    }
    Ok(())
}

pub(crate) fn gradients(model: &Model<f32>, case: &Value) -> Outcome {
    let (mut tape, mut gradients, theirs) = (Tape::new(), Gradients::new(model), &case["gradients"]);
    let given: Vec<Given> = list(&case["calls"][0]["inputs"]).iter().map(Given::of).collect();
    model.record(&given.iter().map(Input::from).collect::<Vec<_>>(), &mut tape)?;
    let upstream: Vec<ArrayD<f32>> = list(&theirs["upstream"]).iter().map(array).collect();
    model.backward(&mut tape, &upstream.iter().map(|array| &**array).collect::<Vec<_>>(), &mut gradients)?;
    for weight in list(&theirs["weights"]) {
        let name = text_of(&weight["name"]);
        near(name, gradients.get(name)?, &array(&weight["array"]), 1e-4)?;
    }
    for (i, input) in list(&theirs["inputs"]).iter().enumerate().filter(|(_, input)| !input.is_null()) {
        near(&format!("input {i}"), gradients.input_at(i)?, &array(input), 1e-4)?;
    }
    Ok(())
}

/// Whether the model runs step by step; if so, the steps are the whole.
pub(crate) fn steps(model: &Model<f32>, case: &Value) -> Outcome<bool> {
    let given: Vec<Given> = list(&case["calls"][0]["inputs"]).iter().map(Given::of).collect();
    let inputs: Vec<Input<'_, f32>> = given.iter().map(Input::from).collect();
    let shapes: Vec<Vec<usize>> = inputs.iter().map(|input| input.shape().to_vec()).collect();
    let mut stream = match model.stream(shapes[0][0]) {
        Ok(stream) => stream,
        Err(Error::CannotStream { .. }) => return Ok(false),
        Err(error) => return Err(error.into()),
    };
    if stream.start_inputs().next().is_some() {
        return Ok(false);
    }
    let times: Vec<usize> = shapes.iter().filter(|shape| shape.len() > 2).map(|shape| shape[1]).collect();
    let Some((&timesteps, _)) = times.split_first().filter(|(first, all)| all.iter().all(|time| time == *first)) else {
        return Ok(false);
    };
    // A vector of as many features as there are steps isn't told from ids here.
    let is_sequence = |shape: &Vec<usize>| shape.len() > 2 || shape[1] == timesteps;
    let whole = model.predict(&inputs)?;
    let (expected, mut count) = (stream.outputs_in(timesteps), 0);
    for time in 0..timesteps {
        let now: Vec<Given> = given.iter().zip(&shapes).map(|(x, shape)| x.at(time, is_sequence(shape))).collect();
        let Some(ours) = stream.push(&now.iter().map(Input::from).collect::<Vec<_>>())? else { continue };
        for (j, (ours, whole)) in ours.iter().zip(&whole).enumerate() {
            let what = format!("step {time}, output {j}");
            if ours.ndim() < whole.ndim() {
                assert_eq!(whole.shape()[1], expected, "{what}");
                near(&what, ours.view(), &whole.index_axis(Axis(1), count).to_owned(), 0.0)?;
            } else if time + 1 == timesteps {
                near(&what, ours.view(), whole, 0.0)?;
            }
        }
        count += 1;
    }
    assert_eq!(count, expected);
    Ok(true)
}

/// Runs the cases of a file; at least `streams` of them run step by step.
fn check(topic: &str, extension: &str, count: usize, streams: usize) {
    let streamed = std::cell::Cell::new(0);
    every_case(&format!("keras_models/{topic}"), count, |case| {
        let root = env!("CARGO_MANIFEST_DIR");
        let file = format!("{root}/tests/golden/keras_models/{topic}/{}.{extension}", text_of(&case["name"]));
        let model = keras::load::<f32>(file)?;
        outputs(&model, case)?;
        gradients(&model, case)?;
        streamed.set(streamed.get() + usize::from(steps(&model, case)?));
        Ok(())
    });
    assert!(streamed.get() >= streams, "{topic}: {} run step by step", streamed.get());
}

#[test]
fn masks_of_keras_3() {
    check("masked_graphs", "keras", 29, 9);
}

#[test]
fn masks_of_keras_2() {
    check("masked_graphs_keras2", "h5", 26, 8);
}

#[test]
fn convolutions_of_keras_3() {
    check("convolutions", "keras", 14, 2);
}

#[test]
fn convolutions_of_keras_2() {
    check("convolutions_keras2", "h5", 8, 1);
}

#[test]
fn wider_layers() {
    check("wider_layers", "keras", 12, 2);
    every_case("keras_models/wider_layers", 12, |case| {
        let root = env!("CARGO_MANIFEST_DIR");
        let file = format!("{root}/tests/golden/keras_models/wider_layers/{}.keras", text_of(&case["name"]));
        assert_eq!(keras::load::<f32>(file)?.to_string().trim_end(), text_of(&case["summary"]).trim_end());
        Ok(())
    });
}

#[test]
fn conv_lstms() {
    check("conv_lstm", "keras", 9, 2);
}

/// Strides, and windows without padding: what Keras gives of a sequence, and of beginnings of it, a stream gives step by
/// step.
#[test]
fn thinned_sequences() {
    check("thinned", "keras", 6, 6);
    every_case("keras_models/thinned", 6, |case| {
        let (root, name) = (env!("CARGO_MANIFEST_DIR"), text_of(&case["name"]));
        let model = keras::load::<f32>(format!("{root}/tests/golden/keras_models/thinned/{name}.keras"))?;
        let mut stream = model.stream(2)?;
        for call in list(&case["calls"]).iter().chain(list(&case["beginnings"])) {
            let (x, theirs): (ArrayD<f32>, ArrayD<f32>) = (array(&call["inputs"][0]), array(&call["outputs"][0]));
            stream.reset();
            let mut ours = Vec::new();
            for step in x.axis_iter(Axis(1)) {
                ours.extend(stream.push(&[step.into()])?.map(|outputs| outputs[0].clone()));
            }
            let views: Vec<_> = ours.iter().map(|output| output.view()).collect();
            let ours = if theirs.ndim() == 3 { ndarray::stack(Axis(1), &views)? } else { ours[ours.len() - 1].clone() };
            near(name, ours.view(), &theirs, 1e-5)?;
        }
        Ok(())
    });
}

/// A decoder over pictures begins with the state that it is given, and with masked steps.
#[test]
fn pictures_step_by_step_from_a_state() {
    let found = std::cell::Cell::new(false);
    every_case("keras_models/conv_lstm", 9, |case| {
        if text_of(&case["name"]) != "decoder_steps" {
            return Ok(());
        }
        found.set(true);
        let root = env!("CARGO_MANIFEST_DIR");
        let model = keras::load::<f32>(format!("{root}/tests/golden/keras_models/conv_lstm/decoder_steps.keras"))?;
        let given: Vec<Given> = list(&case["calls"][0]["inputs"]).iter().map(Given::of).collect();
        let whole = model.predict(&given.iter().map(Input::from).collect::<Vec<_>>())?;
        let mut stream = model.stream(2)?;
        for again in 0..2 {
            stream.start(&[Input::from(&given[1]), Input::from(&given[2])])?;
            for time in 0..4 {
                let now = [given[0].at(time, true), given[3].at(time, true)];
                let ours = stream.step(&[Input::from(&now[0]), Input::from(&now[1])])?;
                let theirs = whole[0].index_axis(Axis(1), time).to_owned();
                near(&format!("{again}, step {time}"), ours[0].view(), &theirs, 0.0)?;
            }
        }
        Ok(())
    });
    assert!(found.get());
}

#[test]
fn conv_lstms_of_doubles() {
    doubles("conv_lstm");
}

#[test]
fn rare_classes() {
    check("rare_classes", "keras", 1, 0);
}

#[test]
fn categories() {
    check("categories", "keras", 5, 1);
}

/// New layers have Keras's weights, in its order of seeds.
#[test]
fn seeds_of_convolutions() {
    every_case("keras_models/convolutions_seeds", 1, |case| {
        let mut seeds = SeedSource::keras(5);
        let plain = Conv1D::<f32>::builder(4, 6, 3).groups(2).seeds(&mut seeds).build()?;
        let depthwise = DepthwiseConv1D::<f32>::builder(4, 2).depth_multiplier(3).seeds(&mut seeds).build()?;
        let separable = SeparableConv1D::<f32>::builder(4, 5, 2).depth_multiplier(2).seeds(&mut seeds).build()?;
        for (ours, keras) in
            [plain.weights(), depthwise.weights(), separable.weights()].iter().zip(list(&case["weights"]))
        {
            assert_eq!(ours.len(), list(keras).len());
            for ((name, ours), keras) in ours.iter().zip(list(keras)) {
                near(name, ours.view(), &array(keras), 0.0)?;
            }
        }
        Ok(())
    });
}

/// Of float64, to 1e-12.
fn doubles(topic: &str) {
    every_case(&format!("keras_models/{topic}_doubles"), 1, |case| {
        let root = env!("CARGO_MANIFEST_DIR");
        let model = keras::load::<f64>(format!("{root}/tests/golden/keras_models/{topic}/doubles.keras"))?;
        let inputs: Vec<ArrayD<f64>> = match case["inputs"].is_array() {
            true => list(&case["inputs"]).iter().map(array).collect(),
            false => vec![array(&case["input"])],
        };
        let ours = model.predict(&inputs.iter().map(Input::from).collect::<Vec<_>>())?;
        assert_eq!(ours.len(), list(&case["outputs"]).len());
        for (i, (ours, keras)) in ours.iter().zip(list(&case["outputs"])).enumerate() {
            let keras: ArrayD<f64> = array(keras);
            within(&format!("output {i}"), ours.view(), &keras, |a, b| (a - b).abs() <= 1e-12 * b.abs().max(1.0))?;
        }
        Ok(())
    });
}

#[test]
fn convolutions_of_doubles() {
    doubles("convolutions");
}

#[test]
fn wider_layers_of_doubles() {
    doubles("wider_layers");
}

#[test]
fn random_graphs_of_keras_3() {
    check("random", "keras", 2, 0);
}

#[test]
fn random_graphs_of_keras_2() {
    check("random_keras2", "h5", 3, 0);
}

/// A chain whose mask isn't the one that its layers attach can't be one layer; a stateful layer that is called twice
/// can't be two streams.
#[test]
fn what_neither_a_layer_nor_a_stream_is() -> Outcome {
    let load = |name: &str| {
        let root = env!("CARGO_MANIFEST_DIR");
        keras::load::<f32>(format!("{root}/tests/golden/keras_models/masked_graphs/{name}.keras"))
    };
    let refused = load("own_mask")?.into_layer();
    assert!(matches!(&refused, Err(Error::CannotStream { reason, .. }) if reason.contains("mask")), "{refused:?}");
    let refused = load("stateful_order")?.stream(3);
    assert!(matches!(&refused, Err(Error::CannotStream { reason, .. }) if reason.contains("stateful")), "{refused:?}");
    Ok(())
}

/// A step knows nothing of the masks that layers inside TimeDistributed read or make: refused, with the layer's name.
#[test]
fn masks_inside_time_distributed_have_no_steps() {
    let refusal = |file: &str| {
        let root = format!("{}/tests/golden/keras_models", env!("CARGO_MANIFEST_DIR"));
        match keras::load::<f32>(format!("{root}/{file}")).unwrap().stream(2) {
            Err(Error::CannotStream { layer, reason }) => (layer, reason),
            other => panic!("{file}: {other:?}"),
        }
    };
    let reads = refusal("masked_graphs/time_distributed_spreads_masks.keras");
    assert_eq!(reads, ("time_distributed".to_string(), "it reads a mask in each of its steps"));
    let makes = refusal("masked_graphs_keras2/time_distributed_embedding.h5");
    assert_eq!(makes, ("time_distributed".to_string(), "a mask is made in each of its steps"));
}

#[test]
fn operations_of_keras_3() {
    check("operations", "keras", 25, 5);
}

#[test]
fn operations_of_tensorflow() {
    check("operations_keras2", "h5", 20, 4);
}
