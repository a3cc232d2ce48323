//! Any bytes as a file: `.keras` or `.h5`.
#![no_main]

mod common;

use libfuzzer_sys::fuzz_target;
use recurrent::keras::File;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(file) = File::from_bytes("fuzz", bytes.to_vec(), &common::options()) {
        common::use_file(&file);
    }
});
