//! A state as bytes, for stores of many.
//!
//! ```text
//! "rstt"              what it is
//! 1 byte              the version of the format: 1
//! 1 byte              the bytes of a number: 4 or 8
//! count               rows
//! count               parts; of each:
//!   count, name       the length of the name, and the name in UTF-8
//!   count             columns
//! numbers             row by row, the lowest byte first
//! ```
//!
//! A count is written in groups of seven bits, the lowest first, the highest bit set in all bytes but the last.

use super::{State, StateLayout};
use crate::error::{Error, Result};
use crate::float::Float;
use crate::memory;

const MAGIC: &[u8; 4] = b"rstt";
const VERSION: u8 = 1;

impl<T: Float> State<T> {
    /// The state as bytes: the names and widths of its parts, then its numbers, bit for bit. A stream that is given the
    /// state again, in this process or another, goes on as if it had never stopped.
    ///
    /// Of one row and a few parts it is some 20 bytes more than the numbers. (As a file for people and other programs,
    /// there is `file::save`.)
    ///
    /// ```
    /// use recurrent::{Gru, State, Stream};
    /// let gru = Gru::<f32>::new(8, 16);
    /// let mut stream = Stream::new(&gru, 1)?;
    /// stream.step_one(&[0.5; 8])?;
    /// let bytes = stream.state().to_bytes();
    /// let mut later = Stream::new(&gru, 1)?;
    /// later.set_state(&State::from_bytes(&bytes)?)?;
    /// assert_eq!(later.step_one(&[0.25; 8])?, stream.step_one(&[0.25; 8])?);
    /// # Ok::<(), recurrent::Error>(())
    /// ```
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend([VERSION, size_of::<T>() as u8]);
        let count = |bytes: &mut Vec<u8>, mut count: usize| {
            while count >= 0x80 {
                bytes.push(count as u8 | 0x80);
                count >>= 7;
            }
            bytes.push(count as u8);
        };
        count(&mut bytes, self.batch);
        count(&mut bytes, self.layout.parts.len());
        for (name, width) in &self.layout.parts {
            count(&mut bytes, name.len());
            bytes.extend_from_slice(name.as_bytes());
            count(&mut bytes, *width);
        }
        bytes.reserve_exact(size_of_val(&self.values[..]));
        T::push_le_bytes(&self.values, &mut bytes);
        bytes
    }

    /// The state that [`to_bytes`](State::to_bytes) wrote. All of it is checked; nothing is allocated that the bytes don't
    /// back. Whether it is a layer's is asked where it is used: a stream refuses another layout by name.
    ///
    /// # Errors
    /// [`Error::StateBytes`] says what is wrong: of another float type, of a newer version, cut off.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let rest = bytes.strip_prefix(MAGIC).ok_or_else(|| wrong("they aren't a state's"))?;
        let (&[version, size], mut rest) = rest.split_first_chunk().ok_or_else(cut_off)?;
        if version != VERSION {
            return Err(wrong(&format!("their format is version {version}, and this crate reads {VERSION}")));
        }
        match (size, size_of::<T>()) {
            (4, 4) | (8, 8) => {}
            (4, _) => return Err(wrong("they hold numbers of f32: read them as State<f32>")),
            (8, _) => return Err(wrong("they hold numbers of f64: read them as State<f64>")),
            _ => return Err(wrong("they hold numbers that are neither f32 nor f64")),
        }
        let rows = take_count(&mut rest)?;
        let mut parts = Vec::new();
        let mut width = 0;
        for _ in 0..take_count(&mut rest)? {
            let length = take_count(&mut rest)?;
            let (name, behind) = rest.split_at_checked(length).ok_or_else(cut_off)?;
            rest = behind;
            let name = std::str::from_utf8(name).map_err(|_| wrong("the name of a part isn't text"))?;
            let own = take_count(&mut rest)?;
            width = memory::add_width("state", width, own)?;
            parts.push((name, own));
        }
        let expected = memory::product(&[rows, width, size_of::<T>()]);
        if expected != Some(rest.len()) {
            let expected = expected.map_or("too many to count".into(), |expected| expected.to_string());
            return Err(wrong(&format!("the numbers take {expected} bytes, and there are {}", rest.len())));
        }
        State::of_values(StateLayout::new(parts), rows, &T::from_le_bytes(rest))
    }
}

/// A count, in as few bytes as it can be written in.
fn take_count(rest: &mut &[u8]) -> Result<usize> {
    let mut count = 0;
    for shift in (0..usize::BITS).step_by(7) {
        let (&byte, behind) = rest.split_first().ok_or_else(cut_off)?;
        *rest = behind;
        let bits = usize::from(byte & 0x7f);
        if bits << shift >> shift != bits || byte == 0 && shift > 0 {
            break;
        }
        count |= bits << shift;
        if byte & 0x80 == 0 {
            return Ok(count);
        }
    }
    Err(wrong("a count isn't one"))
}

fn cut_off() -> Error {
    wrong("they are cut off")
}

fn wrong(reason: &str) -> Error {
    Error::StateBytes { reason: reason.into() }
}
