//! Pools, windows and streams that take over: what doesn't fit, and ids of streams that are gone.

use ndarray::prelude::*;
use recurrent::{
    Bidirectional, Dense, Error, Gru, Layer, LiveStream, Lstm, Result, State, Stream, StreamPool, Successor, Window,
};

use super::refusal;

#[test]
fn a_refused_call_leaves_the_pool() {
    let lstm = Lstm::<f32>::new(3, 4);
    let mut pool = StreamPool::with_capacity(&lstm, 2).unwrap();
    let (ann, bob) = (pool.insert().unwrap(), pool.insert().unwrap());
    assert_eq!(refusal(pool.insert()), Error::PoolFull { capacity: 2 });
    assert_eq!(refusal(pool.insert_with(&lstm.initial_state(1))), Error::PoolFull { capacity: 2 });
    pool.push(ann, &[1.0, 0.5, -0.5]).unwrap();
    pool.step();
    let (state, output) = (pool.state(ann).unwrap(), pool.output(ann).unwrap().to_vec());

    for x in [&[][..], &[1.0, 2.0], &[1.0; 4]] {
        assert_eq!(refusal(pool.push(ann, x)), Error::StepShape { expected: (1, 3), given: (1, x.len()) });
    }
    let gru = Gru::<f32>::new(3, 4).initial_state(1);
    let layout = Error::StateLayout { expected: "h (4), c (4)".into(), given: "h (4)".into() };
    let mut other = gru.clone();
    assert_eq!(refusal(pool.set_state(ann, &gru)), layout);
    assert_eq!(refusal(pool.insert_with(&gru)), layout);
    assert_eq!(refusal(pool.restore(&gru.to_bytes())), layout);
    assert_eq!(refusal(pool.remove_into(ann, &mut other)), layout);
    assert_eq!(refusal(pool.state_into(ann, &mut other)), layout);
    let rows = Error::StateBatch { expected: 1, given: 2 };
    assert_eq!(refusal(pool.set_state(ann, &lstm.initial_state(2))), rows);
    assert!(matches!(refusal(pool.restore(b"nothing")), Error::StateBytes { .. }));
    assert_eq!(refusal(pool.output(bob)), Error::NoOutputYet { number: bob.number() });
    assert_eq!((pool.state(ann).unwrap(), pool.output(ann).unwrap()), (state, &output[..]));
    assert_eq!((pool.len(), pool.step()), (2, 0), "a sample that was refused waits");

    pool.push(bob, &[0.5; 3]).unwrap();
    let waits = Error::SampleWaits { number: bob.number() };
    assert_eq!(refusal(pool.push(bob, &[0.25; 3])), waits);
    assert_eq!(refusal(pool.evict(bob)), waits);
    assert_eq!(pool.step(), 1);
    let mut alone = Stream::new(&lstm, 1).unwrap();
    assert_eq!(pool.output(bob).unwrap(), alone.step_one(&[0.5; 3]).unwrap(), "the first sample");
}

#[test]
fn ids_are_gone_for_ever() {
    let lstm = Lstm::<f64>::new(3, 4);
    let mut pool = StreamPool::with_capacity(&lstm, 1).unwrap();
    let mut elsewhere = StreamPool::new(&lstm).unwrap();
    let (gone, theirs) = (pool.insert().unwrap(), elsewhere.insert().unwrap());
    pool.remove(gone).unwrap();
    // The place is taken again.
    let there = pool.insert().unwrap();
    assert_ne!(gone, there);
    let mut state = lstm.initial_state(1);
    for id in [gone, theirs] {
        let expected = Error::StreamGone { number: id.number() };
        let all: [Result<()>; 11] = [
            pool.push(id, &[0.0; 3]),
            pool.push(id, &[0.0; 2]),
            pool.output(id).map(|_| ()),
            pool.state(id).map(|_| ()),
            pool.state_into(id, &mut state),
            pool.set_state(id, &State::zeros(lstm.state_layout().clone(), 1)),
            pool.reset(id),
            pool.remove(id).map(|_| ()),
            pool.evict(id).map(|_| ()),
            pool.is_ready(id).map(|_| ()),
            pool.idle_steps(id).map(|_| ()),
        ];
        for result in all {
            assert_eq!(refusal(result), expected);
        }
        assert!(!pool.contains(id));
    }
    assert!(pool.contains(there) && pool.len() == 1);
}

