//! How a dense layer along any axes is made.

use std::sync::Arc;

use ndarray::{ArrayD, IxDyn};

use super::bytes::{self, Kernel};
use super::{EinsumDense, Equation, is_natural};
use crate::activation::Activation;
use crate::error::{Error, Result};
use crate::float::Float;
use crate::graph::stream::MOST_AXES;
use crate::kernels::DenseKernel;
use crate::layers::builder::check_activation;

/// What it is made of.
pub(crate) struct Parts<T> {
    pub(crate) equation: String,
    pub(crate) output_shape: Vec<Option<usize>>,
    pub(crate) kernel: Kernel<T>,
    pub(crate) bias_axes: Option<String>,
    pub(crate) bias: Option<ArrayD<T>>,
    pub(crate) activation: Activation,
}

impl<T: Float> EinsumDense<T> {
    /// By an equation, with this kernel.
    ///
    /// # Errors
    /// [`Error::Equation`] for an equation that Keras's layer hasn't got, or that doesn't fit the kernel.
    pub fn new(equation: &str, kernel: ArrayD<T>) -> Result<Self> {
        let read = Equation::read(equation).filter(|read| read.kernel.len() == kernel.ndim());
        let read = read.ok_or_else(|| refuse("equation", equation))?;
        let sizes = |label: usize| read.kernel.place(label).map(|place| kernel.shape()[place]);
        let stated = read.stated().filter_map(|(label, at)| at.map(|_| sizes(label)));
        let output_shape = stated.collect();
        Self::made(Parts {
            output_shape,
            equation: equation.into(),
            kernel: Kernel::Floats(kernel),
            bias_axes: None,
            bias: None,
            activation: Activation::Linear,
        })
    }

    /// With a bias along these axes of the output; its shape is that of the output from the first of them on, one where
    /// it has no axis.
    ///
    /// # Errors
    /// [`Error::Equation`] for axes that the output hasn't, or that don't fit the bias.
    pub fn bias(self, axes: &str, bias: ArrayD<T>) -> Result<Self> {
        let EinsumDense { equation, output_shape, kernel, activation, .. } = self;
        let (equation, bias_axes, bias) = (equation.text, Some(axes.into()), Some(bias));
        let kernel = Kernel::Floats(kernel);
        Self::made(Parts { equation, output_shape, kernel, bias_axes, bias, activation })
    }

    /// With an activation along the last axis.
    ///
    /// # Errors
    /// [`Error::ActivationWidth`], the activation's own error.
    pub fn activation(mut self, activation: Activation) -> Result<Self> {
        check_activation(&activation)?;
        self.activation = activation;
        Ok(self)
    }

    /// Of what a file says.
    pub(crate) fn made(parts: Parts<T>) -> Result<Self> {
        let Parts { equation, output_shape, kernel, bias_axes, bias, activation } = parts;
        check_activation(&activation)?;
        let read = Equation::read(&equation).ok_or_else(|| refuse("equation", &equation))?;
        let stated = read.stated().filter_map(|(_, at)| at).count();
        let rows = Self::sizes_of(&read, kernel.shape()).filter(|_| stated == output_shape.len());
        let rows = rows.ok_or_else(|| refuse("equation", &equation))?;
        let axes = bias_axes.as_deref().map(|axes| read.bias_axes(axes).ok_or_else(|| refuse("bias_axes", axes)));
        let axes = axes.transpose()?;
        if axes.is_some() != bias.is_some() {
            return Err(refuse("bias_axes", bias_axes.as_deref().unwrap_or("null")));
        }
        // The bias stands in the packed kernels if it has the axes of their columns alone.
        let mut bias_packed = false;
        if let (Some(axes), Some(bias)) = (&axes, &bias) {
            let fits = |((label, own), &size): (&(usize, bool), &usize)| {
                let of_kernel = read.kernel.place(*label).map(|place| kernel.shape()[place]);
                if *own { of_kernel.is_none_or(|wide| wide == size) } else { size == 1 }
            };
            let more = bias.ndim().checked_sub(axes.len());
            let ones = more.is_some_and(|more| more == 0 || read.is_elided_right());
            let behind = bias.shape().iter().skip(axes.len()).all(|&size| size == 1);
            if !ones || !behind || !axes.iter().zip(bias.shape()).all(fits) {
                return Err(refuse("bias_axes", bias_axes.as_deref().unwrap_or_default()));
            }
            let column =
                |label: usize| read.kernel.has(label) && !read.terms_any().is_some_and(|terms| terms.input.has(label));
            // One axis alone is TensorFlow's to choose, unless it is the last: see `spread`.
            bias_packed = is_natural(bias.shape()) && axes.iter().all(|&(label, own)| !own || column(label));
        }
        let (kernel_shape, none) = (kernel.shape().to_vec(), ArrayD::zeros(IxDyn(&[0])));
        let bias = bias.map(|bias| bias.as_standard_layout().into_owned());
        let mut layer = EinsumDense {
            equation: read,
            output_shape,
            kernel_shape,
            kernel: none,
            bias_axes,
            bias,
            activation,
            packed: Arc::default(),
            bytes: None,
            bias_packed,
        };
        layer.put(kernel, rows)?;
        Ok(layer)
    }

