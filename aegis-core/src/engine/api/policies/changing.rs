//! Changing a policy.

use std::{num::NonZeroU32, time::Duration};

use super::{
    super::Tenant,
    PolicyView,
    checking::{lint_policy, run_time},
    plan_dr_tests, standing, table_of,
};
use crate::{
    engine::{
        EngineError,
        decide::{asks_anew, is_ahead, note_edit, policy_facts, warn_if_behind, with_due},
        runtime::RETRIES,
    },
    model::{
        BackupKind, DisplayName, DrTestRule, EntityKey, EventFacts, EventKind, Labels, NamespaceSelection,
        Policy, PolicyId, PolicyState, Reservation, RetentionRules, Rpo, Rto, Schedule, ScheduleOptions,
        SkipReason, Slot, StorageUri, Timestamp, VerificationLevel, Versioned,
    },
    rules::{
        Activity, Settlement, Standing, close, exposure::NewestPoint, settle, settle_and_close, until_now,
    },
    seams::{Changeset, Conflict, SlotQuery, StoreExt},
};

/// A change to a policy: what is `None` stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PolicyChange {
    /// Another name.
    pub name: Option<DisplayName>,
    /// Another description.
    pub description: Option<String>,
    /// Other namespaces.
    pub namespaces: Option<NamespaceSelection>,
    /// With or without volumes.
    pub include_volumes: Option<bool>,
    /// Another kind of backup.
    pub kind: Option<BackupKind>,
    /// Another location; records stay where they are.
    pub location: Option<StorageUri>,
    /// Another schedule, in force from now.
    pub schedule: Option<Schedule>,
    /// Other options of the schedule, in force from now.
    pub schedule_options: Option<ScheduleOptions>,
    /// Other rules.
    pub retention: Option<RetentionRules>,
    /// Another objective, or none.
    pub rpo: Option<Option<Rpo>>,
    /// Another objective, or none.
    pub rto: Option<Option<Rto>>,
    /// On or off.
    pub enabled: Option<bool>,
    /// Another priority.
    pub priority: Option<i32>,
    /// Another number of attempts that a job may have; of jobs to come.
    pub max_attempts: Option<NonZeroU32>,
    /// Another time that an attempt may run; of jobs to come.
    pub timeout: Option<Duration>,
    /// Another level, or none.
    pub verify: Option<Option<VerificationLevel>>,
    /// Whether records that lack something count for the RPO.
    pub count_partial: Option<bool>,
    /// Another depth to which a record must be verified before it counts, or none.
    pub count_verified: Option<Option<VerificationLevel>>,
    /// Other DR tests, in force from now, or none.
    pub dr_test: Option<Option<DrTestRule>>,
    /// Other labels.
    pub labels: Option<Labels>,
}

/// What an edit of a policy rests on beside the policy itself.
struct Surroundings {
    state: Option<Versioned<PolicyState>>,
    old_name: Option<Versioned<Reservation>>,
    /// What its jobs are doing.
    activity: Activity,
    /// The newest point that counts for the policy as it will be, if it asks for something else.
    newest: Option<NewestPoint>,
    /// Whether it does.
    asks_anew: bool,
    /// What was settled of slots that are still to come, while the clock was ahead.
    ahead: Vec<Versioned<Slot>>,
}

