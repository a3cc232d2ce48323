//! Where the weights of a layer stand in a file: by path in Keras 3, by order in the legacy format.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;

use ndarray::ArrayD;

use super::container::Held;
use super::description::join;
use super::options::Settings;
use super::store::{Named, Object, Store};
use crate::float::Float;
use crate::formats::error::{Found, Problem, within};
use crate::formats::hdf5::Hdf5;
use crate::formats::tensors::{Element, Tensor, TensorInfo};

/// The weights of a file, and which of them have been read.
pub(super) struct Weights<'a> {
    pub(super) file: Store<'a>,
    used: RefCell<BTreeSet<String>>,
    options: &'a Settings,
}

/// A weight as it was read.
#[derive(Debug)]
pub(super) struct Weight<T> {
    /// Its name in Keras: `kernel`, ...
    pub(super) name: &'static str,
    /// Its path in the file.
    pub(super) tensor: String,
    pub(super) array: ArrayD<T>,
}

/// Where the weights of a model's layers are.
pub(super) enum ModelPlace<'q> {
    /// Keras 3: below this group.
    Group(Place<'static>),
    /// Legacy, the whole model: a group for each layer.
    Legacy,
    /// Legacy, a model within: the next ones in the queue of the layer that it is.
    Queue(&'q Queue),
}

/// Where a layer's weights are.
#[derive(Clone)]
pub(super) enum Place<'q> {
    /// Keras 3: in groups below this path.
    Group(String),
    /// Legacy: the next ones in a queue.
    Queue(&'q Queue),
}

/// The tensors of a layer in the legacy format: first those that were trained, then the others.
#[derive(Debug)]
pub(super) struct Queue {
    layer: String,
    /// Paths in the file.
    tensors: Vec<String>,
    /// Which of them each weight is, in the order in which layers ask for them.
    order: Vec<usize>,
    next: Cell<usize>,
    /// Whether all of them belong to code of the program's own.
    of_code: bool,
}

impl Queue {
    /// `trainable` tells of each weight of the layer, in the layers' order, whether it was trained.
    pub(super) fn new(layer: &str, tensors: Vec<String>, trainable: &[bool]) -> Self {
        let mut places = vec![0; trainable.len()];
        let trained = (0..trainable.len()).filter(|&i| trainable[i]);
        let order = trained.chain((0..trainable.len()).filter(|&i| !trainable[i]));
        order.enumerate().for_each(|(place, i)| places[i] = place);
        Queue { layer: layer.into(), tensors, order: places, next: Cell::new(0), of_code: false }
    }

    /// Of a layer none of whose weights is known, but for the code that they all belong to.
    pub(super) fn of_code(layer: &str, tensors: Vec<String>) -> Self {
        let all = vec![true; tensors.len()];
        Queue { of_code: true, ..Queue::new(layer, tensors, &all) }
    }

    fn take(&self) -> Option<&str> {
        let next = self.next.get();
        self.next.set(next + 1);
        self.order.get(next).and_then(|&place| self.tensors.get(place)).map(String::as_str)
    }

    /// The paths of all that are left.
    fn rest(&self) -> &[String] {
        let next = self.next.replace(self.tensors.len());
        self.tensors.get(next..).unwrap_or(&[])
    }

    /// Checks that the layers have asked for all tensors.
    pub(super) fn finish(&self) -> Found<()> {
        if self.next.get() == self.tensors.len() {
            return Ok(());
        }
        let names = |paths: &[String]| paths.iter().map(|path| short(path)).collect();
        let asked = self.next.get().min(self.tensors.len());
        Err(Problem::TensorNames {
            layer: self.layer.clone(),
            expected: names(&self.tensors[..asked]),
            found: names(&self.tensors),
        })
    }
}

/// What sorts paths with numbers in them by the numbers.
fn in_order(path: &str) -> Vec<(Option<usize>, String)> {
    path.split('/').map(|part| (part.parse().ok(), part.to_string())).collect()
}

fn short(path: &str) -> String {
    path.split_once('/').map_or(path, |(_, rest)| rest).into()
}

/// How the groups of a model's layers are named: by class, counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// Below `layers`.
    Layers,
    /// Keras 2.14: below `_layer_checkpoint_dependencies`.
    Dependencies,
    /// Keras 2.12 and 2.13: there, too, and a layer with weights counts twice, since it stands twice in that list.
    CountedTwice,
}

