//! Every case of `tests/golden/` through the public API: Keras's numbers, options, seeds and states.

#[path = "golden/check/build.rs"]
mod build;
#[path = "golden/check/data.rs"]
mod data;

use build::{build, initializer, layer, run_and_check, same_names, state};
use data::{Element, Outcome, array, close, every_case, float, list, mask, size, text_of, within};
use ndarray::{Array1, Array3, ArrayD, s};
use recurrent::{Run, SeedSource};
use serde_json::Value;

#[test]
fn layers() {
    fn check<T: Element>(case: &Value) -> Outcome {
        let layer = layer::<T>(case)?;
        let initial = state(&*layer, &case["initial_state"])?;
        let run = initial.iter().fold(Run::new(), Run::initial_state);
        run_and_check(&*layer, case, run)
    }
    every_case("layers", 270, |case| by_dtype!(check, case));
}

#[test]
fn initializers() {
    fn check<T: Element>(case: &Value) -> Outcome {
        let shape: Vec<_> = list(&case["shape"]).iter().map(size).collect();
        let ours = initializer(&case["initializer"])?.initialize::<T>(&shape)?;
        if case["values"].is_null() {
            return check_long(case, &ours);
        }
        close_or_same(case, &ours, &array(&case["values"]))
    }
    every_case("initializers", 344, |case| by_dtype!(check, case));
}

/// Bit for bit, but for orthogonal matrices, which depend on the rounding of a QR, and f64 normals, which depend on the
/// C library's last bit.
fn close_or_same<T: Element>(case: &Value, ours: &ArrayD<T>, keras: &ArrayD<T>) -> Outcome {
    let spec = &case["initializer"];
    let (class, config) = (text_of(&spec["class"]), &spec["config"]);
    let distribution = config["distribution"].as_str().unwrap_or(class).to_lowercase();
    if class == "Orthogonal" {
        let rows: usize = ours.shape().iter().rev().skip(1).product();
        let square = rows == ours.shape()[ours.ndim() - 1];
        let gain = if config["gain"].is_null() { 1.0 } else { float(&config["gain"]).abs() };
        let tolerance = if T::DTYPE == "float64" {
            1e-14
        } else if square {
            1e-5
        } else {
            1e-6
        };
        return within("values", ours.view(), keras, |a, b| (a - b).abs() <= tolerance * gain);
    }
    if T::DTYPE == "float64" && distribution.contains("normal") {
        // Two units in the last place of the standard normal number, and one for each rounding of scale and mean.
        let mean = if config["mean"].is_null() { 0.0 } else { float(&config["mean"]) };
        return within("values", ours.view(), keras, |a, b| {
            (a - b).abs() <= 4.0 * f64::EPSILON * (b - mean).abs().max(b.abs())
        });
    }
    within("values", ours.view(), keras, |a, b| a.to_bits() == b.to_bits())
}

/// A tensor too long for the file: both ends, and a hash of all its bytes.
fn check_long<T: Element>(case: &Value, ours: &ArrayD<T>) -> Outcome {
    let ours = ours.flatten();
    for (key, from) in [("first", 0), ("last", ours.len() - 12)] {
        close_or_same(case, &ours.slice(s![from..from + 12]).to_owned().into_dyn(), &array(&case[key]))?;
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

/// The weights that layers get which are built one after another from one source.
#[test]
fn seeds() {
    fn check<T: Element>(case: &Value) -> Outcome {
        let mut source = source(case);
        for (i, spec) in list(&case["layers"]).iter().enumerate() {
            let layer = build::<T>(&spec["layer"], &mut source)?;
            let weights = layer.weights();
            same_names(weights.iter().map(|(name, _)| name.as_str()), &spec["weights"])?;
            for ((name, ours), keras) in weights.iter().zip(list(&spec["weights"])) {
                // Bit for bit, but for the recurrent kernels: orthogonal matrices.
                let exact = T::DTYPE == "float32" && !name.ends_with("recurrent_kernel");
                let close = |a: f64, b: f64| if exact { a == b } else { (a - b).abs() <= T::TOLERANCE };
                within(&format!("layer {i}, {name}"), ours.view(), &array(&keras["array"]), close)?;
            }
        }
        same_draw(&mut source, &case["next_draw"])
    }
    every_case("seeds", 54, |case| match case["draws"].as_array() {
        Some(draws) => draws
            .iter()
            .try_fold(source(case), |mut source, draw| same_draw(&mut source, draw).map(|()| source))
            .map(drop),
        None => by_dtype!(check, case),
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
    every_case("question", 8, |case| {
        let layer = build::<f32>(&case["layer"], &mut SeedSource::keras(0))?;
        for (ours, keras) in layer.weights().iter().zip(list(&case["weights"])) {
            within(&ours.0, ours.1.view(), &array(&keras["array"]), |a, b| a == b)?;
        }
        let inputs = array::<f32>(&case["inputs"]);
        let (mut outputs, mut states) = (Vec::<f32>::new(), Vec::<f32>::new());
        for input in inputs.outer_iter() {
            let input: Array3<f32> = input.to_owned().into_dimensionality()?;
            let output = layer.forward(&input)?;
            outputs.extend(output.sequence()?);
            states.extend(output.state().ok().into_iter().flat_map(|state| state.values().to_owned()));
        }
        close("output", Array1::from(outputs).view(), &array(&case["outputs"]))?;
        if case["states"].is_null() {
            Ok(())
        } else {
            close("state", Array1::from(states).view(), &array(&case["states"]))
        }
    });
}

#[test]
fn masks() {
    every_case("masks", 124, |case| by_dtype!(check_masked, case));
}

/// A call with a mask, and the same with lengths where the mask is one of padding.
fn check_masked<T: Element>(case: &Value) -> Outcome {
    let layer = layer::<T>(case)?;
    let initial = state(&*layer, &case["initial_state"])?;
    let run = || initial.iter().fold(Run::new(), Run::initial_state);
    let mask = mask(&case["mask"]);
    run_and_check(&*layer, case, mask.iter().fold(run(), |run, mask| run.mask(mask)))?;
    if let Some(lengths) = case["lengths"].as_array() {
        let lengths: Vec<_> = lengths.iter().map(size).collect();
        run_and_check(&*layer, case, run().lengths(&lengths)).map_err(|error| format!("with lengths: {error}"))?;
    }
    Ok(())
}
