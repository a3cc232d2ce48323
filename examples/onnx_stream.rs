//! A policy of ONNX's, observation by observation: `onnx_stream [POLICY.onnx]`.
//!
//! ```sh
//! cargo run --release --features onnx --example onnx_stream
//! ```
//!
//! Without a file it takes one that PyTorch exported, whose states are inputs and outputs, and prints the actions that
//! ONNX Runtime gave (`tests/golden/onnx/stream.py` has written both). The states are the stream's: they are paired by
//! their names. What a step took is printed to standard error.

use std::time::Instant;

use recurrent::onnx;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/onnx/policy.onnx");
    let path = std::env::args().nth(1).unwrap_or_else(|| golden.into());
    let policy = onnx::load::<f32>(path)?;
    eprintln!("{policy}"); // its layers, and which states belong together
    let width = policy.inputs().next().and_then(|(_, shape)| *shape.last()?).ok_or("an observation of any width")?;
    let mut stream = policy.stream(1)?;
    let mut observation = vec![0.0; width];
    for step in 0..8 {
        for (at, value) in observation.iter_mut().enumerate() {
            *value = ((step * 5 + at) % 7) as f32 / 4.0 - 0.75;
        }
        let started = Instant::now();
        let action = stream.step_one(&observation)?;
        let time = started.elapsed();
        let numbers: Vec<String> = action.iter().map(|x| format!("{x:+.4}")).collect();
        println!("{step}: {}", numbers.join(" "));
        eprintln!("{:.2} microseconds", time.as_secs_f64() * 1e6);
    }
    Ok(())
}
