//! The LSTM cell (Hochreiter and Schmidhuber 1997, with the forget gate of Gers, Schmidhuber and Cummins 2000).

use std::fmt;

use super::builder::{Builder, Recipe, check_activation};
use super::built_in::{BuiltInCell, CellOptions, CellParts, CellSpec, WeightSpec, cell_methods, debug_cell};
use super::by_kernel::{ByKernel, KernelOrRows};
use super::fused::ByRow;
use super::gates::{Gates, GatesBackward, add_scaled, apply, dot, parts, through_activation};
use super::{Cell, FusedCell, Step, StepBackward};
use crate::activation::Activation;
use crate::config::{Config, ConfigError, Options, activations};
use crate::error::{Error, Result};
use crate::float::Float;
use crate::gradients::WeightGradients;
use crate::initializers::Initializer;
use crate::kernels::LstmKernel;
use crate::kernels::activate::activate_backward;
use crate::kernels::backward::Form;
use crate::kernels::isa::Isa;
use crate::state::StateLayout;
use crate::structure::StructureVisitor;

/// One step of an LSTM. Its state is `h`, `c`; the gates stand in Keras's order i, f, g, o (g is Keras's c).
///
/// ```text
/// i  = recurrent_activation(x Ki + h Ri + bi)       input gate
/// f  = recurrent_activation(x Kf + h Rf + bf)       forget gate
/// g  = activation(x Kg + h Rg + bg)                 candidate
/// o  = recurrent_activation(x Ko + h Ro + bo)       output gate
/// c' = f c + i g
/// h' = o activation(c')
/// ```
///
/// Weights: `kernel` (input_size, 4 units), `recurrent_kernel` (units, 4 units), `bias` (4 units). As a layer it is
/// [`Lstm`](crate::Lstm), Keras's `LSTM`, with its defaults:
///
/// ```
/// use ndarray::prelude::*;
/// use recurrent::{Initializer, Layer, Lstm};
/// let lstm = Lstm::<f32>::builder(1, 1)
///     .kernel_initializer(Initializer::Ones)
///     .recurrent_initializer(Initializer::Zeros)
///     .activation("linear".parse()?)
///     .build()?;
/// let h = lstm.forward(&Array3::ones((1, 4, 1)))?.into_last();
/// assert!((h[[0, 0]] - 1.7850124).abs() < 1e-6); // what Keras prints
/// # Ok::<(), recurrent::Error>(())
/// ```
///
/// Options that Keras doesn't have, in any combination; a cell with one of them runs by the equations, without a kernel:
///
/// ```text
/// peephole          each gate's sum gets a term:  i: + c Pi,  f: + c Pf,  o: + c' Po      (Gers and Schmidhuber 2000)
/// output_activation h' = o output_activation(c'), another one than the candidate's                   (ONNX's third)
/// input_forget      f  = 1 - i, and no weight has columns of f                            (Greff et al. 2017)
/// clip(b)           each sum is brought to the nearer end of [-b, b] before its activation (ONNX's clip)
/// projection_units  h' = (o activation(c')) Q                                             (Sak et al. 2014)
/// ```
///
/// Their weights stand behind the others: `peephole_kernel` (3 units), i, f, o, or with `input_forget` (2 units), i,
/// o; `projection_kernel` (units, projection_units). With a projection the recurrent kernel is (projection_units, 4
/// units).
///
/// ```
/// use ndarray::prelude::*;
/// use recurrent::{Layer, Lstm};
/// let lstm = Lstm::<f32>::builder(3, 8).peephole(true).input_forget(true).clip(3.0).projection_units(4).build()?;
/// let output = lstm.forward(&Array3::ones((2, 5, 3)))?;
/// assert_eq!(output.last().dim(), (2, 4));
/// assert_eq!(lstm.weight("peephole_kernel")?.shape(), [16]);
/// # Ok::<(), recurrent::Error>(())
/// ```
#[derive(Clone)]
pub struct LstmCell<T: Float = f32> {
    parts: CellParts<T, LstmOptions>,
    /// The weights again, in the order in which a step reads them; none with options that the kernel doesn't have.
    kernel: Option<LstmKernel<T>>,
}

