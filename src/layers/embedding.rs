//! Ids to vectors.

use std::any::TypeId;
use std::fmt;
use std::sync::Arc;

use ndarray::{Array2, Array3, ArrayRef2, ArrayRef3, ArrayView1, ArrayView2, ArrayViewD, ArrayViewMut1, Axis};

use super::builder;
use super::quantized_embedding::QuantizedEmbedding;
use crate::config::{Config, ConfigError};
#[cfg(feature = "file")]
use crate::config::{Options, Tensors};
use crate::error::{Error, Result, or_panic};
use crate::float::Float;
use crate::gradients::Gradients;
use crate::initializers::Initializer;
use crate::memory::{self, MemoryNeeds};
use crate::parameters::{Parameters, Sealed, own_parameters, stateless};
use crate::precision::Precision;
use crate::random::SeedSource;
use crate::stamp::Stamp;
use crate::state::StateLayout;
use crate::structure::StructureVisitor;
use crate::weights::{WeightVisitor, WeightVisitorMut};

/// A table of vectors, one for each id: Keras's `Embedding`. It makes the input of a recurrent layer from ids, and
/// with `mask_zero` its mask.
///
/// ```
/// use ndarray::prelude::*;
/// use recurrent::{Embedding, Layer, Lstm, Run};
/// let embedding = Embedding::<f32>::builder(10, 3).mask_zero(true).build()?;
/// let (x, mask) = embedding.forward(&array![[4, 2, 0], [7, 0, 0]])?;
/// let output = Lstm::new(3, 5).run(&x, Run::new().mask_if(mask.as_ref()))?;
/// assert_eq!(output.last().dim(), (2, 5));
/// assert_eq!(mask, Some(array![[true, true, false], [true, false, false]]));
/// # Ok::<(), recurrent::Error>(())
/// ```
#[derive(Clone)]
pub struct Embedding<T: Float = f32> {
    /// (input_dim, output_dim)
    embeddings: Array2<T>,
    mask_zero: bool,
    stamp: Stamp,
    /// With the seed that was drawn.
    embeddings_initializer: Initializer,
}

/// Takes the options of an [`Embedding`] under Keras's names.
#[derive(Debug)]
#[must_use = "a builder makes nothing until `build`"]
pub struct EmbeddingBuilder<'s, T: Float> {
    input_dim: usize,
    output_dim: usize,
    mask_zero: bool,
    embeddings_initializer: Initializer,
    seeds: Option<&'s mut SeedSource>,
    element: std::marker::PhantomData<T>,
}

impl<T: Float> Embedding<T> {
    /// A table with Keras's defaults (uniform in ±0.05, no mask) and random vectors.
    ///
    /// # Panics
    /// If a size is zero or the weights can't be addressed: use [`builder`](Self::builder) for sizes that aren't
    /// known to be sound.
    #[track_caller]
    pub fn new(input_dim: usize, output_dim: usize) -> Self {
        or_panic(Self::builder(input_dim, output_dim).build())
    }

