//! The layers' speed against the limits of the machine, measured in the same run, as a table in Markdown.
//!
//! ```sh
//! cargo bench --bench cells                               # everything, about a minute
//! cargo bench --bench cells -- avx512 f32 lstm            # rows whose description has all these words
//! cargo bench --bench cells --features rayon -- threads   # one thread and two
//! taskset -c 1 cargo bench --bench cells                  # quieter, if one core is free
//! ```
//!
//! Every time is that of a row's step, through the calls that users make: `Stream::step_one`, `Layer::run_into`.
//! The limit is `max(multiply-adds / peak, time to read the weights) + activations`. The peak is that of fused
//! multiply-adds in registers. The time to read is measured on as many bytes as the step reads, in the order in which it
//! reads them (a tile after the other, every other step backwards). An activation costs what one costs in a loop over
//! values in the nearest cache; an LSTM has 5 a unit, a GRU 3, a SimpleRNN 1. Of a sequence of one row only the recurrent
//! weights are charged with reading, and the input's product with the peak; of a batch nothing is read.
//!
//! For steps with other activations the limit is the step with the default ones; for threads, one thread's time.
//! Each instruction set is measured in a process of its own, which the variable `RECURRENT_ISA` makes use it.

mod around;
mod clock;
mod limits;
mod work;

use recurrent::limits::{instruction_set, instruction_sets};
use recurrent::{Activation, Float, Result};

use limits::Limits;
use work::{Activations, Kind, Measured, Work, measure};

const CELLS: [Kind; 4] = [Kind::Lstm, Kind::Gru, Kind::GruBefore, Kind::SimpleRnn];
/// Input size, units.
const STEPS: [(usize, usize); 6] = [(1, 40), (8, 16), (16, 32), (32, 64), (64, 128), (128, 256)];
const SEQUENCES: [(usize, usize); 4] = [(32, 64), (64, 128), (128, 128), (256, 512)];
/// Input size, units, rows, steps.
const BATCHES: [(usize, usize, usize, usize); 5] =
    [(40, 128, 32, 50), (40, 128, 128, 100), (64, 128, 32, 50), (64, 128, 128, 50), (256, 512, 32, 50)];
const OTHER_ACTIVATIONS: [Activations; 4] = [
    &("tanh+hard_sigmoid", Activation::Tanh, Activation::HardSigmoid),
    &("relu+sigmoid", Activation::Relu, Activation::Sigmoid),
    &("softsign+hard_sigmoid", Activation::Softsign, Activation::HardSigmoid),
    &("linear+linear", Activation::Linear, Activation::Linear),
];

/// The most that a time should be, in units of its limit, on an idle machine: the project's own aims.
fn aim(isa: &str, float: &str, kind: Kind, work: Work, units: usize) -> Option<f64> {
    let rnn = kind == Kind::SimpleRnn;
    let aim = match (work, units) {
        (Work::StepWith(_), 0..=40) => 1.5,
        (Work::StepWith(_), _) => 1.15,
        (Work::Resets | Work::Strided, _) => return None,
        _ if kind == Kind::StackedLstm => return None,
        (Work::Step, _) if isa == "avx2" => 1.1,
        (Work::Step | Work::Sequence, _) if isa == "avx2" => return None,
        _ if isa == "avx2" => 1.25,
        _ if isa != "avx512" => return None,
        (Work::Step, 0..=40) if rnn => return None,
        (Work::Step, 0..=40) => 1.7,
        _ if float == "f64" => 1.15,
        (Work::Step, _) if rnn => 1.2,
        (Work::Step, 64) => 1.16,
        (Work::Step, _) => 1.08,
        (Work::Sequence, 64) => 1.25,
        (Work::Sequence | Work::Ragged | Work::Masked, _) => 1.12,
        _ if rnn => 1.1,
        _ => 1.09,
    };
    (isa != "avx2" || units >= 64).then_some(aim)
}

/// The words of the command line, which choose rows.
struct Words(Vec<String>);

impl Words {
    fn wanted(&self, description: &str) -> bool {
        let has = |word: &String| description.split(' ').any(|part| part == word);
        self.0.iter().all(has)
    }
}

fn row(description: &str, Measured { nanoseconds, limit, products }: &Measured, aim: Option<f64>) {
    let aim = aim.map_or("".into(), |aim| format!("{aim:.2}"));
    let gigaflops = 2.0 * *products as f64 / nanoseconds;
    println!("| {description} | {nanoseconds:.1} | {limit:.1} | {:.2} | {aim} | {gigaflops:.1} |", nanoseconds / limit);
}

