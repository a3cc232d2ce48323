//! The page "What is read": each class on it is in the golden data, and each class that the reader knows is on it.

use recurrent::keras;
use std::collections::BTreeSet;
use std::path::Path;

const PAGE: &str = include_str!("../../src/formats/keras/what_is_read.rs");

#[test]
fn every_class_is_on_the_page_and_in_the_data() {
    let rows = PAGE.lines().filter(|line| line.starts_with("//! | ") && line.contains('`'));
    let of_page: BTreeSet<&str> = rows.flat_map(|row| row.split('`').skip(1).step_by(2)).collect();
    let known: BTreeSet<&str> = keras::class_names().into_iter().collect();
    assert_eq!(of_page, known);
    let mut missing = known;
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/keras_models");
    search(&golden, &mut missing);
    assert!(missing.is_empty(), "not in the golden data: {missing:?}");
}

/// Takes out the classes that files of a folder have: their descriptions stand in them as they are.
fn search(folder: &Path, missing: &mut BTreeSet<&str>) {
    for entry in std::fs::read_dir(folder).expect("the golden data are there") {
        let path = entry.expect("an entry of the folder").path();
        if path.is_dir() {
            search(&path, missing);
        } else if path.extension().is_some_and(|end| end == "keras" || end == "h5") {
            let bytes = std::fs::read(&path).expect("a file of the golden data");
            let text = String::from_utf8_lossy(&bytes);
            for found in text.split("\"class_name\": \"").skip(1) {
                missing.remove(found.split('"').next().unwrap_or(""));
            }
        }
    }
}
