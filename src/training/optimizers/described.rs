//! What optimizers say of themselves, and how they are made of it again: options, what was counted, and what is
//! remembered of each weight.

use ndarray::{ArrayD, ArrayViewD};

use super::memory::{Owners, Slots};
use super::rules::Rules;
use crate::config::{Config, ConfigError, Item, Options, Tensors, Value};
use crate::error::Error;
use crate::float::Float;

type Read<V> = Result<V, ConfigError>;

/// Receives arrays by their names.
pub(crate) type Show<'s, T> = dyn FnMut(String, ArrayViewD<'_, T>) + 's;

const COUNT: &str = "a whole number of at least 0";

impl<T: Float> Rules<T> {
    pub(super) fn describe(&self, class: &str) -> Config {
        let count = |count: Option<u64>| count.map(|count| i64::try_from(count).unwrap_or(i64::MAX));
        Config::new(class)
            .with("learning_rate", self.learning_rate)
            .with("weight_decay", self.weight_decay)
            .with("not_decayed", self.not_decayed.iter().map(|name| &**name).collect::<Vec<_>>())
            .with("clipnorm", self.clipnorm)
            .with("clipvalue", self.clipvalue)
            .with("global_clipnorm", self.global_clipnorm)
            .with("use_ema", self.use_ema)
            .with("ema_momentum", self.ema_momentum)
            .with("ema_overwrite_frequency", count(self.ema_overwrite_frequency))
            .with("loss_scale_factor", self.loss_scale_factor)
            .with("gradient_accumulation_steps", count(self.gradient_accumulation_steps))
            .with("calls", count(Some(self.calls)))
            .with("weights", self.owners.describe())
            .with("accumulated", !self.accumulated.is_empty())
            .with("averages", !self.averages.is_empty())
    }

    pub(super) fn show(&self, show: &mut Show<'_, T>) {
        self.accumulated.show("accumulated", show);
        self.averages.show("averages", show);
    }

    pub(super) fn read(options: &Options<'_>, tensors: &mut Tensors<'_, T>) -> Read<Self> {
        let number = |name| options.need(name, "a number or null")?.given().map(|item| item.number()).transpose();
        let count = |name| options.need(name, COUNT)?.given().map(|item| count(&item)).transpose();
        let mut rules = Rules::new(options.number("learning_rate")?);
        rules.weight_decay = number("weight_decay")?;
        let names = options.list("not_decayed", "names")?;
        rules.not_decayed = names.iter().map(|name| name.text("a name").map(String::from)).collect::<Read<_>>()?;
        (rules.clipnorm, rules.clipvalue) = (number("clipnorm")?, number("clipvalue")?);
        rules.global_clipnorm = number("global_clipnorm")?;
        (rules.use_ema, rules.ema_momentum) = (options.flag("use_ema")?, options.number("ema_momentum")?);
        rules.ema_overwrite_frequency = count("ema_overwrite_frequency")?;
        rules.loss_scale_factor = number("loss_scale_factor")?;
        rules.gradient_accumulation_steps = count("gradient_accumulation_steps")?;
        rules.calls = self::count(&options.need("calls", COUNT)?)?;
        rules.owners = Owners::read(options)?;
        rules.accumulated = Slots::read(options, tensors, "accumulated", &rules.owners)?;
        rules.averages = Slots::read(options, tensors, "averages", &rules.owners)?;
        Ok(rules)
    }

    pub(super) fn owners(&self) -> &Owners {
        &self.owners
    }
}

fn count(item: &Item<'_>) -> Read<u64> {
    u64::try_from(item.integer()?).map_err(|_| item.wrong(COUNT))
}

impl Owners {
    /// The weights that are known, or nothing.
    fn describe(&self) -> Value {
        let weights = self.names.iter().zip(&self.shapes);
        let weights: Vec<Config> = weights
            .map(|(name, shape)| Config::new("Weight").with("name", &**name).with("shape", shape.clone()))
            .collect();
        self.known.then_some(weights).into()
    }

    /// Weights of these names and shapes; whose they are shows at the next step.
    fn read(options: &Options<'_>) -> Read<Self> {
        let expected = "a list of weights or null";
        let Some(weights) = options.need("weights", expected)?.given() else { return Ok(Owners::default()) };
        let mut owners = Owners { known: true, by_weights: true, ..Owners::default() };
        for weight in weights.list(expected)? {
            let described = weight.config("a weight")?;
            if described.class() != "Weight" {
                return Err(weight.wrong("a weight"));
            }
            described.read(|options| {
                owners.names.push(options.text("name", "a name")?.into());
                let shape = options.list("shape", "sizes")?;
                owners.shapes.push(shape.iter().map(|size| size.index("sizes")).collect::<Read<_>>()?);
                Ok(())
            })?;
        }
        Ok(owners)
    }
}

impl<T: Float> Slots<T> {
    pub(super) fn show(&self, name: &str, show: &mut Show<'_, T>) {
        self.iter().enumerate().for_each(|(index, array)| show(format!("{name}/{index}"), array.view()));
    }

    /// An array for each weight, if the option of this name says so.
    pub(super) fn read(options: &Options<'_>, tensors: &mut Tensors<'_, T>, name: &str, owners: &Owners) -> Read<Self> {
        let mut slots = Slots::new();
        if options.flag(name)? {
            let mut tensors = tensors.nested(name);
            for (index, shape) in owners.shapes.iter().enumerate() {
                let values = tensors.take(&index.to_string(), shape)?;
                let array = ArrayD::from_shape_vec(&shape[..], values);
                slots.push(array.map_err(|_| options.refused(Error::TensorTooLarge { shape: shape.clone() }))?);
            }
        }
        Ok(slots)
    }
}
