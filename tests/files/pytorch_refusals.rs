//! Files that aren't what is asked for, and damaged ones: errors that name tensors and a way out, never a panic.

use recurrent::pytorch::{File, Limits, LoadError, Mismatch, Problem};
use recurrent::{Activation, Float};
use serde_json::{Value, json};

fn golden(name: &str) -> Vec<u8> {
    let path = format!("{}/tests/golden/pytorch/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn open(bytes: Vec<u8>) -> Result<File, LoadError> {
    File::from_bytes("made", bytes, &Limits::new())
}

fn cases() -> File {
    open(golden("cases.safetensors")).unwrap_or_else(|error| panic!("{error}"))
}

/// The message of a refusal.
fn told<V>(outcome: Result<V, LoadError>) -> String {
    outcome.err().map_or("accepted".into(), |error| error.to_string())
}

/// A safetensors file: each tensor's name, type, the size of its elements, shape; all of zeros.
fn made(tensors: &[(&str, &str, usize, &[usize])]) -> Vec<u8> {
    let (mut header, mut end) = (serde_json::Map::new(), 0);
    for (name, dtype, size, shape) in tensors {
        let start = end;
        end += size * shape.iter().product::<usize>();
        let described = serde_json::json!({"dtype": dtype, "shape": shape, "data_offsets": [start, end]});
        header.insert((*name).into(), described);
    }
    let header = serde_json::to_vec(&header).expect("JSON");
    [&(header.len() as u64).to_le_bytes()[..], &header, &vec![0; end]].concat()
}

fn zeros(tensors: &[(&str, &[usize])]) -> File {
    let all: Vec<_> = tensors.iter().map(|(name, shape)| (*name, "F32", 4, *shape)).collect();
    open(made(&all)).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn what_is_asked_for_must_be_there() {
    let file = cases();
    for (given, expected) in [
        (
            told(file.gru::<f32>("lstm_9.module")),
            "made: \"lstm_9.module\" isn't an nn.GRU: \"lstm_9.module.weight_hh_l0\" is [12, 3], expected 3 times as many \
             rows as columns; it could be nn.LSTM(3, 3)",
        ),
        (
            told(file.lstm::<f32>("lstm_cell_19.module")),
            "there is no tensor \"lstm_cell_19.module.weight_ih_l0\"; it could be nn.LSTMCell(3, 4)",
        ),
        (
            told(file.lstm_cell::<f32>("lstm_9.module")),
            "no tensor \"lstm_9.module.weight_ih\"; it could be nn.LSTM(3, 3)",
        ),
        (told(file.linear::<f32>("layer_norm.module")), "is [3], expected a matrix; it could be nn.LayerNorm(3)"),
        (
            told(file.linear::<f32>("gru_7.module")),
            "no tensor \"gru_7.module.weight\"; it could be nn.GRU(3, 4, num_layers=2",
        ),
        (
            told(file.embedding::<f32>("linear.module")),
            "isn't an nn.Embedding: \"linear.module.bias\" isn't one of its tensors; it could be nn.Linear(3, 4)",
        ),
        (told(file.layer_norm::<f32>("batch_norm.module")), "num_batches_tracked\" isn't one of its tensors"),
        (told(file.batch_norm::<f32>("layer_norm.module")), "no tensor \"layer_norm.module.running_mean\""),
        // The right thing, at another prefix.
        (told(file.gru::<f32>("gru_7")), "\"gru_7.gradient\", \"gru_7.module\" could be an nn.GRU"),
        (
            told(file.batch_norm::<f32>("")),
            "\"batch_norm.module\", \"batch_norm_plain.module\" could be an nn.BatchNorm1d",
        ),
        (
            told(file.batch_norm::<f32>("encoder")),
            "\"encoder\" isn't an nn.BatchNorm1d: no tensor's name begins so; \"batch_norm.module\", \"batch_norm_plain\
             .module\" could be an nn.BatchNorm1d",
        ),
        (told(file.tensor::<f32>("nothing")), "there is no tensor \"nothing\": the names are batch_norm.module.bias"),
        (
            told(file.rnn::<f32>("rnn_relu_2.module", Activation::Sigmoid)),
            "(nn.RNN): nonlinearity=sigmoid isn't supported: PyTorch has tanh and relu",
        ),
    ] {
        assert!(given.contains(expected), "{given}\n{expected}");
    }
    let small = zeros(&[("decoder.scale", &[2]), ("encoder.weight", &[3, 4])]);
    assert!(told(small.gru::<f32>("lstm")).ends_with("there are tensors below \"decoder\", \"encoder\""));
    assert!(told(small.gru::<f32>("decoder")).ends_with("its tensors are scale [2]"));
    assert!(told(small.gru::<f32>("decode")).contains("no tensor's name begins so"));
}

/// Problems are values, too.
#[test]
fn refusals_are_typed() {
    let file = zeros(&[("a.weight_ih_l0", &[6, 3]), ("a.weight_hh_l0", &[6, 2]), ("a.more", &[1])]);
    let error = file.gru::<f32>("a").expect_err("a tensor too many");
    let Problem::Module { prefix, expected, reason, .. } = error.problem() else { panic!("{error}") };
    assert_eq!((&prefix[..], *expected), ("a", "nn.GRU"));
    assert_eq!(**reason, Mismatch::Leftover { tensor: "a.more".into() });
}

#[test]
fn each_tensor_is_used_and_fits() {
    let lstm: [(&str, &[usize]); 4] =
        [("weight_ih_l0", &[8, 3]), ("weight_hh_l0", &[8, 2]), ("bias_ih_l0", &[8]), ("bias_hh_l0", &[8])];
    let told = |change: &[(&str, &[usize])]| {
        let kept = lstm.iter().filter(|(name, _)| !change.iter().any(|(other, _)| other == name));
        let all: Vec<_> = kept.chain(change).copied().filter(|(_, shape)| !shape.is_empty()).collect();
        told(zeros(&all).lstm::<f32>(""))
    };
    assert_eq!(told(&[]), "accepted");
    for (change, expected) in [
        (("bias_hh_l0", &[][..]), "there is no tensor \"bias_hh_l0\""),
        (("bias_ih_l0", &[]), "there is no tensor \"bias_ih_l0\""),
        (("weight_ih_l1", &[8, 2]), "there is no tensor \"weight_hh_l1\""),
        (("weight_ih_l2", &[8, 2]), "\"weight_ih_l2\" isn't one of its tensors"),
        (("weight_ih_l0_reverse", &[8, 3]), "there is no tensor \"weight_hh_l0_reverse\""),
        (("extra", &[1]), "\"extra\" isn't one of its tensors"),
        (("weight_hh_l0", &[2, 8]), "\"weight_hh_l0\" looks transposed: it is [2, 8], expected [8, 2]"),
        (("weight_ih_l0", &[3, 8]), "\"weight_ih_l0\" looks transposed: it is [3, 8], expected [8, 3]"),
        (("weight_ih_l0", &[6, 3]), "\"weight_ih_l0\" is [6, 3], expected [8, 3]"),
        (("weight_ih_l0", &[24]), "\"weight_ih_l0\" is [24], expected a matrix"),
        (("weight_hr_l0", &[1, 2]), "\"weight_hh_l0\" is [8, 2], expected [8, 1]"),
        (("weight_hr_l0", &[2, 2]), "fewer rows than columns"),
        (("bias_ih_l0", &[7]), "\"bias_ih_l0\" is [7], expected [8]"),
    ] {
        let told = told(&[change]);
        assert!(told.contains(expected), "{change:?}: {told}");
    }
    let linear = |shape| zeros(&[("weight", shape), ("bias", &[4])]).linear::<f32>("");
    assert!(linear(&[4, 3]).is_ok());
    assert!(self::told(linear(&[3, 4])).contains("\"weight\" looks transposed: it is [3, 4], expected [4, 3]"));
    assert!(self::told(linear(&[3, 5])).contains("\"weight\" is [3, 5], expected [4, 5]"));
    let empty = zeros(&[("weight_ih_l0", &[0, 3]), ("weight_hh_l0", &[0, 0])]);
    assert!(self::told(empty.gru::<f32>("")).contains("units must be at least 1"));
    assert!(self::told(zeros(&[("weight", &[0])]).layer_norm::<f32>("")).contains("features must be at least 1"));
}

/// A class of one's own that is an LSTM and has other modules inside.
#[test]
fn modules_inside() {
    let lstm: [(&str, &[usize]); 2] = [("a.weight_ih_l0", &[8, 3]), ("a.weight_hh_l0", &[8, 2])];
    let inside: [(&str, &[usize]); 2] = [("a.out.weight", &[1, 2]), ("a.out.bias", &[1])];
    let file = zeros(&[lstm, inside].concat());
    assert_eq!(told(file.lstm::<f32>("a")), "accepted");
    assert_eq!(told(file.linear::<f32>("a.out")), "accepted");
    let more = zeros(&[&lstm[..], &inside, &[("a.weight_hh_l1", &[8, 2])]].concat());
    assert!(told(more.lstm::<f32>("a")).contains("\"a.weight_hh_l1\" isn't one of its tensors"));
    assert!(told(zeros(&[]).lstm::<f32>("a")).ends_with("the file has no tensors"));
}

/// The line of Python that helps is in the message.
#[test]
fn weights_that_are_computed() {
    let matrix: &[usize] = &[3, 4];
    for (names, expected) in [
        (["bias", "weight_g", "weight_v"].as_slice(), "torch.nn.utils.remove_weight_norm(module, \"weight\")"),
        (&["bias", "weight_orig", "weight_mask"], "torch.nn.utils.prune.remove(module, \"weight\")"),
        (&["bias", "weight_orig", "weight_u", "weight_v"], "torch.nn.utils.remove_spectral_norm(module, \"weight\")"),
        (
            &["bias", "parametrizations.weight.original0", "parametrizations.weight.original1"],
            "torch.nn.utils.parametrize.remove_parametrizations(module, \"weight\")",
        ),
    ] {
        let names: Vec<String> = names.iter().map(|name| format!("a.{name}")).collect();
        let tensors: Vec<(&str, &[usize])> = names.iter().map(|name| (&name[..], matrix)).collect();
        let told = told(zeros(&tensors).linear::<f32>("a"));
        assert!(told.ends_with(expected), "{told}");
    }
}

/// A kernel of a convolution in Keras's order, or in that of a transposed one.
#[test]
fn convolutions_that_are_turned() {
    for (shape, expected) in
        [([5, 3, 4], "[5, 3, 4], expected [4, 3, 5]"), ([3, 4, 5], "[3, 4, 5], expected [4, 3, 5]")]
    {
        let file = zeros(&[("weight", &shape), ("bias", &[4])]);
        let told = told(file.conv1d::<f32>("", 1, |builder| builder));
        assert!(told.contains(&format!("\"weight\" looks transposed: it is {expected}")), "{told}");
    }
}

/// Whole numbers aren't weights; what f32 can't hold isn't rounded to infinity.
#[test]
fn other_numbers() {
    for (dtype, size, name) in [("I8", 1, "int8"), ("U64", 8, "uint64"), ("BOOL", 1, "bool")] {
        let file = open(made(&[("a.weight", dtype, size, &[2, 3]), ("x", dtype, size, &[])])).expect("sound");
        let refused = told(file.linear::<f32>("a"));
        assert!(refused.contains(&format!("holds {name}, expected floating-point numbers")), "{refused}");
        assert_eq!(file.tensor::<f64>("x").expect("a number").len(), 1);
    }
    assert!(told(open(made(&[("a", "F8_E4M3", 1, &[2])]))).contains("holds F8_E4M3, expected float16 to float64"));
    assert!(told(open(made(&[("a", "F8_E4M3", 1, &[2])]))).contains("leave it out"));
    let mut bytes = made(&[("weight", "F64", 8, &[1, 2])]);
    let last = bytes.len() - 8;
    bytes[last..].copy_from_slice(&1e300_f64.to_le_bytes());
    let file = open(bytes).expect("sound");
    assert!(told(file.linear::<f32>("")).contains("\"weight\" holds 1e300, expected numbers in the range of f32"));
    assert!(file.linear::<f64>("").is_ok());
}

#[test]
fn other_files() {
    let convert = "save_file(torch.load(\"model.pt\", weights_only=True), \"model.safetensors\")";
    for (bytes, expected) in [
        (&b"PK\x03\x04rest"[..], convert),
        (b"\x80\x02}q\x00.", convert),
        (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8", convert),
        (b"\x89HDF\r\n\x1a\n", "keras::load reads it"),
        (b"", "it ends before the header's length"),
        (b"{\"a\": 1}", "the header reaches beyond the end"),
    ] {
        let told = told(open(bytes.to_vec()));
        assert!(told.contains(expected), "{told}");
    }
    // A header whose length begins as a pickle does.
    let header = format!("{{}}{}", " ".repeat(0x0280 - 2));
    assert!(open([&0x0280_u64.to_le_bytes()[..], header.as_bytes()].concat()).is_ok());
    let absent = File::open("/nothing/model.safetensors").expect_err("isn't there");
    assert!(matches!(absent.problem(), Problem::Io { .. }), "{absent}");
}

#[test]
fn limits_hold() {
    let bytes = golden("stream.safetensors");
    let open = |limits| File::from_bytes("made", bytes.clone(), &limits).and_then(|file| file.gru::<f32>(""));
    assert!(open(Limits::new()).is_ok());
    for (limits, field) in [
        (Limits::new().file_bytes(100), "file_bytes"),
        (Limits::new().config_bytes(100), "config_bytes"),
        (Limits::new().tensors(3), "tensors"),
        (Limits::new().units(11), "units"),
        (Limits::new().elements(23), "elements"),
    ] {
        let error = open(limits).expect_err(field);
        assert!(matches!(error.problem(), Problem::Limit { what, .. } if *what == field), "{error}");
    }
}

/// The weights of a GRU alone in its file, if it is one.
fn weights<T: Float>(bytes: Vec<u8>) -> Option<Vec<(String, ndarray::ArrayD<T>)>> {
    let file = open(bytes).ok()?;
    let _ = (file.to_string(), file.lstm::<T>("").is_ok(), file.linear::<T>("").is_ok());
    let layer = file.gru::<T>("").ok()?;
    Some(layer.weights().into_iter().map(|(name, array)| (name, array.to_owned())).collect())
}

/// Each byte of a small file's header, changed in each bit and to what JSON is made of: refused, or the same numbers.
#[test]
fn each_byte_of_a_header() {
    let sound = golden("stream.safetensors");
    let expected = weights::<f32>(sound.clone()).expect("a GRU");
    let header = 8 + usize::from(sound[0]) + 256 * usize::from(sound[1]);
    let mut accepted = 0;
    for at in 0..header {
        let bits = (0..8).map(|bit| sound[at] ^ 1 << bit);
        for byte in bits.chain(*b"\"\\{}[]:,019.-eFIU \0\xff") {
            let mut bytes = sound.clone();
            bytes[at] = byte;
            if let Some(given) = weights::<f32>(bytes) {
                assert_eq!(given, expected, "byte {at} as {byte:#04x}");
                accepted += 1;
            }
        }
    }
    assert!(accepted > 0, "a blank behind the header may be another one");
    for length in 0..sound.len() {
        assert!(open(sound[..length].to_vec()).is_err(), "cut to {length}");
    }
    assert!(open([&sound[..], b"\0"].concat()).is_err(), "longer");
}

/// Each value of the header, at any depth, becomes others: refused, or the same numbers.
#[test]
fn each_value_of_a_header() {
    let sound = golden("stream.safetensors");
    let expected = weights::<f32>(sound.clone()).expect("a GRU");
    let (header, data) = sound[8..].split_at(usize::from(sound[0]) + 256 * usize::from(sound[1]));
    let header: Value = serde_json::from_slice(header).expect("JSON");
    let mut paths = Vec::new();
    places(&header, String::new(), &mut paths);
    let others = [json!(null), json!(true), json!(0), json!(1), json!(-1), json!(1.5), json!(u64::MAX), json!(1e300)];
    let others =
        others.into_iter().chain([json!(""), json!("F64"), json!([]), json!([1, 2]), json!({}), json!({"": 0})]);
    let others: Vec<Value> = others.collect();
    let mut accepted = Vec::new();
    for path in &paths {
        for other in others.iter().filter(|other| header.pointer(path) != Some(other)) {
            let mut changed = header.clone();
            *changed.pointer_mut(path).expect("there") = other.clone();
            let text = serde_json::to_vec(&changed).expect("JSON");
            let bytes = [&(text.len() as u64).to_le_bytes()[..], &text, data].concat();
            if let Some(given) = weights::<f32>(bytes) {
                assert_eq!(given, expected, "{path} as {other}");
                accepted.push(path);
            }
        }
    }
    assert!(paths.len() > 20 && accepted.iter().all(|path| path.starts_with("/__metadata__")), "{accepted:?}");
}

/// The paths of all values, as `Value::pointer` takes them.
fn places(value: &Value, path: String, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| places(value, format!("{path}/{key}"), found)),
        Value::Array(list) => {
            list.iter().enumerate().for_each(|(at, value)| places(value, format!("{path}/{at}"), found));
        }
        _ => {}
    }
    found.push(path);
}

/// So many layers that whatever takes all of them for each of them would take minutes.
#[test]
fn very_many_layers() {
    let names: Vec<[String; 2]> =
        (0..10_000).map(|layer| ["ih", "hh"].map(|part| format!("weight_{part}_l{layer}"))).collect();
    let tensors: Vec<(&str, &[usize])> = names.iter().flatten().map(|name| (&name[..], &[3, 1][..])).collect();
    let file = zeros(&tensors);
    assert!(file.to_string().ends_with("nn.GRU(1, 1, num_layers=10000, bias=False), float32"));
    assert!(file.gru::<f32>("").is_ok());
    assert!(file.lstm::<f32>("").is_err());
}

/// A sample of the same over a file of many modules.
#[test]
fn a_large_header() {
    let sound = golden("cases.safetensors");
    let header = 8 + usize::from(sound[0]) + 256 * usize::from(sound[1]);
    let number = |file: &File| file.lstm::<f64>("lstm_3.module").ok().map(|layer| layer.count_params());
    let mut state = 1_u64;
    let mut draw = |end: usize| {
        // Knuth's MMIX.
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) as usize % end
    };
    let expected = number(&cases());
    for _ in 0..400 {
        let mut bytes = sound.clone();
        for _ in 0..1 + draw(3) {
            bytes[draw(header)] = draw(256) as u8;
        }
        if let Ok(file) = open(bytes) {
            assert!(number(&file).is_none_or(|given| Some(given) == expected));
            let _ = file.to_string();
        }
        assert!(open(sound[..draw(sound.len())].to_vec()).is_err());
    }
}
