//! Layers and stacks print what Keras's `summary()` prints of a `Sequential` of them, line by line.

use recurrent::{Bidirectional, Dense, Gru, Layer, Lstm, Merge, Recurrent, Stacked, StackedCells, TimeDistributed};
use serde_json::Value;

type Outcome<V = ()> = Result<V, Box<dyn std::error::Error>>;

/// The layers of a case, by its name.
fn layers(name: &str) -> Outcome<Box<dyn Layer<f32>>> {
    let sequences = |input, units| Lstm::<f32>::builder(input, units).return_sequences(true);
    Ok(match name {
        "lstm" => Box::new(Lstm::new(3, 4)),
        "gru_with_state" => Box::new(Gru::builder(3, 4).return_sequences(true).return_state(true).build()?),
        "unmerged" => Box::new(Bidirectional::new(sequences(3, 4).return_state(true))?.merge_mode(Merge::None)),
        "time_distributed" => Box::new(TimeDistributed::new(Dense::new(3, 5))),
        "stack" => Box::new(
            Stacked::builder()
                .layer(Bidirectional::new(sequences(3, 4))?)
                .layer(TimeDistributed::new(Dense::new(8, 5)))
                .layer(Lstm::new(5, 300))
                .layer(Dense::new(300, 7))
                .layer(Dense::new(7, 2))
                .build()?,
        ),
        "nested" => {
            let inner = Stacked::builder().layer(sequences(3, 4).build()?).layer(sequences(4, 5).build()?).build()?;
            let cells = StackedCells::builder()
                .cell(Lstm::builder(5, 4).build_cell()?)
                .cell(Gru::builder(4, 6).build_cell()?)
                .build()?;
            Box::new(Stacked::builder().layer(inner).layer(Recurrent::from_cell(cells)).build()?)
        }
        other => return Err(format!("no layers for {other}").into()),
    })
}

#[test]
fn tables() -> Outcome {
    let path = format!("{}/tests/golden/keras/summaries.json", env!("CARGO_MANIFEST_DIR"));
    let file: Value = serde_json::from_str(&std::fs::read_to_string(path)?)?;
    let cases = file["cases"].as_array().ok_or("no cases")?;
    assert_eq!(cases.len(), 6);
    for case in cases {
        let name = case["name"].as_str().ok_or("no name")?;
        assert_eq!(layers(name)?.to_string(), case["summary"].as_str().ok_or("no summary")?, "{name}");
    }
    Ok(())
}
