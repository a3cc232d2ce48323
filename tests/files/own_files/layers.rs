//! Every kind of layer, wrapper and option.

use super::{again, bits};
use ndarray::prelude::*;
use recurrent::cell::{BuiltInCell, MguForm};
use recurrent::*;

/// Some numbers, all distinct.
pub fn input<T: Float>(shape: (usize, usize, usize)) -> Array3<T> {
    let mut next = 0.0;
    Array3::from_shape_simple_fn(shape, || {
        next += 0.37;
        T::from_f64((next % 2.0) - 1.0)
    })
}

/// That a layer is the same after it was saved and loaded: outputs with a mask, states, dropout, all bit for bit.
pub fn check<T: Float, L: Layer<T> + file::Saved + std::fmt::Debug>(layer: &L) {
    let loaded = again(layer);
    let x = input::<T>((3, 5, layer.input_size()));
    let mask = Array2::from_shape_fn((3, 5), |(row, time)| (row + time) % 3 != 0);
    let same = |loaded: &dyn Layer<T>| {
        assert_eq!(loaded.run(&x, Run::new().mask(&mask)), layer.run(&x, Run::new().mask(&mask)));
        let (mut ours, mut seeds) = (loaded.seeds(), layer.seeds());
        assert_eq!(ours, seeds);
        assert_eq!(
            loaded.run(&x, Run::new().training(&mut ours)),
            layer.run(&x, Run::new().training(&mut seeds)),
            "{layer:?}"
        );
    };
    same(&loaded);
    let boxed: Box<dyn Layer<T>> = layer.boxed_clone();
    same(&again(&boxed));
}

