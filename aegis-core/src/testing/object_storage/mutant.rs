//! Object storages that break one rule each: what proves that the conformance suite sees it.

use std::{collections::BTreeSet, ops::Range, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;

use crate::{
    model::StorageUri,
    seams::{
        CompareAndSwap, ErrorClass, Immutability, ListOptions, ObjectKey, ObjectMeta, ObjectPage,
        ObjectStorage, ObjectStorageError, ObjectVersion, PutMode, StorageCapabilities, StorageProbe,
        StorageUsage,
    },
};

/// Which rule is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ObjectStorageMutation {
    /// Reads answer the bytes in upper case.
    CorruptsBytes,
    /// `Overwrite` leaves what is there and says it was written.
    KeepsOldBytes,
    /// `Create` replaces what exists.
    CreateReplaces,
    /// `Update` always finds a conflict.
    UpdateNeverMatches,
    /// `Update` does not compare what is there.
    UpdateIgnoresVersion,
    /// `Update` brings back what is gone.
    UpdateRevives,
    /// `Update` compares, pauses, and then writes.
    UpdateIsNotAtomic,
    /// `Create` looks, pauses, and then writes.
    CreateIsNotAtomic,
    /// `delete` refuses what is not there.
    DeleteRefusesAbsent,
    /// `delete` does nothing.
    DeleteDoesNothing,
    /// Objects without bytes are not kept.
    LosesEmptyObjects,
    /// Objects are cut after 8 MiB.
    CutsLargeObjects,
    /// What is absent reads as an empty object.
    AbsentReadsEmpty,
    /// `head` answers a size of one byte less.
    HeadMiscounts,
    /// `head` answers a version of its own.
    HeadVersionDiffers,
    /// Ranges include their end.
    RangeIncludesEnd,
    /// Ranges are cut at the object's end.
    RangeIsCut,
    /// A write is there by half before it is there whole.
    WritesInHalves,
    /// Lists are in reverse order.
    ListsBackwards,
    /// The next page begins with the last object of this one.
    PagesOverlap,
    /// Lists end with the first page.
    ListsOnePage,
    /// Prefixes match any text.
    PrefixIsText,
    /// Names are cut to ASCII.
    NamesAreAscii,
    /// Names are decoded as URLs.
    NamesAreDecoded,
    /// Folders include those further down.
    FoldersAreDeep,
    /// Folders remain when they are empty.
    FoldersRemain,
    /// Says that it can't swap, and does.
    DeniesSwapping,
    /// A probe leaves its object.
    ProbeLeavesObject,
    /// Nothing is ever used.
    UsageIsZero,
    /// Declared to tell immutability, and does not.
    ImmutabilityIsUntold,
    /// Errors do not name the object.
    ErrorsAreVague,
    /// A restart loses everything; the harness that reopens has to do it.
    ForgetsOnRestart,
}

/// Another storage, with one rule broken.
#[derive(Debug)]
pub struct MutantObjectStorage {
    inner: Arc<dyn ObjectStorage>,
    mutation: ObjectStorageMutation,
}

impl MutantObjectStorage {
    /// Breaks `mutation` of what `inner` does right.
    #[must_use]
    pub fn new(inner: Arc<dyn ObjectStorage>, mutation: ObjectStorageMutation) -> Self {
        Self { inner, mutation }
    }

    fn is(&self, mutation: ObjectStorageMutation) -> bool {
        self.mutation == mutation
    }

    /// The key under which a mutant that mistreats names keeps an object.
    fn name(&self, key: &ObjectKey) -> ObjectKey {
        let text = match self.mutation {
            ObjectStorageMutation::NamesAreAscii => key.as_str().replace(|c: char| !c.is_ascii(), "_"),
            ObjectStorageMutation::NamesAreDecoded => key.as_str().replace("%2e", "."),
            _ => return key.clone(),
        };
        ObjectKey::new(text.replace("..", "up")).unwrap_or_else(|_| key.clone())
    }

    async fn put_after_a_pause(
        &self,
        key: &ObjectKey,
        bytes: Bytes,
    ) -> Result<ObjectVersion, ObjectStorageError> {
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        self.inner.put(key, bytes, PutMode::Overwrite).await
    }

