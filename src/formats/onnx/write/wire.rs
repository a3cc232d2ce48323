//! Protobuf's wire format, written: what [`protobuf`](super::super::protobuf) reads.

/// The fields of a message, one after the other.
#[derive(Debug, Clone, Default)]
pub(super) struct Message(Vec<u8>);

impl Message {
    pub(super) fn new() -> Self {
        Message::default()
    }

    /// A whole number; those below zero take ten bytes.
    pub(super) fn whole(mut self, field: u64, value: i64) -> Self {
        self.number(field << 3);
        self.number(value.cast_unsigned());
        self
    }

    /// A number of four bytes.
    pub(super) fn float(mut self, field: u64, value: f32) -> Self {
        self.number(field << 3 | 5);
        self.0.extend(value.to_le_bytes());
        self
    }

    pub(super) fn text(self, field: u64, text: &str) -> Self {
        self.bytes(field, text.as_bytes())
    }

    pub(super) fn message(self, field: u64, message: &Message) -> Self {
        self.bytes(field, &message.0)
    }

    pub(super) fn bytes(mut self, field: u64, bytes: &[u8]) -> Self {
        self.number(field << 3 | 2);
        self.number(bytes.len() as u64);
        self.0.extend(bytes);
        self
    }

    /// The same of each.
    pub(super) fn all<V>(self, values: impl IntoIterator<Item = V>, add: impl Fn(Self, V) -> Self) -> Self {
        values.into_iter().fold(self, add)
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// Seven bits in each byte, the lowest first.
    fn number(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::protobuf::Fields;
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let inner = Message::new().whole(1, 150).whole(2, -1);
        let bytes = Message::new().message(3, &inner).text(4, "testing").float(5, 0.5).into_bytes();
        let mut fields = Fields::new(&bytes);
        let (number, field) = fields.next().expect("sound").expect("one");
        let mut within = field.message().expect("a message");
        let mut whole = || within.next().expect("sound").expect("one").1.integer().expect("a number");
        assert_eq!((number, whole(), whole()), (3, 150, -1));
        assert_eq!(fields.next().expect("sound").expect("one").1.text(), Ok("testing".into()));
        assert_eq!(fields.next().expect("sound").expect("one").1.float(), Ok(0.5));
        assert_eq!(fields.next().map(|field| field.is_none()), Ok(true));
    }
}
