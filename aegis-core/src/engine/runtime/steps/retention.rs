//! Retention: which records of a group may go.

use std::sync::Arc;

use crate::{
    engine::{
        EngineError,
        decide::Group,
        runtime::{Core, Outcome, Worker, worker::Interrupted},
    },
    model::{
        BackupRecord, CheckStatus, ClusterName, EventFacts, EventKind, Policy, PolicyId, PolicyState,
        Principal, RecordId, RecordState, Reservation, ReservationKey, StorageUri, TenantId, Versioned,
    },
    rules::retention::{Acknowledgement, FUTURE_TOLERANCE},
    seams::{RecordQuery, Scope, StoreExt, Window},
};

/// How many of a cluster's newest records are looked at for the newest usable one.
const NEWEST: usize = 64;

impl Worker {
    /// Judges the records of no policy now and then; those of policies are judged as they fall due.
    pub(crate) async fn apply_retention(&mut self) -> Result<(), Interrupted> {
        let now = self.core.clock.monotonic();
        if self.swept_others_at.is_some_and(|at| now.since(at) < self.core.options.sweep_interval) {
            return Ok(());
        }
        self.swept_others_at = Some(now);
        let tenants = self.served().map_or_else(Vec::new, |served| served.options.tenants.clone());
        for tenant in tenants {
            let core = Arc::clone(&self.core);
            let groups = orphan_groups(&core, &tenant, &self.cluster).await?;
            for (policy, location) in groups {
                self.sweep_group(&tenant, policy, &location, None).await?;
            }
        }
        Ok(())
    }

    /// Judges the records of one policy, in every location where it has some, and says when next.
    pub(crate) async fn sweep_policy(&mut self, state: &Versioned<PolicyState>) -> Result<(), Interrupted> {
        let core = Arc::clone(&self.core);
        let Some(policy) = core.store.find::<Policy>(&Scope::Everyone, state.policy).await? else {
            return Ok(());
        };
        let mut outcome = CheckStatus::Passed;
        for location in locations_of(&core, &policy).await? {
            let last = state.last_sweep_at;
            if self.sweep_group(&policy.tenant, Some(policy.id), &location, last).await?
                != CheckStatus::Passed
            {
                outcome = CheckStatus::NotRun;
            }
        }
        // The sweep may have taken a while and the state may have moved on: read it again.
        let Some(state) = core.store.find::<PolicyState>(&Scope::Everyone, policy.id).await? else {
            return Ok(());
        };
        let decider = self.decider();
        let mut changeset = decider.changeset();
        let next = decider.swept(&state, core.options.sweep_interval, outcome);
        let facts = EventFacts { policy: Some(policy.id), ..EventFacts::default() };
        changeset.update(state.version, next, EventKind::PolicyStateChanged, facts);
        self.commit(changeset).await?;
        Ok(())
    }

    /// Judges one group; the outcome says whether the run was carried out.
    async fn sweep_group(
        &mut self,
        tenant: &TenantId,
        policy: Option<PolicyId>,
        location: &StorageUri,
        last_run: Option<crate::model::Timestamp>,
    ) -> Result<CheckStatus, Interrupted> {
        let core = Arc::clone(&self.core);
        if is_frozen(&core, tenant).await? {
            tracing::info!(%tenant, "retention is frozen after a rebuild until someone resumes it");
            return Ok(CheckStatus::NotRun);
        }
        let records = group_of(&core, tenant, &self.cluster, policy, location).await?;
        if records.is_empty() {
            return Ok(CheckStatus::Passed);
        }
        let rules = match policy {
            Some(id) => core.store.find::<Policy>(&Scope::Everyone, id).await?,
            None => None,
        };
        let group = Group {
            tenant,
            cluster: &self.cluster,
            location,
            policy: rules.as_deref(),
            records: &records,
            newest_of_cluster: newest_of_cluster(&core, tenant, &self.cluster).await?,
            last_run,
            newest_event: core.store.newest_event_at().await?,
            acknowledgement: Acknowledgement::None,
        };
        let sweep = self.decider().sweep(&group, Principal::engine());
        if let Some(reason) = &sweep.run.reason {
            tracing::warn!(cluster = %self.cluster, %reason, "a retention run was not carried out");
        }
        let outcome = sweep.run.status;
        if sweep.changes_anything() {
            match self.commit(sweep.changeset).await? {
                Outcome::Applied => {}
                Outcome::Conflict(conflict) => {
                    tracing::debug!(%conflict, "a retention run is decided again later");
                    return Ok(CheckStatus::NotRun);
                }
            }
        }
        Ok(outcome)
    }
}

