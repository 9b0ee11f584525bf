//! A driver with a small machine around it: directories to protect, a place to restore to, storage.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use aegis_core::{
    engine::SystemClock,
    model::{
        ArtifactName, BackupKind, ClusterName, DisplayName, ExistingResourcePolicy, Labels, NamespaceName,
        OperationId, RecordId, RecordRef, RestoreOptions, RestoreTarget, StorageUri, TenantId,
        VerificationLevel,
    },
    seams::{
        BackupDriver, BackupResult, BackupWork, Clock, DeleteWork, DriverError, InventoryItem,
        InventoryRequest, ObjectStorage, Observation, Operation, Outcome, RestorePurpose, RestoreResult,
        RestoreWork, VerifyResult, VerifyWork, Work, WorkResult,
    },
};
use aegis_files::{FileSet, FilesDriver, FilesDriverBuilder, PasswordSource};
use aegis_object_store::{Durability, LocalStorage};
use futures::StreamExt;
use secrecy::SecretString;
use uuid::Uuid;

pub const PASSWORD: &str = "correct horse battery staple";

pub struct Bench {
    pub temp: tempfile::TempDir,
    pub storage: Arc<dyn ObjectStorage>,
    pub driver: FilesDriver,
}

pub fn name(text: &str) -> NamespaceName {
    NamespaceName::new(text).unwrap()
}

pub fn password() -> PasswordSource {
    PasswordSource::Given(SecretString::from(PASSWORD.to_owned()))
}

pub fn local(path: &Path) -> Arc<dyn ObjectStorage> {
    let uri: StorageUri = format!("file://{}/", path.display()).parse().unwrap();
    Arc::new(LocalStorage::open(&uri, Durability::Buffered).unwrap())
}

impl Bench {
    /// With local storage.
    pub fn new() -> Self {
        let temp = tempfile::tempdir().unwrap();
        let storage = local(&temp.path().join("store"));
        Self::over(temp, storage)
    }

    /// With this storage.
    pub fn over(temp: tempfile::TempDir, storage: Arc<dyn ObjectStorage>) -> Self {
        for folder in ["docs", "other"] {
            fs::create_dir_all(temp.path().join("data").join(folder)).unwrap();
        }
        let driver = builder(temp.path()).storage(Arc::clone(&storage), password()).build().unwrap();
        Self { temp, storage, driver }
    }

    /// The same machine after the process has ended: nothing is remembered.
    pub fn restarted(&self) -> FilesDriver {
        builder(self.temp.path()).storage(Arc::clone(&self.storage), password()).build().unwrap()
    }

    pub fn path(&self, relative: &str) -> PathBuf {
        self.temp.path().join(relative)
    }

    /// Where the namespace `docs` lies.
    pub fn docs(&self) -> PathBuf {
        self.path("data/docs")
    }

