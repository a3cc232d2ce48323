//! From bytes on a disk to the parts of a model file.

use std::ops::Range;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::options::Settings;
use super::value::Value;
use crate::formats::disk::read;
use crate::formats::error::{Found, Problem, within};
use crate::formats::hdf5::Hdf5;
use crate::formats::inflate::{Wrapping, inflate};
use crate::formats::safetensors::Safetensors;

const CONFIG: &str = "config.json";
const METADATA: &str = "metadata.json";
const WEIGHTS: &str = "model.weights.h5";
const ASSET: &str = "vocabulary.txt";

const CONVERT: &str = "save the model in Python with model.save(\"model.keras\"), or as \"model.h5\" in Keras 2";

/// Checks that the bytes have the digest that the caller expects.
pub(super) fn check_digest(bytes: &[u8], options: &Settings) -> Found<()> {
    let Some(expected) = &options.sha256 else { return Ok(()) };
    let given: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    if given.eq_ignore_ascii_case(expected.trim()) {
        return Ok(());
    }
    Err(Problem::Digest { expected: expected.clone(), given })
}

/// The parts of a model file, unpacked.
#[derive(Debug)]
pub(super) struct Parts {
    /// `metadata.json` of a `.keras` file.
    pub(super) metadata: Option<Vec<u8>>,
    /// The description, where it isn't in the HDF5 data itself.
    pub(super) config: Option<Vec<u8>>,
    pub(super) weights: Held,
    /// Vocabularies that stand beside these, by the members' names.
    pub(super) vocabularies: Vec<(String, Vec<u8>)>,
}

/// The weights.
#[derive(Debug)]
pub(super) enum Held {
    /// HDF5 data within other bytes.
    Hdf5 { bytes: Vec<u8>, range: Range<usize> },
    /// Tensors by the paths that they would have in HDF5 data.
    Tensors(Safetensors),
}

impl Held {
    /// The HDF5 data.
    pub(super) fn hdf5(&self) -> &[u8] {
        match self {
            Held::Hdf5 { bytes, range } => bytes.get(range.clone()).unwrap_or(&[]),
            Held::Tensors(_) => &[],
        }
    }
}

impl From<Vec<u8>> for Held {
    fn from(bytes: Vec<u8>) -> Self {
        Held::Hdf5 { range: 0..bytes.len(), bytes }
    }
}

impl Parts {
    /// A description and weights that were given apart.
    pub(super) fn new(config: Vec<u8>, weights: Vec<u8>) -> Self {
        Parts { metadata: None, config: Some(config), weights: weights.into(), vocabularies: vec![] }
    }

    /// Tells what the bytes are and takes them apart.
    pub(super) fn open(bytes: Vec<u8>, options: &Settings) -> Found<Self> {
        if Hdf5::start(&bytes).is_some() {
            return Ok(Parts { metadata: None, config: None, weights: bytes.into(), vocabularies: vec![] });
        }
        if let Some((length, b"{")) =
            bytes.split_first_chunk::<8>().map(|(length, rest)| (length, &rest[..rest.len().min(1)]))
            && u64::from_le_bytes(*length) < bytes.len() as u64
        {
            return Self::of_tensors(Safetensors::new(bytes, &options.limits)?);
        }
        // A container may stand behind other bytes: it is found from its end.
        if bytes.starts_with(b"PK") || rawzip::ZipArchive::from_slice(&bytes).is_ok() {
            return open_zip(bytes, options);
        }
        let found = match bytes[..] {
            [] => "an empty file",
            // A flatbuffer's identifier stands behind the offset of its root.
            [_, _, _, _, b'T', b'F', b'L', b'3', ..] => "a TensorFlow Lite file",
            [b'{', ..] => {
                let hint = "open it together with its weights by keras::File::open_parts (bytes: keras::File::from_parts), or save the whole model in Python \
                            with model.save(\"model.keras\")";
                return Err(Problem::Format { found: "JSON text without weights", hint });
            }
            [0x08, ..] | [0x0a, ..] | [0x12, ..] => "perhaps a SavedModel's or ONNX's protocol buffer",
            _ => "neither zip nor HDF5",
        };
        Err(Problem::Format { found, hint: CONVERT })
    }

