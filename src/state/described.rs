//! States in files: their parts and rows, and one array.

use ndarray::ArrayViewD;

use super::{State, StateLayout};
use crate::config::{Config, ConfigError, Item, Options, Tensors};
use crate::float::Float;

/// The one array.
const VALUES: &str = "values";

impl StateLayout {
    /// The parts, by name and width.
    pub(crate) fn describe(&self) -> Vec<Config> {
        let part = |(name, width): (&str, usize)| Config::new("Part").with("name", name).with("width", width);
        self.names().zip(self.widths()).map(part).collect()
    }

    pub(crate) fn read(parts: &[Item<'_>]) -> Result<Self, ConfigError> {
        let expected = "a whole number of at least 0";
        let part = |item: &Item<'_>| {
            let part = item.config("a part of a state")?;
            if part.class() != "Part" {
                return Err(part.wrong_class("Part"));
            }
            part.read(|options| {
                let width = options.need("width", expected)?.index(expected)?;
                Ok((options.text("name", "a name")?.to_string(), width))
            })
        };
        Ok(StateLayout::new(parts.iter().map(part).collect::<Result<Vec<_>, _>>()?))
    }
}

impl<T: Float> State<T> {
    /// All but the numbers.
    pub(crate) fn describe(&self) -> Config {
        Config::new("State").with("batch", self.batch()).with("parts", self.layout().describe())
    }

    /// The numbers.
    pub(crate) fn show(&self, show: &mut dyn FnMut(String, ArrayViewD<'_, T>)) {
        show(VALUES.into(), self.values().into_dyn());
    }

    pub(crate) fn read(options: &Options<'_>, tensors: &mut Tensors<'_, T>) -> Result<Self, ConfigError> {
        let expected = "a whole number of at least 0";
        let batch = options.need("batch", expected)?.index(expected)?;
        let layout = StateLayout::read(&options.list("parts", "the parts of a state")?)?;
        let values = tensors.take(VALUES, &[batch, layout.width()])?;
        State::of_values(layout, batch, &values).map_err(|error| options.refused(error))
    }
}
