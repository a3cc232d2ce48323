//! The workloads of `cases.py` through one peer: a line of JSON for each that it can run.
//!
//! `peers DIR PEER [PART_OF_NAME]` checks the peer's numbers against those in `DIR` first, then takes the time.

mod case;
mod timer;

mod ours;
mod ours_onnx;

#[cfg(feature = "rten")]
mod rten_onnx;
#[cfg(feature = "tract")]
mod tract;

use std::path::Path;

use case::Case;

type Failure = Box<dyn std::error::Error>;

/// A workload in one peer's hands.
trait Work {
    /// One call: a step that carries the state on, or the whole.
    fn call(&mut self) -> Result<(), Failure>;

    /// What the first call, from a state of zeros, gave: (batch, steps, units), row by row.
    fn first_output(&mut self, case: &Case) -> Result<Vec<f32>, Failure>;
}

/// A peer, or none if it was left out of this build or doesn't have such a layer.
fn prepare(peer: &str, case: &Case) -> Result<Option<Box<dyn Work>>, Failure> {
    match peer {
        "ours" => ours::prepare(case),
        "ours-onnx" => ours_onnx::prepare(case),
        #[cfg(feature = "rten")]
        "rten" => rten_onnx::prepare(case),
        #[cfg(feature = "tract")]
        "tract" => tract::prepare(case),
        other => Err(format!("no peer {other:?} in this build").into()),
    }
}

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, peer, rest @ ..] = &arguments[..] else {
        return Err("usage: peers DIR PEER [PART_OF_NAME]".into());
    };
    for case in case::read(Path::new(folder))? {
        if rest.first().is_some_and(|part| !case.workload.name.contains(part.as_str())) {
            continue;
        }
        let name = &case.workload.name;
        let Some(mut work) = prepare(peer, &case)? else { continue };
        let error = case.largest_error(&work.first_output(&case)?)?;
        if !(error <= 1e-4) {
            eprintln!("{peer} {name}: left out, its numbers differ by {error:e}");
            continue;
        }
        let nanoseconds = timer::median(&mut || work.call())? / case.workload.row_steps as f64;
        println!(r#"{{"peer": "{peer}", "name": "{name}", "ns": {nanoseconds:.2}, "error": {error:e}}}"#);
    }
    Ok(())
}
