//! Ordered lists: for each question that the engine or a person asks often, the entities that it
//! may concern, in order of time.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, HashMap},
};

use aegis_core::model::{
    BackupJob, BackupRecord, ChainId, CheckStatus, ClusterName, Entity, EntityKind, ExecutionStatus,
    JobStatus, PlanId, PolicyId, RecordId, RecordLifecycle, RecordState, ReservationKey, TenantId, Timestamp,
};
use uuid::Uuid;

/// A place in a list: by time, then by id.
pub(crate) type Place = (Timestamp, Uuid);

/// A place in the queue of a cluster's pending jobs: the first is started first.
pub(crate) type Turn = (Reverse<i32>, Timestamp, Uuid);

/// The name of a list.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct List {
    /// Of which kind its entities are.
    pub(crate) kind: EntityKind,
    /// Which of them it has.
    pub(crate) of: Of,
}

/// Which entities of a kind a list has.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Of {
    Everyone,
    Tenant(TenantId),
    Cluster(ClusterName),
    Policy(PolicyId),
    Record(RecordId),
    Plan(PlanId),
    Chain(ChainId),
    /// With something left to do for the engine.
    ActiveIn(ClusterName),
    /// Jobs with something left to do for the engine.
    ActiveUnder(PolicyId),
    /// Jobs in progress, anywhere.
    Running,
    /// Jobs in progress.
    RunningIn(ClusterName),
    /// Records that are not deleted.
    PresentIn(ClusterName),
    /// Records that are not deleted.
    PresentUnder(PolicyId),
    /// Records that are expired or being deleted.
    LeavingFrom(ClusterName),
    /// What falls due by the clock; the place says when.
    DueIn(ClusterName),
}

/// Every list and order that is kept.
#[derive(Debug, Default)]
pub(crate) struct Index {
    lists: HashMap<List, BTreeSet<Place>>,
    queues: HashMap<ClusterName, BTreeSet<Turn>>,
    reservations: BTreeSet<(Timestamp, ReservationKey)>,
    /// How many entities each tenant owns; at least one.
    owners: BTreeMap<TenantId, usize>,
}

impl Index {
    /// Follows a change of one entity.
    pub(crate) fn replace(&mut self, old: Option<&Entity>, new: Option<&Entity>) {
        let (before, after) = (old.map(entries).unwrap_or_default(), new.map(entries).unwrap_or_default());
        for (list, place) in before.iter().filter(|entry| !after.contains(entry)) {
            leave(&mut self.lists, list, place);
        }
        for (list, place) in after.into_iter().filter(|entry| !before.contains(entry)) {
            self.lists.entry(list).or_default().insert(place);
        }
        self.replace_turn(old, new);
        self.replace_reservation(old, new);
        self.replace_owner(old, new);
    }

    fn replace_turn(&mut self, old: Option<&Entity>, new: Option<&Entity>) {
        let (before, after) = (old.and_then(turn), new.and_then(turn));
        if before == after {
            return;
        }
        if let Some((cluster, turn)) = before {
            leave(&mut self.queues, cluster, &turn);
        }
        if let Some((cluster, turn)) = after {
            self.queues.entry(cluster.clone()).or_default().insert(turn);
        }
    }

    fn replace_reservation(&mut self, old: Option<&Entity>, new: Option<&Entity>) {
        if let Some(expiry) = old.and_then(expiry) {
            self.reservations.remove(&expiry);
        }
        self.reservations.extend(new.and_then(expiry));
    }

    fn replace_owner(&mut self, old: Option<&Entity>, new: Option<&Entity>) {
        let (before, after) = (old.and_then(Entity::tenant), new.and_then(Entity::tenant));
        if before == after {
            return;
        }
        if let Some(tenant) = before
            && let Some(owned) = self.owners.get_mut(tenant)
        {
            *owned = owned.saturating_sub(1);
            if *owned == 0 {
                self.owners.remove(tenant);
            }
        }
        if let Some(tenant) = after {
            match self.owners.get_mut(tenant) {
                Some(owned) => *owned = owned.saturating_add(1),
                None => {
                    self.owners.insert(tenant.clone(), 1);
                }
            }
        }
    }

