//! Trains, is stopped in the middle, and goes on in a new process: the same losses as without the pause.
//!
//! `cargo run --release --example save_and_resume`

use std::error::Error;
use std::path::Path;
use std::process::Command;

use ndarray::prelude::*;
use recurrent::training::{Adam, DropoutSeeds, Loss, Optimizer, Tape};
use recurrent::{Dense, Gradients, Gru, Layer, OutputGradient, Run, SeedSource, Stacked, file};

const STEPS: usize = 10;

/// All that a training run is made of.
struct Training {
    layer: Stacked,
    optimizer: Adam<f32>,
    seeds: DropoutSeeds,
}

impl Training {
    fn new() -> recurrent::Result<Self> {
        let mut seeds = SeedSource::keras(7);
        let gru = Gru::builder(1, 16).dropout(0.1).recurrent_dropout(0.1).seeds(&mut seeds).build()?;
        let layer = Stacked::builder().layer(gru).layer(Dense::builder(16, 1).seeds(&mut seeds).build()?).build()?;
        Ok(Training { seeds: layer.seeds(), layer, optimizer: Adam::new(0.01) })
    }

    fn save(&self, folder: &Path) -> Result<(), Box<dyn Error>> {
        file::save(folder.join("layer.safetensors"), &self.layer)?;
        file::save(folder.join("optimizer.safetensors"), &self.optimizer)?;
        Ok(file::save(folder.join("seeds.safetensors"), &self.seeds)?)
    }

    fn load(folder: &Path) -> Result<Self, Box<dyn Error>> {
        Ok(Training {
            layer: file::load(folder.join("layer.safetensors"))?,
            optimizer: file::load(folder.join("optimizer.safetensors"))?,
            seeds: file::load(folder.join("seeds.safetensors"))?,
        })
    }

    /// Half of the run: prints the loss of each step.
    fn run(&mut self) -> recurrent::Result<Vec<String>> {
        let x = Array3::from_shape_fn((8, 20, 1), |(row, time, _)| (0.3 * time as f32 + row as f32).sin());
        let target = Array2::from_shape_fn((8, 1), |(row, _)| (6.0 + row as f32).sin());
        let (mut tape, mut gradients) = (Tape::new(), Gradients::new(&self.layer));
        let mut losses = Vec::new();
        for _ in 0..STEPS {
            let output = self.layer.run(&x, Run::new().training(&mut self.seeds).record(&mut tape))?;
            let (loss, d_last) = Loss::MeanSquaredError.with_gradient(output.last(), &target)?;
            gradients.clear();
            self.layer.backward(&mut tape, OutputGradient::new().last(&d_last), &mut gradients)?;
            self.optimizer.step(&mut self.layer, &gradients)?;
            losses.push(format!("{loss}"));
        }
        Ok(losses)
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    if let Some(folder) = std::env::args_os().nth(1) {
        // The second process.
        println!("{}", Training::load(Path::new(&folder))?.run()?.join("\n"));
        return Ok(());
    }
    let folder = std::env::temp_dir().join(format!("save_and_resume-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let mut training = Training::new()?;
    println!("{}", training.run()?.join("\n"));
    training.save(&folder)?;
    println!("saved; a new process goes on:");
    let resumed = Command::new(std::env::current_exe()?).arg(&folder).output()?;
    let resumed = String::from_utf8(resumed.stdout)?;
    print!("{resumed}");
    std::fs::remove_dir_all(&folder)?;
    // What it would have been without the pause.
    assert_eq!(resumed.lines().collect::<Vec<_>>(), training.run()?);
    println!("the same losses as without the pause");
    Ok(())
}
