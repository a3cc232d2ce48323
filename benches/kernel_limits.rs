//! The kernels against the limits of the machine, measured in the same run.
//!
//! ```sh
//! taskset -c 1 cargo bench --bench kernel_limits                   # everything, about two minutes
//! taskset -c 1 cargo bench --bench kernel_limits -- avx512 f32     # rows whose description has all these words
//! ```
//!
//! The limit of a row and step is `max(operations / peak, time to read the weights) + activations`. The peak is that of
//! fused multiply-adds in registers. The time to read is measured on as many bytes as the step reads, in the order in
//! which it reads them (a tile after the other, every other step backwards). An activation costs what one costs in a loop
//! over values in the nearest cache; an LSTM has 5 a unit, a GRU 3, a SimpleRNN 1. Of a sequence only the recurrent weights
//! are charged with reading, and the input's product with the peak; of a batch nothing is read.
//!
//! Other activations are measured against the default ones. Times are those of the thread, not of the clock, and the
//! median of many repeats, so that a busy machine disturbs them less; it still does through the caches that it shares.

use std::hint::black_box;

use recurrent::door::{Cell, Runner, instruction_sets, nonlinearities, numbers, peak, read};
use recurrent::{Activation, Float};

/// The time that this thread has run, in nanoseconds.
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
#[allow(unsafe_code)]
fn now() -> f64 {
    #[repr(C)]
    struct Timespec {
        seconds: i64,
        nanoseconds: i64,
    }
    // SAFETY: the signature is that of the C library on 64-bit Linux.
    unsafe extern "C" {
        fn clock_gettime(clock: i32, time: *mut Timespec) -> i32;
    }
    const THREAD_CPUTIME: i32 = 3;
    let mut time = Timespec { seconds: 0, nanoseconds: 0 };
    // SAFETY: `time` lives as long as the call and has the layout that the C library writes.
    unsafe { clock_gettime(THREAD_CPUTIME, &mut time) };
    time.seconds as f64 * 1e9 + time.nanoseconds as f64
}

#[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
fn now() -> f64 {
    static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    START.get_or_init(std::time::Instant::now).elapsed().as_nanos() as f64
}

