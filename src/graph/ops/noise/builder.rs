//! Takes the options of a Dropout.

use super::{Dropout, Noise, check_rate};
use crate::error::{Error, Result};
use crate::random::SeedSource;

/// Takes the options of a [`Dropout`] under Keras's names and makes it: `Dropout::builder(0.5).seed(7).build()?`.
#[derive(Debug)]
#[must_use = "a builder makes nothing until `build`"]
pub struct DropoutBuilder<'s> {
    layer: Dropout,
    seeds: Option<&'s mut SeedSource>,
}

impl Dropout {
    /// Keras's `Dropout`: this fraction of the elements is zero in training, and the others are larger.
    pub fn builder(rate: f64) -> DropoutBuilder<'static> {
        DropoutBuilder::new(Noise::Mask { shape: None }, rate)
    }

    /// Keras's `SpatialDropout1D`: of (batch, timesteps, channels), whole channels of a row are zero.
    pub fn spatial(rate: f64) -> DropoutBuilder<'static> {
        DropoutBuilder::new(Noise::Spatial { rank: 1, channels_first: false }, rate)
    }

    /// Keras's `GaussianDropout`: elements times numbers of mean 1 and standard deviation `sqrt(rate / (1 - rate))`.
    pub fn gaussian(rate: f64) -> DropoutBuilder<'static> {
        DropoutBuilder::new(Noise::Factors, rate)
    }

    /// Keras's `GaussianNoise`: elements and numbers of mean 0 and this standard deviation.
    pub fn gaussian_noise(stddev: f64) -> DropoutBuilder<'static> {
        DropoutBuilder::new(Noise::Summands, stddev)
    }

    /// Keras's `AlphaDropout`, which keeps mean and variance of what a layer with SELU gives.
    pub fn alpha(rate: f64) -> DropoutBuilder<'static> {
        DropoutBuilder::new(Noise::Alpha { shape: None }, rate)
    }
}

impl<'s> DropoutBuilder<'s> {
    fn new(noise: Noise, rate: f64) -> DropoutBuilder<'static> {
        DropoutBuilder { layer: Dropout { noise, rate, seed: None }, seeds: None }
    }

    /// The shape of what is drawn, the batch first, which is spread over the input; `None` is the input's size. `[None,
    /// Some(1), None]` drops features of whole sequences. For `Dropout` and `AlphaDropout`.
    pub fn noise_shape(mut self, sizes: impl AsRef<[Option<usize>]>) -> Self {
        let given = Some(sizes.as_ref().to_vec());
        match &mut self.layer.noise {
            Noise::Mask { shape } | Noise::Alpha { shape } => *shape = given,
            // Refused by `build`: the others have a shape of their own.
            other => *other = Noise::Spatial { rank: 0, channels_first: false },
        }
        self
    }

    /// Keras's `seed`; unset, it is drawn.
    pub fn seed(mut self, seed: i64) -> Self {
        self.layer.seed = Some(seed);
        self
    }

    /// Where a seed that isn't set comes from: Keras's, in Keras's order. Without a source it is random.
    pub fn seeds(self, seeds: &mut SeedSource) -> DropoutBuilder<'_> {
        DropoutBuilder { seeds: Some(seeds), ..self }
    }

    /// Makes the layer. As in Keras, a rate of 0 takes no seed.
    ///
    /// # Errors
    /// [`Error::DropoutRate`] for a rate that isn't from 0 to 1; [`Error::NoiseShape`] for a noise_shape of a layer that
    /// has a shape of its own, or with a size of 0; [`Error::NoRandomness`] if the operating system gives no seed.
    pub fn build(mut self) -> Result<Dropout> {
        let layer = &mut self.layer;
        check_rate(if layer.noise == Noise::Summands { "stddev" } else { "rate" }, layer.rate)?;
        match &layer.noise {
            Noise::Spatial { rank: 0, .. } => {
                return Err(Error::NoiseShape { given: "one of a layer that has a shape of its own".into() });
            }
            Noise::Mask { shape: Some(shape) } | Noise::Alpha { shape: Some(shape) } if shape.contains(&Some(0)) => {
                return Err(Error::NoiseShape { given: crate::graph::shape::display(shape) });
            }
            _ => {}
        }
        if layer.seed.is_none() && layer.rate > 0.0 {
            layer.seed = Some(match self.seeds {
                Some(source) => source.next_seed(),
                None => SeedSource::random()?.next_seed(),
            });
        }
        Ok(self.layer)
    }
}
