//! Convolutions and pooling over one, two or three dimensions. ONNX has the channels first.

use ndarray::{ArrayD, IxDyn};

use super::{Call, Outputs};
use crate::config::Value;
use crate::float::Float;
use crate::formats::onnx::write::graph::{Attribute, Held, Kind};
use crate::formats::onnx::write::words::{Weights, Words, number};
use crate::formats::onnx::write::writer::Writer;
use crate::formats::save_error::SaveError;

/// Whether a class is one of these.
pub(super) fn is_one(class: &str) -> bool {
    let Some(name) = class.strip_suffix("1D").or(class.strip_suffix("2D")).or(class.strip_suffix("3D")) else {
        return false;
    };
    [
        "Conv",
        "DepthwiseConv",
        "SeparableConv",
        "MaxPooling",
        "AveragePooling",
        "GlobalMaxPooling",
        "GlobalAveragePooling",
    ]
    .contains(&name)
}

/// The windows of an operation, one for each dimension.
struct Windows {
    sizes: Vec<i64>,
    strides: Vec<i64>,
    dilations: Vec<i64>,
    padding: String,
}

impl Windows {
    fn read(words: Words<'_>, size: &str) -> Self {
        let all = |name: &str| match words.get(name) {
            Value::List(list) => list.iter().filter_map(number).map(|number| number as i64).collect(),
            value => number(value).map(|number| number as i64).into_iter().collect(),
        };
        let (sizes, strides, dilations) = (all(size), all("strides"), all("dilation_rate"));
        Windows { sizes, strides, dilations, padding: words.text("padding").into() }
    }

    /// The attributes, for inputs of these sizes.
    fn attributes(&self, sizes: &[Option<usize>], dilates: bool) -> Vec<(&'static str, Attribute)> {
        let mut all = vec![
            ("kernel_shape", Attribute::Ints(self.sizes.clone())),
            ("strides", Attribute::Ints(self.strides.clone())),
        ];
        if dilates {
            all.push(("dilations", Attribute::Ints(self.dilations.clone())));
        }
        let each = (0..self.sizes.len()).map(|at| {
            let reach = (self.sizes[at] - 1) * self.dilations[at] + 1;
            let missing = match (&self.padding[..], self.strides[at], sizes.get(at).copied().flatten()) {
                ("valid", ..) => return Some((0, 0)),
                ("causal", ..) => return Some((reach - 1, 0)),
                (_, 1, _) => reach - 1,
                (_, stride, Some(size)) => {
                    let size = size as i64;
                    (((size + stride - 1) / stride - 1) * stride + reach - size).max(0)
                }
                // It depends on the size.
                _ => return None,
            };
            Some((missing / 2, missing - missing / 2))
        });
        match each.collect::<Option<Vec<(i64, i64)>>>() {
            Some(pads) => {
                let (before, after): (Vec<i64>, Vec<i64>) = pads.into_iter().unzip();
                all.push(("pads", Attribute::Ints([before, after].concat())));
            }
            None => all.push(("auto_pad", Attribute::Text("SAME_UPPER".into()))),
        }
        all
    }
}

impl<T: Float> Writer<T> {
    pub(super) fn windows(&mut self, words: Words<'_>, weights: &Weights<'_, T>, call: &Call) -> Outputs {
        let class = words.class();
        let x = self.as_floats(&call.x());
        if class.starts_with("Global") {
            return self.global(words, &x, call);
        }
        let rank = x.rank();
        let first: Vec<usize> = [0, rank - 1].into_iter().chain(1..rank - 1).collect();
        let turned = self.transpose(&x, &first);
        let made = if class.contains("Pooling") {
            let windows = Windows::read(words, "pool_size");
            let attributes = windows.attributes(&turned.shape[2..], false);
            let operator = if class.starts_with("Max") { "MaxPool" } else { "AveragePool" };
            self.one(operator, &[&turned.name], &attributes)
        } else {
            self.convolution(words, weights, &turned)?
        };
        let shape = call.shape();
        let made = Held::new(made, Kind::Float, first.iter().map(|&axis| shape[axis]).collect());
        let last: Vec<usize> = std::iter::once(0).chain(2..rank).chain([1]).collect();
        let output = self.transpose(&made, &last);
        let output = if class.contains("Conv") {
            self.activation(&output, &self.activation_of(words, "activation")?)?
        } else {
            output
        };
        Ok(vec![output])
    }

