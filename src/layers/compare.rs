//! What two forms of a layer do differently with the same input.

mod picture;

use std::fmt;

use ndarray::{Array3, ArrayRef3, Axis, concatenate};

use super::Layer;
use super::summary::thousands;
use crate::error::{Error, Result};
use crate::float::Float;
use crate::output::Output;

/// What a layer and another form of it, a quantized one, do differently: made by [`Layer::compare`].
///
/// It prints as a table, in per cent of the range of the first layer's outputs, and [`svg`](Comparison::svg) draws the errors
/// over time; [`generated`](Comparison::generated) feeds both with their own outputs.
///
/// ```
/// use ndarray::prelude::*;
/// use recurrent::{Layer, Lstm, Precision};
/// let lstm = Lstm::<f32>::builder(3, 8).return_sequences(true).build()?;
/// let x = Array3::from_shape_fn((2, 40, 3), |(row, time, i)| ((3 * row + time + i) as f32).sin());
/// let difference = lstm.compare(&lstm.quantize(Precision::Int8)?, &x)?;
/// assert_eq!(difference.by_step().len(), 40);
/// assert_eq!(difference.by_output().len(), 8);
/// assert!(difference.largest() < 0.05 && difference.mean() <= difference.largest());
/// println!("{difference}");
/// # Ok::<(), recurrent::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    classes: [&'static str; 2],
    rows: usize,
    /// The smallest and the largest output of the first layer.
    range: [f64; 2],
    all: Deviation,
    by_step: Vec<Deviation>,
    by_output: Vec<Deviation>,
    changed: usize,
    bytes: [usize; 2],
}

/// How far apart numbers are: infinitely, if one of two is NaN.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[non_exhaustive]
pub struct Deviation {
    /// The largest distance.
    pub largest: f64,
    /// The mean distance.
    pub mean: f64,
}

/// The most lines of steps in the table.
const LINES: usize = 8;

impl Comparison {
    /// The largest distance between two outputs.
    pub fn largest(&self) -> f64 {
        self.all.largest
    }

    /// The mean distance.
    pub fn mean(&self) -> f64 {
        self.all.mean
    }

    /// The smallest and the largest output of the first layer.
    pub fn range(&self) -> [f64; 2] {
        self.range
    }

    /// The distances at each step, in the order of the outputs; one step of a layer that returns its last output alone.
    pub fn by_step(&self) -> &[Deviation] {
        &self.by_step
    }

    /// The distances of each output.
    pub fn by_output(&self) -> &[Deviation] {
        &self.by_output
    }

    /// The mean distance in the last quarter of the steps over that in the first: about one if errors don't grow with
    /// time. `None` for fewer than 8 steps, or a first quarter without a difference.
    pub fn growth(&self) -> Option<f64> {
        let quarter = self.by_step.len() / 4;
        let mean = |steps: &[Deviation]| steps.iter().map(|step| step.mean).sum::<f64>();
        let (first, last) = (self.by_step.get(..quarter)?, self.by_step.get(self.by_step.len() - quarter..)?);
        (quarter >= 2 && mean(first) > 0.0).then(|| mean(last) / mean(first))
    }

    /// The share of rows and steps whose largest output is another one, of layers with at least two outputs: what
    /// changes if they are classes.
    pub fn changed_classes(&self) -> Option<f64> {
        let all = self.rows * self.by_step.len();
        (self.by_output.len() > 1 && all > 0).then(|| self.changed as f64 / all as f64)
    }

    /// The bytes of the weights of both layers.
    pub fn weight_bytes(&self) -> [usize; 2] {
        self.bytes
    }
}

/// [`Layer::compare`].
pub(super) fn compare<T: Float>(
    layer: &(impl Layer<T> + ?Sized),
    other: &dyn Layer<T>,
    x: &ArrayRef3<T>,
) -> Result<Comparison> {
    for (what, expected, given) in [
        ("input_size", layer.input_size().to_string(), other.input_size().to_string()),
        ("output_size", layer.output_size().to_string(), other.output_size().to_string()),
        ("return_sequences", layer.returns_sequences().to_string(), other.returns_sequences().to_string()),
    ] {
        if expected != given {
            return Err(Error::Compared { what, expected, given });
        }
    }
    let (expected, given) = (outputs(layer.forward(x)?)?, outputs(other.forward(x)?)?);
    let classes = [layer.class_name(), other.class_name()];
    Ok(compare_outputs(classes, &expected, &given, [layer.weight_bytes(), other.weight_bytes()]))
}

