//! Every case of `tests/golden/gradients/` through the public API: gradients by TensorFlow and PyTorch, updates by
//! Keras's optimizers, and whole training runs.

use crate::check::build::{embedding, masking, stack};
use crate::check::data::{
    Element, Outcome, array, every_case, flag, float, list, mask, matrix, sequence, size, text_of, within,
};
use crate::check::optimizers::optimizer;
use crate::check::run::{Call, layer, same_names, set_weights, state, weights};
use ndarray::{Array2, Array3, ArrayD, ArrayView, Axis, Dimension, concatenate};
use recurrent::training::{Loss, Optimizer, Tape};
use recurrent::{
    Embedding, Gradients, Layer, Lstm, OutputGradient, Parameters, Run, SeedSource, State, training::DropoutSeeds,
};
use serde_json::Value;

/// The tolerance of gradients, and of what comes of them.
fn near<T: Element, D: Dimension>(what: &str, ours: ArrayView<'_, T, D>, theirs: &ArrayD<T>) -> Outcome {
    let double = T::DTYPE == "float64";
    within(what, ours, theirs, |a, b| {
        (a - b).abs() <= if double { 1e-9 * b.abs().max(1.0) } else { 1e-4 * b.abs() + 1e-5 }
    })
}

/// The upstream gradients of a case as a layer takes them.
struct Upstream<T> {
    sequence: Option<Array3<T>>,
    last: Option<Array2<T>>,
    state: Option<State<T>>,
}

impl<T: Element> Upstream<T> {
    fn of(layer: &dyn Layer<T>, upstream: &Value) -> Outcome<Self> {
        let given = |key: &str| (!upstream[key].is_null()).then(|| array::<T>(&upstream[key]));
        let mut output = given("output");
        if let Some(backward) = given("output_backward") {
            // Directions that aren't merged stand side by side; the loss may read the backward one alone.
            let width = Axis(backward.ndim() - 1);
            let forward = output.unwrap_or_else(|| {
                let mut shape = backward.shape().to_vec();
                shape[width.index()] = layer.output_size() - backward.len_of(width);
                ArrayD::zeros(shape)
            });
            output = Some(concatenate![width, forward, backward]);
        }
        let mut last = given("last").map(|last| last.into_dimensionality()).transpose()?;
        let mut sequence = None;
        if let Some(output) = output {
            if layer.returns_sequences() {
                sequence = Some(output.into_dimensionality()?);
            } else {
                let output: Array2<T> = output.into_dimensionality()?;
                last = Some(last.map_or_else(|| output.clone(), |last| last + &output));
            }
        }
        Ok(Upstream { sequence, last, state: state(layer, &upstream["states"])? })
    }

    fn gradient(&self) -> OutputGradient<'_, T> {
        let mut gradient = OutputGradient::new();
        if let Some(sequence) = &self.sequence {
            gradient = gradient.sequence(sequence);
        }
        if let Some(last) = &self.last {
            gradient = gradient.last(last);
        }
        if let Some(state) = &self.state {
            gradient = gradient.state(state);
        }
        gradient
    }
}

/// Checks that the gradients of all weights are theirs, by name and in order.
fn near_weights<T: Element>(gradients: &Gradients<T>, theirs: &[(&str, ArrayD<T>)]) -> Outcome {
    same_names(gradients.iter().map(|(name, _)| name), theirs.iter().map(|(name, _)| *name))?;
    gradients.iter().zip(theirs).try_for_each(|((name, ours), (_, theirs))| near(name, ours, theirs))
}

