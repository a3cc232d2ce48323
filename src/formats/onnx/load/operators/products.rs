//! Matrix products: with constants they are dense layers.

use ndarray::{ArrayD, Ix2};

use super::elementwise::kind_of;
use crate::activation::Activation;
use crate::error::Error;
use crate::float::Float;
use crate::formats::onnx::bytes::Bytes;
use crate::formats::onnx::file::is_own;
use crate::formats::onnx::load::item::{Held, Item, Kind};
use crate::formats::onnx::load::size::Size;
use crate::formats::onnx::load::{Importer, Made};
use crate::formats::onnx::messages::NodeProto;
use crate::formats::onnx::node::Node;
use crate::graph::AnyLayer;
use crate::graph::ops;
use crate::graph::ops::binary::Two;
use crate::graph::ops::contract::{Contract, Pattern};
use crate::graph::ops::whole_shape::BroadcastTo;
use crate::graph::tensor::Value;
use crate::initializers::Initializer;
use crate::layers::dense::Dense;
use crate::layers::quantized_dense::QuantizedDense;
use crate::precision::Precision;
use crate::weights::Packed;

impl<'f, T: Float> Importer<'f, T> {
    pub(super) fn matmul(&mut self, node: &Node<'f>) -> Made<Item<T>> {
        let (a, b) = (self.need(node, 0)?, self.need(node, 1)?);
        match (&a, &b) {
            (Item::Known(a), Item::Known(b)) => {
                let op = Contract { pattern: MATMUL, unit: None, left: None, right: None };
                Ok(Item::Known(self.compute(node, op, &[a.clone(), b.clone()])?))
            }
            (Item::Held(held), Item::Known(Value::Float(weights))) if weights.ndim() == 2 && held.axes.len() > 1 => {
                let floats = weights.as_standard_layout().into_owned();
                let bytes = self.bytes_of(node, 1).map(|bytes| (*bytes).clone());
                self.dense_with_bias(node, node, held, Kernel::new(floats, bytes))
            }
            (Item::Spread { of, shape }, Item::Known(weights)) if weights.shape().len() == 2 => {
                self.spread_product(node, of, shape, weights)
            }
            (Item::Held(left), Item::Held(right)) => self.product(node, left, right),
            _ => {
                Err(node.refuse("a product is supported of a tensor with a constant matrix, or of two tensors").into())
            }
        }
    }

    /// A dense layer of a node, with the bias that is added to what `last` gives.
    pub(super) fn dense_with_bias(
        &mut self,
        node: &Node<'f>,
        last: &Node<'f>,
        held: &Held,
        kernel: Kernel<T>,
    ) -> Made<Item<T>> {
        let (bias, done) = self.bias_behind(last, kernel.sizes()[1]).unzip();
        let made = self.dense(node, held, kernel, bias)?;
        if let Some(reader) = done.and_then(|reader| reader.outputs.first()) {
            // The sum is done with: its output is this one's.
            self.done.insert(reader);
            self.values.insert(reader, made.clone());
        }
        Ok(made)
    }

    /// Of rows that are all the same.
    fn spread_product(&mut self, node: &Node<'f>, of: &Value<T>, shape: &[Size], weights: &Value<T>) -> Made<Item<T>> {
        let (Some(&last), Some(size)) = (of.shape().last(), shape.last().and_then(Size::as_known)) else {
            return Err(node.refuse("the number of its features must be known").into());
        };
        let mut wide = of.shape().to_vec();
        if last != size
            && let Some(last) = wide.last_mut()
        {
            *last = size;
        }
        let of = self.compute(node, BroadcastTo(wide), std::slice::from_ref(of))?;
        let op = Contract { pattern: MATMUL, unit: None, left: None, right: None };
        let of = self.compute(node, op, &[of, weights.clone()])?;
        let mut shape = shape.to_vec();
        if let (Some(to), Some(&width)) = (shape.last_mut(), of.shape().last()) {
            *to = Size::known(width);
        }
        self.spread(node, of, shape)
    }

