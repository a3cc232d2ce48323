//! A stream in a pool has the bits that it would have alone, whoever comes and goes around it.

use std::collections::BTreeMap;

use ndarray::Array1;
use proptest::test_runner::TestCaseResult;
use recurrent::{Error, Float, Layer, ReplaceError, State, Stream, StreamId, StreamPool};

use super::case::{Case, check, streaming_layers};
use super::compare::{same, same_state};
use super::numbers::{Numbers, odd_number};

/// A stream alone, and what of it is to be seen in the pool.
struct Alone<'l, T: Float> {
    stream: Stream<T, &'l dyn Layer<T>>,
    waits: Option<Array1<T>>,
    output: Option<Array1<T>>,
    /// The steps of the pool without it.
    idle: u64,
}

/// A pool and what it is compared with.
struct Program<'l, T: Float> {
    layer: &'l dyn Layer<T>,
    pool: StreamPool<T, &'l dyn Layer<T>>,
    alone: BTreeMap<StreamId, Alone<'l, T>>,
    gone: Vec<StreamId>,
    capacity: Option<usize>,
    odd: bool,
    numbers: Numbers,
}

impl<'l, T: Float> Program<'l, T> {
    fn state(&mut self) -> State<T> {
        let mut state = self.layer.initial_state(1);
        let parts: Vec<_> = state.names().map(String::from).collect();
        for part in parts {
            let shape = state.get(&part).unwrap().dim();
            state.set(&part, &self.numbers.array(1.0, shape)).unwrap();
        }
        state
    }

    fn insert(&mut self) -> TestCaseResult {
        let full = self.capacity == Some(self.alone.len());
        let state = self.numbers.chance(30).then(|| self.state());
        let inserted = match &state {
            None => self.pool.insert(),
            Some(state) => self.pool.insert_with(state),
        };
        if full {
            assert_eq!(inserted, Err(Error::PoolFull { capacity: self.alone.len() }));
            return Ok(());
        }
        let mut stream = Stream::new(self.layer, 1)?;
        if let Some(state) = &state {
            stream.set_state(state)?;
        }
        let id = inserted?;
        assert!(!self.gone.contains(&id), "an id comes twice");
        let before = self.alone.insert(id, Alone { stream, waits: None, output: None, idle: 0 });
        assert!(before.is_none(), "an id comes twice");
        Ok(())
    }

    /// What is done to one stream between two steps.
    fn touch(&mut self, id: StreamId) -> TestCaseResult {
        match self.numbers.below(14) {
            0 => self.remove(id)?,
            1 => self.evict(id)?,
            2 => {
                let state = self.state();
                self.pool.set_state(id, &state)?;
                let alone = self.alone.get_mut(&id).unwrap();
                alone.stream.set_state(&state)?;
                alone.output = None;
            }
            3 => {
                self.pool.reset(id)?;
                let alone = self.alone.get_mut(&id).unwrap();
                alone.stream.reset();
                alone.output = None;
            }
            4..=8 => self.push(id)?,
            _ => {}
        }
        Ok(())
    }

    fn push(&mut self, id: StreamId) -> TestCaseResult {
        let mut x: Array1<T> = self.numbers.array(2.0, self.layer.input_size());
        if self.odd {
            x.mapv_inplace(|value| if self.numbers.chance(2) { odd_number(&mut self.numbers) } else { value });
        }
        let alone = self.alone.get_mut(&id).unwrap();
        let pushed = self.pool.push(id, x.as_slice().unwrap());
        if alone.waits.is_some() {
            assert_eq!(pushed, Err(Error::SampleWaits { number: id.number() }));
        } else {
            pushed?;
            alone.waits = Some(x);
        }
        assert!(self.pool.is_ready(id)?);
        Ok(())
    }

    fn remove(&mut self, id: StreamId) -> TestCaseResult {
        let alone = self.alone.remove(&id).unwrap();
        let state = self.pool.remove(id)?;
        self.gone.push(id);
        same_state("removed", &state, alone.stream.state())
    }

    fn evict(&mut self, id: StreamId) -> TestCaseResult {
        let evicted = self.pool.evict(id);
        if self.alone[&id].waits.is_some() {
            assert_eq!(evicted, Err(Error::SampleWaits { number: id.number() }));
            return Ok(());
        }
        let mut alone = self.alone.remove(&id).unwrap();
        self.gone.push(id);
        let bytes = evicted?;
        assert_eq!(bytes, alone.stream.state().to_bytes());
        let saved = alone.stream.state().clone();
        alone.stream.set_state(&saved)?;
        (alone.output, alone.idle) = (None, 0);
        let id = self.pool.restore(&bytes)?;
        self.alone.insert(id, alone);
        Ok(())
    }

