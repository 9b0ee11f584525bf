//! Manifests: beside each backup lies what the catalogue knows of it.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::Core;
use crate::{
    engine::EngineError,
    model::{ArtifactName, BackupJob, BackupRecord, Policy, StorageUri},
    seams::{ErrorClass, ObjectKey, ObjectStorage, ObjectStorageError, PutMode},
};

/// The format that this version writes and reads.
const FORMAT: u32 = 1;

/// What lies at `<location>/<artifact>/manifest.json`: enough to rebuild the catalogue from storage
/// alone. Holds no secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The version of the format.
    pub format: u32,
    /// The record with its holds, protection and evidence.
    pub record: BackupRecord,
    /// The job that made it.
    pub job: BackupJob,
    /// The policy that it was made for, with its rules.
    pub policy: Option<Policy>,
}

impl Manifest {
    /// The manifest of a record.
    #[must_use]
    pub const fn new(record: BackupRecord, job: BackupJob, policy: Option<Policy>) -> Self {
        Self { format: FORMAT, record, job, policy }
    }
}

/// The storage of a record's or job's location, and the key of a manifest in it.
pub(crate) fn storage_of<'a>(
    core: &'a Core,
    location: &StorageUri,
    artifact: &ArtifactName,
) -> Result<(&'a Arc<dyn ObjectStorage>, ObjectKey), EngineError> {
    let known = core.locations.iter().find(|known| known.storage.uri().contains(location));
    let storage = known.map(|known| &known.storage).ok_or_else(|| {
        EngineError::Unsupported(format!("the storage location {location} is not configured here any more"))
    })?;
    Ok((storage, manifest_key(storage.uri(), location, artifact)?))
}

/// The key of a manifest below the root of its storage.
pub(crate) fn manifest_key(
    root: &StorageUri,
    location: &StorageUri,
    artifact: &ArtifactName,
) -> Result<ObjectKey, EngineError> {
    let key = match below(root, location)? {
        None => format!("{artifact}/manifest.json"),
        Some(below) => format!("{below}/{artifact}/manifest.json"),
    };
    ObjectKey::new(key).map_err(|error| EngineError::Internal(error.to_string()))
}

/// Where a location lies below the root of its storage, unless it is the root.
fn below(root: &StorageUri, location: &StorageUri) -> Result<Option<ObjectKey>, EngineError> {
    let below = location.path().strip_prefix(root.path()).unwrap_or_default().trim_matches('/');
    let key = (!below.is_empty()).then(|| ObjectKey::new(below)).transpose();
    key.map_err(|error| EngineError::Internal(error.to_string()))
}

/// Writes a new manifest, which makes the backup count, and answers what lies there: ours, or the
/// one that an earlier try of the same operation wrote.
///
/// # Errors
/// `Storage` as the storage answers; `AlreadyExists` if another operation's manifest lies there.
pub(crate) async fn create_manifest(
    storage: &dyn ObjectStorage,
    key: &ObjectKey,
    manifest: Manifest,
) -> Result<Manifest, EngineError> {
    let bytes = encode(&manifest)?;
    match storage.put(key, bytes, PutMode::Create).await {
        Ok(_) => Ok(manifest),
        Err(ObjectStorageError::AlreadyExists { .. }) => {
            let found = read_manifest(storage, key).await?;
            if found.record.operation == manifest.record.operation {
                Ok(found)
            } else {
                Err(EngineError::AlreadyExists { what: "manifest", name: key.to_string() })
            }
        }
        Err(error) => Err(error.into()),
    }
}

/// Rewrites a manifest after its record changed.
pub(crate) async fn write_manifest(
    storage: &dyn ObjectStorage,
    key: &ObjectKey,
    manifest: &Manifest,
    over: PutMode,
) -> Result<(), EngineError> {
    storage.put(key, encode(manifest)?, over).await?;
    Ok(())
}

/// Removes a manifest. Idempotent.
pub(crate) async fn delete_manifest(storage: &dyn ObjectStorage, key: &ObjectKey) -> Result<(), EngineError> {
    storage.delete(key).await?;
    Ok(())
}

/// Reads every manifest directly below a location, with what could not be read and why.
pub(crate) async fn read_manifests(
    storage: &dyn ObjectStorage,
    location: &StorageUri,
) -> Result<(Vec<Manifest>, Vec<String>), EngineError> {
    let (mut manifests, mut unreadable) = (Vec::new(), Vec::new());
    for folder in storage.folders(below(storage.uri(), location)?.as_ref()).await? {
        let Ok(artifact) = ArtifactName::try_from(&*folder) else { continue };
        let key = manifest_key(storage.uri(), location, &artifact)?;
        match read_manifest(storage, &key).await {
            Ok(manifest) => manifests.push(manifest),
            Err(error) if error.class() == ErrorClass::NotFound => {}
            Err(EngineError::Internal(reason)) => unreadable.push(format!("{key}: {reason}")),
            Err(error) => return Err(error),
        }
    }
    Ok((manifests, unreadable))
}

async fn read_manifest(storage: &dyn ObjectStorage, key: &ObjectKey) -> Result<Manifest, EngineError> {
    let (_, bytes) = storage.get(key).await?;
    let manifest: Manifest = serde_json::from_slice(&bytes)
        .map_err(|error| EngineError::Internal(format!("the manifest can't be read: {error}")))?;
    if manifest.format == FORMAT {
        Ok(manifest)
    } else {
        let format = manifest.format;
        Err(EngineError::Internal(format!(
            "the manifest has format {format}; this version reads format {FORMAT}"
        )))
    }
}

fn encode(manifest: &Manifest) -> Result<Bytes, EngineError> {
    let json = serde_json::to_vec(manifest).map_err(|error| EngineError::Internal(error.to_string()))?;
    // Without what it grew by too much: a storage in memory would keep that, too.
    Ok(json.into_boxed_slice().into())
}
