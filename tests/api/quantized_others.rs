//! Embedding and Conv1D in fewer bits: against equations in f64 that are written here from the definition, and against
//! the f32 layers that have the same weights.

use ndarray::prelude::*;
use recurrent::model::AnyLayer;
use recurrent::training::Tape;
use recurrent::{
    Activation, Conv1D, Dense, Embedding, Error, Gru, Lstm, Model, Padding, Precision, QuantizedConv1D, Sequential, ops,
};

/// Numbers between -1 and 1, always the same.
fn numbers<D: Dimension>(seed: u64, shape: impl ShapeBuilder<Dim = D>) -> Array<f32, D> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    Array::from_shape_simple_fn(shape, || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    })
}

fn table(rows: usize, columns: usize) -> Embedding<f32> {
    let mut table = Embedding::<f32>::builder(rows, columns).mask_zero(true).build().unwrap();
    table.set_embeddings(numbers(3, (rows, columns)).into_dyn().view()).unwrap();
    table
}

/// A row's largest number is 127 times its scale; each is the nearest multiple. A row of zeros stays one.
#[test]
fn rows_of_tables_are_the_nearest_multiples() {
    let mut table = table(9, 33);
    let mut values = table.embeddings().to_owned();
    values.row_mut(4).fill(0.0);
    values.row_mut(5).mapv_inplace(|value| value * 1e-4);
    values.row_mut(6).mapv_inplace(|value| value * 1e30);
    table.set_embeddings(values.view().into_dyn()).unwrap();
    let ids = array![[0_u16, 4, 5], [6, 8, 2]];
    for precision in Precision::ALL {
        let small = table.quantize(precision).unwrap();
        let given = small.dequantized("embeddings").unwrap();
        for (row, given) in values.rows().into_iter().zip(given.rows()) {
            let largest = row.iter().fold(0.0_f64, |largest, &w| largest.max(f64::from(w).abs()));
            for (&value, &given) in row.iter().zip(given) {
                let expected = match (precision, largest > 0.0) {
                    (_, false) => 0.0,
                    (Precision::Bf16, _) => f64::from(f32::from_bits(
                        (value.to_bits() + 0x7fff + (value.to_bits() >> 16 & 1)) & 0xffff_0000,
                    )),
                    _ => (f64::from(value) * 127.0 / largest).round_ties_even() * largest / 127.0,
                };
                assert!(
                    (f64::from(given) - expected).abs() <= 1e-7 * largest,
                    "{precision} {value}: {given} {expected}"
                );
            }
        }
        // What is looked up is what the numbers mean, and the mask is the table's.
        let (found, mask) = small.forward(&ids).unwrap();
        for ((row, time), &id) in ids.indexed_iter() {
            assert_eq!(found.slice(s![row, time, ..]).into_dyn(), given.index_axis(Axis(0), usize::from(id)));
        }
        assert_eq!(mask, Some(array![[false, true, true], [true, true, true]]));
        assert!(matches!(small.forward(&array![[9]]), Err(Error::EmbeddingId { vocabulary: 9, .. })));
        assert!(matches!(small.forward(&array![[-1]]), Err(Error::EmbeddingId { .. })));
        assert!(matches!(small.weight("embeddings"), Err(Error::QuantizedWeight { .. })));
        assert_eq!(small.count_params(), table.count_params());
    }
    values[[7, 1]] = f32::NAN;
    table.set_embeddings(values.view().into_dyn()).unwrap();
    for precision in Precision::ALL {
        let refused = table.quantize(precision).map(|_| ()).unwrap_err();
        assert!(matches!(&refused, Error::QuantizedValue { weight, .. } if weight == "embeddings"), "{refused}");
    }
    let double = Embedding::<f64>::new(3, 4).quantize(Precision::Int8).map(|_| ());
    assert!(matches!(double, Err(Error::CannotQuantize { layer, .. }) if layer == "Embedding"));
}

