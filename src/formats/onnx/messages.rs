//! ONNX's messages, as far as they are needed: models, graphs, nodes, attributes, values.

use std::collections::BTreeMap;

use super::protobuf::{Field, Fields};
use super::tensor::Stored;
use crate::formats::error::{Found, Problem, within};
use crate::formats::limits::Limits;

/// A model.
#[derive(Debug, Default)]
pub(super) struct ModelProto {
    pub(super) producer: String,
    pub(super) producer_version: String,
    pub(super) ir_version: i64,
    /// The versions of the sets of operators, by their domains; ONNX's own is empty.
    pub(super) opsets: BTreeMap<String, i64>,
    pub(super) graph: GraphProto,
    pub(super) functions: usize,
}

/// A graph.
#[derive(Debug, Default)]
pub(super) struct GraphProto {
    pub(super) name: String,
    pub(super) nodes: Vec<NodeProto>,
    pub(super) initializers: Vec<Stored>,
    pub(super) inputs: Vec<ValueInfo>,
    pub(super) outputs: Vec<ValueInfo>,
    pub(super) sparse_initializers: usize,
}

/// A call of an operator.
#[derive(Debug, Default)]
pub(super) struct NodeProto {
    pub(super) inputs: Vec<String>,
    pub(super) outputs: Vec<String>,
    pub(super) name: String,
    pub(super) operator: String,
    pub(super) domain: String,
    pub(super) attributes: BTreeMap<String, Attribute>,
}

/// The value of an attribute.
#[derive(Debug)]
pub(super) enum Attribute {
    Float(f32),
    Int(i64),
    Text(Vec<u8>),
    Tensor(Box<Stored>),
    Floats(Vec<f32>),
    Ints(Vec<i64>),
    Texts(Vec<Vec<u8>>),
    /// A graph, a sparse tensor, a type, a reference: its name in ONNX.
    Other(&'static str),
}

/// What is known of a value: an input or an output.
#[derive(Debug, Default)]
pub(super) struct ValueInfo {
    pub(super) name: String,
    /// ONNX's number of the type of its elements; zero if it isn't a tensor.
    pub(super) element: i64,
    /// The sizes, if any are told.
    pub(super) shape: Option<Vec<Dimension>>,
}

/// A size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Dimension {
    Size(usize),
    /// Any, by a name that others may have, too.
    Named(String),
    Any,
}

/// How much there may be of what.
struct Budget<'l> {
    limits: &'l Limits,
    objects: usize,
}

impl Budget<'_> {
    fn object(&mut self) -> Found<()> {
        self.objects += 1;
        within("objects", self.objects, self.limits.objects)
    }
}

impl ModelProto {
    pub(super) fn read(bytes: &[u8], limits: &Limits) -> Found<Self> {
        let budget = &mut Budget { limits, objects: 0 };
        let (mut model, mut graphs) = (ModelProto::default(), 0);
        each(&mut Fields::new(bytes), |number, field| {
            match number {
                1 => model.ir_version = field.integer()?,
                2 => model.producer = field.text()?,
                3 => model.producer_version = field.text()?,
                7 => {
                    graphs += 1;
                    model.graph = graph(&mut field.message()?, budget)?;
                }
                8 => {
                    budget.object()?;
                    let (domain, version) = opset(&mut field.message()?)?;
                    model.opsets.insert(domain, version);
                }
                25 => model.functions += 1,
                _ => {}
            }
            Ok(())
        })?;
        match graphs {
            1 => Ok(model),
            0 => Err(Problem::Format { found: "no model of ONNX's is in it", hint: "torch.onnx.export writes one" }),
            _ => Err(Problem::Protobuf { at: 0, reason: "there are two graphs" }),
        }
    }

    /// The version of ONNX's own operators.
    pub(super) fn opset(&self) -> i64 {
        let own = ["", "ai.onnx"].iter().find_map(|&domain| self.opsets.get(domain));
        own.copied().unwrap_or(1)
    }
}

/// Calls `each` with every field.
fn each<'a>(fields: &mut Fields<'a>, mut each: impl FnMut(u64, Field<'a>) -> Found<()>) -> Found<()> {
    while let Some((number, field)) = fields.next()? {
        each(number, field)?;
    }
    Ok(())
}

fn opset(fields: &mut Fields<'_>) -> Found<(String, i64)> {
    let (mut domain, mut version) = (String::new(), 0);
    each(fields, |number, field| {
        match number {
            1 => domain = field.text()?,
            2 => version = field.integer()?,
            _ => {}
        }
        Ok(())
    })?;
    Ok((domain, version))
}

fn graph(fields: &mut Fields<'_>, budget: &mut Budget<'_>) -> Found<GraphProto> {
    let mut graph = GraphProto::default();
    each(fields, |number, field| {
        match number {
            1 => {
                within("calls", graph.nodes.len() + 1, budget.limits.calls)?;
                graph.nodes.push(node(&mut field.message()?, budget)?);
            }
            2 => graph.name = field.text()?,
            5 => {
                within("tensors", graph.initializers.len() + 1, budget.limits.tensors)?;
                graph.initializers.push(Stored::read(&mut field.message()?)?);
            }
            11 => {
                budget.object()?;
                graph.inputs.push(value_info(&mut field.message()?)?);
            }
            12 => {
                budget.object()?;
                graph.outputs.push(value_info(&mut field.message()?)?);
            }
            15 => graph.sparse_initializers += 1,
            _ => {}
        }
        Ok(())
    })?;
    Ok(graph)
}

