//! A seasonal series, forecast a day ahead from the day before: `Fit` with a validation split and early stopping, then
//! the forecast beside what came, as numbers and drawn with its past.
//!
//! ```sh
//! cargo run --release --example forecast [picture.svg]
//! ```

#[path = "chart/mod.rs"]
mod chart;

use std::error::Error;
use std::path::Path;

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
    let picture = std::env::args_os().nth(1).unwrap_or("target/forecast.svg".into());
    let windows = 400;
    let x = Array3::from_shape_fn((windows, PAST, 2), |(row, hour, feature)| features(5 * row, hour, feature));
    let next = Array2::from_shape_fn((windows, AHEAD), |(row, hour)| load(5 * row + PAST + hour));

    let mut seeds = SeedSource::keras(7);
    let gru = Gru::<f32>::builder(2, 24).seeds(&mut seeds).build()?;
    let mut net = Stacked::builder().layer(gru).layer(Dense::builder(24, AHEAD).seeds(&mut seeds).build()?).build()?;
    let history = Fit::new(Loss::MeanSquaredError, Adam::new(0.01))
        .metric(Metric::MeanAbsoluteError)
        .epochs(200)
        .batch_size(16)
        .shuffle_each_epoch(7)
        .validation_split(0.2)
        .early_stopping(EarlyStopping::new("val_loss").patience(15).restore_best_weights(true))
        .print_progress()
        .run(&mut net, &x, &next)?;

    let best = history.best_epoch().ok_or("no epoch")?;
    let losses = history.get("val_loss")?;
    println!("\nthe best of {} epochs is number {best}: val_loss {:.4}", history.epochs(), losses[best - 1]);
    assert!(losses[best - 1] < 0.05 * losses[0]);

    // The last of the windows that it hasn't learned from.
    let forecast = net.forward(&x.slice(s![windows - 1.., .., ..]))?.into_last();
    println!("\nhour  forecast  came");
    for hour in (0..AHEAD).step_by(3) {
        println!("{hour:>4}  {:>8.2}  {:>4.2}", forecast[[0, hour]], next[[windows - 1, hour]]);
    }
    draw(picture.as_ref(), &history, 5 * (windows - 1) + PAST, &forecast.row(0))?;
    println!("\nThe picture is in {}", picture.display());
    Ok(())
}

/// The losses, and the forecast from the hour `now` with its past.
fn draw(path: &Path, history: &History, now: usize, forecast: &ArrayRef1<f32>) -> Result<(), Box<dyn Error>> {
    let losses =
        |name: &str, of: &str| history.get(name).map(|values| chart::Line::new(of, 1.0, 1.0, values.iter().copied()));
    let loss = chart::Panel {
        title: "loss".into(),
        x: "epoch".into(),
        y: "mean squared error".into(),
        logarithmic: true,
        lines: vec![losses("loss", "training")?, losses("val_loss", "validation")?],
        moments: history.best_epoch().map(|best| (best as f64, "best epoch".into())).into_iter().collect(),
        ..Default::default()
    };
    let past = 3 * PAST;
    let came = (now - past..now + AHEAD).map(|hour| load(hour).into());
    let day = chart::Panel {
        title: "the forecast".into(),
        x: "hours from now".into(),
        y: "load".into(),
        lines: vec![
            chart::Line::new("what came", -(past as f64), 1.0, came),
            chart::Line::new("forecast", 0.0, 1.0, forecast.iter().copied().map(f64::from)),
        ],
        moments: vec![(-(PAST as f64), "read from here".into()), (0.0, "now".into())],
        ..Default::default()
    };
    let title = "A small GRU forecasts the next day from the last one".into();
    chart::Picture { title, rows: vec![vec![loss, day]], ..Default::default() }.draw(path)
}
