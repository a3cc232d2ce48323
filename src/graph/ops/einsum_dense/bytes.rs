//! Kernels of bytes, with the scales that Keras's `quantize("int8")` gives them.

use std::sync::Arc;

use ndarray::ArrayD;

#[cfg(feature = "keras")]
use super::equation::walk;
use super::options::refuse;
use super::{EinsumDense, Equation, Terms};
use crate::activation::Activation;
use crate::error::{Error, Result};
use crate::float::Float;
#[cfg(feature = "keras")]
use crate::graph::ops::places::Walk;
use crate::layers::Layer;
use crate::layers::quantized_dense::QuantizedDense;
use crate::runner::scratch::Scratch;
use crate::strided::{Rows, RowsMut};
use crate::weights::{Kept, QuantizedVisitor, QuantizedWeight};

/// The class of a layer with such a kernel.
pub(crate) const CLASS: &str = "QuantizedEinsumDense";

/// What a kernel is.
pub(crate) enum Kernel<T> {
    Floats(ArrayD<T>),
    /// Bytes in row order, and the scales of all columns: (shared, columns) in the order of the products.
    Bytes {
        shape: Vec<usize>,
        weights: Vec<i8>,
        scales: Vec<f32>,
    },
}

impl<T> Kernel<T> {
    pub(super) fn shape(&self) -> &[usize] {
        match self {
            Kernel::Floats(kernel) => kernel.shape(),
            Kernel::Bytes { shape, .. } => shape,
        }
    }
}

/// The kernels of what input, kernel and output have in common, each a layer of its own.
pub(super) type Bytes<T> = Arc<Vec<Box<dyn Layer<T>>>>;

/// Makes them of a whole kernel.
pub(super) fn pack<T: Float>(
    (shared, summed, columns): (usize, usize, usize),
    way: impl Fn(usize) -> usize,
    (weights, scales): (&[i8], &[f32]),
) -> Result<Bytes<T>> {
    let of = |at: usize| {
        let len = summed * columns;
        let weights = (at * len..(at + 1) * len).map(|place| weights[way(place)]).collect();
        let scales = scales[at * columns..][..columns].to_vec();
        QuantizedDense::of_keras((summed, columns), (weights, scales, None), Activation::Linear).boxed()
    };
    Ok(Arc::new((0..shared).map(of).collect::<Result<_>>()?))
}

/// The product of rows, each of which becomes bytes with a scale of its own.
pub(super) fn product<T: Float>(
    layer: &dyn Layer<T>,
    count: usize,
    x: Rows<'_, T>,
    to: RowsMut<'_, T>,
    memory: &mut Vec<T>,
) {
    let mut scratch = Scratch::default();
    std::mem::swap(&mut scratch.work, memory);
    let (no_state, none) = (Rows::packed(&[], 0), RowsMut::packed(&mut [], 0));
    layer.step_into(count, x, no_state, none, to, &mut scratch);
    std::mem::swap(&mut scratch.work, memory);
}

impl<T: Float> EinsumDense<T> {
    /// Keras's scales, which stand as they are spread over the output, in the order of the products.
    ///
    /// # Errors
    /// [`Error::Equation`] for others than those of the equation and of a kernel of this shape.
    #[cfg(feature = "keras")]
    pub(crate) fn scales_in_order(equation: &str, kernel: &[usize], scales: &ArrayD<f32>) -> Result<Vec<f32>> {
        let found = || {
            let (shape, way) = Self::way_of_scales(equation, kernel, scales.ndim())?;
            let scales = scales.as_standard_layout();
            let scales = scales.as_slice().filter(|_| scales.shape() == shape)?;
            Some((0..way.len()).map(|at| scales[way.at(at)]).collect())
        };
        found().ok_or_else(|| refuse("kernel_scale", equation))
    }

