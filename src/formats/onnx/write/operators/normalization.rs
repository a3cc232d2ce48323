//! Normalization: by statistics of their own, and by those that training has left.

use ndarray::ArrayD;

use super::{Call, Outputs};
use crate::float::Float;
use crate::formats::onnx::write::graph::{Attribute, Held, Kind};
use crate::formats::onnx::write::words::{Weights, Words};
use crate::formats::onnx::write::writer::{HINT, Writer};
use crate::formats::save_error::SaveError;
use crate::graph::shape::axis_at;

pub(super) const CLASSES: [&str; 6] = [
    "LayerNormalization",
    "RMSNormalization",
    "BatchNormalization",
    "GroupNormalization",
    "UnitNormalization",
    "Normalization",
];

type Made = Result<Held, SaveError>;

impl<T: Float> Writer<T> {
    pub(super) fn normalization(&mut self, words: Words<'_>, weights: &Weights<'_, T>, call: &Call) -> Outputs {
        let x = self.as_floats(&call.x());
        let output = match words.class() {
            "LayerNormalization" => self.layer_normalization(words, weights, &x)?,
            "RMSNormalization" => {
                let axes = self.places(words, &x)?;
                let squares = self.two("Mul", &x, &x);
                let mean = self.reduce("ReduceMean", &squares, &axes, true);
                let scaled = self.over_deviation(&x, &mean, words.number("epsilon"));
                self.weighed(scaled, weights.find("scale").or_else(|| weights.find("gamma")), None, &axes)
            }
            "BatchNormalization" => self.batch_normalization(words, weights, &x)?,
            "GroupNormalization" => self.group_normalization(words, weights, &x)?,
            "UnitNormalization" => {
                let axes = self.places(words, &x)?;
                self.unit(&x, &axes, words.number("least"))
            }
            _ => self.standardization(words, weights, &x)?,
        };
        call.passing(output)
    }

    /// The places of the axes that are named.
    fn places(&self, words: Words<'_>, x: &Held) -> Result<Vec<usize>, SaveError> {
        let axes = words.integers("axis").into_iter().map(|axis| axis_at(axis, x.rank()));
        axes.collect::<Option<Vec<_>>>().ok_or_else(|| self.refuse(HINT))
    }

    /// A weight of these axes, one elsewhere.
    fn spread_over(&mut self, name: &str, weight: &ArrayD<T>, axes: &[usize], rank: usize) -> Held {
        let mut order: Vec<usize> = (0..axes.len().min(weight.ndim())).collect();
        order.sort_by_key(|&place| axes[place]);
        let weight = if order.len() == weight.ndim() { weight.clone().permuted_axes(order) } else { weight.clone() };
        let mut sizes = weight.shape().iter();
        let shape: Vec<usize> =
            (0..rank).map(|axis| if axes.contains(&axis) { *sizes.next().unwrap_or(&1) } else { 1 }).collect();
        self.floats(name, &shape, weight.iter().copied())
    }

    /// `gamma * x + beta`.
    fn weighed(&mut self, x: Held, gamma: Option<ArrayD<T>>, beta: Option<ArrayD<T>>, axes: &[usize]) -> Held {
        let mut x = x;
        for (operator, name, weight) in [("Mul", "gamma", gamma), ("Add", "beta", beta)] {
            if let Some(weight) = weight {
                let weight = self.spread_over(name, &weight, axes, x.rank());
                x = self.two(operator, &x, &weight);
            }
        }
        x
    }

    /// `x / sqrt(variance + epsilon)`.
    fn over_deviation(&mut self, x: &Held, variance: &Held, epsilon: f64) -> Held {
        let sum = self.with_number("Add", variance, epsilon);
        let deviation = self.same("Sqrt", &sum, &[]);
        self.two("Div", x, &deviation)
    }

    /// `(x - mean) / sqrt(variance + epsilon)` along these axes.
    fn normalized(&mut self, x: &Held, axes: &[usize], epsilon: f64) -> Held {
        let mean = self.reduce("ReduceMean", x, axes, true);
        let centred = self.two("Sub", x, &mean);
        let squares = self.two("Mul", &centred, &centred);
        let variance = self.reduce("ReduceMean", &squares, axes, true);
        self.over_deviation(&centred, &variance, epsilon)
    }

