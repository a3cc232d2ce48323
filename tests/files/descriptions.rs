//! Nothing of a model's description counts as absent but what is: each value of each golden description is changed to
//! each other type of JSON, each key dropped, an unknown key added to each object, one at a time. Each change is
//! refused, or gives the same numbers.

use std::collections::BTreeSet;

use crate::check::data::{Element, array, list, text_of};
use ndarray::prelude::*;
use recurrent::keras::{File, Options};
use recurrent::{Model, model::Input};
use serde_json::{Value, json};

/// What a model may really lack: without it, or with null, the description is of another model, which Keras reads as we
/// do. The end of the place, with the change.
const OTHER_MODELS: [&str; 13] = [
    // A call without an initial state.
    ".kwargs without initial_state",
    ".kwargs.initial_state to null",
    // A call without a mask.
    ".inbound_nodes[4][4][5] without mask",
    ".inbound_nodes[4][4][5].mask to null",
    // An output fewer.
    ".config.output_layers without y",
    ".config.output_layers without z",
    // Each direction by itself, instead of both merged.
    ".merge_mode=concat to null",
    ".merge_mode=sum to null",
    // As many steps as the window has.
    ":MaxPooling1D.config.strides to null",
    ":AveragePooling1D.config.strides to null",
    // What old versions did, which had no such option.
    ":GlobalMaxPooling1D.config without keepdims",
    ":GlobalAveragePooling1D.config without keepdims",
    // No upper bound.
    ":ReLU.config.max_value to null",
];

fn folder() -> String {
    format!("{}/tests/golden/keras_models", env!("CARGO_MANIFEST_DIR"))
}

/// A golden model, taken apart.
struct Golden {
    name: String,
    /// The bytes of the weights, or of the whole legacy file.
    bytes: Vec<u8>,
    /// Where the description is in a legacy file.
    range: Option<std::ops::Range<usize>>,
    config: Value,
    double: bool,
    call: Value,
}

fn member(bytes: &[u8], wanted: &str) -> Vec<u8> {
    crate::check::zip::members(bytes).into_iter().find(|(name, _)| name == wanted).expect(wanted).1
}

/// The first whole JSON object in a file that is a model, and where it is.
fn embedded(bytes: &[u8]) -> (Value, std::ops::Range<usize>) {
    for start in (0..bytes.len()).filter(|&at| bytes[at..].starts_with(b"{\"")) {
        let mut values = serde_json::Deserializer::from_slice(&bytes[start..]).into_iter::<Value>();
        if let Some(Ok(value)) = values.next()
            && value.get("class_name").is_some()
            && value.get("config").is_some_and(|config| config.is_array() || config.get("layers").is_some())
        {
            return (value, start..start + values.byte_offset());
        }
    }
    panic!("no description in {} bytes", bytes.len())
}

impl Golden {
    fn all() -> Vec<Golden> {
        let mut all = Vec::new();
        for (file, folders) in [
            ("cases.json", &[("models", "keras"), ("models", "h5")][..]),
            ("keras2.json", &[("keras2", "h5")]),
            ("convolutions.json", &[("convolutions", "keras")]),
            ("convolutions_keras2.json", &[("convolutions_keras2", "h5")]),
        ] {
            let text = std::fs::read_to_string(format!("{}/{file}", folder())).unwrap();
            let cases: Value = serde_json::from_str(&text).unwrap();
            for case in list(&cases["cases"]) {
                let name = text_of(&case["name"]);
                for (inner, extension) in folders {
                    let path = format!("{}/{inner}/{name}.{extension}", folder());
                    let bytes = std::fs::read(&path).unwrap();
                    let (bytes, config, range) = match *extension {
                        "keras" => {
                            let config = serde_json::from_slice(&member(&bytes, "config.json")).unwrap();
                            (member(&bytes, "model.weights.h5"), config, None)
                        }
                        _ => {
                            let (config, range) = embedded(&bytes);
                            (bytes, config, Some(range))
                        }
                    };
                    let double = name == "float64";
                    let name = format!("{inner}/{name}.{extension}");
                    all.push(Golden { name, bytes, range, config, double, call: case["calls"][0].clone() });
                }
            }
        }
        all.sort_by_key(|golden| golden.config.to_string().len());
        all
    }

