//! The GRU cell (Cho et al. 2014), in both of the forms that Keras has.

use std::fmt;

use super::gate::GatesBackward;
use super::weights::CellWeights;
use super::{BackwardPlan, Cell, CellDropout, DropoutRows, RowStep, Rows, RowsMut, Step, StepBackward, StepRows};
use crate::activation::Activation;
use crate::error::Result;
use crate::float::Float;
use crate::gradients::WeightGradients;
use crate::kernels::backward::Form;
use crate::kernels::{GruKernel, KernelStep};
use crate::state::StateLayout;
use crate::structure::StructureVisitor;
use crate::weights::{WeightVisitor, WeightVisitorMut};

/// One step of a GRU. Its state is `h`; the gates stand in Keras's order z, r, h.
///
/// ```text
/// z  = recurrent_activation(x Kz + h Rz + bz)       update gate
/// r  = recurrent_activation(x Kr + h Rr + br)       reset gate
/// g  = activation(x Kh + bh + r (h Rh + ch))        candidate, reset_after (the default, cuDNN's and PyTorch's form)
/// g  = activation(x Kh + bh + (r h) Rh)             candidate, otherwise (the form of the paper)
/// h' = z h + (1 - z) g
/// ```
///
/// With `reset_after` the bias is (2, 3 units), the input's in row 0 and the recurrent one in row 1; both are added.
#[derive(Clone)]
pub struct GruCell<T: Float = f32> {
    pub(crate) weights: CellWeights<T>,
    pub(crate) activation: Activation,
    pub(crate) recurrent_activation: Activation,
    pub(crate) reset_after: bool,
    pub(crate) dropout: Vec<CellDropout>,
    /// The weights again, in the order in which a step reads them.
    packed: GruKernel<T>,
}

impl<T: Float> GruCell<T> {
    pub(crate) fn new(
        weights: CellWeights<T>,
        activation: Activation,
        recurrent_activation: Activation,
        reset_after: bool,
        dropout: Vec<CellDropout>,
    ) -> Self {
        let packed = GruKernel::new(weights.input_size(), weights.units(), reset_after);
        let mut cell = GruCell { weights, activation, recurrent_activation, reset_after, dropout, packed };
        cell.weights_changed();
        cell
    }

    /// One step by the kernel.
    fn advance(&self, call: StepRows<'_, T>, dropout: Option<DropoutRows<'_, T>>) {
        self.packed.step(KernelStep {
            rows: call.rows,
            input: call.input,
            prev: call.prev,
            next: call.next,
            saved: call.tape,
            dropout,
            scratch: call.scratch,
            odd_step: call.odd,
            activation: &self.activation,
            recurrent_activation: &self.recurrent_activation,
        });
    }
}

impl<T: Float> Cell for GruCell<T> {
    type Elem = T;

    fn input_size(&self) -> usize {
        self.weights.input_size()
    }

    fn state_layout(&self) -> StateLayout {
        StateLayout::new([("h", self.weights.units())])
    }

    fn step(&self, step: Step<'_, T>) {
        let mut own = Vec::new();
        let Some((call, dropout)) = step.into_rows(self, &mut own) else { return };
        self.advance(call, dropout);
    }

