//! Updates by Keras's other optimizers, and its learning rate schedules.

use ndarray::{Array3, ArrayD, Axis, arr0};
use recurrent::training::{
    CosineDecay, CosineDecayRestarts, ExponentialDecay, InverseTimeDecay, MonitorMode, Optimizer,
    PiecewiseConstantDecay, PolynomialDecay, ReduceLrOnPlateau, Schedule, Scheduled, Sgd,
};
use recurrent::{Dense, Embedding, Gradients, Parameters, SimpleRnn};
use serde_json::Value;

use crate::check::data::{Element, Outcome, every_case, flag, float, list, matrix, size, text_of, within};
use crate::check::optimizers::optimizer;
use crate::check::run::{set_weights, weights};

fn near<T: Element>(what: &str, ours: ndarray::ArrayViewD<'_, T>, theirs: &ArrayD<T>) -> Outcome {
    let tolerance = if T::DTYPE == "float64" { 1e-12 } else { 1e-5 };
    within(what, ours, theirs, |a, b| (a - b).abs() <= tolerance * b.abs().max(1.0))
}

/// The table's weights and the others, in Keras's order.
fn near_all<T: Element>(table: &Embedding<T>, layer: &SimpleRnn<T>, theirs: &Value) -> Outcome {
    let ours = table.weights().into_iter().chain(layer.weights());
    let theirs = weights::<T>(theirs);
    assert_eq!(theirs.len(), 4);
    ours.zip(theirs).try_for_each(|((name, ours), (theirs_name, theirs))| {
        assert_eq!(name, theirs_name);
        near(&name, ours, &theirs)
    })
}

#[test]
fn updates() {
    fn check<T: Element>(case: &Value) -> Outcome {
        let (mut table, mut layer) = (Embedding::<T>::new(5, 2), SimpleRnn::<T>::new(3, 2));
        let before = weights::<T>(&case["weights"]);
        table.set_weights(&[("embeddings", before[0].1.view())])?;
        set_weights(&mut layer, &before[1..])?;
        let (mut of_table, mut of_layer) = (Gradients::new(&table), Gradients::new(&layer));
        let mut optimizer = optimizer::<T>(case);
        optimizer.validate()?;
        for (i, step) in list(&case["steps"]).iter().enumerate() {
            if !step["learning_rate"].is_null() {
                optimizer.set_learning_rate(float(&step["learning_rate"]))?;
            }
            for (name, gradient) in weights::<T>(&step["gradients"]) {
                of_layer.get_mut(name)?.assign(&gradient);
            }
            let ids = list(&step["ids"]).iter().map(|id| size(id) as i32).collect::<Vec<_>>();
            let ids = ndarray::Array2::from_shape_vec((1, ids.len()), ids)?;
            let rows: Array3<T> = matrix(&step["rows"]).insert_axis(Axis(0));
            of_table.clear();
            table.backward(&ids, &rows, &mut of_table)?;
            if !flag(&case["by_rows"]) {
                // From now on it doesn't know any more that it came by rows.
                of_table.get_mut("embeddings")?;
            }
            optimizer.step_all(&mut [
                (&mut table as &mut dyn Parameters<T>, &of_table),
                (&mut layer as &mut dyn Parameters<T>, &of_layer),
            ])?;
            if !step["weights"].is_null() {
                near_all(&table, &layer, &step["weights"]).map_err(|error| format!("step {i}: {error}"))?;
            }
        }
        optimizer.finalize_variable_values(&mut [&mut table, &mut layer])?;
        near_all(&table, &layer, &case["finalized"]).map_err(|error| format!("finalized: {error}").into())
    }
    every_case("gradients/updates", 107, |case| by_dtype!(check, case));
}

