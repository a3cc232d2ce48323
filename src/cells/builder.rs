//! One builder for the built-in cells and their layers: every option under Keras's name, every error from `build`.
//!
//! It makes any weights that a cell lists, and takes any options that a cell has: their setters stand in the cell's
//! file.

use ndarray::{ArrayD, Axis, IxDyn, Slice};

use super::built_in::{BuiltInCell, CellOptions, CellParts, WeightSpec};
use super::described::Told;
use super::weights::{BIAS, KERNEL, RECURRENT_KERNEL};
use super::{CellDropout, Weights};
use crate::activation::Activation;
use crate::error::{Error, Result};
use crate::float::Float;
use crate::initializers::Initializer;
use crate::memory;
use crate::random::SeedSource;

/// What a builder has been told of a cell.
#[doc(hidden)]
#[derive(Debug, Clone)]
pub struct Recipe<O> {
    pub(super) input_size: usize,
    pub(super) units: usize,
    pub(super) activation: Activation,
    pub(super) use_bias: bool,
    pub(super) kernel_initializer: Initializer,
    /// Orthogonal, unless a cell says otherwise.
    pub(super) recurrent_initializer: Option<Initializer>,
    pub(super) bias_initializer: Initializer,
    pub(super) dropout: f64,
    pub(super) recurrent_dropout: f64,
    pub(super) seed: Option<i64>,
    pub(super) options: O,
}

impl<O: CellOptions> Recipe<O> {
    /// `kernel`, the columns of so many gates side by side.
    pub(super) fn kernel(&self, gates: usize) -> WeightSpec {
        let shape = [self.input_size, gates.saturating_mul(self.units)];
        WeightSpec::new("kernel", &shape, &self.kernel_initializer)
    }

    /// `recurrent_kernel`, over a hidden state of `width` values.
    pub(super) fn recurrent_kernel(&self, width: usize, gates: usize) -> WeightSpec {
        let shape = [width, gates.saturating_mul(self.units)];
        let orthogonal = Initializer::Orthogonal { gain: 1.0, seed: None };
        WeightSpec::new("recurrent_kernel", &shape, self.recurrent_initializer.as_ref().unwrap_or(&orthogonal))
    }

    /// `bias`, which `use_bias` leaves out.
    pub(super) fn bias(&self, shape: &[usize]) -> WeightSpec {
        WeightSpec::new("bias", shape, &self.bias_initializer).only_if(self.use_bias)
    }
}

/// The options of Keras's `RNN` itself: the same for every cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct RecurrentOptions {
    pub(crate) return_sequences: bool,
    pub(crate) return_state: bool,
    pub(crate) go_backwards: bool,
    pub(crate) zero_output_for_mask: bool,
    /// Keras's `unroll`, as far as it changes numbers: it is read from files alone.
    pub(crate) unroll: bool,
}

/// Takes a layer's options under Keras's names and makes the layer:
/// `Lstm::builder(3, 4).return_sequences(true).build()?`.
///
/// Defaults are Keras's: `activation` tanh, `recurrent_activation` sigmoid, `kernel_initializer` glorot_uniform,
/// `recurrent_initializer` orthogonal, `bias_initializer` zeros, `unit_forget_bias` and `reset_after` true.
#[derive(Debug)]
#[must_use = "a builder makes nothing until `build`"]
pub struct Builder<'s, C: BuiltInCell> {
    pub(super) recipe: Recipe<C::Options>,
    run: RecurrentOptions,
    seeds: Option<&'s mut SeedSource>,
}

impl<C: BuiltInCell> Builder<'static, C> {
    pub(crate) fn new(input_size: usize, units: usize) -> Self {
        Builder {
            recipe: Recipe {
                input_size,
                units,
                activation: Activation::Tanh,
                use_bias: true,
                kernel_initializer: Initializer::GlorotUniform { seed: None },
                recurrent_initializer: None,
                bias_initializer: Initializer::Zeros,
                dropout: 0.0,
                recurrent_dropout: 0.0,
                seed: None,
                options: C::Options::default(),
            },
            run: RecurrentOptions::default(),
            seeds: None,
        }
    }
}

impl<'s, C: BuiltInCell> Builder<'s, C> {
    /// The activation of the candidate and the output; `Activation::Linear` is Keras's `None`.
    pub fn activation(mut self, activation: Activation) -> Self {
        self.recipe.activation = activation;
        self
    }

