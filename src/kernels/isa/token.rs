//! Proof that the machine has an instruction set: a value of a type that nothing but detection, in this file, can make.
//!
//! Calling code that is compiled for AVX-512 on a machine without it is undefined behaviour, so [`Avx512`]'s and
//! [`Avx2`]'s fields are private: the holder of one has it from [`Isa::available`], by whatever way, and the only
//! `unsafe` that a kernel takes, in [`run`](Avx512::run), rests on the type alone. Kernels hand their token on to what
//! they call; a type parameter by itself proves nothing.

use std::sync::OnceLock;

use super::Kernel;
use super::bytes::{ByteProducts, Portable};
#[cfg(target_arch = "x86_64")]
use super::bytes::{OfAvx2, OfVnni};
use crate::kernels::Element;

/// An instruction set that the kernels are compiled for and this machine has.
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Isa {
    /// x86-64 with AVX-512 (F, BW, DQ, VL).
    Avx512(Avx512),
    /// x86-64 with AVX2 and FMA.
    Avx2(Avx2),
    /// What every machine of the target has: NEON on aarch64, SSE2 on x86-64, scalars elsewhere.
    Baseline(Baseline),
}

/// An instruction set as a type, so that a kernel can be compiled for it; a value is the proof that the machine has it.
pub(crate) trait Arch: Copy + 'static {
    /// Whether the vector registers hold the sums of several rows for all lines of a group (or of one row for two
    /// groups); else one line at a time.
    const ALL_LINES_AT_ONCE: bool;

    /// Whether each multiply-add is rounded twice, whatever the machine could do: then all machines give the same bits.
    const ROUNDS_TWICE: bool = false;

    /// How it multiplies bytes.
    type Bytes: ByteProducts<Self>;

    /// The same as a value that can be dispatched on.
    fn isa(self) -> Isa;

    /// The most rows of which the sums of so many lines (one, if not all at once) stay in registers, by lines.
    const MOST_ROWS: [usize; 5];

    /// `a * b + c`: one rounding where the machine has fused multiply-add, else two.
    fn mul_add<T: Element>(a: T, b: T, c: T) -> T;
}

/// What a token holds: nothing, or where no processor has the set, what there is no value of.
#[cfg(target_arch = "x86_64")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Proof;
#[cfg(not(target_arch = "x86_64"))]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Proof {}