    async fn mutated_create(
        &self,
        key: &ObjectKey,
        bytes: Bytes,
    ) -> Result<ObjectVersion, ObjectStorageError> {
        match self.mutation {
            ObjectStorageMutation::CreateReplaces => self.inner.put(key, bytes, PutMode::Overwrite).await,
            ObjectStorageMutation::CreateIsNotAtomic if self.inner.head(key).await.is_err() => {
                self.put_after_a_pause(key, bytes).await
            }
            _ => self.inner.put(key, bytes, PutMode::Create).await,
        }
    }

    async fn mutated_update(
        &self,
        key: &ObjectKey,
        bytes: Bytes,
        version: ObjectVersion,
    ) -> Result<ObjectVersion, ObjectStorageError> {
        let found = self.inner.head(key).await.ok();
        match (self.mutation, found) {
            (ObjectStorageMutation::UpdateNeverMatches, _) => Err(ObjectStorageError::VersionConflict {
                location: self.uri().clone(),
                key: key.to_string(),
            }),
            (ObjectStorageMutation::UpdateIgnoresVersion, Some(_))
            | (ObjectStorageMutation::UpdateRevives, None) => {
                self.inner.put(key, bytes, PutMode::Overwrite).await
            }
            (ObjectStorageMutation::UpdateIsNotAtomic, Some(found)) if found.version == version => {
                self.put_after_a_pause(key, bytes).await
            }
            _ => self.inner.put(key, bytes, PutMode::Update(version)).await,
        }
    }

    async fn mutated_overwrite(
        &self,
        key: &ObjectKey,
        mut bytes: Bytes,
    ) -> Result<ObjectVersion, ObjectStorageError> {
        match self.mutation {
            ObjectStorageMutation::KeepsOldBytes => {
                if let Ok(found) = self.inner.head(key).await {
                    return Ok(found.version);
                }
            }
            ObjectStorageMutation::CutsLargeObjects => bytes.truncate(8 << 20),
            ObjectStorageMutation::LosesEmptyObjects if bytes.is_empty() => {
                return Ok(ObjectVersion { e_tag: None, version: None });
            }
            ObjectStorageMutation::WritesInHalves => {
                self.inner.put(key, bytes.slice(..bytes.len() / 2), PutMode::Overwrite).await?;
                return self.put_after_a_pause(key, bytes).await;
            }
            ObjectStorageMutation::FoldersRemain => {
                if let Some((folder, _)) = key.as_str().rsplit_once('/') {
                    let marker = ObjectKey::new(format!("{folder}/.folder"));
                    if let Ok(marker) = marker {
                        self.inner.put(&marker, Bytes::new(), PutMode::Overwrite).await?;
                    }
                }
            }
            _ => {}
        }
        self.inner.put(key, bytes, PutMode::Overwrite).await
    }

    /// What a mutant makes of the failure to find something.
    fn mutated_error(&self, error: ObjectStorageError) -> ObjectStorageError {
        match error {
            ObjectStorageError::NotFound { location, .. }
                if self.is(ObjectStorageMutation::ErrorsAreVague) =>
            {
                ObjectStorageError::NotFound { location, key: String::new() }
            }
            error => error,
        }
    }
}

#[async_trait]
impl ObjectStorage for MutantObjectStorage {
    fn uri(&self) -> &StorageUri {
        self.inner.uri()
    }

    fn capabilities(&self) -> StorageCapabilities {
        let mut capabilities = self.inner.capabilities();
        if self.is(ObjectStorageMutation::DeniesSwapping) {
            capabilities.compare_and_swap = CompareAndSwap::Unsupported;
        }
        capabilities
    }

    async fn put(
        &self,
        key: &ObjectKey,
        bytes: Bytes,
        mode: PutMode,
    ) -> Result<ObjectVersion, ObjectStorageError> {
        let key = self.name(key);
        match mode {
            PutMode::Overwrite => self.mutated_overwrite(&key, bytes).await,
            PutMode::Create => self.mutated_create(&key, bytes).await,
            PutMode::Update(version) => self.mutated_update(&key, bytes, version).await,
        }
    }

