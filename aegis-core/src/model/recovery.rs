//! Recovery plans, their approvals, and the executions that carry them out.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use super::{
    ArtifactName, Bytes, ClusterName, DisplayName, ExecutionId, Failure, IssueGroup, Machine, NamespaceName,
    NamespaceSelection, OperationId, PlanId, Principal, RecordId, RecordRef, ResourceCounts, TenantId,
    Timestamp, TransitionError, machine::labels,
};

labels! {
    /// The states of a recovery plan.
    PlanStatus {
        /// Written down.
        Pending = "pending",
        /// Approved, for one execution.
        Approved = "approved",
        /// Being carried out.
        Executing = "executing",
        /// What was asked for is there.
        Completed = "completed",
        /// The last execution did not bring everything back.
        Failed = "failed",
        /// Given up.
        Cancelled = "cancelled",
    }
}

labels! {
    /// What can happen to a recovery plan.
    PlanStepKind {
        /// Enough people approved it.
        Approve = "approve",
        /// It is carried out.
        Execute = "execute",
        /// Its execution completed.
        Complete = "complete",
        /// Its execution failed, or failed in part.
        Fail = "fail",
        /// It is given up.
        Cancel = "cancel",
    }
}

impl Machine for PlanStatus {
    type Step = PlanStepKind;
    const NAME: &'static str = "recovery plan";
    const ALL: &'static [Self] = Self::ALL;
    const STEPS: &'static [PlanStepKind] = PlanStepKind::ALL;
    const TRANSITIONS: &'static [(Self, PlanStepKind, Self)] = &[
        (Self::Pending, PlanStepKind::Approve, Self::Approved),
        (Self::Pending, PlanStepKind::Execute, Self::Executing),
        (Self::Pending, PlanStepKind::Cancel, Self::Cancelled),
        (Self::Approved, PlanStepKind::Execute, Self::Executing),
        (Self::Approved, PlanStepKind::Cancel, Self::Cancelled),
        (Self::Executing, PlanStepKind::Complete, Self::Completed),
        (Self::Executing, PlanStepKind::Fail, Self::Failed),
        (Self::Executing, PlanStepKind::Cancel, Self::Cancelled),
        (Self::Failed, PlanStepKind::Execute, Self::Executing),
    ];
}

labels! {
    /// The states of a recovery execution.
    ExecutionStatus {
        /// Running.
        Executing = "executing",
        /// What was asked for is there.
        Completed = "completed",
        /// Some of it is.
        PartiallyFailed = "partially_failed",
        /// It did not work.
        Failed = "failed",
        /// Stopped on request.
        Cancelled = "cancelled",
    }
}

labels! {
    /// What can happen to a recovery execution.
    ExecutionStepKind {
        /// It ends with everything.
        Complete = "complete",
        /// It ends with a part missing.
        PartiallyFail = "partially_fail",
        /// It ends without a result.
        Fail = "fail",
        /// It ends on request.
        Cancel = "cancel",
    }
}

impl Machine for ExecutionStatus {
    type Step = ExecutionStepKind;
    const NAME: &'static str = "recovery execution";
    const ALL: &'static [Self] = Self::ALL;
    const STEPS: &'static [ExecutionStepKind] = ExecutionStepKind::ALL;
    const TRANSITIONS: &'static [(Self, ExecutionStepKind, Self)] = &[
        (Self::Executing, ExecutionStepKind::Complete, Self::Completed),
        (Self::Executing, ExecutionStepKind::PartiallyFail, Self::PartiallyFailed),
        (Self::Executing, ExecutionStepKind::Fail, Self::Failed),
        (Self::Executing, ExecutionStepKind::Cancel, Self::Cancelled),
    ];
}

labels! {
    /// What a restore does about what is there already.
    ExistingResourcePolicy {
        /// What is there and differs stays, and is reported.
        None = "none",
        /// What is there and differs is overwritten.
        Update = "update",
        /// If anything differs, nothing is touched.
        Fail = "fail",
    }
}

labels! {
    /// How many people must approve a plan before it is executed.
    ApprovalRule {
        /// Nobody.
        None = "none",
        /// Anyone who may.
        One = "one",
        /// Someone other than its author, so that two people stand for it.
        Two = "two",
    }
}

/// Where a namespace of a record goes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RestoreTarget {
    /// To a namespace of the target cluster.
    Namespace(NamespaceName),
    /// To an absolute path below one of the cluster's restore roots.
    Path(String),
}

/// What of a record's namespaces to restore, where to, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreOptions {
    /// Only these paths within the namespaces; all when empty. Segments joined by `/`.
    pub paths: Vec<String>,
    /// Where namespaces go that do not go back in place.
    pub mapping: BTreeMap<NamespaceName, RestoreTarget>,
    /// What to do about what is there.
    pub existing: ExistingResourcePolicy,
    /// Whether volumes are restored, for drivers that have them.
    pub restore_volumes: bool,
    /// Whether node ports are kept, for drivers that have them.
    pub preserve_node_ports: bool,
}

