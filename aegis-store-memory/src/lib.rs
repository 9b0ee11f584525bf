//! The in-memory reference store of Aegis: exact, fast, and gone when the process ends.
//!
//! For tests, and for services that can rebuild their catalogue from what lies in storage. It keeps
//! every event that was ever committed, so a process that runs for months wants a store on disk.
//!
//! # How it is made
//! One lock around one state, never held across an await. Entities are shared, so
//! that a commit moves them in and a read hands them out without copying. Each belongs to some
//! ordered lists; a query walks the shortest list that has all it asks for.

mod applied;
mod commit;
mod index;
mod lease;
mod log;
mod progress;
mod query;
mod reader;
mod state;
mod store;
#[cfg(test)]
mod tests;

pub use store::MemoryStore;
