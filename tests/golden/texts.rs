//! Models of texts, which begin behind the layers that make ids of them; the vocabularies of those.

use crate::check::data::{every_case, list, text_of};
use crate::graphs::outputs;
use recurrent::keras::{self, Options, Problem};

fn path(name: &str) -> String {
    format!("{}/tests/golden/keras_models/texts/{name}.keras", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn behind_texts() {
    every_case("keras_models/texts", 3, |case| {
        let file = path(text_of(&case["name"]));
        let mut options = Options::<f32>::new();
        for vocabulary in list(&case["vocabularies"]) {
            let layer = text_of(&vocabulary["layer"]);
            let tokens: Vec<&str> = list(&vocabulary["tokens"]).iter().map(text_of).collect();
            assert_eq!(keras::vocabulary(&file, layer)?, tokens);
            options = options.start_behind(layer);
        }
        let model = keras::load_with(&file, &options)?;
        outputs(&model, case)?;
        // What was cut off isn't there any more.
        let again =
            keras::File::from_bytes("again", keras::to_bytes(&model)?, &keras::Options::new())?.model::<f32>()?;
        outputs(&again, case)
    });
}

#[test]
fn what_no_model_begins_behind() {
    let refusal = |name: &str, layer: &str| {
        keras::load_with(path(name), &Options::<f32>::new().start_behind(layer)).unwrap_err().problem().clone()
    };
    assert!(matches!(refusal("functional", "words"), Problem::UnknownLayer { known, .. } if known.len() == 7));
    assert!(matches!(refusal("functional", "gru"), Problem::UnsupportedClass { layer, .. } if layer == "gru"));
    assert!(matches!(refusal("sequential", "embedding"), Problem::UnsupportedClass { .. }));
    let left = refusal("tokens", "ids");
    assert!(matches!(&left, Problem::UnsupportedClass { hint, .. } if hint.contains("start_behind")), "{left}");
    let refusal = keras::vocabulary(path("functional"), "gru").unwrap_err();
    assert!(matches!(refusal.problem(), Problem::UnsupportedClass { .. }), "{refusal}");
}
