//! Object storage for Aegis over the object_store crate: a local directory, S3, GCS and Azure.
//!
//! ```
//! use aegis_core::seams::{ObjectStorage, PutMode};
//! use aegis_object_store::{StorageOptions, open};
//!
//! # let folder = tempfile::tempdir().unwrap();
//! # let uri = format!("file://{}/", folder.path().display());
//! # futures::executor::block_on(async {
//! let storage = open(&uri.parse().unwrap(), &StorageOptions::default()).unwrap();
//! let key = "manifests/first.json".parse().unwrap();
//! storage.put(&key, "{}".into(), PutMode::Create).await.unwrap();
//! assert_eq!(storage.get(&key).await.unwrap().1, "{}");
//! # });
//! ```
//!
//! # TLS
//! Remote storages speak HTTPS with rustls and whatever crypto provider the program has installed.
//! A library must not choose one for it, so a binary (and a test) installs it once, before it opens
//! a remote storage: `rustls::crypto::ring::default_provider().install_default()`.

mod attempt;
mod blocking;
mod local;
mod options;
mod probe;
mod remote;

use std::{ops::Range, sync::Arc};

use aegis_core::{
    model::{StorageBackend, StorageUri},
    seams::{ObjectStorage, ObjectStorageError},
};

pub use local::LocalStorage;
pub use options::{Credentials, Durability, RetryLimits, StorageOptions, Transport};
pub use remote::RemoteStorage;

/// Opens the storage of a location.
///
/// A local directory is made if it is missing; a remote storage is not asked for anything yet, so
/// call [`ObjectStorage::probe`] to learn whether it is there and what it can do.
///
/// # Errors
/// `InvalidInput` (options that do not fit the location or contradict each other); for a local
/// directory also `Forbidden`, `Unavailable` and `Internal`.
pub fn open(
    uri: &StorageUri,
    options: &StorageOptions,
) -> Result<Arc<dyn ObjectStorage>, ObjectStorageError> {
    Ok(match uri.backend() {
        StorageBackend::Local => Arc::new(LocalStorage::open(uri, options.durability)?),
        StorageBackend::S3 | StorageBackend::Gcs | StorageBackend::AzureBlob => {
            Arc::new(RemoteStorage::open(uri, options)?)
        }
    })
}

/// Why a range was refused.
fn past_the_end(range: &Range<u64>) -> String {
    format!("the bytes {}..{} are no range of the object; ask for its size first", range.start, range.end)
}