/// What only an LSTM's builder has.
#[doc(hidden)]
#[derive(Clone)]
pub struct LstmOptions {
    recurrent_activation: Activation,
    output_activation: Option<Activation>,
    unit_forget_bias: bool,
    peephole: bool,
    peephole_initializer: Initializer,
    input_forget: bool,
    clip: Option<f64>,
    projection_units: Option<usize>,
    projection_initializer: Initializer,
}

impl Default for LstmOptions {
    fn default() -> Self {
        LstmOptions {
            recurrent_activation: Activation::Sigmoid,
            output_activation: None,
            unit_forget_bias: true,
            peephole: false,
            peephole_initializer: Initializer::GlorotUniform { seed: None },
            input_forget: false,
            clip: None,
            projection_units: None,
            projection_initializer: Initializer::GlorotUniform { seed: None },
        }
    }
}

impl fmt::Debug for LstmOptions {
    /// Of those that Keras doesn't have, what is set.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("LstmOptions");
        shown.field("recurrent_activation", &self.recurrent_activation);
        for (name, set) in [("peephole", self.peephole), ("input_forget", self.input_forget)] {
            if set {
                shown.field(name, &set);
            }
        }
        if let Some(activation) = &self.output_activation {
            shown.field("output_activation", activation);
        }
        if let Some(clip) = self.clip {
            shown.field("clip", &clip);
        }
        if let Some(units) = self.projection_units {
            shown.field("projection_units", &units);
        }
        shown.finish_non_exhaustive()
    }
}

impl LstmOptions {
    /// Whether there is none that the kernel doesn't have.
    fn is_plain(&self) -> bool {
        let LstmOptions { peephole, input_forget, clip, projection_units, output_activation, .. } = self;
        let told = *peephole || *input_forget || output_activation.is_some();
        !told && clip.is_none() && projection_units.is_none()
    }

    /// The place of a gate's columns: with `input_forget` there are none of f.
    fn columns(&self, gate: usize) -> Option<usize> {
        match (self.input_forget, gate) {
            (true, F) => None,
            (true, G | O) => Some(gate - 1),
            _ => Some(gate),
        }
    }

    /// The place of a gate's peephole: the candidate has none.
    fn peephole_place(&self, gate: usize) -> Option<usize> {
        let before = usize::from(gate > G);
        self.columns(gate).filter(|_| gate != G).map(|place| place - before)
    }
}

impl CellOptions for LstmOptions {
    fn recurrent_activation(&self) -> Option<&Activation> {
        Some(&self.recurrent_activation)
    }

    fn output_activation(&self) -> Option<&Activation> {
        self.output_activation.as_ref()
    }

    fn check(&self) -> Result<()> {
        self.output_activation.as_ref().map_or(Ok(()), check_activation)?;
        if self.projection_units == Some(0) {
            return Err(Error::ZeroSize { what: "projection_units" });
        }
        match self.clip {
            Some(given) if given.is_nan() || given <= 0.0 => {
                Err(Error::OptionNumber { option: "clip", expected: "above zero", given })
            }
            _ => Ok(()),
        }
    }

    fn visit_structure(&self, visitor: &mut StructureVisitor<'_>) {
        if let Some(activation) = &self.output_activation {
            visitor.value("output_activation", activation);
        }
        visitor.value("peephole", self.peephole);
        visitor.value("input_forget", self.input_forget);
        visitor.value("clip", self.clip);
        visitor.value("projection_units", self.projection_units);
    }

    fn describe(&self) -> Result<Config, ConfigError> {
        Ok(Config::new("")
            .with("recurrent_activation", activations::describe(&self.recurrent_activation)?)
            .with_if("output_activation", self.output_activation.as_ref().map(activations::describe).transpose()?)
            .with("unit_forget_bias", self.unit_forget_bias)
            .with("peephole", self.peephole)
            .with("peephole_initializer", self.peephole_initializer.describe()?)
            .with("input_forget", self.input_forget)
            .with("clip", self.clip)
            .with("projection_units", self.projection_units)
            .with("projection_initializer", self.projection_initializer.describe()?))
    }

