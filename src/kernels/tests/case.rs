//! A cell of any kind with weights, rows and options, and the same step through a kernel and through the oracle.

use super::naive::{self, Operand, Weights};
use crate::activation::Activation;
use crate::kernels::Element;
use crate::kernels::isa::Isa;
use crate::kernels::{GruKernel, KernelStep, LstmKernel, SimpleRnnKernel};
use crate::strided::{DropoutRows, Input, Rows, RowsMut};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cell {
    SimpleRnn,
    Lstm,
    GruAfter,
    GruBefore,
}

pub const CELLS: [Cell; 4] = [Cell::SimpleRnn, Cell::Lstm, Cell::GruAfter, Cell::GruBefore];

impl Cell {
    pub fn gates(self) -> usize {
        match self {
            Cell::SimpleRnn => 1,
            Cell::Lstm => 4,
            Cell::GruAfter | Cell::GruBefore => 3,
        }
    }

    /// Parts of the state: h, and the LSTM's c.
    pub fn parts(self) -> usize {
        if self == Cell::Lstm { 2 } else { 1 }
    }
}

/// Numbers in [-1, 1) that a seed fixes.
pub struct Numbers(pub u64);

impl Numbers {
    pub fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 40) as f64 / (1u64 << 23) as f64 - 1.0
    }

    /// Values that f32 holds exactly.
    pub fn vec(&mut self, len: usize, scale: f64) -> Vec<f64> {
        (0..len).map(|_| f64::from((self.next() * scale) as f32)).collect()
    }
}

/// A kernel of any cell.
#[derive(Debug, Clone)]
pub enum AnyKernel<T: Element> {
    SimpleRnn(SimpleRnnKernel<T>),
    Lstm(LstmKernel<T>),
    Gru(GruKernel<T>),
}

impl<T: Element> AnyKernel<T> {
    pub fn new(isa: Isa, cell: Cell, w: &Weights) -> Self {
        let (kernel, recurrent, bias) = (cast::<T>(&w.kernel), cast::<T>(&w.recurrent_kernel), cast::<T>(&w.bias));
        match cell {
            Cell::SimpleRnn => {
                let mut k = SimpleRnnKernel::for_isa(isa, w.input_size, w.units);
                k.pack(&kernel, &recurrent, Some(&bias));
                AnyKernel::SimpleRnn(k)
            }
            Cell::Lstm => {
                let mut k = LstmKernel::for_isa(isa, w.input_size, w.units);
                k.pack(&kernel, &recurrent, Some(&bias));
                AnyKernel::Lstm(k)
            }
            Cell::GruAfter | Cell::GruBefore => {
                let mut k = GruKernel::for_isa(isa, w.input_size, w.units, cell == Cell::GruAfter);
                k.pack(&kernel, &recurrent, Some(&bias));
                AnyKernel::Gru(k)
            }
        }
    }

    pub fn projected_len(&self) -> usize {
        match self {
            AnyKernel::SimpleRnn(k) => k.projected_len(),
            AnyKernel::Lstm(k) => k.projected_len(),
            AnyKernel::Gru(k) => k.projected_len(),
        }
    }

    pub fn project(&self, count: usize, x: Rows<T>, out: RowsMut<T>) {
        match self {
            AnyKernel::SimpleRnn(k) => k.project(count, x, out),
            AnyKernel::Lstm(k) => k.project(count, x, out),
            AnyKernel::Gru(k) => k.project(count, x, out),
        }
    }

    pub fn tape_len(&self) -> usize {
        match self {
            AnyKernel::SimpleRnn(k) => k.tape_len(),
            AnyKernel::Lstm(k) => k.tape_len(),
            AnyKernel::Gru(k) => k.tape_len(),
        }
    }

    pub fn scratch_len(&self, rows: usize) -> usize {
        match self {
            AnyKernel::SimpleRnn(k) => k.scratch_len(rows),
            AnyKernel::Lstm(k) => k.scratch_len(rows),
            AnyKernel::Gru(k) => k.scratch_len(rows),
        }
    }

    pub fn step(&self, call: KernelStep<T>) {
        match self {
            AnyKernel::SimpleRnn(k) => k.step(call),
            AnyKernel::Lstm(k) => k.step(call),
            AnyKernel::Gru(k) => k.step(call),
        }
    }
}

pub fn cast<T: Element>(values: &[f64]) -> Vec<T> {
    values.iter().map(|&v| T::narrowed(v)).collect()
}

