//! Carrying plans out, and what has become of them.

use super::{super::Tenant, plan_facts, resolving::Resolved};
use crate::{
    engine::{
        EngineError,
        decide::{NameTaken, record_facts},
        runtime::{RETRIES, target_namespaces},
    },
    model::{
        ActiveRestore, ApprovalRule, BackupRecord, ClusterState, EntityKey, EventKind, ExecutionId,
        ExecutionStatus, Machine, PlanId, PlanStepKind, RecordUse, RecoveryExecution, RecoveryPlan,
        RestoredBy, Versioned,
    },
    seams::{
        Changeset, Conflict, ExecutionQuery, Feature, ProgressReport, RestorePreview, RestorePurpose,
        RestoreWork, Scope, StoreExt, Window,
    },
};

/// How to execute a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Execute {
    /// Say what would happen, and change nothing.
    DryRun,
    /// Do it: the caller confirms that it is meant.
    Confirmed,
}

/// What executing a plan came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Executed {
    /// What would happen.
    Preview(Box<RestorePreview>),
    /// It has begun.
    Started(Box<ExecutionView>),
}

/// An execution with how far it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecutionView {
    /// The execution.
    pub execution: Versioned<RecoveryExecution>,
    /// How far it is, as last seen, while it runs.
    pub progress: Option<ProgressReport>,
}

impl ExecutionView {
    /// Whole per cent; 100 once it has ended well, as far as it came otherwise. Never goes back.
    #[must_use]
    pub fn percent(&self) -> u8 {
        match self.execution.status {
            ExecutionStatus::Completed => 100,
            ExecutionStatus::Executing => {
                self.progress.as_ref().and_then(|report| report.progress.percent()).unwrap_or(0)
            }
            ExecutionStatus::PartiallyFailed | ExecutionStatus::Failed | ExecutionStatus::Cancelled => {
                self.execution.percent
            }
        }
    }
}

impl Tenant {
    /// Executes a plan, or says what that would do.
    ///
    /// # Errors
    /// `NotFound`; `VersionConflict` if it is not at [`if_version`](Self::if_version);
    /// `InvalidTransition` (not approved, already executing, or another restore into
    /// the same namespaces is active, with what is missing); `Unsupported`; as the driver answers.
    pub async fn execute_plan(&self, id: PlanId, execute: Execute) -> Result<Executed, EngineError> {
        match execute {
            Execute::DryRun => {
                self.preview_plan(id).await.map(|preview| Executed::Preview(Box::new(preview)))
            }
            Execute::Confirmed => {
                self.begin_execution(id).await.map(|view| Executed::Started(Box::new(view)))
            }
        }
    }

    async fn preview_plan(&self, id: PlanId) -> Result<RestorePreview, EngineError> {
        let plan = self.find::<RecoveryPlan>(id).await?;
        self.check_version(&plan)?;
        let resolved = self.resolve(&plan).await?;
        let served = self.core.cluster_of(&self.tenant, &plan.target_cluster)?;
        if !served.driver.capabilities().has(Feature::Preview) {
            let driver = served.driver.capabilities().driver;
            return Err(EngineError::Unsupported(format!("the {driver} driver can't preview a restore")));
        }
        let restorable = self.is_restorable(&resolved.record).await?;
        let work = RestoreWork {
            record: resolved.reference,
            namespaces: resolved.namespaces,
            options: plan.options.clone(),
            purpose: RestorePurpose::Recovery,
        };
        let answer = self.core.answer_of(served.driver.preview(&self.tenant, &work)).await;
        let artifact = || resolved.record.artifact.clone();
        let mut preview = answer.map_err(|error| EngineError::of_driver(error, artifact()))?;
        if !restorable {
            preview.obstacles.push(format!("record `{}` can't be restored", resolved.record.id));
        }
        Ok(preview)
    }

    async fn begin_execution(&self, id: PlanId) -> Result<ExecutionView, EngineError> {
        let mut name_taken = NameTaken::No;
        for _ in 0..RETRIES {
            let plan = self.find::<RecoveryPlan>(id).await?;
            self.check_version(&plan)?;
            // The step is asked for first, so that a plan that is executing says just that.
            plan.status.after(PlanStepKind::Execute)?;
            let resolved = self.resolve(&plan).await?;
            self.check_execution(&plan, &resolved).await?;
            let target =
                self.core.store.find::<ClusterState>(&Scope::Everyone, plan.target_cluster.clone()).await?;
            let into = target_namespaces(&resolved.reference, &resolved.namespaces, &plan.options.mapping);
            self.core.refuse_overlap(&self.tenant, target.as_deref(), &into).await?;
            let (changeset, execution) =
                self.execution_changeset(&plan, &resolved, target.as_ref(), name_taken)?;
            match self.commit(changeset).await? {
                None => return self.execution(execution).await.map_err(EngineError::after_change),
                Some(Conflict::Exists { key: EntityKey::Reservation(_) }) => name_taken = NameTaken::Yes,
                Some(_) => {}
            }
        }
        Err(EngineError::VersionConflict { what: "plan" })
    }

