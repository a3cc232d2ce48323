//! Activations as nodes on each element. Those of an f64 model are written by functions that ONNX Runtime has in f64.

use super::graph::{Attribute, Held, Kind};
use super::writer::{HINT, Writer};
use crate::activation::Activation;
use crate::float::Float;
use crate::formats::save_error::SaveError;

impl<T: Float> Writer<T> {
    /// An activation of floats.
    pub(super) fn activation(&mut self, x: &Held, activation: &Activation) -> Result<Held, SaveError> {
        let x = &self.as_floats(x);
        if let Some(made) = self.of_row(x, activation) {
            return Ok(made);
        }
        if let Some(made) = self.by_operator(x, activation) {
            return Ok(made);
        }
        Ok(match *activation {
            Activation::Linear => x.clone(),
            Activation::Clipped { bound, ref of } => {
                let clipped = self.clip(x, -bound, bound);
                self.activation(&clipped, of)?
            }
            Activation::Custom(ref custom) => {
                let (what, name) = ("activation", custom.name().into());
                return Err(SaveError::Custom { layer: self.path.clone(), what, name });
            }
            _ => match self.bent(x, activation) {
                Some(made) => made,
                None => match self.smooth(x, activation) {
                    Some(made) => made,
                    None => return Err(self.refuse_option("activation", activation, HINT)),
                },
            },
        })
    }

    /// Those that look at a whole row.
    fn of_row(&mut self, x: &Held, activation: &Activation) -> Option<Held> {
        let last = [("axis", Attribute::Int(-1))];
        match activation {
            Activation::Softmax => Some(self.same("Softmax", x, &last)),
            Activation::LogSoftmax => Some(self.same("LogSoftmax", x, &last)),
            Activation::Glu => {
                let axis = x.rank().checked_sub(1)?;
                let half = (*x.shape.get(axis)?)? / 2;
                let halves = [(0, half as i64, 1), (half as i64, 2 * half as i64, 1)];
                let [values, gates] = halves.map(|part| self.slice(x, axis, part));
                let gates = self.same("Sigmoid", &gates, &[]);
                Some(self.two("Mul", &values, &gates))
            }
            _ => None,
        }
    }

    /// Those that are one of ONNX's operators.
    fn by_operator(&mut self, x: &Held, activation: &Activation) -> Option<Held> {
        let alpha = |alpha: f64| vec![("alpha", Attribute::Float(alpha as f32))];
        let (operator, attributes) = match *activation {
            Activation::Relu => ("Relu", vec![]),
            Activation::Tanh => ("Tanh", vec![]),
            Activation::Sigmoid => ("Sigmoid", vec![]),
            Activation::Exponential => ("Exp", vec![]),
            // Of f32 alone in ONNX Runtime.
            _ if self.is_double() => return None,
            Activation::LeakyRelu { negative_slope } => ("LeakyRelu", alpha(negative_slope)),
            Activation::Elu { alpha: of } => ("Elu", alpha(of)),
            Activation::Celu { alpha: of } => ("Celu", alpha(of)),
            Activation::Selu => ("Selu", vec![]),
            Activation::Softplus => ("Softplus", vec![]),
            Activation::Softsign => ("Softsign", vec![]),
            Activation::HardSigmoid => {
                ("HardSigmoid", vec![("alpha", Attribute::Float(1.0 / 6.0)), ("beta", Attribute::Float(0.5))])
            }
            Activation::HardSigmoidWith { slope, offset } => (
                "HardSigmoid",
                vec![("alpha", Attribute::Float(slope as f32)), ("beta", Attribute::Float(offset as f32))],
            ),
            _ => return None,
        };
        Some(self.same(operator, x, &attributes))
    }

