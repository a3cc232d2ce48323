//! Keras's preprocessing of categories: `Discretization`, `IntegerLookup`, `CategoryEncoding`.
//!
//! First each number becomes that of a category, then the categories of a row become flags or counts if they are wanted
//! so.

use std::collections::HashMap;
use std::sync::Arc;

use ndarray::ArrayD;

use crate::config::{Config, ConfigError};
use crate::error::{Error, Result};
use crate::float::Float;
use crate::graph::gradients::GradientSums;
use crate::graph::operation::{Back, Call, Flow, Operation, OverTime, Role, Which, misfit};
use crate::graph::shape::{self, Misfit, Shape};
use crate::graph::stream::{Buffer, Step};
use crate::graph::tensor::{Tensor, Value};
use crate::weights::{WeightVisitor, WeightVisitorMut};

/// What comes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// The numbers of categories.
    Int,
    /// Of each number a flag for each category.
    OneHot,
    /// Of each row a flag for each category.
    MultiHot,
    /// Of each row how often each category is there.
    Count,
    /// The same, weighed.
    TfIdf,
}

impl Encoding {
    pub(crate) const NAMES: [(&'static str, Self); 5] = [
        ("int", Encoding::Int),
        ("one_hot", Encoding::OneHot),
        ("multi_hot", Encoding::MultiHot),
        ("count", Encoding::Count),
        ("tf_idf", Encoding::TfIdf),
    ];

    pub(crate) fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, own)| *own == self).map_or("int", |(name, _)| *name)
    }
}

/// How a number becomes that of a category.
#[derive(Debug, Clone)]
pub(crate) enum Categories {
    /// It is one.
    Own,
    /// That of the interval it is in: the boundaries, which belong to what is above them.
    Bins(Arc<[f32]>),
    Lookup(Arc<Lookup>),
}

/// Numbers by a vocabulary: first the mask's place, if it has one, then places for what isn't known, then the tokens.
#[derive(Debug, Clone)]
pub(crate) struct Lookup {
    pub(crate) tokens: Vec<i64>,
    pub(crate) mask_token: Option<i64>,
    pub(crate) oov_token: i64,
    /// Places for what isn't known; none: it is refused.
    pub(crate) oov: usize,
    /// From places to tokens.
    pub(crate) invert: bool,
    pub(crate) max_tokens: Option<usize>,
    pub(crate) pad_to_max_tokens: bool,
    /// The places of tokens.
    places: HashMap<i64, i64>,
    /// Whether the mask has a place.
    mask_has_place: bool,
}

/// What [`Lookup`] is made of.
#[derive(Debug)]
pub(crate) struct Vocabulary {
    pub(crate) tokens: Vec<i64>,
    pub(crate) mask_token: Option<i64>,
    pub(crate) oov_token: i64,
    pub(crate) oov: usize,
    pub(crate) invert: bool,
    pub(crate) max_tokens: Option<usize>,
    pub(crate) pad_to_max_tokens: bool,
}

impl Lookup {
    /// Nothing if a token is there twice, or there are too many.
    pub(crate) fn new(vocabulary: Vocabulary, encoding: Encoding) -> Option<Self> {
        let Vocabulary { mut tokens, mask_token, oov_token, oov, invert, max_tokens, pad_to_max_tokens } = vocabulary;
        let mask_has_place = mask_token.is_some() && encoding == Encoding::Int;
        let special: Vec<i64> = mask_token
            .filter(|_| mask_has_place)
            .into_iter()
            .chain(std::iter::repeat_n(oov_token, oov.min(tokens.len())))
            .collect();
        let first = oov.checked_add(usize::from(mask_has_place))?;
        if special.len() == first && tokens.starts_with(&special) {
            tokens.drain(..first);
        }
        let count = first.checked_add(tokens.len())?;
        let place = |(at, &token): (usize, &i64)| Some((token, i64::try_from(first + at).ok()?));
        let places: HashMap<i64, i64> = tokens.iter().enumerate().map(place).collect::<Option<_>>()?;
        let is_special = |token: &i64| mask_token == Some(*token) || invert && *token == oov_token;
        let fits = places.len() == tokens.len() && !tokens.iter().any(is_special) && !tokens.is_empty();
        let small = max_tokens.is_none_or(|most| count <= most) && !(pad_to_max_tokens && max_tokens.is_none());
        (fits && small).then_some(Lookup {
            tokens,
            mask_token,
            oov_token,
            oov,
            invert,
            max_tokens,
            pad_to_max_tokens,
            places,
            mask_has_place,
        })
    }

    /// Places before the tokens.
    fn first(&self) -> usize {
        self.oov + usize::from(self.mask_has_place)
    }

