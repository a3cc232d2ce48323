//! Keras's regularizers and constraints, and how far back a network looks.

use ndarray::{Array2, Array3, ArrayD, arr0, array};
use recurrent::training::{Adam, Constraint, Loss, Optimizer, OrthogonalMode, Reach, Regularizer, Tape, WeightRules};
use recurrent::{Activation, Gradients, Layer, OutputGradient, Run, SimpleRnn};
use serde_json::Value;

use crate::check::data::{Element, Outcome, array, every_case, float, list, matrix, sequence, text_of, within};
use crate::check::run::{set_weights, weights};

fn near<T: Element>(what: &str, ours: ndarray::ArrayViewD<'_, T>, theirs: &ArrayD<T>) -> Outcome {
    let tolerance = if T::DTYPE == "float64" { 1e-12 } else { 1e-5 };
    within(what, ours, theirs, |a, b| (a - b).abs() <= tolerance * b.abs().max(1.0))
}

fn near_number<T: Element>(what: &str, ours: T, theirs: &Value) -> Outcome {
    near(what, arr0(ours).view().into_dyn(), &arr0(T::from_f64(float(theirs))).into_dyn())
}

fn regularizer(spec: &Value) -> Regularizer {
    let config = &spec["config"];
    match text_of(&spec["class"]) {
        "L1" => Regularizer::L1 { factor: float(&config["l1"]) },
        "L2" => Regularizer::L2 { factor: float(&config["l2"]) },
        "L1L2" => Regularizer::L1L2 { l1: float(&config["l1"]), l2: float(&config["l2"]) },
        "OrthogonalRegularizer" => {
            let rows = text_of(&config["mode"]) == "rows";
            let mode = if rows { OrthogonalMode::Rows } else { OrthogonalMode::Columns };
            Regularizer::Orthogonal { factor: float(&config["factor"]), mode }
        }
        other => panic!("a regularizer of class {other}"),
    }
}

fn constraint(spec: &Value) -> Constraint {
    let config = &spec["config"];
    let axis = || match &config["axis"] {
        Value::Array(axes) => axes.iter().map(|axis| axis.as_i64().unwrap_or(99) as isize).collect(),
        axis => vec![axis.as_i64().unwrap_or(99) as isize],
    };
    match text_of(&spec["class"]) {
        "NonNeg" => Constraint::NonNegative,
        "UnitNorm" => Constraint::UnitNorm { axis: axis() },
        "MaxNorm" => Constraint::MaxNorm { max_value: float(&config["max_value"]), axis: axis() },
        "MinMaxNorm" => Constraint::MinMaxNorm {
            min_value: float(&config["min_value"]),
            max_value: float(&config["max_value"]),
            rate: float(&config["rate"]),
            axis: axis(),
        },
        other => panic!("a constraint of class {other}"),
    }
}

/// A layer with a rule for each weight.
fn run<T: Element>(case: &Value) -> Outcome {
    let mut layer = SimpleRnn::<T>::new(2, 4);
    set_weights(&mut layer, &weights(&case["weights"]))?;
    let rules = WeightRules::new()
        .regularizer("kernel", Regularizer::L2 { factor: 0.1 })
        .regularizer("recurrent_kernel", Regularizer::L1 { factor: 0.02 })
        .regularizer("recurrent_kernel", Regularizer::L2 { factor: 0.05 })
        .regularizer("bias", Regularizer::L1 { factor: 0.03 })
        .constraint("kernel", Constraint::MaxNorm { max_value: 0.6, axis: vec![0] })
        .constraint("recurrent_kernel", Constraint::UnitNorm { axis: vec![1] })
        .constraint("bias", Constraint::NonNegative);
    let (x, target): (Array3<T>, Array2<T>) = (sequence(&case["input"]), matrix(&case["target"]));
    let (mut tape, mut gradients) = (Tape::new(), Gradients::new(&layer));
    let mut adam = Adam::new(0.05).clipnorm(0.3);
    for (i, step) in list(&case["steps"]).iter().enumerate() {
        let output = layer.run(&x, Run::new().record(&mut tape))?;
        let (loss, d_last) = Loss::MeanSquaredError.with_gradient(output.last(), &target)?;
        gradients.clear();
        layer.backward(&mut tape, OutputGradient::new().last(&d_last), &mut gradients)?;
        let penalty = rules.regularize(&layer, &mut gradients)?;
        near_number(&format!("penalty {i}"), penalty, &step["penalty"])?;
        near_number(&format!("loss {i}"), loss + penalty, &step["loss"])?;
        adam.step(&mut layer, &gradients)?;
        rules.constrain(&mut layer)?;
    }
    let theirs = weights::<T>(&case["trained"]);
    layer.weights().into_iter().zip(theirs).try_for_each(|((name, ours), (_, theirs))| near(&name, ours, &theirs))
}

#[test]
fn weight_rules() {
    fn check<T: Element>(case: &Value) -> Outcome {
        if !case["steps"].is_null() {
            return run::<T>(case);
        }
        let mut weight = array::<T>(&case["weight"]);
        if case["constraint"].is_null() {
            let mut gradient = ArrayD::from_elem(weight.raw_dim(), T::one());
            let penalty = regularizer(&case["regularizer"]).add_gradient(&weight.view(), &mut gradient.view_mut())?;
            near_number("penalty", penalty, &case["penalty"])?;
            return near("gradient", gradient.view(), &(array::<T>(&case["gradient"]) + T::one()));
        }
        constraint(&case["constraint"]).apply(&mut weight.view_mut())?;
        near("constrained", weight.view(), &array(&case["constrained"]))
    }
    every_case("gradients/weight_rules", 29, |case| by_dtype!(check, case));
}

/// What is known of a linear layer: each step back is one more product with the recurrent kernel.
#[test]
fn reach_of_a_linear_layer() -> Outcome {
    let mut layer = SimpleRnn::<f64>::builder(2, 3).activation(Activation::Linear).build()?;
    let kernel = array![[1.0, -2.0, 0.5], [0.25, 3.0, 1.0]];
    let (half, tenth) = (0.5 * Array2::<f64>::eye(3), 0.1 * Array2::<f64>::eye(3));
    let x = Array3::from_shape_fn((2, 9, 2), |(b, t, i)| (b + 2 * t + i) as f64 / 7.0);
    let norm = (2.0 * kernel.iter().map(|w: &f64| w * w).sum::<f64>()).sqrt(); // of two rows
    for (recurrent, factor, lags) in [(half, 0.5_f64, (6, 1)), (tenth, 0.1, (2, 0))] {
        layer
            .set_weights(&[("kernel", kernel.view().into_dyn()), ("recurrent_kernel", recurrent.view().into_dyn())])?;
        let reach = Reach::of(&layer, &[(&x).into()])?;
        let expected: Vec<f64> = (0..9).map(|lag| norm * factor.powi(lag)).collect();
        assert_eq!(reach.norms().len(), 9);
        for (ours, expected) in reach.norms().iter().zip(&expected) {
            assert!((ours - expected).abs() < 1e-12 * norm, "{reach}");
        }
        assert_eq!((reach.lag(0.0099), reach.lag(1.0 / std::f64::consts::E)), lags);
        let text = reach.to_string();
        assert!(text.contains("of the largest") && text.ends_with("(1/e)"), "{text}");
    }
    // A sequence that is returned counts by its last step.
    let all = SimpleRnn::<f64>::builder(2, 3).return_sequences(true).build()?;
    let last = all.clone().return_sequences(false);
    assert_eq!(Reach::of(&all, &[(&x).into()])?, Reach::of(&last, &[(&x).into()])?);
    Ok(())
}
