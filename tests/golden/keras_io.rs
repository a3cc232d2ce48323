//! The examples of keras.io that have a recurrent layer: what Keras computes with them, and the table of the docs that says
//! which run, stream and train.

use crate::check::data::{every_case, text_of};
use crate::graphs::{gradients, outputs, steps};
use recurrent::keras;

/// The page with the table.
const PAGE: &str = include_str!("../../src/formats/keras/coming_from_keras.rs");

#[test]
fn examples_of_keras_io() {
    every_case("keras_models/keras_io", 11, |case| {
        let name = text_of(&case["name"]);
        let root = env!("CARGO_MANIFEST_DIR");
        let model = keras::load::<f32>(format!("{root}/tests/golden/keras_models/keras_io/{name}.keras"))?;
        outputs(&model, case)?;
        gradients(&model, case)?;
        let streams = match model.stream(2) {
            Ok(stream) if stream.start_inputs().next().is_some() => "behind its encoder",
            Ok(_) => {
                assert!(steps(&model, case)?, "{name} takes steps");
                "yes"
            }
            Err(_) => "no",
        };
        let row = format!("//! | `{}` | yes | {streams} | yes |", name.replacen('_', "/", 1));
        assert!(PAGE.contains(&row), "no line {row}");
        Ok(())
    });
    assert_eq!(PAGE.lines().filter(|line| line.starts_with("//! | `") && line.ends_with("| yes |")).count(), 11);
}
