//! Constants, shapes as numbers, types.

use ndarray::ArrayD;

use super::Outputs;
use crate::float::Float;
use crate::formats::onnx::load::item::{Held, Item, Kind, Numbers};
use crate::formats::onnx::load::size::{Num, Size};
use crate::formats::onnx::load::{Importer, Made};
use crate::formats::onnx::node::Node;
use crate::formats::onnx::tensor::{NumberKind, is_narrow, kind_of, type_name};
use crate::graph::ops::cast::Cast;
use crate::graph::tensor::Value;

impl<'f, T: Float> Importer<'f, T> {
    pub(super) fn constant(&mut self, node: &Node<'f>) -> Made<Item<T>> {
        let bytes = &self.file.bytes;
        let ints = |numbers: &[i64], shape: &[usize]| {
            let array = ArrayD::from_shape_vec(shape, numbers.to_vec());
            array.map(|array| Item::Known(Value::Int(array.into_shared()))).map_err(|_| node.refuse("it has no value"))
        };
        let floats = |numbers: &[f32], shape: &[usize]| {
            let numbers = numbers.iter().map(|&number| T::from_f64(number.into())).collect();
            let array = ArrayD::from_shape_vec(shape, numbers);
            array
                .map(|array| Item::Known(Value::Float(array.into_shared())))
                .map_err(|_| node.refuse("it has no value"))
        };
        if let Some(stored) = node.tensor("value")? {
            return Ok(Item::Known(stored.value(bytes)?));
        }
        if let Some(number) = node.int_if("value_int")? {
            return Ok(ints(&[number], &[])?);
        }
        if let Some(numbers) = node.ints("value_ints")? {
            return Ok(ints(numbers, &[numbers.len()])?);
        }
        if let Some(number) = node.float_if("value_float")? {
            return Ok(floats(&[number as f32], &[])?);
        }
        if let Some(numbers) = node.floats("value_floats")? {
            return Ok(floats(numbers, &[numbers.len()])?);
        }
        Err(node.refuse("a constant is read if it is a tensor, numbers or a number").into())
    }

    pub(super) fn constant_of_shape(&mut self, node: &Node<'f>) -> Made<Item<T>> {
        let shape = self.sizes_of(node, 0)?;
        let value = match node.tensor("value")? {
            Some(stored) => stored.value(&self.file.bytes)?,
            None => Value::Float(ArrayD::zeros(vec![1]).into_shared()),
        };
        let one = vec![1; shape.len()];
        let of = self.reshaped(node, &value, &one)?;
        self.spread(node, of, shape)
    }

    /// An array spread along axes of one to a shape: numbers if they are few and known, else as it is.
    pub(super) fn spread(&mut self, node: &Node<'f>, of: Value<T>, shape: Vec<Size>) -> Made<Item<T>> {
        let known: Option<Vec<usize>> = shape.iter().map(Size::as_known).collect();
        match known {
            Some(known) if known == of.shape() => Ok(Item::Known(of)),
            // Shapes are computed with; what is large stays small.
            Some(known) if known.iter().copied().fold(1, usize::saturating_mul) <= MOST_COMPUTED => {
                let spread = crate::graph::ops::whole_shape::BroadcastTo(known);
                Ok(Item::Known(self.compute(node, spread, &[of])?))
            }
            _ => Ok(Item::Spread { of, shape }),
        }
    }

    /// The numbers in row order in another shape.
    pub(super) fn reshaped(&mut self, node: &Node<'f>, value: &Value<T>, shape: &[usize]) -> Made<Value<T>> {
        let sizes = shape.iter().map(|&size| i64::try_from(size).unwrap_or(i64::MAX)).collect();
        let reshape = crate::graph::ops::whole_shape::ReshapeAll(sizes);
        Ok(self.compute(node, reshape, std::slice::from_ref(value))?)
    }

    pub(super) fn range(&mut self, node: &Node<'f>) -> Made<Item<T>> {
        let mut ends = [0; 3];
        for (place, end) in ends.iter_mut().enumerate() {
            let numbers = self.numbers_of(node, place)?;
            let known = numbers.iter().next().and_then(Num::as_known);
            *end = known.ok_or_else(|| node.refuse("whole numbers that are known before a call are read here"))?;
        }
        let [start, limit, delta] = ends;
        let count = match delta {
            0 => return Err(node.refuse("its delta must not be 0").into()),
            delta => {
                (limit.saturating_sub(start)).saturating_add(delta - delta.signum()).checked_div(delta).unwrap_or(0)
            }
        };
        let count = usize::try_from(count).unwrap_or(0);
        if count > MOST_COMPUTED {
            return Err(node.refuse(format!("it has {count} numbers, which are too many")).into());
        }
        self.charge(count)?;
        let numbers = (0..count as i64).map(|at| Num::Known(start.wrapping_add(at.wrapping_mul(delta)))).collect();
        Ok(Numbers::row(numbers).into_item())
    }

