//! The laws compare calls that give the same bits; here those calls are seen to take different ways through the
//! kernels.
//!
//! Counted in builds with debug assertions, as tests are.

use ndarray::prelude::*;
use recurrent::paths::{Paths, take_paths};
use recurrent::{Activation, Gru, Layer, Lstm, Run, SimpleRnn, Stream};

/// So many features that the input of a single row is projected ahead, and so few that it isn't.
const WIDE: usize = 220;
const NARROW: usize = 5;

fn layers(input: usize) -> Vec<Box<dyn Layer<f32>>> {
    let units = 19;
    let gru =
        |after: bool| Gru::<f32>::builder(input, units).reset_after(after).return_sequences(true).build().unwrap();
    vec![
        Box::new(SimpleRnn::<f32>::builder(input, units).return_sequences(true).build().unwrap()),
        Box::new(Lstm::<f32>::builder(input, units).return_sequences(true).build().unwrap()),
        Box::new(gru(true)),
        Box::new(gru(false)),
        Box::new(
            Lstm::<f32>::builder(input, units).activation(Activation::Softsign).return_sequences(true).build().unwrap(),
        ),
    ]
}

fn input(batch: usize, timesteps: usize, features: usize) -> Array3<f32> {
    Array3::from_shape_fn((batch, timesteps, features), |(b, t, f)| ((b * 31 + t * 7 + f * 3) as f32 * 0.37).sin())
}

#[test]
fn a_run_projects_its_input_ahead_and_a_stream_does_not() {
    let x = input(1, 30, WIDE);
    for layer in layers(WIDE) {
        take_paths();
        let whole = layer.forward(&x).unwrap();
        assert_eq!(take_paths(), Paths { single_rows: 30, blocks: 0, projected: 30, projections: 2 }, "{layer}");
        let mut stream = Stream::new(&*layer, 1).unwrap();
        take_paths();
        for (t, step) in x.axis_iter(Axis(1)).enumerate() {
            let output = stream.step(&step).unwrap().to_owned();
            assert_eq!(output, whole.sequence().unwrap().index_axis(Axis(1), t), "{layer}, step {t}");
        }
        assert_eq!(take_paths(), Paths { single_rows: 30, blocks: 0, projected: 0, projections: 0 }, "{layer}");
    }
}

#[test]
fn one_row_of_a_small_layer_is_not_projected_ahead() {
    let x = input(2, 30, NARROW);
    for layer in layers(NARROW) {
        take_paths();
        let two = layer.forward(&x).unwrap();
        assert_eq!(take_paths().projected, 30, "{layer}");
        let alone = layer.forward(&x.slice(s![..1, .., ..])).unwrap();
        assert_eq!(take_paths(), Paths { single_rows: 30, blocks: 0, projected: 0, projections: 0 }, "{layer}");
        assert_eq!(alone.last().row(0), two.last().row(0), "{layer}");
    }
}

#[test]
fn a_batch_goes_in_blocks_and_its_rows_one_by_one() {
    let x = input(13, 7, WIDE);
    for layer in layers(WIDE) {
        take_paths();
        let batch = layer.forward(&x).unwrap();
        assert_eq!(take_paths(), Paths { single_rows: 0, blocks: 7, projected: 0, projections: 0 }, "{layer}");
        for row in 0..13 {
            let alone = layer.forward(&x.slice(s![row..=row, .., ..])).unwrap();
            assert_eq!(alone.last().row(0), batch.last().row(row), "{layer}, row {row}");
        }
        let alone = take_paths();
        assert_eq!((alone.single_rows, alone.blocks, alone.projected), (7 * 13, 0, 7 * 13), "{layer}");
    }
}

#[test]
fn a_masked_row_is_not_computed() {
    let x = input(2, 6, NARROW);
    for layer in layers(NARROW) {
        take_paths();
        layer.run(&x, Run::new().lengths(&[6, 2])).unwrap();
        let paths = take_paths();
        assert_eq!((paths.blocks, paths.single_rows), (2, 4), "{layer}");
        layer.run(&x, Run::new().lengths(&[0, 0])).unwrap();
        let paths = take_paths();
        assert_eq!((paths.blocks, paths.single_rows), (0, 0), "{layer}");
    }
}
