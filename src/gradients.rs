//! Gradients of a layer's weights, its input and its initial state.

mod backup;
#[cfg(feature = "file")]
mod described;
mod indexed_slices;
pub(crate) mod norms;

use std::sync::Arc;

use ndarray::{Array3, ArrayD, ArrayRef2, ArrayRef3, ArrayView3, ArrayViewD, ArrayViewMutD};

pub(crate) use self::backup::GradientBackup;
pub(crate) use self::indexed_slices::IndexedSlices;
pub use self::norms::GradientNorms;
use crate::error::{Error, Result};
use crate::float::Float;
use crate::parameters::Parameters;
use crate::state::{State, StateLayout};
use crate::weights::WeightVisitor;

/// The gradients that [`Layer::backward`](crate::Layer::backward) makes, reused from call to call.
///
/// Those of the weights **add up** over calls until [`clear`](Gradients::clear); those of the input and the initial
/// state are the latest call's.
///
/// They belong to every layer with the same weights, by name and shape in the same order, and the same parts of the
/// state: to the layer that they were made for, its clones, and others built like it, of which the gradients may so be
/// summed. Another layer refuses them ([`Error::GradientsLayer`]): a Dense's `kernel` is no Embedding's `embeddings`,
/// whatever the shapes.
///
/// ```
/// use recurrent::{Dense, Embedding, Error, Gradients, training::*};
/// let (mut dense, mut embedding) = (Dense::<f32>::builder(5, 3).use_bias(false).build()?, Embedding::new(5, 3));
/// let gradients = Gradients::new(&dense);
/// assert_eq!(Sgd::new(0.1).step(&mut embedding, &gradients), Err(Error::GradientsLayer));
/// Sgd::new(0.1).step(&mut dense, &gradients)?;
/// # Ok::<(), Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Gradients<T> {
    pub(crate) names: Vec<String>,
    /// In visiting order, in the weights' shapes.
    pub(crate) weights: Vec<ArrayD<T>>,
    /// Of each weight, what its gradient is the sum of, if it came row by row.
    pub(crate) slices: Vec<IndexedSlices<T>>,
    pub(crate) input: Option<Array3<T>>,
    pub(crate) state: State<T>,
    /// Those of a model's inputs.
    inputs: Vec<InputGradient<T>>,
}

/// The gradient of one input of a model.
#[derive(Debug, Clone, PartialEq)]
struct InputGradient<T> {
    name: String,
    /// `None` for ids and flags.
    gradient: Option<ArrayD<T>>,
}

