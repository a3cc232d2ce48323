//! The logarithm, sine and cosine behind the normal numbers: our own, so that a seed gives the same bits everywhere.
//!
//! In f32 they equal those of the C library that TensorFlow calls (glibc 2.36) for every number that TensorFlow can put
//! in: tables and coefficients are those of Arm Optimized Routines (MIT licence), from which glibc has them, and all is
//! computed in f64 and rounded once. In f64 they are Taylor series with the leading terms in two parts, a number and
//! what rounding took from it: within 0.51 units in the last place of the truth, where glibc's are within 0.52, so that
//! about 1 result in 700 differs, by one unit.

/// A number whose bits are known.
const fn bits(bits: u64) -> f64 {
    f64::from_bits(bits)
}

const LN_2: f64 = bits(0x3fe6_2e42_fefa_39ef);

/// 1/6 in two parts.
const SIXTH: (f64, f64) = (1.0 / 6.0, bits(0x3c65_5555_5555_5555));

/// 1 / c and log(c) for the middle c of each sixteenth of [0.7, 1.4].
const LOG_TABLE: [(f64, f64); 16] = [
    (bits(0x3ff6_61ec_79f8_f3be), bits(0xbfd5_7bf7_808c_aade)),
    (bits(0x3ff5_71ed_4aaf_883d), bits(0xbfd2_bef0_a7c0_6ddb)),
    (bits(0x3ff4_9539_f0f0_10b0), bits(0xbfd0_1eae_7f51_3a67)),
    (bits(0x3ff3_c995_b0b8_0385), bits(0xbfcb_31d8_a682_24e9)),
    (bits(0x3ff3_0d19_0c88_64a5), bits(0xbfc6_574f_0ac0_7758)),
    (bits(0x3ff2_5e22_7b0b_8ea0), bits(0xbfc1_aa2b_c79c_8100)),
    (bits(0x3ff1_bb4a_4a1a_343f), bits(0xbfba_4e76_ce8c_0e5e)),
    (bits(0x3ff1_2358_f08a_e5ba), bits(0xbfb1_973c_5a61_1ccc)),
    (bits(0x3ff0_953f_4199_00a7), bits(0xbfa2_52f4_38e1_0c1e)),
    (bits(0x3ff0_0000_0000_0000), bits(0x0000_0000_0000_0000)),
    (bits(0x3fee_608c_fd9a_47ac), bits(0x3faa_a5aa_5df2_5984)),
    (bits(0x3fec_a4b3_1f02_6aa0), bits(0x3fbc_5e53_aa36_2eb4)),
    (bits(0x3feb_2036_576a_fce6), bits(0x3fc5_26e5_7720_db08)),
    (bits(0x3fe9_c2d1_63a1_aa2d), bits(0x3fcb_c286_0d22_4770)),
    (bits(0x3fe8_86e6_0378_41ed), bits(0x3fd1_058b_c8a0_7ee1)),
    (bits(0x3fe7_67dc_f553_4862), bits(0x3fd4_0430_57b6_ee09)),
];

/// log(1 + r) = r + LOG[2] r² + LOG[1] r³ + LOG[0] r⁴
const LOG: [f64; 3] = [bits(0xbfd0_0ea3_48b8_8334), bits(0x3fd5_575b_0be0_0b6a), bits(0xbfdf_fffe_f20a_4123)];

/// sin(q) = q + SIN[0] q³ + SIN[1] q⁵ + SIN[2] q⁷
const SIN: [f64; 3] = [bits(0xbfc5_5554_5995_a603), bits(0x3f81_1076_0523_0bc4), bits(0xbf29_94eb_3774_cf24)];

/// cos(q) = 1 + COS[0] q² + COS[1] q⁴ + COS[2] q⁶ + COS[3] q⁸
const COS: [f64; 4] = [
    bits(0xbfdf_ffff_fd0c_621c),
    bits(0x3fa5_5553_e106_8f19),
    bits(0xbf56_c087_e89a_359d),
    bits(0x3ef9_9343_027b_f8c3),
];

