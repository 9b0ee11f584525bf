//! S3, GCS and Azure through the object_store crate.

mod connect;
mod error;

use std::{
    fmt,
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
};

use aegis_core::{
    model::StorageUri,
    seams::{
        CompareAndSwap, Immutability, ListOptions, ObjectKey, ObjectMeta, ObjectPage, ObjectStorage,
        ObjectStorageError, ObjectVersion, PutMode, StorageCapabilities, StorageProbe, StorageUsage,
    },
};
use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use object_store::{
    GetOptions, ObjectStore, ObjectStoreExt, PutPayload, UpdateVersion, memory::InMemory, path::Path,
};

use crate::{
    attempt::{Attempt, Verb},
    options::StorageOptions,
    past_the_end, probe,
};
use connect::{Repeats, connect};

/// After this many objects `used_bytes` gives up: each further thousand is one more request.
const MOST_COUNTED: usize = 10_000;

/// Objects below a prefix of a bucket.
///
/// - A storage that was never probed is taken at its cloud's word; after a
///   [`probe`](ObjectStorage::probe) [`capabilities`](ObjectStorage::capabilities) tells what this
///   one was seen to do. Some clones of S3 ignore conditions.
/// - Versions are what the storage calls them: an S3 entity tag is often a hash of the bytes, so the
///   same bytes written twice may have one version.
/// - Object locks and retention policies can't be asked for through the object_store crate, so
///   immutability is [`Immutability::Unknown`]; a refusal because of one is `Locked` all the same.
/// - Clones are handles to the same storage and share what a probe found.
#[derive(Clone)]
pub struct RemoteStorage {
    uri: StorageUri,
    /// Repeats what may be repeated.
    store: Arc<dyn ObjectStore>,
    /// Never repeats: a conditional write that did would be refused by its own effect.
    once: Arc<dyn ObjectStore>,
    seen: Arc<Mutex<StorageCapabilities>>,
}

/// What the clouds promise.
const PROMISED: StorageCapabilities = StorageCapabilities {
    conditional_create: true,
    compare_and_swap: CompareAndSwap::Native,
    reports_immutability: false,
};

impl RemoteStorage {
    /// Opens an `s3://`, `gs://` or `az://` location without asking it for anything.
    ///
    /// # Errors
    /// `InvalidInput` if the options do not fit the location or lack something.
    pub fn open(uri: &StorageUri, options: &StorageOptions) -> Result<Self, ObjectStorageError> {
        let store = connect(uri, options, Repeats::Limited)?;
        let once = connect(uri, options, Repeats::Never)?;
        Ok(Self::over(uri.clone(), store, once))
    }

    /// An empty storage in memory that calls itself `uri`, for tests.
    #[must_use]
    pub fn in_memory(uri: StorageUri) -> Self {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        Self::over(uri, Arc::clone(&store), store)
    }

    fn over(uri: StorageUri, store: Arc<dyn ObjectStore>, once: Arc<dyn ObjectStore>) -> Self {
        Self { uri, store, once, seen: Arc::new(Mutex::new(PROMISED)) }
    }

    /// The path in the bucket of a key below this location.
    fn path(&self, key: Option<&ObjectKey>, attempt: &Attempt<'_>) -> Result<Path, ObjectStorageError> {
        let key = key.map_or("", ObjectKey::as_str);
        Path::parse(format!("{}/{key}", self.uri.path())).map_err(|error| attempt.invalid(error.to_string()))
    }

    /// The key of a path in the bucket; `None` for what is no key of ours.
    fn key(&self, path: &Path) -> Option<ObjectKey> {
        let base = self.uri.path();
        let below = match base {
            "" => path.as_ref(),
            base => path.as_ref().strip_prefix(base)?.strip_prefix('/')?,
        };
        ObjectKey::new(below).ok()
    }

    fn meta(&self, found: object_store::ObjectMeta) -> Option<ObjectMeta> {
        Some(ObjectMeta {
            key: self.key(&found.location)?,
            size: found.size,
            modified_at: found.last_modified.into(),
            version: ObjectVersion { e_tag: found.e_tag, version: found.version },
        })
    }

