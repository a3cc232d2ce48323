//! A step of a stream in real time. Under RealtimeSanitizer (`--cfg rtsan`, see `.ci/run`) the process ends at the first
//! allocation, lock or system call in it, from the first step on; without, this only shows that everything runs.

#![cfg_attr(rtsan, feature(sanitize))]

use ndarray::prelude::*;
use recurrent::{
    Activation, Dense, Gru, Layer, Lstm, Recurrent, Result, SimpleRnn, Stacked, StackedCells, State, Stream,
};

type AnyStream<'l> = Stream<f32, &'l dyn Layer<f32>>;

#[cfg_attr(rtsan, sanitize(realtime = "nonblocking"))]
fn step(stream: &mut AnyStream<'_>, x: &ArrayRef2<f32>, live: &[bool]) -> Result<()> {
    stream.step(x)?;
    stream.step_masked(x, live)?;
    Ok(())
}

#[cfg_attr(rtsan, sanitize(realtime = "nonblocking"))]
fn step_one(stream: &mut AnyStream<'_>, x: &[f32]) -> Result<f32> {
    Ok(stream.step_one(x)?[0])
}

#[cfg_attr(rtsan, sanitize(realtime = "nonblocking"))]
fn save_restore_reset(stream: &mut AnyStream<'_>, saved: &mut State<f32>) -> Result<()> {
    saved.copy_from(stream.state())?;
    stream.reset_row(0)?;
    stream.reset();
    stream.set_state(saved)
}

fn layers() -> Result<Vec<Box<dyn Layer<f32>>>> {
    let cells = StackedCells::builder()
        .cell(Lstm::builder(3, 5).build_cell()?)
        .cell(Gru::builder(5, 4).build_cell()?)
        .build()?;
    let stack = Stacked::builder()
        .layer(Lstm::builder(3, 8).return_sequences(true).build()?)
        .layer(Gru::builder(8, 5).reset_after(false).build()?)
        .layer(Dense::builder(5, 4).activation(Activation::Softmax).build()?);
    Ok(vec![
        Box::new(SimpleRnn::builder(3, 17).activation(Activation::Relu).build()?),
        Box::new(Lstm::builder(3, 33).build()?),
        Box::new(Lstm::builder(3, 4).activation(Activation::Softmax).build()?),
        Box::new(Gru::builder(3, 16).build()?),
        Box::new(Gru::builder(3, 7).reset_after(false).recurrent_activation(Activation::HardSigmoid).build()?),
        Box::new(Recurrent::from_cell(cells)),
        Box::new(stack.build()?),
    ])
}

#[test]
fn a_step_is_real_time_safe() -> Result<()> {
    for layer in layers()? {
        for batch in [1, 2, 5] {
            let mut stream = Stream::new(&*layer, batch)?;
            let x = Array2::from_shape_fn((batch, 3), |(row, feature)| (row + 2 * feature) as f32 * 0.1);
            let turned = Array2::from_shape_fn((3, batch), |(feature, row)| x[[row, feature]]);
            let live: Vec<bool> = (0..batch).map(|row| row % 2 == 1).collect();
            let mut saved = layer.initial_state(batch);
            for _ in 0..3 {
                step(&mut stream, &x, &live)?;
                step(&mut stream, &turned.t(), &live)?; // not in row order
                save_restore_reset(&mut stream, &mut saved)?;
            }
            if batch == 1 {
                step_one(&mut stream, &[0.1, 0.2, 0.3])?;
            }
        }
    }
    Ok(())
}
