//! Gradients of a model's weights and inputs.

use ndarray::{ArrayD, ArrayViewD, ArrayViewMutD};

use super::{InputKind, Model};
use crate::error::{Error, Result};
use crate::float::Float;
use crate::gradients::{Gradients, Slices};
use crate::layers::trainable::Trainable;

/// The gradients that [`Model::backward`] makes, reused from call to call.
///
/// Those of the weights **add up** over calls until [`clear`](ModelGradients::clear); those of the inputs are the
/// latest call's. They are named by path, as [`Model::weights`] names them: `lstm/kernel`, `encoder/lstm/kernel`. A
/// shared layer's weights are there once, with the sum of what its calls say. There are none for the moving statistics
/// of a BatchNormalization and for layers that aren't [trainable](Model::set_trainable), as in Keras.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelGradients<T> {
    pub(super) weights: Gradients<T>,
    pub(super) inputs: Vec<InputGradient<T>>,
    pub(super) with_inputs: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct InputGradient<T> {
    name: String,
    /// `None` for ids and flags.
    pub(super) gradient: Option<ArrayD<T>>,
}

impl<T: Float> ModelGradients<T> {
    /// Zeros for each weight of a model that is trained.
    pub fn new(model: &Model<T>) -> Self {
        let inputs = model.inputs.iter().map(|spec| InputGradient {
            name: spec.name.clone(),
            gradient: matches!(spec.kind, InputKind::Float { .. }).then(|| ArrayD::zeros(vec![0; spec.shape.len()])),
        });
        ModelGradients { inputs: inputs.collect(), weights: Gradients::new(model), with_inputs: true }
    }

    /// Leaves out the gradients of the inputs, which training needs for nothing and which take time.
    pub fn without_inputs(mut self) -> Self {
        self.with_inputs = false;
        self
    }

    /// Makes the weights' gradients zero.
    pub fn clear(&mut self) {
        self.weights.clear();
    }

    /// The gradient of a weight: `lstm/recurrent_kernel`.
    ///
    /// # Errors
    /// [`Error::UnknownName`] lists the names there are.
    pub fn get(&self, name: &str) -> Result<ArrayViewD<'_, T>> {
        self.weights.get(name)
    }

    /// The gradient of a weight, to be changed between [`Model::backward`] and the optimizer.
    ///
    /// # Errors
    /// [`Error::UnknownName`] lists the names there are.
    pub fn get_mut(&mut self, name: &str) -> Result<ArrayViewMutD<'_, T>> {
        self.weights.get_mut(name)
    }

    /// The gradient of each weight with its name, in the weights' order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, ArrayViewD<'_, T>)> {
        self.weights.iter()
    }

    /// [`iter`](ModelGradients::iter), to be changed.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&str, ArrayViewMutD<'_, T>)> {
        self.weights.iter_mut()
    }

    /// The gradients of the weights: what [`Optimizer::step`](crate::training::Optimizer::step) takes.
    pub fn weights(&self) -> &Gradients<T> {
        &self.weights
    }

    /// The gradient of the latest call's input of this place, in the shape in which it was given.
    ///
    /// # Errors
    /// [`Error::UnknownName`] for a place that the model has no input at, [`Error::NoInputGradient`] for an input of
    /// integers or flags, [`Error::NotRequested`] after [`without_inputs`](ModelGradients::without_inputs).
    pub fn input(&self, place: usize) -> Result<ArrayViewD<'_, T>> {
        let hint = "make the gradients with the inputs': without without_inputs()";
        let Some(input) = self.inputs.get(place) else {
            let known = self.inputs.iter().enumerate().map(|(place, input)| format!("{place} ({})", input.name));
            return Err(Error::unknown_name("input", &place.to_string(), known));
        };
        match &input.gradient {
            None => Err(Error::NoInputGradient { input: input.name.clone() }),
            Some(_) if !self.with_inputs => Err(Error::NotRequested { what: "inputs' gradients", hint }),
            Some(gradient) => Ok(gradient.view()),
        }
    }

    /// Whether they are those of such a model.
    pub(super) fn fit(&self, model: &Model<T>) -> bool {
        let kinds = model.inputs.iter().map(|spec| matches!(spec.kind, InputKind::Float { .. }));
        self.weights.fit(model) && kinds.eq(self.inputs.iter().map(|input| input.gradient.is_some()))
    }
}

/// The gradients of the weights of one part of a model, to be added to; none if the part isn't trained.
pub(crate) struct Sums<'a, T> {
    weights: &'a mut [ArrayD<T>],
    slices: &'a mut [Slices<T>],
}

impl<'a, T: Float> Sums<'a, T> {
    pub(super) fn of(gradients: &'a mut Gradients<T>) -> Self {
        Sums { weights: &mut gradients.weights, slices: &mut gradients.slices }
    }

    /// Those of `count` weights from `start` on.
    pub(super) fn part(&mut self, start: usize, count: usize) -> Sums<'_, T> {
        let places = start..start + count;
        Sums { weights: &mut self.weights[places.clone()], slices: &mut self.slices[places] }
    }

    /// All of them, for one of several ways back.
    pub(super) fn all(&mut self) -> Sums<'_, T> {
        self.part(0, self.weights.len())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.weights.is_empty()
    }

    /// Each weight's, in order.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut ArrayD<T>> {
        self.weights.iter_mut()
    }

    /// Calls a layer's own way back with the gradients that it adds to; what it finds out about the input and the
    /// initial state is in those that are returned. A layer that isn't trained gets others, which are forgotten.
    pub(super) fn lend(
        &mut self,
        layer: &(impl Trainable<T> + ?Sized),
        with_input: bool,
        back: impl FnOnce(&mut Gradients<T>) -> Result<()>,
    ) -> Result<Gradients<T>> {
        let mut lent = match self.is_empty() {
            true => Gradients::new(layer),
            false => {
                let weights = self.weights.iter_mut().map(std::mem::take).collect();
                let slices = self.slices.iter_mut().map(std::mem::take).collect();
                Gradients::lent(weights, slices, layer.layout_of_state())
            }
        };
        if !with_input {
            lent.input = None;
        }
        let result = back(&mut lent);
        self.weights.iter_mut().zip(&mut lent.weights).for_each(|(own, lent)| std::mem::swap(own, lent));
        self.slices.iter_mut().zip(&mut lent.slices).for_each(|(own, lent)| std::mem::swap(own, lent));
        result.map(|()| lent)
    }
}