    fn read(options: &Options<'_>) -> Result<Self, ConfigError> {
        let initializer = |name| Initializer::read(&options.need(name, "an initializer")?);
        let clip = options.need("clip", "a number or null")?.given();
        let projection_units = options.need("projection_units", "a whole number above 0 or null")?.given();
        Ok(LstmOptions {
            recurrent_activation: activations::read(&options.need("recurrent_activation", "an activation")?)?,
            output_activation: options.said("output_activation").as_ref().map(activations::read).transpose()?,
            unit_forget_bias: options.flag("unit_forget_bias")?,
            peephole: options.flag("peephole")?,
            peephole_initializer: initializer("peephole_initializer")?,
            input_forget: options.flag("input_forget")?,
            clip: clip.map(|clip| clip.number()).transpose()?,
            projection_units: projection_units.map(|units| units.size()).transpose()?,
            projection_initializer: initializer("projection_initializer")?,
        })
    }

    fn keep_initializer(&mut self, weight: &str, drawn: &Initializer) {
        match weight {
            "peephole_kernel" => self.peephole_initializer = drawn.clone(),
            "projection_kernel" => self.projection_initializer = drawn.clone(),
            _ => {}
        }
    }
}

impl<T: Float> Builder<'_, LstmCell<T>> {
    /// The activation of the gates.
    pub fn recurrent_activation(self, activation: Activation) -> Self {
        self.with(|options| options.recurrent_activation = activation)
    }

    /// The activation of c on its way out, if it isn't that of the candidate: the third of ONNX's.
    pub fn output_activation(self, activation: Activation) -> Self {
        self.with(|options| options.output_activation = Some(activation))
    }

    /// Whether the forget gate's bias starts at one (Jozefowicz et al. 2015). The other gates' bias is what the bias
    /// initializer says, as Keras does it (and not zeros, as Keras documents it). With `input_forget` there is none.
    pub fn unit_forget_bias(self, yes: bool) -> Self {
        self.with(|options| options.unit_forget_bias = yes)
    }

    /// Whether the gates see the cell state: i and f the old one, o the new one, unit by unit. ONNX's input `P`.
    pub fn peephole(self, yes: bool) -> Self {
        self.with(|options| options.peephole = yes)
    }

    /// How `peephole_kernel` is filled, if there is one: by default `glorot_uniform`.
    pub fn peephole_initializer(self, initializer: Initializer) -> Self {
        self.with(|options| options.peephole_initializer = initializer)
    }

    /// Whether the forget gate is what the input gate leaves, `f = 1 - i`: ONNX's attribute of this name.
    pub fn input_forget(self, yes: bool) -> Self {
        self.with(|options| options.input_forget = yes)
    }

    /// The bound of what goes into the activations of the gates and the candidate: ONNX's attribute of this name. What
    /// goes into the activation of c is not bounded, as in ONNX Runtime. Beyond the bound the gradient is zero.
    pub fn clip(self, bound: f64) -> Self {
        self.with(|options| options.clip = Some(bound))
    }

    /// The width of h, which is then a product with `projection_kernel`: PyTorch's `proj_size`. c keeps `units`.
    pub fn projection_units(self, units: usize) -> Self {
        self.with(|options| options.projection_units = Some(units))
    }

    /// How `projection_kernel` is filled, if there is one: by default `glorot_uniform`.
    pub fn projection_initializer(self, initializer: Initializer) -> Self {
        self.with(|options| options.projection_initializer = initializer)
    }
}

const I: usize = 0;
const F: usize = 1;
const G: usize = 2;
const O: usize = 3;

/// The places of the weights behind the bias.
const PEEPHOLE_KERNEL: usize = 3;
const PROJECTION_KERNEL: usize = 4;

impl<T: Float> BuiltInCell for LstmCell<T> {
    type Options = LstmOptions;

    fn gates(options: &LstmOptions) -> usize {
        if options.input_forget { 3 } else { 4 }
    }

    fn spec(input_size: usize, units: usize, options: &LstmOptions) -> CellSpec {
        let state = StateLayout::new([("h", options.projection_units.unwrap_or(units)), ("c", units)]);
        CellSpec { input_size, state, scratch: 5 * units, tape: 4 * units, backward_scratch: 9 * units }
    }