    fn refuse_undeclared(&self, mode: &PutMode, attempt: &Attempt<'_>) -> Result<(), ObjectStorageError> {
        let can = self.capabilities();
        match mode {
            PutMode::Create if !can.conditional_create => {
                Err(attempt.unsupported("create an object only if it is absent"))
            }
            PutMode::Update(_) if can.compare_and_swap == CompareAndSwap::Unsupported => {
                Err(attempt.unsupported("replace an object only if it is unchanged"))
            }
            PutMode::Overwrite | PutMode::Create | PutMode::Update(_) => Ok(()),
        }
    }

    /// All objects below a folder and after a key, in order.
    fn listed(
        &self,
        options: &ListOptions,
        attempt: &Attempt<'_>,
    ) -> Result<impl futures::Stream<Item = object_store::Result<ObjectMeta>> + use<>, ObjectStorageError>
    {
        let folder = self.path(options.prefix.as_ref(), attempt)?;
        let folder = (!folder.as_ref().is_empty()).then_some(folder);
        let stream = match &options.after {
            None => self.store.list(folder.as_ref()),
            Some(after) => self.store.list_with_offset(folder.as_ref(), &self.path(Some(after), attempt)?),
        };
        let (this, after) = (self.clone(), options.after.clone());
        // Not every server honours the offset, so what was passed already is passed over here too.
        Ok(stream.try_filter_map(move |found| {
            let meta = this.meta(found).filter(|meta| after.as_ref().is_none_or(|after| meta.key > *after));
            std::future::ready(Ok(meta))
        }))
    }
}

impl fmt::Debug for RemoteStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteStorage").field("uri", &self.uri.to_string()).finish_non_exhaustive()
    }
}

#[async_trait]
impl ObjectStorage for RemoteStorage {
    fn uri(&self) -> &StorageUri {
        &self.uri
    }

