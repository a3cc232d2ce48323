//! Operations on each element: of one value, of two, of three.

use super::{Call, Outputs};
use crate::config::Value;
use crate::float::Float;
use crate::formats::onnx::write::graph::{Attribute, Held, Kind, types};
use crate::formats::onnx::write::words::{Words, activation, number};
use crate::formats::onnx::write::writer::{HINT, Writer};
use crate::formats::save_error::SaveError;

pub(super) const CLASSES: [&str; 12] = [
    "Elementwise",
    "OfTwo",
    "Where",
    "Cast",
    "FullLike",
    "OneHot",
    "NotEqual",
    "LogicalOr",
    "OnesLike",
    "ZerosLike",
    "Rescaling",
    "BroadcastTo",
];

type Made = Result<Held, SaveError>;

/// Functions of floats that ONNX has, too.
const FUNCTIONS: [(&str, &str); 7] = [
    ("sqrt", "Sqrt"),
    ("reciprocal", "Reciprocal"),
    ("log", "Log"),
    ("erf", "Erf"),
    ("floor", "Floor"),
    ("ceil", "Ceil"),
    ("round", "Round"),
];

/// The same of two flags.
const LOGICAL: [(&str, &str); 3] = [("logical_and", "And"), ("logical_or", "Or"), ("logical_xor", "Xor")];

/// The same of two numbers.
const OF_TWO: [(&str, &str); 12] = [
    ("add", "Add"),
    ("subtract", "Sub"),
    ("multiply", "Mul"),
    ("divide", "Div"),
    ("power", "Pow"),
    ("maximum", "Max"),
    ("minimum", "Min"),
    ("equal", "Equal"),
    ("greater", "Greater"),
    ("greater_equal", "GreaterOrEqual"),
    ("less", "Less"),
    ("less_equal", "LessOrEqual"),
];

impl<T: Float> Writer<T> {
    pub(super) fn elementwise(&mut self, words: Words<'_>, call: &Call) -> Outputs {
        let x = call.x();
        Ok(vec![match words.class() {
            "Elementwise" => self.function(words, &x)?,
            "OfTwo" => self.of_two(words, call)?,
            "Where" => self.where_(words, call)?,
            "Cast" => self.cast_to(&x, words.text("to")),
            "FullLike" => {
                let kind = match words.text("of") {
                    "" => x.kind,
                    "int" => Kind::Int,
                    "bool" => Kind::Bool,
                    _ => Kind::Float,
                };
                self.full_like(&x, words.number("number"), kind)
            }
            "OneHot" => self.one_hot(words, &x),
            "NotEqual" => {
                let number = words.number("number");
                let x = if x.kind == Kind::Bool { self.cast(&x, Kind::Int) } else { x };
                if x.kind == Kind::Int && number.fract() != 0.0 {
                    return Ok(vec![self.full_like(&x, 1.0, Kind::Bool)]);
                }
                let number = self.like(&x, number);
                let same = self.two("Equal", &x, &number);
                self.same("Not", &same, &[])
            }
            "LogicalOr" => {
                let flags: Vec<Held> = call.inputs.iter().map(|input| self.as_flags(input)).collect();
                self.folded("Or", &flags)
            }
            "OnesLike" | "ZerosLike" => {
                self.full_like(&x, f64::from(u8::from(words.class() == "OnesLike")), Kind::Bool)
            }
            "Rescaling" => {
                let x = self.as_floats(&x);
                let mut constant = |name: &str| self.operand(words.get(name)).map(|held| self.as_floats(&held));
                let (Some(scale), Some(offset)) = (constant("scale"), constant("offset")) else {
                    return Err(self.refuse(HINT));
                };
                let scaled = self.two("Mul", &x, &scale);
                return call.passing(self.two("Add", &scaled, &offset));
            }
            "BroadcastTo" => {
                let sizes = self.list(&words.integers("shape"));
                self.expand(&x, &sizes, call.shape())
            }
            _ => return Err(self.refuse("it isn't written as ONNX; recurrent::file::save writes it")),
        }])
    }

