//! Python bindings of `recurrent`: models of Keras, PyTorch and ONNX, run whole and step by step.
//!
//! `loading` and `torch` make a `Model` or a `Layer` of files; `whole` runs a model on rows of any length, `live` makes
//! streams and pools of it; `arrays` and `rows` turn what Python gives into views. All that computes runs without the
//! interpreter's lock, by `errors::detached`.

mod arrays;
mod by_type;
mod errors;
mod layer;
mod live;
mod loading;
mod model;
mod pool;
mod rows;
mod state;
mod stream;
mod torch;
mod whole;

use pyo3::prelude::*;

#[pymodule]
mod _native {
    #[pymodule_export]
    use crate::errors::RecurrentError;
    #[pymodule_export]
    use crate::layer::{Layer, Output};
    #[pymodule_export]
    use crate::loading::{Verification, from_bytes, load, verify};
    #[pymodule_export]
    use crate::model::Model;
    #[pymodule_export]
    use crate::pool::{StreamId, StreamPool};
    #[pymodule_export]
    use crate::state::{_state_from_bytes, State};
    #[pymodule_export]
    use crate::stream::{_restore_stream, Stream};
    #[pymodule_export]
    use crate::torch::{PytorchFile, pytorch_file, stack};

    #[pymodule_export]
    const __VERSION: &str = env!("CARGO_PKG_VERSION");
}
