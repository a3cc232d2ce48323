//! Bytes from a disk, within limits.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::error::{Found, Problem};
use super::limits::Limits;

/// All bytes of a file, within the limit.
pub(super) fn read(path: &Path, limits: &Limits) -> Found<Vec<u8>> {
    let io = |error: io::Error| Problem::Io { reason: error.to_string() };
    let file = File::open(path).map_err(io)?;
    let length = file.metadata().map_err(io)?.len();
    check_size(length, limits)?;
    // What isn't an ordinary file may tell no length, or a wrong one.
    let mut bytes = Vec::new();
    let expected = usize::try_from(length).unwrap_or(0);
    bytes.try_reserve_exact(expected).map_err(|_| Problem::Io { reason: format!("no memory for {length} bytes") })?;
    file.take(limits.file_bytes.saturating_add(1)).read_to_end(&mut bytes).map_err(io)?;
    check_size(bytes.len() as u64, limits)?;
    Ok(bytes)
}

/// That a file isn't larger than allowed.
pub(super) fn check_size(given: u64, limits: &Limits) -> Found<()> {
    let limit = limits.file_bytes;
    if given > limit { Err(Problem::Limit { what: "file_bytes", limit, given }) } else { Ok(()) }
}