/// Everything of one step. The vectors are rows without gaps, in f64 values that f32 holds exactly.
#[derive(Debug, Clone)]
pub struct Case {
    pub cell: Cell,
    pub weights: Weights,
    pub batch: usize,
    pub x: Vec<f64>,
    pub state: Vec<f64>,
    pub input_mask: Option<Vec<f64>>,
    pub recurrent_mask: Option<Vec<f64>>,
    pub activation: Activation,
    pub recurrent_activation: Activation,
}

/// What a step left, in rows without gaps.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome<T> {
    pub state: Vec<T>,
    pub tape: Vec<T>,
}

/// How to run a kernel. None of it may change a bit.
#[derive(Debug, Clone)]
pub struct How {
    /// The live rows, or all.
    pub rows: Option<Vec<usize>>,
    /// Elements between the rows, filled with NaN.
    pub gap: usize,
    pub projected: bool,
    pub odd_step: bool,
    pub tape: bool,
    /// Run the specification: it is what runs where dropout is asked for, without masks too.
    pub reference: bool,
    /// Fills the scratch and what will be written.
    pub dirt: f64,
}

impl Default for How {
    fn default() -> Self {
        How { rows: None, gap: 0, projected: false, odd_step: false, tape: false, reference: false, dirt: f64::NAN }
    }
}

impl Case {
    pub fn new(cell: Cell, input_size: usize, units: usize, batch: usize, seed: u64) -> Case {
        let mut n = Numbers(seed.wrapping_mul(0x9E3779B97F4A7C15) ^ ((input_size as u64) << 32) ^ units as u64);
        n.next();
        let columns = cell.gates() * units;
        let bias_rows = if cell == Cell::GruAfter { 2 } else { 1 };
        let scale = 1.5 / ((input_size + units) as f64).sqrt();
        let weights = Weights {
            input_size,
            units,
            kernel: n.vec(input_size * columns, scale),
            recurrent_kernel: n.vec(units * columns, scale),
            bias: n.vec(bias_rows * columns, 0.5),
        };
        Case {
            cell,
            weights,
            batch,
            x: n.vec(batch * input_size, 2.0),
            state: n.vec(batch * cell.parts() * units, 0.9),
            input_mask: None,
            recurrent_mask: None,
            activation: Activation::Tanh,
            recurrent_activation: Activation::Sigmoid,
        }
    }

    pub fn activations(mut self, activation: Activation, recurrent_activation: Activation) -> Case {
        (self.activation, self.recurrent_activation) = (activation, recurrent_activation);
        self
    }

    /// Masks of zeros and 1 / (1 - rate), for all gates at once or for each.
    pub fn dropout(mut self, per_gate: bool, seed: u64) -> Case {
        let mut n = Numbers(seed);
        let gates = if per_gate { self.cell.gates() } else { 1 };
        let mut mask = |width: usize| {
            Some(n.vec(self.batch * gates * width, 1.0).iter().map(|&u| if u < -0.5 { 0.0 } else { 1.25 }).collect())
        };
        self.input_mask = mask(self.weights.input_size);
        self.recurrent_mask = mask(self.weights.units);
        self
    }

    pub fn state_width(&self) -> usize {
        self.cell.parts() * self.weights.units
    }

