//! The way back through sequences: each row forward again, with all that its steps made, then from its last step.
//!
//! ```text
//! for step in steps.rev():  d_h += d_output (and what waits at masked steps behind it)
//!                           d_o = d_h act(c');  d_c += d_h o act'(c');  d_i = d_c g;  d_g = d_c i;  d_f = d_c c
//!                           d_c = d_c f;  d_h = R^T * dz;  d_x = K^T * dz
//! ```

use ndarray::ArrayD;

use super::ConvLstm;
use super::dropped::Dropped;
use super::forward::{OwnMask, Row};
use super::frame::{Frame, Live, gate};
use crate::error::Result;
use crate::float::Float;
use crate::graph::gradients::GradientSums;
use crate::graph::operation::{Back, Flow, misfit};
use crate::graph::ops::spatial::Stand;
use crate::graph::ops::spatial::convolution::Sums;
use crate::graph::tensor::{Shared, in_row_order};
use crate::kernels::activate::{activate, activate_backward};
use crate::kernels::isa::Isa;

/// What the steps of a row made.
struct Made<T> {
    /// Of each step: h and c before it.
    before: Vec<T>,
    /// Its preactivations; zeros where nothing is live.
    z: Vec<T>,
}

/// The gradients on their way back through a row.
struct Way<T: Float> {
    h: Vec<T>,
    c: Vec<T>,
    /// Of the output before, which masked steps repeat.
    output: Vec<T>,
    dz: Vec<T>,
    /// Of a step's input, its channels last.
    x: Vec<T>,
    sums: [Vec<Sums<T>>; 2],
    bias: Vec<T>,
}

/// What all rows share.
struct Around<'a, T: Float> {
    frame: Frame,
    dropped: Option<Dropped<T>>,
    stands: [Stand; 2],
    mask: Option<OwnMask>,
    x: &'a [T],
    timesteps: usize,
    initial: Vec<Shared<T>>,
}

impl<T: Float> Around<'_, T> {
    /// What a step read, and what of it is live; `at` counts the steps of all rows.
    fn step(&self, at: usize) -> (&[T], Live<'_>) {
        let len = self.frame.len();
        (&self.x[at * len..][..len], OwnMask::live(self.mask.as_ref(), at))
    }
}

/// A gradient in row order, or nothing.
fn ordered<T: Float>(flow: Flow<T>) -> Option<ArrayD<T>> {
    flow.map(|d| d.as_standard_layout().into_owned())
}