    /// A builder for a table of `input_dim` vectors of `output_dim` features.
    pub fn builder(input_dim: usize, output_dim: usize) -> EmbeddingBuilder<'static, T> {
        EmbeddingBuilder {
            input_dim,
            output_dim,
            mask_zero: false,
            embeddings_initializer: Initializer::random_uniform(),
            seeds: None,
            element: std::marker::PhantomData,
        }
    }

    /// The vectors of ids (batch, timesteps), as (batch, timesteps, output_dim), and with `mask_zero` the mask that
    /// is true where the id isn't 0. Ids are of any integer type.
    ///
    /// # Errors
    /// [`Error::EmbeddingId`] for an id that is negative or not below `input_dim`, [`Error::TensorTooLarge`] for more
    /// ids than there is memory for.
    pub fn forward<I>(&self, ids: &ArrayRef2<I>) -> Result<(Array3<T>, Option<Array2<bool>>)>
    where
        I: Copy + fmt::Display + TryInto<usize>,
    {
        look_up(ids, self.embeddings.dim(), self.mask_zero, |index, mut vector| {
            vector.assign(&self.embeddings.row(index));
        })
    }

    /// The backward pass: adds the gradient of the vectors, (batch, timesteps, output_dim), to that of the table, which
    /// `gradients` of this embedding hold under the name `embeddings`. An id that stands several times gets the sum, in
    /// the order of rows, then steps.
    ///
    /// `d_x` is what [`Gradients::input`] of the layer behind the embedding says. A masked step is zero there.
    ///
    /// Keras's optimizers see an id's parts, and so do ours: Adam takes the sum of their squares, not the square of
    /// their sum (but for `global_clipnorm` and `gradient_accumulation_steps`), `clipvalue` clips them one by one, and
    /// norms are theirs.
    ///
    /// ```
    /// use ndarray::prelude::*;
    /// use recurrent::{Embedding, Gradients, Layer, Lstm, OutputGradient, Run, training::*};
    /// let mut embedding = Embedding::<f32>::builder(10, 3).mask_zero(true).build()?;
    /// let mut lstm = Lstm::new(3, 5);
    /// let (ids, target) = (array![[4, 2, 0], [7, 0, 0]], Array2::<f32>::ones((2, 5)));
    /// let (mut of_lstm, mut of_embedding) = (Gradients::new(&lstm), Gradients::new(&embedding));
    /// let (mut tape, mut optimizer) = (Tape::new(), Adam::new(0.05));
    /// let mut losses = Vec::new();
    /// for _ in 0..5 {
    ///     let (x, mask) = embedding.forward(&ids)?;
    ///     let output = lstm.run(&x, Run::new().mask_if(mask.as_ref()).record(&mut tape))?;
    ///     let (loss, d_last) = Loss::MeanSquaredError.with_gradient(output.last(), &target)?;
    ///     of_lstm.clear();
    ///     of_embedding.clear();
    ///     lstm.backward(&mut tape, OutputGradient::new().last(&d_last), &mut of_lstm)?;
    ///     embedding.backward(&ids, &of_lstm.input()?, &mut of_embedding)?;
    ///     optimizer.step_all(&mut [(&mut embedding, &of_embedding), (&mut lstm, &of_lstm)])?;
    ///     losses.push(loss);
    /// }
    /// assert!(losses[4] < losses[0]);
    /// assert!(of_embedding.get("embeddings")?.index_axis(Axis(0), 3).iter().all(|&g| g == 0.0)); // no such id
    /// # Ok::<(), recurrent::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::EmbeddingId`] as in [`forward`](Embedding::forward), [`Error::OutputShape`] if `d_x` has another shape,
    /// [`Error::GradientsLayer`] for gradients of something else, [`Error::TensorTooLarge`] for more ids than there is
    /// memory for; nothing is added then.
    pub fn backward<I>(&self, ids: &ArrayRef2<I>, d_x: &ArrayRef3<T>, gradients: &mut Gradients<T>) -> Result<()>
    where
        I: Copy + fmt::Display + TryInto<usize>,
    {
        let ((batch, timesteps), features) = (ids.dim(), self.embeddings.ncols());
        if !gradients.fit(self) {
            return Err(Error::GradientsLayer);
        }
        if d_x.dim() != (batch, timesteps, features) {
            let (expected, given) = (vec![batch, timesteps, features], d_x.shape().to_vec());
            return Err(Error::OutputShape { what: "gradient of the vectors", expected, given });
        }
        // The parts, which grow by half at least.
        let held = gradients.slices[0].len();
        memory::check::<T>(
            memory::product(&[batch, timesteps, features + 1]).and_then(|own| own.checked_add(held)?.checked_mul(2)),
            &[batch, timesteps, features],
        )?;
        for ((row, time), &id) in ids.indexed_iter() {
            self.index(row, time, id)?;
        }
        let mut table = gradients.weights[0].view_mut();
        for ((row, time), &id) in ids.indexed_iter() {
            let (index, d_x) = (self.index(row, time, id)?, d_x.slice(ndarray::s![row, time, ..]));
            table.index_axis_mut(Axis(0), index).iter_mut().zip(&d_x).for_each(|(sum, &d)| *sum += d);
            gradients.slices[0].add(index, d_x.iter().copied());
        }
        Ok(())
    }

    /// The row of an id.
    fn index<I>(&self, row: usize, time: usize, id: I) -> Result<usize>
    where
        I: Copy + fmt::Display + TryInto<usize>,
    {
        index_of(self.embeddings.nrows(), (row, time), id)
    }

    /// The vector of the id at this place of a row of ids.
    pub(crate) fn row(&self, place: usize, id: i64) -> Result<ArrayView1<'_, T>> {
        Ok(self.embeddings.row(self.index(0, place, id)?))
    }

    pub(crate) fn table(&self) -> &Array2<T> {
        &self.embeddings
    }

    pub(crate) fn table_mut(&mut self) -> &mut Array2<T> {
        self.stamp.renew();
        &mut self.embeddings
    }

    /// The table: (input_dim, output_dim).
    pub fn embeddings(&self) -> ArrayView2<'_, T> {
        self.embeddings.view()
    }

    /// Whether id 0 is masked.
    pub fn masks_zero(&self) -> bool {
        self.mask_zero
    }

    /// The table of these options, with these weights.
    #[cfg(feature = "file")]
    pub(crate) fn read(options: &Options<'_>, tensors: &mut Tensors<'_, T>) -> std::result::Result<Self, ConfigError> {
        let shape = (options.size("input_dim")?, options.size("output_dim")?);
        let initializer = Initializer::read(&options.need("embeddings_initializer", "an initializer")?)?;
        let mask_zero = options.flag("mask_zero")?;
        let embeddings = Array2::from_shape_vec(shape, tensors.take("embeddings", &[shape.0, shape.1])?);
        let embeddings =
            embeddings.map_err(|_| options.refused(Error::TensorTooLarge { shape: vec![shape.0, shape.1] }))?;
        Ok(Embedding { embeddings, mask_zero, stamp: Stamp::new(), embeddings_initializer: initializer })
    }

    /// The same table in fewer bits, bytes with a scale for each row: see the page
    /// [`fewer_bits`](crate::fewer_bits). `Int8Fast` is the same as `Int8` here: nothing is multiplied.
    ///
    /// # Errors
    /// [`Error::CannotQuantize`] for a table of f64, [`Error::QuantizedValue`] for a weight that isn't finite.
    pub fn quantize(&self, precision: Precision) -> Result<QuantizedEmbedding> {
        if TypeId::of::<T>() != TypeId::of::<f32>() {
            return Err(Error::CannotQuantize { layer: "Embedding".into(), reason: "it is of f64" });
        }
        let table: Vec<f32> = self.embeddings.iter().map(|weight| weight.into_f64() as f32).collect();
        QuantizedEmbedding::new(precision, self.embeddings.dim(), &table, self.mask_zero)
    }

    /// Replaces the table.
    ///
    /// # Errors
    /// [`Error::WeightShape`]; the table is unchanged then.
    pub fn set_embeddings(&mut self, embeddings: ArrayViewD<'_, T>) -> Result<()> {
        if embeddings.shape() != self.embeddings.shape() {
            return Err(Error::WeightShape {
                name: "embeddings".into(),
                expected: self.embeddings.shape().to_vec(),
                given: embeddings.shape().to_vec(),
            });
        }
        self.table_mut().iter_mut().zip(embeddings).for_each(|(to, from)| *to = *from);
        Ok(())
    }
}

