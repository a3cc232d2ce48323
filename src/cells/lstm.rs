//! The LSTM cell (Hochreiter and Schmidhuber 1997, with the forget gate of Gers, Schmidhuber and Cummins 2000).

use std::fmt;

use super::gate::GatesBackward;
use super::weights::CellWeights;
use super::{BackwardPlan, Cell, CellDropout, DropoutRows, RowStep, Rows, RowsMut, Step, StepBackward, StepRows};
use crate::activation::Activation;
use crate::error::Result;
use crate::float::Float;
use crate::gradients::WeightGradients;
use crate::kernels::activate::{activate, activate_backward};
use crate::kernels::backward::Form;
use crate::kernels::isa::Isa;
use crate::kernels::{KernelStep, LstmKernel};
use crate::state::StateLayout;
use crate::structure::StructureVisitor;
use crate::weights::{WeightVisitor, WeightVisitorMut};

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
#[derive(Clone)]
pub struct LstmCell<T: Float = f32> {
    pub(crate) weights: CellWeights<T>,
    pub(crate) activation: Activation,
    pub(crate) recurrent_activation: Activation,
    pub(crate) dropout: Vec<CellDropout>,
    /// The weights again, in the order in which a step reads them.
    packed: LstmKernel<T>,
}

impl<T: Float> LstmCell<T> {
    pub(crate) fn new(
        weights: CellWeights<T>,
        activation: Activation,
        recurrent_activation: Activation,
        dropout: Vec<CellDropout>,
    ) -> Self {
        let packed = LstmKernel::new(weights.input_size(), weights.units());
        let mut cell = LstmCell { weights, activation, recurrent_activation, dropout, packed };
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

impl<T: Float> Cell for LstmCell<T> {
    type Elem = T;

    fn input_size(&self) -> usize {
        self.weights.input_size()
    }

    fn state_layout(&self) -> StateLayout {
        StateLayout::new([("h", self.weights.units()), ("c", self.weights.units())])
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
        "LSTM"
    }

    fn try_clone(&self) -> Option<Self> {
        Some(self.clone())
    }

    fn visit_structure(&self, visitor: &mut StructureVisitor<'_>) {
        visitor.value("activation", &self.activation);
        visitor.value("recurrent_activation", &self.recurrent_activation);
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
        BackwardPlan::new(Form::Lstm, &self.weights, &self.activation, &self.recurrent_activation)
    }

    fn may_fail_backward(&self) -> bool {
        false
    }

    fn backward_scratch_len(&self) -> usize {
        4 * self.weights.units()
    }

    /// ```text
    /// t  = activation(c')
    /// do = dh' t,   dc' += activation'(c') o dh'
    /// di = dc' g,   df = dc' c,   dg = dc' i,   dc = dc' f
    /// ```
    /// then for each gate, with `dz` the gradient of its preactivation: `dh += dz R^T`, `dx += dz K^T`, `dK += x dz`,
    /// `dR += h dz`, `db += dz`. The tape holds i, f, g, o.
    fn step_backward(&self, step: StepBackward<'_, T>, gradients: &mut WeightGradients<'_, T>) -> Result<()> {
        const I: usize = 0;
        const F: usize = 1;
        const C: usize = 2;
        const O: usize = 3;
        let units = self.weights.units();
        let (h, c) = step.prev.split_at(units);
        let (d_h_next, d_c_next) = step.d_next.split_at(units);
        let c_next = &step.next[units..];
        let gate = |gate: usize| &step.tape[gate * units..][..units];
        let (d_h, d_c) = step.d_prev.split_at_mut(units);
        let [t, dc_next, d, buffer] = super::quarters(&mut step.scratch[..4 * units]);

        t.copy_from_slice(c_next);
        activate(Isa::detect(), &self.activation, t);
        for (unit, dc_next) in dc_next.iter_mut().enumerate() {
            *dc_next = d_h_next[unit] * gate(O)[unit];
        }
        activate_backward(Isa::detect(), &self.activation, c_next, t, dc_next);
        for unit in 0..units {
            dc_next[unit] += d_c_next[unit];
            d_c[unit] = dc_next[unit] * gate(F)[unit];
        }
        step.d_x.fill(T::zero());
        d_h.fill(T::zero());
        let mut gates = GatesBackward {
            weights: &self.weights,
            x: step.x,
            h,
            dropout: step.dropout,
            d_x: step.d_x,
            d_h,
            gradients,
        };
        for at in [I, F, C, O] {
            for (unit, d) in d.iter_mut().enumerate() {
                *d = match at {
                    I => dc_next[unit] * gate(C)[unit],
                    F => dc_next[unit] * c[unit],
                    C => dc_next[unit] * gate(I)[unit],
                    _ => d_h_next[unit] * t[unit],
                };
            }
            let activation = if at == C { &self.activation } else { &self.recurrent_activation };
            gates.gate(at, activation, gate(at), d, buffer);
        }
        Ok(())
    }
}

impl<T: Float> fmt::Debug for LstmCell<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LstmCell")
            .field("input_size", &self.weights.input_size())
            .field("units", &self.weights.units())
            .field("activation", &self.activation)
            .field("recurrent_activation", &self.recurrent_activation)
            .field("use_bias", &self.weights.bias.is_some())
            .finish_non_exhaustive()
    }
}
