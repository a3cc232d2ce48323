//! What flows through a model: arrays of floats, integers or flags, with the masks that Keras attaches to them.

use ndarray::{ArcArray, Array, ArrayBase, ArrayD, ArrayRef, ArrayView, ArrayViewD, Axis, Data, Dimension, IxDyn};

use super::operation::mismatch;
use super::rows::cut;
use crate::error::Result;
use crate::float::Float;
use crate::memory::{self, MemoryNeeds};

/// One input of a [`Model`](super::Model), made by `into()` from whatever [`forward`](crate::Layer::forward) takes, of
/// any dimension: `&Array`, a view, `&` of a view (a slice by `s![]`, for one), `&ArrayRef`. The elements are floats of
/// the model's type, integers of any type (ids), or flags.
///
/// What the model's input layer declares is what it gets, as in Keras: integers become floats, floats are truncated to
/// integers.
///
/// ```
/// use ndarray::prelude::*;
/// use recurrent::model::Input;
/// let x = Array3::<f32>::ones((4, 5, 3));
/// let (some, ids) = (x.slice(s![1..3, .., ..]), array![[3, 1, 4]]);
/// let inputs: [Input<'_, f32>; 4] = [(&x).into(), x.view().into(), (&some).into(), (&ids).into()];
/// assert_eq!(inputs[2].shape(), [2, 5, 3]);
/// ```
#[derive(Debug, Clone)]
pub struct Input<'a, T>(pub(super) Given<'a, T>);

/// An input as it was given.
#[derive(Debug, Clone)]
pub(super) enum Given<'a, T> {
    Float(ArrayViewD<'a, T>),
    Int(Integers<'a>),
    Bool(ArrayViewD<'a, bool>),
}

impl<T: Float> Given<'_, T> {
    /// Each value as a float, with its place in row order.
    pub(super) fn each_float(&self, mut each: impl FnMut(usize, T)) {
        match self {
            Given::Float(array) => in_order(array, each),
            Given::Int(array) => array.each(|at, id| each(at, T::from_f64(id as f64))),
            Given::Bool(array) => in_order(array, |at, flag| each(at, if flag { T::one() } else { T::zero() })),
        }
    }

    /// Each value as an integer, with its place.
    pub(super) fn each_integer(&self, mut each: impl FnMut(usize, i64)) {
        match self {
            Given::Float(array) => in_order(array, |at, x| each(at, whole(x.into_f64()))),
            Given::Int(array) => array.each(each),
            Given::Bool(array) => in_order(array, |at, flag| each(at, flag.into())),
        }
    }

    /// Whether each value isn't zero, with its place.
    pub(super) fn each_flag(&self, mut each: impl FnMut(usize, bool)) {
        match self {
            Given::Float(array) => in_order(array, |at, x| each(at, x != T::zero())),
            Given::Int(array) => array.each(|at, id| each(at, id != 0)),
            Given::Bool(array) => in_order(array, each),
        }
    }
}

/// Each value with its place in row order. Most arrays stand in that order already, and an iterator over any axes would be
/// many times slower.
pub(super) fn in_order<A: Copy>(array: &ArrayRef<A, IxDyn>, mut each: impl FnMut(usize, A)) {
    match array.as_slice() {
        Some(values) => values.iter().enumerate().for_each(|(at, &value)| each(at, value)),
        None => array.iter().enumerate().for_each(|(at, &value)| each(at, value)),
    }
}

/// A number truncated to an integer as TensorFlow casts it; what has no integer is -1, which is no id.
pub(super) fn whole(value: f64) -> i64 {
    if value.is_nan() { -1 } else { value as i64 }
}

impl<T> Input<'_, T> {
    /// The shape, the batch first.
    pub fn shape(&self) -> &[usize] {
        match &self.0 {
            Given::Float(array) => array.shape(),
            Given::Int(array) => array.shape(),
            Given::Bool(array) => array.shape(),
        }
    }
}

impl<T: Float> Input<'_, T> {
    /// Checks that there is room for what a model makes of these: a copy of each, and what its type is made of it.
    pub(super) fn check_room(inputs: &[Self]) -> Result<()> {
        let mut needs = MemoryNeeds::default();
        for input in inputs {
            (0..2).for_each(|_| needs.array::<i64>(input.shape()));
        }
        let largest = inputs.iter().map(Input::shape).max_by_key(|shape| memory::product(shape));
        needs.check(largest.unwrap_or(&[]))
    }

    /// The array as a model's own.
    pub(crate) fn value(&self) -> Value<T> {
        match &self.0 {
            Given::Float(array) => Value::Float(array.to_owned().into_shared()),
            Given::Int(array) => Value::Int(array.to_owned().into_shared()),
            Given::Bool(array) => Value::Bool(array.to_owned().into_shared()),
        }
    }
}

