//! What makes categories of numbers: Discretization, IntegerLookup, CategoryEncoding.

use std::sync::Arc;

use ndarray::ArrayD;
use serde_json::json;

use super::super::json::{Fields, Json};
use super::super::vocabulary::beside;
use super::super::weights::{Place, Weight};
use super::super::words::{Said, Unsaid};
use super::{Built, Class, Holds, INPUTS, Reading};
use crate::config::Value;
use crate::float::Float;
use crate::formats::error::{Found, Problem};
use crate::graph::ops::categories::{Categories, Category, Encoding, Lookup, Vocabulary};

impl<T: Float> Class<T> {
    pub(super) const CATEGORIES: &'static [Self] = &[
        Class::layer("Discretization", INPUTS, Holds::Nothing, discretization).by(of_discretization),
        Class::layer("IntegerLookup", INPUTS, Holds::Nothing, integer_lookup).by(of_lookup),
        Class::layer("CategoryEncoding", INPUTS, Holds::Nothing, |reading| {
            reading.only_keras_3()?;
            let (depth, encoding) = (reading.size("num_tokens")?, encoding(reading, Encoding::MultiHot)?);
            if matches!(encoding, Encoding::Int | Encoding::TfIdf) {
                return Err(reading.fields.need("output_mode", MODES)?.wrong("one_hot, multi_hot, count"));
            }
            Ok(Built::with(Category { categories: Categories::Own, encoding, depth, idf: None }, 0))
        }),
    ];
}

const MODES: &str = "int, one_hot, multi_hot, count, tf_idf";

fn encoding(reading: &Reading<'_, '_>, default: Encoding) -> Found<Encoding> {
    let Some(mode) = reading.fields.option("output_mode", MODES)? else { return Ok(default) };
    let name = match mode.text(MODES)? {
        // Names of earlier versions.
        "binary" => "multi_hot",
        "tf-idf" => "tf_idf",
        name => name,
    };
    let known = Encoding::NAMES.iter().find(|(own, _)| *own == name);
    known.map(|(_, encoding)| *encoding).ok_or_else(|| mode.wrong(MODES))
}

impl Reading<'_, '_> {
    /// Keras 2's layers of this kind encode in other ways.
    fn only_keras_3(&self) -> Found<()> {
        match self.is_keras2() {
            true => Err(self.fields.need("name", "a name")?.unsupported("of Keras 3 alone such layers are read")),
            false => Ok(()),
        }
    }

    /// The lines of the vocabulary that stands beside the weights.
    fn vocabulary(&self) -> Found<Vec<&str>> {
        const BESIDE: &str = "a list, or a vocabulary beside the weights in a .keras file";
        beside(self.reader.vocabularies, self.place).ok_or_else(|| self.fields.absent("vocabulary", BESIDE))
    }

    /// A tensor that has a name in place of a number.
    fn named_tensor<T: Float>(&self, name: &'static str, shape: &[usize]) -> Found<ArrayD<T>> {
        let weights =
            self.reader.weights.ok_or(Problem::Incomplete { what: "weights", hint: "save the whole model" })?;
        let path = if let Place::Group(path) = self.place { format!("{path}/vars/{name}") } else { name.into() };
        let Some(object) = weights.file.find(&path)? else {
            return Err(Problem::MissingTensor { layer: self.path().into(), weight: name.into(), tensor: path });
        };
        let weight = Weight { name, array: weights.array(self.path(), &path, object)?, tensor: path };
        self.expect_shape(&weight, shape)?;
        Ok(weight.array)
    }
}

fn discretization<T: Float>(reading: &Reading<'_, '_>) -> Found<Built<T>> {
    const BOUNDS: &str = "numbers that grow: set or adapted";
    let fields: &Fields<'_> = reading.fields;
    reading.only_keras_3()?;
    fields.only("sparse", &json!(false), "only dense outputs are supported")?;
    fields.loose(&["num_bins"], "a whole number or null", |json| json.is_null() || json.integer().is_ok())?;
    fields.loose_numbers(&["epsilon"])?;
    fields.need("output_mode", MODES)?;
    let item = fields.need("bin_boundaries", BOUNDS)?;
    // TensorFlow has them in f32, whatever it compares with them.
    let bounds = item.list(BOUNDS)?.iter().map(|bound| Ok(bound.number()? as f32)).collect::<Found<Vec<f32>>>()?;
    if !bounds.is_sorted() {
        return Err(item.wrong(BOUNDS));
    }
    let (encoding, depth) = (encoding(reading, Encoding::Int)?, bounds.len() + 1);
    if encoding == Encoding::TfIdf {
        return Err(fields.need("output_mode", MODES)?.wrong("int, one_hot, multi_hot, count"));
    }
    Ok(Built::with(Category { categories: Categories::Bins(bounds.into()), encoding, depth, idf: None }, 0))
}

