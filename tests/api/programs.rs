//! The programs that fix how the crate reads: small mains, word for word what a user would write, with what they show
//! asserted.

use ndarray::prelude::*;

type Outcome = Result<(), Box<dyn std::error::Error>>;

#[test]
fn hello() -> Outcome {
    use recurrent::{Layer, Lstm, SimpleRnn};
    let x = Array3::<f32>::ones((1, 4, 3)); // (batch, timesteps, features)
    let output = SimpleRnn::new(3, 4).forward(&x)?; // f32, because x is
    println!("{}", output.last()); // (batch, units)
    assert_eq!(output.last().dim(), (1, 4));
    let backwards = Lstm::new(3, 4).forward(&x.slice(s![.., ..;-1, ..]))?;
    assert!(backwards.sequence().is_err());
    Ok(())
}

#[test]
fn the_question() -> Outcome {
    use recurrent::{Activation, Initializer, Layer, SimpleRnn};
    let mut printed = Vec::new();
    for recurrent_initializer in [Initializer::Zeros, Initializer::GlorotNormal { seed: Some(0) }] {
        let rnn = SimpleRnn::<f32>::builder(1, 1)
            .kernel_initializer(Initializer::Ones)
            .recurrent_initializer(recurrent_initializer)
            .activation(Activation::Linear)
            .return_sequences(true)
            .build()?;
        printed.push(rnn.forward(&Array3::ones((1, 4, 1)))?.into_sequence()?);
    }
    assert_eq!(printed[0], Array3::<f32>::ones((1, 4, 1)));
    approx::assert_abs_diff_eq!(
        printed[1],
        array![[[1.0_f32], [-0.9292685], [2.7928085], [-4.3880773]]],
        epsilon = 1e-6
    );
    Ok(())
}

#[test]
fn state_in_and_out() -> Outcome {
    use recurrent::{Layer, Lstm, Run};
    let lstm = Lstm::<f64>::builder(3, 4).return_sequences(true).return_state(true).build()?;
    let x = Array3::<f64>::ones((2, 10, 3));
    let first = lstm.forward(&x.slice(s![.., ..6, ..]))?;
    let second = lstm.run(&x.slice(s![.., 6.., ..]), Run::new().initial_state(first.state()?))?;
    assert_eq!(second.state()?, lstm.forward(&x)?.state()?); // the same bits
    let mut state = lstm.initial_state(2); // zeros for two rows
    state.set("c", &array![[0.1, 0.2, 0.3, 0.4], [0.5, 0.6, 0.7, 0.8]])?;
    let c = lstm.run(&x, Run::new().initial_state(&state))?.into_state()?;
    assert_eq!(c.get("c")?.dim(), (2, 4));
    Ok(())
}

#[test]
fn ragged_rows_masks_and_episodes() -> Outcome {
    use recurrent::{Gru, Layer, Run};
    let gru = Gru::<f32>::builder(3, 4).return_sequences(true).build()?;
    let x = Array3::<f32>::ones((3, 10, 3));
    let ragged = gru.run(&x, Run::new().lengths(&[10, 4, 7]))?; // costs 21 steps, not 30
    let mask = Array2::from_shape_fn((3, 10), |(row, t)| t < [10, 4, 7][row]);
    assert_eq!(ragged, gru.run(&x, Run::new().mask(&mask))?);
    let resets = Array2::from_shape_fn((3, 10), |at| at == (1, 5)); // row 1 starts again at step 5
    let last = gru.run(&x, Run::new().resets(&resets))?.into_last();
    let five = gru.forward(&x.slice(s![..1, ..5, ..]))?.into_last();
    assert_eq!(last.row(1), five.row(0));
    assert_ne!(last.row(0), last.row(1));
    Ok(())
}

