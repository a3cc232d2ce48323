//! Writes `.keras` files: enough of zip and HDF5 (in its newer form, with links in object headers) for tests and
//! benches.

use std::collections::BTreeMap;

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 })
    })
}

/// A zip file that stores its members.
pub fn zip(members: &[(String, Vec<u8>)]) -> Vec<u8> {
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    for (name, data) in members {
        let offset = bytes.len() as u32;
        let mut head = vec![20, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        head.extend(crc32(data).to_le_bytes());
        head.extend((data.len() as u32).to_le_bytes());
        head.extend((data.len() as u32).to_le_bytes());
        head.extend((name.len() as u16).to_le_bytes());
        head.extend([0, 0]);
        bytes.extend(b"PK\x03\x04");
        bytes.extend(&head);
        bytes.extend(name.as_bytes());
        bytes.extend(data);
        directory.extend(b"PK\x01\x02\x14\x00");
        directory.extend(&head);
        directory.extend([0; 10]);
        directory.extend(offset.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let (start, size, count) = (bytes.len() as u32, directory.len() as u32, members.len() as u16);
    bytes.extend(directory);
    bytes.extend(b"PK\x05\x06\0\0\0\0");
    bytes.extend([count.to_le_bytes(), count.to_le_bytes()].concat());
    bytes.extend([size.to_le_bytes(), start.to_le_bytes()].concat());
    bytes.extend([0, 0]);
    bytes
}

/// A group by its members, or a tensor of float32.
#[allow(dead_code)]
pub enum Node {
    Group(BTreeMap<String, Node>),
    Tensor(Vec<usize>, Vec<f32>),
}

#[allow(dead_code)]
impl Node {
    /// The group at a path, made if it isn't there.
    pub fn group(&mut self, path: &str) -> &mut BTreeMap<String, Node> {
        let Node::Group(members) = self else { panic!("a tensor holds nothing") };
        match path.split_once('/') {
            None if path.is_empty() => members,
            None => members.entry(path.into()).or_insert_with(|| Node::Group(BTreeMap::new())).group(""),
            Some((first, rest)) => {
                members.entry(first.into()).or_insert_with(|| Node::Group(BTreeMap::new())).group(rest)
            }
        }
    }

    /// The whole file.
    pub fn write(&self) -> Vec<u8> {
        let mut bytes = b"\x89HDF\r\n\x1a\n\x02\x08\x08\x00".to_vec();
        bytes.extend(0_u64.to_le_bytes());
        bytes.extend(u64::MAX.to_le_bytes());
        bytes.extend([0; 16 + 4]);
        let root = self.append(&mut bytes);
        let end = bytes.len() as u64;
        bytes[28..36].copy_from_slice(&end.to_le_bytes());
        bytes[36..44].copy_from_slice(&root.to_le_bytes());
        bytes
    }

    /// The members first, then the header, whose address is returned.
    fn append(&self, bytes: &mut Vec<u8>) -> u64 {
        let mut messages: Vec<(u8, Vec<u8>)> = Vec::new();
        match self {
            Node::Group(members) => {
                for (name, member) in members {
                    let address = member.append(bytes);
                    let mut link = vec![1, 0, name.len() as u8];
                    link.extend(name.as_bytes());
                    link.extend(address.to_le_bytes());
                    messages.push((6, link));
                }
            }
            Node::Tensor(shape, values) => {
                let address = bytes.len() as u64;
                bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
                let mut space = vec![2, shape.len() as u8, 0, 1];
                space.extend(shape.iter().flat_map(|&size| (size as u64).to_le_bytes()));
                let mut kind = vec![0x11, 0x20, 0x1f, 0, 4, 0, 0, 0, 0, 0, 32, 0, 23, 8, 0, 23];
                kind.extend(127_u32.to_le_bytes());
                let mut layout = vec![3, 1];
                layout.extend(address.to_le_bytes());
                layout.extend((4 * values.len() as u64).to_le_bytes());
                messages.extend([(1, space), (3, kind), (8, layout)]);
            }
        }
        let header = bytes.len() as u64;
        let size: usize = messages.iter().map(|(_, data)| 4 + data.len()).sum();
        bytes.extend(b"OHDR\x02\x02");
        bytes.extend((size as u32).to_le_bytes());
        for (kind, data) in messages {
            bytes.push(kind);
            bytes.extend((data.len() as u16).to_le_bytes());
            bytes.push(0);
            bytes.extend(data);
        }
        bytes.extend([0; 4]);
        header
    }
}

/// A Sequential model of one LSTM, as a `.keras` file.
#[allow(dead_code)]
pub fn lstm(features: usize, units: usize) -> Vec<u8> {
    let config = format!(
        r#"{{"class_name": "Sequential", "config": {{"name": "written", "layers": [
            {{"class_name": "InputLayer", "config": {{"name": "x", "batch_shape": [null, null, {features}], "dtype": "float32"}}}},
            {{"class_name": "LSTM", "config": {{"name": "lstm", "units": {units}, "return_sequences": true}}}}]}}}}"#
    );
    let numbers = |count: usize| (0..count).map(|i| ((i * 7919 % 2003) as f32 - 1001.0) / 20_000.0).collect();
    let mut weights = Node::Group(BTreeMap::new());
    let vars = weights.group("layers/lstm/cell/vars");
    for (name, shape) in [("0", vec![features, 4 * units]), ("1", vec![units, 4 * units]), ("2", vec![4 * units])] {
        let count = shape.iter().product();
        vars.insert(name.into(), Node::Tensor(shape, numbers(count)));
    }
    zip(&[
        ("metadata.json".into(), br#"{"keras_version": "3.15.1"}"#.to_vec()),
        ("config.json".into(), config.into_bytes()),
        ("model.weights.h5".into(), weights.write()),
    ])
}
