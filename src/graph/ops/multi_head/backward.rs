//! Attention of several heads, backward: the weights are computed again.
//!
//! ```text
//! d_v[j]       += sum of weights[i][j] d_result[i]
//! d_weights[i]  = d_result[i] . v[j] times what they were multiplied by, and what comes to the weights themselves
//! d_score[i]    = weights[i] (d_weights[i] - sum of d_weights[i] weights[i]), zero where it was replaced
//! d_q, d_k     += scale d_score k, scale d_score q
//! ```

use ndarray::ArrayD;

use super::forward::{Given, Sizes};
use super::{GATE, Hides, KEY, MultiHead, OUTPUT, QUERY, VALUE};
use crate::error::Result;
use crate::float::Float;
use crate::graph::operation::{Flow, misfit};
use crate::graph::ops::einsum_dense::Found;
use crate::graph::ops::places::{Elements, Read};
use crate::kernels::product::{Product, transpose};

/// What the heads read, and the gradients of it.
struct Sides<T> {
    q: Vec<T>,
    k: Vec<T>,
    v: Vec<T>,
    d_q: Vec<T>,
    d_k: Vec<T>,
    d_v: Vec<T>,
}

type Gradients<T> = (Vec<Found<T>>, [ArrayD<T>; 3]);

impl<T: Float> MultiHead<T> {
    /// The gradients of the weights, dense layer by dense layer, and those of the query, the key and the value.
    /// `factors`: what the weights were multiplied by, in training.
    pub(super) fn go_back(&self, given: &Given<'_, T>, upstream: &[Flow<T>], factors: &[T]) -> Result<Gradients<T>> {
        let sizes = given.sizes;
        let Sizes { batch, queries, keys, heads, values, .. } = sizes;
        let projected = |place: usize, read| self.projected(place, read);
        let (q, k, v) = (projected(QUERY, given.query)?, projected(KEY, given.key)?, projected(VALUE, given.value)?);
        let lens = sizes.lens();
        let mut context = vec![T::zero(); lens[3]];
        let mut work = vec![T::zero(); sizes.of_head().iter().sum::<usize>() + queries * keys];
        self.attend(given, [&q, &k, &v], (&mut context, &mut []), factors, &mut work);
        let gate = self.projections[GATE].as_ref().map(|_| projected(GATE, given.query)).transpose()?;
        let mut gated = context.clone();
        if let Some(gate) = &gate {
            gated.iter_mut().zip(gate).for_each(|(context, &gate)| *context *= gate);
        }
        let shape = [batch, queries, heads, values];
        let flow = |at: usize| upstream.get(at).and_then(Option::as_ref).map(|d| d.as_standard_layout().into_owned());
        let (d_result, d_scores) = (flow(0), flow(1));
        let d_result = match d_result {
            Some(d) => d,
            None => ArrayD::zeros(
                self.projection(OUTPUT)?.of(Read { shape: &shape, elements: Elements::Float(&gated) })?.raw_dim(),
            ),
        };
        let read = Read { shape: &shape, elements: Elements::Float(&gated) };
        let mut output = self.projection(OUTPUT)?.go_back(read, d_result, true)?;
        let d_context = output.input.take().ok_or_else(misfit)?;
        let mut d_context = d_context.as_slice().ok_or_else(misfit)?.to_vec();
        let array = |values: Vec<T>, shape: &[usize]| ArrayD::from_shape_vec(shape, values).map_err(|_| misfit());
        let mut of_gate = None;
        if let Some(gate) = &gate {
            let d_gate = d_context.iter().zip(&context).map(|(&d, &context)| d * context).collect();
            of_gate = Some(self.projection(GATE)?.go_back(given.query, array(d_gate, &shape)?, true)?);
            d_context.iter_mut().zip(gate).for_each(|(d, &gate)| *d *= gate);
        }
        let zeros = |len: usize| vec![T::zero(); len];
        let mut sides = Sides { d_q: zeros(q.len()), d_k: zeros(k.len()), d_v: zeros(v.len()), q, k, v };
        let d_scores = d_scores.as_ref().and_then(|d| d.as_slice());
        for at in 0..batch * heads {
            self.head_back(given, at, &d_context, (d_scores, factors), &mut sides)?;
        }
        let Sides { d_q, d_k, d_v, .. } = sides;
        let back = |place: usize, read, d: Vec<T>, [steps, heads, width]: [usize; 3]| {
            self.projection(place)?.go_back(read, array(d, &[batch, steps, heads, width])?, true)
        };
        let mut query = back(QUERY, given.query, d_q, [queries, heads, sizes.width])?;
        let mut key = back(KEY, given.key, d_k, [keys, sizes.key_heads, sizes.width])?;
        let mut value = back(VALUE, given.value, d_v, [keys, sizes.key_heads, values])?;
        let mut of_query = query.input.take().ok_or_else(misfit)?;
        if let Some(more) = of_gate.as_mut().and_then(|gate| gate.input.take()) {
            of_query += &more;
        }
        let flows = [of_query, key.input.take().ok_or_else(misfit)?, value.input.take().ok_or_else(misfit)?];
        let found = [Some(query), Some(key), of_gate, Some(value), Some(output)].into_iter().flatten().collect();
        Ok((found, flows))
    }

