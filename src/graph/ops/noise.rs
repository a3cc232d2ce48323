//! Dropout and its kin: noise in training, with Keras's numbers, and what hands on what it is given in all else.
//!
//! ```text
//! Dropout           y = x / (1 - rate) where u >= rate, else 0; u uniform, of the noise's shape
//! SpatialDropout    the same with one u for all steps, or all places of a picture
//! GaussianDropout   y = x n, with n of mean 1 and standard deviation sqrt(rate / (1 - rate))
//! GaussianNoise     y = x + n, with n of mean 0 and standard deviation stddev
//! AlphaDropout      y = a (x k + alpha (1 - k)) + b, with k = 1 where u >= rate, else 0
//! ```
//!
//! What a run has drawn it leaves on the tape, and the way back reads it there.

mod builder;

use ndarray::{ArrayD, ArrayViewD, IxDyn};

pub use self::builder::DropoutBuilder;
use crate::config::{Config, ConfigError};
use crate::error::{Error, Result};
use crate::float::Float;
use crate::graph::gradients::GradientSums;
use crate::graph::operation::{Back, Call, Flow, Operation, Role, misfit, mismatch};
use crate::graph::per_step::Map;
use crate::graph::shape::{self, Misfit, Shape};
use crate::graph::stream::Step;
use crate::graph::tensor::{Tensor, Value, in_row_order};
use crate::graph::training::Differs;
use crate::memory;
use crate::random::stateless::{dropout_mask, normal};
use crate::seeds::DropoutGenerator;

/// Keras's `Dropout`, and what it is called with other noise: `SpatialDropout1D` to `3D`, `GaussianDropout`,
/// `GaussianNoise`, `AlphaDropout`. In inference, in streams and in what [`Model::record`](crate::Model::record) records
/// it hands on what it is given; in training ([`Fit`](crate::training::Fit),
/// [`Model::record_training`](crate::Model::record_training)) it draws Keras's noise, in f32 with its bits.
///
/// ```
/// use ndarray::prelude::*;
/// use recurrent::{Dense, Lstm, SeedSource, Sequential, ops::Dropout, training::Tape};
/// let mut seeds = SeedSource::keras(7);
/// let model = Sequential::<f32>::builder("score")
///     .layer(Lstm::builder(3, 4).dropout(0.2).seeds(&mut seeds).build()?)
///     .layer(Dropout::builder(0.5).seeds(&mut seeds).build()?)
///     .layer(Dense::builder(4, 1).seeds(&mut seeds).build()?)
///     .build()?;
/// let x = Array3::<f32>::ones((2, 5, 3));
/// let (mut masks, mut tape) = (model.seeds(), Tape::new());
/// let first = model.record_training(&[(&x).into()], &mut tape, &mut masks)?;
/// let second = model.record_training(&[(&x).into()], &mut tape, &mut masks)?;
/// assert!(first != second && masks.states()[1].n == 2);
/// # Ok::<(), recurrent::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Dropout {
    pub(crate) noise: Noise,
    /// The rate, of GaussianNoise the standard deviation.
    pub(crate) rate: f64,
    /// Keras's `seed`, or one that was drawn; none where nothing could be drawn.
    pub(crate) seed: Option<i64>,
}

/// What is drawn.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Noise {
    /// A factor for each element of this shape, which is spread over the input; `None`: the input's size.
    Mask { shape: Option<Shape> },
    /// A factor for each row and channel, of this many dimensions between.
    Spatial { rank: usize, channels_first: bool },
    /// Of GaussianDropout: a normal factor for each element.
    Factors,
    /// Of GaussianNoise: a normal summand for each element.
    Summands,
    /// As `Mask`, of AlphaDropout.
    Alpha { shape: Option<Shape> },
}

/// Of AlphaDropout: what the dropped elements are, -alpha scale.
const ALPHA_P: f64 = -1.673_263_242_354_377_2 * 1.050_700_987_355_480_5;