impl<T: Float> Gradients<T> {
    /// Zeros for each weight of a layer, of an [`Embedding`](crate::Embedding), or of a [`Model`](crate::Model): the
    /// latter are named by path, as [`Model::weights`](crate::Model::weights) names them, `encoder/lstm/kernel`. There
    /// are none for the moving statistics of a BatchNormalization and for layers that aren't
    /// [trainable](crate::Model::set_trainable), as in Keras.
    pub fn new(layer: &(impl Parameters<T> + ?Sized)) -> Self {
        let (mut names, mut weights) = (Vec::new(), Vec::new());
        layer.visit_trained(&mut WeightVisitor::new(&mut |path, weight: ArrayViewD<'_, T>| {
            names.push(path.to_string());
            weights.push(ArrayD::zeros(weight.raw_dim()));
        }));
        let state = State::zeros(Arc::clone(layer.layout()), 0);
        let slices = weights.iter().map(|_| IndexedSlices::new()).collect();
        let mut inputs = Vec::new();
        layer.show_inputs(&mut |name, rank, has_gradient| {
            let gradient = has_gradient.then(|| ArrayD::zeros(vec![0; rank]));
            inputs.push(InputGradient { name: name.into(), gradient });
        });
        Gradients { names, weights, slices, input: Some(Array3::zeros((0, 0, 0))), state, inputs }
    }

    /// These arrays, without their names: a layer's part of a model's gradients, for the layer's own backward pass.
    pub(crate) fn lent(weights: Vec<ArrayD<T>>, slices: Vec<IndexedSlices<T>>, layout: &Arc<StateLayout>) -> Self {
        let input = Some(Array3::zeros((0, 0, 0)));
        let state = State::zeros(Arc::clone(layout), 0);
        Gradients { names: Vec::new(), weights, slices, input, state, inputs: Vec::new() }
    }

    /// Adds the gradients of the weights of the same model.
    pub(crate) fn add(&mut self, other: &Self) {
        self.weights.iter_mut().zip(&other.weights).for_each(|(sum, other)| *sum += other);
        self.slices.iter_mut().zip(&other.slices).for_each(|(sum, other)| sum.extend(other));
    }

    /// Leaves out the gradient of the input (of a model, of all inputs), which training needs for nothing and which
    /// takes time.
    #[must_use]
    pub fn without_input(mut self) -> Self {
        self.input = None;
        self
    }

    /// Makes the weights' gradients zero.
    pub fn clear(&mut self) {
        for gradient in &mut self.weights {
            gradient.fill(T::zero());
        }
        self.slices.iter_mut().for_each(IndexedSlices::clear);
    }

    /// The gradient of a weight: `0/recurrent_kernel`.
    ///
    /// # Errors
    /// [`Error::UnknownName`] lists the names there are.
    pub fn get(&self, name: &str) -> Result<ArrayViewD<'_, T>> {
        Ok(self.weights[self.index(name)?].view())
    }

    /// The gradient of a weight, to be changed: for a rule of one's own (a penalty, a frozen weight) between
    /// [`Layer::backward`](crate::Layer::backward) and the optimizer.
    ///
    /// # Errors
    /// [`Error::UnknownName`] lists the names there are.
    pub fn get_mut(&mut self, name: &str) -> Result<ArrayViewMutD<'_, T>> {
        let index = self.index(name)?;
        self.slices[index].clear();
        Ok(self.weights[index].view_mut())
    }

    fn index(&self, name: &str) -> Result<usize> {
        let index = self.names.iter().position(|own| own == name);
        index.ok_or_else(|| Error::unknown_name("gradient", name, self.names.iter().cloned()))
    }

    /// The gradient of each weight with its name, in the weights' order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, ArrayViewD<'_, T>)> {
        self.names.iter().map(String::as_str).zip(self.weights.iter().map(|gradient| gradient.view()))
    }

    /// [`iter`](Gradients::iter), to be changed.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&str, ArrayViewMutD<'_, T>)> {
        self.slices.iter_mut().for_each(IndexedSlices::clear);
        self.names.iter().map(String::as_str).zip(self.weights.iter_mut().map(|gradient| gradient.view_mut()))
    }

    /// The gradient of the latest call's input: (batch, timesteps, input_size).
    ///
    /// # Errors
    /// [`Error::NotRequested`] after [`without_input`](Gradients::without_input).
    pub fn input(&self) -> Result<ArrayView3<'_, T>> {
        let hint = "make the gradients with the input's: without without_input()";
        let input = self.input.as_ref().ok_or(Error::NotRequested { what: "input's gradient", hint })?;
        Ok(input.view())
    }

    /// The gradient of the latest call's input of this place, for a [`Model`](crate::Model), in the shape in which it
    /// was given; a layer's one input has place 0.
    ///
    /// # Errors
    /// [`Error::UnknownName`] for a place that there is no input at, [`Error::NoInputGradient`] for an input of
    /// integers or flags, [`Error::NotRequested`] after [`without_input`](Gradients::without_input).
    pub fn input_at(&self, place: usize) -> Result<ArrayViewD<'_, T>> {
        if self.inputs.is_empty() && place == 0 {
            return Ok(self.input()?.into_dyn());
        }
        let Some(InputGradient { name, gradient }) = self.inputs.get(place) else {
            let known = self.inputs.iter().enumerate().map(|(place, input)| format!("{place} ({})", input.name));
            return Err(Error::unknown_name("input", &place.to_string(), known));
        };
        let hint = "make the gradients with the inputs': without without_input()";
        match gradient {
            None => Err(Error::NoInputGradient { input: name.clone() }),
            Some(_) if self.input.is_none() => Err(Error::NotRequested { what: "inputs' gradients", hint }),
            Some(gradient) => Ok(gradient.view()),
        }
    }

    /// Which inputs' gradients a model's backward pass is to find.
    pub(crate) fn wanted_inputs(&self) -> Vec<bool> {
        self.inputs.iter().map(|input| self.input.is_some() && input.gradient.is_some()).collect()
    }

    pub(crate) fn set_input(&mut self, place: usize, gradient: ArrayD<T>) {
        self.inputs[place].gradient = Some(gradient);
    }

    /// The gradient of the latest call's initial state.
    pub fn initial_state(&self) -> &State<T> {
        &self.state
    }

    /// Whether they belong to this layer: its weights have their names and shapes, its state their parts. Those that
    /// are
    /// [`lent`](Gradients::lent) have no names.
    pub(crate) fn fit(&self, layer: &(impl Parameters<T> + ?Sized)) -> bool {
        let (mut index, mut fits) = (0, self.state.layout() == layer.layout());
        layer.visit_trained(&mut WeightVisitor::new(&mut |path, weight: ArrayViewD<'_, T>| {
            fits &= self.weights.get(index).is_some_and(|gradient| gradient.shape() == weight.shape());
            fits &= self.names.get(index).is_none_or(|name| path.matches(name));
            index += 1;
        }));
        let mut inputs = self.inputs.iter();
        layer.show_inputs(&mut |_, _, has_gradient| {
            fits &= inputs.next().is_some_and(|input| input.gradient.is_some() == has_gradient);
        });
        fits && index == self.weights.len() && inputs.next().is_none()
    }

    /// Memory for a call of this size, zeros in it.
    pub(crate) fn prepare(&mut self, batch: usize, timesteps: usize, input_size: usize) {
        if let Some(input) = &mut self.input {
            if input.dim() == (batch, timesteps, input_size) {
                input.fill(T::zero());
            } else {
                // The old one goes first: both at once weren't asked for.
                *input = Array3::zeros((0, 0, 0));
                *input = Array3::zeros((batch, timesteps, input_size));
            }
        }
        if self.state.batch() == batch {
            self.state.as_mut_slice().fill(T::zero());
        } else {
            self.state = State::zeros(self.state.layout().clone(), batch);
        }
    }
}

