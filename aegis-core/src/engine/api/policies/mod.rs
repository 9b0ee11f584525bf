//! DR policies, as people edit them.

mod changing;
mod checking;
mod foreseeing;

use std::{cmp::Reverse, collections::HashMap, num::NonZeroU32, time::Duration};

pub use changing::PolicyChange;

use super::{Listing, Tenant};
use crate::{
    engine::{
        EngineError,
        decide::{dr_table, note_newest, policy_facts, with_due},
        runtime::{Entry, RETRIES},
    },
    model::{
        BackupKind, ClusterName, DisplayName, DrTestRule, EntityKey, EventFacts, EventKind, Labels,
        NamespaceSelection, Policy, PolicyId, PolicyState, Reservation, ReservationKey, RetentionRules, Rpo,
        Rto, Schedule, ScheduleOptions, SkipReason, Slot, StorageUri, Timestamp, VerificationLevel,
        Versioned, zone_data_version,
    },
    rules::{Activity, LintFinding, Standing, Timetable, close, schedule_human, settle},
    seams::{Changeset, Conflict, PolicyQuery, PolicyStateQuery, SlotQuery, StoreExt, Window},
};
use checking::lint_policy;

/// As many policies as a read names at most.
const PAGE: usize = 1000;

/// A policy to make.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NewPolicy {
    /// Its name; unique per tenant.
    pub name: DisplayName,
    /// Why it exists.
    pub description: String,
    /// What is protected.
    pub cluster: ClusterName,
    /// Which namespaces of it.
    pub namespaces: NamespaceSelection,
    /// Whether volumes are wanted, for drivers that have them.
    pub include_volumes: bool,
    /// What kind of backup its slots make.
    pub kind: BackupKind,
    /// Where the data goes; the tenant's only location if not given.
    pub location: Option<StorageUri>,
    /// When it runs.
    pub schedule: Schedule,
    /// What bends the schedule.
    pub schedule_options: ScheduleOptions,
    /// What stays.
    pub retention: RetentionRules,
    /// How much may be lost.
    pub rpo: Option<Rpo>,
    /// How long getting back may take.
    pub rto: Option<Rto>,
    /// Whether it runs.
    pub enabled: bool,
    /// Higher goes first.
    pub priority: i32,
    /// How many attempts a job may have.
    pub max_attempts: NonZeroU32,
    /// How long an attempt may run.
    pub timeout: Duration,
    /// How deep each new record is verified.
    pub verify: Option<VerificationLevel>,
    /// The DR tests that prove it.
    pub dr_test: Option<DrTestRule>,
    /// Whether records that lack something count for the RPO.
    pub count_partial: bool,
    /// How deep a record must be verified before it counts for the RPO; not at all if `None`.
    pub count_verified: Option<VerificationLevel>,
    /// Labels of its jobs.
    pub labels: Labels,
}

impl NewPolicy {
    /// An enabled policy of full backups with defaults for the rest.
    #[must_use]
    pub fn new(
        name: DisplayName,
        cluster: ClusterName,
        namespaces: NamespaceSelection,
        schedule: Schedule,
        retention: RetentionRules,
    ) -> Self {
        Self {
            name,
            description: String::new(),
            cluster,
            namespaces,
            include_volumes: true,
            kind: BackupKind::Full,
            location: None,
            schedule,
            schedule_options: ScheduleOptions::default(),
            retention,
            rpo: None,
            rto: None,
            enabled: true,
            priority: 0,
            max_attempts: Policy::DEFAULT_MAX_ATTEMPTS,
            timeout: Policy::DEFAULT_TIMEOUT,
            verify: None,
            dr_test: None,
            count_partial: false,
            count_verified: None,
            labels: Labels::default(),
        }
    }
}

/// A policy with what the engine knows of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyView {
    /// The policy.
    pub policy: Versioned<Policy>,
    /// Its schedule in English.
    pub schedule_human: String,
    /// The release of the zone data that its next run was reckoned with; `None` for a schedule that
    /// has no zone.
    pub zone_data: Option<&'static str>,
    /// What the engine knows of it.
    pub state: Option<Versioned<PolicyState>>,
    /// Why it may not do what it seems to promise, as far as its figures tell; filled when it is
    /// made or changed.
    pub warnings: Vec<LintFinding>,
}

