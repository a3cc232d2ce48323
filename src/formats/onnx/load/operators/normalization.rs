//! Layer and batch normalization.

use ndarray::ArrayD;

use crate::float::Float;
use crate::formats::onnx::load::item::{Held, Item, Kind};
use crate::formats::onnx::load::{Importer, Made};
use crate::formats::onnx::node::Node;
use crate::graph::AnyLayer;
use crate::graph::ops::normalization::{BatchNormalization, LayerNormalization, Normalization, Statistics};
use crate::graph::shape::axis_at;
use crate::graph::tensor::in_row_order;

impl<'f, T: Float> Importer<'f, T> {
    pub(super) fn batch_normalization(&mut self, node: &Node<'f>) -> Made<Item<T>> {
        let epsilon = node.float("epsilon", 1e-5)?;
        let momentum = node.float("momentum", 0.9)?;
        if node.flag("training_mode", false)? || !node.flag("spatial", true)? {
            return Err(node
                .refuse("its training_mode must be 0, and its spatial 1: export the model in inference")
                .into());
        }
        let held = self.floats_held(node)?;
        if held.axes.len() < 2 {
            return Err(node.refuse("its input must have an axis for the channels").into());
        }
        let held = self.bring_last(node, &held, 1)?;
        let features = self.features(node, &held)?;
        let mut weights = Vec::new();
        for (place, name) in ["X", "scale", "B", "mean", "var"].into_iter().enumerate().skip(1) {
            weights.push(self.vector(node, place, name, features)?);
        }
        let [gamma, beta, mean, variance] =
            <[ArrayD<T>; 4]>::try_from(weights).map_err(|_| node.refuse("it has no weights"))?;
        let statistics = Statistics::moving(mean, variance, T::from_f64(epsilon), Some(momentum));
        let mut all =
            Normalization { axes: vec![-1], shape: vec![features], gamma: Some(gamma), beta: Some(beta), statistics };
        all.fold();
        let tensor = self.call(node, "", AnyLayer::from(BatchNormalization(all)), &[held.tensor])?[0];
        Ok(Item::Held(Held { tensor, ..held }))
    }

    pub(super) fn layer_normalization(&mut self, node: &Node<'f>) -> Made<Item<T>> {
        let (axis, epsilon) = (node.int("axis", -1)?, node.float("epsilon", 1e-5)?);
        if node.int("stash_type", 1)? != 1 {
            return Err(node.refuse("its stash_type must be 1").into());
        }
        let held = self.floats_held(node)?;
        let rank = held.axes.len();
        if rank == 0 || axis_at(axis, rank) != Some(rank - 1) {
            return Err(node.refuse("it is supported over the last axis alone").into());
        }
        let held = self.bring_last(node, &held, rank - 1)?;
        let features = self.features(node, &held)?;
        let gamma = Some(self.vector(node, 1, "Scale", features)?);
        let beta = if node.input(2).is_some() { Some(self.vector(node, 2, "B", features)?) } else { None };
        let statistics = Statistics::Own { epsilon };
        let all = Normalization { axes: vec![-1], shape: vec![features], gamma, beta, statistics };
        let tensor = self.call(node, "", AnyLayer::from(LayerNormalization(all)), &[held.tensor])?[0];
        Ok(Item::Held(Held { tensor, ..held }))
    }

    /// The first input, which must be a tensor of floats.
    pub(super) fn floats_held(&mut self, node: &Node<'f>) -> Made<Held> {
        match self.need(node, 0)? {
            Item::Held(held) if held.kind == Kind::Float => Ok(held),
            _ => Err(node.refuse("its first input must be floats that come from an input").into()),
        }
    }

    /// The size of the tensor's last axis.
    fn features(&self, node: &Node<'f>, held: &Held) -> Made<usize> {
        let last = held.stored.last().and_then(|axis| axis.size.as_known());
        match last {
            Some(features) if features > 0 => Ok(features),
            _ => Err(node.refuse("the number of its features must be known, and above 0").into()),
        }
    }

    /// Constants, one for each feature.
    fn vector(&self, node: &Node<'f>, place: usize, name: &str, features: usize) -> Made<ArrayD<T>> {
        let value = self.known(node, place, name)?;
        if value.shape() != [features] {
            let found = value.shape();
            return Err(node.refuse(format!("its {name} must have the shape [{features}], found {found:?}")).into());
        }
        Ok(in_row_order(&value.floats()))
    }
}
