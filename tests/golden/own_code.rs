//! Models with code of one's own, `own_code.py`'s: the same code here in the place of Keras's gives Keras's numbers,
//! forward, backward and step by step, and what is written again is what Keras takes.

use crate::check::data::{Outcome, array, every_case, text_of, within};
use crate::graphs::{gradients, outputs, steps};
use ndarray::prelude::*;
use ndarray::{Slice, stack};
use recurrent::cell::{Step, StepBackward, WeightGradients};
use recurrent::keras::{self, Options};
use recurrent::model::Input;
use recurrent::ops::CustomLayer;
use recurrent::{Cell, Error, Float, Model, StateLayout, WeightVisitor, WeightVisitorMut};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// `f = sigmoid(x Kf + h Rf); g = tanh(x Kg + (f h) Rg); h' = (1 - f) h + f g`
#[derive(Debug, Clone)]
struct Mgu<T> {
    kernel: Array2<T>,
    recurrent_kernel: Array2<T>,
}

impl<T: Float> Mgu<T> {
    fn gates(&self, x: &[T], h: &[T]) -> [Array1<T>; 2] {
        let n = h.len();
        let (h, z) = (aview1(h), aview1(x).dot(&self.kernel));
        let (rf, rg) = self.recurrent_kernel.view().split_at(Axis(1), n);
        let f = (&z.slice(s![..n]) + &h.dot(&rf)).mapv(T::sigmoid);
        let g = (&z.slice(s![n..]) + &(&f * &h).dot(&rg)).mapv(T::tanh);
        [f, g]
    }
}

impl<T: Float> Cell for Mgu<T> {
    type Elem = T;

    fn input_size(&self) -> usize {
        self.kernel.nrows()
    }

    fn state_layout(&self) -> StateLayout {
        StateLayout::new([("h", self.recurrent_kernel.nrows())])
    }

    fn step(&self, step: Step<'_, T>) {
        let [f, g] = self.gates(step.x, step.prev);
        for (j, next) in step.next.iter_mut().enumerate() {
            *next = (T::one() - f[j]) * step.prev[j] + f[j] * g[j];
        }
    }

    fn visit_weights<'a>(&'a self, visitor: &mut WeightVisitor<'_, 'a, T>) {
        visitor.weight("kernel", &self.kernel);
        visitor.weight("recurrent_kernel", &self.recurrent_kernel);
    }

    fn visit_weights_mut(&mut self, visitor: &mut WeightVisitorMut<'_, T>) {
        visitor.weight("kernel", &mut self.kernel);
        visitor.weight("recurrent_kernel", &mut self.recurrent_kernel);
    }

    fn try_clone(&self) -> Option<Self> {
        Some(self.clone())
    }

    fn step_backward(
        &self,
        step: StepBackward<'_, T>,
        gradients: &mut WeightGradients<'_, T>,
    ) -> recurrent::Result<()> {
        let n = step.prev.len();
        let [f, g] = self.gates(step.x, step.prev);
        let (h, d) = (aview1(step.prev), aview1(step.d_next));
        let (rf, rg) = self.recurrent_kernel.view().split_at(Axis(1), n);
        let (kf, kg) = self.kernel.view().split_at(Axis(1), n);
        let one = T::one();
        let dg = &d * &f * &g.mapv(|g| one - g * g);
        let d_fh = rg.dot(&dg);
        let df = (&d * &(&g - &h) + &d_fh * &h) * &f.mapv(|f| f * (one - f));
        let d_h = &d * &f.mapv(|f| one - f) + &d_fh * &f + rf.dot(&df);
        let d_x = kf.dot(&df) + kg.dot(&dg);
        step.d_prev.iter_mut().zip(&d_h).for_each(|(to, &d)| *to = d);
        step.d_x.iter_mut().zip(&d_x).for_each(|(to, &d)| *to = d);
        let fh = &f * &h;
        let slice = |array: &Array1<T>| array.to_vec();
        gradients.add_outer(0, step.x, &[slice(&df), slice(&dg)].concat())?;
        gradients.add_outer_columns(1, 0, step.prev, &slice(&df))?;
        gradients.add_outer_columns(1, n, &slice(&fh), &slice(&dg))?;
        Ok(())
    }
}

/// A function of each element with its derivative.
fn each<T: Float>(of: fn(T) -> T, slope: fn(T) -> T) -> CustomLayer<T> {
    CustomLayer::of_one(move |x| Ok(x.mapv(of)))
        .backward(move |inputs, d| Ok(vec![&d * &inputs[0].mapv(slope)]))
        .per_step()
}