    pub(super) fn shape_of(&mut self, node: &Node<'f>) -> Made<Item<T>> {
        let shape = self.need(node, 0)?.shape().ok_or_else(|| node.refuse("a shape is too large"))?;
        let (start, end) = (node.int("start", 0)?, node.int_if("end")?);
        let rank = shape.len() as i64;
        let place = |at: i64| (if at < 0 { at.saturating_add(rank) } else { at }).clamp(0, rank) as usize;
        let (start, end) = (place(start), end.map_or(shape.len(), place));
        let numbers = shape.get(start..end.max(start)).unwrap_or(&[]).iter().cloned().map(Num::from).collect();
        Ok(Numbers::row(numbers).into_item())
    }

    pub(super) fn size_of_all(&mut self, node: &Node<'f>) -> Made<Item<T>> {
        let shape = self.need(node, 0)?.shape();
        let size = shape.and_then(|shape| Size::product(shape.iter()));
        let size = size.ok_or_else(|| node.refuse("a shape is too large"))?;
        Ok(Numbers { places: ArrayD::zeros(vec![]), table: vec![size.into()] }.into_item())
    }

    /// The whole numbers of an input, which may be sizes.
    pub(super) fn numbers_of(&self, node: &Node<'f>, place: usize) -> Made<Numbers> {
        let item = self.need(node, place)?;
        let what =
            || node.refuse(format!("its input number {place} must be whole numbers that are known before a call"));
        Ok(item.numbers().ok_or_else(what)?)
    }

    /// The numbers of an input that must be known.
    pub(super) fn integers_of(&self, node: &Node<'f>, place: usize) -> Made<Vec<i64>> {
        let numbers = self.numbers_of(node, place)?;
        let known: Option<Vec<i64>> = numbers.iter().map(Num::as_known).collect();
        let what = || node.refuse(format!("its input number {place} must be known before a call"));
        Ok(known.ok_or_else(what)?)
    }

    /// An input's numbers as sizes.
    pub(super) fn sizes_of(&self, node: &Node<'f>, place: usize) -> Made<Vec<Size>> {
        let numbers = self.numbers_of(node, place)?;
        let sizes: Option<Vec<Size>> = numbers.iter().map(Num::size).collect();
        Ok(sizes.ok_or_else(|| node.refuse("a size is negative, or a sum of one that isn't known"))?)
    }

    /// The array of an input that must be a constant.
    pub(super) fn known(&self, node: &Node<'f>, place: usize, what: &str) -> Made<Value<T>> {
        match self.need(node, place)? {
            Item::Known(value) => Ok(value),
            _ => Err(node.refuse(format!("its {what} must be a constant")).into()),
        }
    }

    /// In inference it hands on what it gets.
    pub(super) fn dropout(&mut self, node: &Node<'f>) -> Made<Outputs<T>> {
        node.ignore("ratio");
        node.ignore("seed");
        node.ignore("is_test");
        let training = match self.item(node, 2) {
            None => false,
            Some(Item::Known(flag)) => flag.flags().iter().any(|&flag| flag),
            Some(_) => true,
        };
        if training {
            return Err(node
                .refuse("its training_mode must be false: export the model in inference (model.eval())")
                .into());
        }
        Ok(vec![Some(self.need(node, 0)?), None])
    }

    pub(super) fn cast(&mut self, node: &Node<'f>) -> Made<Item<T>> {
        let to = node.int("to", 0)?;
        node.ignore("saturate");
        let name = type_name(to);
        let Some(kind) = kind_of(to) else {
            return Err(node.refuse(format!("a cast to {name} isn't supported")).into());
        };
        if is_narrow(to) {
            return Err(node
                .refuse(format!("a cast to {name} rounds, which isn't supported: export the model in float32"))
                .into());
        }
        let item = self.need(node, 0)?;
        let (cast, kind) = match kind {
            NumberKind::Float => (Cast::Float, Kind::Float),
            NumberKind::Int { .. } => (Cast::Int, Kind::Int),
            NumberKind::Bool => (Cast::Bool, Kind::Bool),
        };
        match item {
            item @ (Item::Numbers(_) | Item::Repeated { .. }) if kind == Kind::Int => Ok(item),
            Item::Numbers(_) | Item::Repeated { .. } => {
                Err(node.refuse("sizes that aren't known before a call can't be cast").into())
            }
            Item::Known(value) => Ok(Item::Known(self.compute(node, cast, &[value])?)),
            Item::Spread { of, shape } => Ok(Item::Spread { of: self.compute(node, cast, &[of])?, shape }),
            Item::Part(part) if kind == Kind::Float => Ok(Item::Part(part)),
            Item::Part(_) => Err(node.refuse("a quantized product is cast to floats alone").into()),
            Item::Held(held) if held.kind == kind => Ok(Item::Held(held)),
            Item::Held(held) => {
                let tensor = self.one(node, "", cast, held.tensor)?;
                Ok(Item::Held(Held { tensor, kind, ..held }))
            }
        }
    }
}

/// The most numbers that are made of a few.
const MOST_COMPUTED: usize = 1 << 12;