    async fn get(&self, key: &ObjectKey) -> Result<(ObjectMeta, Bytes), ObjectStorageError> {
        match self.inner.get(&self.name(key)).await {
            Ok((meta, bytes)) if self.is(ObjectStorageMutation::CorruptsBytes) => {
                Ok((meta, bytes.to_ascii_uppercase().into()))
            }
            Err(error)
                if self.is(ObjectStorageMutation::AbsentReadsEmpty)
                    && error.class() == ErrorClass::NotFound =>
            {
                let version = ObjectVersion { e_tag: None, version: None };
                let modified_at = crate::model::Timestamp::UNIX_EPOCH;
                Ok((ObjectMeta { key: key.clone(), size: 0, modified_at, version }, Bytes::new()))
            }
            answer => answer.map_err(|error| self.mutated_error(error)),
        }
    }

    async fn get_range(&self, key: &ObjectKey, mut range: Range<u64>) -> Result<Bytes, ObjectStorageError> {
        match self.mutation {
            ObjectStorageMutation::RangeIncludesEnd => range.end += 1,
            ObjectStorageMutation::RangeIsCut => {
                let size = self.inner.head(key).await?.size;
                range = range.start.min(size)..range.end.min(size);
            }
            _ => {}
        }
        self.inner.get_range(&self.name(key), range).await
    }

    async fn head(&self, key: &ObjectKey) -> Result<ObjectMeta, ObjectStorageError> {
        let mut meta = self.inner.head(&self.name(key)).await?;
        match self.mutation {
            ObjectStorageMutation::HeadMiscounts => meta.size = meta.size.saturating_sub(1),
            ObjectStorageMutation::HeadVersionDiffers => meta.version.version = Some("head".to_owned()),
            _ => {}
        }
        Ok(meta)
    }

    async fn list(&self, options: &ListOptions) -> Result<ObjectPage, ObjectStorageError> {
        let mut options = options.clone();
        let prefix = options.prefix.take_if(|_| self.is(ObjectStorageMutation::PrefixIsText));
        let mut page = self.inner.list(&options).await?;
        match self.mutation {
            ObjectStorageMutation::PrefixIsText => {
                let prefix = prefix.as_ref().map_or("", ObjectKey::as_str);
                page.objects.retain(|object| object.key.as_str().starts_with(prefix));
            }
            ObjectStorageMutation::ListsBackwards => page.objects.reverse(),
            ObjectStorageMutation::ListsOnePage => page.next = None,
            ObjectStorageMutation::PagesOverlap if page.next.is_some() && page.objects.len() > 1 => {
                page.next = page.objects.iter().rev().nth(1).map(|object| object.key.clone());
            }
            _ => {}
        }
        Ok(page)
    }

    async fn folders(&self, prefix: Option<&ObjectKey>) -> Result<Vec<String>, ObjectStorageError> {
        let mut folders: BTreeSet<String> = self.inner.folders(prefix).await?.into_iter().collect();
        if self.is(ObjectStorageMutation::FoldersAreDeep) {
            let below = ListOptions { prefix: prefix.cloned(), ..ListOptions::default() };
            for object in self.inner.list(&below).await?.objects {
                folders.extend(object.key.as_str().split('/').rev().skip(1).map(str::to_owned));
            }
        }
        Ok(folders.into_iter().collect())
    }

    async fn delete(&self, key: &ObjectKey) -> Result<(), ObjectStorageError> {
        match self.mutation {
            ObjectStorageMutation::DeleteDoesNothing => return Ok(()),
            ObjectStorageMutation::DeleteRefusesAbsent => {
                self.inner.head(key).await?;
            }
            _ => {}
        }
        self.inner.delete(&self.name(key)).await
    }

    async fn usage(&self) -> Result<StorageUsage, ObjectStorageError> {
        let mut usage = self.inner.usage().await?;
        if self.is(ObjectStorageMutation::UsageIsZero) {
            usage.used_bytes = Some(0);
        }
        Ok(usage)
    }

    async fn probe(&self) -> Result<StorageProbe, ObjectStorageError> {
        if self.is(ObjectStorageMutation::ProbeLeavesObject)
            && let Ok(key) = ObjectKey::new(".aegis-probe/left")
        {
            self.inner.put(&key, Bytes::new(), PutMode::Overwrite).await?;
        }
        self.inner.probe().await
    }

    async fn immutability(&self, key: &ObjectKey) -> Result<Immutability, ObjectStorageError> {
        let told = self.inner.immutability(&self.name(key)).await?;
        Ok(if self.is(ObjectStorageMutation::ImmutabilityIsUntold) { Immutability::Unknown } else { told })
    }
}
