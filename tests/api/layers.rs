//! What a layer is besides its numbers: weights by name, printing, clones, conversions, what it may be sent to.

use std::sync::Arc;

use ndarray::prelude::*;
use recurrent::{
    Bidirectional, Cell, Dense, Error, Float, Gru, Initializer, KerasRng, Layer, Lstm, Merge, Output, Recurrent, Run,
    Scratch, SeedSource, SimpleRnn, Stacked, StackedCells, State, StateLayout, Stateful, Stream, TimeDistributed,
    cell::{GruCell, LstmCell, SimpleRnnCell},
    training::DropoutSeeds,
};

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn shapes<T: Float>(layer: &dyn Layer<T>) -> Vec<(String, Vec<usize>)> {
    layer.weights().into_iter().map(|(name, array)| (name, array.shape().to_vec())).collect()
}

fn numbers<T: Float>(shape: &[usize]) -> ArrayD<T> {
    let mut next = 0.0;
    ArrayD::from_shape_simple_fn(shape, || {
        next += 1.0;
        T::from_f64((next * 0.37_f64).sin())
    })
}

fn x<T: Float>() -> Array3<T> {
    numbers(&[2, 5, 3]).into_dimensionality().expect("rank 3")
}

#[test]
fn weights_have_kerass_names_order_and_shapes() -> Outcome {
    let expected = |list: &[(&str, &[usize])]| -> Vec<(String, Vec<usize>)> {
        list.iter().map(|(name, shape)| (name.to_string(), shape.to_vec())).collect()
    };
    let kernels = |gates: usize| [("kernel", vec![3, gates * 4]), ("recurrent_kernel", vec![4, gates * 4])];
    for (layer, gates, bias) in [
        (Box::new(SimpleRnn::<f32>::new(3, 4)) as Box<dyn Layer<f32>>, 1, vec![4]),
        (Box::new(Lstm::<f32>::new(3, 4)), 4, vec![16]),
        (Box::new(Gru::<f32>::new(3, 4)), 3, vec![2, 12]),
        (Box::new(Gru::<f32>::builder(3, 4).reset_after(false).build()?), 3, vec![12]),
    ] {
        let [kernel, recurrent_kernel] = kernels(gates);
        let all = [kernel, recurrent_kernel, ("bias", bias)];
        let all: Vec<_> = all.into_iter().map(|(name, shape)| (name.to_string(), shape)).collect();
        assert_eq!(shapes(&*layer), all);
        let count: usize = all.iter().map(|(_, shape)| shape.iter().product::<usize>()).sum();
        assert_eq!(layer.count_params(), count);
    }
    let without = Lstm::<f64>::builder(3, 4).use_bias(false).build()?;
    assert_eq!(shapes(&without), expected(&[("kernel", &[3, 16]), ("recurrent_kernel", &[4, 16])]));
    assert_eq!(without.count_params(), 112); // what Keras counts

    let both = Bidirectional::new(Gru::<f32>::builder(3, 4).return_sequences(true))?;
    let cells = StackedCells::builder().cell(Lstm::builder(8, 2).build_cell()?).cell(Gru::builder(2, 1).build_cell()?);
    let cells = Recurrent::from_cell(cells.build()?);
    let stack = Stacked::builder().layer(both).layer(cells).layer(TimeDistributed::new(Dense::new(1, 6))).build()?;
    assert_eq!(
        shapes(&stack),
        expected(&[
            ("0/forward/kernel", &[3, 12]),
            ("0/forward/recurrent_kernel", &[4, 12]),
            ("0/forward/bias", &[2, 12]),
            ("0/backward/kernel", &[3, 12]),
            ("0/backward/recurrent_kernel", &[4, 12]),
            ("0/backward/bias", &[2, 12]),
            ("1/0/kernel", &[8, 8]),
            ("1/0/recurrent_kernel", &[2, 8]),
            ("1/0/bias", &[8]),
            ("1/1/kernel", &[2, 3]),
            ("1/1/recurrent_kernel", &[1, 3]),
            ("1/1/bias", &[2, 3]),
            ("2/kernel", &[1, 6]),
            ("2/bias", &[6]),
        ])
    );
    assert_eq!(stack.weight("1/1/recurrent_kernel")?, stack.weights()[10].1);
    assert_eq!(
        stack.initial_state(1).names().collect::<Vec<_>>(),
        ["0/forward/h", "0/backward/h", "1/0/h", "1/0/c", "1/1/h"]
    );
    Ok(())
}

