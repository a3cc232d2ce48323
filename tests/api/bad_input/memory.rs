//! What there is no memory for is an error and not an abort. Each case runs in a process of its own that may have 1.5
//! GB, with an input of up to 64 MiB.
#![cfg(target_os = "linux")]

use std::process::{Command, Output};

use ndarray::prelude::*;
use recurrent::training::{Loss, Tape, TruncatedBptt};
use recurrent::{
    Bidirectional, Dense, Embedding, Error, Gradients, Gru, Layer, Lstm, Masking, Merge, OutputGradient, OutputMut,
    Run, Scratch, SimpleRnn, Stacked, Stream,
};

use super::refusal;

/// The environment variable that names a case to a process of its own.
const CASE: &str = "RECURRENT_MEMORY_CASE";

const STEPS: usize = 1 << 24;

fn x(steps: usize) -> Array3<f32> {
    Array3::from_elem((1, steps, 1), 0.5)
}

fn too_large<T>(result: Result<T, Error>) {
    let error = refusal(result);
    assert!(matches!(error, Error::TensorTooLarge { .. }), "{error:?}");
}

fn stack(units: usize) -> Stacked {
    Stacked::builder().layer(Dense::new(1, units)).layer(SimpleRnn::new(units, 1)).build().unwrap()
}

fn both(units: usize) -> Bidirectional {
    Bidirectional::new(SimpleRnn::<f32>::builder(1, units)).unwrap().merge_mode(Merge::Mul)
}

/// A tape after a refused call is empty.
fn refuses_to_record(layer: &dyn Layer<f32>) {
    let (mut tape, mut gradients, short) = (Tape::new(), Gradients::new(layer), x(3));
    layer.run(&short, Run::new().record(&mut tape)).unwrap();
    too_large(layer.run(&x(STEPS), Run::new().record(&mut tape)));
    let d = Array2::ones((1, layer.output_size()));
    let refused = layer.backward(&mut tape, OutputGradient::new().last(&d), &mut gradients);
    assert_eq!(refused, Err(Error::TapeEmpty));
    layer.run(&short, Run::new().record(&mut tape)).unwrap();
    layer.backward(&mut tape, OutputGradient::new().last(&d), &mut gradients).unwrap();
    assert_eq!(gradients.input().unwrap().dim(), (1, 3, 1));
}

fn record_lstm() {
    refuses_to_record(&Lstm::<f32>::new(1, 512));
}

fn record_stack() {
    refuses_to_record(&stack(4096));
}

fn record_both() {
    refuses_to_record(&both(512));
}

/// 2 GB of a sequence that nobody needs.
fn stack_in_pieces() {
    let long = stack(1024);
    assert!(long.forward(&x(1 << 19)).unwrap().last().iter().all(|y| y.is_finite()));
}

/// Nobody can take these in pieces: a layer that goes backwards needs them all.
fn stack_that_turns() {
    let back = SimpleRnn::builder(4096, 1).go_backwards(true).build().unwrap();
    let stack = Stacked::builder().layer(Dense::<f32>::new(1, 4096)).layer(back).build().unwrap();
    too_large(stack.forward(&x(STEPS)));
    too_large(stack.run_into(&x(STEPS), Run::new(), OutputMut::new(), &mut Scratch::new()));
}

fn results() {
    let gru = Gru::<f32>::builder(1, 64).return_sequences(true).build().unwrap();
    too_large(gru.forward(&x(STEPS)));
    let both = Bidirectional::new(Gru::<f32>::builder(1, 16).return_sequences(true)).unwrap();
    too_large(both.clone().merge_mode(Merge::None).forward(&x(1 << 23)));
    too_large(both.merge_mode(Merge::Sum).forward(&x(STEPS)));
    let mut stream = Stream::new(&gru, 1).unwrap();
    too_large(stream.run(&x(STEPS)));
    too_large(Stream::new(&gru, 1 << 23));
}

