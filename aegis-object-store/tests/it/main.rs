//! Every storage of this crate against the conformance suite, and what only real servers show.
#![expect(clippy::unwrap_used, reason = "tests")]

mod answers;
mod azure;
mod disk;
mod gcs;
mod in_memory;
mod local;
mod prefix;
mod s3;