    fn capabilities(&self) -> StorageCapabilities {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn put(
        &self,
        key: &ObjectKey,
        bytes: Bytes,
        mode: PutMode,
    ) -> Result<ObjectVersion, ObjectStorageError> {
        let attempt = Attempt::on(&self.uri, Verb::Write, key);
        self.refuse_undeclared(&mode, &attempt)?;
        let path = self.path(Some(key), &attempt)?;
        let (store, mode, updates) = match mode {
            PutMode::Overwrite => (&self.store, object_store::PutMode::Overwrite, false),
            PutMode::Create => (&self.once, object_store::PutMode::Create, false),
            PutMode::Update(ObjectVersion { e_tag, version }) => {
                (&self.once, object_store::PutMode::Update(UpdateVersion { e_tag, version }), true)
            }
        };
        match store.put_opts(&path, PutPayload::from_bytes(bytes), mode.into()).await {
            Ok(put) => Ok(ObjectVersion { e_tag: put.e_tag, version: put.version }),
            Err(error) => Err(match error::map(&attempt, error) {
                // Some storages call a missing object missing, and not changed.
                ObjectStorageError::NotFound { .. } if updates => attempt.conflict(),
                mapped => mapped,
            }),
        }
    }

    async fn get(&self, key: &ObjectKey) -> Result<(ObjectMeta, Bytes), ObjectStorageError> {
        let attempt = Attempt::on(&self.uri, Verb::Read, key);
        let path = self.path(Some(key), &attempt)?;
        let found = self.store.get(&path).await.map_err(|error| error::map(&attempt, error))?;
        let meta = self.meta(found.meta.clone()).ok_or_else(|| attempt.not_found())?;
        let bytes = found.bytes().await.map_err(|error| error::map(&attempt, error))?;
        Ok((meta, bytes))
    }

    async fn get_range(&self, key: &ObjectKey, range: Range<u64>) -> Result<Bytes, ObjectStorageError> {
        let attempt = Attempt::on(&self.uri, Verb::Read, key);
        if range.start >= range.end {
            // HTTP has no empty range, so its place is only compared with the size.
            let size = self.head(key).await?.size;
            let empty = range.start == range.end && range.end <= size;
            return if empty { Ok(Bytes::new()) } else { Err(attempt.invalid(past_the_end(&range))) };
        }
        let path = self.path(Some(key), &attempt)?;
        let options = GetOptions::new().with_range(Some(range.clone()));
        let found = match self.store.get_opts(&path, options).await {
            Ok(found) => found,
            Err(error) => return Err(self.range_error(&attempt, error, &range).await),
        };
        // A storage cuts a range at the end of the object; half of what was asked for is an error.
        if found.range != range {
            return Err(attempt.invalid(past_the_end(&range)));
        }
        found.bytes().await.map_err(|error| error::map(&attempt, error))
    }

    async fn head(&self, key: &ObjectKey) -> Result<ObjectMeta, ObjectStorageError> {
        let attempt = Attempt::on(&self.uri, Verb::Inspect, key);
        let path = self.path(Some(key), &attempt)?;
        let found = self.store.head(&path).await.map_err(|error| error::map(&attempt, error))?;
        self.meta(found).ok_or_else(|| attempt.not_found())
    }

    async fn list(&self, options: &ListOptions) -> Result<ObjectPage, ObjectStorageError> {
        let attempt = Attempt { location: &self.uri, key: options.prefix.as_ref(), verb: Verb::List };
        let limit = options.limit.max(1);
        let objects: Vec<_> = self
            .listed(options, &attempt)?
            .take(limit)
            .try_collect()
            .await
            .map_err(|error| error::map(&attempt, error))?;
        // To know whether a full page is the last would cost a request, so its next may be empty.
        let next = (objects.len() == limit).then(|| objects.last().map(|last| last.key.clone()));
        Ok(ObjectPage { objects, next: next.flatten() })
    }

    async fn folders(&self, prefix: Option<&ObjectKey>) -> Result<Vec<String>, ObjectStorageError> {
        let attempt = Attempt { location: &self.uri, key: prefix, verb: Verb::List };
        let folder = self.path(prefix, &attempt)?;
        let folder = (!folder.as_ref().is_empty()).then_some(folder);
        let found = self
            .store
            .list_with_delimiter(folder.as_ref())
            .await
            .map_err(|error| error::map(&attempt, error))?;
        let mut names: Vec<_> = found
            .common_prefixes
            .iter()
            .filter_map(|path| path.as_ref().rsplit('/').next().map(str::to_owned))
            .collect();
        names.sort_unstable();
        Ok(names)
    }

    async fn delete(&self, key: &ObjectKey) -> Result<(), ObjectStorageError> {
        let attempt = Attempt::on(&self.uri, Verb::Delete, key);
        let path = self.path(Some(key), &attempt)?;
        match self.store.delete(&path).await {
            Ok(()) => Ok(()),
            Err(error) => match error::map(&attempt, error) {
                ObjectStorageError::NotFound { .. } => Ok(()),
                mapped => Err(mapped),
            },
        }
    }

    /// Free bytes are unknown; used bytes are unknown past ten thousand objects.
    async fn usage(&self) -> Result<StorageUsage, ObjectStorageError> {
        let attempt = Attempt::new(&self.uri, Verb::Measure);
        let mut objects = self.listed(&ListOptions::default(), &attempt)?.enumerate();
        let mut used = 0_u64;
        while let Some((count, object)) = objects.next().await {
            if count == MOST_COUNTED {
                return Ok(StorageUsage::default());
            }
            used = used.saturating_add(object.map_err(|error| error::map(&attempt, error))?.size);
        }
        Ok(StorageUsage { used_bytes: Some(used), free_bytes: None })
    }

    async fn probe(&self) -> Result<StorageProbe, ObjectStorageError> {
        // A handle that has not learned anything tries again what an earlier probe saw fail.
        let trusting = Self { seen: Arc::new(Mutex::new(PROMISED)), ..self.clone() };
        let found = probe::probe(&trusting, PROMISED).await?;
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = found.capabilities;
        Ok(found)
    }

    async fn immutability(&self, key: &ObjectKey) -> Result<Immutability, ObjectStorageError> {
        self.head(key).await.map(|_| Immutability::Unknown)
    }
}

impl RemoteStorage {
    /// Storages, and the memory too, differ in how they refuse a range that begins past the end.
    async fn range_error(
        &self,
        attempt: &Attempt<'_>,
        error: object_store::Error,
        range: &Range<u64>,
    ) -> ObjectStorageError {
        let mapped = error::map(attempt, error);
        match (&mapped, attempt.key) {
            (ObjectStorageError::Internal { .. } | ObjectStorageError::InvalidInput { .. }, Some(key)) => {
                match self.head(key).await {
                    Ok(meta) if meta.size < range.end => attempt.invalid(past_the_end(range)),
                    Ok(_) | Err(_) => mapped,
                }
            }
            _ => mapped,
        }
    }
}
