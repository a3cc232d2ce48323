//! The golden models of Keras's, and of ONNX's own, written as ONNX.

use std::path::{Path, PathBuf};

use ndarray::prelude::*;
use recurrent::{Float, Model, keras, onnx};
use serde_json::Value;

use super::case::{Case, Given};

pub fn all() -> Vec<Case> {
    let mut all = of_keras();
    all.extend(["nodes", "exported"].into_iter().flat_map(of_onnx));
    all
}

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut entries: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|ext| ext == "keras" || ext == "h5") {
            found.push(path);
        }
    }
}

fn of_keras() -> Vec<Case> {
    let (root, mut paths) = (golden("keras_models"), Vec::new());
    files(&root, &mut paths);
    let case = |path: &PathBuf| {
        let name = path.strip_prefix(&root).expect("below").display().to_string().replace(['/', '.'], "_");
        match (keras::load::<f32>(path), keras::load::<f64>(path)) {
            (Ok(model), _) => of_numbers(&name, &model),
            (_, Ok(model)) => of_numbers(&name, &model),
            // Weights alone, and what is refused there, isn't a model.
            _ => None,
        }
    };
    paths.iter().filter_map(case).collect()
}

/// On floats, or on ids if it refuses them; nothing if it takes neither.
fn of_numbers<T: Float>(name: &str, model: &Model<T>) -> Option<Case> {
    let shapes: Vec<Vec<usize>> = model
        .inputs()
        .map(|(_, shape)| shape.iter().enumerate().map(|(at, size)| size.unwrap_or(at + 2)).collect())
        .collect();
    if shapes.iter().flatten().any(|&size| size > 100) {
        return None;
    }
    let given = |ids: bool| -> Vec<Given> {
        let of = |shape: &Vec<usize>| {
            let mut next = 0;
            let all = ArrayD::from_shape_simple_fn(&shape[..], || {
                next = (next * 5 + 3) % 7;
                next
            });
            if ids { Given::Ids(all) } else { Given::Floats(all.mapv(|id| id as f64 / 4.0 - 0.75)) }
        };
        shapes.iter().map(of).collect()
    };
    [false, true].into_iter().find_map(|ids| Case::of(name, model, &given(ids)).ok())
}

/// Files of ONNX's: their models, written again.
fn of_onnx(bundle: &str) -> Vec<Case> {
    let text = std::fs::read_to_string(golden(&format!("onnx/{bundle}.json"))).expect("cases");
    let cases: Value = serde_json::from_str(&text).expect("JSON");
    let models = std::fs::read(golden(&format!("onnx/{bundle}.bin"))).expect("models");
    let size = |value: &Value| usize::try_from(value.as_u64().expect("a number")).expect("a size");
    let array = |value: &Value| {
        let shape: Vec<usize> = value[0].as_array().expect("a shape").iter().map(size).collect();
        let numbers = value[1].as_array().expect("numbers").iter().map(|x| x.as_f64().expect("a number")).collect();
        Given::Floats(ArrayD::from_shape_vec(shape, numbers).expect("a shape that fits"))
    };
    let of = |case: &Value| {
        let (name, start) = (case["name"].as_str().expect("a name"), size(&case["start"]));
        let bytes = models[start..start + size(&case["length"])].to_vec();
        let file = onnx::File::from_bytes(name, bytes, &onnx::Limits::new());
        let model = file.and_then(|file| file.model::<f32>()).unwrap_or_else(|error| panic!("{error}"));
        let given: Vec<Given> = model.inputs().map(|(input, _)| array(&case["inputs"][input])).collect();
        Case::new(&format!("{bundle}_{}", name.replace('.', "_")), &model, &given)
    };
    cases["cases"].as_array().expect("a list").iter().map(of).collect()
}
