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

    /// Whether the vector registers hold the sums of several rows for all lines of a group (or of one row for two groups); else one line at a time.
    const ALL_LINES_AT_ONCE: bool;

    /// The most rows of which the sums of so many lines (one, if not all at once) stay in registers.
    fn most_rows(lines: usize) -> usize;

    /// `a * b + c`: one rounding where the machine has fused multiply-add, else two.
    fn mul_add<T: Float>(a: T, b: T, c: T) -> T;
}

#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
#[derive(Clone, Copy)]
pub(crate) struct Avx512;
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
#[derive(Clone, Copy)]
pub(crate) struct Avx2;
#[derive(Clone, Copy)]
pub(crate) struct Baseline;

impl Arch for Avx512 {
    const ISA: Isa = Isa::Avx512;
    const ALL_LINES_AT_ONCE: bool = true;
    // Of 32 registers 24 are sums; others hold the lines and what is broadcast.
    #[inline(always)]
    fn most_rows(lines: usize) -> usize {
        if lines == 4 { 6 } else { 8 }
    }
    #[inline(always)]
    fn mul_add<T: Float>(a: T, b: T, c: T) -> T {
        a.mul_add(b, c)
    }
}

impl Arch for Avx2 {
    const ISA: Isa = Isa::Avx2;
    const ALL_LINES_AT_ONCE: bool = false;
    // A line is two registers: of 16, 12 are sums.
    #[inline(always)]
    fn most_rows(_lines: usize) -> usize {
        6
    }
    #[inline(always)]
    fn mul_add<T: Float>(a: T, b: T, c: T) -> T {
        a.mul_add(b, c)
    }
}

impl Baseline {
    const FUSED: bool = cfg!(any(target_arch = "aarch64", target_feature = "fma"));
}

impl Arch for Baseline {
    const ISA: Isa = Isa::Baseline;
    const ALL_LINES_AT_ONCE: bool = false;
    // A line is four registers of 128 bits: of 32 (aarch64), 24 are sums; of 16, 8.
    #[inline(always)]
    fn most_rows(_lines: usize) -> usize {
        if cfg!(target_arch = "aarch64") { 6 } else { 2 }
    }
    #[inline(always)]
    fn mul_add<T: Float>(a: T, b: T, c: T) -> T {
        if Baseline::FUSED { a.mul_add(b, c) } else { a * b + c }
    }
}

/// Work that is compiled once per instruction set. `run` and all that it calls must be `#[inline(always)]`.
pub(crate) trait Kernel {
    type Output;
    fn run<A: Arch>(self) -> Self::Output;
}

/// Runs a kernel on an instruction set that [`Isa::detect`] or [`Isa::available`] has returned.
#[inline(always)]
#[allow(unsafe_code)]
pub(crate) fn dispatch<K: Kernel>(isa: Isa, kernel: K) -> K::Output {
    #[cfg(target_arch = "x86_64")]
    {
        // Never inlined: a rare path that a kernel calls through here stays out of its common one.
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
        #[inline(never)]
        fn avx512<K: Kernel>(kernel: K) -> K::Output {
            kernel.run::<Avx512>()
        }
        #[target_feature(enable = "avx2,fma")]
        #[inline(never)]
        fn avx2<K: Kernel>(kernel: K) -> K::Output {
            kernel.run::<Avx2>()
        }
        #[inline(never)]
        fn baseline<K: Kernel>(kernel: K) -> K::Output {
            kernel.run::<Baseline>()
        }
        match isa {
            // SAFETY: an `Isa::Avx512` is made only by `Isa::available`, which has asked the processor for each of
            // the features that `avx512` enables.
            Isa::Avx512 => unsafe { avx512(kernel) },
            // SAFETY: an `Isa::Avx2` is made only by `Isa::available`, which has asked for AVX2 and FMA.
            Isa::Avx2 => unsafe { avx2(kernel) },
            Isa::Baseline => baseline(kernel),
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

    /// Its name, as in the environment variable `RECURRENT_ISA`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Isa::Avx512 => "avx512",
            Isa::Avx2 => "avx2",
            Isa::Baseline => "baseline",
        }
    }

    /// One that gives the same bits, for code that gains nothing from the widest vectors: it need not be compiled twice.
    pub(crate) fn narrow(self) -> Isa {
        if self == Isa::Avx512 { Isa::Avx2 } else { self }
    }

    /// [`Arch::ALL_LINES_AT_ONCE`].
    #[inline(always)]
    pub(crate) fn all_lines_at_once(self) -> bool {
        match self {
            Isa::Avx512 => Avx512::ALL_LINES_AT_ONCE,
            Isa::Avx2 => Avx2::ALL_LINES_AT_ONCE,
            Isa::Baseline => Baseline::ALL_LINES_AT_ONCE,
        }
    }

    /// Whether it multiplies and adds with one rounding: all that do give the same bits.
    #[cfg(test)]
    pub(crate) fn is_fused(self) -> bool {
        self != Isa::Baseline || Baseline::FUSED
    }

    /// The instruction set that layers are built for: the best that the machine has, or the one that the environment
    /// variable `RECURRENT_ISA` names. The variable is for tests, and read once.
    ///
    /// Panics if the machine doesn't have what the variable names: a test of it must not pass on something else.
    pub(crate) fn detect() -> Isa {
        static BEST: OnceLock<Isa> = OnceLock::new();
        *BEST.get_or_init(|| {
            let available = Isa::available();
            match std::env::var("RECURRENT_ISA") {
                Ok(name) => match available.iter().find(|isa| isa.name() == name) {
                    Some(&isa) => isa,
                    None => panic!("RECURRENT_ISA={name}: this machine has {available:?}"),
                },
                Err(_) => available[0],
            }
        })
    }
}
