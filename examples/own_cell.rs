//! A cell of one's own in a page of code: it gets everything that the built-in cells have, without knowing of it.
//!
//! ```sh
//! cargo run --release --example own_cell
//! ```

use std::error::Error;

use ndarray::prelude::*;
use recurrent::training::{Adam, Loss, Optimizer, Tape};
use recurrent::{
    Bidirectional, Cell, Dense, Float, Gradients, Initializer, Layer, OutputGradient, Recurrent, Run, Stacked,
    StateLayout, Stream, WeightVisitor, WeightVisitorMut,
    cell::{Step, StepBackward, WeightGradients},
    math,
};

/// A minimal gated unit (Zhou et al., 2016): a GRU with one gate.
///
/// ```text
/// f  = sigmoid(x Kf + h Rf)
/// g  = tanh(x Kg + (f * h) Rg)
/// h' = (1 - f) * h + f * g
/// ```
#[derive(Debug, Clone)]
struct Mgu<T> {
    /// Kf and Kg side by side: (features, 2 units).
    kernel: Array2<T>,
    /// Rf and Rg side by side: (units, 2 units).
    recurrent_kernel: Array2<T>,
}

impl<T: Float> Cell for Mgu<T> {
    type Elem = T;

    fn input_size(&self) -> usize {
        self.kernel.nrows()
    }

    fn state_layout(&self) -> StateLayout {
        StateLayout::new([("h", self.recurrent_kernel.nrows())])
    }

    /// One row of one step.
    fn step(&self, step: Step<'_, T>) {
        let units = step.prev.len();
        let (h, z) = (aview1(step.prev), aview1(step.x).dot(&self.kernel));
        let (rf, rg) = self.recurrent_kernel.view().split_at(Axis(1), units);
        let f = (&z.slice(s![..units]) + &h.dot(&rf)).mapv(math::sigmoid);
        let g = (&z.slice(s![units..]) + &(&f * &h).dot(&rg)).mapv(math::tanh);
        for (j, next) in step.next.iter_mut().enumerate() {
            *next = (T::one() - f[j]) * h[j] + f[j] * g[j];
        }
        if let Some(tape) = step.tape {
            f.iter().chain(&g).zip(tape).for_each(|(&from, to)| *to = from);
        }
    }

    /// Of f and g, for the backward pass.
    fn tape_len(&self) -> usize {
        2 * self.recurrent_kernel.nrows()
    }

    /// The same step backward, and with it the cell can be trained: from the gradient of h' to those of h and x, and of
    /// the weights, which are added to.
    fn step_backward(
        &self,
        step: StepBackward<'_, T>,
        gradients: &mut WeightGradients<'_, T>,
    ) -> recurrent::Result<()> {
        let units = step.prev.len();
        let (h, d_next) = (aview1(step.prev), aview1(step.d_next));
        let (f, g) = aview1(step.tape).split_at(Axis(0), units);
        let (rf, rg) = self.recurrent_kernel.view().split_at(Axis(1), units);
        let one = T::one();
        let dg = &d_next * &f * g.mapv(|g| one - g * g); // before the tanh
        let d_fh = rg.dot(&dg);
        let df = (&d_next * &(&g - &h) + &d_fh * &h) * f.mapv(|f| f * (one - f)); // before the sigmoid
        aview_mut1(step.d_prev).assign(&(&d_next * f.mapv(|f| one - f) + &d_fh * &f + rf.dot(&df)));
        let dz = [df.to_vec(), dg.to_vec()].concat();
        aview_mut1(step.d_x).assign(&self.kernel.dot(&aview1(&dz)));
        gradients.add_outer(0, step.x, &dz)?; // weights by their order in visit_weights
        gradients.add_outer_columns(1, 0, step.prev, &dz[..units])?;
        gradients.add_outer_columns(1, units, &(&f * &h).to_vec(), &dz[units..])
    }

    fn visit_weights<'a>(&'a self, visitor: &mut WeightVisitor<'_, 'a, T>) {
        visitor.weight("kernel", &self.kernel);
        visitor.weight("recurrent_kernel", &self.recurrent_kernel);
    }

    fn visit_weights_mut(&mut self, visitor: &mut WeightVisitorMut<'_, T>) {
        visitor.weight("kernel", &mut self.kernel);
        visitor.weight("recurrent_kernel", &mut self.recurrent_kernel);
    }

    fn class_name(&self) -> &'static str {
        "MGU"
    }

    fn try_clone(&self) -> Option<Self> {
        Some(self.clone())
    }
}

/// An MGU with random weights.
fn mgu(input_size: usize, units: usize, seed: i64) -> Result<Mgu<f32>, Box<dyn Error>> {
    let kernel = Initializer::GlorotUniform { seed: Some(seed) }.initialize(&[input_size, 2 * units])?;
    let recurrent_kernel =
        Initializer::Orthogonal { gain: 1.0, seed: Some(seed + 1) }.initialize(&[units, 2 * units])?;
    Ok(Mgu { kernel: kernel.into_dimensionality()?, recurrent_kernel: recurrent_kernel.into_dimensionality()? })
}

