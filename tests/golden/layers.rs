//! Every case of `tests/golden/` through the public API: Keras's numbers, options, seeds and states.

use crate::check::build::{activation, build, dense, embedding, initializer, masking, stack};
use crate::check::data::{
    Element, Outcome, array, close, every_case, flag, float, list, mask, matrix, sequence, size, text_of, within,
};
use crate::check::run::{
    Call, check_one, check_output, close_state, layer, run_and_check, same_names, set_weights, weights,
};
use ndarray::{Array1, Array3, ArrayD, s};
use recurrent::{Layer, Run, SeedSource, Stateful};
use serde_json::Value;

#[test]
fn layers() {
    every_case("keras/layers", 270, |case| by_dtype!(run_and_check, case));
}

#[test]
fn masks() {
    every_case("keras/masks", 124, |case| by_dtype!(run_and_check, case));
}

#[test]
fn stacked() {
    every_case("keras/stacked", 97, |case| by_dtype!(run_and_check, case));
}

#[test]
fn every_cell_of_the_list_has_data_and_laws() {
    let tests = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/");
    let read = |path: &str| std::fs::read_to_string(format!("{tests}{path}")).expect(path);
    let topics = ["keras/layers", "cells/ind_rnn", "cells/mgu", "cells/layer_norm"];
    let data: Vec<_> = topics.iter().map(|topic| read(&format!("golden/{topic}.json"))).collect();
    let laws = read("laws/case.rs").to_lowercase();
    for class in recurrent::CLASS_NAMES {
        let name = format!(r#""class":"{class}""#);
        assert!(data.iter().any(|text| text.contains(&name)), "no data of {class}");
        assert!(laws.contains(&format!("{}::", class.to_lowercase())), "no laws of {class}");
    }
}

#[test]
fn cells_of_other_frameworks() {
    every_case("cells/lstm_options", 27, |case| by_dtype!(run_and_check, case));
    every_case("cells/projection", 11, |case| by_dtype!(run_and_check, case));
    every_case("cells/ind_rnn", 13, |case| by_dtype!(run_and_check, case));
    every_case("cells/mgu", 14, |case| by_dtype!(run_and_check, case));
    every_case("cells/layer_norm", 8, |case| by_dtype!(run_and_check, case));
}

#[test]
fn bidirectional() {
    fn check<T: Element>(case: &Value) -> Outcome {
        if case["refused"].is_null() {
            return run_and_check::<T>(case);
        }
        // Some are refused when they are built, as in Keras, one at its first call.
        let called = build::<T>(&case["layer"], &mut SeedSource::random()?).and_then(|layer| {
            let x = ndarray::Array3::zeros((2, 3, layer.input_size()));
            Ok(layer.forward(&x)?)
        });
        match called {
            Err(_) => Ok(()),
            Ok(_) => Err("Keras refuses this layer".into()),
        }
    }
    every_case("keras/bidirectional", 110, |case| by_dtype!(check, case));
}

#[test]
fn activations() {
    fn check<T: Element>(case: &Value) -> Outcome {
        let activation = activation(&case["activation"])?;
        let apply = |what: &str, input: &Value, output: &Value| {
            let mut x = array::<T>(input);
            let mut keras = array::<T>(output);
            if x.ndim() == 1 {
                activation.apply(x.as_slice_mut().expect("in row order"))?;
                // The one deviation: Keras's square overflows in f32 where the value is still finite.
                if matches!(activation, recurrent::Activation::Squareplus { .. }) {
                    let finite = x.iter().zip(&mut keras).filter(|(ours, _)| ours.is_finite());
                    finite.filter(|(_, keras)| keras.is_infinite()).for_each(|(ours, keras)| *keras = *ours);
                }
                return close(what, x.view(), &keras);
            }
            for (i, (mut row, keras)) in x.outer_iter_mut().zip(keras.outer_iter()).enumerate() {
                let ours = activation.apply(row.as_slice_mut().expect("in row order"))?;
                close(&format!("row {i} of {what}"), ndarray::aview1(ours), &keras.to_owned())?;
            }
            Ok(())
        };
        apply("output", &case["input"], &case["output"])?;
        if case["special_input"].is_null() {
            return Ok(());
        }
        apply("special_output", &case["special_input"], &case["special_output"])
    }
    every_case("keras/activations", 134, |case| by_dtype!(check, case));
}

#[test]
fn initializers() {
    fn check<T: Element>(case: &Value) -> Outcome {
        let shape: Vec<_> = list(&case["shape"]).iter().map(size).collect();
        let ours = initializer(&case["initializer"])?.initialize::<T>(&shape)?;
        if case["values"].is_null() {
            return check_long(case, &ours);
        }
        same_values(case, &ours, &array(&case["values"]))
    }
    every_case("keras/initializers", 350, |case| by_dtype!(check, case));
}

/// Bit for bit, but for orthogonal matrices, which depend on the rounding of a QR, and f64 normals, which depend on the
/// C library's last bit.
fn same_values<T: Element>(case: &Value, ours: &ArrayD<T>, keras: &ArrayD<T>) -> Outcome {
    let spec = &case["initializer"];
    let (class, config) = (text_of(&spec["class"]), &spec["config"]);
    let parameter = |key: &str, default| if config[key].is_null() { default } else { float(&config[key]) };
    let double = T::DTYPE == "float64";
    if class == "Orthogonal" {
        let columns = ours.shape()[ours.ndim() - 1];
        let square = ours.len() == columns * columns;
        let tolerance = parameter("gain", 1.0).abs() * if double { 1e-14 } else { [1e-6, 1e-5][usize::from(square)] };
        return within("values", ours.view(), keras, |a, b| (a - b).abs() <= tolerance);
    }
    let distribution = config["distribution"].as_str().unwrap_or(class).to_lowercase();
    if double && distribution.contains("normal") {
        // Two units in the last place of the standard normal number, and one for each rounding of scale and mean.
        let mean = parameter("mean", 0.0);
        let tolerance = |b: f64| 4.0 * f64::EPSILON * (b - mean).abs().max(b.abs());
        return within("values", ours.view(), keras, |a, b| (a - b).abs() <= tolerance(b));
    }
    within("values", ours.view(), keras, |a, b| a.to_bits() == b.to_bits())
}

/// A tensor too long for the file: both ends, and a hash of all its bytes.
fn check_long<T: Element>(case: &Value, ours: &ArrayD<T>) -> Outcome {
    let ours = ours.flatten();
    for (key, from) in [("first", 0), ("last", ours.len() - 12)] {
        same_values(case, &ours.slice(s![from..from + 12]).to_owned().into_dyn(), &array(&case[key]))?;
    }
    let Some(digest) = case["fnv1a64"].as_str() else { return Ok(()) };
    let bytes = ours.iter().flat_map(|number| {
        let number = number.into_f64();
        let narrow = (number as f32).to_le_bytes();
        if T::DTYPE == "float32" { narrow.to_vec() } else { number.to_le_bytes().to_vec() }
    });
    let fnv1a = |digest: u64, byte| (digest ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    let ours = format!("{:016x}", bytes.fold(0xcbf2_9ce4_8422_2325, fnv1a));
    if ours == digest { Ok(()) } else { Err(format!("the bytes' hash is {ours}, Keras's is {digest}").into()) }
}

/// The weights of layers that are built one after another from one source.
#[test]
fn seeds() {
    fn check<T: Element>(case: &Value) -> Outcome {
        let mut source = source(case);
        for (i, made) in list(&case["layers"]).iter().enumerate() {
            let spec = &made["layer"];
            let ours: Vec<(String, ArrayD<T>)> = match text_of(&spec["class"]) {
                "Masking" => vec![],
                "Dropout" => {
                    // Not a layer of this crate: what it takes is taken by hand.
                    if float(&spec["config"]["rate"]) > 0.0 && spec["config"]["seed"].is_null() {
                        source.next_seed();
                    }
                    vec![]
                }
                "Embedding" => {
                    let layer = embedding::<T>(spec, &mut source)?;
                    vec![("embeddings".into(), layer.embeddings().to_owned().into_dyn())]
                }
                _ => {
                    let layer = build::<T>(spec, &mut source)?;
                    layer.weights().into_iter().map(|(name, weight)| (name, weight.to_owned())).collect()
                }
            };
            let keras = weights::<T>(&made["weights"]);
            same_names(ours.iter().map(|(name, _)| name.as_str()), keras.iter().map(|(name, _)| *name))?;
            for ((name, ours), (_, keras)) in ours.iter().zip(&keras) {
                // Bit for bit, but for the recurrent kernels: orthogonal matrices.
                let exact = T::DTYPE == "float32" && !name.ends_with("recurrent_kernel");
                let close = |a: f64, b: f64| if exact { a == b } else { (a - b).abs() <= T::TOLERANCE };
                within(&format!("layer {i}, {name}"), ours.view(), keras, close)?;
            }
        }
        same_draw(&mut source, &case["next_draw"])
    }
    every_case("keras/seeds", 58, |case| match case["draws"].as_array() {
        None => by_dtype!(check, case),
        Some(draws) => {
            let mut source = source(case);
            draws.iter().try_for_each(|draw| same_draw(&mut source, draw))
        }
    });
}

fn source(case: &Value) -> SeedSource {
    SeedSource::keras(case["set_random_seed"].as_u64().and_then(|seed| seed.try_into().ok()).expect("a u32"))
}

fn same_draw(source: &mut SeedSource, keras: &Value) -> Outcome {
    let ours = source.next_seed();
    if keras.as_i64() == Some(ours) { Ok(()) } else { Err(format!("drew {ours}, Keras {keras}").into()) }
}

#[test]
fn question() {
    every_case("keras/question", 8, |case| {
        let layer = build::<f32>(&case["layer"], &mut SeedSource::keras(0))?;
        for ((_, ours), (name, keras)) in layer.weights().iter().zip(&weights(&case["weights"])) {
            within(name, ours.view(), keras, |a, b| a == b)?;
        }
        let (mut outputs, mut states) = (Vec::<f32>::new(), Vec::<f32>::new());
        for input in array(&case["inputs"]).outer_iter() {
            let input: Array3<f32> = input.to_owned().into_dimensionality()?;
            let output = layer.forward(&input)?;
            outputs.extend(output.sequence()?);
            states.extend(output.state().ok().into_iter().flat_map(|state| state.values().to_owned()));
        }
        close("output", Array1::from(outputs).view(), &array(&case["outputs"]))?;
        if case["states"].is_null() {
            return Ok(());
        }
        close("state", Array1::from(states).view(), &array(&case["states"]))
    });
}

#[test]
fn dropout() {
    fn check<T: Element>(case: &Value) -> Outcome {
        let mut source = if case["set_random_seed"].is_null() { SeedSource::random()? } else { source(case) };
        let mut layer = build::<T>(&case["layer"], &mut source)?;
        set_weights(&mut *layer, &weights(&case["weights"]))?;
        let calls = list(&case["calls"]);
        // A Keras layer has a generator even if it draws nothing; ours are compared with those that draw.
        let counters = |call: &Value| -> Vec<u64> { list(&call["n"]).iter().map(|n| n.as_u64().expect("n")).collect() };
        let drawing: Vec<usize> = (0..list(&case["generators"]).len())
            .filter(|&i| calls.last().is_some_and(|call| counters(call)[i] > 0))
            .collect();
        let mut seeds = layer.seeds();
        for (i, call) in calls.iter().enumerate() {
            let failed = |error| format!("call {i}: {error}");
            let inputs = Call::of(&*layer, call)?;
            let output = if flag(&call["training"]) {
                layer.run(&inputs.x, inputs.options().training(&mut seeds))?
            } else {
                seeds.skip_inference();
                layer.run(&inputs.x, inputs.options())?
            };
            check_output(&output, call).map_err(failed)?;
            let keras: Vec<(i64, u64)> = drawing
                .iter()
                .map(|&i| (case["generators"][i]["state"][0].as_i64().expect("a seed"), counters(call)[i]))
                .collect();
            let ours: Vec<_> =
                seeds.states().iter().map(|state| (state.seed, state.n)).filter(|&(_, n)| n > 0).collect();
            if ours != keras {
                return Err(failed(format!("generators {ours:?}, Keras's are {keras:?}").into()).into());
            }
        }
        Ok(())
    }
    every_case("keras/dropout", 163, |case| by_dtype!(check, case));
}

#[test]
fn stateful() {
    fn check<T: Element>(case: &Value) -> Outcome {
        let layer = layer::<T>(case)?;
        let calls = list(&case["calls"]);
        let batch = sequence::<T>(&calls[0]["input"]).dim().0;
        let mut stateful = Stateful::new(&*layer, batch);
        for (i, call) in calls.iter().enumerate() {
            let failed = |error| format!("call {i}: {error}");
            if flag(&call["reset_before"]) {
                stateful.reset_state();
            }
            let inputs = Call::of(&*layer, call)?;
            match (stateful.run(&inputs.x, inputs.options()), flag(&call["refused"])) {
                (Ok(_), true) => return Err(failed("Keras refuses this batch".into()).into()),
                (Err(recurrent::Error::StateBatch { .. }), true) => {}
                (output, _) => {
                    check_one("output", &output?, &call["output"]).map_err(failed)?;
                    close_state(stateful.state(), &call["states"]).map_err(failed)?;
                }
            }
        }
        Ok(())
    }
    every_case("keras/stateful", 22, |case| by_dtype!(check, case));
}

#[test]
fn companions() {
    fn check<T: Element>(case: &Value) -> Outcome {
        let spec = &case["layer"];
        match text_of(&spec["class"]) {
            "Sequential" => model::<T>(case),
            "Dense" if list(&case["input"]["shape"]).len() == 2 => {
                let mut layer = dense::<T>(spec, &mut SeedSource::random()?)?;
                set_weights(&mut layer, &weights(&case["weights"]))?;
                close("output", layer.forward_rows(&matrix(&case["input"]))?.view(), &array(&case["output"]))
            }
            _ => check_one("output", &layer::<T>(case)?.forward(&sequence(&case["input"]))?, &case["output"]),
        }
    }

    /// Embedding or Masking, then the layers behind it, which get its mask.
    fn model<T: Element>(case: &Value) -> Outcome {
        let specs = list(&case["layer"]["layers"]);
        let mut weights = weights::<T>(&case["weights"]);
        let (x, ours_mask) = match text_of(&specs[0]["class"]) {
            "Embedding" => {
                let (name, table) = weights.remove(0);
                same_names(["0/embeddings"].into_iter(), [name].into_iter())?;
                let mut layer = embedding::<T>(&specs[0], &mut SeedSource::random()?)?;
                layer.set_embeddings(table.view())?;
                layer.forward(&matrix::<f64>(&case["input"]).mapv(|id| id as i64))?
            }
            "Masking" => {
                let (x, mask) = masking::<T>(&specs[0])?.forward(&sequence(&case["input"]))?;
                (x, Some(mask))
            }
            other => panic!("a model that begins with {other}"),
        };
        if ours_mask != mask(&case["masks"][0]) {
            return Err("the mask is not Keras's".into());
        }
        if specs.len() == 1 {
            return close("output", x.view(), &array(&case["output"]));
        }
        // The others stand one place further to the front here.
        let mut layer = stack::<T>(&specs[1..], &mut SeedSource::random()?)?;
        let renamed: Vec<_> = weights
            .iter()
            .map(|(name, array)| {
                let (index, rest) = name.split_once('/').expect("a path");
                (format!("{}/{rest}", index.parse::<usize>().expect("an index") - 1), array.clone())
            })
            .collect();
        let renamed: Vec<_> = renamed.iter().map(|(name, array)| (name.as_str(), array.clone())).collect();
        set_weights(&mut *layer, &renamed)?;
        check_one("output", &layer.run(&x, Run::new().mask_if(ours_mask.as_ref()))?, &case["output"])
    }
    every_case("keras/companions", 62, |case| by_dtype!(check, case));
}
