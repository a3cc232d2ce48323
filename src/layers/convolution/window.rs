//! A window that slides over time: where it stands, and how often.

use crate::config::Config;
#[cfg(feature = "file")]
use crate::config::{ConfigError, Options};
use crate::error::{Error, Result};

/// What stands around a sequence that a window slides over: Keras's `padding`.
///
/// With a window of size k, a dilation of d and a stride of s, the window reaches over (k - 1) d + 1 steps, and of n
/// steps makes
///
/// | | steps | zeros before |
/// |---|---|---|
/// | `Valid` | floor((n - (k - 1) d - 1) / s) + 1 | none |
/// | `Same` | ceil(n / s) | half of those that are needed, rounded down; the others stand behind |
/// | `Causal` | ceil(n / s) | (k - 1) d: no output sees a later step |
///
/// ```
/// use ndarray::prelude::*;
/// use recurrent::{Conv1D, Lstm, Padding, Sequential};
///
/// let conv = Conv1D::<f32>::builder(3, 8, 5).padding(Padding::Causal).build()?;
/// let model = Sequential::<f32>::builder("m").layer(conv).layer(Lstm::new(8, 4)).build()?;
/// let mut stream = model.stream(1)?; // causal: it runs step by step
/// stream.step_one(&[1.0, 0.5, 0.0])?;
/// # Ok::<(), recurrent::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Padding {
    /// Nothing: the window stands where it fits.
    #[default]
    Valid,
    /// Zeros on both sides, so that with a stride of one there are as many steps as before.
    Same,
    /// Zeros before, so that no output depends on a later step.
    Causal,
}

impl Padding {
    /// By Keras's names.
    pub(crate) const NAMES: [(&'static str, Self); 3] =
        [("valid", Padding::Valid), ("same", Padding::Same), ("causal", Padding::Causal)];

    pub(crate) fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, padding)| *padding == self).map_or("valid", |(name, _)| name)
    }
}

/// A window's size, its steps, and what stands around the sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) size: usize,
    pub(crate) stride: usize,
    pub(crate) dilation: usize,
    pub(crate) padding: Padding,
}

/// A sequence of some length under a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    /// The outputs.
    pub(crate) count: usize,
    /// Zeros before the sequence.
    pub(crate) before: usize,
    /// The steps with those around them, as far as windows reach.
    pub(crate) positions: usize,
}

impl Window {
    /// Checks sizes, under the names of the options.
    pub(crate) fn check(&self, size: &'static str) -> Result<()> {
        for (what, number) in [(size, self.size), ("strides", self.stride), ("dilation_rate", self.dilation)] {
            if number == 0 {
                return Err(Error::ZeroSize { what });
            }
        }
        let reach = (self.size - 1).checked_mul(self.dilation).and_then(|last| last.checked_add(1));
        match reach.filter(|&reach| isize::try_from(reach).is_ok()) {
            Some(_) => Ok(()),
            None => Err(Error::SizeOverflow { what: "window", rows: self.size, units: self.dilation, gates: 1 }),
        }
    }

    /// The steps from the window's first to its last.
    pub(crate) fn reach(&self) -> usize {
        (self.size - 1) * self.dilation + 1
    }

    /// How it stands over `n` steps, if there are enough, and few enough to be counted.
    pub(crate) fn span(&self, n: usize) -> Option<Span> {
        let (reach, stride) = (self.reach(), self.stride);
        let (count, before) = match self.padding {
            _ if n == 0 => return None,
            Padding::Valid => (n.checked_sub(reach)? / stride + 1, 0),
            Padding::Causal => (n.div_ceil(stride), reach - 1),
            Padding::Same => {
                let count = n.div_ceil(stride);
                let missing = ((count - 1) * stride).checked_add(reach)?.saturating_sub(n);
                (count, missing / 2)
            }
        };
        // With a stride, steps may be left over behind the last window.
        let positions = ((count - 1) * stride).checked_add(reach)?;
        Some(Span { count, before, positions })
    }

    /// The outputs of `n` steps: of an unknown number an unknown one.
    pub(crate) fn outputs(&self, n: Option<usize>) -> Option<Option<usize>> {
        n.map_or(Some(None), |n| self.span(n).map(|span| Some(span.count)))
    }

    pub(crate) fn describe(&self, config: Config, size: &str) -> Config {
        config
            .with(size, self.size)
            .with("strides", self.stride)
            .with("padding", self.padding.name())
            .with("dilation_rate", self.dilation)
    }

    #[cfg(feature = "file")]
    pub(crate) fn read(options: &Options<'_>, size: &'static str) -> Result<Self, ConfigError> {
        let window = Window {
            size: options.size(size)?,
            stride: options.size("strides")?,
            padding: options.word("padding", &Padding::NAMES)?,
            dilation: options.size("dilation_rate")?,
        };
        window.check(size).map_err(|error| options.refused(error))?;
        Ok(window)
    }
}

impl Span {
    /// Copies a sequence of rows of `width` elements to where windows read it, with zeros around.
    pub(crate) fn pad<T: Copy>(&self, x: &[T], width: usize, zero: T, to: &mut [T]) {
        let (before, rest) = to.split_at_mut(self.before.min(self.positions) * width);
        let (within, after) = rest.split_at_mut(x.len().min(rest.len()));
        before.fill(zero);
        within.copy_from_slice(&x[..within.len()]);
        after.fill(zero);
    }

    /// The part of a gradient of [`pad`](Span::pad)'s result that belongs to the sequence.
    pub(crate) fn unpad<T: Copy>(&self, from: &[T], width: usize, x: &mut [T]) {
        let within = &from[self.before.min(self.positions) * width..];
        let count = x.len().min(within.len());
        x[..count].copy_from_slice(&within[..count]);
    }
}
