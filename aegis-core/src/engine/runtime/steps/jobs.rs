//! Backup jobs: watching those that run, starting those that wait.

use std::collections::HashMap;

use super::{StartError, failure_of, start_error};
use crate::{
    engine::{
        EngineError,
        decide::{JobNext, NameTaken, Start, builds_on, job_operation},
        runtime::{Outcome, Worker, worker::Interrupted},
    },
    model::{
        BackupJob, BackupRecord, ClusterState, EntityKey, Failure, JobStatus, NamespaceName, OperationId,
        RecordState, StorageUri, Versioned,
    },
    seams::{
        Conflict, Feature, JobOrder, JobQuery, Observation, Operation, RecordQuery, Scope, StoreExt, Window,
    },
};

/// How many jobs one read brings.
const BATCH: usize = 256;

impl Worker {
    /// Looks at every job of the cluster that runs, or that may still end late.
    pub(crate) async fn watch_jobs(&mut self) -> Result<(), Interrupted> {
        for job in self.running_jobs().await? {
            let done = self.watch_job(&job).await;
            self.go_on(done)?;
        }
        Ok(())
    }

    async fn running_jobs(&self) -> Result<Vec<Versioned<BackupJob>>, Interrupted> {
        let mut query = JobQuery::new(Scope::Everyone);
        query.cluster = Some(self.cluster.clone());
        query.statuses = vec![JobStatus::InProgress, JobStatus::Failed];
        query.live = Some(true);
        query.hidden = true;
        Ok(self.core.store.jobs(&query).await?.items)
    }

    async fn watch_job(&mut self, job: &Versioned<BackupJob>) -> Result<(), Interrupted> {
        let open = job.late_operation.or_else(|| job.open_attempt().map(|attempt| attempt.operation));
        let Some(open) = open else { return self.retry_job(job).await };
        let Some(operation) = job_operation(job, open) else { return Ok(()) };
        let Some(observation) = self.observe(&operation).await? else { return Ok(()) };
        self.follow_job(job, &operation, observation).await
    }

    /// Does what follows from an observation.
    async fn follow_job(
        &mut self,
        job: &Versioned<BackupJob>,
        operation: &Operation,
        observation: Observation,
    ) -> Result<(), Interrupted> {
        let backoff = self.core.options.retry_backoff;
        match self.decider().observe_job(job, observation, backoff)? {
            JobNext::Wait => {}
            JobNext::StartAgain => self.call_start(job, operation).await?,
            JobNext::Cancel => self.cancel(operation).await,
            JobNext::CommitAndCancel(changeset) => {
                self.commit_run_end(job, changeset).await?;
                self.cancel(operation).await;
            }
            JobNext::Commit(changeset) => self.commit_run_end(job, changeset).await?,
            JobNext::Catalogue(outcome) => self.catalogue(job, operation.id, &outcome).await?,
        }
        Ok(())
    }

    /// Calls the driver, whose refusal ends the job.
    async fn call_start(
        &mut self,
        job: &Versioned<BackupJob>,
        operation: &Operation,
    ) -> Result<(), Interrupted> {
        let Err(error) = self.start(operation).await? else { return Ok(()) };
        match start_error(&error) {
            StartError::Final => {
                let changeset = self.decider().fail_job(job, failure_of(&error))?;
                self.commit_run_end(job, changeset).await?;
            }
            StartError::Observe => {
                let error = crate::seams::report(&error).to_string();
                tracing::warn!(job = %job.id, operation = %operation.id, %error, "a backup was not started yet");
            }
        }
        Ok(())
    }