impl Dropout {
    /// Keras's class.
    pub(crate) fn class(&self) -> &'static str {
        match &self.noise {
            Noise::Mask { .. } => "Dropout",
            Noise::Spatial { rank: 1, .. } => "SpatialDropout1D",
            Noise::Spatial { rank: 2, .. } => "SpatialDropout2D",
            Noise::Spatial { .. } => "SpatialDropout3D",
            Noise::Factors => "GaussianDropout",
            Noise::Summands => "GaussianNoise",
            Noise::Alpha { .. } => "AlphaDropout",
        }
    }

    /// All classes.
    pub(crate) const CLASSES: [&'static str; 7] = [
        "Dropout",
        "SpatialDropout1D",
        "SpatialDropout2D",
        "SpatialDropout3D",
        "GaussianDropout",
        "GaussianNoise",
        "AlphaDropout",
    ];

    /// That of the weights of attention; none at a rate of 0.
    pub(crate) fn of_scores(rate: f64, seed: Option<i64>) -> Option<Self> {
        (rate > 0.0).then_some(Dropout { noise: Noise::Mask { shape: None }, rate, seed })
    }

    /// What a run in training draws for so many elements, the factor of each.
    pub(super) fn factors<T: Float>(
        &self,
        len: usize,
        generators: &mut [DropoutGenerator],
        kept: &mut Vec<T>,
    ) -> Result<()> {
        kept.clear();
        kept.resize(len, T::zero());
        match generators {
            [] if !self.draws() => {}
            [generator] => self.draw(generator, kept),
            _ => return Err(misfit()),
        }
        Ok(())
    }

    /// What of it isn't known.
    pub(super) fn unknown(&self) -> Option<Differs> {
        let unknown = self.draws() && self.seed.is_none();
        unknown.then_some(Differs { what: "seed", expected: "set", given: "none: this system has no random numbers" })
    }

    /// Shows its generator, if it has one.
    pub(super) fn show_generator(&self, show: &mut dyn FnMut(DropoutGenerator)) {
        if self.draws() {
            show(DropoutGenerator::of_noise(self.rate, self.seed.unwrap_or(0)));
        }
    }

    /// Whether numbers are drawn: not at a rate of 0, and of zeros for all there is nothing to draw.
    fn draws(&self) -> bool {
        let all_or_nothing = matches!(self.noise, Noise::Mask { .. } | Noise::Spatial { .. });
        self.rate > 0.0 && !(all_or_nothing && self.rate >= 1.0)
    }

    /// The shape of what is drawn for an input of this shape.
    fn noise_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        let own = match &self.noise {
            Noise::Mask { shape: Some(shape) } | Noise::Alpha { shape: Some(shape) } => shape,
            Noise::Spatial { rank, channels_first } => {
                let (rank, channels) = (*rank, if *channels_first { 1 } else { rank + 1 });
                if input.len() != rank + 2 {
                    return Err(mismatch(format!("an array of {} dimensions", rank + 2), input));
                }
                return Ok((0..rank + 2)
                    .map(|axis| if axis == 0 || axis == channels { input[axis] } else { 1 })
                    .collect());
            }
            _ => return Ok(input.to_vec()),
        };
        let refuse =
            || mismatch(format!("an array over which a noise_shape of {} spreads", shape::display(own)), input);
        if own.len() > input.len() {
            return Err(refuse());
        }
        // Sizes that aren't said are those of the first axes, and what is drawn is spread from the last axis on: as in
        // Keras.
        let shape: Vec<usize> = own.iter().zip(input).map(|(own, &given)| own.unwrap_or(given)).collect();
        let behind = &input[input.len() - shape.len()..];
        let spreads = shape.iter().zip(behind).all(|(&own, &given)| own == 1 || own == given);
        if spreads { Ok(shape) } else { Err(refuse()) }
    }

    /// Draws what one call takes: the factors, or the summands.
    fn draw<T: Float>(&self, generator: &mut DropoutGenerator, drawn: &mut [T]) {
        let (seed, n) = (generator.seed, generator.take());
        let (zero, one) = (T::zero(), T::one());
        match &self.noise {
            Noise::Mask { .. } | Noise::Spatial { .. } => dropout_mask(seed, n, self.rate, drawn),
            Noise::Alpha { .. } => {
                dropout_mask(seed, n, self.rate, drawn);
                drawn.iter_mut().for_each(|kept| *kept = if *kept == zero { zero } else { one });
            }
            Noise::Factors => {
                normal((seed, n), one, T::from_f64((self.rate / (1.0 - self.rate)).sqrt()), drawn);
            }
            Noise::Summands => normal((seed, n), zero, T::from_f64(self.rate), drawn),
        }
    }

    /// The scale and the shift of AlphaDropout.
    fn scale_and_shift(&self) -> (f64, f64) {
        let scale = ((1.0 - self.rate) * (1.0 + self.rate * ALPHA_P * ALPHA_P)).powf(-0.5);
        (scale, -scale * ALPHA_P * self.rate)
    }

    /// One element, with what was drawn for it.
    fn apply<T: Float>(&self) -> impl Fn(&mut T, &T) {
        let (scale, shift) = self.scale_and_shift();
        let (scale, shift, dropped) = (T::from_f64(scale), T::from_f64(shift), T::from_f64(ALPHA_P));
        let kind = self.kind();
        move |x: &mut T, &drawn: &T| {
            *x = match kind {
                // What is dropped is zero, whatever it was.
                Kind::Factor if drawn == T::zero() => T::zero(),
                Kind::Factor | Kind::Gaussian => *x * drawn,
                Kind::Summand => *x + drawn,
                Kind::Alpha => scale * (*x * drawn + dropped * (T::one() - drawn)) + shift,
            }
        }
    }

    /// The way back through one element.
    fn apply_backward<T: Float>(&self) -> impl Fn(&mut T, &T) {
        let (scale, kind) = (T::from_f64(self.scale_and_shift().0), self.kind());
        move |d: &mut T, &drawn: &T| match kind {
            Kind::Factor | Kind::Gaussian => *d *= drawn,
            Kind::Summand => {}
            Kind::Alpha => *d *= scale * drawn,
        }
    }

    fn kind(&self) -> Kind {
        match &self.noise {
            Noise::Mask { .. } | Noise::Spatial { .. } => Kind::Factor,
            Noise::Factors => Kind::Gaussian,
            Noise::Summands => Kind::Summand,
            Noise::Alpha { .. } => Kind::Alpha,
        }
    }

    /// A run in training. What was drawn is left in `kept`, its shape's sizes being found again from the input's.
    fn train<T: Float>(
        &self,
        x: &Value<T>,
        generators: &mut [DropoutGenerator],
        kept: &mut Vec<T>,
    ) -> Result<ArrayD<T>> {
        let mut y = in_row_order(&x.floats());
        if !self.draws() {
            y.fill(T::zero());
            return Ok(y);
        }
        let shape = self.noise_shape(y.shape())?;
        memory::check::<T>(memory::product(&shape), &shape)?;
        self.factors(shape.iter().product(), generators, kept)?;
        over(&mut y, kept, &shape, self.apply())?;
        Ok(y)
    }
}

