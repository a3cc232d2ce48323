//! Operators on each number by itself, or on each of several.

use ndarray::ArrayD;

use super::broadcast::{Operand, Together, tensors};
use crate::activation::Activation;
use crate::float::Float;
use crate::formats::error::Found;
use crate::formats::onnx::load::item::{Held, Item, Kind, Numbers};
use crate::formats::onnx::load::size::{Num, Size};
use crate::formats::onnx::load::{Importer, Made};
use crate::formats::onnx::node::Node;
use crate::graph::AnyLayer;
use crate::graph::ops::binary::{Binary, Two, Where};
use crate::graph::ops::constant::Constant;
use crate::graph::ops::unary::{Function, Unary};
use crate::graph::shape::axis_at;
use crate::graph::tensor::Value;

/// Operators of one input that are a function of this crate's by another name.
const PLAIN: [(&str, &str); 13] = [
    ("Abs", "absolute"),
    ("Ceil", "ceil"),
    ("Erf", "erf"),
    ("Floor", "floor"),
    ("IsInf", "isinf"),
    ("IsNaN", "isnan"),
    ("Log", "log"),
    ("Neg", "negative"),
    ("Not", "logical_not"),
    ("Reciprocal", "reciprocal"),
    ("Round", "round"),
    ("Sign", "sign"),
    ("Sqrt", "sqrt"),
];

const ACTIVATIONS: [&str; 18] = [
    "Celu",
    "Clip",
    "Elu",
    "Exp",
    "Gelu",
    "HardSigmoid",
    "HardSwish",
    "LeakyRelu",
    "Mish",
    "PRelu",
    "Relu",
    "Selu",
    "Sigmoid",
    "Softplus",
    "Softsign",
    "Swish",
    "Tanh",
    "ThresholdedRelu",
];

/// Whether an operator acts on each number of one input.
pub(super) fn is_unary(operator: &str) -> bool {
    ACTIVATIONS.contains(&operator) || PLAIN.iter().any(|(own, _)| *own == operator)
}

/// What an operator does with two numbers.
pub(super) fn of_two(operator: &str) -> Option<Two> {
    Some(match operator {
        "Add" | "Sum" => Two::Add,
        "Sub" => Two::Subtract,
        "Mul" => Two::Multiply,
        "Div" => Two::Divide,
        "Pow" => Two::Power,
        "Max" => Two::Maximum,
        "Min" => Two::Minimum,
        "Equal" => Two::Equal,
        "Greater" => Two::Greater,
        "GreaterOrEqual" => Two::GreaterEqual,
        "Less" => Two::Less,
        "LessOrEqual" => Two::LessEqual,
        "And" => Two::And,
        "Or" => Two::Or,
        "Xor" => Two::Xor,
        _ => return None,
    })
}

impl<'f, T: Float> Importer<'f, T> {
    pub(super) fn unary(&mut self, node: &Node<'f>) -> Made<Item<T>> {
        let item = self.need(node, 0)?;
        node.ignore("consumed_inputs");
        if node.operator() == "PRelu" {
            return self.prelu(node, item);
        }
        let (function, kind) = self.function(node)?;
        match item {
            Item::Known(value) => Ok(Item::Known(self.compute(node, Unary(function), &[value])?)),
            Item::Spread { of, shape } => Ok(Item::Spread { of: self.compute(node, Unary(function), &[of])?, shape }),
            Item::Numbers(_) | Item::Repeated { .. } | Item::Part(_) => {
                Err(node.refuse("it reads sizes that aren't known before a call").into())
            }
            Item::Held(held) => {
                let kind = kind.unwrap_or(held.kind);
                if held.kind == Kind::Bool && kind != Kind::Bool {
                    return Err(node.refuse("it reads flags").into());
                }
                let tensor = match function {
                    Function::Activation(activation) if held.kind == Kind::Float => {
                        self.call(node, "", AnyLayer::from(activation), &[held.tensor])?[0]
                    }
                    function => self.one(node, "", Unary(function), held.tensor)?,
                };
                Ok(Item::Held(Held { tensor, kind, ..held }))
            }
        }
    }

    /// The function, and what it gives if that is another kind of number than it reads.
    fn function(&mut self, node: &Node<'f>) -> Made<(Function, Option<Kind>)> {
        if let Some((operator, name)) = PLAIN.iter().find(|(own, _)| *own == node.operator()) {
            if *operator == "IsInf" && !(node.flag("detect_negative", true)? && node.flag("detect_positive", true)?) {
                return Err(node.refuse("it must detect both infinities").into());
            }
            let kind = match *operator {
                "IsInf" | "IsNaN" | "Not" => Some(Kind::Bool),
                _ => None,
            };
            let function = Function::named(name).ok_or_else(|| node.refuse("this operator isn't supported"))?;
            return Ok((function, kind));
        }
        if node.operator() == "Clip" {
            return Ok((self.clip(node)?, None));
        }
        let activation = activation(node)?;
        activation.validate().map_err(|error| node.built(&error))?;
        Ok((Function::Activation(activation), Some(Kind::Float)))
    }

