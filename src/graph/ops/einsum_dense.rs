//! A dense layer along any axes: Keras's `EinsumDense`.
//!
//! What the kernel has in common with the input alone is summed, what it has with both is as many kernels side by side;
//! what it hasn't are rows. So it is products of rows with packed kernels, and what isn't in their order is copied to it.

mod backward;
mod bytes;
mod equation;
mod options;

use std::sync::Arc;

use ndarray::ArrayD;

use self::equation::{Equation, MOST_LABELS, Terms, is_in_order, is_natural, spread, walk};
use super::places::{Elements, Read, Spreading, Walk, in_order};
use crate::activation::Activation;
use crate::buffers::take;
use crate::config::{Config, ConfigError, activations};
use crate::error::{Error, Result};
use crate::float::Float;
use crate::graph::gradients::GradientSums;
use crate::graph::operation::{Back, Call, Flow, Operation, OverTime, Which, misfit};
use crate::graph::shape::{self, Misfit, Shape, fit};
use crate::graph::stream::{Gives, Step, Work};
use crate::graph::tensor::{Tensor, Value};
use crate::kernels::DenseKernel;
use crate::kernels::activate::activate;
use crate::kernels::isa::Isa;
use crate::memory::MemoryNeeds;
use crate::precision::Precision;
use crate::strided::{Rows, RowsMut};
use crate::weights::{QuantizedVisitor, WeightVisitor, WeightVisitorMut};

pub(super) use self::backward::Found;
use self::bytes::Bytes;
#[cfg_attr(
    not(any(feature = "file", feature = "keras")),
    allow(unused_imports, reason = "files make it of these")
)]
pub(crate) use self::bytes::{CLASS, Kernel};
#[cfg_attr(
    not(any(feature = "file", feature = "keras")),
    allow(unused_imports, reason = "files make it of its parts")
)]
pub(crate) use self::options::Parts;

/// `activation(sum of products along what an equation leaves out, + bias)`: Keras's `EinsumDense`.
///
/// The equation names the axes of the input, of the kernel and of the output by letters; `...`, before or behind the
/// letters of both, stands for axes that stay: `abc,cd->abd`, `...c,cd->...d`. Weights: `kernel`, `bias`. Masks end here.
///
/// ```
/// use ndarray::prelude::*;
/// use recurrent::{Activation, Sequential, ops};
/// let heads = ops::EinsumDense::new("...c,cnh->...nh", Array3::from_elem((4, 2, 3), 0.1).into_dyn())?
///     .bias("h", Array1::ones(3).into_dyn())?
///     .activation(Activation::Relu)?;
/// let model = Sequential::<f32>::builder("heads").layer(heads).input_shape([None, Some(4)]).build()?;
/// assert_eq!(model.predict_one(&Array3::<f32>::ones((2, 5, 4)))?.shape(), [2, 5, 2, 3]);
/// # Ok::<(), recurrent::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct EinsumDense<T: Float> {
    equation: Equation,
    /// As it was stated, without the batch; null where anything may be.
    output_shape: Vec<Option<usize>>,
    kernel_shape: Vec<usize>,
    /// Empty if it is of bytes.
    kernel: ArrayD<T>,
    bias_axes: Option<String>,
    bias: Option<ArrayD<T>>,
    activation: Activation,
    /// One for each of what all three have in common.
    packed: Arc<Vec<DenseKernel<T>>>,
    /// The same in bytes, in their place.
    bytes: Option<Bytes<T>>,
    /// Whether the bias is in there.
    bias_packed: bool,
}

/// How it goes through an input of some shape.
struct Layout {
    shape: Vec<usize>,
    terms: Terms,
    shared: usize,
    rows: usize,
    summed: usize,
    columns: usize,
    /// Whether the input, and the output, have their elements in the order of the products.
    reads: bool,
    writes: bool,
}

