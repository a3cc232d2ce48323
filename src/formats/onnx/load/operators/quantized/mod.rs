//! What onnxruntime.quantization writes: layers in fewer bits.
//!
//! Weights are bytes with scales there as here; inputs and states have 8 bits and one scale for the whole batch there
//! (of QuantizeLinear one for all calls), and 14 bits and a scale for each row and step here. So what is between
//! quantizing and a product isn't computed: it is a [`Part`], and what all of them are together is a layer.
//!
//! On the files of `tests/golden/onnx/quantized.py` layers are within 2e-4 of the range of the outputs of what the nodes
//! mean where nothing but weights is rounded; ONNX Runtime is within 1.1e-2 of that and of us.
//!
//! Layers keep whole numbers from -127 to 127. Others (-128, or unsigned ones far from their zero point) are multiplied
//! by their scales: a layer of floats, of the same numbers.
//!
//! ```text
//! linear    QuantizeLinear and DequantizeLinear of constants, and of what layers in fewer bits read or give
//! products  DynamicQuantizeLinear, MatMulInteger, Cast, Mul; DynamicQuantizeMatMul, MatMulIntegerToFloat
//! here      DynamicQuantizeLSTM
//! ```

mod linear;
mod products;

use ndarray::{ArrayD, Axis};

use super::Outputs;
use crate::float::Float;
use crate::formats::error::Found;
use crate::formats::onnx::bytes::{Bytes, Dequantized};
use crate::formats::onnx::file::is_own;
use crate::formats::onnx::load::item::{Item, PartIs};
use crate::formats::onnx::load::{Importer, Made};
use crate::formats::onnx::node::Node;
use crate::formats::onnx::recurrent::{Cell, LSTM_IN_BYTES, Recurrent, Weights};
use crate::graph::tensor::Value;

/// Operators of ONNX's own, and of ONNX Runtime's.
const OWN: [&str; 4] = ["DequantizeLinear", "DynamicQuantizeLinear", "MatMulInteger", "QuantizeLinear"];
const MICROSOFT: [&str; 5] =
    ["DequantizeLinear", LSTM_IN_BYTES, "DynamicQuantizeMatMul", "MatMulIntegerToFloat", "QuantizeLinear"];

/// Others of the same kind, which aren't read.
const OTHERS: [&str; 4] = ["ConvInteger", "QLinearConv", "QLinearMatMul", "BlockQuantizeLinear"];

/// What is said of an operator that isn't read.
pub(super) fn way_out(operator: &str) -> &'static str {
    if OTHERS.contains(&operator) {
        "this operator isn't supported: quantize with op_types_to_quantize=[\"LSTM\", \"MatMul\", \"Gather\"] and \
         quant_format=QDQ, or load the model that it was made of"
    } else {
        "this operator isn't supported"
    }
}

/// Whether a node is one of them.
pub(in crate::formats::onnx::load) fn is_one(node: &Node<'_>) -> bool {
    match &node.proto.domain[..] {
        "com.microsoft" => MICROSOFT.contains(&node.operator()),
        domain => is_own(domain) && OWN.contains(&node.operator()),
    }
}

/// What whole numbers mean, and whether one scale is that of all.
pub(super) struct Scaled<T> {
    pub(super) what: Dequantized<T>,
    pub(super) of_one_scale: bool,
}

impl<'f, T: Float> Importer<'f, T> {
    pub(super) fn quantized(&mut self, node: &Node<'f>) -> Made<Outputs<T>> {
        let one = |item: Made<Item<T>>| item.map(|item| vec![Some(item)]);
        match node.operator() {
            "DynamicQuantizeLinear" => self.dynamic_quantize_linear(node),
            "MatMulInteger" => one(self.matmul_integer(node)),
            "MatMulIntegerToFloat" => one(self.matmul_integer_to_float(node)),
            "DynamicQuantizeMatMul" => one(self.dynamic_quantize_matmul(node)),
            "QuantizeLinear" => one(self.quantize_linear(node)),
            "DequantizeLinear" => one(self.dequantize_linear(node)),
            _ => self.dynamic_quantize_lstm(node),
        }
    }

    /// Checks that what isn't computed is read by those alone that go on with it.
    pub(in crate::formats::onnx::load) fn check_parts(&self, node: &Node<'f>) -> Found<()> {
        if OTHERS.contains(&node.operator()) {
            return Ok(()); // which is refused by itself
        }
        let parts = (0..node.proto.inputs.len()).filter_map(|place| match self.item(node, place) {
            Some(Item::Part(part)) => Some((place, part)),
            _ => None,
        });
        for (place, part) in parts {
            let fits = match (&part.is, node.operator()) {
                (PartIs::Fixed(_), operator) => operator == "DequantizeLinear",
                (PartIs::Whole | PartIs::Zero, "MatMulInteger") => true,
                (PartIs::Whole | PartIs::Zero | PartIs::Scale, "MatMulIntegerToFloat") => true,
                (PartIs::Scale | PartIs::Scales(_), "Mul") => true,
                (PartIs::Sums(_), "Cast" | "Mul") => true,
                _ => false,
            };
            if !fits {
                let name = node.input(place).unwrap_or("");
                let reason = "is quantized: it is read by MatMulInteger, Cast and Mul as quantize_dynamic has them, or by \
                              DequantizeLinear; load the model that it was made of";
                return Err(node.refuse(format!("its input {name:?} {reason}")));
            }
        }
        Ok(())
    }

