//! `recurrent` from the same ONNX file as the others: a stream whose states are the model's, or whole arrays.

use ndarray::{Array1, Array3, ArrayD};
use recurrent::{Model, onnx};

use crate::case::Case;
use crate::ours::Step;
use crate::{Failure, Work};

pub fn prepare(case: &Case) -> Result<Option<Box<dyn Work>>, Failure> {
    if case.is("G") {
        return Ok(None); // as `ours`
    }
    let model = onnx::load::<f32>(case.file("onnx"))?;
    let w = &case.workload;
    if case.is("S") {
        let mut stream = model.stream(1)?;
        return Ok(Some(Step::boxed(case, move |x, y| {
            y.copy_from_slice(stream.step_one(x)?);
            Ok(())
        })));
    }
    let x = Array3::from_shape_vec((w.input_steps, w.batch, w.inputs), case.x_by_steps())?;
    let lengths = case.is("M").then(|| case.lengths.iter().map(|&length| length as i32).collect());
    Ok(Some(Box::new(Whole { model, x, lengths })))
}

struct Whole {
    model: Model<f32>,
    x: Array3<f32>,
    lengths: Option<Array1<i32>>,
}

impl Whole {
    fn run(&self) -> Result<ArrayD<f32>, Failure> {
        let mut inputs = vec![(&self.x).into()];
        if let Some(lengths) = &self.lengths {
            inputs.push(lengths.into());
        }
        Ok(self.model.predict(&inputs)?.swap_remove(0))
    }
}

impl Work for Whole {
    fn call(&mut self) -> Result<(), Failure> {
        self.run().map(drop)
    }

    fn first_output(&mut self, case: &Case) -> Result<Vec<f32>, Failure> {
        Ok(case.by_rows(&self.run()?.iter().copied().collect::<Vec<_>>()))
    }
}
