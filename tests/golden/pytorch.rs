//! State dicts that PyTorch wrote: what its modules computed, forward, back, and step by step.
use crate::check::data::{Element, Outcome, close, every_of, flag, list, size, text_of};
use ndarray::prelude::*;
use recurrent::builder::ConvolutionBuilder;
use recurrent::model::AnyLayer;
use recurrent::pytorch::{File, LoadError};
use recurrent::training::Tape;
use recurrent::{Activation, Conv1D, Gradients, Layer, Model, OutputGradient, Padding, Parameters, Run, State, Stream};
use serde_json::Value;

type Builder<L> = ConvolutionBuilder<'static, L>;

fn path(name: &str) -> String {
    format!("{}/tests/golden/pytorch/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn file() -> File {
    File::open(path("cases.safetensors")).unwrap_or_else(|error| panic!("{error}"))
}

fn cases() -> Vec<Value> {
    let path = path("cases.json");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let file: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"));
    list(&file["cases"]).to_vec()
}

/// A module as the caller asks for it.
fn layer<T: Element>(file: &File, case: &Value, prefix: &str) -> Result<Box<dyn Layer<T>>, LoadError> {
    match (text_of(&case["kind"]), flag(&case["one_step"])) {
        ("LSTM" | "LSTM_PROJ", false) => file.lstm(prefix),
        ("LSTM", true) => file.lstm_cell(prefix),
        ("GRU", false) => file.gru(prefix),
        ("GRU", true) => file.gru_cell(prefix),
        ("RNN_TANH", false) => file.rnn(prefix, Activation::Tanh),
        ("RNN_TANH", true) => file.rnn_cell(prefix, Activation::Tanh),
        ("RNN_RELU", false) => file.rnn(prefix, Activation::Relu),
        ("RNN_RELU", true) => file.rnn_cell(prefix, Activation::Relu),
        other => panic!("{other:?}"),
    }
}

/// The part of the state that is a row of `h_n` or `c_n`, in PyTorch's order.
fn part(case: &Value, index: usize, which: &str) -> String {
    let directions = if flag(&case["both"]) { 2 } else { 1 };
    let layer = if size(&case["layers"]) > 1 { format!("{}/", index / directions) } else { String::new() };
    let direction = match (directions, index % directions) {
        (1, _) => "",
        (_, 0) => "forward/",
        _ => "backward/",
    };
    format!("{layer}{direction}{which}")
}

/// One case with its tensors.
struct Case<'f> {
    file: &'f File,
    case: &'f Value,
    name: &'f str,
}

