//! Drivers that break one rule each: what proves that the conformance suite sees it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt};
use uuid::Uuid;

use super::{
    error_of,
    mutation::{DriverMutation, DriverMutation as M},
};
use crate::{
    model::{
        ArtifactName, BackupKind, Bytes, DisplayName, ExistingResourcePolicy, IssueGroup, NamespaceName,
        OperationId, Progress, RecordRef, TenantId,
    },
    seams::{
        BackupDriver, BackupWork, BrowsePage, BrowseRequest, Capabilities, DeleteWork, DriverError,
        EndStatus, ErrorClass, Feature, InventoryPage, InventoryRequest, Observation, Operation, Outcome,
        RestorePreview, RestorePurpose, RestoreWork, VerifyResult, Work, WorkKind, WorkResult,
    },
};

/// Another driver, with one rule broken.
#[derive(Debug)]
pub struct MutantDriver {
    inner: Arc<dyn BackupDriver>,
    capabilities: Capabilities,
    mutation: DriverMutation,
    is_restarted: bool,
    has_lost_listener: Arc<AtomicBool>,
    memory: Arc<Mutex<Memory>>,
}

/// What a mutant remembers, to do wrong with it later.
#[derive(Debug, Default)]
struct Memory {
    started: BTreeMap<OperationId, u64>,
    ends_told: BTreeSet<OperationId>,
    cancelled: BTreeSet<OperationId>,
    deleted: BTreeSet<String>,
    backups: Vec<Operation>,
}

impl MutantDriver {
    /// What [`DriverMutation::TellsTheSecret`] tells.
    pub const SECRET: &str = "correct horse battery staple";

    /// Breaks `mutation` of what `inner` does right.
    #[must_use]
    pub fn new(inner: Arc<dyn BackupDriver>, mutation: DriverMutation) -> Self {
        let mut capabilities = inner.capabilities().clone();
        match mutation {
            M::DeniesKinds => capabilities.kinds = BTreeSet::from([BackupKind::Full]),
            M::DeniesLevels => capabilities.verification.clear(),
            M::Denies(feature) => drop(capabilities.features.remove(&feature)),
            _ => {}
        }
        Self {
            inner,
            capabilities,
            mutation,
            is_restarted: false,
            has_lost_listener: Arc::default(),
            memory: Arc::default(),
        }
    }

