//! Part 4: how far back the gradient reaches, for each recurrent initializer.

use ndarray::prelude::*;
use recurrent::training::{Reach, Tape};
use recurrent::{Activation, Gradients, Initializer, Layer, OutputGradient, Result, Run};

use crate::memory::{CANDIDATES, Candidate, Memory, OTHER_SEEDS, SEED, SHOWN, STEPS, UNITS, short};

/// The standard deviation of the input: little enough that tanh is nearly linear, unless the network itself makes more.
const NOISE: f64 = 0.1;
const NOISE_SEED: i64 = 5;

/// How strongly the last state depends on the input of each step before it, with one initializer.
pub struct Backward {
    /// The initializer.
    pub name: &'static str,
    /// The norm by steps back, of the seed that was run.
    pub norms: Vec<f64>,
    /// The same of the other seeds.
    pub others: Vec<Vec<f64>>,
}

impl Backward {
    fn measure(candidate: &Candidate, activation: &Activation) -> Result<Self> {
        let reach = |seed| reach(candidate, seed, activation.clone());
        let others: Result<Vec<Vec<f64>>> = OTHER_SEEDS.map(reach).collect();
        Ok(Backward { name: candidate.name, norms: reach(SEED)?, others: others? })
    }

    /// The least and the most at the first step, of the other seeds.
    fn luck(&self) -> (f64, f64) {
        let last = self.others.iter().map(|norms| norms[STEPS]);
        last.fold((f64::INFINITY, 0.0), |(least, most), norm| (f64::min(least, norm), f64::max(most, norm)))
    }
}

/// The norms of `∂h(last) / ∂x(last - k)` for k = 0, 1, ...: one pass forward and one back.
fn reach(candidate: &Candidate, seed: i64, activation: Activation) -> Result<Vec<f64>> {
    let rnn = candidate.simple_rnn(seed, activation)?;
    let noise = Initializer::RandomNormal { mean: 0.0, stddev: NOISE, seed: Some(NOISE_SEED) };
    let noise = noise.initialize::<f32>(&[1, 1 + STEPS])?;
    // As many rows as units, all alike; back from each goes the gradient of another unit.
    let x = Array3::from_shape_fn((UNITS, 1 + STEPS, 1), |(_, step, _)| noise[[0, step]]);
    let (mut tape, mut gradients) = (Tape::new(), Gradients::new(&rnn));
    rnn.run(&x, Run::new().record(&mut tape))?;
    rnn.backward(&mut tape, OutputGradient::new().last(&Array2::eye(UNITS)), &mut gradients)?;
    Ok(Reach::of_gradients(&gradients)?.norms().to_vec())
}

/// Prints part 4; returns what there is to draw: linear, then tanh.
pub fn that_reaches_back(linear_memories: &[Memory]) -> Result<[Vec<Backward>; 2]> {
    println!("\n4. And back: the gradient by which it learns\n");
    println!(
        "   The same SimpleRNN on small noise, normal with a deviation of {NOISE}. How strongly does the last h depend on
   the input k steps before it? The norm of the {UNITS} derivatives dh(last) / dx(last - k), by one backward pass:
   what doesn't reach a step teaches nothing about it.

   linear: it is |K R^k|, part 3's norm of h: what is forgotten can't be learned, what explodes explodes both ways."
    );
    let measure = |activation| CANDIDATES.iter().map(|candidate| Backward::measure(candidate, &activation)).collect();
    let all: [Result<Vec<Backward>>; 2] = [Activation::Linear, Activation::Tanh].map(measure);
    let [linear, tanh] = all;
    let (linear, tanh) = (linear?, tanh?);
    for (memory, backward) in linear_memories.iter().zip(&linear) {
        for (forward, back) in memory.norms.iter().zip(&backward.norms) {
            assert!((forward - back).abs() <= 1e-3 * forward);
        }
    }

    println!("\n   tanh             norm of the gradient k steps back");
    print!("   {:<15}", "k =");
    for step in SHOWN {
        print!(" {step:>7}");
    }
    println!("   {STEPS} back, 20 seeds");
    for backward in &tanh {
        print!("   {:<15}", backward.name);
        for step in SHOWN {
            print!(" {:>7}", short(backward.norms[step]));
        }
        let (least, most) = backward.luck();
        let least = if least > 0.0 && least < 1e-4 { format!("{least:.0e}") } else { short(least) };
        println!("   {least:>7} - {}", short(most));
    }
    println!(
        "
   Why orthogonal is Keras's default: as long as tanh is nearly linear, a matrix that turns without stretching
   hands on the state and the gradient alike, over any number of steps and whatever the seed. With zeros no
   gradient leaves the last step. The glorot initializers leave it to the seed whether it fades or grows; he_normal
   makes a network that drowns the input, and whose gradient is anything. Identity keeps the gradient too, but each
   unit adds up its input for itself: when something came is lost. Orthogonal mixes the units, so that each step
   leaves a trace of its own. It is where learning begins, no more: large inputs drive tanh to where it is flat, and
   gradients fade with any of them. That is what the gates of LSTM and GRU are for."
    );
    Ok([linear, tanh])
}
