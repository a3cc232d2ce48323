//! How far back a network looks.

use std::fmt;

use ndarray::{ArrayD, ArrayRefD, Axis};

use super::{Network, Tape};
use crate::error::{Error, Result};
use crate::float::Float;
use crate::gradients::{Gradients, norms};
use crate::graph::Input;

/// How far back a network looks: how much its result changes with the input of each step before the last one.
///
/// ```
/// use ndarray::prelude::*;
/// use recurrent::{Lstm, training::Reach};
/// let lstm = Lstm::<f32>::new(3, 8);
/// let x = Array3::from_shape_fn((2, 50, 3), |(row, t, i)| (0.7 * t as f32 + row as f32 - i as f32).sin());
/// let reach = Reach::of(&lstm, &[(&x).into()])?;
/// assert_eq!(reach.norms().len(), 50);
/// println!("{reach}");
/// assert!(reach.lag(0.01) < 40, "what is 40 steps old counts for less than a hundredth");
/// # Ok::<(), recurrent::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Reach {
    norms: Vec<f64>,
}

impl Reach {
    /// Of a network, at these inputs: the norm of the derivatives of the last output with respect to the first input at
    /// each step, `|∂ output / ∂ x(T - 1 - lag)|` (Frobenius), over all rows.
    ///
    /// It goes forward and back once for each unit of the output: a layer with a small head is quick. Dropout is off. A
    /// layer that goes backwards in time ends at the first step, and so its lags count from the other end.
    ///
    /// # Errors
    /// Those of [`Network::record`] and [`Network::backpropagate`]; [`Error::NoInputGradient`] for ids;
    /// [`Error::ReachShape`] for an input without time or an output of another rank than 2 and 3;
    /// [`Error::GradientNotFinite`].
    pub fn of<T: Float, N: Network<T> + ?Sized>(network: &N, inputs: &[Input<'_, T>]) -> Result<Self> {
        let (mut tape, mut gradients) = (Tape::new(), Gradients::new(network));
        let (mut squares, mut unit, mut units) = (Vec::new(), 0, 1);
        while unit < units {
            let outputs = network.record(inputs, &mut tape, None)?;
            let Some(output) = outputs.first() else { return Err(Error::ReachShape { what: "output", shape: vec![] }) };
            units = output.shape().last().copied().unwrap_or(0);
            let mut upstream: Vec<ArrayD<T>> = outputs.iter().map(|output| ArrayD::zeros(output.raw_dim())).collect();
            set_last(&mut upstream[0], unit)?;
            let upstream: Vec<&ArrayRefD<T>> = upstream.iter().map(|array| &**array).collect();
            gradients.clear();
            network.backpropagate(&mut tape, &upstream, &mut gradients)?;
            let own = Reach::of_gradients(&gradients)?.norms;
            squares.resize(own.len(), Vec::new());
            squares.iter_mut().zip(own).for_each(|(all, norm)| all.push(norm));
            unit += 1;
        }
        Ok(Reach { norms: squares.iter().map(|all| norms::norm(all.iter().copied())).collect() })
    }

    /// Of a loss of one's own: by the gradient of the first input that the latest backward pass has left.
    ///
    /// # Errors
    /// Those of [`Gradients::input_at`]; [`Error::ReachShape`] for an input without time,
    /// [`Error::GradientNotFinite`].
    pub fn of_gradients<T: Float>(gradients: &Gradients<T>) -> Result<Self> {
        let input = gradients.input_at(0)?;
        if input.ndim() < 2 {
            return Err(Error::ReachShape { what: "input", shape: input.shape().to_vec() });
        }
        norms::check("the input", &input)?;
        let norms = input.axis_iter(Axis(1)).rev().map(|step| norms::norm_of(&step)).collect();
        Ok(Reach { norms })
    }

    /// The norm by lag: that of the last step's input first.
    pub fn norms(&self) -> &[f64] {
        &self.norms
    }

    /// How many steps back it looks: the largest lag whose norm is at least this share of the largest norm. If it is
    /// one less than the number of steps, the network may look further back than the input goes.
    ///
    /// Useful shares are 0.01, and `1.0 / E`, the time constant.
    pub fn lag(&self, share: f64) -> usize {
        let largest = self.norms.iter().copied().fold(0.0, f64::max);
        self.norms.iter().rposition(|&norm| norm > 0.0 && norm >= share * largest).unwrap_or(0)
    }
}

/// Sets the gradient of one unit of the last output to one, in all rows.
fn set_last<T: Float>(upstream: &mut ArrayD<T>, unit: usize) -> Result<()> {
    let shape = upstream.shape().to_vec();
    let refuse = || Error::ReachShape { what: "output", shape: shape.clone() };
    let mut last = match shape[..] {
        [_, units] if unit < units => upstream.view_mut(),
        [_, steps, units] if steps > 0 && unit < units => upstream.index_axis_mut(Axis(1), steps - 1),
        _ => return Err(refuse()),
    };
    last.index_axis_mut(Axis(1), unit).fill(T::one());
    Ok(())
}

/// A table of lags that grow, and in words how far back it looks.
impl fmt::Display for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let largest = self.norms.iter().copied().fold(0.0, f64::max);
        let width = self.norms.len().to_string().len().max(3);
        writeln!(f, "{:>width$}  {:9}  of the largest", "lag", "norm")?;
        let (mut lag, mut step) = (0, 1);
        while let Some(norm) = self.norms.get(lag) {
            let share = if largest > 0.0 { norm / largest } else { 0.0 };
            let bar = "#".repeat((share * 40.0).round().clamp(0.0, 40.0) as usize);
            writeln!(f, "{lag:width$}  {norm:.3e}  {:6.2} % {bar}", 100.0 * share)?;
            lag += step;
            if lag >= 8 * step {
                step *= 2;
            }
        }
        let (hundredth, constant) = (self.lag(0.01), self.lag(1.0 / std::f64::consts::E));
        let more = if hundredth + 1 >= self.norms.len() { " or more" } else { "" };
        write!(f, "looks back {hundredth} steps{more} (1 % of the largest), {constant} steps (1/e)")
    }
}