    /// The same back: scales in the order of the products as Keras spreads them over an output of so many axes, and the
    /// shape that they have there. Nothing if they aren't those of a kernel of this shape.
    #[cfg(feature = "keras")]
    pub(crate) fn scales_spread(
        equation: &str,
        kernel: &[usize],
        rank: usize,
        scales: &[f32],
    ) -> Option<(Vec<usize>, Vec<f32>)> {
        let (shape, way) = Self::way_of_scales(equation, kernel, rank)?;
        let mut spread = vec![0.0; scales.len()];
        if way.len() != scales.len() {
            return None;
        }
        (0..way.len()).for_each(|at| spread[way.at(at)] = scales[at]);
        Some((shape, spread))
    }

    /// The shape that Keras's scales have, and the way through them in the order of the products.
    #[cfg(feature = "keras")]
    fn way_of_scales(equation: &str, kernel: &[usize], rank: usize) -> Option<(Vec<usize>, Walk)> {
        let equation = Equation::read(equation).filter(|read| read.kernel.len() == kernel.len())?;
        let terms = equation.terms_of_output(rank)?;
        let size = |label: usize| equation.kernel.place(label).map_or(1, |place| kernel[place]);
        let shape: Vec<usize> = terms.output.iter().map(size).collect();
        let order = terms.shared.iter().chain(terms.columns.iter());
        let way = walk(&shape, terms.output, order);
        Some((shape, way))
    }

    /// How many scales a kernel of this shape has.
    ///
    /// # Errors
    /// [`Error::Equation`] for one that isn't the equation's.
    #[cfg(feature = "file")]
    pub(crate) fn scales_len(equation: &str, kernel: &[usize]) -> Result<usize> {
        let read = Equation::read(equation);
        let sizes = read.and_then(|read| Self::sizes_of(&read, kernel));
        sizes.map(|(shared, _, columns)| shared * columns).ok_or_else(|| refuse("equation", equation))
    }

    /// Refuses what has no form in bytes.
    pub(super) fn check_bytes(terms: &Terms) -> Result<()> {
        match terms.alone.len() {
            0 => Ok(()),
            _ => Err(Error::CannotQuantize {
                layer: "EinsumDense".into(),
                reason: "its equation sums along an axis of the input alone: take the sum before the layer",
            }),
        }
    }

    pub(super) fn visit_bytes(&self, bytes: &Bytes<T>, visitor: &mut QuantizedVisitor<'_>) {
        let all = |name: &str| {
            let mut all = Vec::new();
            for layer in bytes.iter() {
                layer.visit_quantized(&mut QuantizedVisitor::new(&mut |path, weight| {
                    all.extend(path.matches(name).then(|| (weight.kept)()));
                }));
            }
            all
        };
        let kernel = || {
            let len: usize = self.kernel_shape.iter().product();
            let (mut weights, mut values) = (vec![0; len], vec![0.0; len]);
            let way = self.way_of_kernel();
            let mut at = 0;
            for kept in all("kernel") {
                let Kept::Bytes { weights: own, values: means } = kept else { continue };
                for (weight, value) in own.into_iter().zip(means) {
                    (weights[way.at(at)], values[way.at(at)]) = (weight, value);
                    at += 1;
                }
            }
            Kept::Bytes { weights, values }
        };
        let scales = || Kept::Floats(all("kernel_scale").into_iter().flat_map(Kept::values).collect());
        let len: usize = self.kernel_shape.iter().product();
        let count: usize = bytes.iter().map(|layer| layer.output_size()).sum();
        visitor.weight("kernel", QuantizedWeight { shape: &self.kernel_shape, bytes: len, kept: &kernel });
        let weight = QuantizedWeight { shape: &[count], bytes: count * size_of::<f32>(), kept: &scales };
        visitor.weight("kernel_scale", weight);
        if let Some(bias) = &self.bias {
            let kept = || Kept::Floats(bias.iter().map(|bias| bias.into_f64() as f32).collect());
            let (shape, bytes) = (bias.shape(), bias.len() * size_of::<f32>());
            visitor.weight("bias", QuantizedWeight { shape, bytes, kept: &kept });
        }
    }
}
