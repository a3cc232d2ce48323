#![allow(missing_docs, unsafe_code, clippy::undocumented_unsafe_blocks)]
use recurrent::door::{Cell, Runner, numbers};
#[repr(C)]
struct Ts {
    s: i64,
    n: i64,
}
#[allow(unsafe_code)]
unsafe extern "C" {
    fn clock_gettime(c: i32, t: *mut Ts) -> i32;
}
#[allow(unsafe_code)]
fn now() -> f64 {
    let mut t = Ts { s: 0, n: 0 };
    unsafe { clock_gettime(3, &mut t) };
    t.s as f64 * 1e9 + t.n as f64
}
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let cell = match a[1].as_str() {
        "lstm" => Cell::Lstm,
        "gru" => Cell::GruAfter,
        "grub" => Cell::GruBefore,
        _ => Cell::SimpleRnn,
    };
    let (i, u, b, t): (usize, usize, usize, usize) =
        (a[3].parse().unwrap(), a[4].parse().unwrap(), a[5].parse().unwrap(), a[6].parse().unwrap());
    if a.get(7).is_some_and(|p| p == "f64") {
        run::<f64>(cell, &a[2], i, u, b, t)
    } else {
        run::<f32>(cell, &a[2], i, u, b, t)
    }
}
fn run<T: recurrent::Float>(cell: Cell, isa: &str, i: usize, u: usize, b: usize, t: usize) {
    let pad: usize = std::env::var("PAD").map_or(0, |p| p.parse().unwrap());
    std::mem::forget(Vec::<u8>::with_capacity(pad + 1));
    let x = numbers::<T>(b * t * i, 1.0, 9);
    let mut r = Runner::<T>::new(cell, isa, i, u, b);
    let seq = std::env::var("SEQ").is_ok();
    let mut times = vec![];
    let mut reps = 1;
    loop {
        let t0 = now();
        for _ in 0..reps {
            if std::env::var("ROW").is_ok() && b == 1 {
                for s in 0..t {
                    r.step_row(&x[s * i..][..i]);
                }
            } else if seq {
                r.sequence(&x, t)
            } else {
                for s in 0..t {
                    r.step(&x[s * i..], t * i);
                }
            }
        }
        let d = now() - t0;
        if d < 4e5 && times.is_empty() {
            reps *= 2;
            continue;
        }
        times.push(d / reps as f64 / t as f64 / b as f64);
        if times.len() == 41 {
            break;
        }
    }
    times.sort_by(f64::total_cmp);
    println!("{cell:?} {isa} {i}x{u} B{b} T{t}: median {:.1} min {:.1} ns per row-step", times[20], times[0]);
}
