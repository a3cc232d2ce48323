//! Streams: nothing from the first step on.

use std::sync::Arc;

use ndarray::prelude::*;
use recurrent::{Float, Layer, Lstm, OutputMut, Run, Stream};

use super::counter::free;
use super::layers::{INPUT, UNITS, numbers, streaming};

/// Everything a stream offers after `new`, each for the first time when it is counted.
fn stream_is_free<T: Float>(batch: usize) {
    for (name, layer) in streaming::<T>() {
        let x = numbers::<T, _>((batch, INPUT));
        let columns = numbers::<T, _>((batch, INPUT).f());
        let nobody = vec![false; batch];
        let some: Vec<bool> = (0..batch).map(|row| row % 2 == 0).collect();
        let saved = layer.initial_state(batch);
        let mut kept = layer.initial_state(batch);
        let fresh = || Stream::new(&*layer, batch).unwrap();

        // Each kind of call is once the first of its stream.
        let mut stream = fresh();
        free(name, || stream.step(&x).map(|_| ())).unwrap();
        let mut stream = fresh();
        free(name, || stream.step(&columns).map(|_| ())).unwrap();
        let mut stream = fresh();
        free(name, || stream.step_masked(&x, &some).map(|_| ())).unwrap();
        let mut stream = fresh();
        free(name, || stream.step_masked(&columns, &nobody).map(|_| ())).unwrap();
        let mut stream = fresh();
        free(name, || stream.set_state(&saved)).unwrap();

        for _ in 0..3 {
            free(name, || {
                stream.step(&x)?;
                stream.step_masked(&x, &some)?;
                stream.step_masked(&x, &nobody)?;
                kept.copy_from(stream.state())?;
                stream.step(&columns)?;
                stream.set_state(&kept)?;
                if batch > 0 {
                    stream.reset_row(batch - 1)?;
                }
                stream.output();
                stream.step(&x)?;
                stream.reset();
                Ok::<_, recurrent::Error>(())
            })
            .unwrap();
        }
        if batch == 1 {
            let slice = x.as_slice().unwrap();
            let mut stream = fresh();
            free(name, || stream.step_one(slice).map(|_| ())).unwrap();
            free(name, || stream.step_one(slice).map(|_| ())).unwrap();
        }
    }
}

#[test]
fn a_stream_of_one_row_allocates_nothing_from_its_first_step_on() {
    stream_is_free::<f32>(1);
    stream_is_free::<f64>(1);
}

#[test]
fn a_stream_of_a_batch_allocates_nothing_from_its_first_step_on() {
    stream_is_free::<f32>(3);
    stream_is_free::<f64>(13);
    stream_is_free::<f32>(0);
}

#[test]
fn a_stream_over_a_shared_or_boxed_layer_allocates_nothing() {
    let x = [0.5_f32; INPUT];
    let lstm = Lstm::<f32>::new(INPUT, UNITS);
    let mut borrowed = Stream::new(&lstm, 1).unwrap();
    let mut shared = Stream::new(Arc::new(lstm.clone()), 1).unwrap();
    let mut dynamic = Stream::new(Arc::new(lstm.clone()) as Arc<dyn Layer<f32>>, 1).unwrap();
    let mut boxed = Stream::new(Box::new(lstm.clone()) as Box<dyn Layer<f32>>, 1).unwrap();
    free("streams", || {
        borrowed.step_one(&x)?;
        shared.step_one(&x)?;
        dynamic.step_one(&x)?;
        boxed.step_one(&x)?;
        Ok::<_, recurrent::Error>(())
    })
    .unwrap();
    // Also on a thread that has never run anything.
    std::thread::spawn(move || free("moved to a thread", || boxed.step_one(&x).map(|_| ())).unwrap()).join().unwrap();
}

#[test]
fn chunks_of_a_stream_into_arrays_allocate_nothing_after_the_first() {
    for (name, layer) in streaming::<f32>() {
        let (batch, timesteps) = (2, 30);
        let x = numbers::<f32, _>((batch, timesteps, INPUT));
        let mask = Array2::from_shape_fn((batch, timesteps), |(row, time)| (row + time) % 3 != 0);
        let mut sequence = Array3::zeros((batch, timesteps, layer.output_size()));
        let mut last = Array2::zeros((batch, layer.output_size()));
        let mut state = layer.initial_state(batch);
        let mut stream = Stream::new(&*layer, batch).unwrap();
        let mut chunk = |run: Run<'_, f32>| {
            let mut out = OutputMut::new().last(&mut last).state(&mut state);
            if layer.returns_sequences() {
                out = out.sequence(&mut sequence);
            }
            stream.run_into(&x, run, out)
        };
        chunk(Run::new().mask(&mask).resets(&mask)).unwrap();
        chunk(Run::new()).unwrap();
        free(name, || chunk(Run::new())).unwrap();
        free(name, || chunk(Run::new().mask(&mask))).unwrap();
        free(name, || chunk(Run::new().resets(&mask))).unwrap();
        free(name, || chunk(Run::new().lengths(&[timesteps, 7]))).unwrap();
    }
}
