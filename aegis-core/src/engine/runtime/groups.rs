//! The groups of records that retention judges, as they are read.

use std::time::Duration;

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
        (query.policy, query.manual) = (key.policy, key.policy.is_none());
        query.location = Some(key.location.clone());
        query.states = RecordState::THERE.to_vec();
        let records = self.all_records(query).await?;
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
        let Some(key) = record.groups().next() else { return Ok(None) };
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

    /// The newest record of a tenant in a cluster that is usable as its own group sees it.
    async fn newest_of_cluster(
        &self,
        tenant: &TenantId,
        cluster: &ClusterName,
    ) -> Result<Option<RecordId>, EngineError> {
        let mut query = RecordQuery::new(Scope::Tenant(tenant.clone()));
        query.cluster = Some(cluster.clone());
        query.states = RecordState::THERE.to_vec();
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
