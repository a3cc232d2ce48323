//! A batch through a network, for training and for validation, into memory that is reused.

use std::fmt;

use ndarray::{ArrayD, ArrayRef2, ArrayView3, Ix2, Ix3, IxDyn};

use super::Model;
use super::model_state::ModelState;
use super::operation::misfit;
use super::rows::resize;
use super::tensor::{Given, Input, in_row_order};
use crate::error::{Error, Result};
use crate::float::Float;
use crate::layers::Layer;
use crate::memory;
use crate::runner::check::check_input;
use crate::runner::output_mut::OutputMut;
use crate::runner::run::Run;
use crate::runner::scratch::Scratch;
use crate::runner::tape::Tape;
use crate::seeds::DropoutSeeds;

/// What a batch is run with.
#[doc(hidden)]
#[derive(Debug)]
pub struct Pass<'a, 'i, T> {
    pub(crate) inputs: &'a [Input<'i, T>],
    /// For layers: models find their masks themselves.
    pub(crate) mask: Option<&'a ArrayRef2<bool>>,
    pub(crate) lengths: Option<&'a [usize]>,
    /// Where it is recorded.
    pub(crate) tape: Option<&'a mut Tape<T>>,
    /// In training, where it is recorded: the random state of dropout.
    pub(crate) seeds: Option<&'a mut DropoutSeeds>,
    /// Where a model's stateful layers have come to; zeros are put there for the first batch. What keeps
    /// nothing refuses them.
    pub(crate) states: &'a mut Option<ModelState<T>>,
}

/// What a network gives for a batch, and the memory of its calls.
#[doc(hidden)]
pub struct BatchOutputs<T> {
    pub(crate) arrays: Vec<ArrayD<T>>,
    /// Which steps of each output are live; `None`: all.
    pub(crate) masks: Vec<Option<ArrayD<bool>>>,
    scratch: Scratch<T>,
}

impl<T: Float> BatchOutputs<T> {
    pub(crate) fn new() -> Self {
        BatchOutputs { arrays: Vec::new(), masks: Vec::new(), scratch: Scratch::new() }
    }
}

impl<T> fmt::Debug for BatchOutputs<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchOutputs").field("count", &self.arrays.len()).finish_non_exhaustive()
    }
}

/// The one input of a layer.
pub(super) fn layer_input<'i, T: Float>(
    layer: &impl Layer<T>,
    inputs: &'i [Input<'_, T>],
) -> Result<ArrayView3<'i, T>> {
    let [input] = inputs else { return Err(Error::ModelInputs { expected: 1, given: inputs.len() }) };
    let refuse = || Error::ModelInput {
        input: "input".into(),
        expected: format!("floats of shape (batch, timesteps, {})", layer.input_size()),
        given: format!("{:?}", input.shape()),
    };
    let Given::Float(x) = &input.0 else { return Err(refuse()) };
    x.view().into_dimensionality::<Ix3>().map_err(|_| refuse())
}

/// A batch through a layer. Allocates nothing once it has seen one of this size.
pub(super) fn through_layer<T: Float>(
    layer: &impl Layer<T>,
    pass: Pass<'_, '_, T>,
    outputs: &mut BatchOutputs<T>,
) -> Result<()> {
    let x = layer_input(layer, pass.inputs)?;
    check_input(layer, &x)?;
    if let Some(states) = pass.states {
        states.check(std::iter::empty(), x.dim().0)?;
    }
    let mut run = Run::new();
    if let Some(mask) = pass.mask {
        run = run.mask(mask);
    }
    if let Some(lengths) = pass.lengths {
        run = run.lengths(lengths);
    }
    if let Some(seeds) = pass.seeds {
        run = run.training(seeds);
    }
    if let Some(tape) = pass.tape {
        run = run.record(tape);
    }
    let (batch, steps, _) = x.dim();
    let (width, sequences) = (layer.output_size(), layer.returns_sequences());
    let (long, short) = ([batch, steps, width], [batch, width]);
    let shape: &[usize] = if sequences { &long } else { &short };
    memory::check::<T>(memory::product(shape), shape)?;
    let BatchOutputs { arrays, masks, scratch } = outputs;
    arrays.resize_with(1, || ArrayD::zeros(IxDyn(&[0])));
    masks.resize_with(1, || None);
    resize(&mut arrays[0], shape, T::zero());
    if sequences {
        let mut sequence = arrays[0].view_mut().into_dimensionality::<Ix3>().map_err(|_| misfit())?;
        layer.run_into(&x, run, OutputMut::new().sequence(&mut sequence), scratch)?;
    } else {
        let mut last = arrays[0].view_mut().into_dimensionality::<Ix2>().map_err(|_| misfit())?;
        layer.run_into(&x, run, OutputMut::new().last(&mut last), scratch)?;
    }
    if !sequences || (pass.mask.is_none() && pass.lengths.is_none()) {
        masks[0] = None;
        return Ok(());
    }
    let mask = masks[0].get_or_insert_with(|| ArrayD::from_elem(IxDyn(&[0]), false));
    resize(mask, &[batch, steps], false);
    let live = |(at, flag): (usize, &mut bool)| {
        let (row, step) = (at / steps, at % steps);
        *flag =
            pass.mask.is_none_or(|mask| mask[[row, step]]) && pass.lengths.is_none_or(|lengths| step < lengths[row]);
    };
    mask.iter_mut().enumerate().for_each(live);
    Ok(())
}

/// A batch through a model.
pub(super) fn through_model<T: Float>(
    model: &Model<T>,
    pass: Pass<'_, '_, T>,
    outputs: &mut BatchOutputs<T>,
) -> Result<()> {
    if pass.mask.is_some() || pass.lengths.is_some() {
        let expected = "left out for a model, which finds its masks itself (Masking, mask_zero)".into();
        return Err(Error::TrainingOption { option: "mask or lengths".into(), expected, given: "some".into() });
    }
    let states = match pass.states {
        Some(states) => Some(states), // where nothing is stateful the run refuses them
        none if !model.is_stateful() => none.as_mut(),
        none => {
            let batch = pass.inputs.first().and_then(|input| input.shape().first()).copied().unwrap_or(0);
            Some(none.insert(model.try_initial_state(batch)?))
        }
    };
    let tensors = match (pass.tape, pass.seeds) {
        (Some(tape), Some(seeds)) => {
            tape.begin();
            model.run_training(states, pass.inputs, tape, seeds)?
        }
        (tape, _) => model.run_tensors(states, pass.inputs, (tape, None), None)?,
    };
    outputs.arrays.clear();
    outputs.arrays.extend(tensors.iter().enumerate().map(|(place, tensor)| model.outward(place, &tensor.value)));
    outputs.masks.clear();
    outputs.masks.extend(tensors.iter().map(|tensor| tensor.mask.as_ref().map(|mask| in_row_order(mask.flags()))));
    Ok(())
}
