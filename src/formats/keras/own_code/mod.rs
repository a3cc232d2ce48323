//! Code of the program's own in the place of what a file can't say: layers and cells of Python.
//!
//! [`mark`] finds what is to be replaced in the description, before anything is read: a class that is marked is read by
//! nobody else. [`read`] calls the code, and keeps what the file said, so that it can be written there again.

mod mark;
mod probe;
mod read;
mod view;
mod within;

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::sync::Arc;

pub(super) use self::mark::Wanted;
pub(super) use self::probe::advice;
pub(super) use self::read::{form_of, is_tensor};
pub use self::view::{LayerConfig, LayerTensors};
pub(super) use self::within::code_within;
use super::options::AnyCode;
use crate::cells::Cell;
use crate::cells::boxed::BoxedCell;
use crate::float::Float;
use crate::graph::ops::custom::CustomLayer;

/// What the code's error may be.
type BoxError = Box<dyn Error + Send + Sync>;

/// Makes something of what the file says.
type Make<T, V> = Arc<dyn Fn(&LayerConfig<'_>, &LayerTensors<'_, T>) -> Result<V, BoxError> + Send + Sync>;

/// All code, by names.
pub(super) struct Code<T: Float> {
    layers: Vec<(String, Make<T, CustomLayer<T>>)>,
    cells: Vec<(String, Make<T, BoxedCell<T>>)>,
}

impl<T: Float> AnyCode for Code<T> {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn names(&self) -> [Vec<&str>; 2] {
        let layers = self.layers.iter().map(|(name, _)| name.as_str());
        [layers.collect(), self.cells.iter().map(|(name, _)| name.as_str()).collect()]
    }
}

impl<T: Float> Code<T> {
    pub(super) fn is_empty(&self) -> bool {
        self.layers.is_empty() && self.cells.is_empty()
    }

    pub(super) fn add_layer(
        &mut self,
        name: &str,
        make: impl Fn(&LayerConfig<'_>, &LayerTensors<'_, T>) -> Result<CustomLayer<T>, BoxError> + Send + Sync + 'static,
    ) {
        self.layers.retain(|(own, _)| own != name);
        self.layers.push((name.into(), Arc::new(make)));
    }

    pub(super) fn add_cell<C: Cell<Elem = T>>(
        &mut self,
        name: &str,
        make: impl Fn(&LayerConfig<'_>, &LayerTensors<'_, T>) -> Result<C, BoxError> + Send + Sync + 'static,
    ) {
        self.cells.retain(|(own, _)| own != name);
        let make =
            move |config: &LayerConfig<'_>, tensors: &LayerTensors<'_, T>| make(config, tensors).map(BoxedCell::new);
        self.cells.push((name.into(), Arc::new(make)));
    }
}

impl<T: Float> Default for Code<T> {
    fn default() -> Self {
        Code { layers: Vec::new(), cells: Vec::new() }
    }
}

impl<T: Float> Clone for Code<T> {
    fn clone(&self) -> Self {
        Code { layers: self.layers.clone(), cells: self.cells.clone() }
    }
}

impl<T: Float> fmt::Debug for Code<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [layers, cells] = self.names();
        f.debug_struct("Code").field("layers", &layers).field("cells", &cells).finish()
    }
}
