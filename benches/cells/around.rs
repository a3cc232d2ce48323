//! What stands around the recurrent layers: convolutions and attention, in models of one layer, as their users call them.
//!
//! A convolution over time is a product over a window, an attention two products and a softmax: the limit is that of
//! their products, at the peak; of a convolution's step, that of reading the kernel if it is longer. An exponential of
//! the softmax is charged as an activation. What the activation `linear` costs is nothing.

use std::hint::black_box;

use ndarray::prelude::*;
use recurrent::{Conv1D, Float, Model, Padding, Result, ops};

use crate::clock::thread_time;
use crate::limits::{Limits, numbers};
use crate::work::Measured;

/// A layer, and what is done with it.
#[derive(Clone, Copy)]
pub enum Row {
    /// Channels, filters, taps; rows, steps, or one step of a stream.
    Conv1D([usize; 3], Option<(usize, usize)>),
    /// Features; rows, steps.
    Attention(usize, (usize, usize)),
}

/// Channels, filters, taps.
const CONVOLUTIONS: [[usize; 3]; 5] = [[32, 32, 5], [64, 64, 5], [64, 128, 3], [128, 256, 3], [40, 64, 5]];

pub fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for sizes in CONVOLUTIONS {
        rows.extend([None, Some((1, 100)), Some((32, 50))].map(|lot| Row::Conv1D(sizes, lot)));
    }
    for features in [32, 64, 128] {
        rows.extend([(1, 100), (32, 50)].map(|lot| Row::Attention(features, lot)));
    }
    rows
}

fn lot((rows, steps): (usize, usize)) -> String {
    if rows == 1 { "sequence".into() } else { format!("batch {rows}x{steps}") }
}

impl Row {
    pub fn name(self) -> String {
        match self {
            Row::Conv1D([channels, filters, taps], sizes) => {
                format!("conv1d {channels}x{filters}x{taps} {}", sizes.map_or("step".into(), lot))
            }
            Row::Attention(features, sizes) => format!("attention {features} {}", lot(sizes)),
        }
    }

    fn model<T: Float>(self) -> Result<Model<T>> {
        let mut graph = Model::builder("m");
        let outputs = match self {
            Row::Conv1D([channels, filters, taps], _) => {
                let x = graph.input("x", [None, Some(channels)])?;
                let layer = Conv1D::builder(channels, filters, taps).padding(Padding::Causal).build()?;
                graph.call("conv", layer, &[x])?
            }
            Row::Attention(features, _) => {
                let x = graph.input("x", [None, Some(features)])?;
                graph.call("attention", ops::Attention::new(), &[x, x])?
            }
        };
        graph.build(&outputs)
    }

    /// Nanoseconds of a row's step, and its limit.
    pub fn measure<T: Float>(self, limits: &Limits) -> Result<Measured> {
        let model = self.model::<T>()?;
        let (features, sizes) = match self {
            Row::Conv1D([channels, ..], sizes) => (channels, sizes.unwrap_or((1, 100))),
            Row::Attention(features, sizes) => (features, sizes),
        };
        let ((batch, steps), mut failed) = (sizes, Ok(()));
        let values = numbers::<T>(batch * steps * features, 1.0, 9);
        let all = if let Row::Conv1D(_, None) = self {
            let mut stream = model.stream(1)?;
            thread_time(|| {
                for sample in values.chunks_exact(features) {
                    failed = failed.clone().and(stream.step_one(black_box(sample)).map(|y| {
                        black_box(y);
                    }));
                }
            })
        } else {
            let x = Array3::from_shape_vec((batch, steps, features), values).unwrap_or_default();
            thread_time(|| failed = failed.clone().and(model.predict_one(black_box(&x)).map(|y| drop(black_box(y)))))
        };
        failed?;
        let (products, limit) = match self {
            Row::Conv1D([channels, filters, taps], sizes) => {
                let products = channels * filters * taps;
                let reading = if sizes.is_none() { limits.read::<T>(products, 4 * 64 / size_of::<T>()) } else { 0.0 };
                (products, limits.products(products).max(reading))
            }
            Row::Attention(..) => {
                (2 * steps * features, limits.products(2 * steps * features) + limits.activations(steps))
            }
        };
        Ok(Measured { nanoseconds: all / (batch * steps) as f64, limit, products })
    }
}
