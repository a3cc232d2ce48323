//! `recurrent` itself: streams for steps, one buffer for sequences, gradients of the weights in training.

use ndarray::Array3;
use recurrent::ops::MaxPooling1D;
use recurrent::pytorch::File;
use recurrent::training::Tape;
use recurrent::{Activation, Gradients, Layer, Model, OutputGradient, OutputMut, Run, Scratch, Sequential, Stream};

use crate::case::Case;
use crate::{Failure, Work};

type Boxed = Box<dyn Layer<f32>>;

pub fn prepare(case: &Case) -> Result<Option<Box<dyn Work>>, Failure> {
    let file = File::open(case.file("safetensors"))?;
    let layer: Boxed = match case.workload.cell.as_str() {
        "gru" => file.gru("layer")?,
        "rnn" => file.rnn("layer", Activation::Tanh)?,
        _ => file.lstm("layer")?,
    };
    let w = &case.workload;
    if case.is("C") {
        return convolved(case, &file, layer).map(Some);
    }
    if case.is("S") {
        let mut stream = Stream::new(layer, 1)?;
        return Ok(Some(Step::boxed(case, move |x, y| {
            y.copy_from_slice(stream.step_one(x)?);
            Ok(())
        })));
    }
    let x = Array3::from_shape_vec((w.batch, w.steps, w.inputs), case.tensor("x").to_vec())?;
    let sequence = Array3::zeros((w.batch, w.steps, case.tensor("expected").len() / (w.batch * w.steps)));
    let training = case.is("G").then(|| Training {
        tape: Tape::new(),
        gradients: Gradients::new(&*layer).without_input(),
        upstream: Array3::ones(sequence.dim()),
    });
    let lengths = case.is("M").then(|| case.lengths.clone());
    Ok(Some(Box::new(Whole { layer, x, sequence, lengths, scratch: Scratch::new(), training })))
}

/// A convolution and pooling before the layer, by this crate's builder.
fn convolved(case: &Case, file: &File, layer: Boxed) -> Result<Box<dyn Work>, Failure> {
    let w = &case.workload;
    let model = Sequential::builder("model")
        .layer(file.conv1d::<f32>("conv", 1, |conv| conv.activation(Activation::Relu))?)
        .layer(MaxPooling1D::new(2)?)
        .layer(layer)
        .build()?;
    let x = Array3::from_shape_vec((w.batch, w.input_steps, w.inputs), case.tensor("x").to_vec())?;
    Ok(Box::new(Convolved { model, x }))
}

struct Convolved {
    model: Model<f32>,
    x: Array3<f32>,
}

impl Work for Convolved {
    fn call(&mut self) -> Result<(), Failure> {
        Ok(self.model.predict(&[(&self.x).into()]).map(drop)?)
    }

    fn first_output(&mut self, _: &Case) -> Result<Vec<f32>, Failure> {
        Ok(self.model.predict(&[(&self.x).into()])?.swap_remove(0).into_iter().collect())
    }
}

/// A stream, whatever it is of: from an input to an output.
pub struct Step<F> {
    step: F,
    x: Vec<f32>,
    output: Vec<f32>,
}

impl<F: FnMut(&[f32], &mut [f32]) -> recurrent::Result<()> + 'static> Step<F> {
    pub fn boxed(case: &Case, step: F) -> Box<dyn Work> {
        Box::new(Step { step, x: case.tensor("x").to_vec(), output: vec![0.0; case.workload.units] })
    }
}

impl<F: FnMut(&[f32], &mut [f32]) -> recurrent::Result<()>> Work for Step<F> {
    fn call(&mut self) -> Result<(), Failure> {
        Ok((self.step)(&self.x, &mut self.output)?)
    }

    fn first_output(&mut self, _: &Case) -> Result<Vec<f32>, Failure> {
        self.call()?;
        Ok(self.output.clone())
    }
}

struct Training {
    tape: Tape<f32>,
    gradients: Gradients<f32>,
    upstream: Array3<f32>,
}

struct Whole {
    layer: Boxed,
    x: Array3<f32>,
    sequence: Array3<f32>,
    lengths: Option<Vec<usize>>,
    scratch: Scratch<f32>,
    training: Option<Training>,
}

impl Work for Whole {
    fn call(&mut self) -> Result<(), Failure> {
        let mut run = Run::new();
        if let Some(lengths) = &self.lengths {
            run = run.lengths(lengths);
        }
        let out = OutputMut::new().sequence(&mut self.sequence);
        let Some(training) = &mut self.training else {
            return Ok(self.layer.run_into(&self.x, run, out, &mut self.scratch)?);
        };
        self.layer.run_into(&self.x, run.record(&mut training.tape), out, &mut self.scratch)?;
        training.gradients.clear();
        let upstream = OutputGradient::new().sequence(&training.upstream);
        self.layer.backward(&mut training.tape, upstream, &mut training.gradients)?;
        Ok(())
    }

    fn first_output(&mut self, _: &Case) -> Result<Vec<f32>, Failure> {
        self.call()?;
        Ok(self.sequence.iter().copied().collect())
    }
}