    /// Those of straight pieces.
    fn bent(&mut self, x: &Held, activation: &Activation) -> Option<Held> {
        Some(match *activation {
            Activation::Relu6 => self.clip(x, 0.0, 6.0),
            Activation::HardTanh => self.clip(x, -1.0, 1.0),
            Activation::HardSigmoid => self.hard(x, 1.0 / 6.0, 0.5),
            Activation::HardSigmoidWith { slope, offset } => self.hard(x, slope, offset),
            Activation::SparseSigmoid => self.hard(x, 0.5, 0.5),
            Activation::HardSilu => {
                let gate = self.hard(x, 1.0 / 6.0, 0.5);
                self.two("Mul", x, &gate)
            }
            Activation::Affine { slope, offset } => self.affine(x, slope, offset),
            // Keras's slope and edges are f32 in f64, too.
            Activation::LeakyRelu { negative_slope } => {
                let below = self.with_number("Mul", x, f64::from(negative_slope as f32));
                self.above(x, 0.0, x, &below)
            }
            Activation::ReluWith { negative_slope, max_value, threshold } => {
                let edge = f64::from(threshold as f32);
                let upper = match max_value {
                    // What is cut off below zero becomes zero.
                    Some(most) if most < 0.0 || threshold < 0.0 => {
                        let most = self.with_number("Min", x, f64::from(most as f32));
                        self.with_number("Max", &most, 0.0)
                    }
                    Some(most) => self.with_number("Min", x, f64::from(most as f32)),
                    None => x.clone(),
                };
                let below = match negative_slope {
                    0.0 => self.number(0.0),
                    slope => {
                        let moved = self.with_number("Sub", x, threshold);
                        self.with_number("Mul", &moved, slope)
                    }
                };
                self.above(x, edge, &upper, &below)
            }
            Activation::Threshold { threshold, default_value } => {
                let otherwise = self.number(default_value);
                self.above(x, threshold, x, &otherwise)
            }
            // Below zero both of its sides would overlap.
            Activation::SoftShrink { threshold } if threshold >= 0.0 => {
                let sign = self.same("Sign", x, &[]);
                let by = self.with_number("Mul", &sign, threshold);
                let moved = self.two("Sub", x, &by);
                self.shrunk(x, threshold, &moved)
            }
            Activation::HardShrink { threshold } => self.shrunk(x, threshold, x),
            _ => return None,
        })
    }

    /// All others.
    fn smooth(&mut self, x: &Held, activation: &Activation) -> Option<Held> {
        Some(match *activation {
            Activation::Elu { alpha } | Activation::Celu { alpha } => {
                let by = if matches!(activation, Activation::Celu { .. }) { alpha } else { 1.0 };
                self.exponential_unit(x, alpha, by)
            }
            Activation::Selu => {
                let unit = self.exponential_unit(x, 1.673_263_242_354_377_2, 1.0);
                self.with_number("Mul", &unit, 1.050_700_987_355_480_5)
            }
            Activation::Softplus => self.softplus(x),
            Activation::LogSigmoid => {
                let negative = self.same("Neg", x, &[]);
                let soft = self.softplus(&negative);
                self.same("Neg", &soft, &[])
            }
            Activation::Softsign => {
                let size = self.same("Abs", x, &[]);
                let below = self.with_number("Add", &size, 1.0);
                self.two("Div", x, &below)
            }
            Activation::Squareplus { b } => {
                let square = self.two("Mul", x, x);
                let sum = self.with_number("Add", &square, b);
                let root = self.same("Sqrt", &sum, &[]);
                let twice = self.two("Add", x, &root);
                self.with_number("Mul", &twice, 0.5)
            }
            Activation::TanhShrink => {
                let tanh = self.same("Tanh", x, &[]);
                self.two("Sub", x, &tanh)
            }
            Activation::ScaledTanh { scale, slope } => {
                let inner = self.with_number("Mul", x, slope);
                let tanh = self.same("Tanh", &inner, &[]);
                self.with_number("Mul", &tanh, scale)
            }
            Activation::Silu => {
                let gate = self.same("Sigmoid", x, &[]);
                self.two("Mul", x, &gate)
            }
            Activation::Mish => {
                let soft = self.softplus(x);
                let tanh = self.same("Tanh", &soft, &[]);
                self.two("Mul", x, &tanh)
            }
            Activation::Gelu { approximate } => self.gelu(x, approximate),
            Activation::SparsePlus => {
                let moved = self.with_number("Add", x, 1.0);
                let square = self.two("Mul", &moved, &moved);
                let middle = self.with_number("Mul", &square, 0.25);
                let zero = self.number(0.0);
                let lower = self.above(x, -1.0, &middle, &zero);
                self.above(x, 1.0, x, &lower)
            }
            _ => return None,
        })
    }

