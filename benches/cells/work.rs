//! What is measured: layers as their users call them.

use std::hint::black_box;

use ndarray::prelude::*;
use recurrent::{
    Activation, Bidirectional, Float, Gru, Layer, Lstm, OutputMut, Result, Run, Scratch, SimpleRnn, Stacked, Stream,
};

use crate::clock::thread_time;
use crate::limits::{Limits, numbers};

/// A kind of layer.
#[derive(Clone, Copy, PartialEq)]
pub enum Kind {
    Lstm,
    Gru,
    /// With `reset_after=False`.
    GruBefore,
    SimpleRnn,
    /// Two LSTMs.
    BidirectionalLstm,
    /// Two LSTMs, one after the other.
    StackedLstm,
}

/// What is done with it.
#[derive(Clone, Copy, PartialEq)]
pub enum Work {
    /// Steps of one row through a stream, the whole call.
    Step,
    /// The same with other activations than the fused ones.
    StepWith(Activations),
    /// A hundred steps of one row.
    Sequence,
    /// Steps of many rows: rows, steps.
    Batch(usize, usize),
    /// 32 rows of 10 to 100 steps, per real step.
    Ragged,
    /// 32 rows and 100 steps, of which 70 % are taken, per real step.
    Masked,
    /// 32 rows and 50 steps; one in ten is reset.
    Resets,
    /// 32 rows and 50 steps of an input with the time first and every other feature left out.
    Strided,
}

/// Activations by a name: those of the candidate, and of the gates.
pub type Activations = &'static (&'static str, Activation, Activation);

/// Nanoseconds of a row's step, and what no program can be below.
pub struct Measured {
    pub nanoseconds: f64,
    pub limit: f64,
    /// Multiply-adds of a row's step.
    pub products: usize,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Kind::Lstm => "lstm",
            Kind::Gru => "gru",
            Kind::GruBefore => "gru-before",
            Kind::SimpleRnn => "simple-rnn",
            Kind::BidirectionalLstm => "bidirectional-lstm",
            Kind::StackedLstm => "stacked-lstm",
        }
    }

    /// Gates, and activations a unit, of one cell.
    fn gates(self) -> (usize, usize) {
        match self {
            Kind::Gru | Kind::GruBefore => (3, 3),
            Kind::SimpleRnn => (1, 1),
            _ => (4, 5),
        }
    }

    /// The sizes of the cells that it is made of.
    fn cells(self, input_size: usize, units: usize) -> Vec<(usize, usize)> {
        match self {
            Kind::BidirectionalLstm => vec![(input_size, units); 2],
            Kind::StackedLstm => vec![(input_size, units), (units, units)],
            _ => vec![(input_size, units)],
        }
    }

    pub fn layer<T: Float>(self, i: usize, u: usize, activations: Option<Activations>) -> Result<Box<dyn Layer<T>>> {
        let lstm = |i| Lstm::<T>::builder(i, u).return_sequences(true);
        macro_rules! with_activations {
            ($builder:expr) => {{
                let builder = $builder;
                match activations {
                    Some((_, activation, recurrent_activation)) => {
                        let builder = builder.activation(activation.clone());
                        builder.recurrent_activation(recurrent_activation.clone())
                    }
                    None => builder,
                }
            }};
        }
        let gru = || Gru::<T>::builder(i, u).return_sequences(true);
        Ok(match self {
            Kind::Lstm => Box::new(with_activations!(lstm(i)).build()?),
            Kind::Gru => Box::new(with_activations!(gru()).build()?),
            Kind::GruBefore => Box::new(with_activations!(gru().reset_after(false)).build()?),
            Kind::SimpleRnn => {
                let builder = SimpleRnn::<T>::builder(i, u).return_sequences(true);
                let activation = activations.map_or(Activation::Tanh, |(_, activation, _)| activation.clone());
                Box::new(builder.activation(activation).build()?)
            }
            Kind::BidirectionalLstm => Box::new(Bidirectional::new(lstm(i))?),
            Kind::StackedLstm => Box::new(Stacked::builder().layer(lstm(i).build()?).layer(lstm(u).build()?).build()?),
        })
    }

    /// The least time of a row's step: products at the peak or weights at the speed of reading, then activations.
    fn limit<T: Float>(self, limits: &Limits, work: Work, input_size: usize, units: usize) -> f64 {
        let (gates, activations) = self.gates();
        // A block is a tile of columns: one line of each gate, or four of a SimpleRNN. With the reset before the
        // product the order never turns.
        let block = (if self == Kind::SimpleRnn { 4 } else { gates }) * 64 / size_of::<T>();
        let cells = self.cells(input_size, units);
        // In a step the weights of all cells are read before the first one's are read again.
        let all = cells.iter().map(|&(i, u)| (i + u) * gates * u).sum::<usize>();
        let of_cell = |(i, u): (usize, usize)| {
            let products = |rows: usize| limits.products(rows * gates * u);
            let reading = |rows: usize, all: usize| {
                let block = if self == Kind::GruBefore { all } else { rows * block };
                limits.read::<T>(all, block) * (rows * gates * u) as f64 / all as f64
            };
            let matrices = match work {
                Work::Step | Work::StepWith(_) => products(i + u).max(reading(i + u, all)),
                Work::Sequence => products(i) + products(u).max(reading(u, u * gates * u)),
                _ => products(i + u),
            };
            matrices + limits.activations(activations * u)
        };
        cells.into_iter().map(of_cell).sum()
    }
}

