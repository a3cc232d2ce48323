//! What built-in cells say of themselves, and how they are made of it again: what is common to all of them. What only one
//! cell has stands in its file ([`CellOptions`]).

use super::builder::Builder;
use super::built_in::{BuiltInCell, CellOptions, CellParts, Listed};
#[cfg(feature = "file")]
use super::stacked::StackedCells;
use super::{Cell, Weights};
use crate::config::{Config, ConfigError, Options, Tensors, activations};
#[cfg(feature = "file")]
use crate::float::Float;
use crate::initializers::Initializer;

/// What a builder was told that shows neither in the weights nor in a step. Seeds are those that were drawn.
#[doc(hidden)]
#[derive(Debug, Clone)]
pub struct Told {
    pub(super) kernel_initializer: Initializer,
    pub(super) recurrent_initializer: Initializer,
    pub(super) bias_initializer: Initializer,
    pub(super) dropout: f64,
    pub(super) recurrent_dropout: f64,
    pub(super) seed: i64,
}

/// A cell that can be made of a description: the built-in ones, and stacks of cells. Sealed by what it asks for.
#[doc(hidden)]
pub trait DescribedCell: Cell + Sized {
    /// The classes of the layers of this cell.
    const LAYERS: &'static [&'static str];

    /// The cell, of the options of its layer.
    ///
    /// # Errors
    /// What is wrong with them, or with the weights.
    fn read_in_layer(options: &Options<'_>, tensors: &mut Tensors<'_, Self::Elem>) -> Result<Self, ConfigError>;
}

impl<C: Listed> DescribedCell for C {
    const LAYERS: &'static [&'static str] = &[C::CLASS_NAME];

    fn read_in_layer(options: &Options<'_>, tensors: &mut Tensors<'_, C::Elem>) -> Result<Self, ConfigError> {
        read(options, tensors)
    }
}

#[cfg(feature = "file")]
impl<T: Float> DescribedCell for StackedCells<T> {
    const LAYERS: &'static [&'static str] = &["RNN"];

    fn read_in_layer(options: &Options<'_>, tensors: &mut Tensors<'_, T>) -> Result<Self, ConfigError> {
        StackedCells::read(&options.config("cell", "a stack of cells")?, tensors)
    }
}

/// The cell as Keras's class of cells: `LSTMCell`.
pub(super) fn describe<C: Listed>(cell: &C) -> Result<Config, ConfigError> {
    let CellParts { spec, units, weights, activation, options, told, .. } = cell.parts();
    let Told { kernel_initializer, recurrent_initializer, bias_initializer, .. } = told;
    let common = Config::new(&format!("{}Cell", C::CLASS_NAME))
        .with("input_size", spec.input_size)
        .with("units", *units)
        .with("activation", activations::describe(activation)?)
        .with("use_bias", weights.get(super::weights::BIAS).is_some())
        .with("kernel_initializer", kernel_initializer.describe()?)
        .with("recurrent_initializer", recurrent_initializer.describe()?)
        .with("bias_initializer", bias_initializer.describe()?)
        .with("dropout", told.dropout)
        .with("recurrent_dropout", told.recurrent_dropout)
        .with("seed", told.seed);
    Ok(common.and(options.describe()?))
}

/// A cell of what [`describe`] says, and of these weights. What is said is checked as a builder checks it, the weights'
/// shapes before anything of their size is made.
pub(crate) fn read<C: BuiltInCell>(
    options: &Options<'_>,
    tensors: &mut Tensors<'_, C::Elem>,
) -> Result<C, ConfigError> {
    let mut builder = Builder::<C>::new(options.size("input_size")?, options.size("units")?);
    let initializer = |name| Initializer::read(&options.need(name, "an initializer")?);
    let recipe = &mut builder.recipe;
    recipe.activation = activations::read(&options.need("activation", "an activation")?)?;
    recipe.use_bias = options.flag("use_bias")?;
    recipe.kernel_initializer = initializer("kernel_initializer")?;
    recipe.recurrent_initializer = Some(initializer("recurrent_initializer")?);
    recipe.bias_initializer = initializer("bias_initializer")?;
    recipe.dropout = options.number("dropout")?;
    recipe.recurrent_dropout = options.number("recurrent_dropout")?;
    let seed = options.integer("seed")?;
    recipe.options = C::Options::read(options)?;
    recipe.options.check().map_err(|error| options.refused(error))?;
    let specs = C::weights(recipe);
    for spec in specs.iter().filter(|spec| spec.exists) {
        tensors.check(spec.name, &spec.shape)?;
    }
    builder.check().map_err(|error| options.refused(error))?;
    let values = specs.iter().map(|spec| match spec.exists {
        true => tensors.take(spec.name, &spec.shape).map(|values| Some((spec.name, &spec.shape[..], values))),
        false => Ok(None),
    });
    let weights = Weights::of_values(values.collect::<Result<Vec<_>, _>>()?);
    Ok(builder.assemble(&specs, seed, weights))
}
