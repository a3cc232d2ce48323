//! The LSTM with layer normalization (Ba, Kiros and Hinton 2016).

use super::builder::{Builder, Recipe};
use super::built_in::{BuiltInCell, CellOptions, CellParts, CellSpec, WeightSpec, cell_methods, debug_cell};
use super::gates::{Gates, GatesBackward, apply, parts, through_activation};
use super::weights::BIAS;
use super::{Cell, Step, StepBackward};
use crate::activation::Activation;
use crate::config::{Config, ConfigError, Options, activations};
use crate::error::{Error, Result};
use crate::float::Float;
use crate::gradients::WeightGradients;
use crate::initializers::Initializer;
use crate::state::StateLayout;
use crate::structure::StructureVisitor;

/// One step of an LSTM with layer normalization. Its state is `h`, `c`; the gates stand in the order of an LSTM's: i,
/// f, g, o.
///
/// ```text
/// LN(v; gamma, beta) = gamma (v - mean of v) / sqrt(variance of v + epsilon) + beta
///
/// z  = LN(x K; kernel_gamma, kernel_beta) + LN(h R; recurrent_gamma, recurrent_beta) + b      of all gates at once
/// i  = recurrent_activation(zi)                                      input gate
/// f  = recurrent_activation(zf)                                      forget gate
/// g  = activation(zg)                                                candidate
/// o  = recurrent_activation(zo)                                      output gate
/// c' = f c + i g
/// h' = o activation(LN(c'; state_gamma, state_beta))
/// ```
///
/// The next step gets c' as it is, not normalized. The variance is divided by the count, and `epsilon` is 1e-5, both
/// as in PyTorch.
///
/// Weights: `kernel` (input_size, 4 units), `recurrent_kernel` (units, 4 units), `bias` (4 units), `kernel_gamma`,
/// `kernel_beta`, `recurrent_gamma`, `recurrent_beta` (4 units each), `state_gamma`, `state_beta` (units each); gammas
/// start at one, betas at zero. As a layer it is [`LayerNormLstm`](crate::LayerNormLstm), with an LSTM's defaults:
///
/// ```
/// use ndarray::prelude::*;
/// use recurrent::{Layer, LayerNormLstm};
/// let lstm = LayerNormLstm::<f32>::builder(3, 4).epsilon(1e-3).return_sequences(true).build()?;
/// assert_eq!(lstm.weight("recurrent_gamma")?.shape(), [16]);
/// assert_eq!(lstm.forward(&Array3::ones((2, 5, 3)))?.sequence()?.dim(), (2, 5, 4));
/// # Ok::<(), recurrent::Error>(())
/// ```
#[derive(Clone)]
pub struct LayerNormLstmCell<T: Float = f32> {
    parts: CellParts<T, LayerNormLstmOptions>,
}

/// What only this LSTM's builder has.
#[doc(hidden)]
#[derive(Debug, Clone)]
pub struct LayerNormLstmOptions {
    recurrent_activation: Activation,
    unit_forget_bias: bool,
    epsilon: f64,
}

impl Default for LayerNormLstmOptions {
    fn default() -> Self {
        LayerNormLstmOptions { recurrent_activation: Activation::Sigmoid, unit_forget_bias: true, epsilon: 1e-5 }
    }
}

impl CellOptions for LayerNormLstmOptions {
    fn recurrent_activation(&self) -> Option<&Activation> {
        Some(&self.recurrent_activation)
    }

    fn check(&self) -> Result<()> {
        let (option, given) = ("epsilon", self.epsilon);
        let fits = given > 0.0 && given.is_finite();
        if fits { Ok(()) } else { Err(Error::OptionNumber { option, expected: "above zero and finite", given }) }
    }

    fn visit_structure(&self, visitor: &mut StructureVisitor<'_>) {
        visitor.value("epsilon", self.epsilon);
    }

