//! Layers and models that were built here, for Keras: `tests/golden/keras_models/round_trip.py` has Keras compute what
//! they compute.

use crate::predictions;
use ndarray::prelude::*;
use recurrent::model::AnyLayer;
use recurrent::*;

/// A model's bytes and predictions, by its name.
type Written = (&'static str, Vec<u8>, Result<Vec<ArrayD<f64>>>);

/// All of them.
pub fn all() -> Vec<Written> {
    let mut all = Vec::new();
    for (name, model) in layers() {
        all.push(written(name, model));
    }
    for (name, model) in [
        ("translator", translator()),
        ("operations", operations()),
        ("between_layers", between_layers()),
        ("one_after_another", one_after_another()),
        ("masks", masks()),
    ] {
        all.push(written(name, model));
    }
    all.push(written("nested", nested()));
    all.push(written("initializers", initializers()));
    all.push(written("activations", activations()));
    let dense = Dense::<f64>::builder(3, 2).activation(Activation::Selu).seeds(&mut seeds()).build().expect("a layer");
    all.push(written("float64", sequential(vec![dense.into()])));
    all
}

/// With weights that don't depend on how seeds become numbers.
fn written<T: Float>(name: &'static str, mut model: Model<T>) -> Written {
    let weights: Vec<(String, ArrayD<T>)> = model
        .weights()
        .into_iter()
        .enumerate()
        .map(|(i, (name, weight))| {
            let mut at = 11 * i;
            let numbers = ArrayD::from_shape_simple_fn(weight.shape(), || {
                at = (at * 7 + 5) % 61;
                at as f64 / 61.0 - 0.4375
            });
            // A variance isn't negative.
            let variance = name.ends_with("moving_variance");
            (name, numbers.mapv(|number| T::from_f64(if variance { number.abs() + 0.25 } else { number })))
        })
        .collect();
    let views: Vec<_> = weights.iter().map(|(name, weight)| (&**name, weight.view())).collect();
    model.set_weights(&views).expect("all of them");
    let bytes = keras::to_bytes(&model).unwrap_or_else(|error| panic!("{name}: {error}"));
    let predict = if name == "embedding" { predictions::arrays_of_ids } else { predictions::arrays };
    (name, bytes, predict(&model))
}

fn seeds() -> SeedSource {
    SeedSource::keras(7)
}

fn sequential<T: Float>(layers: Vec<AnyLayer<T>>) -> Model<T> {
    let builder = layers.into_iter().fold(Sequential::builder("by_hand"), |model, layer| model.layer(layer));
    builder.build().expect("a model")
}

/// Layers alone, as [`keras::save`] takes them.
fn layers() -> Vec<(&'static str, Model<f32>)> {
    let mut seeds = seeds();
    let simple = SimpleRnn::<f32>::builder(3, 4)
        .activation(Activation::Relu)
        .return_sequences(true)
        .seeds(&mut seeds)
        .build()
        .expect("a layer");
    let lstm = Lstm::<f32>::builder(3, 5)
        .recurrent_activation(Activation::HardSigmoid)
        .unit_forget_bias(false)
        .dropout(0.25)
        .recurrent_dropout(0.125)
        .go_backwards(true)
        .return_state(true)
        .seeds(&mut seeds)
        .build()
        .expect("a layer");
    let gru = Gru::<f32>::builder(3, 4).reset_after(false).use_bias(false).seeds(&mut seeds).build().expect("a layer");
    let cells = StackedCells::builder()
        .cell(Lstm::<f32>::builder(3, 4).seeds(&mut seeds).build_cell().expect("a cell"))
        .cell(Gru::<f32>::builder(4, 2).seeds(&mut seeds).build_cell().expect("a cell"))
        .cell(Lstm::<f32>::builder(2, 3).seeds(&mut seeds).build_cell().expect("a cell"))
        .build()
        .expect("cells");
    let cells = Recurrent::from_cell(cells).return_sequences(true);
    let mut both = |merge| {
        let builder = Lstm::<f32>::builder(3, 4).return_sequences(true).seeds(&mut seeds);
        Bidirectional::new(builder).expect("a layer").merge_mode(merge)
    };
    let (sum, apart) = (both(Merge::Sum), both(Merge::None));
    let first = Gru::<f32>::builder(3, 4).return_sequences(true).seeds(&mut seeds).build().expect("a layer");
    let last = Dense::<f32>::builder(4, 2).activation(Activation::Softmax).seeds(&mut seeds).build().expect("a layer");
    let inner = Stacked::builder().layer(first).layer(last.clone()).build().expect("a stack");
    let after = Lstm::<f32>::builder(2, 3).seeds(&mut seeds).build().expect("a layer");
    let stack = Stacked::builder().layer(inner).layer(after).build().expect("a stack");
    let table = Embedding::<f32>::builder(7, 3).mask_zero(true).seeds(&mut seeds).build().expect("a table");
    let over = Bidirectional::new(Gru::<f32>::builder(3, 4).seeds(&mut seeds)).expect("a layer");
    let each = TimeDistributed::new(Dense::<f32>::builder(3, 2).seeds(&mut seeds).build().expect("a layer"));
    vec![
        ("simple_rnn", sequential(vec![simple.into()])),
        ("lstm", sequential(vec![lstm.into()])),
        ("gru", sequential(vec![gru.into()])),
        ("stacked_cells", sequential(vec![cells.into()])),
        ("bidirectional_sum", sequential(vec![sum.into()])),
        ("bidirectional_none", sequential(vec![apart.into()])),
        ("stacked", sequential(vec![stack.into()])),
        ("embedding", sequential(vec![table.into(), over.into()])),
        ("time_distributed", sequential(vec![each.into(), last_of_two().into()])),
        ("masking", sequential(vec![Masking::new(0.25).expect("a value").into(), last_of_three().into()])),
    ]
}

fn last_of_two() -> Lstm<f32> {
    Lstm::builder(2, 3).seeds(&mut seeds()).build().expect("a layer")
}

fn last_of_three() -> Box<dyn Layer<f32>> {
    Box::new(SimpleRnn::<f32>::builder(3, 2).seeds(&mut seeds()).build().expect("a layer"))
}

/// A state from one layer to another, and outputs with names.
fn translator() -> Model<f32> {
    let (mut graph, mut seeds) = (Model::<f32>::builder("translator"), seeds());
    let source = graph.input("source", [None, Some(8)]).expect("an input");
    let target = graph.input("target", [None, Some(6)]).expect("an input");
    let encoder = Lstm::builder(8, 5).return_state(true).seeds(&mut seeds).build().expect("a layer");
    let encoded = graph.call("encoder", encoder, &[source]).expect("a call");
    let decoder = Lstm::builder(6, 5).return_sequences(true).seeds(&mut seeds).build().expect("a layer");
    let decoded = graph.call_with("decoder", decoder, &[target], |call| call.initial_state(&encoded[1..]));
    let words = Dense::builder(5, 4).seeds(&mut seeds).build().expect("a layer");
    let words = graph.call("words", words, &[decoded.expect("a call")[0]]).expect("a call");
    graph.build_named(&[("hidden", encoded[1]), ("words", words[0])]).expect("a model")
}

/// The operations that are layers of Keras's.
fn operations() -> Model<f32> {
    let (mut graph, mut seeds) = (Model::<f32>::builder("operations"), seeds());
    let x = graph.input("x", [Some(4), Some(6)]).expect("an input");
    let mut at = x;
    let mut dense = || Dense::<f32>::builder(6, 6).seeds(&mut seeds).build().expect("a layer");
    let layers: Vec<(&str, AnyLayer<f32>)> = vec![
        ("layer_norm", ops::LayerNormalization::new(6).expect("a layer").epsilon(0.25).into()),
        ("batch_norm", ops::BatchNormalization::new(6).expect("a layer").epsilon(0.001).into()),
        ("prelu", ops::PRelu::new(Array2::from_elem((1, 6), 0.3).into_dyn()).into()),
        ("elu", Activation::Elu { alpha: 0.5 }.into()),
        ("softmax", ops::Softmax::new(1).into()),
        ("identity", ops::Identity::new().into()),
        ("permute", ops::Permute::new([2, 1]).into()),
        ("reshape", ops::Reshape::new([None, Some(6)]).into()),
        ("each", AnyLayer::from(dense()).for_each_step()),
        ("boxed", (Box::new(TimeDistributed::new(dense())) as Box<dyn Layer<f32>>).into()),
        ("a/slash", (Box::new(dense()) as Box<dyn Layer<f32>>).into()),
    ];
    for (name, layer) in layers {
        at = graph.call(name, layer, &[at]).expect("a call")[0];
    }
    let two: [AnyLayer<f32>; 6] = [
        ops::Add.into(),
        ops::Subtract.into(),
        ops::Multiply.into(),
        ops::Average.into(),
        ops::Maximum.into(),
        ops::Minimum.into(),
    ];
    for layer in two {
        let name = layer.class_name();
        at = graph.call(name, layer, &[at, x]).expect("a call")[0];
    }
    let joined = graph.call("joined", ops::Concatenate::new(1), &[at, x]).expect("a call");
    let flat = graph.call("flat", ops::Flatten, &joined).expect("a call");
    let repeated = graph.call("repeated", ops::RepeatVector::new(3), &flat).expect("a call");
    graph.build(&[repeated[0], at]).expect("a model")
}

/// Operations between layers, and those layers that are read as operations.
fn between_layers() -> Model<f32> {
    let (mut graph, mut seeds) = (Model::<f32>::builder("between"), seeds());
    let x = graph.input("x", [Some(4), Some(6)]).expect("an input");
    let gru = Gru::<f32>::builder(6, 6).return_sequences(true).seeds(&mut seeds).build().expect("a layer");
    let h = graph.call("gru", gru, &[x]).expect("a call")[0];
    let attention = ops::Attention::new().use_scale().causal().return_scores();
    let attended = graph.call("attended", attention, &[h, x]).expect("a call");
    let named = graph.call("real", ops::NotEqual::new(0.25), &[x]).expect("a call");
    let named = graph.call("any_of_them", ops::Any::new(-1), &named).expect("a call")[0];
    let masked = graph.call_with("masked", ops::Attention::new(), &[h, x], |call| call.mask(&[named, named]));
    let masked = masked.expect("a call")[0];
    let mut call = |name: &str, layer: AnyLayer<f32>, inputs: &[recurrent::model::ModelNode]| {
        graph.call(name, layer, inputs).expect("a call")[0]
    };
    let turned = call("turned", ops::Transpose::new([0, 2, 1]).into(), &[h]);
    let product = call("product", ops::Matmul.into(), &[h, turned]);
    let angle = call("angle", ops::Dot::new(2, 2).normalize().into(), &[h, x]);
    let backwards = call("backwards", ops::Flip::new(1).into(), &[attended[0]]);
    let scaled = call("scaled", ops::Rescaling::new(0.3, -1.7).into(), &[backwards]);
    let last = call("last", ops::GetItem::at(1, -1).into(), &[scaled]);
    let middle = call("middle", ops::GetItem::range(1, Some(1), Some(3)).into(), &[scaled]);
    let sum = call("sum", ops::Sum::new(1).keepdims().into(), &[middle]);
    let mean = call("mean", ops::Mean::new(-1).into(), &[sum]);
    let least = call("least", ops::Min::new(1).into(), &[product]);
    let most = call("most", ops::Max::new(2).into(), &[angle]);
    graph.build(&[last, mean, least, most, masked, attended[1]]).expect("a model")
}

/// A Sequential that Keras has as a graph: operations aren't layers there.
fn one_after_another() -> Model<f32> {
    let mut seeds = seeds();
    let gru = Gru::<f32>::builder(3, 4).return_sequences(true).seeds(&mut seeds).build().expect("a layer");
    let dense = Dense::<f32>::builder(4, 2).seeds(&mut seeds).build().expect("a layer");
    sequential(vec![
        gru.into(),
        ops::Flip::new(1).into(),
        ops::GetItem::range(1, Some(1), None).into(),
        dense.into(),
        ops::Mean::new(1).into(),
    ])
}

/// A mask that is made of numbers, and named by a call; one that goes along; a layer that is called twice.
fn masks() -> Model<f32> {
    let (mut graph, mut seeds) = (Model::<f32>::builder("masks"), seeds());
    let x = graph.input("x", [None, Some(3)]).expect("an input");
    let real = graph.call("real", ops::NotEqual::new(0.25), &[x]).expect("a call");
    let any = graph.call("any_of_them", ops::Any::new(-1), &real).expect("a call");
    let lstm = Lstm::builder(3, 4).return_sequences(true).seeds(&mut seeds).build().expect("a layer");
    let masked = graph.call_with("lstm", lstm, &[x], |call| call.mask(&any)).expect("a call");
    let again = graph.call_again("lstm", &[x]).expect("a call");
    let joined = graph.call("joined", ops::Concatenate::new(-1), &[masked[0], again[0]]).expect("a call");
    let gru = Gru::builder(8, 2).seeds(&mut seeds).build().expect("a layer");
    let last = graph.call("gru", gru, &joined).expect("a call");
    graph.build(&last).expect("a model")
}

/// Models within a model, for each step too; a layer that isn't trained.
fn nested() -> Model<f32> {
    let mut seeds = seeds();
    let mut dense = |units| Dense::<f32>::builder(3, units).seeds(&mut seeds).build().expect("a layer");
    let row = Sequential::<f32>::builder("row").input_shape([Some(3)]).layer(dense(3)).layer(dense(2)).build();
    let mut pair = Model::<f32>::builder("pair");
    let (a, b) = (pair.input("a", [None, Some(3)]).expect("an input"), pair.input("b", [None, Some(3)]).expect("one"));
    let sum = pair.call("sum", ops::Add, &[a, b]).expect("a call");
    let wide = pair.call("wide", dense(3), &[a]).expect("a call");
    let pair = pair.build(&[sum[0], wide[0]]).expect("a model");
    let mut graph = Model::<f32>::builder("outer");
    let x = graph.input("x", [Some(4), Some(3)]).expect("an input");
    let first = graph.call("first", dense(3), &[x]).expect("a call");
    let both = graph.call("pair", pair, &[first[0], x]).expect("a call");
    let twice = graph.call_again("pair", &both).expect("a call");
    let each = AnyLayer::from(row.expect("a model")).for_each_step();
    let each = graph.call("each", each, &[twice[0]]).expect("a call");
    let mut model = graph.build(&[each[0], twice[1]]).expect("a model");
    model.set_trainable("first", false).expect("a layer");
    model
}

fn initializers() -> Model<f32> {
    let axes = Initializer::VarianceScaling {
        scale: 2.0,
        mode: FanMode::FanAvg,
        distribution: ScalingDistribution::Uniform,
        input_axes: None,
        output_axes: None,
        seed: Some(3),
    };
    let seeded = |initializer: Initializer| initializer.with_seed(5);
    let all = [
        Initializer::Zeros,
        Initializer::Ones,
        Initializer::Constant { value: 0.5 },
        Initializer::identity(),
        Initializer::Identity { gain: 2.0 },
        seeded(Initializer::random_normal()),
        seeded(Initializer::random_uniform()),
        seeded(Initializer::truncated_normal()),
        axes,
        seeded(Initializer::GlorotNormal { seed: None }),
        seeded(Initializer::GlorotUniform { seed: None }),
        seeded(Initializer::HeNormal { seed: None }),
        seeded(Initializer::HeUniform { seed: None }),
        seeded(Initializer::LecunNormal { seed: None }),
        seeded(Initializer::LecunUniform { seed: None }),
        seeded(Initializer::Orthogonal { gain: 0.5, seed: None }),
    ];
    let dense = |kernel: &Initializer| Dense::<f32>::builder(3, 3).kernel_initializer(kernel.clone()).build();
    sequential(all.iter().map(|kernel| dense(kernel).expect("a layer").into()).collect())
}

/// By name, and with parameters that Keras has words for.
fn activations() -> Model<f32> {
    let names = [
        "relu",
        "relu6",
        "leaky_relu",
        "elu",
        "selu",
        "celu",
        "softplus",
        "softsign",
        "squareplus",
        "soft_shrink",
        "sparse_plus",
        "silu",
        "gelu",
        "tanh",
        "tanh_shrink",
        "sigmoid",
        "exponential",
        "hard_sigmoid",
        "hard_silu",
        "hard_tanh",
        "hard_shrink",
        "linear",
        "mish",
        "log_softmax",
        "log_sigmoid",
        "sparsemax",
        "threshold",
        "softmax",
    ];
    let named = names.iter().filter_map(|name| name.parse::<Activation>().ok());
    let given = [
        Activation::LeakyRelu { negative_slope: 0.125 },
        Activation::Elu { alpha: 0.25 },
        Activation::ReluWith { negative_slope: 0.25, max_value: Some(1.5), threshold: 0.125 },
        Activation::ReluWith { negative_slope: 0.25, max_value: None, threshold: 0.0 },
    ];
    let mut seeds = seeds();
    let layers = named.chain(given).enumerate().map(|(i, activation)| match i % 2 {
        0 => AnyLayer::from(activation),
        _ => {
            let dense = Dense::<f32>::builder(3, 3).activation(activation).seeds(&mut seeds);
            dense.build().expect("a layer").into()
        }
    });
    sequential(layers.collect())
}
