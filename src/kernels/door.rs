//! A door for benches: kernels on prepared rows, without the layers around them. Not part of the public interface.

use super::aligned::Aligned;
use super::isa::Isa;
use super::{GruKernel, KernelStep, LstmKernel, RowInput, RowStep, SimpleRnnKernel};
use crate::rows::{Input, Rows, RowsMut};
use crate::{Activation, Float};

/// The kernels that the door opens to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Cell {
    SimpleRnn,
    Lstm,
    GruAfter,
    GruBefore,
}

enum Any<T: Float> {
    SimpleRnn(SimpleRnnKernel<T>),
    Lstm(LstmKernel<T>),
    Gru(GruKernel<T>),
}

/// A kernel and two states, used in turn.
pub struct Runner<T: Float> {
    kernel: Any<T>,
    input_size: usize,
    width: usize,
    rows: Vec<usize>,
    states: [Aligned<T>; 2],
    scratch: Vec<T>,
    projected: Vec<T>,
    odd: bool,
    activation: Activation,
    recurrent_activation: Activation,
}

/// Numbers in [-1, 1) that a seed fixes.
pub fn numbers<T: Float>(len: usize, scale: f64, mut seed: u64) -> Vec<T> {
    (0..len)
        .map(|_| {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            T::from_f64(((seed >> 40) as f64 / (1u64 << 23) as f64 - 1.0) * scale)
        })
        .collect()
}

impl<T: Float> Runner<T> {
    /// A kernel with arbitrary weights. `isa` is `"avx512"`, `"avx2"` or `"baseline"`.
    pub fn new(cell: Cell, isa: &str, input_size: usize, units: usize, batch: usize) -> Self {
        let isa = *Isa::available()
            .iter()
            .find(|i| format!("{i:?}").to_lowercase() == isa)
            .expect("an instruction set that this machine has");
        let gates = match cell {
            Cell::SimpleRnn => 1,
            Cell::Lstm => 4,
            _ => 3,
        };
        let width = if cell == Cell::Lstm { 2 * units } else { units };
        let scale = 1.0 / ((input_size + units) as f64).sqrt();
        let kernel = numbers::<T>(input_size * units * gates, scale, 1);
        let recurrent = numbers::<T>(units * units * gates, scale, 2);
        let bias = numbers::<T>(units * gates * if cell == Cell::GruAfter { 2 } else { 1 }, 0.5, 3);
        let (kernel, scratch, projected) = match cell {
            Cell::SimpleRnn => {
                let mut k = SimpleRnnKernel::for_isa(isa, input_size, units);
                k.pack(&kernel, &recurrent, Some(&bias));
                let sizes = (k.scratch_len(batch), k.projected_len());
                (Any::SimpleRnn(k), sizes.0, sizes.1)
            }
            Cell::Lstm => {
                let mut k = LstmKernel::for_isa(isa, input_size, units);
                k.pack(&kernel, &recurrent, Some(&bias));
                let sizes = (k.scratch_len(batch), k.projected_len());
                (Any::Lstm(k), sizes.0, sizes.1)
            }
            Cell::GruAfter | Cell::GruBefore => {
                let mut k = GruKernel::for_isa(isa, input_size, units, cell == Cell::GruAfter);
                k.pack(&kernel, &recurrent, Some(&bias));
                let sizes = (k.scratch_len(batch), k.projected_len());
                (Any::Gru(k), sizes.0, sizes.1)
            }
        };
        Runner {
            kernel,
            input_size,
            width,
            rows: (0..batch).collect(),
            states: [Aligned::zeros(batch * width), Aligned::zeros(batch * width)],
            scratch: vec![T::zero(); scratch],
            projected: vec![T::zero(); 24 * projected],
            odd: false,
            activation: Activation::Tanh,
            recurrent_activation: Activation::Sigmoid,
        }
    }

    /// Other activations than the default ones.
    pub fn activations(mut self, activation: Activation, recurrent_activation: Activation) -> Self {
        (self.activation, self.recurrent_activation) = (activation, recurrent_activation);
        self
    }

    /// One step; row `i` of the input begins at `x[i * stride]`.
    #[inline]
    pub fn step(&mut self, x: &[T], stride: usize) {
        let input = Input::Raw(Rows::new(x, 0, stride, self.input_size));
        Self::run(
            &self.kernel,
            input,
            &self.rows,
            self.width,
            &mut self.states,
            &mut self.scratch,
            self.odd,
            (&self.activation, &self.recurrent_activation),
        );
        self.odd = !self.odd;
    }

    /// One step of the first row, the short way.
    #[inline]
    pub fn step_row(&mut self, x: &[T]) {
        Self::run_row(
            &self.kernel,
            RowInput::Raw(x),
            &mut self.states,
            &mut self.scratch,
            self.odd,
            (&self.activation, &self.recurrent_activation),
        );
        self.odd = !self.odd;
    }

    #[inline]
    fn run_row(
        kernel: &Any<T>,
        input: RowInput<'_, T>,
        states: &mut [Aligned<T>; 2],
        scratch: &mut [T],
        odd_step: bool,
        (activation, recurrent_activation): (&Activation, &Activation),
    ) {
        let [a, b] = states;
        let (prev, next): (&[T], &mut [T]) = if odd_step { (b, a) } else { (a, b) };
        let step = RowStep { input, prev, next, scratch, odd_step, activation, recurrent_activation };
        match kernel {
            Any::SimpleRnn(k) => k.step_row(step),
            Any::Lstm(k) => k.step_row(step),
            Any::Gru(k) => k.step_row(step),
        }
    }

    /// `steps` time steps of one row, the input's product made for 24 of them at a time.
    pub fn sequence(&mut self, x: &[T], steps: usize) {
        let z = self.projected.len() / 24;
        let mut done = 0;
        while done < steps {
            let count = (steps - done).min(24);
            let rows = Rows::new(x, done * self.input_size, self.input_size, self.input_size);
            let out = RowsMut::packed(&mut self.projected, z);
            match &self.kernel {
                Any::SimpleRnn(k) => k.project(count, rows, out),
                Any::Lstm(k) => k.project(count, rows, out),
                Any::Gru(k) => k.project(count, rows, out),
            }
            for t in 0..count {
                let input = RowInput::Projected(&self.projected[t * z..][..z]);
                Self::run_row(
                    &self.kernel,
                    input,
                    &mut self.states,
                    &mut self.scratch,
                    self.odd,
                    (&self.activation, &self.recurrent_activation),
                );
                self.odd = !self.odd;
            }
            done += count;
        }
    }

    #[allow(clippy::too_many_arguments)]
    #[inline]
    fn run(
        kernel: &Any<T>,
        input: Input<'_, T>,
        rows: &[usize],
        width: usize,
        states: &mut [Aligned<T>; 2],
        scratch: &mut [T],
        odd: bool,
        (activation, recurrent_activation): (&Activation, &Activation),
    ) {
        let [a, b] = states;
        let (prev, next) = if odd { (b, a) } else { (a, b) };
        let call = KernelStep {
            rows,
            input,
            prev: Rows::packed(prev, width),
            next: RowsMut::packed(next, width),
            saved: None,
            dropout: None,
            scratch,
            odd_step: odd,
            activation,
            recurrent_activation,
        };
        match kernel {
            Any::SimpleRnn(k) => k.step(call),
            Any::Lstm(k) => k.step(call),
            Any::Gru(k) => k.step(call),
        }
    }

    /// The state, to look at.
    pub fn state(&self) -> &[T] {
        &self.states[usize::from(self.odd)]
    }
}