    fn describe(&self) -> Result<Config, ConfigError> {
        let recurrent_activation = activations::describe(&self.recurrent_activation)?;
        let config = Config::new("").with("recurrent_activation", recurrent_activation);
        Ok(config.with("unit_forget_bias", self.unit_forget_bias).with("epsilon", self.epsilon))
    }

    fn read(options: &Options<'_>) -> Result<Self, ConfigError> {
        Ok(LayerNormLstmOptions {
            recurrent_activation: activations::read(&options.need("recurrent_activation", "an activation")?)?,
            unit_forget_bias: options.flag("unit_forget_bias")?,
            epsilon: options.number("epsilon")?,
        })
    }
}

impl<T: Float> Builder<'_, LayerNormLstmCell<T>> {
    /// The activation of the gates.
    pub fn recurrent_activation(self, activation: Activation) -> Self {
        self.with(|options| options.recurrent_activation = activation)
    }

    /// Whether the forget gate's bias starts at one, as an LSTM's.
    pub fn unit_forget_bias(self, yes: bool) -> Self {
        self.with(|options| options.unit_forget_bias = yes)
    }

    /// What is added to each variance.
    pub fn epsilon(self, epsilon: f64) -> Self {
        self.with(|options| options.epsilon = epsilon)
    }
}

const I: usize = 0;
const F: usize = 1;
const G: usize = 2;
const O: usize = 3;

/// The places of the weights behind the bias: gammas, with their betas behind them.
const OF_KERNEL: usize = 3;
const OF_RECURRENT: usize = 5;
const OF_STATE: usize = 7;

impl<T: Float> BuiltInCell for LayerNormLstmCell<T> {
    type Options = LayerNormLstmOptions;

    fn gates(_: &LayerNormLstmOptions) -> usize {
        4
    }

    fn spec(input_size: usize, units: usize, _: &LayerNormLstmOptions) -> CellSpec {
        let state = StateLayout::new([("h", units), ("c", units)]);
        let tape = 12 * units + 2;
        CellSpec { input_size, state, scratch: tape, tape, backward_scratch: 13 * units }
    }

    fn weights(recipe: &Recipe<LayerNormLstmOptions>) -> Vec<WeightSpec> {
        let (units, columns) = (recipe.units, recipe.units.saturating_mul(4));
        let forget = recipe.options.unit_forget_bias.then(|| units..units.saturating_mul(2));
        let gamma = |name, len| WeightSpec::new(name, &[len], &Initializer::Ones);
        let beta = |name, len| WeightSpec::new(name, &[len], &Initializer::Zeros);
        vec![
            recipe.kernel(4),
            recipe.recurrent_kernel(units, 4),
            recipe.bias(&[columns]).ones(forget),
            gamma("kernel_gamma", columns),
            beta("kernel_beta", columns),
            gamma("recurrent_gamma", columns),
            beta("recurrent_beta", columns),
            gamma("state_gamma", units),
            beta("state_beta", units),
        ]
    }

    fn forward(&self, step: Step<'_, T>) {
        let CellParts { units, weights, activation, .. } = &self.parts;
        let units = *units;
        let (h, c) = step.prev.split_at(units);
        let (h_next, c_next) = step.next.split_at_mut(units);
        let gates = Gates::new(weights, units, step.x, h, step.dropout);
        let (values, rest) = step.tape.unwrap_or(step.scratch).split_at_mut(4 * units);
        let [of_x, of_h] = parts(rest, 4 * units);
        for gate in [I, F, G, O] {
            let (of_x, of_h) = (&mut of_x[gate * units..][..units], &mut of_h[gate * units..][..units]);
            of_x.fill(T::zero());
            of_h.fill(T::zero());
            gates.add_x_part(gate, of_x);
            gates.add_h_part(gate, of_h);
        }
        let scales = [self.normalize(of_x), self.normalize(of_h)];
        rest[8 * units..8 * units + 2].copy_from_slice(&scales);
        let [of_x, of_h] = parts(rest, 4 * units);
        for (gate, values) in values.chunks_exact_mut(units).enumerate() {
            self.preactivation(gate, of_x, of_h, values);
            apply(self.activation(gate), values);
        }
        let [i, f, g, o] = parts(values, units);
        for unit in 0..units {
            c_next[unit] = f[unit] * c[unit] + i[unit] * g[unit];
        }
        h_next.copy_from_slice(c_next);
        self.normalize(h_next);
        self.scale_and_shift(OF_STATE, 0, h_next);
        apply(activation, h_next);
        h_next.iter_mut().zip(o).for_each(|(h, &mut o)| *h *= o);
    }