    /// A function of each element.
    fn function(&mut self, words: Words<'_>, x: &Held) -> Made {
        let name = words.text("function");
        if name == "activation" {
            let activation = activation(words.get("activation")).ok_or_else(|| self.refuse(HINT))?;
            return self.activation(x, &activation);
        }
        if name == "clip" {
            let (min, max) = (words.number("min"), words.number("max"));
            let whole = |bound: f64| bound.is_infinite() || bound.fract() == 0.0;
            let x = if x.kind == Kind::Int && whole(min) && whole(max) { x.clone() } else { self.as_floats(x) };
            return Ok(self.clip(&x, min, max));
        }
        if name == "logical_not" {
            let flags = self.as_flags(x);
            return Ok(self.same("Not", &flags, &[]));
        }
        // Whole numbers stay what they are.
        let number = if x.kind == Kind::Int { x.clone() } else { self.as_floats(x) };
        match name {
            "negative" => return Ok(self.same("Neg", &number, &[])),
            "absolute" => return Ok(self.same("Abs", &number, &[])),
            "sign" => return Ok(self.same("Sign", &number, &[])),
            "square" => return Ok(self.two("Mul", &number, &number)),
            _ => {}
        }
        let x = self.as_floats(x);
        if let Some((_, operator)) = FUNCTIONS.iter().find(|(own, _)| *own == name) {
            return Ok(self.same(operator, &x, &[]));
        }
        self.composed_function(name, &x)
    }

    /// A function that is several of ONNX's operators.
    fn composed_function(&mut self, name: &str, x: &Held) -> Made {
        Ok(match name {
            "rsqrt" => {
                let root = self.same("Sqrt", x, &[]);
                self.same("Reciprocal", &root, &[])
            }
            "log1p" => {
                let sum = self.with_number("Add", x, 1.0);
                self.same("Log", &sum, &[])
            }
            "expm1" => {
                let power = self.same("Exp", x, &[]);
                self.with_number("Sub", &power, 1.0)
            }
            "isnan" => self.flags_by("IsNaN", x),
            "isinf" => self.flags_by("IsInf", x),
            "isfinite" => {
                let (nan, infinite) = (self.flags_by("IsNaN", x), self.flags_by("IsInf", x));
                let either = self.two("Or", &nan, &infinite);
                self.same("Not", &either, &[])
            }
            other => return Err(self.refuse_option("function", other, HINT)),
        })
    }

    fn flags_by(&mut self, operator: &str, x: &Held) -> Held {
        Held { kind: Kind::Bool, ..self.same(operator, x, &[]) }
    }

    /// A constant among what is read.
    pub(super) fn operand(&mut self, value: &Value) -> Option<Held> {
        let Value::Config(config) = value else { return None };
        let words = Words(config);
        let shape: Vec<usize> = words.list("shape").iter().filter_map(number).map(|size| size as usize).collect();
        let numbers = words.numbers("numbers");
        Some(match words.text("kind") {
            "int" => self.integers(&shape, &numbers.iter().map(|&number| number as i64).collect::<Vec<_>>()),
            "bool" => self.flags(&shape, &numbers.iter().map(|&number| number != 0.0).collect::<Vec<_>>()),
            _ => self.floats("constant", &shape, numbers.into_iter().map(T::from_f64)),
        })
    }

    /// What stands at these places: constants, and the inputs in order.
    pub(super) fn operands(&mut self, words: Words<'_>, names: &[&str], call: &Call) -> Result<Vec<Held>, SaveError> {
        let mut inputs = call.inputs.iter();
        let each = names.iter().map(|name| match self.operand(words.get(name)) {
            Some(constant) => Ok(constant),
            None => inputs.next().cloned().ok_or_else(|| self.refuse(HINT)),
        });
        each.collect()
    }

    fn of_two(&mut self, words: Words<'_>, call: &Call) -> Made {
        let all = self.operands(words, &["left", "right"], call)?;
        let [a, b] = &all[..] else { return Err(self.refuse(HINT)) };
        let name = words.text("function");
        if let Some((_, operator)) = LOGICAL.iter().find(|(own, _)| *own == name) {
            let (a, b) = (self.as_flags(a), self.as_flags(b));
            return Ok(self.two(operator, &a, &b));
        }
        let both = match (a.kind, b.kind) {
            (Kind::Float, _) | (_, Kind::Float) => Kind::Float,
            _ => Kind::Int,
        };
        let floats = matches!(name, "divide" | "divide_no_nan");
        let both = if floats { Kind::Float } else { both };
        let (a, b) = (self.cast(a, both), self.cast(b, both));
        if let Some((_, operator)) = OF_TWO.iter().find(|(own, _)| *own == name) {
            return Ok(self.two(operator, &a, &b));
        }
        self.composed_of_two(name, &a, &b)
    }

