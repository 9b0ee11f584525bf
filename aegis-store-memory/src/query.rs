//! Queries: the shortest list that has all that is asked for, walked in order.

use std::{cmp::Reverse, collections::BTreeSet, ops::Bound};

use aegis_core::{
    model::{
        BackupJob, BackupRecord, Bytes, CheckStatus, ClusterName, DrTest, EntityKey, EntityKind,
        ExecutionStatus, JobStatus, Policy, PolicyState, RecordState, RecoveryExecution, RecoveryPlan,
        RetentionRun, Slot, SlotKey, Stored, Timestamp, Verification, Versioned,
    },
    seams::{
        DrTestQuery, ExecutionQuery, JobOrder, JobQuery, Page, PlanQuery, PolicyQuery, PolicyStateQuery,
        RecordQuery, RecordTotals, RetentionRunQuery, Scope, SlotQuery, Turn, VerificationQuery, Window,
    },
};
use uuid::Uuid;

use crate::{
    index::{Of, Place},
    state::State,
};

/// What lists are made of.
pub(crate) trait Listed: Stored {
    /// The identity of what is at `place` in a list.
    fn at(place: Place) -> EntityKey;
}

macro_rules! listed_by_id {
    ($($type:ident => $kind:ident),* $(,)?) => {$(
        impl Listed for $type {
            fn at((_, id): Place) -> EntityKey {
                EntityKey::$kind(id.into())
            }
        }
    )*};
}

listed_by_id! {
    BackupJob => Job, BackupRecord => Record, RecoveryPlan => Plan, RecoveryExecution => Execution,
    Policy => Policy, PolicyState => PolicyState, Verification => Verification, DrTest => DrTest, RetentionRun => RetentionRun,
}

impl Listed for Slot {
    fn at((nominal_at, policy): Place) -> EntityKey {
        EntityKey::Slot(SlotKey { policy: policy.into(), nominal_at })
    }
}

/// Which stretch of time is asked for: from the first instant on, before the second.
type Span = (Option<Timestamp>, Option<Timestamp>);

/// All of time.
const EVER: Span = (None, None);

/// Lists that have all that a query asks for.
fn lists(scope: &Scope, narrower: impl IntoIterator<Item = Option<Of>>) -> Vec<Of> {
    let widest = match scope {
        Scope::Tenant(tenant) => Of::Tenant(tenant.clone()),
        Scope::Everyone => Of::Everyone,
    };
    std::iter::once(widest).chain(narrower.into_iter().flatten()).collect()
}

impl State {
    /// The entity at a place, as its type.
    fn row<T: Listed>(&self, place: Place) -> Option<Versioned<T>> {
        let row = self.rows.get(&T::at(place))?;
        Some(Versioned { version: row.version, value: T::from_entity(row.entity.clone())? })
    }

    /// What matches, newest first, of the shortest of `lists`; before `before` in that order.
    fn newest<T: Listed>(
        &self,
        lists: Vec<Of>,
        span: Span,
        before: Option<Place>,
        matches: impl Fn(&T) -> bool,
    ) -> impl Iterator<Item = Versioned<T>> {
        // A list that does not exist is empty, and the shortest of all.
        let places = lists
            .into_iter()
            .map(|of| self.index.list(T::KIND, of))
            .min_by_key(|places| places.map_or(0, BTreeSet::len))
            .flatten();
        let lower = span.0.map(|from| (from, Uuid::nil()));
        let upper = [span.1.map(|to| (to, Uuid::nil())), before].into_iter().flatten().min();
        let is_empty = lower.zip(upper).is_some_and(|(lower, upper)| lower >= upper);
        let bounds = (
            lower.map_or(Bound::Unbounded, Bound::Included),
            upper.map_or(Bound::Unbounded, Bound::Excluded),
        );
        places
            .filter(|_| !is_empty)
            .into_iter()
            .flat_map(move |places| places.range(bounds).rev())
            .filter_map(|place| self.row(*place))
            .filter(move |row: &Versioned<T>| matches(row))
    }

    /// The window's part of what matches, newest first.
    fn page<T: Listed>(
        &self,
        lists: Vec<Of>,
        span: Span,
        window: &Window,
        matches: impl Fn(&T) -> bool + Copy,
    ) -> Page<T> {
        let after = window.after.map(|cursor| (cursor.at, cursor.id));
        let total = window.count.then(|| count(self.newest(lists.clone(), span, None, matches)));
        let items = self.newest(lists, span, after, matches).skip(window.offset).take(window.limit).collect();
        Page { items, total }
    }