fn main() -> Result<(), Box<dyn Error>> {
    let layer = Recurrent::from_cell(mgu(3, 4, 1)?).return_sequences(true).return_state(true);
    println!("{layer}\n");

    let x = Array3::from_shape_fn((2, 6, 3), |(row, time, feature)| ((row + 2 * time + 3 * feature) as f32).sin());
    let whole = layer.forward(&x)?;
    println!("return_sequences: {:?}\n{:.4}\n", whole.sequence()?.dim(), whole.sequence()?);

    let backwards = layer.clone().go_backwards(true).forward(&x)?;
    check("go_backwards is the flipped input", backwards == layer.forward(&x.slice(s![.., ..;-1, ..]))?);

    let first = layer.forward(&x.slice(s![.., ..2, ..]))?;
    let second = layer.run(&x.slice(s![.., 2.., ..]), Run::new().initial_state(first.state()?))?;
    check("two calls that hand on the state are the whole", second.state()? == whole.state()?);

    let mask = array![[true, true, false, true, true, true], [true, true, true, true, false, false]];
    let masked = layer.run(&x, Run::new().mask(&mask))?;
    let seen = x.select(Axis(1), &[0, 1, 3, 4, 5]);
    check("a masked step is one that isn't there", masked.last().row(0) == layer.forward(&seen)?.last().row(0));

    let ragged = layer.run(&x, Run::new().lengths(&[6, 4]))?;
    let four = layer.forward(&x.slice(s![.., ..4, ..]))?;
    check("a padded row is the row alone", ragged.last().row(1) == four.last().row(1));

    let mut stream = Stream::new(&layer, 2)?;
    for step in x.axis_iter(Axis(1)) {
        stream.step(&step)?;
    }
    check("a stream, step by step, is the whole", stream.state() == whole.state()?);

    // With weights of zero the gate is 1/2 and the candidate 0: each step halves the state.
    let half = Recurrent::from_cell(Mgu { kernel: Array2::zeros((1, 2)), recurrent_kernel: Array2::zeros((1, 2)) })
        .return_sequences(true);
    let mut one = half.initial_state(1);
    one.set("h", &array![[1.0_f32]])?;
    let halves = half.run(&Array3::ones((1, 5, 1)), Run::new().initial_state(&one))?.into_sequence()?;
    check("weights of zero halve the state", halves.iter().eq(&[0.5, 0.25, 0.125, 0.0625, 0.03125]));
    train()
}

/// Both directions of the cell, then the cell once more and a head, trained on rows of several lengths to tell whether
/// a row's mean is positive.
fn train() -> Result<(), Box<dyn Error>> {
    let recurrent = |cell| Recurrent::from_cell(cell).return_sequences(true);
    let both = Bidirectional::from_layers(recurrent(mgu(3, 4, 3)?), recurrent(mgu(3, 4, 5)?).go_backwards(true))?;
    let mut net = Stacked::builder()
        .layer(both)
        .layer(Recurrent::from_cell(mgu(8, 4, 7)?))
        .layer(Dense::builder(4, 1).kernel_initializer(Initializer::GlorotUniform { seed: Some(9) }).build()?)
        .build()?;
    let x =
        Array3::from_shape_fn((16, 9, 3), |(row, time, feature)| ((row * row + 5 * time + 2 * feature) as f32).sin());
    let lengths: Vec<usize> = (0..16).map(|row| 4 + row % 6).collect();
    let target =
        Array2::from_shape_fn(
            (16, 1),
            |(row, _)| {
                if x.slice(s![row, ..lengths[row], ..]).sum() > 0.0 { 1.0_f32 } else { 0.0 }
            },
        );
    let (mut tape, mut gradients, mut optimizer) = (Tape::new(), Gradients::new(&net), Adam::new(0.05));
    let mut losses = Vec::new();
    for _update in 0..60 {
        let output = net.run(&x, Run::new().lengths(&lengths).record(&mut tape))?;
        let (loss, d_last) = Loss::MeanSquaredError.with_gradient(output.last(), &target)?;
        gradients.clear();
        net.backward(&mut tape, OutputGradient::new().last(&d_last), &mut gradients)?;
        optimizer.step(&mut net, &gradients)?;
        losses.push(loss);
    }
    println!("\ntrained in both directions and in a stack, loss: {:.4} before, {:.4} after", losses[0], losses[59]);
    assert!(losses[59] < 0.1 * losses[0]);
    Ok(())
}

fn check(what: &str, holds: bool) {
    println!("{what:<46} {}", if holds { "yes, bit for bit" } else { "NO" });
    assert!(holds);
}
