//! A recovery execution's next step, and the plan's with it.

use super::{Decider, job::failure_of, record::record_facts};
use crate::{
    model::{
        BackupRecord, ClusterState, EventFacts, EventKind, ExecutionResult, ExecutionStepKind, Failure,
        PlanStepKind, RecordUse, RecoveryExecution, RecoveryPlan, RestoredBy, TransitionError, Versioned,
    },
    seams::{
        Changeset, EndStatus, Observation, Operation, Outcome, RestorePurpose, RestoreWork, Work, WorkResult,
    },
};

/// What to do with a recovery execution after it was observed.
#[derive(Debug)]
pub(crate) enum ExecutionStep {
    /// Nothing but noting how far it is.
    Wait,
    /// Call the driver's `start` again under the same identity.
    Start,
    /// Ask the driver to cancel.
    Cancel,
    /// Commit this.
    Commit(Changeset),
}

/// What is changed along with an execution that ends.
#[derive(Debug)]
pub(crate) struct ExecutionSurroundings<'a> {
    /// Its plan.
    pub(crate) plan: Option<&'a Versioned<RecoveryPlan>>,
    /// Its record.
    pub(crate) record: Option<&'a Versioned<BackupRecord>>,
    /// The target cluster.
    pub(crate) cluster: Option<&'a Versioned<ClusterState>>,
    /// How far it was when that was last noted, in whole per cent.
    pub(crate) percent: u8,
}

impl Decider<'_> {
    /// What follows from an observation of a recovery execution. Restores are never retried.
    ///
    /// One that takes too long is asked to end, and has failed once it did: as long as it may
    /// write, its target is not free for another, nor its record to be deleted.
    ///
    /// # Errors
    /// [`TransitionError`] if it has ended meanwhile.
    pub(crate) fn observe_execution(
        &self,
        execution: &Versioned<RecoveryExecution>,
        around: &ExecutionSurroundings<'_>,
        observation: Observation,
    ) -> Result<ExecutionStep, TransitionError> {
        let overdue = self.now > execution.started_at.saturating_add(execution.timeout);
        let cancelled = execution.cancel_requested_at.is_some();
        match observation {
            Observation::Ended(outcome) => {
                let step = match outcome.status {
                    EndStatus::Completed => ExecutionStepKind::Complete,
                    EndStatus::PartiallyFailed => ExecutionStepKind::PartiallyFail,
                    EndStatus::Failed => ExecutionStepKind::Fail,
                    EndStatus::Cancelled => ExecutionStepKind::Cancel,
                };
                let timed_out = step == ExecutionStepKind::Cancel && overdue && !cancelled;
                let (step, failure) = if timed_out {
                    (ExecutionStepKind::Fail, Some(too_long(execution)))
                } else {
                    (step, (step != ExecutionStepKind::Complete).then(|| failure_of(&outcome)))
                };
                self.end_execution(execution, around, step, failure, Some(&outcome))
                    .map(ExecutionStep::Commit)
            }
            Observation::Lost { reason } => {
                let failure = Failure {
                    message: format!("the restore was lost: {reason}"),
                    cause: None,
                    suggestion: Some(
                        "see what is at the target, then execute the plan again: restores are never repeated by themselves"
                            .to_owned(),
                    ),
                };
                self.end_execution(execution, around, ExecutionStepKind::Fail, Some(failure), None)
                    .map(ExecutionStep::Commit)
            }
            Observation::Absent if cancelled => self
                .end_execution(execution, around, ExecutionStepKind::Cancel, None, None)
                .map(ExecutionStep::Commit),
            Observation::Absent if overdue => self
                .end_execution(execution, around, ExecutionStepKind::Fail, Some(too_long(execution)), None)
                .map(ExecutionStep::Commit),
            Observation::Absent => Ok(ExecutionStep::Start),
            Observation::Queued { .. }
            | Observation::Running(_)
            | Observation::Unknown { .. }
            | Observation::Deferred { .. } => {
                Ok(if cancelled || overdue { ExecutionStep::Cancel } else { ExecutionStep::Wait })
            }
        }
    }

    /// Ends an execution: its plan follows, its record and its target are free again.
    ///
    /// # Errors
    /// [`TransitionError`] if it has ended meanwhile.
    pub(crate) fn end_execution(
        &self,
        execution: &Versioned<RecoveryExecution>,
        around: &ExecutionSurroundings<'_>,
        step: ExecutionStepKind,
        failure: Option<Failure>,
        outcome: Option<&Outcome>,
    ) -> Result<Changeset, TransitionError> {
        let (kind, plan_step, plan_kind) = events_of(step);
        let ended_at =
            outcome.map_or(self.now, |outcome| outcome.ended_between(execution.started_at, self.now));
        let mut next = RecoveryExecution::clone(execution).apply(step, ended_at)?;
        let reason = failure.as_ref().map(|failure| failure.message.clone());
        next.failure = failure;
        next.percent = around.percent;
        if let Some(outcome) = outcome {
            next.warnings.clone_from(&outcome.warnings);
            next.errors.clone_from(&outcome.errors);
            if let WorkResult::Restore(result) = &outcome.result {
                next.result = Some(ExecutionResult {
                    restored: result.restored.clone(),
                    unchanged: result.unchanged,
                    bytes: result.bytes,
                });
            }
        }
        let facts = EventFacts {
            cluster: Some(execution.target_cluster.clone()),
            record: Some(execution.record.id),
            bytes: next.result.as_ref().map(|result| result.bytes),
            duration: next.duration(),
            reason,
            ..EventFacts::default()
        };
        let mut changeset = self.changeset();
        changeset.update(execution.version, next, kind, facts.clone());
        if let Some(plan) = around.plan {
            let plan_next = RecoveryPlan::clone(plan).apply(plan_step, self.now)?;
            changeset.update(plan.version, plan_next, plan_kind, facts);
        }
        self.free_record_and_target(&mut changeset, execution, around);
        Ok(changeset)
    }

    fn free_record_and_target(
        &self,
        changeset: &mut Changeset,
        execution: &RecoveryExecution,
        around: &ExecutionSurroundings<'_>,
    ) {
        if let Some(record) = around.record {
            let mut freed = BackupRecord::clone(record);
            freed.uses.retain(|by| *by != RecordUse::Execution(execution.id));
            changeset.update(record.version, freed, EventKind::RecordUseChanged, record_facts(record));
        }
        if let Some(cluster) = around.cluster {
            let mut freed = ClusterState::clone(cluster);
            freed.restores.retain(|active| active.by != RestoredBy::Execution(execution.id));
            let facts = EventFacts { cluster: Some(cluster.cluster.clone()), ..EventFacts::default() };
            changeset.update(cluster.version, freed, EventKind::ClusterStateChanged, facts);
        }
    }
}

