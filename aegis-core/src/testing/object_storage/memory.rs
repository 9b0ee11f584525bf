//! The reference object storage, in memory.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    ops::{Bound, Range},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;

use crate::{
    model::{StorageUri, Timestamp},
    seams::{
        Clock, CompareAndSwap, Immutability, ListOptions, ObjectKey, ObjectMeta, ObjectPage, ObjectStorage,
        ObjectStorageError, ObjectVersion, PutMode, StorageCapabilities, StorageProbe, StorageUsage,
    },
};

/// Objects in memory: every mode, exact, deterministic, dated by the given clock.
///
/// Clones are handles to the same data. An optional capacity makes it fill up; locks can be set on
/// objects, which then refuse deletion and change until their time has come.
#[derive(Clone)]
pub struct MemoryObjectStorage {
    uri: StorageUri,
    clock: Arc<dyn Clock>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    objects: BTreeMap<ObjectKey, Object>,
    writes: u64,
    capacity: Option<u64>,
}

struct Object {
    bytes: Bytes,
    modified_at: Timestamp,
    /// The number of the write that made it.
    write: u64,
    locked_until: Option<Timestamp>,
}

impl MemoryObjectStorage {
    /// An empty storage that calls itself `uri`.
    #[must_use]
    pub fn new(uri: StorageUri, clock: Arc<dyn Clock>) -> Self {
        Self { uri, clock, state: Arc::default() }
    }

    /// From now on, at most `bytes` bytes fit in; what would exceed them is refused as full.
    pub fn set_capacity(&self, bytes: u64) {
        self.state().capacity = Some(bytes);
    }

    /// Locks an object against deletion and change until an instant; does nothing if it is absent.
    pub fn lock_until(&self, key: &ObjectKey, until: Timestamp) {
        if let Some(object) = self.state().objects.get_mut(key) {
            object.locked_until = Some(until);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No step below leaves the map half changed, so a panicked holder harms nothing.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn not_found(&self, key: &ObjectKey) -> ObjectStorageError {
        ObjectStorageError::NotFound { location: self.uri.clone(), key: key.to_string() }
    }

    fn refuse_locked(&self, key: &ObjectKey, object: &Object) -> Result<(), ObjectStorageError> {
        match object.locked_until {
            Some(until) if until > self.clock.now() => Err(ObjectStorageError::Locked {
                location: self.uri.clone(),
                key: key.to_string(),
                until: Some(until),
            }),
            Some(_) | None => Ok(()),
        }
    }

    fn refuse_mode(
        &self,
        key: &ObjectKey,
        found: Option<&Object>,
        mode: &PutMode,
    ) -> Result<(), ObjectStorageError> {
        let (location, name) = (self.uri.clone(), key.to_string());
        match (mode, found) {
            (PutMode::Create, Some(_)) => Err(ObjectStorageError::AlreadyExists { location, key: name }),
            (PutMode::Update(expected), found) if found.map(version).as_ref() != Some(expected) => {
                Err(ObjectStorageError::VersionConflict { location, key: name })
            }
            (PutMode::Overwrite | PutMode::Update(_), Some(found)) => self.refuse_locked(key, found),
            (PutMode::Overwrite | PutMode::Update(_) | PutMode::Create, None) => Ok(()),
        }
    }
}

impl State {
    fn used(&self) -> u64 {
        self.objects.values().map(|object| length(&object.bytes)).sum()
    }

    fn fits(&self, key: &ObjectKey, bytes: &Bytes) -> bool {
        let replaced = self.objects.get(key).map_or(0, |object| length(&object.bytes));
        self.capacity.is_none_or(|capacity| self.used() - replaced + length(bytes) <= capacity)
    }
}

impl fmt::Debug for MemoryObjectStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryObjectStorage").field("uri", &self.uri.to_string()).finish_non_exhaustive()
    }
}

fn version(object: &Object) -> ObjectVersion {
    ObjectVersion { e_tag: Some(object.write.to_string()), version: None }
}

fn meta(key: &ObjectKey, object: &Object) -> ObjectMeta {
    ObjectMeta {
        key: key.clone(),
        size: length(&object.bytes),
        modified_at: object.modified_at,
        version: version(object),
    }
}

fn length(bytes: &Bytes) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

/// What follows `prefix/` in a key; all of it without a prefix.
fn below<'a>(key: &'a ObjectKey, prefix: Option<&ObjectKey>) -> Option<&'a str> {
    match prefix {
        None => Some(key.as_str()),
        Some(prefix) => key.as_str().strip_prefix(prefix.as_str())?.strip_prefix('/'),
    }
}

