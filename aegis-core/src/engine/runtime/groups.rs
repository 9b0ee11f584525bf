//! The groups of records that retention judges, as they are read.

use std::{collections::BTreeSet, time::Duration};

use super::Core;
use crate::{
    engine::{
        EngineError,
        decide::{Group, kept_from, point_of},
    },
    model::{
        BackupRecord, CheckStatus, ClusterName, ExpiredBy, Policy, PolicyId, PolicyState, RecordId,
        RecordState, RetentionGroup, RetentionRun, TenantId, Timestamp, Versioned,
    },
    rules::retention::{Acknowledgement, FUTURE_TOLERANCE},
    seams::{Cursor, RecordQuery, RetentionRunQuery, Scope, StoreExt, Window},
};

/// How many of a cluster's newest records are looked at for the newest usable one.
const NEWEST: usize = 64;
/// How long a group may go without a recorded run; runs that change nothing are not recorded more
/// often.
pub(crate) const NOTED_WITHIN: Duration = Duration::from_secs(24 * 3600);
/// How many retention runs one read brings.
const RUNS: usize = 64;
/// The states of records whose data is not being removed.
const THERE: [RecordState; 2] = [RecordState::Available, RecordState::Expired];

/// Looks for the groups that have records, a page of records at a time: a cluster may have many, and
/// whoever looks on behalf of it keeps its lease in between.
pub(crate) struct GroupSearch {
    query: RecordQuery,
    found: BTreeSet<RetentionGroup>,
}

impl GroupSearch {
    /// Among the records of a tenant, narrowed to a cluster and to a policy if they are named, whose data
    /// is not being removed.
    pub(crate) fn new(tenant: &TenantId, cluster: Option<&ClusterName>, policy: Option<PolicyId>) -> Self {
        let mut query = RecordQuery::new(Scope::Tenant(tenant.clone()));
        query.cluster = cluster.cloned();
        query.policy = policy;
        query.states = THERE.to_vec();
        Self { query, found: BTreeSet::new() }
    }

    /// Looks at a page; whether there may be more.
    pub(crate) async fn read_on(&mut self, core: &Core) -> Result<bool, EngineError> {
        let found = &mut self.found;
        let take = |page: Vec<Versioned<BackupRecord>>| {
            for record in page {
                found.extend(record.copies.iter().map(|copy| RetentionGroup {
                    cluster: record.cluster.clone(),
                    policy: record.policy,
                    location: copy.location.clone(),
                }));
            }
        };
        core.next_records(&mut self.query, take).await
    }

    /// What was found, in order.
    pub(crate) fn found(self) -> Vec<RetentionGroup> {
        self.found.into_iter().collect()
    }
}

impl Core {
    /// A group with all that its plan rests on but when it was judged last: see
    /// [`last_run`](Self::last_run).
    pub(crate) async fn group(
        &self,
        tenant: &TenantId,
        key: &RetentionGroup,
        acknowledgement: Acknowledgement,
    ) -> Result<Group, EngineError> {
        let scope = Scope::Tenant(tenant.clone());
        let mut query = RecordQuery::new(scope.clone());
        query.cluster = Some(key.cluster.clone());
        query.policy = key.policy;
        query.location = Some(key.location.clone());
        query.states = THERE.to_vec();
        let mut records = self.all_records(query).await?;
        records.retain(|record| record.policy == key.policy);
        let policy = self.policy_of(&scope, key.policy).await?;
        Ok(Group {
            tenant: tenant.clone(),
            key: key.clone(),
            policy: policy.filter(|policy| policy.cluster == key.cluster).map(|policy| policy.value),
            records,
            newest_of_cluster: self.newest_of_cluster(tenant, &key.cluster).await?,
            last_run: None,
            newest_event: self.store.newest_event_at().await?,
            acknowledgement,
        })
    }

    /// Why a record's group keeps it from going now, though `by` says that it may; `None` if it goes.
    pub(crate) async fn kept_from(
        &self,
        record: &BackupRecord,
        by: &ExpiredBy,
    ) -> Result<Option<String>, EngineError> {
        let Some(copy) = record.copies.first() else { return Ok(None) };
        let key = RetentionGroup {
            cluster: record.cluster.clone(),
            policy: record.policy,
            location: copy.location.clone(),
        };
        // What gives pause is accepted when a record is marked; here only the rules count.
        let group = self.group(&record.tenant, &key, Acknowledgement::Given).await?;
        Ok(match group.plan(self.clock.now()) {
            Ok(plan) => match plan.decision(record.id) {
                Some(decision) => kept_from(&decision, by),
                None => Some("it is going already, or gone".to_owned()),
            },
            Err(refusal) => Some(refusal.to_string()),
        })
    }

