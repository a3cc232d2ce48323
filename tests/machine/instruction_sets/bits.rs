//! The bits of all cases, written down: what a change of the code's shape must leave as it is.
//!
//! `bits.txt` has a line for each case: a hash of its numbers on the sets with fused multiply-add, which all have the
//! same, one on the sets without, and the case's name. A change of bits that is meant belongs into `CHANGELOG.md`; then
//! `RECURRENT_WRITE_BITS=1 cargo test --all-features --test machine instruction_sets` writes the file again, on a
//! machine that has a set of each kind (any x86-64 with AVX2), and the difference of the two files says which cases
//! changed.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::Path;

use super::{Numbered, say, sets};

#[test]
fn the_bits_are_those_written_down() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/machine/instruction_sets/bits.txt");
    let mut text = std::fs::read_to_string(&path).unwrap_or_default();
    if std::env::var_os("RECURRENT_WRITE_BITS").is_some() {
        text = write(&text);
        std::fs::write(&path, &text).expect("a file to write to");
    }
    let written = Written::read(&text);
    for (set, fused, found) in sets() {
        assert_eq!(written.hashes.len(), found.len(), "cases of bits.txt, and of {set}");
        let changed = written.changed(*fused, found);
        assert!(
            changed.is_empty(),
            "{set}: {} of {} cases have other bits than bits.txt. If they are meant to, CHANGELOG.md must say so, and \
             RECURRENT_WRITE_BITS=1 writes the file again. The first of them:\n{}",
            changed.len(),
            found.len(),
            changed[..changed.len().min(10)].join("\n")
        );
    }
    say(&format!("{} cases have the bits that are written down", written.hashes.len()));
}

#[test]
fn a_changed_bit_is_found() {
    let case = |name: &str, bits: &[u64]| Numbered { name: name.into(), tolerance: 0.0, bits: bits.to_vec() };
    let cases = [case("a", &[1, 2, 3]), case("b", &[4])];
    let text = lines(&cases, |case| [hash(case), hash(case)]);
    let written = Written::read(&text);
    assert_eq!(written.changed(true, &cases), Vec::<&str>::new());
    for (bits, name) in [(&[1, 2, 2][..], "a"), (&[2, 1, 3], "a"), (&[1, 2, 3, 0], "a"), (&[1, 2, 3], "another")] {
        assert_eq!(written.changed(false, &[case(name, bits), case("b", &[4])]), [name]);
    }
}

/// The hashes of each case, with and without fused multiply-add, by its name.
struct Written<'a> {
    hashes: HashMap<&'a str, [u64; 2]>,
}

impl<'a> Written<'a> {
    fn read(text: &'a str) -> Self {
        let line = |line: &'a str| {
            let mut fields = line.splitn(3, ' ');
            let mut next = || fields.next().unwrap_or_else(|| panic!("two hashes and a name: {line}"));
            let mut hash = || u64::from_str_radix(next(), 16).unwrap_or_else(|error| panic!("{line}: {error}"));
            let hashes = [hash(), hash()];
            (next(), hashes)
        };
        Written { hashes: text.lines().map(line).collect() }
    }

    /// The names of the cases with other bits.
    fn changed<'n>(&self, fused: bool, found: &'n [Numbered]) -> Vec<&'n str> {
        let same = |case: &&Numbered| {
            self.hashes.get(&*case.name).is_some_and(|hashes| hashes[usize::from(!fused)] == hash(case))
        };
        found.iter().filter(|case| !same(case)).map(|case| &*case.name).collect()
    }
}

/// The file with the hashes of this machine's sets; those of a kind that it lacks stay.
fn write(old: &str) -> String {
    let old = Written::read(old);
    let of = |fused: bool| {
        let found = sets().iter().find(|set| set.1 == fused);
        found.map(|set| set.2.iter().map(|case| (&*case.name, hash(case))).collect::<HashMap<_, _>>())
    };
    let kinds = [of(true), of(false)];
    lines(&sets()[0].2, |case| {
        [0, 1].map(|kind| match &kinds[kind] {
            Some(found) => found[&*case.name],
            None => old.hashes.get(&*case.name).map_or(0, |hashes| hashes[kind]),
        })
    })
}

fn lines(cases: &[Numbered], hashes: impl Fn(&Numbered) -> [u64; 2]) -> String {
    let mut text = String::new();
    for case in cases {
        let [fused, unfused] = hashes(case);
        writeln!(text, "{fused:016x} {unfused:016x} {}", case.name).expect("text");
    }
    text
}

/// FNV-1a over the numbers.
fn hash(case: &Numbered) -> u64 {
    let bytes = case.bits.iter().flat_map(|bits| bits.to_le_bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
