//! One builder for the built-in layers: every option under Keras's name, every error from `build`.

use ndarray::{Array2, ArrayD, Axis, IxDyn, Slice};

use super::recurrent::{Recurrent, RunOptions};
use crate::activation::Activation;
use crate::cells::CellDropout;
use crate::cells::weights::CellWeights;
use crate::error::{Error, Result};
use crate::float::Float;
use crate::initializers::Initializer;
use crate::random::SeedSource;
use crate::room;

pub(crate) mod sealed {
    use super::CellWeights;
    use crate::activation::Activation;
    use crate::cells::{Cell, CellDropout};

    /// What the builder asks of each kind of cell.
    pub trait Recipe: Cell + Sized {
        /// The options that only this kind has, with Keras's defaults.
        type Options: Clone + std::fmt::Debug + Default;

        /// The number of gates whose columns stand side by side in the kernels.
        #[doc(hidden)]
        const GATES: usize;

        /// Keras draws a SimpleRNN's dropout seed before its weights' seeds, the others' after.
        #[doc(hidden)]
        const DROPOUT_SEED_FIRST: bool;

        /// Keras's SimpleRNN forgets its `seed` when it is copied, as Bidirectional does; a copy draws one anew.
        #[doc(hidden)]
        const COPIES_SEED: bool;

        /// The bias's shape.
        #[doc(hidden)]
        fn bias_shape(units: usize, _options: &Self::Options) -> Vec<usize> {
            vec![Self::GATES * units]
        }

        /// The first units of the bias that start at one instead of what the initializer says: a range of columns.
        #[doc(hidden)]
        fn ones_in_bias(_units: usize, _options: &Self::Options) -> Option<std::ops::Range<usize>> {
            None
        }

        /// The elements of the packed weights, or `None` if they can't be addressed.
        #[doc(hidden)]
        fn packed_len(input_size: usize, units: usize, options: &Self::Options) -> Option<usize>;

        #[doc(hidden)]
        fn assemble(parts: Parts<Self>) -> Self;
    }

    /// What a cell is made of.
    #[doc(hidden)]
    #[allow(missing_debug_implementations)]
    pub struct Parts<C: Recipe> {
        pub(crate) weights: CellWeights<C::Elem>,
        pub(crate) activation: Activation,
        pub(crate) recurrent_activation: Activation,
        pub(crate) dropout: Vec<CellDropout>,
        pub(crate) options: C::Options,
    }
}

use sealed::{Parts, Recipe};

/// The built-in cells that a [`Builder`] makes. Sealed.
pub trait Kind: Recipe {}

impl<C: Recipe> Kind for C {}

/// Takes a layer's options under Keras's names and makes the layer: `Lstm::builder(3, 4).return_sequences(true).build()?`.
///
/// Defaults are Keras's: `activation` tanh, `recurrent_activation` sigmoid, `kernel_initializer` glorot_uniform,
/// `recurrent_initializer` orthogonal, `bias_initializer` zeros, `unit_forget_bias` and `reset_after` true.
#[derive(Debug)]
pub struct Builder<'s, C: Kind> {
    input_size: usize,
    units: usize,
    activation: Activation,
    recurrent_activation: Activation,
    use_bias: bool,
    kernel_initializer: Initializer,
    recurrent_initializer: Initializer,
    bias_initializer: Initializer,
    dropout: f64,
    recurrent_dropout: f64,
    seed: Option<i64>,
    run: RunOptions,
    options: C::Options,
    seeds: Option<&'s mut SeedSource>,
}

impl<C: Kind> Builder<'static, C> {
    pub(crate) fn new(input_size: usize, units: usize) -> Self {
        Builder {
            input_size,
            units,
            activation: Activation::Tanh,
            recurrent_activation: Activation::Sigmoid,
            use_bias: true,
            kernel_initializer: Initializer::GlorotUniform { seed: None },
            recurrent_initializer: Initializer::Orthogonal { gain: 1.0, seed: None },
            bias_initializer: Initializer::Zeros,
            dropout: 0.0,
            recurrent_dropout: 0.0,
            seed: None,
            run: RunOptions::default(),
            options: C::Options::default(),
            seeds: None,
        }
    }
}