    /// The places of a list, if it has any.
    pub(crate) fn list(&self, kind: EntityKind, of: Of) -> Option<&BTreeSet<Place>> {
        self.lists.get(&List { kind, of })
    }

    /// The pending jobs of a cluster in the order in which they are started.
    pub(crate) fn queue(&self, cluster: &ClusterName) -> impl Iterator<Item = Uuid> {
        self.queues.get(cluster).into_iter().flatten().map(|(_, _, id)| *id)
    }

    /// When the next entity of a kind falls due in a cluster.
    pub(crate) fn next_due(&self, kind: EntityKind, cluster: &ClusterName) -> Option<Timestamp> {
        Some(self.list(kind, Of::DueIn(cluster.clone()))?.first()?.0)
    }

    pub(crate) fn reservations_expired_by(&self, now: Timestamp) -> Vec<ReservationKey> {
        self.reservations.iter().take_while(|(at, _)| *at <= now).map(|(_, key)| key.clone()).collect()
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.lists.is_empty()
            && self.queues.is_empty()
            && self.reservations.is_empty()
            && self.owners.is_empty()
    }

    pub(crate) fn owners(&self) -> Vec<TenantId> {
        self.owners.keys().cloned().collect()
    }
}

/// Takes a place out of a list, and the list away when it was the last.
fn leave<K: Eq + std::hash::Hash, P: Ord>(lists: &mut HashMap<K, BTreeSet<P>>, list: &K, place: &P) {
    if let Some(places) = lists.get_mut(list) {
        places.remove(place);
        if places.is_empty() {
            lists.remove(list);
        }
    }
}

/// Every list that an entity is in, with its place there.
fn entries(entity: &Entity) -> Vec<(List, Place)> {
    let mut entries = Entries { kind: entity.key().kind(), entries: Vec::with_capacity(8) };
    match entity {
        Entity::Job(job) => entries.job(job),
        Entity::Record(record) => entries.record(record),
        Entity::Plan(plan) => {
            let place = (plan.created_at, plan.id.as_uuid());
            entries.owned(place, &plan.tenant);
            entries.add(place, Of::Cluster(plan.target_cluster.clone()));
            entries.add(place, Of::Record(plan.record));
        }
        Entity::Execution(execution) => {
            let place = (execution.started_at, execution.id.as_uuid());
            entries.owned(place, &execution.tenant);
            entries.add(place, Of::Cluster(execution.target_cluster.clone()));
            entries.add(place, Of::Plan(execution.plan));
            if execution.status == ExecutionStatus::Executing {
                entries.add(place, Of::ActiveIn(execution.target_cluster.clone()));
            }
        }
        Entity::Policy(policy) => {
            let place = (policy.created_at, policy.id.as_uuid());
            entries.owned(place, &policy.tenant);
            entries.add(place, Of::Cluster(policy.cluster.clone()));
        }
        Entity::PolicyState(state) => {
            // States have no time of their own: their lists are in order of their policies.
            let place = (Timestamp::UNIX_EPOCH, state.policy.as_uuid());
            entries.owned(place, &state.tenant);
            entries.add(place, Of::Cluster(state.cluster.clone()));
            if let Some(due) = state.due_at {
                entries.add((due, state.policy.as_uuid()), Of::DueIn(state.cluster.clone()));
            }
        }
        Entity::Slot(slot) => {
            let place = (slot.nominal_at, slot.policy_id.as_uuid());
            entries.owned(place, &slot.tenant);
            entries.add(place, Of::Policy(slot.policy_id));
        }
        Entity::Verification(verification) => {
            let place = (verification.started_at, verification.id.as_uuid());
            entries.owned(place, &verification.tenant);
            entries.add(place, Of::Cluster(verification.cluster.clone()));
            entries.add(place, Of::Record(verification.record.id));
            if verification.status == CheckStatus::Running {
                entries.add(place, Of::ActiveIn(verification.cluster.clone()));
            }
        }
        Entity::DrTest(test) => {
            let place = (test.started_at, test.id.as_uuid());
            entries.owned(place, &test.tenant);
            entries.add(place, Of::Cluster(test.target_cluster.clone()));
            entries.extend(place, test.policy.map(Of::Policy));
            entries.extend(place, test.run.as_ref().map(|run| Of::Record(run.record.id)));
            if test.status == CheckStatus::Running {
                entries.add(place, Of::ActiveIn(test.target_cluster.clone()));
            }
        }
        Entity::RetentionRun(run) => {
            let place = (run.started_at, run.id.as_uuid());
            entries.owned(place, &run.tenant);
            entries.add(place, Of::Cluster(run.cluster.clone()));
            entries.extend(place, run.policy.map(Of::Policy));
        }
        Entity::ClusterState(_) | Entity::Reservation(_) => {}
    }
    entries.entries
}

