//! Real-time safety: a step of a stream calls nothing that may block. It allocates nothing, takes no lock and makes no
//! system call.
//!
//! RealtimeSanitizer checks it at run time, inside functions that are marked `nonblocking`; without it these tests only
//! run the steps. With it:
//!
//! ```sh
//! RUSTC_BOOTSTRAP=1 RUSTFLAGS="-Zsanitizer=realtime --cfg rtsan" CARGO_TARGET_DIR=target/rtsan \
//!     cargo test --test realtime --target x86_64-unknown-linux-gnu
//! ```

#![cfg_attr(rtsan, feature(sanitize))]

use ndarray::prelude::*;
use recurrent::{
    Activation, Dense, Float, Gru, Layer, LiveStream, Lstm, OutputMut, Recurrent, ReplaceError, Result, Run, Scratch,
    SimpleRnn, Stacked, StackedCells, State, Stream, StreamId, StreamPool, Successor, TimeDistributed, Window,
};

const INPUT: usize = 5;
const UNITS: usize = 19;

/// All that a stream does between two blocks of sound.
#[cfg_attr(rtsan, sanitize(realtime = "nonblocking"))]
fn block<T: Float>(
    stream: &mut Stream<T, &dyn Layer<T>>,
    x: &Array2<T>,
    turned: &Array2<T>,
    live: &[bool],
    kept: &mut State<T>,
) -> Result<()> {
    stream.step(x)?;
    stream.step(turned)?;
    stream.step_masked(x, live)?;
    kept.copy_from(stream.state())?;
    stream.step_masked(turned, live)?;
    stream.set_state(kept)?;
    stream.reset_row(live.len() - 1)?;
    stream.step(x)?;
    stream.reset();
    Ok(())
}

/// One row, by slices.
#[cfg_attr(rtsan, sanitize(realtime = "nonblocking"))]
fn sample<T: Float>(stream: &mut Stream<T, &dyn Layer<T>>, x: &[T]) -> Result<T> {
    Ok(stream.step_one(x)?[0])
}

/// What an audio callback does with a stream that has had `reserve_steps`: a block, new weights, chunks with masks.
#[cfg_attr(rtsan, sanitize(realtime = "nonblocking"))]
fn callback<T: Float>(
    stream: &mut Stream<T, Box<dyn Layer<T>>>,
    x: &ArrayView3<'_, T>,
    mask: &Array2<bool>,
    (input, output): (&[T], &mut [T]),
    new: Box<dyn Layer<T>>,
) -> Result<Box<dyn Layer<T>>> {
    stream.process(input, output)?;
    let old = stream.replace_layer(new).map_err(ReplaceError::into_error)?;
    stream.run_into(x, Run::new().mask(mask).resets(mask), OutputMut::new())?;
    stream.process(input, output)?;
    stream.flush_below(T::from_f64(1e-12));
    if !stream.state().is_finite() {
        stream.reset();
    }
    Ok(old)
}

/// A chunk of a size that the stream has seen.
#[cfg_attr(rtsan, sanitize(realtime = "nonblocking"))]
fn chunk<T: Float>(
    stream: &mut Stream<T, &dyn Layer<T>>,
    x: &Array3<T>,
    run: Run<'_, T>,
    last: &mut Array2<T>,
) -> Result<()> {
    stream.run_into(x, run, OutputMut::new().last(last))
}

/// A whole call with scratch that has grown.
#[cfg_attr(rtsan, sanitize(realtime = "nonblocking"))]
fn whole<T: Float>(
    layer: &dyn Layer<T>,
    x: &Array3<T>,
    run: Run<'_, T>,
    last: &mut Array2<T>,
    scratch: &mut Scratch<T>,
) -> Result<()> {
    layer.run_into(x, run, OutputMut::new().last(last), scratch)
}

/// What a server does between two of its steps, with a pool of a fixed capacity.
#[cfg_attr(rtsan, sanitize(realtime = "nonblocking"))]
fn serve<T: Float>(
    pool: &mut StreamPool<T, Box<dyn Layer<T>>>,
    ids: &mut [StreamId],
    x: &[T],
    kept: &mut State<T>,
) -> Result<()> {
    for id in ids.iter_mut().step_by(2) {
        pool.remove_into(*id, kept)?;
        *id = pool.insert_with(kept)?;
        pool.push(*id, x)?;
    }
    pool.step();
    for &id in ids.iter().step_by(2) {
        pool.output(id)?;
    }
    pool.set_state(ids[1], kept)?;
    pool.reset(ids[0])
}