#[test]
fn both_directions_and_a_stack() -> Outcome {
    use recurrent::{Bidirectional, Dense, Layer, Lstm, Merge, Stacked};
    let tagger = Stacked::builder()
        .layer(Bidirectional::new(Lstm::builder(3, 8).return_sequences(true))?.merge_mode(Merge::Concat))
        .layer(Lstm::builder(16, 8).return_sequences(true).build()?)
        .layer(Dense::new(8, 5))
        .build()?;
    assert_eq!(tagger.forward(&Array3::<f32>::ones((2, 7, 3)))?.sequence()?.dim(), (2, 7, 5));
    let state = tagger.initial_state(2);
    assert_eq!(
        state.names().collect::<Vec<_>>(),
        ["0/forward/h", "0/forward/c", "0/backward/h", "0/backward/c", "1/h", "1/c"]
    );
    Ok(())
}

#[test]
fn a_stream() -> Outcome {
    use recurrent::{Layer, Lstm, Stream};
    use std::sync::Arc;
    let lstm: Arc<dyn Layer<f32>> = Arc::new(Lstm::<f32>::new(8, 16));
    let mut stream = Stream::new(Arc::clone(&lstm), 1)?; // or Stream::new(&*lstm, 1)? for a borrowed one
    for sample in [[0.0; 8], [0.5; 8]] {
        assert_eq!(stream.step_one(&sample)?.len(), 16); // a &[f32], and no allocation
    }
    let saved = stream.state().clone();
    let mut other = Stream::new(Arc::clone(&lstm), 1)?; // Send: it may live on another thread
    other.set_state(&saved)?;
    let here = stream.step(&arr2(&[[1.0; 8]]))?.to_owned();
    let there = std::thread::spawn(move || other.step(&arr2(&[[1.0; 8]])).map(|h| h.to_owned())).join().unwrap()?;
    assert_eq!(here, there); // (batch, features) to (batch, units)
    let mut borrowed = Stream::new(&*lstm, 1)?;
    borrowed.set_state(&saved)?;
    assert_eq!(here, borrowed.step(&arr2(&[[1.0; 8]]))?);
    Ok(())
}

mod a_cell_of_ones_own {
    use super::*;
    use recurrent::{Cell, Float, Layer, Recurrent, Run, StateLayout, WeightVisitor, WeightVisitorMut, cell::Step};

    /// f = sigmoid(x Kf + h Rf); g = tanh(x Kg + (f h) Rg); h' = (1 - f) h + f g
    #[derive(Debug)]
    struct Mgu<T> {
        kernel: Array2<T>,           // (features, 2 units)
        recurrent_kernel: Array2<T>, // (units, 2 units)
    }