    /// Whether the layer has a bias.
    pub fn use_bias(mut self, yes: bool) -> Self {
        self.recipe.use_bias = yes;
        self
    }

    /// How `kernel`, (input_size, gates * units), is filled.
    pub fn kernel_initializer(mut self, initializer: Initializer) -> Self {
        self.recipe.kernel_initializer = initializer;
        self
    }

    /// How `recurrent_kernel`, (units, gates * units), is filled.
    pub fn recurrent_initializer(mut self, initializer: Initializer) -> Self {
        self.recipe.recurrent_initializer = Some(initializer);
        self
    }

    /// How `bias` is filled.
    pub fn bias_initializer(mut self, initializer: Initializer) -> Self {
        self.recipe.bias_initializer = initializer;
        self
    }

    /// The fraction of the input's units to drop in training. As in Keras, values outside 0..=1 are brought to the
    /// nearer end.
    pub fn dropout(mut self, rate: f64) -> Self {
        self.recipe.dropout = rate;
        self
    }

    /// The fraction of the hidden state's units to drop in training. As in Keras, values outside 0..=1 are brought to
    /// the nearer end.
    pub fn recurrent_dropout(mut self, rate: f64) -> Self {
        self.recipe.recurrent_dropout = rate;
        self
    }

    /// The seed of the dropout masks; unset, it is drawn.
    pub fn seed(mut self, seed: i64) -> Self {
        self.recipe.seed = Some(seed);
        self
    }

    /// Whether to return the outputs of all steps.
    pub fn return_sequences(mut self, yes: bool) -> Self {
        self.run.return_sequences = yes;
        self
    }

    /// Whether to return the state after the last step.
    pub fn return_state(mut self, yes: bool) -> Self {
        self.run.return_state = yes;
        self
    }

    /// Whether to take the steps from the last to the first; outputs are returned in the order of processing.
    pub fn go_backwards(mut self, yes: bool) -> Self {
        self.run.go_backwards = yes;
        self
    }

    /// Whether masked steps output zeros instead of the previous output.
    pub fn zero_output_for_mask(mut self, yes: bool) -> Self {
        self.run.zero_output_for_mask = yes;
        self
    }