    /// Gives a layer its kernel.
    fn put(&mut self, kernel: Kernel<T>, (shared, summed, columns): (usize, usize, usize)) -> Result<()> {
        let packed_len = DenseKernel::<T>::packed_len(summed, columns).and_then(|len| len.checked_mul(shared));
        crate::memory::check::<T>(packed_len, kernel.shape())?;
        match kernel {
            Kernel::Floats(kernel) => {
                let standard = kernel.is_standard_layout();
                self.kernel = if standard { kernel } else { kernel.as_standard_layout().into_owned() };
                self.packed = Arc::new(vec![DenseKernel::new(summed, columns); shared]);
                self.pack();
            }
            Kernel::Bytes { weights, scales, .. } => {
                self.equation.terms_any().map_or(Ok(()), |terms| Self::check_bytes(&terms))?;
                let way = self.way_of_kernel();
                self.bytes = Some(bytes::pack((shared, summed, columns), |at| way.at(at), (&weights, &scales))?);
                self.bias_packed = false;
            }
        }
        Ok(())
    }

    /// How many kernels there are, and their rows and columns; nothing if the kernel isn't the equation's.
    pub(super) fn sizes_of(equation: &Equation, kernel: &[usize]) -> Option<(usize, usize, usize)> {
        let terms = equation.terms_any()?;
        if equation.kernel.len() != kernel.len() || kernel.contains(&0) {
            return None;
        }
        kernel.iter().try_fold(1_usize, |all, &size| all.checked_mul(size))?;
        let count = |labels: super::super::contract::Labels| -> usize {
            labels.iter().filter_map(|label| equation.kernel.place(label)).map(|place| kernel[place]).product()
        };
        Some((count(terms.shared), count(terms.summed), count(terms.columns)))
    }

    /// Makes the packed kernels of the weights.
    pub(super) fn pack(&mut self) {
        let matrix = self.matrix();
        let bias = self.bias.as_ref().filter(|_| self.bias_packed).map(|bias| self.bias_of_columns(bias));
        let packed = Arc::make_mut(&mut self.packed);
        let len = (matrix.len() / packed.len().max(1)).max(1);
        for (packed, matrix) in packed.iter_mut().zip(matrix.chunks_exact(len)) {
            packed.pack(matrix, bias.as_deref());
        }
    }

    /// A bias along columns alone, for all of them.
    fn bias_of_columns(&self, bias: &ArrayD<T>) -> Vec<T> {
        let axes = self.bias_axes.as_deref().and_then(|axes| self.equation.bias_axes(axes)).unwrap_or_default();
        let Some(terms) = self.equation.terms_any() else { return vec![] };
        let size = |label: usize| self.equation.kernel.place(label).map_or(1, |place| self.kernel_shape[place]);
        let apart = super::super::places::distances(bias.shape());
        let axis = |label: usize| {
            let place = axes.iter().position(|&(own, has)| own == label && has);
            (size(label), place.map_or(0, |place| apart[place]))
        };
        let way = super::Walk::new(terms.columns.iter().map(axis));
        let values = bias.as_slice().unwrap_or_default();
        (0..way.len()).map(|at| values[way.at(at)]).collect()
    }
}

impl Equation {
    /// At the least number of axes.
    pub(super) fn terms_any(&self) -> Option<super::Terms> {
        (1..=MOST_AXES).find_map(|rank| self.terms(rank))
    }
}

pub(super) fn refuse(option: &'static str, given: &str) -> Error {
    let expected = match option {
        "equation" => "those of the shapes of kernel and output, \"abc,cd->abd\" or \"...c,cd->...d\"",
        "kernel_scale" => "scales of the kernel's columns, as they are spread over the output",
        _ => "letters of the output that fit the bias",
    };
    Error::Equation { option, expected, given: given.chars().take(60).collect() }
}