fn checked<C: BuiltInCell + std::fmt::Debug>(builder: recurrent::builder::Builder<'_, C>)
where
    Recurrent<C>: file::Saved,
{
    check(&builder.build().expect("a layer"));
}

/// The options that all cells have, several of them at once.
macro_rules! common {
    ($layer:ident, $elem:ty) => {
        checked($layer::<$elem>::builder(3, 4));
        checked(
            $layer::<$elem>::builder(2, 3)
                .return_sequences(true)
                .return_state(true)
                .activation(Activation::Elu { alpha: 0.7 })
                .dropout(0.4)
                .recurrent_dropout(0.3)
                .seed(-7),
        );
        checked(
            $layer::<$elem>::builder(2, 3)
                .go_backwards(true)
                .zero_output_for_mask(true)
                .use_bias(false)
                .dropout(1.5)
                .activation("hard_sigmoid".parse().expect("a name"))
                .kernel_initializer(Initializer::RandomNormal { mean: 0.1, stddev: 0.5, seed: Some(i64::MIN) })
                .recurrent_initializer(Initializer::Constant { value: -0.25 })
                .bias_initializer(Initializer::RandomUniform { minval: -1e-3, maxval: 0.1, seed: None }),
        );
    };
}

#[test]
fn cells_with_what_all_have() {
    common!(SimpleRnn, f32);
    common!(Lstm, f32);
    common!(Gru, f32);
    common!(IndRnn, f32);
    common!(Mgu, f32);
    common!(LayerNormLstm, f32);
    common!(SimpleRnn, f64);
    common!(Lstm, f64);
    common!(Gru, f64);
    common!(IndRnn, f64);
    common!(Mgu, f64);
    common!(LayerNormLstm, f64);
}

#[test]
fn options_of_their_own() {
    let relu = Activation::ReluWith { negative_slope: 0.1, max_value: Some(2.5), threshold: -0.5 };
    checked(Gru::<f32>::builder(3, 4).reset_after(false).recurrent_activation(relu.clone()));
    for form in [MguForm::ResetAfter, MguForm::NoReset, MguForm::ResetBefore] {
        checked(Mgu::<f32>::builder(3, 4).form(form).recurrent_activation(Activation::HARD_SIGMOID_KERAS_2));
    }
    checked(LayerNormLstm::<f32>::builder(3, 4).epsilon(0.1).unit_forget_bias(false).recurrent_activation(relu));
    checked(Lstm::<f32>::builder(3, 4).unit_forget_bias(false).recurrent_activation(Activation::Softsign));
    for (peephole, input_forget, clip, units) in [
        (true, false, None, None),
        (false, true, Some(0.5), None),
        (true, true, Some(f64::INFINITY), Some(2)),
        (false, false, Some(3.0), Some(7)),
    ] {
        let mut builder = Lstm::<f64>::builder(3, 4)
            .return_state(true)
            .peephole(peephole)
            .input_forget(input_forget)
            .peephole_initializer(Initializer::HeNormal { seed: None })
            .projection_initializer(Initializer::Orthogonal { gain: 0.5, seed: Some(3) });
        if let Some(clip) = clip {
            builder = builder.clip(clip);
        }
        if let Some(units) = units {
            builder = builder.projection_units(units);
        }
        checked(builder);
    }
}

#[test]
fn every_activation() {
    let names = "celu elu exponential gelu hard_shrink hard_sigmoid hard_silu hard_tanh leaky_relu linear log_sigmoid \
                 log_softmax mish relu relu6 selu sigmoid silu soft_shrink softmax softplus softsign sparse_plus \
                 sparse_sigmoid sparsemax squareplus tanh tanh_shrink";
    let named = names.split_whitespace().map(|name| name.parse().expect("a name"));
    let with_parameters = [
        Activation::ReluWith { negative_slope: 0.0, max_value: None, threshold: 0.0 },
        Activation::LeakyRelu { negative_slope: -0.3 },
        Activation::Elu { alpha: 1e-300 },
        Activation::Celu { alpha: -2.0 },
        Activation::Squareplus { b: 0.0 },
        Activation::SoftShrink { threshold: 0.25 },
        Activation::HardShrink { threshold: 0.1 },
        Activation::HARD_SIGMOID_KERAS_2,
        Activation::Gelu { approximate: true },
        Activation::Threshold { threshold: 0.5, default_value: -0.0 },
    ];
    for activation in named.chain(with_parameters) {
        check(&Dense::<f32>::builder(3, 4).activation(activation.clone()).build().expect("a layer"));
        checked(Gru::<f32>::builder(3, 4).activation(activation));
    }
}

#[test]
fn every_initializer() {
    let scaling = |mode, distribution, input_axes, output_axes| Initializer::VarianceScaling {
        scale: 0.7,
        mode,
        distribution,
        input_axes,
        output_axes,
        seed: None,
    };
    for initializer in [
        Initializer::Zeros,
        Initializer::Ones,
        Initializer::Constant { value: f64::NAN },
        Initializer::Constant { value: f64::NEG_INFINITY },
        Initializer::Identity { gain: -2.0 },
        Initializer::RandomNormal { mean: 0.0, stddev: 1.0, seed: None },
        Initializer::RandomUniform { minval: -1.0, maxval: 1.0, seed: Some(i64::MAX) },
        Initializer::TruncatedNormal { mean: 0.0, stddev: 0.0, seed: None },
        scaling(FanMode::FanIn, ScalingDistribution::Uniform, None, None),
        scaling(FanMode::FanOut, ScalingDistribution::TruncatedNormal, Some(vec![-1]), None),
        scaling(FanMode::FanAvg, ScalingDistribution::UntruncatedNormal, Some(vec![0]), Some(vec![1, -1])),
        Initializer::GlorotNormal { seed: None },
        Initializer::GlorotUniform { seed: None },
        Initializer::HeNormal { seed: None },
        Initializer::HeUniform { seed: None },
        Initializer::LecunNormal { seed: Some(0) },
        Initializer::LecunUniform { seed: None },
        Initializer::Orthogonal { gain: 3.0, seed: None },
    ] {
        let layer = Dense::<f32>::builder(3, 4).kernel_initializer(initializer.clone()).build().expect("a layer");
        assert_eq!(bits(&again(&layer)), bits(&layer));
        let table = Embedding::<f32>::builder(5, 2).embeddings_initializer(initializer).build().expect("a table");
        assert_eq!(bits(&again(&table)), bits(&table));
    }
}

#[test]
fn wrappers() {
    for merge in [Merge::Sum, Merge::Mul, Merge::Concat, Merge::Ave, Merge::None] {
        for sequences in [false, true] {
            let recipe = Gru::<f32>::builder(3, 4).return_sequences(sequences).return_state(true).dropout(0.5);
            check(&Bidirectional::new(recipe).expect("a layer").merge_mode(merge));
        }
    }
    let two = Bidirectional::with_backward(
        Lstm::<f64>::builder(3, 2).go_backwards(true),
        SimpleRnn::builder(3, 4).activation(Activation::Relu),
    );
    check(&two.expect("a layer"));
    let cells = |units| {
        let inner = StackedCells::builder().cell(Mgu::<f32>::builder(4, units).build_cell().expect("a cell"));
        StackedCells::builder()
            .cell(Lstm::builder(3, 4).dropout(0.3).seed(5).build_cell().expect("a cell"))
            .cell(inner.build().expect("a cell"))
            .cell(IndRnn::builder(units, 2).build_cell().expect("a cell"))
            .build()
            .expect("cells")
    };
    let stacked = Recurrent::from_cell(cells(5)).return_sequences(true).return_state(true);
    check(&stacked);
    let both = Bidirectional::from_layers(stacked, {
        Recurrent::from_cell(cells(6)).return_sequences(true).return_state(true).go_backwards(true)
    });
    check(&both.expect("a layer"));
    let dense = || Dense::<f32>::builder(4, 2).use_bias(false).build().expect("a layer");
    check(&Dense::<f64>::new(3, 4));
    check(&TimeDistributed::new(dense()));
    let inner = Stacked::builder().layer(Lstm::<f32>::builder(3, 4).return_sequences(true).build().expect("a layer"));
    let stack = Stacked::builder()
        .layer(inner.layer(TimeDistributed::new(dense())).build().expect("a stack"))
        .layer(Bidirectional::new(Gru::builder(2, 3)).expect("a layer"))
        .layer(Dense::builder(6, 3).activation(Activation::Softmax).build().expect("a layer"))
        .return_state(true)
        .build();
    check(&stack.expect("a stack"));
}

#[test]
fn tables_and_masks() {
    let table = Embedding::<f64>::builder(5, 3).mask_zero(true).build().expect("a table");
    let loaded = again(&table);
    assert!(loaded.masks_zero());
    assert_eq!(loaded.embeddings(), table.embeddings());
    for value in [0.0_f32, -0.0, 0.1, f32::INFINITY, -f32::MAX] {
        let masking = Masking::new(value).expect("a number");
        assert_eq!(again(&masking).mask_value().to_bits(), value.to_bits());
    }
}

/// NaN with what it carries, both zeros, the smallest numbers.
#[test]
fn every_bit() {
    let odd = [0x7fc0_0001, 0xffa0_1234, 0x8000_0000, 1, 0x7f80_0000, 0xff80_0000, 0x7fff_ffff, 0x3f80_0000];
    let mut dense = Dense::<f32>::builder(8, 1).use_bias(false).build().expect("a layer");
    let values = Array2::from_shape_fn((8, 1), |(row, _)| f32::from_bits(odd[row]));
    dense.set_weights(&[("kernel", values.view().into_dyn())]).expect("set");
    assert_eq!(bits(&again(&dense)), [("kernel".to_string(), odd.to_vec())]);
    let odd = [0x7ff8_0000_0000_0001, 0xfff4_0000_dead_beef, 1 << 63, 1, 0x7ff0_0000_0000_0000];
    let mut dense = Dense::<f64>::builder(5, 1).use_bias(false).build().expect("a layer");
    let values = Array2::from_shape_fn((5, 1), |(row, _)| f64::from_bits(odd[row]));
    dense.set_weights(&[("kernel", values.view().into_dyn())]).expect("set");
    let loaded: Vec<u64> = again(&dense).weight("kernel").expect("there").iter().map(|x| x.to_bits()).collect();
    assert_eq!(loaded, odd);
}