impl<T: Float> ConvLstm<T> {
    pub(super) fn go_back(&self, back: Back<'_, T>, mut sums: GradientSums<'_, T>) -> Result<Vec<Flow<T>>> {
        let x = in_row_order(&back.input()?.floats());
        let mask = back.record.masks.first().cloned().flatten();
        let initial = back.record.inputs.iter().skip(1).map(|part| in_row_order(&part.floats()).into_shared());
        let initial: Vec<Shared<T>> = initial.collect();
        let mut upstream = back.upstream.into_iter().map(ordered);
        let [d_out, d_h, d_c] = [(); 3].map(|()| upstream.next().flatten());
        let [batch, timesteps, dims @ ..] = x.shape() else { return Err(misfit()) };
        let frame = self.frame(dims)?;
        let mask = OwnMask::of(mask.as_ref(), &frame, [*batch, *timesteps])?;
        let (values, stands) = (x.as_slice().ok_or_else(misfit)?, self.stands(&frame)?);
        let kept = if back.record.trained { &back.record.kept[..] } else { &[] };
        let dropped = self.dropped(&frame, *batch, kept)?;
        let around = Around { frame, dropped, stands, mask, x: values, timesteps: *timesteps, initial };
        let [input, recurrent] = self.products(around.dropped.as_ref());
        let len = frame.state_len();
        let zeros = |len: usize| vec![T::zero(); len];
        let own = [input.sums(), recurrent.sums()];
        let bias = zeros(4 * frame.filters);
        let [h, c, output] = [(); 3].map(|()| zeros(len));
        let mut way = Way { h, c, output, dz: zeros(4 * len), x: zeros(frame.len()), sums: own, bias };
        let mut d_x = ArrayD::zeros(x.raw_dim());
        let of_state = || ArrayD::zeros([&[*batch], &frame.state_dims()[..]].concat());
        let mut d_initial = [of_state(), of_state()];
        for row in 0..*batch {
            for (to, from) in [(&mut way.h, &d_h), (&mut way.c, &d_c)] {
                match from.as_ref().and_then(|from| from.as_slice()) {
                    Some(from) => frame.turn_in(&from[row * len..][..len], to),
                    None => to.fill(T::zero()),
                }
            }
            let to = d_x.as_slice_mut().ok_or_else(misfit)?;
            self.row(&around, row, d_out.as_ref().and_then(|d| d.as_slice()), &mut way, to)?;
            for (to, from) in d_initial.iter_mut().zip([&way.h, &way.c]) {
                frame.turn_out(from, &mut to.as_slice_mut().ok_or_else(misfit)?[row * len..][..len]);
            }
        }
        let mut sums: Vec<&mut [T]> = sums.iter_mut().filter_map(|sum| sum.as_slice_mut()).collect();
        if let [of_input, of_h, bias @ ..] = &mut sums[..] {
            input.flush(&way.sums[0], of_input);
            recurrent.flush(&way.sums[1], of_h);
            for bias in bias {
                bias.iter_mut().zip(&way.bias).for_each(|(sum, &d)| *sum += d);
            }
        }
        let [d_h, d_c] = d_initial;
        Ok(vec![Some(d_x), Some(d_h), Some(d_c)])
    }

    /// Back through a row; `d_out` are the gradients of all rows' outputs.
    fn row(
        &self,
        around: &Around<'_, T>,
        row: usize,
        d_out: Option<&[T]>,
        way: &mut Way<T>,
        d_x: &mut [T],
    ) -> Result<()> {
        let Around { frame, timesteps, .. } = *around;
        let (made, len) = (self.forward_again(around, row)?, frame.state_len());
        way.output.fill(T::zero());
        let mut turned = vec![T::zero(); len];
        for step in (0..timesteps).rev() {
            let d = match d_out {
                Some(d) if self.options.return_sequences => Some(&d[(row * timesteps + step) * len..][..len]),
                Some(d) if step + 1 == timesteps => Some(&d[row * len..][..len]),
                _ => None,
            };
            match d {
                Some(d) => frame.turn_in(d, &mut turned),
                None => turned.fill(T::zero()),
            }
            let at = row * timesteps + self.source(step, timesteps);
            let (x, live) = around.step(at);
            let [before, z] = [&made.before[2 * step * len..][..2 * len], &made.z[4 * step * len..][..4 * len]];
            self.arrive(&live, &turned, way);
            if matches!(live, Live::None) {
                continue;
            }
            self.slopes(&frame, &live, before, z, way);
            for dz in way.dz.chunks_exact(way.bias.len()) {
                way.bias.iter_mut().zip(dz).for_each(|(sum, &d)| *sum += d);
            }
            // x with its channels last, then its gradient.
            let mut own = vec![T::zero(); frame.len()];
            frame.turn_input(x, &mut own);
            way.x.fill(T::zero());
            let Way { h, dz, x: of_x, sums: [of_input, of_h], .. } = &mut *way;
            let [input, recurrent] = self.products(around.dropped.as_ref());
            input.backward(row, (&around.stands[0], &own), dz, of_input, of_x);
            recurrent.backward(row, (&around.stands[1], &before[..len]), dz, of_h, h);
            frame.turn_gradient(of_x, &mut d_x[at * frame.len()..][..frame.len()]);
        }
        Ok(())
    }