    /// Where seeds that aren't set come from: Keras's, in Keras's order. Without a source they are random.
    pub fn seeds(self, seeds: &mut SeedSource) -> Builder<'_, C> {
        Builder { seeds: Some(seeds), ..self }
    }

    /// Makes the cell alone, for a [`StackedCells`](crate::StackedCells). The options of the run (`return_sequences`,
    /// `return_state`, `go_backwards`, `zero_output_for_mask`) are the layer's, not the cell's: one that was set is an
    /// error.
    ///
    /// # Errors
    /// Those of [`build`](Builder::build), and [`Error::CellOption`].
    pub fn build_cell(mut self) -> Result<C> {
        if self.run != RecurrentOptions::default() {
            return Err(Error::CellOption);
        }
        self.make_cell()
    }

    /// Makes a cell with these options; the builder can make another one, whose weights are drawn again.
    pub(crate) fn make_cell(&mut self) -> Result<C> {
        let specs = self.check()?;
        let (specs, dropout_seed) = self.draw_seeds(specs)?;
        let weight = |spec: &WeightSpec| Ok(Some((spec.name, fill(spec)?)));
        let weights = specs.iter().map(|spec| if spec.exists { weight(spec) } else { Ok(None) });
        let weights = Weights::new(weights.collect::<Result<Vec<_>>>()?);
        Ok(self.assemble(&specs, dropout_seed, weights))
    }

    /// A cell with zeros for weights, which are to follow: initializers stay as they are, without a seed if they have
    /// none, and the seed of dropout is drawn only if anything is dropped.
    #[cfg(any(feature = "keras", feature = "onnx"))]
    pub(crate) fn make_cell_of_zeros(&mut self) -> Result<C> {
        let specs = self.check()?;
        let drops = self.recipe.dropout > 0.0 || self.recipe.recurrent_dropout > 0.0;
        let seed = if drops { self.draw_dropout_seed()? } else { self.recipe.seed.unwrap_or(0) };
        let zeros = |spec: &WeightSpec| ArrayD::<C::Elem>::zeros(IxDyn(&spec.shape));
        let weight = |spec: &WeightSpec| spec.exists.then(|| (spec.name, zeros(spec)));
        let weights = Weights::new(specs.iter().map(weight).collect::<Vec<_>>());
        Ok(self.assemble(&specs, seed, weights))
    }

    /// A cell of checked options. `specs` are those of the weights, with the seeds that were drawn.
    pub(super) fn assemble(&self, specs: &[WeightSpec], seed: i64, weights: Weights<C::Elem>) -> C {
        let Recipe { input_size, units, mut options, activation, dropout, recurrent_dropout, .. } = self.recipe.clone();
        let initializer = |place: usize| specs[place].initializer.clone();
        let told = Told {
            kernel_initializer: initializer(KERNEL),
            recurrent_initializer: initializer(RECURRENT_KERNEL),
            bias_initializer: initializer(BIAS),
            dropout,
            recurrent_dropout,
            seed,
        };
        specs.iter().for_each(|spec| options.keep_initializer(spec.name, &spec.initializer));
        let spec = C::spec(input_size, units, &options);
        let dropout = self.cell_dropout(spec.state.first_width(), seed);
        C::assemble(CellParts { spec, units, weights, activation, dropout, options, told })
    }

    /// Becomes the recipe of Keras's copies of a layer: uses up the seeds of the layer that is copied, and forgets what
    /// a copy forgets.
    pub(crate) fn copied(&mut self) -> Result<()> {
        self.draw_seeds(C::weights(&self.recipe))?;
        self.recipe.seed = self.recipe.seed.filter(|_| C::COPIES_SEED);
        Ok(())
    }

    pub(crate) fn has_seeds(&self) -> bool {
        self.seeds.is_some()
    }

    /// The seed source, for another builder meanwhile.
    pub(crate) fn lend_seeds(&mut self) -> Option<&mut SeedSource> {
        self.seeds.as_deref_mut()
    }

    pub(crate) fn run_options(&self) -> RecurrentOptions {
        self.run
    }

    /// The builder with an option of the cell's own.
    pub(super) fn with(mut self, set: impl FnOnce(&mut C::Options)) -> Self {
        set(&mut self.recipe.options);
        self
    }

    /// All that can be wrong before a number is drawn, and the weights.
    pub(super) fn check(&self) -> Result<Vec<WeightSpec>> {
        let Recipe { input_size, units, options, activation, dropout, recurrent_dropout, .. } = &self.recipe;
        let sizes = (*input_size, *units, C::gates(options));
        check_not_zero(*input_size, *units)?;
        options.check()?;
        let specs = C::weights(&self.recipe);
        let weights = specs.iter().filter(|spec| spec.exists).map(|spec| (spec.name, &spec.shape[..]));
        check_sizes::<C::Elem>(sizes, weights, C::packed_len(&self.recipe))?;
        check_activation(activation)?;
        options.recurrent_activation().map_or(Ok(()), check_activation)?;
        for (option, rate) in [("dropout", *dropout), ("recurrent_dropout", *recurrent_dropout)] {
            if rate.is_nan() {
                return Err(Error::DropoutRate { option, given: rate });
            }
        }
        Ok(specs)
    }

    /// The weights with the seeds of their initializers, drawn in Keras's order, and the dropout seed.
    fn draw_seeds(&mut self, mut specs: Vec<WeightSpec>) -> Result<(Vec<WeightSpec>, i64)> {
        let mut dropout = None;
        if C::DROPOUT_SEED_FIRST {
            dropout = Some(self.draw_dropout_seed()?);
        }
        for spec in specs.iter_mut().filter(|spec| spec.drawn) {
            spec.initializer = with_seed(spec.initializer.clone(), &mut self.seeds)?;
        }
        let dropout = match dropout {
            Some(seed) => seed,
            None => self.draw_dropout_seed()?,
        };
        Ok((specs, dropout))
    }

    /// Keras takes this seed even if nothing is dropped.
    fn draw_dropout_seed(&mut self) -> Result<i64> {
        self.recipe.seed.map_or_else(|| next_seed(&mut self.seeds), Ok)
    }

    /// Keras's rules for how many masks there are: with a recurrent dropout each gate has masks of its own, and gates
    /// ignore a rate of exactly 1, which a SimpleRNN doesn't. `units` are those of the hidden state.
    fn cell_dropout(&self, units: usize, seed: i64) -> Vec<CellDropout> {
        let Recipe { input_size, dropout, recurrent_dropout, options, .. } = &self.recipe;
        let (rate, recurrent_rate) = (dropout.clamp(0.0, 1.0), recurrent_dropout.clamp(0.0, 1.0));
        let gates = C::gates(options);
        let drops = |rate: f64| rate > 0.0 && !(gates > 1 && rate == 1.0);
        let masks = match (drops(rate), recurrent_rate != 0.0) {
            (false, _) => 0,
            (true, false) => 1,
            (true, true) => gates,
        };
        let recurrent_masks = if drops(recurrent_rate) { gates } else { 0 };
        if masks + recurrent_masks == 0 {
            return Vec::new();
        }
        let masks_of = CellDropout::new(*input_size, units).rate(rate, masks);
        vec![masks_of.recurrent_rate(recurrent_rate, recurrent_masks).seed(seed)]
    }
}

