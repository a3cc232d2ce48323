//! From bytes on a disk to the parts of a model file.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::Options;
use crate::interchange::error::{Found, Problem, within};
use crate::interchange::hdf5::Hdf5;

const CONFIG: &str = "config.json";
const METADATA: &str = "metadata.json";
const WEIGHTS: &str = "model.weights.h5";

/// All bytes of a file, within the limit, with the expected digest.
pub(super) fn read(path: &Path, options: &Options) -> Found<Vec<u8>> {
    let io = |error: std::io::Error| Problem::Io { reason: error.to_string() };
    if path.is_dir() {
        let saved_model = path.join("saved_model.pb").exists();
        let found = if saved_model { "a SavedModel folder" } else { "a folder" };
        return Err(Problem::Format { found, hint: CONVERT });
    }
    let file = File::open(path).map_err(io)?;
    let limit = options.limits.file_bytes;
    let length = file.metadata().map_err(io)?.len();
    let refuse = |given| Err(Problem::Limit { what: "file_bytes", limit, given });
    if length > limit {
        return refuse(length);
    }
    // What isn't an ordinary file may tell no length, or a wrong one.
    let mut bytes = Vec::new();
    let expected = usize::try_from(length).unwrap_or(0);
    bytes.try_reserve_exact(expected).map_err(|_| Problem::Io { reason: format!("no memory for {length} bytes") })?;
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(io)?;
    if bytes.len() as u64 > limit {
        return refuse(bytes.len() as u64);
    }
    Ok(bytes)
}

const CONVERT: &str = "save the model in Python with model.save(\"model.keras\"), or as \"model.h5\" in Keras 2";

const FROM_PARTS: &str = "give it and the bytes of its .weights.h5 to keras::File::from_parts, or save the whole model in \
    Python with model.save(\"model.keras\")";

/// That the bytes have the digest that the caller expects.
pub(super) fn check_digest(bytes: &[u8], options: &Options) -> Found<()> {
    let Some(expected) = &options.sha256 else { return Ok(()) };
    let given: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    if given.eq_ignore_ascii_case(expected.trim()) {
        return Ok(());
    }
    Err(Problem::Digest { expected: expected.clone(), given })
}

/// The parts of a model file.
pub(super) enum Parts<'a> {
    /// A `.keras` file.
    Keras3 { metadata: Option<&'a [u8]>, config: &'a [u8], weights: &'a [u8] },
    /// An HDF5 file: a legacy model or weights alone.
    Hdf5(&'a [u8]),
}

/// Tells what the bytes are and takes them apart.
pub(super) fn open(bytes: &[u8]) -> Found<Parts<'_>> {
    if bytes.starts_with(&Hdf5::SIGNATURE) {
        return Ok(Parts::Hdf5(bytes));
    }
    if bytes.starts_with(b"PK") {
        return open_zip(bytes);
    }
    let found = match bytes {
        [] => "an empty file",
        // A flatbuffer's identifier stands behind the offset of its root.
        [_, _, _, _, b'T', b'F', b'L', b'3', ..] => "a TensorFlow Lite file",
        [b'{', ..] => "JSON text without weights",
        [0x08, ..] | [0x0a, ..] | [0x12, ..] => "perhaps a SavedModel's or ONNX's protocol buffer",
        _ => "neither zip nor HDF5",
    };
    let hint = if bytes.starts_with(b"{") { FROM_PARTS } else { CONVERT };
    Err(Problem::Format { found, hint })
}

fn open_zip(bytes: &[u8]) -> Found<Parts<'_>> {
    let (mut metadata, mut config, mut weights) = (None, None, None);
    let zip = |error: rawzip::Error| Problem::Zip { reason: error.to_string() };
    let archive = rawzip::ZipArchive::from_slice(bytes).map_err(zip)?;
    let mut entries = archive.entries();
    while let Some(entry) = entries.next_entry().map_err(zip)? {
        // Names are compared only: nothing is ever written to a place that a file names.
        let name = entry.file_path();
        let name: &[u8] = name.as_ref();
        let (slot, name) = match name {
            b"metadata.json" => (&mut metadata, METADATA),
            b"config.json" => (&mut config, CONFIG),
            b"model.weights.h5" => (&mut weights, WEIGHTS),
            _ => continue,
        };
        let stored = entry.compression_method() == rawzip::CompressionMethod::STORE;
        let encrypted = entry.flags().is_encrypted();
        if !stored || encrypted {
            return Err(Problem::CompressedMember { member: name.into() });
        }
        let member = archive.get_entry(entry.wayfinder()).map_err(zip)?;
        let (start, end) = member.compressed_data_range();
        let range = usize::try_from(start).ok().zip(usize::try_from(end).ok());
        let data = range.and_then(|(start, end)| bytes.get(start..end));
        let data = data.ok_or_else(|| Problem::Zip { reason: format!("{name} reaches beyond the end") })?;
        let claim = member.claim_verifier();
        if claim.uncompressed_size != data.len() as u64 {
            return Err(Problem::Zip { reason: format!("the sizes of {name} don't agree") });
        }
        let given = crc32fast::hash(data);
        if given != claim.crc {
            return Err(Problem::Checksum { member: name.into(), expected: claim.crc, given });
        }
        if slot.replace(data).is_some() {
            return Err(Problem::Zip { reason: format!("there are two members {name}") });
        }
    }
    let missing = |member| Problem::MissingMember { member };
    let config = config.ok_or(missing(CONFIG))?;
    Ok(Parts::Keras3 { metadata, config, weights: weights.ok_or(missing(WEIGHTS))? })
}

/// JSON text as a value; a byte-order mark is allowed, as in Keras.
pub(super) fn json(bytes: &[u8], member: &'static str, options: &Options) -> Found<serde_json::Value> {
    within("config_bytes", bytes.len(), options.limits.config_bytes)?;
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    serde_json::from_slice(bytes).map_err(|error| Problem::Json { member, reason: error.to_string() })
}
