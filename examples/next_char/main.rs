//! Learns to write sonnets, character by character: prints what it would write as it learns, then is saved, loaded, and
//! writes the same as a stream of the loaded model.
//!
//! ```sh
//! cargo run --release --example next_char [picture.svg]
//! ```
//!
//! Its text is twenty of Shakespeare's sonnets, 12 KB: enough for words and lines, not for sense. After some six epochs
//! it begins to learn them by heart, and the two that it doesn't learn from tell.

#[path = "../chart/mod.rs"]
mod chart;

use std::error::Error;
use std::ops::ControlFlow;
use std::path::Path;

use ndarray::prelude::*;
use rand::RngExt;
use recurrent::{Dense, Embedding, Gru, KerasRng, Model, SeedSource, Sequential, file, training::*};

const TEXT: &str = include_str!("sonnets.txt");
/// The sonnets that are validated on: the last ones.
const HELD_OUT: usize = 2;
/// Characters of a row, and from the start of one row to the next.
const STEPS: usize = 64;
const STRIDE: usize = 16;

const UNITS: usize = 96;
const EPOCHS: usize = 10;
/// Epochs from one sample to the next.
const SAMPLE_AFTER: usize = 2;

fn main() -> Result<(), Box<dyn Error>> {
    let picture = std::env::args_os().nth(1).unwrap_or("target/next_char.svg".into());
    let alphabet = Alphabet::of(TEXT);
    let (train, test) = split(TEXT);
    let (x, next) = rows(&alphabet, train, STRIDE);
    let (test_x, test_next) = rows(&alphabet, test, STEPS);
    println!("{} characters, {} of them different: {} rows to learn from\n", TEXT.len(), alphabet.len(), x.nrows());

    let mut model = build(alphabet.len())?;
    let mut losses: [Vec<f64>; 2] = Default::default();
    let mut fit = Fit::new(Loss::SparseCategoricalCrossentropy { from_logits: true }, Adam::new(0.004).clipnorm(1.0))
        .batch_size(16)
        .shuffle_each_epoch(7)
        .validation_data(Dataset::new(&test_x, &test_next))
        .print_progress()
        .on_epoch(|progress| {
            for (losses, name) in losses.iter_mut().zip(["loss", "val_loss"]) {
                losses.extend(progress.get(name));
            }
            ControlFlow::Continue(())
        });
    // A run goes on where the one before has ended: between two of them the model can be looked at.
    for epoch in (0..EPOCHS).step_by(SAMPLE_AFTER) {
        fit = fit.initial_epoch(epoch).epochs(epoch + SAMPLE_AFTER);
        fit.run(&mut model, &x, &next)?;
        println!("\n{}\n", indented(&write(&model, &alphabet, 160)?));
    }
    drop(fit);
    draw(picture.as_ref(), &losses)?;
    let best = losses[1].iter().copied().fold(f64::INFINITY, f64::min);
    println!("of the sonnets that it doesn't learn from, a character costs {best:.2} nats at best\n");
    assert!(best < 2.25);

    let path = &Path::new(&picture).with_extension("safetensors");
    file::save(path, &model)?;
    let loaded: Model<f32> = file::load(path)?;
    let (before, after) = (write(&model, &alphabet, 400)?, write(&loaded, &alphabet, 400)?);
    println!(
        "Saved, and loaded again, it writes, and not one character is another than before:\n\n{}",
        indented(&after)
    );
    assert_eq!(before, after);
    println!("\nThe picture is in {}", picture.display());
    Ok(())
}

fn build(characters: usize) -> recurrent::Result<Model<f32>> {
    let mut seeds = SeedSource::keras(7);
    Sequential::builder("next_char")
        .layer(Embedding::builder(characters, 24).seeds(&mut seeds).build()?)
        .layer(Gru::builder(24, UNITS).return_sequences(true).seeds(&mut seeds).build()?)
        .layer(Dense::builder(UNITS, characters).seeds(&mut seeds).build()?)
        .build()
}

/// Characters and their ids.
struct Alphabet(Vec<char>);

impl Alphabet {
    fn of(text: &str) -> Self {
        let mut characters: Vec<char> = text.chars().collect();
        characters.sort_unstable();
        characters.dedup();
        Alphabet(characters)
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    /// The ids of a text; characters that aren't in the alphabet are left out.
    fn ids(&self, text: &str) -> Vec<i32> {
        text.chars().filter_map(|c| self.0.binary_search(&c).ok()).map(|id| id as i32).collect()
    }
}

/// What is learned from, and the last sonnets.
fn split(text: &str) -> (&str, &str) {
    let ends: Vec<usize> = text.match_indices("\n\n").map(|(end, _)| end + 2).collect();
    text.split_at(ends[ends.len() - HELD_OUT])
}

/// Rows of ids, and of the ids that come next.
fn rows(alphabet: &Alphabet, text: &str, stride: usize) -> (Array2<i32>, Array2<i32>) {
    let ids = alphabet.ids(text);
    let rows = (ids.len() - STEPS - 1) / stride + 1;
    let after = |later: usize| Array2::from_shape_fn((rows, STEPS), |(row, t)| ids[row * stride + t + later]);
    (after(0), after(1))
}

/// What the model writes after a line's end: each character is drawn from what it expects, and is the input of the
/// next step of its stream.
fn write(model: &Model<f32>, alphabet: &Alphabet, characters: usize) -> Result<String, Box<dyn Error>> {
    /// Below 1 the likely becomes likelier.
    const TEMPERATURE: f32 = 0.6;
    let mut random = KerasRng::new(5, 0);
    let mut stream = model.stream(1)?;
    let mut id = alphabet.ids("\n")[0];
    let mut written = String::new();
    for _ in 0..characters {
        let logits = stream.step(&[(&array![id]).into()])?[0].mapv(|logit| logit / TEMPERATURE);
        let largest = logits.fold(f32::NEG_INFINITY, |a, b| a.max(*b));
        let weights: Vec<f32> = logits.iter().map(|logit| (logit - largest).exp()).collect();
        let mut left = random.random::<f32>() * weights.iter().sum::<f32>();
        let drawn = weights.iter().position(|weight| {
            left -= weight;
            left < 0.0
        });
        let drawn = drawn.unwrap_or(0);
        written.push(alphabet.0[drawn]);
        id = drawn as i32;
    }
    Ok(written)
}

fn indented(text: &str) -> String {
    text.trim_end().lines().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
}

fn draw(path: &Path, [training, validation]: &[Vec<f64>; 2]) -> Result<(), Box<dyn Error>> {
    let line = |name: &str, losses: &[f64]| chart::Line::new(name, 1.0, 1.0, losses.iter().copied());
    let best = (0..validation.len()).min_by(|a, b| validation[*a].total_cmp(&validation[*b])).unwrap_or(0);
    let loss = chart::Panel {
        title: "loss".into(),
        x: "epoch".into(),
        y: "cross-entropy of a character, in nats".into(),
        lines: vec![line("18 sonnets", training), line("2 others", validation)],
        moments: vec![((best + 1) as f64, "then by heart".into())],
        ..Default::default()
    };
    let title = "A small GRU learns to write sonnets".into();
    chart::Picture { title, rows: vec![vec![loss]], ..Default::default() }.draw(path)
}
