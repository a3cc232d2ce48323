//! What a call of an operation says besides tensors: constants, indices, axes.

use std::cell::RefCell;

use super::super::identity::Identity;
use super::super::json::Json;
use super::Reading;
use crate::float::Float;
use crate::formats::error::{Found, Problem};
use crate::graph::ops::constant::{Constant, Operand};

/// An argument of a call of an operation.
#[derive(Debug, Clone)]
pub(in super::super) struct Argument<'a> {
    pub(in super::super) name: &'a str,
    pub(in super::super) says: Says<'a>,
}

/// What an argument says.
#[derive(Debug, Clone)]
pub(in super::super) enum Says<'a> {
    /// Tensors, which are among the call's inputs; several of them in a list.
    Tensors,
    /// Anything else.
    Constant(Json<'a>),
}

/// The arguments of a call, each taken by its name.
#[derive(Debug, Default)]
pub(super) struct Arguments<'a> {
    all: Vec<Argument<'a>>,
    taken: RefCell<Vec<&'a str>>,
}

impl<'a> Arguments<'a> {
    pub(super) fn new(all: Vec<Argument<'a>>) -> Self {
        Arguments { all, taken: RefCell::default() }
    }

    fn constant(&self, name: &str) -> Option<Json<'a>> {
        let argument = self.all.iter().find(|argument| argument.name == name)?;
        let Says::Constant(json) = &argument.says else { return None };
        self.taken.borrow_mut().push(argument.name);
        Some(json.clone())
    }

    /// Whether tensors are among the arguments under this name.
    pub(super) fn reads(&self, name: &str) -> bool {
        self.all.iter().any(|argument| argument.name == name && matches!(argument.says, Says::Tensors))
    }

    /// A constant that nobody took.
    pub(super) fn left(&self) -> Option<&Argument<'a>> {
        let taken = self.taken.borrow();
        let constant = |argument: &&Argument<'a>| match &argument.says {
            Says::Constant(json) => !json.is_null() && !taken.contains(&argument.name),
            Says::Tensors => false,
        };
        self.all.iter().find(constant)
    }
}

/// Whether two calls of an operation are the same but for their tensors.
pub(in super::super) fn same(one: &[Argument<'_>], other: &[Argument<'_>]) -> bool {
    let says = |(one, other): (&Argument<'_>, &Argument<'_>)| {
        one.name == other.name
            && match (&one.says, &other.says) {
                (Says::Tensors, Says::Tensors) => true,
                (Says::Constant(one), Says::Constant(other)) => one.says(other),
                _ => false,
            }
    };
    one.len() == other.len() && one.iter().zip(other).all(says)
}

/// The types that integers of a model may have.
const INTEGERS: [&str; 7] = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32"];

const NUMBERS: &str = "a number, or an array of numbers or flags";

