//! Keeping the exposure of policies current: what a changed record means for the policies that it
//! counts for, in the same changeset.

use std::sync::Arc;

use super::{Core, Outcome, RETRIES, commit};
use crate::{
    engine::{
        EngineError,
        decide::{
            PointBook, PolicyStanding, count_alike, covers, keep_rpo, note_newest, policy_facts, rpo_state,
            verified_alike, with_due,
        },
    },
    model::{
        BackupRecord, ClusterName, Entity, EntityKey, EventKind, Policy, PolicyId, PolicyState, Principal,
        RecentBackup, RecordState, TenantId, Timestamp, Versioned,
    },
    rules::exposure::{Book, CountingPoint, NewestPoint, StateChange},
    seams::{Changeset, PolicyQuery, RecordQuery, Scope, StoreExt, Window, Write},
};

/// What happened to a record that is of interest to exposure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Novelty {
    /// It enters the catalogue.
    New,
    /// Its data goes. Leaves go first, so nothing that counts rests on it.
    Gone,
    /// It was found bad, or good again, which holds for all that rests on it, too.
    Judged,
    /// It was verified, so that it, and all that rests on it, may begin to count where that is asked for.
    Verified,
}

impl Core {
    /// Notes in `changeset` what the records that it writes mean for the exposure of policies. Costs
    /// O(policies concerned); the records that are left are read again only when the newest of a
    /// policy goes, or when one is found bad, or good again.
    pub(crate) async fn note_exposure(&self, changeset: &mut Changeset) -> Result<(), EngineError> {
        let written: Vec<Arc<BackupRecord>> = changeset.changes.iter().filter_map(written_record).collect();
        for record in written {
            let before = self.store.find::<BackupRecord>(&Scope::Everyone, record.id).await?;
            let novelty = match &before {
                Some(before) if count_alike(before, &record) => {
                    if verified_alike(before, &record) {
                        continue;
                    }
                    Novelty::Verified
                }
                Some(_) if record.lifecycle.unusable_since().is_some() => Novelty::Gone,
                Some(_) => Novelty::Judged,
                None => Novelty::New,
            };
            for policy in self.policies_concerned(&record, novelty).await? {
                self.note_for_policy(changeset, &policy, &record, novelty).await?;
            }
        }
        Ok(())
    }

    /// The policies whose exposure a record can change: the one that it was made for; every one that
    /// a manual backup covers; and, since a backup of one may rest on a record of another, every one
    /// of the cluster when it is judged or verified, as far as that is asked for.
    async fn policies_concerned(
        &self,
        record: &BackupRecord,
        novelty: Novelty,
    ) -> Result<Vec<Versioned<Policy>>, EngineError> {
        let by_itself = matches!(novelty, Novelty::New | Novelty::Gone);
        if let Some(id) = record.policy.filter(|_| by_itself) {
            let policy = self.store.find::<Policy>(&Scope::Everyone, id).await?;
            return Ok(policy.into_iter().collect());
        }
        let mut query = PolicyQuery::new(Scope::Tenant(record.tenant.clone()));
        query.cluster = Some(record.cluster.clone());
        let mut policies = self.store.policies(&query).await?.items;
        policies.retain(|policy| match novelty {
            Novelty::New | Novelty::Gone => covers(record, &policy.namespaces),
            Novelty::Judged => true,
            Novelty::Verified => policy.count_verified.is_some() || record.made_during.is_some(),
        });
        Ok(policies)
    }

    async fn note_for_policy(
        &self,
        changeset: &mut Changeset,
        policy: &Policy,
        record: &BackupRecord,
        novelty: Novelty,
    ) -> Result<(), EngineError> {
        let pending = changeset.changes.iter().position(|change| is_state_of(&change.write, policy));
        let (mut state, read) = match pending.and_then(|at| changeset.changes.get(at)).map(|c| &c.write) {
            Some(Write::Update(Entity::PolicyState(state), read)) => (PolicyState::clone(state), *read),
            _ => match self.store.find::<PolicyState>(&Scope::Everyone, policy.id).await? {
                Some(state) => (PolicyState::clone(&state), state.version),
                None => return Ok(()),
            },
        };
        let before = state.clone();
        let now = changeset.at;
        let mut rpo = rpo_state(policy, &state);
        let rests_on_newest =
            record.parent.is_none_or(|id| rpo.newest().is_some_and(|newest| newest.id == id));
        let changed = if novelty == Novelty::New && rests_on_newest {
            let alone = without_parent(record);
            let standing = PointBook::new([&alone], Book::AsKnown).standing(policy, now);
            state.last_success_at = state.last_success_at.max(standing.last_success);
            standing.newest.map_or(StateChange::Unchanged, |point| rpo.point_added(&counting(point), now))
        } else {
            let standing = self.standing(policy, Some(record), now).await?;
            state.last_success_at = match novelty {
                // That a backup succeeded stays true when it has served its time.
                Novelty::New | Novelty::Gone | Novelty::Verified => {
                    state.last_success_at.max(standing.last_success)
                }
                Novelty::Judged => standing.last_success,
            };
            rpo.replace(standing.newest, now)
        };
        if changed != StateChange::Unchanged {
            keep_rpo(&mut state, &rpo);
        }
        if novelty == Novelty::New && record.policy == Some(policy.id) {
            state.note_backup(RecentBackup::of(record));
        }
        let state = with_due(state, now);
        if state == before {
            return Ok(());
        }
        match pending.and_then(|at| changeset.changes.get_mut(at)) {
            Some(change) => change.write = Write::Update(state.into(), read),
            None => changeset.update(read, state, EventKind::PolicyStateChanged, policy_facts(policy)),
        }
        Ok(())
    }

