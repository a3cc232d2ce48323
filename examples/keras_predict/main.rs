//! Runs a Keras model on arrays: `keras_predict MODEL OUT_DIR INPUT.npy [INPUT2.npy ...]`.
//!
//! MODEL is a `.keras` or a legacy `.h5` file; the inputs come in the order of the model's inputs, as float32, float64,
//! int32, int64 or bool. Writes `OUT_DIR/output_0.npy`, `output_1.npy`, ... in the order of the model's outputs,
//! flattened, and prints the model's summary, each output's shape and the time.

mod npy;

use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use npy::Npy;
use recurrent::{Float, Model, keras, model::Input};

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

fn run() -> Outcome {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, out, inputs @ ..] = &arguments[..] else {
        return Err("usage: keras_predict MODEL OUT_DIR INPUT.npy [INPUT2.npy ...]".into());
    };
    let file = keras::File::open(model)?;
    let arrays: Vec<Npy> = inputs.iter().map(read).collect::<Outcome<_>>()?;
    match file.dtype()? {
        "float64" => {
            predict::<f64>(&file, &arrays, Path::new(out), |array| array.clone(), |array| array.mapv(f64::from))
        }
        _ => predict::<f32>(&file, &arrays, Path::new(out), |array| array.mapv(|x| x as f32), |array| array.clone()),
    }
}

fn read(path: &String) -> Outcome<Npy> {
    let file = File::open(path).map_err(|error| format!("{path}: {error}"))?;
    npy::read(BufReader::new(file)).map_err(|error| format!("{path}: {error}").into())
}

/// Loads the model as T, runs it, and writes the outputs.
fn predict<T: Float + npy::Element>(
    file: &keras::File,
    arrays: &[Npy],
    out: &Path,
    from_f64: impl Fn(&ndarray::ArrayD<f64>) -> ndarray::ArrayD<T>,
    from_f32: impl Fn(&ndarray::ArrayD<f32>) -> ndarray::ArrayD<T>,
) -> Outcome {
    let started = Instant::now();
    let model: Model<T> = file.model()?;
    println!("{model}");
    println!("loaded in {:.1} ms", milliseconds(started));

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
