//! Gradients in files: those of the weights, which may go on adding up. What belongs to the last call alone (of the input
//! and of the state, which the next one replaces) comes back empty.

use std::sync::Arc;

use ndarray::{Array1, Array3, ArrayD, ArrayView2, ArrayViewD};

use super::indexed_slices::IndexedSlices;
use super::{Gradients, InputGradient};
use crate::config::{Config, ConfigError, Item, Options, Tensors};
use crate::float::Float;
use crate::state::{State, StateLayout};

const SIZES: &str = "whole numbers of at least 0";

impl<T: Float> Gradients<T> {
    /// All but the numbers.
    pub(crate) fn describe(&self) -> Config {
        let weight = |((name, array), slices): ((&String, &ArrayD<T>), &IndexedSlices<T>)| {
            let config = Config::new("Weight").with("name", &name[..]).with("shape", array.shape().to_vec());
            config.with("rows", slices.rows().len())
        };
        let input = |input: &InputGradient<T>| {
            let rank = input.gradient.as_ref().map(ArrayD::ndim);
            Config::new("Input").with("name", &input.name[..]).with("rank", rank)
        };
        let weights = self.names.iter().zip(&self.weights).zip(&self.slices).map(weight).collect::<Vec<_>>();
        Config::new("Gradients")
            .with("weights", weights)
            .with("with_input", self.input.is_some())
            .with("parts", self.state.layout().describe())
            .with("inputs", self.inputs.iter().map(input).collect::<Vec<_>>())
    }

    /// The numbers: `weights/0`, and where they came row by row, `slices/0`.
    pub(crate) fn show(&self, show: &mut dyn FnMut(String, ArrayViewD<'_, T>)) {
        for (place, (array, slices)) in self.weights.iter().zip(&self.slices).enumerate() {
            show(format!("weights/{place}"), array.view());
            if let Some(values) = slices.values() {
                show(format!("slices/{place}"), values.into_dyn());
            }
        }
    }

    /// The rows that they came for: `rows/0`.
    pub(crate) fn show_rows(&self, show: &mut dyn FnMut(String, ArrayD<i64>)) {
        for (place, slices) in self.slices.iter().enumerate().filter(|(_, slices)| !slices.is_empty()) {
            let rows = slices.rows().iter().map(|&row| i64::try_from(row).unwrap_or(i64::MAX));
            show(format!("rows/{place}"), Array1::from_iter(rows).into_dyn());
        }
    }

    pub(crate) fn read(options: &Options<'_>, tensors: &mut Tensors<'_, T>) -> Result<Self, ConfigError> {
        let (mut names, mut weights, mut slices) = (Vec::new(), Vec::new(), Vec::new());
        for (place, item) in options.list("weights", "the weights")?.iter().enumerate() {
            let described = of_class(item, "Weight")?;
            described.read(|options| {
                names.push(options.text("name", "a name")?.to_string());
                let shape = sizes(options, "shape")?;
                let values = tensors.take(&format!("weights/{place}"), &shape)?;
                let misfit = || item.wrong("a weight's gradient");
                weights.push(ArrayD::from_shape_vec(shape.clone(), values).map_err(|_| misfit())?);
                let count = options.need("rows", SIZES)?.index(SIZES)?;
                let rows = match count {
                    0 => vec![],
                    count => tensors.take_integers(&format!("rows/{place}"), &[count])?,
                };
                let rows = rows.into_iter().map(|row| usize::try_from(row).map_err(|_| misfit()));
                let rows = rows.collect::<Result<Vec<_>, _>>()?;
                let columns = shape.get(1).copied().unwrap_or(0);
                if !rows.is_empty() && (shape.len() != 2 || rows.iter().any(|&row| row >= shape[0])) {
                    return Err(misfit());
                }
                let values = match rows.is_empty() {
                    true => Vec::new(),
                    false => tensors.take(&format!("slices/{place}"), &[rows.len(), columns])?,
                };
                slices.push(IndexedSlices::of(rows, values));
                Ok(())
            })?;
        }
        let mut inputs = Vec::new();
        for item in options.list("inputs", "the inputs of a model")? {
            let input = of_class(&item, "Input")?;
            inputs.push(input.read(|options| {
                let rank = options.need("rank", SIZES)?.given().map(|rank| rank.index(SIZES)).transpose()?;
                if rank.is_some_and(|rank| rank > 32) {
                    return Err(item.wrong("an input of at most 32 axes"));
                }
                let gradient = rank.map(|rank| ArrayD::zeros(vec![0; rank]));
                Ok(InputGradient { name: options.text("name", "a name")?.into(), gradient })
            })?);
        }
        let input = options.flag("with_input")?.then(|| Array3::zeros((0, 0, 0)));
        let layout = StateLayout::read(&options.list("parts", "the parts of a state")?)?;
        let state = State::try_zeros(Arc::new(layout), 0).map_err(|error| options.refused(error))?;
        Ok(Gradients { names, weights, slices, input, state, inputs })
    }
}

fn of_class<'c>(item: &Item<'c>, class: &str) -> Result<crate::config::Described<'c>, ConfigError> {
    let described = item.config(class)?;
    if described.class() == class { Ok(described) } else { Err(described.wrong_class(class)) }
}

fn sizes(options: &Options<'_>, name: &str) -> Result<Vec<usize>, ConfigError> {
    options.list(name, SIZES)?.iter().map(|size| size.index(SIZES)).collect()
}

impl<T: Float> IndexedSlices<T> {
    /// These values, for these rows.
    fn of(rows: Vec<usize>, values: Vec<T>) -> Self {
        IndexedSlices { rows, values }
    }

    fn rows(&self) -> &[usize] {
        &self.rows
    }

    /// The values, a row for each of the rows, if there are any.
    fn values(&self) -> Option<ArrayView2<'_, T>> {
        let columns = self.values.len() / self.rows.len().max(1);
        ArrayView2::from_shape((self.rows.len(), columns), &self.values).ok().filter(|_| !self.is_empty())
    }
}