#[test]
fn what_pools_and_windows_refuse_to_run() {
    let cannot = |layer: &str, reason| Error::CannotStream { layer: layer.into(), reason };
    let backwards = Gru::<f32>::builder(3, 4).go_backwards(true).build().unwrap();
    let both = Bidirectional::new(Gru::<f32>::builder(3, 4)).unwrap();
    let stack = recurrent::Stacked::builder().layer(both.clone()).layer(Dense::new(8, 2)).build().unwrap();
    let whole = "its backward direction needs the whole sequence";
    for (layer, error) in [
        (&backwards as &dyn Layer<f32>, cannot("GRU", "it goes backwards in time")),
        (&both, cannot("Bidirectional", whole)),
        (&stack, cannot("0/Bidirectional", whole)),
    ] {
        assert_eq!(refusal(StreamPool::new(layer)), error);
        assert_eq!(refusal(StreamPool::with_capacity(layer, 3)), error);
        assert_eq!(refusal(Window::new(layer, 3)), error);
    }
    let lstm = Lstm::<f32>::new(3, 4);
    assert_eq!(refusal(StreamPool::with_capacity(&lstm, 0)), Error::ZeroSize { what: "the capacity of a pool" });
    assert_eq!(refusal(Window::new(&lstm, 0)), Error::ZeroSize { what: "the length of a window" });
    for most in [usize::MAX, usize::MAX / 2, 1 << 58] {
        assert!(matches!(refusal(StreamPool::with_capacity(&lstm, most)), Error::TensorTooLarge { .. }));
        assert!(matches!(refusal(Window::new(&lstm, most)), Error::TensorTooLarge { .. }));
    }
}

/// Alone and in the middle of a crossfade.
#[test]
fn a_refused_sample_leaves_the_live_stream() {
    let (lstm, gru) = (Lstm::<f32>::new(3, 4), Gru::<f32>::new(3, 4));
    let live = || LiveStream::<f32, &dyn Layer<f32>>::new(Stream::new(&lstm as &dyn Layer<f32>, 1).unwrap());
    let (mut live, mut twin) = (live(), live());
    for time in 0..8_u8 {
        if time == 2 {
            for stream in [&mut live, &mut twin] {
                let successor = Successor::prepare(&gru as &dyn Layer<f32>, 1).unwrap().crossfade(4);
                assert!(stream.swap(successor).is_ok());
            }
        }
        let x = [f32::from(time), 0.5, -0.5];
        let (output, left) = (live.output().to_owned(), live.crossfade_left());
        for wrong in [&[][..], &[1.0, 2.0], &[1.0; 4]] {
            let error = refusal(live.step_one(wrong).map(|_| ()));
            assert_eq!(error, Error::StepShape { expected: (1, 3), given: (1, wrong.len()) });
            let error = refusal(live.step(&Array2::zeros((1, wrong.len()))).map(|_| ()));
            assert_eq!(error, Error::StepShape { expected: (1, 3), given: (1, wrong.len()) });
        }
        refusal(live.process(&x, &mut [0.0; 3]));
        assert_eq!((live.output().to_owned(), live.crossfade_left()), (output, left));
        assert_eq!(live.step_one(&x).unwrap(), twin.step_one(&x).unwrap());
    }
}

#[test]
fn a_refused_sample_leaves_the_window() {
    let lstm = Lstm::<f32>::new(3, 4);
    let (mut window, mut twin) = (Window::new(&lstm, 3).unwrap(), Window::new(&lstm, 3).unwrap());
    for time in 0..7_u8 {
        let x = [f32::from(time), 0.5, -0.5];
        for wrong in [&[][..], &[1.0, 2.0], &[1.0; 4]] {
            let error = refusal(window.push(wrong).map(|_| ()));
            assert_eq!(error, Error::StepShape { expected: (1, 3), given: (1, wrong.len()) });
        }
        assert_eq!(window.push(&x).unwrap(), twin.push(&x).unwrap());
    }
}