    /// A folder with the members of a `.keras` file: what `model.save(.., zipped=False)` makes, and unzip.
    pub(super) fn open_folder(path: &Path, options: &Settings) -> Found<Self> {
        if !path.join(CONFIG).is_file() {
            let saved_model = path.join("saved_model.pb").exists();
            let found = if saved_model { "a SavedModel folder" } else { "a folder" };
            return Err(Problem::Format { found, hint: CONVERT });
        }
        if !path.join(WEIGHTS).is_file() {
            return Err(Problem::MissingMember { member: WEIGHTS });
        }
        let metadata = path.join(METADATA);
        let metadata = if metadata.is_file() { Some(read(&metadata, &options.limits)?) } else { None };
        let (config, weights) =
            (read(&path.join(CONFIG), &options.limits)?, read(&path.join(WEIGHTS), &options.limits)?);
        check_digest(&weights, options)?;
        Ok(Parts { metadata, config: Some(config), weights: weights.into(), vocabularies: vec![] })
    }

    /// A model in a safetensors file: its configuration among the metadata, its tensors.
    pub(super) fn of_tensors(file: Safetensors) -> Found<Self> {
        let text = |key: &str| file.metadata().iter().find(|(own, _)| own == key).map(|(_, text)| &text[..]);
        if text("format") != Some("keras") {
            let hint = "of Keras's models, doc/save_with_examples.py makes safetensors files; recurrent::file and \
                        pytorch::File read others";
            return Err(Problem::Format { found: "a safetensors file of something else", hint });
        }
        let need = |key| text(key).ok_or(Problem::MissingMember { member: key });
        let version = serde_json::Value::from(need("keras_version")?);
        let metadata = format!("{{\"keras_version\": {version}}}");
        let config = need("config")?.into();
        let weights = Held::Tensors(file);
        Ok(Parts { metadata: Some(metadata.into()), config: Some(config), weights, vocabularies: vec![] })
    }
}

/// A member of a container: its bytes as they are there, or inflated.
enum Member {
    Stored(Range<usize>),
    Inflated(Vec<u8>),
}

fn open_zip(bytes: Vec<u8>, options: &Settings) -> Found<Parts> {
    let (mut metadata, mut config, mut weights) = (None, None, None);
    let (mut vocabularies, mut room) = (Vec::new(), options.limits.config_bytes);
    let archive = rawzip::ZipArchive::from_slice(&bytes[..]).map_err(damaged)?;
    let mut entries = archive.entries();
    while let Some(entry) = entries.next_entry().map_err(damaged)? {
        // Names are compared only: nothing is ever written to a place that a file names.
        let name = entry.file_path();
        let name: &[u8] = name.as_ref();
        let (slot, name, limit) = match name {
            b"metadata.json" => (&mut metadata, METADATA, options.limits.config_bytes),
            b"config.json" => (&mut config, CONFIG, options.limits.config_bytes),
            b"model.weights.h5" => (&mut weights, WEIGHTS, options.limits.inflated_bytes),
            name if name.starts_with(b"assets/") && name.ends_with(b"/vocabulary.txt") => {
                let Ok(own) = std::str::from_utf8(name) else { continue };
                let (own, content) =
                    (own.to_string(), text(&bytes, member(&bytes, &archive, &entry, ASSET, room)?, ASSET, room)?);
                room -= content.len();
                if vocabularies.iter().any(|(name, _)| *name == own) {
                    return Err(Problem::Zip { reason: format!("there are two members {own}") });
                }
                vocabularies.push((own, content));
                continue;
            }
            _ => continue,
        };
        let member = member(&bytes, &archive, &entry, name, limit)?;
        if slot.replace(member).is_some() {
            return Err(Problem::Zip { reason: format!("there are two members {name}") });
        }
    }
    let missing = |member| Problem::MissingMember { member };
    let config = config.ok_or(missing(CONFIG))?;
    let weights = weights.ok_or(missing(WEIGHTS))?;
    let most = options.limits.config_bytes;
    let metadata = metadata.map(|member| text(&bytes, member, METADATA, most)).transpose()?;
    let config = text(&bytes, config, CONFIG, most)?;
    let weights = match weights {
        Member::Stored(range) => Held::Hdf5 { bytes, range },
        Member::Inflated(inflated) => inflated.into(),
    };
    Ok(Parts { metadata, config: Some(config), weights, vocabularies })
}

