//! Blocks of steps on plain slices, as audio comes, and the room for them.

use std::ops::Deref;

use ndarray::{Array2, Array3, s};

use super::{Sizes, Stream, in_turn};
use crate::error::{Error, Result};
use crate::float::Float;
use crate::layers::Layer;
use crate::mask::TimeMask;
use crate::memory::MemoryNeeds;
use crate::runner::check::check_call;
use crate::runner::execute::execute;
use crate::runner::layer::LayerCore;
use crate::runner::output_mut::OutputSlices;
use crate::runner::pass::Pass;
use crate::runner::run::Run;
use crate::runner::sequence::{Sequence, SequenceMut};
use crate::strided::{Rows, RowsMut, copy_rows};

/// Steps of a block that are run as one chunk: a few times what cells project together, and little enough to stay in
/// the cache in a stack, where it goes from layer to layer.
const CHUNK: usize = 96;
/// Fewer steps than this are quicker one by one: from here on cells project them together.
const WORTH_A_CHUNK: usize = 4;

impl<T: Float, P: Deref<Target: Layer<T>>> Stream<T, P> {
    /// A block of steps on plain slices: `input` to `output`, which gets the output of each step. Allocates nothing,
    /// whatever the block's length, from the first block on, and stays on the calling thread.
    ///
    /// Both are (batch, timesteps, width) in row order. For a stream of one row that is frame after frame, as
    /// interleaved audio comes: the features of the first step, then those of the second; and the units of each in
    /// `output`. The number of steps follows from the lengths, and may be zero. The bits are those of
    /// [`step_one`](Stream::step_one) in a loop.
    ///
    /// Layers with many weights do several steps in less time than one by one, if there is room to do so: after
    /// [`reserve_steps`](Stream::reserve_steps).
    ///
    /// ```
    /// use recurrent::{Lstm, Stream};
    /// let lstm = Lstm::<f32>::new(2, 3);
    /// let mut stream = Stream::new(&lstm, 1)?;
    /// let (input, mut output) = ([0.5, -0.5, 1.0, 2.0], [0.0; 6]); // two steps of 2 features, of 3 units
    /// stream.process(&input, &mut output)?;
    /// stream.reset();
    /// assert_eq!(stream.step_one(&input[..2])?, &output[..3]);
    /// assert_eq!(stream.step_one(&input[2..])?, &output[3..]);
    /// # Ok::<(), recurrent::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::BlockLength`] if the lengths aren't those of one number of whole steps; the stream and `output` are as
    /// before.
    pub fn process(&mut self, input: &[T], output: &mut [T]) -> Result<()> {
        let steps = self.steps_of_block(input.len(), output.len())?;
        if self.batch == 0 {
            return Ok(());
        }
        let longest = if self.layer.spec().writes_sequence { self.reserved.min(CHUNK) } else { 0 };
        let mut step = 0;
        while step < steps {
            let count = longest.min(steps - step);
            if count >= WORTH_A_CHUNK {
                self.process_chunk(input, output, steps, step, count);
                step += count;
            } else if self.batch == 1 {
                // Until there is enough for a chunk, which there won't be again.
                let Sizes { input: features, output: units, .. } = self.sizes;
                for step in step..steps {
                    let y = self.advance_row(&input[step * features..][..features]);
                    output[step * units..][..units].copy_from_slice(y);
                }
                step = steps;
            } else {
                self.process_step(input, output, steps, step);
                step += 1;
            }
        }
        Ok(())
    }

