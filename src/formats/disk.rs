//! Bytes from a disk, within limits, and onto it.

#[cfg(any(feature = "file", feature = "keras", feature = "onnx", feature = "pytorch"))]
pub(super) use self::whole::write;

use std::fs::File;
use std::io::{self, Read};
#[cfg(feature = "file")]
use std::io::{Seek, SeekFrom};
use std::path::Path;

use super::error::{Found, Problem};
use super::limits::Limits;

/// All bytes of a file, within the limit.
pub(super) fn read(path: &Path, limits: &Limits) -> Found<Vec<u8>> {
    let file = File::open(path).map_err(io)?;
    let length = file.metadata().map_err(io)?.len();
    read_all(file, length, limits)
}

/// All bytes of an open file, which says that it is so long.
fn read_all(file: File, length: u64, limits: &Limits) -> Found<Vec<u8>> {
    check_size(length, limits)?;
    // What isn't an ordinary file may tell no length, or a wrong one.
    let mut bytes = Vec::new();
    let expected = usize::try_from(length).unwrap_or(0);
    bytes.try_reserve_exact(expected).map_err(|_| Problem::Io { reason: format!("no memory for {length} bytes") })?;
    file.take(limits.file_bytes.saturating_add(1)).read_to_end(&mut bytes).map_err(io)?;
    check_size(bytes.len() as u64, limits)?;
    Ok(bytes)
}

/// An ordinary file that is open: bytes are read from it where they are needed.
#[cfg(feature = "file")]
#[derive(Debug)]
pub(super) struct Stored {
    file: File,
    pub(super) length: usize,
}

/// A file whose bytes are to be read.
#[cfg(feature = "file")]
pub(super) enum Opened {
    Stored(Stored),
    /// What isn't an ordinary file is read whole.
    Whole(Vec<u8>),
}

/// Opens a file within the limit.
#[cfg(feature = "file")]
pub(super) fn open(path: &Path, limits: &Limits) -> Found<Opened> {
    let file = File::open(path).map_err(io)?;
    let metadata = file.metadata().map_err(io)?;
    match usize::try_from(metadata.len()) {
        // Some files of the system say that they are empty, and aren't.
        Ok(length) if metadata.is_file() && length > 0 => {
            check_size(metadata.len(), limits)?;
            Ok(Opened::Stored(Stored { file, length }))
        }
        // It isn't opened twice: a pipe gives its bytes once.
        _ => read_all(file, metadata.len(), limits).map(Opened::Whole),
    }
}

#[cfg(feature = "file")]
impl Stored {
    /// Fills the bytes with those of the file from a place on.
    pub(super) fn read(&self, at: usize, bytes: &mut [u8]) -> Found<()> {
        let mut file = &self.file;
        file.seek(SeekFrom::Start(at as u64)).and_then(|_| file.read_exact(bytes)).map_err(io)
    }
}

fn io(error: io::Error) -> Problem {
    Problem::Io { reason: error.to_string() }
}

/// Checks that a file isn't larger than allowed.
pub(super) fn check_size(given: u64, limits: &Limits) -> Found<()> {
    let limit = limits.file_bytes;
    if given > limit { Err(Problem::Limit { what: "file_bytes", limit, given }) } else { Ok(()) }
}

#[cfg(any(feature = "file", feature = "keras", feature = "onnx", feature = "pytorch"))]
mod whole {
    use std::ffi::OsString;
    use std::fs::{self, File};
    use std::io::{self, Write};
    use std::path::{Path, PathBuf};
    use std::sync::atomic::{AtomicU64, Ordering};

    /// Writes a file whole or not at all: to a file beside it, which takes its place once all of it is on the disk. An
    /// interrupted save, a full disk, leave the old file as it was.
    pub(in crate::formats) fn write(
        path: &Path,
        content: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> io::Result<()> {
        // Through a link, so that the link stays one.
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.into());
        if path.is_dir() {
            return Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a folder"));
        }
        // What isn't an ordinary file can't be replaced by one: a device, a pipe.
        if fs::metadata(&path).is_ok_and(|old| !old.is_file()) {
            let mut buffered = io::BufWriter::new(File::options().write(true).open(&path)?);
            content(&mut buffered)?;
            return buffered.flush();
        }
        let (file, beside) = create_beside(&path)?;
        let written = fill(file, &path, content).and_then(|()| fs::rename(&beside, &path));
        if written.is_err() {
            // There is nothing to be done if this fails, too; the first error is the one to tell.
            let _ = fs::remove_file(&beside);
        }
        written
    }

    /// All of the content, and the permissions of the file that it replaces.
    fn fill(mut file: File, old: &Path, content: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
        let mut buffered = io::BufWriter::with_capacity(1 << 16, &mut file);
        content(&mut buffered)?;
        buffered.flush()?;
        drop(buffered);
        if let Ok(old) = fs::metadata(old) {
            file.set_permissions(old.permissions())?;
        }
        file.sync_all()
    }

    /// A new file in the same folder, under a name that nothing has.
    fn create_beside(path: &Path) -> io::Result<(File, PathBuf)> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let name =
            path.file_name().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "it has no file name"))?;
        loop {
            let mut beside = OsString::from(".");
            beside.push(name);
            beside.push(format!(".{}.tmp", COUNT.fetch_add(1, Ordering::Relaxed)));
            let beside = path.with_file_name(beside);
            match File::options().write(true).create_new(true).open(&beside) {
                Ok(file) => return Ok((file, beside)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        /// A folder of the test's own.
        fn folder(name: &str) -> PathBuf {
            let folder = std::env::temp_dir().join(format!("recurrent-{name}-{}", std::process::id()));
            fs::create_dir_all(&folder).expect("a folder");
            folder
        }

        #[test]
        fn whole_or_not_at_all() {
            let folder = folder("whole");
            let path = folder.join("model.safetensors");
            write(&path, |out| out.write_all(b"old")).expect("written");
            let full = |out: &mut dyn Write| {
                out.write_all(&[0; 1 << 17])?;
                Err(io::Error::from(io::ErrorKind::StorageFull))
            };
            assert_eq!(write(&path, full).expect_err("full").kind(), io::ErrorKind::StorageFull);
            assert_eq!(fs::read(&path).expect("still there"), b"old");
            write(&path, |out| out.write_all(b"new")).expect("written");
            assert_eq!(fs::read(&path).expect("there"), b"new");
            assert_eq!(fs::read_dir(&folder).expect("a folder").count(), 1, "nothing is left beside it");
            assert_eq!(write(&folder, |_| Ok(())).expect_err("a folder").kind(), io::ErrorKind::IsADirectory);
            assert!(write(&folder.join("no/model"), |_| Ok(())).is_err());
            fs::remove_dir_all(&folder).expect("removed");
        }
    }
}
