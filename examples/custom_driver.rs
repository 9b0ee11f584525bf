//! A driver of your own: what it takes to protect something that Aegis does not know.
//!
//! This one protects a map of settings. A backup is one object in the storage location, named after
//! its operation, so that it is found again by whoever asks. Its work is over when `start` returns;
//! a driver with longer work answers `Running` until then.
//!
//! `cargo run --example custom_driver --features testing`

#![expect(clippy::clone_on_ref_ptr, reason = "`Arc::clone` would not let the clone become an `Arc<dyn …>`")]

use std::{
    collections::BTreeMap,
    error::Error,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use aegis::{
    Aegis,
    engine::{Execute, NewJob, NewPlan},
    model::{
        BackupKind, Bytes, Consistency, ExistingResourcePolicy, JobStatus, Machine, NamespaceName,
        NamespaceSelection, OperationId, Sizes, TenantId,
    },
    seams::{
        BackupDriver, BackupResult, BrowsePage, BrowseRequest, Capabilities, Clock, DriverError, EndStatus,
        ErrorClass, Feature, InventoryPage, InventoryRequest, ObjectKey, ObjectStorage, Observation,
        Operation, Outcome, PutMode, RestorePreview, RestoreResult, RestoreWork, Work, WorkResult, report,
    },
    store::MemoryStore,
    testing::{ManualClock, MemoryObjectStorage},
};
use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt};

/// The only namespace that there is.
const SETTINGS: &str = "settings";

type Settings = BTreeMap<String, String>;

/// Protects a map that lives in this process.
#[derive(Debug)]
struct SettingsDriver {
    capabilities: Capabilities,
    clock: Arc<dyn Clock>,
    storage: Arc<dyn ObjectStorage>,
    settings: Arc<Mutex<Settings>>,
    /// Restores that this process carried out; what a backup did is seen in storage.
    restored: Mutex<BTreeMap<OperationId, Outcome>>,
}

impl SettingsDriver {
    fn new(clock: Arc<dyn Clock>, storage: Arc<dyn ObjectStorage>, settings: Arc<Mutex<Settings>>) -> Self {
        let capabilities = Capabilities::new("settings", Consistency::InstantSnapshot)
            .with_features([Feature::UpdateExisting]);
        Self { capabilities, clock, storage, settings, restored: Mutex::default() }
    }

