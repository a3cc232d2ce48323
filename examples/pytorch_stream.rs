//! A GRU of PyTorch, step by step, without PyTorch: `pytorch_stream [FILE.safetensors]`.
//!
//! Without a file it takes the one that `tests/golden/pytorch/generate.py` has written, and prints what PyTorch printed
//! there (`stream.txt`). The state of a stream is a value: half-way it is taken out and given to another stream.

use recurrent::{Stream, pytorch};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/pytorch/stream.safetensors");
    let path = std::env::args().nth(1).unwrap_or_else(|| golden.into());
    let file = pytorch::File::open(path)?;
    eprintln!("{file}");
    let gru = file.gru::<f32>("")?;
    let mut stream = Stream::new(&*gru, 1)?;
    for step in 0..8 {
        if step == 4 {
            let state = stream.state().clone();
            stream = Stream::new(&*gru, 1)?;
            stream.set_state(&state)?;
        }
        let x = [step as f32 / 8.0, 1.0 - step as f32 / 4.0];
        let h: Vec<String> = stream.step_one(&x)?.iter().map(|h| format!("{h:+.4}")).collect();
        println!("{step}: {}", h.join(" "));
    }
    Ok(())
}
