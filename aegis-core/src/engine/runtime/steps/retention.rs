//! Retention: which records of a group may go.

use std::{
    collections::{BTreeSet, HashSet},
    sync::Arc,
};

use crate::{
    engine::{
        EngineError,
        runtime::{Core, NOTED_WITHIN, Outcome, Worker, worker::Interrupted},
    },
    model::{
        BackupRecord, CheckStatus, EventFacts, EventKind, Policy, PolicyState, Principal, RecordState,
        Reservation, ReservationKey, RetentionGroup, TenantId, Versioned,
    },
    rules::retention::Acknowledgement,
    seams::{PolicyQuery, RecordQuery, Scope, StoreExt},
};

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
            for group in self.orphan_groups(&tenant).await? {
                self.sweep_group(&tenant, &group).await?;
            }
        }
        Ok(())
    }

    /// Groups that no policy looks after: of manual jobs, and of policies that were deleted.
    async fn orphan_groups(&mut self, tenant: &TenantId) -> Result<BTreeSet<RetentionGroup>, Interrupted> {
        let mut query = PolicyQuery::new(Scope::Tenant(tenant.clone()));
        query.cluster = Some(self.cluster.clone());
        let policies = self.core.store.policies(&query).await?.items;
        let policies: HashSet<_> = policies.iter().map(|policy| policy.id).collect();
        let mut records = RecordQuery::new(Scope::Tenant(tenant.clone()));
        records.cluster = Some(self.cluster.clone());
        let mut groups = self.groups(records).await?;
        groups.retain(|group| group.policy.is_none_or(|policy| !policies.contains(&policy)));
        Ok(groups)
    }

    /// The groups of the records that match and whose data is not being removed, in order. Read from the
    /// store, with the lease kept on the way: to draw up a catalogue can take longer than a lease lasts.
    async fn groups(&mut self, mut query: RecordQuery) -> Result<BTreeSet<RetentionGroup>, Interrupted> {
        let core = Arc::clone(&self.core);
        query.states = RecordState::THERE.to_vec();
        let mut groups = BTreeSet::new();
        let mut found = |page: Vec<Versioned<BackupRecord>>| {
            groups.extend(page.iter().flat_map(|record| record.groups()));
        };
        while core.next_records(&mut query, &mut found).await? {
            self.keep_lease().await?;
        }
        Ok(groups)
    }

    /// Judges the records of one policy, in every location where it has some, and says when next.
    pub(crate) async fn sweep_policy(&mut self, state: &Versioned<PolicyState>) -> Result<(), Interrupted> {
        let core = Arc::clone(&self.core);
        let Some(policy) = core.store.find::<Policy>(&Scope::Everyone, state.policy).await? else {
            return Ok(());
        };
        let mut outcome = CheckStatus::Passed;
        let mut records = RecordQuery::new(Scope::Tenant(policy.tenant.clone()));
        records.policy = Some(policy.id);
        for group in self.groups(records).await? {
            if self.sweep_group(&policy.tenant, &group).await? != CheckStatus::Passed {
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
        key: &RetentionGroup,
    ) -> Result<CheckStatus, Interrupted> {
        let core = Arc::clone(&self.core);
        if is_frozen(&core, tenant).await? {
            tracing::info!(%tenant, "retention is frozen after a rebuild until someone resumes it");
            return Ok(CheckStatus::NotRun);
        }
        let mut group = core.group(tenant, key, Acknowledgement::None).await?;
        group.last_run = core.last_run(&group).await?;
        let sweep = self.decider().sweep(&group, Principal::engine());
        if let Some(reason) = &sweep.run.reason {
            tracing::warn!(group = %key, %reason, "a retention run was not carried out");
        }
        let outcome = sweep.run.status;
        if outcome == CheckStatus::NotRun && core.is_known_refusal(&sweep.run).await? {
            return Ok(outcome);
        }
        let noted = group.last_run.is_some_and(|at| sweep.run.started_at.since(at) <= NOTED_WITHIN);
        if sweep.changes_anything() || !noted {
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
