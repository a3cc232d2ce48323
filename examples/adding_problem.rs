//! The adding problem of Hochreiter and Schmidhuber: of 100 random numbers two are marked; give their sum. Who doesn't
//! remember the first of them for dozens of steps can only guess.
//!
//! ```sh
//! cargo run --release --example adding_problem [picture.svg]
//! ```
//!
//! An LSTM, and a SimpleRNN three times, with nothing but another recurrent initializer: what `recurrent_initializer`
//! does, answered by learning. With identity all is handed on, first too much and then what is needed; with zeros it still
//! guesses when the others are done (it finds a way some 500 updates later).

#[path = "chart/mod.rs"]
mod chart;

use std::error::Error;
use std::ops::ControlFlow;
use std::path::Path;

use ndarray::prelude::*;
use rand::RngExt;
use recurrent::{Activation, Dense, Initializer, KerasRng, Layer, Lstm, SeedSource, SimpleRnn, Stacked, training::*};

const STEPS: usize = 100;
const UNITS: usize = 32;
const BATCH: usize = 32;
const UPDATES: usize = 1200;
/// Updates whose losses make one point of the picture, and one line of the table.
const POINT: usize = 40;
const LINE: usize = 5 * POINT;

/// The mean squared error of who always says 1, the mean of the sum of two numbers between 0 and 1: the sum's variance.
const GUESSING: f64 = 1.0 / 6.0;

/// How one of them learned.
struct Learned {
    name: &'static str,
    /// The loss of each update.
    losses: Vec<f64>,
    /// The loss on rows that it hasn't seen.
    tested: f64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let picture = std::env::args_os().nth(1).unwrap_or("target/adding_problem.svg".into());
    let mut seeds = SeedSource::keras(7);
    let lstm = Lstm::builder(2, UNITS).seeds(&mut seeds).build()?;
    let identity = Initializer::Identity { gain: 1.0 };
    let orthogonal = Initializer::Orthogonal { gain: 1.0, seed: Some(3) };
    let all = [
        learn("LSTM", lstm, 0.01)?,
        learn("identity", simple_rnn(identity)?, 0.003)?,
        learn("orthogonal", simple_rnn(orthogonal)?, 0.003)?,
        learn("zeros", simple_rnn(Initializer::Zeros)?, 0.003)?,
    ];

    println!("The mean squared error, {STEPS} steps; always saying 1: {GUESSING:.4}\n");
    println!("           {:>10}   SimpleRNN, relu, recurrent_initializer =", all[0].name);
    print!("up to update");
    all.iter().for_each(|learned| print!(" {:>10}", if learned.name == "LSTM" { "" } else { learned.name }));
    println!();
    for line in 0..UPDATES / LINE {
        print!("{:>12}", (line + 1) * LINE);
        for learned in &all {
            let loss = mean(&learned.losses[line * LINE..][..LINE]);
            if loss < 100.0 { print!(" {loss:>10.4}") } else { print!(" {loss:>10.1e}") }
        }
        println!();
    }
    print!("{:>12}", "on new rows");
    all.iter().for_each(|learned| print!(" {:>10.4}", learned.tested));
    println!();
    draw(picture.as_ref(), &all)?;
    println!("\nThe picture is in {}", picture.display());

    let [lstm, identity, _, zeros] = all;
    assert!(lstm.tested < 0.1 * GUESSING);
    assert!(identity.tested < 0.5 * GUESSING);
    assert!(zeros.tested > 0.8 * GUESSING);
    Ok(())
}

/// Of relu, so that a state may be handed on as it is.
fn simple_rnn(recurrent_initializer: Initializer) -> recurrent::Result<SimpleRnn> {
    SimpleRnn::builder(2, UNITS)
        .activation(Activation::Relu)
        .recurrent_initializer(recurrent_initializer)
        .seeds(&mut SeedSource::keras(7))
        .build()
}

/// Trains a layer with a Dense on top of it, each update on rows of its own.
fn learn(name: &'static str, layer: impl Layer<f32> + 'static, learning_rate: f64) -> Result<Learned, Box<dyn Error>> {
    let head = Dense::builder(UNITS, 1).seeds(&mut SeedSource::keras(8)).build()?;
    let mut net = Stacked::builder().layer(layer).layer(head).build()?;
    let mut losses = Vec::new();
    let mut fit = Fit::new(Loss::MeanSquaredError, Adam::new(learning_rate).clipnorm(1.0)).on_update(|update| {
        losses.push(update.loss);
        ControlFlow::Continue(())
    });
    fit.run_batches(&mut net, |_| (0..UPDATES).map(|update| rows(update, BATCH)))?;
    let (x, sum) = rows(UPDATES, 1000);
    let tested = fit.evaluate(&net, &Dataset::new(&x, &sum))?[0].1;
    drop(fit);
    Ok(Learned { name, losses, tested })
}

/// A number and a mark at each step: one mark in the first half, one in the second; and the sum of the marked numbers.
fn rows(seed: usize, rows: usize) -> (Array3<f32>, Array2<f32>) {
    let mut random = KerasRng::new(1, seed as u64);
    let (mut x, mut sum) = (Array3::zeros((rows, STEPS, 2)), Array2::zeros((rows, 1)));
    for (mut row, sum) in x.outer_iter_mut().zip(&mut sum) {
        row.column_mut(0).mapv_inplace(|_: f32| random.random());
        for half in [0..STEPS / 2, STEPS / 2..STEPS] {
            let marked = random.random_range(half);
            row[[marked, 1]] = 1.0;
            *sum += row[[marked, 0]];
        }
    }
    (x, sum)
}

fn mean(losses: &[f64]) -> f64 {
    losses.iter().sum::<f64>() / losses.len() as f64
}

fn draw(path: &Path, all: &[Learned]) -> Result<(), Box<dyn Error>> {
    let line = |learned: &Learned| {
        let name = match learned.name {
            "LSTM" => "LSTM".into(),
            initializer => format!("SimpleRNN, {initializer}"),
        };
        chart::Line::new(name, POINT as f64 / 2.0, POINT as f64, learned.losses.chunks(POINT).map(mean))
    };
    let loss = chart::Panel {
        title: format!("loss, means of {POINT} updates"),
        x: "updates".into(),
        y: "mean squared error".into(),
        logarithmic: true,
        range: Some(1e-4..1.0),
        lines: all.iter().map(line).collect(),
        levels: vec![(GUESSING, String::new())],
        ..Default::default()
    };
    let title = format!("Who remembers {STEPS} steps? The adding problem");
    let notes = vec![
        "The SimpleRNNs have relu and differ in nothing but recurrent_initializer.".into(),
        format!("Dashed: always saying 1 costs {GUESSING:.3}."),
    ];
    chart::Picture { title, rows: vec![vec![loss]], notes }.draw(path)
}
