//! What two layers make of their own outputs.

use ndarray::{Array3, ArrayRef3, Axis, s};

use super::Stream;
use crate::error::{Error, Result};
use crate::float::Float;
use crate::layers::Layer;
use crate::layers::compare::{Comparison, compare_outputs};

impl Comparison {
    /// What another form of a layer, a quantized one, does differently when each is fed with its own outputs: both read
    /// `x`, (batch, timesteps, features), and go on for `steps` steps from there, in each of which the last output is the
    /// input. Errors that a layer makes come back as its input; [`growth`](Comparison::growth) says whether they grow.
    /// The first of these steps is the output after `x`.
    ///
    /// ```
    /// use ndarray::prelude::*;
    /// use recurrent::{Comparison, Dense, Gru, Layer, Precision, Stacked};
    /// let oscillator = Stacked::<f32>::builder()
    ///     .layer(Gru::builder(2, 16).return_sequences(true).build()?)
    ///     .layer(Dense::new(16, 2))
    ///     .build()?;
    /// let x = Array3::from_shape_fn((4, 20, 2), |(row, time, i)| ((row + time + 3 * i) as f32 * 0.3).sin());
    /// let difference = Comparison::generated(&oscillator, &*oscillator.quantize(Precision::Int8)?, &x, 100)?;
    /// println!("{difference}");
    /// assert_eq!(difference.by_step().len(), 100);
    /// # Ok::<(), recurrent::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Compared`] for layers of different sizes, or whose output can't be their input; [`Error::NoTimesteps`] for
    /// an `x` without a step; those of [`Stream::new`] and [`Stream::step`]. [`Error::TensorTooLarge`] for more steps than
    /// there is memory for.
    pub fn generated<T: Float>(
        layer: &dyn Layer<T>,
        other: &dyn Layer<T>,
        x: &ArrayRef3<T>,
        steps: usize,
    ) -> Result<Comparison> {
        for (what, expected, given) in [
            ("input_size", layer.input_size(), other.input_size()),
            ("output_size", layer.output_size(), other.output_size()),
            ("output_size, which is to be the input_size,", layer.input_size(), layer.output_size()),
        ] {
            if expected != given {
                return Err(Error::Compared { what, expected: expected.to_string(), given: given.to_string() });
            }
        }
        let (expected, given) = (generate(layer, x, steps)?, generate(other, x, steps)?);
        let classes = [layer.class_name(), other.class_name()];
        Ok(compare_outputs(classes, &expected, &given, [layer.weight_bytes(), other.weight_bytes()]))
    }
}

/// The outputs after x, (batch, steps, outputs).
fn generate<T: Float>(layer: &dyn Layer<T>, x: &ArrayRef3<T>, steps: usize) -> Result<Array3<T>> {
    let (batch, timesteps, _) = x.dim();
    let shape = [batch, steps, layer.output_size()];
    crate::memory::check_shape(&shape)?;
    let mut stream = Stream::new(layer, batch)?;
    let mut outputs = Array3::zeros(shape);
    let mut last = None;
    for time in 0..timesteps {
        last = Some(stream.step(&x.index_axis(Axis(1), time))?.to_owned());
    }
    let Some(mut last) = last else {
        return Err(Error::NoTimesteps { given: x.dim().into() });
    };
    for step in 0..steps {
        outputs.slice_mut(s![.., step, ..]).assign(&last);
        if step + 1 < steps {
            last = stream.step(&last)?.to_owned();
        }
    }
    Ok(outputs)
}
