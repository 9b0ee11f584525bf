//! A local directory as object storage: durable, exact across processes, never outside of its root.

mod publish;
mod root;
mod walk;

#[cfg(test)]
mod tests;

use std::{fmt, ops::Range, sync::Arc};

use aegis_core::{
    model::{StorageBackend, StorageUri},
    seams::{
        CompareAndSwap, Immutability, ListOptions, ObjectKey, ObjectMeta, ObjectPage, ObjectStorage,
        ObjectStorageError, ObjectVersion, PutMode, StorageCapabilities, StorageProbe, StorageUsage,
    },
};
use async_trait::async_trait;
use bytes::Bytes;

use crate::{
    attempt::{Attempt, Verb},
    blocking::blocking,
    options::Durability,
    probe,
};
use root::Root;

/// Objects as files below one directory.
///
/// - A write goes to a temporary file, is flushed to the disk, and is then put in place by one
///   rename (or one link, for [`PutMode::Create`]), so it is whole or absent after a crash of the
///   process or of the machine.
/// - Compare-and-swap holds a file lock, so it is exact among all processes that see the same file
///   system, through this type. Whoever else writes there is not seen by the lock.
/// - Links inside of the directory are never followed out of it, never listed, and are no objects.
/// - `.aegis-local/` at the top holds the lock and unfinished writes; no key may begin with it.
/// - Clones are handles to the same directory.
#[derive(Clone)]
pub struct LocalStorage {
    uri: StorageUri,
    root: Arc<Root>,
}

impl LocalStorage {
    /// Opens the directory of a `file://` location, and makes it if it is missing.
    ///
    /// Blocks for a few system calls. Idempotent.
    ///
    /// # Errors
    /// `InvalidInput` if the location is no `file://` one or names something that is no directory,
    /// `Forbidden`, `Unavailable`, `Internal`.
    pub fn open(uri: &StorageUri, durability: Durability) -> Result<Self, ObjectStorageError> {
        let attempt = Attempt::new(uri, Verb::Open);
        if uri.backend() != StorageBackend::Local {
            return Err(attempt.invalid("a local directory is named as in file:///srv/backups/"));
        }
        let root = Root::open(format!("/{}", uri.path()).as_ref(), durability).map_err(|e| attempt.io(e))?;
        Ok(Self { uri: uri.clone(), root: Arc::new(root) })
    }

    /// Runs `work` on the root where blocking is allowed.
    async fn run<T: Send + 'static>(
        &self,
        verb: Verb,
        key: Option<&ObjectKey>,
        work: impl FnOnce(&Root, &Attempt<'_>) -> Result<T, ObjectStorageError> + Send + 'static,
    ) -> Result<T, ObjectStorageError> {
        let (uri, root, owned) = (self.uri.clone(), Arc::clone(&self.root), key.cloned());
        blocking(move || work(&root, &Attempt { location: &uri, key: owned.as_ref(), verb }))
            .await
            .map_err(|stopped| stopped.into_error(&Attempt { location: &self.uri, key, verb }))?
    }
}

impl fmt::Debug for LocalStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalStorage").field("uri", &self.uri.to_string()).finish_non_exhaustive()
    }
}

#[async_trait]
impl ObjectStorage for LocalStorage {
    fn uri(&self) -> &StorageUri {
        &self.uri
    }

    fn capabilities(&self) -> StorageCapabilities {
        StorageCapabilities {
            conditional_create: true,
            compare_and_swap: CompareAndSwap::FileLock,
            reports_immutability: true,
        }
    }

    async fn put(
        &self,
        key: &ObjectKey,
        bytes: Bytes,
        mode: PutMode,
    ) -> Result<ObjectVersion, ObjectStorageError> {
        let owned = key.clone();
        self.run(Verb::Write, Some(key), move |root, attempt| {
            publish::put(root, &owned, &bytes, &mode, attempt)
        })
        .await
    }

    async fn get(&self, key: &ObjectKey) -> Result<(ObjectMeta, Bytes), ObjectStorageError> {
        let owned = key.clone();
        self.run(Verb::Read, Some(key), move |root, attempt| {
            root.read(&owned).map_err(|error| attempt.io(error))
        })
        .await
    }

    async fn get_range(&self, key: &ObjectKey, range: Range<u64>) -> Result<Bytes, ObjectStorageError> {
        let owned = key.clone();
        self.run(Verb::Read, Some(key), move |root, attempt| {
            root.read_range(&owned, &range)
                .map_err(|error| attempt.io(error))?
                .ok_or_else(|| attempt.invalid(crate::past_the_end(&range)))
        })
        .await
    }

    async fn head(&self, key: &ObjectKey) -> Result<ObjectMeta, ObjectStorageError> {
        let owned = key.clone();
        self.run(Verb::Inspect, Some(key), move |root, attempt| {
            root.meta(&owned).map_err(|error| attempt.io(error))
        })
        .await
    }

    async fn list(&self, options: &ListOptions) -> Result<ObjectPage, ObjectStorageError> {
        let owned = options.clone();
        self.run(Verb::List, options.prefix.as_ref(), move |root, attempt| {
            walk::list(root, &owned).map_err(|error| attempt.io(error))
        })
        .await
    }

    async fn folders(&self, prefix: Option<&ObjectKey>) -> Result<Vec<String>, ObjectStorageError> {
        let owned = prefix.cloned();
        self.run(Verb::List, prefix, move |root, attempt| {
            walk::folders(root, owned.as_ref()).map_err(|error| attempt.io(error))
        })
        .await
    }

    async fn delete(&self, key: &ObjectKey) -> Result<(), ObjectStorageError> {
        let owned = key.clone();
        self.run(Verb::Delete, Some(key), move |root, attempt| publish::delete(root, &owned, attempt)).await
    }

    /// Free bytes are those of the file system; used bytes are unknown past a million files.
    async fn usage(&self) -> Result<StorageUsage, ObjectStorageError> {
        self.run(Verb::Measure, None, |root, attempt| {
            let free_bytes = root.free_bytes().map_err(|error| attempt.io(error))?;
            let used_bytes = walk::used_bytes(root).map_err(|error| attempt.io(error))?;
            Ok(StorageUsage { used_bytes, free_bytes: Some(free_bytes) })
        })
        .await
    }

    async fn probe(&self) -> Result<StorageProbe, ObjectStorageError> {
        let found = probe::probe(self, self.capabilities()).await?;
        if found.capabilities == self.capabilities() {
            return Ok(found);
        }
        // Seen on network file systems that pretend to lock: better not used than half trusted.
        let attempt = Attempt::new(&self.uri, Verb::Probe);
        Err(attempt.unsupported("keep two writers apart: its file system does not lock files"))
    }

    /// Always [`Immutability::None`]: whoever may write to a directory may delete from it.
    async fn immutability(&self, key: &ObjectKey) -> Result<Immutability, ObjectStorageError> {
        self.head(key).await.map(|_| Immutability::None)
    }
}