/// The backward pass of what could be recorded.
fn way_back() {
    let layer = SimpleRnn::<f32>::builder(1, 1).return_sequences(true).build().unwrap();
    let wide = Stacked::builder().layer(Dense::<f32>::new(1, 60)).layer(Dense::new(60, 1)).build().unwrap();
    let (mut tape, steps) = (Tape::new(), 1 << 21);
    wide.run(&x(steps), Run::new().record(&mut tape)).unwrap();
    let mut gradients = Gradients::new(&wide);
    let (before, d) = (gradients.clone(), Array2::ones((1, 1)));
    too_large(wide.backward(&mut tape, OutputGradient::new().last(&d), &mut gradients));
    assert_eq!(gradients, before);
    assert_eq!(layer.forward(&x(3)).unwrap().sequence().unwrap().dim(), (1, 3, 1));
}

fn companions() {
    let one = Array3::<f32>::ones((1, 1, 3));
    for size in [1 << 30, 1 << 40, isize::MAX as usize / 8] {
        let long = one.broadcast((1, size, 3)).unwrap();
        too_large(Masking::new(0.0).unwrap().forward(&long));
        too_large(Loss::MeanSquaredError.with_gradient(&*long, &long));
        too_large(Dense::<f32>::new(3, 8).forward_rows(&one.index_axis(Axis(0), 0).broadcast((size, 3)).unwrap()));
        let embedding = Embedding::<f32>::new(5, 3);
        let id = Array2::<u8>::zeros((1, 1));
        let ids = id.broadcast((1, size)).unwrap();
        let mut gradients = Gradients::new(&embedding);
        too_large(embedding.forward(&ids));
        too_large(embedding.backward(&ids, &long, &mut gradients));
        assert_eq!(gradients, Gradients::new(&embedding));
    }
    too_large(Masking::new(0.0).unwrap().mask(&one.broadcast((1, 1 << 40, 3)).unwrap()));
    let lstm = Lstm::<f32>::new(3, 4);
    for rows in [1 << 28, 1 << 50, usize::MAX] {
        too_large(TruncatedBptt::new(&lstm, rows));
        too_large(TruncatedBptt::new(&Dense::<f32>::new(3, 4), rows));
        too_large(lstm.try_initial_state(rows));
    }
}

/// What fits a second time: buffers that are there aren't asked for again.
fn twice() {
    let layer = Lstm::<f32>::new(1, 16);
    let (mut tape, steps) = (Tape::new(), 1 << 21);
    for _ in 0..3 {
        layer.run(&x(steps), Run::new().record(&mut tape)).unwrap();
    }
}

const CASES: [(&str, fn()); 9] = [
    ("record_lstm", record_lstm),
    ("record_stack", record_stack),
    ("record_both", record_both),
    ("stack_in_pieces", stack_in_pieces),
    ("stack_that_turns", stack_that_turns),
    ("results", results),
    ("way_back", way_back),
    ("companions", companions),
    ("twice", twice),
];

fn start(case: &str) -> Output {
    let program = std::env::current_exe().expect("this program has a name");
    Command::new("sh")
        .args([
            "-c",
            "ulimit -v 1500000 && exec \"$0\" --exact --nocapture --test-threads=1 bad_input::memory::one_case",
        ])
        .arg(program)
        .env(CASE, case)
        .env("RAYON_NUM_THREADS", "2")
        .output()
        .expect("a shell starts")
}

#[test]
fn one_case() {
    // Nothing, unless a process was started for it.
    let Ok(name) = std::env::var(CASE) else { return };
    let (_, case) = CASES.iter().find(|(case, _)| *case == name).expect("a case");
    case();
    println!("{name} is done");
}

#[test]
fn is_an_error_and_not_an_abort() {
    for (case, _) in CASES {
        let output = start(case);
        let said = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
        assert!(
            output.status.success() && said.contains(&format!("{case} is done")),
            "{case}: {}\n{said}",
            output.status
        );
    }
}