    /// When retention last judged a group and carried it out. A policy's state tells without a search
    /// as long as all the policy's groups were judged within [`NOTED_WITHIN`].
    pub(crate) async fn last_run(&self, group: &Group) -> Result<Option<Timestamp>, EngineError> {
        let scope = Scope::Tenant(group.tenant.clone());
        let state = match &group.policy {
            Some(policy) => self.store.find::<PolicyState>(&scope, policy.id).await?,
            None => None,
        };
        let all = state.and_then(|state| state.last_sweep_at);
        if all.is_some_and(|at| self.clock.now().since(at) <= NOTED_WITHIN) {
            return Ok(all);
        }
        let mut query = RetentionRunQuery::new(scope).with_window(Window::first(RUNS));
        query.cluster = Some(group.key.cluster.clone());
        query.policy = group.key.policy;
        loop {
            let runs = self.store.retention_runs(&query).await?.items;
            let mut passed = runs.iter().filter(|run| run.status == CheckStatus::Passed);
            if let Some(run) = passed.find(|run| run.group() == group.key) {
                return Ok(all.max(Some(run.started_at)));
            }
            let Some(last) = runs.last() else { return Ok(all) };
            query.window.after = Some(Cursor { at: last.started_at, id: last.id.as_uuid() });
        }
    }

    /// Whether the newest recorded run of a group was refused as this one, and told the same.
    pub(crate) async fn is_known_refusal(&self, run: &RetentionRun) -> Result<bool, EngineError> {
        let mut query =
            RetentionRunQuery::new(Scope::Tenant(run.tenant.clone())).with_window(Window::first(RUNS));
        query.cluster = Some(run.cluster.clone());
        query.policy = run.policy;
        let runs = self.store.retention_runs(&query).await?.items;
        let newest = runs.iter().find(|known| known.group() == run.group());
        Ok(newest.is_some_and(|known| known.is_refused_like(run)))
    }

    /// The groups of a tenant that have records whose data is not being removed, in order.
    pub(crate) async fn groups(
        &self,
        tenant: &TenantId,
        cluster: Option<&ClusterName>,
    ) -> Result<Vec<RetentionGroup>, EngineError> {
        let mut groups = GroupSearch::new(tenant, cluster, None);
        while groups.read_on(self).await? {}
        Ok(groups.found())
    }

    /// The newest record of a tenant in a cluster that is usable as its own group sees it.
    async fn newest_of_cluster(
        &self,
        tenant: &TenantId,
        cluster: &ClusterName,
    ) -> Result<Option<RecordId>, EngineError> {
        let mut query = RecordQuery::new(Scope::Tenant(tenant.clone()));
        query.cluster = Some(cluster.clone());
        query.states = THERE.to_vec();
        // The newest usable one is among the newest made, but for long rows of bad ones.
        query.window = Window::first(NEWEST);
        let newest = self.store.records(&query).await?.items;
        if let Some(found) = self.newest_usable(newest).await? {
            return Ok(Some(found));
        }
        self.newest_usable(self.all_records(query).await?).await
    }

    async fn newest_usable(
        &self,
        mut records: Vec<Versioned<BackupRecord>>,
    ) -> Result<Option<RecordId>, EngineError> {
        let now = self.clock.now();
        let not_after = now.saturating_add(FUTURE_TOLERANCE);
        records.retain(|record| record.is_usable() && record.recovery_point.at <= not_after);
        records.sort_by_key(|record| std::cmp::Reverse((record.recovery_point.at, record.id)));
        for record in records {
            let scope = Scope::Tenant(record.tenant.clone());
            let policy = self.policy_of(&scope, record.policy).await?;
            if point_of(&record, policy.as_deref(), now).usable && self.is_restorable(&record).await? {
                return Ok(Some(record.id));
            }
        }
        Ok(None)
    }

    async fn policy_of(
        &self,
        scope: &Scope,
        id: Option<PolicyId>,
    ) -> Result<Option<Versioned<Policy>>, EngineError> {
        match id {
            Some(id) => Ok(self.store.find::<Policy>(scope, id).await?),
            None => Ok(None),
        }
    }
}
