//! A driver with the public interface alone: the least that a driver can be passes the suite.
#![cfg(feature = "testing")]
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use aegis_core::{
    model::{
        BackupKind, ClusterName, Consistency, ExistingResourcePolicy, IssueGroup, NamespaceName, OperationId,
        RecordRef, ResourceCounts, RestoreTarget, Sizes, StorageUri, TenantId, Timestamp, VerificationLevel,
    },
    seams::{
        BackupDriver, BackupResult, BackupWork, BrowsePage, BrowseRequest, Capabilities, Clock, DriverError,
        EndStatus, InventoryPage, InventoryRequest, Observation, Operation, Outcome, RestorePreview,
        RestoreResult, RestoreWork, Work, WorkResult,
    },
    testing::{
        ManualClock,
        conformance::driver::{DriverBench, DriverHarness},
        fixtures,
    },
};
use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt};

type Notes = BTreeMap<String, Vec<u8>>;

/// Notes by namespace, full backups of them, and nothing else.
#[derive(Debug)]
struct NotesDriver {
    capabilities: Capabilities,
    clock: ManualClock,
    desk: Mutex<Desk>,
}

#[derive(Debug, Default)]
struct Desk {
    namespaces: BTreeMap<NamespaceName, Notes>,
    backups: BTreeMap<String, BTreeMap<NamespaceName, Notes>>,
    ended: BTreeMap<OperationId, Outcome>,
}

impl NotesDriver {
    fn new(clock: ManualClock) -> Self {
        let capabilities = Capabilities::new("notes", Consistency::InstantSnapshot);
        let mut desk = Desk::default();
        for name in ["app", "web"] {
            desk.namespaces.insert(fixtures::namespace(name), Notes::new());
        }
        Self { capabilities, clock, desk: Mutex::new(desk) }
    }
}

impl Desk {
    fn back_up(&mut self, operation: &Operation, work: &BackupWork) -> Result<WorkResult, DriverError> {
        if work.kind != BackupKind::Full {
            return Err(DriverError::unsupported("notes are backed up in full"));
        }
        let mut copied = BTreeMap::new();
        for name in &work.namespaces {
            let notes = self.namespaces.get(name).ok_or_else(|| {
                DriverError::not_found(format!("there is no namespace `{name}`"))
                    .with_suggestion("list the namespaces and choose one of them")
            })?;
            copied.insert(name.clone(), notes.clone());
        }
        let count = copied.values().map(|notes| u64::try_from(notes.len()).unwrap()).sum();
        let handle = operation.name.to_string();
        self.backups.insert(handle.clone(), copied);
        Ok(WorkResult::Backup(BackupResult {
            handle,
            kind: BackupKind::Full,
            consistent_at: None,
            sizes: Sizes::default(),
            counts: ResourceCounts::from_iter([("notes", count)]),
            namespaces: work.namespaces.clone(),
            checksum: None,
            encryption: None,
            locked_until: None,
        }))
    }

    /// What a restore did, and how many notes differ and were left.
    fn restore(&mut self, work: &RestoreWork) -> Result<(RestoreResult, u64), DriverError> {
        let options = &work.options;
        let asks_for_more = !options.paths.is_empty()
            || !options.mapping.is_empty()
            || options.existing == ExistingResourcePolicy::Update;
        if asks_for_more {
            return Err(DriverError::unsupported(
                "notes are restored whole, in place, where they are missing",
            ));
        }
        let backup = self
            .backups
            .get(&work.record.handle)
            .ok_or_else(|| DriverError::not_found(format!("there is no backup `{}`", work.record.handle)))?;
        let (mut missing, mut unchanged, mut differing) = (Vec::new(), 0, 0);
        for name in &work.namespaces {
            for (path, note) in &backup[name] {
                match self.namespaces.get(name).and_then(|notes| notes.get(path)) {
                    None => missing.push((name.clone(), path.clone(), note.clone())),
                    Some(found) if found == note => unchanged += 1,
                    Some(_) => differing += 1,
                }
            }
        }
        let mut result = RestoreResult { unchanged, ..RestoreResult::default() };
        if differing == 0 || options.existing != ExistingResourcePolicy::Fail {
            let restored = u64::try_from(missing.len()).unwrap();
            result.restored = ResourceCounts::from_iter([("notes", restored)]);
            for (name, path, note) in missing {
                self.namespaces.entry(name).or_default().insert(path, note);
            }
        }
        Ok((result, differing))
    }

