//! A backup job's next step, from what the driver says.

use std::time::Duration;

use super::{Decider, NameTaken};
use crate::{
    model::{
        Attempt, BackupJob, BackupKind, BackupRecord, EntityKey, EventFacts, EventKind, Failure, IssueGroup,
        JobResult, JobStatus, JobStep, JobStepKind, NamespaceName, OperationId, RecordUse, TransitionError,
        Verification, Versioned,
    },
    seams::{BackupWork, Changeset, EndStatus, Observation, Operation, Outcome, Work, WorkResult},
};

/// How long an outer system must keep what the engine has no rule for yet.
const KEEP_AT_LEAST: Duration = Duration::from_secs(30 * 24 * 3600);
/// The longest wait between two attempts.
const MAX_BACKOFF: Duration = Duration::from_secs(3600);

/// What an attempt needs to start.
#[derive(Debug)]
pub(crate) struct Start<'a> {
    /// What exists in the cluster.
    pub(crate) existing: &'a [NamespaceName],
    /// What an incremental or differential can build on.
    pub(crate) base: Option<&'a Versioned<BackupRecord>>,
    /// Whether what is built on must stay.
    pub(crate) chained: bool,
    /// Whether the plain name was refused.
    pub(crate) name_taken: NameTaken,
}

/// What to do with a job after it was observed.
#[derive(Debug)]
pub(crate) enum JobNext {
    /// Nothing but noting how far it is.
    Wait,
    /// Call the driver's `start` again under the same identity.
    StartAgain,
    /// Ask the driver to cancel.
    Cancel,
    /// Commit this, then ask the driver to cancel what may still run.
    CommitAndCancel(Changeset),
    /// Commit this.
    Commit(Changeset),
    /// Write the manifest, then commit the record: it ended with something.
    Catalogue(Box<Outcome>),
}

