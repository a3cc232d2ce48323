//! Operations that aren't layers, read back.

use ndarray::ArrayD;

use super::{Class, LAYER, Read, axes, operation};
use crate::config::{ConfigError, Item, Options, Tensors, activations};
use crate::float::Float;
use crate::graph::operation::{Op, Role, Which};
use crate::graph::ops::attention::{Attention, Score};
use crate::graph::ops::binary::{Binary, Two, Where};
use crate::graph::ops::cast::{Cast, FullLike, OneHot};
use crate::graph::ops::constant::{Constant, Operand};
use crate::graph::ops::contract::{Contract, Pattern, Unit};
use crate::graph::ops::gather::{From, Gather};
use crate::graph::ops::get_item::{Index, Parts, Slice, Split, View};
use crate::graph::ops::preprocessing::{Rescaling, Standardization};
use crate::graph::ops::reduce::{All, Reduce, Whole};
use crate::graph::ops::sequence_mask::SequenceMask;
use crate::graph::ops::unary::{Function, Unary};
use crate::graph::ops::unit::UnitNormalization;
use crate::graph::ops::unmasked::Unmasked;
use crate::graph::ops::whole_shape::{BroadcastTo, ReshapeAll, Stack};
use crate::graph::read::Made;
use crate::weights::WeightVisitor;

impl<T: Float> Class<T> {
    pub(super) const OPERATIONS: &'static [Self] = &[
        Class::operation("Elementwise", |options, _| Ok(Op::new(Unary(function(options)?)))),
        Class::operation("OfTwo", |options, _| {
            let (left, right) = (operand(options, "left")?, operand(options, "right")?);
            Ok(Op::new(Binary { how: options.word("function", &Two::NAMES)?, left, right }))
        }),
        Class::operation("Where", |options, _| {
            let (condition, then) = (operand(options, "condition")?, operand(options, "then")?);
            Ok(Op::new(Where { condition, then, otherwise: operand(options, "otherwise")? }))
        }),
        Class::operation("Reduce", |options, _| {
            let how = options.word("function", &All::NAMES)?;
            let whole_numbers = if options.flag("floats_only")? { Whole::Refused } else { Whole::Float };
            Ok(Op::new(Reduce { how, axes: axes(options)?, keepdims: options.flag("keepdims")?, whole_numbers }))
        }),
        Class::operation("GetItem", |options, _| {
            let indices = options.list("index", INDEX)?.iter().map(index).collect::<Read<_>>()?;
            Ok(Op::new(View::GetItem(indices)))
        }),
        Class::operation("Transpose", |options, _| Ok(Op::new(View::Transpose(integers_if(options, "axes")?)))),
        Class::operation("SwapAxes", |options, _| {
            Ok(Op::new(View::SwapAxes(options.integer("axis1")?, options.integer("axis2")?)))
        }),
        Class::operation("MoveAxis", |options, _| {
            Ok(Op::new(View::MoveAxis(integers(options, "source")?, integers(options, "destination")?)))
        }),
        Class::operation("Squeeze", |options, _| Ok(Op::new(View::Squeeze(integers_if(options, "axis")?)))),
        Class::operation("Flip", |options, _| Ok(Op::new(View::Flip(integers_if(options, "axis")?)))),
        Class::operation("Split", |options, _| {
            Ok(Op::new(Split { axis: options.integer("axis")?, parts: parts(options)? }))
        }),
        Class::operation("Gather", |options, _| {
            let axes = options.list("axes", FROM)?.iter().map(from).collect::<Read<_>>()?;
            Ok(Op::new(Gather { axes, fill: options.number("fill")? }))
        }),
        Class::operation("ReshapeAll", |options, _| Ok(Op::new(ReshapeAll(integers(options, "shape")?)))),
        Class::operation("BroadcastTo", |options, _| Ok(Op::new(BroadcastTo(super::sizes(options, "shape")?)))),
        Class::operation("Stack", |options, _| Ok(Op::new(Stack(options.integer("axis")?)))),
        Class::operation("Cast", |options, _| Ok(Op::new(options.word("to", &Cast::NAMES)?))),
        Class::operation("SequenceMask", |_, _| Ok(Op::new(SequenceMask))),
        Class::operation("OneHot", |options, _| {
            let (on, off) = (options.number("on")?, options.number("off")?);
            Ok(Op::new(OneHot { classes: options.size("classes")?, axis: options.integer("axis")?, on, off }))
        }),
        Class::operation("FullLike", |options, _| {
            let of = options.need("of", "a type or null")?.given();
            let of = of.map(|_| options.word("of", &Cast::NAMES)).transpose()?;
            Ok(Op::new(FullLike { number: options.number("number")?, of }))
        }),
        Class::operation("Contract", |options, _| {
            let unit =
                options.need("unit", "a number or null")?.given().map(|unit| unit.number()).transpose()?.map(Unit);
            let (left, right) = (operand(options, "left")?, operand(options, "right")?);
            Ok(Op::new(Contract { pattern: pattern(options)?, unit, left, right }))
        }),
        Class::operation("UnitNormalization", |options, _| {
            let least = Unit(options.number("least")?);
            Ok(Op::new(UnitNormalization { axes: integers(options, "axis")?, least }))
        }),
        Class::operation("Attention", |options, tensors| {
            let score = options.word("score", &Score::NAMES)?;
            let shape = options.need("scale", INTEGERS)?.given().map(|_| super::sizes(options, "scale")).transpose()?;
            let fits = shape.as_ref().is_none_or(|shape| shape.len() == usize::from(score == Score::Additive));
            if !fits {
                return Err(options.need("scale", INTEGERS)?.wrong("one number, or one for each feature"));
            }
            let scale = shape.map(|shape| super::array(options, tensors, "scale", &shape)).transpose()?;
            let concat = (score == Score::Concat).then(|| super::array(options, tensors, "concat_score_weight", &[]));
            let (causal, returns_scores) = (options.flag("causal")?, options.flag("returns_scores")?);
            let dropout = super::dropout(options)?;
            Ok(Op::new(Attention { score, scale, concat: concat.transpose()?, causal, returns_scores, dropout }))
        }),
        Class::operation("Rescaling", |options, _| {
            let both = |name: &str| {
                let constant = operand(options, name)?;
                constant.map_or_else(|| Err(options.need(name, CONSTANT)?.wrong("a constant")), Ok)
            };
            Ok(Op::new(Rescaling { scale: both("scale")?, offset: both("offset")? }))
        }),
        Class::operation("Normalization", standardization),
        Class::operation("Unmasked", |options, tensors| {
            let item = options.need("layer", LAYER)?;
            let Made { op, states } = operation(&item.config(LAYER)?, tensors)?;
            let mut weights = 0;
            op.visit_weights(Which::All, &mut WeightVisitor::new(&mut |_, _| weights += 1));
            let plain = states.is_empty() && weights == 0 && matches!(op.role(), Role::Plain);
            if plain { Ok(Op::new(Unmasked(op))) } else { Err(item.wrong("an operation without weights and states")) }
        }),
    ];
}

