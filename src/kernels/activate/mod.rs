//! The activations' mathematics: a row in place, and the backward pass through it.
//!
//! ```text
//! activate(isa, activation, row)                 row = act(row)
//! activate_backward(isa, activation, z, y, dy)   dy = J(z)^T dy, where y = act(z)
//! ```
//!
//! Each is one function per instruction set with one `match` in it, then flat loops that the compiler vectorises.
//! Kernels call [`apply`], which is the first of them for the instruction set that the kernel is compiled for: a call,
//! not code that is copied into each kernel.
//! - `piecewise` - relu and the like: a few exact operations in the row's own type
//! - `smooth` - what needs an exponential: tanh and sigmoid in the row's own type, the others in `f64`
//! - `whole_row` - softmax and the like, which need the whole row
//!
//! Where a function has no derivative (relu at 0), its slope is the one that TensorFlow takes.

mod piecewise;
mod smooth;
#[cfg(test)]
mod tests;
mod whole_row;

use crate::activation::{Activation, CustomActivation};
use crate::kernels::Element;
use crate::kernels::isa::{Arch, Baseline, Isa, Kernel, TwoRoundings, dispatch};

/// A function of one element, and its slope.
trait Pointwise<T>: Copy {
    fn value<A: Arch>(self, x: T) -> T;
    /// The derivative at `z`, where `y` is the value.
    fn slope<A: Arch>(self, z: T, y: T) -> T;
}

/// Turns a row of preactivations into activations. A whole row for softmax and the like, else any slice.
///
/// `Glu` writes into the first half of the row; the second half is left with no meaning. Its width must be even.
pub(crate) fn activate<T: Element>(isa: Isa, activation: &Activation, row: &mut [T]) {
    T::activate(isa, activation, row);
}

/// The same, for the entry that compiles it.
pub(super) fn activate_here<T: Element>(isa: Isa, activation: &Activation, row: &mut [T]) {
    dispatch(isa, Forward { activation, row });
}

/// Turns the gradient by the activations, `dy`, into that by the preactivations, in place.
///
/// `z` is what [`activate`] was given and `y` what it made of it. `z` isn't looked at by those activations that
/// [`reads_preactivation`] denies, `y` not by most of the others. For `Glu` all three slices are as wide as the
/// input; of `dy` the first half counts, `y` isn't looked at.
///
/// Panics for a custom activation without derivative: see [`Activation::check_derivative`].
pub(crate) fn activate_backward<T: Element>(isa: Isa, activation: &Activation, z: &[T], y: &[T], dy: &mut [T]) {
    T::activate_backward(isa, activation, z, y, dy);
}

/// The same, for the entry that compiles it.
pub(super) fn activate_backward_here<T: Element>(isa: Isa, activation: &Activation, z: &[T], y: &[T], dy: &mut [T]) {
    dispatch(isa, Backward { activation, z, y, dy });
}

/// [`activate`] from within a kernel.
#[inline(always)]
pub(crate) fn apply<A: Arch, T: Element>(arch: A, activation: &Activation, row: &mut [T]) {
    if const { A::ROUNDS_TWICE } {
        rounding_twice(activation, row);
    } else {
        activate_here(arch.isa(), activation, row);
    }
}

/// The same on any machine, bit for bit: of rare activations of layers in fewer bits, so compiled once.
#[inline(never)]
pub(crate) fn rounding_twice<T: Element>(activation: &Activation, row: &mut [T]) {
    Forward { activation, row }.run(TwoRoundings(Baseline));
}

/// Whether the backward pass needs the preactivations, or the activations alone will do.
pub(crate) fn reads_preactivation(activation: &Activation) -> bool {
    use Activation::*;
    !matches!(activation, Linear | Relu | Tanh | Sigmoid | Exponential | Softmax | LogSoftmax)
}

struct Forward<'a, T> {
    activation: &'a Activation,
    row: &'a mut [T],
}

struct Backward<'a, T> {
    activation: &'a Activation,
    z: &'a [T],
    y: &'a [T],
    dy: &'a mut [T],
}