    /// One head of one row.
    fn head_back(
        &self,
        given: &Given<'_, T>,
        at: usize,
        d_context: &[T],
        (d_scores, factors): (Option<&[T]>, &[T]),
        sides: &mut Sides<T>,
    ) -> Result<()> {
        let Sizes { queries, keys, heads, key_heads, width, values, .. } = given.sizes;
        let (row, head) = (at / heads, at % heads);
        let (own, scale) = (head / (heads / key_heads), self.scale());
        let zeros = |len: usize| vec![T::zero(); len];
        let (mut head_q, mut columns, mut weights) =
            (zeros(queries * width), zeros(keys * width), zeros(queries * keys));
        self.weights_of(given, [&sides.q, &sides.k], [row, head], [&mut head_q, &mut columns], &mut weights);
        let (mut head_k, mut d_head) = (zeros(keys * width), zeros(queries * values));
        Sizes::head(&sides.k, [row, own], [keys, key_heads, width], &mut head_k);
        Sizes::head(d_context, [row, head], [queries, heads, values], &mut d_head);
        let turned = |from: &[T], rows: usize, columns: usize| -> Vec<T> {
            let mut to = zeros(rows * columns);
            transpose(from, columns, [rows, columns], &mut to);
            to
        };
        let mut value_columns = zeros(keys * values);
        if let Some(v) = sides.v.get((row * keys * key_heads + own) * values..) {
            transpose(v, key_heads * values, [keys, values], &mut value_columns);
        }
        let mut d = zeros(queries * keys);
        Product { a: &d_head, b: &value_columns, sizes: [queries, values, keys], out: &mut d }.compute();
        let factors = factors.get(at * queries * keys..).unwrap_or(&[]);
        d.iter_mut().zip(factors).for_each(|(d, &factor)| *d *= factor);
        if let Some(more) = d_scores {
            d.iter_mut().zip(&more[at * queries * keys..]).for_each(|(d, &more)| *d += more);
        }
        let mut d_v = zeros(keys * values);
        let mut multiplied = weights.clone();
        multiplied.iter_mut().zip(factors).for_each(|(weight, &factor)| *weight *= factor);
        let turned_weights = turned(&multiplied, queries, keys);
        Product { a: &turned_weights, b: &d_head, sizes: [keys, queries, values], out: &mut d_v }.compute();
        Sizes::add_head(&d_v, [row, own], [keys, key_heads, values], &mut sides.d_v);
        for (query, (d, weights)) in d.chunks_exact_mut(keys.max(1)).zip(weights.chunks_exact(keys.max(1))).enumerate()
        {
            let along = d.iter().zip(weights).fold(T::zero(), |sum, (&d, &weight)| sum + d * weight);
            for (key, (d, &weight)) in d.iter_mut().zip(weights).enumerate() {
                let replaced = self.heads.hides != Hides::Less && self.is_hidden(given, row, query, key);
                *d = if replaced { T::zero() } else { scale * weight * (*d - along) };
            }
        }
        let (mut d_q, mut d_k) = (zeros(queries * width), zeros(keys * width));
        Product { a: &d, b: &head_k, sizes: [queries, keys, width], out: &mut d_q }.compute();
        Product { a: &turned(&d, queries, keys), b: &head_q, sizes: [keys, queries, width], out: &mut d_k }.compute();
        Sizes::add_head(&d_q, [row, head], [queries, heads, width], &mut sides.d_q);
        Sizes::add_head(&d_k, [row, own], [keys, key_heads, width], &mut sides.d_k);
        Ok(())
    }
}