fn check_gradients<T: Element>(case: &Value) -> Outcome {
    let layer = layer::<T>(case)?;
    let (call, upstream) = (Call::of(&*layer, case)?, Upstream::of(&*layer, &case["upstream"])?);
    let theirs = &case["gradients"];
    let training = !case["training"].is_null() && flag(&case["training"]);
    let (mut tape, mut gradients) = (Tape::new(), Gradients::new(&*layer));
    let mut check = |run: Run<'_, T>| -> Outcome {
        let mut seeds = layer.seeds();
        let run = if training { run.training(&mut seeds) } else { run };
        layer.run(&call.x, run.record(&mut tape))?;
        gradients.clear();
        layer.backward(&mut tape, upstream.gradient(), &mut gradients)?;
        near("input", gradients.input()?, &array(&theirs["input"]))?;
        if !theirs["initial_state"].is_null() {
            let parts = weights::<T>(&theirs["initial_state"]);
            let ours = gradients.initial_state();
            same_names(ours.names(), parts.iter().map(|(name, _)| *name))?;
            parts.iter().try_for_each(|(name, part)| near(&format!("state {name}"), ours.get(name)?, part))?;
        }
        near_weights(&gradients, &weights(&theirs["weights"]))
    };
    check(call.options())?;
    if let Some(lengths) = case["lengths"].as_array() {
        let lengths: Vec<_> = lengths.iter().map(size).collect();
        check(call.with_state().lengths(&lengths)).map_err(|error| format!("with lengths: {error}"))?;
    }
    Ok(())
}

#[test]
fn one_layer() {
    every_case("gradients/one_layer", 317, |case| by_dtype!(check_gradients, case));
}

#[test]
fn cells_of_other_frameworks() {
    every_case("cells/lstm_options", 27, |case| by_dtype!(check_gradients, case));
    every_case("cells/projection", 11, |case| by_dtype!(check_gradients, case));
    every_case("cells/ind_rnn", 13, |case| by_dtype!(check_gradients, case));
    every_case("cells/mgu", 14, |case| by_dtype!(check_gradients, case));
    every_case("cells/layer_norm", 8, |case| by_dtype!(check_gradients, case));
}

#[test]
fn wrappers() {
    every_case("gradients/wrappers", 220, |case| by_dtype!(check_gradients, case));
}

/// The gradient of all steps' outputs, and of the state, for a layer that returns neither: TensorFlow's of the same
/// layer that does.
#[test]
fn whatever_the_flags() {
    fn without_flags(spec: &mut Value) {
        for flag in ["return_sequences", "return_state"] {
            if let Some(given) = spec["config"].get_mut(flag) {
                *given = Value::Bool(false);
            }
        }
        for inner in ["layer", "backward_layer"] {
            if let Some(inner) = spec.get_mut(inner) {
                without_flags(inner);
            }
        }
    }
    fn check<T: Element>(case: &Value) -> Outcome {
        let mut changed = case.clone();
        without_flags(&mut changed["layer"]);
        let (with, without) = (layer::<T>(case)?, layer::<T>(&changed)?);
        let (call, upstream) = (Call::of(&*with, case)?, Upstream::of(&*with, &case["upstream"])?);
        let (mut tape, mut gradients) = (Tape::new(), Gradients::new(&*without));
        without.run(&call.x, call.options().record(&mut tape))?;
        without.backward(&mut tape, upstream.gradient(), &mut gradients)?;
        let theirs = &case["gradients"];
        near("input", gradients.input()?, &array(&theirs["input"]))?;
        near_weights(&gradients, &weights(&theirs["weights"]))
    }
    every_case("gradients/one_layer", 317, |case| by_dtype!(check, case));
    every_case("gradients/wrappers", 220, |case| match text_of(&case["layer"]["class"]) {
        "Bidirectional" => by_dtype!(check, case),
        _ => Ok(()),
    });
}

#[test]
fn with_dropout() {
    every_case("gradients/with_dropout", 129, |case| by_dtype!(check_gradients, case));
}

#[test]
fn torch_layers() {
    every_case("gradients/torch_layers", 72, |case| by_dtype!(check_gradients, case));
}

/// A model that begins with an embedding or a masking layer, its layers behind that as a stack, all weights set.
struct Model<T: Element> {
    embedding: Option<Embedding<T>>,
    masking: Option<recurrent::Masking<T>>,
    net: Box<dyn Layer<T>>,
}