    pub fn write(&self, relative: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.docs().join(relative);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    pub fn backup_of(&self, kind: BackupKind, namespaces: &[&str]) -> Operation {
        let mut operation = backup_to(&self.storage, kind);
        if let Work::Backup(work) = &mut operation.work {
            work.namespaces = namespaces.iter().map(|text| name(text)).collect();
        }
        operation
    }

    pub async fn run(&self, operation: &Operation) -> Outcome {
        run(&self.driver, operation).await.unwrap()
    }

    /// Backs up `docs`; the outcome must hold a record.
    pub async fn back_up(&self, kind: BackupKind) -> (RecordRef, BackupResult, Outcome) {
        let operation = self.backup_of(kind, &["docs"]);
        let outcome = self.run(&operation).await;
        let WorkResult::Backup(result) = outcome.result.clone() else { panic!("no record: {outcome:?}") };
        (self.record(&operation, &result), result, outcome)
    }

    pub fn record(&self, operation: &Operation, result: &BackupResult) -> RecordRef {
        RecordRef {
            id: RecordId::from_uuid(operation.id.as_uuid()),
            cluster: operation.cluster.clone(),
            operation: operation.id,
            artifact: operation.name.clone(),
            handle: result.handle.clone(),
            location: self.storage.uri().clone(),
            namespaces: result.namespaces.clone(),
        }
    }

    pub fn restore_work(&self, record: &RecordRef, options: RestoreOptions) -> RestoreWork {
        let purpose = RestorePurpose::Recovery;
        RestoreWork { record: record.clone(), namespaces: record.namespaces.clone(), options, purpose }
    }

    pub async fn restore(&self, record: &RecordRef, options: RestoreOptions) -> Outcome {
        self.run(&operation(Work::Restore(self.restore_work(record, options)))).await
    }

    /// Restores `docs` to a directory below the restore root, and answers it.
    pub async fn restore_to(&self, record: &RecordRef, folder: &str) -> (PathBuf, Outcome) {
        let path = self.path("restores").join(folder);
        let outcome = self.restore(record, elsewhere(&path)).await;
        (path, outcome)
    }

    pub async fn verify(&self, record: &RecordRef, level: VerificationLevel) -> (VerifyResult, Outcome) {
        let outcome = self.run(&operation(Work::Verify(VerifyWork { record: record.clone(), level }))).await;
        let WorkResult::Verify(result) = outcome.result.clone() else { panic!("no verdict: {outcome:?}") };
        (result, outcome)
    }

    pub async fn delete(&self, record: &RecordRef) -> Outcome {
        self.run(&operation(Work::Delete(DeleteWork { record: record.clone() }))).await
    }

    pub async fn inventory(&self) -> Vec<InventoryItem> {
        let request = InventoryRequest {
            tenant: tenant(),
            location: self.storage.uri().clone(),
            after: None,
            limit: 1000,
        };
        self.driver.inventory(&request).await.unwrap().items
    }
}

pub fn builder(home: &Path) -> FilesDriverBuilder {
    FilesDriver::builder(Arc::new(SystemClock::new()))
        .namespace(
            name("docs"),
            FileSet::new([home.join("data/docs")]).unwrap().excluding(["*.skip"]).unwrap(),
        )
        .namespace(name("other"), FileSet::new([home.join("data/other")]).unwrap())
        .restore_root(home.join("restores"))
        .scratch(home.join("scratch"))
}

pub fn tenant() -> TenantId {
    TenantId::new("default").unwrap()
}

pub fn operation(work: Work) -> Operation {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let started_at = SystemClock::new().now();
    let title = DisplayName::new("test").unwrap();
    let id = u128::from(number) << 64 | u128::from(started_at.as_micros().unsigned_abs());
    Operation {
        id: OperationId::from_uuid(Uuid::from_u128(id)),
        tenant: tenant(),
        cluster: ClusterName::new("local").unwrap(),
        name: ArtifactName::generate_distinct(&title, started_at, number),
        started_at,
        work,
    }
}

/// A backup of `docs`.
pub fn backup_to(storage: &Arc<dyn ObjectStorage>, kind: BackupKind) -> Operation {
    operation(Work::Backup(BackupWork {
        namespaces: vec![name("docs")],
        include_volumes: false,
        location: storage.uri().clone(),
        kind,
        base: None,
        keep_at_least: Duration::from_secs(86_400),
        labels: Labels::default(),
    }))
}

/// Starts `operation` and waits for its end.
pub async fn run(driver: &FilesDriver, operation: &Operation) -> Result<Outcome, DriverError> {
    driver.start(operation).await?;
    Ok(end_of(driver, operation).await)
}

/// Waits for the end of what was started.
pub async fn end_of(driver: &FilesDriver, operation: &Operation) -> Outcome {
    loop {
        let mut hints = driver.hints();
        match driver.observe(operation).await.unwrap() {
            Observation::Ended(outcome) => return *outcome,
            Observation::Running(_) => while hints.next().await.is_some_and(|id| id != operation.id) {},
            other => panic!("what was started is {other:?}"),
        }
    }
}

pub fn in_place(existing: ExistingResourcePolicy) -> RestoreOptions {
    RestoreOptions {
        paths: Vec::new(),
        mapping: BTreeMap::new(),
        existing,
        restore_volumes: false,
        preserve_node_ports: false,
    }
}

/// `docs` goes to `path`.
pub fn elsewhere(path: &Path) -> RestoreOptions {
    let mut options = in_place(ExistingResourcePolicy::None);
    options.mapping.insert(name("docs"), RestoreTarget::Path(path.to_str().unwrap().to_owned()));
    options
}

pub fn restored(outcome: &Outcome) -> &RestoreResult {
    match &outcome.result {
        WorkResult::Restore(result) => result,
        _ => panic!("nothing was restored: {outcome:?}"),
    }
}