/// Sets all weights and finds that they are there, by name and in what the layer computes.
fn set_and_get<L: Layer<f32> + Clone>(layer: &L) -> Outcome {
    let x = x::<f32>();
    let mut one = layer.clone();
    let new: Vec<_> = shapes(layer).into_iter().map(|(name, shape)| (name, numbers(&shape))).collect();
    let views: Vec<_> = new.iter().map(|(name, array)| (name.as_str(), array.view())).collect();
    one.set_weights(&views)?;
    for (name, array) in &new {
        assert_eq!(one.weight(name)?, *array, "{name}");
    }
    assert_ne!(one.forward(&x)?, layer.forward(&x)?);
    // One by one, the last one first, and from views of any layout.
    let mut other = layer.clone();
    for (name, array) in new.iter().rev() {
        let reversed = array.t().as_standard_layout().into_owned();
        other.set_weights(&[(name, reversed.t())])?;
    }
    assert_eq!(other.forward(&x)?, one.forward(&x)?);
    // Nothing, and all of its own.
    other.set_weights(&[])?;
    let own: Vec<_> = other.weights().into_iter().map(|(name, array)| (name, array.to_owned())).collect();
    let own: Vec<_> = own.iter().map(|(name, array)| (name.as_str(), array.view())).collect();
    other.set_weights(&own)?;
    assert_eq!(other.forward(&x)?, one.forward(&x)?);
    Ok(())
}

#[test]
fn weights_that_are_set_are_used() -> Outcome {
    set_and_get(&SimpleRnn::<f32>::new(3, 17))?;
    set_and_get(&Lstm::<f32>::new(3, 17))?;
    set_and_get(&Gru::<f32>::new(3, 17))?;
    set_and_get(&Gru::<f32>::builder(3, 17).reset_after(false).build()?)?;
    set_and_get(&Dense::<f32>::new(3, 17))?;
    set_and_get(&TimeDistributed::new(Dense::<f32>::new(3, 5)))?;
    let both = Bidirectional::new(Lstm::<f32>::builder(3, 4).return_sequences(true))?;
    set_and_get(&both)?;
    let stack = Stacked::builder().layer(both).layer(Lstm::new(8, 2)).layer(Dense::new(2, 2)).build()?;
    set_and_get(&stack)?;
    set_and_get(&(Box::new(stack) as Box<dyn Layer<f32>>))?;
    let cells = StackedCells::builder().cell(Lstm::<f32>::builder(3, 4).build_cell()?);
    let cells = cells.cell(SimpleRnn::builder(4, 5).build_cell()?).build()?;
    set_and_get(&Recurrent::from_cell(cells))
}

