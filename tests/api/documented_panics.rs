//! The front page lists each documented panic; each points at its caller's line, and has a twin that returns the error.

use std::cell::RefCell;
use std::fmt::Debug;
use std::fs;
use std::panic::{Location, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use recurrent::{Dense, Embedding, Gru, Layer, Lstm, Result, SimpleRnn, State, StateLayout, Stateful};

/// Sources, in the order of their paths.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            paths.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            paths.push(path);
        }
    }
    paths.sort();
    paths
}

/// The functions with a section `# Panics`, as `file::function`.
fn with_a_section(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap();
    let file = path.file_stem().unwrap().to_str().unwrap();
    let file = if file == "mod" { path.parent().unwrap().file_name().unwrap().to_str().unwrap() } else { file };
    let mut lines = text.lines();
    let mut found = Vec::new();
    while lines.by_ref().any(|line| line.trim() == "/// # Panics") {
        let rest = lines.clone();
        let attributes: Vec<&str> = rest.map(str::trim).take_while(|line| !line.contains("fn ")).collect();
        let function = lines.clone().find_map(|line| line.split_once("fn ")).unwrap().1;
        assert!(attributes.contains(&"#[track_caller]"), "{file}: {function}");
        found.push(format!("{file}::{}", function.split(['(', '<']).next().unwrap()));
    }
    found
}

#[test]
fn the_list_is_whole() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let page = fs::read_to_string(root.join("lib.rs")).unwrap();
    let table = page.split("//! | panics |").nth(1).unwrap().split("//!\n").next().unwrap();
    let mut listed = Vec::new();
    for row in table.lines().skip(2) {
        let first = row.split('|').nth(1).unwrap();
        let names = first.split('`').filter(|part| part.contains("::"));
        listed.extend(names.filter(|part| !part.starts_with("](")).map(|name| match name.split_once("::").unwrap() {
            // Written once, for each cell of the list.
            ("SimpleRnn" | "Lstm" | "Gru" | "IndRnn" | "Mgu" | "LayerNormLstm", function) => {
                format!("builder::{function}")
            }
            ("Layer", function) => format!("layers::{function}"),
            ("Model", function) => format!("graph::{function}"),
            (of, function) => format!("{}::{function}", of.to_lowercase()),
        }));
    }
    let mut found: Vec<String> = sources(&root).iter().flat_map(|path| with_a_section(path)).collect();
    listed.sort();
    listed.dedup();
    found.sort();
    assert_eq!(listed, found);
    assert!(found.len() > 5);
}

thread_local! {
    static PLACE: RefCell<Option<(String, u32)>> = const { RefCell::new(None) };
}

/// Checks that a call panics at this line with the error that its twin returns.
#[track_caller]
fn at_this_line<T, U: Debug>(call: fn() -> T, twin: Result<U>) {
    let own = |place: &Location<'_>| (place.file().to_string(), place.line());
    let panic = catch_unwind(|| drop(call())).expect_err("this must panic");
    assert_eq!(PLACE.take(), Some(own(Location::caller())));
    assert_eq!(*panic.downcast::<String>().expect("a message"), twin.unwrap_err().to_string());
}

#[test]
fn each_points_at_its_caller_and_has_a_twin() {
    // Only what panics on this thread is noted; other threads print as ever.
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let place = info.location().map(|place| (place.file().to_string(), place.line()));
        PLACE.with(|own| own.replace(place));
        before(info);
    }));
    at_this_line(|| SimpleRnn::<f32>::new(0, 4), SimpleRnn::<f32>::builder(0, 4).build());
    at_this_line(|| Lstm::<f64>::new(3, 0), Lstm::<f64>::builder(3, 0).build());
    at_this_line(|| Gru::<f32>::new(1 << 40, 1 << 40), Gru::<f32>::builder(1 << 40, 1 << 40).build());
    at_this_line(|| Dense::<f32>::new(0, 1), Dense::<f32>::builder(0, 1).build());
    at_this_line(|| Embedding::<f32>::new(3, 0), Embedding::<f32>::builder(3, 0).build());
    let gru = Gru::<f32>::new(3, 4);
    at_this_line(|| Gru::<f32>::new(3, 4).initial_state(usize::MAX), gru.try_initial_state(usize::MAX));
    let layout = || Gru::<f32>::new(3, 4).state_layout().clone();
    at_this_line(|| State::<f32>::zeros(Gru::<f32>::new(3, 4).state_layout().clone(), 1 << 60), zeros(layout()));
    at_this_line(|| drop(Stateful::new(&Gru::<f32>::new(3, 4), 1 << 60)), Stateful::try_new(&gru, 1 << 60));
    drop(std::panic::take_hook());
}

fn zeros(layout: Arc<StateLayout>) -> Result<State<f32>> {
    State::try_zeros(layout, 1 << 60)
}
