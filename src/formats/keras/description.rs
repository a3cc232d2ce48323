//! What the description says of each layer and model, apart from their options.

use super::identity::Identity;
use super::json::{Fields, Json};
use crate::formats::error::{Found, Problem};

/// The class of a model of one layer after another.
pub(super) const SEQUENTIAL: &str = "Sequential";

/// A layer, an operation or a model as the description has it.
#[derive(Debug, Clone)]
pub(super) struct Described<'a> {
    /// All of it.
    pub(super) object: Json<'a>,
    pub(super) identity: Identity<'a>,
    pub(super) name: &'a str,
    /// Its options.
    pub(super) config: Json<'a>,
    /// Its calls, in functional models.
    pub(super) calls: Option<Json<'a>>,
    /// Whether Keras calls its function alone, as TimeDistributed does, which knows of no scales.
    pub(super) bare: bool,
}

/// A model's options.
pub(super) struct DescribedModel<'a> {
    pub(super) name: Option<&'a str>,
    pub(super) layers: Vec<Described<'a>>,
    pub(super) dtype: Option<Json<'a>>,
    pub(super) build_input_shape: Option<Json<'a>>,
    pub(super) input_layers: Option<Json<'a>>,
    pub(super) output_layers: Option<Json<'a>>,
}

/// The name of a layer within a layer or model.
pub(super) fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.into() } else { [path, name].join("/") }
}

impl<'a> Described<'a> {
    /// A layer of the model or layer at `path`.
    pub(super) fn read(json: &Json<'a>, path: &str) -> Found<Self> {
        Self::with_calls(json, path, false)
    }

    /// `called` if the layer is of a graph, and says how it is called.
    fn with_calls(json: &Json<'a>, path: &str, called: bool) -> Found<Self> {
        json.fields("a layer", |fields| {
            let identity = Identity::take(fields)?;
            let config = fields.need("config", "an object")?;
            let name = name(fields, &config)?;
            // Shapes that a layer was built for, which are inferred, and what it was trained with.
            fields.loose(&["build_config", "compile_config"], "an object or null", |json| {
                json.is_null() || json.is_object()
            })?;
            let config = config.of(join(path, name), identity.class);
            let calls = if called { Some(fields.need("inbound_nodes", "a list of calls")?) } else { None };
            let calls = calls.map(|calls| calls.beside(&config));
            Ok(Described { object: json.clone(), name, calls, config, identity, bare: false })
        })
    }

    /// The whole model; it has no path.
    pub(super) fn root(json: &Json<'a>) -> Found<Self> {
        let mut model = Described::read(json, "")?;
        model.config = model.config.of(String::new(), model.identity.class);
        Ok(model)
    }

    /// The class's name, whosever it is.
    pub(super) fn class(&self) -> &'a str {
        self.identity.class
    }

    pub(super) fn is_model(&self) -> bool {
        matches!(self.class(), SEQUENTIAL | "Functional" | "Model") && self.identity.is_plain()
    }

    pub(super) fn is_sequential(&self) -> bool {
        self.class() == SEQUENTIAL
    }

    pub(super) fn is_input(&self) -> bool {
        self.class() == "InputLayer" && self.identity.is_plain()
    }

    /// Whether its weights are trained, as far as it says.
    pub(super) fn is_trainable(&self) -> Found<bool> {
        if self.config.is_list() {
            return Ok(true);
        }
        self.config.glance("an object", |fields| fields.flag_or("trainable", true))
    }

    /// What a model is made of.
    pub(super) fn model(&self) -> Found<DescribedModel<'a>> {
        let path = self.path();
        let layers = |json: &Json<'a>| {
            let layers = json.list("a list of layers")?;
            layers
                .iter()
                .map(|layer| Described::with_calls(layer, path, !self.is_sequential()))
                .collect::<Found<Vec<_>>>()
        };
        // Old versions of Keras 2 have the list itself there.
        if self.is_sequential() && self.config.is_list() {
            let layers = layers(&self.config)?;
            return Ok(DescribedModel {
                name: None,
                layers,
                dtype: None,
                build_input_shape: None,
                input_layers: None,
                output_layers: None,
            });
        }
        self.config.fields("an object", |fields| {
            fields.flag_or("trainable", true)?;
            let graph = |key: &'static str| if self.is_sequential() { None } else { fields.take(key) };
            Ok(DescribedModel {
                name: fields.take("name").map(|name| name.text("a name")).transpose()?,
                layers: layers(&fields.need("layers", "a list of layers")?)?,
                dtype: fields.take("dtype"),
                build_input_shape: if self.is_sequential() { fields.take("build_input_shape") } else { None },
                input_layers: graph("input_layers"),
                output_layers: graph("output_layers"),
            })
        })
    }

    /// Its path in the model.
    pub(super) fn path(&self) -> &str {
        self.config.layer()
    }

    /// The error for a class that cannot be read here.
    pub(super) fn unsupported(&self, hint: &'static str) -> Problem {
        match self.identity.keras(self.path()) {
            Ok(class) => {
                Problem::UnsupportedClass { layer: self.path().into(), class: class.into(), hint: hint.into() }
            }
            Err(foreign) => foreign,
        }
    }
}

/// The name of a layer, which graphs have beside the options, too.
fn name<'a>(fields: &Fields<'a>, config: &Json<'a>) -> Found<&'a str> {
    let beside = fields.take("name");
    let within = match config.is_object() {
        true => config.glance("an object", |fields| Ok(fields.take("name")))?,
        false => None,
    };
    let names = [&beside, &within];
    let mut names = names.into_iter().flatten();
    let Some(first) = names.next() else { return Ok("unnamed") };
    let name = first.text("a name")?;
    match names.next() {
        Some(second) if second.text("a name")? != name => Err(second.wrong(&format!("{name:?}, as beside it"))),
        _ => Ok(name),
    }
}