/// The gradients that flow into a call's results: what a loss says about them. What isn't given is zero.
///
/// ```
/// use ndarray::prelude::*;
/// use recurrent::training::Tape;
/// use recurrent::{Gradients, Layer, Lstm, OutputGradient, Run};
///
/// let (lstm, x) = (Lstm::<f32>::new(3, 4), Array3::ones((2, 5, 3)));
/// let (mut tape, mut gradients) = (Tape::new(), Gradients::new(&lstm));
/// let output = lstm.run(&x, Run::new().record(&mut tape))?;
/// // Of the loss sum(last²) / 2 the gradient is the output itself.
/// lstm.backward(&mut tape, OutputGradient::new().last(&output.last()), &mut gradients)?;
/// assert_eq!(gradients.get("kernel")?.shape(), [3, 16]);
/// # Ok::<(), recurrent::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
#[must_use = "options do nothing until a call gets them"]
pub struct OutputGradient<'a, T> {
    pub(crate) sequence: Option<&'a ArrayRef3<T>>,
    pub(crate) last: Option<&'a ArrayRef2<T>>,
    pub(crate) state: Option<&'a State<T>>,
}

impl<'a, T> OutputGradient<'a, T> {
    /// Nothing flows in.
    pub fn new() -> Self {
        OutputGradient { sequence: None, last: None, state: None }
    }

    /// Into the outputs of all steps, [`Output::sequence`](crate::Output::sequence): (batch, timesteps, output_size).
    ///
    /// There are outputs of all steps in every run, whatever `return_sequences` says: the flag decides what
    /// [`run`](crate::Layer::run) returns, and [`OutputMut::sequence`](crate::OutputMut::sequence) writes them without
    /// it. So their gradient is taken without it too, and the last step gets what both this and [`last`](Self::last)
    /// say.
    pub fn sequence(mut self, gradient: &'a ArrayRef3<T>) -> Self {
        self.sequence = Some(gradient);
        self
    }

    /// Into [`Output::last`](crate::Output::last): (batch, output_size).
    pub fn last(mut self, gradient: &'a ArrayRef2<T>) -> Self {
        self.last = Some(gradient);
        self
    }

    /// Into [`Output::state`](crate::Output::state), whatever `return_state` says.
    pub fn state(mut self, gradient: &'a State<T>) -> Self {
        self.state = Some(gradient);
        self
    }
}

