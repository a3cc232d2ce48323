//! `rten`: the ONNX model. States come in with a step and go out again.

use rten::{Model, NodeId, Value, ValueOrView};
use rten_tensor::Tensor;
use rten_tensor::prelude::*;

use crate::case::Case;
use crate::{Failure, Work};

pub fn prepare(case: &Case) -> Result<Option<Box<dyn Work>>, Failure> {
    if case.is("G") || case.workload.cell == "rnn" {
        return Ok(None); // it has no RNN node, and doesn't train
    }
    let model = Model::load_file(case.file("onnx"))?;
    let w = &case.workload;
    let x = Tensor::from_data(&[w.input_steps, w.batch, w.inputs], case.x_by_steps());
    let mut inputs = vec![(model.node_id("x")?, Value::from(x))];
    let mut outputs = vec![model.node_id("y")?];
    if case.is("S") {
        for state in if w.cell == "lstm" { &["h", "c"][..] } else { &["h"] } {
            let zeros = Tensor::<f32>::zeros(&[1, w.batch, w.units]);
            inputs.push((model.node_id(&format!("{state}_in"))?, Value::from(zeros)));
            outputs.push(model.node_id(&format!("{state}_out"))?);
        }
    } else if case.is("M") {
        // It doesn't take the lengths of rows.
        let lengths: Vec<i32> = case.lengths.iter().map(|&length| length as i32).collect();
        inputs.push((model.node_id("lengths")?, Value::from(Tensor::from_data(&[w.batch], lengths))));
    }
    let carries = case.is("S");
    Ok(Some(Box::new(Onnx { model, inputs, outputs, carries })))
}

struct Onnx {
    model: Model,
    inputs: Vec<(NodeId, Value)>,
    outputs: Vec<NodeId>,
    carries: bool,
}

impl Onnx {
    fn run(&self) -> Result<Vec<Value>, Failure> {
        let inputs = self.inputs.iter().map(|(id, value)| (*id, ValueOrView::from(value))).collect();
        Ok(self.model.run(inputs, &self.outputs, None)?)
    }
}

impl Work for Onnx {
    fn call(&mut self) -> Result<(), Failure> {
        let outputs = self.run()?;
        if self.carries {
            for ((_, state), output) in self.inputs[1..].iter_mut().zip(outputs.into_iter().skip(1)) {
                *state = output;
            }
        }
        Ok(())
    }

    fn first_output(&mut self, case: &Case) -> Result<Vec<f32>, Failure> {
        let y = self.run()?.swap_remove(0);
        let y: Tensor<f32> = y.try_into()?;
        Ok(if self.carries { y.to_vec() } else { case.by_rows(&y.to_vec()) })
    }
}
