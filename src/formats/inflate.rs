//! Inflating, without trust in how much comes out.

use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::{
    TINFL_FLAG_COMPUTE_ADLER32, TINFL_FLAG_PARSE_ZLIB_HEADER, TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF,
};
use miniz_oxide::inflate::core::{DecompressorOxide, decompress};

/// What stands before and behind the deflated bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wrapping {
    /// Nothing: a member of a zip container.
    Raw,
    /// A zlib header and a checksum: a chunk of HDF5.
    Zlib,
}

/// Inflates bytes that must give exactly `expected` bytes; `None` if they are damaged or give more or fewer.
///
/// Memory grows with what has come out, never by `expected` alone, which is a number from the file.
pub(super) fn inflate(bytes: &[u8], wrapping: Wrapping, expected: usize) -> Option<Vec<u8>> {
    let flags = TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF
        | match wrapping {
            Wrapping::Raw => 0,
            Wrapping::Zlib => TINFL_FLAG_PARSE_ZLIB_HEADER | TINFL_FLAG_COMPUTE_ADLER32,
        };
    let mut state = Box::<DecompressorOxide>::default();
    let mut out = Vec::new();
    grow(&mut out, bytes.len().saturating_mul(2).clamp(64, expected.max(64)).min(expected))?;
    let (mut read, mut written) = (0, 0);
    loop {
        let (status, taken, given) = decompress(&mut state, bytes.get(read..)?, &mut out, written, flags);
        read += taken;
        written += given;
        match status {
            TINFLStatus::Done if written == expected && read == bytes.len() => {
                out.truncate(written);
                return Some(out);
            }
            TINFLStatus::HasMoreOutput if out.len() < expected => {
                let size = out.len().saturating_mul(2).min(expected);
                grow(&mut out, size)?;
            }
            _ => return None,
        }
    }
}

fn grow(out: &mut Vec<u8>, size: usize) -> Option<()> {
    out.try_reserve_exact(size - out.len()).ok()?;
    out.resize(size, 0);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_what_is_expected() {
        // Python's zlib.compress(b"ab" * 1000).
        let zlib: [u8; 24] = [
            0x78, 0x9c, 0x4b, 0x4c, 0x4a, 0x1c, 0x85, 0xa3, 0x70, 0x14, 0x8e, 0xc2, 0x51, 0x38, 0x0a, 0x47, 0xe1, 0x10,
            0x87, 0x00, 0xa7, 0xe7, 0xf9, 0xd7,
        ];
        let raw = &zlib[2..zlib.len() - 4];
        let whole = b"ab".repeat(1000);
        assert_eq!(inflate(&zlib, Wrapping::Zlib, 2000).as_ref(), Some(&whole));
        assert_eq!(inflate(raw, Wrapping::Raw, 2000), Some(whole));
        for wrong in [0, 1, 1999, 2001, usize::MAX] {
            assert_eq!(inflate(&zlib, Wrapping::Zlib, wrong), None);
            assert_eq!(inflate(raw, Wrapping::Raw, wrong), None);
        }
        // Cut short, continued, with another checksum.
        assert_eq!(inflate(&zlib[..zlib.len() - 1], Wrapping::Zlib, 2000), None);
        assert_eq!(inflate(&[&zlib[..], &[0]].concat(), Wrapping::Zlib, 2000), None);
        let mut changed = zlib;
        changed[zlib.len() - 1] ^= 1;
        assert_eq!(inflate(&changed, Wrapping::Zlib, 2000), None);
        assert_eq!(inflate(&[], Wrapping::Raw, 0), None);
    }
}