#[test]
fn sizes() {
    let (table, conv) = (table(500, 64), Conv1D::<f32>::builder(48, 128, 5).build().unwrap());
    for (precision, share) in [(Precision::Int8, 0.29), (Precision::Int8Fast, 0.29), (Precision::Bf16, 0.53)] {
        let of_table = table.quantize(precision).unwrap().weight_bytes() as f64 / table.weight_bytes() as f64;
        let of_conv = conv.quantize(precision).unwrap().weight_bytes() as f64 / conv.weight_bytes() as f64;
        assert!(of_table <= share && of_conv <= share, "{precision}: {of_table} {of_conv}");
    }
}

/// Each option of a convolution, with its biases not zero.
fn convolutions() -> Vec<Conv1D<f32>> {
    let plain = |input, filters, size| Conv1D::<f32>::builder(input, filters, size).activation(Activation::Tanh);
    let layers = [
        plain(3, 5, 4).padding(Padding::Causal),
        plain(20, 33, 3).padding(Padding::Valid).strides(2),
        plain(6, 8, 3).padding(Padding::Same).groups(2).activation(Activation::Softmax),
        plain(4, 20, 3).padding(Padding::Causal).dilation_rate(2).use_bias(false),
        plain(6, 9, 2).padding(Padding::Causal).dilation_rate(3).groups(3).activation(Activation::Relu),
        plain(2, 17, 1),
    ];
    let weighted = |mut layer: Conv1D<f32>| {
        let new: Vec<(String, ArrayD<f32>)> =
            layer.weights().iter().map(|(name, old)| (name.clone(), numbers(5, old.raw_dim()))).collect();
        let new: Vec<_> = new.iter().map(|(name, array)| (&**name, array.view())).collect();
        layer.set_weights(&new).unwrap();
        layer
    };
    layers.into_iter().map(|layer| weighted(layer.build().unwrap())).collect()
}

fn model_of(layer: impl Into<AnyLayer<f32>>) -> Model<f32> {
    Sequential::<f32>::builder("m").named("conv", layer).build().unwrap()
}

/// The same layer with the weights that a quantized one means.
fn dequantized(layer: &Conv1D<f32>, small: &QuantizedConv1D) -> Conv1D<f32> {
    let mut same = layer.clone();
    let names: Vec<String> = layer.weights().into_iter().map(|(name, _)| name).collect();
    let arrays: Vec<ArrayD<f32>> = names.iter().map(|name| small.dequantized(name).unwrap()).collect();
    let new: Vec<_> = names.iter().zip(&arrays).map(|(name, array)| (&**name, array.view())).collect();
    same.set_weights(&new).unwrap();
    same
}

/// The number of input features.
fn features(layer: &Conv1D<f32>) -> usize {
    let name = format!("{layer:?}");
    let rest = name.split_once("input_size: ").unwrap().1;
    rest.split_once(',').unwrap().0.parse().unwrap()
}

/// By the definition, of a valid or causal layer without strides, dilations or groups: a window is a row of whole
/// numbers with a scale.
fn by_equations(small: &QuantizedConv1D, x: &Array3<f32>, causal: bool, limit: f64) -> Array3<f64> {
    let kernel = small.dequantized("kernel").unwrap().mapv(f64::from);
    let bias = small.dequantized("bias").unwrap().mapv(f64::from);
    let (size, channels, filters) = (kernel.shape()[0], kernel.shape()[1], kernel.shape()[2]);
    let (batch, steps, _) = x.dim();
    let before = if causal { size - 1 } else { 0 };
    Array3::from_shape_fn((batch, steps + before + 1 - size, filters), |(row, time, filter)| {
        let read = |tap: usize, channel: usize| match (time + tap).checked_sub(before) {
            Some(at) => f64::from(x[[row, at, channel]]),
            None => 0.0,
        };
        let window: Vec<f64> = (0..size * channels).map(|i| read(i / channels, i % channels)).collect();
        let largest = window.iter().fold(0.0_f64, |largest, x| largest.max(x.abs()));
        let sum: f64 = window
            .iter()
            .enumerate()
            .map(|(i, x)| {
                let q = if largest > 0.0 { (x * limit / largest).round_ties_even() * largest / limit } else { 0.0 };
                q * kernel[[i / channels, i % channels, filter]]
            })
            .sum();
        (sum + bias[filter]).tanh()
    })
}

