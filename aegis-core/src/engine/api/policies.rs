//! DR policies, as people edit them.

use std::{num::NonZeroU32, time::Duration};

use super::{Listing, Tenant, assess::took};
use crate::{
    engine::{
        EngineError,
        decide::{asks_anew, dr_table, note_edit, note_newest, policy_facts, warn_if_behind, with_due},
        runtime::RETRIES,
    },
    model::{
        BackupKind, ClusterName, DisplayName, DrTestRule, EntityKey, EventFacts, EventKind, Labels,
        NamespaceSelection, Policy, PolicyId, PolicyState, Reservation, ReservationKey, RetentionRules, Rpo,
        Rto, Schedule, ScheduleOptions, SkipReason, Slot, StorageUri, Timestamp, VerificationLevel, Version,
        Versioned,
    },
    rules::{
        Activity, LintFinding, PolicyFigures, Settlement, Standing, Timetable, close, exposure::NewestPoint,
        lint, schedule_human, settle, settle_and_close,
    },
    seams::{Changeset, Conflict, PolicyQuery, SlotQuery, StoreExt, Window},
};

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
            labels: Labels::default(),
        }
    }
}

/// A change to a policy: what is `None` stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PolicyChange {
    /// Only if it is still at this version.
    pub if_version: Option<Version>,
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
    /// Another level, or none.
    pub verify: Option<Option<VerificationLevel>>,
    /// Other DR tests, in force from now, or none.
    pub dr_test: Option<Option<DrTestRule>>,
    /// Other labels.
    pub labels: Option<Labels>,
}

/// A policy with what the engine knows of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyView {
    /// The policy.
    pub policy: Versioned<Policy>,
    /// Its schedule in English.
    pub schedule_human: String,
    /// What the engine knows of it.
    pub state: Option<Versioned<PolicyState>>,
    /// Why it may not do what it seems to promise, as far as its figures tell; filled when it is
    /// made or changed.
    pub warnings: Vec<LintFinding>,
}