    fn clip(&mut self, node: &Node<'f>) -> Made<Function> {
        let mut ends = [f64::NEG_INFINITY, f64::INFINITY];
        for (place, name) in ["min", "max"].into_iter().enumerate() {
            if let Some(end) = node.float_if(name)? {
                ends[place] = end;
            } else if node.input(place + 1).is_some() {
                let value = self.known(node, place + 1, name)?;
                let end = value.floats().first().copied();
                ends[place] = end.ok_or_else(|| node.refuse(format!("its {name} is empty")))?.into_f64();
            }
        }
        let [min, max] = ends;
        if min.is_nan() || max.is_nan() {
            return Err(node.refuse("its ends must be numbers").into());
        }
        Ok(Function::Clip { min, max })
    }

    /// `x` above zero, `slope x` below.
    fn prelu(&mut self, node: &Node<'f>, item: Item<T>) -> Made<Item<T>> {
        let slope = self.known(node, 1, "slope")?;
        let Item::Held(held) = &item else { return Err(node.refuse("it reads a constant").into()) };
        let kind = held.kind;
        let zero = Item::Known(Value::Float(ArrayD::zeros(vec![]).into_shared()));
        let below = self.two(node, Two::Less, Kind::Bool, &item, &zero)?;
        let scaled = self.two(node, Two::Multiply, kind, &item, &Item::Known(slope))?;
        self.where_of(node, [below, scaled, item])
    }

    pub(super) fn of_several(&mut self, node: &Node<'f>, how: Two) -> Made<Item<T>> {
        let gives_flags = how.gives_flags();
        if node.opset < 7 && (node.has("broadcast") || node.has("axis")) {
            return Err(node
                .refuse("broadcasting by its attribute axis isn't supported: convert the model to a newer opset")
                .into());
        }
        node.ignore("consumed_inputs");
        let mut all = (0..node.proto.inputs.len()).map(|place| self.need(node, place));
        let first = all.next().ok_or_else(|| node.refuse("it has no inputs"))??;
        let others = all.collect::<Found<Vec<_>>>()?;
        others.into_iter().try_fold(first, |a, b| self.of_both(node, how, gives_flags, &a, &b))
    }

    fn of_both(&mut self, node: &Node<'f>, how: Two, gives_flags: bool, a: &Item<T>, b: &Item<T>) -> Made<Item<T>> {
        if let (Some(left), Some(right)) = (a.numbers(), b.numbers()) {
            return self.of_numbers(node, how, &left, &right);
        }
        let op = || Binary { how, left: None, right: None };
        match (a, b) {
            (Item::Known(a), Item::Known(b)) => Ok(Item::Known(self.compute(node, op(), &[a.clone(), b.clone()])?)),
            (Item::Spread { of: a, shape }, Item::Known(b)) if is_within(b, shape) => {
                let of = self.compute(node, op(), &[a.clone(), b.clone()])?;
                self.spread(node, of, shape.clone())
            }
            (Item::Known(a), Item::Spread { of: b, shape }) if is_within(a, shape) => {
                let of = self.compute(node, op(), &[a.clone(), b.clone()])?;
                self.spread(node, of, shape.clone())
            }
            (Item::Spread { of: a, shape }, Item::Spread { of: b, shape: other }) if shape == other => {
                let of = self.compute(node, op(), &[a.clone(), b.clone()])?;
                self.spread(node, of, shape.clone())
            }
            _ => {
                let kinds = [a, b].map(kind_of);
                let kind = match kinds {
                    _ if gives_flags => Kind::Bool,
                    [Some(Kind::Float), _] | [_, Some(Kind::Float)] => Kind::Float,
                    _ if how == Two::Divide => {
                        return Err(node
                            .refuse("a division of whole numbers that come from an input isn't supported")
                            .into());
                    }
                    _ => Kind::Int,
                };
                if kinds.contains(&None) {
                    return Err(node.refuse("it reads sizes that aren't known before a call").into());
                }
                if let (Two::Power, Item::Known(exponent), Item::Held(held)) = (how, b, a)
                    && let Some(function) = power_of(exponent)
                    && exponent.shape().len() <= held.axes.len()
                {
                    let tensor = self.one(node, "", Unary(function), held.tensor)?;
                    return Ok(Item::Held(Held { tensor, ..held.clone() }));
                }
                self.two(node, how, kind, a, b)
            }
        }
    }

