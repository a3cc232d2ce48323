//! What a sentence says: good, bad or neither. An Embedding that masks the padding, an LSTM, and `Fit` with an accuracy
//! and validation, on sentences of which none is among those that it learns from.
//!
//! ```sh
//! cargo run --release --example sentiment [picture.svg]
//! ```
//!
//! The order of words decides: "not a dull film, in fact a great one" and its opposite have the same words. Counting
//! them isn't enough, so there is a recurrent layer.

#[path = "../chart/mod.rs"]
mod chart;
mod corpus;

use std::error::Error;
use std::path::Path;

use ndarray::prelude::*;
use recurrent::{Dense, Embedding, Lstm, Model, SeedSource, Sequential, training::*};

use corpus::{CLASSES, Corpus};

/// Sentences that are in neither part of the corpus.
const NEW: [(&str, &str); 8] = [
    ("what a charming little book", "good"),
    ("the waiter was terrible", "bad"),
    ("the waiter was not terrible at all", "good"),
    ("i expected a superb concert but it was dull", "bad"),
    ("i expected a dull concert but it was superb", "good"),
    ("the museum seemed boring, in the end the whole family loved it", "good"),
    ("we will not come back", "bad"),
    ("the train to the harbour comes on sunday", "neutral"),
];

fn main() -> Result<(), Box<dyn Error>> {
    let picture = std::env::args_os().nth(1).unwrap_or("target/sentiment.svg".into());
    let corpus = Corpus::read(include_str!("corpus.txt"))?;
    let (ids, classes) = corpus.train();
    let (test_ids, test_classes) = corpus.test();
    println!("{} sentences to learn from, {} to test, {} words", ids.nrows(), test_ids.nrows(), corpus.words());

    let mut model = build(corpus.words())?;
    println!("{model}\n");
    let history = Fit::new(Loss::SparseCategoricalCrossentropy { from_logits: true }, Adam::new(0.005))
        .metric(Metric::SparseCategoricalAccuracy)
        .epochs(40)
        .batch_size(16)
        .shuffle_each_epoch(7)
        .validation_data(Dataset::new(&test_ids, &test_classes))
        .early_stopping(EarlyStopping::new("val_loss").patience(8).restore_best_weights(true))
        .print_progress()
        .run(&mut model, &ids, &classes)?;
    draw(picture.as_ref(), &history)?;

    let best = history.best_epoch().ok_or("no epoch")?;
    let accuracy = history.get("val_sparse_categorical_accuracy")?[best - 1];
    println!("\nthe best epoch is number {best}: {:.1} % of the test's sentences are right\n", 100.0 * accuracy);
    assert!(accuracy > 0.85);

    let logits = model.predict_one(&corpus.ids_of(&NEW.map(|(sentence, _)| sentence)))?;
    let mut probabilities = logits.into_dimensionality::<Ix2>()?;
    println!("  {:<7} {:>7} {:>7}  true", CLASSES[0], CLASSES[1], CLASSES[2]);
    let mut right = 0;
    for (mut p, (sentence, class)) in probabilities.rows_mut().into_iter().zip(NEW) {
        softmax(&mut p);
        let likeliest = (0..CLASSES.len()).max_by(|a, b| p[*a].total_cmp(&p[*b])).unwrap_or(0);
        right += usize::from(CLASSES[likeliest] == class);
        println!("{:>6.3} {:>7.3} {:>7.3}    {class:<7}  {sentence}", p[0], p[1], p[2]);
    }
    println!("\n{right} of these {} are right. The picture is in {}", NEW.len(), picture.display());
    assert!(right >= 6);
    Ok(())
}

/// Padding has the id 0, which the embedding masks: the LSTM ends at the last word.
fn build(words: usize) -> recurrent::Result<Model<f32>> {
    let mut seeds = SeedSource::keras(7);
    Sequential::builder("sentiment")
        .layer(Embedding::builder(words, 8).mask_zero(true).seeds(&mut seeds).build()?)
        .layer(Lstm::builder(8, 24).seeds(&mut seeds).build()?)
        .layer(Dense::builder(24, CLASSES.len()).seeds(&mut seeds).build()?)
        .build()
}

/// Logits to probabilities.
fn softmax(logits: &mut ArrayViewMut1<'_, f32>) {
    logits.mapv_inplace(f32::exp);
    let sum = logits.sum();
    logits.mapv_inplace(|p| p / sum);
}

fn draw(path: &Path, history: &History) -> Result<(), Box<dyn Error>> {
    let line =
        |name: &str, of: &str| history.get(name).map(|values| chart::Line::new(of, 1.0, 1.0, values.iter().copied()));
    let best: Vec<_> = history.best_epoch().map(|best| (best as f64, "best epoch".into())).into_iter().collect();
    let loss = chart::Panel {
        title: "loss".into(),
        x: "epoch".into(),
        y: "cross-entropy".into(),
        lines: vec![line("loss", "training")?, line("val_loss", "test")?],
        levels: vec![(3.0_f64.ln(), "guessing".into())],
        moments: best.clone(),
        ..Default::default()
    };
    let accuracy = chart::Panel {
        title: "share of sentences that are right".into(),
        x: "epoch".into(),
        y: "accuracy".into(),
        range: Some(0.0..1.15),
        lines: vec![line("sparse_categorical_accuracy", "training")?, line("val_sparse_categorical_accuracy", "test")?],
        levels: vec![(1.0 / 3.0, "guessing".into())],
        moments: best,
        ..Default::default()
    };
    let title = "A small LSTM learns what a sentence says: good, bad or neither".into();
    chart::Picture { title, rows: vec![vec![loss, accuracy]], ..Default::default() }.draw(path)
}
