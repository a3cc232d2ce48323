//! Attention of several heads, forward: head by head of each row of the batch.

use super::{GATE, Hides, KEY, MultiHead, OUTPUT, QUERY, VALUE};
use crate::activation::Activation;
use crate::buffers::take;
use crate::error::Result;
use crate::float::Float;
use crate::graph::operation::misfit;
use crate::graph::ops::places::{Elements, Read};
use crate::kernels::activate::activate;
use crate::kernels::isa::Isa;
use crate::kernels::product::{Product, transpose};

/// How much there is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sizes {
    pub(super) batch: usize,
    /// Steps of the query and of the value.
    pub(super) queries: usize,
    pub(super) keys: usize,
    /// Of the query, and of the key and the value.
    pub(super) heads: usize,
    pub(super) key_heads: usize,
    /// Of each head of the query and the key, and of the value.
    pub(super) width: usize,
    pub(super) values: usize,
}

/// The masks that there are.
#[derive(Clone, Copy)]
pub(super) struct Masks<'r, T> {
    pub(super) query: Option<&'r [bool]>,
    pub(super) value: Option<&'r [bool]>,
    pub(super) key: Option<&'r [bool]>,
    /// Of each pair of steps.
    pub(super) pairs: Option<Read<'r, T>>,
}

/// What is read.
#[derive(Clone, Copy)]
pub(super) struct Given<'r, T> {
    pub(super) sizes: Sizes,
    pub(super) query: Read<'r, T>,
    pub(super) key: Read<'r, T>,
    pub(super) value: Read<'r, T>,
    pub(super) masks: Masks<'r, T>,
}

impl Sizes {
    /// Of (batch, steps, heads, width): how many elements.
    pub(super) fn lens(&self) -> [usize; 4] {
        let Sizes { batch, queries, keys, heads, key_heads, width, values } = *self;
        let (of_queries, of_keys) = (batch * queries * heads, batch * keys * key_heads);
        [of_queries * width, of_keys * width, of_keys * values, of_queries * values]
    }

    /// What one head works in: its query, its key and its value, one after another, and its result.
    pub(super) fn of_head(&self) -> [usize; 4] {
        let Sizes { queries, keys, width, values, .. } = *self;
        [queries * width, keys * width, keys * values, queries * values]
    }

    /// All elements that a call works in, if they can be counted.
    pub(super) fn work_len(&self) -> Option<usize> {
        let sizes = [self.batch, self.queries.max(self.keys), self.heads, self.width.max(self.values), 10];
        sizes.into_iter().try_fold(1_usize, |product, size| product.checked_mul(size))
    }

    /// Copies a head out of (batch, steps, heads, width).
    pub(super) fn head<T: Copy>(from: &[T], [row, head]: [usize; 2], [steps, heads, width]: [usize; 3], to: &mut [T]) {
        for (step, to) in to.chunks_exact_mut(width.max(1)).enumerate().take(steps) {
            to.copy_from_slice(&from[((row * steps + step) * heads + head) * width..][..width]);
        }
    }

    /// Adds a head to what is there.
    pub(super) fn add_head<T: Float>(
        from: &[T],
        [row, head]: [usize; 2],
        [steps, heads, width]: [usize; 3],
        to: &mut [T],
    ) {
        for (step, from) in from.chunks_exact(width.max(1)).enumerate().take(steps) {
            let to = &mut to[((row * steps + step) * heads + head) * width..][..width];
            to.iter_mut().zip(from).for_each(|(to, &from)| *to += from);
        }
    }
}

impl<T: Float> MultiHead<T> {
    /// Whether a step of the value is hidden from one of the query.
    pub(super) fn is_hidden(&self, given: &Given<'_, T>, row: usize, query: usize, key: usize) -> bool {
        let (Sizes { queries, keys, .. }, masks) = (given.sizes, given.masks);
        let dead = |mask: Option<&[bool]>, at: usize| mask.is_some_and(|mask| !mask[at]);
        let pair = masks.pairs.is_some_and(|pairs| {
            let at = [row, query, key]
                .iter()
                .zip(pairs.shape)
                .fold(0, |at, (&place, &size)| at * size + if size == 1 { 0 } else { place });
            !pairs.flag(at)
        });
        let far = self.heads.sliding_window.is_some_and(|window| query.abs_diff(key) >= window);
        let steps = dead(masks.query, row * queries + query)
            || dead(masks.value, row * keys + key)
            || dead(masks.key, row * keys + key);
        pair || far || steps || self.heads.causal && key > query
    }

    fn may_hide(&self, given: &Given<'_, T>) -> bool {
        let Masks { query, value, key, pairs } = given.masks;
        let any = query.is_some() || value.is_some() || key.is_some() || pairs.is_some();
        any || self.heads.causal || self.heads.sliding_window.is_some()
    }

    /// The factor of scores. Keras 3 rounds it to float32, whatever it computes in.
    pub(super) fn scale(&self) -> T {
        let scale = 1.0 / (self.heads.key_dim as f64).sqrt();
        T::from_f64(if self.heads.hides == Hides::Less { scale } else { f64::from(scale as f32) })
    }

