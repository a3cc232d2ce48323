//! HDF5 data, written: groups and tensors of floats or bytes, in the newest simple form, which HDF5 reads since 1.8.
//!
//! ```text
//! superblock (version 2) -> object header of the root group
//! object headers (version 2), each before those of its members
//!   group:    link info (nothing in heaps), group info, a link message for each member
//!   dataset:  dataspace, datatype, fill value (none), data layout (contiguous)
//! the tensors' bytes, in the order of their headers
//! ```
//!
//! All addresses follow from names and shapes, so that everything is written once, from the first byte to the last:
//! equal content gives equal bytes.

use std::io::{self, Write};

use ndarray::{ArrayD, ArrayViewD, CowArray, IxDyn};

use super::lookup3::lookup3;
use crate::float::Float;

/// What is written under a name.
#[derive(Debug)]
pub(crate) enum Node<'a, T> {
    /// Members by their names, which must differ.
    Group(Vec<(String, Node<'a, T>)>),
    /// A tensor.
    Dataset(Tensor<'a, T>),
}

/// The numbers of a tensor.
#[derive(Debug, Clone)]
pub(crate) enum Tensor<'a, T> {
    Floats(CowArray<'a, T, IxDyn>),
    Bytes(ArrayD<i8>),
}

impl<T: Float> Tensor<'_, T> {
    fn shape(&self) -> &[usize] {
        match self {
            Tensor::Floats(array) => array.shape(),
            Tensor::Bytes(array) => array.shape(),
        }
    }

    /// How many bytes they take.
    fn size(&self) -> usize {
        match self {
            Tensor::Floats(array) => array.len() * size_of::<T>(),
            Tensor::Bytes(array) => array.len(),
        }
    }

    fn datatype(&self) -> Vec<u8> {
        match self {
            Tensor::Floats(_) => float_type::<T>().to_vec(),
            Tensor::Bytes(_) => BYTE_TYPE.to_vec(),
        }
    }

    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        match self {
            Tensor::Floats(array) => array.iter().try_for_each(|value| value.write_le_bytes(out)),
            Tensor::Bytes(array) => array.iter().try_for_each(|value| out.write_all(&value.to_le_bytes())),
        }
    }
}

/// Where nothing is.
const UNDEFINED: u64 = u64::MAX;

const SUPERBLOCK: usize = 48;

/// What stands around the messages of a header: signature, version, flags, their size, the checksum.
const AROUND: usize = 4 + 1 + 1 + 4 + 4;

/// The type, the size and the flags of a message.
const MESSAGE: usize = 4;

/// What stands around the name in a link message: version, flags, character set, the name's length, the address.
const LINK: usize = 1 + 1 + 1 + 2 + 8;

impl<'a, T: Float> Node<'a, T> {
    /// A group without members.
    pub(crate) fn empty() -> Self {
        Node::Group(Vec::new())
    }

    /// Puts a tensor at a path, through groups that are made where they aren't there yet.
    pub(crate) fn put(&mut self, path: &str, tensor: ArrayViewD<'a, T>) {
        self.put_tensor(path, Tensor::Floats(tensor.into()));
    }

    /// The same of a tensor that is this one's own.
    pub(crate) fn put_owned(&mut self, path: &str, tensor: ArrayD<T>) {
        self.put_tensor(path, Tensor::Floats(tensor.into()));
    }

    /// The same of any tensor.
    pub(crate) fn put_tensor(&mut self, path: &str, tensor: Tensor<'a, T>) {
        let (name, rest) = path.split_once('/').map_or((path, None), |(name, rest)| (name, Some(rest)));
        let Node::Group(members) = self else { return };
        match rest {
            None => members.push((name.into(), Node::Dataset(tensor))),
            Some(rest) => {
                // What is put one after another stands together.
                let at = members.iter().rposition(|(own, _)| own == name).unwrap_or_else(|| {
                    members.push((name.into(), Node::empty()));
                    members.len() - 1
                });
                members[at].1.put_tensor(rest, tensor);
            }
        }
    }

