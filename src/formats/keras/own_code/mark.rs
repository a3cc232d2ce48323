//! Which layers and cells of a description the code is for: their classes are marked, before anything is read.

use super::super::description::join;
use super::super::options::AnyCode;
use super::super::value::{Marked, Value};
use crate::formats::error::{Found, Problem};

/// The number of the code that only finds out what a layer is called on.
pub(in super::super) const PROBE: usize = usize::MAX;

/// The names that code is for.
pub(in super::super) struct Wanted<'c> {
    names: [Vec<&'c str>; 2],
    used: [Vec<bool>; 2],
    /// The names that there are.
    known: [Vec<String>; 2],
    /// Whether one layer, known by its path alone, is to be marked to be probed.
    probes: bool,
}

/// A layer or a cell.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Layer,
    Cell,
}

impl<'c> Wanted<'c> {
    pub(in super::super) fn new(code: &'c dyn AnyCode) -> Self {
        let names = code.names();
        let used = [vec![false; names[0].len()], vec![false; names[1].len()]];
        Wanted { names, used, known: Default::default(), probes: false }
    }

    /// The layer at a path, to find out what it is called on.
    pub(in super::super) fn probe(path: &'c str) -> Self {
        Wanted { names: [vec![path], vec![]], used: [vec![false], vec![]], known: Default::default(), probes: true }
    }

    /// Marks what code is for in the description of a whole model.
    ///
    /// # Errors
    /// A name that nothing has.
    pub(in super::super) fn mark(mut self, model: &mut Value<'_>) -> Found<()> {
        if self.names.iter().all(Vec::is_empty) {
            return Ok(());
        }
        if let Value::Object(object) = model
            && let Some(config) = object.get_mut("config")
        {
            self.layers(config, "");
        }
        for (kind, what) in [(Kind::Layer, "layer"), (Kind::Cell, "cell")] {
            let kind = kind as usize;
            if let Some(at) = self.used[kind].iter().position(|used| !used) {
                let (name, known) = (self.names[kind][at].into(), std::mem::take(&mut self.known[kind]));
                return Err(Problem::UnknownCode { what, name, known });
            }
        }
        Ok(())
    }

    /// The layers of a model; those of old versions of Keras 2 are a list themselves.
    fn layers(&mut self, config: &mut Value<'_>, path: &str) {
        let list = match config {
            Value::Object(object) => object.get_mut("layers"),
            list => Some(list),
        };
        if let Some(Value::List(list)) = list {
            list.iter_mut().for_each(|layer| self.visit(layer, path, Kind::Layer));
        }
    }

    fn visit(&mut self, value: &mut Value<'_>, outer: &str, kind: Kind) {
        let Some(known) = names(value) else { return };
        let path = join(outer, &known.name);
        if known.class == "InputLayer" {
            return;
        }
        let list = &mut self.known[kind as usize];
        if list.len() < MOST_NAMES {
            list.push(path.clone());
        }
        let bare = known.registered.rsplit('>').next().unwrap_or_default();
        let found = [&path[..], &known.name, &known.class, &known.registered, bare]
            .into_iter()
            .take(if self.probes { 1 } else { 5 })
            .filter(|name| !name.is_empty())
            .find_map(|name| self.names[kind as usize].iter().position(|own| *own == name));
        let Value::Object(object) = value else { return };
        if let Some(code) = found {
            self.used[kind as usize][code] = true;
            mark(object.get_mut("class_name"), if self.probes { PROBE } else { code });
            return;
        }
        let Some(config) = object.get_mut("config") else { return };
        if matches!(&known.class[..], "Sequential" | "Functional" | "Model") {
            return self.layers(config, &path);
        }
        let Value::Object(config) = config else { return };
        for key in ["layer", "forward_layer", "backward_layer"] {
            if let Some(layer) = config.get_mut(key) {
                self.visit(layer, &path, Kind::Layer);
            }
        }
        if let Some(cell) = config.get_mut("cell") {
            self.visit(cell, &path, Kind::Cell);
        }
        if let Some(Value::List(cells)) = config.get_mut("cells") {
            cells.iter_mut().for_each(|cell| self.visit(cell, &path, Kind::Cell));
        }
    }
}

/// The most names that an error lists.
const MOST_NAMES: usize = 64;

/// What a layer or a cell is called.
struct Names {
    name: String,
    class: String,
    registered: String,
}

fn names(value: &Value<'_>) -> Option<Names> {
    let class = value.get("class_name")?.as_text()?;
    let config = value.get("config")?;
    let name = value.get("name").or_else(|| config.get("name")).and_then(Value::as_text);
    let registered = value.get("registered_name").and_then(Value::as_text).unwrap_or(class);
    let owned = |text: &str| text.to_string();
    Some(Names { name: owned(name.unwrap_or("unnamed")), class: owned(class), registered: owned(registered) })
}

fn mark(class: Option<&mut Value<'_>>, code: usize) {
    if let Some(class) = class
        && let Value::Text(text) = class
    {
        *class = Value::Marked(Box::new(Marked { class: std::mem::take(text), code }));
    }
}