    /// Makes room for `steps` steps at a time: from now on [`run_into`](Stream::run_into) allocates nothing for chunks
    /// of up to so many steps, the first one included, whatever masks, lengths and resets it has and however its
    /// arrays lie in memory. Such chunks stay on the calling thread, with the feature `rayon` too.
    ///
    /// [`process`](Stream::process) allocates nothing anyway; with room it takes several steps at a time.
    ///
    /// It takes the time of running such a chunk twice, so it belongs where the stream is made. The stream's state
    /// isn't touched.
    ///
    /// ```
    /// use recurrent::{Gru, Stream};
    /// let gru = Gru::<f32>::new(2, 64);
    /// let mut stream = Stream::new(&gru, 1)?;
    /// stream.reserve_steps(256)?; // the longest block that the host hands over
    /// stream.process(&[0.5; 2 * 256], &mut [0.0; 64 * 256])?;
    /// # Ok::<(), recurrent::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::TensorTooLarge`] if there is no memory for so many steps; what room there was stays.
    pub fn reserve_steps(&mut self, steps: usize) -> Result<()> {
        if steps <= self.reserved {
            return Ok(());
        }
        let (batch, Sizes { input, carry, output, .. }) = (self.batch, self.sizes);
        // Arrays that repeat one element are copied as any are that can't be read in place, so that there is room for
        // copies too.
        let (zero, live, cut) =
            (Array3::<T>::zeros((1, 1, 1)), Array2::from_elem((1, 1), true), Array2::from_elem((1, 1), false));
        let (Some(x), Some(live), Some(cut)) =
            (zero.broadcast((batch, steps, input)), live.broadcast((batch, steps)), cut.broadcast((batch, steps)))
        else {
            return Err(Error::TensorTooLarge { shape: vec![batch, steps, input] });
        };
        let layer = &*self.layer;
        let writes = layer.spec().writes_sequence;
        let mut own = MemoryNeeds::default();
        own.array::<T>(&[batch, steps, if writes { output } else { 0 }]);
        own.array::<T>(&[batch, carry]);
        let options = Run::new().mask(&live).resets(&cut);
        check_call(layer, &x, &options, (writes, own), &self.scratch)?;
        let mut sequence = vec![T::zero(); if writes { batch * steps * output } else { 0 }];
        let mut carry = vec![T::zero(); batch * carry];
        let mut seeds = layer.seeds();
        self.scratch.on_one_thread = true;
        for run in [Run::new(), Run::new().mask(&live).resets(&cut)] {
            let slices = OutputSlices { sequence: writes.then_some(&mut sequence[..]), last: None, state: None };
            execute(layer, &x, run, slices, Some(&mut carry), &mut self.scratch)?;
        }
        // Dropout masks are drawn once for all steps.
        let step = x.slice(s![.., ..1, ..]);
        let nothing = OutputSlices { sequence: None, last: None, state: None };
        execute(layer, &step, Run::new().training(&mut seeds), nothing, Some(&mut carry), &mut self.scratch)?;
        self.reserved = steps;
        Ok(())
    }

    /// The number of steps of a block, if both lengths say the same.
    pub(super) fn steps_of_block(&self, input: usize, output: usize) -> Result<usize> {
        let (features, units) = (self.batch * self.sizes.input, self.batch * self.sizes.output);
        // A cell of a user's own may read nothing at all.
        let steps = input.checked_div(features).or_else(|| output.checked_div(units)).unwrap_or(0);
        if steps.checked_mul(features) == Some(input) && steps.checked_mul(units) == Some(output) {
            return Ok(steps);
        }
        Err(Error::BlockLength { features, units, input, output })
    }

    /// One of a block's `steps`, of every row.
    fn process_step(&mut self, input: &[T], output: &mut [T], steps: usize, step: usize) {
        let Sizes { input: features, output: units, carry, .. } = self.sizes;
        self.advance(Rows::new(input, step * features, steps * features, features));
        let outputs = Rows::packed(&self.carry, carry).columns(carry - units..carry);
        copy_rows(self.batch, outputs, RowsMut::new(output, step * units, steps * units, units));
    }

    /// `count` of a block's `steps`, from `step` on, of every row.
    fn process_chunk(&mut self, input: &[T], output: &mut [T], steps: usize, step: usize, count: usize) {
        self.flush_outputs();
        let Sizes { input: features, output: units, state, carry, .. } = self.sizes;
        let (prev, next) = in_turn(&mut self.states, self.second);
        self.layer.process(
            Pass {
                batch: self.batch,
                timesteps: count,
                input: Sequence::packed(input, steps, features).skip_steps(step),
                mask: TimeMask::All,
                resets: None,
                prev: prev.rows(),
                next: RowsMut::packed(next.as_mut_slice(), state),
                carry: RowsMut::packed(&mut self.carry, carry),
                sequence: Some(SequenceMut::packed(output, steps, units).skip_steps(step)),
                masked_output: None,
                tape: None,
                dropout: None,
            },
            &mut self.scratch,
        );
        self.second = !self.second;
    }
}