    fn weights(recipe: &Recipe<LstmOptions>) -> Vec<WeightSpec> {
        let Recipe { units, options, .. } = recipe;
        let (gates, width) = (Self::gates(options), options.projection_units.unwrap_or(*units));
        let of_gates = |gates: usize| units.saturating_mul(gates);
        let forget = (options.unit_forget_bias && !options.input_forget).then(|| *units..of_gates(2));
        let peephole = WeightSpec::new("peephole_kernel", &[of_gates(gates - 1)], &options.peephole_initializer);
        let projection = WeightSpec::new("projection_kernel", &[*units, width], &options.projection_initializer);
        vec![
            recipe.kernel(gates),
            recipe.recurrent_kernel(width, gates),
            recipe.bias(&[of_gates(gates)]).ones(forget),
            peephole.only_with(options.peephole),
            projection.only_with(options.projection_units.is_some()),
        ]
    }

    fn forward(&self, step: Step<'_, T>) {
        let CellParts { spec, units, weights, options, .. } = &self.parts;
        let (units, activation) = (*units, self.output_activation());
        let width = step.prev.len() - units;
        let (h, c) = step.prev.split_at(width);
        let (h_next, c_next) = step.next.split_at_mut(width);
        let gates = Gates::new(weights, units, step.x, h, step.dropout);
        let (values, rest) = match step.tape {
            Some(tape) => (tape, step.scratch),
            None => step.scratch.split_at_mut(spec.tape),
        };
        let [i, f, g, o] = parts(values, units);
        self.gate(&gates, I, c, i);
        if options.input_forget {
            f.iter_mut().zip(&*i).for_each(|(f, &i)| *f = T::one() - i);
        } else {
            self.gate(&gates, F, c, f);
        }
        self.gate(&gates, G, c, g);
        for unit in 0..units {
            c_next[unit] = f[unit] * c[unit] + i[unit] * g[unit];
        }
        self.gate(&gates, O, c_next, o);
        let Some(projection) = weights.get(PROJECTION_KERNEL) else {
            h_next.copy_from_slice(c_next);
            apply(activation, h_next);
            return h_next.iter_mut().zip(o).for_each(|(h, &mut o)| *h *= o);
        };
        let t = &mut rest[..units];
        t.copy_from_slice(c_next);
        apply(activation, t);
        h_next.fill(T::zero());
        for (unit, row) in projection.chunks_exact(width).enumerate() {
            add_scaled(h_next, o[unit] * t[unit], row);
        }
    }