impl Tenant {
    /// Changes a policy. Slots that came before are settled by the policy as it was, so that what was
    /// due still runs; another schedule, and switching on, take effect from now and never fire a past
    /// slot. Its exposure is judged anew by what it asks for now.
    ///
    /// Slots that were settled while the clock was ahead stay settled until an edit, even one that
    /// changes nothing: then those that are still to come are due again.
    ///
    /// # Errors
    /// `NotFound`, `InvalidInput` (a schedule that could never run, too), `Unsupported`, `AlreadyExists` (the name), `VersionConflict` (it
    /// is not at [`if_version`](Self::if_version)).
    pub async fn update_policy(&self, id: PolicyId, change: PolicyChange) -> Result<PolicyView, EngineError> {
        for _ in 0..RETRIES {
            let before = self.find::<Policy>(id).await?;
            self.check_version(&before)?;
            let after = apply(&before, &change);
            self.check_policy(&after.cluster, after.kind, after.verify, &after.retention)?;
            self.check_counting(&after.cluster, after.count_verified)?;
            self.check_dr_rule(&after.cluster, after.dr_test.as_ref())?;
            self.core.storage_for(&self.tenant, &after.location)?;
            let now = self.core.clock.now();
            let state = self.core.store.find::<PolicyState>(&self.scope(), id).await?;
            let lock = self.lock_at(&after.location).await?;
            let warnings = lint_policy(&after, run_time(state.as_deref()), lock, now)?;
            let asks_anew = asks_anew(&before, &after);
            let around = Surroundings {
                ahead: self.settled_ahead(state.as_deref(), now).await?,
                state,
                old_name: self.reserved_name(&before).await?,
                activity: self.core.activity(&before).await?,
                newest: if asks_anew { self.core.newest_point(&after, None, now).await? } else { None },
                asks_anew,
            };
            let changeset = self.rewrite_policy(&before, after, &around);
            match self.commit(changeset).await? {
                None => {
                    if around.asks_anew {
                        // A record that came meanwhile was judged by what the policy asked for before.
                        self.core
                            .renew_newest(id, &self.principal)
                            .await
                            .map_err(EngineError::after_change)?;
                    }
                    let view = self.policy(id).await.map_err(EngineError::after_change)?;
                    return Ok(PolicyView { warnings, ..view });
                }
                Some(Conflict::Exists { key: EntityKey::Reservation(_) }) => {
                    let name = change.name.as_ref().map_or_else(String::new, ToString::to_string);
                    return Err(EngineError::AlreadyExists { what: "policy", name });
                }
                Some(_) => {}
            }
        }
        Err(EngineError::VersionConflict { what: "policy" })
    }

    /// The entries that reach beyond `now`, if the clock was ahead by more than a little.
    async fn settled_ahead(
        &self,
        state: Option<&PolicyState>,
        now: Timestamp,
    ) -> Result<Vec<Versioned<Slot>>, EngineError> {
        let Some(state) = state.filter(|state| is_ahead(state, now)) else { return Ok(Vec::new()) };
        let mut query = SlotQuery::new(self.scope());
        query.policy = Some(state.policy);
        let mut slots = self.core.store.slots(&query).await?.items;
        slots.retain(|slot| slot.through.unwrap_or(slot.nominal_at) > now);
        Ok(slots)
    }

    fn rewrite_policy(
        &self,
        before: &Versioned<Policy>,
        mut after: Policy,
        around: &Surroundings,
    ) -> Changeset {
        let decider = self.decider();
        let mut changeset = self.changeset(&decider);
        after.updated_at = decider.now;
        let rescheduled = before.schedule != after.schedule
            || before.schedule_options != after.schedule_options
            || before.enabled != after.enabled;
        if rescheduled {
            after.effective_at = decider.now;
        }
        if before.name != after.name {
            self.reserve_policy_name(&mut changeset, &after);
            if let Some(old) = &around.old_name {
                changeset.delete(old, EventKind::ReservationReleased, EventFacts::default());
            }
        }
        if let Some(state) = &around.state {
            let mut next = PolicyState::clone(state);
            let resumes = is_ahead(&next, decider.now);
            if resumes {
                take_back(&mut changeset, before, &around.ahead, decider.now);
                next.watermark = decider.now;
                next.next_sweep_at = next.next_sweep_at.map(|at| at.min(decider.now));
            }
            if rescheduled || resumes {
                let standing = Standing { activity: around.activity, ..standing(&next, decider.now) };
                let closed = settle_edit(before, &after, standing);
                if let Some(job) = decider.write_slots(&mut changeset, before, &closed) {
                    next.last_job = Some(job);
                    next.last_run_at = closed.run;
                }
                next.watermark = closed.watermark;
                let upcoming = settle(&table_of(&after), super::standing(&next, decider.now));
                next.next_run_at = upcoming.next_at.filter(|_| after.enabled);
            }
            note_edit(&mut next, before, &after, around.newest, decider.now);
            if resumes || before.dr_test != after.dr_test || before.enabled != after.enabled {
                next = plan_dr_tests(next, &after, decider.now);
            }
            if before.retention != after.retention {
                next.next_sweep_at = Some(decider.now);
            }
            let next = with_due(next, decider.now);
            if next != *state.value {
                changeset.update(state.version, next, EventKind::PolicyStateChanged, policy_facts(before));
            }
        }
        let facts = policy_facts(&after);
        changeset.update(before.version, after, EventKind::PolicyUpdated, facts);
        changeset
    }
}

