//! SpectralNormalization in training, as Keras trains it: it divides the kernel itself, before each update.

use recurrent::training::{AdamW, Dataset, Fit, Loss, Optimizer, Sgd, Tape};
use recurrent::{Error, Gradients, Model, file, keras};
use serde_json::Value;

use super::{compare, features, run_all, targets};
use crate::check::data::{Element, Outcome, every_case, text_of};

fn check_run<T: Element>(case: &Value) -> Outcome {
    let (folder, name) = (concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/training"), text_of(&case["run"]));
    let model = keras::load::<T>(format!("{folder}/spectral_{name}_{}.keras", T::DTYPE))?;
    // By way of a file of our own: the vectors are in it.
    let mut model: Model<T> = file::from_bytes(&file::to_bytes(&model)?)?;
    let (x, y) = (features::<T>(), targets::<T>());
    let (data, first) = (Dataset::new(&x, &y), x.slice(ndarray::s![..3, .., ..]));
    let predict = |model: &Model<T>| model.predict_one(first).unwrap();
    let ran = if name == "ruled" {
        let fit = Fit::new(Loss::MeanSquaredError, AdamW::new(1.0 / 64.0).weight_decay(0.125));
        let fit = fit.weight_rules(keras::weight_rules(&model)?).validation_split(0.2).epochs(13);
        run_all(&mut model, (fit, 4), &data, predict)?
    } else {
        let fit = Fit::new(Loss::MeanSquaredError, Sgd::new(1.0 / 32.0).momentum(0.5));
        run_all(&mut model, (fit.validation_split(0.2).epochs(13), 4), &data, predict)?
    };
    compare(case, &ran, if T::DTYPE == "float64" { 1e-8 } else { 1e-4 })
}

#[test]
fn spectral() {
    every_case("training/spectral", 6, |case| by_dtype!(check_run, case));
}

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/training/spectral");

/// In a loop of one's own.
#[test]
fn forgotten() -> Outcome {
    let mut model = keras::load::<f32>(format!("{FOLDER}_ruled_float32.keras"))?;
    let (x, mut tape, mut seeds) = (features::<f32>(), Tape::new(), model.seeds());
    let (mut gradients, mut sgd) = (Gradients::new(&model), Sgd::new(0.1));
    let before = model.weight("ruled/kernel")?.to_owned();
    for _ in 0..2 {
        let forgotten = model.record_training(&[(&x).into()], &mut tape, &mut seeds).unwrap_err();
        assert!(matches!(forgotten, Error::TrainingOption { .. }));
        let message = forgotten.to_string();
        assert!(
            message.contains("SpectralNormalization of ruled") && message.contains("normalize_kernels()"),
            "{message}"
        );
        model.normalize_kernels()?;
        let outputs = model.record_training(&[(&x).into()], &mut tape, &mut seeds)?;
        model.backward(&mut tape, &[&outputs[0]], &mut gradients)?;
        sgd.step(&mut model, &gradients)?;
        model.update_statistics(&mut tape)?;
    }
    assert_ne!(before, model.weight("ruled/kernel")?);
    // A clone is not changed with it.
    let (copy, kernel) = (model.clone(), model.weight("ruled/kernel")?.to_owned());
    model.normalize_kernels()?;
    assert_eq!(kernel, copy.weight("ruled/kernel")?);
    assert_ne!(kernel, model.weight("ruled/kernel")?);
    Ok(())
}

/// Kernels that Keras divides more than once in a call.
#[test]
fn refused() -> Outcome {
    for (name, says) in [("twice", "more than once"), ("steps", "TimeDistributed")] {
        let mut model = keras::load::<f32>(format!("{FOLDER}_{name}.keras"))?;
        let x = features::<f32>();
        let (weights, y) = (model.weight(&format!("{name}/kernel"))?.to_owned(), model.predict_one(&x)?);
        let from_loop = model.normalize_kernels().unwrap_err();
        let from_fit = Fit::new(Loss::MeanSquaredError, Sgd::new(0.1)).run(&mut model, &x, &y).unwrap_err();
        let recorded = model.record_training(&[(&x).into()], &mut Tape::new(), &mut model.seeds()).unwrap_err();
        for error in [from_loop, from_fit, recorded] {
            let message = error.to_string();
            assert!(message.contains(&format!("SpectralNormalization of {name}")), "{message}");
            assert!(message.contains(says), "{message}");
        }
        assert_eq!(weights, model.weight(&format!("{name}/kernel"))?);
    }
    Ok(())
}

/// A file of our own whose vectors belong to one another's kernels.
#[test]
fn changed() -> Outcome {
    let model = keras::load::<f32>(format!("{FOLDER}_chain_float32.keras"))?;
    let mut bytes = file::to_bytes(&model)?;
    let mut swap = |one: &str, other: &str| {
        let places = |bytes: &[u8], what: &str| -> Vec<usize> {
            let at = bytes.windows(what.len()).enumerate();
            at.filter(|(_, window)| *window == what.as_bytes()).map(|(at, _)| at).collect()
        };
        let (ones, others) = (places(&bytes, one), places(&bytes, other));
        assert!(ones.len() == 1 && others.len() == 1, "{one}: {ones:?}, {other}: {others:?}");
        bytes[ones[0]..][..one.len()].copy_from_slice(other.as_bytes());
        bytes[others[0]..][..other.len()].copy_from_slice(one.as_bytes());
    };
    swap("tall/vector_u", "last/vector_u");
    swap("columns\\\":5", "columns\\\":2");
    let error = file::from_bytes::<Model<f32>>(&bytes).unwrap_err().to_string();
    assert!(error.contains("columns") && error.contains("as many as the kernel"), "{error}");
    Ok(())
}
