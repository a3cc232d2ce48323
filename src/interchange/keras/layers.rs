//! From the configuration of a layer to the layer, through the ordinary builders.

use std::sync::Arc;

use ndarray::ArrayD;
use serde_json::{Map, Value, json};

use super::Options;
use super::config::{Config, show};
use super::graph::ModelPlace;
use super::policy;
use super::version::Version;
use super::weights::{Layout, Place, Weight, Weights};
use crate::activation::Activation;
use crate::cells::stacked::StackedCells;
use crate::error::Error;
use crate::float::Float;
use crate::initializers::Initializer;
use crate::interchange::error::{Found, Problem, within};
use crate::layers::Layer;
use crate::layers::bidirectional::{Bidirectional, Merge};
use crate::layers::builder::{Builder, Kind};
use crate::layers::dense::Dense;
use crate::layers::embedding::Embedding;
use crate::layers::gru::Gru;
use crate::layers::lstm::Lstm;
use crate::layers::masking::Masking;
use crate::layers::recurrent::Recurrent;
use crate::layers::simple_rnn::SimpleRnn;
use crate::model::normalization::{Normalization, Statistics};
use crate::model::op::{MergeOp, Op};
use crate::state::StateLayout;

/// What all layers of a file share while they are built.
pub(super) struct Reader<'r, 'a> {
    pub(super) version: Version,
    pub(super) weights: Option<&'r Weights<'a>>,
    pub(super) options: &'r Options,
    /// Whether any layer of the file computes in f64.
    pub(super) has_float64: bool,
    pub(super) layout: Layout,
}

/// A layer that was built.
pub(super) struct Built<T: Float> {
    pub(super) op: Op<T>,
    pub(super) trainable: usize,
    pub(super) non_trainable: usize,
    /// The state that it keeps from call to call, if it is stateful.
    pub(super) stateful: Option<Arc<StateLayout>>,
}

const TAKE_OUT: &str = "the recurrent layers of the file can be taken out one by one with keras::File::layer";

/// A layer of one cell, whatever the cell.
enum Any<T: Float> {
    Simple(SimpleRnn<T>),
    Lstm(Lstm<T>),
    Gru(Gru<T>),
    Stacked(Recurrent<StackedCells<T>>),
}

/// `match`, with the same expression for whatever is inside.
macro_rules! any {
    ($any:expr, $inner:ident => $call:expr) => {
        match $any {
            Any::Simple($inner) => $call,
            Any::Lstm($inner) => $call,
            Any::Gru($inner) => $call,
            Any::Stacked($inner) => $call,
        }
    };
}

/// Options of Keras's RNN.
struct Flags {
    sequences: bool,
    state: bool,
    backwards: bool,
    zero: bool,
    stateful: bool,
    unroll: bool,
}

/// A class, and the configuration of it.
pub(super) fn class_of(object: &Map<String, Value>) -> &str {
    object.get("class_name").and_then(Value::as_str).unwrap_or("")
}

impl Reader<'_, '_> {
    pub(super) fn config<'c>(&'c self, path: &str, object: &'c Map<String, Value>) -> Found<Config<'c>> {
        let class = class_of(object);
        let Some(map) = object.get("config").and_then(Value::as_object) else {
            return Err(Problem::Config {
                layer: path.into(),
                option: "config".into(),
                expected: "an object".into(),
                found: show(object.get("config").unwrap_or(&Value::Null)),
            });
        };
        let registered = object.get("registered_name").and_then(Value::as_str);
        let foreign = registered.is_some_and(|name| name.contains('>'));
        if foreign {
            let hint = TAKE_OUT;
            return Err(Problem::UnsupportedClass {
                layer: path.into(),
                class: registered.unwrap_or(class).into(),
                hint,
            });
        }
        Ok(Config::new(path.into(), class, map, &self.options.limits))
    }

