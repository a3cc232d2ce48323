//! Layers over two or three dimensions of space: convolutions, pooling, what moves elements.
//!
//! All of them see three dimensions, of which those that aren't there have one element and a window of one. A
//! convolution gathers its windows, each a row, and is then a dense layer over rows.

pub(crate) mod conv_lstm;
pub(crate) mod convolution;
pub(crate) mod moved;
pub(crate) mod pooling;

use crate::config::Config;
#[cfg(feature = "file")]
use crate::config::{ConfigError, Item, Options};
use crate::error::Result;
use crate::graph::shape::{self, Misfit, Shape};
use crate::layers::convolution::window::{Padding, Span, Window};

/// A window over two or three dimensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Windows {
    /// The dimensions there are: 2 or 3.
    pub(crate) rank: usize,
    /// Those that there aren't come first.
    pub(crate) each: [Window; 3],
}

/// How windows stand over an array of some size.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stand {
    pub(crate) sizes: [usize; 3],
    pub(crate) spans: [Span; 3],
    each: [Window; 3],
}

const ONE: Window = Window { size: 1, stride: 1, dilation: 1, padding: Padding::Valid };

impl Windows {
    /// Of the dimensions that there are.
    pub(crate) fn new(each: &[Window], size: &'static str) -> Result<Self> {
        let mut all = [ONE; 3];
        let (rank, first) = (each.len().min(3), 3_usize.saturating_sub(each.len()));
        all[first..].iter_mut().zip(each).for_each(|(own, window)| *own = *window);
        all.iter().try_for_each(|window| window.check(size))?;
        Ok(Windows { rank, each: all })
    }

    /// The elements of a window, if they can be counted.
    pub(crate) fn taps(&self) -> Option<usize> {
        self.each.iter().try_fold(1_usize, |product, window| product.checked_mul(window.size))
    }

    /// How they stand over (batch, sizes.., channels).
    pub(crate) fn stand(&self, shape: &[usize]) -> Option<Stand> {
        let sizes = sizes(shape, self.rank)?;
        let mut spans = [Span { count: 1, before: 0, positions: 1 }; 3];
        for ((span, window), size) in spans.iter_mut().zip(&self.each).zip(sizes) {
            *span = window.span(size)?;
        }
        Some(Stand { sizes, spans, each: self.each })
    }

    /// The shape of the output, of (batch, sizes.., channels).
    pub(crate) fn outputs(&self, input: &Shape, channels: Option<usize>) -> Option<Shape> {
        let [batch, between @ .., _] = &input[..] else { return None };
        let windows = &self.each[3 - self.rank..];
        if between.len() != self.rank {
            return None;
        }
        let sizes = between.iter().zip(windows).map(|(&size, window)| window.outputs(size));
        let sizes = sizes.collect::<Option<Vec<_>>>()?;
        Some([&[*batch], &sizes[..], &[channels]].concat())
    }

    /// The windows of the dimensions that there are.
    pub(crate) fn own(&self) -> &[Window] {
        &self.each[3 - self.rank..]
    }

    pub(crate) fn describe(&self, config: Config, size: &str) -> Config {
        let all = |of: fn(&Window) -> usize| self.own().iter().map(of).collect::<Vec<usize>>();
        let padding = self.own().first().map_or("valid", |window| window.padding.name());
        let config = config.with(size, all(|window| window.size)).with("strides", all(|window| window.stride));
        config.with("padding", padding).with("dilation_rate", all(|window| window.dilation))
    }

    /// Of `rank` dimensions.
    #[cfg(feature = "file")]
    pub(crate) fn read(options: &Options<'_>, size: &'static str, rank: usize) -> Result<Self, ConfigError> {
        let list = |name: &str| -> Result<Vec<usize>, ConfigError> {
            let item = options.need(name, SIZES)?;
            let all = item.list(SIZES)?.iter().map(Item::size).collect::<Result<Vec<_>, ConfigError>>()?;
            if all.len() == rank { Ok(all) } else { Err(item.wrong(SIZES)) }
        };
        let (sizes, strides, dilations) = (list(size)?, list("strides")?, list("dilation_rate")?);
        let padding = options.word("padding", &Padding::NAMES[..2])?;
        let window = |at: usize| Window { size: sizes[at], stride: strides[at], dilation: dilations[at], padding };
        let windows: Vec<Window> = (0..rank).map(window).collect();
        Windows::new(&windows, size).map_err(|error| options.refused(error))
    }
}

#[cfg(feature = "file")]
const SIZES: &str = "a size above 0 for each dimension";

/// The sizes between the batch and the channels, with ones before them.
pub(crate) fn sizes(shape: &[usize], rank: usize) -> Option<[usize; 3]> {
    let [_, between @ .., _] = shape else { return None };
    if between.len() != rank || rank > 3 {
        return None;
    }
    let mut sizes = [1; 3];
    sizes[3 - rank..].copy_from_slice(between);
    Some(sizes)
}

/// What is expected of an input.
pub(crate) fn misfit<V>(rank: usize, more: &str, inputs: &[Shape]) -> Result<V, Misfit> {
    let sizes = if rank == 2 { "rows, columns" } else { "depth, rows, columns" };
    shape::misfit(format!("(batch, {sizes}, channels){more}"), inputs)
}

/// All places of sizes, in row order.
fn places([a, b, c]: [usize; 3]) -> impl Iterator<Item = [usize; 3]> {
    (0..a).flat_map(move |i| (0..b).flat_map(move |j| (0..c).map(move |k| [i, j, k])))
}

impl Stand {
    /// The sizes of the output, and the number of its places.
    pub(crate) fn counts(&self) -> [usize; 3] {
        self.spans.map(|span| span.count)
    }

    pub(crate) fn count(&self) -> usize {
        self.counts().iter().product()
    }

    pub(crate) fn positions(&self) -> usize {
        self.sizes.iter().product()
    }

    /// The elements inside that the window of an output reads, if it has no gaps: a window may be far larger than what
    /// there is.
    pub(crate) fn inside(&self, output: usize) -> impl Iterator<Item = usize> + use<> {
        let (Stand { sizes, spans, each }, [_, rows, columns]) = (*self, self.counts());
        let at = [output / (rows * columns), output / columns % rows, output % columns];
        let range = move |axis: usize| {
            let (start, before) = (at[axis] * each[axis].stride, spans[axis].before);
            start.saturating_sub(before)..(start + each[axis].size).saturating_sub(before).min(sizes[axis])
        };
        range(0).flat_map(move |i| range(1).flat_map(move |j| range(2).map(move |k| (i * sizes[1] + j) * sizes[2] + k)))
    }

    /// The elements that the window of an output reads, in order, by their numbers; nothing for what lies outside.
    pub(crate) fn window(&self, output: usize) -> impl Iterator<Item = Option<usize>> + use<> {
        let (Stand { sizes, spans, each }, [_, rows, columns]) = (*self, self.counts());
        let at = [output / (rows * columns), output / columns % rows, output % columns];
        places(each.map(|window| window.size)).map(move |tap| {
            let mut place = 0;
            for axis in 0..3 {
                let position = at[axis] * each[axis].stride + tap[axis] * each[axis].dilation;
                let position = position.checked_sub(spans[axis].before).filter(|&position| position < sizes[axis])?;
                place = place * sizes[axis] + position;
            }
            Some(place)
        })
    }
}