    /// What an Add adds to the product, if that is a bias.
    fn bias_behind(&self, node: &Node<'f>, width: usize) -> Option<(ArrayD<T>, &'f NodeProto)> {
        let output = node.output(0)?;
        let reader = self.only_reader(output)?;
        let plain = is_own(&reader.domain) && reader.attributes.is_empty();
        let named = matches!(&reader.outputs[..], [output] if !output.is_empty());
        if !plain || !named || reader.operator != "Add" || reader.inputs.len() != 2 {
            return None;
        }
        let other = reader.inputs.iter().find(|input| *input != output)?;
        match self.values.get(&other[..])? {
            Item::Known(Value::Float(bias)) if bias.shape() == [width] => {
                Some((bias.as_standard_layout().into_owned(), reader))
            }
            _ => None,
        }
    }

    /// A dense layer over the last axis.
    pub(super) fn dense(
        &mut self,
        node: &Node<'f>,
        held: &Held,
        kernel: Kernel<T>,
        bias: Option<ArrayD<T>>,
    ) -> Made<Item<T>> {
        let axis = held.axes.len().saturating_sub(1);
        if axis == 0 {
            return Err(node.refuse("what it multiplies must have two dimensions at least").into());
        }
        let [inputs, units] = kernel.sizes();
        if held.kind != Kind::Float {
            return Err(node.refuse("it reads whole numbers").into());
        }
        if held.size(axis).is_some_and(|size| size.as_known().is_some_and(|size| size != inputs)) {
            return Err(node.refuse(format!("its weights are for {inputs} features")).into());
        }
        let held = self.bring_last(node, held, axis)?;
        let is_bytes = matches!(kernel, Kernel::Bytes(..));
        let layer = kernel.layer(bias).map_err(|error| node.built(&error))?;
        let tensor = self.call(node, "", layer, &[held.tensor])?[0];
        if is_bytes {
            self.of_bytes.insert(tensor);
        }
        let mut held = Held { tensor, ..held };
        let place = held.stored.len() - 1;
        held.stored[place] = Size::known(units).into();
        Ok(Item::Held(held))
    }

    /// A product of two tensors, row of the batch by row.
    fn product(&mut self, node: &Node<'f>, left: &Held, right: &Held) -> Made<Item<T>> {
        let rank = left.axes.len();
        let batched = |held: &Held| held.batch_axis() == Some(0) && held.axes[0].len() == 1;
        if rank < 3 || right.axes.len() != rank || !batched(left) || !batched(right) {
            return Err(node
                .refuse(
                    "a product of two tensors is supported if both have the batch as their first axis of three or more",
                )
                .into());
        }
        let order: Vec<usize> = (1..rank).collect();
        let (left, right) = (self.arrange(node, left, &order)?, self.arrange(node, right, &order)?);
        let op = Contract { pattern: MATMUL, unit: None, left: None, right: None };
        let tensor = self.several(node, "", op, &[left.tensor, right.tensor])?;
        let mut stored = left.stored.clone();
        stored[rank - 1] = right.stored[rank - 1].clone();
        for (own, other) in stored.iter_mut().zip(&right.stored).take(rank - 2) {
            if own.size.is_one() {
                *own = other.clone();
            }
        }
        Ok(Item::Held(Held::plain(tensor, Kind::Float, stored)))
    }