    /// ```text
    /// n  = (v - mean) / s, s = sqrt(variance + epsilon):  dv = (dn - mean of dn - n (mean of dn n)) / s
    /// t  = activation(LN(c')):  do = dh' t,  dc' += through the normalization of activation'(LN(c')) o dh'
    /// di = dc' g,   df = dc' c,   dg = dc' i,   dc = dc' f
    /// ```
    /// then, with `dz` the gradients of all preactivations, back through the two normalizations and as in every gate.
    /// The tape holds i, f, g, o; x K and h R, normalized; and 1 / s of both.
    fn backward(&self, step: StepBackward<'_, T>, gradients: &mut WeightGradients<'_, T>) {
        let CellParts { units, weights, activation, .. } = &self.parts;
        let units = *units;
        let (h, c) = step.prev.split_at(units);
        let (d_h_next, d_c_next) = step.d_next.split_at(units);
        let (values, of_x, of_h) =
            (&step.tape[..4 * units], &step.tape[4 * units..][..4 * units], &step.tape[8 * units..]);
        let (of_h, scales) = of_h.split_at(4 * units);
        let value = |gate: usize| &values[gate * units..][..units];
        let (d_h, d_c) = step.d_prev.split_at_mut(units);
        let (dz, rest) = step.scratch.split_at_mut(4 * units);
        let (d_product, rest) = rest.split_at_mut(4 * units);
        let [normalized, shifted, t, dc_next, buffer] = parts(rest, units);

        normalized.copy_from_slice(&step.next[units..]);
        let scale = self.normalize(normalized);
        shifted.copy_from_slice(normalized);
        self.scale_and_shift(OF_STATE, 0, shifted);
        t.copy_from_slice(shifted);
        apply(activation, t);
        for unit in 0..units {
            dc_next[unit] = d_h_next[unit] * value(O)[unit];
        }
        through_activation(activation, t, dc_next, buffer, |z| z.copy_from_slice(shifted));
        self.normalization_backward(OF_STATE, normalized, scale, dc_next, gradients);
        for unit in 0..units {
            dc_next[unit] += d_c_next[unit];
            d_c[unit] = dc_next[unit] * value(F)[unit];
        }
        for (gate, dz) in dz.chunks_exact_mut(units).enumerate() {
            for (unit, dz) in dz.iter_mut().enumerate() {
                *dz = match gate {
                    I => dc_next[unit] * value(G)[unit],
                    F => dc_next[unit] * c[unit],
                    G => dc_next[unit] * value(I)[unit],
                    _ => d_h_next[unit] * t[unit],
                };
            }
            let preactivation = |z: &mut [T]| self.preactivation(gate, of_x, of_h, z);
            through_activation(self.activation(gate), value(gate), dz, buffer, preactivation);
        }

        step.d_x.fill(T::zero());
        d_h.fill(T::zero());
        let gates = Gates::new(weights, units, step.x, h, step.dropout);
        let mut gates = GatesBackward::new(gates, step.d_x, d_h, gradients);
        gates.add_bias(0, dz);
        for (place, normalized, &scale) in [(OF_KERNEL, of_x, &scales[0]), (OF_RECURRENT, of_h, &scales[1])] {
            d_product.copy_from_slice(dz);
            self.normalization_backward(place, normalized, scale, d_product, gates.gradients);
            for (gate, d) in d_product.chunks_exact(units).enumerate() {
                if place == OF_KERNEL { gates.kernel_product(gate, d) } else { gates.recurrent_product(gate, d) }
            }
        }
    }

