//! The store of Aegis in one SQLite file: no service to run, and a restart forgets nothing.
//!
//! ```
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! use std::sync::Arc;
//!
//! use aegis_core::{seams::Store, testing::ManualClock};
//! use aegis_store_sqlite::{SqliteOptions, SqliteStore};
//!
//! # let folder = tempfile::tempdir()?;
//! # let clock = ManualClock::starting_at(aegis_core::model::Timestamp::UNIX_EPOCH);
//! let store = SqliteStore::open(SqliteOptions::new(folder.path().join("aegis.db")), Arc::new(clock)).await?;
//! assert!(store.tenants().await?.is_empty());
//! store.close().await;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # How it is made
//! One connection writes, a few read beside it; SQLite keeps a write-ahead log, so that neither waits
//! for the other. The writer takes all changesets that wait into one transaction, gives each its own
//! verdict and flushes the disk once for all of them.
//!
//! An entity is a row: what it is asked for by are columns, and the whole of it is one JSON document,
//! which is all that a read answers with.
//!
//! # The file
//! Beside `aegis.db` lie `aegis.db-wal` and `aegis.db-shm`, which belong to it, and `aegis.db-lock`,
//! by which a second process is refused. The lock goes with the process, also when it crashes.
//! Copy the file with [`SqliteStore::backup`], never with `cp` while it is open, and put a copy in its place
//! with [`SqliteStore::restore`]: over a write-ahead log that is left of another file it would be damaged. By
//! hand, with Aegis stopped, remove `aegis.db-wal` and `aegis.db-shm` first. The file must lie on a
//! local disk: on network file systems neither the locks nor SQLite's write-ahead log can be relied on.
//!
//! Damage is looked for when a file is opened ([`SqliteOptions::checked_up_to`]) and on request
//! ([`SqliteStore::check`]), and whatever SQLite finds while it works is an `Internal` error that
//! names the file and says what to do. A full disk is `Unavailable`: nothing was applied.

mod backup;
mod clock;
mod commit;
mod error;
mod lease;
mod log;
mod migrate;
mod open;
mod options;
mod query;
mod reader;
mod restore;
mod rows;
mod sql;
mod store;
mod tally;
#[cfg(test)]
mod tests;
mod upkeep;
mod writer;

pub use open::OpenError;
pub use options::SqliteOptions;
pub use store::SqliteStore;