    /// Notes what the policies of a cluster have to show anew, from what is in the catalogue: after it
    /// was filled otherwise than by backups. Idempotent.
    pub(crate) async fn renew_exposure(
        &self,
        tenant: &TenantId,
        cluster: &ClusterName,
        actor: &Principal,
    ) -> Result<(), EngineError> {
        let mut query = PolicyQuery::new(Scope::Tenant(tenant.clone()));
        query.cluster = Some(cluster.clone());
        for policy in self.store.policies(&query).await?.items {
            for _ in 0..RETRIES {
                let Some(state) = self.store.find::<PolicyState>(&Scope::Everyone, policy.id).await? else {
                    break;
                };
                let mut changeset = self.decider(None).changeset_by(actor.clone());
                let mut next = PolicyState::clone(&state);
                let standing = self.standing(&policy, None, changeset.at).await?;
                note_newest(&mut next, &policy, standing.newest, changeset.at);
                next.last_success_at = next.last_success_at.max(standing.last_success);
                let mut query =
                    RecordQuery::new(Scope::Everyone).with_window(Window::first(PolicyState::RECENT));
                query.policy = Some(policy.id);
                let recent = self.store.records(&query).await?.items;
                next.recent = recent.iter().map(|record| RecentBackup::of(record)).collect();
                let next = with_due(next, changeset.at);
                if next != *state.value {
                    let kind = EventKind::PolicyStateChanged;
                    changeset.update(state.version, next, kind, policy_facts(&policy));
                }
                if let Outcome::Applied = commit(self, changeset).await? {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Notes the newest point that counts for a policy anew, from what is in the catalogue: after an
    /// edit, during which records came and went that were judged without it. Idempotent.
    pub(crate) async fn renew_newest(&self, id: PolicyId, actor: &Principal) -> Result<(), EngineError> {
        for _ in 0..RETRIES {
            let Some(policy) = self.store.find::<Policy>(&Scope::Everyone, id).await? else { break };
            // Read before the records: what comes after them changes it, and is not overwritten.
            let Some(state) = self.store.find::<PolicyState>(&Scope::Everyone, id).await? else { break };
            let mut changeset = self.decider(None).changeset_by(actor.clone());
            changeset.expect_unchanged(EntityKey::Policy(id), policy.version);
            let mut next = PolicyState::clone(&state);
            let newest = self.newest_point(&policy, None, changeset.at).await?;
            note_newest(&mut next, &policy, newest, changeset.at);
            let next = with_due(next, changeset.at);
            if next == *state.value {
                break;
            }
            changeset.update(state.version, next, EventKind::PolicyStateChanged, policy_facts(&policy));
            if matches!(commit(self, changeset).await?, Outcome::Applied) {
                break;
            }
        }
        Ok(())
    }

    /// The newest point that counts for a policy as it is, from what is in the catalogue, with
    /// `changed` as it will be.
    pub(crate) async fn newest_point(
        &self,
        policy: &Policy,
        changed: Option<&BackupRecord>,
        now: Timestamp,
    ) -> Result<Option<NewestPoint>, EngineError> {
        Ok(self.standing(policy, changed, now).await?.newest)
    }

    async fn standing(
        &self,
        policy: &Policy,
        changed: Option<&BackupRecord>,
        now: Timestamp,
    ) -> Result<PolicyStanding, EngineError> {
        let records = self.records_of(&policy.tenant, &policy.cluster, &RecordState::THERE).await?;
        let others = records
            .iter()
            .map(|record| &**record)
            .filter(|record| changed.is_none_or(|changed| changed.id != record.id));
        Ok(PointBook::new(others.chain(changed), Book::AsKnown).standing(policy, now))
    }

    /// The records of a cluster in these states; in any if none is named.
    pub(crate) async fn records_of(
        &self,
        tenant: &TenantId,
        cluster: &ClusterName,
        states: &[RecordState],
    ) -> Result<Vec<Versioned<BackupRecord>>, EngineError> {
        let mut query = RecordQuery::new(Scope::Tenant(tenant.clone()));
        query.cluster = Some(cluster.clone());
        query.states = states.to_vec();
        self.all_records(query).await
    }
}

fn written_record(change: &crate::seams::Change) -> Option<Arc<BackupRecord>> {
    match &change.write {
        Write::Insert(Entity::Record(record)) | Write::Update(Entity::Record(record), _) => {
            Some(Arc::clone(record))
        }
        Write::Insert(_) | Write::Update(..) | Write::Delete(..) => None,
    }
}

fn is_state_of(write: &Write, policy: &Policy) -> bool {
    matches!(write, Write::Update(Entity::PolicyState(state), _) if state.policy == policy.id)
}

/// The record as if it rested on nothing: what it rests on is known to count.
fn without_parent(record: &BackupRecord) -> BackupRecord {
    BackupRecord { parent: None, ..record.clone() }
}

const fn counting(point: NewestPoint) -> CountingPoint {
    CountingPoint { id: point.id, at: point.at, from: point.available_at, until: Timestamp::MAX }
}
