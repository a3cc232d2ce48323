//! Builds this crate's layers from the specs of the data files, which speak Keras's words.
//!
//! What a spec says and this file doesn't know is a panic, so that no option is skipped.

use recurrent::{
    Activation, Bidirectional, Dense, Embedding, FanMode, Gru, IndRnn, Initializer, Layer, LayerNormLstm, Lstm,
    Masking, Merge, Mgu, Recurrent, ScalingDistribution, SeedSource, SimpleRnn, Stacked, StackedCells, TimeDistributed,
    builder::Builder,
    cell::{BuiltInCell, GruCell, IndRnnCell, LayerNormLstmCell, LstmCell, MguCell, MguForm, SimpleRnnCell},
};
use serde_json::{Map, Value};

use super::data::{Element, Outcome, flag, float, list, size, text_of};

pub type Boxed<T> = Box<dyn Layer<T>>;

/// The options of a spec. Each is taken out when it is read; `done` complains about those that nobody read.
struct Config(Map<String, Value>);

impl Config {
    fn of(spec: &Value) -> Self {
        Config(spec["config"].as_object().cloned().unwrap_or_default())
    }

    fn take(&mut self, key: &str) -> Option<Value> {
        self.0.remove(key)
    }

    fn flag(&mut self, key: &str) -> bool {
        self.take(key).is_some_and(|value| flag(&value))
    }

    fn done(self) {
        assert!(self.0.is_empty(), "options that the test doesn't know: {:?}", self.0.keys().collect::<Vec<_>>());
    }
}

/// `null`, a name, or `{"name": .., "args": {..}}`.
pub fn activation(value: &Value) -> Outcome<Activation> {
    let (name, args) = match value {
        Value::Null => return Ok(Activation::Linear),
        Value::String(name) => (name.as_str(), None),
        _ => (text_of(&value["name"]), value["args"].as_object().filter(|args| !args.is_empty())),
    };
    let Some(args) = args else { return Ok(name.parse()?) };
    let mut known = 0;
    let mut arg = |key: &str| {
        args.get(key).map(|value| {
            known += 1;
            float(value)
        })
    };
    let made = match name {
        "relu" => Activation::ReluWith {
            negative_slope: arg("negative_slope").unwrap_or(0.0),
            max_value: arg("max_value"),
            threshold: arg("threshold").unwrap_or(0.0),
        },
        "leaky_relu" => Activation::LeakyRelu { negative_slope: arg("negative_slope").unwrap_or(0.2) },
        "elu" => Activation::Elu { alpha: arg("alpha").unwrap_or(1.0) },
        "celu" => Activation::Celu { alpha: arg("alpha").unwrap_or(1.0) },
        "squareplus" => Activation::Squareplus { b: arg("b").unwrap_or(4.0) },
        "soft_shrink" => Activation::SoftShrink { threshold: arg("threshold").unwrap_or(0.5) },
        "hard_shrink" => Activation::HardShrink { threshold: arg("threshold").unwrap_or(0.5) },
        "threshold" => Activation::Threshold {
            threshold: arg("threshold").expect("a threshold"),
            default_value: arg("default_value").expect("a default value"),
        },
        "gelu" => {
            known += 1;
            Activation::Gelu { approximate: flag(&args["approximate"]) }
        }
        _ => panic!("{name} with parameters"),
    };
    assert_eq!(known, args.len(), "parameters that the test doesn't know: {value}");
    Ok(made)
}

/// A name, or `{"class": .., "config": {..}}`: Keras's class name and the parameters that aren't Keras's defaults.
pub fn initializer(value: &Value) -> Outcome<Initializer> {
    use Initializer::*;
    if let Some(name) = value.as_str() {
        return Ok(name.parse()?);
    }
    let axes = |value: &Value| list(value).iter().map(|axis| axis.as_i64().map(|axis| axis as isize)).collect();
    let mut made: Initializer = text_of(&value["class"]).parse()?;
    for (key, given) in value["config"].as_object().expect("a config") {
        match (&mut made, key.as_str()) {
            (other, "seed") => {
                if let Some(seed) = given.as_i64() {
                    *other = other.clone().with_seed(seed);
                }
            }
            (Constant { value }, "value") => *value = float(given),
            (Identity { gain } | Orthogonal { gain, .. }, "gain") => *gain = float(given),
            (RandomNormal { mean, .. } | TruncatedNormal { mean, .. }, "mean") => *mean = float(given),
            (RandomNormal { stddev, .. } | TruncatedNormal { stddev, .. }, "stddev") => *stddev = float(given),
            (RandomUniform { minval, .. }, "minval") => *minval = float(given),
            (RandomUniform { maxval, .. }, "maxval") => *maxval = float(given),
            (VarianceScaling { scale, .. }, "scale") => *scale = float(given),
            (VarianceScaling { mode, .. }, "mode") => *mode = text_of(given).parse::<FanMode>()?,
            (VarianceScaling { distribution, .. }, "distribution") => {
                *distribution = text_of(given).parse::<ScalingDistribution>()?;
            }
            (VarianceScaling { input_axes, .. }, "input_axes") => *input_axes = axes(given),
            (VarianceScaling { output_axes, .. }, "output_axes") => *output_axes = axes(given),
            (other, key) => panic!("{other} has no {key}"),
        }
    }
    Ok(made)
}