/// Takes back what was settled of slots that are still to come: they come again.
fn take_back(changeset: &mut Changeset, policy: &Policy, ahead: &[Versioned<Slot>], now: Timestamp) {
    let table = table_of(policy);
    for slot in ahead {
        let facts = EventFacts {
            reason: Some(format!("taken back what lies after {now}: the clock had been ahead")),
            ..policy_facts(policy)
        };
        match until_now(&table, slot, now) {
            Some(left) => changeset.update(slot.version, left, EventKind::SlotSettled, facts),
            None => changeset.delete(slot, EventKind::SlotSettled, facts),
        }
    }
}

pub(super) fn apply(before: &Versioned<Policy>, change: &PolicyChange) -> Policy {
    let mut policy = Policy::clone(before);
    let change = change.clone();
    if let Some(name) = change.name {
        policy.name = name;
    }
    if let Some(description) = change.description {
        policy.description = description;
    }
    if let Some(namespaces) = change.namespaces {
        policy.namespaces = namespaces;
    }
    if let Some(location) = change.location {
        policy.location = location;
    }
    if let Some(schedule) = change.schedule {
        policy.schedule = schedule;
    }
    if let Some(options) = change.schedule_options {
        policy.schedule_options = options;
    }
    if let Some(retention) = change.retention {
        policy.retention = retention;
    }
    if let Some(labels) = change.labels {
        policy.labels = labels;
    }
    policy.include_volumes = change.include_volumes.unwrap_or(policy.include_volumes);
    policy.kind = change.kind.unwrap_or(policy.kind);
    policy.rpo = change.rpo.unwrap_or(policy.rpo);
    policy.rto = change.rto.unwrap_or(policy.rto);
    policy.enabled = change.enabled.unwrap_or(policy.enabled);
    policy.priority = change.priority.unwrap_or(policy.priority);
    policy.max_attempts = change.max_attempts.unwrap_or(policy.max_attempts);
    policy.timeout = change.timeout.unwrap_or(policy.timeout);
    policy.verify = change.verify.unwrap_or(policy.verify);
    policy.count_partial = change.count_partial.unwrap_or(policy.count_partial);
    policy.count_verified = change.count_verified.unwrap_or(policy.count_verified);
    policy.dr_test = change.dr_test.unwrap_or(policy.dr_test);
    policy
}

/// What becomes of the slots up to an edit: a policy that ran settles them by what it was; one that
/// was off skips them.
fn settle_edit(before: &Policy, after: &Policy, standing: Standing) -> Settlement {
    let table = table_of(before);
    let settled = match (before.enabled, after.enabled) {
        (true, true) => settle_and_close(&table, standing, SkipReason::Superseded),
        (true, false) => settle_and_close(&table, standing, SkipReason::Disabled),
        (false, _) => close(&table, standing.watermark, standing.now, SkipReason::Disabled),
    };
    warn_if_behind(before, &settled);
    settled
}
