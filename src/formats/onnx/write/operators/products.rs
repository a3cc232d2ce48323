//! Sums of products: those of two values, and dense layers along any axes.

use super::{Call, Outputs};
use crate::float::Float;
use crate::formats::onnx::write::graph::{Attribute, Held, Kind};
use crate::formats::onnx::write::words::{Weights, Words};
use crate::formats::onnx::write::writer::{HINT, Writer};
use crate::formats::save_error::SaveError;
use crate::graph::shape::axis_at;

pub(super) const CLASSES: [&str; 2] = ["Contract", "EinsumDense"];

impl<T: Float> Writer<T> {
    pub(super) fn products(&mut self, words: Words<'_>, weights: &Weights<'_, T>, call: &Call) -> Outputs {
        if words.class() == "EinsumDense" {
            return self.einsum_dense(words, weights, call);
        }
        let all = self.operands(words, &["left", "right"], call)?;
        let [a, b] = &all[..] else { return Err(self.refuse(HINT)) };
        let (mut a, mut b) = (self.as_floats(a), self.as_floats(b));
        let output = match words.text("pattern") {
            "matmul" => {
                for (own, flag) in [(&mut a, "transpose_left"), (&mut b, "transpose_right")] {
                    if words.flag(flag) {
                        let mut order: Vec<usize> = (0..own.rank()).collect();
                        let rank = order.len();
                        order.swap(rank.saturating_sub(2), rank.saturating_sub(1));
                        *own = self.transpose(own, &order);
                    }
                }
                self.plain_product(words, a, b)?
            }
            "dot" if a.rank() <= 2 && b.rank() <= 2 && a.rank() > 0 && b.rank() > 0 => {
                self.plain_product(words, a, b)?
            }
            "batch" => self.batch_product(words, call, a, b)?,
            "einsum" if words.is_null("unit") => {
                let equation = words.text("subscripts").replace(' ', "");
                self.einsum(&equation, &a, &b)
            }
            other => return Err(self.refuse_option("pattern", other, HINT)),
        };
        Ok(vec![output])
    }

    fn plain_product(&mut self, words: Words<'_>, a: Held, b: Held) -> Result<Held, SaveError> {
        if !words.is_null("unit") {
            return Err(self.refuse_option("unit", words.number("unit"), HINT));
        }
        Ok(Held::new(self.one("MatMul", &[&a.name, &b.name], &[]), Kind::Float, vec![]))
    }

    fn einsum(&mut self, equation: &str, a: &Held, b: &Held) -> Held {
        let equation = [("equation", Attribute::Text(equation.into()))];
        Held::new(self.one("Einsum", &[&a.name, &b.name], &equation), Kind::Float, vec![])
    }

    /// Keras's layer Dot: along one axis of each, row by row.
    fn batch_product(&mut self, words: Words<'_>, call: &Call, a: Held, b: Held) -> Result<Held, SaveError> {
        let axes = [("left_axis", &a), ("right_axis", &b)].map(|(name, of)| axis_at(words.integer(name), of.rank()));
        let [Some(left), Some(right)] = axes else { return Err(self.refuse(HINT)) };
        let (mut a, mut b) = (a, b);
        if !words.is_null("unit") {
            let least = words.number("unit");
            (a, b) = (self.unit(&a, &[left], least), self.unit(&b, &[right], least));
        }
        // Letters: z for the rows, y for the axis along which is summed.
        let letters = |rank: usize, summed: usize, first: u8| -> String {
            let letter = |axis: usize| match axis {
                0 => 'z',
                axis if axis == summed => 'y',
                axis => char::from(first + axis as u8),
            };
            (0..rank).map(letter).collect()
        };
        let (left, right) = (letters(a.rank(), left, b'a'), letters(b.rank(), right, b'k'));
        let kept = |letters: &str| letters.chars().filter(|&letter| letter != 'y' && letter != 'z').collect::<String>();
        let result = format!("z{}{}", kept(&left), kept(&right));
        let output = self.einsum(&format!("{left},{right}->{result}"), &a, &b);
        let output = Held { shape: vec![None; result.len()], ..output };
        Ok(if result.len() == 1 && call.shape().len() == 2 { self.unsqueeze(&output, 1) } else { output })
    }

    fn einsum_dense(&mut self, words: Words<'_>, weights: &Weights<'_, T>, call: &Call) -> Outputs {
        let x = self.as_floats(&call.x());
        let kernel = self.array("kernel", &weights.get("kernel"));
        let product = self.einsum(&words.text("equation").replace(' ', ""), &x, &kernel);
        let mut output = Held { shape: call.shape(), ..product };
        if let Some(bias) = weights.find("bias") {
            let bias = self.array("bias", &bias);
            output = self.two("Add", &output, &bias);
        }
        let output = self.activation(&output, &self.activation_of(words, "activation")?)?;
        Ok(vec![output])
    }
}