    fn layer_normalization(&mut self, words: Words<'_>, weights: &Weights<'_, T>, x: &Held) -> Made {
        let (axes, epsilon) = (self.places(words, x)?, words.number("epsilon"));
        let (gamma, beta) = (weights.find("gamma"), weights.find("beta"));
        let first = x.rank() - axes.len();
        let shape: Vec<usize> = x.shape[first..].iter().map_while(|&size| size).collect();
        // The operator goes along all axes from one on.
        if axes.iter().copied().ne(first..x.rank()) || shape.len() != axes.len() {
            let normalized = self.normalized(x, &axes, epsilon);
            return Ok(self.weighed(normalized, gamma, beta, &axes));
        }
        let gamma = gamma.unwrap_or_else(|| ArrayD::ones(shape));
        let gamma = self.array("gamma", &gamma);
        let mut inputs = vec![x.name.clone(), gamma.name];
        if let Some(beta) = beta {
            inputs.push(self.array("beta", &beta).name);
        }
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        let axis = first as i64 - x.rank() as i64;
        let attributes = [("axis", Attribute::Int(axis)), ("epsilon", Attribute::Float(epsilon as f32))];
        Ok(Held::new(self.one("LayerNormalization", &inputs, &attributes), Kind::Float, x.shape.clone()))
    }

    /// A product and a sum: the statistics don't change.
    fn batch_normalization(&mut self, words: Words<'_>, weights: &Weights<'_, T>, x: &Held) -> Made {
        let axes = self.places(words, x)?;
        let epsilon = T::from_f64(words.number("epsilon"));
        let (mean, variance) = (weights.get("moving_mean"), weights.get("moving_variance"));
        let mut scale = variance.mapv(|variance| T::one() / (variance + epsilon).sqrt());
        if let Some(gamma) = weights.find("gamma") {
            scale *= &gamma;
        }
        let mut offset = -mean * &scale;
        if let Some(beta) = weights.find("beta") {
            offset += &beta;
        }
        Ok(self.weighed(x.clone(), Some(scale), Some(offset), &axes))
    }

    /// Groups of the channels, each with all places of a row.
    fn group_normalization(&mut self, words: Words<'_>, weights: &Weights<'_, T>, x: &Held) -> Made {
        let rank = x.rank();
        let axis = axis_at(words.integer("axis"), rank).ok_or_else(|| self.refuse(HINT))?;
        let Some(channels) = x.shape[axis] else { return Err(self.refuse(HINT)) };
        let groups = usize::try_from(words.integer("groups")).unwrap_or(channels).max(1);
        let order: Vec<usize> = (0..rank).filter(|&own| own != axis).chain([axis]).collect();
        let last = self.transpose(x, &order);
        // (batch, places.., groups, width)
        let stay = vec![0_i64; rank - 1];
        let target = [&stay[..], &[groups as i64, (channels / groups) as i64]].concat();
        let shape = [&last.shape[..rank - 1], &[Some(groups), Some(channels / groups)]].concat();
        let apart = self.reshape(&last, &target, shape);
        let along: Vec<usize> = (1..=rank).filter(|&own| own != rank - 1).collect();
        let normalized = self.normalized(&apart, &along, words.number("epsilon"));
        let joined = self.reshape(&normalized, &[&stay[..], &[channels as i64]].concat(), last.shape.clone());
        let weighed = self.weighed(joined, weights.find("gamma"), weights.find("beta"), &[rank - 1]);
        let back: Vec<usize> = (0..rank).map(|own| order.iter().position(|&from| from == own).unwrap_or(0)).collect();
        Ok(self.transpose(&weighed, &back))
    }

    /// Vectors of length one, but for those whose sum of squares is less than the least.
    pub(super) fn unit(&mut self, x: &Held, axes: &[usize], least: f64) -> Held {
        let squares = self.two("Mul", x, x);
        let sum = self.reduce("ReduceSum", &squares, axes, true);
        let sum = self.with_number("Max", &sum, least);
        let length = self.same("Sqrt", &sum, &[]);
        self.two("Div", x, &length)
    }

    /// By a mean and a variance that are known.
    fn standardization(&mut self, words: Words<'_>, weights: &Weights<'_, T>, x: &Held) -> Made {
        let mut axes = self.places(words, x)?;
        axes.sort_unstable();
        let shape: Vec<usize> = words.integers("shape").iter().map(|&size| size as usize).collect();
        let known = |name: &str| {
            let given = words.numbers(name).into_iter().map(T::from_f64).collect();
            weights.find(name).or_else(|| ArrayD::from_shape_vec(&shape[..], given).ok())
        };
        let (Some(mean), Some(variance)) = (known("mean"), known("variance")) else { return Err(self.refuse(HINT)) };
        let least = T::from_f64(1e-7);
        let deviation = variance.mapv(|variance| if variance.sqrt() < least { least } else { variance.sqrt() });
        // The last of the axes have the mean's sizes.
        let axes = &axes[axes.len().saturating_sub(mean.ndim())..];
        let rank = x.rank();
        let (mean, deviation) =
            (self.spread_over("mean", &mean, axes, rank), self.spread_over("deviation", &deviation, axes, rank));
        Ok(match words.flag("invert") {
            true => {
                let scaled = self.two("Mul", x, &deviation);
                self.two("Add", &mean, &scaled)
            }
            false => {
                let centred = self.two("Sub", x, &mean);
                self.two("Div", &centred, &deviation)
            }
        })
    }
}