    fn affine(&mut self, x: &Held, slope: f64, offset: f64) -> Held {
        let scaled = self.with_number("Mul", x, slope);
        self.with_number("Add", &scaled, offset)
    }

    /// `slope * x + offset` between 0 and 1.
    fn hard(&mut self, x: &Held, slope: f64, offset: f64) -> Held {
        let line = self.affine(x, slope, offset);
        self.clip(&line, 0.0, 1.0)
    }

    /// One value where `x` is above an edge, another one elsewhere.
    fn above(&mut self, x: &Held, edge: f64, then: &Held, otherwise: &Held) -> Held {
        let above = self.with_number("Greater", x, edge);
        self.choose(&above, then, otherwise)
    }

    /// Zero within a threshold.
    fn shrunk(&mut self, x: &Held, threshold: f64, beyond: &Held) -> Held {
        let size = self.same("Abs", x, &[]);
        let zero = self.number(0.0);
        self.above(&size, threshold, beyond, &zero)
    }

    /// `x` above zero, `alpha * (exp(x / by) - 1)` below.
    fn exponential_unit(&mut self, x: &Held, alpha: f64, by: f64) -> Held {
        let below = self.with_number("Min", x, 0.0);
        let inner = if by == 1.0 { below } else { self.with_number("Div", &below, by) };
        let power = self.same("Exp", &inner, &[]);
        let less = self.with_number("Sub", &power, 1.0);
        let curve = self.with_number("Mul", &less, alpha);
        self.above(x, 0.0, x, &curve)
    }

    /// `ln(exp(x) + 1)`, in f64 by `max(x, 0) + ln(exp(-|x|) + 1)`.
    fn softplus(&mut self, x: &Held) -> Held {
        if !self.is_double() {
            return self.same("Softplus", x, &[]);
        }
        let size = self.same("Abs", x, &[]);
        let inner = self.same("Neg", &size, &[]);
        let power = self.same("Exp", &inner, &[]);
        let sum = self.with_number("Add", &power, 1.0);
        let curve = self.same("Log", &sum, &[]);
        let line = self.same("Relu", x, &[]);
        self.two("Add", &line, &curve)
    }

    fn gelu(&mut self, x: &Held, approximate: bool) -> Held {
        let gate = match approximate {
            true => {
                let square = self.two("Mul", x, x);
                let cube = self.two("Mul", &square, x);
                let small = self.with_number("Mul", &cube, f64::from(0.044_715_f32));
                let sum = self.two("Add", x, &small);
                let inner = self.with_number("Mul", &sum, (2.0 / std::f64::consts::PI).sqrt());
                self.same("Tanh", &inner, &[])
            }
            false => {
                let inner = self.with_number("Mul", x, f64::from(std::f32::consts::FRAC_1_SQRT_2));
                self.same("Erf", &inner, &[])
            }
        };
        let gate = self.with_number("Add", &gate, 1.0);
        let half = self.with_number("Mul", x, 0.5);
        self.two("Mul", &half, &gate)
    }

    /// Flags of what isn't zero.
    pub(super) fn as_flags(&mut self, x: &Held) -> Held {
        self.cast(x, Kind::Bool)
    }
}
