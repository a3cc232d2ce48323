//! Dropout in training: what each gate reads is multiplied by factors of its own, the same at each step.
//!
//! ```text
//! z_gate = K_gate * (x d_gate) + b_gate + R_gate * (h r_gate)
//! ```

use ndarray::{Axis, Slice};

use super::super::Stand;
use super::super::convolution::{Convolution, Kind, Parts, Sums};
use super::ConvLstm;
use super::frame::Frame;
use crate::activation::Activation;
use crate::cells::CellDropout;
use crate::error::Result;
use crate::float::Float;
use crate::graph::operation::misfit;
use crate::random::stateless::dropout_mask;
use crate::seeds::DropoutGenerator;

/// What is dropped in a call: of the input, of the hidden state.
pub(super) struct Dropped<T: Float>([Option<ByGate<T>>; 2]);

/// A convolution gate by gate, and the factors of what each reads.
struct ByGate<T: Float> {
    gates: Vec<Convolution<T>>,
    /// Of each gate for each row of the batch, its channels last.
    factors: Vec<T>,
    len: usize,
}

/// One of the two convolutions in a row of the batch: whole, or gate by gate.
pub(super) struct Product<'a, T: Float> {
    whole: &'a Convolution<T>,
    by_gate: Option<&'a ByGate<T>>,
}

const GATES: usize = 4;

impl<T: Float> ConvLstm<T> {
    /// Its dropout in Keras's words.
    pub(super) fn dropout(&self) -> CellDropout {
        let own = &self.options;
        let dropout = CellDropout::new(self.channels(), self.filters()).seed(own.seed.unwrap_or(0));
        dropout.rate(own.dropout, GATES).recurrent_rate(own.recurrent_dropout, GATES)
    }

    /// Of the input and of the hidden state: the rate, and the elements of a row that it is for. As Keras's LSTM, it takes
    /// no notice of a rate of 1.
    fn rates(&self, frame: &Frame) -> [(f64, usize); 2] {
        let own = |rate: f64, len: usize| (rate, if rate > 0.0 && rate < 1.0 { len } else { 0 });
        [own(self.options.dropout, frame.len()), own(self.options.recurrent_dropout, frame.state_len())]
    }

    /// The numbers that a call in training draws, if they can be counted.
    pub(super) fn factor_count(&self, frame: &Frame, batch: usize) -> Option<usize> {
        let [(_, input), (_, recurrent)] = self.rates(frame);
        input.checked_add(recurrent)?.checked_mul(GATES)?.checked_mul(batch)
    }

    /// Draws the factors of a call: for each gate those of the input, then of the hidden state, as arrays from outside.
    pub(super) fn draw(
        &self,
        (frame, batch): (&Frame, usize),
        generators: &mut [DropoutGenerator],
        kept: &mut Vec<T>,
    ) -> Result<()> {
        kept.clear();
        kept.resize(self.factor_count(frame, batch).ok_or_else(misfit)?, T::zero());
        let mut rest = &mut kept[..];
        for (rate, len) in self.rates(frame).into_iter().filter(|&(_, len)| len > 0) {
            let [generator] = &mut *generators else { return Err(misfit()) };
            let (own, behind) = rest.split_at_mut(GATES * batch * len);
            own.chunks_exact_mut((batch * len).max(1)).for_each(|mask| {
                dropout_mask(generator.seed, generator.take(), rate, mask);
            });
            rest = behind;
        }
        Ok(())
    }

    /// What the factors of a call drop; nothing if none were drawn.
    pub(super) fn dropped(&self, frame: &Frame, batch: usize, kept: &[T]) -> Result<Option<Dropped<T>>> {
        if kept.is_empty() {
            return Ok(None);
        }
        let [(_, input), (_, recurrent)] = self.rates(frame);
        let (of_input, of_h) = kept.split_at_checked(GATES * batch * input).ok_or_else(misfit)?;
        let by_gate = |whole: &Convolution<T>, drawn: &[T], len: usize, turn: &dyn Fn(&[T], &mut [T])| {
            if len == 0 {
                return Ok(None);
            }
            let mut factors = vec![T::zero(); drawn.len()];
            drawn.chunks_exact(len).zip(factors.chunks_exact_mut(len)).for_each(|(drawn, to)| turn(drawn, to));
            let gates = (0..GATES).map(|gate| of_gate(whole, gate)).collect::<Result<_>>()?;
            Result::Ok(Some(ByGate { gates, factors, len }))
        };
        Ok(Some(Dropped([
            by_gate(&self.input, of_input, input, &|from, to| frame.turn_input(from, to))?,
            by_gate(&self.recurrent, of_h, recurrent, &|from, to| frame.turn_in(from, to))?,
        ])))
    }

