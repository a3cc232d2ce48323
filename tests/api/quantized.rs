//! Layers in fewer bits: what they compute, with what they are given, and what they refuse.
//!
//! Numbers are compared with equations in f64 that are written here from the definition: weights as whole numbers with
//! a scale for each column, rows of x and h as whole numbers with a scale for each row. That their bits don't depend on
//! batches, chunks, masks, the machine is among `tests/laws` and `tests/machine`.

use ndarray::prelude::*;
use recurrent::training::Tape;
use recurrent::{
    Activation, Bidirectional, Cell, Comparison, Dense, Error, Gru, IndRnn, Layer, Lstm, Precision, Recurrent, Run,
    Sequential, SimpleRnn, Stacked, Stream, TimeDistributed, cell::QuantizedCell,
};

const INT8: [(Precision, f64); 2] = [(Precision::Int8, 8191.0), (Precision::Int8Fast, 127.0)];

/// Numbers between -1 and 1, always the same.
fn numbers<D: Dimension>(seed: u64, shape: impl ShapeBuilder<Dim = D>) -> Array<f32, D> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    Array::from_shape_simple_fn(shape, || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    })
}

/// A layer whose weights are all distinct, the bias not zero.
fn weighted<C: Cell<Elem = f32>>(mut layer: Recurrent<C>) -> Recurrent<C> {
    let scale = 1.5 / (layer.weights()[1].1.shape()[0] as f32).sqrt();
    let new: Vec<(String, ArrayD<f32>)> =
        layer.weights().iter().map(|(name, old)| (name.clone(), numbers(3, old.raw_dim()) * scale)).collect();
    let new: Vec<_> = new.iter().map(|(name, array)| (&**name, array.view())).collect();
    layer.set_weights(&new).unwrap();
    layer
}

/// The f32 layer with the weights that a quantized one means.
fn dequantized<C: Cell<Elem = f32>>(layer: &Recurrent<C>, small: &Recurrent<QuantizedCell>) -> Recurrent<C> {
    let mut same = layer.clone();
    let names: Vec<String> = layer.weights().into_iter().map(|(name, _)| name).collect();
    let arrays: Vec<ArrayD<f32>> = names.iter().map(|name| small.dequantized(name).unwrap()).collect();
    let new: Vec<_> = names.iter().zip(&arrays).map(|(name, array)| (&**name, array.view())).collect();
    same.set_weights(&new).unwrap();
    same
}

/// A row as whole numbers times its scale.
fn rounded(row: &[f64], limit: f64) -> Vec<f64> {
    let largest = row.iter().fold(0.0_f64, |largest, x| largest.max(x.abs()));
    row.iter()
        .map(|x| if largest == 0.0 { 0.0 } else { (x * limit / largest).round_ties_even() * largest / limit })
        .collect()
}

