//! The minimal gated unit (Zhou et al. 2016), in the paper's form and in both of flax's.

use super::builder::{Builder, Recipe};
use super::built_in::{BuiltInCell, CellOptions, CellParts, CellSpec, WeightSpec, cell_methods, debug_cell};
use super::gates::{Gates, GatesBackward, apply, parts, through_activation};
use super::{Cell, Step, StepBackward};
use crate::activation::Activation;
use crate::config::{Config, ConfigError, Options, activations};
use crate::float::Float;
use crate::gradients::WeightGradients;
use crate::state::StateLayout;
use crate::structure::StructureVisitor;

/// One step of a minimal gated unit: a GRU whose update and reset gates are one. Its state is `h`; the gates stand in
/// the order f, g.
///
/// ```text
/// f  = recurrent_activation(x Kf + h Rf + bf)       forget gate
///
/// g  = activation(x Kg + bg + f (h Rg + cg))        MguForm::ResetAfter: flax's MGUCell, and the default
/// g  = activation(x Kg + bg + h Rg)                 MguForm::NoReset: flax's with reset_gate=False
/// h' = f h + (1 - f) g                              both of flax's
///
/// g  = activation(x Kg + bg + (f h) Rg)             MguForm::ResetBefore: the paper's
/// h' = (1 - f) h + f g
/// ```
///
/// Beware: flax's gate keeps the old state, the paper's takes the new one.
///
/// Weights: `kernel` (input_size, 2 units), `recurrent_kernel` (units, 2 units); `bias` (2, 2 units) with the reset
/// after the product, the input's in row 0 and the recurrent one in row 1, which are both added, else (2 units). As a
/// layer it is [`Mgu`](crate::Mgu), with a GRU's defaults:
///
/// ```
/// use ndarray::prelude::*;
/// use recurrent::{Layer, Mgu, cell::MguForm};
/// let mgu = Mgu::<f32>::builder(3, 4).form(MguForm::ResetBefore).return_sequences(true).build()?;
/// assert_eq!(mgu.weight("bias")?.shape(), [8]);
/// assert_eq!(mgu.forward(&Array3::ones((2, 5, 3)))?.sequence()?.dim(), (2, 5, 4));
/// # Ok::<(), recurrent::Error>(())
/// ```
#[derive(Clone)]
pub struct MguCell<T: Float = f32> {
    parts: CellParts<T, MguOptions>,
}

/// What the gate of an [`Mgu`](crate::Mgu) does to the candidate: [`MguCell`] has the equations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum MguForm {
    /// It multiplies the product of h and the recurrent kernel: flax's `MGUCell`.
    #[default]
    ResetAfter,
    /// Nothing: flax's `MGUCell` with `reset_gate=False`.
    NoReset,
    /// It multiplies h before the product: the paper's form.
    ResetBefore,
}

/// The forms by name.
const FORMS: [(&str, MguForm); 3] =
    [("reset_after", MguForm::ResetAfter), ("no_reset", MguForm::NoReset), ("reset_before", MguForm::ResetBefore)];

/// What only an MGU's builder has.
#[doc(hidden)]
#[derive(Debug, Clone)]
pub struct MguOptions {
    recurrent_activation: Activation,
    form: MguForm,
}

impl Default for MguOptions {
    fn default() -> Self {
        MguOptions { recurrent_activation: Activation::Sigmoid, form: MguForm::default() }
    }
}

impl CellOptions for MguOptions {
    fn recurrent_activation(&self) -> Option<&Activation> {
        Some(&self.recurrent_activation)
    }

    fn visit_structure(&self, visitor: &mut StructureVisitor<'_>) {
        visitor.value("form", self.form);
    }

    fn describe(&self) -> Result<Config, ConfigError> {
        let form = FORMS.iter().find(|(_, form)| *form == self.form).map_or("", |(name, _)| *name);
        let recurrent_activation = activations::describe(&self.recurrent_activation)?;
        Ok(Config::new("").with("recurrent_activation", recurrent_activation).with("form", form))
    }

    fn read(options: &Options<'_>) -> Result<Self, ConfigError> {
        Ok(MguOptions {
            recurrent_activation: activations::read(&options.need("recurrent_activation", "an activation")?)?,
            form: options.word("form", &FORMS)?,
        })
    }
}

impl<T: Float> Builder<'_, MguCell<T>> {
    /// The activation of the gate.
    pub fn recurrent_activation(self, activation: Activation) -> Self {
        self.with(|options| options.recurrent_activation = activation)
    }

    /// What the gate does to the candidate.
    pub fn form(self, form: MguForm) -> Self {
        self.with(|options| options.form = form)
    }
}

const F: usize = 0;
const G: usize = 1;

impl<T: Float> BuiltInCell for MguCell<T> {
    type Options = MguOptions;

    fn gates(_: &MguOptions) -> usize {
        2
    }

    fn spec(input_size: usize, units: usize, _: &MguOptions) -> CellSpec {
        let state = StateLayout::new([("h", units)]);
        CellSpec { input_size, state, scratch: 3 * units, tape: 3 * units, backward_scratch: 4 * units }
    }

