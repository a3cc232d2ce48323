//! QuantizeLinear and DequantizeLinear.
//!
//! Of constants they are computed when the file is read. A pair of them rounds a value: before and behind a layer in
//! fewer bits it is passed over, because that layer rounds what it reads by itself; elsewhere the model rounds as it says.

use std::rc::Rc;

use ndarray::{ArrayD, Zip};

use crate::float::Float;
use crate::formats::error::Found;
use crate::formats::onnx::load::item::{Fixed, Held, Item, Kind, Part, PartIs};
use crate::formats::onnx::load::size::Size;
use crate::formats::onnx::load::{Importer, Made};
use crate::formats::onnx::messages::{Attribute, NodeProto};
use crate::formats::onnx::node::Node;
use crate::formats::onnx::tensor::{NumberKind, kind_of, type_name};
use crate::graph::ops::binary::Two;
use crate::graph::ops::cast::Cast;
use crate::graph::ops::unary::{Function, Unary};
use crate::graph::shape::axis_at;
use crate::graph::tensor::Value;

/// ONNX's numbers of types.
const FLOAT: i64 = 1;
const UINT8: i64 = 2;

impl<'f, T: Float> Importer<'f, T> {
    pub(super) fn quantize_linear(&mut self, node: &Node<'f>) -> Made<Item<T>> {
        node.most_inputs(3)?;
        node.ignore("saturate"); // of floats of 8 bits
        let range = self.range_of(node)?;
        match self.need(node, 0)? {
            Item::Held(of) if of.kind == Kind::Float => {
                let fixed = self.fixed(node, &of, range)?;
                Ok(Item::Part(Part { of, is: PartIs::Fixed(Rc::new(fixed)) }))
            }
            Item::Known(Value::Float(floats)) => {
                self.charge(floats.len())?;
                let axis = self.axis_of(node, floats.ndim())?;
                let scales = self.scales(node, 1, axis, floats.shape())?;
                let zeros = self.zeros(node, 2, axis, floats.shape())?;
                let zeros = zeros.unwrap_or_else(|| ArrayD::zeros(vec![1; floats.ndim()]));
                let refuse = || node.refuse("its scales and zero points don't fit");
                let scales = scales.broadcast(floats.raw_dim()).ok_or_else(refuse)?;
                let zeros = zeros.broadcast(floats.raw_dim()).ok_or_else(refuse)?;
                let mut whole = ArrayD::zeros(floats.raw_dim());
                Zip::from(&mut whole).and(&floats).and(&scales).and(&zeros).for_each(|whole, &x, &scale, &zero| {
                    // As ONNX Runtime: halves to the even one, then the zero point.
                    let rounded = (x / T::from_f64(scale.into())).into_f64().round_ties_even();
                    *whole = (rounded as i64).saturating_add(zero).clamp(range[0], range[1]);
                });
                Ok(Item::Known(Value::Int(whole.into_shared())))
            }
            _ => Err(node.refuse("its first input must be floats").into()),
        }
    }

    pub(super) fn dequantize_linear(&mut self, node: &Node<'f>) -> Made<Item<T>> {
        node.most_inputs(3)?;
        let to = node.int("output_dtype", 0)?;
        if to != 0 && to != FLOAT {
            return Err(node.refuse(format!("its output_dtype must be float32, found {}", type_name(to))).into());
        }
        let done = node.output(0).is_some_and(|name| self.dequantized.contains(name));
        match self.need(node, 0)? {
            item if done => {
                self.axis_of(node, item.rank())?;
                Ok(item)
            }
            Item::Known(Value::Int(numbers)) => {
                let axis = self.axis_of(node, numbers.ndim())?;
                let made = self.scaled(node, &numbers.to_owned(), [1, 2], axis)?.what;
                if let (Some(name), Some(bytes)) = (node.output(0), made.bytes) {
                    self.bytes.insert(name, Rc::new(bytes));
                }
                Ok(Item::Known(Value::Float(made.floats.into_shared())))
            }
            Item::Part(Part { of, is: PartIs::Fixed(fixed) }) => {
                let own = self.fixed(node, &of, fixed.range)?;
                if own != *fixed {
                    let reason = "its scale and zero point must be those of the QuantizeLinear before it";
                    return Err(node.refuse(reason).into());
                }
                match self.is_of_bytes(node, &of) {
                    true => Ok(Item::Held(of)),
                    false => self.rounded_as_told(node, of, &fixed),
                }
            }
            Item::Held(of) if of.kind == Kind::Int => {
                let fixed = self.fixed(node, &of, [i64::MIN, i64::MAX])?;
                let tensor = self.one(node, "cast", Cast::Float, of.tensor)?;
                let whole = Item::Held(Held { tensor, kind: Kind::Float, ..of });
                let from_zero = self.two(node, Two::Subtract, Kind::Float, &whole, &zeros_of(&fixed))?;
                self.two(node, Two::Multiply, Kind::Float, &from_zero, &scales_of(&fixed))
            }
            _ => Err(node.refuse("its first input must be whole numbers").into()),
        }
    }

    /// The axis along which scales are.
    fn axis_of(&self, node: &Node<'f>, rank: usize) -> Found<Option<usize>> {
        if node.int("block_size", 0)? != 0 {
            return Err(node.refuse("its block_size must be 0: scales of blocks aren't supported"));
        }
        let axis = node.int("axis", 1)?;
        Ok(axis_at(axis, rank))
    }

