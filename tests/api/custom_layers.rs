//! Layers of one's own in models that are built by hand: shapes, refusals, gradients, steps, masks.

use ndarray::prelude::*;
use recurrent::ops::CustomLayer;
use recurrent::training::Tape;
use recurrent::{Dense, Error, Gradients, Gru, Masking, Model, Result, Sequential};

type Outcome = std::result::Result<(), Box<dyn std::error::Error>>;

fn x(batch: usize, steps: usize) -> Array3<f32> {
    Array3::from_shape_fn((batch, steps, 3), |(i, j, k)| ((7 * i + 3 * j + 5 * k) as f32).sin())
}

/// A model of one layer of one's own on (batch, any number of steps, 3).
fn alone(layer: CustomLayer) -> Result<Model> {
    let mut graph = Model::<f32>::builder("alone");
    let x = graph.input("x", [None, Some(3)])?;
    let y = graph.call("own", layer, &[x])?;
    graph.build(&y)
}

fn shape(model: &Model) -> Vec<Option<usize>> {
    model.outputs().next().map(|(_, shape)| shape.to_vec()).unwrap_or_default()
}

#[test]
fn shapes_are_found_by_a_trial() -> Outcome {
    let same = alone(CustomLayer::of_one(|x| Ok(&x * 2.0)))?;
    assert_eq!(shape(&same), [None, None, Some(3)]);
    let last = alone(CustomLayer::of_one(|x| Ok(x.index_axis(Axis(1), x.len_of(Axis(1)) - 1).to_owned())))?;
    assert_eq!(shape(&last), [None, Some(3)]);
    let later = alone(CustomLayer::of_one(|x| Ok(x.slice_axis(Axis(1), (1..).into()).to_owned())))?;
    assert_eq!(shape(&later), [None, None, Some(3)]);
    assert_eq!(later.predict_one(&x(2, 5))?.shape(), [2, 4, 3]);
    let stated = alone(CustomLayer::of_one(|x| Ok(x.sum_axis(Axis(2)))).output_shape([Some(5)]))?;
    assert_eq!(shape(&stated), [None, Some(5)]);
    assert_eq!(stated.predict_one(&x(2, 5))?.shape(), [2, 5]);
    // Fewer steps than were stated.
    let refused = stated.predict_one(&x(2, 4)).expect_err("another shape");
    assert!(refused.to_string().contains("must have the shape (2, 5), got [2, 4]"), "{refused}");
    // Rows that depend on each other.
    let refused = alone(CustomLayer::of_one(|x| Ok(x.sum_axis(Axis(0))))).expect_err("no rows");
    assert!(matches!(&refused, Error::ModelCall { layer, .. } if layer == "own"), "{refused}");
    let refused = alone(CustomLayer::of_one(|_| Err("not with zeros".into()))).expect_err("an error");
    assert!(refused.to_string().contains("not with zeros"), "{refused}");
    Ok(())
}

#[test]
fn errors_name_the_layer() -> Outcome {
    let model = alone(CustomLayer::of_one(|x| match x.len_of(Axis(1)) {
        4 => Err("four are too many".into()),
        3 => Ok(x.sum_axis(Axis(1))),
        _ => Ok(x.to_owned()),
    }))?;
    let refused = model.predict_one(&x(2, 4)).expect_err("an error");
    let reason = Error::CustomFailed { reason: "four are too many".into() };
    assert_eq!(refused, Error::InLayer { layer: "own".into(), source: Box::new(reason) });
    let refused = model.predict_one(&x(2, 3)).expect_err("another shape");
    assert!(
        matches!(&refused, Error::InLayer { source, .. } if matches!(**source, Error::CustomShape { .. })),
        "{refused}"
    );
    assert_eq!(model.predict_one(&x(2, 5))?, x(2, 5).into_dyn());
    let two = Sequential::<f32>::builder("two").layer(Gru::builder(3, 3).return_sequences(true).build()?);
    let two = two.layer(CustomLayer::new(|inputs| Ok(&inputs[0] * &inputs[0]))).build()?;
    assert_eq!(two.predict_one(&x(2, 5))?.shape(), [2, 5, 3]);
    assert!(two.to_string().contains("CustomLayer"), "{two}");
    #[cfg(feature = "file")]
    assert!(recurrent::file::to_bytes(&two).is_err());
    #[cfg(feature = "keras")]
    assert!(recurrent::keras::to_bytes(&two).is_err());
    Ok(())
}

