//! Entering records into the catalogue, and what the end of a job means for its policy.

use crate::{
    engine::{
        EngineError,
        decide::{Decider, NewRecord, RunEnd},
        runtime::{
            Outcome, Worker,
            manifest::{Manifest, create_manifest, storage_of},
            worker::Interrupted,
        },
    },
    model::{
        BackupJob, BackupRecord, Entity, EventKind, NamespaceName, OperationId, Policy, PolicyState,
        Principal, RecordRef, RestoreTarget, RestoredBy, Versioned,
    },
    seams::{BackupResult, Changeset, DrTestQuery, ExecutionQuery, Scope, StoreExt, WorkResult, Write},
};

impl Worker {
    /// Writes the manifest conditionally, then commits record, job and policy state under the
    /// fence: only then does the backup count.
    pub(crate) async fn enter_record(
        &mut self,
        job: &Versioned<BackupJob>,
        operation: OperationId,
        outcome: &crate::seams::Outcome,
    ) -> Result<(), Interrupted> {
        let WorkResult::Backup(result) = &outcome.result else { return Ok(()) };
        let Some(drafted) = self.draft_record(job, operation, outcome, result).await? else { return Ok(()) };
        let policy = match job.policy {
            Some(id) => self.core.store.find::<Policy>(&Scope::Everyone, id).await?,
            None => None,
        };
        let manifest = Manifest::new(drafted, BackupJob::clone(job), policy.as_deref().cloned());
        let (storage, key) = storage_of(&self.core, &job.location, &manifest.record.artifact)?;
        let mut record = create_manifest(&**storage, &key, manifest).await?.record;
        let decider = self.decider();
        let mut changeset = decider.changeset();
        let level = policy.as_ref().and_then(|policy| policy.verify);
        let verification = level.and_then(|level| {
            let timeout = self.core.options.verification_timeout;
            decider.new_verification(&mut changeset, &mut record, level, Principal::engine(), timeout)
        });
        let mut ended = decider.catalogue(job, outcome, record, verification)?;
        ended.changes.append(&mut changeset.changes);
        self.commit_run_end(job, ended).await
    }

    async fn draft_record(
        &self,
        job: &Versioned<BackupJob>,
        operation: OperationId,
        outcome: &crate::seams::Outcome,
        result: &BackupResult,
    ) -> Result<Option<BackupRecord>, Interrupted> {
        let Some(served) = self.served() else { return Ok(None) };
        let attempt = job.attempts.iter().find(|attempt| attempt.operation == operation);
        let parent = match attempt.and_then(|attempt| attempt.base.as_ref()) {
            Some(base) if result.kind != crate::model::BackupKind::Full => {
                self.core.store.find::<BackupRecord>(&Scope::Everyone, base.id).await?
            }
            Some(_) | None => None,
        };
        let new = NewRecord {
            job,
            operation,
            outcome,
            result,
            capabilities: served.driver.capabilities(),
            parent: parent.map(|parent| (parent.id, parent.chain)),
            made_during: self.restore_during(job, result).await?,
        };
        Ok(self.decider().new_record(&new))
    }

    /// A restore that ran into one of the namespaces while they were backed up.
    async fn restore_during(
        &self,
        job: &BackupJob,
        result: &BackupResult,
    ) -> Result<Option<RestoredBy>, Interrupted> {
        let mut query = ExecutionQuery::new(Scope::Everyone);
        query.cluster = Some(self.cluster.clone());
        query.active_after = job.started_at;
        let executions = self.core.store.executions(&query).await?.items;
        let touched = |into: Vec<NamespaceName>| into.iter().any(|name| result.namespaces.contains(name));
        let execution = executions.iter().find(|execution| {
            touched(target_namespaces(&execution.record, &execution.namespaces, &execution.options.mapping))
        });
        if let Some(execution) = execution {
            return Ok(Some(RestoredBy::Execution(execution.id)));
        }
        let mut query = DrTestQuery::new(Scope::Everyone);
        query.cluster = Some(self.cluster.clone());
        query.active_after = job.started_at;
        let tests = self.core.store.dr_tests(&query).await?.items;
        let test =
            tests.iter().find(|test| test.run.as_ref().is_some_and(|run| touched(run.into_namespaces())));
        Ok(test.map(|test| RestoredBy::DrTest(test.id)))
    }

    /// Commits the end of a job and notes it in its policy's state, unless the job goes on; and its
    /// record, if it made one, in the exposure of the policies that it counts for.
    pub(crate) async fn commit_run_end(
        &mut self,
        job: &Versioned<BackupJob>,
        mut changeset: Changeset,
    ) -> Result<(), Interrupted> {
        let base = Self::freed_base(job, &changeset);
        if let (Some(policy), Some(end)) = (job.policy, run_end(&changeset))
            && let Some(state) = self.core.store.find::<PolicyState>(&Scope::Everyone, policy).await?
        {
            self.decider().note_run(&mut changeset, &state, end);
        }
        if let Some(base) = base {
            self.free_base(&mut changeset, job, &base).await?;
        }
        self.core.note_exposure(&mut changeset).await?;
        if let Outcome::Conflict(conflict) = self.commit(changeset).await? {
            tracing::debug!(job = %job.id, %conflict, "the end of a job is decided again");
        }
        Ok(())
    }

    /// What the job built on and needs no more. Work that may still end late needs it until then.
    fn freed_base(job: &BackupJob, changeset: &Changeset) -> Option<RecordRef> {
        let goes_on = changeset.changes.iter().any(|change| {
            matches!(&change.write, Write::Update(Entity::Job(job), _) if job.late_operation.is_some())
        });
        let operation = job.late_operation.or_else(|| job.open_attempt().map(|attempt| attempt.operation));
        let attempt = job.attempts.iter().find(|attempt| Some(attempt.operation) == operation);
        attempt.filter(|_| !goes_on).and_then(|attempt| attempt.base.clone())
    }

    async fn free_base(
        &self,
        changeset: &mut Changeset,
        job: &BackupJob,
        base: &RecordRef,
    ) -> Result<(), EngineError> {
        let Some(record) = self.core.store.find::<BackupRecord>(&Scope::Everyone, base.id).await? else {
            return Ok(());
        };
        Decider::free_of_job(changeset, &record, job.id);
        Ok(())
    }
}

/// How the job of this changeset ended, if it did.
fn run_end(changeset: &Changeset) -> Option<RunEnd> {
    changeset.changes.iter().find_map(|change| match (&change.write, change.kind) {
        (
            Write::Update(Entity::Job(job), _),
            EventKind::JobCompleted
            | EventKind::JobPartiallyFailed
            | EventKind::JobFailed
            | EventKind::JobCancelled,
        ) => Some(RunEnd {
            job: job.id,
            is_scheduled: job.slot.is_some(),
            status: job.status,
            failure: job.failure.as_ref().map(|failure| failure.message.clone()),
        }),
        _ => None,
    })
}

/// What a restore writes to, by the names at the target; paths outside of namespaces have none.
pub(crate) fn target_namespaces(
    record: &RecordRef,
    namespaces: &[crate::model::NamespaceName],
    mapping: &std::collections::BTreeMap<crate::model::NamespaceName, RestoreTarget>,
) -> Vec<crate::model::NamespaceName> {
    let chosen = if namespaces.is_empty() { &record.namespaces } else { namespaces };
    chosen
        .iter()
        .filter_map(|name| match mapping.get(name) {
            None => Some(name.clone()),
            Some(RestoreTarget::Namespace(target)) => Some(target.clone()),
            Some(RestoreTarget::Path(_)) => None,
        })
        .collect()
}