#[test]
fn a_window_is_the_equations() {
    let layers = convolutions();
    for (layer, causal) in [(&layers[0], true), (&layers[5], false)] {
        for (precision, limit) in [(Precision::Int8, 8191.0), (Precision::Int8Fast, 127.0)] {
            let small = layer.quantize(precision).unwrap();
            for (seed, scale) in [(1, 1.0), (2, 30.0), (3, 1e-3)] {
                let x = numbers(seed, (2, 7, features(layer))) * scale;
                let found = model_of(small.clone()).predict_one(&x).unwrap();
                let expected = by_equations(&small, &x, causal, limit).into_dyn();
                assert_eq!(found.shape(), expected.shape());
                for (found, expected) in found.iter().zip(&expected) {
                    assert!((f64::from(*found) - expected).abs() < 4e-6, "{precision}: {found} {expected}");
                }
            }
        }
    }
}

/// All options: f32 with the same weights, as near as 14 or 8 bits of the inputs are; 16-bit weights bit for bit.
#[test]
fn all_options_are_those_of_f32() {
    for layer in convolutions() {
        let x = numbers(7, (3, 11, features(&layer)));
        for precision in Precision::ALL {
            let small = layer.quantize(precision).unwrap();
            let expected = model_of(dequantized(&layer, &small)).predict_one(&x).unwrap();
            let found = model_of(small.clone()).predict_one(&x).unwrap();
            assert_eq!(found.shape(), expected.shape());
            let reads = small.dequantized("kernel").unwrap();
            let reads = (reads.shape()[0] * reads.shape()[1]) as f32;
            // A half of a part for each number that is read, times a weight below 1.
            let allowed = match precision {
                Precision::Int8 => reads * 0.5 / 8191.0 + 1e-5,
                Precision::Int8Fast => reads * 0.5 / 127.0,
                _ => 0.0,
            };
            let error = found.iter().zip(&expected).fold(0.0_f32, |error, (a, b)| error.max((a - b).abs()));
            assert!(error <= allowed, "{precision} {layer:?}: {error} {allowed}");
        }
    }
}

/// A row of a batch is the row alone, and steps of a stream are the whole.
#[test]
fn rows_and_steps() {
    for layer in convolutions() {
        let x = numbers(9, (4, 13, features(&layer)));
        for precision in Precision::ALL {
            let model = model_of(layer.quantize(precision).unwrap());
            let whole = model.predict_one(&x).unwrap();
            for row in 0..4 {
                let alone = model.predict_one(&x.slice(s![row..=row, .., ..]).to_owned()).unwrap();
                assert_eq!(alone.index_axis(Axis(0), 0), whole.index_axis(Axis(0), row), "{precision} {layer:?}");
            }
            let Ok(mut stream) = model.stream(4) else { continue };
            let mut outputs = 0;
            for time in 0..13 {
                let step = x.index_axis(Axis(1), time).to_owned();
                if let Some(found) = stream.push(&[(&step).into()]).unwrap() {
                    assert_eq!(found[0].view(), whole.index_axis(Axis(1), outputs), "{precision} {layer:?}");
                    outputs += 1;
                }
            }
            assert_eq!(outputs, whole.len_of(Axis(1)), "{precision} {layer:?}");
        }
    }
}