    fn version(&self) -> &'static str {
        match (&self.range, self.name.contains("keras2/")) {
            (None, _) => "keras 3",
            (Some(_), false) => "h5 3",
            _ => "h5 2",
        }
    }

    /// The file with another description.
    fn with(&self, config: &Value) -> File {
        let text = config.to_string().into_bytes();
        let file = match &self.range {
            None => File::from_parts(&self.name, text, self.bytes.clone(), &Options::new()),
            Some(range) => {
                // Blanks fill what is left of the attribute.
                let mut bytes = self.bytes.clone();
                assert!(text.len() <= range.len(), "{}: no room", self.name);
                bytes[range.clone()].fill(b' ');
                bytes[range.start..range.start + text.len()].copy_from_slice(&text);
                File::from_bytes(&self.name, bytes, &Options::new())
            }
        };
        file.unwrap()
    }

    /// The bits of all outputs of two calls on the same input, the state kept; or why there are none.
    fn numbers(&self, config: &Value) -> Numbers {
        let file = self.with(config);
        if self.double { self.run::<f64>(&file) } else { self.run::<f32>(&file) }
    }

    fn run<T: Element>(&self, file: &File) -> Numbers {
        let model: Model<T> = file.model().map_err(|error| error.to_string())?;
        let mut outputs = Vec::new();
        let mut floats: Vec<ArrayD<T>> = vec![];
        let mut ints: Vec<ArrayD<i64>> = vec![];
        let mut flags: Vec<ArrayD<bool>> = vec![];
        let inputs = list(&self.call["inputs"]);
        for input in inputs {
            let numbers = array::<f64>(input);
            ints.push(numbers.mapv(|x| x as i64));
            flags.push(numbers.mapv(|x| x != 0.0));
            floats.push(array(input));
        }
        let given: Vec<Input<'_, T>> = inputs
            .iter()
            .enumerate()
            .map(|(i, input)| match text_of(&input["dtype"]) {
                "bool" => (&flags[i]).into(),
                int if int.contains("int") => (&ints[i]).into(),
                _ => (&floats[i]).into(),
            })
            .collect();
        let mut state = model.initial_state(given[0].shape()[0]);
        for _ in 0..2 {
            for output in model.predict_stateful(&mut state, &given).map_err(|error| error.to_string())? {
                let bits = output.iter().map(|x| bits(*x)).collect();
                outputs.push((output.shape().to_vec(), bits));
            }
        }
        Ok(outputs)
    }
}

fn bits<T: Element>(x: T) -> u64 {
    x.into_f64().to_bits()
}

/// A step into a value.
#[derive(Clone)]
enum Step {
    Key(String),
    Index(usize),
}

/// A change at a place.
#[derive(Clone)]
enum Change {
    To(Value),
    Drop(String),
    Unknown,
    Append,
}

impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Change::To(value) => write!(f, "to {value}"),
            Change::Drop(key) => write!(f, "without {key}"),
            Change::Unknown => write!(f, "with an unknown key"),
            Change::Append => write!(f, "with null at its end"),
        }
    }
}

fn at<'v>(value: &'v mut Value, way: &[Step]) -> &'v mut Value {
    way.iter().fold(value, |value, step| match step {
        Step::Key(key) => &mut value[key.as_str()],
        Step::Index(index) => &mut value[*index],
    })
}

fn apply(config: &Value, way: &[Step], change: &Change) -> Value {
    let mut config = config.clone();
    let value = at(&mut config, way);
    match change {
        Change::To(new) => *value = new.clone(),
        Change::Drop(key) => drop(value.as_object_mut().unwrap().remove(key)),
        Change::Unknown => drop(value.as_object_mut().unwrap().insert("unknown".into(), json!(1))),
        Change::Append => value.as_array_mut().unwrap().push(Value::Null),
    }
    config
}

fn kind(value: &Value) -> usize {
    match value {
        Value::Null => 0,
        Value::Bool(_) => 1,
        Value::Number(_) => 2,
        Value::String(_) => 3,
        Value::Array(_) => 4,
        Value::Object(_) => 5,
    }
}

