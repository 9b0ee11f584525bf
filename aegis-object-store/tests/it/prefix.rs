//! A part of a bucket that no other test uses.

use std::hash::{BuildHasher, RandomState};

use aegis_core::model::StorageUri;

/// A location of its own below `bucket`, as `s3://bucket`.
pub(crate) fn unique(bucket: &str) -> StorageUri {
    let unique = RandomState::new().hash_one(std::process::id());
    format!("{bucket}/conformance/{unique:016x}").parse().unwrap()
}

/// The crypto provider that a binary would install.
pub(crate) fn install_tls() {
    // Every test of this process tries; the first one succeeds.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