/// What the arrays of an [`Input`] may hold, for a model that computes in `T`.
#[diagnostic::on_unimplemented(
    message = "a model of `{T}` has no input of `{Self}`",
    note = "floats are of the model's own type: convert with `array.mapv(f32::from)`, `mapv(f64::from)` or `mapv(|x| x as f32)`"
)]
pub trait InputElement<T>: Sized {
    #[doc(hidden)]
    fn given<D: Dimension>(array: ArrayView<'_, Self, D>) -> Input<'_, T>;
}

impl<T: Float> InputElement<T> for T {
    fn given<D: Dimension>(array: ArrayView<'_, Self, D>) -> Input<'_, T> {
        Input(Given::Float(array.into_dyn()))
    }
}

impl<T: Float> InputElement<T> for bool {
    fn given<D: Dimension>(array: ArrayView<'_, Self, D>) -> Input<'_, T> {
        Input(Given::Bool(array.into_dyn()))
    }
}

macro_rules! integers {
    ($($integer:ty, $name:ident;)*) => {
        /// Integers as they were given: models compute with one type of them. What doesn't fit is as large as can be,
        /// and so no id.
        #[derive(Debug, Clone)]
        pub(super) enum Integers<'a> {
            $($name(ArrayViewD<'a, $integer>),)*
        }

        impl Integers<'_> {
            fn shape(&self) -> &[usize] {
                match self {
                    $(Integers::$name(array) => array.shape(),)*
                }
            }

            pub(super) fn view(&self) -> Integers<'_> {
                match self {
                    $(Integers::$name(array) => Integers::$name(array.view()),)*
                }
            }

            pub(super) fn row(&self, row: usize, steps: Option<usize>) -> Integers<'_> {
                match self {
                    $(Integers::$name(array) => Integers::$name(cut(array.index_axis(Axis(0), row), steps)),)*
                }
            }

            fn each(&self, mut each: impl FnMut(usize, i64)) {
                match self {
                    $(Integers::$name(array) => {
                        array.iter().enumerate().for_each(|(at, &id)| each(at, id.try_into().unwrap_or(i64::MAX)));
                    })*
                }
            }

            fn to_owned(&self) -> ArrayD<i64> {
                match self {
                    $(Integers::$name(array) => array.map(|&id| id.try_into().unwrap_or(i64::MAX)),)*
                }
            }
        }

        $(impl<T: Float> InputElement<T> for $integer {
            fn given<D: Dimension>(array: ArrayView<'_, Self, D>) -> Input<'_, T> {
                Input(Given::Int(Integers::$name(array.into_dyn())))
            }
        })*
    };
}

integers! {
    i8, I8; i16, I16; i32, I32; i64, I64; isize, Isize; u8, U8; u16, U16; u32, U32; u64, U64; usize, Usize;
}

impl<'a, T, S, D> From<&'a ArrayBase<S, D>> for Input<'a, T>
where
    S: Data<Elem: InputElement<T>>,
    D: Dimension,
{
    fn from(array: &'a ArrayBase<S, D>) -> Self {
        InputElement::given(array.view())
    }
}

impl<'a, T, A: InputElement<T>, D: Dimension> From<&'a ArrayRef<A, D>> for Input<'a, T> {
    fn from(array: &'a ArrayRef<A, D>) -> Self {
        A::given(array.view())
    }
}

impl<'a, T, A: InputElement<T>, D: Dimension> From<ArrayView<'a, A, D>> for Input<'a, T> {
    fn from(array: ArrayView<'a, A, D>) -> Self {
        A::given(array)
    }
}

/// An array that can be handed on without being copied.
pub(crate) type Shared<A> = ArcArray<A, IxDyn>;

/// An array of one of the three kinds.
#[derive(Debug, Clone)]
pub(crate) enum Value<T> {
    Float(Shared<T>),
    Int(Shared<i64>),
    Bool(Shared<bool>),
}

impl<T: Float> Value<T> {
    pub(crate) fn shape(&self) -> &[usize] {
        match self {
            Value::Float(array) => array.shape(),
            Value::Int(array) => array.shape(),
            Value::Bool(array) => array.shape(),
        }
    }

    /// The numbers as floats, as layers take them.
    pub(crate) fn floats(&self) -> Shared<T> {
        match self {
            Value::Float(array) => array.clone(),
            Value::Int(array) => array.map(|&id| T::from_f64(id as f64)).into_shared(),
            Value::Bool(array) => array.map(|&flag| if flag { T::one() } else { T::zero() }).into_shared(),
        }
    }

