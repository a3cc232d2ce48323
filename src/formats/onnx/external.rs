//! Tensors whose numbers are in files beside the model: read only when asked, and only out of one folder.

use std::collections::BTreeMap;
use std::path::{Component, Path};

use super::File;
use super::messages::{Attribute, GraphProto};
use super::tensor::{Elsewhere, Stored};
use crate::formats::disk;
use crate::formats::error::{Found, Problem};
use crate::formats::limits::Limits;
use crate::formats::load_error::LoadError;

impl File {
    /// Reads the tensors that are in other files, as PyTorch's exporter writes them by default (`model.onnx.data` beside
    /// `model.onnx`). `folder` is where the model is; nothing outside of it is read, whatever the file names, by `..`, by
    /// a symbolic link or otherwise. All files together are held to [`Limits::file_bytes`], and so are all tensors in them.
    /// ONNX's checksums aren't looked at. What changes the folder at the same time, and hard links, isn't guarded against.
    ///
    /// ```no_run
    /// use recurrent::onnx;
    /// let model = onnx::File::open("models/tagger.onnx")?.with_external_data("models")?.model::<f32>()?;
    /// # Ok::<(), onnx::LoadError>(())
    /// ```
    ///
    /// # Errors
    /// [`Problem::ExternalPath`] for a file that isn't below the folder, isn't there or isn't an ordinary file;
    /// [`Problem::OnnxTensor`] for a tensor whose place isn't within its file, or that has numbers in the model, too;
    /// [`Problem::Io`], [`Problem::Limit`].
    pub fn with_external_data(mut self, folder: impl AsRef<Path>) -> Result<Self, LoadError> {
        let found = self.read_external_data(folder.as_ref());
        found.map_err(|problem| LoadError::new(&self.name, problem))?;
        Ok(self)
    }

    fn read_external_data(&mut self, folder: &Path) -> Found<()> {
        let mut files =
            Files { folder, limits: &self.limits, bytes: &mut self.bytes, places: BTreeMap::new(), taken: 0 };
        for tensor in tensors(&mut self.model.graph) {
            if let Some(elsewhere) = &tensor.elsewhere {
                if tensor.has_numbers() {
                    let reason = "it has numbers here, and others in another file";
                    return Err(Problem::OnnxTensor { tensor: tensor.name.clone(), reason });
                }
                let place = files.place(&tensor.name, elsewhere)?;
                tensor.raw = Some(place);
                tensor.elsewhere = None;
            }
        }
        Ok(())
    }
}

/// All tensors of a graph: weights, and attributes of nodes.
fn tensors(graph: &mut GraphProto) -> impl Iterator<Item = &mut Stored> {
    let attributes = graph.nodes.iter_mut().flat_map(|node| node.attributes.values_mut());
    let constants = attributes.filter_map(|attribute| match attribute {
        Attribute::Tensor(tensor) => Some(&mut **tensor),
        _ => None,
    });
    graph.initializers.iter_mut().chain(constants)
}

/// The files that were read, each once, behind the model's own bytes.
struct Files<'a> {
    folder: &'a Path,
    limits: &'a Limits,
    bytes: &'a mut Vec<u8>,
    places: BTreeMap<String, std::ops::Range<usize>>,
    /// The bytes of all tensors: many may stand at one place, and each becomes an array.
    taken: u64,
}

impl Files<'_> {
    /// Where among all bytes a tensor's are.
    fn place(&mut self, tensor: &str, elsewhere: &Elsewhere) -> Found<std::ops::Range<usize>> {
        let Elsewhere { file, offset, length } = elsewhere;
        let whole = match self.places.get(file) {
            Some(place) => place.clone(),
            None => {
                let read = self.read(tensor, file)?;
                let start = self.bytes.len();
                let no_memory = |_| Problem::Io { reason: format!("no memory for {} bytes", read.len()) };
                self.bytes.try_reserve_exact(read.len()).map_err(no_memory)?;
                self.bytes.extend_from_slice(&read);
                let place = start..self.bytes.len();
                self.places.insert(file.clone(), place.clone());
                place
            }
        };
        let outside = || Problem::OnnxTensor {
            tensor: tensor.into(),
            reason: "its offset and length aren't within the file that its numbers are in",
        };
        let offset = usize::try_from(*offset).map_err(|_| outside())?;
        let rest = whole.len().checked_sub(offset).ok_or_else(outside)?;
        let length = match length {
            Some(length) => usize::try_from(*length).ok().filter(|&length| length <= rest).ok_or_else(outside)?,
            None => rest,
        };
        self.taken = self.taken.saturating_add(length as u64);
        disk::check_size(self.taken, self.limits)?;
        let start = whole.start + offset;
        Ok(start..start + length)
    }

    /// A file below the folder, within what is left of the limit.
    fn read(&self, tensor: &str, file: &str) -> Found<Vec<u8>> {
        let refuse = |reason: String| Problem::ExternalPath { tensor: tensor.into(), file: file.into(), reason };
        let mut parts = Path::new(file).components().peekable();
        if parts.peek().is_none() || parts.any(|part| !matches!(part, Component::Normal(_) | Component::CurDir)) {
            return Err(refuse("its name must lead from the folder downwards".into()));
        }
        let canonical = |path: &Path| path.canonicalize().map_err(|error| refuse(error.to_string()));
        let folder = canonical(self.folder)?;
        let path = canonical(&folder.join(file))?;
        if !path.starts_with(&folder) {
            return Err(refuse("it is a link to the outside of the folder: put the file itself there".into()));
        }
        if !path.is_file() {
            return Err(refuse("it isn't an ordinary file".into()));
        }
        let left = self.limits.file_bytes.saturating_sub(self.bytes.len() as u64);
        disk::read(&path, &self.limits.file_bytes(left)).map_err(|problem| match problem {
            Problem::Limit { what, given, .. } => {
                Problem::Limit { what, limit: self.limits.file_bytes, given: given + self.bytes.len() as u64 }
            }
            Problem::Io { reason } => refuse(reason),
            other => other,
        })
    }
}