/// The values of a weight. With `unit_forget_bias` Keras calls the initializer twice, for the elements before and
/// behind the ones; a seeded one then starts over.
fn fill<T: Float>(spec: &WeightSpec) -> Result<ArrayD<T>> {
    let Some(ones) = &spec.ones else { return spec.initializer.initialize(&spec.shape) };
    let mut weight = ArrayD::ones(IxDyn(&spec.shape));
    let behind = spec.shape[0] - ones.end;
    let (first, last) = (Slice::from(..ones.start), Slice::from(ones.end..));
    weight.slice_axis_mut(Axis(0), first).assign(&spec.initializer.initialize(&[ones.start])?);
    weight.slice_axis_mut(Axis(0), last).assign(&spec.initializer.initialize(&[behind])?);
    Ok(weight)
}

/// An initializer that needs a seed gets one.
pub(crate) fn with_seed(initializer: Initializer, seeds: &mut Option<&mut SeedSource>) -> Result<Initializer> {
    if initializer.needs_seed() { Ok(initializer.with_seed(next_seed(seeds)?)) } else { Ok(initializer) }
}

/// The source's next seed, or a random one.
fn next_seed(seeds: &mut Option<&mut SeedSource>) -> Result<i64> {
    match seeds {
        Some(source) => Ok(source.next_seed()),
        None => Ok(SeedSource::random()?.next_seed()),
    }
}

/// Checks that an activation is sound and keeps the width.
pub(crate) fn check_activation(activation: &Activation) -> Result<()> {
    activation.validate()?;
    if activation.changes_width() {
        return Err(Error::ActivationWidth { activation: activation.to_string() });
    }
    Ok(())
}

/// Checks that a layer has units and features.
pub(crate) fn check_not_zero(input_size: usize, units: usize) -> Result<()> {
    for (what, size) in [("units", units), ("input_size", input_size)] {
        if size == 0 {
            return Err(Error::ZeroSize { what });
        }
    }
    Ok(())
}

/// Checks that weights of these names and shapes, and their packed form, can be addressed, and that there is memory for
/// them.
pub(crate) fn check_sizes<'w, T: Float>(
    (input_size, units, gates): (usize, usize, usize),
    weights: impl IntoIterator<Item = (&'static str, &'w [usize])>,
    packed: Option<usize>,
) -> Result<()> {
    check_not_zero(input_size, units)?;
    let addressable =
        |elements: &usize| elements.checked_mul(size_of::<T>()).is_some_and(|bytes| isize::try_from(bytes).is_ok());
    let overflow = |what, rows: usize| Error::SizeOverflow { what, rows, units, gates };
    let (mut elements, mut largest) = (packed, None::<(usize, &'static str, usize)>);
    for (what, shape) in weights {
        let rows = shape[0];
        let own = memory::product(shape).filter(addressable).ok_or_else(|| overflow(what, rows))?;
        elements = elements.and_then(|elements| elements.checked_add(own));
        // If only the sum is too large, the largest weight is named.
        if largest.is_none_or(|(most, ..)| own >= most) {
            largest = Some((own, what, rows));
        }
    }
    if let (None, Some((_, what, rows))) = (elements.filter(addressable), largest) {
        return Err(overflow(what, rows));
    }
    // Twice: while a weight is drawn there is a second copy of it.
    let bytes = elements.unwrap_or(usize::MAX).saturating_mul(2 * size_of::<T>());
    Vec::<u8>::new().try_reserve_exact(bytes).map_err(|_| Error::OutOfMemory { bytes })
}