    /// Writes the result, and the weights of all heads if there is room for them. All in the memory that it is given.
    pub(super) fn whole(
        &self,
        given: &Given<'_, T>,
        result: &mut [T],
        scores: &mut [T],
        factors: &[T],
        [floats, more, most]: [&mut Vec<T>; 3],
    ) -> Result<()> {
        let Sizes { batch, queries, keys, heads, values, .. } = given.sizes;
        let lens = given.sizes.lens();
        let gate = if self.projections[GATE].is_some() { lens[3] } else { 0 };
        let of_head = given.sizes.of_head().iter().sum::<usize>() + queries * keys;
        let memory = take(floats, lens.iter().sum::<usize>() + gate + of_head);
        let (q, memory) = memory.split_at_mut(lens[0]);
        let (k, memory) = memory.split_at_mut(lens[1]);
        let (v, memory) = memory.split_at_mut(lens[2]);
        let (context, memory) = memory.split_at_mut(lens[3]);
        let (gate, work) = memory.split_at_mut(gate);
        for (place, read, to) in
            [(QUERY, given.query, &mut *q), (KEY, given.key, &mut *k), (VALUE, given.value, &mut *v)]
        {
            self.projection(place)?.write(read, to, [&mut *more, &mut *most])?;
        }
        self.attend(given, [q, k, v], (context, scores), factors, work);
        if let Some(projection) = &self.projections[GATE] {
            projection.write(given.query, gate, [&mut *more, &mut *most])?;
            context.iter_mut().zip(gate).for_each(|(context, gate)| *context *= *gate);
        }
        let shape = [batch, queries, heads, values];
        let read = Read { shape: &shape, elements: Elements::Float(context) };
        self.projection(OUTPUT)?.write(read, result, [more, most])
    }

    /// The results of all heads, (batch, queries, heads, values), and their weights, which for the results are multiplied
    /// by these factors if there are any.
    pub(super) fn attend(
        &self,
        given: &Given<'_, T>,
        [q, k, v]: [&[T]; 3],
        (context, scores): (&mut [T], &mut [T]),
        factors: &[T],
        work: &mut [T],
    ) {
        let sizes = given.sizes;
        let Sizes { batch, queries, keys, heads, values, .. } = sizes;
        context.fill(T::zero());
        let [of_q, of_k, of_v, of_context] = sizes.of_head();
        let (head_q, work) = work.split_at_mut(of_q);
        let (head_k, work) = work.split_at_mut(of_k);
        let (head_v, work) = work.split_at_mut(of_v);
        let (head_context, weights) = work.split_at_mut(of_context);
        let weights = &mut weights[..queries * keys];
        for at in 0..batch * heads {
            let (row, head) = (at / heads.max(1), at % heads.max(1));
            self.weights_of(given, [q, k], [row, head], [head_q, head_k], weights);
            if let Some(scores) = scores.get_mut(at * weights.len()..(at + 1) * weights.len()) {
                scores.copy_from_slice(weights);
            }
            let factors = factors.get(at * weights.len()..).unwrap_or(&[]);
            weights.iter_mut().zip(factors).for_each(|(weight, &factor)| *weight *= factor);
            let own = head / (heads / sizes.key_heads);
            Sizes::head(v, [row, own], [keys, sizes.key_heads, values], head_v);
            Product { a: weights, b: head_v, sizes: [queries, keys, values], out: head_context }.compute();
            Sizes::add_head(head_context, [row, head], [queries, heads, values], context);
        }
    }

    /// The weights of one head: (queries, keys).
    pub(super) fn weights_of(
        &self,
        given: &Given<'_, T>,
        [q, k]: [&[T]; 2],
        [row, head]: [usize; 2],
        [head_q, head_k]: [&mut [T]; 2],
        weights: &mut [T],
    ) {
        let Sizes { queries, keys, heads, key_heads, width, .. } = given.sizes;
        let own = head / (heads / key_heads);
        Sizes::head(q, [row, head], [queries, heads, width], head_q);
        // The keys as columns.
        if let Some(k) = k.get((row * keys * key_heads + own) * width..) {
            transpose(k, key_heads * width, [keys, width], head_k);
        }
        Product { a: head_q, b: head_k, sizes: [queries, width, keys], out: weights }.compute();
        let (scale, hides) = (self.scale(), self.may_hide(given));
        weights.iter_mut().for_each(|weight| *weight *= scale);
        for (query, weights) in weights.chunks_exact_mut(keys.max(1)).enumerate() {
            for (key, weight) in weights.iter_mut().enumerate().filter(|_| hides) {
                match self.heads.hides {
                    _ if !self.is_hidden(given, row, query, key) => {}
                    Hides::Less => *weight -= T::from_f64(1e9),
                    Hides::Smallest | Hides::Zero => *weight = T::min_value() * T::from_f64(0.7),
                }
            }
            activate(Isa::detect(), &Activation::Softmax, weights);
            if hides && self.heads.hides == Hides::Zero {
                for (key, weight) in weights.iter_mut().enumerate() {
                    if self.is_hidden(given, row, query, key) {
                        *weight = T::zero();
                    }
                }
            }
        }
    }

    /// An array of a projection.
    pub(super) fn projected(&self, place: usize, read: Read<'_, T>) -> Result<Vec<T>> {
        let array = self.projection(place)?.of(read)?;
        Ok(array.as_slice().ok_or_else(misfit)?.to_vec())
    }
}