    /// Builds a layer; models are built elsewhere.
    pub(super) fn layer<T: Float>(
        &self,
        path: &str,
        object: &Map<String, Value>,
        place: &Place<'_>,
        depth: usize,
    ) -> Found<Built<T>> {
        within("depth", depth, self.options.limits.depth)?;
        let config = self.config(path, object)?;
        self.check_dtype::<T>(&config)?;
        let mut weights = Vec::new();
        let mut stateful = None;
        let mut fixed = 0;
        let op = match config.class {
            "SimpleRNN" | "LSTM" | "GRU" | "RNN" | "CuDNNLSTM" | "CuDNNGRU" => {
                let (any, flags) = self.recurrent::<T>(&config, place, depth)?;
                any!(any, layer => finish(layer, &flags, &mut stateful))
            }
            "Bidirectional" => self.bidirectional::<T>(&config, place, depth, &mut stateful)?,
            "TimeDistributed" => {
                let inner = config.object("layer")?;
                let path = format!("{path}/{}", name_of(inner));
                let place = place.child("layer");
                let built = match super::graph::is_model(inner) {
                    true => self.model_as_layer::<T>(inner, &path, &place, depth + 1)?,
                    false => self.layer::<T>(&path, inner, &place, depth + 1)?,
                };
                if built.stateful.is_some() {
                    let reason = "a stateful layer inside TimeDistributed";
                    return Err(config.unsupported("layer", &json!(class_of(inner)), reason));
                }
                config.finish()?;
                return Ok(Built { op: Op::TimeDistributed(Box::new(built.op)), ..built });
            }
            "Dense" => {
                self.plain(&config)?;
                let units = config.size("units")?;
                let activation = self.activation(&config, "activation", Activation::Linear)?;
                let use_bias = config.flag("use_bias", true)?;
                weights = self.read(&config, place, &["kernel", "bias"][..1 + usize::from(use_bias)])?;
                let input = rows(&weights[0], config.layer.as_str(), units, 1)?;
                let mut layer = Dense::builder(input, units)
                    .activation(activation)
                    .use_bias(use_bias)
                    .kernel_initializer(Initializer::Zeros)
                    .build()
                    .map_err(|source| config.refused(source))?;
                set(&mut layer, &config, &weights, "")?;
                Op::Dense(Arc::new(layer))
            }
            "Embedding" => {
                config.ignore(&["embeddings_initializer", "embeddings_regularizer", "embeddings_constraint"]);
                config.ignore(&["input_length"]);
                self.plain(&config)?;
                let (rows, columns) = (config.size("input_dim")?, config.size("output_dim")?);
                weights = self.read(&config, place, &["embeddings"])?;
                expect_shape(&weights[0], &config.layer, &[rows, columns])?;
                let mut layer = Embedding::builder(rows, columns)
                    .mask_zero(config.flag("mask_zero", false)?)
                    .embeddings_initializer(Initializer::Zeros)
                    .build()
                    .map_err(|source| config.refused(source))?;
                layer.set_embeddings(weights[0].array.view()).map_err(|source| config.refused(source))?;
                Op::Embedding(Arc::new(layer))
            }
            "Masking" => {
                let value = T::from_f64(config.float("mask_value", 0.0)?);
                Masking::new(value).map_err(|source| config.refused(source))?;
                Op::Masking(value)
            }
            "Dropout"
            | "SpatialDropout1D"
            | "SpatialDropout2D"
            | "SpatialDropout3D"
            | "GaussianDropout"
            | "GaussianNoise"
            | "AlphaDropout"
            | "ActivityRegularization"
            | "Identity" => {
                config.ignore(&["rate", "seed", "noise_shape", "data_format", "stddev", "l1", "l2"]);
                Op::Identity
            }
            "Activation" => Op::Activation(self.activation(&config, "activation", Activation::Linear)?),
            "ReLU" | "LeakyReLU" | "ELU" | "ThresholdedReLU" => Op::Activation(self.activation_layer(&config)?),
            "Softmax" => {
                // Keras 2 reads masks in another way.
                let masks = self.version == Version::Keras3;
                match config.integers("axis")?.as_deref() {
                    None => Op::Softmax { axis: -1, masks },
                    Some([axis]) => Op::Softmax { axis: *axis, masks },
                    Some(_) => {
                        let axes = config.get("axis").unwrap_or(&Value::Null);
                        return Err(config.unsupported("axis", axes, "one axis is supported"));
                    }
                }
            }
            "PReLU" => {
                config.ignore(&["alpha_initializer", "alpha_regularizer", "alpha_constraint", "shared_axes"]);
                weights = self.read(&config, place, &["alpha"])?;
                Op::PRelu(weights[0].array.as_standard_layout().into_owned())
            }
            "Flatten" => {
                config.only("data_format", &json!("channels_last"), "only channels_last is supported")?;
                Op::Flatten
            }
            "Reshape" => {
                let target = config.integers("target_shape")?.unwrap_or_default();
                let open = target.iter().filter(|&&size| size == -1).count();
                if open > 1 || target.iter().any(|&size| size < -1) {
                    let value = config.get("target_shape").unwrap_or(&Value::Null);
                    return Err(config.wrong("target_shape", "sizes, one of which may be -1", value));
                }
                Op::Reshape(target.iter().map(|&size| usize::try_from(size).ok()).collect())
            }
            "Permute" => {
                let dims = config.integers("dims")?.unwrap_or_default();
                let dims: Vec<usize> = dims.iter().filter_map(|&dim| usize::try_from(dim).ok()).collect();
                let mut sorted = dims.clone();
                sorted.sort_unstable();
                if sorted.is_empty() || sorted.iter().enumerate().any(|(i, &dim)| dim != i + 1) {
                    let value = config.get("dims").unwrap_or(&Value::Null);
                    return Err(config.wrong("dims", "each of 1, 2, .. once", value));
                }
                Op::Permute(dims)
            }
            "RepeatVector" => Op::RepeatVector(config.size("n")?),
            "Concatenate" => Op::Concatenate { axis: config.integer("axis", -1)? },
            "Add" => Op::Merge(MergeOp::Add),
            "Subtract" => Op::Merge(MergeOp::Subtract),
            "Multiply" => Op::Merge(MergeOp::Multiply),
            "Average" => Op::Merge(MergeOp::Average),
            "Maximum" => Op::Merge(MergeOp::Maximum),
            "Minimum" => Op::Merge(MergeOp::Minimum),
            "LayerNormalization" => {
                config.only("rms_scaling", &json!(false), "it isn't what it says; use RMSNormalization in Keras")?;
                self.layer_normalization(&config, place, &mut weights)?
            }
            "BatchNormalization" => {
                let op = self.batch_normalization(&config, place, &mut weights)?;
                fixed = weights.iter().rev().take(2).map(|weight| weight.array.len()).sum();
                op
            }
            class => return Err(unsupported(path, class)),
        };
        config.finish()?;
        let count = match &op {
            Op::Recurrent { layer, .. } => layer.count_params(),
            _ => weights.iter().map(|weight| weight.array.len()).sum(),
        };
        let trained = if config.flag("trainable", true)? { count - fixed } else { 0 };
        Ok(Built { op, trainable: trained, non_trainable: count - trained, stateful })
    }

