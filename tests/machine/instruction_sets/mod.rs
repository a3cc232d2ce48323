//! Layers give the same bits on every instruction set of the machine that has fused multiply-add, and nearly the same
//! numbers without it. What the bits are is written down in `bits.txt`, see [`bits`].
//!
//! The instruction set is chosen once in a process, so each has its own: this program, started again with
//! `RECURRENT_ISA`, prints the numbers of all cases, and the one that started it compares them.
//!
//! Numbers from another machine can be compared too: `RECURRENT_ISA=baseline cargo test --test machine instruction_sets
//! -- --exact --nocapture instruction_sets::numbers_of_one_set > FILE` there, and `RECURRENT_NUMBERS=FILE` in the
//! environment of the tests here.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Output};
use std::sync::OnceLock;

use ndarray::prelude::*;
use recurrent::limits::{instruction_set, instruction_sets};
use recurrent::training::{Adam, Optimizer, Tape};
use recurrent::{
    Activation, Bidirectional, Dense, Float, Gradients, Gru, Layer, Lstm, Merge, OutputGradient, Run, SimpleRnn,
    Stacked, State, Stream,
};

#[allow(dead_code)] // the laws draw more kinds of numbers
#[path = "../../laws/numbers.rs"]
mod numbers;

mod bits;
mod convolutions;
mod programs;
mod quantized;

use numbers::{Numbers, odd_number};

/// Whether `baseline` multiplies and adds with one rounding on this target.
const BASELINE_IS_FUSED: bool = cfg!(any(target_arch = "aarch64", target_feature = "fma"));

/// All that an instruction set computed for one case.
#[derive(Debug, PartialEq)]
struct Numbered {
    name: String,
    /// How far numbers may differ between one rounding and two, in parts of the largest.
    tolerance: f64,
    /// Bits as an f64, which holds an f32 exactly; all NaN have the same.
    bits: Vec<u64>,
}

/// An instruction set's name, whether it rounds a multiply-add once, and what it computed.
type Set = (String, bool, Vec<Numbered>);

/// All sets of the machine, the best first.
fn sets() -> &'static [Set] {
    static SETS: OnceLock<Vec<Set>> = OnceLock::new();
    SETS.get_or_init(|| {
        let all = instruction_sets().into_iter();
        all.map(|set| (set.into(), set != "baseline" || BASELINE_IS_FUSED, parse(&successful(forced(set))))).collect()
    })
}

#[test]
fn all_sets_of_the_machine_agree() {
    let mut sets: Vec<&Set> = sets().iter().collect();
    let other;
    if let Ok(file) = std::env::var("RECURRENT_NUMBERS") {
        let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{file}: {error}"));
        other = (file, true, parse(&text));
        sets.push(&other);
    }
    // With a fused set first, if there is one.
    let (first, first_fused, expected) = sets[0];
    assert!(expected.len() > 400, "only {} cases", expected.len());
    let mut report = format!("{} cases on {first}", expected.len());
    for (set, fused, found) in &sets[1..] {
        assert_eq!(found.len(), expected.len(), "cases of {set} and {first}");
        let mut worst = 0.0_f64;
        let same_bits = *fused && *first_fused;
        for (found, expected) in found.iter().zip(expected) {
            worst =
                worst.max(compare(found, expected, same_bits).unwrap_or_else(|what| panic!("{set}, {first}: {what}")));
        }
        if same_bits {
            write!(report, "; the same bits on {set}").unwrap();
        } else {
            write!(report, "; {set} within {:.0} % of what the roundings allow", 100.0 * worst).unwrap();
        }
    }
    say(&format!("instruction sets of this machine: {}", instruction_sets().join(" ")));
    say(&report);
}