/// An infinity or a NaN does what it does in f32, in the windows that see it and nowhere else; numbers of any size.
#[test]
fn odd_numbers() {
    let layer = &convolutions()[0];
    for precision in Precision::ALL {
        let small = layer.quantize(precision).unwrap();
        let (same, small) = (model_of(dequantized(layer, &small)), model_of(small));
        let mut x = numbers(11, (4, 12, 3));
        let plain = small.predict_one(&x).unwrap();
        for (row, value) in [(1, f32::NAN), (2, f32::INFINITY), (3, f32::NEG_INFINITY)] {
            x[[row, 5, 1]] = value;
        }
        let (found, expected) = (small.predict_one(&x).unwrap(), same.predict_one(&x).unwrap());
        for ((at, &found), &expected) in found.indexed_iter().zip(&expected) {
            let seen = at[0] > 0 && (5..9).contains(&at[1]);
            if !seen {
                assert_eq!(found, plain[&at], "{precision} at {at:?}");
            }
            assert_eq!(found.is_nan(), expected.is_nan(), "{precision} at {at:?}");
            assert!(found.is_nan() || (found - expected).abs() < 0.1, "{precision} at {at:?}: {found} {expected}");
        }
        for value in [f32::MAX, 1e-35, 0.0] {
            let found = small.predict_one(&Array3::from_elem((1, 6, 3), value)).unwrap();
            assert!(found.iter().all(|y| y.is_finite()), "{precision} of {value}");
        }
    }
    let mut odd = convolutions().swap_remove(0);
    let mut kernel = odd.weight("kernel").unwrap().to_owned();
    kernel.index_axis_mut(Axis(2), 1).fill(0.0);
    odd.set_weights(&[("kernel", kernel.view())]).unwrap();
    let zeros = odd.quantize(Precision::Int8).unwrap().dequantized("kernel").unwrap();
    assert!(zeros.index_axis(Axis(2), 1).iter().all(|&weight| weight == 0.0));
    kernel[[0, 0, 0]] = f32::INFINITY;
    odd.set_weights(&[("kernel", kernel.view())]).unwrap();
    let refused = odd.quantize(Precision::Bf16).map(|_| ());
    assert_eq!(refused, Err(Error::QuantizedValue { weight: "kernel".into(), given: f32::INFINITY }));
    let double = Conv1D::<f64>::builder(3, 4, 2).build().unwrap().quantize(Precision::Int8).map(|_| ());
    assert!(matches!(double, Err(Error::CannotQuantize { layer, .. }) if layer == "Conv1D"));
}

/// Ids to classes: an Embedding whose mask goes on, and one whose vectors a convolution reads.
fn of_ids() -> Model<f32> {
    let mut graph = Model::<f32>::builder("words");
    let ids = graph.input_of_ids("ids", [None]).unwrap();
    let vectors = graph.call("table", table(12, 24), &[ids]).unwrap();
    let conv = Conv1D::builder(24, 20, 3).padding(Padding::Causal).activation(Activation::Relu).build().unwrap();
    let seen = graph.call("conv", conv, &vectors).unwrap();
    let other = Lstm::builder(24, 20).return_sequences(true).build().unwrap();
    let heard = graph.call("lstm", other, &vectors).unwrap();
    let both = graph.call("both", ops::Add, &[seen[0], heard[0]]).unwrap();
    let last = graph.call("gru", Gru::new(20, 9), &both).unwrap();
    let out = graph.call("head", Dense::new(9, 2), &last).unwrap();
    graph.build(&out).unwrap()
}

