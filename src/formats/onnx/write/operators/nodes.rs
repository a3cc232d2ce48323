//! Recurrent layers of one cell as recurrent nodes: weights, gates, activations, bounds.

use ndarray::{ArrayD, Axis, Slice, concatenate};

use super::Writer;
use super::quantized::InBytes;
use super::steps::Steps;
use crate::activation::Activation;
use crate::float::Float;
use crate::formats::gate_order::{Gate, GateOrder, keras, onnx};
use crate::formats::onnx::recurrent::Cell;
use crate::formats::onnx::write::graph::{Attribute, Held, Kind};
use crate::formats::onnx::write::words::{Weights, Words};
use crate::formats::onnx::write::writer::HINT;
use crate::formats::save_error::SaveError;

/// What the attributes of a node say.
#[derive(Debug)]
pub(super) struct Form {
    pub(super) cell: Cell,
    pub(super) units: usize,
    clip: Option<f64>,
    input_forget: bool,
    linear_before_reset: bool,
    peephole: bool,
    /// How its weights are written if they are bytes.
    bytes: Option<InBytes>,
    activations: Vec<Named>,
}

/// An activation's name in ONNX, with alpha and beta if it takes them.
#[derive(Debug, Clone, PartialEq)]
struct Named(&'static str, Option<f64>, Option<f64>);

impl Form {
    /// Whether one node can say both.
    pub(super) fn fits(&self, other: &Form) -> bool {
        let said = |form: &Form| {
            let flags = (form.input_forget, form.linear_before_reset, form.peephole);
            (form.cell, form.units, form.clip.map(f64::to_bits), flags)
        };
        // The scales of a DequantizeLinear are those of one direction.
        said(self) == said(other) && self.bytes == other.bytes && self.bytes != Some(InBytes::Dequantized)
    }

    pub(super) fn gates(&self) -> GateOrder {
        match self.cell {
            Cell::Rnn => keras::SIMPLE_RNN,
            Cell::Lstm if self.input_forget => keras::COUPLED_LSTM,
            Cell::Lstm => keras::LSTM,
            Cell::Gru => keras::GRU,
        }
    }
}

/// One direction of a node.
#[derive(Debug)]
pub(super) struct Direction<'c, 'w, T> {
    pub(super) form: Form,
    pub(super) words: Words<'c>,
    pub(super) weights: Weights<'w, T>,
    pub(super) backwards: bool,
    /// The parts of the initial state; none if they are zero.
    pub(super) initial: Vec<Held>,
}

/// What a node gives: Y, Y_h and Y_c, as far as they are wanted.
pub(super) type Outputs = [Held; 3];

impl<T: Float> Writer<T> {
    /// What a layer of one cell is as a node.
    pub(super) fn form(&self, words: Words<'_>) -> Result<Form, SaveError> {
        let class = words.class();
        let class = class.strip_suffix("Cell").unwrap_or(class);
        let plain = class.strip_prefix("Quantized");
        let cell = match plain.unwrap_or(class) {
            "SimpleRNN" => Cell::Rnn,
            "LSTM" => Cell::Lstm,
            "GRU" => Cell::Gru,
            _ => return Err(self.refuse("ONNX has RNN, LSTM and GRU nodes alone; recurrent::file::save writes it")),
        };
        if !words.is_null("projection_units") {
            let value = words.integer("projection_units");
            return Err(self.refuse_option("projection_units", value, HINT));
        }
        let candidate = self.activation_of(words, "activation")?;
        let gates = self.activation_of(words, "recurrent_activation")?;
        let output = if words.is_null("output_activation") {
            candidate.clone()
        } else {
            self.activation_of(words, "output_activation")?
        };
        let all: &[(&str, Activation)] = match cell {
            Cell::Rnn => &[("activation", candidate)],
            Cell::Gru => &[("recurrent_activation", gates), ("activation", candidate)],
            Cell::Lstm => &[("recurrent_activation", gates), ("activation", candidate), ("output_activation", output)],
        };
        let mut clip = if words.is_null("clip") { None } else { Some(words.number("clip")) };
        let mut activations = Vec::new();
        for (place, (option, activation)) in all.iter().enumerate() {
            let (bound, of) = bounded(activation);
            // An LSTM's clip is its own option: the third activation isn't bounded by it.
            let fits = if cell == Cell::Lstm { bound.is_none() } else { place == 0 || bound == clip };
            let named = named(of).filter(|_| fits);
            if cell != Cell::Lstm {
                clip = bound;
            }
            activations.push(named.ok_or_else(|| {
                self.refuse_option(option, activation, "a recurrent node of ONNX's has no such activation")
            })?);
        }
        Ok(Form {
            cell,
            units: words.size("units"),
            clip,
            input_forget: words.flag("input_forget"),
            linear_before_reset: cell == Cell::Gru && words.flag("reset_after"),
            peephole: words.flag("peephole"),
            bytes: plain.map(|_| InBytes::of(words, cell)),
            activations,
        })
    }

    /// A node of one direction or two over these steps. Of the outputs those that are wanted have names.
    pub(super) fn recurrent_node(
        &mut self,
        directions: &[Direction<'_, '_, T>],
        steps: &Steps,
        wanted: [bool; 3],
    ) -> Result<Outputs, SaveError> {
        let Some(first) = directions.first() else { return Err(self.refuse(HINT)) };
        let (cell, units, count) = (first.form.cell, first.form.units, directions.len());
        let (operator, weights, scales) = match first.form.bytes {
            None => (cell.operator(), self.plain_weights(directions), vec![]),
            Some(form) => self.weights_in_bytes(directions, form)?,
        };
        let [w, r, b, p] = weights;
        let states = cell.states();
        let initial: Vec<String> = (0..2).map(|state| self.initial(directions, state, states)).collect();
        let lengths = steps.lengths.clone().unwrap_or_default();
        let mut inputs = vec![&steps.x.name[..], &w, &r, &b, &lengths, &initial[0], &initial[1], &p];
        inputs.extend(scales.iter().map(String::as_str));
        while inputs.last().is_some_and(|name| name.is_empty()) {
            inputs.pop();
        }
        let attributes = attributes(directions);
        let names = self.node(operator, &inputs, &wanted[..1 + states], &attributes);
        let (batch, time) = (steps.x.shape[1], steps.x.shape[0]);
        let (count, units) = (Some(count), Some(units));
        let mut names = names.into_iter();
        let mut next = |shape: Vec<Option<usize>>| Held::new(names.next().unwrap_or_default(), Kind::Float, shape);
        Ok([next(vec![time, count, batch, units]), next(vec![count, batch, units]), next(vec![count, batch, units])])
    }

    /// W, R, B and P of all directions; no name for what isn't there.
    fn plain_weights(&mut self, directions: &[Direction<'_, '_, T>]) -> [String; 4] {
        let all: Vec<[ArrayD<T>; 4]> = directions
            .iter()
            .map(|direction| weights_of(&direction.form, direction.words, &direction.weights))
            .collect();
        let joined = |place: usize| {
            let each: Vec<_> = all.iter().map(|own| own[place].view().insert_axis(Axis(0))).collect();
            concatenate(Axis(0), &each).unwrap_or_else(|_| all[0][place].clone())
        };
        let peephole = directions.iter().any(|direction| direction.form.peephole);
        [("W", 0), ("R", 1), ("B", 2), ("P", 3)].map(|(name, place)| {
            let wanted = place < 3 || peephole;
            if wanted { self.array(name, &joined(place)).name } else { String::new() }
        })
    }

    /// A part of the initial state of all directions, (directions, batch, units).
    fn initial(&mut self, directions: &[Direction<'_, '_, T>], state: usize, states: usize) -> String {
        if state >= states || directions.iter().any(|direction| direction.initial.len() < states) {
            return String::new();
        }
        let parts: Vec<Held> = directions
            .iter()
            .map(|direction| {
                let part = self.as_floats(&direction.initial[state]);
                self.unsqueeze(&part, 0)
            })
            .collect();
        self.concat(&parts, 0).name
    }
}

/// What bounds an activation's input, and what it is of.
fn bounded(activation: &Activation) -> (Option<f64>, &Activation) {
    match activation {
        Activation::Clipped { bound, of } => (Some(*bound), of),
        Activation::HardTanh => (Some(1.0), &Activation::Linear),
        other => (None, other),
    }
}

/// ONNX's name; nothing for what its recurrent nodes haven't got.
fn named(activation: &Activation) -> Option<Named> {
    Some(match *activation {
        Activation::Relu => Named("Relu", None, None),
        Activation::Tanh => Named("Tanh", None, None),
        Activation::Sigmoid => Named("Sigmoid", None, None),
        Activation::Softsign => Named("Softsign", None, None),
        Activation::Softplus => Named("Softplus", None, None),
        Activation::Linear => Named("Affine", Some(1.0), Some(0.0)),
        Activation::Affine { slope, offset } => Named("Affine", Some(slope), Some(offset)),
        Activation::LeakyRelu { negative_slope } => Named("LeakyRelu", Some(negative_slope), None),
        Activation::Threshold { threshold, default_value: 0.0 } => Named("ThresholdedRelu", Some(threshold), None),
        Activation::ScaledTanh { scale, slope } => Named("ScaledTanh", Some(scale), Some(slope)),
        Activation::HardSigmoid => Named("HardSigmoid", Some(1.0 / 6.0), Some(0.5)),
        Activation::HardSigmoidWith { slope, offset } => Named("HardSigmoid", Some(slope), Some(offset)),
        Activation::Elu { alpha } => Named("Elu", Some(alpha), None),
        _ => return None,
    })
}

fn attributes<T>(directions: &[Direction<'_, '_, T>]) -> Vec<(&'static str, Attribute)> {
    let Some(Direction { form, backwards, .. }) = directions.first() else { return vec![] };
    let direction = match (directions.len(), backwards) {
        (2, _) => "bidirectional",
        (_, true) => "reverse",
        _ => "forward",
    };
    let mut all =
        vec![("hidden_size", Attribute::Int(form.units as i64)), ("direction", Attribute::Text(direction.into()))];
    let named = || directions.iter().flat_map(|direction| &direction.form.activations);
    let defaults: &[&str] = match form.cell {
        Cell::Rnn => &["Tanh"],
        Cell::Lstm => &["Sigmoid", "Tanh", "Tanh"],
        Cell::Gru => &["Sigmoid", "Tanh"],
    };
    if named().map(|named| named.0).ne(defaults.iter().cycle().take(named().count()).copied()) {
        all.push(("activations", Attribute::Texts(named().map(|named| named.0.to_string()).collect())));
        let numbers = [("activation_alpha", 1), ("activation_beta", 2)].map(|(name, place)| {
            let of = |named: &Named| if place == 1 { named.1 } else { named.2 };
            (name, named().filter_map(of).map(|number| number as f32).collect::<Vec<f32>>())
        });
        let numbers = numbers.into_iter().filter(|(_, numbers)| !numbers.is_empty());
        all.extend(numbers.map(|(name, numbers)| (name, Attribute::Floats(numbers))));
    }
    all.extend(form.clip.map(|clip| ("clip", Attribute::Float(clip as f32))));
    if form.input_forget {
        all.push(("input_forget", Attribute::Int(1)));
    }
    if form.linear_before_reset {
        all.push(("linear_before_reset", Attribute::Int(1)));
    }
    all
}

/// W (gates * units, features), R (gates * units, units), B (2 * gates * units) and P (3 * units) of a direction.
fn weights_of<T: Float>(form: &Form, words: Words<'_>, weights: &Weights<'_, T>) -> [ArrayD<T>; 4] {
    let (own, to) = (form.gates(), form.cell.gates());
    let matrix = |name: &str| in_order(&weights.get(name).reversed_axes(), form.units, own, to);
    let bias = bias_of(form, weights.find("bias").filter(|_| words.flag("use_bias")));
    let peepholes = match form.peephole {
        false => ArrayD::zeros(vec![0]),
        true => {
            let own = if form.input_forget { keras::COUPLED_PEEPHOLES } else { keras::PEEPHOLES };
            let flat = weights.get("peephole_kernel").flatten().into_owned().into_dyn();
            in_order(&flat, form.units, own, onnx::PEEPHOLES)
        }
    };
    [matrix("kernel"), matrix("recurrent_kernel"), bias, peepholes]
}

/// B (2 * gates * units) of a bias, or of none.
pub(super) fn bias_of<T: Float>(form: &Form, bias: Option<ArrayD<T>>) -> ArrayD<T> {
    let (own, to) = (form.gates(), form.cell.gates());
    let rows = to.len() * form.units;
    match bias {
        None => ArrayD::zeros(vec![2 * rows]),
        Some(bias) if bias.ndim() == 2 => {
            // One for the input, one for the state.
            let both: Vec<_> =
                bias.axis_iter(Axis(0)).map(|half| in_order(&half.to_owned(), form.units, own, to)).collect();
            let views: Vec<_> = both.iter().map(|half| half.view()).collect();
            concatenate(Axis(0), &views).unwrap_or_else(|_| ArrayD::zeros(vec![2 * rows]))
        }
        Some(bias) => {
            let (bias, zeros) = (in_order(&bias, form.units, own, to), ArrayD::zeros(vec![rows]));
            concatenate(Axis(0), &[bias.view(), zeros.view()]).unwrap_or(bias)
        }
    }
}

/// The gates' rows in another order; those of a gate that isn't there are zeros, which nothing reads.
fn in_order<T: Float>(array: &ArrayD<T>, units: usize, from: GateOrder, to: GateOrder) -> ArrayD<T> {
    let block = |gate: &Gate| match from.iter().position(|own| own == gate) {
        Some(at) => array.slice_axis(Axis(0), Slice::from(at * units..(at + 1) * units)).to_owned(),
        None => {
            let mut shape = array.shape().to_vec();
            shape[0] = units;
            ArrayD::zeros(shape)
        }
    };
    let blocks: Vec<_> = to.iter().map(block).collect();
    let views: Vec<_> = blocks.iter().map(|block| block.view()).collect();
    concatenate(Axis(0), &views).unwrap_or_else(|_| array.clone())
}