fn schedule(spec: &Value) -> Schedule {
    let config = &spec["config"];
    let number = |name: &str| float(&config[name]);
    let or = |name: &str, default: f64| if config[name].is_null() { default } else { float(&config[name]) };
    let is = |name: &str| config[name].as_bool() == Some(true);
    let steps = |name: &str| size(&config[name]) as u64;
    let numbers = |name: &str| list(&config[name]).iter().map(float).collect::<Vec<_>>();
    let class = text_of(&spec["class"]);
    if class == "PiecewiseConstantDecay" {
        let boundaries: Vec<u64> = list(&config["boundaries"]).iter().map(|boundary| size(boundary) as u64).collect();
        return PiecewiseConstantDecay::new(&boundaries, &numbers("values")).into();
    }
    let rate = number("initial_learning_rate");
    match class {
        "ExponentialDecay" => {
            ExponentialDecay::new(rate, steps("decay_steps"), number("decay_rate")).staircase(is("staircase")).into()
        }
        "InverseTimeDecay" => {
            InverseTimeDecay::new(rate, steps("decay_steps"), number("decay_rate")).staircase(is("staircase")).into()
        }
        "PolynomialDecay" => PolynomialDecay::new(rate, steps("decay_steps"))
            .end_learning_rate(or("end_learning_rate", 1e-4))
            .power(or("power", 1.0))
            .cycle(is("cycle"))
            .into(),
        "CosineDecay" => {
            let made = CosineDecay::new(rate, steps("decay_steps")).alpha(or("alpha", 0.0));
            let warm = !config["warmup_target"].is_null();
            if warm { made.warmup(number("warmup_target"), steps("warmup_steps")) } else { made }.into()
        }
        "CosineDecayRestarts" => CosineDecayRestarts::new(rate, steps("first_decay_steps"))
            .t_mul(or("t_mul", 2.0))
            .m_mul(or("m_mul", 1.0))
            .alpha(or("alpha", 0.0))
            .into(),
        other => panic!("a schedule of class {other}"),
    }
}

fn plateau(config: &Value) -> ReduceLrOnPlateau {
    let mut made = ReduceLrOnPlateau::new();
    for (key, value) in config.as_object().expect("a config") {
        made = match key.as_str() {
            "patience" => made.patience(size(value) as u64),
            "factor" => made.factor(float(value)),
            "cooldown" => made.cooldown(size(value) as u64),
            "min_lr" => made.min_lr(float(value)),
            "min_delta" => made.min_delta(float(value)),
            "mode" => made.mode(if text_of(value) == "max" { MonitorMode::Max } else { MonitorMode::Min }),
            other => panic!("an option that the test doesn't know: {other}"),
        };
    }
    made
}

fn near_rate(what: &str, ours: f64, theirs: f64) -> Outcome {
    let tolerance = 1e-6 * theirs.abs().max(1e-3);
    within(what, arr0(ours).view().into_dyn(), &arr0(theirs).into_dyn(), |a, b| (a - b).abs() <= tolerance)
}

#[test]
fn schedules() {
    every_case("gradients/schedules", 22, |case| {
        let spec = &case["schedule"];
        let theirs = list(&case["rates"]).iter().map(float);
        if text_of(&spec["class"]) == "ReduceLROnPlateau" {
            let (mut plateau, mut sgd) = (plateau(&spec["config"]), Sgd::<f32>::new(0.1));
            for (i, (monitored, theirs)) in list(&case["monitored"]).iter().zip(theirs).enumerate() {
                let before = sgd.learning_rate();
                let lowered = plateau.update(float(monitored), &mut sgd)?;
                assert_eq!(lowered, sgd.learning_rate() < before);
                near_rate(&format!("rate {i}"), sgd.learning_rate(), theirs)?;
            }
            return Ok(());
        }
        let schedule = schedule(spec);
        schedule.validate()?;
        for (step, theirs) in list(&case["steps"]).iter().zip(theirs) {
            near_rate(&format!("rate of {step}"), schedule.at(size(step) as u64), theirs)?;
        }
        // An optimizer has the rate of each update's number.
        let mut layer = Dense::<f64>::new(2, 3);
        let mut gradients = Gradients::new(&layer);
        gradients.get_mut("bias")?.fill(1.0);
        let mut scheduled = Scheduled::new(Sgd::new(7.0).gradient_accumulation_steps(2), schedule.clone());
        let mut bias = 0.0;
        for update in 0..25 {
            scheduled.step(&mut layer, &gradients)?;
            scheduled.step(&mut layer, &gradients)?;
            bias -= schedule.at(update);
            near_rate("bias", layer.weight("bias")?[0], bias)?;
        }
        Ok(())
    });
}
