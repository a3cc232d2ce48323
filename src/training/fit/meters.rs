//! What is logged of an epoch: losses and metrics.

use ndarray::ArrayD;

use crate::error::{Error, Result};
use crate::float::Float;
use crate::training::loss::{Factors, Target, Weighting};
use crate::training::metrics::{Metric, MetricState};

/// A metric of one output.
#[derive(Debug, Clone)]
pub(super) struct MetricOf {
    pub(super) output: usize,
    pub(super) metric: Metric,
    pub(super) weighted: bool,
}

/// A mean, weighted by rows.
#[derive(Debug, Clone, Copy, Default)]
struct Mean {
    sum: f64,
    rows: usize,
}

impl Mean {
    fn add(&mut self, value: f64, rows: usize) {
        self.sum += value * rows as f64;
        self.rows += rows;
    }

    fn result(self) -> f64 {
        if self.rows == 0 { 0.0 } else { self.sum / self.rows as f64 }
    }
}

/// The numbers of an epoch, under their names.
pub(super) struct Meters<T> {
    /// `loss`, of several outputs `NAME_loss`, then the metrics.
    names: Vec<String>,
    /// Whether more is better.
    rises: Vec<bool>,
    loss: Mean,
    outputs: Vec<Mean>,
    metrics: Vec<(MetricOf, MetricState)>,
    factors: Factors<T>,
}

impl<T: Float> Meters<T> {
    /// For outputs of these names; `prefix` is what their names begin with.
    pub(super) fn new(prefix: &str, outputs: &[String], metrics: &[MetricOf]) -> Result<Self> {
        let several = outputs.len() > 1;
        let (mut names, mut rises) = (vec![String::from("loss")], vec![false]);
        if several {
            names.extend(outputs.iter().map(|output| format!("{output}_loss")));
            rises.resize(names.len(), false);
        }
        for MetricOf { output, metric, .. } in metrics {
            let plain = match several {
                true => format!("{}_{}", outputs[*output], metric.name()),
                false => metric.name().into(),
            };
            // As Keras numbers those that are there already.
            let mut name = plain.clone();
            let mut number = 0;
            while names.contains(&name) {
                number += 1;
                name = format!("{plain}_{number}");
            }
            names.push(name);
            rises.push(metric.rises());
        }
        names.iter_mut().for_each(|name| name.insert_str(0, prefix));
        let start = |of: &MetricOf| Ok((of.clone(), of.metric.start()?));
        Ok(Meters {
            names,
            rises,
            loss: Mean::default(),
            outputs: vec![Mean::default(); if several { outputs.len() } else { 0 }],
            metrics: metrics.iter().map(start).collect::<Result<_>>()?,
            factors: Factors::default(),
        })
    }

    pub(super) fn names(&self) -> impl Iterator<Item = (&str, bool)> {
        self.names.iter().map(|name| &**name).zip(self.rises.iter().copied())
    }

    pub(super) fn reset(&mut self) {
        self.loss = Mean::default();
        self.outputs.fill(Mean::default());
        self.metrics.iter_mut().for_each(|(_, state)| state.reset());
    }

    /// The loss of a batch.
    pub(super) fn add_loss(&mut self, loss: f64, rows: usize) {
        self.loss.add(loss, rows);
    }

    /// The loss of one output, before it is weighted. Keras doesn't know a batch's size there: all batches count alike.
    pub(super) fn add_output(&mut self, output: usize, loss: f64) {
        if let Some(mean) = self.outputs.get_mut(output) {
            mean.add(loss, 1);
        }
    }

    /// The metrics of one output.
    pub(super) fn add_metrics(
        &mut self,
        output: usize,
        prediction: &ArrayD<T>,
        target: &Target<'_, T>,
        weighting: &Weighting<'_, T>,
    ) -> Result<()> {
        let slice = prediction.as_slice().ok_or(Error::OutputOrder { what: "prediction" })?;
        let shape = prediction.shape();
        for (of, state) in self.metrics.iter_mut().filter(|(of, _)| of.output == output) {
            let unweighted;
            let weighting = if of.weighted {
                weighting
            } else {
                unweighted = Weighting { mask: weighting.mask.clone(), sample_weight: None };
                &unweighted
            };
            state.add(shape, slice, target, weighting, &mut self.factors)?;
        }
        Ok(())
    }

    /// All numbers with their names.
    pub(super) fn log(&self, logs: &mut Vec<(String, f64)>) {
        let losses = std::iter::once(&self.loss).chain(&self.outputs).map(|mean| mean.result());
        let values = losses.chain(self.metrics.iter().map(|(_, state)| state.result()));
        logs.extend(self.names.iter().cloned().zip(values));
    }

    pub(super) fn loss(&self) -> f64 {
        self.loss.result()
    }
}