    fn assemble(parts: CellParts<T, LayerNormLstmOptions>) -> Self {
        LayerNormLstmCell { parts }
    }

    fn parts(&self) -> &CellParts<T, LayerNormLstmOptions> {
        &self.parts
    }
}

impl<T: Float> LayerNormLstmCell<T> {
    fn activation(&self, gate: usize) -> &Activation {
        if gate == G { &self.parts.activation } else { &self.parts.options.recurrent_activation }
    }

    /// `v = (v - mean) / s`; returns 1 / s.
    fn normalize(&self, v: &mut [T]) -> T {
        let count = T::from_f64(v.len() as f64);
        let mean = v.iter().fold(T::zero(), |sum, &v| sum + v) / count;
        let variance = v.iter().fold(T::zero(), |sum, &v| sum + (v - mean) * (v - mean)) / count;
        let scale = (variance + T::from_f64(self.parts.options.epsilon)).sqrt().recip();
        v.iter_mut().for_each(|v| *v = (*v - mean) * scale);
        scale
    }

    /// `v = gamma v + beta`, of the values from `start` on.
    fn scale_and_shift(&self, place: usize, start: usize, v: &mut [T]) {
        let (gamma, beta) = (self.parts.weights.always(place), self.parts.weights.always(place + 1));
        let values = gamma[start..].iter().zip(&beta[start..]);
        v.iter_mut().zip(values).for_each(|(v, (&gamma, &beta))| *v = gamma * *v + beta);
    }

    /// The preactivation of a gate, from the normalized products of all gates.
    fn preactivation(&self, gate: usize, of_x: &[T], of_h: &[T], z: &mut [T]) {
        let start = gate * z.len();
        let gamma = self.parts.weights.always(OF_RECURRENT);
        let beta = self.parts.weights.always(OF_RECURRENT + 1);
        z.copy_from_slice(&of_x[start..][..z.len()]);
        self.scale_and_shift(OF_KERNEL, start, z);
        for (unit, z) in z.iter_mut().enumerate() {
            let at = start + unit;
            *z += gamma[at] * of_h[at] + beta[at];
            if let Some(bias) = self.parts.weights.get(BIAS) {
                *z += bias[at];
            }
        }
    }

    /// From the gradient of a normalization's result, `d`, to that of what was normalized.
    fn normalization_backward(
        &self,
        place: usize,
        normalized: &[T],
        scale: T,
        d: &mut [T],
        gradients: &mut WeightGradients<'_, T>,
    ) {
        let weights = &self.parts.weights;
        for (place, is_gamma) in [(place, true), (place + 1, false)] {
            if let Some(gradient) = weights.gradient(place) {
                let terms = d.iter().zip(normalized).map(|(&d, &n)| if is_gamma { d * n } else { d });
                gradients.slice(gradient).iter_mut().zip(terms).for_each(|(sum, term)| *sum += term);
            }
        }
        let count = T::from_f64(d.len() as f64);
        d.iter_mut().zip(weights.always(place)).for_each(|(d, &gamma)| *d *= gamma);
        let mean = d.iter().fold(T::zero(), |sum, &d| sum + d) / count;
        let along = d.iter().zip(normalized).fold(T::zero(), |sum, (&d, &n)| sum + d * n) / count;
        d.iter_mut().zip(normalized).for_each(|(d, &n)| *d = (*d - mean - n * along) * scale);
    }
}

impl<T: Float> Cell for LayerNormLstmCell<T> {
    cell_methods!(without kernel);
}

debug_cell!(LayerNormLstmCell);
