//! The store on real PostgreSQL servers.

#![expect(clippy::unwrap_used, reason = "in a test, what fails ends it")]

mod absence;
mod common;
mod conformance;
mod connection;
mod crash;
mod database;
mod engine;
mod leases;
mod log;
mod mutants;
mod opening;
mod proxy;
mod server;