    /// Starts the next attempt of a job whose last one was lost, once its time has come.
    async fn retry_job(&mut self, job: &Versioned<BackupJob>) -> Result<(), Interrupted> {
        if job.retry_at.is_some_and(|at| at > self.core.clock.now()) {
            return Ok(());
        }
        if job.cancel_requested_at.is_some() {
            let changeset = self.decider().end_cancelled(job)?;
            return self.commit_run_end(job, changeset).await;
        }
        let target = self.core.store.find::<ClusterState>(&Scope::Everyone, self.cluster.clone()).await?;
        if target.is_some_and(|target| target.restore_into(&job.namespaces).is_some()) {
            return Ok(());
        }
        let Some(existing) = self.namespaces().await else { return Ok(()) };
        self.begin_job(job, &existing).await
    }

    /// Starts waiting jobs, highest priority first, as far as the limits permit. Those that have to
    /// wait longer, however many, hold up no other.
    pub(crate) async fn start_jobs(&mut self) -> Result<(), Interrupted> {
        let mut room = self.room().await?;
        if room == 0 {
            return Ok(());
        }
        let mut waiting = self.waiting_jobs(0).await?;
        if waiting.is_empty() {
            return Ok(());
        }
        let Some(existing) = self.namespaces().await else { return Ok(()) };
        let target = self.core.store.find::<ClusterState>(&Scope::Everyone, self.cluster.clone()).await?;
        let (mut rooms_of_locations, mut passed_over) = (HashMap::new(), 0);
        loop {
            let is_last = waiting.len() < BATCH;
            for job in waiting {
                let restoring = target.as_ref().and_then(|target| target.restore_into(&job.namespaces));
                if let Some(active) = restoring {
                    tracing::debug!(job = %job.id, by = %active.by, "a backup waits for a restore");
                    passed_over += 1;
                    continue;
                }
                if !self.take_room(&mut rooms_of_locations, &job.location).await? {
                    passed_over += 1;
                    continue;
                }
                let done = self.begin_job(&job, &existing).await;
                self.go_on(done)?;
                room -= 1;
                if room == 0 {
                    return Ok(());
                }
            }
            if is_last {
                return Ok(());
            }
            // Those that were started wait no more, so the next page begins behind the others.
            waiting = self.waiting_jobs(passed_over).await?;
        }
    }

    /// A page of the waiting jobs in the order in which they are started, without the first few.
    async fn waiting_jobs(&self, passed_over: usize) -> Result<Vec<Versioned<BackupJob>>, Interrupted> {
        let mut query = JobQuery::new(Scope::Everyone);
        query.cluster = Some(self.cluster.clone());
        query.statuses = vec![JobStatus::Pending];
        query.hidden = true;
        query.order = JobOrder::Dispatch;
        query.window = Window { offset: passed_over, ..Window::first(BATCH) };
        Ok(self.core.store.jobs(&query).await?.items)
    }

    /// How many more backups of the cluster may run.
    async fn room(&self) -> Result<usize, Interrupted> {
        let limit = self.served().map_or(0, |served| served.options.max_running);
        let mut query = JobQuery::new(Scope::Everyone);
        query.cluster = Some(self.cluster.clone());
        query.statuses = vec![JobStatus::InProgress];
        query.hidden = true;
        query.window = Window { limit: 0, offset: 0, after: None, count: true };
        let running = self.core.store.jobs(&query).await?.total.unwrap_or_default();
        Ok(limit.saturating_sub(usize::try_from(running).unwrap_or(usize::MAX)))
    }

    /// Takes a place at a storage location, if one is free.
    async fn take_room(
        &self,
        rooms: &mut HashMap<StorageUri, usize>,
        location: &StorageUri,
    ) -> Result<bool, Interrupted> {
        if !rooms.contains_key(location) {
            let mut query = JobQuery::new(Scope::Everyone);
            query.location = Some(location.clone());
            query.statuses = vec![JobStatus::InProgress];
            query.hidden = true;
            query.window = Window { limit: 0, offset: 0, after: None, count: true };
            let running = self.core.store.jobs(&query).await?.total.unwrap_or_default();
            let limit = self.core.options.max_running_per_location;
            let room = limit.saturating_sub(usize::try_from(running).unwrap_or(usize::MAX));
            rooms.insert(location.clone(), room);
        }
        let Some(room) = rooms.get_mut(location).filter(|room| **room > 0) else { return Ok(false) };
        *room -= 1;
        Ok(true)
    }

