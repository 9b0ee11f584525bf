//! Stores for tests that are wrong in one way each, or that somebody tampered with.

mod commit;
mod filter;
mod mutant;
mod mutation;
mod reader;
mod tampered;

pub use filter::StoreFilter;
pub use mutant::MutantStore;
pub use mutation::StoreMutation;
pub use tampered::{TamperedStore, Tampering};
