#![allow(missing_docs)]
use recurrent::{Gru, Layer, Lstm, SimpleRnn, Stream};
use std::hint::black_box;
use std::time::Instant;
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let (i, u): (usize, usize) = (a[2].parse().unwrap(), a[3].parse().unwrap());
    let shift: usize = a[4].parse().unwrap();
    let pad = vec![1u8; shift];
    black_box(&pad);
    let layer: Box<dyn Layer<f32>> = match a[1].as_str() {
        "lstm" => Box::new(Lstm::<f32>::builder(i, u).return_sequences(true).build().unwrap()),
        "gru" => Box::new(Gru::<f32>::new(i, u)),
        "before" => Box::new(Gru::<f32>::builder(i, u).reset_after(false).build().unwrap()),
        _ => Box::new(SimpleRnn::<f32>::new(i, u)),
    };
    let mut stream = Stream::new(&*layer, 1).unwrap();
    let scale: f32 = a[5].parse().unwrap();
    let mut seed = 9u64;
    let x: Vec<f32> = (0..i * 100)
        .map(|_| {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (seed >> 40) as f32 / (1u64 << 23) as f32 - 1.0
        })
        .map(|v| v * scale)
        .collect();
    let mut best = f64::MAX;
    let mut all = vec![];
    let stream = &mut stream;
    let x = &x;
    let f: &mut dyn FnMut() = &mut || {
        for s in x.chunks_exact(i) {
            if let Ok(o) = stream.step_one(black_box(s)) {
                black_box(o);
            }
        }
    };
    for _ in 0..50 {
        let t = Instant::now();
        for _ in 0..200 {
            f();
        }
        all.push(t.elapsed().as_nanos() as f64 / 20000.0);
        best = best.min(t.elapsed().as_nanos() as f64 / 20000.0);
    }
    all.sort_by(f64::total_cmp);
    println!("{} {i}x{u} {best:.1} median {:.1}", a[1], all[25]);
}
