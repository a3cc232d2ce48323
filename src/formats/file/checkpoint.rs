//! Checkpoints of training runs.

use std::path::PathBuf;

use ndarray::{ArrayD, ArrayViewD};

use super::saved::{Saved, Show, Sort, sealed};
use super::{LoadError, Problem};
use crate::config::{Config, ConfigError, Described, Item, Options, Tensors};
use crate::error::Error;
use crate::float::Float;
use crate::graph::ModelState;
use crate::parameters::Parameters;
use crate::seeds::DropoutSeeds;
use crate::training::{Checkpoint, Fit, Memory, ReduceLrOnPlateau};

impl<'a, T: Float, O: Saved<Elem = T> + Clone> Fit<'a, T, O> {
    /// Writes a checkpoint after each epoch, in the place of the one before: one file with the weights, the optimizer,
    /// the seeds of dropout, where stateful layers have come to, the number of the epoch, and what early stopping and
    /// plateaus remember.
    /// [`resume`](Fit::resume) goes on from it, with the same bits as without the pause.
    ///
    /// ```
    /// use ndarray::prelude::*;
    /// use recurrent::{Gru, Layer, training::*};
    /// # let folder = std::env::temp_dir().join(format!("recurrent-doc-checkpoint-{}", std::process::id()));
    /// # std::fs::create_dir_all(&folder)?;
    /// # let path = folder.join("run.safetensors");
    /// let (x, y) = (Array3::<f32>::ones((8, 5, 3)), Array2::<f32>::zeros((8, 4)));
    /// let fit = || Fit::new(Loss::MeanSquaredError, Adam::new(0.01)).batch_size(4);
    /// let begun = Gru::<f32>::new(3, 4);
    /// let (mut whole, mut paused) = (begun.clone(), begun.clone());
    /// fit().epochs(4).run(&mut whole, &x, &y)?;
    ///
    /// fit().epochs(2).checkpoint(&path).run(&mut paused, &x, &y)?;
    /// let mut again = begun; // in another process: any layer of the same structure
    /// fit().epochs(4).resume(&path, &mut again)?.run(&mut again, &x, &y)?;
    /// assert_eq!(again.forward(&x)?, whole.forward(&x)?); // the same bits
    /// # std::fs::remove_dir_all(&folder)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// A run whose checkpoint can't be written ends with [`Error::Checkpoint`].
    pub fn checkpoint(self, path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        self.on_checkpoint(move |checkpoint| {
            let saved = super::save(&path, &checkpoint.into_owned());
            saved.map_err(|error| Error::Checkpoint { reason: error.to_string() })
        })
    }

    /// Goes on from a [`checkpoint`](Fit::checkpoint): the network gets its weights, this run its optimizer, the seeds of
    /// dropout and the states of stateful layers, the epoch. Data, losses and other options are this run's own.
    ///
    /// # Errors
    /// Those of [`file::load`](super::load), [`Problem::Layer`] if the weights aren't the network's; the network is
    /// unchanged then.
    pub fn resume(self, path: impl Into<PathBuf>, network: &mut impl Parameters<T>) -> Result<Self, LoadError> {
        let path = path.into();
        let mut checkpoint: Checkpoint<T, O> = super::load(&path)?;
        let misfit =
            |source| LoadError::new(&path.display().to_string(), Problem::Layer { layer: String::new(), source });
        let weights = std::mem::take(&mut checkpoint.weights);
        check_best(&weights, checkpoint.early_stopping.as_ref()).map_err(misfit)?;
        let resumed = self.go_on_from(checkpoint).map_err(misfit)?;
        let (expected, given) = (network.weights().len(), weights.len());
        if expected != given {
            return Err(misfit(Error::WeightCount { expected, given }));
        }
        let weights: Vec<_> = weights.iter().map(|(name, array)| (&name[..], array.view())).collect();
        network.set_weights(&weights).map_err(misfit)?;
        Ok(resumed)
    }
}

/// Checks that the weights of the best epoch are like the others, if there are any.
fn check_best<T>(weights: &[(String, ArrayD<T>)], memory: Option<&Memory<T>>) -> Result<(), Error> {
    let best = memory.map_or(&[][..], |memory| &memory.best_weights);
    if !best.is_empty() && best.len() != weights.len() {
        return Err(Error::WeightCount { expected: weights.len(), given: best.len() });
    }
    match weights.iter().zip(best).find(|((_, weight), best)| weight.shape() != best.shape()) {
        None => Ok(()),
        Some(((name, weight), best)) => {
            let (expected, given) = (weight.shape().to_vec(), best.shape().to_vec());
            Err(Error::WeightShape { name: name.clone(), expected, given })
        }
    }
}

impl<T: Float, O: Saved<Elem = T>> sealed::Sealed for Checkpoint<T, O> {}

/// Arrays with their names, as `weights/0`, `weights/1`, ..
fn described<T>(arrays: &[(String, ArrayD<T>)]) -> Vec<Config> {
    let weight = |(name, array): &(String, ArrayD<T>)| {
        Config::new("Weight").with("name", &name[..]).with("shape", array.shape().to_vec())
    };
    arrays.iter().map(weight).collect()
}

