//! Protobuf's wire format: fields by their numbers, one after the other.
//!
//! A message is a list of fields, each a number, a kind and a value: a whole number of up to ten bytes, four or eight
//! bytes, or a length and as many bytes, which are a text, a message within or packed numbers. A reader of its own: what
//! ONNX needs of protobuf is this file, while a crate would bring a generator, its runtime and messages that copy every
//! weight.

use crate::formats::error::{Found, Problem};

/// The fields of a message.
#[derive(Debug, Clone)]
pub(super) struct Fields<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Where in the file the message begins, for messages.
    start: usize,
}

/// The value of a field.
#[derive(Debug, Clone)]
pub(super) enum Field<'a> {
    Whole(u64),
    Eight([u8; 8]),
    Four([u8; 4]),
    /// A text, numbers or a message, and where in the file it begins.
    Bytes(&'a [u8], usize),
}

/// How deep groups may stand within groups: an old kind of field that ONNX doesn't have.
const MOST_GROUPS: usize = 16;

impl<'a> Fields<'a> {
    /// Of the message that is the whole file.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Fields { bytes, at: 0, start: 0 }
    }

    /// The next field; those of the old kind of groups, which are skipped, aside.
    pub(super) fn next(&mut self) -> Found<Option<(u64, Field<'a>)>> {
        while self.at < self.bytes.len() {
            if let Some(field) = self.field(0)? {
                return Ok(Some(field));
            }
        }
        Ok(None)
    }

    /// A field, or nothing where a group was skipped.
    fn field(&mut self, groups: usize) -> Found<Option<(u64, Field<'a>)>> {
        let tag = self.whole()?;
        let (number, kind) = (tag >> 3, tag & 7);
        if number == 0 || number >= 1 << 29 {
            return Err(self.damaged("a field has a number that can't be"));
        }
        let value = match kind {
            0 => Field::Whole(self.whole()?),
            1 => Field::Eight(self.array()?),
            2 => {
                let length = self.whole()?;
                let length = usize::try_from(length).ok().filter(|&length| length <= self.bytes.len() - self.at);
                let length = length.ok_or_else(|| self.damaged("a field is longer than what it stands in"))?;
                let start = self.start + self.at;
                self.at += length;
                Field::Bytes(&self.bytes[self.at - length..self.at], start)
            }
            3 => {
                self.skip_group(number, groups)?;
                return Ok(None);
            }
            5 => Field::Four(self.array()?),
            _ => return Err(self.damaged("a field is of a kind that isn't one")),
        };
        Ok(Some((number, value)))
    }

    /// Skips all fields up to the group's end.
    fn skip_group(&mut self, group: u64, groups: usize) -> Found<()> {
        if groups >= MOST_GROUPS {
            return Err(self.damaged("groups stand too deep in groups"));
        }
        loop {
            if self.at >= self.bytes.len() {
                return Err(self.damaged("a group has no end"));
            }
            let before = self.at;
            let tag = self.whole()?;
            if tag & 7 == 4 {
                return if tag >> 3 == group { Ok(()) } else { Err(self.damaged("a group ends in another one")) };
            }
            self.at = before;
            self.field(groups + 1)?;
        }
    }

    /// A whole number: seven bits of each byte, the lowest first.
    fn whole(&mut self) -> Found<u64> {
        let mut value = 0;
        for place in 0..10 {
            let Some(&byte) = self.bytes.get(self.at) else { return Err(self.damaged("it ends within a number")) };
            self.at += 1;
            // Of the tenth byte only one bit is left.
            value |= u64::from(byte & 0x7f).checked_shl(7 * place).unwrap_or(0);
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(self.damaged("a number has more than ten bytes"))
    }

    fn array<const N: usize>(&mut self) -> Found<[u8; N]> {
        let array = self.bytes[self.at..].first_chunk::<N>().copied();
        self.at += N;
        array.ok_or_else(|| self.damaged("it ends within a field"))
    }

    fn damaged(&self, reason: &'static str) -> Problem {
        Problem::Protobuf { at: (self.start + self.at) as u64, reason }
    }
}

