//! Cells: of layers over time, and in the option of RNN.

use ndarray::ArrayD;
use serde_json::json;

use super::super::cudnn;
use super::super::description::Described;
use super::super::json::Fields;
use super::super::places;
use super::super::unsupported::OR_TAKE_OUT;
use super::super::weights::Place;
use super::{Class, Holds, Reading, Reads, Written};
use crate::activation::Activation;
use crate::cells::BuiltInCell;
use crate::cells::boxed::BoxedCell;
use crate::cells::builder::Builder;
use crate::cells::stacked::StackedCells;
use crate::error::Error;
use crate::float::Float;
use crate::formats::error::{Found, Problem};
use crate::initializers::Initializer;
use crate::layers::names::{Gru, Lstm, SimpleRnn};
use crate::layers::recurrent::Recurrent;

/// Which cell a class has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum CellKind {
    Simple,
    Lstm,
    Gru,
    /// cuDNN's in Keras 2: the same numbers from weights in another shape.
    CudnnLstm,
    CudnnGru,
    Stacked,
    /// The one in the option `cell`.
    InOption,
}

impl CellKind {
    pub(super) fn is_cudnn(self) -> bool {
        matches!(self, CellKind::CudnnLstm | CellKind::CudnnGru)
    }

    fn gates(self) -> usize {
        match self {
            CellKind::Lstm | CellKind::CudnnLstm => 4,
            CellKind::Gru | CellKind::CudnnGru => 3,
            _ => 1,
        }
    }
}

impl<T: Float> Class<T> {
    pub(super) const CELLS: &'static [Self] = &[
        Self::cell("SimpleRNNCell", CellKind::Simple, Holds::Weights(weights)),
        Self::cell("LSTMCell", CellKind::Lstm, Holds::Weights(weights)),
        Self::cell("GRUCell", CellKind::Gru, Holds::Weights(weights)),
        Self::cell("StackedRNNCells", CellKind::Stacked, Holds::Layers("cells")),
    ];

    const fn cell(name: &'static str, kind: CellKind, holds: Holds) -> Self {
        Class { name, arguments: &[], holds, reads: Reads::Cell(kind), written: WRITTEN, takes_list: false }
    }
}

/// What of this crate's cells is Keras's, too.
pub(super) const WRITTEN: Written = Written::By(|said| {
    for name in [
        "units",
        "activation",
        "recurrent_activation",
        "use_bias",
        "unit_forget_bias",
        "kernel_initializer",
        "recurrent_initializer",
        "bias_initializer",
        "dropout",
        "recurrent_dropout",
        "seed",
        "reset_after",
    ] {
        said.same(name)?;
    }
    said.no_others(&["input_size"])
});