type BoxedStream<T> = Stream<T, Box<dyn Layer<T>>>;

/// A window, and another model while it is heard.
#[cfg_attr(rtsan, sanitize(realtime = "nonblocking"))]
fn exchanged<T: Float>(
    window: &mut Window<T, &dyn Layer<T>>,
    live: &mut LiveStream<T, Box<dyn Layer<T>>>,
    successor: Successor<T, Box<dyn Layer<T>>>,
    (input, output): (&[T], &mut [T]),
) -> Result<Option<BoxedStream<T>>> {
    for x in input.chunks_exact(INPUT) {
        window.push(x)?;
    }
    live.swap(successor).map_err(ReplaceError::into_error)?;
    live.process(input, output)?;
    Ok(live.take_old())
}

/// Every kind of layer that can stream.
fn layers<T: Float>() -> Vec<Box<dyn Layer<T>>> {
    let lstm = |input| Lstm::<T>::builder(input, UNITS).return_sequences(true);
    let gru = |after| Gru::<T>::builder(INPUT, UNITS).reset_after(after);
    let cells = StackedCells::builder().cell(Lstm::builder(INPUT, UNITS).build_cell().unwrap());
    let cells = cells.cell(Gru::builder(UNITS, 7).build_cell().unwrap()).build().unwrap();
    let stack = Stacked::builder()
        .layer(lstm(INPUT).build().unwrap())
        .layer(TimeDistributed::new(Dense::new(UNITS, 40)))
        .layer(lstm(40).zero_output_for_mask(true).build().unwrap())
        .layer(Dense::builder(UNITS, 3).activation(Activation::Softmax).build().unwrap());
    let with = |activation: Activation| Box::new(lstm(INPUT).activation(activation).build().unwrap());
    let mut layers: Vec<Box<dyn Layer<T>>> = vec![
        Box::new(SimpleRnn::<T>::new(INPUT, UNITS)),
        Box::new(lstm(INPUT).build().unwrap()),
        Box::new(gru(true).build().unwrap()),
        Box::new(gru(false).build().unwrap()),
        Box::new(lstm(INPUT).dropout(0.3).recurrent_dropout(0.2).build().unwrap()),
        Box::new(Recurrent::from_cell(cells)),
        Box::new(stack.build().unwrap()),
        Box::new(Dense::<T>::new(INPUT, UNITS)),
    ];
    for name in ["relu", "hard_sigmoid", "gelu", "softplus", "mish", "softmax", "log_softmax", "sparsemax", "selu"] {
        layers.push(with(name.parse().unwrap()));
    }
    layers
}

fn steps<T: Float>() {
    let x = Array2::from_shape_fn((3, INPUT), |(i, j)| T::from_f64((i + 2 * j) as f64 / 10.0 - 0.4));
    let turned = x.t().as_standard_layout().into_owned().reversed_axes();
    for layer in &layers::<T>() {
        let mut kept = layer.initial_state(3);
        let mut stream = Stream::new(&**layer, 3).unwrap();
        for live in [[true, false, true], [false; 3], [true; 3]] {
            block(&mut stream, &x, &turned, &live, &mut kept).unwrap();
        }
        let mut stream = Stream::new(&**layer, 1).unwrap();
        for row in x.outer_iter() {
            sample(&mut stream, &row.to_vec()).unwrap();
        }
    }
}

#[test]
fn steps_block_on_nothing() {
    steps::<f32>();
    steps::<f64>();
}

#[test]
fn callbacks_block_on_nothing_from_the_first_one_on() {
    fn check<T: Float>(batch: usize) {
        for (layer, new) in layers::<T>().into_iter().zip(layers::<T>()) {
            let all =
                Array3::from_shape_fn((batch, 50, INPUT), |(i, j, k)| T::from_f64((i + j + k) as f64 / 30.0 - 0.5));
            let mask = Array2::from_shape_fn((batch, 30), |(row, time)| (row + time) % 3 != 0);
            let mut output = vec![T::zero(); batch * 50 * layer.output_size()];
            let mut stream = Stream::new(layer, batch).unwrap();
            stream.reserve_steps(30).unwrap();
            let block = (all.as_slice().unwrap(), &mut output[..]);
            drop(callback(&mut stream, &all.slice(s![.., 9..39, ..]), &mask, block, new).unwrap());
        }
    }
    check::<f32>(1);
    check::<f64>(3);
}