/// The last step.
fn last<T: Float>() -> CustomLayer<T> {
    CustomLayer::of_one(|x| Ok(x.index_axis(Axis(1), x.len_of(Axis(1)) - 1).to_owned()))
        .backward(|inputs, d| {
            let mut whole = ArrayD::zeros(inputs[0].raw_dim());
            let last = whole.len_of(Axis(1)) - 1;
            whole.index_axis_mut(Axis(1), last).assign(&d);
            Ok(vec![whole])
        })
        .of_last_step()
}

/// Each step less the one before.
fn differences() -> CustomLayer<f32> {
    let cut = |x: &ArrayViewD<'_, f32>, from: usize, less: usize| {
        let to = x.len_of(Axis(1)) - less;
        x.slice_axis(Axis(1), Slice::from(from..to)).to_owned()
    };
    CustomLayer::of_one(move |x| Ok(cut(&x, 1, 0) - cut(&x, 0, 1))).backward(|inputs, d| {
        let mut whole = ArrayD::zeros(inputs[0].raw_dim());
        let mut later = whole.slice_axis_mut(Axis(1), Slice::from(1..));
        later += &d;
        let mut earlier = whole.slice_axis_mut(Axis(1), Slice::from(..-1));
        earlier -= &d;
        Ok(vec![whole])
    })
}

fn product() -> CustomLayer<f32> {
    CustomLayer::new(|inputs| Ok(&inputs[0] * &inputs[1]))
        .backward(|inputs, d| Ok(vec![&d * &inputs[1], &d * &inputs[0]]))
        .per_step()
}

/// The mean of the live steps. (Its backward pass knows the mask of this case.)
fn mean_of_live() -> CustomLayer<f32> {
    CustomLayer::with_masks(|inputs, masks| {
        let Some(mask) = &masks[0] else { return Ok(inputs[0].mean_axis(Axis(1)).ok_or("no steps")?) };
        let rows = inputs[0].outer_iter().zip(mask.outer_iter()).map(|(steps, mask)| {
            let live: Vec<_> = steps.outer_iter().zip(&mask).filter(|(_, live)| **live).map(|(step, _)| step).collect();
            stack(Axis(0), &live).map(|live| live.mean_axis(Axis(0)).unwrap_or_default())
        });
        let rows = rows.collect::<Result<Vec<_>, _>>()?;
        Ok(stack(Axis(0), &rows.iter().map(|row| row.view()).collect::<Vec<_>>())?)
    })
    .backward(|inputs, d| {
        let mut whole = ArrayD::zeros(inputs[0].raw_dim());
        for ((mut steps, x), d) in whole.outer_iter_mut().zip(inputs[0].outer_iter()).zip(d.outer_iter()) {
            let live: Vec<bool> = x.outer_iter().map(|step| step.iter().any(|&x| x != 0.0)).collect();
            let count = live.iter().filter(|live| **live).count() as f32;
            let steps = steps.outer_iter_mut().zip(live).filter(|(_, live)| *live);
            steps.for_each(|(mut step, _)| step.assign(&d.mapv(|d| d / count)));
        }
        Ok(vec![whole])
    })
}

/// What is left of the mean of the features.
fn centred() -> CustomLayer<f32> {
    let centred = |x: ArrayViewD<'_, f32>| {
        let last = Axis(x.ndim() - 1);
        let mean = x.mean_axis(last).unwrap_or_default();
        &x - &mean.insert_axis(last)
    };
    CustomLayer::of_one(move |x| Ok(centred(x))).backward(move |_, d| Ok(vec![centred(d)]))
}

