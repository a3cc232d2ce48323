//! A seasonal series, forecast a day ahead from the day before: `Fit` with a validation split and early stopping, then
//! the forecast beside what came.
//!
//! ```sh
//! cargo run --release --example forecast
//! ```

use std::error::Error;

use ndarray::prelude::*;
use recurrent::{Dense, Gru, Layer, SeedSource, Stacked, training::*};

/// Hours that are read, and hours ahead.
const PAST: usize = 24;
const AHEAD: usize = 24;

/// A day's wave that is higher on working days, with a slow drift.
fn load(hour: usize) -> f32 {
    let (t, day) = (hour as f32, hour / 24 % 7);
    let height = if day < 5 { 1.0 } else { 0.5 };
    height * (std::f32::consts::TAU * t / 24.0).sin() + 0.2 * (t / 300.0).sin()
}

/// Two features: the load, and which day of the week it is.
fn features(first: usize, hour: usize, feature: usize) -> f32 {
    let at = first + hour;
    if feature == 0 { load(at) } else { (at / 24 % 7) as f32 / 6.0 }
}

fn main() -> Result<(), Box<dyn Error>> {
    let windows = 400;
    let x = Array3::from_shape_fn((windows, PAST, 2), |(row, hour, feature)| features(5 * row, hour, feature));
    let next = Array2::from_shape_fn((windows, AHEAD), |(row, hour)| load(5 * row + PAST + hour));

    let mut seeds = SeedSource::keras(7);
    let gru = Gru::<f32>::builder(2, 24).seeds(&mut seeds).build()?;
    let mut net = Stacked::builder().layer(gru).layer(Dense::builder(24, AHEAD).seeds(&mut seeds).build()?).build()?;
    let history = Fit::new(Loss::MeanSquaredError, Adam::new(0.01))
        .metric(Metric::MeanAbsoluteError)
        .epochs(40)
        .batch_size(16)
        .shuffle_each_epoch(7)
        .validation_split(0.2)
        .early_stopping(EarlyStopping::new("val_loss").patience(6).restore_best_weights(true))
        .print_progress()
        .run(&mut net, &x, &next)?;

    let best = history.best_epoch().ok_or("no epoch")?;
    let losses = history.get("val_loss")?;
    println!("\nthe best of {} epochs is number {best}: val_loss {:.4}", history.epochs(), losses[best - 1]);
    assert!(losses[best - 1] < 0.2 * losses[0]);

    let forecast = net.forward(&x.slice(s![windows - 1.., .., ..]))?.into_last();
    println!("\nhour  forecast  came");
    for hour in (0..AHEAD).step_by(3) {
        println!("{hour:>4}  {:>8.2}  {:>4.2}", forecast[[0, hour]], next[[windows - 1, hour]]);
    }
    Ok(())
}
