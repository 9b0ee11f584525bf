use std::sync::Arc;

use aegis_core::{
    seams::ObjectStorage,
    testing::conformance::object_storage::{Fresh, ObjectStorageHarness},
};
use aegis_object_store::{Durability, LocalStorage};
use async_trait::async_trait;

struct Local(Durability);

#[async_trait]
impl ObjectStorageHarness for Local {
    async fn fresh(&self) -> Option<Fresh> {
        let folder = tempfile::tempdir().unwrap();
        let uri = format!("file://{}/objects", folder.path().display()).parse().unwrap();
        let storage = Arc::new(LocalStorage::open(&uri, self.0).unwrap());
        Some(Fresh { storage, guard: Box::new(folder) })
    }

    async fn reopen(&self, fresh: &Fresh) -> Arc<dyn ObjectStorage> {
        Arc::new(LocalStorage::open(fresh.storage.uri(), self.0).unwrap())
    }
}

mod synced {
    use super::*;

    aegis_core::object_storage_conformance!(Local(Durability::Synced));
}

mod buffered {
    use super::*;

    aegis_core::object_storage_conformance!(Local(Durability::Buffered));
}
