//! The door to the vector units: which instruction set runs, chosen once, and the only `unsafe` that it takes.
//!
//! A kernel is written once, as a value that implements [`Kernel`], in safe code over arrays of lanes. [`dispatch`]
//! compiles it for each instruction set by inlining it into a function with that set's `#[target_feature]`:
//!
//! ```text
//! dispatch(isa, kernel) ─┬─ avx512(kernel) ── kernel.run::<Avx512>()     512-bit, fused multiply-add
//!                        ├─ avx2(kernel) ──── kernel.run::<Avx2>()       256-bit, fused multiply-add
//!                        └────────────────────kernel.run::<Baseline>()   what the target has by itself
//! ```
//!
//! Traps: everything that a kernel calls must be `#[inline(always)]`, closures included (so: no closures); else it is
//! compiled without the features, and a fused multiply-add becomes a call into the C library.

use std::sync::OnceLock;

use crate::float::Float;

/// An instruction set that the kernels are compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Isa {
    /// x86-64 with AVX-512 (F, BW, DQ, VL).
    Avx512,
    /// x86-64 with AVX2 and FMA.
    Avx2,
    /// What every machine of the target has: NEON on aarch64, SSE2 on x86-64, scalars elsewhere.
    Baseline,
}

/// An instruction set as a type, so that a kernel can be compiled for it.
pub(crate) trait Arch: Copy + 'static {
    /// The same as a value.
    const ISA: Isa;

    /// `a * b + c`: one rounding where the machine has fused multiply-add, else two.
    fn mul_add<T: Float>(a: T, b: T, c: T) -> T;
}

#[derive(Clone, Copy)]
pub(crate) struct Avx512;
#[derive(Clone, Copy)]
pub(crate) struct Avx2;
#[derive(Clone, Copy)]
pub(crate) struct Baseline;

impl Arch for Avx512 {
    const ISA: Isa = Isa::Avx512;
    #[inline(always)]
    fn mul_add<T: Float>(a: T, b: T, c: T) -> T {
        a.mul_add(b, c)
    }
}

impl Arch for Avx2 {
    const ISA: Isa = Isa::Avx2;
    #[inline(always)]
    fn mul_add<T: Float>(a: T, b: T, c: T) -> T {
        a.mul_add(b, c)
    }
}

impl Arch for Baseline {
    const ISA: Isa = Isa::Baseline;
    #[inline(always)]
    fn mul_add<T: Float>(a: T, b: T, c: T) -> T {
        if cfg!(any(target_arch = "aarch64", target_feature = "fma")) { a.mul_add(b, c) } else { a * b + c }
    }
}

/// Work that is compiled once per instruction set. `run` and all that it calls must be `#[inline(always)]`.
pub(crate) trait Kernel {
    type Output;
    fn run<A: Arch>(self) -> Self::Output;
}

/// Runs a kernel on an instruction set that [`Isa::detect`] or [`Isa::available`] has returned.
#[inline]
#[allow(unsafe_code)]
pub(crate) fn dispatch<K: Kernel>(isa: Isa, kernel: K) -> K::Output {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
        fn avx512<K: Kernel>(kernel: K) -> K::Output {
            kernel.run::<Avx512>()
        }
        #[target_feature(enable = "avx2,fma")]
        fn avx2<K: Kernel>(kernel: K) -> K::Output {
            kernel.run::<Avx2>()
        }
        match isa {
            // SAFETY: an `Isa::Avx512` is made only by `Isa::available`, which has asked the processor for each of
            // the features that `avx512` enables.
            Isa::Avx512 => unsafe { avx512(kernel) },
            // SAFETY: an `Isa::Avx2` is made only by `Isa::available`, which has asked for AVX2 and FMA.
            Isa::Avx2 => unsafe { avx2(kernel) },
            Isa::Baseline => kernel.run::<Baseline>(),
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        let _ = isa;
        kernel.run::<Baseline>()
    }
}

impl Isa {
    /// The instruction sets of this machine, the best one first.
    pub(crate) fn available() -> Vec<Isa> {
        let mut found = Vec::with_capacity(3);
        #[cfg(target_arch = "x86_64")]
        {
            use std::arch::is_x86_feature_detected as has;
            let avx2 = has!("avx2") && has!("fma");
            if avx2 && has!("avx512f") && has!("avx512bw") && has!("avx512dq") && has!("avx512vl") {
                found.push(Isa::Avx512);
            }
            if avx2 {
                found.push(Isa::Avx2);
            }
        }
        found.push(Isa::Baseline);
        found
    }

    /// The instruction set that layers are built for: the best that the machine has.
    pub(crate) fn detect() -> Isa {
        static BEST: OnceLock<Isa> = OnceLock::new();
        *BEST.get_or_init(|| Isa::available()[0])
    }
}
