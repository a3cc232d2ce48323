//! The loop over epochs.

use std::ops::{ControlFlow, Range};

use super::batches::{Batches, Made, Rows};
use super::checkpoint::{Checkpoint, weights_of};
use super::class_weights::ClassWeights;
use super::dataset::Dataset;
use super::early_stopping::Watch;
use super::history::History;
use super::meters::{Meters, MetricOf};
use super::order::{Buckets, Order};
use super::progress::{Clock, Progress, Update};
use super::session::{OutputLoss, Session};
use super::{Fit, Validation};
use crate::error::{Error, Result, words::number};
use crate::float::Float;
use crate::graph::{Input, ModelState, Network};
use crate::parameters::Parameters;
use crate::seeds::DropoutSeeds;
use crate::training::loss::Target;
use crate::training::optimizers::Optimizer;

/// All that a run of some epochs works with, made and checked before the first.
struct Plan<'d, 'a, T: Float> {
    session: Session<T>,
    meters: Meters<T>,
    validation: Option<(Rows<'d, 'a, T>, Meters<T>)>,
    watch: Option<Watch<T>>,
    /// What is logged, and of which of it more is better.
    names: Vec<(String, bool)>,
}

impl<T: Float, O: Optimizer<T>> Fit<'_, T, O> {
    /// Trains a network of one input and one output: the loss, or whatever else is logged, of each epoch.
    ///
    /// # Errors
    /// Those of [`run_on`](Fit::run_on).
    pub fn run<'d, N: Network<T>>(
        &mut self,
        network: &mut N,
        x: impl Into<Input<'d, T>>,
        target: impl Into<Target<'d, T>>,
    ) -> Result<History>
    where
        T: 'd,
    {
        self.run_on(network, &Dataset::new(x, target))
    }

    /// Trains a network on a [`Dataset`]: several inputs and outputs, masks or lengths, sample weights.
    ///
    /// # Errors
    /// [`Error::TrainingOption`] for options and arrays that make no sense, [`Error::UnknownName`] for an output or a
    /// number to monitor that isn't there, those of the network's run and backward pass, of the losses, the metrics
    /// and the optimizer; [`Error::NotFinite`]. Of a run that is stopped so, the updates before stay.
    pub fn run_on<N: Network<T>>(&mut self, network: &mut N, data: &Dataset<'_, T>) -> Result<History> {
        network.trains_as_in_keras()?;
        let rows = data.rows()?;
        let (training, held) = self.split(rows)?;
        // Views of one lifetime.
        let (data, own) = (&data.view(), self.validation.data());
        let own = own.as_ref().map(Dataset::view);
        let validation = match (&own, held) {
            (Some(own), _) => Some((own, 0..own.rows()?)),
            (None, Some(held)) => Some((data, held)),
            (None, None) => None,
        };
        let mut plan = self.plan(network, validation)?;
        check_data(data, plan.session.losses.len())?;
        if data.sample_weight.is_some() && !self.class_weight.is_empty() {
            let expected = "left out where there are sample weights".into();
            return Err(Error::TrainingOption { option: "class_weight".into(), expected, given: "both".into() });
        }
        let buckets = self.buckets(data, rows)?;
        let size = checked_size("batch_size", self.batch_size)?;
        let mut batches = Rows::new(data, training, (self.order, buckets), size, &reads_classes(&plan.session.losses))?;
        self.go_through(network, &mut batches, &mut plan)
    }

    /// Trains on batches of one's own: `batches` returns those of an epoch, counted from 0, as an iterator of (input,
    /// target). They may differ in size. Options that are about rows (`batch_size`, `shuffle`, `validation_split`,
    /// buckets) are refused.
    ///
    /// ```
    /// use ndarray::prelude::*;
    /// use recurrent::{Dense, Gru, SeedSource, Stacked, training::*};
    /// let mut seeds = SeedSource::keras(7);
    /// let gru = Gru::<f32>::builder(1, 4).seeds(&mut seeds).build()?;
    /// let mut net = Stacked::builder().layer(gru).layer(Dense::builder(4, 1).seeds(&mut seeds).build()?).build()?;
    /// let wave = |epoch: usize, batch: usize| {
    ///     let x = Array3::from_shape_fn((4, 6, 1), |(row, t, _)| (0.3 * (epoch + batch + row + t) as f32).sin());
    ///     let target = Array2::from_shape_fn((4, 1), |(row, _)| (0.3 * (epoch + batch + row + 6) as f32).sin());
    ///     (x, target)
    /// };
    /// let history = Fit::new(Loss::MeanSquaredError, Adam::new(0.02))
    ///     .epochs(3)
    ///     .run_batches(&mut net, |epoch| (0..8).map(move |batch| wave(epoch, batch)))?;
    /// assert!(history.get("loss")?[2] < history.get("loss")?[0]);
    /// # Ok::<(), recurrent::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`run_on`](Fit::run_on).
    pub fn run_batches<N, X, Y, I>(&mut self, network: &mut N, batches: impl FnMut(usize) -> I) -> Result<History>
    where
        N: Network<T>,
        I: IntoIterator<Item = (X, Y)>,
        for<'b> &'b X: Into<Input<'b, T>>,
        for<'b> &'b Y: Into<Target<'b, T>>,
    {
        let about_rows = [
            ("batch_size", self.batch_size.is_some()),
            ("shuffle", self.order != Order::Given),
            ("validation_split", matches!(self.validation, Validation::Split(_))),
            ("bucket_by_length", self.lengths.is_some()),
        ];
        if let Some((option, _)) = about_rows.iter().find(|(_, given)| *given) {
            let expected = "left out where batches are given".into();
            return Err(Error::TrainingOption { option: (*option).into(), expected, given: "some".into() });
        }
        network.trains_as_in_keras()?;
        let validation = self.validation.data();
        let range = validation.as_ref().map_or(Ok(0), Dataset::rows)?;
        let mut plan = self.plan(network, validation.as_ref().map(|data| (data, 0..range)))?;
        self.go_through(network, &mut Made::new(batches), &mut plan)
    }

    /// The loss and the metrics of a network on some data, Keras's `evaluate`: by their names, in order.
    ///
    /// # Errors
    /// Those of [`run_on`](Fit::run_on).
    pub fn evaluate<N: Network<T>>(&self, network: &N, data: &Dataset<'_, T>) -> Result<Vec<(String, f64)>> {
        let rows = data.rows()?;
        let mut plan = self.plan(network, Some((data, 0..rows)))?;
        plan.session.states = self.states.clone();
        let mut logs = Vec::new();
        if let Some((batches, meters)) = &mut plan.validation {
            plan.session.validate_all(network, batches, meters, &mut DropoutSeeds::default())?;
            meters.log(&mut logs);
            logs.iter_mut().for_each(|(name, _)| drop(name.drain(.."val_".len())));
        }
        Ok(logs)
    }

    /// Checks all options, and makes what the run works with.
    fn plan<'d, 'v, N: Network<T>>(
        &self,
        network: &N,
        validation: Option<(&'d Dataset<'v, T>, Range<usize>)>,
    ) -> Result<Plan<'d, 'v, T>> {
        checked_size("validation_freq", Some(self.validation_freq))?;
        let outputs = network.output_labels();
        let losses = self.losses(&outputs)?;
        let metrics = self.metrics_of(&outputs)?;
        self.weight_rules.validate(network)?;
        self.weight_rules.validate_activity(network)?;
        let session = Session::new(network, losses, ClassWeights::new(&self.class_weight));
        let mut session = session.with_rules(&self.weight_rules);
        session.terminate_on_nan = self.terminate_on_nan;
        if !self.class_weight.is_empty() && outputs.len() > 1 {
            let expected = "left out for several outputs, as in Keras: give sample weights".into();
            return Err(Error::TrainingOption { option: "class_weight".into(), expected, given: "some".into() });
        }
        let meters = Meters::new("", &outputs, &metrics)?;
        let mut names: Vec<(String, bool)> = meters.names().map(|(name, rises)| (name.into(), rises)).collect();
        let validation = match validation {
            Some((data, range)) => {
                check_data(data, outputs.len())?;
                let size = checked_size("batch_size", self.batch_size)?;
                let size = checked_size("validation_batch_size", self.validation_batch_size.or(Some(size)))?;
                let classes = reads_classes(&session.losses);
                let meters = Meters::new("val_", &outputs, &metrics)?;
                names.extend(meters.names().map(|(name, rises)| (name.into(), rises)));
                Some((Rows::new(data, range, (Order::Given, None), size, &classes)?, meters))
            }
            None => None,
        };
        let watch = match &self.early_stopping {
            Some(rule) => {
                let found = names.iter().find(|(name, _)| *name == rule.monitor);
                let known = || names.iter().map(|(name, _)| name.clone());
                let unknown = || Error::unknown_name("number to monitor", &rule.monitor, known());
                Some(Watch::new(rule.clone(), found.ok_or_else(unknown)?.1)?)
            }
            None => None,
        };
        self.plateaus.check(&names)?;
        Ok(Plan { session, meters, validation, watch, names })
    }

    /// The loop: every fit is this one.
    fn go_through<N: Network<T>>(
        &mut self,
        network: &mut N,
        batches: &mut dyn Batches<T>,
        plan: &mut Plan<'_, '_, T>,
    ) -> Result<History> {
        if let (Some(watch), Some(memory)) = (&mut plan.watch, self.resumed.take()) {
            watch.memory = memory;
        }
        let mut seeds = self.seeds.take().unwrap_or_else(|| network.dropout_seeds());
        plan.session.states = self.states.take();
        let history = self.all_epochs(network, batches, plan, &mut seeds);
        (self.seeds, self.states) = (Some(seeds), plan.session.states.take());
        history
    }

    fn all_epochs<N: Network<T>>(
        &mut self,
        network: &mut N,
        batches: &mut dyn Batches<T>,
        plan: &mut Plan<'_, '_, T>,
        seeds: &mut DropoutSeeds,
    ) -> Result<History> {
        let (clock, mut history, mut logs) = (Clock::start(), History::default(), Vec::new());
        // A run that was stopped before its checkpoint was written has come to its end.
        let over = plan.watch.as_ref().is_some_and(Watch::was_over);
        history.stopped_epoch = over.then_some(self.initial_epoch);
        for epoch in self.initial_epoch..if over { self.initial_epoch } else { self.epochs } {
            let mut stop = self.train_epoch(epoch, network, batches, plan, seeds)?;
            let Plan { session, meters, validation, watch, names } = plan;
            logs.clear();
            meters.log(&mut logs);
            if let Some((batches, meters)) = validation.as_mut()
                && (epoch + 1).is_multiple_of(self.validation_freq)
            {
                session.validate_all(network, batches, meters, seeds)?;
                meters.log(&mut logs);
            }
            history.push(&logs);
            let (loss, elapsed, done) = (meters.loss(), clock.elapsed(), history.epochs());
            let progress = Progress { epoch: epoch + 1, epochs: self.epochs, loss, elapsed, logs: &logs, done };
            // All hear it, whoever stops.
            for hear in &mut self.on_epoch {
                stop |= hear(&progress) == ControlFlow::Break(());
            }
            self.plateaus.update(names, &logs, &mut self.optimizer)?;
            if let Some(watch) = watch
                && watch.is_over(epoch, &logs, network)
            {
                history.stopped_epoch = Some(epoch + 1);
                stop = true;
            }
            self.keep_checkpoint(epoch, network, seeds, &session.states, watch.as_ref())?;
            if stop {
                break;
            }
        }
        if let Some(watch) = &plan.watch {
            history.best_epoch = watch.memory.best_epoch;
            watch.restore(network)?;
        }
        Ok(history)
    }

    /// The updates of one epoch; whether they were stopped.
    fn train_epoch<N: Network<T>>(
        &mut self,
        epoch: usize,
        network: &mut N,
        batches: &mut dyn Batches<T>,
        plan: &mut Plan<'_, '_, T>,
        seeds: &mut DropoutSeeds,
    ) -> Result<bool> {
        let (Plan { session, meters, .. }, mut batch, mut stop) = (plan, 0, false);
        meters.reset();
        batches.begin(epoch);
        session.epoch = epoch + 1;
        if self.resets_states {
            session.states = None;
        }
        while !stop && let Some(rows) = batches.next() {
            let loss = session.train(network, &mut self.optimizer, batches, rows, seeds, meters)?;
            batch += 1;
            let count = batches.count();
            let update = Update { epoch: epoch + 1, update: session.updates, batch, batches: count, loss };
            // All hear it, whoever stops.
            for hear in &mut self.on_update {
                stop |= hear(&update).is_break();
            }
        }
        if batch == 0 {
            let (expected, given) = ("at least one".into(), "none".into());
            return Err(Error::TrainingOption { option: "the batches of an epoch".into(), expected, given });
        }
        Ok(stop)
    }

    fn keep_checkpoint(
        &mut self,
        epoch: usize,
        network: &dyn Parameters<T>,
        seeds: &DropoutSeeds,
        states: &Option<ModelState<T>>,
        watch: Option<&Watch<T>>,
    ) -> Result<()> {
        let Some(keep) = &mut self.on_checkpoint else { return Ok(()) };
        keep(Checkpoint {
            weights: weights_of(network),
            optimizer: &self.optimizer,
            seeds: seeds.clone(),
            states: states.clone(),
            epoch: epoch + 1,
            early_stopping: watch.map(|watch| watch.memory.clone()),
            plateaus: self.plateaus.copies(),
        })
    }

    /// The rows that are trained on, and those that are held out.
    fn split(&self, rows: usize) -> Result<(Range<usize>, Option<Range<usize>>)> {
        let Validation::Split(share) = self.validation else { return Ok((0..rows, None)) };
        // As Keras rounds it.
        let at = if share > 0.0 && share < 1.0 { (rows as f64 * (1.0 - share)).floor() as usize } else { 0 };
        if at == 0 || at >= rows {
            let expected = format!("between 0 and 1 and leave some of {rows} rows on both sides");
            return Err(Error::TrainingOption { option: "validation_split".into(), expected, given: number(share) });
        }
        Ok((0..at, Some(at..rows)))
    }

    /// The lengths that batches are put together by.
    fn buckets(&self, data: &Dataset<'_, T>, rows: usize) -> Result<Option<Buckets>> {
        let Some(lengths) = &self.lengths else { return Ok(None) };
        let steps = data.inputs[0].shape().get(1).copied().unwrap_or(0);
        if lengths.len() != rows {
            return Err(Error::LengthsCount { expected: rows, given: lengths.len() });
        }
        match lengths.iter().position(|&length| length > steps) {
            Some(row) => Err(Error::Length { row, length: lengths[row], timesteps: steps }),
            None => Ok(Some(Buckets(lengths.clone()))),
        }
    }

    /// The loss of each output.
    fn losses(&self, outputs: &[String]) -> Result<Vec<OutputLoss>> {
        self.loss.validate()?;
        let mut losses = vec![OutputLoss { loss: self.loss, weight: 1.0 }; outputs.len()];
        for (name, loss, weight) in &self.output_losses {
            loss.validate()?;
            if !weight.is_finite() {
                let (option, given) = (format!("the loss's weight of {name}"), number(*weight));
                return Err(Error::TrainingOption { option, expected: "finite".into(), given });
            }
            losses[place_of(name, outputs)?] = OutputLoss { loss: *loss, weight: *weight };
        }
        Ok(losses)
    }

    fn metrics_of(&self, outputs: &[String]) -> Result<Vec<MetricOf>> {
        let mut metrics = Vec::new();
        // Weighted ones come last, as in Keras.
        for weighted in [false, true] {
            for (output, metric, _) in self.metrics.iter().filter(|(.., own)| *own == weighted) {
                let output = match output {
                    Some(name) => place_of(name, outputs)?,
                    None if outputs.len() == 1 => 0,
                    None => {
                        let expected = "of one of several outputs: say metric_of";
                        let (option, given) = (format!("the metric {}", metric.name()), "of none".into());
                        return Err(Error::TrainingOption { option, expected: expected.into(), given });
                    }
                };
                metrics.push(MetricOf { output, metric: metric.clone(), weighted });
            }
        }
        Ok(metrics)
    }
}

fn place_of(name: &str, outputs: &[String]) -> Result<usize> {
    let place = outputs.iter().position(|own| own == name);
    place.ok_or_else(|| Error::unknown_name("output", name, outputs.iter().cloned()))
}

fn reads_classes(losses: &[OutputLoss]) -> Vec<bool> {
    losses.iter().map(|of| of.loss.reads_classes()).collect()
}

fn check_data<T: Float>(data: &Dataset<'_, T>, outputs: usize) -> Result<()> {
    match data.targets.len() {
        given if given != outputs => Err(Error::ModelOutputs { expected: outputs, given }),
        _ => Ok(()),
    }
}

/// Keras's 32, unless it is set.
fn checked_size(option: &str, size: Option<usize>) -> Result<usize> {
    match size {
        Some(0) => {
            let (expected, given) = ("at least 1".into(), "0".into());
            Err(Error::TrainingOption { option: option.into(), expected, given })
        }
        size => Ok(size.unwrap_or(32)),
    }
}
