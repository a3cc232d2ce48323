//! Runs a model on arrays: `predict MODEL OUT_DIR INPUT.npy [INPUT2.npy ...]`.
//!
//! ```sh
//! cargo run --release --all-features --example predict -- model.keras out input.npy
//! ```
//!
//! MODEL is a `.keras` or a legacy `.h5` file, an `.onnx` file (its weights may be in other files of its folder), or else
//! one of this crate's own (`recurrent::file::save`), as far as the features are on. The inputs come in the order of the model's inputs, as float32, float64, int32, int64 or
//! bool. A file of Keras's or of our own says in which type it computes; a model of ONNX does in float64 if an input is.
//! Writes `OUT_DIR/output_0.npy`, `output_1.npy`, ... in the order of the model's outputs, flattened, and prints the
//! model's summary, each output's shape and the time.

mod npy;

use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use ndarray::ArrayD;
use npy::Npy;
use recurrent::{Float, Model, model::Input};

type Outcome<V = ()> = Result<V, Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// A model in the type that it computes in.
#[allow(dead_code, reason = "which of them there are is up to the features")]
enum Loaded {
    Single(Box<Model<f32>>),
    Double(Box<Model<f64>>),
}

fn run() -> Outcome {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, out, inputs @ ..] = &arguments[..] else {
        return Err("usage: predict MODEL OUT_DIR INPUT.npy [INPUT2.npy ...]".into());
    };
    let arrays: Vec<Npy> = inputs.iter().map(read).collect::<Outcome<_>>()?;
    let started = Instant::now();
    let loaded = load(model, arrays.iter().any(|array| matches!(array, Npy::F64(_))))?;
    let time = milliseconds(started);
    let out = Path::new(out);
    match loaded {
        Loaded::Single(model) => {
            predict(&model, time, &arrays, out, |array| array.mapv(|x| x as f32), |array| array.clone())
        }
        Loaded::Double(model) => {
            predict(&model, time, &arrays, out, |array| array.clone(), |array| array.mapv(f64::from))
        }
    }
}

/// Reads a model by the end of its name. `double`: whether numbers of f64 go in.
fn load(path: &str, double: bool) -> Outcome<Loaded> {
    let ends = |ends: &[&str]| ends.iter().any(|end| path.to_ascii_lowercase().ends_with(end));
    if ends(&[".keras", ".h5", ".hdf5"]) {
        return load_keras(path);
    }
    if ends(&[".onnx"]) {
        return load_onnx(path, double);
    }
    load_own(path)
}

#[cfg(feature = "keras")]
fn load_keras(path: &str) -> Outcome<Loaded> {
    let file = recurrent::keras::File::open(path)?;
    Ok(match file.dtype()? {
        "float64" => Loaded::Double(Box::new(file.model()?)),
        _ => Loaded::Single(Box::new(file.model()?)),
    })
}

#[cfg(not(feature = "keras"))]
fn load_keras(path: &str) -> Outcome<Loaded> {
    Err(format!("{path}: files of Keras's are read with the feature `keras`").into())
}

#[cfg(feature = "onnx")]
fn load_onnx(path: &str, double: bool) -> Outcome<Loaded> {
    let folder = std::path::Path::new(path).parent().filter(|folder| !folder.as_os_str().is_empty());
    let file = recurrent::onnx::File::open(path)?.with_external_data(folder.unwrap_or(".".as_ref()))?;
    Ok(match double {
        true => Loaded::Double(Box::new(file.model()?)),
        false => Loaded::Single(Box::new(file.model()?)),
    })
}

#[cfg(not(feature = "onnx"))]
fn load_onnx(path: &str, _: bool) -> Outcome<Loaded> {
    Err(format!("{path}: files of ONNX are read with the feature `onnx`").into())
}

#[cfg(feature = "file")]
fn load_own(path: &str) -> Outcome<Loaded> {
    let single = recurrent::file::load::<Model<f32>>(path);
    match single {
        Ok(model) => Ok(Loaded::Single(Box::new(model))),
        // It may be one of f64; if it isn't, the first error tells more.
        Err(error) => match recurrent::file::load::<Model<f64>>(path) {
            Ok(model) => Ok(Loaded::Double(Box::new(model))),
            Err(_) => Err(error.into()),
        },
    }
}

#[cfg(not(feature = "file"))]
fn load_own(path: &str) -> Outcome<Loaded> {
    Err(format!("{path}: files of our own are read with the feature `file`").into())
}

fn read(path: &String) -> Outcome<Npy> {
    let file = File::open(path).map_err(|error| format!("{path}: {error}"))?;
    npy::read(BufReader::new(file)).map_err(|error| format!("{path}: {error}").into())
}

/// Runs the model, and writes the outputs.
fn predict<T: Float + npy::Element>(
    model: &Model<T>,
    loading: f64,
    arrays: &[Npy],
    out: &Path,
    from_f64: impl Fn(&ArrayD<f64>) -> ArrayD<T>,
    from_f32: impl Fn(&ArrayD<f32>) -> ArrayD<T>,
) -> Outcome {
    println!("{model}");
    println!("loaded in {loading:.1} ms");

    let floats: Vec<_> = arrays
        .iter()
        .map(|array| match array {
            Npy::F32(array) => Some(from_f32(array)),
            Npy::F64(array) => Some(from_f64(array)),
            _ => None,
        })
        .collect();
    let inputs: Vec<Input<'_, T>> = arrays
        .iter()
        .zip(&floats)
        .map(|(array, floats)| match (array, floats) {
            (_, Some(floats)) => floats.into(),
            (Npy::I32(array), _) => array.into(),
            (Npy::I64(array), _) => array.into(),
            (Npy::Bool(array), _) => array.into(),
            _ => unreachable!("floats were converted"),
        })
        .collect();
    let started = Instant::now();
    let outputs = model.predict(&inputs)?;
    let time = milliseconds(started);

    std::fs::create_dir_all(out).map_err(|error| format!("{}: {error}", out.display()))?;
    for (i, output) in outputs.iter().enumerate() {
        let path = out.join(format!("output_{i}.npy"));
        let write = || -> std::io::Result<()> {
            let mut file = BufWriter::new(File::create(&path)?);
            npy::write(&mut file, output)?;
            file.flush()
        };
        write().map_err(|error| format!("{}: {error}", path.display()))?;
        println!("{}: {:?}", path.display(), output.shape());
    }
    println!("ran in {time:.1} ms");
    Ok(())
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}