/// The lines of Keras 3.15's `summary()` in a terminal of 80 columns, for these layers on inputs of 3 features.
#[test]
fn a_layer_prints_as_in_kerass_summary() -> Outcome {
    let lstm = || Lstm::<f32>::builder(3, 4);
    let gru = || Gru::<f32>::builder(3, 4);
    let cells = StackedCells::builder().cell(lstm().build_cell()?).cell(Gru::builder(4, 5).build_cell()?).build()?;
    let cells = Recurrent::from_cell(cells);
    let wide = Gru::<f32>::builder(3, 40).return_state(true).return_sequences(true);
    let stack = Stacked::builder()
        .layer(lstm().return_sequences(true).build()?)
        .layer(Lstm::builder(4, 4).return_sequences(true).build()?)
        .layer(TimeDistributed::new(Dense::new(4, 2)))
        .layer(Bidirectional::new(SimpleRnn::builder(2, 4))?)
        .layer(Dense::new(8, 2))
        .layer(Dense::new(2, 3))
        .build()?;
    let lines = [
        SimpleRnn::<f32>::new(3, 4).to_string(),
        lstm().build()?.to_string(),
        gru().build()?.to_string(),
        gru().reset_after(false).build()?.to_string(),
        lstm().return_sequences(true).build()?.to_string(),
        lstm().use_bias(false).build()?.to_string(),
        SimpleRnn::<f32>::new(3, 300).to_string(),
        Lstm::<f32>::builder(3, 1000).recurrent_initializer(Initializer::Zeros).build()?.to_string(),
        Bidirectional::new(lstm())?.to_string(),
        Bidirectional::new(gru().return_sequences(true))?.merge_mode(Merge::Sum).to_string(),
        Dense::<f32>::new(3, 5).to_string(),
        TimeDistributed::new(Dense::<f32>::new(3, 5)).to_string(),
        cells.to_string(),
        lstm().return_state(true).build()?.to_string(),
        Bidirectional::new(lstm())?.merge_mode(Merge::None).to_string(),
        Bidirectional::new(lstm().return_sequences(true))?.merge_mode(Merge::None).to_string(),
        lstm().return_state(true).return_sequences(true).build()?.to_string(),
        gru().return_state(true).build()?.to_string(),
        Bidirectional::new(gru().return_state(true))?.to_string(),
        cells.return_state(true).to_string(),
        Bidirectional::new(wide)?.merge_mode(Merge::None).to_string(),
        stack.to_string(),
        (Box::new(lstm().build()?) as Box<dyn Layer<f32>>).to_string(),
    ];
    let expected = "\
│ simple_rnn (SimpleRNN)          │ (None, 4)              │            32 │
│ lstm (LSTM)                     │ (None, 4)              │           128 │
│ gru (GRU)                       │ (None, 4)              │           108 │
│ gru (GRU)                       │ (None, 4)              │            96 │
│ lstm (LSTM)                     │ (None, None, 4)        │           128 │
│ lstm (LSTM)                     │ (None, 4)              │           112 │
│ simple_rnn (SimpleRNN)          │ (None, 300)            │        91,200 │
│ lstm (LSTM)                     │ (None, 1000)           │     4,016,000 │
│ bidirectional (Bidirectional)   │ (None, 8)              │           256 │
│ bidirectional (Bidirectional)   │ (None, None, 4)        │           216 │
│ dense (Dense)                   │ (None, None, 5)        │            20 │
│ time_distributed                │ (None, None, 5)        │            20 │
│ (TimeDistributed)               │                        │               │
│ rnn (RNN)                       │ (None, 5)              │           293 │
│ lstm (LSTM)                     │ [(None, 4), (None, 4), │           128 │
│                                 │ (None, 4)]             │               │
│ bidirectional (Bidirectional)   │ [(None, 4), (None, 4)] │           256 │
│ bidirectional (Bidirectional)   │ [(None, None, 4),      │           256 │
│                                 │ (None, None, 4)]       │               │
│ lstm (LSTM)                     │ [(None, None, 4),      │           128 │
│                                 │ (None, 4), (None, 4)]  │               │
│ gru (GRU)                       │ [(None, 4), (None, 4)] │           108 │
│ bidirectional (Bidirectional)   │ [(None, 8), (None, 4), │           216 │
│                                 │ (None, 4)]             │               │
│ rnn (RNN)                       │ [(None, 5), (None, 4), │           293 │
│                                 │ (None, 4), (None, 5)]  │               │
│ bidirectional (Bidirectional)   │ [(None, None, 40),     │        10,800 │
│                                 │ (None, None, 40),      │               │
│                                 │ (None, 40), (None,     │               │
│                                 │ 40)]                   │               │
│ lstm (LSTM)                     │ (None, None, 4)        │           128 │
│ lstm_1 (LSTM)                   │ (None, None, 4)        │           144 │
│ time_distributed                │ (None, None, 2)        │            10 │
│ (TimeDistributed)               │                        │               │
│ bidirectional (Bidirectional)   │ (None, 8)              │            56 │
│ dense_1 (Dense)                 │ (None, 2)              │            18 │
│ dense_2 (Dense)                 │ (None, 3)              │             9 │
│ lstm (LSTM)                     │ (None, 4)              │           128 │";
    let rows: Vec<&str> = lines.iter().flat_map(|table| table.lines()).filter(|line| line.starts_with('│')).collect();
    assert_eq!(rows.join("\n"), expected);
    Ok(())
}