    fn step(&mut self) -> TestCaseResult {
        let mut stepped = 0;
        for alone in self.alone.values_mut() {
            alone.idle += 1;
            if let Some(x) = alone.waits.take() {
                alone.output = Some(ndarray::aview1(alone.stream.step_one(x.as_slice().unwrap())?).to_owned());
                alone.idle = 0;
                stepped += 1;
            }
        }
        assert_eq!(self.pool.step(), stepped);
        Ok(())
    }

    /// Everything that is to be seen of the pool.
    fn compare(&self) -> TestCaseResult {
        assert_eq!(self.pool.len(), self.alone.len());
        let mut ids: Vec<_> = self.pool.ids().collect();
        ids.sort_unstable();
        assert!(ids.iter().eq(self.alone.keys()), "{ids:?}");
        for (&id, alone) in &self.alone {
            match &alone.output {
                None => assert_eq!(self.pool.output(id), Err(Error::NoOutputYet { number: id.number() })),
                Some(output) => same("output", &ndarray::aview1(self.pool.output(id)?), output)?,
            }
            same_state("state", &self.pool.state(id)?, alone.stream.state())?;
            assert_eq!(self.pool.idle_steps(id)?, alone.idle);
        }
        for &id in &self.gone {
            assert!(!self.pool.contains(id));
            assert_eq!(self.pool.output(id), Err(Error::StreamGone { number: id.number() }));
        }
        Ok(())
    }
}

#[test]
fn a_stream_in_a_pool_is_the_stream_alone() {
    check(streaming_layers(), law::<f32>, law::<f64>);
    fn law<T: Float>(case: &Case) -> TestCaseResult {
        let mut numbers = case.numbers("pool");
        // Of one page, and of several, which aren't full.
        let most = [3, 10, 30, 140][numbers.below(4)];
        let widest = if most > 10 { 9 } else { 40 };
        let case = Case { units: case.units.min(widest), input_size: case.input_size.min(widest), ..case.clone() };
        let layer = case.layer::<T>();
        let capacity = numbers.chance(50).then_some(most);
        let pool = match capacity {
            None => StreamPool::new(&*layer)?,
            Some(capacity) => StreamPool::with_capacity(&*layer, capacity)?,
        };
        let (alone, gone, odd) = (BTreeMap::new(), Vec::new(), case.odd_numbers);
        let mut program = Program { layer: &*layer, pool, alone, gone, capacity, odd, numbers };
        for _ in 0..3 {
            let new = program.numbers.below(most + 2);
            for _ in 0..new {
                program.insert()?;
            }
            for _ in 0..2 {
                let ids: Vec<_> = program.alone.keys().copied().collect();
                for id in ids {
                    program.touch(id)?;
                }
                program.step()?;
                program.compare()?;
            }
        }
        Ok(())
    }
}

/// Other weights of the same structure, between two steps: all streams go on with them, and new ones begin with them.
#[test]
fn new_weights_in_a_pool_are_those_of_streams() {
    check(streaming_layers(), law::<f32>, law::<f64>);
    fn law<T: Float>(case: &Case) -> TestCaseResult {
        let case = Case { units: case.units.min(9), input_size: case.input_size.min(9), ..case.clone() };
        let (before, after) = (case.layer::<T>(), Case { seed: case.seed ^ 1, ..case.clone() }.layer::<T>());
        let mut numbers = case.numbers("weights");
        let mut pool = StreamPool::<T, &dyn Layer<T>>::new(&*before)?;
        let mut streams = Vec::new();
        for _ in 0..1 + numbers.below(70) {
            streams.push((pool.insert()?, Stream::<T, &dyn Layer<T>>::new(&*before, 1)?));
        }
        for round in 0..4 {
            if round == 2 {
                // Two seeds may draw two structures.
                if let Err(error) = pool.replace_layer(&*after) {
                    let refused = streams[0].1.replace_layer(&*after).map(|_| ()).map_err(ReplaceError::into_error);
                    assert_eq!(refused, Err(error.into_error()));
                    return Ok(());
                }
                for (_, stream) in &mut streams {
                    stream.replace_layer(&*after).map_err(ReplaceError::into_error)?;
                }
                streams.push((pool.insert()?, Stream::new(&*after, 1)?));
            }
            for (id, stream) in &mut streams {
                let x: Array1<T> = numbers.array(2.0, case.input_size);
                pool.push(*id, x.as_slice().unwrap())?;
                stream.step_one(x.as_slice().unwrap())?;
            }
            assert_eq!(pool.step(), streams.len());
            for (id, stream) in &streams {
                same("output", &ndarray::aview1(pool.output(*id)?), &stream.output().row(0))?;
                same_state("state", &pool.state(*id)?, stream.state())?;
            }
        }
        Ok(())
    }
}