    fn visit_weights<'a>(&'a self, visitor: &mut WeightVisitor<'_, 'a, T>) {
        self.weights.visit(visitor);
    }

    fn visit_weights_mut(&mut self, visitor: &mut WeightVisitorMut<'_, T>) {
        self.weights.visit_mut(visitor);
    }

    fn scratch_len(&self) -> usize {
        self.packed.scratch_len(1)
    }

    fn rows_scratch_len(&self, batch: usize) -> usize {
        self.packed.scratch_len(batch)
    }

    fn dropout(&self) -> &[CellDropout] {
        &self.dropout
    }

    fn class_name(&self) -> &'static str {
        "GRU"
    }

    fn try_clone(&self) -> Option<Self> {
        Some(self.clone())
    }

    fn visit_structure(&self, visitor: &mut StructureVisitor<'_>) {
        visitor.value("activation", &self.activation);
        visitor.value("recurrent_activation", &self.recurrent_activation);
        visitor.value("reset_after", self.reset_after);
    }

    fn weights_changed(&mut self) {
        let (kernel, recurrent_kernel, bias) = self.weights.slices();
        self.packed.pack(kernel, recurrent_kernel, bias);
    }

    fn projected_len(&self) -> usize {
        self.packed.projected_len()
    }

    fn project(&self, count: usize, x: Rows<'_, T>, out: RowsMut<'_, T>) {
        self.packed.project(count, x, out);
    }

    #[inline]
    fn step_row(&self, step: &mut RowStep<'_, T>, scratch: &mut [T], odd: bool) {
        self.packed.step_row(step, &self.activation, &self.recurrent_activation, odd, scratch);
    }

    fn step_rows(&self, call: StepRows<'_, T>) {
        let dropout = super::only_masks(&self.dropout, call.dropout);
        self.advance(call, dropout);
    }

    fn tape_len(&self) -> usize {
        self.packed.saved_len()
    }

    fn can_train(&self) -> Result<()> {
        self.activation.check_derivative()?;
        self.recurrent_activation.check_derivative()
    }

    fn backward_plan(&self) -> Option<BackwardPlan<'_, T>> {
        let form = if self.reset_after { Form::GruAfter } else { Form::GruBefore };
        BackwardPlan::new(form, &self.weights, &self.activation, &self.recurrent_activation)
    }

    fn may_fail_backward(&self) -> bool {
        false
    }

    fn backward_scratch_len(&self) -> usize {
        4 * self.weights.units()
    }

    /// ```text
    /// dz = dh' (h - g),   dg = dh' (1 - z),   dh = dh' z,   dn = activation'(..) dg
    /// reset_after:  dr = dn (h Rh + ch),   the product h Rh + ch gets dn r
    /// otherwise:    q = dn Rh^T,           dr = q h,   dh += q r
    /// ```
    /// then as in every gate. The tape holds z, r, g, and `h Rh + ch` or `r h`.
    fn step_backward(&self, step: StepBackward<'_, T>, gradients: &mut WeightGradients<'_, T>) -> Result<()> {
        const GATES: usize = 3;
        const Z: usize = 0;
        const R: usize = 1;
        const H: usize = 2;
        let units = self.weights.units();
        let (h, d_next) = (step.prev, step.d_next);
        let left = |part: usize| &step.tape[part * units..][..units];
        let (z, r, g, product) = (left(0), left(1), left(2), left(3));
        let [dn, dr, d, buffer] = super::quarters(&mut step.scratch[..4 * units]);

        for unit in 0..units {
            dn[unit] = d_next[unit] * (T::one() - z[unit]);
            step.d_prev[unit] = d_next[unit] * z[unit];
        }
        step.d_x.fill(T::zero());
        let mut gates = GatesBackward {
            weights: &self.weights,
            x: step.x,
            h,
            dropout: step.dropout,
            d_x: step.d_x,
            d_h: step.d_prev,
            gradients,
        };
        GatesBackward::through_activation(&self.activation, g, dn, buffer, |preactivation| {
            gates.input_part(H, preactivation);
            if self.reset_after {
                let parts = r.iter().zip(product);
                preactivation.iter_mut().zip(parts).for_each(|(p, (&r, &product))| *p += r * product);
            } else {
                gates.add_recurrent_part(H, product, preactivation);
            }
        });
        gates.input_product(H, dn);
        if self.reset_after {
            for unit in 0..units {
                dr[unit] = dn[unit] * product[unit];
                d[unit] = dn[unit] * r[unit];
            }
            gates.recurrent_product(H, d);
            gates.add_bias((GATES + H) * units, d);
        } else {
            for unit in 0..units {
                let q = gates.recurrent_sum(H, unit, product[unit], dn);
                dr[unit] = q * gates.masked_h(H, unit);
                gates.add_to_h(H, unit, q * r[unit]);
            }
        }
        gates.gate(R, &self.recurrent_activation, r, dr, buffer);
        for (unit, d) in d.iter_mut().enumerate() {
            *d = d_next[unit] * (h[unit] - g[unit]);
        }
        gates.gate(Z, &self.recurrent_activation, z, d, buffer);
        if self.reset_after {
            gates.add_bias((GATES + R) * units, dr);
            gates.add_bias((GATES + Z) * units, d);
        }
        Ok(())
    }
}

impl<T: Float> fmt::Debug for GruCell<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GruCell")
            .field("input_size", &self.weights.input_size())
            .field("units", &self.weights.units())
            .field("activation", &self.activation)
            .field("recurrent_activation", &self.recurrent_activation)
            .field("reset_after", &self.reset_after)
            .field("use_bias", &self.weights.bias.is_some())
            .finish_non_exhaustive()
    }
}