/// The row of a table of so many that an id stands for, at a place (row, time) of ids.
pub(super) fn index_of<I>(vocabulary: usize, (row, time): (usize, usize), id: I) -> Result<usize>
where
    I: Copy + fmt::Display + TryInto<usize>,
{
    let index = id.try_into().ok().filter(|&index| index < vocabulary);
    index.ok_or_else(|| Error::EmbeddingId { row, time, id: id.to_string(), vocabulary })
}

/// The vectors of ids, which `write` writes, and with `mask_zero` their mask.
pub(super) fn look_up<T: Float, I>(
    ids: &ArrayRef2<I>,
    (vocabulary, features): (usize, usize),
    mask_zero: bool,
    mut write: impl FnMut(usize, ArrayViewMut1<'_, T>),
) -> Result<(Array3<T>, Option<Array2<bool>>)>
where
    I: Copy + fmt::Display + TryInto<usize>,
{
    let (batch, timesteps) = ids.dim();
    let shape = [batch, timesteps, features];
    memory::check_shape(&shape)?;
    let mut needs = MemoryNeeds::default();
    needs.array::<T>(&shape);
    needs.array::<bool>(&[batch, if mask_zero { timesteps } else { 0 }]);
    needs.check(&shape)?;
    let mut x = Array3::zeros((batch, timesteps, features));
    let mut mask = mask_zero.then(|| Array2::from_elem((batch, timesteps), true));
    for ((row, time), &id) in ids.indexed_iter() {
        let index = index_of(vocabulary, (row, time), id)?;
        write(index, x.slice_mut(ndarray::s![row, time, ..]));
        if let Some(mask) = &mut mask {
            mask[[row, time]] = index != 0;
        }
    }
    Ok((x, mask))
}

impl<T: Float> EmbeddingBuilder<'_, T> {
    /// Whether id 0 is padding, to be masked.
    pub fn mask_zero(mut self, yes: bool) -> Self {
        self.mask_zero = yes;
        self
    }

    /// How `embeddings`, (input_dim, output_dim), is filled.
    pub fn embeddings_initializer(mut self, initializer: Initializer) -> Self {
        self.embeddings_initializer = initializer;
        self
    }

    /// Where a seed that isn't set comes from: Keras's, in Keras's order. Without a source it is random.
    pub fn seeds(self, seeds: &mut SeedSource) -> EmbeddingBuilder<'_, T> {
        EmbeddingBuilder { seeds: Some(seeds), ..self }
    }

    /// Makes the table.
    ///
    /// # Errors
    /// [`Error::ZeroSize`], [`Error::SizeOverflow`], [`Error::OutOfMemory`] or the initializer's own error.
    pub fn build(mut self) -> Result<Embedding<T>> {
        let (rows, columns) = (self.input_dim, self.output_dim);
        for (what, size) in [("input_dim", rows), ("output_dim", columns)] {
            if size == 0 {
                return Err(Error::ZeroSize { what });
            }
        }
        builder::check_sizes::<T>((rows, columns, 1), [("embeddings", &[rows, columns][..])], Some(0))?;
        let embeddings_initializer = builder::with_seed(self.embeddings_initializer, &mut self.seeds)?;
        let embeddings = builder::matrix(embeddings_initializer.initialize(&[rows, columns])?);
        Ok(Embedding { embeddings, mask_zero: self.mask_zero, stamp: Stamp::new(), embeddings_initializer })
    }
}