    /// A function of two that is several of ONNX's operators.
    fn composed_of_two(&mut self, name: &str, a: &Held, b: &Held) -> Made {
        Ok(match name {
            "not_equal" => {
                let same = self.two("Equal", a, b);
                self.same("Not", &same, &[])
            }
            "squared_difference" => {
                let difference = self.two("Sub", a, b);
                self.two("Mul", &difference, &difference)
            }
            "divide_no_nan" => {
                let (quotient, zero) = (self.two("Div", a, b), self.number(0.0));
                let none = self.two("Equal", b, &zero);
                self.choose(&none, &zero, &quotient)
            }
            "floor_divide" if a.kind == Kind::Float => {
                let quotient = self.two("Div", a, b);
                self.same("Floor", &quotient, &[])
            }
            // With the divisor's sign, as Python has it.
            "mod" if a.kind == Kind::Int => self.two("Mod", a, b),
            "mod" => {
                let quotient = self.two("Div", a, b);
                let whole = self.same("Floor", &quotient, &[]);
                let product = self.two("Mul", &whole, b);
                self.two("Sub", a, &product)
            }
            other => return Err(self.refuse_option("function", other, HINT)),
        })
    }

    fn where_(&mut self, words: Words<'_>, call: &Call) -> Made {
        let all = self.operands(words, &["condition", "then", "otherwise"], call)?;
        let [condition, then, otherwise] = &all[..] else { return Err(self.refuse(HINT)) };
        let kind = match (then.kind, otherwise.kind) {
            (Kind::Float, _) | (_, Kind::Float) => Kind::Float,
            (Kind::Bool, Kind::Bool) => Kind::Bool,
            _ => Kind::Int,
        };
        let (condition, then, otherwise) =
            (self.as_flags(condition), self.cast(then, kind), self.cast(otherwise, kind));
        Ok(self.choose(&condition, &then, &otherwise))
    }

    fn cast_to(&mut self, x: &Held, to: &str) -> Held {
        match to {
            "int" if x.kind != Kind::Int => self.cast(x, Kind::Int),
            "bool" if x.kind != Kind::Bool => self.cast(x, Kind::Bool),
            "through_f32" if self.is_double() => {
                let narrow = self.one("Cast", &[&x.name], &[("to", Attribute::Int(types::FLOAT))]);
                let wide = self.one("Cast", &[&narrow], &[("to", Attribute::Int(types::DOUBLE))]);
                Held::new(wide, Kind::Float, x.shape.clone())
            }
            // What is of the type goes on as it is, with its mask.
            "int" | "bool" => x.clone(),
            _ if x.kind == Kind::Float => x.clone(),
            _ => self.cast(x, Kind::Float),
        }
    }

    /// A number of the kind of a value.
    fn like(&mut self, x: &Held, number: f64) -> Held {
        match x.kind {
            Kind::Float => self.number(number),
            Kind::Int => self.integer(number as i64),
            Kind::Bool => self.flags(&[], &[number != 0.0]),
        }
    }

    fn full_like(&mut self, x: &Held, number: f64, kind: Kind) -> Held {
        let of = Held::new(String::new(), kind, vec![]);
        let number = self.like(&of, number);
        let shape = self.shape_of(x);
        self.expand(&number, &shape.name, x.shape.clone())
    }

    fn one_hot(&mut self, words: Words<'_>, x: &Held) -> Held {
        let ids = self.cast(x, Kind::Int);
        let rank = x.rank() + 1;
        let axis = words.integer("axis");
        let axis = usize::try_from(if axis < 0 { axis + rank as i64 } else { axis }).unwrap_or(0).min(x.rank());
        let mut shape = vec![1; rank];
        shape[axis] = words.size("classes");
        let classes = self.integers(&shape, &(0..words.integer("classes")).collect::<Vec<_>>());
        let ids = self.unsqueeze(&ids, axis);
        let hot = self.two("Equal", &ids, &classes);
        let (on, off) = (self.number(words.number("on")), self.number(words.number("off")));
        self.choose(&hot, &on, &off)
    }

    /// An operator on all of several values, one after another.
    pub(super) fn folded(&mut self, operator: &str, all: &[Held]) -> Held {
        let mut all = all.iter();
        let first = all.next().cloned().unwrap_or_else(|| Held::new(String::new(), Kind::Float, vec![]));
        all.fold(first, |sum, next| self.two(operator, &sum, next))
    }
}