#[test]
fn debug_is_short_and_says_what_there_is() -> Outcome {
    let large = Lstm::<f32>::builder(300, 200).recurrent_initializer(Initializer::Zeros).return_sequences(true);
    let lstm = large.build()?;
    let text = format!("{lstm:?}");
    assert!(text.contains("300") && text.contains("200") && text.to_lowercase().contains("tanh"), "{text}");
    let both = Bidirectional::from_layers(lstm.clone(), lstm.clone().go_backwards(true))?;
    let stack = Stacked::builder().layer(both).layer(Dense::new(400, 300)).layer(lstm.clone()).build()?;
    let stream = Stream::new(&lstm, 100)?;
    let stateful = Stateful::new(&lstm, 1);
    let cells = StackedCells::builder().cell(lstm.cell().clone()).build()?;
    let mut seeds = SeedSource::keras(1);
    for (name, text, limit) in [
        ("Lstm", text, 500),
        ("LstmCell", format!("{:#?}", lstm.cell()), 500),
        ("Gru", format!("{:?}", Gru::<f64>::new(30, 20)), 500),
        ("SimpleRnn", format!("{:?}", SimpleRnn::<f64>::new(30, 20)), 500),
        ("Dense", format!("{:?}", Dense::<f32>::new(300, 200)), 500),
        ("Bidirectional and stacked", format!("{stack:?}"), 3000),
        ("StackedCells", format!("{cells:?}"), 1000),
        ("Stream", format!("{stream:?}"), 1000),
        ("Stateful", format!("{stateful:?}"), 1000),
        ("Embedding", format!("{:?}", recurrent::Embedding::<f32>::new(1000, 300)), 200),
        ("Scratch", format!("{:?}", Scratch::<f32>::new()), 200),
        ("Builder", format!("{:?}", Lstm::<f32>::builder(3, 4).seeds(&mut seeds)), 1500),
        ("Run", format!("{:?}", Run::<f32>::new()), 500),
        ("DropoutSeeds", format!("{:?}", lstm.seeds()), 500),
    ] {
        assert!(text.len() < limit, "{name}: {} characters: {}", text.len(), &text[..limit]);
    }
    Ok(())
}

/// Checks that a change of one clone leaves the other, both ways round.
fn independent<L: Layer<f32>>(mut one: L, mut other: L) -> Outcome {
    let x = x::<f32>();
    let before = one.forward(&x)?;
    assert_eq!(other.forward(&x)?, before);
    let new: Vec<_> = shapes(&one).into_iter().map(|(name, shape)| (name, numbers(&shape))).collect();
    let new: Vec<_> = new.iter().map(|(name, array)| (name.as_str(), array.view())).collect();
    one.set_weights(&new)?;
    assert_ne!(one.forward(&x)?, before);
    assert_eq!(other.forward(&x)?, before);
    let zeros: Vec<_> = new.iter().map(|(name, array)| (*name, ArrayD::zeros(array.raw_dim()))).collect();
    let zeros: Vec<_> = zeros.iter().map(|(name, array)| (*name, array.view())).collect();
    let after = one.forward(&x)?;
    other.set_weights(&zeros)?;
    assert_eq!(one.forward(&x)?, after);
    drop(one);
    assert!(other.weights().iter().all(|(_, weight)| weight.iter().all(|&value| value == 0.0)));
    Ok(())
}

#[test]
fn clones_are_independent() -> Outcome {
    let lstm = Lstm::<f32>::new(3, 4);
    independent(lstm.clone(), lstm.clone())?;
    independent(lstm.clone().return_sequences(false), lstm)?;
    let dense = Dense::<f32>::new(3, 4);
    independent(dense.clone(), dense)?;
    let both = Bidirectional::new(Gru::<f32>::builder(3, 4).return_sequences(true))?;
    independent(both.clone(), both.clone())?;
    let stack = Stacked::builder().layer(both.clone()).layer(Lstm::new(8, 4)).build()?;
    independent(stack.clone(), stack.clone())?;
    // A stack has its own layers: the one that was put on it may change.
    let alone = Stacked::builder().layer(both.clone()).build()?;
    let mut changed = both;
    let expected = alone.forward(&x())?;
    let zeros = ArrayD::zeros(vec![3, 12]);
    changed.set_weights(&[("forward/kernel", zeros.view())])?;
    assert_eq!(alone.forward(&x())?, expected);
    let boxed: Box<dyn Layer<f32>> = Box::new(stack);
    independent(boxed.clone(), boxed)?;
    let cells = StackedCells::builder().cell(Lstm::<f32>::builder(3, 4).build_cell()?);
    let cells = Recurrent::from_cell(cells.cell(Gru::builder(4, 2).build_cell()?).build()?);
    independent(cells.clone(), cells.clone())?;
    let boxed = cells.boxed_clone();
    independent(boxed.clone(), boxed)
}