impl<T: Float> EinsumDense<T> {
    /// The sizes of all labels, and those of the output.
    fn sizes(&self, terms: &Terms, input: &[Option<usize>]) -> Option<([Option<usize>; MOST_LABELS], Shape)> {
        let mut sizes = [None; MOST_LABELS];
        for (label, &size) in self.equation.kernel.iter().zip(&self.kernel_shape) {
            sizes[label] = Some(size);
        }
        for (label, size) in self.equation.stated() {
            let stated = size.and_then(|at| self.output_shape.get(at).copied().flatten());
            if !fit(sizes[label], stated) {
                return None;
            }
            sizes[label] = sizes[label].or(stated);
        }
        for (label, &size) in terms.input.iter().zip(input) {
            if !fit(sizes[label], size) {
                return None;
            }
            sizes[label] = sizes[label].or(size);
        }
        let output = terms.output.iter().map(|label| sizes[label]).collect();
        Some((sizes, output))
    }

    /// Of one letter each, the axes of the bias that aren't one must be as wide as the output.
    fn fits_bias(&self, output: &[Option<usize>]) -> bool {
        let Some(bias) = &self.bias else { return true };
        let last = output.len().checked_sub(bias.ndim());
        last.is_some_and(|last| output[last..].iter().zip(bias.shape()).all(|(&a, &b)| b == 1 || fit(a, Some(b))))
    }

    fn layout(&self, shape: &[usize]) -> Result<Layout> {
        let terms = self.equation.terms(shape.len()).ok_or_else(misfit)?;
        let (sizes, output) = self.sizes(&terms, &shape::known(shape)).ok_or_else(misfit)?;
        let count = |labels: super::contract::Labels| labels.iter().map(|label| sizes[label].unwrap_or(1)).product();
        let Terms { shared, rows, summed, columns, .. } = terms;
        let order = || shared.iter().chain(rows.iter());
        Ok(Layout {
            shape: output.into_iter().map(|size| size.unwrap_or(0)).collect(),
            shared: count(shared),
            rows: count(rows),
            summed: count(summed),
            columns: count(columns),
            reads: is_in_order(terms.input, order().chain(summed.iter())),
            writes: is_in_order(terms.output, order().chain(columns.iter())),
            terms,
        })
    }

    /// The kernel's elements in the order of the products: (shared, summed, columns).
    fn matrix(&self) -> Vec<T> {
        let kernel = self.kernel.as_slice().unwrap_or_default();
        let way = self.way_of_kernel();
        (0..way.len()).map(|at| kernel[way.at(at)]).collect()
    }

    fn way_of_kernel(&self) -> Walk {
        // The axes without letters aren't the kernel's: any number of them will do.
        let terms = self.equation.terms_any();
        let [shared, summed, columns] =
            terms.map_or_else(Default::default, |terms| [terms.shared, terms.summed, terms.columns]);
        let order = shared.iter().chain(summed.iter()).chain(columns.iter());
        walk(&self.kernel_shape, self.equation.kernel, order)
    }

    /// Writes the preactivations or what the activation makes of them.
    fn compute(&self, x: Read<'_, T>, activation: &Activation, out: &mut [T], memory: [&mut Vec<T>; 3]) -> Result<()> {
        let layout = self.layout(x.shape)?;
        let Layout { shared, rows, summed, columns, .. } = layout;
        let [gathered, unordered, of_bytes] = memory;
        let x = layout.rows_of(x, gathered);
        let to: &mut [T] = if layout.writes { &mut *out } else { take(unordered, shared * rows * columns) };
        for at in 0..shared {
            let x = Rows::packed(&x[at * rows * summed..], summed);
            let to = RowsMut::packed(&mut to[at * rows * columns..], columns);
            match &self.bytes {
                None => self.packed[at].forward(rows, x, to, &Activation::Linear),
                Some(bytes) => bytes::product(&*bytes[at], rows, x, to, of_bytes),
            }
        }
        if !layout.writes {
            let way = layout.way_out();
            unordered.iter().take(shared * rows * columns).enumerate().for_each(|(at, &from)| out[way.at(at)] = from);
        }
        if let Some(bias) = self.bias.as_ref().filter(|_| !self.bias_packed) {
            let place = Spreading::new(&spread(bias.shape(), &layout.shape), &layout.shape);
            let bias = bias.as_slice().ok_or_else(misfit)?;
            out.iter_mut().enumerate().for_each(|(at, to)| *to += bias[place.at(at)]);
        }
        if *activation != Activation::Linear {
            let last = layout.shape.last().map_or(1, |&last| last.max(1));
            out.chunks_exact_mut(last).for_each(|row| activate(Isa::detect(), activation, row));
        }
        Ok(())
    }

    pub(super) fn kernel_shape(&self) -> &[usize] {
        &self.kernel_shape
    }

