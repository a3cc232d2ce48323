//! Whose class an object is of: Keras's own, or somebody else's of the same name.
//!
//! Keras writes a built-in class as `"module": "keras.layers", "registered_name": null`, a class that its author has
//! registered as `Package>Name`, and any other class by its bare name beside a module that is null or its author's.
//! Files of Keras 2 have neither key, and their classes are known by name.

use super::json::{Fields, Json};
use crate::formats::error::{Found, Problem};

/// A class by its name, and where it comes from.
#[derive(Debug, Clone)]
pub(super) struct Identity<'a> {
    pub(super) class: &'a str,
    /// Whether its module is one of operations; nothing if it has none.
    operation: Option<bool>,
    /// What to call it if it isn't Keras's.
    foreign: Option<String>,
    /// The code that takes its place.
    pub(super) code: Option<usize>,
}

/// What to do about a class that isn't Keras's.
pub(super) const FOREIGN: &str = "it isn't Keras's own class; build its layer by hand and load the weights into it, or take \
                       other layers out of the file with keras::File::layer";

impl<'a> Identity<'a> {
    /// Takes what tells the class of an object.
    pub(super) fn take(fields: &Fields<'a>) -> Found<Self> {
        let name = fields.need("class_name", "a class's name")?;
        let (class, code) = (name.text("a class's name")?, name.code());
        let text = |key: &'static str| {
            let json = fields.take(key);
            let given = json.clone().and_then(Json::given).map(|json| json.text("a name or null")).transpose()?;
            Ok((json.is_some(), given))
        };
        let (module, registered) = (text("module")?, text("registered_name")?);
        fields.loose(&["shared_object_id"], "a whole number", |json| json.integer().is_ok())?;
        // `keras.src.ops.numpy`. Operations of TensorFlow are layers in Keras 2.
        let operation = match class {
            "TFOpLambda" | "SlicingOpLambda" => Some(true),
            _ => module.1.map(|module| module.split('.').skip(1).any(|name| name == "ops")),
        };
        Ok(Identity { class, operation, foreign: foreign(class, module, registered.1), code })
    }

    /// Whether it is read as what its name says in Keras: it is Keras's own, and no code takes its place.
    pub(super) fn is_plain(&self) -> bool {
        self.foreign.is_none() && self.code.is_none()
    }

    /// Whether it is one of Keras's own operations, whatever takes its place.
    pub(super) fn is_keras_operation(&self) -> bool {
        self.foreign.is_none() && self.operation == Some(true)
    }

    /// The name of a class that is somebody else's, or of Keras's own.
    pub(super) fn full_name(&self) -> &str {
        self.foreign.as_deref().unwrap_or(self.class)
    }

    /// The class's name, if it is Keras's.
    pub(super) fn keras(&self, layer: &str) -> Found<&'a str> {
        match &self.foreign {
            _ if self.code.is_some() => Ok(self.class),
            None => Ok(self.class),
            Some(name) => {
                Err(Problem::UnsupportedClass { layer: layer.into(), class: name.clone(), hint: FOREIGN.into() })
            }
        }
    }

    /// Whether its module is one of operations; nothing if it doesn't say.
    pub(super) fn is_operation(&self) -> Option<bool> {
        self.operation
    }
}

/// What a class is called that isn't Keras's. `module` tells whether it is there, and what it is if it isn't null.
fn foreign(class: &str, module: (bool, Option<&str>), registered: Option<&str>) -> Option<String> {
    let own = |module: &str| {
        let mut names = module.split('.');
        let keras = names.next().is_some_and(|first| matches!(first, "keras" | "tf_keras"));
        keras && names.all(is_identifier)
    };
    // Functions have this module, and mean what their names mean.
    let function = |module: &str| class == "function" && module == "builtins";
    match (module, registered) {
        (_, Some(name)) if name.contains('>') => Some(name.into()),
        _ if class.contains('>') => Some(class.into()),
        ((_, Some(module)), _) if !own(module) && !function(module) => Some(format!("{module}.{class}")),
        ((_, Some(_)), Some(name)) if name != class => Some(name.into()),
        ((true, None), _) | ((false, None), Some(_)) => Some(format!("{class} of no module")),
        _ => None,
    }
}

/// Whether it can be the name of a module of Python's.
fn is_identifier(name: &str) -> bool {
    let digit = |first: char| first.is_ascii_digit();
    !name.is_empty() && !name.starts_with(digit) && name.chars().all(|c| c == '_' || c.is_alphanumeric())
}
