//! What the behaviours have in common: making operations and seeing them through.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use uuid::Uuid;

use super::{DriverBench, DriverHarness};
use crate::{
    model::{
        ArtifactName, BackupKind, DisplayName, ExistingResourcePolicy, Labels, NamespaceName, OperationId,
        RecordId, RecordRef, RestoreOptions, RestoreTarget, VerificationLevel,
    },
    seams::{
        BackupDriver, BackupResult, BackupWork, BrowseEntry, BrowseRequest, Capabilities, CleanUpWork,
        DeleteWork, DriverError, EndStatus, ErrorClass, Feature, InventoryItem, InventoryRequest,
        Observation, Operation, Outcome, RestorePurpose, RestoreWork, VerifyWork, Work, WorkKind, WorkResult,
        report,
    },
};

/// How often an operation is observed before the suite gives up on it.
const PATIENCE: usize = 6_000;
/// How often the suite waits to see that nothing happens.
const A_WHILE: usize = 20;

/// The entry that behaviours change and restore.
pub(super) const ENTRY: &str = "a/one.txt";
/// What it holds at first.
pub(super) const CONTENT: &[u8] = b"first";
/// What it holds once it was changed; of another length, so that every driver sees the change.
pub(super) const CHANGED: &[u8] = b"changed afterwards";
/// An entry beside it.
pub(super) const NEIGHBOUR: &str = "b/two.txt";

/// A driver under test with some content to protect.
pub(super) struct Session {
    pub(super) bench: Box<dyn DriverBench>,
    pub(super) driver: Arc<dyn BackupDriver>,
    /// The first namespace.
    pub(super) home: RestoreTarget,
    operations: AtomicU32,
}

impl Session {
    /// A fresh driver, with two entries in the first namespace and one in the second.
    pub(super) async fn open<H: DriverHarness>(harness: &H) -> Option<Self> {
        let bench = harness.fresh().await?;
        let [first, second] = bench.namespaces();
        let home = RestoreTarget::Namespace(first);
        bench.write(&home, ENTRY, CONTENT).await;
        bench.write(&home, NEIGHBOUR, b"second, which nobody changes").await;
        bench.write(&RestoreTarget::Namespace(second), "c/three.txt", b"third").await;
        Some(Self { driver: bench.driver(), bench, home, operations: AtomicU32::new(0) })
    }

    /// As [`open`](Self::open), if the driver declares `features`.
    pub(super) async fn open_with<H: DriverHarness>(harness: &H, features: &[Feature]) -> Option<Self> {
        let session = Self::open(harness).await?;
        features.iter().all(|feature| session.has(*feature)).then_some(session)
    }

    pub(super) fn capabilities(&self) -> &Capabilities {
        self.driver.capabilities()
    }

    pub(super) fn has(&self, feature: Feature) -> bool {
        self.capabilities().has(feature)
    }

    pub(super) fn namespace(&self) -> NamespaceName {
        let [first, _] = self.bench.namespaces();
        first
    }

    pub(super) fn second(&self) -> NamespaceName {
        let [_, second] = self.bench.namespaces();
        second
    }

    /// An operation that was never started.
    pub(super) fn operation(&self, work: Work) -> Operation {
        let number = self.operations.fetch_add(1, Ordering::Relaxed);
        let now = self.bench.now();
        let title = must(DisplayName::new("conformance"), "make a name");
        Operation {
            id: OperationId::from_uuid(Uuid::from_u128(0xAE615 << 64 | u128::from(number))),
            tenant: self.bench.tenant(),
            cluster: self.bench.cluster(),
            name: ArtifactName::generate_distinct(&title, now, number),
            started_at: now,
            work,
        }
    }

    pub(super) fn backup(&self, kind: BackupKind) -> Operation {
        self.operation(Work::Backup(BackupWork {
            namespaces: vec![self.namespace()],
            include_volumes: false,
            location: self.bench.location(),
            kind,
            base: None,
            keep_at_least: Duration::from_secs(86_400),
            labels: Labels::default(),
        }))
    }

    /// Some kind of backup that the driver declares: a full, if it can.
    pub(super) fn some_backup(&self) -> Operation {
        let kinds = &self.capabilities().kinds;
        let first = kinds.first().copied();
        self.backup(first.unwrap_or_else(|| panic!("a driver declares at least one kind of backup")))
    }

    /// Makes a backup, which must complete, and answers the record of it.
    pub(super) async fn back_up(&self) -> RecordRef {
        let operation = self.some_backup();
        self.back_up_as(&operation).await
    }

    /// Starts `operation`, which must complete, and answers the record of it.
    pub(super) async fn back_up_as(&self, operation: &Operation) -> RecordRef {
        let outcome = self.run(operation).await;
        record(operation, &backup_result(&outcome))
    }

