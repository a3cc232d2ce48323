//! Part 3: how long a SimpleRNN remembers one impulse, for each recurrent initializer.

use ndarray::prelude::*;
use recurrent::{Activation, Initializer, Layer, Result, SimpleRnn};

use crate::spectral_radius::{norm, spectral_radius};

pub const UNITS: usize = 64;
/// Steps without input after the step that has the impulse.
pub const STEPS: usize = 100;
/// Forgotten: the norm has fallen below this fraction of what it was after the impulse.
pub const FORGOTTEN: f64 = 0.01;

/// The seed of the recurrent kernels. It is one that puts the two glorot initializers on different sides of 1; the
/// table shows what other seeds do.
pub const SEED: i64 = 3;
/// The kernel's seed, another one: with the same, the kernel would be a row of the recurrent kernel.
const KERNEL_SEED: i64 = 4;
pub const OTHER_SEEDS: std::ops::Range<i64> = 0..20;

/// The steps whose norms the tables show.
pub const SHOWN: [usize; 7] = [0, 1, 5, 10, 20, 50, 100];

/// A recurrent initializer under Keras's name.
pub struct Candidate {
    pub name: &'static str,
    make: fn(Option<i64>) -> Initializer,
    why: &'static str,
}

pub const CANDIDATES: [Candidate; 6] = [
    Candidate {
        name: "zeros",
        make: |_| Initializer::Zeros,
        why: "h R is 0: nothing passes from one step to the next.",
    },
    Candidate {
        name: "identity",
        make: |_| Initializer::Identity { gain: 1.0 },
        why: "h R is h: linear keeps all of it; tanh makes large values smaller, small ones hardly.",
    },
    Candidate {
        name: "orthogonal",
        make: |seed| Initializer::Orthogonal { gain: 1.0, seed },
        why: "turns h and keeps its norm, whatever the seed: Keras's default.",
    },
    Candidate {
        name: "glorot_uniform",
        make: |seed| Initializer::GlorotUniform { seed },
        why: "a variance of 1/64 puts the radius near 1; below or above is the seed's luck. Here below: it fades.",
    },
    Candidate {
        name: "glorot_normal",
        make: |seed| Initializer::GlorotNormal { seed },
        why: "the same variance, the same luck. Here above: it grows.",
    },
    Candidate {
        name: "he_normal",
        make: |seed| Initializer::HeNormal { seed },
        why: "twice the variance, a radius of 1.4 and more: linear explodes; tanh keeps the network busy with itself.",
    },
];

impl Candidate {
    /// The SimpleRNN whose recurrent kernel it makes: `h' = activation(x K + h R)`, in f32 as Keras computes.
    pub fn simple_rnn(&self, seed: i64, activation: Activation) -> Result<SimpleRnn> {
        SimpleRnn::builder(1, UNITS)
            .kernel_initializer(Initializer::GlorotUniform { seed: Some(KERNEL_SEED) })
            .recurrent_initializer((self.make)(Some(seed)))
            .activation(activation)
            .return_sequences(true)
            .build()
    }
}

/// What became of the impulse, with one initializer.
pub struct Memory {
    /// The initializer.
    pub name: &'static str,
    /// The spectral radius of the recurrent kernel.
    pub radius: f64,
    /// The norm of the hidden state after the impulse (at 0), and after each step from then on.
    pub norms: Vec<f64>,
}

impl Memory {
    /// Runs the layer on a one followed by zeros.
    fn measure(candidate: &Candidate, activation: Activation) -> Result<Memory> {
        let rnn = candidate.simple_rnn(SEED, activation)?;
        let mut impulse = Array3::zeros((1, 1 + STEPS, 1));
        impulse[[0, 0, 0]] = 1.0;
        let states = rnn.forward(&impulse)?.into_sequence()?;
        let norms = states.slice(s![0, .., ..]).rows().into_iter().map(|h| norm(&h.mapv(f64::from))).collect();
        Ok(Memory { name: candidate.name, radius: radius_of(&(candidate.make)(Some(SEED)))?, norms })
    }

