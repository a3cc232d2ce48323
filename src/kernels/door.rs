//! A door for benches and tests: kernels on prepared rows, without the layers around them, and the limits of the machine
//! that they are measured against. Not part of the public interface.

mod limits;
mod runner;

pub use limits::{nonlinearities, peak, read};
pub use runner::{Cell, Runner, numbers};

use super::isa::Isa;

/// The names of the instruction sets that this machine has, the best one first.
pub fn instruction_sets() -> Vec<&'static str> {
    Isa::available().into_iter().map(Isa::name).collect()
}

/// The name of the instruction set that layers are built for.
pub fn instruction_set() -> &'static str {
    Isa::detect().name()
}

fn by_name(name: &str) -> Isa {
    let found = Isa::available().into_iter().find(|isa| isa.name() == name);
    found.unwrap_or_else(|| panic!("this machine doesn't have {name}"))
}