    /// ```text
    /// t  = activation(c')
    /// do = dh' t,   dc' += activation'(c') o dh'
    /// di = dc' g,   df = dc' c,   dg = dc' i,   dc = dc' f
    /// ```
    /// then for each gate, with `dz` the gradient of its preactivation: `dh += dz R^T`, `dx += dz K^T`, `dK += x dz`,
    /// `dR += h dz`, `db += dz`. The tape holds i, f, g, o. With options:
    ///
    /// ```text
    /// peephole          dc' += dzo Po,  dPo += dzo c',  dc += dzi Pi + dzf Pf,  dPi += dzi c,  dPf += dzf c
    /// input_forget      di = dc' (g - c)
    /// clip              dz = 0 beyond the bound
    /// projection_units  dQ += (o t) dh',  and dh' becomes dh' Q^T
    /// ```
    fn backward(&self, step: StepBackward<'_, T>, gradients: &mut WeightGradients<'_, T>) {
        let CellParts { units, weights, options, .. } = &self.parts;
        let (units, activation) = (*units, self.output_activation());
        let width = step.prev.len() - units;
        let (h, c) = step.prev.split_at(width);
        let (mut d_h_next, d_c_next) = step.d_next.split_at(width);
        let c_next = &step.next[width..];
        let value = |gate: usize| &step.tape[gate * units..][..units];
        let (d_h, d_c) = step.d_prev.split_at_mut(width);
        let [t, dc_next, di, df, dg, d_o, projected, buffer, inside] = parts(step.scratch, units);
        let gates = Gates::new(weights, units, step.x, h, step.dropout);
        let mut through = |gate, c: &[T], d: &mut [T]| self.through(&gates, gate, c, value(gate), d, [buffer, inside]);

        t.copy_from_slice(c_next);
        apply(activation, t);
        if let (Some(kernel), Some(place)) = (weights.get(PROJECTION_KERNEL), weights.gradient(PROJECTION_KERNEL)) {
            let gradient = gradients.slice(place).chunks_exact_mut(width);
            for (unit, (row, gradient)) in kernel.chunks_exact(width).zip(gradient).enumerate() {
                projected[unit] = dot(row, d_h_next);
                add_scaled(gradient, value(O)[unit] * t[unit], d_h_next);
            }
            d_h_next = projected;
        }
        for unit in 0..units {
            dc_next[unit] = d_h_next[unit] * value(O)[unit];
            d_o[unit] = d_h_next[unit] * t[unit];
        }
        activate_backward(Isa::detect(), activation, c_next, t, dc_next);
        through(O, c_next, d_o);
        self.peephole_backward(O, c_next, d_o, dc_next, gradients);
        for unit in 0..units {
            dc_next[unit] += d_c_next[unit];
            let candidate = value(G)[unit];
            di[unit] = dc_next[unit] * if options.input_forget { candidate - c[unit] } else { candidate };
            df[unit] = dc_next[unit] * c[unit];
            dg[unit] = dc_next[unit] * value(I)[unit];
            d_c[unit] = dc_next[unit] * value(F)[unit];
        }
        for (gate, d) in [(I, &mut *di), (F, &mut *df)] {
            if options.columns(gate).is_some() {
                through(gate, c, d);
                self.peephole_backward(gate, c, d, d_c, gradients);
            }
        }
        through(G, c, dg);

        step.d_x.fill(T::zero());
        d_h.fill(T::zero());
        let mut gates = GatesBackward::new(gates, step.d_x, d_h, gradients);
        for (gate, dz) in [(I, di), (F, df), (G, dg), (O, d_o)] {
            if let Some(columns) = options.columns(gate) {
                gates.products(columns, dz);
            }
        }
    }

    fn packed_len(recipe: &Recipe<LstmOptions>) -> Option<usize> {
        let plain = recipe.options.is_plain();
        if plain { LstmKernel::<T>::packed_len(recipe.input_size, recipe.units) } else { Some(0) }
    }

    fn quantized_form(options: &LstmOptions) -> Result<Form, &'static str> {
        match options {
            LstmOptions { peephole: true, .. } => Err("an LSTM with peephole has no quantized form"),
            LstmOptions { input_forget: true, .. } => Err("an LSTM with input_forget has no quantized form"),
            LstmOptions { clip: Some(_), .. } => Err("an LSTM with clip has no quantized form"),
            LstmOptions { projection_units: Some(_), .. } => Err("an LSTM with projection_units has no quantized form"),
            LstmOptions { output_activation: Some(_), .. } => {
                Err("an LSTM with output_activation has no quantized form")
            }
            _ => Ok(Form::Lstm),
        }
    }

    fn assemble(parts: CellParts<T, LstmOptions>) -> Self {
        let kernel = parts.options.is_plain().then(|| LstmKernel::new(parts.spec.input_size, parts.units));
        debug_assert!(kernel.as_ref().is_none_or(|kernel| kernel.tape_len() == parts.spec.tape));
        let mut cell = LstmCell { parts, kernel };
        cell.pack();
        cell
    }

    fn pack(&mut self) {
        if let Some(packed) = &mut self.kernel {
            let (kernel, recurrent_kernel, bias) = self.parts.weights.three();
            packed.pack(kernel, recurrent_kernel, bias);
        }
    }

    fn parts(&self) -> &CellParts<T, LstmOptions> {
        &self.parts
    }
}

impl<T: Float> LstmCell<T> {
    /// That of c on its way out.
    fn output_activation(&self) -> &Activation {
        self.parts.options.output_activation.as_ref().unwrap_or(&self.parts.activation)
    }

    fn activation(&self, gate: usize) -> &Activation {
        if gate == G { &self.parts.activation } else { &self.parts.options.recurrent_activation }
    }