/// How what is drawn goes in.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Factor,
    Gaussian,
    Summand,
    Alpha,
}

/// Does this with each element and what was drawn for it.
fn over<T: Float>(x: &mut ArrayD<T>, drawn: &[T], shape: &[usize], each: impl Fn(&mut T, &T)) -> Result<()> {
    let drawn = ArrayViewD::from_shape(IxDyn(shape), drawn).map_err(|_| misfit())?;
    let drawn = drawn.broadcast(x.raw_dim()).ok_or_else(misfit)?;
    x.zip_mut_with(&drawn, each);
    Ok(())
}

impl<T: Float> Operation<T> for Dropout {
    fn boxed_clone(&self) -> Box<dyn Operation<T>> {
        Box::new(self.clone())
    }

    fn describe(&self) -> std::result::Result<Config, ConfigError> {
        let size = if self.noise == Noise::Summands { "stddev" } else { "rate" };
        let config = Config::new(self.class()).with(size, self.rate).with("seed", self.seed);
        Ok(match &self.noise {
            Noise::Mask { shape } | Noise::Alpha { shape } => config.with("noise_shape", shape.clone()),
            Noise::Spatial { rank: 2.., channels_first } => {
                config.with("data_format", if *channels_first { "channels_first" } else { "channels_last" })
            }
            _ => config,
        })
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Misfit> {
        Ok(vec![shape::only(inputs)?.clone()])
    }

    fn run(&self, inputs: &[&Tensor<T>], mut call: Call<'_, T>) -> Result<Vec<Tensor<T>>> {
        let value = &inputs[0].value;
        let Some(training) = call.training.take().filter(|_| self.rate > 0.0) else {
            return call.passing(value.clone());
        };
        let mut own = Vec::new();
        let kept = call.record.take().map_or(&mut own, |record| &mut record.kept);
        let y = self.train(value, training.generators, kept)?;
        call.passing(Value::Float(y.into_shared()))
    }

    fn backward(&self, mut back: Back<'_, T>, _sums: GradientSums<'_, T>) -> Result<Vec<Flow<T>>> {
        let mut d = back.of_output()?;
        let Some(shape) = back.record.trained.then(|| self.noise_shape(d.shape())).transpose()? else {
            return Ok(vec![Some(d)]);
        };
        if self.rate > 0.0 && !self.draws() {
            d.fill(T::zero());
        } else if self.draws() {
            over(&mut d, &back.record.kept, &shape, self.apply_backward())?;
        }
        Ok(vec![Some(d)])
    }

    fn step(&self, mut step: Step<'_, T>) -> Result<()> {
        let input = step.input(0);
        step.output().copy_from(input)
    }

    fn differs_in_training(&self, _trainable: bool) -> Option<Differs> {
        let fails = matches!(self.noise, Noise::Factors | Noise::Alpha { .. }) && self.rate >= 1.0;
        if fails {
            return Some(Differs { what: "rate", expected: "below 1", given: "1, with which Keras fails" });
        }
        self.unknown()
    }

    fn visit_generators(&self, show: &mut dyn FnMut(DropoutGenerator)) {
        self.show_generator(show);
    }

    fn trains_by_batch(&self) -> bool {
        self.rate > 0.0
    }

    fn steps_alone(&self) -> bool {
        true
    }

    fn per_step(&self, _features: usize) -> Option<Map<T>> {
        Some(Map::Same)
    }

    fn role(&self) -> Role<'_, T> {
        Role::Same { keeps_mask: true }
    }
}

/// Checks a rate, or a standard deviation, as Keras does.
pub(crate) fn check_rate(option: &'static str, given: f64) -> Result<()> {
    if (0.0..=1.0).contains(&given) { Ok(()) } else { Err(Error::DropoutRate { option, given }) }
}
