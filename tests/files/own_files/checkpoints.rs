//! A training run that goes on from a checkpoint is the run without the pause.

use ndarray::prelude::*;
use recurrent::training::*;
use recurrent::{Dense, Error, Gru, Lstm, SeedSource, Stacked, file};

use super::bits;
use super::disk::folder;

fn net(units: usize) -> Stacked<f32> {
    let seeds = &mut SeedSource::keras(7);
    let gru = Gru::<f32>::builder(3, units).dropout(0.3).recurrent_dropout(0.2).seeds(seeds).build().unwrap();
    let dense = Dense::builder(units, 2).seeds(seeds).build().unwrap();
    Stacked::builder().layer(gru).layer(dense).build().unwrap()
}

fn data() -> (Array3<f32>, Array2<f32>) {
    let x = Array3::from_shape_fn((10, 6, 3), |(b, t, f)| ((5 * b + 3 * t + 7 * f) % 11) as f32 / 8.0 - 0.6);
    (x, Array2::from_shape_fn((10, 2), |(b, k)| ((3 * b + k) % 5) as f32 / 4.0))
}

/// A rate that falls and a run that stops, by numbers that hardly get better.
fn fit() -> Fit<'static, f32, Adam<f32>> {
    Fit::new(Loss::MeanSquaredError, Adam::new(0.2))
        .batch_size(4)
        .shuffle_each_epoch(5)
        .validation_split(0.3)
        .reduce_lr_on_plateau("val_loss", ReduceLrOnPlateau::new().factor(0.5).patience(2))
        .early_stopping(EarlyStopping::new("val_loss").patience(6).restore_best_weights(true))
}

#[test]
fn a_run_goes_on_with_the_same_bits() {
    let (folder, (x, y), begun) = (folder("checkpoint"), data(), net(4));
    let path = folder.join("run.safetensors");
    let mut whole = begun.clone();
    let all = fit().epochs(40).run(&mut whole, &x, &y).unwrap();
    let stopped = all.stopped_epoch().expect("the rule stops it");
    assert!(stopped >= 8, "{stopped}");
    for pause in [1, stopped / 2, stopped - 1] {
        let mut paused = begun.clone();
        fit().epochs(pause).checkpoint(&path).run(&mut paused, &x, &y).unwrap();
        let mut again = begun.clone();
        let mut rest = fit().epochs(40).resume(&path, &mut again).unwrap();
        let history = rest.run(&mut again, &x, &y).unwrap();
        assert_eq!(history.get("val_loss").unwrap(), &all.get("val_loss").unwrap()[pause..]);
        assert_eq!((history.stopped_epoch(), history.best_epoch()), (all.stopped_epoch(), all.best_epoch()));
        assert_eq!(bits(&again), bits(&whole), "paused after {pause}");
        assert!(rest.optimizer().learning_rate() < 0.2, "the plateau has lowered it");
    }
    // One that has been stopped isn't trained on, unless there is more patience now.
    fit().epochs(40).checkpoint(&path).run(&mut begun.clone(), &x, &y).unwrap();
    let mut again = begun.clone();
    let history = fit().epochs(40).resume(&path, &mut again).unwrap().run(&mut again, &x, &y).unwrap();
    assert_eq!((history.epochs(), history.stopped_epoch()), (0, Some(stopped)));
    assert_eq!((history.best_epoch(), bits(&again)), (all.best_epoch(), bits(&whole)));
    let patient = fit().early_stopping(EarlyStopping::new("val_loss").patience(7)).epochs(40);
    assert!(patient.resume(&path, &mut again).unwrap().run(&mut again, &x, &y).unwrap().epochs() > 0);
    std::fs::remove_dir_all(folder).unwrap();
}

/// What an earlier run kept of its best epoch is used by a rule that asks for it, and no other.
#[test]
fn the_best_weights_are_the_rules() {
    let (folder, (x, y)) = (folder("checkpoint-best"), data());
    let path = folder.join("run.safetensors");
    let begun = net(4);
    fit().epochs(4).checkpoint(&path).run(&mut begun.clone(), &x, &y).unwrap();
    let plateau = ReduceLrOnPlateau::new().factor(0.5).patience(2);
    let plain = || Fit::new(Loss::MeanSquaredError, Adam::new(0.2)).reduce_lr_on_plateau("loss", plateau.clone());
    let rest = |fit: Fit<'static, f32, Adam<f32>>| {
        let mut net = begun.clone();
        fit.epochs(6).resume(&path, &mut net).unwrap().run(&mut net, &x, &y).unwrap();
        bits(&net)
    };
    let watched = plain().early_stopping(EarlyStopping::new("loss").patience(9));
    assert_eq!(rest(plain()), rest(watched));
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn what_doesnt_fit_changes_nothing() {
    let (folder, (x, y)) = (folder("checkpoint-misfit"), data());
    let path = folder.join("run.safetensors");
    let mut begun = net(4);
    fit().epochs(1).checkpoint(&path).run(&mut begun, &x, &y).unwrap();
    let refused = |fit: Fit<'static, f32, Adam<f32>>, net: &mut Stacked<f32>| {
        let before = bits(net);
        let error = fit.resume(&path, net).expect_err("refused").to_string();
        assert_eq!(bits(net), before, "{error}");
        error
    };
    let error = refused(fit(), &mut net(5));
    assert!(error.contains("0/kernel"), "{error}");
    let lstm = Lstm::<f32>::new(3, 4);
    let mut other = Stacked::builder().layer(lstm).build().unwrap();
    let error = refused(fit(), &mut other);
    assert!(error.contains("expected 3 weights, got 5"), "{error}");
    let plain = Fit::new(Loss::MeanSquaredError, Adam::new(0.2));
    let error = refused(plain, &mut net(4));
    assert!(error.contains("reduce_lr_on_plateau must be called 1 times"), "{error}");
    let sgd = Fit::<f32, _>::new(Loss::MeanSquaredError, Sgd::new(0.2)).resume(&path, &mut net(4));
    let error = sgd.expect_err("another optimizer").to_string();
    assert!(error.contains("Sgd") && error.contains("Adam"), "{error}");
    let error = file::load::<Adam<f32>>(&path).unwrap_err().to_string();
    assert!(error.contains("a checkpoint") && error.contains("Fit::resume"), "{error}");
    // A folder that isn't there.
    let nowhere = folder.join("nowhere").join("run.safetensors");
    match fit().epochs(1).checkpoint(nowhere).run(&mut begun, &x, &y) {
        Err(Error::Checkpoint { reason }) => assert!(reason.contains("nowhere"), "{reason}"),
        other => panic!("{other:?}"),
    }
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn plateaus_are_checked() {
    let ((x, y), mut net) = (data(), net(4));
    let fit = || Fit::new(Loss::MeanSquaredError, Adam::new(0.2));
    let error = fit().reduce_lr_on_plateau("val_loss", ReduceLrOnPlateau::new()).run(&mut net, &x, &y).unwrap_err();
    assert_eq!(error.to_string(), "there is no number to monitor \"val_loss\": the names are loss");
    let error = fit().reduce_lr_on_plateau("loss", ReduceLrOnPlateau::new().factor(1.0)).run(&mut net, &x, &y);
    assert_eq!(error.unwrap_err().to_string(), "factor must be in 0..1, got 1");
}