    /// Commits the intent to start an attempt, then calls the driver, then looks once: what ends
    /// at once need not wait for the next pass.
    async fn begin_job(
        &mut self,
        job: &Versioned<BackupJob>,
        existing: &[NamespaceName],
    ) -> Result<(), Interrupted> {
        let base = self.base_of(job).await?;
        let chained = self.served().is_some_and(|served| served.driver.capabilities().has(Feature::Chains));
        let mut name_taken = NameTaken::No;
        let operation = loop {
            let start = Start { existing, base: base.as_ref(), chained, name_taken };
            let (changeset, operation) = self.decider().start_job(job, &start)?;
            let ends = operation.is_none();
            let outcome = if ends {
                return self.commit_run_end(job, changeset).await;
            } else {
                self.commit(changeset).await?
            };
            match outcome {
                Outcome::Applied => break operation,
                Outcome::Conflict(Conflict::Exists { key: EntityKey::Reservation(_) })
                    if name_taken == NameTaken::No =>
                {
                    name_taken = NameTaken::Yes;
                }
                Outcome::Conflict(_) => return Ok(()),
            }
        };
        let (Some(operation), Some(started)) =
            (operation, self.core.store.find::<BackupJob>(&Scope::Everyone, job.id).await?)
        else {
            return Ok(());
        };
        self.call_start(&started, &operation).await?;
        if started.open_attempt().is_some_and(|attempt| attempt.operation == operation.id)
            && let Some(observation) = self.observe(&operation).await?
            && matches!(observation, Observation::Ended(_))
        {
            self.follow_job(&started, &operation, observation).await?;
        }
        Ok(())
    }

    /// The newest record that an incremental or differential can build on: one that can be restored
    /// itself, and of the same policy, so that retention sees every chain whole.
    async fn base_of(&self, job: &BackupJob) -> Result<Option<Versioned<BackupRecord>>, Interrupted> {
        let Some(kinds) = builds_on(job.kind) else { return Ok(None) };
        let mut query = RecordQuery::new(Scope::Tenant(job.tenant.clone()));
        query.cluster = Some(job.cluster.clone());
        query.policy = job.policy;
        query.location = Some(job.location.clone());
        query.states = vec![RecordState::Available];
        query.window = Window::first(64);
        let records = self.core.store.records(&query).await?.items;
        let fits = |record: &Versioned<BackupRecord>| {
            record.policy == job.policy && kinds.contains(&record.kind) && record.selection == job.namespaces
        };
        for record in records.into_iter().filter(fits) {
            if self.core.is_restorable(&record).await? {
                return Ok(Some(record));
            }
        }
        Ok(None)
    }

    /// Enters the record of an ended backup into the catalogue: manifest first, then the record.
    async fn catalogue(
        &mut self,
        job: &Versioned<BackupJob>,
        operation: OperationId,
        outcome: &crate::seams::Outcome,
    ) -> Result<(), Interrupted> {
        let error = match self.enter_record(job, operation, outcome).await {
            Err(Interrupted::Failed(error)) if !matches!(error, EngineError::Store(_)) => error,
            other => return other,
        };
        let text = crate::seams::report(&error).to_string();
        tracing::error!(job = %job.id, %operation, error = %text, "a backup could not be catalogued");
        // What is not finished here is found again by the next pass, but not for ever.
        let failure = Failure::new(format!("the backup could not be catalogued: {text}"));
        let backoff = self.core.options.retry_backoff;
        let taken = matches!(error, EngineError::AlreadyExists { .. });
        match self.decider().uncatalogued(job, failure, taken, backoff)? {
            Some(changeset) => self.commit_run_end(job, changeset).await,
            None => Ok(()),
        }
    }
}
