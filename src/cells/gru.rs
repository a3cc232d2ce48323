//! The GRU cell (Cho et al. 2014), in both of the forms that Keras has.

use super::builder::{Builder, Recipe};
use super::built_in::{BuiltInCell, CellOptions, CellSpec, WeightSpec, cell_methods, debug_cell};
use super::by_kernel::ByKernel;
use super::gates::{Gates, GatesBackward, apply, parts, through_activation};
use super::{Cell, CellParts, FusedCell, Step, StepBackward};
use crate::activation::Activation;
use crate::config::{Config, ConfigError, Options, activations};
use crate::float::Float;
use crate::gradients::WeightGradients;
use crate::kernels::GruKernel;
use crate::kernels::backward::Form;
use crate::state::StateLayout;
use crate::structure::StructureVisitor;

/// One step of a GRU. Its state is `h`; the gates stand in Keras's order z, r, g (which Keras calls h).
///
/// ```text
/// z  = recurrent_activation(x Kz + h Rz + bz)       update gate
/// r  = recurrent_activation(x Kr + h Rr + br)       reset gate
/// g  = activation(x Kg + bg + r (h Rg + cg))        candidate, reset_after (the default, cuDNN's and PyTorch's form)
/// g  = activation(x Kg + bg + (r h) Rg)             candidate, otherwise (the form of the paper)
/// h' = z h + (1 - z) g
/// ```
///
/// Weights: `kernel` (input_size, 3 units), `recurrent_kernel` (units, 3 units); `bias` (2, 3 units) with
/// `reset_after`, the input's in row 0 and the recurrent one in row 1, which are both added, else (3 units). As a
/// layer it is [`Gru`](crate::Gru), Keras's `GRU`, with its defaults:
///
/// ```
/// use ndarray::prelude::*;
/// use recurrent::{Gru, Layer};
/// let gru = Gru::<f64>::builder(3, 4).reset_after(false).return_sequences(true).build()?;
/// assert_eq!(gru.weight("bias")?.shape(), [12]);
/// assert_eq!(gru.forward(&Array3::ones((2, 5, 3)))?.sequence()?.dim(), (2, 5, 4));
/// # Ok::<(), recurrent::Error>(())
/// ```
#[derive(Clone)]
pub struct GruCell<T: Float = f32> {
    parts: CellParts<T, GruOptions>,
    /// The weights again, in the order in which a step reads them.
    kernel: GruKernel<T>,
}

/// What only a GRU's builder has.
#[doc(hidden)]
#[derive(Debug, Clone)]
pub struct GruOptions {
    recurrent_activation: Activation,
    reset_after: bool,
}

impl Default for GruOptions {
    fn default() -> Self {
        GruOptions { recurrent_activation: Activation::Sigmoid, reset_after: true }
    }
}

impl GruOptions {
    fn form(&self) -> Form {
        if self.reset_after { Form::GruAfter } else { Form::GruBefore }
    }
}

impl CellOptions for GruOptions {
    fn recurrent_activation(&self) -> Option<&Activation> {
        Some(&self.recurrent_activation)
    }

    fn visit_structure(&self, visitor: &mut StructureVisitor<'_>) {
        visitor.value("reset_after", self.reset_after);
    }

    fn describe(&self) -> Result<Config, ConfigError> {
        let recurrent_activation = activations::describe(&self.recurrent_activation)?;
        Ok(Config::new("").with("recurrent_activation", recurrent_activation).with("reset_after", self.reset_after))
    }

    fn read(options: &Options<'_>) -> Result<Self, ConfigError> {
        Ok(GruOptions {
            recurrent_activation: activations::read(&options.need("recurrent_activation", "an activation")?)?,
            reset_after: options.flag("reset_after")?,
        })
    }
}

impl<T: Float> Builder<'_, GruCell<T>> {
    /// The activation of the gates.
    pub fn recurrent_activation(self, activation: Activation) -> Self {
        self.with(|options| options.recurrent_activation = activation)
    }

    /// Whether the reset gate acts after the product with the recurrent kernel (cuDNN's and PyTorch's form) or before
    /// it (the paper's).
    pub fn reset_after(self, yes: bool) -> Self {
        self.with(|options| options.reset_after = yes)
    }
}

const Z: usize = 0;
const R: usize = 1;
const G: usize = 2;

impl<T: Float> BuiltInCell for GruCell<T> {
    type Options = GruOptions;

    fn gates(_: &GruOptions) -> usize {
        3
    }

    fn spec(input_size: usize, units: usize, _: &GruOptions) -> CellSpec {
        let state = StateLayout::new([("h", units)]);
        CellSpec { input_size, state, scratch: 4 * units, tape: 4 * units, backward_scratch: 4 * units }
    }

    fn weights(recipe: &Recipe<GruOptions>) -> Vec<WeightSpec> {
        let columns = recipe.units.saturating_mul(3);
        let bias = if recipe.options.reset_after { &[2, columns][..] } else { &[columns] };
        vec![recipe.kernel(3), recipe.recurrent_kernel(recipe.units, 3), recipe.bias(bias)]
    }

