//! The sorts of what a file of our own can hold.

/// What sort of thing a file holds.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    Layer,
    Embedding,
    Masking,
    Model,
    State,
    ModelState,
    Gradients,
    Optimizer,
    Plateau,
    Seeds,
    Checkpoint,
}

impl Sort {
    const ALL: [(Sort, &'static str); 11] = [
        (Sort::Layer, "layer"),
        (Sort::Embedding, "embedding"),
        (Sort::Masking, "masking"),
        (Sort::Model, "model"),
        (Sort::State, "state"),
        (Sort::ModelState, "model_state"),
        (Sort::Gradients, "gradients"),
        (Sort::Optimizer, "optimizer"),
        (Sort::Plateau, "plateau"),
        (Sort::Seeds, "seeds"),
        (Sort::Checkpoint, "checkpoint"),
    ];

    pub(super) fn of(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, own)| *own == name).map(|(sort, _)| *sort)
    }

    pub(super) fn name(self) -> &'static str {
        Self::ALL.iter().find(|(sort, _)| *sort == self).map_or("", |(_, name)| *name)
    }

    pub(super) fn names() -> String {
        Self::ALL.map(|(_, name)| name).join(", ")
    }

    /// What a file of this sort and class holds, for messages.
    pub(super) fn holds(self, class: &str) -> String {
        match self {
            Sort::Layer => {
                let vowel = class.starts_with(['L', 'R', 'I', 'M']) && class.chars().take(2).all(char::is_uppercase);
                format!("{} {}", if vowel { "an" } else { "a" }, class.chars().take(40).collect::<String>())
            }
            Sort::Embedding if class == "QuantizedEmbedding" => "a QuantizedEmbedding".into(),
            Sort::Embedding => "an Embedding".into(),
            Sort::Masking => "a Masking".into(),
            Sort::Model => "a Model".into(),
            Sort::State => "a State".into(),
            Sort::ModelState => "a ModelState".into(),
            Sort::Gradients => "the Gradients".into(),
            Sort::Optimizer => format!("an optimizer {}", class.chars().take(40).collect::<String>()),
            Sort::Plateau => "a ReduceLrOnPlateau".into(),
            Sort::Seeds => "the DropoutSeeds".into(),
            Sort::Checkpoint => "a checkpoint".into(),
        }
    }

    /// The type to ask for.
    pub(super) fn ask(self, class: &str, element: &str) -> String {
        let name = match self {
            Sort::Layer => match class {
                "RNN" => return format!("Recurrent<StackedCells<{element}>>"),
                "QuantizedSimpleRNN" | "QuantizedLSTM" | "QuantizedGRU" => return "Recurrent<QuantizedCell>".into(),
                "QuantizedDense" => return class.into(),
                "Bidirectional" | "Stacked" | "Dense" | "TimeDistributed" => class,
                _ => match cell_layer(class) {
                    Some(layer) => layer,
                    None => return format!("Box<dyn Layer<{element}>>"),
                },
            },
            Sort::Embedding if class == "QuantizedEmbedding" => return class.into(),
            Sort::Embedding => "Embedding",
            Sort::Masking => "Masking",
            Sort::Model => "Model",
            Sort::State => "State",
            Sort::ModelState => "ModelState",
            Sort::Gradients => "Gradients",
            Sort::Optimizer => match class {
                "Scheduled" => return format!("Scheduled<Adam<{element}>>, of the optimizer in it"),
                _ => super::saved::optimizer(class),
            },
            Sort::Plateau => return "ReduceLrOnPlateau".into(),
            Sort::Seeds => return "DropoutSeeds".into(),
            Sort::Checkpoint => return "the start of a training run, by Fit::resume".into(),
        };
        format!("{name}<{element}>")
    }
}

/// What follows from the list of cells: the layers' names here by their classes.
macro_rules! list_names {
    ($($file:ident::$cell:ident: $layer:ident = $class:literal;)*) => {
        fn cell_layer(class: &str) -> Option<&'static str> {
            match class {
                $($class => Some(stringify!($layer)),)*
                _ => None,
            }
        }
    };
}
crate::cells::each_cell!(list_names);
