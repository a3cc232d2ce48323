//! The elementary functions of one number, each on the best instruction set of the machine.

use super::log;
use crate::kernels::Element;
use crate::kernels::isa::{Arch, Isa, Kernel, dispatch};

/// `fn name<T: Element>(x: T) -> T`, which runs a kernel's function on the best instruction set of the machine.
macro_rules! functions {
    ($($name:ident: |$x:ident| $call:expr;)*) => {$(
        #[inline]
        pub(crate) fn $name<T: Element>(x: T) -> T {
            struct One<T>(T);
            impl<T: Element> Kernel for One<T> {
                type Output = T;
                #[inline(always)]
                fn run<A: Arch>(self, _: A) -> T {
                    let $x = self.0;
                    $call
                }
            }
            dispatch(Isa::detect(), One(x))
        }
    )*};
}

functions! {
    erf: |x| T::narrowed(super::erf::erf::<A>(x.widened()));
    exp: |x| super::exp::<A, T>(x);
    exp_m1: |x| super::expm1::<A, T>(x);
    ln: |x| T::narrowed(log::ln::<A>(x.widened()));
    ln_1p: |x| T::narrowed(log::ln_1p::<A>(x.widened()));
    sigmoid: |x| super::sigmoid::<A, T>(x);
    softplus: |x| T::narrowed(log::softplus::<A>(x.widened()));
    tanh: |x| super::tanh::<A, T>(x);
}