    /// A model inside TimeDistributed.
    fn model_as_layer<T: Float>(
        &self,
        object: &Map<String, Value>,
        path: &str,
        place: &Place<'_>,
        depth: usize,
    ) -> Found<Built<T>> {
        let place = match place {
            Place::Group(group) => ModelPlace::Group(Place::Group(group.clone())),
            Place::Queue(queue) => ModelPlace::Queue(queue),
        };
        let model = self.model::<T>(object, path, &place, depth)?;
        Ok(Built {
            trainable: model.parts.iter().map(|part| part.trainable).sum(),
            non_trainable: model.parts.iter().map(|part| part.non_trainable).sum(),
            stateful: model.stateful.first().cloned(),
            op: Op::Model(Box::new(model)),
        })
    }

    /// Float types are honoured or refused: there is no arithmetic of 16 bits, and no silent loss of 64.
    pub(super) fn check_dtype<T: Float>(&self, config: &Config<'_>) -> Found<()> {
        let policy = match config.get("dtype") {
            None => return Ok(()),
            Some(Value::String(name)) => Some(name.as_str()),
            Some(other) => other.get("config").and_then(|config| config.get("name")).and_then(Value::as_str),
        };
        let hint = match policy {
            Some(policy) => match policy::check::<T>(policy, self.has_float64, self.options) {
                Ok(()) => return Ok(()),
                Err(hint) => hint,
            },
            None => "its dtype can't be read",
        };
        let dtype = policy.map_or_else(|| show(config.get("dtype").unwrap_or(&Value::Null)), String::from);
        Err(Problem::DType { layer: config.layer.clone(), dtype, hint })
    }