    /// The row forward again.
    fn forward_again(&self, around: &Around<'_, T>, row: usize) -> Result<Made<T>> {
        let (frame, timesteps) = (&around.frame, around.timesteps);
        let len = frame.state_len();
        let mut work = vec![T::zero(); Self::work_len(frame).ok_or_else(misfit)?];
        let mut made = Made { before: vec![T::zero(); 2 * len * timesteps], z: vec![T::zero(); 4 * len * timesteps] };
        let Row { mut h, mut c, .. } = self.begin(frame, &around.initial, row)?;
        let mut memory = Vec::new();
        let steps = made.before.chunks_exact_mut(2 * len).zip(made.z.chunks_exact_mut(4 * len));
        for (step, (before, z)) in steps.enumerate() {
            before[..len].copy_from_slice(&h);
            before[len..].copy_from_slice(&c);
            let (x, live) = around.step(row * timesteps + self.source(step, timesteps));
            if !matches!(live, Live::None) {
                self.preactivations(frame, (x, &h), (around.dropped.as_ref(), row), &mut work, &mut memory)?;
                z.copy_from_slice(&work[..4 * len]);
                self.activate(frame, &mut work[..4 * len]);
                self.advance(frame, &live, &mut h, &mut c, &mut work);
            }
        }
        Ok(made)
    }

    /// The gradient of a step's output: to h where it is live, else to the output before, if that is repeated.
    fn arrive(&self, live: &Live<'_>, d_out: &[T], way: &mut Way<T>) {
        for (at, &d) in d_out.iter().enumerate() {
            match live.at(at) {
                true => way.h[at] += d + std::mem::replace(&mut way.output[at], T::zero()),
                false if self.options.zero_output_for_mask => {}
                false => way.output[at] += d,
            }
        }
    }

    /// From the gradients of the states to those of the preactivations, in `way.dz`; those of the states before, but for
    /// what comes through `R`, are left where the states' were.
    fn slopes(&self, frame: &Frame, live: &Live<'_>, before: &[T], z: &[T], way: &mut Way<T>) {
        let (isa, filters, options) = (Isa::detect(), frame.filters, &self.options);
        let alone = options.activation.is_elementwise() && options.recurrent_activation.is_elementwise();
        let zeros = || vec![T::zero(); filters];
        let (mut next, mut y, mut d_y) = (zeros(), zeros(), zeros());
        let mut gates = z.to_vec();
        self.activate(frame, &mut gates);
        let places = gates.chunks_exact(4 * filters).zip(z.chunks_exact(4 * filters));
        for (place, (gates, z)) in places.enumerate() {
            let first = place * filters;
            let [i, f, g, o] = [0, 1, 2, 3].map(|at| gate(gates, at));
            let c = &before[before.len() / 2..][first..][..filters];
            (0..filters).for_each(|at| next[at] = f[at] * c[at] + i[at] * g[at]);
            y.copy_from_slice(&next);
            activate(isa, &options.activation, &mut y);
            let dz = &mut way.dz[4 * first..][..4 * filters];
            for at in 0..filters {
                let d =
                    if live.at(first + at) { std::mem::replace(&mut way.h[first + at], T::zero()) } else { T::zero() };
                (d_y[at], dz[3 * filters + at]) = (d * o[at], d * y[at]);
            }
            activate_backward(isa, &options.activation, &next, &y, &mut d_y);
            for at in 0..filters {
                let live = live.at(first + at);
                let d = if live { way.c[first + at] + d_y[at] } else { T::zero() };
                (dz[at], dz[filters + at], dz[2 * filters + at]) = (d * g[at], d * c[at], d * i[at]);
                if live {
                    way.c[first + at] = d * f[at];
                }
            }
            for (at, dz) in dz.chunks_exact_mut(filters).enumerate() {
                let activation = if at == 2 { &options.activation } else { &options.recurrent_activation };
                activate_backward(isa, activation, gate(z, at), gate(gates, at), dz);
                // Whatever was read there.
                let masked = |at: &usize| alone && !live.at(first + at);
                (0..filters).filter(masked).for_each(|at| dz[at] = T::zero());
            }
        }
    }
}