    /// A whole array.
    pub(super) fn of(&self, x: Read<'_, T>) -> Result<ArrayD<T>> {
        let layout = self.layout(x.shape)?;
        let mut needs = MemoryNeeds::default();
        (0..2).for_each(|_| needs.array::<T>(&layout.shape));
        needs.array::<T>(x.shape);
        needs.check(&layout.shape)?;
        let mut out = ArrayD::zeros(&layout.shape[..]);
        let memory = [&mut Vec::new(), &mut Vec::new(), &mut Vec::new()];
        self.compute(x, &self.activation, out.as_slice_mut().ok_or_else(misfit)?, memory)?;
        Ok(out)
    }

    /// The same into an array that is there.
    pub(super) fn write(&self, x: Read<'_, T>, out: &mut [T], memory: [&mut Vec<T>; 2]) -> Result<()> {
        let [floats, more] = memory;
        self.compute(x, &self.activation, out, [floats, more, &mut Vec::new()])
    }
}

impl Layout {
    /// The input in the order of the products: (shared, rows, summed).
    fn rows_of<'r, T: Float>(&self, x: Read<'r, T>, memory: &'r mut Vec<T>) -> &'r [T] {
        if let (true, Elements::Float(values)) = (self.reads, x.elements) {
            return values;
        }
        let (way, alone) = self.ways_in(x.shape);
        let to = take(memory, self.shared * self.rows * self.summed);
        for (at, to) in to.iter_mut().enumerate() {
            let first = way.at(at);
            let sum = (0..alone.len()).map(|at| x.float(first + alone.at(at)));
            *to = sum.fold(T::zero(), |sum, x| sum + x);
        }
        to
    }

    /// The way through the input, and from each of its places along what is in nothing else.
    fn ways_in(&self, shape: &[usize]) -> (Walk, Walk) {
        let Terms { input, shared, rows, summed, alone, .. } = self.terms;
        let order = shared.iter().chain(rows.iter()).chain(summed.iter());
        (walk(shape, input, order), walk(shape, input, alone.iter()))
    }

    fn way_out(&self) -> Walk {
        let Terms { output, shared, rows, columns, .. } = self.terms;
        walk(&self.shape, output, shared.iter().chain(rows.iter()).chain(columns.iter()))
    }
}

impl<T: Float> Operation<T> for EinsumDense<T> {
    fn boxed_clone(&self) -> Box<dyn Operation<T>> {
        Box::new(self.clone())
    }

    fn describe(&self) -> std::result::Result<Config, ConfigError> {
        let class = if self.bytes.is_some() { CLASS } else { "EinsumDense" };
        let config = Config::new(class).with("equation", self.equation.text.as_str());
        let config = config.with("output_shape", self.output_shape.clone());
        let config = config.with("activation", activations::describe(&self.activation)?);
        let config = config.with("bias_axes", self.bias_axes.as_deref());
        let config = config.with("kernel_shape", self.kernel_shape.clone());
        Ok(config.with("bias_shape", self.bias.as_ref().map(|bias| bias.shape().to_vec())))
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Misfit> {
        let x = shape::only(inputs)?;
        let terms = self.equation.terms(x.len());
        let output = terms.as_ref().and_then(|terms| self.sizes(terms, x)).map(|(_, output)| output);
        match terms.zip(output.filter(|output| self.fits_bias(output))) {
            Some((terms, mut output)) => {
                // What isn't stated isn't known before a call, in Keras.
                for (label, at) in self.equation.stated().filter(|_| x.contains(&None)) {
                    let stated = at.map_or(Some(Some(0)), |at| self.output_shape.get(at).copied());
                    if let (Some(None), Some(place)) = (stated, terms.output.place(label)) {
                        output[place] = None;
                    }
                }
                Ok(vec![output])
            }
            None => {
                let expected = format!("an array for {} and a kernel of {:?}", self.equation.text, self.kernel_shape);
                shape::misfit(expected, inputs)
            }
        }
    }

    fn run(&self, inputs: &[&Tensor<T>], _call: Call<'_, T>) -> Result<Vec<Tensor<T>>> {
        let value = in_order(&inputs[0].value);
        Ok(vec![Tensor::float(self.of(Read::value(&value)?)?)])
    }

    fn backward(&self, mut back: Back<'_, T>, sums: GradientSums<'_, T>) -> Result<Vec<Flow<T>>> {
        Operation::can_train(self)?;
        let (d, x) = (back.of_output()?, in_order(&back.input()?));
        let found = self.go_back(Read::value(&x)?, d, back.wants_input())?;
        let is_float = matches!(x, Value::Float(_));
        Ok(vec![found.add_to(sums).filter(|_| is_float)])
    }

    fn step(&self, step: Step<'_, T>) -> Result<()> {
        let x = Read::buffer(step.input(0))?;
        let Step { outputs, work: Work { floats, more, most }, .. } = step;
        self.compute(x, &self.activation, outputs[0].as_floats()?, [floats, more, most])
    }

    fn can_train(&self) -> Result<()> {
        if self.bytes.is_some() {
            return Err(Error::QuantizedTraining { layer: CLASS });
        }
        self.activation.check_derivative()
    }

    fn visit_weights<'a>(&'a self, _which: Which, visitor: &mut WeightVisitor<'_, 'a, T>) {
        if self.bytes.is_some() {
            return;
        }
        visitor.weight("kernel", &self.kernel);
        if let Some(bias) = &self.bias {
            visitor.weight("bias", bias);
        }
    }

