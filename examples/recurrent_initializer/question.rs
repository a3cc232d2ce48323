//! Parts 1 and 2: the experiment that raised the question, and the one that answers it.

use std::error::Error;

use ndarray::prelude::*;
use recurrent::{Activation, Initializer, Layer, Lstm, SimpleRnn};

use crate::documented;

type Outcome = Result<(), Box<dyn Error>>;

/// The two initializers that the question compares, with Keras's names.
fn compared() -> [(&'static str, Initializer); 2] {
    [("zeros", Initializer::Zeros), ("glorot_normal(seed=0)", Initializer::GlorotNormal { seed: Some(0) })]
}

fn simple_rnn(features: usize, recurrent_initializer: Initializer) -> recurrent::Result<SimpleRnn> {
    SimpleRnn::builder(features, 1)
        .kernel_initializer(Initializer::Ones)
        .recurrent_initializer(recurrent_initializer)
        .activation(Activation::Linear)
        .return_sequences(true)
        .build()
}

fn lstm(features: usize, recurrent_initializer: Initializer) -> recurrent::Result<Lstm> {
    Lstm::builder(features, 1)
        .kernel_initializer(Initializer::Ones)
        .recurrent_initializer(recurrent_initializer)
        .activation(Activation::Linear)
        .return_state(true)
        .build()
}

pub fn first_experiment() -> Outcome {
    println!("1. The experiment that asks: input of shape (1, 1, 20)\n");
    println!("   Of 20 features the first i are 5, the others 0, for i = 0..19. One unit, kernel ones, linear.\n");
    for (name, recurrent_initializer) in compared() {
        print("SimpleRNN", name, &twenty_outputs(&simple_rnn(20, recurrent_initializer)?)?);
    }
    print("", "Keras prints for both", &documented::SIMPLE_RNN);
    println!();
    for (name, recurrent_initializer) in compared() {
        print("LSTM", name, &twenty_outputs(&lstm(20, recurrent_initializer)?)?);
    }
    print("", "Keras prints for both", &documented::LSTM);
    println!(
        "
   Why there is no difference: the input has one time step, and at the first step the recurrent kernel is
   multiplied by the initial state, which is zero.
   Why the LSTM begins below 5, 10, 15: its gates are sigmoids of the same sum, and 1 once the sum is large.
   Why a last digit may not be Keras's: here a multiply-add is rounded once, in Keras twice.
"
    );
    Ok(())
}

/// The layer's output for each of the twenty inputs.
fn twenty_outputs(layer: &dyn Layer<f32>) -> recurrent::Result<Vec<f32>> {
    let output = |i| {
        let x = Array3::from_shape_fn((1, 1, 20), |(_, _, feature)| if feature < i { 5.0 } else { 0.0 });
        layer.forward(&x).map(|output| output.last()[[0, 0]])
    };
    (0..20).map(output).collect()
}

pub fn answer() -> Outcome {
    println!("2. The answer: give it a sequence, ones of shape (1, 4, 1)\n");
    let ones = Array3::ones((1, 4, 1));
    for ((name, recurrent_initializer), keras) in compared().into_iter().zip(documented::SEQUENCES) {
        print("SimpleRNN", name, simple_rnn(1, recurrent_initializer)?.forward(&ones)?.sequence()?);
        print("", "Keras prints", &keras);
    }
    println!();
    for ((name, recurrent_initializer), keras) in compared().into_iter().zip(documented::STATES) {
        let state = lstm(1, recurrent_initializer)?.forward(&ones)?.into_state()?;
        print("LSTM h, c", name, state.get("h")?.iter().chain(&state.get("c")?));
        print("", "Keras prints", &keras);
    }
    let rnn = simple_rnn(1, Initializer::GlorotNormal { seed: Some(0) })?;
    println!(
        "
   Why they differ now: from the second step on there is a state to multiply by the recurrent kernel, which is
   0 for zeros and {r} for glorot_normal(seed=0).
   Why the SimpleRNN's signs alternate and its values grow: h' = x + h * ({r}).
",
        r = rnn.weight("recurrent_kernel")?[[0, 0]]
    );
    Ok(())
}

/// One line: which layer, which initializer, and the numbers as Python prints them.
fn print<'a>(layer: &str, initializer: &str, numbers: impl IntoIterator<Item = &'a f32>) {
    let numbers: Vec<String> = numbers.into_iter().map(f32::to_string).collect();
    println!("   {layer:<9}  {initializer:<21}  {}", numbers.join(" "));
}