    /// The same driver in another process.
    #[must_use]
    pub fn restarted(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            capabilities: self.capabilities.clone(),
            mutation: self.mutation,
            is_restarted: true,
            has_lost_listener: Arc::clone(&self.has_lost_listener),
            memory: Arc::clone(&self.memory),
        }
    }

    fn is(&self, mutation: DriverMutation) -> bool {
        self.mutation == mutation
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the mutant makes of a refusal.
    fn spoil(&self, error: DriverError) -> DriverError {
        match self.mutation {
            M::GivesNoAdvice => error_of(error.class(), error.to_string()),
            M::TellsTheSecret => error.with_suggestion(format!("try the password `{}`", Self::SECRET)),
            _ => error,
        }
    }

    /// Refuses what the mutant does not have, whatever it declares.
    fn lack(&self, feature: Feature) -> Result<(), DriverError> {
        if self.is(M::Lacks(feature)) {
            return Err(DriverError::unsupported(format!("the mutant can't do `{feature}`")));
        }
        Ok(())
    }

    fn lack_of_restore(&self, work: &RestoreWork) -> Result<(), DriverError> {
        use crate::model::RestoreTarget::{Namespace, Path};
        let options = &work.options;
        let mut targets = options.mapping.values();
        match self.mutation {
            M::Lacks(feature @ Feature::SelectPaths) if !options.paths.is_empty() => self.lack(feature),
            M::Lacks(feature @ Feature::UpdateExisting)
                if options.existing == ExistingResourcePolicy::Update =>
            {
                self.lack(feature)
            }
            M::Lacks(feature @ Feature::MapNamespaces) if targets.any(|to| matches!(to, Namespace(_))) => {
                self.lack(feature)
            }
            M::Lacks(feature @ Feature::MapToPaths) if targets.any(|to| matches!(to, Path(_))) => {
                self.lack(feature)
            }
            _ => Ok(()),
        }
    }

    /// The operation as the mutant understands it.
    async fn misread(&self, operation: &Operation) -> Result<Operation, DriverError> {
        let mut operation = operation.clone();
        match &mut operation.work {
            Work::Backup(work) => self.misread_backup(work).await?,
            Work::Restore(work) => self.misread_restore(work)?,
            Work::Delete(work) => {
                if self.is(M::DeleteRefusesGone) && !self.memory().deleted.insert(work.record.handle.clone())
                {
                    return Err(DriverError::not_found("it was deleted already"));
                }
            }
            Work::CleanUp(work) => {
                self.lack(Feature::CleanUp)?;
                if self.is(M::ForgetsTrials) && self.is_restarted {
                    work.restore = operation.id;
                }
            }
            Work::Verify(_) => {}
        }
        Ok(operation)
    }

    async fn misread_backup(&self, work: &mut BackupWork) -> Result<(), DriverError> {
        match self.mutation {
            M::RefusesSnapshots if work.kind == BackupKind::Snapshot => {
                Err(DriverError::unsupported("the mutant makes no snapshots"))
            }
            M::AcceptsAnyNamespace => {
                let known = self.inner.namespaces().await?;
                work.namespaces.retain(|name| known.contains(name));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn misread_restore(&self, work: &mut RestoreWork) -> Result<(), DriverError> {
        self.lack_of_restore(work)?;
        let options = &mut work.options;
        match self.mutation {
            M::IgnoresMapping | M::RestoresAnywhere => options.mapping.clear(),
            M::AlwaysOverwrites => options.existing = ExistingResourcePolicy::Update,
            M::NeverOverwrites => options.existing = ExistingResourcePolicy::None,
            M::FailsInPart if options.existing == ExistingResourcePolicy::Fail => {
                options.existing = ExistingResourcePolicy::None;
            }
            M::CleansRecoveries => work.purpose = RestorePurpose::Trial,
            M::IgnoresPaths => options.paths.clear(),
            M::RestoresTheNewest => {
                if let Some(newest) = self.memory().backups.last() {
                    redirect(&mut work.record, newest);
                }
            }
            M::IgnoresChanges => {
                let memory = self.memory();
                let made = memory.backups.iter().find(|made| made.id == work.record.operation);
                if let Some(Operation { work: Work::Backup(BackupWork { base: Some(base), .. }), .. }) = made
                {
                    work.record = base.clone();
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The same work as another operation.
    fn again(operation: &Operation, number: u64) -> Operation {
        let mut again = operation.clone();
        let id = operation.id.as_uuid().as_u128() ^ (u128::from(number) << 96);
        again.id = OperationId::from_uuid(Uuid::from_u128(id));
        if let Ok(title) = DisplayName::new(format!("again {number}")) {
            again.name = ArtifactName::generate(&title, operation.started_at);
        }
        again
    }

    async fn start_as_understood(&self, operation: &Operation) -> Result<(), DriverError> {
        let id = operation.id;
        match self.mutation {
            M::StartsAnew => {
                let number = {
                    let mut memory = self.memory();
                    let number = memory.started.entry(id).or_default();
                    *number += 1;
                    *number - 1
                };
                let operation = if number == 0 { operation.clone() } else { Self::again(operation, number) };
                self.inner.start(&operation).await
            }
            M::StartIsNotAtomic => {
                if self.memory().started.contains_key(&id) {
                    return Ok(());
                }
                tokio::task::yield_now().await;
                let number = {
                    let mut memory = self.memory();
                    let number = memory.started.entry(id).or_default();
                    *number += 1;
                    *number - 1
                };
                let operation = if number == 0 { operation.clone() } else { Self::again(operation, number) };
                self.inner.start(&operation).await
            }
            M::RestoresNothing if operation.work.kind() == WorkKind::Restore => Ok(()),
            M::DeletesNothing if operation.work.kind() == WorkKind::Delete => Ok(()),
            M::CleansNothing if operation.work.kind() == WorkKind::CleanUp => Ok(()),
            M::DeletesEverything => {
                self.inner.start(operation).await?;
                if let Work::Delete(work) = &operation.work {
                    self.delete_the_rest(operation, work).await?;
                }
                Ok(())
            }
            _ => self.inner.start(operation).await,
        }
    }

    async fn delete_the_rest(&self, operation: &Operation, work: &DeleteWork) -> Result<(), DriverError> {
        let backups = self.memory().backups.clone();
        for (backup, number) in backups.iter().zip(1..) {
            let mut delete = Self::again(operation, number);
            let mut record = work.record.clone();
            redirect(&mut record, backup);
            delete.work = Work::Delete(DeleteWork { record });
            self.inner.start(&delete).await?;
        }
        Ok(())
    }

    /// What the mutant tells of an operation instead of what is true, if it has something to tell.
    fn lie(&self, operation: &Operation, truth: &Observation) -> Option<Observation> {
        let kind = operation.work.kind();
        let was_cancelled = self.memory().cancelled.contains(&operation.id);
        match (self.mutation, truth) {
            (M::InventsWork, Observation::Absent) => Some(Observation::Running(Progress::default())),
            (M::ForgetsOnRestart, _) if self.is_restarted => Some(Observation::Absent),
            (M::LostWorkGoesOn, _) if self.is_restarted => {
                Some(Observation::Lost { reason: "the process has ended".to_owned() })
            }
            (M::ForgetsEnds, Observation::Ended(_)) => {
                (!self.memory().ends_told.insert(operation.id)).then_some(Observation::Absent)
            }
            (M::StallsWithoutListener, _) if self.has_lost_listener.load(Ordering::Relaxed) => {
                Some(Observation::Running(Progress::default()))
            }
            (M::RestoresNothing, _) if kind == WorkKind::Restore => {
                Some(ended(operation, EndStatus::Completed, WorkResult::Restore(Default::default())))
            }
            (M::DeletesNothing, _) if kind == WorkKind::Delete => {
                Some(ended(operation, EndStatus::Completed, WorkResult::Deleted))
            }
            (M::CleansNothing, _) if kind == WorkKind::CleanUp => {
                Some(ended(operation, EndStatus::Completed, WorkResult::CleanUp(Default::default())))
            }
            (M::CancelKeepsBackup | M::CancelRewritesEnd, _) if was_cancelled => {
                Some(ended(operation, EndStatus::Cancelled, WorkResult::Nothing))
            }
            (M::CancelNeverEnds, _) if was_cancelled => Some(Observation::Running(Progress::default())),
            (_, Observation::Ended(outcome)) => {
                let mut outcome = outcome.clone();
                self.rewrite(operation, &mut outcome);
                Some(Observation::Ended(outcome))
            }
            _ => None,
        }
    }

    fn rewrite(&self, operation: &Operation, outcome: &mut Outcome) {
        match (self.mutation, &mut outcome.result) {
            (M::HandlesAreEmpty, WorkResult::Backup(result)) => result.handle.clear(),
            (M::SizesAreZero, WorkResult::Backup(result)) => result.sizes.logical = Some(Bytes(0)),
            (M::HidesDifferences, WorkResult::Restore(_)) => outcome.status = EndStatus::Completed,
            (M::HidesLeavings, WorkResult::CleanUp(result)) => {
                result.left.clear();
                outcome.status = EndStatus::Completed;
            }
            (M::VerifyFails, WorkResult::Verify(result)) => {
                let Work::Verify(work) = &operation.work else { return };
                *result = VerifyResult { passed: None, failed: Some(work.level), ..result.clone() };
                outcome.status = EndStatus::Failed;
                outcome.errors = vec![IssueGroup::once("the mutant says so")];
            }
            (M::VerifyPasses, WorkResult::Verify(result)) => {
                let Work::Verify(work) = &operation.work else { return };
                *result = VerifyResult { passed: Some(work.level), failed: None, ..result.clone() };
                outcome.status = EndStatus::Completed;
            }
            _ => {}
        }
    }
}

/// Points a record at what another operation made; the scripted driver's handles are its names.
fn redirect(record: &mut RecordRef, made_by: &Operation) {
    record.operation = made_by.id;
    record.artifact = made_by.name.clone();
    record.handle = made_by.name.to_string();
}

fn ended(operation: &Operation, status: EndStatus, result: WorkResult) -> Observation {
    let errors = if status == EndStatus::Completed { Vec::new() } else { vec![IssueGroup::once("mutated")] };
    Observation::Ended(Box::new(Outcome {
        status,
        ended_at: operation.started_at,
        warnings: Vec::new(),
        errors,
        failure_class: None,
        result,
    }))
}

/// Notes when a reader of hints goes.
struct Listening(Arc<AtomicBool>);

impl Drop for Listening {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl BackupDriver for MutantDriver {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn namespaces(&self) -> Result<Vec<NamespaceName>, DriverError> {
        let mut namespaces = self.inner.namespaces().await?;
        if self.is(M::ListsNamespacesBackwards) {
            namespaces.reverse();
        }
        Ok(namespaces)
    }

    async fn start(&self, operation: &Operation) -> Result<(), DriverError> {
        let understood = self.misread(operation).await?;
        let is_known = self.memory().backups.iter().any(|known| known.id == operation.id);
        if operation.work.kind() == WorkKind::Backup && !is_known {
            self.memory().backups.push(operation.clone());
        }
        match self.start_as_understood(&understood).await {
            Err(error) if self.is(M::RestoresAnywhere) && error.class() == ErrorClass::InvalidInput => Ok(()),
            answer => answer.map_err(|error| self.spoil(error)),
        }
    }

    async fn observe(&self, operation: &Operation) -> Result<Observation, DriverError> {
        let truth = self.inner.observe(operation).await?;
        Ok(self.lie(operation, &truth).unwrap_or(truth))
    }

    async fn cancel(&self, operation: &Operation) -> Result<(), DriverError> {
        self.lack(if operation.work.kind() == WorkKind::Backup {
            Feature::CancelBackup
        } else {
            Feature::CancelRestore
        })?;
        let is_first = self.memory().cancelled.insert(operation.id);
        match self.mutation {
            M::CancelRefusesTwice if !is_first => Err(DriverError::not_found("it was cancelled already")),
            M::CancelRefusesUnstarted if self.inner.observe(operation).await? == Observation::Absent => {
                Err(DriverError::not_found("it was never started"))
            }
            M::CancelKeepsBackup => Ok(()),
            _ => self.inner.cancel(operation).await,
        }
    }

    async fn preview(&self, tenant: &TenantId, restore: &RestoreWork) -> Result<RestorePreview, DriverError> {
        self.lack(Feature::Preview)?;
        let newest = self.memory().backups.last().cloned();
        if let Some(made) = newest.filter(|_| self.is(M::PreviewRestores)) {
            let mut operation = Self::again(&made, 1);
            operation.work = Work::Restore(restore.clone());
            self.inner.start(&operation).await?;
        }
        let preview = self.inner.preview(tenant, restore).await?;
        Ok(if self.is(M::PreviewIsBlind) { RestorePreview::default() } else { preview })
    }

    async fn browse(&self, request: &BrowseRequest) -> Result<BrowsePage, DriverError> {
        self.lack(Feature::Browse)?;
        match self.inner.browse(request).await {
            Ok(_) if self.is(M::BrowseIsEmpty) => Ok(BrowsePage::default()),
            Ok(page) if self.is(M::BrowsesOnePage) => Ok(BrowsePage { next: None, ..page }),
            Err(_) if self.is(M::BrowseInventsFolders) => Ok(BrowsePage::default()),
            answer => answer.map_err(|error| self.spoil(error)),
        }
    }

    async fn inventory(&self, request: &InventoryRequest) -> Result<InventoryPage, DriverError> {
        self.lack(Feature::Inventory)?;
        let mut page = self.inner.inventory(request).await?;
        match self.mutation {
            M::InventoryForgetsOperations => {
                page.items.iter_mut().for_each(|item| item.operation = None);
            }
            M::InventoryIsOnePage => page.next = None,
            _ => {}
        }
        Ok(page)
    }

    fn hints(&self) -> BoxStream<'static, OperationId> {
        let listening = Listening(Arc::clone(&self.has_lost_listener));
        let hints = self.inner.hints();
        stream::unfold((hints, listening), |(mut hints, listening)| async move {
            let hint = hints.next().await?;
            Some((hint, (hints, listening)))
        })
        .boxed()
    }
}