    fn work(
        &mut self,
        operation: &Operation,
    ) -> Result<(EndStatus, Vec<IssueGroup>, WorkResult), DriverError> {
        let done = |result| (EndStatus::Completed, Vec::new(), result);
        match &operation.work {
            Work::Backup(work) => self.back_up(operation, work).map(done),
            Work::Restore(work) => {
                let (result, differing) = self.restore(work)?;
                let status = match (differing, work.options.existing) {
                    (0, _) => EndStatus::Completed,
                    (_, ExistingResourcePolicy::Fail) => EndStatus::Failed,
                    _ => EndStatus::PartiallyFailed,
                };
                let left = (differing > 0).then(|| IssueGroup::once("a note is there already and differs"));
                Ok((status, left.into_iter().collect(), WorkResult::Restore(result)))
            }
            Work::Delete(work) => {
                self.backups.remove(&work.record.handle);
                Ok(done(WorkResult::Deleted))
            }
            Work::Verify(_) => Err(DriverError::unsupported("notes can't be verified")),
            Work::CleanUp(_) => Err(DriverError::unsupported("notes are restored to stay")),
        }
    }
}

#[async_trait]
impl BackupDriver for NotesDriver {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn namespaces(&self) -> Result<Vec<NamespaceName>, DriverError> {
        Ok(self.desk.lock().unwrap().namespaces.keys().cloned().collect())
    }

    async fn start(&self, operation: &Operation) -> Result<(), DriverError> {
        let mut desk = self.desk.lock().unwrap();
        if desk.ended.contains_key(&operation.id) {
            return Ok(());
        }
        let (status, errors, result) = desk.work(operation)?;
        let outcome = Outcome {
            status,
            ended_at: self.clock.now(),
            warnings: Vec::new(),
            errors,
            failure_class: None,
            result,
        };
        desk.ended.insert(operation.id, outcome);
        Ok(())
    }

    async fn observe(&self, operation: &Operation) -> Result<Observation, DriverError> {
        let ended = self.desk.lock().unwrap().ended.get(&operation.id).cloned();
        Ok(ended.map_or(Observation::Absent, |outcome| Observation::Ended(Box::new(outcome))))
    }

    async fn cancel(&self, _: &Operation) -> Result<(), DriverError> {
        Err(DriverError::unsupported("notes are copied at once: there is nothing to cancel"))
    }

    async fn preview(&self, _: &TenantId, _: &RestoreWork) -> Result<RestorePreview, DriverError> {
        Err(DriverError::unsupported("restores of notes can't be previewed"))
    }

    async fn browse(&self, _: &BrowseRequest) -> Result<BrowsePage, DriverError> {
        Err(DriverError::unsupported("backups of notes can't be browsed"))
    }

    async fn inventory(&self, _: &InventoryRequest) -> Result<InventoryPage, DriverError> {
        Err(DriverError::unsupported("backups of notes are not listed"))
    }

    fn hints(&self) -> BoxStream<'static, OperationId> {
        stream::empty().boxed()
    }
}

struct Harness;

struct Bench(Arc<NotesDriver>);

#[async_trait]
impl DriverHarness for Harness {
    async fn fresh(&self) -> Option<Box<dyn DriverBench>> {
        Some(Box::new(Bench(Arc::new(NotesDriver::new(ManualClock::starting_at(fixtures::START))))))
    }
}

impl Bench {
    fn notes<T>(&self, target: &RestoreTarget, then: impl FnOnce(&mut Notes) -> T) -> T {
        let RestoreTarget::Namespace(name) = target else { panic!("notes lie in namespaces") };
        then(self.0.desk.lock().unwrap().namespaces.get_mut(name).unwrap())
    }
}

#[async_trait]
impl DriverBench for Bench {
    fn driver(&self) -> Arc<dyn BackupDriver> {
        Arc::<NotesDriver>::clone(&self.0)
    }

    async fn restart(&self) -> Option<Arc<dyn BackupDriver>> {
        None
    }

    fn tenant(&self) -> TenantId {
        fixtures::tenant()
    }

    fn cluster(&self) -> ClusterName {
        fixtures::cluster()
    }

    fn location(&self) -> StorageUri {
        fixtures::location()
    }

    fn namespaces(&self) -> [NamespaceName; 2] {
        ["app", "web"].map(fixtures::namespace)
    }

    fn restore_folder(&self) -> Option<String> {
        None
    }

    fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    async fn wait(&self) {
        self.0.clock.advance(Duration::from_secs(1));
    }

    async fn write(&self, target: &RestoreTarget, path: &str, bytes: &[u8]) {
        self.notes(target, |notes| notes.insert(path.to_owned(), bytes.to_vec()));
    }

    async fn remove(&self, target: &RestoreTarget, path: &str) {
        self.notes(target, |notes| notes.remove(path));
    }

    async fn read(&self, target: &RestoreTarget, path: &str) -> Option<Vec<u8>> {
        self.notes(target, |notes| notes.get(path).cloned())
    }

    async fn damage(&self, _: &RecordRef, _: VerificationLevel) -> bool {
        false
    }

    fn secret(&self) -> Option<String> {
        None
    }
}

aegis_core::driver_conformance!(Harness);