fn node(fields: &mut Fields<'_>, budget: &mut Budget<'_>) -> Found<NodeProto> {
    let mut node = NodeProto::default();
    each(fields, |number, field| {
        match number {
            1 | 2 => {
                budget.object()?;
                let values = if number == 1 { &mut node.inputs } else { &mut node.outputs };
                values.push(field.text()?);
            }
            3 => node.name = field.text()?,
            4 => node.operator = field.text()?,
            5 => {
                budget.object()?;
                let (name, value) = attribute(&mut field.message()?, budget)?;
                if node.attributes.insert(name, value).is_some() {
                    return Err(Problem::Protobuf { at: 0, reason: "a node has two attributes of one name" });
                }
            }
            7 => node.domain = field.text()?,
            _ => {}
        }
        Ok(())
    })?;
    Ok(node)
}

/// What the parts of an attribute's message hold.
#[derive(Default)]
struct Parts {
    name: String,
    kind: i64,
    float: f32,
    int: i64,
    text: Vec<u8>,
    tensor: Option<Stored>,
    floats: Vec<f32>,
    ints: Vec<i64>,
    texts: Vec<Vec<u8>>,
    /// Fields that are there.
    seen: Vec<u64>,
}

fn attribute(fields: &mut Fields<'_>, budget: &mut Budget<'_>) -> Found<(String, Attribute)> {
    let mut parts = Parts::default();
    each(fields, |number, field| {
        if !parts.seen.contains(&number) && (2..=23).contains(&number) {
            parts.seen.push(number);
        }
        match number {
            1 => parts.name = field.text()?,
            2 => parts.float = field.float()?,
            3 => parts.int = field.integer()?,
            4 => parts.text = field.bytes()?.0.to_vec(),
            5 => parts.tensor = Some(Stored::read(&mut field.message()?)?),
            7 => field.add_floats(&mut parts.floats)?,
            8 => field.add_integers(&mut parts.ints)?,
            9 => {
                budget.object()?;
                parts.texts.push(field.bytes()?.0.to_vec());
            }
            20 => parts.kind = field.integer()?,
            // Its value would be another one's: of a function that calls this node.
            21 => return Err(Problem::Protobuf { at: 0, reason: "an attribute refers to one of a function" }),
            _ => {}
        }
        Ok(())
    })?;
    let name = std::mem::take(&mut parts.name);
    Ok((name, parts.value()))
}

impl Parts {
    fn value(self) -> Attribute {
        // Files of the first versions don't say the kind; then it is what is there.
        let kind = match self.kind {
            0 => {
                let of = |field: u64| {
                    [(2, 1), (3, 2), (4, 3), (5, 4), (7, 6), (8, 7), (9, 8)].iter().find(|of| of.0 == field)
                };
                self.seen.iter().find_map(|&field| of(field)).map_or(0, |(_, kind)| *kind)
            }
            kind => kind,
        };
        match kind {
            1 => Attribute::Float(self.float),
            2 => Attribute::Int(self.int),
            3 => Attribute::Text(self.text),
            4 => self.tensor.map_or(Attribute::Other("TENSOR"), |tensor| Attribute::Tensor(Box::new(tensor))),
            5 | 10 => Attribute::Other("GRAPH"),
            6 => Attribute::Floats(self.floats),
            7 => Attribute::Ints(self.ints),
            8 => Attribute::Texts(self.texts),
            11 | 12 => Attribute::Other("SPARSE_TENSOR"),
            _ => Attribute::Other("UNDEFINED"),
        }
    }
}

fn value_info(fields: &mut Fields<'_>) -> Found<ValueInfo> {
    let mut info = ValueInfo::default();
    each(fields, |number, field| match number {
        1 => {
            info.name = field.text()?;
            Ok(())
        }
        2 => each(&mut field.message()?, |number, field| match number {
            // A tensor; sequences, maps and others keep the zero.
            1 => each(&mut field.message()?, |number, field| {
                match number {
                    1 => info.element = field.integer()?,
                    2 => info.shape = Some(shape(&mut field.message()?)?),
                    _ => {}
                }
                Ok(())
            }),
            _ => Ok(()),
        }),
        _ => Ok(()),
    })?;
    Ok(info)
}

/// The most dimensions of a value.
pub(super) const MOST_DIMENSIONS: usize = 8;

fn shape(fields: &mut Fields<'_>) -> Found<Vec<Dimension>> {
    let mut shape = Vec::new();
    each(fields, |number, field| {
        if number == 1 {
            let mut size = Dimension::Any;
            each(&mut field.message()?, |number, field| {
                match number {
                    1 => size = usize::try_from(field.integer()?).map_or(Dimension::Any, Dimension::Size),
                    2 => {
                        size =
                            Some(field.text()?).filter(|name| !name.is_empty()).map_or(Dimension::Any, Dimension::Named)
                    }
                    _ => {}
                }
                Ok(())
            })?;
            shape.push(size);
            if shape.len() > MOST_DIMENSIONS {
                return Err(Problem::Protobuf { at: 0, reason: "a value has more than eight dimensions" });
            }
        }
        Ok(())
    })?;
    Ok(shape)
}
