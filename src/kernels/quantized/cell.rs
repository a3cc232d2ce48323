//! Steps of cells with weights in fewer bits.

use std::fmt;

use super::super::KernelStep;
use super::super::backward::Form;
use super::super::isa::Isa;
use super::super::unit::Activations;
use super::ROWS;
use super::formulas::{Formulas, Part, sums_len};
use super::matrix::{Format, Matrix, Sets};
use super::work::{Values, Work};
use crate::strided::{Input, Rows, RowsMut};
use crate::weights::Packed;

/// A cell's weights in fewer bits and what can be computed with them. There is no f32 copy but of the bias.
#[derive(Clone)]
pub(crate) struct QuantizedKernel {
    sets: Sets,
    form: Form,
    format: Format,
    input_size: usize,
    units: usize,
    kernel: Matrix,
    /// Without a candidate's columns that are multiplied by themselves.
    recurrent: Matrix,
    candidate: Option<Matrix>,
    /// In Keras's shape.
    bias: Option<Vec<f32>>,
}

impl QuantizedKernel {
    /// Of weights in Keras's shapes, packed in this format.
    pub(crate) fn new(
        format: Format,
        form: Form,
        (input_size, units): (usize, usize),
        (kernel, recurrent, bias): (&Packed, &Packed, Option<Vec<f32>>),
    ) -> Self {
        let columns = form.gates() * units;
        let at_once = if form == Form::GruBefore { 2 * units } else { columns };
        QuantizedKernel {
            sets: Sets::of(Isa::detect()),
            form,
            format,
            input_size,
            units,
            kernel: Matrix::new(format, kernel, (input_size, columns), 0, columns),
            recurrent: Matrix::new(format, recurrent, (units, columns), 0, at_once),
            candidate: (at_once < columns)
                .then(|| Matrix::new(format, recurrent, (units, columns), at_once, columns - at_once)),
            bias,
        }
    }

    /// What its steps compute.
    pub(crate) fn form(&self) -> Form {
        self.form
    }

    /// The weights of the kernel, in Keras's shape.
    pub(crate) fn kernel(&self) -> Packed {
        Matrix::unpack(&[&self.kernel])
    }

    /// Those of the recurrent kernel.
    pub(crate) fn recurrent_kernel(&self) -> Packed {
        match &self.candidate {
            Some(candidate) => Matrix::unpack(&[&self.recurrent, candidate]),
            None => Matrix::unpack(&[&self.recurrent]),
        }
    }

    /// The bias.
    pub(crate) fn bias(&self) -> Option<&[f32]> {
        self.bias.as_deref()
    }

    /// The bytes of the kernel's weights, and of the recurrent kernel's.
    pub(crate) fn bytes(&self) -> [usize; 2] {
        [self.kernel.bytes(), self.recurrent.bytes() + self.candidate.as_ref().map_or(0, Matrix::bytes)]
    }

    /// The columns of all gates.
    fn columns(&self) -> usize {
        self.kernel.columns()
    }

    /// The elements of a row of `project`'s result: `bias + x kernel`, and room to compute it in.
    pub(crate) fn projected_len(&self) -> usize {
        self.columns() + self.kernel.encoded_len()
    }

    /// `bias + x * kernel` of rows `0..count`.
    pub(crate) fn project(&self, count: usize, x: Rows<'_, f32>, mut out: RowsMut<'_, f32>) {
        super::super::paths::note_projection();
        const ALL: [usize; ROWS] = {
            let mut all = [0; ROWS];
            let mut i = 0;
            while i < ROWS {
                all[i] = i;
                i += 1;
            }
            all
        };
        let columns = self.columns();
        for first in (0..count).step_by(ROWS) {
            let rows = &ALL[..ROWS.min(count - first)];
            let mut out = out.reborrow().skip(first);
            for &row in rows {
                self.start(&mut out.row_mut(row)[..columns]);
            }
            let work = Work { rows: out, count: rows.len(), z: 0..columns, encoded: columns };
            self.kernel.add(self.sets, &Values::Rows { rows, values: x.skip(first) }, work, false);
        }
    }