/// A member's text.
fn text(bytes: &[u8], member: Member, name: &'static str, most: usize) -> Found<Vec<u8>> {
    match member {
        Member::Stored(range) => {
            within("config_bytes", range.len(), most)?;
            Ok(bytes.get(range).ok_or(Problem::MissingMember { member: name })?.to_vec())
        }
        Member::Inflated(bytes) => Ok(bytes),
    }
}

/// A member, checked.
fn member(
    bytes: &[u8],
    archive: &rawzip::ZipSliceArchive<&[u8]>,
    entry: &rawzip::ZipFileHeaderRecord<'_>,
    name: &'static str,
    limit: usize,
) -> Found<Member> {
    let deflated = match entry.compression_method() {
        rawzip::CompressionMethod::STORE => false,
        rawzip::CompressionMethod::DEFLATE => true,
        _ => return Err(Problem::CompressedMember { member: name.into() }),
    };
    if entry.flags().is_encrypted() {
        return Err(Problem::CompressedMember { member: name.into() });
    }
    let found = archive.get_entry(entry.wayfinder()).map_err(damaged)?;
    let (start, end) = found.compressed_data_range();
    let range = usize::try_from(start).ok().zip(usize::try_from(end).ok()).map(|(start, end)| start..end);
    let data = range.and_then(|range| Some((bytes.get(range.clone())?, range)));
    let (data, range) = data.ok_or_else(|| Problem::Zip { reason: format!("{name} reaches beyond the end") })?;
    let claim = found.claim_verifier();
    let member = unpack(name, data, range, deflated, claim.uncompressed_size, limit)?;
    let content = match &member {
        Member::Stored(_) => data,
        Member::Inflated(bytes) => bytes,
    };
    let given = crc32fast::hash(content);
    if given != claim.crc {
        return Err(Problem::Checksum { member: name.into(), expected: claim.crc, given });
    }
    Ok(member)
}

fn damaged(error: rawzip::Error) -> Problem {
    Problem::Zip { reason: error.to_string() }
}

/// A member of the size that the container claims, which must be within the limit if it is to be inflated.
fn unpack(
    name: &'static str,
    data: &[u8],
    range: Range<usize>,
    deflated: bool,
    claimed: u64,
    limit: usize,
) -> Found<Member> {
    let disagree = || Problem::Zip { reason: format!("the sizes of {name} don't agree") };
    if !deflated {
        return if claimed == data.len() as u64 { Ok(Member::Stored(range)) } else { Err(disagree()) };
    }
    if claimed > limit as u64 {
        let what = if name == WEIGHTS { "inflated_bytes" } else { "config_bytes" };
        return Err(Problem::Limit { what, limit: limit as u64, given: claimed });
    }
    let inflated = usize::try_from(claimed).ok().and_then(|size| inflate(data, Wrapping::Raw, size));
    inflated
        .map(Member::Inflated)
        .ok_or_else(|| Problem::Zip { reason: format!("{name} can't be inflated to its size") })
}

/// JSON text as a value; a byte-order mark is allowed, as in Keras.
pub(super) fn json<'a>(bytes: &'a [u8], member: &'static str, options: &Settings) -> Found<Value<'a>> {
    within("config_bytes", bytes.len(), options.limits.config_bytes)?;
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    Value::read(bytes).map_err(|error| Problem::Json { member, reason: error.to_string() })
}
