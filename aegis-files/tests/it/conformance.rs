//! What every driver must do.

use std::{fs, path::PathBuf, sync::Arc, time::Duration};

use aegis_core::{
    engine::SystemClock,
    model::{
        ClusterName, NamespaceName, RecordRef, RestoreTarget, StorageUri, TenantId, Timestamp,
        VerificationLevel,
    },
    seams::{BackupDriver, Clock},
    testing::conformance::driver::{DriverBench, DriverHarness},
};
use async_trait::async_trait;

use crate::{
    common::{Bench, PASSWORD, name, tenant},
    damage::{smallest_pack, spoil},
};

struct Files;

#[async_trait]
impl DriverHarness for Files {
    async fn fresh(&self) -> Option<Box<dyn DriverBench>> {
        Some(Box::new(Bench::new()))
    }
}

impl Bench {
    fn place(&self, target: &RestoreTarget) -> PathBuf {
        match target {
            RestoreTarget::Namespace(name) => self.path("data").join(name.as_str()),
            RestoreTarget::Path(path) => PathBuf::from(path),
        }
    }
}

#[async_trait]
impl DriverBench for Bench {
    fn driver(&self) -> Arc<dyn BackupDriver> {
        Arc::new(self.driver.clone())
    }

    async fn restart(&self) -> Option<Arc<dyn BackupDriver>> {
        Some(Arc::new(self.restarted()))
    }

    fn tenant(&self) -> TenantId {
        tenant()
    }

    fn cluster(&self) -> ClusterName {
        ClusterName::new("local").unwrap()
    }

    fn location(&self) -> StorageUri {
        self.storage.uri().clone()
    }

    fn namespaces(&self) -> [NamespaceName; 2] {
        [name("docs"), name("other")]
    }

    fn restore_folder(&self) -> Option<String> {
        Some(self.path("restores/folder").to_str()?.to_owned())
    }

    fn now(&self) -> Timestamp {
        SystemClock::new().now()
    }

    async fn wait(&self) {
        SystemClock::new().sleep(Duration::from_millis(5)).await;
    }

    async fn write(&self, target: &RestoreTarget, path: &str, bytes: &[u8]) {
        let path = self.place(target).join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    async fn remove(&self, target: &RestoreTarget, path: &str) {
        fs::remove_file(self.place(target).join(path)).unwrap();
    }

    async fn read(&self, target: &RestoreTarget, path: &str) -> Option<Vec<u8>> {
        fs::read(self.place(target).join(path)).ok()
    }

    async fn damage(&self, record: &RecordRef, level: VerificationLevel) -> bool {
        match level {
            VerificationLevel::Present => {
                fs::remove_file(self.path("store/repository/snapshots").join(&record.handle)).unwrap();
            }
            // Every later level reads the same bytes, and the next backup builds on them unread.
            VerificationLevel::Checksummed | VerificationLevel::Structured | VerificationLevel::Restored => {
                spoil(smallest_pack(self));
            }
            VerificationLevel::Catalogued | VerificationLevel::Proven => return false,
        }
        true
    }

    fn secret(&self) -> Option<String> {
        Some(PASSWORD.to_owned())
    }
}

aegis_core::driver_conformance!(Files);