impl<'s, C: Kind> Builder<'s, C> {
    /// The activation of the candidate and the output; `Activation::Linear` is Keras's `None`.
    pub fn activation(mut self, activation: Activation) -> Self {
        self.activation = activation;
        self
    }

    /// Whether the layer has a bias.
    pub fn use_bias(mut self, yes: bool) -> Self {
        self.use_bias = yes;
        self
    }

    /// How `kernel`, (input_size, gates * units), is filled.
    pub fn kernel_initializer(mut self, initializer: Initializer) -> Self {
        self.kernel_initializer = initializer;
        self
    }

    /// How `recurrent_kernel`, (units, gates * units), is filled.
    pub fn recurrent_initializer(mut self, initializer: Initializer) -> Self {
        self.recurrent_initializer = initializer;
        self
    }

    /// How `bias` is filled.
    pub fn bias_initializer(mut self, initializer: Initializer) -> Self {
        self.bias_initializer = initializer;
        self
    }

    /// The fraction of the input's units to drop in training. As in Keras, values outside 0..=1 are brought to the
    /// nearer end.
    pub fn dropout(mut self, rate: f64) -> Self {
        self.dropout = rate;
        self
    }

    /// The fraction of the hidden state's units to drop in training. As in Keras, values outside 0..=1 are brought to
    /// the nearer end.
    pub fn recurrent_dropout(mut self, rate: f64) -> Self {
        self.recurrent_dropout = rate;
        self
    }

    /// The seed of the dropout masks; unset, it is drawn.
    pub fn seed(mut self, seed: i64) -> Self {
        self.seed = Some(seed);
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

    /// Whether masked steps put out zeros instead of the previous output.
    pub fn zero_output_for_mask(mut self, yes: bool) -> Self {
        self.run.zero_output_for_mask = yes;
        self
    }

    /// Where seeds that aren't set come from: Keras's, in Keras's order. Without a source they are random.
    pub fn seeds(self, seeds: &mut SeedSource) -> Builder<'_, C> {
        Builder { seeds: Some(seeds), ..self }
    }

    /// Makes the layer.
    ///
    /// # Errors
    /// [`Error::ZeroSize`], [`Error::SizeOverflow`], [`Error::OutOfMemory`], [`Error::ActivationWidth`], an
    /// activation's or initializer's own error.
    pub fn build(mut self) -> Result<Recurrent<C>> {
        let run = self.run;
        Ok(Recurrent::with_options(self.make_cell()?, run))
    }

    /// Makes the cell alone, for a [`StackedCells`](crate::StackedCells). The options of the run (`return_sequences`,
    /// `return_state`, `go_backwards`, `zero_output_for_mask`) are the layer's, not the cell's: one that was set is an
    /// error.
    ///
    /// # Errors
    /// Those of [`build`](Builder::build), and [`Error::CellOption`].
    pub fn build_cell(mut self) -> Result<C> {
        if self.run != RunOptions::default() {
            return Err(Error::CellOption);
        }
        self.make_cell()
    }

    /// Makes a cell with these options; the builder can make another one, whose weights are drawn anew.
    pub(crate) fn make_cell(&mut self) -> Result<C> {
        self.check()?;
        let (units, columns) = (self.units, C::GATES * self.units);
        let drawn = self.draw_seeds()?;
        let kernel = drawn.kernel.initialize(&[self.input_size, columns])?;
        let recurrent_kernel = drawn.recurrent.initialize(&[units, columns])?;
        let bias = self.use_bias.then(|| self.fill_bias(&drawn.bias)).transpose()?;
        Ok(C::assemble(Parts {
            weights: CellWeights { kernel: matrix(kernel), recurrent_kernel: matrix(recurrent_kernel), bias },
            activation: self.activation.clone(),
            recurrent_activation: self.recurrent_activation.clone(),
            dropout: self.cell_dropout(drawn.dropout),
            options: self.options.clone(),
        }))
    }