/// A builder of one of the kinds.
#[allow(clippy::large_enum_variant)]
enum Recipe<'s, T: Element> {
    SimpleRnn(Builder<'s, SimpleRnnCell<T>>),
    Lstm(Builder<'s, LstmCell<T>>),
    Gru(Builder<'s, GruCell<T>>),
    IndRnn(Builder<'s, IndRnnCell<T>>),
    Mgu(Builder<'s, MguCell<T>>),
    LayerNormLstm(Builder<'s, LayerNormLstmCell<T>>),
}

/// The same expression for a builder of any kind.
macro_rules! each {
    ($recipe:expr, $builder:ident => $result:expr) => {
        match $recipe {
            Recipe::SimpleRnn($builder) => $result,
            Recipe::Lstm($builder) => $result,
            Recipe::Gru($builder) => $result,
            Recipe::IndRnn($builder) => $result,
            Recipe::Mgu($builder) => $result,
            Recipe::LayerNormLstm($builder) => $result,
        }
    };
}

/// The recipe of a SimpleRNN, LSTM or GRU, or of their cells.
fn recipe<T: Element>(spec: &Value) -> Outcome<Recipe<'static, T>> {
    let (inputs, mut config) = (size(&spec["input_size"]), Config::of(spec));
    let units = size(&config.take("units").expect("units"));
    let gates = config.take("recurrent_activation").map(|value| activation(&value)).transpose()?;
    Ok(match text_of(&spec["class"]).trim_end_matches("Cell") {
        "SimpleRNN" => Recipe::SimpleRnn(common(SimpleRnn::builder(inputs, units), config)?),
        "LSTM" => {
            let mut builder = Lstm::builder(inputs, units);
            if let Some(value) = config.take("unit_forget_bias") {
                builder = builder.unit_forget_bias(flag(&value));
            }
            if let Some(gates) = gates {
                builder = builder.recurrent_activation(gates);
            }
            builder = builder.peephole(config.flag("peephole")).input_forget(config.flag("coupled_input_forget"));
            if let Some(value) = config.take("clip") {
                builder = builder.clip(float(&value));
            }
            if let Some(value) = config.take("projection_units") {
                builder = builder.projection_units(size(&value));
            }
            Recipe::Lstm(common(builder, config)?)
        }
        "GRU" => {
            let mut builder = Gru::builder(inputs, units);
            if let Some(value) = config.take("reset_after") {
                builder = builder.reset_after(flag(&value));
            }
            if let Some(gates) = gates {
                builder = builder.recurrent_activation(gates);
            }
            Recipe::Gru(common(builder, config)?)
        }
        "IndRNN" => Recipe::IndRnn(common(IndRnn::builder(inputs, units), config)?),
        "MGU" => {
            let equations = config.take("equations");
            let form = match (equations.as_ref().map(text_of), config.flag("reset_gate")) {
                (None, true) => MguForm::ResetAfter,
                (None, false) => MguForm::NoReset,
                (Some("zhou2016"), _) => MguForm::ResetBefore,
                other => panic!("equations {other:?}"),
            };
            let mut builder = Mgu::builder(inputs, units).form(form);
            if let Some(gates) = gates {
                builder = builder.recurrent_activation(gates);
            }
            Recipe::Mgu(common(builder, config)?)
        }
        "LayerNormLSTM" => {
            let mut builder = LayerNormLstm::builder(inputs, units);
            if let Some(value) = config.take("epsilon") {
                builder = builder.epsilon(float(&value));
            }
            if let Some(gates) = gates {
                builder = builder.recurrent_activation(gates);
            }
            Recipe::LayerNormLstm(common(builder, config)?)
        }
        other => panic!("a recurrent layer of class {other}"),
    })
}

/// The options that all three have.
fn common<C: BuiltInCell>(mut builder: Builder<'static, C>, config: Config) -> Outcome<Builder<'static, C>> {
    for (key, value) in config.0 {
        builder = match key.as_str() {
            "activation" => builder.activation(activation(&value)?),
            "use_bias" => builder.use_bias(flag(&value)),
            "kernel_initializer" => builder.kernel_initializer(initializer(&value)?),
            "recurrent_initializer" => builder.recurrent_initializer(initializer(&value)?),
            "bias_initializer" => builder.bias_initializer(initializer(&value)?),
            "dropout" => builder.dropout(float(&value)),
            "recurrent_dropout" => builder.recurrent_dropout(float(&value)),
            "seed" => builder.seed(value.as_i64().expect("a seed")),
            "return_sequences" => builder.return_sequences(flag(&value)),
            "return_state" => builder.return_state(flag(&value)),
            "go_backwards" => builder.go_backwards(flag(&value)),
            "zero_output_for_mask" => builder.zero_output_for_mask(flag(&value)),
            "stateful" => builder, // the test's business
            _ => panic!("an option that the test doesn't know: {key}"),
        }
    }
    Ok(builder)
}

/// The layer of a spec, with the seeds of `seeds` where the spec gives none.
pub fn build<T: Element>(spec: &Value, seeds: &mut SeedSource) -> Outcome<Boxed<T>> {
    let mut config = Config::of(spec);
    Ok(match text_of(&spec["class"]) {
        "Bidirectional" => {
            let merge = match config.take("merge_mode").expect("a merge mode").as_str() {
                Some("concat") => Merge::Concat,
                Some("sum") => Merge::Sum,
                Some("mul") => Merge::Mul,
                Some("ave") => Merge::Ave,
                None => Merge::None,
                other => panic!("merge mode {other:?}"),
            };
            config.done();
            Box::new(bidirectional::<T>(spec, seeds)?.merge_mode(merge))
        }
        "RNN" => {
            let layer = Recurrent::from_cell(stack_of_cells::<T>(list(&spec["cells"]), seeds)?)
                .return_sequences(config.flag("return_sequences"))
                .return_state(config.flag("return_state"))
                .go_backwards(config.flag("go_backwards"))
                .zero_output_for_mask(config.flag("zero_output_for_mask"));
            config.take("stateful");
            config.done();
            Box::new(layer)
        }
        "Sequential" => stack(list(&spec["layers"]), seeds)?,
        "TimeDistributed" => Box::new(TimeDistributed::new(dense(&spec["layer"], seeds)?)),
        "Dense" => Box::new(dense(spec, seeds)?),
        _ => each!(recipe::<T>(spec)?, builder => Box::new(builder.seeds(seeds).build()?)),
    })
}

fn bidirectional<T: Element>(spec: &Value, seeds: &mut SeedSource) -> Outcome<Bidirectional<T>> {
    let forward = recipe::<T>(&spec["layer"])?;
    if spec["backward_layer"].is_null() {
        return Ok(each!(forward, forward => Bidirectional::new(forward.seeds(seeds))?));
    }
    let backward = recipe::<T>(&spec["backward_layer"])?;
    Ok(each!(forward, forward => {
        let forward = forward.seeds(seeds);
        each!(backward, backward => Bidirectional::with_backward(forward, backward)?)
    }))
}

fn stack_of_cells<T: Element>(specs: &[Value], seeds: &mut SeedSource) -> Outcome<StackedCells<T>> {
    let mut builder = StackedCells::builder();
    for spec in specs {
        builder = match text_of(&spec["class"]) {
            "StackedRNNCells" => builder.cell(stack_of_cells::<T>(list(&spec["cells"]), seeds)?),
            _ => each!(recipe::<T>(spec)?, cell => builder.cell(cell.seeds(seeds).build_cell()?)),
        };
    }
    Ok(builder.build()?)
}

/// Layers one after another; it returns the states if its recurrent layers do.
pub fn stack<T: Element>(specs: &[Value], seeds: &mut SeedSource) -> Outcome<Boxed<T>> {
    let mut builder = Stacked::builder();
    let mut returns_state = false;
    for spec in specs {
        let layer = build::<T>(spec, seeds)?;
        returns_state |= layer.returns_state();
        builder = builder.layer(layer);
    }
    Ok(Box::new(builder.return_state(returns_state).build()?))
}

pub fn dense<T: Element>(spec: &Value, seeds: &mut SeedSource) -> Outcome<Dense<T>> {
    let mut config = Config::of(spec);
    let mut builder = Dense::builder(size(&spec["input_size"]), size(&config.take("units").expect("units")));
    for (key, value) in config.0 {
        builder = match key.as_str() {
            "activation" => builder.activation(activation(&value)?),
            "use_bias" => builder.use_bias(flag(&value)),
            "kernel_initializer" => builder.kernel_initializer(initializer(&value)?),
            "bias_initializer" => builder.bias_initializer(initializer(&value)?),
            _ => panic!("an option that the test doesn't know: {key}"),
        }
    }
    Ok(builder.seeds(seeds).build()?)
}

pub fn embedding<T: Element>(spec: &Value, seeds: &mut SeedSource) -> Outcome<Embedding<T>> {
    let mut config = Config::of(spec);
    let mut side = |key| size(&config.take(key).expect("a size"));
    let builder = Embedding::builder(side("input_dim"), side("output_dim")).mask_zero(config.flag("mask_zero"));
    config.done();
    Ok(builder.seeds(seeds).build()?)
}

pub fn masking<T: Element>(spec: &Value) -> Outcome<Masking<T>> {
    let mut config = Config::of(spec);
    let mask_value = float(&config.take("mask_value").expect("a mask value"));
    config.done();
    Ok(Masking::new(T::from_f64(mask_value))?)
}