    /// Of whole numbers, of which some may be sizes.
    fn of_numbers(&mut self, node: &Node<'f>, how: Two, a: &Numbers, b: &Numbers) -> Made<Item<T>> {
        let size = |numbers: &Numbers| (numbers.iter().len(), numbers.places.ndim());
        let longer = if size(a) >= size(b) { a } else { b };
        let count = longer.iter().len();
        let fits = |numbers: &Numbers| numbers.iter().len() == 1 || numbers.places.shape() == longer.places.shape();
        if !fits(a) || !fits(b) || count == 0 {
            return Err(node.refuse("whole numbers of these shapes aren't computed with").into());
        }
        self.charge(count)?;
        let pairs = a.iter().cycle().zip(b.iter().cycle()).take(count);
        let unknown = || node.refuse("what it gives isn't known before a call");
        if matches!(how, Two::Equal | Two::NotEqual) {
            let flags: Option<Vec<bool>> = pairs.map(|(a, b)| Some(a.equals(b)? == (how == Two::Equal))).collect();
            let flags = ArrayD::from_shape_vec(longer.places.shape(), flags.ok_or_else(unknown)?);
            return Ok(Item::Known(Value::Bool(flags.map_err(|_| unknown())?.into_shared())));
        }
        if how.gives_flags() {
            let flags: Option<Vec<bool>> =
                pairs.map(|(a, b)| Some(how.compare(&a.as_known()?, &b.as_known()?))).collect();
            let flags = ArrayD::from_shape_vec(longer.places.shape(), flags.ok_or_else(unknown)?);
            return Ok(Item::Known(Value::Bool(flags.map_err(|_| unknown())?.into_shared())));
        }
        let of = |(a, b): (&Num, &Num)| match how {
            Two::Add => a.plus(b),
            Two::Subtract => a.minus(b),
            Two::Multiply => a.times(b),
            Two::Divide => a.over(b),
            Two::Maximum => Some(Num::Known(a.as_known()?.max(b.as_known()?))),
            Two::Minimum => Some(Num::Known(a.as_known()?.min(b.as_known()?))),
            _ => None,
        };
        let table: Option<Vec<Num>> = pairs.map(of).collect();
        let table = table.ok_or_else(unknown)?;
        let places = ArrayD::from_shape_vec(longer.places.shape(), (0..count as i64).collect());
        Ok(Numbers { places: places.map_err(|_| unknown())?, table }.into_item())
    }

    pub(super) fn choose(&mut self, node: &Node<'f>) -> Made<Item<T>> {
        let items = [self.need(node, 0)?, self.need(node, 1)?, self.need(node, 2)?];
        if let (Item::Known(Value::Bool(flags)), Some(a), Some(b)) = (&items[0], items[1].numbers(), items[2].numbers())
        {
            let same = [a.places.shape(), b.places.shape()].iter().all(|shape| *shape == flags.shape());
            if same {
                self.charge(flags.len())?;
                let all = flags.iter().zip(a.iter().zip(b.iter()));
                let table: Vec<Num> = all.map(|(&flag, (a, b))| if flag { a.clone() } else { b.clone() }).collect();
                let places = ArrayD::from_shape_vec(flags.shape(), (0..table.len() as i64).collect());
                let places = places.map_err(|_| node.refuse("its inputs don't fit"))?;
                return Ok(Numbers { places, table }.into_item());
            }
        }
        self.where_of(node, items)
    }

    fn where_of(&mut self, node: &Node<'f>, items: [Item<T>; 3]) -> Made<Item<T>> {
        let known = items.iter().map(|item| if let Item::Known(value) = item { Some(value.clone()) } else { None });
        if let Some(values) = known.collect::<Option<Vec<_>>>() {
            let op = Where { condition: None, then: None, otherwise: None };
            return Ok(Item::Known(self.compute(node, op, &values)?));
        }
        let kind = match (kind_of(&items[1]), kind_of(&items[2])) {
            (Some(a), Some(b)) if a == b => a,
            _ => return Err(node.refuse("it chooses between numbers of several types, or sizes").into()),
        };
        if !items.iter().any(|item| matches!(item, Item::Held(_))) {
            return Err(node.refuse("what is spread to a size that isn't known can't be chosen from").into());
        }
        let Together { operands, stored, axes } = self.together(node, &items)?;
        let constant = |operand: &Operand<T>| match operand {
            Operand::Constant(value) => Some(Constant::of(value.clone())),
            Operand::Tensor(_) => None,
        };
        let op = Where {
            condition: constant(&operands[0]),
            then: constant(&operands[1]),
            otherwise: constant(&operands[2]),
        };
        let tensor = self.several(node, "", op, &tensors(&operands))?;
        Ok(Item::Held(Held { tensor, kind, stored, axes }))
    }