    /// That a layer isn't quantized. Adapters (LoRA) don't matter: `.keras` files hold the kernel with them added, and
    /// Keras starts new ones that add nothing when it loads it.
    fn plain(&self, config: &Config<'_>) -> Found<()> {
        config.ignore(&["lora_rank", "lora_alpha"]);
        if let Some(value) = config.get("quantization_config") {
            return Err(config.unsupported("quantization_config", value, "save the model without quantization"));
        }
        Ok(())
    }

    fn read<T: Float>(&self, config: &Config<'_>, place: &Place<'_>, names: &[&'static str]) -> Found<Vec<Weight<T>>> {
        match self.weights {
            Some(weights) => weights.read(&config.layer, place, names),
            None => Err(Problem::Incomplete { what: "weights", hint: "save the whole model" }),
        }
    }

    /// An activation by name, or the layer that stands in its place.
    fn activation(&self, config: &Config<'_>, option: &str, default: Activation) -> Found<Activation> {
        let value = match (config.get(option), config.has(option)) {
            (Some(value), _) => value,
            // `activation=None` is linear.
            (None, true) => return Ok(Activation::Linear),
            (None, false) => return Ok(default),
        };
        let activation = match value {
            Value::String(name) => self.version.activation(name).map_err(|source| config.refused(source))?,
            Value::Object(object) => match class_of(object) {
                "function" => match object.get("config").and_then(Value::as_str) {
                    Some(name) => self.version.activation(name).map_err(|source| config.refused(source))?,
                    None => return Err(config.wrong(option, "an activation", value)),
                },
                "Activation" => {
                    let inner = self.config(&config.layer, object)?;
                    let activation = self.activation(&inner, "activation", Activation::Linear)?;
                    inner.finish()?;
                    activation
                }
                "ReLU" | "LeakyReLU" | "ELU" | "ThresholdedReLU" | "Softmax" => {
                    let inner = self.config(&config.layer, object)?;
                    let activation = match inner.class {
                        "Softmax" => {
                            inner.only("axis", &json!(-1), "the last axis is supported")?;
                            Activation::Softmax
                        }
                        _ => self.activation_layer(&inner)?,
                    };
                    inner.finish()?;
                    activation
                }
                _ => return Err(config.unsupported(option, value, "an activation or a layer of one is supported")),
            },
            _ => return Err(config.wrong(option, "an activation", value)),
        };
        activation.validate().map_err(|source| config.refused(source))?;
        Ok(activation)
    }

    /// The layers that are activations.
    fn activation_layer(&self, config: &Config<'_>) -> Found<Activation> {
        let activation = match config.class {
            "ReLU" => {
                let max_value = match config.get("max_value") {
                    None => None,
                    Some(_) => Some(config.float("max_value", 0.0)?),
                };
                let negative_slope = config.float("negative_slope", 0.0)?;
                let threshold = config.float("threshold", 0.0)?;
                match (negative_slope == 0.0, max_value, threshold == 0.0) {
                    (true, None, true) => Activation::Relu,
                    _ => Activation::ReluWith { negative_slope, max_value, threshold },
                }
            }
            "LeakyReLU" => {
                let default = config.float("alpha", 0.3)?;
                Activation::LeakyRelu { negative_slope: config.float("negative_slope", default)? }
            }
            "ELU" => Activation::Elu { alpha: config.float("alpha", 1.0)? },
            _ => Activation::Threshold { threshold: config.float("theta", 1.0)?, default_value: 0.0 },
        };
        activation.validate().map_err(|source| config.refused(source))?;
        Ok(activation)
    }

    fn flags(&self, config: &Config<'_>) -> Found<Flags> {
        config.only(
            "time_major",
            &json!(false),
            "input of shape (timesteps, batch, features); use time_major=False",
        )?;
        Ok(Flags {
            sequences: config.flag("return_sequences", false)?,
            state: config.flag("return_state", false)?,
            backwards: config.flag("go_backwards", false)?,
            zero: config.flag("zero_output_for_mask", false)?,
            stateful: config.flag("stateful", false)?,
            unroll: config.flag("unroll", false)?,
        })
    }

    /// A recurrent layer with its weights.
    fn recurrent<T: Float>(&self, config: &Config<'_>, place: &Place<'_>, depth: usize) -> Found<(Any<T>, Flags)> {
        let flags = self.flags(config)?;
        let place = place.child("cell");
        let mut weights = Vec::new();
        let any = if config.class == "RNN" {
            let cell = config.object("cell")?;
            let path = format!("{}/{}", config.layer, name_of(cell));
            self.cell::<T>(&self.config(&path, cell)?, &place, "", depth + 1, &mut weights)?
        } else {
            self.cell::<T>(config, &place, "", depth, &mut weights)?
        };
        let mut any = match any {
            Any::Simple(layer) => Any::Simple(with_flags(layer, &flags)),
            Any::Lstm(layer) => Any::Lstm(with_flags(layer, &flags)),
            Any::Gru(layer) => Any::Gru(with_flags(layer, &flags)),
            Any::Stacked(layer) => Any::Stacked(with_flags(layer, &flags)),
        };
        let views: Vec<_> = weights.iter().map(|(name, array)| (name.as_str(), array.view())).collect();
        any!(&mut any, layer => layer.set_weights(&views)).map_err(|source| config.refused(source))?;
        Ok((any, flags))
    }

    /// A cell as a layer of it, with weights of zero; the true ones are left in `weights`, by path.
    fn cell<T: Float>(
        &self,
        config: &Config<'_>,
        place: &Place<'_>,
        prefix: &str,
        depth: usize,
        weights: &mut Vec<(String, ArrayD<T>)>,
    ) -> Found<Any<T>> {
        within("depth", depth, self.options.limits.depth)?;
        self.check_dtype::<T>(config)?;
        if config.class == "StackedRNNCells" {
            config.only("reverse_state_order", &json!(false), "Keras 2's old order of states")?;
            let cells = config.get("cells").and_then(Value::as_array);
            let wrong = || config.wrong("cells", "a list of cells", config.get("cells").unwrap_or(&Value::Null));
            let mut builder = StackedCells::<T>::builder();
            let cells = cells.ok_or_else(wrong)?;
            let objects: Vec<_> = cells.iter().map(|cell| cell.as_object().ok_or_else(wrong)).collect::<Found<_>>()?;
            let groups = super::graph::group_names(&objects);
            for (i, (object, group)) in objects.iter().zip(groups).enumerate() {
                let path = format!("{}/{}", config.layer, name_of(object));
                let place = place.child("cells").child(&group);
                let cell = self.config(&path, object)?;
                let any = self.cell::<T>(&cell, &place, &format!("{prefix}{i}/"), depth + 1, weights)?;
                builder = match any {
                    Any::Simple(layer) => builder.cell(take_cell(layer, config)?),
                    Any::Lstm(layer) => builder.cell(take_cell(layer, config)?),
                    Any::Gru(layer) => builder.cell(take_cell(layer, config)?),
                    Any::Stacked(layer) => builder.cell(take_cell(layer, config)?),
                };
            }
            config.finish()?;
            let cells = builder.build().map_err(|source| config.refused(source))?;
            return Ok(Any::Stacked(Recurrent::from_cell(cells)));
        }
        let (cudnn, gates) = match config.class {
            "SimpleRNN" | "SimpleRNNCell" => (false, 1),
            "LSTM" | "LSTMCell" => (false, 4),
            "GRU" | "GRUCell" => (false, 3),
            "CuDNNLSTM" if self.version == Version::Keras2 => (true, 4),
            "CuDNNGRU" if self.version == Version::Keras2 => (true, 3),
            class => return Err(unsupported(&config.layer, class)),
        };
        // How the work is divided: the numbers are the same.
        config.ignore(&["implementation"]);
        let units = config.size("units")?;
        let use_bias = cudnn || config.flag("use_bias", true)?;
        let mut read =
            self.read::<T>(config, place, &["kernel", "recurrent_kernel", "bias"][..2 + usize::from(use_bias)])?;
        let input = rows(&read[0], &config.layer, units, gates)?;
        expect_shape(&read[1], &config.layer, &[units, gates * units])?;
        let mut reset_after = false;
        if gates == 3 {
            // The first versions of Keras 2 don't have the option: they reset before.
            reset_after = cudnn || config.flag("reset_after", self.version == Version::Keras3)?;
        }
        if gates > 1 && self.version == Version::Keras2 && !cudnn && !config.has("recurrent_activation") {
            return Err(config.wrong("recurrent_activation", "an activation", &Value::Null));
        }
        if use_bias {
            super::cudnn::convert(self.version, cudnn, gates, units, &mut read);
            let shape: &[usize] = if reset_after { &[2, gates * units] } else { &[gates * units] };
            expect_shape(&read[2], &config.layer, shape)?;
        }
        let (activation, recurrent_activation) = match cudnn {
            true => (Activation::Tanh, Activation::Sigmoid),
            false => (
                self.activation(config, "activation", Activation::Tanh)?,
                match gates {
                    1 => Activation::Sigmoid,
                    _ => self.activation(config, "recurrent_activation", Activation::Sigmoid)?,
                },
            ),
        };
        let common = |dropout: f64, recurrent_dropout: f64, seed: Option<i64>| Common {
            activation: activation.clone(),
            use_bias,
            dropout,
            recurrent_dropout,
            seed,
        };
        let seed = config.get("seed").and_then(Value::as_i64);
        let common = common(config.float("dropout", 0.0)?, config.float("recurrent_dropout", 0.0)?, seed);
        let refused = |source| config.refused(source);
        let any = match gates {
            1 => Any::Simple(common.build(SimpleRnn::builder(input, units)).map_err(refused)?),
            4 => {
                let forget = config.flag("unit_forget_bias", true)?;
                let builder = Lstm::builder(input, units).recurrent_activation(recurrent_activation);
                Any::Lstm(common.build(builder.unit_forget_bias(forget)).map_err(refused)?)
            }
            _ => {
                let builder = Gru::builder(input, units).recurrent_activation(recurrent_activation);
                Any::Gru(common.build(builder.reset_after(reset_after)).map_err(refused)?)
            }
        };
        if config.class.ends_with("Cell") {
            config.finish()?;
        }
        weights.extend(read.into_iter().map(|weight| (format!("{prefix}{}", weight.name), weight.array)));
        Ok(any)
    }

    fn bidirectional<T: Float>(
        &self,
        config: &Config<'_>,
        place: &Place<'_>,
        depth: usize,
        stateful: &mut Option<Arc<StateLayout>>,
    ) -> Found<Op<T>> {
        let merge = match config.get("merge_mode") {
            None if config.has("merge_mode") => Merge::None,
            None => Merge::Concat,
            Some(value) => match value.as_str() {
                Some("concat") => Merge::Concat,
                Some("sum") => Merge::Sum,
                Some("mul") => Merge::Mul,
                Some("ave") => Merge::Ave,
                _ => return Err(config.wrong("merge_mode", "concat, sum, mul, ave or null", value)),
            },
        };
        let forward_object = config.object("layer")?;
        let mut backward_object = forward_object.clone();
        match config.get("backward_layer").and_then(Value::as_object) {
            Some(backward) => backward_object = backward.clone(),
            // Keras makes it of the forward one.
            None => {
                if let Some(inner) = backward_object.get_mut("config").and_then(Value::as_object_mut) {
                    let forwards = inner.get("go_backwards").and_then(Value::as_bool).unwrap_or(false);
                    if forwards {
                        return Err(config.wrong("go_backwards", "false in the forward layer", &json!(true)));
                    }
                    inner.insert("go_backwards".into(), json!(true));
                }
            }
        }
        let direction = |object: &Map<String, Value>, group: &str| -> Found<(Any<T>, Flags)> {
            let path = format!("{}/{}", config.layer, name_of(object));
            let inner = self.config(&path, object)?;
            if !matches!(inner.class, "SimpleRNN" | "LSTM" | "GRU" | "RNN" | "CuDNNLSTM" | "CuDNNGRU") {
                return Err(unsupported(&path, inner.class));
            }
            within("depth", depth + 1, self.options.limits.depth)?;
            self.check_dtype::<T>(&inner)?;
            let (any, flags) = self.recurrent::<T>(&inner, &place.child(group), depth + 1)?;
            inner.finish()?;
            Ok((any, flags))
        };
        let (forward, forward_flags) = direction(forward_object, "forward_layer")?;
        let (backward, backward_flags) = direction(&backward_object, "backward_layer")?;
        if forward_flags.stateful != backward_flags.stateful {
            return Err(config.wrong("stateful", "the same in both directions", &json!(backward_flags.stateful)));
        }
        let layer = any!(forward, forward => any!(backward, backward => Bidirectional::from_layers(forward, backward)));
        let layer = layer.map_err(|source| config.refused(source))?.merge_mode(merge);
        layer.ready().map_err(|source| config.refused(source))?;
        let flags = Flags {
            unroll: forward_flags.unroll || backward_flags.unroll,
            zero: forward_flags.sequences,
            backwards: true,
            ..forward_flags
        };
        Ok(finish(layer, &flags, stateful))
    }

    fn layer_normalization<T: Float>(
        &self,
        config: &Config<'_>,
        place: &Place<'_>,
        weights: &mut Vec<Weight<T>>,
    ) -> Found<Op<T>> {
        let (scale, center) = self.scale_and_center(config)?;
        let mut axes = config.integers("axis")?.unwrap_or(vec![-1]);
        if axes.len() > 1 {
            // Keras sorts them, as they are, and shapes the weights so.
            axes.sort_unstable();
        }
        let names = [("gamma", scale), ("beta", center)];
        let names: Vec<_> = names.iter().filter(|(_, there)| *there).map(|(name, _)| *name).collect();
        *weights = self.read(config, place, &names)?;
        let shape = weights.first().map_or(vec![], |weight| weight.array.shape().to_vec());
        for weight in &*weights {
            if weight.array.ndim() != axes.len() || weight.array.shape() != shape {
                return Err(shape_problem(
                    weight,
                    &config.layer,
                    format!("{} dimensions, all weights alike", axes.len()),
                ));
            }
        }
        let take = |name: &str| {
            let weight = weights.iter().find(|weight| weight.name == name);
            weight.map(|weight| weight.array.as_standard_layout().into_owned())
        };
        let (gamma, beta) = (take("gamma"), take("beta"));
        let epsilon = config.float("epsilon", 1e-3)?;
        let statistics = Statistics::Own { epsilon };
        Ok(Op::Normalize(Box::new(Normalization { axes, shape, gamma, beta, statistics })))
    }

    fn scale_and_center(&self, config: &Config<'_>) -> Found<(bool, bool)> {
        for weight in ["beta", "gamma", "moving_mean", "moving_variance"] {
            for kind in ["initializer", "regularizer", "constraint"] {
                config.ignore(&[&format!("{weight}_{kind}")]);
            }
        }
        Ok((config.flag("scale", true)?, config.flag("center", true)?))
    }

    fn batch_normalization<T: Float>(
        &self,
        config: &Config<'_>,
        place: &Place<'_>,
        weights: &mut Vec<Weight<T>>,
    ) -> Found<Op<T>> {
        // What matters in training only; renormalization among it.
        config.ignore(&["momentum", "synchronized", "renorm", "renorm_clipping", "renorm_momentum", "fused"]);
        config.ignore(&["virtual_batch_size", "adjustment"]);
        if config.get("renorm") == Some(&json!(true)) {
            return Err(config.unsupported("renorm", &json!(true), "it has more weights"));
        }
        let (scale, center) = self.scale_and_center(config)?;
        let axis = match config.integers("axis")?.as_deref() {
            None => -1,
            Some([axis]) => *axis,
            Some(_) => {
                let axes = config.get("axis").unwrap_or(&Value::Null);
                return Err(config.unsupported("axis", axes, "one axis is supported"));
            }
        };
        let all = [("gamma", scale), ("beta", center), ("moving_mean", true), ("moving_variance", true)];
        let names: Vec<_> = all.iter().filter(|(_, there)| *there).map(|(name, _)| *name).collect();
        *weights = self.read(config, place, &names)?;
        let width = weights.last().map_or(0, |weight| weight.array.len());
        for weight in &*weights {
            expect_shape(weight, &config.layer, &[width])?;
        }
        let take = |name: &str| {
            let weight = weights.iter().find(|weight| weight.name == name);
            weight.map(|weight| weight.array.as_standard_layout().into_owned())
        };
        let (mean, variance) = (take("moving_mean").unwrap_or_default(), take("moving_variance").unwrap_or_default());
        let statistics = Statistics::moving(mean, variance, T::from_f64(config.float("epsilon", 1e-3)?));
        let (gamma, beta) = (take("gamma"), take("beta"));
        let mut normalization = Normalization { axes: vec![axis], shape: vec![width], gamma, beta, statistics };
        normalization.fold();
        Ok(Op::Normalize(Box::new(normalization)))
    }
}

/// What all built-in cells are built with.
struct Common {
    activation: Activation,
    use_bias: bool,
    dropout: f64,
    recurrent_dropout: f64,
    seed: Option<i64>,
}

impl Common {
    /// With zeros for weights, which come later.
    fn build<C: Kind>(self, builder: Builder<'static, C>) -> Result<Recurrent<C>, Error> {
        let builder = match (self.seed, self.dropout > 0.0 || self.recurrent_dropout > 0.0) {
            (Some(seed), _) => builder.seed(seed),
            // Drawn, as Keras does it.
            (None, true) => builder,
            (None, false) => builder.seed(0),
        };
        builder
            .activation(self.activation)
            .use_bias(self.use_bias)
            .dropout(self.dropout)
            .recurrent_dropout(self.recurrent_dropout)
            .kernel_initializer(Initializer::Zeros)
            .recurrent_initializer(Initializer::Zeros)
            .bias_initializer(Initializer::Zeros)
            .build()
    }
}

impl Config<'_> {
    /// What a builder refused.
    pub(super) fn refused(&self, source: Error) -> Problem {
        Problem::Layer { layer: self.layer.clone(), source }
    }
}

