//! Memory that calls reuse: buffers that only grow, and the same again for the layers inside.

use std::any::{Any, TypeId};
use std::cell::RefCell;
use std::fmt;

use super::backward::ChunkRows;
use super::forward::Deferred;
use crate::aligned::Aligned;

/// Working memory for any layer, kept by the caller from call to call so that nothing is allocated again.
///
/// It starts empty, grows at its first use, may be used for any layer and any batch, and what it holds between two
/// calls means nothing.
pub struct Scratch<T> {
    /// What the outermost call needs for itself.
    pub(crate) call: CallScratch<T>,
    /// Results on their way to arrays that don't lie in row order.
    pub(crate) copies: [Vec<T>; 2],
    /// States that alternate with the caller's.
    pub(crate) state: Aligned<T>,
    /// What a cell or wrapper works in.
    pub(crate) work: Vec<T>,
    /// The gradients of the preactivations of a few steps.
    pub(crate) dz: Aligned<T>,
    /// Projected inputs of a few steps.
    pub(crate) projected: Aligned<T>,
    /// An inner layer's outputs.
    pub(crate) outputs: Vec<T>,
    /// Previous outputs of layers inside.
    pub(crate) carry: Vec<T>,
    /// States of rows that are reset.
    pub(crate) cut: Vec<T>,
    /// What of each row isn't where it belongs yet.
    pub(crate) deferred: Vec<Deferred>,
    /// Dropout masks.
    pub(crate) dropout: Vec<T>,
    /// The rows that are live.
    pub(crate) rows: Vec<usize>,
    /// Lists of rows, for parts of a step.
    pub(crate) indices: Vec<usize>,
    /// Which steps are live, where a layer finds out by itself.
    pub(crate) flags: Vec<bool>,
    /// Resets as layers see them that read a sequence from its end.
    pub(crate) resets: Vec<bool>,
    /// Outputs of layers inside that run a few steps at a time: what the next one reads and what it writes.
    pub(crate) chunk_outputs: [Vec<T>; 2],
    /// The states of layers inside before those steps.
    pub(crate) chunk_states: Vec<T>,
    /// Rows of a few steps in their backward pass.
    pub(crate) chunk: ChunkRows,
    /// 0, 1, 2, ...: the rows of a batch that are all live.
    pub(crate) all_rows: AllRows,
    /// Whether the last step was an odd one: kernels alternate the order in which they read the weights.
    pub(crate) odd: bool,
    /// Whether calls stay on the thread that makes them: those that a stream has room for.
    pub(crate) on_one_thread: bool,
    /// What a model keeps here for its steps in a pool.
    pub(crate) of_model: Option<Box<dyn Any + Send + Sync>>,
    /// The layers inside.
    pub(crate) children: Vec<Scratch<T>>,
    /// Parts of the batch, on other threads.
    #[cfg(feature = "rayon")]
    pub(crate) threads: Vec<Scratch<T>>,
}

/// 0, 1, 2, ... as far as anybody has asked.
#[derive(Default)]
pub(crate) struct AllRows(Vec<usize>);

impl AllRows {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    #[inline]
    pub(crate) fn up_to(&mut self, batch: usize) -> &[usize] {
        if self.0.len() < batch {
            self.0.reserve_exact(batch - self.0.len());
            self.0.extend(self.0.len()..batch);
        }
        &self.0[..batch]
    }
}

impl<T> Scratch<T> {
    /// Empty: it grows when it is used.
    pub fn new() -> Self {
        Scratch {
            call: CallScratch::default(),
            copies: [Vec::new(), Vec::new()],
            state: Aligned::default(),
            work: Vec::new(),
            dz: Aligned::default(),
            projected: Aligned::default(),
            outputs: Vec::new(),
            carry: Vec::new(),
            cut: Vec::new(),
            deferred: Vec::new(),
            dropout: Vec::new(),
            rows: Vec::new(),
            indices: Vec::new(),
            flags: Vec::new(),
            resets: Vec::new(),
            chunk_outputs: [Vec::new(), Vec::new()],
            chunk_states: Vec::new(),
            chunk: ChunkRows::default(),
            all_rows: AllRows::default(),
            odd: false,
            on_one_thread: false,
            of_model: None,
            children: Vec::new(),
            #[cfg(feature = "rayon")]
            threads: Vec::new(),
        }
    }