#[test]
fn a_clone_keeps_the_numbers_while_a_stream_runs() -> Outcome {
    let mut lstm = Lstm::<f32>::new(3, 4);
    let shared = Arc::new(lstm.clone());
    let mut stream = Stream::new(Arc::clone(&shared), 1)?;
    let first = stream.step_one(&[0.5, 0.25, 0.125])?.to_vec();
    lstm.set_weights(&[("kernel", numbers(&[3, 16]).view())])?;
    stream.reset();
    assert_eq!(stream.step_one(&[0.5, 0.25, 0.125])?, first);
    Ok(())
}

#[test]
fn f32_and_f64_layers_convert() -> Outcome {
    let exact = |a: ArrayViewD<'_, f32>, b: ArrayViewD<'_, f64>| a.iter().zip(b).all(|(&a, &b)| f64::from(a) == b);
    macro_rules! check {
        ($($layer:ident $builder:expr;)*) => {$({
            let single: $layer<f32> = $builder.bias_initializer(Initializer::random_normal()).build()?;
            let double = $layer::<f64>::from(&single);
            for ((name, a), (_, b)) in single.weights().into_iter().zip(double.weights()) {
                assert!(exact(a, b), "{name}");
            }
            assert_eq!(double.returns_sequences(), single.returns_sequences());
            assert_eq!(double.returns_state(), single.returns_state());
            assert_eq!(double.goes_backwards(), single.goes_backwards());
            assert_eq!(double.seeds(), single.seeds());
            // But for the memory that they take.
            let rows = |table: String| table.split(" Total").next().map(String::from);
            assert_eq!(rows(double.to_string()), rows(single.to_string()));
            // There and back again loses nothing.
            let back = $layer::<f32>::from(&double);
            assert_eq!(back.forward(&x())?, single.forward(&x())?);
            assert_eq!(single.cast::<f32>().forward(&x())?, single.forward(&x())?);
            let (narrow, wide) = (single.forward(&x())?, double.forward(&x())?);
            for (&a, &b) in narrow.last().iter().zip(wide.last()) {
                assert!((f64::from(a) - b).abs() < 1e-5, "{a} and {b}");
            }
        })*};
    }
    check! {
        SimpleRnn SimpleRnn::builder(3, 17).return_sequences(true).dropout(0.25).seed(3);
        Lstm Lstm::builder(3, 17).return_state(true).go_backwards(true).activation("gelu".parse()?);
        Gru Gru::builder(3, 17).recurrent_activation("hard_sigmoid".parse()?);
        Gru Gru::builder(3, 17).reset_after(false).recurrent_dropout(0.5);
        Lstm Lstm::builder(3, 17).unit_forget_bias(false).zero_output_for_mask(true);
    }
    // f64 weights are rounded once, to the nearest.
    let double = Lstm::<f64>::new(3, 4);
    for ((_, a), (_, b)) in double.weights().into_iter().zip(Lstm::<f32>::from(&double).weights()) {
        assert!(a.iter().zip(b).all(|(&a, &b)| a as f32 == b));
    }
    let dense = Dense::<f64>::new(3, 4);
    assert_eq!(dense.cast::<f64>().forward(&x())?, dense.forward(&x())?);
    Ok(())
}

#[test]
fn layers_and_what_belongs_to_them_can_be_sent_and_shared() {
    fn both<T: Send + Sync + 'static>() {}
    both::<SimpleRnn<f32>>();
    both::<Lstm<f64>>();
    both::<Gru<f32>>();
    both::<Dense<f32>>();
    both::<Bidirectional<f32>>();
    both::<Stacked<f64>>();
    both::<TimeDistributed<f32>>();
    both::<Recurrent<StackedCells<f32>>>();
    both::<Box<dyn Layer<f32>>>();
    both::<Arc<dyn Layer<f64>>>();
    both::<Stream<f32, Arc<dyn Layer<f32>>>>();
    both::<Stateful<f32, Arc<Lstm<f32>>>>();
    both::<State<f32>>();
    both::<StateLayout>();
    both::<Output<f32>>();
    both::<Scratch<f32>>();
    both::<DropoutSeeds>();
    both::<SeedSource>();
    both::<KerasRng>();
    both::<Error>();
    both::<Initializer>();
    both::<recurrent::Activation>();
    both::<recurrent::training::Tape<f32>>();
    both::<recurrent::Gradients<f32>>();
}