fn unsupported(layer: &str, class: &str) -> Problem {
    Problem::UnsupportedClass { layer: layer.into(), class: class.into(), hint: TAKE_OUT }
}

/// The name of a layer.
pub(super) fn name_of(object: &Map<String, Value>) -> &str {
    let config = object.get("config").and_then(|config| config.get("name"));
    object.get("name").or(config).and_then(Value::as_str).unwrap_or("unnamed")
}

fn with_flags<C: crate::cells::Cell>(layer: Recurrent<C>, flags: &Flags) -> Recurrent<C> {
    layer
        .return_sequences(flags.sequences)
        .return_state(flags.state)
        .go_backwards(flags.backwards)
        .zero_output_for_mask(flags.zero)
}

fn take_cell<C: crate::cells::Cell>(layer: Recurrent<C>, config: &Config<'_>) -> Found<C> {
    layer.into_cell().ok_or_else(|| config.refused(Error::SharedCell { cell: "RNN" }))
}

/// A layer over time as an operation.
fn finish<T: Float>(layer: impl Layer<T>, flags: &Flags, stateful: &mut Option<Arc<StateLayout>>) -> Op<T> {
    if flags.stateful {
        *stateful = Some(Arc::clone(layer.state_layout()));
    }
    // Keras's unrolled loop reads the mask of the other direction then.
    let odd = flags.unroll && flags.backwards && flags.zero;
    let no_mask =
        odd.then_some("with unroll, go_backwards and zero_output_for_mask Keras reads masks the wrong way around");
    Op::Recurrent { layer: Arc::new(Box::new(layer)), slot: None, no_mask }
}

