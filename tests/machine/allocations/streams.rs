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
        let mask = Array2::from_shape_fn((batch, timesteps), |(row, time)| !(row + time).is_multiple_of(3));
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

/// Blocks of any length, with room for many steps at a time and without.
#[test]
fn blocks_on_slices_allocate_nothing_whatever_their_length() {
    fn check<T: Float>(batch: usize) {
        for (name, layer) in streaming::<T>() {
            let block = |steps: usize| (numbers::<T, _>(batch * steps * INPUT), batch * steps * layer.output_size());
            for reserved in [0, 1, 30] {
                let mut stream = Stream::new(&*layer, batch).unwrap();
                stream.reserve_steps(reserved).unwrap();
                for steps in [7, 200, 0, 1, 4, 30] {
                    let (input, outputs) = block(steps);
                    let mut output = vec![T::zero(); outputs];
                    let what = format!("{name}, {reserved} steps reserved, a block of {steps}");
                    let input = input.as_slice().unwrap();
                    free(&what, || stream.process(input, &mut output)).unwrap();
                    free(&what, || stream.flush_below(T::from_f64(1e-12)));
                    assert!(free(&what, || stream.state().is_finite()));
                }
            }
        }
    }
    check::<f32>(1);
    check::<f64>(1);
    check::<f32>(3);
    check::<f64>(6);
    check::<f32>(0);
}

/// The first chunk after `reserve_steps`, of each kind, whatever the arrays look like.
#[test]
fn chunks_with_room_allocate_nothing_from_the_first_one_on() {
    fn check<T: Float>(batch: usize) {
        const ROOM: usize = 30;
        for (name, layer) in streaming::<T>() {
            for steps in [ROOM, 5, 1, 0] {
                let all = numbers::<T, _>((batch, steps + 9, INPUT));
                let x = all.slice(s![.., ..steps, ..]).to_owned();
                let columns = numbers::<T, _>((batch, steps, INPUT).f());
                let one = numbers::<T, _>((batch, 1, INPUT));
                let every = |row: usize, time: usize| !(row + time).is_multiple_of(3);
                let mask = Array2::from_shape_fn((batch, steps), |(row, time)| every(row, time));
                let turned = Array2::from_shape_fn((batch, steps).f(), |(row, time)| every(row, time));
                let lengths: Vec<usize> = (0..batch).map(|row| row % (steps + 1)).collect();
                let run = Run::<T>::new;
                let calls = [
                    ("plain", x.view(), run()),
                    ("a slice in time", all.slice(s![.., 3..3 + steps, ..]), run()),
                    ("reversed", x.slice(s![.., ..;-1, ..]), run()),
                    ("columns", columns.view(), run()),
                    ("one step repeated", one.broadcast((batch, steps, INPUT)).unwrap(), run()),
                    ("a mask", x.view(), run().mask(&mask)),
                    ("a mask in columns", all.slice(s![.., 1..1 + steps, ..]), run().mask(&turned).resets(&turned)),
                    ("resets", x.view(), run().resets(&mask)),
                    ("lengths", x.view(), run().lengths(&lengths)),
                ];
                for (call, x, run) in calls {
                    let mut sequence = Array3::zeros((batch, steps, layer.output_size()));
                    let mut last = Array2::zeros((batch, layer.output_size()).f());
                    let mut state = layer.initial_state(batch);
                    let mut stream = Stream::new(&*layer, batch).unwrap();
                    stream.reserve_steps(ROOM).unwrap();
                    let mut out = OutputMut::new().last(&mut last).state(&mut state);
                    if layer.returns_sequences() {
                        out = out.sequence(&mut sequence);
                    }
                    free(&format!("{name}, {batch} rows, {steps} steps, {call}"), || stream.run_into(&x, run, out))
                        .unwrap();
                }
            }
        }
    }
    check::<f32>(1);
    check::<f64>(2);
    check::<f32>(13);
    check::<f32>(0);
}

/// So much work that threads would pay.
#[test]
fn a_chunk_with_room_stays_on_its_thread() {
    let (batch, steps) = (32, 40);
    let lstm = Lstm::<f32>::builder(INPUT, 64).return_sequences(true).build().unwrap();
    let x = numbers::<f32, _>((batch, steps, INPUT));
    let mut last = Array2::zeros((batch, 64));
    let mut stream = Stream::new(&lstm, batch).unwrap();
    stream.reserve_steps(steps).unwrap();
    free("a large chunk", || stream.run_into(&x, Run::new(), OutputMut::new().last(&mut last))).unwrap();
    let mut sequence = vec![0.0; batch * steps * 64];
    free("a large block", || stream.process(x.as_slice().unwrap(), &mut sequence)).unwrap();
}

/// A slice in time of a batch is copied: the first one too finds room, once a chunk of its length has been seen.
#[test]
fn a_chunk_that_is_copied_needs_no_more_room_than_one_that_was_not() {
    let lstm = Lstm::<f32>::new(INPUT, UNITS);
    let all = numbers::<f32, _>((3, 40, INPUT));
    let whole = all.slice(s![.., ..20, ..]).to_owned();
    let mask = Array2::from_elem((3, 20), true);
    let columns = Array2::from_elem((3, 20).f(), true);
    let slice = all.slice(s![.., 7..27, ..]);
    let mut stream = Stream::new(&lstm, 3).unwrap();
    stream.run_into(&whole, Run::new().mask(&mask), OutputMut::new()).unwrap();
    free("a slice in time", || stream.run_into(&slice, Run::new(), OutputMut::new())).unwrap();
    free("a mask in columns", || stream.run_into(&slice, Run::new().mask(&columns), OutputMut::new())).unwrap();
}

/// Every kind of layer gives way to another of its kind, and the old one comes back whole.
#[test]
fn a_layer_is_replaced_without_allocation() {
    fn check<T: Float>(batch: usize) {
        for ((name, layer), (_, other)) in streaming::<T>().into_iter().zip(streaming::<T>()) {
            let x = numbers::<T, _>((batch, INPUT));
            let nobody = vec![false; batch];
            let block = numbers::<T, _>((batch, 30, INPUT));
            let mut output = vec![T::zero(); batch * 30 * layer.output_size()];
            let mut stream = Stream::new(layer, batch).unwrap();
            stream.reserve_steps(30).unwrap();
            stream.step(&x).unwrap();
            let mut spare = Some(other);
            for _ in 0..2 {
                let old = free(name, || stream.replace_layer(spare.take().unwrap())).unwrap();
                free(name, || {
                    stream.step(&x)?;
                    stream.step_masked(&x, &nobody)?;
                    stream.process(block.as_slice().unwrap(), &mut output)?;
                    stream.run_into(&block, Run::new(), OutputMut::new())?;
                    stream.reset();
                    Ok::<_, recurrent::Error>(())
                })
                .unwrap();
                spare = Some(old);
            }
        }
    }
    check::<f32>(1);
    check::<f64>(3);
    let (first, second) = (Lstm::<f32>::new(INPUT, UNITS), Lstm::<f32>::new(INPUT, UNITS));
    let mut borrowed = Stream::new(&first, 1).unwrap();
    assert!(std::ptr::eq(free("borrowed", || borrowed.replace_layer(&second)).unwrap(), &first));
    let (first, second) = (Arc::new(first.clone()), Arc::new(second.clone()));
    let mut shared = Stream::new(Arc::clone(&first), 1).unwrap();
    let old = free("shared", || shared.replace_layer(second)).unwrap();
    assert!(Arc::ptr_eq(&old, &first));
}