/// A layer of another layout takes over; those whom it knows are warm.
#[test]
fn a_pool_that_takes_over_goes_on_with_each_stream() {
    check(streaming_layers(), law::<f32>, law::<f64>);
    fn law<T: Float>(case: &Case) -> TestCaseResult {
        let case = Case { units: case.units.min(9), input_size: case.input_size.min(9), ..case.clone() };
        let before = case.layer::<T>();
        let other = Case { kind: super::case::Kind::GruAfter, units: before.output_size(), ..case.clone() };
        let after = other.layer::<T>();
        let mut numbers = case.numbers("swap");
        let count = 1 + numbers.below(80);
        let of = |layer| match case.seed % 2 {
            0 => StreamPool::<T, &dyn Layer<T>>::new(layer),
            _ => StreamPool::with_capacity(layer, count + 2),
        };
        let (mut pool, mut successor) = (of(&*before)?, of(&*after)?);
        let ids = (0..count).map(|_| pool.insert()).collect::<Result<Vec<_>, _>>()?;
        let sample = |numbers: &mut Numbers| numbers.array::<T, _>(2.0, case.input_size).to_vec();
        let mut alone = Vec::new();
        for &id in &ids {
            let mut stream = Stream::new(&*after, 1)?;
            if numbers.chance(60) {
                successor.adopt(id)?;
                successor.adopt(id)?;
                let x = sample(&mut numbers);
                successor.push(id, &x)?;
                stream.step_one(&x)?;
            }
            alone.push((id, stream, None));
        }
        successor.step();
        // Meanwhile the pool goes on.
        let removed = alone.remove(numbers.below(count));
        pool.remove(removed.0)?;
        let new = pool.insert()?;
        alone.push((new, Stream::new(&*after, 1)?, None));
        for (id, _, waits) in &mut alone {
            if numbers.chance(50) {
                let x = sample(&mut numbers);
                pool.push(*id, &x)?;
                *waits = Some(x);
            }
        }
        let old = pool.swap(successor).map_err(ReplaceError::into_error)?;
        assert_eq!((old.len(), pool.len()), (count, count));
        assert!(!pool.contains(removed.0));
        assert_eq!(pool.step(), alone.iter().filter(|(_, _, waits)| waits.is_some()).count());
        for (id, stream, waits) in &mut alone {
            if let Some(x) = waits {
                let output = stream.step_one(x)?;
                same("output", &ndarray::aview1(pool.output(*id)?), &ndarray::aview1(output))?;
            }
            same_state("state", &pool.state(*id)?, stream.state())?;
        }
        // Places are free that were, and no others.
        let free = pool.capacity() - pool.len();
        for _ in 0..free {
            pool.insert()?;
        }
        assert_eq!(pool.insert().is_err(), case.seed % 2 == 1);
        Ok(())
    }
}

#[cfg(feature = "rayon")]
#[test]
fn threads_change_no_bit_of_a_pool() {
    use recurrent::Lstm;
    let lstm = Lstm::<f32>::new(30, 70);
    let pools = [false, true].map(|threads| {
        let mut pool = StreamPool::with_capacity(&lstm, 1000).unwrap().threads(threads);
        let mut numbers = Numbers::new(5, "threads");
        let ids: Vec<_> = (0..1000).map(|_| pool.insert().unwrap()).collect();
        for _ in 0..3 {
            for &id in &ids {
                if numbers.chance(60) {
                    pool.push(id, numbers.array::<f32, _>(1.0, 30).as_slice().unwrap()).unwrap();
                }
            }
            pool.step();
        }
        ids.iter().map(|&id| pool.remove(id).unwrap()).collect::<Vec<_>>()
    });
    assert_eq!(pools[0], pools[1]);
}

/// A chain that hides steps: their outputs repeat, and the states stay.
#[test]
fn hidden_steps_in_a_pool_are_those_of_streams() {
    fn check<T: Float>(hidden: f64) {
        let layer = super::windows::hiding::<T>(hidden);
        let mut pool = StreamPool::new(&*layer).unwrap();
        let mut numbers = Numbers::new(3, "hidden");
        let mut streams: Vec<_> =
            (0..70).map(|_| (pool.insert().unwrap(), Stream::new(&*layer, 1).unwrap(), false)).collect();
        for _ in 0..6 {
            for (id, stream, stepped) in &mut streams {
                if numbers.chance(70) {
                    let x = super::windows::sometimes_hidden::<T>(hidden, &mut numbers);
                    pool.push(*id, &x).unwrap();
                    stream.step_one(&x).unwrap();
                    *stepped = true;
                }
            }
            pool.step();
            for (id, stream, _) in streams.iter().filter(|(_, _, stepped)| *stepped) {
                assert_eq!(pool.output(*id).unwrap(), stream.output().row(0).to_vec());
                assert_eq!(pool.state(*id).unwrap(), *stream.state());
            }
        }
    }
    for hidden in [0.0, -1.0] {
        check::<f32>(hidden);
        check::<f64>(hidden);
    }
}
