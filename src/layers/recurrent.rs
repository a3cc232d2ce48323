//! A cell as a layer.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use super::{Layer, quantize, summary, unrolled};
use crate::cells::builder::RecurrentOptions;
use crate::cells::{Cell, FusedCell, QuantizedCell, check_output};
use crate::config::{Config, ConfigError};
use crate::error::{Error, Result};
use crate::mask::TimeMask;
use crate::memory::MemoryNeeds;
use crate::parameters::{Parameters, Sealed, own_parameters};
use crate::precision::Precision;
use crate::runner::forward::Recurrence;
use crate::runner::layer::{LayerCore, LayerSpec};
use crate::runner::memory::{Call, CallBack, Held};
use crate::runner::pass::{BackwardPass, MaskedOutput, Pass};
use crate::runner::scratch::Scratch;
use crate::runner::tape::Node;
use crate::seeds::DropoutGenerator;
use crate::stamp::Stamp;
use crate::state::StateLayout;
use crate::strided::{RowStep, Rows, RowsMut};
use crate::structure::StructureVisitor;
use crate::weights::{QuantizedVisitor, WeightVisitor, WeightVisitorMut};

/// A cell run over time: Keras's `RNN(cell)`. [`SimpleRnn`](crate::SimpleRnn), [`Lstm`](crate::Lstm),
/// [`Gru`](crate::Gru) and the others of the list are names for it; a cell of your own becomes a layer by
/// [`from_cell`](Recurrent::from_cell).
///
/// A clone costs next to nothing: clones share their weights until one of them is changed.
#[must_use = "setters return the layer"]
pub struct Recurrent<C: Cell> {
    cell: Arc<C>,
    /// Of the cell's weights.
    stamp: Stamp,
    layout: Arc<StateLayout>,
    /// The columns of the state that are the output.
    output: Range<usize>,
    /// The elements of all weights.
    params: usize,
    options: RecurrentOptions,
}

impl<C: Cell> Recurrent<C> {
    /// A layer of this cell, with Keras's defaults: forwards, the last output only.
    pub fn from_cell(cell: C) -> Self {
        Recurrent::with_options(cell, RecurrentOptions::default())
    }

    pub(crate) fn with_options(cell: C, options: RecurrentOptions) -> Self {
        let (layout, output) = (Arc::new(cell.state_layout()), cell.output());
        let mut params = 0;
        cell.visit_weights(&mut WeightVisitor::new(&mut |_, weight| params = weight.len().saturating_add(params)));
        cell.visit_quantized(&mut QuantizedVisitor::new(&mut |_, weight| params = weight.len().saturating_add(params)));
        Recurrent { cell: Arc::new(cell), stamp: Stamp::new(), layout, output, params, options }
    }

    /// Whether to return the outputs of all steps. The same option of the builder is to be preferred where there is
    /// a builder.
    pub fn return_sequences(mut self, yes: bool) -> Self {
        self.options.return_sequences = yes;
        self
    }

    /// Whether to return the state after the last step.
    pub fn return_state(mut self, yes: bool) -> Self {
        self.options.return_state = yes;
        self
    }

    /// Whether to take the steps from the last to the first; outputs are returned in the order of processing.
    pub fn go_backwards(mut self, yes: bool) -> Self {
        self.options.go_backwards = yes;
        self
    }

    /// Whether masked steps output zeros instead of the previous output.
    pub fn zero_output_for_mask(mut self, yes: bool) -> Self {
        self.options.zero_output_for_mask = yes;
        self
    }

    /// Whether Keras unrolls the layer: for files alone, because it changes nothing but one odd case ([`unrolled`]).
    #[cfg(feature = "keras")]
    pub(crate) fn unroll(mut self, yes: bool) -> Self {
        self.options.unroll = yes;
        self
    }

    /// Whether the layer takes the steps from the last to the first.
    pub fn goes_backwards(&self) -> bool {
        self.options.go_backwards
    }

    /// The cell.
    pub fn cell(&self) -> &C {
        &self.cell
    }

    /// The cell alone, if no clone of the layer has it too.
    #[cfg(feature = "keras")]
    pub(crate) fn into_cell(self) -> Option<C> {
        Arc::into_inner(self.cell)
    }

    pub(crate) fn options(&self) -> RecurrentOptions {
        self.options
    }