    /// The least and the largest whole number of what QuantizeLinear gives.
    fn range_of(&self, node: &Node<'f>) -> Found<[i64; 2]> {
        let told = node.int("output_dtype", 0)?;
        let element = match node.input(2) {
            None if told == 0 => UINT8,
            None => told,
            Some(name) => {
                self.element_of(name).ok_or_else(|| node.refuse("its zero point must be a constant of the file"))?
            }
        };
        match kind_of(element) {
            Some(NumberKind::Int { min, max }) if max <= u16::MAX.into() => Ok([min, max]),
            _ => Err(node.refuse(format!("it can't quantize to {}", type_name(element)))),
        }
    }

    /// ONNX's number of the type of a constant.
    fn element_of(&self, name: &str) -> Option<i64> {
        let graph = &self.file.model.graph;
        if let Some(stored) = graph.initializers.iter().find(|stored| stored.name == name) {
            return Some(stored.element);
        }
        let maker = graph.nodes.iter().find(|node| node.outputs.first().is_some_and(|output| output == name))?;
        match maker.attributes.get("value") {
            Some(Attribute::Tensor(stored)) if maker.operator == "Constant" => Some(stored.element),
            _ => None,
        }
    }

    /// Scales and zero points of a tensor.
    fn fixed(&self, node: &Node<'f>, of: &Held, range: [i64; 2]) -> Made<Fixed> {
        let rank = of.axes.len();
        let axis = self.axis_of(node, rank)?;
        let count = self.known(node, 1, "scale")?.shape().iter().product();
        let size = |axis: usize| of.size(axis).as_ref().and_then(Size::as_known).unwrap_or(count);
        let shape: Vec<usize> = (0..rank).map(size).collect();
        let scales = self.scales(node, 1, axis, &shape)?;
        let zeros = self.zeros(node, 2, axis, &shape)?;
        if !scales.iter().all(|scale| *scale > 0.0 && scale.is_finite()) {
            return Err(node.refuse("its scales must be above 0").into());
        }
        let zeros = zeros.unwrap_or_else(|| ArrayD::zeros(scales.raw_dim()));
        if zeros.shape() != scales.shape() {
            return Err(node.refuse("it must have as many zero points as scales").into());
        }
        Ok(Fixed { scales, zeros, range })
    }

    /// Whether a pair that ends here stands before or behind layers in fewer bits.
    fn is_of_bytes(&self, node: &Node<'f>, of: &Held) -> bool {
        if size_of::<T>() != size_of::<f32>() {
            return false;
        }
        let Some(name) = node.output(0) else { return false };
        let graph = &self.file.model.graph;
        let given = graph.outputs.iter().any(|output| output.name == name);
        let mut readers = graph.nodes.iter().filter(|node| node.inputs.iter().any(|input| input == name)).peekable();
        let is_read = readers.peek().is_some();
        self.of_bytes.contains(&of.tensor) || is_read && !given && readers.all(|reader| self.takes_bytes(reader, name))
    }

    /// Whether a node with this first input becomes a layer in fewer bits.
    fn takes_bytes(&self, reader: &NodeProto, name: &str) -> bool {
        let [first, weights, ..] = &reader.inputs[..] else { return false };
        let Some(bytes) = self.bytes.get(&weights[..]).filter(|_| first == name) else { return false };
        let columns = match (&reader.operator[..], reader.attributes.get("transB")) {
            ("MatMul", _) | ("Gemm", None | Some(Attribute::Int(0))) => 1,
            ("Gemm", _) => 0,
            _ => return false,
        };
        let plain = matches!(reader.attributes.get("alpha"), None | Some(Attribute::Float(1.0)));
        plain && bytes.has_scales_along(columns)
    }

    /// Rounds a tensor to the whole numbers of a type, times their scale.
    fn rounded_as_told(&mut self, node: &Node<'f>, of: Held, fixed: &Fixed) -> Made<Item<T>> {
        let (scales, zeros) = (scales_of(fixed), zeros_of(fixed));
        let over = self.two(node, Two::Divide, Kind::Float, &Item::Held(of), &scales)?;
        let over = self.function_of(node, Function::named("round"), over)?;
        let moved = self.two(node, Two::Add, Kind::Float, &over, &zeros)?;
        let [min, max] = fixed.range.map(|end| end as f64);
        let within = self.function_of(node, Some(Function::Clip { min, max }), moved)?;
        let back = self.two(node, Two::Subtract, Kind::Float, &within, &zeros)?;
        self.two(node, Two::Multiply, Kind::Float, &back, &scales)
    }

    fn function_of(&mut self, node: &Node<'f>, function: Option<Function>, item: Item<T>) -> Made<Item<T>> {
        match (item, function) {
            (Item::Held(held), Some(function)) => {
                let tensor = self.one(node, "", Unary(function), held.tensor)?;
                Ok(Item::Held(Held { tensor, ..held }))
            }
            _ => Err(node.refuse("it can't be computed").into()),
        }
    }
}

/// As constants, one number without axes.
fn scales_of<T: Float>(fixed: &Fixed) -> Item<T> {
    constant(fixed.scales.mapv(|scale| T::from_f64(scale.into())))
}

fn zeros_of<T: Float>(fixed: &Fixed) -> Item<T> {
    constant(fixed.zeros.mapv(|zero| T::from_f64(zero as f64)))
}

fn constant<T: Float>(numbers: ArrayD<T>) -> Item<T> {
    let numbers = match numbers.first() {
        Some(&only) if numbers.len() == 1 => ArrayD::from_elem(vec![], only),
        _ => numbers,
    };
    Item::Known(Value::Float(numbers.into_shared()))
}