    /// The bytes of all buffers.
    #[cfg(any(feature = "rayon", test))]
    pub(crate) fn bytes(&self) -> usize {
        let Scratch { call, copies, state, work, dz, projected, outputs, carry, cut, deferred, dropout, .. } = self;
        let [first, second] = &self.chunk_outputs;
        let values = [work, outputs, carry, cut, dropout, first, second, &self.chunk_states, &copies[0], &copies[1]];
        let values = values.map(|buffer| buffer.capacity()).iter().sum::<usize>();
        let values = values + [state, dz, projected].map(|buffer| buffer.len()).iter().sum::<usize>();
        let rows = self.rows.capacity() + self.indices.capacity() + self.all_rows.len() + self.chunk.capacity();
        let own =
            values * size_of::<T>() + rows * size_of::<usize>() + self.resets.capacity() + 2 * deferred.capacity();
        let own = own + self.flags.capacity();
        let others = self.children.iter();
        #[cfg(feature = "rayon")]
        let others = others.chain(&self.threads);
        own + call.bytes() + others.map(Scratch::bytes).sum::<usize>()
    }

    /// The scratch of the `count` layers inside.
    pub(crate) fn children(&mut self, count: usize) -> &mut [Scratch<T>] {
        if self.children.len() < count {
            self.children.resize_with(count, Scratch::new);
        }
        &mut self.children[..count]
    }
}

impl<T> Default for Scratch<T> {
    fn default() -> Self {
        Scratch::new()
    }
}

impl<T> fmt::Debug for Scratch<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scratch")
    }
}

/// What a call over arrays itself needs in a call.
#[derive(Debug)]
pub(crate) struct CallScratch<T> {
    /// A copy of an input that can't be read in place.
    pub(super) input: Vec<T>,
    /// A row of initial state, then final states that weren't requested.
    pub(super) state: Vec<T>,
    pub(super) carry: Vec<T>,
    pub(super) mask: Vec<bool>,
    pub(super) resets: Vec<bool>,
    /// Arrays of the caller's that can't be read in place.
    pub(crate) copies: [Vec<T>; 2],
    pub(crate) zeros: Vec<T>,
}

#[cfg(any(feature = "rayon", test))]
impl<T> CallScratch<T> {
    /// The bytes of all buffers.
    pub(super) fn bytes(&self) -> usize {
        let CallScratch { input, state, carry, mask, resets, copies: [first, second], zeros } = self;
        let values = [input, state, carry, first, second, zeros].map(|buffer| buffer.capacity());
        values.iter().sum::<usize>() * size_of::<T>() + mask.capacity() + resets.capacity()
    }
}

impl<T> CallScratch<T> {
    /// Room for copies of an input, a mask and resets, after a call of this size: the next one may have some
    /// that can't be read in place. Where there is no memory for them, such a call will say so.
    pub(crate) fn reserve_copies(&mut self, (batch, timesteps, features): (usize, usize, usize)) {
        let steps = batch.saturating_mul(timesteps);
        reserve(&mut self.input, steps.saturating_mul(features));
        reserve(&mut self.mask, steps);
        reserve(&mut self.resets, steps);
    }
}

/// Room for `len` elements, if there is memory.
fn reserve<T>(buffer: &mut Vec<T>, len: usize) {
    let _ = buffer.try_reserve_exact(len.saturating_sub(buffer.len()));
}

impl<T> Default for CallScratch<T> {
    fn default() -> Self {
        CallScratch {
            input: vec![],
            state: vec![],
            carry: vec![],
            mask: vec![],
            resets: vec![],
            copies: [vec![], vec![]],
            zeros: vec![],
        }
    }
}

thread_local! {
    /// Memory for calls that bring none: each thread keeps one scratch of a type, and lends it to one call at a time.
    static LENT: RefCell<Vec<(TypeId, Box<dyn Any>)>> = const { RefCell::new(Vec::new()) };
}

/// Runs a call with the thread's own scratch; a new one if it is lent already or the thread is ending.
pub(crate) fn with_own_scratch<T: 'static, R>(call: impl FnOnce(&mut Scratch<T>) -> R) -> R {
    let of_type = |(own, _): &(TypeId, Box<dyn Any>)| *own == TypeId::of::<T>();
    let lent = LENT.try_with(|all| {
        let mut all = all.borrow_mut();
        let at = all.iter().position(of_type)?;
        all.swap_remove(at).1.downcast::<Scratch<T>>().ok()
    });
    let mut scratch = lent.ok().flatten().unwrap_or_default();
    let result = call(&mut scratch);
    // A thread that is ending needs it no more.
    let _ = LENT.try_with(|all| {
        let mut all = all.borrow_mut();
        match all.iter_mut().find(|own| of_type(own)) {
            Some(own) => own.1 = scratch,
            None => all.push((TypeId::of::<T>(), scratch)),
        }
    });
    result
}
