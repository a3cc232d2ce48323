//! The LSTM cell (Hochreiter and Schmidhuber 1997, with the forget gate of Gers, Schmidhuber and Cummins 2000).

use super::builder::{Builder, Recipe};
use super::built_in::{BuiltInCell, CellOptions, CellSpec, WeightSpec, cell_methods, debug_cell};
use super::fused::ByKernel;
use super::gates::{Gates, GatesBackward, apply, parts};
use super::{Cell, CellParts, FusedCell, Step, StepBackward};
use crate::activation::Activation;
use crate::float::Float;
use crate::gradients::WeightGradients;
use crate::kernels::LstmKernel;
use crate::kernels::activate::activate_backward;
use crate::kernels::backward::Form;
use crate::kernels::isa::Isa;
use crate::state::StateLayout;

/// One step of an LSTM. Its state is `h`, `c`; the gates stand in Keras's order i, f, c, o.
///
/// ```text
/// i  = recurrent_activation(x Ki + h Ri + bi)       input gate
/// f  = recurrent_activation(x Kf + h Rf + bf)       forget gate
/// g  = activation(x Kc + h Rc + bc)                 candidate
/// o  = recurrent_activation(x Ko + h Ro + bo)       output gate
/// c' = f c + i g
/// h' = o activation(c')
/// ```
///
/// Weights: `kernel` (input_size, 4 units), `recurrent_kernel` (units, 4 units), `bias` (4 units). As a layer it is
/// [`Lstm`](crate::Lstm), Keras's `LSTM`, with its defaults:
///
/// ```
/// use ndarray::prelude::*;
/// use recurrent::{Initializer, Layer, Lstm};
/// let lstm = Lstm::<f32>::builder(1, 1)
///     .kernel_initializer(Initializer::Ones)
///     .recurrent_initializer(Initializer::Zeros)
///     .activation("linear".parse()?)
///     .build()?;
/// let h = lstm.forward(&Array3::ones((1, 4, 1)))?.into_last();
/// assert!((h[[0, 0]] - 1.7850124).abs() < 1e-6); // what Keras prints
/// # Ok::<(), recurrent::Error>(())
/// ```
#[derive(Clone)]
pub struct LstmCell<T: Float = f32> {
    parts: CellParts<T, LstmOptions>,
    /// The weights again, in the order in which a step reads them.
    kernel: LstmKernel<T>,
}

/// What only an LSTM's builder has.
#[doc(hidden)]
#[derive(Debug, Clone)]
pub struct LstmOptions {
    recurrent_activation: Activation,
    unit_forget_bias: bool,
}

impl Default for LstmOptions {
    fn default() -> Self {
        LstmOptions { recurrent_activation: Activation::Sigmoid, unit_forget_bias: true }
    }
}

impl CellOptions for LstmOptions {
    fn recurrent_activation(&self) -> Option<&Activation> {
        Some(&self.recurrent_activation)
    }
}

impl<T: Float> Builder<'_, LstmCell<T>> {
    /// The activation of the gates.
    pub fn recurrent_activation(self, activation: Activation) -> Self {
        self.with(|options| options.recurrent_activation = activation)
    }

    /// Whether the forget gate's bias starts at one (Jozefowicz et al. 2015). The other gates' bias is what the bias
    /// initializer says, as Keras does it (and not zeros, as Keras documents it).
    pub fn unit_forget_bias(self, yes: bool) -> Self {
        self.with(|options| options.unit_forget_bias = yes)
    }
}

const I: usize = 0;
const F: usize = 1;
const C: usize = 2;
const O: usize = 3;

impl<T: Float> BuiltInCell for LstmCell<T> {
    type Options = LstmOptions;

    fn gates(_: &LstmOptions) -> usize {
        4
    }

    fn spec(input_size: usize, units: usize, _: &LstmOptions) -> CellSpec {
        let state = StateLayout::new([("h", units), ("c", units)]);
        CellSpec { input_size, state, scratch: 4 * units, tape: 4 * units, backward_scratch: 4 * units }
    }

    fn weights(recipe: &Recipe<LstmOptions>) -> Vec<WeightSpec> {
        let units = recipe.units;
        let forget = recipe.options.unit_forget_bias.then(|| units..units.saturating_mul(2));
        let bias = recipe.bias(&[units.saturating_mul(4)]);
        vec![recipe.kernel(4), recipe.recurrent_kernel(units, 4), bias.ones(forget)]
    }

