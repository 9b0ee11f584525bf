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
//! | `sqlite` | yes | `store::SqliteStore`: one file, no service to run, a restart forgets nothing |
//! | `postgres` | no | `store::PostgresStore`: many replicas over one database |
//! | `files` | yes | `files`: directories and files; `storage`: a local folder, S3, GCS, Azure |
//! | `http` | no | `http`: the HTTP API, an axum router over the engine |
//! | `webhooks` | no | `webhooks`: signed events from the log to an HTTP address |
//! | `testing` | no | `testing`: manual clock, scripted driver, storage in memory, faults, conformance suites |
//!
//! A service with a driver and a store of its own takes `default-features = false`.
//!
//! A whole engine in memory, backing up and telling time by hand:
//!
#![cfg_attr(all(feature = "memory", feature = "testing"), doc = "```")]
#![cfg_attr(not(all(feature = "memory", feature = "testing")), doc = "```ignore")]
//! use std::sync::Arc;
//! use aegis::{Aegis, engine::NewJob, model::*, store::MemoryStore, testing::*};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let clock = Arc::new(ManualClock::starting_at("2026-03-01T00:00:00Z".parse()?));
//! let driver = ScriptedDriver::new(clock.clone()).with_namespace("shop".parse()?, [("orders", "1;apples")]);
//! let storage = MemoryObjectStorage::new("s3://example/backups/".parse()?, clock.clone());
//! let aegis = Aegis::builder()
//!     .store(Arc::new(MemoryStore::new(clock.clone())))
//!     .clock(clock.clone())
//!     .cluster("test", Arc::new(driver))
//!     .storage(Arc::new(storage))
//!     .build()?;
//! let tenant = aegis.default_tenant()?;
//! let job = NewJob::new("first".parse()?, "test".parse()?, NamespaceSelection::all());
//! let job = tenant.create_job(job).await?.job.id;
//! aegis.pass().await;
//! clock.advance(ScriptedDriver::USUAL_DURATION);
//! aegis.pass().await;
//! assert_eq!(tenant.job(job).await?.job.status, JobStatus::Completed);
//! # Ok(())
//! # }
//! ```

pub use aegis_core::{
    engine::{self, Aegis},
    model, rules, seams,
};

#[cfg(feature = "testing")]
pub use aegis_core::testing;

/// Stores: where the engine remembers.
#[cfg(any(feature = "memory", feature = "sqlite", feature = "postgres"))]
pub mod store {
    #[cfg(feature = "memory")]
    pub use aegis_store_memory::MemoryStore;
    #[cfg(feature = "postgres")]
    pub use aegis_store_postgres::{InvalidUrl, PostgresOptions, PostgresStore};
    #[cfg(feature = "sqlite")]
    pub use aegis_store_sqlite::{OpenError, SqliteOptions, SqliteStore};
}

/// The driver for directories and files.
#[cfg(feature = "files")]
pub use aegis_files as files;

/// Object storages: a local folder, S3, GCS, Azure.
#[cfg(feature = "files")]
pub use aegis_object_store as storage;

/// The HTTP API: an axum router over the engine.
#[cfg(feature = "http")]
pub use aegis_http as http;

/// Webhooks: signed events from the log to an HTTP address.
#[cfg(feature = "webhooks")]
pub use aegis_webhooks as webhooks;

/// The README, whose example must run.
#[cfg(all(doctest, feature = "memory", feature = "files"))]
#[doc = include_str!("../README.md")]
mod readme {}