fn shape_problem<T>(weight: &Weight<T>, layer: &str, expected: String) -> Problem {
    Problem::TensorShape {
        layer: layer.into(),
        weight: weight.name.into(),
        tensor: weight.tensor.clone(),
        expected,
        found: weight.array.shape().to_vec(),
    }
}

fn expect_shape<T>(weight: &Weight<T>, layer: &str, shape: &[usize]) -> Found<()> {
    if weight.array.shape() == shape { Ok(()) } else { Err(shape_problem(weight, layer, format!("{shape:?}"))) }
}

/// The rows of a kernel, which are the layer's features; its columns are the configuration's.
fn rows<T>(kernel: &Weight<T>, layer: &str, units: usize, gates: usize) -> Found<usize> {
    match (kernel.array.shape(), units.checked_mul(gates)) {
        (&[rows, columns], Some(expected)) if rows > 0 && columns == expected => Ok(rows),
        _ => Err(shape_problem(kernel, layer, format!("[features, {gates} x {units}]"))),
    }
}

fn set<T: Float>(layer: &mut impl Layer<T>, config: &Config<'_>, weights: &[Weight<T>], prefix: &str) -> Found<()> {
    let names: Vec<String> = weights.iter().map(|weight| format!("{prefix}{}", weight.name)).collect();
    for weight in weights.iter().skip(1) {
        let bias = layer.weight(weight.name).map_err(|source| config.refused(source))?;
        let shape = bias.shape().to_vec();
        expect_shape(weight, &config.layer, &shape)?;
    }
    let views: Vec<_> = names.iter().zip(weights).map(|(name, weight)| (name.as_str(), weight.array.view())).collect();
    layer.set_weights(&views).map_err(|source| config.refused(source))
}
