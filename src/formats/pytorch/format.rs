//! What isn't a safetensors file, told by its first bytes.

use crate::formats::error::{Found, Problem};

const CONVERT: &str = "make a safetensors file of it in Python: from safetensors.torch import save_file; \
                       save_file(torch.load(\"model.pt\", weights_only=True), \"model.safetensors\") \
                       (of a whole model: save_file(model.state_dict(), ..))";

pub(super) fn check(bytes: &[u8]) -> Found<()> {
    // A safetensors file has a brace behind the length of its header, which is none of these numbers.
    let looks_sound = bytes.get(8) == Some(&b'{');
    let found = match bytes {
        [b'P', b'K', 3, 4, ..] => "a zip with a pickle, torch.save's format, which is a program",
        [0x80, 2..=5, ..] if !looks_sound => "a pickle, torch.save's old format, which is a program",
        [0x89, b'H', b'D', b'F', ..] => {
            return Err(Problem::Format { found: "HDF5", hint: "Keras writes it: keras::load reads it" });
        }
        _ => return Ok(()),
    };
    Err(Problem::Format { found, hint: CONVERT })
}
