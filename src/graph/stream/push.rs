//! Steps that give outputs now and then, or several at once: strides, windows and UpSampling1D stand between.

use ndarray::{ArrayD, ArrayView3, s};

use super::trace::Started;
use super::{ModelStream, buffers};
use crate::error::{Error, Result};
use crate::float::Float;
use crate::graph::operation::misfit;
use crate::graph::tensor::Input;

impl<T: Float> ModelStream<T> {
    /// [`step`](ModelStream::step) of any model: the outputs, if this step gives some.
    ///
    /// Strides let one step in several through, and a window without padding begins to give outputs when it is full.
    /// An output that belongs to the whole sequence is there in each step from its first value on: it is what
    /// [`predict`](crate::Model::predict) gives of all steps so far.
    ///
    /// ```
    /// use ndarray::prelude::*;
    /// use recurrent::{Conv1D, Dense, Lstm, Sequential, ops};
    /// let model = Sequential::<f32>::builder("cnn_lstm")
    ///     .layer(Conv1D::builder(2, 8, 3).build()?) // looks at 3 steps
    ///     .layer(ops::MaxPooling1D::new(2)?) // at 2 of those, one in two
    ///     .layer(Lstm::builder(8, 4).return_sequences(true).build()?)
    ///     .layer(Dense::new(4, 1))
    ///     .build()?;
    /// let mut stream = model.stream(1)?;
    /// let x = Array3::from_shape_fn((1, 8, 2), |(_, time, channel)| (time * 2 + channel) as f32 * 0.1);
    /// let mut outputs = Vec::new();
    /// for step in x.axis_iter(Axis(1)) {
    ///     if let Some(output) = stream.push(&[step.into()])? {
    ///         outputs.push(output[0].clone());
    ///     }
    /// }
    /// assert_eq!(outputs.len(), 3); // with the steps 4, 6 and 8
    /// let whole = model.predict_one(&x)?;
    /// assert_eq!(whole.index_axis(Axis(1), 2), outputs[2]);
    /// # Ok::<(), recurrent::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`step`](ModelStream::step) but for [`Error::OutputsNotEachStep`]; [`Error::SeveralOutputs`] where a step
    /// can give several: [`process`](ModelStream::process) takes these.
    pub fn push(&mut self, inputs: &[Input<'_, T>]) -> Result<Option<&[ArrayD<T>]>> {
        self.check_one_output()?;
        Ok(if self.take(inputs)? { Some(&self.outputs) } else { None })
    }

    /// [`push`](ModelStream::push) with the inputs by their names, in any order.
    ///
    /// # Errors
    /// Those of [`push`](ModelStream::push), [`Error::UnknownName`], [`Error::DuplicateName`],
    /// [`Error::MissingInput`].
    pub fn push_named(&mut self, inputs: &[(&str, Input<'_, T>)]) -> Result<Option<&[ArrayD<T>]>> {
        self.check_one_output()?;
        Ok(if self.take_named(inputs)? { Some(&self.outputs) } else { None })
    }

    /// [`push`](ModelStream::push) of a stream with one input and one output, on plain slices: of each row the features.
    /// Allocates nothing if it succeeds.
    ///
    /// # Errors
    /// [`Error::ModelSeveral`], those of [`push`](ModelStream::push).
    pub fn push_one(&mut self, x: &[T]) -> Result<Option<&[T]>> {
        self.check_one_output()?;
        Ok(if self.take_one(x)? { Some(self.outputs[0].as_slice().ok_or_else(misfit)?) } else { None })
    }

    /// A block of steps of a stream with one input and one output, on plain slices; returns how many outputs it wrote.
    /// Allocates nothing if it succeeds.
    ///
    /// `input` is (batch, timesteps, features) in row order; the outputs are written to the beginning of `output`, as
    /// (batch, outputs, features). How many there will be says [`outputs_in`](ModelStream::outputs_in); what stands
    /// behind them is left. However a sequence is cut into blocks, the outputs are the same bits.
    ///
    /// ```
    /// use recurrent::{Conv1D, Sequential};
    /// let model = Sequential::<f32>::builder("thinner").layer(Conv1D::builder(1, 2, 3).strides(2).build()?).build()?;
    /// let mut stream = model.stream(1)?;
    /// let mut output = [0.0; 2 * 2];
    /// assert_eq!(stream.process(&[0.5, 1.0, 1.5, 2.0], &mut output)?, 1); // with the third
    /// assert_eq!(stream.process(&[2.5, 3.0, 3.5], &mut output)?, 2); // with the fifth and the seventh
    /// # Ok::<(), recurrent::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::ModelSeveral`], [`Error::StreamNotStarted`]; [`Error::BlockOutputs`] for an input that isn't of whole
    /// steps, or an output that has too little room: the stream and `output` are as before. [`Error::InLayer`] and
    /// [`Error::ModelInput`] for what a step refuses: the steps before it are taken.
    pub fn process(&mut self, input: &[T], output: &mut [T]) -> Result<usize> {
        let (place, number) = self.only_input()?;
        self.check_started()?;
        let (features, units) = (self.program.values[number].len(), self.outputs[0].len());
        let steps = input.len().checked_div(features).unwrap_or(0);
        let count = self.outputs_in(steps);
        if steps * features != input.len() || count.checked_mul(units).is_none_or(|needed| needed > output.len()) {
            return Err(Error::BlockOutputs {
                features,
                units,
                input: input.len(),
                outputs: count,
                output: output.len(),
            });
        }
        let rows = self.batch.max(1);
        let (features, units) = (features / rows, units / rows);
        let blocks = ArrayView3::from_shape((self.batch, steps, features), input).map_err(|_| misfit())?;
        let mut written = 0;
        for step in 0..steps {
            let x = blocks.slice(s![.., step, ..]);
            self.model.inputs[place].write_flat(x.into_dyn(), &mut self.program.values[number])?;
            self.finish_ticks(|outputs| {
                let y = outputs[0].as_slice().unwrap_or_default();
                for (row, y) in y.chunks_exact(units.max(1)).enumerate() {
                    output[(row * count + written) * units..][..units].copy_from_slice(y);
                }
                written += 1;
            })?;
        }
        Ok(written)
    }

    /// How many outputs the next `steps` steps give.
    ///
    /// ```
    /// use recurrent::{Conv1D, Padding, Sequential};
    /// let conv = Conv1D::builder(1, 2, 3).strides(2).padding(Padding::Causal).build()?;
    /// let stream = Sequential::<f32>::builder("thinner").layer(conv).build()?.stream(1)?;
    /// assert_eq!([0, 1, 2, 3].map(|steps| stream.outputs_in(steps)), [0, 1, 1, 2]);
    /// # Ok::<(), recurrent::Error>(())
    /// ```
    pub fn outputs_in(&self, steps: usize) -> usize {
        self.plan.gives.count(self.program.clock.time, steps)
    }

    /// Checks that each step gives outputs.
    pub(super) fn check_each_step(&self) -> Result<()> {
        self.check_one_output()?;
        let gives = self.plan.gives;
        if gives.is_each() {
            return Ok(());
        }
        let (first, every) = (gives.first / gives.ticks + 1, gives.every.div_ceil(gives.ticks));
        Err(Error::OutputsNotEachStep { first, every })
    }

    /// Checks that no step gives several outputs.
    fn check_one_output(&self) -> Result<()> {
        let gives = self.plan.gives;
        match gives.is_several() {
            true => Err(Error::SeveralOutputs { most: gives.ticks.div_ceil(gives.every) }),
            false => Ok(()),
        }
    }

    /// The step, once its inputs are there; whether it returns outputs, the last of them if it gives several.
    pub(super) fn finish_step(&mut self) -> Result<bool> {
        let mut gave = false;
        self.finish_ticks(|_| gave = true)?;
        Ok(gave)
    }

    /// The same with all outputs that the step gives, one after the other.
    fn finish_ticks(&mut self, mut each: impl FnMut(&[ArrayD<T>])) -> Result<()> {
        let start = self.program.clock.time;
        if self.program.may_fail_late {
            for (before, Started { kept, .. }) in self.before.iter_mut().zip(&self.program.streams) {
                before.copy_from(kept.state())?;
            }
        }
        for _ in 0..self.program.clock.ticks {
            if let Err(error) = self.finish_tick(&mut each) {
                self.program.clock.time = start;
                self.go_back()?;
                return Err(error);
            }
        }
        Ok(())
    }

    /// The states before a step that was refused.
    fn go_back(&mut self) -> Result<()> {
        for (before, Started { kept, .. }) in self.before.iter().zip(&mut self.program.streams) {
            if self.program.may_fail_late {
                kept.set_state(before)?;
            }
        }
        Ok(())
    }

    fn finish_tick(&mut self, each: &mut impl FnMut(&[ArrayD<T>])) -> Result<()> {
        let time = self.program.clock.time;
        self.program.step()?;
        let program = &mut self.program;
        for state in &self.states {
            if state.changes(program, time) {
                program.copy(state.output, state.input)?;
            }
        }
        if !self.plan.gives.is_due(time) {
            return Ok(());
        }
        for (output, &(place, number)) in self.outputs.iter_mut().zip(&self.results) {
            let (value, sequence) = (&self.program.values[number], self.plan.outputs[place].is_sequence());
            match self.model.outside.get(place) {
                Some(Some(outside)) => buffers::fill_outside(output, value, outside.walk(value.shape(), sequence))?,
                _ => buffers::fill(output, value)?,
            }
        }
        each(&self.outputs);
        Ok(())
    }
}