impl Work {
    pub fn name(self) -> String {
        match self {
            Work::Step => "step".into(),
            Work::StepWith((name, ..)) => format!("step {name}"),
            Work::Sequence => "sequence".into(),
            Work::Batch(rows, steps) => format!("batch {rows}x{steps}"),
            Work::Ragged => "ragged".into(),
            Work::Masked => "masked".into(),
            Work::Resets => "resets".into(),
            Work::Strided => "strided".into(),
        }
    }

    /// Rows and steps.
    fn sizes(self) -> (usize, usize) {
        match self {
            Work::Step | Work::StepWith(_) | Work::Sequence => (1, 100),
            Work::Batch(rows, steps) => (rows, steps),
            Work::Ragged | Work::Masked => (32, 100),
            Work::Resets | Work::Strided => (32, 50),
        }
    }
}

/// Measures some work of a layer, by the clock that is given.
pub fn nanoseconds<T: Float>(layer: &dyn Layer<T>, work: Work, time: fn(&mut dyn FnMut()) -> f64) -> Result<f64> {
    let ((batch, steps), features) = (work.sizes(), layer.input_size());
    let shape = (batch, steps, features);
    let values = |len| Array1::from_vec(numbers::<T>(len, 1.0, 9));
    let x = Array3::from_shape_fn(shape, {
        let values = values(batch * steps * features);
        move |(b, t, f)| values[(b * steps + t) * features + f]
    });
    if matches!(work, Work::Step | Work::StepWith(_)) {
        let mut stream = Stream::new(layer, 1)?;
        let samples = x.as_slice().unwrap_or_default();
        let all = time(&mut || {
            for sample in samples.chunks_exact(features) {
                if let Ok(output) = stream.step_one(black_box(sample)) {
                    black_box(output);
                }
            }
        });
        return stream.step_one(&samples[..features]).map(|_| all / steps as f64);
    }

    let mut seed = 1_u64;
    let mut random = move |n: u64| {
        seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (seed >> 33) % n
    };
    let lengths: Vec<usize> = (0..batch).map(|_| 10 + random(91) as usize).collect();
    let flags = Array2::from_shape_fn((batch, steps), |_| random(10) < 7);
    let resets = Array2::from_shape_fn((batch, steps), |_| random(10) < 1);
    let strided = Array3::<T>::from_elem((steps, batch, 2 * features), T::from_f64(0.5));
    let row_steps = match work {
        Work::Ragged => lengths.iter().sum(),
        Work::Masked => flags.iter().filter(|&&taken| taken).count(),
        _ => batch * steps,
    };
    let strided = strided.slice(s![.., .., ..;2]).permuted_axes([1, 0, 2]);
    let x = if work == Work::Strided { strided } else { x.view() };
    let mut sequence = Array3::zeros((batch, steps, layer.output_size()));
    let mut scratch = Scratch::new();
    let mut failed = Ok(());
    let all = time(&mut || {
        let run = match work {
            Work::Ragged => Run::new().lengths(&lengths),
            Work::Masked => Run::new().mask(&flags),
            Work::Resets => Run::new().resets(&resets),
            _ => Run::new(),
        };
        let out = OutputMut::new().sequence(&mut sequence);
        failed = failed.clone().and(layer.run_into(black_box(&x), run, out, &mut scratch));
    });
    failed.map(|()| all / row_steps as f64)
}

/// Measures some work on one thread, and its limit.
pub fn measure<T: Float>(limits: &Limits, kind: Kind, work: Work, i: usize, u: usize) -> Result<Measured> {
    let activations = if let Work::StepWith(activations) = work { Some(activations) } else { None };
    let layer = kind.layer::<T>(i, u, activations)?;
    let nanoseconds = nanoseconds(&*layer, work, |call| thread_time(call))?;
    let products = kind.cells(i, u).into_iter().map(|(i, u)| kind.gates().0 * u * (i + u)).sum();
    Ok(Measured { nanoseconds, limit: kind.limit::<T>(limits, work, i, u), products })
}