    pub(crate) fn jobs(&self, query: &JobQuery) -> Page<BackupJob> {
        match query.order {
            JobOrder::NewestFirst => {
                self.page(job_lists(query), (query.from, query.to), &query.window, |job| query.matches(job))
            }
            JobOrder::Dispatch => self.jobs_in_turn(query),
        }
    }

    fn jobs_in_turn(&self, query: &JobQuery) -> Page<BackupJob> {
        let jobs: Vec<_> = match (&query.cluster, query.statuses.as_slice()) {
            (Some(cluster), [JobStatus::Pending]) if !query.window.count => {
                let turns = self.index.queue(cluster).map(|id| (Timestamp::UNIX_EPOCH, id));
                let jobs = turns.filter_map(|place| self.row::<BackupJob>(place));
                let wanted = query.window.offset.saturating_add(query.window.limit);
                jobs.filter(|job| query.matches(job)).take(wanted).collect()
            }
            _ => {
                let span = (query.from, query.to);
                let mut jobs: Vec<Versioned<BackupJob>> =
                    self.newest(job_lists(query), span, None, |job| query.matches(job)).collect();
                jobs.sort_by_key(|job| Turn::from(&**job));
                jobs
            }
        };
        let total = query.window.count.then(|| count(jobs.iter()));
        let items = jobs.into_iter().skip(query.window.offset).take(query.window.limit).collect();
        Page { items, total }
    }

    pub(crate) fn records(&self, query: &RecordQuery) -> Page<BackupRecord> {
        if !query.ids.is_empty() {
            let ids = query.ids.iter().map(|id| id.as_uuid());
            return self.named(
                ids,
                &query.window,
                |record: &BackupRecord| record.created_at,
                |record| query.matches(record),
            );
        }
        self.page(record_lists(query), (query.from, query.to), &query.window, |record| query.matches(record))
    }

    /// Those of the entities with these ids that match: looked up, not looked for.
    fn named<T: Listed>(
        &self,
        ids: impl Iterator<Item = Uuid>,
        window: &Window,
        time: impl Fn(&T) -> Timestamp,
        matches: impl Fn(&T) -> bool,
    ) -> Page<T> {
        let ids: BTreeSet<_> = ids.collect();
        let rows = ids.into_iter().filter_map(|id| Some((id, self.row::<T>((Timestamp::UNIX_EPOCH, id))?)));
        let placed = rows.filter(|(_, row)| matches(row)).map(|(id, row)| ((time(&row), id), row));
        let mut found: Vec<(Place, Versioned<T>)> = placed.collect();
        found.sort_by_key(|(place, _)| Reverse(*place));
        let total = window.count.then(|| count(found.iter()));
        let is_after = |place: Place| window.after.is_none_or(|cursor| place < (cursor.at, cursor.id));
        let items = found.into_iter().filter(|(place, _)| is_after(*place)).map(|(_, row)| row);
        Page { items: items.skip(window.offset).take(window.limit).collect(), total }
    }

    pub(crate) fn record_totals(&self, query: &RecordQuery) -> RecordTotals {
        let span = (query.from, query.to);
        self.newest(record_lists(query), span, None, |record| query.matches(record)).fold(
            RecordTotals::default(),
            |totals, record| RecordTotals {
                count: totals.count.saturating_add(1),
                stored: Bytes(totals.stored.0.saturating_add(query.stored(&record).0)),
            },
        )
    }

    pub(crate) fn plans(&self, query: &PlanQuery) -> Page<RecoveryPlan> {
        let narrower = [query.cluster.clone().map(Of::Cluster), query.record.map(Of::Record)];
        self.page(lists(&query.scope, narrower), EVER, &query.window, |plan| query.matches(plan))
    }

    pub(crate) fn executions(&self, query: &ExecutionQuery) -> Page<RecoveryExecution> {
        let running = query.status == Some(ExecutionStatus::Executing);
        let narrower = [
            query.cluster.clone().map(Of::Cluster),
            query.cluster.clone().filter(|_| running).map(Of::ActiveIn),
            query.plan.map(Of::Plan),
        ];
        self.page(lists(&query.scope, narrower), EVER, &query.window, |execution| query.matches(execution))
    }

    pub(crate) fn policies(&self, query: &PolicyQuery) -> Page<Policy> {
        if !query.ids.is_empty() {
            let ids = query.ids.iter().map(|id| id.as_uuid());
            return self.named(
                ids,
                &query.window,
                |policy: &Policy| policy.created_at,
                |policy| query.matches(policy),
            );
        }
        let narrower = [query.cluster.clone().map(Of::Cluster)];
        self.page(lists(&query.scope, narrower), EVER, &query.window, |policy| query.matches(policy))
    }