const DEPENDENCIES: &str = "_layer_checkpoint_dependencies";

impl Layout {
    /// The group that holds the layers' groups.
    pub(super) fn group(self) -> &'static str {
        match self {
            Layout::Layers => "layers",
            Layout::Dependencies | Layout::CountedTwice => DEPENDENCIES,
        }
    }

    /// The numbers that a layer takes of those of its class.
    pub(super) fn numbers(self, has_weights: bool) -> usize {
        if self == Layout::CountedTwice && has_weights { 2 } else { 1 }
    }
}

impl<'q> Place<'q> {
    /// Something inside: a cell, a wrapped layer.
    pub(super) fn child(&self, name: &str) -> Place<'q> {
        match self {
            Place::Group(path) => Place::Group(join(path, name)),
            Place::Queue(queue) => Place::Queue(queue),
        }
    }
}

impl<'a> Weights<'a> {
    pub(super) fn new(held: &'a Held, options: &'a Settings) -> Found<Self> {
        let file = match held {
            Held::Hdf5 { .. } => Store::Hdf5(Hdf5::new(held.hdf5(), &options.limits)?),
            Held::Tensors(file) => Store::Named(Named::new(file, &options.limits)?),
        };
        Ok(Weights { file, used: RefCell::default(), options })
    }

    /// How the groups of a model's layers are named. `version` is that of Keras, if the file says it; else the names
    /// tell: of layers with weights, the second one of a class has the number 1, or 2 if they count twice.
    pub(super) fn layout(&self, version: Option<&str>) -> Found<Layout> {
        let root = self.file.members(self.file.root())?;
        if !root.iter().any(|(name, _)| name.starts_with(DEPENDENCIES)) {
            return Ok(Layout::Layers);
        }
        let twice = match version {
            Some(version) => ["2.11.", "2.12.", "2.13."].iter().any(|old| version.starts_with(old)),
            None => {
                let second = |part: &str| part.ends_with("_1");
                !self.tensors()?.iter().any(|tensor| tensor.path.split('/').any(second))
            }
        };
        Ok(if twice { Layout::CountedTwice } else { Layout::Dependencies })
    }

