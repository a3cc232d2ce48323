//! Convolutions and pooling over time, and padding: (batch, channels, timesteps) in ONNX, (batch, timesteps, channels) here.

use crate::float::Float;
use crate::formats::onnx::load::assume::Again;
use crate::formats::onnx::load::item::{Held, Item, Kind};
use crate::formats::onnx::load::size::Size;
use crate::formats::onnx::load::{Importer, Made, Stop};
use crate::formats::onnx::node::Node;
use crate::graph::AnyLayer;
use crate::graph::ops::gather::{From, Gather};
use crate::graph::ops::moved_steps::ZeroPadding1D;
use crate::graph::ops::pooling::{AveragePooling1D, MaxPooling1D};
use crate::graph::ops::reduce::All;
use crate::graph::tensor::{Value, in_row_order};
use crate::initializers::Initializer;
use crate::layers::convolution::conv1d::Conv1D;
use crate::layers::convolution::window::Padding;

/// The window of a node, over one axis.
#[derive(Debug, Clone, Copy)]
struct Window {
    size: usize,
    stride: usize,
    dilation: usize,
    before: usize,
    after: usize,
    /// As many steps at the end as are needed for strides to go over all of them: `SAME_UPPER`.
    same: bool,
}

/// A sequence that a window slides over.
#[derive(Debug)]
struct Steps {
    /// (batch, timesteps, channels)
    held: Held,
    /// The value's axis of time.
    axis: usize,
    /// The axes behind the channels; all but that of time are of one.
    count: usize,
}

impl<'f, T: Float> Importer<'f, T> {
    /// The first input as (batch, timesteps, channels); the value's axes stay (batch, channels, timesteps). Axes of one
    /// beside time, as tf2onnx writes them, are seen through.
    fn steps(&mut self, node: &Node<'f>) -> Made<Steps> {
        let mut held = self.floats_held(node)?;
        let rank = held.axes.len();
        if rank < 3 {
            return Err(node.refuse("its input must be (batch, channels, timesteps)").into());
        }
        let long: Vec<usize> = (2..rank).filter(|&axis| held.size(axis).is_none_or(|size| !size.is_one())).collect();
        let axis = match long[..] {
            _ if rank == 3 => 2,
            [] => rank - 1,
            [axis] => axis,
            _ => return Err(node.refuse("it goes over several axes: one that is longer than 1 is supported").into()),
        };
        if held.batch_axis() != Some(0) {
            return Err(match held.axes[0][..] {
                [part] if held.batch_axis().is_some() => match held.stored[part].origin {
                    Some((input, axis)) => Stop::Again(Again::Batch(input, axis)),
                    None => node.refuse("its first axis isn't the batch").into(),
                },
                _ => node.refuse("its first axis isn't the batch").into(),
            });
        }
        if let [part] = held.axes[axis][..]
            && part != 1
            && let Some((input, axis)) = held.stored[part].origin
            && self.assume.input(input).time.is_none()
        {
            return Err(Stop::Again(Again::Time(input, axis)));
        }
        // Axes of one that the tensor has go into that of the channels.
        for other in (2..rank).filter(|&other| other != axis) {
            let ones = std::mem::take(&mut held.axes[other]);
            held.axes[1].splice(0..0, ones);
        }
        Ok(Steps { held: self.arrange(node, &held, &[axis, 1])?, axis, count: rank - 2 })
    }