#[test]
fn in_models() {
    let model = of_ids();
    let ids = array![[3_i64, 1, 11, 4, 0, 0], [7, 2, 9, 5, 6, 8]];
    for precision in Precision::ALL {
        let small = model.quantize(precision).unwrap();
        let summary = small.to_string();
        for class in ["QuantizedEmb", "QuantizedConv1D", "QuantizedLSTM", "QuantizedDense"] {
            assert!(summary.contains(class), "{summary}");
        }
        assert_eq!(small.count_params(), model.count_params());
        for name in ["table/embeddings", "conv/kernel", "conv/bias"] {
            let refused = small.weight(name).map(|_| ());
            assert_eq!(refused, Err(Error::QuantizedWeight { name: name.into() }));
            assert_eq!(small.dequantized(name).unwrap().shape(), model.weight(name).unwrap().shape());
        }
        assert!(matches!(small.embedding("table"), Err(Error::QuantizedWeight { name }) if name == "table/embeddings"));
        // The f32 model with the same weights, as near as activations in fewer bits let it.
        let mut same = model.clone();
        let names: Vec<String> = model.weights().into_iter().map(|(name, _)| name).collect();
        let arrays: Vec<ArrayD<f32>> = names.iter().map(|name| small.dequantized(name).unwrap()).collect();
        let new: Vec<_> = names.iter().zip(&arrays).map(|(name, array)| (&**name, array.view())).collect();
        same.set_weights(&new).unwrap();
        let (found, expected) = (small.predict_one(&ids).unwrap(), same.predict_one(&ids).unwrap());
        let allowed = [2e-3, 5e-2, 0.0][Precision::ALL.iter().position(|own| *own == precision).unwrap()];
        for (found, expected) in found.iter().zip(&expected) {
            assert!((found - expected).abs() <= allowed, "{precision}: {found} {expected}");
        }
        let difference = &model.compare(&small, &[(&ids).into()]).unwrap()[0];
        assert!(difference.largest() > 0.0 && difference.largest() < 0.1, "{difference}");
        // Step by step, masks and all.
        let mut stream = small.stream(2).unwrap();
        let mut last = ArrayD::zeros(vec![2, 2]);
        for step in ids.axis_iter(Axis(1)) {
            let found = stream.step(&[(&step.to_owned()).into()]).unwrap();
            last = found[0].clone();
        }
        assert_eq!(last, found, "{precision}");
        let refused = small.record(&[(&ids).into()], &mut Tape::new()).unwrap_err().to_string();
        assert!(refused.contains("can't be trained"), "{refused}");
        let refused = small.quantize(precision).map(|_| ()).unwrap_err().to_string();
        assert!(refused.contains("table/QuantizedEmbedding") && refused.contains("already"), "{refused}");
        let refused = small.into_layer().map(|_| ()).unwrap_err().to_string();
        assert!(refused.contains("Model::stream"), "{refused}");
    }
    // By hand, each alone.
    let conv = convolutions().swap_remove(0).quantize(Precision::Int8).unwrap();
    let alone = model_of(conv);
    let refused = alone.record(&[(&numbers(1, (1, 5, 3))).into()], &mut Tape::new()).unwrap_err();
    assert!(refused.to_string().contains("QuantizedConv1D"), "{refused}");
    let small = table(12, 24).quantize(Precision::Bf16).unwrap();
    let chain = Sequential::<f32>::builder("m").layer(small).layer(Gru::new(24, 3)).build().unwrap();
    let refused = chain.record(&[(&ids).into()], &mut Tape::new()).unwrap_err();
    assert!(refused.to_string().contains("QuantizedEmbedding"), "{refused}");
    let refused = chain.into_layer().map(|_| ()).unwrap_err().to_string();
    assert!(refused.contains("a table in fewer bits: use Model::stream"), "{refused}");
    let double = Sequential::<f64>::builder("m").layer(Embedding::new(3, 4)).build().unwrap();
    let refused = double.quantize(Precision::Int8).map(|_| ()).unwrap_err().to_string();
    assert!(refused.starts_with("can't quantize embedding/Embedding: it is of f64"), "{refused}");
}

/// The program of the page `fewer_bits`.
#[cfg(feature = "file")]
#[test]
fn shipping_a_model() -> Result<(), Box<dyn std::error::Error>> {
    use recurrent::file;
    let model = Sequential::<f32>::builder("detector")
        .layer(Conv1D::builder(16, 64, 5).padding(Padding::Causal).build()?)
        .layer(Gru::builder(64, 96).return_sequences(true).build()?)
        .layer(Dense::new(96, 4))
        .build()?;
    let small = model.quantize(Precision::Int8)?;
    let x = Array3::<f32>::ones((4, 50, 16));
    let difference = &model.compare(&small, &[(&x).into()])?[0];
    assert!(difference.largest() < 0.05, "{difference}");
    let bytes = file::to_bytes(&small)?;
    assert!(bytes.len() * 3 < file::to_bytes(&model)?.len());
    let loaded: Model<f32> = file::from_bytes(&bytes)?;
    let mut stream = loaded.stream(1)?;
    assert_eq!(stream.step_one(&[0.5; 16])?.len(), 4);
    Ok(())
}
