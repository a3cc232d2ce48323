//! Products with quantized inputs, which are dense layers in fewer bits.

use std::rc::Rc;

use ndarray::ArrayD;

use crate::float::Float;
use crate::formats::onnx::bytes::Dequantized;
use crate::formats::onnx::load::item::{Held, Item, Part, PartIs, Whole};
use crate::formats::onnx::load::operators::Outputs;
use crate::formats::onnx::load::operators::products::Kernel;
use crate::formats::onnx::load::{Importer, Made};
use crate::formats::onnx::messages::NodeProto;
use crate::formats::onnx::node::Node;
use crate::graph::tensor::Value;

impl<'f, T: Float> Importer<'f, T> {
    pub(super) fn dynamic_quantize_linear(&mut self, node: &Node<'f>) -> Made<Outputs<T>> {
        node.most_inputs(1)?;
        let of = self.floats_held(node)?;
        let part = |is| Some(Item::Part(Part { of: of.clone(), is }));
        Ok(vec![part(PartIs::Whole), part(PartIs::Scale), part(PartIs::Zero)])
    }

    pub(super) fn matmul_integer(&mut self, node: &Node<'f>) -> Made<Item<T>> {
        node.most_inputs(4)?;
        let whole = Rc::new(self.whole(node, [1, 3])?);
        let of = self.rounded(node, [0, 2])?;
        Ok(Item::Part(Part { of, is: PartIs::Sums(whole) }))
    }

    /// The value of which an input is the whole numbers; the other one must be its zero points.
    fn rounded(&self, node: &Node<'f>, [whole, zero]: [usize; 2]) -> Made<Held> {
        match (self.item(node, whole), self.item(node, zero)) {
            (Some(Item::Part(own)), Some(Item::Part(zero)))
                if matches!((&own.is, &zero.is), (PartIs::Whole, PartIs::Zero)) && own.of.is_same(&zero.of) =>
            {
                Ok(own.of.clone())
            }
            _ => {
                let reason = "it is supported of what a DynamicQuantizeLinear gives, its zero point included, with a \
                              constant matrix";
                Err(node.refuse(reason).into())
            }
        }
    }

    /// The constant matrix, with its zero points.
    fn whole(&self, node: &Node<'f>, [numbers, zeros]: [usize; 2]) -> Made<Whole> {
        let Value::Int(numbers) = self.known(node, numbers, "matrix of weights")? else {
            return Err(node.refuse("its weights must be whole numbers").into());
        };
        if numbers.ndim() != 2 {
            return Err(node.refuse("its weights must be a matrix").into());
        }
        let zeros = self.zeros(node, zeros, Some(1), numbers.shape())?;
        Ok(Whole { numbers: numbers.to_owned(), zeros })
    }

    /// A Mul among whose inputs is a part of a quantized product; nothing if there is none.
    pub(in crate::formats::onnx::load::operators) fn scaled_part(&mut self, node: &Node<'f>) -> Made<Option<Item<T>>> {
        let items = [0, 1].map(|place| self.item(node, place).cloned());
        if !items.iter().flatten().any(|item| matches!(item, Item::Part(_))) {
            return Ok(None);
        }
        node.most_inputs(2)?;
        let refuse = || {
            let reason = "parts of a quantized product are supported as quantize_dynamic has them: the sums of \
                          MatMulInteger, cast, times the scale of the input times that of the weights";
            node.refuse(reason)
        };
        let [Some(a), Some(b)] = items else { return Err(refuse().into()) };
        for (place, (a, b)) in [(&a, &b), (&b, &a)].into_iter().enumerate() {
            match (a, b) {
                (Item::Part(part @ Part { is: PartIs::Scale, .. }), Item::Known(Value::Float(by))) => {
                    let by = by.mapv(|scale| scale.into_f64() as f32);
                    return Ok(Some(Item::Part(Part { of: part.of.clone(), is: PartIs::Scales(by) })));
                }
                (Item::Part(sums), Item::Part(other)) => {
                    let (PartIs::Sums(whole), PartIs::Scales(scales)) = (&sums.is, &other.is) else { continue };
                    if !sums.of.is_same(&other.of) {
                        return Err(refuse().into());
                    }
                    let kernel = self.kernel(node, whole, scales)?;
                    // The product's name is the layer's.
                    let product = node.input(place).and_then(|name| self.product_of(name));
                    let named =
                        product.map_or_else(|| Node::new(node.proto, node.opset), |own| Node::new(own, node.opset));
                    return Ok(Some(self.dense_with_bias(&named, node, &sums.of, kernel)?));
                }
                _ => {}
            }
        }
        Err(refuse().into())
    }

    /// The MatMulInteger of which a Cast gives this value.
    fn product_of(&self, name: &str) -> Option<&'f NodeProto> {
        let nodes = &self.file.model.graph.nodes;
        let maker = |name: &str| nodes.iter().find(|node| node.outputs.first().is_some_and(|output| output == name));
        let cast = maker(name)?;
        if cast.operator == "Cast" { maker(cast.inputs.first()?) } else { Some(cast) }
    }

    fn kernel(&mut self, node: &Node<'f>, whole: &Whole, scales: &ArrayD<f32>) -> Made<Kernel<T>> {
        self.charge(whole.numbers.len())?;
        let scales = super::along(node, scales.clone(), Some(1), whole.numbers.shape())?;
        let made = Dequantized::new(&whole.numbers, &scales, whole.zeros.as_ref());
        let made = made.ok_or_else(|| node.refuse("its scales, zero points and weights don't fit"))?;
        if made.floats.is_empty() {
            return Err(node.refuse("its weights are empty").into());
        }
        Ok(Kernel::new(made.floats, made.bytes))
    }

    pub(super) fn matmul_integer_to_float(&mut self, node: &Node<'f>) -> Made<Item<T>> {
        node.most_inputs(7)?;
        let of = self.rounded(node, [0, 4])?;
        let is_own = match self.item(node, 2) {
            Some(Item::Part(scale)) => matches!(scale.is, PartIs::Scale) && scale.of.is_same(&of),
            _ => false,
        };
        if !is_own {
            return Err(node.refuse("its a_scale must be that of its A").into());
        }
        self.product_with_bias(node, &of, [1, 3, 5, 6])
    }

    pub(super) fn dynamic_quantize_matmul(&mut self, node: &Node<'f>) -> Made<Item<T>> {
        node.most_inputs(5)?;
        let of = self.floats_held(node)?;
        self.product_with_bias(node, &of, [1, 2, 3, 4])
    }

    /// Of a value with the weights, their scale and zero point, and the bias at these places.
    fn product_with_bias(&mut self, node: &Node<'f>, of: &Held, places: [usize; 4]) -> Made<Item<T>> {
        let [weights, scale, zero, bias] = places;
        let whole = self.whole(node, [weights, zero])?;
        let scales = self.scales(node, scale, Some(1), whole.numbers.shape())?;
        let flat = ArrayD::from_shape_vec(vec![scales.len()], scales.into_iter().collect());
        let kernel = self.kernel(node, &whole, &flat.map_err(|_| node.refuse("its scales don't fit"))?)?;
        let bias = self.floats_if(node, bias, "bias")?;
        if bias.as_ref().is_some_and(|bias| bias.shape() != [whole.numbers.shape()[1]]) {
            return Err(node.refuse("its bias doesn't fit").into());
        }
        match bias {
            Some(bias) => self.dense(node, of, kernel, Some(bias)),
            None => self.dense_with_bias(node, node, of, kernel),
        }
    }
}