pub(super) fn weights(fields: &Fields<'_>) -> Found<Vec<&'static str>> {
    Ok(["kernel", "recurrent_kernel", "bias"][..2 + usize::from(fields.default_flag("use_bias", true)?)].to_vec())
}

pub(super) fn with_bias(_: &Fields<'_>) -> Found<Vec<&'static str>> {
    Ok(vec!["kernel", "recurrent_kernel", "bias"])
}

/// A layer of one cell, whatever the cell.
pub(super) enum Any<T: Float> {
    Simple(SimpleRnn<T>),
    Lstm(Lstm<T>),
    Gru(Gru<T>),
    Stacked(Recurrent<StackedCells<T>>),
    Own(Recurrent<BoxedCell<T>>),
}

/// `match`, with the same expression for whatever is inside.
macro_rules! any {
    ($any:expr, $inner:ident => $call:expr) => {
        match $any {
            Any::Simple($inner) => $call,
            Any::Lstm($inner) => $call,
            Any::Gru($inner) => $call,
            Any::Stacked($inner) => $call,
            Any::Own($inner) => $call,
        }
    };
}
pub(super) use any;

/// Weights by their paths in the layer.
type New<T> = Vec<(String, ArrayD<T>)>;

/// A cell with a description of its own.
pub(super) fn described<T: Float>(
    outer: &Reading<'_, '_>,
    cell: &Described<'_>,
    place: &Place<'_>,
    prefix: &str,
    weights: &mut New<T>,
) -> Found<Any<T>> {
    if let Some(code) = cell.identity.code {
        return Ok(Any::Own(Recurrent::from_cell(outer.reader.own_cell(cell, place, code)?)));
    }
    outer
        .reader
        .open::<T, _>(cell, place, outer.depth + 1, |reading| match Class::<T>::of(cell)?.reads {
            Reads::Cell(kind) => read(reading, kind, place, prefix, weights),
            _ => Err(cell.unsupported(CELLS)),
        })
        .map_err(|problem| line_to_write(problem, cell))
}

const CELLS: &str = "SimpleRNNCell, LSTMCell, GRUCell and StackedRNNCells can be the cell of an RNN";

/// The refusal of a cell's class, with the line that puts code in its place.
fn line_to_write(problem: Problem, cell: &Described<'_>) -> Problem {
    match problem {
        Problem::UnsupportedClass { layer, class, .. } if layer == cell.path() => {
            let line =
                format!("write keras::Options::new().cell({layer:?}, |config, tensors| ..) for its code{OR_TAKE_OUT}");
            Problem::UnsupportedClass { layer, class, hint: line.into() }
        }
        other => other,
    }
}

/// A cell as a layer of it, with weights of zero; the true ones are left in `weights`, by path.
pub(super) fn read<T: Float>(
    reading: &Reading<'_, '_>,
    kind: CellKind,
    place: &Place<'_>,
    prefix: &str,
    weights: &mut New<T>,
) -> Found<Any<T>> {
    match kind {
        CellKind::Stacked => stacked(reading, place, prefix, weights),
        _ => built_in(reading, kind, place, prefix, weights),
    }
}

fn stacked<T: Float>(
    reading: &Reading<'_, '_>,
    place: &Place<'_>,
    prefix: &str,
    weights: &mut New<T>,
) -> Found<Any<T>> {
    reading.fields.only("reverse_state_order", &json!(false), "Keras 2's old order of states")?;
    let list = reading.fields.need("cells", "a list of cells")?.list("a list of cells")?;
    let cells = list.iter().map(|cell| Described::read(cell, reading.path())).collect::<Found<Vec<_>>>()?;
    let groups = places::groups(cells.iter().map(|cell| (cell.class(), 1)));
    let shared = || reading.refused(Error::SharedCell { cell: "RNN" });
    let mut builder = StackedCells::<T>::builder();
    for (i, (cell, group)) in cells.iter().zip(groups).enumerate() {
        let place = place.child("cells").child(&group);
        builder = match described::<T>(reading, cell, &place, &format!("{prefix}{i}/"), weights)? {
            Any::Simple(layer) => builder.cell(layer.into_cell().ok_or_else(shared)?),
            Any::Lstm(layer) => builder.cell(layer.into_cell().ok_or_else(shared)?),
            Any::Gru(layer) => builder.cell(layer.into_cell().ok_or_else(shared)?),
            Any::Stacked(layer) => builder.cell(layer.into_cell().ok_or_else(shared)?),
            Any::Own(layer) => builder.cell(layer.into_cell().ok_or_else(shared)?),
        };
    }
    let cells = builder.build().map_err(|source| reading.refused(source))?;
    Ok(Any::Stacked(Recurrent::from_cell(cells)))
}

fn built_in<T: Float>(
    reading: &Reading<'_, '_>,
    kind: CellKind,
    place: &Place<'_>,
    prefix: &str,
    weights: &mut New<T>,
) -> Found<Any<T>> {
    if kind.is_cudnn() && !reading.is_keras2() {
        return Err(Problem::UnsupportedClass {
            layer: reading.path().into(),
            class: reading.fields.owner().class.into(),
            hint: "Keras 3 has LSTM and GRU instead".into(),
        });
    }
    reading.made_with(&["kernel", "recurrent", "bias"])?;
    // How the work is divided: the numbers are the same.
    reading.fields.loose(&["implementation"], "a whole number", |json| json.integer().is_ok())?;
    let (units, gates) = (reading.size("units")?, kind.gates());
    let names = if kind.is_cudnn() { with_bias(reading.fields)? } else { self::weights(reading.fields)? };
    let mut read = reading.tensors::<T>(place, &names)?;
    let input = reading.rows(&read[0], units, gates)?;
    reading.expect_shape(&read[1], &[units, gates * units])?;
    // Versions before the option did the product last.
    let reset_after = match kind {
        CellKind::Gru => reading.newer_flag("reset_after", true, reading.is_old().then_some(false))?,
        _ => kind == CellKind::CudnnGru,
    };
    if names.len() > 2 {
        cudnn::convert(reading.reader.version, kind.is_cudnn(), gates, units, &mut read);
        let shape: &[usize] = if reset_after { &[2, gates * units] } else { &[gates * units] };
        reading.expect_shape(&read[2], shape)?;
    }
    let common = Common::read::<T>(reading, kind, names.len() > 2)?;
    let any = common.build(reading, kind, (input, units), reset_after)?;
    weights.extend(read.into_iter().map(|weight| (format!("{prefix}{}", weight.name), weight.array)));
    Ok(any)
}

/// What all built-in cells are built with.
struct Common {
    activation: Activation,
    recurrent_activation: Activation,
    use_bias: bool,
    unit_forget_bias: bool,
    initializers: [Initializer; 3],
    dropout: f64,
    recurrent_dropout: f64,
    seed: Option<i64>,
}

impl Common {
    fn read<T: Float>(reading: &Reading<'_, '_>, kind: CellKind, use_bias: bool) -> Found<Self> {
        let fields = reading.fields;
        let cudnn = kind.is_cudnn();
        Ok(Common {
            activation: if cudnn {
                Activation::Tanh
            } else {
                reading.activation::<T>("activation", Activation::Tanh)?
            },
            recurrent_activation: match kind.gates() > 1 && !cudnn {
                // In Keras 2 the default depends on the version: there the file must say it.
                true if reading.is_keras2() => reading.needed_activation::<T>("recurrent_activation")?,
                true => reading.activation::<T>("recurrent_activation", Activation::Sigmoid)?,
                false => Activation::Sigmoid,
            },
            use_bias,
            unit_forget_bias: kind.gates() != 4 || fields.flag_or("unit_forget_bias", true)?,
            initializers: [
                reading.initializer("kernel_initializer", Initializer::GlorotUniform { seed: None }),
                reading.initializer("recurrent_initializer", Initializer::orthogonal()),
                reading.initializer("bias_initializer", Initializer::Zeros),
            ],
            dropout: fields.number_or("dropout", 0.0)?,
            recurrent_dropout: fields.number_or("recurrent_dropout", 0.0)?,
            seed: fields.integer_if("seed")?,
        })
    }

    fn build<T: Float>(
        self,
        reading: &Reading<'_, '_>,
        kind: CellKind,
        (input, units): (usize, usize),
        reset_after: bool,
    ) -> Found<Any<T>> {
        let recurrent = self.recurrent_activation.clone();
        let any = match kind.gates() {
            1 => self.zeros(SimpleRnn::builder(input, units)).map(Any::Simple),
            4 => {
                let builder = Lstm::builder(input, units).recurrent_activation(recurrent);
                let forget = self.unit_forget_bias;
                self.zeros(builder.unit_forget_bias(forget)).map(Any::Lstm)
            }
            _ => {
                let builder = Gru::builder(input, units).recurrent_activation(recurrent);
                self.zeros(builder.reset_after(reset_after)).map(Any::Gru)
            }
        };
        any.map_err(|source| reading.refused(source))
    }

    /// With zeros for weights, which come later.
    fn zeros<C: BuiltInCell>(self, builder: Builder<'static, C>) -> Result<Recurrent<C>, Error> {
        let [kernel, recurrent, bias] = self.initializers;
        let builder = match self.seed {
            Some(seed) => builder.seed(seed),
            // Drawn, as Keras does it, if it matters.
            None => builder,
        };
        builder
            .activation(self.activation)
            .use_bias(self.use_bias)
            .dropout(self.dropout)
            .recurrent_dropout(self.recurrent_dropout)
            .kernel_initializer(kernel)
            .recurrent_initializer(recurrent)
            .bias_initializer(bias)
            .build_of_zeros()
    }
}
