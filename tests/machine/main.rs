//! What depends on the machine: the same bits on each instruction set, and what calls ask of the allocator.

mod allocations;
mod instruction_sets;