impl Tenant {
    /// Makes a policy. Its first slot is the first after now: making it never runs it.
    ///
    /// # Errors
    /// `InvalidInput` (an unknown cluster or location, rules that would keep nothing, a schedule that
    /// could never run), `AlreadyExists` (the name), `Unsupported` (a kind or level that the driver
    /// does not have).
    pub async fn create_policy(&self, new: NewPolicy) -> Result<PolicyView, EngineError> {
        self.check_policy(&new.cluster, new.kind, new.verify, &new.retention)?;
        self.check_counting(&new.cluster, new.count_verified)?;
        self.check_dr_rule(&new.cluster, new.dr_test.as_ref())?;
        let location = self.location(new.location.clone())?;
        let now = self.core.clock.now();
        let policy = self.policy_of(new, self.core.ids.mint(now), location, now);
        let warnings = lint_policy(&policy, None, self.lock_at(&policy.location).await?, now)?;
        // A manual backup may protect it already.
        let newest = self.core.newest_point(&policy, None, now).await?;
        let changeset = {
            let decider = self.decider();
            let table = table_of(&policy);
            let mut state = PolicyState::new(&policy);
            note_newest(&mut state, &policy, newest, now);
            state.next_run_at =
                settle(&table, standing(&state, decider.now)).next_at.filter(|_| policy.enabled);
            state = plan_dr_tests(state, &policy, decider.now);
            let mut changeset = self.changeset(&decider);
            self.reserve_policy_name(&mut changeset, &policy);
            changeset.insert(
                with_due(state, decider.now),
                EventKind::PolicyStateChanged,
                policy_facts(&policy),
            );
            let facts = policy_facts(&policy);
            changeset.insert(policy.clone(), EventKind::PolicyCreated, facts);
            self.take_key(&mut changeset, EntityKey::Policy(policy.id));
            changeset
        };
        self.commit_policy(changeset, &policy.name).await?;
        // A record that came while the policy was made did not know of it.
        self.core.renew_newest(policy.id, &self.principal).await.map_err(EngineError::after_change)?;
        let view = self.policy(policy.id).await.map_err(EngineError::after_change)?;
        Ok(PolicyView { warnings, ..view })
    }

    fn policy_of(&self, new: NewPolicy, id: PolicyId, location: StorageUri, now: Timestamp) -> Policy {
        Policy {
            id,
            tenant: self.tenant.clone(),
            name: new.name,
            description: new.description,
            cluster: new.cluster,
            namespaces: new.namespaces,
            include_volumes: new.include_volumes,
            kind: new.kind,
            location,
            schedule: new.schedule,
            schedule_options: new.schedule_options,
            retention: new.retention,
            rpo: new.rpo,
            rto: new.rto,
            enabled: new.enabled,
            priority: new.priority,
            max_attempts: new.max_attempts,
            timeout: new.timeout,
            verify: new.verify,
            dr_test: new.dr_test,
            count_partial: new.count_partial,
            count_verified: new.count_verified,
            labels: new.labels,
            created_by: self.principal.clone(),
            created_at: now,
            updated_at: now,
            effective_at: now,
        }
    }

    fn reserve_policy_name(&self, changeset: &mut Changeset, policy: &Policy) {
        let reservation = Reservation {
            key: ReservationKey::policy_name(&self.tenant, &policy.name),
            tenant: self.tenant.clone(),
            owner: EntityKey::Policy(policy.id),
            request_hash: None,
            expires_at: None,
        };
        changeset.insert(reservation, EventKind::ReservationMade, EventFacts::default());
    }

    async fn commit_policy(&self, changeset: Changeset, name: &DisplayName) -> Result<(), EngineError> {
        match self.commit(changeset).await? {
            None => Ok(()),
            Some(Conflict::Exists { key: EntityKey::Reservation(_) }) => {
                Err(EngineError::AlreadyExists { what: "policy", name: name.to_string() })
            }
            Some(_) => Err(EngineError::VersionConflict { what: "policy" }),
        }
    }