    /// The same layer with its weights in fewer bits: a layer like any other, but that its weights can't be changed nor
    /// trained, and are read by [`dequantized`](Recurrent::dequantized). Its options stay; dropout is left out.
    ///
    /// ```
    /// use ndarray::prelude::*;
    /// use recurrent::{Gru, Layer, Precision};
    /// let gru = Gru::<f32>::builder(64, 128).return_sequences(true).build()?;
    /// let small = gru.quantize(Precision::Int8)?;
    /// assert!(small.weight_bytes() < gru.weight_bytes() * 29 / 100);
    ///
    /// let x = Array3::ones((4, 50, 64));
    /// let difference = gru.compare(&small, &x)?;
    /// assert!(difference.mean() < 0.01);
    /// println!("{difference}"); // a table: the largest and the mean error, by steps
    /// # Ok::<(), recurrent::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::CannotQuantize`] for a cell that has no such form: of f64, with options that Keras's cells don't have,
    /// of your own. [`Error::QuantizedValue`] for a weight that isn't finite.
    pub fn quantize(&self, precision: Precision) -> Result<Recurrent<QuantizedCell>> {
        Ok(Recurrent::with_options(self.cell().quantized(precision)?, self.options()))
    }

    fn recurrence(&self) -> Recurrence<'_, C> {
        let zero = self.options.zero_output_for_mask;
        Recurrence {
            cell: &*self.cell,
            state_width: self.layout.width(),
            output: self.output.clone(),
            go_backwards: self.options.go_backwards,
            masked_output: MaskedOutput { zero_sequence: zero, zero_last: zero },
            work: self.params,
        }
    }

    /// What masked steps output, if this is the call in which Keras puts the zeros elsewhere.
    fn turned_zeros(&self, pass: &Pass<'_, C::Elem>) -> Option<MaskedOutput> {
        let odd = self.options.unroll && self.options.go_backwards && !matches!(pass.mask, TimeMask::All);
        let masked_output = || pass.masked_output.unwrap_or(self.recurrence().masked_output);
        odd.then(masked_output).filter(|output| output.zero_sequence)
    }

    /// The cell to be changed, of this layer alone: a clone of it if other clones of the layer have it too.
    fn own_cell(&mut self) -> Result<&mut C> {
        if Arc::get_mut(&mut self.cell).is_none() {
            let cell = self.cell.try_clone().ok_or(Error::SharedCell { cell: self.cell.class_name() })?;
            self.cell = Arc::new(cell);
        }
        Arc::get_mut(&mut self.cell).ok_or(Error::SharedCell { cell: "RNN" })
    }
}

impl<C: Cell> Sealed for Recurrent<C> {}

impl<C: Cell> Parameters<C::Elem> for Recurrent<C> {
    fn layout(&self) -> &Arc<StateLayout> {
        &self.layout
    }

    fn visit_weights<'a>(&'a self, visitor: &mut WeightVisitor<'_, 'a, C::Elem>) {
        self.cell.visit_weights(visitor);
    }

    fn visit_weights_mut(&mut self, visitor: &mut WeightVisitorMut<'_, C::Elem>) -> Result<()> {
        self.own_cell()?;
        self.stamp.renew();
        self.own_cell()?.visit_weights_mut(visitor);
        Ok(())
    }

    fn visit_structure(&self, visitor: &mut StructureVisitor<'_>) {
        let RecurrentOptions { return_sequences, return_state, go_backwards, zero_output_for_mask, unroll } =
            self.options;
        visitor.layer(self.class_name(), Some(self.stamp));
        for (name, yes) in [
            ("return_sequences", return_sequences),
            ("return_state", return_state),
            ("go_backwards", go_backwards),
            ("zero_output_for_mask", zero_output_for_mask),
            ("unroll", unroll),
        ] {
            visitor.option(name, yes.into(), yes);
        }
        visitor.value("input_size", self.cell.input_size());
        visitor.value("output", &self.output);
        self.cell.visit_structure(visitor);
    }

    fn visit_quantized(&self, visitor: &mut QuantizedVisitor<'_>) {
        self.cell.visit_quantized(visitor);
    }

    fn unshare(&mut self) -> Result<()> {
        self.own_cell().map(|_| ())
    }

    fn describe(&self) -> Result<Config, ConfigError> {
        Ok(super::described::recurrent(self.options, self.cell.describe()?))
    }
}

impl<C: Cell> LayerCore<C::Elem> for Recurrent<C> {
    fn spec(&self) -> LayerSpec {
        let cell = &*self.cell;
        LayerSpec {
            returns_sequences: self.options.return_sequences,
            returns_state: self.options.return_state,
            reverses_time: self.options.go_backwards,
            output_columns: Some(self.output.clone()),
            work: self.params,
            generators: cell.dropout().len(),
            depth: cell.depth().saturating_add(1),
            may_fail_backward: cell.fused().may_fail_backward(),
            ..LayerSpec::new(cell.class_name(), cell.input_size(), self.output.len())
        }
    }