    /// Both convolutions, of the input and of the hidden state.
    pub(super) fn products<'a>(&'a self, dropped: Option<&'a Dropped<T>>) -> [Product<'a, T>; 2] {
        let by_gate = |at: usize| dropped.and_then(|Dropped(sides)| sides[at].as_ref());
        [(&self.input, by_gate(0)), (&self.recurrent, by_gate(1))].map(|(whole, by_gate)| Product { whole, by_gate })
    }
}

/// The convolution of one gate.
fn of_gate<T: Float>(whole: &Convolution<T>, gate: usize) -> Result<Convolution<T>> {
    let columns = whole.kernel.shape().last().map_or(0, |columns| columns / GATES);
    let own = Slice::from(gate * columns..(gate + 1) * columns);
    let last = Axis(whole.kernel.ndim().saturating_sub(1));
    let kernel = whole.kernel.slice_axis(last, own).as_standard_layout().into_owned();
    let bias = whole.bias.as_ref().map(|bias| bias.slice_axis(Axis(0), own).to_owned());
    let (windows, kind, activation) = (whole.windows, Kind::Full, Activation::Linear);
    Convolution::made(Parts { windows, kind, kernel, pointwise: None, bias, groups: 1, activation })
}

impl<T: Float> ByGate<T> {
    /// Of each gate its convolution, and the factors of a row of the batch.
    fn gates(&self, row: usize) -> impl Iterator<Item = (usize, &Convolution<T>, &[T])> {
        let rows = self.factors.len() / (GATES * self.len);
        let factors = move |gate: usize| &self.factors[(gate * rows + row) * self.len..][..self.len];
        self.gates.iter().enumerate().map(move |(gate, own)| (gate, own, factors(gate)))
    }
}

fn multiplied<T: Float>(x: &[T], factors: &[T]) -> Vec<T> {
    x.iter().zip(factors).map(|(&x, &factor)| x * factor).collect()
}

impl<T: Float> Product<'_, T> {
    /// The parts of all gates of a row of the batch, of this shape with its channels last.
    pub(super) fn forward(
        &self,
        row: usize,
        (shape, x): (&[usize], &[T]),
        z: &mut [T],
        memory: &mut Vec<T>,
    ) -> Result<()> {
        let Some(by_gate) = self.by_gate else {
            return self.whole.whole(shape, x, &Activation::Linear, z, memory);
        };
        let mut part = vec![T::zero(); z.len() / GATES];
        for (gate, own, factors) in by_gate.gates(row) {
            own.whole(shape, &multiplied(x, factors), &Activation::Linear, &mut part, memory)?;
            let filters = own.kernel.shape().last().map_or(1, |&filters| filters);
            let places = z.chunks_exact_mut(GATES * filters).zip(part.chunks_exact(filters));
            places.for_each(|(z, part)| z[gate * filters..][..filters].copy_from_slice(part));
        }
        Ok(())
    }

    /// What the way back sums up: for the whole, or for each gate.
    pub(super) fn sums(&self) -> Vec<Sums<T>> {
        match self.by_gate {
            Some(by_gate) => by_gate.gates.iter().map(Convolution::sums).collect(),
            None => vec![self.whole.sums()],
        }
    }

    /// The way back: the gradient of `x` is added to `d_x`.
    pub(super) fn backward(
        &self,
        row: usize,
        (stand, x): (&Stand, &[T]),
        dz: &[T],
        sums: &mut [Sums<T>],
        d_x: &mut [T],
    ) {
        let Some(by_gate) = self.by_gate else {
            return sums.iter_mut().for_each(|sums| self.whole.row_back(stand, x, dz, sums, d_x));
        };
        for ((gate, own, factors), sums) in by_gate.gates(row).zip(sums) {
            let filters = own.kernel.shape().last().map_or(1, |&filters| filters);
            let part = dz.chunks_exact(GATES * filters).flat_map(|dz| &dz[gate * filters..][..filters]);
            let part: Vec<T> = part.copied().collect();
            let mut d_read = vec![T::zero(); d_x.len()];
            own.row_back(stand, &multiplied(x, factors), &part, sums, &mut d_read);
            d_x.iter_mut().zip(multiplied(&d_read, factors)).for_each(|(to, d)| *to += d);
        }
    }

    /// Adds the sums to the gradient of the kernel.
    pub(super) fn flush(&self, sums: &[Sums<T>], kernel: &mut [T]) {
        let Some(by_gate) = self.by_gate else {
            return sums.iter().for_each(|sums| self.whole.flush(sums, &mut [&mut *kernel]));
        };
        for ((gate, own), sums) in by_gate.gates.iter().enumerate().zip(sums) {
            let filters = own.kernel.shape().last().map_or(1, |&filters| filters);
            let mut part = vec![T::zero(); kernel.len() / GATES];
            own.flush(sums, &mut [&mut part[..]]);
            let rows = kernel.chunks_exact_mut(GATES * filters).zip(part.chunks_exact(filters));
            rows.for_each(|(sum, part)| {
                sum[gate * filters..][..filters].iter_mut().zip(part).for_each(|(sum, &d)| *sum += d);
            });
        }
    }
}