#[test]
fn what_does_not_fit_does_not_take_over() {
    let size = |what, expected, given| Error::SwapSize { what, expected, given };
    let lstm = Lstm::<f32>::new(3, 4);
    let (features, units) = (Lstm::<f32>::new(2, 4), Lstm::<f32>::new(3, 5));
    let cases = [
        (&features, 2, size("the number of features", 3, 2)),
        (&units, 2, size("the number of outputs", 4, 5)),
        (&lstm, 1, size("the number of rows", 2, 1)),
    ];
    let x = array![[1.0, 0.5, -0.5], [2.0, 0.25, 1.5]];
    for (other, rows, expected) in cases {
        let (mut stream, mut twin) = (Stream::new(&lstm, 2).unwrap(), Stream::new(&lstm, 2).unwrap());
        let mut live = LiveStream::new(Stream::new(&lstm, 2).unwrap());
        let (successor, error) = stream.swap(Stream::new(other, rows).unwrap()).unwrap_err().into_parts();
        assert_eq!((error, successor.batch()), (expected.clone(), rows));
        let refused = live.swap(Successor::of(successor).crossfade(3)).unwrap_err();
        assert_eq!((refused.error(), live.crossfade_left()), (&expected, 0));
        assert_eq!(stream.step(&x).unwrap(), twin.step(&x).unwrap());
        assert_eq!(live.step(&x).unwrap(), twin.output());
        if rows == 2 {
            let mut pool = StreamPool::with_capacity(&lstm, 3).unwrap();
            let ann = pool.insert().unwrap();
            let refused = pool.swap(StreamPool::with_capacity(other, 3).unwrap()).unwrap_err();
            assert_eq!((refused.error(), pool.contains(ann)), (&expected, true));
        }
    }
    let mut pool = StreamPool::with_capacity(&lstm, 3).unwrap();
    let refused = pool.swap(StreamPool::with_capacity(&lstm, 2).unwrap()).unwrap_err();
    assert_eq!(refused.into_error(), size("the capacity of the pool", 3, 2));
}

#[test]
fn the_old_stream_is_taken_before_the_next_swap() {
    let lstm = Lstm::<f32>::new(1, 2);
    let mut live = LiveStream::new(Stream::new(&lstm, 1).unwrap());
    let successor = |fade| Successor::prepare(&lstm, 1).unwrap().crossfade(fade);
    live.swap(successor(2)).unwrap();
    for left in [2, 1, 0] {
        assert_eq!(refusal(live.swap(successor(0)).map_err(|refused| refused.into_error())), Error::SwapHeld { left });
        assert_eq!(live.take_old().is_some(), left == 0);
        live.step_one(&[0.5]).unwrap();
    }
    live.swap(successor(0)).unwrap();
}

#[test]
fn successors_take_only_ids_that_can_be() {
    let lstm = Lstm::<f32>::new(1, 2);
    let mut pool = StreamPool::new(&lstm).unwrap();
    let ids: Vec<_> = (0..3).map(|_| pool.insert().unwrap()).collect();
    let mut successor = StreamPool::with_capacity(&lstm, 2).unwrap();
    assert_eq!(refusal(successor.adopt(ids[2])), Error::PoolFull { capacity: 2 });
    successor.adopt(ids[1]).unwrap();
    pool.remove(ids[1]).unwrap();
    let later = pool.insert().unwrap();
    successor.adopt(later).unwrap();
    assert_eq!(refusal(successor.adopt(ids[1])), Error::StreamGone { number: ids[1].number() });
    assert!(successor.contains(later) && successor.len() == 1);
    // The place beside it is free, and no other.
    successor.insert().unwrap();
    assert_eq!(refusal(successor.insert()), Error::PoolFull { capacity: 2 });
}