fn too_long(execution: &RecoveryExecution) -> Failure {
    Failure::new(format!("it did not end within {} seconds", execution.timeout.as_secs()))
}

const fn events_of(step: ExecutionStepKind) -> (EventKind, PlanStepKind, EventKind) {
    match step {
        ExecutionStepKind::Complete => {
            (EventKind::ExecutionCompleted, PlanStepKind::Complete, EventKind::PlanCompleted)
        }
        ExecutionStepKind::PartiallyFail => {
            (EventKind::ExecutionPartiallyFailed, PlanStepKind::Fail, EventKind::PlanFailed)
        }
        ExecutionStepKind::Fail => (EventKind::ExecutionFailed, PlanStepKind::Fail, EventKind::PlanFailed),
        ExecutionStepKind::Cancel => {
            (EventKind::ExecutionCancelled, PlanStepKind::Cancel, EventKind::PlanCancelled)
        }
    }
}

/// An execution as the driver knows it.
pub(crate) fn operation_of(execution: &RecoveryExecution) -> Operation {
    Operation {
        id: execution.operation,
        tenant: execution.tenant.clone(),
        cluster: execution.target_cluster.clone(),
        name: execution.name.clone(),
        started_at: execution.started_at,
        work: Work::Restore(RestoreWork {
            record: execution.record.clone(),
            namespaces: execution.namespaces.clone(),
            options: execution.options.clone(),
            purpose: RestorePurpose::Recovery,
        }),
    }
}
