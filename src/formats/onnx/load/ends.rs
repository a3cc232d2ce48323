//! Where a graph begins and ends: its inputs and outputs, whose arrays have their axes in the file's order.

use super::super::messages::{Dimension, ValueInfo};
use super::super::node::Node;
use super::super::tensor::{NumberKind, kind_of, type_name};
use super::assume::Assumed;
use super::item::{Axis, Held, Item, Kind};
use super::size::Size;
use super::{Importer, Made};
use crate::float::Float;
use crate::formats::error::Problem;
use crate::graph::assembly::Refusal;
use crate::graph::outside::Outside;
use crate::graph::{InputKind, Model};

impl<T: Float> Importer<'_, T> {
    pub(super) fn add_inputs(&mut self) -> Made<()> {
        let graph = &self.file.model.graph;
        for (at, info) in graph.inputs.iter().enumerate() {
            // Files of the first versions have the weights among the inputs.
            if graph.initializers.iter().all(|stored| stored.name != info.name) {
                self.add_input(at, info)?;
            }
        }
        match self.assembly.model.inputs.is_empty() {
            false => Ok(()),
            true => Err(wrong("input", "", "the graph has none").into()),
        }
    }

    fn add_input(&mut self, at: usize, info: &'_ ValueInfo) -> Made<()> {
        let graph = &self.file.model.graph;
        let info_name = &graph.inputs[at].name;
        let refuse = |reason: &str| wrong("input", &info.name, reason);
        let kind = kind_of(info.element).ok_or_else(|| {
            refuse(&format!("tensors of numbers and flags are read, not of {}", type_name(info.element)))
        })?;
        let Some(shape) = &graph.inputs[at].shape else {
            return Err(refuse("its number of axes isn't in the file: run onnx.shape_inference.infer_shapes").into());
        };
        if shape.is_empty() {
            return Err(refuse("it is a single number, without an axis for the batch").into());
        }
        let Assumed { batch, time } = self.assume.input(at);
        let rank = shape.len();
        let time = time.filter(|&time| time < rank && Some(time) != batch);
        let others = (0..rank).filter(|&axis| Some(axis) != batch && Some(axis) != time);
        let order: Vec<usize> = batch.into_iter().chain(time).chain(others).collect();
        let mut axes: Vec<Axis> = Vec::new();
        if batch.is_none() {
            axes.push(Size::ONE.into());
        }
        for &axis in &order {
            let size = self.size_of(&shape[axis]);
            axes.push(Axis { size, origin: Some((at, axis)) });
        }
        let own = axes.len() - rank;
        let places: Vec<usize> =
            (0..rank).map(|axis| own + order.iter().position(|&other| other == axis).unwrap_or(0)).collect();
        let known: Vec<Option<usize>> = axes.iter().map(|axis| axis.size.as_known()).collect();
        let told = shape.iter().map(|size| if let Dimension::Size(size) = size { Some(*size) } else { None });
        let outside = Outside { places: places.clone(), shape: told.collect() };
        let inside = [&[None], &known[1..]].concat();
        let (kind, input_kind) = match kind {
            NumberKind::Float => (Kind::Float, InputKind::Float { through_f32: false }),
            NumberKind::Int { min, max } => (Kind::Int, InputKind::Int { min, max }),
            NumberKind::Bool => (Kind::Bool, InputKind::Bool),
        };
        let name = self.new_name(&info.name, "");
        let part = self.assembly.add_input_layer(&name);
        let tensor =
            self.assembly.add_input(info.name.clone(), inside, input_kind, part).map_err(|refusal| match refusal {
                Refusal::Call(misfit) => refuse(&format!("it must be {}", misfit.expected)),
                Refusal::TooMany { what, given, most } => {
                    Problem::Limit { what, limit: most as u64, given: given as u64 }
                }
            })?;
        if let Some(spec) = self.assembly.model.inputs.last_mut() {
            spec.outside = Some(outside).filter(|outside| !outside.is_plain());
        }
        let axes_of_value = places.into_iter().map(|place| vec![place]).collect();
        self.values.insert(info_name, Item::Held(Held { tensor, kind, stored: axes, axes: axes_of_value }));
        Ok(())
    }

    fn size_of(&mut self, size: &Dimension) -> Size {
        match size {
            Dimension::Size(size) => Size::known(*size),
            Dimension::Named(name) => {
                let graph = &self.file.model.graph;
                let mut dimensions = graph.inputs.iter().flat_map(|input| input.shape.iter().flatten());
                let own = dimensions.find_map(|other| match other {
                    Dimension::Named(other) if other == name => Some(&other[..]),
                    _ => None,
                });
                let Some(own) = own else { return self.new_size() };
                if let Some(&number) = self.sizes.get(own) {
                    return Size::unknown(number);
                }
                let size = self.new_size();
                self.sizes.insert(own, self.unknown - 1);
                size
            }
            Dimension::Any => self.new_size(),
        }
    }

    /// A size of which nothing is known.
    pub(super) fn new_size(&mut self) -> Size {
        self.unknown += 1;
        Size::unknown(self.unknown - 1)
    }

    /// The model with its outputs.
    pub(super) fn finish(mut self) -> Made<Model<T>> {
        let outputs = &self.file.model.graph.outputs;
        if outputs.is_empty() {
            return Err(wrong("output", "", "the graph has none").into());
        }
        let (mut tensors, mut names, mut outsides) = (vec![], vec![], vec![]);
        for info in outputs {
            let held = match self.values.get(&info.name[..]) {
                Some(Item::Held(held)) => held.clone(),
                Some(Item::Part(_)) => {
                    return Err(
                        wrong("output", &info.name, "it is quantized, which is read within a graph alone").into()
                    );
                }
                Some(_) => return Err(wrong("output", &info.name, "it is the same whatever the inputs are").into()),
                None => return Err(wrong("output", &info.name, "no node makes it").into()),
            };
            let proto = super::super::messages::NodeProto {
                name: info.name.clone(),
                operator: "output".into(),
                ..Default::default()
            };
            let order = held.natural_order();
            let batch = held.batch_axis();
            let arranged = self.arrange(&Node::new(&proto, self.file.opset()), &held, &order)?;
            let shape: Vec<Option<usize>> =
                arranged.axes.iter().map(|parts| arranged.stored[parts[0]].size.as_known()).collect();
            if batch.is_none() && arranged.stored[0].size.as_known() != Some(1) {
                return Err(wrong("output", &info.name, "it has no axis for the batch").into());
            }
            tensors.push(arranged.tensor);
            names.push(info.name.clone());
            outsides.push(Outside { places: arranged.axes.iter().map(|parts| parts[0]).collect(), shape });
        }
        let mut model = self.assembly.finish(tensors, names);
        if outsides.iter().any(|outside| !outside.is_plain()) {
            model.outside = outsides.into_iter().map(|outside| Some(outside).filter(|own| !own.is_plain())).collect();
        }
        Ok(model)
    }
}

fn wrong(what: &'static str, name: &str, reason: &str) -> Problem {
    Problem::OnnxValue { what, name: name.into(), reason: reason.into() }
}
