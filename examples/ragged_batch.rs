//! A batch of rows of different length, classified: each row costs the steps that it has, and gets the result that it
//! would have alone.
//!
//! ```sh
//! cargo run --release --example ragged_batch
//! ```
//!
//! A row is a football match, a goal a time step. The weights are set by hand, so that each line can be checked: the
//! recurrent layer keeps the difference of goals, the head says who won.

use std::error::Error;

use ndarray::prelude::*;
use recurrent::{Activation, Dense, Embedding, Initializer, Layer, Run, SimpleRnn, Stacked, pad_ids};

const MATCHES: [&str; 6] = ["HAHH", "A", "HAAHHAA", "HA", "", "HHHHHAHHHH"];

/// Ids of the embedding; 0 is padding.
const HOME: usize = 1;
const AWAY: usize = 2;

fn main() -> Result<(), Box<dyn Error>> {
    let rows =
        MATCHES.map(|goals| goals.bytes().map(|goal| if goal == b'H' { HOME } else { AWAY }).collect::<Vec<_>>());
    let (ids, lengths) = pad_ids(&rows)?;
    let longest = ids.ncols();
    let (embedding, classifier) = (goals()?, referee()?);
    let (x, mask) = embedding.forward(&ids)?;
    println!("{classifier}\n");

    let outcome = classifier.run(&x, Run::new().lengths(&lengths))?.into_last();
    println!("goals        score   home win   draw   away win");
    for (goals, p) in MATCHES.iter().zip(outcome.rows()) {
        let home = goals.matches('H').count();
        let score = format!("{home}:{}", goals.len() - home);
        println!("{goals:<12} {score:<7} {:>8.3} {:>6.3} {:>10.3}", p[0], p[1], p[2]);
        let winner = (0..3).max_by(|a, b| p[*a].total_cmp(&p[*b]));
        assert_eq!(
            winner,
            Some(if 2 * home > goals.len() {
                0
            } else if 2 * home == goals.len() {
                1
            } else {
                2
            })
        );
    }
    let steps: usize = lengths.iter().sum();
    println!("\n{steps} steps of the recurrent layer were computed, not {}.", longest * MATCHES.len());

    // The same by the mask that the embedding makes of the padding, and row by row without any padding.
    assert_eq!(classifier.run(&x, Run::new().mask_if(mask.as_ref()))?.last(), outcome);
    println!("The embedding's mask gives the same bits.");
    for (row, &length) in lengths.iter().enumerate().filter(|(_, length)| **length > 0) {
        let alone = classifier.forward(&x.slice(s![row..=row, ..length, ..]))?;
        assert_eq!(alone.last().row(0), outcome.row(row));
    }
    println!("Each row alone, without padding, gives the same bits.");
    Ok(())
}

/// A goal as a number: 1 for the home team, -1 for the other.
fn goals() -> recurrent::Result<Embedding> {
    let mut embedding = Embedding::builder(3, 1).mask_zero(true).build()?;
    embedding.set_embeddings(array![[0.0], [1.0], [-1.0]].view().into_dyn())?;
    Ok(embedding)
}

/// h' = x + h, then a softmax over 4 h - 2, 0 and -4 h - 2.
fn referee() -> recurrent::Result<Stacked> {
    let difference = SimpleRnn::builder(1, 1)
        .kernel_initializer(Initializer::Ones)
        .recurrent_initializer(Initializer::Ones)
        .activation(Activation::Linear)
        .build()?;
    let head = Dense::builder(1, 3).activation(Activation::Softmax).build()?;
    let mut referee = Stacked::builder().layer(difference).layer(head).build()?;
    referee.set_weights(&[
        ("1/kernel", array![[4.0, 0.0, -4.0]].view().into_dyn()),
        ("1/bias", array![-2.0, 0.0, -2.0].view().into_dyn()),
    ])?;
    Ok(referee)
}
