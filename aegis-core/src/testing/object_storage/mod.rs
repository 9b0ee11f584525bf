//! Object storage for tests: one that is right, and ones that are wrong in one way each.

mod memory;
mod mutant;

pub use memory::MemoryObjectStorage;
pub use mutant::{MutantObjectStorage, ObjectStorageMutation};