impl Decider<'_> {
    /// Starts the next attempt of a job: the intent is committed before the driver is called.
    ///
    /// # Errors
    /// [`TransitionError`] if the job is not to be started.
    pub(crate) fn start_job(
        &self,
        job: &Versioned<BackupJob>,
        start: &Start<'_>,
    ) -> Result<(Changeset, Option<Operation>), TransitionError> {
        let resolved = job.namespaces.resolve(start.existing);
        if !resolved.unknown.is_empty() || resolved.selected.is_empty() {
            let failure = nothing_to_back_up(job, &resolved.unknown, start.existing);
            return Ok((self.step(job, JobStep::Fail(failure))?, None));
        }
        let operation = self.ids.mint::<OperationId>(self.now);
        let mut changeset = self.changeset();
        let name = self.reserve_name(
            &mut changeset,
            &job.tenant,
            EntityKey::Job(job.id),
            &job.name,
            start.name_taken,
        );
        let attempt = Attempt {
            operation,
            name,
            namespaces: resolved.selected,
            base: start.base.and_then(|base| base.reference()),
            started_at: self.now,
            ended_at: None,
            failure: None,
        };
        let started = BackupJob::clone(job).apply(JobStep::Start(attempt), self.now)?;
        let request = operation_of(&started, operation);
        if let Some(base) = start.base.filter(|_| start.chained) {
            let mut used = BackupRecord::clone(base);
            used.uses.push(RecordUse::Job(job.id));
            changeset.update(base.version, used, EventKind::RecordUseChanged, job_facts(job));
        }
        changeset.update(job.version, started, EventKind::JobStarted, job_facts(job));
        Ok((changeset, request))
    }

    /// What follows from an observation of the job's open attempt.
    ///
    /// # Errors
    /// [`TransitionError`] if the job has ended meanwhile.
    pub(crate) fn observe_job(
        &self,
        job: &Versioned<BackupJob>,
        observation: Observation,
        backoff: Duration,
    ) -> Result<JobNext, TransitionError> {
        if job.late_operation.is_some() {
            return Ok(self.observe_late(job, observation));
        }
        let overdue = job.deadline().is_some_and(|deadline| self.now > deadline);
        match observation {
            Observation::Ended(outcome) => self.job_ended(job, outcome, backoff),
            Observation::Lost { reason } => {
                self.job_lost(job, Failure::new(reason), backoff).map(JobNext::Commit)
            }
            Observation::Absent if job.cancel_requested_at.is_some() => {
                Ok(JobNext::Commit(self.step(job, JobStep::Cancel)?))
            }
            _ if overdue => self.job_overdue(job).map(JobNext::CommitAndCancel),
            Observation::Absent => Ok(JobNext::StartAgain),
            Observation::Queued { .. }
            | Observation::Running(_)
            | Observation::Unknown { .. }
            | Observation::Deferred { .. } => {
                Ok(if job.cancel_requested_at.is_some() { JobNext::Cancel } else { JobNext::Wait })
            }
        }
    }

    fn job_ended(
        &self,
        job: &Versioned<BackupJob>,
        outcome: Box<Outcome>,
        backoff: Duration,
    ) -> Result<JobNext, TransitionError> {
        match (outcome.status, &outcome.result) {
            (EndStatus::Completed | EndStatus::PartiallyFailed, WorkResult::Backup(_)) => {
                Ok(JobNext::Catalogue(outcome))
            }
            (EndStatus::Cancelled, _) => {
                Ok(JobNext::Commit(self.step_with(job, JobStep::Cancel, &outcome)?))
            }
            (EndStatus::Completed | EndStatus::PartiallyFailed | EndStatus::Failed, _) => {
                let failure = failure_of(&outcome);
                let transient = outcome.failure_class.is_some_and(crate::seams::ErrorClass::is_transient);
                if transient {
                    return self.job_lost(job, failure, backoff).map(JobNext::Commit);
                }
                Ok(JobNext::Commit(self.step_with(job, JobStep::Fail(failure), &outcome)?))
            }
        }
    }

    /// The attempt can't count any more: another, if one is permitted; else the job has failed.
    pub(crate) fn job_lost(
        &self,
        job: &Versioned<BackupJob>,
        failure: Failure,
        backoff: Duration,
    ) -> Result<Changeset, TransitionError> {
        if job.cancel_requested_at.is_some() {
            return self.step(job, JobStep::Cancel);
        }
        if job.may_retry() {
            let retry_at = self.now.saturating_add(growing(backoff, job.attempts.len()));
            return self.step(job, JobStep::Lose { failure, retry_at });
        }
        let attempts = job.attempts.len();
        let failure =
            Failure { message: format!("gave up after {attempts} attempts: {}", failure.message), ..failure };
        self.step(job, JobStep::Fail(failure))
    }

    /// What follows from a backup that ended well and could not be entered into the catalogue:
    /// nothing before its deadline, unless another's manifest lies in its place. Then its result
    /// can never count, and a new attempt gets another name.
    ///
    /// # Errors
    /// [`TransitionError`] if the job has ended meanwhile.
    pub(crate) fn uncatalogued(
        &self,
        job: &Versioned<BackupJob>,
        failure: Failure,
        is_place_taken: bool,
        backoff: Duration,
    ) -> Result<Option<Changeset>, TransitionError> {
        match (job.late_operation, is_place_taken) {
            (Some(_), true) => Ok(Some(self.settle_late(job))),
            (Some(_), false) => Ok(None),
            (None, true) => self.job_lost(job, failure, backoff).map(Some),
            (None, false) if job.deadline().is_some_and(|deadline| self.now > deadline) => {
                self.end_late(job, failure).map(Some)
            }
            (None, false) => Ok(None),
        }
    }

    fn job_overdue(&self, job: &Versioned<BackupJob>) -> Result<Changeset, TransitionError> {
        let failure = Failure {
            message: format!("it did not end within {} seconds", job.timeout.as_secs()),
            cause: None,
            suggestion: Some("raise the timeout, or find out why the backup is slow".to_owned()),
        };
        self.end_late(job, failure)
    }

    /// The job has failed; its operation is observed until it ends.
    fn end_late(&self, job: &Versioned<BackupJob>, failure: Failure) -> Result<Changeset, TransitionError> {
        let operation = job.open_attempt().map(|attempt| attempt.operation);
        let mut next = BackupJob::clone(job).apply(JobStep::Fail(failure), self.now)?;
        next.late_operation = operation;
        let mut changeset = self.changeset();
        changeset.update(job.version, next, EventKind::JobFailed, job_facts(job));
        Ok(changeset)
    }

    /// The job has failed by its deadline, but its operation may still end.
    fn observe_late(&self, job: &Versioned<BackupJob>, observation: Observation) -> JobNext {
        match observation {
            Observation::Ended(outcome)
                if matches!(outcome.status, EndStatus::Completed | EndStatus::PartiallyFailed)
                    && matches!(outcome.result, WorkResult::Backup(_)) =>
            {
                JobNext::Catalogue(outcome)
            }
            Observation::Ended(_) | Observation::Absent | Observation::Lost { .. } => {
                JobNext::Commit(self.settle_late(job))
            }
            Observation::Queued { .. }
            | Observation::Running(_)
            | Observation::Unknown { .. }
            | Observation::Deferred { .. } => JobNext::Wait,
        }
    }

    /// Nothing came of the operation after all.
    fn settle_late(&self, job: &Versioned<BackupJob>) -> Changeset {
        let mut next = BackupJob::clone(job);
        next.late_operation = None;
        let mut changeset = self.changeset();
        changeset.update(job.version, next, EventKind::JobSettledLate, job_facts(job));
        changeset
    }

    /// Enters the record of an ended job into the catalogue and ends the job, in one changeset.
    ///
    /// A job that failed by its deadline stays failed and says that a record came all the same.
    ///
    /// # Errors
    /// [`TransitionError`] if the job has ended meanwhile.
    pub(crate) fn catalogue(
        &self,
        job: &Versioned<BackupJob>,
        outcome: &Outcome,
        record: BackupRecord,
        verification: Option<Verification>,
    ) -> Result<Changeset, TransitionError> {
        let result = JobResult { record: record.id, sizes: record.sizes, counts: record.counts.clone() };
        let (mut next, kind) = if job.late_operation.is_some() {
            let mut next = BackupJob::clone(job);
            next.late_operation = None;
            next.warnings.push(IssueGroup::once(
                "the backup completed after the job's timeout; its record is in the catalogue",
            ));
            next.result = Some(result);
            (next, EventKind::JobSettledLate)
        } else {
            let step = match outcome.status {
                EndStatus::PartiallyFailed => JobStep::PartiallyFail(result, failure_of(outcome)),
                EndStatus::Completed | EndStatus::Failed | EndStatus::Cancelled => JobStep::Complete(result),
            };
            let kind = event_of(step.kind());
            (BackupJob::clone(job).apply(step, self.now)?, kind)
        };
        next.warnings.extend(outcome.warnings.iter().cloned());
        next.errors.clone_from(&outcome.errors);
        let facts = EventFacts {
            record: Some(record.id),
            bytes: record.sizes.stored,
            sizes: Some(record.sizes),
            backup: Some(record.kind),
            duration: job.started_at.map(|start| self.now.since(start)),
            ..job_facts(job)
        };
        let mut changeset = self.changeset();
        changeset.update(job.version, next, kind, facts.clone());
        changeset.insert(record, EventKind::RecordCreated, facts.clone());
        if let Some(verification) = verification {
            changeset.insert(verification, EventKind::VerificationStarted, facts);
        }
        Ok(changeset)
    }

    /// A person's wish that the job ends.
    ///
    /// # Errors
    /// [`TransitionError`] if it has ended otherwise than by cancellation.
    pub(crate) fn cancel_job(
        &self,
        job: &Versioned<BackupJob>,
        mut changeset: Changeset,
    ) -> Result<Changeset, TransitionError> {
        let (next, kind) = match job.status {
            JobStatus::Pending => {
                (BackupJob::clone(job).apply(JobStep::Cancel, self.now)?, EventKind::JobCancelled)
            }
            JobStatus::InProgress
            | JobStatus::Completed
            | JobStatus::PartiallyFailed
            | JobStatus::Failed
            | JobStatus::Cancelled => {
                use crate::model::Machine;
                job.status.after(JobStepKind::Cancel)?;
                let mut next = BackupJob::clone(job);
                next.cancel_requested_at = next.cancel_requested_at.or(Some(self.now));
                (next, EventKind::JobCancelRequested)
            }
        };
        changeset.update(job.version, next, kind, job_facts(job));
        Ok(changeset)
    }

    /// Ends the job with a failure of our own making.
    ///
    /// # Errors
    /// [`TransitionError`] if it has ended meanwhile.
    pub(crate) fn fail_job(
        &self,
        job: &Versioned<BackupJob>,
        failure: Failure,
    ) -> Result<Changeset, TransitionError> {
        self.step(job, JobStep::Fail(failure))
    }

    fn step(&self, job: &Versioned<BackupJob>, step: JobStep) -> Result<Changeset, TransitionError> {
        self.write_step(job, step, |_| {})
    }

    fn step_with(
        &self,
        job: &Versioned<BackupJob>,
        step: JobStep,
        outcome: &Outcome,
    ) -> Result<Changeset, TransitionError> {
        self.write_step(job, step, |next| {
            next.warnings.clone_from(&outcome.warnings);
            next.errors.clone_from(&outcome.errors);
        })
    }

    fn write_step(
        &self,
        job: &Versioned<BackupJob>,
        step: JobStep,
        edit: impl FnOnce(&mut BackupJob),
    ) -> Result<Changeset, TransitionError> {
        let kind = event_of(step.kind());
        let reason = match &step {
            JobStep::Lose { failure, .. } | JobStep::Fail(failure) | JobStep::PartiallyFail(_, failure) => {
                Some(failure.message.clone())
            }
            JobStep::Start(_) | JobStep::Complete(_) | JobStep::Cancel => None,
        };
        let mut next = BackupJob::clone(job).apply(step, self.now)?;
        edit(&mut next);
        let duration = next.completed_at.and_then(|end| next.started_at.map(|start| end.since(start)));
        let mut changeset = self.changeset();
        changeset.update(job.version, next, kind, EventFacts { reason, duration, ..job_facts(job) });
        Ok(changeset)
    }
}

