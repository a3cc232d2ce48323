//! What tests, examples and pages use, compiled once here for f32 and f64 instead of anew in each of their programs.
//!
//! Only in builds for tests (the feature `__instances`, which is among all features): there rustc lets programs share
//! what a crate below them has compiled. Nothing here is ever called.

use std::error::Error;
use std::path::Path;

use ndarray::{Array2, Array3, ArrayD};

use crate::graph::Network;
use crate::training::{Adam, Dataset, Fit, Loss, Optimizer, Sgd, Tape};
use crate::{Bidirectional, Dense, Float, Gradients, Gru, Layer, Lstm, Model, OutputGradient, Run, SimpleRnn, Stacked};
use crate::{Stream, StreamPool, Window, file, keras, onnx, pytorch};

type Outcome = Result<(), Box<dyn Error>>;

/// For both types of numbers.
#[doc(hidden)]
pub fn instances(path: &Path) -> Outcome {
    of::<f32>(path)?;
    of::<f64>(path)
}

fn of<T: Float>(path: &Path) -> Outcome {
    layers::<T>()?;
    let x = Array3::<T>::zeros((1, 1, 1));
    let file = pytorch::File::open(path)?;
    let boxed = [file.lstm::<T>("")?, file.gru::<T>("")?];
    pools(&*boxed[0], &x)?;
    for mut model in [keras::load::<T>(path)?, onnx::load::<T>(path)?, file::load::<Model<T>>(path)?] {
        let mut tape = Tape::new();
        let outputs: Vec<ArrayD<T>> = model.record(&[(&x).into()], &mut tape)?;
        let mut gradients = Gradients::new(&model);
        let upstream: Vec<_> = outputs.iter().map(|output| &**output).collect();
        model.backward(&mut tape, &upstream, &mut gradients)?;
        Adam::new(0.1).step(&mut model, &gradients)?;
        model.predict_one(&x)?;
        let mut stream = model.stream(1)?;
        stream.step_one(&[])?;
        stream.step(&[(&x).into()])?;
        fit(&mut model, &x)?;
        let again: Model<T> = keras::load(path)?;
        keras::to_bytes(&again)?;
        file::to_bytes(&again)?;
        println!("{again}{:?}", model.into_layer()?);
    }
    Ok(())
}

fn layers<T: Float>() -> Outcome {
    let stack = Stacked::builder()
        .layer(Bidirectional::new(SimpleRnn::<T>::builder(1, 1))?)
        .layer(Lstm::builder(1, 1).return_sequences(true).build()?)
        .layer(Gru::new(1, 1))
        .layer(Dense::new(1, 1));
    let mut stack = stack.build()?;
    let x = Array3::<T>::zeros((1, 1, 1));
    let mut tape = Tape::new();
    let output = stack.run(&x, Run::new().record(&mut tape))?;
    let mut gradients = Gradients::new(&stack);
    stack.backward(&mut tape, OutputGradient::new().last(output.last()), &mut gradients)?;
    Sgd::new(0.1).step(&mut stack, &gradients)?;
    fit(&mut stack, &x)?;
    let bytes = file::to_bytes(&stack)?;
    let boxed: Box<dyn Layer<T>> = file::from_bytes(&bytes)?;
    pools(&*boxed, &x)
}

fn fit<T: Float, N: Network<T>>(network: &mut N, x: &Array3<T>) -> Outcome {
    let y = Array2::<T>::zeros((1, 1));
    let mut fit = Fit::new(Loss::MeanSquaredError, Adam::new(0.1)).checkpoint("");
    fit.run(network, x, &y)?;
    fit.evaluate(network, &Dataset::new(x, &y))?;
    Fit::new(Loss::MeanSquaredError, Sgd::new(0.1)).run(network, x, &y)?;
    Ok(())
}

fn pools<T: Float>(layer: &dyn Layer<T>, x: &Array3<T>) -> Outcome {
    let mut stream = Stream::new(layer, 1)?;
    stream.step_one(&[])?;
    stream.run(x)?;
    let mut pool = StreamPool::<T, &dyn Layer<T>>::new(layer)?;
    let id = pool.insert()?;
    pool.push(id, &[])?;
    pool.step();
    Window::new(layer, 2)?.push(&[])?;
    Ok(())
}