    /// A gate's peepholes, if it has any.
    fn peephole(&self, gate: usize) -> Option<(usize, &[T])> {
        let CellParts { weights, units, options, .. } = &self.parts;
        let start = options.peephole_place(gate)? * units;
        Some((start, &weights.get(PEEPHOLE_KERNEL)?[start..][..*units]))
    }

    /// The preactivation of a gate that looks at `c`, before the clip.
    fn preactivation(&self, gates: &Gates<'_, T>, gate: usize, c: &[T], z: &mut [T]) {
        if let Some(columns) = self.parts.options.columns(gate) {
            gates.preactivation(columns, z);
        }
        if let Some((_, peephole)) = self.peephole(gate) {
            z.iter_mut().zip(peephole.iter().zip(c)).for_each(|(z, (&p, &c))| *z += p * c);
        }
    }

    /// The value of a gate that looks at `c`.
    fn gate(&self, gates: &Gates<'_, T>, gate: usize, c: &[T], y: &mut [T]) {
        self.preactivation(gates, gate, c, y);
        if let Some(clip) = self.parts.options.clip.map(T::from_f64) {
            y.iter_mut().for_each(|z| *z = bound(*z, clip));
        }
        apply(self.activation(gate), y);
    }

    /// The gradient of a gate's value, `d`, becomes that of its preactivation.
    fn through(
        &self,
        gates: &Gates<'_, T>,
        gate: usize,
        c: &[T],
        y: &[T],
        d: &mut [T],
        [buffer, inside]: [&mut [T]; 2],
    ) {
        let Some(clip) = self.parts.options.clip.map(T::from_f64) else {
            return through_activation(self.activation(gate), y, d, buffer, |z| self.preactivation(gates, gate, c, z));
        };
        self.preactivation(gates, gate, c, buffer);
        for (z, inside) in buffer.iter_mut().zip(&mut *inside) {
            let bounded = bound(*z, clip);
            *inside = if bounded == *z { T::one() } else { T::zero() };
            *z = bounded;
        }
        activate_backward(Isa::detect(), self.activation(gate), buffer, y, d);
        d.iter_mut().zip(inside).for_each(|(d, &mut inside)| *d *= inside);
    }

    /// Back through the peepholes of a gate that looks at `c`, whose gradient is added to.
    fn peephole_backward(&self, gate: usize, c: &[T], dz: &[T], d_c: &mut [T], gradients: &mut WeightGradients<'_, T>) {
        let place = self.parts.weights.gradient(PEEPHOLE_KERNEL);
        if let (Some((start, peephole)), Some(place)) = (self.peephole(gate), place) {
            let gradient = &mut gradients.slice(place)[start..];
            for (unit, &dz) in dz.iter().enumerate() {
                d_c[unit] += dz * peephole[unit];
                gradient[unit] += dz * c[unit];
            }
        }
    }

    #[inline(always)]
    fn by_kernel(&self) -> Option<ByKernel<'_, Self, LstmKernel<T>>> {
        let CellParts { weights, activation, options, .. } = &self.parts;
        let (form, recurrent_activation) = (Form::Lstm, &options.recurrent_activation);
        let kernel = self.kernel.as_ref()?;
        Some(ByKernel { cell: self, kernel, form, weights, activation, recurrent_activation })
    }
}

/// `z`, or the nearer end of [-clip, clip]; NaN stays.
fn bound<T: Float>(z: T, clip: T) -> T {
    if z > clip {
        clip
    } else if z < -clip {
        -clip
    } else {
        z
    }
}

impl<T: Float> Cell for LstmCell<T> {
    cell_methods!();

    fn step(&self, step: Step<'_, T>) {
        let mut own = Vec::new();
        if let Some(step) = step.fitted(self, self.parts.spec.state.width(), &mut own) {
            match self.by_kernel() {
                Some(kernel) => kernel.step(step),
                None => self.forward(step),
            }
        }
    }

    #[inline(always)]
    fn fused(&self) -> impl FusedCell<Elem = T> {
        match self.by_kernel() {
            Some(kernel) => KernelOrRows::Kernel(kernel),
            None => KernelOrRows::Rows(ByRow::infallible(self)),
        }
    }
}

debug_cell!(LstmCell);