    /// Writes it as a whole file.
    ///
    /// # Errors
    /// The writer's; a name longer than HDF5 can have.
    pub(crate) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let headers = self.headers_len();
        let start = (SUPERBLOCK + headers) as u64;
        let mut data = Vec::new();
        self.data_lens(&mut data);
        let end = data.iter().fold(start, |end, len| end + len);
        let mut superblock = Vec::with_capacity(SUPERBLOCK);
        superblock.extend(super::Hdf5::SIGNATURE);
        // The version, the sizes of addresses and lengths, no flags.
        superblock.extend([2, 8, 8, 0]);
        for address in [0, UNDEFINED, end, SUPERBLOCK as u64] {
            superblock.extend(address.to_le_bytes());
        }
        checked(out, superblock)?;
        self.write_headers(out, SUPERBLOCK as u64, &mut Places { next: start })?;
        self.write_data(out)
    }

    /// How long its own header is.
    fn header_len(&self) -> usize {
        AROUND
            + match self {
                Node::Group(members) => {
                    let links = members.iter().map(|(name, _)| MESSAGE + LINK + name.len());
                    2 * MESSAGE + 18 + 2 + links.sum::<usize>()
                }
                Node::Dataset(tensor) => 4 * MESSAGE + 4 + 8 * tensor.shape().len() + tensor.datatype().len() + 2 + 18,
            }
    }

    /// How long the headers are, those of all members included.
    fn headers_len(&self) -> usize {
        self.header_len()
            + match self {
                Node::Group(members) => members.iter().map(|(_, member)| member.headers_len()).sum(),
                Node::Dataset(_) => 0,
            }
    }

    fn data_lens(&self, lens: &mut Vec<u64>) {
        match self {
            Node::Group(members) => members.iter().for_each(|(_, member)| member.data_lens(lens)),
            Node::Dataset(tensor) => lens.push(tensor.size() as u64),
        }
    }

    fn write_headers(&self, out: &mut dyn Write, address: u64, places: &mut Places) -> io::Result<()> {
        let mut messages = Messages::default();
        let mut members_at = Vec::new();
        match self {
            Node::Group(members) => {
                // Neither a heap of links nor an index of one.
                messages.add(0x02, &[&[0, 0][..], &UNDEFINED.to_le_bytes(), &UNDEFINED.to_le_bytes()]);
                messages.add(0x0a, &[&[0, 0]]);
                let mut next = address + self.header_len() as u64;
                for (name, member) in members {
                    members_at.push(next);
                    let len = u16::try_from(name.len()).ok().filter(|&len| usize::from(len) + LINK <= 0xffff);
                    let len = len.ok_or_else(|| io::Error::other("a name is longer than HDF5 can have"))?;
                    // The name's length has two bytes, and the name is UTF-8.
                    let start = [1, 0x11, 1];
                    messages.add(0x06, &[&start[..], &len.to_le_bytes(), name.as_bytes(), &next.to_le_bytes()]);
                    next += member.headers_len() as u64;
                }
            }
            Node::Dataset(tensor) => {
                let shape: Vec<u8> = tensor.shape().iter().flat_map(|&size| (size as u64).to_le_bytes()).collect();
                let rank = tensor.shape().len() as u8;
                messages.add(0x01, &[&[2, rank, 0, u8::from(rank > 0)][..], &shape]);
                messages.add(0x03, &[&tensor.datatype()]);
                messages.add(0x05, &[&[3, 0x0a]]);
                let (place, len) = places.take(tensor.size());
                messages.add(0x08, &[&[3, 1][..], &place.to_le_bytes(), &len.to_le_bytes()]);
            }
        }
        let mut header = Vec::with_capacity(self.header_len());
        header.extend(b"OHDR");
        // The version; the messages' size has four bytes.
        header.extend([2, 2]);
        let len = u32::try_from(messages.0.len()).map_err(|_| io::Error::other("a group has too many members"))?;
        header.extend(len.to_le_bytes());
        header.extend(messages.0);
        checked(out, header)?;
        match self {
            Node::Group(members) => members
                .iter()
                .zip(members_at)
                .try_for_each(|((_, member), address)| member.write_headers(out, address, places)),
            Node::Dataset(_) => Ok(()),
        }
    }

    fn write_data(&self, out: &mut dyn Write) -> io::Result<()> {
        match self {
            Node::Group(members) => members.iter().try_for_each(|(_, member)| member.write_data(out)),
            Node::Dataset(tensor) => tensor.write(out),
        }
    }
}

/// Places for the tensors' bytes, one behind the other.
struct Places {
    next: u64,
}

impl Places {
    fn take(&mut self, len: usize) -> (u64, u64) {
        let (place, len) = (self.next, len as u64);
        self.next += len;
        // What has no bytes has no place.
        (if len == 0 { UNDEFINED } else { place }, len)
    }
}

