//! Stores for tests that are wrong in one way each.

mod commit;
mod filter;
mod mutant;
mod mutation;
mod reader;

pub use filter::StoreFilter;
pub use mutant::MutantStore;
pub use mutation::StoreMutation;