    /// The width of flags and counts.
    pub(crate) fn depth(&self) -> usize {
        let padded = self.max_tokens.filter(|_| self.pad_to_max_tokens);
        padded.unwrap_or_else(|| self.first() + self.tokens.len())
    }

    /// The place of a token, or the token at a place.
    fn of(&self, number: i64) -> Result<i64> {
        if self.invert {
            if let (Some(mask), 0) = (self.mask_token, number) {
                return Ok(mask);
            }
            let at = usize::try_from(number).ok().and_then(|at| at.checked_sub(self.first()));
            return Ok(at.and_then(|at| self.tokens.get(at).copied()).unwrap_or(self.oov_token));
        }
        if self.mask_token == Some(number) {
            // Without a place it isn't counted.
            return Ok(if self.mask_has_place { 0 } else { i64::MAX });
        }
        match (self.places.get(&number), self.oov) {
            (Some(&place), _) => Ok(place),
            (None, 0) => Err(refused("a token of the vocabulary", number)),
            (None, oov) => {
                let bucket = if oov == 1 { 0 } else { number.rem_euclid(i64::try_from(oov).unwrap_or(i64::MAX)) };
                Ok(bucket + i64::from(self.mask_has_place))
            }
        }
    }
}

fn refused(expected: &str, number: i64) -> Error {
    Error::ModelCall { layer: String::new(), expected: expected.into(), given: number.to_string() }
}

/// A layer that makes categories of numbers.
#[derive(Debug, Clone)]
pub(crate) struct Category<T> {
    pub(crate) categories: Categories,
    pub(crate) encoding: Encoding,
    /// The width of flags and counts.
    pub(crate) depth: usize,
    /// Of [`Encoding::TfIdf`], one for each category.
    pub(crate) idf: Option<ArrayD<T>>,
}