    fn visit_weights_mut(&mut self, _which: Which, visitor: &mut WeightVisitorMut<'_, T>) -> Result<()> {
        if self.bytes.is_some() {
            return Ok(());
        }
        visitor.weight("kernel", &mut self.kernel);
        if let Some(bias) = &mut self.bias {
            visitor.weight("bias", bias);
        }
        self.pack();
        Ok(())
    }

    fn visit_quantized(&self, visitor: &mut QuantizedVisitor<'_>) {
        if let Some(bytes) = &self.bytes {
            self.visit_bytes(bytes, visitor);
        }
    }

    fn quantize(&mut self, _precision: Precision) -> Result<()> {
        match &self.bytes {
            None => Ok(()),
            Some(_) => {
                Err(Error::CannotQuantize { layer: CLASS.into(), reason: "its weights are in fewer bits already" })
            }
        }
    }

    fn over_time(&self, ranks: &[usize]) -> OverTime {
        let terms = ranks.first().and_then(|&rank| self.equation.terms(rank));
        // A number of steps that is stated is forgotten first: see `pace`.
        match terms.is_some_and(|terms| self.is_alone(&terms) && self.stated_steps(&terms).is_none()) {
            true => OverTime::Alone,
            false => OverTime::Whole,
        }
    }

    fn pace(&mut self, each_step: bool) -> Result<Gives, &'static str> {
        if each_step {
            let terms = self.equation.terms_of_steps().filter(|terms| self.is_alone(terms));
            match terms.and_then(|terms| self.stated_steps(&terms)) {
                Some(at) => self.output_shape[at] = None,
                None => return Err("it sums along time, or has a bias for each step"),
            }
        }
        Ok(Gives::EachStep)
    }
}

impl<T: Float> EinsumDense<T> {
    /// Whether each step of the output is made of the same step of the input alone.
    fn is_alone(&self, Terms { input, output, rows, .. }: &Terms) -> bool {
        let stays = |at: usize| input.at(at).is_some_and(|own| output.at(at) == Some(own) && rows.has(own));
        // A bias of its own for each step would need to know which step it is; so would softmax along time. Where
        // TensorFlow chooses the axis of a bias, it may be time.
        let axes = self.bias_axes.as_deref().and_then(|axes| self.equation.bias_axes(axes)).unwrap_or_default();
        let leads = |label: usize| output.at(0) == Some(label) || output.at(1) == Some(label);
        let chosen = self.bias.as_ref().is_some_and(|bias| bias.iter().len() > 1 && !is_natural(bias.shape()));
        let same = !chosen && !axes.iter().any(|&(label, own)| own && leads(label));
        stays(0) && stays(1) && same && (output.len() > 2 || self.activation.is_elementwise())
    }

    /// Where the number of steps is stated, if it is.
    fn stated_steps(&self, terms: &Terms) -> Option<usize> {
        let steps = terms.output.at(1)?;
        let (_, at) = self.equation.stated().find(|(label, _)| *label == steps)?;
        at.filter(|&at| self.output_shape.get(at).copied().flatten().is_some())
    }
}