    impl<T: Float> Cell for Mgu<T> {
        type Elem = T;
        fn input_size(&self) -> usize {
            self.kernel.nrows()
        }
        fn state_layout(&self) -> StateLayout {
            StateLayout::new([("h", self.recurrent_kernel.nrows())])
        }
        fn step(&self, step: Step<'_, T>) {
            // one row of one step
            let (h, n, z) = (aview1(step.prev), step.prev.len(), aview1(step.x).dot(&self.kernel));
            let (rf, rg) = self.recurrent_kernel.view().split_at(Axis(1), n);
            let f = (&z.slice(s![..n]) + &h.dot(&rf)).mapv(T::sigmoid);
            let g = (&z.slice(s![n..]) + &(&f * &h).dot(&rg)).mapv(T::tanh);
            for j in 0..n {
                step.next[j] = (T::one() - f[j]) * h[j] + f[j] * g[j];
            }
        }
        fn visit_weights<'a>(&'a self, visitor: &mut WeightVisitor<'_, 'a, T>) {
            visitor.weight("kernel", &self.kernel);
            visitor.weight("recurrent_kernel", &self.recurrent_kernel);
        }
        fn visit_weights_mut(&mut self, visitor: &mut WeightVisitorMut<'_, T>) {
            visitor.weight("kernel", &mut self.kernel);
            visitor.weight("recurrent_kernel", &mut self.recurrent_kernel);
        }
    }

    #[test]
    fn runs_with_everything() -> Outcome {
        let cell = Mgu { kernel: Array2::from_elem((3, 8), 0.1), recurrent_kernel: Array2::from_elem((4, 8), 0.2) };
        let mut layer = Recurrent::from_cell(cell).return_sequences(true).return_state(true);
        let x = Array3::<f64>::ones((2, 5, 3));
        let output = layer.run(&x, Run::new().lengths(&[5, 2]))?;
        let two = layer.forward(&x.slice(s![..1, ..2, ..]))?;
        assert_eq!(output.state()?.get("h")?.row(1), two.last().row(0));
        assert_eq!(layer.count_params(), 3 * 8 + 4 * 8);
        // It isn't Clone: clones of the layer share it, and say so when it is to be changed.
        let zeros = ArrayD::zeros(vec![3, 8]);
        let boxed: Box<dyn Layer<f64>> = Box::new(layer.clone());
        let clone = boxed.clone();
        drop(boxed);
        assert!(matches!(layer.set_weights(&[("kernel", zeros.view())]), Err(recurrent::Error::SharedCell { .. })));
        assert_eq!(clone.run(&x, Run::new().lengths(&[5, 2]))?, output);
        drop(clone);
        layer.set_weights(&[("kernel", zeros.view())])?;
        assert_eq!(layer.forward(&x)?.last(), Array2::<f64>::zeros((2, 4)));
        Ok(())
    }
}