    /// What the attributes say. `sizes`: those of the kernel, if it has one.
    fn window(&self, node: &Node<'f>, steps: &Steps, sizes: Option<&[usize]>) -> Made<Window> {
        let Steps { axis, count, .. } = *steps;
        let at = axis - 2;
        let own = |name: &'static str| -> Made<Option<Vec<usize>>> {
            let Some(numbers) = node.ints(name)? else { return Ok(None) };
            let numbers: Option<Vec<usize>> = numbers.iter().map(|&number| usize::try_from(number).ok()).collect();
            let numbers = numbers.ok_or_else(|| node.refuse(format!("its {name} must be above 0")))?;
            if numbers.len() != count {
                return Err(node.refuse(format!("its {name} must be {count} numbers, one for each axis")).into());
            }
            Ok(Some(numbers))
        };
        let shape = own("kernel_shape")?.or_else(|| sizes.map(<[usize]>::to_vec)).unwrap_or_default();
        if shape.len() != count || shape.contains(&0) || sizes.is_some_and(|sizes| sizes != shape) {
            return Err(node.refuse("its kernel_shape isn't that of its kernel").into());
        }
        let (stride, dilation) = (own("strides")?.map_or(1, |all| all[at]), own("dilations")?.map_or(1, |all| all[at]));
        let pads = match node.ints("pads")? {
            None => vec![0; 2 * count],
            Some(pads) => pads.iter().map(|&pad| usize::try_from(pad).unwrap_or(usize::MAX)).collect(),
        };
        if pads.len() != 2 * count || pads.contains(&usize::MAX) {
            return Err(node.refuse("its pads must be two numbers of 0 and more for each axis").into());
        }
        // Over an axis of one that is padded a wider kernel would read zeros.
        if (0..count).any(|other| other != at && (shape[other], pads[other], pads[count + other]) != (1, 0, 0)) {
            return Err(node.refuse("over axes of one its kernel must be one, too, and its pads 0").into());
        }
        let same = match node.text("auto_pad")? {
            None | Some("NOTSET" | "VALID") => false,
            Some("SAME_UPPER") => true,
            Some(other) => return Err(node.refuse(format!("its auto_pad {other} isn't supported")).into()),
        };
        Ok(Window { size: shape[at], stride, dilation, before: pads[at], after: pads[count + at], same })
    }

    /// With these steps.
    fn windowed(&mut self, held: &Held, window: Window, tensor: usize, channels: Size) -> Item<T> {
        let steps = held.stored[1].size.as_known().and_then(|steps| {
            if window.same {
                return Some(steps.div_ceil(window.stride.max(1)));
            }
            let reach = (window.size - 1).checked_mul(window.dilation)?.checked_add(1)?;
            let all = steps.checked_add(window.before)?.checked_add(window.after)?;
            Some(all.checked_sub(reach)?.checked_div(window.stride)? + 1)
        });
        let unchanged = !window.same || window.stride == 1;
        let keeps = unchanged
            && window.stride == 1
            && (window.same || Some(window.before + window.after) == (window.size - 1).checked_mul(window.dilation));
        let steps = match steps {
            Some(steps) => Size::known(steps),
            None if keeps => held.stored[1].size.clone(),
            None => self.new_size(),
        };
        let stored = vec![held.stored[0].clone(), steps.into(), channels.into()];
        Item::Held(Held { tensor, kind: Kind::Float, stored, axes: held.axes.clone() })
    }

    pub(super) fn conv(&mut self, node: &Node<'f>) -> Made<Item<T>> {
        let Value::Float(weights) = self.known(node, 1, "W")? else {
            return Err(node.refuse("its W must be floats").into());
        };
        let steps = self.steps(node)?;
        let [filters, channels, sizes @ ..] = weights.shape() else {
            return Err(node.refuse("its W must be (filters, channels, size)").into());
        };
        let (filters, channels) = (*filters, *channels);
        let window = self.window(node, &steps, Some(sizes))?;
        let (size, held) = (window.size, steps.held);
        let groups = usize::try_from(node.int("group", 1)?).unwrap_or(0);
        let total = channels
            .checked_mul(groups)
            .filter(|&total| total > 0)
            .ok_or_else(|| node.refuse("its group must be above 0"))?;
        let bias = if node.input(2).is_some() { Some(in_row_order(&self.known(node, 2, "B")?.floats())) } else { None };
        let reach = (size - 1).saturating_mul(window.dilation);
        let causal = window.stride == 1 && window.before == reach && window.after == 0;
        let padding = match window {
            Window { same: true, .. } => Padding::Same,
            _ if causal => Padding::Causal,
            _ => Padding::Valid,
        };
        let builder = Conv1D::builder(total, filters, size)
            .groups(groups)
            .strides(window.stride)
            .dilation_rate(window.dilation)
            .padding(padding)
            .use_bias(bias.is_some())
            .kernel_initializer(Initializer::Zeros);
        let mut layer = builder.build().map_err(|error| node.built(&error))?;
        let kernel = self.reshaped(node, &Value::Float(weights), &[filters, channels, size])?;
        let kernel = in_row_order(&kernel.floats()).reversed_axes();
        let mut new = vec![("kernel", kernel.view())];
        new.extend(bias.as_ref().map(|bias| ("bias", bias.view())));
        layer.set_weights(&new).map_err(|error| node.built(&error))?;
        let mut tensor = held.tensor;
        if padding == Padding::Valid && (window.before, window.after) != (0, 0) {
            let zeros = ZeroPadding1D::new(window.before, window.after);
            tensor = self.call(node, "pad", AnyLayer::from(zeros), &[tensor])?[0];
        }
        let tensor = self.call(node, "", layer, &[tensor])?[0];
        Ok(self.windowed(&held, window, tensor, Size::known(filters)))
    }

    pub(super) fn pool(&mut self, node: &Node<'f>) -> Made<Item<T>> {
        let steps = self.steps(node)?;
        let window = self.window(node, &steps, None)?;
        let held = steps.held;
        node.ignore("storage_order"); // of places, which aren't given
        if node.flag("count_include_pad", false)? && window.same {
            return Err(node.refuse("its count_include_pad must be 0 where it pads").into());
        }
        if node.flag("ceil_mode", false)? || window.dilation != 1 {
            return Err(node.refuse("its ceil_mode must be 0, and its dilations 1").into());
        }
        if (window.before, window.after) != (0, 0) {
            return Err(node.refuse("its pads must be 0").into());
        }
        let padding = if window.same { Padding::Same } else { Padding::Valid };
        let built = |error| node.built(&error);
        let layer = match node.operator() {
            "MaxPool" => {
                let layer =
                    MaxPooling1D::new(window.size).and_then(|layer| layer.strides(window.stride)?.padding(padding));
                AnyLayer::from(layer.map_err(built)?)
            }
            _ => {
                let layer =
                    AveragePooling1D::new(window.size).and_then(|layer| layer.strides(window.stride)?.padding(padding));
                AnyLayer::from(layer.map_err(built)?)
            }
        };
        let tensor = self.call(node, "", layer, &[held.tensor])?[0];
        let channels = held.stored[2].size.clone();
        Ok(self.windowed(&held, window, tensor, channels))
    }

    pub(super) fn global_pool(&mut self, node: &Node<'f>) -> Made<Item<T>> {
        let Steps { held, axis, .. } = self.steps(node)?;
        let how = if node.operator() == "GlobalMaxPool" { All::Max } else { All::Mean };
        self.reduce_held(node, held, how, &[axis], true)
    }

    pub(super) fn pad(&mut self, node: &Node<'f>) -> Made<Item<T>> {
        if !matches!(node.text("mode")?, None | Some("constant")) {
            return Err(node.refuse("its mode must be constant").into());
        }
        let Item::Held(mut held) = self.need(node, 0)? else {
            return Err(node.refuse("a constant is padded, which isn't supported").into());
        };
        let pads = match node.ints("pads")? {
            Some(pads) => pads.to_vec(),
            None => self.integers_of(node, 1)?,
        };
        let fill = match (node.float_if("value")?, self.item(node, 2)) {
            (Some(number), _) => number,
            (None, None) => 0.0,
            (None, Some(Item::Known(value))) => value.floats().first().map_or(0.0, |&value| value.into_f64()),
            (None, Some(_)) => return Err(node.refuse("what it pads with must be a constant").into()),
        };
        let rank = held.axes.len();
        let axes = self.axes(node, 3, rank)?.unwrap_or_else(|| (0..rank).collect());
        if pads.len() != 2 * axes.len() || pads.iter().any(|&pad| pad < 0) {
            return Err(node.refuse("its pads must be two for each axis, none below 0").into());
        }
        for (at, &axis) in axes.iter().enumerate() {
            let (before, after) = (pads[at] as usize, pads[at + axes.len()] as usize);
            if before == 0 && after == 0 {
                continue;
            }
            if held.axes[axis].contains(&0) {
                return Err(node.refuse("the batch can't be padded").into());
            }
            held = self.single(node, &held, axis)?;
            let part = held.axes[axis][0];
            held.tensor = if part == 1 && held.stored.len() == 3 && fill == 0.0 {
                // Steps: before a window a stream has them, too.
                self.call(node, "", AnyLayer::from(ZeroPadding1D::new(before, after)), &[held.tensor])?[0]
            } else {
                let gather = Gather { axes: vec![(part as i64, From::Pad(before, after))], fill };
                self.one(node, "", gather, held.tensor)?
            };
            let size = held.stored[part].size.as_known().and_then(|size| size.checked_add(before)?.checked_add(after));
            held.stored[part] = size.map_or_else(|| self.new_size(), Size::known).into();
        }
        Ok(Item::Held(held))
    }
}