    /// The scratch that a step of at most `rows` rows needs.
    pub(crate) fn scratch_len(&self, rows: usize) -> usize {
        rows.min(ROWS) * self.row_len()
    }

    /// A row of the scratch: sums, and room to compute them in.
    fn row_len(&self) -> usize {
        sums_len(self.form, self.units) + self.kernel.encoded_len().max(self.recurrent.encoded_len())
    }

    /// What a sum begins with: the bias, both of them where they are simply added.
    fn start(&self, z: &mut [f32]) {
        let Some(bias) = &self.bias else { return z.fill(0.0) };
        let (of_x, of_h) = bias.split_at(z.len());
        z.copy_from_slice(of_x);
        if self.form == Form::GruAfter {
            let both = 2 * self.units;
            for (z, of_h) in z[..both].iter_mut().zip(of_h) {
                *z += of_h;
            }
        }
    }

    /// One step of the rows in `call`, which has neither dropout nor a tape.
    pub(crate) fn step(&self, mut call: KernelStep<'_, f32>) {
        super::super::paths::note_step(call.rows.len(), &call.input);
        debug_assert!(call.dropout.is_none() && call.tape.is_none(), "a quantized layer isn't trained");
        for rows in call.rows.chunks(ROWS) {
            self.step_rows(rows, &mut call);
        }
    }

    fn step_rows(&self, rows: &[usize], call: &mut KernelStep<'_, f32>) {
        let (units, columns, sums) = (self.units, self.columns(), sums_len(self.form, self.units));
        let activations = Activations { candidate: call.activation, gates: call.recurrent_activation };
        let scratch = RowsMut::packed(&mut *call.scratch, self.row_len());
        let mut work = Work { rows: scratch, count: rows.len(), z: 0..columns, encoded: sums };
        match call.input {
            Input::Projected(z) => {
                for (i, &row) in rows.iter().enumerate() {
                    work.z_mut(i).copy_from_slice(&z.row(row)[..columns]);
                }
            }
            Input::Raw(x) => {
                for i in 0..rows.len() {
                    self.start(work.z_mut(i));
                }
                self.kernel.add(self.sets, &Values::Rows { rows, values: x }, work.of(0..columns), call.odd_step);
            }
        }
        if self.form == Form::GruAfter {
            for i in 0..rows.len() {
                self.park(&mut work.rows.row_mut(i)[2 * units..sums]);
            }
        }
        let h = Values::Rows { rows, values: call.prev.columns(0..units) };
        let of_h = 0..self.recurrent.columns();
        self.recurrent.add(self.sets, &h, work.of(of_h), call.odd_step);
        let (form, prev, isa, twice) = (self.form, call.prev, self.sets.isa, self.format != Format::Bf16);
        if let Some(candidate) = &self.candidate {
            let (sums, next) = (work.rows.reborrow(), call.next.reborrow());
            Formulas { form, part: Part::Reset, units, rows, sums, prev, next, activations }.run(isa, twice);
            let reset = Values::Within(3 * units..4 * units);
            candidate.add(self.sets, &reset, work.of(2 * units..3 * units), call.odd_step);
        }
        let (sums, next) = (work.rows, call.next.reborrow());
        Formulas { form, part: Part::State, units, rows, sums, prev, next, activations }.run(isa, twice);
    }

    /// The candidate's sum of x goes to the last part, and that of h begins.
    fn park(&self, candidate: &mut [f32]) {
        let units = self.units;
        candidate.copy_within(..units, units);
        let of_h = self.bias.as_ref().map(|bias| &bias[5 * units..]);
        match of_h {
            Some(bias) => candidate[..units].copy_from_slice(bias),
            None => candidate[..units].fill(0.0),
        }
    }
}

impl fmt::Debug for QuantizedKernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "QuantizedKernel({} -> {}, {:?}, {:?})", self.input_size, self.units, self.format, self.sets)
    }
}