/// Whether retention waits for a person's word after a rebuild.
pub(crate) async fn is_frozen(core: &Core, tenant: &TenantId) -> Result<bool, EngineError> {
    let key = ReservationKey::retention_freeze(tenant);
    Ok(core.store.find::<Reservation>(&Scope::Everyone, key).await?.is_some())
}

/// The records of a group whose data is not being removed.
pub(crate) async fn group_of(
    core: &Core,
    tenant: &TenantId,
    cluster: &ClusterName,
    policy: Option<PolicyId>,
    location: &StorageUri,
) -> Result<Vec<Versioned<BackupRecord>>, EngineError> {
    let mut query = RecordQuery::new(Scope::Tenant(tenant.clone()));
    query.cluster = Some(cluster.clone());
    query.policy = policy;
    query.location = Some(location.clone());
    query.states = vec![RecordState::Available, RecordState::Expired];
    let mut records = core.store.records(&query).await?.items;
    records.retain(|record| record.policy == policy);
    Ok(records)
}

/// The newest usable record of a tenant in a cluster.
pub(crate) async fn newest_of_cluster(
    core: &Core,
    tenant: &TenantId,
    cluster: &ClusterName,
) -> Result<Option<RecordId>, EngineError> {
    let mut query = RecordQuery::new(Scope::Tenant(tenant.clone()));
    query.cluster = Some(cluster.clone());
    query.states = vec![RecordState::Available, RecordState::Expired];
    // The newest usable one is among the newest made, but for long rows of bad ones.
    query.window = Window::first(NEWEST);
    let newest = core.store.records(&query).await?.items;
    if let Some(found) = newest_usable(core, &newest) {
        return Ok(Some(found));
    }
    query.window = Window::ALL;
    Ok(newest_usable(core, &core.store.records(&query).await?.items))
}

fn newest_usable(core: &Core, records: &[Versioned<BackupRecord>]) -> Option<RecordId> {
    let not_after = core.clock.now().saturating_add(FUTURE_TOLERANCE);
    let usable = records.iter().filter(|record| {
        record.is_usable() && record.made_during.is_none() && record.recovery_point.at <= not_after
    });
    usable.max_by_key(|record| (record.recovery_point.at, record.id)).map(|record| record.id)
}

/// Where a policy has records.
async fn locations_of(core: &Core, policy: &Policy) -> Result<Vec<StorageUri>, EngineError> {
    let mut query = RecordQuery::new(Scope::Tenant(policy.tenant.clone()));
    query.policy = Some(policy.id);
    query.states = vec![RecordState::Available, RecordState::Expired];
    let records = core.store.records(&query).await?.items;
    let mut locations: Vec<_> =
        records.iter().flat_map(|record| record.copies.iter().map(|copy| copy.location.clone())).collect();
    locations.sort();
    locations.dedup();
    Ok(locations)
}

/// Groups that no policy looks after: of manual jobs, and of policies that were deleted.
async fn orphan_groups(
    core: &Core,
    tenant: &TenantId,
    cluster: &ClusterName,
) -> Result<Vec<(Option<PolicyId>, StorageUri)>, EngineError> {
    let mut query = RecordQuery::new(Scope::Tenant(tenant.clone()));
    query.cluster = Some(cluster.clone());
    query.states = vec![RecordState::Available, RecordState::Expired];
    let mut groups = Vec::new();
    for record in core.store.records(&query).await?.items {
        for copy in &record.copies {
            groups.push((record.policy, copy.location.clone()));
        }
    }
    groups.sort();
    groups.dedup();
    let mut orphans = Vec::new();
    for (policy, location) in groups {
        let exists = match policy {
            Some(id) => core.store.find::<Policy>(&Scope::Everyone, id).await?.is_some(),
            None => false,
        };
        if !exists {
            orphans.push((policy, location));
        }
    }
    Ok(orphans)
}