/// `match activation`, with `$f` bound to what computes it element by element; the other arms are the caller's.
macro_rules! by_kind {
    ($activation:expr, |$f:ident| $elementwise:expr, $($other:tt)*) => {{
        use piecewise as p;
        use smooth::{self as s, InF64};
        macro_rules! with { ($value:expr) => {{ let $f = $value; $elementwise }} }
        match *$activation {
            Activation::Relu => with!(p::Relu),
            Activation::ReluWith { negative_slope, max_value, threshold } => {
                // Keras takes simpler functions for these, with other slopes at the bends.
                match (negative_slope == 0.0, max_value, threshold == 0.0) {
                    (true, None, true) => with!(p::Relu),
                    (false, None, true) => with!(p::LeakyRelu::new(negative_slope)),
                    (true, Some(6.0), true) => with!(p::Relu6),
                    _ => with!(p::ReluWith::new(negative_slope, max_value, threshold)),
                }
            }
            Activation::LeakyRelu { negative_slope } => with!(p::LeakyRelu::new(negative_slope)),
            Activation::Relu6 => with!(p::Relu6),
            Activation::Softsign => with!(p::Softsign),
            Activation::SoftShrink { threshold } => with!(p::SoftShrink(T::narrowed(threshold))),
            Activation::HardShrink { threshold } => with!(p::HardShrink(T::narrowed(threshold))),
            Activation::HardTanh => with!(p::HardTanh),
            Activation::HardSigmoid => with!(p::HardSigmoid),
            Activation::HardSigmoidWith { slope, offset } => {
                with!(p::HardSigmoidWith { slope: T::narrowed(slope), offset: T::narrowed(offset) })
            }
            Activation::Affine { slope, offset } => {
                with!(p::Affine { slope: T::narrowed(slope), offset: T::narrowed(offset) })
            }
            Activation::ScaledTanh { scale, slope } => with!(InF64(s::ScaledTanh { scale, slope })),
            Activation::SparseSigmoid => with!(p::SparseSigmoid),
            Activation::HardSilu => with!(p::HardSilu),
            Activation::SparsePlus => with!(p::SparsePlus),
            Activation::Threshold { threshold, default_value } => {
                with!(p::Threshold { threshold: T::narrowed(threshold), default: T::narrowed(default_value) })
            }
            Activation::Tanh => with!(s::Tanh),
            Activation::Sigmoid => with!(s::Sigmoid),
            Activation::Exponential => with!(s::Exponential),
            Activation::Elu { alpha } => with!(InF64(s::Elu { alpha })),
            Activation::Celu { alpha } => with!(InF64(s::Celu { alpha })),
            Activation::Selu => with!(InF64(s::Selu)),
            Activation::Softplus => with!(InF64(s::Softplus)),
            Activation::Squareplus { b } => with!(InF64(s::Squareplus { b })),
            Activation::TanhShrink => with!(InF64(s::TanhShrink)),
            Activation::LogSigmoid => with!(InF64(s::LogSigmoid)),
            Activation::Silu => with!(InF64(s::Silu)),
            Activation::Gelu { approximate: false } => with!(InF64(s::Gelu)),
            Activation::Gelu { approximate: true } => with!(InF64(s::GeluByTanh)),
            Activation::Mish => with!(InF64(s::Mish)),
            $($other)*
        }
    }};
}

impl<T: Element> Kernel for Forward<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<A: Arch>(self, arch: A) {
        let row = self.row;
        by_kind!(self.activation, |f| each::<A, T, _>(f, row),
            Activation::Linear => {}
            Activation::Glu => whole_row::glu::<A, T>(row),
            Activation::Softmax => whole_row::softmax::<A, T>(row),
            Activation::LogSoftmax => whole_row::log_softmax::<A, T>(row),
            Activation::Sparsemax => whole_row::sparsemax::<T>(row),
            Activation::Clipped { bound, ref of } => {
                piecewise::bound(row, bound);
                apply(arch, of, row);
            }
            Activation::Custom(ref custom) => each_custom(custom, row),
        )
    }
}

impl<T: Element> Kernel for Backward<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<A: Arch>(self, arch: A) {
        let Backward { activation, z, y, dy } = self;
        by_kind!(activation, |f| each_backward::<A, T, _>(f, z, y, dy),
            Activation::Linear => {}
            Activation::Glu => whole_row::glu_backward::<A, T>(z, dy),
            Activation::Softmax => whole_row::softmax_backward::<A, T>(y, dy),
            Activation::LogSoftmax => whole_row::log_softmax_backward::<A, T>(y, dy),
            Activation::Sparsemax => whole_row::sparsemax_backward::<T>(z, dy),
            Activation::Clipped { bound, ref of } => clipped_backward(arch, (bound, of), z, y, dy),
            Activation::Custom(ref custom) => each_custom_backward(custom, z, dy),
        )
    }
}

#[inline(always)]
fn each<A: Arch, T: Element, F: Pointwise<T>>(f: F, row: &mut [T]) {
    for x in row {
        *x = f.value::<A>(*x);
    }
}

#[inline(always)]
fn each_backward<A: Arch, T: Element, F: Pointwise<T>>(f: F, z: &[T], y: &[T], dy: &mut [T]) {
    for ((dy, &z), &y) in dy.iter_mut().zip(z).zip(y) {
        *dy *= f.slope::<A>(z, y);
    }
}

/// Zero beyond the bound; the slope of the other function within.
fn clipped_backward<A: Arch, T: Element>(arch: A, (bound, of): (f64, &Activation), z: &[T], y: &[T], dy: &mut [T]) {
    const PART: usize = 64;
    let mut within = [T::zero(); PART];
    for ((z, y), dy) in z.chunks(PART).zip(y.chunks(PART)).zip(dy.chunks_mut(PART)) {
        let within = &mut within[..z.len()];
        within.copy_from_slice(z);
        piecewise::bound(within, bound);
        activate_backward_here(arch.isa(), of, within, y, dy);
        for (dy, (&within, &z)) in dy.iter_mut().zip(within.iter().zip(z)) {
            *dy *= if within == z { T::one() } else { T::zero() };
        }
    }
}

#[inline(always)]
fn each_custom<T: Element>(custom: &CustomActivation, row: &mut [T]) {
    let function = custom.function();
    for x in row {
        *x = T::narrowed(function(x.widened()));
    }
}

#[inline(always)]
fn each_custom_backward<T: Element>(custom: &CustomActivation, z: &[T], dy: &mut [T]) {
    let derivative = custom.derivative().expect("check_derivative comes before training");
    for (dy, &z) in dy.iter_mut().zip(z) {
        *dy *= T::narrowed(derivative(z.widened()));
    }
}