/// The same of outputs that are there, both (rows, steps, outputs).
pub(crate) fn compare_outputs<T: Float>(
    classes: [&'static str; 2],
    expected: &Array3<T>,
    given: &Array3<T>,
    bytes: [usize; 2],
) -> Comparison {
    let (rows, steps, width) = expected.dim();
    let sum = |parts: &mut dyn Iterator<Item = (T, T)>| {
        let (mut largest, mut total, mut count) = (0.0, 0.0, 0_usize);
        for (a, b) in parts {
            let distance = distance(a, b);
            largest = f64::max(largest, distance);
            total += distance;
            count += 1;
        }
        Deviation { largest, mean: total / count.max(1) as f64 }
    };
    let both = |axis: usize, at: usize| {
        let (expected, given) = (expected.index_axis(Axis(axis), at), given.index_axis(Axis(axis), at));
        sum(&mut expected.iter().copied().zip(given.iter().copied()))
    };
    let finite = || expected.iter().map(|value| value.into_f64()).filter(|value| value.is_finite());
    let rows_of = |array: &Array3<T>| {
        array.lanes(Axis(2)).into_iter().map(|row| place_of_largest(row.iter().copied())).collect::<Vec<_>>()
    };
    Comparison {
        classes,
        rows,
        range: [finite().fold(f64::INFINITY, f64::min), finite().fold(f64::NEG_INFINITY, f64::max)],
        all: sum(&mut expected.iter().copied().zip(given.iter().copied())),
        by_step: (0..steps).map(|step| both(1, step)).collect(),
        by_output: (0..width).map(|output| both(2, output)).collect(),
        changed: rows_of(expected).iter().zip(rows_of(given)).filter(|(a, b)| **a != *b).count(),
        bytes,
    }
}

/// All outputs, (batch, timesteps, units), those of a backward direction that isn't merged behind the others.
fn outputs<T: Float>(output: Output<T>) -> Result<Array3<T>> {
    let array = |output: &Output<T>| match output.sequence() {
        Ok(sequence) => sequence.clone(),
        Err(_) => output.last().clone().insert_axis(Axis(1)),
    };
    let all = match output.backward() {
        Ok(backward) => vec![array(&output), array(backward)],
        Err(_) => vec![array(&output)],
    };
    let views: Vec<_> = all.iter().map(|array| array.view()).collect();
    let shape = || all.iter().flat_map(|array| array.shape().to_vec()).collect();
    concatenate(Axis(2), &views).map_err(|_| Error::TensorTooLarge { shape: shape() })
}

fn distance<T: Float>(a: T, b: T) -> f64 {
    if a == b || a.is_nan() && b.is_nan() {
        return 0.0;
    }
    let distance = (a.into_f64() - b.into_f64()).abs();
    if distance.is_nan() { f64::INFINITY } else { distance }
}

fn place_of_largest<T: Float>(values: impl Iterator<Item = T>) -> usize {
    let mut largest: Option<(usize, T)> = None;
    for (place, value) in values.enumerate() {
        if largest.is_none_or(|(_, most)| value > most) {
            largest = Some((place, value));
        }
    }
    largest.map_or(0, |(place, _)| place)
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [first, second] = self.classes;
        let [low, high] = self.range;
        let steps = self.by_step.len();
        writeln!(f, "{second} against {first}: {} x {steps} steps, outputs from {low:.4} to {high:.4}", self.rows)?;
        let range = if high > low { high - low } else { 1.0 };
        writeln!(f, "{:<22}{:>14}{:>14}", "% of the range", "largest error", "mean error")?;
        let mut line = |name: String, deviation: Deviation| {
            let Deviation { largest, mean } = deviation;
            writeln!(f, "{name:<22}{:>14.4}{:>14.4}", 100.0 * largest / range, 100.0 * mean / range)
        };
        line("all".into(), self.all)?;
        for steps in parts(steps) {
            let of_steps = &self.by_step[steps.clone()];
            let largest = of_steps.iter().fold(0.0, |largest, step| f64::max(largest, step.largest));
            let mean = of_steps.iter().map(|step| step.mean).sum::<f64>() / of_steps.len() as f64;
            line(format!("steps {} to {}", steps.start, steps.end - 1), Deviation { largest, mean })?;
        }
        let worst = self.by_output.iter().enumerate().max_by(|(_, a), (_, b)| a.mean.total_cmp(&b.mean));
        if let Some((output, &deviation)) = worst {
            line(format!("worst: output {output}"), deviation)?;
        }
        if let Some(growth) = self.growth() {
            writeln!(f, "mean error of the last quarter of steps / of the first: {growth:.2}")?;
        }
        if let Some(changed) = self.changed_classes() {
            writeln!(
                f,
                "the largest output is another one in {} places ({:.3} %)",
                thousands(self.changed),
                100.0 * changed
            )?;
        }
        let [before, after] = self.bytes;
        let share = 100.0 * after as f64 / before.max(1) as f64;
        write!(f, "weights: {} bytes, {} before ({share:.1} %)", thousands(after), thousands(before))
    }
}

/// Steps in a few parts, as equal as can be; none for a single step.
fn parts(steps: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    let count = if steps > 1 { steps.min(LINES) } else { 0 };
    (0..count).map(move |i| i * steps / count..(i + 1) * steps / count)
}
