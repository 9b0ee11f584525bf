//! Recovery plans and executions, as people ask for them.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::{Listing, Tenant};
use crate::{
    engine::{
        EngineError,
        decide::{NameTaken, record_facts},
        runtime::{RETRIES, target_namespaces},
    },
    model::{
        ActiveRestore, Approval, ApprovalRule, BackupRecord, ClusterName, ClusterState, DisplayName,
        EntityKey, EventFacts, EventKind, ExecutionId, ExecutionStatus, ExistingResourcePolicy, Machine,
        NamespaceName, NamespaceSelection, PlanHash, PlanId, PlanStatus, PlanStepKind, RecordId, RecordRef,
        RecordUse, RecoveryExecution, RecoveryPlan, RestoreOptions, RestoreTarget, RestoredBy, Versioned,
    },
    seams::{
        Capabilities, Changeset, Conflict, ExecutionQuery, Feature, PlanQuery, ProgressReport,
        RestorePreview, RestoreWork, Scope, StoreExt, Window,
    },
};

/// A recovery plan to make.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NewPlan {
    /// What people call it.
    pub name: DisplayName,
    /// Why it exists.
    pub description: String,
    /// What to restore from.
    pub record: RecordId,
    /// Where to; the record's own cluster if not given.
    pub target_cluster: Option<ClusterName>,
    /// Which namespaces of the record.
    pub namespaces: NamespaceSelection,
    /// What of them, where to and how.
    pub options: RestoreOptions,
}

impl NewPlan {
    /// A plan that restores everything in place and overwrites nothing.
    #[must_use]
    pub fn new(name: DisplayName, record: RecordId) -> Self {
        Self {
            name,
            description: String::new(),
            record,
            target_cluster: None,
            namespaces: NamespaceSelection::all(),
            options: RestoreOptions {
                paths: Vec::new(),
                mapping: BTreeMap::new(),
                existing: ExistingResourcePolicy::None,
                restore_volumes: true,
                preserve_node_ports: false,
            },
        }
    }

    /// With `namespace` going to `target` instead of back in place.
    #[must_use]
    pub fn with_mapping(mut self, namespace: NamespaceName, target: RestoreTarget) -> Self {
        self.options.mapping.insert(namespace, target);
        self
    }
}

/// A plan with what its execution would be now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanView {
    /// The plan.
    pub plan: Versioned<RecoveryPlan>,
    /// The fingerprint to approve; `None` while its record can't be resolved.
    pub hash: Option<PlanHash>,
}

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
    /// Whole per cent; 100 once it has ended well, as far as it came otherwise.
    #[must_use]
    pub fn percent(&self) -> u8 {
        match self.execution.status {
            ExecutionStatus::Completed => 100,
            ExecutionStatus::Executing
            | ExecutionStatus::PartiallyFailed
            | ExecutionStatus::Failed
            | ExecutionStatus::Cancelled => {
                self.progress.as_ref().and_then(|report| report.progress.percent()).unwrap_or(0)
            }
        }
    }
}

/// Everything that an execution of a plan would do, resolved now.
struct Resolved {
    record: Versioned<BackupRecord>,
    reference: RecordRef,
    namespaces: Vec<NamespaceName>,
    hash: PlanHash,
}

impl Tenant {
    /// Writes a plan down.
    ///
    /// # Errors
    /// `InvalidInput` (an unknown record, cluster, namespace or mapping, with what there is),
    /// `Unsupported` (an option that the target's driver does not have).
    pub async fn create_plan(&self, new: NewPlan) -> Result<PlanView, EngineError> {
        let record = self.core.store.find::<BackupRecord>(&self.scope(), new.record).await?;
        let record = record.ok_or_else(|| {
            EngineError::field("backup_record_id", format!("there is no record `{}`", new.record))
        })?;
        let target = new.target_cluster.unwrap_or_else(|| record.cluster.clone());
        let served = self.core.cluster_of(&self.tenant, &target)?;
        check_options(&new.options, served.driver.capabilities())?;
        check_namespaces(&new.namespaces, &new.options, &record)?;
        let (changeset, id) = {
            let decider = self.decider();
            let id: PlanId = decider.ids.mint(decider.now);
            let plan = RecoveryPlan {
                id,
                tenant: self.tenant.clone(),
                name: new.name,
                description: new.description,
                record: record.id,
                target_cluster: target,
                namespaces: new.namespaces,
                options: new.options,
                status: PlanStatus::Pending,
                approvals: Vec::new(),
                execution: None,
                created_by: self.principal.clone(),
                created_at: decider.now,
                updated_at: decider.now,
            };
            let mut changeset = self.changeset(&decider);
            let facts = plan_facts(&plan);
            changeset.insert(plan, EventKind::PlanCreated, facts);
            (changeset, id)
        };
        self.commit_new(changeset).await?;
        self.plan(id).await
    }

