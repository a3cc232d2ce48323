//! The door to the vector units: which instruction set runs, chosen once, and the only `unsafe` that it takes.
//!
//! A kernel is written once, as a value that implements [`Kernel`], in safe code over arrays of lanes. [`dispatch`]
//! compiles it for each instruction set by inlining it into a function with that set's `#[target_feature]`:
//!
//! ```text
//! dispatch(isa, kernel) ─┬─ avx512(kernel) ── kernel.run(Avx512)     512-bit, fused multiply-add
//!                        ├─ avx2(kernel) ──── kernel.run(Avx2)       256-bit, fused multiply-add
//!                        └─ baseline(kernel)─ kernel.run(Baseline)   what the target has by itself
//! ```
//!
//! Steps of one row have kernels of their own, but for the baseline of x86-64 ([`RowIsa`]). Products of bytes (`bytes`) have sets of their own, [`ByteIsa`], and [`dispatch_bytes`]: what multiplies them best
//! isn't all of AVX-512.
//!
//! An [`Isa`], and the [`Arch`] that a kernel gets, is the proof that the machine has the set: see `token`.
//! `Arch::mul_add` is fused in AVX-512, AVX2 and NEON; only a baseline without it rounds twice.
//!
//! Trap 3: everything that a kernel calls must be `#[inline(always)]`, closures included (so: no closures); else it is
//! compiled without the features, and a fused multiply-add becomes a call into the C library.

pub(crate) mod bytes;
mod token;

pub(crate) use token::{Arch, Baseline, ByteIsa, Isa, RowIsa, TwoRoundings};

/// Work that is compiled once per instruction set. `run` and all that it calls must be `#[inline(always)]`.
pub(crate) trait Kernel {
    type Output;

    /// The work. `arch` is for what it dispatches itself.
    fn run<A: Arch>(self, arch: A) -> Self::Output;
}

/// Runs a kernel on an instruction set.
#[inline(always)]
pub(crate) fn dispatch<K: Kernel>(isa: Isa, kernel: K) -> K::Output {
    match isa {
        Isa::Avx512(arch) => arch.run(kernel),
        Isa::Avx2(arch) => arch.run(kernel),
        Isa::Baseline(arch) => arch.run(kernel),
    }
}

/// The same for a kernel that gains nothing from the widest vectors: it isn't compiled for them. The bits are the same.
#[inline(always)]
#[cfg_attr(not(target_arch = "x86_64"), allow(unreachable_code, reason = "there is no such value"))]
pub(crate) fn dispatch_narrow<K: Kernel>(isa: Isa, kernel: K) -> K::Output {
    match isa {
        Isa::Avx512(wide) => wide.narrow().run(kernel),
        Isa::Avx2(arch) => arch.run(kernel),
        Isa::Baseline(arch) => arch.run(kernel),
    }
}

/// Runs a kernel of one row.
#[inline(always)]
pub(crate) fn dispatch_row<K: Kernel>(isa: RowIsa, kernel: K) -> K::Output {
    match isa {
        RowIsa::Avx512(arch) => arch.run(kernel),
        RowIsa::Avx2(arch) => arch.run(kernel),
        #[cfg(not(target_arch = "x86_64"))]
        RowIsa::Baseline(arch) => arch.run(kernel),
    }
}

/// Runs a kernel of products of bytes.
#[inline(always)]
pub(crate) fn dispatch_bytes<K: Kernel>(isa: ByteIsa, kernel: K) -> K::Output {
    match isa {
        ByteIsa::Vnni(arch) => arch.run(kernel),
        ByteIsa::Avx2(arch) => arch.run(kernel),
        ByteIsa::Baseline(arch) => arch.run(kernel),
    }
}
