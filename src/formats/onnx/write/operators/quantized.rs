//! Layers in fewer bits.
//!
//! `Int8` rounds inputs and states to 14 bits, which no operator does: its bytes are written with a DequantizeLinear behind
//! them, before a node of floats. `Int8Fast` rounds them to 8 bits: its LSTM is ONNX Runtime's DynamicQuantizeLSTM, and its
//! Dense what `quantize_dynamic` makes of a product; there is no such GRU or RNN, whose inputs aren't rounded then.
//!
//! Bytes that are multiplied by bytes are written unsigned, 128 more: products of unsigned and signed bytes overflow in
//! ONNX Runtime on processors without VNNI.

use ndarray::{ArrayD, Axis, concatenate};

use super::nodes::{Direction, bias_of};
use super::{Call, Outputs};
use crate::config::{Config, Value};
use crate::float::Float;
use crate::formats::gate_order::reorder;
use crate::formats::onnx::recurrent::{Cell, LSTM_IN_BYTES};
use crate::formats::onnx::write::graph::{Attribute, Constant, Held, Kind, Mask, types};
use crate::formats::onnx::write::words::{Weights, Words};
use crate::formats::onnx::write::writer::{HINT, Writer};
use crate::formats::save_error::SaveError;
use crate::precision::Precision;

/// Layers that are no recurrent ones.
pub(super) const CLASSES: [&str; 2] = ["QuantizedDense", "QuantizedEmbedding"];

/// Whether what is described can be written, as far as its bits go.
pub(in crate::formats::onnx::write) fn is_written(config: &Config) -> bool {
    let class = config.class.strip_suffix("Cell").unwrap_or(&config.class);
    let known = CLASSES.contains(&class) || matches!(class, "QuantizedLSTM" | "QuantizedGRU" | "QuantizedSimpleRNN");
    let precision = Words(config).get("precision");
    let bytes = [Precision::Int8, Precision::Int8Fast].map(|precision| Value::Text(precision.name().into()));
    known && bytes.contains(precision)
}

/// How the weights of a recurrent node are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum InBytes {
    /// As inputs of a node that multiplies bytes.
    Dynamic,
    /// By a DequantizeLinear, of a node of floats.
    Dequantized,
}

impl InBytes {
    pub(super) fn of(words: Words<'_>, cell: Cell) -> Self {
        if cell == Cell::Lstm && rounds_to_bytes(words) { InBytes::Dynamic } else { InBytes::Dequantized }
    }
}

/// Whether a layer multiplies bytes by bytes.
fn rounds_to_bytes(words: Words<'_>) -> bool {
    words.text("precision") == Precision::Int8Fast.name()
}