impl<T> Default for OutputGradient<'_, T> {
    fn default() -> Self {
        OutputGradient::new()
    }
}

/// The elements of a gradient in row order: the crate makes them so, and nothing else lays them out.
fn in_row_order<T>(gradient: &mut ArrayD<T>) -> &mut [T] {
    match gradient.as_slice_mut() {
        Some(elements) => elements,
        None => unreachable!("a gradient that isn't laid out by rows"),
    }
}

/// The weights' gradients of one cell or layer, to be added to: by number, in the order of its weights.
#[derive(Debug)]
pub struct WeightGradients<'a, T> {
    weights: &'a mut [ArrayD<T>],
}

impl<'a, T: Float> WeightGradients<'a, T> {
    pub(crate) fn new(weights: &'a mut [ArrayD<T>]) -> Self {
        WeightGradients { weights }
    }

    /// Those of the first `count` weights, and the others.
    pub(crate) fn split(&mut self, count: usize) -> (WeightGradients<'_, T>, WeightGradients<'_, T>) {
        let (first, rest) = self.weights.split_at_mut(count);
        (WeightGradients { weights: first }, WeightGradients { weights: rest })
    }

    /// The elements of one weight's gradient in row order.
    pub(crate) fn slice(&mut self, index: usize) -> &mut [T] {
        in_row_order(&mut self.weights[index])
    }

    /// The elements of every weight's gradient in row order, one after another.
    pub(crate) fn slices(&mut self) -> impl Iterator<Item = &mut [T]> {
        self.weights.iter_mut().map(in_row_order)
    }

    /// Adds the outer product of `x` and `dz` to the gradient of a weight of shape (x.len(), dz.len()).
    ///
    /// # Errors
    /// [`Error::GradientShape`] if there is no such weight or it has another shape; nothing is added then.
    pub fn add_outer(&mut self, index: usize, x: &[T], dz: &[T]) -> Result<()> {
        match self.shape(index) {
            [rows, columns] if [*rows, *columns] == [x.len(), dz.len()] => self.add_outer_columns(index, 0, x, dz),
            _ => Err(self.misfit(index, vec![x.len(), dz.len()])),
        }
    }

    /// The same for the columns from `start` on of a weight with more of them.
    ///
    /// # Errors
    /// [`Error::GradientShape`] if there is no such weight, or it doesn't have these columns or so many rows; nothing is
    /// added then.
    pub fn add_outer_columns(&mut self, index: usize, start: usize, x: &[T], dz: &[T]) -> Result<()> {
        let end = start.saturating_add(dz.len());
        let columns = match self.shape(index) {
            [rows, columns] if *rows == x.len() && end <= *columns => *columns,
            _ => return Err(self.misfit(index, vec![x.len(), end])),
        };
        for (row, &x) in self.slice(index).chunks_exact_mut(columns.max(1)).zip(x) {
            for (sum, &dz) in row[start..end].iter_mut().zip(dz) {
                *sum += x * dz;
            }
        }
        Ok(())
    }

    /// Adds `dz` to the gradient of a weight of that many elements.
    ///
    /// # Errors
    /// [`Error::GradientShape`] if there is no such weight or it has another number of elements; nothing is added then.
    pub fn add(&mut self, index: usize, dz: &[T]) -> Result<()> {
        match self.weights.get_mut(index).filter(|weight| weight.len() == dz.len()) {
            Some(weight) => weight.iter_mut().zip(dz).for_each(|(sum, &dz)| *sum += dz),
            None => return Err(self.misfit(index, vec![dz.len()])),
        }
        Ok(())
    }

    /// The gradient of a weight, if there is one of this number.
    pub fn get_mut(&mut self, index: usize) -> Option<&mut ArrayD<T>> {
        self.weights.get_mut(index)
    }

    /// The shape of a weight; empty if there is no such weight.
    fn shape(&self, index: usize) -> &[usize] {
        self.weights.get(index).map_or(&[], |weight| weight.shape())
    }

    #[cold]
    fn misfit(&self, index: usize, given: Vec<usize>) -> Error {
        Error::GradientShape { index, expected: self.shape(index).to_vec(), given }
    }
}