    /// The oracle's outcome.
    pub fn naive(&self) -> Outcome<f64> {
        let mut outcome = Outcome { state: Vec::new(), tape: Vec::new() };
        let (units, width) = (self.weights.units, self.state_width());
        for row in 0..self.batch {
            let part = |v: &'_ Vec<f64>| -> std::ops::Range<usize> {
                let n = v.len() / self.batch;
                row * n..(row + 1) * n
            };
            let x = Operand { values: &self.x[part(&self.x)], mask: self.input_mask.as_ref().map(|m| &m[part(m)]) };
            let state = &self.state[row * width..][..width];
            let h = Operand { values: &state[..units], mask: self.recurrent_mask.as_ref().map(|m| &m[part(m)]) };
            let (w, a, r) = (&self.weights, &self.activation, &self.recurrent_activation);
            match self.cell {
                Cell::SimpleRnn => outcome.state.extend(naive::simple_rnn(w, x, h, a)),
                Cell::Lstm => {
                    let (h, c, tape) = naive::lstm(w, x, h, &state[units..], a, r);
                    outcome.state.extend(h);
                    outcome.state.extend(c);
                    outcome.tape.extend(tape);
                }
                Cell::GruAfter | Cell::GruBefore => {
                    let (h, tape) = naive::gru(w, self.cell == Cell::GruAfter, x, h, a, r);
                    outcome.state.extend(h);
                    outcome.tape.extend(tape);
                }
            }
        }
        outcome
    }

    /// A kernel's outcome. Rows that aren't live keep `how.dirt`.
    pub fn run<T: Element>(&self, isa: Isa, how: &How) -> Outcome<T> {
        let kernel = AnyKernel::<T>::new(isa, self.cell, &self.weights);
        self.run_kernel(&kernel, how)
    }

    pub fn run_kernel<T: Element>(&self, kernel: &AnyKernel<T>, how: &How) -> Outcome<T> {
        let dirt = T::narrowed(how.dirt);
        let spread = |values: &[f64], width: usize| -> Vec<T> {
            let mut out = vec![T::narrowed(f64::NAN); self.batch * (width + how.gap)];
            for (to, from) in out.chunks_mut(width + how.gap).zip(values.chunks(width)) {
                to[..width].copy_from_slice(&cast::<T>(from));
            }
            out
        };
        let gather = |values: &[T], width: usize| -> Vec<T> {
            if width == 0 {
                return Vec::new();
            }
            values.chunks(width + how.gap).flat_map(|row| row[..width].iter().copied()).collect()
        };
        let all: Vec<usize> = (0..self.batch).collect();
        let (inputs, width, tape_len) = (self.weights.input_size, self.state_width(), kernel.tape_len());
        let (x, state) = (spread(&self.x, inputs), spread(&self.state, width));
        let input_mask = self.input_mask.as_ref().map(|m| spread(m, m.len() / self.batch));
        let recurrent_mask = self.recurrent_mask.as_ref().map(|m| spread(m, m.len() / self.batch));
        let mask_rows = |mask: &'_ Option<Vec<T>>| -> Option<(usize, usize)> {
            mask.as_ref().map(|m| (m.len() / self.batch, m.len() / self.batch - how.gap))
        };
        let dropout = (how.reference || input_mask.is_some() || recurrent_mask.is_some()).then(|| DropoutRows {
            input: mask_rows(&input_mask)
                .map(|(stride, width)| Rows::new(input_mask.as_ref().unwrap(), 0, stride, width)),
            recurrent: mask_rows(&recurrent_mask)
                .map(|(stride, width)| Rows::new(recurrent_mask.as_ref().unwrap(), 0, stride, width)),
        });
        let x = Rows::new(&x, 0, inputs + how.gap, inputs);
        let z_len = kernel.projected_len();
        let mut projected = vec![dirt; self.batch * (z_len + how.gap)];
        let mut next = vec![dirt; self.batch * (width + how.gap)];
        let mut tape = vec![dirt; self.batch * (tape_len + how.gap)];
        let mut scratch = vec![dirt; kernel.scratch_len(self.batch)];
        if how.projected {
            kernel.project(self.batch, x, RowsMut::new(&mut projected, 0, z_len + how.gap, z_len));
        }
        kernel.step(KernelStep {
            rows: how.rows.as_deref().unwrap_or(&all),
            input: if how.projected {
                Input::Projected(Rows::new(&projected, 0, z_len + how.gap, z_len))
            } else {
                Input::Raw(x)
            },
            prev: Rows::new(&state, 0, width + how.gap, width),
            next: RowsMut::new(&mut next, 0, width + how.gap, width),
            tape: how.tape.then(|| RowsMut::new(&mut tape, 0, tape_len + how.gap, tape_len)),
            dropout,
            scratch: &mut scratch,
            odd_step: how.odd_step,
            activation: &self.activation,
            recurrent_activation: &self.recurrent_activation,
        });
        let tape = if how.tape { gather(&tape, tape_len) } else { Vec::new() };
        Outcome { state: gather(&next, width), tape }
    }
}

/// Fails unless all values agree within `tolerance * max(1, |expected|)`.
pub fn assert_close<T: Element>(got: &[T], expected: &[f64], tolerance: f64, what: &dyn std::fmt::Debug) {
    assert_eq!(got.len(), expected.len(), "{what:?}");
    for (at, (&got, &expected)) in got.iter().zip(expected).enumerate() {
        let (got, bound) = (got.widened(), tolerance * expected.abs().max(1.0));
        let same = got == expected || (got.is_nan() && expected.is_nan()) || (got - expected).abs() <= bound;
        assert!(same, "element {at}: {got}, expected {expected}, {what:?}");
    }
}

/// Fails unless all values have the same bits, NaN and NaN counting as the same.
pub fn assert_same_bits<T: Element>(got: &[T], expected: &[T], what: &dyn std::fmt::Debug) {
    assert_eq!(got.len(), expected.len(), "{what:?}");
    for (at, (&a, &b)) in got.iter().zip(expected).enumerate() {
        let same = (a.is_nan() && b.is_nan()) || (a == b && a.is_sign_negative() == b.is_sign_negative());
        assert!(same, "element {at}: {a:?} and {b:?} differ, {what:?}");
    }
}