/// One attempt of a job, as the driver knows it: the same request whenever it is asked about.
pub(crate) fn operation_of(job: &BackupJob, operation: OperationId) -> Option<Operation> {
    let attempt = job.attempts.iter().find(|attempt| attempt.operation == operation)?;
    Some(Operation {
        id: operation,
        tenant: job.tenant.clone(),
        cluster: job.cluster.clone(),
        name: attempt.name.clone(),
        started_at: attempt.started_at,
        work: Work::Backup(BackupWork {
            namespaces: attempt.namespaces.clone(),
            include_volumes: job.include_volumes,
            location: job.location.clone(),
            kind: job.kind,
            base: attempt.base.clone(),
            keep_at_least: job.ttl.unwrap_or(KEEP_AT_LEAST),
            labels: job.labels.clone(),
        }),
    })
}

pub(crate) fn job_facts(job: &BackupJob) -> EventFacts {
    EventFacts {
        cluster: Some(job.cluster.clone()),
        policy: job.policy,
        job: Some(job.id),
        backup: Some(job.kind),
        ..EventFacts::default()
    }
}

const fn event_of(step: JobStepKind) -> EventKind {
    match step {
        JobStepKind::Start => EventKind::JobStarted,
        JobStepKind::Lose => EventKind::JobAttemptLost,
        JobStepKind::Complete => EventKind::JobCompleted,
        JobStepKind::PartiallyFail => EventKind::JobPartiallyFailed,
        JobStepKind::Fail => EventKind::JobFailed,
        JobStepKind::Cancel => EventKind::JobCancelled,
    }
}