#[test]
fn training_by_a_loop_of_ones_own() -> Outcome {
    use recurrent::{Dense, Gradients, Layer, Lstm, OutputGradient, Run, Stacked, training::*};
    use std::ops::ControlFlow;
    let mut net = Stacked::builder().layer(Lstm::<f32>::new(3, 8)).layer(Dense::new(8, 1)).build()?;
    let (x, target) = (Array3::<f32>::ones((16, 20, 3)), Array2::<f32>::ones((16, 1)));
    let (mut tape, mut seeds, mut gradients, mut optimizer) =
        (Tape::new(), net.seeds(), Gradients::new(&net), Adam::new(1e-3));
    let mut losses = Vec::new();
    for _ in 0..10 {
        let output = net.run(&x, Run::new().training(&mut seeds).record(&mut tape))?;
        let (loss, d_last) = Loss::MeanSquaredError.with_gradient(output.last(), &target)?;
        gradients.clear(); // leave it out to add up over calls
        net.backward(&mut tape, OutputGradient::new().last(&d_last), &mut gradients)?;
        optimizer.step(&mut net, &gradients)?;
        println!("{loss} {}", gradients.get("0/recurrent_kernel")?.mapv(f32::abs).sum());
        losses.push(loss);
    }
    assert!(losses[9] < losses[0] || losses[0] < 1e-2, "{losses:?}");
    let losses = Fit::new(Loss::MeanSquaredError, optimizer)
        .epochs(5)
        .batch_size(4)
        .shuffle(7)
        .on_epoch(|progress| {
            println!("{progress}");
            if progress.loss < 1e-4 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
        .run(&mut net, &x, &target)?;
    println!("{losses:?}");
    // The weights are drawn anew in each run: some are good enough before the last epoch.
    let losses = losses.get("loss")?;
    assert!(losses.len() == 5 || losses[losses.len() - 1] < 1e-4, "{losses:?}");
    Ok(())
}

#[test]
fn fit() -> Outcome {
    use recurrent::{Dense, Gru, Sequential, training::*};
    let mut model = Sequential::<f32>::builder("waves").layer(Gru::new(1, 16)).layer(Dense::new(16, 3)).build()?;
    let (x, classes) = (Array3::<f32>::ones((64, 20, 1)), Array1::<i32>::zeros(64));
    let history = Fit::new(Loss::SparseCategoricalCrossentropy { from_logits: true }, Adam::new(1e-3))
        .metric(Metric::SparseCategoricalAccuracy)
        .epochs(3)
        .batch_size(16)
        .shuffle(7)
        .validation_split(0.25)
        .early_stopping(EarlyStopping::new("val_loss").patience(2).restore_best_weights(true))
        .print_progress()
        .run(&mut model, &x, &classes)?;
    println!("{:?}", history.get("val_loss")?);
    assert_eq!(history.get("val_loss")?.len(), 3);
    Ok(())
}

#[test]
fn the_weights_that_a_keras_script_has() -> Outcome {
    use recurrent::{Lstm, SeedSource};
    let mut seeds = SeedSource::keras(9); // keras.utils.set_random_seed(9)
    let first = Lstm::<f32>::builder(3, 2).return_sequences(true).seeds(&mut seeds).build()?;
    let second = Lstm::<f32>::builder(2, 5).seeds(&mut seeds).build()?;
    let kernel: Vec<f32> = first.weight("kernel")?.iter().copied().take(3).collect();
    assert_eq!(kernel, [-0.5995875, 0.42907423, -0.6806519]);
    assert_eq!(second.weight("recurrent_kernel")?.shape(), [5, 20]);
    Ok(())
}

#[cfg(feature = "file")]
#[test]
fn saved() -> Outcome {
    use recurrent::{Layer, Lstm, file};
    let lstm = Lstm::<f32>::builder(3, 4).return_sequences(true).build()?;
    let x = Array3::ones((2, 5, 3));
    file::save("lstm.safetensors", &lstm)?; // weights, configuration, version: one file
    let again: Lstm<f32> = file::load("lstm.safetensors")?; // another kind is an error that says what it holds
    assert_eq!(again.forward(&x)?, lstm.forward(&x)?); // the same bits
    std::fs::remove_file("lstm.safetensors")?;
    Ok(())
}

#[test]
fn a_stream_that_survives_a_restart() -> Outcome {
    use recurrent::{Gru, State, Stream};
    let gru = Gru::<f32>::new(8, 16);
    let mut stream = Stream::new(&gru, 1)?;
    stream.step_one(&[0.5; 8])?;
    let bytes = stream.state().to_bytes(); // a name for each part, the layout, the type
    stream.set_state(&State::from_bytes(&bytes)?)?; // refused by name where the layout differs
    Ok(())
}

#[test]
fn many_live_streams() -> Outcome {
    use recurrent::{Lstm, StreamPool};
    let lstm = Lstm::<f32>::new(8, 16);
    let mut pool = StreamPool::new(&lstm)?;
    let (ann, bob) = (pool.insert()?, pool.insert()?);
    pool.push(ann, &[0.5; 8])?; // bob has nothing to say
    pool.step(); // all that have a sample, as one batch
    println!("{:?}", pool.output(ann)?);
    let state = pool.remove(bob)?; // the bits it would have had alone
    println!("{}", state.get("h")?);
    Ok(())
}

#[test]
fn the_last_fifty_samples_exactly() -> Outcome {
    use recurrent::{Lstm, Window};
    let lstm = Lstm::<f32>::new(8, 16);
    let mut window = Window::new(&lstm, 50)?;
    let mut outputs = 0;
    for _ in 0..60 {
        if let Some(output) = window.push(&[0.1; 8])? {
            println!("{output:?}"); // what forward gives for the last 50
            outputs += 1;
        }
    }
    assert_eq!(outputs, 11);
    Ok(())
}

#[test]
fn fewer_bits() -> Outcome {
    use recurrent::{Gru, Layer, Precision};
    let gru = Gru::<f32>::builder(64, 128).return_sequences(true).build()?;
    let x = Array3::ones((4, 50, 64));
    let small = gru.quantize(Precision::Int8)?; // a layer like any other
    println!("{}", gru.compare(&small, &x)?); // largest and mean error, by step
    assert_eq!(small.forward(&x)?.sequence()?.dim(), (4, 50, 128));
    Ok(())
}
