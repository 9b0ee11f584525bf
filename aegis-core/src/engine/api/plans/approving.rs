//! Approving plans, and giving them up.

use super::{super::Tenant, PlanView, plan_facts};
use crate::{
    engine::EngineError,
    model::{
        Approval, ApprovalRule, EntityKey, EventFacts, EventKind, ExecutionId, Machine, PlanHash, PlanId,
        PlanStatus, PlanStepKind, RecoveryExecution, RecoveryPlan, Versioned,
    },
    seams::Feature,
};

impl Tenant {
    /// Approves a plan as it would be executed now, which `hash` must name. One approval serves one
    /// execution. Idempotent per principal.
    ///
    /// # Errors
    /// `NotFound`; `VersionConflict` if what would run is not what `hash` names, or the plan is not at
    /// [`if_version`](Self::if_version); `Forbidden` if
    /// the tenant asks for a second person and this is the author; `InvalidTransition`.
    pub async fn approve_plan(&self, id: PlanId, hash: &PlanHash) -> Result<PlanView, EngineError> {
        let rule = self.approval_rule();
        let plan = self.find::<RecoveryPlan>(id).await?;
        let resolved = self.resolve(&plan).await?;
        if resolved.hash != *hash {
            return Err(EngineError::VersionConflict { what: "plan" });
        }
        if rule == ApprovalRule::Two && plan.created_by == self.principal {
            return Err(EngineError::Forbidden(
                "a plan is approved by someone other than its author: ask another person".to_owned(),
            ));
        }
        self.change::<RecoveryPlan>(id, |decider, plan, mut changeset| {
            self.check_version(plan)?;
            // A failed plan stays what it is: the approval serves its next execution.
            let takes_more = matches!(plan.status, PlanStatus::Approved | PlanStatus::Failed);
            if takes_more
                && plan.approvals.iter().any(|known| known.by == self.principal && known.hash == *hash)
            {
                self.take_key(&mut changeset, EntityKey::Plan(id));
                return Ok(changeset);
            }
            let mut next = if takes_more {
                RecoveryPlan::clone(plan)
            } else {
                RecoveryPlan::clone(plan).apply(PlanStepKind::Approve, decider.now)?
            };
            next.approvals.retain(|known| known.by != self.principal);
            next.approvals.push(Approval { by: self.principal.clone(), at: decider.now, hash: hash.clone() });
            changeset.update(plan.version, next, EventKind::PlanApproved, plan_facts(plan));
            self.take_key(&mut changeset, EntityKey::Plan(id));
            Ok(changeset)
        })
        .await?;
        self.plan(id).await.map_err(EngineError::after_change)
    }

    /// Gives a plan up, or asks its running execution to end.
    ///
    /// # Errors
    /// `NotFound`; `VersionConflict` if it is not at [`if_version`](Self::if_version);
    /// `InvalidTransition` if it has ended; `Unsupported` if it runs and its driver can't cancel.
    pub async fn cancel_plan(&self, id: PlanId) -> Result<PlanView, EngineError> {
        let plan = self.find::<RecoveryPlan>(id).await?;
        if let (PlanStatus::Executing, Some(execution)) = (plan.status, plan.execution) {
            self.check_version(&plan)?;
            self.cancel_execution(execution, &plan).await?;
            return self.plan(id).await.map_err(EngineError::after_change);
        }
        self.change::<RecoveryPlan>(id, |decider, plan, mut changeset| {
            self.check_version(plan)?;
            let next = RecoveryPlan::clone(plan).apply(PlanStepKind::Cancel, decider.now)?;
            changeset.update(plan.version, next, EventKind::PlanCancelled, plan_facts(plan));
            self.take_key(&mut changeset, EntityKey::Plan(id));
            Ok(changeset)
        })
        .await?;
        self.plan(id).await.map_err(EngineError::after_change)
    }

    async fn cancel_execution(
        &self,
        id: ExecutionId,
        plan: &Versioned<RecoveryPlan>,
    ) -> Result<(), EngineError> {
        let execution = self.find::<RecoveryExecution>(id).await?;
        let served = self.core.cluster_of(&self.tenant, &execution.target_cluster)?;
        if !served.driver.capabilities().has(Feature::CancelRestore) {
            let driver = served.driver.capabilities().driver;
            return Err(EngineError::Unsupported(format!(
                "the {driver} driver can't cancel a running restore"
            )));
        }
        self.change::<RecoveryExecution>(id, |decider, execution, mut changeset| {
            self.take_key(&mut changeset, EntityKey::Plan(execution.plan));
            if execution.status.is_terminal() || execution.cancel_requested_at.is_some() {
                return Ok(changeset);
            }
            let mut next = RecoveryExecution::clone(execution);
            next.cancel_requested_at = Some(decider.now);
            if self.if_version.is_some() {
                changeset.expect_unchanged(EntityKey::Plan(plan.id), plan.version);
            }
            let facts = record_of_execution(execution);
            changeset.update(execution.version, next, EventKind::ExecutionCancelRequested, facts);
            Ok(changeset)
        })
        .await?;
        Ok(())
    }

    pub(super) fn approval_rule(&self) -> ApprovalRule {
        self.core.tenants.get(&self.tenant).map_or(ApprovalRule::None, |options| options.approval)
    }
}

fn record_of_execution(execution: &RecoveryExecution) -> EventFacts {
    EventFacts {
        cluster: Some(execution.target_cluster.clone()),
        record: Some(execution.record.id),
        ..EventFacts::default()
    }
}
