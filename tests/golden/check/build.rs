//! Builds this crate's layers from the specs of the data files, which speak Keras's words.

use recurrent::{
    Activation, Builder, FanMode, Gru, Initializer, Kind, Layer, Lstm, Run, ScalingDistribution, SeedSource,
};
use recurrent::{SimpleRnn, State};
use serde_json::{Map, Value};

use super::data::{Element, Outcome, array, close, flag, float, list, matrix, size, text_of};

pub type Boxed<T> = Box<dyn Layer<T>>;

/// The options of a spec. What is read is taken out, so that `done` can complain about what nobody read.
struct Config(Map<String, Value>);

impl Config {
    fn of(spec: &Value) -> Self {
        Config(spec["config"].as_object().cloned().unwrap_or_default())
    }

    fn take(&mut self, key: &str) -> Option<Value> {
        self.0.remove(key)
    }

    fn done(self) {
        assert!(self.0.is_empty(), "options that the test doesn't know: {:?}", self.0.keys().collect::<Vec<_>>());
    }
}

/// `None`, a name, or `{"name": .., "args": {..}}`.
pub fn activation(value: &Value) -> Outcome<Activation> {
    if value.is_null() {
        return Ok(Activation::Linear);
    }
    Ok(value.as_str().unwrap_or_else(|| todo!()).parse()?)
}

/// `{"class": .., "config": {..}}`: Keras's class name, and the parameters that differ from Keras's defaults.
pub fn initializer(value: &Value) -> Outcome<Initializer> {
    let mut made: Initializer = text_of(&value["class"]).parse()?;
    for (key, given) in value["config"].as_object().expect("a config") {
        use Initializer::*;
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
            (other, key) => panic!("{other} has no {key}"),
        }
    }
    Ok(made)
}

/// The layer of a spec, with the seeds of `seeds` where the spec gives none.
pub fn build<T: Element>(spec: &Value, seeds: &mut SeedSource) -> Outcome<Boxed<T>> {
    let (input_size, mut config) = (size(&spec["input_size"]), Config::of(spec));
    let units = config.take("units").as_ref().map_or(0, size);
    Ok(match text_of(&spec["class"]) {
        "SimpleRNN" => Box::new(common(SimpleRnn::<T>::builder(input_size, units), config)?.seeds(seeds).build()?),
        "LSTM" => {
            let mut builder = Lstm::<T>::builder(input_size, units);
            if let Some(value) = config.take("unit_forget_bias") {
                builder = builder.unit_forget_bias(flag(&value));
            }
            if let Some(value) = config.take("recurrent_activation") {
                builder = builder.recurrent_activation(activation(&value)?);
            }
            Box::new(common(builder, config)?.seeds(seeds).build()?)
        }
        "GRU" => {
            let mut builder = Gru::<T>::builder(input_size, units);
            if let Some(value) = config.take("reset_after") {
                builder = builder.reset_after(flag(&value));
            }
            if let Some(value) = config.take("recurrent_activation") {
                builder = builder.recurrent_activation(activation(&value)?);
            }
            Box::new(common(builder, config)?.seeds(seeds).build()?)
        }
        other => panic!("a layer of class {other}"),
    })
}

/// The options that all recurrent layers have.
fn common<C: Kind>(mut builder: Builder<'static, C>, mut config: Config) -> Outcome<Builder<'static, C>> {
    for (key, value) in std::mem::take(&mut config.0) {
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
            _ => panic!("options that the test doesn't know: {key}"),
        }
    }
    config.done();
    Ok(builder)
}

/// The layer of a case, with the case's weights.
pub fn layer<T: Element>(case: &Value) -> Outcome<Boxed<T>> {
    let mut layer = build(&case["layer"], &mut SeedSource::random()?)?;
    set_weights(&mut *layer, &case["weights"])?;
    Ok(layer)
}

/// Sets all weights, whose names must be Keras's, in Keras's order.
pub fn set_weights<T: Element>(layer: &mut dyn Layer<T>, weights: &Value) -> Outcome {
    let given: Vec<_> = list(weights).iter().map(|w| (text_of(&w["name"]), array::<T>(&w["array"]))).collect();
    let ours: Vec<_> = layer.weights().into_iter().map(|(name, _)| name).collect();
    let names: Vec<_> = given.iter().map(|(name, _)| *name).collect();
    if ours != names {
        return Err(format!("weights {ours:?}, Keras's are {names:?}").into());
    }
    let views: Vec<_> = given.iter().map(|(name, array)| (*name, array.view())).collect();
    Ok(layer.set_weights(&views)?)
}

/// An initial state from a list of named arrays, which must be all of the layer's; `None` for null.
pub fn state<T: Element>(layer: &dyn Layer<T>, parts: &Value) -> Outcome<Option<State<T>>> {
    if parts.is_null() {
        return Ok(None);
    }
    let first = matrix::<T>(&list(parts)[0]["array"]);
    let mut state = layer.initial_state(first.nrows());
    same_names(state.names(), parts)?;
    for part in list(parts) {
        state.set(text_of(&part["name"]), &matrix(&part["array"]))?;
    }
    Ok(Some(state))
}

/// That a state has Keras's parts, in Keras's order, with Keras's numbers.
pub fn close_state<T: Element>(ours: &State<T>, parts: &Value) -> Outcome {
    same_names(ours.names(), parts)?;
    for part in list(parts) {
        let name = text_of(&part["name"]);
        close(name, ours.get(name)?, &array(&part["array"]))?;
    }
    Ok(())
}

/// That names are those of a list of named arrays, in its order.
pub fn same_names<'a>(ours: impl Iterator<Item = &'a str>, parts: &Value) -> Outcome {
    let ours: Vec<_> = ours.collect();
    let keras: Vec<_> = list(parts).iter().map(|part| text_of(&part["name"])).collect();
    if ours == keras { Ok(()) } else { Err(format!("names {ours:?}, Keras's are {keras:?}").into()) }
}

/// Runs a layer and checks what it returns: output, second output, states.
pub fn run_and_check<T: Element>(layer: &dyn Layer<T>, case: &Value, run: Run<'_, T>) -> Outcome {
    let output = layer.run(&super::data::sequence(&case["input"]), run)?;
    for (key, output) in [("output", Some(&output)), ("output_backward", output.backward().ok())] {
        if case[key].is_null() {
            if output.is_some() {
                return Err("a backward output, which Keras hasn't got".into());
            }
            continue;
        }
        let (keras, output) = (array(&case[key]), output.ok_or("no backward output")?);
        match output.sequence() {
            Ok(sequence) => close(key, sequence.view(), &keras)?,
            Err(_) => close(key, output.last().view(), &keras)?,
        }
    }
    match output.state() {
        Ok(state) => close_state(state, &case["states"]),
        Err(_) if case["states"].is_null() => Ok(()),
        Err(error) => Err(error.into()),
    }
}
