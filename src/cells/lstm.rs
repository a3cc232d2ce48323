//! The LSTM cell (Hochreiter and Schmidhuber 1997, with the forget gate of Gers, Schmidhuber and Cummins 2000).

use std::fmt;

use super::weights::CellWeights;
use super::{Cell, CellDropout, DropoutRows, Rows, RowsMut, Step, StepRows};
use crate::activation::Activation;
use crate::float::Float;
use crate::kernels::{KernelStep, LstmKernel};
use crate::state::StateLayout;
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
            saved: None,
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
        let (call, dropout) = step.as_rows(self.scratch_len(), &mut own);
        self.advance(call, dropout);
    }

    fn visit_weights<'a>(&'a self, visitor: &mut WeightVisitor<'_, 'a, T>) {
        self.weights.visit(visitor);
    }

    fn visit_weights_mut(&mut self, visitor: &mut WeightVisitorMut<'_, T>) {
        self.weights.visit_mut(visitor);
    }

    fn scratch_len(&self) -> usize {
        self.packed.scratch_len()
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

    fn step_rows(&self, call: StepRows<'_, T>) {
        let dropout = super::only_masks(&self.dropout, call.dropout);
        self.advance(call, dropout);
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