    /// The weights of these names at a place; there must be those and no others.
    pub(super) fn read<T: Float>(
        &self,
        layer: &str,
        place: &Place<'_>,
        names: &[&'static str],
    ) -> Found<Vec<Weight<T>>> {
        match place {
            Place::Group(path) => self.read_group(layer, &format!("{path}/vars"), names),
            Place::Queue(queue) => names.iter().map(|&name| self.read_next(layer, queue, name, names)).collect(),
        }
    }

    /// All tensors at a place, by their names within it: those of code of the program's own. The states of random
    /// generators aren't among them.
    pub(super) fn read_all<T: Float>(&self, layer: &str, place: &Place<'_>) -> Found<Vec<(String, ArrayD<T>)>> {
        let mut found: Vec<(String, String, Object)> = Vec::new();
        match place {
            Place::Group(path) => {
                let Some(start) = self.file.find(path)? else { return Ok(vec![]) };
                self.walk(path, start, &mut |full, object| {
                    let own = full.strip_prefix(&format!("{path}/")).unwrap_or(&full).to_string();
                    found.push((own, full, object));
                    Ok(())
                })?;
                found.retain(|(own, ..)| !own.split('/').any(|part| part == "seed_generator"));
                found.sort_by_cached_key(|(own, ..)| in_order(own));
            }
            // Whose they are isn't said there if there are others, which ask for theirs.
            Place::Queue(queue) if !queue.of_code => {}
            Place::Queue(queue) => {
                let rest = queue.rest();
                let last =
                    |path: &str| path.rsplit('/').next().and_then(|last| last.split(':').next().map(String::from));
                let names: BTreeSet<Option<String>> = rest.iter().map(|path| last(path)).collect();
                for path in rest {
                    let missing =
                        || Problem::MissingTensor { layer: layer.into(), weight: short(path), tensor: path.clone() };
                    let object = self.file.find(path)?.ok_or_else(missing)?;
                    // The last part tells them apart, or the whole does.
                    let own = last(path).filter(|_| names.len() == rest.len()).unwrap_or_else(|| short(path));
                    found.push((own, path.clone(), object));
                }
            }
        }
        let read = |(own, path, object): (String, String, Object)| Ok((own, self.array(layer, &path, object)?));
        found.into_iter().map(read).collect()
    }

    /// The weights of a group: tensors named by number.
    fn read_group<T: Float>(&self, layer: &str, path: &str, names: &[&'static str]) -> Found<Vec<Weight<T>>> {
        let missing = |tensor: String, i: usize| Problem::MissingTensor {
            layer: layer.into(),
            weight: names.get(i).copied().unwrap_or_default().into(),
            tensor,
        };
        let mut weights = Vec::new();
        let group = match self.file.find(path)? {
            None if names.is_empty() => return Ok(weights),
            found => found.ok_or_else(|| missing(format!("{path}/0"), 0))?,
        };
        let members = self.file.members(group)?;
        for (i, name) in names.iter().enumerate() {
            let index = i.to_string();
            let tensor = format!("{path}/{index}");
            let object = members.iter().find(|(member, _)| *member == index).map(|(_, object)| *object);
            let object = object.ok_or_else(|| missing(tensor.clone(), i))?;
            weights.push(Weight { name, array: self.array(layer, &tensor, object)?, tensor });
        }
        if members.len() != names.len() {
            return Err(Problem::TensorNames {
                layer: layer.into(),
                expected: (0..names.len()).map(|i| i.to_string()).collect(),
                found: members.iter().map(|(name, _)| (*name).into()).collect(),
            });
        }
        Ok(weights)
    }

    /// The weight of this name, which must be the queue's next.
    fn read_next<T: Float>(
        &self,
        layer: &str,
        queue: &Queue,
        name: &'static str,
        names: &[&'static str],
    ) -> Found<Weight<T>> {
        let missing = |tensor: String| Problem::MissingTensor { layer: layer.into(), weight: name.into(), tensor };
        let path =
            queue.take().ok_or_else(|| missing(format!("{}: weight_names[{}]", queue.layer, queue.tensors.len())))?;
        let last = path.rsplit('/').next().unwrap_or(path);
        let last = last.split(':').next().unwrap_or(last);
        // Cells of Keras 1 had other names; a suffix tells weights of one name apart.
        if last != name && !last.strip_prefix(name).is_some_and(|rest| rest.starts_with('_')) {
            return Err(Problem::TensorNames {
                layer: layer.into(),
                expected: names.iter().map(|name| (*name).into()).collect(),
                found: vec![path.into()],
            });
        }
        let object = self.file.find(path)?.ok_or_else(|| missing(path.into()))?;
        Ok(Weight { name, array: self.array(layer, path, object)?, tensor: path.into() })
    }

    pub(super) fn array<T: Float>(&self, layer: &str, path: &str, object: Object) -> Found<ArrayD<T>> {
        let tensor = self.file.tensor(path, object)?;
        let mut used = self.used.borrow_mut();
        used.insert(path.into());
        within("tensors", used.len(), self.options.limits.tensors)?;
        drop(used);
        self.convert(layer, path, tensor)
    }

    fn convert<T: Float>(&self, layer: &str, path: &str, mut tensor: Tensor<'_>) -> Found<ArrayD<T>> {
        tensor.element = self.meant(tensor.element);
        // As Keras does it: it casts whatever numbers it finds to the layer's type.
        tensor.array(layer, path, self.options.finite_only)
    }

    /// What elements mean: legacy files have no word for bfloat16, whose bytes stand there without a meaning.
    fn meant(&self, element: Element) -> Element {
        if element == Element::Opaque(2) && self.options.half_as_f32 { Element::BF16 } else { element }
    }

    /// A tensor by its path in the file, for itself.
    pub(super) fn tensor<T: Float>(&self, path: &str) -> Found<ArrayD<T>> {
        match self.file.find(path)? {
            Some(object) if self.file.is_dataset(object)? => self.convert(path, path, self.file.tensor(path, object)?),
            _ => {
                let known = self.tensors()?.into_iter().map(|tensor| tensor.path).collect();
                Err(Problem::UnknownObject { what: "dataset", name: path.into(), known })
            }
        }
    }

    /// The groups that hold weights, sorted.
    pub(super) fn groups(&self) -> Found<Vec<String>> {
        let mut groups: Vec<String> = Vec::new();
        for tensor in self.tensors()? {
            if let Some((group, _)) = tensor.path.rsplit_once("/vars/")
                && groups.last().is_none_or(|last| last != group)
            {
                groups.push(group.into());
            }
        }
        Ok(groups)
    }

    /// What tensors there are, sorted by path.
    pub(super) fn tensors(&self) -> Found<Vec<TensorInfo>> {
        let mut tensors = Vec::new();
        self.walk("", self.file.root(), &mut |path, object| {
            let (element, shape) = self.file.form(&path, object)?;
            within("tensors", tensors.len() + 1, self.options.limits.tensors)?;
            tensors.push(TensorInfo { path, shape, dtype: self.meant(element).name() });
            Ok(())
        })?;
        tensors.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(tensors)
    }

    /// Calls a function for each dataset at or below an object.
    fn walk(&self, path: &str, start: Object, found: &mut dyn FnMut(String, Object) -> Found<()>) -> Found<()> {
        let mut waiting = vec![(path.trim_matches('/').to_string(), start, 0)];
        while let Some((path, object, depth)) = waiting.pop() {
            // Each level of a model within takes a few groups.
            within("depth", depth, 4 * self.options.limits.depth)?;
            if self.file.is_dataset(object)? {
                found(path, object)?;
                continue;
            }
            for &(name, member) in self.file.members(object)?.iter() {
                // The walk may come by the same group again and again: it costs each time.
                self.file.spend()?;
                let name = name.replace('\\', "/");
                let path = if path.is_empty() { name } else { format!("{path}/{name}") };
                waiting.push((path, member, depth + 1));
            }
        }
        Ok(())
    }

    /// Checks that every tensor below `root` has been read, but for what isn't part of the model: the optimizer,
    /// metrics, the state of random generators.
    pub(super) fn check_leftovers(&self, root: &str) -> Found<()> {
        let used = self.used.borrow();
        let Some(start) = self.file.find(root)? else { return Ok(()) };
        let foreign = ["optimizer", "seed_generator", "metrics", "_metrics", "optimizer_weights"];
        self.walk(root, start, &mut |path, _| {
            let own = path.get(root.len()..).unwrap_or("");
            let known = used.contains(&path) || own.split('/').any(|part| foreign.contains(&part));
            if known { Ok(()) } else { Err(Problem::LeftoverTensor { tensor: path }) }
        })
    }
}

/// A list of texts in an attribute, which h5py cuts into `name0`, `name1`, ... where it is too long for a header.
pub(super) fn list<'a>(file: &Store<'a>, object: Object, name: &str, limit: usize) -> Found<Option<Vec<&'a str>>> {
    if let Some(all) = file.strings(object, name)? {
        return Ok(Some(all));
    }
    let mut all = Vec::new();
    for chunk in 0..limit {
        match file.strings(object, &format!("{name}{chunk}"))? {
            Some(more) => all.extend(more),
            None if chunk == 0 => return Ok(None),
            None => break,
        }
    }
    Ok(Some(all))
}