/// The operator, W, R, B and P, and what stands behind them.
type InNode = (&'static str, [String; 4], Vec<String>);

/// Where the zero is among unsigned bytes.
const ZERO: u8 = 128;

impl<T: Float> Writer<T> {
    pub(super) fn quantized(&mut self, words: Words<'_>, weights: &Weights<'_, T>, call: &Call) -> Outputs {
        let x = call.x();
        if words.class() == "QuantizedDense" {
            let output = self.quantized_dense(words, weights, &x)?;
            return call.passing(output);
        }
        let Some((bytes, scales)) = weights.bytes("embeddings") else { return Err(self.refuse(HINT)) };
        let ids = self.cast(&x, Kind::Int);
        let shape = [words.size("input_dim"), words.size("output_dim")];
        let table = self.dequantized("embeddings", &shape, bytes.iter().copied(), scales, 0);
        let rows = self.one("Gather", &[&table, &ids.name], &[("axis", Attribute::Int(0))]);
        let mask = words.flag("mask_zero").then(|| Mask::Flags(Box::new(self.as_flags(&x))));
        Ok(vec![Held::new(rows, Kind::Float, call.shape()).masked(mask)])
    }

    /// `activation(x kernel + bias)` of the last axis.
    pub(super) fn quantized_dense(
        &mut self,
        words: Words<'_>,
        weights: &Weights<'_, T>,
        x: &Held,
    ) -> Result<Held, SaveError> {
        let x = self.as_floats(x);
        let Some((bytes, scales)) = weights.bytes("kernel") else { return Err(self.refuse(HINT)) };
        let (rows, units) = (words.size("input_size"), words.size("units"));
        let product = if rounds_to_bytes(words) {
            self.product_of_bytes(&x, [rows, units], bytes, scales)
        } else {
            let kernel = self.dequantized("kernel", &[rows, units], bytes.iter().copied(), scales, 1);
            self.one("MatMul", &[&x.name, &kernel], &[])
        };
        let mut shape = x.shape.clone();
        if let Some(last) = shape.last_mut() {
            *last = Some(units);
        }
        let mut output = Held::new(product, Kind::Float, shape);
        if let Some(bias) = weights.singles("bias") {
            let bias = self.floats("bias", &[units], bias.iter().map(|&number| T::from_f64(number.into())));
            output = self.two("Add", &output, &bias);
        }
        self.activation(&output, &self.activation_of(words, "activation")?)
    }

    /// Of inputs that are rounded to bytes by one scale.
    fn product_of_bytes(&mut self, x: &Held, sizes: [usize; 2], bytes: &[i8], scales: &[f32]) -> String {
        let kernel = self.unsigned("kernel", &sizes, bytes.iter().copied());
        let zero = self.unsigned("zero_point", &[], [0]);
        let scales = self.singles("kernel_scale", &sizes[1..], scales.iter().copied());
        let mut rounded = self.node("DynamicQuantizeLinear", &[&x.name], &[true; 3], &[]).into_iter();
        let [whole, scale, of_x] = [(); 3].map(|()| rounded.next().unwrap_or_default());
        let sums = self.one("MatMulInteger", &[&whole, &kernel, &of_x, &zero], &[]);
        let sums = self.one("Cast", &[&sums], &[("to", Attribute::Int(types::FLOAT))]);
        let scales = self.one("Mul", &[&scale, &scales], &[]);
        self.one("Mul", &[&sums, &scales], &[])
    }

    /// What directions whose weights are bytes are in a node.
    pub(super) fn weights_in_bytes(
        &mut self,
        directions: &[Direction<'_, '_, T>],
        form: InBytes,
    ) -> Result<InNode, SaveError> {
        let biases: Vec<ArrayD<T>> = directions.iter().map(|direction| bias(direction).insert_axis(Axis(0))).collect();
        let views: Vec<_> = biases.iter().map(|bias| bias.view()).collect();
        let bias = concatenate(Axis(0), &views).map(|all| self.array("B", &all).name).unwrap_or_default();
        let cell = directions.first().map_or(Cell::Lstm, |first| first.form.cell);
        let mut names = Vec::new();
        let mut behind = Vec::new();
        for (name, path) in [("W", "kernel"), ("R", "recurrent_kernel")] {
            let all: Option<Vec<_>> = directions.iter().map(|direction| matrix(direction, path)).collect();
            let all = all.ok_or_else(|| self.refuse(HINT))?;
            let Some(([rows, columns], ..)) = all.first() else { return Err(self.refuse(HINT)) };
            let (rows, columns, count) = (*rows, *columns, all.len());
            let scales: Vec<f32> = all.iter().flat_map(|(_, _, scales)| scales.iter().copied()).collect();
            if form == InBytes::Dynamic {
                let bytes = all.iter().flat_map(|(_, bytes, _)| bytes.iter().copied());
                names.push(self.unsigned(name, &[count, rows, columns], bytes));
                behind.push(self.singles(&format!("{name}_scale"), &[count, columns], scales));
                behind.push(self.unsigned(&format!("{name}_zero_point"), &[count, columns], vec![0; count * columns]));
            } else {
                // (directions, gates * units, features), of one direction.
                let turned = all.iter().flat_map(|(_, bytes, _)| {
                    (0..columns).flat_map(move |column| bytes.iter().skip(column).step_by(columns).copied())
                });
                names.push(self.dequantized(name, &[count, columns, rows], turned, &scales, 1));
            }
        }
        let mut names = names.into_iter();
        let [w, r] = [(); 2].map(|()| names.next().unwrap_or_default());
        let operator = if form == InBytes::Dynamic { LSTM_IN_BYTES } else { cell.operator() };
        Ok((operator, [w, r, bias, String::new()], behind))
    }

    /// Signed bytes, and the node that makes floats of them by scales along an axis.
    fn dequantized(
        &mut self,
        name: &str,
        shape: &[usize],
        bytes: impl IntoIterator<Item = i8>,
        scales: &[f32],
        axis: i64,
    ) -> String {
        let bytes = bytes.into_iter().map(i8::cast_unsigned).collect();
        let bytes = self.constant(name, Constant { element: types::INT8, shape: shape.to_vec(), bytes });
        let scales = self.singles(&format!("{name}_scale"), &[scales.len()], scales.iter().copied());
        self.one("DequantizeLinear", &[&bytes, &scales], &[("axis", Attribute::Int(axis))])
    }

    fn unsigned(&mut self, name: &str, shape: &[usize], bytes: impl IntoIterator<Item = i8>) -> String {
        let bytes = bytes.into_iter().map(|byte| ZERO.wrapping_add_signed(byte)).collect();
        self.constant(name, Constant { element: types::UINT8, shape: shape.to_vec(), bytes })
    }

    /// Numbers of f32, whatever the model's are.
    fn singles(&mut self, name: &str, shape: &[usize], numbers: impl IntoIterator<Item = f32>) -> String {
        let bytes = numbers.into_iter().flat_map(f32::to_le_bytes).collect();
        self.constant(name, Constant { element: types::FLOAT, shape: shape.to_vec(), bytes })
    }
}

/// The bias of a direction, as B.
fn bias<T: Float>(direction: &Direction<'_, '_, T>) -> ArrayD<T> {
    let Direction { form, words, weights, .. } = direction;
    let own = weights.singles("bias").filter(|_| words.flag("use_bias"));
    let columns = form.gates().len() * form.units;
    let bias = own.and_then(|numbers| {
        let numbers: Vec<T> = numbers.iter().map(|&number| T::from_f64(number.into())).collect();
        let shape = if numbers.len() == columns { vec![columns] } else { vec![2, columns] };
        ArrayD::from_shape_vec(shape, numbers).ok()
    });
    bias_of(form, bias)
}

/// A kernel of a direction, (rows, columns), with its scales, its gates in ONNX's order.
fn matrix<T: Float>(direction: &Direction<'_, '_, T>, path: &str) -> Option<([usize; 2], Vec<i8>, Vec<f32>)> {
    let form = &direction.form;
    let (bytes, scales) = direction.weights.bytes(path)?;
    let columns = scales.len();
    let rows = bytes.len().checked_div(columns)?;
    let places = ArrayD::from_shape_fn(vec![columns], |at| at[0]);
    let places = reorder(places.view(), Axis(0), form.gates(), form.cell.gates());
    let bytes = (0..rows).flat_map(|row| places.iter().map(move |column| bytes[row * columns + column])).collect();
    let scales = places.iter().map(|&column| scales[column]).collect();
    Some(([rows, columns], bytes, scales))
}
