//! What attention of several heads is made of.

use ndarray::ArrayD;

use super::{GATE, Hides, KEY, MultiHead, OUTPUT, QUERY, VALUE};
use crate::activation::Activation;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::float::Float;
use crate::graph::ops::einsum_dense::EinsumDense;
use crate::graph::ops::noise::Dropout;

/// The names of the dense layers, in the order of their weights.
pub(crate) const PROJECTIONS: [&str; 5] = ["query", "key", "gate", "value", "attention_output"];

/// The weights of a dense layer.
type KernelAndBias<T> = (ArrayD<T>, Option<ArrayD<T>>);

/// All but the weights.
#[derive(Debug, Clone)]
pub(crate) struct Heads {
    pub(crate) query_heads: usize,
    pub(crate) key_heads: usize,
    pub(crate) key_dim: usize,
    pub(crate) value_dim: usize,
    pub(crate) use_bias: bool,
    pub(crate) use_gate: bool,
    /// Instead of the query's features.
    pub(crate) output_shape: Option<Vec<usize>>,
    pub(crate) causal: bool,
    pub(crate) sliding_window: Option<usize>,
    pub(crate) returns_scores: bool,
    pub(crate) reads_key: bool,
    /// Whether the last input is a mask of pairs of steps.
    pub(crate) reads_mask: bool,
    /// Whether it is Keras's GroupQueryAttention.
    pub(crate) grouped: bool,
    pub(crate) hides: Hides,
    /// Of the weights, in training.
    pub(crate) dropout: Option<Dropout>,
}

impl Heads {
    /// The shapes of the kernel and the bias of a dense layer, for an input of so many features; nothing for what there
    /// isn't. Behind the results stand `output` axes.
    pub(crate) fn shapes(&self, place: usize, features: usize, output: &[usize]) -> Option<(Vec<usize>, Vec<usize>)> {
        let of = |heads: usize, width: usize| Some((vec![features, heads, width], vec![heads, width]));
        match place {
            QUERY => of(self.query_heads, self.key_dim),
            KEY => of(self.key_heads, self.key_dim),
            VALUE => of(self.key_heads, self.value_dim),
            GATE => self.use_gate.then(|| of(self.query_heads, self.value_dim)).flatten(),
            OUTPUT => Some(([&[self.query_heads, self.value_dim], output].concat(), output.to_vec())),
            _ => None,
        }
    }
}

impl<T: Float> MultiHead<T> {
    /// Of its weights: of each dense layer the kernel and the bias.
    pub(crate) fn made(heads: Heads, weights: [Option<KernelAndBias<T>>; 5]) -> Result<Self> {
        if heads.key_heads == 0 || !heads.query_heads.is_multiple_of(heads.key_heads) {
            let expected = "a divisor of the heads of the query";
            return Err(Error::OptionNumber { option: "num_key_value_heads", expected, given: heads.key_heads as f64 });
        }
        let mut projections = [const { None }; 5];
        for (place, weights) in weights.into_iter().enumerate() {
            let Some((kernel, bias)) = weights else { continue };
            let (equation, axes) = match (place, kernel.ndim()) {
                (OUTPUT, 3) => ("abcd,cde->abe", "e"),
                (OUTPUT, 4) => ("abcd,cdef->abef", "ef"),
                (OUTPUT, 5) => ("abcd,cdefg->abefg", "efg"),
                _ => ("abc,cde->abde", "de"),
            };
            let mut projection = EinsumDense::new(equation, kernel)?;
            if let Some(bias) = bias {
                projection = projection.bias(axes, bias)?;
            }
            if place == GATE {
                projection = projection.activation(Activation::Sigmoid)?;
            }
            projections[place] = Some(projection);
        }
        Ok(MultiHead { projections, heads })
    }

    /// The features of each dense layer's input, and the axes behind the last.
    fn features(&self) -> ([usize; 3], Vec<usize>) {
        let shape = |place: usize| self.projections[place].as_ref().map_or(vec![], |own| own.kernel_shape().to_vec());
        let features = [QUERY, KEY, VALUE].map(|place| shape(place).first().copied().unwrap_or(0));
        (features, shape(OUTPUT).get(2..).unwrap_or(&[]).to_vec())
    }

    pub(super) fn description(&self) -> Config {
        let heads = &self.heads;
        let ([query, key, value], output) = self.features();
        let config = if heads.grouped {
            let config = Config::new("GroupQueryAttention").with("head_dim", heads.key_dim);
            config.with("num_query_heads", heads.query_heads).with("num_key_value_heads", heads.key_heads)
        } else {
            let config = Config::new("MultiHeadAttention").with("num_heads", heads.query_heads);
            let config = config.with("key_dim", heads.key_dim).with("value_dim", heads.value_dim);
            config.with("output_shape", heads.output_shape.clone()).with("attention_axes", vec![1_usize])
        };
        let hides = Hides::NAMES.iter().find(|(_, hides)| *hides == heads.hides).map_or("", |(name, _)| *name);
        config
            .with("use_bias", heads.use_bias)
            .with("use_gate", heads.use_gate)
            .with("sliding_window", heads.sliding_window)
            .with("causal", heads.causal)
            .with("returns_scores", heads.returns_scores)
            .with("reads_key", heads.reads_key)
            .with("reads_mask", heads.reads_mask)
            .with("hides", hides)
            .with_if("dropout", heads.dropout.as_ref().map(|dropout| dropout.rate))
            .with_if("seed", heads.dropout.as_ref().and_then(|dropout| dropout.seed))
            .with("features", vec![query, key, value])
            .with("output", output)
    }
}
