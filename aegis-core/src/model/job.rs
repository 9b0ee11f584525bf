//! Backup jobs: one run that makes a backup, over as many attempts as it takes.

use std::{num::NonZeroU32, time::Duration};

use serde::{Deserialize, Serialize};

use super::{
    ArtifactName, BackupKind, ClusterName, DisplayName, Failure, IssueGroup, JobId, Labels, Machine,
    NamespaceName, NamespaceSelection, OperationId, PolicyId, Principal, RecordId, RecordRef, ResourceCounts,
    Sizes, StorageUri, TenantId, Timestamp, TransitionError, machine::labels,
};

labels! {
    /// The states of a backup job.
    JobStatus {
        /// Waiting to be started.
        Pending = "pending",
        /// Started; how far is told by observation.
        InProgress = "in_progress",
        /// Everything that was asked for is in its record.
        Completed = "completed",
        /// Its record lacks something.
        PartiallyFailed = "partially_failed",
        /// It made no record, or made it too late.
        Failed = "failed",
        /// Stopped on request.
        Cancelled = "cancelled",
    }
}

labels! {
    /// What can happen to a backup job.
    JobStepKind {
        /// An attempt starts.
        Start = "start",
        /// The running attempt is lost; another may follow.
        Lose = "lose",
        /// It ends well.
        Complete = "complete",
        /// It ends with a part missing.
        PartiallyFail = "partially_fail",
        /// It ends without a result.
        Fail = "fail",
        /// It ends on request.
        Cancel = "cancel",
    }
}

impl Machine for JobStatus {
    type Step = JobStepKind;
    const NAME: &'static str = "backup job";
    const ALL: &'static [Self] = Self::ALL;
    const STEPS: &'static [JobStepKind] = JobStepKind::ALL;
    const TRANSITIONS: &'static [(Self, JobStepKind, Self)] = &[
        (Self::Pending, JobStepKind::Start, Self::InProgress),
        (Self::Pending, JobStepKind::Fail, Self::Failed),
        (Self::Pending, JobStepKind::Cancel, Self::Cancelled),
        (Self::InProgress, JobStepKind::Start, Self::InProgress),
        (Self::InProgress, JobStepKind::Lose, Self::InProgress),
        (Self::InProgress, JobStepKind::Complete, Self::Completed),
        (Self::InProgress, JobStepKind::PartiallyFail, Self::PartiallyFailed),
        (Self::InProgress, JobStepKind::Fail, Self::Failed),
        (Self::InProgress, JobStepKind::Cancel, Self::Cancelled),
    ];
}

/// One attempt at a job's work, under an identity and a name of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// The identity that the driver sees.
    pub operation: OperationId,
    /// The name of what it makes.
    pub name: ArtifactName,
    /// What it backs up, resolved when it started.
    pub namespaces: Vec<NamespaceName>,
    /// What it builds on.
    pub base: Option<RecordRef>,
    /// When the engine committed to it.
    pub started_at: Timestamp,
    /// When it was known to be over.
    pub ended_at: Option<Timestamp>,
    /// Why it did not succeed, once that is known.
    pub failure: Option<Failure>,
}

/// What happens to a backup job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobStep {
    /// An attempt starts.
    Start(Attempt),
    /// The running attempt is lost; the next may start at `retry_at`.
    Lose {
        /// Why.
        failure: Failure,
        /// When the next attempt may start.
        retry_at: Timestamp,
    },
    /// It ends with everything.
    Complete(JobResult),
    /// It ends with a part missing.
    PartiallyFail(JobResult, Failure),
    /// It ends without a result.
    Fail(Failure),
    /// It ends on request.
    Cancel,
}

impl JobStep {
    /// Which step of the table this is.
    #[must_use]
    pub const fn kind(&self) -> JobStepKind {
        match self {
            Self::Start(_) => JobStepKind::Start,
            Self::Lose { .. } => JobStepKind::Lose,
            Self::Complete(_) => JobStepKind::Complete,
            Self::PartiallyFail(..) => JobStepKind::PartiallyFail,
            Self::Fail(_) => JobStepKind::Fail,
            Self::Cancel => JobStepKind::Cancel,
        }
    }
}

/// What a job made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobResult {
    /// The record.
    pub record: RecordId,
    /// How large it is.
    pub sizes: Sizes,
    /// How many of what it holds.
    pub counts: ResourceCounts,
}