    /// One policy.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn policy(&self, id: PolicyId) -> Result<PolicyView, EngineError> {
        let policy = self.find::<Policy>(id).await?;
        self.view_policy(policy).await
    }

    async fn view_policy(&self, policy: Versioned<Policy>) -> Result<PolicyView, EngineError> {
        let state = self.core.store.find::<PolicyState>(&self.scope(), policy.id).await?;
        Ok(view(policy, state))
    }

    /// The states of these policies, in one read: of them alone, or of all where they are many.
    async fn states_of(
        &self,
        policies: &[Versioned<Policy>],
        cluster: Option<ClusterName>,
    ) -> Result<HashMap<PolicyId, Versioned<PolicyState>>, EngineError> {
        let mut query = PolicyStateQuery { cluster, ..PolicyStateQuery::new(self.scope()) };
        match policies.len() {
            0 => return Ok(HashMap::new()),
            1..=PAGE => query.policies = policies.iter().map(|policy| policy.id).collect(),
            _ => {}
        }
        let states = self.core.store.policy_states(&query).await?;
        Ok(states.into_iter().map(|state| (state.policy, state)).collect())
    }

    /// Policies that match; the scope of `query` is overridden by this tenant's.
    ///
    /// # Errors
    /// As every call.
    pub async fn policies(&self, mut query: PolicyQuery) -> Result<Listing<PolicyView>, EngineError> {
        query.scope = self.scope();
        if query.window.limit == Window::ALL.limit {
            return self.all_policies(&query).await;
        }
        let page = self.core.store.policies(&query).await?;
        let mut states = self.states_of(&page.items, query.cluster).await?;
        let view = |policy: Versioned<Policy>| {
            let state = states.remove(&policy.id);
            view(policy, state)
        };
        Ok(Listing { items: page.items.into_iter().map(view).collect(), total: page.total })
    }

    /// Every policy that matches, from what is kept in mind of them.
    async fn all_policies(&self, query: &PolicyQuery) -> Result<Listing<PolicyView>, EngineError> {
        let roster = self.core.roster(&self.tenant).await?;
        let matching = roster.entries().iter().filter(|entry| query.matches(&entry.policy));
        let mut found: Vec<_> = matching.collect();
        found.sort_by_key(|entry| Reverse((entry.policy.created_at, entry.policy.id)));
        let total = query.window.count.then(|| u64::try_from(found.len()).unwrap_or(u64::MAX));
        let is_after = |entry: &&Entry| {
            let place = (entry.policy.created_at, entry.policy.id.as_uuid());
            query.window.after.is_none_or(|cursor| place < (cursor.at, cursor.id))
        };
        let items = found.into_iter().filter(is_after).skip(query.window.offset);
        let view = |entry: &Entry| view(entry.policy.clone(), entry.state.clone());
        Ok(Listing { items: items.map(view).collect(), total })
    }

    /// The slots of a policy, newest first.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn slots(&self, id: PolicyId, window: Window) -> Result<Listing<Versioned<Slot>>, EngineError> {
        self.find::<Policy>(id).await?;
        let mut query = SlotQuery::new(self.scope()).with_window(window);
        query.policy = Some(id);
        let page = self.core.store.slots(&query).await?;
        Ok(Listing { items: page.items, total: page.total })
    }

    /// The reservation of a policy's name.
    async fn reserved_name(&self, policy: &Policy) -> Result<Option<Versioned<Reservation>>, EngineError> {
        let key = ReservationKey::policy_name(&self.tenant, &policy.name);
        let found = self.core.store.find::<Reservation>(&self.scope(), key).await?;
        Ok(found.filter(|name| name.owner == EntityKey::Policy(policy.id)))
    }

    /// Deletes a policy. Its records, their holds and its history stay; slots that were due are
    /// skipped.
    ///
    /// # Errors
    /// `NotFound`; `VersionConflict` if it is not at [`if_version`](Self::if_version), or was changed
    /// meanwhile again and again.
    pub async fn delete_policy(&self, id: PolicyId) -> Result<(), EngineError> {
        for _ in 0..RETRIES {
            let policy = self.find::<Policy>(id).await?;
            self.check_version(&policy)?;
            let state = self.core.store.find::<PolicyState>(&self.scope(), id).await?;
            let name = self.reserved_name(&policy).await?;
            let changeset = {
                let decider = self.decider();
                let mut changeset = self.changeset(&decider);
                if let Some(name) = &name {
                    changeset.delete(name, EventKind::ReservationReleased, EventFacts::default());
                }
                if let Some(state) = state {
                    let reason = if policy.enabled { SkipReason::Deleted } else { SkipReason::Disabled };
                    let closed = close(&table_of(&policy), state.watermark, decider.now, reason);
                    decider.write_slots(&mut changeset, &policy, &closed);
                    changeset.delete(&state, EventKind::PolicyStateChanged, policy_facts(&policy));
                }
                changeset.delete(&policy, EventKind::PolicyDeleted, policy_facts(&policy));
                changeset
            };
            if self.commit(changeset).await?.is_none() {
                return Ok(());
            }
        }
        Err(EngineError::VersionConflict { what: "policy" })
    }
}

fn view(policy: Versioned<Policy>, state: Option<Versioned<PolicyState>>) -> PolicyView {
    PolicyView {
        schedule_human: schedule_human(&policy.schedule),
        zone_data: policy.schedule.zone().map(|_| zone_data_version()),
        policy,
        state,
        warnings: Vec::new(),
    }
}

fn table_of(policy: &Policy) -> Timetable {
    Timetable::new(&policy.schedule, &policy.schedule_options, policy.id, policy.created_at)
}

/// The state with the first DR test after `now`: a change never fires a past one.
fn plan_dr_tests(mut state: PolicyState, policy: &Policy, now: Timestamp) -> PolicyState {
    state.dr_test_watermark = now;
    state.next_dr_test_at = dr_table(policy)
        .filter(|_| policy.enabled)
        .and_then(|table| settle(&table, Standing { watermark: now, now, activity: Activity::Idle }).next_at);
    state
}

const fn standing(state: &PolicyState, now: Timestamp) -> Standing {
    Standing { watermark: state.watermark, now, activity: Activity::Idle }
}