impl<'a> Field<'a> {
    /// The fields of a message within.
    pub(super) fn message(&self) -> Found<Fields<'a>> {
        let (bytes, start) = self.bytes()?;
        Ok(Fields { bytes, at: 0, start })
    }

    /// The bytes, and where they begin.
    pub(super) fn bytes(&self) -> Found<(&'a [u8], usize)> {
        match *self {
            Field::Bytes(bytes, start) => Ok((bytes, start)),
            _ => Err(wrong("a number stands where a text or a message must be")),
        }
    }

    pub(super) fn text(&self) -> Found<String> {
        let (bytes, start) = self.bytes()?;
        let text = std::str::from_utf8(bytes).map(String::from);
        text.map_err(|_| Problem::Protobuf { at: start as u64, reason: "a text isn't UTF-8" })
    }

    /// A whole number, which may be negative.
    pub(super) fn integer(&self) -> Found<i64> {
        match *self {
            Field::Whole(value) => Ok(value.cast_signed()),
            _ => Err(wrong("something else stands where a whole number must be")),
        }
    }

    pub(super) fn float(&self) -> Found<f32> {
        match *self {
            Field::Four(bytes) => Ok(f32::from_le_bytes(bytes)),
            _ => Err(wrong("something else stands where a number of four bytes must be")),
        }
    }

    /// Adds whole numbers: one, or many that are packed.
    pub(super) fn add_integers(&self, to: &mut Vec<i64>) -> Found<()> {
        if let Field::Bytes(bytes, start) = *self {
            let mut packed = Fields { bytes, at: 0, start };
            while packed.at < bytes.len() {
                to.push(packed.whole()?.cast_signed());
            }
            return Ok(());
        }
        to.push(self.integer()?);
        Ok(())
    }

    /// Adds numbers of four bytes: one, or many that are packed.
    pub(super) fn add_floats(&self, to: &mut Vec<f32>) -> Found<()> {
        match *self {
            Field::Bytes(bytes, start) => {
                let (all, rest) = bytes.as_chunks::<4>();
                to.extend(all.iter().map(|&bytes| f32::from_le_bytes(bytes)));
                whole_ones(rest, start)
            }
            _ => {
                to.push(self.float()?);
                Ok(())
            }
        }
    }

    /// Adds numbers of eight bytes: one, or many that are packed.
    pub(super) fn add_doubles(&self, to: &mut Vec<f64>) -> Found<()> {
        match *self {
            Field::Bytes(bytes, start) => {
                let (all, rest) = bytes.as_chunks::<8>();
                to.extend(all.iter().map(|&bytes| f64::from_le_bytes(bytes)));
                whole_ones(rest, start)
            }
            Field::Eight(bytes) => {
                to.push(f64::from_le_bytes(bytes));
                Ok(())
            }
            _ => Err(wrong("something else stands where a number of eight bytes must be")),
        }
    }
}

fn whole_ones(rest: &[u8], start: usize) -> Found<()> {
    match rest.is_empty() {
        true => Ok(()),
        false => Err(Problem::Protobuf { at: start as u64, reason: "packed numbers end within one" }),
    }
}

fn wrong(reason: &'static str) -> Problem {
    Problem::Protobuf { at: 0, reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8]) -> Found<Vec<(u64, String)>> {
        let (mut fields, mut all) = (Fields::new(bytes), Vec::new());
        while let Some((number, field)) = fields.next()? {
            all.push((number, format!("{field:?}")));
        }
        Ok(all)
    }

    #[test]
    fn each_kind_of_field() {
        let bytes = [
            &[0x08, 0x96, 0x01][..], // the example of protobuf's documentation: field 1 is 150
            &[0x12, 0x07, 0x74, 0x65, 0x73, 0x74, 0x69, 0x6e, 0x67], // field 2 is "testing"
            &[0x1d, 0, 0, 0x80, 0x3f],
            &[0x21, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f],
            &[0x2b, 0x08, 0x01, 0x33, 0x34, 0x2c], // a group with a group inside
            &[0x30, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
        ]
        .concat();
        let found = all(&bytes).expect("sound");
        assert_eq!(found.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [1, 2, 3, 4, 6]);
        assert!(found[0].1.contains("150") && found[4].1.contains(&u64::MAX.to_string()), "{found:?}");
        for cut in 1..bytes.len() {
            let whole = [3, 12, 17, 26, 32].contains(&cut);
            assert_eq!(all(&bytes[..cut]).is_ok(), whole, "{cut}");
        }
    }

    #[test]
    fn what_cant_be() {
        for bytes in [
            &[0x00, 0x01][..],                                                               // number 0
            &[0x0f, 0x01],                                                                   // kind 7
            &[0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],             // a length without bytes
            &[0x08, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01], // more than ten bytes
            &[0x0c],                                                                         // an end without a group
            &[0x0b, 0x14],                                                                   // the end of another group
            &[0x0b; 40],                                                                     // too deep
        ] {
            assert!(matches!(all(bytes), Err(Problem::Protobuf { .. })), "{bytes:?}");
        }
    }

    #[test]
    fn packed_and_not() {
        let mut numbers = Vec::new();
        for bytes in [&[0x0a, 0x03, 0x05, 0x96, 0x01][..], &[0x08, 0x07]] {
            let (_, field) = Fields::new(bytes).next().expect("sound").expect("one");
            field.add_integers(&mut numbers).expect("sound");
        }
        assert_eq!(numbers, [5, 150, 7]);
        let (_, field) = Fields::new(&[0x0a, 0x03, 0, 0, 0]).next().expect("sound").expect("one");
        assert!(field.add_floats(&mut Vec::new()).is_err() && field.add_doubles(&mut Vec::new()).is_err());
    }
}