/// One run that makes a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupJob {
    /// Its id.
    pub id: JobId,
    /// Whose it is.
    pub tenant: TenantId,
    /// What people call it.
    pub name: DisplayName,
    /// What is backed up.
    pub cluster: ClusterName,
    /// Which namespaces of it.
    pub namespaces: NamespaceSelection,
    /// Whether volumes are wanted, for drivers that have them.
    pub include_volumes: bool,
    /// Where the data goes.
    pub location: StorageUri,
    /// How long its record is kept at the least, by the clock; a retention rule of that record.
    pub ttl: Option<Duration>,
    /// Labels, passed on to the record.
    pub labels: Labels,
    /// What kind of backup is wanted.
    pub kind: BackupKind,
    /// Higher goes first.
    pub priority: i32,
    /// The policy that it runs for; `None` for a manual job.
    pub policy: Option<PolicyId>,
    /// The slot that it runs for, by nominal time.
    pub slot: Option<Timestamp>,
    /// Where it stands. Changed by [`apply`](Self::apply) alone.
    pub status: JobStatus,
    /// Its attempts, oldest first.
    pub attempts: Vec<Attempt>,
    /// How many attempts it may have.
    pub max_attempts: NonZeroU32,
    /// How long an attempt may run before the job fails.
    pub timeout: Duration,
    /// When the next attempt may start, after one was lost.
    pub retry_at: Option<Timestamp>,
    /// Who made it.
    pub created_by: Principal,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its first attempt started.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub completed_at: Option<Timestamp>,
    /// When someone asked to cancel it.
    pub cancel_requested_at: Option<Timestamp>,
    /// An operation that may still end after the job did, and is observed until it does.
    pub late_operation: Option<OperationId>,
    /// What it made.
    pub result: Option<JobResult>,
    /// Why it did not complete.
    pub failure: Option<Failure>,
    /// Warnings by cause.
    pub warnings: Vec<IssueGroup>,
    /// Errors by cause.
    pub errors: Vec<IssueGroup>,
    /// Whether lists leave it out; deletion of an ended job hides it and keeps its history.
    pub hidden: bool,
}

impl BackupJob {
    /// The attempt that runs or ran last.
    #[must_use]
    pub fn current_attempt(&self) -> Option<&Attempt> {
        self.attempts.last()
    }

    /// The attempt that is open: started, and not known to be over.
    #[must_use]
    pub fn open_attempt(&self) -> Option<&Attempt> {
        self.attempts.last().filter(|attempt| attempt.ended_at.is_none())
    }

    /// Whether the engine still has something to do for it.
    #[must_use]
    pub fn is_live(&self) -> bool {
        !self.status.is_terminal() || self.late_operation.is_some()
    }

    /// Whether another attempt is permitted after the ones that were made.
    #[must_use]
    pub fn may_retry(&self) -> bool {
        u32::try_from(self.attempts.len()).is_ok_and(|made| made < self.max_attempts.get())
    }

    /// When the running attempt has taken too long.
    #[must_use]
    pub fn deadline(&self) -> Option<Timestamp> {
        self.open_attempt().map(|attempt| attempt.started_at.saturating_add(self.timeout))
    }

    /// The job after `step`.
    ///
    /// # Errors
    /// [`TransitionError`] if the state machine has no such step from here.
    pub fn apply(mut self, step: JobStep, at: Timestamp) -> Result<Self, TransitionError> {
        self.status = self.status.after(step.kind())?;
        match step {
            JobStep::Start(attempt) => {
                self.started_at = self.started_at.or(Some(at));
                self.retry_at = None;
                self.attempts.push(attempt);
            }
            JobStep::Lose { failure, retry_at } => {
                self.end_attempt(at, Some(failure));
                self.retry_at = Some(retry_at);
            }
            JobStep::Complete(result) => {
                self.result = Some(result);
                self.end(at, None);
            }
            JobStep::PartiallyFail(result, failure) => {
                self.result = Some(result);
                self.end(at, Some(failure));
            }
            JobStep::Fail(failure) => self.end(at, Some(failure)),
            JobStep::Cancel => self.end(at, None),
        }
        Ok(self)
    }

    fn end(&mut self, at: Timestamp, failure: Option<Failure>) {
        self.end_attempt(at, failure.clone());
        self.failure = failure;
        self.completed_at = Some(at);
        self.retry_at = None;
    }

    fn end_attempt(&mut self, at: Timestamp, failure: Option<Failure>) {
        if let Some(attempt) = self.attempts.last_mut().filter(|attempt| attempt.ended_at.is_none()) {
            attempt.ended_at = Some(at);
            attempt.failure = failure;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::machine::tests::check;

    #[test]
    fn every_step_is_legal_exactly_where_the_design_says() {
        use JobStatus as S;
        use JobStepKind as K;
        check::<JobStatus>(&[
            (S::Pending, &[(K::Start, S::InProgress), (K::Fail, S::Failed), (K::Cancel, S::Cancelled)]),
            (
                S::InProgress,
                &[
                    (K::Start, S::InProgress),
                    (K::Lose, S::InProgress),
                    (K::Complete, S::Completed),
                    (K::PartiallyFail, S::PartiallyFailed),
                    (K::Fail, S::Failed),
                    (K::Cancel, S::Cancelled),
                ],
            ),
            (S::Completed, &[]),
            (S::PartiallyFailed, &[]),
            (S::Failed, &[]),
            (S::Cancelled, &[]),
        ]);
    }
}