    fn convolution(&mut self, words: Words<'_>, weights: &Weights<'_, T>, x: &Held) -> Result<String, SaveError> {
        let windows = Windows::read(words, "kernel_size");
        let mut attributes = windows.attributes(&x.shape[2..], true);
        let full = words.class().starts_with("Conv");
        let kernel = match full {
            true => weights.get("kernel"),
            false => weights.find("depthwise_kernel").unwrap_or_else(|| weights.get("kernel")),
        };
        let inputs = words.integer("input_size");
        attributes.push(("group", Attribute::Int(if full { words.integer("groups").max(1) } else { inputs })));
        let kernel = if full { filters_first(&kernel) } else { channels_apart(&kernel) };
        let kernel = self.array("kernel", &kernel).name;
        let bias = weights.find("bias").map(|bias| self.array("bias", &bias).name);
        let given = |x: &str, kernel: &str, bias: Option<&String>| -> Vec<String> {
            [x, kernel].into_iter().map(String::from).chain(bias.cloned()).collect()
        };
        let pointwise = weights.find("pointwise_kernel");
        let bias_here = bias.as_ref().filter(|_| pointwise.is_none());
        let inputs = given(&x.name, &kernel, bias_here);
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        let made = self.one("Conv", &inputs, &attributes);
        let Some(pointwise) = pointwise else { return Ok(made) };
        let pointwise = self.array("pointwise_kernel", &filters_first(&pointwise)).name;
        let inputs = given(&made, &pointwise, bias.as_ref());
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        Ok(self.one("Conv", &inputs, &[]))
    }

    /// All places of a row.
    fn global(&mut self, words: Words<'_>, x: &Held, call: &Call) -> Outputs {
        let (axes, keeps) = ((1..x.rank() - 1).collect::<Vec<_>>(), words.flag("keepdims"));
        if words.class().starts_with("GlobalMax") {
            return Ok(vec![self.reduce("ReduceMax", x, &axes, keeps)]);
        }
        let Some(flags) = self.flags_of(call.mask.as_ref())? else {
            return Ok(vec![self.reduce("ReduceMean", x, &axes, keeps)]);
        };
        // What is masked doesn't count.
        let flags = self.unsqueeze(&flags, 2);
        let zero = self.number(0.0);
        let shown = self.choose(&flags, x, &zero);
        let ones = self.as_floats(&flags);
        let (sum, count) =
            (self.reduce("ReduceSum", &shown, &axes, keeps), self.reduce("ReduceSum", &ones, &axes, keeps));
        Ok(vec![self.two("Div", &sum, &count)])
    }
}

/// (sizes.., channels, filters) as (filters, channels, sizes..).
fn filters_first<T: Float>(kernel: &ArrayD<T>) -> ArrayD<T> {
    let rank = kernel.ndim();
    let order: Vec<usize> = [rank - 1, rank - 2].into_iter().chain(0..rank - 2).collect();
    kernel.clone().permuted_axes(IxDyn(&order))
}

/// (sizes.., channels, times) as (channels * times, 1, sizes..).
fn channels_apart<T: Float>(kernel: &ArrayD<T>) -> ArrayD<T> {
    let rank = kernel.ndim();
    let order: Vec<usize> = [rank - 2, rank - 1].into_iter().chain(0..rank - 2).collect();
    let turned = kernel.clone().permuted_axes(IxDyn(&order)).as_standard_layout().into_owned();
    let shape = turned.shape();
    let apart = [&[shape[0] * shape[1], 1], &shape[2..]].concat();
    let elements: Vec<T> = turned.iter().copied().collect();
    ArrayD::from_shape_vec(apart, elements).unwrap_or(turned)
}
