//! Recovery plans and executions, as people ask for them.

mod approving;
mod executing;
mod resolving;

use std::collections::BTreeMap;

pub use executing::{Execute, Executed, ExecutionView};

use super::{Listing, Tenant};
use crate::{
    engine::{EngineError, runtime::RETRIES},
    model::{
        BackupRecord, ClusterName, DisplayName, EntityKey, EventFacts, EventKind, ExistingResourcePolicy,
        NamespaceName, NamespaceSelection, PlanHash, PlanId, PlanStatus, RecordId, RecoveryPlan,
        RestoreOptions, RestoreTarget, Versioned,
    },
    seams::PlanQuery,
};
use resolving::{check_namespaces, check_options};

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

impl Tenant {
    /// Writes a plan down.
    ///
    /// # Errors
    /// `NotFound` (the record); `InvalidInput` (an unknown cluster, namespace or mapping, with what there
    /// is); `Unsupported` (an option that the target's driver does not have).
    pub async fn create_plan(&self, new: NewPlan) -> Result<PlanView, EngineError> {
        let record = self.find::<BackupRecord>(new.record).await?;
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
            self.take_key(&mut changeset, EntityKey::Plan(id));
            (changeset, id)
        };
        self.commit_new(changeset).await?;
        self.plan(id).await.map_err(EngineError::after_change)
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
    /// `NotFound`; `InvalidTransition` if it is executing or has completed; `VersionConflict` if it
    /// is not at [`if_version`](Self::if_version).
    pub async fn delete_plan(&self, id: PlanId) -> Result<(), EngineError> {
        for _ in 0..RETRIES {
            let plan = self.find::<RecoveryPlan>(id).await?;
            self.check_version(&plan)?;
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
}

fn plan_facts(plan: &RecoveryPlan) -> EventFacts {
    EventFacts {
        cluster: Some(plan.target_cluster.clone()),
        record: Some(plan.record),
        ..EventFacts::default()
    }
}
