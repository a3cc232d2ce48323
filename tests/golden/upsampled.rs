//! Models whose UpSampling1D makes several steps of one: what Keras computes, and what streams of them give.

use crate::check::data::{Outcome, array, every_case, list, text_of};
use crate::graphs::{gradients, outputs};
use ndarray::prelude::*;
use recurrent::{Error, Model, keras};

fn load(name: &str) -> Outcome<Model<f32>> {
    let root = env!("CARGO_MANIFEST_DIR");
    Ok(keras::load::<f32>(format!("{root}/tests/golden/keras_models/upsampled/{name}.keras"))?)
}

/// What a stream gives of a sequence in blocks of these sizes, again and again.
fn in_blocks(model: &Model<f32>, x: &Array3<f32>, sizes: &[usize]) -> Outcome<Array3<f32>> {
    let (batch, steps, _) = x.dim();
    let mut stream = model.stream(batch)?;
    let units = stream.outputs()[0].len() / batch;
    let (mut outputs, mut time) = (Vec::new(), 0);
    for &size in sizes.iter().cycle() {
        if time == steps {
            break;
        }
        let next = (time + size).min(steps);
        let input: Vec<f32> = x.slice(s![.., time..next, ..]).iter().copied().collect();
        let count = stream.outputs_in(next - time);
        let mut output = vec![f32::NAN; batch * count * units];
        assert_eq!(stream.process(&input, &mut output)?, count);
        outputs.push(Array3::from_shape_vec((batch, count, units), output)?);
        time = next;
    }
    let views: Vec<_> = outputs.iter().map(|block| block.view()).collect();
    Ok(ndarray::concatenate(Axis(1), &views)?)
}

#[test]
fn several_steps_of_one() {
    every_case("keras_models/upsampled", 5, |case| {
        let (name, model) = (text_of(&case["name"]), load(text_of(&case["name"]))?);
        outputs(&model, case)?;
        gradients(&model, case)?;
        for call in list(&case["calls"]).iter().chain(list(&case["beginnings"])) {
            let (x, theirs): (ArrayD<f32>, ArrayD<f32>) = (array(&call["inputs"][0]), array(&call["outputs"][0]));
            let x: Array3<f32> = x.into_dimensionality()?;
            let whole = in_blocks(&model, &x, &[x.dim().1])?;
            for sizes in [&[1][..], &[2], &[1, 3]] {
                assert_eq!(in_blocks(&model, &x, sizes)?, whole, "{name} in blocks of {sizes:?}");
            }
            let ours = match theirs.ndim() {
                3 => whole.into_dyn(),
                // What belongs to the whole sequence is given with each step.
                _ => {
                    assert_eq!(whole.dim().1, x.dim().1);
                    whole.index_axis(Axis(1), x.dim().1 - 1).to_owned().into_dyn()
                }
            };
            assert_eq!(ours.shape(), theirs.shape(), "{name}");
            assert!(ours.iter().zip(&theirs).all(|(a, b)| (a - b).abs() <= 1e-5), "{name}: {ours}, {theirs}");
        }
        Ok(())
    });
}

/// A step that gives several outputs has no place in what returns one; where there is one it has.
#[test]
fn one_at_a_time() -> Outcome {
    let x = Array2::<f32>::ones((2, 3));
    for (name, several) in [("vocoder", 6), ("later", 2), ("up_and_down", 2), ("within", 4)] {
        let mut stream = load(name)?.stream(2)?;
        let refused = [
            stream.push(&[(&x).into()]).map(drop),
            stream.step(&[(&x).into()]).map(drop),
            stream.push_one(&[0.5; 6]).map(drop),
        ];
        for refused in refused {
            assert!(matches!(refused, Err(Error::SeveralOutputs { most }) if most == several), "{name}: {refused:?}");
        }
        assert!(recurrent::StreamPool::new(&load(name)?).is_err());
    }
    let model = load("last")?;
    let mut stream = model.stream(2)?;
    for _ in 0..6 {
        stream.step(&[(&x).into()])?;
    }
    assert_eq!(stream.push(&[(&x).into()])?.expect("outputs")[0], model.predict_one(&Array3::<f32>::ones((2, 7, 3)))?);
    Ok(())
}

/// A stream goes on from a state that was saved, wherever in its cycle it stands.
#[test]
fn states_go_on() -> Outcome {
    for name in ["vocoder", "later", "up_and_down", "last", "within"] {
        let model = load(name)?;
        let x = Array3::from_shape_fn((1, 6, 3), |(_, time, at)| ((time * 3 + at) as f32 * 0.7).sin());
        let rows = |steps: std::ops::Range<usize>| -> Vec<f32> { x.slice(s![.., steps, ..]).iter().copied().collect() };
        for middle in 0..6 {
            let (mut one, mut other) = (model.stream(1)?, model.stream(1)?);
            let mut output = [0.0; 200];
            one.process(&rows(0..middle), &mut output)?;
            other.process(&rows(2..5), &mut output)?;
            other.set_state(&one.state())?;
            let (mut ours, mut theirs) = ([0.0; 200], [0.0; 200]);
            let counts = [one.process(&rows(middle..6), &mut theirs)?, other.process(&rows(middle..6), &mut ours)?];
            assert_eq!((counts[0], ours), (counts[1], theirs), "{name} from {middle}");
        }
    }
    Ok(())
}