#[test]
fn one_layer_serves_many_threads() -> Outcome {
    let layer: Arc<dyn Layer<f32>> = Arc::new(Lstm::<f32>::builder(3, 17).return_sequences(true).build()?);
    let expected = layer.forward(&x())?;
    std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..8).map(|_| scope.spawn(|| (0..50).map(|_| layer.forward(&x())).next_back())).collect();
        for thread in threads {
            assert_eq!(thread.join().expect("no panic").expect("a call")?, expected);
        }
        Ok(())
    })
}

#[test]
fn layers_and_cells_are_objects() -> Outcome {
    let layers: Vec<Box<dyn Layer<f32>>> =
        vec![Box::new(SimpleRnn::<f32>::new(3, 4)), Box::new(Lstm::<f32>::new(3, 4)), Box::new(Gru::<f32>::new(3, 4))];
    for layer in &layers {
        assert_eq!((layer.input_size(), layer.output_size()), (3, 4));
        assert_eq!(layer.forward(&x())?.last().dim(), (2, 4));
    }
    // A box is a layer: it goes on stacks, into streams, and in another box.
    let mut stack = Stacked::builder().layer(Dense::new(3, 3));
    for layer in layers {
        let one = Stacked::builder().layer(layer.clone()).build()?;
        assert_eq!(one.forward(&x())?.last(), layer.forward(&x())?.last());
        Stream::new(layer, 1)?;
    }
    stack = stack.layer(Box::new(Lstm::<f32>::new(3, 2)) as Box<dyn Layer<f32>>);
    assert_eq!(stack.build()?.forward(&x())?.last().dim(), (2, 2));
    let cells: [Box<dyn Cell<Elem = f32>>; 3] = [
        Box::new(SimpleRnn::<f32>::builder(3, 4).build_cell()?),
        Box::new(Lstm::<f32>::builder(3, 4).build_cell()?),
        Box::new(Gru::<f32>::builder(3, 4).build_cell()?),
    ];
    for cell in cells {
        // A step by hand, without a runner.
        let (prev, mut next) = (vec![0.0; cell.state_layout().width()], vec![f32::NAN; cell.state_layout().width()]);
        cell.step(recurrent::cell::Step::new(&[1.0, 2.0, 3.0], &prev, &mut next));
        assert!(next.iter().all(|value| value.is_finite()), "{next:?}");
    }
    fn cell_types(_: &SimpleRnnCell<f32>, _: &LstmCell<f32>, _: &GruCell<f32>) {}
    cell_types(SimpleRnn::new(3, 4).cell(), Lstm::new(3, 4).cell(), Gru::new(3, 4).cell());
    Ok(())
}

#[test]
fn options_of_a_layer_can_be_changed_and_asked() -> Outcome {
    let layer = Lstm::<f32>::new(3, 4);
    assert!(!layer.returns_sequences() && !layer.returns_state() && !layer.goes_backwards());
    let layer = layer.return_sequences(true).return_state(true).go_backwards(true);
    assert!(layer.returns_sequences() && layer.returns_state() && layer.goes_backwards());
    let output = layer.forward(&x())?;
    assert_eq!(output.sequence()?.slice(s![.., 4, ..]), output.last());
    assert_eq!(output.clone().into_sequence()?, *output.sequence()?);
    assert_eq!(output.clone().into_state()?, *output.state()?);
    assert_eq!(output.clone().into_last(), *output.last());
    let none = Bidirectional::new(Lstm::<f32>::builder(3, 4).return_state(true))?.merge_mode(Merge::None);
    let output = none.forward(&x())?;
    assert_eq!((output.last().dim(), output.backward()?.last().dim()), ((2, 4), (2, 4)));
    assert!(output.state().is_ok());
    Ok(())
}
