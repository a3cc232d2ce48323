//! What can be saved.

use ndarray::{ArrayD, ArrayViewD};

use super::examples::{Example, of_embedding, of_layer, of_model, of_quantized_embedding};
pub use super::sort::Sort;

use crate::cells::described::DescribedCell;
use crate::config::{Config, ConfigError, Described, Tensors};
use crate::error::Error;
use crate::float::Float;
use crate::gradients::Gradients;
use crate::graph::{Model, ModelState, Watch, classes, read};
use crate::layers::Layer;
use crate::layers::bidirectional::Bidirectional;
use crate::layers::dense::Dense;
use crate::layers::embedding::Embedding;
use crate::layers::masking::Masking;
use crate::layers::quantized_dense::QuantizedDense;
use crate::layers::quantized_embedding::QuantizedEmbedding;
use crate::layers::recurrent::Recurrent;
use crate::layers::stacked::Stacked;
use crate::layers::time_distributed::TimeDistributed;
use crate::parameters::Parameters;
use crate::seeds::DropoutSeeds;
use crate::state::State;
use crate::training::{
    Adagrad, Adam, AdamW, Adamax, Lion, Nadam, ReduceLrOnPlateau, RmsProp, Schedule, Scheduled, Sgd,
};
use crate::weights::{Kept, QuantizedVisitor, WeightVisitor};

/// Receives arrays by their names.
pub(super) type Show<'s, T> = dyn FnMut(String, ArrayViewD<'_, T>) + 's;

/// Receives weights in fewer bits by their names, with their shapes.
#[doc(hidden)]
pub type ShowKept<'s> = dyn FnMut(String, &[usize], Kept) + 's;

/// Shows arrays of whole numbers of a thing.
type ShowIntegers<S> = fn(&S, &mut dyn FnMut(String, ArrayD<i64>));

