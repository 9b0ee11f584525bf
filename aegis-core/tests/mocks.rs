//! The mocks stand in for the seams.
#![cfg(feature = "mocks")]

use std::sync::Arc;

use aegis_core::{
    model::{NamespaceName, Position, Timestamp},
    seams::{
        BackupDriver, Clock, MockBackupDriver, MockClock, MockNotifier, MockObjectStorage, MockStore,
        Notifier, ObjectStorage, StorageUsage, Store,
    },
};

#[tokio::test]
async fn each_seam_has_a_mock_that_answers_as_told() {
    let mut clock = MockClock::new();
    clock.expect_now().return_const(Timestamp::UNIX_EPOCH);
    let clock: Arc<dyn Clock> = Arc::new(clock);
    assert_eq!(clock.now(), Timestamp::UNIX_EPOCH);

    let mut driver = MockBackupDriver::new();
    driver.expect_namespaces().once().returning(|| Ok(vec![NamespaceName::new("app").unwrap()]));
    let driver: Arc<dyn BackupDriver> = Arc::new(driver);
    assert_eq!(driver.namespaces().await.unwrap().len(), 1);

    let mut store = MockStore::new();
    store.expect_reader_position().withf(|name| name == "mail").returning(|_| Ok(Position(7)));
    let store: Arc<dyn Store> = Arc::new(store);
    assert_eq!(store.reader_position("mail").await.unwrap(), Position(7));

    let mut storage = MockObjectStorage::new();
    storage.expect_usage().returning(|| Ok(StorageUsage::default()));
    storage.expect_folders().returning(|_| Ok(vec!["repository".to_owned()]));
    let storage: Arc<dyn ObjectStorage> = Arc::new(storage);
    assert_eq!(storage.usage().await.unwrap(), StorageUsage::default());
    assert_eq!(storage.folders(None).await.unwrap(), ["repository"]);

    let mut notifier = MockNotifier::new();
    notifier.expect_name().return_const("mail".to_owned());
    let notifier: Arc<dyn Notifier> = Arc::new(notifier);
    assert_eq!(notifier.name(), "mail");
}