#[test]
fn chunks_and_calls_block_on_nothing_once_they_have_run() {
    for layer in &layers::<f32>() {
        let x = Array3::from_shape_fn((2, 30, INPUT), |(i, j, k)| (i + j + k) as f32 / 20.0 - 0.5);
        let mask = Array2::from_shape_fn((2, 30), |(row, time)| (row + time) % 3 != 0);
        let mut last = Array2::zeros((2, layer.output_size()));
        let run = || Run::new().mask(&mask).resets(&mask);
        let mut stream = Stream::new(&**layer, 2).unwrap();
        stream.run_into(&x, run(), OutputMut::new()).unwrap();
        stream.run_into(&x, Run::new(), OutputMut::new()).unwrap();
        chunk(&mut stream, &x, run(), &mut last).unwrap();
        chunk(&mut stream, &x, Run::new(), &mut last).unwrap();
        let mut scratch = Scratch::new();
        layer.run_into(&x, run(), OutputMut::new(), &mut scratch).unwrap();
        layer.run_into(&x, Run::new(), OutputMut::new(), &mut scratch).unwrap();
        whole(&**layer, &x, run(), &mut last, &mut scratch).unwrap();
        whole(&**layer, &x, Run::new(), &mut last, &mut scratch).unwrap();
    }
}

#[test]
fn pools_windows_and_swaps_block_on_nothing() {
    for (layer, new) in layers::<f32>().into_iter().zip(layers::<f32>()) {
        let x: Vec<f32> = (0..20 * INPUT).map(|i| (i % 13) as f32 / 13.0 - 0.4).collect();
        let mut output = vec![0.0; 20 * layer.output_size()];
        let mut pool = StreamPool::with_capacity(layer.clone(), 150).unwrap();
        let mut ids: Vec<_> = (0..150).map(|_| pool.insert().unwrap()).collect();
        let mut kept = layer.initial_state(1);
        serve(&mut pool, &mut ids, &x[..INPUT], &mut kept).unwrap();
        serve(&mut pool, &mut ids[..2], &x[INPUT..2 * INPUT], &mut kept).unwrap();
        let inner = layer.clone();
        let mut window = Window::new(&*inner, 7).unwrap();
        let mut live = LiveStream::new(Stream::new(layer, 1).unwrap());
        let successor = Successor::prepare(new, 1).unwrap().crossfade(9);
        assert!(exchanged(&mut window, &mut live, successor, (&x, &mut output)).unwrap().is_some());
    }
}

/// Checks that the sanitizer is there and sees what it must: the test runs itself once more, with a planted fault.
#[test]
#[cfg(rtsan)]
fn planted_faults_are_caught() {
    use std::process::Command;

    #[sanitize(realtime = "nonblocking")]
    fn allocates() -> Vec<u8> {
        std::hint::black_box(vec![1; 1000])
    }
    #[sanitize(realtime = "nonblocking")]
    fn opens_a_file() -> bool {
        std::fs::File::open("/dev/null").is_ok()
    }
    #[sanitize(realtime = "nonblocking")]
    fn first_chunk(stream: &mut Stream<f32, &Lstm>, x: &Array3<f32>) {
        stream.run(x).unwrap();
    }

    const FAULT: &str = "RECURRENT_PLANTED_FAULT";
    match std::env::var(FAULT).as_deref() {
        Ok("allocation") => drop(allocates()),
        Ok("file") => assert!(opens_a_file()),
        Ok("chunk") => {
            let lstm = Lstm::new(INPUT, UNITS);
            first_chunk(&mut Stream::new(&lstm, 1).unwrap(), &Array3::ones((1, 9, INPUT)));
        }
        _ => {
            for fault in ["allocation", "file", "chunk"] {
                let test = std::env::current_exe().unwrap();
                let run = Command::new(test).args(["--exact", "planted_faults_are_caught"]).env(FAULT, fault).output();
                let run = run.unwrap();
                let report = String::from_utf8_lossy(&run.stderr);
                assert!(!run.status.success() && report.contains("RealtimeSanitizer"), "{fault}: {report}");
            }
        }
    }
}
