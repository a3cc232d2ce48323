//! Models in which one step becomes several: what a stream of one gives is what the whole run gives.

use ndarray::{Array3, Axis, s};
use recurrent::model::AnyLayer;
use recurrent::{Conv1D, Dense, Error, Gru, Lstm, Model, Padding, SeedSource, Sequential, ops};

use super::compare::same_bits;
use super::numbers::Numbers;

type Outcome<V = ()> = Result<V, Box<dyn std::error::Error>>;

const FEATURES: usize = 3;
const STEPS: usize = 12;

/// A random chain, and whether its output is a sequence. What is refused for what stands before is left out.
fn model(numbers: &mut Numbers) -> Outcome<Option<(Model<f32>, bool)>> {
    let mut seeds = SeedSource::keras(7);
    let mut chain = Sequential::<f32>::builder("several").input_shape([None, Some(FEATURES)]);
    let (mut width, mut repeated) = (FEATURES, false);
    for _ in 0..1 + numbers.below(5) {
        let size = 1 + numbers.below(4);
        let layer: AnyLayer<f32> = match numbers.below(6) {
            0 | 1 => {
                repeated |= size > 1;
                ops::UpSampling1D::new(size)?.into()
            }
            2 => {
                let causal =
                    Conv1D::builder(width, 4, size).padding(Padding::Causal).dilation_rate(1 + numbers.below(2));
                width = 4;
                causal.seeds(&mut seeds).build()?.into()
            }
            3 => {
                let valid = Conv1D::builder(width, 5, size).strides(1 + numbers.below(3)).seeds(&mut seeds);
                width = 5;
                valid.build()?.into()
            }
            4 => ops::MaxPooling1D::new(size)?.strides(1 + numbers.below(2))?.into(),
            _ => {
                let gru = Gru::builder(width, 2).return_sequences(true).seeds(&mut seeds).build()?;
                width = 2;
                gru.into()
            }
        };
        chain = chain.layer(layer);
    }
    let sequence = numbers.chance(60);
    let chain = match sequence {
        true => chain.layer(Dense::builder(width, 2).seeds(&mut seeds).build()?),
        false => chain.layer(Lstm::builder(width, 2).seeds(&mut seeds).build()?),
    };
    let model = chain.build()?;
    Ok(match model.stream(1) {
        Ok(_) => Some((model, sequence)).filter(|_| repeated),
        Err(Error::CannotStream { reason, .. }) if reason.contains("would come later than what they repeat") => None,
        Err(other) => return Err(other.into()),
    })
}

fn law(numbers: &mut Numbers, model: &Model<f32>, sequence: bool) -> Outcome {
    let batch = 1 + numbers.below(3);
    let x: Array3<f32> = numbers.array(1.0, (batch, STEPS, FEATURES));
    let mut stream = model.stream(batch)?;
    let units = stream.outputs()[0].len() / batch;
    let (mut time, mut given) = (0, Vec::new());
    while time < STEPS {
        let next = (time + numbers.below(4)).min(STEPS);
        let input: Vec<f32> = x.slice(s![.., time..next, ..]).iter().copied().collect();
        let count = stream.outputs_in(next - time);
        let mut output = vec![0.0; batch * count * units];
        if !output.is_empty() {
            assert!(matches!(stream.process(&input, &mut output[1..]), Err(Error::BlockOutputs { .. })));
        }
        assert_eq!(stream.process(&input, &mut output)?, count);
        let block = Array3::from_shape_vec((batch, count, units), output)?;
        given.extend(block.axis_iter(Axis(1)).map(|y| y.to_owned()));
        time = next;
        if numbers.chance(30) {
            let saved = stream.state();
            stream = model.stream(batch)?;
            stream.process(&x.slice(s![.., ..5, ..]).iter().copied().collect::<Vec<_>>(), &mut vec![0.0; 50_000])?;
            stream.set_state(&saved)?;
        }
        if time == 0 {
            continue;
        }
        // Of too few steps there is nothing.
        let so_far = match model.predict_one(x.slice(s![.., ..time, ..])) {
            Ok(so_far) => so_far,
            Err(Error::ModelCall { .. }) => {
                assert!(given.is_empty());
                continue;
            }
            Err(other) => return Err(other.into()),
        };
        let same = |ours: &ndarray::Array2<f32>, whole: ndarray::ArrayViewD<'_, f32>| {
            assert!(ours.iter().zip(whole).all(|(&a, &b)| same_bits(a, b)), "{model}");
        };
        if sequence {
            assert_eq!(given.len(), so_far.shape()[1], "{model}");
            given.iter().zip(so_far.axis_iter(Axis(1))).for_each(|(ours, whole)| same(ours, whole));
        } else {
            same(given.last().ok_or("an output in each step")?, so_far.view());
        }
    }
    Ok(())
}

#[test]
fn a_stream_of_several_steps_gives_what_the_whole_gives() -> Outcome {
    let mut ran = 0;
    for seed in 0..120 {
        let mut numbers = Numbers::new(seed, "several");
        let Some((model, sequence)) = model(&mut numbers)? else { continue };
        law(&mut numbers, &model, sequence)?;
        ran += 1;
    }
    assert!(ran >= 40, "{ran} were run");
    Ok(())
}

/// What a step can't return is refused when the stream is made.
#[test]
fn what_a_step_cannot_return() -> Outcome {
    let mut graph = Model::<f32>::builder("both");
    let x = graph.input("x", [None, Some(3)])?;
    let twice = graph.call("twice", ops::UpSampling1D::new(2)?, &[x])?;
    let dense = graph.call("dense", Dense::new(3, 2), &[twice[0]])?;
    let error = graph.build(&[twice[0], dense[0]])?.stream(1).expect_err("refused").to_string();
    assert!(error.contains("a stream of one input and one output can return"), "{error}");

    let mut graph = Model::<f32>::builder("beside");
    let x = graph.input("x", [None, Some(3)])?;
    let twice = graph.call("twice", ops::UpSampling1D::new(2)?, &[x])?;
    let last = graph.call("last", Lstm::new(3, 2), &[twice[0]])?;
    let dense = graph.call("dense", Dense::new(3, 2), &[x])?;
    let error = graph.build(&[dense[0], last[0]])?.stream(1).expect_err("refused").to_string();
    assert!(error.contains("it comes at other steps than another output"), "{error}");
    Ok(())
}

/// A state is one between two steps, never from the middle of one.
#[test]
fn the_phase_is_that_of_a_whole_step() -> Outcome {
    let model = Sequential::<f32>::builder("later")
        .input_shape([None, Some(FEATURES)])
        .layer(ops::UpSampling1D::new(2)?)
        .layer(Conv1D::builder(FEATURES, 2, 3).build()?)
        .build()?;
    let mut stream = model.stream(1)?;
    let mut output = [0.0; 4 * 2];
    assert_eq!(stream.process(&[0.5; 2 * FEATURES], &mut output)?, 2);
    let saved = stream.state();
    for (phase, sound) in [(1.0, false), (2.0, true), (3.0, false)] {
        let mut state = saved.clone();
        let last = state.states_mut().last_mut().ok_or("a phase")?;
        last.set("phase", &ndarray::array![[phase]])?;
        assert_eq!(stream.set_state(&state).is_ok(), sound, "{phase}");
    }
    Ok(())
}