    pub(super) fn restore(&self, record: &RecordRef, options: RestoreOptions) -> Operation {
        self.operation(Work::Restore(self.restore_work(record, options)))
    }

    pub(super) fn restore_work(&self, record: &RecordRef, options: RestoreOptions) -> RestoreWork {
        let purpose = RestorePurpose::Recovery;
        RestoreWork { record: record.clone(), namespaces: vec![self.namespace()], options, purpose }
    }

    /// Where a trial restores to: a folder if the driver restores to any, else the second namespace.
    pub(super) fn elsewhere(&self) -> RestoreTarget {
        let folder = self.bench.restore_folder().filter(|_| self.has(Feature::MapToPaths));
        folder.map_or_else(|| RestoreTarget::Namespace(self.second()), RestoreTarget::Path)
    }

    /// A restore to elsewhere whose result is to be removed again.
    pub(super) fn trial(&self, record: &RecordRef, target: &RestoreTarget) -> Operation {
        let mut options = in_place(ExistingResourcePolicy::Fail);
        options.mapping.insert(self.namespace(), target.clone());
        let work = RestoreWork { purpose: RestorePurpose::Trial, ..self.restore_work(record, options) };
        self.operation(Work::Restore(work))
    }

    /// The removal of what `restore` made.
    pub(super) fn clean_up(&self, restore: &Operation) -> Operation {
        let Work::Restore(work) = &restore.work else { panic!("only a restore is cleaned up after") };
        self.operation(Work::CleanUp(CleanUpWork { restore: restore.id, work: work.clone() }))
    }

    pub(super) fn verify(&self, record: &RecordRef, level: VerificationLevel) -> Operation {
        self.operation(Work::Verify(VerifyWork { record: record.clone(), level }))
    }

    pub(super) fn delete(&self, record: &RecordRef) -> Operation {
        self.operation(Work::Delete(DeleteWork { record: record.clone() }))
    }

    pub(super) async fn start(&self, operation: &Operation) {
        must(self.driver.start(operation).await, "start what is declared");
    }

    pub(super) async fn observe(&self, operation: &Operation) -> Observation {
        must(self.driver.observe(operation).await, "observe")
    }

    /// Starts `operation` and waits for its end.
    pub(super) async fn run(&self, operation: &Operation) -> Outcome {
        self.start(operation).await;
        self.end_of(operation).await
    }

    /// Starts `operation`, and panics unless it completes.
    pub(super) async fn complete(&self, operation: &Operation) -> Outcome {
        let outcome = self.run(operation).await;
        assert_eq!(outcome.status, EndStatus::Completed, "{} ended with {outcome:?}", operation.work.kind());
        outcome
    }

    /// Waits for the end of what was started.
    pub(super) async fn end_of(&self, operation: &Operation) -> Outcome {
        self.end_as_told_by(&*self.driver, operation).await
    }

    /// Waits for the end of what was started, as `driver` tells it.
    pub(super) async fn end_as_told_by(&self, driver: &dyn BackupDriver, operation: &Operation) -> Outcome {
        for _ in 0..PATIENCE {
            match must(driver.observe(operation).await, "observe") {
                Observation::Ended(outcome) => return *checked(operation, outcome),
                Observation::Queued { .. }
                | Observation::Running(_)
                | Observation::Unknown { .. }
                | Observation::Deferred { .. } => self.bench.wait().await,
                gone @ (Observation::Absent | Observation::Lost { .. }) => {
                    panic!("what was started is {gone:?}")
                }
            }
        }
        panic!("after {PATIENCE} looks the {} has not ended", operation.work.kind())
    }

    /// Gives what should not happen the time to happen.
    pub(super) async fn wait_a_while(&self) {
        for _ in 0..A_WHILE {
            self.bench.wait().await;
        }
    }

    pub(super) async fn read(&self, path: &str) -> Option<Vec<u8>> {
        self.bench.read(&self.home, path).await
    }

    pub(super) async fn write(&self, path: &str, bytes: &[u8]) {
        self.bench.write(&self.home, path, bytes).await;
    }

    pub(super) async fn remove(&self, path: &str) {
        self.bench.remove(&self.home, path).await;
    }

    /// Everything in the location, page by page.
    pub(super) async fn inventory(&self, limit: usize) -> Vec<InventoryItem> {
        let mut request = InventoryRequest {
            tenant: self.bench.tenant(),
            location: self.bench.location(),
            after: None,
            limit,
        };
        let mut all = Vec::new();
        loop {
            let page = must(self.driver.inventory(&request).await, "list what lies in the location");
            assert!(page.items.len() <= limit, "a page of {} exceeds {limit}", page.items.len());
            all.extend(page.items);
            assert!(all.len() <= 10_000, "the pages never end");
            match page.next {
                Some(next) => request.after = Some(next),
                None => return all,
            }
        }
    }