fn product(row: &[f64], matrix: &Array2<f64>) -> Array1<f64> {
    ArrayView1::from(row).dot(matrix)
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn f64s(array: ArrayD<f32>) -> ArrayD<f64> {
    array.mapv(f64::from)
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Rnn,
    Lstm,
    GruAfter,
    GruBefore,
}

/// One step in f64 by the definition: the new state, h and then c.
fn step(kind: Kind, small: &Recurrent<QuantizedCell>, limit: f64, x: &[f64], state: &[f64], units: usize) -> Vec<f64> {
    let matrix = |name| f64s(small.dequantized(name).unwrap()).into_dimensionality::<Ix2>().unwrap();
    let (kernel, recurrent) = (matrix("kernel"), matrix("recurrent_kernel"));
    let bias = f64s(small.dequantized("bias").unwrap());
    let (bias_x, bias_h) = match bias.ndim() {
        1 => (bias.clone().into_dimensionality::<Ix1>().unwrap(), Array1::zeros(bias.len())),
        _ => (
            bias.index_axis(Axis(0), 0).to_owned().into_dimensionality().unwrap(),
            bias.index_axis(Axis(0), 1).to_owned().into_dimensionality().unwrap(),
        ),
    };
    let h = &state[..units];
    let of_x = product(&rounded(x, limit), &kernel) + bias_x;
    let of_h = product(&rounded(h, limit), &recurrent) + bias_h;
    let gate = |array: &Array1<f64>, gate: usize, unit: usize| array[gate * units + unit];
    let sum = |g: usize, unit: usize| gate(&of_x, g, unit) + gate(&of_h, g, unit);
    match kind {
        Kind::Rnn => (0..units).map(|unit| sum(0, unit).tanh()).collect(),
        Kind::Lstm => {
            let c: Vec<f64> = (0..units)
                .map(|unit| sigmoid(sum(1, unit)) * state[units + unit] + sigmoid(sum(0, unit)) * sum(2, unit).tanh())
                .collect();
            let h = (0..units).map(|unit| sigmoid(sum(3, unit)) * c[unit].tanh());
            h.chain(c.clone()).collect()
        }
        Kind::GruAfter | Kind::GruBefore => {
            let r: Vec<f64> = (0..units).map(|unit| sigmoid(sum(1, unit))).collect();
            let reset: Vec<f64> = r.iter().zip(h).map(|(r, h)| r * h).collect();
            let before = product(&rounded(&reset, limit), &recurrent);
            (0..units)
                .map(|unit| {
                    let candidate = match kind {
                        Kind::GruAfter => gate(&of_x, 2, unit) + r[unit] * gate(&of_h, 2, unit),
                        _ => gate(&of_x, 2, unit) + gate(&before, 2, unit),
                    };
                    let z = sigmoid(sum(0, unit));
                    z * h[unit] + (1.0 - z) * candidate.tanh()
                })
                .collect()
        }
    }
}

/// A step from a state of any size, by the equations.
fn check_step<C: Cell<Elem = f32>>(kind: Kind, layer: Recurrent<C>, units: usize) {
    let layer = weighted(layer.return_state(true));
    for (precision, limit) in INT8 {
        let small = layer.quantize(precision).unwrap();
        let width = small.input_size();
        for (seed, scale_x, scale_h) in [(1, 1.0, 1.0), (2, 30.0, 1e-3), (3, 1e-6, 40.0), (4, 0.0, 0.5)] {
            let x = numbers(seed, (1, 1, width)) * scale_x;
            let mut state = small.initial_state(1);
            let names: Vec<String> = state.names().map(String::from).collect();
            for (i, name) in names.iter().enumerate() {
                state.set(name, &(numbers(seed + 10 * i as u64, (1, units)) * scale_h)).unwrap();
            }
            let found = small.run(&x, Run::new().initial_state(&state)).unwrap().into_state().unwrap();
            let wide = |values: ArrayView2<f32>| values.iter().map(|&v| f64::from(v)).collect::<Vec<f64>>();
            let x: Vec<f64> = x.iter().map(|&x| f64::from(x)).collect();
            let expected = step(kind, &small, limit, &x, &wide(state.values().view()), units);
            for (unit, (found, expected)) in wide(found.values().view()).iter().zip(&expected).enumerate() {
                // What is rounded again, r h, may fall to the other side of a half: one part of the limit, of one weight.
                let again = if kind == Kind::GruBefore { 2.0 * scale_h.max(0.1) as f64 / limit } else { 0.0 };
                let allowed = 4e-6 * (1.0 + expected.abs()) + again;
                assert!(
                    (found - expected).abs() < allowed,
                    "{kind:?} {precision}, {width} -> {units}, {seed}: {unit}: {found} {expected}"
                );
            }
        }
    }
}

#[test]
fn a_step_is_the_equations() {
    for (width, units) in [(3, 5), (20, 33), (70, 16)] {
        check_step(Kind::Rnn, SimpleRnn::new(width, units), units);
        check_step(Kind::Lstm, Lstm::new(width, units), units);
        check_step(Kind::GruAfter, Gru::new(width, units), units);
        let before = Gru::builder(width, units).reset_after(false).build().unwrap();
        check_step(Kind::GruBefore, before, units);
    }
}

/// A column's largest weight is 127 times its scale; each weight is the nearest multiple.
#[test]
fn weights_are_the_nearest_multiples() {
    let lstm = weighted(Lstm::<f32>::new(7, 12));
    let (kernel, small) = (lstm.weight("kernel").unwrap(), lstm.quantize(Precision::Int8).unwrap());
    let given = small.dequantized("kernel").unwrap();
    for (column, given) in kernel.axis_iter(Axis(1)).zip(given.axis_iter(Axis(1))) {
        let largest = column.iter().fold(0.0_f64, |largest, &w| largest.max(f64::from(w).abs()));
        for (&weight, &given) in column.iter().zip(given) {
            let multiple = (f64::from(weight) * 127.0 / largest).round_ties_even() * largest / 127.0;
            assert!((f64::from(given) - multiple).abs() < 1e-7 * largest, "{weight}: {given}, {multiple}");
        }
    }
    assert_eq!(small.dequantized("bias").unwrap(), lstm.weight("bias").unwrap());
    // 16 bits are the upper half of an f32, the nearest.
    let given = lstm.quantize(Precision::Bf16).unwrap().dequantized("kernel").unwrap();
    for (&weight, &given) in kernel.iter().zip(&given) {
        assert_eq!(given.to_bits() & 0xffff, 0);
        assert!((weight - given).abs() <= weight.abs() / 256.0, "{weight} {given}");
    }
}

fn in_bf16<C: Cell<Elem = f32>>(layer: Recurrent<C>) {
    let layer = weighted(layer.return_sequences(true).return_state(true));
    let small = layer.quantize(Precision::Bf16).unwrap();
    let same = dequantized(&layer, &small);
    // Long and single rows, several rows, and inputs that aren't finite.
    let mut x = numbers(5, (4, 30, layer.input_size())) * 2.0;
    for batch in [1, 4] {
        let x = x.slice(s![..batch, .., ..]);
        assert_eq!(small.forward(&x).unwrap(), same.forward(&x).unwrap(), "{layer:?}");
    }
    x[[0, 3, 0]] = f32::INFINITY;
    x[[1, 4, 0]] = f32::NAN;
    let (found, expected) = (small.forward(&x).unwrap(), same.forward(&x).unwrap());
    let bits = |x: &f32| if x.is_nan() { u32::MAX } else { x.to_bits() };
    let (found, expected) = (found.into_sequence().unwrap(), expected.into_sequence().unwrap());
    assert_eq!(found.mapv(|x| bits(&x)), expected.mapv(|x| bits(&x)), "{layer:?}");
}

/// 16-bit weights: the f32 layer with these weights, bit for bit.
#[test]
fn bfloat16_is_f32_with_rounded_weights() {
    for (width, units) in [(3, 5), (20, 33), (40, 64)] {
        for activation in [Activation::Tanh, Activation::Relu6] {
            let activation = || activation.clone();
            in_bf16(SimpleRnn::builder(width, units).activation(activation()).build().unwrap());
            in_bf16(Lstm::builder(width, units).activation(activation()).build().unwrap());
            in_bf16(Gru::builder(width, units).activation(activation()).build().unwrap());
            in_bf16(Gru::builder(width, units).activation(activation()).reset_after(false).build().unwrap());
        }
    }
    let dense = Dense::<f32>::builder(20, 9).activation(Activation::Softmax).build().unwrap();
    let small = dense.quantize(Precision::Bf16).unwrap();
    let mut same = dense.clone();
    same.set_weights(&[("kernel", small.dequantized("kernel").unwrap().view())]).unwrap();
    let x = numbers(6, (3, 4, 20));
    assert_eq!(small.forward(&x).unwrap(), same.forward(&x).unwrap());
}

/// An infinity or a NaN does what it does in f32 with these weights: never a silent zero, and no other row sees it.
#[test]
fn infinities_and_nan() {
    fn check<C: Cell<Elem = f32>>(layer: Recurrent<C>) {
        let layer = weighted(layer.return_sequences(true));
        for (precision, _) in INT8 {
            let small = layer.quantize(precision).unwrap();
            let same = dequantized(&layer, &small);
            let mut x = numbers(8, (5, 6, layer.input_size()));
            let plain = small.forward(&x).unwrap().into_sequence().unwrap();
            for (row, value) in [(1, f32::NAN), (2, f32::INFINITY), (3, f32::NEG_INFINITY)] {
                x[[row, 2, 1]] = value;
            }
            x[[3, 2, 0]] = f32::INFINITY;
            let found = small.forward(&x).unwrap().into_sequence().unwrap();
            let expected = same.forward(&x).unwrap().into_sequence().unwrap();
            assert_eq!(found.slice(s![..;4, .., ..]), plain.slice(s![..;4, .., ..]));
            for ((at, &found), &expected) in found.indexed_iter().zip(&expected) {
                assert_eq!(found.is_nan(), expected.is_nan(), "{precision} at {at:?}: {found} {expected}");
                assert!(found.is_nan() || (found - expected).abs() < 0.05, "{precision} at {at:?}: {found} {expected}");
            }
        }
    }
    check(SimpleRnn::<f32>::new(3, 7));
    check(Lstm::<f32>::new(3, 7));
    check(Gru::<f32>::new(3, 7));
    check(Gru::<f32>::builder(3, 7).reset_after(false).build().unwrap());
    // In a state.
    let lstm = weighted(Lstm::<f32>::builder(3, 7).return_state(true).build().unwrap());
    let small = lstm.quantize(Precision::Int8).unwrap();
    let mut state = small.initial_state(1);
    state.set("h", &Array2::from_elem((1, 7), f32::NAN)).unwrap();
    let end = small.run(&Array3::ones((1, 1, 3)), Run::new().initial_state(&state)).unwrap();
    assert!(end.last().iter().all(|h| h.is_nan()));
}

/// Numbers of any size: a row's scale follows them.
#[test]
fn states_and_inputs_beyond_one() {
    let rnn = SimpleRnn::<f32>::builder(4, 8).activation(Activation::Relu).return_sequences(true);
    let rnn = weighted(rnn.build().unwrap());
    for scale in [1e-30_f32, 1e-3, 1.0, 1e4, 1e30] {
        let small = rnn.quantize(Precision::Int8).unwrap();
        let (x, same) = (numbers(9, (2, 12, 4)) * scale, dequantized(&rnn, &small));
        let (found, expected) = (small.forward(&x).unwrap(), same.forward(&x).unwrap());
        let (found, expected) = (found.into_sequence().unwrap(), expected.into_sequence().unwrap());
        let largest = expected.iter().fold(0.0_f32, |largest, x| largest.max(x.abs()));
        let error = found.iter().zip(&expected).fold(0.0_f32, |error, (a, b)| error.max((a - b).abs()));
        assert!(largest > 0.1 && error < 2e-3 * largest, "{scale}: {error} of {largest}");
    }
    // One as large as can be, and all below what has an inverse.
    let small = Lstm::<f32>::new(4, 8).quantize(Precision::Int8).unwrap();
    for value in [f32::MAX, 1e-35, f32::MIN_POSITIVE, 1e-45, 0.0] {
        assert!(small.forward(&Array3::from_elem((1, 3, 4), value)).unwrap().last().iter().all(|h| h.is_finite()));
    }
}

/// Features of different sizes, made up for by the weights: 14 bits keep what the weights keep. (The page on fewer bits
/// says to normalise all the same.)
#[test]
fn features_of_different_sizes() {
    let mut lstm = weighted(Lstm::<f32>::builder(32, 64).return_sequences(true).build().unwrap());
    let mut x = numbers(12, (2, 60, 32));
    let mean = |lstm: &Lstm<f32>, x: &Array3<f32>, precision| {
        lstm.compare(&lstm.quantize(precision).unwrap(), x).unwrap().mean()
    };
    let before = Precision::ALL.map(|precision| mean(&lstm, &x, precision));
    let mut kernel = lstm.dequantized("kernel").unwrap();
    kernel.index_axis_mut(Axis(0), 5).mapv_inplace(|weight| weight / 100.0);
    lstm.set_weights(&[("kernel", kernel.view())]).unwrap();
    x.index_axis_mut(Axis(2), 5).mapv_inplace(|x| x * 100.0);
    let [int8, fast, bf16] = Precision::ALL.map(|precision| mean(&lstm, &x, precision));
    assert!(bf16 < 1.5 * before[2], "{bf16} {before:?}");
    assert!(int8 < 0.01 && fast < 0.05 && int8 < fast, "{int8} {fast} {before:?}");
}

/// The error is what the format allows: a half of a part in 127 of each column's largest weight, or in 256 of each.
#[test]
fn errors_stay_small_over_time() {
    let gru = weighted(Gru::<f32>::builder(8, 32).return_sequences(true).build().unwrap());
    let x = numbers(13, (3, 400, 8)) * 2.0;
    for (precision, allowed) in [(Precision::Int8, 0.02), (Precision::Int8Fast, 0.08), (Precision::Bf16, 0.01)] {
        let difference = gru.compare(&gru.quantize(precision).unwrap(), &x).unwrap();
        let [low, high] = difference.range();
        assert!(difference.largest() < allowed * (high - low), "{precision}:\n{difference}");
        assert!(difference.growth().unwrap() < 1.5, "{precision}:\n{difference}");
        assert_eq!((difference.by_step().len(), difference.by_output().len()), (400, 32));
        let most = difference.by_step().iter().map(|step| step.largest).fold(0.0, f64::max);
        assert_eq!(most, difference.largest());
    }
    // Compared with itself, nothing.
    let same = gru.compare(&gru, &x).unwrap();
    assert_eq!((same.largest(), same.mean(), same.changed_classes(), same.growth()), (0.0, 0.0, Some(0.0), None));
}

/// Fed with its own outputs, a layer that multiplies by 1.25 is at its powers, one that multiplies by 1 stays.
#[test]
fn errors_that_come_back() {
    let times = |factor: f32| {
        let mut dense = Dense::<f32>::builder(2, 2).use_bias(false).build().unwrap();
        dense.set_weights(&[("kernel", array![[factor, 0.0], [0.0, 1.0]].into_dyn().view())]).unwrap();
        dense
    };
    let (one, grows) = (times(1.0), times(1.25));
    let x = Array3::<f32>::from_elem((3, 5, 2), 0.5);
    let difference = Comparison::generated(&one, &grows, &x, 12).unwrap();
    for (step, (found, power)) in difference.by_step().iter().zip(1..).enumerate() {
        let expected = 0.5 * 1.25_f64.powi(power) - 0.5;
        assert!((found.largest - expected).abs() < 1e-5 && (found.mean - expected / 2.0).abs() < 1e-5, "step {step}");
    }
    assert_eq!((difference.by_step().len(), difference.by_output()[1].largest), (12, 0.0));
    assert!(difference.growth().unwrap() > 4.0);
    assert_eq!(Comparison::generated(&one, &one, &x, 12).unwrap().largest(), 0.0);
    for (refused, words) in [
        (Comparison::generated(&one, &Dense::new(2, 3), &x, 4), "output_size"),
        (
            Comparison::generated(&Dense::new(2, 3), &Dense::new(2, 3), &x, 4),
            "output_size, which is to be the input_size",
        ),
        (Comparison::generated(&one, &one, &x.slice(s![.., ..0, ..]), 4), "at least one time step"),
        (Comparison::generated(&one, &one, &x, usize::MAX), "memory"),
    ] {
        let refused = refused.unwrap_err().to_string();
        assert!(refused.contains(words), "{refused}");
    }
}

/// A curve for the largest error and one for the mean, which a NaN doesn't end.
#[test]
fn errors_as_a_picture() {
    let gru = weighted(Gru::<f32>::builder(8, 32).return_sequences(true).build().unwrap());
    let small = gru.quantize(Precision::Int8Fast).unwrap();
    let mut x = numbers(13, (3, 100, 8));
    let svg = gru.compare(&small, &x).unwrap().svg();
    let points = |svg: &str, name: &str| {
        let curve = svg.split(&format!("curve {name}\" points=\"")).nth(1).unwrap().split('"').next().unwrap();
        let number = |text: &str| text.parse::<f64>().unwrap();
        curve
            .split(' ')
            .map(|point| point.split_once(',').map(|(x, y)| (number(x), number(y))).unwrap())
            .collect::<Vec<_>>()
    };
    let (largest, mean) = (points(&svg, "largest"), points(&svg, "mean"));
    assert_eq!((largest.len(), mean.len()), (100, 100));
    assert!(largest.iter().zip(&mean).all(|(a, b)| a.0 == b.0 && a.1 <= b.1), "the largest lies above");
    assert!(largest.iter().all(|&(x, y)| (60.0..=560.0).contains(&x) && (44.0..=218.0).contains(&y)), "{largest:?}");
    assert!(largest.iter().any(|&(_, y)| y < 131.0), "the curve fills the picture");
    x[[0, 60, 0]] = f32::NAN;
    assert_eq!(points(&gru.compare(&small, &x).unwrap().svg(), "largest").len(), 100, "both are NaN there");
    let one_step = gru.compare(&small, &x.slice(s![1.., ..1, ..])).unwrap().svg();
    assert!(one_step.contains("step 0") && !one_step.contains("step 1") && !one_step.contains("NaN"));
}

#[test]
fn a_quarter_or_half_of_the_memory() {
    for (width, units) in [(64, 128), (128, 256)] {
        let (lstm, gru) = (Lstm::<f32>::new(width, units), Gru::<f32>::new(width, units));
        for (precision, share) in [(Precision::Int8, 0.29), (Precision::Int8Fast, 0.29), (Precision::Bf16, 0.53)] {
            let bytes = |small: Recurrent<QuantizedCell>| small.weight_bytes() as f64;
            assert!(bytes(lstm.quantize(precision).unwrap()) <= share * lstm.weight_bytes() as f64);
            assert!(bytes(gru.quantize(precision).unwrap()) <= share * gru.weight_bytes() as f64);
        }
        assert_eq!(lstm.quantize(Precision::Int8).unwrap().count_params(), lstm.count_params());
    }
}

#[test]
fn weights_are_read_and_not_changed() {
    let lstm = Lstm::<f32>::new(3, 4);
    let mut small = lstm.quantize(Precision::Int8).unwrap();
    let refused = |name: &str| Err::<(), _>(Error::QuantizedWeight { name: name.into() });
    assert_eq!(small.weight("kernel").map(|_| ()), refused("kernel"));
    let kernel = small.dequantized("kernel").unwrap();
    assert_eq!(small.set_weights(&[("kernel", kernel.view())]), refused("kernel"));
    assert!(matches!(small.weight("kernels"), Err(Error::UnknownName { known, .. }) if known.len() == 3));
    assert!(matches!(small.dequantized("kernels"), Err(Error::UnknownName { known, .. }) if known.len() == 3));
    assert!(small.weights().is_empty());
    assert_eq!(lstm.dequantized("kernel").unwrap(), lstm.weight("kernel").unwrap());
    let text = small.to_string();
    assert!(text.contains("quantized_lstm (QuantizedLSTM)") && text.contains("Trainable params: 0 (0.00 B)"), "{text}");
}

#[test]
fn what_has_no_such_form_is_refused_by_name() {
    let reason = |result: Result<Box<dyn Layer<f32>>, Error>| match result {
        Err(Error::CannotQuantize { layer, reason }) => format!("{layer}: {reason}"),
        other => panic!("{other:?}"),
    };
    let peephole = Lstm::<f32>::builder(3, 4).peephole(true).build().unwrap();
    assert_eq!(
        reason(Layer::quantize(&peephole, Precision::Int8)),
        "LSTM: an LSTM with peephole has no quantized form"
    );
    let other = IndRnn::<f32>::new(3, 4);
    assert!(reason(Layer::quantize(&other, Precision::Int8)).starts_with("IndRNN: its cell has no quantized form"));
    let small = Gru::<f32>::new(3, 4).quantize(Precision::Int8).unwrap();
    assert!(reason(Layer::quantize(&small, Precision::Bf16)).contains("already"));
    let wide = Lstm::<f64>::new(3, 4).quantize(Precision::Int8);
    assert!(matches!(wide, Err(Error::CannotQuantize { reason, .. }) if reason.contains("f64")));
    assert!(matches!(Dense::<f64>::new(3, 4).quantize(Precision::Int8), Err(Error::CannotQuantize { .. })));
    let stack = Stacked::builder().layer(Gru::<f32>::builder(3, 4).return_sequences(true).build().unwrap());
    let stack = stack.layer(peephole_on(4)).build().unwrap();
    assert!(reason(stack.quantize(Precision::Int8)).starts_with("1/LSTM: "));

    let mut lstm = Lstm::<f32>::new(3, 4);
    let mut kernel = lstm.dequantized("recurrent_kernel").unwrap();
    kernel[[2, 5]] = f32::NEG_INFINITY;
    lstm.set_weights(&[("recurrent_kernel", kernel.view())]).unwrap();
    for precision in Precision::ALL {
        let refused = lstm.quantize(precision).map(|_| ());
        assert_eq!(refused, Err(Error::QuantizedValue { weight: "recurrent_kernel".into(), given: f32::NEG_INFINITY }));
    }
    // What a format can't hold: the nearest 16-bit float is infinite.
    kernel[[2, 5]] = f32::MAX;
    lstm.set_weights(&[("recurrent_kernel", kernel.view())]).unwrap();
    assert!(lstm.quantize(Precision::Int8).is_ok() && lstm.quantize(Precision::Bf16).is_err());
}

fn peephole_on(width: usize) -> Lstm<f32> {
    Lstm::builder(width, 5).peephole(true).build().unwrap()
}

#[test]
fn training_is_refused() {
    let small = Lstm::<f32>::new(3, 4).quantize(Precision::Int8).unwrap();
    let mut tape = Tape::new();
    let refused = small.run(&Array3::ones((1, 2, 3)), Run::new().record(&mut tape)).map(|_| ());
    assert_eq!(refused, Err(Error::QuantizedTraining { layer: "QuantizedLSTM" }));
    let dense = Dense::<f32>::new(3, 4).quantize(Precision::Bf16).unwrap();
    let refused = dense.run(&Array3::ones((1, 2, 3)), Run::new().record(&mut tape)).map(|_| ());
    assert_eq!(refused, Err(Error::QuantizedTraining { layer: "QuantizedDense" }));
}

/// A stack of both directions and a head, as one; and step by step.
#[test]
fn wrappers() {
    let both = Bidirectional::new(Lstm::<f32>::builder(3, 8).return_sequences(true)).unwrap();
    let stack = Stacked::builder().layer(both).layer(Gru::new(16, 12));
    let stack = stack.layer(Dense::builder(12, 5).activation(Activation::Softmax).build().unwrap());
    let stack = stack.return_state(true).build().unwrap();
    let x = numbers(14, (4, 20, 3));
    for precision in Precision::ALL {
        let small = stack.quantize(precision).unwrap();
        let difference = stack.compare(&small, &x).unwrap();
        assert!(difference.largest() < 0.02 && difference.largest() > 0.0, "{difference}");
        assert_eq!(small.state_layout(), stack.state_layout());
        assert!(matches!(small.weight("0/forward/kernel"), Err(Error::QuantizedWeight { .. })));
        assert_eq!(small.dequantized("0/backward/kernel").unwrap().shape(), [3, 32]);
        assert_eq!(small.count_params(), stack.count_params());
    }
    let spread = TimeDistributed::new(Dense::<f32>::new(6, 4));
    let x = numbers(15, (2, 3, 6));
    assert!(spread.compare(&*spread.quantize(Precision::Int8).unwrap(), &x).unwrap().largest() < 0.02);

    let steps = Stacked::builder().layer(Lstm::<f32>::builder(6, 9).return_sequences(true).build().unwrap());
    let small = steps.layer(Dense::new(9, 2)).build().unwrap().quantize(Precision::Int8).unwrap();
    let whole = small.forward(&x).unwrap().into_sequence().unwrap();
    let mut stream = Stream::new(&*small, 2).unwrap();
    for (step, expected) in x.axis_iter(Axis(1)).zip(whole.axis_iter(Axis(1))) {
        assert_eq!(stream.step(&step).unwrap(), expected);
    }
}

/// In a model that is built by hand.
#[test]
fn in_a_model() {
    let small = Lstm::<f32>::builder(6, 9).return_sequences(true).build().unwrap().quantize(Precision::Int8).unwrap();
    let mut model = Sequential::<f32>::builder("m").layer(small.clone()).layer(Dense::new(9, 2)).build().unwrap();
    let x = numbers(16, (2, 5, 6));
    let head = model.weight("dense/kernel").unwrap().to_owned();
    let of_small = small.forward(&x).unwrap().into_sequence().unwrap();
    assert_eq!(model.predict_one(&x).unwrap().shape(), [2, 5, 2]);
    let (_, name) = model.to_string().split_once('┡').map(|(_, rows)| ((), rows.to_string())).unwrap();
    assert!(name.contains("QuantizedLSTM") && name.contains("Trainable params: 20"), "{name}");
    let lstm = "quantized_lstm/kernel";
    assert!(matches!(model.weight(lstm), Err(Error::QuantizedWeight { .. })), "{:?}", model.weight(lstm).map(|_| ()));
    assert_eq!(model.dequantized(lstm).unwrap(), small.dequantized("kernel").unwrap());
    assert_eq!(model.count_params(), small.count_params() + 20);
    let twice = head.mapv(|weight| 2.0 * weight);
    model.set_weights(&[("dense/kernel", twice.view())]).unwrap();
    assert!(model.set_weights(&[(lstm, twice.view())]).is_err());
    assert!(of_small.iter().all(|h| h.is_finite()));
}

/// All recurrent and dense layers of a model, inside, too: the bits of the layers that are quantized one by one.
#[test]
fn a_model_as_a_whole() {
    let lstm = weighted(Lstm::<f32>::builder(6, 33).return_sequences(true).build().unwrap());
    let (each, head) = (Dense::<f32>::new(33, 20), Dense::<f32>::builder(9, 2).activation(Activation::Softmax));
    let (head, gru) = (head.build().unwrap(), weighted(Gru::<f32>::new(20, 9)));
    let tail = Sequential::builder("tail").layer(gru.clone()).layer(head.clone()).build().unwrap();
    let model = Sequential::builder("m")
        .layer(recurrent::Masking::new(0.0).unwrap())
        .layer(lstm.clone())
        .layer(recurrent::model::AnyLayer::from(each.clone()).for_each_step())
        .layer(tail)
        .build()
        .unwrap();
    let mut x = numbers(21, (3, 7, 6));
    x.slice_mut(s![1, 3.., ..]).fill(0.0);
    for precision in Precision::ALL {
        let small = model.quantize(precision).unwrap();
        let lengths = Run::new().lengths(&[7, 3, 7]);
        let sequence = lstm.quantize(precision).unwrap().run(&x, lengths).unwrap().into_sequence().unwrap();
        let sequence = each.quantize(precision).unwrap().forward(&sequence).unwrap().into_sequence().unwrap();
        let last = gru.quantize(precision).unwrap().run(&sequence, Run::new().lengths(&[7, 3, 7])).unwrap().into_last();
        let last = last.insert_axis(Axis(1));
        let expected = head.quantize(precision).unwrap().forward(&last).unwrap().into_last();
        assert_eq!(small.predict_one(&x).unwrap(), expected.into_dyn(), "{precision}");
        let layers: [&dyn Layer<f32>; 4] = [&lstm, &each, &gru, &head];
        let bytes: usize = layers.iter().map(|layer| layer.quantize(precision).unwrap().weight_bytes()).sum();
        assert!(small.weight_bytes() == bytes && bytes < model.weight_bytes(), "{bytes}");
        assert_eq!(small.count_params(), model.count_params());
        let refused = small.weight("sequential/dense/kernel").map(|_| ());
        assert!(matches!(refused, Err(Error::QuantizedWeight { .. })), "{refused:?}");
        assert_eq!(small.dequantized("sequential/dense/kernel").unwrap().shape(), [9, 2]);
        // Step by step, and against the model that it was made of.
        let mut stream = small.stream(1).unwrap();
        let mut steps = Vec::new();
        for t in 0..7 {
            steps = stream.step_one(x.slice(s![0, t, ..]).to_owned().as_slice().unwrap()).unwrap().to_vec();
        }
        assert_eq!(steps, small.predict_one(&x).unwrap().index_axis(Axis(0), 0).iter().copied().collect::<Vec<_>>());
        let difference = &model.compare(&small, &[(&x).into()]).unwrap()[0];
        assert!(difference.largest() > 0.0 && difference.largest() < 0.05, "{difference}");
        assert_eq!((difference.by_step().len(), difference.by_output().len()), (1, 2));
        let summary = small.to_string();
        assert!(summary.contains("QuantizedLSTM") && !summary.contains(" LSTM"), "{summary}");
        let mut tape = Tape::new();
        let refused = small.record(&[(&x).into()], &mut tape).unwrap_err().to_string();
        assert!(refused.contains("can't be trained"), "{refused}");
    }
    let other = Sequential::<f32>::builder("m").layer(recurrent::LayerNormLstm::new(3, 4)).build().unwrap();
    let error = other.quantize(Precision::Int8).unwrap_err().to_string();
    assert!(error.starts_with("can't quantize layer_norm_lstm/LayerNormLSTM: "), "{error}");
    let double = Sequential::<f64>::builder("m").layer(Gru::new(3, 4)).build().unwrap();
    let error = double.quantize(Precision::Bf16).unwrap_err().to_string();
    assert!(error.starts_with("can't quantize gru/GRU: "), "{error}");
}

#[test]
fn layers_of_other_shapes_are_not_compared() {
    let (lstm, other) = (Lstm::<f32>::new(3, 4), Lstm::<f32>::new(3, 5));
    let refused = lstm.compare(&other, &Array3::ones((1, 2, 3))).map(|_| ());
    assert_eq!(refused, Err(Error::Compared { what: "output_size", expected: "4".into(), given: "5".into() }));
    let sequences = lstm.clone().return_sequences(true);
    assert!(matches!(lstm.compare(&sequences, &Array3::ones((1, 2, 3))), Err(Error::Compared { .. })));
    assert!(matches!(lstm.compare(&lstm, &Array3::ones((1, 2, 4))), Err(Error::InputFeatures { .. })));
}

#[test]
fn messages_are_short() {
    for error in [
        Error::CannotQuantize {
            layer: "2/forward/LSTM".into(),
            reason: "an LSTM with projection_units has no quantized form",
        },
        Error::QuantizedValue { weight: "kernel".into(), given: f32::NAN },
        Error::QuantizedWeight { name: "0/backward/recurrent_kernel".into() },
        Error::QuantizedTraining { layer: "QuantizedSimpleRNN" },
        Error::Compared { what: "return_sequences", expected: "true".into(), given: "false".into() },
        "int4".parse::<Precision>().unwrap_err(),
    ] {
        let message = error.to_string();
        assert!(!message.ends_with('.') && message.len() < 200, "{message}");
    }
    assert_eq!("bfloat16".parse(), Ok(Precision::Bf16));
}