    /// How many steps after the impulse there was still 1 % of it; `None` if it is still there at the end.
    fn remembered(&self) -> Option<usize> {
        let forgotten_at = self.norms.iter().position(|norm| *norm < FORGOTTEN * self.norms[0])?;
        Some(forgotten_at - 1)
    }
}

/// The spectral radius of the recurrent kernel that an initializer makes.
fn radius_of(recurrent_initializer: &Initializer) -> Result<f64> {
    let kernel = recurrent_initializer.initialize::<f32>(&[UNITS, UNITS])?;
    Ok(spectral_radius(&Array2::from_shape_fn((UNITS, UNITS), |(i, j)| kernel[[i, j]].into())))
}

/// Prints part 3; returns what there is to draw: linear, then tanh.
pub fn of_an_impulse() -> Result<[Vec<Memory>; 2]> {
    println!("3. And further: what is left of one impulse, {STEPS} steps later");
    println!(
        "
   A SimpleRNN of {UNITS} units; its input is 1 at step 0 and 0 from then on.
   radius      the spectral radius of the recurrent kernel R, its largest |eigenvalue|: the factor by which a linear
               h grows or shrinks with each step in the long run; for the seed {SEED} that was run, and over {} seeds
   remembered  how many steps the norm of h stays at 1 % or more of what it was after the impulse",
        OTHER_SEEDS.count()
    );
    let measure = |activation: Activation| -> Result<Vec<Memory>> {
        CANDIDATES.iter().map(|candidate| Memory::measure(candidate, activation.clone())).collect()
    };
    let panels = [measure(Activation::Linear)?, measure(Activation::Tanh)?];
    for (title, memories) in ["linear:  h' = h R", "tanh:  h' = tanh(h R)"].iter().zip(&panels) {
        println!("\n   {title:<21}   radius of R        norm of h after step");
        print!("   {:<15} {:>7} {:>12}", "", "here", "20 seeds");
        for step in SHOWN {
            print!(" {step:>7}");
        }
        println!("   remembered");
        for (memory, candidate) in memories.iter().zip(&CANDIDATES) {
            print_row(memory, candidate)?;
        }
    }
    println!("\n   Why:");
    for Candidate { name, why, .. } in &CANDIDATES {
        println!("   {name:<15} {why}");
    }
    println!(
        "   A norm that stays is room for memory, no more: where the network is busy with itself, the impulse may"
    );
    println!("   be lost in the noise.");
    Ok(panels)
}

fn print_row(memory: &Memory, candidate: &Candidate) -> Result<()> {
    let (mut least, mut most) = (f64::INFINITY, 0.0_f64);
    for seed in OTHER_SEEDS {
        let radius = radius_of(&(candidate.make)(Some(seed)))?;
        (least, most) = (least.min(radius), most.max(radius));
    }
    print!("   {:<15} {:>7.3} {least:>5.2} - {most:.2}", memory.name, memory.radius);
    for step in SHOWN {
        print!(" {:>7}", short(memory.norms[step]));
    }
    match memory.remembered() {
        Some(steps) => println!("   {steps:>10}"),
        None => println!("   {:>10}", format!("> {STEPS}")),
    }
    Ok(())
}

/// Three digits in few characters: `0`, `0.0713`, `1.30`, `52.8`, `3.6e18`.
pub fn short(norm: f64) -> String {
    match norm {
        0.0 => "0".into(),
        1000.0.. => format!("{norm:.1e}"),
        100.0.. => format!("{norm:.0}"),
        10.0.. => format!("{norm:.1}"),
        1.0.. => format!("{norm:.2}"),
        0.01.. => format!("{norm:.3}"),
        _ => format!("{norm:.4}"),
    }
}