fn arrays<T: Float>(list: &[Item<'_>], mut tensors: Tensors<'_, T>) -> Result<Vec<(String, ArrayD<T>)>, ConfigError> {
    let mut arrays = Vec::new();
    for (place, item) in list.iter().enumerate() {
        let weight = item.config("a weight")?;
        if weight.class() != "Weight" {
            return Err(weight.wrong_class("Weight"));
        }
        arrays.push(weight.read(|options| {
            let shape = options.list("shape", "sizes")?;
            let shape = shape.iter().map(|size| size.index("sizes")).collect::<Result<Vec<_>, _>>()?;
            let values = tensors.take(&place.to_string(), &shape)?;
            let array = ArrayD::from_shape_vec(&shape[..], values);
            let too_large = |_| options.refused(Error::TensorTooLarge { shape: shape.clone() });
            Ok((options.text("name", "a name")?.to_string(), array.map_err(too_large)?))
        })?);
    }
    Ok(arrays)
}

impl<T: Float> Memory<T> {
    fn describe(&self) -> Config {
        Config::new("EarlyStopping")
            .with("wait", self.wait)
            .with("best", self.best)
            .with("best_epoch", self.best_epoch)
            .with("over", self.over)
            .with("best_weights", self.best_weights.iter().map(|array| array.shape().to_vec()).collect::<Vec<_>>())
    }

    fn read(options: &Options<'_>, mut tensors: Tensors<'_, T>) -> Result<Self, ConfigError> {
        let count = "a whole number of at least 0, or null";
        let mut best_weights = Vec::new();
        for (place, shape) in options.list("best_weights", "shapes")?.iter().enumerate() {
            let shape = shape.list("sizes")?.iter().map(|size| size.index("sizes")).collect::<Result<Vec<_>, _>>()?;
            let values = tensors.take(&place.to_string(), &shape)?;
            let too_large = |_| options.refused(Error::TensorTooLarge { shape: shape.clone() });
            best_weights.push(ArrayD::from_shape_vec(&shape[..], values).map_err(too_large)?);
        }
        Ok(Memory {
            wait: options.need("wait", count)?.index(count)?,
            best: options.need("best", "a number or null")?.given().map(|best| best.number()).transpose()?,
            best_epoch: options.need("best_epoch", count)?.given().map(|epoch| epoch.index(count)).transpose()?,
            best_weights,
            over: options.said("over").map(|over| over.flag()).transpose()?.unwrap_or(false),
        })
    }
}

impl<T: Float, O: Saved<Elem = T>> Saved for Checkpoint<T, O> {
    type Elem = T;
    const SORT: Sort = Sort::Checkpoint;
    const CLASS: Option<&'static str> = Some("Checkpoint");

    fn describe_whole(&self) -> Result<Config, ConfigError> {
        let config = Config::new("Checkpoint")
            .with("epoch", self.epoch)
            .with("weights", described(&self.weights))
            .with("optimizer", self.optimizer.describe_whole()?)
            .with("seeds", self.seeds.describe_whole()?)
            .with("early_stopping", self.early_stopping.as_ref().map(Memory::describe))
            .with("plateaus", self.plateaus.iter().map(ReduceLrOnPlateau::describe).collect::<Vec<_>>());
        Ok(match &self.states {
            Some(states) => config.with("states", states.describe()),
            None => config,
        })
    }

    fn visit_arrays(&self, show: &mut Show<'_, T>) {
        for (place, (_, array)) in self.weights.iter().enumerate() {
            show(format!("weights/{place}"), array.view());
        }
        for (place, array) in self.early_stopping.iter().flat_map(|memory| &memory.best_weights).enumerate() {
            show(format!("best_weights/{place}"), array.view());
        }
        if let Some(states) = &self.states {
            states.show(&mut |name, values| show(format!("states/{name}"), values));
        }
        self.optimizer
            .visit_arrays(&mut |name: String, array: ArrayViewD<'_, T>| show(format!("optimizer/{name}"), array));
    }

    fn read_whole(described: &Described<'_>, tensors: &mut Tensors<'_, T>) -> Result<Self, ConfigError> {
        described.read(|options| {
            let optimizer = options.config("optimizer", "an optimizer")?;
            match O::CLASS {
                Some(class) if O::SORT == Sort::Optimizer && class == optimizer.class() => {}
                class => return Err(optimizer.wrong_class(class.unwrap_or("an optimizer"))),
            }
            let seeds = options.config("seeds", "the seeds of dropout")?;
            if seeds.class() != "DropoutSeeds" {
                return Err(seeds.wrong_class("DropoutSeeds"));
            }
            let stopping = options.need("early_stopping", "what it remembers, or null")?.given();
            let stopping = stopping.map(|item| item.config("what it remembers")).transpose()?;
            let states = options.said("states").map(|item| item.config("the states of a model")).transpose()?;
            let states = match states {
                Some(states) if states.class() == "ModelState" => {
                    Some(states.read(|options| ModelState::read(options, &mut tensors.nested("states")))?)
                }
                Some(other) => return Err(other.wrong_class("ModelState")),
                None => None,
            };
            let mut plateaus = Vec::new();
            for plateau in options.list("plateaus", "a list")? {
                plateaus.push(plateau.config("a ReduceLrOnPlateau")?.read(ReduceLrOnPlateau::read)?);
            }
            let count = "a whole number of at least 0";
            Ok(Checkpoint {
                epoch: options.need("epoch", count)?.index(count)?,
                weights: arrays(&options.list("weights", "the weights")?, tensors.nested("weights"))?,
                optimizer: O::read_whole(&optimizer, &mut tensors.nested("optimizer"))?,
                seeds: seeds
                    .read(|options| DropoutSeeds::read(&options.list("generators", "a list of generators")?))?,
                early_stopping: match stopping {
                    Some(memory) if memory.class() == "EarlyStopping" => {
                        Some(memory.read(|options| Memory::read(options, tensors.nested("best_weights")))?)
                    }
                    Some(other) => return Err(other.wrong_class("EarlyStopping")),
                    None => None,
                },
                states,
                plateaus,
            })
        })
    }
}
