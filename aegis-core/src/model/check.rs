//! What is run to find out: verifications and retention runs; DR tests have a file of their own.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

use super::{
    ArtifactName, Bytes, ClusterName, IssueGroup, Machine, OperationId, PolicyId, Principal, RecordId,
    RecordRef, RetentionRunId, StorageUri, TenantId, Timestamp, TransitionError, VerificationId,
    VerificationLevel, machine::labels,
};

labels! {
    /// The states of a verification, DR test, retention run or consolidation.
    CheckStatus {
        /// Not over yet.
        Running = "running",
        /// It did what it should.
        Passed = "passed",
        /// It found or had a fault.
        Failed = "failed",
        /// It could not be done, which is never the same as passed.
        NotRun = "not_run",
    }
}

labels! {
    /// What can happen to a verification, DR test, retention run or consolidation.
    CheckStep {
        /// It did what it should.
        Pass = "pass",
        /// It found or had a fault.
        Fail = "fail",
        /// It could not be done.
        GiveUp = "give_up",
    }
}

impl Machine for CheckStatus {
    type Step = CheckStep;
    const NAME: &'static str = "check";
    const ALL: &'static [Self] = Self::ALL;
    const STEPS: &'static [CheckStep] = CheckStep::ALL;
    const TRANSITIONS: &'static [(Self, CheckStep, Self)] = &[
        (Self::Running, CheckStep::Pass, Self::Passed),
        (Self::Running, CheckStep::Fail, Self::Failed),
        (Self::Running, CheckStep::GiveUp, Self::NotRun),
    ];
}

/// One check of one record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verification {
    /// Its id.
    pub id: VerificationId,
    /// Whose it is.
    pub tenant: TenantId,
    /// What is checked.
    pub record: RecordRef,
    /// The cluster whose driver checks it.
    pub cluster: ClusterName,
    /// How deep.
    pub level: VerificationLevel,
    /// The identity that the driver sees.
    pub operation: OperationId,
    /// The operation's name.
    pub name: ArtifactName,
    /// Where it stands. Changed by [`apply`](Self::apply) alone.
    pub status: CheckStatus,
    /// Who asked for it.
    pub requested_by: Principal,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub completed_at: Option<Timestamp>,
    /// How long it may run.
    pub timeout: Duration,
    /// The highest level that passed.
    pub passed_level: Option<VerificationLevel>,
    /// Bytes that were read.
    pub bytes_read: Option<Bytes>,
    /// Why it failed or was not run, for a person.
    pub reason: Option<String>,
    /// Findings by cause.
    pub errors: Vec<IssueGroup>,
}

impl Verification {
    /// The verification after `step`.
    ///
    /// # Errors
    /// [`TransitionError`] if it is over already.
    pub fn apply(mut self, step: CheckStep, at: Timestamp) -> Result<Self, TransitionError> {
        self.status = self.status.after(step)?;
        self.completed_at = Some(at);
        Ok(self)
    }
}

/// The records of a tenant that one run of retention judges.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RetentionGroup {
    /// The cluster that they come from.
    pub cluster: ClusterName,
    /// The policy that they were made for, deleted or not; `None` for records of no policy.
    pub policy: Option<PolicyId>,
    /// The location in which they lie, or have lain.
    pub location: StorageUri,
}

impl fmt::Display for RetentionGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cluster, policy, location } = self;
        match policy {
            Some(policy) => write!(f, "policy {policy} of cluster {cluster} in {location}"),
            None => write!(f, "no policy of cluster {cluster} in {location}"),
        }
    }
}

/// One run of the retention planner over one group of records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetentionRun {
    /// Its id.
    pub id: RetentionRunId,
    /// Whose it is.
    pub tenant: TenantId,
    /// The policy of the group, deleted or not; `None` for records of no policy.
    pub policy: Option<PolicyId>,
    /// The cluster of the group.
    pub cluster: ClusterName,
    /// The location of the group.
    pub location: StorageUri,
    /// Where it stands. Changed by [`apply`](Self::apply) alone.
    pub status: CheckStatus,
    /// Who asked for it.
    pub requested_by: Principal,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub completed_at: Option<Timestamp>,
    /// What was decided, a line per record that changes or stays; of a run that waits for a person's
    /// word, what would become of them.
    pub decisions: Vec<RetentionDecision>,
    /// Why it was refused, for a person.
    pub reason: Option<String>,
}

/// What a retention run decided about one record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetentionDecision {
    /// The record.
    pub record: RecordId,
    /// Whether it stays.
    pub kept: bool,
    /// Every reason that applies, in English.
    pub reasons: Vec<String>,
}

impl RetentionRun {
    /// The group that it judged.
    #[must_use]
    pub fn group(&self) -> RetentionGroup {
        RetentionGroup { cluster: self.cluster.clone(), policy: self.policy, location: self.location.clone() }
    }

    /// Whether `other` was refused as this one was, and would have let the same records go: then the
    /// one tells nothing that the other does not.
    #[must_use]
    pub fn is_refused_like(&self, other: &Self) -> bool {
        let fates = |run: &Self| -> Vec<_> {
            run.decisions.iter().map(|decision| (decision.record, decision.kept)).collect()
        };
        [self, other].iter().all(|run| run.status == CheckStatus::NotRun)
            && self.group() == other.group()
            && fates(self) == fates(other)
    }

    /// The run after `step`.
    ///
    /// # Errors
    /// [`TransitionError`] if it is over already.
    pub fn apply(mut self, step: CheckStep, at: Timestamp) -> Result<Self, TransitionError> {
        self.status = self.status.after(step)?;
        self.completed_at = Some(at);
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::machine::tests::check;

    #[test]
    fn every_step_is_legal_exactly_where_the_design_says() {
        use CheckStatus as S;
        use CheckStep as K;
        check::<CheckStatus>(&[
            (S::Running, &[(K::Pass, S::Passed), (K::Fail, S::Failed), (K::GiveUp, S::NotRun)]),
            (S::Passed, &[]),
            (S::Failed, &[]),
            (S::NotRun, &[]),
        ]);
    }
}
