//! `tract`: the ONNX model, optimized. States come in with a step and go out again.

use std::sync::Arc;

use tract_onnx::prelude::*;

use crate::case::Case;
use crate::{Failure, Work};

pub fn prepare(case: &Case) -> Result<Option<Box<dyn Work>>, Failure> {
    if case.is("G") {
        return Ok(None);
    }
    let w = &case.workload;
    let model = tract_onnx::onnx().model_for_path(case.file("onnx"))?.into_optimized()?.into_runnable()?;
    let mut inputs = tvec![Tensor::from_shape(&[w.input_steps, w.batch, w.inputs], &case.x_by_steps())?];
    if case.is("S") {
        for _ in 0..if w.cell == "lstm" { 2 } else { 1 } {
            inputs.push(Tensor::zero::<f32>(&[1, w.batch, w.units])?);
        }
    }
    if case.is("M") {
        let lengths: Vec<i32> = case.lengths.iter().map(|&length| length as i32).collect();
        inputs.push(Tensor::from_shape(&[w.batch], &lengths)?);
    }
    let inputs = inputs.into_iter().map(TValue::from).collect();
    Ok(Some(Box::new(Onnx { model, inputs, carries: case.is("S") })))
}

struct Onnx {
    model: Arc<TypedRunnableModel>,
    inputs: TVec<TValue>,
    carries: bool,
}

impl Work for Onnx {
    fn call(&mut self) -> Result<(), Failure> {
        let outputs = self.model.run(self.inputs.clone())?;
        if self.carries {
            for (state, output) in self.inputs[1..].iter_mut().zip(outputs.into_iter().skip(1)) {
                *state = output;
            }
        }
        Ok(())
    }

    fn first_output(&mut self, case: &Case) -> Result<Vec<f32>, Failure> {
        let y = self.model.run(self.inputs.clone())?.swap_remove(0);
        let y: Vec<f32> = y.to_plain_array_view::<f32>()?.iter().copied().collect();
        Ok(if self.carries { y } else { case.by_rows(&y) })
    }
}