impl<T: Element> Model<T> {
    fn of(case: &Value) -> Outcome<Self> {
        let specs = list(&case["layer"]["layers"]);
        let mut weights = weights::<T>(&case["weights"]);
        let mut model = Model { embedding: None, masking: None, net: Box::new(Lstm::new(1, 1)) };
        let mut seeds = SeedSource::random()?;
        match text_of(&specs[0]["class"]) {
            "Embedding" => {
                let mut table = embedding::<T>(&specs[0], &mut seeds)?;
                table.set_embeddings(weights.remove(0).1.view())?;
                model.embedding = Some(table);
            }
            "Masking" => model.masking = Some(masking(&specs[0])?),
            _ => {}
        }
        model.net = stack::<T>(&specs[model.before()..], &mut seeds)?;
        let weights = model.renamed(weights);
        let weights: Vec<_> = weights.iter().map(|(name, array)| (name.as_str(), array.clone())).collect();
        set_weights(&mut *model.net, &weights)?;
        Ok(model)
    }

    /// How many of the model's layers stand before the stack.
    fn before(&self) -> usize {
        usize::from(self.embedding.is_some() || self.masking.is_some())
    }

    /// The weights of the stack by the stack's names.
    fn renamed(&self, weights: Vec<(&str, ArrayD<T>)>) -> Vec<(String, ArrayD<T>)> {
        let renamed = weights.into_iter().map(|(name, array)| {
            let (index, rest) = name.split_once('/').expect("a path");
            (format!("{}/{rest}", index.parse::<usize>().expect("an index") - self.before()), array)
        });
        renamed.collect()
    }

    /// What the stack reads, and its mask: given, or the model's own.
    fn input(&self, call: &Value) -> Outcome<(Array3<T>, Option<Array2<bool>>)> {
        Ok(match (&self.embedding, &self.masking) {
            (Some(embedding), _) => embedding.forward(&ids(&call["input"]))?,
            (_, Some(masking)) => {
                let (x, mask) = masking.forward(&sequence(&call["input"]))?;
                (x, Some(mask))
            }
            _ => (sequence(&call["input"]), mask(&call["mask"])),
        })
    }
}

fn ids(value: &Value) -> Array2<i64> {
    matrix::<f64>(value).mapv(|id| id as i64)
}

#[test]
fn models() {
    fn check<T: Element>(case: &Value) -> Outcome {
        let model = Model::<T>::of(case)?;
        let (x, mask) = model.input(case)?;
        let upstream = Upstream::of(&*model.net, &case["upstream"])?;
        let (mut tape, mut gradients) = (Tape::new(), Gradients::new(&*model.net));
        model.net.run(&x, Run::new().mask_if(mask.as_ref()).record(&mut tape))?;
        model.net.backward(&mut tape, upstream.gradient(), &mut gradients)?;
        let mut theirs = weights::<T>(&case["gradients"]["weights"]);
        match &model.embedding {
            Some(embedding) => {
                let mut of_table = Gradients::new(embedding);
                embedding.backward(&ids(&case["input"]), &gradients.input()?, &mut of_table)?;
                near("embeddings", of_table.get("embeddings")?, &theirs.remove(0).1)?;
            }
            None => near("input", gradients.input()?, &array(&case["gradients"]["input"]))?,
        }
        let theirs = model.renamed(theirs);
        let theirs: Vec<_> = theirs.iter().map(|(name, array)| (name.as_str(), array.clone())).collect();
        near_weights(&gradients, &theirs)
    }
    every_case("gradients/models", 20, |case| by_dtype!(check, case));
}

