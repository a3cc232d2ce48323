//! Sizes that no machine has memory for are errors, not aborts.

use ndarray::prelude::*;
use recurrent::training::Tape;
use recurrent::{
    Bidirectional, Dense, Embedding, Error, Gru, Initializer, Layer, Lstm, Model, OutputMut, Run, Scratch, SimpleRnn,
    Stacked, Stream, model::InputElement,
};

use super::refusal;

#[test]
fn weights() {
    let overflow = |what, rows, units, gates| Error::SizeOverflow { what, rows, units, gates };
    const MAX: usize = usize::MAX;
    assert_eq!(refusal(Lstm::<f32>::builder(3, MAX).build()), overflow("kernel", 3, MAX, 4));
    assert_eq!(refusal(Gru::<f64>::builder(MAX, 3).build()), overflow("kernel", MAX, 3, 3));
    assert_eq!(refusal(Dense::<f64>::builder(MAX, 3).build()), overflow("kernel", MAX, 3, 1));
    assert_eq!(refusal(Embedding::<f32>::builder(MAX, 3).build()), overflow("embeddings", MAX, 3, 1));
    assert_eq!(refusal(Bidirectional::new(Lstm::<f32>::builder(MAX, 3))), overflow("kernel", MAX, 3, 4));
    // The recurrent kernel alone.
    let units = 1 << 31;
    assert_eq!(refusal(SimpleRnn::<f64>::builder(1, units).build()), overflow("recurrent_kernel", units, units, 1));
    // All sizes around the limits, in one of the errors there are.
    for bits in 20..64 {
        for size in [(1 << bits) - 1, 1 << bits, (1 << bits) + 1] {
            for (input_size, units) in [(size, size), (size, 1 << 20), (1 << 20, size)] {
                for error in [
                    refusal(SimpleRnn::<f32>::builder(input_size, units).build()),
                    refusal(Lstm::<f64>::builder(input_size, units).build()),
                    refusal(Gru::<f32>::builder(input_size, units).reset_after(false).build()),
                ] {
                    let errors = matches!(error, Error::SizeOverflow { .. } | Error::OutOfMemory { .. });
                    assert!(errors, "({input_size}, {units}): {error:?}");
                }
            }
        }
    }
    match refusal(Gru::<f32>::builder(1 << 40, 3).build()) {
        Error::OutOfMemory { bytes } => assert!(bytes >= (1 << 40) * 9 * 4),
        other => panic!("{other:?}"),
    }
}

#[test]
fn tensors() {
    for size in [1 << 40, 1 << 61, usize::MAX] {
        for initializer in [Initializer::Zeros, Initializer::orthogonal(), Initializer::GlorotNormal { seed: Some(1) }]
        {
            for shape in [vec![size, 3], vec![3, size], vec![size, size], vec![2, size, 3]] {
                let error = refusal(initializer.initialize::<f32>(&shape));
                assert_eq!(error, Error::TensorTooLarge { shape });
            }
        }
    }
}