impl Case<'_> {
    /// A tensor of three axes, if there is one of this name.
    fn tensor<T: Element>(&self, what: &str) -> Option<Array3<T>> {
        let tensor = self.file.tensor::<T>(&format!("{}.{what}", self.name)).ok()?;
        Some(tensor.into_dimensionality().expect("three axes"))
    }

    /// h and c of PyTorch as a state of the layer; `None` if there are none.
    fn state<T: Element>(&self, layer: &dyn Layer<T>, batch: usize, [h, c]: [&str; 2]) -> Option<State<T>> {
        let mut state = layer.initial_state(batch);
        let mut given = false;
        for (which, name) in [("h", h), ("c", c)] {
            for (index, rows) in self.tensor(name).iter().flat_map(|all| all.outer_iter().enumerate()) {
                state.set(&part(self.case, index, which), &rows).expect("a part of the state");
                given = true;
            }
        }
        given.then_some(state)
    }

    fn same<T: Element, D: Dimension>(&self, what: &str, ours: ArrayView<'_, T, D>, theirs: &ArrayD<T>) -> Outcome {
        close(&format!("{}: {what}", self.name), ours, theirs)
    }

    fn check<T: Element>(&self) -> Outcome {
        let layer: Box<dyn Layer<T>> = layer(self.file, self.case, &format!("{}.module", self.name))?;
        let (x, y) = (self.tensor("x").ok_or("no x")?, self.tensor("y").ok_or("no y")?);
        let batch = x.dim().0;
        let initial = self.state(&*layer, batch, ["h_0", "c_0"]);
        let lengths: Vec<usize> = self.case["lengths"].as_array().into_iter().flatten().map(size).collect();
        let mut run = Run::new();
        if !lengths.is_empty() {
            run = run.lengths(&lengths);
        }
        if let Some(initial) = &initial {
            run = run.initial_state(initial);
        }
        let mut tape = Tape::new();
        let output = layer.run(&x, run.record(&mut tape))?;
        self.same("y", output.sequence()?.view(), &y.clone().into_dyn())?;
        let end = self.state(&*layer, batch, ["h_n", "c_n"]).ok_or("no h_n")?;
        for name in end.names() {
            self.same(name, output.state()?.get(name)?, &end.get(name)?.to_owned().into_dyn())?;
        }
        if let Some(d_y) = self.tensor("d_y") {
            let d_end = self.state(&*layer, batch, ["d_h_n", "d_c_n"]).ok_or("no d_h_n")?;
            let mut gradients = Gradients::new(&layer);
            layer.backward(&mut tape, OutputGradient::new().sequence(&d_y).state(&d_end), &mut gradients)?;
            self.check_gradients(&*layer, &gradients, batch)?;
        }
        if !flag(&self.case["both"]) && lengths.is_empty() {
            let mut stream = Stream::new(&*layer, batch)?;
            if let Some(initial) = &initial {
                stream.set_state(initial)?;
            }
            for (step, expected) in y.axis_iter(Axis(1)).enumerate() {
                let given = stream.step(&x.index_axis(Axis(1), step))?;
                self.same(&format!("step {step}"), given.view(), &expected.to_owned().into_dyn())?;
            }
        }
        Ok(())
    }

    /// The gradients of PyTorch's weights, read as if they were weights. An LSTM and an RNN have one bias here, whose
    /// gradient is that of each of PyTorch's two: so their sum is twice as large.
    fn check_gradients<T: Element>(&self, layer: &dyn Layer<T>, gradients: &Gradients<T>, batch: usize) -> Outcome {
        let expected: Box<dyn Layer<T>> = self::layer(self.file, self.case, &format!("{}.gradient", self.name))?;
        let summed = text_of(&self.case["kind"]) != "GRU";
        for (name, expected) in expected.weights() {
            let two = if summed && name.ends_with("bias") { T::one() + T::one() } else { T::one() };
            let ours = gradients.get(&name)?.mapv(|gradient| gradient * two);
            self.same(&format!("gradient of {name}"), ours.view(), &expected.to_owned())?;
        }
        let d_x = self.tensor::<T>("d_x").ok_or("no d_x")?;
        self.same("gradient of x", gradients.input()?, &d_x.into_dyn())?;
        if let Some(expected) = self.state(layer, batch, ["d_h_0", "d_c_0"]) {
            for name in expected.names() {
                let ours = gradients.initial_state().get(name)?;
                self.same(&format!("gradient of {name}"), ours, &expected.get(name)?.to_owned().into_dyn())?;
            }
        }
        Ok(())
    }
}

#[test]
fn recurrent_modules() {
    let (file, cases) = (file(), cases());
    every_of("pytorch/cases", &cases, |case, name| {
        let own = Case { file: &file, case, name };
        match text_of(&case["dtype"]) {
            "float32" => own.check::<f32>(),
            _ => own.check::<f64>(),
        }
    });
    assert_eq!(cases.len(), 23);
}

/// One layer as a model of (batch, timesteps, 3).
fn model<T: Element>(layer: impl Into<AnyLayer<T>>) -> Model<T> {
    let mut graph = Model::<T>::builder("alone");
    let x = graph.input("x", [None, Some(3)]).expect("an input");
    let y = graph.call("layer", layer, &[x]).expect("reads it");
    graph.build(&y).expect("a model")
}