    pub(super) fn gemm(&mut self, node: &Node<'f>) -> Made<Item<T>> {
        let (alpha, beta) = (node.float("alpha", 1.0)?, node.float("beta", 1.0)?);
        let (turn_a, turn_b) = (node.flag("transA", false)?, node.flag("transB", false)?);
        node.ignore("broadcast");
        let Item::Held(held) = self.need(node, 0)? else {
            return Err(node.refuse("its first input is a constant, which isn't supported").into());
        };
        if turn_a || held.axes.len() != 2 {
            return Err(node.refuse("its first input must be (rows, features), not turned around").into());
        }
        let Value::Float(weights) = self.known(node, 1, "second input")? else {
            return Err(node.refuse("its second input must be floats").into());
        };
        let weights =
            weights.into_dimensionality::<Ix2>().map_err(|_| node.refuse("its second input must be a matrix"))?;
        let weights = if turn_b { weights.reversed_axes() } else { weights };
        let bytes = self.bytes_of(node, 1).filter(|_| alpha == 1.0).map(|bytes| (*bytes).clone());
        let bytes = if turn_b { bytes.map(Bytes::turned) } else { bytes };
        let scale = |factor: f64| move |value: T| if factor == 1.0 { value } else { T::from_f64(factor) * value };
        let kernel = weights.as_standard_layout().mapv(scale(alpha)).into_dyn();
        let units = kernel.shape()[1];
        if kernel.is_empty() {
            return Err(node.refuse("its second input is empty").into());
        }
        let kernel = Kernel::new(kernel, bytes);
        let Some(added) = self.item(node, 2).cloned() else { return self.dense(node, &held, kernel, None) };
        if let Item::Known(value @ Value::Float(_)) = &added {
            let rows = value.shape().len() < 2 || value.shape()[0] == 1;
            let last = value.shape().last().copied().unwrap_or(1);
            if rows && value.shape().len() <= 2 && (last == units || last == 1) {
                let floats = value.floats();
                let bias = (0..units)
                    .map(|at| scale(beta)(floats.iter().nth(at % last).copied().unwrap_or(T::zero())))
                    .collect();
                let bias = ArrayD::from_shape_vec(vec![units], bias).map_err(|_| node.refuse("its C doesn't fit"))?;
                return self.dense(node, &held, kernel, Some(bias));
            }
        }
        if beta != 1.0 || kind_of(&added) != Some(Kind::Float) {
            return Err(node.refuse("its C must be a constant if its beta isn't 1").into());
        }
        let product = self.dense(node, &held, kernel, None)?;
        self.two(node, Two::Add, Kind::Float, &product, &added)
    }
}

/// (inputs, units): floats, or bytes with a scale for each unit.
#[derive(Debug)]
pub(super) enum Kernel<T> {
    Floats(ArrayD<T>),
    Bytes(Packed, [usize; 2]),
}

impl<T: Float> Kernel<T> {
    /// As bytes, if there are any and layers of them have such; a model of f64 has what they mean.
    pub(super) fn new(floats: ArrayD<T>, bytes: Option<Bytes>) -> Self {
        let bytes = bytes.filter(|_| size_of::<T>() == size_of::<f32>());
        match (bytes.and_then(|bytes| bytes.by_column()), floats.shape()) {
            (Some(packed), &[inputs, units]) => Kernel::Bytes(packed, [inputs, units]),
            _ => Kernel::Floats(floats),
        }
    }

    fn sizes(&self) -> [usize; 2] {
        match self {
            Kernel::Floats(kernel) => [0, 1].map(|axis| kernel.shape().get(axis).copied().unwrap_or(0)),
            Kernel::Bytes(_, sizes) => *sizes,
        }
    }

    fn layer(self, bias: Option<ArrayD<T>>) -> Result<AnyLayer<T>, Error> {
        let [inputs, units] = self.sizes();
        let builder = Dense::builder(inputs, units).use_bias(bias.is_some()).kernel_initializer(Initializer::Zeros);
        // Which checks the sizes.
        let mut layer = builder.build()?;
        match self {
            Kernel::Floats(kernel) => {
                let mut new = vec![("kernel", kernel.view())];
                new.extend(bias.as_ref().map(|bias| ("bias", bias.view())));
                layer.set_weights(&new)?;
                Ok(layer.into())
            }
            Kernel::Bytes(packed, _) => {
                let bias = bias.map(|bias| bias.iter().map(|&number| number.into_f64() as f32).collect());
                let activation = Activation::Linear;
                let layer = QuantizedDense::of_packed(Precision::Int8, (inputs, units), (&packed, bias), activation);
                let layer = ops::quantized_dense::QuantizedDense::new(layer.boxed()?);
                Ok(AnyLayer::of_operation("QuantizedDense", layer))
            }
        }
    }
}

const MATMUL: Pattern = Pattern::Matmul { transpose_left: false, transpose_right: false };
