//! What is done with two numbers, and the gradients of both.

use crate::float::Float;
use crate::math;

/// What is done with two numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Two {
    Add,
    Subtract,
    Multiply,
    Divide,
    /// Zero where the divisor is zero: TensorFlow's `divide_no_nan`.
    DivideNoNan,
    FloorDivide,
    Mod,
    Power,
    Maximum,
    Minimum,
    SquaredDifference,
    Equal,
    NotEqual,
    Greater,
    GreaterEqual,
    Less,
    LessEqual,
    And,
    Or,
    Xor,
}

impl Two {
    /// All by name.
    pub(crate) const NAMES: [(&'static str, Two); 20] = [
        ("add", Two::Add),
        ("subtract", Two::Subtract),
        ("multiply", Two::Multiply),
        ("divide", Two::Divide),
        ("divide_no_nan", Two::DivideNoNan),
        ("floor_divide", Two::FloorDivide),
        ("mod", Two::Mod),
        ("power", Two::Power),
        ("maximum", Two::Maximum),
        ("minimum", Two::Minimum),
        ("squared_difference", Two::SquaredDifference),
        ("equal", Two::Equal),
        ("not_equal", Two::NotEqual),
        ("greater", Two::Greater),
        ("greater_equal", Two::GreaterEqual),
        ("less", Two::Less),
        ("less_equal", Two::LessEqual),
        ("logical_and", Two::And),
        ("logical_or", Two::Or),
        ("logical_xor", Two::Xor),
    ];

    pub(super) fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, own)| *own == self).map_or("", |(name, _)| *name)
    }

    pub(super) fn is_logical(self) -> bool {
        matches!(self, Two::And | Two::Or | Two::Xor)
    }

    pub(crate) fn gives_flags(self) -> bool {
        let compares =
            matches!(self, Two::Equal | Two::NotEqual | Two::Greater | Two::GreaterEqual | Two::Less | Two::LessEqual);
        compares || self.is_logical()
    }

    pub(super) fn of_floats<T: Float>(self, a: T, b: T) -> T {
        match self {
            Two::Add => a + b,
            Two::Subtract => a - b,
            Two::Multiply => a * b,
            Two::Divide => a / b,
            Two::DivideNoNan if b == T::zero() => T::zero(),
            Two::DivideNoNan => a / b,
            Two::FloorDivide => (a / b).floor(),
            Two::Mod => modulo(a, b),
            Two::Power => power(a, b),
            Two::Maximum if a >= b || a.is_nan() => a,
            Two::Minimum if a <= b || a.is_nan() => a,
            Two::SquaredDifference => (a - b) * (a - b),
            // The other one of the maximum and the minimum; the rest gives flags.
            _ => b,
        }
    }

    /// Nothing where there is no result of 32 bits, at which Keras's would wrap, or none at all.
    pub(super) fn of_integers(self, a: i64, b: i64) -> Option<i64> {
        let floor = |a: i64, b: i64| {
            let (quotient, rest) = (a.checked_div(b)?, a.checked_rem(b)?);
            Some(if rest != 0 && (rest < 0) != (b < 0) { quotient - 1 } else { quotient })
        };
        let result = match self {
            Two::Add => a.checked_add(b)?,
            Two::Subtract => a.checked_sub(b)?,
            Two::Multiply => a.checked_mul(b)?,
            Two::FloorDivide => floor(a, b)?,
            Two::Mod => a.checked_sub(floor(a, b)?.checked_mul(b)?)?,
            Two::Power => a.checked_pow(u32::try_from(b).ok()?)?,
            Two::Maximum => a.max(b),
            Two::Minimum => a.min(b),
            Two::SquaredDifference => a.checked_sub(b).and_then(|difference| difference.checked_mul(difference))?,
            _ => return None,
        };
        i32::try_from(result).is_ok().then_some(result)
    }

    pub(super) fn of_flags(self, a: bool, b: bool) -> bool {
        match self {
            Two::And => a && b,
            Two::Or => a || b,
            _ => a != b,
        }
    }

    pub(crate) fn compare<A: PartialOrd>(self, a: &A, b: &A) -> bool {
        match self {
            Two::Equal => a == b,
            Two::NotEqual => a != b,
            Two::Greater => a > b,
            Two::GreaterEqual => a >= b,
            Two::Less => a < b,
            _ => a <= b,
        }
    }

    /// The gradients of both numbers from that of the result, as TensorFlow has them: equal ones of a maximum go to the
    /// first, and a power has no gradient of its exponent where the base isn't positive.
    pub(super) fn back<T: Float>(self, a: T, b: T, d: T) -> (T, T) {
        let zero = T::zero();
        match self {
            Two::Add => (d, d),
            Two::Subtract => (d, -d),
            Two::Multiply => (d * b, d * a),
            Two::Divide => (d / b, d * (-a / b / b)),
            Two::DivideNoNan if b == zero => (zero, zero),
            Two::DivideNoNan => (d / b, d * (-a / b / b)),
            Two::Mod => (d, -d * (a / b).floor()),
            Two::Power => {
                let of_exponent = if a > zero { d * power(a, b) * math::ln(a) } else { zero };
                (d * b * power(a, b - T::one()), of_exponent)
            }
            Two::Maximum if a >= b => (d, zero),
            Two::Minimum if a <= b => (d, zero),
            Two::Maximum | Two::Minimum => (zero, d),
            Two::SquaredDifference => {
                let of = (d + d) * (a - b);
                (of, -of)
            }
            _ => (zero, zero),
        }
    }
}

/// What is left of a division that is rounded down.
fn modulo<T: Float>(a: T, b: T) -> T {
    let rest = a % b;
    if (a < T::zero()) == (b < T::zero()) { rest } else { (rest + b) % b }
}

/// The exponents that are multiplied out.
const MOST_FACTORS: f64 = 64.0;

/// A power, by the crate's own functions: the same bits on every machine.
fn power<T: Float>(a: T, b: T) -> T {
    let (a, b) = (a.into_f64(), b.into_f64());
    if b == 0.0 || a == 1.0 {
        return T::one();
    }
    // As C has it.
    if b.is_infinite() {
        let grows = (a.abs() > 1.0) == (b > 0.0);
        let size = if grows { f64::INFINITY } else { 0.0 };
        return T::from_f64(if a.is_nan() {
            a
        } else if a == -1.0 {
            1.0
        } else {
            size
        });
    }
    if b == 0.5 && a.is_finite() {
        return T::from_f64(a.sqrt());
    }
    if a.is_infinite() && b.fract() != 0.0 {
        return T::from_f64(if b > 0.0 { f64::INFINITY } else { 0.0 });
    }
    if b.fract() == 0.0 && b.abs() <= MOST_FACTORS {
        let (mut product, mut square, mut left) = (1.0, a, b.abs() as u32);
        while left > 0 {
            if left & 1 == 1 {
                product *= square;
            }
            square *= square;
            left >>= 1;
        }
        return T::from_f64(if b < 0.0 { 1.0 / product } else { product });
    }
    let size = math::exp(b * math::ln(a.abs()));
    T::from_f64(match a < 0.0 {
        true if b.fract() != 0.0 => f64::NAN,
        true if (b / 2.0).fract() != 0.0 => -size,
        _ => size,
    })
}
