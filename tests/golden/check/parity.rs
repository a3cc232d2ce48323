//! How near our numbers are to those of the frameworks: for each subject (a file of golden data, a class of layer in it,
//! outputs or gradients) the cases, the numbers compared and the largest difference, by type. `tools/parity.py` makes the
//! page `doc/parity.md` of what is left in the target folder.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};

/// What the comparisons of one type came to.
#[derive(Default)]
struct Side {
    numbers: usize,
    /// Of |a - b| / max(1, |b|), and of finite numbers.
    largest: f64,
}

/// Sides of a subject, and the names of its cases.
#[derive(Default)]
struct Row {
    cases: std::collections::BTreeSet<String>,
    sides: BTreeMap<&'static str, Side>,
}

/// Topic, class, what is compared.
type Subject = (String, String, &'static str);

static ROWS: Mutex<BTreeMap<Subject, Row>> = Mutex::new(BTreeMap::new());

thread_local! {
    static CURRENT: RefCell<Option<(Subject, String)>> = const { RefCell::new(None) };
}

/// What is compared from here on belongs to this case.
pub fn begin(topic: &str, case: &Value) {
    let name = case["name"].as_str().unwrap_or_default();
    let class = match case["layer"]["class"].as_str().or(case["kind"].as_str()) {
        Some(class) => class.to_owned(),
        None if topic == "onnx/nodes" => node(name).to_owned(),
        None => String::new(),
    };
    let thread = std::thread::current();
    let of_gradients = thread.name().is_some_and(|test| test.contains("gradients::"));
    let what = if of_gradients { "gradients" } else { "outputs" };
    CURRENT.set(Some(((topic.to_owned(), class, what), name.to_owned())));
}

/// The operator of a case of nodes: RNN, LSTM, GRU.
fn node(name: &str) -> &str {
    ["LSTM", "GRU", "RNN"].into_iter().find(|node| name.to_uppercase().contains(node)).unwrap_or_default()
}

/// A number of ours, and the framework's.
pub fn saw(dtype: &'static str, ours: f64, theirs: f64) {
    let error = (ours - theirs).abs() / theirs.abs().max(1.0);
    if !error.is_finite() {
        return;
    }
    CURRENT.with_borrow(|current| {
        let Some((subject, case)) = current else { return };
        let mut rows = ROWS.lock().unwrap_or_else(PoisonError::into_inner);
        let row = rows.entry(subject.clone()).or_default();
        if !row.cases.contains(case) {
            row.cases.insert(case.clone());
        }
        let side = row.sides.entry(dtype).or_default();
        side.numbers += 1;
        side.largest = side.largest.max(error);
    });
}

/// The topic is done: its rows are written.
pub fn end(topic: &str) {
    CURRENT.set(None);
    let rows = ROWS.lock().unwrap_or_else(PoisonError::into_inner);
    let of_topic = rows.iter().filter(|((of, ..), _)| of == topic);
    let written: Vec<_> = of_topic
        .map(|((_, class, what), row)| {
            let sides: BTreeMap<_, _> =
                row.sides.iter().map(|(dtype, side)| (*dtype, (side.numbers, side.largest))).collect();
            json!({"class": class, "what": what, "cases": row.cases.len(), "sides": sides})
        })
        .collect();
    let folder = format!("{}/parity", env!("CARGO_TARGET_TMPDIR"));
    std::fs::create_dir_all(&folder).expect("a folder in the target folder");
    let path = format!("{folder}/{}.json", topic.replace('/', "-"));
    std::fs::write(path, json!({"topic": topic, "rows": written}).to_string()).expect("a file in the target folder");
}
