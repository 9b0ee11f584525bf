//! The mock that mockall can't derive from its trait, for a lifetime inside of an `Option`.

use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;

use super::{
    Immutability, ListOptions, ObjectKey, ObjectMeta, ObjectPage, ObjectStorage, ObjectStorageError,
    ObjectVersion, PutMode, StorageCapabilities, StorageProbe, StorageUsage,
};
use crate::model::StorageUri;

mockall::mock! {
    /// A mock of [`ObjectStorage`]; `folders` expects its prefix by value.
    #[derive(Debug)]
    pub ObjectStorage {
        pub fn uri(&self) -> &StorageUri;
        pub fn capabilities(&self) -> StorageCapabilities;
        pub fn put(&self, key: &ObjectKey, bytes: Bytes, mode: PutMode) -> Result<ObjectVersion, ObjectStorageError>;
        pub fn get(&self, key: &ObjectKey) -> Result<(ObjectMeta, Bytes), ObjectStorageError>;
        pub fn get_range(&self, key: &ObjectKey, range: Range<u64>) -> Result<Bytes, ObjectStorageError>;
        pub fn head(&self, key: &ObjectKey) -> Result<ObjectMeta, ObjectStorageError>;
        pub fn list(&self, options: &ListOptions) -> Result<ObjectPage, ObjectStorageError>;
        pub fn folders(&self, prefix: Option<ObjectKey>) -> Result<Vec<String>, ObjectStorageError>;
        pub fn delete(&self, key: &ObjectKey) -> Result<(), ObjectStorageError>;
        pub fn usage(&self) -> Result<StorageUsage, ObjectStorageError>;
        pub fn probe(&self) -> Result<StorageProbe, ObjectStorageError>;
        pub fn immutability(&self, key: &ObjectKey) -> Result<Immutability, ObjectStorageError>;
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ObjectStorage for MockObjectStorage {
    fn uri(&self) -> &StorageUri {
        Self::uri(self)
    }

    fn capabilities(&self) -> StorageCapabilities {
        Self::capabilities(self)
    }

    async fn put(
        &self,
        key: &ObjectKey,
        bytes: Bytes,
        mode: PutMode,
    ) -> Result<ObjectVersion, ObjectStorageError> {
        Self::put(self, key, bytes, mode)
    }

    async fn get(&self, key: &ObjectKey) -> Result<(ObjectMeta, Bytes), ObjectStorageError> {
        Self::get(self, key)
    }

    async fn get_range(&self, key: &ObjectKey, range: Range<u64>) -> Result<Bytes, ObjectStorageError> {
        Self::get_range(self, key, range)
    }

    async fn head(&self, key: &ObjectKey) -> Result<ObjectMeta, ObjectStorageError> {
        Self::head(self, key)
    }

    async fn list(&self, options: &ListOptions) -> Result<ObjectPage, ObjectStorageError> {
        Self::list(self, options)
    }

    async fn folders(&self, prefix: Option<&ObjectKey>) -> Result<Vec<String>, ObjectStorageError> {
        Self::folders(self, prefix.cloned())
    }

    async fn delete(&self, key: &ObjectKey) -> Result<(), ObjectStorageError> {
        Self::delete(self, key)
    }

    async fn usage(&self) -> Result<StorageUsage, ObjectStorageError> {
        Self::usage(self)
    }

    async fn probe(&self) -> Result<StorageProbe, ObjectStorageError> {
        Self::probe(self)
    }

    async fn immutability(&self, key: &ObjectKey) -> Result<Immutability, ObjectStorageError> {
        Self::immutability(self, key)
    }
}