    pub(super) fn softmax(&mut self, node: &Node<'f>) -> Made<Item<T>> {
        let Item::Held(held) = self.need(node, 0)? else { return Err(node.refuse("it reads a constant").into()) };
        let rank = held.axes.len();
        let axis = node.int("axis", if node.opset < 13 { 1 } else { -1 })?;
        let axis = axis_at(axis, rank).ok_or_else(|| node.refuse(format!("there is no axis {axis}")))?;
        if node.opset < 13 && axis + 1 != rank {
            return Err(node
                .refuse("before opset 13 it is over all axes from one on: that isn't supported but for the last")
                .into());
        }
        let activation = if node.operator() == "Softmax" { Activation::Softmax } else { Activation::LogSoftmax };
        let held = self.bring_last(node, &held, axis)?;
        let tensor = self.call(node, "", AnyLayer::from(activation), &[held.tensor])?[0];
        Ok(Item::Held(Held { tensor, ..held }))
    }
}

/// Whether a constant is spread over a shape, without changing it.
fn is_within<T: Float>(value: &Value<T>, shape: &[Size]) -> bool {
    let own = value.shape();
    let mut last = own.iter().rev().zip(shape.iter().rev());
    own.len() <= shape.len() && last.all(|(&own, size)| own == 1 || size.as_known() == Some(own))
}

/// What the numbers of a value are; nothing for sizes.
pub(super) fn kind_of<T: Float>(item: &Item<T>) -> Option<Kind> {
    match item {
        Item::Held(held) => Some(held.kind),
        Item::Known(value) | Item::Spread { of: value, .. } => Some(match value {
            Value::Float(_) => Kind::Float,
            Value::Int(_) => Kind::Int,
            Value::Bool(_) => Kind::Bool,
        }),
        Item::Numbers(_) | Item::Repeated { .. } | Item::Part(_) => None,
    }
}

/// Powers that are functions by themselves.
fn power_of<T: Float>(exponent: &Value<T>) -> Option<Function> {
    let floats = exponent.floats();
    match (floats.len(), floats.first()?.into_f64()) {
        (1, 2.0) => Function::named("square"),
        (1, 0.5) => Function::named("sqrt"),
        _ => None,
    }
}

/// The activation of an operator.
fn activation(node: &Node<'_>) -> Found<Activation> {
    Ok(match node.operator() {
        "Celu" => Activation::Celu { alpha: node.float("alpha", 1.0)? },
        "Elu" => Activation::Elu { alpha: node.float("alpha", 1.0)? },
        "Exp" => Activation::Exponential,
        "Gelu" => match node.text("approximate")? {
            None | Some("none") => Activation::Gelu { approximate: false },
            Some("tanh") => Activation::Gelu { approximate: true },
            Some(other) => return Err(node.refuse(format!("its approximate must be none or tanh, found {other:?}"))),
        },
        "HardSigmoid" => Activation::HardSigmoidWith {
            slope: node.float("alpha", f64::from(0.2_f32))?,
            offset: node.float("beta", 0.5)?,
        },
        "HardSwish" => Activation::HardSilu,
        "LeakyRelu" => Activation::LeakyRelu { negative_slope: node.float("alpha", 0.01)? },
        "Mish" => Activation::Mish,
        "Relu" => Activation::Relu,
        "Selu" => {
            let (alpha, gamma) = (node.float("alpha", SELU.0)?, node.float("gamma", SELU.1)?);
            if (alpha - SELU.0).abs() > 1e-6 || (gamma - SELU.1).abs() > 1e-6 {
                return Err(node.refuse("its alpha and gamma must be their defaults"));
            }
            Activation::Selu
        }
        "Sigmoid" => Activation::Sigmoid,
        "Softplus" => Activation::Softplus,
        "Softsign" => Activation::Softsign,
        "Swish" => match node.float("alpha", 1.0)? {
            1.0 => Activation::Silu,
            _ => return Err(node.refuse("its alpha must be 1")),
        },
        "Tanh" => Activation::Tanh,
        "ThresholdedRelu" => Activation::Threshold { threshold: node.float("alpha", 1.0)?, default_value: 0.0 },
        _ => return Err(node.refuse("this operator isn't supported")),
    })
}

/// The specification's alpha and gamma.
const SELU: (f64, f64) = (1.673_263_242_354_377_2, 1.050_700_987_355_480_5);