const INTEGERS: &str = "whole numbers";
const INDEX: &str = "whole numbers, slices, \"new\" and \"rest\"";
const FROM: &str = "places along axes";
const CONSTANT: &str = "a constant or null";

fn function(options: &Options<'_>) -> Read<Function> {
    let item = options.need("function", "a function's name")?;
    Ok(match item.text("a function's name")? {
        "clip" => Function::Clip { min: options.number("min")?, max: options.number("max")? },
        "activation" => {
            let activation = options.need("activation", "an activation")?;
            let function = Function::activation(activations::read(&activation)?);
            function.ok_or_else(|| activation.wrong("an activation that acts on each element"))?
        }
        name => Function::named(name).ok_or_else(|| item.wrong("a function's name"))?,
    })
}

fn operand<T: Float>(options: &Options<'_>, name: &str) -> Read<Operand<T>> {
    let Some(item) = options.need(name, CONSTANT)?.given() else { return Ok(None) };
    let described = item.config(CONSTANT)?;
    if described.class() != "Constant" {
        return Err(described.wrong_class(CONSTANT));
    }
    described.read(|options| {
        let shape = super::sizes(options, "shape")?;
        let numbers = options.list("numbers", "numbers")?.iter().map(Item::number).collect::<Read<Vec<_>>>()?;
        let constant = match options.text("kind", "float, int or bool")? {
            "float" => Constant::floats(&shape, &numbers),
            "int" => Constant::integers(&shape, &numbers),
            "bool" => Constant::flags(&shape, &numbers),
            _ => None,
        };
        constant.map(Some).ok_or_else(|| item.wrong("as many numbers as the shape says, and their kind"))
    })
}

