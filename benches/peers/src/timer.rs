//! Nanoseconds of a call: the median of samples of some milliseconds each.

use std::time::{Duration, Instant};

use crate::Failure;

const SAMPLES: usize = 15;
const SAMPLE: Duration = Duration::from_millis(8);

pub fn median(call: &mut dyn FnMut() -> Result<(), Failure>) -> Result<f64, Failure> {
    // How many calls fill a sample; the first ones warm up.
    let mut calls = 1;
    loop {
        let start = Instant::now();
        for _ in 0..calls {
            call()?;
        }
        let elapsed = start.elapsed();
        if elapsed >= SAMPLE {
            break;
        }
        calls = if elapsed * 10 < SAMPLE { calls * 10 } else { calls * 2 };
    }
    let mut samples = Vec::new();
    for _ in 0..SAMPLES {
        let start = Instant::now();
        for _ in 0..calls {
            call()?;
        }
        samples.push(start.elapsed().as_nanos() as f64 / calls as f64);
    }
    samples.sort_by(f64::total_cmp);
    Ok(samples[SAMPLES / 2])
}