#[cfg(feature = "keras")]
impl<T: Float> EmbeddingBuilder<'_, T> {
    /// The table of these embeddings; no initializer runs, and none gets a seed.
    pub(crate) fn build_of(self, embeddings: Array2<T>) -> Embedding<T> {
        let EmbeddingBuilder { mask_zero, embeddings_initializer, .. } = self;
        Embedding { embeddings, mask_zero, stamp: Stamp::new(), embeddings_initializer }
    }
}

impl<T: Float> fmt::Debug for Embedding<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Embedding")
            .field("input_dim", &self.embeddings.nrows())
            .field("output_dim", &self.embeddings.ncols())
            .field("mask_zero", &self.mask_zero)
            .finish_non_exhaustive()
    }
}

impl<T: Float> Sealed for Embedding<T> {}

impl<T: Float> Parameters<T> for Embedding<T> {
    fn visit_weights<'a>(&'a self, visitor: &mut WeightVisitor<'_, 'a, T>) {
        visitor.weight("embeddings", self.table());
    }

    fn visit_weights_mut(&mut self, visitor: &mut WeightVisitorMut<'_, T>) -> Result<()> {
        visitor.weight("embeddings", self.table_mut());
        Ok(())
    }

    fn unshare(&mut self) -> Result<()> {
        Ok(())
    }

    fn layout(&self) -> &Arc<StateLayout> {
        stateless()
    }

    fn describe(&self) -> std::result::Result<Config, ConfigError> {
        let (input_dim, output_dim) = self.embeddings.dim();
        Ok(Config::new("Embedding")
            .with("input_dim", input_dim)
            .with("output_dim", output_dim)
            .with("embeddings_initializer", self.embeddings_initializer.describe()?)
            .with("mask_zero", self.mask_zero))
    }

    fn visit_structure(&self, visitor: &mut StructureVisitor<'_>) {
        visitor.layer("Embedding", Some(self.stamp));
        visitor.option("mask_zero", self.mask_zero.into(), self.mask_zero);
    }
}

own_parameters!([T: Float] Embedding<T>, T);