/// The error of the worst number in parts of what is allowed, or what differs too much.
fn compare(found: &Numbered, expected: &Numbered, same_bits: bool) -> Result<f64, String> {
    let name = &expected.name;
    if found.name != *name || found.bits.len() != expected.bits.len() {
        return Err(format!("{name} with {} numbers, {} with {}", expected.bits.len(), found.name, found.bits.len()));
    }
    let finite = expected.bits.iter().map(|&bits| f64::from_bits(bits).abs()).filter(|value| value.is_finite());
    let allowed = if same_bits { 0.0 } else { expected.tolerance * finite.fold(0.0, f64::max) };
    let mut worst = 0.0_f64;
    for (at, (&a, &b)) in found.bits.iter().zip(&expected.bits).enumerate().filter(|(_, (a, b))| a != b) {
        let (a, b) = (f64::from_bits(a), f64::from_bits(b));
        let close = (a - b).abs() <= allowed; // not if one is NaN
        if same_bits || !close {
            return Err(format!("{name}: number {at} is {a:e}, not {b:e} (allowed: {allowed:e})"));
        }
        worst = worst.max((a - b).abs() / allowed.max(f64::MIN_POSITIVE));
    }
    Ok(worst)
}

#[test]
fn a_set_that_is_not_there_is_refused() {
    let all = ["avx512", "avx2", "baseline", "nonsense", ""];
    let missing: Vec<_> = all.into_iter().filter(|set| !instruction_sets().contains(set)).collect();
    for set in &missing {
        let output = forced(set);
        let text = text(&output);
        assert!(!output.status.success(), "RECURRENT_ISA={set} was accepted");
        assert!(text.contains(&format!("RECURRENT_ISA={set}: this machine has")), "RECURRENT_ISA={set} says: {text}");
    }
    say(&format!("instruction sets that were refused: {missing:?}"));
}

#[test]
fn a_difference_is_found() {
    let numbered = |name: &str, numbers: &[f64]| Numbered {
        name: name.into(),
        tolerance: 1e-3,
        bits: numbers.iter().map(|number| number.to_bits()).collect(),
    };
    let case = numbered("case", &[4.0, 0.0, f64::NAN]);
    assert_eq!(compare(&case, &case, true), Ok(0.0));
    assert_eq!(compare(&numbered("case", &[4.0, 0.001, f64::NAN]), &case, false), Ok(0.25));
    for (other, same_bits) in [
        (numbered("case", &[4.0, -0.0, f64::NAN]), true),
        (numbered("case", &[4.0, 0.01, f64::NAN]), false),
        (numbered("case", &[4.0, 0.0, 1.0]), false),
        (numbered("case", &[f64::NAN, 0.0, f64::NAN]), false),
        (numbered("case", &[4.0, 0.0]), false),
        (numbered("other", &[4.0, 0.0, f64::NAN]), true),
    ] {
        let what = compare(&other, &case, same_bits).unwrap_err();
        assert!(what.starts_with("case"), "{what}");
    }
}

/// This program again, with an instruction set forced.
fn forced(set: &str) -> Output {
    forced_test(set, "instruction_sets::numbers_of_one_set")
}

