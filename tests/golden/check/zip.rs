//! Takes zip files apart.

/// The members of a zip file that stores them.
pub fn members(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let number =
        |at: usize, width: usize| (0..width).rev().fold(0_usize, |number, i| number << 8 | usize::from(bytes[at + i]));
    let mut members = Vec::new();
    let mut at = 0;
    while bytes.get(at..at + 4) == Some(b"PK\x03\x04") {
        let (size, name, extra) = (number(at + 18, 4), number(at + 26, 2), number(at + 28, 2));
        let start = at + 30 + name + extra;
        let text = String::from_utf8(bytes[at + 30..at + 30 + name].to_vec()).unwrap();
        members.push((text, bytes[start..start + size].to_vec()));
        at = start + size;
    }
    members
}
