//! Allocations, counted: none in a step from the first one on, none in `run_into` once its scratch has grown, and in
//! `forward` only the arrays that it returns.

#![allow(unsafe_code)] // a global allocator is unsafe to implement

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;

use ndarray::prelude::*;
use recurrent::training::{Adam, Optimizer, Tape};
use recurrent::{
    Activation, Bidirectional, Cell as RecurrentCell, Dense, Float, Gradients, Gru, Layer, Lstm, Merge, OutputGradient,
    OutputMut, Recurrent, Run, Scratch, SimpleRnn, Stacked, StackedCells, StateLayout, Step, Stream, TimeDistributed,
    WeightVisitor, WeightVisitorMut,
};

/// The system's allocator, with a count for each thread, because tests run on many.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

fn count_one() {
    // A thread that is ending has no count any more.
    let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
}

// SAFETY: everything is handed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count_one();
        // SAFETY: the caller keeps the contract, which is the same.
        unsafe { System.alloc(layout) }
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count_one();
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }
    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count_one();
        // SAFETY: as above.
        unsafe { System.realloc(memory, layout, new_size) }
    }
    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        count_one();
        // SAFETY: as above.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The calls of the allocator (to free memory too) on this thread meanwhile.
fn allocator_calls<R>(work: impl FnOnce() -> R) -> (usize, R) {
    let before = ALLOCATIONS.get();
    let result = work();
    (ALLOCATIONS.get() - before, result)
}

/// That the allocator isn't called.
#[track_caller]
fn free<R>(what: &str, work: impl FnOnce() -> R) -> R {
    let (calls, result) = allocator_calls(work);
    assert_eq!(calls, 0, "calls of the allocator: {what}");
    result
}

#[test]
fn the_counter_counts() {
    assert_eq!(allocator_calls(|| drop(vec![1_u8])).0, 2);
    let mut vec = Vec::with_capacity(1);
    assert_eq!(allocator_calls(|| vec.extend([1_u64, 2, 3])).0, 1);
    assert_eq!(allocator_calls(|| vec![0_u8; 100]).0, 1);
}

/// A user's cell with scratch of its own.
#[derive(Debug, Clone)]
struct Smooth<T> {
    rate: Array1<T>,
}

impl<T: Float> RecurrentCell for Smooth<T> {
    type Elem = T;
    fn input_size(&self) -> usize {
        self.rate.len()
    }
    fn state_layout(&self) -> StateLayout {
        StateLayout::new([("age", 1), ("h", self.rate.len())])
    }
    fn output(&self) -> std::ops::Range<usize> {
        1..1 + self.rate.len()
    }
    fn scratch_len(&self) -> usize {
        self.rate.len()
    }
    fn step(&self, step: Step<'_, T>) {
        step.next[0] = step.prev[0] + T::one();
        for (j, change) in step.scratch.iter_mut().enumerate() {
            *change = self.rate[j] * (step.x[j] - step.prev[1 + j]);
        }
        for (j, &change) in step.scratch.iter().enumerate() {
            step.next[1 + j] = step.prev[1 + j] + change;
        }
    }
    fn visit_weights<'a>(&'a self, visitor: &mut WeightVisitor<'_, 'a, T>) {
        visitor.weight("rate", &self.rate);
    }
    fn visit_weights_mut(&mut self, visitor: &mut WeightVisitorMut<'_, T>) {
        visitor.weight("rate", &mut self.rate);
    }
    fn try_clone(&self) -> Option<Self> {
        Some(self.clone())
    }
}

const INPUT: usize = 5;
const UNITS: usize = 19; // a whole vector and a rest