    async fn check_execution(&self, plan: &RecoveryPlan, resolved: &Resolved) -> Result<(), EngineError> {
        if !self.is_restorable(&resolved.record).await? {
            let id = resolved.record.id;
            return Err(EngineError::Blocked(format!(
                "record `{id}` can't be restored: see its state and checks"
            )));
        }
        if self.approval_rule() == ApprovalRule::None {
            return Ok(());
        }
        let two = self.approval_rule() == ApprovalRule::Two;
        let approved = plan
            .approvals
            .iter()
            .any(|approval| approval.hash == resolved.hash && !(two && approval.by == plan.created_by));
        if approved {
            return Ok(());
        }
        Err(EngineError::Blocked(if plan.approvals.is_empty() {
            format!("plan `{}` needs an approval of hash {}", plan.id, resolved.hash.0)
        } else {
            format!(
                "what plan `{}` would do is not what was approved any more: approve hash {}",
                plan.id, resolved.hash.0
            )
        }))
    }

    fn execution_changeset(
        &self,
        plan: &Versioned<RecoveryPlan>,
        resolved: &Resolved,
        target: Option<&Versioned<ClusterState>>,
        name_taken: NameTaken,
    ) -> Result<(Changeset, ExecutionId), EngineError> {
        let decider = self.decider();
        let into = target_namespaces(&resolved.reference, &resolved.namespaces, &plan.options.mapping);
        let mut state = target.map_or_else(
            || ClusterState::new(plan.target_cluster.clone()),
            |target| ClusterState::clone(target),
        );
        let mut changeset = self.changeset(&decider);
        let id: ExecutionId = decider.ids.mint(decider.now);
        let owner = EntityKey::Execution(id);
        let name = decider.reserve_name(&mut changeset, &self.tenant, owner, &plan.name, name_taken);
        let execution = RecoveryExecution {
            id,
            tenant: self.tenant.clone(),
            plan: plan.id,
            record: resolved.reference.clone(),
            target_cluster: plan.target_cluster.clone(),
            namespaces: resolved.namespaces.clone(),
            options: plan.options.clone(),
            hash: resolved.hash.clone(),
            operation: decider.ids.mint(decider.now),
            name,
            status: ExecutionStatus::Executing,
            started_by: self.principal.clone(),
            started_at: decider.now,
            completed_at: None,
            timeout: self.core.options.execution_timeout,
            cancel_requested_at: None,
            percent: 0,
            result: None,
            failure: None,
            warnings: Vec::new(),
            errors: Vec::new(),
        };
        let mut next = RecoveryPlan::clone(plan).apply(PlanStepKind::Execute, decider.now)?;
        next.execution = Some(id);
        changeset.update(plan.version, next, EventKind::PlanExecuting, plan_facts(plan));
        let mut used = BackupRecord::clone(&resolved.record);
        used.uses.push(RecordUse::Execution(id));
        changeset.update(
            resolved.record.version,
            used,
            EventKind::RecordUseChanged,
            record_facts(&resolved.record),
        );
        state.restores.push(ActiveRestore {
            by: RestoredBy::Execution(id),
            namespaces: into,
            since: decider.now,
        });
        let facts = plan_facts(plan);
        match target {
            Some(target) => {
                changeset.update(target.version, state, EventKind::ClusterStateChanged, facts.clone())
            }
            None => changeset.insert(state, EventKind::ClusterStateChanged, facts.clone()),
        }
        changeset.insert(execution, EventKind::ExecutionStarted, facts);
        self.take_key(&mut changeset, EntityKey::Execution(id));
        Ok((changeset, id))
    }

    /// One execution.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn execution(&self, id: ExecutionId) -> Result<ExecutionView, EngineError> {
        let execution = self.find::<RecoveryExecution>(id).await?;
        let mut progress = self.core.store.progress(&[execution.operation]).await?;
        Ok(ExecutionView { progress: progress.remove(&execution.operation), execution })
    }

    /// The newest execution of a plan.
    ///
    /// # Errors
    /// `NotFound`, also before the first.
    pub async fn execution_status(&self, plan: PlanId) -> Result<ExecutionView, EngineError> {
        let plan = self.find::<RecoveryPlan>(plan).await?;
        match plan.execution {
            Some(execution) => self.execution(execution).await,
            None => Err(EngineError::not_found("execution of plan", plan.id)),
        }
    }

    /// The executions of a plan, newest first, at most `limit`.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn executions(&self, plan: PlanId, limit: usize) -> Result<Vec<ExecutionView>, EngineError> {
        self.find::<RecoveryPlan>(plan).await?;
        let mut query = ExecutionQuery::new(self.scope()).with_window(Window::first(limit));
        query.plan = Some(plan);
        let executions = self.core.store.executions(&query).await?.items;
        let operations: Vec<_> = executions.iter().map(|execution| execution.operation).collect();
        let mut progress = self.core.store.progress(&operations).await?;
        let views = executions
            .into_iter()
            .map(|execution| ExecutionView { progress: progress.remove(&execution.operation), execution });
        Ok(views.collect())
    }
}