    /// How many backups of `operation` lie in the location; `None` if the driver can't tell.
    pub(super) async fn count_made_by(&self, operation: &Operation) -> Option<usize> {
        if !self.has(Feature::Inventory) {
            return None;
        }
        let made = |item: &InventoryItem| {
            item.operation == Some(operation.id) || item.artifact.as_ref() == Some(&operation.name)
        };
        Some(self.inventory(100).await.iter().filter(|item| made(item)).count())
    }

    /// The entries directly below `path`, page by page.
    pub(super) async fn browse(&self, record: &RecordRef, path: &str, limit: usize) -> Vec<BrowseEntry> {
        let mut request = self.browse_request(record, path);
        request.limit = limit;
        let mut all = Vec::new();
        loop {
            let page = must(self.driver.browse(&request).await, "browse");
            assert!(page.entries.len() <= limit, "a page of {} exceeds {limit}", page.entries.len());
            all.extend(page.entries);
            assert!(all.len() <= 10_000, "the pages never end");
            match page.next {
                Some(next) => request.after = Some(next),
                None => return all,
            }
        }
    }

    pub(super) fn browse_request(&self, record: &RecordRef, path: &str) -> BrowseRequest {
        BrowseRequest {
            tenant: self.bench.tenant(),
            record: record.clone(),
            path: path.to_owned(),
            after: None,
            limit: 100,
        }
    }
}

/// The value, or a panic that says what the suite was doing.
#[track_caller]
pub(super) fn must<T, E: std::error::Error + 'static>(result: Result<T, E>, doing: &str) -> T {
    result.unwrap_or_else(|error| panic!("could not {doing}: {}", report(&error)))
}

/// Panics unless the answer is an error of one of `classes`.
#[track_caller]
pub(super) fn must_refuse<T: fmt::Debug>(
    answer: Result<T, DriverError>,
    classes: &[ErrorClass],
    doing: &str,
) -> DriverError {
    match answer {
        Ok(value) => panic!("to {doing} should be one of {classes:?} and was answered with {value:?}"),
        Err(error) => {
            assert!(
                classes.contains(&error.class()),
                "to {doing} was {:?}: {}",
                error.class(),
                report(&error)
            );
            error
        }
    }
}

/// The outcome, once it is seen to keep what every outcome promises.
fn checked(operation: &Operation, outcome: Box<Outcome>) -> Box<Outcome> {
    let explained = outcome.status == EndStatus::Completed || !outcome.errors.is_empty();
    assert!(explained, "what did not complete names an error: {outcome:?}");
    let fits = match (operation.work.kind(), &outcome.result) {
        (_, WorkResult::Nothing) => outcome.status != EndStatus::Completed,
        (WorkKind::Backup, WorkResult::Backup(_))
        | (WorkKind::Restore, WorkResult::Restore(_))
        | (WorkKind::Verify, WorkResult::Verify(_))
        | (WorkKind::Delete, WorkResult::Deleted)
        | (WorkKind::CleanUp, WorkResult::CleanUp(_)) => true,
        (
            _,
            WorkResult::Backup(_)
            | WorkResult::Restore(_)
            | WorkResult::Verify(_)
            | WorkResult::Deleted
            | WorkResult::CleanUp(_),
        ) => false,
    };
    assert!(fits, "the result fits the work: {outcome:?}");
    outcome
}

/// What a backup that completed made.
#[track_caller]
pub(super) fn backup_result(outcome: &Outcome) -> BackupResult {
    match &outcome.result {
        WorkResult::Backup(result) if outcome.status == EndStatus::Completed => result.clone(),
        _ => panic!("the backup should complete and ended with {outcome:?}"),
    }
}

/// The record of a backup, as the engine would make it.
pub(super) fn record(operation: &Operation, result: &BackupResult) -> RecordRef {
    let Work::Backup(work) = &operation.work else { panic!("only a backup makes a record") };
    RecordRef {
        id: RecordId::from_uuid(operation.id.as_uuid()),
        cluster: operation.cluster.clone(),
        operation: operation.id,
        artifact: operation.name.clone(),
        handle: result.handle.clone(),
        location: work.location.clone(),
        namespaces: result.namespaces.clone(),
    }
}

/// A restore of everything, in place, that leaves what differs.
pub(super) const fn in_place(existing: ExistingResourcePolicy) -> RestoreOptions {
    RestoreOptions {
        paths: Vec::new(),
        mapping: BTreeMap::new(),
        existing,
        restore_volumes: false,
        preserve_node_ports: false,
    }
}