#[test]
#[should_panic(expected = "on purpose")]
fn a_panic_is_handed_on() {
    let _ = alone(CustomLayer::of_one(|_| panic!("on purpose")));
}

#[test]
fn gradients_by_a_second_closure() -> Outcome {
    let build = |layer: CustomLayer| -> Result<Model> {
        let mut graph = Model::<f32>::builder("trained");
        let x = graph.input("x", [None, Some(3)])?;
        let h = graph.call("dense", Dense::new(3, 3), &[x])?;
        let y = graph.call("own", layer, &[h[0], x])?;
        graph.build(&y)
    };
    let layer = || CustomLayer::new(|inputs| Ok(&inputs[0] * &inputs[1]));
    let mut tape = Tape::new();
    let refused = build(layer())?.record(&[(&x(2, 4)).into()], &mut tape).expect_err("none");
    assert_eq!(refused, Error::InLayer { layer: "own".into(), source: Box::new(Error::CustomNoBackward) });
    let model = build(layer().backward(|inputs, d| Ok(vec![&d * &inputs[1], &d * &inputs[0]])))?;
    let mut gradients = Gradients::new(&model);
    model.record(&[(&x(2, 4)).into()], &mut tape)?;
    let d = Array3::<f32>::ones((2, 4, 3)).into_dyn();
    model.backward(&mut tape, &[&d], &mut gradients)?;
    // d(bias) is the sum of x over all steps.
    let expected = x(2, 4).sum_axis(Axis(0)).sum_axis(Axis(0));
    let near = |(a, b): (&f32, &f32)| (a - b).abs() < 1e-5;
    assert!(gradients.get("dense/bias")?.iter().zip(&expected).all(near));
    for (wrong, count) in [
        (build(layer().backward(|_, d| Ok(vec![d.to_owned()])))?, true),
        (build(layer().backward(|_, d| Ok(vec![d.to_owned(), d.sum_axis(Axis(1))])))?, false),
    ] {
        let mut gradients = Gradients::new(&wrong);
        wrong.record(&[(&x(2, 4)).into()], &mut tape)?;
        let refused = wrong.backward(&mut tape, &[&d], &mut gradients).expect_err("gradients");
        let Error::InLayer { layer, source } = &refused else { panic!("{refused}") };
        assert!(layer == "own" && matches!(**source, Error::CustomGradients { .. }) == count, "{refused}");
    }
    Ok(())
}

#[test]
fn steps_and_masks() -> Outcome {
    let build = |layer: CustomLayer| {
        let model = Sequential::<f32>::builder("m").layer(Masking::new(0.0)?).layer(layer);
        let gru = Gru::builder(3, 2).return_sequences(true).seeds(&mut recurrent::SeedSource::keras(3)).build()?;
        model.layer(gru).input_shape([None, Some(3)]).build()
    };
    let twice = || CustomLayer::of_one(|x| Ok(&x * 2.0)).per_step();
    let mut x = x(2, 5);
    x.slice_mut(s![0, 2..4, ..]).fill(0.0);
    let (keeps, drops) = (build(twice())?, build(twice().drops_mask())?);
    assert_ne!(keeps.predict_one(&x)?, drops.predict_one(&x)?);
    for model in [&keeps, &drops] {
        let whole = model.predict_one(&x)?;
        let mut stream = model.stream(2)?;
        for time in 0..5 {
            let step = x.slice(s![.., time, ..]);
            assert_eq!(stream.step(&[(&step).into()])?[0], whole.index_axis(Axis(1), time), "step {time}");
        }
    }
    let refused = build(CustomLayer::of_one(|x| Ok(&x * 2.0)))?.stream(2).map(drop).expect_err("whole sequences");
    assert!(matches!(&refused, Error::CannotStream { reason, .. } if reason.contains("per_step")), "{refused}");
    let seen = build(CustomLayer::with_masks(|inputs, masks| {
        let mut x = inputs[0].to_owned();
        let Some(mask) = &masks[0] else { return Ok(x) };
        x.outer_iter_mut().zip(mask.outer_iter()).for_each(|(mut steps, mask)| {
            steps.outer_iter_mut().zip(mask).for_each(|(mut step, live)| step.fill(if *live { 1.0 } else { f32::NAN }));
        });
        Ok(x)
    }))?;
    assert!(seen.predict_one(&x)?.iter().all(|y| y.is_finite()), "what is masked is NaN");
    Ok(())
}