#[test]
fn batches() {
    let lstm = Lstm::<f32>::builder(3, 4).return_sequences(true).return_state(true).build().unwrap();
    let stack = Stacked::builder().layer(lstm.clone()).layer(Dense::new(4, 2)).build().unwrap();
    for rows in [1 << 40, isize::MAX as usize / 8, usize::MAX] {
        for layer in [&lstm as &dyn Layer<f32>, &stack] {
            let error = refusal(Stream::new(layer, rows));
            assert!(matches!(&error, Error::TensorTooLarge { shape } if shape[0] == rows), "{error:?}");
        }
    }
    // A view that repeats one step costs nothing, but its results would.
    let one = Array3::<f32>::ones((1, 1, 3));
    let mut stream = Stream::new(&lstm, 1).unwrap();
    for size in [1 << 40, isize::MAX as usize / 8] {
        let (wide, long) = (one.broadcast((size, 1, 3)).unwrap(), one.broadcast((1, size, 3)).unwrap());
        let too_large = |shape: [usize; 3]| Error::TensorTooLarge { shape: shape.to_vec() };
        assert_eq!(refusal(lstm.forward(&wide)), too_large([size, 1, 4]));
        assert_eq!(refusal(lstm.forward(&long)), too_large([1, size, 4]));
        assert_eq!(refusal(stack.forward(&long)), too_large([1, size, 2]));
        let nothing = lstm.run_into(&wide, Run::new(), OutputMut::new(), &mut Scratch::new());
        assert_eq!(refusal(nothing), too_large([size, 1, 4]));
        assert_eq!(refusal(stream.run(&wide)), Error::StateBatch { expected: size, given: 1 });
        assert_eq!(refusal(stream.run(&long)), too_large([1, size, 4]));
        // A wrong shape is said first.
        let mut last = Array2::zeros((1, 4));
        let out = OutputMut::new().last(&mut last);
        let error = refusal(lstm.run_into(&wide, Run::new(), out, &mut Scratch::new()));
        assert_eq!(error, Error::OutputShape { what: "last", expected: vec![size, 4], given: vec![1, 4] });

        let ids = Array2::<u8>::zeros((1, 1));
        let ids = ids.broadcast((size, 1)).unwrap();
        let embedding = Embedding::<f32>::new(5, 8);
        assert_eq!(refusal(embedding.forward(&ids)), too_large([size, 1, 8]));
        let rows = Array2::<f32>::ones((1, 3));
        let rows = rows.broadcast((size, 3)).unwrap();
        let error = refusal(Dense::<f32>::new(3, 8).forward_rows(&rows));
        assert_eq!(error, Error::TensorTooLarge { shape: vec![size, 8] });
    }
}

/// Inputs of models that repeat their elements: floats, flags and integers of each type, whole and step by step.
#[test]
fn inputs_of_models() {
    let mut build = Model::<f32>::builder("ids");
    let ids = build.input_of_ids("ids", [None]).unwrap();
    let vectors = build.call("table", Embedding::<f32>::new(5, 3), &[ids]).unwrap();
    let outputs = build.call("lstm", Lstm::<f32>::new(3, 4), &vectors).unwrap();
    let model = build.build(&outputs).unwrap();
    fn check<A: InputElement<f32> + Clone + Default>(model: &Model<f32>) {
        let one = Array2::<A>::default((1, 1));
        for size in [1 << 40, isize::MAX as usize / 8] {
            for shape in [(1, size), (size, 1)] {
                let view = one.broadcast(shape).unwrap();
                let too_large = Error::TensorTooLarge { shape: vec![shape.0, shape.1] };
                assert_eq!(refusal(model.predict(&[(&view).into()])), too_large);
                assert_eq!(refusal(model.record(&[view.view().into()], &mut Tape::new())), too_large);
                assert_eq!(refusal(model.predict_one(view)), too_large);
            }
            // A step is read in place: there is nothing to be copied.
            let mut stream = model.stream(1).unwrap();
            let view = one.broadcast((1, size)).unwrap();
            assert!(matches!(refusal(stream.step(&[(&view).into()])), Error::ModelInput { .. }));
        }
    }
    check::<f32>(&model);
    check::<bool>(&model);
    check::<i8>(&model);
    check::<i16>(&model);
    check::<i32>(&model);
    check::<i64>(&model);
    check::<isize>(&model);
    check::<u8>(&model);
    check::<u16>(&model);
    check::<u32>(&model);
    check::<u64>(&model);
    check::<usize>(&model);
}

#[test]
fn layouts() {
    let layout = recurrent::StateLayout::new([("h", usize::MAX), ("c", 2)]);
    assert_eq!(layout.width(), usize::MAX);
    assert_eq!(layout.columns("h"), Some(0..usize::MAX));
    assert!(layout.columns("c").is_some());
}