fn mixed() -> Options {
    Options::new().layer_from("mixed", |config, tensors| {
        let units = config.integer("units")? as usize;
        let (kernel, bias) = (tensors.get("dense/vars/0")?.into_dimensionality::<Ix2>()?, tensors.get("dense/vars/1")?);
        assert_eq!(kernel.ncols(), units);
        let back = kernel.clone();
        let forward = move |inputs: &[ArrayViewD<'_, f32>]| {
            let x = inputs[0].view().into_dimensionality::<Ix3>()?;
            let (batch, steps, width) = x.dim();
            let rows = x.to_shape((batch * steps, width))?.dot(&kernel);
            let rows = rows.to_shape(vec![batch, steps, kernel.ncols()])?.to_owned();
            Ok(rows + &bias - &inputs[1])
        };
        let backward = move |inputs: &[ArrayViewD<'_, f32>], d: ArrayViewD<'_, f32>| {
            let rows = d.len() / back.ncols();
            let d_x = d.to_shape((rows, back.ncols()))?.dot(&back.t());
            Ok(vec![d_x.to_shape(inputs[0].shape())?.to_owned(), d.mapv(|d| -d)])
        };
        Ok(CustomLayer::new(forward).backward(backward).per_step())
    })
}

/// `scale * x ** power + offset`, whatever the file calls its tensors.
fn scale() -> Options {
    Options::new().layer_from("mine>Scale", |config, tensors| {
        let power = config.number("power")? as f32;
        let (scale, offset) = (tensors.at(0)?, tensors.at(1)?);
        let slope = scale.clone();
        Ok(CustomLayer::of_one(move |x| Ok(x.mapv(|x: f32| x.powf(power)) * &scale + &offset))
            .backward(move |inputs, d| Ok(vec![&d * &(inputs[0].mapv(|x: f32| power * x.powf(power - 1.0)) * &slope)]))
            .per_step())
    })
}

/// The code for a case; `keras_2`: for the same of Keras 2.
fn options(name: &str, keras_2: bool) -> Options {
    let own = Options::new();
    match name {
        "last_step" => own.custom_layer("last_step", last()),
        "any_length" => {
            own.custom_layer("scale", each(|x| x * 2.0 + 0.5, |_| 2.0)).custom_layer("steps", differences())
        }
        "two_inputs" => own.custom_layer("gate", product()),
        "masks" => {
            let both =
                own.custom_layer("drops", each(|x| x * 1.5, |_| 1.5)).custom_layer("Keeps", each(|x| x * 0.5, |_| 0.5));
            if keras_2 {
                return both;
            }
            let own_mask = each(|x| x * 0.25, |_| 0.25).keeps_mask();
            both.custom_layer("own_mask", own_mask).custom_layer("mean_of_live", mean_of_live())
        }
        "wrapped" => own.custom_layer("each/centred", centred()),
        "weights" => scale(),
        "mixed" => mixed(),
        "cells" => own.cell("MguCell", |config, tensors| {
            let cell = Mgu {
                kernel: tensors.at(0)?.into_dimensionality()?,
                recurrent_kernel: tensors.at(1)?.into_dimensionality()?,
            };
            assert_eq!(config.integer("units")? as usize, cell.recurrent_kernel.nrows());
            Ok(cell)
        }),
        "within" => {
            let own = own.custom_layer("inner/grown", each(|x| x.exp() - 1.0, f32::exp));
            if keras_2 { own } else { own.custom_layer("Sin", each(f32::sin, f32::cos)) }
        }
        other => panic!("no code for {other}"),
    }
}

fn path(folder: &str, file: &str) -> String {
    format!("{}/tests/golden/keras_models/{folder}/{file}", env!("CARGO_MANIFEST_DIR"))
}

fn load(folder: &str, name: &str, extension: &str) -> Result<Model<f32>, keras::LoadError> {
    let options = options(name, folder.ends_with("keras2"));
    keras::load_with(path(folder, &format!("{name}.{extension}")), &options)
}

fn check(folder: &str, extension: &str, count: usize, streams: &[&str]) {
    let streamed = std::cell::RefCell::new(Vec::new());
    every_case(&format!("keras_models/{folder}"), count, |case| {
        let name = text_of(&case["name"]);
        if name == "doubles" {
            return doubles(case);
        }
        let model = load(folder, name, extension)?;
        outputs(&model, case)?;
        gradients(&model, case)?;
        if steps(&model, case)? {
            streamed.borrow_mut().push(name.to_string());
        }
        Ok(())
    });
    assert_eq!(*streamed.borrow(), streams);
}

#[test]
fn of_keras_3() {
    check("own_code", "keras", 10, &["last_step", "two_inputs", "weights", "mixed", "within"]);
}

#[test]
fn of_keras_2() {
    check("own_code_keras2", "h5", 8, &["last_step", "two_inputs", "masks", "weights", "cells", "within"]);
}

#[test]
fn of_legacy_files() {
    every_case("keras_models/own_code", 10, |case| match text_of(&case["name"]) {
        name @ ("weights" | "masks") => outputs(&load("own_code", name, "h5")?, case),
        _ => Ok(()),
    });
}

/// In f64, by a file that was opened for any type.
fn doubles(case: &Value) -> Outcome {
    let own = Options::<f64>::new().custom_layer("squared", each(|x: f64| x * x - 0.125, |x| x + x));
    let model = keras::load_with(path("own_code", "doubles.keras"), &own)?;
    let call = &case["calls"][0];
    let ours = model.predict(&[Input::from(&array::<f64>(&call["inputs"][0]))])?;
    let keras: ArrayD<f64> = array(&call["outputs"][0]);
    within("output", ours[0].view(), &keras, |a, b| (a - b).abs() <= 1e-12)?;
    let of_f32 = Options::<f32>::new().layer("squared", |x| Ok(x.to_owned()));
    let file = keras::File::open_with(path("own_code", "doubles.keras"), &of_f32)?;
    let refused = file.model::<f64>().expect_err("code of another type");
    assert!(matches!(refused.problem(), keras::Problem::CodeType { code: "f32", model: "f64" }), "{refused}");
    assert_eq!(file.model_with(&own)?.predict(&[Input::from(&array::<f64>(&call["inputs"][0]))])?, ours);
    Ok(())
}

/// What is written again is the very bytes that Keras took, and is read again with the same code.
#[test]
fn the_bytes_that_keras_took() -> Outcome {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("own_code");
    std::fs::create_dir_all(&folder)?;
    let taken = std::fs::read_to_string(path("", "own_code_round_trip.json")).unwrap_or_default();
    let taken: Value = serde_json::from_str(&taken).unwrap_or_default();
    let mut other = Vec::new();
    let names = ["last_step", "any_length", "two_inputs", "masks", "wrapped", "weights", "mixed", "cells", "within"];
    for name in names {
        let bytes = keras::to_bytes(&load("own_code", name, "keras")?)?;
        std::fs::write(folder.join(format!("{name}.keras")), &bytes)?;
        let again = keras::File::from_bytes(name, bytes.clone(), &options(name, false))?.model::<f32>()?;
        assert_eq!(keras::to_bytes(&again)?, bytes, "{name}");
        let digest: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        if taken["files"][name] != digest {
            other.push(name);
        }
    }
    assert!(other.is_empty(), "run own_code.py round_trip, if the new bytes are meant: {other:?}");
    Ok(())
}

/// A cell's weights that aren't the file's any more, words of Keras 2, files of our own: refused by name.
#[test]
fn what_is_not_written() -> Outcome {
    let mut model = load("own_code", "cells", "keras")?;
    let kernel = Array2::<f32>::from_elem((3, 8), 0.5);
    model.set_weights(&[("own/kernel", kernel.view().into_dyn())])?;
    let refused = keras::to_bytes(&model).expect_err("other weights").to_string();
    assert!(refused.contains("layer \"own\"") && refused.contains("MguCell"), "{refused}");
    let refused = keras::to_bytes(&load("own_code_keras2", "last_step", "h5")?).expect_err("Keras 2's").to_string();
    assert!(refused.contains("\"last_step\": Lambda") && refused.contains("Keras 2's"), "{refused}");
    #[cfg(feature = "file")]
    for (name, layer) in [("last_step", "last_step"), ("within", "inner/grown"), ("cells", "own")] {
        let refused = recurrent::file::to_bytes(&load("own_code", name, "keras")?).expect_err("code").to_string();
        assert!(refused.contains(&format!("layer {layer:?}")), "{refused}");
    }
    Ok(())
}

/// The program as it is written, one line for one layer.
#[test]
fn the_program() -> Outcome {
    let file = path("own_code", "last_step.keras");
    let options = keras::Options::<f32>::new()
        .layer("last_step", |x| Ok(x.index_axis(Axis(1), x.len_of(Axis(1)) - 1).to_owned()));
    let model = keras::load_with::<f32>(file, &options)?;
    assert_eq!(model.predict_one(&Array3::<f32>::ones((2, 5, 3)))?.shape(), [2, 2]);
    println!("{model}\n{options:?}");
    Ok(())
}

/// Without a second closure, and without a word about steps.
#[test]
fn refused_by_name() -> Outcome {
    let plain = Options::new().layer("last_step", |x| Ok(x.index_axis(Axis(1), x.len_of(Axis(1)) - 1).to_owned()));
    let model = keras::load_with::<f32>(path("own_code", "last_step.keras"), &plain)?;
    let x = Array3::<f32>::ones((2, 5, 3));
    let mut tape = recurrent::training::Tape::new();
    let refused = model.record(&[(&x).into()], &mut tape).expect_err("no backward pass");
    assert_eq!(refused, Error::InLayer { layer: "last_step".into(), source: Box::new(Error::CustomNoBackward) });
    let refused = model.stream(2).map(drop).expect_err("whole sequences");
    assert!(matches!(&refused, Error::CannotStream { layer, .. } if layer == "last_step"), "{refused}");
    Ok(())
}
