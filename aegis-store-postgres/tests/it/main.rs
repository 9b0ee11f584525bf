//! The store on real PostgreSQL servers.

#![expect(clippy::unwrap_used, reason = "in a test, what fails ends it")]

mod conformance;
mod database;