impl<'e> Reading<'e, '_> {
    /// What an option of the operation, or an argument of its call, says; nothing if it is null or absent.
    pub(super) fn says(&self, name: &'static str) -> Option<Json<'e>> {
        // An operation of TensorFlow is a layer whose own options are none of the function's.
        let legacy = matches!(self.fields.owner().class, "TFOpLambda" | "SlicingOpLambda");
        let option = || if legacy { None } else { self.fields.take(name) };
        self.arguments.constant(name).or_else(option).and_then(Json::given)
    }

    /// The same of an option that Keras 3 writes of each operation, null or not: it may not be left out. TensorFlow's
    /// arguments, and those of a layer's call, are left out where they aren't given.
    pub(super) fn stated(&self, name: &'static str) -> Found<Option<Json<'e>>> {
        let said = self.says(name);
        match self.arguments.constant(name).is_some() || self.fields.has(name) || !self.of_keras_3() {
            true => Ok(said),
            false => Err(self.fields.absent(name, "a value or null")),
        }
    }

    /// Refuses null where Keras 3 means all elements by it, those of all rows among them.
    pub(super) fn has_axis(&self) -> Found<()> {
        if !self.of_keras_3() || self.says("axis").is_some() {
            return Ok(());
        }
        match self.arguments.constant("axis").or_else(|| self.fields.take("axis")) {
            Some(null) => Err(null.unsupported("it would go over all rows of the batch: name an axis")),
            None => Ok(()),
        }
    }

    /// Whether it is an operation of Keras 3.
    fn of_keras_3(&self) -> bool {
        !self.arguments.all.is_empty() && !self.fields.has("function") && !self.fields.has("trainable")
    }

    pub(super) fn number_said(&self, name: &'static str) -> Found<Option<f64>> {
        self.stated(name)?.map(|json| json.number()).transpose()
    }

    pub(super) fn flag_said(&self, name: &'static str) -> Found<bool> {
        self.stated(name)?.map_or(Ok(false), |json| json.flag())
    }

    pub(super) fn integer_said(&self, name: &'static str) -> Found<Option<i64>> {
        self.stated(name)?.map(|json| json.integer()).transpose()
    }

    /// A whole number or a list of them; nothing if it isn't said.
    pub(super) fn integers_said(&self, name: &'static str) -> Found<Option<Vec<i64>>> {
        self.stated(name)?.map(|json| json.integers()).transpose()
    }

    /// What must be said.
    pub(super) fn must_say(&self, name: &'static str, expected: &str) -> Found<Json<'e>> {
        self.says(name).ok_or_else(|| self.fields.absent(name, expected))
    }

    /// What the operation reads at this place: an input, or a constant.
    pub(super) fn operand<T: Float>(&self, name: &'static str) -> Found<Operand<T>> {
        match self.arguments.all.iter().find(|argument| argument.name == name) {
            Some(Argument { says: Says::Tensors, .. }) => Ok(None),
            _ => constant(&self.must_say(name, NUMBERS)?).map(Some),
        }
    }

    /// The refusal of an argument.
    pub(super) fn unsupported_argument(&self, argument: &Argument<'_>, reason: &'static str) -> Problem {
        let value = match &argument.says {
            Says::Tensors => "a tensor".into(),
            Says::Constant(json) => json.show(),
        };
        let (layer, class) = (self.path().into(), self.fields.owner().class.into());
        Problem::UnsupportedOption { layer, class, option: format!("call argument {}", argument.name), value, reason }
    }
}

/// A constant: a number, a flag, nested lists of them, or such a list with its type.
pub(super) fn constant<T: Float>(json: &Json<'_>) -> Found<Constant<T>> {
    if !json.is_object() {
        let mut numbers = Numbers::default();
        let shape = numbers.read(json)?;
        let made = match () {
            () if numbers.flags == numbers.all.len() && numbers.flags > 0 => Constant::flags(&shape, &numbers.all),
            () if numbers.whole == numbers.all.len() => Constant::integers(&shape, &numbers.all),
            () => Constant::floats(&shape, &numbers.all),
        };
        return made.ok_or_else(|| json.wrong(NUMBERS));
    }
    json.fields(NUMBERS, |fields| {
        let class = Identity::take(fields)?.class;
        if !matches!(class, "__numpy__" | "__tensor__") {
            return Err(json.wrong(NUMBERS));
        }
        fields.need("config", NUMBERS)?.fields(NUMBERS, |fields| {
            let mut numbers = Numbers::default();
            let shape = numbers.read(&fields.need("value", NUMBERS)?)?;
            let dtype = fields.need("dtype", "a type's name")?;
            let made = match dtype.text("a type's name")? {
                "bool" => Constant::flags(&shape, &numbers.all),
                "float32" | "float64" => Constant::floats(&shape, &numbers.all),
                name if INTEGERS.contains(&name) => Constant::integers(&shape, &numbers.all),
                _ => return Err(dtype.unsupported("constants of float32, float64, whole numbers and flags are read")),
            };
            made.ok_or_else(|| json.wrong(NUMBERS))
        })
    })
}

/// Numbers in row order.
#[derive(Debug, Default)]
struct Numbers {
    all: Vec<f64>,
    /// How many of them are flags, and how many whole.
    flags: usize,
    whole: usize,
}

impl Numbers {
    /// The shape of nested lists, all of one length.
    fn read(&mut self, json: &Json<'_>) -> Found<Vec<usize>> {
        if json.is_list() {
            let list = json.list(NUMBERS)?;
            let mut inner: Option<Vec<usize>> = None;
            for item in &list {
                let shape = self.read(item)?;
                if inner.as_ref().is_some_and(|inner| *inner != shape) || shape.len() > 8 {
                    return Err(json.wrong("lists of one length"));
                }
                inner = Some(shape);
            }
            return Ok([vec![list.len()], inner.unwrap_or_default()].concat());
        }
        if let Ok(flag) = json.flag() {
            self.flags += 1;
            self.whole += 1;
            self.all.push(f64::from(u8::from(flag)));
            return Ok(vec![]);
        }
        if let Ok(whole) = json.integer() {
            if (whole as f64) as i128 != i128::from(whole) {
                return Err(json.wrong("a whole number of less than 54 bits"));
            }
            self.whole += 1;
            self.all.push(whole as f64);
            return Ok(vec![]);
        }
        self.all.push(json.any_number()?);
        Ok(vec![])
    }
}
