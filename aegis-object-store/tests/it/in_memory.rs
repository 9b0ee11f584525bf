use std::sync::Arc;

use aegis_core::{
    seams::ObjectStorage,
    testing::conformance::object_storage::{Fresh, ObjectStorageHarness},
};
use aegis_object_store::RemoteStorage;
use async_trait::async_trait;

struct InMemory;

#[async_trait]
impl ObjectStorageHarness for InMemory {
    async fn fresh(&self) -> Option<Fresh> {
        let storage = RemoteStorage::in_memory("s3://memory/a/prefix".parse().unwrap());
        Some(Fresh { storage: Arc::new(storage.clone()), guard: Box::new(storage) })
    }

    async fn reopen(&self, fresh: &Fresh) -> Arc<dyn ObjectStorage> {
        Arc::new(fresh.guard.downcast_ref::<RemoteStorage>().unwrap().clone())
    }
}

aegis_core::object_storage_conformance!(InMemory);