/// What [`save`](super::save) takes and [`load`](super::load) gives: every layer ([`Recurrent`] of each built-in cell and
/// of [`StackedCells`](crate::StackedCells), [`Bidirectional`], [`Stacked`], [`Dense`], [`TimeDistributed`], the same in
/// [fewer bits](crate::fewer_bits), and whichever it is as a `Box<dyn Layer<T>>`), [`Embedding`], [`QuantizedEmbedding`], [`Masking`], [`Model`], [`State`], [`ModelState`], and what
/// goes on with training: [`Gradients`] that add up over calls, the optimizers and [`Scheduled`],
/// [`ReduceLrOnPlateau`], [`DropoutSeeds`].
///
/// Sealed.
///
/// ```
/// use ndarray::prelude::*;
/// use recurrent::{Dense, Gru, Layer, Stacked, file};
/// let stack = Stacked::builder().layer(Gru::<f64>::new(3, 4)).layer(Dense::new(4, 2)).build()?;
/// let bytes = file::to_bytes(&stack)?;
/// let layer: Box<dyn Layer<f64>> = file::from_bytes(&bytes)?; // whichever it is
/// let x = Array3::ones((1, 5, 3));
/// assert_eq!(layer.forward(&x)?, stack.forward(&x)?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Saved: sealed::Sealed + Sized {
    /// The type of its numbers.
    #[doc(hidden)]
    type Elem: Float;

    #[doc(hidden)]
    const SORT: Sort;

    /// The class of its description, if it is always the same.
    #[doc(hidden)]
    const CLASS: Option<&'static str> = None;

    /// Whether a description of this class is one of it.
    #[doc(hidden)]
    fn is_of(class: &str) -> bool {
        Self::CLASS.is_none_or(|own| own == class)
    }

    /// All but the arrays.
    #[doc(hidden)]
    fn describe_whole(&self) -> Result<Config, ConfigError>;

    /// All arrays.
    #[doc(hidden)]
    fn visit_arrays(&self, show: &mut Show<'_, Self::Elem>);

    /// All weights in fewer bits, with their shapes.
    #[doc(hidden)]
    fn visit_kept(&self, _show: &mut ShowKept<'_>) {}

    /// All arrays of whole numbers.
    #[doc(hidden)]
    fn visit_integers(&self, _show: &mut dyn FnMut(String, ArrayD<i64>)) {}

    #[doc(hidden)]
    fn read_whole(described: &Described<'_>, tensors: &mut Tensors<'_, Self::Elem>) -> Result<Self, ConfigError>;

    /// What it gives for an example.
    #[doc(hidden)]
    fn outputs_of(
        &self,
        _example: &Example<Self::Elem>,
        _watch: Option<Watch<'_, Self::Elem>>,
    ) -> Result<Vec<ArrayD<Self::Elem>>, Error> {
        Err(Error::NotRequested { what: "output", hint: "examples are of layers, embeddings and models" })
    }
}

pub(super) mod sealed {
    /// Implemented by what can be saved only.
    pub trait Sealed {}
}

/// What has weights describes itself, and shows its arrays.
macro_rules! parameters {
    ($([$($generics:tt)*] $type:ty, $elem:ty, $sort:ident, $class:expr, $outputs:expr, $read:expr;)*) => {$(
        impl<$($generics)*> sealed::Sealed for $type {}

        impl<$($generics)*> Saved for $type {
            type Elem = $elem;
            const SORT: Sort = Sort::$sort;

            fn is_of(class: &str) -> bool {
                let own: Option<&[&str]> = $class;
                own.is_none_or(|own| own.contains(&class))
            }

            fn describe_whole(&self) -> Result<Config, ConfigError> {
                self.describe()?.without_entries()
            }

            fn visit_arrays(&self, show: &mut Show<'_, $elem>) {
                self.visit_stored(&mut WeightVisitor::new(&mut |path, array| show(path.to_string(), array)));
            }

            fn visit_kept(&self, show: &mut ShowKept<'_>) {
                self.visit_quantized(&mut QuantizedVisitor::new(&mut |path, weight| {
                    show(path.to_string(), weight.shape, (weight.kept)());
                }));
            }

            fn read_whole(described: &Described<'_>, tensors: &mut Tensors<'_, $elem>) -> Result<Self, ConfigError> {
                let read: fn(&Described<'_>, &mut Tensors<'_, $elem>) -> Result<Self, ConfigError> = $read;
                read(described, tensors)
            }

            fn outputs_of(
                &self,
                example: &Example<$elem>,
                watch: Option<Watch<'_, $elem>>,
            ) -> Result<Vec<ArrayD<$elem>>, Error> {
                let outputs: fn(&Self, &Example<$elem>, Option<Watch<'_, $elem>>) -> _ = $outputs;
                outputs(self, example, watch)
            }
        }
    )*};
}

parameters! {
    [C: DescribedCell] Recurrent<C>, C::Elem, Layer, Some(C::LAYERS), |layer, example, _| of_layer(layer, example), |described, tensors| {
        described.read(|options| Recurrent::read(options, tensors))
    };
    [T: Float] Bidirectional<T>, T, Layer, Some(&["Bidirectional"]), |layer, example, _| of_layer(layer, example), |described, tensors| {
        described.read(|options| Bidirectional::read(options, tensors))
    };
    [T: Float] Stacked<T>, T, Layer, Some(&["Stacked"]), |layer, example, _| of_layer(layer, example), |described, tensors| {
        described.read(|options| classes::stacked(options, tensors))
    };
    [T: Float] Dense<T>, T, Layer, Some(&["Dense"]), |layer, example, _| of_layer(layer, example), |described, tensors| {
        described.read(|options| Dense::read(options, tensors))
    };
    [] QuantizedDense, f32, Layer, Some(&["QuantizedDense"]), |layer, example, _| of_layer(layer, example), |described, tensors| {
        described.read(|options| QuantizedDense::read(options, tensors))
    };
    [T: Float] TimeDistributed<T>, T, Layer, Some(&["TimeDistributed"]), |layer, example, _| of_layer(layer, example), |described, tensors| {
        described.read(|options| classes::time_distributed(options, tensors))
    };
    [T: Float] Box<dyn Layer<T>>, T, Layer, None, |layer, example, _| of_layer(&**layer, example), classes::layer;
    [T: Float] Embedding<T>, T, Embedding, Some(&["Embedding"]), |table, example, _| of_embedding(table, example), |described, tensors| {
        described.read(|options| Embedding::read(options, tensors))
    };
    [] QuantizedEmbedding, f32, Embedding, Some(&["QuantizedEmbedding"]), |table, example, _| of_quantized_embedding(table, example), |described, tensors| {
        described.read(|options| QuantizedEmbedding::read(options, tensors))
    };
    [T: Float] Model<T>, T, Model, None, of_model, |described, tensors| {
        if !matches!(described.class(), "Functional" | "Sequential") {
            return Err(described.wrong_class("Functional, Sequential"));
        }
        described.read(|options| read::read_model(options, tensors))
    };
}

impl<T: Float> sealed::Sealed for Masking<T> {}

impl<T: Float> Saved for Masking<T> {
    type Elem = T;
    const SORT: Sort = Sort::Masking;
    const CLASS: Option<&'static str> = Some("Masking");

    fn describe_whole(&self) -> Result<Config, ConfigError> {
        Ok(Config::new("Masking").with("mask_value", self.mask_value().into_f64()))
    }

    fn visit_arrays(&self, _show: &mut Show<'_, T>) {}

    fn read_whole(described: &Described<'_>, _tensors: &mut Tensors<'_, T>) -> Result<Self, ConfigError> {
        described.read(|options| Masking::new(classes::masking(options)?).map_err(|error| options.refused(error)))
    }
}

/// The optimizers' types by their classes.
macro_rules! optimizers {
    ($($type:ident,)*) => {
        pub(super) fn optimizer(class: &str) -> &'static str {
            const NAMES: &[&str] = &[$(stringify!($type)),*];
            NAMES.iter().find(|name| **name == class).copied().unwrap_or("Adam")
        }

        described! { $($type, Optimizer;)* }
    };
}

/// What isn't a layer: it describes itself, shows its arrays, and is read from both.
macro_rules! described {
    (@integers) => { None };
    (@integers $shown:ident) => { Some(Self::$shown) };
    ($($type:ident, $sort:ident $(, $integers:ident)?;)*) => {$(
        impl<T: Float> sealed::Sealed for $type<T> {}

        impl<T: Float> Saved for $type<T> {
            type Elem = T;
            const SORT: Sort = Sort::$sort;
            const CLASS: Option<&'static str> = Some(stringify!($type));

            fn describe_whole(&self) -> Result<Config, ConfigError> {
                Ok(self.describe())
            }

            fn visit_arrays(&self, show: &mut Show<'_, T>) {
                self.show(show);
            }

            fn visit_integers(&self, show: &mut dyn FnMut(String, ArrayD<i64>)) {
                let shown: Option<ShowIntegers<Self>> = described!(@integers $($integers)?);
                if let Some(shown) = shown {
                    shown(self, show);
                }
            }

            fn read_whole(described: &Described<'_>, tensors: &mut Tensors<'_, T>) -> Result<Self, ConfigError> {
                described.read(|options| $type::read(options, tensors))
            }
        }
    )*};
}

described! {
    State, State;
    ModelState, ModelState;
    Gradients, Gradients, show_rows;
}

optimizers! { Adagrad, Adam, AdamW, Adamax, Lion, Nadam, RmsProp, Sgd, }

impl<O: Saved> sealed::Sealed for Scheduled<O> {}

impl<O: Saved> Saved for Scheduled<O> {
    type Elem = O::Elem;
    const SORT: Sort = Sort::Optimizer;
    const CLASS: Option<&'static str> = Some("Scheduled");

    fn describe_whole(&self) -> Result<Config, ConfigError> {
        let config = Config::new("Scheduled").with("schedule", self.schedule().describe());
        Ok(config.with("optimizer", self.optimizer().describe_whole()?))
    }

    fn visit_arrays(&self, show: &mut Show<'_, Self::Elem>) {
        self.optimizer().visit_arrays(show);
    }

    fn read_whole(described: &Described<'_>, tensors: &mut Tensors<'_, Self::Elem>) -> Result<Self, ConfigError> {
        described.read(|options| {
            let schedule = Schedule::read(&options.config("schedule", "a schedule")?)?;
            let optimizer = options.config("optimizer", "an optimizer")?;
            match O::CLASS {
                Some(class) if O::SORT == Sort::Optimizer && class == optimizer.class() => {}
                class => return Err(optimizer.wrong_class(class.unwrap_or("an optimizer"))),
            }
            Ok(Scheduled::new(O::read_whole(&optimizer, tensors)?, schedule))
        })
    }
}

impl sealed::Sealed for ReduceLrOnPlateau {}

impl Saved for ReduceLrOnPlateau {
    // It has no numbers of a layer's type.
    type Elem = f32;
    const SORT: Sort = Sort::Plateau;
    const CLASS: Option<&'static str> = Some("ReduceLrOnPlateau");

    fn describe_whole(&self) -> Result<Config, ConfigError> {
        Ok(self.describe())
    }

    fn visit_arrays(&self, _show: &mut Show<'_, f32>) {}

    fn read_whole(described: &Described<'_>, _tensors: &mut Tensors<'_, f32>) -> Result<Self, ConfigError> {
        described.read(|options| ReduceLrOnPlateau::read(options))
    }
}

impl sealed::Sealed for DropoutSeeds {}

impl Saved for DropoutSeeds {
    // It has no numbers of a layer's type.
    type Elem = f32;
    const SORT: Sort = Sort::Seeds;
    const CLASS: Option<&'static str> = Some("DropoutSeeds");

    fn describe_whole(&self) -> Result<Config, ConfigError> {
        Ok(Config::new("DropoutSeeds").with("generators", self.description()))
    }

    fn visit_arrays(&self, _show: &mut Show<'_, f32>) {}

    fn read_whole(described: &Described<'_>, _tensors: &mut Tensors<'_, f32>) -> Result<Self, ConfigError> {
        described.read(|options| DropoutSeeds::read(&options.list("generators", "a list of generators")?))
    }
}
