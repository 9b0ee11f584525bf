//! The example server, run as a process and asked over a socket, as its operators do.
#![expect(clippy::unwrap_used, reason = "tests")]

mod accessible;
mod browser;
mod compression;
mod configuration;
mod ear;
mod figures;
mod guide;
mod kills;
mod page;
mod process;
mod reference;
mod replicas;
mod webhooks;
