//! Convolutions over time: a window slides over (batch, timesteps, channels), and each of its stands is a product.
//!
//! The rows of a window lie side by side in memory, so that neighbouring windows are rows that overlap: a convolution is
//! a dense layer over such rows, and each output one sum, the bias, then the window's steps in order, each with its
//! channels in order. A step of a stream has the same row, and so the same bits.

mod builder;
mod by_channel;
pub(crate) mod conv1d;
pub(crate) mod depthwise;
#[cfg(feature = "file")]
mod described;
pub(crate) mod quantized;
pub(crate) mod separable;
pub(crate) mod window;

use std::fmt::{self, Debug};

use self::quantized::QuantizedConv1D;
use self::window::Window;
use crate::activation::Activation;
use crate::error::Result;
use crate::float::Float;
use crate::initializers::Initializer;
use crate::parameters::Parameters;
use crate::precision::Precision;

pub use self::builder::ConvolutionBuilder;

/// What all convolutions have in common.
#[derive(Debug, Clone)]
pub(crate) struct Common {
    /// The channels that are read.
    pub(crate) input_size: usize,
    /// The channels that come out.
    pub(crate) output_size: usize,
    pub(crate) window: Window,
    pub(crate) activation: Activation,
    /// How the weights were filled, the bias last, with the seeds that were drawn.
    initializers: Vec<Initializer>,
}

/// The stands of a window over padded sequences: output `i` of a sequence reads its positions
/// `i * stride + tap * dilation`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Windows<'a, T> {
    /// (batch, positions, channels), in row order.
    pub(crate) x: &'a [T],
    pub(crate) batch: usize,
    /// The outputs of each sequence.
    pub(crate) count: usize,
    pub(crate) stride: usize,
    pub(crate) dilation: usize,
}

impl<'a, T> Windows<'a, T> {
    /// The positions of one sequence.
    fn sequence(&self, at: usize) -> &'a [T] {
        let len = self.x.len() / self.batch.max(1);
        &self.x[at * len..][..len]
    }
}

/// A convolution: what the operation of a model asks of it.
pub(crate) trait Convolve<T: Float>: Parameters<T> + Clone + Debug + Send + Sync + 'static {
    fn common(&self) -> &Common;

    /// Notes how the weights were filled, the bias last, of one that was made of zeros.
    #[cfg(feature = "keras")]
    fn tell(&mut self, initializers: Vec<Initializer>);

    /// The elements of `work` that [`forward`](Convolve::forward) takes for one sequence, if they can be counted.
    fn work_len(&self, positions: usize, count: usize) -> Option<usize>;

    /// Writes (batch, count, output_size).
    fn forward(&self, windows: Windows<'_, T>, activation: &Activation, out: &mut [T], work: &mut Vec<T>);

    /// From the gradient of the preactivations, (batch, count, output_size), to that of the positions, which is added
    /// to `d_x`, and those of the weights, which are added to `sums`, in order; none if they aren't trained.
    fn backward(&self, windows: Windows<'_, T>, dz: &[T], d_x: Option<&mut [T]>, sums: &mut [&mut [T]]);

    /// Whether it can be trained.
    fn can_train(&self) -> Result<()> {
        self.common().activation.check_derivative()
    }

    /// Its class, if its weights are kept in fewer bits.
    fn class_in_fewer_bits(&self) -> Option<&'static str> {
        None
    }

    /// The same with weights in fewer bits, if there is such a form.
    fn quantized(&self, _precision: Precision) -> Result<Option<QuantizedConv1D>> {
        Ok(None)
    }
}

/// Adds rows to one, in their order.
fn add_rows<T: Float>(sums: &mut [T], rows: &[T]) {
    for row in rows.chunks_exact(sums.len()) {
        sums.iter_mut().zip(row).for_each(|(sum, &value)| *sum += value);
    }
}

fn debug<'f, 'a>(f: &'f mut fmt::Formatter<'a>, name: &str, common: &Common) -> fmt::DebugStruct<'f, 'a> {
    let mut shown = f.debug_struct(name);
    shown
        .field("input_size", &common.input_size)
        .field("output_size", &common.output_size)
        .field("window", &common.window)
        .field("activation", &common.activation);
    shown
}