    fn forward(&self, step: Step<'_, T>) {
        let CellParts { units, weights, activation, options, .. } = &self.parts;
        let (h, c) = step.prev.split_at(*units);
        let (h_next, c_next) = step.next.split_at_mut(*units);
        let gates = Gates::new(weights, *units, step.x, h, step.dropout);
        let [i, f, g, o] = parts(step.tape.unwrap_or(step.scratch), *units);
        for (gate, y) in [(I, &mut *i), (F, &mut *f), (C, &mut *g), (O, &mut *o)] {
            gates.preactivation(gate, y);
            apply(if gate == C { activation } else { &options.recurrent_activation }, y);
        }
        for unit in 0..*units {
            c_next[unit] = f[unit] * c[unit] + i[unit] * g[unit];
        }
        h_next.copy_from_slice(c_next);
        apply(activation, h_next);
        h_next.iter_mut().zip(o).for_each(|(h, &mut o)| *h *= o);
    }

    /// ```text
    /// t  = activation(c')
    /// do = dh' t,   dc' += activation'(c') o dh'
    /// di = dc' g,   df = dc' c,   dg = dc' i,   dc = dc' f
    /// ```
    /// then for each gate, with `dz` the gradient of its preactivation: `dh += dz R^T`, `dx += dz K^T`, `dK += x dz`,
    /// `dR += h dz`, `db += dz`. The tape holds i, f, g, o.
    fn backward(&self, step: StepBackward<'_, T>, gradients: &mut WeightGradients<'_, T>) {
        let CellParts { units, weights, activation, options, .. } = &self.parts;
        let units = *units;
        let (h, c) = step.prev.split_at(units);
        let (d_h_next, d_c_next) = step.d_next.split_at(units);
        let c_next = &step.next[units..];
        let gate = |gate: usize| &step.tape[gate * units..][..units];
        let (d_h, d_c) = step.d_prev.split_at_mut(units);
        let [t, dc_next, d, buffer] = parts(step.scratch, units);

        t.copy_from_slice(c_next);
        apply(activation, t);
        for (unit, dc_next) in dc_next.iter_mut().enumerate() {
            *dc_next = d_h_next[unit] * gate(O)[unit];
        }
        activate_backward(Isa::detect(), activation, c_next, t, dc_next);
        for unit in 0..units {
            dc_next[unit] += d_c_next[unit];
            d_c[unit] = dc_next[unit] * gate(F)[unit];
        }
        step.d_x.fill(T::zero());
        d_h.fill(T::zero());
        let gates = Gates::new(weights, units, step.x, h, step.dropout);
        let mut gates = GatesBackward::new(gates, step.d_x, d_h, gradients);
        for at in [I, F, C, O] {
            for (unit, d) in d.iter_mut().enumerate() {
                *d = match at {
                    I => dc_next[unit] * gate(C)[unit],
                    F => dc_next[unit] * c[unit],
                    C => dc_next[unit] * gate(I)[unit],
                    _ => d_h_next[unit] * t[unit],
                };
            }
            let activation = if at == C { activation } else { &options.recurrent_activation };
            gates.gate(at, activation, gate(at), d, buffer);
        }
    }

    fn packed_len(recipe: &Recipe<LstmOptions>) -> Option<usize> {
        LstmKernel::<T>::packed_len(recipe.input_size, recipe.units)
    }

    fn assemble(parts: CellParts<T, LstmOptions>) -> Self {
        let kernel = LstmKernel::new(parts.spec.input_size, parts.units);
        debug_assert_eq!(kernel.saved_len(), parts.spec.tape);
        let mut cell = LstmCell { parts, kernel };
        cell.pack();
        cell
    }

    fn pack(&mut self) {
        let (kernel, recurrent_kernel, bias) = self.parts.weights.three();
        self.kernel.pack(kernel, recurrent_kernel, bias);
    }

    fn parts(&self) -> &CellParts<T, LstmOptions> {
        &self.parts
    }
}

impl<T: Float> LstmCell<T> {
    #[inline]
    fn by_kernel(&self) -> ByKernel<'_, Self, LstmKernel<T>> {
        let CellParts { weights, activation, options, .. } = &self.parts;
        let (form, recurrent_activation) = (Form::Lstm, &options.recurrent_activation);
        ByKernel { cell: self, kernel: &self.kernel, form, weights, activation, recurrent_activation }
    }
}

impl<T: Float> Cell for LstmCell<T> {
    cell_methods!();

    fn step(&self, step: Step<'_, T>) {
        let mut own = Vec::new();
        if let Some(step) = step.fitted(self, self.parts.spec.state.width(), &mut own) {
            self.by_kernel().step(step);
        }
    }

    #[inline]
    fn fused(&self) -> impl FusedCell<Elem = T> {
        self.by_kernel()
    }
}

debug_cell!(LstmCell);