/// Why an outcome is no success, from its errors.
pub(crate) fn failure_of(outcome: &Outcome) -> Failure {
    let first = outcome.errors.first();
    Failure {
        message: first.map_or_else(
            || format!("the driver reported {} without saying why", outcome.status),
            |issue| match issue.count {
                0 | 1 => issue.cause.clone(),
                count => format!("{} ({count} times)", issue.cause),
            },
        ),
        cause: first.and_then(|issue| issue.examples.first().cloned()),
        suggestion: first.and_then(|issue| issue.suggestion.clone()),
    }
}

fn nothing_to_back_up(job: &BackupJob, unknown: &[NamespaceName], existing: &[NamespaceName]) -> Failure {
    let list = |names: &[NamespaceName]| {
        names.iter().take(20).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
    };
    let message = if unknown.is_empty() {
        format!("the selection matches no namespace of cluster `{}`", job.cluster)
    } else {
        format!("cluster `{}` has no namespace {}", job.cluster, list(unknown))
    };
    let suggestion = if existing.is_empty() {
        "the cluster has no namespaces at all: configure some".to_owned()
    } else {
        format!("choose among {}", list(existing))
    };
    Failure { message, cause: None, suggestion: Some(suggestion) }
}

/// The wait before the attempt after `made` ones: doubles with each.
fn growing(backoff: Duration, made: usize) -> Duration {
    let doublings = u32::try_from(made.saturating_sub(1)).unwrap_or(u32::MAX).min(16);
    backoff.saturating_mul(1 << doublings).min(MAX_BACKOFF)
}

/// What kind of record a job of `kind` can build on.
pub(crate) const fn builds_on(kind: BackupKind) -> Option<&'static [BackupKind]> {
    match kind {
        BackupKind::Full | BackupKind::Snapshot => None,
        BackupKind::Incremental => Some(BackupKind::ALL),
        BackupKind::Differential => Some(&[BackupKind::Full]),
    }
}

impl Decider<'_> {
    /// Ends a job that was asked to end between two attempts.
    ///
    /// # Errors
    /// [`TransitionError`] if it has ended meanwhile.
    pub(crate) fn end_cancelled(&self, job: &Versioned<BackupJob>) -> Result<Changeset, TransitionError> {
        self.step(job, JobStep::Cancel)
    }

    /// The record that a job built on is free of it.
    pub(crate) fn free_of_job(
        changeset: &mut Changeset,
        record: &Versioned<BackupRecord>,
        job: crate::model::JobId,
    ) {
        if record.uses.contains(&RecordUse::Job(job)) {
            let mut freed = BackupRecord::clone(record);
            freed.uses.retain(|by| *by != RecordUse::Job(job));
            let facts = EventFacts { record: Some(record.id), job: Some(job), ..EventFacts::default() };
            changeset.update(record.version, freed, EventKind::RecordUseChanged, facts);
        }
    }
}