/// Every kind of layer that can stream, returning everything.
fn streaming<T: Float>() -> Vec<(&'static str, Box<dyn Layer<T>>)> {
    fn over_time<C: RecurrentCell>(cell: C) -> Recurrent<C> {
        Recurrent::from_cell(cell).return_sequences(true).return_state(true)
    }
    let other = Activation::custom("square", |x| x * x);
    let gru = |input, after| Gru::<T>::builder(input, UNITS).reset_after(after);
    let cells = StackedCells::builder()
        .cell(Lstm::<T>::builder(INPUT, UNITS).build_cell().unwrap())
        .cell(Smooth { rate: Array1::from_elem(UNITS, T::from_f64(0.5)) })
        .cell(gru(UNITS, false).build_cell().unwrap());
    let cells = cells.build().unwrap();
    let lstm = || Lstm::<T>::builder(INPUT, UNITS).return_sequences(true);
    let stack = Stacked::builder()
        .layer(lstm().build().unwrap())
        .layer(gru(UNITS, true).return_sequences(true).zero_output_for_mask(true).build().unwrap())
        .layer(TimeDistributed::new(Dense::new(UNITS, 7)))
        .layer(over_time(Smooth { rate: Array1::from_elem(7, T::one()) }))
        .layer(Dense::builder(7, 3).activation(Activation::Softmax).build().unwrap())
        .return_state(true);
    let classifier = Stacked::builder().layer(Lstm::<T>::new(INPUT, UNITS)).layer(Dense::new(UNITS, 2));
    let nested = Stacked::builder().layer(lstm().build().unwrap()).layer(classifier_over(UNITS));
    fn classifier_over<T: Float>(input: usize) -> Stacked<T> {
        let lstm = Lstm::builder(input, 4).return_sequences(true).build().unwrap();
        Stacked::builder().layer(lstm).layer(Dense::new(4, 2)).build().unwrap()
    }
    // Its buffers must not change places from call to call.
    let widening = Stacked::builder()
        .layer(Dense::new(INPUT, 2))
        .layer(Lstm::<T>::builder(2, 50).return_sequences(true).build().unwrap())
        .layer(Dense::new(50, 3));
    vec![
        ("a stack that widens", Box::new(widening.build().unwrap())),
        ("SimpleRnn", Box::new(over_time(SimpleRnn::<T>::builder(INPUT, UNITS).build_cell().unwrap()))),
        ("Lstm", Box::new(lstm().return_state(true).build().unwrap())),
        ("Lstm with dropout", Box::new(lstm().dropout(0.3).recurrent_dropout(0.2).build().unwrap())),
        ("Lstm with softmax", Box::new(lstm().activation(Activation::Softmax).build().unwrap())),
        ("Lstm with sparsemax", Box::new(lstm().activation(Activation::Sparsemax).build().unwrap())),
        ("Lstm with a user's activation", Box::new(lstm().recurrent_activation(other).build().unwrap())),
        ("Gru", Box::new(over_time(gru(INPUT, true).build_cell().unwrap()))),
        ("Gru, reset before", Box::new(over_time(gru(INPUT, false).build_cell().unwrap()))),
        ("a user's cell", Box::new(over_time(Smooth { rate: Array1::from_elem(INPUT, T::from_f64(0.5)) }))),
        ("StackedCells", Box::new(over_time(cells))),
        ("Stacked", Box::new(stack.build().unwrap())),
        ("a stack that keeps the last output only", Box::new(classifier.build().unwrap())),
        ("a stack in a stack", Box::new(nested.build().unwrap())),
        ("Dense", Box::new(Dense::<T>::new(INPUT, UNITS))),
        ("a box in a box", Box::new(Box::new(lstm().build().unwrap()) as Box<dyn Layer<T>>)),
    ]
}

/// Those, and what can't stream.
fn all<T: Float>() -> Vec<(&'static str, Box<dyn Layer<T>>)> {
    let both = |merge| {
        let recipe = Lstm::<T>::builder(INPUT, UNITS).return_sequences(true).return_state(true);
        Bidirectional::new(recipe).unwrap().merge_mode(merge)
    };
    let stack = |both: Bidirectional<T>| {
        let width = both.output_size();
        let then = Gru::builder(width, 4).return_sequences(true).go_backwards(true).build().unwrap();
        Stacked::builder().layer(both).layer(then).return_state(true).build().unwrap()
    };
    let backwards = Lstm::<T>::builder(INPUT, UNITS).return_sequences(true).go_backwards(true).build().unwrap();
    let mut layers = streaming();
    layers.push(("backwards", Box::new(backwards)));
    layers.push(("Bidirectional", Box::new(both(Merge::Concat))));
    layers.push(("Bidirectional, merged", Box::new(both(Merge::Mul))));
    layers.push(("a stack of both directions", Box::new(stack(both(Merge::Ave)))));
    layers
}

fn numbers<T: Float, D: Dimension>(shape: impl ShapeBuilder<Dim = D>) -> Array<T, D> {
    let mut next = 0_u32;
    Array::from_shape_simple_fn(shape, || {
        next = next.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        T::from_f64(f64::from(next) / f64::from(u32::MAX) - 0.5)
    })
}

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