/// A fingerprint over everything that an execution would do: the record's checksum and chain, the
/// resolved namespaces, the target, the mapping and the options.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PlanHash(pub String);

/// Someone's word that a plan may be executed as it would be at that moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// Who.
    pub by: Principal,
    /// When.
    pub at: Timestamp,
    /// For what.
    pub hash: PlanHash,
}

/// How to get a record back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecoveryPlan {
    /// Its id.
    pub id: PlanId,
    /// Whose it is.
    pub tenant: TenantId,
    /// What people call it.
    pub name: DisplayName,
    /// Why it exists, in their words.
    pub description: String,
    /// What to restore from.
    pub record: RecordId,
    /// Where to.
    pub target_cluster: ClusterName,
    /// Which namespaces of the record.
    pub namespaces: NamespaceSelection,
    /// What of them, where to and how.
    pub options: RestoreOptions,
    /// Where it stands. Changed by [`apply`](Self::apply) alone.
    pub status: PlanStatus,
    /// Approvals since its last execution.
    pub approvals: Vec<Approval>,
    /// The newest execution.
    pub execution: Option<ExecutionId>,
    /// Who made it.
    pub created_by: Principal,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

impl RecoveryPlan {
    /// The plan after `step`. An execution uses up the approvals.
    ///
    /// # Errors
    /// [`TransitionError`] if the state machine has no such step from here.
    pub fn apply(mut self, step: PlanStepKind, at: Timestamp) -> Result<Self, TransitionError> {
        self.status = self.status.after(step)?;
        self.updated_at = at;
        if step == PlanStepKind::Execute {
            self.approvals.clear();
        }
        Ok(self)
    }
}

/// How an execution ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecutionResult {
    /// How many of what were restored.
    pub restored: ResourceCounts,
    /// Entries that were there already as they should be.
    pub unchanged: u64,
    /// Bytes that were written.
    pub bytes: Bytes,
}

/// One carrying out of a recovery plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecoveryExecution {
    /// Its id.
    pub id: ExecutionId,
    /// Whose it is.
    pub tenant: TenantId,
    /// The plan.
    pub plan: PlanId,
    /// What is restored.
    pub record: RecordRef,
    /// Where to.
    pub target_cluster: ClusterName,
    /// Which namespaces of the record, resolved when it began.
    pub namespaces: Vec<NamespaceName>,
    /// What and how.
    pub options: RestoreOptions,
    /// What was approved, if approval was needed.
    pub hash: PlanHash,
    /// The identity that the driver sees. Restores are never retried by themselves, so there is one.
    pub operation: OperationId,
    /// The operation's name.
    pub name: ArtifactName,
    /// Where it stands. Changed by [`apply`](Self::apply) alone.
    pub status: ExecutionStatus,
    /// Who began it.
    pub started_by: Principal,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub completed_at: Option<Timestamp>,
    /// How long it may run.
    pub timeout: Duration,
    /// When someone asked to cancel it.
    pub cancel_requested_at: Option<Timestamp>,
    /// How far it was in whole per cent when it ended, as was last seen; 0 before.
    #[serde(default)]
    pub percent: u8,
    /// What came of it.
    pub result: Option<ExecutionResult>,
    /// Why it did not complete.
    pub failure: Option<Failure>,
    /// Warnings by cause.
    pub warnings: Vec<IssueGroup>,
    /// Errors by cause.
    pub errors: Vec<IssueGroup>,
}

impl RecoveryExecution {
    /// The execution after `step`.
    ///
    /// # Errors
    /// [`TransitionError`] if the state machine has no such step from here.
    pub fn apply(mut self, step: ExecutionStepKind, at: Timestamp) -> Result<Self, TransitionError> {
        self.status = self.status.after(step)?;
        self.completed_at = Some(at);
        Ok(self)
    }

    /// How long it took.
    #[must_use]
    pub fn duration(&self) -> Option<Duration> {
        self.completed_at.map(|end| end.since(self.started_at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::machine::tests::check;

    #[test]
    fn every_step_of_a_plan_is_legal_exactly_where_the_design_says() {
        use PlanStatus as S;
        use PlanStepKind as K;
        check::<PlanStatus>(&[
            (S::Pending, &[(K::Approve, S::Approved), (K::Execute, S::Executing), (K::Cancel, S::Cancelled)]),
            (S::Approved, &[(K::Execute, S::Executing), (K::Cancel, S::Cancelled)]),
            (S::Executing, &[(K::Complete, S::Completed), (K::Fail, S::Failed), (K::Cancel, S::Cancelled)]),
            (S::Completed, &[]),
            (S::Failed, &[(K::Execute, S::Executing)]),
            (S::Cancelled, &[]),
        ]);
    }

    #[test]
    fn every_step_of_an_execution_is_legal_exactly_where_the_design_says() {
        use ExecutionStatus as S;
        use ExecutionStepKind as K;
        check::<ExecutionStatus>(&[
            (
                S::Executing,
                &[
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
