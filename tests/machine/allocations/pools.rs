//! Pools of a fixed capacity, windows, and streams that take over: nothing once they are made.

use recurrent::{
    Dense, Embedding, Float, Layer, LiveStream, Lstm, ReplaceError, Sequential, Stream, StreamId, StreamPool,
    Successor, Window,
};

use super::counter::{allocator_calls, free};
use super::layers::{INPUT, numbers, streaming};

type Pool<'l, T> = StreamPool<T, &'l dyn Layer<T>>;

/// Everything that a pool does with so many of its streams.
fn round<T: Float>(pool: &mut Pool<'_, T>, ids: &mut [StreamId], x: &[T], some: usize) -> recurrent::Result<()> {
    let mut kept = pool.layer().initial_state(1);
    free("a round", || {
        for id in &mut *ids {
            *id = pool.insert()?;
        }
        for &id in &ids[..some] {
            pool.push(id, x)?;
        }
        assert_eq!(pool.step(), some);
        for &id in &ids[..some] {
            pool.output(id)?;
        }
        pool.state_into(ids[0], &mut kept)?;
        pool.remove_into(ids[0], &mut kept)?;
        ids[0] = pool.insert_with(&kept)?;
        pool.reset(ids[1])?;
        pool.set_state(ids[1], &kept)?;
        assert!(pool.ids().count() == pool.len() && pool.idle_steps(ids[0])? == 0);
        assert!(pool.push(ids[1], &x[1..]).is_err());
        ids.iter().try_for_each(|&id| pool.remove_into(id, &mut kept))
    })
}

#[test]
fn a_pool_of_a_fixed_capacity_allocates_nothing_once_it_is_made() {
    fn check<T: Float>() {
        let x = numbers::<T, _>(INPUT).to_vec();
        for (name, layer) in streaming::<T>() {
            for (capacity, some) in [(5, 1), (150, 1), (150, 110), (5, 5)] {
                let mut pool = StreamPool::with_capacity(&*layer, capacity).unwrap();
                let mut ids = vec![pool.insert().unwrap(); capacity];
                pool.remove(ids[0]).unwrap();
                round(&mut pool, &mut ids, &x, some).unwrap_or_else(|error| panic!("{name}: {error}"));
                round(&mut pool, &mut ids, &x, capacity).unwrap_or_else(|error| panic!("{name}: {error}"));
                // The state that is handed out is all that a removal allocates.
                let id = pool.insert().unwrap();
                assert!(allocator_calls(|| pool.remove(id)).0 <= 1, "{name}");
            }
        }
    }
    check::<f32>();
    check::<f64>();
}

#[test]
fn a_pool_of_a_model_allocates_nothing_once_it_is_made() {
    let lstm = Lstm::<f32>::builder(4, 6).return_sequences(true).build().unwrap();
    let model = Sequential::<f32>::builder("ids")
        .layer(Embedding::builder(9, 4).mask_zero(true).build().unwrap())
        .layer(lstm)
        .layer(Dense::new(6, 3))
        .build()
        .unwrap();
    for capacity in [1, 5, 150] {
        let mut pool = StreamPool::with_capacity(&model, capacity).unwrap();
        let ids: Vec<_> = (0..capacity).map(|_| pool.insert().unwrap()).collect();
        let mut kept = pool.state(ids[0]).unwrap();
        free("a model", || {
            for some in [capacity, 1, capacity.min(3)] {
                for (at, &id) in ids[..some].iter().enumerate() {
                    pool.push(id, &[(at % 9) as f32])?;
                }
                assert_eq!(pool.step(), some);
                pool.output(ids[0])?;
            }
            pool.remove_into(ids[0], &mut kept)?;
            pool.insert_with(&kept)
        })
        .unwrap();
    }
}

#[test]
fn a_pool_that_grows_allocates_only_to_grow() {
    let x = numbers::<f32, _>(INPUT).to_vec();
    for (name, layer) in streaming::<f32>() {
        let mut pool = StreamPool::new(&*layer).unwrap();
        pool.insert().unwrap();
        let room = pool.capacity();
        free(name, || {
            for _ in 1..room {
                let id = pool.insert()?;
                pool.push(id, &x)?;
            }
            pool.step();
            Ok::<_, recurrent::Error>(())
        })
        .unwrap();
        assert!(allocator_calls(|| pool.insert()).0 > 0, "{name}");
    }
}

#[test]
fn a_pool_that_takes_over_allocates_nothing() {
    let x = numbers::<f32, _>(INPUT).to_vec();
    for ((name, before), (_, after)) in streaming::<f32>().into_iter().zip(streaming::<f32>()) {
        let mut pool = StreamPool::with_capacity(before, 100).unwrap();
        let mut successor = StreamPool::with_capacity(after, 100).unwrap();
        let ids: Vec<_> = (0..90).map(|_| pool.insert().unwrap()).collect();
        ids.iter().step_by(2).for_each(|&id| successor.adopt(id).unwrap());
        let old = free(name, || {
            pool.push(ids[3], &x)?;
            let old = pool.swap(successor).map_err(ReplaceError::into_error)?;
            assert_eq!(pool.step(), 1);
            pool.insert()?;
            Ok::<_, recurrent::Error>(old)
        });
        drop(old.unwrap());
    }
}

#[test]
fn a_window_allocates_nothing_once_it_is_made() {
    fn check<T: Float>() {
        let x = numbers::<T, _>(INPUT).to_vec();
        for (name, layer) in streaming::<T>() {
            for length in [1, 2, 50] {
                let mut window = Window::new(&*layer, length).unwrap();
                free(name, || {
                    for _ in 0..length + 3 {
                        window.push(&x)?;
                    }
                    window.output();
                    window.reset();
                    window.push(&x).map(|_| ())
                })
                .unwrap();
            }
        }
    }
    check::<f32>();
    check::<f64>();
}

#[test]
fn a_stream_that_takes_over_allocates_nothing() {
    for ((name, before), (_, after)) in streaming::<f32>().into_iter().zip(streaming::<f32>()) {
        for batch in [1, 3] {
            let x = numbers::<f32, _>((batch, 20, INPUT));
            let outputs = before.output_size();
            let (input, mut output) = (x.as_slice().unwrap(), vec![0.0; batch * 20 * outputs]);
            let mut live = LiveStream::new(Stream::new(before.clone(), batch).unwrap());
            let successor = Successor::prepare(after.clone(), batch).unwrap().warm_up(&x).unwrap().crossfade(30);
            let next = Successor::prepare(before.clone(), batch).unwrap();
            let step = x.index_axis(ndarray::Axis(1), 4);
            let old = free(name, || {
                live.process(input, &mut output)?;
                live.swap(successor).map_err(ReplaceError::into_error)?;
                live.process(input, &mut output)?;
                live.step(&step)?;
                live.process(input, &mut output)?;
                let first = live.take_old();
                live.swap(next).map_err(ReplaceError::into_error)?;
                live.step(&step)?;
                live.reset();
                live.flush_below(1e-12);
                Ok::<_, recurrent::Error>([first, live.take_old()])
            });
            assert!(old.unwrap().iter().all(Option::is_some), "{name}");
        }
    }
}
