//! What layers over time say of themselves beside what is inside, and how they are made of it again.

#[cfg(feature = "file")]
use super::{Layer, recurrent::Recurrent};
use crate::cells::builder::RecurrentOptions;
#[cfg(feature = "file")]
use crate::cells::described::DescribedCell;
use crate::config::Config;
#[cfg(feature = "file")]
use crate::config::{ConfigError, Options, Tensors};
#[cfg(feature = "file")]
use crate::float::Float;

/// A layer of this cell: under the cell's own class if that is built in, else Keras's `RNN`.
pub(super) fn recurrent(run: RecurrentOptions, cell: Config) -> Config {
    let RecurrentOptions { return_sequences, return_state, go_backwards, zero_output_for_mask, unroll } = run;
    let class = cell.class.strip_suffix("Cell").map(String::from);
    let config = Config::new(class.as_deref().unwrap_or("RNN"))
        .with("return_sequences", return_sequences)
        .with("return_state", return_state)
        .with("go_backwards", go_backwards)
        .with("zero_output_for_mask", zero_output_for_mask)
        .with("unroll", unroll);
    match class {
        Some(_) => config.and(cell),
        None => config.with("cell", cell),
    }
}

#[cfg(feature = "file")]
impl<C: DescribedCell> Recurrent<C> {
    /// The layer of these options, with these weights.
    pub(crate) fn read(options: &Options<'_>, tensors: &mut Tensors<'_, C::Elem>) -> Result<Self, ConfigError> {
        let run = run_options(options)?;
        Ok(Recurrent::with_options(C::read_in_layer(options, tensors)?, run))
    }
}

#[cfg(feature = "file")]
fn run_options(options: &Options<'_>) -> Result<RecurrentOptions, ConfigError> {
    Ok(RecurrentOptions {
        return_sequences: options.flag("return_sequences")?,
        return_state: options.flag("return_state")?,
        go_backwards: options.flag("go_backwards")?,
        zero_output_for_mask: options.flag("zero_output_for_mask")?,
        unroll: options.flag("unroll")?,
    })
}

/// A layer of a cell in fewer bits, which is one of `T` if that is f32.
#[cfg(feature = "file")]
fn quantized<T: Float>(options: &Options<'_>, tensors: &mut Tensors<'_, T>) -> Result<Box<dyn Layer<T>>, ConfigError> {
    let (cell, run) = (crate::cells::quantized::read::read(options, tensors)?, run_options(options)?);
    super::quantize::boxed(Recurrent::with_options(cell, run)).map_err(|error| options.refused(error))
}

/// How a layer is made of its options and weights.
#[cfg(feature = "file")]
pub(crate) type ReadLayer<T> = fn(&Options<'_>, &mut Tensors<'_, T>) -> Result<Box<dyn Layer<T>>, ConfigError>;

/// What follows from the list of cells: the layers of one cell, by their classes.
#[cfg(feature = "file")]
macro_rules! list_readers {
    ($($file:ident::$cell:ident: $layer:ident = $class:literal;)*) => {
        /// How a layer of one cell is made; none for a class that isn't one.
        pub(crate) fn recurrent_class<T: Float>(class: &str) -> Option<ReadLayer<T>> {
            match class {
                $($class => Some(|options, tensors| {
                    Ok(Box::new(Recurrent::<crate::cells::$cell<T>>::read(options, tensors)?))
                }),)*
                "RNN" => Some(|options, tensors| {
                    Ok(Box::new(Recurrent::<crate::cells::stacked::StackedCells<T>>::read(options, tensors)?))
                }),
                class if crate::cells::QuantizedCell::LAYERS.contains(&class) => Some(quantized),
                _ => None,
            }
        }
    };
}
#[cfg(feature = "file")]
crate::cells::each_cell!(list_readers);