/// Nanoseconds of one call: the median of repeats of about 0.3 ms.
fn time(mut call: impl FnMut()) -> f64 {
    let mut once = |calls: usize| {
        let start = now();
        (0..calls).for_each(|_| call());
        now() - start
    };
    let mut calls = 1;
    once(1);
    while once(calls) < 3e5 {
        calls *= 2;
    }
    let mut times: Vec<f64> = (0..31).map(|_| once(calls) / calls as f64).collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// What the machine does at most with an element type and an instruction set.
struct Limits {
    isa: &'static str,
    /// Multiply-adds of elements in a nanosecond.
    peak: f64,
    /// Nanoseconds of an activation.
    activation: f64,
}

impl Limits {
    fn measure<T: Float>(isa: &'static str) -> Self {
        let (rounds, half) = (2000, T::from_f64(0.5));
        let elements = rounds * 6 * 64 / size_of::<T>();
        let nanoseconds = time(|| {
            black_box(peak::<T>(isa, black_box(rounds), black_box(half)));
        });
        let mut values = numbers::<T>(1024, 3.0, 1);
        let activation = time(|| nonlinearities(isa, black_box(&mut values))) / 1024.0;
        Limits { isa, peak: elements as f64 / nanoseconds, activation }
    }

    /// Nanoseconds of reading so many elements, `block` of them before the next ones.
    fn read<T: Float>(&self, elements: usize, block: usize) -> f64 {
        let slack = 64 / size_of::<T>();
        let data = numbers::<T>(elements + slack, 0.01, 2);
        let start = data.as_ptr().align_offset(64).min(slack);
        let times = (1 << 20) / elements + 2;
        let nanoseconds = time(|| {
            black_box(read(self.isa, black_box(&data[start..][..elements]), block, times));
        });
        nanoseconds / times as f64
    }
}

/// What is computed.
#[derive(Clone, Copy, PartialEq)]
enum Work {
    /// One step of one row.
    Step,
    /// A hundred steps of one row, x projected in chunks.
    Sequence,
    /// Steps of many rows: rows, steps.
    Batch(usize, usize),
    /// 32 rows of 10 to 100 steps.
    Ragged,
    /// 32 rows and 100 steps, of which 70 % are taken.
    Masked,
}

/// A cell, its name, gates and activations a unit.
type Kind = (Cell, &'static str, usize, usize);

const CELLS: [Kind; 4] = [
    (Cell::Lstm, "lstm", 4, 5),
    (Cell::GruAfter, "gru", 3, 3),
    (Cell::GruBefore, "gru-before", 3, 3),
    (Cell::SimpleRnn, "simple-rnn", 1, 1),
];

const STEPS: [(usize, usize); 6] = [(1, 40), (8, 16), (16, 32), (32, 64), (64, 128), (128, 256)];
const SEQUENCES: [(usize, usize); 4] = [(32, 64), (64, 128), (128, 128), (256, 512)];
/// Input size, units, rows, steps.
const BATCHES: [(usize, usize, usize, usize); 4] =
    [(40, 128, 32, 50), (40, 128, 128, 50), (64, 128, 32, 50), (256, 512, 32, 20)];

struct Bench {
    words: Vec<String>,
}

impl Bench {
    fn wanted(&self, description: &str) -> bool {
        self.words.iter().all(|word| description.split_whitespace().any(|part| part == word))
    }

    fn row(&self, description: &str, time: f64, limit: f64) {
        println!("{description:<52} {time:>9.1} ns  limit {limit:>9.1}  {:>5.2}", time / limit);
    }

    fn all<T: Float>(&self, isa: &'static str, float: &str) {
        let limits = Limits::measure::<T>(isa);
        let reads = [24, 64, 128, 512, 2048].map(|kilobytes: usize| {
            let elements = (kilobytes << 10) / size_of::<T>();
            format!("{kilobytes} KB {:.0}", (kilobytes << 10) as f64 / limits.read::<T>(elements, elements))
        });
        let Limits { peak, activation, .. } = limits;
        println!("-- {isa} {float}: {peak:.1} multiply-adds a ns, activation {activation:.2} ns");
        println!("   read in order, GB/s: {}", reads.join(", "));
        for kind in CELLS {
            STEPS.iter().for_each(|&size| self.work::<T>(&limits, float, kind, size, Work::Step));
            SEQUENCES.iter().for_each(|&size| self.work::<T>(&limits, float, kind, size, Work::Sequence));
            BATCHES.iter().for_each(|&(i, u, b, t)| self.work::<T>(&limits, float, kind, (i, u), Work::Batch(b, t)));
            self.work::<T>(&limits, float, kind, (64, 128), Work::Ragged);
            self.work::<T>(&limits, float, kind, (64, 128), Work::Masked);
            self.unfused::<T>(isa, float, kind);
        }
    }

    fn work<T: Float>(&self, limits: &Limits, float: &str, kind: Kind, (i, u): (usize, usize), work: Work) {
        let (cell, name, gates, activations) = kind;
        let isa = limits.isa;
        let (b, t, what) = match work {
            Work::Step => (1, 100, "step".to_string()),
            Work::Sequence => (1, 100, "sequence".to_string()),
            Work::Batch(b, t) => (b, t, format!("batch {b}x{t}")),
            Work::Ragged => (32, 100, "ragged".to_string()),
            Work::Masked => (32, 100, "masked".to_string()),
        };
        let description = format!("{isa} {float} {name} {i}x{u} {what}");
        if !self.wanted(&description) {
            return;
        }
        let products = |rows: usize| (rows * gates * u) as f64 / limits.peak;
        // A block is a tile of columns: one line of each gate, or four of a SimpleRNN.
        let lines = if cell == Cell::SimpleRnn { 4 } else { gates };
        // With the reset before the product the order never turns.
        let reading = |rows: usize| match cell {
            Cell::GruBefore => limits.read::<T>(rows * gates * u, rows * gates * u),
            _ => limits.read::<T>(rows * gates * u, rows * lines * 64 / size_of::<T>()),
        };
        let elementwise = (activations * u) as f64 * limits.activation;
        let limit = elementwise
            + match work {
                Work::Step => products(i + u).max(reading(i + u)),
                Work::Sequence => products(i) + products(u).max(reading(u)),
                _ => products(i + u),
            };
        let x = numbers::<T>(b * t * i, 1.0, 9);
        let mut runner = Runner::<T>::new(cell, isa, i, u, b);
        let mut seed = 1_u64;
        let mut random = move |n: u64| {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (seed >> 33) % n
        };
        let live: Vec<Vec<usize>> = match work {
            Work::Ragged => {
                let lengths: Vec<usize> = (0..b).map(|_| 10 + random(91) as usize).collect();
                (0..t).map(|t| (0..b).filter(|&row| t < lengths[row]).collect()).collect()
            }
            Work::Masked => (0..t).map(|_| (0..b).filter(|_| random(10) < 7).collect()).collect(),
            _ => vec![(0..b).collect(); t],
        };
        let row_steps: usize = live.iter().map(Vec::len).sum();
        let nanoseconds = time(|| match work {
            Work::Step => runner.steps_of_row(&x),
            Work::Sequence => runner.sequence(&x),
            _ => live.iter().enumerate().for_each(|(s, rows)| runner.step(rows, &x[s * i..], t * i)),
        });
        black_box(runner.state());
        self.row(&description, nanoseconds / row_steps as f64, limit);
    }

    fn unfused<T: Float>(&self, isa: &str, float: &str, (cell, name, ..): Kind) {
        use Activation::{HardSigmoid, Linear, Relu, Sigmoid, Softsign, Tanh};
        for (i, u) in [(16, 32), (64, 128)] {
            let x = numbers::<T>(100 * i, 1.0, 9);
            let run = |activation: Activation, recurrent_activation: Activation| {
                let mut runner = Runner::<T>::new(cell, isa, i, u, 1).activations(activation, recurrent_activation);
                time(|| runner.steps_of_row(&x)) / 100.0
            };
            for (what, activation, recurrent_activation) in [
                ("tanh+hard_sigmoid", Tanh, HardSigmoid),
                ("relu+sigmoid", Relu, Sigmoid),
                ("softsign+hard_sigmoid", Softsign, HardSigmoid),
                ("linear+linear", Linear, Linear),
            ] {
                let description = format!("{isa} {float} {name} {i}x{u} {what}");
                if self.wanted(&description) {
                    self.row(&description, run(activation, recurrent_activation), run(Tanh, Sigmoid));
                }
            }
        }
    }
}

fn main() {
    // `cargo bench` passes `--bench`.
    let mut words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    if std::env::args().any(|word| word == "--test") {
        words.extend(["8x16", "step"].map(String::from));
    }
    let bench = Bench { words };
    let among = |names: &[&str], name: &str| {
        let mut chosen = bench.words.iter().filter(|word| names.contains(&word.as_str())).peekable();
        chosen.peek().is_none() || chosen.any(|word| word == name)
    };
    let sets = instruction_sets();
    for &isa in sets.iter().filter(|isa| among(&sets, isa)) {
        if among(&["f32", "f64"], "f32") {
            bench.all::<f32>(isa, "f32");
        }
        if among(&["f32", "f64"], "f64") {
            bench.all::<f64>(isa, "f64");
        }
    }
}