fn check_part<T: Element>(file: &File, name: &str, layer: impl Into<AnyLayer<T>>) {
    let tensor = |what: &str| file.tensor::<T>(&format!("{name}.{what}")).unwrap_or_else(|error| panic!("{error}"));
    let y = model(layer).predict_one(&tensor("x")).unwrap_or_else(|error| panic!("{name}: {error}"));
    close(name, y.view(), &tensor("y")).unwrap_or_else(|error| panic!("{error}"));
}

fn refused<V>(error: LoadError) -> V {
    panic!("{error}")
}

#[test]
fn modules_around_them() {
    let file = file();
    for name in ["linear", "linear_plain"] {
        check_part(&file, name, file.linear::<f32>(&format!("{name}.module")).unwrap_or_else(refused));
    }
    check_part(&file, "linear_double", file.linear::<f64>("linear_double.module").unwrap_or_else(refused));
    check_part(&file, "layer_norm", file.layer_norm::<f32>("layer_norm.module").unwrap_or_else(refused));
    let plain = file.layer_norm::<f32>("layer_norm_plain.module").unwrap_or_else(refused);
    check_part(&file, "layer_norm_plain", plain.epsilon(1e-3));
    check_part(&file, "batch_norm", file.batch_norm::<f32>("batch_norm.module").unwrap_or_else(refused));
    let plain = file.batch_norm::<f32>("batch_norm_plain.module").unwrap_or_else(refused);
    check_part(&file, "batch_norm_plain", plain.epsilon(1e-3));
    let layer = file.embedding::<f32>("embedding.module").unwrap_or_else(refused);
    let ids = file.tensor::<f32>("embedding.x").unwrap_or_else(refused).mapv(|id| id as i32);
    let (y, mask) = layer.forward(&ids.into_dimensionality::<Ix2>().expect("a matrix")).expect("ids");
    assert_eq!(y.into_dyn(), file.tensor::<f32>("embedding.y").unwrap_or_else(refused));
    assert_eq!(mask, None);
}

/// What isn't in the file is said by the caller; kernels are turned: (filters, channels, size) there.
#[test]
fn convolutions() {
    let file = file();
    let conv = file.conv1d::<f32>("conv.module", 1, |conv| conv.strides(2)).unwrap_or_else(refused);
    check_part(&file, "conv", conv);
    let same = |conv: Builder<Conv1D<f32>>| conv.padding(Padding::Same).dilation_rate(2);
    check_part(&file, "conv_same", file.conv1d::<f32>("conv_same.module", 1, same).unwrap_or_else(refused));
    let groups = file.conv1d::<f64>("conv_groups.module", 3, |conv| conv).unwrap_or_else(refused);
    check_part(&file, "conv_groups", groups);
    let causal = |conv: Builder<Conv1D<f32>>| conv.padding(Padding::Causal).dilation_rate(2);
    check_part(&file, "conv_causal", file.conv1d::<f32>("conv_causal.module", 1, causal).unwrap_or_else(refused));
    let refused = |groups| file.conv1d::<f32>("conv.module", groups, |conv| conv).expect_err("groups").to_string();
    assert!(refused(3).contains("groups") && refused(0).contains("groups"), "{}", refused(3));
    let refused = file.conv1d::<f32>("linear.module", 1, |conv| conv).expect_err("a matrix").to_string();
    assert!(refused.contains("isn't an nn.Conv1d") && refused.contains("it could be nn.Linear(3, 4)"), "{refused}");
}

/// A model in a dozen lines: parts of a file, called in the order in which PyTorch's `forward` calls them.
#[test]
fn a_model_of_parts() {
    let file = file();
    let mut graph = Model::<f32>::builder("tagger");
    let ids = graph.input("ids", [None]).expect("an input");
    let x = graph.call("embedding", file.embedding("embedding.module").expect("an embedding"), &[ids]).expect("ids");
    let x = graph.call("norm", file.layer_norm("layer_norm.module").expect("a norm"), &x).expect("its features");
    // A recurrent module returns its outputs, then its states.
    let y = graph.call("gru", file.gru("half.module").expect("a GRU"), &x).expect("its features");
    let model = graph.build(&y[..1]).expect("a model");
    let y = model.predict_one(&array![[1, 2, 6], [0, 5, 2]]).expect("ids");
    assert_eq!(y.shape(), [2, 3, 4]);
}