    /// Becomes the recipe of Keras's copies of a layer: uses up the seeds of the layer that is copied, and forgets what
    /// a copy forgets.
    pub(crate) fn copied(&mut self) -> Result<()> {
        self.draw_seeds()?;
        self.seed = self.seed.filter(|_| C::COPIES_SEED);
        Ok(())
    }

    pub(crate) fn has_seeds(&self) -> bool {
        self.seeds.is_some()
    }

    /// The seed source, for another builder meanwhile.
    pub(crate) fn lend_seeds(&mut self) -> Option<&mut SeedSource> {
        self.seeds.as_deref_mut()
    }

    pub(crate) fn run_options(&mut self) -> &mut RunOptions {
        &mut self.run
    }

    pub(crate) fn options_mut(&mut self) -> &mut C::Options {
        &mut self.options
    }

    pub(crate) fn set_recurrent_activation(mut self, activation: Activation) -> Self {
        self.recurrent_activation = activation;
        self
    }

    /// All that can be wrong before a number is drawn.
    fn check(&self) -> Result<()> {
        let packed = C::packed_len(self.input_size, self.units, &self.options);
        let weights = [("kernel", self.input_size), ("recurrent_kernel", self.units)];
        check_sizes::<C::Elem>(self.input_size, self.units, C::GATES, &weights, packed)?;
        check_activation(&self.activation)?;
        check_activation(&self.recurrent_activation)?;
        for (option, rate) in [("dropout", self.dropout), ("recurrent_dropout", self.recurrent_dropout)] {
            if rate.is_nan() {
                return Err(Error::DropoutRate { option, given: rate });
            }
        }
        Ok(())
    }

    /// The initializers with their seeds, drawn in Keras's order, and the dropout seed.
    fn draw_seeds(&mut self) -> Result<Drawn> {
        let mut dropout = None;
        if C::DROPOUT_SEED_FIRST {
            dropout = Some(self.draw_dropout_seed()?);
        }
        let kernel = with_seed(self.kernel_initializer.clone(), &mut self.seeds)?;
        let recurrent = with_seed(self.recurrent_initializer.clone(), &mut self.seeds)?;
        let bias = with_seed(self.bias_initializer.clone(), &mut self.seeds)?;
        let dropout = match dropout {
            Some(seed) => seed,
            None => self.draw_dropout_seed()?,
        };
        Ok(Drawn { kernel, recurrent, bias, dropout })
    }

    /// Keras takes this seed even if nothing is dropped.
    fn draw_dropout_seed(&mut self) -> Result<i64> {
        self.seed.map_or_else(|| next_seed(&mut self.seeds), Ok)
    }

    /// With `unit_forget_bias` Keras calls the initializer twice, for the columns before and behind the ones; a seeded
    /// one then begins anew.
    fn fill_bias(&self, initializer: &Initializer) -> Result<ArrayD<C::Elem>> {
        let shape = C::bias_shape(self.units, &self.options);
        let Some(ones) = C::ones_in_bias(self.units, &self.options) else {
            return initializer.initialize(&shape);
        };
        let mut bias = ArrayD::ones(IxDyn(&shape));
        let behind = shape[0] - ones.end;
        bias.slice_axis_mut(Axis(0), Slice::from(..ones.start)).assign(&initializer.initialize(&[ones.start])?);
        bias.slice_axis_mut(Axis(0), Slice::from(ones.end..)).assign(&initializer.initialize(&[behind])?);
        Ok(bias)
    }

