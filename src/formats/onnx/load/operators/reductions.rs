//! Operators that make one number of all along some axes.

use ndarray::ArrayD;

use crate::float::Float;
use crate::formats::onnx::load::item::{Axis, Held, Item, Kind, Numbers};
use crate::formats::onnx::load::size::Num;
use crate::formats::onnx::load::{Importer, Made};
use crate::formats::onnx::node::Node;
use crate::graph::ops::reduce::{All, Reduce};
use crate::graph::ops::unary::{Function, Plain, Unary};
use crate::graph::shape::axis_at;

/// What an operator makes of all numbers along some axes.
pub(super) fn reduction(operator: &str) -> Option<All> {
    Some(match operator {
        "ReduceMean" => All::Mean,
        "ReduceSum" => All::Sum,
        "ReduceMax" => All::Max,
        "ReduceMin" => All::Min,
        "ReduceProd" => All::Prod,
        "ReduceL2" => All::Norm,
        "ReduceLogSumExp" => All::LogSumExp,
        "ArgMax" => All::ArgMax,
        "ArgMin" => All::ArgMin,
        _ => return None,
    })
}

impl<'f, T: Float> Importer<'f, T> {
    pub(super) fn reduce(&mut self, node: &Node<'f>, how: All) -> Made<Item<T>> {
        let item = self.need(node, 0)?;
        let (rank, keeps) = (item.rank(), node.flag("keepdims", true)?);
        let places = matches!(how, All::ArgMax | All::ArgMin);
        let axes = if places {
            let axis = node.int("axis", 0)?;
            if node.flag("select_last_index", false)? {
                return Err(node.refuse("its select_last_index must be 0").into());
            }
            vec![axis_at(axis, rank).ok_or_else(|| node.refuse(format!("there is no axis {axis}")))?]
        } else {
            let does_nothing = node.flag("noop_with_empty_axes", false)?;
            let axes = self.axes(node, 1, rank)?.filter(|axes| !axes.is_empty());
            match axes {
                None if does_nothing => return Ok(item),
                None => (0..rank).collect(),
                Some(axes) => axes,
            }
        };
        let held = match item {
            Item::Known(value) => {
                let axes = axes.iter().map(|&axis| axis as i64).collect();
                return Ok(Item::Known(self.compute(node, Reduce::new(how, Some(axes), keeps), &[value])?));
            }
            Item::Held(held) => held,
            Item::Numbers(numbers) if how == All::Prod && axes.len() == numbers.places.ndim() => {
                return self.product_of_numbers(node, &numbers, keeps);
            }
            _ => return Err(node.refuse("it reads sizes that aren't known before a call").into()),
        };
        self.reduce_held(node, held, how, &axes, keeps)
    }

    /// The product of whole numbers, sizes among them.
    fn product_of_numbers(&self, node: &Node<'f>, numbers: &Numbers, keeps: bool) -> Made<Item<T>> {
        let product = numbers.iter().try_fold(Num::Known(1), |product, number| product.times(number));
        let product = product.ok_or_else(|| node.refuse("it multiplies sizes that aren't known before a call"))?;
        let shape = if keeps { vec![1; numbers.places.ndim()] } else { vec![] };
        Ok(Numbers { places: ArrayD::zeros(shape), table: vec![product] }.into_item())
    }

    /// The same of a tensor.
    pub(super) fn reduce_held(
        &mut self,
        node: &Node<'f>,
        held: Held,
        how: All,
        axes: &[usize],
        keeps: bool,
    ) -> Made<Item<T>> {
        let parts: Vec<usize> = axes.iter().flat_map(|&axis| held.axes[axis].clone()).collect();
        if parts.contains(&0) {
            return Err(node.refuse("it works along the axis of the batch, which isn't supported").into());
        }
        if held.kind == Kind::Bool {
            return Err(node.refuse("it reads flags").into());
        }
        let places = matches!(how, All::ArgMax | All::ArgMin);
        let held = if places { self.single(node, &held, axes[0])? } else { held };
        let parts: Vec<usize> = if places { held.axes[axes[0]].clone() } else { parts };
        let kind = if places { Kind::Int } else { held.kind };
        if how == All::Mean && kind == Kind::Int {
            return Err(node.refuse("a mean of whole numbers isn't supported").into());
        }
        let mut tensor = held.tensor;
        if !parts.is_empty() {
            let along = parts.iter().map(|&part| part as i64).collect();
            tensor = self.one(node, "", Reduce::new(how, Some(along), false), tensor)?;
        } else if how == All::Norm {
            const ABSOLUTE: &Plain = Plain::named("absolute");
            tensor = self.one(node, "", Unary(Function::Plain(ABSOLUTE)), tensor)?;
        }
        let left: Vec<usize> = (0..held.stored.len()).filter(|part| !parts.contains(part)).collect();
        let stored: Vec<Axis> = left.iter().map(|&part| held.stored[part].clone()).collect();
        let place = |part: &usize| left.iter().position(|own| own == part);
        let own = |axis: usize| held.axes[axis].iter().filter_map(place).collect::<Vec<_>>();
        let rank = held.axes.len();
        let axes = (0..rank).filter(|axis| keeps || !axes.contains(axis)).map(own).collect();
        Ok(Item::Held(Held { tensor, kind, stored, axes }))
    }
}
