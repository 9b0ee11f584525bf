//! The PostgreSQL store of Aegis: many replicas, one database.
//!
//! It remembers as [`Store`](aegis_core::seams::Store) says, judged by the database's clock. An
//! entity is one document with the columns beside it that it is asked for by; a changeset is one
//! statement and one round trip; totals, pages and logs are read in one snapshot each. Connections
//! are made when they are needed, so that a database that was away and is back is used again.
//!
//! ```no_run
//! use aegis_store_postgres::{PostgresOptions, PostgresStore};
//!
//! # async fn open() -> Result<(), Box<dyn std::error::Error>> {
//! let options = PostgresOptions::new("postgres://aegis@db/aegis?sslmode=verify-full")?.connections(20);
//! let store = PostgresStore::open(options).await?;
//! # Ok(())
//! # }
//! ```

#[cfg(test)]
extern crate self as aegis_store_postgres;

mod commit;
mod connection;
mod diagnose;
mod error;
mod hint;
mod lease;
mod log;
mod migrate;
mod options;
mod pool;
mod query;
mod rows;
mod select;
mod session;
mod statement;
mod store;
mod table;
mod tally;
#[cfg(test)]
mod tests;
mod upkeep;

pub use options::{InvalidUrl, PostgresOptions};
pub use store::PostgresStore;
