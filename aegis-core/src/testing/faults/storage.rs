//! An object storage that fails to order.

use std::{ops::Range, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;

use super::{
    call::{Answers, Faulty, ask, cause, change},
    plan::{FaultPlan, FaultPoint},
};
use crate::{
    model::StorageUri,
    seams::{
        Immutability, ListOptions, ObjectKey, ObjectMeta, ObjectPage, ObjectStorage, ObjectStorageError,
        ObjectVersion, PutMode, StorageCapabilities, StorageProbe, StorageUsage,
    },
};

/// Another object storage, whose calls go wrong as a [`FaultPlan`] says.
#[derive(Debug)]
pub struct FaultyStorage<S: ?Sized> {
    plan: FaultPlan,
    answers: Answers,
    inner: Arc<S>,
}

impl<S: ObjectStorage + ?Sized> FaultyStorage<S> {
    /// Makes the calls to `inner` go wrong.
    #[must_use]
    pub fn new(inner: Arc<S>, plan: FaultPlan) -> Self {
        Self { plan, answers: Answers::default(), inner }
    }
}

impl<S: ObjectStorage + ?Sized> Faulty for FaultyStorage<S> {
    type Error = ObjectStorageError;

    fn plan(&self) -> &FaultPlan {
        &self.plan
    }

    fn answers(&self) -> &Answers {
        &self.answers
    }

    fn unavailable(&self, point: FaultPoint, why: &'static str) -> ObjectStorageError {
        let (location, action) = (self.uri().clone(), point.to_string());
        ObjectStorageError::Unavailable { location, action, source: cause(why) }
    }

    fn indeterminate(&self, point: FaultPoint) -> ObjectStorageError {
        let (location, action) = (self.uri().clone(), point.to_string());
        ObjectStorageError::Indeterminate { location, action, source: cause("a fault was injected") }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: ObjectStorage + ?Sized> ObjectStorage for FaultyStorage<S> {
    fn uri(&self) -> &StorageUri {
        self.inner.uri()
    }

    fn capabilities(&self) -> StorageCapabilities {
        self.inner.capabilities()
    }

    async fn put(
        &self,
        key: &ObjectKey,
        bytes: Bytes,
        mode: PutMode,
    ) -> Result<ObjectVersion, ObjectStorageError> {
        change(self, FaultPoint::Put, || self.inner.put(key, bytes.clone(), mode.clone())).await
    }

    async fn get(&self, key: &ObjectKey) -> Result<(ObjectMeta, Bytes), ObjectStorageError> {
        ask(self, FaultPoint::StorageRead, || format!("get {key}"), || self.inner.get(key)).await
    }

    async fn get_range(&self, key: &ObjectKey, range: Range<u64>) -> Result<Bytes, ObjectStorageError> {
        let question = || format!("get {key} {range:?}");
        ask(self, FaultPoint::StorageRead, question, || self.inner.get_range(key, range.clone())).await
    }

    async fn head(&self, key: &ObjectKey) -> Result<ObjectMeta, ObjectStorageError> {
        ask(self, FaultPoint::StorageRead, || format!("head {key}"), || self.inner.head(key)).await
    }

    async fn list(&self, options: &ListOptions) -> Result<ObjectPage, ObjectStorageError> {
        let question = || format!("list {options:?}");
        ask(self, FaultPoint::StorageRead, question, || self.inner.list(options)).await
    }

    async fn folders(&self, prefix: Option<&ObjectKey>) -> Result<Vec<String>, ObjectStorageError> {
        let question = || format!("folders {prefix:?}");
        ask(self, FaultPoint::StorageRead, question, || self.inner.folders(prefix)).await
    }

    async fn delete(&self, key: &ObjectKey) -> Result<(), ObjectStorageError> {
        change(self, FaultPoint::Delete, || self.inner.delete(key)).await
    }

    async fn usage(&self) -> Result<StorageUsage, ObjectStorageError> {
        ask(self, FaultPoint::StorageRead, || "usage".to_owned(), || self.inner.usage()).await
    }

    async fn probe(&self) -> Result<StorageProbe, ObjectStorageError> {
        change(self, FaultPoint::Put, || self.inner.probe()).await
    }

    async fn immutability(&self, key: &ObjectKey) -> Result<Immutability, ObjectStorageError> {
        let question = || format!("immutability {key}");
        ask(self, FaultPoint::StorageRead, question, || self.inner.immutability(key)).await
    }
}
