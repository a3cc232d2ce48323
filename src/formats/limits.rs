//! What a file may ask for.

/// How much a file may hold before it is refused. The defaults suit any model that Keras writes, and any recurrent one
/// of PyTorch's.
///
/// ```
/// # #[cfg(feature = "keras")]
/// # {
/// use recurrent::keras::{self, Limits, Options};
/// let limits = Limits::new().file_bytes(1 << 20).inflated_bytes(1 << 24);
/// let refused = keras::load_with::<f32>("model.keras", &Options::new().limits(limits));
/// # assert!(refused.is_err());
/// # }
/// # #[cfg(feature = "pytorch")]
/// # {
/// use recurrent::pytorch;
/// let refused = pytorch::File::open_with("model.safetensors", &pytorch::Limits::new().units(1 << 12));
/// # assert!(refused.is_err());
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
#[must_use = "options do nothing until a call gets them"]
pub struct Limits {
    /// The size of the file, with those that it names if they are read. All of a file's memory follows from it, but for what is unpacked: no other allocation is
    /// larger than what the file can back.
    pub file_bytes: u64,
    /// What is unpacked: the size of a deflated member of a container, and of all tensors that are stored in chunks
    /// together, each time that one is read. Keras packs nothing, but zip and h5py do.
    pub inflated_bytes: usize,
    /// The size of the text that describes the model.
    pub config_bytes: usize,
    /// Groups, tensors, links and attributes of an HDF5 file together, each time that one is looked at.
    pub objects: usize,
    /// Tensors that are read.
    pub tensors: usize,
    /// Models within models, wrappers within wrappers, groups within groups.
    pub depth: usize,
    /// Units, features, vocabulary sizes and repetitions: any single size of a layer.
    pub units: usize,
    /// Calls of layers in the graph, those within models that are called several times counted each time.
    pub calls: usize,
    /// Elements of one tensor, for one row of a batch at loading and in all when the model runs.
    pub elements: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            file_bytes: 4 << 30,
            inflated_bytes: 1 << 30,
            config_bytes: 16 << 20,
            objects: 1 << 20,
            tensors: 1 << 16,
            depth: 32,
            units: 1 << 24,
            calls: 1 << 16,
            elements: 1 << 30,
        }
    }
}

/// A setter for each field, so that limits that are added later break no code.
macro_rules! setters {
    ($($field:ident: $kind:ty),* $(,)?) => {
        $(
            #[doc = concat!("Sets [`", stringify!($field), "`](field@Limits::", stringify!($field), ").")]
            pub fn $field(mut self, $field: $kind) -> Self {
                self.$field = $field;
                self
            }
        )*
    };
}

impl Limits {
    /// The defaults.
    pub fn new() -> Self {
        Limits::default()
    }

    setters! {
        file_bytes: u64,
        inflated_bytes: usize,
        config_bytes: usize,
        objects: usize,
        tensors: usize,
        depth: usize,
        units: usize,
        calls: usize,
        elements: usize,
    }
}
