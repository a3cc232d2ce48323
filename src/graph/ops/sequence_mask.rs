//! Which steps a sequence has, by its length: TensorFlow's `sequence_mask`, ONNX's `sequence_lens`.

use super::places::{Kind, Read, blank, in_order, written};
use crate::config::{Config, ConfigError};
use crate::error::Result;
use crate::float::Float;
use crate::graph::gradients::GradientSums;
use crate::graph::operation::{Back, Call, Flow, Operation, misfit, mismatch};
use crate::graph::shape::{self, Misfit, Shape, fit};
use crate::graph::stream::Step;
use crate::graph::tensor::Tensor;

/// Of (batch, timesteps, ..) and a length for each row, the flags (batch, timesteps) of the steps before its end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SequenceMask;

impl<T: Float> Operation<T> for SequenceMask {
    fn boxed_clone(&self) -> Box<dyn Operation<T>> {
        Box::new(*self)
    }

    fn describe(&self) -> std::result::Result<Config, ConfigError> {
        Ok(Config::new("SequenceMask"))
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Misfit> {
        match inputs {
            [x, lengths] if x.len() >= 2 && lengths.len() == 1 && fit(x[0], lengths[0]) => Ok(vec![x[..2].to_vec()]),
            _ => shape::misfit("(batch, timesteps, ..) and (batch) lengths", inputs),
        }
    }

    fn run(&self, inputs: &[&Tensor<T>], _call: Call<'_, T>) -> Result<Vec<Tensor<T>>> {
        let [batch, timesteps, ..] = *inputs[0].shape() else { return Err(misfit()) };
        let lengths = in_order(&inputs[1].value);
        let lengths = Read::value(&lengths)?;
        if lengths.kind() != Kind::Int {
            return Err(mismatch("lengths that are whole numbers".into(), lengths.shape));
        }
        let mut output = blank(Kind::Bool, &[batch, timesteps]);
        let flags = output.as_flags()?;
        for (row, flags) in flags.chunks_exact_mut(timesteps.max(1)).enumerate() {
            let length = lengths.integer(row);
            let Some(length) = usize::try_from(length).ok().filter(|&length| length <= timesteps) else {
                return Err(mismatch(format!("lengths from 0 to {timesteps}, not {length}"), lengths.shape));
            };
            flags[..length].fill(true);
        }
        Ok(vec![written(output)])
    }

    fn backward(&self, back: Back<'_, T>, _sums: GradientSums<'_, T>) -> Result<Vec<Flow<T>>> {
        Ok(back.wanted.iter().map(|_| None).collect())
    }

    fn step(&self, _step: Step<'_, T>) -> Result<()> {
        Err(misfit())
    }

    fn reads_or_loses_mask(&self) -> bool {
        true
    }
}