/// glibc's `logf` for a positive, normal x.
pub(super) fn ln_f32(x: f32) -> f32 {
    let from_first = x.to_bits().wrapping_sub(0x3F33_0000); // how far from the start of the table
    let (inverse, log_c) = LOG_TABLE[(from_first >> 19) as usize & 15];
    let k = f64::from(from_first as i32 >> 23);
    let z = f64::from(f32::from_bits(x.to_bits().wrapping_sub(from_first & 0xFF80_0000)));
    let r = z * inverse - 1.0;
    let y = log_c + k * LN_2 + r;
    ((LOG[0] * (r * r) + (LOG[1] * r + LOG[2])) * (r * r) + y) as f32
}

/// glibc's `sinf` and `cosf` for 0 <= v < 2π.
pub(crate) fn sin_cos_f32(v: f32) -> (f32, f32) {
    let v = f64::from(v);
    let quarter = (v * std::f64::consts::FRAC_2_PI + 0.5).floor();
    let q = v - quarter * std::f64::consts::FRAC_PI_2;
    let q2 = q * q;
    let sin = q + q * q2 * SIN[0] + q * q2 * q2 * (SIN[1] + q2 * SIN[2]);
    let cos = 1.0 + q2 * COS[0] + q2 * q2 * COS[1] + q2 * q2 * q2 * (COS[2] + q2 * COS[3]);
    let (sin, cos) = turn(quarter, sin, cos);
    (sin as f32, cos as f32)
}

/// Sine and cosine of an angle plus so many quarter turns.
fn turn(quarter: f64, sin: f64, cos: f64) -> (f64, f64) {
    match quarter as i64 & 3 {
        0 => (sin, cos),
        1 => (cos, -sin),
        2 => (-sin, -cos),
        _ => (-cos, sin),
    }
}

/// The natural logarithm of a positive, normal x.
///
/// x = 2^k m with m next to 1; log(m) = 2 atanh(s) = 2 (s + s³/3 + s⁵/5 + ...) with s = (m - 1) / (m + 1).
pub(super) fn ln_f64(x: f64) -> f64 {
    const LN_2_PARTS: (f64, f64) = (bits(0x3fe6_2e42_fee0_0000), bits(0x3dea_39ef_3579_3c76)); // k times the first is exact
    const TWO_THIRDS: (f64, f64) = (4.0 * SIXTH.0, 4.0 * SIXTH.1);
    const ATANH: [f64; 11] = odd_reciprocals();

    let from_first = x.to_bits().wrapping_sub(std::f64::consts::FRAC_1_SQRT_2.to_bits());
    let k = (from_first as i64 >> 52) as f64;
    let f = f64::from_bits(x.to_bits().wrapping_sub(from_first & 0xFFF0_0000_0000_0000)) - 1.0;
    let divisor = sum(2.0, f);
    let s = f / divisor.0;
    let s = (s, ((-s).mul_add(divisor.0, f) - s * divisor.1) / divisor.0);

    let square = times(s, s);
    let cube = times(square, s);
    let (high, low) = sum(k * LN_2_PARTS.0, 2.0 * s.0);
    let first = (high, low + (k * LN_2_PARTS.1 + 2.0 * s.1));
    total(first, times(cube, TWO_THIRDS), 2.0 * cube.0 * square.0 * polynomial(&ATANH, square.0))
}

/// 1/5, 1/7, 1/9, ...
const fn odd_reciprocals() -> [f64; 11] {
    let mut terms = [0.0; 11];
    let mut i = 0;
    while i < terms.len() {
        terms[i] = 1.0 / (2 * i + 5) as f64;
        i += 1;
    }
    terms
}

/// Sine and cosine for 0 <= v < 2π.
///
/// v is so many quarter turns and q; sin(q) = q - q³/6 + q⁵/120 - ... and cos(q) = 1 - q²/2 + q⁴/24 - ...
pub(super) fn sin_cos_f64(v: f64) -> (f64, f64) {
    // π/2; up to four times the first two parts is exact.
    const HALF_PI: [f64; 3] = [bits(0x3ff9_21fb_5440_0000), bits(0x3dd0_b461_1a60_0000), bits(0x3ba3_198a_2e03_7073)];
    const MINUS_SIXTH: (f64, f64) = (-SIXTH.0, -SIXTH.1);
    const TWENTY_FOURTH: (f64, f64) = (SIXTH.0 / 4.0, SIXTH.1 / 4.0);
    const SIN: [f64; 8] = factorial_reciprocals(5);
    const COS: [f64; 8] = factorial_reciprocals(6);

    let quarter = (v * std::f64::consts::FRAC_2_PI + 0.5).floor();
    let (q, q_low) = sum(v - quarter * HALF_PI[0], -quarter * HALF_PI[1]);
    let q = (q, q_low - quarter * HALF_PI[2]);

    let square = times(q, q);
    let cube = times(square, q);
    let sin = total(q, times(cube, MINUS_SIXTH), cube.0 * square.0 * polynomial(&SIN, square.0));

    let fourth = times(square, square);
    let (high, low) = sum(1.0, -0.5 * square.0);
    let first = (high, low - 0.5 * square.1);
    let cos = total(first, times(fourth, TWENTY_FOURTH), -fourth.0 * square.0 * polynomial(&COS, square.0));
    turn(quarter, sin, cos)
}