/// What goes in, of a whole run and of a step.
enum Numbers<'x, T> {
    Value(&'x Value<T>),
    Buffer(&'x Buffer<T>),
}

impl<T: Float> Category<T> {
    fn category(&self, float: f64, integer: i64) -> Result<i64> {
        match &self.categories {
            Categories::Own => Ok(integer),
            // Behind all of them that aren't above it: a NaN behind all.
            Categories::Bins(bounds) => {
                Ok(bounds.partition_point(|&bound| float.is_nan() || float >= f64::from(bound)) as i64)
            }
            Categories::Lookup(lookup) => lookup.of(integer),
        }
    }

    /// Calls `each` with the category of each number.
    fn each(&self, numbers: &Numbers<'_, T>, mut each: impl FnMut(usize, i64) -> Result<()>) -> Result<()> {
        let mut result = Ok(());
        let mut next = |at: usize, float: f64, integer: i64| {
            if result.is_ok() {
                result = self.category(float, integer).and_then(|category| each(at, category));
            }
        };
        let floats = matches!(self.categories, Categories::Bins(_));
        match (numbers, floats) {
            (Numbers::Value(value), true) => {
                value.floats().iter().enumerate().for_each(|(at, x)| next(at, x.into_f64(), 0));
            }
            (Numbers::Value(value), false) => {
                value.integers().iter().enumerate().for_each(|(at, &id)| next(at, 0.0, id));
            }
            (Numbers::Buffer(buffer), true) => buffer.each_float(|at, x| next(at, x.into_f64(), 0)),
            (Numbers::Buffer(buffer), false) => buffer.each_integer(|at, id| next(at, 0.0, id)),
        }
        result
    }

    /// Flags and counts; `width` numbers go into each row of them.
    fn encode(&self, numbers: &Numbers<'_, T>, width: usize, to: &mut [T]) -> Result<()> {
        let (depth, one_hot) = (self.depth, self.encoding == Encoding::OneHot);
        to.fill(T::zero());
        self.each(numbers, |at, category| {
            let Ok(place) = usize::try_from(category) else {
                return if one_hot { Ok(()) } else { Err(refused("categories of at least 0", category)) };
            };
            if place < depth {
                let row = if one_hot { at } else { at / width };
                let to = &mut to[row * depth + place];
                *to =
                    if matches!(self.encoding, Encoding::Count | Encoding::TfIdf) { *to + T::one() } else { T::one() };
            }
            Ok(())
        })?;
        if let Some(idf) = &self.idf {
            for row in to.chunks_exact_mut(depth.max(1)) {
                row.iter_mut().zip(idf).for_each(|(count, &weight)| *count *= weight);
            }
        }
        Ok(())
    }

    fn shape(&self, x: &[Option<usize>]) -> Option<Shape> {
        let depth = Some(self.depth);
        match (self.encoding, x) {
            (Encoding::Int, x) => Some(x.to_vec()),
            (Encoding::OneHot, [first @ .., Some(1)]) if !first.is_empty() => Some([first, &[depth]].concat()),
            // Whether it is one can't be known.
            (Encoding::OneHot, [_, .., None]) => None,
            (Encoding::OneHot, x) => Some([x, &[depth]].concat()),
            (_, [batch, _]) => Some(vec![*batch, depth]),
            _ => None,
        }
    }
}

impl<T: Float> Operation<T> for Category<T> {
    fn boxed_clone(&self) -> Box<dyn Operation<T>> {
        Box::new(self.clone())
    }

    fn describe(&self) -> std::result::Result<Config, ConfigError> {
        let config = match &self.categories {
            Categories::Own => Config::new("CategoryEncoding").with("num_tokens", self.depth),
            Categories::Bins(bounds) => {
                let bounds = bounds.iter().map(|&bound| f64::from(bound)).collect::<Vec<_>>();
                Config::new("Discretization").with("bin_boundaries", bounds)
            }
            Categories::Lookup(lookup) => Config::new("IntegerLookup")
                .with("vocabulary", lookup.tokens.clone())
                .with("mask_token", lookup.mask_token)
                .with("oov_token", lookup.oov_token)
                .with("num_oov_indices", lookup.oov)
                .with("invert", lookup.invert)
                .with("max_tokens", lookup.max_tokens)
                .with("pad_to_max_tokens", lookup.pad_to_max_tokens),
        };
        Ok(config.with("output_mode", self.encoding.name()))
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, Misfit> {
        let x = shape::only(inputs)?;
        match self.shape(x) {
            Some(shape) => Ok(vec![shape]),
            None if self.encoding == Encoding::OneHot => shape::misfit("a last dimension that is known", inputs),
            None => shape::misfit("(batch, numbers): flags or counts of each row", inputs),
        }
    }

    fn run(&self, inputs: &[&Tensor<T>], call: Call<'_, T>) -> Result<Vec<Tensor<T>>> {
        let x = &inputs[0].value;
        let numbers = Numbers::Value(x);
        if self.encoding == Encoding::Int {
            let mut out = ArrayD::zeros(x.shape());
            let to: &mut [i64] = out.as_slice_mut().ok_or_else(misfit)?;
            self.each(&numbers, |at, category| {
                to[at] = category;
                Ok(())
            })?;
            return call.passing(Value::Int(out.into_shared()));
        }
        let shape = self.shape(&shape::known(x.shape())).ok_or_else(misfit)?;
        let shape: Vec<usize> = shape.into_iter().map(|size| size.unwrap_or(1)).collect();
        let mut out = ArrayD::zeros(shape);
        let width = x.shape().last().copied().unwrap_or(1).max(1);
        self.encode(&numbers, width, out.as_slice_mut().ok_or_else(misfit)?)?;
        call.passing(Value::Float(out.into_shared()))
    }

    /// Categories have no gradient.
    fn backward(&self, _back: Back<'_, T>, _sums: GradientSums<'_, T>) -> Result<Vec<Flow<T>>> {
        Ok(vec![None])
    }

    fn step(&self, mut step: Step<'_, T>) -> Result<()> {
        let input = step.input(0);
        let numbers = Numbers::Buffer(input);
        if self.encoding == Encoding::Int {
            let to = step.output().as_integers()?;
            return self.each(&numbers, |at, category| {
                to[at] = category;
                Ok(())
            });
        }
        let width = input.shape().last().copied().unwrap_or(1).max(1);
        self.encode(&numbers, width, step.output().as_floats()?)
    }

    fn visit_weights<'a>(&'a self, which: Which, visitor: &mut WeightVisitor<'_, 'a, T>) {
        if let (Some(idf), Which::All) = (&self.idf, which) {
            visitor.weight("idf_weights", idf);
        }
    }

    fn visit_weights_mut(&mut self, which: Which, visitor: &mut WeightVisitorMut<'_, T>) -> Result<()> {
        if let (Some(idf), Which::All) = (&mut self.idf, which) {
            visitor.weight("idf_weights", idf);
        }
        Ok(())
    }

    /// What weighs the tokens is no variable of the layer in Keras.
    fn weights_count(&self) -> bool {
        false
    }

    /// Flags of (batch, numbers) are one row's: the numbers of a step wouldn't be.
    fn over_time(&self, ranks: &[usize]) -> OverTime {
        match self.encoding {
            Encoding::Int => OverTime::Alone,
            Encoding::OneHot if ranks.first().is_some_and(|&rank| rank > 2) => OverTime::Alone,
            _ => OverTime::Whole,
        }
    }

    fn role(&self) -> Role<'_, T> {
        if self.encoding == Encoding::Int { Role::Ids } else { Role::Plain }
    }
}
