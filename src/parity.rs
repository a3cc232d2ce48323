#![doc = include_str!("../doc/parity.md")]