    pub(crate) fn slots(&self, query: &SlotQuery) -> Page<Slot> {
        let narrower = [query.policy.map(Of::Policy)];
        let span = (query.from, query.to);
        self.page(lists(&query.scope, narrower), span, &query.window, |slot| query.matches(slot))
    }

    pub(crate) fn verifications(&self, query: &VerificationQuery) -> Page<Verification> {
        let running = query.status == Some(CheckStatus::Running);
        let narrower = [
            query.cluster.clone().map(Of::Cluster),
            query.cluster.clone().filter(|_| running).map(Of::ActiveIn),
            query.record.map(Of::Record),
        ];
        self.page(lists(&query.scope, narrower), EVER, &query.window, |check| query.matches(check))
    }

    pub(crate) fn dr_tests(&self, query: &DrTestQuery) -> Page<DrTest> {
        let running = query.status == Some(CheckStatus::Running);
        let narrower = [
            query.cluster.clone().map(Of::Cluster),
            query.cluster.clone().filter(|_| running).map(Of::ActiveIn),
            query.policy.map(Of::Policy),
            query.record.map(Of::Record),
        ];
        self.page(lists(&query.scope, narrower), EVER, &query.window, |test| query.matches(test))
    }

    pub(crate) fn retention_runs(&self, query: &RetentionRunQuery) -> Page<RetentionRun> {
        let narrower = [query.cluster.clone().map(Of::Cluster), query.policy.map(Of::Policy)];
        self.page(lists(&query.scope, narrower), EVER, &query.window, |run| query.matches(run))
    }

    pub(crate) fn policy_states(&self, query: &PolicyStateQuery) -> Vec<Versioned<PolicyState>> {
        if !query.policies.is_empty() {
            let named: BTreeSet<_> = query.policies.iter().map(|id| id.as_uuid()).collect();
            let places = named.into_iter().map(|id| (Timestamp::UNIX_EPOCH, id));
            return places.filter_map(|place| self.row(place)).filter(|state| query.matches(state)).collect();
        }
        let all = lists(&query.scope, [query.cluster.clone().map(Of::Cluster)]);
        let mut states: Vec<_> = self.newest(all, EVER, None, |state| query.matches(state)).collect();
        states.reverse();
        states
    }

    pub(crate) fn due_policies(
        &self,
        cluster: &ClusterName,
        now: Timestamp,
        limit: usize,
    ) -> Vec<Versioned<PolicyState>> {
        let due = self.index.list(EntityKind::PolicyState, Of::DueIn(cluster.clone()));
        due.into_iter()
            .flatten()
            .take_while(|(at, _)| *at <= now)
            .take(limit)
            .filter_map(|place| self.row(*place))
            .collect()
    }

    pub(crate) fn next_due(&self, cluster: &ClusterName) -> Option<Timestamp> {
        [EntityKind::PolicyState, EntityKind::Job, EntityKind::Record]
            .into_iter()
            .filter_map(|kind| self.index.next_due(kind, cluster))
            .min()
    }
}

fn job_lists(query: &JobQuery) -> Vec<Of> {
    let only = |statuses: &[JobStatus]| {
        !query.statuses.is_empty() && query.statuses.iter().all(|status| statuses.contains(status))
    };
    let running = only(&[JobStatus::InProgress]);
    let live = query.live == Some(true) || only(&[JobStatus::Pending, JobStatus::InProgress]);
    lists(
        &query.scope,
        [
            running.then_some(Of::Running),
            query.cluster.clone().map(Of::Cluster),
            query.cluster.clone().filter(|_| live).map(Of::ActiveIn),
            query.cluster.clone().filter(|_| running).map(Of::RunningIn),
            query.policy.map(Of::Policy),
            query.policy.filter(|_| live).map(Of::ActiveUnder),
        ],
    )
}

fn record_lists(query: &RecordQuery) -> Vec<Of> {
    let only = |states: &[RecordState]| {
        !query.states.is_empty() && query.states.iter().all(|state| states.contains(state))
    };
    let leaving = query.due_by.is_some() || only(&[RecordState::Expired, RecordState::Deleting]);
    let present = leaving || (!query.states.is_empty() && !query.states.contains(&RecordState::Deleted));
    lists(
        &query.scope,
        [
            query.cluster.clone().map(Of::Cluster),
            query.cluster.clone().filter(|_| present).map(Of::PresentIn),
            query.cluster.clone().filter(|_| leaving).map(Of::LeavingFrom),
            query.policy.map(Of::Policy),
            query.policy.filter(|_| present).map(Of::PresentUnder),
            query.chain.map(Of::Chain),
        ],
    )
}

fn count<T>(matching: impl Iterator<Item = T>) -> u64 {
    matching.fold(0, |count, _| count.saturating_add(1))
}