#[test]
fn run_into_allocates_nothing_once_its_scratch_has_grown() {
    fn check<T: Float>() {
        for (name, layer) in all::<T>() {
            for (batch, timesteps) in [(1, 30), (6, 4), (0, 3)] {
                let x = numbers::<T, _>((batch, timesteps, INPUT));
                let turned = numbers::<T, _>((batch, timesteps, INPUT).f());
                let mask = Array2::from_shape_fn((batch, timesteps), |(row, time)| (row + time) % 3 != 0);
                let columns = Array2::from_shape_fn((batch, timesteps).f(), |(row, time)| (row + time) % 3 != 0);
                let lengths: Vec<usize> = (0..batch).map(|row| row % (timesteps + 1)).collect();
                let state = layer.initial_state(batch);
                let outputs = layer.output_size();
                let mut sequence = Array3::zeros((batch, timesteps, outputs));
                let mut sequence_turned = Array3::zeros((batch, timesteps, outputs).f());
                let mut last = Array2::zeros((batch, outputs));
                let mut end = layer.initial_state(batch);
                let (mut scratch, mut seeds) = (Scratch::new(), layer.seeds());
                let sequences = layer.returns_sequences();
                let mut everything = |count: bool| {
                    let mut call = |what: &str, x: &Array3<T>, run: Run<'_, T>, turned: bool| {
                        let out = OutputMut::new().last(&mut last).state(&mut end);
                        let out = match (sequences, turned) {
                            (false, _) => out,
                            (true, false) => out.sequence(&mut sequence),
                            (true, true) => out.sequence(&mut sequence_turned),
                        };
                        let what = format!("{name}, ({batch}, {timesteps}), {what}");
                        let (calls, result) = allocator_calls(|| layer.run_into(x, run, out, &mut scratch));
                        result.unwrap();
                        assert!(!count || calls == 0, "{calls} calls of the allocator: {what}");
                    };
                    call("plain", &x, Run::new(), false);
                    call("mask", &x, Run::new().mask(&mask), false);
                    call("mask and resets", &x, Run::new().mask(&mask).resets(&mask), false);
                    call("lengths", &x, Run::new().lengths(&lengths), false);
                    call("initial state", &x, Run::new().initial_state(&state), false);
                    call("other layouts", &turned, Run::new().mask(&columns).resets(&columns), true);
                    call("training", &x, Run::new().training(&mut seeds), false);
                };
                everything(false);
                everything(true);

                // Once is enough.
                let mut scratch = Scratch::new();
                for calls in [None, Some(0)] {
                    let out = OutputMut::new().last(&mut last).state(&mut end);
                    let counted = allocator_calls(|| layer.run_into(&x, Run::new().mask(&mask), out, &mut scratch));
                    counted.1.unwrap();
                    let name = format!("{name}, ({batch}, {timesteps}), twice with the same mask");
                    assert!(calls.is_none_or(|calls| calls == counted.0), "{name}: {}", counted.0);
                }
            }
        }
    }
    check::<f32>();
    check::<f64>();
}

#[test]
fn forward_allocates_what_it_returns() {
    for (name, layer) in all::<f32>() {
        let x = numbers::<f32, _>((2, 30, INPUT));
        let mask = Array2::from_shape_fn((2, 30), |(row, time)| (row + time) % 3 != 0);
        // The last output, the sequence, the state.
        let arrays = 1 + usize::from(layer.returns_sequences()) + usize::from(layer.returns_state());
        layer.run(&x, Run::new().mask(&mask)).unwrap();
        layer.forward(&x).unwrap();
        let (calls, _output) = allocator_calls(|| layer.forward(&x).unwrap());
        assert_eq!(calls, arrays, "{name}: forward");
        let (calls, _output) = allocator_calls(|| layer.run(&x, Run::new().mask(&mask)).unwrap());
        assert_eq!(calls, arrays, "{name}: with a mask");
        let (calls, _output) = allocator_calls(|| layer.run(&x, Run::new().lengths(&[30, 4])).unwrap());
        assert_eq!(calls, arrays, "{name}: with lengths");
    }
}

#[test]
fn weights_and_updates() {
    let mut lstm = Lstm::<f32>::new(INPUT, UNITS);
    let kernel = numbers::<f32, _>((INPUT, 4 * UNITS)).into_dyn();
    // The names are made to be compared; the weights are packed anew in place.
    let (calls, _) = allocator_calls(|| lstm.set_weights(&[("kernel", kernel.view())]).unwrap());
    assert!(calls < 20, "{calls}");
    free("a clone shares its weights until one is changed", || drop(lstm.clone()));

    let mut net = Stacked::builder()
        .layer(Lstm::<f32>::builder(INPUT, UNITS).return_sequences(true).build().unwrap())
        .layer(Gru::new(UNITS, 4))
        .layer(Dense::new(4, 2))
        .build()
        .unwrap();
    let (x, d_last) = (numbers::<f32, _>((3, 30, INPUT)), numbers::<f32, _>((3, 2)));
    let (mut tape, mut gradients, mut adam) = (Tape::new(), Gradients::new(&net), Adam::new(1e-3));
    let (mut last, mut scratch) = (Array2::zeros((3, 2)), Scratch::new());
    let mut train = || {
        let record = Run::new().record(&mut tape);
        let out = OutputMut::new().last(&mut last);
        let (forward, result) = allocator_calls(|| net.run_into(&x, record, out, &mut scratch));
        result.unwrap();
        gradients.clear();
        let upstream = OutputGradient::new().last(&d_last);
        let (backward, result) = allocator_calls(|| net.backward(&mut tape, upstream, &mut gradients));
        result.unwrap();
        let (update, result) = allocator_calls(|| adam.step(&mut net, &gradients));
        result.unwrap();
        [forward, backward, update]
    };
    train();
    assert_eq!(train(), [0; 3], "calls of the allocator in a step of training: forward, backward, update");
}
