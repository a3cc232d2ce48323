//! What differs between `f32` and `f64`: constants, the polynomial of `exp`, and a power of two made from bits.

/// The parts of the elementary functions that depend on the format. Implemented by `f32` and `f64` only.
pub trait Elementary: Copy + 'static {
    /// 1.5 times the power of two from which on floats are whole numbers. Adding it rounds to an integer, ties to
    /// even, and leaves that integer in the low bits (1.5: a negative integer doesn't change the exponent).
    const ROUND: Self;
    /// 1 / ln 2.
    const LOG2_E: Self;
    /// The leading bits of ln 2, so few that an exponent times this is exact without fused multiply-add too.
    const LN2_HI: Self;
    /// ln 2 without them.
    const LN2_LO: Self;
    /// Below this `exp` is less than half of the smallest subnormal number.
    const EXP_LO: Self;
    /// Above this `exp` is infinite.
    const EXP_HI: Self;
    /// Below this `expm1` is -1.
    const EXPM1_LO: Self;
    /// The coefficients of `(exp(r) - 1 - r) / r^2` for |r| <= ln(2) / 2, lowest power first.
    const EXP_TAIL: &'static [Self];

    /// `2^(n + add)`, for the integer that an addition of [`ROUND`](Self::ROUND) left in the bits of `rounded`.
    fn power_of_two(rounded: Self, add: i32) -> Self;
}

impl Elementary for f32 {
    const ROUND: f32 = 12582912.0;
    const LOG2_E: f32 = std::f32::consts::LOG2_E;
    const LN2_HI: f32 = 0.693_115_23; // 0x3f317000: 12 bits; |n| <= 150 has 8
    const LN2_LO: f32 = (std::f64::consts::LN_2 - Self::LN2_HI as f64) as f32;
    const EXP_LO: f32 = -104.0;
    const EXP_HI: f32 = 89.0;
    const EXPM1_LO: f32 = -32.0;
    // tools/fit_math.py, EXPM1 f32: relative error of expm1 2^-26.07.
    const EXP_TAIL: &'static [f32] = &[0.49999997, 0.16666542, 0.041667525, 0.008366673, 0.0013862402];

    #[inline(always)]
    fn power_of_two(rounded: f32, add: i32) -> f32 {
        f32::from_bits((rounded.to_bits() << 23).wrapping_add(((127 + add) as u32) << 23))
    }
}

impl Elementary for f64 {
    const ROUND: f64 = 6755399441055744.0;
    const LOG2_E: f64 = std::f64::consts::LOG2_E;
    const LN2_HI: f64 = 0.693_147_180_369_123_8; // 0x3fe62e42fee00000: 32 bits; |n| <= 1076 has 11
    const LN2_LO: f64 = 1.9082149292705878e-10;
    const EXP_LO: f64 = -746.0;
    const EXP_HI: f64 = 710.0;
    const EXPM1_LO: f64 = -64.0;
    // tools/fit_math.py, EXPM1 f64: relative error of expm1 2^-55.52.
    const EXP_TAIL: &'static [f64] = &[
        0.5000000000000006,
        0.16666666666666602,
        0.04166666666657391,
        0.008333333333381645,
        0.0013888888932253175,
        0.00019841269735727002,
        2.4801504611038513e-05,
        2.7557392950912717e-06,
        2.7626258981231734e-07,
        2.5058293083368572e-08,
    ];

    #[inline(always)]
    fn power_of_two(rounded: f64, add: i32) -> f64 {
        f64::from_bits((rounded.to_bits() << 52).wrapping_add(((1023 + add) as u64) << 52))
    }
}