    fn weights(recipe: &Recipe<MguOptions>) -> Vec<WeightSpec> {
        let columns = recipe.units.saturating_mul(2);
        let bias = if recipe.options.form == MguForm::ResetAfter { &[2, columns][..] } else { &[columns] };
        vec![recipe.kernel(2), recipe.recurrent_kernel(recipe.units, 2), recipe.bias(bias)]
    }

    fn forward(&self, step: Step<'_, T>) {
        let CellParts { units, weights, activation, options, .. } = &self.parts;
        let h = step.prev;
        let gates = Gates::new(weights, *units, step.x, h, step.dropout);
        let [f, g, product] = parts(step.tape.unwrap_or(step.scratch), *units);
        gates.preactivation(F, f);
        apply(&options.recurrent_activation, f);
        match options.form {
            MguForm::ResetAfter => gates.h_part(G, product),
            MguForm::NoReset => product.fill(T::zero()),
            MguForm::ResetBefore => (0..*units).for_each(|unit| product[unit] = f[unit] * gates.masked_h(G, unit)),
        }
        self.candidate(&gates, f, product, g);
        apply(activation, g);
        for unit in 0..*units {
            let (old, new) = self.shares(f[unit]);
            step.next[unit] = old * h[unit] + new * g[unit];
        }
    }

    /// ```text
    /// df = dh' (h - g),   dg = activation'(..) dh' (1 - f),   dh = dh' f    (paper: 1 - f and f change)
    /// ResetAfter:   df += dg (h Rg + cg),  the product h Rg + cg gets dg f
    /// NoReset:      the product h Rg gets dg
    /// ResetBefore:  q = dg Rg^T,  df += q h,  dh += q f
    /// ```
    /// then as in every gate. The tape holds f, g, and `h Rg + cg` or `f h`.
    fn backward(&self, step: StepBackward<'_, T>, gradients: &mut WeightGradients<'_, T>) {
        let CellParts { units, weights, activation, options, .. } = &self.parts;
        let units = *units;
        let (h, d_next) = (step.prev, step.d_next);
        let tape = |part: usize| &step.tape[part * units..][..units];
        let (f, g, product) = (tape(0), tape(1), tape(2));
        let [dg, df, d, buffer] = parts(step.scratch, units);
        let paper = options.form == MguForm::ResetBefore;

        for unit in 0..units {
            let (old, new) = self.shares(f[unit]);
            dg[unit] = d_next[unit] * new;
            step.d_prev[unit] = d_next[unit] * old;
            df[unit] = d_next[unit] * if paper { g[unit] - h[unit] } else { h[unit] - g[unit] };
        }
        step.d_x.fill(T::zero());
        let gates = Gates::new(weights, units, step.x, h, step.dropout);
        through_activation(activation, g, dg, buffer, |z| self.candidate(&gates, f, product, z));
        let mut gates = GatesBackward::new(gates, step.d_x, step.d_prev, gradients);
        gates.input_product(G, dg);
        match options.form {
            MguForm::ResetAfter => {
                for unit in 0..units {
                    df[unit] += dg[unit] * product[unit];
                    d[unit] = dg[unit] * f[unit];
                }
                gates.recurrent_product(G, d);
                gates.add_second_bias(G, d);
            }
            MguForm::NoReset => gates.recurrent_product(G, dg),
            MguForm::ResetBefore => {
                for unit in 0..units {
                    let q = gates.recurrent_sum(G, unit, product[unit], dg);
                    df[unit] += q * gates.gates.masked_h(G, unit);
                    gates.add_to_h(G, unit, q * f[unit]);
                }
            }
        }
        gates.gate(F, &options.recurrent_activation, f, df, buffer);
        if options.form == MguForm::ResetAfter {
            gates.add_second_bias(F, df);
        }
    }

    fn assemble(parts: CellParts<T, MguOptions>) -> Self {
        MguCell { parts }
    }

    fn parts(&self) -> &CellParts<T, MguOptions> {
        &self.parts
    }
}

impl<T: Float> MguCell<T> {
    /// The shares of the old state and of the candidate in the new state.
    fn shares(&self, f: T) -> (T, T) {
        match self.parts.options.form {
            MguForm::ResetBefore => (T::one() - f, f),
            MguForm::ResetAfter | MguForm::NoReset => (f, T::one() - f),
        }
    }

    /// The preactivation of the candidate.
    fn candidate(&self, gates: &Gates<'_, T>, f: &[T], product: &[T], z: &mut [T]) {
        gates.x_part(G, z);
        match self.parts.options.form {
            MguForm::ResetAfter => z.iter_mut().zip(f.iter().zip(product)).for_each(|(z, (&f, &p))| *z += f * p),
            MguForm::NoReset => gates.add_h_part(G, z),
            MguForm::ResetBefore => gates.add_recurrent_part(G, product, z),
        }
    }
}

impl<T: Float> Cell for MguCell<T> {
    cell_methods!(without kernel);
}

debug_cell!(MguCell);