fn near_own_weights<T: Element>(layer: &dyn Layer<T>, theirs: &[(String, ArrayD<T>)]) -> Outcome {
    let ours = layer.weights();
    same_names(ours.iter().map(|(name, _)| name.as_str()), theirs.iter().map(|(name, _)| name.as_str()))?;
    ours.iter().zip(theirs).try_for_each(|((name, ours), (_, theirs))| near(name, ours.view(), theirs))
}

#[test]
fn optimizers() {
    fn check<T: Element>(case: &Value) -> Outcome {
        let owned = |value: &Value| -> Vec<(String, ArrayD<T>)> {
            weights(value).into_iter().map(|(name, array)| (name.into(), array)).collect()
        };
        let mut layer = Lstm::<T>::new(3, 2);
        set_weights(&mut layer, &weights(&case["weights"]))?;
        let (mut optimizer, mut gradients) = (optimizer::<T>(case), Gradients::new(&layer));
        for (i, step) in list(&case["steps"]).iter().enumerate() {
            let failed = |error| format!("step {i}: {error}");
            if !step["learning_rate"].is_null() {
                optimizer.set_learning_rate(float(&step["learning_rate"]))?;
            }
            for (name, gradient) in weights::<T>(&step["gradients"]) {
                gradients.get_mut(name)?.assign(&gradient);
            }
            optimizer.step(&mut layer, &gradients)?;
            near_own_weights(&layer, &owned(&step["weights"])).map_err(failed)?;
        }
        optimizer.finalize_variable_values(&mut [&mut layer])?;
        near_own_weights(&layer, &owned(&case["finalized"])).map_err(|error| format!("finalized: {error}").into())
    }
    every_case("gradients/optimizers", 38, |case| by_dtype!(check, case));
}

#[test]
fn runs() {
    fn check<T: Element>(case: &Value) -> Outcome {
        let mut model = Model::<T>::of(case)?;
        let mut optimizer = optimizer::<T>(case);
        let (mut tape, mut gradients) = (Tape::new(), Gradients::new(&*model.net));
        let mut of_table = model.embedding.as_ref().map(Gradients::new);
        let mut seeds: DropoutSeeds = model.net.seeds();
        for (i, step) in list(&case["steps"]).iter().enumerate() {
            let (x, mask) = model.input(step)?;
            let run = Run::new().mask_if(mask.as_ref()).training(&mut seeds).record(&mut tape);
            let output = model.net.run(&x, run)?;
            gradients.clear();
            let loss = if let Ok(sequence) = output.sequence() {
                let (loss, d) =
                    Loss::MeanSquaredError.with_gradient(sequence, &self::sequence::<T>(&step["target"]))?;
                model.net.backward(&mut tape, OutputGradient::new().sequence(&d), &mut gradients)?;
                loss
            } else {
                let (loss, d) = Loss::MeanSquaredError.with_gradient(output.last(), &matrix::<T>(&step["target"]))?;
                model.net.backward(&mut tape, OutputGradient::new().last(&d), &mut gradients)?;
                loss
            };
            let (ours, theirs) = (ndarray::arr0(loss), ndarray::arr0(T::from_f64(float(&step["loss"]))).into_dyn());
            near("loss", ours.view(), &theirs).map_err(|error| format!("step {i}: {error}"))?;
            let mut parts: Vec<(&mut dyn Parameters<T>, &Gradients<T>)> = Vec::new();
            if let (Some(embedding), Some(of_table)) = (&mut model.embedding, &mut of_table) {
                of_table.clear();
                embedding.backward(&ids(&step["input"]), &gradients.input()?, of_table)?;
                parts.push((embedding, of_table));
            }
            parts.push((&mut *model.net, &gradients));
            optimizer.step_all(&mut parts)?;
        }
        let mut trained = weights::<T>(&case["trained"]);
        if let Some(embedding) = &model.embedding {
            near("embeddings", embedding.embeddings(), &trained.remove(0).1)?;
        }
        near_own_weights(&*model.net, &model.renamed(trained))
    }
    every_case("gradients/runs", 25, |case| by_dtype!(check, case));
}