struct Entries {
    kind: EntityKind,
    entries: Vec<(List, Place)>,
}

impl Entries {
    fn add(&mut self, place: Place, of: Of) {
        self.entries.push((List { kind: self.kind, of }, place));
    }

    fn extend(&mut self, place: Place, of: Option<Of>) {
        if let Some(of) = of {
            self.add(place, of);
        }
    }

    fn owned(&mut self, place: Place, tenant: &TenantId) {
        self.add(place, Of::Everyone);
        self.add(place, Of::Tenant(tenant.clone()));
    }

    fn job(&mut self, job: &BackupJob) {
        let place = (job.created_at, job.id.as_uuid());
        self.owned(place, &job.tenant);
        self.add(place, Of::Cluster(job.cluster.clone()));
        self.extend(place, job.policy.map(Of::Policy));
        if job.is_live() {
            self.add(place, Of::ActiveIn(job.cluster.clone()));
            self.extend(place, job.policy.map(Of::ActiveUnder));
            if let Some(retry_at) = job.retry_at {
                self.add((retry_at, job.id.as_uuid()), Of::DueIn(job.cluster.clone()));
            }
        }
        if job.status == JobStatus::InProgress {
            self.add(place, Of::Running);
            self.add(place, Of::RunningIn(job.cluster.clone()));
        }
    }

    fn record(&mut self, record: &BackupRecord) {
        let place = (record.created_at, record.id.as_uuid());
        self.owned(place, &record.tenant);
        self.add(place, Of::Cluster(record.cluster.clone()));
        self.extend(place, record.policy.map(Of::Policy));
        self.add(place, Of::Chain(record.chain));
        if record.state() != RecordState::Deleted {
            self.add(place, Of::PresentIn(record.cluster.clone()));
            self.extend(place, record.policy.map(Of::PresentUnder));
        }
        let due = match &record.lifecycle {
            RecordLifecycle::Available | RecordLifecycle::Deleted { .. } => return,
            RecordLifecycle::Expired { delete_after, .. } => Some(*delete_after),
            RecordLifecycle::Deleting(deletion) => deletion.deferred_until,
        };
        self.add(place, Of::LeavingFrom(record.cluster.clone()));
        if let Some(due) = due {
            self.add((due, record.id.as_uuid()), Of::DueIn(record.cluster.clone()));
        }
    }
}

/// The turn of a job that waits to be started.
fn turn(entity: &Entity) -> Option<(&ClusterName, Turn)> {
    let Entity::Job(job) = entity else { return None };
    (job.status == JobStatus::Pending)
        .then(|| (&job.cluster, (Reverse(job.priority), job.created_at, job.id.as_uuid())))
}

/// When a reservation may be forgotten.
fn expiry(entity: &Entity) -> Option<(Timestamp, ReservationKey)> {
    let Entity::Reservation(reservation) = entity else { return None };
    Some((reservation.expires_at?, reservation.key.clone()))
}