/// The messages of a header.
#[derive(Default)]
struct Messages(Vec<u8>);

impl Messages {
    fn add(&mut self, kind: u8, parts: &[&[u8]]) {
        // All of them are short, or of a name that was found to be short enough.
        let len = parts.iter().map(|part| part.len()).sum::<usize>() as u16;
        self.0.push(kind);
        self.0.extend(len.to_le_bytes());
        self.0.push(0);
        parts.iter().for_each(|part| self.0.extend(*part));
    }
}

/// IEEE's floats, the lowest byte first: where their parts are, and how long.
fn float_type<T>() -> [u8; 20] {
    let (size, exponent_at, exponent, bias) = if size_of::<T>() == 4 { (4, 23, 8, 127) } else { (8, 52, 11, 1023_u16) };
    let bits = 8 * size;
    let [bias_low, bias_high] = bias.to_le_bytes();
    // Version 1, class 1; the first bit of the fraction is implied, the sign is the last one.
    #[rustfmt::skip]
    let datatype = [
        0x11, 0x20, bits - 1, 0,
        size, 0, 0, 0,
        0, 0, bits, 0,
        exponent_at, exponent, 0, exponent_at,
        bias_low, bias_high, 0, 0,
    ];
    datatype
}

/// A whole number of eight bits with a sign: version 1, class 0; its size, where its first bit is, how many it has.
const BYTE_TYPE: [u8; 12] = [0x10, 0x08, 0, 0, 1, 0, 0, 0, 0, 0, 8, 0];

/// Bytes, and their checksum behind them.
fn checked(out: &mut dyn Write, mut bytes: Vec<u8>) -> io::Result<()> {
    let sum = lookup3(&bytes);
    bytes.extend(sum.to_le_bytes());
    out.write_all(&bytes)
}

#[cfg(test)]
mod tests {
    use ndarray::{Array, ArrayD, IxDyn};

    use super::super::Hdf5;
    use super::*;
    use crate::formats::limits::Limits;

    fn read_back<T: Float>(tensors: &[(&str, ArrayD<T>)]) {
        let mut root = Node::empty();
        for (path, array) in tensors {
            root.put(path, array.view());
        }
        let mut bytes = Vec::new();
        root.write(&mut bytes).expect("into memory");
        let file = Hdf5::new(&bytes, &Limits::default()).expect("HDF5");
        for (path, array) in tensors {
            let object = file.find(path).expect("sound").expect("there");
            let tensor = file.tensor(path, object).expect("a tensor").array::<T>("", path, false).expect("numbers");
            assert_eq!(tensor, array, "{path}");
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let tensor = |shape: &[usize]| {
            let len: usize = shape.iter().product();
            Array::from_iter((0..len).map(|i| i as f32 * 0.5 - 3.0))
                .into_shape_with_order(IxDyn(shape))
                .expect("as many")
        };
        read_back::<f32>(&[]);
        read_back(&[("vars/0", tensor(&[2, 3])), ("vars/1", tensor(&[])), ("layers/a/vars/0", tensor(&[0, 3]))]);
        read_back(&[("a/b", tensor(&[2, 3, 4]).mapv(f64::from)), ("a/c/ü", tensor(&[5]).mapv(f64::from))]);
        let many: Vec<(String, ArrayD<f32>)> =
            (0..1000).map(|i| (format!("layers/l{i}/0"), tensor(&[i % 7]))).collect();
        let many: Vec<(&str, ArrayD<f32>)> = many.iter().map(|(path, array)| (&**path, array.clone())).collect();
        read_back(&many);
    }

    #[test]
    fn views_in_any_order() {
        let array = Array::from_iter(0..6).mapv(|i| i as f32).into_shape_with_order(IxDyn(&[2, 3])).expect("six");
        let mut root = Node::empty();
        root.put("a", array.t());
        let mut bytes = Vec::new();
        root.write(&mut bytes).expect("into memory");
        let values: Vec<f32> = [0.0, 3.0, 1.0, 4.0, 2.0, 5.0].to_vec();
        let tail: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        assert!(bytes.ends_with(&tail));
    }

    #[test]
    fn a_name_too_long_is_refused() {
        let array = ArrayD::<f32>::zeros(IxDyn(&[1]));
        let mut root = Node::empty();
        root.put(&"n".repeat(70_000), array.view());
        assert!(root.write(&mut Vec::new()).is_err());
    }
}