fn index(item: &Item<'_>) -> Read<Index> {
    if item.is_text() {
        return match item.text(INDEX)? {
            "new" => Ok(Index::New),
            "rest" => Ok(Index::Rest),
            _ => Err(item.wrong(INDEX)),
        };
    }
    if let Ok(at) = item.integer() {
        return Ok(Index::At(at));
    }
    let described = item.config(INDEX)?;
    if described.class() != "Slice" {
        return Err(described.wrong_class(INDEX));
    }
    described.read(|options| {
        let part = |name: &str| options.need(name, INTEGERS)?.given().map(|part| part.integer()).transpose();
        let step = options.integer("step")?;
        let slice = Slice { start: part("start")?, stop: part("stop")?, step };
        if step == 0 { Err(item.wrong("a step other than 0")) } else { Ok(Index::Slice(slice)) }
    })
}

fn parts(options: &Options<'_>) -> Read<Parts> {
    let item = options.need("parts", "what parts there are")?;
    let count = || {
        let item = options.need("count", "a whole number")?;
        item.index("a whole number").ok().filter(|&count| count < MOST_PARTS).ok_or_else(|| item.wrong("few parts"))
    };
    Ok(match item.text("what parts there are")? {
        "equal" => Parts::Equal(count()?),
        "each" => Parts::Each(count()?),
        "at" => Parts::At(integers(options, "places")?),
        "sizes" => Parts::Sizes(super::sizes(options, "sizes")?),
        "all" => Parts::All,
        _ => return Err(item.wrong("equal, each, at, sizes or all")),
    })
}

fn standardization<T: Float>(options: &Options<'_>, tensors: &mut Tensors<'_, T>) -> Read<Op<T>> {
    let (axes, shape) = (integers(options, "axis")?, super::sizes(options, "shape")?);
    let (invert, adapted) = (options.flag("invert")?, options.flag("adapted")?);
    let mut array = |name: &str| -> Read<ArrayD<T>> {
        let given = options.need(name, "numbers or null")?.given();
        let Some(numbers) = given.filter(|_| !adapted) else { return super::array(options, tensors, name, &shape) };
        let all = numbers.list("numbers")?.iter().map(Item::number).collect::<Read<Vec<_>>>()?;
        let array = ArrayD::from_shape_vec(&shape[..], all.into_iter().map(T::from_f64).collect());
        array.map_err(|_| numbers.wrong("as many numbers as the shape says"))
    };
    let (mean, variance) = (array("mean")?, array("variance")?);
    let count = adapted.then(|| super::array(options, tensors, "count", &[])).transpose()?;
    Ok(Op::new(Standardization { axes, mean, variance, count, invert }))
}

fn pattern(options: &Options<'_>) -> Read<Pattern> {
    let item = options.need("pattern", "a pattern")?;
    Ok(match item.text("a pattern")? {
        "matmul" => Pattern::Matmul {
            transpose_left: options.flag("transpose_left")?,
            transpose_right: options.flag("transpose_right")?,
        },
        "dot" => Pattern::Dot,
        "batch" => Pattern::Batch { left: options.integer("left_axis")?, right: options.integer("right_axis")? },
        "einsum" => Pattern::Einsum(options.text("subscripts", "letters")?.into()),
        _ => return Err(item.wrong("matmul, dot, batch or einsum")),
    })
}

/// The most parts that an array is split into.
const MOST_PARTS: usize = 1 << 13;

fn from(item: &Item<'_>) -> Result<(i64, From), ConfigError> {
    let described = item.config(FROM)?;
    if described.class() != "From" {
        return Err(described.wrong_class(FROM));
    }
    described.read(|options| {
        let (axis, numbers) = (options.integer("axis")?, integers(options, "numbers")?);
        let from = From::described(options.text("how", FROM)?, &numbers);
        from.map(|from| (axis, from)).ok_or_else(|| item.wrong(FROM))
    })
}

pub(super) fn integers(options: &Options<'_>, name: &str) -> Read<Vec<i64>> {
    options.list(name, INTEGERS)?.iter().map(Item::integer).collect()
}

fn integers_if(options: &Options<'_>, name: &str) -> Read<Option<Vec<i64>>> {
    let given = options.need(name, INTEGERS)?.given();
    given.map(|list| list.list(INTEGERS)?.iter().map(Item::integer).collect()).transpose()
}