/// What an edit of a policy rests on beside the policy itself.
struct Surroundings {
    state: Option<Versioned<PolicyState>>,
    old_name: Option<Versioned<Reservation>>,
    /// What its jobs are doing.
    activity: Activity,
    /// The newest point that counts for the policy as it will be, if it asks for something else.
    newest: Option<NewestPoint>,
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
        self.check_dr_rule(&new.cluster, new.dr_test.as_ref())?;
        let location = self.location(new.location.clone())?;
        let now = self.core.clock.now();
        let policy = self.policy_of(new, self.core.ids.mint(now), location, now);
        let warnings = lint_policy(&policy, None, now)?;
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
            changeset.insert(with_due(state), EventKind::PolicyStateChanged, policy_facts(&policy));
            let facts = policy_facts(&policy);
            changeset.insert(policy.clone(), EventKind::PolicyCreated, facts);
            changeset
        };
        self.commit_policy(changeset, &policy.name).await?;
        self.core.wake(&policy.cluster);
        Ok(PolicyView { warnings, ..self.policy(policy.id).await? })
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
            labels: new.labels,
            created_by: self.principal.clone(),
            created_at: now,
            updated_at: now,
            effective_at: now,
        }
    }

    fn check_policy(
        &self,
        cluster: &ClusterName,
        kind: BackupKind,
        verify: Option<VerificationLevel>,
        retention: &RetentionRules,
    ) -> Result<(), EngineError> {
        let capabilities = self.core.cluster_of(&self.tenant, cluster)?.driver.capabilities();
        let driver = capabilities.driver;
        if !capabilities.kinds.contains(&kind) {
            return Err(EngineError::Unsupported(format!("the {driver} driver makes no {kind} backups")));
        }
        if let Some(level) = verify.filter(|level| !capabilities.verification.contains(level)) {
            return Err(EngineError::Unsupported(format!(
                "the {driver} driver does not verify up to {level}"
            )));
        }
        retention.validate().map_err(|error| EngineError::field("retention", error))
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
        Ok(PolicyView {
            schedule_human: schedule_human(&policy.schedule),
            policy,
            state,
            warnings: Vec::new(),
        })
    }

    /// Policies that match; the scope of `query` is overridden by this tenant's.
    ///
    /// # Errors
    /// As every call.
    pub async fn policies(&self, mut query: PolicyQuery) -> Result<Listing<PolicyView>, EngineError> {
        query.scope = self.scope();
        let page = self.core.store.policies(&query).await?;
        let mut items = Vec::with_capacity(page.items.len());
        for policy in page.items {
            items.push(self.view_policy(policy).await?);
        }
        Ok(Listing { items, total: page.total })
    }

    /// The slots of a policy, newest first, at most `limit`.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn slots(&self, id: PolicyId, limit: usize) -> Result<Vec<Versioned<Slot>>, EngineError> {
        self.find::<Policy>(id).await?;
        let mut query = SlotQuery::new(self.scope()).with_window(Window::first(limit));
        query.policy = Some(id);
        Ok(self.core.store.slots(&query).await?.items)
    }

    /// Changes a policy. Slots that came before are settled by the policy as it was, so that what was
    /// due still runs; another schedule, and switching on, take effect from now and never fire a past
    /// slot. Its exposure is judged anew by what it asks for now.
    ///
    /// # Errors
    /// `NotFound`, `InvalidInput` (a schedule that could never run, too), `Unsupported`, `AlreadyExists` (the name), `VersionConflict` (it
    /// is not at [`PolicyChange::if_version`] any more).
    pub async fn update_policy(&self, id: PolicyId, change: PolicyChange) -> Result<PolicyView, EngineError> {
        for _ in 0..RETRIES {
            let before = self.find::<Policy>(id).await?;
            if change.if_version.is_some_and(|version| version != before.version) {
                return Err(EngineError::VersionConflict { what: "policy" });
            }
            let after = apply(&before, &change);
            self.check_policy(&after.cluster, after.kind, after.verify, &after.retention)?;
            self.check_dr_rule(&after.cluster, after.dr_test.as_ref())?;
            self.core.storage_for(&self.tenant, &after.location)?;
            let now = self.core.clock.now();
            let longest = self.recent_records(id).await?.iter().map(|record| took(record)).max();
            let warnings = lint_policy(&after, longest, now)?;
            let around = Surroundings {
                state: self.core.store.find::<PolicyState>(&self.scope(), id).await?,
                old_name: self.reserved_name(&before).await?,
                activity: self.core.activity(&before).await?,
                newest: if asks_anew(&before, &after) {
                    self.core.newest_point(&after, None, now).await?
                } else {
                    None
                },
            };
            let changeset = self.rewrite_policy(&before, after, &around);
            match self.commit(changeset).await? {
                None => {
                    self.core.wake(&before.cluster);
                    return Ok(PolicyView { warnings, ..self.policy(id).await? });
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
            if rescheduled {
                let standing = Standing { activity: around.activity, ..standing(&next, decider.now) };
                let closed = settle_edit(before, &after, standing);
                if let Some(job) = decider.write_slots(&mut changeset, before, &closed) {
                    next.last_job = Some(job);
                    next.last_run_at = closed.run;
                }
                next.watermark = closed.watermark;
                let upcoming = settle(&table_of(&after), self::standing(&next, decider.now));
                next.next_run_at = upcoming.next_at.filter(|_| after.enabled);
            }
            note_edit(&mut next, before, &after, around.newest, decider.now);
            if before.dr_test != after.dr_test || before.enabled != after.enabled {
                next = plan_dr_tests(next, &after, decider.now);
            }
            if before.retention != after.retention {
                next.next_sweep_at = Some(decider.now);
            }
            let next = with_due(next);
            if next != *state.value {
                changeset.update(state.version, next, EventKind::PolicyStateChanged, policy_facts(before));
            }
        }
        let facts = policy_facts(&after);
        changeset.update(before.version, after, EventKind::PolicyUpdated, facts);
        changeset
    }

    /// The reservation of a policy's name.
    async fn reserved_name(&self, policy: &Policy) -> Result<Option<Versioned<Reservation>>, EngineError> {
        let key = ReservationKey::policy_name(&self.tenant, &policy.name);
        let found = self.core.store.find::<Reservation>(&self.scope(), key).await?;
        Ok(found.filter(|name| name.owner == EntityKey::Policy(policy.id)))
    }

    /// Deletes a policy. Its records, their holds and its history stay.
    ///
    /// # Errors
    /// `NotFound`; `VersionConflict` if it was changed meanwhile again and again.
    pub async fn delete_policy(&self, id: PolicyId) -> Result<(), EngineError> {
        for _ in 0..RETRIES {
            let policy = self.find::<Policy>(id).await?;
            let state = self.core.store.find::<PolicyState>(&self.scope(), id).await?;
            let name = self.reserved_name(&policy).await?;
            let changeset = {
                let decider = self.decider();
                let mut changeset = self.changeset(&decider);
                if let Some(name) = &name {
                    changeset.delete(name, EventKind::ReservationReleased, EventFacts::default());
                }
                if let Some(state) = state {
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

fn apply(before: &Versioned<Policy>, change: &PolicyChange) -> Policy {
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
    policy.verify = change.verify.unwrap_or(policy.verify);
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

/// The findings about a policy, unless one of them makes it impossible.
fn lint_policy(
    policy: &Policy,
    duration_p99: Option<Duration>,
    now: Timestamp,
) -> Result<Vec<LintFinding>, EngineError> {
    let days = policy.retention.keep_for(policy.kind).days;
    let findings = lint(
        &PolicyFigures {
            schedule: &policy.schedule,
            options: &policy.schedule_options,
            policy: policy.id,
            anchor: policy.created_at,
            rpo: policy.rpo.map(|rpo| rpo.0),
            duration_p99,
            retention: days.map(|days| DAY.saturating_mul(days)),
            lock: None,
        },
        now,
    );
    match findings.iter().find(|finding| finding.code.is_impossible()) {
        Some(finding) => Err(EngineError::field("schedule", &finding.message)),
        None => Ok(findings),
    }
}

const DAY: Duration = Duration::from_secs(24 * 3600);

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