#[async_trait]
impl ObjectStorage for MemoryObjectStorage {
    fn uri(&self) -> &StorageUri {
        &self.uri
    }

    fn capabilities(&self) -> StorageCapabilities {
        StorageCapabilities {
            conditional_create: true,
            compare_and_swap: CompareAndSwap::Native,
            reports_immutability: true,
        }
    }

    async fn put(
        &self,
        key: &ObjectKey,
        bytes: Bytes,
        mode: PutMode,
    ) -> Result<ObjectVersion, ObjectStorageError> {
        let mut state = self.state();
        self.refuse_mode(key, state.objects.get(key), &mode)?;
        if !state.fits(key, &bytes) {
            return Err(ObjectStorageError::Full {
                location: self.uri.clone(),
                action: format!("write `{key}`"),
                source: "the set capacity is used up".into(),
            });
        }
        state.writes += 1;
        let object = Object { bytes, modified_at: self.clock.now(), write: state.writes, locked_until: None };
        let version = version(&object);
        state.objects.insert(key.clone(), object);
        Ok(version)
    }

    async fn get(&self, key: &ObjectKey) -> Result<(ObjectMeta, Bytes), ObjectStorageError> {
        let state = self.state();
        let object = state.objects.get(key).ok_or_else(|| self.not_found(key))?;
        Ok((meta(key, object), object.bytes.clone()))
    }

    async fn get_range(&self, key: &ObjectKey, range: Range<u64>) -> Result<Bytes, ObjectStorageError> {
        let (_, bytes) = self.get(key).await?;
        let (start, end) = (usize::try_from(range.start), usize::try_from(range.end));
        match (start, end) {
            (Ok(start), Ok(end)) if start <= end && end <= bytes.len() => Ok(bytes.slice(start..end)),
            _ => Err(ObjectStorageError::InvalidInput {
                location: self.uri.clone(),
                action: format!("read `{key}`"),
                reason: format!("it has {} bytes, not {}..{}", bytes.len(), range.start, range.end),
            }),
        }
    }

    async fn head(&self, key: &ObjectKey) -> Result<ObjectMeta, ObjectStorageError> {
        self.state().objects.get(key).map(|object| meta(key, object)).ok_or_else(|| self.not_found(key))
    }

    async fn list(&self, options: &ListOptions) -> Result<ObjectPage, ObjectStorageError> {
        let state = self.state();
        let from = options.after.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let mut found = state
            .objects
            .range((from, Bound::Unbounded))
            .filter(|(key, _)| below(key, options.prefix.as_ref()).is_some())
            .map(|(key, object)| meta(key, object));
        let objects: Vec<_> = found.by_ref().take(options.limit.max(1)).collect();
        let next = found.next().and(objects.last()).map(|last| last.key.clone());
        Ok(ObjectPage { objects, next })
    }

    async fn folders(&self, prefix: Option<&ObjectKey>) -> Result<Vec<String>, ObjectStorageError> {
        let state = self.state();
        let names: BTreeSet<&str> = state
            .objects
            .keys()
            .filter_map(|key| below(key, prefix)?.split_once('/').map(|(folder, _)| folder))
            .collect();
        Ok(names.into_iter().map(str::to_owned).collect())
    }

    async fn delete(&self, key: &ObjectKey) -> Result<(), ObjectStorageError> {
        let mut state = self.state();
        if let Some(object) = state.objects.get(key) {
            self.refuse_locked(key, object)?;
            state.objects.remove(key);
        }
        Ok(())
    }

    async fn usage(&self) -> Result<StorageUsage, ObjectStorageError> {
        let state = self.state();
        let used = state.used();
        let free_bytes = state.capacity.map(|capacity| capacity.saturating_sub(used));
        Ok(StorageUsage { used_bytes: Some(used), free_bytes })
    }

    async fn probe(&self) -> Result<StorageProbe, ObjectStorageError> {
        Ok(StorageProbe { capabilities: self.capabilities(), round_trip: Duration::ZERO })
    }

    async fn immutability(&self, key: &ObjectKey) -> Result<Immutability, ObjectStorageError> {
        let state = self.state();
        let object = state.objects.get(key).ok_or_else(|| self.not_found(key))?;
        match object.locked_until {
            Some(until) if until > self.clock.now() => Ok(Immutability::Until(until)),
            Some(_) | None => Ok(Immutability::None),
        }
    }
}
