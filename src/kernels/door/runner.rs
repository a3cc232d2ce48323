//! A kernel with arbitrary weights and two states, used in turn.

use super::super::aligned::Aligned;
use super::super::{GruKernel, KernelStep, LstmKernel, RowInput, RowStep, SimpleRnnKernel};
use super::by_name;
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

/// `body` for the kernel of whatever cell.
macro_rules! with {
    ($any:expr, $kernel:ident => $body:expr) => {
        match $any {
            Any::SimpleRnn($kernel) => $body,
            Any::Lstm($kernel) => $body,
            Any::Gru($kernel) => $body,
        }
    };
}

/// Time steps whose input product is made at once.
const CHUNK: usize = 24;

/// A kernel and two states, used in turn.
pub struct Runner<T: Float> {
    kernel: Any<T>,
    input_size: usize,
    width: usize,
    states: [Aligned<T>; 2],
    scratch: Vec<T>,
    projected: Vec<T>,
    odd: bool,
    activations: (Activation, Activation),
}

/// Numbers in [-scale, scale) that a seed fixes.
pub fn numbers<T: Float>(len: usize, scale: f64, mut seed: u64) -> Vec<T> {
    let mut next = || {
        seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        T::from_f64(((seed >> 40) as f64 / (1u64 << 23) as f64 - 1.0) * scale)
    };
    (0..len).map(|_| next()).collect()
}

impl<T: Float> Runner<T> {
    /// A kernel for an instruction set of [`instruction_sets`](super::instruction_sets).
    pub fn new(cell: Cell, isa: &str, input_size: usize, units: usize, batch: usize) -> Self {
        let isa = by_name(isa);
        let gates = match cell {
            Cell::SimpleRnn => 1,
            Cell::Lstm => 4,
            Cell::GruAfter | Cell::GruBefore => 3,
        };
        let scale = 1.0 / ((input_size + units) as f64).sqrt();
        let weights = numbers::<T>(input_size * units * gates, scale, 1);
        let recurrent = numbers::<T>(units * units * gates, scale, 2);
        let bias = numbers::<T>(units * gates * if cell == Cell::GruAfter { 2 } else { 1 }, 0.5, 3);
        let mut kernel = match cell {
            Cell::SimpleRnn => Any::SimpleRnn(SimpleRnnKernel::for_isa(isa, input_size, units)),
            Cell::Lstm => Any::Lstm(LstmKernel::for_isa(isa, input_size, units)),
            _ => Any::Gru(GruKernel::for_isa(isa, input_size, units, cell == Cell::GruAfter)),
        };
        let (scratch, projected) = with!(&mut kernel, k => {
            k.pack(&weights, &recurrent, Some(&bias));
            (k.scratch_len(batch), k.projected_len())
        });
        let width = if cell == Cell::Lstm { 2 * units } else { units };
        let state = || Aligned::zeros(batch * width);
        Runner {
            kernel,
            input_size,
            width,
            states: [state(), state()],
            scratch: vec![T::zero(); scratch],
            projected: vec![T::zero(); CHUNK * projected],
            odd: false,
            activations: (Activation::Tanh, Activation::Sigmoid),
        }
    }

    /// Other activations than the default ones.
    pub fn activations(mut self, activation: Activation, recurrent_activation: Activation) -> Self {
        self.activations = (activation, recurrent_activation);
        self
    }

    /// One step of `rows`; row `i` of the input begins at `x[i * stride]`.
    #[inline]
    pub fn step(&mut self, rows: &[usize], x: &[T], stride: usize) {
        let [a, b] = &mut self.states;
        let (prev, next): (&[T], &mut [T]) = if self.odd { (b, a) } else { (a, b) };
        let call = KernelStep {
            rows,
            input: Input::Raw(Rows::new(x, 0, stride, self.input_size)),
            prev: Rows::packed(prev, self.width),
            next: RowsMut::packed(next, self.width),
            saved: None,
            dropout: None,
            scratch: &mut self.scratch,
            odd_step: self.odd,
            activation: &self.activations.0,
            recurrent_activation: &self.activations.1,
        };
        with!(&self.kernel, k => k.step(call));
        self.odd = !self.odd;
    }

    /// All time steps of one row, one by one, the short way.
    pub fn steps_of_row(&mut self, x: &[T]) {
        for x in x.chunks_exact(self.input_size) {
            self.row(RowInput::Raw(x));
        }
    }

    /// All time steps of one row, the input's product made for some of them at a time.
    pub fn sequence(&mut self, x: &[T]) {
        let width = self.projected.len() / CHUNK;
        let mut projected = std::mem::take(&mut self.projected);
        for x in x.chunks(CHUNK * self.input_size) {
            let count = x.len() / self.input_size;
            let out = RowsMut::packed(&mut projected, width);
            with!(&self.kernel, k => k.project(count, Rows::packed(x, self.input_size), out));
            for z in projected.chunks_exact(width).take(count) {
                self.row(RowInput::Projected(z));
            }
        }
        self.projected = projected;
    }

    #[inline(always)]
    fn row(&mut self, input: RowInput<'_, T>) {
        let odd_step = self.odd;
        let [a, b] = &mut self.states;
        let (prev, next): (&[T], &mut [T]) = if self.odd { (b, a) } else { (a, b) };
        let (activation, recurrent_activation) = (&self.activations.0, &self.activations.1);
        let scratch = &mut self.scratch;
        let step = RowStep { input, prev, next, scratch, odd_step, activation, recurrent_activation };
        with!(&self.kernel, k => k.step_row(step));
        self.odd = !self.odd;
    }

    /// The state, to look at.
    pub fn state(&self) -> &[T] {
        &self.states[usize::from(self.odd)]
    }
}