    fn forward(&self, step: Step<'_, T>) {
        let CellParts { units, weights, activation, options, .. } = &self.parts;
        let h = step.prev;
        let gates = Gates::new(weights, *units, step.x, h, step.dropout);
        let [z, r, g, product] = parts(step.tape.unwrap_or(step.scratch), *units);
        for (gate, y) in [(Z, &mut *z), (R, &mut *r)] {
            gates.preactivation(gate, y);
            apply(&options.recurrent_activation, y);
        }
        gates.x_part(G, g);
        if options.reset_after {
            gates.h_part(G, product);
            g.iter_mut().zip(r.iter().zip(&*product)).for_each(|(g, (&r, &product))| *g += r * product);
        } else {
            (0..*units).for_each(|unit| product[unit] = r[unit] * gates.masked_h(G, unit));
            gates.add_recurrent_part(G, product, g);
        }
        apply(activation, g);
        for unit in 0..*units {
            step.next[unit] = z[unit] * h[unit] + (T::one() - z[unit]) * g[unit];
        }
    }

    /// ```text
    /// dz = dh' (h - g),   dg = activation'(..) dh' (1 - z),   dh = dh' z
    /// reset_after:  dr = dg (h Rg + cg),   the product h Rg + cg gets dg r
    /// otherwise:    q = dg Rg^T,           dr = q h,   dh += q r
    /// ```
    /// then as in every gate. The tape holds z, r, g, and `h Rg + cg` or `r h`.
    fn backward(&self, step: StepBackward<'_, T>, gradients: &mut WeightGradients<'_, T>) {
        let CellParts { units, weights, activation, options, .. } = &self.parts;
        let (units, reset_after) = (*units, options.reset_after);
        let (h, d_next) = (step.prev, step.d_next);
        let tape = |part: usize| &step.tape[part * units..][..units];
        let (z, r, g, product) = (tape(0), tape(1), tape(2), tape(3));
        let [dg, dr, d, buffer] = parts(step.scratch, units);

        for unit in 0..units {
            dg[unit] = d_next[unit] * (T::one() - z[unit]);
            step.d_prev[unit] = d_next[unit] * z[unit];
        }
        step.d_x.fill(T::zero());
        let gates = Gates::new(weights, units, step.x, h, step.dropout);
        through_activation(activation, g, dg, buffer, |preactivation| {
            gates.x_part(G, preactivation);
            if reset_after {
                let parts = r.iter().zip(product);
                preactivation.iter_mut().zip(parts).for_each(|(p, (&r, &product))| *p += r * product);
            } else {
                gates.add_recurrent_part(G, product, preactivation);
            }
        });
        let mut gates = GatesBackward::new(gates, step.d_x, step.d_prev, gradients);
        gates.input_product(G, dg);
        if reset_after {
            for unit in 0..units {
                dr[unit] = dg[unit] * product[unit];
                d[unit] = dg[unit] * r[unit];
            }
            gates.recurrent_product(G, d);
            gates.add_second_bias(G, d);
        } else {
            for unit in 0..units {
                let q = gates.recurrent_sum(G, unit, product[unit], dg);
                dr[unit] = q * gates.gates.masked_h(G, unit);
                gates.add_to_h(G, unit, q * r[unit]);
            }
        }
        gates.gate(R, &options.recurrent_activation, r, dr, buffer);
        for (unit, d) in d.iter_mut().enumerate() {
            *d = d_next[unit] * (h[unit] - g[unit]);
        }
        gates.gate(Z, &options.recurrent_activation, z, d, buffer);
        if reset_after {
            gates.add_second_bias(R, dr);
            gates.add_second_bias(Z, d);
        }
    }

    fn packed_len(recipe: &Recipe<GruOptions>) -> Option<usize> {
        GruKernel::<T>::packed_len(recipe.input_size, recipe.units)
    }

    fn quantized_form(options: &GruOptions) -> Result<Form, &'static str> {
        Ok(options.form())
    }

    fn assemble(parts: CellParts<T, GruOptions>) -> Self {
        let kernel = GruKernel::new(parts.spec.input_size, parts.units, parts.options.reset_after);
        debug_assert_eq!(kernel.tape_len(), parts.spec.tape);
        let mut cell = GruCell { parts, kernel };
        cell.pack();
        cell
    }

    fn pack(&mut self) {
        let (kernel, recurrent_kernel, bias) = self.parts.weights.three();
        self.kernel.pack(kernel, recurrent_kernel, bias);
    }

    fn parts(&self) -> &CellParts<T, GruOptions> {
        &self.parts
    }
}

impl<T: Float> GruCell<T> {
    #[inline]
    fn by_kernel(&self) -> ByKernel<'_, Self, GruKernel<T>> {
        let CellParts { weights, activation, options, .. } = &self.parts;
        let (form, recurrent_activation) = (options.form(), &options.recurrent_activation);
        ByKernel { cell: self, kernel: &self.kernel, form, weights, activation, recurrent_activation }
    }
}

impl<T: Float> Cell for GruCell<T> {
    cell_methods!();

    fn step(&self, step: Step<'_, T>) {
        let mut own = Vec::new();
        if let Some(step) = step.fitted(self, self.parts.units, &mut own) {
            self.by_kernel().step(step);
        }
    }

    #[inline]
    fn fused(&self) -> impl FusedCell<Elem = T> {
        self.by_kernel()
    }
}

debug_cell!(GruCell);