    /// One object per backup, named after its operation: starting twice can't make two.
    async fn back_up(&self, operation: &Operation) -> Result<(), DriverError> {
        let bytes = serde_json::to_vec(&*locked(&self.settings)).map_err(internal)?;
        match self.storage.put(&key(&operation.id.to_string())?, bytes.into(), PutMode::Create).await {
            Err(error) if error.class() != ErrorClass::AlreadyExists => Err(unavailable(error)),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    async fn restore(&self, operation: &Operation, work: &RestoreWork) -> Result<(), DriverError> {
        let (_, bytes) = self.storage.get(&key(&work.record.handle)?).await.map_err(unavailable)?;
        let saved: Settings = serde_json::from_slice(&bytes).map_err(internal)?;
        let mut settings = locked(&self.settings);
        let mut restored = 0;
        for (name, value) in saved {
            if work.options.existing == ExistingResourcePolicy::Update || !settings.contains_key(&name) {
                settings.insert(name, value);
                restored += 1;
            }
        }
        let result = RestoreResult {
            restored: [(SETTINGS, restored)].into_iter().collect(),
            bytes: Bytes(u64::try_from(bytes.len()).unwrap_or(u64::MAX)),
            ..RestoreResult::default()
        };
        let outcome = self.completed(WorkResult::Restore(result));
        locked(&self.restored).insert(operation.id, outcome);
        Ok(())
    }

    fn completed(&self, result: WorkResult) -> Outcome {
        Outcome {
            status: EndStatus::Completed,
            ended_at: self.clock.now(),
            warnings: Vec::new(),
            errors: Vec::new(),
            failure_class: None,
            result,
        }
    }
}

#[async_trait]
impl BackupDriver for SettingsDriver {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn namespaces(&self) -> Result<Vec<NamespaceName>, DriverError> {
        Ok(vec![NamespaceName::new(SETTINGS).map_err(internal)?])
    }

    async fn start(&self, operation: &Operation) -> Result<(), DriverError> {
        match &operation.work {
            Work::Backup(_) => self.back_up(operation).await,
            Work::Restore(work) => self.restore(operation, work).await,
            Work::Delete(work) => self.storage.delete(&key(&work.record.handle)?).await.map_err(unavailable),
            Work::Verify(_) | Work::CleanUp(_) => unsupported(),
        }
    }

    /// What is in storage is true, whichever process put it there.
    async fn observe(&self, operation: &Operation) -> Result<Observation, DriverError> {
        let result = match &operation.work {
            Work::Restore(_) => {
                let known = locked(&self.restored).get(&operation.id).cloned();
                return Ok(known.map_or(Observation::Absent, |outcome| Observation::Ended(Box::new(outcome))));
            }
            Work::Backup(work) => match self.storage.head(&key(&operation.id.to_string())?).await {
                Ok(object) => WorkResult::Backup(BackupResult {
                    handle: operation.id.to_string(),
                    kind: BackupKind::Full,
                    consistent_at: Some(operation.started_at),
                    sizes: Sizes { logical: Some(Bytes(object.size)), ..Sizes::default() },
                    counts: [(SETTINGS, 1)].into_iter().collect(),
                    namespaces: work.namespaces.clone(),
                    checksum: None,
                    encryption: None,
                    locked_until: None,
                }),
                Err(error) if error.class() == ErrorClass::NotFound => return Ok(Observation::Absent),
                Err(error) => return Err(unavailable(error)),
            },
            Work::Delete(work) => match self.storage.head(&key(&work.record.handle)?).await {
                Ok(_) => return Ok(Observation::Absent),
                Err(error) if error.class() == ErrorClass::NotFound => WorkResult::Deleted,
                Err(error) => return Err(unavailable(error)),
            },
            Work::Verify(_) | Work::CleanUp(_) => return Ok(Observation::Absent),
        };
        Ok(Observation::Ended(Box::new(self.completed(result))))
    }

    async fn cancel(&self, _: &Operation) -> Result<(), DriverError> {
        unsupported()
    }

    async fn preview(&self, _: &TenantId, _: &RestoreWork) -> Result<RestorePreview, DriverError> {
        unsupported()
    }

    async fn browse(&self, _: &BrowseRequest) -> Result<BrowsePage, DriverError> {
        unsupported()
    }

    async fn inventory(&self, _: &InventoryRequest) -> Result<InventoryPage, DriverError> {
        unsupported()
    }

    fn hints(&self) -> BoxStream<'static, OperationId> {
        stream::empty().boxed()
    }
}

fn key(handle: &str) -> Result<ObjectKey, DriverError> {
    ObjectKey::new(format!("settings/{handle}.json")).map_err(internal)
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn internal(error: impl Error) -> DriverError {
    DriverError::internal(error.to_string())
}

fn unavailable(error: aegis::seams::ObjectStorageError) -> DriverError {
    DriverError::unavailable(report(&error).to_string())
}

fn unsupported<T>() -> Result<T, DriverError> {
    Err(DriverError::unsupported("the settings driver does not do this"))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let clock = Arc::new(ManualClock::starting_at("2026-03-01T00:00:00Z".parse()?));
    let storage: Arc<dyn ObjectStorage> =
        Arc::new(MemoryObjectStorage::new("s3://example/backups/".parse()?, clock.clone()));
    let settings = Arc::new(Mutex::new(Settings::from([("colour".to_owned(), "blue".to_owned())])));
    let driver = SettingsDriver::new(clock.clone(), storage.clone(), settings.clone());
    let aegis = Aegis::builder()
        .store(Arc::new(MemoryStore::new(clock.clone())))
        .clock(clock.clone())
        .cluster("app", Arc::new(driver))
        .storage(storage)
        .build()?;
    let tenant = aegis.default_tenant()?;

    let job = NewJob::new("before the update".parse()?, "app".parse()?, NamespaceSelection::all());
    let job = tenant.create_job(job).await?.job.id;
    aegis.pass().await;
    let job = tenant.job(job).await?.job;
    println!("backed up: {}", job.status);
    assert_eq!(job.status, JobStatus::Completed);

    locked(&settings).clear();
    println!("lost: {:?}", locked(&settings));

    let record = job.result.as_ref().ok_or("no record")?.record;
    let plan = tenant.create_plan(NewPlan::new("bring it back".parse()?, record)).await?.plan.id;
    tenant.execute_plan(plan, Execute::Confirmed).await?;
    while !tenant.execution_status(plan).await?.execution.status.is_terminal() {
        aegis.pass().await;
        clock.advance(Duration::from_secs(2));
    }
    println!("restored: {:?}", locked(&settings));
    assert_eq!(locked(&settings).get("colour").map(String::as_str), Some("blue"));
    Ok(())
}
