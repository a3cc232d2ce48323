//! A pool of a model gives each stream what a `ModelStream` of its own would.

use ndarray::{Array1, ArrayD, array};
use recurrent::model::{Input, ModelStream};
use recurrent::{
    Conv1D, Dense, Embedding, Error, Float, Gru, Lstm, Masking, Model, Padding, Precision, Result, Sequential,
    StreamId, StreamPool, ops,
};

use super::compare::same_bits;
use super::numbers::Numbers;

/// Two inputs, one of ids of which 0 is masked, two branches, a convolution that keeps its last inputs, and two
/// outputs, one of the sequence so far.
fn graph<T: Float>() -> Result<Model<T>> {
    let mut graph = Model::<T>::builder("graph");
    let (x, ids) = (graph.input("x", [None, Some(3)])?, graph.input_of_ids("ids", [None])?);
    let table = graph.call("table", Embedding::builder(7, 4).mask_zero(true).build()?, &[ids])?;
    let words = graph.call("words", Gru::builder(4, 5).return_sequences(true).build()?, &table)?;
    let near = graph.call("near", Conv1D::builder(3, 4, 2).padding(Padding::Causal).build()?, &[x])?;
    let sound = graph.call("sound", Lstm::builder(4, 6).return_sequences(true).build()?, &near)?;
    let both = graph.call("both", ops::Concatenate::new(-1), &[words[0], sound[0]])?;
    let head = graph.call("head", Dense::new(11, 2), &both)?;
    let last = graph.call("last", Gru::new(5, 3), &words)?;
    graph.build(&[head[0], last[0]])
}

type Step<T> = fn(&mut ModelStream<T>, &[T]) -> Result<Vec<T>>;

fn flat<T: Float>(outputs: &[ArrayD<T>]) -> Vec<T> {
    outputs.iter().flatten().copied().collect()
}

/// The mean of no step is NaN.
#[track_caller]
fn assert_same<T: Float>(a: &[T], b: &[T]) {
    assert!(a.len() == b.len() && a.iter().zip(b).all(|(&a, &b)| same_bits(a, b)), "{a:?}, {b:?}");
}

/// A stream alone, and the last answer that it gave.
struct Alone<T: Float> {
    id: StreamId,
    stream: ModelStream<T>,
    answer: Option<Result<Vec<T>>>,
}

fn law<T: Float>(model: &Model<T>, step: Step<T>, sample: impl Fn(&mut Numbers) -> Vec<T>) {
    let mut numbers = Numbers::new(9, "models");
    for capacity in [None, Some(90)] {
        let mut pool = match capacity {
            None => StreamPool::new(model).unwrap(),
            Some(capacity) => StreamPool::with_capacity(model, capacity).unwrap(),
        };
        let mut streams: Vec<Alone<T>> = Vec::new();
        for round in 0..10 {
            for _ in 0..[1, 2, 70][round % 3] {
                if streams.len() < 90 {
                    let (id, stream) = (pool.insert().unwrap(), model.stream(1).unwrap());
                    streams.push(Alone { id, stream, answer: None });
                }
            }
            for alone in &mut streams {
                if numbers.chance(60) {
                    let x = sample(&mut numbers);
                    pool.push(alone.id, &x).unwrap();
                    alone.answer = Some(step(&mut alone.stream, &x));
                }
                if numbers.chance(5) {
                    let (evicted, ready) = (pool.evict(alone.id), pool.is_ready(alone.id));
                    assert_eq!(evicted.is_err(), ready == Ok(true));
                    if let Ok(bytes) = evicted {
                        alone.id = pool.restore(&bytes).unwrap();
                        alone.answer = None;
                    }
                }
            }
            pool.step();
            for alone in &streams {
                let output = pool.output(alone.id).map(<[T]>::to_vec);
                match &alone.answer {
                    None => assert_eq!(output, Err(Error::NoOutputYet { number: alone.id.number() })),
                    Some(Ok(answer)) => assert_same(&output.unwrap(), answer),
                    Some(Err(_)) => assert!(output.is_err()),
                }
                let state = pool.state(alone.id).unwrap();
                let states = alone.stream.state();
                let whole: Vec<T> = states.states().iter().flat_map(|state| state.values().row(0).to_vec()).collect();
                assert_same(&state.values().row(0).to_vec(), &whole);
            }
            if round % 4 == 3 {
                pool.remove(streams.swap_remove(numbers.below(streams.len())).id).unwrap();
            }
        }
    }
}

#[test]
fn a_pool_of_a_graph_is_its_streams() {
    fn check<T: Float>(model: &Model<T>) {
        let step: Step<T> = |stream, x| {
            let (floats, id) = (Array1::from(x[..3].to_vec()), array![x[3].into_f64() as i64]);
            let floats = floats.into_shape_with_order((1, 3)).unwrap();
            stream.step(&[Input::from(&floats), Input::from(&id)]).map(flat)
        };
        law(model, step, |numbers| {
            let mut x: Vec<T> = numbers.array(1.0, 3).to_vec();
            // Now and then one that the table hasn't got.
            x.push(T::from_f64(numbers.below(if numbers.clone().chance(10) { 9 } else { 7 }) as f64));
            x
        });
    }
    let model = graph::<f32>().unwrap();
    check(&model);
    check(&graph::<f64>().unwrap());
    for precision in Precision::ALL {
        check(&model.quantize(precision).unwrap());
    }
}

#[test]
fn a_pool_of_a_chain_that_hides_steps_is_its_streams() {
    let model = |hidden| {
        let chain = Sequential::<f64>::builder("hiding")
            .layer(Masking::new(hidden).unwrap())
            .layer(Lstm::builder(3, 5).return_sequences(true).build().unwrap())
            .layer(ops::GlobalAveragePooling1D::new())
            .layer(Dense::new(5, 2));
        chain.build().unwrap()
    };
    let step: Step<f64> = |stream, x| {
        let x = Array1::from(x.to_vec()).into_shape_with_order((1, 3)).unwrap();
        stream.step(&[Input::from(&x)]).map(flat)
    };
    for hidden in [0.0, -1.0] {
        law(&model(hidden), step, |numbers| super::windows::sometimes_hidden(hidden, numbers));
    }
}

#[test]
fn models_that_begin_with_inputs_or_need_the_whole_are_refused() {
    let mut graph = Model::<f32>::builder("decoder");
    let (h, x) = (graph.input("h", [Some(4)]).unwrap(), graph.input("x", [None, Some(3)]).unwrap());
    let gru = Gru::builder(3, 4).return_sequences(true).build().unwrap();
    let y = graph.call_with("gru", gru, &[x], |call| call.initial_state(&[h])).unwrap();
    let decoder = graph.build(&y).unwrap();
    let backwards = Gru::builder(3, 4).go_backwards(true).build().unwrap();
    let backwards = Sequential::<f32>::builder("backwards").layer(backwards).build().unwrap();
    for (model, named) in [(&decoder, "decoder"), (&backwards, "gru")] {
        match StreamPool::new(model).map(drop) {
            Err(Error::CannotStream { layer, .. }) => assert_eq!(layer, named),
            other => panic!("{other:?}"),
        }
    }
}