/// One of its tests.
fn forced_test(set: &str, test: &str) -> Output {
    let program = std::env::current_exe().expect("the path of this program");
    Command::new(program)
        .args(["--exact", "--nocapture", test])
        .env("RECURRENT_ISA", set)
        .output()
        .expect("this program starts again")
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn successful(output: Output) -> String {
    assert!(output.status.success(), "{}", text(&output));
    String::from_utf8(output.stdout).expect("text")
}

/// Not `println`, which a test that passes doesn't show. `.ci/run` reads it.
fn say(line: &str) {
    std::io::stdout().write_all(format!("\n{line}\n").as_bytes()).expect("a place to write to");
}

/// The lines of `numbers_of_one_set`.
fn parse(text: &str) -> Vec<Numbered> {
    let cases = text.lines().filter_map(|line| line.strip_prefix("case|"));
    cases
        .map(|line| {
            let fields: Vec<_> = line.split('|').collect();
            let [name, tolerance, bits] = fields[..] else { panic!("a case has three fields: {line}") };
            Numbered {
                name: name.into(),
                tolerance: tolerance.parse().expect("a number"),
                bits: bits.split(' ').map(|bits| u64::from_str_radix(bits, 16).expect("bits")).collect(),
            }
        })
        .collect()
}

/// By itself it says that every case runs on the set that was asked for; the other tests start it again for each set.
#[test]
fn numbers_of_one_set() {
    if let Ok(set) = std::env::var("RECURRENT_ISA") {
        assert_eq!(instruction_set(), set);
    }
    println!("numbers of {}", instruction_set());
    cells::<f32>();
    cells::<f64>();
    activations::<f32>();
    activations::<f64>();
    wrappers::<f32>();
    wrappers::<f64>();
    programs::programs::<f32>();
    programs::programs::<f64>();
    convolutions::convolutions::<f32>();
    convolutions::convolutions::<f64>();
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    SimpleRnn,
    Lstm,
    GruAfter,
    GruBefore,
}

const KINDS: [Kind; 4] = [Kind::SimpleRnn, Kind::Lstm, Kind::GruAfter, Kind::GruBefore];

/// What is left of a register, half a register and nothing, in both types.
const UNITS: [usize; 7] = [1, 5, 8, 16, 20, 33, 40];

fn cells<T: Float>() {
    for kind in KINDS {
        for (i, units) in UNITS.into_iter().enumerate() {
            let inputs = [3, 1, 17][i % 3];
            let layer = built::<T>(kind, inputs, units, &Activation::Tanh, &Activation::Sigmoid);
            let name = format!("{kind:?}, {inputs} inputs, {units} units");
            inference(&name, &*layer, inputs + units);
            training(&name, layer, inputs + units);
        }
        let layer = built::<T>(kind, 7, 20, &Activation::Tanh, &Activation::Sigmoid);
        for batch in 1..=9 {
            let x = Numbers::new(8, "rows").array(2.0, (batch, 6, 7));
            let output = layer.forward(&x).expect("an input that fits");
            Case::<T>::new(27, 6).output(&output).print(&format!("{kind:?}, {batch} rows"));
        }
        let mut numbers = Numbers::new(9, "odd");
        let odd = Array3::from_shape_simple_fn((3, 8, 7), || odd_number::<T>(&mut numbers));
        Case::new(27, 8).output(&layer.forward(&odd).expect("any numbers")).print_odd(&format!("{kind:?}, odd inputs"));
    }
}

fn activations<T: Float>() {
    for (activation, recurrent_activation) in [
        ("linear", "hard_sigmoid"),
        ("relu", "sigmoid"),
        ("softsign", "sigmoid"),
        ("gelu", "tanh"),
        ("elu", "softmax"),
        ("softmax", "linear"),
        ("relu6", "tanh"),
    ] {
        let [activation, recurrent_activation] = [activation, recurrent_activation].map(named);
        for kind in KINDS {
            let layer = built::<T>(kind, 6, 20, &activation, &recurrent_activation);
            let name = format!("{kind:?} with {activation} and {recurrent_activation}");
            inference(&name, &*layer, 26);
            training(&name, layer, 26);
        }
    }
    // Glu halves the features, so it stands in no cell.
    for name in [
        "linear",
        "relu",
        "leaky_relu",
        "relu6",
        "elu",
        "celu",
        "selu",
        "softplus",
        "softsign",
        "squareplus",
        "soft_shrink",
        "hard_shrink",
        "tanh_shrink",
        "hard_tanh",
        "tanh",
        "sigmoid",
        "hard_sigmoid",
        "sparse_sigmoid",
        "log_sigmoid",
        "silu",
        "hard_silu",
        "gelu",
        "sparse_plus",
        "mish",
        "exponential",
        "softmax",
        "log_softmax",
        "sparsemax",
    ] {
        let dense = Dense::<T>::builder(5, 33).activation(named(name)).build().expect("sound sizes");
        let layer = weighted(Box::new(dense));
        let x = Numbers::new(10, name).array(6.0, (2, 3, 5));
        let output = layer.forward(&x).expect("an input that fits");
        Case::<T>::new(5, 1).array(output.last()).print(&format!("Dense with {name}"));
        training(&format!("Dense with {name}"), layer, 5);
    }
}

fn wrappers<T: Float>() {
    for kind in KINDS {
        for merge in [Merge::Concat, Merge::Mul] {
            let both = match kind {
                Kind::SimpleRnn => Bidirectional::new(SimpleRnn::<T>::builder(4, 20).return_sequences(true)),
                Kind::Lstm => Bidirectional::new(Lstm::<T>::builder(4, 20).return_sequences(true)),
                Kind::GruAfter => Bidirectional::new(Gru::<T>::builder(4, 20).return_sequences(true)),
                Kind::GruBefore => {
                    Bidirectional::new(Gru::<T>::builder(4, 20).reset_after(false).return_sequences(true))
                }
            };
            let layer = weighted(Box::new(both.expect("two that fit").merge_mode(merge)));
            let name = format!("Bidirectional {kind:?}, {merge:?}");
            inference(&name, &*layer, 24);
            training(&name, layer, 24);
        }
        let lower = built::<T>(kind, 4, 33, &Activation::Tanh, &Activation::Sigmoid);
        let upper = built::<T>(Kind::Lstm, 33, 5, &Activation::Tanh, &Activation::Sigmoid);
        let dense = Dense::builder(5, 3).activation(Activation::Softmax).build().expect("sound sizes");
        let stack = Stacked::builder().layer(lower).layer(upper).layer(dense).return_state(true).build();
        let layer = weighted(Box::new(stack.expect("widths that fit")));
        inference(&format!("{kind:?}, LSTM, Dense"), &*layer, 80);
        training(&format!("{kind:?}, LSTM, Dense"), layer, 80);
    }
}

/// A whole sequence of one row, a stream of it by steps and of several rows, ragged lengths, any mask.
fn inference<T: Float>(name: &str, layer: &dyn Layer<T>, products: usize) {
    let mut numbers = Numbers::new(1, name);
    let x = numbers.array(2.0, (1, 30, layer.input_size()));
    let output = layer.forward(&x).expect("an input that fits");
    Case::new(products, 30).output(&output).print(&format!("{name}: one row"));

    if layer.can_stream().is_ok() {
        let mut stream = Stream::new(layer, 1).expect("it can stream");
        let mut case = Case::new(products, 12);
        for step in x.axis_iter(Axis(1)).take(12) {
            case = case.array(stream.step(&step).expect("an input that fits"));
        }
        case.state(stream.state()).print(&format!("{name}: stream of one row"));
        let mut stream = Stream::new(layer, 5).expect("it can stream");
        let rows = numbers.array(2.0, (5, 4, layer.input_size()));
        let mut case = Case::new(products, 4);
        for (i, step) in rows.axis_iter(Axis(1)).enumerate() {
            let live = [true, i != 1, true, i % 2 == 0, true];
            case = case.array(stream.step_masked(&step, &live).expect("an input that fits"));
        }
        case.state(stream.state()).print(&format!("{name}: stream of some rows"));
    }

    let x = numbers.array(2.0, (9, 7, layer.input_size()));
    let state = state(layer, 9);
    let output = layer.run(&x, Run::new().lengths(&[7, 0, 3, 7, 1, 6, 7, 2, 5]).initial_state(&state));
    Case::new(products, 7).output(&output.expect("inputs that fit")).print(&format!("{name}: lengths"));
    let mask = Array2::from_shape_simple_fn((9, 7), || numbers.chance(60));
    let output = layer.run(&x, Run::new().mask(&mask)).expect("inputs that fit");
    Case::new(products, 7).output(&output).print(&format!("{name}: mask"));
}

/// All gradients of a masked batch, and the weights after steps of an optimizer.
fn training<T: Float>(name: &str, mut layer: Box<dyn Layer<T>>, products: usize) {
    let mut numbers = Numbers::new(2, name);
    let (batch, steps) = (3, 6);
    let x = numbers.array(1.0, (batch, steps, layer.input_size()));
    let last = numbers.array(1.0, (batch, layer.output_size()));
    let (mut tape, mut gradients) = (Tape::new(), Gradients::new(&*layer));
    // Adam divides by a gradient's size: its usual epsilon would make a difference in roundings, of a gradient that is
    // nearly zero, one of the whole step.
    let mut optimizer = Adam::new(0.01).epsilon(0.1);
    // There and back.
    let mut case = Case::new(products * batch, 2 * steps);
    for lengths in [[6, 4, 1], [3, 6, 6]] {
        layer.run(&x, Run::new().lengths(&lengths).record(&mut tape)).expect("an input that fits");
        gradients.clear();
        layer.backward(&mut tape, OutputGradient::new().last(&last), &mut gradients).expect("a tape of this layer");
        case = case.array(&gradients.input().expect("asked for")).state(gradients.initial_state());
        for (_, gradient) in gradients.iter() {
            case = case.array(&gradient);
        }
        optimizer.step(&mut *layer, &gradients).expect("gradients of this layer");
    }
    for (_, weight) in layer.weights() {
        case = case.array(&weight);
    }
    case.print(&format!("{name}: training"));
}

/// The numbers of a case, until it is printed.
struct Case<T> {
    tolerance: f64,
    values: Vec<T>,
}

impl<T: Float> Case<T> {
    /// Without fused multiply-add each of a sum's products is rounded once more, in every step, and an error may stay
    /// until the last step.
    fn new(products: usize, steps: usize) -> Self {
        Case { tolerance: (products * steps) as f64 * T::epsilon().into_f64(), values: Vec::new() }
    }

    /// That machines without fused multiply-add give the same bits, too.
    fn same_everywhere(self) -> Self {
        Case { tolerance: 0.0, ..self }
    }

    fn array<D: Dimension>(mut self, array: &ndarray::ArrayRef<T, D>) -> Self {
        self.values.extend(array);
        self
    }

    fn state(self, state: &State<T>) -> Self {
        self.array(&state.values())
    }

    fn output(mut self, output: &recurrent::Output<T>) -> Self {
        if let Ok(sequence) = output.sequence() {
            self = self.array(sequence);
        }
        if let Ok(state) = output.state() {
            self = self.state(state);
        }
        self.array(output.last())
    }

    fn print(&self, name: &str) {
        assert!(self.values.iter().all(|value| value.is_finite()), "{name} has numbers that aren't finite");
        assert!(self.values.iter().any(|value| !value.is_zero()), "{name} has only zeros");
        self.print_odd(name);
    }

    fn print_odd(&self, name: &str) {
        let bits = |value: &T| if value.is_nan() { f64::NAN.to_bits() } else { value.into_f64().to_bits() };
        let bits: Vec<String> = self.values.iter().map(|value| format!("{:x}", bits(value))).collect();
        // Where the test's own name was printed, a line of its own.
        println!("\ncase|{} {name}|{:e}|{}", std::any::type_name::<T>(), self.tolerance, bits.join(" "));
    }
}

fn named(name: &str) -> Activation {
    name.parse().expect("a name of Keras's")
}

/// A layer that returns everything.
fn built<T: Float>(
    kind: Kind,
    inputs: usize,
    units: usize,
    activation: &Activation,
    recurrent_activation: &Activation,
) -> Box<dyn Layer<T>> {
    let (activation, recurrent_activation) = (activation.clone(), recurrent_activation.clone());
    let gru = |reset_after| {
        let builder = Gru::builder(inputs, units).activation(activation.clone()).reset_after(reset_after);
        let builder = builder.recurrent_activation(recurrent_activation.clone()).return_sequences(true);
        Box::new(builder.return_state(true).build().expect("sound sizes"))
    };
    weighted(match kind {
        Kind::SimpleRnn => {
            let builder = SimpleRnn::builder(inputs, units).activation(activation).return_sequences(true);
            Box::new(builder.return_state(true).build().expect("sound sizes"))
        }
        Kind::Lstm => {
            let builder = Lstm::builder(inputs, units).activation(activation).return_sequences(true);
            let builder = builder.recurrent_activation(recurrent_activation).return_state(true);
            Box::new(builder.build().expect("sound sizes"))
        }
        Kind::GruAfter => gru(true),
        Kind::GruBefore => gru(false),
    })
}

/// The layer with weights that depend on their shapes alone, biases among them.
fn weighted<T: Float>(mut layer: Box<dyn Layer<T>>) -> Box<dyn Layer<T>> {
    let mut numbers = Numbers::new(3, "weights");
    let mut new: Vec<(String, ArrayD<T>)> = Vec::new();
    for (name, old) in layer.weights() {
        let scale = 1.5 / (old.shape()[0] as f64 + 3.0).sqrt();
        new.push((name, numbers.array(scale, old.raw_dim())));
    }
    let new: Vec<_> = new.iter().map(|(name, array)| (name.as_str(), array.view())).collect();
    layer.set_weights(&new).expect("arrays of the same shapes");
    layer
}

fn state<T: Float>(layer: &dyn Layer<T>, batch: usize) -> State<T> {
    let mut state = layer.initial_state(batch);
    let mut numbers = Numbers::new(4, "state");
    let names: Vec<_> = state.names().map(String::from).collect();
    for name in names {
        let shape = state.get(&name).expect("one of its names").dim();
        state.set(&name, &numbers.array(1.0, shape)).expect("its shape");
    }
    state
}