    /// The numbers as integers, truncated as TensorFlow casts them; what has no integer is -1, which is no id.
    pub(crate) fn integers(&self) -> Shared<i64> {
        match self {
            Value::Float(array) => array.map(|&value| whole(value.into_f64())).into_shared(),
            Value::Int(array) => array.clone(),
            Value::Bool(array) => array.map(|&flag| flag.into()).into_shared(),
        }
    }

    /// One step of (batch, timesteps, ..).
    pub(super) fn step(&self, time: usize) -> Self {
        match self {
            Value::Float(array) => Value::Float(array.index_axis(Axis(1), time).to_owned().into_shared()),
            Value::Int(array) => Value::Int(array.index_axis(Axis(1), time).to_owned().into_shared()),
            Value::Bool(array) => Value::Bool(array.index_axis(Axis(1), time).to_owned().into_shared()),
        }
    }

    /// Whether two values are one array.
    pub(super) fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Value::Float(a), Value::Float(b)) => same(a, b),
            (Value::Int(a), Value::Int(b)) => same(a, b),
            (Value::Bool(a), Value::Bool(b)) => same(a, b),
            _ => false,
        }
    }

    /// Which numbers aren't zero.
    pub(crate) fn flags(&self) -> Shared<bool> {
        match self {
            Value::Float(array) => array.map(|&value| value != T::zero()).into_shared(),
            Value::Int(array) => array.map(|&id| id != 0).into_shared(),
            Value::Bool(array) => array.clone(),
        }
    }
}

/// Whether two arrays are one.
fn same<A>(a: &Shared<A>, b: &Shared<A>) -> bool {
    a.as_ptr() == b.as_ptr() && a.shape() == b.shape() && a.strides() == b.strides()
}

/// Which elements are live.
#[derive(Debug, Clone)]
pub(crate) struct Mask {
    flags: Shared<bool>,
    /// Whether it was made of numbers other than zero and one, which not all layers read alike.
    graded: bool,
}

impl Mask {
    pub(crate) fn of(flags: Shared<bool>) -> Self {
        Mask { flags, graded: false }
    }

    /// A mask that a call names: what isn't zero is live.
    pub(super) fn named<T: Float>(value: &Value<T>) -> Self {
        let graded = match value {
            Value::Bool(_) => false,
            Value::Int(array) => array.iter().any(|&number| number != 0 && number != 1),
            Value::Float(array) => array.iter().any(|&number| number != T::zero() && number != T::one()),
        };
        Mask { flags: value.flags(), graded }
    }

    pub(crate) fn flags(&self) -> &Shared<bool> {
        &self.flags
    }

    /// Whether two masks are one array.
    pub(super) fn is(&self, other: &Self) -> bool {
        same(&self.flags, &other.flags)
    }

    /// The same flags in row order in another shape.
    pub(crate) fn reshaped(&self, shape: &[usize]) -> Result<Mask> {
        let refuse = |_| mismatch(format!("a mask that takes the shape {shape:?}"), self.flags.shape());
        let flags = self.flags.to_shape(IxDyn(shape)).map_err(refuse)?.into_owned().into_shared();
        Ok(Mask { flags, graded: self.graded })
    }

    /// Along so many axes from the first on, whether anything is live.
    pub(crate) fn of_leading_axes(self, count: usize) -> Mask {
        let mut mask = self;
        while mask.flags.ndim() > count {
            let last = Axis(mask.flags.ndim() - 1);
            mask.flags = mask.flags.map_axis(last, |along| along.iter().any(|&flag| flag)).into_shared();
        }
        mask
    }

    pub(super) fn is_graded(&self) -> bool {
        self.graded
    }
}

impl std::ops::Deref for Mask {
    type Target = Shared<bool>;

    fn deref(&self) -> &Shared<bool> {
        &self.flags
    }
}

/// A value, and the mask that Keras attaches to it.
#[derive(Debug, Clone)]
pub(crate) struct Tensor<T> {
    pub(crate) value: Value<T>,
    pub(crate) mask: Option<Mask>,
}

impl<T: Float> Tensor<T> {
    pub(crate) fn unmasked(value: Value<T>) -> Self {
        Tensor { value, mask: None }
    }

    pub(crate) fn float<D: Dimension>(array: Array<T, D>) -> Self {
        Tensor::unmasked(Value::Float(array.into_dyn().into_shared()))
    }

    pub(crate) fn shape(&self) -> &[usize] {
        self.value.shape()
    }
}

/// The elements of an array in row order, owned.
pub(crate) fn in_row_order<A: Clone>(array: &Shared<A>) -> ArrayD<A> {
    array.as_standard_layout().into_owned()
}