    /// Whole numbers by scales and zero points at these places of a node's inputs: one for all, or along an axis.
    pub(super) fn scaled(
        &mut self,
        node: &Node<'f>,
        numbers: &ArrayD<i64>,
        [scale, zero]: [usize; 2],
        axis: Option<usize>,
    ) -> Made<Scaled<T>> {
        self.charge(numbers.len())?;
        let scales = self.scales(node, scale, axis, numbers.shape())?;
        let zeros = self.zeros(node, zero, axis, numbers.shape())?;
        let of_one_scale = scales.len() == 1 && zeros.as_ref().is_none_or(|zeros| zeros.len() == 1);
        let what = Dequantized::new(numbers, &scales, zeros.as_ref());
        let what = what.ok_or_else(|| node.refuse("its scales, zero points and numbers don't fit"))?;
        Ok(Scaled { what, of_one_scale })
    }

    /// The scales of an input with as many axes as the numbers.
    fn scales(&self, node: &Node<'f>, place: usize, axis: Option<usize>, shape: &[usize]) -> Made<ArrayD<f32>> {
        let Value::Float(scales) = self.known(node, place, "scale")? else {
            return Err(node.refuse("its scale must be floats").into());
        };
        let scales = scales.mapv(|scale| scale.into_f64() as f32);
        Ok(along(node, scales, axis, shape)?)
    }

    /// The same of zero points; nothing if they are left out.
    fn zeros(&self, node: &Node<'f>, place: usize, axis: Option<usize>, shape: &[usize]) -> Made<Option<ArrayD<i64>>> {
        if node.input(place).is_none() {
            return Ok(None);
        }
        let Value::Int(zeros) = self.known(node, place, "zero point")? else {
            return Err(node.refuse("its zero point must be whole numbers").into());
        };
        Ok(Some(along(node, zeros.to_owned(), axis, shape)?))
    }

    /// W and R are (directions, features, gates * units), each with a scale for each direction, or for each column, too.
    fn dynamic_quantize_lstm(&mut self, node: &Node<'f>) -> Made<Outputs<T>> {
        let places = Cell::PEEPHOLES + 1;
        node.most_inputs(places + 4)?;
        if node.has("layout") {
            return Err(node.refuse("its attribute \"layout\" isn't known").into());
        }
        let read = Recurrent::read(node, Cell::Lstm)?;
        let w = self.turned(node, 1, [places, places + 1])?;
        let r = self.turned(node, 2, [places + 2, places + 3])?;
        let plain = |floats: &ArrayD<T>| floats.view().permuted_axes(vec![0, 2, 1]).as_standard_layout().into_owned();
        let weights = Weights {
            w: plain(&w.floats),
            r: plain(&r.floats),
            b: self.floats_if(node, 3, "B")?,
            p: self.floats_if(node, Cell::PEEPHOLES, "P")?,
            bytes: w.bytes.zip(r.bytes).map(|(w, r)| [w, r].map(Bytes::turned)),
        };
        self.over_time(node, &read, &weights)
    }

    /// The numbers of W or R with their scales.
    fn turned(&mut self, node: &Node<'f>, place: usize, [scale, zero]: [usize; 2]) -> Made<Dequantized<T>> {
        let Value::Int(numbers) = self.known(node, place, "W and R")? else {
            return Err(node.refuse("its W and R must be whole numbers").into());
        };
        let &[directions, _, columns] = numbers.shape() else {
            return Err(node.refuse("its W and R must have three dimensions").into());
        };
        self.charge(numbers.len())?;
        let Value::Float(scales) = self.known(node, scale, "scale")? else {
            return Err(node.refuse("its scale must be floats").into());
        };
        let shape: &[usize] = if scales.ndim() == 2 { &[directions, 1, columns] } else { &[directions, 1, 1] };
        let refuse = || node.refuse("its scales and zero points must be (directions), or (directions, 4 * units)");
        let scales = scales.mapv(|scale| scale.into_f64() as f32).into_shape_with_order(shape).map_err(|_| refuse())?;
        let zeros = match node.input(zero) {
            None => None,
            Some(_) => {
                let Value::Int(zeros) = self.known(node, zero, "zero point")? else { return Err(refuse().into()) };
                Some(zeros.to_owned().into_shape_with_order(shape).map_err(|_| refuse())?)
            }
        };
        Ok(Dequantized::new(&numbers.to_owned(), &scales, zeros.as_ref()).ok_or_else(refuse)?)
    }
}

/// One number, or one for each place along an axis, with as many axes as a shape has.
fn along<V: Clone>(node: &Node<'_>, of: ArrayD<V>, axis: Option<usize>, shape: &[usize]) -> Found<ArrayD<V>> {
    let mut own = vec![1; shape.len()];
    if of.len() != 1 {
        let fits = axis.filter(|&axis| of.ndim() == 1 && shape.get(axis) == Some(&of.len_of(Axis(0))));
        let axis = fits.ok_or_else(|| {
            let found = of.shape();
            node.refuse(format!("its scale and zero point must be one number, or one along its axis, found {found:?}"))
        })?;
        own[axis] = of.len();
    }
    of.as_standard_layout().into_owned().into_shape_with_order(own).map_err(|_| node.refuse("its scales don't fit"))
}