fn of_discretization(said: &mut Said<'_>) -> Result<(), Unsaid> {
    said.same("bin_boundaries")?;
    said.same("output_mode")?;
    said.write("sparse", false);
    // Its constructor doesn't take it.
    said.leave("trainable");
    Ok(())
}

fn integer_lookup<T: Float>(reading: &Reading<'_, '_>) -> Found<Built<T>> {
    let fields = reading.fields;
    reading.only_keras_3()?;
    fields.only("sparse", &json!(false), "only dense outputs are supported")?;
    fields.loose(&["vocabulary_dtype"], "int64 or int32", |json| {
        ["int64", "int32"].iter().any(|name| json.text("int64") == Ok(name))
    })?;
    fields.loose(&["vocabulary_size"], "a whole number or null", |json| json.is_null() || json.integer().is_ok())?;
    let given = |key: &'static str| Ok(fields.option(key, "a value or null")?.and_then(Json::given));
    let oov = fields.option("num_oov_indices", "a whole number of at least 0")?;
    let oov = oov.map_or(Ok(1), |oov| oov.index("a whole number of at least 0"))?;
    // Versions before it did that alone.
    let method = fields.take("oov_method");
    if let Some(method) = method.filter(|method| oov > 1 && method.text("floormod") != Ok("floormod")) {
        return Err(method.unsupported("several places for what isn't known are chosen by floormod alone"));
    }
    fields.loose(&["salt"], "null", Json::is_null)?;
    let encoding = encoding(reading, Encoding::Int)?;
    let max_tokens = given("max_tokens")?;
    let max_tokens = max_tokens.map(|most| most.size(reading.reader.options.limits.units)).transpose()?;
    // The true ones are among the weights.
    fields.loose(&["idf_weights"], "a list or null", |json| json.is_null() || json.is_list())?;
    let list = given("vocabulary")?;
    let tokens = match &list {
        Some(list) => list.list(TOKENS)?.iter().map(Json::integer).collect::<Found<Vec<i64>>>()?,
        None => {
            let lines = reading.vocabulary()?;
            let tokens = lines.iter().map(|line| line.trim().parse::<i64>().ok()).collect::<Option<Vec<_>>>();
            tokens.ok_or_else(|| fields.absent("vocabulary", TOKENS))?
        }
    };
    let invert = fields.default_flag("invert", false)?;
    let vocabulary = Vocabulary {
        tokens,
        mask_token: given("mask_token")?.map(|token| token.integer()).transpose()?,
        oov_token: fields.option("oov_token", "a whole number")?.map_or(Ok(-1), |token| token.integer())?,
        oov,
        invert,
        max_tokens,
        pad_to_max_tokens: fields.default_flag("pad_to_max_tokens", false)?,
    };
    if invert && encoding != Encoding::Int {
        return Err(fields.need("output_mode", MODES)?.wrong("int, as invert is true"));
    }
    let wrong = || match &list {
        Some(list) => list.wrong(TOKENS),
        None => fields.absent("vocabulary", TOKENS),
    };
    let lookup = Lookup::new(vocabulary, encoding).ok_or_else(wrong)?;
    let depth = lookup.depth();
    let idf = (encoding == Encoding::TfIdf).then(|| reading.named_tensor("idf_weights", &[depth])).transpose()?;
    Ok(Built::with(Category { categories: Categories::Lookup(Arc::new(lookup)), encoding, depth, idf }, 0))
}

const TOKENS: &str = "tokens, each once and no more than max_tokens";

fn of_lookup(said: &mut Said<'_>) -> Result<(), Unsaid> {
    for name in ["vocabulary", "mask_token", "oov_token", "num_oov_indices", "invert", "max_tokens"] {
        said.same(name)?;
    }
    if let (Some(Value::Text(mode)), Some(Value::List(tokens))) = (said.get("output_mode"), said.get("vocabulary"))
        && mode == "tf_idf"
    {
        // Any numbers: the true ones are among the weights.
        let ones = vec![1.0; tokens.len()];
        said.write("idf_weights", ones);
    }
    said.same("output_mode")?;
    said.same("pad_to_max_tokens")?;
    said.write("sparse", false);
    said.write("vocabulary_dtype", "int64");
    Ok(())
}
