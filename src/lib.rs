//! Aegis: an embeddable disaster-recovery control plane.
//!
//! Backup tools copy bytes. Aegis answers the question of the person who is paged at three in the
//! morning: can we get it back, how far back, how fast, and how do we know? It owns policies,
//! schedules, the catalogue of recovery points, retention, recovery plans and the evidence; the
//! copying is done by *drivers*, the remembering by *stores*.
//!
//! This crate gathers the parts under one roof. What is in it follows from its features:
//!
//! | feature | on | what it brings |
//! |--|--|--|
//! | *always* | | [`Aegis`], [`engine`], [`model`], [`rules`], [`seams`] |
//! | `memory` | yes | `store::MemoryStore`: exact, fast, gone when the process ends |
//! | `files` | yes | `files`: directories and files; `storage`: a local folder, S3, GCS, Azure |
//! | `testing` | no | `testing`: manual clock, scripted driver, storage in memory, faults, conformance suites |
//!
//! A service with a driver and a store of its own takes `default-features = false`.

pub use aegis_core::{
    engine::{self, Aegis},
    model, rules, seams,
};

#[cfg(feature = "testing")]
pub use aegis_core::testing;

/// Stores: where the engine remembers.
#[cfg(feature = "memory")]
pub mod store {
    pub use aegis_store_memory::MemoryStore;
}

/// The driver for directories and files.
#[cfg(feature = "files")]
pub use aegis_files as files;

/// Object storages: a local folder, S3, GCS, Azure.
#[cfg(feature = "files")]
pub use aegis_object_store as storage;
