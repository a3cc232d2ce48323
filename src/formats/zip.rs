//! A zip container, written: members as they are, without a date, so that equal content gives equal bytes.

use std::io::{self, Write};

/// A member, written once to tell its size and checksum, and once more into the container.
pub(super) struct Member<'m> {
    pub(super) name: &'static str,
    pub(super) content: &'m dyn Fn(&mut dyn Write) -> io::Result<()>,
}

/// What a container of this form can hold: sizes and places have 32 bits.
const MOST: u64 = u32::MAX as u64;

/// Writes a container with these members, in this order.
///
/// # Errors
/// The writer's, and one for more than 4 GB, which the plain form of zip can't hold.
pub(super) fn write(out: &mut dyn Write, members: &[Member<'_>]) -> io::Result<()> {
    let mut directory = Vec::new();
    let mut at = 0_u64;
    for Member { name, content } in members {
        let mut measure = Measure::default();
        content(&mut measure)?;
        // Those of a member: version 2.0, no flags, as it is, midnight of the first of January of 1980.
        let mut common = vec![20, 0, 0, 0, 0, 0, 0, 0, 0x21, 0];
        common.extend(measure.sum.clone().finalize().to_le_bytes());
        let len = small(measure.len)?.to_le_bytes();
        common.extend([len, len].concat());
        common.extend((name.len() as u16).to_le_bytes());
        // No more about it.
        common.extend([0, 0]);
        let local = [b"PK\x03\x04", &common[..], name.as_bytes()].concat();
        out.write_all(&local)?;
        content(out)?;
        directory.extend(b"PK\x01\x02\x14\0");
        directory.extend(&common);
        // No comment, on the first disk, no attributes.
        directory.extend([0; 10]);
        directory.extend(small(at)?.to_le_bytes());
        directory.extend(name.as_bytes());
        at += local.len() as u64 + measure.len;
    }
    out.write_all(&directory)?;
    let count = (members.len() as u16).to_le_bytes();
    let mut end = b"PK\x05\x06\0\0\0\0".to_vec();
    end.extend([count, count].concat());
    end.extend(small(directory.len() as u64)?.to_le_bytes());
    end.extend(small(at)?.to_le_bytes());
    end.extend([0, 0]);
    out.write_all(&end)
}

fn small(number: u64) -> io::Result<u32> {
    u32::try_from(number).map_err(|_| {
        let reason = format!("a zip container holds {MOST} bytes at most: write the weights alone, with save_weights");
        io::Error::new(io::ErrorKind::FileTooLarge, reason)
    })
}

/// Counts and sums what is written, and keeps nothing.
#[derive(Default)]
struct Measure {
    sum: crc32fast::Hasher,
    len: u64,
}

impl Write for Measure {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.sum.update(bytes);
        self.len += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