fn table<T: Float>(words: &Words, float: &str) -> Result<()> {
    let isa = instruction_set();
    let limits = Limits::measure::<T>();
    let mut rows: Vec<(Kind, Work, usize, usize)> = Vec::new();
    for kind in CELLS {
        rows.extend(STEPS.map(|(i, u)| (kind, Work::Step, i, u)));
        rows.extend(SEQUENCES.map(|(i, u)| (kind, Work::Sequence, i, u)));
        rows.extend(BATCHES.map(|(i, u, b, t)| (kind, Work::Batch(b, t), i, u)));
        rows.extend([Work::Ragged, Work::Masked, Work::Resets, Work::Strided].map(|work| (kind, work, 64, 128)));
        for (i, u) in [(16, 32), (64, 128)] {
            rows.extend(OTHER_ACTIVATIONS.map(|activations| (kind, Work::StepWith(activations), i, u)));
        }
    }
    for kind in [Kind::BidirectionalLstm, Kind::StackedLstm] {
        rows.extend(SEQUENCES.map(|(i, u)| (kind, Work::Sequence, i, u)));
        rows.extend([(kind, Work::Batch(32, 50), 64, 128), (kind, Work::Ragged, 64, 128)]);
    }
    rows.extend([(16, 32), (64, 128)].map(|(i, u)| (Kind::StackedLstm, Work::Step, i, u)));

    let mut begun = false;
    let mut wanted = |description: &str| {
        let wanted = words.wanted(description);
        if wanted && !std::mem::replace(&mut begun, true) {
            println!("\n{isa}, {float}: {}\n", limits.describe::<T>());
            println!("| work | ns | limit | time/limit | aim | GFLOP/s |");
            println!("|---|---|---|---|---|---|");
        }
        wanted
    };
    for (kind, work, i, u) in rows {
        let description = format!("{isa} {float} {} {i}x{u} {}", kind.name(), work.name());
        if !wanted(&description) {
            continue;
        }
        let mut measured = measure::<T>(&limits, kind, work, i, u)?;
        if let Work::StepWith(_) = work {
            measured.limit = measure::<T>(&limits, kind, Work::Step, i, u)?.nanoseconds;
        }
        row(&description, &measured, aim(isa, float, kind, work, u));
    }
    for around in around::rows() {
        let description = format!("{isa} {float} {}", around.name());
        if wanted(&description) {
            row(&description, &around.measure::<T>(&limits)?, (isa == "avx512").then_some(1.25));
        }
    }
    Ok(())
}

/// One thread and two, by the clock on the wall.
#[cfg(feature = "rayon")]
fn threads(words: &Words) -> std::result::Result<(), Box<dyn std::error::Error>> {
    let pool = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    let (one, two) = (pool(1)?, pool(2)?);
    println!("\n| work | two threads, ns | one, ns | times as fast |\n|---|---|---|---|");
    for kind in [Kind::Lstm, Kind::Gru, Kind::SimpleRnn, Kind::BidirectionalLstm] {
        for (i, u, work) in [(64, 128, Work::Batch(32, 50)), (256, 512, Work::Batch(32, 50)), (64, 128, Work::Ragged)] {
            let description = format!("threads f32 {} {i}x{u} {}", kind.name(), work.name());
            if !words.wanted(&description) {
                continue;
            }
            let layer = kind.layer::<f32>(i, u, None)?;
            let time = || work::nanoseconds(&*layer, work, |call| clock::wall_time(call));
            let (one, two) = (one.install(time)?, two.install(time)?);
            println!("| {description} | {two:.1} | {one:.1} | {:.2} |", one / two);
        }
    }
    Ok(())
}

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    // `cargo bench` passes `--bench`; `--test` is the short run of CI.
    let (options, mut words): (Vec<String>, Vec<String>) =
        std::env::args().skip(1).partition(|word| word.starts_with("--"));
    if options.iter().any(|option| option == "--test") {
        words.extend(["8x16", "step"].map(String::from));
    }
    let words = Words(words);
    if std::env::var_os("RECURRENT_ISA").is_some() {
        table::<f32>(&words, "f32")?;
        table::<f64>(&words, "f64")?;
        return Ok(());
    }
    for isa in instruction_sets() {
        // The one that has no vectors of its own is measured if it is asked for, or if there is no other.
        if isa == "baseline" && instruction_sets().len() > 1 && !words.0.iter().any(|word| word == isa) {
            continue;
        }
        let mut this = std::process::Command::new(std::env::current_exe()?);
        let status = this.args(&words.0).env("RECURRENT_ISA", isa).status()?;
        if !status.success() {
            return Err(format!("{isa}: {status}").into());
        }
    }
    #[cfg(feature = "rayon")]
    threads(&words)?;
    Ok(())
}
