//! Every storage of this crate against the conformance suite, and what only real servers show.
#![expect(clippy::unwrap_used, reason = "tests")]

mod azure;
mod gcs;
mod in_memory;
mod local;
mod prefix;
mod s3;