/// The token of a set, what detects it and what is compiled for it: one list of features serves both.
macro_rules! token {
    ($(#[$doc:meta])* $token:ident, $compiled:ident: $($feature:tt)+) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) struct $token(Proof);

        #[cfg(target_arch = "x86_64")]
        impl $token {
            /// The features that kernels are compiled for.
            #[cfg(test)]
            pub(super) const FEATURES: &[&str] = &[$($feature),+];

            /// The proof, if the processor says so.
            fn detect() -> Option<Self> {
                ($(std::arch::is_x86_feature_detected!($feature))&&+).then_some($token(Proof))
            }

            /// Runs a kernel.
            #[inline(always)]
            #[allow(unsafe_code)]
            pub(super) fn run<K: Kernel>(self, kernel: K) -> K::Output {
                // SAFETY: the function needs nothing but that the processor has the features that it enables. `self`
                // proves that: its field is private to this file, where only `detect` makes one (and `narrow`, from
                // the proof of a wider set), after it has asked the processor for each feature of the same list.
                unsafe { $compiled(kernel, self) }
            }
        }

        #[cfg(not(target_arch = "x86_64"))]
        impl $token {
            /// Never called: there is no token.
            pub(super) fn run<K: Kernel>(self, _: K) -> K::Output {
                match self.0 {}
            }
        }

        // Never inlined: a rare path that a kernel calls through here stays out of its common one.
        #[cfg(target_arch = "x86_64")]
        #[target_feature($(enable = $feature),+)]
        #[inline(never)]
        fn $compiled<K: Kernel>(kernel: K, arch: $token) -> K::Output {
            kernel.run(arch)
        }
    };
}

token! {
    /// 512-bit vectors.
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
    Avx512, avx512: "avx512f" "avx512bw" "avx512dq" "avx512vl" "avx2" "fma"
}

token! {
    /// 256-bit vectors.
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
    Avx2, avx2: "avx2" "fma"
}

token! {
    /// 512-bit vectors that multiply bytes and add four products at once.
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
    Avx512Vnni, avx512_vnni: "avx512f" "avx512bw" "avx512dq" "avx512vl" "avx512vnni" "avx2" "fma"
}

impl Avx512Vnni {
    /// All features of AVX-512 are among those that this proves.
    fn narrow(self) -> Avx512 {
        Avx512(self.0)
    }
}

impl Avx512 {
    /// AVX2 and FMA are among the features that this proves.
    pub(super) fn narrow(self) -> Avx2 {
        Avx2(self.0)
    }
}

/// Whatever the target has by itself: nothing to prove.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Baseline;

impl Arch for Avx512 {
    const ALL_LINES_AT_ONCE: bool = true;
    // Of 32 registers 24 are sums; others hold the lines and what is broadcast.
    const MOST_ROWS: [usize; 5] = [8, 8, 8, 8, 6];
    type Bytes = Portable;
    #[inline(always)]
    fn isa(self) -> Isa {
        Isa::Avx512(self)
    }
    #[inline(always)]
    fn mul_add<T: Element>(a: T, b: T, c: T) -> T {
        a.mul_add(b, c)
    }
}

impl Arch for Avx512Vnni {
    const ALL_LINES_AT_ONCE: bool = Avx512::ALL_LINES_AT_ONCE;
    const MOST_ROWS: [usize; 5] = Avx512::MOST_ROWS;
    #[cfg(target_arch = "x86_64")]
    type Bytes = OfVnni;
    #[cfg(not(target_arch = "x86_64"))]
    type Bytes = Portable;
    #[cfg_attr(not(target_arch = "x86_64"), allow(unreachable_code, reason = "there is no such value"))]
    #[inline(always)]
    fn isa(self) -> Isa {
        Isa::Avx512(self.narrow())
    }
    #[inline(always)]
    fn mul_add<T: Element>(a: T, b: T, c: T) -> T {
        a.mul_add(b, c)
    }
}

impl Arch for Avx2 {
    const ALL_LINES_AT_ONCE: bool = false;
    // A line is two registers: of 16, 12 are sums.
    const MOST_ROWS: [usize; 5] = [6; 5];
    #[cfg(target_arch = "x86_64")]
    type Bytes = OfAvx2;
    #[cfg(not(target_arch = "x86_64"))]
    type Bytes = Portable;
    #[inline(always)]
    fn isa(self) -> Isa {
        Isa::Avx2(self)
    }
    #[inline(always)]
    fn mul_add<T: Element>(a: T, b: T, c: T) -> T {
        a.mul_add(b, c)
    }
}

#[inline(never)]
fn baseline<K: Kernel>(kernel: K, arch: Baseline) -> K::Output {
    kernel.run(arch)
}

impl Baseline {
    const FUSED: bool = cfg!(any(target_arch = "aarch64", target_feature = "fma"));

    /// Runs a kernel.
    #[inline(always)]
    pub(super) fn run<K: Kernel>(self, kernel: K) -> K::Output {
        // Elsewhere there is no other set, and nothing to keep apart.
        if cfg!(target_arch = "x86_64") { baseline(kernel, self) } else { kernel.run(self) }
    }
}

impl Arch for Baseline {
    const ALL_LINES_AT_ONCE: bool = false;
    // A line is four registers of 128 bits: of 32 (aarch64), 24 are sums; of 16, 8.
    const MOST_ROWS: [usize; 5] = [if cfg!(target_arch = "aarch64") { 6 } else { 2 }; 5];
    type Bytes = Portable;
    #[inline(always)]
    fn isa(self) -> Isa {
        Isa::Baseline(self)
    }
    #[inline(always)]
    fn mul_add<T: Element>(a: T, b: T, c: T) -> T {
        if Baseline::FUSED { a.mul_add(b, c) } else { a * b + c }
    }
}

/// An instruction set whose multiply-adds are rounded twice: for what gives the same bits on all machines.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TwoRoundings<A>(pub(crate) A);

impl<A: Arch> Arch for TwoRoundings<A> {
    const ALL_LINES_AT_ONCE: bool = A::ALL_LINES_AT_ONCE;
    const MOST_ROWS: [usize; 5] = A::MOST_ROWS;
    const ROUNDS_TWICE: bool = true;
    type Bytes = Portable;
    #[inline(always)]
    fn isa(self) -> Isa {
        self.0.isa()
    }
    #[inline(always)]
    fn mul_add<T: Element>(a: T, b: T, c: T) -> T {
        a * b + c
    }
}

/// An instruction set that does one row by itself. On x86-64 the baseline does it as a block of one row: few machines are
/// left with it, and these kernels would be a third of what is compiled for it.
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
#[derive(Debug, Clone, Copy)]
pub(crate) enum RowIsa {
    Avx512(Avx512),
    Avx2(Avx2),
    #[cfg(not(target_arch = "x86_64"))]
    Baseline(Baseline),
}

impl RowIsa {
    /// Of an instruction set; nothing if it takes rows in blocks.
    #[inline(always)]
    pub(crate) fn of(isa: Isa) -> Option<Self> {
        match isa {
            Isa::Avx512(arch) => Some(RowIsa::Avx512(arch)),
            Isa::Avx2(arch) => Some(RowIsa::Avx2(arch)),
            #[cfg(not(target_arch = "x86_64"))]
            Isa::Baseline(arch) => Some(RowIsa::Baseline(arch)),
            #[cfg(target_arch = "x86_64")]
            Isa::Baseline(_) => None,
        }
    }
}

/// An instruction set as far as products of bytes are concerned. All give the same bits.
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ByteIsa {
    /// AVX-512 with VNNI.
    Vnni(Avx512Vnni),
    /// AVX2; AVX-512 without VNNI has nothing better.
    Avx2(Avx2),
    /// What every machine of the target has.
    Baseline(Baseline),
}

impl ByteIsa {
    /// The best one of an instruction set.
    #[cfg_attr(not(target_arch = "x86_64"), allow(unreachable_code, reason = "there is no such value"))]
    pub(crate) fn of(isa: Isa) -> Self {
        match isa {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512(wide) => Avx512Vnni::detect().map_or(ByteIsa::Avx2(wide.narrow()), ByteIsa::Vnni),
            #[cfg(not(target_arch = "x86_64"))]
            Isa::Avx512(wide) => ByteIsa::Avx2(wide.narrow()),
            Isa::Avx2(arch) => ByteIsa::Avx2(arch),
            Isa::Baseline(arch) => ByteIsa::Baseline(arch),
        }
    }
}

impl Isa {
    /// The instruction sets of this machine, the best one first.
    pub(crate) fn available() -> Vec<Isa> {
        let mut found = Vec::with_capacity(3);
        #[cfg(target_arch = "x86_64")]
        {
            found.extend(Avx512::detect().map(Isa::Avx512));
            found.extend(Avx2::detect().map(Isa::Avx2));
        }
        found.push(Isa::Baseline(Baseline));
        found
    }

    /// Its name, as in the environment variable `RECURRENT_ISA`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Isa::Avx512(_) => "avx512",
            Isa::Avx2(_) => "avx2",
            Isa::Baseline(_) => "baseline",
        }
    }

    /// [`Arch::ALL_LINES_AT_ONCE`].
    #[inline(always)]
    pub(crate) fn all_lines_at_once(self) -> bool {
        match self {
            Isa::Avx512(_) => Avx512::ALL_LINES_AT_ONCE,
            Isa::Avx2(_) => Avx2::ALL_LINES_AT_ONCE,
            Isa::Baseline(_) => Baseline::ALL_LINES_AT_ONCE,
        }
    }

    /// Whether it multiplies and adds with one rounding: all that do give the same bits.
    #[cfg(test)]
    pub(crate) fn is_fused(self) -> bool {
        !matches!(self, Isa::Baseline(_)) || Baseline::FUSED
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

#[cfg(test)]
mod tests {
    use super::*;

    /// What the proof of the narrower set needs is among what the wider one asks for, or `narrow` would make one
    /// from nothing.
    #[test]
    #[cfg(target_arch = "x86_64")]
    fn a_wider_set_proves_a_narrower_one() {
        assert!(Avx2::FEATURES.iter().all(|feature| Avx512::FEATURES.contains(feature)));
        assert!(Avx512::detect().is_none() || Avx2::detect().is_some());
        assert!(Avx512::FEATURES.iter().all(|feature| Avx512Vnni::FEATURES.contains(feature)));
        assert!(Avx512Vnni::detect().is_none() || Avx512::detect().is_some());
    }

    /// Tokens are made where this file says, and nowhere else: a constructor more would be a proof of nothing.
    #[test]
    fn tokens_are_made_by_detection_only() {
        let source = include_str!("token.rs");
        let (code, _) = source.split_once("#[cfg(test)]\nmod tests").expect("the tests are at the end");
        let makes = |line: &&str| {
            let tokens = ["$token(", "Avx512(", "Avx512Vnni(", "Avx2("];
            let made = tokens.iter().any(|token| line.replace("Isa::Avx", "").contains(token));
            made && !line.starts_with("//") && !["Avx512(Avx512),", "Avx2(Avx2),"].contains(line)
        };
        let made: Vec<&str> = code.lines().map(str::trim).filter(makes).collect();
        let expected = [
            "pub(crate) struct $token(Proof);",
            "($(std::arch::is_x86_feature_detected!($feature))&&+).then_some($token(Proof))",
            "Avx512(self.0)",
            "Avx2(self.0)",
        ];
        assert_eq!(made, expected);
    }
}