    /// Keras's rules for how many masks there are: with a recurrent dropout each gate has masks of its own, and gates
    /// ignore a rate of exactly 1, which a SimpleRNN doesn't.
    fn cell_dropout(&self, seed: i64) -> Vec<CellDropout> {
        let (rate, recurrent_rate) = (self.dropout.clamp(0.0, 1.0), self.recurrent_dropout.clamp(0.0, 1.0));
        let gated = C::GATES > 1;
        let drops = |rate: f64| rate > 0.0 && !(gated && rate == 1.0);
        let masks = match (drops(rate), recurrent_rate != 0.0) {
            (false, _) => 0,
            (true, false) => 1,
            (true, true) => C::GATES,
        };
        let recurrent_masks = if drops(recurrent_rate) { C::GATES } else { 0 };
        if masks + recurrent_masks == 0 {
            return Vec::new();
        }
        let (input_size, units) = (self.input_size, self.units);
        vec![CellDropout { rate, masks, recurrent_rate, recurrent_masks, input_size, units, seed }]
    }
}

/// Initializers whose seeds are set, and the seed of the dropout generator.
struct Drawn {
    kernel: Initializer,
    recurrent: Initializer,
    bias: Initializer,
    dropout: i64,
}

/// An initializer that needs a seed gets one.
pub(super) fn with_seed(initializer: Initializer, seeds: &mut Option<&mut SeedSource>) -> Result<Initializer> {
    if initializer.needs_seed() { Ok(initializer.with_seed(next_seed(seeds)?)) } else { Ok(initializer) }
}

/// The source's next seed, or a random one.
fn next_seed(seeds: &mut Option<&mut SeedSource>) -> Result<i64> {
    match seeds {
        Some(source) => Ok(source.next_seed()),
        None => Ok(SeedSource::random()?.next_seed()),
    }
}

/// That an activation is sound and keeps the width.
pub(super) fn check_activation(activation: &Activation) -> Result<()> {
    activation.validate()?;
    if activation.changes_width() {
        return Err(Error::ActivationWidth { activation: activation.to_string() });
    }
    Ok(())
}

/// That weights of `rows` x `gates * units` and their packed form can be addressed, and that there is memory for them.
pub(super) fn check_sizes<T: Float>(
    input_size: usize,
    units: usize,
    gates: usize,
    weights: &[(&'static str, usize)],
    packed: Option<usize>,
) -> Result<()> {
    for (what, size) in [("units", units), ("input_size", input_size)] {
        if size == 0 {
            return Err(Error::ZeroSize { what });
        }
    }
    let addressable =
        |elements: &usize| elements.checked_mul(size_of::<T>()).is_some_and(|bytes| isize::try_from(bytes).is_ok());
    let overflow = |&(what, rows): &(&'static str, usize)| Error::SizeOverflow { what, rows, units, gates };
    let mut elements = packed;
    for weight in weights {
        let own = room::product(&[weight.1, units, gates]).filter(addressable).ok_or_else(|| overflow(weight))?;
        elements = elements.and_then(|elements| elements.checked_add(own));
    }
    // If only the sum is too large, the largest weight is named.
    let largest = weights.iter().max_by_key(|(_, rows)| rows);
    if let (None, Some(largest)) = (elements.filter(addressable), largest) {
        return Err(overflow(largest));
    }
    // Twice: while a weight is drawn there is a second copy of it.
    let bytes = elements.unwrap_or(usize::MAX).saturating_mul(2 * size_of::<T>());
    Vec::<u8>::new().try_reserve_exact(bytes).map_err(|_| Error::OutOfMemory { bytes })
}

/// A weight of rank 2 as such.
pub(super) fn matrix<T: Float>(array: ArrayD<T>) -> Array2<T> {
    let (rows, columns) = (array.shape()[0], array.shape()[1]);
    let mut matrix = Array2::zeros((rows, columns));
    matrix.iter_mut().zip(&array).for_each(|(to, from)| *to = *from);
    matrix
}