/// Weights of 16 bits are widened, exactly; f64 is rounded to f32, and an f32 is exact in f64.
#[test]
fn other_widths() {
    let file = file();
    for name in ["half", "bfloat"] {
        let tensor = |what: &str| file.tensor::<f32>(&format!("{name}.{what}")).expect(what);
        let layer = file.gru::<f32>(&format!("{name}.module")).expect(name);
        let y = layer.forward(&tensor("x").into_dimensionality().expect("three axes")).expect("fits");
        close(name, y.sequence().expect("sequences").view(), &tensor("y")).unwrap_or_else(|error| panic!("{error}"));
    }
    let (wide, narrow) = (file.lstm::<f64>("lstm_3.module"), file.lstm::<f32>("lstm_3.module"));
    let (wide, narrow) = (wide.expect("f64"), narrow.expect("f32"));
    for ((name, a), (_, b)) in wide.weights().into_iter().zip(narrow.weights()) {
        assert!(a.iter().zip(&b).all(|(&a, &b)| a as f32 == b), "{name}");
    }
    let (wide, narrow) = (file.lstm::<f64>("lstm_9.module"), file.lstm::<f32>("lstm_9.module"));
    let (wide, narrow) = (wide.expect("f64"), narrow.expect("f32"));
    let kernels = (wide.weight("kernel").expect("a kernel"), narrow.weight("kernel").expect("a kernel"));
    assert_eq!(kernels.0, kernels.1.mapv(f64::from));
}

/// What PyTorch printed, and `examples/pytorch_stream` prints.
#[test]
fn a_stream() {
    let file = File::open(path("stream.safetensors")).unwrap_or_else(refused);
    let mut stream = Stream::new(file.gru::<f32>("").unwrap_or_else(refused), 1).expect("forwards");
    let mut lines = String::new();
    for step in 0..8 {
        let h = stream.step_one(&[step as f32 / 8.0, 1.0 - step as f32 / 4.0]).expect("a step");
        let h: Vec<String> = h.iter().map(|h| format!("{h:+.4}")).collect();
        lines += &format!("{step}: {}\n", h.join(" "));
    }
    assert_eq!(lines, std::fs::read_to_string(path("stream.txt")).expect("there"));
}

#[test]
fn what_a_file_holds() {
    let shown = file().to_string();
    for line in [
        "\n  lstm_3.module: nn.LSTM(3, 3, num_layers=3, bias=False, bidirectional=True), float64",
        "\n  lstm_proj_5.module: nn.LSTM(3, 6, num_layers=2, bidirectional=True, proj_size=4), float32",
        "\n  gru_7.module: nn.GRU(3, 4, num_layers=2, bias=False), float32",
        "\n  rnn_tanh_cell_15.module: nn.RNNCell(3, 4), float32",
        "\n  linear.module: nn.Linear(3, 4), float32",
        "\n  linear_plain.module: nn.Linear(3, 5, bias=False) or nn.Embedding(5, 3), float32",
        "\n  embedding.module: nn.Linear(3, 7, bias=False) or nn.Embedding(7, 3), float32",
        "\n  layer_norm.module: nn.LayerNorm(3), float32",
        "\n  conv.module: nn.Conv1d(3, 4, 3), float32",
        "\n  conv_same.module: nn.Conv1d(3, 2, 4, bias=False), float32",
        "\n  batch_norm.module: nn.BatchNorm1d(3), float32 and int64",
        "\n  batch_norm_plain.module: nn.BatchNorm1d(3, affine=False), float32 and int64",
        "\n  half.module: nn.GRU(3, 4), float16",
        "\n  half: h_n [1, 2, 4], x [2, 5, 3], y [2, 5, 4], float32",
    ] {
        assert!(shown.contains(line), "{line}\n{shown}");
    }
}
