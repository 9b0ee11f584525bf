//! What a storage really does, tried and not assumed.

use std::time::Instant;

use aegis_core::seams::{
    CompareAndSwap, ErrorClass, ObjectKey, ObjectStorage, ObjectStorageError, ObjectVersion, PutMode,
    StorageCapabilities, StorageProbe,
};
use bytes::Bytes;

use crate::attempt::{Attempt, Verb};

/// Tries the `declared` capabilities with one small object of a unique name, and removes it.
///
/// `storage` must try what it is asked to, whatever it declares at the moment.
pub(crate) async fn probe(
    storage: &dyn ObjectStorage,
    declared: StorageCapabilities,
) -> Result<StorageProbe, ObjectStorageError> {
    let key = probe_key(storage)?;
    let tried = try_all(storage, &key, declared).await;
    let removed = storage.delete(&key).await;
    let probe = tried?;
    removed?;
    Ok(probe)
}

async fn try_all(
    storage: &dyn ObjectStorage,
    key: &ObjectKey,
    declared: StorageCapabilities,
) -> Result<StorageProbe, ObjectStorageError> {
    let begun = now();
    storage.put(key, Bytes::from_static(b"overwritten"), PutMode::Overwrite).await?;
    let (meta, read) = storage.get(key).await?;
    let round_trip = now().duration_since(begun);
    if read != "overwritten" {
        let attempt = Attempt::on(storage.uri(), Verb::Probe, key);
        return Err(attempt.internal("a read did not see the write before it".into()));
    }
    let conditional_create = declared.conditional_create && refuses_create(storage, key).await?;
    let swaps = match declared.compare_and_swap {
        CompareAndSwap::Unsupported => false,
        CompareAndSwap::Native | CompareAndSwap::FileLock => {
            swaps_exactly(storage, key, meta.version).await?
        }
    };
    let compare_and_swap = if swaps { declared.compare_and_swap } else { CompareAndSwap::Unsupported };
    Ok(StorageProbe {
        capabilities: StorageCapabilities { conditional_create, compare_and_swap, ..declared },
        round_trip,
    })
}

/// Whether an object that exists can't be created again.
async fn refuses_create(storage: &dyn ObjectStorage, key: &ObjectKey) -> Result<bool, ObjectStorageError> {
    let created = storage.put(key, Bytes::from_static(b"created"), PutMode::Create).await;
    refused_as(ErrorClass::AlreadyExists, created)
}

/// Whether a current version swaps, an old one does not, and of two at once exactly one does.
async fn swaps_exactly(
    storage: &dyn ObjectStorage,
    key: &ObjectKey,
    first: ObjectVersion,
) -> Result<bool, ObjectStorageError> {
    let swap = |text: &'static str, version: &ObjectVersion| {
        storage.put(key, Bytes::from_static(text.as_bytes()), PutMode::Update(version.clone()))
    };
    let second = match swap("swapped", &first).await {
        Ok(version) => version,
        Err(error) if says_no(error.class()) => return Ok(false),
        Err(error) => return Err(error),
    };
    if !refused_as(ErrorClass::VersionConflict, swap("stale", &first).await)? {
        return Ok(false);
    }
    let (left, right) = futures::join!(swap("left", &second), swap("right", &second));
    let refused =
        [refused_as(ErrorClass::VersionConflict, left)?, refused_as(ErrorClass::VersionConflict, right)?];
    Ok(refused[0] != refused[1])
}

/// Whether the answer was the refusal that it should be; a success or a plain no is `false`.
fn refused_as(
    expected: ErrorClass,
    answer: Result<ObjectVersion, ObjectStorageError>,
) -> Result<bool, ObjectStorageError> {
    match answer {
        Ok(_) => Ok(false),
        Err(error) if error.class() == expected => Ok(true),
        Err(error) if says_no(error.class()) => Ok(false),
        Err(error) => Err(error),
    }
}

/// How storages without conditions answer one: not implemented, or a request that makes no sense.
fn says_no(class: ErrorClass) -> bool {
    match class {
        ErrorClass::Unsupported
        | ErrorClass::InvalidInput
        | ErrorClass::VersionConflict
        | ErrorClass::AlreadyExists => true,
        ErrorClass::NotFound
        | ErrorClass::InvalidTransition
        | ErrorClass::Unauthenticated
        | ErrorClass::Forbidden
        | ErrorClass::Unavailable
        | ErrorClass::Indeterminate
        | ErrorClass::RateLimited
        | ErrorClass::Internal => false,
    }
}

/// Replicas may probe one storage at the same time, so each probe has an object of its own.
fn probe_key(storage: &dyn ObjectStorage) -> Result<ObjectKey, ObjectStorageError> {
    use std::hash::{BuildHasher, RandomState};
    let unique = RandomState::new().hash_one(std::process::id());
    let attempt = Attempt::new(storage.uri(), Verb::Probe);
    ObjectKey::new(format!(".aegis-probe/{unique:016x}")).map_err(|error| attempt.internal(error.into()))
}

#[expect(
    clippy::disallowed_methods,
    reason = "how long the network took is real time, whatever the clock says"
)]
fn now() -> Instant {
    Instant::now()
}