    fn streams(&self) -> Result<()> {
        self.check_ready()?;
        if self.options.go_backwards {
            return Err(Error::CannotStream { layer: self.class_name().into(), reason: "it goes backwards in time" });
        }
        Ok(())
    }

    fn visit_generators(&self, show: &mut dyn FnMut(DropoutGenerator)) {
        self.cell.dropout().iter().for_each(|dropout| show(DropoutGenerator::new(dropout)));
    }

    fn fill_initial_state(&self, row: &mut [C::Elem]) {
        self.cell.initial_state(row);
    }

    fn outputs_from_state(&self, batch: usize, state: Rows<'_, C::Elem>, mut carry: RowsMut<'_, C::Elem>) {
        for row in 0..batch {
            carry.row_mut(row).copy_from_slice(&state.row(row)[self.output.clone()]);
        }
    }

    fn check_ready(&self) -> Result<()> {
        // Asked before each call: of the layer's own copies, since the cell would make its layout again.
        check_output(self.class_name(), self.output.clone(), self.layout.width()).map(|_| ())
    }

    fn memory_needs(&self, call: Call, held: Held<'_, C::Elem>, needs: &mut MemoryNeeds) {
        self.recurrence().memory_needs(call, held, needs);
    }

    fn memory_needs_backward(&self, call: CallBack, held: Held<'_, C::Elem>, needs: &mut MemoryNeeds) {
        self.recurrence().memory_needs_backward(call, held, needs);
    }

    fn process(&self, mut pass: Pass<'_, C::Elem>, scratch: &mut Scratch<C::Elem>) {
        if let Some(node) = &mut pass.tape {
            node.turned_zeros = None;
        }
        match self.turned_zeros(&pass) {
            None => self.recurrence().run(pass, scratch),
            Some(zeros) => unrolled::process(pass, zeros, |pass| self.recurrence().run(pass, scratch)),
        }
    }

    fn step_into(
        &self,
        batch: usize,
        x: Rows<'_, C::Elem>,
        prev: Rows<'_, C::Elem>,
        next: RowsMut<'_, C::Elem>,
        carry: RowsMut<'_, C::Elem>,
        scratch: &mut Scratch<C::Elem>,
    ) {
        self.recurrence().step(batch, x, prev, next, carry, scratch);
    }

    fn step_shared(
        &self,
        batch: usize,
        x: &[C::Elem],
        prev: Rows<'_, C::Elem>,
        next: RowsMut<'_, C::Elem>,
        carry: RowsMut<'_, C::Elem>,
        scratch: &mut Scratch<C::Elem>,
    ) {
        self.recurrence().step_shared(batch, x, prev, next, carry, scratch);
    }

    #[inline]
    fn step_row(&self, step: &mut RowStep<'_, C::Elem>, _carry: &mut [C::Elem], scratch: &mut Scratch<C::Elem>) {
        scratch.odd = !scratch.odd;
        self.cell.fused().step_only_row(step, &mut scratch.work, scratch.odd);
    }

    fn can_train(&self) -> Result<()> {
        self.cell.can_train()
    }

    fn backward_into(
        &self,
        node: &mut Node<C::Elem>,
        pass: BackwardPass<'_, C::Elem>,
        scratch: &mut Scratch<C::Elem>,
    ) -> Result<()> {
        match node.turned_zeros {
            None => self.recurrence().backward(node, pass, scratch),
            Some(zeros) => {
                unrolled::backward(node, zeros, pass, |node, pass| self.recurrence().backward(node, pass, scratch))
            }
        }
    }
}

own_parameters!([C: Cell] Recurrent<C>, C::Elem);

impl<C: Cell> Layer<C::Elem> for Recurrent<C> {
    fn boxed_clone(&self) -> Box<dyn Layer<C::Elem>> {
        Box::new(self.clone())
    }

    fn parts(&self) -> Vec<(&str, &dyn Layer<C::Elem>)> {
        Vec::new()
    }

    fn quantize(&self, precision: Precision) -> Result<Box<dyn Layer<C::Elem>>> {
        quantize::boxed(Recurrent::quantize(self, precision)?)
    }
}

impl<C: Cell> Clone for Recurrent<C> {
    fn clone(&self) -> Self {
        Recurrent {
            cell: Arc::clone(&self.cell),
            stamp: self.stamp,
            layout: Arc::clone(&self.layout),
            output: self.output.clone(),
            params: self.params,
            options: self.options,
        }
    }
}

impl<C: Cell> fmt::Debug for Recurrent<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recurrent").field("cell", &self.cell).field("options", &self.options).finish()
    }
}

impl<C: Cell> fmt::Display for Recurrent<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        summary::table(f, self)
    }
}
