//! What does `recurrent_initializer` do? The experiment that asks, the answer, and how far it reaches.
//!
//! ```sh
//! cargo run --release --example recurrent_initializer [picture.svg]
//! ```
//!
//! [`question`] is a page of plain use of the crate. [`memory`] goes further: what each initializer does to memory,
//! with [`spectral_radius`] to say why; [`gradient`] looks back the same way, and [`picture`] shows both.

#[path = "../chart/mod.rs"]
mod chart;
mod documented;
mod gradient;
mod memory;
mod picture;
mod question;
mod spectral_radius;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let picture = std::env::args_os().nth(1).unwrap_or("target/recurrent_initializer.svg".into());

    println!("WHAT DOES recurrent_initializer DO?\n");
    question::first_experiment()?;
    question::answer()?;
    let [linear, tanh] = memory::of_an_impulse()?;
    let gradients = gradient::that_reaches_back(&linear)?;
    picture::draw(picture.as_ref(), [&linear, &tanh], &gradients)?;
    println!("\n   The picture is in {}", picture.display());
    Ok(())
}
