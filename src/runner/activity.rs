//! Activity regularizers of layers: a recorded run keeps what each layer gave, where its tape says so; a penalty on that
//! leaves its gradient there, too, and the backward pass adds it to the gradient of the layer's outputs.

use ndarray::{ArrayViewD, ArrayViewMutD, IxDyn};

use super::layer::LayerSpec;
use super::pass::{BackwardPass, Pass};
use super::sequence::{Sequence, SequenceMut};
use super::tape::Node;
use crate::error::{Error, Result};
use crate::float::Float;
use crate::strided::Rows;
use crate::weight_rules::Regularizer;

/// The outputs of a layer, as Keras's layer returns them: of all steps or the last ones.
pub(crate) struct Activity<T> {
    /// Whether runs are to keep them.
    pub(crate) keeps: bool,
    /// Whether the last run did.
    kept: bool,
    /// Whether there was no memory for them.
    no_room: bool,
    /// (batch, timesteps, width), the steps in the order of processing; or (batch, width).
    outputs: Vec<T>,
    shape: [usize; 3],
    /// Whether they are those of all steps.
    whole: bool,
    /// What is added to their gradient; empty without a penalty.
    gradient: Vec<T>,
}

impl<T: Float> Activity<T> {
    /// Forgets the run before.
    fn forget(&mut self) {
        (self.kept, self.no_room) = (false, false);
        self.outputs.clear();
        self.gradient.clear();
    }

    fn keep(&mut self, shape: [usize; 3], sequence: Option<SequenceMut<'_, T>>, last: Rows<'_, T>) {
        let [batch, timesteps, width] = self.shape_of(shape);
        // Whoever asks for them hears of it: the run itself doesn't need them.
        self.no_room = self.outputs.try_reserve_exact(batch * timesteps * width).is_err();
        if self.no_room {
            return;
        }
        match sequence {
            Some(mut sequence) if self.whole => {
                self.outputs.resize(batch * timesteps * width, T::zero());
                for step in 0..timesteps {
                    let rows = sequence.at(step);
                    for row in 0..batch {
                        self.outputs[(row * timesteps + step) * width..][..width].copy_from_slice(rows.row(row));
                    }
                }
            }
            _ if self.whole => return,
            _ => (0..batch).for_each(|row| self.outputs.extend_from_slice(last.row(row))),
        }
        self.kept = true;
    }

    /// The shape, with one step for last outputs.
    fn shape_of(&mut self, [batch, timesteps, width]: [usize; 3]) -> [usize; 3] {
        self.shape = [batch, if self.whole { timesteps } else { 1 }, width];
        self.shape
    }

    /// The penalty of the outputs, whose gradient the backward pass adds.
    pub(crate) fn regularize(&mut self, regularizer: &Regularizer) -> Result<T> {
        if self.no_room {
            return Err(Error::TensorTooLarge { shape: self.shape.to_vec() });
        }
        if !self.kept {
            return Err(Error::TapeOutputs);
        }
        let [batch, timesteps, width] = self.shape;
        // One step is what a layer gives behind one without a sequence.
        let shape = if timesteps == 1 { IxDyn(&[batch, width]) } else { IxDyn(&[batch, timesteps, width]) };
        if self.gradient.is_empty() {
            let no_room = |_| Error::TensorTooLarge { shape: self.shape.to_vec() };
            self.gradient.try_reserve_exact(self.outputs.len()).map_err(no_room)?;
            self.gradient.resize(self.outputs.len(), T::zero());
        }
        let outputs = ArrayViewD::from_shape(shape.clone(), &self.outputs);
        let gradient = ArrayViewMutD::from_shape(shape, &mut self.gradient);
        let (Ok(outputs), Ok(mut gradient)) = (outputs, gradient) else { return Err(Error::TapeOutputs) };
        regularizer.add_of_outputs(&outputs, &mut gradient)
    }
}

impl<T> Activity<T> {
    /// The numbers that it holds room for.
    #[cfg(test)]
    pub(crate) fn values(&self) -> usize {
        self.outputs.capacity() + self.gradient.capacity()
    }
}

impl<T> Default for Activity<T> {
    fn default() -> Self {
        Activity {
            keeps: false,
            kept: false,
            no_room: false,
            outputs: vec![],
            shape: [0; 3],
            whole: false,
            gradient: vec![],
        }
    }
}

impl<T> Node<T> {
    /// Whether a penalty on the outputs of this layer, or of one inside, waits for the backward pass.
    pub(crate) fn is_regularized(&self) -> bool {
        !self.activity.gradient.is_empty() || self.children.iter().any(Node::is_regularized)
    }
}

/// A layer's call; its outputs are kept if its node says so.
pub(crate) fn process<T: Float>(spec: &LayerSpec, mut pass: Pass<'_, T>, run: impl FnOnce(Pass<'_, T>)) {
    let Some(node) = pass.tape.as_deref_mut() else { return run(pass) };
    node.activity.forget();
    if !node.activity.keeps {
        return run(pass);
    }
    run(Pass {
        next: pass.next.reborrow(),
        carry: pass.carry.reborrow(),
        sequence: pass.sequence.as_mut().map(SequenceMut::reborrow),
        tape: pass.tape.as_deref_mut(),
        dropout: pass.dropout.as_deref_mut(),
        ..pass
    });
    let Some(node) = pass.tape else { return };
    // One step is the last one: a stack whose layers give no sequence asks its last layer for none.
    node.activity.whole = spec.returns_sequences && (pass.sequence.is_some() || pass.timesteps != 1);
    let carry = pass.carry.as_rows();
    let last = carry.columns(carry.width() - spec.output_size..carry.width());
    node.activity.keep([pass.batch, pass.timesteps, spec.output_size], pass.sequence, last);
}

/// A layer's backward pass, with what penalties add to the gradient of its outputs.
pub(crate) fn backward<T: Float>(
    node: &mut Node<T>,
    pass: BackwardPass<'_, T>,
    back: impl FnOnce(&mut Node<T>, BackwardPass<'_, T>) -> Result<()>,
) -> Result<()> {
    if node.activity.gradient.is_empty() {
        return back(node, pass);
    }
    let mut d = std::mem::take(&mut node.activity.gradient);
    let ([batch, timesteps, width], whole) = (node.activity.shape, node.activity.whole);
    for (at, d) in d.chunks_exact_mut(width.max(1)).enumerate().take(batch * timesteps) {
        let (row, step) = (at / timesteps, at % timesteps);
        let own = match whole {
            true => pass.d_sequence.map(|all| all.at(if pass.flipped { timesteps - 1 - step } else { step })),
            false => pass.d_last,
        };
        if let Some(own) = own {
            d.iter_mut().zip(own.row(row)).for_each(|(d, &own)| *d += own);
        }
    }
    let result = match whole {
        true => {
            let d_sequence = Some(Sequence::packed(&d, timesteps, width));
            back(node, BackwardPass { d_sequence, flipped: false, ..pass })
        }
        false => back(node, BackwardPass { d_last: Some(Rows::packed(&d, width)), ..pass }),
    };
    d.clear();
    node.activity.gradient = d;
    result
}