    /// One plan.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn plan(&self, id: PlanId) -> Result<PlanView, EngineError> {
        let plan = self.find::<RecoveryPlan>(id).await?;
        let hash = self.resolve(&plan).await.ok().map(|resolved| resolved.hash);
        Ok(PlanView { plan, hash })
    }

    /// Plans that match; the scope of `query` is overridden by this tenant's.
    ///
    /// # Errors
    /// As every call.
    pub async fn plans(&self, mut query: PlanQuery) -> Result<Listing<Versioned<RecoveryPlan>>, EngineError> {
        query.scope = self.scope();
        let page = self.core.store.plans(&query).await?;
        Ok(Listing { items: page.items, total: page.total })
    }

    /// Deletes a plan that is not being carried out and has not completed; its executions stay.
    ///
    /// # Errors
    /// `NotFound`; `InvalidTransition` if it is executing or has completed.
    pub async fn delete_plan(&self, id: PlanId) -> Result<(), EngineError> {
        for _ in 0..RETRIES {
            let plan = self.find::<RecoveryPlan>(id).await?;
            if matches!(plan.status, PlanStatus::Executing | PlanStatus::Completed) {
                return Err(EngineError::Blocked(format!(
                    "plan `{id}` can't be deleted: it is {}",
                    plan.status
                )));
            }
            let changeset = {
                let decider = self.decider();
                let mut changeset = self.changeset(&decider);
                changeset.delete(&plan, EventKind::PlanDeleted, plan_facts(&plan));
                changeset
            };
            if self.commit(changeset).await?.is_none() {
                return Ok(());
            }
        }
        Err(EngineError::VersionConflict { what: "plan" })
    }

    /// Approves a plan as it would be executed now, which `hash` must name. One approval serves one
    /// execution. Idempotent per principal.
    ///
    /// # Errors
    /// `NotFound`; `VersionConflict` if what would run is not what `hash` names; `Forbidden` if
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
            // A failed plan stays what it is: the approval serves its next execution.
            let takes_more = matches!(plan.status, PlanStatus::Approved | PlanStatus::Failed);
            if takes_more && plan.approvals.iter().any(|known| known.hash == *hash) {
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
            Ok(changeset)
        })
        .await?;
        self.plan(id).await
    }

    /// Gives a plan up, or asks its running execution to end.
    ///
    /// # Errors
    /// `NotFound`; `InvalidTransition` if it has ended; `Unsupported` if it runs and its driver
    /// can't cancel.
    pub async fn cancel_plan(&self, id: PlanId) -> Result<PlanView, EngineError> {
        let plan = self.find::<RecoveryPlan>(id).await?;
        if let (PlanStatus::Executing, Some(execution)) = (plan.status, plan.execution) {
            self.cancel_execution(execution).await?;
            return self.plan(id).await;
        }
        self.change::<RecoveryPlan>(id, |decider, plan, mut changeset| {
            let next = RecoveryPlan::clone(plan).apply(PlanStepKind::Cancel, decider.now)?;
            changeset.update(plan.version, next, EventKind::PlanCancelled, plan_facts(plan));
            Ok(changeset)
        })
        .await?;
        self.plan(id).await
    }

    async fn cancel_execution(&self, id: ExecutionId) -> Result<(), EngineError> {
        let execution = self.find::<RecoveryExecution>(id).await?;
        let served = self.core.cluster_of(&self.tenant, &execution.target_cluster)?;
        if !served.driver.capabilities().has(Feature::CancelRestore) {
            let driver = served.driver.capabilities().driver;
            return Err(EngineError::Unsupported(format!(
                "the {driver} driver can't cancel a running restore"
            )));
        }
        self.change::<RecoveryExecution>(id, |decider, execution, mut changeset| {
            if execution.status.is_terminal() || execution.cancel_requested_at.is_some() {
                return Ok(changeset);
            }
            let mut next = RecoveryExecution::clone(execution);
            next.cancel_requested_at = Some(decider.now);
            let facts = record_of_execution(execution);
            changeset.update(execution.version, next, EventKind::ExecutionCancelRequested, facts);
            Ok(changeset)
        })
        .await?;
        self.core.wake(&execution.target_cluster);
        Ok(())
    }

    /// Executes a plan, or says what that would do.
    ///
    /// # Errors
    /// `NotFound`; `InvalidTransition` (not approved, already executing, or another restore into
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
        };
        let mut preview = served.driver.preview(&self.tenant, &work).await?;
        if !restorable {
            preview.obstacles.push(format!("record `{}` can't be restored", resolved.record.id));
        }
        Ok(preview)
    }

    async fn begin_execution(&self, id: PlanId) -> Result<ExecutionView, EngineError> {
        let mut name_taken = NameTaken::No;
        for _ in 0..RETRIES {
            let plan = self.find::<RecoveryPlan>(id).await?;
            // The step is asked for first, so that a plan that is executing says just that.
            plan.status.after(PlanStepKind::Execute)?;
            let resolved = self.resolve(&plan).await?;
            self.check_execution(&plan, &resolved).await?;
            let target =
                self.core.store.find::<ClusterState>(&Scope::Everyone, plan.target_cluster.clone()).await?;
            let (changeset, execution) =
                self.execution_changeset(&plan, &resolved, target.as_ref(), name_taken)?;
            match self.commit(changeset).await? {
                None => {
                    self.core.wake(&plan.target_cluster);
                    return self.execution(execution).await;
                }
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
        if let Some(active) = state.restore_into_any(&into) {
            let by = active.by;
            return Err(EngineError::Blocked(format!(
                "{by} is restoring into the same namespaces: wait for it or cancel it"
            )));
        }
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
        Ok((changeset, id))
    }

    /// One execution.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn execution(&self, id: ExecutionId) -> Result<ExecutionView, EngineError> {
        let execution = self.find::<RecoveryExecution>(id).await?;
        let operation = execution.operation;
        let progress = self.core.store.progress(&[operation]).await?.remove(&operation);
        Ok(ExecutionView { execution, progress })
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
    pub async fn executions(
        &self,
        plan: PlanId,
        limit: usize,
    ) -> Result<Vec<Versioned<RecoveryExecution>>, EngineError> {
        self.find::<RecoveryPlan>(plan).await?;
        let mut query = ExecutionQuery::new(self.scope()).with_window(Window::first(limit));
        query.plan = Some(plan);
        Ok(self.core.store.executions(&query).await?.items)
    }

    fn approval_rule(&self) -> ApprovalRule {
        self.core.tenants.get(&self.tenant).map_or(ApprovalRule::None, |options| options.approval)
    }

    async fn resolve(&self, plan: &RecoveryPlan) -> Result<Resolved, EngineError> {
        let record = self.find::<BackupRecord>(plan.record).await?;
        let reference = record.reference().ok_or_else(|| {
            EngineError::Blocked(format!("record `{}` has no copy that is there", record.id))
        })?;
        let resolved = plan.namespaces.resolve(&record.namespaces);
        let hash = plan_hash(plan, &record, &reference, &resolved.selected)?;
        Ok(Resolved { reference, namespaces: resolved.selected, hash, record })
    }
}

/// The fingerprint over everything that an execution would do.
fn plan_hash(
    plan: &RecoveryPlan,
    record: &BackupRecord,
    reference: &RecordRef,
    namespaces: &[NamespaceName],
) -> Result<PlanHash, EngineError> {
    let what = (
        (record.id, &record.checksum, record.chain, record.parent, &reference.handle, &reference.location),
        (namespaces, &plan.target_cluster, &plan.options),
    );
    let bytes = serde_json::to_vec(&what).map_err(|error| EngineError::Internal(error.to_string()))?;
    let digest = Sha256::digest(bytes);
    Ok(PlanHash(digest.iter().map(|byte| format!("{byte:02x}")).collect()))
}

fn check_options(options: &RestoreOptions, capabilities: &Capabilities) -> Result<(), EngineError> {
    let driver = capabilities.driver;
    let lacks = |feature: Feature, what: &str| {
        if capabilities.has(feature) {
            Ok(())
        } else {
            Err(EngineError::Unsupported(format!("the {driver} driver can't {what}")))
        }
    };
    if !options.paths.is_empty() {
        lacks(Feature::SelectPaths, "restore chosen paths")?;
    }
    for target in options.mapping.values() {
        match target {
            RestoreTarget::Namespace(_) => lacks(Feature::MapNamespaces, "restore into another namespace")?,
            RestoreTarget::Path(_) => lacks(Feature::MapToPaths, "restore to a path")?,
        }
    }
    if options.existing == ExistingResourcePolicy::Update {
        lacks(Feature::UpdateExisting, "overwrite what is there")?;
    }
    Ok(())
}

fn check_namespaces(
    namespaces: &NamespaceSelection,
    options: &RestoreOptions,
    record: &BackupRecord,
) -> Result<(), EngineError> {
    let covered = record.namespaces.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let resolved = namespaces.resolve(&record.namespaces);
    if let Some(unknown) = resolved.unknown.first() {
        let message = format!("the record does not have `{unknown}`: it has {covered}");
        return Err(EngineError::field("target_namespaces", message));
    }
    if resolved.selected.is_empty() {
        let message = format!("nothing of the record is selected: it has {covered}");
        return Err(EngineError::field("target_namespaces", message));
    }
    if let Some(stray) = options.mapping.keys().find(|name| !resolved.selected.contains(name)) {
        let message = format!("`{stray}` is mapped but not restored: it must be one of {covered}");
        return Err(EngineError::field("namespace_mapping", message));
    }
    Ok(())
}

fn plan_facts(plan: &RecoveryPlan) -> EventFacts {
    EventFacts {
        cluster: Some(plan.target_cluster.clone()),
        record: Some(plan.record),
        ..EventFacts::default()
    }
}

fn record_of_execution(execution: &RecoveryExecution) -> EventFacts {
    EventFacts {
        cluster: Some(execution.target_cluster.clone()),
        record: Some(execution.record.id),
        ..EventFacts::default()
    }
}
