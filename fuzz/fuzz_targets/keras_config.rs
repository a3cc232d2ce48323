//! Any text as the description of a model, with the weights of a golden one.
#![no_main]

mod common;

use libfuzzer_sys::fuzz_target;
use recurrent::keras::File;

fuzz_target!(|config: &[u8]| {
    let (_, weights) = common::golden();
    if let Ok(file) = File::from_parts("fuzz", config.to_vec(), weights, &common::options()) {
        common::use_file(&file);
    }
});
