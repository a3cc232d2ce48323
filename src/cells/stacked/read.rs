//! A stack of cells, made again of what it said of itself.

use std::any::Any;

use super::{StackCell, StackedCells};
use crate::cells::described::{self, DescribedCell};
use crate::cells::quantized::{self, QuantizedCell};
use crate::config::{ConfigError, Described, Tensors};
use crate::float::Float;

impl<T: Float> StackedCells<T> {
    /// The stack of a description, and of these weights.
    pub(in crate::cells) fn read(described: &Described<'_>, tensors: &mut Tensors<'_, T>) -> Result<Self, ConfigError> {
        if described.class() != "StackedRNNCells" {
            return Err(described.wrong_class("StackedRNNCells"));
        }
        described.read(|options| {
            let expected = "a list of cells";
            let mut builder = StackedCells::builder();
            for (i, cell) in options.list("cells", expected)?.iter().enumerate() {
                let cell = read_cell(&cell.config("a cell")?, &mut tensors.nested(&i.to_string()))?;
                builder.cells.push(cell);
            }
            builder.build().map_err(|error| options.refused(error))
        })
    }
}

/// A cell in fewer bits, which is one of `T` if that is f32.
fn of_f32<T: Float>(
    described: &Described<'_>,
    tensors: &mut Tensors<'_, T>,
) -> Result<Box<dyn StackCell<T>>, ConfigError> {
    let cell: Box<dyn StackCell<f32>> = Box::new(described.read(|options| quantized::read::read(options, tensors))?);
    let cell: Box<dyn Any> = Box::new(cell);
    cell.downcast().map(|cell| *cell).map_err(|_| described.wrong_class("a cell of float64"))
}

/// What follows from the list of cells: one of a description.
macro_rules! list_readers {
    ($($file:ident::$cell:ident: $layer:ident = $class:literal;)*) => {
        fn read_cell<T: Float>(
            described: &Described<'_>,
            tensors: &mut Tensors<'_, T>,
        ) -> Result<Box<dyn StackCell<T>>, ConfigError> {
            match described.class().strip_suffix("Cell") {
                $(Some($class) => {
                    described.read(|options| Ok(Box::new(described::read::<crate::cells::$cell<T>>(options, tensors)?) as _))
                })*
                Some(class) if QuantizedCell::LAYERS.contains(&class) => of_f32(described, tensors),
                _ => Ok(Box::new(StackedCells::read(described, tensors)?)),
            }
        }
    };
}
crate::cells::each_cell!(list_readers);