/// 1/n!, -1/(n + 2)!, 1/(n + 4)!, ...
const fn factorial_reciprocals(n: u64) -> [f64; 8] {
    let mut terms = [0.0; 8];
    let mut factorial = 1.0;
    let mut next = 1;
    let mut i = 0;
    while i < terms.len() {
        while next <= n + 2 * i as u64 {
            factorial *= next as f64; // exact up to 22!
            next += 1;
        }
        terms[i] = if i % 2 == 0 { 1.0 / factorial } else { -1.0 / factorial };
        i += 1;
    }
    terms
}

/// a + b, and what rounding took from it (Knuth).
fn sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let b_in_sum = sum - a;
    (sum, (a - (sum - b_in_sum)) + (b - b_in_sum))
}

/// The product of two numbers in two parts each.
fn times(a: (f64, f64), b: (f64, f64)) -> (f64, f64) {
    let product = a.0 * b.0;
    let rounded_off = a.0.mul_add(b.0, -product);
    (product, rounded_off + (a.0 * b.1 + a.1 * b.0))
}

/// The sum of two numbers in two parts each and a small third one, rounded once.
fn total(a: (f64, f64), b: (f64, f64), small: f64) -> f64 {
    let (high, low) = sum(a.0, b.0);
    high + (low + (a.1 + b.1 + small))
}

/// `coefficients[0] + coefficients[1] x + ...`
fn polynomial(coefficients: &[f64], x: f64) -> f64 {
    coefficients.iter().rev().fold(0.0, |sum, &coefficient| sum * x + coefficient)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers of [0, 1), evenly spread.
    fn units() -> impl Iterator<Item = f64> {
        (0..100_000).map(|i| (f64::from(i) * 0.618_033_988_749_894_9).fract())
    }

    fn assert_ulps(given: f64, reference: f64, of: &str) {
        let ulps = (given.to_bits() as i64 - reference.to_bits() as i64).abs();
        assert!(ulps <= 2, "{of}: {given} is not {reference}");
    }

    #[test]
    fn f64_functions_agree_with_the_platform_s() {
        for u in units() {
            let x = u.max(1e-7);
            assert_ulps(ln_f64(x), x.ln(), "ln");
            let angle = std::f64::consts::TAU * u;
            let (sin, cos) = sin_cos_f64(angle);
            assert_ulps(sin, angle.sin(), "sin");
            assert_ulps(cos, angle.cos(), "cos");
        }
    }

    #[test]
    fn f32_functions_are_the_f64_ones_rounded_but_for_rare_last_places() {
        let mut unequal = 0;
        for u in units() {
            let x = u.max(1e-7) as f32;
            unequal += i32::from(ln_f32(x) != ln_f64(x.into()) as f32);
            let angle = (std::f64::consts::TAU * u) as f32;
            let (sin, cos) = sin_cos_f64(angle.into());
            unequal += i32::from(sin_cos_f32(angle) != (sin as f32, cos as f32));
        }
        assert!((1..4000).contains(&unequal), "{unequal}");
    }

    #[test]
    fn angles_at_the_quarters() {
        use std::f64::consts::{FRAC_PI_2, PI};
        for (angle, (sin, cos)) in
            [(0.0, (0.0, 1.0)), (FRAC_PI_2, (1.0, 6.123233995736766e-17)), (PI, (1.2246467991473532e-16, -1.0))]
        {
            assert_eq!(sin_cos_f64(angle), (sin, cos));
        }
        assert_eq!(ln_f64(1.0), 0.0);
        assert_eq!(ln_f32(1.0), 0.0);
    }
}