/// All changes of a description, with what they are of: changes of one kind are tried once, on the smallest model.
fn changes(value: &Value, way: &mut Vec<Step>, place: &str, visit: &mut impl FnMut(&[Step], &str, Change)) {
    let others = [json!(null), json!(true), json!(7), json!("odd"), json!([]), json!({}), json!([[]])];
    for other in others.into_iter().filter(|other| kind(other) != kind(value) || other == &json!([[]])) {
        visit(way, place, Change::To(other));
    }
    match value {
        Value::Object(map) => {
            visit(way, place, Change::Unknown);
            let class = map.get("class_name").and_then(Value::as_str);
            // The two innermost classes tell what it is.
            let outer = place.rsplit(':').next().unwrap_or(place);
            let place = class.map_or(place.to_string(), |class| format!("{outer}:{class}"));
            for (key, inner) in map {
                visit(way, &place, Change::Drop(key.clone()));
                way.push(Step::Key(key.clone()));
                let told = match inner {
                    Value::Bool(_) | Value::Null => format!("{place}.{key}={inner}"),
                    Value::String(text) if key == "merge_mode" => format!("{place}.{key}={text}"),
                    _ => format!("{place}.{key}"),
                };
                changes(inner, way, &told, visit);
                way.pop();
            }
        }
        Value::Array(items) => {
            visit(way, place, Change::Append);
            for (i, item) in items.iter().enumerate() {
                way.push(Step::Index(i));
                changes(item, way, &format!("{place}[{}]", kind(item)), visit);
                way.pop();
            }
        }
        _ => {}
    }
}

/// A change of one of the golden descriptions, by its number.
type Task = (usize, Vec<Step>, String, Change);

type Numbers = Result<Vec<(Vec<usize>, Vec<u64>)>, String>;

/// How many changes are refused, how many have no effect, and those that give other numbers.
fn run<'t>(golden: &[Golden], before: &[Numbers], tasks: &'t [Task]) -> (usize, usize, Vec<&'t Task>) {
    let (mut refused, mut same, mut wrong) = (0, 0, Vec::new());
    for task in tasks {
        let (i, way, _, change) = task;
        let changed = golden[*i].numbers(&apply(&golden[*i].config, way, change));
        match changed {
            Err(_) => refused += 1,
            Ok(_) if changed == before[*i] => same += 1,
            Ok(_) => wrong.push(task),
        }
    }
    (refused, same, wrong)
}

#[test]
fn every_value_counts() {
    let golden = Golden::all();
    assert!(golden.len() > 120);
    let mut seen = BTreeSet::new();
    let mut tasks = Vec::new();
    for (i, golden) in golden.iter().enumerate() {
        changes(&golden.config, &mut vec![], "", &mut |way, place, change| {
            if seen.insert(format!("{} {place} {change}", golden.version())) {
                tasks.push((i, way.to_vec(), place.to_string(), change));
            }
        });
    }
    let before: Vec<_> = golden.iter().map(|golden| golden.numbers(&golden.config)).collect();
    for (golden, before) in golden.iter().zip(&before) {
        assert!(before.is_ok(), "{}: {before:?}", golden.name);
    }
    let half = tasks.len() / 2;
    let (one, two) = std::thread::scope(|scope| {
        let one = scope.spawn(|| run(&golden, &before, &tasks[..half]));
        let two = run(&golden, &before, &tasks[half..]);
        (one.join().unwrap(), two)
    });
    println!("{} changes: {} refused, {} without effect", tasks.len(), one.0 + two.0, one.1 + two.1);
    let wrong: Vec<String> = one
        .2
        .into_iter()
        .chain(two.2)
        .map(|(i, _, place, change)| (golden[*i].version(), format!("{place} {change}"), &golden[*i].name))
        .filter(|(_, what, _)| !OTHER_MODELS.iter().any(|other| what.ends_with(other)))
        .map(|(version, what, name)| format!("{version}: {what} ({name})"))
        .collect();
    assert!(wrong.is_empty(), "{} changes gave other numbers:\n{}", wrong.len(), wrong.join("\n"));
    assert!(one.0 + two.0 > 5000 && one.1 + two.1 > 1000, "{} refused, {} the same", one.0 + two.0, one.1 + two.1);
}
